"""`audit`: a tap in a git repository against a store on loopback, over real HTTP and in real processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.integration.conftest import Result, Run
from tests.unit.repositories import commit, make_repository

from brew_provenance import bundle as bundle_module
from brew_provenance.audit import run as run_module
from brew_provenance.audit.compare import ALARMS
from brew_provenance.audit.ledger import Ledger
from brew_provenance.audit.run import Auditor
from brew_provenance.cli import options, progress, sources
from brew_provenance.formula import Formula
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.github import faults
from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.options import Budgets, Options
from brew_provenance.sandbox.github.service import AttestationService, serve_github
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.taps.git import GitTap
from brew_provenance.transport import Transport

TAP, REPOSITORY = "octo/tap", "octo/homebrew-tap"
JOB = ActionsJob(repository=REPOSITORY, event_name="workflow_dispatch")
TAGS = ("arm64_sonoma", "sonoma", "x86_64_linux")
WITHOUT_BOTTLES = b'class Foo < Formula\n  url "https://example.org/foo-1.0.tar.gz"\nend\n'
# What a transport is made with where nobody says otherwise.
TRANSPORT: dict[str, Any] = Transport.__init__.__kwdefaults__ or {}
SCHEMAS = Path(bundle_module.__file__).parent / "schemas"


def source(name: str, version: str = "1.0", tags: Sequence[str] = TAGS) -> bytes:
    """Return a formula's Ruby; each bottle has a digest of its own."""
    bottles = "".join(
        f'    sha256 cellar: :any, {tag}: "{hash_of(f"{name} {version} {tag}")}"\n' for tag in tags
    )
    return f"""\
class {name.capitalize()} < Formula
  url "https://example.org/{name}-{version}.tar.gz"
  sha256 "{"f" * 64}"

  bottle do
{bottles}  end
end
""".encode()


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class World:
    """A tap, the store of its attestations, and the options that lead to both."""

    def __init__(self, folder: Path, sigstore: VirtualSigstore) -> None:
        self.folder = folder
        self.sigstore = sigstore
        self.tap = folder / "tap"
        self.repository = make_repository(self.tap)
        store = AttestationStore()
        store.add_repository(REPOSITORY)
        options = Options(bulk_requires_token=False, budgets=Budgets(anonymous=100_000))
        self.service = AttestationService(store, options)
        self.root = folder / "root.json"
        self.root.write_bytes(encode_json(sigstore.trusted_root()))
        self.url = ""

    @property
    def options(self) -> list[object]:
        return [
            *("--tap-dir", self.tap, "--github-api", self.url, "--trusted-root", self.root),
            *("--workers", 1),
        ]

    def publish(self, *names: str, version: str = "1.0", tags: Sequence[str] = TAGS, **files: bytes) -> None:
        """Commit formulae, and nothing else."""
        formulae = {f"Formula/{name}.rb": source(name, version, tags) for name in names}
        commit(self.repository, formulae | {f"Formula/{name}.rb": raw for name, raw in files.items()})

    def formula(self, name: str) -> Formula:
        return GitTap(self.tap, tap=TAP).formula(f"{TAP}/{name}")

    def attest(self, *names: str, job: ActionsJob = JOB) -> None:
        for name in names:
            bottles = self.formula(name).bottles
            subjects = [build_subject(str(bottle.file_name), bottle.digest.value) for bottle in bottles]
            statement = build_statement(subjects, job.provenance())
            bundle = self.sigstore.attest(statement, job, at=SIGNED_AT)
            self.service.store.add(REPOSITORY, encode_json(bundle))

    def asked(self) -> int:
        return self.service.log.total


@pytest.fixture(scope="module")
def sigstore() -> VirtualSigstore:
    return VirtualSigstore()


