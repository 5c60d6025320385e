"""The ledger: an SQLite file of verdicts, which any SQL tool can read.

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
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Self

from brew_provenance.bottle import Digest
from brew_provenance.errors import ProvenanceError
from brew_provenance.verdict import Outcome

SCHEMA_VERSION: Final = 1
"""In `PRAGMA user_version`; a ledger of a newer one is refused, an older one is migrated."""

APPLICATION_ID: Final = 0x62707631
"""In `PRAGMA application_id`: `bpv1`."""

_SCHEMA: Final = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    tap TEXT NOT NULL,
    metadata TEXT NOT NULL,
    store TEXT NOT NULL,
    policy TEXT NOT NULL,
    policy_sha256 TEXT NOT NULL,
    roots TEXT NOT NULL,
    tool_version TEXT NOT NULL,
    started TEXT NOT NULL,
    finished TEXT
) STRICT;
CREATE TABLE answers (
    store TEXT NOT NULL,
    digest TEXT NOT NULL,
    bundles TEXT NOT NULL,
    answered TEXT NOT NULL,
    PRIMARY KEY (store, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE verdicts (
    key TEXT PRIMARY KEY,
    outcome TEXT NOT NULL,
    gives TEXT,
    codes TEXT NOT NULL,
    findings TEXT NOT NULL,
    evidence TEXT,
    judged TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE bottles (
    run INTEGER NOT NULL REFERENCES runs(id),
    number INTEGER NOT NULL,
    formula TEXT NOT NULL,
    version TEXT,
    rebuild INTEGER NOT NULL,
    tag TEXT NOT NULL,
    file_name TEXT,
    sha256 TEXT NOT NULL,
    path TEXT,
    line INTEGER,
    verdict TEXT NOT NULL REFERENCES verdicts(key),
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX bottles_by_verdict ON bottles(verdict);
"""


class LedgerError(ProvenanceError):
    """A ledger is missing, is none, or is of a version that is not known."""

    exit_code = 2


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

    finished: str | None
    """None for a run that was interrupted."""


