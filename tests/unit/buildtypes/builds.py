"""Statements of our own build type that are right in every respect; tests name what they make different."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from tests.unit.builders import (
    COMMIT,
    FILE_NAME,
    MAIN,
    REPOSITORY,
    SHA256,
    WORKFLOW,
    Json,
    make_statement_document,
    make_subject,
)

from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.formula.bottleblock import without_bottle_block
from brew_provenance.formula.ruby import read_formula
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.builds import BuildJob

FIXTURES: Final = Path(__file__).resolve().parents[3] / "formula-fixtures"
PUBLISHER: Final = ActionsJob(
    repository=REPOSITORY,
    repository_id="111",
    owner_id="222",
    ref=MAIN,
    sha=COMMIT,
    workflow_path=WORKFLOW,
    event_name="workflow_dispatch",
    run_id="99",
)
"""The job that `builders.make_claims` describes."""


def make_build(name: str = FILE_NAME, **overrides: Any) -> BuildJob:
    """Return the job that built the example bottle."""
    values: Json = {
        "publisher": PUBLISHER,
        "bottle": BottleFileName.parse(name),
        "started_on": "2025-03-01T11:20:00Z",
        "finished_on": "2025-03-01T11:28:30.5Z",
        **overrides,
    }
    return BuildJob(**values)


def make_build_document(
    predicate: Json | None = None, *, name: str = FILE_NAME, digest: Digest = SHA256
) -> Json:
    """Return the statement of a build, of the example bottle's when nothing is given."""
    return make_statement_document(
        make_subject(name, digest), predicate=predicate or make_build(name).predicate()
    )


def fixture_build(publisher: ActionsJob, bottle: BottleFileName, **overrides: Any) -> BuildJob:
    """Return a job that built a bottle of the fixtures from the formula that they hold now."""
    path = f"Formula/{bottle.formula[0]}/{bottle.formula}.rb"
    formula = (FIXTURES / path).read_bytes()
    source = read_formula(formula, tap="brew-provenance/fixtures", name=bottle.formula).source
    assert source is not None
    values: Json = {
        "publisher": publisher,
        "bottle": bottle,
        "formula": formula,
        "packed": without_bottle_block(formula),
        "path": path,
        "source_url": source.url,
        "source_sha256": source.sha256,
        **overrides,
    }
    return BuildJob(**values)


def make_example() -> Json:
    """Return the example of the specification: a bottle of the fixtures."""
    name = "hello--3.0.1.arm64_sonoma.bottle.tar.gz"
    job = fixture_build(ActionsJob(event_name="workflow_dispatch"), BottleFileName.parse(name))
    digest = hashlib.sha256((FIXTURES / "bottles" / name).read_bytes()).hexdigest()
    return build_statement([build_subject(name, digest)], job.predicate())
