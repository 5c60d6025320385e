"""The ledger: what is written comes back, all of a part or nothing, and a file of anybody's runs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.audit.audits import (
    REJECTED,
    UNATTESTED,
    UNRESOLVED,
    digest_of,
    make_entry,
    make_judgement,
    make_run,
    opened,
    record,
)

from brew_provenance.audit import database, report
from brew_provenance.audit.database import APPLICATION_ID, SCHEMA, SCHEMA_VERSION, SCHEMAS, LedgerError
from brew_provenance.audit.ledger import (
    MAX_NOTE,
    MAX_NOTES,
    Entry,
    Judgement,
    Ledger,
    Listed,
    key_maker,
    verdict_key,
)
from brew_provenance.policy import Gives
from brew_provenance.verdict import Outcome

ENTRIES = [
    make_entry("bar", "sonoma"),
    make_entry("bar", "x86_64_linux", REJECTED, place=1),
    make_entry("foo", "all", UNATTESTED, path=None, line=None),
    make_entry("foo", "sonoma", UNRESOLVED, place=1, version=None, file_name=None),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with a run in it."""
    with opened(tmp_path / "ledger.sqlite") as ledger:
        record(ledger, ENTRIES)
    return tmp_path / "ledger.sqlite"


def plain(path: Path) -> closing[sqlite3.Connection]:
    """Open the file as any other program would."""
    return closing(sqlite3.connect(path, isolation_level=None))


def read_everything(path: Path) -> list[object]:
    """Read all that there is, as every command together would."""
    with Ledger(path) as ledger:
        found: list[object] = []
        for run in ledger.runs():
            entries = list(ledger.entries(run.id))
            digests = [digest_of("foo 1.0 all")]
            found += [run, entries, ledger.counts(run.id), ledger.answers(run.store, digests)]
            found += sorted(ledger.outcomes([entry.key for entry in entries]))
            for render in report.FORMATS.values():
                text = "".join(render(ledger, run))
                assert text.isascii()
                found.append(text)
        return found


# Files


def test_a_new_ledger_says_what_it_is_to_any_program(path: Path) -> None:
    with plain(path) as other:
        pragmas = [
            other.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("user_version", "application_id", "journal_mode")
        ]
        assert pragmas == [SCHEMA_VERSION, APPLICATION_ID, "wal"]
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = other.execute(
            "SELECT file_name, outcome, codes FROM bottles JOIN verdicts ON key = verdict"
            " ORDER BY formula, place"
        )
        assert rows.fetchall() == [
            ("bar--1.0.sonoma.bottle.tar.gz", "verified", "formula-not-bound"),
            ("bar--1.0.x86_64_linux.bottle.tar.gz", "rejected", "subject-digest-mismatch"),
            ("foo--1.0.all.bottle.tar.gz", "unattested", ""),
            (None, "unresolved", "server-failed"),
        ]


def test_a_ledger_can_be_read_by_others_while_it_is_written(path: Path) -> None:
    with opened(path) as ledger, plain(path) as other, ledger.transaction():
        ledger.begin(make_run())
        assert other.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        assert len(read_everything(path)) > 0


def test_nothing_is_left_beside_a_ledger_that_was_closed(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_ledger_that_is_not_there_is_made_only_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    with pytest.raises(LedgerError, match="No such file"):
        Ledger(path)
    assert not path.exists()
    with opened(path) as ledger:
        assert ledger.runs() == []
    assert read_everything(path) == []


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "a b'\"%?#.sqlite"])
def test_no_name_of_a_file_has_a_meaning_of_its_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with opened(Path(name)) as ledger:
        ledger.begin(make_run())
    with Ledger(Path(name)) as ledger:
        assert len(ledger.runs()) == 1


