"""Files that get their names when they are whole, in folders where others were before."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from brew_provenance.bottle import Digest
from brew_provenance.errors import InputError
from brew_provenance.incomplete import IncompleteFile, holds

LIMIT = 1000


def sha256(raw: bytes) -> Digest:
    return Digest("sha256", hashlib.sha256(raw).hexdigest())


@pytest.fixture
def final(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "name"


@pytest.fixture
def beside(final: Path) -> Path:
    """The file that is written to, in a folder that is there already."""
    final.parent.mkdir()
    return final.with_name("name.incomplete")


def refused(final: Path) -> InputError:
    with pytest.raises(InputError) as caught, IncompleteFile(final, LIMIT):
        pytest.fail("it was opened")
    assert caught.value.thing.startswith(str(final))
    assert caught.value.next_step
    return caught.value


def test_a_file_gets_its_name_when_it_is_finished(final: Path) -> None:
    with IncompleteFile(final, LIMIT) as incomplete:
        assert (incomplete.size, incomplete.digest()) == (0, sha256(b""))
        incomplete.append(b"one")
        incomplete.append(b"")
        incomplete.append(b" two")
        assert (incomplete.size, incomplete.digest()) == (7, sha256(b"one two"))
        assert not final.exists()
        incomplete.finish()
        assert [path.name for path in final.parent.iterdir()] == ["name"]
    assert final.read_bytes() == b"one two"
    assert stat.S_IMODE(final.stat().st_mode) & 0o022 == 0


def test_what_was_there_counts_and_can_be_thrown_away(final: Path, beside: Path) -> None:
    beside.write_bytes(b"before")
    beside.chmod(0o600)
    with IncompleteFile(final, LIMIT) as incomplete:
        assert (incomplete.size, incomplete.digest()) == (6, sha256(b"before"))
        incomplete.append(b" and after")
        assert beside.read_bytes() == b"before and after"
        incomplete.restart()
        assert (incomplete.size, incomplete.digest()) == (0, sha256(b""))
        incomplete.append(b"anew")
        assert beside.read_bytes() == b"anew"
    assert beside.read_bytes() == b"anew"
    with IncompleteFile(final, LIMIT) as incomplete:
        incomplete.remove()
        incomplete.remove()
        assert not beside.exists()


@pytest.mark.parametrize(("length", "kept"), [(LIMIT, LIMIT), (LIMIT + 1, 0), (5 << 20, 0)])
def test_what_was_there_counts_up_to_the_limit(final: Path, beside: Path, length: int, kept: int) -> None:
    beside.write_bytes(bytes(length))
    beside.chmod(0o600)
    with IncompleteFile(final, LIMIT) as incomplete:
        assert incomplete.size == beside.stat().st_size == kept
        assert incomplete.digest() == sha256(bytes(kept))


def make_link(path: Path) -> None:
    (path.parent / "victim").write_bytes(b"precious")
    path.symlink_to("victim")


def make_hard_link(path: Path) -> None:
    (path.parent / "victim").write_bytes(b"precious")
    (path.parent / "victim").chmod(0o600)
    path.hardlink_to(path.parent / "victim")


def make_loose(mode: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.touch()
        path.chmod(mode)

    return make


PREPARED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a link": (make_link, "a symbolic link, which no download is written through"),
    "a link to nowhere": (lambda path: path.symlink_to("nowhere"), "a symbolic link"),
    "a hard link": (make_hard_link, "it has other names"),
    "a folder": (Path.mkdir, "Is a directory"),
    "a pipe": (os.mkfifo, "not a regular file"),
    "a file for the group": (make_loose(0o660), "others could change it"),
    "a file for all": (make_loose(0o606), "others could change it"),
}


@pytest.mark.parametrize(("make", "cause"), PREPARED.values(), ids=PREPARED)
def test_what_others_have_prepared_is_not_written_to(
    final: Path, beside: Path, make: Callable[[Path], None], cause: str
) -> None:
    make(beside)
    assert cause in refused(final).cause
    victim = beside.parent / "victim"
    assert not victim.exists() or victim.read_bytes() == b"precious"
    assert not (beside.parent / "nowhere").exists()


def test_a_file_of_somebody_else_is_not_written_to(
    final: Path, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside.touch()
    beside.chmod(0o600)
    real = os.fstat

    def of_somebody(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[stat.ST_UID] = os.geteuid() + 1
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", of_somebody)
    assert refused(final).cause == "others could change it after it was compared"
    assert not holds(beside, sha256(b""), LIMIT)


def test_only_one_process_writes(final: Path, beside: Path) -> None:
    with IncompleteFile(final, LIMIT):
        error = refused(final)
        assert error.cause == "another process is downloading it"
        assert error.next_step == "run this again when that is done"
    with beside.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        assert refused(final).cause == "another process is downloading it"
    with IncompleteFile(final, LIMIT) as incomplete:
        incomplete.append(b"x")


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("comes_back", [True, False])
def test_a_file_that_got_its_name_in_the_meantime_is_not_written_to(
    final: Path, beside: Path, monkeypatch: pytest.MonkeyPatch, times: int, comes_back: bool
) -> None:
    real, left = fcntl.flock, [times]

    def flock(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        if left[0]:
            left[0] -= 1
            beside.replace(final)
            if comes_back:
                beside.write_bytes(b"other")
                beside.chmod(0o600)

    monkeypatch.setattr(fcntl, "flock", flock)
    with IncompleteFile(final, LIMIT) as incomplete:
        incomplete.append(b"mine")
    assert beside.read_bytes() == (b"othermine" if comes_back else b"mine")
    assert final.read_bytes() == (b"other" if comes_back and times > 1 else b"")


def test_a_file_that_is_replaced_for_ever_is_given_up(
    final: Path, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: beside.unlink())
    assert refused(final).cause == "is replaced again and again"


@pytest.mark.parametrize(
    ("number", "cause", "next_step"),
    [
        (errno.ENOSPC, "No space left", "make room and run this again: it goes on where it stopped"),
        (errno.EDQUOT, "quota", "make room and run this again: it goes on where it stopped"),
        (errno.EIO, "Input/output error", "choose a folder that can be written to"),
    ],
)
def test_a_full_disk_is_said_and_what_was_written_stays(
    final: Path, beside: Path, monkeypatch: pytest.MonkeyPatch, number: int, cause: str, next_step: str
) -> None:
    real = os.write
    with IncompleteFile(final, LIMIT) as incomplete:
        incomplete.append(b"one")

        def write(descriptor: int, raw: bytes) -> int:
            if len(raw) > 2:
                return real(descriptor, raw[:2])
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "write", write)
        with pytest.raises(InputError, match=cause) as caught:
            incomplete.append(b"four")
        monkeypatch.undo()
    assert caught.value.next_step == next_step
    assert beside.read_bytes() == b"onefo"
    with IncompleteFile(final, LIMIT) as incomplete:
        assert incomplete.digest() == sha256(b"onefo")


def test_a_file_that_cannot_be_read_is_closed(
    final: Path, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_descriptor: int, _length: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "read", read)
    assert refused(final).cause == "Input/output error"
    monkeypatch.undo()
    with IncompleteFile(final, LIMIT) as incomplete:
        assert incomplete.size == 0


def test_a_folder_that_cannot_be_used_is_said(final: Path, tmp_path: Path) -> None:
    final.parent.write_bytes(b"a file")
    assert refused(final).cause == "File exists"
    assert refused(tmp_path / "folder" / "deeper" / "name").cause == "Not a directory"
    assert refused(tmp_path / ("n" * 300)).cause == "File name too long"


def test_a_name_that_is_taken_by_a_folder_is_said_and_nothing_is_lost(final: Path, beside: Path) -> None:
    final.mkdir()
    with IncompleteFile(final, LIMIT) as incomplete:
        incomplete.append(b"x")
        with pytest.raises(InputError, match="Is a directory"):
            incomplete.finish()
    assert beside.read_bytes() == b"x"


def test_a_file_holds_what_its_digest_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not holds(path, sha256(b"x"), LIMIT)
    path.write_bytes(b"x")
    path.chmod(0o644)
    assert holds(path, sha256(b"x"), LIMIT)
    assert not holds(path, sha256(b"y"), LIMIT)
    path.write_bytes(bytes(3 << 20))
    assert holds(path, sha256(bytes(3 << 20)), 3 << 20)
    assert not holds(path, sha256(bytes(3 << 20)), LIMIT)


def test_only_a_file_that_nobody_else_can_change_holds_anything(tmp_path: Path) -> None:
    path, digest = tmp_path / "file", sha256(b"")
    path.touch()
    for mode, is_held in ((0o644, True), (0o400, True), (0o664, False), (0o646, False)):
        path.chmod(mode)
        assert holds(path, digest, LIMIT) is is_held
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", ".", "none"):
        assert not holds(tmp_path / name, digest, LIMIT)


def test_a_file_that_cannot_be_read_to_its_end_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_descriptor: int, _length: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "file"
    path.touch()
    path.chmod(0o600)
    monkeypatch.setattr(os, "read", read)
    with pytest.raises(InputError, match="Input/output error"):
        holds(path, sha256(b""), LIMIT)
