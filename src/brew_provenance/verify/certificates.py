"""The signing certificate: its profile, its chain at a time, and its promise of transparency.

Sigstore client specification, 4.3. RFC 5280's path validation is pyca/cryptography's.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    DuplicateExtension,
    ExtendedKeyUsage,
    ExtensionNotFound,
    KeyUsage,
    PrecertificateSignedCertificateTimestamps,
    SubjectAlternativeName,
    UnsupportedGeneralNameType,
)
from cryptography.x509.certificate_transparency import SignedCertificateTimestamp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from brew_provenance.certificate import ClaimError, load_certificate
from brew_provenance.findings import Finding
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import Authority, LogKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCT_SIGNATURE_TYPE = 0
_SCT_PRECERTIFICATE = 1


def profile_fault(certificate: Certificate) -> Finding | None:
    """Say what keeps a certificate from being one that Fulcio issues to signers.

    sigstore-python checks most of this too, but for some certificates ends in another error, and
    then does not say which. Source: Fulcio's certificate specification.
    """
    try:
        found = {extension.oid: extension.value for extension in certificate.extensions}
        key = certificate.public_key()
    except UnsupportedAlgorithm as error:
        return Finding("certificate-key-unsupported", str(error))
    except (ValueError, DuplicateExtension) as error:
        return Finding("certificate-malformed", str(error))
    constraints = found.get(ExtensionOID.BASIC_CONSTRAINTS)
    if isinstance(constraints, BasicConstraints) and constraints.ca:
        return Finding("certificate-not-leaf", "it is the certificate of a certificate authority")
    usages = found.get(ExtensionOID.EXTENDED_KEY_USAGE)
    if not isinstance(usages, ExtendedKeyUsage) or ExtendedKeyUsageOID.CODE_SIGNING not in usages:
        return Finding("certificate-usage-invalid", "its extended key usage is not code signing")
    usage = found.get(ExtensionOID.KEY_USAGE)
    if not isinstance(usage, KeyUsage) or not usage.digital_signature:
        return Finding("certificate-usage-invalid", "its key usage is not digital signature")
    if not isinstance(key, EllipticCurvePublicKey):
        return Finding("certificate-key-unsupported", f"its key is of type {type(key).__name__}")
    return None


def certificate_fault(der: bytes) -> Finding | None:
    """Say what is wrong with a certificate on whose account verification may have ended in an error."""
    try:
        return profile_fault(load_certificate(der))
    except ClaimError as error:
        return Finding("certificate-malformed", str(error))


def issuer_name(certificate: Certificate) -> str:
    """Return who says to have issued a certificate (RFC 4514)."""
    # Whoever made it may have written names that cryptography warns of, or cannot read.
    try:
        with warnings.catch_warnings(action="ignore"):
            return certificate.issuer.rfc4514_string()
    except (ValueError, TypeError):
        return "an unreadable name"


def check_leaf(leaf: Certificate, authorities: Sequence[Authority], times: Sequence[datetime]) -> Certificate:
    """Return the issuer of a signing certificate whose chain is valid at all of the times.

    Raises Refusal when it is not, or when the certificate is not one for signing code.
    """
    if fault := profile_fault(leaf):
        raise Refusal(fault.code, fault.detail)
    issuer = None
    # 4.3: "If either fails, verification fails."
    for time in times:
        issuer = _issuer_at(leaf, authorities, time)
    if issuer is None:
        raise Refusal("timestamp-unverified", "no time to validate the certificate at")
    return issuer


def _issuer_at(leaf: Certificate, authorities: Sequence[Authority], time: datetime) -> Certificate:
    if not leaf.not_valid_before_utc <= time <= leaf.not_valid_after_utc:
        raise Refusal(
            "certificate-time-invalid",
            f"signed at {time.isoformat()}, valid from {leaf.not_valid_before_utc.isoformat()} "
            f"to {leaf.not_valid_after_utc.isoformat()}",
        )
    cause = "no certificate authority of the trusted root was to be trusted then"
    for authority in authorities:
        if authority.period.covers(time):
            try:
                return _chain_at(leaf, authority, time)[1]
            except (VerificationError, UnsupportedGeneralNameType) as error:
                cause = str(error)
    raise Refusal(
        "certificate-untrusted", f"issued by {issuer_name(leaf)!r}, signed at {time.isoformat()}: {cause}"
    )


def _chain_at(leaf: Certificate, authority: Authority, time: datetime) -> Sequence[Certificate]:
    """Return the chain from leaf to root, where every certificate of it is valid at `time`.

    The root alone is an anchor, so that the intermediates are validated, whoever lists them.
    """
    issuers = ExtensionPolicy.webpki_defaults_ca().may_be_present(
        ExtendedKeyUsage, Criticality.NON_CRITICAL, None
    )
    # The default is a purpose that code is not signed for; the profile has its own, which is checked.
    leaves = ExtensionPolicy.webpki_defaults_ee().may_be_present(
        ExtendedKeyUsage, Criticality.NON_CRITICAL, None
    )
    return _validate(leaf, authority.chain[:-1], authority.chain[-1], time, issuers, leaves)


def is_stamping(authority: Authority, time: datetime) -> bool:
    """Whether an authority's certificate is one for timestamps, with a chain that is valid at `time`."""
    issuers = ExtensionPolicy.webpki_defaults_ca().may_be_present(
        ExtendedKeyUsage, Criticality.NON_CRITICAL, None
    )
    # RFC 3161, 2.3: timestamping, critical, and no other purpose. Its certificate names no host.
    stampers = (
        ExtensionPolicy.permit_all()
        .require_present(ExtendedKeyUsage, Criticality.CRITICAL, None)
        .require_present(KeyUsage, Criticality.AGNOSTIC, None)
        .may_be_present(SubjectAlternativeName, Criticality.AGNOSTIC, None)
    )
    signer, *others, root = authority.chain
    try:
        _validate(signer, others, root, time, issuers, stampers)
        purposes = list(signer.extensions.get_extension_for_class(ExtendedKeyUsage).value)
        usage = signer.extensions.get_extension_for_class(KeyUsage).value
    except (VerificationError, UnsupportedGeneralNameType):
        return False
    return purposes == [ExtendedKeyUsageOID.TIME_STAMPING] and usage.digital_signature


