"""What a tap publishes, a bottle a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from brew_provenance.bottle import Bottle
from brew_provenance.formula import Formula, UnnamedBottle
from brew_provenance.reports.text import printable

SCHEMA_VERSION = 1
"""Version of a JSON line; grows when a reader of the older one would misread the newer."""


def text_lines(formula: Formula) -> Iterator[str]:
    """Yield a line for each bottle, for people; `?` stands for what cannot be known. ASCII only."""
    for row in _rows(formula):
        place = row["path"] or "-"
        if row["path"] and row["line"]:
            place = f"{place}:{row['line']}"
        name = row["fileName"] or f"{formula.name} ?"
        yield printable(f"{row['sha256']}  {name}  {row['rootUrl'] or '?'}  {place}")


def json_lines(formula: Formula) -> Iterator[str]:
    """Yield a JSON object for each bottle; null stands for what cannot be known. ASCII only."""
    for row in _rows(formula):
        yield json.dumps(row, ensure_ascii=True)


def _rows(formula: Formula) -> Iterator[dict[str, object]]:
    for bottle in formula.bottles:
        yield _row(formula, bottle, str(bottle.file_name), bottle.url)
    for unnamed in formula.unnamed:
        yield _row(formula, unnamed, None, None)


def _row(
    formula: Formula, bottle: Bottle | UnnamedBottle, file_name: str | None, url: str | None
) -> dict[str, object]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "tap": formula.tap,
        "formula": formula.name,
        "version": formula.version,
        "rebuild": bottle.rebuild,
        "tag": bottle.tag,
        "sha256": bottle.digest.value,
        "fileName": file_name,
        "rootUrl": formula.root_url,
        "url": url,
        "path": formula.path,
        "line": bottle.line,
    }
