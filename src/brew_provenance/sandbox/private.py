"""An instance in the manner of GitHub's own, which private repositories sign with: it keeps no log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.bundle import BUNDLE_V03, assemble_bundle
from brew_provenance.sandbox.envelope import read_signature
from brew_provenance.sandbox.instance import DEFAULT_EPOCH
from brew_provenance.sandbox.issuing import Issuing
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.trustroot import TRUSTED_ROOT_V01
from brew_provenance.sandbox.wire import JsonObject, encode_json


class PrivateSigstore(Issuing):
    """An instance of a certificate authority and a timestamp authority, and nothing else."""

    def __init__(self, seed: str = "brew-provenance private", epoch: datetime = DEFAULT_EPOCH) -> None:
        """Set up the instance; everything in its trusted root is valid from `epoch` on."""
        super().__init__(seed, epoch, certificate_logs=[])

    def trusted_root(self) -> JsonObject:
        """Return what a client must trust to accept the instance's bundles; it names no log at all."""
        return {
            "mediaType": TRUSTED_ROOT_V01,
            **self.describe_authorities("fulcio.private.invalid", "timestamp.private.invalid"),
        }

    def attest(
        self,
        statement: JsonObject | bytes,
        signer: ActionsJob | Signer,
        *,
        at: datetime,
        timestamps: Sequence[bytes] | None = None,
        media_type: str = BUNDLE_V03,
    ) -> JsonObject:
        """Return the bundle of a statement, or of payload bytes as they stand.

        A job gets a new certificate, issued at `at`. The timestamp is the authority's over the
        signature, unless others are given.
        """
        if isinstance(signer, ActionsJob):
            signer = self.signer(signer, at)
        payload = statement if isinstance(statement, bytes) else encode_json(statement)
        return self.stamp(signer.seal(payload), signer, at=at, timestamps=timestamps, media_type=media_type)

    def stamp(
        self,
        envelope: JsonObject,
        signer: Signer,
        *,
        at: datetime,
        timestamps: Sequence[bytes] | None = None,
        media_type: str = BUNDLE_V03,
    ) -> JsonObject:
        """Return the bundle of an envelope as it stands, as `attest` makes it."""
        if timestamps is None:
            timestamps = [self.timestamp_authority.stamp(read_signature(envelope), at)]
        bundle = assemble_bundle(
            {"dsseEnvelope": envelope}, [signer.certificate], [], timestamps=timestamps, media_type=media_type
        )
        # As GitHub's own bundles are: the field is not there at all.
        del bundle["verificationMaterial"]["tlogEntries"]
        return bundle
