"""What each step saw, and where each claim came from: derived from an assessment, after the fact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Final

from brew_provenance.certificate import EXTENSIONS
from brew_provenance.evidence import Evidence, TimeSource
from brew_provenance.findings import Finding, Severity, Step
from brew_provenance.statement import Statement
from brew_provenance.verdict import Assessment, Verdict

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1.rules import Field

# A signer can write a predicate of any size; a person reads a screen.
_MAX_DEPTH: Final = 8
_MAX_SIGHTS: Final = 100


class Source(Enum):
    """Who says a thing."""

    CERTIFICATE = "certificate"
    """The certificate authority, from the CI provider's token; the job could not choose it."""

    LOG = "log"
    """The transparency log, or, for an index, the bundle on its behalf."""

    TIMESTAMP = "timestamp"
    """A timestamp authority."""

    PREDICATE = "predicate"
    """The signing job, in the predicate."""

    BUILD_RECORD = "build record"
    """The build job, in its record: the publishing workflow corroborated and signed it, nothing else does."""

    STATEMENT = "statement"
    """The signing job, in the statement around the predicate."""

    POLICY = "policy"
    """The policy in force."""

    ARTIFACT = "artifact"
    """The bytes at hand, or the formula that describes them."""


class Status(Enum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"
    NOT_REACHED = "not reached"
    NOT_DONE = "not done"


@dataclass(frozen=True)
class Sight:
    """One thing that a step saw."""

    name: str
    value: str
    source: Source

    rule: str | None = None
    """What has to hold for it, in words that complete "it"; None where that is not told one by one."""


@dataclass(frozen=True)
class ExplainedStep:
    """One of the nine steps for one attestation."""

    step: Step
    status: Status
    sights: tuple[Sight, ...] = ()
    findings: tuple[Finding, ...] = ()


def explain_question(verdict: Verdict) -> list[ExplainedStep]:
    """Return steps 1 and 2, which come before any attestation is looked at.

    And step 8, where the bottle itself was at hand, and the formula in it was looked at.
    """
    sights = tuple(
        Sight(f"{digest.algorithm} digest", digest.value, Source.ARTIFACT)
        for digest in verdict.question.digests
    )
    steps = [
        _step(Step.BYTES, verdict.findings, sights),
        _step(
            Step.RESOLVE,
            verdict.findings,
            (Sight("attestations", f"{len(verdict.assessments)} in {verdict.basis.store}", Source.ARTIFACT),),
        ),
        _step(Step.FORMULA, verdict.findings, ()),
    ]
    return [step for step in steps if step.step is not Step.FORMULA or step.findings]


def explain_assessment(assessment: Assessment) -> list[ExplainedStep]:
    """Return steps 3 to 9 for one attestation."""
    evidence, statement = assessment.evidence, assessment.statement
    sights: dict[Step, tuple[Sight, ...]] = {}
    if evidence is not None:
        sights[Step.CRYPTOGRAPHY] = tuple(_cryptography(evidence))
        sights[Step.SIGNER] = tuple(_claims(evidence))
    if assessment.signer is not None:
        rule = Sight("satisfies", assessment.signer.name, Source.POLICY)
        sights[Step.SIGNER] = (*sights.get(Step.SIGNER, ()), rule)
    if statement is not None:
        sights[Step.STATEMENT] = tuple(_statement(assessment, statement))
        seen = _build(statement) if assessment.build is not None else _predicate(statement.predicate)
        sights[Step.PREDICATE] = tuple(islice(seen, _MAX_SIGHTS))
    steps = [
        _step(step, assessment.findings, sights.get(step, ()), assessment.last_step)
        for step in Step
        if Step.PARSE.value <= step.value < Step.VERDICT.value
    ]
    return [*_undone(assessment, steps), ExplainedStep(Step.VERDICT, _final(assessment))]


def _undone(assessment: Assessment, steps: list[ExplainedStep]) -> Iterator[ExplainedStep]:
    # An examination has no policy and no subject, and most attestations do not name their formula.
    undone = set[Step]()
    if not any(finding.code == "formula-bound" for finding in assessment.findings):
        undone.add(Step.FORMULA)
    if assessment.signer is None:
        undone |= {Step.SIGNER, Step.STATEMENT}
    if any(finding.code == "predicate-not-checked" for finding in assessment.findings):
        undone.add(Step.PREDICATE)
    for step in steps:
        if step.status is Status.PASSED and step.step in undone:
            yield ExplainedStep(step.step, Status.NOT_DONE, step.sights, step.findings)
        else:
            yield step


def _final(assessment: Assessment) -> Status:
    if assessment.accepted:
        return Status.PASSED
    if not assessment.faults:
        return Status.NOT_DONE
    return Status.FAILED if assessment.severity is Severity.REJECT else Status.STOPPED


def _step(
    step: Step, findings: tuple[Finding, ...], sights: tuple[Sight, ...], last: Step = Step.VERDICT
) -> ExplainedStep:
    if step.value > last.value:
        return ExplainedStep(step, Status.NOT_REACHED)
    mine = tuple(finding for finding in findings if finding.reason.step is step)
    severities = {finding.reason.severity for finding in mine} - {Severity.NOTE}
    status = Status.PASSED
    if severities:
        status = Status.FAILED if Severity.REJECT in severities else Status.STOPPED
    return ExplainedStep(step, status, sights, mine)


def _cryptography(evidence: Evidence) -> Iterator[Sight]:
    yield Sight("trusted root", evidence.trusted_root, Source.POLICY)
    yield Sight("certificate sha256", evidence.certificate_sha256, Source.CERTIFICATE)
    yield Sight("certificate issuer", evidence.certificate_issuer, Source.CERTIFICATE)
    for verified in evidence.times:
        source = Source.LOG if verified.source is TimeSource.LOG else Source.TIMESTAMP
        yield Sight("time of signing", verified.time.isoformat(), source)
    entry = evidence.log_entry
    if entry is None:
        yield Sight("log entry", "none, and none is asked for", Source.POLICY)
        return
    yield Sight("log entry kind", entry.kind, Source.LOG)
    yield Sight("log index", str(entry.index), Source.LOG)
    yield Sight("log id", entry.log_id, Source.LOG)
    yield Sight("log inclusion", "proved" if entry.is_proven else "promised", Source.LOG)


def _claims(evidence: Evidence) -> Iterator[Sight]:
    claims = evidence.claims
    if claims.identity is not None:
        yield Sight(f"SAN {claims.identity_type}", claims.identity, Source.CERTIFICATE)
    for extension in EXTENSIONS:
        value = claims.value(extension.field)
        if value is not None:
            yield Sight(f".{extension.number} {extension.title}", value, Source.CERTIFICATE)
    for oid in claims.unknown:
        yield Sight(oid, "unknown, tolerated", Source.CERTIFICATE)


def _statement(assessment: Assessment, statement: Statement) -> Iterator[Sight]:
    yield Sight("predicate type", statement.predicate_type, Source.STATEMENT)
    yield Sight("subjects", str(len(statement.subject)), Source.STATEMENT)
    for subject in [assessment.subject] if assessment.subject else statement.subject:
        for algorithm, value in subject.digest.items():
            yield Sight(f"subject {subject.name}", f"{algorithm}:{value}", Source.STATEMENT)


def _predicate(predicate: object) -> Iterator[Sight]:
    """Return the leaves of a predicate by their paths."""
    for path, _, value in _leaves(predicate):
        yield Sight(path, value, Source.PREDICATE)


def _build(statement: Statement) -> Iterator[Sight]:
    """Return the leaves of a predicate of our own build type, each with who vouches for it and its rule."""
    from brew_provenance.buildtypes.bottle.v1.rules import (  # noqa: PLC0415 - for one build type
        FIELDS,
        Origin,
    )

    for path, kind, value in _leaves(statement.predicate):
        known: Field | None = FIELDS.get(kind)
        if known is None:
            yield Sight(path, value, Source.PREDICATE, "is not of the build type, and not looked at")
        elif known.origin is Origin.PUBLISHER:
            yield Sight(path, value, Source.BUILD_RECORD, known.rule)
        else:
            yield Sight(path, value, Source.PREDICATE, known.rule)


def _leaves(value: object, path: str = "", kind: str = "", depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """Yield path, kind and text of each leaf, as deep as people can follow.

    Its kind is the path with a dependency called by its name, and the entry of any other list by nothing.
    """
    if depth == _MAX_DEPTH:
        yield path, kind, "nested deeper than is shown"
    elif isinstance(value, dict):
        for name, inner in value.items():
            below = (f"{path}.{name}", f"{kind}.{name}") if path else (str(name), str(name))
            yield from _leaves(inner, *below, depth + 1)
    elif isinstance(value, list):
        named = kind == "buildDefinition.resolvedDependencies"
        for index, inner in enumerate(value):
            name = inner.get("name") if named and isinstance(inner, dict) else ""
            yield from _leaves(inner, f"{path}[{index}]", f"{kind}[{name}]", depth + 1)
    else:
        yield path, kind, str(value)
