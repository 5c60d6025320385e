"""Count and time the look-up of many digests in a store that speaks GitHub's API over loopback HTTP.

    .venv/bin/python scripts/bench/store.py [--quick]

The store is a process of its own. Its bundles are good enough to be listed, fetched and read, and are
not verified: this is about requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import multiprocessing
import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import click

from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.options import Grant, Options
from brew_provenance.sandbox.github.service import AttestationService, serve_github
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.stores.github import GitHubStore
from brew_provenance.stores.githubapi import API_VERSION, GitHubAPI
from brew_provenance.transport import Transport

LINKED: Final = "2026-03-10"
REPOSITORY: Final = "Homebrew/homebrew-core"
TOKEN: Final = "a-token-of-the-bench"  # noqa: S105 - of the loopback store alone


@dataclass(frozen=True)
class Counts:
    """What the store saw."""

    lists: int
    blobs: int
    megabytes: float


def recorded_digests() -> list[str]:
    """Return the distinct digests of the recorded homebrew-core, or as many made-up ones."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("BREW_PROVENANCE_DATA") or default)
    path = folder / "homebrew" / "homebrew-core-2026-08-22.jsonl.xz"
    if not path.exists():
        return [hashlib.sha256(b"%d" % number).hexdigest() for number in range(52_254)]
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        formulae = [json.loads(line) for line in lines]
    return list(
        dict.fromkeys(bottle["sha256"] for formula in formulae for bottle in formula["bottles"].values())
    )


def serve(connection: Connection, digests: Sequence[str], subjects: int, latency: float) -> None:
    """Serve attestations for `digests`, `subjects` of them in each, until something is received."""
    store = AttestationStore()
    store.add_repository(REPOSITORY)
    job = ActionsJob(repository=REPOSITORY)
    pattern = VirtualSigstore().attest(
        build_statement([build_subject("x", "0" * 64)], job.provenance()), job, at=SIGNED_AT
    )
    for start in range(0, len(digests), subjects):
        named = [
            build_subject(f"foo--{number}.arm64_tahoe.bottle.tar.gz", digest)
            for number, digest in enumerate(digests[start : start + subjects])
        ]
        payload = base64.b64encode(encode_json(build_statement(named, job.provenance()))).decode()
        envelope = {**pattern["dsseEnvelope"], "payload": payload}
        store.add(REPOSITORY, encode_json({**pattern, "dsseEnvelope": envelope}))
    options = Options(tokens={TOKEN: Grant()}, latency=latency)
    service = AttestationService(store, options, keep_log=None)
    with serve_github(service, blobs_apart=False) as served:
        connection.send(served.url)
        connection.recv()
        lists = service.log.count("POST", "*/bulk-list") + service.log.count("GET", "/repos/*/attestations/*")
        blobs = service.log.count("GET", "/attestations/*")
        connection.send(Counts(lists, blobs, service.log.total_bytes / 1e6))


def measure(digests: Sequence[str], subjects: int, latency: float, version: str) -> str:
    """Look up all of `digests`, and return a row of the table."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs, digests, subjects, latency))
    server.start()
    url = ours.recv()
    wanted = [Digest("sha256", digest) for digest in digests]
    with Transport(budget=None) as transport:
        store = GitHubStore(transport, GitHubAPI(transport, url, token=TOKEN, version=version), [REPOSITORY])
        start = time.perf_counter()
        found = 0
        for batch in range(0, len(wanted), 5_000):
            answers = store.resolve(wanted[batch : batch + 5_000])
            found += sum(isinstance(answer.candidates[0].bundle, Bundle) for answer in answers.values())
        seconds = time.perf_counter() - start
    if found != len(digests):
        raise RuntimeError(f"{found} of {len(digests)} digests were found")
    ours.send(None)
    counts: Counts = ours.recv()
    server.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"| {len(digests):,} | {subjects} | {latency * 1000:.0f} ms | {version} | {counts.lists} | "
        f"{counts.blobs:,} | {counts.megabytes:.1f} | {seconds:.1f} | {peak:.0f} |"
    )


@click.command()
@click.option("--quick", is_flag=True, help="Leave out the whole tap.")
def main(*, quick: bool) -> None:
    """Print the table."""
    digests = recorded_digests()
    sizes = [10, 1_000] if quick else [10, 1_000, len(digests)]
    click.echo(
        "| digests | subjects | latency | API version | list calls | bundles fetched | MB | s | peak MiB |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for version in (API_VERSION, LINKED):
        for size in sizes:
            for subjects in (1, 6):
                for latency in (0.0, 0.05):
                    click.echo(measure(digests[:size], subjects, latency, version))


if __name__ == "__main__":
    main()
