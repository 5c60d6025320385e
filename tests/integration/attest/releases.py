"""A release of the fixtures' tap: recorded bottles, and a world with the job that publishes them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.integration.conftest import Run
from tests.unit.repositories import commit, make_repository

from brew_provenance.attest.attester import Attester
from brew_provenance.publish import Publisher
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.github.attestations import Visibility
from brew_provenance.sandbox.instance import LogVersion
from brew_provenance.sandbox.services.runner import Rehearsal
from brew_provenance.sandbox.services.world import World, WorldOptions
from brew_provenance.signing import Keyless
from brew_provenance.transport import Transport

FIXTURES: Final = Path(__file__).parents[3] / "formula-fixtures"
TAP: Final = "brew-provenance/fixtures"
REPOSITORY: Final = "brew-provenance/homebrew-fixtures"
FIXTURE_COMMIT: Final = "6d3f0a5b1c9e48e2b7a1f4c85d20e97b36ac18f4"
"""The commit that the fixtures' `*.bottle.json` name; a release names its own tap's."""

SUFFIX: Final = ".build-record"
HELLO2: Final = (
    "hello@2--2.4.1.arm64_tahoe.bottle.tar.gz",
    "hello@2--2.4.1.x86_64_linux.bottle.tar.gz",
)
ALL: Final = "salutations--4.2.all.bottle.tar.gz"
SECONDS: Final = 120


def make_tap(folder: Path) -> str:
    """Make the clone of the tap that a build job has, and return its commit."""
    shutil.copytree(FIXTURES / "Formula", folder / "Formula")
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("Formula/*/*.rb")}
    repository = make_repository(folder, bare=False)
    head = commit(repository, files)
    repository.index.read()
    repository.index.read_tree(repository.head.peel().tree)
    repository.index.write()
    repository.remotes.create("origin", f"https://github.com/{REPOSITORY}")
    repository.free()
    return head


def world_options(head: str, *, log_version: LogVersion = "rekor-v1", **job: Any) -> WorldOptions:
    """Return a world whose job is at the tap's commit."""
    rehearsal = Rehearsal(ActionsJob(event_name="workflow_dispatch", sha=head, **job))
    return WorldOptions(rehearsal, log_version=log_version)


def json_name(bottle: str) -> str:
    """Return the name that brew gives to the description of a bottle."""
    return f"{bottle.rpartition('.bottle.')[0]}.bottle.json"


def tool(arguments: Iterable[object], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        command_line(arguments),
        env=dict(environment),
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )


def command_line(arguments: Iterable[object]) -> list[str]:
    return [sys.executable, "-P", "-m", "brew_provenance", *map(str, arguments)]


@dataclass(frozen=True)
class Ground:
    """What all tests start from: the tap, the world, and all bottles with their records."""

    tap: Path
    head: str
    world: World
    recorded: Path

    def record(self, folder: Path, **changes: str) -> None:
        """Record the bottles in a folder, as the build job of the world does."""
        environment = self.world.environment_for(os.environ) | changes
        job = ["--job-id", environment["SANDBOX_JOB_ID"]]
        done = tool(["record", folder, "--tap-dir", self.tap, *job], environment)
        assert done.returncode == 0, done.stderr

    def lay_out(self, folder: Path, bottles: Iterable[str]) -> None:
        """Put bottles into a folder, each with brew's description of it, at the commit of this tap."""
        folder.mkdir(parents=True, exist_ok=True)
        for bottle in bottles:
            shutil.copyfile(FIXTURES / "bottles" / bottle, folder / bottle)
            described = (FIXTURES / "bottle-json" / json_name(bottle)).read_text(encoding="utf-8")
            (folder / json_name(bottle)).write_text(
                described.replace(FIXTURE_COMMIT, self.head), encoding="utf-8"
            )

    def record_all(self) -> None:
        """Make the records of all bottles, on the systems that they are for."""
        by_system: dict[str, list[str]] = {"Linux": [], "macOS": []}
        for path in sorted((FIXTURES / "bottles").iterdir()):
            by_system["Linux" if "linux" in path.name else "macOS"].append(path.name)
        for system, bottles in by_system.items():
            folder = self.recorded.with_name(f"{self.recorded.name}-{system}")
            self.lay_out(folder, bottles)
            self.record(folder, RUNNER_OS=system)
            shutil.copytree(folder, self.recorded, dirs_exist_ok=True)


