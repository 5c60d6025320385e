"""Bundles that lack a part, have one too many, or are of a shape that no client writes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding

from brew_provenance.sandbox.bundle import BUNDLE_V01, BUNDLE_V02, BUNDLE_V03
from brew_provenance.sandbox.entries import EntryBody, build_dsse_entry
from brew_provenance.sandbox.envelope import build_envelope, read_payload, read_signature
from brew_provenance.sandbox.scenario import (
    Forgery,
    Scenario,
    alter_bundle,
    alter_bundle_v2,
    reach,
    reach_entry,
)
from brew_provenance.sandbox.wire import JsonObject, encode_bytes, encode_json

_MOST_TIMESTAMPS = 32
_UNKNOWN_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.9+json"


def _material(bundle: JsonObject) -> JsonObject:
    return reach(bundle, "verificationMaterial")


def _add_message_signature(bundle: JsonObject, scenario: Scenario) -> None:
    signed = scenario.sigstore.sign_message(scenario.artifact, scenario.job, at=scenario.at)
    bundle["messageSignature"] = signed["messageSignature"]


def _add_chain(bundle: JsonObject, _: Scenario) -> None:
    material = _material(bundle)
    material["x509CertificateChain"] = {"certificates": [material["certificate"]]}


def _set_certificate(bundle: JsonObject, der: bytes) -> None:
    _material(bundle)["certificate"]["rawBytes"] = encode_bytes(der)


def _certificate_der(scenario: Scenario) -> bytes:
    return scenario.signer().certificate.public_bytes(Encoding.DER)


def _sign_as_authority(scenario: Scenario, media_type: str) -> bytes:
    profile = scenario.sigstore.profile(scenario.job, scenario.at)
    signer = scenario.sigstore.issue(dataclasses.replace(profile, is_authority=True))
    statement = scenario.statement()
    return encode_json(scenario.sigstore.attest(statement, signer, at=scenario.at, media_type=media_type))


def _empty_chain(scenario: Scenario) -> bytes:
    bundle = scenario.sigstore.attest(
        scenario.statement(), scenario.job, at=scenario.at, media_type=BUNDLE_V01
    )
    _material(bundle)["x509CertificateChain"] = {"certificates": []}
    return encode_json(bundle)


def _drop_proof_v02(scenario: Scenario) -> bytes:
    bundle = scenario.sigstore.attest(
        scenario.statement(), scenario.job, at=scenario.at, media_type=BUNDLE_V02
    )
    del reach_entry(bundle)["inclusionProof"]
    return encode_json(bundle)


def _log_unknown_version(scenario: Scenario) -> bytes:
    signer = scenario.signer()
    envelope = scenario.envelope(signer)
    body = build_dsse_entry(envelope, signer.certificate)
    content = body.content.replace(b'"apiVersion":"0.0.1"', b'"apiVersion":"0.0.9"')
    return scenario.log(envelope, signer, body=EntryBody(body.kind, "0.0.9", content))


def _add_second_entry(bundle: JsonObject, scenario: Scenario) -> None:
    other = scenario.sigstore.rekor_v1.record(
        EntryBody.canonicalize("dsse", "0.0.1", {"note": "of somebody else"}), scenario.at
    )
    _material(bundle)["tlogEntries"].append(other)


def _set_timestamps(bundle: JsonObject, timestamps: list[bytes]) -> None:
    _material(bundle)["timestampVerificationData"] = {
        "rfc3161Timestamps": [{"signedTimestamp": encode_bytes(stamp)} for stamp in timestamps]
    }


def _add_many_timestamps(bundle: JsonObject, scenario: Scenario) -> None:
    signature = read_signature(bundle["dsseEnvelope"])
    times = [scenario.at + timedelta(seconds=second) for second in range(_MOST_TIMESTAMPS + 1)]
    stamp = scenario.sigstore.timestamp_authority.stamp
    _set_timestamps(bundle, [stamp(signature, time) for time in times])


def _sign_twice(scenario: Scenario) -> bytes:
    signer = scenario.signer()
    envelope = scenario.envelope(signer)
    second = scenario.other.signer(scenario.job, scenario.at)
    envelope["signatures"] += scenario.envelope(second)["signatures"]
    return scenario.log(envelope, signer)


def _sign_never(scenario: Scenario) -> bytes:
    signer = scenario.signer()
    envelope = scenario.envelope(signer)
    unsigned = build_envelope(envelope["payloadType"], read_payload(envelope), [])
    return scenario.log(unsigned, signer)


PARSING: tuple[Forgery, ...] = (
    Forgery(
        "media-type-of-the-future",
        "bundle-media-type-unknown",
        "The media type names a bundle version that does not exist.",
        alter_bundle(lambda bundle, _: bundle.update(mediaType=_UNKNOWN_MEDIA_TYPE)),
    ),
    Forgery(
        "media-type-with-parameter",
        "bundle-media-type-unknown",
        "The media type is a known one with something added to it.",
        alter_bundle(lambda bundle, _: bundle.update(mediaType=f"{bundle['mediaType']};v=1")),
    ),
    Forgery(
        "bundle-is-a-list",
        "bundle-malformed",
        "The bundle stands in a JSON array.",
        lambda scenario: encode_json([scenario.bundle()]),
    ),
    Forgery(
        "log-entries-not-a-list",
        "bundle-malformed",
        "The log entries are one object instead of an array.",
        alter_bundle(
            lambda bundle, _: _material(bundle).update(tlogEntries=reach_entry(bundle)),
        ),
    ),
    Forgery(
        "unknown-field",
        "bundle-malformed",
        "The verification material has a field that no bundle version defines.",
        alter_bundle(lambda bundle, _: _material(bundle).update(verificationData={})),
    ),
    Forgery(
        "no-content",
        "bundle-content-missing",
        "The envelope was taken out and nothing put in its place.",
        alter_bundle(lambda bundle, _: bundle.pop("dsseEnvelope")),
    ),
    Forgery(
        "two-contents",
        "bundle-content-ambiguous",
        "The bundle has a signature over the artifact beside the envelope.",
        alter_bundle(_add_message_signature),
    ),
    Forgery(
        "no-verification-material",
        "verification-material-missing",
        "The verification material was taken out.",
        alter_bundle(lambda bundle, _: bundle.pop("verificationMaterial")),
    ),
    Forgery(
        "no-certificate",
        "certificate-missing",
        "The certificate was taken out.",
        alter_bundle(lambda bundle, _: _material(bundle).pop("certificate")),
    ),
    Forgery(
        "empty-certificate-chain",
        "certificate-missing",
        "The bundle is of version 0.1 with a chain of no certificates.",
        _empty_chain,
    ),
    Forgery(
        "certificate-and-chain",
        "certificate-ambiguous",
        "The bundle has a certificate chain beside the certificate.",
        alter_bundle(_add_chain),
    ),
    Forgery(
        "certificate-and-key",
        "certificate-ambiguous",
        "The bundle has a hint at a managed key beside the certificate.",
        alter_bundle(lambda bundle, _: _material(bundle).update(publicKey={"hint": "ours"})),
    ),
    Forgery(
        "certificate-truncated",
        "certificate-malformed",
        "The certificate's last byte is missing.",
        alter_bundle(lambda bundle, s: _set_certificate(bundle, _certificate_der(s)[:-1])),
    ),
    Forgery(
        "certificate-not-der",
        "certificate-malformed",
        "The certificate is text.",
        alter_bundle(lambda bundle, _: _set_certificate(bundle, b"certificate")),
    ),
    Forgery(
        "authority-as-leaf",
        "certificate-not-leaf",
        "The signer's certificate is that of a certificate authority.",
        lambda scenario: _sign_as_authority(scenario, BUNDLE_V03),
    ),
    Forgery(
        "authority-as-leaf-in-chain",
        "certificate-not-leaf",
        "The first certificate of a chain is that of a certificate authority.",
        lambda scenario: _sign_as_authority(scenario, BUNDLE_V02),
    ),
    Forgery(
        "no-log-entry",
        "log-entry-missing",
        "The log entry was taken out; a signed timestamp gives the time.",
        alter_bundle_v2(lambda bundle, _: _material(bundle).update(tlogEntries=[])),
    ),
    Forgery(
        "two-log-entries",
        "log-entries-many",
        "A second, genuine log entry was added.",
        alter_bundle(_add_second_entry),
    ),
    Forgery(
        "log-entry-twice",
        "log-entries-many",
        "The log entry is there twice.",
        alter_bundle(
            lambda bundle, _: _material(bundle)["tlogEntries"].append(reach_entry(bundle)),
        ),
    ),
    Forgery(
        "log-entry-version-of-the-future",
        "log-entry-version-unknown",
        "The log holds an entry of a version that does not exist.",
        _log_unknown_version,
    ),
    Forgery(
        "no-inclusion-proof",
        "log-proof-missing",
        "The inclusion proof was taken out; the promise is still there.",
        alter_bundle(lambda bundle, _: reach_entry(bundle).pop("inclusionProof")),
    ),
    Forgery(
        "no-inclusion-proof-v0.2",
        "log-proof-missing",
        "The bundle is of version 0.2, which requires a proof, and has the promise alone.",
        _drop_proof_v02,
    ),
    Forgery(
        "no-checkpoint",
        "log-checkpoint-missing",
        "The inclusion proof leads to a root that nobody signed.",
        alter_bundle(lambda bundle, _: reach_entry(bundle)["inclusionProof"].pop("checkpoint")),
    ),
    Forgery(
        "no-promise",
        "time-missing",
        "The integrated time stands alone, without the promise that signs it.",
        alter_bundle(lambda bundle, _: reach_entry(bundle).pop("inclusionPromise")),
    ),
    Forgery(
        "no-timestamp",
        "time-missing",
        "The timestamp of a bundle of Rekor v2, its only source of time, was taken out.",
        alter_bundle_v2(lambda bundle, _: _set_timestamps(bundle, [])),
    ),
    Forgery(
        "many-timestamps",
        "timestamps-too-many",
        "The bundle carries 33 genuine timestamps.",
        alter_bundle(_add_many_timestamps),
    ),
    Forgery(
        "timestamp-not-der",
        "timestamp-malformed",
        "The bundle carries text in the place of a timestamp, beside its promise.",
        alter_bundle(lambda bundle, _: _set_timestamps(bundle, [b"timestamp"])),
    ),
    Forgery(
        "two-signatures",
        "envelope-signatures-many",
        "A stranger signed the envelope too.",
        _sign_twice,
    ),
    Forgery(
        "no-signature",
        "envelope-signatures-many",
        "Nobody signed the envelope.",
        _sign_never,
    ),
)
