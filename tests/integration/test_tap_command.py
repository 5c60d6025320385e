"""`brew-provenance tap bottles`: what a tap publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import FIXTURES, Run
from tests.unit.repositories import Files, commit, formula, link, make_repository

TAP = "brew-provenance/fixtures"
UNKNOWN = b"""\
class Unknown < Formula
  url "https://example.org/unknown-#{ENV["X"]}.tar.gz"

  bottle do
    root_url "https://bottles.example.org/x"
    rebuild 2
    sha256 cellar: :any, sonoma: "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
  end
end
"""


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's own tap, committed."""
    folder = tmp_path_factory.mktemp("fixtures")
    files = {
        str(path.relative_to(FIXTURES)): path.read_bytes() for path in (FIXTURES / "Formula").rglob("*.rb")
    }
    make_repository(folder, files).free()
    return folder


def repository(folder: Path, files: Files) -> list[object]:
    """Make a tap, and return the options that name it."""
    make_repository(folder / "tap", files).free()
    return ["--tap", "octo/tap", "--tap-dir", folder / "tap"]


def test_every_bottle_is_a_line_of_text(run: Run, fixtures: Path) -> None:
    result = run("tap", "bottles", "--tap", TAP, "--tap-dir", fixtures)

    assert result.code == 0
    lines = [line.split("  ") for line in result.out.splitlines()]
    assert {len(line) for line in lines} == {4}
    assert [line[1].partition("--")[0] for line in lines] == sorted(
        line[1].partition("--")[0] for line in lines
    )
    for digest, name, root_url, place in lines:
        path, _, number = place.partition(":")
        written = (FIXTURES / path).read_text(encoding="utf-8").splitlines()[int(number) - 1]
        assert digest in written
        assert name.split(".")[-4 if name.count(".bottle.tar") else -5] in written
        assert root_url.startswith("https://")
    assert f"{len(lines)} bottles" in result.err
    assert "0 formulae of unknown version" in result.err


def test_every_bottle_is_a_json_object_with_what_its_line_of_text_says(run: Run, fixtures: Path) -> None:
    options = ["--tap", TAP, "--tap-dir", fixtures]
    text = run("tap", "bottles", *options).out.splitlines()
    found = rows(run("tap", "bottles", *options, "--format", "jsonl").out)

    assert [
        f"{row['sha256']}  {row['fileName']}  {row['rootUrl']}  {row['path']}:{row['line']}" for row in found
    ] == text
    assert {(row["schemaVersion"], row["tap"]) for row in found} == {(1, TAP)}
    for row in found:
        described = json.loads((FIXTURES / "api" / f"{row['formula']}.json").read_text(encoding="utf-8"))
        file = described["bottle"]["stable"]["files"][row["tag"]]
        assert (row["sha256"], row["url"]) == (file["sha256"], file["url"])
        assert row["rebuild"] == described["bottle"]["stable"]["rebuild"]


def test_a_result_can_be_written_into_a_file(run: Run, fixtures: Path, tmp_path: Path) -> None:
    options = ["--tap", TAP, "--tap-dir", fixtures, "--format", "jsonl"]
    printed = run("tap", "bottles", *options)
    written = run("tap", "bottles", *options, "--output", tmp_path / "bottles.jsonl")

    assert (written.code, written.out) == (0, "")
    assert (tmp_path / "bottles.jsonl").read_text(encoding="utf-8") == printed.out
    assert written.err == printed.err


def test_the_bottles_of_an_older_commit_are_those_of_that_commit(run: Run, tmp_path: Path) -> None:
    tap = make_repository(tmp_path)
    old = commit(tap, {"foo.rb": formula(digest="1" * 64)})
    commit(tap, {"foo.rb": formula(digest="2" * 64)})
    tap.free()
    options = ["--tap", "octo/tap", "--tap-dir", tmp_path, "--format", "jsonl"]

    assert [row["sha256"] for row in rows(run("tap", "bottles", *options).out)] == ["2" * 64]
    assert [row["sha256"] for row in rows(run("tap", "bottles", *options, "--commit", old).out)] == ["1" * 64]


