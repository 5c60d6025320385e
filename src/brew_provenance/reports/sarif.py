"""SARIF 2.1.0, for code scanning: a result for each bottle that is not verified, at its line in the tap.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/ and, for what GitHub shows of it,
https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import brew_provenance
from brew_provenance.findings import REASONS, Severity
from brew_provenance.reports.text import printable
from brew_provenance.verdict import Outcome, Verdict

_Object = Mapping[str, object]
_SAFE: Final = "/@+-._~"

_LEVELS: Final = {
    Outcome.REJECTED: "error",
    Outcome.UNATTESTED: "warning",
    Outcome.UNRESOLVED: "warning",
}
_MEANS: Final = {
    Outcome.REJECTED: "There is evidence, and it is wrong.",
    Outcome.UNATTESTED: "A store answered, and it holds no attestation that applies.",
    Outcome.UNRESOLVED: "It could not be found out.",
}
_DECISIVE: Final = {Outcome.REJECTED: Severity.REJECT, Outcome.UNRESOLVED: Severity.UNRESOLVED}


@dataclass(frozen=True)
class Result:
    """One bottle that is not verified."""

    outcome: Outcome
    rule: str
    """The reason code that decided; the outcome itself where there is none."""

    name: str
    """What the bottle is called."""

    details: str
    """What was found, for people."""

    path: str | None
    """The formula's file in the tap, where it is known."""

    line: int | None
    sha256: str
    """What stays the same when the bottle is judged again."""


def render_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Render the verdicts that are not `verified` as one run of one tool. ASCII only."""
    return document([_result(verdict) for verdict in verdicts if verdict.outcome is not Outcome.VERIFIED])


def document(results: Sequence[Result], notes: Sequence[str] = ()) -> str:
    """Render results, and what there is to know of them, as one run of one tool. ASCII only."""
    rules = list(dict.fromkeys(result.rule for result in results))
    noted = [{"level": "note", "message": {"text": printable(note)}} for note in notes]
    told = {"invocations": [{"executionSuccessful": True, "toolExecutionNotifications": noted}]}
    found = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "brew-provenance",
                        "semanticVersion": brew_provenance.__version__,
                        "informationUri": "https://github.com/brew-provenance/brew-provenance",
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                **(told if notes else {}),
                "columnKind": "unicodeCodePoints",
                "results": [_written(result, rules.index(result.rule)) for result in results],
            }
        ],
    }
    return json.dumps(found, indent=2, ensure_ascii=True) + "\n"


def deciding_code(verdict: Verdict) -> str:
    """Return the code of the first finding that weighs as the outcome does; the outcome itself for none."""
    wanted = _DECISIVE.get(verdict.outcome)
    decisive = (finding.code for finding in verdict.faults if finding.reason.severity is wanted)
    return next(decisive, verdict.outcome.value)


def _result(verdict: Verdict) -> Result:
    bottle, faults = verdict.question.bottle, verdict.faults
    return Result(
        verdict.outcome,
        deciding_code(verdict),
        str(bottle.file_name) if bottle else verdict.question.label,
        "; ".join(f"{finding.code}: {finding.detail}" for finding in faults),
        bottle.path if bottle else None,
        bottle.line if bottle else None,
        verdict.question.digests[0].value,
    )


def _rule(rule: str) -> _Object:
    reason = REASONS.get(rule)
    means = reason.means if reason else _MEANS[Outcome(rule)]
    advice = reason.advice if reason else "Ask the tap to attest its bottles."
    return {"id": rule, "shortDescription": {"text": means}, "help": {"text": advice}}


def _written(result: Result, rule_index: int) -> _Object:
    details = f": {result.details}" if result.details else ""
    # The name of a file can hold bytes that are no text.
    uri = quote((result.path or result.name).lstrip("/"), safe=_SAFE, errors="backslashreplace")
    return {
        "ruleId": result.rule,
        "ruleIndex": rule_index,
        "level": _LEVELS[result.outcome],
        "message": {"text": printable(f"{result.outcome.value}: {result.name}{details}")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri},
                    "region": {"startLine": result.line or 1},
                }
            }
        ],
        "partialFingerprints": {"bottle/v1": f"{result.sha256} {result.rule}"},
        "properties": {"outcome": result.outcome.value},
    }
