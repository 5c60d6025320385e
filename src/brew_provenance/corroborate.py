"""A build record held against the bottle and against GitHub's own word about the job. Values only.

The build's scripts ran where the record was written and can have put anything into it. The bytes of the
bottle, and what the Actions API says, they cannot change. What neither speaks of is believed, and
`UNCORROBORATED` says which that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from brew_provenance.actionsapi import WorkflowJob, WorkflowRun
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.buildrecord import BuildRecord
from brew_provenance.buildtypes.bottle.v1.rules import SELF_HOSTED_LABEL
from brew_provenance.certificate import ClaimError, WorkflowIdentity
from brew_provenance.findings import Finding

CLOCKS: Final = timedelta(minutes=5)
"""How far the runner's clock may be from the Actions API's."""

UNCORROBORATED: Final = frozenset(
    {
        *("tool", "brew.version", "brew.commit", "run.job", "run.sha"),
        *("tap.commit", "tap.parents", "tap.branch", "tap.shallow"),
        *("formula.path", "formula.blob", "formula.sha256"),
        *("formula.source.url", "formula.source.sha256", "formula.source.commit"),
        *("runner.os", "runner.arch", "runner.image_os", "runner.image_version"),
    }
)
"""Fields of a pull request's record in which a lie is not found out before it is signed.

The API knows no job's key, nor the merge commit that was checked out for a pull request: that this one
merges the run's head, and the pull request's number, are the build job's word. So is whose runner it was,
where the job's labels do not tell. `check` holds the formula's fields against the tap, and the system
against the bottle's tag.
"""

_PULL_REQUEST = "pull_request"
_SUCCESS = "success"
_UNDER_WAY = "in_progress"


@dataclass(frozen=True)
class BuildJob:
    """The job that built a bottle, as GitHub describes it."""

    run: WorkflowRun
    job: WorkflowJob


def check_record(  # noqa: PLR0913 - what is at hand of the bottle
    record: BuildRecord,
    file_name: BottleFileName,
    digest: Digest,
    *,
    tap: str,
    json_bytes_sha256: str | None,
    packed_formula_sha256: str | None = None,
) -> list[Finding]:
    """Return what keeps a record from being this bottle's; nothing is good.

    `digest` is of the bytes at hand, and `packed_formula_sha256` of the formula in them.
    `json_bytes_sha256` is of the `*.bottle.json` beside them, where there is one still: `brew bottle
    --merge` takes it away.
    """
    bottle, formula = record.bottle, record.formula
    found = []
    if bottle.sha256 != digest.value:
        found.append(
            Finding("record-digest-mismatch", f"{bottle.sha256} recorded, {file_name} has {digest.value}")
        )
    recorded = (bottle.formula, bottle.version, bottle.tag, bottle.rebuild, bottle.file)
    actual = (file_name.formula, file_name.version, file_name.tag, file_name.rebuild, str(file_name))
    if recorded != actual:
        found.append(Finding("record-other-bottle", f"{_named(recorded)} recorded, beside {_named(actual)}"))
    # brew leaves the rebuild out of it (`Bottle::Filename#json`).
    json_file = f"{file_name.formula}--{file_name.version}.{file_name.tag}.bottle.json"
    if bottle.json_file != json_file:
        found.append(Finding("record-json-mismatch", f"{bottle.json_file!r} recorded, it is {json_file}"))
    elif json_bytes_sha256 not in {None, bottle.json_sha256}:
        found.append(
            Finding("record-json-mismatch", f"{bottle.json_sha256} recorded, {json_file} is another")
        )
    if packed_formula_sha256 not in {None, formula.sha256_without_bottle_block}:
        detail = f"{formula.sha256_without_bottle_block} recorded, in the bottle is {packed_formula_sha256}"
        found.append(Finding("record-formula-mismatch", detail))
    if record.tap.name != tap:
        found.append(Finding("record-other-tap", f"{record.tap.name!r} recorded, {tap} is attested"))
    return found


def corroborate(
    record: BuildRecord, run: WorkflowRun, jobs: Sequence[WorkflowJob], *, publishing_run: str | None = None
) -> BuildJob | list[Finding]:
    """Return the job that a record is of, or everything that contradicts it.

    `run` is what the API has under the record's numbers in the tap's own repository, and `jobs` are all of
    that attempt: a record that names another repository is found out by that. `publishing_run` is the
    run that attests: a job of that very run may be under way still.

    Whether the job succeeded decides. What became of the rest of its run does not: a bottle is as good
    when another one could not be built, or when the run was cancelled after it.
    """
    findings = [*_check_repository(record, run), *_check_run(record, run), *_check_commit(record)]
    if findings:
        return findings
    job = _find_job(record, jobs)
    if isinstance(job, Finding):
        return [job]
    return list(_check_job(record, run, job, publishing_run)) or BuildJob(run, job)


def _check_repository(record: BuildRecord, run: WorkflowRun) -> Iterator[Finding]:
    recorded, repository = record.run, run.repository
    if recorded.repository.lower() != repository.full_name.lower():
        yield _differs("record-other-repository", recorded.repository, repository.full_name)
    if recorded.repository_id != repository.id:
        yield _differs("record-repository-id-mismatch", recorded.repository_id, repository.id)
    if recorded.owner_id != repository.owner_id:
        yield _differs("record-owner-id-mismatch", recorded.owner_id, repository.owner_id)
    remote = f"{recorded.server}/{repository.full_name}"
    if record.tap.remote.lower() != remote.lower():
        yield _differs("record-other-remote", record.tap.remote, remote)


def _check_run(record: BuildRecord, run: WorkflowRun) -> Iterator[Finding]:
    recorded = record.run
    number = (recorded.run_id, recorded.run_attempt)
    if number != (run.id, run.attempt):
        yield _differs("record-other-run", "/".join(number), f"{run.id}/{run.attempt}")
    if recorded.event_name != run.event:
        yield _differs("record-event-mismatch", recorded.event_name, run.event)
    if recorded.head_sha != run.head_sha:
        yield _differs("record-head-mismatch", recorded.head_sha, run.head_sha)
    if not _is_ref_of(recorded.ref, run):
        yield Finding(
            "record-ref-mismatch", f"{recorded.ref!r} for {run.event!r} at branch {run.head_branch!r}"
        )
    try:
        workflow = WorkflowIdentity.parse(f"{recorded.server}/{recorded.workflow_ref}")
    except ClaimError as error:
        yield Finding("record-workflow-mismatch", str(error))
        return
    # A run is of the workflow as it is at its own ref: GITHUB_WORKFLOW_REF ends in GITHUB_REF.
    named = (f"{workflow.owner}/{workflow.repository}".lower(), workflow.path, workflow.ref)
    if named != (run.repository.full_name.lower(), run.path, recorded.ref):
        yield _differs("record-workflow-mismatch", recorded.workflow_ref, f"{run.path}@{recorded.ref}")


def _is_ref_of(ref: str, run: WorkflowRun) -> bool:
    """Say whether the run can be for a ref. Which pull request's it is, the API does not always tell."""
    if run.event == _PULL_REQUEST:
        number = ref.removeprefix("refs/pull/").removesuffix("/merge")
        return ref == f"refs/pull/{number}/merge" and number.isascii() and number.isdigit()
    # GitHub calls a tag's name a branch here.
    branch = run.head_branch
    return branch is not None and ref in {f"refs/heads/{branch}", f"refs/tags/{branch}"}


