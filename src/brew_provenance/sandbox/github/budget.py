"""Rate limits: one budget for each caller, and what the answer's headers say of it."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from brew_provenance.sandbox.github.attestations import Clock
from brew_provenance.sandbox.github.options import Budgets

_MINUTE = 60
_READ_POINTS, _WRITE_POINTS = 1, 5
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Allowance:
    """What a caller has left."""

    limit: int
    used: int
    reset: int
    """When the budget is whole again, in seconds since the epoch."""

    exhausted: bool
    """Whether the request that was charged last was one too many."""

    over_points: bool
    """Whether the secondary limit refuses that request."""

    @property
    def remaining(self) -> int:
        """Requests left in the window."""
        return self.limit - self.used

    def headers(self) -> dict[str, str]:
        """Return the headers that every answer of the API has."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(self.reset),
            "x-ratelimit-resource": "core",
        }


@dataclass
class _Account:
    reset: int
    used: int = 0
    minute: int = -1
    points: int = 0


class RateLimiter:
    """Counts requests by caller; from any thread."""

    def __init__(self, clock: Clock) -> None:
        """Count by `clock`."""
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[str | None, _Account] = {}

    def charge(self, token: str | None, method: str, budgets: Budgets) -> Allowance:
        """Charge a request to its caller, None for everybody without a token."""
        now = self._clock()
        with self._lock:
            account = self._account(token, now, budgets)
            limit = budgets.anonymous if token is None else budgets.with_token
            exhausted = account.used >= limit
            account.used = min(account.used + 1, limit)
            if account.minute != now // _MINUTE:
                account.minute, account.points = int(now // _MINUTE), 0
            account.points += _READ_POINTS if method in _READS else _WRITE_POINTS
            over = budgets.points is not None and account.points > budgets.points
            return Allowance(limit, account.used, account.reset, exhausted, over and not exhausted)

    def look(self, token: str | None, budgets: Budgets) -> Allowance:
        """Return what a caller has left, at no charge."""
        with self._lock:
            account = self._account(token, self._clock(), budgets)
            limit = budgets.anonymous if token is None else budgets.with_token
            return Allowance(
                limit, min(account.used, limit), account.reset, exhausted=False, over_points=False
            )

    def _account(self, token: str | None, now: float, budgets: Budgets) -> _Account:
        account = self._accounts.get(token)
        if account is None or now >= account.reset:
            account = self._accounts[token] = _Account(reset=math.ceil(now) + budgets.window)
        return account
