"""Options that mean the same in every command, and what they are turned into."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

import click
from platformdirs import user_cache_path

from brew_provenance.appraise import Candidate
from brew_provenance.bottle import BottleTag
from brew_provenance.bundle import MAX_FILE_BYTES, read_bundles
from brew_provenance.errors import InputError, UsageError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.host import host_tag
from brew_provenance.reports import json as json_report
from brew_provenance.reports import text as text_report
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.trust import TrustedRoot, is_public_good, public_good_root, read_trusted_roots
from brew_provenance.verdict import Verdict

_LONGEST = 200

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH: Final = click.Path(path_type=Path)

trusted_root = click.option(
    "--trusted-root",
    "trusted_root_file",
    type=PATH,
    metavar="FILE",
    help="Trust the roots in FILE (JSON, or JSON lines) instead of Sigstore's public-good one.",
)
no_public_good = click.option(
    "--no-public-good",
    is_flag=True,
    help="Do not trust Sigstore's public-good instance, even where the file of --trusted-root does.",
)
offline = click.option(
    "--offline", is_flag=True, help="Use no network, not even to refresh the trusted root."
)
explain = click.option("--explain", is_flag=True, help="Show the nine steps, and what each of them saw.")
output = click.option(
    "--output", "output_file", type=PATH, metavar="FILE", help="Write the result to FILE, not to the screen."
)
quiet = click.option("--quiet", "-q", is_flag=True, help="Print what is not verified, and no notes.")
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


class Group(click.Group):
    """A group whose list has the first sentence of each command's help whole."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list, wrapped where it is too wide."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(_LONGEST)) for name, command in commands if command]
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


@dataclass(frozen=True)
class Output:
    """How a command prints its verdicts."""

    output_format: str
    output_file: Path | None
    explain: bool
    quiet: bool
    no_color: bool

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """Render and write verdicts, all of them or none. Raises InputError."""
        match self.output_format:
            case "json":
                text = json_report.render_verdicts(verdicts, explain=self.explain)
            case "sarif":
                from brew_provenance.reports import sarif  # noqa: PLC0415 - for this format alone

                text = sarif.render_verdicts(verdicts)
            case "junit":
                from brew_provenance.reports import junit  # noqa: PLC0415 - as above

                text = junit.render_verdicts(verdicts)
            case _:
                style = style_for(self.output_file, no_color=self.no_color)
                text = text_report.render_verdicts(
                    verdicts, explain=self.explain, quiet=self.quiet, style=style
                )
        write_result(text, self.output_file)


def for_verdicts(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how verdicts are printed; it takes them as one `Output`."""

    @wraps(command)
    def with_output(**given: Any) -> None:  # noqa: ANN401 - click's own types
        chosen = {name: given.pop(name) for name in Output.__dataclass_fields__}
        command(output=Output(**chosen), **given)

    decorated: Callable[..., None] = with_output
    for option in (no_color, quiet, explain, output, output_format("text", "json", "sarif", "junit")):
        decorated = option(decorated)
    return decorated


def parse_tag(tag: str | None) -> BottleTag:
    """Return the tag that was given, or this machine's. Raises UsageError for what is no tag."""
    if tag is None:
        return host_tag()
    try:
        return BottleTag.parse(tag)
    except ValueError as error:
        raise UsageError(f"--tag {tag}", str(error), "write it as formulae do: arm64_sonoma") from error


def note(text: str) -> None:
    """Tell a person something beside the result."""
    click.echo(f"note: {text_report.printable(text)}", err=True)


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
    with writing(output_file) as write:
        write(text)


@contextmanager
def writing(output_file: Path | None) -> Iterator[Callable[[str], object]]:
    """Write a long result piece by piece with what is yielded; into a file whole, or not at all.

    Raises InputError when it cannot be written.
    """
    thing, next_step = "standard output", "make room, or give --output"
    try:
        if output_file is None:
            yield sys.stdout.write
            sys.stdout.flush()
        else:
            thing, next_step = str(output_file), "give --output a file that can be written"
            with _replacing(output_file) as stream:
                yield stream.write
    except OSError as error:
        if output_file is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise InputError(thing, error.strerror or str(error), next_step) from error


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    if path.exists() and not path.is_file():
        # A pipe or a device, which nothing can take the place of.
        with path.open("w", encoding="utf-8") as stream:
            yield stream
        return
    # Under a name that nobody can have prepared, and readable as a result should be.
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            yield stream
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def style_for(output_file: Path | None, *, no_color: bool) -> Callable[[str, str], str]:
    """Return how to colour words: not at all in files, pipes, or where it is not wanted."""
    if output_file or no_color or os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text_report.plain
    return lambda word, colour: click.style(word, fg=colour, bold=True)


def load_roots(
    trusted_root_file: Path | None, *, offline: bool, no_public_good: bool = False
) -> Sequence[TrustedRoot]:
    """Return the roots to verify under: those of a file, or the public-good one.

    With `no_public_good`, only such roots of the file as are of other instances. Raises TrustError, and
    UsageError when that leaves none.
    """
    if no_public_good:
        given = read_trusted_roots(trusted_root_file) if trusted_root_file is not None else []
        if others := [root for root in given if not is_public_good(root)]:
            return others
        raise UsageError(
            "--no-public-good", "leaves no root to trust", "give --trusted-root the root of another instance"
        )
    if trusted_root_file is not None:
        return read_trusted_roots(trusted_root_file)
    return [public_good_root(cache_folder() / "tuf", offline=offline, now=datetime.now(UTC))]


def cache_folder() -> Path:
    """Return the folder for what can be fetched again."""
    return user_cache_path("brew-provenance")
