"""SLSA Verification Summary Attestations: an auditor's verdict that others can rely on. Values only.

Source: SLSA v1.2, https://slsa.dev/spec/v1.2/verification_summary. A summary says that a verifier held
bottles against a policy, and what came of it; whoever accepts one trusts that verifier in place of the
evidence. The verifier controls every word of it, but for its own name: that is in the certificate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictStr, ValidationError
from pydantic.alias_generators import to_camel

from brew_provenance.appraise import BundleVerifier, Candidate, examine
from brew_provenance.certificate import ClaimError, WorkflowIdentity
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.policy import GITHUB_ACTIONS_ISSUER, Gives, Signer
from brew_provenance.statement import STATEMENT_V1, Statement, Subject, summarise
from brew_provenance.subject import Question, SubjectNaming, find_subject
from brew_provenance.verdict import Assessment

VSA_V1: Final = "https://slsa.dev/verification_summary/v1"
"""The predicate type."""

SLSA_VERSION: Final = "1.2"
"""The version of the specification whose levels are meant."""

BUILD_LEVEL_2: Final = "SLSA_BUILD_LEVEL_2"
"""Provenance that a hosted platform signed; more cannot be told from the outside."""

BUILD_LEVEL_0: Final = "SLSA_BUILD_LEVEL_0"
"""Nothing is claimed of how it was built; what goes with a notarisation."""

FORMULA_BOUND: Final = "HOMEBREW_FORMULA_BOUND"
"""The provenance names the formula that the bottle was built from, and that formula describes it."""

NOTARISED: Final = "HOMEBREW_NOTARISED"
"""Somebody who did not build the bottle signed that it existed."""

FAILED: Final = "FAILED"
"""The one level of a bottle that does not satisfy the policy."""

MAX_BUILD_LEVEL: Final = 4
"""The highest level that the build track has had; 3 is the highest since SLSA v1.0."""

MAX_LEVELS: Final = 64
"""Levels in one summary; there is one a track, and few tracks."""

_BUILD_LEVEL = "SLSA_BUILD_LEVEL_"


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        defer_build=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Verifier(_Model):
    """Who verified."""

    id: StrictStr
    version: dict[StrictStr, StrictStr] = Field(default_factory=dict)


class Descriptor(_Model):
    """Something that the verdict rests on, by its digest."""

    uri: StrictStr | None = None
    digest: dict[StrictStr, StrictStr] = Field(default_factory=dict)


class Summary(_Model):
    """The predicate."""

    verifier: Verifier
    time_verified: AwareDatetime | None = None
    resource_uri: StrictStr
    policy: Descriptor
    input_attestations: tuple[Descriptor, ...] | None = None
    """All that were used; None where that is not said."""

    verification_result: Literal["PASSED", "FAILED"]
    verified_levels: Annotated[tuple[StrictStr, ...], Field(max_length=MAX_LEVELS)]
    slsa_version: StrictStr | None = None


@dataclass(frozen=True)
class Basis:
    """What all summaries of one audit share."""

    verifier: str
    """The verifier's name: the URI of the workflow that signs, without its ref."""

    versions: Mapping[str, str]
    policy: str
    policy_sha256: str
    time: datetime


def package_url(tap: str, formula: str, version: str) -> str:
    """Return the name of a package version as a package URL of type `brew`, with the tap as namespace."""
    namespace = "/".join(quote(part, safe="") for part in tap.split("/"))
    return f"pkg:brew/{namespace}/{quote(formula, safe='')}@{quote(version, safe='')}"


def build_summary(
    basis: Basis,
    resource: str,
    subjects: Iterable[tuple[str, str]],
    levels: Sequence[str],
    bundles: Iterable[str] | None,
) -> dict[str, Any]:
    """Return the Statement that some bottles of one package version satisfy a policy, or do not.

    `subjects` are file names with their sha256, `bundles` the sha256 of all attestations that were used;
    None where those are not known. Levels are those that were verified, none for bottles that failed.
    """
    attestations = None
    if bundles is not None:
        attestations = tuple(Descriptor(digest={"sha256": bundle}) for bundle in bundles)
    summary = Summary(
        verifier=Verifier(id=basis.verifier, version=dict(basis.versions)),
        time_verified=basis.time,
        resource_uri=resource,
        policy=Descriptor(
            uri=f"urn:brew-provenance:policy:{quote(basis.policy)}", digest={"sha256": basis.policy_sha256}
        ),
        input_attestations=attestations,
        verification_result="PASSED" if levels else "FAILED",
        verified_levels=tuple(levels) or (FAILED,),
        slsa_version=SLSA_VERSION,
    )
    return {
        "_type": STATEMENT_V1,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects],
        "predicateType": VSA_V1,
        "predicate": summary.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


@dataclass(frozen=True)
class Expectation:
    """What a summary has to say to be accepted, and of whom."""

    signer: WorkflowIdentity
    """The workflow at the ref whose signature counts."""

    resource: str
    levels: frozenset[str] = frozenset({BUILD_LEVEL_2})
    """All of these have to be verified."""

    @property
    def verifiers(self) -> frozenset[str]:
        """How the verifier may call itself: by its workflow, with its ref or without."""
        return frozenset({str(self.signer), f"{self.signer.repository_uri}/{self.signer.path}"})


