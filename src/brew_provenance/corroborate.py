"""A build record held against the bottle and against GitHub's own word about the job. Values only.

The build's scripts ran where the record was written and can have put anything into it. What the Actions
API says, and the bytes of the bottle, they cannot change. What neither speaks of, such as the image of
the runner, is believed, and `UNCORROBORATED` says which that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from brew_provenance.actionsapi import WorkflowJob, WorkflowRun
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.buildrecord import BuildRecord
from brew_provenance.certificate import ClaimError, WorkflowIdentity
from brew_provenance.findings import Finding

CLOCKS: Final = timedelta(minutes=5)
"""How far the runner's clock may be from the Actions API's."""

UNCORROBORATED: Final = frozenset(
    {
        "tool",
        "brew.version",
        "brew.commit",
        "runner.os",
        "runner.arch",
        "runner.image_os",
        "runner.image_version",
        "run.job",
        "tap.branch",
        "tap.shallow",
    }
)
"""Fields of a record that nothing else speaks of before it is signed; `check` compares some of them later."""

_SELF_HOSTED = "self-hosted"
_SUCCESS = "success"
_UNDER_WAY = "in_progress"
# A run in which something else failed can have built this bottle all the same; a cancelled one ended early.
_ENDED_WELL_ENOUGH: Final = frozenset({None, _SUCCESS, "failure", "neutral", "skipped"})


@dataclass(frozen=True)
class BuildJob:
    """The job that built a bottle, as GitHub describes it."""

    run: WorkflowRun
    job: WorkflowJob


def check_record(
    record: BuildRecord, file_name: BottleFileName, digest: Digest, *, tap: str, json_bytes_sha256: str | None
) -> list[Finding]:
    """Return what keeps a record from being this bottle's; nothing is good.

    `digest` is of the bytes at hand, and `json_bytes_sha256` of the `*.bottle.json` beside them, where
    there is one still: `brew bottle --merge` takes it away.
    """
    bottle = record.bottle
    found = []
    if bottle.sha256 != digest.value:
        found.append(
            Finding("record-digest-mismatch", f"{bottle.sha256} recorded, {file_name} has {digest.value}")
        )
    recorded = (bottle.formula, bottle.version, bottle.tag, bottle.rebuild, bottle.file)
    actual = (file_name.formula, file_name.version, file_name.tag, file_name.rebuild, str(file_name))
    if recorded != actual:
        found.append(Finding("record-other-bottle", f"{bottle.file} recorded, beside {file_name}"))
    if json_bytes_sha256 is not None and bottle.json_sha256 != json_bytes_sha256:
        found.append(Finding("record-json-mismatch", f"{bottle.json_file} is not the one that was recorded"))
    if bottle.json_file != f"{file_name.formula}--{file_name.version}.{file_name.tag}.bottle.json":
        found.append(Finding("record-other-bottle", f"{bottle.json_file} recorded for {file_name}"))
    if record.tap.name != tap:
        found.append(Finding("record-other-tap", f"{record.tap.name} recorded, {tap} is attested"))
    return found


def corroborate(
    record: BuildRecord, run: WorkflowRun, jobs: Sequence[WorkflowJob], *, publishing_run: str | None = None
) -> BuildJob | list[Finding]:
    """Return the job that a record is of, or what contradicts it.

    `publishing_run` is the run that attests: a job of that very run may still be under way.
    """
    findings = [*_check_repository(record, run), *_check_run(record, run), *_check_commit(record)]
    if findings:
        return findings
    job = _find_job(record, jobs)
    if isinstance(job, Finding):
        return [job]
    if findings := list(_check_job(record, run, job, publishing_run)):
        return findings
    return BuildJob(run, job)


def _check_repository(record: BuildRecord, run: WorkflowRun) -> Iterator[Finding]:
    recorded, repository = record.run, run.repository
    if recorded.repository.lower() != repository.full_name.lower():
        yield Finding("record-other-repository", f"{recorded.repository} recorded, {repository.full_name}")
    for what, said, known in (
        ("repository", recorded.repository_id, repository.id),
        ("owner", recorded.owner_id, repository.owner_id),
    ):
        if said != known:
            yield Finding("record-repository-id-mismatch", f"{what} {said} recorded, it is {known}")
    remote = f"{recorded.server}/{recorded.repository}"
    if record.tap.remote.lower() != remote.lower():
        yield Finding("record-other-remote", f"the tap is {record.tap.remote}, the run is of {remote}")


def _check_run(record: BuildRecord, run: WorkflowRun) -> Iterator[Finding]:
    recorded = record.run
    if (recorded.run_id, recorded.run_attempt) != (run.id, run.attempt):
        yield Finding(
            "record-other-run",
            f"run {recorded.run_id}, attempt {recorded.run_attempt} recorded; it is {run.id}, {run.attempt}",
        )
    try:
        workflow = WorkflowIdentity.parse(f"{recorded.server}/{recorded.workflow_ref}")
    except ClaimError as error:
        yield Finding("record-workflow-mismatch", str(error))
        return
    named = (f"{workflow.owner}/{workflow.repository}".lower(), workflow.path)
    if named != (run.repository.full_name.lower(), run.path):
        yield Finding("record-workflow-mismatch", f"{recorded.workflow_ref} recorded, it is {run.path}")
    if recorded.event_name != run.event:
        yield Finding("record-event-mismatch", f"{recorded.event_name} recorded, it is {run.event}")
    if recorded.head_sha != run.head_sha:
        yield Finding("record-head-mismatch", f"{recorded.head_sha} recorded, it is {run.head_sha}")
    if run.conclusion not in _ENDED_WELL_ENOUGH:
        yield Finding("record-run-unfit", f"run {run.id} ended as {run.conclusion}")
    branch = recorded.ref.removeprefix("refs/heads/")
    if not _is_ref_of(recorded.event_name, recorded.ref):
        yield Finding("record-ref-mismatch", f"{recorded.ref} is no ref of a {recorded.event_name} run")
    elif branch not in {recorded.ref, run.head_branch or branch}:
        yield Finding("record-ref-mismatch", f"{recorded.ref} recorded, it is {run.head_branch}")


def _is_ref_of(event: str, ref: str) -> bool:
    if event == "pull_request":
        return ref.startswith("refs/pull/") and ref.endswith("/merge")
    return ref.startswith(("refs/heads/", "refs/tags/")) or event == "merge_group"


def _check_commit(record: BuildRecord) -> Iterator[Finding]:
    """Hold the tap's commit against the run's: the very commit, or for a pull request its merge."""
    run, tap = record.run, record.tap
    if run.event_name == "pull_request":
        # The merge commit is GitHub's, and lands nowhere; its second parent is what the run is for.
        if tap.commit != run.head_sha and run.head_sha not in tap.parents:
            yield Finding("record-commit-mismatch", f"{tap.commit} does not merge {run.head_sha}")
        return
    if run.sha != run.head_sha:
        yield Finding("record-commit-mismatch", f"{run.sha} recorded, the run is for {run.head_sha}")
    # A dispatched run builds what is checked out, which may be a commit that it made on top.
    if tap.commit != run.sha and run.sha not in tap.parents:
        yield Finding("record-commit-mismatch", f"{tap.commit} neither is {run.sha} nor comes right after it")


def _find_job(record: BuildRecord, jobs: Sequence[WorkflowJob]) -> WorkflowJob | Finding:
    recorded = record.run
    if recorded.job_id is not None:
        named = next((job for job in jobs if job.id == recorded.job_id), None)
        if named is None:
            return Finding("record-job-unknown", f"the run has no job {recorded.job_id}")
        return named
    found = [job for job in jobs if job.runner_name == record.runner.name and _was_running(record, job)]
    if len(found) == 1:
        return found[0]
    said = f"{len(found)} jobs ran on {record.runner.name!r} at {record.recorded_at.isoformat()}"
    return Finding("record-job-ambiguous" if found else "record-job-unknown", said)


def _was_running(record: BuildRecord, job: WorkflowJob) -> bool:
    ended = job.finished_at is None or record.recorded_at <= job.finished_at + CLOCKS
    return job.started_at - CLOCKS <= record.recorded_at and ended


def _check_job(
    record: BuildRecord, run: WorkflowRun, job: WorkflowJob, publishing_run: str | None
) -> Iterator[Finding]:
    if job.runner_name != record.runner.name:
        yield Finding(
            "record-runner-mismatch", f"runner {record.runner.name!r} recorded, it is {job.runner_name!r}"
        )
    is_self_hosted = _SELF_HOSTED in job.labels
    if is_self_hosted and record.runner.environment != _SELF_HOSTED:
        yield Finding(
            "record-environment-mismatch", f"{record.runner.environment} recorded, labelled {_SELF_HOSTED}"
        )
    if not _was_running(record, job):
        yield Finding(
            "record-time-mismatch", f"recorded at {record.recorded_at.isoformat()}, not in job {job.id}"
        )
    if job.head_sha != run.head_sha:
        yield Finding("record-head-mismatch", f"job {job.id} is for {job.head_sha}, not {run.head_sha}")
    under_way = job.status == _UNDER_WAY and job.conclusion is None and run.id == publishing_run
    if job.conclusion != _SUCCESS and not under_way:
        yield Finding("record-job-unfit", f"job {job.id} {job.conclusion or job.status}")