@pytest.fixture
def world(tmp_path: Path, sigstore: VirtualSigstore, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    world = World(tmp_path, sigstore)
    with serve_github(world.service, blobs_apart=False) as served:
        world.url = served.url
        yield world
    world.repository.free()


@pytest.fixture
def audit(run: Run, world: World) -> Run:
    """Run `audit` on the tap with options and arguments; nothing may ever end in a traceback."""

    def run_audit(*arguments: object, tap: str = TAP) -> Result:
        result = run("audit", tap, *world.options, *arguments)
        assert "Traceback" not in result.err
        assert result.code != 1, result.err
        return result

    return run_audit


def bottles(result: Result) -> dict[str, str]:
    """Return file names and outcomes out of JSON lines."""
    rows = [json.loads(line) for line in result.out.splitlines()]
    return {row["fileName"] or row["formula"]: row["outcome"] for row in rows}


# Outcomes and exit codes


def test_an_audit_of_what_is_all_attested_exits_with_0(audit: Run, world: World) -> None:
    world.publish("bar", "foo")
    world.attest("bar", "foo")
    result = audit()
    assert result.code == 0
    assert "octo/tap: 6 bottles, audited 20" in result.out
    assert "       6  verified\n" in result.out
    assert f"attestations: {world.url.partition('//')[2]}, {REPOSITORY}" in result.out
    assert result.err == (
        "note: 6 bottles (6 verified, 0 unattested, 0 rejected, 0 unresolved); 6 judged, 2 bundles verified\n"
    )


def test_the_worst_outcome_is_the_exit_code(audit: Run, world: World) -> None:
    world.publish("bar", "foo", "qux")
    world.attest("bar", "qux")
    assert audit("--formula", "bar").code == 0
    world.service.faults.inject(faults.respond(404), None)
    assert audit("--formula", "qux", "--tag", "arm64_sonoma").code == 5
    world.service.faults.clear()
    assert audit("--formula", "foo").code == 4
    world.attest("foo", job=replace(JOB, repository="mallory/homebrew-tap"))
    result = audit("--refresh", "--format", "jsonl")
    assert result.code == 3
    assert set(bottles(result).values()) == {"verified", "rejected"}
    assert bottles(result)["foo--1.0.sonoma.bottle.tar.gz"] == "rejected"


def test_a_store_that_failed_is_asked_again_for_what_it_did_not_answer(audit: Run, world: World) -> None:
    world.publish("bar", "foo")
    world.attest("bar", "foo")
    world.service.faults.inject(faults.respond(404), None)
    result = audit()
    assert result.code == 5
    assert "repository-not-visible: 6" in result.out
    world.service.faults.clear()
    assert audit().code == 0


def test_a_second_audit_asks_nothing_and_a_refreshed_one_asks_for_all(audit: Run, world: World) -> None:
    world.publish("bar", "foo")
    world.attest("bar")
    assert audit().code == 4
    before = world.asked()
    world.attest("foo")
    result = audit()
    assert (result.code, world.asked()) == (4, before)
    assert "0 judged, 0 bundles verified" in result.err
    result = audit("--refresh")
    assert (result.code, world.asked() > before) == (0, True)
    assert "3 judged, 1 bundles verified" in result.err


def test_an_audit_may_take_longer_than_any_of_its_look_ups(
    audit: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every request takes 400 s of the 900 that a look-up has, and each of these makes do with one.
    monkeypatch.setattr(run_module, "CHUNK", 1)
    monkeypatch.setitem(TRANSPORT, "clock", lambda: time.monotonic() + 400 * world.asked())
    world.publish("foo", "bar", "baz", "qux", tags=TAGS[:1])
    world.attest("foo", "bar", "baz", "qux")
    result = audit("--format", "jsonl")
    assert set(bottles(result).values()) == {"verified"}
    assert world.asked() >= 4
    assert 400 * world.asked() > sources.AUDIT_BUDGET


@pytest.mark.parametrize(("asked", "outcome"), [(60, "verified"), (3600, "unresolved")])
def test_an_audit_waits_for_a_limit_that_lasts_minutes_and_not_for_one_of_an_hour(
    asked: int, outcome: str, audit: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setitem(TRANSPORT, "sleep", waited.append)
    world.publish("foo", tags=TAGS[:1])
    world.attest("foo")
    world.service.faults.inject(faults.secondary_limit(str(asked)))
    result = audit("--format", "jsonl")
    assert set(bottles(result).values()) == {outcome}
    host = world.url.removeprefix("http://")
    told = f"note: {host} asks to be left alone for 60 s: waiting\n"
    assert (told in result.err) == (outcome == "verified")
    assert [round(seconds, -1) for seconds in waited] == ([60] if outcome == "verified" else [])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "6 of 6 bottles, 6"),
        (["--formula", "foo"], "3 of 3 bottles, 3"),
        (["--tag", TAGS[0]], "2 of 2 bottles, 2"),
        (["--history"], "6 of 6 bottles, 6"),
        (["--history", "--tag", TAGS[0]], "2 bottles, 2"),
        (["--since", "HEAD"], ""),
    ],
)
def test_how_far_it_is_is_told_by_the_way(
    options: Sequence[str], said: str, audit: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    world.publish("foo", "bar")
    world.attest("foo", "bar")
    told = [line for line in audit(*options, "--quiet").err.splitlines() if line[0].isdigit()]
    assert [line.partition(" verified")[:2] for line in told] == [(said, " verified")] * bool(said)


def test_one_formula_or_tag_can_be_audited_alone(audit: Run, world: World) -> None:
    world.publish("bar", "foo", "qux")
    world.attest("bar", "foo", "qux")
    result = audit(
        "--formula", "foo", "--formula", "octo/tap/bar", "--tag", "x86_64_sonoma", "--format", "jsonl"
    )
    assert result.code == 0
    assert list(bottles(result)) == ["bar--1.0.sonoma.bottle.tar.gz", "foo--1.0.sonoma.bottle.tar.gz"]
    result = audit("--tag", "x86_64_linux", "--tag", "arm64_sonoma")
    assert "6 bottles (tag arm64_sonoma, tag x86_64_linux)" in result.out


def test_the_tap_may_be_written_in_any_case(audit: Run, world: World) -> None:
    world.publish("foo")
    world.attest("foo")
    assert audit(tap="Octo/Tap").code == 0
    assert (world.folder / "data" / "brew-provenance" / "ledgers" / "octo-tap.sqlite").is_file()


def test_a_formula_that_cannot_be_read_is_told_of_and_the_others_are_audited(
    audit: Run, world: World
) -> None:
    world.publish("bar", "foo", broken=b"class Broken < Formula\n" + b"\xff" * 10)
    world.attest("bar", "foo")
    for output_format in ("text", "markdown", "json"):
        result = audit("--format", output_format, "--quiet")
        assert result.code == 0
        assert "Formula/broken.rb cannot be read" in result.out
        assert result.err == ""
    result = audit("--format", "jsonl")
    assert "note: Formula/broken.rb cannot be read" in result.err
    assert len(bottles(result)) == 6


def test_a_bottle_whose_name_cannot_be_known_is_unresolved(audit: Run, world: World) -> None:
    computed = source("foo").replace(b'url "', b'version compute\n  url "')
    world.publish(foo=computed)
    result = audit("--format", "jsonl")
    assert result.code == 5
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert {(row["fileName"], row["outcome"]) for row in rows} == {(None, "unresolved")}
    assert {finding["code"] for row in rows for finding in row["findings"]} == {"package-version-unknown"}


def test_formulae_can_be_limited_to_those_that_changed_since_a_commit(audit: Run, world: World) -> None:
    world.publish("bar", "foo", broken=b"nonsense")
    before = str(world.repository.head.target)
    result = audit("--since", before, "--format", "jsonl")
    assert (result.code, result.out) == (0, "")
    commit(
        world.repository,
        {
            "Formula/foo.rb": source("foo", "1.1"),
            "Formula/qux.rb": source("qux"),
            "Formula/broken.rb": b"other",
            "Formula/bar.rb": source("bar"),
        },
    )
    result = audit("--since", before, "--format", "jsonl")
    assert {name.partition("--")[0] for name in bottles(result)} == {"foo", "qux"}
    assert "note: Formula/broken.rb cannot be read" in result.err
    result = audit("--since", before, "--format", "jsonl", "--formula", "foo", "--formula", "bar")
    assert {name.partition("--")[0] for name in bottles(result)} == {"foo"}
    assert (
        json.loads(audit("--since", before, "--format", "json").out)["run"]["selection"] == f"since {before}"
    )


def test_every_bottle_of_the_history_is_audited_and_the_next_time_only_what_is_new(
    audit: Run, world: World
) -> None:
    world.publish("bar", "foo")
    world.attest("bar", "foo")
    world.publish("foo", version="1.1")
    result = audit("--history", "--format", "jsonl")
    assert result.code == 4
    outcomes = bottles(result)
    assert len(outcomes) == 9
    assert {name for name, outcome in outcomes.items() if outcome == "unattested"} == {
        f"foo--1.1.{tag}.bottle.tar.gz" for tag in TAGS
    }
    before = world.asked()
    world.attest("foo")
    world.publish("foo", version="1.2")
    world.attest("foo")
    again = audit("--history", "--format", "jsonl")
    assert len(bottles(again)) == 12
    assert "3 judged, 1 bundles verified" in again.err
    assert world.asked() > before
    limited = audit("--history", "--formula", "bar", "--tag", "sonoma", "--format", "jsonl")
    assert bottles(limited) == {"bar--1.0.sonoma.bottle.tar.gz": "verified"}
    assert json.loads(audit("--history", "--format", "json").out)["run"]["selection"] == "history"


# What cannot be done


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--formula", "nothing"], "no formula of that name"),
        (["--formula", "foo", "--formula", "octo/other/foo"], "not of octo/tap"),
        (["--formula", "a/b/c/d"], "not the name of a formula"),
        (["--tag", "tahoe"], "publishes no such bottle"),
        (["--tag", "Sonoma!"], "is not a bottle tag"),
        (["--shard", "5/4"], "--shard 5/4"),
        (["--shard", "x"], "--shard x"),
        (["--workers", "0"], "0 is not in the range"),
        (["--scheduler", "tcp://127.0.0.1:1"], "is for --executor dask"),
        (["--executor", "dask"], "a dask cluster has its own"),
        (["--since", "0" * 40], "no such commit"),
        (["--since", "HEAD", "--history"], "say different things"),
        (["--history", "--formula", "nothing"], "publishes no such bottle"),
        (["--commit", "0" * 40], "no such commit"),
        (["--policy", "missing.toml"], "No such file"),
        (["--ledger", "missing/ledger.sqlite"], "unable to open database file"),
        (["--ledger", "."], "not a file"),
        (["--format", "pdf"], "'pdf' is not one of"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_says_why(
    arguments: list[str], said: str, audit: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.folder)
    world.publish("foo")
    result = audit(*arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_a_cluster_has_to_be_named_and_to_be_there(run: Run, world: World) -> None:
    world.publish("foo")
    where = [argument for argument in world.options if argument not in {"--workers", 1}]
    result = run("audit", TAP, *where, "--executor", "dask")
    assert (result.code, "--scheduler ADDRESS" in result.err) == (2, True)
    result = run("audit", TAP, *where, "--executor", "dask", "--scheduler", "nonsense://x")
    assert (result.code, "write it as tcp://HOST:8786" in result.err) == (2, True)


def test_formula_commits_that_the_branch_does_not_lead_to_are_told_of_and_an_alarm(
    audit: Run, run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish("foo")
    world.attest("foo")
    audit("--ledger", world.folder / "ledger")
    here, gone = str(world.repository.head.target), "c" * 40
    monkeypatch.setattr(Ledger, "attested_commits", lambda *_: [here, gone])
    result = audit("--ledger", world.folder / "ledger")
    assert "does not lead to 1 of 2 commits that bottles were built from" in result.out
    with Ledger(world.folder / "ledger") as ledger:
        assert ledger.commits(ledger.last_run().id) == {here: True, gone: False}
    # No bottle of this tap says that it was built from it.
    assert run("audit", "diff", world.folder / "ledger").code == 0


def test_a_tap_without_commits_has_neither_history_nor_changes(run: Run, kit: Path) -> None:
    for option in (["--history"], ["--since", "HEAD"]):
        result = run("audit", "brew-provenance/fixtures", "--kit", kit, "--offline", *option)
        assert (result.code, "give a clone of the tap with --tap-dir" in result.err) == (2, True)


def test_what_is_asked_for_in_vain_leaves_no_ledger(audit: Run, world: World) -> None:
    world.publish("foo")
    audit("--formula", "nothing")
    audit("--policy", "missing.toml")
    assert not (world.folder / "data").exists()


def test_a_tap_without_bottles_is_nothing_to_audit(audit: Run, world: World) -> None:
    world.publish(foo=WITHOUT_BOTTLES)
    result = audit()
    assert (result.code, result.out) == (2, "")
    assert "octo/tap: publishes no such bottle" in result.err


def test_another_file_is_no_ledger_and_stays_as_it_is(audit: Run, world: World) -> None:
    world.publish("foo")
    other = world.folder / "notes.txt"
    other.write_text("my notes\n" * 100, encoding="utf-8")
    result = audit("--ledger", other)
    assert (result.code, "not a database" in result.err) == (2, True)
    assert other.read_text(encoding="utf-8") == "my notes\n" * 100


def test_a_folder_for_data_that_cannot_be_made_is_said_to_be(
    audit: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish("foo")
    monkeypatch.setenv("XDG_DATA_HOME", str(world.root))
    result = audit()
    assert (result.code, "next: name a file with --ledger" in result.err) == (2, True)


def test_roots_that_cannot_be_used_are_said_to_be(audit: Run, world: World) -> None:
    world.publish("foo")
    world.attest("foo")
    document = json.loads(world.root.read_bytes())
    document["tlogs"] = [{"publicKey": 7}]
    world.root.write_text(json.dumps(document), encoding="utf-8")
    result = audit()
    assert (result.code, str(world.root) in result.err) == (2, True)


def test_a_kit_is_audited_for_one_tap_of_those_that_it_holds(
    run: Run, kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    options = ["--kit", kit, "--trusted-root", kit / "trusted_root.jsonl", "--offline", "--format", "jsonl"]
    result = run("audit", "brew-provenance/fixtures", *options)
    outcomes = bottles(result)
    assert result.code == 3
    assert outcomes["hello--3.0.1.arm64_sonoma.bottle.tar.gz"] == "verified"
    assert outcomes["greeter--0.9.3.x86_64_linux.bottle.tar.gz"] == "unattested"
    assert outcomes["farewell--1.5.2_1.sonoma.bottle.tar.gz"] == "rejected"
    result = run("audit", "octo/tap", *options)
    assert (result.code, result.out) == (2, "")
    assert "publishes no such bottle" in result.err


# Ledgers and reports


def test_a_ledger_lies_in_the_folder_for_data_and_is_reported_without_a_network(
    audit: Run, run: Run, world: World
) -> None:
    world.publish("foo")
    world.attest("foo")
    names = ("text", "markdown", "json", "jsonl", "sarif", "junit")
    texts = {name: audit("--format", name).out for name in names}
    before = world.asked()
    world.service.faults.inject(faults.respond(500), None)
    for name, text in texts.items():
        result = run("audit", "report", "Octo/tap", "--format", name)
        assert result.code == 0
        if name in {"jsonl", "sarif", "junit"}:
            assert result.out == text
    assert world.asked() == before
    assert [path.name for path in (world.folder / "data" / "brew-provenance" / "ledgers").iterdir()] == [
        "octo-tap.sqlite"
    ]


def test_a_report_can_be_written_to_a_file(audit: Run, run: Run, world: World) -> None:
    world.publish("foo")
    file = world.folder / "report.json"
    result = audit("--ledger", world.folder / "l.sqlite", "--format", "json", "--output", file, "-q")
    assert (result.code, result.out, result.err) == (4, "", "")
    schema = json.loads((SCHEMAS / "audit-v1.schema.json").read_text(encoding="utf-8"))
    document = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert document["summary"] == {"unattested": 3}
    result = run("audit", "report", TAP, "--ledger", world.folder / "l.sqlite", "--format", "json")
    assert json.loads(result.out) == document


def test_a_page_goes_into_a_file_and_is_the_same_each_time(audit: Run, run: Run, world: World) -> None:
    world.publish("foo")
    world.attest("foo")
    first, second = world.folder / "first.html", world.folder / "second.html"
    ledger = world.folder / "l.sqlite"
    result = audit("--ledger", ledger, "--format", "html", "--output", first)
    assert (result.code, result.out) == (0, "")
    page = first.read_text(encoding="ascii")
    assert page.startswith("<!DOCTYPE html>")
    assert "Build provenance of" in page
    assert run("audit", "report", TAP, "--ledger", ledger, "--format", "html", "--output", second).code == 0
    assert second.read_text(encoding="ascii") == page


@pytest.mark.parametrize("command", ["run", "report", "merge"])
def test_a_page_without_a_file_is_refused_before_anything_is_done(
    command: str, run: Run, world: World
) -> None:
    world.publish("foo")
    ledger = world.folder / "l.sqlite"
    place = [ledger, ledger] if command == "merge" else [TAP, "--ledger", ledger]
    result = run("audit", command, *place, "--format", "html")
    assert (result.code, result.out) == (2, "")
    assert "--format html: is a file for a browser" in result.err
    assert "give --output FILE" in result.err
    assert not ledger.exists()
    assert world.asked() == 0


def test_a_page_that_cannot_be_written_is_an_error_and_leaves_nothing(
    audit: Run, run: Run, world: World
) -> None:
    world.publish("foo")
    ledger = world.folder / "l.sqlite"
    audit("--ledger", ledger)
    for place in (world.folder, world.folder / "nosuch" / "page.html"):
        result = run("audit", "report", TAP, "--ledger", ledger, "--format", "html", "--output", place)
        assert (result.code, str(place) in result.err) == (2, True)
    assert not list(world.folder.glob("*.html"))


def test_a_report_of_what_was_not_audited_is_an_error(audit: Run, run: Run, world: World) -> None:
    result = run("audit", "report", TAP)
    assert (result.code, "No such file" in result.err) == (2, True)
    assert not (world.folder / "data").exists()
    world.publish("foo")
    audit("--ledger", world.folder / "l.sqlite")
    result = run("audit", "report", "octo/other", "--ledger", world.folder / "l.sqlite")
    assert (result.code, "no audit of octo/other" in result.err) == (2, True)


def test_what_a_library_or_brew_says_of_roots_is_told(
    audit: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = options.load_roots
    monkeypatch.setattr(
        options,
        "load_roots",
        lambda *given, **named: [replace(root, note="the root is old") for root in load(*given, **named)],
    )
    world.publish("foo")
    assert "note: the root is old" in audit().out


# Interruption

INTERRUPT = "stopped; the same command goes on from what is in"


def unmeasured() -> dict[str, str]:
    """Return an environment without coverage, which an interrupt can leave waiting for itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def test_an_interrupt_says_how_to_go_on_and_the_same_command_does(audit: Run, world: World) -> None:
    names = [f"f{number:03}" for number in range(800)]
    world.publish(*names)
    world.attest(*names[:40])
    # A thousand bottles are asked for in ten requests: two chunks come, and the third never does.
    requests = count()
    never = replace(faults.slow_headers(600), concerns=lambda _call: next(requests) > 25)
    world.service.faults.inject(never, None)
    ledger = world.folder / "ledger.sqlite"
    command = [sys.executable, "-X", "dev", "-m", "brew_provenance", "audit", TAP, *world.options]
    with subprocess.Popen(
        [*map(str, command), "--ledger", str(ledger)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=unmeasured() | {"PYTHONDEVMODE": "1"},
        start_new_session=True,
    ) as process:
        try:
            wait_until_recorded(ledger, process)
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "")
    assert err == f"note: {INTERRUPT} {ledger}\n"
    world.service.faults.clear()
    result = audit("--ledger", ledger)
    assert result.code == 4
    assert "2,400 bottles (120 verified, 2,280 unattested, 0 rejected, 0 unresolved)" in result.err
    # One chunk was recorded: 333 formulae, with all bottles that are attested.
    assert "; 1,401 judged, 0 bundles verified" in result.err


def test_an_interrupt_leaves_what_was_recorded_and_an_exit_code_of_its_own(
    audit: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish("foo")
    monkeypatch.setattr(Auditor, "run", interrupted)
    result = audit("--ledger", world.folder / "l.sqlite")
    assert (result.code, result.out) == (130, "")
    assert result.err == f"note: {INTERRUPT} {world.folder / 'l.sqlite'}\n"


def interrupted(*_arguments: object, **_keywords: object) -> None:
    raise KeyboardInterrupt


def wait_until_recorded(ledger: Path, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        try:
            with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as plain:
                if plain.execute("SELECT count(*) FROM bottles").fetchone()[0]:
                    return
        except sqlite3.Error:
            continue


# Shards


def shards(audit: Run, world: World, of: int, *arguments: object) -> list[Path]:
    paths = [world.folder / f"{number}-of-{of}.sqlite" for number in range(1, of + 1)]
    for number, path in enumerate(paths, 1):
        audit("--shard", f"{number}/{of}", "--ledger", path, *arguments)
    return paths


def without_times(text: str) -> str:
    document = json.loads(text)
    document["run"] |= {"started": "then", "finished": "now"}
    return json.dumps(document)


def test_shards_that_are_merged_give_the_report_and_the_exit_code_of_the_whole(
    audit: Run, run: Run, world: World
) -> None:
    names = ["bar", "foo", "git", "jq", "qux", "zed"]
    world.publish(*names)
    world.attest(*names[:4])
    world.attest("qux", job=replace(JOB, repository="mallory/homebrew-tap"))
    whole = audit("--format", "json")
    paths = shards(audit, world, 3)
    merged = run("audit", "merge", world.folder / "out.sqlite", *paths[::-1], "--format", "json")
    assert (merged.code, merged.err) == (whole.code, "") == (3, "")
    assert without_times(merged.out) == without_times(whole.out)
    report = run("audit", "report", TAP, "--ledger", world.folder / "out.sqlite", "--format", "json")
    assert report.out == merged.out


def test_a_shard_without_bottles_is_no_error_and_a_tap_without_any_is(
    audit: Run, run: Run, world: World
) -> None:
    world.publish("foo")
    world.attest("foo")
    paths = [world.folder / f"{number}.sqlite" for number in range(1, 5)]
    results = [audit("--shard", f"{n}/4", "--ledger", path) for n, path in enumerate(paths, 1)]
    assert [result.code for result in results] == [0] * 4
    counts = ["0 bottles (shard" in result.out for result in results]
    assert counts.count(True) == 3
    merged = run("audit", "merge", world.folder / "out.sqlite", *paths)
    assert (merged.code, "octo/tap: 3 bottles, audited" in merged.out) == (0, True)
    world.publish(foo=WITHOUT_BOTTLES)
    assert audit("--shard", "1/4").code == 2


def test_shards_that_do_not_make_a_whole_are_refused(audit: Run, run: Run, world: World) -> None:
    world.publish("bar", "foo")
    paths = shards(audit, world, 2)
    result = run("audit", "merge", world.folder / "out.sqlite", paths[0])
    assert (result.code, result.out) == (2, "")
    assert "not all the shards of one audit, each once: 1/2" in result.err
    result = run("audit", "merge", world.folder / "out.sqlite", *paths, "--tap", "octo/other")
    assert (result.code, "no audit of octo/other" in result.err) == (2, True)
    result = run("audit", "merge", world.folder / "out.sqlite")
    assert result.code == 2


# Differences


def test_nothing_changed_is_no_alarm(audit: Run, run: Run, world: World) -> None:
    world.publish("foo")
    world.attest("foo")
    ledger = world.folder / "l.sqlite"
    for _ in range(2):
        audit("--ledger", ledger)
    result = run("audit", "diff", ledger)
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("\nnothing changed\n\n0 alarms.\n")
    assert run("audit", "diff", ledger, ledger, "--tap", "Octo/tap").code == 0


def test_an_alarm_exits_with_3_and_one_that_was_not_asked_for_does_not(
    audit: Run, run: Run, world: World
) -> None:
    world.publish("bar", "foo")
    world.attest("bar", "foo")
    old, new = world.folder / "old.sqlite", world.folder / "new.sqlite"
    audit("--ledger", old)
    world.publish("bar", "foo", version="1.1")
    world.attest("bar")
    audit("--ledger", new)
    result = run("audit", "diff", old, new)
    assert result.code == 3
    assert "\nALARM regression: 3\n" in result.out
    assert "      foo--1.1.sonoma.bottle.tar.gz: unattested\n" in result.out
    assert run("audit", "diff", old, new, "--fail-on", "regression").code == 3
    quiet = run("audit", "diff", old, new, "--fail-on", "signer-changed", "--fail-on", "source-changed")
    assert (quiet.code, "3 alarms, 3 of a kind that was not asked for." in quiet.out) == (0, True)
    result = run("audit", "diff", old, new, "--flag-day", "2026-01-01")
    assert "ALARM unattested-after-flag-day: 3" in result.out
    assert "unattested-after-flag-day" not in run("audit", "diff", old, new, "--flag-day", "9999-01-01").out


def test_differences_are_printed_in_every_form(audit: Run, run: Run, world: World) -> None:
    world.publish("foo")
    world.attest("foo")
    ledger = world.folder / "l.sqlite"
    audit("--ledger", ledger)
    world.publish("foo", version="1.1")
    audit("--ledger", ledger)
    schema = json.loads((SCHEMAS / "audit-diff-v1.schema.json").read_text(encoding="utf-8"))
    document = json.loads(run("audit", "diff", ledger, "--format", "json").out)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert document["summary"] == {"regression": 3, "added": 3, "removed": 3}
    assert document["failOn"] == list(ALARMS)
    file = world.folder / "diff.md"
    result = run("audit", "diff", ledger, "--format", "markdown", "--output", file)
    assert (result.code, result.out) == (3, "")
    assert "| **regression** | 3 |" in file.read_text(encoding="utf-8")


def test_an_attestation_that_is_gone_is_seen_by_a_refreshed_audit(audit: Run, run: Run, world: World) -> None:
    world.publish("foo")
    world.attest("foo")
    ledger = world.folder / "l.sqlite"
    assert audit("--ledger", ledger).code == 0
    (attestation,) = world.service.store.find("octo", world.formula("foo").bottles[0].digest)
    world.service.store.delete([attestation.id])
    assert audit("--ledger", ledger).code == 0
    assert run("audit", "diff", ledger).code == 0
    assert audit("--ledger", ledger, "--refresh").code == 4
    result = run("audit", "diff", ledger, "--fail-on", "attestation-gone")
    assert result.code == 3
    assert "ALARM provenance-lost: 3" in result.out
    assert "ALARM attestation-gone: 3" in result.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument 'OLD'"),
        (["missing.sqlite"], "No such file"),
        (["l.sqlite", "missing.sqlite"], "No such file"),
        (["l.sqlite"], "only one audit of octo/tap in it that could be compared"),
        (["l.sqlite", "l.sqlite", "--tap", "octo/other"], "no audit of octo/other"),
        (["l.sqlite", "l.sqlite", "--fail-on", "added"], "'added' is not one of"),
        (["l.sqlite", "l.sqlite", "--flag-day", "yesterday"], "'yesterday' does not match"),
        (["l.sqlite", "l.sqlite", "--format", "sarif"], "'sarif' is not one of"),
        (["l.sqlite", "tag.sqlite"], "of different parts of the tap: all of it, and tag sonoma"),
        (["l.sqlite", "root.json"], "not a database"),
        (["l.sqlite", "l.sqlite", "--output", "missing/x"], "No such file"),
    ],
)
def test_what_cannot_be_compared_exits_with_2_and_says_why(
    arguments: list[str], said: str, audit: Run, run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.folder)
    world.publish("foo")
    audit("--ledger", "l.sqlite")
    audit("--ledger", "tag.sqlite", "--tag", "sonoma")
    result = run("audit", "diff", *arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert "Traceback" not in result.err


def test_the_runs_of_one_ledger_are_compared_with_their_like(audit: Run, run: Run, world: World) -> None:
    world.publish("bar", "foo")
    ledger = world.folder / "l.sqlite"
    audit("--ledger", ledger)
    audit("--ledger", ledger, "--formula", "foo")
    assert run("audit", "diff", ledger).code == 2
    world.publish("bar", "foo", "qux")
    audit("--ledger", ledger)
    result = run("audit", "diff", ledger, "--format", "json")
    document: dict[str, Any] = json.loads(result.out)
    assert document["summary"] == {"added": 3}


@pytest.mark.parametrize("command", [[], ["run"], ["report"], ["diff"], ["merge"]])
def test_every_command_says_what_it_does(command: list[str], run: Run) -> None:
    result = run("audit", *command, "--help")
    assert (result.code, result.out.startswith("Usage: brew-provenance audit")) == (0, True)


def test_a_name_that_is_neither_a_tap_nor_a_command_is_refused(run: Run) -> None:
    result = run("audit", "everything")
    assert (result.code, "No such command 'everything'" in result.err) == (2, True)
