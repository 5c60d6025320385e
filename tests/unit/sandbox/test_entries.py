from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.entries import build_dsse_entry, build_intoto_entry
from brew_provenance.sandbox.envelope import encode_pae
from brew_provenance.sandbox.instance import VirtualSigstore

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGNER = VirtualSigstore().signer(ActionsJob(), AT)
ENVELOPE = SIGNER.seal(b"payload")


def test_pre_authentication_encoding() -> None:
    # The example of the DSSE protocol (secure-systems-lab/dsse v1.0.0, protocol.md).
    encoded = encode_pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_dsse_entry_names_payload_and_signature() -> None:
    body = build_dsse_entry(ENVELOPE, SIGNER.certificate)
    spec = json.loads(body.content)["spec"]
    assert spec["payloadHash"] == {"algorithm": "sha256", "value": hashlib.sha256(b"payload").hexdigest()}
    (signature,) = spec["signatures"]
    assert signature["signature"] == ENVELOPE["signatures"][0]["sig"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(signature["verifier"]))
    assert certificate == SIGNER.certificate


def test_intoto_entry_has_the_shape_of_rekor_s() -> None:
    body = build_intoto_entry(ENVELOPE, SIGNER.certificate)
    document = json.loads(body.content)
    content = document["spec"]["content"]
    (signature,) = content["envelope"]["signatures"]
    assert (document["kind"], document["apiVersion"]) == ("intoto", "0.0.2") == (body.kind, body.version)
    assert set(content) == {"envelope", "hash", "payloadHash"}
    assert set(content["envelope"]) == {"payloadType", "signatures"}
    assert base64.b64decode(signature["sig"]).decode() == ENVELOPE["signatures"][0]["sig"]
    assert base64.b64decode(signature["publicKey"]) == SIGNER.certificate.public_bytes(Encoding.PEM)
