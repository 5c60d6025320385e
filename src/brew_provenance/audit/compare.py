"""What changed between two runs of one tap, and which changes are alarms. Judges nothing anew.

Two files are the same bottle when they bear the same file name. A bottle *appeared* when the older run
has no bottle with its file name and its digest, nor one with its digest whose name was not known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from heapq import merge
from itertools import groupby
from typing import Final

from brew_provenance.audit.ledger import Entry, Ledger, Run
from brew_provenance.errors import UsageError
from brew_provenance.policy import Gives
from brew_provenance.verdict import Outcome


@dataclass(frozen=True)
class Kind:
    """One row of the table of changes."""

    code: str
    """Stable name, part of every machine-readable output."""

    is_alarm: bool
    """Whether somebody has to look at it."""

    means: str
    """One sentence for the documentation: what is different."""


_ALARMS: Final = {
    "provenance-lost": "The same bottle was verified, and is not any more, or by a notarisation alone.",
    "provenance-unresolved": "The bottle, or its formula, had provenance, and now it could not be found out.",
    "regression": "A bottle without build provenance appeared, of a formula that had some.",
    "unattested-after-flag-day": "A bottle without attestation appeared, and the flag day is over.",
    "notarisation-only": "A bottle appeared that has nothing but a notarisation.",
    "digest-changed": "The same file name stands for another digest: there are two bottles of one name.",
    "attestation-gone": "The store does not hold an attestation any more that it had for this digest.",
    "signer-changed": "A workflow signed the formula's bottle that had signed none in the older run.",
    "source-changed": "The formula's bottle is attested from another source repository or ref.",
    "runner-class-changed": "The formula's bottle was attested on another class of runner.",
    "formula-commit-unreachable": "The tap's branch does not lead to the commit a bottle was built from.",
}
_PLAIN: Final = {
    "signer-varied": "Another workflow signed the formula's bottle, one that had signed others before.",
    "outcome-changed": "The same bottle has another outcome, or is verified by something else.",
    "added": "The older run has no bottle of this file name.",
    "removed": "The newer run has no bottle of this file name.",
}

CHANGES: Final = {
    code: Kind(code, is_alarm, means)
    for is_alarm, kinds in ((True, _ALARMS), (False, _PLAIN))
    for code, means in kinds.items()
}
"""Every kind of change by its code, the alarms first. The codes never change their meaning."""

ALARMS: Final = tuple(_ALARMS)
"""The codes of the alarms."""

_ORDER: Final = {code: number for number, code in enumerate(CHANGES)}


@dataclass(frozen=True)
class Change:
    """One difference between two runs."""

    code: str
    """A code of `CHANGES`."""

    bottle: Entry
    """The bottle as the newer run has it; as the older one has it, where it was removed."""

    before: str | None
    """What the older run has; None where it has nothing."""

    after: str | None
    """What the newer run has; None where it has nothing."""

    @property
    def kind(self) -> Kind:
        """The row of the table."""
        return CHANGES[self.code]


@dataclass(frozen=True)
class Comparison:
    """Two runs of one tap, and what changed from one to the other."""

    old: Run
    new: Run
    flag_day: date | None
    """The day from which on all bottles of the tap are attested, where one was named."""

    changes: tuple[Change, ...]
    """In the order of the formulae's names."""

    @property
    def differences(self) -> tuple[str, ...]:
        """What of the runs themselves is different, and can be why verdicts are."""
        pairs = {
            "policy": (self.old.policy_sha256, self.new.policy_sha256),
            "trusted roots": (self.old.roots, self.new.roots),
            "version of brew-provenance": (self.old.tool_version, self.new.tool_version),
            "store": (self.old.store, self.new.store),
        }
        return tuple(name for name, (before, after) in pairs.items() if before != after)

    def alarms(self, wanted: Collection[str] = ALARMS) -> tuple[Change, ...]:
        """Return the changes whose codes are in `wanted`."""
        return tuple(change for change in self.changes if change.code in wanted)


