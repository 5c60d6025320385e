"""The SQLite file under a ledger: making one, opening one that anybody may have made, and its errors."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from stat import S_ISREG
from typing import Final

from brew_provenance.errors import UsageError

SCHEMA_VERSION: Final = 2
"""In `PRAGMA user_version`; an older ledger is read as it is, and brought to this one to be written."""

APPLICATION_ID: Final = 0x62707631
"""In `PRAGMA application_id`: `bpv1`."""

_FIRST: Final = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    tap TEXT NOT NULL,
    selection TEXT NOT NULL,
    shard TEXT NOT NULL,
    metadata TEXT NOT NULL,
    store TEXT NOT NULL,
    policy TEXT NOT NULL,
    policy_sha256 TEXT NOT NULL,
    roots TEXT NOT NULL,
    tool_version TEXT NOT NULL,
    notes TEXT NOT NULL,
    started TEXT NOT NULL,
    finished TEXT
) STRICT;
CREATE TABLE answers (
    store TEXT NOT NULL,
    digest TEXT NOT NULL,
    bundles TEXT NOT NULL,
    recorded TEXT NOT NULL,
    PRIMARY KEY (store, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE verdicts (
    key TEXT PRIMARY KEY,
    outcome TEXT NOT NULL,
    gives TEXT,
    codes TEXT NOT NULL,
    findings TEXT NOT NULL,
    evidence TEXT,
    bundles TEXT,
    recorded TEXT NOT NULL
) STRICT;
CREATE TABLE bottles (
    run INTEGER NOT NULL REFERENCES runs(id),
    formula TEXT NOT NULL,
    place INTEGER NOT NULL,
    version TEXT,
    rebuild INTEGER NOT NULL,
    tag TEXT NOT NULL,
    file_name TEXT,
    sha256 TEXT NOT NULL,
    path TEXT,
    line INTEGER,
    verdict TEXT NOT NULL REFERENCES verdicts(key),
    PRIMARY KEY (run, formula, place)
) STRICT, WITHOUT ROWID;
"""
_SECOND: Final = """
CREATE TABLE listed (
    run INTEGER NOT NULL REFERENCES runs(id),
    formula TEXT NOT NULL,
    place INTEGER NOT NULL,
    first_commit TEXT NOT NULL,
    last_commit TEXT,
    PRIMARY KEY (run, formula, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE formula_commits (
    run INTEGER NOT NULL REFERENCES runs(id),
    id TEXT NOT NULL,
    reachable INTEGER NOT NULL,
    PRIMARY KEY (run, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE walks (
    tap TEXT PRIMARY KEY,
    reached TEXT NOT NULL,
    recorded TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE listings (
    tap TEXT NOT NULL,
    formula TEXT NOT NULL,
    place INTEGER NOT NULL,
    version TEXT,
    rebuild INTEGER NOT NULL,
    tag TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    url TEXT,
    source TEXT,
    gaps TEXT NOT NULL,
    path TEXT NOT NULL,
    line INTEGER,
    first_commit TEXT NOT NULL,
    last_commit TEXT,
    PRIMARY KEY (tap, formula, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE gaps (
    tap TEXT NOT NULL,
    path TEXT NOT NULL,
    why TEXT NOT NULL,
    first_commit TEXT NOT NULL,
    PRIMARY KEY (tap, path, why)
) STRICT, WITHOUT ROWID;
"""

SCHEMAS: Final = {1: _FIRST, 2: _FIRST + _SECOND}
"""By version; each later one is an older one with more in it."""

SCHEMA: Final = SCHEMAS[SCHEMA_VERSION]

# A value or a row of a ledger; the longest that is written has some hundred kilobytes.
_MAX_VALUE_BYTES = 16 * 1024 * 1024
_CACHE_KIB = 16 * 1024
# 64 MiB. Keys come in no order, and a page with some of them is written again and again: into the log alone.
_LOG_PAGES = 16 * 1024
_BUSY_SECONDS = 60
_PAUSE_SECONDS = 0.01
_OTHER = "name a ledger that an audit has written"
_NEXT_STEPS = {
    sqlite3.SQLITE_FULL: "make room, and run the same command again",
    sqlite3.SQLITE_IOERR: "make room, and run the same command again",
    sqlite3.SQLITE_BUSY: "wait until the other audit has come to its end, and run the same command again",
    sqlite3.SQLITE_READONLY: "name a file that can be written",
    sqlite3.SQLITE_CANTOPEN: "name a file that can be written",
    sqlite3.SQLITE_PERM: "name a file that can be written",
}


