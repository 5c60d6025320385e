"""A tap's clone in a build job, after the build's scripts have had it."""

from __future__ import annotations

import os
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode, ObjectType
from tests.unit.repositories import (
    BRANCH,
    SIGNATURE,
    Entry,
    commit,
    formula,
    link,
    loose_object,
    make_repository,
    submodule,
    write_files,
    write_tree,
)

from brew_provenance.errors import BuildSideError
from brew_provenance.formula.syntax import MAX_SOURCE_BYTES
from brew_provenance.taps import checkout
from brew_provenance.taps.checkout import TapCheckout

PATH = "Formula/f/foo.rb"
FOO = formula()


@pytest.fixture
def repository(tmp_path: Path) -> pygit2.Repository:
    return make_repository(tmp_path / "tap", {PATH: FOO}, bare=False)


@pytest.fixture
def tap(tmp_path: Path) -> Path:
    return tmp_path / "tap"


def head_of(repository: pygit2.Repository) -> str:
    return str(repository.head.target)


def read(tap: Path, commit_id: str, path: str = PATH, name: str = "foo") -> bytes:
    with TapCheckout(tap) as opened:
        return opened.formula(commit_id, path, name).text


# How things stand


def test_a_file_is_what_the_commit_has(repository: pygit2.Repository, tap: Path) -> None:
    first = head_of(repository)
    second = commit(repository, {PATH: formula(version="1.2")})
    with TapCheckout(tap) as opened:
        file = opened.formula(first, PATH, "foo")
        assert (file.path, file.text) == (PATH, FOO)
        assert file.blob == str(pygit2.hash(FOO))
        assert opened.formula(second, PATH, "foo").text == formula(version="1.2")
        assert (opened.head, opened.branch, opened.is_shallow, opened.remote) == (second, "main", False, None)
        assert opened.parents(second) == (first,)
        assert opened.parents(first) == ()


def test_a_detached_head_has_no_branch(repository: pygit2.Repository, tap: Path) -> None:
    first = head_of(repository)
    commit(repository, {PATH: formula(version="1.2")})
    repository.set_head(pygit2.Oid(hex=first))
    with TapCheckout(tap) as opened:
        assert (opened.head, opened.branch) == (first, None)


def test_a_clone_without_a_commit_has_no_head(tmp_path: Path) -> None:
    make_repository(tmp_path).free()
    with TapCheckout(tmp_path) as opened:
        assert (opened.head, opened.branch) == (None, None)


@pytest.mark.usefixtures("repository")
def test_a_branch_that_leads_nowhere_is_no_head(tap: Path) -> None:
    (tap / ".git" / "refs" / "heads" / "main").write_text("nonsense\n", encoding="utf-8")
    with TapCheckout(tap) as opened:
        assert (opened.head, opened.branch) == (None, None)


def test_the_remote_is_origin(repository: pygit2.Repository, tap: Path) -> None:
    repository.remotes.create("upstream", "https://example.org/other")
    repository.remotes.create("origin", "https://github.com/octo/homebrew-tap")
    with TapCheckout(tap) as opened:
        assert opened.remote == "https://github.com/octo/homebrew-tap"


def test_a_merge_names_its_parents_also_in_a_shallow_clone(repository: pygit2.Repository, tap: Path) -> None:
    base = head_of(repository)
    tree = repository[base].peel(pygit2.Tree).id
    head = repository.create_commit(None, SIGNATURE, SIGNATURE, "Head", tree, [pygit2.Oid(hex=base)])
    merge = repository.create_commit(
        BRANCH, SIGNATURE, SIGNATURE, "Merge", tree, [pygit2.Oid(hex=base), head]
    )
    for gone in (base, head):
        loose_object(tap, gone).unlink()
    (tap / ".git" / "shallow").write_text(f"{merge}\n", encoding="utf-8")
    with TapCheckout(tap) as opened:
        assert opened.is_shallow
        assert opened.parents(str(merge)) == (base, str(head))
        assert opened.formula(str(merge), PATH, "foo").text == FOO


