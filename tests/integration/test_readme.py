"""The README's session is what the quickstart prints, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
CONTRIBUTING = REPOSITORY / ".github" / "CONTRIBUTING.md"
PACKAGE = REPOSITORY / "src" / "brew_provenance"


def test_session_in_the_readme_is_what_the_quickstart_prints() -> None:
    if not (REPOSITORY / ".venv").is_dir():
        pytest.skip("the quickstart would install a virtual environment; scripts/test has made one")
    done = subprocess.run(
        [REPOSITORY / "scripts" / "quickstart"], capture_output=True, encoding="utf-8", check=False, cwd="/"
    )

    assert done.returncode == 0, done.stderr
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert done.stdout.strip() in {block.strip() for block in blocks}


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        ".github/CONTRIBUTING.md",
        "formula-fixtures/README.md",
        "scripts/bench/README.md",
        "src/brew_provenance/policies/README.md",
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    path = REPOSITORY / page
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", path.read_text(encoding="utf-8"))

    assert not [link for link in links if not (path.parent / link).exists()]


def test_every_command_in_the_readme_exists() -> None:
    commands = set(re.findall(r"brew-provenance ([a-z]+)", README.read_text(encoding="utf-8")))
    modules = {path.stem for path in (REPOSITORY / "src/brew_provenance/cli").glob("*.py")}

    assert commands <= modules


def test_the_tour_names_every_room() -> None:
    rows = [line.split("|")[1] for line in read(CONTRIBUTING).splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z]+/?)`", row)]
    modules = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    packages = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}

    assert sorted(named) == sorted(modules | packages)


def test_every_script_is_told_of() -> None:
    told = set(re.findall(r"scripts/([a-z-]+)", read(README) + read(CONTRIBUTING)))
    scripts = {path.name for path in (REPOSITORY / "scripts").iterdir() if path.name != "__pycache__"}

    # What the other scripts source is none to be run.
    assert scripts - {"environment"} <= told


def test_every_command_is_told_of_in_the_readme() -> None:
    commands = re.findall(r'^    "([a-z]+)": "', read(PACKAGE / "cli/__init__.py"), re.MULTILINE)
    text = read(README)

    assert commands
    assert [name for name in commands if not re.search(rf"\b{name}\b", text)] == []


def test_every_option_in_the_readme_exists() -> None:
    source = "".join(read(path) for path in (PACKAGE / "cli").glob("*.py"))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", read(README)))

    assert named
    assert {name for name in named if f'"{name}"' not in source} == set()


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
