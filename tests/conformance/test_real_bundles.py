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
SLSA_V02 = "https://slsa.dev/provenance/v0.2"
GITHUBS_ROOT = "github-instance.trusted_root.json"
BOTH_ROOTS = "gh-attestation-trusted-root.jsonl"
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
    # GitHub's own instance, which keeps no log.
    *(
        Row(f"gh-{DEMO_WHEEL}-bundle.jsonl", V, None, "actions/attest-demo", f"{DEMO_WHEEL}.whl", root=root)
        for root in (GITHUBS_ROOT, BOTH_ROOTS)
    ),
    Row(
        f"gh-{DEMO_WHEEL}-bundle.jsonl",
        R,
        "certificate-untrusted",
        "actions/attest-demo",
        f"{DEMO_WHEEL}.whl",
    ),
    Row(
        f"gh-{DEMO_WHEEL}-bundle.jsonl",
        R,
        "source-repository-not-allowed",
        "actions/attest",
        f"{DEMO_WHEEL}.whl",
        root=GITHUBS_ROOT,
    ),
    # Log entries of kind intoto/0.0.2.
    *(
        Row(file, V, None, "sigstore/sigstore-js", root=root)
        for root in (None, BOTH_ROOTS)
        for file in (
            "gh-sigstore-js-2.1.0-bundle-v0.1.json",
            "gh-sigstore-js-2.1.0-bundle.json",
            "gh-sigstore-js-2.1.0_with_2_bundles.jsonl",
            "rust-sigstore.js@2.0.0-provenance.json",
        )
    ),
    # Its payload is no statement, so its wrong signature need not be looked at to reject it.
    Row("gh-sigstoreBundle-invalid-signature.json", R, "payload-type-unexpected"),
    # With the log's promise alone: genuine, and of before certificates said what policies need.
    *(
        Row(file, R, "certificate-claim-missing", "sigstore/sigstore-js", predicate_type=SLSA_V02)
        for file in ("npm-sigstore-provenance.json", "npm-tuf-js-provenance.json", "rust-dsse.json")
    ),
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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.file}-{row.outcome.value}-{row.code}-{row.root}")
def test_row_is_answered_as_the_readme_says(row: Row, data: Path, public_good: TrustedRoot) -> None:
    roots = read_trusted_roots(data / "roots" / row.root) if row.root else [public_good]

    verdict = _judge(row, data, roots)

    assert verdict.outcome is row.outcome
    codes = {finding.code for assessment in verdict.assessments for finding in assessment.faults}
    assert (row.code in codes) if row.code else not codes


def test_no_bundle_of_the_folder_is_left_out(data: Path) -> None:
    assert {row.file for row in ROWS} == {path.name for path in (data / "bundles").iterdir()}


@pytest.mark.parametrize("row", [row for row in ROWS if row.outcome is V], ids=lambda row: row.file)
def test_no_bundle_of_one_instance_passes_under_the_others_root(row: Row, data: Path) -> None:
    public_good, githubs = read_trusted_roots(data / "roots" / BOTH_ROOTS)
    of_github = row.file.startswith(f"gh-{DEMO_WHEEL}")
    own, other = (githubs, public_good) if of_github else (public_good, githubs)

    assert _judge(row, data, [own]).outcome is V
    for roots in ([own, other], [other, own]):
        verdict = _judge(row, data, roots)
        assert verdict.outcome is V
        assert verdict.best is not None
        assert verdict.best.evidence is not None
        assert verdict.best.evidence.trusted_root == own.name
    refused = _judge(row, data, [other])
    assert refused.outcome is R
    codes = {finding.code for assessment in refused.assessments for finding in assessment.faults}
    assert codes == {"certificate-untrusted"}


def test_roots_that_gh_prints_verify_public_good_bundles(data: Path) -> None:
    roots = read_trusted_roots(data / "roots" / "gh-attestation-trusted-root.jsonl")
    row = next(row for row in ROWS if row.file.startswith("playwright") and row.outcome is V)

    assert _judge(row, data, roots).outcome is V


