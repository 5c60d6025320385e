"""Audit a tap: look up, verify each distinct bundle once in worker processes, judge each bottle, record."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import brew_provenance
from brew_provenance.appraise import Candidate, answer, appraise, appraise_bundle, decide
from brew_provenance.audit.ledger import AuditedBottle, Judgement, Ledger, verdict_key
from brew_provenance.bottle import Bottle, Digest
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.findings import Finding
from brew_provenance.formula import Formula, UnnamedBottle
from brew_provenance.policy import Policy
from brew_provenance.stores import Answer, Store
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Assessment, Basis, Outcome, Verdict

CHUNK: Final = 1_000
"""Bottles that are looked up and recorded together: memory and what a kill can lose."""

PART: Final = 250
"""Bottles that one worker judges at a time."""


@dataclass(frozen=True)
class Subject:
    """One bottle of the plan."""

    number: int
    """Its place in the plan, counted from 0."""

    formula: Formula
    bottle: Bottle | UnnamedBottle

    @property
    def question(self) -> Question:
        """What is asked about it."""
        if isinstance(self.bottle, Bottle):
            return Question(str(self.bottle.file_name), (self.bottle.digest,), bottle=self.bottle)
        return Question(f"{self.formula.name} ({self.bottle.tag})", (self.bottle.digest,))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is known about it before anything is looked up."""
        if isinstance(self.bottle, Bottle):
            return ()
        return (Finding("package-version-unknown", "; ".join(self.formula.gaps)),)

    def identity(self) -> tuple[str, ...]:
        """Return all of the bottle that a verdict depends on."""
        if isinstance(self.bottle, Bottle):
            bottle = self.bottle
            return (bottle.tap, str(bottle.file_name), str(bottle.digest), bottle.url)
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


def plan(formulae: Iterable[Formula], tags: Sequence[str] = ()) -> Iterator[Subject]:
    """Yield every bottle of `formulae`, or those for some tags, as they are written."""
    numbers = count()
    for formula in formulae:
        bottles: list[Bottle | UnnamedBottle] = [*formula.bottles, *formula.unnamed]
        for bottle in bottles:
            if not tags or bottle.tag in tags:
                yield Subject(next(numbers), formula, bottle)


