"""From a bundle to evidence: the one place where Sigstore's cryptography is called.

sigstore-python does steps (0) to (8) of the Sigstore client specification; this module hands it
the bundle and turns its answer into evidence or into one finding with a reason code.
"""

from __future__ import annotations

import binascii
import json
import re
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    DuplicateExtension,
    ExtendedKeyUsage,
    KeyUsage,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from rfc3161_client import TimeStampResponse, VerifierBuilder
from rfc3161_client import VerificationError as TimestampError
from sigstore.errors import Error as SigstoreError
from sigstore.hashes import Hashed
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import ClientTrustConfig
from sigstore.models import TrustedRoot as SigstoreRoot
from sigstore.verify import Verifier as SigstoreVerifier

from brew_provenance import strictjson
from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle
from brew_provenance.certificate import ClaimError, Claims, load_certificate
from brew_provenance.errors import TrustError
from brew_provenance.evidence import Evidence, TimeSource, VerifiedTime
from brew_provenance.findings import Finding
from brew_provenance.trust import MAX_ROOT_BYTES, TrustedRoot

# What sigstore-python says, told apart. Its texts are no contract: one that is not found here is
# still a rejection, as verification-failed, and the tests hold this table against the release in use.
_MESSAGES = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"unsupported bundle format", "bundle-media-type-unknown"),
        (r"non-leaf certificate in the leaf position", "certificate-not-leaf"),
        (
            r"missing (digital signature usage|KeyUsage|ExtendedKeyUsage)",
            "certificate-usage-invalid",
        ),
        (r"Key usage is not of type|Extended usage does not contain", "certificate-usage-invalid"),
        (r"Invalid Timestamp Response", "timestamp-malformed"),
        (r"too many signed timestamp", "timestamps-too-many"),
        (r"duplicate timestamp", "timestamp-duplicate"),
        (r"no Timestamp Authorities", "timestamp-authority-unknown"),
        (r"not enough sources of verified time", "timestamp-unverified"),
        (
            r"cert is not valid at validation time|expired at time of signing",
            "certificate-time-invalid",
        ),
        (r"does not contain a signed certificate timestamp", "sct-missing"),
        (r"Expected one certificate timestamp", "sct-many"),
        (r"failed to verify SCT", "sct-invalid"),
        (r"failed to build timestamp certificate chain", "certificate-untrusted"),
        (r"inclusion proof has wrong size", "log-proof-size"),
        (r"inclusion proof contains invalid root hash: expected", "log-proof-invalid"),
        (r"malformed (Note|LogCheckpoint)|note must contain", "log-checkpoint-malformed"),
        (r"checkpoint: Signature not found", "log-checkpoint-log-unknown"),
        (r"checkpoint: invalid signature", "log-checkpoint-invalid"),
        (r"Inclusion proof contains invalid root hash signature", "log-checkpoint-root-mismatch"),
        (r"SET: invalid inclusion promise", "log-promise-invalid"),
        (r"DSSE: invalid signature", "envelope-signature-invalid"),
        (r"log entry payload hash does not match", "log-entry-payload-mismatch"),
        (r"log entry signatures do not match", "log-entry-signature-mismatch"),
        (r"inconsistent with other materials", "log-entry-mismatch"),
        (r"expected SHA256 payload hash|invalid DSSE log entry", "log-entry-malformed"),
        (
            r"Unsupported (DSSE|hashedrekord)|Expected entry type hashedrekord",
            "log-entry-kind-mismatch",
        ),
        (r"Bundle message digest mismatch", "message-digest-mismatch"),
        (r"Signature is invalid for input", "message-signature-invalid"),
        (r"failed to load bundle", "bundle-malformed"),
    )
)

# What a root finds that is not the one of the bundle's instance.
_OTHER_INSTANCE = {"certificate-untrusted", "timestamp-unverified", "timestamp-authority-unknown"}

# ClientTrustConfig is sigstore's public way to read a trusted root that is not a file.
_NO_SIGNING = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}


class _AnyCertificate:
    """Lets every chained certificate pass: who may sign is judged by our policy, with findings."""

    def verify(self, cert: Certificate) -> None:
        """Accept."""


class Verifier:
    """Verifies bundles under one or more trusted roots. Build one a process: roots are costly."""

    def __init__(self, roots: Sequence[TrustedRoot]) -> None:
        """Load `roots`.

        Roots without a transparency log (GitHub's own instance) cannot be used yet: nothing verifies
        under them. Raises TrustError when there is no root, or one is malformed.
        """
        if not roots:
            raise TrustError("the trusted root", "there is none", "give one with --trusted-root")
        self.roots = tuple(roots)
        """The roots as given, for naming them in a verdict."""
        self._instances = [instance for root in roots if (instance := _load(root)) is not None]

    def verify(self, bundle: Bundle, digests: Sequence[Digest]) -> Evidence | Finding:
        """Verify `bundle` under each root in turn, one root at a time.

        `digests` are those of the artifact; only a message signature needs them, as an envelope's
        subjects are judged later. Returns the evidence, or the finding that says why there is none.
        Never raises: whatever goes wrong in here is a finding.
        """
        if bundle.unsupported:
            return bundle.unsupported
        if not self._instances:
            return Finding("unsupported-trusted-root", ", ".join(root.name for root in self.roots))
        findings = []
        for instance in self._instances:
            try:
                result = instance.verify(bundle, digests)
            except Exception as error:  # noqa: BLE001 - the one place; sigstore leaks ValueErrors
                result = _certificate_fault(bundle.certificate) or _explain(error)
            if isinstance(result, Evidence):
                return result
            findings.append(result)
        # The root that knows the signer's authority says what is wrong; the others only that they don't.
        return min(findings, key=lambda finding: finding.code in _OTHER_INSTANCE)


