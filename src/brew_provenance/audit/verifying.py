"""What a process that verifies bundles does, on whichever machine it runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import brew_provenance
from brew_provenance.appraise import Candidate, appraise_bundle
from brew_provenance.bottle import Digest
from brew_provenance.bundle import read_bundle
from brew_provenance.errors import TrustError, UsageError
from brew_provenance.policy import Policy
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Assessment

if TYPE_CHECKING:
    from brew_provenance.verify import Verifier

Key: TypeAlias = tuple[str, tuple[Digest, ...]]
"""What an assessment is the same for."""


@dataclass(frozen=True)
class SignedBundle:
    """A bundle that has to be verified."""

    name: str
    """The digest of what it says, which tells it from others."""

    raw: bytes
    """Its JSON."""

    digests: tuple[Digest, ...] = ()
    """Those of the artifact, for a bundle that signs a message: it speaks for one artifact alone."""

    @property
    def key(self) -> Key:
        """What an assessment is the same for."""
        return self.name, self.digests


@dataclass(frozen=True)
class Rules:
    """By what bundles are verified: the same for every process of an audit."""

    roots: tuple[TrustedRoot, ...]
    policy: Policy

    version: str = field(default_factory=lambda: brew_provenance.__version__)
    """The version of brew-provenance that has to do it."""


@dataclass(frozen=True)
class Refusal:
    """Why a process cannot verify anything: an error's parts."""

    thing: str
    cause: str
    next_step: str

    of_roots: bool = True
    """Whether the trusted roots are why, and not the process."""

    @property
    def error(self) -> UsageError:
        """The error that says so: TrustError for roots that cannot be used."""
        kind = TrustError if self.of_roots else UsageError
        return kind(self.thing, self.cause, self.next_step)


Batch: TypeAlias = Sequence[SignedBundle]
Verified: TypeAlias = list[Assessment] | Refusal
"""What became of a batch: an assessment for each bundle, in their order, or why there is none."""


class Examiner:
    """Verifies bundles by some rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._verifier = _load(rules)

    def verify(self, batch: Batch) -> Verified:
        """Return what is the same for all artifacts that each bundle speaks for."""
        verifier = self._verifier
        if isinstance(verifier, Refusal):
            return verifier
        return [_without_ballast(_appraise(bundle, verifier, self.rules.policy)) for bundle in batch]


class _Kept(threading.local):
    examiner: Examiner | None = None


_kept = _Kept()


def verify_by(rules: Rules, batch: Batch) -> Verified:
    """Verify a batch in a process that may have been asked by others before; one set of rules is kept.

    Threads share nothing. A process of another version of brew-provenance refuses.
    """
    if _kept.examiner is None or _kept.examiner.rules != rules:
        _kept.examiner = Examiner(rules)
    return _kept.examiner.verify(batch)


def _load(rules: Rules) -> Verifier | Refusal:
    if rules.version != brew_provenance.__version__:
        return Refusal(
            "a worker",
            f"has brew-provenance {brew_provenance.__version__}, and the audit {rules.version}",
            "install the same version everywhere",
            of_roots=False,
        )
    from brew_provenance.verify import Verifier  # noqa: PLC0415 - not for the process that waits

    try:
        return Verifier(rules.roots)
    except TrustError as error:
        return Refusal(error.thing, error.cause, error.next_step)


def _appraise(bundle: SignedBundle, verifier: Verifier, policy: Policy) -> Assessment:
    candidate = Candidate(bundle.name, read_bundle(bundle.raw))
    return appraise_bundle(candidate, PROVENANCE_V1, verifier, policy, bundle.digests)


def _without_ballast(assessment: Assessment) -> Assessment:
    """Leave out what nobody looks at once a bundle has been appraised, and what could be long."""
    evidence, statement = assessment.evidence, assessment.statement
    return replace(
        assessment,
        evidence=evidence and replace(evidence, payload=b"", signature=b"", certificate=b""),
        statement=statement and statement.model_copy(update={"predicate": {}}),
    )