@dataclass
class Release:
    """What one test has: a folder of bottles, one for the bundles, and an empty store."""

    ground: Ground
    folder: Path
    bundles: Path
    environment: dict[str, str]

    @property
    def world(self) -> World:
        return self.ground.world

    def take(self, *bottles: str, records: bool = True) -> None:
        """Put recorded bottles into the folder; all there are, where none is named."""
        self.folder.mkdir(exist_ok=True)
        names = bottles or tuple(path.name for path in (FIXTURES / "bottles").iterdir())
        for bottle in names:
            for name in (bottle, json_name(bottle)):
                shutil.copyfile(self.ground.recorded / name, self.folder / name)
            if records:
                shutil.copyfile(self.ground.recorded / record_of(bottle), self.folder / record_of(bottle))

    def edit(self, bottle: str, change: Any) -> None:
        """Alter a bottle's record."""
        path = self.folder / record_of(bottle)
        document = json.loads(path.read_bytes())
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    @property
    def instance(self) -> list[object]:
        """Whom to trust, and where to look."""
        said = self.world.environment
        return ["--github-api", said["SANDBOX_GITHUB_API"], "--trusted-root", said["SANDBOX_TRUSTED_ROOT"]]

    @property
    def resuming(self) -> list[object]:
        """The arguments of a run that goes on with what is signed."""
        return ["attest", "--resume", *self.instance, "--bundles", self.bundles]

    @property
    def arguments(self) -> list[object]:
        """The arguments of a run."""
        config = self.world.environment["SANDBOX_TRUST_CONFIG"]
        return [
            *("attest", self.folder, *self.instance, "--trust-config", config),
            *("--bundles", self.bundles),
        ]

    @property
    def entries(self) -> int:
        """How many signatures the logs have."""
        return len(self.world.log.v1.log.tree) + len(self.world.log.v2.log.tree)

    def stored(self) -> list[str]:
        """Return the subjects of all attestations in the store."""
        store = self.world.github.store
        found = []
        for number in range(1, 10_000):
            kept = store.get(number)
            if kept is not None:
                statement = payload(json.loads(kept.bundle))
                found += [subject["name"] for subject in statement["subject"]]
        return sorted(found)

    def written(self) -> str:
        """Return all that the run has left in files, but for the bottles."""
        files = [*self.bundles.rglob("*"), *self.folder.glob("*[!z]"), *self.world.folder.glob("*output*")]
        files += self.world.folder.glob("*summary*")
        return "".join(path.read_bytes().decode("utf-8", "replace") for path in files if path.is_file())

    def secrets(self) -> list[str]:
        """Return what must not be in any output."""
        return [self.world.token, self.world.request_token]


def record_of(bottle: str) -> str:
    """Return the name of a bottle's record."""
    return bottle.removesuffix(".tar.gz") + SUFFIX


def payload(bundle: Any) -> Any:
    """Return the statement in a bundle."""
    return json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))


def reset(world: World, started: Any) -> None:
    """Let a world be as it was when it began, but for its logs, which only grow."""
    for faults in world.faults.values():
        faults.clear()
    for log in world.requests.values():
        log.clear()
    store = world.github.store
    store.delete(range(1, 10_000))
    store.set_visibility(world.rehearsal.job.repository, Visibility.PUBLIC)
    jobs = world.rehearsal.jobs(started)
    world.github.runs.put(world.rehearsal.run(started), jobs)
    for name in ("output", "step-summary.md"):
        (world.folder / name).write_bytes(b"")


def with_job(world: World, started: Any, **changes: Any) -> None:
    """Let GitHub say something else of the build job."""
    jobs = world.rehearsal.jobs(started)
    world.github.runs.put(world.rehearsal.run(started), [replace(jobs[0], **changes), *jobs[1:]])


def hurry(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """Let nothing in this process wait before it tries again; `values` are other defaults."""
    for function in (Keyless.__init__, Publisher.__init__, Attester.__init__, Transport.__init__):
        defaults: dict[str, Any] = function.__kwdefaults__ or {}
        for name, value in {"sleep": _do_not_wait, **values}.items():
            if name in defaults:
                monkeypatch.setitem(defaults, name, value)


def _do_not_wait(_: float) -> None:
    return


def findings(run: Run, release: Release, *formulae: str, code: int = 0) -> list[tuple[str, set[str]]]:
    """Return outcome and codes of every bottle, as `check` sees them."""
    result = run(
        *("check", *formulae, "--all-tags", "--tap", TAP, "--tap-dir", release.ground.tap),
        *(*release.instance, "--format", "json", "--refresh"),
    )
    assert result.code == code, result.out + result.err
    return [
        (
            verdict["outcome"],
            {
                finding["code"]
                for attestation in verdict["attestations"]
                for finding in attestation["findings"]
            },
        )
        for verdict in json.loads(result.out)["verdicts"]
    ]
