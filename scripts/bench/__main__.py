"""Measure what the design promises, as ratios of two things timed in turn in one run.

    .venv/bin/python scripts/bench [one-shot] [real] [batch] [overlap] [start]

Each figure is the median of the ratios pair by pair, with the smallest and the largest: the speed of a
machine drifts, and a ratio of neighbours does not. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import click
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import TrustedRoot as SigstoreRoot
from sigstore.verify import Verifier as SigstoreVerifier
from sigstore.verify.policy import VerificationPolicy

from brew_provenance.appraise import Candidate, appraise
from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.evidence import Evidence
from brew_provenance.policy import policy_for_repository
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.instance import LogVersion, VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT, make_kit
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot, public_good_root
from brew_provenance.verdict import Basis, Outcome
from brew_provenance.verify import Verifier

FIXTURES: Final = Path(__file__).parents[2] / "formula-fixtures"
PROCESS_PAIRS: Final = 15
BATCH_PAIRS: Final = 9
BATCH_BUNDLES: Final = 300
_EMPTY_CLICK = "import click; click.command()(lambda: None)()"


@dataclass(frozen=True)
class Figure:
    """One ratio, and the bar that the design sets for it."""

    what: str
    ratios: Sequence[float]
    bar: float | None

    def row(self) -> str:
        """Return a row of a Markdown table."""
        bar = f"{self.bar:.2f}" if self.bar else "-"
        low, high = min(self.ratios), max(self.ratios)
        return f"| {self.what} | {statistics.median(self.ratios):.2f} | {low:.2f}-{high:.2f} | {bar} |"


def compare(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> list[float]:
    """Return the ratio of our time to theirs for each of `pairs` pairs, after one that does not count."""
    ratios = []
    for _ in range(pairs + 1):
        times = []
        for run in (ours, theirs):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        ratios.append(times[0] / times[1])
    return ratios[1:]


def measure_one_shot() -> list[Figure]:
    """Time whole processes that check one bottle offline, against a bare import of sigstore.verify."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_kit(folder, FIXTURES)
        root = ["--trusted-root", str(folder / "trusted_root.jsonl"), "--offline"]
        bottle = "brew-provenance/fixtures/hello"
        check = ["check", bottle, "--kit", str(folder), "--tag", "x86_64_linux", *root]
        artifact = FIXTURES / "bottles" / "hello--3.0.1.x86_64_linux.bottle.tar.gz"
        (bundle,) = (folder / "attestations").glob(f"sha256-{_sha256(artifact)}.jsonl")
        repo = ["--repo", "brew-provenance/homebrew-fixtures"]
        verify = ["verify", str(artifact), "--bundle", str(bundle), *repo, *root]
        bare = _process("-c", "import sigstore.verify")
        return [
            Figure("check, one bottle, offline kit / import sigstore.verify", _pairs(check, bare), 1.35),
            Figure("verify, one bottle / import sigstore.verify", _pairs(verify, bare), 1.35),
        ]


