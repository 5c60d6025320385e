"""Snappy blocks: what is declared is compared before anything is made room for."""

from __future__ import annotations

import resource
import tracemalloc

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.stores.snappy import SnappyError, decompress

LIMIT = 1000


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def block(text: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(text))


def literal(text: bytes) -> bytes:
    return bytes([(len(text) - 1) << 2]) + text


@given(st.binary(max_size=LIMIT))
def test_what_was_compressed_comes_back(text: bytes) -> None:
    assert decompress(block(text), LIMIT) == text


def test_the_format_is_the_one_without_frames() -> None:
    assert decompress(varint(3) + literal(b"abc"), LIMIT) == b"abc"
    # A copy of three bytes, one byte back.
    assert decompress(varint(5) + literal(b"a") + b"\x01\x01", LIMIT) == b"aaaaa"
    with pytest.raises(SnappyError):
        decompress(bytes(cramjam.snappy.compress(b"abc")), LIMIT)


@pytest.mark.parametrize("length", [0, 1, LIMIT - 1, LIMIT])
def test_a_block_up_to_the_limit_is_taken(length: int) -> None:
    assert decompress(block(b"x" * length), LIMIT) == b"x" * length


@pytest.mark.parametrize("length", [LIMIT + 1, 2 * LIMIT, 1 << 20])
def test_a_block_above_the_limit_is_refused(length: int) -> None:
    with pytest.raises(SnappyError, match=f"declares {length:,} bytes, the limit is 1,000"):
        decompress(block(b"x" * length), LIMIT)


@pytest.mark.parametrize("declared", [LIMIT + 1, 1 << 30, (4 << 30) - 1])
def test_a_bomb_is_refused_before_there_is_room_for_it(
    declared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*args: object) -> None:
        raise AssertionError("it was decompressed")

    monkeypatch.setattr(cramjam.snappy, "decompress_raw", explode)
    bomb = varint(declared) + literal(b"a") + b"\xfe\x01\x00" * 10
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        with pytest.raises(SnappyError, match="declares"):
            decompress(bomb, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    # What the library allocates is no allocation of Python's.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x80",
        b"\xff" * 5,
        b"\xff" * 20,
        varint(1 << 40),
        varint(3),
        varint(3) + literal(b"ab"),
        varint(3) + literal(b"abcd"),
        varint(3) + literal(b"abc") + b"\x00",
        varint(3) + b"\x08ab",
        varint(8) + b"\x01\x01",
        varint(8) + literal(b"a") + b"\x11\x05",
        varint(8) + literal(b"a") + b"\x0d\x00",
        varint(8) + literal(b"a") + b"\x01",
    ],
)
def test_a_damaged_block_is_said_to_be_damaged(damaged: bytes) -> None:
    with pytest.raises(SnappyError, match=r"damaged|declares"):
        decompress(damaged, LIMIT)


@given(st.binary(max_size=200))
def test_nothing_else_comes_of_any_bytes(raw: bytes) -> None:
    try:
        assert len(decompress(raw, LIMIT)) <= LIMIT
    except SnappyError as error:
        assert str(error)


@given(st.binary(min_size=1, max_size=300), st.integers(0), st.integers(0, 255))
def test_a_flipped_byte_never_gives_more_than_the_limit(text: bytes, place: int, value: int) -> None:
    raw = bytearray(block(text))
    raw[place % len(raw)] = value
    try:
        assert len(decompress(bytes(raw), LIMIT)) <= LIMIT
    except SnappyError as error:
        assert str(error)
