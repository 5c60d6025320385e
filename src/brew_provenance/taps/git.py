"""A tap's git repository, at any commit, without a checkout.

Whoever can write to the repository controls names, contents and links in it. Objects are read out of
git's store only: no hook, no filter, no working tree, and no path outside of the commit.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

import pygit2
from pygit2.enums import DeltaStatus, DiffOption, FileMode, ObjectType, RepositoryOpenFlag

from brew_provenance import strictjson
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.ruby import read_formula
from brew_provenance.formula.syntax import MAX_SOURCE_BYTES
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.taps import CommittedFile, NoSuchFile

MAX_LIST_BYTES: Final = 4 * 1024 * 1024
"""`formula_renames.json` and `tap_migrations.json`."""

MAX_TREE_BYTES: Final = 4 * 1024 * 1024
"""One folder's list of files; homebrew-core's longest has some 28 kB."""

MAX_ENTRIES: Final = 100_000
"""Files and folders of formulae; homebrew-core has some 8,600."""

MAX_PATH: Final = 256
"""Characters of a formula's path, and bytes of a link."""

_FOLDERS = ("Formula", "HomebrewFormula")
_ALIASES = "Aliases"
_TAP = re.compile(
    r"(?P<user>[\w-]+)/homebrew-(?P<repository>\w[\w.-]*?)(?:\.git)?/?", re.ASCII | re.IGNORECASE
)
_GITHUB = re.compile(r"(?:https://|git@|ssh://git@)github\.com[:/]", re.IGNORECASE)
_NAME = re.compile(r"\w[\w@+.-]*", re.ASCII)
_NEXT_STEP = "report it to the tap, or name another commit"
_FILES = frozenset({FileMode.BLOB, FileMode.BLOB_EXECUTABLE})


@dataclass(frozen=True)
class FormulaChange:
    """A formula whose file differs between two commits."""

    name: str
    """The name of its file without `.rb`."""

    now: Formula | UnreadableFormula | None
    """The formula at the newer one; None where it is not there."""


@dataclass(frozen=True)
class UnreadableFormula:
    """A formula's file that cannot be read, and why."""

    path: str
    """Its path in the tap."""

    why: str


class _NotAtHandError(FormulaError):
    """An object is not in the repository, or is damaged there."""


class _Entry(NamedTuple):
    """What a tree says of something in it; it is not looked at yet, and may be something else."""

    mode: int
    id: pygit2.Oid


class _File(NamedTuple):
    path: str
    entry: _Entry


