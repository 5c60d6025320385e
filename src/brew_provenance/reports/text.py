"""Text for a terminal. Everything that others control is printed as ASCII without control characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from brew_provenance.evidence import Evidence
from brew_provenance.explain import ExplainedStep, explain_assessment, explain_question
from brew_provenance.findings import LIMITS, Finding
from brew_provenance.policy import Gives, PolicyOrigin
from brew_provenance.verdict import Assessment, Basis, Outcome, Verdict

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1 import BottleBuild

Style = Callable[[str, str], str]
"""Gives a word its colour: the word, then the name of the colour."""

_COLOURS: Final = {
    Outcome.VERIFIED: "green",
    Outcome.UNATTESTED: "yellow",
    Outcome.REJECTED: "red",
    Outcome.UNRESOLVED: "magenta",
}
_BY_GRAVITY: Final = (Outcome.REJECTED, Outcome.UNATTESTED, Outcome.UNRESOLVED, Outcome.VERIFIED)
_WIDTH: Final = max(len(outcome.value) for outcome in Outcome)
_MAX_VALUE: Final = 400


def plain(word: str, colour: str) -> str:  # noqa: ARG001 - a style that ignores the colour
    """Leave a word without colour."""
    return word


def printable(text: str) -> str:
    """Return `text` with everything but printable ASCII escaped, and cut when it is very long.

    A name with a terminal escape, a line break or a look-alike letter is shown as what it is.
    """
    shown = text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= _MAX_VALUE else f"{shown[:_MAX_VALUE]}... ({len(text)} characters)"


def render_verdicts(
    verdicts: Sequence[Verdict], *, explain: bool = False, quiet: bool = False, style: Style = plain
) -> str:
    """Render verdicts, a paragraph each, and a summary when there are several.

    When `quiet`, verified ones are counted only, and nothing is said of a single one.
    """
    lines: list[str] = []
    alone = len(verdicts) == 1
    shown = [verdict for verdict in verdicts if not (quiet and verdict.outcome is Outcome.VERIFIED)]
    if quiet and not shown and alone:
        return ""
    for verdict in shown:
        lines.extend(_verdict(verdict, style, in_full=alone or explain))
        if explain:
            lines.extend(_explanation(verdict))
    if not quiet:
        lines.extend(dict.fromkeys(limit for verdict in verdicts for limit in _limits(verdict)))
    bases = dict.fromkeys(line for verdict in verdicts for line in _basis(verdict.basis))
    lines.extend(bases)
    if len(verdicts) > 1:
        counts = Counter(verdict.outcome for verdict in verdicts)
        said = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])
        lines.append(f"{len(verdicts)} bottles: {said}")
        if weakest := _weakest(verdicts):
            lines.append(f"weakest link: {weakest}")
    return "\n".join(lines) + "\n"


def _weakest(verdicts: Sequence[Verdict]) -> str | None:
    """Name the first of the worst verdicts; None when all are verified."""
    worst = min(verdicts, key=lambda verdict: _BY_GRAVITY.index(verdict.outcome))
    if worst.outcome is Outcome.VERIFIED:
        return None
    needed = f", needed by {printable(worst.question.needed_by)}" if worst.question.needed_by else ""
    return f"{printable(worst.question.label)}, {worst.outcome.value}{needed}"


def render_examination(assessments: Sequence[Assessment]) -> str:
    """Render what `inspect` saw; says that it is no verdict."""
    lines = ["No verdict: inspect shows what a bundle says, and judges neither signer nor artifact.", ""]
    for assessment in assessments:
        lines.append(printable(assessment.source))
        lines.extend(_steps(explain_assessment(assessment)))
    return "\n".join(lines) + "\n"


def _verdict(verdict: Verdict, style: Style, *, in_full: bool) -> Iterator[str]:
    outcome = verdict.outcome
    word = style(outcome.value.ljust(_WIDTH), _COLOURS[outcome])
    needed = f", needed by {printable(verdict.question.needed_by)}" if verdict.question.needed_by else ""
    yield f"{word}  {printable(verdict.question.label)}{needed}"
    best = verdict.best
    if outcome is Outcome.VERIFIED and best is not None and best.evidence is not None:
        yield from _accepted(best, best.evidence, in_full=in_full)
        failed = [other for other in verdict.assessments if not other.accepted]
        if failed:
            codes = ", ".join(sorted({finding.code for other in failed for finding in other.faults}))
            yield _line("also", f"{len(failed)} other attestation(s) do not count: {codes}")
    elif outcome is Outcome.UNATTESTED and not verdict.assessments:
        yield _line("no attestation", f"for {verdict.question.digests[0]} in {verdict.basis.store}")
    findings = list(verdict.findings)
    if outcome is not Outcome.VERIFIED and best is not None:
        if len(verdict.assessments) > 1:
            yield _line("nearest", f"{best.source}, of {len(verdict.assessments)} attestations")
        findings.extend(best.faults)
    yield from _findings(findings)


_GIVES = {
    Gives.BUILD_PROVENANCE: "build provenance exists and matches",
    Gives.NOTARISATION: "notarised, not build provenance",
    Gives.VERIFICATION_SUMMARY: "verified by somebody else, whose word is taken for it",
}


def _accepted(best: Assessment, evidence: Evidence, *, in_full: bool) -> Iterator[str]:
    claims = evidence.claims
    gives = best.signer.gives if best.signer is not None else Gives.BUILD_PROVENANCE
    yield _line("", _GIVES[gives])
    yield _line("signer", f"{claims.identity}")
    if not in_full:
        return
    if best.subject is not None:
        yield _line("subject", best.subject.name)
    yield _line("source", f"{claims.source_repository_uri} at {claims.source_repository_ref}")
    yield _line("commit", f"{claims.source_repository_digest}")
    yield _line("run", f"{claims.run_invocation_uri} ({claims.build_trigger}, {claims.runner_environment})")
    for verified in evidence.times:
        yield _line(
            "signed",
            f"{verified.time:%Y-%m-%d %H:%M:%S} UTC, by the {verified.source.value.replace('-', ' ')}",
        )
    if (entry := evidence.log_entry) is not None:
        yield _line("log entry", f"{entry.index} in log {entry.log_id[:16]}")
    if best.build is not None:
        yield from _built(best, best.build, f"{claims.source_repository_uri}")


def _built(best: Assessment, build: BottleBuild, repository: str) -> Iterator[str]:
    """Say what was built, by what, where; and what the formula was held against."""
    runner = build.runner
    image = f", image {runner.image.os} {runner.image.version}" if runner.image is not None else ""
    formula = f"{repository}/blob/{build.formula_commit}/{build.formula_path}"
    yield _line("built from", f"{formula} ({build.parameters.ref})")
    yield _line("built by", build.builder)
    yield _line("built in", build.invocation)
    yield _line("built on", f"{runner.name} ({runner.os} {runner.arch}, {runner.environment}{image})")
    for note in best.notes:
        if note.code not in LIMITS and note.code != "builder-bound":
            yield _line("formula" if note.code == "formula-bound" else "note", note.detail)


def _limits(verdict: Verdict) -> Iterator[str]:
    if verdict.outcome is Outcome.VERIFIED and verdict.best is not None:
        for note in verdict.best.notes:
            if note.code in LIMITS:
                yield f"not proved: {note.reason.means}"


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    faults = [finding for finding in findings if finding.is_fault]
    for finding in findings:
        if finding in faults:
            yield _line(finding.code, f"{finding.reason.means.removesuffix('.')}: {finding.detail}")
        else:
            yield _line("note", finding.detail)
    for advice in dict.fromkeys(finding.reason.advice for finding in faults):
        yield _line("next", advice)


def _basis(basis: Basis) -> Iterator[str]:
    """Name what was not built in: a verdict never hides that it rests on something else."""
    for root in basis.trusted_roots:
        if not root.built_in:
            yield f"trusted root: {printable(root.name)} (sha256 {root.sha256[:16]}), not the built-in one"
    if basis.policy.origin is not PolicyOrigin.BUILT_IN:
        yield f"policy: {printable(basis.policy.name)}, {_ORIGINS[basis.policy.origin]}"
    yield f"attestations: {printable(basis.store)}"
    if basis.metadata is not None:
        yield f"formulae: {printable(basis.metadata)}"


_ORIGINS: Final = {
    PolicyOrigin.DERIVED: "from the tap's name",
    PolicyOrigin.OPTIONS: "from the command line",
    PolicyOrigin.FILE: "from a file",
}


def _explanation(verdict: Verdict) -> Iterator[str]:
    yield from _steps(explain_question(verdict))
    for assessment in verdict.assessments:
        yield f"  {printable(assessment.source)}"
        yield from _steps(explain_assessment(assessment))


def _steps(steps: Sequence[ExplainedStep]) -> Iterator[str]:
    for step in steps:
        yield f"  step {step.step.value}  {step.step.title}: {step.status.value}"
        for sight in step.sights:
            rule = f" (it {sight.rule})" if sight.rule else ""
            yield f"      [{sight.source.value}] {printable(sight.name)} = {printable(sight.value)}{rule}"
        for finding in step.findings:
            yield f"      {finding.code}: {printable(finding.detail)}"


def _line(label: str, text: str) -> str:
    indent = " " * (_WIDTH + 2)
    return f"{indent}{label}: {printable(text)}" if label else f"{indent}{printable(text)}"
