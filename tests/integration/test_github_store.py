"""GitHub's attestation store over real HTTP, on good days and on bad ones."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

import pytest
from tests.unit.clock import Clock

from brew_provenance.bottle import Bottle, Digest
from brew_provenance.bundle import Bundle
from brew_provenance.check import Trust, check_targets
from brew_provenance.findings import REASONS, Finding, Severity
from brew_provenance.pace import Pace
from brew_provenance.policy import policy_for_tap
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.github import faults
from brew_provenance.sandbox.github.attestations import AttestationStore, Visibility
from brew_provenance.sandbox.github.faults import Fault
from brew_provenance.sandbox.github.options import (
    LINKED_VERSION,
    Budgets,
    BulkShape,
    Grant,
    Inline,
    Missing,
    NoRows,
    Options,
    inline_share,
)
from brew_provenance.sandbox.github.service import AttestationService, Served, serve_github
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.stores import Answer, githubapi
from brew_provenance.stores.github import GitHubStore
from brew_provenance.stores.githubapi import API_VERSION, GitHubAPI
from brew_provenance.subject import Question
from brew_provenance.targets import Target
from brew_provenance.transport import Transport
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Outcome, Verdict
from brew_provenance.verify import Verifier

TAP, REPOSITORY, TOKEN = "octo/tap", "octo/homebrew-tap", "github_pat_for_tests"
BOTTLES = [
    Bottle(
        TAP,
        "foo",
        f"1.{number}",
        0,
        "x86_64_linux",
        Digest("sha256", hashlib.sha256(b"%d" % number).hexdigest()),
        f"https://ghcr.io/v2/octo/tap/foo/blobs/{number}",
    )
    for number in range(12)
]
UNKNOWN = Digest("sha256", "0" * 64)


@pytest.fixture(scope="module")
def sigstore() -> VirtualSigstore:
    return VirtualSigstore()


@pytest.fixture(scope="module")
def trust(sigstore: VirtualSigstore) -> Trust:
    root = TrustedRoot("the rehearsal's", encode_json(sigstore.trusted_root()), built_in=False)
    return Trust(Verifier([root]), (root,))


@pytest.fixture(scope="module")
def bundles(sigstore: VirtualSigstore) -> Sequence[bytes]:
    """Two attestations, for six bottles each."""
    job = ActionsJob(repository=REPOSITORY, event_name="workflow_dispatch")
    return [
        encode_json(
            sigstore.attest(
                build_statement(
                    [build_subject(str(bottle.file_name), bottle.digest.value) for bottle in some],
                    job.provenance(),
                ),
                job,
                at=SIGNED_AT,
            )
        )
        for some in (BOTTLES[:6], BOTTLES[6:])
    ]


class World:
    """A store that is served, and a client of it."""

    def __init__(self, bundles: Sequence[bytes], stack: ExitStack) -> None:
        store = AttestationStore()
        store.add_repository(REPOSITORY)
        for bundle in bundles:
            store.add(REPOSITORY, bundle)
        self.service = AttestationService(store, Options(tokens={TOKEN: Grant()}))
        self.served: Served = stack.enter_context(serve_github(self.service))
        self.slept: list[float] = []
        self._stack = stack

    def option(self, **changes: object) -> None:
        backend = self.service.backend
        backend.options = replace(backend.options, **changes)  # type: ignore[arg-type]

    def store(
        self,
        *,
        token: str | None = TOKEN,
        version: str = API_VERSION,
        budget: float = 20,
        patience: float = 5,
        url: str | None = None,
        batch: int = 100,
        repositories: Sequence[str] = (REPOSITORY,),
    ) -> GitHubStore:
        transport = self._stack.enter_context(
            Transport(budget=budget, patience=patience, sleep=self.slept.append)
        )
        api = GitHubAPI(
            transport, url or self.served.url, token=token, token_name="the token", version=version
        )
        return GitHubStore(transport, api, repositories, batch=batch)

    def count(self, path: str, method: str = "*") -> int:
        return self.service.log.count(method, path)


@pytest.fixture
def world(bundles: Sequence[bytes]) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(bundles, stack)


def digests(number: int) -> list[Digest]:
    return [bottle.digest for bottle in BOTTLES[:number]]


def found(answer: Answer) -> bool:
    return any(isinstance(item.bundle, Bundle) for item in answer.candidates)


def codes(answer: Answer) -> set[str]:
    in_candidates = {item.bundle.code for item in answer.candidates if isinstance(item.bundle, Finding)}
    return in_candidates | {finding.code for finding in answer.findings}


def judge(bottles: Sequence[Bottle], store: GitHubStore, trust: Trust) -> list[Verdict]:
    targets = [
        Target(Question(bottle.version, (bottle.digest,), bottle=bottle), TAP, "a test") for bottle in bottles
    ]
    return check_targets(targets, lambda _tap: store, lambda: trust, policy_for_tap)


@pytest.mark.parametrize("number", [1, 2, 3, 12])
@pytest.mark.parametrize("token", [TOKEN, None])
@pytest.mark.parametrize("version", [API_VERSION, LINKED_VERSION])
def test_bottles_with_attestations_are_verified(
    number: int, token: str | None, version: str, world: World, trust: Trust
) -> None:
    verdicts = judge(BOTTLES[:number], world.store(token=token, version=version), trust)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.VERIFIED] * number
    assert world.count("/attestations/*") == (0 if version == API_VERSION else -(-number // 6))


@pytest.mark.parametrize("shape", BulkShape)
@pytest.mark.parametrize("missing", Missing)
@pytest.mark.parametrize("inline", Inline)
def test_all_documented_shapes_of_a_bulk_answer_are_read(
    shape: BulkShape, missing: Missing, inline: Inline, world: World
) -> None:
    world.option(bulk_shape=shape, bulk_missing=missing, inline=inline_share(0.5, inline))
    answers = world.store().resolve([*digests(12), UNKNOWN])
    assert all(found(answers[digest]) for digest in digests(12))
    assert answers[UNKNOWN] == Answer()
    assert world.count("*/bulk-list", "POST") == 1


def test_github_is_never_asked_for_more_lists_than_its_secondary_limit_allows() -> None:
    clock = Clock()
    store = AttestationStore()
    store.add_repository(REPOSITORY)
    options = Options(tokens={TOKEN: Grant()}, budgets=Budgets(points=900))
    service = AttestationService(store, options, clock=clock)
    many = [Digest("sha256", f"{number:064x}") for number in range(400)]
    with (
        serve_github(service) as served,
        Transport(budget=None, patience=0, clock=clock, sleep=clock.sleep) as transport,
    ):
        pace = Pace(githubapi.LISTS, clock=clock, sleep=clock.sleep)
        api = GitHubAPI(transport, served.url, token=TOKEN, pace=pace)
        answers = GitHubStore(transport, api, [REPOSITORY], batch=1).resolve(many)
    assert set(answers.values()) == {Answer()}
    assert service.log.count("POST", "*/bulk-list") == 400
    assert 120 < clock.now < 180


def test_this_machine_has_no_limit_and_every_other_host_has_githubs() -> None:
    with Transport() as transport:
        assert GitHubAPI(transport)._pace is not None
        assert GitHubAPI(transport, "https://octo.ghe.com/api/v3")._pace is not None
        assert GitHubAPI(transport, "http://127.0.0.1:8080")._pace is None


@pytest.mark.parametrize("no_rows", NoRows)
def test_both_ways_of_saying_none_are_none(no_rows: NoRows, world: World) -> None:
    world.option(no_rows=no_rows)
    assert world.store().resolve([UNKNOWN]) == {UNKNOWN: Answer()}


def test_whether_the_repository_can_be_seen_is_asked_once(world: World) -> None:
    unknown = [Digest("sha256", f"{number:064x}") for number in range(8)]
    answers = world.store(token=None).resolve(unknown)
    assert set(answers.values()) == {Answer()}
    assert world.count(f"/repos/{REPOSITORY}", "GET") == 1


@pytest.mark.parametrize("number", [1, 12])
@pytest.mark.parametrize("visibility", [Visibility.PRIVATE, Visibility.MISSING])
def test_a_repository_that_cannot_be_seen_is_not_one_without_attestations(
    number: int, visibility: Visibility, world: World
) -> None:
    world.service.store.set_visibility(REPOSITORY, visibility)
    answers = world.store().resolve(digests(number))
    assert {code for answer in answers.values() for code in codes(answer)} == {"repository-not-visible"}


def test_rows_of_other_repositories_of_the_owner_are_left_out(
    world: World, sigstore: VirtualSigstore, bundles: Sequence[bytes], trust: Trust
) -> None:
    world.service.store.add_repository("octo/other")
    world.service.store.add("octo/other", bundles[0])
    verdicts = judge(BOTTLES, world.store(), trust)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.VERIFIED}
    assert {len(verdict.assessments) for verdict in verdicts} == {1}


def test_a_user_has_another_route_than_an_organisation(world: World) -> None:
    world.service.faults.inject(faults.respond(404), None, path="/orgs/*")
    answers = world.store(batch=4).resolve(digests(12))
    assert all(map(found, answers.values()))
    assert world.count("/users/*/bulk-list") == 3
    assert world.count("/orgs/*/bulk-list") <= 3


def test_a_digest_that_is_named_more_often_is_listed_with_fewer_others_and_asked_for_once(
    world: World,
) -> None:
    wanted = digests(12)
    answers = world.store(batch=4).resolve([wanted[5]] * 3 + wanted)
    assert set(answers) == set(wanted)
    # Four of one digest fill a page, and the other eleven take three.
    assert world.count("*/bulk-list", "POST") == 4
    plain = world.store().resolve(wanted)
    assert {digest: len(answer.candidates) for digest, answer in answers.items()} == {
        digest: len(answer.candidates) for digest, answer in plain.items()
    }


def test_a_bulk_list_that_needs_a_token_is_tried_once_without(world: World) -> None:
    answers = world.store(token=None, batch=4).resolve(digests(12))
    assert all(map(found, answers.values()))
    assert world.count("*/bulk-list") == 1
    assert world.count(f"/repos/{REPOSITORY}/attestations/*") == 12


@pytest.mark.parametrize("number", [1, 12])
def test_a_token_that_is_refused_is_told_once_and_gone_without(
    number: int, world: World, trust: Trust
) -> None:
    verdicts = judge(BOTTLES[:number], world.store(token="expired"), trust)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.VERIFIED}
    assert [finding.code for finding in verdicts[0].findings].count("token-refused") == 1
    assert "expired" not in repr(verdicts)


def test_too_many_digests_are_halved(world: World) -> None:
    world.option(max_bulk_digests=4)
    answers = world.store().resolve(digests(12))
    assert all(map(found, answers.values()))


def test_a_digest_that_is_split_over_pages_is_put_together(
    world: World, sigstore: VirtualSigstore, bundles: Sequence[bytes]
) -> None:
    job = ActionsJob(repository=REPOSITORY)
    subject = build_subject(str(BOTTLES[0].file_name), BOTTLES[0].digest.value)
    many = encode_json(sigstore.attest(build_statement([subject], job.provenance()), job, at=SIGNED_AT))
    for _ in range(130):
        world.service.store.add(REPOSITORY, many)
    for number in (1, 12):
        answers = world.store().resolve(digests(number))
        assert len(answers[BOTTLES[0].digest].candidates) == 131
        assert all(map(found, answers.values()))


def test_the_token_is_seen_by_no_host_but_the_api(world: World) -> None:
    world.store(version=LINKED_VERSION).resolve(digests(12))
    world.store(version=LINKED_VERSION).resolve(digests(1))
    assert world.count("/attestations/*") > 0
    assert world.service.log.leaks == ()
    seen = {record.side for record in world.service.log.records if record.authorization}
    assert seen == {"api"}


def test_an_expired_link_is_asked_for_anew_once(world: World) -> None:
    world.service.faults.inject(faults.respond(403), path="/attestations/*")
    answers = world.store(version=LINKED_VERSION).resolve(digests(12))
    assert all(map(found, answers.values()))


@pytest.mark.parametrize("number", [1, 12])
def test_a_link_that_never_works_is_no_answer(number: int, world: World) -> None:
    world.option(url_lifetime=0)
    answers = world.store(version=LINKED_VERSION).resolve(digests(number))
    assert {code for answer in answers.values() for code in codes(answer)} == {"link-expired"}


def test_another_repository_is_asked_for_what_the_first_has_not(
    world: World, bundles: Sequence[bytes]
) -> None:
    world.service.store.add_repository("notary/notes")
    ids = [world.service.store.add("notary/notes", bundles[0])]
    answers = world.store(repositories=["notary/notes", REPOSITORY]).resolve(digests(12))
    assert all(map(found, answers.values()))
    assert world.count("/orgs/notary/attestations/bulk-list") == 1
    assert len(ids) == 1


LISTS = "*attestations*"
BLOBS = "/attestations/*"

# What goes wrong, at which requests, and the code that each verdict then has to bear.
BAD_DAYS: list[tuple[str, Fault, str, str, str]] = [
    ("401", faults.respond(401), LISTS, "access-denied", API_VERSION),
    ("403", faults.respond(403), LISTS, "access-denied", API_VERSION),
    ("403 with retry-after", faults.secondary_limit("600"), LISTS, "rate-limited", API_VERSION),
    ("403 without retry-after", faults.secondary_limit(None), LISTS, "rate-limited", API_VERSION),
    ("403, nothing remaining", faults.primary_limit(4102444800), LISTS, "rate-limited", API_VERSION),
    ("429", faults.respond(429), LISTS, "rate-limited", API_VERSION),
    ("429 with retry-after", faults.secondary_limit("1", 429), LISTS, "rate-limited", API_VERSION),
    ("404 for all", faults.respond(404), "*", "repository-not-visible", API_VERSION),
    ("400", faults.respond(400), LISTS, "answer-unexpected", API_VERSION),
    ("500", faults.respond(500), LISTS, "server-failed", API_VERSION),
    ("503", faults.respond(503), LISTS, "server-failed", API_VERSION),
    ("slow headers", faults.slow_headers(30), LISTS, "time-budget-spent", API_VERSION),
    ("slow body", faults.slow_body(1, 0.2), LISTS, "time-budget-spent", API_VERSION),
    ("cut body", faults.cut_body(40), LISTS, "connection-broken", API_VERSION),
    ("invalid JSON", faults.invalid_json(), LISTS, "answer-unreadable", API_VERSION),
    ("deep JSON", faults.deep_json(), LISTS, "answer-unreadable", API_VERSION),
    ("duplicate keys", faults.duplicate_keys(), LISTS, "answer-unreadable", API_VERSION),
    ("null lists", faults.null_lists(), LISTS, "answer-unexpected", API_VERSION),
    ("a list of numbers", faults.body(b"[1]"), LISTS, "answer-unexpected", API_VERSION),
    ("rows without anything", faults.bare_rows(), LISTS, "store-row-empty", API_VERSION),
    ("50 MB of JSON", faults.long_body(), LISTS, "answer-too-long", API_VERSION),
    ("redirect", faults.redirect("https://attacker.invalid/"), LISTS, "redirect-refused", API_VERSION),
    (
        "redirect of a bundle",
        faults.redirect("https://a.invalid/"),
        BLOBS,
        "redirect-refused",
        LINKED_VERSION,
    ),
    ("plain link", faults.other_url("http://192.0.2.1/a"), LISTS, "url-refused", LINKED_VERSION),
    ("file link", faults.other_url("file:///etc/hostname"), LISTS, "url-refused", LINKED_VERSION),
    ("link to nowhere", faults.other_url("https://no.invalid/"), LISTS, "host-not-found", LINKED_VERSION),
    ("Snappy bomb", faults.snappy_bomb(), BLOBS, "answer-unreadable", LINKED_VERSION),
    ("corrupt Snappy", faults.corrupt_snappy(), BLOBS, "answer-unreadable", LINKED_VERSION),
    ("empty bundle", faults.body(b""), BLOBS, "answer-unreadable", LINKED_VERSION),
    ("bundles fail", faults.respond(502), BLOBS, "server-failed", LINKED_VERSION),
    ("bundle cut", faults.cut_body(10), BLOBS, "connection-broken", LINKED_VERSION),
]


@pytest.mark.parametrize("number", [1, 12])
@pytest.mark.parametrize(
    ("fault", "path", "code", "version"), [row[1:] for row in BAD_DAYS], ids=[row[0] for row in BAD_DAYS]
)
def test_a_fault_is_neither_none_nor_a_forgery_and_has_its_own_code(
    number: int, fault: Fault, path: str, code: str, version: str, world: World, trust: Trust
) -> None:
    world.service.faults.inject(fault, None, path=path)
    slow = code == "time-budget-spent"
    store = world.store(version=version, budget=1.0 if slow else 30.0)
    verdicts = judge(BOTTLES[:number], store, trust)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.UNRESOLVED}
    assert {verdict.faults[0].code for verdict in verdicts} <= {code, *ALIKE.get(code, ())}
    assert sum(world.slept) < 60


ALIKE = {"time-budget-spent": {"answer-timed-out"}}


def test_a_missing_content_type_is_survived(world: World) -> None:
    world.service.faults.inject(faults.content_type("text/html"), None)
    assert found(world.store().resolve(digests(1))[BOTTLES[0].digest])


@pytest.mark.parametrize("fault", [faults.respond(502), faults.cut_body(40), faults.secondary_limit("1")])
@pytest.mark.parametrize("number", [1, 12])
def test_a_fault_that_passes_is_survived(fault: Fault, number: int, world: World) -> None:
    world.service.faults.inject(fault, 2, path=LISTS)
    assert all(map(found, world.store().resolve(digests(number)).values()))
    assert world.slept


@pytest.mark.parametrize("number", [1, 12])
@pytest.mark.parametrize("fault", [faults.cursor_loop(), faults.missing_page()])
def test_pages_that_do_not_end_or_are_missing_hide_nothing_that_was_found(
    fault: Fault, number: int, world: World, bundles: Sequence[bytes], trust: Trust
) -> None:
    for _ in range(110):
        world.service.store.add(REPOSITORY, bundles[0])
    world.service.faults.inject(fault, None)
    verdicts = judge(BOTTLES[:number], world.store(), trust)
    allowed = {Outcome.VERIFIED, Outcome.UNRESOLVED}
    assert {verdict.outcome for verdict in verdicts} <= allowed
    assert Outcome.VERIFIED in {verdict.outcome for verdict in verdicts}


@pytest.mark.parametrize("number", [1, 12])
def test_rows_for_another_digest_are_no_evidence(number: int, world: World, trust: Trust) -> None:
    world.service.faults.inject(faults.other_digest(BOTTLES[11].digest), None, path=LISTS)
    verdicts = judge(BOTTLES[:number], world.store(token=None), trust)
    assert Outcome.VERIFIED not in {verdict.outcome for verdict in verdicts[:6]}
    assert Outcome.REJECTED not in {verdict.outcome for verdict in verdicts}
    assert Outcome.UNATTESTED not in {verdict.outcome for verdict in verdicts}


def test_rows_that_were_swapped_are_no_evidence(world: World, trust: Trust) -> None:
    world.service.faults.inject(faults.swapped_digests(), None)
    outcomes = [verdict.outcome for verdict in judge(BOTTLES, world.store(), trust)]
    assert outcomes.count(Outcome.UNRESOLVED) == 2
    assert outcomes.count(Outcome.VERIFIED) == 10


def closed_port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("number", [1, 12])
@pytest.mark.parametrize(
    ("url", "code"),
    [
        (closed_port, "connection-failed"),
        (lambda: "https://nowhere.invalid", "host-not-found"),
        (lambda: "http://example.org", "url-refused"),
    ],
)
def test_a_store_that_cannot_be_reached_is_no_answer(
    number: int, url: Callable[[], str], code: str, world: World, trust: Trust
) -> None:
    verdicts = judge(BOTTLES[:number], world.store(url=url()), trust)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.UNRESOLVED}
    assert {verdict.faults[0].code for verdict in verdicts} == {code}


@pytest.mark.parametrize("number", [1, 12])
def test_a_store_without_tls_where_tls_is_asked_for_is_no_answer(
    number: int, world: World, trust: Trust
) -> None:
    verdicts = judge(BOTTLES[:number], world.store(url=world.served.url.replace("http:", "https:")), trust)
    assert {verdict.faults[0].code for verdict in verdicts} == {"tls-failed"}


def test_every_code_of_a_look_up_leaves_the_question_open() -> None:
    used = {row[3] for row in BAD_DAYS} | {"tls-failed", "connection-failed", "link-expired"}
    assert len(BAD_DAYS) >= 25
    assert {REASONS[code].severity for code in used} == {Severity.UNRESOLVED}
