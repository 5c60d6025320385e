"""Folders of bottles, after the build's scripts have had them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from tests.unit.buildjobs import FILE, Build

from brew_provenance import bottlefolder
from brew_provenance.bottlefolder import Folders, find_bottles, is_plain_file
from brew_provenance.errors import BuildSideError

JSON = "foo--1.1.arm64_sonoma.bottle.json"


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def find(build: Build, *more: Path, recursive: bool = False) -> Folders:
    return find_bottles([build.bottles, *more], recursive=recursive)


def causes(found: Folders) -> list[str]:
    return [str(failure) for failure in found.failures]


def names(found: Folders) -> list[str]:
    return [bottle.path.name for bottle in found.bottles]


def test_a_bottle_goes_with_what_describes_it(build: Build) -> None:
    file = build.bottle()
    (build.bottles / "notes.txt").write_text("x", encoding="utf-8")
    (build.bottles / "steps_output.json").write_text("{}", encoding="utf-8")
    (build.bottles / "foo-1.1.tar.gz").write_text("a source", encoding="utf-8")
    (build.bottles / "logs.bottle.json").mkdir()
    found = find(build)
    (bottle,) = found.bottles
    assert (bottle.path, bottle.json_path) == (file, build.bottles / JSON)
    assert bottle.json_sha256 == hashlib.sha256((build.bottles / JSON).read_bytes()).hexdigest()
    assert str(bottle.described.file_name) == FILE
    assert not found.failures


def test_bottles_come_in_the_order_of_their_paths(build: Build) -> None:
    for tag in ("ventura", "arm64_linux", "sonoma"):
        build.bottle(tag=tag)
    assert names(find(build)) == sorted(names(find(build)))
    assert len(names(find(build))) == 3


def test_a_folder_that_is_named_twice_counts_once(build: Build) -> None:
    build.bottle()
    (build.bottles / "below").mkdir()
    found = find(build, build.bottles, build.bottles / "below" / "..", recursive=True)
    assert names(found) == [FILE]
    assert not found.failures


def test_folders_below_are_looked_into_when_asked(build: Build, tmp_path: Path) -> None:
    inner = Build(tmp_path / "other")
    inner.bottle(tag="sonoma")
    build.bottle()
    inner.bottles.rename(build.bottles / "inner")
    (build.bottles / "loop").symlink_to(build.bottles)
    assert names(find(build)) == [FILE]
    found = find(build, recursive=True)
    assert sorted(names(found)) == sorted([FILE, "foo--1.1.sonoma.bottle.tar.gz"])
    assert not found.failures


def test_a_link_to_a_folder_can_be_named(build: Build, tmp_path: Path) -> None:
    build.bottle()
    (tmp_path / "link").symlink_to(build.bottles)
    assert names(find_bottles([tmp_path / "link"])) == [FILE]


def test_nothing_is_nothing(build: Build) -> None:
    assert find(build) == Folders((), ())


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("missing", "file", "loop"):
        with pytest.raises(BuildSideError) as caught:
            find_bottles([tmp_path / name])
        assert name in caught.value.thing


def test_more_files_than_any_job_leaves_are_refused(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    build.bottle()
    monkeypatch.setattr(bottlefolder, "MAX_ENTRIES", 1)
    with pytest.raises(BuildSideError, match="limit of 1 files"):
        find(build)


@pytest.mark.parametrize("name", [FILE, "foo--1.1.arm64_sonoma.bottle.1.tar.gz", "x.bottle.tar.gz"])
def test_a_bottle_that_nothing_describes_is_refused(name: str, build: Build) -> None:
    (build.bottles / name).write_bytes(b"")
    found = find(build)
    assert not found.bottles
    (cause,) = causes(found)
    assert name in cause
    assert "no *.bottle.json beside it describes it" in cause


def test_a_description_without_its_bottle_is_refused(build: Build) -> None:
    build.bottle().unlink()
    (cause,) = causes(find(build))
    assert f"{FILE}: {JSON} describes it, and it is not there" in cause


def test_a_bottle_that_is_described_twice_is_refused(build: Build) -> None:
    build.bottle()
    (build.bottles / "x.bottle.json").write_bytes((build.bottles / JSON).read_bytes())
    found = find(build)
    assert not found.bottles
    assert causes(found) == [f"{build.bottles / FILE}: {JSON} and x.bottle.json both describe it"]


def test_two_bottles_of_one_name_are_refused_both(build: Build, tmp_path: Path) -> None:
    build.bottle()
    build.bottle(tag="ventura")
    other = Build(tmp_path / "other")
    other.bottle()
    found = find(build, other.bottles)
    assert names(found) == ["foo--1.1.ventura.bottle.tar.gz"]
    assert len(found.failures) == 2
    assert all(f"{FILE}: it is there 2 times, in " in cause for cause in causes(found))


def test_a_description_that_is_none_is_refused_and_its_bottle_as_well(build: Build) -> None:
    build.bottle()
    build.bottle(tag="ventura")
    (build.bottles / JSON).write_text("{}", encoding="utf-8")
    found = find(build)
    assert names(found) == ["foo--1.1.ventura.bottle.tar.gz"]
    assert [failure.thing for failure in found.failures] == [
        str(build.bottles / JSON),
        str(build.bottles / FILE),
    ]


def test_a_description_of_any_length_is_refused(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    build.bottle()
    monkeypatch.setattr(bottlefolder, "MAX_BYTES", 10)
    assert "longer than the limit of 10 bytes" in causes(find(build))[0]


def test_a_description_that_cannot_be_read_is_told(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    build.bottle()

    def fail(path: Path, _: int) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(bottlefolder, "read_bounded", fail)
    assert "Permission denied" in causes(find(build))[0]


@pytest.mark.parametrize("name", [FILE, JSON])
def test_links_and_pipes_are_not_followed(name: str, build: Build, tmp_path: Path) -> None:
    build.bottle()
    (build.bottles / name).rename(tmp_path / name)
    (build.bottles / name).symlink_to(tmp_path / name)
    assert any(f"{name}: no plain file" in cause for cause in causes(find(build)))
    (build.bottles / name).unlink()
    os.mkfifo(build.bottles / name)
    assert any(f"{name}: no plain file" in cause for cause in causes(find(build)))
    assert not find(build).bottles


def test_a_missing_file_is_no_plain_file(tmp_path: Path) -> None:
    assert not is_plain_file(tmp_path / "missing")
    assert not is_plain_file(tmp_path)
