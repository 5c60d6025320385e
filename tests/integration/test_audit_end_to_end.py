"""A tap from its git repository, a store over HTTP, worker processes, a ledger: audits as people run them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.conftest import FIXTURES, Run

from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.options import Budgets, Options
from brew_provenance.sandbox.github.service import AttestationService, serve_github
from brew_provenance.sandbox.github.stock import load_kit
from brew_provenance.sandbox.rehearsal import make_kit

TAP, REPOSITORY = "brew-provenance/fixtures", "brew-provenance/homebrew-fixtures"


@dataclass(frozen=True)
class Place:
    """A tap, its store, and where ledgers go."""

    folder: Path
    service: AttestationService
    options: list[object]

    def ledger(self, name: str) -> Path:
        return self.folder / f"{name}.sqlite"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("audit")
    kit, tap = folder / "kit", folder / "tap"
    make_kit(kit, FIXTURES, unattested=["greeter"], forged={"farewell": "commit-lie"})
    shutil.copytree(FIXTURES / "Formula", tap / "Formula")
    _commit(tap)
    store = AttestationStore()
    store.add_repository(REPOSITORY)
    load_kit(store, kit, REPOSITORY)
    service = AttestationService(
        store, Options(budgets=Budgets(anonymous=100_000), bulk_requires_token=False)
    )
    with serve_github(service) as served:
        root = kit / "trusted_root.jsonl"
        where = ["--tap-dir", tap, "--github-api", served.url, "--trusted-root", root, "--workers", 1]
        yield Place(folder, service, where)


def _commit(tap: Path) -> None:
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "formulae"]):
        subprocess.run(["git", "-C", str(tap), *arguments], check=True)


@pytest.fixture(scope="module")
def first(place: Place) -> Path:
    return place.ledger("first")


def test_every_bottle_has_a_verdict_and_the_worst_decides(place: Place, first: Path, run: Run) -> None:
    result = run("audit", TAP, "--ledger", first, *place.options, "--format", "json")
    assert result.code == 3
    document = json.loads(result.out)
    assert document["summary"] == {"verified": 11, "unattested": 2, "rejected": 3}
    assert len(document["bottles"]) == 16
    assert "16 judged" in result.err


def test_a_second_audit_judges_nothing_and_asks_nobody(place: Place, run: Run) -> None:
    ledger = place.ledger("twice")
    run("audit", TAP, "--ledger", ledger, *place.options)
    place.service.log.clear()
    result = run("audit", TAP, "--ledger", ledger, *place.options)
    assert result.code == 3
    assert " 0 judged, 0 bundles verified" in result.err
    assert place.service.log.records == ()


@pytest.mark.parametrize("output_format", ["text", "markdown", "json", "jsonl", "sarif", "junit"])
def test_a_ledger_can_be_reported_without_network(output_format: str, place: Place, run: Run) -> None:
    ledger = place.ledger("reported")
    if not ledger.exists():
        run("audit", TAP, "--ledger", ledger, *place.options)
    result = run("audit", "report", TAP, "--ledger", ledger, "--format", output_format)
    assert result.code == 0, result.err
    assert "farewell--1.5.2" in result.out.replace("\\", "")
    assert result.out.isascii()
    if output_format == "sarif":
        assert len(json.loads(result.out)["runs"][0]["results"]) == 5


def test_shards_put_together_are_the_whole(place: Place, run: Run) -> None:
    whole, parts = place.ledger("whole"), [place.ledger(f"part-{number}") for number in (1, 2, 3)]
    run("audit", TAP, "--ledger", whole, *place.options)
    for number, part in enumerate(parts, 1):
        run("audit", TAP, "--ledger", part, "--shard", f"{number}/3", *place.options)
    merged = place.ledger("merged")
    assert run("audit", "merge", merged, *parts).code in {0, 3}
    one, other = (
        run("audit", "report", TAP, "--ledger", ledger, "--format", "jsonl").out for ledger in (whole, merged)
    )
    assert one == other


def test_what_changed_is_told_and_an_alarm_is_an_exit_code(place: Place, run: Run) -> None:
    old, new = place.ledger("old"), place.ledger("new")
    run("audit", TAP, "--ledger", old, *place.options)
    run("audit", TAP, "--ledger", new, *place.options)
    assert run("audit", "diff", old, new).code == 0
    gone = [number for number in range(1, 50) if (found := place.service.store.get(number)) and found.digests]
    kept = [place.service.store.get(number) for number in gone]
    place.service.store.delete(gone)
    result = run("audit", TAP, "--ledger", new, *place.options, "--refresh")
    assert result.code == 4
    result = run("audit", "diff", old, new, "--format", "json")
    assert result.code == 3
    assert "provenance-lost" in result.out
    for attestation in kept:
        if attestation is not None:
            place.service.store.add(REPOSITORY, attestation.bundle, digests=attestation.digests)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["audit", "report", TAP, "--ledger", "/nonexistent/ledger"], "No such file"),
        (["audit", TAP, "--ledger", "/nonexistent/ledger", "--tap-dir", "/nonexistent"], "nonexistent"),
        (["audit", "nonsense"], "No such command"),
        (["audit", "diff", "/nonexistent/a", "/nonexistent/b"], "/nonexistent/a"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[object], said: str, run: Run) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert said in result.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_made_for_each_shell(shell: str, run: Run) -> None:
    result = run("completions", shell)
    assert result.code == 0
    assert "_BREW_PROVENANCE_COMPLETE" in result.out
