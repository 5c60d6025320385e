"""Put the shards of an audit together: the same bottles and verdicts as if it had been made in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from brew_provenance.audit.ledger import Entry, Ledger, Run
from brew_provenance.audit.shard import Shard
from brew_provenance.bottle import Digest
from brew_provenance.errors import NothingMatchedError, UsageError

CHUNK: Final = 1_000
"""Bottles that are copied together."""

_SAME: Final = ("tap", "selection", "store", "policy", "policy_sha256", "roots", "tool_version")


@dataclass(frozen=True)
class _Part:
    ledger: Ledger
    run: Run
    shard: Shard | None


def merge(out: Ledger, ledgers: Sequence[Ledger], tap: str | None = None) -> int:
    """Copy the last finished run of each of `ledgers` into one finished run of `out`; return its number.

    Either all of it is written or nothing. `tap` is the tap that is meant, where a ledger has several.

    Raises UsageError when the runs are not all the shards of one audit, each once and under the same
    policy, roots, store and version; LedgerError.
    """
    parts = [_part(ledger, tap) for ledger in ledgers]
    _check(parts)
    first = parts[0].run
    whole = replace(
        first,
        metadata=" and ".join(sorted({part.run.metadata for part in parts})),
        started=min(part.run.started for part in parts),
        shard="",
    )
    with out.transaction():
        number = out.begin(whole)
        for part in parts:
            for entries in _chunks(_entries(part)):
                digests = [Digest("sha256", entry.sha256) for entry in entries]
                answers = part.ledger.answers(first.store, digests)
                out.record(number, first.store, answers, {e.key: e.judgement for e in entries}, entries)
            out.record_commits(number, part.ledger.commits(part.run.id))
        if not out.counts(number):
            said = ", ".join(str(ledger.path) for ledger in ledgers)
            raise NothingMatchedError(said, "no bottle was audited", "name ledgers of a tap with bottles")
        notes = dict.fromkeys(note for part in parts for note in part.run.notes)
        out.finish(number, notes)
    return number


def _part(ledger: Ledger, tap: str | None) -> _Part:
    run = ledger.last_run(tap)
    try:
        return _Part(ledger, run, Shard.parse(run.shard) if run.shard else None)
    except ValueError as error:
        raise UsageError(str(ledger.path), str(error), "name ledgers that audits have written") from error


def _check(parts: Sequence[_Part]) -> None:
    """Raise UsageError for parts that do not make one whole."""
    first = parts[0]
    for part in parts:
        for name in _SAME:
            ours, theirs = getattr(first.run, name), getattr(part.run, name)
            if ours != theirs:
                raise UsageError(
                    f"{first.ledger.path} and {part.ledger.path}",
                    f"of different audits: {name.replace('_', ' ')} {ours!r}, and {theirs!r}",
                    "merge the shards of one audit",
                )
    shards = [part.shard for part in parts]
    if shards == [None]:
        return
    of = first.shard.of if first.shard is not None else 1
    wanted = [Shard(number, of) for number in range(1, of + 1)]
    if sorted(map(str, shards)) != sorted(map(str, wanted)):
        said = ", ".join(str(shard or "a whole audit") for shard in shards)
        raise UsageError(
            ", ".join(str(part.ledger.path) for part in parts),
            f"not all the shards of one audit, each once: {said}",
            "name the ledgers of all shards",
        )


def _entries(part: _Part) -> Iterator[Entry]:
    for entry in part.ledger.entries(part.run.id):
        if part.shard is not None and not part.shard.holds(entry.formula):
            raise UsageError(
                str(part.ledger.path),
                f"{entry.formula} does not belong to shard {part.shard}",
                "audit the shard again",
            )
        yield entry


def _chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    rest = iter(entries)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
