"""The figures of a page: counts by state, tag, signer, time and reason, and what to draw of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from brew_provenance.findings import LIMITS, REASONS
from brew_provenance.reports.html.bottles import Bottle, State
from brew_provenance.reports.text import printable

SHOWN: Final = 40
"""Rows of a figure; what is left is counted in one more."""

PERIODS: Final = 60
"""Columns of the figure of time."""

_MONTH = re.compile(r"(\d{4}-(?:0[1-9]|1[0-2]))-\d\d")
_GITHUB: Final = "https://github.com/"


@dataclass(frozen=True)
class Part:
    """A piece of a bar."""

    state: State
    count: int
    start: str
    """Where it begins, in percent of the bar."""

    width: str
    """In percent of the bar."""


@dataclass(frozen=True)
class Bar:
    """A row of a figure."""

    label: str
    """Printable ASCII."""

    link: str | None
    """The fragment that shows these bottles; None for the row of what is left."""

    counts: Mapping[State, int]
    parts: Sequence[Part]

    @property
    def total(self) -> int:
        """How many bottles it stands for."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Period:
    """A column of the figure of time: a month, or a year."""

    bar: Bar
    x: str
    """Where it begins, in percent of the figure."""

    width: str
    """In percent of the figure."""

    stack: Sequence[tuple[State, str, str]]
    """States with top and height, in percent of the figure."""

    mark: str
    """What stands below it, if anything."""


@dataclass(frozen=True)
class Reason:
    """How often a code was found."""

    code: str
    link: str
    count: int
    means: str


class Figures:
    """Counts over the bottles of an audit."""

    def __init__(self) -> None:
        self.states: Counter[State] = Counter()
        self.formulae = 0
        self._formula: str | None = None
        self._tags: dict[str, Counter[State]] = {}
        self._signers: dict[str, Counter[State]] = {}
        self._months: dict[str, Counter[State]] = {}
        self._faults: Counter[str] = Counter()
        self._limits: Counter[str] = Counter()
        self.codes: set[str] = set()

    def add(self, bottle: Bottle) -> None:
        """Count a bottle. Those of a formula come one after the other."""
        state = bottle.state
        self.states[state] += 1
        self.formulae += bottle.formula != self._formula
        self._formula = bottle.formula
        self._tags.setdefault(bottle.tag, Counter())[state] += 1
        self.codes.update(bottle.codes)
        if state.is_verified:
            self._limits.update(code for code in bottle.codes if code in LIMITS)
            evidence = bottle.evidence or {}
            signer = str(evidence.get("signer") or "")
            self._signers.setdefault(signer, Counter())[state] += 1
            if month := _MONTH.match(str(evidence.get("signed") or "")):
                self._months.setdefault(month[1], Counter())[state] += 1
        else:
            self._faults.update(bottle.codes)

    @property
    def bottles(self) -> int:
        """How many there are."""
        return self.states.total()

    @property
    def seen(self) -> Sequence[State]:
        """The states that some bottle has, in their order."""
        return [state for state in State if self.states[state]]

    @property
    def whole(self) -> Bar:
        """All bottles."""
        return _bar("all bottles", "#/", self.states, self.bottles)

    def share(self, state: State) -> str:
        """Return how many of a hundred bottles have a state; nothing rounds up to all, or down to none."""
        share = 100 * self.states[state] / (self.bottles or 1)
        if 0 < share < 0.1:
            return "< 0.1 %"
        return "> 99.9 %" if 99.9 < share < 100 else f"{share:.1f} %"

    @property
    def tags(self) -> Sequence[Bar]:
        """A bar for each tag, in the order of their names; its length is its share of the longest."""
        return _bars("tag", self._tags, sorted(self._tags))

    @property
    def signers(self) -> Sequence[Bar]:
        """A bar for each signer of verified bottles, the most frequent first."""
        names = sorted(self._signers, key=lambda name: (-self._signers[name].total(), name))
        return _bars("signer", self._signers, names)

    @property
    def faults(self) -> Sequence[Reason]:
        """What was found of bottles that are not verified, the most frequent first."""
        return [*_reasons(self._faults)]

    @property
    def limits(self) -> Sequence[Reason]:
        """What is not proved of bottles that are verified, the most frequent first."""
        return [*_reasons(self._limits)]

    @property
    def periods(self) -> Sequence[Period]:
        """A column for each month in which bottles were signed that are verified, or for each year."""
        counts = self._months
        names = _months(counts)
        if len(names) > PERIODS:
            counts = _by_year(self._months)
            names = sorted(counts)
        names = names[-PERIODS:]
        top = max((counts[name].total() for name in names if name in counts), default=0)
        step = 100 / len(names) if names else 0
        found = []
        for number, name in enumerate(names):
            bar = _bar(name, f"#/?signed={name}", counts.get(name, Counter()), 1)
            mark = _mark(name, number, names)
            x, width = _percent(number * step + step * 0.12), _percent(step * 0.76)
            found.append(Period(bar, x, width, [*_stack(bar.counts, top)], mark))
        return found

    @property
    def highest(self) -> int:
        """How many bottles the highest column of the figure of time stands for."""
        return max((period.bar.total for period in self.periods), default=0)

    @property
    def undrawn(self) -> int:
        """How many verified bottles the figure of time leaves out."""
        verified = sum(self.states[state] for state in State if state.is_verified)
        return verified - sum(period.bar.total for period in self.periods)


