"""How the store answers, where GitHub's answers differ or its documentation leaves a choice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal

from brew_provenance.sandbox.github.attestations import Attestation

INLINE_VERSION: Final = "2022-11-28"
"""The API version whose rows carry the bundle."""

LINKED_VERSION: Final = "2026-03-10"
"""The API version whose rows carry the bundle's URL only."""

VERSIONS: Final = (INLINE_VERSION, LINKED_VERSION)
"""What `X-GitHub-Api-Version` may say."""


class Inline(Enum):
    """What an old version's row has for `bundle`."""

    PRESENT = "present"
    NULL = "null"
    ABSENT = "absent"


def inline_share(share: float, otherwise: Inline = Inline.NULL) -> Callable[[Attestation], Inline]:
    """Return a rule by which that share of all rows, from 0 to 1, carries its bundle.

    Which rows these are depends on nothing but their ids.
    """

    def rule(attestation: Attestation) -> Inline:
        point = int.from_bytes(hashlib.sha256(b"%d" % attestation.id).digest()[:4]) / 2**32
        return Inline.PRESENT if point < share else otherwise

    return rule


class BulkShape(Enum):
    """How a bulk answer holds its digests; the schema says a map, and the documented example a list."""

    MAP = "map"
    LIST = "list"
    """A list of objects with one key each."""


class Missing(Enum):
    """What a bulk answer has for a digest without a row on the page."""

    ABSENT = "absent"
    NULL = "null"
    EMPTY = "empty"


class NoRows(Enum):
    """What the look-up of one digest answers when there is nothing; both are seen."""

    NOT_FOUND = "404"
    EMPTY_LIST = "200"


@dataclass(frozen=True)
class Grant:
    """What a token may do. Public repositories need none to be read."""

    reads: frozenset[str] = frozenset()
    """Full names of private repositories."""

    writes: frozenset[str] = frozenset()
    """Full names of repositories whose attestations it may add and delete."""

    actions: frozenset[str] = frozenset()
    """Full names of private repositories whose workflow runs it may see, too."""

    everything: bool = False
    """Whether it may do all of this everywhere."""

    def may_read(self, full_name: str) -> bool:
        """Whether it may see a private repository."""
        return self.everything or _holds(self.reads | self.writes | self.actions, full_name)

    def may_read_actions(self, full_name: str) -> bool:
        """Whether it may see the workflow runs of a private repository."""
        return self.everything or _holds(self.actions, full_name)

    def may_write(self, full_name: str) -> bool:
        """Whether it may add and delete a repository's attestations."""
        return self.everything or _holds(self.writes, full_name)


def _holds(names: frozenset[str], full_name: str) -> bool:
    return full_name.lower() in {name.lower() for name in names}


EVERYTHING: Final = Grant(everything=True)
"""What an administrator's token may do."""


@dataclass(frozen=True)
class Budgets:
    """Rate limits; the primary ones as GitHub has them for people."""

    with_token: int = 5000
    """Requests in a window, for each token."""

    anonymous: int = 60
    """Requests in a window without a token, or with a bad one."""

    window: int = 3600
    """Seconds until a budget is whole again."""

    exhausted_status: Literal[403, 429] = 403
    points: int | None = None
    """Points in a minute, 1 for a GET and 5 for what may write; None for no secondary limit."""

    secondary_status: Literal[403, 429] = 403
    retry_after: int | None = 60
    """What a secondary refusal says in `retry-after`, in seconds; None for no such header."""


@dataclass(frozen=True)
class Options:
    """How the store answers."""

    default_version: str = INLINE_VERSION
    """The API version of a request that names none."""

    inline: Callable[[Attestation], Inline] = field(default=lambda _: Inline.PRESENT)
    """What a row of the old version has for `bundle`."""

    bulk_shape: BulkShape = BulkShape.MAP
    bulk_missing: Missing = Missing.ABSENT
    bulk_initiator: bool = False
    """Whether bulk rows name the initiator; those of one digest always do."""

    bulk_requires_token: bool = True
    bulk_refusal: Literal[401, 403] = 401
    """How a bulk request without the token that it needs is refused."""

    max_bulk_digests: int = 100
    """Digests in one bulk request; more are refused with 422."""

    no_rows: NoRows = NoRows.NOT_FOUND
    refuses_equal_digests: bool = False
    """Whether one digest under two names counts as a duplicate subject; one name and digest twice does."""

    url_lifetime: int = 600
    """Seconds for which a blob's URL is good; with 0 it is never."""

    tokens: Mapping[str, Grant] = field(default_factory=dict)
    """The tokens that are accepted."""

    other_tokens: Grant | None = None
    """What all other tokens may do; None for refusing them as bad credentials."""

    budgets: Budgets = field(default_factory=Budgets)
    latency: float = 0.0
    """Seconds by which every answer is late, at no other request's expense."""