class GitTap:
    """The formulae of one commit."""

    def __init__(self, folder: Path, *, tap: str | None = None, commit: str | None = None) -> None:
        """Open the repository in `folder`, bare or not, at `commit`: a revision, HEAD when it is None.

        `tap` is the tap's name; without it, it is taken from the remote `origin` or from the folder.
        Raises InputError for what is no repository, and UsageError for a commit or a name that
        cannot be found out.
        """
        self._folder = folder
        self._repository = _open(folder)
        self._commit = _resolve(self._repository, folder, "HEAD" if commit is None else commit)
        self._tap = (tap or _tap_of(self._repository, folder)).lower()
        self._unreadable: dict[str, None] = {}

    @property
    def name(self) -> str:
        """What a verdict calls it: the folder, and the commit."""
        return f"git repository {self._folder} at {self.commit[:12]}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Which formulae that came by so far cannot be read, and why, a sentence each."""
        return tuple(self._unreadable)

    @property
    def tap(self) -> str:
        """The tap's name, `user/repo` in lower case."""
        return self._tap

    @property
    def commit(self) -> str:
        """The commit that is read, in full."""
        return str(self._commit.id)

    @property
    def repository(self) -> pygit2.Repository:
        """The repository that is read."""
        return self._repository

    def at(self, commit: pygit2.Commit) -> GitTap:
        """Return the same tap at another commit of its repository."""
        other: GitTap = copy(self)
        for name in ("_files", "_links", "_aliases", "_aliases_of", "_renames", "_migrations", "_root"):
            other.__dict__.pop(name, None)
        other._commit, other._unreadable = commit, {}
        return other

    def formulae_since(self, revision: str) -> Iterator[Formula]:
        """Yield the formulae whose files are new, or not as they were at another commit, without aliases.

        `notes` tells of those that cannot be read. Raises UsageError for what is no commit, and InputError
        when a commit's folders cannot be read.
        """
        for change in self.changes_since(self.at(_resolve(self._repository, self._folder, revision))):
            if isinstance(change.now, Formula):
                yield change.now
            elif change.now is not None:
                self._note(change.now)

    def changes_since(self, older: GitTap | None) -> Iterator[FormulaChange]:
        """Yield the formulae whose files differ from an older commit's; all of them when that is None.

        Their aliases are left out. Raises InputError when a commit's folders cannot be read.
        """
        files = self._files if older is None else self._changed_files(older)
        for name in sorted(files):
            file = files[name]
            yield FormulaChange(name, self._read_file(name, file) if file is not None else None)

    def _changed_files(self, older: GitTap) -> Mapping[str, _File | None]:
        """Return the files of formulae that are not as they were, by name; None for one that is gone."""
        folder = self._formula_folder
        if folder is None or folder != older._formula_folder:
            ours, theirs = self._files, older._files
            return {
                name: ours.get(name)
                for name in ours.keys() | theirs.keys()
                if name not in ours or name not in theirs or ours[name].entry != theirs[name].entry
            }
        changed: dict[str, _File | None] = {}
        for path, entry in self._changed_entries(folder, older):
            if not path.endswith(".rb") or any(part.startswith(".") for part in path.split("/")):
                continue
            file = _File(f"{folder}/{path}", entry) if entry is not None else None
            name = PurePosixPath(path).name.removesuffix(".rb")
            known = changed.get(name)
            if file is None:
                changed.setdefault(name, None)
            elif known is None or _rank(file) < _rank(known):
                changed[name] = file
        # A formula that is gone from one folder can still be in another.
        return {name: file if file is not None else self._files.get(name) for name, file in changed.items()}

    def _changed_entries(self, folder: str, older: GitTap) -> Iterator[tuple[str, _Entry | None]]:
        """Yield path and entry of what differs in a folder; None for what is gone. libgit2 compares."""
        ours, theirs = self._root[folder].id, older._root[folder].id
        if ours == theirs:
            return
        for tree in (ours, theirs):
            self._tree(f"{folder}/", tree)
        try:
            found = (
                self._repository[theirs]
                .peel(pygit2.Tree)
                .diff_to_tree(self._repository[ours].peel(pygit2.Tree), DiffOption.SKIP_BINARY_CHECK, 0, 0)
            )
            for number, delta in enumerate(found.deltas):
                if number >= MAX_ENTRIES:
                    raise self._unusable(f"{folder}/", f"more than {MAX_ENTRIES:,} files that changed")
                path = delta.new_file.raw_path.decode("utf-8", "replace")
                if delta.status == DeltaStatus.DELETED:
                    yield path, None
                else:
                    yield path, _Entry(delta.new_file.mode, delta.new_file.id)
        except (KeyError, pygit2.GitError) as error:
            raise self._unusable(f"{folder}/", str(error)) from error

    def formula(self, full_name: str) -> Formula:
        """Return the formula `user/repo/name`; aliases and old names lead to it, as they do in brew.

        Raises NothingMatchedError, which says where a formula went, when there is none of that name, and
        InputError when its file, or what leads to it, cannot be read.
        """
        tap, _, asked = full_name.rpartition("/")
        if tap != self._tap:
            raise NothingMatchedError(
                full_name, f"the {self.name} is {self._tap}", f"name {self._tap}/{asked}"
            )
        name = self._follow(full_name, asked)
        if name not in self._files:
            raise self._absence(full_name, asked)
        formula = self._read(name, self._files[name])
        if isinstance(formula, UnreadableFormula):
            raise self._unusable(formula.path, formula.why)
        return formula

    @property
    def formula_count(self) -> int:
        """How many formulae there are, those that cannot be read included."""
        return len(self._files)

    def formulae(self) -> Iterator[Formula]:
        """Yield every formula that can be read, in the order of their names; `notes` tells of the others.

        Raises InputError when the commit's folders cannot be read.
        """
        for entry in self.entries():
            if isinstance(entry, Formula):
                yield entry
            else:
                self._note(entry)

    def entries(self) -> Iterator[Formula | UnreadableFormula]:
        """Yield every formula, in the order of their names; what cannot be read stops nothing.

        Raises InputError when the commit's folders cannot be read.
        """
        for name in sorted(self._files):
            yield self._read(name, self._files[name])

    def file_at(self, commit: str, path: str) -> CommittedFile | NoSuchFile | None:
        """Return a formula's file at a commit, named in full; None when the commit is not at hand.

        So it is also when the clone lacks what the commit holds, or is damaged. A branch may or may not
        lead to the commit.
        """
        try:
            id_ = pygit2.Oid(hex=commit)
        except ValueError:  # no id of this kind of repository
            return None
        try:
            self._object(id_, ObjectType.COMMIT, MAX_TREE_BYTES)
            entry = _Entry(FileMode.TREE, self._repository[id_].peel(pygit2.Commit).tree_id)
            for part in path.split("/"):
                entries = self._entries(entry.id) if entry.mode == FileMode.TREE else {}
                if part not in entries:
                    return NoSuchFile(f"there is no {path}")
                entry = entries[part]
            if entry.mode not in _FILES:
                return NoSuchFile(f"{path} is not a file")
            return CommittedFile(str(entry.id), self._object(entry.id, ObjectType.BLOB, MAX_SOURCE_BYTES))
        except _NotAtHandError:
            return None
        except FormulaError as error:
            return NoSuchFile(f"{path}: {error}")

    def _note(self, formula: UnreadableFormula) -> None:
        self._unreadable[f"{formula.path} cannot be read: {formula.why}"] = None

    def _follow(self, full_name: str, name: str) -> str:
        """Return the name of the formula that brew takes: aliases first, and files last (`formulary.rb`)."""
        if name in self._links:
            if name not in self._aliases:
                raise self._unusable(f"{_ALIASES}/{name}", "leads to no formula's file")
            return self._aliases[name]
        if renamed := self._renames.get(name):
            return renamed
        went = self._migrations.get(name)
        if went and went not in {self._tap, name, full_name}:
            raise NothingMatchedError(full_name, f"it has moved to {went}", "name it there")
        return name

    @cached_property
    def _files(self) -> dict[str, _File]:
        """Name to path and object of each formula's file, where brew looks for them (`tap.rb`)."""
        files: dict[str, _File] = {}
        for file in self._walk():
            name = PurePosixPath(file.path).name.removesuffix(".rb")
            if name not in files or _rank(file) < _rank(files[name]):
                files[name] = file
        return files

    @property
    def _formula_folder(self) -> str | None:
        """The folder in which brew looks for formulae; None for the top."""
        return next((name for name in _FOLDERS if self._is_folder(name)), None)

    def _walk(self) -> Iterator[_File]:
        """Yield everything that brew takes for a formula's file: `Pathname.glob` skips what is hidden."""
        folder = self._formula_folder
        top = self._commit.tree_id if folder is None else self._root[folder].id
        pending = [(f"{folder}/" if folder else "", top)]
        count = 0
        while pending:
            inside, tree = pending.pop()
            for name, entry in self._tree(inside, tree).items():
                count += 1
                path = f"{inside}{name}"
                if count > MAX_ENTRIES or len(path) > MAX_PATH:
                    limits = f"{MAX_ENTRIES:,} files, and of {MAX_PATH:,} characters in a path"
                    raise self._unusable(inside, f"more than the limits of {limits}")
                if name.startswith("."):
                    continue
                if entry.mode == FileMode.TREE and folder:
                    pending.append((f"{path}/", entry.id))
                if name.endswith(".rb"):
                    yield _File(path, entry)

    @cached_property
    def _links(self) -> dict[str, str]:
        """Alias to what it leads to, as the link says."""
        if not self._is_folder(_ALIASES):
            return {}
        entries = self._tree(f"{_ALIASES}/", self._root[_ALIASES].id)
        return {
            name: self._content(f"{_ALIASES}/{name}", entry.id, MAX_PATH).decode("utf-8", "replace")
            for name, entry in entries.items()
            if entry.mode == FileMode.LINK and not name.startswith(".")
        }

    @cached_property
    def _aliases(self) -> dict[str, str]:
        """Alias to name, for the links that lead to a formula's file and nowhere else."""
        names = {f"../{file.path}": name for name, file in self._files.items()}
        return {alias: names[target] for alias, target in self._links.items() if target in names}

    @cached_property
    def _aliases_of(self) -> dict[str, list[str]]:
        of: dict[str, list[str]] = {}
        for alias, name in sorted(self._aliases.items()):
            of.setdefault(name, []).append(alias)
        return of

    @cached_property
    def _renames(self) -> Mapping[str, str]:
        return self._list("formula_renames.json")

    @cached_property
    def _migrations(self) -> Mapping[str, str]:
        return self._list("tap_migrations.json")

    def _list(self, file: str) -> Mapping[str, str]:
        """Return a list of names to names; a missing one is empty."""
        if file not in self._root:
            return {}
        entry = self._root[file]
        if entry.mode not in _FILES:
            raise self._unusable(file, "not a file")
        try:
            document = strictjson.loads(self._content(file, entry.id, MAX_LIST_BYTES), MAX_LIST_BYTES)
        except MalformedJSONError as error:
            raise self._unusable(file, str(error)) from error
        if not isinstance(document, dict) or not all(isinstance(new, str) for new in document.values()):
            raise self._unusable(file, "not a list of names")
        return document

    def _read(self, name: str, file: _File) -> Formula | UnreadableFormula:
        formula = self._read_file(name, file)
        if isinstance(formula, UnreadableFormula):
            return formula
        return replace(formula, aliases=tuple(self._aliases_of.get(name, ())))

    def _read_file(self, name: str, file: _File) -> Formula | UnreadableFormula:
        path, entry = file
        if _NAME.fullmatch(name) is None or not (path.isascii() and path.isprintable()):
            return UnreadableFormula(path, "its path is not one that a formula can have")
        if entry.mode not in _FILES:
            return UnreadableFormula(path, "a symbolic link" if entry.mode == FileMode.LINK else "not a file")
        try:
            source = self._object(entry.id, ObjectType.BLOB, MAX_SOURCE_BYTES)
            return read_formula(source, tap=self._tap, name=name, path=path, commit=self.commit)
        except FormulaError as error:
            return UnreadableFormula(path, str(error))

    @cached_property
    def _root(self) -> dict[str, _Entry]:
        return self._tree("", self._commit.tree_id)

    def _is_folder(self, name: str) -> bool:
        """Say whether there is a folder at the top; InputError for what could be one in a checkout."""
        mode = self._root[name].mode if name in self._root else FileMode.BLOB
        if mode != FileMode.TREE and mode not in _FILES:
            raise self._unusable(name, "a link or a submodule, which is not followed")
        return mode == FileMode.TREE

    def _tree(self, path: str, tree: pygit2.Oid) -> dict[str, _Entry]:
        """Return what is in a folder."""
        try:
            return self._entries(tree)
        except FormulaError as error:
            raise self._unusable(path or "the top folder", str(error)) from error

    def _entries(self, tree: pygit2.Oid) -> dict[str, _Entry]:
        """Return what is in a folder. Raises FormulaError."""
        self._object(tree, ObjectType.TREE, MAX_TREE_BYTES)
        try:
            found = self._repository[tree].peel(pygit2.Tree)
        except pygit2.GitError as error:
            raise FormulaError(str(error)) from error
        entries: dict[str, _Entry] = {}
        # A tree may call something a folder that is none: here, nothing but names, modes and ids is used.
        for entry in found:
            name = entry.name or ""
            if name in entries or "/" in name or name in {".", ".."}:
                raise FormulaError("holds what no checkout can hold")
            entries[name] = _Entry(entry.filemode, entry.id)
        return entries

    def _content(self, path: str, blob: pygit2.Oid, limit: int) -> bytes:
        try:
            return self._object(blob, ObjectType.BLOB, limit)
        except FormulaError as error:
            raise self._unusable(path, str(error)) from error

    def _object(self, id_: pygit2.Oid, kind: ObjectType, limit: int) -> bytes:
        """Return an object's content, whose length is looked at first. Raises FormulaError."""
        try:
            found, size = self._repository.odb.read_header(id_)
            if found != kind:
                raise FormulaError("another kind of object than its folder says")
            if size > limit:
                raise FormulaError(f"longer than the limit of {limit:,} bytes")
            return self._repository.read(id_)[1]
        except KeyError as error:
            raise _NotAtHandError("missing from the repository, which may be a partial clone") from error
        except pygit2.GitError as error:
            raise _NotAtHandError(str(error)) from error

    def _unusable(self, path: str, why: str) -> InputError:
        return InputError(
            f"{path} at {self.commit[:12]}", why, "report it to the tap, or name another commit"
        )

    def _absence(self, full_name: str, name: str) -> NothingMatchedError:
        from difflib import get_close_matches  # noqa: PLC0415 - only on the way out

        close = get_close_matches(name, [*self._files, *self._aliases])
        return NothingMatchedError(
            full_name,
            f"the {self.name} has no formula of that name",
            f"did you mean {' or '.join(close)}?" if close else "compare the name with the tap's formulae",
        )


