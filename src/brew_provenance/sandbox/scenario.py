"""One bottle, the job that attests it, and the ways to attest it wrongly."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from brew_provenance.bottle import BottleFileName
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.bundle import assemble_bundle
from brew_provenance.sandbox.entries import (
    EntryBody,
    build_dsse_entry,
    build_hashed_envelope_entry,
)
from brew_provenance.sandbox.envelope import read_signature
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.private import PrivateSigstore
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.wire import JsonObject, encode_json


@dataclass(frozen=True)
class Scenario:
    """A bottle to be verified against the trusted root of `sigstore`.

    The verifier expects the subject `name` with the SHA-256 of `artifact`. Its policy wants
    the job's issuer, its repository with both numeric ids, its workflow at refs/heads/main as
    the signer, source ref refs/heads/main, runners of kind github-hosted, and a verified time
    from 2024-01-01 until 2030-01-01; both instances have to be valid for longer than that.
    """

    sigstore: VirtualSigstore = field(default_factory=VirtualSigstore)
    other: VirtualSigstore = field(default_factory=lambda: VirtualSigstore("stranger"))
    """An instance with other keys, which nobody trusts."""

    private: PrivateSigstore = field(default_factory=PrivateSigstore)
    """An instance without a log, which is trusted as well, by a root of its own."""

    job: ActionsJob = field(default_factory=ActionsJob)
    at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    artifact: bytes = b"a bottle of hello"
    name: str = "hello--2.12.1.arm64_sonoma.bottle.tar.gz"

    @property
    def digest(self) -> str:
        """The artifact's SHA-256 in hexadecimal."""
        return hashlib.sha256(self.artifact).hexdigest()

    @property
    def bottle(self) -> BottleFileName:
        """The parts of the bottle's name."""
        return BottleFileName.parse(self.name)

    def statement(self) -> JsonObject:
        """Return the statement that the job rightly makes."""
        return build_statement([build_subject(self.name, self.digest)], self.job.provenance())

    def signer(self) -> Signer:
        """Return a signer for the job with a new certificate."""
        return self.sigstore.signer(self.job, self.at)

    def envelope(self, signer: Signer) -> JsonObject:
        """Return the right statement, signed."""
        return signer.seal(encode_json(self.statement()))

    def bundle(self) -> JsonObject:
        """Return the right bundle, with an entry of Rekor v1."""
        return self.sigstore.attest(self.statement(), self.job, at=self.at)

    def bundle_v2(self) -> JsonObject:
        """Return the right bundle, with an entry of Rekor v2 and a timestamp."""
        return self.sigstore.attest(self.statement(), self.job, at=self.at, log="rekor-v2")

    def bundle_private(self) -> JsonObject:
        """Return the right bundle of the instance without a log."""
        return self.private.attest(self.statement(), self.job, at=self.at)

    def bundle_intoto(self) -> JsonObject:
        """Return the right bundle, with an entry of kind intoto/0.0.2."""
        return self.sigstore.attest_as_before(self.statement(), self.job, at=self.at, kind="intoto")

    def bundle_promised(self) -> JsonObject:
        """Return the right bundle, with the log's promise and without its proof."""
        return self.sigstore.attest_as_before(self.statement(), self.job, at=self.at, kind="promised")

    def good(self) -> bytes:
        """Return the right bundle as JSON."""
        return encode_json(self.bundle())

    def log(self, envelope: JsonObject, signer: Signer, *, body: EntryBody | None = None) -> bytes:
        """Return the bundle of an envelope with an entry of Rekor v1.

        The body is the one that belongs to the envelope, unless another one is given.
        """
        body = body or build_dsse_entry(envelope, signer.certificate)
        return encode_json(
            assemble_bundle(
                {"dsseEnvelope": envelope},
                [signer.certificate],
                [self.sigstore.rekor_v1.record(body, self.at)],
            )
        )

    def log_v2(
        self,
        envelope: JsonObject,
        signer: Signer,
        *,
        body: EntryBody | None = None,
        timestamps: Sequence[bytes] | None = None,
    ) -> bytes:
        """Return the bundle of an envelope with an entry of Rekor v2 and a timestamp.

        Body and timestamps are those that belong to the envelope, unless others are given.
        """
        body = body or build_hashed_envelope_entry(envelope, signer.certificate)
        if timestamps is None:
            timestamps = [self.sigstore.timestamp_authority.stamp(read_signature(envelope), self.at)]
        return encode_json(
            assemble_bundle(
                {"dsseEnvelope": envelope},
                [signer.certificate],
                [self.sigstore.rekor_v2.record(body, None)],
                timestamps=timestamps,
            )
        )


Make: TypeAlias = Callable[[Scenario], bytes]
Edit: TypeAlias = Callable[[JsonObject, Scenario], object]
"""Changes the document in place; what it returns is not looked at."""


@dataclass(frozen=True)
class Forgery:
    """Evidence that is well formed, and wrong in one way."""

    name: str
    code: str
    """The reason code that a correct verifier answers with."""

    what: str
    """What is wrong, in one sentence."""

    make: Make
    """Makes the bundle's JSON for a scenario."""


def alter(right: Callable[[Scenario], JsonObject], edit: Edit) -> Make:
    """Return a forgery's maker that edits a right bundle after it was made."""

    def make(scenario: Scenario) -> bytes:
        bundle = right(scenario)
        edit(bundle, scenario)
        return encode_json(bundle)

    return make


def alter_bundle(edit: Edit) -> Make:
    """Return a forgery's maker that edits the right bundle of Rekor v1."""
    return alter(Scenario.bundle, edit)


def alter_bundle_v2(edit: Edit) -> Make:
    """Return a forgery's maker that edits the right bundle of Rekor v2."""
    return alter(Scenario.bundle_v2, edit)


def alter_statement(edit: Edit) -> Make:
    """Return a forgery's maker that edits the statement before the right signer signs it."""

    def make(scenario: Scenario) -> bytes:
        statement = scenario.statement()
        edit(statement, scenario)
        return encode_json(scenario.sigstore.attest(statement, scenario.job, at=scenario.at))

    return make


def alter_job(change: Callable[[ActionsJob], ActionsJob]) -> Make:
    """Return a forgery's maker that lets another job sign, which describes itself rightly."""
    return lambda scenario: dataclasses.replace(scenario, job=change(scenario.job)).good()


def reach(document: JsonObject, *keys: str) -> JsonObject:
    """Return the object at the end of a path of keys."""
    for key in keys:
        document = document[key]
    return document


def reach_entry(bundle: JsonObject) -> JsonObject:
    """Return a bundle's first log entry."""
    entry: JsonObject = bundle["verificationMaterial"]["tlogEntries"][0]
    return entry
