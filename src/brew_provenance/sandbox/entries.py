"""Bodies of transparency log entries, of each kind that Rekor writes for a Sigstore bundle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from brew_provenance.sandbox.envelope import read_payload, read_signature, read_signed_bytes
from brew_provenance.sandbox.wire import JsonObject, encode_bytes, encode_json


@dataclass(frozen=True)
class EntryBody:
    """What a log stores of an entry: its kind and version, and its canonical JSON."""

    kind: str
    version: str
    content: bytes

    @classmethod
    def canonicalize(cls, kind: str, version: str, spec: JsonObject) -> EntryBody:
        """Return a body whose JSON names its own kind and version, in RFC 8785 form."""
        body: JsonObject = {"apiVersion": version, "kind": kind, "spec": spec}
        return cls(kind, version, rfc8785.dumps(body))


def build_dsse_entry(envelope: JsonObject, certificate: x509.Certificate) -> EntryBody:
    """Return Rekor v1's entry for a DSSE envelope: dsse/0.0.1."""
    return EntryBody.canonicalize(
        "dsse",
        "0.0.1",
        {
            "envelopeHash": _sha256(encode_json(envelope)),
            "payloadHash": _sha256(read_payload(envelope)),
            "signatures": [
                {"signature": signature["sig"], "verifier": _encode_pem(certificate)}
                for signature in envelope["signatures"]
            ],
        },
    )


def build_intoto_entry(envelope: JsonObject, certificate: x509.Certificate) -> EntryBody:
    """Return Rekor v1's older entry for a DSSE envelope: intoto/0.0.2.

    Its signature is base64 of what the envelope has in base64 already.
    """
    return EntryBody.canonicalize(
        "intoto",
        "0.0.2",
        {
            "content": {
                "envelope": {
                    "payloadType": envelope["payloadType"],
                    "signatures": [
                        {
                            "publicKey": _encode_pem(certificate),
                            "sig": encode_bytes(signature["sig"].encode()),
                        }
                        for signature in envelope["signatures"]
                    ],
                },
                "hash": _sha256(encode_json(envelope)),
                "payloadHash": _sha256(read_payload(envelope)),
            }
        },
    )


def build_message_entry(digest: bytes, signature: bytes, certificate: x509.Certificate) -> EntryBody:
    """Return Rekor v1's entry for a message signature: hashedrekord/0.0.1."""
    return EntryBody.canonicalize(
        "hashedrekord",
        "0.0.1",
        {
            "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
            "signature": {
                "content": encode_bytes(signature),
                "publicKey": {"content": _encode_pem(certificate)},
            },
        },
    )


def build_hashed_entry(digest: bytes, signature: bytes, certificate: x509.Certificate) -> EntryBody:
    """Return Rekor v2's entry, which is of one kind for everything: hashedrekord/0.0.2.

    The digest is of the signed bytes: for an envelope, of its pre-authentication encoding.
    """
    return EntryBody.canonicalize(
        "hashedrekord",
        "0.0.2",
        {
            "hashedRekordV002": {
                "data": {"algorithm": "SHA2_256", "digest": encode_bytes(digest)},
                "signature": {
                    "content": encode_bytes(signature),
                    "verifier": {
                        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                        "x509Certificate": {"rawBytes": encode_bytes(certificate.public_bytes(Encoding.DER))},
                    },
                },
            }
        },
    )


def build_hashed_envelope_entry(envelope: JsonObject, certificate: x509.Certificate) -> EntryBody:
    """Return Rekor v2's entry for a DSSE envelope with one signature."""
    digest = hashlib.sha256(read_signed_bytes(envelope)).digest()
    return build_hashed_entry(digest, read_signature(envelope), certificate)


def _encode_pem(certificate: x509.Certificate) -> str:
    return encode_bytes(certificate.public_bytes(Encoding.PEM))


def _sha256(data: bytes) -> JsonObject:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}
