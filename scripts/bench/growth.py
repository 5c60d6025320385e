"""Audit the recorded homebrew-core many times over, without the command around it, twice.

    .venv/bin/python scripts/bench/growth.py [--copies N] [--per-bottle] [--formulae N]

No formula API has so many bottles in one document, so that the auditor is given its list piece by piece.
What that takes, which an audit of any size pays for, is told apart. Needs Linux, and the recorded
homebrew-core (BREW_PROVENANCE_DATA).
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Final

import click
from core import REPOSITORY, TAP, copied, recorded_formulae, served_store

from brew_provenance.audit.executors import LocalProcesses
from brew_provenance.audit.ledger import Ledger, Run
from brew_provenance.audit.run import Auditor, Progress, plan
from brew_provenance.policy import policy_for_tap
from brew_provenance.stores.github import GitHubStore
from brew_provenance.stores.githubapi import GitHubAPI
from brew_provenance.transport import Transport
from brew_provenance.trust import TrustedRoot

COLUMNS: Final = (
    *("audit", "bottles", "judged", "bundles verified", "list calls", "s", "s for the list"),
    *("MiB at the start", "MiB at the end"),
)


def memory() -> str:
    """Return the largest memory of this process so far, in MiB."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}"


@click.command()
@click.option("--copies", type=int, default=1, show_default=True, help="The whole tap so many times.")
@click.option("--per-bottle", is_flag=True, help="One attestation a bottle, not one a formula.")
@click.option("--formulae", "limit", type=int, help="Only the first N formulae.")
@click.option("--workers", type=int, help="Processes that verify.")
def main(*, copies: int, per_bottle: bool, limit: int | None, workers: int | None) -> None:
    """Print a row for each of two audits."""
    click.echo(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    formulae = recorded_formulae(limit)
    with (
        served_store(limit, copies=copies, per_bottle=per_bottle) as served,
        tempfile.TemporaryDirectory() as folder,
        Transport(budget=None) as transport,
        Ledger(Path(folder) / "ledger.sqlite", create=True) as ledger,
    ):
        policy, root = policy_for_tap(TAP), TrustedRoot("virtual", served.trusted_root, built_in=False)
        store = GitHubStore(transport, GitHubAPI(transport, served.url), [REPOSITORY])
        auditor = Auditor(policy, [root], partial(LocalProcesses, count=workers))
        run = Run(0, TAP, "bench", store.name, policy.name, policy.sha256, root.sha256, "bench", "", None)
        start = time.perf_counter()
        deque(plan(copied(formulae, copies)), maxlen=0)
        listing = time.perf_counter() - start
        before = 0
        for name in ("first", "second"):
            started_with = memory()
            start = time.perf_counter()
            done: Progress = auditor.run(plan(copied(formulae, copies)), store, ledger, ledger.begin(run))
            seconds = time.perf_counter() - start
            lists, _ = served.requests()
            counts = (done.bottles, done.judged, done.bundles, lists - before)
            before = lists
            cells = [name, *(f"{count:,}" for count in counts), f"{seconds:.1f}", f"{listing:.1f}"]
            click.echo(f"| {' | '.join([*cells, started_with, memory()])} |")


if __name__ == "__main__":
    main()
