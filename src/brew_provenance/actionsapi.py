"""GitHub's Actions API: the runs and jobs that a build record speaks of, as GitHub saw them.

The build job cannot change what the API says of it, which is why `attest` asks. Sources:
https://docs.github.com/en/rest/actions/workflow-runs and /rest/actions/workflow-jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from brew_provenance import strictjson
from brew_provenance.errors import BuildSideError
from brew_provenance.statement import summarise
from brew_provenance.stores.githubapi import API_VERSION, DEFAULT_API, pause_asked
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.transport import Transport, TransportError

MAX_JOBS: Final = 10_000
"""Jobs of one attempt that are looked at; GitHub runs at most 256 a matrix."""

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""One answer; a hundred jobs with their steps take about a megabyte."""

_PER_PAGE = 100
_AGAIN = "run `attest` again; what is done is not done twice"


@dataclass(frozen=True)
class Repository:
    """A repository, by the names that GitHub gives away once only."""

    full_name: str
    id: str
    owner_id: str
    is_private: bool


@dataclass(frozen=True)
class WorkflowRun:
    """One attempt of a workflow run."""

    id: str
    attempt: str
    repository: Repository
    head_sha: str
    """The commit that it was started for; for a pull request the head of its branch."""

    head_branch: str | None
    event: str
    path: str
    """The workflow's file, `.github/workflows/tests.yml`, without a ref."""

    status: str
    conclusion: str | None
    """`success`, `failure`, `cancelled` and so on; None while it is under way."""

    url: str
    started_at: datetime


@dataclass(frozen=True)
class WorkflowJob:
    """One job of an attempt."""

    id: str
    run_id: str
    run_attempt: str
    name: str
    head_sha: str
    status: str
    conclusion: str | None
    runner_name: str | None
    labels: tuple[str, ...]
    started_at: datetime
    finished_at: datetime | None
    url: str


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _Owner(_Model):
    id: StrictInt


class _Repository(_Model):
    id: StrictInt
    full_name: StrictStr
    private: bool
    owner: _Owner

    def value(self) -> Repository:
        return Repository(self.full_name, str(self.id), str(self.owner.id), self.private)


class _Run(_Model):
    id: StrictInt
    run_attempt: StrictInt
    repository: _Repository
    head_sha: StrictStr
    head_branch: StrictStr | None = None
    event: StrictStr
    path: StrictStr
    status: StrictStr
    conclusion: StrictStr | None = None
    html_url: StrictStr
    run_started_at: AwareDatetime


class _Job(_Model):
    id: StrictInt
    run_id: StrictInt
    run_attempt: StrictInt
    name: StrictStr
    head_sha: StrictStr
    status: StrictStr
    conclusion: StrictStr | None = None
    runner_name: StrictStr | None = None
    labels: Annotated[tuple[StrictStr, ...], Field(max_length=100)] = ()
    started_at: AwareDatetime
    completed_at: AwareDatetime | None = None
    html_url: StrictStr | None = None


class _Jobs(_Model):
    total_count: StrictInt
    jobs: Annotated[tuple[_Job, ...], Field(max_length=_PER_PAGE)]


_Document = TypeVar("_Document", bound=BaseModel)


class ActionsAPI:
    """Reads runs and jobs. The token, where there is one, goes to the API's own host only."""

    def __init__(self, transport: Transport, *, url: str = DEFAULT_API, token: str | None = None) -> None:
        self._transport = transport
        self._url = url.rstrip("/")
        self._token = token

    def repository(self, name: str) -> Repository:
        """Return `OWNER/REPO`. Raises BuildSideError when it cannot be seen."""
        found = self._get(f"/repos/{_quoted(name)}", _Repository, name, "metadata: read").value()
        if found.full_name.lower() != name.lower():
            raise _unexpected(name, f"the API answers with {found.full_name[:100]!r}")
        return found

    def run(self, repository: str, run_id: str, attempt: str) -> WorkflowRun:
        """Return an attempt of a run. Raises BuildSideError when it cannot be seen, or is another one."""
        path = f"/repos/{_quoted(repository)}/actions/runs/{quote(run_id)}/attempts/{quote(attempt)}"
        what = f"run {run_id} of {repository}, attempt {attempt}"
        found = self._get(path, _Run, what, "actions: read")
        if (str(found.id), str(found.run_attempt)) != (run_id, attempt):
            raise _unexpected(what, f"the API answers with run {found.id}, attempt {found.run_attempt}")
        return WorkflowRun(
            str(found.id),
            str(found.run_attempt),
            found.repository.value(),
            found.head_sha,
            found.head_branch,
            found.event,
            found.path.partition("@")[0],
            found.status,
            found.conclusion,
            found.html_url,
            found.run_started_at,
        )

    def jobs(self, repository: str, run_id: str, attempt: str) -> tuple[WorkflowJob, ...]:
        """Return all jobs of an attempt. Raises BuildSideError, also for more than MAX_JOBS."""
        path = f"/repos/{_quoted(repository)}/actions/runs/{quote(run_id)}/attempts/{quote(attempt)}/jobs"
        what = f"the jobs of run {run_id} of {repository}, attempt {attempt}"
        found: list[_Job] = []
        for page in range(1, MAX_JOBS // _PER_PAGE + 1):
            answer = self._get(f"{path}?per_page={_PER_PAGE}&page={page}", _Jobs, what, "actions: read")
            found += answer.jobs
            if len(found) >= answer.total_count or not answer.jobs:
                break
        else:
            raise _unexpected(what, f"more than {MAX_JOBS:,}")
        if len(found) < answer.total_count:
            raise _unexpected(what, f"{len(found)} of {answer.total_count} are listed")
        if any((str(job.run_id), str(job.run_attempt)) != (run_id, attempt) for job in found):
            raise _unexpected(what, "a job of another run is among them")
        return tuple(map(_job, found))

    def _get(self, path: str, model: type[_Document], what: str, permission: str) -> _Document:
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": API_VERSION}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        host = urlsplit(self._url).netloc
        try:
            reply = self._transport.send(
                f"{self._url}{path}", limit=MAX_ANSWER_BYTES, headers=headers, pause=pause_asked
            )
        except TransportError as error:
            raise BuildSideError(what, f"no answer ({error.code}): {error.detail}", _AGAIN) from error
        match reply.status:
            case 200:
                pass
            case 401:
                raise BuildSideError(what, f"{host} refuses the token", "give a token that is valid")
            case 403 | 404:
                cause = f"{host} answers {reply.status}: it does not exist, or the token may not see it"
                raise BuildSideError(what, cause, f"give the job `permissions: {permission}`")
            case _:
                raise BuildSideError(what, f"{host} answers {reply.status}", _AGAIN)
        try:
            return model.model_validate(strictjson.loads(reply.body, MAX_ANSWER_BYTES))
        except MalformedJSONError as error:
            raise _unexpected(what, str(error)) from error
        except ValidationError as error:
            raise _unexpected(what, summarise(error)) from error


def _job(found: _Job) -> WorkflowJob:
    return WorkflowJob(
        str(found.id),
        str(found.run_id),
        str(found.run_attempt),
        found.name,
        found.head_sha,
        found.status,
        found.conclusion,
        found.runner_name,
        found.labels,
        found.started_at,
        found.completed_at,
        found.html_url or "",
    )


def _unexpected(what: str, why: str) -> BuildSideError:
    return BuildSideError(what, f"the API's answer is not what was asked for: {why}", _AGAIN)


def _quoted(name: str) -> str:
    return quote(name, safe="/")
