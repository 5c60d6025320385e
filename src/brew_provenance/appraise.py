"""Steps 3 to 9, from bundles to a verdict: the one path that every command takes.

Each step is a function of values; the order of the steps is the order of the lines in `_assess`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from brew_provenance import strictjson
from brew_provenance.bottle import Digest
from brew_provenance.bundle import IN_TOTO, MAX_BUNDLE_BYTES, Bundle
from brew_provenance.crosscheck import check_predicate
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding, Severity
from brew_provenance.policy import Gives, Policy, Signer
from brew_provenance.statement import (
    PROVENANCE_V1,
    Statement,
    build_type_of,
    predicate_type_of,
    read_statement,
)
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.subject import Question, expected_name, find_subject
from brew_provenance.verdict import Assessment, Basis, Outcome, Verdict

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1 import BottleBuild

BindFormula: TypeAlias = "Callable[[BottleBuild], Sequence[Finding]]"
"""Says whether the formula that a build names is the one that describes the bottle, and by what."""


class BundleVerifier(Protocol):
    """What judges cryptography: `verify.Verifier`."""

    def verify(self, bundle: Bundle, digests: Sequence[Digest]) -> Evidence | Finding:
        """Return evidence, or the finding that says why there is none."""


@dataclass(frozen=True)
class Candidate:
    """One bundle that may speak for the artifact."""

    source: str
    """Where it came from, for people."""

    bundle: Bundle | Finding
    """The bundle, or why it could not be read."""


def appraise(  # noqa: PLR0913 - all that a verdict rests on
    question: Question,
    candidates: Iterable[Candidate],
    verifier: BundleVerifier,
    basis: Basis,
    findings: Sequence[Finding] = (),
    *,
    bind: BindFormula | None = None,
) -> Verdict:
    """Judge every candidate and return the verdict on `question`.

    `findings` are what was already found about the artifact or about the store's answer; a fault
    among them decides before any bundle is looked at. No candidate at all means that a store
    answered and has none. `bind` is asked about the builds of candidates that are right in all else;
    None where nothing is at hand that a formula could be compared with.
    """
    assessed = (_assess(candidate, question, verifier, basis.policy, bind) for candidate in candidates)
    return decide(question, assessed, basis, findings)


def decide(
    question: Question, assessed: Iterable[Assessment], basis: Basis, findings: Sequence[Finding] = ()
) -> Verdict:
    """Do step 9: return the verdict that assessments of one artifact amount to.

    `findings` are as for `appraise`; nothing is drawn from `assessed` when a fault among them decides.
    """
    faults = [finding for finding in findings if finding.is_fault]
    assessments = sorted(assessed, key=_rank) if not faults else []
    return Verdict(question, basis, _outcome(faults, assessments), tuple(findings), tuple(assessments))


def _outcome(faults: Sequence[Finding], assessments: Sequence[Assessment]) -> Outcome:
    if not faults and any(assessment.accepted for assessment in assessments):
        return Outcome.VERIFIED
    found: set[Severity | None] = {finding.reason.severity for finding in faults}
    found |= {assessment.severity for assessment in assessments}
    if Severity.REJECT in found:
        return Outcome.REJECTED
    if Severity.UNRESOLVED in found:
        return Outcome.UNRESOLVED
    return Outcome.UNATTESTED


def _rank(assessment: Assessment) -> tuple[int, int, int]:
    """Sort the best first: accepted ones, those that say most, then by gravity and how far they came."""
    if assessment.accepted:
        notarised = assessment.signer is not None and assessment.signer.gives is Gives.NOTARISATION
        return (0, int(notarised), int(assessment.build is None))
    gravity = _GRAVITY.index(assessment.severity) + 1
    return (gravity, -assessment.last_step.value, len(assessment.faults))


_GRAVITY = (Severity.REJECT, Severity.UNRESOLVED, Severity.NOT_APPLICABLE, None)


def examine(candidate: Candidate, verifier: BundleVerifier) -> Assessment:
    """Do what needs neither question nor policy: parse, verify, and hold predicate against certificate.

    The result is never accepted, whatever the bundle.
    """
    document, evidence, fault = _verify(candidate, verifier, None, ())
    if fault:
        return Assessment(candidate.source, (fault,), evidence)
    statement = read_statement(document)
    if isinstance(statement, Finding):
        return Assessment(candidate.source, (statement,), evidence)
    findings, build = _check_predicate(statement, evidence)
    limits = evidence.limits if evidence is not None else ()
    return Assessment(candidate.source, (*limits, *findings), evidence, statement, build=build)


def _assess(
    candidate: Candidate,
    question: Question,
    verifier: BundleVerifier,
    policy: Policy,
    bind: BindFormula | None,
) -> Assessment:
    general = appraise_bundle(candidate, question.predicate_type, verifier, policy, question.digests)
    return answer(question, general, bind)


def appraise_bundle(
    candidate: Candidate,
    predicate_type: str,
    verifier: BundleVerifier,
    policy: Policy,
    digests: Sequence[Digest] = (),
) -> Assessment:
    """Do what is the same for all artifacts that a bundle speaks for: all but the subject and the formula.

    The result is for `answer`, and is never accepted as it is. `digests` are needed by bundles that sign
    a message, which speak for one artifact only.
    """
    source = candidate.source
    # Steps 3 and 4: what is this, does it apply, and is it genuine?
    document, evidence, fault = _verify(candidate, verifier, predicate_type, digests)
    if fault or evidence is None:
        return Assessment(source, (fault,) if fault else (), evidence)
    # Step 5: the signer.
    signer = policy.judge(evidence)
    if isinstance(signer, list):
        return Assessment(source, tuple(signer), evidence)
    # Step 6: the statement.
    statement = read_statement(document)
    if isinstance(statement, Finding):
        return Assessment(source, (statement,), evidence, None, signer)
    # Step 7: the predicate against the certificate, and the build against the policy.
    findings, build = _check_predicate(statement, evidence)
    if _is_provenance(statement) and not any(finding.is_fault for finding in findings):
        judged = policy.judge_build(evidence, build_type_of(statement), build)
        if isinstance(judged, list):
            findings += judged
        else:
            signer = judged
    return Assessment(source, (*evidence.limits, *findings), evidence, statement, signer, build=build)


def answer(question: Question, general: Assessment, bind: BindFormula | None = None) -> Assessment:
    """Say whether a bundle that was appraised is about this artifact, and what it leaves open.

    `bind` is as for `appraise`.
    """
    statement, signer, build = general.statement, general.signer, general.build
    if statement is None or signer is None:
        return general
    # Step 6: the subject in the statement.
    subject = find_subject(statement, question, signer.subject_naming)
    if isinstance(subject, Finding):
        return replace(general, findings=(subject,))
    # The end of step 7, and step 8: the tap and the formula. What is not compared is said.
    findings = [*general.findings, *_limits(question, statement, signer, build)]
    if build is not None:
        findings += _other_bottle(question, build)
        if not any(finding.is_fault for finding in findings):
            findings += [_builder(build), *(bind or _not_compared)(build)]
    return replace(general, findings=tuple(findings), subject=subject)


def _verify(
    candidate: Candidate, verifier: BundleVerifier, predicate_type: str | None, digests: Sequence[Digest]
) -> tuple[object, Evidence | None, Finding | None]:
    """Return the parsed payload, the evidence, and what is wrong: evidence alone, or a fault."""
    bundle = candidate.bundle
    if isinstance(bundle, Finding):
        return None, None, bundle
    document = _read_payload(bundle)
    if isinstance(document, Finding):
        return None, None, document
    if other := _not_applicable(document, predicate_type):
        return None, None, other
    evidence = verifier.verify(bundle, digests)
    if isinstance(evidence, Finding):
        return None, None, evidence
    if evidence.payload_type is None:
        return None, evidence, Finding("not-an-attestation", "rightly signed")
    if (evidence.payload_type, evidence.payload) != (bundle.payload_type, bundle.payload):
        return None, None, Finding("bundle-malformed", "the envelope reads differently to two parsers")
    return document, evidence, None


def _read_payload(bundle: Bundle) -> object:
    """Return the parsed payload of an attestation, None for a message, or a finding."""
    if bundle.payload_type is None:
        return None
    if bundle.payload_type != IN_TOTO:
        return Finding("payload-type-unexpected", f"payload type {bundle.payload_type!r}")
    try:
        return strictjson.loads(bundle.payload, MAX_BUNDLE_BYTES)
    except MalformedJSONError as error:
        return Finding("payload-malformed", str(error))


def _not_applicable(document: object, wanted: str | None) -> Finding | None:
    claimed = predicate_type_of(document)
    if wanted is None or claimed is None or claimed == wanted:
        return None
    return Finding("predicate-type-other", f"predicate type {claimed!r}")


def _check_predicate(
    statement: Statement, evidence: Evidence | None
) -> tuple[list[Finding], BottleBuild | None]:
    if evidence is None or not _is_provenance(statement):
        return [Finding("predicate-not-checked", f"predicate type {statement.predicate_type!r}")], None
    return check_predicate(statement, evidence.claims, min(verified.time for verified in evidence.times))


def _other_bottle(question: Question, build: BottleBuild) -> Iterator[Finding]:
    """Say in what a build is of another bottle than the one that is asked about.

    Tag and rebuild are the subject's, which has been compared.
    """
    # A tap's name does not follow from its repository: a remote can be any.
    asked, attested = question.asked_tap, build.parameters
    if asked not in {None, attested.tap}:
        yield Finding("parameters-other-tap", f"{attested.tap!r} instead of {asked!r}")
    # A file name can be read as that of two formulae, when one has two dashes in its version.
    named = question.bottle or question.package
    if named is not None and named.formula != attested.formula:
        yield Finding("parameters-other-formula", f"{attested.formula!r} instead of {named.formula!r}")


def _builder(build: BottleBuild) -> Finding:
    runner = build.runner
    machine = f"{runner.name!r} ({runner.os} {runner.arch}, {runner.environment})"
    return Finding("builder-bound", f"{build.builder}, in {build.invocation}, on the runner {machine}")


def _not_compared(build: BottleBuild) -> Sequence[Finding]:
    said = f"commit {build.formula_commit}, {build.formula_path}"
    return [Finding("formula-not-compared", said)]


def _is_provenance(statement: Statement) -> bool:
    return statement.predicate_type == PROVENANCE_V1


def _limits(
    question: Question, statement: Statement, signer: Signer, build: BottleBuild | None
) -> list[Finding]:
    """Say what an accepted attestation does not prove, but for the formula that a build names."""
    limits = []
    if expected_name(question, signer.subject_naming) is None and question.package is None:
        limits.append(Finding("subject-name-not-checked", "no name was asked for"))
    if signer.gives is Gives.NOTARISATION:
        limits.append(Finding("notarisation-only", f"signed by {signer.name}"))
    elif question.is_bottle and _is_provenance(statement) and build is None:
        limits.append(Finding("builder-not-bound", "the build type describes a workflow run"))
        limits.append(Finding("formula-not-bound", "the attestation names no formula"))
    return limits