def test_parents_are_not_read_out_of_a_message(repository: pygit2.Repository, tap: Path) -> None:
    tree = repository[head_of(repository)].peel(pygit2.Tree).id
    message = f"Title\n\nparent {'e' * 40}\n"
    found = repository.create_commit(None, SIGNATURE, SIGNATURE, message, tree, [])
    with TapCheckout(tap) as opened:
        assert opened.parents(str(found)) == ()


# Commits that are not there, or are none


def test_a_missing_commit_is_told_with_how_to_get_it(repository: pygit2.Repository, tap: Path) -> None:
    with pytest.raises(BuildSideError, match=r"it is not there$") as caught:
        read(tap, "e" * 40)
    assert f"git fetch --depth=1 origin {'e' * 40}" in caught.value.next_step
    (tap / ".git" / "shallow").write_text(f"{head_of(repository)}\n", encoding="utf-8")
    with pytest.raises(BuildSideError, match="the clone is shallow"):
        read(tap, "e" * 40)


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    "value", ["HEAD", "main", "", "e" * 39, "E" * 40, "e" * 40 + "\n", "--all", "e" * 64]
)
def test_what_is_no_commits_id_is_not_looked_up(value: str, tap: Path) -> None:
    with pytest.raises(BuildSideError, match="not the id of a commit"):
        read(tap, value)


def test_another_kind_of_object_is_no_commit(repository: pygit2.Repository, tap: Path) -> None:
    blob = repository.create_blob(b"tree")
    with pytest.raises(BuildSideError, match="another kind of object"):
        read(tap, str(blob))


def test_a_commit_without_a_tree_is_refused(repository: pygit2.Repository, tap: Path) -> None:
    broken = repository.odb.write(ObjectType.COMMIT, b"tree x\n\nTitle\n")
    with pytest.raises(BuildSideError, match="it has no tree"):
        read(tap, str(broken))


def test_a_commit_of_any_length_is_refused(
    repository: pygit2.Repository, tap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "MAX_COMMIT_BYTES", 100)
    with pytest.raises(BuildSideError, match="limit of 100 bytes"):
        read(tap, head_of(repository))


# Paths and what is there


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/foo.rb",
        "../foo.rb",
        "Formula/../../foo.rb",
        "Formula//foo.rb",
        "./foo.rb",
        "Formula/f/foo.rb/",
        "Formula\\f\\foo.rb",
        "Formula/f\n/foo.rb",
        "Formula/\u00e9/foo.rb",
        "Formula/" + "x/" * 200 + "foo.rb",
    ],
)
def test_a_path_that_no_tap_has_is_refused(path: str, repository: pygit2.Repository, tap: Path) -> None:
    with pytest.raises(BuildSideError, match="not a path in a tap"):
        read(tap, head_of(repository), path)


@pytest.mark.parametrize(
    ("path", "name"), [("Formula/b/bar.rb", "foo"), ("foo", "foo"), (".rb", ""), ("-x.rb", "-x")]
)
def test_the_path_of_another_formula_is_refused(
    path: str, name: str, repository: pygit2.Repository, tap: Path
) -> None:
    with pytest.raises(BuildSideError, match="not the file of the formula"):
        read(tap, head_of(repository), path, name)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"README.md": b""}, "there is no Formula"),
        ({"Formula/f/bar.rb": FOO}, r"there is no foo\.rb"),
        ({PATH: link("bar.rb")}, "not a file"),
        ({PATH: submodule()}, "not a file"),
        ({f"{PATH}/x": b""}, "not a file"),
        ({"Formula": link("/etc")}, "Formula is no folder"),
        ({"Formula/f": b""}, "f is no folder"),
        ({"Formula/f": submodule()}, "f is no folder"),
        ({PATH: b" " * (MAX_SOURCE_BYTES + 1)}, "longer than the limit"),
        ({PATH: Entry(FileMode.BLOB, pygit2.Oid(hex="d" * 40))}, "missing from the repository"),
    ],
)
def test_what_is_no_file_at_the_commit_is_refused(
    files: dict[str, bytes | Entry], why: str, repository: pygit2.Repository, tap: Path
) -> None:
    with pytest.raises(BuildSideError, match=why):
        read(tap, commit(repository, files))


def test_an_executable_file_is_a_file(repository: pygit2.Repository, tap: Path) -> None:
    assert read(tap, commit(repository, {PATH: Entry(FileMode.BLOB_EXECUTABLE, FOO)})) == FOO


