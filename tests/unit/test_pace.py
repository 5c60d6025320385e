"""Requests are held to so many in a time, however many threads send them."""

from __future__ import annotations

import threading

import pytest
from tests.unit.clock import Clock

from brew_provenance.pace import Pace


@pytest.mark.parametrize(("per_minute", "per_hour"), [(80, 500), (3, 5), (1, 1), (10, 2), (600, 600)])
def test_no_minute_and_no_hour_has_more_than_its_limit(per_minute: int, per_hour: int) -> None:
    clock = Clock()
    limits = ((60, per_minute), (3600, per_hour))
    pace = Pace(*limits, clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(3 * max(per_minute, per_hour)):
        pace.wait()
        times.append(clock.now)
    for period, limit in limits:
        for early, late in zip(times, times[limit:], strict=False):
            assert late - early >= period


def test_what_is_within_the_limits_does_not_wait() -> None:
    clock = Clock()
    pace = Pace((60.0, 80), (3600.0, 500), clock=clock, sleep=clock.sleep)
    for _ in range(80):
        pace.wait()
    assert clock.slept == []
    pace.wait()
    assert clock.slept == [60.0]


def test_a_sleep_that_ends_early_is_gone_on_with() -> None:
    clock = Clock()
    pace = Pace((60.0, 1), clock=clock, sleep=lambda seconds: clock.sleep(min(seconds, 25.0)))
    pace.wait()
    pace.wait()
    assert clock.slept == [25.0, 25.0, 10.0]


@pytest.mark.parametrize("limits", [(0, 500), (80, 0), (-1, 500)])
def test_no_limit_is_below_one(limits: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="nothing could ever pass"):
        Pace(*((60.0, limit) for limit in limits))


def test_threads_share_a_pace() -> None:
    clock = Clock()
    pace = Pace((60.0, 5), clock=clock, sleep=clock.sleep)

    def work() -> None:
        for _ in range(5):
            pace.wait()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now == 180.0
