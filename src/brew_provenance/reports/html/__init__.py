"""One HTML page of an audit: figures, a table of all bottles, and a view for each formula.

The page is a single file that fetches nothing: style, script and data stand in it, and its own policy lets
nothing else be loaded or run. Figures are drawn here, so that they are there without scripts; the table and
the views are made by the script in the reader's browser, out of the data. Everything that others wrote is
ASCII without control characters, and becomes text or, where it has the shape of one of a few addresses, a
link. The same values give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from brew_provenance.findings import LIMITS, REASONS
from brew_provenance.reports.html.bottles import Bottle, State
from brew_provenance.reports.html.columns import Columns, embedded
from brew_provenance.reports.html.figures import Figures
from brew_provenance.reports.text import printable

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["Bottle", "Page", "State", "render"]

_SCRIPTS: Final = ("data.js", "links.js", "table.js", "formula.js", "page.js")
_UNKNOWN: Final = "See `brew-provenance reasons` of a newer version."


@dataclass(frozen=True)
class Page:
    """What a page says of the audit as a whole."""

    tap: str
    """`user/repo`."""

    part: str
    """What of the tap was audited, in words; empty for all of it."""

    started: str
    finished: str
    """Times in UTC, ISO 8601."""

    basis: Sequence[tuple[str, str]]
    """What the verdicts rest on: what it is called, and its name or digest."""

    notes: Sequence[str]
    """What a person should know of the audit."""


def render(page: Page, bottles: Iterable[Bottle]) -> Iterator[str]:
    """Yield the page in pieces, ASCII only. Bottles come in the order of their formulae's names."""
    columns, figures = Columns(), Figures()
    for bottle in bottles:
        columns.add(bottle)
        figures.add(bottle)
    style, script = _read("page.css"), "\n".join(_read(name) for name in _SCRIPTS)
    values = {
        "page": page,
        "figures": figures,
        "State": State,
        "style": style,
        "script": script,
        "style_digest": _digest(style),
        "script_digest": _digest(script),
        "data": _data(page, columns, figures),
    }
    yield from _template().generate(values)


@cache
def _template() -> Template:
    # Loaded for this report alone.
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"printable": printable, "number": "{:,}".format, "moment": _moment}
    return environment.from_string(_read("page.html"))


def _data(page: Page, columns: Columns, figures: Figures) -> Iterator[str]:
    codes = {code: _reason(code) for code in sorted(figures.codes)}
    states = {state.value: [state.label, state.means] for state in State}
    yield from embedded(
        {
            "tap": printable(page.tap),
            # Where a tap of that name is, by Homebrew's convention.
            "repository": f"https://github.com/{printable(page.tap).replace('/', '/homebrew-', 1)}",
            "states": states,
            "reasons": codes,
        },
        columns,
    )


def _reason(code: str) -> Sequence[object]:
    """Return what the script says of a code: meaning, advice, and whether it is a limit of what is proved."""
    reason = REASONS.get(code)
    if reason is None:
        return [_UNKNOWN, "", False]
    return [reason.means, reason.advice, code in LIMITS]


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="ascii")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _moment(text: str) -> str:
    """Return a time to the minute, as people read it."""
    return printable(text)[:16].replace("T", " ")
