"""The README's session is what the quickstart prints, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"


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