def _check_commit(record: BuildRecord) -> Iterator[Finding]:
    """Hold the tap's commit against the run's: that very one, or the one that merges a pull request.

    What was checked out for a pull request is a merge commit of GitHub's, which the API does not name.
    In any other run it is the commit that the run is for, or one that the run made on top of it.
    """
    run, tap = record.run, record.tap
    if run.event_name != _PULL_REQUEST and run.sha != run.head_sha:
        yield Finding("record-commit-mismatch", f"{run.sha} was checked out, the run is for {run.head_sha}")
    if tap.commit != run.head_sha and run.head_sha not in tap.parents:
        yield Finding("record-commit-mismatch", f"{tap.commit} is not {run.head_sha}, nor made on top of it")


def _find_job(record: BuildRecord, jobs: Sequence[WorkflowJob]) -> WorkflowJob | Finding:
    recorded, runner = record.run, record.runner.name
    if recorded.job_id is not None:
        named = next((job for job in jobs if job.id == recorded.job_id), None)
        return named or Finding("record-job-unknown", f"the run has no job {recorded.job_id}")
    # One runner takes job after job; only clocks that disagree make two of them possible.
    for slack in (timedelta(0), CLOCKS):
        found = [job for job in jobs if job.runner_name == runner and _was_running(record, job, slack)]
        if found:
            break
    if len(found) == 1:
        return found[0]
    detail = f"{len(found)} jobs ran on {runner!r} at {record.recorded_at.isoformat()}"
    return Finding("record-job-ambiguous" if found else "record-job-unknown", detail)


def _was_running(record: BuildRecord, job: WorkflowJob, slack: timedelta) -> bool:
    # Differences, which all times have; there is nothing before the year 1 to move one to.
    if job.started_at is None or job.started_at - record.recorded_at > slack:
        return False
    return job.finished_at is None or record.recorded_at - job.finished_at <= slack


def _check_job(
    record: BuildRecord, run: WorkflowRun, job: WorkflowJob, publishing_run: str | None
) -> Iterator[Finding]:
    runner = record.runner
    if (job.run_id, job.run_attempt) != (run.id, run.attempt):
        yield _differs(
            "record-other-run", f"{run.id}/{run.attempt}", f"job {job.id} of {job.run_id}/{job.run_attempt}"
        )
    if job.head_sha != run.head_sha:
        yield _differs("record-head-mismatch", run.head_sha, f"{job.head_sha} in job {job.id}")
    if job.runner_name != runner.name:
        yield _differs("record-runner-mismatch", runner.name, job.runner_name)
    # GitHub's own runners do not answer to that label.
    is_self_hosted = SELF_HOSTED_LABEL in {label.lower() for label in job.labels}
    if is_self_hosted and runner.environment != SELF_HOSTED_LABEL:
        yield _differs("record-environment-mismatch", runner.environment, ", ".join(job.labels))
    if not _was_running(record, job, CLOCKS):
        yield Finding(
            "record-time-mismatch", f"recorded at {record.recorded_at.isoformat()}, not during job {job.id}"
        )
    may_go_on = run.id == publishing_run and job.status == _UNDER_WAY and job.conclusion is None
    if job.conclusion != _SUCCESS and not may_go_on:
        yield Finding("record-job-unfit", f"job {job.id}: {job.status!r}, conclusion {job.conclusion!r}")


def _named(bottle: tuple[object, ...]) -> str:
    *parts, file = bottle
    return f"{file!r} ({', '.join(map(str, parts))})"


def _differs(code: str, recorded: str, known: str | None) -> Finding:
    return Finding(code, f"{recorded!r} recorded, it is {known!r}")
