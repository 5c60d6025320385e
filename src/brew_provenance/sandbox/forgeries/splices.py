"""Bundles put together from parts that are each genuine, and encodings with something behind their end."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from brew_provenance.sandbox.bundle import BUNDLE_V02, assemble_bundle
from brew_provenance.sandbox.entries import build_dsse_entry
from brew_provenance.sandbox.envelope import (
    IN_TOTO_PAYLOAD_TYPE,
    build_envelope,
    read_payload,
    read_signature,
)
from brew_provenance.sandbox.keys import derive_key
from brew_provenance.sandbox.scenario import (
    Edit,
    Forgery,
    Make,
    Scenario,
    alter_bundle,
    alter_bundle_v2,
    reach,
    reach_entry,
)
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.wire import JsonObject, encode_bytes, encode_json

_YEAR = timedelta(days=365)
_TAIL = b"\x05\x00"
_SCT_LIST = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS

_KINDS: dict[str, tuple[str, Callable[[Scenario], JsonObject]]] = {
    "v1": ("with an entry of Rekor v1", Scenario.bundle),
    "v2": ("with an entry of Rekor v2", Scenario.bundle_v2),
    "intoto": ("with an entry of kind intoto/0.0.2", Scenario.bundle_intoto),
    "promised": ("with a promise alone", Scenario.bundle_promised),
    "private": ("of an instance without a log", Scenario.bundle_private),
}
"""Every kind of bundle that is accepted, and how a right one is made."""

# What each part is called, and where it stands: in the bundle, or else in its log entry.
_PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "envelope": ("envelope", ("dsseEnvelope",)),
    "payload": ("payload", ("dsseEnvelope", "payload")),
    "signature": ("signature", ("dsseEnvelope", "signatures")),
    "certificate": ("certificate", ("verificationMaterial", "certificate")),
    "chain": ("certificate chain", ("verificationMaterial", "x509CertificateChain")),
    "timestamp": ("timestamp", ("verificationMaterial", "timestampVerificationData")),
    "entry": ("log entry", ("verificationMaterial", "tlogEntries")),
    "body": ("log entry's body", ("canonicalizedBody",)),
    "promise": ("inclusion promise", ("inclusionPromise",)),
    "proof": ("inclusion proof", ("inclusionProof",)),
}

_CODES: dict[str, dict[str, str]] = {
    "v1": {
        "envelope": "envelope-signature-invalid",
        "payload": "envelope-signature-invalid",
        "signature": "envelope-signature-invalid",
        "certificate": "envelope-signature-invalid",
        "entry": "log-entry-payload-mismatch",
        "body": "log-proof-invalid",
        "promise": "log-promise-invalid",
        "proof": "log-proof-invalid",
    },
    "v2": {
        "envelope": "timestamp-unverified",
        "payload": "envelope-signature-invalid",
        "signature": "timestamp-unverified",
        "certificate": "envelope-signature-invalid",
        "timestamp": "timestamp-unverified",
        "entry": "log-entry-mismatch",
        "body": "log-proof-invalid",
        "proof": "log-proof-invalid",
    },
    "intoto": {
        "envelope": "log-entry-payload-mismatch",
        "payload": "log-entry-payload-mismatch",
        "signature": "log-entry-signature-mismatch",
        "certificate": "log-entry-signature-mismatch",
        "entry": "log-entry-payload-mismatch",
        "body": "log-promise-invalid",
        "promise": "log-promise-invalid",
        "proof": "log-proof-invalid",
    },
    "promised": {
        "envelope": "log-entry-payload-mismatch",
        "payload": "log-entry-payload-mismatch",
        "signature": "log-entry-signature-mismatch",
        "chain": "log-entry-signature-mismatch",
        "entry": "log-entry-payload-mismatch",
        "body": "log-promise-invalid",
        "promise": "log-promise-invalid",
    },
    "private": {
        "envelope": "timestamp-unverified",
        "payload": "envelope-signature-invalid",
        "signature": "timestamp-unverified",
        "certificate": "envelope-signature-invalid",
        "timestamp": "timestamp-unverified",
    },
}


def _holder(bundle: JsonObject, path: tuple[str, ...]) -> JsonObject:
    top = bundle if path[0] in bundle else reach_entry(bundle)
    return reach(top, *path[:-1])


def _splice(right: Callable[[Scenario], JsonObject], part: str) -> Make:
    """Return a maker that puts a part of the same job's bundle for another bottle into the right one."""
    path = _PARTS[part][1]

    def make(scenario: Scenario) -> bytes:
        name = str(dataclasses.replace(scenario.bottle, formula="goodbye"))
        sibling = dataclasses.replace(scenario, artifact=b"a bottle of goodbye", name=name)
        bundle, donor = right(scenario), right(sibling)
        _holder(bundle, path)[path[-1]] = _holder(donor, path)[path[-1]]
        return encode_json(bundle)

    return make


