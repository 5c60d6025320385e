"""Makers of signed documents, right in every respect; tests name what they make different."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Json = dict[str, Any]

HEADER: Final[Json] = {"alg": "PS512", "b64": False, "crit": ["b64"]}


def rsa_key(owner: str = "homebrew") -> rsa.RSAPrivateKey:
    """Return the key of this owner, made once per run: that takes long."""
    return _make_key(owner)


@cache
def _make_key(owner: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def base64url(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def pss(salt: int | None = None, mgf: hashes.HashAlgorithm | None = None) -> padding.PSS:
    """Return the padding of PS512, or one with another salt or mask."""
    salt_length = padding.PSS.DIGEST_LENGTH if salt is None else salt
    return padding.PSS(padding.MGF1(mgf or hashes.SHA512()), salt_length)


def make_signature(
    payload: bytes,
    header: object = HEADER,
    *,
    key: rsa.RSAPrivateKey | None = None,
    padded: padding.AsymmetricPadding | None = None,
    hashed: hashes.HashAlgorithm | None = None,
    kid: object = "homebrew-1",
) -> Json:
    """Return one entry of `signatures`; a header of bytes is taken as it stands."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    protected = base64url(raw)
    signature = (key or rsa_key()).sign(
        protected.encode() + b"." + payload, padded or pss(), hashed or hashes.SHA512()
    )
    return {"protected": protected, "header": {"kid": kid}, "signature": base64url(signature)}


def make_jws(payload: bytes, *signatures: Json, **overrides: Any) -> bytes:
    """Return a signed document."""
    document = {
        "payload": payload.decode(),
        "signatures": list(signatures) or [make_signature(payload)],
        **overrides,
    }
    return json.dumps(document, ensure_ascii=False).encode()


def make_sidecar(payload: bytes, signature: Json | None = None, **source: Any) -> bytes:
    """Return what brew keeps beside a signed document."""
    signature = signature or make_signature(payload)
    header = {"protected": signature["protected"], "signature": signature["signature"], **source}
    return json.dumps(header).encode() + b"\n" + payload
