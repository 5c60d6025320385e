"""`inspect` shows what a bundle says, and gives no verdict."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from tests.integration.conftest import Files, Run

from brew_provenance import bundle as bundle_module
from brew_provenance.sandbox.forgery import FORGERIES
from brew_provenance.sandbox.scenario import Scenario

SCHEMA = Path(bundle_module.__file__).parent / "schemas" / "examination-v1.schema.json"


def test_it_says_that_it_is_no_verdict(run: Run, files: Files) -> None:
    result = run("inspect", files.bundle, "--trusted-root", files.root, "--offline")

    assert result.code == 0
    assert "No verdict" in result.out
    assert "step 4  cryptography: passed" in result.out
    assert "step 5  signer and policy: not done" in result.out
    assert "step 7  predicate against certificate: passed" in result.out
    assert "verified" not in result.out


def test_it_shows_where_cryptography_failed(run: Run, files: Files) -> None:
    result = run("inspect", files.bundle, "--offline")

    assert result.code == 0
    assert "step 4  cryptography: failed" in result.out
    assert "certificate-untrusted" in result.out
    assert "step 5  signer and policy: not reached" in result.out


def test_it_shows_predicates_that_nobody_compares(run: Run, files: Files, scenario: Scenario) -> None:
    statement = {
        **scenario.statement(),
        "predicateType": "https://example.com/other",
        "predicate": {"a": [1]},
    }
    files.bundle.write_text(
        json.dumps(scenario.sigstore.attest(statement, scenario.job, at=scenario.at)), encoding="utf-8"
    )

    result = run("inspect", files.bundle, "--trusted-root", files.root, "--offline")

    assert "step 7  predicate against certificate: not done" in result.out
    assert "[predicate] a[0] = 1" in result.out


def test_deep_predicate_is_cut(run: Run, files: Files, scenario: Scenario) -> None:
    deep: object = "bottom"
    for _ in range(50):
        deep = {"d": deep}
    statement = {**scenario.statement(), "predicateType": "https://example.com/deep", "predicate": deep}
    files.bundle.write_text(
        json.dumps(scenario.sigstore.attest(statement, scenario.job, at=scenario.at)), encoding="utf-8"
    )

    result = run("inspect", files.bundle, "--trusted-root", files.root, "--offline")

    assert result.code == 0
    assert "nested deeper than is shown" in result.out
    assert "bottom" not in result.out


def test_predicate_with_very_many_leaves_is_cut(run: Run, files: Files, scenario: Scenario) -> None:
    statement = {
        **scenario.statement(),
        "predicateType": "https://example.com/wide",
        "predicate": {"a": [1] * 5000},
    }
    files.bundle.write_text(
        json.dumps(scenario.sigstore.attest(statement, scenario.job, at=scenario.at)), encoding="utf-8"
    )

    result = run("inspect", files.bundle, "--trusted-root", files.root, "--offline")

    assert result.code == 0
    assert 50 < result.out.count("[predicate]") < 500


@pytest.mark.parametrize("name", ["good", *(forgery.name for forgery in FORGERIES[::10])])
def test_json_has_the_published_schema(name: str, run: Run, files: Files, scenario: Scenario) -> None:
    if name != "good":
        forgery = next(forgery for forgery in FORGERIES if forgery.name == name)
        files.bundle.write_bytes(forgery.make(scenario))

    result = run("inspect", files.bundle, "--trusted-root", files.root, "--offline", "--format", "json")

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(result.out)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert document["verdict"] is None
    assert not any(attestation["accepted"] for attestation in document["attestations"])


def test_two_bundles_in_a_file_are_shown_apart(run: Run, files: Files, scenario: Scenario) -> None:
    files.bundle.write_bytes(scenario.good() + b"\n" + scenario.good())

    result = run("inspect", files.bundle, "--trusted-root", files.root, "--offline")

    assert f"{files.bundle} bundle 1" in result.out
    assert f"{files.bundle} bundle 2" in result.out
