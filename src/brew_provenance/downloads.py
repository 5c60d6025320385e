"""Fetching bottles: a file gets a bottle's name when all of its bytes are on the disk and are the bottle.

A mirror, a registry and everybody in between may answer anything; in a shared folder, somebody else may
have prepared what is about to be written. Until it is whole, a download stands beside its final name, as
`<name>.incomplete`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from brew_provenance.bottle import Bottle, Digest
from brew_provenance.bottlefile import MAX_BOTTLE_BYTES
from brew_provenance.errors import InputError
from brew_provenance.mirrors import origin
from brew_provenance.transport import Reply, Transport, TransportError

ATTEMPTS: Final = 4
"""How often one URL is asked; each attempt goes on where the one before stopped."""

PATIENCE: Final = 60.0
"""After how many seconds it is looked at how much has come."""

SLOWEST_BYTES: Final = 256 * 1024
"""What has to come in that time: a sender of drops holds nobody up without end."""

Progress = Callable[[int, int | None], None]
"""Told how many bytes of a bottle are there, and how many there will be, where that is known."""

_PASSING = frozenset({"connection-broken", "connection-failed", "answer-timed-out"})
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_PAUSE = 0.5
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = 1 << 20
_OPENED_AGAIN = 5


class BottleFetchError(Exception):
    """A bottle could not be fetched. `code` is a reason code, and the text says what was seen."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def fetch_bottle(  # noqa: PLR0913 - the parts of a download
    transport: Transport,
    bottle: Bottle,
    folder: Path,
    *,
    urls: Sequence[str],
    authorization: Mapping[str, str],
    progress: Progress = lambda _there, _total: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Download a bottle into `folder`, under its file name, and return its path; it has its digest.

    The URLs are asked in turn, each up to ATTEMPTS times. A download goes on where it stopped, also
    where an earlier process began it. Bytes of several answers that together are not the bottle are
    fetched once more from the start. Bytes of one answer that are not the bottle are deleted, so that
    nobody pours them, and nobody else is asked: that is no fault of the network.

    `authorization` holds the header for each origin, as `registry_authorization` returns it. The time
    is that of `transport`. Raises BottleFetchError, and InputError when the folder cannot be used.
    """
    path = folder / str(bottle.file_name)
    with _storing(path):
        folder.mkdir(parents=True, exist_ok=True)
        if _is_there(path, bottle.digest):
            return path
    with _Incomplete(path) as incomplete:
        # Another process may have had the lock until now, and have done the work.
        with _storing(path):
            if _is_there(path, bottle.digest):
                incomplete.remove()
                return path
        if incomplete.digest() != bottle.digest:
            _Download(transport, bottle.digest, authorization, progress, clock, sleep).run(urls, incomplete)
        incomplete.finish()
    return path


class _Incomplete:
    """The file that a download is written to, held by this process alone."""

    def __init__(self, final: Path) -> None:
        self._final = final
        self._path = final.with_name(f"{final.name}.incomplete")
        self._hasher = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        with _storing(self._path):
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
            if self.size > MAX_BOTTLE_BYTES:
                self.restart()
                return


class _Download:
    """One bottle on its way."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a download
        self,
        transport: Transport,
        digest: Digest,
        authorization: Mapping[str, str],
        progress: Progress,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._transport = transport
        self._digest = digest
        self._authorization = authorization
        self._progress = progress
        self._clock = clock
        self._sleep = sleep
        self._restarted = False

    def run(self, urls: Sequence[str], incomplete: _Incomplete) -> None:
        """Return when the bottle is there, whole. Raises BottleFetchError."""
        failures = []
        for url in urls:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._get_whole(url, incomplete)
                except TransportError as error:
                    if error.code not in _PASSING or attempt == ATTEMPTS:
                        failures.append(error.detail)
                        break
                else:
                    return
                self._sleep(_FIRST_PAUSE * (1 << (attempt - 1)))
        raise BottleFetchError("bottle-not-fetched", "; ".join(failures) or "there is nobody to ask for it")

    def _get_whole(self, url: str, incomplete: _Incomplete) -> None:
        pieced = self._get_rest(url, incomplete)
        if incomplete.digest() != self._digest and pieced and not self._restarted:
            self._restarted = True
            incomplete.restart()
            self._get_rest(url, incomplete)
        if incomplete.digest() != self._digest:
            incomplete.remove()
            found = f"{incomplete.size:,} bytes with {incomplete.digest()}"
            raise BottleFetchError(
                "artifact-digest-mismatch", f"{origin(url)} sent {found} instead of {self._digest}"
            )

    def _get_rest(self, url: str, incomplete: _Incomplete) -> bool:
        """Send one request, and say whether its answer went on where another had stopped."""
        headers = {}
        if (authorization := self._authorization.get(origin(url))) is not None:
            headers["Authorization"] = authorization
        if incomplete.size:
            # No If-Range: what a registry names by its digest does not change, and the digest decides.
            headers["Range"] = f"bytes={incomplete.size}-"
        with self._transport.stream(url, headers) as (reply, pieces):
            total = _begin(url, reply, incomplete)
            pieced = incomplete.size > 0
            for piece in self._in_time(url, pieces):
                incomplete.append(piece)
                if incomplete.size > (MAX_BOTTLE_BYTES if total is None else total):
                    incomplete.restart()
                    raise TransportError("answer-too-long", f"{origin(url)} sends more than a bottle has")
                self._progress(incomplete.size, total)
        if total is not None and incomplete.size < total:
            raise TransportError("connection-broken", f"{origin(url)} cut its answer short")
        return pieced

    def _in_time(self, url: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        since, come = self._clock(), 0
        for piece in pieces:
            come += len(piece)
            if self._clock() - since > PATIENCE:
                if come < SLOWEST_BYTES:
                    raise TransportError("answer-timed-out", f"{origin(url)} sent {come:,} bytes in a minute")
                since, come = self._clock(), 0
            yield piece


def _begin(url: str, reply: Reply, incomplete: _Incomplete) -> int | None:
    """Stand where an answer begins, and return how long the bottle will be, where it says so."""
    said = reply.headers.get("Content-Length", "")
    if reply.status == 206 and incomplete.size:
        match = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != incomplete.size:
            incomplete.restart()
            raise TransportError("connection-broken", f"{origin(url)} sends another part than asked for")
        said = match[2]
    elif reply.status == 200:
        # Also where the rest was asked for: not every server knows ranges.
        incomplete.restart()
    elif reply.status == 416 and incomplete.size:
        incomplete.restart()
        raise TransportError("connection-broken", f"{origin(url)} has no more than what is here already")
    else:
        code = "connection-broken" if reply.status in _PASSING_STATUS else "answer-unexpected"
        raise TransportError(code, f"{origin(url)} answers with status {reply.status}")
    total = int(said) if _LENGTH.fullmatch(said) else None
    if total is not None and total > MAX_BOTTLE_BYTES:
        raise TransportError("answer-too-long", f"{origin(url)} would send {total:,} bytes")
    return total


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


def _is_there(path: Path, digest: Digest) -> bool:
    """Say whether a file is the bottle, and nobody else can make it something else afterwards."""
    try:
        # No link either: it may lead elsewhere the next time.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or _is_open_to_others(status):
        os.close(descriptor)
        return False
    hasher, length = hashlib.sha256(), 0
    with os.fdopen(descriptor, "rb") as stream:
        while length <= MAX_BOTTLE_BYTES and (piece := stream.read(_CHUNK)):
            hasher.update(piece)
            length += len(piece)
    return hasher.hexdigest() == digest.value


def _is_open_to_others(status: os.stat_result) -> bool:
    return status.st_uid not in {0, os.geteuid()} or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
