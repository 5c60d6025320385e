"""Bundles that a store gave before, by digest, on this machine.

Whoever can write the folder controls its files: what is read from it is verified again at every
use, and a bundle that does not verify is a reason to ask the store, whose word then counts alone. That
there is none is never remembered. Files are replaced whole, so that several processes can share the
folder, and no symbolic link is followed.

    STORE/sha256-HEX.jsonl      the bundles for one digest, one a line
"""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Final

from brew_provenance import strictjson
from brew_provenance.appraise import Candidate
from brew_provenance.bottle import Digest
from brew_provenance.bundle import (
    MAX_BUNDLE_BYTES,
    MAX_FILE_BUNDLES,
    MAX_FILE_BYTES,
    Bundle,
    read_bundles,
)
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.findings import Finding
from brew_provenance.stores import Answer, Store
from brew_provenance.strictjson import MalformedJSONError

DEFAULT_LIMIT: Final = 512 * 1024 * 1024
"""Bytes of bundles that are kept; the ones that were not used for the longest time go first."""

_FINISHED = re.compile(r"sha(?:256|512)-[0-9a-f]+\.jsonl")
# What a process that was killed leaves behind has a dot in front, and more at the end.
_OWN = re.compile(rf"{_FINISHED.pattern}|\.{_FINISHED.pattern}\.\w+", re.ASCII)


@dataclass(frozen=True)
class CacheInfo:
    """What is in a cache."""

    folder: Path
    files: int
    """Digests for which bundles are kept."""

    size: int
    """Bytes."""


