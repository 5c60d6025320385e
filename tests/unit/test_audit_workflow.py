"""The scheduled audit of a tap: what its scripts do, with programs that write down what they are told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / ".github" / "actions" / "audit-tap"
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "audit-tap.yml").read_text(encoding="utf-8"))

# Writes down its arguments, and answers as the lines of a file say: words among them, a code, an output.
FAKE = """\
#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$CALLS"
while IFS='|' read -r words code output; do
  if [[ "$*" == *"$words"* ]]; then
    if [[ -n "$output" ]]; then printf '%b\\n' "$output"; fi
    while [[ $# -gt 0 ]]; do
      if [[ "$1" == --output ]]; then printf '%s of it\\n' "$words" >"$2"; fi
      if [[ "$1" == --dir && "$code" == 0 ]]; then mkdir -p "$2"; printf ledger >"$2/ledger.sqlite"; fi
      shift
    done
    exit "$code"
  fi
done <"$ANSWERS"
"""


class Job:
    """A folder in which steps run, with what they set and call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.audit = folder / "audit"
        self.audit.mkdir()
        self._output, self._calls, self._answers = (folder / name for name in ("output", "calls", "answers"))
        for file in (self._output, self._calls, self._answers):
            file.touch()
        bin_ = folder / "bin"
        bin_.mkdir()
        for name in ("gh", "brew-provenance"):
            (bin_ / name).write_text(FAKE, encoding="utf-8")
            (bin_ / name).chmod(0o755)
        self.environment = {
            "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(self._calls),
            "ANSWERS": str(self._answers),
            "COMMAND": str(bin_ / "brew-provenance"),
            "FOLDER": "audit",
            "TAP": "octo/tap",
            "GITHUB_OUTPUT": str(self._output),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "GITHUB_REPOSITORY": "Octo/homebrew-tap",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "7",
            "GITHUB_WORKFLOW_REF": "Octo/homebrew-tap/.github/workflows/audit.yml@refs/heads/main",
            "DEFAULT_BRANCH": "main",
            "ARTIFACT": "audit-octo-tap",
            "LABEL": "build-provenance",
        }
        self.environment |= dict.fromkeys(("TAP_DIR", "POLICY", "FAIL_ON", "FLAG_DAY"), "")
        self.environment |= {"REFRESH": "true", "HISTORY": "false"}

    def run(self, script: str | Path, *answers: str, **environment: str) -> int:
        self._answers.write_text("".join(f"{answer}\n" for answer in answers), encoding="utf-8")
        self._calls.write_text("", encoding="utf-8")
        self._output.write_text("", encoding="utf-8")
        command = [str(script)] if isinstance(script, Path) else ["bash", "-e", "-c", script]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment | environment, check=False, capture_output=True
        )
        return done.returncode

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text(encoding="utf-8").splitlines()

    @property
    def outputs(self) -> Mapping[str, str]:
        lines = self._output.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def step(job: str, name: str) -> str:
    found: list[dict[str, Any]] = WORKFLOW["jobs"][job]["steps"]
    return str(next(step["run"] for step in found if step["name"] == name))


AUDIT = ACTION / "audit"


def test_the_first_audit_has_nothing_to_compare_with(job: Job) -> None:
    assert job.run(AUDIT, "audit run|0|") == 0
    of_ledger = "--ledger audit/ledger.sqlite"
    assert job.calls == [
        f"audit run {of_ledger} --quiet --refresh --format markdown --output audit/summary.md -- octo/tap",
        *(
            f"audit report {of_ledger} --format {name} --output audit/report.{name} -- octo/tap"
            for name in ("sarif", "html", "jsonl")
        ),
    ]
    assert job.outputs == {"alarm": "false", "compared": "false", "outcome": "0"}
    assert (job.folder / "summary").read_text(encoding="utf-8") == "audit run of it\n"


@pytest.mark.parametrize(
    ("code", "alarm", "compared"), [(0, "false", "true"), (3, "true", "true"), (2, "false", "false")]
)
def test_a_later_audit_is_compared_and_may_be_an_alarm(
    code: int, alarm: str, compared: str, job: Job
) -> None:
    (job.audit / "ledger.sqlite").write_bytes(b"x")
    options = {"FAIL_ON": "digest-changed,provenance-lost regression", "FLAG_DAY": "2026-01-01"}
    assert job.run(AUDIT, "audit run|4|", f"audit diff|{code}|", **options) == 0
    assert job.calls[-1] == (
        "audit diff --tap octo/tap --flag-day 2026-01-01 --fail-on digest-changed --fail-on provenance-lost"
        " --fail-on regression --format markdown --output audit/changes.md -- audit/ledger.sqlite"
    )
    assert job.outputs == {"alarm": alarm, "compared": compared, "outcome": "4"}
    told = (job.folder / "summary").read_text(encoding="utf-8")
    assert ("audit diff of it" in told) == (compared == "true")


def test_options_are_handed_on_each_as_one_word(job: Job) -> None:
    given = {"TAP_DIR": "a b", "POLICY": "$(id)", "REFRESH": "false", "HISTORY": "true", "TAP": "-x/y"}
    assert job.run(AUDIT, "audit run|0|", **given) == 0
    assert job.calls[0] == (
        "audit run --ledger audit/ledger.sqlite --quiet --tap-dir a b --policy $(id) --history"
        " --format markdown --output audit/summary.md -- -x/y"
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [*(("audit run", code) for code in (1, 2, 130)), *(("audit diff", code) for code in (1, 130))],
)
def test_what_is_no_audit_fails(command: str, code: int, job: Job) -> None:
    (job.audit / "ledger.sqlite").write_bytes(b"x")
    assert job.run(AUDIT, f"{command}|{code}|") == code
    assert job.outputs == {}


LAST = step("audit", "Fetch the ledger of the last time")


def test_the_ledger_is_that_of_the_newest_run_that_has_one(job: Job) -> None:
    answers = [
        "--event schedule|0|5\\n12\\n",
        "--event workflow_dispatch|0|7\\n9",
        "run download 12|1|",
        "run download 9|0|",
    ]
    assert job.run(LAST, *answers) == 0
    asked = [call for call in job.calls if call.startswith("run list")]
    assert [call.partition("--event ")[2].partition(" ")[0] for call in asked] == [
        "schedule",
        "workflow_dispatch",
    ]
    assert all("--workflow audit.yml --branch main" in call for call in asked)
    # The newest first, and never this very run.
    assert [call.split()[2] for call in job.calls if call.startswith("run download")] == ["12", "9"]
    assert (job.audit / "ledger.sqlite").read_bytes() == b"ledger"
    assert not (job.audit / "earlier").exists()


def test_without_an_earlier_run_there_is_no_ledger(job: Job) -> None:
    assert job.run(LAST, "run list|0|", "run download|1|") == 0
    assert list(job.audit.iterdir()) == []


def test_a_failure_to_list_runs_is_not_taken_for_none(job: Job) -> None:
    assert job.run(LAST, "run list|1|") != 0


ISSUE = step("issue", "Open an issue, or bring the open one up to date")


@pytest.fixture
def alarmed(job: Job) -> Job:
    (job.audit / "changes.md").write_text("an alarm: `foo`\n" + "x" * 100_000, encoding="utf-8")
    return job


def test_the_first_alarm_opens_an_issue(alarmed: Job) -> None:
    assert alarmed.run(ISSUE, "issue list|0|") == 0
    assert alarmed.calls[-1] == (
        "issue create --title Build provenance of octo/tap: an alarm --label build-provenance"
        " --body-file audit/issue.md"
    )
    body = (alarmed.audit / "issue.md").read_text(encoding="utf-8")
    assert "https://github.com/Octo/homebrew-tap/actions/runs/7" in body
    assert "an alarm: `foo`" in body
    assert len(body) < 65_536


def test_a_later_alarm_brings_it_up_to_date(alarmed: Job) -> None:
    # That the label is there already is no failure.
    assert alarmed.run(ISSUE, "issue list|0|41", "label create|1|") == 0
    assert [call.split(" --")[0] for call in alarmed.calls[-2:]] == ["issue edit 41", "issue comment 41"]


@pytest.mark.parametrize(
    ("tap", "code", "outputs"),
    [
        ("", 0, {"tap": "octo/tap", "own": "true", "artifact": "audit-octo-tap"}),
        ("Homebrew/core", 0, {"tap": "homebrew/core", "own": "false", "artifact": "audit-homebrew-core"}),
        ("octo/tap/x", 2, {}),
        ("octo/tap$(id)", 2, {}),
        ("octo/tap\nx=y", 2, {}),
        ("--x", 2, {}),
    ],
)
def test_a_tap_is_named_in_one_way(tap: str, code: int, outputs: Mapping[str, str], job: Job) -> None:
    assert job.run(step("audit", "Name the tap"), TAP=tap) == code
    found = dict(job.outputs)
    if outputs:
        assert found.pop("repository").endswith(f"/homebrew-{outputs['tap'].partition('/')[2]}")
    assert found == outputs


def test_no_job_may_do_more_than_it_has_to() -> None:
    permissions = {name: job["permissions"] for name, job in WORKFLOW["jobs"].items()}
    assert permissions == {
        "audit": {"contents": "read", "actions": "read"},
        "sarif": {"actions": "read", "security-events": "write"},
        "issue": {"issues": "write"},
    }


def test_every_input_of_the_workflow_is_explained_and_used() -> None:
    page = (ACTION / "README.md").read_text(encoding="utf-8")
    text = (ROOT / ".github" / "workflows" / "audit-tap.yml").read_text(encoding="utf-8")
    for name in WORKFLOW[True]["workflow_call"]["inputs"]:
        assert f"`{name}`" in page
        assert f"inputs.{name}" in text
