"""Which signers may attest which tap's bottles, since when, and from which runners.

A policy is data: TOML in the format that `policies/README.md` describes. The signer of a bundle
controls nothing that is compared here: all of it comes from the verified certificate, whose claims
the CI provider's OIDC token dictated, and from verified time.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StrictInt,
    ValidationError,
)

from brew_provenance.certificate import ClaimError, Claims, WorkflowIdentity
from brew_provenance.errors import PolicyError
from brew_provenance.evidence import Evidence
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.findings import Finding
from brew_provenance.statement import ACTIONS_BUILD, BOTTLE_BUILD, COMMUNITY_BUILD, summarise
from brew_provenance.subject import SubjectNaming

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1 import BottleBuild

GITHUB_ACTIONS_ISSUER: Final = "https://token.actions.githubusercontent.com"
"""The OIDC issuer of GitHub Actions. Enterprises have their own below it: compare exactly."""

MAX_POLICY_BYTES: Final = 1024 * 1024
"""A policy file; real ones have a few hundred bytes."""

_GITHUB = "https://github.com/"
_ANY = "*"
_REPOSITORY = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9._-]+", re.ASCII)
_TAP = re.compile(r"[A-Za-z0-9_-]+/\w[\w.-]*", re.ASCII)
_WORKFLOW = re.compile(
    r"(?:(?:https://)?(?:github\.com/)?(?P<repository>[A-Za-z0-9_-]+/[A-Za-z0-9._-]+)/)?"
    r"(?P<path>\.github/workflows/[A-Za-z0-9._ +()-]+\.ya?ml)"
    r"(?:@(?P<ref>refs/(?:heads|tags|pull)/[!-~]+|[0-9a-f]{40}|[0-9a-f]{64}))?",
    re.ASCII,
)
_Runner = Literal["github-hosted", "self-hosted"]
_RUNNERS: Final[tuple[_Runner, ...]] = ("github-hosted", "self-hosted")
_BuildType = Literal["bottle-build", "github-workflow", "community-workflow"]
_BUILD_TYPES: Final[dict[_BuildType, str]] = {
    "bottle-build": BOTTLE_BUILD,
    "github-workflow": ACTIONS_BUILD,
    "community-workflow": COMMUNITY_BUILD,
}
_BUILDER = re.compile(
    r"(?:(?P<repository>[A-Za-z0-9_-]+/[A-Za-z0-9._-]+)/)?"
    r"(?P<path>\.github/workflows/[A-Za-z0-9._ +()-]+\.ya?ml)",
    re.ASCII,
)
_NEXT_STEP = "compare with src/brew_provenance/policies/README.md"


class Gives(Enum):
    """What a signer's attestation is worth calling."""

    BUILD_PROVENANCE = "build-provenance"
    """It describes the run that built or published the bottle."""

    NOTARISATION = "notarisation"
    """It says that the bottle existed, and was seen, at the verified time."""

    VERIFICATION_SUMMARY = "verification-summary"
    """Somebody else verified the bottle, and says so; no policy can ask for it."""


def _check_repository(value: str) -> str:
    if _REPOSITORY.fullmatch(value) is None:
        raise ValueError("not OWNER/REPO")
    return value


def _check_tap(value: str) -> str:
    if _TAP.fullmatch(value) is None:
        raise ValueError("not user/repo")
    return value.lower()


def _check_builder(value: str) -> str:
    if value != _ANY and _BUILDER.fullmatch(value) is None:
        raise ValueError("not [OWNER/REPO/].github/workflows/FILE")
    return value


def _check_gives(value: Gives) -> Gives:
    if value is Gives.VERIFICATION_SUMMARY:
        raise ValueError("a summary is accepted with --vsa-from alone")
    return value


_Repository = Annotated[str, AfterValidator(_check_repository)]
_Builder = Annotated[str, AfterValidator(_check_builder)]


