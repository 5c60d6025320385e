"""Archives that are read member by member, and refused where two readers could differ."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.archives import (
    BLOCK,
    END,
    FORMULA,
    GNU,
    HELLO,
    KEG,
    PACKED,
    directory,
    header,
    link,
    long_name,
    member,
    packed,
    padded,
    pax,
    record,
)

from brew_provenance import tarstream
from brew_provenance.tarstream import ArchiveError, ArchiveTooLargeError, Kind, Member, TarStream

LONG = b"/".join([KEG, *[b"d" * 60] * 4, b"file"])


def read(raw: bytes) -> list[tuple[Member, bytes | None]]:
    """Return every member, and the content of files."""
    stream = TarStream(io.BytesIO(raw))
    return [(found, stream.read(found) if found.kind is Kind.FILE else None) for found in stream]


def paths(*members: bytes) -> list[bytes]:
    return [found.path for found, _ in read(packed(*members))]


def test_the_members_of_a_bottle_are_read_in_their_order() -> None:
    assert [(found.path, found.kind, content) for found, content in read(packed(*HELLO))] == [
        (KEG + b"/", Kind.DIRECTORY, None),
        (KEG + b"/.brew/", Kind.DIRECTORY, None),
        (PACKED, Kind.FILE, FORMULA),
        (KEG + b"/bin/", Kind.DIRECTORY, None),
        (KEG + b"/bin/hello", Kind.FILE, b"#!/bin/sh\n"),
        (KEG + b"/bin/hi", Kind.SYMBOLIC_LINK, None),
    ]


def test_content_may_be_left_out() -> None:
    content = bytes(range(256)) * 9000
    stream = TarStream(io.BytesIO(packed(member(b"a", content), member(b"b", b"x"))))
    assert [found.path for found in stream] == [b"a", b"b"]


FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


@pytest.mark.parametrize(
    ("format_", "length"),
    [
        *(("ustar", length) for length in (1, 99, 100, 101, 150, 152)),
        *((name, length) for name in ("gnu", "pax") for length in (1, 99, 100, 101, 155, 256, 300, 1000)),
    ],
)
def test_what_python_writes_is_read(format_: str, length: int) -> None:
    path = "/".join(["p" * 50] * 25)[:length]
    hard, target = tarfile.TarInfo("hard"), io.BytesIO()
    hard.type, hard.linkname = tarfile.LNKTYPE, "target"
    with tarfile.open(fileobj=target, mode="w:gz", format=FORMATS[format_]) as tar:
        info = tarfile.TarInfo(path)
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
        tar.addfile(hard)
    assert [(found.path.decode(), found.kind, content) for found, content in read(target.getvalue())] == [
        (path, Kind.FILE, b"abc"),
        ("hard", Kind.OTHER, None),
    ]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ((pax(record(b"path", LONG)), member(b"short", b"x")), LONG),
        ((long_name(LONG), member(b"short", b"x", magic=GNU)), LONG),
        ((long_name(b"target" * 30, b"K"), long_name(LONG), link(b"short", b"t")), LONG),
        ((member(b"name", prefix=b"a/prefix"),), b"a/prefix/name"),
        ((member(b"", prefix=b"prefix"),), b"prefix"),
        # GNU tar has times where others have a prefix; the oldest format has neither.
        ((member(b"name", magic=GNU, prefix=b"00000000000"),), b"name"),
        ((member(b"name", magic=bytes(8)),), b"name"),
        ((member(b"n" * 100),), b"n" * 100),
        ((pax(record(b"LIBARCHIVE.xattr.x", b"a=b\nc")), member(b"name")), b"name"),
        ((pax(record(b"comment", b"x"), kind=b"g"), member(b"name")), b"name"),
        ((pax(), member(b"name")), b"name"),
    ],
)
def test_names_are_found_wherever_they_stand(members: tuple[bytes, ...], path: bytes) -> None:
    assert paths(*members) == [path]


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (member(b"x", b"c", b"0"), Kind.FILE),
        (member(b"x", b"c", b"\0"), Kind.FILE),
        (member(b"x", b"c", b"7"), Kind.FILE),
        (member(b"x/", kind=b"0"), Kind.DIRECTORY),
        (member(b"x/", kind=b"\0", magic=bytes(8)), Kind.DIRECTORY),
        (member(b"x", kind=b"5"), Kind.DIRECTORY),
        (link(b"x", b"y"), Kind.SYMBOLIC_LINK),
        (link(b"x", b"y", b"1"), Kind.OTHER),
        (member(b"x", kind=b"3"), Kind.OTHER),
        (member(b"x", kind=b"4"), Kind.OTHER),
        (member(b"x", kind=b"6"), Kind.OTHER),
        (pax(record(b"GNU.sparse.major", b"1")) + member(b"x", b"1\n0\n1\n"), Kind.OTHER),
        (pax(record(b"GNU.sparse.name", b"x")) + member(b"GNUSparseFile.0/x", b"1\n"), Kind.OTHER),
        (pax(record(b"SCHILY.realsize", b"9")) + member(b"x", b"1"), Kind.OTHER),
        (pax(record(b"SUN.holesdata", b" 0 9")) + member(b"x", b"1"), Kind.OTHER),
    ],
)
def test_every_kind_is_known_and_what_follows_it_is_found(raw: bytes, kind: Kind) -> None:
    found = read(packed(raw, member(b"next", b"n")))
    assert (found[0][0].path.rstrip(b"/"), found[0][0].kind) == (b"x", kind)
    assert found[1][1] == b"n"


@pytest.mark.parametrize(
    "raw",
    [
        header(b"x", size=b"\x80" + (5).to_bytes(11, "big")) + padded(b"12345"),
        header(b"x", size=b"          5 ") + padded(b"12345"),
        header(b"x", size=b"000000000005") + padded(b"12345"),
        pax(record(b"size", b"5")) + header(b"x", size=0) + padded(b"12345"),
    ],
)
def test_a_size_is_read_however_it_is_written(raw: bytes) -> None:
    assert [content for _, content in read(packed(raw, member(b"y", b"next")))] == [b"12345", b"next"]


REFUSED = {
    "nothing": b"",
    "no gzip": b"not gzip",
    "a bare tar": b"".join(HELLO) + END,
    "an empty gzip file": gzip.compress(b""),
    "an empty archive without an end": packed(end=bytes(BLOCK - 1)),
    "no end": packed(*HELLO, end=b""),
    "a header cut off": packed(*HELLO, end=header(b"x")[:100]),
    "content cut off": packed(header(b"x", size=2000), end=bytes(600)),
    "more than the disk could hold": packed(header(b"x", size=b"\xff" + b"\xff" * 11)),
    "a size beyond everything": packed(header(b"x", size=b"\x80" + b"\xff" * 11)),
    "a gzip checksum": packed(*HELLO)[:-8] + bytes(8),
    "a gzip file cut off": packed(*HELLO)[:-1],
    "half a gzip file": packed(*HELLO)[:100],
    "a second gzip member": packed(*HELLO) + packed(*HELLO),
    "an empty second gzip member": packed(*HELLO) + gzip.compress(b""),
    "zeros after the gzip file": packed(*HELLO) + bytes(512),
    "garbage after the gzip file": packed(*HELLO) + b"x",
    "garbage after the end": packed(*HELLO, end=END + b"x"),
    "a second archive": packed(*HELLO, end=END + b"".join(HELLO) + END),
    "a lone block of zeros": packed(member(b"a"), bytes(BLOCK), member(b"b")),
    "a wrong checksum": packed(header(b"x", checksum=1)),
    "a format of no name": packed(member(b"x", magic=b"ustar\x0001")),
    "a format of another name": packed(member(b"x", magic=b"USTAR\x0000")),
    "a negative size": packed(header(b"x", size=b"-0000000001\0")),
    "an underscore in a size": packed(header(b"x", size=b"000000000_1\0")),
    "no size": packed(header(b"x", size=bytes(12))),
    "a decimal size": packed(header(b"x", size=b"00000000009\0")),
    "no name": packed(member(b"")),
    "an empty name": packed(pax(record(b"path", b"")), member(b"x")),
    "a name with an end in it": packed(pax(record(b"path", b"a\0b")), member(b"x")),
    "a name that is too long": packed(long_name(b"n" * 4097), member(b"x")),
    "two names": packed(pax(record(b"path", b"a")), long_name(b"b"), member(b"x")),
    "two names of a sparse file": packed(
        pax(record(b"path", b"a"), record(b"GNU.sparse.name", b"b")), member(b"x")
    ),
    "two pax headers": packed(pax(record(b"path", b"a")), pax(record(b"path", b"b")), member(b"x")),
    "two long names": packed(long_name(b"a"), long_name(b"b"), member(b"x")),
    "a name without a member": packed(long_name(b"a")),
    "one keyword twice": packed(pax(record(b"path", b"a"), record(b"path", b"b")), member(b"x")),
    "one path for all": packed(pax(record(b"path", b"a"), kind=b"g"), member(b"x")),
    "one target for all": packed(pax(record(b"linkpath", b"a"), kind=b"g"), member(b"x")),
    "one size for all": packed(pax(record(b"size", b"1"), kind=b"g"), member(b"x")),
    "holes for all": packed(pax(record(b"GNU.sparse.major", b"1"), kind=b"g"), member(b"x")),
    "a pax size that is none": packed(pax(record(b"size", b"0x1")), member(b"x")),
    "a negative pax size": packed(pax(record(b"size", b"-1")), member(b"x")),
    "an endless pax size": packed(pax(record(b"size", b"1" * 21)), member(b"x")),
    "a pax header without a length": packed(pax(b"path=a\n"), member(b"x")),
    "a pax header of blanks": packed(pax(b"     "), member(b"x")),
    "a pax length of zero": packed(pax(b"0 a=b\n"), member(b"x")),
    "a pax length before its own end": packed(pax(b"2 a=b\n"), member(b"x")),
    "a pax length that is too long": packed(pax(b"99 a=b\n"), member(b"x")),
    "a pax record without an end": packed(pax(b"5 a=b"), member(b"x")),
    "a pax record without a value": packed(pax(b"4 a\n"), member(b"x")),
    "a pax length of many digits": packed(pax(b"0" * 11 + b"6 a=b\n"), member(b"x")),
    "an old sparse file": packed(member(b"x", b"y", b"S", magic=GNU)),
    "a volume": packed(member(b"x", kind=b"V", magic=GNU)),
    "a continued file": packed(member(b"x", kind=b"M", magic=GNU)),
    "a list of a directory": packed(member(b"x", b"y", b"D", magic=GNU)),
    "a Solaris header": packed(member(b"x", record(b"path", b"a"), b"X"), member(b"x")),
    "an unknown kind": packed(member(b"x", kind=b"Z")),
    "a link with content": packed(member(b"x", b"y", b"1")),
    "a symbolic link with content": packed(member(b"x", b"y", b"2")),
    "a directory with content": packed(member(b"x", b"y", b"5")),
    "a directory by its slash with content": packed(member(b"x/", b"y", b"0")),
    "a directory with content by pax": packed(pax(record(b"size", b"1")), directory(b"x")),
    "a device with content": packed(member(b"x", b"y", b"3")),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_differently_is_refused(raw: bytes) -> None:
    with pytest.raises(ArchiveError, match=r".") as caught:
        read(raw)
    assert not isinstance(caught.value, ArchiveTooLargeError)


def compressed(pieces: Iterator[bytes]) -> bytes:
    deflater = zlib.compressobj(9, wbits=31)
    return b"".join(map(deflater.compress, pieces)) + deflater.flush()


def test_a_bomb_is_put_away_before_it_has_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarstream, "FREE_UNPACKED_BYTES", 4 << 20)
    bomb = compressed(iter([header(b"x", size=64 << 20), *[bytes(1 << 20)] * 64, END]))
    assert len(bomb) < 80_000
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveTooLargeError, match="bytes come out of"):
            read_paths_only(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def read_paths_only(raw: bytes) -> list[bytes]:
    return [found.path for found in TarStream(io.BytesIO(raw))]


def test_zeros_after_the_end_are_bounded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarstream, "FREE_UNPACKED_BYTES", 4 << 20)
    with pytest.raises(ArchiveTooLargeError):
        read_paths_only(compressed(iter([bytes(1 << 20)] * 64)))


def test_what_is_really_large_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = packed(member(b"x", bytes(5000)))
    monkeypatch.setattr(tarstream, "MAX_UNPACKED_BYTES", 4096)
    with pytest.raises(ArchiveTooLargeError):
        read_paths_only(raw)


def test_a_file_may_be_as_long_as_the_limits_let_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarstream, "FREE_UNPACKED_BYTES", 0)
    raw = packed(member(b"x", bytes(5000)))
    assert read_paths_only(raw) == [b"x"]


@pytest.mark.parametrize(
    ("limit", "value", "members"),
    [
        ("MAX_MEMBERS", 2, (member(b"a"), member(b"b"), member(b"c"))),
        ("MAX_HEADER_BYTES", 100, (pax(record(b"path", b"n" * 100)), member(b"x"))),
        ("MAX_HEADER_BYTES", 100, (long_name(b"n" * 100), member(b"x"))),
        ("MAX_HEADER_BYTES", 100, (pax(record(b"comment", b"n" * 100), kind=b"g"), member(b"x"))),
        ("MAX_HEADERS_BYTES", 100, (long_name(b"n" * 60), member(b"x"), long_name(b"n" * 60), member(b"x"))),
    ],
)
def test_every_limit_holds(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, members: tuple[bytes, ...]
) -> None:
    assert len(paths(*members)) <= 3
    monkeypatch.setattr(tarstream, limit, value)
    with pytest.raises(ArchiveTooLargeError):
        paths(*members)


def test_a_header_that_says_it_is_huge_is_not_waited_for() -> None:
    with pytest.raises(ArchiveTooLargeError):
        read_paths_only(packed(header(b"x", b"x", size=1 << 32)))


class Drops:
    """Gives one byte at a time."""

    def __init__(self, raw: bytes) -> None:
        self._stream = io.BytesIO(raw)

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, 1))


def test_the_pieces_in_which_a_file_comes_do_not_matter() -> None:
    stream = TarStream(Drops(packed(*HELLO)))
    assert [found.path for found in stream] == paths(*HELLO)


def accepted_by_python(raw: bytes) -> list[tuple[str, bytes | None]]:
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as tar:
        found = []
        for info in tar:
            stream = tar.extractfile(info) if info.isreg() and not info.issparse() else None
            found.append((info.name, stream.read() if stream else None))
        return found


KINDS = st.sampled_from([b"0", b"5", b"2", b"1"])
MEMBERS: st.SearchStrategy[bytes] = st.one_of(
    st.builds(member, st.binary(max_size=12), st.binary(max_size=700), KINDS),
    st.sampled_from([*HELLO, long_name(b"n"), pax(record(b"path", b"p")), pax(record(b"size", b"3"))]),
)
CHANGES = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4)


@given(st.lists(MEMBERS, max_size=5), CHANGES)
def test_what_is_accepted_is_what_python_reads_and_nothing_else_escapes(
    members: list[bytes], changes: list[tuple[int, int]]
) -> None:
    plain = bytearray(b"".join(members) + END)
    for at, value in changes:
        plain[at % len(plain)] = value
    raw = gzip.compress(bytes(plain), 1, mtime=0)
    try:
        found = read(raw)
    except ArchiveError:
        return
    ours = [(one.path.decode("utf-8", "surrogateescape").rstrip("/"), content) for one, content in found]
    theirs = accepted_by_python(raw)
    assert [name.rstrip("/") for name, _ in theirs] == [name for name, _ in ours]
    assert [content for _, content in ours if content] == [content for _, content in theirs if content]


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_file_is_read_or_refused(garbage: bytes, at: int) -> None:
    whole = packed(*HELLO)
    for raw in (garbage, whole[:at] + garbage + whole[at + len(garbage) :], gzip.compress(garbage)):
        try:
            read(raw)
        except ArchiveError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"a\nb", r"'a\nb'"),
        (b"\xff\x1b[31m", r"'\\xff\x1b[31m'"),
        (b"n" * 300, repr("n" * 200)),
    ],
)
def test_a_path_is_shown_without_what_a_terminal_would_obey(path: bytes, text: str) -> None:
    assert tarstream.shown(path) == text
