"""`attest`, killed while it waits for each of the services, and begun again."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.attest.conftest import Attest, refuse_secrets
from tests.integration.attest.releases import HELLO2, SECONDS, Release, command_line

from brew_provenance.sandbox.github.exchange import Call, Reply
from brew_provenance.sandbox.github.faults import Fault
from brew_provenance.sandbox.services.baddays import FOREVER_SECONDS, PLACES

BOTTLES = (*HELLO2, "farewell--1.5.2_1.sonoma.bottle.tar.gz")


@dataclass
class Wait:
    """A service that from some request on never answers, whether it does what is asked or not."""

    place: str
    passes: int = 0
    """Requests that it answers before."""

    does_it: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    count: int = 0
    """How many requests wait."""

    def order(self, release: Release) -> None:
        server, method, path = PLACES[self.place]
        faults = release.world.faults[server]
        if self.passes:
            faults.inject(Fault("nothing"), self.passes, method=method, path=path)
        instead: Callable[[Call], Reply] | None = None if self.does_it else self._wait_for_nothing
        faults.inject(Fault("wait", self._wait, instead=instead), None, method=method, path=path)

    def _wait(self, _: Call, reply: Reply) -> Reply:
        self.count += 1
        self.reached.set()
        return replace(reply, wait=FOREVER_SECONDS)

    def _wait_for_nothing(self, call: Call) -> Reply:
        return self._wait(call, Reply(503))


STEPS: Mapping[str, Callable[[], Wait]] = {
    "before the repository is known": lambda: Wait("github"),
    "before the run is known": lambda: Wait("actions"),
    "before the jobs are known": lambda: Wait("actions", 1),
    "before the store is asked": lambda: Wait("store"),
    "before there is a token": lambda: Wait("oidc"),
    "before there is a certificate": lambda: Wait("ca"),
    "after there is a certificate": lambda: Wait("ca", does_it=True),
    "before the first signature": lambda: Wait("log"),
    "after the first signature": lambda: Wait("log", does_it=True),
    "before the third signature": lambda: Wait("log", 2),
    "after the third signature": lambda: Wait("log", 2, does_it=True),
    "before the first is published": lambda: Wait("publishing"),
    "after the first is published": lambda: Wait("publishing", does_it=True),
    "before the second is published": lambda: Wait("publishing", 1),
    "after the last is published": lambda: Wait("publishing", 2, does_it=True),
    "before it is read back": lambda: Wait("store", 4),
}


def start(release: Release, folder: Path, *arguments: object) -> subprocess.Popen[bytes]:
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        return subprocess.Popen(
            command_line([*release.arguments, *arguments]),
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )


def end(release: Release, folder: Path, process: subprocess.Popen[bytes], how: int) -> str:
    """Send a signal, wait for the end, and return what was said."""
    process.send_signal(how)
    process.wait(SECONDS)
    said = "".join((folder / name).read_text(encoding="utf-8") for name in ("out", "err"))
    refuse_secrets(release, said)
    return said


def wait_for_files(release: Release, count: int) -> None:
    """Wait until what was answered is on disk."""
    until = time.monotonic() + SECONDS
    while len(kept_bundles(release)) < count:
        assert time.monotonic() < until
        time.sleep(0.01)


def kept_bundles(release: Release) -> list[str]:
    return sorted(path.name for path in release.bundles.glob("*.sigstore.json"))


ORDINARY = {"after the third signature", "after the first is published", "before it is read back"}


@pytest.mark.parametrize(
    "step",
    [pytest.param(step, marks=() if step in ORDINARY else pytest.mark.nightly) for step in STEPS],
)
def test_a_run_that_was_killed_is_finished_by_the_next_one(
    step: str, attest: Attest, release: Release, tmp_path: Path
) -> None:
    release.take(*BOTTLES)
    before = release.entries
    wait = STEPS[step]()
    wait.order(release)
    with start(release, tmp_path) as process:
        assert wait.reached.wait(SECONDS)
        wait_for_files(release, wait.passes if wait.place == "log" else 0)
        end(release, tmp_path, process, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    for faults in release.world.faults.values():
        faults.clear()
    kept = kept_bundles(release)

    attest()

    assert release.stored() == sorted(BOTTLES)
    # What the log took without an answer is signed again; nothing else is.
    lost = wait.count if wait.place == "log" and wait.does_it else 0
    assert release.entries - before == len(BOTTLES) + lost
    assert set(kept) <= set(kept_bundles(release))
    signed = release.entries
    attest()
    assert (release.entries, release.stored()) == (signed, sorted(BOTTLES))


@pytest.mark.parametrize(
    "step", ["before the first is published", "after the first is published", "before it is read back"]
)
def test_what_a_killed_run_has_signed_can_be_published_without_the_bottles(
    step: str, attest: Attest, release: Release, tmp_path: Path
) -> None:
    release.take(*BOTTLES)
    before = release.entries
    wait = STEPS[step]()
    wait.order(release)
    with start(release, tmp_path) as process:
        assert wait.reached.wait(SECONDS)
        end(release, tmp_path, process, signal.SIGKILL)
    for faults in release.world.faults.values():
        faults.clear()
    attest(resume=True)
    assert release.stored() == sorted(BOTTLES)
    assert release.entries - before == len(BOTTLES)


def test_ctrl_c_says_that_the_same_command_goes_on(attest: Attest, release: Release, tmp_path: Path) -> None:
    release.take(*BOTTLES)
    wait = Wait("publishing", 1)
    wait.order(release)
    with start(release, tmp_path) as process:
        assert wait.reached.wait(SECONDS)
        said = end(release, tmp_path, process, signal.SIGINT)
    assert process.returncode == 130
    assert "goes on from what is done" in said
    for faults in release.world.faults.values():
        faults.clear()
    attest()
    assert release.stored() == sorted(BOTTLES)


def test_two_runs_at_once_do_not_share_a_folder(attest: Attest, release: Release, tmp_path: Path) -> None:
    release.take(*BOTTLES)
    wait = Wait("publishing")
    wait.order(release)
    with start(release, tmp_path) as process:
        assert wait.reached.wait(SECONDS)
        result = attest(code=6)
        end(release, tmp_path, process, signal.SIGKILL)
    assert "another process" in result.err


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(12))
def test_a_run_that_is_killed_anywhere_again_and_again_comes_to_its_end(
    seed: int, attest: Attest, release: Release, tmp_path: Path
) -> None:
    release.take(*BOTTLES)
    before = release.entries
    process: Any
    for number in range(4):
        with start(release, tmp_path) as process:
            try:
                # From the beginning of the interpreter to the end of the work, at other places each time.
                process.wait(0.3 + (seed * 7 + number * 5) % 23 / 12)
            except subprocess.TimeoutExpired:
                end(release, tmp_path, process, signal.SIGKILL)
    attest()
    assert release.stored() == sorted(BOTTLES)
    # At most one signature for each of the four at once was lost with each kill.
    assert len(BOTTLES) <= release.entries - before <= len(BOTTLES) * 5
