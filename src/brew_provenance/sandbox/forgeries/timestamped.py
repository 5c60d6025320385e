"""Bundles of an instance without a log: the timestamp is all that says when they were signed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from brew_provenance.sandbox.bundle import BUNDLE_V02
from brew_provenance.sandbox.ca import CertificateAuthority, LeafProfile, encode_claim, issue_authority
from brew_provenance.sandbox.entries import build_dsse_entry
from brew_provenance.sandbox.envelope import (
    IN_TOTO_PAYLOAD_TYPE,
    build_envelope,
    read_payload,
    read_signature,
)
from brew_provenance.sandbox.issuing import Issuing
from brew_provenance.sandbox.keys import derive_edwards_key, derive_key
from brew_provenance.sandbox.private import PrivateSigstore
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario, alter, reach
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.wire import JsonObject, encode_bytes, encode_json

_LATE = timedelta(minutes=11)
_EARLY = timedelta(minutes=-1)
_OTHER_PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'


def _stamped(stamp: Callable[[Scenario, bytes, datetime], list[bytes]]) -> Make:
    """Return a maker whose bundle carries these timestamps over its signature, and is right besides."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.private.signer(scenario.job, scenario.at)
        envelope = scenario.envelope(signer)
        timestamps = stamp(scenario, read_signature(envelope), scenario.at)
        return encode_json(scenario.private.stamp(envelope, signer, at=scenario.at, timestamps=timestamps))

    return make


def _sealed(seal: Callable[[Scenario, Signer], JsonObject]) -> Make:
    """Return a maker whose envelope is this one, and whose timestamp is over its signature."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.private.signer(scenario.job, scenario.at)
        return encode_json(scenario.private.stamp(seal(scenario, signer), signer, at=scenario.at))

    return make


def _signed_by(choose: Callable[[Scenario], Signer]) -> Make:
    """Return a maker whose signer is this one, and whose bundle is right besides."""
    return lambda scenario: encode_json(
        scenario.private.attest(scenario.statement(), choose(scenario), at=scenario.at)
    )


def _issued(change: Callable[[LeafProfile], LeafProfile]) -> Make:
    """Return a maker whose certificate departs from Fulcio's profile."""
    return _signed_by(lambda s: s.private.issue(change(s.private.profile(s.job, s.at))))


def _issued_by(authority: CertificateAuthority, scenario: Scenario) -> Signer:
    key = derive_key("forged private leaf", scenario.name)
    profile = scenario.private.profile(scenario.job, scenario.at)
    return Signer(key, authority.issue(profile, key.public_key(), []))


def _copy_authority_name(scenario: Scenario) -> Signer:
    right = scenario.private.authority
    key = derive_key("forged private authority", scenario.name)
    intermediate = issue_authority(
        right.intermediate.subject,
        key.public_key(),
        right.root.subject,
        key,
        scenario.private.epoch,
        path_length=0,
    )
    return _issued_by(CertificateAuthority(right.root, intermediate, key), scenario)


def _issue_from_leaf(scenario: Scenario) -> Signer:
    leaf = scenario.private.signer(scenario.job, scenario.at)
    if not isinstance(leaf.key, type(scenario.private.authority.key)):
        raise TypeError("leaves have keys as authorities have")
    right = scenario.private.authority
    return _issued_by(CertificateAuthority(right.root, leaf.certificate, leaf.key), scenario)


def _use_unlisted_intermediate(scenario: Scenario) -> bytes:
    """Let the root's own key issue an authority that the trusted root does not list."""
    private = scenario.private
    key = derive_key("unlisted intermediate", scenario.name)
    root = private.authority.root
    intermediate = issue_authority(
        private.authority.intermediate.subject,
        key.public_key(),
        root.subject,
        derive_key(private.seed, "ca root"),
        private.epoch,
        path_length=0,
    )
    signer = _issued_by(CertificateAuthority(root, intermediate, key), scenario)
    bundle = private.attest(scenario.statement(), signer, at=scenario.at, media_type=BUNDLE_V02)
    chain = reach(bundle, "verificationMaterial", "x509CertificateChain")["certificates"]
    chain.append({"rawBytes": encode_bytes(intermediate.public_bytes(Encoding.DER))})
    return encode_json(bundle)


def _alter_certificate(scenario: Scenario) -> Signer:
    right_id = scenario.job.repository_id
    own_id = right_id.translate(str.maketrans("0123456789", "9876543210"))
    signer = scenario.private.signer(replace(scenario.job, repository_id=own_id), scenario.at)
    der = signer.certificate.public_bytes(Encoding.DER)
    altered = der.replace(encode_claim(15, own_id), encode_claim(15, right_id))
    return replace(signer, certificate=x509.load_der_x509_certificate(altered))


