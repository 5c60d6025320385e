"""The bundles that sigstore-python reads: the one place where it is called.

It does steps 4.2 to 4.5 of the Sigstore client specification; this module hands it the bundle and
turns its answer into evidence or into one finding with a reason code.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence

from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import Certificate, InvalidVersion
from sigstore.errors import Error as SigstoreError
from sigstore.hashes import Hashed
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier as SigstoreVerifier

from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle, LoggedEntry
from brew_provenance.certificate import Claims
from brew_provenance.evidence import Evidence, TimeSource, VerifiedTime
from brew_provenance.findings import Finding
from brew_provenance.verify.certificates import certificate_fault, profile_fault
from brew_provenance.verify.log import check_period, promised_time
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import Instance
from brew_provenance.verify.timestamps import is_trusted

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

# ClientTrustConfig is sigstore's public way to read a trusted root that is not a file.
_NO_SIGNING = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}


class _AnyCertificate:
    """Lets every chained certificate pass: who may sign is judged by our policy, with findings."""

    def verify(self, cert: Certificate) -> None:
        """Accept."""


class SigstorePython:
    """sigstore-python's verifier for one trusted root."""

    def __init__(self, instance: Instance, document: Mapping[str, object]) -> None:
        """Load the root's JSON. Raises ValueError for what sigstore-python cannot use."""
        described = {
            "mediaType": ClientTrustConfig.ClientTrustConfigType.CONFIG_0_1.value,
            "trustedRoot": document,
            "signingConfig": _NO_SIGNING,
        }
        self._instance = instance
        try:
            config = ClientTrustConfig.from_json(json.dumps(described))
            self._verifier = SigstoreVerifier(trusted_root=config.trusted_root)
        except SigstoreError as error:
            raise ValueError(str(error)) from error

    def verify(self, bundle: Bundle, der: bytes, logged: LoggedEntry, digests: Sequence[Digest]) -> Evidence:
        """Verify a bundle whose certificate is `der`. Raises Refusal, and ValueErrors that sigstore leaks."""
        try:
            # As load_certificate does: what cryptography warns of today it will refuse.
            with warnings.catch_warnings(action="error", category=CryptographyDeprecationWarning):
                return self._verify(bundle, der, logged, digests)
        except (SigstoreError, InvalidVersion, CryptographyDeprecationWarning) as error:
            fault = certificate_fault(der) or _explain(error)
            raise Refusal(fault.code, fault.detail) from error

    def _verify(self, bundle: Bundle, der: bytes, logged: LoggedEntry, digests: Sequence[Digest]) -> Evidence:
        parsed = SigstoreBundle.from_json(bundle.raw)
        certificate = parsed.signing_certificate
        if fault := profile_fault(certificate):
            raise Refusal(fault.code, fault.detail)
        payload_type, payload = None, b""
        if bundle.payload_type is not None:
            payload_type, payload = self._verifier.verify_dsse(parsed, _AnyCertificate())
        else:
            digest = next((digest for digest in digests if digest.algorithm == "sha256"), None)
            if digest is None:
                raise Refusal("not-an-attestation", "not checked: it can be, with a sha256 digest only")
            hashed = Hashed.model_validate({"algorithm": "SHA2_256", "digest": bytes.fromhex(digest.value)})
            self._verifier.verify_artifact(hashed, parsed, _AnyCertificate())
        times = self._times(logged, parsed)
        # sigstore-python takes the key of a log for good, whatever period the root gives it.
        check_period(logged, self._instance.logs, times)
        return Evidence(
            trusted_root=self._instance.name,
            claims=Claims.from_certificate(certificate),
            certificate=der,
            times=tuple(times),
            log_entry=logged.entry,
            signature=parsed.signature,
            payload_type=payload_type,
            payload=payload,
        )

    def _times(self, logged: LoggedEntry, parsed: SigstoreBundle) -> list[VerifiedTime]:
        """Return the times that sigstore has just verified, which it does not hand out."""
        promised = promised_time(logged)
        times = [promised] if promised is not None else []
        data = parsed.verification_material.timestamp_verification_data
        timestamps = data.rfc3161_timestamps if data else []
        # Sigstore asks for one verified time, and passes over timestamps that do not verify.
        is_only_time = len(timestamps) == 1 and not times
        authorities = self._instance.timestamp_authorities
        times.extend(
            VerifiedTime(TimeSource.AUTHORITY, timestamp.tst_info.gen_time)
            for timestamp in timestamps
            if is_only_time or is_trusted(timestamp, parsed.signature, authorities)
        )
        if not times:
            raise Refusal("timestamp-unverified", "no authority of the trusted root is fit to make one")
        return times


def _explain(error: Exception) -> Finding:
    """Turn what sigstore-python, or what it leaks of cryptography, says into a finding."""
    text = " ".join(" ".join(map(str, error.args)).split())[:300]
    if not isinstance(error, SigstoreError):
        return Finding("bundle-malformed", text)
    code = next((code for pattern, code in _MESSAGES if pattern.search(text)), "verification-failed")
    return Finding(code, text)
