"""A tap's whole release on loopback: bottles that a build job recorded, and all that `attest` talks to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.unit.archives import directory, member, packed
from tests.unit.buildjobs import PATH, REMOTE, SOURCE, TAP, Build

from brew_provenance.actionsjob import read_job
from brew_provenance.bottle import Digest
from brew_provenance.formula.bottleblock import without_bottle_block
from brew_provenance.record import Surroundings, record_bottles
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.github.attestations import Attestation
from brew_provenance.sandbox.services.runner import Rehearsal
from brew_provenance.sandbox.services.world import World, WorldOptions, serve_world

REPOSITORY: Final = REMOTE.removeprefix("https://github.com/")
WORKFLOW: Final = ".github/workflows/publish.yml"


def bottle_of(source: bytes, seed: str) -> bytes:
    """Return a bottle of foo with a file of its own in it."""
    keg = b"foo/1.1"
    text = without_bottle_block(source)
    return packed(
        directory(keg),
        directory(keg + b"/.brew"),
        member(keg + b"/.brew/foo.rb", text),
        member(keg + b"/seed", seed.encode()),
    )


class Release:
    """A build job's folder, and the world in which it is published."""

    def __init__(self, folder: Path, world: World, build: Build) -> None:
        self.folder = folder
        self.world = world
        self.build = build
        self.bundles = folder / "bundles"

    @property
    def bottles(self) -> Path:
        """The folder with the bottles and their records."""
        return self.build.bottles

    @property
    def environment(self) -> Mapping[str, str]:
        """What a step of the publishing job has."""
        return self.world.environment

    def bottle(self, tag: str = "x86_64_linux", *, seed: str | None = None) -> Path:
        """Make a bottle of foo with its JSON; `seed` stands in a file of it."""
        path = self.build.bottle(tag=tag)
        if seed is not None:
            before = hashlib.sha256(path.read_bytes()).hexdigest()
            path.write_bytes(bottle_of(SOURCE, seed))
            file = path.with_name(f"foo--1.1.{tag}.bottle.json")
            after = hashlib.sha256(path.read_bytes()).hexdigest()
            file.write_text(file.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
        return path

    def record(self, **runner: str) -> None:
        """Record the bottles, as the build job does, with some of its variables changed."""
        found = {**self.environment, **runner}
        job = read_job(found, found["SANDBOX_JOB_ID"])
        here = Surroundings(job, lambda _: self.build.tap)
        record_bottles([self.bottles], here, now=datetime.now(UTC))

    def change_record(self, name: str, **sections: Mapping[str, Any]) -> None:
        """Change what the record of a bottle says."""
        path = self.bottles / name
        document = json.loads(path.read_bytes())
        for section, changes in sections.items():
            document[section] |= changes
        path.write_text(json.dumps(document), encoding="utf-8")

    @property
    def arguments(self) -> list[object]:
        """Arguments of `attest`."""
        found = self.environment
        return [
            *("attest", self.bottles, "--tap", TAP, "--bundles", self.bundles),
            *("--github-api", found["SANDBOX_GITHUB_API"]),
            *("--trust-config", found["SANDBOX_TRUST_CONFIG"]),
            *("--trusted-root", found["SANDBOX_TRUSTED_ROOT"]),
            *("--max-per-minute", 100_000, "--max-per-hour", 1_000_000),
        ]

    def published(self, path: Path) -> list[Attestation]:
        """Return what the store has of a bottle."""
        digest = _digest(path)
        return self.world.github.store.find(REPOSITORY.partition("/")[0], digest)

    @property
    def entries(self) -> int:
        """How many entries the log was asked to take."""
        return self.world.requests["log"].count("POST", "*")

    @property
    def posts(self) -> int:
        """How many attestations the store was asked to take."""
        return self.world.requests["github"].count("POST", f"/repos/{REPOSITORY}/attestations")


def formula_of(name: str, version: str, revision: int = 0) -> bytes:
    """Return the source of a formula with a bottle block, as it is before its bottles are known."""
    words = name.replace("+", "x").partition("@")
    title = words[0].title() + (f"AT{words[2]}" if words[2] else "")
    text = SOURCE.decode().replace("class Foo", f"class {title}").replace("foo-1.1", f"{name}-{version}")
    revised = f"  revision {revision}\n\n" if revision else ""
    return text.replace("  bottle do", f"{revised}  bottle do").encode()


@contextmanager
def release(
    folder: Path,
    options: WorldOptions | None = None,
    *,
    formulae: Mapping[str, bytes] | None = None,
    **job: Any,
) -> Iterator[Release]:
    """Make a tap with one commit and serve a world for it; nothing is bottled or recorded yet."""
    build = Build(folder / "build", {PATH: SOURCE, **(formulae or {})})
    chosen = ActionsJob(repository=REPOSITORY, workflow_path=WORKFLOW, event_name="workflow_dispatch")
    made = Rehearsal(replace(chosen, sha=build.commit, **job))
    with serve_world(replace(options or WorldOptions(), rehearsal=made)) as world:
        yield Release(folder, world, build)


def _digest(path: Path) -> Digest:
    return Digest("sha256", hashlib.sha256(path.read_bytes()).hexdigest())
