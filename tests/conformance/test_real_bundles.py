"""Every real bundle of the data folder, answered as its README says."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from brew_provenance.appraise import Candidate, appraise
from brew_provenance.bottle import Digest, hash_stream
from brew_provenance.bundle import Bundle, read_bundles
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.policy import GITHUB_ACTIONS_ISSUER, policy_for_repository
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot, read_trusted_roots
from brew_provenance.verdict import Basis, Outcome, Verdict
from brew_provenance.verify import Verifier

NPM_PUBLISH = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1"
BEACON = "sigstore-conformance/extremely-dangerous-public-oidc-beacon"
DEMO_WHEEL = "github_provenance_demo-0.0.12-py3-none-any"


@dataclass(frozen=True)
class Row:
    """A row of the README: the bundle, what is asked of it, and the right answer."""

    file: str
    outcome: Outcome
    code: str | None = None
    repo: str = "any/repository"
    artifact: str | None = None
    signer_repo: str | None = None
    issuer: str = GITHUB_ACTIONS_ISSUER
    predicate_type: str = PROVENANCE_V1
    root: str | None = None


V, U, R, X = Outcome.VERIFIED, Outcome.UNATTESTED, Outcome.REJECTED, Outcome.UNRESOLVED

ROWS = [
    # GitHub's own fixtures.
    Row("gh-custom-issuer.json", R, "issuer-not-allowed", "too-legit/attest", "custom-issuer-artifact"),
    Row(
        "gh-custom-issuer.json",
        V,
        repo="too-legit/attest",
        artifact="custom-issuer-artifact",
        issuer=f"{GITHUB_ACTIONS_ISSUER}/hammer-time",
    ),
    Row(f"gh-{DEMO_WHEEL}-bundle-missing-cert.jsonl", R, "bundle-content-missing"),
    Row(
        f"gh-{DEMO_WHEEL}-bundle-missing-verification-material.jsonl",
        R,
        "verification-material-missing",
        artifact=f"{DEMO_WHEEL}.whl",
    ),
    Row(
        "gh-reusable-workflow-attestation.json",
        R,
        "signer-repository-not-allowed",
        "malancas/attest-demo",
        "reusable-workflow-artifact",
    ),
    Row(
        "gh-reusable-workflow-attestation.json",
        V,
        None,
        "malancas/attest-demo",
        "reusable-workflow-artifact",
        signer_repo="github/artifact-attestations-workflows",
    ),
    # npm's publish attestations, signed by a person: genuine, and never provenance.
    *(
        Row(f"js-bundle{version}.json", U, "predicate-type-other")
        for version in (
            "V01-dsse-no-proof",
            "V01-dsse-with-proof",
            "V01-full-cert-chain",
            "V01-intoto-no-proof",
            "V01-intoto-with-proof",
            "V02-dsse",
            "V02-intoto",
            "V03-dsse",
            "V03-intoto",
        )
    ),
    # Asked for by type, their statements are v0.1 ones of somebody with an e-mail address.
    *(
        Row(f"js-bundle{version}.json", R, "issuer-not-allowed", predicate_type=NPM_PUBLISH)
        for version in ("V01-dsse-with-proof", "V02-dsse", "V03-dsse")
    ),
    Row("npm-bad-dsse-payload-bundle.json", R, "bundle-malformed"),
    Row("npm-digest-mismatch-provenance-bundle.json", R, "bundle-malformed"),
    Row("npm-invalid-signature-bundle.json", R, "bundle-malformed"),
    Row("npm-multi-subject-provenance-bundle.json", R, "bundle-malformed"),
    Row("npm-no-provenance-envelope-bundle.json", R, "bundle-malformed"),
    Row("npm-no-provenance-subject-bundle.json", R, "bundle-malformed"),
    Row("npm-valid-bundle.json", R, "bundle-malformed"),
    Row("npm-sigstore-provenance.json", U, "predicate-type-other"),
    Row("npm-sigstore-publish.json", U, "predicate-type-other"),
    Row("npm-tuf-js-provenance.json", U, "predicate-type-other"),
    Row("npm-tuf-js-publish.json", U, "predicate-type-other"),
    Row(
        "playwright-cli-0.1.1-provenance.json",
        V,
        None,
        "microsoft/playwright-cli",
        "playwright-cli-0.1.1.tgz",
    ),
    Row("playwright-cli-0.1.1-publish.json", U, "predicate-type-other", artifact="playwright-cli-0.1.1.tgz"),
    # Fixtures of other clients.
    Row("rust-bundle_cve_2022_36056.json", R, "certificate-untrusted"),
    Row("rust-bundle_invalid_version.json", R, "bundle-media-type-unknown"),
    Row("rust-bundle_no_cert_v1.json", R, "certificate-missing"),
    Row("rust-bundle_no_checkpoint.json", R, "log-checkpoint-missing"),
    Row("rust-bundle_no_log_entry.json", R, "log-entry-missing"),
    Row("rust-bundle_v3.json", R, "certificate-untrusted"),
    Row("rust-bundle_v3_github.json", U, "not-an-attestation"),
    Row("rust-bundle_v3_no_signed_time.json", R, "time-missing"),
    Row(
        "rust-conda-attestation.json",
        U,
        "predicate-type-other",
        artifact="signed-package-2.1.0-hb0f4dca_0.conda",
    ),
    Row(
        "rust-conda-attestation.json",
        V,
        repo="prefix-dev/sigstore-example",
        artifact="signed-package-2.1.0-hb0f4dca_0.conda",
        predicate_type="https://schemas.conda.org/attestations-publish-1.schema.json",
    ),
    Row("rust-cosign-v3-blob.json", U, "not-an-attestation", artifact="cosign-v3-blob.txt"),
    Row("rust-dsse-2sigs.json", R, "envelope-signatures-many"),
    Row("rust-dsse.json", U, "predicate-type-other"),
    # Rightly signed, and yet it lies.
    Row("rust-happy-path.json", R, "predicate-commit-mismatch", BEACON, "a.txt"),
    Row(
        "rust-invalid-ct-key.json",
        R,
        "sct-invalid",
        artifact="a.txt",
        root="rust-invalid-ct-key.trusted_root.json",
    ),
    Row("rust-invalid-ct-key.json", U, "not-an-attestation", artifact="a.txt"),
    Row("rust-othername.json", R, "certificate-untrusted"),
    Row(
        "rust-tsa-payload_mismatch_bundle.json",
        R,
        "timestamp-unverified",
        artifact="a.txt",
        root="rust-tsa.trusted_root.json",
    ),
    Row(
        "rust-tsa-valid_bundle.json",
        U,
        "not-an-attestation",
        artifact="a.txt",
        root="rust-tsa.trusted_root.json",
    ),
    Row("rust-tsa-valid_bundle.json", R, "timestamp-unverified", artifact="a.txt"),
]

# Kinds that sigstore-python does not read: not judged, and never accepted, until we read them.
UNSUPPORTED = [
    Row(
        f"gh-{DEMO_WHEEL}-bundle.jsonl",
        X,
        "unsupported-github-instance",
        "actions/attest-demo",
        f"{DEMO_WHEEL}.whl",
    ),
    Row("gh-sigstore-js-2.1.0-bundle-v0.1.json", X, "unsupported-intoto-log-entry", "sigstore/sigstore-js"),
    Row("gh-sigstore-js-2.1.0-bundle.json", X, "unsupported-intoto-log-entry", "sigstore/sigstore-js"),
    Row(
        "gh-sigstore-js-2.1.0_with_2_bundles.jsonl", X, "unsupported-intoto-log-entry", "sigstore/sigstore-js"
    ),
    Row("rust-sigstore.js@2.0.0-provenance.json", X, "unsupported-intoto-log-entry", "sigstore/sigstore-js"),
    # Its payload is no statement, so its wrong signature need not be looked at to reject it.
    Row("gh-sigstoreBundle-invalid-signature.json", R, "payload-type-unexpected"),
]


def _digests(bundle: Bundle, row: Row, data: Path) -> tuple[Digest, ...]:
    """The artifact's digests, or where it is not at hand those that the bundle itself names."""
    if row.artifact:
        with (data / "artifacts" / row.artifact).open("rb") as stream:
            return hash_stream(stream)
    if bundle.payload_type is None:
        message = json.loads(bundle.raw)["messageSignature"]["messageDigest"]
        return (Digest("sha256", base64.b64decode(message["digest"]).hex()),)
    try:
        (subject,) = json.loads(bundle.payload)["subject"]
    except ValueError:
        return (Digest("sha256", "0" * 64),)
    return tuple(Digest(name, value) for name, value in subject["digest"].items())


