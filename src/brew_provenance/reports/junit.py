"""JUnit XML, as CI systems show it: a test case for each bottle, a suite for each tap."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from brew_provenance.reports.sarif import deciding_code
from brew_provenance.reports.text import printable
from brew_provenance.verdict import Outcome, Verdict


def render_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Render verdicts. Rejected and unattested bottles are failures, unresolved ones errors."""
    root = ET.Element("testsuites", {"name": "brew-provenance", **_counts(verdicts)})
    suites: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        # Whose policy decided, and so whose bottle it is said to be.
        suites.setdefault(verdict.basis.policy.tap or "artifacts", []).append(verdict)
    for tap, of_tap in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": printable(tap), **_counts(of_tap)})
        for verdict in of_tap:
            _add_case(suite, tap, verdict)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _counts(verdicts: Sequence[Verdict]) -> dict[str, str]:
    outcomes = [verdict.outcome for verdict in verdicts]
    unresolved = outcomes.count(Outcome.UNRESOLVED)
    failures = outcomes.count(Outcome.REJECTED) + outcomes.count(Outcome.UNATTESTED)
    return {"tests": str(len(outcomes)), "failures": str(failures), "errors": str(unresolved)}


def _add_case(suite: ET.Element, tap: str, verdict: Verdict) -> None:
    case = ET.SubElement(suite, "testcase", classname=printable(tap), name=printable(verdict.question.label))
    best = verdict.best
    if verdict.outcome is Outcome.VERIFIED:
        if best is not None and best.evidence is not None:
            said = f"signed by {best.evidence.claims.identity}"
            ET.SubElement(case, "system-out").text = printable(said)
        return
    kind = "error" if verdict.outcome is Outcome.UNRESOLVED else "failure"
    details = [printable(f"{finding.code}: {finding.detail}") for finding in verdict.faults]
    problem = ET.SubElement(case, kind, type=deciding_code(verdict), message=verdict.outcome.value)
    problem.text = "\n".join(details) or "no attestation"
