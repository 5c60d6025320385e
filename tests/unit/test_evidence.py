"""What evidence of each kind shows, and how the reports say what it does not show."""

from __future__ import annotations

import json

import pytest
from tests.unit.builders import FakeVerifier, make_basis, make_candidate, make_evidence, make_question

from brew_provenance.appraise import appraise, examine
from brew_provenance.bundle import IN_TOTO, Bundle
from brew_provenance.evidence import Evidence, LogEntry
from brew_provenance.explain import Source, explain_assessment
from brew_provenance.findings import LIMITS, REASONS, Severity, Step
from brew_provenance.reports import json as json_report
from brew_provenance.reports import text as text_report
from brew_provenance.verdict import Outcome, Verdict

PROVEN = LogEntry("dsse/0.0.1", 7, "f" * 64)
PROMISED = LogEntry("intoto/0.0.2", 7, "f" * 64, is_proven=False)
KINDS = [(PROVEN, []), (PROMISED, ["log-promise-only"]), (None, ["not-in-a-log"])]


def verdict_on(entry: LogEntry | None) -> Verdict:
    candidate = make_candidate()
    assert isinstance(candidate.bundle, Bundle)
    evidence = make_evidence(log_entry=entry, payload_type=IN_TOTO, payload=candidate.bundle.payload)
    return appraise(make_question(), [candidate], FakeVerifier(evidence), make_basis())


def evidence_of(verdict: Verdict) -> Evidence:
    assert verdict.best is not None
    assert verdict.best.evidence is not None
    return verdict.best.evidence


@pytest.mark.parametrize(("entry", "codes"), KINDS)
def test_what_is_weaker_is_a_note_and_the_verdict_stands(entry: LogEntry | None, codes: list[str]) -> None:
    verdict = verdict_on(entry)

    assert [limit.code for limit in evidence_of(verdict).limits] == codes
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.best is not None
    assert [note.code for note in verdict.best.notes][: len(codes)] == codes
    for code in codes:
        assert code in LIMITS
        assert (REASONS[code].severity, REASONS[code].step) == (Severity.NOTE, Step.CRYPTOGRAPHY)


@pytest.mark.parametrize(("entry", "codes"), KINDS)
def test_an_examination_says_it_too(entry: LogEntry | None, codes: list[str]) -> None:
    candidate = make_candidate()
    assert isinstance(candidate.bundle, Bundle)
    evidence = make_evidence(log_entry=entry, payload_type=IN_TOTO, payload=candidate.bundle.payload)

    assessment = examine(candidate, FakeVerifier(evidence))

    assert not assessment.accepted
    assert [note.code for note in assessment.notes][: len(codes)] == codes


def test_what_a_log_did_not_prove_is_told_in_words() -> None:
    shown = {entry: text_report.render_verdicts([verdict_on(entry)]) for entry, _ in KINDS}

    assert "log entry: 7 in log" in shown[PROVEN]
    assert "log entry: 7 in log" in shown[PROMISED]
    assert "log entry" not in shown[None]
    assert "no proof came with the bundle" in shown[PROMISED]
    assert "That the signing is on public record" in shown[None]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (PROVEN, {"kind": "dsse/0.0.1", "index": 7, "logId": "f" * 64, "proven": True}),
        (PROMISED, {"kind": "intoto/0.0.2", "index": 7, "logId": "f" * 64, "proven": False}),
        (None, None),
    ],
)
def test_programs_are_told_whether_there_is_an_entry_and_a_proof(
    entry: LogEntry | None, said: dict[str, object] | None
) -> None:
    (verdict,) = json.loads(json_report.render_verdicts([verdict_on(entry)]))["verdicts"]
    (attestation,) = verdict["attestations"]
    assert attestation["evidence"]["logEntry"] == said


@pytest.mark.parametrize(
    ("entry", "name", "value", "source"),
    [
        (PROVEN, "log inclusion", "proved", Source.LOG),
        (PROMISED, "log inclusion", "promised", Source.LOG),
        (None, "log entry", "none, and none is asked for", Source.POLICY),
    ],
)
def test_the_step_of_cryptography_shows_it(
    entry: LogEntry | None, name: str, value: str, source: Source
) -> None:
    best = verdict_on(entry).best
    assert best is not None
    (step,) = [step for step in explain_assessment(best) if step.step is Step.CRYPTOGRAPHY]
    assert (name, value, source) in {(sight.name, sight.value, sight.source) for sight in step.sights}
