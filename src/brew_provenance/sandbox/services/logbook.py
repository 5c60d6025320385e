"""A transparency log that remembers its entries, in memory or in a file that it reads again."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from brew_provenance import strictjson
from brew_provenance.errors import InputError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.sandbox.entries import EntryBody
from brew_provenance.sandbox.merkle import hash_leaf
from brew_provenance.sandbox.services.service import MAX_BODY_BYTES
from brew_provenance.sandbox.tlog import TransparencyLog
from brew_provenance.sandbox.wire import JsonObject, encode_bytes, encode_json

_MAX_FILE_BYTES: Final = 1024 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """An entry, and where it is."""

    index: int
    """Its place in the tree."""

    body: EntryBody
    at: datetime | None
    """When a log of version 1 took it; None in one of version 2."""


class LogBook:
    """The entries of a log, each once. Not to be used from two threads at once."""

    def __init__(self, log: TransparencyLog, file: Path | None = None) -> None:
        """Write down what `log` takes; with a file, go on from what it holds.

        Raises InputError when the file cannot be used.
        """
        self.log = log
        self._file = file
        self._entries: dict[int, Entry] = {}
        self._by_leaf: dict[bytes, Entry] = {}
        if file is not None and file.exists():
            for body, at in _read(file):
                self._append(body, at)

    def record(self, body: EntryBody, at: datetime | None) -> tuple[Entry, bool]:
        """Return the entry of a body, and whether it is new; an old one keeps its place and time.

        Raises OSError when it cannot be kept.
        """
        known = self._by_leaf.get(hash_leaf(body.content))
        if known is not None:
            return known, False
        if self._file is not None:
            with self._file.open("ab") as stream:
                stream.write(encode_json(_describe(body, at)) + b"\n")
        return self._append(body, at), True

    def find_leaf(self, leaf: bytes) -> Entry | None:
        """Return the entry with this leaf hash."""
        return self._by_leaf.get(leaf)

    def find_index(self, log_index: int) -> Entry | None:
        """Return the entry with this index, counted over all shards."""
        return self._entries.get(log_index - self.log.first_index)

    def describe(self, entry: Entry) -> JsonObject:
        """Return an entry as a bundle carries it, with a proof for the tree as it is now."""
        return self.log.describe(entry.index, entry.body, entry.at)

    def _append(self, body: EntryBody, at: datetime | None) -> Entry:
        entry = Entry(self.log.append(body.content), body, at)
        self._entries[entry.index] = entry
        self._by_leaf[hash_leaf(body.content)] = entry
        return entry


def _describe(body: EntryBody, at: datetime | None) -> JsonObject:
    return {
        "kind": body.kind,
        "version": body.version,
        "body": encode_bytes(body.content),
        "at": None if at is None else int(at.timestamp()),
    }


def _read(file: Path) -> list[tuple[EntryBody, datetime | None]]:
    try:
        raw = read_bounded(file, _MAX_FILE_BYTES)
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            # A process died while it wrote the last line, and before it told anybody of the entry.
            file.write_bytes(whole)
        return [_read_line(line) for line in whole.splitlines()]
    except OSError as error:
        raise InputError(str(file), error.strerror or str(error), "give another folder") from error
    except (FileTooLongError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(str(file), f"no log of a sandbox: {error}"[:300], "give a new folder") from error


def _read_line(line: bytes) -> tuple[EntryBody, datetime | None]:
    found: Any = strictjson.loads(line, MAX_BODY_BYTES)
    at = None if found["at"] is None else datetime.fromtimestamp(found["at"], UTC)
    content = base64.b64decode(found["body"], validate=True)
    return EntryBody(str(found["kind"]), str(found["version"]), content), at
