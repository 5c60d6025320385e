"""Audit all of the recorded homebrew-core with the command, against a store on loopback, twice.

    .venv/bin/python scripts/bench/audit.py [--per-bottle] [--formulae N]

The attestations are genuine ones of a virtual Sigstore: one a formula, as Homebrew's publishing jobs make
them, or one a bottle. The formulae come from a signed document as long as Homebrew's own. Needs Linux, and
the recorded homebrew-core (BREW_PROVENANCE_DATA).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from core import TAP, formula_api, served_store
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SAMPLED_EVERY: Final = 0.1
"""Seconds between two looks at the memory."""

_TOLD = re.compile(r"([\d,]+) bottles \(([\d,]+) verified,.*; ([\d,]+) judged, ([\d,]+) bundles verified")


@dataclass(frozen=True)
class Run:
    """What one run of the command took."""

    told: tuple[str, str, str, str]
    """Bottles, bottles that are verified, bottles that were judged, and bundles that were verified."""

    seconds: float
    mebibytes: float
    """Of the command and all of its workers together, at their largest; shared pages are counted once."""


def processes(root: int) -> Iterator[int]:
    """Yield a process and all that descend from it, as far as they still live."""
    yield root
    with suppress(OSError):
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from processes(int(child))


def memory(root: int) -> float:
    """Return the proportional set size of a process and its descendants, in MiB."""
    total = 0
    for process in processes(root):
        with suppress(OSError):
            found = re.search(
                r"^Pss: +(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE
            )
            total += int(found[1]) if found else 0
    return total / 1024


def audit(command: list[str], environment: Mapping[str, str]) -> Run:
    """Run the command, and return what it took."""
    start = time.perf_counter()
    largest = 0.0
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, encoding="utf-8") as process:
        while process.poll() is None:
            largest = max(largest, memory(process.pid))
            time.sleep(SAMPLED_EVERY)
        seconds = time.perf_counter() - start
        said = process.stderr.read() if process.stderr else ""
    told = _TOLD.search(said)
    if process.returncode or told is None:
        raise click.ClickException(f"the audit ended with {process.returncode}: {said}")
    bottles, verified, judged, bundles = told.groups()
    return Run((bottles, verified, judged, bundles), seconds, largest)


def lay_out(folder: Path, limit: int | None) -> tuple[str, ...]:
    """Write what the command is to find, and return the options that lead there."""
    key = generate_private_key(public_exponent=65537, key_size=4096)
    (folder / "key.pem").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    # brew's own cache, where the command looks first.
    (folder / "api").mkdir()
    (folder / "api" / "formula.jws.json").write_bytes(formula_api(limit, key))
    return (
        *("--formula-key", str(folder / "key.pem"), "--ledger", str(folder / "ledger.sqlite")),
        *("--trusted-root", str(folder / "root.json"), "--output", str(folder / "report.txt")),
    )


@click.command()
@click.option("--per-bottle", is_flag=True, help="One attestation a bottle, not one a formula.")
@click.option("--formulae", "limit", type=int, help="Only the first N formulae.")
def main(*, per_bottle: bool, limit: int | None) -> None:
    """Print a row for each of two audits."""
    columns = ["audit", "bottles", "verified", "judged", "bundles verified", "list calls", "s", "MiB in all"]
    click.echo(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    with tempfile.TemporaryDirectory() as name, served_store(limit, per_bottle=per_bottle) as store:
        folder = Path(name)
        options = lay_out(folder, limit)
        (folder / "root.json").write_bytes(store.trusted_root)
        # Of an audit by somebody with an empty home, and nobody's brew.
        environment = {
            **{kept: os.environ[kept] for kept in ("PATH", "LANG") if kept in os.environ},
            "HOME": name,
            "HOMEBREW_CACHE": name,
        }
        command = [sys.executable, "-P", "-m", "brew_provenance", "audit", TAP, "--github-api", store.url]
        before = 0
        for which in ("first", "second"):
            run = audit([*command, *options], environment)
            lists, _ = store.requests()
            cells = [which, *run.told, str(lists - before), f"{run.seconds:.1f}", f"{run.mebibytes:.0f}"]
            click.echo(f"| {' | '.join(cells)} |")
            before = lists


if __name__ == "__main__":
    main()
