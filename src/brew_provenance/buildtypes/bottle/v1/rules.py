"""What a bottle's build may say, held against its statement and against the certificate.

The certificate is the publishing job's. The CI provider's token dictated it, and it names the tap's
repository, but not the run that built the bottle. So what is of the repository has to agree with the
certificate, and all of it with what only a certificate can say where the build and the publishing job
are of one run. What nothing else speaks of is the publishing workflow's word: `FIELDS` says which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from pydantic import ValidationError

from brew_provenance.bottle import ALL_TAG, BottleFileName, BottleTag
from brew_provenance.buildtypes.bottle.v1 import (
    BREW,
    FORMULA,
    SOURCE,
    TAP,
    BottleBuild,
    IdenticalBottle,
    Runner,
)
from brew_provenance.certificate import ClaimError, Claims, WorkflowIdentity
from brew_provenance.findings import Finding
from brew_provenance.statement import Statement, summarise

CLOCKS: Final = timedelta(minutes=5)
"""How far the clocks of the Actions API and of the log may be apart."""

SELF_HOSTED_LABEL: Final = "self-hosted"
"""The label that GitHub gives to self-hosted runners, and to no other."""

_ATTEMPT = re.compile(
    r"/actions/runs/(?P<run>[1-9][0-9]{0,19})/attempts/(?P<attempt>[1-9][0-9]{0,5})", re.ASCII
)
_PATH_PART = re.compile(r"[A-Za-z0-9_@+.-]+", re.ASCII)
_PULL = "refs/pull/"
# Events that start a run for the very commit that its token names.
_OF_ONE_COMMIT: Final = frozenset({"push", "schedule", "workflow_dispatch"})


class Origin(Enum):
    """Who vouches for a field of the predicate, besides the signature over all of it."""

    CERTIFICATE = "certificate"
    """The certificate speaks of it as well, and has to agree."""

    STATEMENT = "statement"
    """Another part of the statement, or the bottle that is asked about, has to agree."""

    FORMULA = "formula"
    """The tap's repository or description, or the formula in the bottle, has to agree where it is at hand."""

    PUBLISHER = "build record"
    """The build job recorded it, and the publishing workflow corroborated it; nothing else speaks of it."""


@dataclass(frozen=True)
class Field:
    """What is known of one field."""

    origin: Origin
    rule: str
    """What has to hold, in words that complete "it"."""


_RUNNER: Final = {
    "name": Field(Origin.PUBLISHER, "is what the Actions API calls the job's runner"),
    "os": Field(Origin.STATEMENT, "is the system that the bottle's tag names"),
    "arch": Field(Origin.PUBLISHER, "is what the runner recorded"),
    "environment": Field(Origin.STATEMENT, "is one that the policy and the labels allow"),
    "labels[]": Field(Origin.STATEMENT, "is self-hosted only where the environment is"),
    "image.os": Field(Origin.PUBLISHER, "is what the runner recorded"),
    "image.version": Field(Origin.PUBLISHER, "is what the runner recorded"),
}
_DEPENDENCY: Final = "buildDefinition.resolvedDependencies[%s]"
_INTERNAL: Final = "buildDefinition.internalParameters"

