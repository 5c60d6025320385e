"""The command line, run in this process, and things to run it on."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.world import TAG, Front, Ground, World, environment, make_ground

from brew_provenance.cli import main
from brew_provenance.sandbox.rehearsal import make_kit
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.serving import serve

FIXTURES = Path(__file__).parents[2] / "formula-fixtures"


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `brew-provenance` with arguments; an exception is a bug, and exits with 1, as it would."""

    def run_command(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["brew-provenance", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code: int | str | None = 0
        except SystemExit as exit_:
            code = exit_.code
        except Exception:  # noqa: BLE001 - as the interpreter would
            code = 1
        captured = capsys.readouterr()
        return Result(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)

    return run_command


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Let what is started hear of interrupts, also where the tests themselves do not: in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _no_user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests away from what this machine's user has cached."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@dataclass(frozen=True)
class Files:
    """A bottle, its bundle and the root that it verifies under, as files."""

    folder: Path
    artifact: Path
    bundle: Path
    root: Path

    @property
    def arguments(self) -> list[object]:
        """Arguments of `verify` after the artifact, but for the bundle."""
        return ["--repo", "brew-provenance/homebrew-fixtures", "--trusted-root", self.root, "--offline"]


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture
def files(tmp_path: Path, scenario: Scenario) -> Files:
    artifact = tmp_path / scenario.name
    artifact.write_bytes(scenario.artifact)
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(scenario.good())
    root = tmp_path / "root.json"
    root.write_text(json.dumps(scenario.sigstore.trusted_root()), encoding="utf-8")
    return Files(tmp_path, artifact, bundle, root)


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kit")
    make_kit(folder, FIXTURES, unattested=["greeter"], forged={"farewell": "commit-lie"})
    return folder


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def front() -> Iterator[tuple[Front, str]]:
    """Serve whichever world is in force, and say where."""
    front = Front()
    with serve(front) as server:
        yield front, server.url


@pytest.fixture
def world(ground: Ground, front: tuple[Front, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(ground, tmp_path, front[1])
    front[0].world = made
    for name in [name for name in os.environ if name.startswith("HOMEBREW_") or name.endswith("_TOKEN")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    for module in ("check", "kit", "options", "pouring"):
        monkeypatch.setattr(f"brew_provenance.cli.{module}.host_tag", lambda: TAG)
    return made
