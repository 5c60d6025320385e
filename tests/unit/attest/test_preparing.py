"""Bottles and records in a folder, looked at before anything is signed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.attest.releases import BAR, FOO, JOB, RECORD, REPOSITORY, RUN, Release

from brew_provenance.attest import preparing
from brew_provenance.attest.preparing import FoundError, NotAttestedError, check_plain
from brew_provenance.errors import BuildSideError, InputError, NothingMatchedError

ALL = "foo--1.1.all.bottle.tar.gz"


def failures(release: Release) -> list[BuildSideError]:
    with pytest.raises(NotAttestedError) as raised:
        release.prepare()
    return list(raised.value.failures)


def test_a_bottle_comes_with_its_record_and_its_job(tmp_path: Path) -> None:
    release = Release(tmp_path)
    [item] = release.prepare().items
    assert item.name == FOO
    assert item.record is not None
    assert item.job is not None
    assert (item.job.run.id, item.job.job.id, item.identical) == (RUN, JOB, ())
    assert item.packed is not None


def test_each_run_is_asked_for_once_and_in_one_repository_alone(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar", "baz")
    release.prepare()
    assert release.actions.asked == [(REPOSITORY, RUN, "1"), (REPOSITORY, RUN, "1", "jobs")]


def test_a_run_that_cannot_be_had_is_asked_for_once_too(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    release.actions.failure = BuildSideError("the run", "no answer", "try again")
    found = failures(release)
    assert [(one.thing, one.cause) for one in found] == [("the run", "no answer")] * 2
    assert len(release.actions.asked) == 1


def test_all_are_looked_at_before_it_fails(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar", "baz")
    for name in ("foo", "bar"):
        file = f"{name}--1.1.x86_64_linux.bottle.build-record"
        release.edit(lambda record: record["bottle"].update(sha256="0" * 64), file)
    with pytest.raises(NotAttestedError) as raised:
        release.prepare()
    error = raised.value
    assert [one.thing for one in error.failures] == [BAR, FOO]
    assert str(error) == "2 faults in 3 bottles: cannot be attested, and nothing was signed"
    assert isinstance(error.failures[0], FoundError)
    assert [finding.code for finding in error.failures[0].findings] == ["record-digest-mismatch"]


def test_a_single_failure_speaks_for_itself(tmp_path: Path) -> None:
    release = Release(tmp_path)
    (release.folder / RECORD).unlink()
    with pytest.raises(NotAttestedError) as raised:
        release.prepare()
    assert raised.value.thing == FOO
    assert f"there is no {RECORD} beside it" in raised.value.cause
    assert "--allow-unrecorded" in raised.value.next_step


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b" " * (256 * 1024 + 1)])
def test_a_record_that_is_none_is_told(tmp_path: Path, content: bytes) -> None:
    release = Release(tmp_path)
    (release.folder / RECORD).write_bytes(content)
    found = failures(release)
    assert str(release.folder / RECORD) in [one.thing for one in found]
    assert all(one.exit_code == 6 for one in found)


def test_a_bottle_that_brew_did_not_make_is_told(tmp_path: Path) -> None:
    release = Release(tmp_path)
    (release.folder / FOO).write_bytes(b"no tarball")
    [error] = failures(release)
    assert isinstance(error, FoundError)
    assert [finding.code for finding in error.findings] == ["bottle-not-a-tarball"]


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [link, pipe, folder])
@pytest.mark.parametrize("name", [FOO, RECORD, "foo--1.1.x86_64_linux.bottle.json"])
def test_nothing_but_plain_files_is_read(tmp_path: Path, name: str, spoil: Callable[[Path], None]) -> None:
    release = Release(tmp_path)
    spoil(release.folder / name)
    assert any("no plain file" in one.cause for one in failures(release))


def test_a_file_that_vanishes_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildSideError, match="No such file"):
        check_plain(tmp_path / "gone")


@pytest.mark.parametrize("name", ["x.bottle.tar.gz", "foo--1.1.bottle.tar.gz", "--1.sonoma.bottle.tar.gz"])
def test_a_name_that_no_bottle_has_is_told(tmp_path: Path, name: str) -> None:
    release = Release(tmp_path)
    (release.folder / name).write_bytes(b"x")
    [error] = failures(release)
    assert error.thing == str(release.folder / name)


def test_what_is_neither_bottle_nor_record_is_left_alone(tmp_path: Path) -> None:
    release = Release(tmp_path)
    for name in ("foo.tar.gz", "x.bottle.txt", "bottle_output.txt"):
        (release.folder / name).write_bytes(b"x")
    assert [item.name for item in release.prepare().items] == [FOO]
    assert release.prepare().notes == ()


def test_a_folder_without_bottles_is_told(tmp_path: Path) -> None:
    release = Release(tmp_path)
    for path in release.folder.iterdir():
        path.unlink()
    with pytest.raises(NothingMatchedError):
        release.prepare()
    release.folder.rmdir()
    with pytest.raises(InputError):
        release.prepare()


def test_a_folder_of_too_many_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "MAX_ENTRIES", 2)
    release = Release(tmp_path)
    with pytest.raises(BuildSideError, match="more than the limit of 2 files"):
        release.prepare()


def test_brews_description_is_compared_where_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = Release(tmp_path)
    described = release.folder / "foo--1.1.x86_64_linux.bottle.json"
    with described.open("ab") as stream:
        stream.write(b" ")
    [error] = failures(release)
    assert isinstance(error, FoundError)
    assert [finding.code for finding in error.findings] == ["record-json-mismatch"]
    monkeypatch.setattr(preparing, "MAX_JSON_BYTES", 1)
    [error] = failures(release)
    assert "longer than the limit" in error.cause
    described.unlink()
    assert len(release.prepare().items) == 1


def test_files_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = Release(tmp_path)

    def refuse(*_: object) -> bytes:
        raise PermissionError(13, os.strerror(13))

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "read_bounded", refuse)
        assert "Permission denied" in failures(release)[0].cause
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(NotAttestedError, match="Permission denied"):
            release.prepare(with_records=False)
    with monkeypatch.context() as patch:

        def refuse_bottle(path: Path, *_: object) -> None:
            raise InputError(str(path), "Permission denied", "x")

        patch.setattr(preparing, "examine_bottle", refuse_bottle)
        assert "Permission denied" in failures(release)[0].cause


def test_a_name_that_can_be_read_in_two_ways_is_that_of_the_recorded_formula(tmp_path: Path) -> None:
    release = Release(tmp_path)
    name = "foo--1.1--2.x86_64_linux.bottle.tar.gz"
    (release.folder / FOO).rename(release.folder / name)
    (release.folder / RECORD).rename(release.folder / name.replace(".tar.gz", ".build-record"))
    release.edit(
        lambda record: record["bottle"].update(formula="foo--1.1"), name.replace(".tar.gz", ".build-record")
    )
    [error] = failures(release)
    # The bottle is looked into as one of that formula.
    assert isinstance(error, FoundError)
    assert error.thing == name


def test_records_of_bottles_that_are_not_here_are_told(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    (release.folder / BAR).unlink()
    prepared = release.prepare()
    assert [item.name for item in prepared.items] == [FOO]
    bar = BAR.replace(".tar.gz", ".build-record")
    assert prepared.notes == (f"{bar} is of a bottle that is not here, {BAR}",)


def test_records_are_left_aside_where_that_is_asked_for(tmp_path: Path) -> None:
    release = Release(tmp_path)
    (release.folder / RECORD).write_bytes(b"not even read")
    prepared = release.prepare(with_records=False)
    [item] = prepared.items
    assert (item.record, item.job, item.packed) == (None, None, None)
    assert prepared.notes == ("1 records are left aside, and what they say is not attested",)
    assert release.actions.asked == []


def merge(release: Release) -> None:
    (release.folder / FOO).rename(release.folder / ALL)
    for path in release.folder.glob("foo*.json"):
        path.unlink()


def test_an_all_bottle_is_what_the_recorded_ones_were_merged_into(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.bottle(tag="arm64_linux", seed="foo")
    release.record(RUNNER_ARCH="ARM64")
    arm = FOO.replace("x86_64", "arm64")
    (release.folder / arm).unlink()
    merge(release)
    prepared = release.prepare()
    [item] = prepared.items
    assert item.name == ALL
    assert item.record is item.identical[0][0]
    assert [record.bottle.file for record, _ in item.identical] == [arm, FOO]
    assert prepared.notes == ()


def test_an_all_bottle_of_its_own_record_was_not_merged(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.bottle(tag="all", seed="foo")
    release.record()
    items = {item.name: item for item in release.prepare().items}
    assert items[ALL].identical == ()
    record = items[ALL].record
    assert record is not None
    assert record.bottle.tag == "all"


def misname(record: dict[str, dict[str, object]]) -> None:
    record["bottle"]["file"] = FOO.replace("x86_64", "arm64")


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["bottle"].update(sha256="0" * 64),
        lambda record: record["bottle"].update(version="1.2"),
        lambda record: record["bottle"].update(rebuild=1),
        lambda record: record["bottle"].update(formula="bar"),
        lambda record: record["bottle"].update(tag="x" * 3000),
        lambda record: record["bottle"].update(tag="x/../../outside"),
        lambda record: record["bottle"].update(tag="x\0"),
        misname,
    ],
)
def test_records_of_other_bottles_are_not_taken_for_those_of_an_all_bottle(
    tmp_path: Path, change: Callable[[dict[str, dict[str, object]]], None]
) -> None:
    release = Release(tmp_path)
    merge(release)
    release.edit(change)
    [error] = failures(release)
    assert "there is no foo--1.1.all.bottle.build-record beside it" in error.cause


def test_a_lie_in_the_record_of_one_that_was_merged_is_found(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.bottle(tag="arm64_linux", seed="foo")
    release.record(RUNNER_ARCH="ARM64")
    arm = FOO.replace("x86_64", "arm64")
    (release.folder / arm).unlink()
    merge(release)
    release.edit(lambda record: record["run"].update(event_name="schedule"), RECORD)
    [error] = failures(release)
    assert isinstance(error, FoundError)
    assert [finding.code for finding in error.findings] == ["record-event-mismatch"]


def test_an_equal_bottle_of_a_certain_system_needs_its_own_record(tmp_path: Path) -> None:
    release = Release(tmp_path)
    (release.folder / FOO).rename(release.folder / FOO.replace("x86_64", "arm64"))
    [error] = failures(release)
    assert "beside it" in error.cause


def test_a_bottle_may_be_without_a_record_where_that_is_allowed(tmp_path: Path) -> None:
    release = Release(tmp_path)
    (release.folder / RECORD).unlink()
    [item] = release.prepare(allow_unrecorded=True).items
    assert (item.name, item.record, item.job) == (FOO, None, None)
