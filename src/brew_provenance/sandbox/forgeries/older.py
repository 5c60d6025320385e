"""Bundles of older kinds: with an entry of kind intoto/0.0.2, or with a promise and no proof."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from brew_provenance.sandbox.bundle import BUNDLE_V01, BUNDLE_V02, assemble_bundle
from brew_provenance.sandbox.ca import LeafProfile
from brew_provenance.sandbox.ctlog import CertificateLog
from brew_provenance.sandbox.entries import EntryBody, build_dsse_entry, build_intoto_entry
from brew_provenance.sandbox.envelope import (
    IN_TOTO_PAYLOAD_TYPE,
    build_envelope,
    read_payload,
    read_signature,
)
from brew_provenance.sandbox.forgeries.certificates import MaskedLog
from brew_provenance.sandbox.forgeries.logs import PROMISE_FAULTS, PROOF_FAULTS, LogFault, name_log
from brew_provenance.sandbox.instance import OlderKind
from brew_provenance.sandbox.keys import derive_key
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario, alter, reach_entry
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.wire import JsonObject, encode_bytes, encode_json

_LATE = timedelta(minutes=11)
_EARLY = timedelta(minutes=-1)
_OTHER_PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
_SCT_LIST = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS

# The promise is looked at before the checkpoint, and fails on a log that did not make it.
_OTHER_CODES = {"log-checkpoint-log-unknown": "log-promise-invalid"}
_NAMING = {"entry-names-stranger-log", "entry-names-sibling-log"}
# It puts another kind of entry in the place of this one.
_OF_ONE_KIND = {"proof-of-other-entry"}


def _logged(build: Callable[[Scenario, JsonObject, Signer], EntryBody]) -> Make:
    """Return a maker whose bundle is right, and whose entry of kind intoto/0.0.2 is this one."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.signer()
        envelope = scenario.envelope(signer)
        return scenario.log(envelope, signer, body=build(scenario, envelope, signer))

    return make


def _sealed(seal: Callable[[Scenario, Signer], JsonObject]) -> Make:
    """Return a maker whose envelope is this one, which its entry of kind intoto/0.0.2 records."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.signer()
        envelope = seal(scenario, signer)
        return scenario.log(envelope, signer, body=build_intoto_entry(envelope, signer.certificate))

    return make


def _promised(build: Callable[[Scenario, JsonObject, Signer], EntryBody]) -> Make:
    """Return a maker whose bundle is right, and whose entry, promised and not proved, is this one."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.signer()
        envelope = scenario.envelope(signer)
        entry = scenario.sigstore.rekor_v1.record(build(scenario, envelope, signer), scenario.at)
        del entry["inclusionProof"]
        content = {"dsseEnvelope": envelope}
        return encode_json(assemble_bundle(content, [signer.certificate], [entry], media_type=BUNDLE_V01))

    return make


def _signed_by(kind: OlderKind, choose: Callable[[Scenario], Signer]) -> Make:
    """Return a maker of an older kind whose signer is this one, and whose bundle is right besides."""
    return lambda s: encode_json(s.sigstore.attest_as_before(s.statement(), choose(s), at=s.at, kind=kind))


def _signed_at(kind: OlderKind, delay: timedelta) -> Make:
    """Return a maker of an older kind that the log took in at this time after the certificate's issue."""
    return lambda s: encode_json(
        s.sigstore.attest_as_before(s.statement(), s.signer(), at=s.at + delay, kind=kind)
    )


def _issued(change: Callable[[LeafProfile], LeafProfile]) -> Callable[[Scenario], Signer]:
    return lambda s: s.sigstore.issue(change(s.sigstore.profile(s.job, s.at)))


def _transparent(*choose: Callable[[Scenario], CertificateLog]) -> Callable[[Scenario], Signer]:
    """Return what issues a certificate with an SCT of each of these logs."""

    def sign(scenario: Scenario) -> Signer:
        key = derive_key("forged older leaf", scenario.name)
        profile = scenario.sigstore.profile(scenario.job, scenario.at)
        logs = [log(scenario) for log in choose]
        return Signer(key, scenario.sigstore.authority.issue(profile, key.public_key(), logs))

    return sign


def _copy_sct(scenario: Scenario) -> Signer:
    copied = scenario.signer().certificate.extensions.get_extension_for_oid(_SCT_LIST)
    profile = replace(
        scenario.sigstore.profile(scenario.job, scenario.at),
        raw_extensions={_SCT_LIST: copied.value.public_bytes()},
    )
    key = derive_key("forged older leaf", scenario.name)
    return Signer(key, scenario.sigstore.authority.issue(profile, key.public_key(), []))


