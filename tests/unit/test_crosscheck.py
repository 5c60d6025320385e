"""What the predicate says, held against what the certificate says, a row of the table at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    COMMIT,
    DROP,
    MAIN,
    REPOSITORY_URI,
    WORKFLOW,
    Json,
    altered,
    make_claims,
    make_predicate,
    make_statement,
)

from brew_provenance.certificate import Claims
from brew_provenance.crosscheck import check_predicate
from brew_provenance.statement import COMMUNITY_BUILD

DEFINITION = ("buildDefinition",)
PARAMETERS = (*DEFINITION, "externalParameters", "workflow")
GITHUB = (*DEFINITION, "internalParameters", "github")
SOURCE = (*DEFINITION, "resolvedDependencies", 0)
BUILDER = ("runDetails", "builder", "id")
INVOCATION = ("runDetails", "metadata", "invocationId")
RUNNER_ID = "https://github.com/actions/runner/"

ERAS = pytest.mark.parametrize("era", ["current", "early"])


def codes(predicate: Json, claims: Claims | None = None) -> list[str]:
    findings, build = check_predicate(make_statement(predicate=predicate), claims or make_claims())
    assert build is None
    assert all(finding.detail for finding in findings)
    return [finding.code for finding in findings]


ROWS: list[tuple[tuple[str | int, ...], str, str]] = [
    ((*PARAMETERS, "repository"), "https://github.com/octo/homebrew-other", "predicate-repository-mismatch"),
    ((*PARAMETERS, "repository"), REPOSITORY_URI.upper(), "predicate-repository-mismatch"),
    ((*PARAMETERS, "repository"), f"{REPOSITORY_URI}/", "predicate-repository-mismatch"),
    ((*PARAMETERS, "repository"), "", "predicate-repository-mismatch"),
    ((*PARAMETERS, "ref"), "refs/heads/other", "predicate-ref-mismatch"),
    ((*PARAMETERS, "ref"), "main", "predicate-ref-mismatch"),
    ((*PARAMETERS, "path"), ".github/workflows/other.yml", "predicate-workflow-mismatch"),
    ((*PARAMETERS, "path"), f"/{WORKFLOW}", "predicate-workflow-mismatch"),
    ((*PARAMETERS, "path"), f"{WORKFLOW}@{MAIN}", "predicate-workflow-mismatch"),
    ((*GITHUB, "repository_id"), "112", "predicate-repository-id-mismatch"),
    ((*GITHUB, "repository_owner_id"), "111", "predicate-owner-id-mismatch"),
    ((*GITHUB, "runner_environment"), "self-hosted", "predicate-runner-mismatch"),
    ((*GITHUB, "event_name"), "push", "predicate-event-mismatch"),
    ((*SOURCE, "uri"), f"git+https://github.com/octo/homebrew-other@{MAIN}", "predicate-source-mismatch"),
    ((*SOURCE, "uri"), f"git+{REPOSITORY_URI}@refs/heads/other", "predicate-source-mismatch"),
    ((*SOURCE, "uri"), f"{REPOSITORY_URI}@{MAIN}", "predicate-source-mismatch"),
    ((*SOURCE, "uri"), f"git+{REPOSITORY_URI}", "predicate-source-mismatch"),
    ((*SOURCE, "digest", "gitCommit"), "0" * 40, "predicate-commit-mismatch"),
    ((*SOURCE, "digest", "gitCommit"), COMMIT[:7], "predicate-commit-mismatch"),
    (BUILDER, f"{REPOSITORY_URI}/.github/workflows/other.yml@{MAIN}", "predicate-builder-mismatch"),
    (BUILDER, f"{RUNNER_ID}self-hosted", "predicate-builder-mismatch"),
    (INVOCATION, f"{REPOSITORY_URI}/actions/runs/99/attempts/2", "predicate-invocation-mismatch"),
    (INVOCATION, f"{REPOSITORY_URI}/actions/runs/99", "predicate-invocation-mismatch"),
]


@ERAS
def test_a_predicate_of_either_era_that_agrees_is_good(era: str) -> None:
    assert codes(make_predicate(era)) == []


@ERAS
@pytest.mark.parametrize(("path", "value", "code"), ROWS)
def test_one_lie_has_its_own_reason_and_no_other(
    era: str, path: tuple[str | int, ...], value: str, code: str
) -> None:
    assert codes(altered(make_predicate(era), (path, value))) == [code]


@ERAS
def test_every_lie_is_named(era: str) -> None:
    first = {path: (path, value) for path, value, _ in reversed(ROWS)}
    found = codes(altered(make_predicate(era), *first.values()))
    assert sorted(found) == sorted({code for _, _, code in ROWS})


@ERAS
@pytest.mark.parametrize(
    "path",
    [
        (*GITHUB, "repository_id"),
        (*GITHUB, "repository_owner_id"),
        (*GITHUB, "event_name"),
        (*DEFINITION, "internalParameters"),
        (*SOURCE, "uri"),
        (*SOURCE, "digest", "gitCommit"),
        (*SOURCE, "digest"),
        (*DEFINITION, "resolvedDependencies"),
        INVOCATION,
        INVOCATION[:-1],
    ],
)
def test_a_predicate_that_is_silent_contradicts_nothing(era: str, path: tuple[str | int, ...]) -> None:
    assert codes(altered(make_predicate(era), (path, DROP))) == []


@pytest.mark.parametrize("era", ["current", "early"])
def test_only_the_first_dependency_is_the_source(era: str) -> None:
    other = {"uri": "pkg:deb/debian/zlib", "digest": {"gitCommit": "0" * 40}}
    predicate = make_predicate(era)
    dependencies = predicate["buildDefinition"]["resolvedDependencies"]
    path = (*DEFINITION, "resolvedDependencies")
    assert codes(altered(predicate, (path, [*dependencies, other]))) == []
    assert codes(altered(predicate, (path, [other, *dependencies]))) == [
        "predicate-source-mismatch",
        "predicate-commit-mismatch",
    ]


SILENT: list[tuple[str, list[str]]] = [
    (
        "source_repository_uri",
        ["predicate-repository-mismatch", "predicate-workflow-mismatch", "predicate-source-mismatch"],
    ),
    ("source_repository_id", ["predicate-repository-id-mismatch"]),
    ("source_repository_owner_id", ["predicate-owner-id-mismatch"]),
    ("runner_environment", ["predicate-runner-mismatch"]),
    ("build_trigger", ["predicate-event-mismatch"]),
    ("source_repository_digest", ["predicate-commit-mismatch"]),
    ("build_signer_uri", ["predicate-builder-mismatch"]),
    ("run_invocation_uri", ["predicate-invocation-mismatch"]),
    ("build_config_uri", ["predicate-workflow-mismatch"]),
]


@pytest.mark.parametrize(("claim", "expected"), SILENT)
def test_a_silent_certificate_vouches_for_nothing(claim: str, expected: list[str]) -> None:
    assert codes(make_predicate(), make_claims(**{claim: None})) == expected


def test_a_ref_that_the_certificate_names_nowhere_is_not_vouched_for() -> None:
    claims = make_claims(source_repository_ref=None, build_config_uri=None)
    assert codes(make_predicate(), claims) == [
        "predicate-ref-mismatch",
        "predicate-workflow-mismatch",
        "predicate-source-mismatch",
    ]


def test_an_early_builder_needs_the_runner_in_the_certificate() -> None:
    claims = make_claims(runner_environment=None)
    assert codes(make_predicate("early"), claims) == ["predicate-builder-mismatch"]


@pytest.mark.parametrize("word", ["None", "null", ""])
def test_no_word_for_nothing_is_what_a_silent_certificate_says(word: str) -> None:
    builder = altered(make_predicate("early"), (BUILDER, f"{RUNNER_ID}{word}"))
    assert codes(builder, make_claims(runner_environment=None)) == ["predicate-builder-mismatch"]
    source = altered(make_predicate(), ((*SOURCE, "uri"), f"git+{word}@{MAIN}"))
    assert "predicate-source-mismatch" in codes(source, make_claims(source_repository_uri=None))


def test_the_ref_may_be_the_jobs_or_the_workflow_files() -> None:
    claims = make_claims(build_config_uri=f"{REPOSITORY_URI}/{WORKFLOW}@refs/heads/release")
    sources = (*SOURCE, "uri")
    for ref in (MAIN, "refs/heads/release"):
        predicate = altered(
            make_predicate(), ((*PARAMETERS, "ref"), ref), (sources, f"git+{REPOSITORY_URI}@{ref}")
        )
        assert codes(predicate, claims) == []
    third = altered(make_predicate(), ((*PARAMETERS, "ref"), "refs/heads/third"))
    assert codes(third, claims) == ["predicate-ref-mismatch"]


def test_a_reusable_workflow_is_the_builder_and_the_caller_is_the_workflow() -> None:
    signer = "https://github.com/shared/ci/.github/workflows/attest.yml@refs/tags/v1"
    claims = make_claims(identity=signer, build_signer_uri=signer)
    predicate = make_predicate()
    assert codes(altered(predicate, (BUILDER, signer)), claims) == []
    assert codes(predicate, claims) == ["predicate-builder-mismatch"]


@pytest.mark.parametrize(
    "uri",
    [
        "https://github.com/octo/homebrew-other/.github/workflows/publish.yml@refs/heads/main",
        "https://github.com/octo/homebrew-tapx/.github/workflows/publish.yml@refs/heads/main",
        f"{REPOSITORY_URI}/{WORKFLOW}",
        "",
    ],
)
def test_a_build_config_of_another_repository_gives_no_path(uri: str) -> None:
    assert codes(make_predicate(), make_claims(build_config_uri=uri)) == ["predicate-workflow-mismatch"]


@pytest.mark.parametrize("runner", ["github-hosted", "self-hosted"])
def test_the_builder_of_the_early_era_is_the_kind_of_runner(runner: str) -> None:
    predicate = altered(make_predicate("early"), (BUILDER, f"{RUNNER_ID}{runner}"))
    assert codes(predicate, make_claims(runner_environment=runner)) == []


def test_the_kind_of_runner_is_no_builder_in_the_current_era() -> None:
    predicate = altered(make_predicate(), (BUILDER, f"{RUNNER_ID}github-hosted"))
    assert codes(predicate) == ["predicate-builder-mismatch"]


@pytest.mark.parametrize(
    ("era", "name"),
    [
        ("current", "inputs"),
        ("current", "vars"),
        ("current", "Workflow"),
        ("current", "script"),
        ("early", "script"),
        ("early", "deployment"),
    ],
)
def test_external_parameters_that_the_build_type_does_not_define_are_refused(era: str, name: str) -> None:
    path = (*DEFINITION, "externalParameters", name)
    assert codes(altered(make_predicate(era), (path, {}))) == ["external-parameters-unknown"]


@ERAS
def test_an_unknown_field_of_the_workflow_is_refused(era: str) -> None:
    predicate = altered(make_predicate(era), ((*PARAMETERS, "inputs"), {"a": "b"}))
    assert codes(predicate) == ["external-parameters-unknown"]


@pytest.mark.parametrize("name", ["inputs", "vars", "release"])
def test_the_community_build_type_has_inputs(name: str) -> None:
    path = (*DEFINITION, "externalParameters", name)
    assert codes(altered(make_predicate("early"), (path, {"a": "b"}))) == []


@pytest.mark.parametrize(
    "build_type",
    [
        "",
        "https://example.org/build",
        "https://actions.github.io/buildtypes/workflow/v2",
        "https://actions.github.io/buildtypes/workflow/v1/",
        "http://actions.github.io/buildtypes/workflow/v1",
        COMMUNITY_BUILD.upper(),
    ],
)
def test_a_build_type_whose_meaning_is_not_known_is_refused(build_type: str) -> None:
    predicate = altered(make_predicate(), ((*DEFINITION, "buildType"), build_type))
    assert codes(predicate) == ["build-type-unknown"]


@ERAS
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (DEFINITION, DROP),
        (DEFINITION, []),
        ((*DEFINITION, "buildType"), DROP),
        ((*DEFINITION, "buildType"), 1),
        ((*DEFINITION, "externalParameters"), DROP),
        ((*DEFINITION, "externalParameters"), []),
        (PARAMETERS, DROP),
        (PARAMETERS, None),
        (PARAMETERS, "workflow"),
        ((*PARAMETERS, "ref"), DROP),
        ((*PARAMETERS, "path"), None),
        ((*PARAMETERS, "repository"), ["x"]),
        ((*DEFINITION, "internalParameters"), []),
        (GITHUB, "x"),
        ((*GITHUB, "repository_id"), 111),
        ((*GITHUB, "event_name"), True),
        ((*DEFINITION, "resolvedDependencies"), {}),
        (SOURCE, "x"),
        ((*SOURCE, "uri"), 1),
        ((*SOURCE, "digest"), []),
        ((*SOURCE, "digest", "gitCommit"), 1),
        (("runDetails",), DROP),
        (BUILDER, DROP),
        (BUILDER, None),
        (("runDetails", "builder"), "x"),
        (("runDetails", "metadata"), []),
        (INVOCATION, 99),
    ],
)
def test_a_predicate_of_another_shape_is_malformed(
    era: str, path: tuple[str | int, ...], value: object
) -> None:
    assert codes(altered(make_predicate(era), (path, value))) == ["predicate-malformed"]


CHECKED = sorted({path for path, _, _ in ROWS}, key=str)


@given(st.sampled_from(["current", "early"]), st.sampled_from(CHECKED), st.text(max_size=60))
def test_no_text_but_the_certified_one_passes(era: str, path: tuple[str | int, ...], text: str) -> None:
    predicate = make_predicate(era)
    assert text in {value_at(predicate, path), value_at(make_predicate(), path)} or codes(
        altered(predicate, (path, text))
    )


def value_at(document: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else document[part]
    return document