@dataclass(frozen=True)
class Summaries:
    """Bundles of summaries, and the one verifier that is believed."""

    candidates: tuple[Candidate, ...]
    signer: WorkflowIdentity
    levels: frozenset[str] = frozenset({BUILD_LEVEL_2})

    def assess(self, question: Question, verifier: BundleVerifier) -> list[Assessment]:
        """Judge the summaries that speak of a bottle; there are none for what is not a formula's bottle."""
        bottle = question.bottle
        if bottle is None:
            return []
        resource = package_url(bottle.tap, bottle.formula, bottle.version)
        expected = Expectation(self.signer, resource, self.levels)
        digest = bottle.digest.value.encode()
        return [
            _assess(candidate, question, verifier, expected)
            for candidate in self.candidates
            # What does not even contain the digest speaks of something else, whoever signed it.
            if not isinstance(candidate.bundle, Finding) and digest in candidate.bundle.payload
        ]


def last_word(summarised: Iterable[Assessment]) -> list[Assessment]:
    """Return the summary that decides: what the verifier that is believed signed last; of equals, a failure.

    Others of that verifier are superseded: an older one cannot be brought along to outvote it.
    """
    said = [found for found in summarised if found.evidence is not None and _decides(found)]
    return sorted(said, key=_moment)[-1:]


def _decides(found: Assessment) -> bool:
    return found.accepted or any(fault.code == "vsa-failed" for fault in found.faults)


def _moment(found: Assessment) -> tuple[float, bool]:
    times = found.evidence.times if found.evidence is not None else ()
    return max(verified.time.timestamp() for verified in times), not found.accepted


def _assess(
    candidate: Candidate, question: Question, verifier: BundleVerifier, expected: Expectation
) -> Assessment:
    found = examine(candidate, verifier)
    statement, evidence = found.statement, found.evidence
    if found.faults or statement is None or evidence is None:
        return found
    subject = find_subject(statement, question, SubjectNaming.FILE_NAME)
    if faults := check_summary(evidence, statement, subject, expected):
        return replace(found, findings=tuple(faults))
    who = expected.signer
    signer = Signer(
        name=f"the verifier {who.path} of {who.owner}/{who.repository}",
        source_repository=f"{who.owner}/{who.repository}",
        source_refs=("*",),
    ).model_copy(update={"gives": Gives.VERIFICATION_SUMMARY})
    accepted = Finding("vsa-accepted", f"{who} verified {expected.resource}")
    found_subject = None if isinstance(subject, Finding) else subject
    return replace(found, findings=(accepted,), signer=signer, subject=found_subject)


def check_summary(
    evidence: Evidence, statement: Statement, subject: Subject | Finding, expected: Expectation
) -> list[Finding]:
    """Return what keeps a summary from being accepted: the checks that a consumer MUST do.

    That the signature is genuine (1) is what `evidence` says, and that the bottle is a subject (2) what
    `subject` says; the rest is done here in the order of the specification. Nothing is good.
    """
    if isinstance(subject, Finding):
        return [subject]
    if statement.predicate_type != VSA_V1:
        return [Finding("predicate-type-other", f"predicate type {statement.predicate_type!r}")]
    try:
        summary = Summary.model_validate(statement.predicate)
    except ValidationError as error:
        return [Finding("predicate-malformed", summarise(error))]
    findings = _check_signer(evidence, summary, expected)
    if summary.resource_uri != expected.resource:
        findings.append(
            Finding("vsa-other-resource", f"{summary.resource_uri!r} instead of {expected.resource!r}")
        )
    if summary.verification_result != "PASSED":
        findings.append(Finding("vsa-failed", f"{summary.verifier.id} says {summary.verification_result}"))
    if missing := sorted(expected.levels - _implied(summary.verified_levels)):
        findings.append(Finding("vsa-level-missing", f"{', '.join(missing)} not verified"))
    return findings


def _implied(levels: Iterable[str]) -> frozenset[str]:
    """Return levels with those below them on the build track."""
    found = set(levels)
    for number in range(MAX_BUILD_LEVEL, 0, -1):
        if f"{_BUILD_LEVEL}{number}" in found:
            found.add(f"{_BUILD_LEVEL}{number - 1}")
    return frozenset(found)


def _check_signer(evidence: Evidence, summary: Summary, expected: Expectation) -> list[Finding]:
    claims = evidence.claims
    if claims.issuer != GITHUB_ACTIONS_ISSUER:
        return [Finding("issuer-not-allowed", f"{claims.issuer!r} instead of {GITHUB_ACTIONS_ISSUER!r}")]
    try:
        signer = WorkflowIdentity.parse(claims.identity or "")
    except ClaimError:
        return [Finding("signer-identity-malformed", f"signed by {claims.identity!r}")]
    if claims.disagreements():
        return [Finding("certificate-claims-disagree", "two claims of the certificate differ")]
    if signer != expected.signer:
        return [Finding("vsa-other-signer", f"signed by {signer}, not by {expected.signer}")]
    if summary.verifier.id not in expected.verifiers:
        return [Finding("vsa-other-verifier", f"{summary.verifier.id!r}, signed by {signer}")]
    return []
