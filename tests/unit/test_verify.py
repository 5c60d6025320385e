"""What the step around Sigstore's cryptography adds: times, several roots, and refusals with a code."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sigstore.errors import Error as SigstoreError

from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.certificate import ClaimError
from brew_provenance.errors import TrustError
from brew_provenance.evidence import Evidence, TimeSource
from brew_provenance.findings import Finding
from brew_provenance.sandbox.bundle import BUNDLE_V01
from brew_provenance.sandbox.envelope import read_signature
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.trust import TrustedRoot
from brew_provenance.verify import Verifier


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario()


def root_of(scenario: Scenario, name: str = "virtual", **changes: Any) -> TrustedRoot:
    document = {**scenario.sigstore.trusted_root(), **changes}
    return TrustedRoot(name, json.dumps(document).encode(), built_in=False)


def answer(verifier: Verifier, document: dict[str, Any]) -> Evidence | Finding:
    bundle = read_bundle(json.dumps(document).encode())
    assert isinstance(bundle, Bundle)
    return verifier.verify(bundle, ())


def times(evidence: Evidence | Finding) -> list[TimeSource]:
    assert isinstance(evidence, Evidence), evidence
    return [verified.source for verified in evidence.times]


def test_every_source_of_time_that_verifies_is_in_the_evidence(scenario: Scenario) -> None:
    verifier = Verifier([root_of(scenario)])
    attest = scenario.sigstore.attest
    promised = attest(scenario.statement(), scenario.job, at=scenario.at)
    stamped = attest(scenario.statement(), scenario.job, at=scenario.at, log="rekor-v2")
    both = attest(scenario.statement(), scenario.job, at=scenario.at, timestamps=True)

    assert times(answer(verifier, promised)) == [TimeSource.LOG]
    assert times(answer(verifier, stamped)) == [TimeSource.AUTHORITY]
    assert times(answer(verifier, both)) == [TimeSource.LOG, TimeSource.AUTHORITY]


def test_timestamp_that_does_not_verify_is_not_in_the_evidence(scenario: Scenario) -> None:
    verifier = Verifier([root_of(scenario)])
    bundle = scenario.bundle()
    right = scenario.sigstore.timestamp_authority
    signature = read_signature(bundle["dsseEnvelope"])
    early = scenario.at - timedelta(days=365)
    stamps = [
        scenario.other.timestamp_authority.stamp(signature, early),
        right.stamp(b"something else", early),
        right.stamp(signature, scenario.at),
    ]
    bundle["verificationMaterial"]["timestampVerificationData"] = {
        "rfc3161Timestamps": [{"signedTimestamp": base64.b64encode(stamp).decode()} for stamp in stamps]
    }

    evidence = answer(verifier, bundle)

    assert times(evidence) == [TimeSource.LOG, TimeSource.AUTHORITY]
    assert isinstance(evidence, Evidence)
    assert {verified.time for verified in evidence.times} == {scenario.at}


@pytest.mark.parametrize("start", ["2026-03-01T12:00:01Z", "2099-01-01T00:00:00Z"])
def test_timestamp_outside_its_authoritys_validity_is_not_in_the_evidence(
    start: str, scenario: Scenario
) -> None:
    (authority,) = scenario.sigstore.trusted_root()["timestampAuthorities"]
    later = {**authority, "validFor": {"start": start}}
    verifier = Verifier([root_of(scenario, timestampAuthorities=[later])])
    both = scenario.sigstore.attest(scenario.statement(), scenario.job, at=scenario.at, timestamps=True)

    assert times(answer(verifier, both)) == [TimeSource.LOG]


def test_root_without_timestamp_authority_refuses_timestamps(scenario: Scenario) -> None:
    verifier = Verifier([root_of(scenario, timestampAuthorities=[])])
    both = scenario.sigstore.attest(scenario.statement(), scenario.job, at=scenario.at, timestamps=True)
    older = stamped(scenario.bundle_intoto(), b"a timestamp")

    for document in (both, older):
        refused = answer(verifier, document)
        assert isinstance(refused, Finding)
        assert refused.code == "timestamp-authority-unknown"


@pytest.mark.parametrize("logged", [Scenario.bundle, Scenario.bundle_v2])
@pytest.mark.parametrize("right_first", [True, False])
def test_right_root_is_found_among_several_and_named(
    logged: Callable[[Scenario], dict[str, Any]], scenario: Scenario, *, right_first: bool
) -> None:
    other = TrustedRoot("other", json.dumps(scenario.other.trusted_root()).encode(), built_in=False)
    roots = [root_of(scenario, "right"), other]

    evidence = answer(Verifier(roots if right_first else roots[::-1]), logged(scenario))

    assert isinstance(evidence, Evidence)
    assert evidence.trusted_root == "right"


@pytest.mark.parametrize("right_first", [True, False])
def test_root_that_knows_the_authority_says_what_is_wrong(scenario: Scenario, *, right_first: bool) -> None:
    other = TrustedRoot("other", json.dumps(scenario.other.trusted_root()).encode(), built_in=False)
    roots = [root_of(scenario, "right"), other]
    bundle = scenario.bundle()
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(b"no signature").decode()

    refused = answer(Verifier(roots if right_first else roots[::-1]), bundle)

    assert isinstance(refused, Finding)
    assert refused.code == "envelope-signature-invalid"


def test_roots_are_never_mixed(scenario: Scenario) -> None:
    """The certificate authority of one root with the log of another is no root that anybody gave."""
    logs = {name: scenario.other.trusted_root()[name] for name in ("tlogs", "ctlogs")}
    mixed = root_of(scenario, **logs)
    other = TrustedRoot("other", json.dumps(scenario.other.trusted_root()).encode(), built_in=False)

    refused = answer(Verifier([other, mixed]), scenario.bundle())

    assert isinstance(refused, Finding)
    assert refused.code == "sct-invalid"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"certificateAuthorities": []}, "not a usable trusted root"),
        ({"tlogs": [{}]}, "not a usable trusted root"),
        (
            {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=9"},
            "not a usable trusted root",
        ),
        ({"unknown": 1}, "not a usable trusted root"),
    ],
)
def test_root_that_cannot_be_used_is_an_error(
    changes: dict[str, Any], cause: str, scenario: Scenario
) -> None:
    with pytest.raises(TrustError, match=cause):
        Verifier([root_of(scenario, **changes)])


@pytest.mark.parametrize("raw", [b"", b"[]", b"7", b"{", b'{"tlogs": [1], "tlogs": []}'])
def test_root_that_is_no_document_is_an_error(raw: bytes) -> None:
    with pytest.raises(TrustError, match="not a usable trusted root"):
        Verifier([TrustedRoot("bad", raw, built_in=False)])


def test_root_without_log_judges_nothing(scenario: Scenario) -> None:
    refused = answer(Verifier([root_of(scenario, tlogs=[])]), scenario.bundle())

    assert isinstance(refused, Finding)
    assert refused.code == "unsupported-trusted-root"


def test_no_root_is_an_error() -> None:
    with pytest.raises(TrustError, match="there is none"):
        Verifier([])


def test_message_signature_needs_the_digest_that_it_is_over(scenario: Scenario) -> None:
    verifier = Verifier([root_of(scenario)])
    bundle = read_bundle(
        json.dumps(scenario.sigstore.sign_message(scenario.artifact, scenario.job, at=scenario.at)).encode()
    )
    assert isinstance(bundle, Bundle)

    good = verifier.verify(bundle, [Digest("sha256", scenario.digest)])
    other = verifier.verify(bundle, [Digest("sha256", "0" * 64)])
    unknown = verifier.verify(bundle, [Digest("sha512", "0" * 128)])

    assert isinstance(good, Evidence)
    assert good.payload_type is None
    assert isinstance(other, Finding)
    assert other.code == "message-digest-mismatch"
    assert isinstance(unknown, Finding)
    assert unknown.code == "not-an-attestation"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("a bug of a library"), "verification-crashed"),
        (ValueError("malformed"), "bundle-malformed"),
        (ClaimError("of no encoding"), "certificate-claims-malformed"),
        (binascii.Error("of no base64"), "log-checkpoint-malformed"),
        (SigstoreError("something new"), "verification-failed"),
        (SigstoreError(), "verification-failed"),
    ],
)
def test_whatever_is_raised_is_a_finding(
    error: Exception, code: str, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise error

    monkeypatch.setattr("sigstore.verify.Verifier.verify_dsse", fail)

    refused = answer(Verifier([root_of(scenario)]), scenario.bundle())

    assert isinstance(refused, Finding)
    assert refused.code == code


def test_unsupported_kind_is_not_handed_to_sigstore(scenario: Scenario) -> None:
    bundle = scenario.bundle()
    bundle["verificationMaterial"]["tlogEntries"][0]["kindVersion"] = {"kind": "dsse", "version": "0.0.2"}

    refused = answer(Verifier([root_of(scenario)]), bundle)

    assert isinstance(refused, Finding)
    assert refused.code == "unsupported-dsse-002-log-entry"


def stamped(document: dict[str, Any], *stamps: bytes) -> dict[str, Any]:
    encoded = [{"signedTimestamp": base64.b64encode(stamp).decode()} for stamp in stamps]
    document["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": encoded}
    return document


@pytest.mark.parametrize(
    ("make", "kind", "is_proven", "limits"),
    [
        (Scenario.bundle, "dsse/0.0.1", True, []),
        (Scenario.bundle_v2, "hashedrekord/0.0.2", True, []),
        (Scenario.bundle_intoto, "intoto/0.0.2", True, []),
        (Scenario.bundle_promised, "dsse/0.0.1", False, ["log-promise-only"]),
    ],
)
def test_evidence_says_what_kind_of_entry_there_is(
    make: Callable[[Scenario], dict[str, Any]],
    kind: str,
    limits: list[str],
    scenario: Scenario,
    *,
    is_proven: bool,
) -> None:
    document = make(scenario)

    evidence = answer(Verifier([root_of(scenario)]), document)

    assert isinstance(evidence, Evidence)
    assert evidence.log_entry is not None
    assert (evidence.log_entry.kind, evidence.log_entry.is_proven) == (kind, is_proven)
    assert [limit.code for limit in evidence.limits] == limits
    assert evidence.signature == read_signature(document["dsseEnvelope"])
    assert evidence.payload == base64.b64decode(document["dsseEnvelope"]["payload"])
    assert evidence.claims.source_repository_id == scenario.job.repository_id


@pytest.mark.parametrize("make", [Scenario.bundle_intoto, Scenario.bundle_promised])
def test_older_kinds_take_their_time_from_whoever_vouches_for_it(
    make: Callable[[Scenario], dict[str, Any]], scenario: Scenario
) -> None:
    verifier = Verifier([root_of(scenario)])
    document = make(scenario)
    signature = read_signature(document["dsseEnvelope"])
    right = scenario.sigstore.timestamp_authority.stamp(signature, scenario.at)
    strange = scenario.other.timestamp_authority.stamp(signature, scenario.at)

    assert times(answer(verifier, document)) == [TimeSource.LOG]
    assert times(answer(verifier, stamped(document, strange))) == [TimeSource.LOG]
    assert times(answer(verifier, stamped(document, strange, right))) == [
        TimeSource.LOG,
        TimeSource.AUTHORITY,
    ]


def test_entry_of_kind_intoto_without_a_promise_needs_a_timestamp_that_verifies(scenario: Scenario) -> None:
    verifier = Verifier([root_of(scenario)])
    document = scenario.bundle_intoto()
    del document["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]
    signature = read_signature(document["dsseEnvelope"])
    right = scenario.sigstore.timestamp_authority.stamp(signature, scenario.at)
    strange = scenario.other.timestamp_authority.stamp(signature, scenario.at)

    assert times(answer(verifier, stamped(document, right))) == [TimeSource.AUTHORITY]
    refused = answer(verifier, stamped(document, strange))
    assert isinstance(refused, Finding)
    assert refused.code == "timestamp-unverified"


def test_promise_without_a_time_is_none_even_beside_a_timestamp(scenario: Scenario) -> None:
    document = scenario.bundle_promised()
    del document["verificationMaterial"]["tlogEntries"][0]["integratedTime"]
    signature = read_signature(document["dsseEnvelope"])
    stamp = scenario.sigstore.timestamp_authority.stamp(signature, scenario.at)

    refused = answer(Verifier([root_of(scenario)]), stamped(document, stamp))

    assert isinstance(refused, Finding)
    assert refused.code == "log-promise-invalid"


def test_message_signature_with_a_promise_alone_is_no_attestation(scenario: Scenario) -> None:
    document = scenario.sigstore.sign_message(
        scenario.artifact, scenario.job, at=scenario.at, media_type=BUNDLE_V01
    )
    del document["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]

    refused = answer(Verifier([root_of(scenario)]), document)

    assert isinstance(refused, Finding)
    assert refused.code == "not-an-attestation"


def test_timestamps_that_sigstore_takes_and_the_rfc_does_not_are_no_time(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = scenario.bundle_v2()
    signature = read_signature(document["dsseEnvelope"])
    tsa = scenario.sigstore.timestamp_authority
    two = stamped(document, *(tsa.stamp(signature, scenario.at + timedelta(seconds=n)) for n in (0, 1)))
    verifier = Verifier([root_of(scenario)])
    assert times(answer(verifier, two)) == [TimeSource.AUTHORITY] * 2
    monkeypatch.setattr("brew_provenance.verify.timestamps.is_stamping", lambda *_: False)

    refused = answer(verifier, two)

    assert isinstance(refused, Finding)
    assert refused.code == "timestamp-unverified"


@pytest.mark.parametrize("what", ["serial number", "version"])
def test_what_cryptography_does_not_read_in_a_timestamp_is_refused(what: str, scenario: Scenario) -> None:
    document = scenario.bundle_v2()
    (stamp,) = document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    own = scenario.sigstore.timestamp_authority.certificate.public_bytes(Encoding.DER)
    raw = base64.b64decode(stamp["signedTimestamp"])
    assert own in raw
    # A negative serial number, of which it warns, and a version that X.509 has not.
    other = own[:15] + bytes([own[15] | 0x80]) + own[16:]
    if what == "version":
        other = own.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020122"), 1)

    refused = answer(Verifier([root_of(scenario)]), stamped(document, raw.replace(own, other)))

    assert isinstance(refused, Finding)
    assert refused.code == "bundle-malformed"


def test_root_that_sigstore_cannot_use_is_an_error(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> object:
        raise SigstoreError("of no use")

    monkeypatch.setattr("brew_provenance.verify.sigstorepy.SigstoreVerifier", fail)

    with pytest.raises(TrustError, match="not a usable trusted root: of no use"):
        Verifier([root_of(scenario)])
