"""Audit a tap: look up, verify each distinct bundle once in worker processes, judge each bottle, record."""

from __future__ import annotations

import gc
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, groupby
from typing import TYPE_CHECKING, Final

import brew_provenance
from brew_provenance import strictjson
from brew_provenance.appraise import answer, decide
from brew_provenance.audit.executors import LocalProcesses, StartExecutor
from brew_provenance.audit.ledger import (
    MAX_INTEGER,
    AuditedBottle,
    Evidence,
    Judgement,
    Ledger,
    Listed,
    key_maker,
)
from brew_provenance.audit.shard import Shard
from brew_provenance.audit.verifying import Key, Rules, SignedBundle
from brew_provenance.audit.workers import Pending, Workers
from brew_provenance.bottle import Bottle, BottleTag, Digest
from brew_provenance.bundle import MAX_BUNDLE_BYTES, Bundle
from brew_provenance.findings import Finding
from brew_provenance.formula import Formula, UnnamedBottle
from brew_provenance.policy import Policy
from brew_provenance.stores import Answer, Store
from brew_provenance.subject import Question
from brew_provenance.taps import History
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Assessment, Basis, Outcome, Verdict

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1 import BottleBuild

CHUNK: Final = 1_000
"""Bottles that are looked up and recorded together: memory and what a kill can lose."""

MAX_TEXT: Final = 2_000
"""Characters of a detail or a claim that are recorded; those of hostile bundles could be millions."""

MAX_NOTES: Final = 100
"""Different notes of a store that are kept."""


