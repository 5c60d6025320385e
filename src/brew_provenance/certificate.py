"""What a signing certificate claims: Fulcio's extensions and the identity, as typed values.

Source: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md. The certificate authority
copies these claims out of the OIDC token that the CI provider issued to the job; the job itself
cannot choose them. They are worth nothing until the certificate has been verified.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.utils import CryptographyDeprecationWarning

_ARC = "1.3.6.1.4.1.57264.1"
_OTHER_NAME_OID = f"{_ARC}.7"


class ClaimError(ValueError):
    """A claim is not encoded as Fulcio encodes it."""


def load_certificate(der: bytes) -> x509.Certificate:
    """Read a certificate whose extensions can be read too. Raises ClaimError for any other bytes."""
    try:
        # What cryptography only warns of today, such as a negative serial number, it will refuse.
        with warnings.catch_warnings(action="error", category=CryptographyDeprecationWarning):
            certificate = x509.load_der_x509_certificate(der)
            _extensions(certificate)
    except (ValueError, x509.InvalidVersion, CryptographyDeprecationWarning) as error:
        raise ClaimError(f"the certificate cannot be read: {error}") from error
    return certificate


def _extensions(certificate: x509.Certificate) -> x509.Extensions:
    try:
        return certificate.extensions
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ClaimError(str(error)) from error


class Encoding(Enum):
    """How a claim's value stands in the extension."""

    RAW = "raw"
    """UTF-8 bytes without any DER around them (`.1` to `.6`, deprecated)."""

    DER = "der"
    """A DER UTF8String."""


class Extension(NamedTuple):
    """One row of Fulcio's extension table."""

    number: int
    """Last arc of the object identifier."""

    field: str
    """Name of the field of `Claims` that carries it."""

    title: str
    """Name in Fulcio's documentation."""

    encoding: Encoding
    """How its value is encoded."""


# .7 is missing by design: it is the type of a SAN otherName, not an extension.
EXTENSIONS = (
    Extension(1, "issuer_v1", "Issuer (deprecated)", Encoding.RAW),
    Extension(2, "github_workflow_trigger", "GitHub Workflow Trigger", Encoding.RAW),
    Extension(3, "github_workflow_sha", "GitHub Workflow SHA", Encoding.RAW),
    Extension(4, "github_workflow_name", "GitHub Workflow Name", Encoding.RAW),
    Extension(5, "github_workflow_repository", "GitHub Workflow Repository", Encoding.RAW),
    Extension(6, "github_workflow_ref", "GitHub Workflow Ref", Encoding.RAW),
    Extension(8, "issuer", "Issuer (V2)", Encoding.DER),
    Extension(9, "build_signer_uri", "Build Signer URI", Encoding.DER),
    Extension(10, "build_signer_digest", "Build Signer Digest", Encoding.DER),
    Extension(11, "runner_environment", "Runner Environment", Encoding.DER),
    Extension(12, "source_repository_uri", "Source Repository URI", Encoding.DER),
    Extension(13, "source_repository_digest", "Source Repository Digest", Encoding.DER),
    Extension(14, "source_repository_ref", "Source Repository Ref", Encoding.DER),
    Extension(15, "source_repository_id", "Source Repository Identifier", Encoding.DER),
    Extension(16, "source_repository_owner_uri", "Source Repository Owner URI", Encoding.DER),
    Extension(17, "source_repository_owner_id", "Source Repository Owner Identifier", Encoding.DER),
    Extension(18, "build_config_uri", "Build Config URI", Encoding.DER),
    Extension(19, "build_config_digest", "Build Config Digest", Encoding.DER),
    Extension(20, "build_trigger", "Build Trigger", Encoding.DER),
    Extension(21, "run_invocation_uri", "Run Invocation URI", Encoding.DER),
    Extension(22, "source_repository_visibility", "Source Repository Visibility At Signing", Encoding.DER),
    Extension(23, "deployment_environment", "Deployment Environment", Encoding.DER),
    Extension(24, "token_subject", "Token Subject", Encoding.DER),
)
_BY_OID = {x509.ObjectIdentifier(f"{_ARC}.{extension.number}"): extension for extension in EXTENSIONS}

_GITHUB = "https://github.com/"
# Pairs of claims that Fulcio fills from one and the same token claim.
_TWINS = (
    ("issuer_v1", "issuer", ""),
    ("github_workflow_trigger", "build_trigger", ""),
    ("github_workflow_sha", "source_repository_digest", ""),
    ("github_workflow_repository", "source_repository_uri", _GITHUB),
    ("github_workflow_ref", "source_repository_ref", ""),
    ("identity", "build_signer_uri", ""),
)


