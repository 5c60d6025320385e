"""A tap's git repository, whose writer controls all that is in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode, ObjectType
from tests.unit.repositories import (
    BRANCH,
    SIGNATURE,
    Entry,
    Files,
    commit,
    commit_tree,
    formula,
    link,
    loose_object,
    make_repository,
    submodule,
    write_files,
    write_tree,
)

from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.formula import Formula
from brew_provenance.formula.syntax import MAX_SOURCE_BYTES
from brew_provenance.taps import CommittedFile, History, NoSuchFile, Tap, git
from brew_provenance.taps.git import GitTap, UnreadableFormula

TAP = "octo/tap"
FOO = formula()
BAR = formula("Bar", "b" * 64)
OLD, NEW = "1" * 64, "2" * 64


def tap_of(folder: Path, files: Files) -> GitTap:
    make_repository(folder / "repo", files).free()
    return GitTap(folder / "repo", tap=TAP)


def digests(tap: GitTap, name: str = "foo") -> list[str]:
    return [bottle.digest.value for bottle in tap.formula(f"{TAP}/{name}").bottles]


def paths(tap: GitTap) -> list[str | None]:
    return [formula.path for formula in tap.formulae()]


# Repositories


@pytest.mark.parametrize("bare", [False, True])
def test_a_repository_is_read_bare_or_not(bare: bool, tmp_path: Path) -> None:
    make_repository(tmp_path, {"Formula/f/foo.rb": FOO, "Formula/bar.rb": BAR}, bare=bare).free()
    tap: Tap = GitTap(tmp_path, tap="Octo/Tap")
    found = tap.formula("octo/tap/foo")
    assert (found.tap, found.name, found.version, found.path) == (TAP, "foo", "1.1", "Formula/f/foo.rb")
    assert [(bottle.tag, bottle.digest.value, bottle.line) for bottle in found.bottles] == [
        ("sonoma", "a" * 64, 6)
    ]
    assert (found.text, len(found.commit or "")) == (FOO, 40)
    assert [formula.name for formula in tap.formulae()] == ["bar", "foo"]
    assert tap.notes == ()


def test_the_name_says_which_repository_and_which_commit(tmp_path: Path) -> None:
    tap = tap_of(tmp_path, {"foo.rb": FOO})
    assert tap.name == f"git repository {tmp_path / 'repo'} at {tap.commit[:12]}"
    assert tap.tap == TAP


def test_what_lies_in_the_working_tree_does_not_count(tmp_path: Path) -> None:
    make_repository(tmp_path, {"Formula/foo.rb": FOO}, bare=False).free()
    (tmp_path / "Formula").mkdir()
    (tmp_path / "Formula" / "foo.rb").write_bytes(formula(digest=NEW))
    (tmp_path / "Formula" / "more.rb").write_bytes(formula("More"))
    tap = GitTap(tmp_path, tap=TAP)
    assert digests(tap) == ["a" * 64]
    assert paths(tap) == ["Formula/foo.rb"]


def test_a_linked_working_tree_leads_to_its_repository(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {"foo.rb": FOO}, bare=False)
    repository.add_worktree("linked", str(tmp_path / "linked"))
    repository.free()
    assert digests(GitTap(tmp_path / "linked", tap=TAP)) == ["a" * 64]


def test_every_way_to_name_a_commit_leads_to_it(tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    old = commit(repository, {"foo.rb": formula(digest=OLD)})
    repository.references.create("refs/heads/branch", old)
    repository.references.create("refs/tags/light", old)
    tag = repository.create_tag("v1", old, ObjectType.COMMIT, SIGNATURE, "One")
    repository.create_tag("tag-of-tag", tag, ObjectType.TAG, SIGNATURE, "Two")
    new = commit(repository, {"foo.rb": formula(digest=NEW)})
    repository.free()
    for revision in (old, old[:12], "branch", "refs/heads/branch", "light", "v1", "tag-of-tag", "HEAD~1"):
        tap = GitTap(tmp_path, tap=TAP, commit=revision)
        assert (tap.commit, digests(tap)) == (old, [OLD]), revision
    for latest in (None, "HEAD", "main", new):
        assert digests(GitTap(tmp_path, tap=TAP, commit=latest)) == [NEW], latest


def test_a_branch_does_not_pass_for_the_commit_that_it_is_named_after(tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    old = commit(repository, {"foo.rb": formula(digest=OLD)})
    new = commit(repository, {"foo.rb": formula(digest=NEW)})
    repository.references.create(f"refs/heads/{old}", new)
    repository.free()
    assert digests(GitTap(tmp_path, tap=TAP, commit=old)) == [OLD]


@pytest.mark.parametrize(
    "revision",
    ["", "absent", "f" * 40, "HEAD~1", "HEAD:foo.rb", "HEAD^{tree}", "a\0b", "\udcff", "--all", "@{u}"],
)
def test_what_names_no_commit_is_refused(revision: str, tmp_path: Path) -> None:
    make_repository(tmp_path, {"foo.rb": FOO}).free()
    with pytest.raises(UsageError, match="commit"):
        GitTap(tmp_path, tap=TAP, commit=revision)


def test_a_tag_of_something_else_is_no_commit(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"foo.rb": FOO})
    blob = repository.create_blob(b"x")
    repository.create_tag("blob", blob, ObjectType.BLOB, SIGNATURE, "A blob")
    missing = repository.create_tag("lost", repository.create_blob(b"y"), ObjectType.BLOB, SIGNATURE, "Lost")
    loose_object(tmp_path, repository[missing].read_raw()[7:47].decode()).unlink()
    repository.free()
    for revision in ("blob", "lost"):
        with pytest.raises(UsageError, match="commit"):
            GitTap(tmp_path, tap=TAP, commit=revision)


def test_a_shortened_commit_has_to_be_the_only_one(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"foo.rb": FOO})
    seen = dict[str, int]()
    short = None
    for number in range(5000):
        prefix = str(repository.create_blob(b"%d" % number))[:4]
        if prefix in seen:
            short = prefix
            break
        seen[prefix] = number
    repository.free()
    assert short
    with pytest.raises(UsageError, match="ambiguous") as refused:
        GitTap(tmp_path, tap=TAP, commit=short)
    assert "in full" in refused.value.next_step


def test_a_shallow_clone_says_that_it_is_one(tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    old = commit(repository, {"foo.rb": formula(digest=OLD)})
    new = commit(repository, {"foo.rb": formula(digest=NEW)})
    repository.free()
    loose_object(tmp_path, old).unlink()
    (tmp_path / "shallow").write_text(f"{new}\n", encoding="utf-8")
    assert digests(GitTap(tmp_path, tap=TAP)) == [NEW]
    with pytest.raises(UsageError, match="shallow") as refused:
        GitTap(tmp_path, tap=TAP, commit=old)
    assert "--unshallow" in refused.value.next_step


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    make_repository(tmp_path).free()
    with pytest.raises(UsageError, match="no such commit"):
        GitTap(tmp_path, tap=TAP)


def test_what_is_no_repository_is_refused(tmp_path: Path) -> None:
    make_repository(tmp_path / "repo", {"inner/foo.rb": FOO}, bare=False).free()
    (tmp_path / "repo" / "inner").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(FOO)
    # Whatever lies around a folder is not what was named.
    for name in ("empty", "file", "missing", "repo/inner", "repo/.git/objects"):
        with pytest.raises(InputError, match="not a git repository"):
            GitTap(tmp_path / name, tap=TAP)


def test_a_repository_that_somebody_else_owns_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, _flags: int) -> None:
        raise pygit2.GitError(f"repository path '{path}' is not owned by current user")

    monkeypatch.setattr(pygit2, "Repository", refuse)
    with pytest.raises(InputError, match="not owned by current user") as refused:
        GitTap(tmp_path / "a tap", tap=TAP)
    assert refused.value.next_step.endswith(f"--add safe.directory '{tmp_path}/a tap'")


# The tap's name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/Octo/homebrew-Tap", "octo/tap"),
        ("https://github.com/octo/homebrew-tap.git", "octo/tap"),
        ("https://github.com/octo/homebrew-tap/", "octo/tap"),
        ("https://github.com/octo/homebrew-tap.git/", "octo/tap"),
        ("https://GitHub.com/octo/Homebrew-my.tap", "octo/my.tap"),
        ("git@github.com:octo/homebrew-tap.git", "octo/tap"),
        ("ssh://git@github.com/octo/homebrew-tap.git", "octo/tap"),
        ("https://github.com/octo/tap", None),
        ("https://github.com/octo/homebrew-", None),
        ("https://github.com/octo/homebrew-tap/tree", None),
        ("https://github.com/a/octo/homebrew-tap", None),
        ("https://github.com.evil.example/octo/homebrew-tap", None),
        ("https://evil.example/github.com/octo/homebrew-tap", None),
        ("https://evil.example/https://github.com/octo/homebrew-tap", None),
        ("https://github.com@evil.example/octo/homebrew-tap", None),
        ("http://github.com/octo/homebrew-tap", None),
        ("https://gitlab.com/octo/homebrew-tap", None),
        ("/srv/octo/homebrew-tap", None),
        ("", None),
    ],
)
def test_a_tap_is_named_by_its_remote_on_github(url: str, name: str | None, tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"foo.rb": FOO})
    repository.config["remote.upstream.url"] = "https://github.com/other/homebrew-other"
    repository.config["remote.origin.url"] = url
    repository.free()
    if name is not None:
        assert GitTap(tmp_path).tap == name
    else:
        with pytest.raises(UsageError, match="which tap"):
            GitTap(tmp_path)
    assert GitTap(tmp_path, tap=TAP).tap == TAP


def test_a_tap_without_a_remote_is_named_by_where_brew_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "Taps" / "octo" / "homebrew-tap"
    folder.parent.mkdir(parents=True)
    make_repository(folder, {"foo.rb": FOO}, bare=False).free()
    assert GitTap(folder).tap == TAP
    shutil.copytree(folder, folder.parent / "tap")
    with pytest.raises(UsageError, match="which tap"):
        GitTap(folder.parent / "tap")


# Where formulae are


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["Formula/foo.rb"], ["Formula/foo.rb"]),
        (["Formula/f/foo.rb", "Formula/b/bar.rb"], ["Formula/b/bar.rb", "Formula/f/foo.rb"]),
        (["Formula/a/b/c/foo.rb"], ["Formula/a/b/c/foo.rb"]),
        (["HomebrewFormula/f/foo.rb"], ["HomebrewFormula/f/foo.rb"]),
        (["foo.rb"], ["foo.rb"]),
        # The first of the three folders that is there holds all formulae.
        (["Formula/bar.rb", "HomebrewFormula/foo.rb", "foo.rb"], ["Formula/bar.rb"]),
        (["HomebrewFormula/foo.rb", "bar.rb"], ["HomebrewFormula/foo.rb"]),
        (["Formula/README.md", "foo.rb"], []),
        (["Formula", "foo.rb"], ["foo.rb"]),
        # At the top there are no folders of formulae.
        (["foo.rb", "cmd/bar.rb", "Casks/bar.rb"], ["foo.rb"]),
        (["formula/foo.rb"], []),
        (["README.md"], []),
        # Of two files with one name: the longer path, and of equally long ones Ruby's first.
        (["Formula/foo.rb", "Formula/f/foo.rb"], ["Formula/f/foo.rb"]),
        (["Formula/long/foo.rb", "Formula/f/foo.rb"], ["Formula/long/foo.rb"]),
        (["Formula/b/foo.rb", "Formula/a/foo.rb"], ["Formula/a/foo.rb"]),
        (["Formula/abc/foo.rb", "Formula/a/b/foo.rb"], ["Formula/a/b/foo.rb"]),
        # What brew's search does not find.
        (["Formula/foo.rb", "Formula/.much-longer/foo.rb"], ["Formula/foo.rb"]),
        (["Formula/foo.rb", "Formula/.rb", "Formula/.foo.rb"], ["Formula/foo.rb"]),
        ([".bar.rb", "foo.rb", ".rb"], ["foo.rb"]),
        (["Formula/foo.RB", "Formula/foo.rb.orig", "Formula/foorb"], []),
    ],
)
def test_formulae_are_found_where_brew_finds_them(
    files: list[str], expected: list[str], tmp_path: Path
) -> None:
    tap = tap_of(tmp_path, {path: BAR if path.endswith("bar.rb") else FOO for path in files})
    assert paths(tap) == expected
    assert tap.notes == ()


@pytest.mark.parametrize("folder", ["Formula", "HomebrewFormula", "Aliases"])
@pytest.mark.parametrize("entry", [link("elsewhere"), submodule()], ids=["link", "submodule"])
def test_a_folder_that_leads_elsewhere_is_refused(folder: str, entry: Entry, tmp_path: Path) -> None:
    files: Files = {folder: entry, "elsewhere/foo.rb": formula(digest=NEW), "foo.rb": FOO}
    tap = tap_of(tmp_path, files)
    with pytest.raises(InputError, match="not followed"):
        tap.formula(f"{TAP}/foo")
    with pytest.raises(InputError, match="not followed"):
        list(tap.formulae())


# Other names


def test_an_alias_leads_to_its_formula(tmp_path: Path) -> None:
    files: Files = {
        "Formula/f/foo.rb": FOO,
        "Aliases/f": link("../Formula/f/foo.rb"),
        "Aliases/foo@1": link("../Formula/f/foo.rb"),
        "Aliases/.hidden": link("../Formula/f/foo.rb"),
        "Aliases/README": b"no link",
        "Aliases/inner/x": link("../Formula/f/foo.rb"),
    }
    tap = tap_of(tmp_path, files)
    assert tap.formula(f"{TAP}/foo").aliases == ("f", "foo@1")
    assert tap.formula(f"{TAP}/f").name == tap.formula(f"{TAP}/foo@1").name == "foo"
    assert [formula.aliases for formula in tap.formulae()] == [("f", "foo@1")]
    for name in (".hidden", "README", "x", "inner"):
        with pytest.raises(NothingMatchedError):
            tap.formula(f"{TAP}/{name}")


def test_an_alias_outranks_a_formula_of_its_name_as_it_does_in_brew(tmp_path: Path) -> None:
    files: Files = {"foo.rb": FOO, "bar.rb": BAR, "Aliases/foo": link("../bar.rb")}
    assert digests(tap_of(tmp_path, files)) == ["b" * 64]


@pytest.mark.parametrize(
    "target",
    [
        "../Formula/absent.rb",
        "../Formula/f/../foo.rb",
        "../Formula//foo.rb",
        "/Formula/foo.rb",
        "../../../etc/foo.rb",
        "Formula/foo.rb",
        "../README.md",
        "../Aliases/f",
        "f",
        "",
        "\udcff",
        "x" * 300,
    ],
)
def test_an_alias_that_leads_to_no_formula_is_refused_and_not_passed_over(
    target: str, tmp_path: Path
) -> None:
    files: Files = {
        "Formula/foo.rb": FOO,
        "README.md": b"",
        "Aliases/foo": Entry(FileMode.LINK, target.encode("utf-8", "surrogateescape")),
        "Aliases/f": link("../Formula/foo.rb"),
    }
    tap = tap_of(tmp_path, files)
    with pytest.raises(InputError, match="Aliases/foo"):
        tap.formula(f"{TAP}/foo")


def test_an_old_name_leads_to_the_new_one(tmp_path: Path) -> None:
    files: Files = {
        "Formula/foo.rb": FOO,
        "Formula/bar.rb": BAR,
        "formula_renames.json": b'{"old": "foo", "older": "old", "bar": "foo", "gone": "absent", "x": ""}',
    }
    tap = tap_of(tmp_path, files)
    assert digests(tap, "old") == ["a" * 64]
    # brew looks at the list before it looks for a file.
    assert digests(tap, "bar") == ["a" * 64]
    # And it looks once.
    for name in ("older", "gone", "x"):
        with pytest.raises(NothingMatchedError):
            tap.formula(f"{TAP}/{name}")


@pytest.mark.parametrize("went", ["homebrew/core", "octo/other/foo", "bar", "octo/tap/bar"])
def test_a_formula_that_moved_is_not_taken_from_where_it_was(went: str, tmp_path: Path) -> None:
    files = {"foo.rb": FOO, "bar.rb": BAR, "tap_migrations.json": f'{{"foo": "{went}"}}'.encode()}
    with pytest.raises(NothingMatchedError, match=f"moved to {went}"):
        tap_of(tmp_path, files).formula(f"{TAP}/foo")


@pytest.mark.parametrize("went", [TAP, "foo", "octo/tap/foo", ""])
def test_a_formula_that_moved_to_where_it_is_is_there(went: str, tmp_path: Path) -> None:
    files = {"foo.rb": FOO, "tap_migrations.json": f'{{"foo": "{went}"}}'.encode()}
    assert digests(tap_of(tmp_path, files)) == ["a" * 64]


@pytest.mark.parametrize("name", ["formula_renames.json", "tap_migrations.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"foo"',
        b'{"foo": ["bar"]}',
        b'{"foo": null}',
        b'{"foo": "a", "foo": "b"}',
        b"\xff",
        b" " * 200,
        link("elsewhere.json"),
        submodule(),
    ],
)
def test_a_list_of_names_that_cannot_be_read_is_refused(
    name: str, content: bytes | Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "MAX_LIST_BYTES", 100)
    tap = tap_of(tmp_path, {"foo.rb": FOO, name: content, "elsewhere.json": b"{}"})
    with pytest.raises(InputError, match=name):
        tap.formula(f"{TAP}/foo")
    assert paths(tap) == ["foo.rb"]


def test_what_is_not_there_is_said_not_to_be_with_what_is_close(tmp_path: Path) -> None:
    tap = tap_of(tmp_path, {"foobar.rb": formula("Foobar"), "Aliases/foobaz": link("../foobar.rb")})
    with pytest.raises(NothingMatchedError, match="no formula of that name") as refused:
        tap.formula(f"{TAP}/foobat")
    assert "foobar" in refused.value.next_step
    assert "foobaz" in refused.value.next_step
    with pytest.raises(NothingMatchedError) as refused:
        tap.formula(f"{TAP}/quite-other")
    assert "compare" in refused.value.next_step
    for full_name in ("other/tap/foobar", "foobar", "octo/tap2/foobar", ""):
        with pytest.raises(NothingMatchedError, match="is octo/tap"):
            tap.formula(full_name)


# What cannot be read


UNREADABLE: list[tuple[str | bytes, bytes | Entry, str]] = [
    ("Formula/bad.rb", b"class Bad < Formula\n  bottle do\n", "not Ruby"),
    ("Formula/bad.rb", b"\xff", "UTF-8"),
    ("Formula/bad.rb", FOO, "no class Bad"),
    ("Formula/bad.rb", b"# " + b"x" * MAX_SOURCE_BYTES, "longer than the limit"),
    ("Formula/bad.rb", link("foo.rb"), "a symbolic link"),
    ("Formula/bad.rb", submodule(), "not a file"),
    ("Formula/bad.rb/x", b"", "not a file"),
    ("Formula/two words.rb", FOO, "its path"),
    ("Formula/-bad.rb", FOO, "its path"),
    ("Formula/\u0444oo.rb", FOO, "its path"),
    ("Formula/b\x1b[2J/bad.rb", FOO, "its path"),
    ("Formula/\u00e9/bad.rb", FOO, "its path"),
    (b"Formula/\xff.rb", FOO, "its path"),
    (b"Formula/\xff/bad.rb", FOO, "its path"),
    ("Formula/zero\n.rb", FOO, "its path"),
]


@pytest.mark.parametrize(("path", "content", "why"), UNREADABLE)
def test_what_cannot_be_read_stops_nothing_and_is_told(
    path: str | bytes, content: bytes | Entry, why: str, tmp_path: Path
) -> None:
    tap = tap_of(tmp_path, {path: content, "Formula/foo.rb": FOO, "Formula/zed.rb": formula("Zed")})
    assert list(tap.notes) == []
    assert paths(tap) == ["Formula/foo.rb", "Formula/zed.rb"]
    (note,) = tap.notes
    assert " cannot be read: " in note
    assert why in note
    (unreadable,) = [entry for entry in tap.entries() if isinstance(entry, UnreadableFormula)]
    assert note.startswith(unreadable.path)
    assert unreadable.why in note
    list(tap.formulae())
    assert tap.notes == (note,)
    name = unreadable.path.rpartition("/")[2].removesuffix(".rb")
    with pytest.raises(InputError, match=why):
        tap.formula(f"{TAP}/{name}")


def test_the_longest_file_is_not_even_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tap = tap_of(tmp_path, {"foo.rb": FOO + b"# " + b"x" * MAX_SOURCE_BYTES})

    def refuse(_self: object, _id: object) -> None:
        raise AssertionError("loaded")

    names = [entry for entry in tap.entries() if isinstance(entry, UnreadableFormula)]
    monkeypatch.setattr(pygit2.Repository, "read", refuse)
    assert [entry.why for entry in tap.entries()] == [names[0].why]  # type: ignore[union-attr]


def test_a_file_whose_object_is_missing_is_told(tmp_path: Path) -> None:
    tap = tap_of(tmp_path, {"foo.rb": FOO, "bar.rb": BAR})
    loose_object(tmp_path / "repo", pygit2.hash(FOO)).unlink()
    assert paths(tap) == ["bar.rb"]
    assert tap.notes == ("foo.rb cannot be read: missing from the repository, which may be a partial clone",)
    with pytest.raises(InputError, match="partial clone"):
        tap.formula(f"{TAP}/foo")


def test_a_file_that_is_not_the_one_that_was_committed_is_told(tmp_path: Path) -> None:
    tap = tap_of(tmp_path, {"foo.rb": FOO, "other": formula(digest=NEW)})
    folder = tmp_path / "repo"
    target = loose_object(folder, pygit2.hash(FOO))
    target.chmod(0o600)
    shutil.copy(loose_object(folder, pygit2.hash(formula(digest=NEW))), target)
    with pytest.raises(InputError, match="mismatch"):
        tap.formula(f"{TAP}/foo")


@pytest.mark.parametrize("which", ["top", "Formula", "Formula/f", "Aliases"])
def test_a_folder_that_cannot_be_read_is_refused(which: str, tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    files: Files = {"Formula/f/foo.rb": FOO, "Aliases/f": link("../Formula/f/foo.rb")}
    tree = repository[write_files(repository, files)].peel(pygit2.Tree)
    commit_tree(repository, tree.id)
    id_ = tree.id if which == "top" else tree[which].id
    repository.free()
    loose_object(tmp_path, id_).unlink()
    tap = GitTap(tmp_path, tap=TAP)
    with pytest.raises(InputError, match="missing from the repository"):
        list(tap.formulae())
    with pytest.raises(InputError, match="missing from the repository"):
        tap.formula(f"{TAP}/foo")


def test_an_alias_whose_object_is_missing_is_refused(tmp_path: Path) -> None:
    tap = tap_of(tmp_path, {"foo.rb": FOO, "Aliases/f": link("../foo.rb")})
    loose_object(tmp_path / "repo", pygit2.hash(b"../foo.rb")).unlink()
    with pytest.raises(InputError, match="Aliases/f"):
        tap.formula(f"{TAP}/foo")


# Trees that no `git add` makes


def hand_made(folder: Path, make: Callable[[pygit2.Repository], pygit2.Oid]) -> GitTap:
    repository = make_repository(folder)
    commit_tree(repository, make(repository))
    repository.free()
    return GitTap(folder, tap=TAP)


def test_a_folder_that_is_a_file_and_a_file_that_is_a_folder_are_refused(tmp_path: Path) -> None:
    def file_as_folder(repository: pygit2.Repository) -> pygit2.Oid:
        return write_tree(repository, [(b"Formula", FileMode.TREE, repository.create_blob(FOO))])

    def folder_as_file(repository: pygit2.Repository) -> pygit2.Oid:
        inner = write_files(repository, {"x": FOO})
        return write_tree(repository, [(b"foo.rb", FileMode.BLOB, inner)])

    with pytest.raises(InputError, match="another kind of object"):
        list(hand_made(tmp_path / "a", file_as_folder).formulae())
    tap = hand_made(tmp_path / "b", folder_as_file)
    assert paths(tap) == []
    assert "another kind of object" in tap.notes[0]


@pytest.mark.parametrize("name", [b"a/foo.rb", b"..", b".", b"foo.rb"])
def test_names_that_no_checkout_can_hold_are_refused(name: bytes, tmp_path: Path) -> None:
    def make(repository: pygit2.Repository) -> pygit2.Oid:
        entries = [
            (b"foo.rb", FileMode.BLOB, repository.create_blob(FOO)),
            (name, FileMode.BLOB, repository.create_blob(formula(digest=NEW))),
        ]
        return write_tree(repository, [(b"Formula", FileMode.TREE, write_tree(repository, entries))])

    with pytest.raises(InputError, match="no checkout"):
        list(hand_made(tmp_path, make).formulae())


def test_folders_that_hold_each_other_many_times_over_are_refused(tmp_path: Path) -> None:
    def make(repository: pygit2.Repository) -> pygit2.Oid:
        tree = write_files(repository, {"foo.rb": FOO})
        for _ in range(12):
            tree = write_tree(repository, [(b"%d" % number, FileMode.TREE, tree) for number in range(10)])
        return write_tree(repository, [(b"Formula", FileMode.TREE, tree)])

    with pytest.raises(InputError, match="more than the limits"):
        list(hand_made(tmp_path, make).formulae())


def test_folders_within_each_other_without_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than the limits"):
        list(tap_of(tmp_path, {f"Formula/{'x/' * 200}foo.rb": FOO}).formulae())


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tap = tap_of(tmp_path, {f"Formula/{number}.md": b"" for number in range(100)})
    monkeypatch.setattr(git, "MAX_TREE_BYTES", 1000)
    with pytest.raises(InputError, match="longer than the limit"):
        list(tap.formulae())


def test_a_detached_head_is_read(tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    old = commit(repository, {"foo.rb": formula(digest=OLD)})
    commit(repository, {"foo.rb": formula(digest=NEW)})
    repository.set_head(pygit2.Oid(hex=old))
    assert repository.references[BRANCH].target != pygit2.Oid(hex=old)
    repository.free()
    tap = GitTap(tmp_path, tap=TAP)
    assert [entry.commit for entry in tap.entries() if isinstance(entry, Formula)] == [old]


# Any commit


def read_at(folder: Path, commit_id: str, path: str = "Formula/foo.rb") -> CommittedFile | NoSuchFile | None:
    """Read a file at a commit, through a tap that is at the repository's head."""
    return GitTap(folder, tap=TAP).file_at(commit_id, path)