@pytest.mark.parametrize("create", [True, False])
def test_what_is_no_file_is_no_ledger(create: bool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(LedgerError, match="not a file"):
            Ledger(path, create=create)


def test_a_folder_that_is_not_there_is_said_to_be_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(LedgerError) as caught:
        Ledger(tmp_path / "missing" / "ledger.sqlite", create=True)
    assert caught.value.next_step == "name a file that can be written"
    assert caught.value.exit_code == 2


FOREIGN: dict[str, bytes | Sequence[str]] = {
    "text": b"# Notes\n" * 200,
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(2000),
    "half a header": b"SQLite format 3\0\x10\0",
    "a header and nothing": b"SQLite format 3\0" + bytes(5000),
    "another program's": ["CREATE TABLE runs (id INTEGER)"],
    "another program's, numbered": ["CREATE TABLE t (x)", "PRAGMA user_version = 1"],
    "another application's": ["PRAGMA application_id = 7"],
    "only a version": ["PRAGMA user_version = 1"],
    "only an application": [f"PRAGMA application_id = {APPLICATION_ID}"],
}


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_another_file_is_refused_and_left_as_it_is(
    content: bytes | Sequence[str], create: bool, tmp_path: Path
) -> None:
    path = tmp_path / "other"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with plain(path) as other:
            for statement in content:
                other.execute(statement)
    before = path.read_bytes()
    with pytest.raises(LedgerError) as caught:
        Ledger(path, create=create)
    assert caught.value.thing == str(path)
    assert path.read_bytes() == before


def test_an_empty_file_is_a_ledger_to_be_and_none_to_read(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(LedgerError, match="not a ledger"):
        Ledger(path)
    with opened(path):
        pass
    assert read_everything(path) == []


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize(
    ("version", "next_step"),
    [(SCHEMA_VERSION + 1, "update brew-provenance"), (0, "name a ledger"), (-1, "name")],
)
def test_a_ledger_of_another_version_is_refused_and_left_as_it_is(
    version: int, next_step: str, create: bool, path: Path
) -> None:
    with plain(path) as other:
        other.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=f"version {version}") as caught:
        Ledger(path, create=create)
    assert caught.value.next_step.startswith(next_step)
    assert path.read_bytes() == before


@given(rules=st.lists(st.none() | st.text(), min_size=1), parts=st.lists(st.none() | st.text(), min_size=1))
def test_keys_that_are_made_in_two_steps_are_the_same(
    rules: list[str | None], parts: list[str | None]
) -> None:
    assert key_maker(rules)(parts) == verdict_key([*rules, *parts])
    plain_json = json.dumps([*rules, *parts]).encode()
    assert verdict_key([*rules, *parts]) == hashlib.sha256(plain_json).hexdigest()


@pytest.fixture
def first_version(tmp_path: Path) -> Path:
    """A ledger as the first version of this program wrote it."""
    path = tmp_path / "first.sqlite"
    with opened(path) as ledger:
        record(ledger, [make_entry("bar"), make_entry("foo")])
    with closing(sqlite3.connect(path)) as plain_:
        for (table,) in plain_.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            if f"CREATE TABLE {table} " not in SCHEMAS[1]:
                plain_.execute(f"DROP TABLE {table}")
        plain_.execute("PRAGMA user_version = 1")
        plain_.commit()
        plain_.execute("VACUUM")
    return path


def test_a_ledger_of_the_first_version_is_read_as_it_is(first_version: Path) -> None:
    before = first_version.read_bytes()
    with Ledger(first_version) as ledger:
        run = ledger.last_run()
        assert [entry.formula for entry in ledger.entries(run.id)] == ["bar", "foo"]
        assert [entry.listed for entry in ledger.entries(run.id)] == [None, None]
        assert ledger.commits(run.id) == {}
    assert first_version.read_bytes() == before


def test_a_ledger_of_the_first_version_is_brought_up_to_date_to_be_written(
    first_version: Path, tmp_path: Path
) -> None:
    with Ledger(first_version, create=True) as ledger:
        number = record(ledger, [replace(make_entry("foo"), listed=Listed("a" * 40, None))])
        with ledger.transaction():
            ledger.record_commits(number, {"a" * 40: True})
        assert [entry.listed for entry in ledger.entries(number)] == [Listed("a" * 40, None)]
        assert [entry.listed for entry in ledger.entries(1)] == [None, None]
    with Ledger(first_version) as ledger:
        assert ledger.commits(number) == {"a" * 40: True}
    with closing(sqlite3.connect(first_version)) as other:
        assert other.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION


def test_a_ledger_that_cannot_be_brought_up_to_date_stays_as_it_was(
    first_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SCHEMA", f"{SCHEMA};CREATE nonsense")
    before = first_version.read_bytes()
    with pytest.raises(LedgerError):
        Ledger(first_version, create=True)
    with Ledger(first_version) as ledger:
        assert len(list(ledger.entries(1))) == 2
    assert first_version.read_bytes()[:100] == before[:100]


def test_a_ledger_that_lacks_tables_of_its_version_is_refused(first_version: Path) -> None:
    with closing(sqlite3.connect(first_version)) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    with pytest.raises(LedgerError, match="tables"):
        Ledger(first_version, create=True)


def test_the_formula_commits_of_verified_attestations_are_found(path: Path) -> None:
    def built_from(commit: str, **changes: Any) -> Entry:
        judgement = make_judgement(**changes)
        return make_entry(commit, judgement=replace(judgement, evidence={"formula_commit": commit}))

    with opened(path) as ledger:
        entries = [built_from("b"), built_from("a"), built_from("c", outcome=Outcome.REJECTED, gives=None)]
        run = record(ledger, [*entries, make_entry("other")])
        other = record(ledger, [built_from("d")])
        assert ledger.attested_commits(run) == ["a", "b"]
        assert ledger.attested_commits(other) == ["d"]
        assert ledger.attested_commits(99) == []


HOSTILE = {
    "a view": ["CREATE VIEW more AS SELECT * FROM runs"],
    "a table's place taken by a view": [
        "ALTER TABLE runs RENAME TO kept",
        "CREATE VIEW runs AS SELECT * FROM kept",
    ],
    "an endless view": [
        "DROP TABLE runs",
        "CREATE VIEW runs AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n",
    ],
    "a trigger": [
        "CREATE TRIGGER forge AFTER INSERT ON bottles BEGIN UPDATE verdicts SET outcome = 'verified'; END"
    ],
    "a table": ["CREATE TABLE more (x)"],
    "an index": ["CREATE INDEX more ON bottles(tag)"],
    "an index that runs something": ["CREATE INDEX more ON bottles(hex(zeroblob(length(tag))))"],
    "a column": ["ALTER TABLE bottles ADD COLUMN more TEXT"],
    "a missing table": ["DROP TABLE answers"],
    "a table of another type": [
        "DROP TABLE answers",
        "CREATE TABLE answers (store, digest, bundles, recorded, PRIMARY KEY (store, digest))",
    ],
    "a virtual table": ["CREATE VIRTUAL TABLE more USING fts5(x)"],
    "statistics that are none": [
        "CREATE VIEW stat9 AS SELECT 1",
        "PRAGMA writable_schema = ON",
        """UPDATE sqlite_schema SET name = 'sqlite_stat1', tbl_name = 'sqlite_stat1',
           sql = 'CREATE VIEW sqlite_stat1 AS SELECT 1' WHERE name = 'stat9'""",
    ],
}


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("statements", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_was_put_into_a_schema_is_run(
    statements: Sequence[str], create: bool, path: Path
) -> None:
    with plain(path) as other:
        try:
            for statement in statements:
                other.execute(statement)
        except sqlite3.OperationalError as error:  # an SQLite that is built without it
            pytest.skip(str(error))
    before = path.read_bytes()
    with pytest.raises(LedgerError):
        Ledger(path, create=create)
    assert path.read_bytes() == before


def test_a_schema_is_not_trusted(path: Path) -> None:
    with Ledger(path) as ledger:
        (trusted,) = ledger._connection.execute("PRAGMA trusted_schema").fetchone()
    assert trusted == 0


def test_a_ledger_that_somebody_analysed_is_still_one(path: Path) -> None:
    before = read_everything(path)
    with plain(path) as other:
        other.execute("ANALYZE")
    assert read_everything(path) == before


def test_a_ledger_that_is_read_is_not_written(path: Path) -> None:
    with Ledger(path) as ledger:
        with pytest.raises(LedgerError) as caught:
            ledger.begin(make_run())
        with pytest.raises(LedgerError):
            ledger.finish(1)
    assert caught.value.next_step == "name a file that can be written"


# Damage: whatever the bytes, a ledger is read or refused with one kind of error


def read_or_refuse(path: Path) -> None:
    try:
        read_everything(path)
    except LedgerError as error:
        assert error.thing == str(path)
        assert error.next_step


@given(data=st.data())
def test_damaged_bytes_are_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.sqlite"
    path.unlink(missing_ok=True)
    with opened(path) as ledger:
        record(ledger, ENTRIES)
    raw = bytearray(path.read_bytes())
    place = st.integers(0, len(raw) - 1)
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=40)):
        raw[at] = value
    path.write_bytes(raw)
    read_or_refuse(path)


@pytest.mark.parametrize("missing", [1, 2, 50, 100, 200, 500, 1_000, 4_000, 4_096, 5_000, 8_192, 20_000])
def test_a_ledger_that_was_cut_off_is_refused(missing: int, path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:-missing])
    for create in (False, True):
        with pytest.raises(LedgerError):
            Ledger(path, create=create)


