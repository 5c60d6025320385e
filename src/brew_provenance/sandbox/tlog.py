"""A transparency log as Rekor runs it, version 1 or 2."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec

from brew_provenance.sandbox.entries import EntryBody
from brew_provenance.sandbox.keys import identify_key, sign
from brew_provenance.sandbox.merkle import MerkleTree
from brew_provenance.sandbox.wire import JsonObject, encode_bytes


@dataclass(frozen=True)
class TransparencyLog:
    """An append-only log of entry bodies, with proofs, checkpoints and promises.

    The tree is its only state: what a method returns depends on what was appended before.
    """

    key: ec.EllipticCurvePrivateKey
    host: str
    """The log's name in its checkpoints."""

    tree_id: str | None = None
    """Rekor v1 adds the id of the tree to the checkpoint's origin line; v2 does not."""

    first_index: int = 0
    """Number of entries in older shards: Rekor v1 counts over all shards, proofs over one."""

    tree: MerkleTree = field(default_factory=MerkleTree)

    @property
    def log_id(self) -> bytes:
        """The SHA-256 of the log's public key."""
        return identify_key(self.key.public_key())

    def append(self, body: bytes) -> int:
        """Add an entry body and return its index in the tree."""
        return self.tree.append(body)

    def record(self, body: EntryBody, at: datetime | None) -> JsonObject:
        """Add an entry and return it as a bundle carries it.

        With a time, the entry has an integrated time and an inclusion promise, as Rekor v1
        gives them; without, it has neither, as in Rekor v2.
        """
        return self.describe(self.append(body.content), body, at)

    def describe(self, index: int, body: EntryBody, at: datetime | None) -> JsonObject:
        """Return the entry at `index` of the tree as a bundle carries it.

        Raises:
            IndexError: the log has no such entry.
        """
        log_index = self.first_index + index
        entry: JsonObject = {
            "logIndex": str(log_index),
            "logId": {"keyId": encode_bytes(self.log_id)},
            "kindVersion": {"kind": body.kind, "version": body.version},
        }
        if at is not None:
            entry["integratedTime"] = str(int(at.timestamp()))
            entry["inclusionPromise"] = {
                "signedEntryTimestamp": encode_bytes(self.promise(body.content, log_index, at))
            }
        return {
            **entry,
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": encode_bytes(self.tree.root()),
                "treeSize": str(len(self.tree)),
                "hashes": [encode_bytes(node) for node in self.tree.prove(index)],
                "checkpoint": {"envelope": self.sign_checkpoint()},
            },
            "canonicalizedBody": encode_bytes(body.content),
        }

    def promise(self, body: bytes, log_index: int, at: datetime) -> bytes:
        """Return Rekor v1's signed entry timestamp, over the entry as RFC 8785 canonical JSON."""
        return sign(
            self.key,
            rfc8785.dumps(
                {
                    "body": encode_bytes(body),
                    "integratedTime": int(at.timestamp()),
                    "logID": self.log_id.hex(),
                    "logIndex": log_index,
                }
            ),
        )

    def write_checkpoint(self, size: int | None = None) -> str:
        """Return the checkpoint's text: origin, size and root of the tree (C2SP tlog-checkpoint).

        Raises:
            IndexError: the log has fewer entries than `size`.
        """
        size = len(self.tree) if size is None else size
        origin = self.host if self.tree_id is None else f"{self.host} - {self.tree_id}"
        return f"{origin}\n{size}\n{encode_bytes(self.tree.root(size))}\n"

    def sign_checkpoint(self, size: int | None = None) -> str:
        """Return the checkpoint of the present tree or an earlier one, as a signed note.

        Raises:
            IndexError: the log has fewer entries than `size`.
        """
        text = self.write_checkpoint(size)
        return write_note(text, self.host, self.log_id, sign(self.key, text.encode()))


def write_note(text: str, name: str, key_id: bytes, signature: bytes) -> str:
    """Return a signed note with one signature (C2SP signed-note)."""
    return f"{text}\n\u2014 {name} {encode_bytes(key_id[:4] + signature)}\n"