FIELDS: Final[Mapping[str, Field]] = {
    "buildDefinition.buildType": Field(Origin.STATEMENT, "is this build type, which the policy allows"),
    "buildDefinition.externalParameters.tap": Field(Origin.STATEMENT, "is the tap that is asked about"),
    "buildDefinition.externalParameters.formula": Field(Origin.STATEMENT, "is the formula of the subject"),
    "buildDefinition.externalParameters.tag": Field(Origin.STATEMENT, "is the tag of the subject"),
    "buildDefinition.externalParameters.rebuild": Field(Origin.STATEMENT, "is the rebuild of the subject"),
    "buildDefinition.externalParameters.ref": Field(
        Origin.STATEMENT, "is the ref of the tap's dependency; of the certificate (.14) in one run"
    ),
    **{f"{_INTERNAL}.runner.{name}": field for name, field in _RUNNER.items()},
    f"{_INTERNAL}.github.repository_id": Field(Origin.CERTIFICATE, "is the source repository's (.15)"),
    f"{_INTERNAL}.github.repository_owner_id": Field(Origin.CERTIFICATE, "is the owner's (.17)"),
    f"{_INTERNAL}.github.event_name": Field(
        Origin.PUBLISHER, "is a pull request's for its ref; the certificate's (.20) in one run"
    ),
    f"{_INTERNAL}.github.job_id": Field(Origin.PUBLISHER, "is what the Actions API calls the job"),
    f"{_INTERNAL}.github.head_sha": Field(
        Origin.PUBLISHER, "is the run's head in the Actions API; the certificate's (.13) in one run"
    ),
    f"{_INTERNAL}.identicalBottles[].name": Field(
        Origin.STATEMENT, "is another bottle of the same formula, version and rebuild"
    ),
    f"{_INTERNAL}.identicalBottles[].invocationId": Field(
        Origin.CERTIFICATE, "is an attempt of a run of the source repository (.12)"
    ),
    **{f"{_INTERNAL}.identicalBottles[].runner.{name}": field for name, field in _RUNNER.items()},
    f"{_DEPENDENCY % TAP}.name": Field(Origin.STATEMENT, "stands there once"),
    f"{_DEPENDENCY % TAP}.uri": Field(Origin.CERTIFICATE, "is the source repository (.12) at the ref"),
    f"{_DEPENDENCY % TAP}.digest.gitCommit": Field(
        Origin.FORMULA, "holds the formula's file, where the tap's repository is at hand"
    ),
    f"{_DEPENDENCY % FORMULA}.name": Field(Origin.STATEMENT, "stands there once"),
    f"{_DEPENDENCY % FORMULA}.uri": Field(Origin.CERTIFICATE, "is the tap's, where it is there"),
    f"{_DEPENDENCY % FORMULA}.digest.gitBlob": Field(
        Origin.FORMULA, "is that of the file, where the tap's repository is at hand"
    ),
    f"{_DEPENDENCY % FORMULA}.digest.sha256": Field(
        Origin.FORMULA, "is that of the file, where the tap's repository is at hand"
    ),
    f"{_DEPENDENCY % FORMULA}.annotations.path": Field(
        Origin.STATEMENT, "is a path inside the tap, to a file that is called as the formula"
    ),
    f"{_DEPENDENCY % FORMULA}.annotations.sha256WithoutBottleBlock": Field(
        Origin.FORMULA, "is that of the formula in the bottle, or of the tap's without its bottle block"
    ),
    f"{_DEPENDENCY % BREW}.name": Field(Origin.STATEMENT, "stands there once at most"),
    f"{_DEPENDENCY % BREW}.uri": Field(Origin.PUBLISHER, "is what the build job recorded"),
    f"{_DEPENDENCY % BREW}.digest.gitCommit": Field(Origin.PUBLISHER, "is what the build job recorded"),
    f"{_DEPENDENCY % SOURCE}.name": Field(Origin.STATEMENT, "stands there once at most"),
    f"{_DEPENDENCY % SOURCE}.uri": Field(Origin.PUBLISHER, "is where the formula had it from"),
    f"{_DEPENDENCY % SOURCE}.digest.sha256": Field(Origin.FORMULA, "is that of the formula's source"),
    f"{_DEPENDENCY % SOURCE}.digest.gitCommit": Field(Origin.FORMULA, "is that of the formula's source"),
    "runDetails.builder.id": Field(
        Origin.STATEMENT, "is a workflow at a ref, of the source repository or one that the policy lists"
    ),
    "runDetails.metadata.invocationId": Field(
        Origin.CERTIFICATE, "is an attempt of a run of the source repository (.12)"
    ),
    "runDetails.metadata.startedOn": Field(Origin.STATEMENT, "is before the end, and before the signing"),
    "runDetails.metadata.finishedOn": Field(Origin.STATEMENT, "is before the signing"),
    "runDetails.byproducts[].name": Field(Origin.PUBLISHER, "is the file that brew wrote beside the bottle"),
    "runDetails.byproducts[].digest.sha256": Field(
        Origin.PUBLISHER, "is that of the file that was published with"
    ),
}
"""What is known of each field, by its path. A list's entry is named in brackets, or is any of them."""


