"""A tap's history: which commits come by, in which order, and what each changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pygit2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.repositories import BRANCH, SIGNATURE, formula, link, loose_object, make_repository
from tests.unit.repositories import write_files as write

from brew_provenance.errors import InputError, UsageError
from brew_provenance.formula import Formula
from brew_provenance.taps.git import GitTap, UnreadableFormula
from brew_provenance.taps.gitline import GitLine

TAP = "octo/tap"


class Repository:
    """A repository in which commits can have any parents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = make_repository(folder)

    def commit(self, files: dict[str, object], *parents: str, branch: bool = True) -> str:
        tree = write(self.git, files)  # type: ignore[arg-type]
        ids = [pygit2.Oid(hex=parent) for parent in parents]
        id_ = self.git.create_commit(None, SIGNATURE, SIGNATURE, f"Change {len(files)}", tree, ids)
        if branch:
            self.git.references.create(BRANCH, id_, force=True)
        return str(id_)

    def tap(self, commit_: str | None = None) -> GitTap:
        return GitTap(self.folder, tap=TAP, commit=commit_)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path / "tap")
    yield made
    made.git.free()


def steps(tap: GitTap, line: Sequence[str] | None = None) -> list[tuple[str, bool, list[str]]]:
    """Return id, whether it is on the line, and the names that change, of all steps."""
    walked = GitLine(tap)
    chosen = list(reversed(walked.commits())) if line is None else line
    return [(s.commit, s.on_line, [change.name for change in s.changes]) for s in walked.steps(chosen)]


def files(**formulae: str) -> dict[str, object]:
    return {
        f"Formula/{name}.rb": formula(name.capitalize(), digest * 64) for name, digest in formulae.items()
    }


def test_each_commit_comes_once_and_says_what_it_changes(repository: Repository) -> None:
    one = repository.commit(files(foo="a", bar="b"))
    two = repository.commit(files(foo="c", bar="b"), one)
    three = repository.commit(files(bar="b") | {"README.md": b"x"}, two)
    four = repository.commit(files(bar="b", qux="d"), three)
    assert steps(repository.tap()) == [
        (one, True, ["bar", "foo"]),
        (two, True, ["foo"]),
        (three, True, ["foo"]),
        (four, True, ["qux"]),
    ]
    found = list(repository.tap(three).changes_since(repository.tap(two)))
    assert [(change.name, change.now) for change in found] == [("foo", None)]


def test_what_is_merged_comes_before_the_commit_that_merges_it(repository: Repository) -> None:
    one = repository.commit(files(foo="a"))
    side = repository.commit(files(foo="a", bar="b"), one, branch=False)
    side = repository.commit(files(foo="a", bar="c"), side, branch=False)
    two = repository.commit(files(foo="d"), one)
    merge = repository.commit(files(foo="d", bar="c"), two, side)
    found = steps(repository.tap())
    assert [(on_line, names) for _, on_line, names in found] == [
        (True, ["foo"]),
        (True, ["foo"]),
        (False, ["bar"]),
        (False, ["bar"]),
        (True, ["bar"]),
    ]
    assert [found[3][0], found[4][0]] == [side, merge]
    # From any commit of the line on, the rest is the same.
    assert steps(repository.tap(), [merge]) == found[2:]
    assert steps(repository.tap(), [two, merge]) == found[1:]


@given(parents=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=3), min_size=1, max_size=12))
def test_everything_that_is_reachable_comes_by_once_parents_first(
    parents: list[list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("graph")
    made = Repository(folder / "tap")
    ids = [made.commit({"README.md": b"0"})]
    for number, of_it in enumerate(parents, 1):
        chosen = list(dict.fromkeys(ids[parent % len(ids)] for parent in of_it))
        ids.append(made.commit({"README.md": b"%d" % number}, *chosen))
    reachable = [str(found.id) for found in made.git.walk(made.git.head.target)]
    order = [commit_ for commit_, _, _ in steps(made.tap())]
    assert sorted(order) == sorted(reachable)
    for number, id_ in enumerate(order):
        above = made.git[id_].peel(pygit2.Commit).parent_ids
        assert all(str(parent) in order[:number] for parent in above)
    made.git.free()
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        # Where the files stand does not count, but a formula that moves is read again for its lines.
        ({"Formula/foo.rb": "a"}, {"Formula/f/foo.rb": "a"}, {"foo"}),
        ({"Formula/foo.rb": "a"}, {"HomebrewFormula/foo.rb": "a"}, set()),
        ({"foo.rb": "a"}, {"Formula/foo.rb": "a"}, set()),
        ({"foo.rb": "a"}, {"foo.rb": "b"}, {"foo"}),
        ({"foo.rb": "a", "lib/x.rb": "a"}, {"foo.rb": "a", "lib/x.rb": "b"}, set()),
        ({"Formula/foo.rb": "a"}, {"Formula/foo.rb": "a", "foo.rb": "b"}, set()),
        ({"Formula/foo.rb": "a"}, {"Formula/foo.rb": "a", "Formula/.x.rb": "b", "Formula/x": "c"}, set()),
        ({"Formula/foo.rb": "a"}, {"Formula/foo.rb": "a", "Formula/.d/x.rb": "b"}, set()),
        ({"Formula/foo.rb": "a"}, {"README": "a"}, {"foo"}),
        # Of two files of one name, the one that is left is the formula.
        ({"Formula/a/foo.rb": "a", "Formula/foo.rb": "b"}, {"Formula/foo.rb": "b"}, {"foo"}),
    ],
)
def test_what_counts_as_a_change(
    before: dict[str, str], after: dict[str, str], changed: set[str], repository: Repository
) -> None:
    def sources(of: dict[str, str]) -> dict[str, object]:
        return {path: formula("Foo", digest * 64) for path, digest in of.items()}

    one = repository.commit(sources(before))
    repository.commit(sources(after), one)
    found = list(repository.tap().changes_since(repository.tap(one)))
    assert {change.name for change in found} == changed
    for change in found:
        assert isinstance(change.now, Formula) == any(
            path.endswith("/foo.rb") or path == "foo.rb" for path in after
        )


