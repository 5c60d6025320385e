"""Audits that are killed, or interrupted, at any moment go on, and end like one that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from tests.unit.audit.audit_in_process import make
from tests.unit.audit.audits import InProcess, attest, attest_formula, audit, make_formula, opened, reports

from brew_provenance.audit import executors
from brew_provenance.verdict import Assessment

TOP = Path(__file__).parents[3]
COMPARED = ("json", "text", "sarif")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, nightly: bool) -> Path:
    """A folder with an attestation for each of many formulae, of two bottles each; some are not right."""
    folder = tmp_path_factory.mktemp("bundles")
    for number in range(1_000 if nightly else 60):
        formula = make_formula(f"f{number:03}")
        right = number % 5
        bundle = attest_formula(formula) if right else attest(*make_formula("other").bottles)
        (folder / formula.name).write_bytes(bundle)
    return folder


class Running:
    """An audit in a process of its own, and what it said."""

    def __init__(self, folder: Path, bundles: Path, chunk: int, *more: object) -> None:
        self.ledger = folder / "ledger.sqlite"
        self._said, self._errors = folder / "said", folder / "errors"
        self._said.touch()
        command = ["-m", "tests.unit.audit.audit_in_process", self.ledger, bundles, chunk, self._said, *more]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *map(str, command)],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=TOP,
                # An interrupt can leave coverage waiting for itself.
                env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
                start_new_session=True,
            )

    @property
    def said(self) -> list[list[int]]:
        """How many bottles were recorded, and the ids of its workers, after each chunk."""
        lines = self._said.read_text(encoding="ascii").splitlines()
        return [[int(number) for number in line.split()] for line in lines]

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    def wait_for(self, chunks: int) -> None:
        """Wait until so many chunks are recorded, or it has ended."""
        while len(self.said) < chunks and self.process.poll() is None:
            time.sleep(0.002)


@contextmanager
def running(folder: Path, bundles: Path, chunk: int, *more: object) -> Iterator[Running]:
    folder.mkdir(exist_ok=True)
    audit_ = Running(folder, bundles, chunk, *more)
    try:
        yield audit_
    finally:
        audit_.process.kill()
        audit_.process.wait()


def is_alive(pid: int) -> bool:
    try:
        # What has ended and was not waited for is dead all the same.
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for(pids: Sequence[int]) -> None:
    """Wait until processes have ended."""
    for _ in range(600):
        if not any(map(is_alive, pids)):
            return
        time.sleep(0.05)
    pytest.fail(f"{pids} live on")


class Remembering(InProcess):
    """Verifies each bundle once for all of these tests, which are not about that."""

    known: ClassVar[dict[str, Assessment]] = {}

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        (batch,) = arguments
        new = [bundle for bundle in batch if bundle.name not in self.known]
        self.known.update(zip((bundle.name for bundle in new), work(new), strict=True))
        future: Future[Any] = Future()
        future.set_result([self.known[bundle.name] for bundle in batch])
        return future


@pytest.fixture(autouse=True)
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "ProcessPoolExecutor", Remembering)


@pytest.fixture(scope="module")
def whole(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The reports of an audit that nobody disturbed."""
    found, store = make(bundles)
    with opened(tmp_path_factory.mktemp("whole") / "ledger.sqlite") as ledger:
        run, _ = audit(ledger, map(make_formula, found), store)
        return reports(ledger, run, COMPARED)


def resume(path: Path, bundles: Path, said: int, chunk: int) -> dict[str, str]:
    """Go on after a process was killed that had said how many bottles were recorded; return the reports."""
    found, store = make(bundles)
    total = 2 * len(found)
    with opened(path) as ledger:
        kept = sum(sum(ledger.counts(run.id).values()) for run in ledger.runs())
        assert said <= kept <= said + 2 * chunk
        run, done = audit(ledger, map(make_formula, found), store)
        assert (done.bottles, done.judged) == (total, total - kept)
        assert len(store.asked) == total - kept
        return reports(ledger, run, COMPARED)


def test_an_audit_that_is_killed_at_any_write_goes_on_and_ends_like_one_that_was_not(
    bundles: Path, whole: dict[str, str], tmp_path: Path, nightly: bool
) -> None:
    total = 2 * len(list(bundles.iterdir()))
    chunk = 50 if nightly else 120
    # Its beginning, each part, and its end.
    writes = total // chunk + 2
    for write in range(1, writes + 1):
        for when in ("before", "after"):
            with running(tmp_path / f"{when}-{write}", bundles, chunk, when, write) as killed:
                assert killed.process.wait() == -signal.SIGKILL, killed.errors
            recorded = chunk * min(max(write - (1 if when == "after" else 2), 0), writes - 2)
            found, store = make(bundles)
            with opened(killed.ledger) as ledger:
                assert sum(sum(ledger.counts(run.id).values()) for run in ledger.runs()) == recorded
                run, done = audit(ledger, map(make_formula, found), store)
                assert (done.bottles, done.judged, len(store.asked)) == (total, *[total - recorded] * 2)
                assert reports(ledger, run, COMPARED) == whole


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("chunks", [0, 2])
def test_a_killed_audit_leaves_no_worker_behind_that_waits_for_work(
    chunks: int, bundles: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    with running(tmp_path, bundles, 12) as killed:
        killed.wait_for(chunks)
        killed.process.kill()
        killed.process.wait()
    said, *workers = killed.said[-1] if killed.said else [0]
    assert resume(killed.ledger, bundles, said, 12) == whole
    wait_for(workers)


def test_an_audit_that_is_killed_at_any_moment_goes_on_and_ends_like_one_that_was_not(
    bundles: Path, whole: dict[str, str], tmp_path: Path, nightly: bool
) -> None:
    moments, chunk = (200, 50) if nightly else (3, 2)
    total = 2 * len(list(bundles.iterdir()))
    undisturbed = time.monotonic()
    with running(tmp_path / "whole", bundles, chunk) as running_:
        running_.process.wait()
    took = time.monotonic() - undisturbed
    chance = Random(moments)  # noqa: S311 - of moments, and no secret
    for number in range(moments):
        with running(tmp_path / str(number), bundles, chunk) as killed:
            time.sleep(took * chance.random())
            killed.process.kill()
            killed.process.wait()
        said = killed.said[-1][0] if killed.said else 0
        if said < total:
            assert resume(killed.ledger, bundles, said, chunk) == whole


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Let what is started hear of interrupts, also where the tests themselves do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_of_the_whole_group_ends_it_without_a_word_of_the_workers(
    bundles: Path, tmp_path: Path
) -> None:
    with running(tmp_path, bundles, 2) as interrupted:
        interrupted.wait_for(1)
        os.killpg(interrupted.process.pid, signal.SIGINT)
        interrupted.process.wait(timeout=60)
    # One traceback, of the script itself, which does not expect it.
    assert interrupted.errors.count("Traceback") == 1
    assert interrupted.errors.rstrip().endswith("KeyboardInterrupt")
    assert "spawn_main" not in interrupted.errors
