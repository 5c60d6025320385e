"""`brew-provenance tap`: what a tap publishes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from brew_provenance.cli import options
from brew_provenance.cli.sources import Sources, options_of_formulae
from brew_provenance.errors import NothingMatchedError
from brew_provenance.formula import Formula
from brew_provenance.reports.listing import json_lines, text_lines

_LINE = re.compile(r"\Aline \d+: ")
_MAX_REASONS = 10


@click.group("tap", cls=options.Group)
def command() -> None:
    """Look at taps: homebrew/core through the signed API, others through brew, or any git repository."""


@command.command("bottles")
@options.output_format("text", "jsonl")
@options.output
@options_of_formulae
def bottles(*, sources: Sources, output_format: str, output_file: Path | None) -> None:
    """Print every bottle that --tap publishes, a line each: the list that `check` works from.

    A line of text is: sha256, file name, root URL, path and line in the tap. What could not be read is told
    on standard error, and what cannot be known without running Ruby is `?`, or null in JSON.

    Exits with 2 when there is no bottle at all.
    """
    summary = _Summary()
    lines = json_lines if output_format == "jsonl" else text_lines
    tap = sources.tap_for(None)(sources.tap)
    with options.writing(output_file) as write:
        for formula in summary.counting(tap.formulae()):
            for line in lines(formula):
                write(f"{line}\n")
    for text in tap.notes:
        options.note(text)
    summary.tell()
    if not summary.bottles:
        raise NothingMatchedError(sources.tap, "publishes no bottle", "name another tap or commit")
    sys.exit(0)


class _Summary:
    """Counts what goes by."""

    def __init__(self) -> None:
        self.formulae = self.bottles = 0
        self.unknown: dict[str, list[str]] = {}
        """Why something is not known, to the formulae of which it is not."""

    def counting(self, formulae: Iterable[Formula]) -> Iterator[Formula]:
        for formula in formulae:
            self.formulae += 1
            self.bottles += len(formula.bottles) + len(formula.unnamed)
            if formula.version is None or formula.unnamed:
                why = formula.gaps[0] if formula.gaps else "no reason known"
                self.unknown.setdefault(_LINE.sub("", why), []).append(formula.name)
            yield formula

    def tell(self) -> None:
        unknown = sum(map(len, self.unknown.values()))
        options.note(
            f"{self.formulae:,} formulae, {self.bottles:,} bottles, {unknown:,} formulae of unknown version"
        )
        for why, names in sorted(self.unknown.items(), key=lambda found: -len(found[1]))[:_MAX_REASONS]:
            options.note(f"{len(names):,} of unknown version, {names[0]} for one: {why}")
