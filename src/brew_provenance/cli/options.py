"""Options that mean the same in every command, and what they are turned into."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
from platformdirs import user_cache_path

from brew_provenance.appraise import Candidate
from brew_provenance.bundle import MAX_FILE_BYTES, read_bundles
from brew_provenance.errors import InputError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.reports import json as json_report
from brew_provenance.reports import text as text_report
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.trust import TrustedRoot, public_good_root, read_trusted_roots
from brew_provenance.verdict import Verdict

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH: Final = click.Path(path_type=Path)

trusted_root = click.option(
    "--trusted-root",
    "trusted_root_file",
    type=PATH,
    metavar="FILE",
    help="Trust the roots in FILE (JSON, or JSON lines) instead of Sigstore's public-good one.",
)
offline = click.option(
    "--offline", is_flag=True, help="Use no network, not even to refresh the trusted root."
)
explain = click.option("--explain", is_flag=True, help="Show the nine steps, and what each of them saw.")
output = click.option(
    "--output", "output_file", type=PATH, metavar="FILE", help="Write the result to FILE, not to the screen."
)
no_color = click.option("--no-color", is_flag=True, help="Print without colours, as NO_COLOR does.")

bundles = click.option(
    "--bundle",
    "bundle_files",
    type=PATH,
    multiple=True,
    required=True,
    metavar="FILE",
    help="A Sigstore bundle (.json), or one a line (.jsonl). Repeatable.",
)


def output_format(*formats: str) -> _Decorator:
    """Return the `--format` option, whose default is the first of `formats`."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How to print the result.",
    )


def for_verdicts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of all commands that reach verdicts."""
    for option in (no_color, explain, output, output_format("text", "json"), offline, trusted_root):
        command = option(command)
    return command


def read_limited(path: Path, limit: int, what: str) -> bytes:
    """Read a whole file. Raises InputError when it cannot be read, or is longer than `limit` bytes."""
    try:
        return read_bounded(path, limit)
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), f"give {what}") from error
    except FileTooLongError as error:
        raise InputError(str(path), str(error), f"give {what}") from error


def read_candidates(path: Path) -> list[Candidate]:
    """Read a file of bundles. Raises InputError, which names file and line, when any of it is not JSON."""
    raw = read_limited(path, MAX_FILE_BYTES, "a file of Sigstore bundles")
    try:
        found = read_bundles(raw)
    except MalformedJSONError as error:
        raise InputError(
            str(path), str(error), "give a file of Sigstore bundles, as JSON or JSON lines"
        ) from error
    if len(found) == 1:
        return [Candidate(str(path), found[0])]
    return [Candidate(f"{path} bundle {number}", bundle) for number, bundle in enumerate(found, 1)]


def open_input(path: Path, what: str) -> BinaryIO:
    """Open a file. Raises InputError when it is missing, a directory, or not readable."""
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), f"give {what}") from error


def write_result(text: str, output_file: Path | None) -> None:
    """Write a result whole, or not at all. Raises InputError when it cannot be written."""
    if output_file is None:
        try:
            click.echo(text, nl=False)
            sys.stdout.flush()
        except OSError as error:
            # Otherwise the interpreter would try the same again on its way out.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise InputError(
                "standard output", error.strerror or str(error), "make room, or give --output"
            ) from error
        return
    try:
        _replace_file(output_file, text)
    except OSError as error:
        next_step = "give --output a file that can be written"
        raise InputError(str(output_file), error.strerror or str(error), next_step) from error


def _replace_file(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")  # a pipe or a device, which nothing can take the place of
        return
    # Under a name that nobody can have prepared, and readable as a result should be.
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(path)
    except OSError:
        Path(unfinished).unlink(missing_ok=True)
        raise


def write_verdicts(
    verdicts: Sequence[Verdict],
    output_format: str,
    output_file: Path | None,
    *,
    explain: bool,
    no_color: bool,
) -> None:
    """Render and write verdicts, all of them or none."""
    if output_format == "json":
        text = json_report.render_verdicts(verdicts, explain=explain)
    else:
        style = style_for(output_file, no_color=no_color)
        text = text_report.render_verdicts(verdicts, explain=explain, style=style)
    write_result(text, output_file)


def style_for(output_file: Path | None, *, no_color: bool) -> Callable[[str, str], str]:
    """Return how to colour words: not at all in files, pipes, or where it is not wanted."""
    if output_file or no_color or os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text_report.plain
    return lambda word, colour: click.style(word, fg=colour, bold=True)


def load_roots(trusted_root_file: Path | None, *, offline: bool) -> Sequence[TrustedRoot]:
    """Return the roots to verify under: those of a file, or the public-good one."""
    if trusted_root_file is not None:
        return read_trusted_roots(trusted_root_file)
    cache = user_cache_path("brew-provenance") / "tuf"
    return [public_good_root(cache, offline=offline, now=datetime.now(UTC))]
