"""Log entries with proofs, checkpoints and promises that the log did not make for them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import NamedTuple

from brew_provenance.sandbox.entries import EntryBody
from brew_provenance.sandbox.keys import sign
from brew_provenance.sandbox.scenario import Edit, Forgery, Scenario, alter_bundle, reach, reach_entry
from brew_provenance.sandbox.tlog import TransparencyLog, write_note
from brew_provenance.sandbox.wire import JsonObject, encode_bytes

_OTHER_BODY = EntryBody.canonicalize("dsse", "0.0.1", {"note": "of somebody else"})
_NO_HASH = encode_bytes(bytes(32))
_OLD_SIZE = 3


def _proof(bundle: JsonObject) -> JsonObject:
    return reach(reach_entry(bundle), "inclusionProof")


def name_log(choose: Callable[[Scenario], TransparencyLog]) -> Edit:
    """Let the entry say that another log holds it."""
    return lambda bundle, s: reach_entry(bundle).update(logId={"keyId": encode_bytes(choose(s).log_id)})


def _replace_checkpoint(write: Callable[[Scenario, str], str]) -> Edit:
    """Put another checkpoint in the place of the right one."""

    def edit(bundle: JsonObject, scenario: Scenario) -> None:
        checkpoint = _proof(bundle)["checkpoint"]
        checkpoint["envelope"] = write(scenario, checkpoint["envelope"])

    return edit


def _replace_promise(sign_entry: Callable[[Scenario, bytes, int], bytes]) -> Edit:
    """Put another promise in the place of the right one."""

    def edit(bundle: JsonObject, scenario: Scenario) -> None:
        entry = reach_entry(bundle)
        body, index = base64.b64decode(entry["canonicalizedBody"]), int(entry["logIndex"])
        entry["inclusionPromise"] = {"signedEntryTimestamp": encode_bytes(sign_entry(scenario, body, index))}

    return edit


def _sign_as_stranger(scenario: Scenario) -> str:
    log, stranger = scenario.sigstore.rekor_v1, scenario.other.rekor_v1
    text = log.write_checkpoint()
    return write_note(text, log.host, stranger.log_id, sign(stranger.key, text.encode()))


def _sign_masked(scenario: Scenario) -> str:
    log, stranger = scenario.sigstore.rekor_v1, scenario.other.rekor_v1
    text = log.write_checkpoint()
    return write_note(text, log.host, log.log_id, sign(stranger.key, text.encode()))


def _enlarge(_: Scenario, note: str) -> str:
    origin, size, rest = note.split("\n", 2)
    return f"{origin}\n{int(size) + 1}\n{rest}"


def _sign_unreadable(scenario: Scenario) -> str:
    log = scenario.sigstore.rekor_v1
    text = log.write_checkpoint().replace(f"\n{len(log.tree)}\n", "\nmany\n")
    return write_note(text, log.host, log.log_id, sign(log.key, text.encode()))


def _swap_body(bundle: JsonObject, scenario: Scenario) -> None:
    honest = scenario.sigstore.rekor_v1.record(_OTHER_BODY, scenario.at)
    forged = reach_entry(bundle)
    honest["canonicalizedBody"] = forged["canonicalizedBody"]
    body = base64.b64decode(forged["canonicalizedBody"])
    # The promise fits, so that the proof alone is wrong.
    promise = scenario.sigstore.rekor_v1.promise(body, int(honest["logIndex"]), scenario.at)
    honest["inclusionPromise"]["signedEntryTimestamp"] = encode_bytes(promise)
    bundle["verificationMaterial"]["tlogEntries"] = [honest]


def _move_time(bundle: JsonObject, _: Scenario) -> None:
    entry = reach_entry(bundle)
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 60)


def _move_index(bundle: JsonObject, _: Scenario) -> None:
    entry = reach_entry(bundle)
    entry["logIndex"] = str(int(entry["logIndex"]) + 1)


def _alter_hash(bundle: JsonObject, _: Scenario) -> None:
    _proof(bundle)["hashes"][0] = _NO_HASH


def _grow(scenario: Scenario, _: str) -> str:
    log = scenario.sigstore.rekor_v1
    log.append(_OTHER_BODY.content)
    return log.sign_checkpoint()


class LogFault(NamedTuple):
    """One way in which what a log says of an entry can be wrong."""

    name: str
    code: str
    what: str
    edit: Edit


PROOF_FAULTS: tuple[LogFault, ...] = (
    LogFault(
        "proof-too-short",
        "log-proof-size",
        "A hash of the inclusion proof is missing.",
        lambda bundle, _: _proof(bundle)["hashes"].pop(),
    ),
    LogFault(
        "proof-too-long",
        "log-proof-size",
        "The inclusion proof has a hash too many.",
        lambda bundle, _: _proof(bundle)["hashes"].append(_NO_HASH),
    ),
    LogFault(
        "proof-altered",
        "log-proof-invalid",
        "A hash of the inclusion proof was changed.",
        _alter_hash,
    ),
    LogFault(
        "root-altered",
        "log-proof-invalid",
        "The root hash was changed; the hashes lead to the one in the checkpoint.",
        lambda bundle, _: _proof(bundle).update(rootHash=_NO_HASH),
    ),
    LogFault(
        "proof-of-other-entry",
        "log-proof-invalid",
        "The inclusion proof is that of another entry, and this one is not in the log.",
        _swap_body,
    ),
    LogFault(
        "checkpoint-unsigned",
        "log-checkpoint-malformed",
        "The checkpoint has no signature.",
        _replace_checkpoint(lambda s, _: s.sigstore.rekor_v1.write_checkpoint()),
    ),
    LogFault(
        "checkpoint-size-not-a-number",
        "log-checkpoint-malformed",
        "The log signed a checkpoint whose size is a word.",
        _replace_checkpoint(lambda s, _: _sign_unreadable(s)),
    ),
    LogFault(
        "checkpoint-signature-not-base64",
        "log-checkpoint-malformed",
        "The checkpoint's signature is not base64.",
        _replace_checkpoint(lambda _, note: f"{note.rpartition(' ')[0]} signature\n"),
    ),
    LogFault(
        "checkpoint-of-stranger",
        "log-checkpoint-log-unknown",
        "Another log signed the checkpoint, with its own key id.",
        _replace_checkpoint(lambda s, _: _sign_as_stranger(s)),
    ),
    LogFault(
        "entry-names-stranger-log",
        "log-checkpoint-log-unknown",
        "The entry names a log that nobody trusts; the trusted log signed the checkpoint.",
        name_log(lambda s: s.other.rekor_v1),
    ),
    LogFault(
        "entry-names-sibling-log",
        "log-checkpoint-log-unknown",
        "The entry names another log of the trusted root than the one that signed the checkpoint.",
        name_log(lambda s: s.sigstore.rekor_v2),
    ),
    LogFault(
        "checkpoint-masked",
        "log-checkpoint-invalid",
        "Another log signed the checkpoint under the right log's key id.",
        _replace_checkpoint(lambda s, _: _sign_masked(s)),
    ),
    LogFault(
        "checkpoint-altered",
        "log-checkpoint-invalid",
        "The size in the checkpoint was changed after the log had signed it.",
        _replace_checkpoint(_enlarge),
    ),
    LogFault(
        "checkpoint-of-the-past",
        "log-checkpoint-root-mismatch",
        "The checkpoint is a genuine one from before the entry.",
        _replace_checkpoint(lambda s, _: s.sigstore.rekor_v1.sign_checkpoint(_OLD_SIZE)),
    ),
    LogFault(
        "checkpoint-of-tree-to-come",
        "log-checkpoint-root-mismatch",
        "The checkpoint is a genuine one from after another entry.",
        _replace_checkpoint(_grow),
    ),
)
"""What can be wrong with proofs and checkpoints."""

PROMISE_FAULTS: tuple[LogFault, ...] = (
    LogFault(
        "promise-of-stranger",
        "log-promise-invalid",
        "Another log signed the inclusion promise.",
        _replace_promise(lambda s, body, index: s.other.rekor_v1.promise(body, index, s.at)),
    ),
    LogFault(
        "promise-of-other-entry",
        "log-promise-invalid",
        "The inclusion promise is that of another entry.",
        _replace_promise(lambda s, _, index: s.sigstore.rekor_v1.promise(_OTHER_BODY.content, index, s.at)),
    ),
    LogFault(
        "promise-of-other-time",
        "log-promise-invalid",
        "The integrated time was moved by a minute after the log had signed it.",
        _move_time,
    ),
    LogFault(
        "promise-of-other-index",
        "log-promise-invalid",
        "The entry's index over all shards was changed after the log had signed it.",
        _move_index,
    ),
)
"""What can be wrong with promises."""

LOGS: tuple[Forgery, ...] = tuple(
    Forgery(fault.name, fault.code, fault.what, alter_bundle(fault.edit))
    for fault in (*PROOF_FAULTS, *PROMISE_FAULTS)
)
