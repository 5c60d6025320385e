"""The job of GitHub Actions that this process runs in, as the runner tells it.

Sources: GitHub's documentation of the default environment variables, and of the events' payloads. Steps
that ran before can have changed most of it; the publishing job holds it against the Actions API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from brew_provenance import strictjson
from brew_provenance.buildrecord import RecordedRun, RecordedRunner
from brew_provenance.errors import BuildSideError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.statement import summarise
from brew_provenance.strictjson import MalformedJSONError

MAX_EVENT_BYTES: Final = 32 * 1024 * 1024
"""An event's payload; GitHub sends none beyond 25 MB."""

_SERVER = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?", re.ASCII)
_REPOSITORY = re.compile(r"[\w-]+/[\w.-]+", re.ASCII)
_WORKFLOW = re.compile(r"[\w-]+/[\w.-]+/\.github/workflows/[^/@]+@refs/.+")
_MAX_VALUE = 1024
_NEXT_STEP = "run it in the job that built the bottles, with the runner's own environment"


@dataclass(frozen=True)
class ActionsJob:
    """A job, while it runs."""

    run: RecordedRun
    runner: RecordedRunner


def read_job(environ: Mapping[str, str], job_id: str | None = None) -> ActionsJob:
    """Return the job of this environment. `job_id` is its number, which the environment does not have.

    Raises BuildSideError outside of Actions, and when the runner's word is missing or cannot be true.
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        raise BuildSideError(
            "record",
            "this is no job of GitHub Actions, and a record that names no run is worth nothing",
            "run it in the workflow's job that builds the bottles",
        )
    variables = _Variables(environ)
    event_name = variables.get("GITHUB_EVENT_NAME")
    sha = variables.get("GITHUB_SHA")
    try:
        run = RecordedRun(
            server=variables.matching("GITHUB_SERVER_URL", _SERVER),
            repository=variables.matching("GITHUB_REPOSITORY", _REPOSITORY),
            repository_id=variables.get("GITHUB_REPOSITORY_ID"),
            owner_id=variables.get("GITHUB_REPOSITORY_OWNER_ID"),
            workflow_ref=variables.matching("GITHUB_WORKFLOW_REF", _WORKFLOW),
            ref=variables.get("GITHUB_REF"),
            sha=sha,
            head_sha=_head_sha(variables, event_name, sha),
            event_name=event_name,
            run_id=variables.get("GITHUB_RUN_ID"),
            run_attempt=variables.get("GITHUB_RUN_ATTEMPT"),
            job=variables.get("GITHUB_JOB"),
            job_id=job_id or None,
        )
        runner = RecordedRunner.model_validate(
            {
                "name": variables.get("RUNNER_NAME"),
                "os": variables.get("RUNNER_OS"),
                "arch": variables.get("RUNNER_ARCH"),
                "environment": variables.get("RUNNER_ENVIRONMENT"),
                "image_os": variables.find("ImageOS"),
                "image_version": variables.find("ImageVersion"),
            }
        )
    except ValidationError as error:
        raise BuildSideError("the runner's environment", summarise(error), _NEXT_STEP) from error
    return ActionsJob(run, runner)


class _Variables:
    """The environment, in which every value is one line of text."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def find(self, name: str) -> str | None:
        """Return a variable; None where it is not set or empty."""
        value = self._environ.get(name, "")
        if not value.isprintable() or len(value) > _MAX_VALUE:
            raise BuildSideError(name, "not one line of text, as the runner's values are", _NEXT_STEP)
        return value or None

    def get(self, name: str) -> str:
        value = self.find(name)
        if value is None:
            raise BuildSideError(name, "the runner sets it, and here it is missing", _NEXT_STEP)
        return value

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self.get(name)
        if pattern.fullmatch(value) is None:
            raise BuildSideError(name, f"{value!r} is not what the runner sets it to", _NEXT_STEP)
        return value


def _head_sha(variables: _Variables, event_name: str, sha: str) -> str:
    """Return the commit that the run was started for: that of a pull request is in the event's payload."""
    if not event_name.startswith("pull_request"):
        return sha
    path = Path(variables.get("GITHUB_EVENT_PATH"))
    try:
        match strictjson.loads(read_bounded(path, MAX_EVENT_BYTES), MAX_EVENT_BYTES):
            case {"pull_request": {"head": {"sha": str(head)}}}:
                return head
            case _:
                pass
    except OSError as error:
        raise BuildSideError(str(path), error.strerror or str(error), _NEXT_STEP) from error
    except (FileTooLongError, MalformedJSONError) as error:
        raise BuildSideError(str(path), str(error), _NEXT_STEP) from error
    raise BuildSideError(str(path), "the event's payload names no head of a pull request", _NEXT_STEP)
