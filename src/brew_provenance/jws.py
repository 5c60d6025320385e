"""Signed documents as Homebrew's API serves them: JSON Web Signatures with the payload in the clear.

The general JSON serialization (RFC 7515 section 7.2.1) of an unencoded payload (RFC 7797), as brew's
`api.rb` reads it, and the form in which brew keeps a payload apart. Whoever serves or keeps a
document controls all of it; the payload counts once its signature is verified.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA512

from brew_provenance import strictjson
from brew_provenance.strictjson import MalformedJSONError

KEY_ID: Final = "homebrew-1"
"""What Homebrew calls the key that it signs its API with."""

ALGORITHM: Final = "PS512"
"""RSASSA-PSS with SHA-512 (RFC 7518 section 3.5): the one algorithm that is accepted."""

MAX_DOCUMENT_BYTES: Final = 128 * 1024 * 1024
"""A signed document; the largest real one, `formula.jws.json`, has some 30 MB."""

# A protected header or a sidecar's first line; the real ones have 43 and some 900 bytes.
_MAX_HEADER_BYTES = 8 * 1024

Kind: TypeAlias = Literal[
    "malformed", "key-not-found", "algorithm-not-allowed", "header-not-allowed", "signature-mismatch"
]
"""Which check a document did not pass; the names are stable."""


class JWSError(ValueError):
    """A document is not one that the key signed; says why in one phrase."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(why)
        self.kind = kind
        """Which check it did not pass."""


def verify_jws(document: bytes, key: RSAPublicKey) -> bytes:
    """Return the payload of a document whose signature named `homebrew-1` is by `key`.

    Signatures by other names are not looked at. Raises JWSError.
    """
    found = _read_object(document, MAX_DOCUMENT_BYTES, "the document")
    payload = _text(found, "payload")
    signature = _find_signature(found.get("signatures"))
    content = payload.encode()
    _verify(_text(signature, "protected"), _text(signature, "signature"), content, key)
    return content


def verify_sidecar(raw: bytes, key: RSAPublicKey) -> bytes:
    """Return the payload in brew's `.payload` file beside a document, when it is signed by `key`.

    Its first line holds the signature and what `sidecar_source` returns; the payload itself is the
    rest (`write_jws_payload_cache` in brew's `api.rb`). Raises JWSError.
    """
    header, payload = _split_sidecar(raw)
    _verify(_text(header, "protected"), _text(header, "signature"), payload, key)
    return payload


def sidecar_source(raw: bytes) -> tuple[int, int]:
    """Return size and modification time, in nanoseconds, of the document that a `.payload` file is from.

    Nothing signs them: they tell only whether brew has fetched the document anew since. Raises
    JWSError when the file does not say.
    """
    header, _ = _split_sidecar(raw)
    size, modified = header.get("source_size"), header.get("source_mtime_ns")
    if type(size) is not int or type(modified) is not int:
        raise JWSError("malformed", "the first line does not say which document it was made from")
    return size, modified


def _split_sidecar(raw: bytes) -> tuple[Mapping[str, object], bytes]:
    end = raw.find(b"\n", 0, _MAX_HEADER_BYTES)
    if end < 0:
        raise JWSError("malformed", "no first line with a signature")
    return _read_object(raw[:end], _MAX_HEADER_BYTES, "the first line"), raw[end + 1 :]


def _find_signature(signatures: object) -> Mapping[str, object]:
    listed = signatures if isinstance(signatures, list) else []
    objects: list[Mapping[str, object]] = [each for each in listed if isinstance(each, dict)]
    if not listed or len(objects) != len(listed):
        raise JWSError("malformed", "`signatures` is not a list of objects")
    found = [each for each in objects if _key_id(each) == KEY_ID]
    if not found:
        raise JWSError("key-not-found", f"no signature is said to be by the key {KEY_ID}")
    if len(found) > 1:
        raise JWSError("malformed", f"{len(found)} signatures are said to be by the key {KEY_ID}")
    return found[0]


def _key_id(signature: Mapping[str, object]) -> object:
    header = signature.get("header")
    return header.get("kid") if isinstance(header, dict) else None


def _verify(protected: str, signature: str, payload: bytes, key: RSAPublicKey) -> None:
    raw_header, raw_signature = _decode(protected, "protected"), _decode(signature, "signature")
    header = _read_object(raw_header, _MAX_HEADER_BYTES, "the protected header")
    if header.get("alg") != ALGORITHM:
        raise JWSError("algorithm-not-allowed", f"signed with another algorithm than {ALGORITHM}")
    # Left out, `b64` would mean true, and the signature would be over other bytes (RFC 7797 section 3).
    if header.get("b64") is not False:
        raise JWSError("header-not-allowed", "the protected header does not say that `b64` is false")
    if header.get("crit") != ["b64"]:
        raise JWSError("header-not-allowed", "the protected header does not say that `b64` alone is critical")
    # The payload is hashed where it lies: put behind the header, it would be copied once more.
    digest = hashlib.sha512(protected.encode() + b".")
    digest.update(payload)
    pss = PSS(mgf=MGF1(SHA512()), salt_length=PSS.DIGEST_LENGTH)
    try:
        key.verify(raw_signature, digest.digest(), pss, Prehashed(SHA512()))
    except InvalidSignature as error:
        raise JWSError("signature-mismatch", "the signature is not by that key over this content") from error


def _read_object(raw: bytes, max_bytes: int, what: str) -> Mapping[str, object]:
    try:
        found = strictjson.loads(raw, max_bytes)
    except MalformedJSONError as error:
        # The reason quotes names out of the document, which may be of any length.
        raise JWSError("malformed", f"{what}: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise JWSError("malformed", f"{what}: not a JSON object")
    return found


def _text(holder: Mapping[str, object], name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise JWSError("malformed", f"`{name}` is missing, or no string")
    return value


def _decode(text: str, name: str) -> bytes:
    """Read base64url as RFC 7515 section 2 has it: without padding, and in one way only."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise JWSError("malformed", f"`{name}` is not base64url") from error
    # The decoder passes over letters that it does not know, and over bits that are left over.
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise JWSError("malformed", f"`{name}` is not base64url without padding")
    return raw
