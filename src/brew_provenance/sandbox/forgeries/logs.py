"""Log entries with proofs, checkpoints and promises that the log did not make for them."""

from __future__ import annotations

import base64
from collections.abc import Callable

from brew_provenance.sandbox.entries import EntryBody
from brew_provenance.sandbox.keys import sign
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario, alter_bundle, reach, reach_entry
from brew_provenance.sandbox.tlog import TransparencyLog, write_note
from brew_provenance.sandbox.wire import JsonObject, encode_bytes

_OTHER_BODY = EntryBody.canonicalize("dsse", "0.0.1", {"note": "of somebody else"})
_NO_HASH = encode_bytes(bytes(32))
_OLD_SIZE = 3


def _proof(bundle: JsonObject) -> JsonObject:
    return reach(reach_entry(bundle), "inclusionProof")


def _name_log(choose: Callable[[Scenario], TransparencyLog]) -> Make:
    """Return a maker whose entry says that another log holds it."""
    return alter_bundle(
        lambda bundle, s: reach_entry(bundle).update(logId={"keyId": encode_bytes(choose(s).log_id)})
    )


def _replace_checkpoint(write: Callable[[Scenario, str], str]) -> Make:
    """Return a maker that puts another checkpoint in the place of the right one."""

    def edit(bundle: JsonObject, scenario: Scenario) -> None:
        checkpoint = _proof(bundle)["checkpoint"]
        checkpoint["envelope"] = write(scenario, checkpoint["envelope"])

    return alter_bundle(edit)


def _replace_promise(sign_entry: Callable[[Scenario, bytes, int], bytes]) -> Make:
    """Return a maker that puts another promise in the place of the right one."""

    def edit(bundle: JsonObject, scenario: Scenario) -> None:
        entry = reach_entry(bundle)
        body, index = base64.b64decode(entry["canonicalizedBody"]), int(entry["logIndex"])
        entry["inclusionPromise"] = {"signedEntryTimestamp": encode_bytes(sign_entry(scenario, body, index))}

    return alter_bundle(edit)


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


LOGS: tuple[Forgery, ...] = (
    Forgery(
        "proof-too-short",
        "log-proof-size",
        "A hash of the inclusion proof is missing.",
        alter_bundle(lambda bundle, _: _proof(bundle)["hashes"].pop()),
    ),
    Forgery(
        "proof-too-long",
        "log-proof-size",
        "The inclusion proof has a hash too many.",
        alter_bundle(lambda bundle, _: _proof(bundle)["hashes"].append(_NO_HASH)),
    ),
    Forgery(
        "proof-altered",
        "log-proof-invalid",
        "A hash of the inclusion proof was changed.",
        alter_bundle(_alter_hash),
    ),
    Forgery(
        "root-altered",
        "log-proof-invalid",
        "The root hash was changed; the hashes lead to the one in the checkpoint.",
        alter_bundle(lambda bundle, _: _proof(bundle).update(rootHash=_NO_HASH)),
    ),
    Forgery(
        "proof-of-other-entry",
        "log-proof-invalid",
        "The inclusion proof is that of another entry, and this one is not in the log.",
        alter_bundle(_swap_body),
    ),
    Forgery(
        "checkpoint-unsigned",
        "log-checkpoint-malformed",
        "The checkpoint has no signature.",
        _replace_checkpoint(lambda s, _: s.sigstore.rekor_v1.write_checkpoint()),
    ),
    Forgery(
        "checkpoint-size-not-a-number",
        "log-checkpoint-malformed",
        "The log signed a checkpoint whose size is a word.",
        _replace_checkpoint(lambda s, _: _sign_unreadable(s)),
    ),
    Forgery(
        "checkpoint-signature-not-base64",
        "log-checkpoint-malformed",
        "The checkpoint's signature is not base64.",
        _replace_checkpoint(lambda _, note: f"{note.rpartition(' ')[0]} signature\n"),
    ),
    Forgery(
        "checkpoint-of-stranger",
        "log-checkpoint-log-unknown",
        "Another log signed the checkpoint, with its own key id.",
        _replace_checkpoint(lambda s, _: _sign_as_stranger(s)),
    ),
    Forgery(
        "entry-names-stranger-log",
        "log-checkpoint-log-unknown",
        "The entry names a log that nobody trusts; the trusted log signed the checkpoint.",
        _name_log(lambda s: s.other.rekor_v1),
    ),
    Forgery(
        "entry-names-sibling-log",
        "log-checkpoint-log-unknown",
        "The entry names another log of the trusted root than the one that signed the checkpoint.",
        _name_log(lambda s: s.sigstore.rekor_v2),
    ),
    Forgery(
        "checkpoint-masked",
        "log-checkpoint-invalid",
        "Another log signed the checkpoint under the right log's key id.",
        _replace_checkpoint(lambda s, _: _sign_masked(s)),
    ),
    Forgery(
        "checkpoint-altered",
        "log-checkpoint-invalid",
        "The size in the checkpoint was changed after the log had signed it.",
        _replace_checkpoint(_enlarge),
    ),
    Forgery(
        "checkpoint-of-the-past",
        "log-checkpoint-root-mismatch",
        "The checkpoint is a genuine one from before the entry.",
        _replace_checkpoint(lambda s, _: s.sigstore.rekor_v1.sign_checkpoint(_OLD_SIZE)),
    ),
    Forgery(
        "checkpoint-of-tree-to-come",
        "log-checkpoint-root-mismatch",
        "The checkpoint is a genuine one from after another entry.",
        _replace_checkpoint(_grow),
    ),
    Forgery(
        "promise-of-stranger",
        "log-promise-invalid",
        "Another log signed the inclusion promise.",
        _replace_promise(lambda s, body, index: s.other.rekor_v1.promise(body, index, s.at)),
    ),
    Forgery(
        "promise-of-other-entry",
        "log-promise-invalid",
        "The inclusion promise is that of another entry.",
        _replace_promise(lambda s, _, index: s.sigstore.rekor_v1.promise(_OTHER_BODY.content, index, s.at)),
    ),
    Forgery(
        "promise-of-other-time",
        "log-promise-invalid",
        "The integrated time was moved by a minute after the log had signed it.",
        alter_bundle(_move_time),
    ),
    Forgery(
        "promise-of-other-index",
        "log-promise-invalid",
        "The entry's index over all shards was changed after the log had signed it.",
        alter_bundle(_move_index),
    ),
)
