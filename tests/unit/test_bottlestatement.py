"""The statements that are signed: complete, readable again, and plain ones as actions/attest makes them."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest
from tests.unit.attesting import BOTTLE, DIGEST, MERGE, RECORDED_AT, build_job, make_record, record_document
from tests.unit.builders import make_claims

from brew_provenance.bottle import BottleFileName
from brew_provenance.bottlestatement import build_statement, plain_statement
from brew_provenance.buildtypes.bottle.v1 import BREW, SOURCE, BottleBuild
from brew_provenance.buildtypes.bottle.v1.rules import check_build, read_build
from brew_provenance.errors import BuildSideError
from brew_provenance.sandbox.actions import ActionsJob, build_subject
from brew_provenance.sandbox.actions import build_statement as build_plain
from brew_provenance.statement import Statement, read_statement

PULL = "https://github.com/octo/homebrew-tap@refs/pull/7/merge"


def test_a_statement_says_what_was_recorded_and_corroborated() -> None:
    made = build_statement(BOTTLE, DIGEST, make_record(), build_job())

    assert made["subject"] == [{"name": str(BOTTLE), "digest": {"sha256": DIGEST.value}}]
    build = BottleBuild.model_validate(made["predicate"])
    assert build.to_json() == made["predicate"]
    assert (build.formula_commit, build.formula_path) == (MERGE, "Formula/f/foo.rb")
    assert (build.formula_sha256, build.packed_formula_sha256) == ("5a" * 32, "5b" * 32)
    definition, details = made["predicate"]["buildDefinition"], made["predicate"]["runDetails"]
    assert definition["externalParameters"] == {
        "tap": "octo/tap",
        "formula": "foo",
        "tag": "arm64_sonoma",
        "rebuild": 0,
        "ref": "refs/pull/7/merge",
    }
    assert definition["internalParameters"]["runner"]["labels"] == ["macos-15"]
    assert definition["internalParameters"]["github"]["job_id"] == "555"
    uris = {item["name"]: item.get("uri") for item in definition["resolvedDependencies"]}
    assert uris == {
        "tap": f"git+{PULL}",
        "formula": f"git+{PULL}#Formula/f/foo.rb",
        "brew": "git+https://github.com/Homebrew/brew@refs/tags/7.0.4",
        "source": "https://example.org/foo-1.1.tar.gz",
    }
    assert details["builder"]["id"] == (
        "https://github.com/octo/homebrew-tap/.github/workflows/tests.yml@refs/pull/7/merge"
    )
    assert details["metadata"] == {
        "invocationId": "https://github.com/octo/homebrew-tap/actions/runs/9876/attempts/2",
        "startedOn": "2026-03-01T11:17:00Z",
        "finishedOn": "2026-03-01T11:27:00Z",
    }


def test_a_statement_is_of_the_published_schema() -> None:
    made = build_statement(BOTTLE, DIGEST, make_record(), build_job())
    schema = files("brew_provenance").joinpath("buildtypes/bottle/v1/schema.json").read_text(encoding="utf-8")
    jsonschema.validate(made, json.loads(schema), cls=jsonschema.Draft202012Validator)
    assert isinstance(read_statement(made), Statement)


def test_what_is_not_known_is_left_out() -> None:
    document = record_document()
    document["brew"] = {"version": None, "commit": None}
    document["formula"]["source"] = None
    document["runner"] |= {"image_os": None, "image_version": None}
    made = build_statement(BOTTLE, DIGEST, make_record(document), build_job())
    definition = made["predicate"]["buildDefinition"]
    assert {item["name"] for item in definition["resolvedDependencies"]} == {"tap", "formula"}
    assert "image" not in definition["internalParameters"]["runner"]


def test_a_source_out_of_version_control_is_named_by_its_commit() -> None:
    document = record_document()
    document["formula"]["source"] = {"url": "https://example.org/foo.git", "sha256": None, "commit": "7" * 40}
    document["brew"]["version"] = "7.0.4-12-gabcdef0"
    made = build_statement(BOTTLE, DIGEST, make_record(document), build_job())
    by_name = {item["name"]: item for item in made["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert by_name[SOURCE]["digest"] == {"gitCommit": "7" * 40}
    assert by_name[SOURCE]["uri"] == "git+https://example.org/foo.git"
    assert by_name[BREW]["uri"] == "git+https://github.com/Homebrew/brew"


def test_an_all_bottle_names_the_bottles_that_it_was_made_of() -> None:
    merged = BottleFileName("foo", "1.1", "all", 0)
    record = make_record()
    made = build_statement(merged, DIGEST, record, build_job(), [(record, build_job())])
    definition = made["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["tag"] == "all"
    (identical,) = definition["internalParameters"]["identicalBottles"]
    assert identical["name"] == str(BOTTLE)
    assert identical["runner"]["name"] == "GitHub Actions 3"


def test_what_github_says_is_written_as_github_writes_it() -> None:
    document = record_document()
    document["run"]["repository"] = "Octo/Homebrew-Tap"
    document["run"]["workflow_ref"] = "OCTO/homebrew-tap/.github/workflows/tests.yml@refs/pull/7/merge"
    record = make_record(document)
    assert build_statement(BOTTLE, DIGEST, record, build_job(record)) == build_statement(
        BOTTLE, DIGEST, make_record(), build_job()
    )


@pytest.mark.parametrize("version", ["7.0", "7.0.4\n", "v7.0.4", ">=7.0.4", "7.0.4-dirty", "../x", ""])
def test_what_is_no_release_of_brew_is_no_tag(version: str) -> None:
    document = record_document()
    document["brew"]["version"] = version
    made = build_statement(BOTTLE, DIGEST, make_record(document), build_job())
    build = BottleBuild.from_json(made["predicate"])
    assert build.dependency(BREW).uri == "git+https://github.com/Homebrew/brew"


def test_a_source_that_is_pinned_by_nothing_is_left_out() -> None:
    document = record_document()
    document["formula"]["source"] = {"url": "https://example.org/foo.tar.gz", "sha256": None, "commit": None}
    made = build_statement(BOTTLE, DIGEST, make_record(document), build_job())
    names = {item["name"] for item in made["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert SOURCE not in names


def test_our_own_rules_have_nothing_against_it() -> None:
    claims = make_claims(
        source_repository_uri="https://github.com/octo/homebrew-tap",
        source_repository_id="801",
        source_repository_owner_id="161",
        run_invocation_uri="https://github.com/octo/homebrew-tap/actions/runs/9999/attempts/1",
    )
    statement = read_statement(build_statement(BOTTLE, DIGEST, make_record(), build_job()))
    assert isinstance(statement, Statement)
    build = read_build(statement)
    assert isinstance(build, BottleBuild)
    assert check_build(build, statement, claims, RECORDED_AT) == []


def test_a_plain_statement_is_what_actions_attest_makes() -> None:
    job = ActionsJob(event_name="workflow_dispatch")
    claims = {
        "repository": job.repository,
        "repository_id": job.repository_id,
        "repository_owner_id": job.owner_id,
        "ref": job.ref,
        "sha": job.sha,
        "event_name": job.event_name,
        "workflow_ref": job.workflow_ref,
        "job_workflow_ref": job.job_workflow_ref,
        "runner_environment": job.runner_environment,
        "run_id": job.run_id,
        "run_attempt": job.run_attempt,
    }
    made = plain_statement([("a.tar.gz", "aa" * 32)], claims, "https://github.com")
    assert made == build_plain([build_subject("a.tar.gz", "aa" * 32)], job.provenance())
    for name in claims:
        with pytest.raises(BuildSideError, match=f"does not say {name}, as"):
            plain_statement([], {key: value for key, value in claims.items() if key != name}, "x")


def test_the_same_record_gives_the_same_statement() -> None:
    one, other = (build_statement(BOTTLE, DIGEST, make_record(), build_job()) for _ in range(2))
    assert json.dumps(one) == json.dumps(other)
    later = replace(build_job(), job=replace(build_job().job, finished_at=None))
    assert (
        "finishedOn"
        not in build_statement(BOTTLE, DIGEST, make_record(), later)["predicate"]["runDetails"]["metadata"]
    )
