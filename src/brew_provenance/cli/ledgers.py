"""What the audit commands share: the ledger that they are about, and how a run in it is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from platformdirs import user_data_path

from brew_provenance.audit import report
from brew_provenance.audit.ledger import Ledger, Run
from brew_provenance.cli import options
from brew_provenance.errors import InputError, UsageError
from brew_provenance.verdict import Outcome, worst_of

ledger = click.option(
    "--ledger",
    "ledger_file",
    type=options.PATH,
    metavar="FILE",
    help="The ledger, an SQLite file. [default: one a tap, in the folder for data]",
)
tap = click.argument("tap", metavar="USER/REPO")
which_tap = click.option(
    "--tap",
    metavar="USER/REPO",
    help="The tap, where a ledger has audits of several. [default: the last one]",
)
output_format = options.output_format(*report.FORMATS)


def check_output(output_format: str, output_file: Path | None) -> None:
    """Raise UsageError for a page that would not go into a file, before anything else is done.

    A file is written whole or not at all; of a page that was cut off in a pipe, a browser shows a part.
    """
    if output_format == "html" and output_file is None:
        raise UsageError("--format html", "is a file for a browser", "give --output FILE as well")


def write_report(ledger: Ledger, run: Run, output_format: str, output_file: Path | None) -> None:
    """Report a run. Raises LedgerError, and InputError for a file that cannot be written."""
    with options.writing(output_file) as write:
        for piece in report.FORMATS[output_format](ledger, run):
            write(piece)


def default_ledger(tap: str, *, make: bool = False) -> Path:
    """Return where a tap's ledger is when nobody says; `make` makes its folder. Raises InputError."""
    folder = user_data_path("brew-provenance") / "ledgers"
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(folder), error.strerror or str(error), "name a file with --ledger") from error
    return folder / f"{tap.replace('/', '-')}.sqlite"


def exit_code(counts: Mapping[Outcome, int]) -> int:
    """Return the exit code for the worst outcome that a bottle has; 0 for a shard without bottles."""
    found = [outcome for outcome, bottles in counts.items() if bottles]
    return worst_of(found).exit_code if found else 0
