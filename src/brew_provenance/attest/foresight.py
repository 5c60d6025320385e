"""What `check` would say of an attestation, before it is signed: the log forgets nothing.

A certificate says what the identity token says (Fulcio's `docs/oid-info.md` and
`config/identity/config.yaml`). Nobody has verified the token here: what counts is said after signing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from brew_provenance.appraise import BindFormula
from brew_provenance.bundle import IN_TOTO, MAX_BUNDLE_BYTES
from brew_provenance.certificate import Claims
from brew_provenance.crosscheck import check_predicate
from brew_provenance.evidence import Evidence, TimeSource, VerifiedTime
from brew_provenance.findings import Finding
from brew_provenance.policy import Policy
from brew_provenance.statement import build_type_of, read_statement
from brew_provenance.strictjson import loads

# What of the token stands in each claim, and whether the server's URL stands before it.
_TEXTS: Final = {
    "issuer": "iss",
    "issuer_v1": "iss",
    "github_workflow_trigger": "event_name",
    "github_workflow_sha": "sha",
    "github_workflow_name": "workflow",
    "github_workflow_repository": "repository",
    "github_workflow_ref": "ref",
    "build_signer_digest": "job_workflow_sha",
    "runner_environment": "runner_environment",
    "source_repository_digest": "sha",
    "source_repository_ref": "ref",
    "source_repository_id": "repository_id",
    "source_repository_owner_id": "repository_owner_id",
    "build_config_digest": "workflow_sha",
    "build_trigger": "event_name",
    "source_repository_visibility": "repository_visibility",
    "deployment_environment": "environment",
    "token_subject": "sub",
}
_LOCATIONS: Final = {
    "identity": "job_workflow_ref",
    "build_signer_uri": "job_workflow_ref",
    "source_repository_uri": "repository",
    "source_repository_owner_uri": "repository_owner",
    "build_config_uri": "workflow_ref",
}


def foresee(  # noqa: PLR0913 - all that decides
    statement: bytes,
    token: Mapping[str, str],
    policy: Policy,
    *,
    bind: BindFormula,
    server: str,
    now: datetime,
) -> list[Finding]:
    """Return what will keep a statement from being accepted once the holder of a token has signed it.

    `token` are its claims, and `server` is where its workflows are, `https://github.com`; `bind` says what
    a build's formula is held against.
    """
    evidence = Evidence(
        trusted_root="",
        claims=foreseen_claims(token, server),
        certificate=b"",
        times=(VerifiedTime(TimeSource.LOG, now),),
        log_entry=None,
        signature=b"",
        payload_type=IN_TOTO,
        payload=statement,
    )
    signer = policy.judge(evidence)
    if isinstance(signer, list):
        return signer
    read = read_statement(loads(statement, MAX_BUNDLE_BYTES))
    if isinstance(read, Finding):
        return [read]
    findings, build = check_predicate(read, evidence.claims, now)
    faults = [finding for finding in findings if finding.is_fault]
    if faults:
        return faults
    judged = policy.judge_build(evidence, build_type_of(read), build)
    if isinstance(judged, list):
        return judged
    return [finding for finding in bind(build) if finding.is_fault] if build is not None else []


def foreseen_claims(token: Mapping[str, str], server: str) -> Claims:
    """Return the claims that a certificate will have; what the token does not say, it will not have."""
    values: dict[str, Any] = {field: token[name] for field, name in _TEXTS.items() if token.get(name)}
    values |= {field: f"{server}/{token[name]}" for field, name in _LOCATIONS.items() if token.get(name)}
    if all(token.get(name) for name in ("repository", "run_id", "run_attempt")):
        run = f"{token['repository']}/actions/runs/{token['run_id']}/attempts/{token['run_attempt']}"
        values["run_invocation_uri"] = f"{server}/{run}"
    # Another provider's token, which names no workflow, makes a certificate of another kind.
    kind = "uri" if "identity" in values else None
    return replace(Claims(identity=None, identity_type=kind), **values)
