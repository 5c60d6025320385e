"""The commits of a tap, each once, in an order in which its history can be read in parts.

The *line* is what the branch has been: the first parent of each commit, back to the first one. Before a
commit of the line come those that it merges and that the line did not lead to so far. So all that is
reachable comes by, and what came before a commit of the line is the same wherever reading begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pygit2
from pygit2.enums import SortMode

from brew_provenance.errors import InputError
from brew_provenance.taps.git import FormulaChange, GitTap


@dataclass(frozen=True)
class Step:
    """One commit, and which formulae differ from its first parent."""

    commit: str
    """In full."""

    parent: str | None
    """Its first parent; None for a commit that has none, or whose parent is not at hand."""

    on_line: bool
    """Whether it is one that the branch has been at, and none that was merged."""

    changes: Iterator[FormulaChange]
    """Read as they are taken. Raises InputError when the commit's folders cannot be read."""


class GitLine:
    """The history of a tap up to the commit at which it was opened."""

    def __init__(self, tap: GitTap) -> None:
        self._tap = tap
        self._repository = tap.repository

    @property
    def is_shallow(self) -> bool:
        """Whether the clone does not hold the whole history."""
        return bool(self._repository.is_shallow)

    def commits(self, back_to: str | None = None) -> list[str]:
        """Return the line, the newest first, back to a commit where that is one of it; else all.

        Raises InputError when a commit cannot be read.
        """
        line = [self._tap.commit]
        commit = self._commit(line[0])
        while line[-1] != back_to and (parent := self._parent(commit)) is not None:
            line.append(str(parent.id))
            commit = parent
        return line

    def steps(self, line: Sequence[str]) -> Iterator[Step]:
        """Yield the commits of a part of the line, the oldest first, each after those that it merges.

        Raises InputError when a commit cannot be read.
        """
        walker = self._repository.walk(None, SortMode.NONE)
        for id_ in line:
            commit = self._commit(id_)
            yield from self._merged(walker, commit)
            yield self._step(commit, on_line=True)

    def leads_to(self, commits: Sequence[str]) -> dict[str, bool]:
        """Say for each of some commits, named in full, whether the branch leads to it.

        What a shallow clone does not hold is left out. Raises InputError when a commit cannot be read.
        """
        wanted = set(commits)
        found: set[str] = set()
        try:
            for commit in self._repository.walk(self._tap.commit, SortMode.NONE):
                if (id_ := str(commit.id)) in wanted:
                    found.add(id_)
                    if len(found) == len(wanted):
                        break
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise self._unreadable(self._tap.commit, error) from error
        return {id_: id_ in found for id_ in commits if id_ in found or not self.is_shallow}

    def _merged(self, walker: pygit2.Walker, commit: pygit2.Commit) -> Iterator[Step]:
        """Yield what a commit brings in beside its first parent, parents before children."""
        if len(commit.parent_ids) < 2:
            return
        try:
            walker.reset()
            walker.sort(SortMode.TOPOLOGICAL | SortMode.REVERSE)
            for parent in commit.parent_ids[1:]:
                walker.push(parent)
            walker.hide(commit.parent_ids[0])
            merged = [found.id for found in walker]
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise self._unreadable(str(commit.id), error) from error
        for id_ in merged:
            yield self._step(self._commit(str(id_)), on_line=False)

    def _step(self, commit: pygit2.Commit, *, on_line: bool) -> Step:
        parent = self._parent(commit)
        older = self._tap.at(parent) if parent is not None else None
        changes = self._tap.at(commit).changes_since(older)
        return Step(str(commit.id), str(parent.id) if parent is not None else None, on_line, changes)

    def _parent(self, commit: pygit2.Commit) -> pygit2.Commit | None:
        """Return the first parent; None for the first commit, and where a shallow clone ends."""
        if not commit.parent_ids:
            return None
        if commit.parent_ids[0] not in self._repository and self.is_shallow:
            return None
        return self._commit(str(commit.parent_ids[0]))

    def _commit(self, id_: str) -> pygit2.Commit:
        try:
            return self._repository[id_].peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise self._unreadable(id_, error) from error

    def _unreadable(self, id_: str, error: Exception) -> InputError:
        why = "missing from the repository" if isinstance(error, KeyError) else str(error)
        return InputError(f"commit {id_[:12]} of {self._tap.tap}", why, "fetch the tap's history anew")
