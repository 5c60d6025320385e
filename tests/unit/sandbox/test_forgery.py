from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography.x509 import ExtensionNotFound
from sigstore.errors import Error

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.forgery import FORGERIES, LIES, TAMPERINGS
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.scenario import Forgery, Scenario

Verify = Callable[[VirtualSigstore, bytes], bytes]
VerifyMessage = Callable[[VirtualSigstore, bytes, bytes], None]

OTHER = Scenario(
    sigstore=VirtualSigstore("mine"),
    job=ActionsJob(repository="octo/homebrew-tap", repository_id="12345", owner_id="678", run_attempt="3"),
    at=datetime(2025, 1, 1, tzinfo=UTC),
    artifact=b"bytes",
    name="gcc@12--12.4.0_1.x86_64_linux.bottle.2.tar.gz",
)


def each(forgeries: tuple[Forgery, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("forgery", forgeries, ids=lambda forgery: forgery.name)


in_each_scenario = pytest.mark.parametrize("scenario", [Scenario(), OTHER], ids=["default", "other"])


@each(TAMPERINGS)
@in_each_scenario
def test_sigstore_refuses_what_is_tampered_with(
    verify: Verify, verify_message: VerifyMessage, scenario: Scenario, forgery: Forgery
) -> None:
    bundle = forgery.make(scenario)

    def judge() -> None:
        if forgery.code.startswith("message-"):
            verify_message(scenario.sigstore, bundle, scenario.artifact)
        else:
            verify(scenario.sigstore, bundle)

    # Some of the refusals are no sigstore.errors.Error: a client has to catch those as well.
    with pytest.raises((Error, ValueError, TypeError, ExtensionNotFound)):
        judge()


@each(LIES)
@in_each_scenario
def test_sigstore_accepts_what_is_a_lie(verify: Verify, scenario: Scenario, forgery: Forgery) -> None:
    verify(scenario.sigstore, forgery.make(scenario))


@each(FORGERIES)
def test_forgery_is_not_the_right_bundle(forgery: Forgery) -> None:
    assert forgery.make(Scenario()) != Scenario().good()


@each(FORGERIES)
def test_same_forgery_same_bytes(forgery: Forgery) -> None:
    assert forgery.make(Scenario()) == forgery.make(Scenario())


def test_catalogue() -> None:
    assert len(FORGERIES) >= 200
    assert len({forgery.code for forgery in FORGERIES}) >= 85
    for key in ("name", "what"):
        counts = Counter(getattr(forgery, key) for forgery in FORGERIES)
        assert [value for value, count in counts.items() if count > 1] == []
    for forgery in FORGERIES:
        assert forgery.what.endswith(".")
        assert forgery.what[0].isupper()
