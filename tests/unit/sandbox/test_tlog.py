from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from brew_provenance.sandbox.entries import EntryBody
from brew_provenance.sandbox.keys import derive_key
from brew_provenance.sandbox.merkle import hash_leaf, hash_node
from brew_provenance.sandbox.tlog import TransparencyLog
from brew_provenance.sandbox.wire import JsonObject

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = EntryBody.canonicalize("dsse", "0.0.1", {"b": 1, "a": "\u00e9"})
ECDSA = ec.ECDSA(hashes.SHA256())


def start_log(tree_id: str | None = None) -> TransparencyLog:
    log = TransparencyLog(derive_key("seed", "log"), "log.example", tree_id, first_index=100)
    for number in range(5):
        log.append(bytes([number]))
    return log


def read_note(note: str) -> tuple[str, str, bytes]:
    text, signature = note.split("\n\n")
    dash, name, encoded = signature.removesuffix("\n").split(" ")
    assert dash == "\u2014"
    return f"{text}\n", name, base64.b64decode(encoded)


def compute_root(entry: JsonObject) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    proof = entry["inclusionProof"]
    fn, sn = int(proof["logIndex"]), int(proof["treeSize"]) - 1
    node = hash_leaf(base64.b64decode(entry["canonicalizedBody"]))
    for encoded in proof["hashes"]:
        sibling = base64.b64decode(encoded)
        if fn & 1 or fn == sn:
            node = hash_node(sibling, node)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = hash_node(node, sibling)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return node


def test_body_is_canonical_json() -> None:
    expected = '{"apiVersion":"0.0.1","kind":"dsse","spec":{"a":"\u00e9","b":1}}'
    assert BODY.content == expected.encode()


@pytest.mark.parametrize("later", [0, 1, 2, 7, 30])
def test_proof_leads_to_the_signed_root(later: int) -> None:
    log = start_log()
    index = log.append(BODY.content)
    for number in range(later):
        log.append(b"later %d" % number)
    entry = log.describe(index, BODY, AT)
    text, name, signature = read_note(entry["inclusionProof"]["checkpoint"]["envelope"])
    origin, size, root = text.splitlines()
    assert (origin, name) == ("log.example", "log.example")
    assert size == entry["inclusionProof"]["treeSize"] == str(6 + later)
    assert root == entry["inclusionProof"]["rootHash"]
    assert base64.b64decode(root) == compute_root(entry)
    assert signature[:4] == log.log_id[:4]
    log.key.public_key().verify(signature[4:], text.encode(), ECDSA)


def test_entry_of_rekor_v1() -> None:
    log = start_log(tree_id="42")
    entry = log.record(BODY, AT)
    assert entry["logIndex"] == "105"
    assert entry["inclusionProof"]["logIndex"] == "5"
    assert entry["kindVersion"] == {"kind": "dsse", "version": "0.0.1"}
    assert entry["integratedTime"] == str(int(AT.timestamp()))
    assert entry["inclusionProof"]["checkpoint"]["envelope"].startswith("log.example - 42\n6\n")
    promised = {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(AT.timestamp()),
        "logID": log.log_id.hex(),
        "logIndex": 105,
    }
    promise = base64.b64decode(entry["inclusionPromise"]["signedEntryTimestamp"])
    canonical = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
    log.key.public_key().verify(promise, canonical, ECDSA)


def test_entry_of_rekor_v2_has_no_time() -> None:
    entry = start_log().record(BODY, None)
    assert not {"integratedTime", "inclusionPromise"} & set(entry)


def test_earlier_checkpoint() -> None:
    log = start_log()
    earlier = log.sign_checkpoint()
    log.append(b"later")
    assert log.sign_checkpoint(5) == earlier
    assert log.sign_checkpoint() != earlier


def test_no_entry_that_is_not_there() -> None:
    with pytest.raises(IndexError):
        start_log().describe(5, BODY, AT)
    with pytest.raises(IndexError):
        start_log().sign_checkpoint(6)