@dataclass(frozen=True)
class Claims:
    """Everything that a signing certificate says of its holder; None where it says nothing."""

    identity: str | None
    """The one subject alternative name, whatever its type."""

    identity_type: str | None
    """`uri`, `email` or `othername`."""

    issuer_v1: str | None = None
    github_workflow_trigger: str | None = None
    github_workflow_sha: str | None = None
    github_workflow_name: str | None = None
    github_workflow_repository: str | None = None
    github_workflow_ref: str | None = None
    issuer: str | None = None
    build_signer_uri: str | None = None
    build_signer_digest: str | None = None
    runner_environment: str | None = None
    source_repository_uri: str | None = None
    source_repository_digest: str | None = None
    source_repository_ref: str | None = None
    source_repository_id: str | None = None
    source_repository_owner_uri: str | None = None
    source_repository_owner_id: str | None = None
    build_config_uri: str | None = None
    build_config_digest: str | None = None
    build_trigger: str | None = None
    run_invocation_uri: str | None = None
    source_repository_visibility: str | None = None
    deployment_environment: str | None = None
    token_subject: str | None = None
    unknown: tuple[str, ...] = ()
    """Object identifiers below Fulcio's arc that this table does not know; tolerated."""

    @classmethod
    def from_certificate(cls, certificate: x509.Certificate) -> Self:
        """Read the claims of `certificate`.

        Raises ClaimError when a claim is not encoded as Fulcio encodes it, or when there is more
        than one subject alternative name, or one extension twice.
        """
        values: dict[str, str] = {}
        unknown: list[str] = []
        identity: tuple[str | None, str | None] = (None, None)
        for item in _extensions(certificate):
            if extension := _BY_OID.get(item.oid):
                values[extension.field] = _decode(extension, item.value)
            elif isinstance(item.value, x509.SubjectAlternativeName):
                identity = _read_identity(item.value)
            elif (oid := item.oid.dotted_string).startswith(f"{_ARC}."):
                unknown.append(oid)
        return cls(identity=identity[0], identity_type=identity[1], unknown=tuple(unknown), **values)

    def value(self, field: str) -> str | None:
        """Return the claim named `field`, a field of `EXTENSIONS` or `identity`."""
        value = getattr(self, field)
        if value is not None and not isinstance(value, str):
            raise KeyError(field)
        return value

    def disagreements(self) -> list[tuple[str, str]]:
        """Return the pairs of fields that mean the same and differ, where both are present."""
        return [
            (left, right)
            for left, right, prefix in _TWINS
            if (a := self.value(left)) is not None
            and (b := self.value(right)) is not None
            and prefix + a != b
        ]


def _decode(extension: Extension, value: x509.ExtensionType) -> str:
    # By type and not by isinstance, which is slow for these classes.
    if type(value) is not x509.UnrecognizedExtension:
        raise ClaimError(f"extension .{extension.number} is not a Fulcio claim")
    try:
        if extension.encoding is Encoding.DER:
            return asn1.decode_der(str, value.value)
        return value.value.decode("utf-8")
    except ValueError as error:
        raise ClaimError(f"claim .{extension.number} ({extension.title}) is malformed: {error}") from error


def _read_identity(names: x509.SubjectAlternativeName) -> tuple[str, str]:
    if len(names) != 1:
        raise ClaimError(f"one subject alternative name expected, found {len(names)}")
    name = names[0]
    match name:
        case x509.UniformResourceIdentifier():
            return name.value, "uri"
        case x509.RFC822Name():
            return name.value, "email"
        case x509.OtherName() if name.type_id.dotted_string == _OTHER_NAME_OID:
            try:
                return asn1.decode_der(str, name.value), "othername"
            except ValueError as error:
                raise ClaimError(f"the otherName identity is malformed: {error}") from error
        case _:
            raise ClaimError(f"a {type(name).__name__} is not an identity that Fulcio writes")


@dataclass(frozen=True)
class WorkflowIdentity:
    """A GitHub Actions workflow at a ref, taken apart from its URI."""

    owner: str
    repository: str
    path: str
    """Path in the repository, `.github/workflows/publish.yml`."""

    ref: str
    """`refs/heads/main`, a tag, or a commit."""

    @property
    def repository_uri(self) -> str:
        """URI of the repository that holds the workflow."""
        return f"{_GITHUB}{self.owner}/{self.repository}"

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read `https://github.com/OWNER/REPO/.github/workflows/FILE@REF`, anchored at both ends.

        Raises ClaimError for every other form, so that no look-alike (other host, port, user
        information, percent-escape, non-ASCII letter, further path) is ever compared with a policy.
        """
        match = _WORKFLOW_URI.fullmatch(uri)
        if match is None:
            raise ClaimError(f"{uri!r} is not a GitHub Actions workflow identity")
        return cls(match["owner"], match["repository"], match["path"], match["ref"])

    def __str__(self) -> str:
        return f"{self.repository_uri}/{self.path}@{self.ref}"


_WORKFLOW_URI = re.compile(
    r"https://github\.com/(?P<owner>[A-Za-z0-9_-]+)/(?P<repository>[A-Za-z0-9._-]+)"
    r"/(?P<path>\.github/workflows/[A-Za-z0-9._ +()-]+\.ya?ml)"
    r"@(?P<ref>refs/(?:heads|tags|pull)/[!-~]+|[0-9a-f]{40}|[0-9a-f]{64})",
    re.ASCII,
)
