"""Rekor's APIs, version 1 and version 2, before one server's two logs.

Sources: sigstore/rekor, openapi.yaml and pkg/types; sigstore/rekor-tiles, CLIENTS.md. What is not signed
by the certificate that comes with it is not taken.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from brew_provenance import strictjson
from brew_provenance.sandbox.entries import EntryBody, build_hashed_entry, build_message_entry
from brew_provenance.sandbox.envelope import encode_pae
from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply, reply_json
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.merkle import hash_leaf
from brew_provenance.sandbox.services.logbook import Entry, LogBook
from brew_provenance.sandbox.services.service import (
    MAX_BODY_BYTES,
    Service,
    read_member,
    read_object,
    read_text,
    rpc_error,
)
from brew_provenance.sandbox.wire import JsonObject, encode_bytes
from brew_provenance.strictjson import MalformedJSONError

V1: Final = "/api/v1/log"
V2: Final = "/api/v2/log/entries"

_MAX_AT_ONCE = 10
_LEAF_DIGITS, _TREE_DIGITS = 64, 16
_MAX_INDEX_DIGITS = 19


class LogService:
    """Takes entries into the two logs of an instance, and shows those of version 1."""

    def __init__(
        self,
        sigstore: VirtualSigstore,
        folder: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Log for `sigstore`; with a folder, the entries are kept in it, and go on from there.

        `clock` dates the entries of version 1. Raises InputError when what is there cannot be used.
        """
        self._clock = clock
        self.v1 = LogBook(sigstore.rekor_v1, folder and folder / "rekor-v1.jsonl")
        self.v2 = LogBook(sigstore.rekor_v2, folder and folder / "rekor-v2.jsonl")
        self.service = Service(
            "log",
            [
                ("POST", f"{V1}/entries", self._take),
                ("GET", f"{V1}/entries", self._show_by_index),
                ("POST", f"{V1}/entries/retrieve", self._retrieve),
                ("POST", f"{V1}/entries/retrieve/", self._retrieve),
                ("GET", f"{V1}/entries/{{uuid}}", self._show_by_uuid),
                ("GET", V1, self._show_log),
                ("GET", f"{V1}/publicKey", self._show_key),
                ("POST", V2, self._take_v2),
            ],
        )
        """What is served."""

    def _take(self, call: Call) -> Reply:
        entry, is_new = self.v1.record(read_proposal(read_object(call)), self._now())
        uuid = self._uuid(entry)
        location = {"location": f"{V1}/entries/{uuid}"}
        if not is_new:
            raise RefusedError(
                409, f"an equivalent entry already exists in the transparency log with UUID {uuid}", location
            )
        reply = reply_json(201, self._describe(entry))
        return Reply(reply.status, reply.body, {**reply.headers, **location, "etag": uuid})

    def _take_v2(self, call: Call) -> Reply:
        try:
            entry, _ = self.v2.record(read_proposal_v2(read_object(call)), None)
        except RefusedError as error:
            return rpc_error(error.status, error.message)
        return reply_json(201, self.v2.describe(entry))

    def _show_by_uuid(self, call: Call) -> Reply:
        entry = self._find(call.parameters["uuid"])
        if entry is None:
            raise RefusedError(404, "entry not found")
        return reply_json(200, self._describe(entry))

    def _show_by_index(self, call: Call) -> Reply:
        text = call.query.get("logIndex", "")
        if not (text.isascii() and text.isdigit()) or len(text) > _MAX_INDEX_DIGITS:
            raise RefusedError(422, "logIndex in query is required, and a number")
        entry = self.v1.find_index(int(text))
        if entry is None:
            raise RefusedError(404, "entry not found")
        return reply_json(200, self._describe(entry))

    def _retrieve(self, call: Call) -> Reply:
        wanted = read_object(call)
        asked = [_read_list(wanted, name) for name in ("logIndexes", "entryUUIDs", "entries")]
        indexes, uuids, proposals = asked
        if not 0 < len(indexes) + len(uuids) + len(proposals) <= _MAX_AT_ONCE:
            raise RefusedError(422, f"from 1 to {_MAX_AT_ONCE} entries can be asked for")
        found = [
            *(self.v1.find_index(index) for index in indexes if isinstance(index, int)),
            *(self._find(uuid) for uuid in uuids if isinstance(uuid, str)),
            *(self.v1.find_leaf(hash_leaf(read_proposal(each).content)) for each in proposals),
        ]
        return reply_json(200, [self._describe(entry) for entry in found if entry is not None])

    def _show_log(self, _: Call) -> Reply:
        log = self.v1.log
        return reply_json(
            200,
            {
                "rootHash": log.tree.root().hex(),
                "treeSize": len(log.tree),
                "signedTreeHead": log.sign_checkpoint(),
                "treeID": log.tree_id,
                "inactiveShards": [],
            },
        )

    def _show_key(self, _: Call) -> Reply:
        pem = self.v1.log.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return Reply(200, pem, {"content-type": "application/x-pem-file"})

    def _find(self, uuid: str) -> Entry | None:
        # An entry's own name is its leaf's hash; with the tree before it, its name among all shards.
        if len(uuid) not in {_LEAF_DIGITS, _TREE_DIGITS + _LEAF_DIGITS}:
            raise RefusedError(400, "the entry's UUID is not one")
        try:
            leaf = bytes.fromhex(uuid[-_LEAF_DIGITS:])
        except ValueError as error:
            raise RefusedError(400, "the entry's UUID is not one") from error
        return self.v1.find_leaf(leaf)

    def _uuid(self, entry: Entry) -> str:
        tree = int(self.v1.log.tree_id or 0)
        return f"{tree:0{_TREE_DIGITS}x}{hash_leaf(entry.body.content).hex()}"

    def _describe(self, entry: Entry) -> JsonObject:
        """Return an entry as version 1 answers it, in another form than bundles carry it."""
        found = self.v1.describe(entry)
        proof = found["inclusionProof"]
        return {
            self._uuid(entry): {
                "body": found["canonicalizedBody"],
                "integratedTime": int(found["integratedTime"]),
                "logID": self.v1.log.log_id.hex(),
                "logIndex": int(found["logIndex"]),
                "verification": {
                    "inclusionProof": {
                        "checkpoint": proof["checkpoint"]["envelope"],
                        "hashes": [base64.b64decode(node).hex() for node in proof["hashes"]],
                        "logIndex": int(proof["logIndex"]),
                        "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                        "treeSize": int(proof["treeSize"]),
                    },
                    "signedEntryTimestamp": found["inclusionPromise"]["signedEntryTimestamp"],
                },
            }
        }

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self._clock()), UTC)