class CachedStore:
    """A store whose answers are remembered; without the store itself, only what is remembered."""

    def __init__(self, inner: Store | None, folder: Path, name: str, *, limit: int = DEFAULT_LIMIT) -> None:
        """Keep the answers of `inner`, called `name`, below `folder`; None: it is not to be asked."""
        self._inner = inner
        self._store = name
        self._root = folder
        self._folder = folder / re.sub(r"[^A-Za-z0-9.-]+|\A\.+", "_", name)
        self._limit = limit
        self._handed_out: set[Digest] = set()

    @property
    def name(self) -> str:
        """What a verdict calls the store."""
        return self._store if self._inner is not None else f"the local cache of {self._store}"

    def resolve(self, digests: Sequence[Digest], *, fresh: bool = False) -> Mapping[Digest, Answer]:
        """Return what is remembered, and ask the store for the rest; for everything when `fresh`.

        A bundle that is remembered and that the store does not hold any more is a candidate as well,
        with a note; not when it was handed out before, as whoever asks anew then had no use for it.
        """
        remembered = {digest: self._read(digest) for digest in digests}
        answers = {digest: _cached(digest, known) for digest, known in remembered.items() if known}
        if self._inner is None:
            return {digest: answers.get(digest, _not_here(digest)) for digest in digests}
        if fresh:
            answers = {}
        if asked := [digest for digest in remembered if digest not in answers]:
            written = False
            for digest, answer in self._inner.resolve(asked, fresh=fresh).items():
                if kept := self._keep(digest, answer, remembered[digest]):
                    written = True
                    answer = kept  # noqa: PLW2901 - what is said of the cache comes with it
                known = () if digest in self._handed_out else remembered[digest]
                answers[digest] = _with_gone(digest, answer, known)
            if written:
                self._trim()
        self._handed_out |= {digest for digest, answer in answers.items() if answer.remembered}
        return answers

    def _read(self, digest: Digest) -> list[Bundle]:
        path = self._path(digest)
        try:
            # Anything but a file could make us wait for ever, or lead out of the folder.
            if self._folder.is_symlink() or not S_ISREG(path.lstat().st_mode):
                return []
            bundles = read_bundles(read_bounded(path, MAX_FILE_BYTES))
        except (OSError, FileTooLongError, MalformedJSONError):
            return []
        with suppress(OSError):
            os.utime(path)
        # Subjects' digests are plain hexadecimal; the subject itself is compared after cryptography.
        named = digest.value.encode()
        return [bundle for bundle in bundles if isinstance(bundle, Bundle) and named in bundle.payload]

    def _keep(self, digest: Digest, answer: Answer, known: Sequence[Bundle]) -> Answer | None:
        """Write the bundles of an answer; returns the answer, with a note where that did not work."""
        found = [item.bundle for item in answer.candidates if isinstance(item.bundle, Bundle)]
        lines = {_line(bundle) for bundle in found}
        if not lines or lines <= {_line(bundle) for bundle in known}:
            return None
        lines |= {_line(bundle) for bundle in known}
        raw = b"".join(sorted(lines))
        if len(raw) > MAX_FILE_BYTES or len(lines) > MAX_FILE_BUNDLES:
            return None  # it could not be read again
        try:
            self._write(self._path(digest), raw)
        except OSError as error:
            note = Finding("cache-not-written", f"{self._folder}: {error.strerror or error}")
            return Answer(answer.candidates, (*answer.findings, note))
        return answer

    def _write(self, path: Path, raw: bytes) -> None:
        for folder in (*reversed(path.parent.parents), path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        if path.parent.is_symlink():
            raise OSError(errno.ELOOP, "a symbolic link")
        descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(raw)
            Path(unfinished).replace(path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def _trim(self) -> None:
        # Other processes trim the same folder, and nothing depends on who is first.
        with suppress(OSError):
            files = sorted(_files(self._root), key=lambda item: item[1].st_mtime)
            excess = sum(status.st_size for _, status in files) - self._limit
            for path, status in files:
                if excess <= 0:
                    return
                path.unlink(missing_ok=True)
                excess -= status.st_size

    def _path(self, digest: Digest) -> Path:
        return self._folder / f"{digest.algorithm}-{digest.value}.jsonl"


def cache_info(folder: Path) -> CacheInfo:
    """Return what is kept below `folder`. Raises OSError when it cannot be looked at."""
    found = list(_files(folder))
    finished = sum(_FINISHED.fullmatch(path.name) is not None for path, _ in found)
    return CacheInfo(folder, finished, sum(status.st_size for _, status in found))


def clear_cache(folder: Path) -> CacheInfo:
    """Delete what is kept below `folder`, and nothing else, and return what was. Raises OSError."""
    info = cache_info(folder)
    for path, _ in _files(folder):
        path.unlink(missing_ok=True)
    for store in _stores(folder):
        with suppress(OSError):
            store.rmdir()
    return info


def _stores(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files that a cache wrote, finished or not, and nothing that merely lies beside them."""
    for store in _stores(folder):
        for path in store.iterdir():
            with suppress(FileNotFoundError):
                if _OWN.fullmatch(path.name) and S_ISREG((status := path.lstat()).st_mode):
                    yield path, status


def _cached(digest: Digest, bundles: Sequence[Bundle]) -> Answer:
    return Answer(
        tuple(
            Candidate(f"local cache, {digest} bundle {number}", bundle)
            for number, bundle in enumerate(bundles, 1)
        ),
        remembered=True,
    )


def _with_gone(digest: Digest, answer: Answer, known: Sequence[Bundle]) -> Answer:
    """Add what is remembered and no longer listed; a look-up that failed in part shows nothing."""
    there = {_line(item.bundle) for item in answer.candidates if isinstance(item.bundle, Bundle)}
    whole = all(isinstance(item.bundle, Bundle) for item in answer.candidates) and not any(
        finding.is_fault for finding in answer.findings
    )
    gone = [bundle for bundle in known if _line(bundle) not in there]
    if not gone:
        return answer
    candidates = (*answer.candidates, *_cached(digest, gone).candidates)
    if not whole:
        notes = tuple(finding for finding in answer.findings if not finding.is_fault)
        faults = (finding for finding in answer.findings if finding.is_fault)
        failed = tuple(Candidate("the store, asked anew", fault) for fault in faults)
        return Answer((*candidates, *failed), notes, remembered=True)
    note = Finding("gone-from-store", f"{len(gone)} attestation(s) for {digest}")
    return Answer(candidates, (*answer.findings, note), remembered=True)


def _not_here(digest: Digest) -> Answer:
    return Answer(findings=(Finding("store-has-no-answer", f"the local cache does not hold {digest}"),))


def _line(bundle: Bundle) -> bytes:
    """Return a bundle as a line that is the same however the store laid it out."""
    document = strictjson.loads(bundle.raw, MAX_BUNDLE_BYTES)
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode() + b"\n"
