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
from brew_provenance.findings import Finding
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.apijson import write_formula
from brew_provenance.policy import Policy
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
) -> Export:
    """Write a kit for all bottles of `formulae`, or bring the one in `folder` up to date.

    A bottle that a store could not answer for is left out and reported: a kit never says "none"
    for what was not found out. Raises KitError for a folder that holds something else, and OSError.
    """
    writer, done = KitWriter(folder), Export()
    taps: set[str] = set()
    for batch in _batches(formulae, BATCH):
        for tap in dict.fromkeys(formula.tap for formula in batch):
            of_tap = [formula for formula in batch if formula.tap == tap]
            _add(writer, of_tap, store_for(tap), done)
            taps.add(tap)
            progress(done)
    for tap in sorted(taps):
        writer.add_file(policy_path(tap), policy_for(tap).to_toml().encode())
    lines = [json.dumps(json.loads(root.raw), separators=(",", ":")) for root in roots]
    writer.add_file(TRUSTED_ROOT, "".join(f"{line}\n" for line in lines).encode())
    writer.finish()
    return done


def _add(writer: KitWriter, formulae: Sequence[Formula], store: Store, done: Export) -> None:
    described: list[Formula] = []
    for formula in formulae:
        try:
            text = json.dumps(write_formula(formula), indent=2) + "\n"
        except FormulaError as error:
            done.problems.append((formula.full_name, Finding("package-version-unknown", str(error))))
            continue
        writer.add_formula(formula.full_name, text.encode())
        described.append(formula)
        done.formulae += 1
    names = {bottle.digest: str(bottle.file_name) for formula in described for bottle in formula.bottles}
    for digest, answer in store.resolve(list(names)).items():
        if problem := _problem(answer):
            done.problems.append((names[digest], problem))
        else:
            done.unattested += not answer.candidates
            _write(writer, digest, answer)
    failed = {name for name, _ in done.problems}
    done.bottles += sum(
        str(bottle.file_name) not in failed for formula in described for bottle in formula.bottles
    )


def _write(writer: KitWriter, digest: Digest, answer: Answer) -> None:
    bundles = [item.bundle.raw for item in answer.candidates if isinstance(item.bundle, Bundle)]
    writer.add_attestations(digest, bundles)


def _problem(answer: Answer) -> Finding | None:
    """Return what keeps an answer from being one; with a bundle in it, it is."""
    if any(isinstance(item.bundle, Bundle) for item in answer.candidates):
        return None
    faults = [finding for finding in answer.findings if finding.is_fault]
    faults += (item.bundle for item in answer.candidates if isinstance(item.bundle, Finding))
    return faults[0] if faults else None


def _batches(items: Iterable[_Item], size: int) -> Iterator[Sequence[_Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
