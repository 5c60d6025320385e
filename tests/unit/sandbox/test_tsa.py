from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from brew_provenance.sandbox.tsa import TimestampAuthority

EPOCH = datetime(2022, 1, 1, tzinfo=UTC)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUTHORITY = TimestampAuthority.create("seed", EPOCH)


def build_verifier(authority: TimestampAuthority) -> VerifierBuilder:
    return VerifierBuilder(tsa_certificate=authority.certificate, roots=[authority.root])


def test_stamp_verifies() -> None:
    response = decode_timestamp_response(AUTHORITY.stamp(b"message", AT))
    assert build_verifier(AUTHORITY).build().verify_message(response, b"message")
    assert response.tst_info.gen_time == AT
    assert response.signed_data.version == 3
    assert len(response.signed_data.certificates) == 1


def test_stamp_is_of_one_message() -> None:
    response = decode_timestamp_response(AUTHORITY.stamp(b"message", AT))
    with pytest.raises(VerificationError, match="Mismatch"):
        build_verifier(AUTHORITY).build().verify_message(response, b"other")


def test_stamp_is_of_one_authority() -> None:
    other = TimestampAuthority.create("other", EPOCH)
    response = decode_timestamp_response(other.stamp(b"message", AT))
    with pytest.raises(VerificationError):
        build_verifier(AUTHORITY).build().verify_message(response, b"message")


def test_stamp_is_within_the_certificate_s_time() -> None:
    early = datetime(2021, 1, 1, tzinfo=UTC)
    response = decode_timestamp_response(AUTHORITY.stamp(b"message", early))
    with pytest.raises(VerificationError):
        build_verifier(AUTHORITY).build().verify_message(response, b"message")


@pytest.mark.parametrize("algorithm", list(HashAlgorithm))
@pytest.mark.parametrize("nonce", [True, False])
def test_answer_verifies(algorithm: HashAlgorithm, *, nonce: bool) -> None:
    builder = TimestampRequestBuilder().data(b"message").hash_algorithm(algorithm).nonce(nonce=nonce)
    request = builder.build()
    response = decode_timestamp_response(AUTHORITY.answer(request.as_bytes(), AT))
    verifier = VerifierBuilder.from_request(request)
    verifier = verifier.tsa_certificate(AUTHORITY.certificate).add_root_certificate(AUTHORITY.root)
    assert verifier.build().verify_message(response, b"message")
    assert (response.tst_info.nonce is not None) == nonce


def test_no_answer_to_what_is_no_request() -> None:
    with pytest.raises(ValueError, match="asn1"):
        AUTHORITY.answer(b"request", AT)


def test_certificate_is_for_timestamping_alone() -> None:
    usage = AUTHORITY.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert usage.critical
    assert list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def test_same_seed_same_bytes() -> None:
    again = TimestampAuthority.create("seed", EPOCH)
    assert again.stamp(b"message", AT) == AUTHORITY.stamp(b"message", AT)
    assert again.stamp(b"message", EPOCH) != AUTHORITY.stamp(b"message", AT)
