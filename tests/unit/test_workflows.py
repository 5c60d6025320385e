"""Everything in .github that runs: what linters do not hold it to."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from brew_provenance.policy import read_policy

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
FILES = [
    pytest.param(path, id=path.relative_to(ROOT / ".github").as_posix()) for path in (*WORKFLOWS, *ACTIONS)
]

_PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
_OWN = re.compile(r"\$/\.github/(?:actions|workflows)/[\w.-]+(?: #.*)?")


def document(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    found = document(path)
    if "runs" in found:
        yield from found["runs"]["steps"]
    for job in found.get("jobs", {}).values():
        yield from job.get("steps", ())


def test_there_are_workflows_and_actions() -> None:
    assert len(WORKFLOWS) >= 2
    assert {path.parent.name for path in ACTIONS} >= {"attest-bottles", "record-bottles"}


@pytest.mark.parametrize("path", FILES)
def test_whatever_is_used_is_pinned_by_its_commit_and_says_its_version(path: Path) -> None:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    used = [
        line.removeprefix("- ").removeprefix("uses: ") for line in lines if re.match(r"(?:- )?uses:", line)
    ]
    assert len(used) == sum("uses" in step for step in steps(path)) + sum(
        "uses" in job for job in document(path).get("jobs", {}).values()
    )
    for reference in used:
        assert _PINNED.fullmatch(reference) or _OWN.fullmatch(reference), reference


@pytest.mark.parametrize("path", FILES)
def test_no_expression_stands_in_a_script(path: Path) -> None:
    for step in steps(path):
        # Whoever controls its value would write a part of the script.
        assert "${{" not in step.get("run", ""), step


@pytest.mark.parametrize("path", [param for param in FILES if param.values[0] in WORKFLOWS])
def test_a_workflow_has_no_permission_and_each_job_says_its_own(path: Path) -> None:
    found = document(path)
    assert found["permissions"] == {}
    for job in found["jobs"].values():
        assert isinstance(job["permissions"], dict)
        assert "write-all" not in job["permissions"].values()
        assert job["timeout-minutes"] <= 360 if "steps" in job else "uses" in job


@pytest.mark.parametrize("path", [param for param in FILES if param.values[0] in WORKFLOWS])
def test_no_checkout_leaves_its_token_behind(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_attesting_job_has_what_it_needs_and_no_more() -> None:
    job = document(ROOT / ".github" / "workflows" / "attest-bottles.yml")["jobs"]["attest"]
    assert job["permissions"] == {
        "actions": "read",
        "attestations": "write",
        "id-token": "write",
    }


@pytest.mark.parametrize("path", [param for param in FILES if param.values[0] in ACTIONS])
def test_every_input_of_an_action_is_described_and_used(path: Path) -> None:
    found = document(path)
    text = path.read_text(encoding="utf-8")
    page = (path.parent / "README.md").read_text(encoding="utf-8")
    for name, told in found["inputs"].items():
        assert told["description"]
        assert "default" in told or told["required"]
        assert f"inputs.{name} }}}}" in text
        assert f"`{name}`" in page
    for name in found["outputs"]:
        assert f"`{name}`" in page


def test_the_policy_for_the_reusable_workflow_is_one(tmp_path: Path) -> None:
    page = (ROOT / ".github" / "actions" / "README.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "policy.toml"
    file.write_text(text.replace("COMMIT", "a" * 40), encoding="utf-8")
    (signer,) = read_policy(file).signers
    assert signer.signer_repository == "brew-provenance/brew-provenance"
    assert (ROOT / signer.workflows[0]).is_file()


# The lock files that CI installs from

RUNTIME, TESTING = "requirements.txt", "requirements-dev.txt"


def locked(name: str) -> dict[str, tuple[Version, int]]:
    text = (ROOT / ".github" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, tuple[Version, int]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line.partition(" --hash")[0])
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        found[canonicalize_name(requirement.name)] = (Version(pin.version), line.count("--hash=sha256:"))
    return found


def wanted(name: str) -> list[str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, dependencies = document["project"], list(document["project"]["dependencies"])
    if name == TESTING:
        dependencies += document["dependency-groups"]["dev"]
        dependencies += [one for extra in project["optional-dependencies"].values() for one in extra]
    return dependencies


@pytest.mark.parametrize("name", [RUNTIME, TESTING])
def test_a_lock_has_every_dependency_as_the_project_wants_it(name: str) -> None:
    lock = locked(name)
    for text in wanted(name):
        requirement = Requirement(text)
        version, _ = lock[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, f"{text} is locked at {version}: run scripts/lock"


@pytest.mark.parametrize("name", [RUNTIME, TESTING])
def test_a_lock_names_digests_for_everything(name: str) -> None:
    assert all(count for _, count in locked(name).values())


def test_what_is_tested_is_what_taps_install() -> None:
    tested, installed = locked(TESTING), locked(RUNTIME)
    assert {name: tested[name][0] for name in installed} == {
        name: pin for name, (pin, _) in installed.items()
    }
