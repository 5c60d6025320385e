"""Processes that verify bundles, each distinct one once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from brew_provenance.appraise import Candidate, appraise_bundle
from brew_provenance.bottle import Digest
from brew_provenance.bundle import read_bundle
from brew_provenance.errors import TrustError, UsageError
from brew_provenance.policy import Policy
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Assessment

if TYPE_CHECKING:
    from brew_provenance.verify import Verifier

BATCH: Final = 50
"""Bundles that a process verifies at a time; one takes about a millisecond."""

KEPT_SUBJECTS: Final = 20_000
"""Subjects of all statements that are kept for bottles to come; one takes about a kilobyte."""


class WorkerDiedError(UsageError):
    """A process that verifies was ended from outside, as happens when memory runs out."""


@dataclass(frozen=True)
class SignedBundle:
    """A bundle that has to be verified."""

    name: str
    """The digest of what it says, which tells it from others."""

    raw: bytes
    """Its JSON."""

    digests: tuple[Digest, ...] = ()
    """Those of the artifact, for a bundle that signs a message: it speaks for one artifact alone."""

    @property
    def key(self) -> _Key:
        """What an assessment is the same for."""
        return self.name, self.digests


_Key: TypeAlias = tuple[str, tuple[Digest, ...]]


@dataclass(frozen=True)
class _Refusal:
    """Why the trusted roots cannot be used: a TrustError's parts."""

    thing: str
    cause: str
    next_step: str


_Batch: TypeAlias = Future[Sequence[Assessment] | _Refusal]


@dataclass(frozen=True)
class Pending:
    """An assessment that is made, or being made."""

    batch: _Batch
    number: int
    """Its place in the batch."""

    def get(self) -> Assessment:
        """Wait for what is the same for all artifacts of the bundle, as `appraise.answer` takes it.

        Raises WorkerDiedError, and TrustError for roots that cannot be used.
        """
        with _alive():
            found = self.batch.result()
        if isinstance(found, _Refusal):
            raise TrustError(found.thing, found.cause, found.next_step)
        return found[self.number]


class Workers:
    """Processes that verify; they start when there is something to do, and end with the `with` block."""

    def __init__(self, count: int, roots: Sequence[TrustedRoot], policy: Policy) -> None:
        self._pool = ProcessPoolExecutor(
            count, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(tuple(roots), policy)
        )
        self._known: dict[_Key, Pending] = {}
        self._kept: OrderedDict[_Key, int] = OrderedDict()
        self.sent = 0
        """Bundles that were handed to a process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def verify(self, bundles: Iterable[SignedBundle]) -> Mapping[_Key, Pending]:
        """Return the assessments of bundles by their keys; only those that are not known are verified.

        Raises WorkerDiedError.
        """
        wanted = {bundle.key: bundle for bundle in bundles}
        new = [bundle for key, bundle in wanted.items() if key not in self._known]
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            future = self._submit(batch)
            self._known |= {bundle.key: Pending(future, number) for number, bundle in enumerate(batch)}
        self.sent += len(new)
        return {key: self._known[key] for key in wanted}

    def release(self, keys: Iterable[_Key], sha256s: Collection[str]) -> None:
        """Forget the bundles that speak for artifacts of these digests alone.

        The others may be asked for again, and are kept, as many as there is room for.
        """
        for key in keys:
            known = self._known.pop(key, None)
            if known is None:
                continue
            self._kept.pop(key, None)
            assessment = known.get()
            subjects = assessment.statement.subject if assessment.statement is not None else []
            if any(subject.digest.get("sha256") not in sha256s for subject in subjects):
                # By itself: the batch has others, which are not to be kept with it.
                alone: _Batch = Future()
                alone.set_result([assessment])
                self._known[key] = Pending(alone, 0)
                self._kept[key] = len(subjects)
        while sum(self._kept.values()) > KEPT_SUBJECTS:
            key, _ = self._kept.popitem(last=False)
            del self._known[key]

    def _submit(self, batch: Sequence[SignedBundle]) -> _Batch:
        # The first one starts the processes, which are not to hear of an interrupt: it is for us alone.
        with _alive(), _without_interrupts():
            return self._pool.submit(_verify, batch)


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise WorkerDiedError(
            "a process that verifies bundles",
            "was ended from outside",
            "run the same command again, which goes on; with fewer --workers where memory ran out",
        ) from error


@contextmanager
def _without_interrupts() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """What a process keeps."""

    def __init__(self, roots: Sequence[TrustedRoot], policy: Policy) -> None:
        from brew_provenance.verify import Verifier  # noqa: PLC0415 - not for the process that waits

        self.policy = policy
        self.verifier: Verifier | _Refusal
        try:
            self.verifier = Verifier(roots)
        except TrustError as error:
            self.verifier = _Refusal(error.thing, error.cause, error.next_step)


_worker: _Worker | None = None


def _begin(roots: Sequence[TrustedRoot], policy: Policy) -> None:
    global _worker  # noqa: PLW0603 - what an initializer is for
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = _Worker(roots, policy)


def _end_with_parent() -> None:
    """End this process when the one that it works for does not live any more, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _verify(batch: Sequence[SignedBundle]) -> Sequence[Assessment] | _Refusal:
    if _worker is None:
        raise RuntimeError("the worker was not begun")
    verifier = _worker.verifier
    if isinstance(verifier, _Refusal):
        return verifier
    return [_without_ballast(_appraise(bundle, verifier, _worker.policy)) for bundle in batch]


def _appraise(bundle: SignedBundle, verifier: Verifier, policy: Policy) -> Assessment:
    candidate = Candidate(bundle.name, read_bundle(bundle.raw))
    return appraise_bundle(candidate, PROVENANCE_V1, verifier, policy, bundle.digests)


def _without_ballast(assessment: Assessment) -> Assessment:
    """Leave out what nobody looks at once a bundle has been appraised, and what could be long."""
    evidence, statement = assessment.evidence, assessment.statement
    return replace(
        assessment,
        evidence=evidence and replace(evidence, payload=b"", signature=b"", certificate=b""),
        statement=statement and statement.model_copy(update={"predicate": {}}),
    )
