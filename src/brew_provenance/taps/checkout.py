"""A tap's checkout in the job that builds its bottles: one formula at one commit, and how things stand.

The job's scripts can write to the repository. Objects are read out of git's store only; of the working
tree, one file is looked at, and believed in nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Self

import pygit2
from pygit2.enums import FileMode, ObjectType, RepositoryOpenFlag

from brew_provenance.errors import BuildSideError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.formula.syntax import MAX_SOURCE_BYTES

MAX_COMMIT_BYTES: Final = 1024 * 1024
"""A commit: its message is most of it."""

MAX_TREE_BYTES: Final = 4 * 1024 * 1024
"""One folder's list of files; homebrew-core's longest has some 28 kB."""

MAX_PATH: Final = 256
"""Characters of a formula's path."""

_OBJECT_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
_NAME = re.compile(r"\w[\w@+.-]*", re.ASCII)
_FILES = frozenset({FileMode.BLOB, FileMode.BLOB_EXECUTABLE})
_REPORT = "build the bottle again, from a commit of the tap"


@dataclass(frozen=True)
class FormulaFile:
    """A formula's file at a commit."""

    path: str
    """In the tap."""

    blob: str
    """Its id in git."""

    text: bytes


class TapCheckout:
    """A tap's repository, with a working tree or without. Close it, or use it in a `with` statement."""

    def __init__(self, folder: Path) -> None:
        """Open the repository in `folder`, and not in one of those above it. Raises BuildSideError."""
        self._folder = folder
        self._repository = _open(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the repository."""
        self._repository.free()

    @property
    def head(self) -> str | None:
        """The commit that is checked out; None where there is none yet."""
        try:
            return str(self._repository.head.peel(pygit2.Commit).id)
        except pygit2.GitError:
            return None

    @property
    def branch(self) -> str | None:
        """The branch that is checked out; None for a detached head, and where there is no commit."""
        try:
            none = self._repository.head_is_detached or self._repository.head_is_unborn
            branch = None if none else self._repository.head.shorthand
        except pygit2.GitError:
            return None
        return branch

    @property
    def is_shallow(self) -> bool:
        """Whether some history is left out."""
        return self._repository.is_shallow

    @property
    def remote(self) -> str | None:
        """The URL of `origin`; None where there is none."""
        found = [remote.url for remote in self._repository.remotes if remote.name == "origin"]
        return found[0] if found else None

    def parents(self, commit: str) -> tuple[str, ...]:
        """Return the parents of a commit as it names them itself, also where a clone has none of them.

        Raises BuildSideError when the commit is not there.
        """
        header, _, _ = self._commit(commit).partition(b"\n\n")
        lines = (line.partition(b" ") for line in header.split(b"\n"))
        return tuple(value.decode("ascii", "replace") for key, _, value in lines if key == b"parent")

    def formula(self, commit: str, path: str, name: str) -> FormulaFile:
        """Return the file of the formula `name` at a commit.

        Raises BuildSideError when `path` is none that a formula's file can have, or is not a file there.
        """
        thing = f"{path} at {commit[:12]}"
        parts = _parts(path, name)
        tree = self._tree_of(commit)
        for part in parts[:-1]:
            mode, id_ = self._entry(tree, part, thing)
            if mode != FileMode.TREE:
                raise BuildSideError(thing, f"{part} is no folder, and nothing else is followed", _REPORT)
            tree = id_
        mode, blob = self._entry(tree, parts[-1], thing)
        if mode not in _FILES:
            raise BuildSideError(thing, "not a file, and nothing else is followed", _REPORT)
        return FormulaFile(path, str(blob), self._object(blob, ObjectType.BLOB, MAX_SOURCE_BYTES, thing))

    def working_copy(self, path: str) -> bytes | None:
        """Return what lies at a file's path in the working tree; None where the clone has no such tree.

        It is empty where no plain file of a formula's length lies there. `path` is one that `formula` has
        accepted.
        """
        if self._repository.is_bare:
            return None
        folder = Path(self._repository.workdir)
        found = folder.joinpath(*path.split("/"))
        try:
            # No link on the way leads elsewhere, and no pipe is waited for.
            if found.resolve(strict=True) == folder.resolve() / path and stat.S_ISREG(
                os.lstat(found).st_mode
            ):
                return read_bounded(found, MAX_SOURCE_BYTES)
        except (OSError, RuntimeError, FileTooLongError):
            pass
        return b""

    def _commit(self, commit: str) -> bytes:
        thing = f"commit {commit[:40]} in {self._folder}"
        if _OBJECT_ID.fullmatch(commit) is None:
            raise BuildSideError(thing, "not the id of a commit", _REPORT)
        if pygit2.Oid(hex=commit) not in self._repository.odb:
            shallow = "; the clone is shallow" if self.is_shallow else ""
            raise BuildSideError(
                thing,
                f"it is not there{shallow}",
                f"run `git fetch --depth=1 origin {commit}` there, or give --tap-dir",
            )
        return self._object(pygit2.Oid(hex=commit), ObjectType.COMMIT, MAX_COMMIT_BYTES, thing)

    def _tree_of(self, commit: str) -> pygit2.Oid:
        first, _, _ = self._commit(commit).partition(b"\n")
        key, _, value = first.partition(b" ")
        found = value.decode("ascii", "replace")
        if key != b"tree" or _OBJECT_ID.fullmatch(found) is None:
            raise BuildSideError(f"commit {commit} in {self._folder}", "it has no tree", _REPORT)
        return pygit2.Oid(hex=found)

    def _entry(self, tree: pygit2.Oid, name: str, thing: str) -> tuple[int, pygit2.Oid]:
        self._object(tree, ObjectType.TREE, MAX_TREE_BYTES, thing)
        try:
            found = [entry for entry in self._repository[tree].peel(pygit2.Tree) if entry.name == name]
        except pygit2.GitError as error:
            raise BuildSideError(thing, str(error), _REPORT) from error
        if not found:
            raise BuildSideError(thing, f"there is no {name}", _REPORT)
        if len(found) > 1:
            raise BuildSideError(thing, f"{name} is there twice", _REPORT)
        return found[0].filemode, found[0].id

    def _object(self, id_: pygit2.Oid, kind: ObjectType, limit: int, thing: str) -> bytes:
        """Return an object's content, whose kind and length are looked at first."""
        try:
            found, size = self._repository.odb.read_header(id_)
            if found != kind:
                raise BuildSideError(thing, "another kind of object than what leads to it says", _REPORT)
            if size > limit:
                raise BuildSideError(thing, f"longer than the limit of {limit:,} bytes", _REPORT)
            return self._repository.read(id_)[1]
        except KeyError as error:
            cause = "missing from the repository, which may be a partial clone"
            raise BuildSideError(thing, cause, "fetch it there, or give --tap-dir") from error
        except pygit2.GitError as error:
            raise BuildSideError(thing, str(error), _REPORT) from error


def _parts(path: str, name: str) -> list[str]:
    """Split the path of a formula's file, which whoever wrote the `*.bottle.json` has chosen."""
    parts = path.split("/")
    plain = path.isascii() and path.isprintable() and len(path) <= MAX_PATH
    if not plain or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise BuildSideError(path, "not a path in a tap", _REPORT)
    if _NAME.fullmatch(name) is None or PurePosixPath(path).name != f"{name}.rb":
        raise BuildSideError(path, f"not the file of the formula {name}", _REPORT)
    return parts


def _open(folder: Path) -> pygit2.Repository:
    try:
        return pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH)
    except (pygit2.GitError, KeyError, ValueError) as error:
        next_step = "give the tap's clone with --tap-dir"
        if "owned" in str(error):
            command = f"git config --global --add safe.directory {shlex.quote(str(folder.absolute()))}"
            raise BuildSideError(
                str(folder), str(error), f"if you trust whoever owns it: {command}"
            ) from error
        raise BuildSideError(str(folder), "not a git repository", next_step) from error
