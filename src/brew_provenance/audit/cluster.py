"""A dask cluster that verifies bundles, for audits beyond one machine. The only module that loads dask.

Its workers verify, so that their word is as good as those machines: whoever controls one, or the scheduler,
can have any bundle called genuine, and, as dask exchanges pickles, run anything on all of them and here.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Final, Self

from brew_provenance.audit.executors import PendingBatch, WorkerDiedError
from brew_provenance.audit.verifying import Batch, Refusal, Rules, Verified, verify_by
from brew_provenance.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS: Final = 30
"""How long a scheduler is waited for in the beginning."""

IDLE_SECONDS: Final = 60
"""How long a cluster without any worker is waited for."""

MAX_AHEAD: Final = 16
"""The most chunks of bottles for which bundles are handed out at once, which bounds memory."""

_ADDRESS: Final = re.compile(
    r"(?:tcp|tls)://[^\s/:@]+:[0-9]{1,5}|(?:tcp|tls)://\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}"
)
_LOOK_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 5.0
_AGAIN = "run the same command again when the cluster is up; it goes on"


class DaskCluster:
    """The workers of a dask scheduler."""

    def __init__(self, rules: Rules, address: str) -> None:
        """Connect to the scheduler at `address`, `tcp://HOST:PORT` or `tls://HOST:PORT`.

        Raises UsageError when dask is not installed, or no scheduler answers there.
        """
        if _ADDRESS.fullmatch(address) is None:
            raise UsageError(
                f"--scheduler {address}", "not the address of a dask scheduler", "write it as tcp://HOST:8786"
            )
        try:
            from distributed import Client  # noqa: PLC0415 - takes long, and is not always there
        except ImportError as error:
            raise UsageError(
                "--executor dask", "dask is not installed", "pip install 'brew-provenance[dask]'"
            ) from error
        # What goes wrong is an error of ours, and not a traceback beside it. Each has a level of its own.
        for name in ("distributed", *logging.root.manager.loggerDict):
            if name.partition(".")[0] == "distributed":
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._rules = rules
        self._address = address
        try:
            self._client: Client = Client(
                address, timeout=CONNECT_SECONDS, set_as_default=False, name="brew-provenance"
            )
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(
                f"--scheduler {address}",
                f"no dask scheduler answers there: {_first_line(error)}",
                "start one with `dask scheduler`, or correct the address",
            ) from error

    @property
    def ahead(self) -> int:
        """For how many chunks of bottles bundles are handed out: the more, the more threads there are."""
        return max(1, min(MAX_AHEAD, self._threads() // 2))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.close(timeout=_CLOSE_SECONDS)

    def submit(self, batch: Batch) -> PendingBatch:
        """Have a batch verified by any worker. Raises WorkerDiedError."""
        try:
            # All that a worker needs comes with each batch: one that joins later needs nothing else.
            future = self._client.submit(verify_by, self._rules, batch, pure=False)
        except Exception as error:
            raise self._failed(error) from error
        return _DaskBatch(self, future)

    def wait_for(self, future: Future[Verified]) -> Verified:
        """Wait for a batch. Raises WorkerDiedError, also when there are no workers for long."""
        idle_since: float | None = None
        while True:
            try:
                found: Verified = future.result(timeout=_LOOK_SECONDS)
            except TimeoutError as error:
                if future.done():
                    raise self._failed(error) from error
                idle_since = None if self._threads() else idle_since or time.monotonic()
                if idle_since is not None and time.monotonic() - idle_since > IDLE_SECONDS:
                    raise WorkerDiedError(
                        f"--scheduler {self._address}",
                        f"has had no workers for {IDLE_SECONDS} seconds",
                        f"start some with `dask worker {self._address}`, and {_AGAIN}",
                    ) from error
            except Exception as error:
                raise self._failed(error) from error
            else:
                return found

    def _threads(self) -> int:
        try:
            found: dict[str, int] = self._client.nthreads(callback_timeout=CONNECT_SECONDS)
        except Exception as error:
            raise self._failed(error) from error
        return sum(found.values())

    def _failed(self, error: Exception) -> WorkerDiedError:
        """Return what anything comes to that goes wrong on the way, or on another machine."""
        unanswered = isinstance(error, TimeoutError)
        cause = "does not answer any more" if unanswered else f"{type(error).__name__}: {_first_line(error)}"
        return WorkerDiedError(f"the dask cluster at {self._address}", cause, _AGAIN)


class _DaskBatch:
    def __init__(self, cluster: DaskCluster, future: Future[Verified]) -> None:
        self._cluster = cluster
        self._batch: Future[Verified] | Verified = future

    def result(self) -> Verified:
        if not isinstance(self._batch, list | Refusal):
            # A worker keeps what it found for as long as somebody holds on to this.
            self._batch = self._cluster.wait_for(self._batch)
        return self._batch


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["nothing more is known"])[0][:300]