def compare_runs(
    old: tuple[Ledger, Run], new: tuple[Ledger, Run], flag_day: date | None = None
) -> Comparison:
    """Compare two runs, each with the ledger that it stands in.

    Raises UsageError for runs of different taps, or of different parts of one; LedgerError.
    """
    (old_ledger, old_run), (new_ledger, new_run) = old, new
    for what, before, after in (
        ("taps", old_run.tap, new_run.tap),
        ("parts of the tap", old_run.selection, new_run.selection),
        ("shards", old_run.shard, new_run.shard),
    ):
        if before != after:
            raise UsageError(
                f"{old_ledger.path} and {new_ledger.path}",
                f"of different {what}: {before or 'all of it'}, and {after or 'all of it'}",
                "compare audits of the same bottles, or name the tap with --tap",
            )
    changes = compare(
        old_ledger.entries(old_run.id),
        new_ledger.entries(new_run.id),
        signers=signers(old_ledger.entries(old_run.id)),
        held=flag_day is not None and _is_from(new_run, flag_day),
        lost=_unreachable(new_ledger, new_run) - _unreachable(old_ledger, old_run),
    )
    return Comparison(old_run, new_run, flag_day, tuple(changes))


def signers(entries: Iterable[Entry]) -> frozenset[str]:
    """Return the workflows, each at its ref, whose build provenance counted."""
    return frozenset(_claim(entry, "signer") for entry in entries if _worth(entry) == _PROVENANCE)


def compare(
    old: Iterable[Entry],
    new: Iterable[Entry],
    *,
    signers: Collection[str],
    held: bool = False,
    lost: Collection[str] = (),
) -> Iterator[Change]:
    """Yield what changed from `old` to `new`, both in the order of their formulae's names.

    Changes of one bottle come in the order of the table.

    `signers` are those of the older run; `held` says that bottles which appeared are held to a flag day;
    `lost` are formula commits that the tap's branch did not lead to in the newer run, and of which the older
    one does not say so.
    """
    rules = _Rules(signers, held, lost)
    sided = merge(
        ((entry.formula, 0, entry) for entry in old),
        ((entry.formula, 1, entry) for entry in new),
        key=lambda item: item[0],
    )
    for _, group in groupby(sided, key=lambda item: item[0]):
        sides: tuple[list[Entry], list[Entry]] = ([], [])
        for _, side, entry in group:
            sides[side].append(entry)
        yield from _of_formula(*sides, rules)


@dataclass(frozen=True)
class _Rules:
    signers: Collection[str]
    held: bool
    lost: Collection[str]


def _of_formula(old: Sequence[Entry], new: Sequence[Entry], rules: _Rules) -> Iterator[Change]:
    before, after = ({_identity(entry): entry for entry in side} for side in (old, new))
    with_provenance = [entry for entry in old if _worth(entry) == _PROVENANCE]
    # A formula can have thousands of bottles, when its history is audited.
    by_digest: dict[str, list[Entry]] = {}
    by_tag: dict[str, Entry] = {}
    for older in old:
        by_digest.setdefault(older.sha256, []).append(older)
    for older in with_provenance:
        by_tag.setdefault(older.tag, older)
    for identity, entry in after.items():
        found: list[Change] = []
        if identity in before:
            found += _of_same_name(before[identity], entry)
        else:
            found += _of_new_name(entry, had_provenance=bool(with_provenance))
        same_digest = by_digest.get(entry.sha256, [])
        if not any(older.file_name in {None, entry.file_name} for older in same_digest):
            found += _appeared(entry, held=rules.held)
        found += _gone(same_digest, entry)
        if _worth(entry) == _PROVENANCE and with_provenance:
            found += _continued(by_tag.get(entry.tag, with_provenance[0]), entry, rules.signers)
        if (commit := _claim(entry, "formula_commit")) in rules.lost:
            found.append(Change("formula-commit-unreachable", entry, None, commit))
        yield from sorted(found, key=lambda change: _ORDER[change.code])
    for identity, entry in before.items():
        if identity not in after:
            yield Change("removed", entry, _state(entry), None)


