"""A publishing job's folder, and stand-ins for all that it talks to: what a test does not change is right."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.unit.archives import directory, member, packed
from tests.unit.buildjobs import PATH, SOURCE, TAP, Build

from brew_provenance.actionsapi import Repository, WorkflowJob, WorkflowRun
from brew_provenance.actionsjob import read_job
from brew_provenance.appraise import Candidate
from brew_provenance.attest.attester import Attester
from brew_provenance.attest.bundles import BundleFolder
from brew_provenance.attest.judging import Judging
from brew_provenance.attest.planning import plan
from brew_provenance.attest.preparing import Prepared, prepare
from brew_provenance.attest.results import Report
from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.errors import BuildSideError
from brew_provenance.findings import Finding
from brew_provenance.formula.bottleblock import without_bottle_block
from brew_provenance.policy import policy_for_tap
from brew_provenance.record import Surroundings, record_bottles
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.statement import read_statement
from brew_provenance.stores import Answer
from brew_provenance.trust import TrustedRoot
from brew_provenance.verify import Verifier

REPOSITORY: Final = "octo/homebrew-tap"
SERVER: Final = "https://github.com"
RUN: Final = "9876543210"
JOB: Final = "17"
PUBLISHER: Final = ActionsJob(
    repository=REPOSITORY,
    event_name="workflow_dispatch",
    run_id="555",
)
FOO: Final = "foo--1.1.x86_64_linux.bottle.tar.gz"
BAR: Final = "bar--1.1.x86_64_linux.bottle.tar.gz"
RECORD: Final = FOO.replace(".tar.gz", ".build-record")
NOW: Final = datetime.now(UTC).replace(microsecond=0)
NAMES: Final = ("foo", "bar", "baz", "qux", "quux")


@cache
def sigstore() -> VirtualSigstore:
    return VirtualSigstore()


@cache
def verifier() -> tuple[Verifier, TrustedRoot]:
    root = TrustedRoot("the sandbox", encode_json(sigstore().trusted_root()), built_in=False)
    return Verifier([root]), root


def judging(**changes: Any) -> Judging:
    """Return what decides, under the policy that is derived from the tap's name."""
    made, root = verifier()
    return replace(Judging(made, (root,), policy_for_tap(TAP), TAP), **changes)


def bottle_of(name: str, seed: str) -> bytes:
    """Return a bottle with the formula that the tap has, and a file of its own."""
    keg = f"{name}/1.1".encode()
    return packed(
        directory(keg),
        directory(keg + b"/.brew"),
        member(keg + b"/.brew/%s.rb" % name.encode(), without_bottle_block(SOURCE)),
        member(keg + b"/seed", seed.encode()),
    )


class Actions:
    """Knows one run with one job, as GitHub would, and counts what it is asked."""

    def __init__(self, commit: str) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.failure: BuildSideError | None = None
        self.known = (RUN, "1")
        self.run_values: dict[str, Any] = {
            "id": RUN,
            "attempt": "1",
            "repository": Repository(REPOSITORY, "801234567", "161234567", is_private=False),
            "head_sha": commit,
            "head_branch": "main",
            "event": "push",
            "path": ".github/workflows/tests.yml",
            "status": "completed",
            "conclusion": "success",
            "url": f"{SERVER}/{REPOSITORY}/actions/runs/{RUN}",
            "started_at": NOW - timedelta(minutes=9),
        }
        self.job_values: dict[str, Any] = {
            "id": JOB,
            "run_id": RUN,
            "run_attempt": "1",
            "name": "tests",
            "head_sha": commit,
            "status": "completed",
            "conclusion": "success",
            "runner_name": "GitHub Actions 3",
            "labels": ("ubuntu-24.04",),
            "started_at": NOW - timedelta(minutes=8),
            "finished_at": NOW + timedelta(minutes=1),
            "url": "",
        }

    def repository(self, name: str) -> Repository:
        self.asked.append((name,))
        return Repository(name, "801234567", "161234567", is_private=False)

    def run(self, repository: str, run_id: str, attempt: str) -> WorkflowRun:
        self.asked.append((repository, run_id, attempt))
        if self.failure is not None:
            raise self.failure
        if (run_id, attempt) != self.known:
            raise BuildSideError(f"run {run_id}", "it does not exist", "look at it")
        return WorkflowRun(**self.run_values)

    def jobs(self, repository: str, run_id: str, attempt: str) -> tuple[WorkflowJob, ...]:
        self.asked.append((repository, run_id, attempt, "jobs"))
        return (WorkflowJob(**self.job_values),)


class Signing:
    """Signs with the virtual Sigstore, as the publishing job; what it is told to fail with, it raises."""

    def __init__(self, job: ActionsJob = PUBLISHER) -> None:
        self.job = job
        self.signed: list[str] = []
        self.failures: dict[str, Exception] = {}
        """By the name of a statement's first subject."""
        self.alter: Callable[[bytes], bytes] = lambda bundle: bundle
        self._lock = threading.Lock()

    def claims(self) -> Mapping[str, str]:
        token = self.job.token("sigstore", NOW)
        return {name: str(value) for name, value in token.items()}

    def sign(self, statement: bytes) -> bytes:
        document = json.loads(statement)
        name = document["subject"][0]["name"]
        if name in self.failures:
            raise self.failures[name]
        with self._lock:
            self.signed.append(name)
            made = sigstore().attest(document, self.job, at=datetime.now(UTC))
        return self.alter(encode_json(made))


