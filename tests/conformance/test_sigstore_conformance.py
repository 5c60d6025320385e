"""The bundle cases of sigstore-conformance through our own cryptographic step, by path and by digest."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from brew_provenance.bottle import Digest, hash_stream
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.errors import TrustError
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.trust import TrustedRoot, read_trusted_roots
from brew_provenance.verify import Verifier

CASES = 70
MUST_FAIL = 49

# Cases that ought to pass and that are not accepted, with the reason.
KNOWN_REFUSALS = {
    "managed-key-and-trusted-root": "unsupported-managed-key",
    "managed-key-happy-path": "unsupported-managed-key",
    # sigstore-python 4.5.1 takes the authority's validity to end before its last instant.
    "trust-root-tsa-validity-end-inclusive": "timestamp-unverified",
}


@pytest.fixture(scope="session")
def suite(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (archive,) = (data / "conformance").glob("sigstore-conformance-assets-*.tar.gz")
    folder = tmp_path_factory.mktemp("conformance")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "test" / "assets" / "bundle-verify"


def _answer(case: Path, digest: Digest, public_good: TrustedRoot) -> Evidence | Finding:
    root = case / "trusted_root.json"
    try:
        verifier = Verifier(read_trusted_roots(root) if root.exists() else [public_good])
    except TrustError as error:
        return Finding("store-unreadable", str(error))
    bundle = read_bundle((case / "bundle.sigstore.json").read_bytes())
    if isinstance(bundle, Finding):
        return bundle
    evidence = verifier.verify(bundle, [digest])
    if isinstance(evidence, Evidence) and evidence.payload_type is not None:
        return evidence if _is_subject(bundle, digest) else Finding("subject-digest-mismatch", "")
    return evidence


def _is_subject(bundle: Bundle, digest: Digest) -> bool:
    # An envelope's subjects are judged by a later step of ours; the suite counts them in.
    subjects = json.loads(bundle.payload)["subject"]
    return any(subject["digest"].get(digest.algorithm) == digest.value for subject in subjects)


def test_all_cases_are_answered_without_a_false_accept(suite: Path, public_good: TrustedRoot) -> None:
    cases = sorted(path for path in suite.iterdir() if path.is_dir())
    assert len(cases) == CASES
    assert sum(case.name.endswith("_fail") for case in cases) == MUST_FAIL
    refused = {}
    accepted = set()
    for case in cases:
        artifact = case / "artifact" if (case / "artifact").exists() else suite / "a.txt"
        with artifact.open("rb") as stream:
            by_path = hash_stream(stream)[0]
        by_digest = Digest.parse(str(by_path))
        for digest in (by_path, by_digest):
            answer = _answer(case, digest, public_good)
            if isinstance(answer, Evidence):
                accepted.add(case.name)
            else:
                refused[case.name] = answer.code

    assert not {name for name in accepted if name.endswith("_fail")}, "a false accept"
    assert not accepted & set(refused), "path and digest were answered differently"
    assert {name: code for name, code in refused.items() if not name.endswith("_fail")} == KNOWN_REFUSALS


def test_every_case_that_must_fail_has_a_code_of_its_own_kind(suite: Path, public_good: TrustedRoot) -> None:
    catch_alls = {}
    for case in sorted(suite.glob("*_fail")):
        artifact = case / "artifact" if (case / "artifact").exists() else suite / "a.txt"
        with artifact.open("rb") as stream:
            answer = _answer(case, hash_stream(stream)[0], public_good)
        if isinstance(answer, Finding) and answer.code in {"verification-failed", "verification-crashed"}:
            catch_alls[case.name] = answer

    assert not catch_alls
