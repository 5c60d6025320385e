"""The scripts within our composite actions, run as the runner runs them, with hostile inputs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from brew_provenance.cli.attest import command as attest_command
from brew_provenance.cli.record import command as record_command

ACTIONS = Path(__file__).resolve().parents[2] / ".github" / "actions"
HOSTILE = '$(touch "$OUT/pwned") `id` ; "quoted" \'single\' * -- \\'


def step(action: str, name: str) -> dict[str, Any]:
    document = yaml.safe_load((ACTIONS / action / "action.yml").read_text(encoding="utf-8"))
    (found,) = [step for step in document["runs"]["steps"] if step["name"] == name]
    assert isinstance(found, dict)
    return found


class Runner:
    """Runs a step with a brew-provenance that only writes down what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = folder / "tool" / "brew-provenance"
        self.command.parent.mkdir()
        self.command.write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            "with open(os.environ['OUT'] + '/called', 'w', encoding='utf-8') as file:\n"
            "    json.dump(sys.argv[1:], file)\n"
            "sys.exit(int(os.environ.get('STATUS', '0')))\n",
            encoding="utf-8",
        )
        self.command.chmod(0o755)
        self.output = folder / "output"
        self.output.touch()

    def run(self, action: str, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
        found = step(action, name)
        given = {key: variables.pop(key, "") for key in found["env"] if key != "COMMAND"}
        environment = {
            "PATH": os.environ["PATH"],
            "OUT": str(self.folder),
            "COMMAND": str(self.command),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_REPOSITORY": "octo/homebrew-tap",
            "GITHUB_API_URL": "https://api.github.com",
            "RUNNER_TEMP": str(self.folder),
        }
        # As the runner does for `shell: bash`.
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]],
            env=environment | given | variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    @property
    def called(self) -> list[str]:
        found = json.loads((self.folder / "called").read_text(encoding="utf-8"))
        assert isinstance(found, list)
        return found


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_recording_hands_on_what_it_was_given(runner: Runner) -> None:
    result = runner.run("record-bottles", "Record", BOTTLES=".", JOB_ID="17")
    records = str(runner.command.with_name("records.json"))
    assert result.returncode == 0
    assert runner.called == [
        "record", "--allow-none", "--job-id", "17", "--format", "json", "--output", records, "--", "."
    ]  # fmt: skip
    assert runner.output.read_text(encoding="utf-8") == f"records={records}\n"


def test_recording_knows_every_option_that_it_is_given(runner: Runner) -> None:
    runner.run("record-bottles", "Record", BOTTLES="-b", JOB_ID="", TAP_DIR="-t", EARLIER="-e")
    parsed = record_command.make_context("record", runner.called[1:]).params
    assert (parsed["folders"], parsed["tap_dir"], parsed["earlier"]) == (
        (Path("-b"),),
        Path("-t"),
        (Path("-e"),),
    )
    assert (parsed["job_id"], parsed["allow_none"], parsed["output_format"]) == ("", True, "json")


def test_a_refusal_to_record_fails_the_step(runner: Runner) -> None:
    result = runner.run("record-bottles", "Record", BOTTLES=".", STATUS="6")
    assert result.returncode == 6
    assert not runner.output.read_text(encoding="utf-8")


def test_attesting_hands_on_what_it_was_given(runner: Runner) -> None:
    result = runner.run(
        "attest-bottles",
        "Attest",
        BOTTLES="bottles",
        TAP="octo/other",
        POLICY="policy.toml",
        TRUST_CONFIG="trust.json",
        TRUSTED_ROOT="root.json",
        BUNDLES="bundles",
        RESUME="true",
        ALLOW_PRIVATE="true",
        MAX_PER_MINUTE="60",
        MAX_PER_HOUR="400",
        WITHOUT_RECORDS="true",
    )
    assert result.returncode == 0
    parsed = attest_command.make_context("attest", runner.called[1:]).params
    given = {
        "folder": Path("bottles"),
        "tap": "octo/other",
        "policy_file": Path("policy.toml"),
        "config_file": Path("trust.json"),
        "trusted_root_file": Path("root.json"),
        "bundles_folder": Path("bundles"),
        "api": "https://api.github.com",
        "resume": True,
        "allow_private": True,
        "without_records": True,
        "max_per_minute": 60,
        "max_per_hour": 400,
    }
    assert parsed == parsed | given


def test_attesting_says_nothing_that_it_was_not_given(runner: Runner) -> None:
    runner.run("attest-bottles", "Attest", BOTTLES=".", RESUME="false", ALLOW_PRIVATE="false")
    bundles = str(runner.command.with_name("bundles"))
    assert runner.called == [
        "attest", "--github-api", "https://api.github.com", "--bundles", bundles, "--", "."
    ]  # fmt: skip


def test_a_failure_to_attest_fails_the_step(runner: Runner) -> None:
    assert runner.run("attest-bottles", "Attest", BOTTLES=".", STATUS="6").returncode == 6


@pytest.mark.parametrize(("action", "name"), [("record-bottles", "Record"), ("attest-bottles", "Attest")])
def test_no_input_is_run(action: str, name: str, runner: Runner) -> None:
    variables = {key: HOSTILE for key in step(action, name)["env"] if key not in {"COMMAND", "GITHUB_TOKEN"}}
    result = runner.run(action, name, **variables)
    assert result.returncode == 0
    assert HOSTILE in runner.called
    assert not (runner.folder / "pwned").exists()


@pytest.mark.parametrize("found", [True, False])
def test_python_is_looked_for_before_one_is_set_up(found: bool, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("env", "bash", "dirname"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    if found:
        (tools / "python3.12").symlink_to(sys.executable)
    python = tools / "python3"
    python.write_text("#!/usr/bin/env bash\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    output = tmp_path / "output"
    subprocess.run(
        [str(shutil.which("bash")), ACTIONS / "find-python"],
        env={"PATH": str(tools), "PYTHON": "", "GITHUB_OUTPUT": str(output)},
        timeout=60,
        check=True,
    )
    assert output.read_text(encoding="utf-8") == f"found={str(found).lower()}\n"


def test_without_a_python_installing_says_what_is_needed(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "dirname", "uname", "mktemp"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    result = subprocess.run(
        [str(shutil.which("bash")), ACTIONS / "install"],
        env={"PATH": str(tools), "GITHUB_OUTPUT": str(tmp_path / "output"), "RUNNER_TEMP": str(tmp_path)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout.startswith("::error::brew-provenance needs Python 3.11 or later")
    assert not (tmp_path / "output").exists()
