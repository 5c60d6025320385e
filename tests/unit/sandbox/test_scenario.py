from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.wire import encode_json

Verify = Callable[[VirtualSigstore, bytes], bytes]


def test_good_bundles_are_accepted(verify: Verify, scenario: Scenario) -> None:
    signer = scenario.signer()
    envelope = scenario.envelope(signer)
    for bundle in (
        scenario.good(),
        encode_json(scenario.bundle_v2()),
        scenario.log(envelope, signer),
        scenario.log_v2(envelope, signer),
    ):
        statement = json.loads(verify(scenario.sigstore, bundle))
        assert statement["subject"] == [{"name": scenario.name, "digest": {"sha256": scenario.digest}}]
        assert statement["predicate"] == scenario.job.provenance()


def test_scenario_of_another_bottle(verify: Verify) -> None:
    scenario = Scenario(
        sigstore=VirtualSigstore("mine"),
        job=ActionsJob(repository="o/r", repository_id="1", owner_id="2"),
        at=datetime(2025, 1, 1, tzinfo=UTC),
        artifact=b"bytes",
        name="a--1_2.all.bottle.3.tar.gz",
    )
    statement = json.loads(verify(scenario.sigstore, scenario.good()))
    assert statement == scenario.statement()


def test_same_scenario_same_bytes() -> None:
    assert Scenario().good() == Scenario().good()
