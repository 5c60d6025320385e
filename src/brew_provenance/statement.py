"""in-toto Statements and the SLSA provenance that GitHub Actions signs, as the signer wrote them.

The signing job controls every value here. Sources: in-toto attestation `spec/v1/statement.md`,
SLSA provenance v1, https://actions.github.io/buildtypes/workflow/v1 and its community twin.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from brew_provenance.bottle import Digest, is_hex_digest
from brew_provenance.findings import Finding

STATEMENT_V1: Final = "https://in-toto.io/Statement/v1"
"""The one statement type that is read."""

PROVENANCE_V1: Final = "https://slsa.dev/provenance/v1"
"""The predicate type of build provenance."""

ACTIONS_BUILD: Final = "https://actions.github.io/buildtypes/workflow/v1"
"""GitHub's build type, in attestations since the summer of 2024."""

COMMUNITY_BUILD: Final = "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"
"""The community's build type, in GitHub's attestations before that, and in npm's to this day."""

BOTTLE_BUILD: Final = (
    "https://github.com/brew-provenance/brew-provenance/tree/main/src/brew_provenance/buildtypes/bottle/v1"
)
"""Our own build type: one bottle, the formula commit it was built from and the runner that built it."""

MAX_SUBJECTS: Final = 1024
"""What GitHub attests at once (actions/attest, README)."""

_ALGORITHMS = ("sha256", "sha512")


class _Model(BaseModel):
    # in-toto's parsing rules: a consumer ignores fields that it does not know. Built when first used,
    # so that a model within another is not built twice while a command starts.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Subject(_Model):
    """One thing that a statement is about."""

    name: StrictStr = ""
    digest: dict[StrictStr, StrictStr]

    def known_digests(self) -> list[Digest]:
        """Return the digests of algorithms that count. Raises ValueError when one is malformed."""
        return [Digest(name, self.digest[name]) for name in _ALGORITHMS if name in self.digest]


class Statement(_Model):
    """An in-toto Statement v1."""

    subject: list[Subject]
    predicate_type: Annotated[StrictStr, Field(alias="predicateType")]
    predicate: dict[str, Any] = Field(default_factory=dict)


class Workflow(BaseModel):
    """`externalParameters.workflow` of both build types."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    ref: StrictStr
    repository: StrictStr
    path: StrictStr


class GitHubParameters(_Model):
    """`internalParameters.github` of both build types; the early ones lack some."""

    event_name: StrictStr | None = None
    repository_id: StrictStr | None = None
    repository_owner_id: StrictStr | None = None
    runner_environment: StrictStr | None = None


class InternalParameters(_Model):
    """`internalParameters` of both build types."""

    github: GitHubParameters = Field(default_factory=GitHubParameters)


class Dependency(_Model):
    """One `resolvedDependencies` entry."""

    uri: StrictStr | None = None
    digest: dict[StrictStr, StrictStr] = Field(default_factory=dict)


class BuildDefinition(_Model):
    """`buildDefinition` of SLSA provenance v1."""

    build_type: Annotated[StrictStr, Field(alias="buildType")]
    external_parameters: Annotated[dict[str, Any], Field(alias="externalParameters")]
    internal_parameters: Annotated[InternalParameters, Field(alias="internalParameters")] = Field(
        default_factory=InternalParameters
    )
    resolved_dependencies: Annotated[list[Dependency], Field(alias="resolvedDependencies")] = Field(
        default_factory=list
    )


class Builder(_Model):
    """`runDetails.builder`."""

    id: StrictStr


class Metadata(_Model):
    """`runDetails.metadata`."""

    invocation_id: Annotated[StrictStr | None, Field(alias="invocationId")] = None


class RunDetails(_Model):
    """`runDetails` of SLSA provenance v1."""

    builder: Builder
    metadata: Metadata = Field(default_factory=Metadata)


class Provenance(_Model):
    """A SLSA provenance v1 predicate of one of the two GitHub Actions build types."""

    build_definition: Annotated[BuildDefinition, Field(alias="buildDefinition")]
    run_details: Annotated[RunDetails, Field(alias="runDetails")]


def predicate_type_of(document: object) -> str | None:
    """Return the predicate type that a payload claims, for sorting it before it is verified."""
    if isinstance(document, dict) and isinstance(claimed := document.get("predicateType"), str):
        return claimed
    return None


def build_type_of(statement: Statement) -> str | None:
    """Return the build type that a predicate claims, where it claims one at all."""
    definition = statement.predicate.get("buildDefinition")
    if isinstance(definition, dict) and isinstance(claimed := definition.get("buildType"), str):
        return claimed
    return None


def read_statement(document: object) -> Statement | Finding:
    """Read a parsed payload as a Statement, or say what is wrong with it."""
    if not isinstance(document, dict):
        return Finding("statement-malformed", "the payload is not a JSON object")
    if document.get("_type") != STATEMENT_V1:
        return Finding("statement-type-unexpected", f"_type is {document.get('_type')!r}")
    try:
        statement = Statement.model_validate(document)
    except ValidationError as error:
        return Finding("statement-malformed", summarise(error))
    if not statement.subject:
        return Finding("statement-without-subject", "the list of subjects is empty")
    if len(statement.subject) > MAX_SUBJECTS:
        return Finding(
            "statement-subjects-too-many",
            f"{len(statement.subject)} subjects, at most {MAX_SUBJECTS}",
        )
    return _check_digests(statement)


def _check_digests(statement: Statement) -> Statement | Finding:
    by_name: dict[str, dict[str, str]] = {}
    for subject in statement.subject:
        for algorithm in _ALGORITHMS:
            value = subject.digest.get(algorithm)
            if value is not None and not is_hex_digest(algorithm, value):
                return Finding(
                    "subject-digest-malformed",
                    f"the {algorithm} digest of subject {subject.name!r} is {value!r}",
                )
        known = by_name.setdefault(subject.name, {})
        for algorithm, value in subject.digest.items():
            if subject.name and known.setdefault(algorithm, value) != value:
                return Finding("subject-ambiguous", f"subject {subject.name!r} stands there with two digests")
    return statement


def summarise(error: ValidationError) -> str:
    """Say in one line where a document first departs from its model, without quoting it."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
