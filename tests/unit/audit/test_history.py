"""Every bottle that a tap ever listed: when it was, what becomes of odd histories, and audits of it all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pygit2
import pytest
from tests.unit.audit.audits import (
    POLICY,
    ROOT,
    TAP,
    CountingStore,
    as_json,
    attest,
    make_run,
    opened,
)
from tests.unit.repositories import BRANCH, SIGNATURE, loose_object, make_repository, write_files

from brew_provenance import bundle as bundle_module
from brew_provenance.audit import history as history_module
from brew_provenance.audit.compare import compare_runs
from brew_provenance.audit.database import LedgerError
from brew_provenance.audit.history import History
from brew_provenance.audit.ledger import Ledger, Listed
from brew_provenance.audit.merge import merge
from brew_provenance.audit.run import Auditor, Progress, Subject
from brew_provenance.audit.shard import Shard
from brew_provenance.bottle import Bottle
from brew_provenance.errors import InputError
from brew_provenance.formula.bottleblock import without_bottle_block
from brew_provenance.formulamatch import compare_with_tap
from brew_provenance.taps.git import GitTap
from brew_provenance.taps.gitline import GitLine
from brew_provenance.verdict import Outcome

pytestmark = pytest.mark.usefixtures("pools")

SCHEMAS = Path(bundle_module.__file__).parent / "schemas"
A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)


def source(name: str, version: str, /, rebuild: int = 0, **bottles: str) -> bytes:
    """Return a formula's Ruby with bottles by their tags."""
    lines = "".join(f'    sha256 cellar: :any, {tag}: "{digest}"\n' for tag, digest in bottles.items())
    return f"""\
class {name.capitalize()} < Formula
  url "https://example.org/{name}-{version}.tar.gz"
  sha256 "{"f" * 64}"

  bottle do
    rebuild {rebuild}
{lines}  end
end
""".encode()


class Tap:
    """A repository whose formulae are added and changed one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = make_repository(folder)
        self.files: dict[str, Any] = {}
        self.head: str | None = None

    def commit(self, *others: str, **formulae: Any) -> str:
        """Commit what is there with these formulae to the branch; None for one that goes."""
        self.head = self.beside(*others, **formulae)
        self.git.references.create(BRANCH, pygit2.Oid(hex=self.head), force=True)
        return self.head

    def beside(self, *others: str, parent: str | None = None, **formulae: Any) -> str:
        """Commit so beside the branch, after its head or another commit; `others` are merged."""
        for name, content in formulae.items():
            path = f"Formula/{name}.rb"
            if content is None:
                del self.files[path]
            else:
                self.files[path] = content
        parents = [pygit2.Oid(hex=id_) for id_ in (parent or self.head, *others) if id_]
        tree = write_files(self.git, self.files)
        return str(self.git.create_commit(None, SIGNATURE, SIGNATURE, "Change", tree, parents))

    def line(self) -> GitLine:
        return GitLine(GitTap(self.folder, tap=TAP))


@pytest.fixture
def tap(tmp_path: Path) -> Iterator[Tap]:
    made = Tap(tmp_path / "tap")
    yield made
    made.git.free()


def walk(ledger: Ledger, tap: Tap) -> tuple[int, tuple[str, ...]]:
    walked = History(ledger, TAP).walk(tap.line())
    return walked.commits, walked.notes


def listed(ledger: Ledger) -> dict[str, Listed]:
    """Return when each bottle was listed, by formula, version, rebuild, tag and the digest's first letter."""
    return {called(subject): subject.listed for subject in History(ledger, TAP).plan() if subject.listed}


def called(subject: Subject) -> str:
    bottle = subject.bottle
    version = bottle.version if isinstance(bottle, Bottle) else "?"
    return f"{subject.formula.name} {version} {bottle.rebuild} {bottle.tag} {bottle.digest.value[0]}"


