"""The client's job: bottles to verdicts, with one look-up for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from brew_provenance.appraise import BundleVerifier, appraise, decide
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.findings import Finding
from brew_provenance.policy import Policy
from brew_provenance.stores import Answer, Store
from brew_provenance.taps import History
from brew_provenance.targets import Target
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Basis, Outcome, Verdict

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1 import BottleBuild
    from brew_provenance.vsa import Summaries

_Answers = Mapping[Digest, Answer]


@dataclass(frozen=True)
class Trust:
    """What every verdict of a run rests on."""

    verifier: BundleVerifier
    roots: tuple[TrustedRoot, ...]

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What a person should know of the roots."""
        return tuple(finding for root in self.roots for finding in root.findings)


def check_targets(  # noqa: PLR0913 - what a verdict rests on
    targets: Sequence[Target],
    store_for: Callable[[str], Store],
    load_trust: Callable[[], Trust],
    policy_for: Callable[[str], Policy],
    *,
    fresh: bool = False,
    summaries: Summaries | None = None,
) -> list[Verdict]:
    """Return a verdict for each of `targets`, in their order.

    `summaries` are a verifier's, who is believed in place of the evidence.

    There is one look-up for all bottles of a tap. `load_trust` is called while it is under way, as
    loading the cryptography takes about as long. What a store remembers and does not make a bottle
    verified is asked for anew; everything is, when `fresh`.
    """
    examined = [examine_file(target) for target in targets]
    by_tap: dict[str, list[Target]] = {}
    for target in examined:
        by_tap.setdefault(target.tap, []).append(target)
    stores = {tap: store_for(tap) for tap in by_tap}
    with ThreadPoolExecutor(max_workers=len(by_tap) or 1) as pool:
        pending = {
            tap: pool.submit(stores[tap].resolve, _digests_of(of_tap), fresh=fresh)
            for tap, of_tap in by_tap.items()
        }
        trust = load_trust()
        answers = {tap: future.result() for tap, future in pending.items()}
    verdicts = {}
    for tap, of_tap in by_tap.items():
        judge = _Judge(stores[tap].name, policy_for(tap), trust, summaries)
        for target in of_tap:
            verdicts[id(target)] = judge.verdict(target, answers[tap])
        again = [target for target in of_tap if _worth_asking_again(verdicts[id(target)], answers[tap])]
        if again:
            anew = stores[tap].resolve(_digests_of(again), fresh=True)
            for target in again:
                verdicts[id(target)] = judge.verdict(target, anew)
    return [verdicts[id(target)] for target in examined]


def examine_file(target: Target) -> Target:
    """Do step 1 and the part of step 8 that needs the bottle itself, where it is at hand."""
    bottle = target.question.bottle
    if target.file is None or bottle is None:
        return target
    from brew_provenance.bottlefile import BottleFileError, examine_bottle  # noqa: PLC0415 - where there is a file

    digest, packed = examine_bottle(target.file, bottle.formula, bottle.version)
    findings = list(target.findings)
    if digest != bottle.digest:
        detail = f"{target.file} has {digest}, the formula gives {bottle.digest}"
        return replace(target, findings=(*findings, Finding("artifact-digest-mismatch", detail)))
    findings.append(Finding("bytes-hashed", f"{target.file} has {digest}"))
    if isinstance(packed, BottleFileError):
        return replace(target, findings=(*findings, Finding(packed.code, str(packed))))
    if target.formula is not None:
        from brew_provenance.formulamatch import compare_with_tap  # noqa: PLC0415 - loads a parser of Ruby

        findings += compare_with_tap(packed.text, target.formula)
    return replace(target, findings=tuple(findings), packed=packed.text)


def bind_target(target: Target, build: BottleBuild) -> list[Finding]:
    """Say whether the formula that a build names describes the bottle, by all that is at hand."""
    from brew_provenance.formulamatch import bind_formula  # noqa: PLC0415 - loads a parser of Ruby

    question, history = target.question, target.history
    if target.file is not None and question.name is not None:
        return bind_file(target.file, question.name, question.digests, build, history)
    version = question.bottle.version if question.bottle is not None else None
    return bind_formula(build, target.formula, version=version, packed=target.packed, history=history)


def bind_file(
    file: Path, name: str, digests: Sequence[Digest], build: BottleBuild, history: History | None = None
) -> list[Finding]:
    """Say whether the formula that a build names is the one in a bottle that no formula describes.

    `name` is the bottle's, and `digests` are what the file is known by. Raises InputError when it cannot
    be read.
    """
    from brew_provenance.bottlefile import BottleFileError, examine_bottle  # noqa: PLC0415 - as above
    from brew_provenance.formulamatch import bind_formula  # noqa: PLC0415 - as above

    bottle = BottleFileName.parse(name, build.parameters.formula)
    digest, packed = examine_bottle(file, bottle.formula, bottle.version)
    if digest not in digests:
        return [Finding("artifact-digest-mismatch", f"{file} has {digest}; it was changed meanwhile")]
    if isinstance(packed, BottleFileError):
        return [Finding(packed.code, str(packed))]
    return bind_formula(build, None, version=bottle.version, packed=packed.text, history=history)


@dataclass(frozen=True)
class _Judge:
    store: str
    policy: Policy
    trust: Trust
    summaries: Summaries | None

    def verdict(self, target: Target, answers: _Answers) -> Verdict:
        answer = answers[target.question.digests[0]]
        basis = Basis(self.trust.roots, self.policy, self.store, target.metadata)
        if self.summaries is not None:
            from brew_provenance.vsa import last_word  # noqa: PLC0415 - where there are summaries

            summarised = last_word(self.summaries.assess(target.question, self.trust.verifier))
            if summarised:
                # Taken in place of the evidence, so that it matters neither what there is nor where.
                return decide(target.question, summarised, basis, (*target.findings, *self.trust.notes))
        findings = (*target.findings, *answer.findings, *self.trust.notes)
        return appraise(
            target.question,
            answer.candidates,
            self.trust.verifier,
            basis,
            findings,
            bind=partial(bind_target, target),
        )


def _digests_of(targets: Sequence[Target]) -> list[Digest]:
    return list(dict.fromkeys(target.question.digests[0] for target in targets))


def _worth_asking_again(verdict: Verdict, answers: _Answers) -> bool:
    remembered = answers[verdict.question.digests[0]].remembered
    return remembered and verdict.outcome is not Outcome.VERIFIED
