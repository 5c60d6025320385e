"""A tap's git repository, at any commit, without a checkout.

Whoever can write to the repository controls names, contents and links in it. Objects are read out of
git's store only: no hook, no filter, no working tree, and no path outside of the commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

import pygit2
from pygit2.enums import FileMode

from brew_provenance import strictjson
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.ruby import read_formula
from brew_provenance.formula.syntax import MAX_SOURCE_BYTES
from brew_provenance.strictjson import MalformedJSONError

MAX_LIST_BYTES: Final = 4 * 1024 * 1024
"""`formula_renames.json` and `tap_migrations.json`."""

MAX_FOLDERS: Final = 10_000
"""Folders of formulae; homebrew-core has some thirty."""

_FOLDERS = ("Formula", "HomebrewFormula")
_TAP = re.compile(
    r"(?P<user>[\w-]+)/homebrew-(?P<repository>\w[\w.-]*?)(?:\.git)?/?", re.ASCII | re.IGNORECASE
)
_GITHUB = re.compile(r"(?:https://|git@|ssh://git@)github\.com[:/]", re.IGNORECASE)
_NAME = re.compile(r"\w[\w@+.-]*", re.ASCII)
_MAX_LINK_BYTES = 4096


@dataclass(frozen=True)
class UnreadableFormula:
    """A formula's file that cannot be read, and why."""

    path: str
    """Its path in the tap."""

    why: str


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
        self._commit = _resolve(self._repository, folder, commit or "HEAD")
        self._tap = (tap or _tap_of(self._repository, folder)).lower()

    @property
    def name(self) -> str:
        """What a verdict calls it: the folder, and the commit."""
        return f"git repository {self._folder} at {self.commit[:12]}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: a commit is what it is."""
        return ()

    @property
    def tap(self) -> str:
        """The tap's name, `user/repo` in lower case."""
        return self._tap

    @property
    def commit(self) -> str:
        """The commit that is read, in full."""
        return str(self._commit.id)

    def formula(self, full_name: str) -> Formula:
        """Return the formula `user/repo/name`; aliases and old names lead to it.

        Raises NothingMatchedError, which says where a formula went, when there is none of that name, and
        InputError when its file cannot be read.
        """
        tap, _, name = full_name.rpartition("/")
        found = self._find(name) if tap == self._tap else None
        if found is None:
            raise self._absence(full_name, name)
        formula = self._read(*found)
        if isinstance(formula, UnreadableFormula):
            raise InputError(
                f"{formula.path} at {self.commit[:12]}",
                formula.why,
                "report it to the tap, or name another commit",
            )
        return formula

    def formulae(self) -> Iterator[Formula]:
        """Yield every formula that can be read, in the order of their names."""
        return (entry for entry in self.entries() if isinstance(entry, Formula))

    def entries(self) -> Iterator[Formula | UnreadableFormula]:
        """Yield every formula, in the order of their names; what cannot be read stops nothing."""
        for name in sorted(self._files):
            yield self._read(name, self._files[name])

    @cached_property
    def _files(self) -> dict[str, tuple[str, pygit2.Object]]:
        """Name to path and object of each formula's file, where brew looks for them (`tap.rb`)."""
        tree = self._commit.tree
        folder = next((name for name in _FOLDERS if _is_folder(tree, name)), None)
        if folder is None:
            walked = [(entry.name or "", entry) for entry in tree if not _is_tree(entry)]
        else:
            walked = list(_walk(folder, tree[folder]))
        files: dict[str, tuple[str, pygit2.Object]] = {}
        for path, entry in walked:
            name = PurePosixPath(path).name.removesuffix(".rb")
            # Of two files with one name brew takes the one with the longer path.
            if path.endswith(".rb") and (name not in files or len(path) > len(files[name][0])):
                files[name] = (path, entry)
        return files

    @cached_property
    def _aliases(self) -> dict[str, str]:
        """Alias to name: links in `Aliases/`, of which only the last part counts."""
        tree = self._commit.tree
        folder = tree["Aliases"] if _is_folder(tree, "Aliases") else None
        links = [
            entry
            for entry in (folder if isinstance(folder, pygit2.Tree) else ())
            if isinstance(entry, pygit2.Blob)
            and entry.filemode == FileMode.LINK
            and entry.size <= _MAX_LINK_BYTES
        ]
        return {
            link.name or "": PurePosixPath(link.data.decode("utf-8", "replace")).name.removesuffix(".rb")
            for link in links
        }

    @cached_property
    def _aliases_of(self) -> dict[str, list[str]]:
        of: dict[str, list[str]] = {}
        for alias, name in sorted(self._aliases.items()):
            of.setdefault(name, []).append(alias)
        return of

    def _find(self, name: str) -> tuple[str, tuple[str, pygit2.Object]] | None:
        for known in (name, self._aliases.get(name), self._list("formula_renames.json").get(name)):
            if known is not None and known in self._files:
                return known, self._files[known]
        return None

    def _read(self, name: str, file: tuple[str, pygit2.Object]) -> Formula | UnreadableFormula:
        path, entry = file
        if _NAME.fullmatch(name) is None:
            return UnreadableFormula(path, "its name is not one that a formula can have")
        try:
            source = _source(entry)
            formula = read_formula(source, tap=self._tap, name=name, path=path, commit=self.commit)
        except (FormulaError, KeyError, pygit2.GitError) as error:
            return UnreadableFormula(path, str(error))
        return replace(formula, aliases=tuple(self._aliases_of.get(name, ())))

    def _list(self, file: str) -> dict[str, str]:
        """Return a list of names to names; one that is missing or no such list is empty."""
        tree = self._commit.tree
        if file not in tree:
            return {}
        entry = tree[file]
        if not isinstance(entry, pygit2.Blob) or entry.size > MAX_LIST_BYTES:
            return {}
        try:
            document = strictjson.loads(entry.data, MAX_LIST_BYTES)
        except MalformedJSONError:
            return {}
        pairs = document.items() if isinstance(document, dict) else ()
        return {old: new for old, new in pairs if isinstance(new, str)}

    def _absence(self, full_name: str, name: str) -> NothingMatchedError:
        if not full_name.startswith(f"{self._tap}/"):
            return NothingMatchedError(
                full_name, f"the {self.name} is {self._tap}", f"name {self._tap}/{name}"
            )
        moved = self._list("tap_migrations.json").get(name)
        if moved is not None:
            return NothingMatchedError(full_name, f"it has moved to {moved}", "name it there")
        from difflib import get_close_matches  # noqa: PLC0415 - only on the way out

        close = get_close_matches(name, [*self._files, *self._aliases])
        return NothingMatchedError(
            full_name,
            f"the {self.name} has no formula of that name",
            f"did you mean {' or '.join(close)}?" if close else "compare the name with the tap's formulae",
        )


