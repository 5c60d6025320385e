"""`brew-provenance audit`: every bottle of a tap."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from platformdirs import user_data_path

import brew_provenance
from brew_provenance.audit import report
from brew_provenance.audit.ledger import Ledger, Run
from brew_provenance.audit.run import Auditor, Progress, plan
from brew_provenance.cli import options
from brew_provenance.cli.sources import Sources, options_of_one_tap
from brew_provenance.errors import InputError, NothingMatchedError
from brew_provenance.targets import find_formulae, full_name
from brew_provenance.verdict import Outcome, worst_of

_LEDGER = click.option(
    "--ledger",
    "ledger_file",
    type=options.PATH,
    metavar="FILE",
    help="The ledger, an SQLite file. [default: one a tap, in the folder for data]",
)
_TAP = click.argument("tap", metavar="USER/REPO")
_FORMAT = options.output_format("text", "markdown", "json", "jsonl", "sarif")


class _TapFirst(click.Group):
    """Takes the name of a tap for `run` of it: no command has a slash in its name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        given = ["run", *args] if args and "/" in args[0] else args
        return super().resolve_command(ctx, given)


@click.group("audit", cls=_TapFirst)
def command() -> None:
    """Audit whole taps, and keep a ledger of verdicts.

    `audit USER/REPO` is short for `audit run USER/REPO`.
    """


@command.command("run")
@_TAP
@_LEDGER
@click.option(
    "--formula", "names", multiple=True, metavar="NAME", help="Audit this formula only. Repeatable."
)
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Audit bottles for this tag only. Repeatable."
)
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="Processes. [default: one a core]")
@options.quiet
@_FORMAT
@options.output
@options_of_one_tap
def run(  # noqa: PLR0913 - one parameter an option
    *,
    ledger_file: Path | None,
    names: Sequence[str],
    tags: Sequence[str],
    workers: int | None,
    quiet: bool,
    output_format: str,
    output_file: Path | None,
    sources: Sources,
) -> None:
    """Judge every bottle of a tap, and write the verdicts into the ledger.

    What the ledger knows already, under the same policy, roots and version, is neither asked for nor judged
    again; --refresh asks the store for all of it. An audit that was interrupted goes on where it was.

    Exits with 0 when every bottle is verified, 3 when one is rejected, 4 when one has no attestation, and 5
    when something could not be found out.
    """
    source = sources.tap_for(None)(sources.tap)
    for tag in tags:
        options.parse_tag(tag)
    ledger_file = ledger_file or _default_ledger(sources.tap)
    named = [full_name(name, sources.tap) for name in names]
    formulae = find_formulae(sources.tap_for(None), named) if named else source.formulae()
    policy, roots = sources.policy_for(sources.tap), sources.roots()
    store = sources.plain_store_for(sources.tap)
    with Ledger(ledger_file, create=True) as ledger, options.counter("bottles") as count:
        number = ledger.begin(
            Run(
                0,
                sources.tap,
                source.name,
                store.name,
                policy.name,
                policy.sha256,
                ",".join(sorted(root.sha256 for root in roots)),
                brew_provenance.__version__,
                datetime.now(UTC).isoformat(timespec="seconds"),
                None,
            )
        )
        try:
            done = Auditor(policy, roots, workers).run(
                plan(formulae, tags),
                store,
                ledger,
                number,
                refresh=sources.refresh,
                progress=lambda so_far: count(so_far.bottles),
            )
        except KeyboardInterrupt:
            options.note(f"stopped; the same command goes on from what is in {ledger_file}")
            raise
        if not done.bottles:
            cause = "publishes no such bottle"
            raise NothingMatchedError(sources.tap, cause, "name another tap, formula or tag")
        ledger.finish(number)
        if not quiet:
            options.note(_told(done))
        _report(ledger, sources.tap, output_format, output_file)
        sys.exit(worst_of(outcome for outcome, bottles in done.outcomes.items() if bottles).exit_code)


@command.command("report")
@_TAP
@_LEDGER
@_FORMAT
@options.output
def show(*, tap: str, ledger_file: Path | None, output_format: str, output_file: Path | None) -> None:
    """Report the last audit of a tap. Uses no network, and judges nothing anew."""
    with Ledger(ledger_file or _default_ledger(tap.lower())) as ledger:
        _report(ledger, tap.lower(), output_format, output_file)


def _report(ledger: Ledger, tap: str, output_format: str, output_file: Path | None) -> None:
    with options.writing(output_file) as write:
        for piece in report.FORMATS[output_format](ledger, ledger.last_run(tap)):
            write(piece)


def _default_ledger(tap: str) -> Path:
    folder = user_data_path("brew-provenance") / "ledgers"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(folder), error.strerror or str(error), "name a file with --ledger") from error
    return folder / f"{tap.replace('/', '-')}.sqlite"


def _told(done: Progress) -> str:
    outcomes = ", ".join(f"{done.outcomes[outcome]:,} {outcome.value}" for outcome in Outcome)
    return f"{done.bottles:,} bottles ({outcomes}); {done.judged:,} judged, {done.bundles:,} bundles verified"
