"""Audit all of the recorded homebrew-core against a store on loopback, twice, and count what was done.

    .venv/bin/python scripts/bench/audit.py [--per-bottle] [--formulae N] [--copies N]

The attestations are genuine ones of a virtual Sigstore: one a formula, as Homebrew's publishing jobs make
them, or one a bottle. Needs the recorded homebrew-core (BREW_PROVENANCE_DATA).
"""

from __future__ import annotations

import json
import lzma
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import click

from brew_provenance.audit.executors import LocalProcesses
from brew_provenance.audit.ledger import Ledger, Run
from brew_provenance.audit.run import Auditor, plan
from brew_provenance.bottle import Bottle, BottleFileName, Digest, bottle_url
from brew_provenance.formula import Formula, package_version
from brew_provenance.formula.bottleblock import DEFAULT_ROOT_URL
from brew_provenance.formula.version import detect_version
from brew_provenance.policy import policy_for_tap
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.options import Grant, Options
from brew_provenance.sandbox.github.service import AttestationService, serve_github
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.stores.github import GitHubStore
from brew_provenance.stores.githubapi import GitHubAPI
from brew_provenance.transport import Transport
from brew_provenance.trust import TrustedRoot

TAP: Final = "homebrew/core"
REPOSITORY: Final = "Homebrew/homebrew-core"
TOKEN: Final = "a-token-of-the-bench"  # noqa: S105 - of the loopback store alone
JOB: Final = ActionsJob(
    repository=REPOSITORY,
    event_name="workflow_dispatch",
    workflow_path=".github/workflows/publish-commit-bottles.yml",
)


def recorded_formulae(limit: int | None) -> list[Formula]:
    """Return the formulae of the recorded homebrew-core that have bottles and a version that is known."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("BREW_PROVENANCE_DATA") or default)
    with lzma.open(
        folder / "homebrew" / "homebrew-core-2026-08-22.jsonl.xz", "rt", encoding="utf-8"
    ) as lines:
        recorded = [json.loads(line) for line in lines]
    return [formula for row in recorded[:limit] if (formula := _formula(row)).bottles]


def _formula(row: dict[str, object]) -> Formula:
    name, url, tag = str(row["name"]), str(row["url"]), row["url_tag"]
    stable = row["version"] or detect_version(url, tag=str(tag) if tag else None)
    revision, rebuild, declared = row["revision"], row["rebuild"], row["bottles"]
    if not stable or not isinstance(declared, dict):
        return Formula(TAP, name, None, ())
    version = package_version(str(stable), int(str(revision or 0)))
    bottles = []
    for bottle_tag, bottle in declared.items():
        file_name = BottleFileName(name, version, bottle_tag, int(str(rebuild or 0)))
        digest = Digest("sha256", bottle["sha256"])
        place = bottle_url(DEFAULT_ROOT_URL, file_name, digest)
        bottles.append(Bottle(TAP, name, version, file_name.rebuild, bottle_tag, digest, place))
    return Formula(TAP, name, version, tuple(bottles))


def _groups(formulae: Iterable[Formula], *, per_bottle: bool) -> Iterator[Sequence[Bottle]]:
    for formula in formulae:
        if per_bottle:
            yield from ([bottle] for bottle in formula.bottles)
        else:
            yield formula.bottles


def serve(connection: Connection, limit: int | None, copies: int, per_bottle: bool) -> None:  # noqa: FBT001
    """Serve an attestation for each group of bottles until something is received."""
    sigstore = VirtualSigstore()
    signer = sigstore.signer(JOB, SIGNED_AT)
    store = AttestationStore()
    store.add_repository(REPOSITORY)
    for group in _groups(copied(recorded_formulae(limit), copies), per_bottle=per_bottle):
        subjects = [build_subject(str(bottle.file_name), bottle.digest.value) for bottle in group]
        statement = build_statement(subjects, JOB.provenance())
        store.add(REPOSITORY, encode_json(sigstore.attest(statement, signer, at=SIGNED_AT)))
    service = AttestationService(store, Options(tokens={TOKEN: Grant()}), keep_log=100_000)
    with serve_github(service, blobs_apart=False) as served:
        connection.send((served.url, encode_json(sigstore.trusted_root())))
        while connection.recv():
            connection.send((service.log.count("POST", "*/bulk-list"), service.log.total))


def copied(formulae: Sequence[Formula], copies: int) -> Iterator[Formula]:
    """Yield formulae so many times, each time under another name and with other digests."""
    for number in range(copies):
        for formula in formulae:
            yield formula if number == 0 else _copy(formula, number)


def _copy(formula: Formula, number: int) -> Formula:
    name = f"{formula.name}-copy{number}"
    bottles = tuple(
        replace(
            bottle,
            formula=name,
            digest=Digest("sha256", f"{number:04x}{bottle.digest.value[4:]}"),
            url=f"{bottle.url}{number}",
        )
        for bottle in formula.bottles
    )
    return replace(formula, name=name, bottles=bottles)


def _memory() -> str:
    """Return the peaks of this process and of its largest child, in MiB."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return " + ".join(f"{resource.getrusage(kind).ru_maxrss / 1024:.0f}" for kind in kinds)


@click.command()
@click.option("--per-bottle", is_flag=True, help="One attestation a bottle, not one a formula.")
@click.option("--formulae", "limit", type=int, help="Only the first N formulae.")
@click.option("--copies", type=int, default=1, show_default=True, help="The whole tap so many times.")
@click.option("--workers", type=int, help="Processes that verify.")
def main(*, per_bottle: bool, limit: int | None, copies: int, workers: int | None) -> None:
    """Print a row for each of two audits."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve, args=(theirs, limit, copies, per_bottle), daemon=True)
    server.start()
    url, raw_root = ours.recv()
    formulae = recorded_formulae(limit)
    policy, root = policy_for_tap(TAP), TrustedRoot("virtual", raw_root, built_in=False)
    click.echo(
        "| audit | bottles | judged | bundles | list calls | requests | verified | s | MiB, own + a worker |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with (
        tempfile.TemporaryDirectory() as folder,
        Transport(budget=None) as transport,
        Ledger(Path(folder) / "ledger.sqlite", create=True) as ledger,
    ):
        store = GitHubStore(transport, GitHubAPI(transport, url, token=TOKEN), [REPOSITORY])
        for name in ("first", "second"):
            run = Run(0, TAP, "bench", store.name, policy.name, policy.sha256, root.sha256, "bench", "", None)
            start = time.perf_counter()
            done = Auditor(policy, [root], partial(LocalProcesses, count=workers)).run(
                plan(copied(formulae, copies)), store, ledger, ledger.begin(run)
            )
            seconds = time.perf_counter() - start
            ours.send(True)  # noqa: FBT003 - a request for counts
            lists, requests = ours.recv()
            verified = next(count for outcome, count in done.outcomes.items() if outcome.value == "verified")
            click.echo(
                f"| {name} | {done.bottles:,} | {done.judged:,} | {done.bundles:,} | {lists} | {requests} | "
                f"{verified:,} | {seconds:.1f} | {_memory()} |"
            )
    ours.send(False)  # noqa: FBT003 - the end
    with suppress(EOFError):
        server.join()


if __name__ == "__main__":
    main()
