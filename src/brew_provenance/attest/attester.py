"""From bottles that were looked at to attestations that the store shows.

Signing happens several at once, publishing one after another, both in the order of the names. At the first
failure nothing further is begun; what was done stays on disk and in the store, and is told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Final, Protocol, TypeVar

from brew_provenance.appraise import Candidate, appraise_bundle
from brew_provenance.attest.bundles import BundleFolder
from brew_provenance.attest.foresight import foresee
from brew_provenance.attest.judging import Judging, RejectedError, bind_item
from brew_provenance.attest.planning import Work
from brew_provenance.attest.preparing import FoundError, Item, NotAttestedError
from brew_provenance.attest.results import Report, State, describe_attested
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.errors import BuildSideError, NothingMatchedError
from brew_provenance.findings import Finding, Step
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.stores import Answer, Store
from brew_provenance.verdict import Assessment

BATCH: Final = 64
"""Attestations that are signed, published and read back before the next ones are begun."""

AT_ONCE: Final = 4
"""Signatures under way at a time."""

READ_BACK_SECONDS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""How long to wait before each look whether the store shows what it took in."""

SETTLE_SECONDS: Final = 5.0
"""How long a store may take to show what a run that was cut off has published."""

_AGAIN: Final = "run `attest` again: what is signed is not signed twice"
_RESUME: Final = "run `attest --resume` with the same --bundles"
_T = TypeVar("_T")


class Signs(Protocol):
    """What signs: `signing.Keyless`."""

    def claims(self) -> Mapping[str, str]:
        """Return what the identity token says of the job."""

    def sign(self, statement: bytes) -> bytes:
        """Return the bundle of a statement; several threads may call it."""


class Publishes(Protocol):
    """What publishes: `publish.Publisher`."""

    def publish(self, bundle: bytes, is_there: Callable[[], bool], /) -> str | None:
        """Add a bundle and return its number; None when it was there already."""


@dataclass(frozen=True)
class _Ready:
    """An attestation that is signed, and on disk."""

    work: Work
    bundle: Bundle
    assessments: tuple[Assessment, ...]
    """What `check` says of it, a bottle each."""

    is_new: bool


