"""What a ledger says of a run: for people, for a job summary, and for programs. Judges nothing anew."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Final

from brew_provenance.audit.ledger import Entry, Ledger, Run, total
from brew_provenance.findings import REASONS, Severity
from brew_provenance.reports import html as pages
from brew_provenance.reports.junit import Case
from brew_provenance.reports.junit import document as junit_document
from brew_provenance.reports.sarif import Result, document
from brew_provenance.reports.text import printable
from brew_provenance.verdict import Outcome

SCHEMA_VERSION: Final = 1
"""Version of the JSON documents; grows when a reader of the older one would misread the newer."""

SHOWN: Final = 50
"""Bottles that are named for people; the others are counted."""

SARIF_RESULTS: Final = 5_000
"""Results of one run that GitHub shows."""

_BY_GRAVITY: Final = (Outcome.REJECTED, Outcome.UNATTESTED, Outcome.UNRESOLVED)
_DECISIVE: Final = {Outcome.REJECTED: Severity.REJECT, Outcome.UNRESOLVED: Severity.UNRESOLVED}


def text(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield a summary: counts by outcome, by tag and by reason, and the worst bottles by name."""
    found = _Summary(ledger, run)
    part = f" ({printable(part_of(run))})" if part_of(run) else ""
    yield f"{printable(run.tap)}: {found.bottles:,} bottles{part}, audited {_period(run)}\n"
    yield from (f"  {count:>8,}  {outcome.value}\n" for outcome, count in found.outcomes())
    yield "\n"
    for tag, counts in sorted(found.by_tag.items()):
        said = ", ".join(f"{count:,} {outcome.value}" for outcome, count in counts.items())
        yield f"  {printable(tag):<16} {said}\n"
    for code, count in found.reasons():
        yield f"\n  {code}: {count:,}\n      {_means(code)}\n"
    for entry in found.worst:
        yield f"\n  {entry.judgement.outcome.value}  {printable(entry.name)}  {_codes(entry)}"
    if found.worst:
        yield f"{_more(found)}\n"
    yield from (f"\nnote: {printable(note)}" for note in run.notes)
    yield "\n" if run.notes else ""
    yield f"\npolicy: {printable(run.policy)}\nattestations: {printable(run.store)}\n"
    yield f"formulae: {printable(run.metadata)}\n"


