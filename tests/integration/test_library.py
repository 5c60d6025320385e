"""What the page of the library promises: a verdict by the public names alone."""

from __future__ import annotations

import pkgutil
from types import ModuleType

from tests.integration.conftest import Files

import brew_provenance
from brew_provenance import (
    Basis,
    BottleFileName,
    Candidate,
    Digest,
    Outcome,
    Question,
    Verifier,
    judge,
    policy_for_tap,
    read_bundles,
    read_trusted_roots,
)
from brew_provenance.sandbox.scenario import Scenario


def test_a_bottle_is_judged_by_the_public_names_alone(files: Files, scenario: Scenario) -> None:
    name = BottleFileName.parse(scenario.name)
    policy = policy_for_tap("brew-provenance/fixtures")
    roots = read_trusted_roots(files.root)
    bundles = read_bundles(files.bundle.read_bytes())
    candidates = [Candidate(f"bundle {number}", bundle) for number, bundle in enumerate(bundles, 1)]
    basis = Basis(tuple(roots), policy, "a file")

    for digest, outcome in (
        (Digest("sha256", scenario.digest), Outcome.VERIFIED),
        (Digest("sha256", "0" * 64), Outcome.REJECTED),
    ):
        question = Question(str(name), (digest,), name=str(name), tap=policy.tap)
        assert judge(question, candidates, Verifier(roots), basis).outcome is outcome
    question = Question(str(name), (digest,), name=str(name), tap=policy.tap)
    assert judge(question, [], Verifier(roots), basis).outcome is Outcome.UNATTESTED


def test_what_is_promised_stays_what_it_is_when_all_modules_are_loaded() -> None:
    for module in pkgutil.iter_modules(brew_provenance.__path__):
        assert module.name not in brew_provenance.__all__
    for name in brew_provenance.__all__:
        assert not isinstance(getattr(brew_provenance, name), ModuleType)
