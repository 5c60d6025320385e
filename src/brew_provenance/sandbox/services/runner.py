"""The job that a rehearsal takes place in: what a runner, GitHub's events and the Actions API say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.github.runs import WorkflowJob, WorkflowRun
from brew_provenance.sandbox.wire import JsonObject

PULL_REQUEST: Final = "pull_request"
STEP_FILES: Final[Mapping[str, str]] = {
    "env": "GITHUB_ENV",
    "output": "GITHUB_OUTPUT",
    "path": "GITHUB_PATH",
    "step-summary.md": "GITHUB_STEP_SUMMARY",
}
"""The files that steps write to, and the variables that name them."""

_FIRST_JOB: Final = 48_300_000_001
_PUBLISHER = "GitHub Actions 3"


@dataclass(frozen=True)
class Runner:
    """The machine of the job."""

    name: str = "GitHub Actions 2"
    os: str = "Linux"
    arch: str = "X64"
    labels: tuple[str, ...] = ("ubuntu-24.04",)
    image_os: str = "ubuntu24"
    image_version: str = "20260301.1"


@dataclass(frozen=True)
class Rehearsal:
    """A job of a workflow run that builds and publishes."""

    job: ActionsJob = field(default_factory=lambda: ActionsJob(event_name="workflow_dispatch"))
    key: str = "build"
    """The job's key in its workflow file."""

    runner: Runner = field(default_factory=Runner)
    head_sha: str | None = None
    """The commit that the run was started for, where it is not the job's own: a pull request's head."""

    base_sha: str | None = None
    """The commit that a pull request is to be merged into."""

    head_branch: str = "patch"
    """The branch of a pull request."""

    pull_request: int = 1

    @property
    def is_of_pull_request(self) -> bool:
        """Whether a pull request started it."""
        return self.job.event_name.startswith(PULL_REQUEST)

    def event(self) -> JsonObject:
        """Return the payload of the event, as far as anybody here reads it."""
        job = self.job
        owner = {"id": int(job.owner_id), "login": job.owner}
        repository = {
            "id": int(job.repository_id),
            "name": job.repository.partition("/")[2],
            "full_name": job.repository,
            "private": job.visibility != "public",
            "visibility": job.visibility,
            "owner": owner,
            "html_url": job.repository_uri,
        }
        event: JsonObject = {"repository": repository, "sender": {"login": job.actor}}
        match job.event_name:
            case "pull_request" | "pull_request_target":
                base = {"ref": "main", "sha": self.base_sha or job.sha, "repo": repository}
                head = {"ref": self.head_branch, "sha": self.head_sha or job.sha, "repo": repository}
                pull_request = {"number": self.pull_request, "head": head, "base": base}
                return {
                    **event,
                    "action": "opened",
                    "number": self.pull_request,
                    "pull_request": pull_request,
                }
            case "push":
                return {**event, "ref": job.ref, "after": job.sha}
            case _:
                return {**event, "ref": job.ref, "inputs": {}}

    def run(self, at: datetime) -> WorkflowRun:
        """Return the run, started at a time and still under way."""
        job = self.job
        is_foreign = job.job_workflow_ref != job.workflow_ref
        called = ((job.job_workflow_ref, job.job_workflow_sha, None),) if is_foreign else ()
        return WorkflowRun(
            id=int(job.run_id),
            run_attempt=int(job.run_attempt),
            repository=job.repository,
            path=job.workflow_path,
            name=job.workflow_name,
            event=job.event_name,
            head_sha=self.head_sha or job.sha,
            head_branch=self.head_branch if self.is_of_pull_request else _short(job.ref),
            started_at=at,
            actor=job.actor,
            referenced_workflows=called,
        )

    def jobs(self, at: datetime) -> list[WorkflowJob]:
        """Return the run's jobs: the one that builds, which succeeds, and the one that publishes.

        Their ids depend on the number of the run and of the attempt, and on nothing else.
        """
        job = self.job
        numbers = (int(job.run_id), int(job.run_attempt))
        head = self.head_sha or job.sha
        seed = hashlib.sha256("{}/{}".format(*numbers).encode()).digest()
        number = _FIRST_JOB + 2 * int.from_bytes(seed[:4])
        builds = WorkflowJob(
            number,
            *numbers,
            self.key,
            head,
            at,
            runner_name=self.runner.name,
            labels=self.runner.labels,
            workflow_name=job.workflow_name,
        )
        publishes = WorkflowJob(
            number + 1,
            *numbers,
            "publish",
            head,
            at,
            status="in_progress",
            conclusion=None,
            runner_name=_PUBLISHER,
            runner_id=3,
            workflow_name=job.workflow_name,
        )
        return [builds, publishes]

    def environment(self, folder: Path, api: str, token: str) -> Mapping[str, str]:
        """Return the variables that the runner sets, for files in `folder`, the API's URL and a token.

        Source: https://docs.github.com/en/actions/reference/workflows-and-actions/variables.
        """
        job, runner = self.job, self.runner
        references = {"GITHUB_HEAD_REF": "", "GITHUB_BASE_REF": ""}
        if self.is_of_pull_request:
            references = {"GITHUB_HEAD_REF": self.head_branch, "GITHUB_BASE_REF": "main"}
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": job.actor,
            "GITHUB_TRIGGERING_ACTOR": job.actor,
            "GITHUB_API_URL": api,
            "GITHUB_SERVER_URL": job.server,
            "GITHUB_EVENT_NAME": job.event_name,
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_JOB": self.key,
            **{name: str(folder / file) for file, name in STEP_FILES.items()},
            "GITHUB_REF": job.ref,
            "GITHUB_REF_NAME": _short(job.ref),
            "GITHUB_REF_TYPE": "tag" if job.ref.startswith("refs/tags/") else "branch",
            "GITHUB_REPOSITORY": job.repository,
            "GITHUB_REPOSITORY_ID": job.repository_id,
            "GITHUB_REPOSITORY_OWNER": job.owner,
            "GITHUB_REPOSITORY_OWNER_ID": job.owner_id,
            "GITHUB_RUN_ATTEMPT": job.run_attempt,
            "GITHUB_RUN_ID": job.run_id,
            "GITHUB_RUN_NUMBER": "1",
            "GITHUB_SHA": job.sha,
            "GITHUB_TOKEN": token,
            "GITHUB_WORKFLOW": job.workflow_name,
            "GITHUB_WORKFLOW_REF": job.workflow_ref,
            "GITHUB_WORKFLOW_SHA": job.workflow_sha,
            "GITHUB_WORKSPACE": str(Path.cwd()),
            "RUNNER_ARCH": runner.arch,
            "RUNNER_ENVIRONMENT": job.runner_environment,
            "RUNNER_NAME": runner.name,
            "RUNNER_OS": runner.os,
            "RUNNER_TEMP": str(folder / "temp"),
            "ImageOS": runner.image_os,
            "ImageVersion": runner.image_version,
            **references,
        }


def _short(ref: str) -> str:
    for prefix in ("refs/heads/", "refs/tags/", "refs/pull/"):
        ref = ref.removeprefix(prefix)
    return ref
