"""Bundles that are being verified and that have been: each distinct one once, wherever it is done."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from brew_provenance.audit.executors import Executor, PendingBatch
from brew_provenance.audit.verifying import Key, Refusal, SignedBundle, Verified
from brew_provenance.verdict import Assessment

BATCH: Final = 50
"""Bundles that are verified at a time; one takes about a millisecond."""

KEPT_SUBJECTS: Final = 20_000
"""Subjects of all statements that are kept for bottles to come; one takes about a kilobyte."""


@dataclass(frozen=True)
class Pending:
    """An assessment that is made, or being made."""

    batch: PendingBatch
    number: int
    """Its place in the batch."""

    def get(self) -> Assessment:
        """Wait for what is the same for all artifacts of the bundle, as `appraise.answer` takes it.

        Raises WorkerDiedError, TrustError for roots that cannot be used, and UsageError for workers that
        cannot do it.
        """
        found = self.batch.result()
        if isinstance(found, Refusal):
            raise found.error
        return found[self.number]


@dataclass(frozen=True)
class _Done:
    found: Verified

    def result(self) -> Verified:
        return self.found


class Workers:
    """Hands bundles to an executor, and remembers what came of them; both end with the `with` block."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._known: dict[Key, Pending] = {}
        self._kept: OrderedDict[Key, int] = OrderedDict()
        self.sent = 0
        """Bundles that were handed out."""

    def __enter__(self) -> Self:
        self._executor.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._executor.__exit__(*exc_info)

    @property
    def ahead(self) -> int:
        """For how many chunks of bottles bundles are handed out before the first of them is needed."""
        return self._executor.ahead

    def verify(self, bundles: Iterable[SignedBundle]) -> Mapping[Key, Pending]:
        """Return the assessments of bundles by their keys; only those that are not known are verified.

        Raises WorkerDiedError.
        """
        wanted = {bundle.key: bundle for bundle in bundles}
        new = [bundle for key, bundle in wanted.items() if key not in self._known]
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            pending = self._executor.submit(batch)
            self._known |= {bundle.key: Pending(pending, number) for number, bundle in enumerate(batch)}
        self.sent += len(new)
        return {key: self._known[key] for key in wanted}

    def release(self, keys: Iterable[Key], sha256s: Collection[str]) -> None:
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
                self._known[key] = Pending(_Done([assessment]), 0)
                self._kept[key] = len(subjects)
        while sum(self._kept.values()) > KEPT_SUBJECTS:
            key, _ = self._kept.popitem(last=False)
            del self._known[key]