def read_build(statement: Statement) -> BottleBuild | Finding:
    """Read a predicate of this build type, or say what is wrong with it."""
    try:
        return BottleBuild.from_json(statement.predicate)
    except ValidationError as error:
        unknown = [
            str(problem["loc"][-1])
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
            if problem["type"] == "extra_forbidden"
        ]
        if unknown:
            return Finding("external-parameters-unknown", f"external parameters {', '.join(sorted(unknown))}")
        return Finding("predicate-malformed", summarise(error))


def check_build(
    build: BottleBuild, statement: Statement, claims: Claims, signed: datetime | None = None
) -> list[Finding]:
    """Return every disagreement of a build with its subject, with the certificate and with itself.

    `signed` is the earliest verified time; None where there is none to compare.
    """
    return [
        *_check_subject(build, statement),
        *_check_formula(build),
        *_check_repository(build, claims),
        *_check_runners(build),
        *_check_run(build, claims),
        *_check_times(build, signed),
    ]


def _check_subject(build: BottleBuild, statement: Statement) -> Iterator[Finding]:
    if len(statement.subject) != 1:
        yield Finding("build-subjects-many", f"{len(statement.subject)} subjects")
        return
    name, parameters = statement.subject[0].name, build.parameters
    try:
        bottle = BottleFileName.parse(name, parameters.formula)
    except ValueError:
        yield Finding("parameters-other-formula", f"{parameters.formula!r}, the subject is {name!r}")
        return
    if bottle.tag != parameters.tag:
        yield Finding("parameters-other-tag", f"{parameters.tag!r}, the subject is {name!r}")
    if bottle.rebuild != parameters.rebuild:
        yield Finding("parameters-other-rebuild", f"{parameters.rebuild}, the subject is {name!r}")
    yield from _check_identical(build, bottle)


def _check_identical(build: BottleBuild, bottle: BottleFileName) -> Iterator[Finding]:
    others = build.identical_bottles
    if others and bottle.tag != ALL_TAG:
        yield Finding("identical-bottles-mismatch", f"{bottle} is for one tag, and names {len(others)}")
        return
    tags = set[BottleTag]()
    for other in others:
        try:
            found = BottleFileName.parse(other.name, bottle.formula)
        except ValueError:
            found = None
        same = found and (found.version, found.rebuild) == (bottle.version, bottle.rebuild)
        if found is None or not same or found.tag == ALL_TAG:
            yield Finding("identical-bottles-mismatch", f"{other.name!r} beside {str(bottle)!r}")
            continue
        if (tag := BottleTag.parse(found.tag)) in tags:
            yield Finding("identical-bottles-mismatch", f"two bottles for {tag}")
        tags.add(tag)


def _check_repository(build: BottleBuild, claims: Claims) -> Iterator[Finding]:
    ids = build.github
    for code, what, written, certified in (
        ("predicate-repository-id-mismatch", "repository id", ids.repository_id, claims.source_repository_id),
        (
            "predicate-owner-id-mismatch",
            "owner id",
            ids.repository_owner_id,
            claims.source_repository_owner_id,
        ),
    ):
        if written != certified:
            yield _differs(code, what, written, certified)
    repository, tap = claims.source_repository_uri, build.dependency(TAP).uri
    wanted = f"git+{repository}@{build.parameters.ref}"
    if repository is None or tap is None or not tap.startswith(f"git+{repository}@"):
        yield _differs("predicate-source-mismatch", "tap", tap, repository)
    elif tap != wanted:
        yield Finding("predicate-ref-mismatch", f"the tap is {tap!r}, the ref {build.parameters.ref!r}")
    uri = build.dependency(FORMULA).uri
    if uri not in {None, tap, f"{tap}#{build.formula_path}"}:
        yield Finding("predicate-source-mismatch", f"the formula is of {uri!r}, the tap is {tap!r}")


def _check_formula(build: BottleBuild) -> Iterator[Finding]:
    path = build.formula_path
    parts = path.split("/")
    inside = all(_PATH_PART.fullmatch(part) and part not in {".", ".."} for part in parts)
    if not inside or parts[-1] != f"{build.parameters.formula}.rb":
        yield Finding("formula-path-unusable", f"{path!r} for {build.parameters.formula!r}")


