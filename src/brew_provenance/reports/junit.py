"""JUnit XML, as CI systems show it: a test case for each bottle, in suites by tap or by formula."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from brew_provenance.reports.sarif import deciding_code
from brew_provenance.reports.text import printable
from brew_provenance.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Case:
    """One bottle."""

    name: str
    outcome: Outcome
    rule: str
    """The reason code that decided; the outcome itself where there is none."""

    details: Sequence[str]
    """What was found, for people; for a verified bottle, who signed."""


def render_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Render verdicts, a suite for each tap."""
    suites: dict[str, list[Case]] = {}
    for verdict in verdicts:
        # Whose policy decided, and so whose bottle it is said to be.
        suites.setdefault(verdict.basis.policy.tap or "artifacts", []).append(_case(verdict))
    counts = {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Outcome}
    return "".join(document(counts, suites.items()))


def document(counts: Mapping[Outcome, int], suites: Iterable[tuple[str, Sequence[Case]]]) -> Iterator[str]:
    """Yield a document, a piece for each suite with its name. ASCII only.

    Rejected and unattested bottles are failures, unresolved ones errors. `counts` are those of all suites.
    """
    root = ET.Element("testsuites", {"name": "brew-provenance", **_counts(counts)})
    # Written by hand, as the rest is not in memory at once.
    yield ET.tostring(root, encoding="unicode").removesuffix(" />") + ">\n"
    for name, cases in suites:
        suite = ET.Element("testsuite", {"name": printable(name), **_counts(_outcomes(cases))})
        for case in cases:
            _add(suite, name, case)
        ET.indent(suite, level=1)
        yield f"  {ET.tostring(suite, encoding='unicode')}\n"
    yield "</testsuites>\n"


def _outcomes(cases: Sequence[Case]) -> Mapping[Outcome, int]:
    return {outcome: sum(case.outcome is outcome for case in cases) for outcome in Outcome}


def _counts(outcomes: Mapping[Outcome, int]) -> dict[str, str]:
    failures = outcomes.get(Outcome.REJECTED, 0) + outcomes.get(Outcome.UNATTESTED, 0)
    errors = outcomes.get(Outcome.UNRESOLVED, 0)
    return {"tests": str(sum(outcomes.values())), "failures": str(failures), "errors": str(errors)}


def _case(verdict: Verdict) -> Case:
    best = verdict.best
    if verdict.outcome is Outcome.VERIFIED:
        evidence = best.evidence if best is not None else None
        details = [f"signed by {evidence.claims.identity}"] if evidence is not None else []
    else:
        details = [f"{finding.code}: {finding.detail}" for finding in verdict.faults]
    return Case(verdict.question.label, verdict.outcome, deciding_code(verdict), details)


def _add(suite: ET.Element, classname: str, case: Case) -> None:
    element = ET.SubElement(suite, "testcase", classname=printable(classname), name=printable(case.name))
    details = "\n".join(map(printable, case.details))
    if case.outcome is Outcome.VERIFIED:
        if details:
            ET.SubElement(element, "system-out").text = details
        return
    kind = "error" if case.outcome is Outcome.UNRESOLVED else "failure"
    problem = ET.SubElement(element, kind, type=case.rule, message=case.outcome.value)
    problem.text = details or "no attestation"