def _of_same_name(old: Entry, new: Entry) -> Iterator[Change]:
    states = _state(old), _state(new)
    if _worth(old) > _NOTHING and new.judgement.outcome is Outcome.UNRESOLVED:
        yield Change("provenance-unresolved", new, *states)
    elif _worth(new) < _worth(old):
        yield Change("provenance-lost", new, *states)
    if old.sha256 != new.sha256:
        yield Change("digest-changed", new, old.sha256, new.sha256)
    if (old.judgement.outcome, old.judgement.gives) != (new.judgement.outcome, new.judgement.gives):
        yield Change("outcome-changed", new, *states)


def _of_new_name(entry: Entry, *, had_provenance: bool) -> Iterator[Change]:
    state = _state(entry)
    if had_provenance and entry.judgement.outcome is Outcome.UNRESOLVED:
        yield Change("provenance-unresolved", entry, None, state)
    elif had_provenance and _worth(entry) < _PROVENANCE:
        yield Change("regression", entry, None, state)
    yield Change("added", entry, None, state)


def _appeared(entry: Entry, *, held: bool) -> Iterator[Change]:
    if held and entry.judgement.outcome is Outcome.UNATTESTED:
        yield Change("unattested-after-flag-day", entry, None, _state(entry))
    if _worth(entry) == _NOTARISATION:
        yield Change("notarisation-only", entry, None, _state(entry))


def _gone(old: Sequence[Entry], new: Entry) -> Iterator[Change]:
    """Compare what the store had for one digest; what it did not answer in whole shows nothing."""
    if new.judgement.bundles is None:
        return
    had = {bundle: None for older in old for bundle in older.judgement.bundles or ()}
    gone = [bundle for bundle in had if bundle not in new.judgement.bundles]
    if gone:
        left = f"{len(gone)} of {len(had)} gone: {', '.join(bundle[:16] for bundle in gone[:3])}"
        yield Change("attestation-gone", new, f"{len(had)} attestation(s)", left)


def _continued(old: Entry, new: Entry, known: Collection[str]) -> Iterator[Change]:
    """Compare who attested a formula's bottle with who did before, both with build provenance."""
    before, after = (_claim(entry, "signer") for entry in (old, new))
    if before != after:
        yield Change("signer-varied" if after in known else "signer-changed", new, before, after)
    before, after = (f"{_claim(entry, 'source')} at {_claim(entry, 'ref')}" for entry in (old, new))
    if before != after:
        yield Change("source-changed", new, before, after)
    before, after = (_claim(entry, "runner") for entry in (old, new))
    if before != after:
        yield Change("runner-class-changed", new, before, after)


_NOTHING, _NOTARISATION, _PROVENANCE = range(3)


def _worth(entry: Entry) -> int:
    """Return what a bottle is known to have: nothing, a notarisation, or build provenance."""
    if entry.judgement.outcome is not Outcome.VERIFIED:
        return _NOTHING
    return _NOTARISATION if entry.judgement.gives == Gives.NOTARISATION.value else _PROVENANCE


def _identity(entry: Entry) -> str:
    # Another digest of a bottle without a known name is another bottle, perhaps of another version.
    return entry.file_name or f"{entry.tag} {entry.sha256}"


def _state(entry: Entry) -> str:
    judgement = entry.judgement
    why = judgement.gives or ", ".join(judgement.codes)
    return f"{judgement.outcome.value} ({why})" if why else judgement.outcome.value


def _claim(entry: Entry, name: str) -> str:
    return str((entry.judgement.evidence or {}).get(name))


def _unreachable(ledger: Ledger, run: Run) -> frozenset[str]:
    return frozenset(commit for commit, reachable in ledger.commits(run.id).items() if not reachable)


def _is_from(run: Run, day: date) -> bool:
    return datetime.fromisoformat(run.started) >= datetime.combine(day, time(), UTC)
