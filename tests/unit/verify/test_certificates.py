"""Signing certificates: what they are for, and who promised to log them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID
from tests.unit.verify.worlds import AT, SCENARIO, code, private_root, public_root

from brew_provenance.sandbox.ctlog import build_sct_extension
from brew_provenance.sandbox.keys import derive_key
from brew_provenance.verify.certificates import (
    certificate_fault,
    check_leaf,
    check_transparency,
)
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import LogKey, Period, read_instance

INSTANCE = read_instance("a root", public_root())
ISSUER = SCENARIO.sigstore.authority.intermediate
LEAF = SCENARIO.signer().certificate


def refusal(leaf: x509.Certificate, times: Sequence[datetime]) -> str:
    with pytest.raises(Refusal) as refused:
        check_leaf(leaf, INSTANCE.authorities, times)
    return refused.value.finding.code


def test_the_issuer_is_the_one_of_the_validated_chain() -> None:
    assert check_leaf(LEAF, INSTANCE.authorities, [AT]) == ISSUER


@pytest.mark.parametrize(
    ("minutes", "code"),
    [
        ([-1], "certificate-time-invalid"),
        ([11], "certificate-time-invalid"),
        ([0, 11], "certificate-time-invalid"),
        ([11, 0], "certificate-time-invalid"),
        ([], "timestamp-unverified"),
    ],
)
def test_the_certificate_has_to_be_valid_at_every_time_and_there_has_to_be_one(
    minutes: list[int], code: str
) -> None:
    assert refusal(LEAF, [AT + timedelta(minutes=number) for number in minutes]) == code


@pytest.mark.parametrize("minutes", [0, 10])
def test_a_certificate_is_valid_at_both_its_ends(minutes: int) -> None:
    check_leaf(LEAF, INSTANCE.authorities, [AT + timedelta(minutes=minutes)])


def test_no_authority_no_issuer() -> None:
    with pytest.raises(Refusal, match="was to be trusted then"):
        check_leaf(LEAF, [], [AT])


def issued(*scts: bytes) -> x509.Certificate:
    """Return a certificate that carries these serialized SCTs."""
    profile = SCENARIO.sigstore.profile(SCENARIO.job, AT)
    extension = build_sct_extension(scts)
    profile = replace(profile, raw_extensions={extension.oid: extension.value})
    return SCENARIO.sigstore.authority.issue(profile, KEY.public_key(), [])


KEY = derive_key("certificates", "leaf")
LOG = SCENARIO.sigstore.certificate_log
KNOWN = INSTANCE.certificate_logs
# What a log signs is the certificate without its SCTs, whatever those are.
SIGNED_PART = issued(b"").tbs_precertificate_bytes
RIGHT = LOG.promise(SIGNED_PART, SCENARIO.sigstore.authority.key.public_key(), AT)


def transparency(leaf: x509.Certificate, issuer: x509.Certificate = ISSUER) -> str:
    try:
        check_transparency(leaf, issuer, KNOWN)
    except Refusal as refused:
        return refused.finding.code
    return "accepted"


def test_a_promise_is_the_trusted_logs_for_this_certificate_and_issuer() -> None:
    assert transparency(issued(RIGHT)) == "accepted"
    assert transparency(LEAF) == "accepted"
    assert transparency(issued(RIGHT), SCENARIO.other.authority.intermediate) == "sct-invalid"


def altered(at: int, value: bytes) -> bytes:
    return RIGHT[:at] + value + RIGHT[at + len(value) :]


@pytest.mark.parametrize(
    ("scts", "code"),
    [
        ([], "sct-many"),
        ([RIGHT, RIGHT], "sct-many"),
        # Version, log, time and signature, at their places in RFC 6962's structure.
        ([altered(1, bytes(32))], "sct-invalid"),
        ([altered(33, struct.pack("!Q", int(AT.timestamp() * 1000) + 1))], "sct-invalid"),
        ([altered(43, bytes.fromhex("0603"))], "sct-invalid"),
        ([altered(43, bytes.fromhex("0503"))], "sct-invalid"),
        ([RIGHT[:-1] + bytes([RIGHT[-1] ^ 1])], "sct-invalid"),
    ],
)
def test_another_promise_is_none(scts: list[bytes], code: str) -> None:
    assert transparency(issued(*scts)) == code


def test_a_certificate_without_promises_is_told_apart() -> None:
    profile = SCENARIO.sigstore.profile(SCENARIO.job, AT)
    silent = SCENARIO.sigstore.authority.issue(profile, KEY.public_key(), [])
    assert transparency(silent) == "sct-missing"


@pytest.mark.parametrize(
    ("start", "end", "is_right"),
    [(AT, AT, True), (AT + timedelta(seconds=1), None, False), (AT, AT - timedelta(seconds=1), False)],
)
def test_a_log_of_certificates_is_trusted_in_its_time(
    start: datetime, end: datetime | None, *, is_right: bool
) -> None:
    logs = {LOG.log_id: LogKey(KNOWN[LOG.log_id].key, Period(start, end))}
    if is_right:
        check_transparency(issued(RIGHT), ISSUER, logs)
        return
    with pytest.raises(Refusal, match="was not to be trusted"):
        check_transparency(issued(RIGHT), ISSUER, logs)


@pytest.mark.parametrize("milliseconds", [0, 1, 123, 997, 999])
def test_a_promise_is_of_a_millisecond(milliseconds: int) -> None:
    at = AT + timedelta(milliseconds=milliseconds)
    promise = LOG.promise(SIGNED_PART, SCENARIO.sigstore.authority.key.public_key(), at)
    assert transparency(issued(promise)) == "accepted"


def test_a_key_of_an_unknown_algorithm_has_its_own_reason() -> None:
    der = LEAF.public_bytes(Encoding.DER)
    # The object identifier of elliptic-curve keys, made another one.
    unknown = der.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209"))
    fault = certificate_fault(unknown)
    assert fault is not None
    assert fault.code == "certificate-key-unsupported"


def test_a_key_that_is_no_point_of_its_curve_is_malformed() -> None:
    der = LEAF.public_bytes(Encoding.DER)
    public = LEAF.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    fault = certificate_fault(der.replace(public, public[:-1] + bytes([public[-1] ^ 1])))
    assert fault is not None
    assert fault.code == "certificate-malformed"


def test_a_name_of_an_unknown_type_is_malformed() -> None:
    # An X.400 address, [3] in GeneralName, is of a type that cryptography has not.
    raw = {ExtensionOID.SUBJECT_ALTERNATIVE_NAME: bytes.fromhex("3002a300")}
    profile = replace(SCENARIO.sigstore.profile(SCENARIO.job, AT), names=(), raw_extensions=raw)
    leaf = SCENARIO.sigstore.issue(profile).certificate
    fault = certificate_fault(leaf.public_bytes(Encoding.DER))
    assert fault is not None
    assert fault.code == "certificate-malformed"


def test_a_right_certificate_has_no_fault() -> None:
    assert certificate_fault(LEAF.public_bytes(Encoding.DER)) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # The type of the organisation's name made a bit string, and the common name's text no UTF-8.
        (bytes.fromhex("060355040a0c"), bytes.fromhex("060355040a03")),
        (b"sandbox-intermediate", b"sandbox-intermedi\xff\xff\xff"),
    ],
)
def test_an_issuer_whose_name_cannot_be_read_is_none_that_is_trusted(before: bytes, after: bytes) -> None:
    document = SCENARIO.bundle_private()
    holder = document["verificationMaterial"]["certificate"]
    raw = base64.b64decode(holder["rawBytes"])
    assert before in raw
    holder["rawBytes"] = base64.b64encode(raw.replace(before, after)).decode()
    for root in (private_root(), public_root()):
        assert code(root, document) in {"certificate-untrusted", "certificate-malformed"}
