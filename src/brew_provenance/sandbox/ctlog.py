"""A certificate transparency log that promises to log what the authority issues."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID

from brew_provenance.sandbox.keys import identify_key, sign

_V1 = 0
_CERTIFICATE_TIMESTAMP = 0
_PRECERTIFICATE_ENTRY = 1
_SHA256_WITH_ECDSA = b"\x04\x03"


@dataclass(frozen=True)
class CertificateLog:
    """A log of certificates, which keeps no certificates: only its promise is ever checked."""

    key: ec.EllipticCurvePrivateKey

    @property
    def log_id(self) -> bytes:
        """The SHA-256 of the log's public key."""
        return identify_key(self.key.public_key())

    def promise(self, tbs_certificate: bytes, issuer: ec.EllipticCurvePublicKey, at: datetime) -> bytes:
        """Return a serialized SCT over a precertificate (RFC 6962, section 3.2).

        `tbs_certificate` is the certificate's signed part without the SCT list.
        """
        milliseconds = int(at.timestamp() * 1000)
        entry = identify_key(issuer) + len(tbs_certificate).to_bytes(3) + tbs_certificate
        signature = sign(
            self.key,
            struct.pack("!BBQH", _V1, _CERTIFICATE_TIMESTAMP, milliseconds, _PRECERTIFICATE_ENTRY)
            + entry
            + _encode_vector(b""),
        )
        return (
            struct.pack("!B32sQ", _V1, self.log_id, milliseconds)
            + _encode_vector(b"")
            + _SHA256_WITH_ECDSA
            + _encode_vector(signature)
        )


def build_sct_extension(timestamps: Sequence[bytes]) -> x509.UnrecognizedExtension:
    """Return the extension that embeds serialized SCTs in a certificate (RFC 6962, 3.3)."""
    scts = _encode_vector(b"".join(_encode_vector(timestamp) for timestamp in timestamps))
    return x509.UnrecognizedExtension(
        ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, asn1.encode_der(scts)
    )


def _encode_vector(data: bytes) -> bytes:
    """Return `data` as a TLS opaque vector of at most 2^16-1 bytes (RFC 8446, section 3.4)."""
    return struct.pack("!H", len(data)) + data
