"""Attestations into the store: in its pace, each once, and the token nowhere else."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from tests.unit.builders import SHA256, make_bundle_document
from tests.unit.clock import Clock
from tests.unit.sandbox.github.conftest import bundle_for

from brew_provenance.bundle import MAX_BUNDLE_BYTES, Bundle, read_bundle
from brew_provenance.errors import BuildSideError
from brew_provenance.pace import Pace
from brew_provenance.publish import ATTEMPTS, LOOK_AFTER, Publisher, pace_of
from brew_provenance.sandbox.github import exchange
from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.faults import Fault
from brew_provenance.sandbox.github.options import Grant, Options
from brew_provenance.sandbox.github.service import AttestationService
from brew_provenance.sandbox.serving import serve
from brew_provenance.stores.github import GitHubStore
from brew_provenance.stores.githubapi import API_VERSION, DEFAULT_API, GitHubAPI
from brew_provenance.transport import Reply, Transport, TransportError

NAME, TOKEN = "octo/homebrew-tap", "ghs_token_of_a_test"
BUNDLE = json.dumps(make_bundle_document()).encode()
CREATED = {"id": 4711}

Answer = Reply | TransportError


class FakeTransport:
    """Answers as it is told, the last answer over and over, and remembers what was sent."""

    def __init__(self, *answers: Answer) -> None:
        self.sent: list[tuple[str, Mapping[str, str], bytes]] = []
        self._answers = list(answers)

    def send(
        self,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str],
        body: bytes,
        pause: object,
        attempts: int,
    ) -> Reply:
        assert limit > 0
        assert pause is not None
        assert attempts == 1  # whether it is sent again is decided here alone
        self.sent.append((url, headers, body))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, TransportError):
            raise answer
        return answer


@dataclass
class Shelf:
    """Says whether the store has a bundle: as told, the last word over and over."""

    words: list[bool] = field(default_factory=lambda: [False])
    looks: int = 0

    def __call__(self) -> bool:
        self.looks += 1
        return self.words.pop(0) if len(self.words) > 1 else self.words[0]


def reply(document: object = CREATED, status: int = 201) -> Reply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(status, CaseInsensitiveDict(), body, DEFAULT_API)


def cut(code: str = "connection-broken") -> TransportError:
    return TransportError(code, "api.github.com: it broke")


def publish(*answers: Answer, shelf: Shelf | None = None) -> tuple[str | None, FakeTransport]:
    transport = FakeTransport(*answers)
    publisher = Publisher(cast("Transport", transport), repository=NAME, token=TOKEN, sleep=lambda _: None)
    return publisher.publish(BUNDLE, shelf or Shelf()), transport


def fail(*answers: Answer, shelf: Shelf | None = None) -> BuildSideError:
    with pytest.raises(BuildSideError) as caught:
        publish(*answers, shelf=shelf)
    error = caught.value
    assert TOKEN not in f"{error} {error.thing} {error.cause} {error.next_step}"
    assert f"{error}".isascii()
    return error


# --- one bundle -----------------------------------------------------------------------------------


def test_a_bundle_is_added_and_its_number_returned() -> None:
    shelf = Shelf()
    number, transport = publish(reply(), shelf=shelf)
    assert number == "4711"
    assert shelf.looks == 0
    ((url, headers, body),) = transport.sent
    assert url == f"{DEFAULT_API}/repos/{NAME}/attestations"
    assert headers == {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "application/json",
        "X-GitHub-Api-Version": API_VERSION,
    }
    assert json.loads(body) == {"bundle": make_bundle_document()}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"id": null}', b'{"id": true}', b'{"id": "1"}'])
def test_what_is_created_is_not_created_again_for_the_sake_of_its_number(body: bytes) -> None:
    number, transport = publish(reply(body))
    assert number == ""
    assert len(transport.sent) == 1


@pytest.mark.parametrize("token", [None, ""])
def test_nothing_is_published_without_a_token(token: str | None) -> None:
    with pytest.raises(BuildSideError, match="without a token") as caught:
        Publisher(cast("Transport", FakeTransport(reply())), repository=NAME, token=token)
    assert "GITHUB_TOKEN" in caught.value.next_step


@pytest.mark.parametrize(
    "bundle",
    [b"", b"{", b"[]", b'"x"', b'{}, "more": {}', b'{"a":1,"a":2}', b"{}" + b" " * MAX_BUNDLE_BYTES, b"\xff"],
)
def test_nothing_but_a_json_object_is_sent(bundle: bytes) -> None:
    transport = FakeTransport(reply())
    publisher = Publisher(cast("Transport", transport), repository=NAME, token=TOKEN)
    with pytest.raises(BuildSideError, match="the bundle is"):
        publisher.publish(bundle, Shelf())
    assert transport.sent == []


# --- unclear failures -----------------------------------------------------------------------------

UNCLEAR = {
    "cut": cut(),
    "late": cut("answer-timed-out"),
    "long": cut("answer-too-long"),
    "spent": cut("time-budget-spent"),
    "500": reply({"message": "Server Error"}, 500),
    "502": reply(b"<html>", 502),
    "503": reply({}, 503),
    "504": reply({}, 504),
}
EACH_UNCLEAR = pytest.mark.parametrize("unclear", UNCLEAR.values(), ids=UNCLEAR)


@EACH_UNCLEAR
@pytest.mark.parametrize("words", [[True], [False, True]])
def test_what_was_taken_in_without_an_answer_is_not_sent_again(unclear: Answer, words: list[bool]) -> None:
    shelf = Shelf(words)
    number, transport = publish(unclear, reply(), shelf=shelf)
    assert number is None
    assert len(transport.sent) == 1


@EACH_UNCLEAR
def test_what_was_not_taken_in_is_sent_again_after_the_store_was_asked(unclear: Answer) -> None:
    shelf = Shelf()
    number, transport = publish(unclear, unclear, reply(), shelf=shelf)
    assert number == "4711"
    assert len(transport.sent) == 3
    assert shelf.looks == 2 * len(LOOK_AFTER)


@EACH_UNCLEAR
def test_what_is_never_taken_in_fails_with_what_to_do(unclear: Answer) -> None:
    shelf = Shelf()
    error = fail(unclear, shelf=shelf)
    assert shelf.looks == ATTEMPTS * len(LOOK_AFTER)
    assert "attest --resume" in error.next_step
    assert "octo/homebrew-tap" in error.thing


def test_the_store_is_asked_after_the_last_attempt_as_well() -> None:
    words = [False] * (ATTEMPTS * len(LOOK_AFTER) - 1) + [True]
    number, transport = publish(cut(), shelf=Shelf(words))
    assert number is None
    assert len(transport.sent) == ATTEMPTS


def test_what_cannot_be_looked_up_is_not_sent_again() -> None:
    def unable() -> bool:
        raise BuildSideError("the store", "no answer", "later")

    transport = FakeTransport(cut(), reply())
    publisher = Publisher(cast("Transport", transport), repository=NAME, token=TOKEN, sleep=lambda _: None)
    with pytest.raises(BuildSideError, match="no answer"):
        publisher.publish(BUNDLE, unable)
    assert len(transport.sent) == 1


@given(st.lists(st.sampled_from([*UNCLEAR.values(), cut("rate-limited"), "taken"]), max_size=8))
def test_no_bad_day_makes_it_be_there_twice(days: list[Any]) -> None:
    # "taken" is the worst one: the store takes it in, and its answer is lost.
    taken = 0

    class Store(FakeTransport):
        def send(self, *args: Any, **options: Any) -> Reply:
            nonlocal taken
            day = days.pop(0) if days else reply()
            if day == "taken" or (isinstance(day, Reply) and day.status == 201):
                taken += 1
            if day == "taken":
                raise cut()
            if isinstance(day, TransportError):
                raise day
            return cast("Reply", day)

    publisher = Publisher(cast("Transport", Store()), repository=NAME, token=TOKEN, sleep=lambda _: None)
    try:
        publisher.publish(BUNDLE, lambda: taken > 0)
    except BuildSideError:
        assert taken == 0
    else:
        assert taken == 1


# --- clear failures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["url-refused", "header-refused", "redirect-refused", "host-not-found", "tls-failed"]
)
def test_what_no_other_attempt_would_change_is_not_tried_again(code: str) -> None:
    shelf = Shelf()
    error = fail(cut(code), reply(), shelf=shelf)
    assert error.cause == f"no answer ({code}): api.github.com: it broke"
    assert shelf.looks == 0


def test_a_limit_is_a_clear_no() -> None:
    shelf = Shelf()
    number, transport = publish(cut("rate-limited"), cut("rate-limited"), reply(), shelf=shelf)
    assert number == "4711"
    assert (len(transport.sent), shelf.looks) == (3, 0)
    error = fail(cut("rate-limited"))
    assert "rate-limited" in error.cause
    assert "attest --resume" in error.next_step


@pytest.mark.parametrize(
    ("status", "message", "next_step"),
    [
        (401, "Bad credentials", "GITHUB_TOKEN"),
        (403, "Resource not accessible by integration", "permissions: attestations: write"),
        (404, "Not Found", "permissions: attestations: write"),
        (422, "Invalid Argument - duplicate subject in statement", "one by one"),
        (422, "Invalid Argument - failed to verify", "brew-provenance inspect"),
        (400, "Problems parsing JSON", "GitHub's status"),
        (413, "x", "GitHub's status"),
        (200, "x", "GitHub's status"),
        (302, "x", "GitHub's status"),
    ],
)
def test_each_refusal_says_what_to_do(status: int, message: str, next_step: str) -> None:
    shelf = Shelf()
    error = fail(reply({"message": message}, status), reply(), shelf=shelf)
    assert error.cause == f"api.github.com answers {status}: {message!r}"
    assert next_step in error.next_step
    assert "attest --resume" in error.next_step
    assert shelf.looks == (1 if status == 422 else 0)


def test_a_refusal_of_what_is_there_already_is_none() -> None:
    shelf = Shelf([False, False, True])
    number, transport = publish(cut(), reply({"message": "duplicate"}, 422), shelf=shelf)
    assert number is None
    assert len(transport.sent) == 2


def test_an_answer_is_shown_only_as_far_as_it_may_be_read() -> None:
    message = f"\x1b[31m{TOKEN}\n::error::x\u202e" + "y" * 5000
    error = fail(reply({"message": message}, 403))
    assert "***" in error.cause
    assert len(error.cause) < 400
    assert error.cause.isprintable()
    for body in (b"<html>", b"[]", b'{"message": 1}', b'{"message": {}}', b"", b"\xff"):
        assert fail(reply(body, 403)).cause == "api.github.com answers 403"


# --- the pace -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("per_minute", "per_hour"), [(0, 500), (80, 0), (-1, 500)])
def test_no_limit_is_below_one(per_minute: int, per_hour: int) -> None:
    with pytest.raises(ValueError, match="nothing could ever pass"):
        pace_of(per_minute, per_hour)


def test_every_attempt_counts_for_the_pace() -> None:
    clock = Clock()
    transport = FakeTransport(cut(), cut(), reply())
    publisher = Publisher(
        cast("Transport", transport),
        repository=NAME,
        token=TOKEN,
        pace=Pace((60.0, 1), clock=clock, sleep=clock.sleep),
        sleep=clock.sleep,
    )
    publisher.publish(BUNDLE, Shelf())
    assert clock.now == 120.0


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[tuple[AttestationService, str]]:
    store = AttestationStore()
    store.add_repository(NAME)
    tokens = {TOKEN: Grant(writes=frozenset({NAME})), "reader": Grant()}
    service = AttestationService(store, Options(tokens=tokens))
    with serve(service.app) as server:
        yield service, server.url


def looking(transport: Transport, url: str, bundle: bytes) -> Callable[[], bool]:
    """Return what asks the store as `attest` does."""
    store = GitHubStore(transport, GitHubAPI(transport, url), [NAME])

    def is_there() -> bool:
        candidates = store.resolve([SHA256])[SHA256].candidates
        wanted = read_bundle(bundle)
        assert isinstance(wanted, Bundle)
        return any(
            isinstance(one.bundle, Bundle) and one.bundle.payload == wanted.payload for one in candidates
        )

    return is_there


def lose(call: exchange.Call, answer: exchange.Reply) -> exchange.Reply:
    assert call.method == "POST"
    return exchange.Reply(502) if answer.status == 201 else answer


def test_a_bundle_is_published_and_found(served: tuple[AttestationService, str]) -> None:
    service, url = served
    bundle = bundle_for(SHA256)
    with Transport(budget=None) as transport:
        is_there = looking(transport, url, bundle)
        assert not is_there()
        publisher = Publisher(transport, url=f"{url}/", repository=NAME, token=TOKEN)
        number = publisher.publish(bundle, is_there)
        assert is_there()
    (found,) = service.store.find("octo", SHA256)
    assert str(found.id) == number


def test_an_answer_that_is_lost_is_made_up_for(served: tuple[AttestationService, str]) -> None:
    service, url = served
    bundle = bundle_for(SHA256)
    service.faults.inject(Fault("lost", lose), method="POST")
    with Transport(budget=None) as transport:
        publisher = Publisher(transport, url=url, repository=NAME, token=TOKEN, sleep=lambda _: None)
        assert publisher.publish(bundle, looking(transport, url, bundle)) is None
    assert len(service.store) == 1
    assert service.log.count("POST", f"/repos/{NAME}/attestations") == 1


@pytest.mark.parametrize(
    "limit",
    [
        exchange.Reply(403, b'{"message":"You have exceeded a secondary rate limit"}', {"retry-after": "7"}),
        exchange.Reply(429, b"", {"retry-after": "7"}),
    ],
)
def test_a_secondary_limit_is_waited_for(
    served: tuple[AttestationService, str], limit: exchange.Reply
) -> None:
    service, url = served
    service.faults.inject(Fault("limited", instead=lambda _: limit), method="POST")
    clock = Clock()
    with Transport(budget=None, clock=clock, sleep=clock.sleep) as transport:
        publisher = Publisher(transport, url=url, repository=NAME, token=TOKEN, sleep=clock.sleep)
        assert publisher.publish(bundle_for(SHA256), Shelf()) == str(service.store.find("octo", SHA256)[0].id)
    assert clock.slept == [7.0]
    impatient = itertools.repeat(limit)
    service.faults.inject(Fault("limited", instead=lambda _: next(impatient)), None, method="POST")
    with Transport(budget=None, patience=1.0) as transport:
        publisher = Publisher(transport, url=url, repository=NAME, token=TOKEN, sleep=clock.sleep)
        with pytest.raises(BuildSideError, match="rate-limited"):
            publisher.publish(bundle_for(SHA256), Shelf())


def test_a_token_that_may_not_write_lacks_a_permission(served: tuple[AttestationService, str]) -> None:
    service, url = served
    with Transport(budget=None) as transport:
        publisher = Publisher(transport, url=url, repository=NAME, token="reader")
        with pytest.raises(BuildSideError, match="answers 403") as caught:
            publisher.publish(bundle_for(SHA256), Shelf())
        assert "permissions: attestations: write" in caught.value.next_step
        stranger = Publisher(transport, url=url, repository=NAME, token="who")
        with pytest.raises(BuildSideError, match="answers 401"):
            stranger.publish(bundle_for(SHA256), Shelf())
    assert len(service.store) == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_gets_neither_token_nor_bundle(
    served: tuple[AttestationService, str], status: int
) -> None:
    service, url = served
    other = AttestationService(AttestationStore(), Options())
    with serve(other.app) as elsewhere, Transport(budget=None) as transport:
        moved = {"location": f"{elsewhere.url}/repos/{NAME}/attestations"}
        service.faults.inject(Fault("moved", instead=lambda _: exchange.Reply(status, b"", moved)), None)
        publisher = Publisher(transport, url=url, repository=NAME, token=TOKEN)
        with pytest.raises(BuildSideError, match="redirect-refused"):
            publisher.publish(bundle_for(SHA256), Shelf())
        assert other.log.total == 0
