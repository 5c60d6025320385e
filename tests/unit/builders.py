"""Small makers of values that are right in every respect; tests name what they make different."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from brew_provenance.appraise import Candidate
from brew_provenance.bottle import Bottle, Digest
from brew_provenance.bundle import IN_TOTO, Bundle, read_bundle
from brew_provenance.certificate import Claims
from brew_provenance.evidence import Evidence, LogEntry, TimeSource, VerifiedTime
from brew_provenance.findings import Finding
from brew_provenance.policy import GITHUB_ACTIONS_ISSUER, Policy, PolicyOrigin, Signer
from brew_provenance.statement import ACTIONS_BUILD, COMMUNITY_BUILD, PROVENANCE_V1, STATEMENT_V1, Statement
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Basis

Json = dict[str, Any]

ARC: Final = "1.3.6.1.4.1.57264.1"
REPOSITORY: Final = "octo/homebrew-tap"
REPOSITORY_URI: Final = f"https://github.com/{REPOSITORY}"
WORKFLOW: Final = ".github/workflows/publish.yml"
MAIN: Final = "refs/heads/main"
COMMIT: Final = "5b1e7f1c7d3a49b0a4c2f0f1a9f3f1e2d3c4b5a6"
SIGNED: Final = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)

SHA256: Final = Digest("sha256", "a" * 64)
OTHER_SHA256: Final = Digest("sha256", "b" * 64)
SHA512: Final = Digest("sha512", "c" * 128)
OTHER_SHA512: Final = Digest("sha512", "d" * 128)

FILE_NAME: Final = "foo--1.1.arm64_sonoma.bottle.tar.gz"


def make_claims(**overrides: Any) -> Claims:
    """Return the claims of a publishing run of the example tap."""
    signer = f"{REPOSITORY_URI}/{WORKFLOW}@{MAIN}"
    claims = Claims(
        identity=signer,
        identity_type="uri",
        issuer_v1=GITHUB_ACTIONS_ISSUER,
        github_workflow_trigger="workflow_dispatch",
        github_workflow_sha=COMMIT,
        github_workflow_name="Publish",
        github_workflow_repository=REPOSITORY,
        github_workflow_ref=MAIN,
        issuer=GITHUB_ACTIONS_ISSUER,
        build_signer_uri=signer,
        build_signer_digest=COMMIT,
        runner_environment="github-hosted",
        source_repository_uri=REPOSITORY_URI,
        source_repository_digest=COMMIT,
        source_repository_ref=MAIN,
        source_repository_id="111",
        source_repository_owner_uri="https://github.com/octo",
        source_repository_owner_id="222",
        build_config_uri=signer,
        build_config_digest=COMMIT,
        build_trigger="workflow_dispatch",
        run_invocation_uri=f"{REPOSITORY_URI}/actions/runs/99/attempts/1",
        source_repository_visibility="public",
    )
    return replace(claims, **overrides)


def run_of(repository: str, workflow: str = WORKFLOW, ref: str = MAIN, **overrides: Any) -> Claims:
    """Return the claims of a run of another repository, all of one piece."""
    uri = f"https://github.com/{repository}"
    signer = f"{uri}/{workflow}@{ref}"
    return make_claims(
        **{
            "identity": signer,
            "github_workflow_repository": repository,
            "github_workflow_ref": ref,
            "build_signer_uri": signer,
            "source_repository_uri": uri,
            "source_repository_ref": ref,
            "build_config_uri": signer,
            **overrides,
        }
    )


def times(*moments: datetime, source: TimeSource = TimeSource.LOG) -> tuple[VerifiedTime, ...]:
    """Return verified times."""
    return tuple(VerifiedTime(source, moment) for moment in moments)


def make_evidence(claims: Claims | None = None, **overrides: Any) -> Evidence:
    """Return what cryptography says of a bundle of the example tap."""
    evidence = Evidence(
        trusted_root="the example root",
        claims=claims or make_claims(),
        certificate=CERTIFICATE,
        times=times(SIGNED),
        log_entry=LogEntry("dsse/0.0.1", 7, "f" * 64),
        signature=b"signature",
        payload_type=IN_TOTO,
        payload=b"{}",
    )
    return replace(evidence, **overrides)


def make_predicate(era: str = "current") -> Json:
    """Return the predicate that agrees with `make_claims()`, in the shape of one of the two eras."""
    predicate: Json = {
        "buildDefinition": {
            "buildType": ACTIONS_BUILD,
            "externalParameters": {
                "workflow": {"ref": MAIN, "repository": REPOSITORY_URI, "path": WORKFLOW},
            },
            "internalParameters": {
                "github": {
                    "event_name": "workflow_dispatch",
                    "repository_id": "111",
                    "repository_owner_id": "222",
                    "runner_environment": "github-hosted",
                },
            },
            "resolvedDependencies": [
                {"uri": f"git+{REPOSITORY_URI}@{MAIN}", "digest": {"gitCommit": COMMIT}},
            ],
        },
        "runDetails": {
            "builder": {"id": f"{REPOSITORY_URI}/{WORKFLOW}@{MAIN}"},
            "metadata": {"invocationId": f"{REPOSITORY_URI}/actions/runs/99/attempts/1"},
        },
    }
    if era == "early":
        predicate["buildDefinition"]["buildType"] = COMMUNITY_BUILD
        del predicate["buildDefinition"]["internalParameters"]["github"]["runner_environment"]
        predicate["runDetails"]["builder"]["id"] = "https://github.com/actions/runner/github-hosted"
    return predicate


def altered(document: Json, *changes: tuple[Sequence[str | int], Any]) -> Json:
    """Return a copy of a document with values set at paths; `DROP` takes the field away."""
    result = copy.deepcopy(document)
    for path, value in changes:
        holder: Any = result
        for part in path[:-1]:
            holder = holder[part]
        if value is DROP:
            del holder[path[-1]]
        else:
            holder[path[-1]] = value
    return result


DROP: Final = object()


def make_subject(name: str = FILE_NAME, *digests: Digest) -> Json:
    """Return one entry of a statement's `subject`."""
    return {
        "name": name,
        "digest": {digest.algorithm: digest.value for digest in digests or (SHA256,)},
    }