def test_what_is_still_in_the_log_is_read(path: Path, tmp_path: Path) -> None:
    whole = read_everything(path)
    with opened(path) as ledger:
        record(ledger, [make_entry(f"f{number}") for number in range(500)])
        # As a crash, or somebody who copies the files meanwhile, leaves them.
        for file in tmp_path.glob("ledger.sqlite*"):
            (tmp_path / file.name.replace("ledger", "copy")).write_bytes(file.read_bytes())
    copied = read_everything(tmp_path / "copy.sqlite")
    assert copied == read_everything(path)
    assert len(copied) > len(whole)


BAD_VALUES = [
    "UPDATE verdicts SET outcome = 'splendid'",
    "UPDATE verdicts SET outcome = ''",
    "UPDATE verdicts SET gives = 'everything'",
    "UPDATE verdicts SET findings = '{}'",
    "UPDATE verdicts SET findings = '['",
    "UPDATE verdicts SET findings = ''",
    "UPDATE verdicts SET findings = '[1]'",
    """UPDATE verdicts SET findings = '[["a"]]'""",
    """UPDATE verdicts SET findings = '[["a", 1]]'""",
    """UPDATE verdicts SET findings = '[["a", "b", "c"]]'""",
    """UPDATE verdicts SET findings = '[["| `x` |", "b"]]'""",
    """UPDATE verdicts SET findings = '[["", "b"]]'""",
    """UPDATE verdicts SET findings = '[["a\\u001b[2J", "b"]]'""",
    """UPDATE verdicts SET findings = '[["a\n", "b"]]'""",
    "UPDATE verdicts SET findings = '" + "[" * 5_000 + "'",
    "UPDATE verdicts SET evidence = '[]'",
    """UPDATE verdicts SET evidence = '{"signer": ["x"]}'""",
    """UPDATE verdicts SET evidence = '{"signer": 1.5}'""",
    """UPDATE verdicts SET evidence = '{"signer": NaN}'""",
    """UPDATE verdicts SET evidence = '{"signer": "\\ud800"}'""",
    "UPDATE verdicts SET bundles = '{}'",
    "UPDATE verdicts SET bundles = '[7]'",
    "UPDATE verdicts SET bundles = x'ff'",
    "UPDATE answers SET bundles = '[null]'",
    "UPDATE answers SET bundles = 'x'",
    "UPDATE bottles SET place = place - 9",
    "UPDATE bottles SET rebuild = -1",
    "UPDATE bottles SET line = 0",
    "UPDATE bottles SET sha256 = 'abc'",
    "UPDATE bottles SET sha256 = upper(sha256)",
    "UPDATE bottles SET tag = CAST(x'ff' AS TEXT)",
    "UPDATE runs SET started = 'yesterday'",
    "UPDATE runs SET started = '2026-03-02'",
    "UPDATE runs SET finished = ''",
    "UPDATE runs SET notes = '7'",
    "UPDATE runs SET notes = '[[]]'",
    "UPDATE bottles SET path = hex(zeroblob(10000000))",
    "UPDATE verdicts SET findings = '[[\"a\", \"' || replace(hex(zeroblob(5000000)), '0', 'x') || '\"]]'",
]


