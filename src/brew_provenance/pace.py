"""Holding requests to so many in a time, so that a server has no cause to refuse any."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable


class Pace:
    """Lets so many pass in each of some periods. Safe to use from several threads."""

    def __init__(
        self,
        *limits: tuple[float, int],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take limits, seconds and how many may pass in that time. Raises ValueError for less than one."""
        if min(limit for _, limit in limits) < 1:
            raise ValueError("nothing could ever pass")
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._passed: deque[float] = deque(maxlen=max(limit for _, limit in limits))

    def wait(self) -> None:
        """Return when one more may pass, and count it."""
        with self._lock:
            # Others wait as well meanwhile: their turn cannot come before this one's.
            while (pause := self._pause()) > 0:
                self._sleep(pause)
            self._passed.append(self._clock())

    def _pause(self) -> float:
        now = self._clock()
        pauses = [
            self._passed[-limit] + period - now
            for period, limit in self._limits
            if len(self._passed) >= limit
        ]
        return max(pauses, default=0.0)
