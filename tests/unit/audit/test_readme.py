"""The page on ledgers says what is so: its tables, its alarms, and queries that run."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.audit.audits import REJECTED, make_entry, make_judgement, opened, record

import brew_provenance.audit
from brew_provenance.audit.compare import ALARMS, CHANGES
from brew_provenance.audit.database import APPLICATION_ID, SCHEMA_VERSION
from brew_provenance.audit.run import MAX_TEXT

README = (Path(brew_provenance.audit.__file__).parent / "README.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A ledger with two audits, as another program opens it."""
    wget = make_entry("wget", "arm64_sonoma", make_judgement(bundles=("a" * 64, "b" * 64)))
    with opened(tmp_path / "ledger.sqlite") as ledger:
        for judgement in (make_judgement(), REJECTED):
            record(ledger, [make_entry(judgement=judgement), wget])
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as plain:
            yield plain


@pytest.mark.parametrize(
    ("number", "rows"),
    [
        (0, [("octo/tap", "rejected", 1), ("octo/tap", "verified", 1)]),
        (1, [("foo--1.0.sonoma.bottle.tar.gz", "rejected", "subject-digest-mismatch", "Formula/foo.rb", 4)]),
        (
            2,
            [
                (
                    "https://github.com/octo/homebrew-tap/.github/workflows/publish.yml@refs/heads/main",
                    1,
                    "2026-03-01T12:00:00+00:00",
                )
            ],
        ),
        (3, [("2026-03-02T00:00:00+00:00", "wget--1.0.arm64_sonoma.bottle.tar.gz", "verified")] * 2),
        (4, [("wget--1.0.arm64_sonoma.bottle.tar.gz", 2)]),
    ],
)
def test_every_example_runs_and_finds_what_it_says(
    number: int, rows: list[tuple[object, ...]], plain: sqlite3.Connection
) -> None:
    found = plain.execute(QUERIES[number]).fetchall()
    assert len(found) == len(rows)
    for row, expected in zip(found, rows, strict=True):
        assert set(expected) <= set(row)


def test_there_are_as_many_examples_as_are_tested() -> None:
    assert len(QUERIES) == 5


def test_every_table_and_column_is_explained(plain: sqlite3.Connection) -> None:
    documented: dict[str, list[str]] = {}
    for title, section in re.findall(r"^### (\w+): .*?\n(.*?)(?=^##)", README, re.DOTALL | re.MULTILINE):
        cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        documented[title] = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    tables = [row[0] for row in plain.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert documented.keys() == set(tables)
    for table in tables:
        columns = [row[0] for row in plain.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        assert sorted(documented[table]) == sorted(columns)


def test_every_kind_of_change_is_explained() -> None:
    alarms = re.findall(r"^\| `([a-z-]+)` \| [A-Z]", README, re.MULTILINE)
    assert tuple(alarms) == ALARMS
    for code in CHANGES:
        assert f"`{code}`" in README


def test_numbers_are_those_of_the_program() -> None:
    assert f"is {APPLICATION_ID} " in README
    assert f"the version of the schema, {SCHEMA_VERSION}." in README
    assert f"{MAX_TEXT:,} characters" in README
