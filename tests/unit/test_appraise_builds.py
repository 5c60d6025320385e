"""Steps 6 to 8 for attestations of our own build type, which name the build and the formula."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.builders import (
    DROP,
    FILE_NAME,
    SHA256,
    FakeVerifier,
    Json,
    altered,
    make_basis,
    make_bottle,
    make_candidate,
    make_policy,
    make_predicate,
    make_question,
    make_signer,
    make_statement_document,
    make_subject,
    run_of,
)
from tests.unit.buildtypes.builds import make_build, make_build_document

from brew_provenance.appraise import BindFormula, answer, appraise, appraise_bundle, examine
from brew_provenance.buildtypes.bottle.v1 import BottleBuild
from brew_provenance.findings import LIMITS, REASONS, Finding, Severity
from brew_provenance.policy import Policy, Signer
from brew_provenance.statement import BOTTLE_BUILD, PROVENANCE_V1
from brew_provenance.subject import Package, Question
from brew_provenance.verdict import Outcome, Verdict

V, R, U = Outcome.VERIFIED, Outcome.REJECTED, Outcome.UNRESOLVED
PARAMETERS = ("buildDefinition", "externalParameters")
RUNNER = ("buildDefinition", "internalParameters", "runner")
FORMULA = ("buildDefinition", "resolvedDependencies", 1)
BUILDER = ("runDetails", "builder", "id")
TESTS = ".github/workflows/tests.yml"


def judge(
    document: Json | None = None,
    *,
    question: Question | None = None,
    policy: Policy | None = None,
    bind: BindFormula | None = None,
    **verifying: Any,
) -> Verdict:
    candidate = make_candidate("build.json", document or make_build_document())
    return appraise(
        question or make_question(), [candidate], FakeVerifier(**verifying), make_basis(policy), bind=bind
    )


def with_predicate(*changes: Any, name: str = FILE_NAME) -> Json:
    return make_build_document(altered(make_build(name).predicate(), *changes), name=name)


def codes(verdict: Verdict) -> list[str]:
    assert verdict.best is not None
    return [finding.code for finding in verdict.best.findings]


def finds(*found: Finding) -> BindFormula:
    def bind(_: BottleBuild) -> Sequence[Finding]:
        return found

    return bind


def test_an_attestation_of_the_build_names_builder_and_formula() -> None:
    verdict = judge()
    assert verdict.outcome is V
    assert codes(verdict) == ["builder-bound", "formula-not-compared"]
    assert verdict.best is not None
    assert verdict.best.build == BottleBuild.from_json(make_build().predicate())
    bound, not_compared = verdict.best.notes
    assert make_build().run_uri in bound.detail
    assert make_build().commit in not_compared.detail


def test_what_binds_the_formula_is_asked_about_the_build() -> None:
    asked: list[BottleBuild] = []

    def bind(build: BottleBuild) -> Sequence[Finding]:
        asked.append(build)
        return [Finding("formula-bound", "x")]

    assert codes(judge(bind=bind)) == ["builder-bound", "formula-bound"]
    assert [build.formula_commit for build in asked] == [make_build().commit]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("formula-file-mismatch", R),
        ("formula-text-mismatch", R),
        ("formula-source-mismatch", R),
        ("bottle-too-large", U),
        ("formula-commit-not-in-tap", V),
        ("formula-edited-since", V),
    ],
)
def test_a_fault_of_the_formula_decides(code: str, outcome: Outcome) -> None:
    verdict = judge(bind=finds(Finding(code, "x")))
    assert verdict.outcome is outcome
    assert codes(verdict) == ["builder-bound", code]


def test_the_formula_is_not_looked_at_where_something_else_is_wrong() -> None:
    def bind(_: BottleBuild) -> Sequence[Finding]:
        raise AssertionError

    for document in (
        with_predicate(((*PARAMETERS, "tap"), "octo/other")),
        with_predicate(((*PARAMETERS, "rebuild"), 1)),
        with_predicate((BUILDER, f"https://github.com/evil/tap/{TESTS}@refs/heads/main")),
        make_build_document(name="foo--1.2.arm64_sonoma.bottle.tar.gz"),
        make_statement_document(),
    ):
        verdict = judge(document, bind=bind)
        assert verdict.outcome is (V if document == make_statement_document() else R)


def test_an_error_in_binding_never_ends_in_a_verdict() -> None:
    class BrokenError(Exception):
        pass

    def bind(_: BottleBuild) -> Sequence[Finding]:
        raise BrokenError

    with pytest.raises(BrokenError):
        judge(bind=bind)


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (make_question(make_bottle(tap="octo/other")), "parameters-other-tap"),
        (Question("x", (SHA256,), tap="octo/other"), "parameters-other-tap"),
        (Question("x", (SHA256,), name=FILE_NAME, tap="octo/other"), "parameters-other-tap"),
    ],
)
def test_the_tap_is_the_one_that_is_asked_about(question: Question, code: str) -> None:
    verdict = judge(question=question)
    assert verdict.outcome is R
    assert code in codes(verdict)
    assert judge(question=replace(question, tap="octo/tap", bottle=None)).outcome is V


def test_the_taps_name_does_not_follow_from_its_repository() -> None:
    document = with_predicate(((*PARAMETERS, "tap"), "octo/custom"))
    assert judge(document, question=make_question(make_bottle(tap="octo/custom"))).outcome is V
    assert codes(judge(document)) == ["parameters-other-tap"]


def test_a_name_that_two_formulae_could_have_is_of_the_one_that_is_asked_about() -> None:
    name = "foo--1.1--2.arm64_sonoma.bottle.tar.gz"
    bottle = make_bottle(version="1.1--2")
    lying = make_build_document(
        altered(
            make_build(name).predicate(),
            ((*PARAMETERS, "formula"), "foo--1.1"),
            ((*FORMULA, "annotations", "path"), "Formula/f/foo--1.1.rb"),
            ((*FORMULA, "uri"), DROP),
        ),
        name=name,
    )
    assert judge(make_build_document(name=name), question=make_question(bottle)).outcome is V
    assert codes(judge(lying, question=make_question(bottle))) == ["parameters-other-formula"]
    package = Question("keg", (SHA256,), package=Package("foo", "1.1--2"))
    assert codes(judge(lying, question=package)) == ["parameters-other-formula"]
    assert judge(make_build_document(name=name), question=package).outcome is V


@pytest.mark.parametrize("name", [FILE_NAME, "foo--1.1.all.bottle.tar.gz", "foo--1.1.sonoma.bottle.tar.gz"])
def test_an_all_bottle_may_be_attested_under_another_tag(name: str) -> None:
    question = make_question(make_bottle(tag="all"))
    assert judge(make_build_document(name=name), question=question).outcome is V


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("foo--1.1.sonoma.bottle.tar.gz", "subject-other-tag"),
        ("foo--1.1.all.bottle.tar.gz", "subject-other-tag"),
        ("foo--1.1.arm64_sonoma.bottle.1.tar.gz", "subject-other-rebuild"),
        ("foo--1.2.arm64_sonoma.bottle.tar.gz", "subject-other-version"),
        ("fo--1.1.arm64_sonoma.bottle.tar.gz", "subject-other-formula"),
    ],
)
def test_the_attestation_of_another_bottle_of_the_same_bytes_is_rejected(name: str, code: str) -> None:
    verdict = judge(make_build_document(name=name))
    assert verdict.outcome is R
    assert codes(verdict) == [code]


@pytest.mark.parametrize("repository", ["octo/homebrew-other", "evil/homebrew-tap"])
def test_a_build_of_another_repository_is_of_another_signer(repository: str) -> None:
    job = make_build(publisher=replace(make_build().publisher, repository=repository))
    document = make_build_document(altered(job.predicate(), ((*PARAMETERS, "tap"), "octo/tap")))
    verdict = judge(document, claims=run_of(repository))
    assert verdict.outcome is R
    assert "source-repository-not-allowed" in codes(verdict)
    # Nor does a right certificate make it one of this repository.
    assert "predicate-source-mismatch" in codes(judge(document))


ENVIRONMENT = ((*RUNNER, "environment"), "self-hosted")
STRANGER = (BUILDER, "https://github.com/octo/workflows/.github/workflows/build.yml@refs/tags/v1")
REUSABLE = "octo/workflows/.github/workflows/build.yml"


@pytest.mark.parametrize(
    ("signer", "changes", "code"),
    [
        ({}, [], None),
        ({}, [ENVIRONMENT], None),
        ({}, [STRANGER], "builder-not-allowed"),
        ({"builders": (TESTS,)}, [], None),
        ({"builders": (f"OCTO/Homebrew-Tap/{TESTS}",)}, [], None),
        ({"builders": (".github/workflows/other.yml",)}, [], "builder-not-allowed"),
        ({"builders": (f"octo/homebrew-other/{TESTS}",)}, [], "builder-not-allowed"),
        ({"builders": (".github/workflows/Tests.yml",)}, [], "builder-not-allowed"),
        ({"builders": (REUSABLE,)}, [STRANGER], None),
        ({"builders": (REUSABLE,)}, [], "builder-not-allowed"),
        ({"builders": ("*", REUSABLE)}, [STRANGER], None),
        ({"builders": ("*", REUSABLE)}, [], None),
        ({"builder_environments": ("github-hosted",)}, [], None),
        ({"builder_environments": ("github-hosted",)}, [ENVIRONMENT], "builder-environment-not-allowed"),
        ({"builder_environments": ("self-hosted",)}, [ENVIRONMENT], None),
        ({"build_types": ("bottle-build",)}, [], None),
        ({"build_types": ("github-workflow", "community-workflow")}, [], "build-type-not-allowed"),
    ],
)
def test_the_policy_says_who_may_build(signer: Json, changes: list[Any], code: str | None) -> None:
    verdict = judge(with_predicate(*changes), policy=make_policy(make_signer(**signer)))
    assert verdict.outcome is (V if code is None else R)
    assert [fault.code for fault in verdict.faults] == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("signer", "code"),
    [
        ({}, None),
        ({"build_types": ("github-workflow",)}, None),
        ({"build_types": ("bottle-build",)}, "build-type-not-allowed"),
        ({"builders": (TESTS,)}, "builder-not-allowed"),
        ({"builders": ("*", REUSABLE)}, None),
        ({"builder_environments": ("github-hosted",)}, "builder-environment-not-allowed"),
        ({"builder_environments": ("self-hosted", "github-hosted")}, None),
    ],
)
def test_an_attestation_that_names_no_builder_satisfies_no_restriction(
    signer: Json, code: str | None
) -> None:
    verdict = judge(make_statement_document(), policy=make_policy(make_signer(**signer)))
    assert verdict.outcome is (V if code is None else R)
    assert [fault.code for fault in verdict.faults] == ([] if code is None else [code])


def test_the_runners_of_identical_bottles_have_to_be_allowed_too() -> None:
    name = "foo--1.1.all.bottle.tar.gz"
    others = ("buildDefinition", "internalParameters", "identicalBottles")
    document = with_predicate(((*others, 1, "runner", "environment"), "self-hosted"), name=name)
    policy = make_policy(make_signer(builder_environments=("github-hosted",)))
    question = make_question(make_bottle(tag="all"))
    assert codes(judge(document, question=question, policy=policy)) == ["builder-environment-not-allowed"]
    assert judge(document, question=question).outcome is V


def test_any_signer_that_is_satisfied_in_full_is_enough_whatever_their_order() -> None:
    signers = [
        make_signer(name="builds", build_types=("bottle-build",)),
        make_signer(name="runs", build_types=("github-workflow",)),
    ]
    for order in (signers, signers[::-1]):
        policy = make_policy(*order)
        for document, name in ((make_build_document(), "builds"), (make_statement_document(), "runs")):
            verdict = judge(document, policy=policy)
            assert verdict.outcome is V
            assert verdict.best is not None
            assert isinstance(verdict.best.signer, Signer)
            assert verdict.best.signer.name == name


def test_what_keeps_a_build_from_the_nearest_signer_is_reported() -> None:
    policy = make_policy(
        make_signer(name="elsewhere", source_repository="octo/other"),
        make_signer(name="near", builders=(".github/workflows/other.yml",)),
        make_signer(name="self-hosted", runner_environments=("self-hosted",)),
    )
    assert codes(judge(policy=policy)) == ["builder-not-allowed"]


def test_another_kind_of_predicate_has_no_builder() -> None:
    sbom = "https://spdx.dev/Document/v2.3"
    document = make_statement_document(predicateType=sbom)
    policy = make_policy(make_signer(build_types=("bottle-build",), builders=(TESTS,)))
    assert judge(document, question=make_question(predicate_type=sbom), policy=policy).outcome is V


def test_a_policys_answer_comes_after_what_contradicts_itself() -> None:
    document = with_predicate(STRANGER, ((*PARAMETERS, "rebuild"), 1))
    assert codes(judge(document)) == ["parameters-other-rebuild"]


def test_a_predicate_that_cannot_be_read_has_no_build() -> None:
    verdict = judge(with_predicate(((*PARAMETERS, "tag"), "Sonoma")))
    assert codes(verdict)[0] == "predicate-malformed"
    assert verdict.best is not None
    assert verdict.best.build is None


def test_an_examination_shows_the_build_and_judges_nothing() -> None:
    found = examine(make_candidate("x", make_build_document()), FakeVerifier())
    assert found.findings == ()
    assert found.build is not None
    assert not found.accepted
    lying = examine(make_candidate("x", with_predicate(((*PARAMETERS, "rebuild"), 1))), FakeVerifier())
    assert [finding.code for finding in lying.findings] == ["parameters-other-rebuild"]


def test_a_build_is_judged_by_what_was_appraised_elsewhere_and_without_its_predicate() -> None:
    candidate = make_candidate("x", make_build_document())
    general = appraise_bundle(candidate, PROVENANCE_V1, FakeVerifier(), make_policy())
    assert general.statement is not None
    bare = replace(general, statement=general.statement.model_copy(update={"predicate": {}}))
    for assessment in (general, pickle.loads(pickle.dumps(bare))):  # noqa: S301 - our own
        found = answer(make_question(), assessment, finds(Finding("formula-bound", "x")))
        assert found.accepted
        assert [finding.code for finding in found.findings] == ["builder-bound", "formula-bound"]


def test_two_builds_of_one_bottle_are_two_attestations() -> None:
    lying = make_candidate("lying", with_predicate(((*PARAMETERS, "rebuild"), 1)))
    plain = make_candidate("plain", make_statement_document(make_subject()))
    good = make_candidate("good", make_build_document())
    verdict = appraise(make_question(), [lying, plain, good], FakeVerifier(), make_basis())
    assert verdict.outcome is V
    assert [assessment.accepted for assessment in verdict.assessments] == [True, True, False]


def test_a_build_says_more_than_a_run_and_is_shown_first() -> None:
    plain = make_candidate("plain", make_statement_document(make_subject()))
    good = make_candidate("good", make_build_document())
    for order in ([plain, good], [good, plain]):
        verdict = appraise(make_question(), order, FakeVerifier(), make_basis())
        assert verdict.best is not None
        assert verdict.best.source == "good"


def test_limits_are_notes_of_the_table() -> None:
    assert all(REASONS[code].severity is Severity.NOTE for code in LIMITS)
    assert {"builder-bound", "formula-bound"}.isdisjoint(LIMITS)


def test_a_forged_build_type_is_unknown() -> None:
    predicate = altered(make_predicate(), (("buildDefinition", "buildType"), "https://example.org/v1"))
    assert codes(judge(make_statement_document(predicate=predicate)))[0] == "build-type-unknown"


def test_a_builder_that_is_no_workflow_is_allowed_by_no_policy() -> None:
    build = BottleBuild.from_json(altered(make_build().predicate(), (BUILDER, "https://github.com/octo/x")))
    for signer in (make_signer(), make_signer(builders=(TESTS,))):
        assert [finding.code for finding in signer.judge_build(BOTTLE_BUILD, build)] == [
            "builder-not-allowed"
        ]
