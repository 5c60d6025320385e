"""Shards that are put together are the audit that would have been made in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.audit.audits import (
    CountingStore,
    attest_formula,
    audit,
    make_entry,
    make_formula,
    make_store,
    make_unnamed,
    opened,
    record,
)

from brew_provenance.audit import merge as merge_module
from brew_provenance.audit.database import LedgerError
from brew_provenance.audit.ledger import Ledger
from brew_provenance.audit.merge import merge
from brew_provenance.audit.report import FORMATS
from brew_provenance.audit.run import plan
from brew_provenance.audit.shard import Shard
from brew_provenance.errors import NothingMatchedError, UsageError
from brew_provenance.findings import Finding

pytestmark = pytest.mark.usefixtures("pools")

FORMULAE = [*(make_formula(f"f{number:02}") for number in range(30)), make_unnamed("unnamed")]


@pytest.fixture(scope="module")
def store() -> CountingStore:
    store = make_store(*FORMULAE[:20])
    store.put(attest_formula(FORMULAE[0]), *FORMULAE[20].bottles)
    store.faults[FORMULAE[21].bottles[0].digest] = Finding("server-failed", "503")
    return store


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def audit_shards(folder: Path, of: int, store: CountingStore, **run: Any) -> list[Path]:
    """Audit in shards, a ledger each."""
    paths = [folder / f"{number}-of-{of}.sqlite" for number in range(1, of + 1)]
    for number, path in enumerate(paths, 1):
        with opened(path) as ledger:
            audit(ledger, FORMULAE, store, shard=Shard(number, of), **run)
    return paths


def open_all(stack: ExitStack, paths: Sequence[Path]) -> list[Ledger]:
    return [stack.enter_context(Ledger(path)) for path in paths]


def reports(ledger: Ledger, run: int) -> dict[str, str]:
    """Return all reports of a run, without the times of its own."""
    read = replace(ledger.run(run), started="then", finished="now")
    return {name: "".join(render(ledger, read)) for name, render in FORMATS.items()}


@pytest.mark.parametrize("of", [1, 2, 4, 50])
def test_shards_together_give_the_reports_of_the_whole_to_the_byte(
    of: int,
    store: CountingStore,
    ledger: Ledger,
    tmp_path: Path,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(merge_module, "CHUNK", 3)
    run, _ = audit(ledger, FORMULAE, store)
    parts = open_all(stack, audit_shards(tmp_path, of, store))
    with opened(tmp_path / "out.sqlite") as out:
        merged = merge(out, parts[::-1])
        assert reports(out, merged) == reports(ledger, run)
        assert list(out.entries(merged)) == list(ledger.entries(run))
        read = out.run(merged)
        assert (read.shard, read.finished is None) == ("", False)


def test_what_was_put_together_is_gone_on_from(
    store: CountingStore, tmp_path: Path, stack: ExitStack
) -> None:
    parts = open_all(stack, audit_shards(tmp_path, 3, store))
    with opened(tmp_path / "out.sqlite") as out:
        merge(out, parts)
        store.asked.clear()
        run, done = audit(out, FORMULAE, store)
        assert done.judged == 0
        # What could not be answered is asked for again.
        assert store.asked == [FORMULAE[21].bottles[0].digest]
        assert len(list(out.entries(run))) == 62


def test_a_ledger_that_is_there_gets_one_run_more(
    store: CountingStore, tmp_path: Path, stack: ExitStack
) -> None:
    parts = open_all(stack, audit_shards(tmp_path, 2, store))
    with opened(tmp_path / "out.sqlite") as out:
        audit(out, FORMULAE[:3], store)
        assert merge(out, parts) == 2
        assert merge(out, parts) == 3
        assert list(out.entries(2)) == list(out.entries(3))
        assert [run.id for run in out.finished_runs()] == [1, 2, 3]


def test_a_whole_run_can_be_copied(store: CountingStore, ledger: Ledger, tmp_path: Path) -> None:
    run, _ = audit(ledger, FORMULAE, store)
    with opened(tmp_path / "out.sqlite") as out:
        assert reports(out, merge(out, [ledger])) == reports(ledger, run)


def test_a_ledger_can_be_part_of_itself(store: CountingStore, tmp_path: Path, stack: ExitStack) -> None:
    paths = audit_shards(tmp_path, 2, store)
    parts = open_all(stack, paths)
    with opened(paths[0]) as out:
        merged = merge(out, parts)
        assert len(list(out.entries(merged))) == 62


def test_the_last_run_of_each_ledger_counts_and_of_the_tap_that_is_meant(
    store: CountingStore, tmp_path: Path, stack: ExitStack
) -> None:
    paths = audit_shards(tmp_path, 2, store)
    for path in paths:
        with opened(path) as ledger:
            record(ledger, [make_entry()], tap="octo/other")
            record(ledger, [make_entry()], finish=False)
    parts = open_all(stack, paths)
    with opened(tmp_path / "out.sqlite") as out:
        merged = merge(out, parts, "octo/tap")
        assert len(list(out.entries(merged))) == 62


def test_notes_and_sources_of_all_shards_are_told_once(
    store: CountingStore, tmp_path: Path, stack: ExitStack
) -> None:
    paths = audit_shards(tmp_path, 3, store)
    for path, source, notes in zip(paths, "bab", (["one", "two"], ["two"], ["three"]), strict=True):
        with opened(path) as ledger:
            run = ledger.begin(replace(ledger.last_run(), metadata=source))
            with ledger.transaction():
                ledger.record(run, store.name, {}, {}, list(ledger.entries(1)))
            ledger.finish(run, notes)
    parts = open_all(stack, paths)
    with opened(tmp_path / "out.sqlite") as out:
        merged = out.run(merge(out, parts))
        assert merged.metadata == "a and b"
        assert merged.notes == ("one", "two", "three")


def test_a_merged_run_began_when_the_first_shard_did(
    store: CountingStore, tmp_path: Path, stack: ExitStack
) -> None:
    paths = audit_shards(tmp_path, 2, store, started="2026-03-05T00:00:00+00:00")
    with opened(paths[1]) as ledger:
        audit(ledger, FORMULAE, store, shard=Shard(2, 2), started="2026-03-04T00:00:00+00:00")
    parts = open_all(stack, paths)
    with opened(tmp_path / "out.sqlite") as out:
        assert out.run(merge(out, parts)).started == "2026-03-04T00:00:00+00:00"


# What does not make one whole


def nothing_written(path: Path) -> None:
    with opened(path) as out:
        assert out.runs() == []


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ([0, 1], "1/3, 2/3"),
        ([0], "1/3"),
        ([0, 1, 2, 2], "1/3, 2/3, 3/3, 3/3"),
        ([0, 1, 1], "1/3, 2/3, 2/3"),
    ],
)
def test_shards_that_are_missing_or_come_twice_are_refused(
    which: list[int], said: str, store: CountingStore, tmp_path: Path, stack: ExitStack
) -> None:
    paths = audit_shards(tmp_path, 3, store)
    parts = open_all(stack, [paths[number] for number in which])
    with opened(tmp_path / "out.sqlite") as out, pytest.raises(UsageError, match=f"each once: {said}"):
        merge(out, parts)
    nothing_written(tmp_path / "out.sqlite")


def test_shards_of_different_partitions_and_whole_runs_are_refused(
    store: CountingStore, ledger: Ledger, tmp_path: Path, stack: ExitStack
) -> None:
    two, three = (open_all(stack, audit_shards(tmp_path, of, store)) for of in (2, 3))
    audit(ledger, FORMULAE, store)
    with opened(tmp_path / "out.sqlite") as out:
        for parts in ([two[0], three[1], three[2]], [two[0], ledger], [ledger, ledger], [ledger, *two]):
            with pytest.raises(UsageError, match="each once"):
                merge(out, parts)
    nothing_written(tmp_path / "out.sqlite")


@pytest.mark.parametrize(
    "change",
    [
        {"tap": "octo/other"},
        {"selection": "tag sonoma"},
        {"store": "another"},
        {"policy": "another"},
        {"policy_sha256": "0" * 64},
        {"roots": "0" * 64},
        {"tool_version": "99"},
    ],
    ids=str,
)
def test_shards_of_different_audits_are_refused(
    change: dict[str, Any], store: CountingStore, tmp_path: Path, stack: ExitStack
) -> None:
    paths = audit_shards(tmp_path, 2, store)
    with opened(paths[1]) as ledger:
        record(ledger, list(ledger.entries(1)), shard="2/2", **change)
    parts = open_all(stack, paths)
    (name,) = change
    with (
        opened(tmp_path / "out.sqlite") as out,
        pytest.raises(UsageError, match=f"different audits: {name.replace('_', ' ')}"),
    ):
        merge(out, parts)
    nothing_written(tmp_path / "out.sqlite")


@pytest.mark.parametrize("shard", ["x", "3/2", "1/2\n"])
def test_a_shard_that_is_none_is_refused(shard: str, ledger: Ledger, tmp_path: Path) -> None:
    record(ledger, [make_entry()], shard=shard)
    with opened(tmp_path / "out.sqlite") as out, pytest.raises(UsageError, match="is"):
        merge(out, [ledger])


def test_a_bottle_that_is_not_of_its_shard_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(9)]
    record(ledger, [make_entry(name) for name in names], shard="1/2")
    with opened(tmp_path / "other.sqlite") as other, opened(tmp_path / "out.sqlite") as out:
        record(other, [make_entry(name) for name in names if Shard(2, 2).holds(name)], shard="2/2")
        with pytest.raises(UsageError, match="does not belong to shard 1/2"):
            merge(out, [ledger, other])
    nothing_written(tmp_path / "out.sqlite")


def test_an_interrupted_shard_is_none(store: CountingStore, tmp_path: Path, stack: ExitStack) -> None:
    (path,) = audit_shards(tmp_path, 1, store)
    with opened(tmp_path / "2.sqlite") as ledger:
        record(ledger, [make_entry()], finish=False, shard="2/2")
    parts = open_all(stack, [path, tmp_path / "2.sqlite"])
    with opened(tmp_path / "out.sqlite") as out, pytest.raises(LedgerError, match="come to its end"):
        merge(out, parts)


def test_no_bottle_at_all_is_no_audit(ledger: Ledger, tmp_path: Path) -> None:
    record(ledger, [], shard="1/1")
    with opened(tmp_path / "out.sqlite") as out, pytest.raises(NothingMatchedError):
        merge(out, [ledger])
    nothing_written(tmp_path / "out.sqlite")


def test_a_shard_that_is_damaged_leaves_nothing(
    store: CountingStore, tmp_path: Path, stack: ExitStack
) -> None:
    paths = audit_shards(tmp_path, 2, store)
    with opened(paths[1]) as ledger:
        ledger._connection.execute("UPDATE verdicts SET findings = '7' WHERE outcome = 'unresolved'")
        ledger._connection.execute("UPDATE verdicts SET findings = '7' WHERE outcome = 'unattested'")
    parts = open_all(stack, paths)
    with opened(tmp_path / "out.sqlite") as out, pytest.raises(LedgerError, match="damaged"):
        merge(out, parts)
    nothing_written(tmp_path / "out.sqlite")


def test_answers_come_along(store: CountingStore, tmp_path: Path, stack: ExitStack) -> None:
    parts = open_all(stack, audit_shards(tmp_path, 2, store))
    digests = [subject.bottle.digest for subject in plan(FORMULAE)]
    with opened(tmp_path / "out.sqlite") as out:
        merge(out, parts)
        assert out.answers(store.name, digests) == {
            digest: found for part in parts for digest, found in part.answers(store.name, digests).items()
        }
        assert len(out.answers(store.name, digests)) == 61


def test_what_was_found_of_formula_commits_is_put_together(tmp_path: Path, ledger: Ledger) -> None:
    with ExitStack() as stack:
        parts = []
        for number, commits in ((1, {"a" * 40: True}), (2, {"b" * 40: False})):
            part = stack.enter_context(opened(tmp_path / str(number)))
            shard = Shard(number, 2)
            names = [name for name in ("a", "b", "c", "d", "e", "f") if shard.holds(name)]
            run = record(part, [make_entry(name) for name in names], shard=str(shard))
            with part.transaction():
                part.record_commits(run, commits)
            parts.append(part)
        assert ledger.commits(merge(ledger, parts)) == {"a" * 40: True, "b" * 40: False}
