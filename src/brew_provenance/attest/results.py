"""What became of attestations, without what they were judged by: so that a thousand of them are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from brew_provenance.attest.preparing import Item
from brew_provenance.errors import BuildSideError
from brew_provenance.verdict import Assessment


class State(Enum):
    """What became of an attestation."""

    PUBLISHED = "published"
    """It was added to the store, which shows it."""

    THERE = "there already"
    """The store had it, or one that says the same."""

    SIGNED = "signed"
    """It is on disk, and was not to be published."""


@dataclass(frozen=True)
class Attested:
    """One bottle's attestation."""

    name: str
    sha256: str
    state: State
    newly_signed: bool
    """Whether this run signed it."""

    bundle: str | None
    """The name of its bundle's file; None where only the store has it."""

    attestation_id: str | None
    """Its number in the store, where this run was told."""

    signer: str | None
    """The workflow that signed, as the certificate has it."""

    run: str | None
    """The run that built the bottle, or without a record the one that signed."""

    log_index: int | None
    builder: str | None
    """The workflow that built the bottle; None, as all that follows, without a record."""

    runner: str | None
    formula_path: str | None
    formula_commit: str | None
    not_proved: tuple[str, ...] = ()
    """Reason codes of what the attestation leaves open."""


@dataclass
class Report:
    """What a run has done; incomplete where it failed."""

    attested: list[Attested] = field(default_factory=list)
    """In the order of their names."""

    newly_signed: int = 0
    """Bottles whose attestation this run has signed, whatever became of it."""

    failure: BuildSideError | None = None
    """Why it went no further."""

    waiting: list[str] = field(default_factory=list)
    """Bottles whose bundle is on disk, and not known to be in the store."""

    unsigned: list[str] = field(default_factory=list)
    """Bottles without an attestation."""

    def wait_for(self, names: Sequence[str]) -> None:
        """Note that bottles have a bundle on disk."""
        self._forget(names)
        self.waiting += names

    def settle(self, done: Sequence[Attested]) -> None:
        """Note what became of bottles."""
        self._forget([one.name for one in done])
        self.attested += done
        self.attested.sort(key=lambda one: one.name)

    def _forget(self, names: Sequence[str]) -> None:
        found = set(names)
        self.waiting = [name for name in self.waiting if name not in found]
        self.unsigned = [name for name in self.unsigned if name not in found]


def describe_attested(  # noqa: PLR0913 - what is known of it
    item: Item,
    assessment: Assessment,
    state: State,
    *,
    bundle: str | None = None,
    is_new: bool = False,
    number: str | None = None,
) -> Attested:
    """Return what is told of an accepted attestation of a bottle."""
    evidence, build = assessment.evidence, assessment.build
    entry = evidence.log_entry if evidence is not None else None
    claims = evidence.claims if evidence is not None else None
    return Attested(
        name=item.name,
        sha256=item.digest.value,
        state=state,
        newly_signed=is_new,
        bundle=bundle,
        attestation_id=number,
        signer=claims.identity if claims is not None else None,
        run=build.invocation if build else claims.run_invocation_uri if claims else None,
        log_index=entry.index if entry is not None else None,
        builder=build.builder if build else None,
        runner=build.runner.name if build else None,
        formula_path=build.formula_path if build else None,
        formula_commit=build.formula_commit if build else None,
        not_proved=tuple(note.code for note in assessment.notes if note.code.endswith("-not-bound")),
    )
