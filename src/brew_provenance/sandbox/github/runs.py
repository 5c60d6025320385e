"""What the Actions API knows: workflow runs, their attempts and their jobs.

Source: https://docs.github.com/en/rest/actions/workflow-runs and /rest/actions/workflow-jobs.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

RUN_STARTED: Final = "in_progress"
"""The status of a run or a job that is under way."""

RUN_COMPLETED: Final = "completed"
"""The status of a run or a job that has a conclusion."""


@dataclass(frozen=True)
class WorkflowRun:
    """One attempt of a workflow run."""

    id: int
    run_attempt: int
    repository: str
    """Full name of the repository that it ran in, which the store has to know."""

    path: str
    """The workflow's file, `.github/workflows/build.yml`, with `@REF` where it is another ref's."""

    name: str
    """The workflow's name."""

    event: str
    head_sha: str
    """The commit that it was started for; for a pull request the head of its branch."""

    head_branch: str | None
    started_at: datetime
    status: str = RUN_STARTED
    conclusion: str | None = None
    """`success`, `failure`, `cancelled` and so on; None while it is under way."""

    head_repository: str | None = None
    """Full name of the repository that the commit is from; None for the one that it ran in."""

    run_number: int = 1
    actor: str = "brew-provenance-bot"
    referenced_workflows: tuple[tuple[str, str, str | None], ...] = ()
    """Path with its ref, commit, and full ref of each reusable workflow."""


@dataclass(frozen=True)
class WorkflowJob:
    """One job of an attempt of a run."""

    id: int
    run_id: int
    run_attempt: int
    name: str
    head_sha: str
    started_at: datetime
    status: str = RUN_COMPLETED
    conclusion: str | None = "success"
    completed_at: datetime | None = None
    """When it ended; None for the moment at which it is asked for, where it has a conclusion."""

    runner_name: str | None = None
    runner_id: int = 2
    runner_group_name: str = "GitHub Actions"
    labels: tuple[str, ...] = ("ubuntu-latest",)
    workflow_name: str = "Publish bottles"


class WorkflowRuns:
    """Runs and jobs, to be read and changed from any thread at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[tuple[int, int], WorkflowRun] = {}
        self._jobs: dict[int, WorkflowJob] = {}

    def put(self, run: WorkflowRun, jobs: Sequence[WorkflowJob] = ()) -> None:
        """Add an attempt with its jobs; one of the same number and any job of the same id is replaced.

        Raises ValueError for a job of another run or attempt.
        """
        for job in jobs:
            if (job.run_id, job.run_attempt) != (run.id, run.run_attempt):
                raise ValueError(f"job {job.id} is of another run than {run.id}, attempt {run.run_attempt}")
        with self._lock:
            self._runs[run.id, run.run_attempt] = run
            self._jobs.update({job.id: job for job in jobs})

    def find(self, run_id: int, attempt: int | None = None) -> WorkflowRun | None:
        """Return an attempt of a run, the last one with None."""
        with self._lock:
            if attempt is None:
                attempt = max((number for found, number in self._runs if found == run_id), default=0)
            return self._runs.get((run_id, attempt))

    def job(self, job_id: int) -> WorkflowJob | None:
        """Return one job."""
        with self._lock:
            return self._jobs.get(job_id)

    def jobs(self, run_id: int, attempt: int | None = None) -> list[WorkflowJob]:
        """Return the jobs of one attempt, of all attempts with None, in the order of their ids."""
        with self._lock:
            found = [
                job
                for job in self._jobs.values()
                if job.run_id == run_id and attempt in {None, job.run_attempt}
            ]
        return sorted(found, key=lambda job: job.id)

    @property
    def all(self) -> tuple[tuple[WorkflowRun, tuple[WorkflowJob, ...]], ...]:
        """Every attempt with its jobs, in the order in which they were added first."""
        with self._lock:
            runs = list(self._runs.values())
        return tuple((run, tuple(self.jobs(run.id, run.run_attempt))) for run in runs)