def _judge(row: Row, data: Path, roots: list[TrustedRoot]) -> Verdict:
    bundles = read_bundles((data / "bundles" / row.file).read_bytes())
    readable = [bundle for bundle in bundles if isinstance(bundle, Bundle)]
    digests = _digests(readable[0], row, data) if readable else (Digest("sha256", "0" * 64),)
    policy = policy_for_repository(row.repo, signer_repository=row.signer_repo, issuer=row.issuer)
    question = Question(row.file, digests, predicate_type=row.predicate_type)
    candidates = [Candidate(row.file, bundle) for bundle in bundles]
    return appraise(question, candidates, Verifier(roots), Basis(tuple(roots), policy, "test"))


@pytest.mark.parametrize(
    "row", [*ROWS, *UNSUPPORTED], ids=lambda row: f"{row.file}-{row.outcome.value}-{row.code}"
)
def test_row_is_answered_as_the_readme_says(row: Row, data: Path, public_good: TrustedRoot) -> None:
    roots = read_trusted_roots(data / "roots" / row.root) if row.root else [public_good]

    verdict = _judge(row, data, roots)

    assert verdict.outcome is row.outcome
    codes = {finding.code for assessment in verdict.assessments for finding in assessment.faults}
    assert (row.code in codes) if row.code else not codes


