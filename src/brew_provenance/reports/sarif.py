"""SARIF 2.1.0, for code scanning: a result for each bottle that is not verified, at its line in the tap.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/ and, for what GitHub shows of it,
https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import brew_provenance
from brew_provenance.findings import REASONS
from brew_provenance.reports.text import printable
from brew_provenance.verdict import Outcome, Verdict

_Object = Mapping[str, object]

_LEVELS: Final = {
    Outcome.REJECTED: "error",
    Outcome.UNATTESTED: "warning",
    Outcome.UNRESOLVED: "warning",
}
_OUTCOME_RULES: Final = {
    Outcome.REJECTED: "There is evidence, and it is wrong.",
    Outcome.UNATTESTED: "A store answered, and it holds no attestation that applies.",
    Outcome.UNRESOLVED: "It could not be found out.",
}


def render_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Render the verdicts that are not `verified` as one run of one tool. ASCII only."""
    wrong = [verdict for verdict in verdicts if verdict.outcome is not Outcome.VERIFIED]
    rules = list(dict.fromkeys(_rule_id(verdict) for verdict in wrong))
    document = {
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
                "columnKind": "unicodeCodePoints",
                "results": [_result(verdict, rules) for verdict in wrong],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _rule_id(verdict: Verdict) -> str:
    """Return the code of the first fault; without any, the outcome itself is the rule."""
    return verdict.faults[0].code if verdict.faults else verdict.outcome.value


def _rule(rule: str) -> _Object:
    reason = REASONS.get(rule)
    means = reason.means if reason else _OUTCOME_RULES[Outcome(rule)]
    advice = reason.advice if reason else "Ask the tap to attest its bottles."
    return {
        "id": rule,
        "shortDescription": {"text": means},
        "help": {"text": advice},
    }


def _result(verdict: Verdict, rules: Sequence[str]) -> _Object:
    rule, bottle = _rule_id(verdict), verdict.question.bottle
    details = "; ".join(f"{finding.code}: {finding.detail}" for finding in verdict.faults)
    name = str(bottle.file_name) if bottle else verdict.question.label
    place = (bottle.path if bottle else None) or name
    text = f"{verdict.outcome.value}: {verdict.question.label}" + (f": {details}" if details else "")
    return {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        "level": _LEVELS[verdict.outcome],
        "message": {"text": printable(text)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(place)},
                    "region": {"startLine": (bottle.line if bottle else None) or 1},
                }
            }
        ],
        "partialFingerprints": {"bottle/v1": f"{verdict.question.digests[0]} {rule}"},
        "properties": {"outcome": verdict.outcome.value},
    }


def _uri(path: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - for this format alone

    return quote(path.lstrip("/"), safe="/@+-._~")
