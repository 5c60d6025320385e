"""`brew-provenance attest`, run as a publishing job runs it: the whole round, and what can be left out."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.integration.attest.conftest import Attest
from tests.integration.attest.releases import (
    ALL,
    FIXTURES,
    HELLO2,
    REPOSITORY,
    TAP,
    Release,
    findings,
    payload,
    record_of,
)
from tests.integration.conftest import Result, Run
from tests.integration.test_gh_command import brews_check

from brew_provenance.bottle import ALL_TAG, Bottle, BottleFileName, Digest
from brew_provenance.sandbox.github.attestations import Visibility

NAMES = sorted(path.name for path in (FIXTURES / "bottles").iterdir())
FORMULAE = ("farewell", "hello", "hello@2", "hello+plus", "salutations", "greeter")
MERGED = tuple(f"salutations--4.2.{tag}.bottle.tar.gz" for tag in ("arm64_sonoma", "x86_64_linux"))


def outputs(release: Release) -> dict[str, str]:
    """Return what the step's outputs are."""
    text = Path(release.environment["GITHUB_OUTPUT"]).read_text(encoding="utf-8")
    found = re.findall(r"^([a-z-]+)<<(\S+)\n(.*)\n\2$", text, re.MULTILINE)
    return {name: value for name, _, value in found}


