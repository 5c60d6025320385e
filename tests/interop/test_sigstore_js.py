"""What we sign is held against sigstore-js, which shares no code with what signs and verifies here."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from tests.interop.sigstorejs import SigstoreJS

from brew_provenance.sandbox.scenario import Scenario


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
    known = {"identity": scenario.job.signer_uri, "issuer": scenario.job.issuer}
    stranger = scenario.other.trusted_root()
    assert sigstore_js.verify(stranger, [good], **known) != [None]
    assert sigstore_js.verify(
        scenario.sigstore.trusted_root(), [good], **known | {"identity": f"{scenario.job.signer_uri}x"}
    ) != [None]
