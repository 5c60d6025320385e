"""Sigstore bundles, put together from their parts (sigstore/protobuf-specs, sigstore_bundle)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from brew_provenance.sandbox.wire import JsonObject, encode_bytes

BUNDLE_V01 = "application/vnd.dev.sigstore.bundle+json;version=0.1"
BUNDLE_V02 = "application/vnd.dev.sigstore.bundle+json;version=0.2"
BUNDLE_V03 = "application/vnd.dev.sigstore.bundle.v0.3+json"


def build_message_signature(digest: bytes, signature: bytes) -> JsonObject:
    """Return the content of a bundle that signs an artifact's bytes and says nothing more."""
    return {
        "messageDigest": {"algorithm": "SHA2_256", "digest": encode_bytes(digest)},
        "signature": encode_bytes(signature),
    }


def assemble_bundle(
    content: JsonObject,
    certificates: Sequence[x509.Certificate],
    entries: Sequence[JsonObject],
    *,
    timestamps: Sequence[bytes] = (),
    media_type: str = BUNDLE_V03,
) -> JsonObject:
    """Return a bundle that carries exactly these parts, whether they fit together or not.

    `content` is `{"dsseEnvelope": …}` or `{"messageSignature": …}`. Version 0.3 carries the
    first certificate alone; older versions carry all of them as a chain, leaf first.
    """
    encoded = [
        {"rawBytes": encode_bytes(certificate.public_bytes(Encoding.DER))} for certificate in certificates
    ]
    signer: JsonObject = (
        {"certificate": encoded[0]}
        if media_type == BUNDLE_V03
        else {"x509CertificateChain": {"certificates": encoded}}
    )
    stamps = [{"signedTimestamp": encode_bytes(timestamp)} for timestamp in timestamps]
    return {
        "mediaType": media_type,
        "verificationMaterial": {
            **signer,
            "tlogEntries": list(entries),
            "timestampVerificationData": {"rfc3161Timestamps": stamps} if stamps else {},
        },
        **content,
    }