def _log_elsewhere(scenario: Scenario) -> bytes:
    signer = scenario.signer()
    envelope = scenario.envelope(signer)
    entry = scenario.other.rekor_v1.record(build_dsse_entry(envelope, signer.certificate), scenario.at)
    return encode_json(assemble_bundle({"dsseEnvelope": envelope}, [signer.certificate], [entry]))


def _take_checkpoint_of_sibling(bundle: JsonObject, scenario: Scenario) -> None:
    checkpoint = {"envelope": scenario.sigstore.rekor_v2.sign_checkpoint()}
    reach(reach_entry(bundle), "inclusionProof")["checkpoint"] = checkpoint


def _take_proof_of_sibling(bundle: JsonObject, scenario: Scenario) -> None:
    entry = reach_entry(bundle)
    log = scenario.sigstore.rekor_v2
    index = log.append(base64.b64decode(entry["canonicalizedBody"]))
    entry["inclusionProof"] = {
        "logIndex": str(index),
        "rootHash": encode_bytes(log.tree.root()),
        "treeSize": str(len(log.tree)),
        "hashes": [encode_bytes(node) for node in log.tree.prove(index)],
        "checkpoint": {"envelope": log.sign_checkpoint()},
    }


def _resign(keep: str) -> Make:
    """Return a maker whose statement was signed a second time, and which keeps a part of the first time."""
    path = _PARTS[keep][1]

    def make(scenario: Scenario) -> bytes:
        first, second = scenario.bundle(), scenario.bundle()
        _holder(second, path)[path[-1]] = _holder(first, path)[path[-1]]
        return encode_json(second)

    return make


def _resign_as_stranger(scenario: Scenario) -> bytes:
    return encode_json(scenario.other.attest(scenario.statement(), scenario.job, at=scenario.at))


def _issue_at(delay: timedelta) -> Make:
    """Return a maker whose certificate was issued at another time than its use, and is right besides."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.sigstore.signer(scenario.job, scenario.at + delay)
        return encode_json(scenario.sigstore.attest(scenario.statement(), signer, at=scenario.at))

    return make


def _sign_before_the_authorities(scenario: Scenario) -> bytes:
    early = scenario.sigstore.epoch - timedelta(minutes=1)
    return encode_json(scenario.sigstore.attest(scenario.statement(), scenario.job, at=early))


def _put_stranger_first(scenario: Scenario) -> bytes:
    signer = scenario.signer()
    envelope = scenario.envelope(signer)
    stranger = scenario.other.signer(scenario.job, scenario.at)
    entry = scenario.sigstore.rekor_v1.record(build_dsse_entry(envelope, signer.certificate), scenario.at)
    certificates = [stranger.certificate, signer.certificate]
    return encode_json(
        assemble_bundle({"dsseEnvelope": envelope}, certificates, [entry], media_type=BUNDLE_V02)
    )


def _follow_certificate(tail: Callable[[Scenario], bytes]) -> Edit:
    """Let bytes follow the certificate's DER."""

    def edit(bundle: JsonObject, scenario: Scenario) -> None:
        holder = reach(bundle, "verificationMaterial", "certificate")
        holder["rawBytes"] = encode_bytes(base64.b64decode(holder["rawBytes"]) + tail(scenario))

    return edit


def _follow_timestamp(bundle: JsonObject, _: Scenario) -> None:
    (stamp,) = reach(bundle, "verificationMaterial", "timestampVerificationData")["rfc3161Timestamps"]
    stamp["signedTimestamp"] = encode_bytes(base64.b64decode(stamp["signedTimestamp"]) + _TAIL)


def _follow_signature(scenario: Scenario) -> bytes:
    signer = scenario.signer()
    envelope = scenario.envelope(signer)
    signatures = [read_signature(envelope) + _TAIL]
    return scenario.log(build_envelope(IN_TOTO_PAYLOAD_TYPE, read_payload(envelope), signatures), signer)


def _follow_promises(change: Callable[[bytes], bytes]) -> Make:
    """Return a maker whose certificate carries a right SCT in a list that is encoded otherwise."""

    def make(scenario: Scenario) -> bytes:
        sigstore, key = scenario.sigstore, derive_key("forged leaf", scenario.name)
        profile = sigstore.profile(scenario.job, scenario.at)
        # The promise covers the certificate without the list, so that it stays right.
        right = sigstore.authority.issue(profile, key.public_key(), [sigstore.certificate_log])
        listed = right.extensions.get_extension_for_oid(_SCT_LIST).value.public_bytes()
        profile = dataclasses.replace(profile, raw_extensions={_SCT_LIST: change(listed)})
        signer = Signer(key, sigstore.authority.issue(profile, key.public_key(), []))
        return encode_json(sigstore.attest(scenario.statement(), signer, at=scenario.at))

    return make


