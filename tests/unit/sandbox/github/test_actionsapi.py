"""The Actions API: runs, attempts and jobs, and who may see them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.sandbox.github.conftest import NOW, PRIVATE, REPOSITORY, Lab

from brew_provenance.sandbox.github.attestations import Visibility
from brew_provenance.sandbox.github.options import Grant
from brew_provenance.sandbox.github.runs import WorkflowJob, WorkflowRun

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)
ASKED_AT = datetime.fromtimestamp(int(NOW), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
RUNS = f"/repos/{REPOSITORY}/actions/runs"

RUN = WorkflowRun(
    id=77,
    run_attempt=1,
    repository=REPOSITORY,
    path=".github/workflows/build.yml",
    name="Build",
    event="workflow_dispatch",
    head_sha="a" * 40,
    head_branch="main",
    started_at=START,
    referenced_workflows=(("octo/shared/.github/workflows/x.yml@v1", "b" * 40, "refs/tags/v1"),),
)
JOB = WorkflowJob(
    id=500,
    run_id=77,
    run_attempt=1,
    name="build (macos-15)",
    head_sha="a" * 40,
    started_at=START,
    completed_at=END,
    runner_name="GitHub Actions 7",
    labels=("macos-15",),
)


def put(lab: Lab, *, jobs: int = 1, **changes: Any) -> None:
    run = replace(RUN, **changes)
    lab.service.runs.put(
        run,
        [
            replace(JOB, id=JOB.id + 1000 * run.run_attempt + number, run_attempt=run.run_attempt)
            for number in range(jobs)
        ],
    )


def test_a_run_is_described_as_github_describes_it(lab: Lab) -> None:
    put(lab)
    found = lab.get(f"{RUNS}/77").json()
    assert {
        "id": 77,
        "run_attempt": 1,
        "path": ".github/workflows/build.yml",
        "event": "workflow_dispatch",
        "status": "in_progress",
        "conclusion": None,
        "head_sha": "a" * 40,
        "head_branch": "main",
        "html_url": f"https://github.com/{REPOSITORY}/actions/runs/77",
        "run_started_at": "2026-03-01T12:00:00Z",
        "created_at": "2026-03-01T12:00:00Z",
        "updated_at": ASKED_AT,
        "previous_attempt_url": None,
    }.items() <= found.items()
    assert found["repository"] == lab.get(f"/repos/{REPOSITORY}").json()
    assert found["head_repository"]["full_name"] == REPOSITORY
    assert found["referenced_workflows"] == [
        {"path": "octo/shared/.github/workflows/x.yml@v1", "sha": "b" * 40, "ref": "refs/tags/v1"}
    ]


def test_a_run_that_is_over_was_changed_last_when_its_last_job_ended(lab: Lab) -> None:
    put(lab, status="completed", conclusion="success")
    found = lab.get(f"{RUNS}/77").json()
    assert (found["status"], found["conclusion"]) == ("completed", "success")
    assert found["updated_at"] == "2026-03-01T12:10:00Z"


def test_a_fork_that_is_gone_is_null(lab: Lab) -> None:
    put(lab, head_repository="somebody/fork")
    assert lab.get(f"{RUNS}/77").json()["head_repository"] is None
    lab.store.add_repository("somebody/fork")
    assert lab.get(f"{RUNS}/77").json()["head_repository"]["full_name"] == "somebody/fork"


def test_a_run_is_its_last_attempt_and_each_can_be_asked_for(lab: Lab) -> None:
    for attempt in (2, 1):
        put(lab, run_attempt=attempt)
    assert lab.get(f"{RUNS}/77").json()["run_attempt"] == 2
    assert lab.get(f"{RUNS}/77/attempts/1").json()["run_attempt"] == 1
    assert lab.get(f"{RUNS}/77").json()["previous_attempt_url"].endswith("/actions/runs/77/attempts/1")
    assert lab.get(f"{RUNS}/77/attempts/3").status_code == 404
    assert [job["id"] for job in lab.get(f"{RUNS}/77/jobs").json()["jobs"]] == [2500]
    assert [job["id"] for job in lab.get(f"{RUNS}/77/jobs?filter=all").json()["jobs"]] == [1500, 2500]
    assert [job["id"] for job in lab.get(f"{RUNS}/77/attempts/1/jobs").json()["jobs"]] == [1500]


def test_jobs_come_in_pages(lab: Lab) -> None:
    put(lab, jobs=5)
    url, seen, pages = f"{RUNS}/77/attempts/1/jobs?per_page=2", [], 0
    while url:
        response = lab.get(url)
        assert response.json()["total_count"] == 5
        seen += [job["id"] for job in response.json()["jobs"]]
        url, pages = response.links.get("next", {}).get("url", ""), pages + 1
    assert (seen, pages) == ([1500, 1501, 1502, 1503, 1504], 3)
    assert lab.get(f"{RUNS}/77/jobs?per_page=2&page=9").json()["jobs"] == []


@pytest.mark.parametrize(
    "query", ["", "?per_page=x", "?per_page=0", "?per_page=-1&page=0", f"?page={'9' * 30}"]
)
def test_a_page_that_is_no_number_is_the_first(lab: Lab, query: str) -> None:
    put(lab, jobs=31)
    response = lab.get(f"{RUNS}/77/jobs{query}")
    assert len(response.json()["jobs"]) == 30


def test_a_page_has_a_hundred_jobs_at_most(lab: Lab) -> None:
    put(lab, jobs=101)
    assert len(lab.get(f"{RUNS}/77/jobs?per_page=1000").json()["jobs"]) == 100


def test_a_job_is_described_as_github_describes_it(lab: Lab) -> None:
    put(lab)
    [found] = lab.get(f"{RUNS}/77/jobs").json()["jobs"]
    assert found == lab.get(f"/repos/{REPOSITORY}/actions/jobs/1500").json()
    assert {
        "id": 1500,
        "run_id": 77,
        "run_attempt": 1,
        "name": "build (macos-15)",
        "head_sha": "a" * 40,
        "status": "completed",
        "conclusion": "success",
        "started_at": "2026-03-01T12:00:00Z",
        "completed_at": "2026-03-01T12:10:00Z",
        "runner_name": "GitHub Actions 7",
        "runner_group_name": "GitHub Actions",
        "labels": ["macos-15"],
        "workflow_name": "Publish bottles",
        "html_url": f"https://github.com/{REPOSITORY}/actions/runs/77/job/1500",
    }.items() <= found.items()


def test_a_job_ends_when_it_is_asked_for_or_has_not_ended(lab: Lab) -> None:
    over = replace(JOB, completed_at=None)
    under_way = replace(JOB, id=501, completed_at=None, status="in_progress", conclusion=None)
    lab.service.runs.put(RUN, [over, under_way])
    first, second = lab.get(f"{RUNS}/77/jobs").json()["jobs"]
    assert (first["completed_at"], second["completed_at"]) == (ASKED_AT, None)


@pytest.mark.parametrize(
    "path",
    [
        f"{RUNS}/78",
        f"{RUNS}/x",
        f"{RUNS}/{'7' * 40}",
        f"{RUNS}/77/attempts/9",
        f"{RUNS}/77/attempts/-1",
        f"{RUNS}/78/jobs",
        f"/repos/{REPOSITORY}/actions/jobs/1",
        f"/repos/{REPOSITORY}/actions/jobs/x",
        "/repos/octo/other/actions/runs/77",
        "/repos/octo/other/actions/jobs/1500",
        "/repos/octo/nothing/actions/runs/77",
    ],
)
def test_what_is_not_there_or_elsewhere_is_not_found(lab: Lab, path: str) -> None:
    put(lab)
    lab.store.add_repository("octo/other")
    assert lab.get(path).status_code == 404


def test_a_private_repositorys_runs_need_a_permission_of_their_own(lab: Lab) -> None:
    put(lab, repository=PRIVATE)
    path = f"/repos/{PRIVATE}/actions/runs/77"
    lab.set(tokens={"reads": Grant(reads=frozenset({PRIVATE})), "acts": Grant(actions=frozenset({PRIVATE}))})
    assert lab.get(path).status_code == 404
    response = lab.get(path, token="reads")
    assert (response.status_code, response.json()["message"]) == (
        403,
        "Resource not accessible by integration",
    )
    assert lab.get(path, token="acts").status_code == 200
    lab.store.set_visibility(PRIVATE, Visibility.PUBLIC)
    assert lab.get(path).status_code == 200


def test_a_job_belongs_to_the_run_that_it_is_added_with(lab: Lab) -> None:
    with pytest.raises(ValueError, match="job 500 is of another run than 77, attempt 2"):
        lab.service.runs.put(replace(RUN, run_attempt=2), [JOB])
    lab.service.runs.put(RUN, [JOB])
    assert lab.service.runs.all == ((RUN, (JOB,)),)