class _Instance:
    """One trusted root, loaded."""

    def __init__(self, name: str, root: SigstoreRoot) -> None:
        self._name = name
        self._root = root
        self._verifier = SigstoreVerifier(trusted_root=root)

    def verify(self, bundle: Bundle, digests: Sequence[Digest]) -> Evidence | Finding:
        if bundle.certificate is None or bundle.log_entry is None:
            raise ValueError("a bundle without certificate or log entry is of an unsupported kind")
        # As load_certificate does: what cryptography warns of today it will refuse.
        with warnings.catch_warnings(action="error", category=CryptographyDeprecationWarning):
            parsed = SigstoreBundle.from_json(bundle.raw)
        certificate = parsed.signing_certificate
        if fault := _profile_fault(certificate):
            return fault
        payload_type, payload = None, b""
        if bundle.payload_type is not None:
            payload_type, payload = self._verifier.verify_dsse(parsed, _AnyCertificate())
        else:
            digest = next((digest for digest in digests if digest.algorithm == "sha256"), None)
            if digest is None:
                return Finding("not-an-attestation", "not checked: it can be, with a sha256 digest only")
            hashed = Hashed.model_validate({"algorithm": "SHA2_256", "digest": bytes.fromhex(digest.value)})
            self._verifier.verify_artifact(hashed, parsed, _AnyCertificate())
        return Evidence(
            trusted_root=self._name,
            claims=Claims.from_certificate(certificate),
            certificate=bundle.certificate,
            times=tuple(self._times(bundle, parsed)),
            log_entry=bundle.log_entry,
            signature=parsed.signature,
            payload_type=payload_type,
            payload=payload,
        )

    def _times(self, bundle: Bundle, parsed: SigstoreBundle) -> list[VerifiedTime]:
        """Return the times that sigstore has just verified, which it does not hand out."""
        times = []
        if bundle.promised_time is not None:
            time = datetime.fromtimestamp(bundle.promised_time, tz=UTC)
            times.append(VerifiedTime(TimeSource.LOG, time))
        data = parsed.verification_material.timestamp_verification_data
        timestamps = data.rfc3161_timestamps if data else []
        # Sigstore asks for one verified time, and passes over timestamps that do not verify.
        is_only_time = len(timestamps) == 1 and not times
        times.extend(
            VerifiedTime(TimeSource.AUTHORITY, timestamp.tst_info.gen_time)
            for timestamp in timestamps
            if is_only_time or self._is_trusted(timestamp, parsed.signature)
        )
        if not times:
            raise ValueError("verified without a time")
        return times

    def _is_trusted(self, timestamp: TimeStampResponse, message: bytes) -> bool:
        time = timestamp.tst_info.gen_time
        for authority in self._root.get_timestamp_authorities():
            chain = authority.certificates(allow_expired=True)
            if len(chain) < 2:  # as sigstore-python: a signer and a root, or nothing to verify with
                continue
            builder = VerifierBuilder().tsa_certificate(chain[0]).add_root_certificate(chain[-1])
            for intermediate in chain[1:-1]:
                builder = builder.add_intermediate_certificate(intermediate)
            end = authority.validity_period_end
            try:
                builder.build().verify_message(timestamp, message)
            except TimestampError:
                continue
            if authority.validity_period_start <= time and (end is None or time < end):
                return True
        return False


def _certificate_fault(der: bytes | None) -> Finding | None:
    """Say what is wrong with a certificate on whose account sigstore-python may have failed."""
    if der is None:
        return None
    try:
        return _profile_fault(load_certificate(der))
    except ClaimError as error:
        return Finding("certificate-malformed", str(error))


def _profile_fault(certificate: Certificate) -> Finding | None:
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


def _load(root: TrustedRoot) -> _Instance | None:
    try:
        document = strictjson.loads(root.raw, MAX_ROOT_BYTES)
        if isinstance(document, dict) and not document.get("tlogs"):
            return None
        config = ClientTrustConfig.from_json(
            json.dumps(
                {
                    "mediaType": ClientTrustConfig.ClientTrustConfigType.CONFIG_0_1.value,
                    "trustedRoot": document,
                    "signingConfig": _NO_SIGNING,
                }
            )
        )
        return _Instance(root.name, config.trusted_root)
    except (SigstoreError, ValueError) as error:
        raise TrustError(
            root.name,
            f"not a usable trusted root: {' '.join(str(error).split())[:300]}",
            "make the file again with `gh attestation trusted-root`",
        ) from error


def _explain(error: Exception) -> Finding:
    text = " ".join(" ".join(map(str, error.args)).split())[:300]
    if isinstance(error, ClaimError):
        return Finding("certificate-claims-malformed", text)
    if isinstance(error, SigstoreError):
        code = next((code for pattern, code in _MESSAGES if pattern.search(text)), "verification-failed")
        return Finding(code, text)
    if isinstance(error, binascii.Error):  # all other base64 was read before
        return Finding("log-checkpoint-malformed", text)
    if isinstance(error, ValueError):
        return Finding("bundle-malformed", text)
    return Finding("verification-crashed", f"{type(error).__name__}: {text}")
