"""The ways in which taps' workflows go from building to publishing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pygit2
import pytest
from tests.integration.attest.conftest import Attest
from tests.integration.attest.releases import (
    FIXTURE_COMMIT,
    FIXTURES,
    HELLO2,
    REPOSITORY,
    Ground,
    Release,
    findings,
    json_name,
    payload,
    record_of,
    tool,
)
from tests.integration.conftest import Run
from tests.unit.repositories import SIGNATURE

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.services.runner import Rehearsal

LINUX = HELLO2[1]
RUN = "5550001"


@pytest.fixture
def pull_request(ground: Ground, tmp_path: Path) -> Rehearsal:
    """The job of a pull request: its commit merges the request's head, and lands on no branch."""
    clone = pygit2.clone_repository(str(ground.tap), str(tmp_path / "clone"))
    tree, base = clone.head.peel(pygit2.Commit).tree_id, clone.head.target
    head = clone.create_commit(None, SIGNATURE, SIGNATURE, "Bottle", tree, [base])
    merge = clone.create_commit(None, SIGNATURE, SIGNATURE, "Merge", tree, [base, head])
    clone.set_head(merge)
    clone.remotes.set_url("origin", f"https://github.com/{REPOSITORY}")
    clone.free()
    job = ActionsJob(
        event_name="pull_request",
        sha=str(merge),
        ref="refs/pull/1/merge",
        workflow_path=".github/workflows/tests.yml",
        workflow_name="Tests",
        run_id=RUN,
    )
    return Rehearsal(job, head_sha=str(head), base_sha=str(base))


def build(release: Release, rehearsal: Rehearsal, started: datetime, folder: Path) -> None:
    """Record the bottle in the job, hand it on, and let GitHub know of the run, which is over."""
    runner = folder / "runner"
    runner.mkdir()
    (runner / "event.json").write_text(json.dumps(rehearsal.event()), encoding="utf-8")
    environment = {**release.environment, **rehearsal.environment(runner, "http://127.0.0.1:9", "none")}
    release.folder.mkdir()
    shutil.copyfile(FIXTURES / "bottles" / LINUX, release.folder / LINUX)
    described = (FIXTURES / "bottle-json" / json_name(LINUX)).read_text(encoding="utf-8")
    (release.folder / json_name(LINUX)).write_text(
        described.replace(FIXTURE_COMMIT, rehearsal.job.sha), encoding="utf-8"
    )
    jobs = rehearsal.jobs(started)[:1]
    arguments = ["record", release.folder, "--tap-dir", folder / "clone", "--job-id", jobs[0].id]
    done = tool(arguments, environment)
    assert done.returncode == 0, done.stderr
    run = replace(rehearsal.run(started), status="completed", conclusion="success")
    release.world.github.runs.put(run, jobs)


def signed(release: Release) -> Any:
    return payload(json.loads((release.bundles / f"{LINUX}.sigstore.json").read_bytes()))["predicate"]


def test_a_pull_requests_run_builds_and_another_workflows_run_publishes(
    run: Run, attest: Attest, release: Release, pull_request: Rehearsal, started: datetime, tmp_path: Path
) -> None:
    build(release, pull_request, started, tmp_path)
    attest()
    predicate = signed(release)
    assert predicate["runDetails"]["metadata"]["invocationId"] == (
        f"https://github.com/{REPOSITORY}/actions/runs/{RUN}/attempts/1"
    )
    assert predicate["runDetails"]["builder"]["id"] == (
        f"https://github.com/{REPOSITORY}/.github/workflows/tests.yml@refs/pull/1/merge"
    )
    sources = predicate["buildDefinition"]["resolvedDependencies"]
    assert pull_request.job.sha in {each.get("digest", {}).get("gitCommit") for each in sources}
    # The other bottle of the formula is not of this release.
    other, own = sorted(findings(run, release, "hello@2", code=4), key=lambda found: found[0])
    assert other == ("unattested", set())
    assert own[0] == "verified"
    assert "builder-bound" in own[1]


def test_a_merge_commit_that_does_not_merge_the_requests_head_is_refused(
    attest: Attest, release: Release, pull_request: Rehearsal, started: datetime, tmp_path: Path
) -> None:
    build(release, pull_request, started, tmp_path)
    release.edit(LINUX, lambda record: record["tap"].update(parents=["4" * 40, "5" * 40]))
    assert "record-commit-mismatch" in attest(code=6).err
    assert not release.stored()


def test_a_run_of_a_pull_request_is_no_proof_of_a_branchs_ref(
    attest: Attest, release: Release, pull_request: Rehearsal, started: datetime, tmp_path: Path
) -> None:
    build(release, pull_request, started, tmp_path)
    release.edit(LINUX, lambda record: record["run"].update(ref="refs/heads/main"))
    assert "record-" in attest(code=6).err
    assert not release.stored()


def test_the_publishing_job_can_be_run_again_alone(
    run: Run, attest: Attest, release: Release, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second attempt has jobs of its own; what was built stays the work of the first."""
    release.take(*HELLO2)
    world = release.world
    rehearsal, job = world.rehearsal, world.rehearsal.job
    built, published = rehearsal.jobs(started)
    failed = replace(published, status="completed", conclusion="failure")
    first = replace(rehearsal.run(started), status="completed", conclusion="failure")
    world.github.runs.put(first, [built, failed])
    again = replace(rehearsal, job=replace(job, run_attempt="2"))
    world.github.runs.put(again.run(started), again.jobs(started)[1:])
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    monkeypatch.setattr(world.issuer, "job", again.job)
    document = json.loads(attest("--format", "json").out)
    assert {each["run"].rpartition("/runs/")[2] for each in document["attestations"]} == {
        f"{job.run_id}/attempts/1"
    }
    for outcome, codes in findings(run, release, "hello@2"):
        assert outcome == "verified"
        assert {"formula-bound", "builder-bound"} <= codes


def test_bottles_of_a_job_that_is_still_under_way_in_another_run_are_refused(
    attest: Attest, release: Release, started: datetime, pull_request: Rehearsal, tmp_path: Path
) -> None:
    build(release, pull_request, started, tmp_path)
    [job] = pull_request.jobs(started)[:1]
    under_way = replace(job, status="in_progress", conclusion=None)
    release.world.github.runs.put(pull_request.run(started), [under_way])
    assert "record-job-unfit" in attest(code=6).err
    assert (release.folder / record_of(LINUX)).exists()
    assert not release.stored()