def _check_runners(build: BottleBuild) -> Iterator[Finding]:
    yield from _check_runner(build.runner, build.parameters.tag)
    for other in build.identical_bottles:
        yield from _check_runner(other.runner, _tag_of(other, build))


def _tag_of(other: IdenticalBottle, build: BottleBuild) -> str:
    try:
        return BottleFileName.parse(other.name, build.parameters.formula).tag
    except ValueError:
        return ALL_TAG  # its name is found wrong elsewhere


def _check_runner(runner: Runner, tag: str) -> Iterator[Finding]:
    system = BottleTag.parse(tag).system
    wanted = "Linux" if system == "linux" else "macOS"
    # An `all` bottle is built anywhere. The architecture is not compared: brew runs translated as well.
    if system != ALL_TAG and runner.os != wanted:
        yield Finding("runner-other-system", f"a runner with {runner.os!r}, a bottle for {tag}")
    if SELF_HOSTED_LABEL in runner.labels and runner.environment != SELF_HOSTED_LABEL:
        yield Finding(
            "runner-labels-contradict", f"{runner.environment}, with labels {', '.join(runner.labels)}"
        )


def _check_run(build: BottleBuild, claims: Claims) -> Iterator[Finding]:
    try:
        WorkflowIdentity.parse(build.builder)
    except ClaimError:
        yield Finding("builder-malformed", f"built by {build.builder!r}")
    if build.parameters.ref.startswith(_PULL) and not build.github.event_name.startswith("pull_request"):
        detail = f"{build.github.event_name!r} for {build.parameters.ref}"
        yield Finding("predicate-event-mismatch", detail)
    for invocation in (build.invocation, *(other.invocation_id for other in build.identical_bottles)):
        if _attempt(invocation, claims.source_repository_uri) is None:
            where = f"{claims.source_repository_uri}/actions/runs/ID/attempts/N"
            yield _differs("predicate-invocation-mismatch", "run", invocation, where)
    built = _attempt(build.invocation, claims.source_repository_uri)
    published = _attempt(claims.run_invocation_uri or "", claims.source_repository_uri)
    if built and published and built["run"] == published["run"]:
        yield from _check_same_run(build, claims, int(built["attempt"]), int(published["attempt"]))


def _check_same_run(build: BottleBuild, claims: Claims, attempt: int, last: int) -> Iterator[Finding]:
    """Compare what the certificate says of the publishing run, where that is the build run as well."""
    github, ref = build.github, build.parameters.ref
    if attempt > last:
        yield _differs("predicate-invocation-mismatch", "attempt", str(attempt), str(last))
    if github.event_name != claims.build_trigger:
        yield _differs("predicate-event-mismatch", "event", github.event_name, claims.build_trigger)
    if ref != claims.source_repository_ref:
        yield _differs("predicate-ref-mismatch", "ref", ref, claims.source_repository_ref)
    if github.event_name in _OF_ONE_COMMIT and github.head_sha != claims.source_repository_digest:
        yield _differs("predicate-commit-mismatch", "head", github.head_sha, claims.source_repository_digest)


def _attempt(invocation: str, repository: str | None) -> re.Match[str] | None:
    """Read an attempt of a run of `repository`; None for any other text."""
    if repository is None or not invocation.startswith(repository):
        return None
    return _ATTEMPT.fullmatch(invocation, len(repository))


def _check_times(build: BottleBuild, signed: datetime | None) -> Iterator[Finding]:
    times = build.run_details.metadata
    started, finished = times.started_on, times.finished_on
    if started is not None and finished is not None and finished < started:
        yield Finding("build-times-contradict", f"ended {finished.isoformat()}, begun {started.isoformat()}")
        return
    last = finished or started
    if last is not None and signed is not None and last > signed + CLOCKS:
        yield Finding("build-times-contradict", f"built {last.isoformat()}, signed {signed.isoformat()}")


def _differs(code: str, what: str, written: str | None, certified: str | None) -> Finding:
    says = repr(certified) if certified is not None else "nothing"
    return Finding(code, f"the predicate's {what} is {written!r}, the certificate says {says}")