def test_a_version_that_cannot_be_known_is_null_and_told(run: Run, tmp_path: Path) -> None:
    other = b"# A line more\n" + UNKNOWN.replace(b"Unknown", b"Other")
    options = repository(tmp_path, {"foo.rb": formula(), "unknown.rb": UNKNOWN, "other.rb": other})
    result = run("tap", "bottles", *options, "--format", "jsonl")

    assert result.code == 0
    known, _, unknown = rows(result.out)
    assert known["version"] == "1.1"
    assert unknown == {
        "schemaVersion": 1,
        "tap": "octo/tap",
        "formula": "unknown",
        "version": None,
        "rebuild": 2,
        "tag": "sonoma",
        "sha256": "c" * 64,
        "fileName": None,
        "rootUrl": "https://bottles.example.org/x",
        "url": None,
        "path": "unknown.rb",
        "line": 7,
    }
    assert "3 formulae, 3 bottles, 2 formulae of unknown version" in result.err
    assert "2 of unknown version, other for one: the URL that gives the version is computed" in result.err
    text = run("tap", "bottles", *options).out.splitlines()
    assert text[2] == f"{'c' * 64}  unknown ?  https://bottles.example.org/x  unknown.rb:7"


def test_each_formula_that_cannot_be_read_is_told_and_the_others_are_listed(run: Run, tmp_path: Path) -> None:
    files: Files = {
        "Formula/foo.rb": formula(),
        "Formula/linked.rb": link("foo.rb"),
        "Formula/broken.rb": b"class Broken < Formula\n",
        b"Formula/\xff\x1b[2J.rb": formula(),
    }
    result = run("tap", "bottles", *repository(tmp_path, files), "--format", "jsonl")

    assert result.code == 0
    assert [row["formula"] for row in rows(result.out)] == ["foo"]
    told = [line for line in result.err.splitlines() if "cannot be read" in line]
    assert len(told) == 3
    for path in ("Formula/linked.rb", "Formula/broken.rb", "Formula/\\udcff\\x1b[2J.rb"):
        assert [line for line in told if line.startswith(f"note: {path} cannot be read: ")], path
    assert result.err.isascii()
    assert "1 formulae, 1 bottles" in result.err


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"README.md": b""}, "publishes no bottle"),
        (
            {"foo.rb": b"class Foo < Formula\n  url 'https://example.org/foo-1.tar.gz'\nend\n"},
            "1 formulae, 0",
        ),
        ({"foo.rb": b"class Foo < Formula\n"}, "foo.rb cannot be read"),
    ],
)
def test_a_tap_that_publishes_nothing_is_an_error(files: Files, told: str, run: Run, tmp_path: Path) -> None:
    result = run("tap", "bottles", *repository(tmp_path, files))

    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert "octo/tap: publishes no bottle" in result.err
    assert "next: " in result.err


def test_what_is_no_repository_is_an_error(run: Run, tmp_path: Path) -> None:
    make_repository(tmp_path / "empty").free()
    for folder, cause in (
        (tmp_path / "none", "not a git repository"),
        (tmp_path / "empty", "no such commit"),
    ):
        result = run("tap", "bottles", "--tap", "octo/tap", "--tap-dir", folder)
        assert (result.code, result.out) == (2, "")
        assert cause in result.err
        assert "next: " in result.err
        assert "Traceback" not in result.err


def test_a_folder_that_cannot_be_followed_leaves_no_half_of_a_file(run: Run, tmp_path: Path) -> None:
    files: Files = {"Formula": link("elsewhere"), "elsewhere/foo.rb": formula()}
    output = tmp_path / "bottles.txt"
    result = run("tap", "bottles", *repository(tmp_path, files), "--output", output)

    assert result.code == 2
    assert "not followed" in result.err
    assert not output.exists()


def test_a_commit_needs_a_repository(run: Run) -> None:
    result = run("tap", "bottles", "--tap", "octo/tap", "--commit", "HEAD")

    assert result.code == 2
    assert "--tap-dir" in result.err
