"""Shards: an audit in several parts, each on a machine of its own, without a word between them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

MAX_SHARDS: Final = 1_000
"""Parts of one audit."""

_SHARD = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One of so many parts of a tap: whole formulae, by the digest of their names."""

    number: int
    """Which one, counted from 1."""

    of: int
    """How many there are."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2/4`. Raises ValueError for anything else."""
        match = _SHARD.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not written as 2/4")
        number, of = int(match[1]), int(match[2])
        if number > of or of > MAX_SHARDS:
            raise ValueError(f"{text!r} is none of {min(of, MAX_SHARDS)} parts")
        return cls(number, of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, formula: str) -> bool:
        """Say whether a formula's bottles belong to this part, by its short name."""
        digest = hashlib.sha256(formula.encode("utf-8", "backslashreplace")).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1
