"""Signed timestamps: when a signature demonstrably existed.

Sigstore client specification, 4.2.1. RFC 3161's response is rfc3161-client's to read and to verify.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import InvalidVersion
from rfc3161_client import TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from brew_provenance.evidence import TimeSource, VerifiedTime
from brew_provenance.verify.certificates import is_stamping
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import Authority

_SIGNER_AND_ROOT = 2


def verified_times(
    responses: Sequence[bytes], signature: bytes, authorities: Sequence[Authority]
) -> list[VerifiedTime]:
    """Return the times at which trusted authorities saw the signature; other timestamps are passed over.

    Raises Refusal for a response that cannot be read, and for one that comes twice.
    """
    if responses and not authorities:
        raise Refusal("timestamp-authority-unknown", "the trusted root names no timestamp authority")
    if len(set(responses)) != len(responses):
        raise Refusal("timestamp-duplicate", "one response comes twice")
    read = [_read(response) for response in responses]
    return [
        VerifiedTime(TimeSource.AUTHORITY, response.tst_info.gen_time)
        for response in read
        if is_trusted(response, signature, authorities)
    ]


def is_trusted(response: TimeStampResponse, signature: bytes, authorities: Sequence[Authority]) -> bool:
    """Whether one of the authorities made the timestamp for `signature`, and was to be trusted then."""
    time = response.tst_info.gen_time
    return any(
        authority.period.covers(time)
        and len(authority.chain) >= _SIGNER_AND_ROOT
        and _has_made(authority, response, signature)
        and is_stamping(authority, time)
        for authority in authorities
    )


def _has_made(authority: Authority, response: TimeStampResponse, signature: bytes) -> bool:
    signer, *others, root = authority.chain
    builder = VerifierBuilder().tsa_certificate(signer).add_root_certificate(root)
    for intermediate in others:
        builder = builder.add_intermediate_certificate(intermediate)
    try:
        # A response may carry certificates of any kind; the authority's own is the trusted root's.
        with warnings.catch_warnings(action="error", category=CryptographyDeprecationWarning):
            builder.build().verify_message(response, signature)
    except (VerificationError, ValueError, InvalidVersion, CryptographyDeprecationWarning):
        return False
    return True


def _read(response: bytes) -> TimeStampResponse:
    try:
        return decode_timestamp_response(response)
    except ValueError as error:
        raise Refusal("timestamp-malformed", str(error)) from error
