"""What is shown of an audit that takes its time: how far, how fast, what came of it, and how long yet."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr

import pytest
from tests.unit.clock import Clock

from brew_provenance.audit.run import Progress
from brew_provenance.cli.progress import LINE_EVERY, Outlook, auditing, counting, downloading
from brew_provenance.verdict import Outcome


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Screen()


def progress(verified: int, rejected: int = 0) -> Progress:
    outcomes = dict.fromkeys(Outcome, 0) | {Outcome.VERIFIED: verified, Outcome.REJECTED: rejected}
    return Progress(bottles=verified + rejected, outcomes=outcomes)


def read(outlook: Outlook, formulae: int, bottles: int) -> None:
    """Let so many formulae with so many bottles go by."""
    assert list(outlook.formulae(range(formulae))) == list(range(formulae))
    assert list(outlook.subjects(range(bottles))) == list(range(bottles))


def test_what_is_to_come_is_expected_to_be_like_what_was_read() -> None:
    outlook = Outlook(formulae=100)
    expected = [(outlook.bottles, outlook.is_known)]
    # The last ones were not listed.
    for formulae, bottles in ((10, 60), (90, 300), (5, 10)):
        read(outlook, formulae, bottles)
        expected.append((outlook.bottles, outlook.is_known))
    assert expected == [(None, False), (600, False), (360, True), (370, True)]


def test_nothing_is_expected_where_nobody_knows_how_many_there_are() -> None:
    outlook = Outlook()
    read(outlook, 10, 60)
    assert outlook.bottles is None
    assert Outlook(formulae=0).bottles is None
    assert (Outlook(bottles=7).bottles, Outlook(bottles=7).is_known) == (7, True)


def test_a_line_every_half_minute_says_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    clock, outlook = Clock(), Outlook(formulae=100)
    read(outlook, 50, 6000)
    with auditing(outlook, quiet=False, clock=clock) as show:
        for minute in range(4):
            clock.sleep(LINE_EVERY / 2)
            show(progress(1499 * (minute + 1), minute + 1))
    assert capsys.readouterr().err.splitlines() == [
        "3,000 of about 12,000 bottles, 2,998 verified, 2 rejected, 100/s, 90 s left",
        "6,000 of about 12,000 bottles, 5,996 verified, 4 rejected, 100/s, 60 s left",
    ]


def test_the_rate_is_that_of_the_last_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with auditing(Outlook(bottles=100_000), quiet=False, clock=clock) as show:
        for done in (50_000, 50_300, 50_600):
            clock.sleep(LINE_EVERY)
            show(progress(done))
        clock.sleep(LINE_EVERY)
        show(progress(50_600))
    first, _, third, stalled = capsys.readouterr().err.splitlines()
    assert first == "50,000 of 100,000 bottles, 50,000 verified, 1,667/s, 30 s left"
    assert third == "50,600 of 100,000 bottles, 50,600 verified, 10/s, 82 min left"
    assert stalled == "50,600 of 100,000 bottles, 50,600 verified"


def test_what_is_quick_or_not_begun_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with auditing(Outlook(), quiet=False, clock=clock) as show:
        clock.sleep(LINE_EVERY - 1)
        show(progress(10))
    assert not capsys.readouterr().err


def test_a_terminal_has_a_bar_that_goes_when_all_is_done(
    screen: Screen, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, outlook = Clock(), Outlook(formulae=10)
    read(outlook, 5, 20)
    with redirect_stderr(screen), auditing(outlook, quiet=False, clock=clock) as show:
        clock.sleep(2)
        show(progress(9, 1))
    assert "━ 10 of about 40 bottles, 9 verified, 1 rejected, 5/s, 6 s left" in screen.text
    assert screen.getvalue().endswith("\x1b[2K")
    assert not capsys.readouterr().out


def test_a_terminal_has_lines_where_it_is_to_be_quiet(screen: Screen) -> None:
    clock = Clock()
    with redirect_stderr(screen), auditing(Outlook(), quiet=True, clock=clock) as show:
        clock.sleep(LINE_EVERY)
        show(progress(300))
    assert screen.getvalue() == "300 bottles, 300 verified, 10/s\n"


def test_counts_and_downloads_are_for_terminals_alone(
    screen: Screen, capsys: pytest.CaptureFixture[str]
) -> None:
    with redirect_stderr(screen):
        with counting("commits") as count:
            count(1234)
        with downloading("hello\x1b[31m.tar.gz") as show:
            show(5_000_000, 10_000_000)
    assert "1,234 commits" in screen.text
    assert "5.0/10.0 MB" in screen.text
    assert "\x1b[31m.tar" not in screen.getvalue()
    with counting("commits") as count:
        count(1)
    with downloading("hello") as show:
        show(1, None)
    assert capsys.readouterr() == ("", "")
