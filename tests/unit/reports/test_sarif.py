"""SARIF for code scanning: a result where the tap names the bottle, and nothing for what is verified."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    SHA256,
    FakeVerifier,
    Json,
    altered,
    make_basis,
    make_bottle,
    make_candidate,
    make_predicate,
    make_question,
    make_statement_document,
)
from tests.unit.reports.structure import check_sarif

from brew_provenance.appraise import Candidate, appraise
from brew_provenance.bundle import read_bundle
from brew_provenance.findings import REASONS, Finding, Severity
from brew_provenance.reports.sarif import deciding_code, document, render_verdicts
from brew_provenance.subject import Question
from brew_provenance.verdict import Outcome, Verdict

SBOM = "https://spdx.dev/Document/v2.3"


def judge(*candidates: Candidate, question: Question | None = None, findings: Any = ()) -> Verdict:
    return appraise(question or make_question(), candidates, FakeVerifier(), make_basis(), findings)


def lying() -> Candidate:
    predicate = altered(make_predicate(), (("runDetails", "builder", "id"), "x"))
    return make_candidate("lying.json", make_statement_document(predicate=predicate))


def other() -> Candidate:
    return make_candidate("other.json", make_statement_document(predicateType=SBOM))


VERDICTS = {
    Outcome.VERIFIED: judge(make_candidate()),
    Outcome.REJECTED: judge(lying()),
    Outcome.UNATTESTED: judge(),
    Outcome.UNRESOLVED: judge(Candidate("x", read_bundle(b"{"))),
}


def result(verdict: Verdict) -> Json:
    (found,) = check_sarif(render_verdicts([verdict]))["results"]
    assert isinstance(found, dict)
    return found


def place(verdict: Verdict) -> tuple[str, int]:
    (location,) = result(verdict)["locations"]
    physical = location["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


def test_there_is_nothing_to_show_of_what_is_verified() -> None:
    for verdicts in ([VERDICTS[Outcome.VERIFIED]], []):
        run = check_sarif(render_verdicts(verdicts))
        assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


@pytest.mark.parametrize(
    ("outcome", "level", "rule"),
    [
        (Outcome.REJECTED, "error", "predicate-builder-mismatch"),
        (Outcome.UNATTESTED, "warning", "unattested"),
        (Outcome.UNRESOLVED, "warning", "bundle-unreadable"),
    ],
)
def test_what_is_not_verified_has_a_level_and_a_rule(outcome: Outcome, level: str, rule: str) -> None:
    found = result(VERDICTS[outcome])
    assert (found["level"], found["ruleId"]) == (level, rule)
    assert found["properties"] == {"outcome": outcome.value}
    assert found["message"]["text"].startswith(f"{outcome.value}: foo--1.1.")


def test_the_outcomes_of_many_are_kept_apart_and_share_their_rules() -> None:
    verdicts = [*VERDICTS.values(), VERDICTS[Outcome.REJECTED], VERDICTS[Outcome.UNATTESTED]]
    run = check_sarif(render_verdicts(verdicts))
    assert [found["properties"]["outcome"] for found in run["results"]] == [
        verdict.outcome.value for verdict in verdicts[1:]
    ]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        *("predicate-builder-mismatch", "unattested", "bundle-unreadable")
    ]


def test_a_rule_is_the_row_of_the_table() -> None:
    (rule,) = check_sarif(render_verdicts([VERDICTS[Outcome.REJECTED]]))["tool"]["driver"]["rules"]
    reason = REASONS["predicate-builder-mismatch"]
    assert rule["shortDescription"]["text"] == reason.means
    assert rule["help"]["text"] == reason.advice


UNKNOWN_VERSION = Finding("package-version-unknown", "line 3")
MISMATCH = Finding("artifact-digest-mismatch", "another")


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (judge(other()), "unattested"),
        (judge(findings=[Finding("bytes-hashed", "x")]), "unattested"),
        (judge(findings=[UNKNOWN_VERSION]), "package-version-unknown"),
        (judge(findings=[UNKNOWN_VERSION, MISMATCH]), "artifact-digest-mismatch"),
        (judge(findings=[MISMATCH, UNKNOWN_VERSION]), "artifact-digest-mismatch"),
        (judge(make_candidate(), findings=[MISMATCH]), "artifact-digest-mismatch"),
        (judge(other(), lying()), "predicate-builder-mismatch"),
    ],
)
def test_the_rule_is_what_made_the_outcome_what_it_is(verdict: Verdict, code: str) -> None:
    assert deciding_code(verdict) == code
    assert result(verdict)["ruleId"] == code
    severity = {Outcome.REJECTED: Severity.REJECT, Outcome.UNRESOLVED: Severity.UNRESOLVED}
    if verdict.outcome in severity:
        assert REASONS[code].severity is severity[verdict.outcome]


def test_the_place_is_the_line_in_the_tap() -> None:
    bottle = make_bottle(path="Formula/f/foo@1+x.rb", line=12)
    assert place(judge(question=make_question(bottle))) == ("Formula/f/foo@1+x.rb", 12)


@pytest.mark.parametrize(
    ("question", "uri"),
    [
        (make_question(), "foo--1.1.arm64_sonoma.bottle.tar.gz"),
        (make_question(make_bottle(formula="a b")), "a%20b--1.1.arm64_sonoma.bottle.tar.gz"),
        (Question(str(SHA256), (SHA256,)), f"sha256%3A{SHA256.value}"),
        (Question("/var/x/foo.tar.gz", (SHA256,)), "var/x/foo.tar.gz"),
        (Question("//host/share", (SHA256,)), "host/share"),
        (Question("C:\\foo", (SHA256,)), "C%3A%5Cfoo"),
        (Question("javascript:alert(1)", (SHA256,)), "javascript%3Aalert%281%29"),
        (Question("foo 1.1 (installed)", (SHA256,)), "foo%201.1%20%28installed%29"),
        (Question("bü\ud800\udcff\n", (SHA256,)), "b%C3%BC%5Cud800%5Cudcff%0A"),
    ],
)
def test_what_stands_in_no_file_of_the_tap_has_a_name_for_a_place(question: Question, uri: str) -> None:
    assert place(judge(question=question)) == (uri, 1)


def test_a_result_is_known_again_by_its_digest_and_its_rule() -> None:
    first, again = result(VERDICTS[Outcome.REJECTED]), result(judge(lying()))
    assert first["partialFingerprints"] == again["partialFingerprints"]
    assert first["partialFingerprints"] != result(VERDICTS[Outcome.UNATTESTED])["partialFingerprints"]


@given(st.text(max_size=60), st.text(max_size=60), st.text(min_size=1, max_size=60))
def test_the_log_is_sound_whatever_others_wrote(label: str, detail: str, path: str) -> None:
    bottle = make_bottle(path=f"F{path}", line=3)
    verdicts = [
        judge(question=Question(f"x{label}", (SHA256,)), findings=[Finding("store-unreadable", detail)]),
        judge(question=make_question(bottle), findings=[Finding("artifact-digest-mismatch", detail)]),
    ]
    run = check_sarif(render_verdicts(verdicts))
    assert len(run["results"]) == 2


def test_what_there_is_to_know_of_the_results_is_told_with_them() -> None:
    run = check_sarif(document([], ["one formula could not be read", "two\nlines\x1b"]))
    (invocation,) = run["invocations"]
    assert [note["message"]["text"] for note in invocation["toolExecutionNotifications"]] == [
        "one formula could not be read",
        "two\\nlines\\x1b",
    ]
    assert "invocations" not in check_sarif(document([]))