def test_a_file_is_read_at_any_commit(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"Formula/foo.rb": FOO})
    first = str(repository.head.target)
    second = commit(repository, {"Formula/foo.rb": BAR, "Formula/b/bar.rb": FOO})
    blob = str(repository.create_blob(FOO))
    repository.free()
    assert read_at(tmp_path, first) == CommittedFile(blob, FOO)
    assert read_at(tmp_path, second, "Formula/b/bar.rb") == CommittedFile(blob, FOO)
    found = read_at(tmp_path, second)
    assert isinstance(found, CommittedFile)
    assert found.content == BAR
    assert isinstance(GitTap(tmp_path, tap=TAP), History)


def test_a_commit_that_no_branch_leads_to_is_read_too(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"Formula/foo.rb": FOO})
    tree = write_files(repository, {"Formula/foo.rb": BAR})
    merge = repository.create_commit(None, SIGNATURE, SIGNATURE, "Merge", tree, [repository.head.target])
    repository.free()
    found = read_at(tmp_path, str(merge))
    assert isinstance(found, CommittedFile)
    assert found.content == BAR


@pytest.mark.parametrize("commit_id", ["a" * 40, "a" * 64, "HEAD", "", "main", "f" * 12, "g" * 40])
def test_a_commit_that_is_not_at_hand_is_none(commit_id: str, tmp_path: Path) -> None:
    make_repository(tmp_path, {"Formula/foo.rb": FOO}).free()
    assert read_at(tmp_path, commit_id) is None