class Signer(BaseModel):
    """One `[[signer]]`: an attestation has to satisfy all of it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        defer_build=True,
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
        validate_by_alias=True,
    )

    name: Annotated[str, Field(min_length=1)]
    source_repository: _Repository
    source_refs: Annotated[tuple[str, ...], Field(min_length=1)]
    signer_repository: _Repository | None = None
    workflows: Annotated[tuple[str, ...], Field(min_length=1)] = (_ANY,)
    signer_refs: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    issuer: Annotated[str, Field(min_length=1)] = GITHUB_ACTIONS_ISSUER
    source_repository_id: str | None = None
    source_owner_id: str | None = None
    runner_environments: Annotated[tuple[_Runner, ...], Field(min_length=1)] = _RUNNERS
    build_types: Annotated[tuple[_BuildType, ...], Field(min_length=1)] = tuple(_BUILD_TYPES)
    builders: Annotated[tuple[_Builder, ...], Field(min_length=1)] = (_ANY,)
    builder_environments: Annotated[tuple[_Runner, ...], Field(min_length=1)] = _RUNNERS
    valid_from: Annotated[AwareDatetime, Strict()] | None = None
    valid_until: Annotated[AwareDatetime, Strict()] | None = None
    gives: Annotated[Gives, AfterValidator(_check_gives)] = Gives.BUILD_PROVENANCE
    subject_naming: SubjectNaming = SubjectNaming.FILE_NAME

    def judge(self, evidence: Evidence) -> list[Finding]:
        """Return what keeps `evidence` from being this signer's; nothing means that it is."""
        claims = evidence.claims
        return [
            *self._judge_issuer(claims),
            *self._judge_workflow(claims),
            *self._judge_source(claims),
            *self._judge_runner(claims),
            *self._judge_times(evidence),
        ]

    def judge_build(self, build_type: str | None, build: BottleBuild | None) -> list[Finding]:
        """Return what keeps the build that an attestation describes from being one of this signer's.

        `build` is None for the build types that describe the publishing run alone. Those name no builder,
        and so do not satisfy a restriction of builders.
        """
        return [
            *self._judge_build_type(build_type),
            *self._judge_builder(build),
            *self._judge_builder_environment(build),
        ]

    def _judge_build_type(self, build_type: str | None) -> Iterator[Finding]:
        if build_type not in {_BUILD_TYPES[name] for name in self.build_types}:
            allowed = ", ".join(self.build_types)
            yield Finding("build-type-not-allowed", f"build type {build_type!r}, allowed: {allowed}")

    def _judge_builder(self, build: BottleBuild | None) -> Iterator[Finding]:
        allowed = ", ".join(self.builders)
        if build is None:
            if _ANY not in self.builders:
                yield Finding("builder-not-allowed", f"it names no builder, allowed: {allowed}")
            return
        try:
            builder = WorkflowIdentity.parse(build.builder)
        except ClaimError:
            yield Finding("builder-not-allowed", f"built by {build.builder!r}, allowed: {allowed}")
            return
        for text in self.builders:
            match = _BUILDER.fullmatch(text)
            repository = (match and match["repository"]) or self.source_repository
            if _same_repository(builder.repository_uri, f"{_GITHUB}{repository}") and (
                match is None or match["path"] == builder.path
            ):
                return
        yield Finding(
            "builder-not-allowed",
            f"built by {builder.repository_uri}/{builder.path}, allowed: {allowed}",
        )

    def _judge_builder_environment(self, build: BottleBuild | None) -> Iterator[Finding]:
        allowed = ", ".join(self.builder_environments)
        if build is None:
            if set(_RUNNERS) - set(self.builder_environments):
                yield Finding("builder-environment-not-allowed", f"it names no builder, allowed: {allowed}")
            return
        runners = (build.runner, *(other.runner for other in build.identical_bottles))
        for environment in dict.fromkeys(runner.environment for runner in runners):
            if environment not in self.builder_environments:
                yield Finding("builder-environment-not-allowed", f"{environment}, allowed: {allowed}")

    def _judge_issuer(self, claims: Claims) -> Iterator[Finding]:
        if claims.issuer is None:
            yield Finding("certificate-claim-missing", "the certificate names no issuer (.8)")
        elif claims.issuer != self.issuer:
            yield Finding("issuer-not-allowed", f"{claims.issuer!r} instead of {self.issuer!r}")

    def _judge_workflow(self, claims: Claims) -> Iterator[Finding]:
        # The SAN and .9 are one value (compared before): the workflow that held the token.
        try:
            signer = WorkflowIdentity.parse(claims.identity or "")
        except ClaimError:
            yield Finding("signer-identity-malformed", f"signed by {claims.identity!r}")
            return
        repository = f"{_GITHUB}{self.signer_repository or self.source_repository}"
        if not _same_repository(signer.repository_uri, repository):
            yield Finding(
                "signer-repository-not-allowed",
                f"signed by {signer.repository_uri}, not by {repository}",
            )
            return
        if not _allows(self.workflows, signer.path):
            yield Finding(
                "signer-workflow-not-allowed",
                f"{signer.path}, allowed: {', '.join(self.workflows)}",
            )
        refs = self.signer_refs or self.source_refs
        if not _allows(refs, signer.ref):
            yield Finding("signer-ref-not-allowed", f"{signer.ref}, allowed: {', '.join(refs)}")

    def _judge_source(self, claims: Claims) -> Iterator[Finding]:
        repository = f"{_GITHUB}{self.source_repository}"
        if claims.source_repository_uri is None:
            yield Finding("certificate-claim-missing", "the certificate names no source repository (.12)")
        elif not _same_repository(claims.source_repository_uri, repository):
            yield Finding(
                "source-repository-not-allowed",
                f"{claims.source_repository_uri} instead of {repository}",
            )
            return
        yield from _pinned(
            "source-repository-id-not-allowed",
            self.source_repository_id,
            claims.source_repository_id,
        )
        yield from _pinned(
            "source-owner-id-not-allowed", self.source_owner_id, claims.source_repository_owner_id
        )
        if claims.source_repository_ref is None:
            yield Finding("certificate-claim-missing", "the certificate names no source ref (.14)")
        elif not _allows(self.source_refs, claims.source_repository_ref):
            yield Finding(
                "source-ref-not-allowed",
                f"{claims.source_repository_ref}, allowed: {', '.join(self.source_refs)}",
            )

    def _judge_runner(self, claims: Claims) -> Iterator[Finding]:
        if claims.runner_environment is None:
            yield Finding("certificate-claim-missing", "the certificate names no runner environment (.11)")
        elif claims.runner_environment not in self.runner_environments:
            yield Finding(
                "runner-environment-not-allowed",
                f"{claims.runner_environment}, allowed: {', '.join(self.runner_environments)}",
            )

    def _judge_times(self, evidence: Evidence) -> Iterator[Finding]:
        # All verified times count, so that adding one can never widen what is allowed.
        times = [verified.time for verified in evidence.times]
        if self.valid_from is not None and min(times) < self.valid_from:
            yield Finding("signed-too-early", f"{_iso(min(times))}, trusted from {_iso(self.valid_from)} on")
        if self.valid_until is not None and max(times) > self.valid_until:
            yield Finding("signed-too-late", f"{_iso(max(times))}, trusted until {_iso(self.valid_until)}")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    schema_: Annotated[StrictInt, Field(alias="schema", ge=1, le=1)]
    name: Annotated[str, Field(min_length=1)]
    tap: Annotated[str, AfterValidator(_check_tap)]
    signer: Annotated[tuple[Signer, ...], Field(min_length=1)]


