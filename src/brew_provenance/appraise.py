"""Steps 3 to 9, from bundles to a verdict: the one path that every command takes.

Each step is a function of values; the order of the steps is the order of the lines in `_assess`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from brew_provenance import strictjson
from brew_provenance.bottle import Digest
from brew_provenance.bundle import IN_TOTO, MAX_BUNDLE_BYTES, Bundle
from brew_provenance.crosscheck import check_predicate
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding, Severity
from brew_provenance.policy import Gives, Policy, Signer
from brew_provenance.statement import PROVENANCE_V1, Statement, predicate_type_of, read_statement
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.subject import Question, expected_name, find_subject
from brew_provenance.verdict import Assessment, Basis, Outcome, Verdict


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


def appraise(
    question: Question,
    candidates: Iterable[Candidate],
    verifier: BundleVerifier,
    basis: Basis,
    findings: Sequence[Finding] = (),
) -> Verdict:
    """Judge every candidate and return the verdict on `question`.

    `findings` are what was already found about the artifact or about the store's answer; a fault
    among them decides before any bundle is looked at. No candidate at all means that a store
    answered and has none.
    """
    faults = [finding for finding in findings if finding.reason.severity is not Severity.NOTE]
    assessments: list[Assessment] = []
    if not faults:
        assessed = [_assess(candidate, question, verifier, basis.policy) for candidate in candidates]
        assessments = sorted(assessed, key=_rank)
    return Verdict(question, basis, _outcome(faults, assessments), tuple(findings), tuple(assessments))


def _outcome(faults: Sequence[Finding], assessments: Sequence[Assessment]) -> Outcome:
    found = {finding.reason.severity for finding in faults}
    found |= {assessment.severity for assessment in assessments if assessment.severity is not None}
    if not faults and any(assessment.accepted for assessment in assessments):
        return Outcome.VERIFIED
    if Severity.REJECT in found:
        return Outcome.REJECTED
    if Severity.UNRESOLVED in found:
        return Outcome.UNRESOLVED
    return Outcome.UNATTESTED


def _rank(assessment: Assessment) -> tuple[int, int, int]:
    """Sort the best first: accepted, then by gravity, then the one that came furthest."""
    if assessment.accepted:
        weaker = assessment.gives is not Gives.BUILD_PROVENANCE
        return (0, int(weaker), 0)
    order = {Severity.REJECT: 1, Severity.UNRESOLVED: 2, Severity.NOT_APPLICABLE: 3}
    gravity = order[assessment.severity] if assessment.severity in order else 4
    return (gravity, -assessment.last_step.value, len(assessment.faults))


def _assess(candidate: Candidate, question: Question, verifier: BundleVerifier, policy: Policy) -> Assessment:
    source, bundle = candidate.source, candidate.bundle
    # Step 3: what is this, and does it apply?
    if isinstance(bundle, Finding):
        return Assessment(source, (bundle,))
    document = _read_payload(bundle)
    if isinstance(document, Finding):
        return Assessment(source, (document,))
    if other := _not_applicable(document, question):
        return Assessment(source, (other,))
    # Step 4: cryptography.
    evidence = verifier.verify(bundle, question.digests)
    if isinstance(evidence, Finding):
        return Assessment(source, (evidence,))
    if evidence.payload_type is None:
        return Assessment(source, (Finding("not-an-attestation", "rightly signed"),), evidence)
    if (evidence.payload_type, evidence.payload) != (bundle.payload_type, bundle.payload):
        twice = Finding("bundle-malformed", "the envelope reads differently to two parsers")
        return Assessment(source, (twice,))
    # Step 5: the signer.
    signer = policy.judge(evidence)
    if isinstance(signer, list):
        return Assessment(source, tuple(signer), evidence)
    # Step 6: the statement, and the subject in it.
    statement = read_statement(document)
    if isinstance(statement, Finding):
        return Assessment(source, (statement,), evidence, signer=signer.name, gives=signer.gives)
    subject = find_subject(statement, question, signer.subject_naming)
    if isinstance(subject, Finding):
        return Assessment(source, (subject,), evidence, statement, signer.name, signer.gives)
    # Step 7: the predicate against the certificate.
    lies = check_predicate(statement, evidence.claims) if _is_provenance(statement) else []
    # Step 8: the formula. What is not compared is said.
    notes = _limits(question, statement, signer)
    return Assessment(source, (*lies, *notes), evidence, statement, signer.name, signer.gives, subject)


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


def _not_applicable(document: object, question: Question) -> Finding | None:
    claimed = predicate_type_of(document)
    if claimed is None or claimed == question.predicate_type:
        return None
    return Finding("predicate-type-other", f"predicate type {claimed!r}")


def _is_provenance(statement: Statement) -> bool:
    return statement.predicate_type == PROVENANCE_V1


def _limits(question: Question, statement: Statement, signer: Signer) -> list[Finding]:
    """Say what an accepted attestation does not prove."""
    limits = []
    if expected_name(question, signer.subject_naming) is None:
        limits.append(Finding("subject-name-not-checked", "no name was asked for"))
    if not _is_provenance(statement):
        limits.append(Finding("predicate-not-checked", f"predicate type {statement.predicate_type!r}"))
    elif signer.gives is Gives.NOTARISATION:
        limits.append(Finding("notarisation-only", f"signed by {signer.name}"))
    else:
        limits.append(Finding("builder-not-bound", "the build type describes a workflow run"))
        limits.append(Finding("formula-not-bound", "the attestation names no formula"))
    return limits
