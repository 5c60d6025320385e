"""Making kits: what a store and a tap answer, written down for where neither can be asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle
from brew_provenance.errors import NothingMatchedError
from brew_provenance.findings import Finding
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.apijson import write_formula
from brew_provenance.policy import Policy
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.stores import Answer, Store
from brew_provenance.stores.kit import TRUSTED_ROOT, KitWriter, policy_path
from brew_provenance.trust import TrustedRoot

BATCH: Final = 1000
"""Formulae whose bottles are looked up at once, so that memory does not grow with the tap."""

_Item = TypeVar("_Item")


@dataclass
class Export:
    """What became of an export."""

    formulae: int = 0
    bottles: int = 0
    """Bottles that the kit can answer for."""

    unattested: int = 0
    """Those among them that the store has nothing for."""

    problems: list[tuple[str, Finding]] = field(default_factory=list)
    """What the kit does not cover, and why: a bottle or a formula, and the cause."""


def export_kit(  # noqa: PLR0913 - all that a kit is made of
    folder: Path,
    formulae: Iterable[Formula],
    store_for: Callable[[str], Store],
    *,
    policy_for: Callable[[str], Policy],
    roots: Sequence[TrustedRoot],
    progress: Callable[[Export], None],
    fresh: bool = False,
) -> Export:
    """Write a kit for all bottles of `formulae`, or bring the one in `folder` up to date.

    A bottle that a store could not answer for is left out and reported: a kit never says "none"
    for what was not found out. With `fresh`, nothing is taken from what a store remembers.

    Raises NothingMatchedError when there is no formula to describe, KitError for a folder that holds
    something else, and OSError.
    """
    writer, done = KitWriter(folder), Export()
    taps: set[str] = set()
    for batch in _batches(formulae, BATCH):
        for tap in dict.fromkeys(formula.tap for formula in batch):
            of_tap = [formula for formula in batch if formula.tap == tap]
            _add(writer, of_tap, store_for(tap), done, fresh=fresh)
            taps.add(tap)
            progress(done)
    if not done.formulae:
        why = "; ".join(f"{name}: {problem.detail}" for name, problem in done.problems)
        raise NothingMatchedError(str(folder), why or "there is no formula to describe", "name others")
    for tap in sorted(taps):
        writer.add_file(policy_path(tap), policy_for(tap).to_toml().encode())
    lines = [json.dumps(json.loads(root.raw), separators=(",", ":")) for root in roots]
    writer.add_file(TRUSTED_ROOT, "".join(f"{line}\n" for line in lines).encode())
    writer.finish()
    return done


def _add(writer: KitWriter, formulae: Sequence[Formula], store: Store, done: Export, *, fresh: bool) -> None:
    names: dict[Digest, list[str]] = {}
    for formula in formulae:
        try:
            text = json.dumps(write_formula(formula), indent=2) + "\n"
        except FormulaError as error:
            done.problems.append((formula.full_name, Finding("package-version-unknown", str(error))))
            continue
        writer.add_formula(formula.full_name, text.encode())
        done.formulae += 1
        for bottle in formula.bottles:
            names.setdefault(bottle.digest, []).append(str(bottle.file_name))
    for digest, answer in store.resolve(list(names), fresh=fresh).items():
        if problem := _problem(answer):
            done.problems += ((name, problem) for name in names[digest])
            continue
        done.bottles += len(names[digest])
        done.unattested += 0 if answer.candidates else len(names[digest])
        bundles = [item.bundle.raw for item in answer.candidates if isinstance(item.bundle, Bundle)]
        writer.add_attestations(digest, bundles)


def _problem(answer: Answer) -> Finding | None:
    """Return what keeps an answer from being one; with a bundle that applies in it, it is."""
    found = [item.bundle for item in answer.candidates]
    # A bundle of another kind says nothing, also of what is missing beside it.
    if any(isinstance(item, Bundle) and PROVENANCE_V1.encode() in item.payload for item in found):
        return None
    faults = [finding for finding in answer.findings if finding.is_fault]
    faults += (item for item in found if isinstance(item, Finding))
    return faults[0] if faults else None


def _batches(items: Iterable[_Item], size: int) -> Iterator[Sequence[_Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