def _use_edwards_key(scenario: Scenario) -> Signer:
    key = derive_edwards_key("forged private leaf", scenario.name)
    profile = scenario.private.profile(scenario.job, scenario.at)
    return Signer(key, scenario.private.authority.issue(profile, key.public_key(), []))


def _sign_before_the_authorities(scenario: Scenario) -> bytes:
    early = scenario.private.epoch - timedelta(days=1)
    return encode_json(scenario.private.attest(scenario.statement(), scenario.job, at=early))


def _outlive_the_authorities(scenario: Scenario) -> bytes:
    private = scenario.private
    late = private.period.end - timedelta(minutes=5)
    signer = private.signer(scenario.job, late)
    return encode_json(private.attest(scenario.statement(), signer, at=late + timedelta(minutes=6)))


def _add_log_entry(bundle: JsonObject, scenario: Scenario) -> None:
    material = reach(bundle, "verificationMaterial")
    certificate = x509.load_der_x509_certificate(base64.b64decode(material["certificate"]["rawBytes"]))
    body = build_dsse_entry(bundle["dsseEnvelope"], certificate)
    material["tlogEntries"] = [scenario.sigstore.rekor_v1.record(body, scenario.at)]


def _unlogged(stamp: Callable[[Scenario], Issuing]) -> Make:
    """Return a maker that leaves the log entry out of a bundle of the instance that keeps logs."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.signer()
        envelope = scenario.envelope(signer)
        timestamp = stamp(scenario).timestamp_authority.stamp(read_signature(envelope), scenario.at)
        bundle = scenario.private.stamp(envelope, signer, at=scenario.at, timestamps=[timestamp])
        return encode_json(bundle)

    return make


def _sign_as_stranger(scenario: Scenario, _: Signer) -> JsonObject:
    return scenario.envelope(scenario.private.signer(scenario.job, scenario.at))


def _swap_payload(scenario: Scenario, signer: Signer) -> JsonObject:
    signature = read_signature(signer.seal(_OTHER_PAYLOAD))
    return build_envelope(IN_TOTO_PAYLOAD_TYPE, read_payload(scenario.envelope(signer)), [signature])


def _swap_payload_type(scenario: Scenario, signer: Signer) -> JsonObject:
    payload = read_payload(scenario.envelope(signer))
    signature = read_signature(signer.seal(payload, "application/json"))
    return build_envelope(IN_TOTO_PAYLOAD_TYPE, payload, [signature])


TIMESTAMPED: tuple[Forgery, ...] = (
    Forgery(
        "private-unstamped",
        "time-missing",
        "The bundle of an instance without a log carries no timestamp.",
        _stamped(lambda *_: []),
    ),
    Forgery(
        "private-timestamp-of-other-signature",
        "timestamp-unverified",
        "The timestamp is over another signature.",
        _stamped(lambda s, message, at: [s.private.timestamp_authority.stamp(message[::-1], at)]),
    ),
    Forgery(
        "private-timestamp-of-payload",
        "timestamp-unverified",
        "The timestamp is over the payload instead of the signature.",
        _stamped(
            lambda s, _, at: [s.private.timestamp_authority.stamp(encode_json(s.statement()), at)],
        ),
    ),
    Forgery(
        "private-timestamp-of-stranger",
        "timestamp-unverified",
        "An authority that nobody trusts made the timestamp.",
        _stamped(lambda s, message, at: [s.other.timestamp_authority.stamp(message, at)]),
    ),
    Forgery(
        "private-timestamp-of-other-instance",
        "timestamp-unverified",
        "The timestamp authority of another trusted instance made the timestamp.",
        _stamped(lambda s, message, at: [s.sigstore.timestamp_authority.stamp(message, at)]),
    ),
    Forgery(
        "private-timestamp-masked",
        "timestamp-unverified",
        "Another authority made the timestamp under the right one's certificate.",
        _stamped(
            lambda s, message, at: [
                replace(
                    s.other.timestamp_authority, certificate=s.private.timestamp_authority.certificate
                ).stamp(message, at)
            ]
        ),
    ),
    Forgery(
        "private-timestamp-unreadable",
        "timestamp-malformed",
        "The timestamp is no RFC 3161 response.",
        _stamped(lambda *_: [b"noon"]),
    ),
    Forgery(
        "private-timestamp-twice",
        "timestamp-duplicate",
        "The bundle of an instance without a log carries one timestamp twice.",
        _stamped(lambda s, message, at: [s.private.timestamp_authority.stamp(message, at)] * 2),
    ),
    Forgery(
        "private-stamped-after-expiry",
        "certificate-time-invalid",
        "The one timestamp is of a minute after the certificate had expired.",
        _stamped(lambda s, message, at: [s.private.timestamp_authority.stamp(message, at + _LATE)]),
    ),
    Forgery(
        "private-stamped-before-issue",
        "certificate-time-invalid",
        "The one timestamp is of a minute before the certificate was issued.",
        _stamped(lambda s, message, at: [s.private.timestamp_authority.stamp(message, at + _EARLY)]),
    ),
    Forgery(
        "private-stamped-in-time-and-late",
        "certificate-time-invalid",
        "One timestamp is right, and another one is of a minute after the certificate had expired.",
        _stamped(
            lambda s, message, at: [
                s.private.timestamp_authority.stamp(message, time) for time in (at, at + _LATE)
            ]
        ),
    ),
    Forgery(
        "private-signed-before-the-authorities",
        "timestamp-unverified",
        "Certificate and timestamp are of a day before their authorities became valid.",
        _sign_before_the_authorities,
    ),
    Forgery(
        "private-signed-after-the-authorities",
        "timestamp-unverified",
        "The timestamp is of a minute after its authority had expired.",
        _outlive_the_authorities,
    ),
    Forgery(
        "private-stranger-authority",
        "certificate-untrusted",
        "Another private instance's authority issued the certificate.",
        _signed_by(lambda s: PrivateSigstore("stranger").signer(s.job, s.at)),
    ),
    Forgery(
        "private-authority-of-same-name",
        "certificate-untrusted",
        "An authority that calls itself as the private one issued the certificate.",
        _signed_by(_copy_authority_name),
    ),
    Forgery(
        "private-leaf-as-authority",
        "certificate-untrusted",
        "Somebody issued the certificate with a signing certificate of the private instance.",
        _signed_by(_issue_from_leaf),
    ),
    Forgery(
        "private-unlisted-intermediate",
        "certificate-untrusted",
        "The chain leads to the right root, over an authority that the trusted root does not list.",
        _use_unlisted_intermediate,
    ),
    Forgery(
        "private-altered-certificate",
        "certificate-untrusted",
        "The repository id in the private instance's certificate was changed after it was issued.",
        _signed_by(_alter_certificate),
    ),
    Forgery(
        "private-authority-as-signer",
        "certificate-not-leaf",
        "The signing certificate is one of a certificate authority.",
        _issued(lambda leaf: replace(leaf, is_authority=True)),
    ),
    Forgery(
        "private-server-certificate",
        "certificate-usage-invalid",
        "The private instance's certificate is for authenticating servers.",
        _issued(lambda leaf: replace(leaf, extended_usages=(ExtendedKeyUsageOID.SERVER_AUTH,))),
    ),
    Forgery(
        "private-key-agreement-certificate",
        "certificate-usage-invalid",
        "The private instance's certificate is for key agreement, not for signatures.",
        _issued(lambda leaf: replace(leaf, digital_signature=False)),
    ),
    Forgery(
        "private-edwards-key",
        "certificate-key-unsupported",
        "The private instance's certificate is for an Ed25519 key.",
        _signed_by(_use_edwards_key),
    ),
    Forgery(
        "private-certificate-in-a-log",
        "log-entry-unexpected",
        "The log of another instance recorded what a certificate of the private one signed.",
        alter(Scenario.bundle_private, _add_log_entry),
    ),
    Forgery(
        "public-certificate-in-no-log",
        "log-entry-missing",
        "The log entry was left out, and the instance's own timestamp put in its place.",
        _unlogged(lambda s: s.sigstore),
    ),
    Forgery(
        "public-certificate-stamped-by-private",
        "log-entry-missing",
        "The log entry was left out, and the timestamp of an instance without a log put in its place.",
        _unlogged(lambda s: s.private),
    ),
    Forgery(
        "private-signature-of-stranger",
        "envelope-signature-invalid",
        "Another key than the private instance's certificate is for signed the envelope.",
        _sealed(_sign_as_stranger),
    ),
    Forgery(
        "private-signature-of-other-payload",
        "envelope-signature-invalid",
        "The stamped signature is over another payload.",
        _sealed(_swap_payload),
    ),
    Forgery(
        "private-signature-of-other-payload-type",
        "envelope-signature-invalid",
        "The stamped signature is over the payload as another type.",
        _sealed(_swap_payload_type),
    ),
)
