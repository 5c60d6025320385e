"""Certificates and timestamps that the trusted root does not vouch for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from brew_provenance.sandbox.bundle import BUNDLE_V02, assemble_bundle
from brew_provenance.sandbox.ca import CertificateAuthority, LeafProfile, encode_claim, issue_authority
from brew_provenance.sandbox.ctlog import CertificateLog
from brew_provenance.sandbox.entries import build_dsse_entry
from brew_provenance.sandbox.envelope import read_signature
from brew_provenance.sandbox.keys import derive_edwards_key, derive_key
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.wire import encode_json

_LATE = timedelta(minutes=11)
_EARLY = timedelta(minutes=-1)
_SCT_LIST = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS


@dataclass(frozen=True)
class MaskedLog(CertificateLog):
    """A certificate log that signs with its own key under another log's id."""

    claimed_id: bytes

    @property
    def log_id(self) -> bytes:
        """The other log's id."""
        return self.claimed_id


def _profile(scenario: Scenario) -> LeafProfile:
    return scenario.sigstore.profile(scenario.job, scenario.at)


def _attest(scenario: Scenario, signer: Signer) -> bytes:
    return encode_json(scenario.sigstore.attest(scenario.statement(), signer, at=scenario.at))


def _issue(change: Callable[[LeafProfile], LeafProfile]) -> Make:
    """Return a maker whose certificate departs from Fulcio's profile, and nothing else does."""
    return lambda scenario: _attest(scenario, scenario.sigstore.issue(change(_profile(scenario))))


def _issue_from(authority: CertificateAuthority, scenario: Scenario) -> Signer:
    key = derive_key("forged leaf", scenario.name)
    logs = [scenario.sigstore.certificate_log]
    return Signer(key, authority.issue(_profile(scenario), key.public_key(), logs))


def _issue_logged(*choose: Callable[[Scenario], CertificateLog]) -> Make:
    """Return a maker whose certificate carries an SCT of each of these logs."""

    def make(scenario: Scenario) -> bytes:
        key = derive_key("forged leaf", scenario.name)
        logs = [log(scenario) for log in choose]
        authority = scenario.sigstore.authority
        return _attest(
            scenario,
            Signer(key, authority.issue(_profile(scenario), key.public_key(), logs)),
        )

    return make


def _trust_stranger(scenario: Scenario) -> bytes:
    return _attest(scenario, _issue_from(scenario.other.authority, scenario))


def _copy_authority_name(scenario: Scenario) -> bytes:
    right = scenario.sigstore.authority
    key = derive_key("forged authority", scenario.name)
    intermediate = issue_authority(
        right.intermediate.subject,
        key.public_key(),
        right.root.subject,
        key,
        scenario.sigstore.epoch,
        path_length=0,
    )
    return _attest(scenario, _issue_from(CertificateAuthority(right.root, intermediate, key), scenario))


def _issue_from_leaf(scenario: Scenario) -> bytes:
    key = derive_key("leaf that issues", scenario.name)
    right = scenario.sigstore.authority
    leaf = right.issue(_profile(scenario), key.public_key(), [scenario.sigstore.certificate_log])
    signer = _issue_from(CertificateAuthority(right.root, leaf, key), scenario)
    envelope = scenario.envelope(signer)
    body = build_dsse_entry(envelope, signer.certificate)
    return encode_json(
        assemble_bundle(
            {"dsseEnvelope": envelope},
            [signer.certificate, leaf],
            [scenario.sigstore.rekor_v1.record(body, scenario.at)],
            media_type=BUNDLE_V02,
        )
    )


def _alter_certificate(scenario: Scenario) -> bytes:
    right_id = scenario.job.repository_id
    own_id = right_id.translate(str.maketrans("0123456789", "9876543210"))
    signer = scenario.sigstore.signer(replace(scenario.job, repository_id=own_id), scenario.at)
    der = signer.certificate.public_bytes(Encoding.DER)
    altered = der.replace(encode_claim(15, own_id), encode_claim(15, right_id))
    return _attest(scenario, replace(signer, certificate=x509.load_der_x509_certificate(altered)))


def _sign_at(delay: timedelta) -> Make:
    def make(scenario: Scenario) -> bytes:
        statement, signer = scenario.statement(), scenario.signer()
        return encode_json(scenario.sigstore.attest(statement, signer, at=scenario.at + delay))

    return make


def _stamp_late(scenario: Scenario) -> bytes:
    statement, signer = scenario.statement(), scenario.signer()
    late = scenario.at + _LATE
    return encode_json(scenario.sigstore.attest(statement, signer, at=late, log="rekor-v2"))


def _use_edwards_key(scenario: Scenario) -> bytes:
    key = derive_edwards_key("forged leaf", scenario.name)
    logs = [scenario.sigstore.certificate_log]
    certificate = scenario.sigstore.authority.issue(_profile(scenario), key.public_key(), logs)
    return _attest(scenario, Signer(key, certificate))