def _open(folder: Path) -> pygit2.Repository:
    try:
        found = pygit2.discover_repository(str(folder))
        if found is None:
            raise InputError(str(folder), "not a git repository", "give a clone of the tap, bare or not")
        return pygit2.Repository(found)
    except (pygit2.GitError, KeyError) as error:
        next_step = "give a clone of the tap, bare or not"
        if "owner" in str(error):
            next_step = f"if you trust whoever owns it: git config --global --add safe.directory {folder}"
        raise InputError(str(folder), str(error), next_step) from error


def _resolve(repository: pygit2.Repository, folder: Path, revision: str) -> pygit2.Commit:
    thing = f"{revision} in {folder}"
    try:
        found = repository.revparse_single(revision)
    except KeyError as error:
        shallow = "; the clone is shallow" if repository.is_shallow else ""
        next_step = "fetch it, or name another" if not shallow else "run `git fetch --unshallow` there"
        raise UsageError(thing, f"there is no such commit{shallow}", next_step) from error
    except (ValueError, pygit2.GitError) as error:
        raise UsageError(thing, str(error), "write the commit in full") from error
    try:
        return found.peel(pygit2.Commit)
    except (ValueError, pygit2.GitError) as error:
        raise UsageError(thing, "not a commit", "name a commit, a branch or a tag") from error


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


def _is_tree(entry: pygit2.Object) -> bool:
    return entry.filemode == FileMode.TREE


def _is_folder(tree: pygit2.Tree, name: str) -> bool:
    return name in tree and _is_tree(tree[name])


def _walk(path: str, tree: pygit2.Object) -> Iterator[tuple[str, pygit2.Object]]:
    pending = [(path, tree)]
    for _ in range(MAX_FOLDERS):
        if not pending:
            return
        folder, here = pending.pop()
        for entry in here if isinstance(here, pygit2.Tree) else ():
            inner = f"{folder}/{entry.name}"
            if _is_tree(entry):
                pending.append((inner, entry))
            else:
                yield inner, entry
    raise InputError(path, f"more than the limit of {MAX_FOLDERS:,} folders", "name another commit")


def _source(entry: pygit2.Object) -> bytes:
    if entry.filemode == FileMode.LINK:
        raise FormulaError("a symbolic link")
    if not isinstance(entry, pygit2.Blob):
        raise FormulaError("not a file")
    if entry.size > MAX_SOURCE_BYTES:
        raise FormulaError(f"longer than the limit of {MAX_SOURCE_BYTES:,} bytes")
    return entry.data
