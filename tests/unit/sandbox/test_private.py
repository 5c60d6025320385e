"""The instance without a log, and the older kinds of bundles, held against what the product verifies."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.bundle import BUNDLE_V01, BUNDLE_V02, BUNDLE_V03
from brew_provenance.sandbox.instance import OlderKind, VirtualSigstore
from brew_provenance.sandbox.private import PrivateSigstore
from brew_provenance.sandbox.wire import JsonObject, encode_json
from brew_provenance.trust import TrustedRoot
from brew_provenance.verify import Verifier

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = ActionsJob()
STATEMENT = build_statement([build_subject("name", "00")], JOB.provenance())


def verify(sigstore: PrivateSigstore | VirtualSigstore, document: JsonObject) -> Evidence | Finding:
    root = TrustedRoot("virtual", encode_json(sigstore.trusted_root()), built_in=False)
    bundle = read_bundle(encode_json(document))
    assert isinstance(bundle, Bundle)
    return Verifier([root]).verify(bundle, ())


@pytest.mark.parametrize("media_type", [BUNDLE_V02, BUNDLE_V03])
@pytest.mark.parametrize("payload", [STATEMENT, encode_json(STATEMENT)])
def test_an_attestation_is_accepted(media_type: str, payload: JsonObject | bytes) -> None:
    private = PrivateSigstore()
    evidence = verify(private, private.attest(payload, JOB, at=AT, media_type=media_type))
    assert isinstance(evidence, Evidence)
    assert evidence.payload == encode_json(STATEMENT)


def test_neither_root_nor_bundle_nor_certificate_speaks_of_a_log() -> None:
    private = PrivateSigstore()
    signer = private.signer(JOB, AT)
    assert set(private.trusted_root()) == {"mediaType", "certificateAuthorities", "timestampAuthorities"}
    material = private.attest(STATEMENT, signer, at=AT)["verificationMaterial"]
    assert set(material) == {"certificate", "timestampVerificationData"}
    with pytest.raises(x509.ExtensionNotFound):
        signer.certificate.extensions.get_extension_for_oid(
            ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
        )


def test_a_signer_signs_many_statements_and_each_job_gets_its_own_key() -> None:
    private = PrivateSigstore()
    signer = private.signer(JOB, AT)
    for seconds in range(3):
        at = AT + timedelta(seconds=seconds)
        assert isinstance(verify(private, private.attest(STATEMENT, signer, at=at)), Evidence)
    assert private.signer(JOB, AT).certificate != signer.certificate


def test_timestamps_can_be_given() -> None:
    private = PrivateSigstore()
    unstamped = private.attest(STATEMENT, JOB, at=AT, timestamps=[])
    assert unstamped["verificationMaterial"]["timestampVerificationData"] == {}


def test_instances_do_not_trust_each_other() -> None:
    ours, theirs = PrivateSigstore("ours"), PrivateSigstore("theirs")
    bundle = theirs.attest(STATEMENT, JOB, at=AT)
    assert isinstance(verify(theirs, bundle), Evidence)
    # The same seed has the same certificate authority, and an instance with logs has its own rules.
    others: dict[str, list[PrivateSigstore | VirtualSigstore]] = {
        "certificate-untrusted": [ours, VirtualSigstore("ours")],
        "log-entry-missing": [VirtualSigstore("theirs")],
    }
    for code, instances in others.items():
        for instance in instances:
            refused = verify(instance, bundle)
            assert isinstance(refused, Finding)
            assert refused.code == code


def test_same_calls_same_bytes() -> None:
    def run(seed: str) -> list[bytes]:
        private = PrivateSigstore(seed)
        made = [private.trusted_root(), private.attest(STATEMENT, JOB, at=AT)]
        return [encode_json(document) for document in made]

    assert run("seed") == run("seed")
    assert not set(run("seed")) & set(run("other"))


@pytest.mark.parametrize(
    ("kind", "media_type", "entry_kind", "is_proven"),
    [
        ("intoto", BUNDLE_V03, {"kind": "intoto", "version": "0.0.2"}, True),
        ("promised", BUNDLE_V01, {"kind": "dsse", "version": "0.0.1"}, False),
    ],
)
def test_older_kinds_are_as_clients_wrote_them(
    kind: OlderKind, media_type: str, entry_kind: JsonObject, *, is_proven: bool
) -> None:
    sigstore = VirtualSigstore()
    bundle = sigstore.attest_as_before(STATEMENT, sigstore.signer(JOB, AT), at=AT, kind=kind)
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    assert bundle["mediaType"] == media_type
    assert entry["kindVersion"] == entry_kind
    assert ("inclusionProof" in entry) == is_proven
    evidence = verify(sigstore, bundle)
    assert isinstance(evidence, Evidence)
    assert json.loads(evidence.payload) == STATEMENT
