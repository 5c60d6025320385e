"""What `check` says of a bottle's attestations: its own code, under the policy of the tap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from brew_provenance.appraise import BundleVerifier, Candidate, appraise
from brew_provenance.attest.preparing import FoundError, Item
from brew_provenance.bundle import Bundle
from brew_provenance.findings import Finding
from brew_provenance.formulamatch import bind_formula
from brew_provenance.policy import Policy
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Assessment, Basis, Verdict

if TYPE_CHECKING:
    from brew_provenance.buildtypes.bottle.v1 import BottleBuild


class RejectedError(FoundError):
    """An attestation is one that `check` would not accept, or is about something else."""

    def __init__(self, name: str, findings: Sequence[Finding]) -> None:
        super().__init__(
            name,
            findings,
            said="its own check rejects the attestation: " if findings else "it attests something else",
            next_step="mend the workflow, or the policy; it is not published",
        )


@dataclass(frozen=True)
class Judging:
    """What decides whether an attestation is one that `check` accepts."""

    verifier: BundleVerifier
    roots: tuple[TrustedRoot, ...]
    policy: Policy
    tap: str

    def find(self, item: Item, candidates: Iterable[Candidate], store: str) -> Assessment | None:
        """Return the attestation that makes another one of this bottle superfluous; None without one."""
        return next(self._accepted(item, self._verdict(item, candidates, store)), None)

    def check(self, item: Item, bundle: Bundle, source: str) -> Assessment:
        """Return what a bundle that is to be published says of a bottle.

        Raises RejectedError when `check` would not accept it, or it is about something else.
        """
        verdict = self._verdict(item, [Candidate(source, bundle)], source)
        for assessment in self._accepted(item, verdict):
            return assessment
        raise RejectedError(item.name, verdict.faults)

    def _verdict(self, item: Item, candidates: Iterable[Candidate], store: str) -> Verdict:
        question = Question(item.name, (item.digest,), name=item.name, tap=self.tap)
        basis = Basis(self.roots, self.policy, store)
        return appraise(question, candidates, self.verifier, basis, bind=partial(bind_item, item))

    def _accepted(self, item: Item, verdict: Verdict) -> Iterator[Assessment]:
        for assessment in verdict.assessments:
            if assessment.accepted and _says_all_of(assessment, item):
                yield assessment


def bind_item(item: Item, build: BottleBuild) -> list[Finding]:
    """Hold a build's formula against the one in the bottle, where that was looked at."""
    return bind_formula(build, None, version=item.file_name.version, packed=item.packed)


def _says_all_of(assessment: Assessment, item: Item) -> bool:
    """Say whether an accepted attestation has the bottle's own name, and the build that is recorded."""
    # For an `all` bottle, `check` takes those of the bottles that it was made of as well.
    if assessment.subject is None or assessment.subject.name != item.name:
        return False
    if item.record is None or item.job is None:
        return True
    run, build = item.job.run, assessment.build
    return (
        build is not None
        and build.invocation.endswith(f"/actions/runs/{run.id}/attempts/{run.attempt}")
        and build.github.job_id == item.job.job.id
        and build.formula_commit == item.record.tap.commit
    )
