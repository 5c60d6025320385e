"""An append-only Merkle tree (RFC 6962, section 2.1)."""

from __future__ import annotations

import hashlib

EMPTY_ROOT = hashlib.sha256().digest()


def hash_leaf(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """A tree of hashes that grows at its right edge.

    Hashes of complete subtrees are kept, so appending is O(1) amortized, and a root or a
    proof O(log n), for the present size or any earlier one.
    """

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, data: bytes) -> int:
        """Add a leaf and return its index."""
        index = len(self)
        node, level = hash_leaf(data), 0
        self._levels[0].append(node)
        while len(self._levels[level]) % 2 == 0:
            node = hash_node(self._levels[level][-2], node)
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node)
        return index

    def root(self, size: int | None = None) -> bytes:
        """Return the root hash over the first `size` leaves, or over all of them.

        Raises:
            IndexError: the tree has fewer leaves.
        """
        size = len(self) if size is None else size
        if not 0 <= size <= len(self):
            raise IndexError(f"the tree has {len(self)} leaves, not {size}")
        return self._hash_range(0, size) if size else EMPTY_ROOT

    def prove(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the inclusion proof of a leaf in the tree of the first `size` leaves.

        The hashes run from the leaf's sibling up to the root's child (RFC 6962, 2.1.1).

        Raises:
            IndexError: there is no such leaf in a tree of that size.
        """
        size = len(self) if size is None else size
        if not 0 <= index < size <= len(self):
            raise IndexError(f"no leaf {index} in a tree of {size} of {len(self)} leaves")
        path: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._hash_range(middle, end))
                end = middle
            else:
                path.append(self._hash_range(start, middle))
                start = middle
        return path[::-1]

    def _hash_range(self, start: int, end: int) -> bytes:
        size = end - start
        level = size.bit_length() - 1
        if size == 1 << level:
            return self._levels[level][start >> level]
        middle = start + _split(size)
        return hash_node(self._hash_range(start, middle), self._hash_range(middle, end))


def _split(size: int) -> int:
    """Return the largest power of two that is smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)
