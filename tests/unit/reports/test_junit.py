"""JUnit for CI systems: what is wrong is a failure, and what could not be found out an error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    SHA256,
    FakeVerifier,
    altered,
    make_basis,
    make_candidate,
    make_claims,
    make_policy,
    make_predicate,
    make_question,
    make_statement_document,
)
from tests.unit.reports.structure import check_junit
from xmlschema import XMLSchemaValidationError

from brew_provenance.appraise import Candidate, appraise
from brew_provenance.bundle import read_bundle
from brew_provenance.findings import Finding
from brew_provenance.reports.junit import Case, document, render_verdicts
from brew_provenance.subject import Question
from brew_provenance.verdict import Outcome, Verdict


def judge(
    *candidates: Candidate, question: Question | None = None, findings: Any = (), tap: str | None = "octo/tap"
) -> Verdict:
    basis = make_basis(replace(make_policy(), tap=tap))
    return appraise(question or make_question(), candidates, FakeVerifier(), basis, findings)


def lying() -> Candidate:
    predicate = altered(make_predicate(), (("runDetails", "builder", "id"), "x"))
    return make_candidate("lying.json", make_statement_document(predicate=predicate))


VERDICTS = {
    Outcome.VERIFIED: judge(make_candidate()),
    Outcome.REJECTED: judge(lying()),
    Outcome.UNATTESTED: judge(),
    Outcome.UNRESOLVED: judge(Candidate("x", read_bundle(b"{"))),
}


def only_case(verdict: Verdict) -> ET.Element:
    ((case,),) = check_junit(render_verdicts([verdict]))
    return case


def test_a_verified_bottle_passes_and_says_who_signed() -> None:
    case = only_case(VERDICTS[Outcome.VERIFIED])
    assert case.attrib == {"classname": "octo/tap", "name": "foo 1.1"}
    (out,) = case
    assert (out.tag, out.text) == ("system-out", f"signed by {make_claims().identity}")


@pytest.mark.parametrize(
    ("outcome", "kind", "code", "said"),
    [
        (Outcome.REJECTED, "failure", "predicate-builder-mismatch", "predicate-builder-mismatch: "),
        (Outcome.UNATTESTED, "failure", "unattested", "no attestation"),
        (Outcome.UNRESOLVED, "error", "bundle-unreadable", "bundle-unreadable: "),
    ],
)
def test_the_other_outcomes_are_kept_apart(outcome: Outcome, kind: str, code: str, said: str) -> None:
    (problem,) = only_case(VERDICTS[outcome])
    assert problem.tag == kind
    assert problem.attrib == {"type": code, "message": outcome.value}
    assert (problem.text or "").startswith(said)


def test_what_decided_names_the_problem_and_all_that_was_found_is_told() -> None:
    findings = [Finding("package-version-unknown", "line 3"), Finding("artifact-digest-mismatch", "another")]
    (problem,) = only_case(judge(findings=findings))
    assert problem.attrib["type"] == "artifact-digest-mismatch"
    assert problem.text == "package-version-unknown: line 3\nartifact-digest-mismatch: another"


def test_there_is_a_suite_for_each_tap_and_the_counts_are_right() -> None:
    verdicts = [
        *VERDICTS.values(),
        judge(tap="homebrew/core"),
        judge(make_candidate(), tap="homebrew/core"),
        judge(question=Question(str(SHA256), (SHA256,)), tap="homebrew/core"),
        judge(question=Question("tool.zip", (SHA256,)), tap=None),
    ]
    root = check_junit(render_verdicts(verdicts))
    assert [(suite.attrib["name"], suite.attrib["tests"]) for suite in root] == [
        *[("octo/tap", "4"), ("homebrew/core", "3"), ("artifacts", "1")]
    ]
    assert {name: root.attrib[name] for name in ("tests", "failures", "errors")} == {
        "tests": "8",
        "failures": "5",
        "errors": "1",
    }


def test_nothing_checked_is_an_empty_document() -> None:
    assert list(check_junit(render_verdicts([]))) == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_document_is_sound_whatever_others_wrote(label: str, detail: str) -> None:
    question = Question(f"x{label}", (SHA256,))
    verdicts = [
        judge(question=question, findings=[Finding("store-unreadable", detail)]),
        judge(question=question, findings=[Finding("artifact-digest-mismatch", detail)]),
        judge(make_candidate(f"<![CDATA[{label}"), question=question),
    ]
    root = check_junit(render_verdicts(verdicts))
    assert [case.find("failure") is None for case in root.iter("testcase")] == [True, False, True]


@pytest.mark.parametrize("text", ["\x00", "\x0b", "\ufffe", "\ud800", "]]>", "&lt;", '"><x/>'])
def test_what_no_xml_can_hold_is_shown_as_what_it_is(text: str) -> None:
    case = only_case(judge(question=Question(f"a{text}b", (SHA256,))))
    assert case.attrib["name"].startswith("a")
    assert case.attrib["name"].endswith("b")


def test_a_document_is_written_suite_by_suite() -> None:
    names = ["octo/tap/bar", "octo/tap/foo"]
    cases = [Case("foo--1.0", outcome, outcome.value, [f"said {outcome.value}"]) for outcome in Outcome]
    counts = dict.fromkeys(Outcome, 2)
    pieces = list(document(counts, iter([(name, cases) for name in names])))
    assert [piece.count("<testsuite ") for piece in pieces] == [0, 1, 1, 0]
    root = check_junit("".join(pieces))
    assert [suite.attrib for suite in root] == [
        {"name": name, "tests": "4", "failures": "2", "errors": "1"} for name in names
    ]
    assert [(case[0].tag, case[0].text) for case in root[0]] == [
        *[("system-out", "said verified"), ("failure", "said unattested")],
        *[("failure", "said rejected"), ("error", "said unresolved")],
    ]


def test_the_schema_refuses_what_readers_would_misread() -> None:
    text = render_verdicts([VERDICTS[Outcome.REJECTED]])
    check_junit(text)
    for old, new in (
        ("<failure ", "<skip "),
        ('tests="1"', ""),
        (' name="foo 1.1"', ""),
        ('message="rejected"', 'message=""'),
        ("testcase", "case"),
    ):
        with pytest.raises((XMLSchemaValidationError, ET.ParseError)):
            check_junit(text.replace(old, new))
