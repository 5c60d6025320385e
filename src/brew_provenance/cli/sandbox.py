"""`brew-provenance sandbox`: rehearsals with a virtual Sigstore, whose bundles nobody else trusts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from brew_provenance.cli import options
from brew_provenance.errors import InputError, UsageError
from brew_provenance.sandbox.forgery import FORGERIES
from brew_provenance.sandbox.rehearsal import make_kit


@click.group("sandbox")
def command() -> None:
    """Rehearse with a virtual Sigstore of your own.

    What it signs is worth something only under its own trusted root, which no command trusts unless it is
    given with --trusted-root.
    """


@command.command("kit")
@click.argument("folder", type=options.PATH)
@click.option(
    "--fixtures",
    required=True,
    type=options.PATH,
    metavar="DIR",
    help="A folder with api/NAME.json for each formula, and bottles/.",
)
@click.option("--unattested", multiple=True, metavar="NAME", help="Leave this formula without attestation.")
@click.option(
    "--forged", multiple=True, metavar="NAME=FORGERY", help="Give this formula a forgery of the catalogue."
)
def kit(folder: Path, fixtures: Path, unattested: Sequence[str], forged: Sequence[str]) -> None:
    """Write a kit into FOLDER, with attestations for the bottles of formulae."""
    forgeries = {}
    for item in forged:
        name, equals, forgery = item.partition("=")
        if not equals:
            raise UsageError(f"--forged {item}", "not NAME=FORGERY", "name a formula and a forgery")
        forgeries[name] = forgery
    try:
        count = make_kit(folder, fixtures, unattested=unattested, forged=forgeries)
    except OSError as error:
        raise InputError(
            str(folder), error.strerror or str(error), "give a folder that can be written"
        ) from error
    options.write_result(f"{folder}: a kit for {count} bottles\n", None)


@command.command("forgeries")
def forgeries() -> None:
    """List the catalogue of forgeries, and the reason code that each is rejected with."""
    options.write_result(
        "".join(f"{forgery.name:45} {forgery.code:35} {forgery.what}\n" for forgery in FORGERIES), None
    )