@pytest.mark.parametrize("statement", BAD_VALUES, ids=range(len(BAD_VALUES)))
def test_a_value_that_no_audit_writes_is_refused(statement: str, path: Path) -> None:
    with plain(path) as other:
        try:
            assert other.execute(statement).rowcount > 0
        except sqlite3.IntegrityError:  # the schema itself refuses it
            return
    with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
        read_everything(path)


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_and_shown_as_ascii_without_control_characters(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "texts.sqlite"
    path.unlink(missing_ok=True)
    with opened(path) as ledger:
        record(ledger, ENTRIES, selection=text)
        with plain(path) as other:
            other.execute("UPDATE bottles SET version = ?1, tag = ?1, file_name = ?1, path = ?1", (text,))
            other.execute(
                "UPDATE runs SET tap = ?1, metadata = ?1, store = ?1, policy = ?1, roots = ?1", (text,)
            )
    for shown in read_everything(path):
        if isinstance(shown, str):
            assert shown.replace("\n", "").isprintable()


# What is written comes back

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CODES = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+){0,3}", fullmatch=True)
JUDGEMENTS = st.builds(
    Judgement,
    st.sampled_from(Outcome),
    st.sampled_from([None, *(gives.value for gives in Gives)]),
    st.lists(st.tuples(CODES, TEXT), max_size=4).map(tuple),
    st.none() | st.dictionaries(TEXT, st.none() | TEXT | st.integers(), max_size=4),
    st.none() | st.lists(TEXT, max_size=4).map(tuple),
)


