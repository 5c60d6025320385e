"""A clock for what would otherwise take long."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Clock:
    """Goes on only while somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
