"""Signatures and log entries that do not belong to what the bundle holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from brew_provenance.sandbox.bundle import assemble_bundle, build_message_signature
from brew_provenance.sandbox.entries import (
    EntryBody,
    build_dsse_entry,
    build_hashed_entry,
    build_hashed_envelope_entry,
    build_message_entry,
)
from brew_provenance.sandbox.envelope import (
    IN_TOTO_PAYLOAD_TYPE,
    build_envelope,
    encode_pae,
    read_payload,
    read_signature,
    read_signed_bytes,
)
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.wire import JsonObject, encode_json

_OTHER_PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


def _logged(build: Callable[[Scenario, JsonObject, Signer], EntryBody]) -> Make:
    """Return a maker whose bundle is right, and whose entry of Rekor v1 is this one."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.signer()
        envelope = scenario.envelope(signer)
        return scenario.log(envelope, signer, body=build(scenario, envelope, signer))

    return make


def _logged_v2(build: Callable[[Scenario, JsonObject, Signer], EntryBody]) -> Make:
    """Return a maker whose bundle is right, and whose entry of Rekor v2 is this one."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.signer()
        envelope = scenario.envelope(signer)
        return scenario.log_v2(envelope, signer, body=build(scenario, envelope, signer))

    return make


def _other_envelope(signer: Signer) -> JsonObject:
    return signer.seal(_OTHER_PAYLOAD)


def _log_unknown_hash(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    body = build_dsse_entry(envelope, signer.certificate)
    spec = json.loads(body.content)["spec"]
    spec["payloadHash"]["algorithm"] = "sha512"
    return EntryBody.canonicalize(body.kind, body.version, spec)


def _log_message_entry(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    digest = hashlib.sha256(read_signed_bytes(envelope)).digest()
    return build_message_entry(digest, read_signature(envelope), signer.certificate)


def _mask_message_entry(scenario: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    return EntryBody("dsse", "0.0.1", _log_message_entry(scenario, envelope, signer).content)


def _log_other_payload(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    other = build_envelope(IN_TOTO_PAYLOAD_TYPE, _OTHER_PAYLOAD, [read_signature(envelope)])
    return build_dsse_entry(other, signer.certificate)


def _log_other_payload_v2(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    digest = hashlib.sha256(encode_pae(IN_TOTO_PAYLOAD_TYPE, _OTHER_PAYLOAD)).digest()
    return build_hashed_entry(digest, read_signature(envelope), signer.certificate)


def _log_other_signature(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    other = read_signature(_other_envelope(signer))
    payload = read_payload(envelope)
    return build_dsse_entry(build_envelope(IN_TOTO_PAYLOAD_TYPE, payload, [other]), signer.certificate)


def _log_other_signature_v2(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    digest = hashlib.sha256(read_signed_bytes(envelope)).digest()
    other = read_signature(_other_envelope(signer))
    return build_hashed_entry(digest, other, signer.certificate)


def _log_other_certificate(scenario: Scenario, envelope: JsonObject, _: Signer) -> EntryBody:
    return build_dsse_entry(envelope, scenario.signer().certificate)


def _log_other_certificate_v2(scenario: Scenario, envelope: JsonObject, _: Signer) -> EntryBody:
    return build_hashed_envelope_entry(envelope, scenario.signer().certificate)


def _log_second_signature(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    signatures = [read_signature(envelope), read_signature(_other_envelope(signer))]
    payload = read_payload(envelope)
    return build_dsse_entry(build_envelope(IN_TOTO_PAYLOAD_TYPE, payload, signatures), signer.certificate)


def _sealed(build: Callable[[Scenario, Signer], JsonObject]) -> Make:
    """Return a maker whose envelope is this one, and whose entry records it as it is."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.signer()
        return scenario.log(build(scenario, signer), signer)

    return make


def _sign_as_stranger(scenario: Scenario, _: Signer) -> JsonObject:
    return scenario.envelope(scenario.other.signer(scenario.job, scenario.at))


def _swap_payload(scenario: Scenario, signer: Signer) -> JsonObject:
    payload = encode_json(scenario.statement())
    signature = read_signature(_other_envelope(signer))
    return build_envelope(IN_TOTO_PAYLOAD_TYPE, payload, [signature])


def _swap_payload_type(scenario: Scenario, signer: Signer) -> JsonObject:
    payload = encode_json(scenario.statement())
    signature = read_signature(signer.seal(payload, "application/json"))
    return build_envelope(IN_TOTO_PAYLOAD_TYPE, payload, [signature])


