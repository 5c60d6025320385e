"""What each step saw, and where each claim came from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.builders import (
    DROP,
    FILE_NAME,
    OTHER_SHA256,
    SHA256,
    SIGNED,
    FakeVerifier,
    Json,
    altered,
    make_basis,
    make_candidate,
    make_claims,
    make_evidence,
    make_predicate,
    make_question,
    make_statement_document,
    make_subject,
    run_of,
    times,
)
from tests.unit.buildtypes.builds import make_build, make_build_document

from brew_provenance.appraise import Candidate, appraise, examine
from brew_provenance.bundle import read_bundle
from brew_provenance.certificate import EXTENSIONS, Claims
from brew_provenance.evidence import TimeSource
from brew_provenance.explain import ExplainedStep, Source, Status, explain_assessment, explain_question
from brew_provenance.findings import Finding, Step
from brew_provenance.subject import Question
from brew_provenance.verdict import Assessment, Verdict

P, F, S, N, U = Status.PASSED, Status.FAILED, Status.STOPPED, Status.NOT_REACHED, Status.NOT_DONE
SBOM = "https://spdx.dev/Document/v2.3"


def judge(
    candidate: Candidate | None = None,
    *,
    verifier: FakeVerifier | None = None,
    question: Question | None = None,
    findings: tuple[Finding, ...] = (),
) -> Verdict:
    candidates = [] if candidate is None else [candidate]
    return appraise(
        question or make_question(), candidates, verifier or FakeVerifier(), make_basis(), findings
    )


def steps_of(verdict: Verdict) -> list[ExplainedStep]:
    assert verdict.best is not None
    return explain_assessment(verdict.best)


def statuses(steps: list[ExplainedStep]) -> list[Status]:
    return [step.status for step in steps]


def sights(steps: list[ExplainedStep], step: Step) -> dict[str, tuple[str, Source]]:
    found = next(explained for explained in steps if explained.step is step)
    return {sight.name: (sight.value, sight.source) for sight in found.sights}


def with_predicate(*changes: Any) -> Candidate:
    return make_candidate("x", make_statement_document(predicate=altered(make_predicate(), *changes)))


def test_steps_one_and_two_and_then_three_to_nine_are_shown() -> None:
    verdict = judge(make_candidate())
    assert [step.step for step in explain_question(verdict)] == [Step.BYTES, Step.RESOLVE]
    assert [step.step for step in steps_of(verdict)] == [step for step in Step if step.is_of_verdict][2:]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (judge(make_candidate()), [P, P, P, P, P, U, P]),
        (judge(Candidate("x", read_bundle(b"{}"))), [F, N, N, N, N, N, F]),
        (judge(make_candidate(), verifier=FakeVerifier(Finding("sct-missing", "x"))), [P, F, N, N, N, N, F]),
        (judge(make_candidate(), verifier=FakeVerifier(claims=run_of("octo/x"))), [P, P, F, N, N, N, F]),
        (
            judge(make_candidate("x", make_statement_document(make_subject("x", OTHER_SHA256)))),
            [P, P, P, F, N, N, F],
        ),
        (judge(with_predicate((("runDetails", "builder", "id"), "x"))), [P, P, P, P, F, U, F]),
    ],
    ids=["accepted", "malformed", "forged", "stranger", "other artifact", "lying"],
)
def test_each_step_up_to_the_first_that_failed_has_a_status(verdict: Verdict, expected: list[Status]) -> None:
    found = statuses(steps_of(verdict))
    # A step that was not done ranks with one that was not reached: nothing was looked at.
    assert [N if status is U else status for status in found] == [
        N if status is U else status for status in expected
    ]
    assert found[0] is expected[0]
    assert found[-1] is expected[-1]


def test_the_formula_is_never_said_to_be_compared() -> None:
    for verdict in (judge(make_candidate()), judge(with_predicate((("runDetails", "builder", "id"), "x")))):
        assert next(step for step in steps_of(verdict) if step.step is Step.FORMULA).status in {U, N}


@pytest.mark.parametrize(
    "verdict",
    [
        judge(Candidate("x", read_bundle(b"{"))),
        judge(make_candidate("x", make_statement_document(predicateType=SBOM))),
        judge(make_candidate(), verifier=FakeVerifier(Finding("unsupported-managed-key", "x"))),
    ],
    ids=["unreadable", "not applicable", "unsupported"],
)
def test_what_is_not_wrong_never_fails_a_step(verdict: Verdict) -> None:
    found = statuses(steps_of(verdict))
    assert S in found
    assert F not in found
    assert found[-1] is S


def test_a_predicate_that_is_not_compared_is_said_not_to_be() -> None:
    document = make_statement_document(predicateType=SBOM)
    verdict = judge(make_candidate("x", document), question=make_question(predicate_type=SBOM))
    steps = steps_of(verdict)
    assert [step.status for step in steps if step.step is Step.PREDICATE] == [U]
    assert steps[-1].status is P


@pytest.mark.parametrize("claims", [make_claims(), run_of("octo/stranger")])
def test_an_examination_has_done_neither_signer_nor_subject(claims: Claims) -> None:
    steps = explain_assessment(examine(make_candidate(), FakeVerifier(claims=claims)))
    by_step = {step.step: step.status for step in steps}
    assert by_step[Step.CRYPTOGRAPHY] is P
    assert by_step[Step.SIGNER] is U
    assert by_step[Step.STATEMENT] is U
    assert by_step[Step.FORMULA] in {U, N}
    assert by_step[Step.VERDICT] in {U, F}
    assert P not in {by_step[Step.SIGNER], by_step[Step.STATEMENT], by_step[Step.VERDICT]}


def test_findings_stand_at_their_step() -> None:
    verdict = judge(make_candidate(), findings=(Finding("trusted-root-note", "x"),))
    resolve = explain_question(verdict)[1]
    assert [finding.code for finding in resolve.findings] == ["trusted-root-note"]
    assert resolve.status is P
    formula = next(step for step in steps_of(verdict) if step.step is Step.FORMULA)
    assert [finding.code for finding in formula.findings] == ["builder-not-bound", "formula-not-bound"]


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ((), P),
        ((Finding("trusted-root-note", "x"),), P),
        ((Finding("store-unreadable", "x"),), S),
        ((Finding("kit-file-altered", "x"), Finding("trusted-root-note", "x")), S),
    ],
)
def test_a_store_without_an_answer_stops_at_its_step(findings: tuple[Finding, ...], status: Status) -> None:
    assert explain_question(judge(findings=findings))[1].status is status


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("formula-content-matches", P),
        ("formula-edited-since", P),
        ("formula-compared-by-fields", P),
        ("formula-version-mismatch", F),
        ("bottle-outside-keg", F),
        ("bottle-too-large", S),
    ],
)
def test_the_formula_in_the_bottle_is_shown_where_it_was_looked_at(code: str, status: Status) -> None:
    steps = explain_question(judge(make_candidate(), findings=(Finding(code, "x"),)))
    assert [step.step for step in steps] == [Step.BYTES, Step.RESOLVE, Step.FORMULA]
    assert steps[-1] == ExplainedStep(Step.FORMULA, status, (), (Finding(code, "x"),))
    assert [step.status for step in steps[:2]] == [P, P]


@pytest.mark.parametrize("code", ["bytes-hashed", "artifact-digest-mismatch", "trusted-root-note"])
def test_the_formula_is_not_shown_where_nobody_looked_into_the_bottle(code: str) -> None:
    steps = explain_question(judge(make_candidate(), findings=(Finding(code, "x"),)))
    assert [step.step for step in steps] == [Step.BYTES, Step.RESOLVE]


def test_the_question_shows_digests_and_what_was_found() -> None:
    steps = explain_question(judge(make_candidate()))
    assert sights(steps, Step.BYTES) == {"sha256 digest": (SHA256.value, Source.ARTIFACT)}
    assert sights(steps, Step.RESOLVE)["attestations"][0] == "1 in the example store"


def test_every_claim_is_said_to_be_the_certificates() -> None:
    steps = steps_of(judge(make_candidate()))
    shown = sights(steps, Step.SIGNER)
    claims = make_claims()
    assert shown["SAN uri"] == (claims.identity, Source.CERTIFICATE)
    for extension in EXTENSIONS:
        value = claims.value(extension.field)
        name = f".{extension.number} {extension.title}"
        assert shown.get(name) == ((value, Source.CERTIFICATE) if value is not None else None)
    assert shown["satisfies"] == ("the example publisher", Source.POLICY)


def test_unknown_extensions_are_shown_and_a_missing_identity_is_not() -> None:
    claims = Claims(None, None, unknown=("1.3.6.1.4.1.57264.1.99",))
    assessment = Assessment("x", (Finding("signer-identity-malformed", "x"),), make_evidence(claims))
    assert sights(explain_assessment(assessment), Step.SIGNER) == {
        "1.3.6.1.4.1.57264.1.99": ("unknown, tolerated", Source.CERTIFICATE)
    }


@pytest.mark.parametrize(
    ("source", "shown"), [(TimeSource.LOG, Source.LOG), (TimeSource.AUTHORITY, Source.TIMESTAMP)]
)
def test_a_time_is_shown_with_who_vouches_for_it(source: TimeSource, shown: Source) -> None:
    evidence = make_evidence(times=times(SIGNED, source=source))
    cryptography = sights(explain_assessment(Assessment("x", (), evidence)), Step.CRYPTOGRAPHY)
    assert cryptography["time of signing"] == (SIGNED.isoformat(), shown)
    assert cryptography["trusted root"] == ("the example root", Source.POLICY)
    assert cryptography["certificate sha256"] == (make_evidence().certificate_sha256, Source.CERTIFICATE)
    assert cryptography["log index"] == ("7", Source.LOG)


def test_nothing_is_shown_of_what_was_not_verified() -> None:
    steps = steps_of(judge(make_candidate(), verifier=FakeVerifier(Finding("sct-missing", "x"))))
    assert [step.sights for step in steps] == [()] * len(steps)


def test_the_one_subject_is_shown_or_all_of_them() -> None:
    document = make_statement_document(make_subject(), make_subject("other", OTHER_SHA256))
    verdict = judge(make_candidate("x", document))
    statement = sights(steps_of(verdict), Step.STATEMENT)
    assert statement["subjects"] == ("2", Source.STATEMENT)
    assert statement[f"subject {FILE_NAME}"] == (str(SHA256), Source.STATEMENT)
    assert "subject other" not in statement
    examined = explain_assessment(examine(make_candidate("x", document), FakeVerifier()))
    assert sights(examined, Step.STATEMENT)["subject other"] == (str(OTHER_SHA256), Source.STATEMENT)


def predicate_sights(predicate: Json) -> dict[str, tuple[str, Source]]:
    document = make_statement_document(predicateType=SBOM, predicate=predicate)
    verdict = judge(make_candidate("x", document), question=make_question(predicate_type=SBOM))
    return sights(steps_of(verdict), Step.PREDICATE)


def test_a_predicate_is_shown_by_the_paths_of_its_leaves() -> None:
    shown = sights(steps_of(judge(make_candidate())), Step.PREDICATE)
    assert shown["runDetails.builder.id"] == (make_claims().build_signer_uri, Source.PREDICATE)
    path = "buildDefinition.resolvedDependencies[0].digest.gitCommit"
    assert shown[path] == (make_claims().source_repository_digest, Source.PREDICATE)
    assert predicate_sights({"a": [True, None, {"b": 1}]}) == {
        "a[0]": ("True", Source.PREDICATE),
        "a[1]": ("None", Source.PREDICATE),
        "a[2].b": ("1", Source.PREDICATE),
    }
    assert predicate_sights({}) == {}


def test_a_predicate_is_shown_no_deeper_and_no_longer_than_people_read() -> None:
    deep: Any = "bottom"
    for _ in range(30):
        deep = {"a": [deep]}
    shown = predicate_sights({"deep": deep})
    assert [value for value, _ in shown.values()] == ["nested deeper than is shown"]
    assert len(predicate_sights({f"k{number}": number for number in range(100_000)})) == 100


def test_a_statement_that_is_none_is_not_shown() -> None:
    document = altered(make_statement_document(), (("_type",), DROP))
    steps = steps_of(judge(make_candidate("x", document)))
    assert sights(steps, Step.STATEMENT) == {}
    assert sights(steps, Step.SIGNER)["satisfies"][1] is Source.POLICY


def test_an_explanation_changes_nothing() -> None:
    verdict = judge(make_candidate())
    before = replace(verdict)
    explain_question(verdict)
    steps_of(verdict)
    assert verdict == before


def test_each_claim_of_a_build_is_shown_with_who_vouches_for_it_and_its_rule() -> None:
    verdict = judge(make_candidate("build", make_build_document()))
    step = next(step for step in steps_of(verdict) if step.step is Step.PREDICATE)
    assert step.status is P
    shown = {sight.name: sight for sight in step.sights}
    dependencies = "buildDefinition.resolvedDependencies"
    runner = shown["buildDefinition.internalParameters.runner.name"]
    assert (runner.value, runner.source) == ("GitHub Actions 1000000043", Source.BUILD_RECORD)
    assert runner.rule == "is what the Actions API calls the job's runner"
    tap = shown[f"{dependencies}[0].uri"]
    assert (tap.source, tap.rule) == (Source.PREDICATE, "is the source repository (.12) at the ref")
    assert all(sight.rule for sight in step.sights)
    assert not any(sight.rule for sight in steps_of(judge(make_candidate()))[4].sights)


def test_what_is_not_of_the_build_type_is_said_not_to_be_looked_at() -> None:
    predicate = altered(
        make_build().predicate(),
        (("more",), "x"),
        (("buildDefinition", "resolvedDependencies", 2, "name"), "tap\u202e"),
    )
    step = next(
        step
        for step in steps_of(judge(make_candidate("build", make_build_document(predicate))))
        if step.step is Step.PREDICATE
    )
    rules = {sight.name: sight.rule for sight in step.sights}
    ignored = "is not of the build type, and not looked at"
    assert rules["more"] == ignored
    assert rules["buildDefinition.resolvedDependencies[2].uri"] == ignored
    assert rules["buildDefinition.resolvedDependencies[1].uri"] != ignored


@pytest.mark.parametrize(
    ("code", "status"), [("formula-bound", P), ("formula-not-compared", U), ("formula-file-mismatch", F)]
)
def test_the_formula_is_said_to_be_compared_where_it_was(code: str, status: Status) -> None:
    verdict = appraise(
        make_question(),
        [make_candidate("build", make_build_document())],
        FakeVerifier(),
        make_basis(),
        bind=lambda _: [Finding(code, "x")],
    )
    step = next(step for step in steps_of(verdict) if step.step is Step.FORMULA)
    assert step.status is status
    assert [finding.code for finding in step.findings] == [code]
