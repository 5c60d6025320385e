"""What a person sees of something that takes its time: a bar on a terminal, lines where there is none."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import click

from brew_provenance.reports import text
from brew_provenance.verdict import Outcome

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn

    from brew_provenance.audit.run import Progress

LINE_EVERY: Final = 30.0
"""Seconds between two lines, where there is no terminal for a bar."""

_BAR_WIDTH = 12
_Item = TypeVar("_Item")


@contextmanager
def downloading(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show on a terminal how far a download is: give what is yielded the bytes so far, and in all."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich import progress  # noqa: PLC0415 - only where there is somebody to look at it

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with _bars(*columns) as bars:
        task = bars.add_task(text.printable(what), total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many of something are done: give what is yielded the number so far."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich import progress  # noqa: PLC0415 - as above

    columns = (
        progress.SpinnerColumn(),
        progress.TextColumn("{task.completed:,.0f} {task.description}", markup=False),
        progress.TimeElapsedColumn(),
    )
    with _bars(*columns) as bars:
        task = bars.add_task(what, total=None)
        yield lambda count: bars.update(task, completed=count)


class Outlook:
    """How many bottles an audit will come to, going by what has been read of the tap so far."""

    def __init__(self, formulae: int | None = None, bottles: int | None = None) -> None:
        """Know how many formulae there are to read, or how many bottles there will be, or neither."""
        self._formulae = formulae
        self._bottles = bottles
        self._formulae_read = 0
        self._bottles_read = 0

    def formulae(self, formulae: Iterable[_Item]) -> Iterator[_Item]:
        """Yield formulae, and count them."""
        for formula in formulae:
            self._formulae_read += 1
            yield formula

    def subjects(self, subjects: Iterable[_Item]) -> Iterator[_Item]:
        """Yield the bottles that are audited, and count them."""
        for subject in subjects:
            self._bottles_read += 1
            yield subject

    @property
    def bottles(self) -> int | None:
        """How many bottles it will be, about; None where nobody knows."""
        if self._bottles is not None or not self._formulae or not self._formulae_read:
            return self._bottles
        return round(self._bottles_read * max(1.0, self._formulae / self._formulae_read))

    @property
    def is_known(self) -> bool:
        """Whether it will be just so many."""
        return self._bottles is not None or self._formulae_read >= (self._formulae or 0)


@contextmanager
def auditing(
    outlook: Outlook, *, quiet: bool, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[Progress], None]]:
    """Show how far an audit is, how fast it goes, what came of it so far, and how long it will take.

    It is a bar on a terminal, and a line now and then elsewhere and when `quiet`. What is yielded takes the
    progress.
    """
    telling = _Telling(outlook, clock)
    if quiet or not sys.stderr.isatty():
        last = clock()

        def show_line(progress: Progress) -> None:
            nonlocal last
            said = telling.tell(progress)
            if clock() - last >= LINE_EVERY:
                last = clock()
                click.echo(said, err=True)

        yield show_line
        return
    from rich import progress as parts  # noqa: PLC0415 - as above

    columns = (
        parts.SpinnerColumn(),
        parts.BarColumn(_BAR_WIDTH),
        parts.TextColumn("{task.description}", markup=False),
    )
    with _bars(*columns) as bars:
        task = bars.add_task("", total=None)

        def show_bar(progress: Progress) -> None:
            said = telling.tell(progress)
            bars.update(task, completed=progress.bottles, total=outlook.bottles, description=said)

        yield show_bar


class _Telling:
    """Puts an audit's progress into words, with the rate of the last half minute."""

    def __init__(self, outlook: Outlook, clock: Callable[[], float]) -> None:
        self._outlook = outlook
        self._clock = clock
        self._seen = deque([(clock(), 0)])

    def tell(self, progress: Progress) -> str:
        now, done, total = self._clock(), progress.bottles, self._outlook.bottles
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - LINE_EVERY:
            self._seen.popleft()
        then, before = self._seen[0]
        rate = (done - before) / (now - then) if now > then else 0.0
        about = "" if self._outlook.is_known else "about "
        of_all = f" of {about}{total:,}" if total is not None else ""
        counts = ((progress.outcomes[outcome], outcome.value) for outcome in Outcome)
        parts = [
            f"{done:,}{of_all} bottles",
            *(f"{count:,} {name}" for count, name in counts if count),
            *([f"{rate:,.0f}/s"] if rate else []),
            *([f"{_duration((total - done) / rate)} left"] if rate and total is not None else []),
        ]
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 100 else f"{seconds / 60:,.0f} min"


def _bars(*columns: ProgressColumn) -> Bars:
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import Progress as Bars  # noqa: PLC0415

    # Standard output is for results, which a bar must not stand in.
    return Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
