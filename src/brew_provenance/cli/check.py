"""`brew-provenance check`: say whether bottles have build provenance."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from brew_provenance.bottle import BottleFileName, BottleTag, Digest, claimed_bottle_name
from brew_provenance.check import check_targets
from brew_provenance.cli import options
from brew_provenance.cli.sources import Sources, options_of_sources
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.findings import Finding
from brew_provenance.host import host_tag
from brew_provenance.targets import (
    CORE,
    Skipped,
    Target,
    digest_target,
    file_target,
    formula_targets,
    full_name,
    keg_target,
    prefetch,
)
from brew_provenance.verdict import Outcome, worst_exit_code

if TYPE_CHECKING:
    from brew_provenance.vsa import Summaries


@click.command("check")
@click.argument("names", nargs=-1, metavar="[NAME|FILE|sha256:HEX]...")
@click.option("--tag", metavar="TAG", help="Check the bottle for this tag. [default: this machine's]")
@click.option("--all-tags", is_flag=True, help="Check every bottle of each formula.")
@click.option("--deps", is_flag=True, help="Check also what the formulae need at run time.")
@click.option(
    "--installed", is_flag=True, help="Check the bottles that everything installed was poured from."
)
@click.option(
    "--brewfile", "brewfile", type=options.PATH, metavar="FILE", help="Check the formulae of a Brewfile."
)
@click.option(
    "--vsa",
    "summary_files",
    type=options.PATH,
    multiple=True,
    metavar="FILE",
    help="Verification summaries of --vsa-from, bundles one a line. Repeatable.",
)
@click.option(
    "--vsa-from",
    "summary_signer",
    metavar="WORKFLOW",
    help="Take this verifier's word for evidence: OWNER/REPO/.github/workflows/FILE@REF.",
)
@click.option(
    "--vsa-level",
    "summary_levels",
    multiple=True,
    metavar="LEVEL",
    help="What its summaries have to say was verified. Repeatable. [default: SLSA_BUILD_LEVEL_2]",
)
@click.option("--fetch", is_flag=True, help="Download the bottles, and compare their bytes as well.")
@options_of_sources
@options.for_verdicts
def command(  # noqa: PLR0913 - one parameter an option
    *,
    names: Sequence[str],
    sources: Sources,
    output: options.Output,
    tag: str | None,
    brewfile: Path | None,
    all_tags: bool,
    deps: bool,
    installed: bool,
    fetch: bool,
    summary_files: Sequence[Path],
    summary_signer: str | None,
    summary_levels: Sequence[str],
) -> None:
    """Say whether bottles have build provenance, before they are poured.

    NAME is a formula, whose bottle for this machine is checked; FILE a bottle; sha256:HEX any artifact that
    the tap's own CI should have attested. A bottle that is in brew's download cache is hashed as well.

    Exits with 0 when everything is verified, 3 when a bottle is rejected, 4 when one has no attestation, and
    5 when it could not be found out.
    """
    if tag and all_tags:
        raise UsageError("--all-tags", "contradicts --tag", "leave out one of them")
    wanted = None if all_tags else options.parse_tag(tag)
    if not (names or installed or brewfile):
        raise UsageError("check", "nothing to check", "name formulae, or give --installed or --brewfile")
    left_out: list[str] = []
    files, formulae, digests = _sort(names)
    if brewfile:
        # It names formulae and nothing else, whatever they are called.
        formulae += _in_brewfile(brewfile, left_out, quiet=output.quiet)
    tap_for = sources.tap_for(wanted)
    targets = [_of_file(path, name, sources, wanted) for path, name in files]
    targets += (digest_target(digest, sources.tap) for digest in digests)
    targets += formula_targets(
        tap_for,
        [full_name(name, sources.tap) for name in formulae],
        wanted,
        dependencies_on=(wanted or host_tag()) if deps else None,
    )
    targets = [_with_file(target, sources, fetch=fetch) for target in targets]
    if installed:
        targets += _of_kegs(sources, left_out, quiet=output.quiet)
    if not targets:
        cause = left_out[0] if left_out else "none of it is a bottle"
        raise NothingMatchedError("check", cause, "there is nothing to check")
    verdicts = check_targets(
        targets,
        sources.store_for,
        sources.trust,
        sources.policy_for,
        fresh=sources.refresh,
        summaries=_summaries(summary_files, summary_signer, summary_levels),
    )
    output.write(verdicts)
    for what in left_out:
        options.note(f"not checked: {what}")
    # What could not be looked at is no success, whatever the rest is.
    sys.exit(worst_exit_code(verdicts) or (Outcome.UNRESOLVED.exit_code if left_out else 0))


def _summaries(files: Sequence[Path], signer: str | None, levels: Sequence[str]) -> Summaries | None:
    if not files and signer is None:
        return None
    if not files or signer is None:
        raise UsageError("--vsa, --vsa-from", "one says nothing without the other", "give both")
    from brew_provenance.certificate import ClaimError, WorkflowIdentity  # noqa: PLC0415 - where they are given
    from brew_provenance.vsa import BUILD_LEVEL_2, Summaries  # noqa: PLC0415 - as above

    try:
        identity = WorkflowIdentity.parse(f"https://github.com/{signer.removeprefix('https://github.com/')}")
    except ClaimError as error:
        next_step = "write OWNER/REPO/.github/workflows/FILE@refs/heads/BRANCH"
        raise UsageError(f"--vsa-from {signer}", "not a workflow at a ref", next_step) from error
    candidates = [candidate for path in files for candidate in options.read_candidates(path)]
    return Summaries(tuple(candidates), identity, frozenset(levels or [BUILD_LEVEL_2]))


def _sort(named: Sequence[str]) -> tuple[list[tuple[Path, str]], list[str], list[Digest]]:
    """Tell bottle files, with the bottle names that they claim, from formulae and digests."""
    files, formulae, digests = [], [], []
    for name in named:
        if name.startswith(("sha256:", "sha512:")):
            try:
                digests.append(Digest.parse(name))
            except ValueError as error:
                raise UsageError(name, str(error), "give a formula, a bottle file or sha256:HEX") from error
        elif claimed := claimed_bottle_name(Path(name).name):
            files.append((Path(name), claimed))
        else:
            formulae.append(name)
    return files, formulae, digests


def _of_file(path: Path, name: str, sources: Sources, wanted: BottleTag | None) -> Target:
    target = file_target(path, name, sources.tap_for(wanted), sources.tap)
    own = BottleTag.parse(BottleFileName.parse(name).tag)
    if target.question.bottle is not None or wanted in {own, None}:
        return target
    # A file may be for another machine, whose bottles the API's document for this one leaves out.
    return file_target(path, name, sources.tap_for(None), sources.tap)


def _in_brewfile(path: Path, left_out: list[str], *, quiet: bool) -> Sequence[str]:
    from brew_provenance.brewfile import (  # noqa: PLC0415 - loads a parser of Ruby
        MAX_BREWFILE_BYTES,
        BrewfileError,
        read_brewfile,
    )

    raw = options.read_limited(path, MAX_BREWFILE_BYTES, "a Brewfile")
    try:
        found = read_brewfile(raw)
    except BrewfileError as error:
        raise InputError(str(path), str(error), "give a Brewfile") from error
    left_out += (f"{path} line {line}, which would have to be run: {text}" for line, text in found.unknown)
    if found.skipped and not quiet:
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.skipped)
        options.note(f"{path}: only formulae have bottles; left out: {kinds}")
    return found.formulae


def _of_kegs(sources: Sources, left_out: list[str], *, quiet: bool) -> Iterator[Target]:
    from brew_provenance.kegs import Keg, installed_kegs  # noqa: PLC0415 - for --installed alone

    host = host_tag()
    kegs = list(installed_kegs(sources.environment.cellar))
    poured = (keg for keg in kegs if isinstance(keg, Keg) and keg.poured_from_bottle)
    prefetch(sources.tap_for(host), [f"{(keg.tap or CORE).lower()}/{keg.name}" for keg in poured])
    for keg in kegs:
        if not isinstance(keg, Keg):
            left_out.append(f"{keg.path}: {keg.reason}")
            continue
        found = keg_target(keg, sources.tap_for(host), host, sources.find_cached)
        if not isinstance(found, Skipped):
            yield found
        elif found.is_bottle:
            left_out.append(f"{found.name}: {found.why}")
        elif not quiet:
            options.note(f"{found.name}: {found.why}")


def _with_file(target: Target, sources: Sources, *, fetch: bool) -> Target:
    """Find the bottle itself: what is in brew's cache is hashed, whether that was asked for or not."""
    bottle = target.question.bottle
    if target.file is not None or bottle is None:
        return target
    file = sources.find_cached(bottle)
    if file is not None or not fetch:
        return replace(target, file=file)
    fetched = sources.fetch(bottle)
    if isinstance(fetched, Finding):
        return replace(target, findings=(*target.findings, fetched))
    return replace(target, file=fetched)
