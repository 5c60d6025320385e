"""Text for a terminal: nothing that others control gets there as it came."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    DROP,
    OTHER_SHA256,
    SHA256,
    FakeVerifier,
    Json,
    altered,
    make_basis,
    make_candidate,
    make_claims,
    make_policy,
    make_predicate,
    make_question,
    make_signer,
    make_statement_document,
    make_subject,
)
from tests.unit.buildtypes.builds import make_build, make_build_document

from brew_provenance.appraise import Candidate, appraise, examine
from brew_provenance.bundle import read_bundle
from brew_provenance.findings import REASONS, Finding
from brew_provenance.policy import PolicyOrigin
from brew_provenance.reports.text import printable, render_examination, render_verdicts
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Basis, Outcome, Verdict

HOSTILE = [
    "\x1b[2J\x1b[32mverified\x1b[0m",
    "a\nverified  wget 1.0",
    "a\r\nb",
    "\x9b31m",
    "\x07\x08\x7f\x00",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\u200bzero\ufeff",
    "h\u0435llo",
    "\u2028line",
    "\U0001f600",
    "\ud800",
]


def judge(
    *candidates: Candidate,
    question: Question | None = None,
    basis: Basis | None = None,
    verifier: FakeVerifier | None = None,
    findings: Sequence[Finding] = (),
) -> Verdict:
    return appraise(
        question or make_question(), candidates, verifier or FakeVerifier(), basis or make_basis(), findings
    )


def lying(source: str = "lying.json") -> Candidate:
    predicate = altered(make_predicate(), (("runDetails", "builder", "id"), "x"))
    return make_candidate(source, make_statement_document(predicate=predicate))


def other(source: str = "other.json") -> Candidate:
    return make_candidate(source, make_statement_document(predicateType="https://example.org/other"))


def unresolved() -> Verdict:
    return judge(Candidate("x", read_bundle(b"{")))


@given(st.text(max_size=1000))
def test_printable_text_is_ascii_on_one_line(text: str) -> None:
    assert re.fullmatch(r"[ -~]*", printable(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_what_could_mislead_is_shown_as_what_it_is(text: str) -> None:
    shown = printable(text)
    assert re.fullmatch(r"[ -~]+", shown)
    assert shown != text
    assert "\\" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("foo--1.1.all.bottle.tar.gz", "foo--1.1.all.bottle.tar.gz"),
        ("https://github.com/o/r@refs/heads/main", "https://github.com/o/r@refs/heads/main"),
        ("a\nb", "a\\nb"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\u202e", "\\u202e"),
        ("\\n", "\\\\n"),
    ],
)
def test_printable_text_is_itself_and_everything_else_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(max_size=60), st.text(max_size=60))
def test_two_texts_never_look_the_same(left: str, right: str) -> None:
    assert (printable(left) == printable(right)) == (left == right)


def test_a_very_long_text_is_cut_and_says_how_long_it_was() -> None:
    assert printable("x" * 400) == "x" * 400
    assert printable("x" * 401) == "x" * 400 + "... (401 characters)"


@pytest.mark.parametrize("text", HOSTILE[:-1])
def test_nothing_that_a_signer_wrote_reaches_the_terminal_as_it_came(text: str) -> None:
    claims = make_claims(github_workflow_name=text)
    subject = make_statement_document(make_subject(text, SHA256), make_subject(text, OTHER_SHA256))
    predicate = altered(make_predicate(), (("runDetails", "builder", "id"), text), (("extra",), {text: text}))
    documents = [
        make_statement_document(predicateType=text),
        make_statement_document(_type=text),
        make_statement_document(make_subject(text)),
        make_statement_document(predicate=predicate),
        subject,
    ]
    candidates = [make_candidate(text, document) for document in documents]
    verifier = FakeVerifier(claims=claims)
    question = Question(text, (SHA256,))
    basis = make_basis(
        make_policy(make_signer(name=text), origin=PolicyOrigin.FILE), store=text, metadata=text
    )
    root = replace(basis.trusted_roots[0], name=text, built_in=False)
    basis = replace(basis, policy=replace(basis.policy, name=text), trusted_roots=(root,))
    verdicts = [
        judge(candidate, question=question, basis=basis, verifier=verifier) for candidate in candidates
    ]
    verdicts.append(
        judge(*candidates, make_candidate(text), question=question, basis=basis, verifier=verifier)
    )
    verdicts.append(judge(question=question, basis=basis, findings=[Finding("store-unreadable", text)]))
    verdicts.append(judge(question=question, basis=basis))
    for explain in (False, True):
        for shown in (verdicts, *([verdict] for verdict in verdicts)):
            assert re.fullmatch(r"[ -~\n]+", render_verdicts(shown, explain=explain))
    examined = [examine(candidate, verifier) for candidate in candidates]
    assert re.fullmatch(r"[ -~\n]+", render_examination(examined))


def test_a_line_break_in_a_name_makes_no_line() -> None:
    verdict = judge(question=Question("wget\nverified    curl 1.0", (SHA256,)))
    assert not any(line.startswith("verified") for line in render_verdicts([verdict]).splitlines())


@pytest.mark.parametrize(
    "verdict",
    [
        judge(lying()),
        judge(),
        judge(other()),
        unresolved(),
        judge(make_candidate(), findings=[Finding("store-unreadable", "x")]),
        judge(lying(), other(), Candidate("x", read_bundle(b"{"))),
        *[
            judge(make_candidate(), verifier=FakeVerifier(Finding(code, "x")))
            for code in ("verification-failed", "verification-crashed", "timestamp-unverified")
        ],
    ],
)
@pytest.mark.parametrize("explain", [False, True])
def test_only_a_verified_bottle_is_called_verified(verdict: Verdict, explain: bool) -> None:
    assert verdict.outcome is not Outcome.VERIFIED
    text = render_verdicts([verdict], explain=explain)
    assert not re.search(r"\bverified\b", text)
    assert text.startswith(verdict.outcome.value)
    assert "provenance exists" not in text


@pytest.mark.parametrize("explain", [False, True])
def test_a_verified_bottle_is_shown_with_its_evidence_and_with_what_is_not_proved(explain: bool) -> None:
    text = render_verdicts([judge(make_candidate(), lying())], explain=explain)
    assert text.startswith("verified")
    assert "build provenance exists and matches" in text
    claims = make_claims()
    for shown in (
        claims.identity,
        claims.source_repository_uri,
        claims.source_repository_digest,
        claims.run_invocation_uri,
        "foo--1.1.arm64_sonoma.bottle.tar.gz",
        "2025-03-01 12:00:00 UTC",
        "1 other attestation(s) do not count: predicate-builder-mismatch",
        "not proved: Which machine built the bottle",
        "not proved: Which formula commit",
    ):
        assert str(shown) in text
    assert not re.search(r"\b(safe|trustworthy)\b", text)


def test_a_notarisation_is_not_called_build_provenance() -> None:
    basis = make_basis(make_policy(make_signer(gives="notarisation")))
    text = render_verdicts([judge(make_candidate(), basis=basis)])
    assert "notarised, not build provenance" in text
    assert "build provenance exists" not in text


def test_a_rejection_says_what_was_found_and_what_to_do() -> None:
    finding = Finding("sct-missing", "none in it")
    text = render_verdicts([judge(make_candidate(), verifier=FakeVerifier(finding))])
    assert "sct-missing: The signing certificate carries no signed certificate timestamp: none in it" in text
    assert f"next: {finding.reason.advice}" in text


def test_of_several_attestations_the_nearest_is_named() -> None:
    text = render_verdicts([judge(other(), lying())])
    assert "nearest: lying.json, of 2 attestations" in text
    assert "predicate-builder-mismatch" in text
    assert "predicate-type-other" not in text


def test_an_unattested_bottle_is_said_to_be_without_attestation_where() -> None:
    text = render_verdicts([judge()])
    assert text.startswith("unattested")
    assert f"no attestation: for {SHA256} in the example store" in text


def test_findings_about_the_artifact_are_shown_whatever_the_outcome() -> None:
    note = Finding("trusted-root-note", "it is old")
    for verdict in (judge(make_candidate(), findings=[note]), judge(findings=[note])):
        assert "it is old" in render_verdicts([verdict])


def test_several_verdicts_are_summed_up_without_being_folded() -> None:
    verdicts = [judge(make_candidate()), judge(lying()), judge(lying()), judge(), unresolved()]
    text = render_verdicts(verdicts)
    assert text.splitlines()[-2:] == [
        "5 bottles: 1 verified, 1 unattested, 2 rejected, 1 unresolved",
        "weakest link: foo 1.1, rejected",
    ]
    assert "bottles:" not in render_verdicts(verdicts[:1])


def test_when_quiet_nothing_is_said_of_a_verified_bottle_alone() -> None:
    assert render_verdicts([judge(make_candidate())], quiet=True) == ""
    assert render_verdicts([judge(make_candidate())], quiet=True, explain=True) == ""


@pytest.mark.parametrize("verdict", [judge(lying()), judge(), unresolved()], ids=lambda v: v.outcome.value)
def test_when_quiet_what_is_not_verified_is_said_as_ever(verdict: Verdict) -> None:
    assert render_verdicts([verdict], quiet=True) == render_verdicts([verdict])


def test_when_quiet_verified_bottles_are_counted_and_not_shown() -> None:
    good = judge(make_candidate(), question=make_question(label="good 1.0"))
    bad = judge(lying(), question=make_question(label="bad 1.0"))
    text = render_verdicts([good, bad, good], quiet=True)
    assert "good 1.0" not in text
    assert "not proved" not in text
    assert text.startswith("rejected")
    assert text.splitlines()[-2:] == [
        "3 bottles: 2 verified, 1 rejected",
        "weakest link: bad 1.0, rejected",
    ]
    assert "good 1.0" in render_verdicts([good, bad, good])
    assert "step 1" in render_verdicts([good, bad], quiet=True, explain=True)


def test_when_quiet_the_basis_of_many_verified_bottles_is_still_named() -> None:
    good = judge(make_candidate(), basis=make_basis(make_policy(origin=PolicyOrigin.FILE)))
    assert render_verdicts([good, good], quiet=True).splitlines() == [
        "policy: the example policy, from a file",
        "attestations: the example store",
        "2 bottles: 2 verified",
    ]


VERDICT_OF = {
    Outcome.REJECTED: lambda question: judge(lying(), question=question),
    Outcome.UNATTESTED: lambda question: judge(question=question),
    Outcome.UNRESOLVED: lambda question: judge(Candidate("x", read_bundle(b"{")), question=question),
    Outcome.VERIFIED: lambda question: judge(make_candidate(), question=question),
}
BY_GRAVITY = [Outcome.REJECTED, Outcome.UNATTESTED, Outcome.UNRESOLVED, Outcome.VERIFIED]


@pytest.mark.parametrize(
    ("outcomes", "weakest"),
    [
        (BY_GRAVITY, 0),
        (BY_GRAVITY[::-1], 3),
        (BY_GRAVITY[1:], 0),
        (BY_GRAVITY[2:], 0),
        ([Outcome.VERIFIED, Outcome.UNATTESTED, Outcome.UNATTESTED], 1),
        ([Outcome.UNRESOLVED, Outcome.UNATTESTED, Outcome.REJECTED, Outcome.REJECTED], 2),
        ([Outcome.VERIFIED, Outcome.VERIFIED], None),
    ],
)
def test_the_weakest_link_is_the_first_of_the_worst(outcomes: list[Outcome], weakest: int | None) -> None:
    verdicts = [
        VERDICT_OF[outcome](make_question(label=f"number {number}", needed_by="top" if number else None))
        for number, outcome in enumerate(outcomes)
    ]
    last = render_verdicts(verdicts).splitlines()[-1]
    if weakest is None:
        assert "weakest link" not in last
        return
    needed = ", needed by top" if weakest else ""
    assert last == f"weakest link: number {weakest}, {outcomes[weakest].value}{needed}"


@pytest.mark.parametrize("outcome", Outcome)
def test_who_needs_a_bottle_is_said_with_it(outcome: Outcome) -> None:
    verdict = VERDICT_OF[outcome](make_question(needed_by="top"))
    assert render_verdicts([verdict]).splitlines()[0].endswith("  foo 1.1, needed by top")
    alone = VERDICT_OF[outcome](make_question())
    assert "needed by" not in render_verdicts([alone])


@pytest.mark.parametrize("text", HOSTILE)
def test_who_needs_a_bottle_cannot_mislead(text: str) -> None:
    verdict = judge(question=make_question(needed_by=text, label=text))
    shown = render_verdicts([verdict, verdict])
    assert re.fullmatch(r"[ -~\n]+", shown)
    assert len(re.findall(r"^(?:un)?verified", shown, re.MULTILINE)) == 0
    assert shown.splitlines()[-1].startswith("weakest link: ")


def test_the_word_is_coloured_and_nothing_else() -> None:
    def style(word: str, colour: str) -> str:
        return f"<{colour}>{word}</>"

    verdicts = {
        "green": judge(make_candidate()),
        "red": judge(lying()),
        "yellow": judge(),
        "magenta": unresolved(),
    }
    for colour, verdict in verdicts.items():
        text = render_verdicts([verdict], style=style, explain=True)
        assert text.startswith(f"<{colour}>{verdict.outcome.value}")
        assert text.count("</>") == 1


def test_what_is_built_in_is_not_named() -> None:
    text = render_verdicts([judge(make_candidate())])
    assert "trusted root" not in text
    assert "policy" not in text


@pytest.mark.parametrize("outcome", [Outcome.VERIFIED, Outcome.REJECTED, Outcome.UNATTESTED])
def test_a_root_a_policy_and_metadata_that_are_not_built_in_are_named(outcome: Outcome) -> None:
    candidates = {Outcome.VERIFIED: [make_candidate()], Outcome.REJECTED: [lying()], Outcome.UNATTESTED: []}
    own = TrustedRoot("own-root", b"{}", built_in=False)
    for origin, said in (
        (PolicyOrigin.FILE, "from a file"),
        (PolicyOrigin.OPTIONS, "from the command line"),
        (PolicyOrigin.DERIVED, "from the tap's name"),
    ):
        basis = make_basis(make_policy(origin=origin), trusted_roots=(own,), metadata="kit x, unsigned")
        verdict = judge(*candidates[outcome], basis=basis)
        assert verdict.outcome is outcome
        text = render_verdicts([verdict, verdict])
        assert text.count(f"trusted root: own-root (sha256 {own.sha256[:16]}), not the built-in one") == 1
        assert text.count(f"policy: the example policy, {said}") == 1
        assert text.count("formulae: kit x, unsigned") == 1


@pytest.mark.parametrize("outcome", [Outcome.VERIFIED, Outcome.REJECTED, Outcome.UNATTESTED])
def test_the_store_that_answered_is_named(outcome: Outcome) -> None:
    candidates = {Outcome.VERIFIED: [make_candidate()], Outcome.REJECTED: [lying()], Outcome.UNATTESTED: []}
    verdict = judge(*candidates[outcome], basis=make_basis(store="my-bundles.jsonl"))
    assert verdict.outcome is outcome
    assert "my-bundles.jsonl" in render_verdicts([verdict])


def test_an_explanation_shows_nine_steps_and_who_says_what() -> None:
    text = render_verdicts([judge(make_candidate())], explain=True)
    assert re.findall(r"^  step (\d) ", text, re.MULTILINE) == list("123456789")
    for source in ("certificate", "log", "predicate", "statement", "policy", "artifact"):
        assert f"      [{source}] " in text
    assert "step" not in render_verdicts([judge(make_candidate())])


def test_an_explanation_shows_every_attestation() -> None:
    text = render_verdicts([judge(make_candidate("one.json"), lying("two.json"))], explain=True)
    assert "\n  one.json\n" in text
    assert "\n  two.json\n" in text
    assert "predicate-builder-mismatch: the predicate's builder is 'x'" in text


def test_an_examination_says_that_it_is_no_verdict() -> None:
    text = render_examination([examine(make_candidate("one.json"), FakeVerifier())])
    assert text.startswith("No verdict")
    assert "one.json" in text
    assert re.findall(r"^  step (\d) ", text, re.MULTILINE) == list("3456789")
    assert not re.search(r"\bverified\b", text)


def test_a_question_keeps_its_label() -> None:
    assert "foo 1.1" in render_verdicts([judge(question=make_question())]).splitlines()[0]


def judge_build(*codes: str, predicate: Json | None = None) -> Verdict:
    return appraise(
        make_question(),
        [make_candidate("build.json", make_build_document(predicate))],
        FakeVerifier(),
        make_basis(),
        bind=lambda _: [Finding(code, f"about {code}") for code in codes],
    )


def test_a_build_is_shown_with_its_formula_its_workflow_and_its_runner() -> None:
    job = make_build()
    lines = [line.strip() for line in render_verdicts([judge_build("formula-bound")]).splitlines()]
    repository = job.publisher.repository_uri
    assert f"built from: {repository}/blob/{job.commit}/Formula/f/foo.rb (refs/pull/71/merge)" in lines
    assert f"built by: {repository}/.github/workflows/tests.yml@refs/pull/71/merge" in lines
    assert f"built in: {job.run_uri}" in lines
    machine = "GitHub Actions 1000000043 (macOS ARM64, github-hosted, image macos15 20260301.1.0)"
    assert f"built on: {machine}" in lines
    assert "formula: about formula-bound" in lines
    assert not any(line.startswith("not proved") for line in lines)


def test_a_build_says_what_is_not_proved_and_what_is_worth_knowing() -> None:
    text = render_verdicts([judge_build("formula-commit-not-in-tap", "formula-not-compared")])
    assert "note: about formula-commit-not-in-tap" in text
    assert f"not proved: {REASONS['formula-not-compared'].means}" in text
    assert text.count("not proved") == 1


def test_a_runner_without_an_image_has_none() -> None:
    predicate = altered(
        make_build().predicate(), (("buildDefinition", "internalParameters", "runner", "image"), DROP)
    )
    text = render_verdicts([judge_build("formula-bound", predicate=predicate)])
    assert "(macOS ARM64, github-hosted)" in text


def test_a_build_is_shown_in_full_for_one_bottle_only() -> None:
    text = render_verdicts([judge_build("formula-bound"), judge_build("formula-bound")])
    assert "built" not in text.replace("build provenance", "")
    assert "built by" in render_verdicts([judge_build("formula-bound")] * 2, explain=True)


def test_an_explanation_of_a_build_tells_origins_and_rules() -> None:
    text = render_verdicts([judge_build("formula-bound")], explain=True)
    assert "[build record] buildDefinition.internalParameters.runner.arch = ARM64 (it is what" in text
    assert "step 8  formula: passed" in text


@pytest.mark.parametrize("text", HOSTILE[:-1])
def test_nothing_that_a_build_job_wrote_reaches_the_terminal_as_it_came(text: str) -> None:
    runner = ("buildDefinition", "internalParameters", "runner")
    predicate = altered(
        make_build().predicate(),
        ((*runner, "name"), text),
        ((*runner, "arch"), text),
        ((*runner, "image"), {"os": text, "version": text}),
        ((*runner, "labels"), [text]),
        (("buildDefinition", "resolvedDependencies", 2, "name"), text),
        (("runDetails", "byproducts", 0, "name"), text),
    )
    shown = render_verdicts([judge_build("formula-bound", predicate=predicate)], explain=True)
    assert re.fullmatch(r"[ -~\n]+", shown)
    assert "\nverified  wget" not in shown
