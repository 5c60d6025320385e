"""A scenario of the virtual Sigstore, and the verifying side of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from brew_provenance.appraise import Candidate, appraise
from brew_provenance.bottle import Bottle, BottleFileName, Digest, hash_stream
from brew_provenance.bundle import read_bundle
from brew_provenance.policy import Policy, PolicyOrigin, Signer
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Basis, Verdict
from brew_provenance.verify import Verifier


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    return Scenario()


def roots_of(scenario: Scenario) -> tuple[TrustedRoot, TrustedRoot]:
    """The root of the instance with logs, and that of the instance without."""
    instances = {"virtual": scenario.sigstore.trusted_root(), "private": scenario.private.trusted_root()}
    first, second = (
        TrustedRoot(name, json.dumps(root).encode(), built_in=False) for name, root in instances.items()
    )
    return first, second


@pytest.fixture(scope="session")
def judge(scenario: Scenario) -> Callable[[bytes], Verdict]:
    """Judge one bundle as the scenario's verifier, which pins everything that can be pinned.

    It trusts both instances, as whoever gives the two roots that `gh attestation trusted-root` prints.
    """
    job = scenario.job
    roots = roots_of(scenario)
    signer = Signer(
        name="publish",
        source_repository=job.repository,
        source_repository_id=job.repository_id,
        source_owner_id=job.owner_id,
        source_refs=("refs/heads/main",),
        workflows=(".github/workflows/publish.yml",),
        runner_environments=("github-hosted",),
        valid_from=datetime(2024, 1, 1, tzinfo=UTC),
        valid_until=datetime(2030, 1, 1, tzinfo=UTC),
    )
    policy = Policy("pinned", PolicyOrigin.FILE, (signer,), "brew-provenance/fixtures")
    name = BottleFileName.parse(scenario.name)
    bottle = Bottle(
        "brew-provenance/fixtures",
        name.formula,
        name.version,
        name.rebuild,
        name.tag,
        Digest("sha256", scenario.digest),
        "https://ghcr.io/v2/brew-provenance/fixtures/hello",
    )
    digests = hash_stream(io.BytesIO(scenario.artifact))
    question = Question("hello", digests, bottle=bottle)
    verifier = Verifier(roots)
    basis = Basis(roots, policy, "test")

    def judge_bundle(raw: bytes) -> Verdict:
        return appraise(question, [Candidate("bundle", read_bundle(raw))], verifier, basis)

    return judge_bundle