@pytest.mark.parametrize(
    "path",
    [
        "Formula/bar.rb",
        "Formula",
        "Formula/",
        "/Formula/foo.rb",
        "Formula//foo.rb",
        "./Formula/foo.rb",
        "Formula/../Formula/foo.rb",
        "../foo.rb",
        "Formula/foo.rb/x",
        "formula/foo.rb",
        "Formula/link.rb",
        "Formula/sub",
        "Aliases/foo.rb",
        "",
    ],
)
def test_a_path_that_leads_to_no_file_is_said_to(path: str, tmp_path: Path) -> None:
    files: Files = {
        "Formula/foo.rb": FOO,
        "Formula/link.rb": link("foo.rb"),
        "Formula/sub": submodule(),
        "Aliases": link("Formula"),
    }
    repository = make_repository(tmp_path, files)
    head = str(repository.head.target)
    repository.free()
    found = read_at(tmp_path, head, path)
    assert isinstance(found, NoSuchFile)
    assert found.why


def test_what_is_no_commit_holds_no_file(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"Formula/foo.rb": FOO})
    blob, tree = repository.create_blob(FOO), repository[repository.head.target].peel(pygit2.Tree).id
    repository.free()
    for other in (blob, tree):
        assert isinstance(read_at(tmp_path, str(other)), NoSuchFile)


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"Formula/foo.rb": b"#" * (MAX_SOURCE_BYTES + 1)})
    head = str(repository.head.target)
    repository.free()
    found = read_at(tmp_path, head)
    assert isinstance(found, NoSuchFile)
    assert "limit" in found.why


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("what", ["commit", "tree", "folder", "blob"])
def test_what_a_clone_lacks_or_has_damaged_is_not_at_hand(what: str, damaged: bool, tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"Formula/foo.rb": FOO})
    first = str(repository.head.target)
    commit(repository, {"Formula/bar.rb": BAR})
    tree = repository[first].peel(pygit2.Tree)
    folder = tree["Formula"]
    assert isinstance(folder, pygit2.Tree)
    ids: dict[str, pygit2.Oid | str] = {
        "commit": first,
        "tree": tree.id,
        "folder": folder.id,
        "blob": folder["foo.rb"].id,
    }
    repository.free()
    path = loose_object(tmp_path, ids[what])
    path.chmod(0o644)
    if damaged:
        path.write_bytes(b"damaged")
    else:
        path.unlink()
    assert read_at(tmp_path, first) is None