def markdown(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield the same for a job summary or an issue; what others wrote stands in code spans."""
    found = _Summary(ledger, run)
    yield f"## Build provenance of {code_span(run.tap)}\n\n"
    part = f" ({code_span(part_of(run))})" if part_of(run) else ""
    yield f"{found.bottles:,} bottles{part}, audited {_period(run)}\n\n"
    yield "| outcome | bottles |\n| --- | ---: |\n"
    yield from (f"| {outcome.value} | {count:,} |\n" for outcome, count in found.outcomes())
    if found.codes:
        yield "\n| reason | bottles | means |\n| --- | ---: | --- |\n"
    for code, count in found.reasons():
        yield f"| {code_span(code)} | {count:,} | {_means(code)} |\n"
    if found.worst:
        yield "\n| bottle | outcome | reasons |\n| --- | --- | --- |\n"
    for entry in found.worst:
        yield f"| {code_span(entry.name)} | {entry.judgement.outcome.value} | {_codes(entry)} |\n"
    yield _more(found)
    if run.notes:
        yield "\n"
    yield from (f"* {code_span(note)}\n" for note in run.notes)


def json_document(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield one JSON document (`schemas/audit-v1.schema.json`): the run, counts, and every bottle."""
    head = {"schemaVersion": SCHEMA_VERSION, "run": run_object(run)}
    head["summary"] = {outcome.value: count for outcome, count in ledger.counts(run.id).items()}
    yield json.dumps(head, ensure_ascii=True)[:-1] + ', "bottles": ['
    for number, entry in enumerate(ledger.entries(run.id)):
        yield ("," if number else "") + "\n" + json.dumps(_bottle(entry), ensure_ascii=True)
    yield "\n]}\n"


def json_lines(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield a JSON object for each bottle, of the same schema's `bottle` with its version."""
    for entry in ledger.entries(run.id):
        yield json.dumps({"schemaVersion": SCHEMA_VERSION, **_bottle(entry)}, ensure_ascii=True) + "\n"


def sarif(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield SARIF 2.1.0 of the bottles that are not verified, the worst first, as many as GitHub shows.

    How many more there are is said in it.
    """
    counts = ledger.counts(run.id)
    wrong = (entry for outcome in _BY_GRAVITY for entry in ledger.entries(run.id, outcome))
    more = sum(counts.get(outcome, 0) for outcome in _BY_GRAVITY) - SARIF_RESULTS
    left_out = [f"{more:,} more bottles are not verified; these are the first {SARIF_RESULTS:,}"]
    results = [_result(entry) for entry in islice(wrong, SARIF_RESULTS)]
    yield document(results, [*(left_out if more > 0 else ()), *run.notes])


def junit(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield JUnit XML, a suite for each formula."""
    suites = (
        (f"{run.tap}/{formula}", [_case(entry) for entry in entries])
        for formula, entries in groupby(ledger.entries(run.id), key=attrgetter("formula"))
    )
    yield from junit_document(ledger.counts(run.id), suites)


def html(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield one HTML page: figures, a table of all bottles, and a view for each formula."""
    page = pages.Page(
        run.tap,
        part_of(run),
        run.started,
        run.finished or "?",
        [
            ("Tap", run.tap),
            ("Formulae", run.metadata),
            ("Attestations", run.store),
            ("Policy", run.policy),
            ("sha256 of the policy", run.policy_sha256),
            *(("sha256 of a trusted root", digest) for digest in run.roots.split(",")),
            ("Judged by", f"brew-provenance {run.tool_version}"),
            ("Started", run.started),
            ("Finished", run.finished or "?"),
        ],
        run.notes,
    )
    yield from pages.render(page, map(_on_page, ledger.entries(run.id)))


FORMATS: Final[Mapping[str, Callable[[Ledger, Run], Iterator[str]]]] = {
    "text": text,
    "markdown": markdown,
    "json": json_document,
    "jsonl": json_lines,
    "sarif": sarif,
    "junit": junit,
    "html": html,
}
"""How a run can be reported; each yields pieces of text, ASCII only."""


def run_object(run: Run) -> Mapping[str, object]:
    """Return a run as JSON shows it."""
    return {
        "tap": run.tap,
        "selection": run.selection or None,
        "shard": run.shard or None,
        "formulae": run.metadata,
        "store": run.store,
        "policy": {"name": run.policy, "sha256": run.policy_sha256},
        "trustedRoots": run.roots.split(","),
        "tool": {"name": "brew-provenance", "version": run.tool_version},
        "started": run.started,
        "finished": run.finished,
        "notes": list(run.notes),
    }


def part_of(run: Run) -> str:
    """Say what of the tap a run covers; nothing when it is all of it."""
    limits = (run.selection, f"shard {run.shard}" if run.shard else "")
    return ", ".join(limit for limit in limits if limit)


def code_span(text: str) -> str:
    """Return anything as a code span that can stand in a cell of a table: no mention, link or markup."""
    return f"`{printable(text).replace('`', chr(92) + 'x60').replace('|', chr(92) + 'x7c') or ' '}`"


class _Summary:
    def __init__(self, ledger: Ledger, run: Run) -> None:
        self.by_tag = ledger.counts_by_tag(run.id)
        self.counts = total(self.by_tag)
        self.bottles = sum(self.counts.values())
        self.codes: Counter[str] = Counter()
        self.worst: list[Entry] = []
        wrong = (outcome for outcome in _BY_GRAVITY if outcome in self.counts)
        for entry in chain.from_iterable(ledger.entries(run.id, outcome) for outcome in wrong):
            self.codes.update(entry.judgement.codes)
            if entry.judgement.outcome is Outcome.REJECTED and len(self.worst) < SHOWN:
                self.worst.append(entry)

    def outcomes(self) -> Iterator[tuple[Outcome, int]]:
        return iter(self.counts.items())

    def reasons(self) -> list[tuple[str, int]]:
        """Return codes and how many bottles have each, the most frequent first."""
        return sorted(self.codes.items(), key=lambda item: (-item[1], item[0]))


def _period(run: Run) -> str:
    return f"{printable(run.started)} to {printable(run.finished or '?')}"


def _means(code: str) -> str:
    """Say what a code means; a newer version may have written one that this one does not know."""
    return REASONS[code].means if code in REASONS else "See `brew-provenance reasons` of a newer version."


def _more(found: _Summary) -> str:
    more = found.counts.get(Outcome.REJECTED, 0) - len(found.worst)
    return f"\n  and {more:,} more\n" if more else ""


def _codes(entry: Entry) -> str:
    return ", ".join(entry.judgement.codes) or "no attestation"


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
        "bundles": judgement.bundles,
        "listed": asdict(entry.listed) if entry.listed is not None else None,
    }


def _on_page(entry: Entry) -> pages.Bottle:
    judgement = entry.judgement
    return pages.Bottle(
        entry.formula,
        entry.version,
        entry.rebuild,
        entry.tag,
        entry.file_name,
        entry.sha256,
        entry.path,
        entry.line,
        judgement.outcome,
        judgement.gives,
        judgement.findings,
        judgement.evidence,
        len(judgement.bundles) if judgement.bundles is not None else None,
    )


def _case(entry: Entry) -> Case:
    judgement = entry.judgement
    if judgement.outcome is Outcome.VERIFIED:
        signer = (judgement.evidence or {}).get("signer")
        said = [f"{judgement.gives or 'attested'}, signed by {signer}"] if signer else []
    else:
        said = [f"{code}: {detail}" for code, detail in judgement.findings]
    return Case(entry.name, judgement.outcome, _rule(entry), said)


def _result(entry: Entry) -> Result:
    judgement = entry.judgement
    details = "; ".join(f"{code}: {detail}" for code, detail in judgement.findings)
    return Result(judgement.outcome, _rule(entry), entry.name, details, entry.path, entry.line, entry.sha256)


def _rule(entry: Entry) -> str:
    """Return the code that decided; the outcome itself where there is none that is known."""
    outcome = entry.judgement.outcome
    wanted = _DECISIVE.get(outcome)
    known = (code for code in entry.judgement.codes if code in REASONS)
    return next((code for code in known if REASONS[code].severity is wanted), outcome.value)
