"""Trusted roots in their JSON form (sigstore/protobuf-specs, sigstore_trustroot.proto)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from brew_provenance.sandbox.keys import encode_public_key, identify_key
from brew_provenance.sandbox.wire import JsonObject, encode_bytes, encode_time

TRUSTED_ROOT_V01 = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"


@dataclass(frozen=True)
class Period:
    """The time in which a key or an authority is to be trusted."""

    start: datetime
    end: datetime

    def describe(self) -> JsonObject:
        """Return the period as a trusted root writes it."""
        return {"start": encode_time(self.start), "end": encode_time(self.end)}


def describe_log(key: ec.EllipticCurvePublicKey, url: str, period: Period) -> JsonObject:
    """Return a log of certificates or of signatures as a trusted root names it."""
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": encode_bytes(encode_public_key(key)),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": period.describe(),
        },
        "logId": {"keyId": encode_bytes(identify_key(key))},
    }


def describe_authority(chain: Sequence[x509.Certificate], url: str, period: Period) -> JsonObject:
    """Return an authority as a trusted root names it; the chain ends with its root."""
    subject = chain[-1].subject
    return {
        "subject": {
            "organization": subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value,
            "commonName": subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value,
        },
        "uri": url,
        "certChain": {
            "certificates": [
                {"rawBytes": encode_bytes(certificate.public_bytes(Encoding.DER))} for certificate in chain
            ]
        },
        "validFor": period.describe(),
    }
