"""Sigstore bundles as they arrive: read with limits, and sorted by what they are.

The store, a kit or a file controls every byte here, and nothing is trusted: sorting only decides
whether a bundle is handed to cryptography, and what is said when it is not. Formats:
https://github.com/sigstore/protobuf-specs (bundle v0.1 to v0.3).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from brew_provenance import strictjson
from brew_provenance.evidence import LogEntry
from brew_provenance.findings import Finding
from brew_provenance.strictjson import MalformedJSONError

MAX_BUNDLE_BYTES: Final = 24 * 1024 * 1024
"""GitHub takes predicates of up to 16 MiB; in base64 and with its proofs that stays below this."""

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""A file of bundles, one a line."""

MAX_FILE_BUNDLES: Final = 10_000
"""Bundles in one file."""

MAX_TIMESTAMPS: Final = 32
"""Signed timestamps that a verifier reads; the same limit as sigstore-go's and sigstore-python's."""

MAX_PROOF_HASHES: Final = 64
"""Hashes of an inclusion proof: one for each doubling of a log whose size is a 64-bit number."""

IN_TOTO: Final = "application/vnd.in-toto+json"
"""The DSSE payload type of an in-toto Statement (in-toto attestation spec, envelope)."""

_V01 = "application/vnd.dev.sigstore.bundle+json;version=0.1"
_CHAIN_TYPES = (_V01, "application/vnd.dev.sigstore.bundle+json;version=0.2")
_MEDIA_TYPES = (
    *_CHAIN_TYPES,
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle.v0.3+json",
)
_LOG_KINDS = (
    "dsse/0.0.1",
    "dsse/0.0.2",
    "hashedrekord/0.0.1",
    "hashedrekord/0.0.2",
    "intoto/0.0.2",
)
_UNSUPPORTED_KINDS = {"dsse/0.0.2": "unsupported-dsse-002-log-entry"}
# All that the formats define at these places; sigstore knows the rest.
_BUNDLE_FIELDS = {"mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope"}
_MATERIAL_FIELDS = {
    "publicKey",
    "x509CertificateChain",
    "certificate",
    "tlogEntries",
    "timestampVerificationData",
}
_MESSAGE_FIELDS = {"messageDigest", "signature"}
_ENVELOPE_FIELDS = {"payload", "payloadType", "signatures"}
_PROOF_FIELDS = {"logIndex", "rootHash", "treeSize", "hashes", "checkpoint"}
_ENTRY_FIELDS = {
    "logIndex",
    "logId",
    "kindVersion",
    "integratedTime",
    "inclusionPromise",
    "inclusionProof",
    "canonicalizedBody",
}
_UINT64_DIGITS = 20


@dataclass(frozen=True)
class InclusionProof:
    """What is to show that a log holds an entry; nothing in it is verified yet."""

    index: int
    """Index of the entry in the tree."""

    size: int
    """Number of entries in the tree."""

    root: bytes
    """Root hash of the tree."""

    hashes: tuple[bytes, ...]
    """The hashes on the way from the entry to the root."""

    checkpoint: str | None
    """The log's signed note of size and root; None when the proof came without one."""


@dataclass(frozen=True)
class LoggedEntry:
    """The log entry as the bundle carries it; nothing in it is verified yet."""

    entry: LogEntry
    """Its kind, its index and the log that it names."""

    body: bytes
    """What the log stores of it."""

    time: int | None
    """Seconds since the epoch at which the log says that it took the entry in; None when it does not."""

    promise: bytes | None
    """The log's signature over entry and time; None when there is none."""

    proof: InclusionProof | None
    """Its inclusion proof; None when there is none."""

    @property
    def promised_time(self) -> int | None:
        """The time that the promise is about, in seconds since the epoch; None when there is none."""
        return self.time if self.promise else None

    @property
    def is_proven(self) -> bool:
        """Whether it comes with a proof up to something that the log signed."""
        return self.proof is not None and self.proof.checkpoint is not None


