"""The signature over a DSSE envelope, verified with the certificate's key.

Sigstore client specification, 4.5; DSSE v1.0, protocol.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.x509 import Certificate

from brew_provenance.bundle import Bundle
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import HASHES


def check_signature(bundle: Bundle, certificate: Certificate) -> None:
    """Check that the certificate's key signed payload and payload type. Raises Refusal."""
    key = certificate.public_key()
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in HASHES:
        raise Refusal("certificate-key-unsupported", f"its key is of type {type(key).__name__}")
    try:
        key.verify(bundle.signature, _signed_bytes(bundle), ECDSA(HASHES[key.curve.name]))
    except InvalidSignature as error:
        raise Refusal("envelope-signature-invalid", "it is not by the certificate's key") from error


def _signed_bytes(bundle: Bundle) -> bytes:
    """Return DSSE's pre-authentication encoding."""
    kind = (bundle.payload_type or "").encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(bundle.payload), bundle.payload)
