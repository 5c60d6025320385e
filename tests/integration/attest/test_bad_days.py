"""`attest` on days on which a service is down, loses what it was sent, or refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.attest.conftest import Attest
from tests.integration.attest.releases import HELLO2, REPOSITORY, Release, findings, hurry
from tests.integration.conftest import Run

from brew_provenance.sandbox.github.exchange import Call, Reply
from brew_provenance.sandbox.github.faults import Fault
from brew_provenance.sandbox.github.options import Grant

ORDINARY = {
    *("oidc=down:1", "ca=429:1", "log=503:1", "actions=cut:1", "store=503:1", "publishing=lost:1"),
    *("oidc=403", "ca=401", "log=422", "log=down", "store=500", "publishing=500", "publishing=422"),
    *("publishing=404", "publishing=lost", "actions=403", "github=down"),
}
"""What is tried in every run; all else takes its time at night."""


def _rarely(fault: str) -> Any:
    return pytest.param(fault, marks=() if fault in ORDINARY else pytest.mark.nightly)


ONCE = [
    *("oidc=503:1", "oidc=down:1", "ca=503:1", "ca=down:1", "ca=cut:1", "ca=lost:1", "ca=429:1"),
    *("log=503:1", "log=down:1", "log=429:1", "actions=503:1", "actions=down:1", "actions=cut:1"),
    *("store=503:1", "store=cut:1", "publishing=503:1", "publishing=down:1", "publishing=429:1"),
    *("publishing=lost:1", "publishing=cut:1", "publishing=lost:2"),
]


@pytest.mark.parametrize("fault", [_rarely(fault) for fault in ONCE])
def test_what_passes_is_waited_for_and_nothing_is_done_twice(
    fault: str, attest: Attest, release: Release
) -> None:
    release.take(*HELLO2)
    before = release.entries
    release.world.bad_day(fault)
    attest()
    assert release.world.faults[FAULTY.get(fault.partition("=")[0], "github")].waiting == ()
    assert release.stored() == sorted(HELLO2)
    assert release.entries - before == 2


FAULTY = {"oidc": "oidc", "ca": "ca", "log": "log", "timestamping": "timestamping"}


@pytest.mark.parametrize("fault", ["log=lost:1", "log=cut:1", "log=409:1"])
def test_an_entry_whose_answer_is_lost_is_made_again(fault: str, attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    before = release.entries
    release.world.bad_day(fault)
    attest()
    assert release.stored() == sorted(HELLO2)
    # What the log has is not to be had without its answer.
    assert release.entries - before == 3


ALWAYS = {
    "oidc=500": "the identity token",
    "oidc=down": "the identity token",
    "oidc=403": "permissions: id-token: write",
    "ca=400": "the certificate authority",
    "ca=401": "the certificate authority",
    "ca=500": "the certificate authority",
    "ca=down": "the certificate authority",
    "log=400": "the transparency log",
    "log=422": "the transparency log",
    "log=500": "the transparency log",
    "log=down": "the transparency log",
    "store=500": "127.0.0.1",
    "store=down": "127.0.0.1",
    "publishing=500": "store",
    "publishing=422": "store",
    "publishing=404": "permissions: attestations: write",
    "publishing=403": "permissions: attestations: write",
    "publishing=down": "store",
    "publishing=lost": "store",
    "actions=500": "run",
    "actions=403": "permissions: actions: read",
    "actions=404": "permissions: actions: read",
    "actions=down": "run",
    "github=down": "repository",
    "github=500": "repository",
}


@pytest.mark.parametrize("fault", [_rarely(fault) for fault in ALWAYS])
def test_what_does_not_pass_ends_with_6_and_the_next_run_finishes(
    fault: str, attest: Attest, release: Release
) -> None:
    release.take(*HELLO2)
    before = release.entries
    release.world.bad_day(fault)
    code = 0 if fault == "publishing=lost" else 6
    result = attest(code=code)
    if code:
        assert ALWAYS[fault] in result.err
        assert "next: " in result.err
    for faults in release.world.faults.values():
        faults.clear()
    attest()
    assert release.stored() == sorted(HELLO2)
    assert release.entries - before == 2


def test_what_was_not_published_can_be_resumed_without_the_bottles(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    before = release.entries
    release.world.bad_day("publishing=500")
    assert "attest --resume" in attest(code=6).err
    for faults in release.world.faults.values():
        faults.clear()
    shutil.rmtree(release.folder)
    attest(resume=True)
    assert release.stored() == sorted(HELLO2)
    assert release.entries - before == 2


def test_resuming_goes_on_after_the_first_of_two_was_published(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    faults = release.world.faults["github"]
    place = {"method": "POST", "path": "/repos/*/attestations"}
    faults.inject(Fault("nothing"), 1, **place)
    faults.inject(Fault("refusal", instead=lambda _: Reply(500)), None, **place)
    attest(code=6)
    assert len(release.stored()) == 1
    faults.clear()
    attest(resume=True)
    assert release.stored() == sorted(HELLO2)


def test_resuming_publishes_nothing_that_check_would_not_accept(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    attest("--no-publish")
    path = release.bundles / f"{HELLO2[0]}.sigstore.json"
    document = json.loads(path.read_bytes())
    document["dsseEnvelope"]["payload"] = document["dsseEnvelope"]["payload"][:-8] + "AAAAfQ=="
    path.write_text(json.dumps(document), encoding="utf-8")
    assert HELLO2[0] in attest(resume=True, code=6).err
    assert HELLO2[0] not in release.stored()


def test_timestamps_go_with_the_second_log(run: Run, release: Release, tmp_path: Path) -> None:
    release.take(*HELLO2)
    before = release.entries
    config = tmp_path / "config.json"
    config.write_text(json.dumps(release.world.trust_config_for("rekor-v2")), encoding="utf-8")
    arguments = ["attest", release.folder, *release.instance, "--bundles", release.bundles]
    release.world.bad_day("timestamping=503")
    result = run(*arguments, "--trust-config", config)
    assert result.code == 6
    assert "the timestamp authority" in result.err
    assert not release.stored()
    release.world.faults["timestamping"].clear()
    made = release.entries - before
    assert run(*arguments, "--trust-config", config).code == 0
    assert release.stored() == sorted(HELLO2)
    assert release.entries - before - made <= 2
    assert {outcome for outcome, _ in findings(run, release, "hello@2")} == {"verified"}


def test_a_log_that_hangs_is_given_up(
    attest: Attest, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, patience=0.5)
    release.take(*HELLO2)
    release.world.bad_day("log=hang")
    result = attest(code=6)
    assert "the transparency log" in result.err
    assert "no answer" in result.err


def test_a_job_that_may_not_add_attestations_is_told_which_line_is_missing(
    attest: Attest, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.take(*HELLO2)
    backend = release.world.github.backend
    grant = Grant(reads=frozenset({REPOSITORY}), actions=frozenset({REPOSITORY}))
    tokens = {release.world.token: grant}
    monkeypatch.setattr(backend, "options", replace(backend.options, tokens=tokens))
    before = release.entries
    assert "permissions: attestations: write" in attest(code=6).err
    monkeypatch.undo()
    for name, value in release.environment.items():
        monkeypatch.setenv(name, value)
    attest()
    assert (release.entries - before, release.stored()) == (2, sorted(HELLO2))


def test_without_a_token_it_is_said_which_variable_to_set(
    attest: Attest, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.take(*HELLO2)
    monkeypatch.delenv("GITHUB_TOKEN")
    assert "GITHUB_TOKEN" in attest(code=6).err


def test_a_token_that_is_refused_stands_in_no_message(
    attest: Attest, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.take(*HELLO2)
    monkeypatch.setenv("GITHUB_TOKEN", "hush-hush")
    result = attest(code=6)
    assert "hush-hush" not in result.err + release.written()


def test_an_answer_that_quotes_the_token_is_not_passed_on(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)

    def quote(call: Call) -> Reply:
        body = {"message": call.headers.get("authorization", "") + call.body.decode("utf-8", "replace")}
        return Reply(400, json.dumps(body).encode(), {"content-type": "application/json"})

    for name in ("oidc", "ca"):
        release.world.faults[name].inject(Fault("quotation", instead=quote), None)
        attest(code=6)
        release.world.faults[name].clear()
    release.world.faults["github"].inject(
        Fault("quotation", instead=quote), None, method="POST", path="/repos/*/attestations"
    )
    attest(code=6)