@dataclass(frozen=True)
class Bundle:
    """A bundle with the right shape. Every value in it is still unverified."""

    raw: bytes
    """The JSON as it came."""

    payload_type: str | None
    """DSSE payload type; None when the bundle signs a message."""

    payload: bytes
    """DSSE payload; empty when the bundle signs a message."""

    certificate: bytes | None
    """The signer's certificate, DER; None when a managed key signed."""

    signature: bytes
    """The signature over envelope or message; empty when a managed key signed."""

    timestamps: tuple[bytes, ...]
    """RFC 3161 responses over the signature, DER."""

    logged: LoggedEntry | None
    """Its one log entry; None when there is none, which is for the trusted root to allow."""

    unsupported: Finding | None
    """Why cryptography cannot judge this kind of bundle, when it cannot."""


class _ShapeError(ValueError):
    """The bundle has the wrong shape; carries the finding."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.finding = Finding(code, detail)


def read_bundle(raw: bytes) -> Bundle | Finding:
    """Read one bundle, or say what is wrong with it. Never raises, whatever the bytes."""
    try:
        return _read(raw, strictjson.loads(raw, MAX_BUNDLE_BYTES))
    except MalformedJSONError as error:
        return Finding("bundle-unreadable", str(error))


def read_bundles(raw: bytes) -> list[Bundle | Finding]:
    """Read a file of bundles: one JSON document, or JSON Lines with one bundle a line.

    A file is read whole or not at all: raises MalformedJSONError, which names the line, when any
    of it is not strict JSON, when it is empty, or when a limit is exceeded.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise MalformedJSONError(f"longer than the limit of {MAX_FILE_BYTES:,} bytes")
    lines = [(number, line) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()]
    if len(lines) < 2 or not lines[1][1].startswith(b"{"):
        return [_read(raw, strictjson.loads(raw, MAX_BUNDLE_BYTES))]
    if len(lines) > MAX_FILE_BUNDLES:
        raise MalformedJSONError(f"more than the limit of {MAX_FILE_BUNDLES:,} bundles")
    bundles = []
    for number, line in lines:
        try:
            bundles.append(_read(line, strictjson.loads(line, MAX_BUNDLE_BYTES)))
        except MalformedJSONError as error:
            raise MalformedJSONError(f"line {number}: {error}") from error
    return bundles


def _read(raw: bytes, document: object) -> Bundle | Finding:
    # ProtoJSON parsers, sigstore's too, also take snake_case names, and a twin would be read twice.
    # Neither base64 nor any field of a bundle has an underscore, so few bundles are walked through.
    if (b"_" in raw or b"\\u" in raw) and (name := _snake_case_name(document)):
        return Finding("bundle-malformed", f"the field {name!r} is not written as bundles write it")
    try:
        return _shape(raw, document)
    except _ShapeError as error:
        return error.finding


def _snake_case_name(document: object) -> str | None:
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if name := next((name for name in value if "_" in name), None):
                return str(name)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return None


def _shape(raw: bytes, document: object) -> Bundle:
    top = _object(document, "the bundle", None)
    media_type = top.get("mediaType")
    if media_type not in _MEDIA_TYPES:
        raise _ShapeError("bundle-media-type-unknown", f"media type {media_type!r}")
    if "verificationMaterial" not in top:
        raise _ShapeError("verification-material-missing", "verificationMaterial is missing")
    top = _object(top, "the bundle", _BUNDLE_FIELDS)
    payload_type, payload, signature = _content(top)
    material = _object(top["verificationMaterial"], "verificationMaterial", _MATERIAL_FIELDS)
    certificate = _signer(material, expects_chain=media_type in _CHAIN_TYPES)
    if certificate is None:
        unsupported = Finding("unsupported-managed-key", "signed with a public key")
        return Bundle(raw, payload_type, payload, None, b"", (), None, unsupported)
    timestamps = _timestamps(material)
    entries = _list(material.get("tlogEntries", []), "tlogEntries")
    if len(entries) > 1:
        raise _ShapeError("log-entries-many", f"{len(entries)} log entries")
    logged, fault = None, None
    if entries:
        logged = _logged(_object(entries[0], "the log entry", _ENTRY_FIELDS))
        _check_proof(logged, may_lack_it=media_type == _V01, has_timestamps=bool(timestamps))
        if code := _UNSUPPORTED_KINDS.get(logged.entry.kind):
            fault = Finding(code, f"log entry of kind {logged.entry.kind}")
    return Bundle(raw, payload_type, payload, certificate, signature, timestamps, logged, fault)


