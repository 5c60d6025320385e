"""Small taps, what their publishing jobs signed, a store that counts, and audits of all that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from brew_provenance.appraise import Candidate
from brew_provenance.audit.executors import LocalProcesses, StartExecutor
from brew_provenance.audit.ledger import Entry, Judgement, Ledger, Run, verdict_key
from brew_provenance.audit.report import FORMATS, json_document
from brew_provenance.audit.run import Auditor, Progress, plan
from brew_provenance.audit.shard import Shard
from brew_provenance.bottle import Bottle, Digest
from brew_provenance.bundle import read_bundle
from brew_provenance.findings import Finding
from brew_provenance.formula import Formula, UnnamedBottle
from brew_provenance.policy import Policy, policy_for_tap
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.stores import Answer
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Outcome

TAP: Final = "octo/tap"
REPOSITORY: Final = "octo/homebrew-tap"
JOB: Final = ActionsJob(repository=REPOSITORY, event_name="workflow_dispatch")
POLICY: Final = policy_for_tap(TAP)
TAGS: Final = ("arm64_sonoma", "x86_64_linux")
SIGSTORE: Final = VirtualSigstore()
ROOT: Final = TrustedRoot("the rehearsal's", encode_json(SIGSTORE.trusted_root()), built_in=False)


def digest_of(text: str) -> Digest:
    return Digest("sha256", hashlib.sha256(text.encode()).hexdigest())


def make_formula(name: str, tags: Sequence[str] = TAGS, version: str = "1.0", **changes: Any) -> Formula:
    """Return a formula with a bottle for each tag; their digests are those of name, version and tag."""
    bottles = []
    for number, tag in enumerate(tags):
        digest = digest_of(f"{name} {version} {tag}")
        url = f"https://ghcr.io/v2/{TAP}/{name}/blobs/{digest}"
        bottles.append(
            Bottle(TAP, name, version, 0, tag, digest, url, path=f"Formula/{name}.rb", line=number + 4)
        )
    formula = Formula(TAP, name, version, tuple(bottles), path=f"Formula/{name}.rb")
    return replace(formula, **changes)


def make_unnamed(name: str, tags: Sequence[str] = TAGS) -> Formula:
    """Return a formula whose version, and so the names of its bottles, cannot be known."""
    unnamed = tuple(UnnamedBottle(tag, digest_of(f"{name} {tag}"), 0, 7) for tag in tags)
    return Formula(TAP, name, None, (), unnamed, path=f"{name}.rb", gaps=("line 3: the version is computed",))


def attest(*bottles: Bottle, job: ActionsJob = JOB, **statement: Any) -> bytes:
    """Return an attestation of all of `bottles`; `statement` is what is different in it."""
    subjects = [build_subject(str(bottle.file_name), bottle.digest.value) for bottle in bottles]
    document = build_statement(subjects, job.provenance()) | statement
    return encode_json(SIGSTORE.attest(document, job, at=SIGNED_AT))


def attest_formula(formula: Formula) -> bytes:
    return attest(*formula.bottles)


@dataclass
class CountingStore:
    """Holds what it is given, and remembers what it was asked."""

    name: str = "the example store"
    bundles: dict[Digest, list[bytes]] = field(default_factory=dict)
    faults: dict[Digest, Finding] = field(default_factory=dict)
    """What goes wrong instead of an answer."""

    unreadable: dict[Digest, Finding] = field(default_factory=dict)
    """What one more row has in place of a bundle."""

    notes: tuple[Finding, ...] = ()
    asked: list[Digest] = field(default_factory=list)
    fresh: list[bool] = field(default_factory=list)

    def put(self, bundle: bytes, *bottles: Bottle | UnnamedBottle) -> None:
        for bottle in bottles:
            self.bundles.setdefault(bottle.digest, []).append(bundle)

    def resolve(self, digests: Sequence[Digest], *, fresh: bool = False) -> Mapping[Digest, Answer]:
        self.asked += digests
        self.fresh.append(fresh)
        # One bundle of a store is one value, however many digests it is for.
        read = {raw: read_bundle(raw) for digest in digests for raw in self.bundles.get(digest, ())}
        return {digest: self._answer(digest, read) for digest in digests}

    def _answer(self, digest: Digest, read: Mapping[bytes, Any]) -> Answer:
        if digest in self.faults:
            return Answer(findings=(self.faults[digest], *self.notes))
        candidates = [
            Candidate(f"row {number}", read[raw]) for number, raw in enumerate(self.bundles.get(digest, ()))
        ]
        if digest in self.unreadable:
            candidates.append(Candidate("another row", self.unreadable[digest]))
        return Answer(tuple(candidates), self.notes)


def make_store(*formulae: Formula) -> CountingStore:
    """Return a store with one attestation for each of `formulae`, of all its bottles."""
    store = CountingStore()
    for formula in formulae:
        store.put(attest_formula(formula), *formula.bottles)
    return store


class InProcess:
    """Does in this process, at once, what a pool of processes does."""

    def __init__(
        self, count: int, _context: object, initializer: Callable[..., None], initargs: tuple[Any, ...]
    ) -> None:
        self.count = count
        initializer(*initargs)
        self.batches: list[Any] = []

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self.batches.append(arguments)
        future: Future[Any] = Future()
        future.set_result(work(*arguments))
        return future

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        pass


def make_run(**changes: Any) -> Run:
    """Return a run that can be begun."""
    run = Run(
        id=0,
        tap=TAP,
        metadata="a test",
        store="the example store",
        policy=POLICY.name,
        policy_sha256=POLICY.sha256,
        roots=ROOT.sha256,
        tool_version="1.0",
        started="2026-03-02T00:00:00+00:00",
    )
    return replace(run, **changes)


def audit(
    ledger: Ledger,
    formulae: Iterable[Formula],
    store: CountingStore,
    *,
    policy: Policy = POLICY,
    roots: Sequence[TrustedRoot] = (ROOT,),
    tags: Sequence[str] = (),
    shard: Shard | None = None,
    workers: int = 1,
    executor: StartExecutor | None = None,
    refresh: bool = False,
    progress: Callable[[Progress], None] = lambda _progress: None,
    **run: Any,
) -> tuple[int, Progress]:
    """Audit formulae to the end, and return the number of the run and how far it came."""
    number = ledger.begin(make_run(**{"shard": str(shard or "")} | run))
    done = Auditor(policy, roots, executor or partial(LocalProcesses, count=workers)).run(
        plan(formulae, tags, shard), store, ledger, number, refresh=refresh, progress=progress
    )
    ledger.finish(number)
    return number, done


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """Open a ledger to write."""
    with Ledger(path, create=True) as ledger:
        yield ledger


def make_judgement(**changes: Any) -> Judgement:
    """Return what a ledger keeps of a bottle with build provenance."""
    judgement = Judgement(
        Outcome.VERIFIED,
        "build-provenance",
        (("formula-not-bound", "the attestation names no formula"),),
        {
            "bundle": "b" * 64,
            "signer": f"https://github.com/{REPOSITORY}/.github/workflows/publish.yml@refs/heads/main",
            "source": f"https://github.com/{REPOSITORY}",
            "ref": "refs/heads/main",
            "runner": "github-hosted",
            "signed": "2026-03-01T12:00:00+00:00",
            "logIndex": 7,
            "subject": None,
        },
        ("b" * 64,),
    )
    return replace(judgement, **changes)


UNATTESTED: Final = Judgement(Outcome.UNATTESTED, None, (), None, ())
REJECTED: Final = Judgement(
    Outcome.REJECTED, None, (("subject-digest-mismatch", "1 subject"),), None, ("c" * 64,)
)
UNRESOLVED: Final = Judgement(Outcome.UNRESOLVED, None, (("server-failed", "503"),), None, None)
NOTARISED: Final = make_judgement(gives="notarisation")


def make_entry(
    formula: str = "foo", tag: str = "sonoma", judgement: Judgement | None = None, **changes: Any
) -> Entry:
    """Return a bottle of a run; its key is that of all that it says."""
    judgement = judgement or make_judgement()
    version = changes.get("version", "1.0")
    entry = Entry(
        formula,
        0,
        version,
        0,
        tag,
        f"{formula}--{version}.{tag}.bottle.tar.gz",
        digest_of(f"{formula} {version} {tag}").value,
        f"Formula/{formula}.rb",
        4,
        "",
        judgement,
    )
    entry = replace(entry, **changes)
    return replace(entry, key=verdict_key([repr(entry)]))


def record(ledger: Ledger, entries: Sequence[Entry], *, finish: bool = True, **run: Any) -> int:
    """Write a run as an audit would have, and return its number."""
    number = ledger.begin(make_run(**run))
    with ledger.transaction():
        ledger.record(
            number,
            "the example store",
            {
                Digest("sha256", entry.sha256): entry.judgement.bundles
                for entry in entries
                if entry.judgement.bundles is not None
            },
            {entry.key: entry.judgement for entry in entries},
            entries,
        )
    if finish:
        ledger.finish(number)
    return number


def found(ledger: Ledger, run: int) -> list[tuple[str, int, str, Outcome]]:
    """Return the bottles of a run with their outcomes."""
    return [(entry.formula, entry.place, entry.tag, entry.judgement.outcome) for entry in ledger.entries(run)]


def as_json(ledger: Ledger, run: int) -> dict[str, Any]:
    """Return the JSON report without its times."""
    document: dict[str, Any] = json.loads("".join(json_document(ledger, ledger.run(run))))
    for name in ("started", "finished"):
        del document["run"][name]
    return document


def reports(ledger: Ledger, run: int, names: Iterable[str] = tuple(FORMATS)) -> dict[str, str]:
    """Return reports of a run to the byte, as if it had been made at one moment."""
    found = ledger.run(run)
    found = replace(found, finished=found.started)
    return {name: "".join(FORMATS[name](ledger, found)) for name in names}


def mixture() -> tuple[list[Formula], CountingStore]:
    """Return a tap with everything in it, and its store."""
    formulae = [
        make_formula(f"f{number:02}", [f"t{n}" for n in range(1 + number % 4)]) for number in range(20)
    ]
    store = make_store(*formulae[:14])
    # One for formulae that are far apart, forged ones, and a store that does not answer.
    ends = [*formulae[0].bottles, *formulae[9].bottles, *formulae[15].bottles]
    store.put(attest(*ends), *ends)
    store.put(attest_formula(formulae[3]), *formulae[16].bottles)
    store.put(b"{}", *formulae[17].bottles)
    store.faults |= dict.fromkeys((b.digest for b in formulae[18].bottles), Finding("server-failed", "503"))
    return [*formulae, make_unnamed("u")], store
