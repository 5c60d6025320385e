"""Rightly signed provenance that the signer's own certificate contradicts."""

from __future__ import annotations

from collections.abc import Callable

from brew_provenance.sandbox.actions import ActionsJob, Era
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario, alter_statement, reach
from brew_provenance.sandbox.wire import JsonObject

_JOB = ActionsJob()
_OTHER_REPOSITORY = "https://github.com/attacker/homebrew-fixtures"
_OTHER_COMMIT = "0" * 40
_OTHER_ID = "999999991"


def _claim(change: Callable[[JsonObject], object]) -> Make:
    """Return a maker whose predicate is right but for a change."""
    return alter_statement(lambda statement, _: change(statement["predicate"]))


def _claim_early(change: Callable[[JsonObject], object]) -> Make:
    """Return a maker whose predicate is right, in the early shape, but for a change."""

    def edit(statement: JsonObject, scenario: Scenario) -> None:
        statement["predicate"] = scenario.job.provenance(Era.EARLY)
        change(statement["predicate"])

    return alter_statement(edit)


def _build_type(predicate: JsonObject, build_type: str) -> None:
    predicate["buildDefinition"]["buildType"] = build_type


def _parameters(predicate: JsonObject) -> JsonObject:
    return reach(predicate, "buildDefinition", "externalParameters")


def _workflow(predicate: JsonObject) -> JsonObject:
    return reach(predicate, "buildDefinition", "externalParameters", "workflow")


def _github(predicate: JsonObject) -> JsonObject:
    return reach(predicate, "buildDefinition", "internalParameters", "github")


def _source(predicate: JsonObject) -> JsonObject:
    source: JsonObject = predicate["buildDefinition"]["resolvedDependencies"][0]
    return source


def _builder(predicate: JsonObject) -> JsonObject:
    return reach(predicate, "runDetails", "builder")


def _metadata(predicate: JsonObject) -> JsonObject:
    return reach(predicate, "runDetails", "metadata")


def _put_stranger_first(predicate: JsonObject) -> None:
    stranger = {"uri": f"git+{_OTHER_REPOSITORY}@{_JOB.ref}", "digest": {"gitCommit": _JOB.sha}}
    predicate["buildDefinition"]["resolvedDependencies"].insert(0, stranger)


def _lie(name: str, code: str, what: str, change: Callable[[JsonObject], object]) -> Forgery:
    return Forgery(name, code, what, _claim(change))


