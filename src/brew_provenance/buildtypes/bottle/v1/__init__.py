"""Version 1 of the build type: a predicate as values, read from a statement and written into one.

The build job recorded most of this, and the publishing job signed it: both are believed only as far as
the policy trusts the workflow that signed. `README.md` beside this file is the specification.
Source of the frame: SLSA provenance v1, https://slsa.dev/spec/v1.1/provenance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel

from brew_provenance.bottle import BottleTag, is_hex_digest
from brew_provenance.statement import BOTTLE_BUILD

BUILD_TYPE: Final = BOTTLE_BUILD
"""The value of `buildType`, where the specification is found as well."""

TAP: Final = "tap"
"""Name of the dependency that is the tap's repository, by its `gitCommit`."""

FORMULA: Final = "formula"
"""Name of the dependency that is the formula's file, by its `gitBlob` and `sha256`."""

BREW: Final = "brew"
"""Name of the dependency that is brew itself, by its `gitCommit`."""

SOURCE: Final = "source"
"""Name of the dependency that is the formula's stable source, by its `sha256` or `gitCommit`."""

PATH: Final = "path"
"""Annotation of `FORMULA`: its file in the tap."""

WITHOUT_BOTTLE_BLOCK: Final = "sha256WithoutBottleBlock"
"""Annotation of `FORMULA`: digest of the file without its bottle block, as brew packs it."""

_MAX_DEPENDENCIES = 64
_HEX: Final = {"gitCommit": (40, 64), "gitBlob": (40, 64), "sha256": (64,)}
_LOWER_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def _check_digests(digests: dict[str, str]) -> dict[str, str]:
    """Refuse digests in another case, length or alphabet; algorithms that are not known pass."""
    for algorithm, value in digests.items():
        lengths = _HEX.get(algorithm)
        if lengths and (len(value) not in lengths or _LOWER_HEX.fullmatch(value) is None):
            raise ValueError(f"not a {algorithm} in lower-case hexadecimal")
    return digests


def _check_tag(value: str) -> str:
    BottleTag.parse(value)
    return value


def _check_time(value: object) -> object:
    """Refuse what stands for a time in some parsers only, such as a number of seconds."""
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        return value
    raise ValueError("not a time with its offset (RFC 3339)")


_TapName = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9_-]+/[a-z0-9_][a-z0-9_.-]*$")]
_FormulaName = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_@+.-]*$")]
_Tag = Annotated[StrictStr, AfterValidator(_check_tag)]
_Ref = Annotated[str, StringConstraints(strict=True, pattern=r"^refs/(?:heads|tags|pull)/[!-~]+$")]
_Number = Annotated[str, StringConstraints(strict=True, pattern=r"^[1-9][0-9]{0,19}$")]
_Commit = Annotated[str, StringConstraints(strict=True, pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]
_Time = Annotated[AwareDatetime, BeforeValidator(_check_time)]
Digests = Annotated[dict[StrictStr, StrictStr], Field(min_length=1), AfterValidator(_check_digests)]


class _Model(BaseModel):
    # in-toto's parsing rules: a consumer ignores fields that it does not know.
    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        defer_build=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class ExternalParameters(_Model):
    """What was asked to be built. Nothing else may stand here: it could change what was built."""

    model_config = ConfigDict(extra="forbid")

    tap: _TapName
    """`user/repo`, in lower case."""

    formula: _FormulaName
    """The formula's short name."""

    tag: _Tag
    """The bottle's tag, as its file name has it."""

    rebuild: Annotated[StrictInt, Field(ge=0)]

    ref: _Ref
    """The tap's ref that was built, in full: `refs/pull/123/merge`."""


class Image(_Model):
    """What a hosted runner was made from."""

    os: StrictStr
    """`ubuntu24`."""

    version: StrictStr
    """`20260301.1.0`."""


class Runner(_Model):
    """The machine that built the bottle."""

    name: StrictStr
    os: StrictStr
    """`Linux`, `macOS`."""

    arch: StrictStr
    """`X64`, `ARM64`."""

    environment: Literal["github-hosted", "self-hosted"]
    labels: tuple[StrictStr, ...] = ()
    """What the job asked for, as the Actions API says."""

    image: Image | None = None
    """None where the runner names none: self-hosted ones do not."""


class GitHub(_Model):
    """The build run, in GitHub's own ids, which are never given away again. All are strings."""

    repository_id: Annotated[_Number, Field(alias="repository_id")]
    repository_owner_id: Annotated[_Number, Field(alias="repository_owner_id")]
    event_name: Annotated[StrictStr, Field(alias="event_name")]
    job_id: Annotated[_Number, Field(alias="job_id")]
    """The job within the run, which is also its check run."""

    head_sha: Annotated[_Commit, Field(alias="head_sha")]
    """The commit that the run was started for; for a pull request its head, not the merge commit."""


class IdenticalBottle(_Model):
    """Another bottle with the same bytes, of which `brew bottle --merge` made one `all` bottle."""

    name: StrictStr
    """Its file name."""

    invocation_id: StrictStr
    runner: Runner


class InternalParameters(_Model):
    """Who built it, as the runner recorded and the Actions API confirmed."""

    runner: Runner
    github: GitHub
    identical_bottles: tuple[IdenticalBottle, ...] = ()


class ResourceDescriptor(_Model):
    """Something that went in or came out (in-toto attestation, `spec/v1/resource_descriptor.md`)."""

    name: StrictStr
    uri: StrictStr | None = None
    digest: Digests
    annotations: dict[StrictStr, Any] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if value != {}}


