"""The statements that `attest` signs: of our build type out of a corroborated record, or plain ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.buildrecord import BuildRecord, RecordedRunner
from brew_provenance.buildtypes.bottle.v1 import (
    BREW,
    BUILD_TYPE,
    FORMULA,
    PATH,
    SOURCE,
    TAP,
    WITHOUT_BOTTLE_BLOCK,
    BottleBuild,
    BuildDefinition,
    Builder,
    ExternalParameters,
    GitHub,
    IdenticalBottle,
    Image,
    InternalParameters,
    Metadata,
    ResourceDescriptor,
    RunDetails,
    Runner,
)
from brew_provenance.corroborate import BuildJob
from brew_provenance.errors import BuildSideError
from brew_provenance.statement import ACTIONS_BUILD, PROVENANCE_V1, STATEMENT_V1

_BREW_REPOSITORY: Final = "git+https://github.com/Homebrew/brew"
# Between two releases `brew --version` says more, and there is no such tag.
_RELEASE = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}", re.ASCII)


_CLAIMS: Final = frozenset(
    {
        *("repository", "repository_id", "repository_owner_id", "ref", "sha", "event_name", "run_id"),
        *("run_attempt", "workflow_ref", "job_workflow_ref", "runner_environment"),
    }
)
"""What the token of a job of GitHub Actions says, as far as it is attested."""


def build_statement(
    bottle: BottleFileName,
    digest: Digest,
    record: BuildRecord,
    job: BuildJob,
    identical: Sequence[tuple[BuildRecord, BuildJob]] = (),
) -> dict[str, Any]:
    """Return the Statement that a bottle was built as its record says, by the job that GitHub knows.

    For an `all` bottle, `record` and `job` are of one of the bottles that it was made of, and `identical`
    are those of all of them. What both GitHub and the record say is taken from GitHub.
    """
    recorded, run = record.run, job.run
    repository = _repository(record, job)
    build = BottleBuild(
        build_definition=BuildDefinition(
            build_type=BUILD_TYPE,
            external_parameters=ExternalParameters(
                tap=record.tap.name,
                formula=bottle.formula,
                tag=bottle.tag,
                rebuild=bottle.rebuild,
                ref=recorded.ref,
            ),
            internal_parameters=InternalParameters(
                runner=_runner(record.runner, job),
                github=GitHub(
                    repository_id=run.repository.id,
                    repository_owner_id=run.repository.owner_id,
                    event_name=run.event,
                    job_id=job.job.id,
                    head_sha=run.head_sha,
                ),
                identical_bottles=tuple(_identical(*one) for one in identical),
            ),
            resolved_dependencies=tuple(_dependencies(record, repository)),
        ),
        run_details=RunDetails(
            builder=Builder(id=f"{repository}/{run.path}@{recorded.ref}"),
            metadata=Metadata(
                invocation_id=_invocation(record, job),
                started_on=job.job.started_at,
                finished_on=job.job.finished_at,
            ),
            byproducts=(
                ResourceDescriptor(
                    name=record.bottle.json_file, digest={"sha256": record.bottle.json_sha256}
                ),
            ),
        ),
    )
    return _statement([(str(bottle), digest.value)], build.to_json())


def plain_statement(
    subjects: Sequence[tuple[str, str]], claims: Mapping[str, str], server: str
) -> dict[str, Any]:
    """Return the Statement that `actions/attest` makes of the job whose OIDC token has these claims.

    `subjects` are names with their sha256. Raises BuildSideError for a claim that is missing. Source:
    actions/toolkit, `packages/attest/src/provenance.ts`.
    """
    if missing := sorted(_CLAIMS - claims.keys()):
        cause = f"it does not say {', '.join(missing)}, as those of GitHub Actions do"
        raise BuildSideError("the identity token", cause, "attest in a job of GitHub Actions")
    repository = f"{server}/{claims['repository']}"
    path = claims["workflow_ref"].removeprefix(f"{claims['repository']}/").partition("@")[0]
    attempt = f"runs/{claims['run_id']}/attempts/{claims['run_attempt']}"
    predicate = {
        "buildDefinition": {
            "buildType": ACTIONS_BUILD,
            "externalParameters": {
                "workflow": {"ref": claims["ref"], "repository": repository, "path": path}
            },
            "internalParameters": {
                "github": {
                    name: claims[name]
                    for name in ("event_name", "repository_id", "repository_owner_id", "runner_environment")
                }
            },
            "resolvedDependencies": [
                {"uri": f"git+{repository}@{claims['ref']}", "digest": {"gitCommit": claims["sha"]}}
            ],
        },
        "runDetails": {
            "builder": {"id": f"{server}/{claims['job_workflow_ref']}"},
            "metadata": {"invocationId": f"{repository}/actions/{attempt}"},
        },
    }
    return _statement(subjects, predicate)


def _statement(subjects: Sequence[tuple[str, str]], predicate: dict[str, Any]) -> dict[str, Any]:
    return {
        "_type": STATEMENT_V1,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects],
        "predicateType": PROVENANCE_V1,
        "predicate": predicate,
    }


def _dependencies(record: BuildRecord, repository: str) -> Sequence[ResourceDescriptor]:
    tap, formula, brew = record.tap, record.formula, record.brew
    uri = f"git+{repository}@{record.run.ref}"
    found = [
        ResourceDescriptor(name=TAP, uri=uri, digest={"gitCommit": tap.commit}),
        ResourceDescriptor(
            name=FORMULA,
            uri=f"{uri}#{formula.path}",
            digest={"gitBlob": formula.blob, "sha256": formula.sha256},
            annotations={
                PATH: formula.path,
                WITHOUT_BOTTLE_BLOCK: formula.sha256_without_bottle_block,
            },
        ),
    ]
    if brew.commit is not None:
        at = f"@refs/tags/{brew.version}" if brew.version and _RELEASE.fullmatch(brew.version) else ""
        found.append(
            ResourceDescriptor(name=BREW, uri=f"{_BREW_REPOSITORY}{at}", digest={"gitCommit": brew.commit})
        )
    if (source := formula.source) is not None and (source.sha256 or source.commit):
        digest = {"sha256": source.sha256} if source.sha256 else {"gitCommit": source.commit or ""}
        git = "" if source.sha256 else "git+"
        found.append(ResourceDescriptor(name=SOURCE, uri=f"{git}{source.url}", digest=digest))
    return found


def _runner(runner: RecordedRunner, job: BuildJob) -> Runner:
    image = None
    if runner.image_os and runner.image_version:
        image = Image(os=runner.image_os, version=runner.image_version)
    return Runner(
        name=runner.name,
        os=runner.os,
        arch=runner.arch,
        environment=runner.environment,
        labels=job.job.labels,
        image=image,
    )


def _identical(record: BuildRecord, job: BuildJob) -> IdenticalBottle:
    return IdenticalBottle(
        name=record.bottle.file,
        invocation_id=_invocation(record, job),
        runner=_runner(record.runner, job),
    )


def _repository(record: BuildRecord, job: BuildJob) -> str:
    return f"{record.run.server}/{job.run.repository.full_name}"


def _invocation(record: BuildRecord, job: BuildJob) -> str:
    return f"{_repository(record, job)}/actions/runs/{job.run.id}/attempts/{job.run.attempt}"