class Attester:
    """Makes attestations out of what was prepared, or publishes those that were made before."""

    def __init__(  # noqa: PLR0913 - where from, by what, and where to
        self,
        folder: BundleFolder,
        store: Store,
        judging: Judging,
        publisher: Publishes | None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Publish with `publisher`, or nothing at all when it is None."""
        self._folder = folder
        self._store = store
        self._judging = judging
        self._publisher = publisher
        self._sleep = sleep
        self._clock = clock

    def attest(
        self,
        works: Sequence[Work],
        signing: Callable[[], Signs],
        server: str,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Report:
        """Sign what is not signed, check all of it, publish it, and read it back.

        `signing` is called when there is something to sign. Raises NotAttestedError, before anything is
        signed, when the policy would not accept what would be.
        """
        report = Report()
        open_works = self._without_attestation(works, report)
        report.unsigned = [item.name for work in open_works for item in work.items]
        try:
            kept = [one for work in open_works if (one := self._kept(work))]
            if kept:
                # The run that signed them may have been cut off right after it had published them.
                self._sleep(SETTLE_SECONDS)
            signed = {one.work.bundle for one in kept}
            to_sign = [work for work in open_works if work.bundle not in signed]
            waiting = {one.work.bundle: one for part in _batches(kept) for one in self._missing(part, report)}
            signer = _Signer(self, signing(), server) if to_sign else None
            if signer is not None:
                signer.foresee(to_sign, self._judging, self._clock())
            left = [work for work in open_works if work.bundle in waiting or work.bundle not in signed]
            for batch in _batches(left):
                self._make(batch, waiting, signer, report)
                progress(len(report.attested))
        except NotAttestedError:
            raise
        except BuildSideError as error:
            report.failure = error
        return report

    def resume(self, progress: Callable[[int], None] = lambda _: None) -> Report:
        """Publish the bundles on disk that the store does not have; sign nothing.

        Raises NothingMatchedError when there is none, and BuildSideError before anything is published for
        one that `check` would not accept.
        """
        names = list(self._folder)
        if not names:
            path = str(self._folder.path)
            raise NothingMatchedError(path, "there is no bundle", "name the folder of --bundles")
        works = [Work(name, self._items_of(name)) for name in names]
        report = Report(waiting=[item.name for work in works for item in work.items])
        try:
            for batch in _batches(works):
                ready = [self._checked(work, self._folder.read(work.bundle), is_new=False) for work in batch]
                self._publish(self._missing(ready, report), report)
                progress(len(report.attested))
        except BuildSideError as error:
            report.failure = error
        return report

    def _items_of(self, name: str) -> tuple[Item, ...]:
        """Return the bottles that a bundle is about. Raises RejectedError when it is not acceptable."""
        judging, bundle = self._judging, self._folder.read(name)
        candidate = Candidate(name, bundle)
        general = appraise_bundle(candidate, PROVENANCE_V1, judging.verifier, judging.policy)
        if general.statement is None or any(finding.is_fault for finding in general.findings):
            raise RejectedError(name, general.faults)
        items = []
        for subject in general.statement.subject:
            try:
                digest = Digest("sha256", subject.digest.get("sha256", ""))
                file_name = BottleFileName.parse(subject.name, _formula_of(general))
            except ValueError as error:
                path = str(self._folder.path / name)
                raise BuildSideError(path, f"not about a bottle: {error}", "remove it") from error
            items.append(Item(file_name, digest))
        return tuple(items)

    def _without_attestation(self, works: Sequence[Work], report: Report) -> list[Work]:
        """Report what the store has an attestation of, and return the rest."""
        left = []
        for batch in _batches(works):
            answers = self._resolve([item.digest for work in batch for item in work.items])
            for work in batch:
                found = []
                for item in work.items:
                    answer = answers[item.digest]
                    accepted = self._judging.find(item, answer.candidates, self._store.name)
                    if accepted is None:
                        _refuse_doubt(self._store, answer)
                        left.append(work)
                        break
                    found.append(describe_attested(item, accepted, State.THERE))
                else:
                    report.settle(found)
        return left

    def _resolve(self, digests: Sequence[Digest]) -> Mapping[Digest, Answer]:
        """Ask the store. Raises BuildSideError when it does not know of one of the digests."""
        answers = self._store.resolve(digests, fresh=True)
        for digest, answer in answers.items():
            for finding in answer.findings:
                if finding.is_fault:
                    cause = f"no answer for {digest} ({finding.code}): {finding.detail}"
                    raise BuildSideError(self._store.name, cause, _AGAIN)
        return answers

    def _kept(self, work: Work) -> _Ready | None:
        """Return what an earlier run has signed, where it has. Raises BuildSideError for anything else."""
        if not self._folder.holds(work.bundle):
            return None
        bundle = self._folder.read(work.bundle)
        try:
            return self._checked(work, bundle, is_new=False)
        except RejectedError as error:
            # It may be all that there is of another build's attestation: it is not written over.
            next_step = "publish it with `attest --resume`, or remove it, or give another folder"
            raise BuildSideError(str(self._folder.path / work.bundle), error.cause, next_step) from error

    def _checked(self, work: Work, bundle: Bundle, *, is_new: bool) -> _Ready:
        """Return a bundle as one to publish. Raises RejectedError when `check` would not accept it."""
        return _Ready(
            work,
            bundle,
            tuple(self._judging.check(item, bundle, work.bundle) for item in work.items),
            is_new,
        )

    def _make(
        self, batch: Sequence[Work], kept: Mapping[str, _Ready], signer: _Signer | None, report: Report
    ) -> None:
        """Sign and publish some attestations. Raises BuildSideError after what could be done was done."""
        stop = threading.Event()

        def sign(work: Work) -> _Ready | BuildSideError | None:
            if signer is None or work.bundle in kept:
                return kept[work.bundle]
            if stop.is_set():
                return None
            try:
                return signer.sign(work)
            except BuildSideError as error:
                stop.set()
                return error

        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                # What is under way at a failure comes to its end: it is on disk, and is published too.
                results = list(pool.map(sign, batch))
            finally:
                stop.set()
        ready = [result for result in results if isinstance(result, _Ready)]
        failures = [result for result in results if isinstance(result, BuildSideError)]
        self._publish(ready, report)
        if failures:
            raise failures[0]

    def keep(self, work: Work, raw: bytes) -> _Ready:
        """Check what was signed, as anybody will check it, and write it. Raises BuildSideError."""
        bundle = read_bundle(raw)
        if isinstance(bundle, Finding):
            raise RejectedError(work.bundle, [bundle])
        ready = self._checked(work, bundle, is_new=True)
        self._folder.write(work.bundle, raw)
        return ready

    def _publish(self, ready: Sequence[_Ready], report: Report) -> None:
        report.newly_signed += sum(len(one.work.items) for one in ready if one.is_new)
        report.wait_for([item.name for one in ready for item in one.work.items])
        numbers: list[tuple[_Ready, State, str | None]] = []
        failure = None
        for one in ready:
            if self._publisher is None:
                _settle(one, State.SIGNED, None, report)
                continue
            try:
                number = self._publisher.publish(one.bundle.raw, partial(self._is_there, one))
            except BuildSideError as error:
                failure = error
                break
            state = State.THERE if number is None else State.PUBLISHED
            numbers.append((one, state, number or None))
        self._read_back(numbers, report)
        if failure is not None:
            raise failure

    def _read_back(self, numbers: Sequence[tuple[_Ready, State, str | None]], report: Report) -> None:
        """Wait until the store shows what it took in. Raises BuildSideError when it does not."""
        missing = list(numbers)
        for pause in READ_BACK_SECONDS:
            if not missing:
                return
            self._sleep(pause)
            answers = self._store.resolve([_digest(one) for one, _, _ in missing], fresh=True)
            still = []
            for one, state, number in missing:
                if _has(answers[_digest(one)], one.bundle):
                    _settle(one, state, number, report)
                else:
                    still.append((one, state, number))
            missing = still
        if missing:
            more = f", nor {len(missing) - 1} more" if len(missing) > 1 else ""
            cause = f"took {missing[0][0].work.bundle} in, and does not show it{more}"
            raise BuildSideError(self._store.name, cause, f"wait a while, and {_RESUME}")

    def _missing(self, ready: Sequence[_Ready], report: Report) -> list[_Ready]:
        """Report those that the store has, the very attestation and no other, and return the rest."""
        answers = self._resolve([_digest(one) for one in ready])
        missing = []
        for one in ready:
            if _has(answer := answers[_digest(one)], one.bundle):
                _settle(one, State.THERE, None, report)
            else:
                _refuse_doubt(self._store, answer)
                missing.append(one)
        return missing

    def _is_there(self, ready: _Ready) -> bool:
        answer = self._resolve([_digest(ready)])[_digest(ready)]
        if _has(answer, ready.bundle):
            return True
        _refuse_doubt(self._store, answer)
        return False


class _Signer:
    """Signs statements of works."""

    def __init__(self, attester: Attester, signing: Signs, server: str) -> None:
        self._attester = attester
        self._signing = signing
        self._server = server
        self._claims = signing.claims()

    def foresee(self, works: Sequence[Work], judging: Judging, now: datetime) -> None:
        """Refuse what `check` would not accept. Raises NotAttestedError."""
        failures: list[BuildSideError] = []
        for work in works:
            statement = work.statement(self._claims, self._server)
            findings = foresee(
                statement,
                self._claims,
                judging.policy,
                bind=partial(bind_item, work.items[0]),
                server=self._server,
                now=now,
            )
            if findings:
                failures += (_foreseen(item.name, findings) for item in work.items)
        if failures:
            raise NotAttestedError(failures, [item.name for work in works for item in work.items])

    def sign(self, work: Work) -> _Ready:
        """Return a signed attestation, which is on disk. Raises BuildSideError."""
        statement = work.statement(self._claims, self._server)
        return self._attester.keep(work, self._signing.sign(statement))


def _foreseen(name: str, findings: Sequence[Finding]) -> FoundError:
    next_step = "mend the workflow, or the policy; nothing was signed"
    return FoundError(name, findings, said="`check` would reject its attestation: ", next_step=next_step)


def _refuse_doubt(store: Store, answer: Answer) -> None:
    """Refuse to go on where the store lists an attestation that cannot be had: it may be the one."""
    for candidate in answer.candidates:
        unread = candidate.bundle
        if isinstance(unread, Finding) and unread.reason.step is Step.RESOLVE and unread.is_fault:
            cause = f"{candidate.source} cannot be read ({unread.code}): {unread.detail}"
            raise BuildSideError(store.name, cause, _AGAIN)


def _has(answer: Answer, bundle: Bundle) -> bool:
    """Say whether a store has this attestation: the same words, signed by the same certificate."""
    mine = (bundle.payload_type, bundle.payload, bundle.certificate, bundle.signature)
    return any(
        isinstance(theirs := candidate.bundle, Bundle)
        and (theirs.payload_type, theirs.payload, theirs.certificate, theirs.signature) == mine
        for candidate in answer.candidates
    )


def _settle(ready: _Ready, state: State, number: str | None, report: Report) -> None:
    """Report an attestation as done."""
    report.settle(
        [
            describe_attested(
                item, assessment, state, bundle=ready.work.bundle, is_new=ready.is_new, number=number
            )
            for item, assessment in zip(ready.work.items, ready.assessments, strict=True)
        ]
    )


def _digest(ready: _Ready) -> Digest:
    return ready.work.items[0].digest


def _formula_of(assessment: Assessment) -> str | None:
    return assessment.build.parameters.formula if assessment.build is not None else None


def _batches(works: Sequence[_T]) -> Iterator[list[_T]]:
    coming = iter(works)
    while batch := list(islice(coming, BATCH)):
        yield batch
