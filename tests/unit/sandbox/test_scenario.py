from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.scenario import BottleName, Scenario
from brew_provenance.sandbox.wire import encode_json

Verify = Callable[[VirtualSigstore, bytes], bytes]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hello--2.12.1.arm64_sonoma.bottle.tar.gz", BottleName("hello", "2.12.1", "arm64_sonoma")),
        ("a--1_2.all.bottle.3.tar.gz", BottleName("a", "1_2", "all", "3")),
        ("gcc@12--12.4.0.x86_64_linux.bottle.tar.gz", BottleName("gcc@12", "12.4.0", "x86_64_linux")),
    ],
)
def test_bottle_name(name: str, parts: BottleName) -> None:
    assert BottleName.parse(name) == parts
    assert str(parts) == name


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