class BuildDefinition(_Model):
    """`buildDefinition`."""

    build_type: StrictStr
    external_parameters: ExternalParameters
    internal_parameters: InternalParameters
    resolved_dependencies: Annotated[tuple[ResourceDescriptor, ...], Field(max_length=_MAX_DEPENDENCIES)]
    """Those of `TAP` and `FORMULA` are there once each; `BREW` and `SOURCE` where they are known."""


class Builder(_Model):
    """`runDetails.builder`."""

    id: StrictStr
    """The workflow that built, `https://github.com/OWNER/REPO/.github/workflows/FILE@REF`."""


class Metadata(_Model):
    """`runDetails.metadata`."""

    invocation_id: StrictStr
    """The attempt of the build run: `https://github.com/OWNER/REPO/actions/runs/ID/attempts/N`."""

    started_on: _Time | None = None
    """When the build job began."""

    finished_on: _Time | None = None
    """When it ended; None where it was still running."""


class RunDetails(_Model):
    """`runDetails`."""

    builder: Builder
    metadata: Metadata
    byproducts: Annotated[tuple[ResourceDescriptor, ...], Field(max_length=_MAX_DEPENDENCIES)] = ()
    """The `*.bottle.json` that brew wrote beside the bottle."""


class BottleBuild(_Model):
    """A predicate of this build type.

    Raises pydantic's ValidationError when it is read from something else.
    """

    build_definition: BuildDefinition
    run_details: RunDetails

    @model_validator(mode="after")
    def _check_dependencies(self) -> Self:
        if self.build_definition.build_type != BUILD_TYPE:
            raise ValueError("another build type")
        names = [item.name for item in self.build_definition.resolved_dependencies]
        for name in (BREW, SOURCE):
            if names.count(name) > 1:
                raise ValueError(f"resolvedDependencies name more than one {name}")
        for name, algorithm in ((TAP, "gitCommit"), (FORMULA, "sha256")):
            if names.count(name) != 1 or algorithm not in self.dependency(name).digest:
                raise ValueError(f"resolvedDependencies do not name one {name} by its {algorithm}")
        match self.dependency(FORMULA).annotations:
            case {"path": str(), "sha256WithoutBottleBlock": str(stripped)} if is_hex_digest(
                "sha256", stripped
            ):
                return self
        raise ValueError(f"the formula is not annotated with its {PATH} and {WITHOUT_BOTTLE_BLOCK}")

    @classmethod
    def from_json(cls, predicate: Mapping[str, Any]) -> Self:
        """Read a predicate as it stands in a statement. Raises pydantic's ValidationError."""
        # By the names of the specification alone: other readers know no others.
        return cls.model_validate(predicate, by_alias=True, by_name=False)

    def dependency(self, name: str) -> ResourceDescriptor:
        """Return the one dependency of this name. Raises KeyError where there is none."""
        for item in self.build_definition.resolved_dependencies:
            if item.name == name:
                return item
        raise KeyError(name)

    @property
    def formula_commit(self) -> str:
        """The tap's commit that was built, in hexadecimal."""
        return self.dependency(TAP).digest["gitCommit"]

    @property
    def formula_path(self) -> str:
        """The formula's file in the tap."""
        return str(self.dependency(FORMULA).annotations[PATH])

    @property
    def formula_sha256(self) -> str:
        """Digest of the formula's file at that commit."""
        return self.dependency(FORMULA).digest["sha256"]

    @property
    def packed_formula_sha256(self) -> str:
        """Digest of that file without its bottle block: of what brew packs into the bottle."""
        return str(self.dependency(FORMULA).annotations[WITHOUT_BOTTLE_BLOCK])

    @property
    def parameters(self) -> ExternalParameters:
        """What was asked to be built."""
        return self.build_definition.external_parameters

    @property
    def runner(self) -> Runner:
        """The machine that built the bottle."""
        return self.build_definition.internal_parameters.runner

    @property
    def github(self) -> GitHub:
        """The build run in GitHub's ids."""
        return self.build_definition.internal_parameters.github

    @property
    def identical_bottles(self) -> tuple[IdenticalBottle, ...]:
        """Those of which an `all` bottle was made."""
        return self.build_definition.internal_parameters.identical_bottles

    @property
    def builder(self) -> str:
        """The workflow that built, as it is written."""
        return self.run_details.builder.id

    @property
    def invocation(self) -> str:
        """The attempt of the build run, as it is written."""
        return self.run_details.metadata.invocation_id

    def to_json(self) -> dict[str, Any]:
        """Return the predicate as it stands in a statement; what is not known is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