def _copy_sct(scenario: Scenario) -> bytes:
    copied = scenario.signer().certificate.extensions.get_extension_for_oid(_SCT_LIST)
    profile = replace(_profile(scenario), raw_extensions={_SCT_LIST: copied.value.public_bytes()})
    key = derive_key("forged leaf", scenario.name)
    return _attest(scenario, Signer(key, scenario.sigstore.authority.issue(profile, key.public_key(), [])))


def _stamped(stamp: Callable[[Scenario, bytes, datetime], list[bytes]]) -> Make:
    """Return a maker of a Rekor v2 bundle with these timestamps over its signature."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.signer()
        envelope = scenario.envelope(signer)
        timestamps = stamp(scenario, read_signature(envelope), scenario.at)
        return scenario.log_v2(envelope, signer, timestamps=timestamps)

    return make


CERTIFICATES: tuple[Forgery, ...] = (
    Forgery(
        "stranger-authority",
        "certificate-untrusted",
        "Another instance's authority issued the certificate.",
        _trust_stranger,
    ),
    Forgery(
        "authority-of-same-name",
        "certificate-untrusted",
        "An authority that calls itself as the trusted one issued the certificate.",
        _copy_authority_name,
    ),
    Forgery(
        "leaf-as-authority",
        "certificate-untrusted",
        "Somebody issued the certificate with a signing certificate that is not an authority's.",
        _issue_from_leaf,
    ),
    Forgery(
        "altered-certificate",
        "certificate-untrusted",
        "The repository id in the certificate was changed after it was issued.",
        _alter_certificate,
    ),
    Forgery(
        "logged-after-expiry",
        "certificate-time-invalid",
        "The log integrated the entry a minute after the certificate had expired.",
        _sign_at(_LATE),
    ),
    Forgery(
        "logged-before-issue",
        "certificate-time-invalid",
        "The log integrated the entry a minute before the certificate was issued.",
        _sign_at(_EARLY),
    ),
    Forgery(
        "stamped-after-expiry",
        "certificate-time-invalid",
        "The timestamp is of a minute after the certificate had expired.",
        _stamp_late,
    ),
    Forgery(
        "server-certificate",
        "certificate-usage-invalid",
        "The certificate is for authenticating servers.",
        _issue(lambda leaf: replace(leaf, extended_usages=(ExtendedKeyUsageOID.SERVER_AUTH,))),
    ),
    Forgery(
        "certificate-for-nothing",
        "certificate-usage-invalid",
        "The certificate does not say what it is for.",
        _issue(lambda leaf: replace(leaf, extended_usages=())),
    ),
    Forgery(
        "key-agreement-certificate",
        "certificate-usage-invalid",
        "The certificate's key is for key agreement, not for signatures.",
        _issue(lambda leaf: replace(leaf, digital_signature=False)),
    ),
    Forgery(
        "edwards-key",
        "certificate-key-unsupported",
        "The certificate is for an Ed25519 key.",
        _use_edwards_key,
    ),
    Forgery(
        "no-sct",
        "sct-missing",
        "No certificate transparency log knows of the certificate.",
        _issue_logged(),
    ),
    Forgery(
        "sct-twice",
        "sct-many",
        "The certificate carries the trusted log's promise twice.",
        _issue_logged(lambda s: s.sigstore.certificate_log, lambda s: s.sigstore.certificate_log),
    ),
    Forgery(
        "sct-and-stranger-sct",
        "sct-many",
        "The certificate carries a strange log's promise beside the trusted log's.",
        _issue_logged(lambda s: s.sigstore.certificate_log, lambda s: s.other.certificate_log),
    ),
    Forgery(
        "stranger-sct",
        "sct-invalid",
        "A log that nobody trusts promised to log the certificate.",
        _issue_logged(lambda s: s.other.certificate_log),
    ),
    Forgery(
        "masked-sct",
        "sct-invalid",
        "A log that nobody trusts made the promise under the trusted log's id.",
        _issue_logged(lambda s: MaskedLog(s.other.certificate_log.key, s.sigstore.certificate_log.log_id)),
    ),
    Forgery(
        "copied-sct",
        "sct-invalid",
        "The promise was copied from another certificate.",
        _copy_sct,
    ),
    Forgery(
        "timestamp-twice",
        "timestamp-duplicate",
        "The bundle carries the same timestamp twice.",
        _stamped(lambda s, message, at: [s.sigstore.timestamp_authority.stamp(message, at)] * 2),
    ),
    Forgery(
        "stranger-timestamp",
        "timestamp-unverified",
        "An authority that nobody trusts made the timestamp of a bundle of Rekor v2.",
        _stamped(lambda s, message, at: [s.other.timestamp_authority.stamp(message, at)]),
    ),
    Forgery(
        "timestamp-of-other-signature",
        "timestamp-unverified",
        "The timestamp of a bundle of Rekor v2 is over another signature.",
        _stamped(lambda s, message, at: [s.sigstore.timestamp_authority.stamp(message[::-1], at)]),
    ),
)