PREDICATES: tuple[Forgery, ...] = (
    Forgery(
        "predicate-empty",
        "predicate-malformed",
        "The predicate says nothing.",
        alter_statement(lambda statement, _: statement.update(predicate={})),
    ),
    _lie(
        "no-run-details",
        "predicate-malformed",
        "The predicate does not say who ran the build.",
        lambda predicate: predicate.pop("runDetails"),
    ),
    _lie(
        "workflow-not-an-object",
        "predicate-malformed",
        "The workflow is a string.",
        lambda predicate: _parameters(predicate).update(workflow=_JOB.workflow_path),
    ),
    _lie(
        "build-type-of-the-future",
        "build-type-unknown",
        "The build type is of a version that does not exist.",
        lambda predicate: _build_type(predicate, "https://actions.github.io/buildtypes/workflow/v2"),
    ),
    _lie(
        "build-type-of-stranger",
        "build-type-unknown",
        "The build type is somebody else's.",
        lambda predicate: _build_type(predicate, "https://attacker.example/buildtypes/workflow/v1"),
    ),
    _lie(
        "parameters-beside-workflow",
        "external-parameters-unknown",
        "The build had inputs, which the build type does not define.",
        lambda predicate: _parameters(predicate).update(inputs={"source": "elsewhere"}),
    ),
    _lie(
        "parameter-of-workflow",
        "external-parameters-unknown",
        "The workflow has a parameter that the build type does not define.",
        lambda predicate: _workflow(predicate).update(inputs={"source": "elsewhere"}),
    ),
    _lie(
        "repository-lie",
        "predicate-repository-mismatch",
        "The predicate names another repository.",
        lambda predicate: _workflow(predicate).update(repository=_OTHER_REPOSITORY),
    ),
    _lie(
        "repository-with-suffix",
        "predicate-repository-mismatch",
        "The predicate's repository ends in .git.",
        lambda predicate: _workflow(predicate).update(repository=f"{_JOB.repository_uri}.git"),
    ),
    Forgery(
        "early-repository-lie",
        "predicate-repository-mismatch",
        "A predicate of the early shape names another repository.",
        _claim_early(lambda predicate: _workflow(predicate).update(repository=_OTHER_REPOSITORY)),
    ),
    _lie(
        "ref-lie",
        "predicate-ref-mismatch",
        "The predicate names a tag; the certificate, the branch.",
        lambda predicate: _workflow(predicate).update(ref="refs/tags/v1"),
    ),
    _lie(
        "ref-in-short",
        "predicate-ref-mismatch",
        "The predicate names the branch in short.",
        lambda predicate: _workflow(predicate).update(ref="main"),
    ),
    _lie(
        "workflow-lie",
        "predicate-workflow-mismatch",
        "The predicate names another workflow.",
        lambda predicate: _workflow(predicate).update(path=".github/workflows/tests.yml"),
    ),
    _lie(
        "repository-id-lie",
        "predicate-repository-id-mismatch",
        "The predicate names another repository id.",
        lambda predicate: _github(predicate).update(repository_id=_OTHER_ID),
    ),
    _lie(
        "owner-id-lie",
        "predicate-owner-id-mismatch",
        "The predicate names another owner id.",
        lambda predicate: _github(predicate).update(repository_owner_id=_OTHER_ID),
    ),
    _lie(
        "runner-lie",
        "predicate-runner-mismatch",
        "The predicate names a runner of another kind.",
        lambda predicate: _github(predicate).update(runner_environment="self-hosted"),
    ),
    _lie(
        "event-lie",
        "predicate-event-mismatch",
        "The predicate names another event.",
        lambda predicate: _github(predicate).update(event_name="workflow_dispatch"),
    ),
    Forgery(
        "early-event-lie",
        "predicate-event-mismatch",
        "A predicate of the early shape names another event.",
        _claim_early(lambda predicate: _github(predicate).update(event_name="workflow_dispatch")),
    ),
    _lie(
        "source-lie",
        "predicate-source-mismatch",
        "The source is another repository at the same ref.",
        lambda predicate: _source(predicate).update(uri=f"git+{_OTHER_REPOSITORY}@{_JOB.ref}"),
    ),
    _lie(
        "source-ref-lie",
        "predicate-source-mismatch",
        "The source is the right repository at another ref.",
        lambda predicate: _source(predicate).update(uri=f"git+{_JOB.repository_uri}@refs/heads/feature"),
    ),
    _lie(
        "source-second",
        "predicate-source-mismatch",
        "The right source stands behind another one.",
        _put_stranger_first,
    ),
    _lie(
        "commit-lie",
        "predicate-commit-mismatch",
        "The source is at another commit.",
        lambda predicate: _source(predicate).update(digest={"gitCommit": _OTHER_COMMIT}),
    ),
    _lie(
        "commit-in-short",
        "predicate-commit-mismatch",
        "The commit is given by its first seven digits.",
        lambda predicate: _source(predicate).update(digest={"gitCommit": _JOB.sha[:7]}),
    ),
    _lie(
        "builder-lie",
        "predicate-builder-mismatch",
        "The predicate names another builder than the signer.",
        lambda predicate: _builder(predicate).update(
            id=f"{_OTHER_REPOSITORY}/{_JOB.workflow_path}@{_JOB.ref}"
        ),
    ),
    _lie(
        "builder-of-early-shape",
        "predicate-builder-mismatch",
        "The builder is the kind of runner, which only the early shape gives.",
        lambda predicate: _builder(predicate).update(id="https://github.com/actions/runner/github-hosted"),
    ),
    Forgery(
        "early-builder-lie",
        "predicate-builder-mismatch",
        "A predicate of the early shape names another kind of runner as the builder.",
        _claim_early(
            lambda predicate: _builder(predicate).update(id="https://github.com/actions/runner/self-hosted")
        ),
    ),
    _lie(
        "run-lie",
        "predicate-invocation-mismatch",
        "The predicate names another run.",
        lambda predicate: _metadata(predicate).update(
            invocationId=f"{_JOB.repository_uri}/actions/runs/1/attempts/1"
        ),
    ),
    _lie(
        "attempt-lie",
        "predicate-invocation-mismatch",
        "The predicate names another attempt of the run.",
        lambda predicate: _metadata(predicate).update(invocationId=f"{_JOB.run_uri}0"),
    ),
)
