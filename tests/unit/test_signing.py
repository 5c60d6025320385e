"""Keyless signing, before the sandbox's servers and sigstore-python's own client."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from sigstore.errors import Error as SigstoreError
from sigstore.models import ClientTrustConfig

from brew_provenance.errors import BuildSideError, InputError
from brew_provenance.sandbox.actions import build_statement, build_subject
from brew_provenance.sandbox.github.exchange import Call, Reply
from brew_provenance.sandbox.github.faults import Fault, body
from brew_provenance.sandbox.services.world import World, serve_world
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.signing import (
    ATTEMPTS,
    MAX_TOKEN_BYTES,
    Keyless,
    read_config,
    read_root,
    read_token,
)

NAME = "hello--3.0.1.x86_64_linux.bottle.tar.gz"


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    with serve_world() as made:
        yield made


@pytest.fixture
def world(running: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in running.environment_for(os.environ).items():
        monkeypatch.setenv(name, value)
    for log in running.requests.values():
        log.clear()
    yield running
    for faults in running.faults.values():
        faults.clear()


class Clock:
    """The time, or a while after it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Waits:
    """Remembers how long was waited, and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waits() -> Waits:
    return Waits()


Make = Callable[..., Keyless]


@pytest.fixture
def make(world: World, clock: Clock, waits: Waits) -> Iterator[Make]:
    """Make a signer; every one of them is closed at the end."""
    made: list[Keyless] = []

    def keyless(token: str | None = None, *, log: Any = "rekor-v1", patience: float = 30.0) -> Keyless:
        config = ClientTrustConfig.from_json(json.dumps(world.trust_config_for(log)))
        signing = Keyless(config, token, patience=patience, clock=clock, sleep=waits)
        made.append(signing)
        return signing

    yield keyless
    for signing in made:
        signing.__exit__()


def statement(world: World, name: str = NAME) -> bytes:
    return encode_json(build_statement([build_subject(name, "ab" * 32)], world.rehearsal.job.provenance()))


def certificate(bundle: bytes) -> bytes:
    raw: str = json.loads(bundle)["verificationMaterial"]["certificate"]["rawBytes"]
    return base64.b64decode(raw)


def entries(world: World) -> int:
    return len(world.log.v1.log.tree) + len(world.log.v2.log.tree)


def test_a_statement_is_signed_to_the_byte(world: World, make: Make) -> None:
    text = statement(world)
    bundle = json.loads(make().sign(text))
    assert base64.b64decode(bundle["dsseEnvelope"]["payload"]) == text
    found = x509.load_der_x509_certificate(certificate(json.dumps(bundle).encode()))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [world.rehearsal.job.signer_uri]


def test_one_certificate_serves_for_many_statements(world: World, make: Make) -> None:
    with make() as signing:
        signing.claims()
        bundles = [signing.sign(statement(world, f"{number}-{NAME}")) for number in range(5)]
    assert len({certificate(bundle) for bundle in bundles}) == 1
    assert world.requests["ca"].count("POST") == 1
    assert world.requests["oidc"].count() == 1
    assert len({json.loads(bundle)["dsseEnvelope"]["payload"] for bundle in bundles}) == 5


def test_several_threads_share_a_certificate(world: World, make: Make) -> None:
    signing = make()
    texts = [statement(world, f"{number}-{NAME}") for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        bundles = list(pool.map(signing.sign, texts))
    assert [base64.b64decode(json.loads(one)["dsseEnvelope"]["payload"]) for one in bundles] == texts
    assert world.requests["ca"].count("POST") == 1


@pytest.mark.parametrize(
    ("minutes", "certificates"), [(8.5, 1), (9.5, 2)], ids=["is valid yet", "is about to expire"]
)
def test_a_certificate_is_renewed_before_it_expires(
    world: World, make: Make, clock: Clock, minutes: float, certificates: int
) -> None:
    signing = make()
    first = signing.sign(statement(world))
    clock.ahead = timedelta(minutes=minutes)
    second = signing.sign(statement(world))
    assert len({certificate(first), certificate(second)}) == certificates
    # A token is valid for five minutes; the next certificate is for a fresh one.
    assert world.requests["oidc"].count() == certificates


def test_a_token_that_was_read_for_its_claims_long_ago_is_not_sent(
    world: World, make: Make, clock: Clock
) -> None:
    signing = make()
    signing.claims()
    clock.ahead = timedelta(minutes=4.5)
    signing.sign(statement(world))
    assert world.requests["oidc"].count() == 2


def test_claims_are_those_of_the_job(world: World, make: Make) -> None:
    claims = make().claims()
    job = world.rehearsal.job
    assert claims["repository"] == job.repository
    assert claims["run_id"] == job.run_id
    assert claims["repository_visibility"] == "public"
    assert claims["aud"] == "sigstore"


def test_a_token_that_was_given_is_used_as_long_as_it_is_valid(
    world: World, make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS")
    signing = make(world.issuer.issue("sigstore"))
    assert signing.claims()["repository"] == world.rehearsal.job.repository
    clock.ahead = timedelta(minutes=4.9)
    signing.sign(statement(world))
    assert world.requests["oidc"].count() == 0


def test_a_token_that_was_given_and_expires_has_to_be_given_anew(
    world: World, make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = make(world.issuer.issue("sigstore"))
    signing.sign(statement(world))
    clock.ahead = timedelta(minutes=10)
    # By the library's own clock it expires as well.
    real = datetime.now(UTC) + clock.ahead
    monkeypatch.setattr("sigstore.oidc.datetime", _Later(real))
    monkeypatch.setattr("jwt.api_jwt.datetime", _Later(real))
    with pytest.raises(BuildSideError, match="expired") as caught:
        signing.sign(statement(world))
    assert "--identity-token" in caught.value.next_step
    assert entries_of(world) == 1


class _Later(datetime):
    """A `datetime` for which it is later."""

    def __new__(cls, at: datetime) -> Any:
        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return at.astimezone(tz)

        return Later


def entries_of(world: World) -> int:
    return world.requests["log"].count("POST")


def test_outside_of_actions_a_token_has_to_be_given(
    make: Make, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS")
    with pytest.raises(BuildSideError, match="no job of GitHub Actions") as caught:
        make().claims()
    assert caught.value.next_step == "give --identity-token"
    assert waits.seconds == []


@pytest.mark.parametrize("missing", ["ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"])
def test_a_job_without_the_permission_is_told_which_line_is_missing(
    make: Make, waits: Waits, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(BuildSideError) as caught:
        make().claims()
    assert "permissions: id-token: write" in caught.value.next_step
    assert waits.seconds == []


def test_a_request_token_that_is_refused_is_told_and_not_shown(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hush-hush")
    with pytest.raises(BuildSideError) as caught:
        make().claims()
    assert "permissions: id-token: write" in caught.value.next_step
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({"exp": 1_000_000_000}, False),
        ({"aud": "other"}, False),
        ({"sub": None}, False),
        ({"iat": 4_000_000_000}, False),
    ],
)
def test_a_token_that_is_not_usable_is_refused_before_it_is_sent(
    world: World, make: Make, changes: Mapping[str, object], passes: bool
) -> None:
    token = world.issuer.issue("sigstore", changes)
    with pytest.raises(BuildSideError) as caught:
        make(token).claims()
    assert "--identity-token" in caught.value.next_step
    assert token not in str(caught.value)
    assert world.requests["ca"].count() == 0


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "eyJ.eyJ.x"])
def test_an_issuer_that_gives_no_token_is_tried_again_and_told(
    world: World, make: Make, waits: Waits, value: str
) -> None:
    world.faults["oidc"].inject(body(json.dumps({"value": value}).encode()), None)
    with pytest.raises(BuildSideError, match="GitHub gave none") as caught:
        make().claims()
    assert caught.value.thing == "the identity token"
    assert waits.seconds == [1.0, 2.0, 4.0]


def test_an_issuer_that_gives_old_tokens_is_tried_again_and_told(
    world: World, make: Make, waits: Waits
) -> None:
    old = world.issuer.issue("sigstore", {"exp": 1_000_000_000})
    world.faults["oidc"].inject(body(json.dumps({"value": old}).encode()), None)
    signing = make()
    with pytest.raises(BuildSideError, match="expired, or is malformed") as caught:
        signing.claims()
    assert old not in str(caught.value)
    assert waits.seconds == [1.0, 2.0, 4.0]
    world.faults["oidc"].clear()
    assert signing.claims()


def test_no_token_is_no_secret_that_every_message_would_be_cleared_of(make: Make) -> None:
    signing = make("")
    for _ in range(2):
        with pytest.raises(BuildSideError) as caught:
            signing.claims()
        assert "*" not in str(caught.value)


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"value": 1}', b"<html>", b"\xff", b"[" * 100_000])
def test_an_issuer_that_answers_anything_else_is_told(world: World, make: Make, answer: bytes) -> None:
    world.faults["oidc"].inject(body(answer), None)
    with pytest.raises(BuildSideError) as caught:
        make().claims()
    assert caught.value.thing == "the identity token"


def test_an_issuer_may_fail_once(world: World, make: Make, waits: Waits) -> None:
    world.bad_day("oidc=503:2")
    assert make().claims()
    assert waits.seconds == [1.0, 2.0]


def _claims_of(text: bytes) -> bytes:
    part = base64.urlsafe_b64encode(text).rstrip(b"=")
    return b"e30." + part + b".x"


PASSING = [
    ("ca=503", "the certificate authority", "503"),
    ("ca=500", "the certificate authority", "500"),
    ("ca=429", "the certificate authority", "429"),
    ("ca=down", "the certificate authority", "cannot be reached"),
    ("ca=lost", "the certificate authority", "cannot be reached"),
    ("ca=cut", "the certificate authority", ""),
    ("log=500", "the transparency log", "500"),
    ("log=409", "the transparency log", "409"),
    ("log=429", "the transparency log", "429"),
    ("log=down", "the transparency log", "cannot be reached"),
    ("log=lost", "the transparency log", "cannot be reached"),
    ("log=cut", "the transparency log", ""),
]
LASTING = [
    ("ca=400", "the certificate authority", "fresh token"),
    ("ca=401", "the certificate authority", "fresh token"),
    ("ca=403", "the certificate authority", "fresh token"),
    ("ca=404", "the certificate authority", "--trust-config"),
    ("log=400", "the transparency log", "--trust-config"),
    ("log=404", "the transparency log", "--trust-config"),
    ("log=422", "the transparency log", "--trust-config"),
]


@pytest.mark.parametrize("log", ["rekor-v1", "rekor-v2"])
@pytest.mark.parametrize(("fault", "thing", "cause"), PASSING)
def test_what_may_pass_is_tried_again_and_then_told(
    world: World, make: Make, waits: Waits, fault: str, thing: str, cause: str, log: str
) -> None:
    signing = make(log=log)
    world.bad_day(fault)
    with pytest.raises(BuildSideError) as caught:
        signing.sign(statement(world))
    assert caught.value.thing == thing
    assert cause in caught.value.cause
    assert "run the command again" in caught.value.next_step
    assert waits.seconds == [1.0, 2.0, 4.0]
    for faults in world.faults.values():
        faults.clear()
    assert signing.sign(statement(world))


@pytest.mark.parametrize(("fault", "thing", "cause"), PASSING)
def test_what_passes_is_not_told(world: World, make: Make, fault: str, thing: str, cause: str) -> None:
    world.bad_day(f"{fault}:{ATTEMPTS - 1}")
    assert make().sign(statement(world)), (thing, cause)
    # Whatever the log did, no further certificate was asked for on its account.
    if thing == "the transparency log":
        assert world.requests["ca"].count("POST") == 1


@pytest.mark.parametrize(("fault", "thing", "next_step"), LASTING)
def test_what_does_not_pass_is_told_at_once(
    world: World, make: Make, waits: Waits, fault: str, thing: str, next_step: str
) -> None:
    world.bad_day(fault)
    with pytest.raises(BuildSideError) as caught:
        make().sign(statement(world))
    assert caught.value.thing == thing
    assert fault.partition("=")[2] in caught.value.cause
    assert next_step in caught.value.next_step
    assert waits.seconds == []


@pytest.mark.parametrize("service", ["oidc", "ca", "log"])
def test_what_hangs_is_given_up(world: World, make: Make, service: str) -> None:
    world.bad_day(f"{service}=hang")
    with pytest.raises(BuildSideError, match="no answer within"):
        make(patience=0.3).sign(statement(world))


def test_what_hangs_once_is_tried_again(world: World, make: Make) -> None:
    world.bad_day("ca=hang:1")
    assert make(patience=2.0).sign(statement(world))


@pytest.mark.parametrize("fault", ["timestamping=503", "timestamping=down", "timestamping=cut"])
def test_without_a_timestamp_the_second_log_proves_no_time(world: World, make: Make, fault: str) -> None:
    signing = make(log="rekor-v2")
    world.bad_day(fault)
    with pytest.raises(BuildSideError) as caught:
        signing.sign(statement(world))
    assert caught.value.thing == "the timestamp authority"
    world.faults["timestamping"].clear()
    world.bad_day(f"{fault}:1")
    assert signing.sign(statement(world))


@pytest.mark.parametrize("server", ["ca", "log"])
@pytest.mark.parametrize(
    "answer",
    [b"", b"null", b"[]", b"{}", b"<html>", b"\xff", b'{"a":{}}', b'{"a":{"body":1}}', b"[" * 100_000],
    ids=lambda raw: repr(raw[:8]),
)
def test_a_service_that_answers_anything_else_is_told(
    world: World, make: Make, server: str, answer: bytes
) -> None:
    world.faults[server].inject(body(answer), None, method="POST")
    with pytest.raises(BuildSideError) as caught:
        make().sign(statement(world))
    assert caught.value.thing == {"ca": "the certificate authority", "log": "the transparency log"}[server]
    assert len(caught.value.cause) < 400


def alter(edit: Callable[[Any], object]) -> Fault:
    def altered(_: Call, reply: Reply) -> Reply:
        document = json.loads(reply.body)
        edit(document)
        return replace(reply, body=json.dumps(document).encode())

    return Fault("altered", altered)


def _entry(document: Any) -> Any:
    return next(iter(document.values()))


LIES: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "no proof": ("log", lambda found: _entry(found)["verification"].pop("inclusionProof")),
    "another root": (
        "log",
        lambda found: _entry(found)["verification"]["inclusionProof"].update(rootHash="00" * 32),
    ),
    "no body": ("log", lambda found: _entry(found).pop("body")),
    "a negative index": ("log", lambda found: _entry(found).update(logIndex=-1)),
    "no certificate": (
        "ca",
        lambda found: found["signedCertificateEmbeddedSct"]["chain"].update(certificates=[]),
    ),
    "no PEM": (
        "ca",
        lambda found: found["signedCertificateEmbeddedSct"]["chain"].update(certificates=["x", "y"]),
    ),
    "certificates in another order": (
        "ca",
        lambda found: found["signedCertificateEmbeddedSct"]["chain"]["certificates"].reverse(),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_lies_ends_in_no_traceback(world: World, make: Make, lie: str) -> None:
    server, edit = LIES[lie]
    world.faults[server].inject(alter(edit), None, method="POST")
    try:
        bundle = make().sign(statement(world))
    except BuildSideError as error:
        assert error.thing == {"ca": "the certificate authority", "log": "the transparency log"}[server]
    else:
        # What the library lets pass, the check of the bundle has to find before it is published.
        assert json.loads(bundle)


@pytest.mark.parametrize("status", [400, 401, 403, 500])
@pytest.mark.parametrize("server", ["oidc", "ca", "log"])
def test_an_answer_that_quotes_what_it_was_sent_is_told_without_secrets(
    world: World, make: Make, server: str, status: int
) -> None:
    heard: list[str] = []

    def quote(call: Call) -> Reply:
        said = call.headers.get("authorization", "") + " " + call.body.decode()
        heard.extend(re.findall(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", said))
        said = json.dumps({"code": status, "message": said + " and so on"})
        return Reply(status, said.encode(), {"content-type": "application/json"})

    world.faults[server].inject(Fault("quotation", instead=quote), None)
    with pytest.raises(BuildSideError) as caught:
        make().sign(statement(world))
    if server == "ca":
        assert heard
    told = str(caught.value) + repr(caught.value)
    assert not any(secret in told for secret in [*heard, world.request_token])
    assert not re.search(r"eyJ[\w-]+\.eyJ", told)
    assert "\n" not in caught.value.cause
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_certificate_that_expires_under_way_is_replaced(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = make()
    signing.sign(statement(world))
    later = datetime.now(UTC) + timedelta(minutes=11)
    with monkeypatch.context() as patch:
        patch.setattr("sigstore.sign.datetime", _Later(later))
        # The first attempt finds it expired, and so would every one with the same certificate.
        with pytest.raises(BuildSideError, match="the certificate authority"):
            signing.sign(statement(world))
    assert signing.sign(statement(world))
    assert world.requests["ca"].count("POST") > 1


def test_a_signature_that_took_longer_than_its_certificate_does_not_bring_that_one_back(
    world: World, make: Make, clock: Clock
) -> None:
    signing = make()
    reached = threading.Event()

    def be_slow(_: Call, reply: Reply) -> Reply:
        reached.set()
        return replace(reply, wait=0.7)

    world.faults["log"].inject(Fault("slow", be_slow))
    with ThreadPoolExecutor(1) as pool:
        signed = pool.submit(signing.sign, statement(world))
        assert reached.wait(30)
        clock.ahead = timedelta(minutes=9.5)
        renewed = signing.sign(statement(world))
        clock.ahead = timedelta()
        slow = signed.result()
    last = signing.sign(statement(world))
    assert certificate(slow) != certificate(renewed)
    assert certificate(last) == certificate(renewed)


def test_no_credential_is_one_error_more(world: World, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brew_provenance.signing.detect_credential", lambda: None)
    with pytest.raises(BuildSideError, match="GitHub gives none"):
        make().claims()


def test_claims_that_cannot_be_read_are_told(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Token:
        def __init__(self, raw: str) -> None:
            self.raw = raw

        def __str__(self) -> str:
            return self.raw

    monkeypatch.setattr("brew_provenance.signing.IdentityToken", Token)
    for text in (b"[]", b"\xff", b'{"a": 1, "a": 2}'):
        with pytest.raises(BuildSideError, match="cannot be read"):
            make(_claims_of(text).decode()).claims()
    # What does not say when it ends has ended.
    for ending in (b"", b', "exp": "soon"', b', "exp": 1%s' % (b"0" * 30)):
        signing = make(_claims_of(b'{"b": 2, "c": []%s}' % ending).decode())
        assert signing.claims()["b"] == "2"
        assert "c" not in signing.claims()


# Files.


def test_a_configuration_is_read_with_its_root(world: World, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(world.trust_config), encoding="utf-8")
    assert read_config(path).trusted_root is not None
    root = read_root(path)
    assert (root.name, root.built_in) == (str(path), False)
    assert json.loads(root.raw) == world.trusted_root


BAD_FILES = {
    "empty": b"",
    "not JSON": b"x",
    "a list": b"[]",
    "an empty object": b"{}",
    "a number as a root": b'{"trustedRoot": 1}',
    "too deep": b"[" * 100_000,
    "a key twice": b'{"a": 1, "a": 2}',
    "too long": b" " * (4 * 1024 * 1024 + 1),
}


@pytest.mark.parametrize("raw", BAD_FILES.values(), ids=BAD_FILES)
@pytest.mark.parametrize("read", [read_config, read_root])
def test_a_file_that_is_no_configuration_is_told(
    tmp_path: Path, raw: bytes, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.thing == str(path)
    assert "client trust configuration" in caught.value.next_step


@pytest.mark.parametrize("read", [read_config, read_root, read_token])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "nothing")


def test_a_configuration_without_services_is_told(world: World) -> None:
    document: Any = json.loads(json.dumps(world.trust_config))
    for name in ("rekorTlogUrls", "caUrls"):
        changed = json.loads(json.dumps(document))
        changed["signingConfig"][name] = []
        with pytest.raises(BuildSideError, match="trust config"):
            Keyless(ClientTrustConfig.from_json(json.dumps(changed)))


def test_without_a_file_it_is_sigstores_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = object()
    monkeypatch.setattr(ClientTrustConfig, "production", lambda: made)
    assert read_config(None) is made


@pytest.mark.parametrize("error", [SigstoreError("no TUF\nhere"), OSError("no network"), ValueError("x")])
def test_without_a_network_sigstores_own_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(ClientTrustConfig, "production", fail)
    with pytest.raises(BuildSideError, match="Sigstore's TUF repository") as caught:
        read_config(None)
    assert "\n" not in caught.value.cause


def test_a_token_is_read_without_the_line_feed_after_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(b"eyJh.eyJi.c-_\n")
    assert read_token(path) == "eyJh.eyJi.c-_"


BAD_TOKENS = {
    "empty": b"",
    "two parts": b"a.b",
    "four parts": b"a.b.c.d",
    "an empty part": b"a..c",
    "a header injection": b"a.b.c\r\nX: y",
    "not ASCII": "a.b.ü".encode(),
    "too long": b"a.b." + b"c" * MAX_TOKEN_BYTES,
}


@pytest.mark.parametrize("raw", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_file_that_holds_no_token_is_told_and_not_quoted(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_token(path)
    assert caught.value.cause == "not an identity token"
