"""What a ledger says of a run: for people, for a job summary, and for programs. Judges nothing anew."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from brew_provenance.audit.ledger import Entry, Ledger, Run
from brew_provenance.findings import REASONS
from brew_provenance.reports.sarif import Result, document
from brew_provenance.reports.text import printable
from brew_provenance.verdict import Outcome

SCHEMA_VERSION: Final = 1
"""Version of the JSON documents; grows when a reader of the older one would misread the newer."""

SHOWN: Final = 50
"""Bottles that are named for people; the others are counted."""

SARIF_RESULTS: Final = 5_000
"""Results of one run that GitHub shows."""


def text(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield a summary: counts by outcome, by tag and by reason, and the worst bottles by name."""
    found = _Summary(ledger, run)
    yield f"{printable(run.tap)}: {found.bottles:,} bottles, audited {run.started} to {run.finished}\n"
    yield from (f"  {count:>8,}  {outcome.value}\n" for outcome, count in found.outcomes())
    yield "\n"
    for tag, counts in sorted(found.by_tag.items()):
        said = ", ".join(f"{counts[outcome]:,} {outcome.value}" for outcome in Outcome if counts[outcome])
        yield f"  {printable(tag):<16} {said}\n"
    for code, count in found.codes.most_common():
        yield f"\n  {code}: {count:,}\n      {REASONS[code].means}\n" if code in REASONS else ""
    for entry in found.worst:
        yield f"\n  {entry.judgement.outcome.value}  {printable(_name(entry))}  {_codes(entry)}"
    yield _more(found) + "\n" if found.worst else ""
    yield f"\npolicy: {printable(run.policy)}\nattestations: {printable(run.store)}\n"
    yield f"formulae: {printable(run.metadata)}\n"


def markdown(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield the same for a job summary or an issue."""
    found = _Summary(ledger, run)
    yield f"## Build provenance of {_escaped(run.tap)}\n\n{found.bottles:,} bottles, {run.finished}\n\n"
    yield "| outcome | bottles |\n| --- | ---: |\n"
    yield from (f"| {outcome.value} | {count:,} |\n" for outcome, count in found.outcomes())
    if found.codes:
        yield "\n| reason | bottles | means |\n| --- | ---: | --- |\n"
    for code, count in found.codes.most_common():
        yield f"| `{code}` | {count:,} | {REASONS[code].means if code in REASONS else ''} |\n"
    if found.worst:
        yield "\n| bottle | outcome | reasons |\n| --- | --- | --- |\n"
    for entry in found.worst:
        yield f"| {_escaped(_name(entry))} | {entry.judgement.outcome.value} | {_codes(entry)} |\n"
    yield _more(found)


def json_document(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield one JSON document: the run, counts, and every bottle."""
    head = {"schemaVersion": SCHEMA_VERSION, "run": _run(run)}
    head["summary"] = {outcome.value: count for outcome, count in ledger.counts(run.id).items()}
    yield json.dumps(head, ensure_ascii=True)[:-1] + ', "bottles": ['
    for number, entry in enumerate(ledger.entries(run.id)):
        yield ("," if number else "") + "\n" + json.dumps(_bottle(entry), ensure_ascii=True)
    yield "\n]}\n"


def json_lines(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield a JSON object for each bottle."""
    for entry in ledger.entries(run.id):
        yield json.dumps({"schemaVersion": SCHEMA_VERSION, **_bottle(entry)}, ensure_ascii=True) + "\n"


def sarif(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield SARIF 2.1.0 of the bottles that are not verified, the worst first, as many as GitHub shows."""
    order = (Outcome.REJECTED, Outcome.UNATTESTED, Outcome.UNRESOLVED)
    wrong = [entry for entry in ledger.entries(run.id) if entry.judgement.outcome in order]
    wrong.sort(key=lambda entry: order.index(entry.judgement.outcome))
    yield document([_result(entry) for entry in wrong[:SARIF_RESULTS]])


FORMATS: Final[Mapping[str, Callable[[Ledger, Run], Iterator[str]]]] = {
    "text": text,
    "markdown": markdown,
    "json": json_document,
    "jsonl": json_lines,
    "sarif": sarif,
}
"""How a run can be reported; each yields pieces of text, ASCII only."""


class _Summary:
    def __init__(self, ledger: Ledger, run: Run) -> None:
        self.by_tag: dict[str, Counter[Outcome]] = {}
        self.codes: Counter[str] = Counter()
        self.worst: list[Entry] = []
        self.wrong = 0
        for entry in ledger.entries(run.id):
            outcome = entry.judgement.outcome
            self.by_tag.setdefault(entry.tag, Counter())[outcome] += 1
            if outcome is not Outcome.VERIFIED:
                self.codes.update(set(entry.judgement.codes))
                self.wrong += 1
            if outcome is Outcome.REJECTED and len(self.worst) < SHOWN:
                self.worst.append(entry)
        self.counts: Counter[Outcome] = sum(self.by_tag.values(), Counter())
        self.bottles = self.counts.total()

    def outcomes(self) -> Iterator[tuple[Outcome, int]]:
        return ((outcome, self.counts[outcome]) for outcome in Outcome if self.counts[outcome])


def _more(found: _Summary) -> str:
    more = found.counts[Outcome.REJECTED] - len(found.worst)
    return f"\n  and {more:,} more\n" if more else ""


def _name(entry: Entry) -> str:
    return entry.file_name or f"{entry.formula} ({entry.tag})"


def _codes(entry: Entry) -> str:
    return ", ".join(dict.fromkeys(entry.judgement.codes)) or "no attestation"


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|" else letter for letter in printable(text))


def _run(run: Run) -> Mapping[str, object]:
    return {
        "tap": run.tap,
        "formulae": run.metadata,
        "store": run.store,
        "policy": {"name": run.policy, "sha256": run.policy_sha256},
        "trustedRoots": run.roots.split(","),
        "tool": {"name": "brew-provenance", "version": run.tool_version},
        "started": run.started,
        "finished": run.finished,
    }


def _bottle(entry: Entry) -> Mapping[str, object]:
    judgement = entry.judgement
    return {
        "formula": entry.formula,
        "version": entry.version,
        "rebuild": entry.rebuild,
        "tag": entry.tag,
        "fileName": entry.file_name,
        "sha256": entry.sha256,
        "path": entry.path,
        "line": entry.line,
        "outcome": judgement.outcome.value,
        "gives": judgement.gives,
        "findings": [{"code": code, "detail": detail} for code, detail in judgement.findings],
        "evidence": judgement.evidence,
    }


def _result(entry: Entry) -> Result:
    judgement = entry.judgement
    rule = judgement.codes[0] if judgement.codes else judgement.outcome.value
    details = "; ".join(f"{code}: {detail}" for code, detail in judgement.findings)
    return Result(judgement.outcome, rule, _name(entry), details, entry.path, entry.line, entry.sha256)
