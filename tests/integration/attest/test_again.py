"""Which attestations make another one superfluous, and what is told when something is left over."""

from __future__ import annotations

import json

import pytest
from tests.integration.attest.conftest import Attest
from tests.integration.attest.releases import HELLO2, REPOSITORY, Release, record_of
from tests.integration.attest.test_command import check_json
from tests.integration.conftest import Run

POSTS = f"/repos/{REPOSITORY}/attestations"
NO_RECORD = ["builder-not-bound", "formula-not-bound"]


def test_one_without_the_build_does_not_stand_in_for_one_with_it(attest: Attest, release: Release) -> None:
    release.take(HELLO2[0])
    attest("--without-records")
    before = release.entries
    # The bundle of this name may be all that there is of the other attestation.
    result = attest(code=6)
    assert "publish it with `attest --resume`, or remove it" in result.err
    assert release.entries == before
    (release.bundles / f"{HELLO2[0]}.sigstore.json").unlink()
    attest()
    assert release.stored() == [HELLO2[0]] * 2
    # But one that says more does.
    (release.bundles / f"{HELLO2[0]}.sigstore.json").unlink()
    attest("--without-records")
    assert release.stored() == [HELLO2[0]] * 2
    assert release.entries - before == 1


def test_bottles_without_records_share_one_attestation(attest: Attest, release: Release) -> None:
    release.take(*HELLO2, records=False)
    before = release.entries
    document = check_json(attest("--without-records", "--format", "json").out)
    assert [each["notProved"] for each in document["attestations"]] == [NO_RECORD, NO_RECORD]
    assert release.entries - before == 1
    assert release.world.requests["github"].count("POST", POSTS) == 1
    [path] = release.bundles.glob("*.sigstore.json")
    assert path.name.startswith("bottles-")
    attest(resume=True)
    attest("--without-records")
    assert release.world.requests["github"].count("POST", POSTS) == 1


def test_bottles_may_be_without_records_beside_others_where_that_is_allowed(
    attest: Attest, release: Release
) -> None:
    release.take(*HELLO2)
    (release.folder / record_of(HELLO2[1])).unlink()
    before = release.entries
    assert "see --allow-unrecorded" in attest(code=6).err
    assert release.entries == before

    result = attest("--allow-unrecorded", "--format", "json")

    assert f"{HELLO2[1]} has no record: neither builder nor formula are attested" in result.err
    proved = {each["bottle"]: each["notProved"] for each in check_json(result.out)["attestations"]}
    assert proved == {HELLO2[0]: [], HELLO2[1]: NO_RECORD}


@pytest.mark.parametrize("fault", ["publishing=403", "ca=401"])
def test_a_failed_run_says_in_json_what_is_left(attest: Attest, release: Release, fault: str) -> None:
    release.take(*HELLO2)
    release.world.bad_day(fault)
    document = check_json(attest("--format", "json", code=6).out)
    assert not document["complete"]
    assert document["attestations"] == []
    left = "notPublished" if fault.startswith("publishing") else "notSigned"
    assert document[left] == sorted(HELLO2)
    [failure] = document["failures"]
    assert failure["nextStep"]


def test_a_contradicted_record_has_its_reason_codes_in_json(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)

    def lie(record: dict[str, dict[str, str]]) -> None:
        record["run"]["event_name"] = "push"
        record["runner"]["name"] = "another"

    release.edit(HELLO2[1], lie)
    document = check_json(attest("--format", "json", code=6).out)
    [failure] = document["failures"]
    assert failure["thing"] == HELLO2[1]
    assert failure["codes"] == ["record-event-mismatch"]
    assert sorted(document["notSigned"]) == sorted(HELLO2)


def test_a_repository_that_only_a_record_names_is_never_asked_for(attest: Attest, release: Release) -> None:
    release.take(HELLO2[0])

    def lie(record: dict[str, dict[str, str]]) -> None:
        record["run"]["repository"] = "evil/homebrew-fixtures"
        record["tap"]["remote"] = "https://github.com/evil/homebrew-fixtures"

    release.edit(HELLO2[0], lie)
    assert "record-other-repository" in attest(code=6).err
    assert not [found for found in release.world.requests["github"].records if "evil" in found.path]


def test_a_trust_configuration_brings_its_own_root(run: Run, release: Release) -> None:
    release.take(HELLO2[0])
    arguments = release.arguments
    at = arguments.index("--trusted-root")
    result = run(*arguments[:at], *arguments[at + 2 :], "--format", "json")
    assert result.code == 0, result.err
    [root] = check_json(result.out)["basis"]["trustedRoots"]
    assert (root["name"], root["builtIn"]) == (release.environment["SANDBOX_TRUST_CONFIG"], False)


def test_a_record_whose_bottle_is_not_here_is_told(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    (release.folder / HELLO2[1]).unlink()
    result = attest()
    assert f"note: {record_of(HELLO2[1])} is of a bottle that is not here" in result.err
    assert release.stored() == [HELLO2[0]]


def test_an_output_cannot_be_made_to_go_on_as_another(attest: Attest, run: Run, release: Release) -> None:
    release.take(HELLO2[0])
    folder = release.bundles.with_name("b\nsigned=7")
    result = run(*release.arguments[:-1], folder)
    assert result.code == 0, result.err
    written = (release.world.folder / "output").read_text(encoding="utf-8")
    name, _, end = next(line for line in written.splitlines() if line.startswith("bundle-path")).partition(
        "<<"
    )
    value = written.split(f"{name}<<{end}\n")[1].split(f"\n{end}\n")[0]
    assert value == str(folder)
    assert json.dumps(value).count("\\n") == 1