class PolicyOrigin(Enum):
    """Where a policy comes from, and so whether a verdict has to name it."""

    BUILT_IN = "built-in"
    """Shipped with brew-provenance."""

    DERIVED = "derived"
    """Made from the tap's name, by the one rule for taps without a policy."""

    OPTIONS = "options"
    """Made from command-line options."""

    FILE = "file"
    """Read from a file that the user named."""


@dataclass(frozen=True)
class Policy:
    """Signers, any one of which may attest."""

    name: str
    """How a verdict calls it."""

    origin: PolicyOrigin
    """Where it comes from."""

    signers: tuple[Signer, ...]
    """At least one."""

    tap: str | None = None
    """The tap that it speaks for, `user/repo`; None when it was made from options."""

    def __post_init__(self) -> None:
        if not self.signers:
            raise ValueError("a policy names at least one signer")

    @property
    def source_repositories(self) -> tuple[str, ...]:
        """The repositories whose attestations can satisfy it, `OWNER/REPO`, in the order of the signers."""
        return tuple(dict.fromkeys(signer.source_repository for signer in self.signers))

    @property
    def sha256(self) -> str:
        """Digest of what the policy says, whatever the layout of its file."""
        canonical = "\n".join(signer.model_dump_json(by_alias=True) for signer in self.signers)
        return hashlib.sha256(f"{self.tap}\n{canonical}".encode()).hexdigest()

    def judge(self, evidence: Evidence) -> Signer | list[Finding]:
        """Return the signer that `evidence` satisfies in full, or what keeps it from the nearest."""
        if different := evidence.claims.disagreements():
            return [
                Finding(
                    "certificate-claims-disagree",
                    f"{left} is {evidence.claims.value(left)!r}, {right} is {evidence.claims.value(right)!r}",
                )
                for left, right in different
            ]
        return self._nearest(signer.judge(evidence) for signer in self.signers)

    def judge_build(
        self, evidence: Evidence, build_type: str | None, build: BottleBuild | None
    ) -> Signer | list[Finding]:
        """Return the signer that evidence and predicate satisfy in full, or what keeps them from the nearest.

        `evidence` has to satisfy one by itself.
        """
        return self._nearest(
            signer.judge(evidence) or signer.judge_build(build_type, build) for signer in self.signers
        )

    def _nearest(self, judged: Iterable[list[Finding]]) -> Signer | list[Finding]:
        """Return the first signer against which nothing was found, or what was against the nearest."""
        nearest: list[Finding] = []
        for signer, findings in zip(self.signers, judged, strict=True):
            if not findings:
                return signer
            if not nearest or _distance(findings) < _distance(nearest):
                nearest = findings
        return nearest

    def to_toml(self) -> str:
        """Return the policy in the format of a policy file. Raises PolicyError for one without a tap."""
        if self.tap is None:
            raise PolicyError(self.name, "speaks for no tap", "only a tap's policy has a file")
        lines = ["schema = 1", f"name = {_toml(self.name)}", f"tap = {_toml(self.tap)}"]
        for signer in self.signers:
            lines += ["", "[[signer]]"]
            values = signer.model_dump(by_alias=True, exclude_none=True)
            lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, raw: bytes, source: str, origin: PolicyOrigin) -> Self:
        """Read a policy. Raises PolicyError, which names `source`, when it is not one."""
        try:
            document = _Document.model_validate(
                tomllib.loads(raw.decode("utf-8")), by_alias=True, by_name=False
            )
        except ValidationError as error:
            raise PolicyError(source, summarise(error), _NEXT_STEP) from error
        except (ValueError, RecursionError) as error:
            raise PolicyError(source, f"not TOML: {error}", _NEXT_STEP) from error
        return cls(document.name, origin, document.signer, document.tap)


