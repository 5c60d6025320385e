"""What we sign is held against sigstore-js, which shares no code with what signs and verifies here."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from tests.interop.sigstorejs import SigstoreJS

from brew_provenance.sandbox.scenario import Scenario

# As `gh attestation verify` sets them for bundles of GitHub's own instance.
UNLOGGED = {"tlogThreshold": 0, "ctlogThreshold": 0, "timestampThreshold": 1}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario()


def test_it_accepts_what_the_sandbox_signs(sigstore_js: SigstoreJS, scenario: Scenario) -> None:
    made = [
        scenario.sigstore.attest(scenario.statement(), scenario.job, at=scenario.at, timestamps=stamped)
        for stamped in (False, True)
    ]
    answered = sigstore_js.verify(
        scenario.sigstore.trusted_root(), made, identity=scenario.job.signer_uri, issuer=scenario.job.issuer
    )
    assert answered == [None, None]


def test_it_accepts_the_older_kinds_that_the_sandbox_signs(
    sigstore_js: SigstoreJS, scenario: Scenario
) -> None:
    made = [scenario.bundle_intoto(), scenario.bundle_promised()]
    answered = sigstore_js.verify(
        scenario.sigstore.trusted_root(), made, identity=scenario.job.signer_uri, issuer=scenario.job.issuer
    )
    assert answered == [None, None]


def test_it_does_not_take_the_bundles_of_an_instance_without_a_log_for_logged_ones(
    sigstore_js: SigstoreJS, scenario: Scenario
) -> None:
    """Its verifier asks for log entries unless it is told otherwise, whatever the root is."""
    private, job = scenario.bundle_private(), scenario.job
    for root in (scenario.sigstore.trusted_root(), scenario.private.trusted_root()):
        assert sigstore_js.verify(root, [private], identity=job.signer_uri, issuer=job.issuer) != [None]
    told = sigstore_js.verify(
        scenario.private.trusted_root(),
        [private],
        identity=job.signer_uri,
        issuer=job.issuer,
        thresholds=UNLOGGED,
    )
    assert told == [None]


def test_it_refuses_what_was_altered(sigstore_js: SigstoreJS, scenario: Scenario) -> None:
    good: Any = scenario.sigstore.attest(scenario.statement(), scenario.job, at=scenario.at)
    other, unlogged = copy.deepcopy(good), copy.deepcopy(good)
    other["dsseEnvelope"]["payload"] = base64.b64encode(b"{}").decode()
    unlogged["verificationMaterial"]["tlogEntries"] = []
    answered = sigstore_js.verify(
        scenario.sigstore.trusted_root(),
        [other, unlogged],
        identity=scenario.job.signer_uri,
        issuer=scenario.job.issuer,
    )
    assert all(answered)


def test_it_refuses_another_signer_and_another_root(sigstore_js: SigstoreJS, scenario: Scenario) -> None:
    good = scenario.sigstore.attest(scenario.statement(), scenario.job, at=scenario.at)
    known: Any = {"identity": scenario.job.signer_uri, "issuer": scenario.job.issuer}
    stranger = scenario.other.trusted_root()
    assert sigstore_js.verify(stranger, [good], **known) != [None]
    assert sigstore_js.verify(
        scenario.sigstore.trusted_root(), [good], **known | {"identity": f"{scenario.job.signer_uri}x"}
    ) != [None]
