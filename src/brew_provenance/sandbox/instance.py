"""The whole instance: certificate authority, logs and timestamp authority of one seed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.bundle import BUNDLE_V01, BUNDLE_V03, assemble_bundle, build_message_signature
from brew_provenance.sandbox.ctlog import CertificateLog
from brew_provenance.sandbox.entries import (
    EntryBody,
    build_dsse_entry,
    build_hashed_entry,
    build_hashed_envelope_entry,
    build_intoto_entry,
    build_message_entry,
)
from brew_provenance.sandbox.envelope import read_signature
from brew_provenance.sandbox.issuing import Issuing
from brew_provenance.sandbox.keys import derive_key
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.tlog import TransparencyLog
from brew_provenance.sandbox.trustroot import TRUSTED_ROOT_V01, describe_log
from brew_provenance.sandbox.wire import JsonObject, encode_json

DEFAULT_EPOCH = datetime(2022, 1, 1, tzinfo=UTC)

LogVersion: TypeAlias = Literal["rekor-v1", "rekor-v2"]
OlderKind: TypeAlias = Literal["intoto", "promised"]
"""An entry of kind intoto/0.0.2, or an entry with the log's promise alone, in a bundle of v0.1."""

_EARLIER_ENTRIES = 5


class VirtualSigstore(Issuing):
    """A Sigstore instance whose good bundles any Sigstore client accepts with its trusted root.

    The same seed and epoch and the same calls give the same bytes. The logs remember what
    was recorded, and each signer gets a fresh key; nothing else changes between calls.
    """

    def __init__(self, seed: str = "brew-provenance", epoch: datetime = DEFAULT_EPOCH) -> None:
        """Set up the instance; everything in its trusted root is valid from `epoch` on."""
        self.certificate_log = CertificateLog(derive_key(seed, "ctlog"))
        super().__init__(seed, epoch, [self.certificate_log])
        self.rekor_v1 = TransparencyLog(
            derive_key(seed, "rekor v1"),
            host="rekor.sandbox.invalid",
            tree_id="1193050959916656506",
            first_index=121_904_262,
        )
        self.rekor_v2 = TransparencyLog(derive_key(seed, "rekor v2"), host="log2026-1.rekor.sandbox.invalid")
        # Proofs in an otherwise empty log would be empty, which no real log's are.
        for log in (self.rekor_v1, self.rekor_v2):
            for number in range(_EARLIER_ENTRIES):
                log.append(encode_json({"earlier": number}))

    def trusted_root(self) -> JsonObject:
        """Return what a client must trust to accept the instance's bundles."""
        urls = ("https://fulcio.sandbox.invalid", "https://timestamp.sandbox.invalid")
        authorities = self.describe_authorities(*urls)
        return {
            "mediaType": TRUSTED_ROOT_V01,
            "tlogs": [
                describe_log(log.key.public_key(), f"https://{log.host}", self.period)
                for log in (self.rekor_v1, self.rekor_v2)
            ],
            "certificateAuthorities": authorities["certificateAuthorities"],
            "ctlogs": [
                describe_log(
                    self.certificate_log.key.public_key(), "https://ctfe.sandbox.invalid", self.period
                )
            ],
            "timestampAuthorities": authorities["timestampAuthorities"],
        }

    def attest(  # noqa: PLR0913
        self,
        statement: JsonObject | bytes,
        signer: ActionsJob | Signer,
        *,
        at: datetime,
        log: LogVersion = "rekor-v1",
        timestamps: bool = False,
        media_type: str = BUNDLE_V03,
    ) -> JsonObject:
        """Return the bundle of a statement, or of payload bytes as they stand.

        A job gets a new certificate, issued at `at`; a signer can be used many times. A
        bundle of Rekor v2 always carries a timestamp, its only source of time.
        """
        if isinstance(signer, ActionsJob):
            signer = self.signer(signer, at)
        payload = statement if isinstance(statement, bytes) else encode_json(statement)
        envelope = signer.seal(payload)
        build = build_dsse_entry if log == "rekor-v1" else build_hashed_envelope_entry
        stamped = timestamps or log == "rekor-v2"
        return assemble_bundle(
            {"dsseEnvelope": envelope},
            [signer.certificate],
            [self._record(build(envelope, signer.certificate), log, at)],
            timestamps=self._stamp(read_signature(envelope), at) if stamped else (),
            media_type=media_type,
        )

    def attest_as_before(
        self,
        statement: JsonObject,
        signer: ActionsJob | Signer,
        *,
        at: datetime,
        kind: OlderKind,
    ) -> JsonObject:
        """Return the bundle of a statement as clients made it before 2024, of one of the older kinds."""
        if isinstance(signer, ActionsJob):
            signer = self.signer(signer, at)
        envelope = signer.seal(encode_json(statement))
        is_promised = kind == "promised"
        build = build_dsse_entry if is_promised else build_intoto_entry
        entry = self.rekor_v1.record(build(envelope, signer.certificate), at)
        if is_promised:
            del entry["inclusionProof"]
        return assemble_bundle(
            {"dsseEnvelope": envelope},
            [signer.certificate],
            [entry],
            media_type=BUNDLE_V01 if is_promised else BUNDLE_V03,
        )

    def sign_message(  # noqa: PLR0913
        self,
        message: bytes,
        signer: ActionsJob | Signer,
        *,
        at: datetime,
        log: LogVersion = "rekor-v1",
        timestamps: bool = False,
        media_type: str = BUNDLE_V03,
    ) -> JsonObject:
        """Return the bundle of a bare signature over a message: no attestation.

        The options are those of `attest`.
        """
        if isinstance(signer, ActionsJob):
            signer = self.signer(signer, at)
        digest, signature = hashlib.sha256(message).digest(), signer.sign(message)
        build = build_message_entry if log == "rekor-v1" else build_hashed_entry
        stamped = timestamps or log == "rekor-v2"
        return assemble_bundle(
            {"messageSignature": build_message_signature(digest, signature)},
            [signer.certificate],
            [self._record(build(digest, signature, signer.certificate), log, at)],
            timestamps=self._stamp(signature, at) if stamped else (),
            media_type=media_type,
        )

    def _record(self, body: EntryBody, log: LogVersion, at: datetime) -> JsonObject:
        if log == "rekor-v1":
            return self.rekor_v1.record(body, at)
        return self.rekor_v2.record(body, None)

    def _stamp(self, signature: bytes, at: datetime) -> tuple[bytes, ...]:
        return (self.timestamp_authority.stamp(signature, at),)
