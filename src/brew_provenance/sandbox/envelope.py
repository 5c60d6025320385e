"""DSSE envelopes (secure-systems-lab/dsse v1.0.0) in their JSON form."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from brew_provenance.sandbox.wire import JsonObject, encode_bytes

IN_TOTO_PAYLOAD_TYPE = "application/vnd.in-toto+json"


def encode_pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding, which is what a DSSE signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def build_envelope(payload_type: str, payload: bytes, signatures: Sequence[bytes]) -> JsonObject:
    """Return the envelope that carries the payload with these signatures."""
    return {
        "payload": encode_bytes(payload),
        "payloadType": payload_type,
        "signatures": [{"sig": encode_bytes(signature)} for signature in signatures],
    }


def read_payload(envelope: JsonObject) -> bytes:
    """Return the envelope's payload."""
    return base64.b64decode(envelope["payload"])


def read_signature(envelope: JsonObject) -> bytes:
    """Return the envelope's first signature."""
    return base64.b64decode(envelope["signatures"][0]["sig"])


def read_signed_bytes(envelope: JsonObject) -> bytes:
    """Return what the envelope's signatures cover."""
    return encode_pae(envelope["payloadType"], read_payload(envelope))