def test_what_cannot_be_read_is_said_and_stops_nothing(repository: Repository) -> None:
    one = repository.commit(files(foo="a"))
    repository.commit(
        files(foo="a", bar="b") | {"Formula/evil.rb": b"\xff(", "Formula/link.rb": link("foo.rb")}, one
    )
    found = {change.name: change.now for change in repository.tap().changes_since(repository.tap(one))}
    assert isinstance(found["bar"], Formula)
    assert isinstance(found["evil"], UnreadableFormula)
    assert isinstance(found["link"], UnreadableFormula)
    tap = repository.tap()
    assert [formula_.name for formula_ in tap.formulae_since(one)] == ["bar"]
    assert len(tap.notes) == 2
    with pytest.raises(UsageError, match="no such commit"):
        list(tap.formulae_since("v9"))


def test_a_commit_that_is_missing_is_an_error_and_no_end(repository: Repository) -> None:
    one = repository.commit(files(foo="a"))
    two = repository.commit(files(foo="b"), one)
    repository.commit(files(foo="c"), two)
    loose_object(repository.folder, two).unlink()
    with pytest.raises(InputError, match="missing") as caught:
        GitLine(repository.tap()).commits()
    assert caught.value.next_step
    with pytest.raises(InputError):
        GitLine(repository.tap()).leads_to([one])


def test_a_merged_commit_that_is_missing_is_an_error(repository: Repository) -> None:
    one = repository.commit(files(foo="a"))
    first = repository.commit(files(foo="b"), one, branch=False)
    side = repository.commit(files(foo="b", bar="a"), first, branch=False)
    two = repository.commit(files(foo="c"), one)
    merge = repository.commit(files(foo="d"), two, side)
    loose_object(repository.folder, first).unlink()
    with pytest.raises(InputError):
        steps(repository.tap(), [merge])


def test_a_folder_that_is_missing_is_an_error_of_its_step(repository: Repository) -> None:
    one = repository.commit({"Formula/f/foo.rb": formula("Foo"), "Formula/x.rb": b""})
    two = repository.commit({"Formula/f/foo.rb": formula("Foo", "b" * 64), "Formula/x.rb": b""}, one)
    tree = repository.git[two].peel(pygit2.Tree)["Formula/f"].id
    loose_object(repository.folder, tree).unlink()
    line = GitLine(repository.tap())
    first, second = line.steps([one, two])
    assert [change.name for change in first.changes] == ["foo", "x"]
    with pytest.raises(InputError):
        list(second.changes)


def test_a_shallow_clone_begins_where_it_does(repository: Repository) -> None:
    one = repository.commit(files(foo="a"))
    two = repository.commit(files(foo="b"), one)
    three = repository.commit(files(foo="c"), two)
    (repository.folder / "shallow").write_text(f"{two}\n", encoding="ascii")
    loose_object(repository.folder, one).unlink()
    line = GitLine(repository.tap())
    assert line.is_shallow
    assert line.commits() == [three, two]
    found = list(line.steps([two, three]))
    assert [step.parent for step in found] == [None, two]
    # What is not at hand may be reachable all the same.
    assert line.leads_to([one, two, "c" * 40]) == {two: True}


def test_which_commits_the_branch_leads_to(repository: Repository) -> None:
    one = repository.commit(files(foo="a"))
    gone = repository.commit(files(foo="x"), one, branch=False)
    side = repository.commit(files(foo="b"), one, branch=False)
    two = repository.commit(files(foo="c"), one)
    head = repository.commit(files(foo="d"), two, side)
    line = GitLine(repository.tap())
    assert not line.is_shallow
    asked = [one, gone, side, two, head, "c" * 40]
    assert line.leads_to(asked) == {id_: id_ in {one, side, two, head} for id_ in asked}
    assert line.leads_to([head]) == {head: True}
    assert line.leads_to([]) == {}


def test_the_line_goes_back_to_a_commit_or_to_the_first(repository: Repository) -> None:
    ids = [repository.commit(files(foo="a"))]
    for number in range(4):
        ids.append(repository.commit(files(foo=str(number)), ids[-1]))
    line = GitLine(repository.tap())
    assert line.commits() == ids[::-1]
    assert line.commits(back_to=ids[2]) == ids[:1:-1]
    assert line.commits(back_to="c" * 40) == ids[::-1]