class Auditor:
    """Judges a plan under one policy and under some trusted roots."""

    def __init__(self, policy: Policy, roots: Sequence[TrustedRoot], workers: int | None = None) -> None:
        """Use `workers` processes: as many as there are cores when it is None."""
        self._policy = policy
        self._roots = tuple(roots)
        self._workers = workers or os.cpu_count() or 1
        self._rules = (
            brew_provenance.__version__,
            policy.sha256,
            *sorted(root.sha256 for root in roots),
        )

    def run(  # noqa: PLR0913 - what is audited, with what, and where it is written down
        self,
        subjects: Iterable[Subject],
        store: Store,
        ledger: Ledger,
        run: int,
        *,
        refresh: bool = False,
        progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> Progress:
        """Judge all of `subjects` and record them in `ledger`, chunk by chunk.

        What the ledger has an answer and a verdict for is not asked for and not judged again; the store is
        asked for everything when `refresh`. While one chunk is judged the next is looked up.
        """
        done = Progress()
        # Its processes start when the first part is handed to it.
        pool = ProcessPoolExecutor(
            self._workers,
            multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self._roots, self._policy, store.name),
        )
        try:
            under_way: deque[_Chunk] = deque()
            for subject_list in _chunks(subjects, CHUNK):
                under_way.append(self._start(subject_list, store, ledger, pool, refresh=refresh))
                if len(under_way) > 1:
                    self._settle(under_way.popleft(), store, ledger, run, done, progress)
            while under_way:
                self._settle(under_way.popleft(), store, ledger, run, done, progress)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return done

    def _start(
        self,
        subjects: Sequence[Subject],
        store: Store,
        ledger: Ledger,
        pool: ProcessPoolExecutor,
        *,
        refresh: bool,
    ) -> _Chunk:
        digests = list(dict.fromkeys(subject.bottle.digest for subject in subjects))
        remembered = {} if refresh else ledger.answers(store.name, digests)
        keys = {
            subject.number: self._key(subject, remembered[subject.bottle.digest], ())
            for subject in subjects
            if subject.bottle.digest in remembered
        }
        known = ledger.outcomes(list(dict.fromkeys(keys.values())))
        open_ = [subject for subject in subjects if keys.get(subject.number) not in known]
        wanted = list(dict.fromkeys(subject.bottle.digest for subject in open_))
        answers = store.resolve(wanted, fresh=refresh)
        named = {digest: _name_bundles(answer_) for digest, answer_ in answers.items()}
        for subject in open_:
            found = named[subject.bottle.digest]
            keys[subject.number] = self._key(subject, found.bundles, found.faults)
        if refresh:
            known |= ledger.outcomes([keys[subject.number] for subject in open_])
        to_judge = [subject for subject in open_ if keys[subject.number] not in known]
        parts = [pool.submit(_judge_part, _part(some, answers, named)) for some in _chunks(to_judge, PART)]
        whole = {digest: found.bundles for digest, found in named.items() if not found.faults}
        return _Chunk(subjects, keys, known, whole, parts)

    def _settle(  # noqa: PLR0913, PLR0917 - the parts of a run
        self,
        chunk: _Chunk,
        store: Store,
        ledger: Ledger,
        run: int,
        done: Progress,
        progress: Callable[[Progress], None],
    ) -> None:
        judged: dict[int, Judgement] = {}
        for part in chunk.parts:
            judgements, bundles = part.result()
            judged |= judgements
            done.bundles += bundles
        verdicts = {chunk.keys[number]: judgement for number, judgement in judged.items()}
        for subject in chunk.subjects:
            key = chunk.keys[subject.number]
            done.outcomes[verdicts[key].outcome if key in verdicts else chunk.known[key]] += 1
        bottles = [_audited(subject, chunk.keys[subject.number]) for subject in chunk.subjects]
        ledger.record(run, store.name, chunk.answers, verdicts, bottles)
        done.bottles += len(bottles)
        done.judged += len(judged)
        progress(done)

    def _key(self, subject: Subject, bundles: Sequence[str], faults: Sequence[Finding]) -> str:
        why = (f"{finding.code} {finding.detail}" for finding in faults)
        return verdict_key([*self._rules, None, *subject.identity(), None, *sorted(bundles), None, *why])


@dataclass(frozen=True)
class _Chunk:
    subjects: Sequence[Subject]
    keys: Mapping[int, str]
    known: Mapping[str, Outcome]
    answers: Mapping[Digest, Sequence[str]]
    """What the store answered in whole."""

    parts: Sequence[Future[tuple[dict[int, Judgement], int]]]


@dataclass(frozen=True)
class _Named:
    """A store's answer, its bundles by the digests of their bytes."""

    bundles: tuple[str, ...]
    faults: tuple[Finding, ...]
    """What keeps it from being a whole answer."""


def _name_bundles(answer_: Answer) -> _Named:
    bundles = [item.bundle.raw for item in answer_.candidates if isinstance(item.bundle, Bundle)]
    faults = [finding for finding in answer_.findings if finding.is_fault]
    faults += (item.bundle for item in answer_.candidates if isinstance(item.bundle, Finding))
    return _Named(tuple(hashlib.sha256(raw).hexdigest() for raw in bundles), tuple(faults))


@dataclass(frozen=True)
class _Part:
    """What a worker is sent: bottles, and the bundles that speak for them, each once."""

    asked: Sequence[tuple[int, Question, tuple[Finding, ...], tuple[str, ...]]]
    """Number, question, what is known, and the names of the bundles."""

    bundles: Mapping[str, bytes]


def _part(
    subjects: Sequence[Subject], answers: Mapping[Digest, Answer], named: Mapping[Digest, _Named]
) -> _Part:
    asked = []
    bundles: dict[str, bytes] = {}
    for subject in subjects:
        digest = subject.bottle.digest
        found = named[digest]
        raw = [item.bundle.raw for item in answers[digest].candidates if isinstance(item.bundle, Bundle)]
        bundles |= zip(found.bundles, raw, strict=True)
        asked.append((subject.number, subject.question, (*subject.findings, *_weigh(found)), found.bundles))
    return _Part(asked, bundles)


