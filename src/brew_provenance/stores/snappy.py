"""Snappy's raw block format, in which GitHub keeps bundles, decompressed within limits.

Whoever serves the block controls the length that it declares, so nothing is allocated before that
has been compared. Format: https://github.com/google/snappy/blob/main/format_description.txt
"""

from __future__ import annotations

import cramjam


class SnappyError(ValueError):
    """The block cannot be decompressed, or not within the limit; says why."""


def decompress(block: bytes, limit: int) -> bytes:
    """Return what a raw Snappy block holds.

    Raises SnappyError when it declares more than `limit` bytes, or is damaged.
    """
    try:
        declared = cramjam.snappy.decompress_raw_len(block)
        if declared > limit:
            raise SnappyError(f"declares {declared:,} bytes, the limit is {limit:,}")
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise SnappyError(f"damaged: {error}") from error
