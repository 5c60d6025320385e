"""What a trusted root says, taken apart: who issues, who stamps, and what logs there are.

sigstore-python reads trusted roots too, but hands out no certificate authority with its time of
validity, and no key of a log; and it reads no root without logs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import Certificate
from sigstore_models.common.v1 import TimeRange
from sigstore_models.trustroot.v1 import CertificateAuthority, TransparencyLogInstance
from sigstore_models.trustroot.v1 import TrustedRoot as RootModel

from brew_provenance.certificate import load_certificate

_LogPublicKey: TypeAlias = EllipticCurvePublicKey | Ed25519PublicKey

# The hash that goes with each curve (Sigstore's algorithm registry).
HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}


@dataclass(frozen=True)
class Period:
    """When somebody is to be trusted, first and last instant included (sigstore_common.proto)."""

    start: datetime
    end: datetime | None
    """None while there is no end to it."""

    @classmethod
    def read(cls, given: TimeRange | None) -> Self:
        """Return a period as a root writes it: none is for always.

        Raises ValueError for times without a zone.
        """
        if given is None:
            return cls(datetime.min.replace(tzinfo=UTC), None)
        if any(time is not None and time.tzinfo is None for time in (given.start, given.end)):
            raise ValueError("a validity period has no time zone")
        return cls(given.start, given.end)

    def covers(self, time: datetime) -> bool:
        """Whether `time` lies in it."""
        return self.start <= time and (self.end is None or time <= self.end)


@dataclass(frozen=True)
class Authority:
    """A certificate authority, or a timestamp authority."""

    chain: tuple[Certificate, ...]
    """Its certificates, from the one that signs to the root."""

    period: Period

    @classmethod
    def read(cls, given: CertificateAuthority) -> Self:
        """Return an authority as a root writes it. Raises ValueError."""
        chain = tuple(
            load_certificate(certificate.raw_bytes) for certificate in given.cert_chain.certificates
        )
        if not chain:
            raise ValueError("an authority has no certificate")
        return cls(chain, Period.read(given.valid_for))


@dataclass(frozen=True)
class LogKey:
    """The key of a log of signatures or of certificates."""

    key: _LogPublicKey
    period: Period

    def has_signed(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` is this key's, over `data`."""
        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, data)
            else:
                self.key.verify(signature, data, ECDSA(HASHES[self.key.curve.name]))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Instance:
    """One Sigstore instance, as its trusted root describes it."""

    name: str
    """Name of the root."""

    authorities: Sequence[Authority]
    """Its certificate authorities."""

    timestamp_authorities: Sequence[Authority]

    logs: Mapping[bytes, LogKey]
    """Its transparency logs by their ids."""

    certificate_logs: Mapping[bytes, LogKey]
    """Its certificate transparency logs by their ids."""

    def has_issued(self, certificate: Certificate) -> bool:
        """Whether the certificate bears the signature of one of the instance's authorities, at any time."""
        return any(
            _is_issuer(issuer, certificate) for authority in self.authorities for issuer in authority.chain
        )


def read_instance(name: str, document: Mapping[str, object]) -> Instance:
    """Return the instance that a trusted root's JSON describes.

    Logs may be left out of it. Raises ValueError for what is no trusted root.
    """
    model = RootModel.from_json(json.dumps({"tlogs": [], "ctlogs": [], **document}))
    if not model.certificate_authorities:
        raise ValueError("it names no certificate authority")
    return Instance(
        name,
        [Authority.read(authority) for authority in model.certificate_authorities],
        [Authority.read(authority) for authority in model.timestamp_authorities],
        dict(_read_logs(model.tlogs)),
        dict(_read_logs(model.ctlogs)),
    )


def _read_logs(logs: Sequence[TransparencyLogInstance]) -> list[tuple[bytes, LogKey]]:
    """Return the keys that can be used; nothing of a log with another kind of key ever verifies."""
    found = []
    for log in logs:
        raw = log.public_key.raw_bytes or b""
        try:
            key = load_der_public_key(raw)
        except UnsupportedAlgorithm:
            continue
        if isinstance(key, Ed25519PublicKey) or (
            isinstance(key, EllipticCurvePublicKey) and key.curve.name in HASHES
        ):
            # RFC 6962, 3.2: a log's id is the digest of its key. What the root calls it is a hint.
            found.append((hashlib.sha256(raw).digest(), LogKey(key, Period.read(log.public_key.valid_for))))
    return found


def _is_issuer(issuer: Certificate, certificate: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True
