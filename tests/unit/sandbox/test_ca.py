from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.certificate_transparency import LogEntryType, Version
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from brew_provenance.sandbox.ca import CertificateAuthority, LeafProfile, encode_claim, name_claim
from brew_provenance.sandbox.ctlog import CertificateLog
from brew_provenance.sandbox.keys import derive_edwards_key, derive_key, identify_key

EPOCH = datetime(2022, 1, 1, tzinfo=UTC)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
URI = "https://github.com/owner/tap/.github/workflows/publish.yml@refs/heads/main"
AUTHORITY = CertificateAuthority.create("seed", EPOCH)
LOG = CertificateLog(derive_key("seed", "ctlog"))
KEY = derive_key("seed", "leaf").public_key()
PROFILE = LeafProfile(
    (x509.UniformResourceIdentifier(URI),),
    {1: "https://issuer.example", 8: "https://issuer.example", 18: "x" * 200},
    AT,
)


def issue(profile: LeafProfile = PROFILE, *logs: CertificateLog) -> x509.Certificate:
    return AUTHORITY.issue(profile, KEY, logs or [LOG])


def read_scts(certificate: x509.Certificate) -> x509.PrecertificateSignedCertificateTimestamps:
    kind = x509.PrecertificateSignedCertificateTimestamps
    return certificate.extensions.get_extension_for_class(kind).value


def test_leaf_is_fulcio_s() -> None:
    leaf = issue()
    extensions = leaf.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert leaf.subject == x509.Name([])
    assert leaf.not_valid_before_utc == AT
    assert leaf.not_valid_after_utc == AT + timedelta(minutes=10)
    assert (names.critical, names.value.get_values_for_type(x509.UniformResourceIdentifier)) == (True, [URI])
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
    assert list(purposes.value) == [ExtendedKeyUsageOID.CODE_SIGNING]
    own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert own == x509.SubjectKeyIdentifier.from_public_key(KEY)
    assert issuer == x509.AuthorityKeyIdentifier.from_issuer_public_key(AUTHORITY.key.public_key())


def test_chain_verifies() -> None:
    leaf = AUTHORITY.issue(replace(PROFILE, extended_usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)), KEY, [LOG])
    verifier = PolicyBuilder().store(Store([AUTHORITY.root])).time(AT).build_client_verifier()
    chain = verifier.verify(leaf, [AUTHORITY.intermediate]).chain
    assert chain == [leaf, AUTHORITY.intermediate, AUTHORITY.root]


def test_claims_are_written_as_fulcio_writes_them() -> None:
    extensions = issue().extensions
    old, new, long = (
        extensions.get_extension_for_oid(name_claim(number)).value.public_bytes() for number in (1, 8, 18)
    )
    assert old == b"https://issuer.example"
    assert new == b"\x0c\x16https://issuer.example"
    assert long == b"\x0c\x81\xc8" + b"x" * 200
    assert asn1.decode_der(str, long) == "x" * 200


def test_raw_extension_replaces_a_claim_or_is_added() -> None:
    raw = {name_claim(8): b"raw", name_claim(99): b"more"}
    extensions = issue(replace(PROFILE, raw_extensions=raw)).extensions
    for oid, value in raw.items():
        assert extensions.get_extension_for_oid(oid).value.public_bytes() == value


def test_embedded_sct_is_signed_over_the_precertificate() -> None:
    leaf = issue()
    (sct,) = read_scts(leaf)
    issuer_hash = identify_key(AUTHORITY.key.public_key())
    tbs = leaf.tbs_precertificate_bytes
    timestamp = int(AT.timestamp() * 1000)
    signed = (
        b"\x00\x00"
        + timestamp.to_bytes(8)
        + b"\x00\x01"
        + issuer_hash
        + len(tbs).to_bytes(3)
        + tbs
        + b"\x00\x00"
    )
    LOG.key.public_key().verify(sct.signature, signed, ec.ECDSA(hashes.SHA256()))
    assert sct.log_id == LOG.log_id
    assert sct.version is Version.v1
    assert sct.entry_type is LogEntryType.PRE_CERTIFICATE
    assert sct.timestamp.replace(tzinfo=UTC) == AT


@pytest.mark.parametrize("count", [1, 2])
def test_as_many_scts_as_logs(count: int) -> None:
    assert len(list(read_scts(issue(PROFILE, *[LOG] * count)))) == count


def test_no_log_no_sct() -> None:
    with pytest.raises(x509.ExtensionNotFound):
        read_scts(AUTHORITY.issue(PROFILE, KEY, []))


def test_profile_can_be_wrong() -> None:
    leaf = issue(
        replace(
            PROFILE,
            names=(),
            lifetime=timedelta(days=1),
            extended_usages=(),
            digital_signature=False,
            is_authority=True,
        )
    )
    assert leaf.not_valid_after_utc == AT + timedelta(days=1)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign) == (False, True)
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    for kind in (x509.SubjectAlternativeName, x509.ExtendedKeyUsage):
        with pytest.raises(x509.ExtensionNotFound):
            leaf.extensions.get_extension_for_class(kind)


def test_any_name_and_any_key() -> None:
    names = (
        x509.RFC822Name("somebody@example.com"),
        x509.OtherName(name_claim(7), asn1.encode_der("somebody")),
    )
    key = derive_edwards_key("seed", "leaf").public_key()
    leaf = AUTHORITY.issue(replace(PROFILE, names=names), key, [LOG])
    assert tuple(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == names
    assert leaf.public_key() == key


def test_same_profile_same_bytes() -> None:
    assert issue().public_bytes(Encoding.DER) == issue().public_bytes(Encoding.DER)


def test_other_key_other_serial_number() -> None:
    other = AUTHORITY.issue(PROFILE, derive_key("seed", "other").public_key(), [LOG])
    assert other.serial_number != issue().serial_number


@pytest.mark.parametrize(("number", "encoded"), [(6, b"main"), (8, b"\x0c\x04main"), (24, b"\x0c\x04main")])
def test_encoding_of_a_claim(number: int, encoded: bytes) -> None:
    assert encode_claim(number, "main") == encoded