def measure_overlap() -> list[Figure]:
    """Time a whole online check whose store takes 200 ms, against the same with a store that takes none.

    What the process does by itself takes longer than the store, so that it is the larger of the two.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        make_kit(folder / "kit", FIXTURES)
        where = ["--tap", "brew-provenance/fixtures", "--tap-dir", str(_git_tap(folder / "tap"))]
        root = ["--trusted-root", str(folder / "kit" / "trusted_root.jsonl")]
        check = ["check", "hello", "--tag", "x86_64_linux", "--refresh", *where, *root, "--github-api"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        slow, quick = (_store(folder / "kit", latency, stack) for latency in ("200", "0"))

        def run(url: str) -> None:
            command = [sys.executable, "-m", "brew_provenance", *check, url]
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)

        return [
            Figure(
                "check, online, store of 200 ms / store of 0 ms",
                compare(partial(run, slow), partial(run, quick), PROCESS_PAIRS),
                1.2,
            ),
            Figure(
                "check, online, store of 200 ms / import sigstore.verify",
                compare(partial(run, slow), _process("-c", "import sigstore.verify"), PROCESS_PAIRS),
                None,
            ),
        ]


def _store(kit: Path, latency: str, stack: ExitStack) -> str:
    """Serve a kit's attestations, until the stack unwinds, and return the URL."""
    serve = ["sandbox", "store", str(kit), "--repo", "brew-provenance/homebrew-fixtures"]
    store = subprocess.Popen(
        [sys.executable, "-m", "brew_provenance", *serve, "--latency", latency],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    stack.callback(store.wait)
    stack.callback(store.terminate)
    return store.stdout.readline().strip() if store.stdout else ""


def measure_start() -> list[Figure]:
    """Time --help and --version, against a click program that does nothing."""
    bare = _process("-c", _EMPTY_CLICK)
    return [
        Figure(f"{option} / an empty click program", _pairs([option], bare), 2.0)
        for option in ("--help", "--version")
    ]


def measure_batch() -> list[Figure]:
    """Time many distinct bundles in one process, against sigstore-python on the same bundles."""
    figures = []
    logs: tuple[LogVersion, ...] = ("rekor-v1", "rekor-v2")
    for log in logs:
        sigstore = VirtualSigstore()
        job = ActionsJob()
        signer = sigstore.signer(job, SIGNED_AT)
        digests = [Digest("sha256", f"{number:064x}") for number in range(BATCH_BUNDLES)]
        bundles = []
        for digest in digests:
            statement = build_statement([build_subject("bottle", digest.value)], job.provenance())
            bundles.append(encode_json(sigstore.attest(statement, signer, at=SIGNED_AT, log=log)))
        raw_root = encode_json(sigstore.trusted_root())
        root = TrustedRoot("virtual", raw_root, built_in=False)
        ours, theirs = Verifier([root]), _sigstore_verifier(raw_root)
        basis = Basis((root,), policy_for_repository(job.repository), "bench")
        reference = partial(_sigstore_all, theirs, bundles)
        for what, run in (
            ("from bytes to evidence", partial(_verify_all, ours, bundles)),
            ("from bytes to verdict", partial(_judge_all, ours, bundles, digests, basis)),
        ):
            ratios = compare(run, reference, BATCH_PAIRS)
            figures.append(Figure(f"{what}, {log} / from_json and verify_dsse", ratios, 1.15))
    return figures


def measure_real() -> list[Figure]:
    """Time real attestations of the data folder in the same way, where it is at hand."""
    folder = (
        Path(os.environ.get("BREW_PROVENANCE_DATA") or FIXTURES.parents[1] / "shared" / "data") / "bundles"
    )
    with tempfile.TemporaryDirectory() as cache:
        root = public_good_root(Path(cache), offline=True, now=datetime.now(UTC))
    ours, theirs = Verifier([root]), _sigstore_verifier(root.raw)
    accepted = []
    for path in sorted(folder.glob("*.json")):
        bundle = read_bundle(path.read_bytes())
        if not isinstance(bundle, Bundle) or not bundle.payload_type:
            continue
        evidence = ours.verify(bundle, ())
        entry = evidence.log_entry if isinstance(evidence, Evidence) else None
        # Of the kinds that sigstore-python reads as well.
        if entry is not None and entry.is_proven and entry.kind != "intoto/0.0.2":
            accepted.append(bundle.raw)
    if not accepted:
        click.echo(f"no real bundles in {folder}", err=True)
        return []
    bundles = accepted * (BATCH_BUNDLES // len(accepted))
    run, reference = partial(_verify_all, ours, bundles), partial(_sigstore_all, theirs, bundles)
    what = f"from bytes to evidence, {len(accepted)} real bundles / from_json and verify_dsse"
    return [Figure(what, compare(run, reference, BATCH_PAIRS), 1.15)]


def _git_tap(folder: Path) -> Path:
    shutil.copytree(FIXTURES / "Formula", folder / "Formula")
    author = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        [*author, "commit", "--quiet", "--message", "bench"],
    ):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)  # noqa: S607 - git is on the PATH
    return folder


class _AnyCertificate(VerificationPolicy):
    def verify(self, cert: object) -> None:
        """Accept."""


def _sigstore_verifier(raw_root: bytes) -> SigstoreVerifier:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(raw_root)
        file.flush()
        return SigstoreVerifier(trusted_root=SigstoreRoot.from_file(file.name))


def _sigstore_all(verifier: SigstoreVerifier, bundles: Sequence[bytes]) -> None:
    for raw in bundles:
        verifier.verify_dsse(SigstoreBundle.from_json(raw), _AnyCertificate())


def _verify_all(verifier: Verifier, bundles: Sequence[bytes]) -> None:
    for raw in bundles:
        bundle = read_bundle(raw)
        accepted = isinstance(bundle, Bundle) and isinstance(verifier.verify(bundle, ()), Evidence)
        if not accepted:
            raise RuntimeError("a good bundle was not accepted")


def _judge_all(verifier: Verifier, bundles: Sequence[bytes], digests: Sequence[Digest], basis: Basis) -> None:
    for raw, digest in zip(bundles, digests, strict=True):
        candidate = Candidate("bench", read_bundle(raw))
        if appraise(Question("b", (digest,)), [candidate], verifier, basis).outcome is not Outcome.VERIFIED:
            raise RuntimeError("a good bundle was not accepted")


def _pairs(arguments: Sequence[str], bare: Callable[[], object]) -> list[float]:
    return compare(_process("-m", "brew_provenance", *arguments), bare, PROCESS_PAIRS)


def _process(*arguments: str) -> Callable[[], object]:
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _sha256(path: Path) -> str:
    names = json.loads((FIXTURES / "api" / "hello.json").read_text(encoding="utf-8"))
    files: dict[str, dict[str, str]] = names["bottle"]["stable"]["files"]
    return files[path.name.split(".")[-4]]["sha256"]


_PARTS: Final = {
    "one-shot": measure_one_shot,
    "real": measure_real,
    "batch": measure_batch,
    "overlap": measure_overlap,
    "start": measure_start,
}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(_PARTS)))
def main(parts: Sequence[str]) -> None:
    """Print a table of ratios for PARTS, all of them by default."""
    click.echo(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores\n")
    click.echo("| what | median ratio | smallest-largest | bar |\n| --- | --- | --- | --- |")
    for part in parts or _PARTS:
        for figure in _PARTS[part]():
            click.echo(figure.row())


if __name__ == "__main__":
    main()
