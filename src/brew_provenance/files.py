"""Reading files that somebody else may have made: never more than a stated number of bytes."""

from __future__ import annotations

from pathlib import Path


class FileTooLongError(ValueError):
    """The file is longer than the limit for its kind."""


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a whole file, whatever size it says it has; a device may have no end.

    Raises FileTooLongError when there are more than `limit` bytes, and OSError.
    """
    with path.open("rb") as stream:
        raw = stream.read(limit + 1)
    if len(raw) > limit:
        raise FileTooLongError(f"longer than the limit of {limit:,} bytes")
    return raw
