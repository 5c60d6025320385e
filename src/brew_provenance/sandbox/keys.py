"""Keys that are the same in every run."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_CURVE = ec.SECP256R1()


def derive_bytes(seed: str, label: str) -> bytes:
    """Return 64 bytes that depend on the seed and the label and on nothing else."""
    return hashlib.sha512(f"{len(seed)}:{seed}{label}".encode()).digest()


def derive_key(seed: str, label: str) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of this seed and label (FIPS 186-5, A.2.1: reduce extra bits)."""
    scalar = int.from_bytes(derive_bytes(seed, label)) % (_CURVE.group_order - 1) + 1
    return ec.derive_private_key(scalar, _CURVE)


def derive_edwards_key(seed: str, label: str) -> ed25519.Ed25519PrivateKey:
    """Return the Ed25519 key of this seed and label."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(derive_bytes(seed, label)[:32])


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the deterministic ECDSA signature (RFC 6979) over the message's SHA-256."""
    return key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def encode_public_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the key as a DER SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def identify_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the SHA-256 of the public key, which is a log's id (RFC 6962, section 3.2)."""
    return hashlib.sha256(encode_public_key(key)).digest()
