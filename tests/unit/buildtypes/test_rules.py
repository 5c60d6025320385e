"""A build held against its subject, against the certificate and against itself, a rule at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.builders import (
    COMMIT,
    DROP,
    FILE_NAME,
    MAIN,
    OTHER_SHA256,
    REPOSITORY_URI,
    SIGNED,
    Json,
    altered,
    make_claims,
    make_statement,
    make_subject,
)
from tests.unit.buildtypes.builds import make_build

from brew_provenance.buildtypes.bottle.v1 import BottleBuild
from brew_provenance.buildtypes.bottle.v1.rules import CLOCKS, read_build
from brew_provenance.certificate import Claims
from brew_provenance.crosscheck import check_predicate
from brew_provenance.findings import Finding

ALL = "foo--1.1.all.bottle.1.tar.gz"
LINUX = "foo--1.1.x86_64_linux.bottle.tar.gz"
PARAMETERS = ("buildDefinition", "externalParameters")
INTERNAL = ("buildDefinition", "internalParameters")
GITHUB = (*INTERNAL, "github")
RUNNER = (*INTERNAL, "runner")
TAP = ("buildDefinition", "resolvedDependencies", 0)
FORMULA = ("buildDefinition", "resolvedDependencies", 1)
OTHERS = (*INTERNAL, "identicalBottles")
BUILDER = ("runDetails", "builder", "id")
METADATA = ("runDetails", "metadata")
INVOCATION = (*METADATA, "invocationId")
MERGE = "refs/pull/71/merge"
RUNS = f"{REPOSITORY_URI}/actions/runs"

Change = tuple[tuple[str | int, ...], Any]


def codes(
    *changes: Change, name: str = FILE_NAME, claims: Claims | None = None, signed: datetime | None = SIGNED
) -> list[str]:
    predicate = altered(make_build(name).predicate(), *changes)
    return codes_of(predicate, name=name, claims=claims, signed=signed)


def codes_of(
    predicate: Json,
    *,
    name: str = FILE_NAME,
    claims: Claims | None = None,
    signed: datetime | None = SIGNED,
) -> list[str]:
    statement = make_statement(make_subject(name), predicate=predicate)
    findings, build = check_predicate(statement, claims or make_claims(), signed)
    assert all(finding.detail for finding in findings)
    assert (build is None) == isinstance(read_build(statement), Finding)
    return [finding.code for finding in findings]


@pytest.mark.parametrize("name", [FILE_NAME, LINUX, ALL, "foo--1.1_2.sonoma.bottle.3.tar.gz"])
def test_a_right_build_disagrees_with_nothing(name: str) -> None:
    assert codes(name=name) == []


def test_a_build_is_read_and_any_other_build_type_is_not() -> None:
    statement = make_statement(make_subject(FILE_NAME), predicate=make_build().predicate())
    _, build = check_predicate(statement, make_claims())
    assert isinstance(build, BottleBuild)
    assert check_predicate(make_statement(), make_claims()) == ([], None)


ROWS: list[tuple[Change, str]] = [
    (((*PARAMETERS, "more"), 1), "external-parameters-unknown"),
    (((*PARAMETERS, "ref"), DROP), "predicate-malformed"),
    (((*PARAMETERS, "formula"), "fo"), "parameters-other-formula"),
    (((*PARAMETERS, "tag"), "sonoma"), "parameters-other-tag"),
    (((*PARAMETERS, "tag"), "arm_sonoma"), "parameters-other-tag"),
    (((*PARAMETERS, "tag"), "all"), "parameters-other-tag"),
    (((*PARAMETERS, "rebuild"), 1), "parameters-other-rebuild"),
    (((*PARAMETERS, "ref"), "refs/pull/72/merge"), "predicate-ref-mismatch"),
    (((*TAP, "uri"), DROP), "predicate-source-mismatch"),
    (((*TAP, "uri"), f"git+{REPOSITORY_URI}@refs/pull/7/merge"), "predicate-ref-mismatch"),
    (((*TAP, "uri"), f"git+{REPOSITORY_URI}-two@refs/pull/71/merge"), "predicate-source-mismatch"),
    (((*TAP, "uri"), f"{REPOSITORY_URI}@refs/pull/71/merge"), "predicate-source-mismatch"),
    (((*TAP, "uri"), f"git+{REPOSITORY_URI.upper()}@refs/pull/71/merge"), "predicate-source-mismatch"),
    (((*TAP, "uri"), f"git+{REPOSITORY_URI}/../x@refs/pull/71/merge"), "predicate-source-mismatch"),
    (((*TAP, "uri"), f"git+{REPOSITORY_URI}@x@refs/pull/71/merge"), "predicate-ref-mismatch"),
    (((*FORMULA, "uri"), f"git+https://github.com/octo/other@{MERGE}"), "predicate-source-mismatch"),
    (((*FORMULA, "uri"), f"git+{REPOSITORY_URI}@{MERGE}#Formula/b/bar.rb"), "predicate-source-mismatch"),
    (((*GITHUB, "repository_id"), "112"), "predicate-repository-id-mismatch"),
    (((*GITHUB, "repository_owner_id"), "111"), "predicate-owner-id-mismatch"),
    (((*GITHUB, "event_name"), "push"), "predicate-event-mismatch"),
    (((*RUNNER, "os"), "Linux"), "runner-other-system"),
    (((*RUNNER, "os"), "macos"), "runner-other-system"),
    (((*RUNNER, "labels"), ["self-hosted"]), "runner-labels-contradict"),
    ((BUILDER, "https://github.com/actions/runner/github-hosted"), "builder-malformed"),
    ((BUILDER, f"{REPOSITORY_URI}/.github/workflows/tests.yml"), "builder-malformed"),
    ((BUILDER, f"{REPOSITORY_URI}/.github/workflows/../x.yml@{MAIN}"), "builder-malformed"),
    ((BUILDER, f"http://github.com/octo/homebrew-tap/.github/workflows/x.yml@{MAIN}"), "builder-malformed"),
    ((BUILDER, f"https://github.com:443/octo/tap/.github/workflows/x.yml@{MAIN}"), "builder-malformed"),
    ((INVOCATION, "https://github.com/octo/x/actions/runs/1/attempts/1"), "predicate-invocation-mismatch"),
    ((INVOCATION, f"{REPOSITORY_URI}-other/actions/runs/1/attempts/1"), "predicate-invocation-mismatch"),
    ((INVOCATION, f"{RUNS}/1"), "predicate-invocation-mismatch"),
    ((INVOCATION, f"{RUNS}/1/attempts/0"), "predicate-invocation-mismatch"),
    ((INVOCATION, f"{RUNS}/01/attempts/1"), "predicate-invocation-mismatch"),
    ((INVOCATION, f"{RUNS}/1/attempts/1/"), "predicate-invocation-mismatch"),
    ((INVOCATION, f"{RUNS}/1/attempts/1\n"), "predicate-invocation-mismatch"),
    ((INVOCATION, f"{RUNS}/1/attempts/1?x"), "predicate-invocation-mismatch"),
    ((INVOCATION, f"{RUNS}/../runs/1/attempts/1"), "predicate-invocation-mismatch"),
    ((INVOCATION, f"{RUNS}/\u0661/attempts/1"), "predicate-invocation-mismatch"),
    (((*METADATA, "finishedOn"), "2025-03-01T11:19:59Z"), "build-times-contradict"),
    (((*METADATA, "finishedOn"), "2025-03-01T12:06:00Z"), "build-times-contradict"),
    (((*METADATA, "finishedOn"), "2025-03-01T11:59:00-01:00"), "build-times-contradict"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), ROWS)
def test_each_lie_has_its_own_reason(change: Change, code: str) -> None:
    assert codes(change)[0] == code


@pytest.mark.parametrize(
    "path",
    [
        "foo.rb.rb",
        "Formula/f/bar.rb",
        "Formula/f/foo",
        "/Formula/f/foo.rb",
        "../Formula/f/foo.rb",
        "Formula/../foo.rb",
        "Formula/./foo.rb",
        "Formula//foo.rb",
        "Formula\\f\\foo.rb",
        "Formula/f\u200b/foo.rb",
        "Formula/f/foo.rb\n",
        "Formula/f/FOO.rb",
        "",
    ],
)
def test_the_formulas_file_is_inside_the_tap_and_called_as_the_formula(path: str) -> None:
    found = codes(((*FORMULA, "annotations", "path"), path), ((*FORMULA, "uri"), DROP))
    assert found == ["formula-path-unusable"]


@pytest.mark.parametrize("path", ["foo.rb", "Formula/foo.rb", "HomebrewFormula/foo.rb", "Formula/lib/foo.rb"])
def test_the_formulas_file_may_be_anywhere_in_the_tap(path: str) -> None:
    assert codes(((*FORMULA, "annotations", "path"), path), ((*FORMULA, "uri"), DROP)) == []


def test_the_formula_may_be_of_the_taps_uri_or_of_none() -> None:
    assert codes(((*FORMULA, "uri"), f"git+{REPOSITORY_URI}@refs/pull/71/merge")) == []
    assert codes(((*FORMULA, "uri"), DROP)) == []


def test_a_statement_has_one_subject() -> None:
    statement = make_statement(
        make_subject(), make_subject("other", OTHER_SHA256), predicate=make_build().predicate()
    )
    findings, _ = check_predicate(statement, make_claims())
    assert [finding.code for finding in findings] == ["build-subjects-many"]


@pytest.mark.parametrize(
    "name", ["foo", "", "foo-1.1.arm64_sonoma.bottle.tar.gz", "bar--1.1.all.bottle.tar.gz"]
)
def test_the_subject_is_a_bottle_of_the_formula(name: str) -> None:
    assert codes_of(make_build().predicate(), name=name) == ["parameters-other-formula"]


def other_bottle(name: str, **overrides: Any) -> Json:
    (first, *_) = make_build(ALL).predicate()["buildDefinition"]["internalParameters"]["identicalBottles"]
    return {**first, "name": name, **overrides}


@pytest.mark.parametrize(
    "names",
    [
        ["foo--1.2.arm64_sonoma.bottle.1.tar.gz"],
        ["foo--1.1.arm64_sonoma.bottle.tar.gz"],
        ["bar--1.1.arm64_sonoma.bottle.1.tar.gz"],
        ["foo--1.1.all.bottle.1.tar.gz"],
        ["foo"],
        ["foo--1.1.arm64_sonoma.bottle.1.tar.gz", "foo--1.1.arm_sonoma.bottle.1.tar.gz"],
    ],
)
def test_identical_bottles_are_others_of_the_same_build(names: list[str]) -> None:
    found = codes((OTHERS, [other_bottle(name) for name in names]), name=ALL)
    assert found == ["identical-bottles-mismatch"]


def test_only_an_all_bottle_was_made_of_others() -> None:
    found = codes((OTHERS, [other_bottle("foo--1.1.sonoma.bottle.tar.gz")]))
    assert found == ["identical-bottles-mismatch"]
    assert codes((OTHERS, []), name=ALL) == []


def test_identical_bottles_have_runs_and_runners_of_their_own() -> None:
    assert codes(((*OTHERS, 0, "invocationId"), "x"), name=ALL) == ["predicate-invocation-mismatch"]
    assert codes(((*OTHERS, 0, "runner", "os"), "Linux"), name=ALL) == ["runner-other-system"]
    assert codes(((*OTHERS, 1, "runner", "labels"), ["self-hosted"]), name=ALL) == [
        "runner-labels-contradict"
    ]
    assert codes(((*OTHERS, 0, "invocationId"), f"{RUNS}/5/attempts/2"), name=ALL) == []


def test_an_all_bottle_is_built_on_any_system() -> None:
    for system in ("Linux", "macOS"):
        assert codes(((*RUNNER, "os"), system), name=ALL) == []
    assert codes(((*RUNNER, "os"), "Linux"), name=LINUX) == []
    assert codes(((*RUNNER, "os"), "macOS"), name=LINUX) == ["runner-other-system"]


def test_self_hosted_runners_have_their_label() -> None:
    on_own = ((*RUNNER, "environment"), "self-hosted")
    assert codes(on_own, ((*RUNNER, "labels"), ["self-hosted", "macOS"])) == []
    assert codes(on_own) == []


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ({"source_repository_id": None}, "predicate-repository-id-mismatch"),
        ({"source_repository_owner_id": None}, "predicate-owner-id-mismatch"),
    ],
)
def test_a_silent_certificate_vouches_for_nothing(claim: dict[str, Any], code: str) -> None:
    assert codes(claims=make_claims(**claim)) == [code]


def test_without_a_repository_in_the_certificate_nothing_is_of_it() -> None:
    found = codes(claims=make_claims(source_repository_uri=None))
    assert found == ["predicate-source-mismatch", "predicate-invocation-mismatch"]


def test_a_repository_whose_name_begins_like_the_certificates_is_another() -> None:
    for owner_and_name in ("octo/homebrew-ta", "oct", "octo/homebrew-tap2"):
        found = codes(claims=make_claims(source_repository_uri=f"https://github.com/{owner_and_name}"))
        assert found == ["predicate-source-mismatch", "predicate-invocation-mismatch"]


IN_ONE_RUN: list[Change] = [
    (INVOCATION, f"{RUNS}/99/attempts/1"),
    ((*PARAMETERS, "ref"), MAIN),
    ((*TAP, "uri"), f"git+{REPOSITORY_URI}@{MAIN}"),
    ((*FORMULA, "uri"), DROP),
    ((*GITHUB, "event_name"), "workflow_dispatch"),
    ((*GITHUB, "head_sha"), COMMIT),
]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ([], []),
        ([((*GITHUB, "event_name"), "schedule")], ["predicate-event-mismatch"]),
        ([((*GITHUB, "head_sha"), "a" * 40)], ["predicate-commit-mismatch"]),
        ([(INVOCATION, f"{RUNS}/99/attempts/2")], ["predicate-invocation-mismatch"]),
        (
            [((*PARAMETERS, "ref"), "refs/heads/x"), ((*TAP, "uri"), f"git+{REPOSITORY_URI}@refs/heads/x")],
            ["predicate-ref-mismatch"],
        ),
    ],
)
def test_in_one_run_the_certificate_speaks_of_the_build_too(changes: list[Change], found: list[str]) -> None:
    assert codes(*IN_ONE_RUN, *changes) == found


def test_another_attempt_of_the_run_may_have_built() -> None:
    again = make_claims(run_invocation_uri=f"{RUNS}/99/attempts/3")
    assert codes(*IN_ONE_RUN, claims=again) == []


def test_the_head_of_a_pull_request_is_not_the_commit_of_its_run() -> None:
    merge = "refs/pull/71/merge"
    changes: list[Change] = [
        (INVOCATION, f"{RUNS}/99/attempts/1"),
        ((*GITHUB, "head_sha"), "a" * 40),
    ]
    claims = make_claims(build_trigger="pull_request", source_repository_ref=merge)
    assert codes(*changes, claims=claims) == []


@pytest.mark.parametrize("run", ["1099", "9", "990"])
def test_a_run_whose_number_looks_alike_is_another(run: str) -> None:
    assert codes((INVOCATION, f"{RUNS}/{run}/attempts/7")) == []


def test_a_build_ends_before_it_is_signed_by_any_clock() -> None:
    finished = datetime(2025, 3, 1, 11, 28, 30, tzinfo=UTC)
    assert codes(signed=finished) == []
    assert codes(signed=finished - CLOCKS + timedelta(seconds=1)) == []
    assert codes(signed=finished - CLOCKS - timedelta(seconds=1)) == ["build-times-contradict"]
    assert codes(signed=None) == []


def test_a_build_that_was_still_running_began_before_it_was_signed() -> None:
    assert codes(((*METADATA, "finishedOn"), DROP)) == []
    assert codes(((*METADATA, "finishedOn"), DROP), ((*METADATA, "startedOn"), DROP)) == []
    late = [((*METADATA, "finishedOn"), DROP), ((*METADATA, "startedOn"), "2025-03-02T00:00:00Z")]
    assert codes(*late) == ["build-times-contradict"]
