from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.sandbox.merkle import MerkleTree


def compute_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = max(1 << k for k in range(len(leaves).bit_length()) if 1 << k < len(leaves))
    left, right = compute_root(leaves[:split]), compute_root(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def compute_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    split = max(1 << k for k in range(len(leaves).bit_length()) if 1 << k < len(leaves))
    if index < split:
        return [*compute_path(index, leaves[:split]), compute_root(leaves[split:])]
    return [*compute_path(index - split, leaves[split:]), compute_root(leaves[:split])]


def grow_tree(leaves: list[bytes]) -> MerkleTree:
    tree = MerkleTree()
    assert [tree.append(leaf) for leaf in leaves] == list(range(len(leaves)))
    return tree


def test_test_vector() -> None:
    # The hash of an empty leaf and of an empty tree (RFC 6962's reference implementation).
    tree = MerkleTree()
    assert tree.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    tree.append(b"")
    assert tree.root().hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize("size", range(1, 34))
def test_every_root_and_path_is_the_rfc_s(size: int) -> None:
    leaves = [bytes([number]) for number in range(size)]
    tree = grow_tree(leaves)
    assert len(tree) == size
    for earlier in range(1, size + 1):
        assert tree.root(earlier) == compute_root(leaves[:earlier])
        for index in range(earlier):
            assert tree.prove(index, earlier) == compute_path(index, leaves[:earlier])


@given(st.integers(1, 2000), st.data())
def test_path_of_a_large_tree(size: int, data: st.DataObject) -> None:
    leaves = [number.to_bytes(2) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    assert grow_tree(leaves).prove(index) == compute_path(index, leaves)


def test_root_of_empty_tree() -> None:
    assert MerkleTree().root() == compute_root([])
    assert grow_tree([b"leaf"]).root(0) == compute_root([])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (2, 2), (-1, 2), (0, 4)])
def test_no_path_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(IndexError):
        grow_tree([b"a", b"b", b"c"]).prove(index, size)


@pytest.mark.parametrize("size", [-1, 4])
def test_no_root_of_what_is_not_there(size: int) -> None:
    with pytest.raises(IndexError):
        grow_tree([b"a", b"b", b"c"]).root(size)
