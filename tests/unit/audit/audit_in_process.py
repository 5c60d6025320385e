"""An audit in a process of its own, which a test can kill.

Its arguments are a ledger, a folder with a bundle for each formula, which is named as the file, the
number of bottles that are recorded together, and a file for a line after each such part: how many
bottles are recorded, and the ids of the workers. (A pipe would stay open while a worker lives.) With two
more, `before` or `after` and a number, it has no workers, and kills itself at that write to the ledger.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from tests.unit.audit.audits import CountingStore, InProcess, audit, make_formula, opened

from brew_provenance.audit import executors
from brew_provenance.audit import run as run_module
from brew_provenance.audit.ledger import Ledger
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


def die_at(when: str, wanted: int) -> None:
    """Have this process killed right before, or right after, what it writes for the n-th time lasts."""
    execute = Ledger._execute
    writes = count(1)

    def counted(ledger: Ledger, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        is_it = statement.startswith(("COMMIT", "INSERT", "UPDATE")) and next(writes) == wanted
        if is_it and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = execute(ledger, statement, values)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor

    setattr(Ledger, "_execute", counted)  # noqa: B010 - not a method by its types
    setattr(executors, "ProcessPoolExecutor", InProcess)  # noqa: B010 - as above


def main() -> None:
    path, folder, chunk = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    if len(sys.argv) > 5:
        die_at(sys.argv[5], int(sys.argv[6]))
    run_module.CHUNK = chunk  # type: ignore[misc]
    names, store = make(folder)
    with opened(path) as ledger:
        audit(ledger, map(make_formula, names), store, progress=tell)


if __name__ == "__main__":
    main()
