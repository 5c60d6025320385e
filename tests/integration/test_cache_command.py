"""`cache`: what this machine remembers can be looked at, and forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.conftest import Run
from tests.unit.builders import SHA256, make_raw_bundle

from brew_provenance.appraise import Candidate
from brew_provenance.bundle import read_bundle
from brew_provenance.stores import Answer
from brew_provenance.stores.cache import CachedStore


class Store:
    """A store with one attestation."""

    name = "api.example.org, octo/homebrew-tap"

    def resolve(self, digests: object, *, fresh: bool = False) -> dict[object, Answer]:
        return {SHA256: Answer((Candidate("x", read_bundle(make_raw_bundle())),))}


@pytest.fixture
def attestations(tmp_path: Path) -> Path:
    """Where they are on this machine."""
    return tmp_path / "cache" / "brew-provenance" / "attestations"


@pytest.fixture
def remembered(attestations: Path) -> Path:
    CachedStore(Store(), attestations, Store.name).resolve([SHA256])  # type: ignore[arg-type]
    (found,) = attestations.glob("*/*")
    return found


@pytest.mark.parametrize("command", ["info", "clear"])
def test_nothing_is_remembered_at_first(command: str, run: Run, attestations: Path) -> None:
    result = run("cache", command)
    assert result.code == 0
    assert str(attestations) in result.out
    assert "attestations of 0 bottles, 0.0 MB" in result.out
    assert not attestations.exists()


def test_what_is_remembered_is_counted(run: Run, remembered: Path) -> None:
    remembered.write_bytes(b" " * 1_500_000)
    assert "attestations of 1 bottles, 1.5 MB" in run("cache", "info").out
    assert remembered.exists()


def test_what_is_remembered_can_be_forgotten_and_nothing_else_goes(
    run: Run, remembered: Path, attestations: Path
) -> None:
    (attestations / "notes.txt").write_text("mine", encoding="utf-8")
    result = run("cache", "clear")
    assert result.code == 0
    assert "deleted attestations of 1 bottles" in result.out
    assert [path.name for path in attestations.iterdir()] == ["notes.txt"]
    assert "of 0 bottles" in run("cache", "info").out


@pytest.mark.parametrize("command", ["info", "clear"])
def test_a_folder_that_cannot_be_looked_at_is_an_error(
    command: str, run: Run, remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    result = run("cache", command)
    assert result.code == 2
    assert "Permission denied" in result.err
    assert "\nnext: " in result.err
    assert remembered.exists()


def test_a_file_in_the_folders_place_is_nothing_remembered(run: Run, attestations: Path) -> None:
    attestations.parent.mkdir(parents=True)
    attestations.write_text("mine", encoding="utf-8")
    assert "of 0 bottles" in run("cache", "clear").out
    assert attestations.read_text(encoding="utf-8") == "mine"
