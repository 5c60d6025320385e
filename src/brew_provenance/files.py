"""Files that somebody else may have made: read no further than a stated number of bytes, written whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_PIECE = 1 << 16


class FileTooLongError(ValueError):
    """The file is longer than the limit for its kind."""


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a whole file, whatever size it says it has; a device may have no end.

    Raises FileTooLongError when there are more than `limit` bytes, and OSError.
    """
    pieces = []
    left = limit + 1
    with path.open("rb") as stream:
        # In pieces, since room for all that is asked for is made at once.
        while left > 0 and (piece := stream.read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
    if left <= 0:
        raise FileTooLongError(f"longer than the limit of {limit:,} bytes")
    return b"".join(pieces)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that others may read whole, or leave what was there; a link of its name is replaced.

    Raises OSError.
    """
    # Under a name that nobody can have prepared.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        unfinished.chmod(0o644)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def make_private(folder: Path) -> None:
    """Make a folder, and those above it, which nobody else may enter; those that are there stay as they are.

    Raises OSError.
    """
    for path in (*reversed(folder.parents), folder):
        path.mkdir(mode=0o700, exist_ok=True)