class LedgerError(UsageError):
    """A ledger is missing, is none, is damaged, cannot be written, or is of a version that is not known."""


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn what goes wrong with the ledger in `path`, or with what is in it, into LedgerError."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        next_step = _NEXT_STEPS.get(code & 0xFF, _OTHER) if code is not None else _OTHER
        raise LedgerError(str(path), str(error), next_step) from error
    except (ValueError, OverflowError) as error:
        raise LedgerError(str(path), f"damaged: {error}", _OTHER) from error


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the ledger in `path` to read it; with `create` to write it, where there is none a new one.

    Nothing in the file's own schema is run: it is the one above to the letter, or LedgerError is raised,
    as it is for everything else that is no ledger. A transaction takes its turn after that of another
    process, for which it waits up to a minute.
    """
    try:
        if not S_ISREG(path.stat().st_mode):
            raise LedgerError(str(path), "not a file", _OTHER)
    except OSError as error:
        if not (create and isinstance(error, FileNotFoundError)):
            raise LedgerError(str(path), error.strerror or str(error), _OTHER) from error
    with guarded(path):
        # In full, as SQLite gives some short names a meaning of their own.
        connection = sqlite3.connect(path.absolute(), timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        with guarded(path):
            _prepare(connection, path, create=create)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, *, create: bool) -> None:
    connection.row_factory = sqlite3.Row
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    connection.execute("PRAGMA trusted_schema = OFF")
    if create and _is_empty(connection):
        _use_log(connection)
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have been faster.
        if _is_empty(connection):
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    _check(connection, path)
    if create:
        _migrate(connection)
    # The keys of a whole tap's verdicts fit in, which are looked for in no order.
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    connection.execute("PRAGMA synchronous = NORMAL" if create else "PRAGMA query_only = ON")


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of an open ledger's schema."""
    return _pragma(connection, "user_version")


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring an older ledger to the present schema, in whole or not at all."""
    if version_of(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster.
        older = SCHEMAS[version_of(connection)]
        for statement in SCHEMA.removeprefix(older).split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _use_log(connection: sqlite3.Connection) -> None:
    """Have the file written through a log; for its turn at this, SQLite does not wait by itself."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise LedgerError(str(path), "not a ledger", _OTHER)
    version = _pragma(connection, "user_version")
    if version not in SCHEMAS:
        next_step = "update brew-provenance" if version > SCHEMA_VERSION else _OTHER
        raise LedgerError(str(path), f"of version {version}, {SCHEMA_VERSION} is known", next_step)
    if _objects(connection) != _own_objects(version):
        raise LedgerError(
            str(path), "has tables, views or triggers that no ledger has", f"{_OTHER}, and left as it was"
        )
    # SQLite reads zeros where a file was cut off, and so could find fewer bottles than there were.
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok" or _is_cut_off(connection, path):
        cause = found.splitlines()[-1] if found != "ok" else "cut off"
        raise LedgerError(str(path), f"damaged: {cause}", _OTHER)


def _is_cut_off(connection: sqlite3.Connection, path: Path) -> bool:
    with suppress(FileNotFoundError):
        if path.with_name(f"{path.name}-wal").stat().st_size:
            return False  # what is missing in the file may be in its log
    return path.stat().st_size < _pragma(connection, "page_count") * _pragma(connection, "page_size")


def _is_empty(connection: sqlite3.Connection) -> bool:
    names = ("user_version", "application_id")
    return not _objects(connection) and all(_pragma(connection, name) == 0 for name in names)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _objects(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Return everything that the schema declares; what ANALYZE adds is SQLite's own."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE NOT (type = 'table' AND name GLOB 'sqlite_stat[14]') ORDER BY type, name"
    )
    return [tuple(row) for row in rows]


@cache
def _own_objects(version: int) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMAS[version])
        return _objects(connection)
