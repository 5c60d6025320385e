from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sigstore.errors import VerificationError
from sigstore.models import Bundle, InvalidBundle

from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.bundle import BUNDLE_V01, BUNDLE_V02, BUNDLE_V03, assemble_bundle
from brew_provenance.sandbox.entries import build_intoto_entry
from brew_provenance.sandbox.instance import LogVersion, VirtualSigstore
from brew_provenance.sandbox.wire import encode_json

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = ActionsJob()
STATEMENT = build_statement([build_subject("name", "00")], JOB.provenance())

LOGS: tuple[LogVersion, ...] = ("rekor-v1", "rekor-v2")

Verify = Callable[[VirtualSigstore, bytes], bytes]
VerifyMessage = Callable[[VirtualSigstore, bytes, bytes], None]


@pytest.mark.parametrize(
    ("log", "media_type"),
    [
        ("rekor-v1", BUNDLE_V01),
        ("rekor-v1", BUNDLE_V02),
        ("rekor-v1", BUNDLE_V03),
        ("rekor-v2", BUNDLE_V02),
        ("rekor-v2", BUNDLE_V03),
    ],
)
@pytest.mark.parametrize("timestamps", [False, True])
def test_sigstore_accepts_an_attestation(
    verify: Verify, log: LogVersion, media_type: str, *, timestamps: bool
) -> None:
    sigstore = VirtualSigstore()
    bundle = sigstore.attest(STATEMENT, JOB, at=AT, log=log, timestamps=timestamps, media_type=media_type)
    assert verify(sigstore, encode_json(bundle)) == encode_json(STATEMENT)


@pytest.mark.parametrize("log", LOGS)
def test_sigstore_accepts_a_message_signature(verify_message: VerifyMessage, log: LogVersion) -> None:
    sigstore = VirtualSigstore()
    bundle = encode_json(sigstore.sign_message(b"message", JOB, at=AT, log=log))
    verify_message(sigstore, bundle, b"message")
    with pytest.raises(VerificationError):
        verify_message(sigstore, bundle, b"other")


def test_one_signer_signs_many_statements(verify: Verify) -> None:
    sigstore = VirtualSigstore()
    signer = sigstore.signer(JOB, AT)
    bundles = [
        sigstore.attest(b"%d" % number, signer, at=AT + timedelta(seconds=number)) for number in range(20)
    ]
    assert len({json.dumps(bundle["verificationMaterial"]["certificate"]) for bundle in bundles}) == 1
    assert [verify(sigstore, encode_json(bundle)) for bundle in bundles] == [
        b"%d" % number for number in range(20)
    ]


def test_each_job_gets_its_own_key() -> None:
    sigstore = VirtualSigstore()
    numbers = {sigstore.signer(JOB, AT).certificate.serial_number for _ in range(3)}
    assert len(numbers) == 3


def test_same_calls_same_bytes() -> None:
    def run(seed: str) -> list[bytes]:
        sigstore = VirtualSigstore(seed)
        return [
            encode_json(sigstore.trusted_root()),
            *(encode_json(sigstore.attest(STATEMENT, JOB, at=AT, log=log)) for log in LOGS),
            encode_json(sigstore.sign_message(b"message", JOB, at=AT)),
        ]

    assert run("seed") == run("seed")
    assert not set(run("seed")) & set(run("other"))


@pytest.mark.parametrize("log", LOGS)
def test_instances_do_not_trust_each_other(verify: Verify, log: LogVersion) -> None:
    ours, theirs = VirtualSigstore("ours"), VirtualSigstore("theirs")
    bundle = encode_json(theirs.attest(STATEMENT, JOB, at=AT, log=log))
    verify(theirs, bundle)
    with pytest.raises(VerificationError):
        verify(ours, bundle)


def test_nothing_is_valid_before_the_epoch(verify: Verify) -> None:
    sigstore = VirtualSigstore(epoch=datetime(2026, 1, 1, tzinfo=UTC))
    verify(sigstore, encode_json(sigstore.attest(STATEMENT, JOB, at=AT)))
    early = encode_json(sigstore.attest(STATEMENT, JOB, at=datetime(2025, 12, 31, tzinfo=UTC)))
    with pytest.raises(VerificationError):
        verify(sigstore, early)


def test_intoto_entry_parses_and_is_not_supported(verify: Verify) -> None:
    sigstore = VirtualSigstore()
    signer = sigstore.signer(JOB, AT)
    envelope = signer.seal(encode_json(STATEMENT))
    entry = sigstore.rekor_v1.record(build_intoto_entry(envelope, signer.certificate), AT)
    bundle = encode_json(assemble_bundle({"dsseEnvelope": envelope}, [signer.certificate], [entry]))
    Bundle.from_json(bundle)
    with pytest.raises(VerificationError, match="Integrated time only supported"):
        verify(sigstore, bundle)


def test_chain_may_hold_more_than_the_leaf(verify: Verify) -> None:
    sigstore = VirtualSigstore()
    bundle = sigstore.attest(STATEMENT, JOB, at=AT, media_type=BUNDLE_V02)
    authority = sigstore.authority.intermediate
    chain = assemble_bundle({}, [authority], [], media_type=BUNDLE_V02)
    certificates = [
        made["verificationMaterial"]["x509CertificateChain"]["certificates"][0] for made in (bundle, chain)
    ]
    bundle["verificationMaterial"]["x509CertificateChain"]["certificates"] = certificates
    verify(sigstore, encode_json(bundle))
    bundle["verificationMaterial"]["x509CertificateChain"]["certificates"] = certificates[::-1]
    with pytest.raises(InvalidBundle):
        verify(sigstore, encode_json(bundle))
