"""The figures of a page: they count every bottle once, and stay small whatever is counted."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.reports.pages import BOTTLE, EVIDENCE, NOTARISED, REJECTED, UNATTESTED, make

from brew_provenance.reports.html.bottles import Bottle, State
from brew_provenance.reports.html.figures import PERIODS, SHOWN, Figures


def figures(*bottles: Bottle) -> Figures:
    counted = Figures()
    for bottle in bottles:
        counted.add(bottle)
    return counted


def signed(*moments: str | None) -> Figures:
    return figures(*(make(evidence={**EVIDENCE, "signed": moment}) for moment in moments))


def share(percent: str) -> float:
    assert percent.endswith("%")
    return float(percent[:-1])


def test_bottles_and_formulae_are_counted() -> None:
    counted = figures(make(), make(tag="x"), make(UNATTESTED, formula="goo"), make(REJECTED, formula="hoo"))
    assert (counted.bottles, counted.formulae) == (4, 3)
    assert counted.seen == [State.PROVENANCE, State.UNATTESTED, State.REJECTED]
    assert counted.codes == {"formula-not-bound", "subject-digest-mismatch"}


@pytest.mark.parametrize(
    ("verified", "rejected", "shares"),
    [
        (1, 1, ("50.0 %", "50.0 %")),
        (0, 0, ("0.0 %", "0.0 %")),
        (3, 0, ("100.0 %", "0.0 %")),
        # Nothing that is there looks as if it were not.
        (5_000, 1, ("> 99.9 %", "< 0.1 %")),
    ],
)
def test_a_share_never_hides_a_bottle(verified: int, rejected: int, shares: tuple[str, str]) -> None:
    counted = Figures()
    counted.states[State.PROVENANCE] = verified
    counted.states[State.REJECTED] = rejected
    assert (counted.share(State.PROVENANCE), counted.share(State.REJECTED)) == shares


def test_tags_come_by_name_and_their_bars_have_the_scale_of_the_longest() -> None:
    counted = figures(make(tag="b"), make(NOTARISED, tag="b"), make(REJECTED, tag="a"))
    first, second = counted.tags
    assert (first.label, first.link, first.total) == ("a", "#/?tag=a", 1)
    assert [(part.state, part.start, part.width) for part in first.parts] == [
        (State.REJECTED, "0.000%", "50.000%")
    ]
    assert [(part.state, part.start, part.width) for part in second.parts] == [
        (State.PROVENANCE, "0.000%", "50.000%"),
        (State.NOTARISATION, "50.000%", "50.000%"),
    ]


def test_signers_are_those_of_verified_bottles_the_most_frequent_first() -> None:
    other = {**EVIDENCE, "signer": "https://github.com/octo/zoo/.github/workflows/a.yml@refs/heads/main"}
    counted = figures(
        make(),
        make(evidence=other),
        make(evidence=other),
        make(evidence=None),
        make(evidence={**EVIDENCE, "signer": None}),
        make(REJECTED),
    )
    assert [(bar.label, bar.total) for bar in counted.signers] == [
        ("not recorded", 2),
        ("octo/zoo/.github/workflows/a.yml@refs/heads/main", 2),
        ("octo/homebrew-tap/.github/workflows/publish.yml@refs/heads/main", 1),
    ]
    # The script compares the whole of it.
    assert unquote(counted.signers[1].link or "") == f"#/?signer={other['signer']}"


def test_a_link_holds_the_whole_of_what_it_is_for() -> None:
    (bar,) = figures(make(tag="a&outcome=x#\u202e")).tags
    assert bar.link == "#/?tag=a%26outcome%3Dx%23%5Cu202e"
    assert bar.label == "a&outcome=x#\\u202e"


@pytest.mark.parametrize("what", ["tags", "signers"])
def test_a_figure_has_only_so_many_rows_and_counts_the_others(what: str) -> None:
    bottles = [
        make(tag=f"tag{n:03}", evidence={**EVIDENCE, "signer": f"signer {n:03}"}) for n in range(SHOWN + 9)
    ]
    bars = getattr(figures(*bottles), what)
    assert len(bars) == SHOWN + 1
    assert (bars[-1].label, bars[-1].link, bars[-1].total) == ("9 others", None, 9)
    assert sum(bar.total for bar in bars) == len(bottles)
    assert share(bars[-1].parts[0].width) == 100


def test_faults_are_of_bottles_that_are_not_verified_and_limits_of_those_that_are() -> None:
    counted = figures(
        make(findings=(("formula-not-bound", "x"), ("formula-not-bound", "y"), ("bytes-hashed", "z"))),
        make(REJECTED, findings=(("invented-tomorrow", ""), ("subject-digest-mismatch", ""))),
        make(REJECTED),
    )
    assert [(row.code, row.count) for row in counted.limits] == [("formula-not-bound", 1)]
    assert [(row.code, row.count) for row in counted.faults] == [
        ("subject-digest-mismatch", 2),
        ("invented-tomorrow", 1),
    ]
    assert counted.faults[0].link == "#/?reason=subject-digest-mismatch"
    assert "newer version" in counted.faults[1].means


def test_months_have_a_column_each_also_those_in_which_nothing_was_signed() -> None:
    counted = signed(
        *("2025-11-30T23:59:59+00:00", "2026-02-01T00:00:00+00:00", "2026-02-02T00:00:00+00:00"),
    )
    periods = counted.periods
    assert [(period.bar.label, period.bar.total, period.mark) for period in periods] == [
        ("2025-11", 1, "2025"),
        ("2025-12", 0, ""),
        ("2026-01", 0, "2026"),
        ("2026-02", 2, ""),
    ]
    assert periods[1].stack == []
    assert periods[0].stack == [(State.PROVENANCE, "50.000%", "50.000%")]
    assert periods[3].stack == [(State.PROVENANCE, "0.000%", "100.000%")]
    assert periods[3].bar.link == "#/?signed=2026-02"
    assert (counted.highest, counted.undrawn) == (2, 0)


def test_over_many_years_a_column_is_a_year() -> None:
    periods = signed("2019-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00").periods
    assert [(period.bar.label, period.bar.total, period.mark) for period in periods] == [
        ("2019", 1, "2019"),
        ("2026", 1, "2026"),
    ]


@pytest.mark.parametrize("moment", [None, "", "yesterday", "2026-13-01T00:00:00+00:00", "2026-3", "2026-03"])
def test_a_bottle_without_a_time_is_said_not_to_be_drawn(moment: str | None) -> None:
    counted = signed(moment)
    assert (counted.periods, counted.highest, counted.undrawn) == ([], 0, 1)
    assert figures(make(evidence=None)).undrawn == 1


def test_times_of_bottles_that_are_not_verified_are_not_drawn() -> None:
    assert figures(make(REJECTED)).periods == []


def test_however_far_apart_times_are_the_figure_stays_small() -> None:
    counted = signed(*(f"{year:04}-06-01T00:00:00+00:00" for year in range(0, 9_999, 50)))
    assert len(counted.periods) == PERIODS
    assert counted.undrawn == 200 - PERIODS
    assert sum(bool(period.mark) for period in counted.periods) == 8


STATES: Any = st.sampled_from([BOTTLE, NOTARISED, UNATTESTED, REJECTED])


@given(st.lists(st.tuples(STATES, st.sampled_from("abc")), min_size=1, max_size=30))
def test_bars_hold_every_bottle_once_and_nothing_sticks_out(drawn: list[tuple[Bottle, str]]) -> None:
    counted = figures(*(make(bottle, tag=tag) for bottle, tag in drawn))
    bars = [counted.whole, *counted.tags, *counted.signers]
    for bar in bars:
        assert sum(part.count for part in bar.parts) == bar.total
        assert all(share(part.start) + share(part.width) <= 100.01 for part in bar.parts)
    assert sum(bar.total for bar in counted.tags) == counted.whole.total == len(drawn)
    for period in counted.periods:
        assert sum(share(height) for _, _, height in period.stack) <= 100.01
        assert all(share(top) >= 0 for _, top, _ in period.stack)
