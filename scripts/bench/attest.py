"""Attest many bottles in the sandbox: time and requests a bottle, memory, and a second run that signs none.

    .venv/bin/python scripts/bench/attest.py [--bottles N]

The servers are a process of their own, on the same machine: CA, log, token issuer, GitHub's API. Every
signature is a genuine one of the virtual Sigstore, and `attest` is run as a publishing job runs it.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import click

from brew_provenance.bottle import BottleFileName
from brew_provenance.buildrecord import BuildRecord, record_name
from brew_provenance.formula.bottleblock import without_bottle_block
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.services.runner import Rehearsal
from brew_provenance.sandbox.services.world import WorldOptions, serve_world

COMMIT: Final = "c0ffee" + "0" * 34
TAGS: Final = ("arm64_linux", "x86_64_linux")
TAP, REPOSITORY = "brew-provenance/fixtures", "brew-provenance/homebrew-fixtures"
JOB: Final = ActionsJob(event_name="workflow_dispatch", sha=COMMIT)
SERVICES: Final = ("oidc", "ca", "log", "github")
PACE: Final = ("--max-per-minute", "100000", "--max-per-hour", "1000000")


@dataclass(frozen=True)
class Run:
    """What one run of `attest` took."""

    bottles: int
    signed: int
    seconds: float
    mebibytes: float
    requests: Mapping[str, int]

    def row(self, name: str) -> str:
        """Return a line of the table."""
        each = [f"{self.requests[service] / self.bottles:.3f}" for service in SERVICES]
        cells = [
            name,
            f"{self.bottles:,}",
            f"{self.signed:,}",
            f"{self.seconds:.1f}",
            f"{self.seconds / self.bottles * 1000:.1f}",
            *each,
            f"{self.mebibytes:.0f}",
        ]
        return f"| {' | '.join(cells)} |"


def serve(connection: Connection) -> None:
    """Serve a world, say what its environment is, and then what it was asked whenever that is asked."""
    with serve_world(WorldOptions(Rehearsal(JOB))) as world:
        connection.send(world.environment_for(os.environ))
        while connection.recv():
            connection.send({name: log.total for name, log in world.requests.items()})


def bottles(count: int) -> Iterator[tuple[BottleFileName, bytes, bytes]]:
    """Yield names of bottles, the formula of each, and its bytes."""
    for number in range(count):
        name, tag = f"tool{number // len(TAGS)}", TAGS[number % len(TAGS)]
        source = f'class Tool{number // len(TAGS)} < Formula\n  url "https://example.org/t-1.0.tar.gz"\nend\n'
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path, content in (
                (f"{name}/1.0/.brew/{name}.rb", source.encode()),
                (f"{name}/1.0/bin/{name}", f"{name} {tag}\n".encode()),
            ):
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        yield BottleFileName(name, "1.0", tag, 0), source.encode(), packed.getvalue()


def lay_out(folder: Path, count: int, environment: Mapping[str, str]) -> None:
    """Write bottles, what brew says of each, and the records of the world's build job."""
    for name, source, content in bottles(count):
        (folder / str(name)).write_bytes(content)
        described = json.dumps({name.formula: {"formula": {"name": name.formula}}}).encode()
        (folder / _json_file(name)).write_bytes(described)
        record = _record(name, source, content, described, environment["SANDBOX_JOB_ID"])
        (folder / record_name(name)).write_bytes(record.to_bytes())


def _json_file(name: BottleFileName) -> str:
    return f"{name.formula}--{name.version}.{name.tag}.bottle.json"


def _record(
    name: BottleFileName, source: bytes, content: bytes, described: bytes, job_id: str
) -> BuildRecord:
    rehearsal = Rehearsal(JOB)
    path = f"Formula/{name.formula}.rb"
    blob = hashlib.sha1(b"blob %d\0%b" % (len(source), source), usedforsecurity=False).hexdigest()
    document: dict[str, Any] = {
        "tool": "brew-provenance bench",
        "recorded_at": datetime.now(UTC).isoformat(),
        "bottle": {
            "file": str(name),
            "sha256": hashlib.sha256(content).hexdigest(),
            "formula": name.formula,
            "version": name.version,
            "tag": name.tag,
            "rebuild": name.rebuild,
            "json_file": _json_file(name),
            "json_sha256": hashlib.sha256(described).hexdigest(),
        },
        "tap": {"name": TAP, "remote": f"https://github.com/{REPOSITORY}", "commit": COMMIT},
        "formula": {
            "path": path,
            "blob": blob,
            "sha256": hashlib.sha256(source).hexdigest(),
            "sha256_without_bottle_block": hashlib.sha256(without_bottle_block(source)).hexdigest(),
        },
        "brew": {"version": "7.0.4"},
        "run": {
            "server": JOB.server,
            "repository": JOB.repository,
            "repository_id": JOB.repository_id,
            "owner_id": JOB.owner_id,
            "workflow_ref": JOB.workflow_ref,
            "ref": JOB.ref,
            "sha": JOB.sha,
            "head_sha": JOB.sha,
            "event_name": JOB.event_name,
            "run_id": JOB.run_id,
            "run_attempt": JOB.run_attempt,
            "job": rehearsal.key,
            "job_id": job_id,
        },
        "runner": {
            "name": rehearsal.runner.name,
            "os": rehearsal.runner.os,
            "arch": rehearsal.runner.arch,
            "environment": JOB.runner_environment,
        },
    }
    return BuildRecord.from_bytes(json.dumps(document).encode(), str(name))


def measure(
    connection: Connection, environment: Mapping[str, str], folder: Path, bundles: Path, count: int
) -> Run:
    """Run `attest`, and return what it took."""
    before = _asked(connection)
    command = [
        *(sys.executable, "-P", "-m", "brew_provenance", "attest", str(folder), "--bundles", str(bundles)),
        *("--github-api", environment["SANDBOX_GITHUB_API"]),
        *("--trusted-root", environment["SANDBOX_TRUSTED_ROOT"]),
        *("--trust-config", environment["SANDBOX_TRUST_CONFIG"]),
        *PACE,
        *("--format", "json"),
    ]
    start = time.perf_counter()
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE) as process:
        out, _ = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise click.ClickException(f"attest ended with {process.returncode}")
    attested = json.loads(out)["attestations"]
    after = _asked(connection)
    return Run(
        bottles=count,
        signed=sum(one["newlySigned"] for one in attested),
        seconds=seconds,
        # The largest of the children so far: the first run is the larger one.
        mebibytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        requests={name: after[name] - before[name] for name in SERVICES},
    )


def _asked(connection: Connection) -> Mapping[str, int]:
    connection.send(True)  # noqa: FBT003 - go on
    found: Mapping[str, int] = connection.recv()
    return found


@click.command()
@click.option("--bottles", "count", type=click.IntRange(1, 100_000), default=1000, show_default=True)
def main(count: int) -> None:
    """Print a table of two runs over the same bottles."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there,), daemon=True)
    server.start()
    environment = here.recv()
    columns = ["run", "bottles", "signed", "s", "ms a bottle"]
    columns += [*(f"{service} requests a bottle" for service in SERVICES), "MiB"]
    click.echo(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    with tempfile.TemporaryDirectory() as name:
        folder, bundles = Path(name, "bottles"), Path(name, "bundles")
        folder.mkdir()
        lay_out(folder, count, environment)
        for run in ("first", "second"):
            click.echo(measure(here, environment, folder, bundles, count).row(run))
    here.send(False)  # noqa: FBT003 - stop
    server.join(30)


if __name__ == "__main__":
    main()