def summary(release: Release) -> str:
    return Path(release.environment["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")


# The whole round.


def test_every_bottle_is_verified_with_its_formula_commit_and_its_builder(
    run: Run, attest: Attest, release: Release
) -> None:
    release.take()
    before = release.entries
    result = attest()
    assert release.stored() == NAMES
    assert release.entries - before == len(NAMES)
    assert all(name in result.out for name in NAMES)
    found = findings(run, release, *FORMULAE)
    assert len(found) == len(NAMES)
    for outcome, codes in found:
        assert outcome == "verified"
        assert {"formula-bound", "builder-bound", "formula-content-matches"} <= codes


def test_one_certificate_serves_all_bottles(attest: Attest, release: Release) -> None:
    release.take()
    attest()
    assert release.world.requests["ca"].count("POST") == 1
    assert release.world.requests["oidc"].count() == 1


def test_a_second_run_signs_nothing_and_publishes_nothing(attest: Attest, release: Release) -> None:
    release.take()
    attest()
    before = release.entries
    for arguments in ({}, {"resume": True}):
        release.world.requests["github"].clear()
        attest(**arguments)
        assert release.entries == before
        assert release.world.requests["github"].count("POST", f"/repos/{REPOSITORY}/attestations") == 0
    # Nor where the folder of bundles is another one, as on another runner.
    shutil.rmtree(release.bundles)
    attest()
    assert (release.entries, release.stored()) == (before, NAMES)
    assert outputs(release)["signed"] == "0"


def test_the_outputs_of_the_step_tell_what_was_done(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    attest()
    found = outputs(release)
    assert len(found["attestation-ids"].split(",")) == 2
    assert found["bundle-path"] == str(release.bundles)
    assert (found["signed"], found["published"], found["skipped"]) == ("2", "2", "0")


def test_the_summary_of_the_job_leads_to_the_run_and_the_formula(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    attest()
    text = summary(release)
    for name in HELLO2:
        [row] = [line for line in text.splitlines() if name in line]
        assert release.ground.head[:12] in row
        assert f"](https://github.com/{REPOSITORY}/actions/runs/" in row
        assert f"/blob/{release.ground.head}/Formula/h/hello@2.rb)" in row
    # The log is one that nobody but this instance knows, and so no link leads to it.
    assert "search.sigstore.dev" not in text


def test_outside_of_a_step_there_are_neither_outputs_nor_a_summary(
    attest: Attest, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    release.take(*HELLO2)
    attest()
    assert (outputs(release), summary(release)) == ({}, "")


def test_markdown_is_the_summary(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    result = attest("--format", "markdown")
    assert result.out == summary(release)


def check_json(text: str) -> Any:
    schema = json.loads(
        files("brew_provenance").joinpath("schemas/attest-v1.schema.json").read_text(encoding="utf-8")
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(text)
    jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())
    return document


def test_the_json_keeps_to_its_schema(attest: Attest, release: Release) -> None:
    release.take(*HELLO2, ALL)
    document = check_json(attest("--format", "json").out)
    assert document["complete"]
    assert [each["bottle"] for each in document["attestations"]] == sorted([*HELLO2, ALL])
    for each in document["attestations"]:
        digest = hashlib.sha256((release.folder / each["bottle"]).read_bytes()).hexdigest()
        assert (each["sha256"], each["state"], each["newlySigned"]) == (digest, "published", True)
        assert each["formulaCommit"] == release.ground.head
    again = check_json(attest("--format", "json").out)
    states = {(each["state"], each["newlySigned"]) for each in again["attestations"]}
    assert states == {("there already", False)}


def test_the_summary_of_a_failure_says_what_to_do(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    release.world.bad_day("publishing=500")
    attest(code=6)
    text = summary(release)
    assert "0 of 2 bottles attested" in text
    assert "attest --resume" in text
    assert all(f"| `{name}` | **not published** |" in text for name in HELLO2)
    assert (outputs(release)["signed"], outputs(release)["published"]) == ("2", "0")


def test_brews_own_check_passes(run: Run, attest: Attest, release: Release) -> None:
    release.take("hello--3.0.1.x86_64_linux.bottle.tar.gz", *HELLO2, ALL)
    attest()

    def gh(*arguments: object) -> Result:
        return run("gh", *release.instance, *arguments)

    for path in release.folder.glob("*.tar.gz"):
        name = BottleFileName.parse(path.name)
        digest = Digest("sha256", hashlib.sha256(path.read_bytes()).hexdigest())
        bottle = Bottle(
            TAP, name.formula, name.version, name.rebuild, name.tag, digest, "https://ghcr.io/v2/x"
        )
        found = brews_check(gh, bottle, path, REPOSITORY, path.name)
        statement = found["verificationResult"]["statement"]
        assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
        assert statement["subject"] == [{"name": path.name, "digest": {"sha256": digest.value}}]


# `all` bottles.


@pytest.fixture
def merged(release: Release) -> Release:
    """What `brew bottle --merge` makes of equal bottles: one for all, while their own records stay."""
    source = release.folder / "apart"
    described = json.loads((release.ground.recorded / "salutations--4.2.all.bottle.json").read_bytes())
    for name in MERGED:
        tag = name.split(".")[2]
        source.mkdir(parents=True)
        shutil.copyfile(FIXTURES / "bottles" / ALL, source / name)
        tagged = json.loads(json.dumps(described).replace(f".{ALL_TAG}.", f".{tag}."))
        tags = tagged[f"{TAP}/salutations"]["bottle"]["tags"]
        tags[tag] = tags.pop(ALL_TAG)
        (source / f"salutations--4.2.{tag}.bottle.json").write_text(json.dumps(tagged), encoding="utf-8")
        release.ground.record(source, RUNNER_OS="Linux" if tag.endswith("linux") else "macOS")
        (source / record_of(name)).rename(release.folder / record_of(name))
        shutil.rmtree(source)
    shutil.copyfile(FIXTURES / "bottles" / ALL, release.folder / ALL)
    return release


def test_a_merged_bottle_is_attested_under_its_own_name(run: Run, attest: Attest, merged: Release) -> None:
    attest()
    assert merged.stored() == [ALL]
    statement = payload(json.loads((merged.bundles / f"{ALL}.sigstore.json").read_bytes()))
    assert statement["predicate"]["buildDefinition"]["externalParameters"]["tag"] == ALL_TAG
    [(outcome, codes)] = findings(run, merged, "salutations")
    assert outcome == "verified"
    assert {"formula-bound", "builder-bound"} <= codes


def test_a_merged_bottle_of_other_bytes_than_were_recorded_is_refused(
    attest: Attest, merged: Release
) -> None:
    record = record_of(MERGED[0])
    text = (merged.folder / record).read_text(encoding="utf-8")
    digest = hashlib.sha256((FIXTURES / "bottles" / ALL).read_bytes()).hexdigest()
    for name in MERGED:
        (merged.folder / record_of(name)).write_text(text.replace(digest, "0" * 64), encoding="utf-8")
    result = attest(code=6)
    assert ALL in result.err
    assert not merged.stored()


# What can be left out.


def test_without_records_the_verdict_says_what_is_not_bound(
    run: Run, attest: Attest, release: Release
) -> None:
    release.take(*HELLO2, records=False)
    attest("--without-records")
    for outcome, codes in findings(run, release, "hello@2"):
        assert outcome == "verified"
        assert {"builder-not-bound", "formula-not-bound"} <= codes
    before = release.entries
    attest("--without-records")
    assert release.entries == before
    assert "not bound" in summary(release)


def test_records_are_never_left_aside_silently(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    assert "2 records" in attest("--without-records").err


def test_a_dry_run_neither_signs_nor_publishes(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    before = release.entries
    result = attest("--dry-run")
    assert all(name in result.out for name in HELLO2)
    assert (release.entries, release.stored()) == (before, [])
    assert release.world.requests["ca"].count() == 0


def test_what_was_signed_alone_is_published_by_resuming(run: Run, attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    before = release.entries
    attest("--no-publish")
    assert release.stored() == []
    assert outputs(release)["published"] == "0"
    shutil.rmtree(release.folder)
    attest(resume=True)
    assert release.stored() == sorted(HELLO2)
    assert release.entries - before == 2
    assert {outcome for outcome, _ in findings(run, release, "hello@2")} == {"verified"}


def test_resuming_with_nothing_says_so(attest: Attest, release: Release) -> None:
    assert "--bundles" in attest(resume=True, code=2).err


def test_a_policy_that_does_not_allow_the_signer_keeps_all_from_being_signed(
    attest: Attest, release: Release, tmp_path: Path
) -> None:
    release.take(*HELLO2)
    before = release.entries
    path = tmp_path / "policy.toml"
    path.write_text(
        f"""schema = 1
name = "strict"
tap = "{TAP}"

[[signer]]
name = "another workflow"
source-repository = "{REPOSITORY}"
source-refs = ["refs/heads/main"]
workflows = [".github/workflows/other.yml"]
""",
        encoding="utf-8",
    )
    result = attest("--policy", path, code=6)
    assert "signer-workflow-not-allowed" in result.err
    assert not release.stored()
    assert release.entries == before


def test_an_identity_token_can_be_given(
    attest: Attest, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.take(*HELLO2)
    for name in ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"):
        monkeypatch.delenv(name)
    assert "permissions: id-token: write" in attest(code=6).err
    (tmp_path / "token").write_text(release.world.issuer.issue("sigstore"), encoding="ascii")
    attest("--identity-token", tmp_path / "token")
    assert release.stored() == sorted(HELLO2)


@pytest.mark.parametrize(
    "claims", [{"exp": 1_000_000_000}, {"aud": "other"}], ids=["expired", "for another audience"]
)
def test_an_identity_token_that_is_none_any_more_is_refused(
    attest: Attest, release: Release, tmp_path: Path, claims: Mapping[str, object]
) -> None:
    release.take(*HELLO2)
    (tmp_path / "token").write_text(release.world.issuer.issue("sigstore", claims), encoding="ascii")
    result = attest("--identity-token", tmp_path / "token", code=6)
    assert "the identity token" in result.err
    assert "--identity-token" in result.err


# Private repositories.


def hide(release: Release) -> None:
    release.world.github.store.set_visibility(REPOSITORY, Visibility.PRIVATE)


def test_a_private_repository_is_refused_unless_it_is_meant(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    before = release.entries
    hide(release)
    result = attest(code=6)
    assert "private" in result.err
    assert "--allow-private" in result.err
    assert release.entries == before
    attest("--allow-private")
    assert release.stored() == sorted(HELLO2)


@pytest.mark.parametrize("visibility", ["private", "internal"])
def test_a_repository_that_its_token_calls_private_is_refused(
    attest: Attest, release: Release, tmp_path: Path, visibility: str
) -> None:
    release.take(*HELLO2)
    before = release.entries
    token = release.world.issuer.issue("sigstore", {"repository_visibility": visibility})
    (tmp_path / "token").write_text(token, encoding="ascii")
    assert "--allow-private" in attest("--identity-token", tmp_path / "token", code=6).err
    assert (release.entries, release.stored()) == (before, [])