def _content(top: dict[str, object]) -> tuple[str | None, bytes, bytes]:
    has_envelope, has_message = "dsseEnvelope" in top, "messageSignature" in top
    if has_envelope and has_message:
        raise _ShapeError("bundle-content-ambiguous", "dsseEnvelope and messageSignature")
    if has_message:
        message = _object(top["messageSignature"], "messageSignature", _MESSAGE_FIELDS)
        return None, b"", _base64(message.get("signature"), "signature")
    if not has_envelope:
        raise _ShapeError("bundle-content-missing", "neither dsseEnvelope nor messageSignature")
    envelope = _object(top["dsseEnvelope"], "dsseEnvelope", _ENVELOPE_FIELDS)
    payload_type = _text(envelope.get("payloadType"), "payloadType")
    payload = _base64(envelope.get("payload"), "payload")
    signatures = _list(envelope.get("signatures"), "signatures")
    if len(signatures) != 1:
        raise _ShapeError("envelope-signatures-many", f"{len(signatures)} signatures")
    fields = _object(signatures[0], "the signature", {"sig", "keyid"})
    _text(fields.get("keyid", ""), "keyid")
    signature = _base64(fields.get("sig"), "sig")
    if not signature:
        raise _ShapeError("bundle-malformed", "the signature is empty")
    return payload_type, payload, signature


def _signer(material: dict[str, object], *, expects_chain: bool) -> bytes | None:
    """Return the leaf certificate's DER, or None when a managed key signed."""
    forms = [form for form in ("publicKey", "x509CertificateChain", "certificate") if form in material]
    if not forms:
        raise _ShapeError("certificate-missing", "no certificate in verificationMaterial")
    if len(forms) > 1:
        raise _ShapeError("certificate-ambiguous", " and ".join(forms))
    if forms == ["publicKey"]:
        return None
    expected = "x509CertificateChain" if expects_chain else "certificate"
    if forms != [expected]:
        raise _ShapeError("bundle-malformed", f"this bundle version carries {expected}, found {forms[0]}")
    if not expects_chain:
        return _certificate(material["certificate"])
    chain = _object(material["x509CertificateChain"], "x509CertificateChain", {"certificates"})
    certificates = _list(chain.get("certificates", []), "certificates")
    if not certificates:
        raise _ShapeError("certificate-missing", "the certificate chain is empty")
    # The others are read for their shape: what a signer's certificate leads to is the trusted root's.
    leaf, *_others = [_certificate(certificate) for certificate in certificates]
    return leaf


def _certificate(value: object) -> bytes:
    return _base64(_object(value, "the certificate", {"rawBytes"}).get("rawBytes"), "rawBytes")


def _timestamps(material: dict[str, object]) -> tuple[bytes, ...]:
    data = _object(
        material.get("timestampVerificationData", {}), "timestampVerificationData", {"rfc3161Timestamps"}
    )
    timestamps = _list(data.get("rfc3161Timestamps", []), "rfc3161Timestamps")
    if len(timestamps) > MAX_TIMESTAMPS:
        raise _ShapeError(
            "timestamps-too-many", f"{len(timestamps)} timestamps, the limit is {MAX_TIMESTAMPS}"
        )
    name = "signedTimestamp"
    return tuple(
        _base64(_object(timestamp, "a timestamp", {name}).get(name), name) for timestamp in timestamps
    )


