"""`sandbox` and `reasons`: what rehearsals are made with, and the documentation of the codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.integration.conftest import FIXTURES, Run

import brew_provenance
from brew_provenance.findings import REASONS
from brew_provenance.sandbox.forgery import FORGERIES


def test_same_kit_is_made_to_the_byte(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert (
            run(
                "sandbox", "kit", tmp_path / name, "--fixtures", FIXTURES, "--forged", "hello=commit-lie"
            ).code
            == 0
        )

    contents = [
        {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    ]
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fixtures", "/nonexistent", "--unattested", "hello"], "describes no such formula"),
        (["--unattested", "nothing"], "describes no such formula"),
        (["--forged", "hello"], "not NAME=FORGERY"),
        (["--forged", "nothing=commit-lie"], "describes no such formula"),
        (["--forged", "hello=nothing"], "no such forgery"),
    ],
)
def test_what_cannot_be_rehearsed_is_a_usage_error(
    arguments: list[str], said: str, run: Run, tmp_path: Path
) -> None:
    fixtures = [] if "--fixtures" in arguments else ["--fixtures", str(FIXTURES)]

    result = run("sandbox", "kit", tmp_path / "kit", *fixtures, *arguments)

    assert result.code == 2
    assert said in result.err


def test_formula_that_cannot_be_read_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    path = tmp_path / "api" / "broken.json"
    path.write_text("{", encoding="utf-8")
    assert str(path) in run("sandbox", "kit", tmp_path / "kit", "--fixtures", tmp_path).err
    path.unlink()
    path.mkdir()
    assert str(path) in run("sandbox", "kit", tmp_path / "kit", "--fixtures", tmp_path).err


def test_forgery_needs_the_bottle_and_has_to_fit_into_a_kit(run: Run, tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "hello.json").write_bytes((FIXTURES / "api" / "hello.json").read_bytes())
    no_bottle = run(
        "sandbox", "kit", tmp_path / "kit", "--fixtures", tmp_path, "--forged", "hello=commit-lie"
    )

    assert no_bottle.code == 2
    assert "a forgery needs the bottle itself" in no_bottle.err


def test_kit_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")

    result = run("sandbox", "kit", blocked, "--fixtures", FIXTURES)

    assert result.code == 2
    assert str(blocked) in result.err


def test_catalogue_is_listed(run: Run) -> None:
    lines = run("sandbox", "forgeries").out.splitlines()

    assert len(lines) == len(FORGERIES)
    assert all(forgery.code in line for forgery, line in zip(FORGERIES, lines, strict=True))


def test_every_reason_is_documented(run: Run) -> None:
    out = run("reasons").out

    assert all(f"| `{code}` |" in out for code in REASONS)
    assert "\n## Step 8: formula\n" in out
    assert "\n## Build side: build record, before signing\n" in out


def test_every_name_that_is_promised_can_be_used() -> None:
    assert all(getattr(brew_provenance, name) is not None for name in brew_provenance.__all__)
    with pytest.raises(AttributeError):
        getattr(brew_provenance, "nothing of ours")


def test_help_lists_the_commands_and_the_exit_codes(run: Run) -> None:
    result = run("--help")

    assert result.code == 0
    for word in ("check", "verify", "inspect", "reasons", "sandbox", "Exit codes"):
        assert word in result.out


def test_unknown_command_is_a_usage_error(run: Run) -> None:
    assert run("pour").code == 2


@pytest.mark.parametrize("colour", [True, False])
def test_colours_on_a_terminal_only_and_not_when_unwanted(
    run: Run, kit: Path, monkeypatch: pytest.MonkeyPatch, *, colour: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click._compat.should_strip_ansi", lambda *_, **__: False)
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    options = [
        "--kit",
        kit,
        "--offline",
        "--tag",
        "x86_64_linux",
        "--trusted-root",
        kit / "trusted_root.jsonl",
    ]

    result = run("check", "brew-provenance/fixtures/hello", *options)

    assert json.dumps(result.out).count("\\u001b[32m") == int(colour)