@given(judgements=st.lists(JUDGEMENTS, min_size=1, max_size=5))
def test_any_judgement_comes_back_as_it_was(
    judgements: list[Judgement], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "judgements.sqlite"
    path.unlink(missing_ok=True)
    entries = [make_entry("foo", f"tag{n}", one, place=n) for n, one in enumerate(judgements)]
    with opened(path) as ledger:
        run = record(ledger, entries)
        assert list(ledger.entries(run)) == entries
        assert ledger.outcomes([e.key for e in entries]) == {e.key: e.judgement.outcome for e in entries}
        counts = ledger.counts(run)
    assert counts == {
        outcome: number
        for outcome in Outcome
        if (number := sum(one.outcome is outcome for one in judgements))
    }
    assert list(counts) == [outcome for outcome in Outcome if outcome in counts]


def test_bottles_come_in_the_order_of_their_formulae_and_places_however_they_were_written(path: Path) -> None:
    names = ["é", "a", "Z", "a-b", "a1", "zz", "\U0001d51e", "a@1"]
    entries = [make_entry(name, tag, place=n) for name in names for n, tag in enumerate(("b", "a"))]
    with opened(path) as ledger:
        run = record(ledger, entries[::-1])
        read = [(entry.formula, entry.tag) for entry in ledger.entries(run)]
    assert read == [(name, tag) for name in sorted(names) for tag in ("b", "a")]


def test_bottles_of_one_outcome_can_be_read_alone(path: Path) -> None:
    with Ledger(path) as ledger:
        for outcome in Outcome:
            assert [entry.judgement.outcome for entry in ledger.entries(1, outcome)] == [outcome]
        assert list(ledger.entries(7)) == []


def test_a_bottle_whose_name_is_not_known_is_named_by_formula_and_tag() -> None:
    assert [entry.name for entry in ENTRIES[2:]] == ["foo--1.0.all.bottle.tar.gz", "foo (sonoma)"]


def test_runs_come_back_with_all_that_was_said_of_them(path: Path) -> None:
    run = make_run(selection="formula foo, tag sonoma", shard="2/3", metadata="git repository \udcff")
    with opened(path) as ledger:
        number = ledger.begin(run)
        assert ledger.run(number).finished is None
        ledger.finish(number, ["foo.rb cannot be read: \udcff", "two"])
        read = ledger.run(number)
    assert read.finished is not None
    assert read.notes == ("foo.rb cannot be read: \\udcff", "two")
    expected = replace(run, id=number, metadata="git repository \\udcff", notes=read.notes)
    assert replace(read, finished=None) == expected


def test_notes_are_bounded_in_number_and_length(path: Path) -> None:
    with opened(path) as ledger:
        ledger.finish(1, ("x" * 5_000 for _ in range(MAX_NOTES + 5)))
        notes = ledger.run(1).notes
    assert len(notes) == MAX_NOTES + 1
    assert {len(note) for note in notes[:-1]} == {MAX_NOTE}
    assert notes[-1] == "and 5 more"


def test_the_last_run_is_the_newest_of_its_tap_that_came_to_its_end(path: Path) -> None:
    with opened(path) as ledger:
        record(ledger, [], tap="octo/other")
        record(ledger, [], finish=False)
        assert [run.id for run in ledger.runs()] == [1, 2, 3]
        assert ledger.last_run().id == 2
        assert ledger.last_run("octo/tap").id == 1
        assert [run.id for run in ledger.finished_runs("octo/other")] == [2]
        with pytest.raises(LedgerError, match="no audit of octo/none"):
            ledger.last_run("octo/none")
        with pytest.raises(LedgerError, match="no run 9"):
            ledger.run(9)


def test_a_ledger_in_which_no_audit_came_to_its_end_has_no_last_run(tmp_path: Path) -> None:
    with opened(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(make_run())
        with pytest.raises(LedgerError, match="no audit in it has come to its end"):
            ledger.last_run()


def test_answers_are_those_of_one_store_and_the_newest(path: Path) -> None:
    one, none, other = digest_of("one"), digest_of("none"), digest_of("other")
    with opened(path) as ledger:
        ledger.record(1, "a", {one: ["y", "x"], none: []}, {}, [])
        ledger.record(1, "b", {other: ["z"]}, {}, [])
        assert ledger.answers("a", [one, none, other]) == {one: ("x", "y"), none: ()}
        assert ledger.answers("b", [one, none, other]) == {other: ("z",)}
        ledger.record(1, "a", {one: ["w"]}, {}, [])
        assert ledger.answers("a", [one]) == {one: ("w",)}
        assert ledger.answers("a", []) == {}


def test_many_thousand_digests_and_keys_are_asked_for_at_once(path: Path) -> None:
    digests = [digest_of(str(number)) for number in range(5_000)]
    keys = {f"key {number}": UNATTESTED for number in range(5_000)}
    with opened(path) as ledger, ledger.transaction():
        ledger.record(1, "a", dict.fromkeys(digests, ("x",)), keys, [])
        assert len(ledger.answers("a", [*digests, digest_of("new")])) == 5_000
        assert len(ledger.outcomes([*keys, "new"])) == 5_000


def test_a_verdict_that_stands_there_is_never_changed(path: Path) -> None:
    with opened(path) as ledger:
        ledger.record(1, "a", {}, {ENTRIES[1].key: make_judgement()}, [])
        assert ledger.outcomes([ENTRIES[1].key]) == {ENTRIES[1].key: Outcome.REJECTED}


PARTS = st.lists(st.none() | st.text(max_size=6), max_size=6)


@given(one=PARTS, other=PARTS)
def test_two_lists_of_parts_have_one_key_only_when_they_are_equal(
    one: list[str | None], other: list[str | None]
) -> None:
    assert (verdict_key(one) == verdict_key(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab"], ["a", "b"]),
        (["a", "b", None], ["a", None, "b"]),
        (["null"], [None]),
        (['a", "b'], ["a", "b"]),
        (["a,b"], ["a", "b"]),
        ([""], []),
        (["é"], ["e\u0301"]),
        (["\x00a"], ["a"]),
    ],
)
def test_no_part_can_pass_for_another(one: list[str | None], other: list[str | None]) -> None:
    assert verdict_key(one) != verdict_key(other)
    assert len(verdict_key(one)) == 64


# Transactions


def count(path: Path) -> tuple[int, int, int]:
    with plain(path) as other:
        row = other.execute(
            "SELECT (SELECT count(*) FROM answers), (SELECT count(*) FROM verdicts),"
            " (SELECT count(*) FROM bottles)"
        ).fetchone()
    answers, verdicts, bottles = row
    return answers, verdicts, bottles


def write(ledger: Ledger, *names: str) -> None:
    entries = [make_entry(name) for name in names]
    answers = {digest_of(name): ["x"] for name in names}
    ledger.record(1, "a", answers, {entry.key: entry.judgement for entry in entries}, entries)


def fail_after(ledger: Ledger, error: type[BaseException]) -> None:
    write(ledger, "new")
    raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_part_that_is_interrupted_leaves_nothing(error: type[BaseException], path: Path) -> None:
    before = count(path)
    with opened(path) as ledger:
        with pytest.raises(error), ledger.transaction():
            fail_after(ledger, error)
        assert count(path) == before
        with ledger.transaction():
            write(ledger, "new", "newer")
        assert count(path) == tuple(number + 2 for number in before)


def test_a_bottle_that_is_written_twice_is_an_error_and_leaves_nothing(path: Path) -> None:
    before = count(path)
    with opened(path) as ledger, pytest.raises(LedgerError, match="UNIQUE"), ledger.transaction():
        write(ledger, "new", "new")
    assert count(path) == before


@pytest.mark.parametrize("entry", [make_entry(rebuild=2**63), make_entry(path="a\udcff")])
def test_what_sqlite_cannot_hold_is_an_error_and_leaves_nothing(entry: Any, path: Path) -> None:
    before = count(path)
    with opened(path) as ledger, pytest.raises(LedgerError), ledger.transaction():
        ledger.record(1, "a", {}, {}, [make_entry("new"), entry])
    assert count(path) == before


def test_a_full_disk_is_said_to_be_full_and_leaves_what_was_written_before(path: Path) -> None:
    with opened(path) as ledger:
        with ledger.transaction():
            write(ledger, "before")
        kept = count(path)
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(LedgerError, match="full") as caught, ledger.transaction():
            write(ledger, *(f"new{number}" for number in range(500)))
        assert caught.value.next_step.startswith("make room")
        assert count(path) == kept
        ledger._connection.execute("PRAGMA max_page_count = 1000000")
        with ledger.transaction():
            write(ledger, "after")
    assert count(path) == tuple(number + 1 for number in kept)


def test_a_disk_that_is_full_when_a_ledger_is_made_leaves_one_that_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    monkeypatch.setattr(database, "SCHEMA", f"PRAGMA max_page_count = 3;{SCHEMA}")
    with pytest.raises(LedgerError, match="full"):
        Ledger(path, create=True)
    monkeypatch.undo()
    with opened(path) as ledger:
        record(ledger, ENTRIES)


def test_a_ledger_that_another_audit_keeps_locked_is_said_to_be(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0)
    with opened(path) as one, opened(path) as other, one.transaction():
        with pytest.raises(LedgerError, match="locked") as caught, other.transaction():
            raise AssertionError
        assert "other audit" in caught.value.next_step


def test_a_new_ledger_that_somebody_keeps_locked_is_waited_for_but_not_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(database, "_BUSY_SECONDS", 0)
        with pytest.raises(LedgerError, match="locked"):
            Ledger(path, create=True)
        monkeypatch.setattr(database, "_BUSY_SECONDS", 5)
        # It is let go of while it is waited for.
        monkeypatch.setattr(time, "sleep", lambda _seconds: other.execute("ROLLBACK"))
        with opened(path) as ledger:
            assert ledger.begin(make_run()) == 1


def test_two_audits_take_turns(path: Path) -> None:
    def work(number: int) -> None:
        with opened(path) as ledger:
            run = ledger.begin(make_run())
            for part in range(20):
                entry = make_entry(f"foo{part}")
                with ledger.transaction():
                    ledger.record(run, "a", {}, {entry.key: entry.judgement}, [entry])
            ledger.finish(run)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    with Ledger(path) as ledger:
        runs = ledger.finished_runs()[1:]
        assert [len(list(ledger.entries(run.id))) for run in runs] == [20] * 4


def test_a_ledger_that_several_make_at_once_is_made_once(tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / f"{number}.sqlite"

        def work(_: int, path: Path = path) -> int:
            with opened(path) as ledger:
                return ledger.begin(make_run())

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(work, range(4))) == [1, 2, 3, 4]


# Crashes

WRITER = """
import sys
from pathlib import Path
from tests.unit.audit.audits import make_entry, make_run, opened, digest_of

with opened(Path(sys.argv[1])) as ledger:
    print("open", flush=True)
    run = ledger.begin(make_run())
    for part in range(100000):
        entries = [make_entry(f"foo{part:06}", place=place, version=str(place)) for place in range(7)]
        with ledger.transaction():
            ledger.record(
                run,
                "a",
                {digest_of(f"{part} {place}"): [str(part)] for place in range(7)},
                {entry.key: entry.judgement for entry in entries},
                entries,
            )
        print(part, flush=True)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes parts of seven bottles each, and says so after each."""
    path = tmp_path / "crashed.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        cwd=Path(__file__).parents[3],
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("parts", [0, 1, 2, 7, 40, 200])
def test_a_writer_that_is_killed_leaves_whole_parts_and_none_that_it_said_was_written_is_missing(
    parts: int, writer: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert writer.stdout is not None
    for _ in range(parts + 1):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    said = parts - 1
    for line in writer.stdout:
        said = int(line)
    assert writer.wait() == -signal.SIGKILL

    path = tmp_path / "crashed.sqlite"
    with opened(path) as ledger:
        answers, verdicts, bottles = count(path)
        assert answers == verdicts == bottles
        assert bottles % 7 == 0
        assert said + 1 <= bottles // 7 <= said + 2
        if ledger.runs():
            assert len(list(ledger.entries(1))) == bottles
            write(ledger, "zz")
    with plain(path) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert other.execute("PRAGMA foreign_key_check").fetchall() == []


def test_the_columns_of_the_schema_are_those_that_are_read(path: Path) -> None:
    with plain(path) as other:
        other.row_factory = sqlite3.Row
        row = dict(other.execute("SELECT * FROM verdicts WHERE outcome = 'verified'").fetchone())
    assert json.loads(row["bundles"]) == ["b" * 64]
    assert json.loads(row["findings"]) == [["formula-not-bound", "the attestation names no formula"]]
    assert json.loads(row["evidence"])["logIndex"] == 7