def _logged(fields: dict[str, object]) -> LoggedEntry:
    version = _object(fields.get("kindVersion"), "kindVersion", {"kind", "version"})
    kind = f"{version.get('kind')}/{version.get('version')}"
    if kind not in _LOG_KINDS:
        raise _ShapeError("log-entry-version-unknown", f"log entry of kind {kind!r}")
    key_id = _base64(_object(fields.get("logId"), "logId", {"keyId"}).get("keyId"), "keyId")
    promise = _object(fields.get("inclusionPromise", {}), "inclusionPromise", {"signedEntryTimestamp"})
    proof = _object(fields.get("inclusionProof", {}), "inclusionProof", _PROOF_FIELDS)
    return LoggedEntry(
        entry=LogEntry(kind, _number(fields.get("logIndex"), "logIndex"), key_id.hex()),
        body=_base64(fields.get("canonicalizedBody"), "canonicalizedBody"),
        time=_number(fields.get("integratedTime", "0"), "integratedTime") or None,
        promise=_base64(promise.get("signedEntryTimestamp"), "signedEntryTimestamp") if promise else None,
        proof=_proof(proof) if proof else None,
    )


def _proof(fields: dict[str, object]) -> InclusionProof:
    hashes = _list(fields.get("hashes", []), "hashes")
    if len(hashes) > MAX_PROOF_HASHES:
        raise _ShapeError("log-proof-size", f"{len(hashes)} hashes, the limit is {MAX_PROOF_HASHES}")
    checkpoint = _object(fields.get("checkpoint", {}), "the checkpoint", {"envelope"})
    return InclusionProof(
        index=_number(fields.get("logIndex"), "logIndex"),
        size=_number(fields.get("treeSize"), "treeSize"),
        root=_base64(fields.get("rootHash"), "rootHash"),
        hashes=tuple(_base64(value, "a hash") for value in hashes),
        checkpoint=_text(checkpoint.get("envelope"), "the checkpoint") if checkpoint else None,
    )


def _check_proof(logged: LoggedEntry, *, may_lack_it: bool, has_timestamps: bool) -> None:
    """Refuse an entry that lacks what its bundle version requires, or from which no time follows."""
    if not logged.is_proven and not (may_lack_it and logged.promise):
        if logged.proof is None:
            raise _ShapeError("log-proof-missing", "inclusionProof is missing")
        raise _ShapeError("log-checkpoint-missing", "inclusionProof has no checkpoint")
    if not logged.promise and not has_timestamps:
        raise _ShapeError("time-missing", "neither inclusionPromise nor rfc3161Timestamps")


def _object(value: object, what: str, known: set[str] | None) -> dict[str, object]:
    """Return an object's fields, none of which is other than `known`; None for any."""
    if not isinstance(value, dict):
        raise _ShapeError("bundle-malformed", f"{what} is not an object")
    if known is not None and not known.issuperset(value):
        unknown = sorted(set(value) - known)
        raise _ShapeError("bundle-malformed", f"{what} has unknown fields: {', '.join(unknown)[:200]}")
    # ProtoJSON: null stands for a field that is not set.
    if None in value.values():
        return {name: field for name, field in value.items() if field is not None}
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise _ShapeError("bundle-malformed", f"{what} is not a list")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise _ShapeError("bundle-malformed", f"{what} is not a string")
    return value


def _number(value: object, what: str) -> int:
    # ProtoJSON writes 64-bit integers as strings.
    text = _text(value, what)
    if not (text.isascii() and text.isdigit() and len(text) <= _UINT64_DIGITS):
        raise _ShapeError("bundle-malformed", f"{what} is not a 64-bit number")
    return int(text)


def _base64(value: object, what: str) -> bytes:
    try:
        return base64.b64decode(_text(value, what), validate=True)
    except ValueError as error:
        raise _ShapeError("bundle-malformed", f"{what} is not base64: {error}") from error
