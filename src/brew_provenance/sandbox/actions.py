"""A GitHub Actions job as its OIDC token, its certificate and its provenance describe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from brew_provenance.sandbox.wire import JsonObject

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"
TOKEN_LIFETIME_SECONDS = 300


class Era(Enum):
    """The two shapes that `actions/attest` has given its provenance."""

    EARLY = "early"
    """Before September 2024: SLSA's community build type; the runner kind as the builder."""

    CURRENT = "current"
    """Since then: GitHub's own build type; the signer workflow as the builder."""


@dataclass(frozen=True)
class ActionsJob:
    """One job of a workflow run; the defaults are the publishing job of our example tap."""

    repository: str = "brew-provenance/homebrew-fixtures"
    repository_id: str = "801234567"
    owner_id: str = "161234567"
    visibility: str = "public"
    ref: str = "refs/heads/main"
    sha: str = "5b1e7f1c7d3a49b0a4c2f0f1a9f3f1e2d3c4b5a6"
    event_name: str = "push"
    workflow_name: str = "Publish bottles"
    workflow_path: str = ".github/workflows/publish.yml"

    workflow_source_ref: str | None = None
    """The ref that the workflow file was read from, where it is not the job's own ref."""

    workflow_source_sha: str | None = None
    """The commit that the workflow file was read from, where it is not the job's own commit."""

    signer: str | None = None
    """`owner/repository/path@ref` of a reusable workflow, where one runs the job."""

    signer_sha: str | None = None
    runner_environment: str = "github-hosted"
    run_id: str = "9876543210"
    run_attempt: str = "1"
    environment: str | None = None
    actor: str = "brew-provenance-bot"
    server: str = "https://github.com"
    issuer: str = "https://token.actions.githubusercontent.com"

    @property
    def owner(self) -> str:
        """The account that owns the repository."""
        return self.repository.partition("/")[0]

    @property
    def workflow_ref(self) -> str:
        """`owner/repository/path@ref` of the workflow that was started."""
        return f"{self.repository}/{self.workflow_path}@{self.workflow_source_ref or self.ref}"

    @property
    def workflow_sha(self) -> str:
        """The commit of the workflow that was started."""
        return self.workflow_source_sha or self.sha

    @property
    def job_workflow_ref(self) -> str:
        """`owner/repository/path@ref` of the workflow that the job is written in: the signer."""
        return self.signer or self.workflow_ref

    @property
    def job_workflow_sha(self) -> str:
        """The commit of the workflow that the job is written in."""
        return self.signer_sha or self.workflow_sha

    @property
    def signer_uri(self) -> str:
        """The signer's identity: the subject alternative name of its certificate."""
        return f"{self.server}/{self.job_workflow_ref}"

    @property
    def repository_uri(self) -> str:
        """The repository's page."""
        return f"{self.server}/{self.repository}"

    @property
    def run_uri(self) -> str:
        """The page of the run's attempt."""
        return f"{self.repository_uri}/actions/runs/{self.run_id}/attempts/{self.run_attempt}"

    @property
    def subject(self) -> str:
        """The token's subject, in GitHub's default form."""
        place = f"environment:{self.environment}" if self.environment else f"ref:{self.ref}"
        return f"repo:{self.repository}:{place}"

    def claims(self) -> dict[int, str]:
        """Return the certificate's claims by the number of their extension.

        Source: sigstore/fulcio, docs/oid-info.md and config/identity/config.yaml. Number 7
        belongs to other kinds of identity; an empty claim gives no extension.
        """
        claims = {
            1: self.issuer,
            2: self.event_name,
            3: self.sha,
            4: self.workflow_name,
            5: self.repository,
            6: self.ref,
            8: self.issuer,
            9: self.signer_uri,
            10: self.job_workflow_sha,
            11: self.runner_environment,
            12: self.repository_uri,
            13: self.sha,
            14: self.ref,
            15: self.repository_id,
            16: f"{self.server}/{self.owner}",
            17: self.owner_id,
            18: f"{self.server}/{self.workflow_ref}",
            19: self.workflow_sha,
            20: self.event_name,
            21: self.run_uri,
            22: self.visibility,
            23: self.environment,
            24: self.subject,
        }
        return {number: value for number, value in claims.items() if value}

    def token(self, audience: str, at: datetime) -> JsonObject:
        """Return the claims of the job's OIDC token, issued at this time."""
        issued = int(at.timestamp())
        claims = {
            "iss": self.issuer,
            "aud": audience,
            "sub": self.subject,
            "iat": issued,
            "nbf": issued,
            "exp": issued + TOKEN_LIFETIME_SECONDS,
            "jti": f"{self.run_id}-{self.run_attempt}-{issued}",
            "actor": self.actor,
            "environment": self.environment,
            "event_name": self.event_name,
            "job_workflow_ref": self.job_workflow_ref,
            "job_workflow_sha": self.job_workflow_sha,
            "ref": self.ref,
            "repository": self.repository,
            "repository_id": self.repository_id,
            "repository_owner": self.owner,
            "repository_owner_id": self.owner_id,
            "repository_visibility": self.visibility,
            "run_attempt": self.run_attempt,
            "run_id": self.run_id,
            "runner_environment": self.runner_environment,
            "sha": self.sha,
            "workflow": self.workflow_name,
            "workflow_ref": self.workflow_ref,
            "workflow_sha": self.workflow_sha,
        }
        return {name: value for name, value in claims.items() if value is not None}

    @classmethod
    def from_token(cls, claims: Mapping[str, object]) -> ActionsJob:
        """Return the job that the claims of an OIDC token speak of.

        Raises ValueError when they lack one, or one is no string.
        """
        texts = {name: _read_claim(claims, name) for name in _TOKEN_CLAIMS}
        workflow, _, workflow_ref = texts["workflow_ref"].partition("@")
        environment = claims.get("environment")
        return cls(
            repository=texts["repository"],
            repository_id=texts["repository_id"],
            owner_id=texts["repository_owner_id"],
            visibility=texts["repository_visibility"],
            ref=texts["ref"],
            sha=texts["sha"],
            event_name=texts["event_name"],
            workflow_name=texts["workflow"],
            workflow_path=workflow.removeprefix(f"{texts['repository']}/"),
            workflow_source_ref=workflow_ref,
            workflow_source_sha=texts["workflow_sha"],
            signer=texts["job_workflow_ref"],
            signer_sha=texts["job_workflow_sha"],
            runner_environment=texts["runner_environment"],
            run_id=texts["run_id"],
            run_attempt=texts["run_attempt"],
            environment=environment if isinstance(environment, str) else None,
            actor=texts["actor"],
            issuer=texts["iss"],
        )

    def provenance(self, era: Era = Era.CURRENT) -> JsonObject:
        """Return the SLSA provenance v1 predicate that `actions/attest` makes of the job.

        Source: actions/toolkit, packages/attest/src/provenance.ts.
        """
        github = {
            "event_name": self.event_name,
            "repository_id": self.repository_id,
            "repository_owner_id": self.owner_id,
        }
        match era:
            case Era.EARLY:
                build_type = "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"
                builder = f"https://github.com/actions/runner/{self.runner_environment}"
                ref = self.workflow_source_ref or self.ref
            case Era.CURRENT:
                build_type = "https://actions.github.io/buildtypes/workflow/v1"
                builder = self.signer_uri
                ref = self.ref
                github["runner_environment"] = self.runner_environment
        return {
            "buildDefinition": {
                "buildType": build_type,
                "externalParameters": {
                    "workflow": {
                        "ref": ref,
                        "repository": self.repository_uri,
                        "path": self.workflow_path,
                    }
                },
                "internalParameters": {"github": github},
                "resolvedDependencies": [
                    {
                        "uri": f"git+{self.repository_uri}@{self.ref}",
                        "digest": {"gitCommit": self.sha},
                    }
                ],
            },
            "runDetails": {
                "builder": {"id": builder},
                "metadata": {"invocationId": self.run_uri},
            },
        }


_TOKEN_CLAIMS = (
    *("iss", "actor", "event_name", "job_workflow_ref", "job_workflow_sha", "ref", "repository"),
    *("repository_id", "repository_owner_id", "repository_visibility", "run_attempt", "run_id"),
    *("runner_environment", "sha", "workflow", "workflow_ref", "workflow_sha"),
)


def _read_claim(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"the token has no claim {name}")
    return value


def build_statement(
    subjects: Sequence[Mapping[str, object]],
    predicate: object,
    predicate_type: str = PROVENANCE_TYPE,
) -> JsonObject:
    """Return an in-toto Statement v1 about these subjects (in-toto/attestation, spec/v1)."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": list(subjects),
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def build_subject(name: str, sha256: str) -> JsonObject:
    """Return a statement's subject with its name and its digest in hexadecimal."""
    return {"name": name, "digest": {"sha256": sha256}}
