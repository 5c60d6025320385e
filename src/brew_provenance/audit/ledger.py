"""The ledger: an SQLite file of verdicts, which any SQL tool can read (`README.md` beside this module).

A verdict is a pure function of the bottle, the bundles that a store has for it, the policy, the
trusted roots and the version of this program. Its key is a digest of all of that, so that going on
after an interruption, auditing in parts and auditing again are one thing: what has been judged under
the same key is not judged again.

    runs        one audit of a tap: when, with which policy, roots, store and version
    answers     what a store answered for a digest: the digests of its bundles
    verdicts    outcome, codes and evidence, by key
    bottles     the bottles of a run, each with the key of its verdict

Whoever can write the file can write any verdict into it: it is a record, and no evidence.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Self

from brew_provenance import strictjson
from brew_provenance.audit.database import LedgerError, connect, guarded, version_of
from brew_provenance.bottle import Digest
from brew_provenance.policy import Gives
from brew_provenance.verdict import Outcome

MAX_INTEGER: Final = 2**63 - 1
"""The largest number that SQLite can hold."""

MAX_NOTES: Final = 1_000
"""Notes that are kept of a run, and one that says how many more there were."""

MAX_NOTE: Final = 2_000
"""Characters of a note that are kept."""

# A column with JSON in it.
_MAX_JSON_BYTES = 8 * 1024 * 1024
_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Evidence = Mapping[str, str | int | None]


@dataclass(frozen=True)
class Run:
    """One audit of a tap."""

    id: int
    tap: str
    metadata: str
    """Where the descriptions of bottles came from."""

    store: str
    policy: str
    policy_sha256: str
    roots: str
    """The digests of the trusted roots, with a comma between."""

    tool_version: str
    started: str
    """In UTC, ISO 8601."""

    finished: str | None = None
    """None for a run that was interrupted, or is under way."""

    selection: str = ""
    """The formulae and tags that it is limited to, in words; empty for the whole tap."""

    shard: str = ""
    """`2/4` for the second of four parts of a run; empty for a whole one."""

    notes: tuple[str, ...] = ()
    """What a person should know of it, such as which formulae could not be read."""


@dataclass(frozen=True)
class Judgement:
    """What became of one bottle: the part of a verdict that a ledger keeps."""

    outcome: Outcome
    gives: str | None
    """`build-provenance` or `notarisation`, for a verified bottle."""

    findings: tuple[tuple[str, str], ...]
    """Code and detail of each finding that decided, or of each note."""

    evidence: Evidence | None
    """Signer, source, commit, run, runner, time and log entry of the attestation that decided."""

    bundles: tuple[str, ...] | None = None
    """The digests of all bundles that the store has; None when it did not answer in whole."""

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the findings, each once."""
        return tuple(dict.fromkeys(code for code, _ in self.findings))


@dataclass(frozen=True)
class Listed:
    """Between which of the tap's commits a bottle was listed, as far as its history was walked."""

    first: str
    """The first commit that lists it, in full."""

    last: str | None
    """The last one that does, in full; None while it is listed."""


@dataclass(frozen=True)
class AuditedBottle:
    """One bottle of a run."""

    formula: str
    place: int
    """Its place among the bottles that the formula declares, counted from 0."""

    version: str | None
    rebuild: int
    tag: str
    file_name: str | None
    sha256: str
    path: str | None
    line: int | None
    key: str
    """The key of its verdict."""

    listed: Listed | None = field(default=None, kw_only=True)
    """When the tap listed it; None for an audit of one commit."""

    @property
    def name(self) -> str:
        """The file name; formula and tag where that is not known."""
        return self.file_name or f"{self.formula} ({self.tag})"


_COLUMNS: Final = attrgetter(*(column.name for column in fields(AuditedBottle) if column.name != "listed"))


@dataclass(frozen=True)
class Entry(AuditedBottle):
    """One bottle of a run with its verdict."""

    judgement: Judgement