@pytest.mark.parametrize(
    ("file", "identity", "kind", "is_proven"),
    [
        ("js-bundleV01-dsse-no-proof.json", "email", "dsse/0.0.1", False),
        ("js-bundleV01-dsse-with-proof.json", "email", "dsse/0.0.1", True),
        ("js-bundleV01-full-cert-chain.json", "email", "intoto/0.0.2", False),
        ("js-bundleV01-intoto-no-proof.json", "email", "intoto/0.0.2", False),
        ("js-bundleV01-intoto-with-proof.json", "email", "intoto/0.0.2", True),
        ("js-bundleV02-dsse.json", "email", "dsse/0.0.1", True),
        ("js-bundleV02-intoto.json", "email", "intoto/0.0.2", True),
        ("js-bundleV03-dsse.json", "email", "dsse/0.0.1", True),
        ("js-bundleV03-intoto.json", "email", "intoto/0.0.2", True),
        ("npm-sigstore-provenance.json", "uri", "intoto/0.0.2", False),
        ("npm-tuf-js-provenance.json", "uri", "intoto/0.0.2", False),
        ("rust-conda-attestation.json", "uri", "dsse/0.0.1", True),
        ("rust-dsse.json", "email", "intoto/0.0.2", False),
        ("rust-happy-path.json", "uri", "dsse/0.0.1", True),
    ],
)
def test_signature_alone_is_good(
    file: str, identity: str, kind: str, is_proven: bool, data: Path, public_good_verifier: Verifier
) -> None:
    (bundle,) = read_bundles((data / "bundles" / file).read_bytes())
    assert isinstance(bundle, Bundle)

    evidence = public_good_verifier.verify(bundle, ())

    assert isinstance(evidence, Evidence)
    assert evidence.claims.identity_type == identity
    assert evidence.log_entry is not None
    assert (evidence.log_entry.kind, evidence.log_entry.is_proven) == (kind, is_proven)


def test_release_attestation_of_githubs_store_does_not_apply(data: Path, public_good: TrustedRoot) -> None:
    bundles = read_bundles((data / "api" / "gh-download-cli-v2.96.0.jsonl").read_bytes())
    policy = policy_for_repository("cli/cli")
    question = Question("a release file", (Digest("sha256", "0" * 64),))
    candidates = [Candidate("release", bundle) for bundle in bundles]

    verdict = appraise(question, candidates, Verifier([public_good]), Basis((public_good,), policy, "test"))

    assert verdict.outcome is U
    assert [f.code for f in verdict.assessments[0].faults] == ["predicate-type-other"]


def test_release_attestation_of_githubs_store_is_genuine_and_signed_by_no_workflow(data: Path) -> None:
    (bundle,) = read_bundles((data / "api" / "gh-download-cli-v2.96.0.jsonl").read_bytes())
    assert isinstance(bundle, Bundle)
    roots = read_trusted_roots(data / "roots" / GITHUBS_ROOT)

    evidence = Verifier(roots).verify(bundle, ())

    assert isinstance(evidence, Evidence)
    assert evidence.claims.identity == "https://dotcom.releases.github.com"
    release = Question(
        "a release file",
        (Digest("sha256", "0" * 64),),
        predicate_type="https://in-toto.io/attestation/release/v0.2",
    )
    basis = Basis(tuple(roots), policy_for_repository("cli/cli"), "test")
    assert appraise(release, [Candidate("release", bundle)], Verifier(roots), basis).outcome is R


def test_predicates_of_both_eras_are_accepted(data: Path, public_good: TrustedRoot) -> None:
    builders = set()
    for row in ROWS:
        if row.outcome is V and row.predicate_type == PROVENANCE_V1 and row.root is None:
            verdict = _judge(row, data, [public_good])
            assert verdict.best is not None
            assert verdict.best.statement is not None
            builders.add(verdict.best.statement.predicate["buildDefinition"]["buildType"])

    assert builders == {
        "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
        "https://actions.github.io/buildtypes/workflow/v1",
    }


def test_a_public_good_bundle_without_its_log_entry_never_passes(data: Path) -> None:
    """Stripped of the entry, it would have the shape of one of GitHub's instance."""
    row = next(row for row in ROWS if row.file.startswith("playwright") and row.outcome is V)
    document = json.loads((data / "bundles" / row.file).read_bytes())
    stamped = json.loads((data / "bundles" / f"gh-{DEMO_WHEEL}-bundle.jsonl").read_bytes())
    material = document["verificationMaterial"]
    del material["tlogEntries"]
    none: dict[str, object] = {}
    for timestamps in (none, stamped["verificationMaterial"]["timestampVerificationData"]):
        material["timestampVerificationData"] = timestamps
        (bundle,) = read_bundles(json.dumps(document).encode())
        assert isinstance(bundle, Bundle)

        answer = Verifier(read_trusted_roots(data / "roots" / BOTH_ROOTS)).verify(bundle, ())

        assert isinstance(answer, Finding)
        assert answer.code == "log-entry-missing"


def test_an_envelope_that_somebody_else_signed_is_refused(data: Path, public_good_verifier: Verifier) -> None:
    raw = (data / "bundles" / "gh-sigstoreBundle-invalid-signature.json").read_bytes()
    (bundle,) = read_bundles(raw)
    assert isinstance(bundle, Bundle)

    answer = public_good_verifier.verify(bundle, ())

    assert isinstance(answer, Finding)
    assert answer.code == "log-entry-signature-mismatch"


def test_older_public_good_root_still_verifies(data: Path) -> None:
    roots = read_trusted_roots(data / "roots" / "public-good-2024-cli.trusted_root.json")
    row = next(
        row for row in ROWS if row.file == "gh-reusable-workflow-attestation.json" and row.outcome is V
    )

    verdict = _judge(row, data, roots)

    assert verdict.outcome is V
    assert not isinstance(verdict.assessments[0].evidence, Finding)
