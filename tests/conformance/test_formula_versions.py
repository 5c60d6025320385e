"""Every formula of the recorded homebrew-core has the version that brew finds."""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from pathlib import Path

import pytest

from brew_provenance.formula.version import detect_version


@dataclass(frozen=True)
class Stable:
    """What the recording says of a formula's stable source."""

    url: str
    tag: str | None
    version: str | None
    """The version that the formula states."""


@pytest.fixture(scope="module")
def recorded(data: Path) -> dict[str, Stable]:
    with lzma.open(existing(data / "homebrew" / "homebrew-core-2026-08-22.jsonl.xz")) as lines:
        rows = [json.loads(line) for line in lines]
    return {row["name"]: Stable(row["url"], row["url_tag"], row["version"]) for row in rows}


@pytest.fixture(scope="module")
def found_by_brew(data: Path) -> dict[str, str]:
    with lzma.open(existing(data / "homebrew" / "versions-by-brew.tsv.xz"), "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    return dict(rows)


def existing(file: Path) -> Path:
    if not file.is_file():
        pytest.skip(f"no {file}")
    return file


def test_every_version_found_is_the_one_that_brew_finds(
    recorded: dict[str, Stable], found_by_brew: dict[str, str]
) -> None:
    unstated = {name: version for name, version in found_by_brew.items() if recorded[name].version is None}
    assert len(unstated) > 4000
    found = {name: detect_version(recorded[name].url, tag=recorded[name].tag) for name in unstated}
    assert found == unstated


def test_only_formulae_that_state_a_version_have_sources_without_one(recorded: dict[str, Stable]) -> None:
    without = [s for s in recorded.values() if detect_version(s.url, tag=s.tag) is None]
    assert without
    assert [stable for stable in without if stable.version is None] == []