def test_a_folder_that_is_called_a_file_is_refused(repository: pygit2.Repository, tap: Path) -> None:
    inner = write_files(repository, {"x": b""})
    with pytest.raises(BuildSideError, match="another kind of object"):
        read(tap, commit(repository, {PATH: Entry(FileMode.BLOB, inner)}))


def test_a_name_that_is_there_twice_is_refused(repository: pygit2.Repository, tap: Path) -> None:
    blobs = [repository.create_blob(text) for text in (FOO, b"class Foo < Formula\nend\n")]
    tree = write_tree(repository, [(b"foo.rb", FileMode.BLOB, blob) for blob in blobs])
    found = repository.create_commit(None, SIGNATURE, SIGNATURE, "Twice", tree, [])
    with pytest.raises(BuildSideError, match=r"foo\.rb is there twice"):
        read(tap, str(found), "foo.rb")


def test_a_tree_of_any_length_is_refused(
    repository: pygit2.Repository, tap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "MAX_TREE_BYTES", 10)
    with pytest.raises(BuildSideError, match="limit of 10 bytes"):
        read(tap, head_of(repository))


def test_a_tree_that_is_none_is_refused(repository: pygit2.Repository, tap: Path) -> None:
    broken = repository.odb.write(ObjectType.TREE, b"nonsense")
    content = f"tree {broken}\n\nTitle\n".encode()
    with pytest.raises(BuildSideError, match=PATH):
        read(tap, str(repository.odb.write(ObjectType.COMMIT, content)))


def test_a_broken_object_is_refused(repository: pygit2.Repository, tap: Path) -> None:
    file = loose_object(tap, pygit2.hash(FOO))
    file.chmod(0o644)
    file.write_bytes(b"nonsense")
    with pytest.raises(BuildSideError):
        read(tap, head_of(repository))


# Repositories and working trees


@pytest.mark.parametrize("inside", [".", "below"])
def test_what_is_no_repository_is_refused(inside: str, tmp_path: Path) -> None:
    if inside != ".":
        make_repository(tmp_path, {PATH: FOO}, bare=False).free()
    (tmp_path / inside).mkdir(exist_ok=True)
    with pytest.raises(BuildSideError, match="not a git repository") as caught:
        TapCheckout(tmp_path / inside)
    assert "--tap-dir" in caught.value.next_step


def test_somebody_elses_repository_is_told_with_how_to_read_it(
    tap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise pygit2.GitError("repository path '/x' is not owned by current user")

    monkeypatch.setattr(pygit2, "Repository", refuse)
    with pytest.raises(BuildSideError, match="not owned") as caught:
        TapCheckout(tap)
    assert f"safe.directory {tap}" in caught.value.next_step


def test_a_bare_clone_has_no_working_tree(tmp_path: Path) -> None:
    make_repository(tmp_path, {PATH: FOO}).free()
    with TapCheckout(tmp_path) as opened:
        assert opened.working_copy(PATH) is None


@pytest.mark.usefixtures("repository")
def test_a_working_copy_is_a_plain_file_within_the_clone_or_nothing(tap: Path, tmp_path: Path) -> None:
    file = tap / PATH
    outside = tmp_path / "outside"
    (outside / "f").mkdir(parents=True)
    (outside / "f" / "foo.rb").write_bytes(b"outside")
    with TapCheckout(tap) as opened:
        assert opened.working_copy(PATH) == b""
        file.parent.mkdir(parents=True)
        file.write_bytes(b"changed")
        assert opened.working_copy(PATH) == b"changed"
        file.write_bytes(b" " * (MAX_SOURCE_BYTES + 1))
        assert opened.working_copy(PATH) == b""
        file.unlink()
        file.symlink_to(outside / "f" / "foo.rb")
        assert opened.working_copy(PATH) == b""
        file.unlink()
        os.mkfifo(file)
        assert opened.working_copy(PATH) == b""
        file.unlink()
        file.symlink_to(file)
        assert opened.working_copy(PATH) == b""
        file.unlink()
        file.parent.rmdir()
        file.parent.parent.rmdir()
        file.parent.parent.symlink_to(outside)
        assert opened.working_copy(PATH) == b""
