"""`gh attestation verify` in its own words: what its flags ask for, and how its JSON answers. Values only.

What gh leaves open is closed where that costs its callers nothing: a predicate that contradicts its
certificate is refused, a bottle's name must be attested together with its digest, and a repository
with a built-in policy is held to that policy. Sources: cli/cli `pkg/cmd/attestation/verify`, and
sigstore-go `pkg/verify` and `pkg/fulcio/certificate` for the JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from brew_provenance import strictjson
from brew_provenance.appraise import BundleVerifier, Candidate, examine
from brew_provenance.bottle import Digest
from brew_provenance.bundle import MAX_BUNDLE_BYTES, Bundle
from brew_provenance.certificate import EXTENSIONS, ClaimError, Claims, WorkflowIdentity
from brew_provenance.evidence import Evidence, TimeSource
from brew_provenance.findings import Finding
from brew_provenance.policy import Policy
from brew_provenance.statement import PROVENANCE_V1, Statement, build_type_of
from brew_provenance.subject import Question, SubjectNaming, find_subject
from brew_provenance.verdict import Assessment

GITHUB: Final = "https://github.com/"
"""The one server whose attestations are looked for."""

_RESULT_TYPE = "application/vnd.dev.sigstore.verificationresult+json;version=0.1"
_TIME_TYPES = {TimeSource.LOG: "Tlog", TimeSource.AUTHORITY: "TimestampAuthority"}
# The field of `Claims`, and sigstore-go's name for it where that differs from the field's in camel case.
_OTHER_NAMES = {
    "issuer_v1": None,
    "github_workflow_sha": "githubWorkflowSHA",
    "build_signer_uri": "buildSignerURI",
    "source_repository_uri": "sourceRepositoryURI",
    "source_repository_id": "sourceRepositoryIdentifier",
    "source_repository_owner_uri": "sourceRepositoryOwnerURI",
    "source_repository_owner_id": "sourceRepositoryOwnerIdentifier",
    "build_config_uri": "buildConfigURI",
    "run_invocation_uri": "runInvocationURI",
    "source_repository_visibility": "sourceRepositoryVisibilityAtSigning",
    "token_subject": None,
}
_WORKFLOW = re.compile(
    r"(?:(?:https://)?github\.com/)?(?P<repository>[A-Za-z0-9_-]+/[A-Za-z0-9._-]+)"
    r"/(?P<path>\.github/workflows/[A-Za-z0-9._ +()-]+\.ya?ml)"
    r"(?:@(?P<ref>refs/(?:heads|tags|pull)/[!-~]+|[0-9a-f]{40}|[0-9a-f]{64}))?",
    re.ASCII,
)
_URL_PREFIX = re.compile(r"[0-9a-f]{64}--", re.ASCII)
_PREFIX_LENGTH = 66


@dataclass(frozen=True)
class Workflow:
    """A signing workflow as `--signer-workflow` names it."""

    repository: str
    """`OWNER/REPO`."""

    path: str
    ref: str | None
    """None for any."""

    @classmethod
    def parse(cls, text: str) -> Workflow:
        """Read `[HOST/]OWNER/REPO/PATH[@REF]`. Raises ValueError for anything else."""
        match = _WORKFLOW.fullmatch(text)
        if match is None:
            raise ValueError("write it as OWNER/REPO/.github/workflows/FILE, with @REF in full or without")
        return cls(match["repository"], match["path"], match["ref"])


@dataclass(frozen=True)
class Criteria:
    """What the flags ask of a certificate. All of them have to hold."""

    owner: str
    repository: str | None
    """`OWNER/REPO`; None for any of the owner."""

    issuer: str
    identity: str | None = None
    """The exact subject alternative name."""

    identity_pattern: re.Pattern[str] | None = None
    """Looked for anywhere in the subject alternative name, as gh does."""

    signer_repository: str | None = None
    signer_workflow: Workflow | None = None
    signer_digest: str | None = None
    source_ref: str | None = None
    source_digest: str | None = None
    deny_self_hosted: bool = False
    policy: Policy | None = None
    """What has to hold besides; None for nothing."""

    def problems(self, evidence: Evidence) -> Iterator[str]:
        """Yield what does not hold, in words of our own: nothing that a signer chose is repeated."""
        claims = evidence.claims
        if claims.disagreements():
            yield "two claims of the certificate contradict each other"
        yield from self._problems_of_source(claims)
        yield from self._problems_of_signer(claims)
        if self.policy is not None and isinstance(judged := self.policy.judge(evidence), list):
            yield f"the policy {self.policy.name} does not allow it: {_codes(judged)}"

    def problems_of_build(self, evidence: Evidence, found: Assessment) -> Iterator[str]:
        """Yield what the policy has against the build that `found` describes, in words of our own."""
        statement = found.statement
        if self.policy is None or statement is None or statement.predicate_type != PROVENANCE_V1:
            return
        if isinstance(self.policy.judge(evidence), list):
            return  # it is said already
        judged = self.policy.judge_build(evidence, build_type_of(statement), found.build)
        if isinstance(judged, list):
            yield f"the policy {self.policy.name} does not allow it: {_codes(judged)}"

    def _problems_of_source(self, claims: Claims) -> Iterator[str]:
        for what, wanted, found in (
            ("the issuer", self.issuer, claims.issuer),
            ("the source ref", self.source_ref, claims.source_repository_ref),
            ("the source digest", self.source_digest, claims.source_repository_digest),
            ("the signer digest", self.signer_digest, claims.build_signer_digest),
            ("the runner", "github-hosted" if self.deny_self_hosted else None, claims.runner_environment),
        ):
            if wanted is not None and wanted != found:
                yield f"{what} is not {wanted}"
        for what, wanted, found in (
            ("owner", self.owner, claims.source_repository_owner_uri),
            ("repository", self.repository, claims.source_repository_uri),
        ):
            if wanted is not None and not _same_name(found, f"{GITHUB}{wanted}"):
                yield f"the source {what} is not {wanted}"

    def _problems_of_signer(self, claims: Claims) -> Iterator[str]:
        if self.identity is not None or self.identity_pattern is not None:
            name = claims.identity or ""
            if self.identity is not None and name != self.identity:
                yield "the signer is not the one of --cert-identity"
            if self.identity_pattern is not None and not self.identity_pattern.search(name):
                yield "the signer does not match --cert-identity-regex"
            return
        try:
            signer = WorkflowIdentity.parse(claims.identity or "")
        except ClaimError:
            yield "the signer is no workflow of GitHub Actions"
            return
        if (wanted := self.signer_workflow) is not None:
            if not _same_name(signer.repository_uri, f"{GITHUB}{wanted.repository}") or (
                signer.path,
                signer.ref,
            ) != (wanted.path, wanted.ref or signer.ref):
                yield f"the signer is not {wanted.repository}/{wanted.path}"
            return
        repository = self.signer_repository or self.repository
        if repository is not None:
            if not _same_name(signer.repository_uri, f"{GITHUB}{repository}"):
                yield f"the signer is no workflow of {repository}"
        elif not _same_name(f"{GITHUB}{signer.owner}", f"{GITHUB}{self.owner}"):
            yield f"the signer is no workflow of {self.owner}"


@dataclass(frozen=True)
class Accepted:
    """One attestation that holds."""

    bundle: Bundle
    evidence: Evidence
    statement: Statement


def judge(  # noqa: PLR0913 - what there is to judge, and by what
    candidates: Sequence[Candidate],
    verifier: BundleVerifier,
    criteria: Criteria,
    *,
    digests: Sequence[Digest],
    name: str | None,
    predicate_type: str,
) -> tuple[list[Accepted], list[str]]:
    """Return the attestations that hold for an artifact, and why others do not.

    `digests` are all of the artifact's that are known, the one to be found first. `name` is the bottle
    that a file claims to be; one subject then has to carry both. Attestations of another predicate type
    are in neither list: they speak of something else.
    """
    accepted: list[Accepted] = []
    problems: list[str] = []
    for candidate in candidates:
        found = examine(candidate, verifier)
        statement, evidence = found.statement, found.evidence
        if found.faults:
            if not all(fault.code in _OTHER_KIND for fault in found.faults):
                problems.append(_codes(found.faults))
            continue
        if statement is None or evidence is None or isinstance(candidate.bundle, Finding):
            problems.append(_nothing(found))
            continue
        if statement.predicate_type != predicate_type:
            continue
        reasons = [
            *criteria.problems(evidence),
            *criteria.problems_of_build(evidence, found),
            *_problems_of_subject(statement, digests, name),
        ]
        if reasons:
            problems.append("; ".join(reasons))
        else:
            accepted.append(Accepted(candidate.bundle, evidence, statement))
    return accepted, problems


_OTHER_KIND: Final = frozenset({"not-an-attestation", "predicate-type-other"})


def _problems_of_subject(statement: Statement, digests: Sequence[Digest], name: str | None) -> Iterator[str]:
    names, first = [name], digests[0]
    if not any(subject.digest.get(first.algorithm) == first.value for subject in statement.subject):
        yield "subject-digest-mismatch"
        return
    if name is not None:
        # Homebrew's backfill names its subjects with a URL's digest before the name.
        names += [subject.name for subject in statement.subject if _is_backfilled(subject.name, name)]
    found = [
        find_subject(
            statement, Question("the artifact", tuple(digests), name=wanted), SubjectNaming.FILE_NAME
        )
        for wanted in names
    ]
    if all(isinstance(one, Finding) for one in found):
        yield _codes([one for one in found[:1] if isinstance(one, Finding)])


def _is_backfilled(subject_name: str, name: str) -> bool:
    return _URL_PREFIX.match(subject_name) is not None and subject_name[_PREFIX_LENGTH:] == name


def to_json(found: Accepted, criteria: Criteria) -> dict[str, Any]:
    """Return one element of the list that `gh attestation verify --format json` prints."""
    document = strictjson.loads(found.bundle.raw, MAX_BUNDLE_BYTES)
    claims = found.evidence.claims
    return {
        "attestation": {"bundle": document, "bundle_url": "", "initiator": ""},
        "verificationResult": {
            "mediaType": _RESULT_TYPE,
            "statement": strictjson.loads(found.evidence.payload, MAX_BUNDLE_BYTES),
            "signature": {"certificate": _certificate(found.evidence)},
            "verifiedTimestamps": [
                {
                    "type": _TIME_TYPES[time.source],
                    "uri": "",
                    "timestamp": time.time.isoformat().replace("+00:00", "Z"),
                }
                for time in found.evidence.times
            ],
            "verifiedIdentity": {
                "subjectAlternativeName": {"subjectAlternativeName": claims.identity or ""},
                "issuer": {"issuer": criteria.issuer},
                "runnerEnvironment": claims.runner_environment or "",
            },
        },
    }


def _certificate(evidence: Evidence) -> dict[str, str]:
    claims = evidence.claims
    summary = {
        "certificateIssuer": evidence.certificate_issuer,
        "subjectAlternativeName": claims.identity or "",
    }
    for extension in EXTENSIONS:
        key = _OTHER_NAMES.get(extension.field, _camel(extension.field))
        value = claims.value(extension.field)
        if key is not None and value is not None:
            summary[key] = value
    return summary


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _same_name(found: str | None, wanted: str) -> bool:
    # GitHub takes names without regard to case; only ASCII letters can differ that way.
    return found is not None and found.isascii() and found.lower() == wanted.lower()


def _codes(findings: Sequence[Finding]) -> str:
    # What the findings say in detail can hold words of the signer's, which callers look for in the text.
    return ", ".join(dict.fromkeys(finding.code for finding in findings))


def _nothing(found: Assessment) -> str:
    return _codes(found.findings) or "nothing was verified"
