"""Pages of rows, their cursors, and rows as bytes."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from brew_provenance.bottle import Digest
from brew_provenance.sandbox.github.attestations import Attestation
from brew_provenance.sandbox.github.options import Inline

Parts: TypeAlias = list[bytes]
"""JSON in pieces, which are joined once: bundles are long."""

DEFAULT_PER_PAGE: Final = 30
MAX_PER_PAGE: Final = 100


class CursorError(ValueError):
    """A cursor is none that was handed out."""


class Row(NamedTuple):
    """An attestation as the answer to one of the digests that were asked about."""

    attestation: Attestation
    digest: Digest
    place: int
    """Which of the digests that is."""

    @property
    def key(self) -> tuple[int, int]:
        """Where the row stands among all: the newest attestation first."""
        return (-self.attestation.id, self.place)


@dataclass(frozen=True)
class Page:
    """Some of the rows, and the cursors of the pages beside it."""

    rows: Sequence[Row]
    next: str | None
    previous: str | None


def cut_page(rows: Sequence[Row], query: Mapping[str, str]) -> Page:
    """Return the page that `per_page`, `after` and `before` of a query ask for.

    A cursor names a row, so that a page stays the same when attestations come or go before it. Raises
    CursorError.
    """
    rows = sorted(rows, key=lambda row: row.key)
    size = _per_page(query.get("per_page", ""))
    after = _read_cursor(query["after"]) if "after" in query else None
    before = _read_cursor(query["before"]) if "before" in query else None
    wanted = [
        row for row in rows if (after is None or row.key > after) and (before is None or row.key < before)
    ]
    found = wanted[:size] if before is None or after is not None else wanted[-size:]
    if not found:
        return Page((), None, None)
    return Page(
        found,
        make_cursor(found[-1].key) if found[-1].key < rows[-1].key else None,
        make_cursor(found[0].key) if found[0].key > rows[0].key else None,
    )


def make_cursor(key: tuple[int, int]) -> str:
    """Return the cursor of a row; its page is the one after it, or before."""
    return base64.urlsafe_b64encode(b"%d:%d" % key).decode().rstrip("=")


BEFORE_ALL: Final = make_cursor((-(2**63), 0))
"""A cursor whose next page is the first."""


def _read_cursor(text: str) -> tuple[int, int]:
    try:
        number, place = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).split(b":")
        return int(number), int(place)
    except (ValueError, binascii.Error) as error:
        raise CursorError(f"{text!r} is no cursor") from error


def _per_page(text: str) -> int:
    digits = text.lstrip("0")
    if not (digits.isascii() and digits.isdigit()):
        return DEFAULT_PER_PAGE
    return min(int(digits[:4]), MAX_PER_PAGE)


def encode_row(attestation: Attestation, url: bytes, inline: Inline, *, names_initiator: bool) -> Parts:
    """Return a row; the bundle goes in as it is, without being parsed or copied. `url` is a JSON string."""
    match inline:
        case Inline.PRESENT:
            bundle = [b'"bundle":', attestation.bundle, b","]
        case Inline.NULL:
            bundle = [b'"bundle":null,']
        case Inline.ABSENT:
            bundle = []
    initiator = b',"initiator":%b' % json.dumps(attestation.initiator).encode() if names_initiator else b""
    rest = b'"repository_id":%d,"bundle_url":%b%b}' % (attestation.repository_id, url, initiator)
    return [b"{", *bundle, rest]


def enclose(start: bytes, items: Iterable[Parts], end: bytes) -> Parts:
    """Return items with commas between them, and what stands around them."""
    parts = [start]
    for item in items:
        parts += item
        parts.append(b",")
    if len(parts) > 1:
        parts.pop()
    parts.append(end)
    return parts
