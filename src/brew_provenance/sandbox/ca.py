"""A certificate authority that issues code-signing certificates as Fulcio does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from brew_provenance.sandbox.ctlog import CertificateLog, build_sct_extension
from brew_provenance.sandbox.keys import derive_bytes, derive_key

ORGANIZATION = "brew-provenance sandbox"
LEAF_LIFETIME = timedelta(minutes=10)
AUTHORITY_LIFETIME = timedelta(days=365 * 30)

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_FULCIO_ARC = "1.3.6.1.4.1.57264.1"
_LAST_RAW_CLAIM = 6


def name_claim(number: int) -> x509.ObjectIdentifier:
    """Return the object identifier of Fulcio's claim of that number."""
    return x509.ObjectIdentifier(f"{_FULCIO_ARC}.{number}")


def encode_claim(number: int, value: str) -> bytes:
    """Return a claim as Fulcio writes it: 1 to 6 as bare UTF-8, the others as DER UTF8String.

    Source: sigstore/fulcio, docs/oid-info.md.
    """
    return value.encode() if number <= _LAST_RAW_CLAIM else asn1.encode_der(value)


def build_name(common_name: str) -> x509.Name:
    """Return a distinguished name of the sandbox's organization."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass(frozen=True)
class LeafProfile:
    """What a leaf certificate says; the defaults are Fulcio's."""

    names: tuple[x509.GeneralName, ...]
    """The subject alternative names, in a critical extension; none leaves the extension out."""

    claims: Mapping[int, str]
    """Fulcio's claims by number."""

    valid_from: datetime
    lifetime: timedelta = LEAF_LIFETIME
    extended_usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CODE_SIGNING,)
    digital_signature: bool = True
    is_authority: bool = False

    raw_extensions: Mapping[x509.ObjectIdentifier, bytes] = field(default_factory=dict)
    """Extension values as they stand, added to the others or put in the place of a claim."""


@dataclass(frozen=True)
class CertificateAuthority:
    """A root and the intermediate that it issued, which issues leaves."""

    root: x509.Certificate
    intermediate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    """The intermediate's key."""

    @classmethod
    def create(cls, seed: str, epoch: datetime) -> CertificateAuthority:
        """Return the authority of this seed, valid for 30 years from `epoch`."""
        root_key = derive_key(seed, "ca root")
        key = derive_key(seed, "ca intermediate")
        root_name = build_name("sandbox-root")
        root = issue_authority(root_name, root_key.public_key(), root_name, root_key, epoch, path_length=1)
        intermediate = issue_authority(
            build_name("sandbox-intermediate"),
            key.public_key(),
            root_name,
            root_key,
            epoch,
            path_length=0,
        )
        return cls(root, intermediate, key)

    def issue(
        self,
        profile: LeafProfile,
        public_key: PublicKey,
        logs: Sequence[CertificateLog],
    ) -> x509.Certificate:
        """Return a leaf certificate for `public_key` with one embedded SCT of each log."""
        builder = _build_leaf(profile, public_key, self.intermediate.subject, self.key.public_key())
        if not logs:
            return self._sign(builder)
        # RFC 6962, 3.2: the promise covers the certificate without the SCT list.
        precertificate = self._sign(_add(builder, build_sct_extension([])))
        timestamps = [
            log.promise(precertificate.tbs_precertificate_bytes, self.key.public_key(), profile.valid_from)
            for log in logs
        ]
        return self._sign(_add(builder, build_sct_extension(timestamps)))

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self.key, hashes.SHA256(), ecdsa_deterministic=True)


def issue_authority(  # noqa: PLR0913
    name: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    epoch: datetime,
    *,
    path_length: int,
) -> x509.Certificate:
    """Return a certificate of an authority (RFC 5280, section 4.2), self-signed or not."""
    return (
        build_certificate(name, public_key, issuer, issuer_key.public_key())
        .not_valid_before(epoch)
        .not_valid_after(epoch + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(build_key_usage(certificate_sign=True), critical=True)
        .sign(issuer_key, hashes.SHA256(), ecdsa_deterministic=True)
    )


def build_key_usage(*, digital_signature: bool = False, certificate_sign: bool = False) -> x509.KeyUsage:
    """Return a key usage extension; with neither purpose given, key agreement only."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not (digital_signature or certificate_sign),
        key_cert_sign=certificate_sign,
        crl_sign=certificate_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _build_leaf(
    profile: LeafProfile,
    public_key: PublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    builder = (
        build_certificate(x509.Name([]), public_key, issuer, issuer_key)
        .not_valid_before(profile.valid_from)
        .not_valid_after(profile.valid_from + profile.lifetime)
        .add_extension(
            build_key_usage(
                digital_signature=profile.digital_signature,
                certificate_sign=profile.is_authority,
            ),
            critical=True,
        )
    )
    if profile.is_authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if profile.extended_usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(profile.extended_usages), critical=False)
    if profile.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(profile.names), critical=True)
    claims = {name_claim(number): encode_claim(number, v) for number, v in profile.claims.items()}
    for oid, value in {**claims, **profile.raw_extensions}.items():
        # RFC 5280, 4.2.1.6: where there is no subject, its other name has to be critical.
        is_critical = oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=is_critical)
    return builder


def build_certificate(
    subject: x509.Name,
    public_key: PublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    """Return what all certificates share: names, key, serial number and key identifiers."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        # Same key, same serial number: one seed gives the same bytes in every run.
        .serial_number(int.from_bytes(derive_bytes("serial", identifier.digest.hex())[:19]))
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _add(builder: x509.CertificateBuilder, extension: x509.UnrecognizedExtension) -> x509.CertificateBuilder:
    return builder.add_extension(extension, critical=False)
