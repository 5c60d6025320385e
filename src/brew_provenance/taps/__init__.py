"""Where formulae come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

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
