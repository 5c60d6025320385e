"""What a cryptographically verified bundle says.

Only `verify` makes evidence; whoever holds one may rely on it that the signature, the certificate,
the log entry and the times belong together under the trusted root that it names.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from brew_provenance.certificate import Claims, load_certificate
from brew_provenance.findings import Finding


class TimeSource(Enum):
    """Who vouches for a verified time."""

    LOG = "transparency-log"
    """The log's signature over the time at which it took the entry in."""

    AUTHORITY = "timestamp-authority"
    """An RFC 3161 timestamp over the signature."""


@dataclass(frozen=True)
class VerifiedTime:
    """One time at which the signature demonstrably existed."""

    source: TimeSource
    time: datetime
    """In UTC."""


@dataclass(frozen=True)
class LogEntry:
    """The transparency log entry that the bundle carries."""

    kind: str
    """Kind and version, `dsse/0.0.1`."""

    index: int
    """Index as the bundle gives it. Rekor v2 does not sign it: a link for people, not an identity."""

    log_id: str
    """Hexadecimal key id of the log, as the bundle gives it."""

    is_proven: bool = True
    """Whether inclusion in the log was proved; False when the log promised it, and nothing more."""


@dataclass(frozen=True)
class Evidence:
    """One verified bundle. Who may sign, and what the statement must say, is judged elsewhere."""

    trusted_root: str
    """Name of the trusted root under which it verified."""

    claims: Claims
    """The certificate's claims."""

    certificate: bytes
    """The signing certificate, DER."""

    times: tuple[VerifiedTime, ...]
    """All verified times, at least one."""

    log_entry: LogEntry | None
    """The transparency log entry; None under a trusted root that knows no log."""

    signature: bytes
    """The signature that was verified."""

    payload_type: str | None
    """DSSE payload type; None when the bundle signs a message and holds no attestation."""

    payload: bytes
    """The signed payload; empty when the bundle signs a message."""

    @property
    def limits(self) -> tuple[Finding, ...]:
        """What evidence of this kind shows less well than another: notes for the verdict."""
        if self.log_entry is None:
            return (Finding("not-in-a-log", "a signed timestamp says when, and nothing else does"),)
        if not self.log_entry.is_proven:
            return (
                Finding("log-promise-only", f"entry {self.log_entry.index} of {self.log_entry.log_id[:16]}"),
            )
        return ()

    @property
    def certificate_sha256(self) -> str:
        """Fingerprint of the signing certificate, lower-case hexadecimal."""
        return hashlib.sha256(self.certificate).hexdigest()

    @property
    def certificate_issuer(self) -> str:
        """Distinguished name of the authority that issued the certificate (RFC 4514)."""
        # Names that cryptography warns of are for whoever trusts the root to have allowed.
        with warnings.catch_warnings(action="ignore"):
            return load_certificate(self.certificate).issuer.rfc4514_string()
