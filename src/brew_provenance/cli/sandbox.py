"""`brew-provenance sandbox`: rehearsals with a virtual Sigstore, whose bundles nobody else trusts."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from brew_provenance.cli import options
from brew_provenance.errors import InputError, UsageError
from brew_provenance.sandbox.forgery import FORGERIES
from brew_provenance.sandbox.rehearsal import make_kit
from brew_provenance.sandbox.serving import require_extra


@click.group("sandbox", cls=options.Group)
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
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Listen there, not on a free port.",
)
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


@command.command("run", context_settings={"allow_interspersed_args": False})
@click.option(
    "--repo",
    metavar="OWNER/REPO",
    help="The repository that the job is of. [default: brew-provenance/homebrew-fixtures]",
)
@click.option(
    "--tap-dir",
    "tap_folder",
    type=options.PATH,
    metavar="DIR",
    help="Its git repository, whose HEAD is the job's commit.",
)
@click.option(
    "--event",
    metavar="NAME",
    help="The event that starts the workflow, such as pull_request. [default: workflow_dispatch]",
)
@click.option(
    "--workflow",
    metavar="PATH",
    help="The workflow's file. [default: .github/workflows/publish.yml]",
)
@click.option(
    "--ref", metavar="REF", help="The job's ref. [default: refs/heads/main, or the pull request's merge]"
)
@click.option("--run-id", type=click.IntRange(1, 2**53), metavar="N", help="The run's number.")
@click.option("--run-attempt", type=click.IntRange(1, 10_000), metavar="N", help="Which attempt of the run.")
@click.option("--private", "is_private", is_flag=True, help="Let the repository be a private one.")
@click.option(
    "--without-permission",
    "denied",
    multiple=True,
    type=click.Choice(["id-token", "attestations", "actions"]),
    help="Leave this line out of the job's permissions.",
)
@click.option(
    "--log",
    "log_version",
    type=click.Choice(["rekor-v1", "rekor-v2"]),
    default="rekor-v1",
    show_default=True,
    help="The log to sign with; version 2 goes with timestamps.",
)
@click.option(
    "--formulae",
    type=options.PATH,
    metavar="DIR",
    help="Serve a formula API for these descriptions, NAME.json each.",
)
@click.option("--bottles", type=options.PATH, metavar="DIR", help="Serve the bottles in DIR as a registry.")
@click.option(
    "--state",
    type=options.PATH,
    metavar="DIR",
    help="Keep attestations, log entries and runs there, for the next time.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SERVICE=KIND[:N]",
    help="Let something go wrong, with the first N requests or all: ca=down, log=lost:1, publishing=503:2.",
)
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD [ARG]...")
def run(  # noqa: PLR0913 - one parameter an option
    *,
    argv: Sequence[str],
    tap_folder: Path | None,
    denied: Sequence[str],
    log_version: Literal["rekor-v1", "rekor-v2"],
    formulae: Path | None,
    bottles: Path | None,
    state: Path | None,
    faults: Sequence[str],
    **job: Any,  # noqa: ANN401 - click's own types
) -> None:
    """Run CMD as a job of GitHub Actions, in a world of its own on loopback.

    It gets a token issuer, a certificate authority, a transparency log, a timestamp authority, GitHub's API
    with attestations, runs and jobs, a formula API and a bottle registry, and the environment of a job. No
    shell is involved; CMD may be one, as in `-- bash release.sh`. The exit code is that of CMD.

    Nothing in the environment changes whom commands trust, so they are told:

    \b
      --github-api "$SANDBOX_GITHUB_API" --trusted-root "$SANDBOX_TRUSTED_ROOT"
      --trust-config "$SANDBOX_TRUST_CONFIG" --formula-key "$SANDBOX_FORMULA_KEY"

    SERVICE is oidc, ca, log, timestamping, github, publishing, store, actions, blobs, formulae or registry.
    KIND is a status from 400 to 599; down: no answer, nothing done; lost: done, but no answer; cut: half an
    answer; slow: an answer 3 seconds late; hang: never an answer.
    """  # noqa: D301 - click's mark of lines to be left as they are
    require_extra()
    from brew_provenance.sandbox.github import options as github  # noqa: PLC0415
    from brew_provenance.sandbox.services import world as worlds  # noqa: PLC0415 - not without the extra
    from brew_provenance.sandbox.services.baddays import BadDay  # noqa: PLC0415
    from brew_provenance.sandbox.services.process import run_command  # noqa: PLC0415
    from brew_provenance.sandbox.services.runner import Rehearsal  # noqa: PLC0415
    from brew_provenance.sandbox.services.tapjob import with_options, with_tap  # noqa: PLC0415

    job["repository"] = job.pop("repo")
    rehearsal = with_options(Rehearsal(), **job)
    if tap_folder is not None:
        rehearsal = with_tap(rehearsal, tap_folder)
    chosen = worlds.WorldOptions(
        rehearsal=rehearsal,
        log_version=log_version,
        formulae=formulae,
        bottles=bottles,
        permissions=worlds.PERMISSIONS - set(denied),
        state=state,
        bad_days=[BadDay.parse(text) for text in faults],
        # Whoever checks sends no token to an API that is not GitHub's; here they fare as with one.
        github=github.Options(bulk_requires_token=False, budgets=github.Budgets(anonymous=5000)),
    )
    with worlds.serve_world(chosen) as world:
        code = run_command(argv, world.environment_for(os.environ))
    click.get_current_context().exit(code)


@command.command("forgeries")
def forgeries() -> None:
    """List the catalogue of forgeries, and the reason code that each is rejected with."""
    options.write_result(
        "".join(f"{forgery.name:45} {forgery.code:35} {forgery.what}\n" for forgery in FORGERIES), None
    )
