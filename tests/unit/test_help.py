"""The help of every command: whole, within its width, and with a sentence for each option."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from brew_provenance.cli import cli

WIDTH = 80
Words = tuple[str, ...]
# They are gh's, whose names say what they do.
_WITHOUT_HELP = {("gh", "attestation", "verify")}


def walk(
    command: click.Command, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield a command and all below it, with the words that call them."""
    yield names, command
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from walk(found, (*names, name))


COMMANDS = dict(walk(cli))


def help_of(names: Words) -> str:
    command = COMMANDS[names]
    path = " ".join(["brew-provenance", *names])
    with click.Context(
        command, info_name=path, terminal_width=WIDTH, help_option_names=["-h", "--help"]
    ) as context:
        return command.get_help(context)


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_help_is_whole_and_fits(names: Words) -> None:
    text = help_of(names)
    assert "\\b" not in text
    assert "\b" not in text
    lines = text.splitlines()
    # A word that is too long for a line has to stand out: only a choice of many does.
    assert [line for line in lines if len(line) > WIDTH and " --" not in line] == []
    listed = text.partition("\nCommands:\n")[2]
    assert "..." not in listed


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_and_option_says_what_it_does(names: Words) -> None:
    command = COMMANDS[names]
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    if names in _WITHOUT_HELP:
        return
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, parameter.name


def test_environments_are_told_to_commands_as_they_have_to_be_written() -> None:
    text = help_of(("sandbox", "run"))
    (line,) = (line for line in text.splitlines() if "SANDBOX_TRUSTED_ROOT" in line)
    assert line.strip() == '--github-api "$SANDBOX_GITHUB_API" --trusted-root "$SANDBOX_TRUSTED_ROOT"'


def test_an_upgrade_needs_no_name() -> None:
    assert "[NAME]... [-- BREW_ARGUMENT...]" in help_of(("upgrade",))
    assert " NAME... [-- BREW_ARGUMENT...]" in help_of(("install",))
