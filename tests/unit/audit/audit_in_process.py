"""An audit in a process of its own, which a test can kill.

Its arguments are a ledger, a folder with a bundle for each formula, which is named as the file, the
number of bottles that are recorded together, and a file for a line after each such part: how many
bottles are recorded, and the ids of the workers. (A pipe would stay open while a worker lives.)
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

from tests.unit.audit.audits import CountingStore, audit, make_formula, opened

from brew_provenance.audit import run as run_module
from brew_provenance.audit.run import Progress


def make(folder: Path) -> tuple[list[str], CountingStore]:
    """Return the names of formulae, and a store with their attestations."""
    names = sorted(path.name for path in folder.iterdir())
    store = CountingStore()
    for name in names:
        store.put((folder / name).read_bytes(), *make_formula(name).bottles)
    return names, store


def tell(progress: Progress) -> None:
    said = [progress.bottles, *(child.pid for child in multiprocessing.active_children())]
    with Path(sys.argv[4]).open("a", encoding="ascii") as lines:
        lines.write(" ".join(map(str, said)) + "\n")


def main() -> None:
    path, folder, chunk = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    run_module.CHUNK = chunk  # type: ignore[misc]
    names, store = make(folder)
    with opened(path) as ledger:
        audit(ledger, map(make_formula, names), store, progress=tell)


if __name__ == "__main__":
    main()
