"""`brew-provenance record`, run as a build job runs it."""

from __future__ import annotations

import json
import socket
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
import pytest
from tests.integration.conftest import Run
from tests.unit.buildjobs import FILE, PATH, RECORD, SOURCE, TAP, Build, environment, write_event
from tests.unit.repositories import commit, make_repository

from brew_provenance.buildrecord import BuildRecord, read_record


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    build = Build(tmp_path / "build")
    for name in environment():
        monkeypatch.delenv(name, raising=False)
    for name, value in build.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOMEBREW_REPOSITORY", str(tmp_path / "brew"))
    return build


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connection, and every look-up of a name, be an error that nothing takes for its own."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("record uses the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_line_a_bottle_says_what_was_recorded(build: Build, run: Run) -> None:
    build.bottle()
    build.write_working_copy()
    result = run("record", build.bottles, "--tap-dir", build.tap, "--job-id", "17")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        f"{FILE}: recorded: {PATH} of {TAP} at {build.commit[:12]}, "
        "built by run 9876543210, attempt 1, on GitHub Actions 3\n"
    )
    assert read_record(build.bottles / RECORD).run.job_id == "17"


def test_the_current_folder_is_the_default(build: Build, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    build.bottle()
    monkeypatch.chdir(build.bottles)
    assert run("record", "--tap-dir", build.tap).code == 0
    assert (build.bottles / RECORD).exists()


def test_taps_are_where_brew_keeps_them(build: Build, run: Run, tmp_path: Path) -> None:
    brew = tmp_path / "brew"
    head = commit(make_repository(brew, bare=False), {"README.md": b""})
    (brew / "Library" / "Taps" / "octo").mkdir(parents=True)
    build.tap.rename(brew / "Library" / "Taps" / "octo" / "homebrew-tap")
    build.bottle()
    assert run("record", build.bottles).code == 0
    assert read_record(build.bottles / RECORD).brew.commit == head
    elsewhere = tmp_path / "elsewhere"
    brew.rename(elsewhere)
    result = run("record", build.bottles)
    assert result.code == 6
    assert "not a git repository" in result.err
    assert "--tap-dir" in result.err
    assert run("record", build.bottles, "--brew-repository", elsewhere).code == 0


def test_the_json_keeps_to_its_schema(build: Build, run: Run, tmp_path: Path) -> None:
    build.bottle()
    build.bottle(tag="ventura")
    assert run("record", build.bottles, "--tap-dir", build.tap).code == 0
    (build.bottles / "foo--1.1.ventura.bottle.build-record").unlink()
    build.commit = commit(build.repository, {PATH: SOURCE, "README.md": b""})
    build.bottle(tag="sonoma")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_RUN_ID", "2")
        patch.setenv("GITHUB_SHA", build.commit)
        result = run(
            "record",
            build.bottles,
            "--tap-dir",
            build.tap,
            "--format",
            "json",
            "--output",
            tmp_path / "out.json",
        )
    assert (result.code, result.out) == (0, "")
    document = json.loads((tmp_path / "out.json").read_bytes())
    schema = json.loads(
        files("brew_provenance").joinpath("schemas/records-v1.schema.json").read_text(encoding="utf-8")
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())
    assert [(Path(item["bottle"]).name, item["kept"]) for item in document["records"]] == [
        (FILE, True),
        ("foo--1.1.sonoma.bottle.tar.gz", False),
    ]
    assert [Path(item["bottle"]).name for item in document["leftOut"]] == ["foo--1.1.ventura.bottle.tar.gz"]
    for item in document["records"]:
        BuildRecord.from_bytes(json.dumps(item["record"]).encode(), "out.json")


def test_the_schema_has_the_record_as_its_model_does() -> None:
    schema = json.loads(
        files("brew_provenance").joinpath("schemas/records-v1.schema.json").read_text(encoding="utf-8")
    )
    model: dict[str, Any] = BuildRecord.model_json_schema(mode="serialization")
    parts = model.pop("$defs") | {"BuildRecord": model}
    assert _shape(schema["$defs"]) == _shape(parts)
    assert not any(part["additionalProperties"] for part in schema["$defs"].values())


def _shape(parts: dict[str, Any]) -> dict[str, tuple[list[str], list[str]]]:
    return {
        name: (sorted(part["properties"]), sorted(part.get("required", ()))) for name, part in parts.items()
    }


def test_bottles_of_an_earlier_run_are_told_apart(
    build: Build, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.bottle()
    build.bottle(tag="ventura")
    assert run("record", build.bottles, "--tap-dir", build.tap).code == 0
    (build.bottles / "foo--1.1.ventura.bottle.build-record").unlink()
    next_commit = commit(build.repository, {PATH: SOURCE, "README.md": b""})
    monkeypatch.setenv("GITHUB_RUN_ID", "2")
    monkeypatch.setenv("GITHUB_SHA", next_commit)
    result = run("record", build.bottles, "--tap-dir", build.tap)
    assert result.code == 0
    first, second = result.out.splitlines()
    assert f"{FILE}: keeps its record: " in first
    assert "built by run 9876543210" in first
    assert "ventura.bottle.tar.gz: not recorded: built at " in second


def test_folders_of_earlier_records_can_be_named(
    build: Build, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build.bottle()
    assert run("record", build.bottles, "--tap-dir", build.tap).code == 0
    (tmp_path / "earlier").mkdir()
    (build.bottles / RECORD).rename(tmp_path / "earlier" / RECORD)
    monkeypatch.setenv("GITHUB_RUN_ID", "2")
    result = run("record", build.bottles, "--tap-dir", build.tap, "--earlier", tmp_path / "earlier")
    assert "keeps its record" in result.out


def test_notes_are_told_once_and_beside_the_result(build: Build, run: Run, tmp_path: Path) -> None:
    build.bottle()
    build.bottle(tag="ventura")
    build.repository.set_head(build.repository.head.target)
    result = run("record", build.bottles, "--tap-dir", build.tap)
    assert result.err.count(f"note: the clone of {TAP} is on no branch") == 1
    assert len(result.out.splitlines()) == 2


def test_a_pull_requests_head_comes_out_of_its_event(
    build: Build, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build.bottle()
    for name, value in write_event(tmp_path / "event.json", "e" * 40).items():
        monkeypatch.setenv(name, value)
    assert run("record", build.bottles, "--tap-dir", build.tap).code == 0
    assert read_record(build.bottles / RECORD).run.head_sha == "e" * 40


def test_every_failure_is_told_before_it_exits_with_6(build: Build, run: Run) -> None:
    build.bottle()
    build.bottle(tag="ventura").write_bytes(b"x")
    (build.bottles / "\x1b[2J--1.bottle.tar.gz").write_bytes(b"x")
    result = run("record", build.bottles, "--tap-dir", build.tap)
    assert (result.code, result.out) == (6, "")
    assert "ventura.bottle.tar.gz: its digest is" in result.err
    assert r"\x1b[2J--1.bottle.tar.gz: no *.bottle.json beside it describes it" in result.err
    assert "\x1b" not in result.err
    assert "2 of 3 bottles: not recorded, and so none is" in result.err
    assert not list(build.bottles.glob("*.build-record"))


def test_what_is_wrong_with_the_tap_is_told_once_for_all_of_its_bottles(
    build: Build, run: Run, tmp_path: Path
) -> None:
    build.bottle()
    build.bottle(tag="ventura")
    result = run("record", build.bottles, "--tap-dir", tmp_path / "nowhere")
    assert result.code == 6
    assert result.err.count("not a git repository") == 1
    assert "2 of 2 bottles: not recorded" in result.err


def test_one_failure_is_told_once(build: Build, run: Run) -> None:
    build.bottle().write_bytes(b"x")
    result = run("record", build.bottles, "--tap-dir", build.tap)
    assert result.code == 6
    assert result.err.count("its digest is") == 1


def test_outside_of_actions_it_exits_with_6_and_says_so(
    build: Build, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.bottle()
    monkeypatch.delenv("GITHUB_ACTIONS")
    result = run("record", build.bottles, "--tap-dir", build.tap)
    assert result.code == 6
    assert "this is no job of GitHub Actions" in result.err
    assert not (build.bottles / RECORD).exists()


def test_where_nothing_was_bottled_it_exits_with_2_unless_that_is_allowed(build: Build, run: Run) -> None:
    result = run("record", build.bottles, "--tap-dir", build.tap)
    assert (result.code, result.out) == (2, "")
    assert "there is no *.bottle.json" in result.err
    result = run("record", build.bottles, "--tap-dir", build.tap, "--allow-none")
    assert (result.code, result.out, result.err) == (0, "", "")
    build.bottle().write_bytes(b"x")
    assert run("record", build.bottles, "--tap-dir", build.tap, "--allow-none").code == 6


def test_folders_below_are_for_the_asking(build: Build, run: Run) -> None:
    build.bottle()
    above = build.bottles.parent
    assert run("record", above, "--tap-dir", build.tap).code == 2
    assert run("record", above, "--tap-dir", build.tap, "--recursive").code == 0


def test_no_secret_of_the_environment_is_printed_or_written(
    build: Build, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.bottle(tag="ventura", tap_git_remote="https://x:hush@github.com/octo/homebrew-tap")
    for name in ("GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "HOMEBREW_GITHUB_API_TOKEN"):
        monkeypatch.setenv(name, "hush")
    result = run("record", build.bottles, "--tap-dir", build.tap, "--format", "json")
    assert result.code == 0
    written = (build.bottles / "foo--1.1.ventura.bottle.build-record").read_text(encoding="utf-8")
    assert "hush" not in result.out + result.err + written
