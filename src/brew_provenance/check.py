"""The client's job: bottles to verdicts, with one look-up for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from brew_provenance.appraise import BundleVerifier, appraise
from brew_provenance.bottle import Bottle, BottleTag
from brew_provenance.errors import NothingMatchedError
from brew_provenance.findings import Finding
from brew_provenance.formula import Formula
from brew_provenance.host import choose_tag
from brew_provenance.policy import Policy
from brew_provenance.stores import Store
from brew_provenance.subject import Question
from brew_provenance.taps import Tap
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Basis, Verdict


def find_bottles(tap: Tap, names: Sequence[str], tag: BottleTag | None) -> list[Bottle]:
    """Return the bottles of the formulae `names` that brew would pour on `tag`; all when it is None.

    Names are full, `user/repo/name`. Raises NothingMatchedError for an unknown formula, one without
    bottles, or one without a bottle for the tag.
    """
    found: list[Bottle] = []
    for name in dict.fromkeys(names):
        found.extend(_bottles_of(tap.formula(name), tag))
    return found


def _bottles_of(formula: Formula, tag: BottleTag | None) -> Sequence[Bottle]:
    if not formula.bottles:
        raise NothingMatchedError(
            formula.full_name, "the formula has no bottles", "there is nothing to check: brew builds it here"
        )
    if tag is None:
        return formula.bottles
    declared = [bottle.tag for bottle in formula.bottles]
    choice = choose_tag(declared, tag)
    if choice is None:
        raise NothingMatchedError(
            formula.full_name, f"no bottle for {tag}", f"choose one with --tag: {', '.join(declared)}"
        )
    return [bottle for bottle in formula.bottles if bottle.tag == choice.tag]


def check_bottles(  # noqa: PLR0913 - the parts of a basis, given once for all bottles
    bottles: Sequence[Bottle],
    store: Store,
    verifier: BundleVerifier,
    *,
    policy_for: Callable[[str], Policy],
    roots: Sequence[TrustedRoot],
    metadata: str,
    notes: Sequence[Finding] = (),
) -> list[Verdict]:
    """Return a verdict for each of `bottles`, in their order, after one look-up for all of them."""
    answers = store.resolve(list(dict.fromkeys(bottle.digest for bottle in bottles)))
    verdicts = []
    for bottle in bottles:
        answer = answers[bottle.digest]
        basis = Basis(tuple(roots), policy_for(bottle.tap), store.name, metadata)
        question = Question(
            f"{bottle.formula} {bottle.version} ({bottle.tag})", (bottle.digest,), bottle=bottle
        )
        verdicts.append(appraise(question, answer.candidates, verifier, basis, (*answer.findings, *notes)))
    return verdicts