def dump(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Return all that a ledger knows of a history."""
    queries = ("SELECT * FROM listings", "SELECT * FROM gaps")
    return [tuple(row) for query in queries for row in ledger.rows(query)]


def test_it_is_known_from_when_to_when_each_bottle_was_listed(tap: Tap, ledger: Ledger) -> None:
    one = tap.commit(foo=source("foo", "1.0", sonoma=A))
    two = tap.commit(foo=source("foo", "1.0", sonoma=A, ventura=B))
    tap.files["README.md"] = b"nothing of it"
    three = tap.commit()
    four = tap.commit(foo=source("foo", "1.1", sonoma=C), bar=source("bar", "2", sonoma=D))
    five = tap.commit(bar=None)
    assert walk(ledger, tap) == (5, ())
    assert listed(ledger) == {
        "bar 2 0 sonoma d": Listed(four, four),
        "foo 1.0 0 sonoma a": Listed(one, three),
        "foo 1.0 0 ventura b": Listed(two, three),
        "foo 1.1 0 sonoma c": Listed(four, None),
    }
    assert five == tap.head


def test_the_next_walk_reads_new_commits_only_and_ends_like_one_of_all(
    tap: Tap, ledger: Ledger, tmp_path: Path
) -> None:
    tap.commit(foo=source("foo", "1.0", sonoma=A))
    two = tap.commit(foo=source("foo", "1.1", sonoma=B))
    assert walk(ledger, tap) == (2, ())
    assert walk(ledger, tap) == (0, ())
    three = tap.commit(foo=source("foo", "1.0", sonoma=A))
    assert walk(ledger, tap) == (1, ())
    # What comes back is listed again.
    assert listed(ledger)["foo 1.0 0 sonoma a"].last is None
    assert listed(ledger)["foo 1.1 0 sonoma b"] == Listed(two, two)
    with opened(tmp_path / "other") as other:
        assert walk(other, tap) == (3, ())
        assert dump(other) == dump(ledger)
    assert three == tap.head


def test_what_only_a_merged_branch_listed_is_known_too(tap: Tap, ledger: Ledger) -> None:
    one = tap.commit(foo=source("foo", "1.0", sonoma=A))
    side = tap.beside(foo=source("foo", "1.1", sonoma=B))
    again = tap.beside(parent=side, foo=source("foo", "1.1", sonoma=C))
    two = tap.commit(foo=source("foo", "1.0", sonoma=A), bar=source("bar", "1", sonoma=D))
    merged = tap.commit(again, foo=source("foo", "1.1", sonoma=C))
    assert walk(ledger, tap) == (
        5,
        ("foo 1.1 (sonoma) was listed with 2 digests: there were as many bottles of one name",),
    )
    assert listed(ledger) == {
        "bar 1 0 sonoma d": Listed(two, None),
        "foo 1.0 0 sonoma a": Listed(one, two),
        "foo 1.1 0 sonoma b": Listed(side, side),
        "foo 1.1 0 sonoma c": Listed(again, None),
    }
    assert merged == tap.head


def test_a_history_that_was_rewritten_is_read_anew_and_said_to_be(tap: Tap, ledger: Ledger) -> None:
    one = tap.commit(foo=source("foo", "1.0", sonoma=A))
    gone = tap.commit(foo=source("foo", "1.1", sonoma=B))
    walk(ledger, tap)
    tap.head = one
    three = tap.commit(foo=source("foo", "1.1", sonoma=C))
    read, notes = walk(ledger, tap)
    assert (read, gone[:12] in notes[0], "anew" in notes[0]) == (2, True, True)
    assert listed(ledger) == {
        "foo 1.0 0 sonoma a": Listed(one, one),
        "foo 1.1 0 sonoma c": Listed(three, None),
    }


def test_two_digests_of_one_name_are_said_to_be_and_a_rebuild_is_another_name(
    tap: Tap, ledger: Ledger
) -> None:
    tap.commit(foo=source("foo", "1.0", sonoma=A))
    tap.commit(foo=source("foo", "1.0", 1, sonoma=B))
    assert walk(ledger, tap)[1] == ()
    tap.commit(foo=source("foo", "1.0", 1, sonoma=C))
    (note,) = walk(ledger, tap)[1]
    assert note.startswith("foo 1.0 (sonoma, rebuild 1) was listed with 2 digests")


def test_what_cannot_be_read_is_a_gap_that_ends_nothing(tap: Tap, ledger: Ledger) -> None:
    one = tap.commit(foo=source("foo", "1.0", sonoma=A))
    bad = tap.commit(foo=b"class Foo < Formula\n", bar=source("bar", "1", sonoma=B))
    three = tap.commit(foo=source("foo", "1.1", sonoma=C))
    read, notes = walk(ledger, tap)
    assert read == 3
    assert [note.partition(":")[0] for note in notes] == [f"Formula/foo.rb cannot be read at {bad[:12]}"]
    # What it lists meanwhile is not known.
    assert listed(ledger)["foo 1.0 0 sonoma a"] == Listed(one, bad)
    assert listed(ledger)["foo 1.1 0 sonoma c"] == Listed(three, None)
    # A later walk still tells.
    assert walk(ledger, tap) == (0, notes)


def test_many_gaps_are_counted(tap: Tap, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "MAX_NOTES", 4)
    tap.commit(**{f"f{number}": b"nonsense" for number in range(5)})
    notes = walk(ledger, tap)[1]
    assert notes[2] == "and 3 more that cannot be read"


def test_a_folder_that_is_missing_is_a_gap(tap: Tap, ledger: Ledger) -> None:
    tap.commit(foo=source("foo", "1.0", sonoma=A))
    two = tap.commit(foo=source("foo", "1.1", sonoma=B))
    tap.commit(foo=source("foo", "1.2", sonoma=C))
    tree = tap.git[two].peel(pygit2.Tree)["Formula"].id
    loose_object(tap.folder, tree).unlink()
    read, notes = walk(ledger, tap)
    assert read == 3
    assert notes
    assert "foo 1.0 0 sonoma a" in listed(ledger)


def test_a_shallow_clone_is_said_to_be_one(tap: Tap, ledger: Ledger) -> None:
    one = tap.commit(foo=source("foo", "1.0", sonoma=A))
    two = tap.commit(foo=source("foo", "1.1", sonoma=B))
    (tap.folder / "shallow").write_text(f"{two}\n", encoding="ascii")
    loose_object(tap.folder, one).unlink()
    read, notes = walk(ledger, tap)
    assert (read, len(notes), "--unshallow" in notes[0]) == (1, 1, True)
    assert listed(ledger) == {"foo 1.1 0 sonoma b": Listed(two, None)}


def test_a_bottle_without_a_known_name_is_kept_with_why(tap: Tap, ledger: Ledger) -> None:
    computed = source("foo", "1.0", sonoma=A).replace(b'  sha256 "f', b'  version some_version\n  sha256 "f')
    tap.commit(foo=computed)
    walk(ledger, tap)
    (subject,) = History(ledger, TAP).plan()
    assert called(subject) == "foo ? 0 sonoma a"
    assert subject.formula.gaps
    assert [finding.code for finding in subject.findings] == ["package-version-unknown"]


def test_a_bottle_that_is_listed_no_more_is_not_held_against_a_revision_that_nobody_kept(
    tap: Tap, ledger: Ledger
) -> None:
    revised = source("foo", "1.0", sonoma=A).replace(b"\n\n", b"\n  revision 2\n  version_scheme 1\n\n")
    tap.commit(foo=revised)
    tap.commit(foo=source("foo", "2.0", sonoma=B))
    walk(ledger, tap)
    old, _new = History(ledger, TAP).plan()
    assert called(old) == "foo 1.0_2 0 sonoma a"
    packed = without_bottle_block(revised)
    compared = [finding.code for finding in compare_with_tap(packed, old.formula)]
    assert compared == ["formula-compared-by-fields"]
    for what in (b"revision 2", b'foo-1.0.tar.gz"'):
        other = packed.replace(what, what.replace(b"2", b"3").replace(b"1.0", b"1.1"))
        assert {finding.code for finding in compare_with_tap(other, old.formula)} == {
            "formula-version-mismatch"
        }


def test_a_walk_that_is_stopped_goes_on_and_ends_like_one_that_was_not(
    tap: Tap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side: list[str] = []
    for number in range(12):
        digest = f"{number:x}" * 64
        changed: dict[str, Any] = {f"f{number % 3}": source(f"f{number % 3}", f"1.{number}", sonoma=digest)}
        if number % 4 == 2:
            side = [tap.beside(**changed)]
        else:
            tap.commit(*side, **changed)
            side = []
    monkeypatch.setattr(history_module, "TOGETHER", 2)
    with opened(tmp_path / "whole") as whole:
        walk(whole, tap)
        wanted = dump(whole)
    take = History._take
    for stop in range(12):
        taken = 0

        def stopping(self: History, step: Any, stop: int = stop) -> int:
            nonlocal taken
            taken += 1
            if taken > stop:
                raise KeyboardInterrupt
            return take(self, step)

        with opened(tmp_path / str(stop)) as ledger:
            monkeypatch.setattr(History, "_take", stopping)
            with pytest.raises(KeyboardInterrupt):
                walk(ledger, tap)
            monkeypatch.setattr(History, "_take", take)
            walk(ledger, tap)
            assert dump(ledger) == wanted


def test_commits_that_are_missing_are_an_error_and_what_was_read_stays(tap: Tap, ledger: Ledger) -> None:
    tap.commit(foo=source("foo", "1.0", sonoma=A))
    walk(ledger, tap)
    two = tap.commit(foo=source("foo", "1.1", sonoma=B))
    tap.commit(foo=source("foo", "1.2", sonoma=C))
    loose_object(tap.folder, two).unlink()
    with pytest.raises(InputError):
        walk(ledger, tap)
    assert list(listed(ledger)) == ["foo 1.0 0 sonoma a"]


# The plan


def test_a_plan_can_be_limited_and_comes_in_pages(
    tap: Tap, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap.commit(foo=source("foo", "1.0", sonoma=A, ventura=B), bar=source("bar", "1", sonoma=C))
    tap.commit(foo=source("foo", "1.1", sonoma=D))
    walk(ledger, tap)
    history = History(ledger, TAP)
    everything = [(subject.number, subject.place, called(subject)) for subject in history.plan()]
    assert everything == [
        (0, 0, "bar 1 0 sonoma c"),
        (1, 0, "foo 1.0 0 sonoma a"),
        (2, 1, "foo 1.0 0 ventura b"),
        (3, 2, "foo 1.1 0 sonoma d"),
    ]
    monkeypatch.setattr(history_module, "PAGE", 1)
    assert [(s.number, s.place, called(s)) for s in history.plan()] == everything
    assert [called(s)[0] for s in history.plan(names=["bar"])] == ["b"]
    assert [s.bottle.tag for s in history.plan(["ventura"])] == ["ventura"]
    parts = [[called(s) for s in history.plan(shard=Shard(number, 2))] for number in (1, 2)]
    assert sorted(name for part in parts for name in part) == sorted(name for _, _, name in everything)
    assert list(History(ledger, "octo/other").plan()) == []
    formulae = [subject.formula for subject in history.plan()]
    assert formulae[1] is formulae[2]
    assert formulae[2] is not formulae[3]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE listings SET sha256 = 'x'",
        "UPDATE listings SET gaps = '{}'",
        "UPDATE listings SET gaps = '[1]'",
        "UPDATE listings SET gaps = 'x'",
        "UPDATE listings SET source = '[]'",
        """UPDATE listings SET source = '["u", 1, null, null]'""",
    ],
)
def test_a_value_that_no_walk_writes_is_refused(statement: str, tap: Tap, tmp_path: Path) -> None:
    tap.commit(foo=source("foo", "1.0", sonoma=A))
    path = tmp_path / "ledger"
    with opened(path) as ledger:
        walk(ledger, tap)
    with closing(sqlite3.connect(path)) as plain:
        plain.execute(statement)
        plain.commit()
    with opened(path) as ledger, pytest.raises(LedgerError, match="damaged"):
        list(History(ledger, TAP).plan())


# Audits


def audit(ledger: Ledger, tap: Tap, store: CountingStore, shard: Shard | None = None) -> tuple[int, Progress]:
    number = ledger.begin(make_run(selection="history", shard=str(shard or "")))
    notes = walk(ledger, tap)[1]
    subjects = History(ledger, TAP).plan(shard=shard)
    done = Auditor(POLICY, [ROOT]).run(subjects, store, ledger, number)
    ledger.finish(number, notes)
    return number, done


@pytest.fixture
def long_lived(tap: Tap) -> Tap:
    tap.commit(foo=source("foo", "1.0", sonoma=A, ventura=B), bar=source("bar", "1", sonoma=C))
    tap.commit(foo=source("foo", "1.1", sonoma=D))
    tap.commit(foo=source("foo", "1.1", sonoma="e" * 64), bar=None)
    return tap


def test_every_bottle_that_was_ever_listed_is_judged_and_told_of_with_its_commits(
    long_lived: Tap, ledger: Ledger
) -> None:
    store = CountingStore()
    bottles = [s.bottle for s in _subjects(ledger, long_lived) if called(s).startswith("foo 1.0")]
    store.put(attest(*bottles), *bottles)  # type: ignore[arg-type]
    run, done = audit(ledger, long_lived, store)
    assert done.outcomes[Outcome.VERIFIED] == 2
    assert done.outcomes[Outcome.UNATTESTED] == 3
    found = {(e.file_name, e.sha256[0]): e.listed for e in ledger.entries(run)}
    assert found[("foo--1.1.sonoma.bottle.tar.gz", "e")] == Listed(str(long_lived.head), None)
    assert all(entry is not None for entry in found.values())
    # The next one asks for nothing.
    before = len(store.asked)
    _, again = audit(ledger, long_lived, store)
    assert (again.judged, again.bottles, len(store.asked)) == (0, 5, before)


def _subjects(ledger: Ledger, tap: Tap) -> list[Subject]:
    walk(ledger, tap)
    return list(History(ledger, TAP).plan())


def test_reports_say_when_each_bottle_was_listed(long_lived: Tap, ledger: Ledger) -> None:
    run, _ = audit(ledger, long_lived, CountingStore())
    document = as_json(ledger, run)
    found = {row["sha256"][0]: row["listed"] for row in document["bottles"]}
    assert found["e"] == {"first": long_lived.head, "last": None}
    assert found["d"]["first"] == found["d"]["last"] == found["c"]["last"]
    schema = json.loads((SCHEMAS / "audit-v1.schema.json").read_text(encoding="utf-8"))
    document["run"] |= {"started": ledger.run(run).started, "finished": ledger.run(run).finished}
    jsonschema.validate(document, schema)


def test_shards_of_a_history_put_together_are_the_whole(long_lived: Tap, tmp_path: Path) -> None:
    store = CountingStore()
    with opened(tmp_path / "whole") as whole, opened(tmp_path / "merged") as merged:
        run, _ = audit(whole, long_lived, store)
        parts = []
        for number in (1, 2):
            part = Ledger(tmp_path / str(number), create=True)
            parts.append(part)
            audit(part, long_lived, store, Shard(number, 2))
        together = merge(merged, parts)
        for part in parts:
            part.close()
        assert list(merged.entries(together)) == list(whole.entries(run))
        assert as_json(merged, together) == as_json(whole, run)


def test_a_new_digest_under_an_old_name_is_an_alarm_between_two_audits(tap: Tap, ledger: Ledger) -> None:
    tap.commit(foo=source("foo", "1.0", sonoma=A))
    store = CountingStore()
    old, _ = audit(ledger, tap, store)
    tap.commit(foo=source("foo", "1.0", sonoma=B))
    new, _ = audit(ledger, tap, store)
    comparison = compare_runs((ledger, ledger.run(old)), (ledger, ledger.run(new)))
    assert [change.code for change in comparison.alarms()] == ["digest-changed"]
    assert not compare_runs((ledger, ledger.run(new)), (ledger, ledger.run(new))).changes
