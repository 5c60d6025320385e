"""Promises, proofs and checkpoints, each against a log of our own."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.verify.worlds import AT, SCENARIO, public_root

from brew_provenance.bundle import InclusionProof, LoggedEntry
from brew_provenance.evidence import LogEntry, TimeSource, VerifiedTime
from brew_provenance.sandbox.keys import derive_key, sign
from brew_provenance.sandbox.tlog import TransparencyLog, write_note
from brew_provenance.verify.log import check_proof, promised_time, verified_time
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import LogKey, Period, read_instance

LOGS = read_instance("a root", public_root()).logs
LOG = TransparencyLog(derive_key("log of tests", ""), host="log.invalid")
LOG_KEY = LogKey(LOG.key.public_key(), Period.read(None))
for _number in range(20):
    LOG.append(b"entry %d" % _number)


def entry_of(size: int, index: int) -> LoggedEntry:
    """An entry, proved in the tree as it was when it had this size."""
    proof = InclusionProof(
        index,
        size,
        LOG.tree.root(size),
        tuple(LOG.tree.prove(index, size)),
        LOG.sign_checkpoint(size),
    )
    entry = LogEntry("intoto/0.0.2", index, LOG.log_id.hex())
    return LoggedEntry(entry, b"entry %d" % index, None, None, proof)


def refusal(logged: LoggedEntry) -> str:
    with pytest.raises(Refusal) as refused:
        check_proof(logged, {LOG.log_id: LOG_KEY})
    return refused.value.finding.code


def with_proof(logged: LoggedEntry, **changes: object) -> LoggedEntry:
    assert logged.proof is not None
    return replace(logged, proof=replace(logged.proof, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", range(1, 21))
def test_every_entry_of_every_tree_is_proved_by_its_own_proof_alone(size: int) -> None:
    for index in range(size):
        logged = entry_of(size, index)
        check_proof(logged, {LOG.log_id: LOG_KEY})
        assert logged.proof is not None
        hashes = logged.proof.hashes
        assert refusal(replace(logged, body=b"another")) == "log-proof-invalid"
        assert refusal(with_proof(logged, hashes=(*hashes, bytes(32)))) == "log-proof-size"
        if hashes:
            assert refusal(with_proof(logged, hashes=hashes[:-1])) == "log-proof-size"
        for other in range(size):
            if other != index:
                assert refusal(with_proof(logged, index=other)) in {"log-proof-invalid", "log-proof-size"}


@pytest.mark.parametrize(("index", "size"), [(0, 0), (7, 7), (9, 7), (2**64 - 1, 5)])
def test_an_entry_lies_within_its_tree(index: int, size: int) -> None:
    assert refusal(with_proof(entry_of(7, 3), index=index, size=size)) == "log-proof-size"


def test_a_huge_tree_takes_no_time() -> None:
    logged = with_proof(entry_of(7, 3), index=2**63, size=2**64 - 1, hashes=(bytes(32),) * 64)
    assert refusal(logged) in {"log-proof-invalid", "log-proof-size"}


TEXT = LOG.write_checkpoint(7)
SIGNED = LOG.sign_checkpoint(7)
CUT_SHORT = sign(LOG.key, TEXT[:-1].encode())
SIGNATURE = SIGNED.rpartition("\u2014")[2]


@pytest.mark.parametrize(
    ("note", "code"),
    [
        ("", "log-checkpoint-malformed"),
        ("\n\n", "log-checkpoint-malformed"),
        (TEXT, "log-checkpoint-malformed"),
        (f"{TEXT}\n", "log-checkpoint-malformed"),
        (SIGNED.replace("\n7\n", "\nseven\n"), "log-checkpoint-malformed"),
        (SIGNED.replace("\n7\n", f"\n{'7' * 5000}\n"), "log-checkpoint-malformed"),
        (SIGNED.replace("\u2014", "-"), "log-checkpoint-malformed"),
        (f"{SIGNED}of somebody\n", "log-checkpoint-malformed"),
        (f"{SIGNED}\u2014 witness ?\n", "log-checkpoint-malformed"),
        ("log.invalid\n7\n?\n\n\u2014" + SIGNATURE, "log-checkpoint-malformed"),
        (write_note(TEXT, "log.invalid", b"else", b"signature"), "log-checkpoint-log-unknown"),
        (write_note(TEXT, "log.invalid", LOG.log_id, b"signature"), "log-checkpoint-invalid"),
        (write_note(TEXT, "log.invalid", LOG.log_id, CUT_SHORT), "log-checkpoint-invalid"),
        (LOG.sign_checkpoint(6), "log-checkpoint-root-mismatch"),
        (LOG.sign_checkpoint(8), "log-checkpoint-root-mismatch"),
    ],
)
def test_a_checkpoint_is_the_logs_word_about_this_tree(note: str, code: str) -> None:
    assert refusal(with_proof(entry_of(7, 3), checkpoint=note)) == code


def test_a_checkpoint_may_bear_the_signatures_of_witnesses() -> None:
    witness = f"\u2014 witness {base64.b64encode(b'hint and signature').decode()}\n"
    for note in (SIGNED + witness, SIGNED.replace("\n\n", f"\n\n{witness}")):
        check_proof(with_proof(entry_of(7, 3), checkpoint=note), {LOG.log_id: LOG_KEY})


def test_the_first_signature_under_the_logs_hint_decides() -> None:
    false = write_note(TEXT, "log.invalid", LOG.log_id, b"signature")
    note = false + SIGNED.rpartition("\n\n")[2]
    assert refusal(with_proof(entry_of(7, 3), checkpoint=note)) == "log-checkpoint-invalid"


def test_the_log_has_to_be_one_of_the_trusted_root() -> None:
    with pytest.raises(Refusal) as refused:
        check_proof(entry_of(7, 3), LOGS)
    assert refused.value.finding.code == "log-checkpoint-log-unknown"


def test_a_proof_without_a_checkpoint_is_followed_to_its_root() -> None:
    unsigned = with_proof(entry_of(7, 3), checkpoint=None)
    check_proof(unsigned, {})
    assert refusal(with_proof(unsigned, root=bytes(32))) == "log-proof-invalid"
    check_proof(replace(unsigned, proof=None), {})


def promised() -> LoggedEntry:
    log = SCENARIO.sigstore.rekor_v1
    entry = LogEntry("dsse/0.0.1", 7, log.log_id.hex())
    return LoggedEntry(entry, b"body", int(AT.timestamp()), log.promise(b"body", 7, AT), None)


def test_a_promise_of_the_log_gives_the_time() -> None:
    assert verified_time(promised(), LOGS) == VerifiedTime(TimeSource.LOG, AT)


@pytest.mark.parametrize(
    "logged",
    [
        replace(promised(), promise=None),
        replace(promised(), promise=b""),
        replace(promised(), time=None),
    ],
)
def test_no_promise_no_time(logged: LoggedEntry) -> None:
    assert verified_time(logged, LOGS) is None


@pytest.mark.parametrize(
    "logged",
    [
        replace(promised(), body=b"another"),
        replace(promised(), time=int(AT.timestamp()) + 1),
        replace(promised(), promise=b"signature"),
        replace(promised(), entry=replace(promised().entry, index=2**60)),
        replace(promised(), time=2**62),
        replace(promised(), time=2**64 - 1),
        replace(promised(), entry=replace(promised().entry, index=8)),
        replace(promised(), entry=replace(promised().entry, log_id="00" * 32)),
        replace(promised(), entry=replace(promised().entry, log_id="")),
        replace(promised(), entry=replace(promised().entry, log_id=SCENARIO.sigstore.rekor_v2.log_id.hex())),
    ],
)
def test_a_promise_is_the_logs_and_for_this_entry(logged: LoggedEntry) -> None:
    with pytest.raises(Refusal) as refused:
        verified_time(logged, LOGS)
    assert refused.value.finding.code == "log-promise-invalid"


@pytest.mark.parametrize(
    ("start", "end", "is_right"),
    [
        (AT, AT, True),
        (AT.replace(year=2027), None, False),
        (AT.replace(year=2020), AT.replace(year=2025), False),
    ],
)
def test_a_log_is_trusted_in_its_time(start: datetime, end: datetime | None, *, is_right: bool) -> None:
    (log_id, key), *_ = LOGS.items()
    log = SCENARIO.sigstore.rekor_v1
    assert log_id == log.log_id
    logs = {log_id: LogKey(key.key, Period(start, end))}
    if is_right:
        assert verified_time(promised(), logs) is not None
        return
    with pytest.raises(Refusal, match="was not to be trusted"):
        verified_time(promised(), logs)


@given(st.integers(min_value=1, max_value=2**64 - 1))
def test_any_number_of_seconds_is_a_time_or_refused(seconds: int) -> None:
    logged = replace(promised(), time=seconds)
    try:
        found = promised_time(logged)
    except Refusal as refused:
        assert refused.finding.code == "log-promise-invalid"
    else:
        assert found == VerifiedTime(TimeSource.LOG, datetime.fromtimestamp(seconds, tz=UTC))
