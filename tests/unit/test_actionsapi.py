"""What the Actions API says of runs and jobs, and what no answer of it can do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from brew_provenance.actionsapi import MAX_JOBS, ActionsAPI, Repository, WorkflowJob, WorkflowRun
from brew_provenance.errors import BuildSideError
from brew_provenance.sandbox.github import exchange, runs
from brew_provenance.sandbox.github.attestations import AttestationStore, Visibility
from brew_provenance.sandbox.github.faults import Fault
from brew_provenance.sandbox.github.options import Grant, Options
from brew_provenance.sandbox.github.service import AttestationService
from brew_provenance.sandbox.serving import serve
from brew_provenance.stores.githubapi import API_VERSION, DEFAULT_API
from brew_provenance.transport import Reply, Transport, TransportError

NAME, TOKEN = "octo/homebrew-tap", "ghs_token_of_a_test"
STARTED, ENDED = "2026-03-01T11:17:00Z", "2026-03-01T11:27:00Z"
REPOSITORY: dict[str, Any] = {"id": 801, "full_name": NAME, "private": False, "owner": {"id": 161}}
RUN: dict[str, Any] = {
    "id": 9876,
    "run_attempt": 2,
    "repository": REPOSITORY,
    "head_sha": "1" * 40,
    "head_branch": "a-branch",
    "event": "pull_request",
    "path": ".github/workflows/tests.yml",
    "status": "completed",
    "conclusion": "success",
    "html_url": f"https://github.com/{NAME}/actions/runs/9876",
    "run_started_at": STARTED,
    "a_field_of_the_future": {},
}
JOB: dict[str, Any] = {
    "id": 555,
    "run_id": 9876,
    "run_attempt": 2,
    "name": "tests (macos-15)",
    "head_sha": "1" * 40,
    "status": "completed",
    "conclusion": "success",
    "runner_name": "GitHub Actions 3",
    "labels": ["macos-15"],
    "started_at": STARTED,
    "completed_at": ENDED,
    "html_url": f"https://github.com/{NAME}/actions/runs/9876/job/555",
    "steps": [{}],
}

Answer = Reply | TransportError | Callable[[str], Reply]


class FakeTransport:
    """Answers as it is told, the last answer over and over, and remembers what was sent."""

    def __init__(self, *answers: Answer) -> None:
        self.sent: list[tuple[str, Mapping[str, str]]] = []
        self._answers = list(answers)

    def send(self, url: str, *, limit: int, headers: Mapping[str, str], pause: object) -> Reply:
        assert limit > 0
        assert pause is not None
        self.sent.append((url, headers))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, TransportError):
            raise answer
        return answer if isinstance(answer, Reply) else answer(url)


def reply(document: object, status: int = 200) -> Reply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(status, CaseInsensitiveDict(), body, DEFAULT_API)


def api(*answers: Answer, token: str | None = TOKEN) -> tuple[ActionsAPI, FakeTransport]:
    transport = FakeTransport(*answers)
    return ActionsAPI(cast("Transport", transport), token=token), transport


def run_of(*answers: Answer) -> WorkflowRun:
    return api(*answers)[0].run(NAME, "9876", "2")


def jobs_of(*answers: Answer) -> tuple[WorkflowJob, ...]:
    return api(*answers)[0].jobs(NAME, "9876", "2")


def page(*jobs: Any, total: object = None) -> Reply:
    return reply({"total_count": len(jobs) if total is None else total, "jobs": jobs})


# Everything that can be asked for, so that what holds for one answer is tried with all of them.
ASK: dict[str, Callable[[ActionsAPI], object]] = {
    "repository": lambda api: api.repository(NAME),
    "run": lambda api: api.run(NAME, "9876", "2"),
    "jobs": lambda api: api.jobs(NAME, "9876", "2"),
}
EACH = pytest.mark.parametrize("ask", ASK.values(), ids=ASK)


def refused(ask: Callable[[ActionsAPI], object], *answers: Answer) -> BuildSideError:
    made, _ = api(*answers)
    with pytest.raises(BuildSideError) as caught:
        ask(made)
    error = caught.value
    assert error.exit_code == 6
    assert TOKEN not in f"{error} {error.thing} {error.cause} {error.next_step}"
    return error


def test_a_repository_is_read() -> None:
    made, transport = api(reply(REPOSITORY))
    assert made.repository("Octo/homebrew-tap") == Repository(NAME, "801", "161", is_private=False)
    ((url, headers),) = transport.sent
    assert url == f"{DEFAULT_API}/repos/Octo/homebrew-tap"
    assert headers == {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {TOKEN}",
        "X-GitHub-Api-Version": API_VERSION,
    }


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_none_is_sent(token: str | None) -> None:
    made, transport = api(reply(REPOSITORY), token=token)
    made.repository(NAME)
    assert "Authorization" not in transport.sent[0][1]


def test_a_run_is_read() -> None:
    made, transport = api(reply(RUN))
    assert made.run(NAME, "9876", "2") == WorkflowRun(
        id="9876",
        attempt="2",
        repository=Repository(NAME, "801", "161", is_private=False),
        head_sha="1" * 40,
        head_branch="a-branch",
        event="pull_request",
        path=".github/workflows/tests.yml",
        status="completed",
        conclusion="success",
        url=f"https://github.com/{NAME}/actions/runs/9876",
        started_at=datetime(2026, 3, 1, 11, 17, tzinfo=UTC),
    )
    assert transport.sent[0][0] == f"{DEFAULT_API}/repos/{NAME}/actions/runs/9876/attempts/2"


def test_what_github_does_not_always_say_of_a_run_is_none() -> None:
    found = run_of(reply(RUN | {"head_branch": None, "conclusion": None, "run_started_at": None}))
    assert (found.head_branch, found.conclusion, found.started_at) == (None, None, None)


def test_a_workflow_is_its_file_whatever_ref_is_named_with_it() -> None:
    found = run_of(reply(RUN | {"path": ".github/workflows/tests.yml@refs/heads/main"}))
    assert found.path == ".github/workflows/tests.yml"


def test_jobs_are_read() -> None:
    made, transport = api(page(JOB))
    assert made.jobs(NAME, "9876", "2") == (
        WorkflowJob(
            id="555",
            run_id="9876",
            run_attempt="2",
            name="tests (macos-15)",
            head_sha="1" * 40,
            status="completed",
            conclusion="success",
            runner_name="GitHub Actions 3",
            labels=("macos-15",),
            started_at=datetime(2026, 3, 1, 11, 17, tzinfo=UTC),
            finished_at=datetime(2026, 3, 1, 11, 27, tzinfo=UTC),
            url=f"https://github.com/{NAME}/actions/runs/9876/job/555",
        ),
    )
    (url, _), *rest = transport.sent
    assert url == f"{DEFAULT_API}/repos/{NAME}/actions/runs/9876/attempts/2/jobs?per_page=100&page=1"
    assert rest == []


def test_a_job_that_waits_has_neither_runner_nor_times() -> None:
    nothing = ("conclusion", "runner_name", "started_at", "completed_at", "html_url")
    (found,) = jobs_of(page(JOB | dict.fromkeys(nothing) | {"status": "queued"}))
    assert (found.conclusion, found.runner_name, found.started_at, found.finished_at) == (None,) * 4
    assert found.url == ""


def test_a_run_without_jobs_has_none() -> None:
    assert jobs_of(page()) == ()


def test_all_pages_are_read() -> None:
    jobs = [JOB | {"id": number} for number in range(1, 251)]
    made, transport = api(*(page(*jobs[start : start + 100], total=250) for start in (0, 100, 200)))
    assert [job.id for job in made.jobs(NAME, "9876", "2")] == [str(job["id"]) for job in jobs]
    assert [url.rpartition("&")[2] for url, _ in transport.sent] == ["page=1", "page=2", "page=3"]


# --- answers that are about something else, or too much of it -------------------------------------


@pytest.mark.parametrize("name", ["else/where", f"{NAME}-2", "octo"])
def test_a_repository_that_is_another_one_is_no_answer(name: str) -> None:
    other = REPOSITORY | {"full_name": name}
    assert "is about the repository" in refused(ASK["repository"], reply(other)).cause
    assert "is about the repository" in refused(ASK["run"], reply(RUN | {"repository": other})).cause


@pytest.mark.parametrize("changes", [{"id": 9877}, {"run_attempt": 3}])
def test_another_run_is_no_answer(changes: dict[str, Any]) -> None:
    assert "it is about run" in refused(ASK["run"], reply(RUN | changes)).cause


@pytest.mark.parametrize("changes", [{"run_id": 9877}, {"run_attempt": 3}])
def test_jobs_of_another_run_are_no_answer(changes: dict[str, Any]) -> None:
    error = refused(ASK["jobs"], page(JOB, JOB | {"id": 556} | changes))
    assert "a job of another run" in error.cause


def test_jobs_that_an_earlier_attempt_ran_are_left_out() -> None:
    found = jobs_of(page(JOB, JOB | {"id": 556, "run_attempt": 1}, JOB | {"id": 557}))
    assert [job.id for job in found] == ["555", "557"]


def test_a_list_that_ends_early_is_no_answer() -> None:
    assert "lists 1 of 2" in refused(ASK["jobs"], page(JOB, total=2), page(total=2)).cause


def test_one_job_over_and_over_does_not_stand_for_others() -> None:
    made, transport = api(page(JOB, total=2))
    with pytest.raises(BuildSideError, match="lists 1 of 2"):
        made.jobs(NAME, "9876", "2")
    assert len(transport.sent) == MAX_JOBS // 100


def test_a_list_without_end_is_not_read_to_it() -> None:
    made, transport = api(page(JOB, total=MAX_JOBS + 1))
    with pytest.raises(BuildSideError, match="more than 10,000"):
        made.jobs(NAME, "9876", "2")
    assert len(transport.sent) == 1
    number = iter(range(1, 2_000_000))

    def endless(_: str) -> Reply:
        return page(*(JOB | {"id": next(number)} for _ in range(100)), total=MAX_JOBS)

    assert len(jobs_of(endless)) == MAX_JOBS


def test_more_than_was_asked_for_is_no_answer() -> None:
    refused(ASK["jobs"], page(*(JOB | {"id": number} for number in range(1, 102))))


WRONG: dict[str, Any] = {
    "id": ["9876", 9876.0, True, None, 0, -1, 10**20],
    "run_attempt": ["2", None, 0],
    "head_sha": [None, 1, "x" * 5000],
    "event": [None, 7],
    "path": [None, {}],
    "status": [None, []],
    "html_url": [None],
    "run_started_at": ["2026-03-01T11:17:00", "soon"],
    "repository": [None, [], {}, {"id": 1}, REPOSITORY | {"private": "no"}, REPOSITORY | {"owner": None}],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in WRONG for value in WRONG[field]])
def test_a_run_that_is_described_otherwise_is_no_answer(field: str, value: object) -> None:
    error = refused(ASK["run"], reply(RUN | {field: value}))
    assert error.cause.startswith("the API's answer is not what was asked for: ")
    assert error.thing == f"run 9876 of {NAME}, attempt 2"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 0},
        {"id": "555"},
        {"labels": ["x"] * 101},
        {"labels": [1]},
        {"labels": "macos-15"},
        {"labels": ["x" * 4097]},
        {"started_at": "2026-03-01T11:17:00"},
        {"name": None},
    ],
)
def test_a_job_that_is_described_otherwise_is_no_answer(changes: dict[str, Any]) -> None:
    refused(ASK["jobs"], page(JOB | changes))


@EACH
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'{"id":1,"id":2}', b"\xff", b"[" * 200, b"<html>", b"{}"]
)
def test_what_is_no_json_of_theirs_is_no_answer(ask: Callable[[ActionsAPI], object], body: bytes) -> None:
    assert "not what was asked for" in refused(ask, reply(body)).cause


@settings(max_examples=50)
@given(
    st.sampled_from(sorted(RUN.keys() | JOB.keys())),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=3),
)
def test_a_field_with_anything_in_it_is_an_answer_or_an_error(field: str, value: object) -> None:
    for ask, answer in ((ASK["run"], reply(RUN | {field: value})), (ASK["jobs"], page(JOB | {field: value}))):
        with suppress(BuildSideError):
            ask(api(answer)[0])


# --- answers that say no --------------------------------------------------------------------------


@EACH
def test_a_token_that_is_refused_is_said_to_be(ask: Callable[[ActionsAPI], object]) -> None:
    error = refused(ask, reply({"message": f"Bad credentials {TOKEN}"}, 401))
    assert "refuses the token" in error.cause
    assert "GITHUB_TOKEN" in error.next_step


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("what", ["run", "jobs"])
def test_a_missing_permission_is_named(what: str, status: int) -> None:
    error = refused(ASK[what], reply({"message": "Resource not accessible by integration"}, status))
    assert str(status) in error.cause
    assert error.next_step == "give the job `permissions: actions: read`"


@pytest.mark.parametrize("status", [403, 404])
def test_a_repository_that_cannot_be_seen_needs_another_name_or_token(status: int) -> None:
    error = refused(ASK["repository"], reply({}, status))
    assert error.thing == f"the repository {NAME}"
    assert "permissions" not in error.next_step


@EACH
@pytest.mark.parametrize("status", [201, 204, 301, 400, 410, 422, 429, 500, 503])
def test_every_other_status_is_no_answer(ask: Callable[[ActionsAPI], object], status: int) -> None:
    assert f"answers {status}" in refused(ask, reply(RUN, status)).cause


@EACH
def test_no_answer_at_all_is_told_with_its_cause(ask: Callable[[ActionsAPI], object]) -> None:
    error = refused(ask, TransportError("rate-limited", "api.github.com takes no more requests until noon"))
    assert error.cause == "no answer (rate-limited): api.github.com takes no more requests until noon"
    assert "again" in error.next_step


# --- what is asked --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("", "octo", "octo/", "/tap", "octo/tap/x", "octo/..", "octo/.", "../x", "octo/tap?x", "octo/tap#x"),
        *("octo/ta p", "octo/tap\n", "octo/t%61p", "öcto/tap", "octo//tap", "octo\\x/tap", "@host/x"),
    ],
)
def test_only_a_repository_is_asked_for(name: str) -> None:
    made, transport = api(reply(RUN))
    for ask in (
        lambda: made.repository(name),
        lambda: made.run(name, "1", "1"),
        lambda: made.jobs(name, "1", "1"),
    ):
        with pytest.raises(BuildSideError, match="not a repository"):
            ask()
    assert transport.sent == []


@pytest.mark.parametrize("number", ["", "0", "-1", "1/../2", "1?x", "x", "1\n", "\u0661", "1" * 21])
def test_only_a_number_is_asked_for(number: str) -> None:
    made, transport = api(reply(RUN))
    for numbers in ((number, "1"), ("1", number)):
        for ask in (made.run, made.jobs):
            with pytest.raises(BuildSideError, match="not the number of a run"):
                ask(NAME, *numbers)
    assert transport.sent == []


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[tuple[AttestationService, str]]:
    store = AttestationStore()
    store.add_repository(NAME)
    store.add_repository("octo/secret", visibility=Visibility.PRIVATE)
    service = AttestationService(store, Options(tokens={TOKEN: Grant(reads=frozenset({"octo/secret"}))}))
    started = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
    jobs = [
        runs.WorkflowJob(
            number, 9876, 1, f"job {number}", "1" * 40, started, runner_name=f"GitHub Actions {number}"
        )
        for number in range(1, 131)
    ]
    for name, number in ((NAME, 9876), ("octo/secret", 5)):
        of_run = (number, 1, name, ".github/workflows/x.yml@main", "X", "push", "1" * 40, "main", started)
        service.runs.put(runs.WorkflowRun(*of_run), jobs if number == 9876 else [])
    with serve(service.app) as server:
        yield service, server.url


def test_the_sandbox_is_read_as_github_is(served: tuple[AttestationService, str]) -> None:
    _, url = served
    with Transport() as transport:
        made = ActionsAPI(transport, url=f"{url}/")
        found = made.run(NAME, "9876", "1")
        assert (found.event, found.path, found.status) == ("push", ".github/workflows/x.yml", "in_progress")
        assert found.repository == made.repository(NAME)
        jobs = made.jobs(NAME, "9876", "1")
        assert [job.runner_name for job in jobs] == [f"GitHub Actions {number}" for number in range(1, 131)]
        with pytest.raises(BuildSideError, match="answers 404"):
            made.run(NAME, "9876", "2")
        with pytest.raises(BuildSideError, match="answers 404"):
            made.repository("octo/secret")
        with pytest.raises(BuildSideError, match="answers 403") as caught:
            ActionsAPI(transport, url=url, token=TOKEN).run("octo/secret", "5", "1")
        assert caught.value.next_step == "give the job `permissions: actions: read`"


def test_a_token_goes_to_the_apis_host_only(served: tuple[AttestationService, str]) -> None:
    service, url = served
    other = AttestationService(AttestationStore(), Options())
    with serve(other.app) as elsewhere, Transport() as transport:
        moved = {"location": f"{elsewhere.url}/repos/{NAME}"}
        service.faults.inject(Fault("moved", instead=lambda _: exchange.Reply(302, b"", moved)), times=None)
        for ask in ASK.values():
            with pytest.raises(BuildSideError, match="redirects to another host"):
                ask(ActionsAPI(transport, url=url, token=TOKEN))
        assert other.log.total == 0
