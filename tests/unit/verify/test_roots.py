"""What a trusted root says, read strictly where it decides whom to trust."""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sigstore_models.common.v1 import TimeRange
from tests.unit.verify.worlds import SCENARIO, private_root, public_root

from brew_provenance.sandbox.private import PrivateSigstore
from brew_provenance.verify.roots import LogKey, Period, read_instance

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALWAYS = Period.read(None)


def encoded(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def with_log_key(key: str, details: str = "PKIX_ECDSA_P256_SHA_256") -> dict[str, Any]:
    root = copy.deepcopy(public_root())
    root["tlogs"] = root["tlogs"][:1]
    root["tlogs"][0]["publicKey"] |= {"rawBytes": key, "keyDetails": details}
    return root


def test_a_root_with_logs_is_taken_apart() -> None:
    instance = read_instance("its name", public_root())

    sigstore = SCENARIO.sigstore
    assert instance.name == "its name"
    assert [authority.chain for authority in instance.authorities] == [
        (sigstore.authority.intermediate, sigstore.authority.root)
    ]
    assert [authority.chain for authority in instance.timestamp_authorities] == [
        (sigstore.timestamp_authority.certificate, sigstore.timestamp_authority.root)
    ]
    assert set(instance.logs) == {sigstore.rekor_v1.log_id, sigstore.rekor_v2.log_id}
    assert set(instance.certificate_logs) == {sigstore.certificate_log.log_id}


def test_a_root_without_logs_is_taken_apart() -> None:
    instance = read_instance("its name", private_root())
    assert (instance.logs, instance.certificate_logs) == ({}, {})


def test_an_instance_knows_what_it_has_issued() -> None:
    instance = read_instance("private", private_root())
    issued = SCENARIO.private.signer(SCENARIO.job, SCENARIO.at).certificate
    strange = PrivateSigstore("stranger").signer(SCENARIO.job, SCENARIO.at).certificate
    assert instance.has_issued(issued)
    assert not instance.has_issued(strange)
    assert not instance.has_issued(SCENARIO.signer().certificate)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"certificateAuthorities": []}, "names no certificate authority"),
        ({"mediaType": "application/json"}, "mediaType"),
        ({"unknown": 1}, "unknown"),
        ({"tlogs": {}}, "tlogs"),
    ],
)
def test_what_is_no_root_is_refused(changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        read_instance("a root", private_root(**changes))


def test_an_authority_needs_certificates_that_can_be_read() -> None:
    root = copy.deepcopy(private_root())
    chain = root["certificateAuthorities"][0]["certChain"]
    chain["certificates"] = []
    with pytest.raises(ValueError, match="no certificate"):
        read_instance("a root", root)
    chain["certificates"] = [{"rawBytes": "AAAA"}]
    with pytest.raises(ValueError, match="cannot be read"):
        read_instance("a root", root)


@pytest.mark.parametrize("field", ["start", "end"])
def test_times_without_a_zone_are_refused(field: str) -> None:
    root = copy.deepcopy(private_root())
    root["certificateAuthorities"][0]["validFor"][field] = "2026-03-01T12:00:00"
    with pytest.raises(ValueError, match="time zone"):
        read_instance("a root", root)


def test_a_period_includes_both_its_ends() -> None:
    day = Period.read(TimeRange(start=NOON, end=NOON.replace(day=2)))
    assert [day.covers(NOON.replace(day=number, hour=hour)) for number, hour in ((1, 11), (1, 12))] == [
        False,
        True,
    ]
    assert [day.covers(NOON.replace(day=2, hour=hour)) for hour in (12, 13)] == [True, False]
    assert Period.read(TimeRange(start=NOON)).covers(NOON.replace(year=9999))
    assert ALWAYS.covers(datetime.min.replace(tzinfo=UTC))


def test_keys_of_every_kind_that_logs_have_verify() -> None:
    edwards = ed25519.Ed25519PrivateKey.generate()
    assert LogKey(edwards.public_key(), ALWAYS).has_signed(edwards.sign(b"x"), b"x")
    assert not LogKey(edwards.public_key(), ALWAYS).has_signed(edwards.sign(b"x"), b"y")
    for curve, digest in ((ec.SECP256R1(), SHA256()), (ec.SECP384R1(), SHA384()), (ec.SECP521R1(), SHA512())):
        key = ec.generate_private_key(curve)
        signature = key.sign(b"x", ec.ECDSA(digest))
        assert LogKey(key.public_key(), ALWAYS).has_signed(signature, b"x")
        assert not LogKey(key.public_key(), ALWAYS).has_signed(signature, b"y")
        assert not LogKey(key.public_key(), ALWAYS).has_signed(b"", b"x")


def test_a_key_with_another_curves_hash_does_not_verify() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    assert not LogKey(key.public_key(), ALWAYS).has_signed(key.sign(b"x", ec.ECDSA(SHA256())), b"x")


@pytest.mark.parametrize(
    ("key", "details"),
    [
        (rsa.generate_private_key(65537, 2048).public_key(), "PKIX_RSA_PKCS1V15_2048_SHA256"),
        (ec.generate_private_key(ec.SECP256K1()).public_key(), "PKIX_ECDSA_P256_SHA_256"),
    ],
)
def test_keys_of_other_kinds_are_of_no_log_that_is_trusted(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, details: str
) -> None:
    assert read_instance("a root", with_log_key(encoded(key), details)).logs == {}


def test_a_key_of_an_unknown_algorithm_is_of_no_log_that_is_trusted() -> None:
    # A SubjectPublicKeyInfo of an algorithm (1.2.3.4) that nobody knows.
    unknown = base64.b64encode(bytes.fromhex("300b300506032a030403020001")).decode()
    assert read_instance("a root", with_log_key(unknown)).logs == {}


def test_a_key_that_cannot_be_read_makes_no_root() -> None:
    with pytest.raises(ValueError, match="deserialize key"):
        read_instance("a root", with_log_key("AAAA"))


def test_what_a_root_calls_its_log_is_not_its_id() -> None:
    root = copy.deepcopy(public_root())
    root["tlogs"][0]["logId"]["keyId"] = "AAAA"
    assert SCENARIO.sigstore.rekor_v1.log_id in read_instance("a root", root).logs