@dataclass(frozen=True)
class Subject:
    """One bottle of the plan."""

    number: int
    """Its place in the plan, counted from 0."""

    formula: Formula
    bottle: Bottle | UnnamedBottle

    place: int = 0
    """Its place among the bottles that the formula declares, counted from 0."""

    file_name: str | None = None
    """The bottle's file name, where it is known."""

    listed: Listed | None = None
    """When the tap listed it, in an audit of its history."""

    @property
    def question(self) -> Question:
        """What is asked about it."""
        if isinstance(self.bottle, Bottle) and self.file_name is not None:
            return Question(self.file_name, (self.bottle.digest,), bottle=self.bottle)
        return Question(f"{self.formula.name} ({self.bottle.tag})", (self.bottle.digest,))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is known about it before anything is looked up."""
        if isinstance(self.bottle, Bottle):
            return ()
        return (Finding("package-version-unknown", "; ".join(self.formula.gaps)),)

    def identity(self) -> tuple[str, ...]:
        """Return all of the bottle and of its formula that a verdict depends on.

        Which commits the tap's repository holds is no part of it: what was judged without an attested
        commit is not judged again once that is fetched.
        """
        if isinstance(self.bottle, Bottle) and self.file_name is not None:
            bottle, formula = self.bottle, self.formula
            source = formula.source and (formula.source.sha256 or formula.source.revision)
            return (
                *(bottle.tap, self.file_name, str(bottle.digest), bottle.url),
                "text" if formula.text is not None else "fields",
                *(formula.file_sha256 or "", source or ""),
            )
        return (self.formula.full_name, self.bottle.tag, str(self.bottle.digest), *self.formula.gaps)


@dataclass
class Progress:
    """How far a run is."""

    bottles: int = 0
    judged: int = 0
    """Bottles that had to be judged, because no verdict on them stood in the ledger."""

    bundles: int = 0
    """Bundles that were verified."""

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))

    notes: dict[str, None] = field(default_factory=dict)
    """What the store had to say beside its answers, in the order of its saying so."""


def plan(
    formulae: Iterable[Formula], tags: Sequence[str] = (), shard: Shard | None = None
) -> Iterator[Subject]:
    """Yield every bottle of `formulae`, or those for some tags or of one shard, as they are written.

    A tag is meant however it is spelt; what is not one in a formula is for none of `tags`.
    """
    numbers = count()
    is_wanted = tag_filter(tags) if tags else None
    for formula in formulae:
        if shard is not None and not shard.holds(formula.name):
            continue
        bottles: list[Bottle | UnnamedBottle] = [*formula.bottles, *formula.unnamed]
        for place, bottle in enumerate(bottles):
            if is_wanted is None or is_wanted(bottle.tag):
                file_name = str(bottle.file_name) if isinstance(bottle, Bottle) else None
                yield Subject(next(numbers), formula, bottle, place, file_name)


def tag_filter(tags: Sequence[str]) -> Callable[[str], bool]:
    """Return what says whether a bottle for a tag is one of those that are meant, which all are for none."""
    wanted = {BottleTag.parse(tag) for tag in tags}

    def is_wanted(text: str) -> bool:
        if not wanted:
            return True
        try:
            return BottleTag.parse(text) in wanted
        except ValueError:
            return False

    return is_wanted


class Auditor:
    """Judges a plan under one policy and under some trusted roots."""

    def __init__(
        self, policy: Policy, roots: Sequence[TrustedRoot], executor: StartExecutor = LocalProcesses
    ) -> None:
        """Have bundles verified by what `executor` starts: processes of this machine, one a core."""
        self._policy = policy
        self._roots = tuple(roots)
        self._executor = executor
        roots_ = sorted(root.sha256 for root in roots)
        self._make_key = key_maker((brew_provenance.__version__, policy.sha256, *roots_, None))

    def run(  # noqa: PLR0913 - what is audited, with what, and where it is written down
        self,
        subjects: Iterable[Subject],
        store: Store,
        ledger: Ledger,
        run: int,
        *,
        refresh: bool = False,
        history: History | None = None,
        progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> Progress:
        """Judge all of `subjects` and record them in `ledger`, chunk by chunk.

        What the ledger has an answer and a verdict for is not asked for and not judged again; the store is
        asked for everything when `refresh`. `history` is the tap's repository, for the formula commits that
        attestations name, where it is at hand. While one chunk is verified the next is looked up. Raises
        LedgerError, WorkerDiedError, TrustError for roots that cannot be used, and UsageError for an
        executor that cannot; what was recorded until then stays.
        """
        done = Progress()
        basis = Basis(self._roots, self._policy, store.name)
        with _without_looking_back(), Workers(self._executor(Rules(self._roots, self._policy))) as workers:
            under_way: deque[_Chunk] = deque()

            def settle() -> None:
                chunk = under_way.popleft()
                self._settle(chunk, basis, ledger, run, done, history)
                workers.release(chunk.pending, {subject.bottle.digest.value for subject in chunk.subjects})
                done.bundles = workers.sent
                progress(done)

            for subject_list in _chunks(subjects, CHUNK):
                under_way.append(self._start(subject_list, store, ledger, workers, refresh=refresh))
                while len(under_way) > workers.ahead:
                    settle()
            while under_way:
                settle()
        return done

    def _start(
        self,
        subjects: Sequence[Subject],
        store: Store,
        ledger: Ledger,
        workers: Workers,
        *,
        refresh: bool,
    ) -> _Chunk:
        """Look up what the ledger does not know, and have the bundles verified."""
        digests = dict.fromkeys(subject.bottle.digest for subject in subjects)
        remembered = {} if refresh else ledger.answers(store.name, digests)
        keys = {
            subject.number: self._key(subject, remembered[subject.bottle.digest], ())
            for subject in subjects
            if subject.bottle.digest in remembered
        }
        known = ledger.outcomes(list(dict.fromkeys(keys.values())))
        asked = [subject for subject in subjects if keys.get(subject.number) not in known]
        # A digest that several bottles bear is likely to have an attestation for each.
        wanted = [subject.bottle.digest for subject in asked]
        answers = store.resolve(wanted, fresh=refresh) if wanted else {}
        # One bundle often speaks for many digests.
        names: dict[bytes, str] = {}
        found = {digest: _read_answer(digest, answer_, names) for digest, answer_ in answers.items()}
        for subject in asked:
            of_it = found[subject.bottle.digest]
            keys[subject.number] = self._key(subject, list(of_it.bundles), of_it.faults)
        known |= ledger.outcomes(list(dict.fromkeys(keys[subject.number] for subject in asked)))
        to_judge = [subject for subject in asked if keys[subject.number] not in known]
        pending = workers.verify(
            bundle
            for subject in to_judge
            if not subject.findings
            for bundle in found[subject.bottle.digest].bundles.values()
        )
        return _Chunk(subjects, keys, known, found, to_judge, pending)

    def _settle(  # noqa: PLR0913, PLR0917 - what there is to judge by, and where it is written down
        self,
        chunk: _Chunk,
        basis: Basis,
        ledger: Ledger,
        run: int,
        done: Progress,
        history: History | None,
    ) -> None:
        """Judge and record a chunk."""
        verdicts: dict[str, Judgement] = {}
        for subject in chunk.to_judge:
            found = chunk.found[subject.bottle.digest]
            verdict = _judge(subject, found, chunk.pending, basis, history)
            verdicts[chunk.keys[subject.number]] = summarise(
                verdict, found.bundles if found.is_whole else None
            )
        bottles = [_audited(subject, chunk.keys[subject.number]) for subject in chunk.subjects]
        answers = {digest: list(found.bundles) for digest, found in chunk.found.items() if found.is_whole}
        with ledger.transaction():
            ledger.record(run, basis.store, answers, verdicts, bottles)
        for bottle in bottles:
            key = bottle.key
            done.outcomes[verdicts[key].outcome if key in verdicts else chunk.known[key]] += 1
        done.bottles += len(bottles)
        done.judged += len(chunk.to_judge)
        for note in (note for found in chunk.found.values() for note in found.notes):
            if len(done.notes) < MAX_NOTES:
                done.notes[note] = None

    def _key(self, subject: Subject, bundles: Sequence[str], faults: Sequence[Finding]) -> str:
        why = (f"{finding.code} {finding.detail}" for finding in faults)
        return self._make_key((*subject.identity(), None, *sorted(bundles), None, *why))


@contextmanager
def _without_looking_back() -> Iterator[None]:
    """Have the collector leave alone what is there already: a whole tap, which stays until the end."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True)
