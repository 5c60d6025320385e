"""A build record, and the run and job that GitHub knows of it; right in every respect until a test says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from brew_provenance.actionsapi import Repository, WorkflowJob, WorkflowRun
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.buildrecord import BuildRecord
from brew_provenance.corroborate import BuildJob, corroborate

TAP: Final = "octo/tap"
REPOSITORY: Final = "octo/homebrew-tap"
BOTTLE: Final = BottleFileName("foo", "1.1", "arm64_sonoma", 0)
DIGEST: Final = Digest("sha256", "ab" * 32)
HEAD: Final = "1" * 40
MERGE: Final = "2" * 40
BASE: Final = "3" * 40
RECORDED_AT: Final = datetime(2026, 3, 1, 11, 25, tzinfo=UTC)

Json = dict[str, Any]


def record_document(*, event: str = "pull_request") -> Json:
    """Return a record as JSON: of a pull request's run, or of one that was started for a branch."""
    is_pull = event == "pull_request"
    ref = "refs/pull/7/merge" if is_pull else "refs/heads/main"
    return {
        "record": 1,
        "tool": "brew-provenance 0.1.0",
        "recorded_at": RECORDED_AT.isoformat().replace("+00:00", "Z"),
        "bottle": {
            "file": str(BOTTLE),
            "sha256": DIGEST.value,
            "formula": "foo",
            "version": "1.1",
            "tag": "arm64_sonoma",
            "rebuild": 0,
            "json_file": "foo--1.1.arm64_sonoma.bottle.json",
            "json_sha256": "cd" * 32,
        },
        "tap": {
            "name": TAP,
            "remote": f"https://github.com/{REPOSITORY}",
            "commit": MERGE if is_pull else HEAD,
            "parents": [BASE, HEAD] if is_pull else [BASE],
            "branch": "main",
            "shallow": True,
        },
        "formula": {
            "path": "Formula/f/foo.rb",
            "blob": "4" * 40,
            "sha256": "5a" * 32,
            "sha256_without_bottle_block": "5b" * 32,
            "source": {"url": "https://example.org/foo-1.1.tar.gz", "sha256": "5c" * 32, "commit": None},
        },
        "brew": {"version": "7.0.4", "commit": "6" * 40},
        "run": {
            "server": "https://github.com",
            "repository": REPOSITORY,
            "repository_id": "801",
            "owner_id": "161",
            "workflow_ref": f"{REPOSITORY}/.github/workflows/tests.yml@{ref}",
            "ref": ref,
            "sha": MERGE if is_pull else HEAD,
            "head_sha": HEAD,
            "event_name": event,
            "run_id": "9876",
            "run_attempt": "2",
            "job": "tests",
            "job_id": "555",
        },
        "runner": {
            "name": "GitHub Actions 3",
            "os": "macOS",
            "arch": "ARM64",
            "environment": "github-hosted",
            "image_os": "macos15",
            "image_version": "20260301.1",
        },
    }


def make_record(document: Json | None = None) -> BuildRecord:
    """Return a record."""
    return BuildRecord.model_validate(document or record_document())


def make_run(**changes: Any) -> WorkflowRun:
    """Return the attempt that the record is of."""
    values: Json = {
        "id": "9876",
        "attempt": "2",
        "repository": Repository(REPOSITORY, "801", "161", is_private=False),
        "head_sha": HEAD,
        "head_branch": "a-branch",
        "event": "pull_request",
        "path": ".github/workflows/tests.yml",
        "status": "completed",
        "conclusion": "success",
        "url": f"https://github.com/{REPOSITORY}/actions/runs/9876",
        "started_at": RECORDED_AT - timedelta(minutes=10),
    }
    return WorkflowRun(**values | changes)


def make_job(**changes: Any) -> WorkflowJob:
    """Return the job that the record is of."""
    values: Json = {
        "id": "555",
        "run_id": "9876",
        "run_attempt": "2",
        "name": "tests (macos-15)",
        "head_sha": HEAD,
        "status": "completed",
        "conclusion": "success",
        "runner_name": "GitHub Actions 3",
        "labels": ("macos-15",),
        "started_at": RECORDED_AT - timedelta(minutes=8),
        "finished_at": RECORDED_AT + timedelta(minutes=2),
        "url": "",
    }
    return WorkflowJob(**values | changes)


def build_job(record: BuildRecord | None = None) -> BuildJob:
    """Return what the record is corroborated to."""
    found = corroborate(record or make_record(), make_run(), [make_job()])
    assert isinstance(found, BuildJob)
    return found
