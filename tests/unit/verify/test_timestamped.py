"""The rules of an instance without a log: which authorities, at which time, for which certificate."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.unit.verify.worlds import (
    ALWAYS,
    AT,
    SCENARIO,
    STAMPING,
    answer,
    authority,
    code,
    distant_stampers,
    issuers,
    ladder,
    private_root,
    public_root,
    read,
    signed_under,
    stamped_by,
    stampers,
    trusted,
)

from brew_provenance.evidence import Evidence, TimeSource, VerifiedTime
from brew_provenance.findings import Finding
from brew_provenance.sandbox.bundle import assemble_bundle, build_message_signature
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.trustroot import Period
from brew_provenance.sandbox.wire import JsonObject
from brew_provenance.verify import Verifier

SECOND = timedelta(seconds=1)


def test_evidence_says_what_there_is_and_what_there_is_not() -> None:
    document = SCENARIO.bundle_private()

    evidence = answer(private_root(), document)

    assert isinstance(evidence, Evidence)
    bundle = read(document)
    assert evidence.times == (VerifiedTime(TimeSource.AUTHORITY, AT),)
    assert evidence.log_entry is None
    assert (evidence.payload_type, evidence.payload) == (bundle.payload_type, bundle.payload)
    assert (evidence.signature, evidence.certificate) == (bundle.signature, bundle.certificate)
    assert evidence.claims.source_repository_id == SCENARIO.job.repository_id
    assert [limit.code for limit in evidence.limits] == ["not-in-a-log"]


@pytest.mark.parametrize("empty", ["left out", "empty list"])
def test_root_may_leave_logs_out_or_name_none(empty: str) -> None:
    logs: JsonObject = {"tlogs": [], "ctlogs": []} if empty == "empty list" else {}
    assert code(private_root(**logs), SCENARIO.bundle_private()) == "accepted"


@pytest.mark.parametrize("kind", ["certificateAuthorities", "timestampAuthorities"])
@pytest.mark.parametrize(
    ("period", "is_right"),
    [
        (Period(AT, AT), True),
        (Period(AT - SECOND, AT + SECOND), True),
        (Period(AT + SECOND, ALWAYS.end), False),
        (Period(ALWAYS.start, AT - SECOND), False),
    ],
)
def test_authority_is_trusted_in_its_time_both_ends_included(
    kind: str, period: Period, *, is_right: bool
) -> None:
    chains = {
        "certificateAuthorities": issuers(),
        "timestampAuthorities": [
            SCENARIO.private.timestamp_authority.certificate,
            SCENARIO.private.timestamp_authority.root,
        ],
    }
    refusals = {
        "certificateAuthorities": "certificate-untrusted",
        "timestampAuthorities": "timestamp-unverified",
    }
    only = private_root(**{kind: [authority(chains[kind], period)]})
    expected = "accepted" if is_right else refusals[kind]

    assert code(only, SCENARIO.bundle_private()) == expected
    # Another entry for the same authority is a chance of its own.
    both = private_root(**{kind: [authority(chains[kind], period), authority(chains[kind])]})
    assert code(both, SCENARIO.bundle_private()) == "accepted"


def test_authority_without_an_end_is_trusted_still() -> None:
    described = authority(issuers())
    del described["validFor"]["end"]
    assert code(private_root(certificateAuthorities=[described]), SCENARIO.bundle_private()) == "accepted"


@pytest.mark.parametrize("step", [0, 1, 2])
def test_any_listed_authority_of_a_chain_may_have_issued_the_certificate(step: int) -> None:
    """GitHub's own instance issues from two places of a chain of three."""
    chain = ladder([2, 1, 0])
    root = private_root(certificateAuthorities=[authority(chain)])
    assert code(root, signed_under(chain, step)) == "accepted"


@pytest.mark.parametrize("step", [0, 1, 2])
def test_path_lengths_are_held_to(step: int) -> None:
    chain = ladder([0, 0, 0])
    root = private_root(certificateAuthorities=[authority(chain)])
    # A length of nought: the root may issue to signers alone, and to no authority.
    expected = "accepted" if step == 0 else "certificate-untrusted"
    assert code(root, signed_under(chain, step)) == expected


@pytest.mark.parametrize("expired", [0, 1, 2])
def test_every_certificate_of_the_chain_has_to_be_valid_then(expired: int) -> None:
    chain = ladder([2, 1, 0], expired=expired)
    root = private_root(certificateAuthorities=[authority(chain)])
    assert code(root, signed_under(chain, 2)) == "certificate-untrusted"


def test_an_intermediate_that_is_listed_is_no_anchor() -> None:
    """Its own root is another one than the trusted root lists with it."""
    chain = [issuers()[0], SCENARIO.other.authority.root]
    root = private_root(certificateAuthorities=[authority(chain)])
    assert code(root, SCENARIO.bundle_private()) == "certificate-untrusted"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "accepted"),
        ({"without": "purposes"}, "timestamp-unverified"),
        ({"critical": False}, "timestamp-unverified"),
        ({"purposes": (ExtendedKeyUsageOID.CODE_SIGNING,)}, "timestamp-unverified"),
        ({"purposes": (*STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)}, "timestamp-unverified"),
        ({"without": "usage"}, "timestamp-unverified"),
        ({"signs": False}, "timestamp-unverified"),
        ({"end": AT - SECOND}, "timestamp-unverified"),
        ({"start": AT + SECOND}, "timestamp-unverified"),
    ],
)
def test_timestamp_authoritys_certificate_has_to_be_one_for_timestamps(
    changes: dict[str, Any], expected: str
) -> None:
    chain = stampers(**changes)
    assert code(private_root(timestampAuthorities=[authority(chain)]), stamped_by(chain)) == expected