def _sign_bare_payload(scenario: Scenario, signer: Signer) -> JsonObject:
    payload = encode_json(scenario.statement())
    return build_envelope(IN_TOTO_PAYLOAD_TYPE, payload, [signer.sign(payload)])


def _sign_other_message(scenario: Scenario) -> bytes:
    other = scenario.artifact + b" of another formula"
    return encode_json(scenario.sigstore.sign_message(other, scenario.job, at=scenario.at))


def _sign_message_as_stranger(scenario: Scenario) -> bytes:
    signer, stranger = scenario.signer(), scenario.other.signer(scenario.job, scenario.at)
    digest = hashlib.sha256(scenario.artifact).digest()
    signature = stranger.sign(scenario.artifact)
    body = build_message_entry(digest, signature, signer.certificate)
    return encode_json(
        assemble_bundle(
            {"messageSignature": build_message_signature(digest, signature)},
            [signer.certificate],
            [scenario.sigstore.rekor_v1.record(body, scenario.at)],
        )
    )


SIGNATURES: tuple[Forgery, ...] = (
    Forgery(
        "entry-not-json",
        "log-entry-malformed",
        "The log holds an entry that is not JSON.",
        _logged(lambda *_: EntryBody("dsse", "0.0.1", b"an entry")),
    ),
    Forgery(
        "entry-empty",
        "log-entry-malformed",
        "The log holds an entry that records nothing.",
        _logged(lambda *_: EntryBody.canonicalize("dsse", "0.0.1", {})),
    ),
    Forgery(
        "entry-masked",
        "log-entry-malformed",
        "The entry's body is of another kind than the bundle says.",
        _logged(_mask_message_entry),
    ),
    Forgery(
        "entry-with-unknown-hash",
        "log-entry-malformed",
        "The entry gives the payload's hash by an algorithm that this kind of entry has not.",
        _logged(_log_unknown_hash),
    ),
    Forgery(
        "entry-for-message",
        "log-entry-kind-mismatch",
        "The log recorded the envelope's signature as one over a message.",
        _logged(_log_message_entry),
    ),
    Forgery(
        "entry-of-other-payload",
        "log-entry-payload-mismatch",
        "The log recorded the signature with another payload.",
        _logged(_log_other_payload),
    ),
    Forgery(
        "entry-of-other-payload-v2",
        "log-entry-mismatch",
        "Rekor v2 recorded the signature with another payload.",
        _logged_v2(_log_other_payload_v2),
    ),
    Forgery(
        "entry-of-other-signature",
        "log-entry-signature-mismatch",
        "The log recorded the payload with another signature of the same key.",
        _logged(_log_other_signature),
    ),
    Forgery(
        "entry-of-other-signature-v2",
        "log-entry-mismatch",
        "Rekor v2 recorded the payload with another signature of the same key.",
        _logged_v2(_log_other_signature_v2),
    ),
    Forgery(
        "entry-of-other-certificate",
        "log-entry-signature-mismatch",
        "The log recorded the signature with another certificate (as in CVE-2022-36056).",
        _logged(_log_other_certificate),
    ),
    Forgery(
        "entry-of-other-certificate-v2",
        "log-entry-mismatch",
        "Rekor v2 recorded the signature with another certificate.",
        _logged_v2(_log_other_certificate_v2),
    ),
    Forgery(
        "entry-with-second-signature",
        "log-entry-signature-mismatch",
        "The log recorded a second signature, which the envelope does not carry.",
        _logged(_log_second_signature),
    ),
    Forgery(
        "signature-of-stranger",
        "envelope-signature-invalid",
        "Another key than the certificate's signed the envelope, and the log recorded it.",
        _sealed(_sign_as_stranger),
    ),
    Forgery(
        "signature-of-other-payload",
        "envelope-signature-invalid",
        "The signature is over another payload, and the log recorded it with this one.",
        _sealed(_swap_payload),
    ),
    Forgery(
        "signature-of-other-payload-type",
        "envelope-signature-invalid",
        "The signature is over the payload as another type.",
        _sealed(_swap_payload_type),
    ),
    Forgery(
        "signature-of-bare-payload",
        "envelope-signature-invalid",
        "The signature is over the payload alone, without its type.",
        _sealed(_sign_bare_payload),
    ),
    Forgery(
        "message-of-other-artifact",
        "message-digest-mismatch",
        "The bundle is a signature over another artifact.",
        _sign_other_message,
    ),
    Forgery(
        "message-of-stranger",
        "message-signature-invalid",
        "Another key than the certificate's signed the artifact.",
        _sign_message_as_stranger,
    ),
)