def _open(folder: Path) -> pygit2.Repository:
    try:
        # Not one of the folders above: it would be another repository than the one that was named.
        return pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH)
    except (pygit2.GitError, KeyError, ValueError) as error:
        if "owned" in str(error):
            command = f"git config --global --add safe.directory {shlex.quote(str(folder.absolute()))}"
            raise InputError(str(folder), str(error), f"if you trust whoever owns it: {command}") from error
        raise InputError(
            str(folder), "not a git repository", "give a clone of the tap, bare or not"
        ) from error


def _resolve(repository: pygit2.Repository, folder: Path, revision: str) -> pygit2.Commit:
    thing = f"{revision} in {folder}"
    try:
        found = repository.revparse_single(revision)
        return found.peel(pygit2.Commit)
    except KeyError as error:
        shallow = "; the clone is shallow" if repository.is_shallow else ""
        next_step = "fetch it, or name another" if not shallow else "run `git fetch --unshallow` there"
        raise UsageError(thing, f"there is no such commit{shallow}", next_step) from error
    except (ValueError, pygit2.GitError) as error:
        raise UsageError(
            thing, f"no commit: {error}", "name a commit, a branch or a tag; a shortened one in full"
        ) from error


def _tap_of(repository: pygit2.Repository, folder: Path) -> str:
    """Return the tap's name by its remote, or by where brew keeps its clones."""
    urls = [remote.url or "" for remote in repository.remotes if remote.name == "origin"]
    for url in urls:
        if (github := _GITHUB.match(url)) and (match := _TAP.fullmatch(url[github.end() :])):
            return f"{match['user']}/{match['repository']}"
    parts = folder.absolute().parts
    if match := _TAP.fullmatch("/".join(parts[-2:])):
        return f"{match['user']}/{match['repository']}"
    raise UsageError(str(folder), "which tap it is cannot be told from its remote", "give --tap USER/REPO")


def _rank(file: _File) -> tuple[int, list[str]]:
    """Sort first what brew takes of two files with one name: the longer path, then Ruby's order."""
    return -len(file.path), file.path.split("/")
