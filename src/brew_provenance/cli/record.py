"""`brew-provenance record`: what a build job writes down of its bottles."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

import brew_provenance
from brew_provenance.actionsjob import read_job
from brew_provenance.cli import options
from brew_provenance.cli.sources import brew_environment
from brew_provenance.errors import BuildSideError, NothingMatchedError
from brew_provenance.record import LeftOut, NotRecordedError, Recorded, Surroundings, record_bottles
from brew_provenance.reports.text import printable


@click.command("record")
@click.argument("folders", nargs=-1, type=options.PATH, metavar="[DIR]...")
@click.option("--recursive", is_flag=True, help="Look into the folders below as well.")
@click.option(
    "--tap-dir",
    type=options.PATH,
    metavar="DIR",
    help="The clone of the tap that was built, where it is not where brew keeps it.",
)
@click.option(
    "--brew-repository",
    type=options.PATH,
    metavar="DIR",
    help="brew's own clone, where it is not found, or not what HOMEBREW_REPOSITORY says.",
)
@click.option(
    "--job-id", metavar="NUMBER", help="The job's number: ${{ job.check_run_id }}. Nothing else knows it."
)
@click.option(
    "--earlier",
    type=options.PATH,
    multiple=True,
    metavar="DIR",
    help="Records of earlier runs, for bottles that were taken over from them. Repeatable.",
)
@click.option("--allow-none", is_flag=True, help="Exit with 0 also where nothing was bottled.")
@options.output_format("text", "json")
@options.output
def command(  # noqa: PLR0913 - one parameter an option
    *,
    folders: Sequence[Path],
    recursive: bool,
    tap_dir: Path | None,
    brew_repository: Path | None,
    job_id: str | None,
    earlier: Sequence[Path],
    allow_none: bool,
    output_format: str,
    output_file: Path | None,
) -> None:
    """Record what the bottles in DIR were built from, and by which job: the build job's part.

    Run it after `brew bottle --json` or `brew test-bot`, in the same job of GitHub Actions. It writes a file
    beside each bottle in DIR, or in the current folder, which goes with the bottle to the job that runs
    `attest`. No token and no network are used.

    A bottle that an earlier run built, and that test-bot has taken over, keeps the record of that run where
    there is one, and is left out otherwise. Exits with 6, and writes nothing, when any bottle is not what it
    is said to be.
    """
    repository = brew_repository or brew_environment().repository

    def find_tap(tap: str) -> Path:
        user, _, name = tap.partition("/")
        return tap_dir or repository / "Library" / "Taps" / user / f"homebrew-{name}"

    try:
        results = record_bottles(
            folders or [Path()],
            Surroundings(read_job(os.environ, job_id), find_tap, repository, earlier),
            now=datetime.now(UTC),
            recursive=recursive,
        )
    except NotRecordedError as error:
        if len(error.failures) > 1:
            # What is wrong with the tap is wrong with each bottle of it; it is said once.
            for failure in {str(failure): failure for failure in error.failures}.values():
                _tell(failure)
        raise
    except NothingMatchedError:
        if not allow_none:
            raise
        results = []
    notes = [note for result in results if isinstance(result, Recorded) for note in result.notes]
    for note in dict.fromkeys(notes):
        options.note(note)
    render = _json if output_format == "json" else _text
    options.write_result(render(results), output_file)
    sys.exit(0)


def _tell(failure: BuildSideError) -> None:
    click.echo(f"{printable(failure.thing)}: {printable(failure.cause)}", err=True)
    click.echo(f"  next: {printable(failure.next_step)}", err=True)


def _text(results: Sequence[Recorded | LeftOut]) -> str:
    return "".join(f"{_line(result)}\n" for result in results)


def _line(result: Recorded | LeftOut) -> str:
    name = printable(result.bottle.name)
    if isinstance(result, LeftOut):
        return f"{name}: not recorded: {printable(result.why)}"
    record = result.record
    verb = "keeps its record" if result.kept else "recorded"
    built = f"{record.formula.path} of {record.tap.name} at {record.tap.commit[:12]}"
    by = f"run {record.run.run_id}, attempt {record.run.run_attempt}, on {record.runner.name}"
    return printable(f"{name}: {verb}: {built}, built by {by}")


def _json(results: Sequence[Recorded | LeftOut]) -> str:
    document = {
        "schemaVersion": 1,
        "tool": {"name": "brew-provenance", "version": brew_provenance.__version__},
        "records": [
            {
                "bottle": str(result.bottle),
                "file": str(result.file),
                "kept": result.kept,
                "notes": list(result.notes),
                "record": result.record.model_dump(mode="json"),
            }
            for result in results
            if isinstance(result, Recorded)
        ],
        "leftOut": [
            {"bottle": str(result.bottle), "why": result.why}
            for result in results
            if isinstance(result, LeftOut)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
