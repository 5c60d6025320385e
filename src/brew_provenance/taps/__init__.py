"""Where formulae come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from brew_provenance.formula import Formula


class Tap(Protocol):
    """One source of formulae."""

    @property
    def name(self) -> str:
        """What a verdict calls it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it, as far as it has been read."""

    def formula(self, full_name: str) -> Formula:
        """Return the formula `user/repo/name`.

        Raises NothingMatchedError, with close matches, when there is none of that name.
        """

    def formulae(self) -> Iterator[Formula]:
        """Yield every formula of the tap, in the order of their names."""


@runtime_checkable
class Prefetching(Protocol):
    """A tap that answers for many formulae at once in about the time for one."""

    def prefetch(self, full_names: Iterable[str]) -> None:
        """Get ready to return these formulae; what cannot be had is left for `formula` to tell.

        Raises InputError when the source itself does not work.
        """


@runtime_checkable
class Counted(Protocol):
    """A tap that knows how many formulae it has before they are read."""

    @property
    def formula_count(self) -> int:
        """How many there are, those that cannot be read included."""


@dataclass(frozen=True)
class CommittedFile:
    """A file as it is at a commit."""

    blob: str
    """Git's id of its content, in hexadecimal."""

    content: bytes


@dataclass(frozen=True)
class NoSuchFile:
    """A commit is there, and does not hold a file that can be used."""

    why: str


@runtime_checkable
class History(Protocol):
    """A tap of which any commit can be read, for as far as it is at hand."""

    def file_at(self, commit: str, path: str) -> CommittedFile | NoSuchFile | None:
        """Return a formula's file at a commit, named in full; None when the commit is not at hand."""