def _respecify(change: Callable[[JsonObject, Scenario, Signer], object]) -> Make:
    """Return a maker whose log recorded an entry of kind intoto/0.0.2 that was changed before."""

    def build(scenario: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
        body = build_intoto_entry(envelope, signer.certificate)
        content = json.loads(body.content)["spec"]["content"]
        change(content, scenario, signer)
        return EntryBody.canonicalize(body.kind, body.version, {"content": content})

    return _logged(build)


def _record_other_signature(content: JsonObject, _: Scenario, signer: Signer) -> None:
    other = signer.seal(_OTHER_PAYLOAD)["signatures"][0]["sig"]
    content["envelope"]["signatures"][0]["sig"] = encode_bytes(other.encode())


def _record_other_certificate(content: JsonObject, scenario: Scenario, _: Signer) -> None:
    other = build_intoto_entry(scenario.envelope(scenario.signer()), scenario.signer().certificate)
    envelope = json.loads(other.content)["spec"]["content"]["envelope"]
    content["envelope"]["signatures"][0]["publicKey"] = envelope["signatures"][0]["publicKey"]


def _record_two_certificates(content: JsonObject, scenario: Scenario, _: Signer) -> None:
    right = base64.b64decode(content["envelope"]["signatures"][0]["publicKey"])
    _record_other_certificate(content, scenario, _)
    other = base64.b64decode(content["envelope"]["signatures"][0]["publicKey"])
    content["envelope"]["signatures"][0]["publicKey"] = encode_bytes(right + other)


def _record_other_payload(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    other = build_envelope(IN_TOTO_PAYLOAD_TYPE, _OTHER_PAYLOAD, [read_signature(envelope)])
    return build_intoto_entry(other, signer.certificate)


def _promise_other_payload(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    other = build_envelope(IN_TOTO_PAYLOAD_TYPE, _OTHER_PAYLOAD, [read_signature(envelope)])
    return build_dsse_entry(other, signer.certificate)


def _promise_other_signature(_: Scenario, envelope: JsonObject, signer: Signer) -> EntryBody:
    other = read_signature(signer.seal(_OTHER_PAYLOAD))
    recorded = build_envelope(IN_TOTO_PAYLOAD_TYPE, read_payload(envelope), [other])
    return build_dsse_entry(recorded, signer.certificate)


def _sign_as_stranger(scenario: Scenario, _: Signer) -> JsonObject:
    return scenario.envelope(scenario.other.signer(scenario.job, scenario.at))


def _swap_payload(scenario: Scenario, signer: Signer) -> JsonObject:
    signature = read_signature(signer.seal(_OTHER_PAYLOAD))
    return build_envelope(IN_TOTO_PAYLOAD_TYPE, encode_json(scenario.statement()), [signature])


def _add_unsigned_proof(bundle: JsonObject, scenario: Scenario) -> None:
    log = scenario.sigstore.rekor_v1
    reach_entry(bundle)["inclusionProof"] = {
        "logIndex": "1",
        "rootHash": encode_bytes(log.tree.root()),
        "treeSize": str(len(log.tree)),
        "hashes": [encode_bytes(node) for node in log.tree.prove(1)],
    }


def _of_intoto(fault: LogFault) -> Forgery:
    code = _OTHER_CODES.get(fault.code, fault.code) if fault.name in _NAMING else fault.code
    what = f"{fault.what[:-1]}, and the entry is of kind intoto/0.0.2."
    return Forgery(f"intoto-{fault.name}", code, what, alter(Scenario.bundle_intoto, fault.edit))


def _of_promise(fault: LogFault) -> Forgery:
    what = f"{fault.what[:-1]}, and there is no proof."
    return Forgery(f"promised-{fault.name}", fault.code, what, alter(Scenario.bundle_promised, fault.edit))


OLDER: tuple[Forgery, ...] = (
    *(_of_intoto(fault) for fault in PROOF_FAULTS if fault.name not in _OF_ONE_KIND),
    *(_of_intoto(fault) for fault in PROMISE_FAULTS),
    *(_of_promise(fault) for fault in PROMISE_FAULTS),
    Forgery(
        "promised-by-stranger-log",
        "log-promise-invalid",
        "The entry, which has no proof, names a log that nobody trusts.",
        alter(Scenario.bundle_promised, name_log(lambda s: s.other.rekor_v1)),
    ),
    Forgery(
        "promised-by-sibling-log",
        "log-promise-invalid",
        "The entry, which has no proof, names another log of the trusted root than the one that promised.",
        alter(Scenario.bundle_promised, name_log(lambda s: s.sigstore.rekor_v2)),
    ),
    Forgery(
        "promised-without-a-time",
        "log-promise-invalid",
        "The entry has neither a proof nor a time.",
        alter(Scenario.bundle_promised, lambda bundle, _: reach_entry(bundle).pop("integratedTime")),
    ),
    Forgery(
        "promised-beyond-time",
        "log-promise-invalid",
        "The entry's time is no time.",
        alter(
            Scenario.bundle_promised,
            lambda bundle, _: reach_entry(bundle).update(integratedTime=str(2**63)),
        ),
    ),
    Forgery(
        "promised-with-index-beyond-json",
        "log-promise-invalid",
        "The entry's index is a number that canonical JSON cannot hold.",
        alter(
            Scenario.bundle_promised,
            lambda bundle, _: reach_entry(bundle).update(logIndex=str(2**63)),
        ),
    ),
    Forgery(
        "promised-in-later-version",
        "log-proof-missing",
        "A bundle of a version that requires a proof carries a promise alone.",
        alter(Scenario.bundle_promised, lambda bundle, _: bundle.update(mediaType=BUNDLE_V02)),
    ),
    Forgery(
        "promised-with-proof-of-other-entry",
        "log-proof-invalid",
        "Beside the promise stands a proof without a checkpoint, of another entry.",
        alter(Scenario.bundle_promised, _add_unsigned_proof),
    ),
    Forgery(
        "promised-other-payload",
        "log-entry-payload-mismatch",
        "The log promised to take in the signature with another payload.",
        _promised(_promise_other_payload),
    ),
    Forgery(
        "promised-other-signature",
        "log-entry-signature-mismatch",
        "The log promised to take in the payload with another signature of the same key.",
        _promised(_promise_other_signature),
    ),
    Forgery(
        "promised-other-certificate",
        "log-entry-signature-mismatch",
        "The log promised to take in the signature with another certificate.",
        _promised(lambda s, envelope, _: build_dsse_entry(envelope, s.signer().certificate)),
    ),
    Forgery(
        "promised-after-expiry",
        "certificate-time-invalid",
        "The log promised the entry a minute after the certificate had expired.",
        _signed_at("promised", _LATE),
    ),
    Forgery(
        "promised-for-stranger-authority",
        "certificate-untrusted",
        "Another instance's authority issued the certificate, and the trusted log promised the entry.",
        _signed_by("promised", lambda s: s.other.signer(s.job, s.at)),
    ),
    Forgery(
        "promised-for-private-certificate",
        "log-entry-unexpected",
        "A log promised to take in what a certificate of an instance without a log signed.",
        _signed_by("promised", lambda s: s.private.signer(s.job, s.at)),
    ),
    Forgery(
        "promised-without-sct",
        "sct-missing",
        "No certificate transparency log knows of the certificate that the entry records.",
        _signed_by("promised", _transparent()),
    ),
    Forgery(
        "intoto-entry-not-json",
        "log-entry-malformed",
        "The log holds an entry of kind intoto/0.0.2 that is not JSON.",
        _logged(lambda *_: EntryBody("intoto", "0.0.2", b"an entry")),
    ),
    Forgery(
        "intoto-entry-empty",
        "log-entry-malformed",
        "The log holds an entry of kind intoto/0.0.2 that records nothing.",
        _logged(lambda *_: EntryBody.canonicalize("intoto", "0.0.2", {})),
    ),
    Forgery(
        "intoto-entry-without-specification",
        "log-entry-malformed",
        "The log holds an entry of kind intoto/0.0.2 that is a bare list.",
        _logged(lambda *_: EntryBody("intoto", "0.0.2", b"[]")),
    ),
    Forgery(
        "intoto-entry-masked",
        "log-entry-malformed",
        "The entry's body is of kind dsse/0.0.1, and the bundle says intoto/0.0.2.",
        _logged(
            lambda _, envelope, signer: EntryBody(
                "intoto", "0.0.2", build_dsse_entry(envelope, signer.certificate).content
            )
        ),
    ),
    Forgery(
        "intoto-entry-with-unknown-hash",
        "log-entry-malformed",
        "The entry of kind intoto/0.0.2 gives the payload's hash by another algorithm.",
        _respecify(lambda content, *_: content["payloadHash"].update(algorithm="sha512")),
    ),
    Forgery(
        "intoto-entry-with-list-for-hash",
        "log-entry-malformed",
        "The entry of kind intoto/0.0.2 gives a list for the payload's hash.",
        _respecify(lambda content, *_: content.update(payloadHash=[])),
    ),
    Forgery(
        "intoto-entry-without-signatures",
        "log-entry-malformed",
        "The entry of kind intoto/0.0.2 gives an object for its signatures.",
        _respecify(lambda content, *_: content["envelope"].update(signatures={})),
    ),
    Forgery(
        "intoto-entry-with-number-for-signature",
        "log-entry-malformed",
        "The entry of kind intoto/0.0.2 gives a number for the signature.",
        _respecify(lambda content, *_: content["envelope"]["signatures"][0].update(sig=7)),
    ),
    Forgery(
        "intoto-entry-of-other-payload",
        "log-entry-payload-mismatch",
        "The entry of kind intoto/0.0.2 records the signature with another payload.",
        _logged(_record_other_payload),
    ),
    Forgery(
        "intoto-entry-of-other-payload-type",
        "log-entry-payload-mismatch",
        "The entry of kind intoto/0.0.2 records the payload as another type.",
        _respecify(lambda content, *_: content["envelope"].update(payloadType="application/json")),
    ),
    Forgery(
        "intoto-entry-of-other-signature",
        "log-entry-signature-mismatch",
        "The entry of kind intoto/0.0.2 records another signature of the same key.",
        _respecify(_record_other_signature),
    ),
    Forgery(
        "intoto-entry-of-other-certificate",
        "log-entry-signature-mismatch",
        "The entry of kind intoto/0.0.2 records another certificate.",
        _respecify(_record_other_certificate),
    ),
    Forgery(
        "intoto-entry-of-two-certificates",
        "log-entry-signature-mismatch",
        "The entry of kind intoto/0.0.2 records the certificate, and another one after it.",
        _respecify(_record_two_certificates),
    ),
    Forgery(
        "intoto-entry-with-second-signature",
        "log-entry-signature-mismatch",
        "The entry of kind intoto/0.0.2 records a second signature, which the envelope does not carry.",
        _respecify(
            lambda content, *_: content["envelope"]["signatures"].append({"sig": "", "publicKey": ""})
        ),
    ),
    Forgery(
        "intoto-logged-after-expiry",
        "certificate-time-invalid",
        "The log took the entry of kind intoto/0.0.2 in a minute after the certificate had expired.",
        _signed_at("intoto", _LATE),
    ),
    Forgery(
        "intoto-logged-before-issue",
        "certificate-time-invalid",
        "The log took the entry of kind intoto/0.0.2 in a minute before the certificate was issued.",
        _signed_at("intoto", _EARLY),
    ),
    Forgery(
        "intoto-for-stranger-authority",
        "certificate-untrusted",
        "Another instance's authority issued the certificate that the entry of kind intoto/0.0.2 records.",
        _signed_by("intoto", lambda s: s.other.signer(s.job, s.at)),
    ),
    Forgery(
        "intoto-for-private-certificate",
        "log-entry-unexpected",
        "The entry of kind intoto/0.0.2 records what a certificate of an instance without a log signed.",
        _signed_by("intoto", lambda s: s.private.signer(s.job, s.at)),
    ),
    Forgery(
        "intoto-server-certificate",
        "certificate-usage-invalid",
        "The certificate that the entry of kind intoto/0.0.2 records is for authenticating servers.",
        _signed_by(
            "intoto",
            _issued(lambda leaf: replace(leaf, extended_usages=(ExtendedKeyUsageOID.SERVER_AUTH,))),
        ),
    ),
    Forgery(
        "intoto-without-sct",
        "sct-missing",
        "No log knows of the certificate that an entry of kind intoto/0.0.2 records.",
        _signed_by("intoto", _transparent()),
    ),
    Forgery(
        "intoto-with-two-scts",
        "sct-many",
        "Two promises to log the certificate stand in it, and the entry is of kind intoto/0.0.2.",
        _signed_by(
            "intoto", _transparent(lambda s: s.sigstore.certificate_log, lambda s: s.other.certificate_log)
        ),
    ),
    Forgery(
        "intoto-with-stranger-sct",
        "sct-invalid",
        "A log that nobody trusts promised to log the certificate; the entry is of kind intoto/0.0.2.",
        _signed_by("intoto", _transparent(lambda s: s.other.certificate_log)),
    ),
    Forgery(
        "intoto-with-masked-sct",
        "sct-invalid",
        "Another log promised the certificate under the right one's id; the entry is of kind intoto/0.0.2.",
        _signed_by(
            "intoto",
            _transparent(lambda s: MaskedLog(s.other.certificate_log.key, s.sigstore.certificate_log.log_id)),
        ),
    ),
    Forgery(
        "intoto-with-copied-sct",
        "sct-invalid",
        "The promise to log the certificate is another certificate's; the entry is of kind intoto/0.0.2.",
        _signed_by("intoto", _copy_sct),
    ),
    Forgery(
        "intoto-signature-of-stranger",
        "envelope-signature-invalid",
        "Another key than the certificate's signed, and the entry of kind intoto/0.0.2 records it.",
        _sealed(_sign_as_stranger),
    ),
    Forgery(
        "intoto-signature-of-other-payload",
        "envelope-signature-invalid",
        "The signature is over another payload, and the entry of kind intoto/0.0.2 records it with this one.",
        _sealed(_swap_payload),
    ),
)