class Ledger:
    """An open ledger. Close it when done."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the ledger in `path` to read it; with `create` to write it, or to make one.

        Raises LedgerError, as every method does for a file that is damaged, full or locked for long.
        """
        self.path = path
        self._connection = connect(path, create=create)
        with guarded(path):
            # Of what came later, an older one that is only read has nothing.
            self._is_first_version = version_of(self._connection) == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def begin(self, run: Run) -> int:
        """Write down that a run begins, and return its number.

        What `run` says of its number, its end and its notes does not count.
        """
        values = {name: _text(getattr(run, name)) for name in _BEGUN}
        cursor = self._execute(
            f"INSERT INTO runs ({', '.join(values)}, notes) VALUES ({', '.join('?' * len(values))}, '[]')",  # noqa: S608 - names of our own
            tuple(values.values()),
        )
        return int(cursor.lastrowid or 0)

    def finish(self, run: int, notes: Iterable[str] = ()) -> None:
        """Write down that a run has come to its end, and what a person should know of it."""
        told = [_text(note)[:MAX_NOTE] for note in notes]
        if len(told) > MAX_NOTES:
            told[MAX_NOTES:] = [f"and {len(told) - MAX_NOTES:,} more"]
        written = json.dumps(told)
        self._execute("UPDATE runs SET finished = ?, notes = ? WHERE id = ?", (_now(), written, run))

    def run(self, number: int) -> Run:
        """Return a run by its number. Raises LedgerError when there is none of it."""
        found = [run for run in self.runs() if run.id == number]
        if not found:
            raise LedgerError(str(self.path), f"there is no run {number} in it", "name another ledger")
        return found[0]

    def runs(self, tap: str | None = None) -> list[Run]:
        """Return the runs, of one tap or of all, the oldest first."""
        with guarded(self.path):
            rows = self._connection.execute("SELECT * FROM runs ORDER BY id")
            return [run for run in map(_run, rows) if tap in {None, run.tap}]

    def finished_runs(self, tap: str | None = None) -> list[Run]:
        """Return the runs that have come to their end, the oldest first. Raises LedgerError for none."""
        finished = [run for run in self.runs(tap) if run.finished is not None]
        if not finished:
            what = f"no audit of {tap}" if tap else "no audit"
            raise LedgerError(str(self.path), f"{what} in it has come to its end", "run the audit again")
        return finished

    def last_run(self, tap: str | None = None) -> Run:
        """Return the newest run that has come to its end. Raises LedgerError when there is none."""
        return self.finished_runs(tap)[-1]

    def answers(self, store: str, digests: Iterable[Digest]) -> dict[Digest, tuple[str, ...]]:
        """Return what a store answered before for some of `digests`: the digests of its bundles."""
        asked = {str(digest): digest for digest in digests}
        with guarded(self.path):
            rows = self._tuples(
                "SELECT digest, bundles FROM answers"
                " WHERE store = ? AND digest IN (SELECT value FROM json_each(?))",
                (store, json.dumps(list(asked))),
            )
            found = dict(rows)
            # A damaged index can find what nobody asked for, here and below.
            return {digest: _strings(found[text]) for text, digest in asked.items() if text in found}

    def outcomes(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcomes of those verdicts of `keys` that are there."""
        with guarded(self.path):
            rows = self._tuples(
                "SELECT key, outcome FROM verdicts WHERE key IN (SELECT value FROM json_each(?))",
                (json.dumps(keys),),
            )
            found = dict(rows)
            return {key: _outcome(found[key]) for key in keys if key in found}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything in the `with` block, or, where that ends in an exception, nothing."""
        with guarded(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            with guarded(self.path):
                self._connection.rollback()
            raise

    def record(
        self,
        run: int,
        store: str,
        answers: Mapping[Digest, Sequence[str]],
        verdicts: Mapping[str, Judgement],
        bottles: Sequence[AuditedBottle],
    ) -> None:
        """Write a part of a run, in a transaction.

        `verdicts` are new ones by their keys; each bottle's is among them, or in the ledger already.
        """
        now = _now()
        with guarded(self.path):
            self._connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                [(store, str(digest), json.dumps(sorted(found)), now) for digest, found in answers.items()],
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(key, *_row(judgement), now) for key, judgement in verdicts.items()],
            )
            self._connection.executemany(
                "INSERT INTO bottles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(run, *_COLUMNS(bottle)) for bottle in bottles],
            )
            self._connection.executemany(
                "INSERT INTO listed VALUES (?, ?, ?, ?, ?)",
                [
                    (run, bottle.formula, bottle.place, bottle.listed.first, bottle.listed.last)
                    for bottle in bottles
                    if bottle.listed is not None
                ],
            )

    def entries(self, run: int, outcome: Outcome | None = None) -> Iterator[Entry]:
        """Yield the bottles of a run with their verdicts, or those with one outcome.

        They come in the order of their formulae's names, each formula's as it declares them.
        """
        commits, listed = "first_commit, last_commit", "LEFT JOIN listed USING (run, formula, place)"
        if self._is_first_version:
            commits, listed = "NULL AS first_commit, NULL AS last_commit", ""
        with guarded(self.path):
            rows = self._connection.execute(
                f"SELECT bottles.*, outcome, gives, findings, evidence, bundles, {commits}"  # noqa: S608 - of our own
                f" FROM bottles JOIN verdicts ON verdicts.key = bottles.verdict {listed}"
                " WHERE run = ? AND (? IS NULL OR outcome = ?) ORDER BY formula, place",
                (run, *[outcome.value if outcome else None] * 2),
            )
            for row in rows:
                yield _entry(row)

    def attested_commits(self, run: int) -> list[str]:
        """Return the formula commits that the verified attestations of a run name, in their order."""
        with guarded(self.path):
            rows = self._connection.execute(
                "SELECT DISTINCT json_extract(evidence, '$.formula_commit') AS id"
                " FROM bottles JOIN verdicts ON verdicts.key = bottles.verdict"
                " WHERE run = ? AND outcome = ? AND json_extract(evidence, '$.formula_commit') IS NOT NULL"
                " ORDER BY id",
                (run, Outcome.VERIFIED.value),
            )
            return [str(row["id"]) for row in rows]

    def record_commits(self, run: int, commits: Mapping[str, bool]) -> None:
        """Write down which formula commits the tap's branch led to when a run was made."""
        with guarded(self.path):
            self._connection.executemany(
                "INSERT OR REPLACE INTO formula_commits VALUES (?, ?, ?)",
                [(run, id_, int(reachable)) for id_, reachable in commits.items()],
            )

    def commits(self, run: int) -> dict[str, bool]:
        """Return the formula commits that were looked for in a run, and whether the branch led to each."""
        if self._is_first_version:
            return {}
        with guarded(self.path):
            rows = self._connection.execute(
                "SELECT id, reachable FROM formula_commits WHERE run = ? ORDER BY id", (run,)
            )
            return {str(row["id"]): bool(row["reachable"]) for row in rows}

    def counts(self, run: int) -> dict[Outcome, int]:
        """Return how many bottles of a run have each outcome; those that none has are left out."""
        return total(self.counts_by_tag(run))

    def counts_by_tag(self, run: int) -> dict[str, dict[Outcome, int]]:
        """Return the same for each bottle tag; `total` adds them up."""
        with guarded(self.path):
            rows = self._connection.execute(
                "SELECT tag, outcome, count(*) FROM bottles"
                " JOIN verdicts ON verdicts.key = bottles.verdict WHERE run = ? GROUP BY tag, outcome",
                (run,),
            )
            found = {(str(tag), _outcome(outcome)): int(number) for tag, outcome, number in rows}
        tags = dict.fromkeys(tag for tag, _ in found)
        return {
            tag: {outcome: found[tag, outcome] for outcome in Outcome if (tag, outcome) in found}
            for tag in tags
        }

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return what a query of another part of this package finds, which bounds it."""
        with guarded(self.path):
            return self._connection.execute(query, values).fetchall()

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement of another part of this package for each of `rows`, in a transaction."""
        with guarded(self.path):
            self._connection.executemany(statement, rows)

    def _tuples(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        cursor.row_factory = None
        return cursor.execute(query, values).fetchall()

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        with guarded(self.path):
            return self._connection.execute(statement, values)


def total(by_tag: Mapping[str, Mapping[Outcome, int]]) -> dict[Outcome, int]:
    """Return how many bottles have each outcome, whatever their tags."""
    found: Counter[Outcome] = sum(map(Counter, by_tag.values()), Counter())
    return {outcome: found[outcome] for outcome in Outcome if outcome in found}


_BEGUN: Final = (
    *("tap", "selection", "shard", "metadata", "store", "policy", "policy_sha256", "roots"),
    *("tool_version", "started"),
)


def verdict_key(parts: Iterable[str | None]) -> str:
    """Return the key of a verdict that rests on `parts`, in hexadecimal; no two lists of parts share one."""
    return hashlib.sha256(f"[{_as_json(parts)}]".encode()).hexdigest()


def key_maker(rules: Iterable[str | None]) -> Callable[[Iterable[str | None]], str]:
    """Return what gives the key of `rules` and other parts together, which are at least one each."""
    begun = hashlib.sha256(f"[{_as_json(rules)}, ".encode())

    def key(parts: Iterable[str | None]) -> str:
        made = begun.copy()
        made.update(f"{_as_json(parts)}]".encode())
        return made.hexdigest()

    return key


def _as_json(parts: Iterable[str | None]) -> str:
    # What json.dumps gives, which takes several times as long over so little.
    return ", ".join(["null" if part is None else encode_basestring_ascii(part) for part in parts])


def _row(judgement: Judgement) -> tuple[str | None, ...]:
    evidence, bundles = judgement.evidence, judgement.bundles
    return (
        judgement.outcome.value,
        judgement.gives,
        ",".join(judgement.codes),
        json.dumps(judgement.findings),
        json.dumps(evidence, sort_keys=True) if evidence is not None else None,
        json.dumps(bundles) if bundles is not None else None,
    )


def _text(text: str) -> str:
    """Return what SQLite can hold; a path can have bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()


# What is read may have been written by anybody: a value that none of ours can be is a ValueError.


def _run(row: sqlite3.Row) -> Run:
    values = _typed(row)
    for moment in (row["started"], row["finished"]):
        if moment is not None and datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError(f"{moment[:40]!r} is not a time in UTC")
    return Run(**values | {"notes": _strings(row["notes"])})


def _entry(row: sqlite3.Row) -> Entry:
    _typed(row)
    gives, evidence, bundles = row["gives"], row["evidence"], row["bundles"]
    line = row["line"]
    if row["place"] < 0 or row["rebuild"] < 0 or (line is not None and line < 1):
        raise ValueError("a number that counts nothing")
    judgement = Judgement(
        Outcome(row["outcome"]),
        Gives(gives).value if gives is not None else None,
        _findings(row["findings"]),
        _evidence(evidence) if evidence is not None else None,
        _strings(bundles) if bundles is not None else None,
    )
    first = row["first_commit"]
    return Entry(
        row["formula"],
        row["place"],
        row["version"],
        row["rebuild"],
        row["tag"],
        row["file_name"],
        Digest("sha256", row["sha256"]).value,
        row["path"],
        line,
        row["verdict"],
        judgement,
        listed=Listed(first, row["last_commit"]) if first is not None else None,
    )


def _typed(row: sqlite3.Row) -> dict[str, Any]:
    """Return a row's values; the types that a table declares do not hold in a damaged one."""
    values = dict(row)
    for name, value in values.items():
        if not isinstance(value, int if name in _NUMBERS else str) and not (
            value is None and name in _OPTIONAL
        ):
            raise ValueError(f"{name} is of another type")
    return values


_NUMBERS: Final = frozenset({"id", "run", "place", "rebuild", "line"})
_OPTIONAL: Final = frozenset(
    {
        *("finished", "version", "file_name", "path", "line", "gives", "evidence", "bundles"),
        *("first_commit", "last_commit"),
    }
)


def _findings(text: str) -> tuple[tuple[str, str], ...]:
    found = []
    for item in _list(text):
        match item:
            case [str(code), str(detail)] if _CODE.fullmatch(code):
                found.append((code, detail))
            case _:
                raise ValueError("not a list of codes and details")
    return tuple(found)


def _evidence(text: str) -> Evidence:
    match _parse(text):
        case dict() as document if all(v is None or isinstance(v, str | int) for v in document.values()):
            return document
        case _:
            raise ValueError("not an object of plain values, in JSON")


_outcome = lru_cache(maxsize=16)(Outcome)


@lru_cache(maxsize=1024)
def _strings(text: str) -> tuple[str, ...]:
    # The bottles of a formula mostly share their bundles.
    found = _list(text)
    if not all(isinstance(item, str) for item in found):
        raise ValueError("not a list of strings")
    return tuple(found)


def _list(text: str) -> list[Any]:
    match _parse(text):
        case list() as document:
            return document
        case _:
            raise ValueError("not a list, in JSON")


def _parse(text: str) -> object:
    return strictjson.loads(text.encode(), _MAX_JSON_BYTES)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
