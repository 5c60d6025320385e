"""JSON for programs, of the form that `schemas/` publishes. ASCII only, keys in a fixed order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import brew_provenance
from brew_provenance.evidence import Evidence, LogEntry
from brew_provenance.explain import ExplainedStep, explain_assessment, explain_question
from brew_provenance.findings import Finding
from brew_provenance.verdict import Assessment, Basis, Outcome, Verdict

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1 import BottleBuild

SCHEMA_VERSION: Final = 1
"""Version of both documents; grows when a reader of the older one would misread the newer."""

_Object = Mapping[str, object]


def render_verdicts(verdicts: Sequence[Verdict], *, explain: bool = False) -> str:
    """Render verdicts as one document (`schemas/verdicts-v1.schema.json`)."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    return _dump(
        {
            "schemaVersion": SCHEMA_VERSION,
            "tool": _tool(),
            "summary": {outcome.value: counts[outcome] for outcome in Outcome if counts[outcome]},
            "verdicts": [_verdict(verdict, explain=explain) for verdict in verdicts],
        }
    )


def render_examination(assessments: Sequence[Assessment]) -> str:
    """Render what `inspect` saw (`schemas/examination-v1.schema.json`); it holds no verdict."""
    return _dump(
        {
            "schemaVersion": SCHEMA_VERSION,
            "tool": _tool(),
            "verdict": None,
            "attestations": [_assessment(assessment, explain=True) for assessment in assessments],
        }
    )


def _dump(document: _Object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _tool() -> _Object:
    return {"name": "brew-provenance", "version": brew_provenance.__version__}


def _verdict(verdict: Verdict, *, explain: bool) -> _Object:
    bottle = verdict.question.bottle
    document: dict[str, object] = {
        "artifact": {
            "label": verdict.question.label,
            "digests": {digest.algorithm: digest.value for digest in verdict.question.digests},
            "neededBy": verdict.question.needed_by,
            "bottle": bottle
            and {
                "tap": bottle.tap,
                "formula": bottle.formula,
                "version": bottle.version,
                "rebuild": bottle.rebuild,
                "tag": bottle.tag,
                "fileName": str(bottle.file_name),
                "url": bottle.url,
                "path": bottle.path,
                "line": bottle.line,
            },
        },
        "outcome": verdict.outcome.value,
        "gives": _gives(verdict),
        "findings": [_finding(finding) for finding in verdict.findings],
        "attestations": [_assessment(assessment, explain=explain) for assessment in verdict.assessments],
        "basis": _basis(verdict.basis),
    }
    if explain:
        document["steps"] = [_step(step) for step in explain_question(verdict)]
    return document


def _gives(verdict: Verdict) -> str | None:
    best = verdict.best
    if verdict.outcome is Outcome.VERIFIED and best is not None and best.signer is not None:
        return best.signer.gives.value
    return None


def _assessment(assessment: Assessment, *, explain: bool) -> _Object:
    evidence, subject = assessment.evidence, assessment.subject
    document: dict[str, object] = {
        "source": assessment.source,
        "accepted": assessment.accepted,
        "signer": assessment.signer.name if assessment.signer else None,
        "findings": [_finding(finding) for finding in assessment.findings],
        "subject": {"name": subject.name, "digest": subject.digest} if subject else None,
        "predicateType": assessment.statement.predicate_type if assessment.statement else None,
        "evidence": _evidence(evidence) if evidence else None,
        "build": _build(assessment.build) if assessment.build else None,
    }
    if explain:
        document["steps"] = [_step(step) for step in explain_assessment(assessment)]
    return document


def _build(build: BottleBuild) -> _Object:
    runner, parameters = build.runner, build.parameters
    return {
        "tap": parameters.tap,
        "ref": parameters.ref,
        "formula": {
            "commit": build.formula_commit,
            "path": build.formula_path,
            "sha256": build.formula_sha256,
            "sha256WithoutBottleBlock": build.packed_formula_sha256,
        },
        "builder": build.builder,
        "invocation": build.invocation,
        "event": build.github.event_name,
        "runner": {
            "name": runner.name,
            "os": runner.os,
            "arch": runner.arch,
            "environment": runner.environment,
            "labels": list(runner.labels),
            "image": f"{runner.image.os} {runner.image.version}" if runner.image is not None else None,
        },
    }


def _evidence(evidence: Evidence) -> _Object:
    claims = {name: value for name, value in vars(evidence.claims).items() if value}
    return {
        "trustedRoot": evidence.trusted_root,
        "certificate": {
            "sha256": evidence.certificate_sha256,
            "issuer": evidence.certificate_issuer,
            "claims": claims,
        },
        "times": [
            {"source": verified.source.value, "time": verified.time.isoformat()}
            for verified in evidence.times
        ],
        "logEntry": _log_entry(evidence.log_entry) if evidence.log_entry is not None else None,
    }


def _log_entry(entry: LogEntry) -> _Object:
    return {"kind": entry.kind, "index": entry.index, "logId": entry.log_id, "proven": entry.is_proven}


def _finding(finding: Finding) -> _Object:
    reason = finding.reason
    return {
        "code": finding.code,
        "severity": reason.severity.value,
        "step": reason.step.value,
        "detail": finding.detail,
        "means": reason.means,
        "advice": reason.advice,
    }


def _step(step: ExplainedStep) -> _Object:
    return {
        "step": step.step.value,
        "title": step.step.title,
        "status": step.status.value,
        "sights": [
            {
                "name": sight.name,
                "value": sight.value,
                "source": sight.source.value,
                "rule": sight.rule,
            }
            for sight in step.sights
        ],
        "findings": [finding.code for finding in step.findings],
    }


def _basis(basis: Basis) -> _Object:
    return {
        "trustedRoots": [
            {"name": root.name, "sha256": root.sha256, "builtIn": root.built_in}
            for root in basis.trusted_roots
        ],
        "policy": {
            "name": basis.policy.name,
            "sha256": basis.policy.sha256,
            "origin": basis.policy.origin.value,
        },
        "store": basis.store,
        "metadata": basis.metadata,
    }
