"""GitHub's Actions API: the runs and jobs that a build record speaks of, as GitHub saw them.

The build job cannot change what the API says of it, which is why `attest` asks. Sources:
https://docs.github.com/en/rest/actions/workflow-runs and /rest/actions/workflow-jobs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
)

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
_REPOSITORY = re.compile(r"[A-Za-z0-9_-]+/(?!\.{1,2}\Z)[A-Za-z0-9._-]+", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,19}", re.ASCII)
_AGAIN = "run `attest` again; what is done is not done twice"
_MAY_READ = "give the job `permissions: actions: read`"
_Id = Annotated[StrictInt, Field(ge=1, lt=10**20)]
_Text = Annotated[str, StringConstraints(strict=True, max_length=4096)]


@dataclass(frozen=True)
class Repository:
    """A repository."""

    full_name: str
    """`OWNER/REPO`, in the case that GitHub writes it in."""

    id: str
    """GitHub's number of it, which is never given away again."""

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
    """Its page."""

    started_at: datetime | None


@dataclass(frozen=True)
class WorkflowJob:
    """One job of an attempt."""

    id: str
    run_id: str
    run_attempt: str
    name: str
    """Its name in front of people, which is not its key in the workflow's file."""

    head_sha: str
    status: str
    """`completed`, `in_progress`, `queued` and so on."""

    conclusion: str | None
    runner_name: str | None
    """None where no runner has taken it."""

    labels: tuple[str, ...]
    """What it asked for in `runs-on`."""

    started_at: datetime | None
    finished_at: datetime | None
    url: str
    """Its page; empty where it has none."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _Owner(_Model):
    id: _Id


class _Repository(_Model):
    id: _Id
    full_name: _Text
    private: StrictBool
    owner: _Owner


class _Run(_Model):
    id: _Id
    run_attempt: _Id
    repository: _Repository
    head_sha: _Text
    head_branch: _Text | None = None
    event: _Text
    path: _Text
    status: _Text
    conclusion: _Text | None = None
    html_url: _Text
    run_started_at: AwareDatetime | None = None


class _Job(_Model):
    id: _Id
    run_id: _Id
    run_attempt: _Id
    name: _Text
    head_sha: _Text
    status: _Text
    conclusion: _Text | None = None
    runner_name: _Text | None = None
    labels: Annotated[tuple[_Text, ...], Field(max_length=100)] = ()
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    html_url: _Text | None = None


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
        what = f"the repository {name}"
        next_step = "look at its name, and give a token that may see it"
        return self._own(name, self._get(_path(name), _Repository, what, next_step), what)

    def run(self, repository: str, run_id: str, attempt: str) -> WorkflowRun:
        """Return an attempt of a run of `OWNER/REPO`.

        Raises BuildSideError when it cannot be seen, and when the answer is about another one.
        """
        what = f"run {run_id} of {repository}, attempt {attempt}"
        found = self._get(_path(repository, run_id, attempt), _Run, what, _MAY_READ)
        if (str(found.id), str(found.run_attempt)) != (run_id, attempt):
            raise _unexpected(what, f"it is about run {found.id}, attempt {found.run_attempt}")
        return WorkflowRun(
            run_id,
            attempt,
            self._own(repository, found.repository, what),
            found.head_sha,
            found.head_branch,
            found.event,
            # Some answers name the ref as well; no workflow's file has an at sign in its name.
            found.path.partition("@")[0],
            found.status,
            found.conclusion,
            found.html_url,
            found.run_started_at,
        )

    def jobs(self, repository: str, run_id: str, attempt: str) -> tuple[WorkflowJob, ...]:
        """Return the jobs that an attempt of a run of `OWNER/REPO` has run itself.

        When only some are run again, those of an earlier attempt are listed with the later one as well:
        they are left out.

        Raises BuildSideError when they cannot be seen, and for an incomplete list or one beyond MAX_JOBS.
        """
        what = f"the jobs of run {run_id} of {repository}, attempt {attempt}"
        path = f"{_path(repository, run_id, attempt)}/jobs?per_page={_PER_PAGE}"
        found: dict[int, _Job] = {}
        for page in range(1, MAX_JOBS // _PER_PAGE + 1):
            answer = self._get(f"{path}&page={page}", _Jobs, what, _MAY_READ)
            if answer.total_count > MAX_JOBS:
                raise _unexpected(what, f"it lists more than {MAX_JOBS:,}")
            found |= {job.id: job for job in answer.jobs}
            if not answer.jobs or len(found) >= answer.total_count:
                break
        if len(found) < answer.total_count:
            raise _unexpected(what, f"it lists {len(found)} of {answer.total_count}")
        if any(str(job.run_id) != run_id or job.run_attempt > int(attempt) for job in found.values()):
            raise _unexpected(what, "a job of another run is among them")
        return tuple(_job(job) for job in found.values() if job.run_attempt == int(attempt))

    @staticmethod
    def _own(name: str, found: _Repository, what: str) -> Repository:
        """Return a repository, if it is the one that was asked for: one that moved has another name."""
        if found.full_name.lower() != name.lower():
            raise _unexpected(what, f"it is about the repository {found.full_name[:100]!r}")
        return Repository(found.full_name, str(found.id), str(found.owner.id), found.private)

    def _get(self, path: str, model: type[_Document], what: str, next_step: str) -> _Document:
        """Return what the API answers. `next_step` is for an answer that hides it, or says no."""
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
                raise BuildSideError(what, f"{host} refuses the token", "give the job's own, GITHUB_TOKEN")
            case 403 | 404:
                cause = f"{host} answers {reply.status}: it does not exist, or may not be seen"
                raise BuildSideError(what, cause, next_step)
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


def _path(repository: str, run_id: str | None = None, attempt: str | None = None) -> str:
    """Return the path of a repository, or of an attempt of a run; nothing else fits into it.

    Raises BuildSideError for what is no name or no number.
    """
    if _REPOSITORY.fullmatch(repository) is None:
        raise BuildSideError(repr(repository[:200]), "not a repository", "name it as OWNER/REPO")
    path = f"/repos/{repository}"
    if run_id is None or attempt is None:
        return path
    for number in (run_id, attempt):
        if _NUMBER.fullmatch(number) is None:
            raise BuildSideError(repr(number[:200]), "not the number of a run", _AGAIN)
    return f"{path}/actions/runs/{run_id}/attempts/{attempt}"
