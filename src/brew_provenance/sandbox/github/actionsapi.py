"""The Actions API's answers about runs and jobs, to whoever may read them."""

from __future__ import annotations

from datetime import UTC, datetime

from brew_provenance.sandbox.github.attestations import Repository, Visibility
from brew_provenance.sandbox.github.backend import Backend, Caller, find_repository
from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply, reply_json
from brew_provenance.sandbox.github.runs import RUN_COMPLETED, WorkflowJob, WorkflowRun
from brew_provenance.sandbox.wire import JsonObject, encode_time

_DEFAULT_PER_PAGE, _MAX_PER_PAGE = 30, 100
_SERVER = "https://github.com"
_MAX_DIGITS = 19


def show_run(backend: Backend, call: Call, caller: Caller) -> Reply:
    """Answer with a run, as its last attempt or the one in the path left it."""
    repository, run = _find_run(backend, call, caller)
    return reply_json(200, _describe_run(backend, call.origin, repository, run))


def list_jobs(backend: Backend, call: Call, caller: Caller) -> Reply:
    """Answer with a page of the jobs of a run: of one attempt, or with `filter=all` of all."""
    repository, run = _find_run(backend, call, caller)
    every = "attempt" not in call.parameters and call.query.get("filter") == "all"
    jobs = backend.runs.jobs(run.id, None if every else run.run_attempt)
    size = min(_read_number(call.query.get("per_page"), _DEFAULT_PER_PAGE), _MAX_PER_PAGE)
    number = _read_number(call.query.get("page"), 1)
    page = jobs[(number - 1) * size : number * size]
    reply = reply_json(
        200,
        {
            "total_count": len(jobs),
            "jobs": [_describe_job(backend, call.origin, repository, job) for job in page],
        },
    )
    if number * size >= len(jobs):
        return reply
    link = f'<{call.origin}{call.path}?per_page={size}&page={number + 1}>; rel="next"'
    return Reply(reply.status, reply.body, {**reply.headers, "link": link})


def show_job(backend: Backend, call: Call, caller: Caller) -> Reply:
    """Answer with one job."""
    repository = _find_readable(backend, call, caller)
    job = backend.runs.job(_read_id(call.parameters["job"]))
    run = backend.runs.find(job.run_id, job.run_attempt) if job else None
    if job is None or run is None or not _is_of(run, repository):
        raise RefusedError(404, "Not Found")
    return reply_json(200, _describe_job(backend, call.origin, repository, job))


_RUN = "/repos/{owner}/{repository}/actions/runs/{run}"

ACTIONS_ROUTES = (
    ("GET", _RUN, show_run),
    ("GET", f"{_RUN}/attempts/{{attempt}}", show_run),
    ("GET", f"{_RUN}/attempts/{{attempt}}/jobs", list_jobs),
    ("GET", f"{_RUN}/jobs", list_jobs),
    ("GET", "/repos/{owner}/{repository}/actions/jobs/{job}", show_job),
)
"""Method, path and endpoint."""


def _find_readable(backend: Backend, call: Call, caller: Caller) -> Repository:
    repository = find_repository(backend, call, caller)
    if repository.visibility is Visibility.PRIVATE and not caller.grant.may_read_actions(
        repository.full_name
    ):
        raise RefusedError(403, "Resource not accessible by integration")
    return repository


def _find_run(backend: Backend, call: Call, caller: Caller) -> tuple[Repository, WorkflowRun]:
    repository = _find_readable(backend, call, caller)
    attempt = _read_id(call.parameters["attempt"]) if "attempt" in call.parameters else None
    run = backend.runs.find(_read_id(call.parameters["run"]), attempt)
    if run is None or not _is_of(run, repository):
        raise RefusedError(404, "Not Found")
    return repository, run


def _is_of(run: WorkflowRun, repository: Repository) -> bool:
    return run.repository.lower() == repository.full_name.lower()


def _read_id(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        raise RefusedError(404, "Not Found")
    return int(text)


def _read_number(text: str | None, default: int) -> int:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        return default
    return int(text) or default


def _describe_run(backend: Backend, origin: str, repository: Repository, run: WorkflowRun) -> JsonObject:
    url = f"{origin}/repos/{repository.full_name}/actions/runs/{run.id}"
    page = f"{_SERVER}/{repository.full_name}/actions/runs/{run.id}"
    head = backend.store.repository(run.head_repository or run.repository)
    ended = [job.completed_at for job in backend.runs.jobs(run.id, run.run_attempt) if job.completed_at]
    updated = max(ended, default=_now(backend)) if run.status == RUN_COMPLETED else _now(backend)
    return {
        "id": run.id,
        "name": run.name,
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "path": run.path,
        "run_number": run.run_number,
        "run_attempt": run.run_attempt,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "url": url,
        "html_url": page,
        "jobs_url": f"{url}/jobs",
        "previous_attempt_url": f"{url}/attempts/{run.run_attempt - 1}" if run.run_attempt > 1 else None,
        "pull_requests": [],
        "created_at": encode_time(run.started_at),
        "updated_at": encode_time(updated),
        "run_started_at": encode_time(run.started_at),
        "actor": {"login": run.actor},
        "triggering_actor": {"login": run.actor},
        "referenced_workflows": [
            {"path": path, "sha": commit, **({"ref": ref} if ref else {})}
            for path, commit, ref in run.referenced_workflows
        ],
        "repository": describe_repository(repository),
        # GitHub answers null for a fork that is gone.
        "head_repository": describe_repository(head) if head else None,
    }


def _describe_job(backend: Backend, origin: str, repository: Repository, job: WorkflowJob) -> JsonObject:
    ended = job.completed_at or (_now(backend) if job.conclusion else None)
    run = f"/repos/{repository.full_name}/actions/runs/{job.run_id}"
    return {
        "id": job.id,
        "run_id": job.run_id,
        "run_url": f"{origin}{run}",
        "run_attempt": job.run_attempt,
        "head_sha": job.head_sha,
        "url": f"{origin}/repos/{repository.full_name}/actions/jobs/{job.id}",
        "html_url": f"{_SERVER}/{repository.full_name}/actions/runs/{job.run_id}/job/{job.id}",
        "status": job.status,
        "conclusion": job.conclusion,
        "created_at": encode_time(job.started_at),
        "started_at": encode_time(job.started_at),
        "completed_at": encode_time(ended) if ended else None,
        "name": job.name,
        "steps": [],
        "labels": list(job.labels),
        "runner_id": job.runner_id,
        "runner_name": job.runner_name,
        "runner_group_id": 0,
        "runner_group_name": job.runner_group_name,
        "workflow_name": job.workflow_name,
    }


def describe_repository(repository: Repository) -> JsonObject:
    """Return a repository as the API describes it, in its own place and inside of others."""
    private = repository.visibility is Visibility.PRIVATE
    return {
        "id": repository.id,
        "name": repository.full_name.partition("/")[2],
        "full_name": repository.full_name,
        "private": private,
        "visibility": "private" if private else "public",
        "owner": {"id": repository.owner_id, "login": repository.owner},
        "html_url": f"{_SERVER}/{repository.full_name}",
    }


def _now(backend: Backend) -> datetime:
    return datetime.fromtimestamp(backend.clock(), UTC)