def read_proposal(document: object) -> EntryBody:
    """Return the body of an entry that version 1 is asked to take. Raises RefusedError."""
    kind, version = read_text(document, "kind"), read_text(document, "apiVersion")
    match kind, version:
        case "dsse", "0.0.1":
            return _read_dsse(read_member(document, "spec"))
        case "hashedrekord", "0.0.1":
            return _read_hashed(read_member(document, "spec"))
        case _:
            raise RefusedError(400, f"entries of kind {kind[:40]} {version[:20]} are not taken")


def read_proposal_v2(document: object) -> EntryBody:
    """Return the body of an entry that version 2 is asked to take. Raises RefusedError."""
    request = read_member(document, "hashedRekordRequestV002")
    digest = _decode(read_text(request, "digest"), "digest")
    signature = _decode(read_text(request, "signature", "content"), "signature")
    verifier = read_member(request, "signature", "verifier")
    if read_text(verifier, "keyDetails") != "PKIX_ECDSA_P256_SHA_256":
        raise RefusedError(400, "keys of that kind are not taken")
    raw = _decode(read_text(verifier, "x509Certificate", "rawBytes"), "certificate")
    certificate = _load(x509.load_der_x509_certificate, raw)
    _verify_digest(certificate, signature, digest)
    return build_hashed_entry(digest, signature, certificate)


def _read_dsse(spec: object) -> EntryBody:
    raw = read_text(spec, "proposedContent", "envelope").encode()
    verifiers = read_member(spec, "proposedContent", "verifiers")
    if not isinstance(verifiers, list) or len(verifiers) != 1 or not isinstance(verifiers[0], str):
        raise RefusedError(400, "one verifier has to be given, as a string")
    try:
        envelope = strictjson.loads(raw, MAX_BODY_BYTES)
    except MalformedJSONError as error:
        raise RefusedError(400, f"the envelope is not JSON: {str(error)[:200]}") from error
    payload = _decode(read_text(envelope, "payload"), "payload")
    signatures = read_member(envelope, "signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise RefusedError(400, "the envelope has to have one signature")
    signature = read_text(signatures[0], "sig")
    certificate = _load(x509.load_pem_x509_certificate, _decode(verifiers[0], "verifier"))
    signed = encode_pae(read_text(envelope, "payloadType"), payload)
    _verify_digest(certificate, _decode(signature, "sig"), hashlib.sha256(signed).digest())
    return EntryBody.canonicalize(
        "dsse",
        "0.0.1",
        {
            "envelopeHash": _hash(raw),
            "payloadHash": _hash(payload),
            "signatures": [
                {
                    "signature": signature,
                    "verifier": encode_bytes(certificate.public_bytes(Encoding.PEM)),
                }
            ],
        },
    )


def _read_hashed(spec: object) -> EntryBody:
    if read_text(spec, "data", "hash", "algorithm") != "sha256":
        raise RefusedError(400, "hashes other than sha256 are not taken")
    try:
        digest = bytes.fromhex(read_text(spec, "data", "hash", "value"))
    except ValueError as error:
        raise RefusedError(400, "the hash is not hexadecimal") from error
    signature = _decode(read_text(spec, "signature", "content"), "signature")
    pem = _decode(read_text(spec, "signature", "publicKey", "content"), "publicKey")
    certificate = _load(x509.load_pem_x509_certificate, pem)
    _verify_digest(certificate, signature, digest)
    return build_message_entry(digest, signature, certificate)


def _load(load: Callable[[bytes], x509.Certificate], raw: bytes) -> x509.Certificate:
    try:
        return load(raw)
    except ValueError as error:
        raise RefusedError(400, f"the certificate cannot be read: {error}") from error


def _verify_digest(certificate: x509.Certificate, signature: bytes, digest: bytes) -> None:
    try:
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise RefusedError(400, "keys of that kind are not taken")
        key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        raise RefusedError(400, "the signature is not by the certificate's key over this content") from error


def _decode(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise RefusedError(400, f"{name} is not base64") from error


def _hash(raw: bytes) -> JsonObject:
    return {"algorithm": "sha256", "value": hashlib.sha256(raw).hexdigest()}


def _read_list(holder: JsonObject, name: str) -> list[object]:
    found = holder.get(name) or []
    if not isinstance(found, list):
        raise RefusedError(422, f"{name} is not a list")
    return found
