"""Every kind of attack has forgeries, and what is no JSON of one meaning is never read at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.adversarial.attacks import ATTACKS, UNREADABLE

from brew_provenance.findings import MAX_DETAIL
from brew_provenance.sandbox.forgery import FORGERIES, Scenario
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.verdict import Outcome, Verdict

CATALOGUE = {forgery.name: forgery for forgery in FORGERIES}


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_kind_of_attack_has_forgeries_of_its_own(attack: str) -> None:
    names = ATTACKS[attack]

    assert len(names) == len(set(names)) >= 2
    assert set(names) <= set(CATALOGUE)
    others = {name for other, names in ATTACKS.items() if other != attack for name in names}
    assert not others & set(names)


def test_every_splice_is_among_the_attacks() -> None:
    splices = {name for name in CATALOGUE if name.startswith("splice-")}

    assert splices == set(ATTACKS["splices between good bundles"])


@pytest.mark.parametrize("how", UNREADABLE)
def test_what_is_no_json_of_one_meaning_is_not_judged_and_never_verified(
    how: str, scenario: Scenario, judge: Callable[[bytes], Verdict]
) -> None:
    right = scenario.good()
    assert judge(right).outcome is Outcome.VERIFIED

    verdict = judge(UNREADABLE[how](right))

    assert verdict.outcome is Outcome.UNRESOLVED
    assert [finding.code for finding in verdict.faults] == ["bundle-unreadable"]


@pytest.mark.parametrize("name", ATTACKS["megabyte fields"])
def test_no_megabyte_of_a_signers_is_repeated(
    name: str, scenario: Scenario, judge: Callable[[bytes], Verdict]
) -> None:
    verdict = judge(CATALOGUE[name].make(scenario))

    assert verdict.faults
    assert all(len(finding.detail) < MAX_DETAIL + 100 for finding in verdict.faults)


def test_the_last_of_a_thousand_subjects_is_found(
    scenario: Scenario, judge: Callable[[bytes], Verdict]
) -> None:
    statement = scenario.statement()
    (right,) = statement["subject"]
    others = [{"name": f"other-{number}", "digest": {"sha256": f"{number:064x}"}} for number in range(1023)]
    bundle = scenario.sigstore.attest(
        {**statement, "subject": [*others, right]}, scenario.job, at=scenario.at
    )

    assert judge(encode_json(bundle)).outcome is Outcome.VERIFIED
