"""The job of a rehearsal: its event, its run, and what a tap's repository says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pygit2
import pytest
from tests.unit.repositories import SIGNATURE, commit, make_repository

from brew_provenance.errors import InputError, UsageError
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.services.runner import Rehearsal
from brew_provenance.sandbox.services.tapjob import with_options, with_tap

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PULL_REQUEST = with_options(Rehearsal(head_sha="b" * 40, base_sha="c" * 40), event="pull_request")


def test_a_run_has_a_job_that_has_built_and_one_that_publishes() -> None:
    rehearsal = Rehearsal()
    run, (builds, publishes) = rehearsal.run(AT), rehearsal.jobs(AT)
    assert (run.id, run.run_attempt, run.head_sha) == (9876543210, 1, rehearsal.job.sha)
    assert (run.head_branch, run.status, run.referenced_workflows) == ("main", "in_progress", ())
    assert (builds.name, builds.runner_name, builds.conclusion) == ("build", "GitHub Actions 2", "success")
    assert (publishes.status, publishes.conclusion) == ("in_progress", None)
    assert {job.run_id for job in (builds, publishes)} == {run.id}
    again = replace(rehearsal, job=replace(rehearsal.job, run_attempt="2"))
    assert {job.id for job in again.jobs(AT)}.isdisjoint({builds.id, publishes.id})


def test_a_run_names_the_workflow_that_it_calls() -> None:
    job = ActionsJob(signer="octo/shared/.github/workflows/x.yml@refs/tags/v1", signer_sha="d" * 40)
    [called] = Rehearsal(job).run(AT).referenced_workflows
    assert called == ("octo/shared/.github/workflows/x.yml@refs/tags/v1", "d" * 40, None)


def test_a_pull_request_has_a_head_and_a_base(tmp_path: Path) -> None:
    assert PULL_REQUEST.job.ref == "refs/pull/1/merge"
    event = PULL_REQUEST.event()
    assert event["pull_request"]["head"]["sha"] == PULL_REQUEST.run(AT).head_sha == "b" * 40
    assert event["pull_request"]["base"]["sha"] == "c" * 40
    assert PULL_REQUEST.run(AT).head_branch == "patch"
    environment = PULL_REQUEST.environment(tmp_path, "http://127.0.0.1:1", "token")
    assert (environment["GITHUB_HEAD_REF"], environment["GITHUB_BASE_REF"]) == ("patch", "main")
    assert environment["GITHUB_REF_NAME"] == "1/merge"
    bare = with_options(Rehearsal(), event="pull_request").event()["pull_request"]
    assert bare["head"]["sha"] == bare["base"]["sha"] == ActionsJob().sha


def test_other_events_say_less() -> None:
    pushed = with_options(Rehearsal(), event="push").event()
    assert pushed["after"] == ActionsJob().sha
    dispatched = Rehearsal().event()
    assert (dispatched["inputs"], dispatched["ref"]) == ({}, "refs/heads/main")
    assert dispatched["repository"]["owner"] == {"id": 161234567, "login": "brew-provenance"}


def test_options_change_the_job(tmp_path: Path) -> None:
    found = with_options(
        Rehearsal(),
        repository="octo/homebrew-tap",
        event="push",
        workflow=".github/workflows/x.yml",
        ref="refs/tags/v1",
        run_id=5,
        run_attempt=2,
        is_private=True,
    )
    job = found.job
    assert job.workflow_ref == "octo/homebrew-tap/.github/workflows/x.yml@refs/tags/v1"
    assert (job.run_id, job.run_attempt, job.visibility) == ("5", "2", "private")
    assert found.event()["repository"]["private"] is True
    environment = found.environment(tmp_path, "http://127.0.0.1:1", "token")
    assert (environment["GITHUB_REF_TYPE"], environment["GITHUB_REF_NAME"]) == ("tag", "v1")
    assert with_options(Rehearsal()) == Rehearsal()


@pytest.mark.parametrize("repository", ["", "octo", "octo/", "/tap", "a/b/c"])
def test_a_repository_is_an_owner_and_a_name(repository: str) -> None:
    with pytest.raises(UsageError, match="not OWNER/REPO"):
        with_options(Rehearsal(), repository=repository)


def test_a_ref_is_a_whole_one() -> None:
    with pytest.raises(UsageError, match="not a full ref"):
        with_options(Rehearsal(), ref="main")


def test_a_taps_head_is_the_jobs_commit(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"a": b"1"})
    base = commit(repository, {"a": b"2"})
    assert with_tap(Rehearsal(), tmp_path).job.sha == base
    tree = repository[pygit2.Oid(hex=base)].peel(pygit2.Commit).tree_id
    head = repository.create_commit(None, SIGNATURE, SIGNATURE, "head", tree, [])
    merge = repository.create_commit(None, SIGNATURE, SIGNATURE, "merge", tree, [pygit2.Oid(hex=base), head])
    repository.set_head(merge)
    repository.free()

    plain = with_tap(Rehearsal(), tmp_path)
    assert (plain.job.sha, plain.head_sha) == (str(merge), None)
    asked = with_tap(with_options(Rehearsal(), event="pull_request"), tmp_path)
    assert (asked.job.sha, asked.base_sha, asked.head_sha) == (str(merge), base, str(head))


def test_a_tap_is_a_repository_with_a_commit(tmp_path: Path) -> None:
    for folder in (tmp_path / "nothing", tmp_path):
        with pytest.raises(InputError, match="no commit can be read"):
            with_tap(Rehearsal(), folder)
    make_repository(tmp_path / "empty").free()
    with pytest.raises(InputError, match="no commit can be read"):
        with_tap(Rehearsal(), tmp_path / "empty")
