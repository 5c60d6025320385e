"""Git repositories with taps in them, made object by object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pygit2
from pygit2.enums import FileMode, ObjectType

SIGNATURE: Final = pygit2.Signature("Octo", "octo@example.org", 1_700_000_000, 0)
BRANCH: Final = "refs/heads/main"


class Entry(NamedTuple):
    """Something in a tree that is no ordinary file."""

    mode: int
    content: bytes | pygit2.Oid
    """What a blob holds, or the id of anything."""


def link(target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(FileMode.LINK, target.encode())


def submodule() -> Entry:
    return Entry(FileMode.COMMIT, pygit2.Oid(hex="c" * 40))


Files = Mapping[Any, bytes | Entry]
"""Path, as a string or as bytes, to content."""


def formula(name: str = "Foo", digest: str = "a" * 64, version: str = "1.1", tag: str = "sonoma") -> bytes:
    """Return the source of a formula with one bottle."""
    return f"""\
class {name} < Formula
  url "https://example.org/foo-{version}.tar.gz"
  sha256 "{"f" * 64}"

  bottle do
    sha256 cellar: :any, {tag}: "{digest}"
  end
end
""".encode()


def make_repository(folder: Path, files: Files | None = None, *, bare: bool = True) -> pygit2.Repository:
    """Make a repository; with one commit, when there are files."""
    repository = pygit2.init_repository(str(folder), bare=bare, initial_head="main")
    if files is not None:
        commit(repository, files)
    return repository


def commit(repository: pygit2.Repository, files: Files) -> str:
    """Commit files, and nothing else, to the main branch, and return the commit's id."""
    return commit_tree(repository, write_files(repository, files))


def commit_tree(repository: pygit2.Repository, tree: pygit2.Oid) -> str:
    """Commit a tree to the main branch, and return the commit's id."""
    parents = [] if repository.head_is_unborn else [repository.head.target]
    return str(repository.create_commit(BRANCH, SIGNATURE, SIGNATURE, "Change", tree, parents))


def write_files(repository: pygit2.Repository, files: Files) -> pygit2.Oid:
    """Write the trees of files, and return the id of the top one."""
    folders: dict[bytes, dict[bytes, bytes | Entry]] = {}
    entries: list[tuple[bytes, int, pygit2.Oid]] = []
    for path, content in files.items():
        name, slash, rest = (path.encode() if isinstance(path, str) else path).partition(b"/")
        if slash:
            folders.setdefault(name, {})[rest] = content
        elif isinstance(content, bytes):
            entries.append((name, FileMode.BLOB, repository.create_blob(content)))
        else:
            held = content.content
            id_ = repository.create_blob(held) if isinstance(held, bytes) else held
            entries.append((name, content.mode, id_))
    entries += [(name, FileMode.TREE, write_files(repository, inner)) for name, inner in folders.items()]
    return write_tree(repository, entries)


def write_tree(repository: pygit2.Repository, entries: Iterable[tuple[bytes, int, pygit2.Oid]]) -> pygit2.Oid:
    """Write a tree to the letter, whatever it says, and return its id."""
    raw = b"".join(b"%o %s\0%s" % (mode, name, id_.raw) for name, mode, id_ in sorted(entries))
    return repository.odb.write(ObjectType.TREE, raw)


def loose_object(folder: Path, id_: pygit2.Oid | str) -> Path:
    """Return the file of an object in a repository's store."""
    found = (folder / ".git" if (folder / ".git").is_dir() else folder) / "objects" / str(id_)[:2]
    return found / str(id_)[2:]
