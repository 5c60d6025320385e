"""Build provenance for Homebrew bottles: from bundle bytes to a verdict.

The names below are the ones that we promise. They are loaded when they are first used, so that a
command that needs no cryptography does not wait for it.

    roots = [public_good_root(folder, offline=False, now=datetime.now(UTC))]
    policy = policy_for_tap("homebrew/core")
    candidates = [Candidate("a file", bundle) for bundle in read_bundles(raw)]
    question = Question(name, (Digest.parse("sha256:…"),), name=name, tap=policy.tap)
    verdict = judge(question, candidates, Verifier(roots), Basis(tuple(roots), policy, "a file"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brew_provenance.appraise import Candidate
    from brew_provenance.appraise import appraise as judge
    from brew_provenance.bottle import Bottle, BottleFileName, BottleTag, Digest
    from brew_provenance.bundle import read_bundles
    from brew_provenance.errors import ProvenanceError
    from brew_provenance.evidence import Evidence
    from brew_provenance.findings import REASONS, Finding
    from brew_provenance.policy import Policy, policy_for_tap, read_policy
    from brew_provenance.subject import Question
    from brew_provenance.trust import TrustedRoot, public_good_root, read_trusted_roots
    from brew_provenance.verdict import Basis, Outcome, Verdict
    from brew_provenance.verify import Verifier

__version__ = "0.1.0"

_HOMES = {
    "appraise": ("Candidate",),
    "bottle": ("Bottle", "BottleFileName", "BottleTag", "Digest"),
    "bundle": ("read_bundles",),
    "errors": ("ProvenanceError",),
    "evidence": ("Evidence",),
    "findings": ("REASONS", "Finding"),
    "policy": ("Policy", "policy_for_tap", "read_policy"),
    "subject": ("Question",),
    "trust": ("TrustedRoot", "public_good_root", "read_trusted_roots"),
    "verdict": ("Basis", "Outcome", "Verdict"),
    "verify": ("Verifier",),
}
_HOME_OF = {name: (module, name) for module, names in _HOMES.items() for name in names}
# A name that is a module's too would be the module, once that is loaded.
_HOME_OF["judge"] = ("appraise", "appraise")

__all__ = [
    "REASONS",
    "Basis",
    "Bottle",
    "BottleFileName",
    "BottleTag",
    "Candidate",
    "Digest",
    "Evidence",
    "Finding",
    "Outcome",
    "Policy",
    "ProvenanceError",
    "Question",
    "TrustedRoot",
    "Verdict",
    "Verifier",
    "judge",
    "policy_for_tap",
    "public_good_root",
    "read_bundles",
    "read_policy",
    "read_trusted_roots",
]


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        module, attribute = _HOME_OF[name]
        return getattr(import_module(f"brew_provenance.{module}"), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