def test_timestamp_authority_may_be_some_steps_from_its_root() -> None:
    chain = distant_stampers()
    assert len(chain) == 3
    for listed, expected in ((chain, "accepted"), ([chain[0], chain[2]], "timestamp-unverified")):
        root = private_root(timestampAuthorities=[authority(listed)])
        assert code(root, stamped_by(chain)) == expected


def test_timestamp_authority_has_to_lead_to_its_root() -> None:
    alone, strange = stampers()[:1], [stampers()[0], SCENARIO.other.timestamp_authority.root]
    for chain in (alone, strange):
        root = private_root(timestampAuthorities=[authority(chain)])
        assert code(root, stamped_by(chain)) == "timestamp-unverified"


def test_timestamps_that_do_not_verify_are_passed_over() -> None:
    signer = SCENARIO.private.signer(SCENARIO.job, AT)
    envelope = SCENARIO.envelope(signer)
    right = SCENARIO.private.stamp(envelope, signer, at=AT)
    stamps = right["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    strange = PRIVATE_STRANGER.stamp(envelope, signer, at=AT)
    stamps[:0] = strange["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]

    evidence = answer(private_root(), right)

    assert isinstance(evidence, Evidence)
    assert evidence.times == (VerifiedTime(TimeSource.AUTHORITY, AT),)


PRIVATE_STRANGER = type(SCENARIO.private)("stranger")


@pytest.mark.parametrize(
    "changes",
    [
        {"timestampAuthorities": []},
        {"tlogs": public_root()["tlogs"], "ctlogs": []},
        {"tlogs": [], "ctlogs": public_root()["ctlogs"]},
    ],
    ids=["no timestamp authority", "a log of signatures alone", "a log of certificates alone"],
)
def test_root_from_which_no_rules_follow_judges_nothing(changes: JsonObject) -> None:
    assert code(private_root(**changes), SCENARIO.bundle_private()) == "unsupported-trusted-root"


def test_root_that_names_logs_is_never_one_without_whatever_their_keys_are() -> None:
    """Else a key of a kind that is not read would do away with the logs."""
    tlogs = public_root()["tlogs"]
    tlogs[0]["publicKey"]["keyDetails"] = "PKIX_RSA_PSS_2048_SHA256"
    root = public_root(tlogs=tlogs[:1])
    document = SCENARIO.bundle()
    del document["verificationMaterial"]["tlogEntries"]
    assert code(root, document) == "log-entry-missing"


@pytest.mark.parametrize("make", [Scenario.bundle, Scenario.bundle_v2, Scenario.bundle_intoto])
def test_bundle_of_the_instance_with_logs_does_not_pass_without(make: Any) -> None:
    document = make(SCENARIO)
    both = Verifier([trusted(private_root(), "without"), trusted(public_root(), "with")])
    accepted = both.verify(read(document), ())
    assert isinstance(accepted, Evidence)
    assert accepted.trusted_root == "with"
    assert code(private_root(), document) == "certificate-untrusted"

    del document["verificationMaterial"]["tlogEntries"]

    refused = both.verify(read(document), ())
    assert isinstance(refused, Finding)
    assert refused.code == "log-entry-missing"
    assert code(private_root(), document) == "certificate-untrusted"


def test_bundle_of_the_instance_without_logs_does_not_pass_with() -> None:
    assert code(public_root(), SCENARIO.bundle_private()) == "certificate-untrusted"


def test_message_signature_is_no_attestation() -> None:
    signer = SCENARIO.private.signer(SCENARIO.job, AT)
    signature = signer.sign(SCENARIO.artifact)
    document = assemble_bundle(
        {"messageSignature": build_message_signature(b"digest", signature)},
        [signer.certificate],
        [],
        timestamps=[SCENARIO.private.timestamp_authority.stamp(signature, AT)],
    )
    assert code(private_root(), document) == "not-an-attestation"


def test_unreadable_certificate_has_its_own_reason() -> None:
    document = SCENARIO.bundle_private()
    document["verificationMaterial"]["certificate"]["rawBytes"] = "AAAA"
    for root in (private_root(), public_root()):
        assert code(root, document) == "certificate-malformed"


OWN = SCENARIO.private.timestamp_authority.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Its version, the sign of its serial number, and the kind of its subject's name.
        (bytes.fromhex("a003020102"), bytes.fromhex("a003020122")),
        (OWN[13:16], bytes([OWN[13], OWN[14], OWN[15] | 0x80])),
        (bytes.fromhex("0603550403"), bytes.fromhex("0603550483")),
        (bytes.fromhex("170d"), bytes.fromhex("170e")),
    ],
    ids=["version", "serial", "name", "time"],
)
def test_a_certificate_in_a_timestamp_that_cannot_be_read_is_passed_over(before: bytes, after: bytes) -> None:
    """Nothing signs the certificates that a response carries: the trusted root has the authority's."""
    document = SCENARIO.bundle_private()
    (stamp,) = document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    raw = base64.b64decode(stamp["signedTimestamp"])
    assert OWN in raw
    assert before in OWN
    stamp["signedTimestamp"] = base64.b64encode(raw.replace(OWN, OWN.replace(before, after, 1))).decode()

    assert code(private_root(), document) in {"timestamp-unverified", "timestamp-malformed"}