def make_statement_document(*subjects: Json, **overrides: Any) -> Json:
    """Return a statement as JSON, about the example bottle when no subject is given."""
    return {
        "_type": STATEMENT_V1,
        "subject": list(subjects) or [make_subject()],
        "predicateType": PROVENANCE_V1,
        "predicate": make_predicate(),
        **overrides,
    }


def make_statement(*subjects: Json, **overrides: Any) -> Statement:
    """Return a statement, about the example bottle when no subject is given."""
    return Statement.model_validate(make_statement_document(*subjects, **overrides))


def make_bottle(**overrides: Any) -> Bottle:
    """Return the example bottle."""
    bottle = Bottle(
        tap="octo/tap",
        formula="foo",
        version="1.1",
        rebuild=0,
        tag="arm64_sonoma",
        digest=SHA256,
        url=f"https://ghcr.io/v2/octo/tap/foo/blobs/{SHA256}",
    )
    return replace(bottle, **overrides)


def make_question(bottle: Bottle | None = None, **overrides: Any) -> Question:
    """Return the question about the example bottle."""
    bottle = bottle or make_bottle()
    return replace(
        Question(f"{bottle.formula} {bottle.version}", (bottle.digest,), bottle=bottle), **overrides
    )


def make_signer(**overrides: Any) -> Signer:
    """Return the signer that `make_claims()` satisfies."""
    values: Json = {
        "name": "the example publisher",
        "source_repository": REPOSITORY,
        "source_refs": (MAIN,),
        **overrides,
    }
    return Signer(**values)


def make_policy(*signers: Signer, origin: PolicyOrigin = PolicyOrigin.BUILT_IN) -> Policy:
    """Return a policy, with the example signer when none is given."""
    return Policy("the example policy", origin, signers or (make_signer(),), "octo/tap")


def make_basis(policy: Policy | None = None, **overrides: Any) -> Basis:
    """Return a basis that consists of built-in parts."""
    root = TrustedRoot("the example root", b"{}", built_in=True)
    return replace(Basis((root,), policy or make_policy(), "the example store"), **overrides)


def encode(raw: bytes) -> str:
    """Return base64."""
    return base64.b64encode(raw).decode()


def make_bundle_document(statement: Json | None = None, **overrides: Any) -> Json:
    """Return a bundle of version 0.3 with the right shape; nothing in it is signed."""
    payload = json.dumps(statement or make_statement_document()).encode()
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": encode(b"certificate")},
            "tlogEntries": [
                {
                    "logIndex": "7",
                    "logId": {"keyId": encode(b"\x01\x02")},
                    "kindVersion": {"kind": "dsse", "version": "0.0.1"},
                    "integratedTime": "1740830400",
                    "inclusionPromise": {"signedEntryTimestamp": encode(b"promise")},
                    "inclusionProof": {
                        "logIndex": "7",
                        "rootHash": encode(b"root"),
                        "treeSize": "8",
                        "hashes": [],
                        "checkpoint": {"envelope": "a note"},
                    },
                    "canonicalizedBody": encode(b"{}"),
                }
            ],
        },
        "dsseEnvelope": {
            "payload": encode(payload),
            "payloadType": IN_TOTO,
            "signatures": [{"sig": encode(b"signature")}],
        },
        **overrides,
    }


def make_raw_bundle(statement: Json | None = None) -> bytes:
    """Return the bytes of `make_bundle_document()`."""
    return json.dumps(make_bundle_document(statement)).encode()


def make_candidate(source: str = "bundle.json", statement: Json | None = None) -> Candidate:
    """Return a candidate whose bundle holds `statement`."""
    return Candidate(source, read_bundle(make_raw_bundle(statement)))


@dataclass
class FakeVerifier:
    """Takes every bundle for genuine, or says of all of them what it was made to say."""

    answer: Evidence | Finding | None = None
    """What to answer; None for evidence that fits the bundle."""

    claims: Claims = field(default_factory=make_claims)
    """The claims of the evidence."""

    seen: list[Bundle] = field(default_factory=list)
    """Every bundle that was handed in."""

    def verify(self, bundle: Bundle, digests: Sequence[Digest]) -> Evidence | Finding:
        """Answer."""
        self.seen.append(bundle)
        if bundle.unsupported:
            return bundle.unsupported
        if self.answer is not None:
            return self.answer
        return make_evidence(self.claims, payload_type=bundle.payload_type, payload=bundle.payload)


_KEY = ec.generate_private_key(ec.SECP256R1())


def make_certificate(
    extensions: Mapping[str, bytes] | None = None,
    names: Sequence[x509.GeneralName] | None = None,
) -> x509.Certificate:
    """Return a self-signed certificate with raw extensions by their object identifiers."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "example.org")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_KEY.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2025, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2026, 1, 1, tzinfo=UTC))
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    for oid, raw in (extensions or {}).items():
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), raw)
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(_KEY, hashes.SHA256())


def to_der(certificate: x509.Certificate) -> bytes:
    """Return a certificate's DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


CERTIFICATE: Final = to_der(make_certificate())
"""A certificate that can be read; its claims are those that a test hands in beside it."""
