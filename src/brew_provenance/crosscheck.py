"""What the predicate says, held against what the certificate says.

The certificate's claims come from the CI provider's token, and the job cannot choose them; the
predicate is whatever the job wrote. Where both speak they must agree, or the predicate is a lie
that is rightly signed. Rules: one row each of the cross-check table for the build types
`https://actions.github.io/buildtypes/workflow/v1` and its community twin. Those of our own build type
stand beside its model.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from brew_provenance.certificate import Claims
from brew_provenance.findings import Finding
from brew_provenance.statement import (
    ACTIONS_BUILD,
    BOTTLE_BUILD,
    COMMUNITY_BUILD,
    BuildDefinition,
    Provenance,
    Statement,
    Workflow,
    build_type_of,
    summarise,
)

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1 import BottleBuild

# What each build type's own page defines; anything else could change what was built.
_EXTERNAL_PARAMETERS = {
    ACTIONS_BUILD: {"workflow"},
    COMMUNITY_BUILD: {"workflow", "inputs", "vars", "release"},
}
_RUNNER_BUILDER = "https://github.com/actions/runner/"


def check_predicate(
    statement: Statement, claims: Claims, signed: datetime | None = None
) -> tuple[list[Finding], BottleBuild | None]:
    """Return every disagreement between a provenance predicate and the certificate; none is good.

    And the build that it describes, where it is of our own build type and can be read. `signed` is the
    earliest verified time.
    """
    if build_type_of(statement) != BOTTLE_BUILD:
        return _check_workflow_run(statement, claims), None
    from brew_provenance.buildtypes.bottle.v1.rules import (  # noqa: PLC0415 - many models, for one build type
        check_build,
        read_build,
    )

    build = read_build(statement)
    if isinstance(build, Finding):
        return [build], None
    return check_build(build, statement, claims, signed), build


def _check_workflow_run(statement: Statement, claims: Claims) -> list[Finding]:
    try:
        provenance = Provenance.model_validate(statement.predicate)
    except ValidationError as error:
        return [Finding("predicate-malformed", summarise(error))]
    definition = provenance.build_definition
    known = _EXTERNAL_PARAMETERS.get(definition.build_type)
    if known is None:
        return [Finding("build-type-unknown", f"build type {definition.build_type!r}")]
    if unknown := sorted(set(definition.external_parameters) - known):
        return [Finding("external-parameters-unknown", f"external parameters {', '.join(unknown)}")]
    try:
        workflow = Workflow.model_validate(definition.external_parameters.get("workflow"))
    except ValidationError as error:
        if any(problem["type"] == "extra_forbidden" for problem in error.errors()):
            return [Finding("external-parameters-unknown", f"workflow.{summarise(error)}")]
        return [Finding("predicate-malformed", f"externalParameters.workflow: {summarise(error)}")]
    return [*_check_workflow(workflow, claims), *_check_run(provenance, claims)]


def _check_workflow(workflow: Workflow, claims: Claims) -> Iterator[Finding]:
    config_path, config_ref = _build_config(claims)
    yield from _same(
        "predicate-repository-mismatch",
        "repository",
        workflow.repository,
        claims.source_repository_uri,
    )
    # Before 1.6 of the toolkit's attest package the ref was the workflow file's; both come from the token.
    yield from _same("predicate-ref-mismatch", "ref", workflow.ref, claims.source_repository_ref, config_ref)
    yield from _same("predicate-workflow-mismatch", "workflow path", workflow.path, config_path)


def _check_run(provenance: Provenance, claims: Claims) -> Iterator[Finding]:
    definition, run = provenance.build_definition, provenance.run_details
    github = definition.internal_parameters.github
    yield from _same(
        "predicate-repository-id-mismatch",
        "repository id",
        github.repository_id,
        claims.source_repository_id,
    )
    yield from _same(
        "predicate-owner-id-mismatch",
        "owner id",
        github.repository_owner_id,
        claims.source_repository_owner_id,
    )
    yield from _same(
        "predicate-runner-mismatch",
        "runner environment",
        github.runner_environment,
        claims.runner_environment,
    )
    yield from _same("predicate-event-mismatch", "event", github.event_name, claims.build_trigger)
    yield from _check_source(definition, claims)
    builders = [claims.build_signer_uri]
    if definition.build_type == COMMUNITY_BUILD and claims.runner_environment is not None:
        builders.append(f"{_RUNNER_BUILDER}{claims.runner_environment}")
    yield from _same("predicate-builder-mismatch", "builder", run.builder.id, *builders)
    yield from _same(
        "predicate-invocation-mismatch",
        "run",
        run.metadata.invocation_id,
        claims.run_invocation_uri,
    )


def _check_source(definition: BuildDefinition, claims: Claims) -> Iterator[Finding]:
    if not definition.resolved_dependencies:
        return
    source = definition.resolved_dependencies[0]
    _, config_ref = _build_config(claims)
    repository = claims.source_repository_uri
    refs = [ref for ref in (claims.source_repository_ref, config_ref) if ref and repository]
    uris = [f"git+{repository}@{ref}" for ref in refs]
    yield from _same("predicate-source-mismatch", "source", source.uri, *uris)
    yield from _same(
        "predicate-commit-mismatch",
        "commit",
        source.digest.get("gitCommit"),
        claims.source_repository_digest,
    )


def _build_config(claims: Claims) -> tuple[str | None, str | None]:
    """Return path and ref of the top-level workflow, out of `REPOSITORY/PATH@REF`."""
    location, at, ref = (claims.build_config_uri or "").partition("@")
    prefix = f"{claims.source_repository_uri}/"
    if claims.source_repository_uri is None or not at or not location.startswith(prefix):
        return None, None
    return location.removeprefix(prefix), ref


def _same(code: str, what: str, written: str | None, *certified: str | None) -> Iterator[Finding]:
    # A predicate that is silent contradicts nothing; a silent certificate vouches for nothing.
    if written is not None and written not in certified:
        says = certified[0] if certified and certified[0] is not None else "nothing"
        yield Finding(code, f"the predicate's {what} is {written!r}, the certificate says {says!r}")
