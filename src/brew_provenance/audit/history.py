"""Every bottle that a tap ever listed: its commits are walked once, and the ledger keeps what they listed.

Whoever can write to the tap decides what its old commits say. What cannot be read at one of them is kept
as a gap, and stops nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeAlias

from brew_provenance import strictjson
from brew_provenance.audit.database import guarded
from brew_provenance.audit.ledger import MAX_INTEGER, MAX_NOTES, Ledger, Listed
from brew_provenance.audit.run import Subject, tag_filter
from brew_provenance.audit.shard import Shard
from brew_provenance.bottle import Bottle, Digest
from brew_provenance.errors import InputError
from brew_provenance.formula import Formula, Source, UnnamedBottle
from brew_provenance.taps.git import FormulaChange, UnreadableFormula
from brew_provenance.taps.gitline import GitLine, Step

TOGETHER: Final = 2_000
"""Changed formulae whose bottles are recorded together: what a kill can lose."""

PAGE: Final = 2_000
"""Bottles that are read together."""

_MAX_JSON_BYTES: Final = 1024 * 1024

_Identity: TypeAlias = tuple[str | None, int, str, str]


@dataclass(frozen=True)
class Walked:
    """What a walk came to."""

    commits: int
    """Commits that were read now; those that were read before are not among them."""

    notes: tuple[str, ...]
    """What a person should know of the history: gaps, and names that stood for several files."""


class History:
    """What the commits of one tap listed, as a ledger keeps it."""

    def __init__(self, ledger: Ledger, tap: str) -> None:
        self._ledger = ledger
        self._tap = tap

    def walk(self, line: GitLine, progress: Callable[[int], None] = lambda _commits: None) -> Walked:
        """Read the commits that were not read before, and keep what they listed.

        When the last one that was read before is not on the line any more, all are read again. Raises
        InputError when a commit cannot be read, and LedgerError; what was kept until then stays.
        """
        reached = self._reached()
        new = line.commits(back_to=reached)
        notes = []
        if line.is_shallow:
            notes.append("the clone is shallow: what was listed before is not seen; `git fetch --unshallow`")
        if reached is not None and new[-1] == reached:
            new.pop()
        elif reached is not None:
            notes.append(f"the branch does not lead to {reached[:12]} any more: its history was read anew")
            with self._ledger.transaction():
                for table in ("walks", "listings", "gaps"):
                    self._ledger.write(f"DELETE FROM {table} WHERE tap = ?", [(self._tap,)])  # noqa: S608
        new.reverse()
        read = 0
        for steps in self._parts(line, new):
            read += steps
            progress(read)
        return Walked(read, (*notes, *self._gaps(), *self._ambiguous()))

    @property
    def bottles(self) -> int:
        """How many bottles were listed."""
        rows = self._ledger.rows("SELECT count(*) FROM listings WHERE tap = ?", (self._tap,))
        return int(rows[0][0])

    def plan(
        self, tags: Sequence[str] = (), shard: Shard | None = None, names: Collection[str] = ()
    ) -> Iterator[Subject]:
        """Yield every bottle that was listed, or those for some tags, of one shard, or of some formulae.

        They come in the order of their formulae's names, each formula's in the order of their coming.
        """
        numbers = count()
        is_wanted = tag_filter(tags)
        after = ("", -1)
        formula: Formula | None = None
        while page := self._ledger.rows(
            "SELECT * FROM listings WHERE tap = ? AND (formula, place) > (?, ?)"
            " ORDER BY formula, place LIMIT ?",
            (self._tap, *after, PAGE),
        ):
            for row in page:
                after = (row["formula"], row["place"])
                name, tag = row["formula"], row["tag"]
                if (shard is not None and not shard.holds(name)) or (names and name not in names):
                    continue
                if not is_wanted(tag):
                    continue
                with guarded(self._ledger.path):
                    described, bottle = _described(row)
                # One value for all bottles that are described alike: they are judged together.
                formula = described if formula is None or described != formula else formula
                file_name = str(bottle.file_name) if isinstance(bottle, Bottle) else None
                listed = Listed(row["first_commit"], row["last_commit"])
                yield Subject(next(numbers), formula, bottle, row["place"], file_name, listed)

    def _parts(self, line: GitLine, commits: Sequence[str]) -> Iterator[int]:
        """Read commits and record what they list, some at a time; yield how many were read each time."""
        steps = line.steps(commits)
        step = next(steps, None)
        while step is not None:
            read = changed = 0
            with self._ledger.transaction():
                while step is not None:
                    changed += self._take(step)
                    read += 1
                    at, step = step, next(steps, None)
                    # From a commit of the line on, reading can begin again.
                    if at.on_line and (changed >= TOGETHER or step is None or read >= TOGETHER):
                        self._ledger.write(
                            "INSERT OR REPLACE INTO walks"
                            " VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now'))",
                            [(self._tap, at.commit)],
                        )
                        break
            yield read

    def _take(self, step: Step) -> int:
        """Record what a commit changes, and return the number of formulae that it does."""
        changed = 0
        try:
            for change in step.changes:
                changed += 1
                if isinstance(change.now, UnreadableFormula):
                    # What it lists is not known: what was listed stays so.
                    self._gap(change.now.path, change.now.why, step.commit)
                else:
                    self._list(change, change.now, step)
        except InputError as error:
            self._gap(error.thing.partition(" at ")[0], error.cause, step.commit)
        return changed

    def _list(self, change: FormulaChange, formula: Formula | None, step: Step) -> None:
        """Record which bottles of a formula a commit adds, and which it takes away."""
        now = dict(_bottles(formula)) if formula is not None else {}
        digests = json.dumps([identity[3] for identity in now])
        rows = self._ledger.rows(
            "SELECT place, version, rebuild, tag, sha256, last_commit FROM listings"
            " WHERE tap = ? AND formula = ?"
            " AND (last_commit IS NULL OR sha256 IN (SELECT value FROM json_each(?)))",
            (self._tap, change.name, digests),
        )
        known = {(row["version"], row["rebuild"], row["tag"], row["sha256"]): row for row in rows}
        new = [identity for identity in now if identity not in known]
        if new and formula is not None:
            last = None if step.on_line else step.commit
            place = self._next_place(change.name)
            self._ledger.write(
                "INSERT INTO listings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    _row(self._tap, formula, now[identity], identity, place + number, step.commit, last)
                    for number, identity in enumerate(new)
                ],
            )
        if step.on_line:
            ends = [
                (last, self._tap, change.name, row["place"])
                for identity, row in known.items()
                if (last := None if identity in now else step.parent) != row["last_commit"]
                and (identity in now or row["last_commit"] is None)
            ]
            self._ledger.write(
                "UPDATE listings SET last_commit = ? WHERE tap = ? AND formula = ? AND place = ?", ends
            )

    def _next_place(self, formula: str) -> int:
        (row,) = self._ledger.rows(
            "SELECT coalesce(max(place) + 1, 0) AS place FROM listings WHERE tap = ? AND formula = ?",
            (self._tap, formula),
        )
        return int(row["place"])

    def _gap(self, path: str, why: str, commit: str) -> None:
        written = path.encode("utf-8", "backslashreplace").decode()
        self._ledger.write(
            "INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, ?)", [(self._tap, written, why, commit)]
        )

    def _reached(self) -> str | None:
        rows = self._ledger.rows("SELECT reached FROM walks WHERE tap = ?", (self._tap,))
        return str(rows[0]["reached"]) if rows else None

    def _gaps(self) -> Iterator[str]:
        query = "FROM gaps WHERE tap = ?"
        rows = self._ledger.rows(
            f"SELECT * {query} ORDER BY path, why LIMIT ?",
            (self._tap, MAX_NOTES // 2),
        )
        for row in rows:
            yield f"{row['path']} cannot be read at {row['first_commit'][:12]}: {row['why']}"
        (total,) = self._ledger.rows(f"SELECT count(*) AS number {query}", (self._tap,))
        if total["number"] > len(rows):
            yield f"and {total['number'] - len(rows):,} more that cannot be read"

    def _ambiguous(self) -> Iterator[str]:
        """Say which bottles of one name had several digests over time."""
        rows = self._ledger.rows(
            "SELECT formula, version, rebuild, tag, count(DISTINCT sha256) AS digests FROM listings"
            " WHERE tap = ? AND version IS NOT NULL GROUP BY formula, version, rebuild, tag"
            " HAVING digests > 1 ORDER BY formula, version, rebuild, tag LIMIT ?",
            (self._tap, MAX_NOTES // 2),
        )
        for row in rows:
            rebuild = f", rebuild {row['rebuild']}" if row["rebuild"] else ""
            named = f"{row['formula']} {row['version']} ({row['tag']}{rebuild})"
            yield f"{named} was listed with {row['digests']} digests: there were as many bottles of one name"


def _bottles(formula: Formula) -> Iterator[tuple[_Identity, Bottle | UnnamedBottle]]:
    bottles: list[Bottle | UnnamedBottle] = [*formula.bottles, *formula.unnamed]
    for bottle in bottles:
        version = bottle.version if isinstance(bottle, Bottle) else None
        yield (version, min(bottle.rebuild, MAX_INTEGER), bottle.tag, bottle.digest.value), bottle


def _row(  # noqa: PLR0913, PLR0917 - a column each
    tap: str,
    formula: Formula,
    bottle: Bottle | UnnamedBottle,
    identity: _Identity,
    place: int,
    first: str,
    last: str | None,
) -> tuple[str | int | None, ...]:
    source = formula.source
    return (
        *(tap, formula.name, place, *identity),
        bottle.url if isinstance(bottle, Bottle) else None,
        json.dumps([source.url, source.sha256, source.tag, source.revision]) if source else None,
        json.dumps(formula.gaps),
        *(formula.path, bottle.line, first, last),
    )


def _described(row: sqlite3.Row) -> tuple[Formula, Bottle | UnnamedBottle]:
    """Return a bottle and what describes it. Raises ValueError for what no walk writes."""
    digest = Digest("sha256", row["sha256"])
    bottle: Bottle | UnnamedBottle
    if row["version"] is not None and row["url"] is not None:
        bottle = Bottle(
            *(row["tap"], row["formula"], row["version"], row["rebuild"], row["tag"], digest, row["url"]),
            path=row["path"],
            line=row["line"],
        )
    else:
        bottle = UnnamedBottle(row["tag"], digest, row["rebuild"], row["line"])
    source = _source(row["source"]) if row["source"] is not None else None
    formula = Formula(
        row["tap"],
        row["formula"],
        row["version"],
        (),
        source=source,
        revision=None,
        version_scheme=None,
        path=row["path"],
        gaps=_gaps(row["gaps"]),
    )
    return formula, bottle


def _source(text: str) -> Source:
    match strictjson.loads(text.encode(), _MAX_JSON_BYTES):
        case [str(url), str() | None as sha256, str() | None as tag, str() | None as revision]:
            return Source(url, sha256, tag, revision)
        case _:
            raise ValueError("not a source")


def _gaps(text: str) -> tuple[str, ...]:
    match strictjson.loads(text.encode(), _MAX_JSON_BYTES):
        case list() as gaps if all(isinstance(gap, str) for gap in gaps):
            return tuple(gaps)
        case _:
            raise ValueError("not a list of gaps")
