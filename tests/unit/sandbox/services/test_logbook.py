"""The log's memory: a file that it goes on from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from brew_provenance.errors import InputError
from brew_provenance.sandbox.entries import EntryBody
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.services.logbook import LogBook

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def body(number: int) -> EntryBody:
    return EntryBody("dsse", "0.0.1", b'{"number":%d}' % number)


def test_a_log_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    first = LogBook(VirtualSigstore().rekor_v1, file)
    entries = [first.record(body(number), AT)[0] for number in range(5)]

    second = LogBook(VirtualSigstore().rekor_v1, file)
    assert len(second.log.tree) == len(first.log.tree)
    assert second.log.tree.root() == first.log.tree.root()
    for entry in entries:
        assert second.find_index(second.log.first_index + entry.index) == entry
        assert second.describe(entry) == first.describe(entry)
    assert second.record(body(3), AT.replace(hour=13)) == (entries[3], False)
    entry, is_new = second.record(body(5), None)
    assert (entry.index, entry.at, is_new) == (entries[-1].index + 1, None, True)
    assert len(LogBook(VirtualSigstore().rekor_v1, file).log.tree) == len(second.log.tree)


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff", b"[]", b"{}", b'{"kind":"x","version":"1","body":"?","at":1}', b"7",
     b'{"kind":"x","version":"1","body":"","at":1e99}', b"[" * 10_000],
)  # fmt: skip
def test_a_file_that_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "log.jsonl"
    file.write_bytes(content + b"\n")
    with pytest.raises(InputError, match="no log of a sandbox"):
        LogBook(VirtualSigstore().rekor_v1, file)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        LogBook(VirtualSigstore().rekor_v1, tmp_path)


def test_a_line_that_was_cut_off_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    first = LogBook(VirtualSigstore().rekor_v1, file)
    for number in range(2):
        first.record(body(number), AT)
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    second = LogBook(VirtualSigstore().rekor_v1, file)
    assert len(second.log.tree) == len(first.log.tree) - 1
    second.record(body(1), AT)
    assert file.read_bytes() == whole
