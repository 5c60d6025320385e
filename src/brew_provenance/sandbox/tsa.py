"""A timestamp authority (RFC 3161, with the CMS of RFC 5652)."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from brew_provenance.sandbox.ca import (
    AUTHORITY_LIFETIME,
    build_certificate,
    build_key_usage,
    build_name,
    issue_authority,
)
from brew_provenance.sandbox.keys import derive_key, sign

_GRANTED = 0
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_SIGNED_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
_TST_INFO = x509.ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
_CONTENT_TYPE = x509.ObjectIdentifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = x509.ObjectIdentifier("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2 = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.47")
_POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.57264.2")
"""Sigstore's policy for timestamps (sigstore/timestamp-authority)."""


@asn1.sequence
class _AlgorithmIdentifier:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None = None


@asn1.sequence
class _MessageImprint:
    algorithm: _AlgorithmIdentifier
    digest: bytes


@asn1.sequence
class _TimeStampRequest:
    version: int
    imprint: _MessageImprint
    policy: x509.ObjectIdentifier | None = None
    nonce: int | None = None
    with_certificate: Annotated[bool, asn1.Default(False)] = False  # noqa: FBT003


@asn1.sequence
class _TSTInfo:
    version: int
    policy: x509.ObjectIdentifier
    imprint: _MessageImprint
    serial_number: int
    time: asn1.GeneralizedTime
    nonce: int | None


@asn1.sequence
class _Attribute:
    type: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class _IssuerAndSerialNumber:
    issuer: asn1.TLV
    serial_number: int


@asn1.sequence
class _SignerInfo:
    version: int
    signer: _IssuerAndSerialNumber
    digest_algorithm: _AlgorithmIdentifier
    signed_attributes: Annotated[asn1.SetOf[_Attribute], asn1.Implicit(0)]
    signature_algorithm: _AlgorithmIdentifier
    signature: bytes


@asn1.sequence
class _EncapsulatedContent:
    type: x509.ObjectIdentifier
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class _SignedData:
    version: int
    digest_algorithms: asn1.SetOf[_AlgorithmIdentifier]
    content: _EncapsulatedContent
    certificates: Annotated[asn1.SetOf[x509.Certificate], asn1.Implicit(0)]
    signers: asn1.SetOf[_SignerInfo]


@asn1.sequence
class _ContentInfo:
    type: x509.ObjectIdentifier
    content: Annotated[_SignedData, asn1.Explicit(0)]


@asn1.sequence
class _StatusInfo:
    status: int


@asn1.sequence
class _TimeStampResponse:
    status: _StatusInfo
    token: _ContentInfo


@asn1.sequence
class _CertificateId:
    digest: bytes


@asn1.sequence
class _SigningCertificate:
    certificates: list[_CertificateId]


@dataclass(frozen=True)
class TimestampAuthority:
    """A signer of times, whose certificate a root of its own issued."""

    root: x509.Certificate
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, seed: str, epoch: datetime) -> "TimestampAuthority":
        """Return the authority of this seed, valid for 30 years from `epoch`."""
        root_key = derive_key(seed, "tsa root")
        key = derive_key(seed, "tsa")
        name = build_name("sandbox-tsa-root")
        root = issue_authority(name, root_key.public_key(), name, root_key, epoch, path_length=0)
        certificate = (
            build_certificate(build_name("sandbox-tsa"), key.public_key(), name, root_key.public_key())
            .not_valid_before(epoch)
            .not_valid_after(epoch + AUTHORITY_LIFETIME)
            .add_extension(build_key_usage(digital_signature=True), critical=True)
            # RFC 3161, 2.3: this one purpose, and critical.
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
            .sign(root_key, hashes.SHA256(), ecdsa_deterministic=True)
        )
        return cls(root, certificate, key)

    def stamp(self, message: bytes, at: datetime) -> bytes:
        """Return a TimeStampResp that says `message` existed at this time."""
        digest = hashlib.sha256(message).digest()
        imprint = _MessageImprint(algorithm=_algorithm(_SHA256), digest=digest)
        return self._stamp(imprint, None, at)

    def answer(self, request: bytes, at: datetime) -> bytes:
        """Return the TimeStampResp to a DER TimeStampReq, with its imprint and its nonce.

        Raises:
            ValueError: the request is not a readable TimeStampReq.
        """
        wanted = asn1.decode_der(_TimeStampRequest, request)
        return self._stamp(wanted.imprint, wanted.nonce, at)

    def _stamp(self, imprint: _MessageImprint, nonce: int | None, at: datetime) -> bytes:
        identity = hashlib.sha256(imprint.digest + str((nonce, at)).encode()).digest()
        info = _TSTInfo(
            version=1,
            policy=_POLICY,
            imprint=imprint,
            serial_number=int.from_bytes(identity[:16]),
            time=asn1.GeneralizedTime(at),
            nonce=nonce,
        )
        return asn1.encode_der(
            _TimeStampResponse(
                status=_StatusInfo(status=_GRANTED),
                token=_ContentInfo(type=_SIGNED_DATA, content=self._sign(asn1.encode_der(info))),
            )
        )

    def _sign(self, content: bytes) -> _SignedData:
        """Return the content as signed data with signed attributes (RFC 5652, section 5)."""
        certificate = self.certificate
        fingerprint = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
        attributes = asn1.SetOf(
            [
                _attribute(_CONTENT_TYPE, _TST_INFO),
                _attribute(_MESSAGE_DIGEST, hashlib.sha256(content).digest()),
                # RFC 5816, 2.2.1: binds the certificate, which the signature does not cover.
                _attribute(
                    _SIGNING_CERTIFICATE_V2,
                    _SigningCertificate(certificates=[_CertificateId(digest=fingerprint)]),
                ),
            ]
        )
        signer = _SignerInfo(
            version=1,
            signer=_IssuerAndSerialNumber(
                issuer=_embed(certificate.issuer.public_bytes()),
                serial_number=certificate.serial_number,
            ),
            digest_algorithm=_algorithm(_SHA256),
            signed_attributes=attributes,
            signature_algorithm=_algorithm(SignatureAlgorithmOID.ECDSA_WITH_SHA256),
            # RFC 5652, 5.4: the signature covers the attributes as a plain SET OF.
            signature=sign(self.key, asn1.encode_der(attributes)),
        )
        return _SignedData(
            version=3,
            digest_algorithms=asn1.SetOf([_algorithm(_SHA256)]),
            content=_EncapsulatedContent(type=_TST_INFO, content=content),
            certificates=asn1.SetOf([certificate]),
            signers=asn1.SetOf([signer]),
        )


def _algorithm(algorithm: x509.ObjectIdentifier) -> _AlgorithmIdentifier:
    return _AlgorithmIdentifier(algorithm=algorithm)


def _attribute(kind: x509.ObjectIdentifier, value: object) -> _Attribute:
    return _Attribute(type=kind, values=asn1.SetOf([_embed(asn1.encode_der(value))]))


def _embed(der: bytes) -> asn1.TLV:
    return asn1.decode_der(asn1.TLV, der)