@dataclass
class MemoryStore:
    """A store that shows what it took in, after as many look-ups as `lag` says."""

    name: str = "memory"
    lag: int = 0
    held: list[tuple[int, Bundle]] = field(default_factory=list)
    answers: dict[Digest, Answer] = field(default_factory=dict)
    """What is answered of a digest whatever is held."""
    looks: int = 0
    asked: list[int] = field(default_factory=list)

    def resolve(self, digests: Sequence[Digest], *, fresh: bool = False) -> Mapping[Digest, Answer]:
        self.looks += 1
        self.asked.append(len(digests))
        return {digest: self.answers.get(digest, self._answer(digest)) for digest in digests}

    def _answer(self, digest: Digest) -> Answer:
        shown = [bundle for since, bundle in self.held if self.looks > since + self.lag]
        return Answer(
            tuple(Candidate("memory", bundle) for bundle in shown if digest.value.encode() in bundle.payload)
        )

    def add(self, raw: bytes) -> None:
        bundle = read_bundle(raw)
        assert isinstance(bundle, Bundle)
        self.held.append((self.looks, bundle))

    def subjects(self) -> list[str]:
        found = []
        for _, bundle in self.held:
            statement = read_statement(json.loads(bundle.payload))
            assert not isinstance(statement, Finding)
            found += [subject.name for subject in statement.subject]
        return sorted(found)


class Publishing:
    """Adds to a memory store; what it is told to fail with, it raises at the request of that number."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.requests = 0
        self.failures: dict[int, Exception] = {}
        self.before: Callable[[], None] = lambda: None
        self.unclear = False
        """Whether it takes bundles in without answering, and asks."""

    def publish(self, bundle: bytes, is_there: Callable[[], bool], /) -> str | None:
        self.requests += 1
        self.before()
        if self.requests in self.failures:
            raise self.failures[self.requests]
        self.store.add(bundle)
        if self.unclear:
            assert is_there()
            return None
        return str(self.requests)


class Release:
    """A folder of recorded bottles, and stand-ins."""

    def __init__(self, folder: Path, *names: str) -> None:
        files = {PATH.replace("foo", name): SOURCE for name in NAMES}
        self.build = Build(folder, files)
        self.folder = self.build.bottles
        self.bundles = folder / "bundles"
        self.actions = Actions(self.build.commit)
        self.signing = Signing()
        self.store = MemoryStore()
        self.publishing = Publishing(self.store)
        self.judging = judging()
        self.pauses: list[float] = []
        for name in names or ("foo",):
            self.bottle(name)
        self.record()

    def bottle(self, name: str = "foo", tag: str = "x86_64_linux", seed: str | None = None) -> Path:
        """Write a bottle with its JSON; those with the same seed have the same bytes."""
        file = f"{name}--1.1.{tag}.bottle.tar.gz"
        content = bottle_of(name, name if seed is None else seed)
        (self.folder / file).write_bytes(content)
        digest = _sha256(content)
        document = self.build.describe(digest, file, name, "1.1", tag, 0)
        self.build.write_json(document, f"{name}--1.1.{tag}.bottle.json")
        return self.folder / file

    def record(self, **environment: str) -> None:
        """Record the bottles, as their build job does."""
        job = read_job(self.build.environment(**environment), JOB)
        here = Surroundings(job, lambda _: self.build.tap)
        record_bottles([self.folder], here, now=NOW)

    def edit(self, change: Callable[[Any], object], name: str = RECORD) -> None:
        """Change a record."""
        path = self.folder / name
        document = json.loads(path.read_bytes())
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    def prepare(self, **options: Any) -> Prepared:
        given = {"publishing_run": PUBLISHER.run_id, **options}
        return prepare(self.folder, TAP, REPOSITORY, self.actions, **given)

    def attest(self, *, publish: bool = True, **options: Any) -> Report:
        """Do what the command does."""
        with BundleFolder(self.bundles) as folder:
            made = self.attester(folder, publish=publish)
            return made.attest(plan(self.prepare(**options).items), lambda: self.signing, SERVER)

    def resume(self) -> Report:
        """Do what the command does with --resume."""
        with BundleFolder(self.bundles) as folder:
            return self.attester(folder).resume()

    def attester(self, folder: BundleFolder, *, publish: bool = True) -> Attester:
        publisher = self.publishing if publish else None
        return Attester(folder, self.store, self.judging, publisher, sleep=self.pauses.append)

    def kept(self) -> list[str]:
        """Return the names of the bundles on disk."""
        return sorted(path.name for path in self.bundles.iterdir())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