class _Found:
    """A store's answer for one digest."""

    bundles: Mapping[str, SignedBundle]
    """Each once, by their names and in the order of these: two stores can list them differently."""

    own: tuple[Finding, ...]
    """What is found about the answer as such, notes included; faults among them decide."""

    unreadable: tuple[Assessment, ...]
    """Those of its candidates that are no bundles."""

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What keeps it from being a whole answer."""
        unreadable = (fault for assessment in self.unreadable for fault in assessment.faults)
        return (*(finding for finding in self.own if finding.is_fault), *unreadable)

    @property
    def is_whole(self) -> bool:
        """Whether it says all that the store has."""
        return not self.faults

    @property
    def notes(self) -> tuple[str, ...]:
        """What the store has to say beside its answer."""
        return tuple(_cut(finding.detail) for finding in self.own if not finding.is_fault)


@dataclass(frozen=True)
class _Chunk:
    subjects: Sequence[Subject]
    keys: Mapping[int, str]
    known: Mapping[str, Outcome]
    found: Mapping[Digest, _Found]
    to_judge: Sequence[Subject]
    pending: Mapping[Key, Pending]


def _read_answer(digest: Digest, answer_: Answer, names: dict[bytes, str]) -> _Found:
    """Sort an answer; `names` are those of the bundles that were seen before, by their bytes."""
    bundles = {}
    unreadable = []
    for candidate in answer_.candidates:
        bundle = candidate.bundle
        if isinstance(bundle, Finding):
            unreadable.append(Assessment(candidate.source, (bundle,)))
            continue
        if bundle.raw not in names:
            names[bundle.raw] = bundle_name(bundle)
        name = names[bundle.raw]
        bundles[name] = SignedBundle(name, bundle.raw, () if bundle.payload_type is not None else (digest,))
    return _Found(dict(sorted(bundles.items())), answer_.findings, tuple(unreadable))


def bundle_name(bundle: Bundle) -> str:
    """Return what is the same for a bundle however a store lays out its JSON.

    It is the sha256 of the JSON in ASCII without white space, the keys of each object in their order.
    """
    document = strictjson.loads(bundle.raw, MAX_BUNDLE_BYTES)
    return hashlib.sha256(json.dumps(document, separators=(",", ":"), sort_keys=True).encode()).hexdigest()


def _judge(
    subject: Subject,
    found: _Found,
    pending: Mapping[Key, Pending],
    basis: Basis,
    history: History | None,
) -> Verdict:
    question, known = subject.question, (*subject.findings, *found.own)
    assessed: list[Assessment] = []
    if not subject.findings:
        bind = partial(_bind, subject.formula, history)
        assessed += (answer(question, pending[bundle.key].get(), bind) for bundle in found.bundles.values())
    return decide(question, [*assessed, *found.unreadable], basis, known)


def _bind(formula: Formula, history: History | None, build: BottleBuild) -> Sequence[Finding]:
    from brew_provenance.formulamatch import bind_formula  # noqa: PLC0415 - loads a parser of Ruby

    return bind_formula(build, formula, version=formula.version, history=history)


def summarise(verdict: Verdict, bundles: Iterable[str] | None) -> Judgement:
    """Return the part of a verdict that a ledger keeps, with all bundles that the store has."""
    best = verdict.best
    verified = verdict.outcome is Outcome.VERIFIED
    findings = best.notes if verified and best is not None else verdict.faults
    gives = best.signer.gives.value if verified and best is not None and best.signer is not None else None
    return Judgement(
        verdict.outcome,
        gives,
        tuple((finding.code, _cut(finding.detail)) for finding in findings),
        _evidence(best) if best is not None else None,
        tuple(bundles) if bundles is not None else None,
    )


def _evidence(best: Assessment) -> Evidence | None:
    evidence = best.evidence
    if evidence is None:
        return None
    claims, entry = evidence.claims, evidence.log_entry
    found = {
        "bundle": best.source,
        "signer": claims.identity,
        "source": claims.source_repository_uri,
        "ref": claims.source_repository_ref,
        "commit": claims.source_repository_digest,
        "run": claims.run_invocation_uri,
        "runner": claims.runner_environment,
        "trigger": claims.build_trigger,
        "signed": min(verified.time for verified in evidence.times).isoformat() if evidence.times else None,
        "log": entry.log_id if entry is not None else None,
        "subject": best.subject.name if best.subject is not None else None,
        **(_build(best.build) if best.build is not None else {}),
    }
    texts = {name: _cut(value) if value is not None else None for name, value in found.items()}
    return texts | {"logIndex": entry.index if entry is not None else None}


def _build(build: BottleBuild) -> Mapping[str, str]:
    runner = build.runner
    return {
        "formula_commit": build.formula_commit,
        "formula_path": build.formula_path,
        "builder": build.builder,
        "build_run": build.invocation,
        "build_runner": f"{runner.name} ({runner.os} {runner.arch}, {runner.environment})",
    }


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"


def _audited(subject: Subject, key: str) -> AuditedBottle:
    bottle, formula = subject.bottle, subject.formula
    return AuditedBottle(
        formula.name,
        subject.place,
        formula.version,
        min(bottle.rebuild, MAX_INTEGER),
        bottle.tag,
        subject.file_name,
        bottle.digest.value,
        formula.path,
        bottle.line,
        key,
        listed=subject.listed,
    )


def _chunks(subjects: Iterable[Subject], size: int) -> Iterator[list[Subject]]:
    """Yield subjects in lists of up to `size`; longer ones hold one formula, which is never parted."""
    chunk: list[Subject] = []
    for _, of_formula in groupby(subjects, key=lambda subject: id(subject.formula)):
        together = list(of_formula)
        if chunk and len(chunk) + len(together) > size:
            yield chunk
            chunk = []
        chunk += together
    if chunk:
        yield chunk
