"""`brew-provenance sandbox`: rehearsals with a virtual Sigstore, whose bundles nobody else trusts."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

import click

from brew_provenance.cli import options
from brew_provenance.errors import InputError, UsageError
from brew_provenance.sandbox.forgery import FORGERIES
from brew_provenance.sandbox.rehearsal import make_kit
from brew_provenance.sandbox.serving import require_extra


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


@command.command("store")
@click.argument("folder", type=options.PATH, metavar="KIT")
@click.option(
    "--repo",
    required=True,
    metavar="OWNER/REPO",
    help="The repository that they are served for.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Listen there, not on a free port.")
@click.option(
    "--requires-token/--no-requires-token",
    default=True,
    show_default=True,
    help="Answer for many digests at once to whoever has a token only, as GitHub does.",
)
@click.option(
    "--latency",
    type=click.FloatRange(0, 60_000),
    default=0,
    show_default=True,
    metavar="MS",
    help="Answer everything this many milliseconds late.",
)
@click.option(
    "--budget",
    type=click.IntRange(0),
    metavar="N",
    help="Requests an hour and caller, instead of GitHub's 5000 with a token and 60 without.",
)
def store(  # noqa: PLR0913 - one parameter an option
    folder: Path, repo: str, port: int, latency: float, budget: int | None, *, requires_token: bool
) -> None:
    """Serve the attestations of KIT on loopback, as GitHub's API does, until Ctrl-C.

    The first line says at which URL; it takes the place of https://api.github.com. Any token is accepted,
    and may add and delete attestations, for as long as the store runs. Ctrl-C or SIGTERM ends it with exit
    code 0.
    """
    require_extra()
    from brew_provenance.sandbox.github import options as github  # noqa: PLC0415 - not without the extra
    from brew_provenance.sandbox.github.attestations import AttestationStore  # noqa: PLC0415
    from brew_provenance.sandbox.github.service import AttestationService, serve_github  # noqa: PLC0415
    from brew_provenance.sandbox.github.stock import load_kit  # noqa: PLC0415

    attestations = AttestationStore()
    load_kit(attestations, folder, repo)
    answers = github.Options(
        bulk_requires_token=requires_token,
        other_tokens=github.EVERYTHING,
        budgets=github.Budgets() if budget is None else github.Budgets(budget, budget),
        latency=latency / 1000,
    )
    # What is asked comes with people's own tokens, which nothing here has to remember.
    service = AttestationService(attestations, answers, keep_log=0)
    with serve_github(service, port=port) as served, contextlib.suppress(KeyboardInterrupt):
        # What a shell has started in the background does not hear Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        options.write_result(f"{served.url}\n", None)
        served.wait()


@command.command("forgeries")
def forgeries() -> None:
    """List the catalogue of forgeries, and the reason code that each is rejected with."""
    options.write_result(
        "".join(f"{forgery.name:45} {forgery.code:35} {forgery.what}\n" for forgery in FORGERIES), None
    )
