"""A transparency log's word for an entry: its promise, its proof, and its checkpoint.

Sigstore client specification, 4.2.2 and 4.4. sigstore-python has all of this, and none in public.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import rfc8785

from brew_provenance.bundle import InclusionProof, LoggedEntry
from brew_provenance.evidence import TimeSource, VerifiedTime
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import LogKey

_LEAF, _NODE = b"\x00", b"\x01"
_KEY_HINT_BYTES = 4
_MARK = "\u2014 "


def verified_time(logged: LoggedEntry, logs: Mapping[bytes, LogKey]) -> VerifiedTime | None:
    """Return the time at which the log promises that it took the entry in; None when it promises nothing.

    The promise is Rekor v1's signed entry timestamp. Raises Refusal when it is not the log's.
    """
    verified = promised_time(logged)
    if verified is None or logged.promise is None:
        return None
    try:
        signed = rfc8785.dumps(
            {
                "body": base64.b64encode(logged.body).decode(),
                "integratedTime": logged.time,
                "logID": logged.entry.log_id,
                "logIndex": logged.entry.index,
            }
        )
    # A number of 64 bits is more than a number in JSON can be.
    except ValueError as error:
        raise Refusal("log-promise-invalid", f"no log writes such numbers: {error}") from error
    log = _find(logged, logs, "log-promise-invalid")
    if not log.period.covers(verified.time):
        raise Refusal("log-promise-invalid", f"the log was not to be trusted at {verified.time.isoformat()}")
    if not log.has_signed(logged.promise, signed):
        raise Refusal("log-promise-invalid", "the log that the entry names did not sign it for this entry")
    return verified


def promised_time(logged: LoggedEntry) -> VerifiedTime | None:
    """Return the time that a promise is about, for whoever has verified it; None when there is none.

    Raises Refusal for what is no time.
    """
    seconds = logged.promised_time
    if seconds is None:
        return None
    try:
        return VerifiedTime(TimeSource.LOG, datetime.fromtimestamp(seconds, tz=UTC))
    except (ValueError, OverflowError, OSError) as error:
        raise Refusal("log-promise-invalid", f"{seconds} seconds are no time: {error}") from error


def check_period(logged: LoggedEntry, logs: Mapping[bytes, LogKey], times: Sequence[VerifiedTime]) -> None:
    """Check that the log was to be trusted when it took the entry in. Raises Refusal.

    What an entry of Rekor v2 calls its log by need not be the digest of a key; then one of them has to be.
    """
    named = logs.get(bytes.fromhex(logged.entry.log_id))
    candidates = [named] if named is not None else list(logs.values())
    if any(all(log.period.covers(verified.time) for verified in times) for log in candidates):
        return
    code = "log-promise-invalid" if logged.promise is not None else "log-checkpoint-log-unknown"
    raise Refusal(code, f"the log was not to be trusted at {times[0].time.isoformat()}")


def check_proof(logged: LoggedEntry, logs: Mapping[bytes, LogKey]) -> None:
    """Check that the entry leads to the root of its proof, and that to a checkpoint. Raises Refusal."""
    proof = logged.proof
    if proof is None:
        return
    if _root_of(logged.body, proof) != proof.root:
        raise Refusal("log-proof-invalid", "its hashes do not lead from the entry to its root hash")
    if proof.checkpoint is not None:
        _check_checkpoint(proof, proof.checkpoint, logged, logs)


def _root_of(body: bytes, proof: InclusionProof) -> bytes:
    """Return the root that the proof's hashes lead to (RFC 9162, 2.1.3.2)."""
    if proof.index >= proof.size:
        raise Refusal("log-proof-size", f"entry {proof.index} of a tree of {proof.size}")
    position, last = proof.index, proof.size - 1
    found = hashlib.sha256(_LEAF + body).digest()
    for sibling in proof.hashes:
        if last == 0:
            raise Refusal("log-proof-size", "it has a hash too many")
        if position & 1 or position == last:
            found = hashlib.sha256(_NODE + sibling + found).digest()
            # A node without a sibling is the same node one level up.
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = hashlib.sha256(_NODE + found + sibling).digest()
        position, last = position >> 1, last >> 1
    if last != 0:
        raise Refusal("log-proof-size", "it has a hash too few")
    return found


def _check_checkpoint(
    proof: InclusionProof, note: str, logged: LoggedEntry, logs: Mapping[bytes, LogKey]
) -> None:
    """Check a signed note (C2SP signed-note and tlog-checkpoint). Raises Refusal."""
    text, _separator, signatures = note.partition("\n\n")
    lines = text.split("\n")
    try:
        _origin, size, root = lines[:3]
        signed_size, signed_root = int(size), base64.b64decode(root, validate=True)
        candidates = [_read_signature(line) for line in signatures.split("\n") if line]
    except ValueError as error:
        raise Refusal("log-checkpoint-malformed", str(error)) from error
    log = _find(logged, logs, "log-checkpoint-log-unknown")
    hint = bytes.fromhex(logged.entry.log_id)[:_KEY_HINT_BYTES]
    own = next((signature for key_hint, signature in candidates if key_hint == hint), None)
    if not candidates:
        raise Refusal("log-checkpoint-malformed", "it has no signature")
    if own is None:
        raise Refusal("log-checkpoint-log-unknown", "the log that the entry names did not sign it")
    if not log.has_signed(own, f"{text}\n".encode()):
        raise Refusal("log-checkpoint-invalid", "its signature is not the log's")
    if (signed_size, signed_root) != (proof.size, proof.root):
        raise Refusal("log-checkpoint-root-mismatch", f"it is of a tree of {signed_size} entries")


def _read_signature(line: str) -> tuple[bytes, bytes]:
    """Return key hint and signature of a note's line. Raises ValueError."""
    if not line.startswith(_MARK):
        raise ValueError("a line after the note's text is not a signature")
    raw = base64.b64decode(line.rpartition(" ")[2], validate=True)
    return raw[:_KEY_HINT_BYTES], raw[_KEY_HINT_BYTES:]


def _find(logged: LoggedEntry, logs: Mapping[bytes, LogKey], code: str) -> LogKey:
    log = logs.get(bytes.fromhex(logged.entry.log_id))
    if log is None:
        raise Refusal(code, f"the trusted root knows no log {logged.entry.log_id}")
    return log
