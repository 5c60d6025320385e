"""Well-formed but wrong evidence: each kind rejected, and for its own reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from brew_provenance.findings import REASONS, Severity, Step
from brew_provenance.sandbox.builds import BuildJob
from brew_provenance.sandbox.forgery import FORGERIES, Forgery, Scenario
from brew_provenance.sandbox.wire import JsonObject, encode_json
from brew_provenance.verdict import Outcome, Verdict

# Rejections that no forged bundle for one bottle can show, and where they are shown instead.
SHOWN_ELSEWHERE = {
    "subject-name-mismatch": "a bottle's name is told apart by its parts",
    "timestamp-authority-unknown": "the trusted root would have to lack one",
    "subject-other-url": "only the backfill names its subjects by URL",
    "build-type-not-allowed": "the policy would have to demand one",
    "builder-environment-not-allowed": "the policy would have to refuse one",
    "vsa-other-verifier": "a summary counts only where its verifier is named",
    "vsa-other-resource": "as above",
    "vsa-failed": "as above",
    "verification-failed": "the catch-all; a forgery that meets it lacks a code",
    "verification-crashed": "the catch-all; a forgery that meets it lacks a code",
}


@pytest.mark.parametrize(
    ("make", "notes"),
    [
        (Scenario.bundle, []),
        (Scenario.bundle_v2, []),
        (Scenario.bundle_private, ["not-in-a-log"]),
        (Scenario.bundle_intoto, []),
        (Scenario.bundle_promised, ["log-promise-only"]),
    ],
)
def test_right_bundle_is_accepted(
    make: Callable[[Scenario], JsonObject],
    notes: list[str],
    scenario: Scenario,
    judge: Callable[[bytes], Verdict],
) -> None:
    verdict = judge(encode_json(make(scenario)))

    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.best is not None
    assert [note.code for note in verdict.best.notes] == [*notes, "builder-not-bound", "formula-not-bound"]


def test_a_right_attestation_of_the_build_is_accepted(
    scenario: Scenario, judge: Callable[[bytes], Verdict]
) -> None:
    statement = {**scenario.statement(), "predicate": BuildJob(scenario.job, scenario.bottle).predicate()}
    bundle = scenario.sigstore.attest(statement, scenario.job, at=scenario.at)
    verdict = judge(encode_json(bundle))

    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.best is not None
    assert [note.code for note in verdict.best.notes] == ["builder-bound", "formula-not-compared"]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_forgery_is_rejected_for_its_own_reason(
    forgery: Forgery, scenario: Scenario, judge: Callable[[bytes], Verdict]
) -> None:
    verdict = judge(forgery.make(scenario))

    assert verdict.outcome is Outcome.REJECTED
    assert verdict.best is not None
    codes = [finding.code for finding in verdict.best.faults]
    assert codes[0] == forgery.code, verdict.best.faults


def test_there_are_at_least_sixty_kinds_with_as_many_reasons() -> None:
    assert len({forgery.name for forgery in FORGERIES}) == len(FORGERIES) >= 60
    assert len({forgery.code for forgery in FORGERIES}) >= 60


def test_every_reason_to_reject_a_bundle_has_a_forgery() -> None:
    # Steps 1 and 8 are about the bottle, and have their tests where bottles are. Build records come
    # before any bundle, and theirs are in `test_corroborate`.
    elsewhere = {Step.BYTES, Step.FORMULA, Step.RECORD}
    of_bundles = {reason for reason in REASONS.values() if reason.step not in elsewhere}
    rejections = {reason.code for reason in of_bundles if reason.severity is Severity.REJECT}

    assert rejections - {forgery.code for forgery in FORGERIES} - set(SHOWN_ELSEWHERE) == set()
