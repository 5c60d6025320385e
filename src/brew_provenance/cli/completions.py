"""`brew-provenance completions`: for bash, zsh and fish."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from brew_provenance.cli import options

_PROGRAM = "brew-provenance"


@click.command("completions")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completions for SHELL, to be put where it looks for them.

    brew's own `generate_completions_from_executable` calls it when a formula installs brew-provenance.
    """
    made = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    if made is None:  # pragma: no cover - click has all three
        raise AssertionError
    source = made(root, {}, _PROGRAM, "_BREW_PROVENANCE_COMPLETE").source()
    options.write_result(f"{source}\n", None)