def _validate(  # noqa: PLR0913, PLR0917 - what RFC 5280, 6.1.1 lists as inputs
    leaf: Certificate,
    intermediates: Sequence[Certificate],
    root: Certificate,
    time: datetime,
    issuers: ExtensionPolicy,
    leaves: ExtensionPolicy,
) -> Sequence[Certificate]:
    verifier = (
        PolicyBuilder()
        .store(Store([root]))
        .time(time)
        .extension_policies(ca_policy=issuers, ee_policy=leaves)
        .build_client_verifier()
    )
    return verifier.verify(leaf, list(intermediates)).chain


def check_transparency(leaf: Certificate, issuer: Certificate, logs: Mapping[bytes, LogKey]) -> None:
    """Check that a trusted log promised to log the certificate (RFC 6962, 3.2). Raises Refusal."""
    try:
        extension = leaf.extensions.get_extension_for_class(PrecertificateSignedCertificateTimestamps)
    except ExtensionNotFound as error:
        raise Refusal("sct-missing", "none is embedded") from error
    promises = list(extension.value)
    if len(promises) != 1:
        raise Refusal("sct-many", f"one is expected, found {len(promises)}")
    (promise,) = promises
    log = logs.get(promise.log_id)
    if log is None:
        raise Refusal("sct-invalid", f"the trusted root knows no log {promise.log_id.hex()}")
    if not isinstance(promise.signature_hash_algorithm, SHA256):
        raise Refusal("sct-invalid", "it is not signed over a SHA-256 digest")
    time = promise.timestamp.replace(tzinfo=UTC)
    if not log.period.covers(time):
        raise Refusal("sct-invalid", f"the log was not to be trusted at {time.isoformat()}")
    if not log.has_signed(promise.signature, _promised_bytes(promise, time, leaf, issuer)):
        raise Refusal("sct-invalid", "the log did not sign it for this certificate and issuer")


def _promised_bytes(
    promise: SignedCertificateTimestamp, time: datetime, leaf: Certificate, issuer: Certificate
) -> bytes:
    """Return what a log signs of a precertificate, as RFC 6962, 3.2 lays it out."""
    issuer_key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signed_part = leaf.tbs_precertificate_bytes
    return b"".join(
        [
            struct.pack(
                "!BBQH",
                promise.version.value,
                _SCT_SIGNATURE_TYPE,
                (time - _EPOCH) // timedelta(milliseconds=1),
                _SCT_PRECERTIFICATE,
            ),
            hashlib.sha256(issuer_key).digest(),
            len(signed_part).to_bytes(3),
            signed_part,
            len(promise.extension_bytes).to_bytes(2),
            promise.extension_bytes,
        ]
    )