def test_no_bundle_of_the_folder_is_left_out(data: Path) -> None:
    assert {row.file for row in [*ROWS, *UNSUPPORTED]} == {path.name for path in (data / "bundles").iterdir()}


@pytest.mark.parametrize("row", UNSUPPORTED, ids=lambda row: row.file)
def test_githubs_roots_beside_the_public_good_one_accept_nothing_more(row: Row, data: Path) -> None:
    roots = read_trusted_roots(data / "roots" / "gh-attestation-trusted-root.jsonl")

    assert _judge(row, data, roots).outcome is row.outcome


def test_roots_that_gh_prints_verify_public_good_bundles(data: Path) -> None:
    roots = read_trusted_roots(data / "roots" / "gh-attestation-trusted-root.jsonl")
    row = next(row for row in ROWS if row.file.startswith("playwright") and row.outcome is V)

    assert _judge(row, data, roots).outcome is V


@pytest.mark.parametrize(
    ("file", "identity"),
    [
        ("js-bundleV01-dsse-with-proof.json", "email"),
        ("js-bundleV02-dsse.json", "email"),
        ("js-bundleV03-dsse.json", "email"),
        ("rust-conda-attestation.json", "uri"),
        ("rust-happy-path.json", "uri"),
    ],
)
def test_signature_alone_is_good(
    file: str, identity: str, data: Path, public_good_verifier: Verifier
) -> None:
    (bundle,) = read_bundles((data / "bundles" / file).read_bytes())
    assert isinstance(bundle, Bundle)

    evidence = public_good_verifier.verify(bundle, ())

    assert isinstance(evidence, Evidence)
    assert evidence.claims.identity_type == identity


def test_release_attestation_of_githubs_store_does_not_apply(data: Path, public_good: TrustedRoot) -> None:
    bundles = read_bundles((data / "api" / "gh-download-cli-v2.96.0.jsonl").read_bytes())
    policy = policy_for_repository("cli/cli")
    question = Question("a release file", (Digest("sha256", "0" * 64),))
    candidates = [Candidate("release", bundle) for bundle in bundles]

    verdict = appraise(question, candidates, Verifier([public_good]), Basis((public_good,), policy, "test"))

    assert verdict.outcome is U
    assert [f.code for f in verdict.assessments[0].faults] == ["predicate-type-other"]


def test_predicates_of_both_eras_are_accepted(data: Path, public_good: TrustedRoot) -> None:
    builders = set()
    for row in ROWS:
        if row.outcome is V and row.predicate_type == PROVENANCE_V1:
            verdict = _judge(row, data, [public_good])
            assert verdict.best is not None
            assert verdict.best.statement is not None
            builders.add(verdict.best.statement.predicate["buildDefinition"]["buildType"])

    assert builders == {
        "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
        "https://actions.github.io/buildtypes/workflow/v1",
    }


def test_github_instances_root_alone_judges_nothing_yet(data: Path) -> None:
    roots = read_trusted_roots(data / "roots" / "github-instance.trusted_root.json")
    its_own = UNSUPPORTED[0]
    public_good = next(row for row in ROWS if row.file.startswith("playwright") and row.outcome is V)

    for row, code in ((its_own, its_own.code), (public_good, "unsupported-trusted-root")):
        verdict = _judge(row, data, roots)
        assert verdict.outcome is X
        assert [finding.code for finding in verdict.assessments[0].faults] == [code]


def test_older_public_good_root_still_verifies(data: Path) -> None:
    roots = read_trusted_roots(data / "roots" / "public-good-2024-cli.trusted_root.json")
    row = next(
        row for row in ROWS if row.file == "gh-reusable-workflow-attestation.json" and row.outcome is V
    )

    verdict = _judge(row, data, roots)

    assert verdict.outcome is V
    assert not isinstance(verdict.assessments[0].evidence, Finding)