def read_policy(path: Path) -> Policy:
    """Read a policy file. Raises PolicyError when it cannot be read or is not a policy."""
    try:
        raw = read_bounded(path, MAX_POLICY_BYTES)
    except OSError as error:
        raise PolicyError(str(path), error.strerror or str(error), "give a readable file") from error
    except FileTooLongError as error:
        raise PolicyError(str(path), str(error), _NEXT_STEP) from error
    return Policy.from_toml(raw, str(path), PolicyOrigin.FILE)


def policy_for_tap(tap: str) -> Policy:
    """Return the built-in policy for `user/repo`, or the one derived from its name.

    Derived: GitHub Actions of `github.com/user/homebrew-repo` on its main or master branch, and
    nothing else (requirement R9 of the OpenSSF proposal). Raises PolicyError when the name is not
    that of a tap.
    """
    if _TAP.fullmatch(tap) is None:
        raise PolicyError(tap, "not the name of a tap", "write it as user/repo")
    tap = tap.lower()
    if tap == "homebrew/core":
        raw = resources.files("brew_provenance").joinpath("policies/homebrew-core.toml").read_bytes()
        return Policy.from_toml(raw, "the built-in policy", PolicyOrigin.BUILT_IN)
    user, _, repository = tap.partition("/")
    signer = Signer(
        name=f"the workflows of {user}/homebrew-{repository}",
        source_repository=f"{user}/homebrew-{repository}",
        source_refs=("refs/heads/main", "refs/heads/master"),
    )
    return Policy(f"derived for {tap}", PolicyOrigin.DERIVED, (signer,), tap)


