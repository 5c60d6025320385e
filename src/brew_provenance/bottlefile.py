"""What a bottle file says of itself: its digest, and the formula that brew packed into it.

A bottle is always read to its end: the last of two members with one path is the one that is poured, and
the digest needs every byte anyway. How long that takes is bounded, in `tarstream`.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from brew_provenance.bottle import Digest
from brew_provenance.errors import InputError
from brew_provenance.tarstream import (
    ArchiveError,
    ArchiveTooLargeError,
    Kind,
    Member,
    Readable,
    TarStream,
    shown,
)

MAX_BOTTLE_BYTES: Final = 16 << 30
"""The longest file that is taken for a bottle; GitHub's registry holds none beyond 10 GB."""

MAX_FORMULA_BYTES: Final = 1 << 20
"""The longest formula that is read."""

MAX_LINKS_BYTES: Final = 32 << 20
"""How long the paths of all symbolic links may be together, which are held in memory."""

_CHUNK = 1 << 20
_NEXT_STEP = "give a bottle file"


class BottleFileError(ValueError):
    """The packed formula cannot be had. `code` is a reason code, and the text says what was seen."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class PackedFormula:
    """The formula that a bottle was built from, as brew packed it into the bottle."""

    text: bytes
    """Ruby, without the bottle block."""


def examine_bottle(path: Path, formula: str, version: str) -> tuple[Digest, PackedFormula | BottleFileError]:
    """Return a bottle file's sha256, and the formula in the very bytes that were hashed.

    The file is opened once and read once; `path` may be a link to it, as in brew's cache. `version` is
    the package version. Raises InputError when it is no regular file, or cannot be read.
    """
    found: PackedFormula | BottleFileError
    try:
        with _open_regular(path) as stream:
            hashing = _Hashing(stream, path)
            try:
                found = read_packed_formula(hashing, formula=formula, version=version)
            except BottleFileError as error:
                # Without the frames that it came through, which hold what was read.
                found = error.with_traceback(None)
            while hashing.read(_CHUNK):
                pass
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), _NEXT_STEP) from error
    return hashing.digest(), found


def read_packed_formula(stream: Readable, *, formula: str, version: str) -> PackedFormula:
    """Return `<formula>/<version>/.brew/<formula>.rb` of a bottle, which is read to its end.

    Raises BottleFileError when it is not there exactly once, as a plain file, or when the bottle is not
    what brew makes: one gzip member, and in it nothing outside `<formula>/<version>`.
    """
    try:
        return _find(TarStream(stream), formula.encode(), version.encode())
    except ArchiveTooLargeError as error:
        raise BottleFileError("bottle-too-large", str(error)) from error
    except ArchiveError as error:
        raise BottleFileError("bottle-not-a-tarball", str(error)) from error


def _find(archive: TarStream, formula: bytes, version: bytes) -> PackedFormula:
    keg = (formula, version)
    wanted = _Wanted((*keg, b".brew", b"%s.rb" % formula))
    for member in archive:
        parts = _parts(member.path)
        if parts[:2] != keg and (parts != keg[:1] or member.kind is not Kind.DIRECTORY):
            raise BottleFileError("bottle-outside-keg", f"it holds {shown(member.path)}")
        if wanted.is_at(member, parts):
            wanted.text = archive.read(member)
    if wanted.text is None:
        raise BottleFileError("bottle-formula-missing", f"there is no {wanted}")
    return PackedFormula(wanted.text)


class _Wanted:
    """The path that is looked for, and what other members could do to it."""

    def __init__(self, parts: tuple[bytes, ...]) -> None:
        self._parts = parts
        self._folded = tuple(map(_fold, parts))
        self._links: set[tuple[bytes, ...]] = set()
        self._links_bytes = 0
        self.text: bytes | None = None

    def __str__(self) -> str:
        return b"/".join(self._parts).decode()

    def is_at(self, member: Member, parts: tuple[bytes, ...]) -> bool:
        """Say whether `member` is the file. Raises BottleFileError when it could be taken for it."""
        folded = tuple(map(_fold, parts))
        if folded == self._folded:
            self._check(member, parts)
            return True
        if folded == self._folded[: len(folded)] and member.kind is not Kind.DIRECTORY:
            raise BottleFileError("bottle-formula-not-a-file", f"{shown(member.path)} is no directory")
        if member.kind is Kind.SYMBOLIC_LINK:
            self._links.add(folded)
            self._links_bytes += len(member.path)
            if self._links_bytes > MAX_LINKS_BYTES:
                raise BottleFileError("bottle-too-large", "it has too many symbolic links")
        elif folded[-1] == self._folded[-1] and self._is_beyond_a_link(folded):
            raise BottleFileError("bottle-formula-ambiguous", f"{shown(member.path)} lies beyond a link")
        return False

    def _check(self, member: Member, parts: tuple[bytes, ...]) -> None:
        if parts != self._parts:
            raise BottleFileError(
                "bottle-formula-ambiguous", f"{shown(member.path)} is {self} for some file systems"
            )
        if self.text is not None:
            raise BottleFileError("bottle-formula-ambiguous", f"{self} is there twice")
        if member.kind is not Kind.FILE:
            raise BottleFileError("bottle-formula-not-a-file", f"{self} is no plain file")
        if member.size > MAX_FORMULA_BYTES:
            raise BottleFileError("bottle-too-large", f"{self} has {member.size:,} bytes")

    def _is_beyond_a_link(self, folded: tuple[bytes, ...]) -> bool:
        # GNU tar writes through a link that it has made before, and so into `.brew` by another name.
        return any(folded[:end] in self._links for end in range(len(folded)))


def _parts(path: bytes) -> tuple[bytes, ...]:
    """Split a path; one that is absolute or leads upwards has no parts that a keg could have."""
    parts = tuple(part for part in path.split(b"/") if part not in {b"", b"."})
    return () if path.startswith(b"/") or b".." in parts else parts


def _fold(part: bytes) -> bytes:
    """Return what is left of a name where case, accents and invisible characters do not count."""
    if part.isascii():
        return part.lower()
    text = unicodedata.normalize("NFKD", part.decode(errors="replace")).casefold()
    return text.encode("ascii", "ignore")


def _open_regular(path: Path) -> BinaryIO:
    # A pipe without a writer would be waited for, were it not for O_NONBLOCK.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(str(path), "not a regular file", _NEXT_STEP)
    return os.fdopen(descriptor, "rb")


class _Hashing:
    """Hashes what is read through it."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._hasher = hashlib.sha256()
        self._length = 0

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        self._hasher.update(piece)
        # Counted: a file that somebody is writing to has no size to ask for.
        self._length += len(piece)
        if self._length > MAX_BOTTLE_BYTES:
            raise InputError(
                str(self._path), f"longer than the limit of {MAX_BOTTLE_BYTES:,} bytes", _NEXT_STEP
            )
        return piece

    def digest(self) -> Digest:
        return Digest("sha256", self._hasher.hexdigest())
