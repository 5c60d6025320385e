"""What every instance does: issue certificates to jobs, and stamp what they sign."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.ca import AUTHORITY_LIFETIME, CertificateAuthority, LeafProfile
from brew_provenance.sandbox.ctlog import CertificateLog
from brew_provenance.sandbox.keys import derive_key
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.trustroot import Period, describe_authority
from brew_provenance.sandbox.tsa import TimestampAuthority
from brew_provenance.sandbox.wire import JsonObject


class Issuing:
    """A certificate authority and a timestamp authority of one seed.

    Each signer gets a fresh key; nothing else changes between calls.
    """

    def __init__(self, seed: str, epoch: datetime, certificate_logs: Sequence[CertificateLog]) -> None:
        """Set up the authorities, valid from `epoch` on; each certificate is promised to all the logs."""
        self.seed = seed
        self.epoch = epoch
        self.authority = CertificateAuthority.create(seed, epoch)
        self.timestamp_authority = TimestampAuthority.create(seed, epoch)
        self._certificate_logs = certificate_logs
        self._serials = itertools.count(1)

    @property
    def period(self) -> Period:
        """The time in which everything of the instance is valid."""
        return Period(self.epoch, self.epoch + AUTHORITY_LIFETIME)

    def profile(self, job: ActionsJob, at: datetime) -> LeafProfile:
        """Return what Fulcio would put into the job's certificate."""
        names = (x509.UniformResourceIdentifier(job.signer_uri),)
        return LeafProfile(names, job.claims(), at)

    def issue(self, profile: LeafProfile) -> Signer:
        """Return a fresh key with a certificate of this profile."""
        key = derive_key(self.seed, f"signer {next(self._serials)}")
        return Signer(key, self.authority.issue(profile, key.public_key(), self._certificate_logs))

    def signer(self, job: ActionsJob, at: datetime) -> Signer:
        """Return a signer for the job, whose certificate is valid for 10 minutes from `at`."""
        return self.issue(self.profile(job, at))

    def describe_authorities(self, fulcio: str, timestamping: str) -> JsonObject:
        """Return the authorities as a trusted root names them, by the addresses given."""
        authority, timestamps = self.authority, self.timestamp_authority
        issuers = [authority.intermediate, authority.root]
        stampers = [timestamps.certificate, timestamps.root]
        return {
            "certificateAuthorities": [describe_authority(issuers, fulcio, self.period)],
            "timestampAuthorities": [describe_authority(stampers, timestamping, self.period)],
        }
