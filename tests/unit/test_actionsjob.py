"""A runner's word, and what a build script could make of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.buildjobs import environment, write_event

from brew_provenance import actionsjob
from brew_provenance.actionsjob import read_job
from brew_provenance.errors import BuildSideError

HEAD = "b" * 40


def test_a_job_is_what_the_runner_says() -> None:
    job = read_job(environment(), "123")
    assert job.run.model_dump() == {
        "server": "https://github.com",
        "repository": "octo/homebrew-tap",
        "repository_id": "801234567",
        "owner_id": "161234567",
        "workflow_ref": "octo/homebrew-tap/.github/workflows/tests.yml@refs/heads/main",
        "ref": "refs/heads/main",
        "sha": "a" * 40,
        "head_sha": "a" * 40,
        "event_name": "push",
        "run_id": "9876543210",
        "run_attempt": "1",
        "job": "tests",
        "job_id": "123",
    }
    assert job.runner.model_dump() == {
        "name": "GitHub Actions 3",
        "os": "Linux",
        "arch": "X64",
        "environment": "github-hosted",
        "image_os": "ubuntu24",
        "image_version": "20260301.1.0",
    }


@pytest.mark.parametrize("job_id", [None, ""])
def test_a_workflow_may_not_know_its_jobs_number(job_id: str | None) -> None:
    assert read_job(environment(), job_id).run.job_id is None


def test_a_self_hosted_runner_names_no_image() -> None:
    job = read_job(
        environment(ImageOS=None, ImageVersion="", RUNNER_ENVIRONMENT="self-hosted", RUNNER_NAME="26-arm64-1")
    )
    assert (job.runner.environment, job.runner.image_os, job.runner.image_version) == (
        "self-hosted",
        None,
        None,
    )


@pytest.mark.parametrize("value", [None, "", "false", "1"])
def test_outside_of_actions_there_is_no_job(value: str | None) -> None:
    with pytest.raises(BuildSideError, match="no job of GitHub Actions") as caught:
        read_job(environment(GITHUB_ACTIONS=value))
    assert caught.value.exit_code == 6
    assert "workflow's job" in caught.value.next_step


@pytest.mark.parametrize(
    "name", [name for name in environment() if not name.startswith("Image") and name != "GITHUB_ACTIONS"]
)
@pytest.mark.parametrize("value", [None, "", "a\nb", "a\x1b[2J", "x" * 2000, "\u2028"])
def test_a_variable_that_no_runner_sets_so_is_refused_by_its_name(name: str, value: str | None) -> None:
    with pytest.raises(BuildSideError) as caught:
        read_job(environment(**{name: value}))
    assert caught.value.thing == name
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_SHA", "a" * 39),
        ("GITHUB_SHA", "A" * 40),
        ("GITHUB_RUN_ID", "0"),
        ("GITHUB_RUN_ID", "1 "),
        ("GITHUB_RUN_ATTEMPT", "-1"),
        ("GITHUB_REPOSITORY_ID", "x"),
        ("GITHUB_REPOSITORY_OWNER_ID", "1" * 21),
        ("GITHUB_SERVER_URL", "http://github.com"),
        ("GITHUB_SERVER_URL", "https://github.com/"),
        ("GITHUB_SERVER_URL", "https://user:secret@github.com"),
        ("GITHUB_REPOSITORY", "octo"),
        ("GITHUB_REPOSITORY", "octo/homebrew-tap/x"),
        ("GITHUB_WORKFLOW_REF", "octo/homebrew-tap/tests.yml@refs/heads/main"),
        ("GITHUB_WORKFLOW_REF", "octo/homebrew-tap/.github/workflows/../x/y.yml@refs/heads/main"),
        ("GITHUB_WORKFLOW_REF", "octo/homebrew-tap/.github/workflows/tests.yml"),
        ("RUNNER_ENVIRONMENT", "cloud"),
        ("ImageOS", "a\nb"),
    ],
)
def test_a_value_that_cannot_be_true_is_refused(name: str, value: str) -> None:
    with pytest.raises(BuildSideError):
        read_job(environment(**{name: value}))


@pytest.mark.parametrize("job_id", ["x", "0", "-1", "1\n"])
def test_a_jobs_number_is_a_number(job_id: str) -> None:
    with pytest.raises(BuildSideError):
        read_job(environment(), job_id)


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target", "pull_request_review"])
def test_the_head_of_a_pull_request_is_in_its_event(event: str, tmp_path: Path) -> None:
    changes = write_event(tmp_path / "event.json", HEAD) | {"GITHUB_EVENT_NAME": event}
    job = read_job(environment(**changes))
    assert (job.run.sha, job.run.head_sha, job.run.event_name) == ("a" * 40, HEAD, event)


@pytest.mark.parametrize("event", ["push", "workflow_dispatch", "merge_group", "schedule"])
def test_other_runs_were_started_for_their_commit(event: str) -> None:
    assert read_job(environment(GITHUB_EVENT_NAME=event)).run.head_sha == "a" * 40


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"[]", "names no head"),
        (b"{}", "names no head"),
        (b'{"pull_request": {"head": {"sha": null}}}', "names no head"),
        (b'{"pull_request": {"head": {"sha": "x"}}}', "head_sha"),
        (b'{"pull_request": 1, "pull_request": 2}', "twice"),
        (b"[" * 5000, "nested"),
        (b" " * 10_001, "limit of 10,000 bytes"),
    ],
)
def test_an_event_without_a_head_is_refused(
    content: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actionsjob, "MAX_EVENT_BYTES", 10_000)
    changes = write_event(tmp_path / "event.json", HEAD)
    (tmp_path / "event.json").write_bytes(content)
    with pytest.raises(BuildSideError, match=why):
        read_job(environment(**changes))


def test_an_event_that_is_missing_is_refused(tmp_path: Path) -> None:
    changes = write_event(tmp_path / "event.json", HEAD)
    (tmp_path / "event.json").unlink()
    with pytest.raises(BuildSideError, match="No such file"):
        read_job(environment(**changes))
    with pytest.raises(BuildSideError, match="missing"):
        read_job(environment(**changes | {"GITHUB_EVENT_PATH": ""}))


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
def test_a_token_in_the_environment_goes_nowhere(name: str) -> None:
    job = read_job(environment(**{name: "hush"}))
    assert "hush" not in job.run.model_dump_json() + job.runner.model_dump_json()
