"""How a comparison of two runs is printed: for people, for an issue, and for programs. ASCII only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from typing import Final

from brew_provenance.audit.compare import ALARMS, CHANGES, Change, Comparison
from brew_provenance.audit.ledger import Run
from brew_provenance.audit.report import SHOWN, code_span, part_of, run_object
from brew_provenance.reports.text import printable

SCHEMA_VERSION: Final = 1
"""Version of the JSON document; grows when a reader of the older one would misread the newer."""


def text(comparison: Comparison, fail_on: Collection[str] = ALARMS) -> Iterator[str]:
    """Yield every kind of change with its number, and the first bottles of each alarm."""
    new = comparison.new
    part = f" ({printable(part_of(new))})" if part_of(new) else ""
    yield f"{printable(new.tap)}{part}: from {_when(comparison.old)} to {_when(new)}\n"
    yield from (
        f"  the {what} differs, and verdicts may for that reason\n" for what in comparison.differences
    )
    for code, count in _counts(comparison):
        kind = CHANGES[code]
        yield f"\n{'ALARM ' if kind.is_alarm else ''}{code}: {count:,}\n    {kind.means}\n"
        if not kind.is_alarm:
            continue
        for change in islice(comparison.alarms([code]), SHOWN):
            yield f"      {printable(change.bottle.name)}: {printable(_said(change))}\n"
        yield f"      and {count - SHOWN:,} more\n" if count > SHOWN else ""
    if not comparison.changes:
        yield "\nnothing changed\n"
    yield f"\n{_alarmed(comparison, fail_on)}\n"


def markdown(comparison: Comparison, fail_on: Collection[str] = ALARMS) -> Iterator[str]:
    """Yield the same for a job summary or an issue; what others wrote stands in code spans."""
    new = comparison.new
    part = f" ({code_span(part_of(new))})" if part_of(new) else ""
    yield f"## What changed in {code_span(new.tap)}{part}\n\n"
    yield f"From {_when(comparison.old)} to {_when(new)}. {_alarmed(comparison, fail_on)}\n"
    yield from (
        f"\nThe {what} differs, and verdicts may for that reason.\n" for what in comparison.differences
    )
    counts = _counts(comparison)
    yield "\n| change | bottles | means |\n| --- | ---: | --- |\n" if counts else "\nNothing changed.\n"
    for code, count in counts:
        kind = CHANGES[code]
        shown = f"**{code}**" if kind.is_alarm else code
        yield f"| {shown} | {count:,} | {kind.means} |\n"
    alarms = comparison.alarms()
    if alarms:
        yield "\n| alarm | bottle | before | after |\n| --- | --- | --- | --- |\n"
    for change in alarms[:SHOWN]:
        before, after = (
            code_span(side) if side is not None else "" for side in (change.before, change.after)
        )
        yield f"| {change.code} | {code_span(change.bottle.name)} | {before} | {after} |\n"
    yield f"\nand {len(alarms) - SHOWN:,} more\n" if len(alarms) > SHOWN else ""


def json_document(comparison: Comparison, fail_on: Collection[str] = ALARMS) -> Iterator[str]:
    """Yield one JSON document (`schemas/audit-diff-v1.schema.json`) with every change."""
    head = {
        "schemaVersion": SCHEMA_VERSION,
        "old": run_object(comparison.old),
        "new": run_object(comparison.new),
        "differences": list(comparison.differences),
        "flagDay": comparison.flag_day.isoformat() if comparison.flag_day else None,
        "failOn": [code for code in ALARMS if code in fail_on],
        "summary": dict(_counts(comparison)),
    }
    yield json.dumps(head, ensure_ascii=True)[:-1] + ', "changes": ['
    for number, change in enumerate(comparison.changes):
        yield ("," if number else "") + "\n" + json.dumps(_object(change), ensure_ascii=True)
    yield "\n]}\n"


FORMATS: Final[Mapping[str, Callable[[Comparison, Collection[str]], Iterator[str]]]] = {
    "text": text,
    "markdown": markdown,
    "json": json_document,
}
"""How a comparison can be printed; each yields pieces of text."""


def _counts(comparison: Comparison) -> list[tuple[str, int]]:
    counts = Counter(change.code for change in comparison.changes)
    return [(code, counts[code]) for code in CHANGES if counts[code]]


def _alarmed(comparison: Comparison, fail_on: Collection[str]) -> str:
    alarms, decisive = len(comparison.alarms()), len(comparison.alarms(fail_on))
    ignored = f", {alarms - decisive:,} of a kind that was not asked for" if alarms > decisive else ""
    return f"{alarms:,} {'alarm' if alarms == 1 else 'alarms'}{ignored}."


def _when(run: Run) -> str:
    return printable(run.started)


def _said(change: Change) -> str:
    return " -> ".join(side for side in (change.before, change.after) if side is not None)


def _object(change: Change) -> Mapping[str, object]:
    bottle = change.bottle
    return {
        "code": change.code,
        "alarm": change.kind.is_alarm,
        "formula": bottle.formula,
        "version": bottle.version,
        "rebuild": bottle.rebuild,
        "tag": bottle.tag,
        "fileName": bottle.file_name,
        "sha256": bottle.sha256,
        "path": bottle.path,
        "line": bottle.line,
        "before": change.before,
        "after": change.after,
    }
