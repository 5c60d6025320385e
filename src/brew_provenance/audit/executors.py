"""Where bundles are verified: in processes of this machine, or wherever else batches can be handed to."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from typing import Protocol, Self, TypeAlias

from brew_provenance.audit.verifying import Batch, Examiner, Rules, Verified
from brew_provenance.errors import UsageError


class WorkerDiedError(UsageError):
    """Something that verifies was ended from outside, as happens when memory runs out."""


class PendingBatch(Protocol):
    """A batch that is being verified, or has been."""

    def result(self) -> Verified:
        """Wait for it. Raises WorkerDiedError, and UsageError for work that cannot be done there."""


class Executor(Protocol):
    """Something that verifies batches of bundles; what it has begun ends with the `with` block."""

    @property
    def ahead(self) -> int:
        """For how many chunks of bottles bundles are handed out before the first of them is needed."""

    def submit(self, batch: Batch) -> PendingBatch:
        """Have a batch verified. Raises WorkerDiedError."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *exc_info: object) -> None:
        """End what was begun."""


StartExecutor: TypeAlias = Callable[[Rules], Executor]
"""Returns what verifies by some rules."""


class LocalProcesses:
    """Processes of this machine; they start when there is something to do."""

    ahead = 1

    def __init__(self, rules: Rules, count: int | None = None) -> None:
        """Use `count` processes: as many as there are cores for this one when it is None."""
        self._pool = ProcessPoolExecutor(
            count or _cores(), multiprocessing.get_context("spawn"), initializer=_begin, initargs=(rules,)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, batch: Batch) -> PendingBatch:
        """Have a batch verified. Raises WorkerDiedError."""
        # The first one starts the processes, which are not to hear of an interrupt: it is for us alone.
        with _alive(), _without_interrupts():
            return _LocalBatch(self._pool.submit(_verify, batch))


@dataclass(frozen=True)
class _LocalBatch:
    future: Future[Verified]

    def result(self) -> Verified:
        with _alive():
            return self.future.result()


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise WorkerDiedError(
            "a process that verifies bundles",
            "was ended from outside",
            "run the same command again, which goes on; with fewer --workers where memory ran out",
        ) from error


@contextmanager
def _without_interrupts() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_examiner: Examiner | None = None


def _begin(rules: Rules) -> None:
    global _examiner  # noqa: PLW0603 - what an initializer is for
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _examiner = Examiner(rules)


def _end_with_parent() -> None:
    """End this process when the one that it works for does not live any more, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _verify(batch: Batch) -> Verified:
    if _examiner is None:
        raise RuntimeError("the worker was not begun")
    return _examiner.verify(batch)


def _cores() -> int:
    """Return how many processes can run at once: a container can have fewer cores than its machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