def _weigh(found: _Named) -> tuple[Finding, ...]:
    """Return the faults of an answer as they weigh: none of them, where there is a bundle to judge."""
    return () if found.bundles else found.faults


class _Worker:
    """What a worker process keeps."""

    def __init__(self, roots: Sequence[TrustedRoot], policy: Policy, store: str) -> None:
        from brew_provenance.verify import Verifier  # noqa: PLC0415 - not for the process that waits

        self.verifier = Verifier(roots)
        self.basis = Basis(tuple(roots), policy, store)


_worker: _Worker | None = None


def _begin(roots: Sequence[TrustedRoot], policy: Policy, store: str) -> None:
    global _worker  # noqa: PLW0603 - what an initializer is for
    _worker = _Worker(roots, policy, store)


def _judge_part(part: _Part) -> tuple[dict[int, Judgement], int]:
    """Judge a part in a worker process; returns judgements by number, and how many bundles were verified."""
    if _worker is None:
        raise RuntimeError("the worker was not begun")
    appraised: dict[str, Assessment] = {}
    judgements = {}
    for number, question, findings, names in part.asked:
        assessed = [_appraise(name, part.bundles[name], question, _worker, appraised) for name in names]
        judgements[number] = summarise(decide(question, assessed, _worker.basis, findings))
    return judgements, len(part.bundles)


def _appraise(
    name: str, raw: bytes, question: Question, worker: _Worker, appraised: dict[str, Assessment]
) -> Assessment:
    if name not in appraised:
        candidate = Candidate(name, read_bundle(raw))
        bundle = candidate.bundle
        if isinstance(bundle, Bundle) and bundle.payload_type is None:
            # A signature over a message is about one artifact alone.
            return appraise(question, [candidate], worker.verifier, worker.basis).assessments[0]
        appraised[name] = appraise_bundle(
            candidate, question.predicate_type, worker.verifier, worker.basis.policy
        )
    return answer(question, appraised[name])


def summarise(verdict: Verdict) -> Judgement:
    """Return the part of a verdict that a ledger keeps."""
    best = verdict.best
    verified = verdict.outcome is Outcome.VERIFIED
    findings = best.notes if verified and best is not None else verdict.faults
    gives = best.signer.gives.value if verified and best is not None and best.signer is not None else None
    return Judgement(
        verdict.outcome,
        gives,
        tuple((finding.code, finding.detail) for finding in findings),
        _evidence(best) if best is not None else None,
    )


def _evidence(best: Assessment) -> Mapping[str, str | int | None] | None:
    evidence = best.evidence
    if evidence is None:
        return None
    claims = evidence.claims
    return {
        "bundle": best.source,
        "signer": claims.identity,
        "source": claims.source_repository_uri,
        "ref": claims.source_repository_ref,
        "commit": claims.source_repository_digest,
        "run": claims.run_invocation_uri,
        "runner": claims.runner_environment,
        "trigger": claims.build_trigger,
        "signed": min(verified.time for verified in evidence.times).isoformat() if evidence.times else None,
        "log": evidence.log_entry.log_id,
        "logIndex": evidence.log_entry.index,
        "subject": best.subject.name if best.subject is not None else None,
    }


def _audited(subject: Subject, key: str) -> AuditedBottle:
    bottle, formula = subject.bottle, subject.formula
    return AuditedBottle(
        subject.number,
        formula.name,
        formula.version,
        bottle.rebuild,
        bottle.tag,
        str(bottle.file_name) if isinstance(bottle, Bottle) else None,
        bottle.digest.value,
        formula.path,
        bottle.line,
        key,
    )


def _chunks(subjects: Iterable[Subject], size: int) -> Iterator[list[Subject]]:
    """Yield subjects in lists of about `size`, never parting the bottles of a formula."""
    chunk: list[Subject] = []
    for subject in subjects:
        if len(chunk) >= size and chunk[-1].formula is not subject.formula:
            yield chunk
            chunk = []
        chunk.append(subject)
    if chunk:
        yield chunk
