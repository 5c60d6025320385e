"""The threat model names tests; those have to be there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / ".github" / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_threat_model_names_is_there(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not name or name in defined


def test_every_attacker_of_the_threat_model_has_a_test() -> None:
    tables = PAGE.partition("## Threat model")[2].partition("## What is not detected")[0]
    rows = [line for line in tables.splitlines() if line.startswith("|") and not line.startswith("| ---")]
    attackers = [row for row in rows if not row.startswith(("| attacker", "| tries |"))]
    assert len(attackers) > 20
    for row in attackers:
        assert "`tests/" in row, row
