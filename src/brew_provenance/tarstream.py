"""A gzip-compressed tar archive, member by member, taken as hostile; nothing is unpacked to the disk.

Whoever unpacks the archive does so with another reader than this one. So what two readers of tar could
take differently is refused, and never read in one of its meanings.

Memory is bounded by the limits below. So is time: at most MAX_UNPACKED_BYTES come out, and beyond the
first FREE_UNPACKED_BYTES at most MAX_RATIO times what went in.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn, Protocol

MAX_UNPACKED_BYTES: Final = 16 << 30
"""How much may come out; the largest bottles of homebrew-core hold less than 10 GB."""

FREE_UNPACKED_BYTES: Final = 256 << 20
"""How much may come out, however little went in."""

MAX_RATIO: Final = 200
"""How many bytes may come out for one that went in, beyond the free ones; DEFLATE could give 1,032."""

MAX_MEMBERS: Final = 1_000_000

MAX_PATH_BYTES: Final = 4096
"""The longest path of a member, which is the longest of Linux."""

MAX_HEADER_BYTES: Final = 256 << 10
"""The longest extended header, which is held in memory."""

MAX_HEADERS_BYTES: Final = 128 << 20
"""How long all extended headers may be together: they are the slowest part to read."""

_CHUNK = 1 << 20
_BLOCK = 512
_OCTAL = re.compile(rb" *([0-7]{1,12})[ \0]*")

# Type flags: POSIX.1-2017, pax, "ustar Interchange Format"; L and K are GNU tar's.
_EXTENDED, _EXTENDED_FOR_ALL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_EXTENSIONS = frozenset({_EXTENDED, _EXTENDED_FOR_ALL, _LONG_NAME, _LONG_LINK})

_SPARSE_NAME = b"GNU.sparse.name"
# Keywords after which a member's content is not what stands in the archive.
_SPARSE = (b"GNU.sparse.", b"SCHILY.realsize", b"SCHILY.filetype", b"SUN.holesdata")


class ArchiveError(ValueError):
    """The archive cannot be read, or could be read in two ways; says why."""


class ArchiveTooLargeError(ArchiveError):
    """The archive is beyond one of the limits; says which."""


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


class Kind(Enum):
    """What a member is."""

    FILE = "file"
    """A file with its content."""

    DIRECTORY = "directory"
    SYMBOLIC_LINK = "symbolic link"
    OTHER = "something else"
    """A hard link, a device, a pipe, or a file with holes, whose content is written in another way."""


_KINDS = {
    **dict.fromkeys((b"0", b"\0", b"7"), Kind.FILE),
    **dict.fromkeys((b"1", b"3", b"4", b"6"), Kind.OTHER),
    b"2": Kind.SYMBOLIC_LINK,
    b"5": Kind.DIRECTORY,
}


@dataclass(frozen=True)
class Member:
    """One member."""

    path: bytes
    """As it is written: it may be absolute, lead upwards, or come twice."""

    kind: Kind

    size: int
    """How many bytes of content stand in the archive."""


@dataclass(frozen=True)
class _Header:
    name: bytes
    type: bytes
    size: int


class TarStream:
    """An archive that is read once, from its start to its end."""

    def __init__(self, packed: Readable) -> None:
        self._unpacked = _Unpacked(packed)

    def __iter__(self) -> Iterator[Member]:
        """Yield the members; the end is reached only when the archive is whole. Raises ArchiveError."""
        extended_bytes = 0
        for _ in range(MAX_MEMBERS):
            extensions: dict[bytes, bytes] = {}
            while (header := self._header()) and header.type in _EXTENSIONS:
                extended_bytes += header.size
                if header.size > MAX_HEADER_BYTES or extended_bytes > MAX_HEADERS_BYTES:
                    raise ArchiveTooLargeError("its extended headers are longer than any that are needed")
                if header.type in extensions:
                    raise ArchiveError("two extended headers of one kind follow each other")
                extensions[header.type] = self._unpacked.read(header.size)
                self._unpacked.skip(-header.size % _BLOCK)
            if header is None:
                if extensions or any(piece.strip(b"\0") for piece in self._unpacked.rest()):
                    raise ArchiveError("its end is not that of an archive")
                return
            member = _member(header, extensions)
            end = self._unpacked.position + member.size + -member.size % _BLOCK
            yield member
            self._unpacked.skip(end - self._unpacked.position)
        raise ArchiveTooLargeError(f"it has more than {MAX_MEMBERS:,} members")

    def read(self, member: Member) -> bytes:
        """Return the content of the member that was yielded last. Raises ArchiveError."""
        return self._unpacked.read(member.size)

    def _header(self) -> _Header | None:
        """Read one header; None at the end of the archive."""
        block = self._unpacked.read(_BLOCK)
        if not block.strip(b"\0"):
            return None
        # The checksum is that of the block with blanks in the checksum's own place.
        if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
            raise ArchiveError("a header has a wrong checksum")
        name, magic = _text(block[:100]), block[257:265]
        if magic == b"ustar\x0000":
            name = b"/".join(filter(None, (_text(block[345:500]), name)))
        elif magic not in {b"ustar  \0", bytes(8)}:
            raise ArchiveError("a header is of no known format")
        return _Header(name, block[156:157], _number(block[124:136]))


class _Unpacked:
    """What comes out of one gzip member, in pieces."""

    def __init__(self, packed: Readable) -> None:
        self._packed = packed
        self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self._went_in = self._came_out = 0
        self._piece, self._at = b"", 0
        self.position = 0
        """How many bytes have been handed out."""

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        found = bytearray()
        while len(found) < size:
            found += self._take(size - len(found)) or _cut_off()
        return bytes(found)

    def skip(self, size: int) -> None:
        """Leave `size` bytes out."""
        while size:
            size -= len(self._take(size) or _cut_off())

    def rest(self) -> Iterator[bytes]:
        """Yield all that is left."""
        while piece := self._take(_CHUNK):
            yield piece

    def _take(self, size: int) -> bytes:
        if self._at == len(self._piece):
            self._piece, self._at = self._inflate(), 0
        piece = self._piece[self._at : self._at + size]
        self._at += len(piece)
        self.position += len(piece)
        return piece

    def _inflate(self) -> bytes:
        """Return the next piece; none at the end, where the checksum has been compared."""
        while not self._inflater.eof:
            source = self._inflater.unconsumed_tail
            if not source:
                source = self._packed.read(_CHUNK) or _cut_off()
                self._went_in += len(source)
            try:
                piece = self._inflater.decompress(source, _CHUNK)
            except zlib.error as error:
                raise ArchiveError(f"it is no readable gzip file: {error}") from error
            self._came_out += len(piece)
            if self._came_out > min(MAX_UNPACKED_BYTES, FREE_UNPACKED_BYTES + MAX_RATIO * self._went_in):
                raise ArchiveTooLargeError(
                    f"more than {self._came_out:,} bytes come out of {self._went_in:,} bytes"
                )
            if piece:
                return piece
        if self._inflater.unused_data or self._packed.read(1):
            raise ArchiveError("something follows the compressed archive")
        return b""


def _member(header: _Header, extensions: Mapping[bytes, bytes]) -> Member:
    """Return the member that a header and the extended headers before it describe."""
    records = _records(extensions.get(_EXTENDED, b""))
    names = {records[keyword] for keyword in (b"path", _SPARSE_NAME) if keyword in records}
    names |= {_text(name) for type_, name in extensions.items() if type_ == _LONG_NAME}
    if len(names) > 1:
        raise ArchiveError("a member has two names")
    path = names.pop() if names else header.name
    if not 0 < len(path) <= MAX_PATH_BYTES or b"\0" in path:
        raise ArchiveError("the name of a member is no path")
    for keyword in _records(extensions.get(_EXTENDED_FOR_ALL, b"")):
        if keyword in {b"path", b"linkpath", b"size"} or keyword.startswith(_SPARSE):
            raise ArchiveError("all members are given one name, size or layout")
    kind = _KINDS.get(header.type)
    if kind is Kind.FILE and path.endswith(b"/"):
        # Old archives mark a directory by nothing else.
        kind = Kind.DIRECTORY
    size = _decimal(records[b"size"]) if b"size" in records else header.size
    if kind is None or (size and kind is not Kind.FILE):
        raise ArchiveError(f"{shown(path)} is of no known kind, or has content and is no file")
    if any(keyword.startswith(_SPARSE) for keyword in records):
        kind = Kind.OTHER
    return Member(path, kind, size)


def shown(path: bytes) -> str:
    """Return a path for people: quoted, and not too long."""
    return repr(path[:200].decode(errors="backslashreplace"))


def _records(raw: bytes) -> dict[bytes, bytes]:
    """Read the records `LENGTH KEYWORD=VALUE` of a pax header."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(raw):
        space = raw.find(b" ", at, at + 12)
        end = at + _decimal(raw[at : max(at, space)])
        keyword, equals, value = raw[space + 1 : end].partition(b"=")
        if end > len(raw) or not equals or not value.endswith(b"\n") or keyword in records:
            raise ArchiveError("a pax header is not well formed")
        records[keyword] = value[:-1]
        at = end
    return records


def _number(field: bytes) -> int:
    """Read a number of a header: octal digits, or binary after a mark where it is too large for them."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise ArchiveError("a header holds no number where one should be")
    return int(match[1], 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise ArchiveError("a pax header holds no number where one should be")
    return int(digits)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _cut_off() -> NoReturn:
    raise ArchiveError("it is cut off")
