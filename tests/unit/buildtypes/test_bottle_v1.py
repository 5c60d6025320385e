"""The build type's model, its specification, its schema and its example."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.unit.builders import DROP, Json, altered
from tests.unit.buildtypes.builds import FIXTURES, make_build, make_example

from brew_provenance.actionsapi import Repository, WorkflowJob, WorkflowRun
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.bottlestatement import build_statement
from brew_provenance.buildrecord import BuildRecord
from brew_provenance.buildtypes.bottle import v1
from brew_provenance.buildtypes.bottle.v1 import BUILD_TYPE, BottleBuild
from brew_provenance.buildtypes.bottle.v1.rules import FIELDS, check_build, read_build
from brew_provenance.buildtypes.bottle.v1.schema import build_schema
from brew_provenance.certificate import Claims
from brew_provenance.corroborate import BuildJob
from brew_provenance.explain import _leaves
from brew_provenance.formula.ruby import read_formula
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.statement import Statement, read_statement

FOLDER = resources.files(v1)
README = FOLDER.joinpath("README.md").read_text(encoding="utf-8")
EXAMPLE: Json = json.loads(FOLDER.joinpath("example.json").read_text(encoding="utf-8"))
SCHEMA: Json = json.loads(FOLDER.joinpath("schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ALL = "foo--1.1.all.bottle.1.tar.gz"

DEFINITION = ("buildDefinition",)
PARAMETERS = (*DEFINITION, "externalParameters")
INTERNAL = (*DEFINITION, "internalParameters")
DEPENDENCIES = (*DEFINITION, "resolvedDependencies")
TAP, FORMULA, BREW, SOURCE = ((*DEPENDENCIES, index) for index in range(4))
METADATA = ("runDetails", "metadata")

Path = tuple[str | int, ...]


def claims_of(job: ActionsJob) -> Claims:
    """Return what the certificate of a job says."""
    from brew_provenance.certificate import EXTENSIONS  # noqa: PLC0415 - the only use

    fields = {extension.number: extension.field for extension in EXTENSIONS}
    values: Json = {fields[number]: value for number, value in job.claims().items()}
    return Claims(identity=job.signer_uri, identity_type="uri", **values)


def test_the_example_is_what_a_bottle_of_the_fixtures_gives() -> None:
    assert make_example() == EXAMPLE


def test_the_example_is_what_attest_makes_of_a_record() -> None:
    predicate = EXAMPLE["predicate"]
    build = BottleBuild.from_json(predicate)
    subject = EXAMPLE["subject"][0]
    parameters, github, runner = build.parameters, build.github, build.runner
    assert runner.image is not None
    source, brew = build.dependency("source"), build.dependency("brew")
    byproduct = build.run_details.byproducts[0]
    workflow = build.builder.removeprefix("https://github.com/")
    repository = workflow.partition("/.github/")[0]
    run_id, _, attempt = build.invocation.rpartition("/runs/")[2].partition("/attempts/")
    metadata = build.run_details.metadata
    assert metadata.started_on is not None
    record = BuildRecord.model_validate(
        {
            "tool": "brew-provenance 0.1.0",
            "recorded_at": metadata.started_on,
            "bottle": {
                "file": subject["name"],
                "sha256": subject["digest"]["sha256"],
                "formula": parameters.formula,
                "version": "3.0.1",
                "tag": parameters.tag,
                "rebuild": parameters.rebuild,
                "json_file": byproduct.name,
                "json_sha256": byproduct.digest["sha256"],
            },
            "tap": {
                "name": parameters.tap,
                "remote": f"https://github.com/{repository}",
                "commit": build.formula_commit,
            },
            "formula": {
                "path": build.formula_path,
                "blob": build.dependency("formula").digest["gitBlob"],
                "sha256": build.formula_sha256,
                "sha256_without_bottle_block": build.packed_formula_sha256,
                "source": {"url": source.uri, "sha256": source.digest["sha256"]},
            },
            "brew": {"version": "7.0.4", "commit": brew.digest["gitCommit"]},
            "run": {
                "server": "https://github.com",
                "repository": repository,
                "repository_id": github.repository_id,
                "owner_id": github.repository_owner_id,
                "workflow_ref": workflow,
                "ref": parameters.ref,
                "sha": build.formula_commit,
                "head_sha": github.head_sha,
                "event_name": github.event_name,
                "run_id": run_id,
                "run_attempt": attempt,
                "job": "tests",
            },
            "runner": {
                "name": runner.name,
                "os": runner.os,
                "arch": runner.arch,
                "environment": runner.environment,
                "image_os": runner.image.os,
                "image_version": runner.image.version,
            },
        }
    )
    run = WorkflowRun(
        id=run_id,
        attempt=attempt,
        repository=Repository(repository, github.repository_id, github.repository_owner_id, is_private=False),
        head_sha=github.head_sha,
        head_branch="feature",
        event=github.event_name,
        path=".github/workflows/tests.yml",
        status="completed",
        conclusion="success",
        url=build.invocation,
        started_at=metadata.started_on,
    )
    job = WorkflowJob(
        id=github.job_id,
        run_id=run_id,
        run_attempt=attempt,
        name="tests",
        head_sha=github.head_sha,
        status="completed",
        conclusion="success",
        runner_name=runner.name,
        labels=runner.labels,
        started_at=metadata.started_on,
        finished_at=metadata.finished_on,
        url=build.invocation,
    )
    made = build_statement(
        BottleFileName.parse(subject["name"]),
        Digest("sha256", subject["digest"]["sha256"]),
        record,
        BuildJob(run, job),
    )
    assert made == EXAMPLE


def test_the_example_holds_against_its_certificate() -> None:
    statement = read_statement(EXAMPLE)
    assert isinstance(statement, Statement)
    build = read_build(statement)
    assert isinstance(build, BottleBuild)
    signed = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert check_build(build, statement, claims_of(ActionsJob()), signed) == []


def test_the_example_pins_the_formula_and_its_source() -> None:
    build = BottleBuild.from_json(EXAMPLE["predicate"])
    text = (FIXTURES / build.formula_path).read_bytes()
    formula = read_formula(text, tap=build.parameters.tap, name=build.parameters.formula)
    assert formula.file_sha256 == build.formula_sha256
    assert formula.source is not None
    source = build.dependency("source")
    assert (formula.source.url, formula.source.sha256) == (source.uri, source.digest["sha256"])


def test_the_schema_is_made_from_the_models() -> None:
    assert build_schema() == SCHEMA
    made = subprocess.run(
        [sys.executable, "-m", "brew_provenance.buildtypes.bottle.v1.schema"],
        capture_output=True,
        check=True,
    )
    assert made.stdout == FOLDER.joinpath("schema.json").read_bytes()


def test_the_schema_is_one_and_takes_the_example() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(EXAMPLE)


def test_the_specification_says_which_url_it_has() -> None:
    assert README.count(f'"buildType": "{BUILD_TYPE}"') == 1
    assert SCHEMA["$id"] == f"{BUILD_TYPE}/schema.json"
    assert BUILD_TYPE.endswith("/tree/main/src/brew_provenance/buildtypes/bottle/v1")


def test_the_specification_has_a_rule_for_every_field_and_no_other() -> None:
    rules = README.partition("## How to verify")[2]
    told = re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \| (.+) \|$", rules, re.MULTILINE)
    assert told == [
        (path.replace("buildDefinition.", ""), field.origin.value, field.rule)
        for path, field in FIELDS.items()
        if ".identicalBottles[].runner." not in path
    ]


def test_every_field_of_a_predicate_has_its_rule() -> None:
    kinds = {kind for name in (ALL, "foo--1.1.arm64_sonoma.bottle.tar.gz") for _, kind, _ in leaves(name)}
    # The source of a formula has one digest or the other.
    assert set(FIELDS) - kinds == {"buildDefinition.resolvedDependencies[source].digest.gitCommit"}
    assert kinds <= set(FIELDS)


def leaves(name: str) -> list[tuple[str, str, str]]:
    return list(_leaves(make_build(name).predicate()))


@pytest.mark.parametrize("section", ["external", "internal"])
def test_the_specification_names_every_parameter(section: str) -> None:
    title = f"## {section.capitalize()} parameters"
    rows = README.partition(title)[2].partition("\n## ")[0]
    told = [
        name
        for row in re.findall(r"^\| (`.+?) \| (?:str|int|list)", rows, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    ]
    prefix = f"buildDefinition.{section}Parameters."
    wanted = [path.removeprefix(prefix) for path in FIELDS if path.startswith(prefix)]
    wanted = [path.removesuffix("[]") for path in wanted if not path.startswith("identicalBottles")]
    assert told == [*wanted, *(["identicalBottles[]"] if section == "internal" else [])]


def test_what_was_read_is_written_as_the_same() -> None:
    for name in ("foo--1.1.arm64_sonoma.bottle.tar.gz", ALL):
        build = BottleBuild.from_json(make_build(name).predicate())
        assert BottleBuild.from_json(json.loads(json.dumps(build.to_json()))) == build


def test_a_build_says_what_it_was_made_from() -> None:
    job = make_build()
    build = BottleBuild.from_json(job.predicate())
    assert build.formula_commit == job.commit
    assert build.formula_path == "Formula/f/foo.rb"
    assert build.builder == f"{job.publisher.repository_uri}/.github/workflows/tests.yml@refs/pull/71/merge"
    assert build.invocation == job.run_uri
    assert build.runner.name.startswith("GitHub Actions")
    assert build.github.job_id == job.job_id
    assert build.identical_bottles == ()
    with pytest.raises(KeyError):
        build.dependency("more")


WRONG: list[tuple[Path, Any]] = [
    ((*DEFINITION, "buildType"), "https://example.org/"),
    ((*DEFINITION, "buildType"), DROP),
    ((*PARAMETERS, "tap"), DROP),
    ((*PARAMETERS, "tap"), "Octo/tap"),
    ((*PARAMETERS, "tap"), "octo"),
    ((*PARAMETERS, "tap"), "octo/tap\n"),
    ((*PARAMETERS, "tap"), "octo/tap/foo"),
    ((*PARAMETERS, "formula"), "../foo"),
    ((*PARAMETERS, "formula"), "octo/tap/foo"),
    ((*PARAMETERS, "formula"), ""),
    ((*PARAMETERS, "tag"), "Sonoma"),
    ((*PARAMETERS, "tag"), "x86_64_all"),
    ((*PARAMETERS, "rebuild"), -1),
    ((*PARAMETERS, "rebuild"), "0"),
    ((*PARAMETERS, "rebuild"), False),
    ((*PARAMETERS, "rebuild"), 0.0),
    ((*PARAMETERS, "ref"), "main"),
    ((*PARAMETERS, "ref"), "refs/heads/"),
    ((*PARAMETERS, "ref"), "refs/heads/a b"),
    ((*PARAMETERS, "more"), 1),
    ((*INTERNAL, "runner"), DROP),
    ((*INTERNAL, "runner", "environment"), "elsewhere"),
    ((*INTERNAL, "runner", "labels"), "macos-15"),
    ((*INTERNAL, "runner", "image", "os"), None),
    ((*INTERNAL, "github", "repository_id"), 111),
    ((*INTERNAL, "github", "repository_id"), "0111"),
    ((*INTERNAL, "github", "job_id"), ""),
    ((*INTERNAL, "github", "head_sha"), "A" * 40),
    ((*INTERNAL, "github", "head_sha"), "a" * 39),
    (DEPENDENCIES, []),
    (DEPENDENCIES, {}),
    ((*TAP, "name"), "the tap"),
    ((*TAP, "digest"), {}),
    ((*TAP, "digest"), {"sha256": "a" * 64}),
    ((*TAP, "digest", "gitCommit"), "a" * 41),
    ((*TAP, "digest", "gitCommit"), "A" * 40),
    ((*FORMULA, "digest"), {"gitBlob": "a" * 40}),
    ((*FORMULA, "digest", "sha256"), "g" * 64),
    ((*FORMULA, "annotations"), {}),
    ((*FORMULA, "annotations", "path"), 1),
    ((*FORMULA, "annotations", "sha256WithoutBottleBlock"), "a" * 63),
    ((*FORMULA, "name"), "tap"),
    ((*BREW, "name"), "formula"),
    ((*BREW, "name"), "source"),
    ((*SOURCE, "name"), "brew"),
    ((*SOURCE, "digest"), DROP),
    (("runDetails", "builder"), {}),
    ((*METADATA, "invocationId"), DROP),
    ((*METADATA, "startedOn"), 1_700_000_000),
    ((*METADATA, "startedOn"), "1700000000"),
    ((*METADATA, "startedOn"), "2025-03-01T11:20:00"),
    ((*METADATA, "startedOn"), "2025-03-01"),
    ((*METADATA, "finishedOn"), "2025-03-01 11:20:00Z"),
    ((*METADATA, "finishedOn"), "2025-13-01T11:20:00Z"),
    (("runDetails", "byproducts"), [{"name": "x", "digest": {}}]),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_what_is_not_of_the_build_type_is_not_read(path: Path, value: Any) -> None:
    with pytest.raises(ValidationError):
        BottleBuild.from_json(altered(make_build().predicate(), (path, value)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*METADATA, "startedOn"), DROP),
        ((*METADATA, "finishedOn"), DROP),
        ((*METADATA, "finishedOn"), "2025-03-01T12:20:00.123+01:00"),
        ((*INTERNAL, "runner", "image"), DROP),
        ((*INTERNAL, "runner", "labels"), DROP),
        ((*INTERNAL, "identicalBottles"), DROP),
        ((*INTERNAL, "more"), {"unknown": "to consumers"}),
        ((*FORMULA, "uri"), DROP),
        ((*FORMULA, "digest", "gitBlob"), DROP),
        ((*TAP, "digest", "gitCommit"), "a" * 64),
        ((*SOURCE, "digest"), {"gitCommit": "a" * 40}),
        ((*SOURCE, "digest", "blake3"), "anything"),
        ((*BREW, "name"), "more"),
        (("runDetails", "byproducts"), DROP),
        (("more",), 1),
    ],
)
def test_what_may_be_missing_or_more_is_read(path: Path, value: Any) -> None:
    document = altered(make_build().predicate(), (path, value))
    assert BottleBuild.from_json(document).formula_path == "Formula/f/foo.rb"
    VALIDATOR.validate({**EXAMPLE, "predicate": document})


def test_fields_go_by_the_names_of_the_specification_alone() -> None:
    document = make_build().predicate()
    document["build_definition"] = document.pop("buildDefinition")
    with pytest.raises(ValidationError):
        BottleBuild.from_json(document)
    inner = make_build().predicate()
    metadata = inner["runDetails"]["metadata"]
    metadata["invocation_id"] = metadata.pop("invocationId")
    with pytest.raises(ValidationError):
        BottleBuild.from_json(inner)


# What a schema cannot say, or what other validators take differently.
BEYOND_SCHEMA = [
    ((*PARAMETERS, "tag"), "'Sonoma'"),
    ((*PARAMETERS, "tag"), "'x86_64_all'"),
    ((*PARAMETERS, "rebuild"), "0.0"),
    ((*PARAMETERS, "tap"), r"'octo/tap\n'"),
    ((*BREW, "name"), "'source'"),
    ((*SOURCE, "name"), "'brew'"),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_the_schema_refuses_what_the_models_refuse(path: Path, value: Any) -> None:
    document = {**EXAMPLE, "predicate": altered(make_build().predicate(), (path, value))}
    accepted = VALIDATOR.is_valid(document)
    is_time = path[-1] in {"startedOn", "finishedOn"} and isinstance(value, str)
    assert accepted == (is_time or (path, repr(value)) in BEYOND_SCHEMA)


def test_the_schema_refuses_a_second_subject() -> None:
    document = copy.deepcopy(EXAMPLE)
    document["subject"].append(document["subject"][0])
    assert not VALIDATOR.is_valid(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.sampled_from(sorted(FIELDS)),
)
def test_any_value_anywhere_is_read_or_refused(value: Any, kind: str) -> None:
    path: list[str | int] = []
    for part in kind.replace("[]", ".0").split("."):
        name, _, entry = part.rstrip("]").partition("[")
        path.append(int(name) if name.isdigit() else name)
        if entry:
            path.append(["tap", "formula", "brew", "source"].index(entry))
    document = altered(make_build(ALL).predicate(), (path, value))
    try:
        build = BottleBuild.from_json(document)
    except ValidationError:
        return
    assert BottleBuild.from_json(build.to_json()) == build


def test_the_files_of_the_specification_are_of_the_package() -> None:
    assert {"README.md", "example.json", "schema.json"} <= {entry.name for entry in FOLDER.iterdir()}
