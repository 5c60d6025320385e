"""A log whose key the root trusts no more, or not yet, says nothing of what it took in then."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.sandbox.instance import LogVersion
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.trust import TrustedRoot
from brew_provenance.verify import Verifier

Json = dict[str, Any]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario()


def verified(scenario: Scenario, log: LogVersion, period: Json) -> Evidence | Finding:
    """Verify a good bundle under a root that trusts its logs for a period."""
    root: Any = copy.deepcopy(json.loads(encode_json(scenario.sigstore.trusted_root())))
    for known in root["tlogs"]:
        known["publicKey"]["validFor"] = period
    raw = encode_json(scenario.sigstore.attest(scenario.statement(), scenario.job, at=scenario.at, log=log))
    bundle = read_bundle(raw)
    assert isinstance(bundle, Bundle)
    trusted = TrustedRoot("root.json", encode_json(root), built_in=False)
    return Verifier([trusted]).verify(bundle, [])


@pytest.mark.parametrize(
    ("log", "code"), [("rekor-v1", "log-promise-invalid"), ("rekor-v2", "log-checkpoint-log-unknown")]
)
@pytest.mark.parametrize(
    "period",
    [
        {"start": "2022-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
        {"start": "2026-04-01T00:00:00Z"},
    ],
)
def test_an_entry_from_outside_of_its_period_is_refused(
    scenario: Scenario, log: LogVersion, code: str, period: Json
) -> None:
    found = verified(scenario, log, period)
    assert isinstance(found, Finding)
    assert found.code == code


@pytest.mark.parametrize("log", ["rekor-v1", "rekor-v2"])
def test_an_entry_from_within_is_accepted(scenario: Scenario, log: LogVersion) -> None:
    period = {"start": "2022-01-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}
    assert isinstance(verified(scenario, log, period), Evidence)