def _bars(what: str, counts: Mapping[str, Counter[State]], names: Sequence[str]) -> Sequence[Bar]:
    longest = max((count.total() for count in counts.values()), default=0)
    rest: Counter[State] = sum((counts[name] for name in names[SHOWN:]), Counter())
    if rest:
        longest = max(longest, rest.total())
    bars = []
    for name in names[:SHOWN]:
        label = printable(name)
        link = f"#/?{what}={quote(label, safe='')}" if label else None
        bars.append(_bar(label or "not recorded", link, counts[name], longest))
    return [*bars, _bar(f"{len(names) - SHOWN:,} others", None, rest, longest)] if rest else bars


def _bar(label: str, link: str | None, counts: Counter[State], full: int) -> Bar:
    parts, start = [], 0.0
    for state in State:
        if counts[state]:
            width = 100 * counts[state] / full
            parts.append(Part(state, counts[state], _percent(start), _percent(width)))
            start += width
    return Bar(label.removeprefix(_GITHUB), link, {state: counts[state] for state in State}, parts)


def _reasons(counts: Counter[str]) -> Iterator[Reason]:
    for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]:
        means = (
            REASONS[code].means if code in REASONS else "See `brew-provenance reasons` of a newer version."
        )
        yield Reason(code, f"#/?reason={quote(code, safe='')}", count, means)


def _stack(counts: Mapping[State, int], top: int) -> Iterator[tuple[State, str, str]]:
    bottom = 100.0
    for state in State:
        if counts[state]:
            height = 100 * counts[state] / top
            bottom -= height
            yield state, _percent(max(bottom, 0)), _percent(height)


def _months(counts: Mapping[str, Counter[State]]) -> Sequence[str]:
    """Return all months from the first to the last, also those in which nothing was signed."""
    if not counts:
        return []
    first, last = (int(name[:4]) * 12 + int(name[5:]) - 1 for name in (min(counts), max(counts)))
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(first, last + 1)]


def _by_year(months: Mapping[str, Counter[State]]) -> dict[str, Counter[State]]:
    years: dict[str, Counter[State]] = {}
    for name, count in months.items():
        years.setdefault(name[:4], Counter()).update(count)
    return years


def _mark(name: str, number: int, names: Sequence[str]) -> str:
    """Return the year, below the first column of each; below some, where columns are years."""
    if len(name) == 4:
        return name if number % -(-len(names) // 8) == 0 else ""
    return name[:4] if number == 0 or name.endswith("-01") else ""


def _percent(share: float) -> str:
    return f"{share:.3f}%"
