"""What a log entry recorded, held against what the bundle carries.

Sigstore client specification, 4.4: signature, certificate and subject of the entry must be the
bundle's, or an entry of one signing could be shown for another (CVE-2022-36056). The hash of the
whole envelope, which both kinds record too, is over JSON that bundles do not keep; payload, payload
type, signature and certificate are all that an envelope says.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping

from cryptography.x509 import Certificate, load_pem_x509_certificates

from brew_provenance import strictjson
from brew_provenance.bundle import MAX_BUNDLE_BYTES, Bundle, LoggedEntry
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.verify.refusal import Refusal


def check_entry(logged: LoggedEntry, bundle: Bundle, certificate: Certificate) -> None:
    """Check that the entry is about the bundle's envelope. Raises Refusal."""
    body = _read_body(logged)
    check = _CHECKS.get(logged.entry.kind)
    if check is None:
        raise Refusal("log-entry-kind-mismatch", f"{logged.entry.kind} records no envelope")
    try:
        check(body, bundle, certificate)
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal("log-entry-malformed", f"{type(error).__name__}: {error}") from error


def _read_body(logged: LoggedEntry) -> Mapping[str, object]:
    try:
        body = strictjson.loads(logged.body, MAX_BUNDLE_BYTES)
    except MalformedJSONError as error:
        raise Refusal("log-entry-malformed", str(error)) from error
    if not isinstance(body, dict) or not isinstance(body.get("spec"), dict):
        raise Refusal("log-entry-malformed", "it has no specification")
    kind = f"{body.get('kind')}/{body.get('apiVersion')}"
    if kind != logged.entry.kind:
        raise Refusal("log-entry-malformed", f"it is of kind {kind!r}, and is said to be {logged.entry.kind}")
    return _object(body["spec"])


def _check_dsse(spec: Mapping[str, object], bundle: Bundle, certificate: Certificate) -> None:
    recorded = _only_signature(spec["signatures"])
    _check_payload(_object(spec["payloadHash"]), bundle)
    _check_signature(_decode(recorded["signature"]), _decode(recorded["verifier"]), bundle, certificate)


def _check_intoto(spec: Mapping[str, object], bundle: Bundle, certificate: Certificate) -> None:
    content = _object(spec["content"])
    envelope = _object(content["envelope"])
    recorded = _only_signature(envelope["signatures"])
    _check_payload(_object(content["payloadHash"]), bundle)
    if envelope["payloadType"] != bundle.payload_type:
        raise Refusal("log-entry-payload-mismatch", "the payload was recorded as one of another type")
    # Rekor keeps it as the envelope has it: base64 in base64.
    _check_signature(
        base64.b64decode(_decode(recorded["sig"]), validate=True),
        _decode(recorded["publicKey"]),
        bundle,
        certificate,
    )


_CHECKS: Mapping[str, Callable[[Mapping[str, object], Bundle, Certificate], None]] = {
    "dsse/0.0.1": _check_dsse,
    "intoto/0.0.2": _check_intoto,
}


def _check_payload(recorded: Mapping[str, object], bundle: Bundle) -> None:
    if recorded["algorithm"] != "sha256":
        raise ValueError("the payload's hash is not a SHA-256 digest")
    if recorded["value"] != hashlib.sha256(bundle.payload).hexdigest():
        raise Refusal("log-entry-payload-mismatch", "another payload was recorded")


def _check_signature(signature: bytes, pem: bytes, bundle: Bundle, certificate: Certificate) -> None:
    if signature != bundle.signature:
        raise Refusal("log-entry-signature-mismatch", "another signature was recorded")
    if load_pem_x509_certificates(pem) != [certificate]:
        raise Refusal("log-entry-signature-mismatch", "another certificate was recorded")


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError("an object is expected")
    return value


def _only_signature(value: object) -> dict[str, object]:
    if not isinstance(value, list):
        raise TypeError("a list is expected")
    if len(value) != 1:
        raise Refusal("log-entry-signature-mismatch", f"{len(value)} signatures were recorded")
    return _object(value[0])


def _decode(value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError("base64 is expected")
    return base64.b64decode(value, validate=True)
