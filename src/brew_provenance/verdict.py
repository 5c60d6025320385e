"""Verdicts: what is known about one bottle or artifact, and on what basis. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding, Severity, Step
from brew_provenance.policy import Policy, Signer
from brew_provenance.statement import Statement, Subject
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1 import BottleBuild


class Outcome(Enum):
    """What is known about one bottle or artifact; never folded into each other."""

    VERIFIED = "verified"
    """An attestation passed every step."""

    UNATTESTED = "unattested"
    """A store answered, and it holds no attestation that applies."""

    REJECTED = "rejected"
    """There is evidence, and it is wrong."""

    UNRESOLVED = "unresolved"
    """It could not be found out: no answer, an unreadable answer, or a kind not supported yet."""

    @property
    def exit_code(self) -> int:
        """The exit code of a command whose worst outcome this is."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Outcome.VERIFIED: 0,
    Outcome.REJECTED: 3,
    Outcome.UNATTESTED: 4,
    Outcome.UNRESOLVED: 5,
}


@dataclass(frozen=True)
class Assessment:
    """One attestation, judged. Everything past its first faulty step is None."""

    source: str
    """Where the bundle came from: a file and line, a store's row."""

    findings: tuple[Finding, ...]
    """What was found; an attestation without any but notes is accepted."""

    evidence: Evidence | None = None
    """What cryptography verified."""

    statement: Statement | None = None
    """The statement, once it is known to be one."""

    signer: Signer | None = None
    """The policy's signer that it satisfies."""

    subject: Subject | None = None
    """The subject that is the artifact."""

    build: BottleBuild | None = None
    """The build that the predicate describes, where it is of our own build type and could be read."""

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that keep the attestation from being accepted."""
        return tuple(f for f in self.findings if f.is_fault)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """The findings that change nothing."""
        return tuple(f for f in self.findings if not f.is_fault)

    @property
    def severity(self) -> Severity | None:
        """What the faults amount to; None when the attestation is accepted."""
        found = {finding.reason.severity for finding in self.faults}
        return next((severity for severity in _GRAVITY if severity in found), None)

    @property
    def accepted(self) -> bool:
        """Whether the attestation passed every step; needs evidence, not only a lack of faults."""
        return not self.faults and None not in (
            self.evidence,
            self.statement,
            self.signer,
            self.subject,
        )

    @property
    def last_step(self) -> Step:
        """The step at which judging ended."""
        steps = [finding.reason.step.value for finding in self.faults]
        return Step(min(steps, default=Step.VERDICT.value))


_GRAVITY = (Severity.REJECT, Severity.UNRESOLVED, Severity.NOT_APPLICABLE)


@dataclass(frozen=True)
class Basis:
    """What a verdict was reached with: another basis may give another verdict."""

    trusted_roots: tuple[TrustedRoot, ...]
    policy: Policy
    store: str
    """Where the bundles came from."""

    metadata: str | None = None
    """Where the bottle's description came from, for a bottle."""


@dataclass(frozen=True)
class Verdict:
    """One artifact's outcome, with everything that it rests on."""

    question: Question
    basis: Basis
    outcome: Outcome
    findings: tuple[Finding, ...]
    """What was found about the artifact itself or about the store's answer."""

    assessments: tuple[Assessment, ...]
    """Every attestation that was looked at, the best first."""

    @property
    def best(self) -> Assessment | None:
        """The attestation that decided, where one did."""
        return self.assessments[0] if self.assessments else None

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Why it is not `verified`: faults of the artifact or the look-up, or of the best attestation."""
        own = tuple(finding for finding in self.findings if finding.is_fault)
        return (*own, *self.best.faults) if self.best is not None else own


def worst_of(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst of several outcomes: rejected, then unattested, then unresolved.

    Raises ValueError when there is none: nothing checked is no success.
    """
    found = set(outcomes)
    if not found:
        raise ValueError("no verdict")
    order = (Outcome.REJECTED, Outcome.UNATTESTED, Outcome.UNRESOLVED, Outcome.VERIFIED)
    return next(outcome for outcome in order if outcome in found)


def worst_exit_code(verdicts: Sequence[Verdict]) -> int:
    """Return the exit code for several verdicts. Raises ValueError when there is none."""
    return worst_of(verdict.outcome for verdict in verdicts).exit_code
