"""A signing key with its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from brew_provenance.sandbox.envelope import IN_TOTO_PAYLOAD_TYPE, build_envelope, encode_pae
from brew_provenance.sandbox.keys import sign
from brew_provenance.sandbox.wire import JsonObject

SigningKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Signer:
    """A key and a certificate for it, which can sign any number of statements."""

    key: SigningKey
    certificate: x509.Certificate

    def sign(self, message: bytes) -> bytes:
        """Return the signature over the message."""
        match self.key:
            case ed25519.Ed25519PrivateKey():
                return self.key.sign(message)
            case ec.EllipticCurvePrivateKey():
                return sign(self.key, message)

    def seal(self, payload: bytes, payload_type: str = IN_TOTO_PAYLOAD_TYPE) -> JsonObject:
        """Return a DSSE envelope with the payload and the signature over it."""
        return build_envelope(payload_type, payload, [self.sign(encode_pae(payload_type, payload))])
