"""Records of builds, which any build script can have written."""

from __future__ import annotations

import fnmatch
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.buildjobs import Build, environment

from brew_provenance.actionsjob import read_job
from brew_provenance.bottle import BottleFileName
from brew_provenance.buildrecord import MAX_RECORD_BYTES, BuildRecord, read_record, record_name
from brew_provenance.errors import InputError
from brew_provenance.record import Recorded, Surroundings, record_bottles

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> BuildRecord:
    build = Build(tmp_path_factory.mktemp("build"))
    build.bottle()
    here = Surroundings(read_job(environment(GITHUB_SHA=build.commit)), lambda _: build.tap)
    (recorded,) = record_bottles([build.bottles], here, now=NOW)
    assert isinstance(recorded, Recorded)
    return recorded.record


def changed(record: BuildRecord, path: str, value: Any) -> bytes:
    document = json.loads(record.to_bytes())
    *way, last = path.split(".")
    place = document
    for key in way:
        place = place[key]
    place[last] = value
    return json.dumps(document).encode()


def test_a_record_is_what_was_written(record: BuildRecord, tmp_path: Path) -> None:
    file = tmp_path / "record"
    file.write_bytes(record.to_bytes())
    assert read_record(file) == record
    assert record.to_bytes().endswith(b"}\n")
    assert json.loads(record.to_bytes())["recorded_at"] == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize("rebuild", [0, 3])
def test_nothing_that_looks_for_bottles_takes_a_record_for_one(rebuild: int) -> None:
    bottle = BottleFileName("foo@1", "1.1_2", "arm64_sonoma", rebuild)
    name = record_name(bottle)
    # test_bot/test_formulae.rb and dev-cmd/pr-upload.rb in brew, and Homebrew/actions' count-bottles.sh.
    for glob in (
        "*.json",
        "*.bottle.json",
        "*.tar.gz",
        "foo@1--*.arm64_sonoma.bottle*.json",
        "*--*.bottle*.tar.gz",
    ):
        assert not fnmatch.fnmatch(name, glob)
    # The artifact of a tap that `brew tap-new` has made.
    assert fnmatch.fnmatch(name, "*.bottle.*")
    assert BottleFileName.parse(f"{name.removesuffix('.build-record')}.tar.gz", "foo@1") == bottle


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("record", 2),
        ("record", "1"),
        ("more", 1),
        ("bottle.more", 1),
        ("bottle.sha256", "A" * 64),
        ("bottle.sha256", "a" * 64 + "\n"),
        ("bottle.rebuild", -1),
        ("bottle.rebuild", True),
        ("bottle.rebuild", 1 << 53),
        ("bottle.file", ""),
        ("bottle.file", "x" * 5000),
        ("tap.commit", "HEAD"),
        ("tap.commit", "a" * 40 + "\n"),
        ("tap.commit", "a" * 41),
        ("tap.parents", ["a" * 40] * 65),
        ("tap.parents", ["x"]),
        ("tap.shallow", "false"),
        ("formula.blob", None),
        ("formula.source", {"url": ""}),
        ("formula.source", {"url": "x", "sha256": "x"}),
        ("run.run_id", 12),
        ("run.run_id", "012"),
        ("run.run_id", "1\n"),
        ("run.job_id", ""),
        ("runner.environment", "cloud"),
        ("recorded_at", "2026-03-01T12:00:00"),
    ],
)
def test_what_departs_from_the_format_is_refused(path: str, value: Any, record: BuildRecord) -> None:
    with pytest.raises(InputError, match=r"^here: not a build record: ") as caught:
        BuildRecord.from_bytes(changed(record, path, value), "here")
    assert "record` again" in caught.value.next_step


def test_everything_that_a_record_holds_is_needed(record: BuildRecord) -> None:
    whole = json.loads(record.to_bytes())
    optional = {
        "record",
        "tap.parents",
        "tap.branch",
        "tap.shallow",
        "formula.source",
        "brew.version",
        "brew.commit",
    }
    optional |= {"run.job_id", "runner.image_os", "runner.image_version"}
    for part, held in whole.items():
        names = [f"{part}.{name}" for name in held] if isinstance(held, dict) else [part]
        for name in names:
            document = json.loads(record.to_bytes())
            place = document[part] if "." in name else document
            del place[name.rpartition(".")[2]]
            raw = json.dumps(document).encode()
            if name in optional:
                BuildRecord.from_bytes(raw, "here")
            else:
                with pytest.raises(InputError):
                    BuildRecord.from_bytes(raw, "here")


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"x", b'{"record": 1, "record": 1}', b"\xff", b"[" * 5000]
)
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    with pytest.raises(InputError):
        BuildRecord.from_bytes(raw, "here")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with pytest.raises(InputError):
        BuildRecord.from_bytes(raw, "here")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_record(tmp_path / "missing")
    with pytest.raises(InputError, match="Is a directory"):
        read_record(tmp_path)


def test_a_record_of_any_length_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "record"
    file.write_bytes(b" " * (MAX_RECORD_BYTES + 1))
    with pytest.raises(InputError, match="limit"):
        read_record(file)
    with pytest.raises(InputError, match="limit"):
        read_record(Path(os.devnull).with_name("zero"))
