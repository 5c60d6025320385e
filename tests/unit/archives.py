"""Tar archives written byte by byte, as brew writes them and as nobody should."""

from __future__ import annotations

import gzip
from typing import Final

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
USTAR: Final = b"ustar\x0000"
GNU: Final = b"ustar  \0"

FORMULA: Final = b"class Hello < Formula\nend\n"
KEG: Final = b"hello/3.0.1"
PACKED: Final = KEG + b"/.brew/hello.rb"


def octal(number: int, length: int) -> bytes:
    return b"%0*o\0" % (length - 1, number)


def header(
    name: bytes,
    kind: bytes = b"0",
    size: int | bytes = 0,
    link: bytes = b"",
    magic: bytes = USTAR,
    prefix: bytes = b"",
    checksum: int | None = None,
) -> bytes:
    """Return one header; `size` as bytes stands in its field as it is."""
    length = octal(size, 12) if isinstance(size, int) else size
    fields = b"".join(
        (
            name.ljust(100, b"\0"),
            octal(0o644, 8) + octal(0, 8) + octal(0, 8),
            length,
            octal(0, 12),
            b" " * 8,
            kind,
            link.ljust(100, b"\0"),
            magic,
            bytes(32 + 32 + 8 + 8),
            prefix.ljust(155, b"\0"),
        )
    ).ljust(BLOCK, b"\0")
    total = sum(fields) if checksum is None else checksum
    return fields[:148] + b"%06o\0 " % total + fields[156:]


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def member(name: bytes, content: bytes = b"", kind: bytes = b"0", **fields: bytes) -> bytes:
    """Return a header and the content after it."""
    return header(name, kind, len(content), **fields) + padded(content)  # type: ignore[arg-type]


def directory(name: bytes) -> bytes:
    return header(name + b"/", b"5")


def link(name: bytes, target: bytes, kind: bytes = b"2") -> bytes:
    return header(name, kind, link=target)


def record(keyword: bytes, value: bytes) -> bytes:
    """Return one record of a pax header, which counts its own length."""
    rest = b" %s=%s\n" % (keyword, value)
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    return member(b"PaxHeaders/x", b"".join(records), kind)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    return member(b"././@LongLink", name + b"\0", kind, magic=GNU)


HELLO: Final = (
    directory(KEG),
    directory(KEG + b"/.brew"),
    member(PACKED, FORMULA),
    directory(KEG + b"/bin"),
    member(KEG + b"/bin/hello", b"#!/bin/sh\n"),
    link(KEG + b"/bin/hi", b"hello"),
)
"""The members of a bottle as brew makes it."""


def packed(*members: bytes, end: bytes = END) -> bytes:
    """Return a compressed archive."""
    return gzip.compress(b"".join(members) + end, mtime=0)
