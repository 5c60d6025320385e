"""`policy`: the policy in force as a file that says the same, and what a file of somebody else's allows."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.integration.conftest import Run

from brew_provenance.policy import policy_for_tap, read_policy

HEAD = 'schema = 1\nname = "mine"\ntap = "octo/tap"\n'
SIGNER = (
    '[[signer]]\nname = "us"\nsource-repository = "octo/homebrew-tap"\nsource-refs = ["refs/heads/main"]\n'
)


def check_json(text: str) -> Any:
    """Return a document that keeps to the published schema."""
    schema = json.loads(
        files("brew_provenance").joinpath("schemas/policy-v1.schema.json").read_text(encoding="utf-8")
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(text)
    jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())
    return document


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


@pytest.mark.parametrize(
    ("tap", "origin", "signers"),
    [("homebrew/core", "built-in", 2), ("Octo/Tap", "derived", 1), ("homebrew/cask", "derived", 1)],
)
def test_what_is_shown_is_a_policy_file_that_says_the_same(
    tap: str, origin: str, signers: int, run: Run, policy_file: Path
) -> None:
    shown = run("policy", "show", tap)
    policy = policy_for_tap(tap)
    assert shown.code == 0
    assert shown.out.splitlines()[:3] == [
        f"# origin: {origin}",
        f"# name: {policy.name}",
        f"# sha256: {policy.sha256}",
    ]

    policy_file.write_text(shown.out, encoding="utf-8")
    assert read_policy(policy_file).signers == policy.signers
    checked = run("policy", "check", policy_file)
    assert checked.code == 0
    assert checked.out.splitlines()[:4] == [
        f"name: {policy.name}",
        f"tap: {tap.lower()}",
        f"signers: {signers}",
        f"sha256: {policy.sha256}",
    ]
    assert len(checked.out.splitlines()) == 4 + signers


def test_what_is_shown_can_be_written_to_a_file_and_used(run: Run, policy_file: Path, kit: Path) -> None:
    tap = "brew-provenance/fixtures"
    assert run("policy", "show", tap, "--output", policy_file).out == ""
    arguments = (f"{tap}/hello", "--tag", "x86_64_linux", "--kit", kit, "--offline")
    trusted = ("--trusted-root", kit / "trusted_root.jsonl")
    assert (kit / "trusted_root.jsonl").is_file()

    result = run("check", *arguments, *trusted, "--policy", policy_file)
    assert result.code == 0, result.err
    assert f"policy: derived for {tap}, from a file" in result.out


def test_a_policy_is_shown_and_checked_as_json(run: Run, policy_file: Path) -> None:
    shown = check_json(run("policy", "show", "homebrew/core", "--format", "json").out)
    policy = policy_for_tap("homebrew/core")
    assert (shown["schemaVersion"], shown["name"], shown["origin"]) == (1, "homebrew-core", "built-in")
    assert (shown["tap"], shown["sha256"]) == ("homebrew/core", policy.sha256)
    assert [signer["gives"] for signer in shown["signers"]] == ["build-provenance", "notarisation"]
    assert shown["signers"][1]["valid-until"] == "2024-03-14T00:00:00Z"

    policy_file.write_text(policy.to_toml(), encoding="utf-8")
    checked = check_json(run("policy", "check", policy_file, "--format", "json").out)
    assert checked == {**shown, "origin": "file"}


def test_the_sentence_of_a_plain_signer_says_its_defaults_too(run: Run, policy_file: Path) -> None:
    policy_file.write_text(HEAD + SIGNER, encoding="utf-8")
    (sentence,) = run("policy", "check", policy_file).out.splitlines()[4:]
    assert sentence == (
        "signer 1, us: gives build-provenance; for runs of octo/homebrew-tap at refs/heads/main; "
        "signed by any workflow of octo/homebrew-tap at refs/heads/main; "
        "on github-hosted or self-hosted runners; "
        "describing bottle-build or github-workflow or community-workflow; "
        "built by any workflow of octo/homebrew-tap on github-hosted or self-hosted runners; "
        "subjects named by file-name."
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('source-repository-id = "12"', "; repository id 12;"),
        ('source-owner-id = "34"', "; owner id 34;"),
        ('issuer = "https://issuer.example"', "; with a token of https://issuer.example;"),
        ('signer-repository = "octo/ci"', "; signed by any workflow of octo/ci at refs/heads/main;"),
        ('signer-refs = ["*"]', "; signed by any workflow of octo/homebrew-tap at any ref;"),
        ('workflows = [".github/workflows/a.yml", "*"]', "; signed by any workflow of octo/homebrew-tap at"),
        (
            'workflows = [".github/workflows/a.yml"]',
            "; signed by .github/workflows/a.yml of octo/homebrew-tap",
        ),
        ('runner-environments = ["github-hosted"]', "; on github-hosted runners;"),
        ('build-types = ["bottle-build"]', "; describing bottle-build;"),
        (
            'builders = ["*", "octo/ci/.github/workflows/b.yml"]',
            "; built by any workflow of octo/homebrew-tap or octo/ci/.github/workflows/b.yml on",
        ),
        ('builder-environments = ["self-hosted"]', "octo/homebrew-tap on self-hosted runners;"),
        ("valid-from = 2024-03-14T00:00:00Z", "; signed from 2024-03-14T00:00:00+00:00 on;"),
        ("valid-until = 2024-03-14T00:00:00Z", "; signed until 2024-03-14T00:00:00+00:00;"),
        ('gives = "notarisation"', "signer 1, us: gives notarisation;"),
        ('subject-naming = "url-sha256--file-name"', "; subjects named by url-sha256--file-name."),
    ],
)
def test_the_sentence_of_a_signer_leaves_nothing_out(
    line: str, said: str, run: Run, policy_file: Path
) -> None:
    policy_file.write_text(f"{HEAD}{SIGNER}{line}\n", encoding="utf-8")
    result = run("policy", "check", policy_file)
    assert result.code == 0
    assert said in result.out
    (signer,) = check_json(run("policy", "check", policy_file, "--format", "json").out)["signers"]
    assert line.partition(" ")[0] in signer


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "schema"),
        (b"not toml", "not TOML"),
        (b"\xff", "not TOML"),
        (HEAD.encode(), "signer"),
        ((HEAD + SIGNER + "run = 1\n").encode(), "run"),
        ((HEAD + SIGNER).replace("schema = 1", "schema = 2").encode(), "schema"),
        (b"#" * (1024 * 1024 + 1), "1,048,576"),
    ],
)
def test_what_is_no_policy_is_refused_with_the_reason(
    content: bytes, why: str, run: Run, policy_file: Path
) -> None:
    policy_file.write_bytes(content)
    result = run("policy", "check", policy_file)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"brew-provenance: {policy_file}: ")
    assert why in result.err
    assert "\nnext: " in result.err


def test_a_file_that_is_not_there_is_refused(run: Run, policy_file: Path) -> None:
    result = run("policy", "check", policy_file)
    assert result.code == 2
    assert f"{policy_file}: No such file or directory" in result.err


@pytest.mark.parametrize("tap", ["homebrew", "", "a/b/c", "../etc", "octo/tap\n[[signer]]", "octo/\x1b[2J"])
def test_what_names_no_tap_has_no_policy(tap: str, run: Run) -> None:
    result = run("policy", "show", tap)
    assert (result.code, result.out) == (2, "")
    assert "not the name of a tap" in result.err
    assert "\x1b" not in result.err


def test_what_a_file_says_moves_no_cursor_and_makes_no_line(run: Run, policy_file: Path) -> None:
    hostile = r"\u001b[2J\nsigner 2, \u202e\u0430"
    content = HEAD.replace("mine", hostile) + SIGNER.replace('"us"', f'"{hostile}"')
    content = content.replace("refs/heads/main", hostile)
    content += f'issuer = "{hostile}"\nworkflows = ["{hostile}"]\nsource-owner-id = "{hostile}"\n'
    content += f'source-repository-id = "{"9" * 10_000}"\n'
    policy_file.write_text(content, encoding="utf-8")

    for form in ("text", "json"):
        result = run("policy", "check", policy_file, "--format", form)
        assert result.code == 0
        assert result.out.isascii()
        assert "\x1b" not in result.out
        assert "\nsigner 2" not in result.out
    assert len(run("policy", "check", policy_file).out) < 3_000
