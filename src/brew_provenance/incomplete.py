"""A file that gets its name when all of it is there; until then it stands beside, as `<name>.incomplete`.

In a shared folder, somebody else may have prepared what is about to be written: a link that leads
elsewhere, a pipe, a file that they can change afterwards. None of it is used.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from brew_provenance.bottle import Digest
from brew_provenance.errors import InputError

_CHUNK = 1 << 20
_OPENED_AGAIN = 5


class IncompleteFile:
    """The file that a download is written to; while it is open, no other process writes to it.

    Every method raises InputError when the file system does not let it.
    """

    def __init__(self, final: Path, limit: int) -> None:
        """Prepare to write what will be named `final`; what is there already counts, up to `limit` bytes."""
        self._final = final
        self._path = final.with_name(f"{final.name}.incomplete")
        self._limit = limit
        self._hasher = hashlib.sha256()
        self.size = 0
        """How many bytes are there."""

    def __enter__(self) -> Self:
        with _storing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._open()
            try:
                self._read()
            except BaseException:
                os.close(self._descriptor)
                raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._descriptor)

    def digest(self) -> Digest:
        """Return the digest of what is there."""
        return Digest("sha256", self._hasher.hexdigest())

    def append(self, piece: bytes) -> None:
        """Write `piece` at the end."""
        self._hasher.update(piece)
        self.size += len(piece)
        rest = memoryview(piece)
        with _storing(self._path):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def restart(self) -> None:
        """Throw away what is there."""
        with _storing(self._path):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._hasher = hashlib.sha256()
        self.size = 0

    def remove(self) -> None:
        """Take the file away."""
        with _storing(self._path):
            self._path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its final name, now that all of it is there."""
        with _storing(self._final):
            os.fsync(self._descriptor)
            self._path.replace(self._final)
            folder = os.open(self._final.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _open(self) -> int:
        for _ in range(_OPENED_AGAIN):
            # No link of somebody else's is followed, and no pipe is waited for.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o644)
            try:
                self._check(os.fstat(descriptor))
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had the lock may have given the file its final name.
                held = self._is_at_path(descriptor)
            except BlockingIOError as error:
                os.close(descriptor)
                raise InputError(
                    str(self._path), "another process is downloading it", "run this again when that is done"
                ) from error
            except BaseException:
                os.close(descriptor)
                raise
            if held:
                return descriptor
            os.close(descriptor)
        raise InputError(str(self._path), "is replaced again and again", "choose a folder of your own")

    def _check(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            cause = "not a regular file"
        elif _is_open_to_others(status):
            cause = "others could change it after it was compared"
        elif status.st_nlink > 1:
            cause = "it has other names, whose content would change as well"
        else:
            return
        raise InputError(str(self._path), cause, "remove it, or choose a folder of your own")

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.lstat())
        except FileNotFoundError:
            return False

    def _read(self) -> None:
        """Hash what an earlier download left, and stand at its end."""
        while piece := os.read(self._descriptor, _CHUNK):
            self._hasher.update(piece)
            self.size += len(piece)
            if self.size > self._limit:
                self.restart()
                return


def holds(path: Path, digest: Digest, limit: int) -> bool:
    """Say whether a file has a digest, and is one that nobody else can change afterwards.

    Raises InputError when it cannot be read to its end.
    """
    with _storing(path):
        try:
            # No link either: it may lead elsewhere the next time.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        hasher, length = hashlib.sha256(), 0
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or _is_open_to_others(status):
                return False
            while length <= limit and (piece := os.read(descriptor, _CHUNK)):
                hasher.update(piece)
                length += len(piece)
        finally:
            os.close(descriptor)
    return hasher.hexdigest() == digest.value


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    """Turn what the file system says into an error that a person can act on."""
    try:
        yield
    except OSError as error:
        cause, next_step = error.strerror or str(error), "choose a folder that can be written to"
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            next_step = "make room and run this again: it goes on where it stopped"
        elif error.errno == errno.ELOOP:
            cause, next_step = "a symbolic link, which no download is written through", "remove it"
        raise InputError(str(path), cause, next_step) from error


def _is_open_to_others(status: os.stat_result) -> bool:
    return status.st_uid not in {0, os.geteuid()} or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
