"""Bottles, records and options that are not what they are said to be."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.integration.attest.conftest import Attest
from tests.integration.attest.releases import HELLO2, Release, findings, record_of, with_job
from tests.integration.conftest import Run

# Bottles that are not what they are said to be.


def test_bottles_of_an_earlier_run_are_attested_with_the_run_that_built_them(
    run: Run, attest: Attest, release: Release, started: datetime
) -> None:
    release.take(*HELLO2)
    world = release.world
    now = world.rehearsal
    earlier = replace(now, job=replace(now.job, run_id="77"))
    jobs = earlier.jobs(started)
    finished = replace(earlier.run(started), status="completed", conclusion="success")
    world.github.runs.put(finished, jobs[:1])

    def change(record: Any) -> None:
        record["run"] |= {"run_id": "77", "job_id": str(jobs[0].id)}

    release.edit(HELLO2[0], change)
    document = json.loads(attest("--format", "json").out)
    runs = [each["run"].rpartition("/actions/runs/")[2] for each in document["attestations"]]
    assert runs == ["77/attempts/1", f"{now.job.run_id}/attempts/1"]
    assert {outcome for outcome, _ in findings(run, release, "hello@2")} == {"verified"}


def drop_record(release: Release) -> None:
    (release.folder / record_of(HELLO2[0])).unlink()


def swap_records(release: Release) -> None:
    shutil.copyfile(release.folder / record_of(HELLO2[1]), release.folder / record_of(HELLO2[0]))


def link_bottle(release: Release) -> None:
    path = release.folder / HELLO2[0]
    path.rename(release.folder.parent / "elsewhere")
    path.symlink_to(release.folder.parent / "elsewhere")


def link_record(release: Release) -> None:
    path = release.folder / record_of(HELLO2[0])
    path.rename(release.folder.parent / "elsewhere")
    path.symlink_to(release.folder.parent / "elsewhere")


def make_pipe(release: Release) -> None:
    path = release.folder / record_of(HELLO2[0])
    path.unlink()
    os.mkfifo(path)


def spoil_bottle(release: Release) -> None:
    other = "hello@2--2.4.1.x86_64_linux.bottle.tar.gz"
    shutil.copyfile(release.folder / other, release.folder / HELLO2[0])


def spoil_record(release: Release) -> None:
    (release.folder / record_of(HELLO2[0])).write_bytes(b"[" * 100_000)


def spoil_json(release: Release) -> None:
    with (release.folder / "hello@2--2.4.1.arm64_tahoe.bottle.json").open("ab") as stream:
        stream.write(b"\n")


def second_name(release: Release) -> None:
    shutil.copyfile(release.folder / HELLO2[0], release.folder / HELLO2[0].replace("bottle", "bottle.1"))


def odd_name(release: Release) -> None:
    shutil.copyfile(release.folder / HELLO2[0], release.folder / "\x1b[2J.bottle.tar.gz")


def edited(path: str, value: object) -> Callable[[Release], None]:
    def change(record: Any) -> None:
        *above, last = path.split(".")
        for name in above:
            record = record[name]
        record[last] = value

    return lambda release: release.edit(HELLO2[0], change)


BAD: Mapping[str, tuple[Callable[[Release], None], str]] = {
    "a record is missing": (drop_record, "there is no hello@2--2.4.1.arm64_tahoe.bottle.build-record"),
    "a record is another bottle's": (swap_records, "record-other-bottle"),
    "a bottle is a link": (link_bottle, "no plain file"),
    "a record is a link": (link_record, "no plain file"),
    "a record is a pipe": (make_pipe, "no plain file"),
    "a bottle's bytes differ": (spoil_bottle, "record-digest-mismatch"),
    "a record is no record": (spoil_record, "hello@2--2.4.1.arm64_tahoe.bottle.build-record"),
    "brew's description differs": (spoil_json, "record-json-mismatch"),
    "one bottle has two names": (second_name, "hello@2--2.4.1.arm64_tahoe.bottle.1.tar.gz"),
    "a name is no bottle's": (odd_name, r"\x1b[2J.bottle.tar.gz"),
    "the run does not exist": (edited("run.run_id", "4"), "run 4 of"),
    "the attempt does not exist": (edited("run.run_attempt", "9"), "attempt 9"),
    "the job does not exist": (edited("run.job_id", "4"), "record-job-unknown"),
    "another repository": (edited("run.repository", "octo/homebrew-tap"), "record-other-repository"),
    "another repository's id": (edited("run.repository_id", "4"), "record-repository-id-mismatch"),
    "another owner's id": (edited("run.owner_id", "4"), "record-owner-id-mismatch"),
    "another event": (edited("run.event_name", "push"), "record-event-mismatch"),
    "another head": (edited("run.head_sha", "4" * 40), "record-head-mismatch"),
    "another commit": (edited("tap.commit", "4" * 40), "record-commit-mismatch"),
    "another tap": (edited("tap.name", "octo/tap"), "record-other-tap"),
    "another remote": (edited("tap.remote", "https://github.com/octo/homebrew-tap"), "record-other-remote"),
    "another runner": (edited("runner.name", "my own"), "record-runner-mismatch"),
    "another formula": (
        edited("formula.sha256_without_bottle_block", "4" * 64),
        "record-formula-mismatch",
    ),
    "another time": (edited("recorded_at", "2020-01-01T00:00:00Z"), "record-time-mismatch"),
}


@pytest.mark.parametrize("case", BAD)
def test_where_one_bottle_is_not_what_it_is_said_to_be_none_is_signed(
    case: str, attest: Attest, release: Release
) -> None:
    release.take(*HELLO2)
    before = release.entries
    change, said = BAD[case]
    change(release)
    result = attest(code=6)
    assert said in result.err
    assert "next: " in result.err
    assert "\x1b" not in result.err
    assert (release.entries, release.stored()) == (before, [])


def test_every_bottle_that_is_wrong_is_told(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    spoil_bottle(release)
    (release.folder / record_of(HELLO2[1])).unlink()
    result = attest(code=6)
    assert all(name in result.err for name in HELLO2)
    assert "2 faults in 2 bottles" in result.err


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"conclusion": "failure"}, "record-job-unfit"),
        ({"runner_name": "my own"}, "record-runner-mismatch"),
        ({"head_sha": "4" * 40}, "record-head-mismatch"),
        ({"labels": ("self-hosted",)}, "record-environment-mismatch"),
    ],
)
def test_a_job_of_which_github_says_something_else_is_no_proof(
    attest: Attest, release: Release, started: datetime, changes: dict[str, Any], code: str
) -> None:
    release.take(*HELLO2)
    with_job(release.world, started, **changes)
    assert code in attest(code=6).err
    assert not release.stored()


def test_a_folder_without_bottles_is_a_matter_of_usage(attest: Attest, release: Release) -> None:
    release.folder.mkdir()
    assert "there is no bottle" in attest(code=2).err


def test_a_folder_that_is_none_is_a_matter_of_usage(attest: Attest) -> None:
    assert attest(code=2).err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--repo", "x"),
        ("--repo", "octo/../x"),
        ("--tap", "x"),
        ("--repo", "octo/tools"),
        ("--identity-token", "/nonexistent"),
        ("--trust-config", "/nonexistent"),
        ("--policy", "/nonexistent"),
        ("--github-api", "http://example.org"),
        ("--max-per-minute", "0"),
    ],
)
def test_options_that_cannot_be_meant_are_told(
    attest: Attest, release: Release, arguments: tuple[str, str]
) -> None:
    release.take(*HELLO2)
    result = attest(*arguments, code=2)
    assert arguments[0].removeprefix("--") in result.err or arguments[1] in result.err
    assert not release.stored()


def test_a_policy_of_another_tap_is_refused(attest: Attest, release: Release, tmp_path: Path) -> None:
    release.take(*HELLO2)
    path = tmp_path / "policy.toml"
    path.write_text(
        'schema = 1\nname = "x"\ntap = "octo/tap"\n[[signer]]\nname = "x"\n'
        'source-repository = "octo/homebrew-tap"\nsource-refs = ["*"]\n',
        encoding="utf-8",
    )
    assert "speaks for octo/tap" in attest("--policy", path, code=2).err


def test_a_tap_may_be_written_in_capitals(attest: Attest, release: Release) -> None:
    release.take(*HELLO2)
    attest("--tap", "Brew-Provenance/Fixtures")
    assert release.stored() == sorted(HELLO2)


def test_outside_of_actions_the_repository_has_to_be_named(
    attest: Attest, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.take(*HELLO2)
    monkeypatch.delenv("GITHUB_REPOSITORY")
    assert "--repo" in attest(code=2).err
