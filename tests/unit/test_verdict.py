"""Outcomes are never folded into each other, and nothing checked is no success."""

from __future__ import annotations

from itertools import permutations

import pytest
from tests.unit.builders import make_basis, make_evidence, make_question, make_signer, make_statement

from brew_provenance.findings import REASONS, Finding, Severity, Step
from brew_provenance.subject import SubjectNaming, find_subject
from brew_provenance.verdict import Assessment, Outcome, Verdict, worst_exit_code

STATEMENT = make_statement()
REJECT = Finding("subject-split", "x")
EARLY_REJECT = Finding("bundle-malformed", "x")
UNRESOLVED = Finding("unsupported-managed-key", "x")
OTHER = Finding("predicate-type-other", "x")
NOTE = Finding("builder-not-bound", "x")


def passed(*findings: Finding, **parts: object) -> Assessment:
    """Return an assessment that has everything, unless a part says otherwise."""
    subject = find_subject(STATEMENT, make_question(), SubjectNaming.FILE_NAME)
    whole: dict[str, object] = {
        "evidence": make_evidence(),
        "statement": STATEMENT,
        "signer": make_signer(),
        "subject": subject,
        **parts,
    }
    return Assessment("bundle.json", findings, **whole)  # type: ignore[arg-type]


def verdict(outcome: Outcome, *assessments: Assessment) -> Verdict:
    return Verdict(make_question(), make_basis(), outcome, (), assessments)


def test_each_outcome_has_its_exit_code() -> None:
    assert {outcome.value: outcome.exit_code for outcome in Outcome} == {
        "verified": 0,
        "rejected": 3,
        "unattested": 4,
        "unresolved": 5,
    }


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([Outcome.VERIFIED], 0),
        ([Outcome.VERIFIED, Outcome.UNRESOLVED], 5),
        ([Outcome.VERIFIED, Outcome.UNRESOLVED, Outcome.UNATTESTED], 4),
        ([Outcome.VERIFIED, Outcome.UNRESOLVED, Outcome.UNATTESTED, Outcome.REJECTED], 3),
        ([Outcome.UNRESOLVED, Outcome.REJECTED], 3),
        ([Outcome.VERIFIED, Outcome.VERIFIED], 0),
    ],
)
def test_the_worst_outcome_decides_whatever_the_order(outcomes: list[Outcome], code: int) -> None:
    for order in permutations(outcomes):
        assert worst_exit_code([verdict(outcome) for outcome in order]) == code


def test_nothing_checked_is_no_success() -> None:
    with pytest.raises(ValueError, match="no verdict"):
        worst_exit_code([])


def test_an_assessment_with_everything_is_accepted_and_notes_change_nothing() -> None:
    for assessment in (passed(), passed(NOTE)):
        assert assessment.accepted
        assert assessment.severity is None
        assert assessment.faults == ()
        assert assessment.last_step is Step.VERDICT
    assert passed(NOTE).notes == (NOTE,)


@pytest.mark.parametrize("part", ["evidence", "statement", "signer", "subject"])
def test_a_missing_part_is_enough_not_to_be_accepted(part: str) -> None:
    assert not passed(**{part: None}).accepted


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_fault_is_enough_not_to_be_accepted(code: str) -> None:
    assessment = passed(Finding(code, "x"))
    note = REASONS[code].severity is Severity.NOTE
    assert assessment.accepted is note
    assert assessment.severity is (None if note else REASONS[code].severity)


@pytest.mark.parametrize(
    ("findings", "severity", "step"),
    [
        ([OTHER, UNRESOLVED, REJECT], Severity.REJECT, Step.PARSE),
        ([OTHER, UNRESOLVED], Severity.UNRESOLVED, Step.PARSE),
        ([OTHER, NOTE], Severity.NOT_APPLICABLE, Step.PARSE),
        ([REJECT, NOTE], Severity.REJECT, Step.STATEMENT),
        ([REJECT, EARLY_REJECT], Severity.REJECT, Step.PARSE),
        ([NOTE], None, Step.VERDICT),
    ],
)
def test_faults_amount_to_the_gravest_and_end_at_the_earliest(
    findings: list[Finding], severity: Severity | None, step: Step
) -> None:
    for order in permutations(findings):
        assessment = passed(*order)
        assert assessment.severity is severity
        assert assessment.last_step is step


def test_the_first_attestation_is_the_best() -> None:
    first, second = passed(), passed(REJECT)
    assert verdict(Outcome.VERIFIED, first, second).best is first
    assert verdict(Outcome.UNATTESTED).best is None
