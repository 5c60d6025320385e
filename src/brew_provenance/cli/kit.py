"""`brew-provenance kit`: what an offline check needs, in a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from brew_provenance.check import check_targets
from brew_provenance.cli import options, progress
from brew_provenance.cli.sources import Sources, options_of_sources, options_of_trust
from brew_provenance.errors import InputError, KitError, NothingMatchedError, UsageError
from brew_provenance.formula import Formula
from brew_provenance.host import host_tag
from brew_provenance.kits import Export, export_kit
from brew_provenance.stores.kit import Kit
from brew_provenance.targets import (
    TapFor,
    find_formulae,
    formula_targets,
    full_name,
    installed_formulae,
    prefetch,
)
from brew_provenance.verdict import Outcome, worst_exit_code

# A store that is down leaves out a whole tap; a person reads a screen.
_MAX_NOTES = 100


@click.group("kit", cls=options.Group)
def command() -> None:
    """Kits: what mirrors and machines without a network need to check bottles."""


@command.command("export")
@click.argument("folder", type=options.PATH)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--deps", is_flag=True, help="Include what the formulae need at run time.")
@click.option("--installed", is_flag=True, help="Include every formula that is installed.")
@options_of_sources
def export(
    *,
    folder: Path,
    names: Sequence[str],
    sources: Sources,
    deps: bool,
    installed: bool,
) -> None:
    """Write a kit into FOLDER for the bottles of formulae, for all tags, or bring one up to date.

    With --tap and no names, it is for all formulae of that tap. The same answers give the same bytes, and
    an export that was interrupted goes on where it was.

    Exits with 5 when something was left out: a bottle that a store could not answer for, or something
    installed that no tap describes. The kit then covers the others.
    """
    left_out: list[str] = []
    formulae = _choose(sources, names, left_out, deps=deps, installed=installed)
    with progress.counting("formulae") as count:
        try:
            done = export_kit(
                folder,
                formulae,
                sources.store_for,
                policy_for=sources.policy_for,
                roots=sources.roots(),
                progress=lambda so_far: count(so_far.formulae),
                fresh=sources.refresh,
            )
        except OSError as error:
            raise InputError(
                str(folder), error.strerror or str(error), "give a folder that can be written"
            ) from error
    _report(folder, done, left_out)
    sys.exit(Outcome.UNRESOLVED.exit_code if done.problems or left_out else 0)


@command.command("verify")
@click.argument("folder", type=options.PATH)
@options_of_trust
@options.for_verdicts
def verify(*, folder: Path, sources: Sources, output: options.Output) -> None:
    """Check that the files of the kit in FOLDER are those of its index, and then all of its bottles."""
    kit = Kit(folder)
    if problems := kit.altered_files():
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise KitError(str(folder), f"{problems[0]}{more}", "make the kit again, or copy it again")
    names = [formula.full_name for formula in kit.formulae() if formula.bottles]
    if not names:
        raise NothingMatchedError(str(folder), "the kit describes no bottle", "export one with formulae")
    targets = formula_targets(lambda _tap: kit.tap, names, None)
    verdicts = check_targets(targets, lambda _tap: kit, sources.trust, sources.policy_for)
    output.write(verdicts)
    sys.exit(worst_exit_code(verdicts))


def _choose(
    sources: Sources, names: Sequence[str], left_out: list[str], *, deps: bool, installed: bool
) -> Iterable[Formula]:
    tap_for = sources.tap_for(None)
    named = [full_name(name, sources.tap) for name in names]
    if installed:
        named += _installed(sources, tap_for, left_out)
    elif not names:
        if not sources.names_tap:
            raise UsageError("kit export", "nothing is named", "name formulae, or give --installed or --tap")
        whole = tap_for(sources.tap).formulae()
        if not deps:
            return whole
        named = [formula.full_name for formula in whole]
    return find_formulae(tap_for, named, dependencies_on=host_tag() if deps else None)


def _installed(sources: Sources, tap_for: TapFor, left_out: list[str]) -> Iterator[str]:
    installed = installed_formulae(sources.environment.cellar)
    prefetch(tap_for, [found for found in installed if isinstance(found, str)])
    for found in installed:
        if not isinstance(found, str):
            left_out.append(f"{found.path}: {found.reason}")
            continue
        # What is installed may have been dropped by its tap since.
        try:
            tap_for(found.rpartition("/")[0]).formula(found)
        except (NothingMatchedError, InputError) as error:
            left_out.append(f"{found}: {error.cause}")
        else:
            yield found


def _report(folder: Path, done: Export, left_out: Sequence[str]) -> None:
    problems = [f"{name}, {problem.code}: {problem.detail}" for name, problem in done.problems]
    said = [*left_out, *problems]
    for what in said[:_MAX_NOTES]:
        options.note(f"left out: {what}")
    if len(said) > _MAX_NOTES:
        options.note(f"left out: {len(said) - _MAX_NOTES:,} more")
    options.write_result(
        f"{folder}: a kit for {_count(done.bottles, 'bottle', 'bottles')} of "
        f"{_count(done.formulae, 'formula', 'formulae')}, {done.unattested:,} without attestation\n",
        None,
    )


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