def policy_for_repository(  # noqa: PLR0913 - one parameter an option of `verify`
    repository: str,
    *,
    signer_workflows: Sequence[str] = (),
    signer_repository: str | None = None,
    source_ref: str | None = None,
    issuer: str = GITHUB_ACTIONS_ISSUER,
    deny_self_hosted: bool = False,
) -> Policy:
    """Return a policy for runs of one source repository, `OWNER/REPO`.

    Without more, any workflow of that repository may sign, at any ref. A workflow is given as
    `[github.com/][OWNER/REPO/].github/workflows/FILE[@REF]`; another repository's has to be named,
    by such a path or by `signer_repository`. Raises PolicyError for values that are none of this.
    """
    workflows = [_parse_workflow(text, signer_repository or repository) for text in signer_workflows]
    if not workflows:
        workflows = [(signer_repository or repository, _ANY, _ANY)]
    try:
        signers = tuple(
            Signer(
                name=f"the workflows of {holder}" if path == _ANY else f"{holder}/{path}",
                source_repository=repository,
                source_refs=(source_ref or _ANY,),
                signer_repository=holder,
                workflows=(path,),
                signer_refs=(ref,),
                issuer=issuer,
                runner_environments=("github-hosted",) if deny_self_hosted else _RUNNERS,
            )
            for holder, path, ref in workflows
        )
    except ValidationError as error:
        raise PolicyError("the signer", summarise(error), "write repositories as OWNER/REPO") from error
    return Policy(f"runs of {repository}", PolicyOrigin.OPTIONS, signers)


def _parse_workflow(text: str, default_repository: str) -> tuple[str, str, str]:
    """Return repository, path and ref of a workflow as people write it."""
    match = _WORKFLOW.fullmatch(text)
    if match is None:
        raise PolicyError(
            text,
            "not the name of a workflow",
            "write [OWNER/REPO/].github/workflows/FILE[@REF], with the ref in full: @refs/heads/main",
        )
    repository = match["repository"] or default_repository
    return repository, match["path"], match["ref"] or _ANY


def _distance(findings: Sequence[Finding]) -> tuple[bool, int, int]:
    """Sort signers: of the right repository first, as a wrong one hides what else differs.

    Then by the step that was come to, as the build is not looked at where the signer is another.
    """
    is_other = any("repository" in finding.code for finding in findings)
    return is_other, -min(finding.reason.step.value for finding in findings), len(findings)


def _same_repository(found: str, wanted: str) -> bool:
    # GitHub takes names without regard to case; only ASCII letters can differ that way.
    return found.isascii() and found.lower() == wanted.lower()


def _allows(allowed: tuple[str, ...], value: str) -> bool:
    return _ANY in allowed or value in allowed


def _pinned(code: str, wanted: str | None, found: str | None) -> Iterator[Finding]:
    if wanted is None or found == wanted:
        return
    if found is None:
        yield Finding("certificate-claim-missing", f"the certificate names no id, {wanted} is pinned")
    else:
        yield Finding(code, f"{found} instead of {wanted}")


def _toml(value: object) -> str:
    """Write a value as TOML, whose basic strings take JSON's escapes, and no DEL."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, datetime):
        return value.isoformat()
    text = json.dumps(value.value if isinstance(value, Enum) else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")


def _iso(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
