"""The command line: parse, wire, print, and map errors to exit codes. A module a command, no logic."""

from __future__ import annotations

import gc
import logging
import sys
from importlib import import_module
from typing import Final

import click

from brew_provenance import __version__
from brew_provenance.errors import ProvenanceError

# Kept here, so that `--help` loads no command: name, and what the list of commands says of it.
_COMMANDS: Final = {
    "check": "Say whether bottles have build provenance.",
    "install": "Install formulae whose bottles are verified.",
    "upgrade": "Upgrade formulae whose bottles are verified.",
    "reinstall": "Reinstall formulae whose bottles are verified.",
    "verify": "Verify an artifact's attestations from a file of bundles.",
    "gh": "Answer in place of gh, for brew's own check too.",
    "inspect": "Show what a file of bundles says, without a verdict.",
    "attest": "Sign and publish what build jobs recorded: the publishing job's part.",
    "audit": "Judge every bottle of a tap, and keep the verdicts.",
    "record": "Record what a build job's bottles were built from.",
    "tap": "List the bottles that a tap publishes.",
    "kit": "Make and check kits, for machines without a network.",
    "trust": "Show and export the trusted roots.",
    "policy": "Show the policy of a tap, and check policy files.",
    "cache": "See or delete the attestations that this machine remembers.",
    "reasons": "Print the table of reason codes.",
    "completions": "Print the completions for a shell.",
    "sandbox": "Rehearse with a virtual Sigstore of your own.",
}


class _Commands(click.Group):
    """Loads a command when it is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        # Nothing that an import makes is garbage, and looking for some takes a tenth of the start.
        gc.disable()
        try:
            command = import_module(f"brew_provenance.cli.{cmd_name}").command
        finally:
            gc.freeze()
            gc.enable()
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 all verified, 2 usage, 3 rejected, 4 unattested, 5 unresolved, "
    "6 recording or attesting failed, 1 a bug.",
)
@click.version_option(__version__, prog_name="brew-provenance")
def cli() -> None:
    """Build provenance for Homebrew bottles."""


def main() -> None:
    """Run the command line and exit."""
    # Libraries log warnings of their own; what a user must know is said by us.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        cli(prog_name="brew-provenance")
    except ProvenanceError as error:
        click.echo(f"brew-provenance: {_shown(error.thing)}: {_shown(error.cause)}", err=True)
        click.echo(f"next: {_shown(error.next_step)}", err=True)
        sys.exit(error.exit_code)


def _shown(text: str) -> str:
    from brew_provenance.reports.text import printable  # noqa: PLC0415 - not for --help

    return printable(text)
