"""A release to attest, before servers that answer as the real ones do."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.integration.attest.releases import Ground, Release, hurry, make_tap, reset, world_options
from tests.integration.conftest import Result, Run

from brew_provenance.sandbox.services.world import serve_world

Attest: TypeAlias = Callable[..., Result]

IDENTITY_TOKEN = re.compile(r"eyJ[\w-]+\.eyJ")


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("release")
    head = make_tap(folder / "tap")
    with serve_world(world_options(head)) as world:
        made = Ground(folder / "tap", head, world, folder / "recorded")
        made.record_all()
        yield made


@pytest.fixture(scope="session")
def started(ground: Ground) -> datetime:
    job = ground.world.rehearsal.job
    found = ground.world.github.runs.find(int(job.run_id))
    assert found is not None
    return found.started_at


@pytest.fixture
def release(
    ground: Ground, started: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Release]:
    reset(ground.world, started)
    for name in [name for name in os.environ if name.startswith("HOMEBREW_") or name.endswith("_TOKEN")]:
        monkeypatch.delenv(name)
    environment = ground.world.environment_for(os.environ)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    hurry(monkeypatch)
    yield Release(ground, tmp_path / "bottles", tmp_path / "bundles", environment)
    reset(ground.world, started)


@pytest.fixture
def attest(run: Run, release: Release) -> Attest:
    """Run `attest` with further arguments, and see to it that no secret is in what it leaves behind."""

    def run_attest(*arguments: object, code: int = 0, resume: bool = False) -> Result:
        result = run(*(release.resuming if resume else release.arguments), *arguments)
        assert result.code == code, result.out + result.err
        refuse_secrets(release, result.out + result.err)
        return result

    return run_attest


def refuse_secrets(release: Release, said: str) -> None:
    for text in (said, release.written()):
        assert not any(secret in text for secret in release.secrets())
        assert not IDENTITY_TOKEN.search(text)
        assert "Traceback" not in text