def _lengthen_list(der: bytes) -> bytes:
    """Count two bytes more into the octet string, which follow the list in it."""
    header = 3 if der[1] == 0x81 else 2
    content = der[header:] + _TAIL
    return bytes([der[0], 0x81, len(content)]) + content


def _der_of_stranger(scenario: Scenario) -> bytes:
    return scenario.other.signer(scenario.job, scenario.at).certificate.public_bytes(Encoding.DER)


_OF_SIBLINGS = tuple(
    Forgery(
        f"splice-{part}-{kind}",
        code,
        f"A bundle {_KINDS[kind][0]} has the {_PARTS[part][0]} of the same job's bundle for another bottle.",
        _splice(_KINDS[kind][1], part),
    )
    for kind, codes in _CODES.items()
    for part, code in codes.items()
)

_OF_INSTANCES = (
    Forgery(
        "entry-of-stranger-log",
        "log-checkpoint-invalid",
        "Another instance's log recorded what was signed; entry, proof and promise are right in themselves.",
        _log_elsewhere,
    ),
    Forgery(
        "checkpoint-of-sibling-tree",
        "log-checkpoint-log-unknown",
        "The checkpoint is the one of another log of the trusted root.",
        alter_bundle(_take_checkpoint_of_sibling),
    ),
    Forgery(
        "proof-in-sibling-tree",
        "log-checkpoint-log-unknown",
        "Proof and checkpoint are of another log of the trusted root, which holds the entry as well.",
        alter_bundle(_take_proof_of_sibling),
    ),
    Forgery(
        "resigned-by-stranger-instance",
        "certificate-untrusted",
        "Somebody signed the statement anew with an instance of his own.",
        _resign_as_stranger,
    ),
    Forgery(
        "resigned-beside-first-entry",
        "log-entry-signature-mismatch",
        "The statement was signed a second time; the log entry is that of the first time.",
        _resign("entry"),
    ),
    Forgery(
        "resigned-under-first-certificate",
        "envelope-signature-invalid",
        "The statement was signed a second time; the certificate is that of the first time.",
        _resign("certificate"),
    ),
)

_TIMES = (
    Forgery(
        "certificate-of-last-year",
        "certificate-time-invalid",
        "The certificate is a year older than what it signed.",
        _issue_at(-_YEAR),
    ),
    Forgery(
        "certificate-of-next-year",
        "certificate-time-invalid",
        "The certificate is a year younger than what it signed.",
        _issue_at(_YEAR),
    ),
    Forgery(
        "certificate-before-its-authority",
        "certificate-time-invalid",
        "Certificate and entry are of a minute before the trusted root begins.",
        _sign_before_the_authorities,
    ),
)

_TAILS = (
    Forgery(
        "certificate-with-tail",
        "certificate-malformed",
        "Bytes follow the certificate's DER.",
        alter_bundle(_follow_certificate(lambda _: _TAIL)),
    ),
    Forgery(
        "certificate-behind-certificate",
        "certificate-malformed",
        "A stranger's certificate follows the signer's in the same field.",
        alter_bundle(_follow_certificate(_der_of_stranger)),
    ),
    Forgery(
        "certificate-of-stranger-first",
        "certificate-untrusted",
        "The chain begins with a stranger's certificate; the signer's stands behind it.",
        _put_stranger_first,
    ),
    Forgery(
        "timestamp-with-tail",
        "timestamp-malformed",
        "Bytes follow the timestamp's DER.",
        alter_bundle_v2(_follow_timestamp),
    ),
    Forgery(
        "signature-with-tail",
        "envelope-signature-invalid",
        "Bytes follow the signature's DER, and the log recorded it so.",
        _follow_signature,
    ),
    Forgery(
        "sct-list-with-tail",
        "certificate-malformed",
        "Bytes follow the list of SCTs.",
        _follow_promises(lambda der: der + _TAIL),
    ),
    Forgery(
        "sct-list-too-short",
        "certificate-malformed",
        "The list of SCTs counts fewer bytes than stand in its place.",
        _follow_promises(_lengthen_list),
    ),
)

SPLICES: tuple[Forgery, ...] = (*_OF_SIBLINGS, *_OF_INSTANCES, *_TIMES, *_TAILS)
