"""From a bundle to evidence: the one place where Sigstore's cryptography is called.

Which rules a bundle has to pass is decided by the trusted root, never by the bundle: under a root
with transparency logs, an entry in one of them and the promise to log the certificate; under a root
without any, as that of GitHub's own instance, a signed timestamp. sigstore-python does what it reads
(`sigstorepy`); what it does not read is done here, step by step, with the numbers that the steps have
in the Sigstore client specification (`logged`, `timestamped`).
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from typing import Protocol

from brew_provenance import strictjson
from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle
from brew_provenance.certificate import ClaimError, load_certificate
from brew_provenance.errors import TrustError
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.trust import MAX_ROOT_BYTES, TrustedRoot
from brew_provenance.verify.certificates import certificate_fault, issuer_name
from brew_provenance.verify.logged import verify_logged
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import Instance, read_instance
from brew_provenance.verify.sigstorepy import SigstorePython
from brew_provenance.verify.timestamped import verify_timestamped

__all__ = ["Verifier"]

# What a root finds that is not the one of the bundle's instance.
_OTHER_INSTANCE = {"certificate-untrusted", "timestamp-unverified", "timestamp-authority-unknown"}
# The one kind of entry for an envelope that sigstore-python does not read.
_INTOTO = "intoto/0.0.2"


class Verifier:
    """Verifies bundles under one or more trusted roots. Build one a process: roots are costly."""

    def __init__(self, roots: Sequence[TrustedRoot]) -> None:
        """Load `roots`.

        Nothing verifies under a root that has neither logs nor timestamp authorities, or that has
        logs of one kind only. Raises TrustError when there is no root, or one is malformed.
        """
        if not roots:
            raise TrustError("the trusted root", "there is none", "give one with --trusted-root")
        self.roots = tuple(roots)
        """The roots as given, for naming them in a verdict."""
        self._rules = [rules for root in roots if (rules := _load(root)) is not None]

    def verify(self, bundle: Bundle, digests: Sequence[Digest]) -> Evidence | Finding:
        """Verify `bundle` under each root in turn, one root at a time.

        `digests` are those of the artifact; only a message signature needs them, as an envelope's
        subjects are judged later. Returns the evidence, or the finding that says why there is none.
        Never raises: whatever goes wrong in here is a finding.
        """
        if bundle.unsupported:
            return bundle.unsupported
        if not self._rules:
            return Finding("unsupported-trusted-root", ", ".join(root.name for root in self.roots))
        certificate = bundle.certificate or b""  # none is unsupported
        refusals = []
        for rules in self._rules:
            result = _answer(rules, bundle, certificate, digests)
            if isinstance(result, Evidence):
                return result
            is_strange = not _has_issued(rules.instance, certificate)
            refusals.append((is_strange, result.code in _OTHER_INSTANCE, result))
        # The root that knows the signer's authority says what is wrong; the others only that they don't.
        return min(refusals, key=lambda refusal: refusal[:2])[2]


class _Rules(Protocol):
    """What the bundles of one instance have to pass."""

    instance: Instance

    def verify(self, bundle: Bundle, certificate: bytes, digests: Sequence[Digest]) -> Evidence:
        """Return evidence. Raises Refusal, and ValueError for what is malformed."""


class _WithLogs:
    """The rules of an instance with logs, as Sigstore's public-good one."""

    def __init__(self, instance: Instance, document: Mapping[str, object]) -> None:
        self.instance = instance
        self._sigstore = SigstorePython(instance, document)

    def verify(self, bundle: Bundle, certificate: bytes, digests: Sequence[Digest]) -> Evidence:
        logged = bundle.logged
        if logged is None:
            leaf = load_certificate(certificate)
            if self.instance.has_issued(leaf):
                raise Refusal("log-entry-missing", f"{self.instance.name} is of an instance with a log")
            raise Refusal("certificate-untrusted", f"issued by {issuer_name(leaf)!r}, and in no log")
        if logged.is_proven and logged.entry.kind != _INTOTO:
            return self._sigstore.verify(bundle, certificate, logged, digests)
        if bundle.payload_type is None:
            raise Refusal("not-an-attestation", "not checked: its log entry is of an older kind")
        return verify_logged(bundle, certificate, logged, self.instance)


class _WithoutLogs:
    """The rules of an instance without any log, as GitHub's own."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def verify(self, bundle: Bundle, certificate: bytes, digests: Sequence[Digest]) -> Evidence:  # noqa: ARG002
        if not self.instance.has_issued(leaf := load_certificate(certificate)):
            raise Refusal("certificate-untrusted", f"issued by {issuer_name(leaf)!r}")
        if bundle.payload_type is None:
            raise Refusal("not-an-attestation", "not checked: it is not in a log")
        return verify_timestamped(bundle, certificate, self.instance)


def _load(root: TrustedRoot) -> _Rules | None:
    try:
        document = _read_document(root)
        instance = read_instance(root.name, document)
        if document.get("tlogs") and document.get("ctlogs"):
            return _WithLogs(instance, document)
        if document.get("tlogs") or document.get("ctlogs") or not instance.timestamp_authorities:
            return None
        return _WithoutLogs(instance)
    except ValueError as error:
        raise TrustError(
            root.name,
            f"not a usable trusted root: {' '.join(str(error).split())[:300]}",
            "make the file again with `gh attestation trusted-root`",
        ) from error


def _read_document(root: TrustedRoot) -> dict[str, object]:
    document = strictjson.loads(root.raw, MAX_ROOT_BYTES)
    if not isinstance(document, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - told as any other malformed root
    return document


def _answer(
    rules: _Rules, bundle: Bundle, certificate: bytes, digests: Sequence[Digest]
) -> Evidence | Finding:
    try:
        return rules.verify(bundle, certificate, digests)
    except Refusal as refusal:
        return refusal.finding
    except Exception as error:  # noqa: BLE001 - the one place; sigstore leaks ValueErrors
        return certificate_fault(certificate) or _explain(error)


def _has_issued(instance: Instance, certificate: bytes) -> bool:
    try:
        return instance.has_issued(load_certificate(certificate))
    except ClaimError:
        return False


def _explain(error: Exception) -> Finding:
    text = " ".join(" ".join(map(str, error.args)).split())[:300]
    if isinstance(error, ClaimError):
        return Finding("certificate-claims-malformed", text)
    if isinstance(error, binascii.Error):  # all other base64 was read before
        return Finding("log-checkpoint-malformed", text)
    if isinstance(error, ValueError):
        return Finding("bundle-malformed", text)
    return Finding("verification-crashed", f"{type(error).__name__}: {text}")