@dataclass(frozen=True)
class Judgement:
    """What became of one bottle: the part of a verdict that a ledger keeps."""

    outcome: Outcome
    gives: str | None
    """`build-provenance` or `notarisation`, for a verified bottle."""

    findings: tuple[tuple[str, str], ...]
    """Code and detail of each finding that decided, or of each note."""

    evidence: Mapping[str, str | int | None] | None
    """Signer, source, commit, run, runner, time and log entry of the attestation that decided."""

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the findings."""
        return tuple(code for code, _ in self.findings)


@dataclass(frozen=True)
class AuditedBottle:
    """One bottle of a run."""

    number: int
    """Its place in the run, counted from 0."""

    formula: str
    version: str | None
    rebuild: int
    tag: str
    file_name: str | None
    sha256: str
    path: str | None
    line: int | None
    key: str
    """The key of its verdict."""


_COLUMNS: Final = attrgetter(*(column.name for column in fields(AuditedBottle)))


@dataclass(frozen=True)
class Entry(AuditedBottle):
    """One bottle of a run with its verdict."""

    judgement: Judgement


class Ledger:
    """An open ledger. Close it when done."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the ledger in `path`, or make one. Raises LedgerError."""
        self.path = path
        if not create and not path.is_file():
            raise LedgerError(str(path), "there is no such file", "name a ledger that an audit has written")
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
        except sqlite3.Error as error:
            raise LedgerError(str(path), str(error), "name a file that can be written") from error
        try:
            self._prepare(create=create)
        except sqlite3.Error as error:
            self._connection.close()
            raise LedgerError(str(path), str(error), "name a ledger that an audit has written") from error
        except LedgerError:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def begin(self, run: Run) -> int:
        """Write down that a run begins, and return its number. The `id` of `run` does not count."""
        cursor = self._execute(
            "INSERT INTO runs (tap, metadata, store, policy, policy_sha256, roots, tool_version, started)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run.tap,
                run.metadata,
                run.store,
                run.policy,
                run.policy_sha256,
                run.roots,
                run.tool_version,
                run.started,
            ),
        )
        return int(cursor.lastrowid or 0)

    def finish(self, run: int) -> None:
        """Write down that a run has come to its end."""
        self._execute("UPDATE runs SET finished = ? WHERE id = ?", (_now(), run))

    def runs(self, tap: str | None = None) -> list[Run]:
        """Return the runs, of one tap or of all, the oldest first."""
        rows = self._execute("SELECT * FROM runs WHERE ? IS NULL OR tap = ? ORDER BY id", (tap, tap))
        return [Run(**dict(row)) for row in rows]

    def last_run(self, tap: str | None = None) -> Run:
        """Return the newest run that has come to its end. Raises LedgerError when there is none."""
        finished = [run for run in self.runs(tap) if run.finished is not None]
        if not finished:
            raise LedgerError(str(self.path), "no audit in it has come to its end", "run the audit again")
        return finished[-1]

    def answers(self, store: str, digests: Sequence[Digest]) -> dict[Digest, tuple[str, ...]]:
        """Return what a store answered before for some of `digests`: the digests of its bundles."""
        asked = {str(digest): digest for digest in digests}
        rows = self._execute(
            "SELECT digest, bundles FROM answers"
            " WHERE store = ? AND digest IN (SELECT value FROM json_each(?))",
            (store, json.dumps(list(asked))),
        )
        return {asked[row["digest"]]: tuple(json.loads(row["bundles"])) for row in rows}

    def outcomes(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcomes of those verdicts of `keys` that are there."""
        rows = self._execute(
            "SELECT key, outcome FROM verdicts WHERE key IN (SELECT value FROM json_each(?))",
            (json.dumps(keys),),
        )
        return {row["key"]: Outcome(row["outcome"]) for row in rows}

    def record(
        self,
        run: int,
        store: str,
        answers: Mapping[Digest, Sequence[str]],
        verdicts: Mapping[str, Judgement],
        bottles: Sequence[AuditedBottle],
    ) -> None:
        """Write a part of a run, all of it or nothing.

        `verdicts` are new ones by their keys; each bottle's is among them, or in the ledger already.
        """
        now = _now()
        with self._transaction():
            self._connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                [(store, str(digest), json.dumps(sorted(found)), now) for digest, found in answers.items()],
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(key, *_row(judgement), now) for key, judgement in verdicts.items()],
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO bottles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(run, *_COLUMNS(bottle)) for bottle in bottles],
            )

    def entries(self, run: int) -> Iterator[Entry]:
        """Yield the bottles of a run in their order, with their verdicts."""
        rows = self._execute(
            "SELECT bottles.*, verdicts.* FROM bottles JOIN verdicts ON verdicts.key = bottles.verdict"
            " WHERE run = ? ORDER BY number",
            (run,),
        )
        for row in rows:
            yield Entry(
                row["number"],
                row["formula"],
                row["version"],
                row["rebuild"],
                row["tag"],
                row["file_name"],
                row["sha256"],
                row["path"],
                row["line"],
                row["key"],
                _judgement(row),
            )

    def counts(self, run: int) -> dict[Outcome, int]:
        """Return how many bottles of a run have each outcome."""
        rows = self._execute(
            "SELECT outcome, count(*) AS number FROM bottles JOIN verdicts ON verdicts.key = bottles.verdict"
            " WHERE run = ? GROUP BY outcome",
            (run,),
        )
        return {Outcome(row["outcome"]): row["number"] for row in rows}

    def _prepare(self, *, create: bool) -> None:
        self._connection.row_factory = sqlite3.Row
        # A ledger can come from anybody: nothing in its schema is run.
        self._connection.execute("PRAGMA trusted_schema = OFF")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        if version == 0 and application == 0 and create and not self._tables():
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        elif application != APPLICATION_ID:
            raise LedgerError(str(self.path), "not a ledger", "name a ledger that an audit has written")
        elif version != SCHEMA_VERSION:
            raise LedgerError(
                str(self.path), f"of version {version}, {SCHEMA_VERSION} is known", "update brew-provenance"
            )
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def _tables(self) -> list[str]:
        return [row["name"] for row in self._connection.execute("SELECT name FROM sqlite_schema")]

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise LedgerError(str(self.path), str(error), "make room, or name another ledger") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException as error:
            self._connection.rollback()
            if isinstance(error, sqlite3.Error):
                raise LedgerError(str(self.path), str(error), "make room, or name another ledger") from error
            raise
        self._execute("COMMIT")


def verdict_key(parts: Iterable[str | None]) -> str:
    """Return the key of a verdict that rests on `parts`, in hexadecimal; no two lists of parts share one."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()


def _row(judgement: Judgement) -> tuple[str, str | None, str, str, str | None]:
    evidence = json.dumps(judgement.evidence, sort_keys=True) if judgement.evidence is not None else None
    return (
        judgement.outcome.value,
        judgement.gives,
        ",".join(dict.fromkeys(judgement.codes)),
        json.dumps(judgement.findings),
        evidence,
    )


def _judgement(row: sqlite3.Row) -> Judgement:
    evidence = json.loads(row["evidence"]) if row["evidence"] is not None else None
    findings = tuple((code, detail) for code, detail in json.loads(row["findings"]))
    return Judgement(Outcome(row["outcome"]), row["gives"], findings, evidence)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
