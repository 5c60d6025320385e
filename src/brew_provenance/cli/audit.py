"""`brew-provenance audit`: every bottle of a tap."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path

import click

from brew_provenance.audit import changes
from brew_provenance.audit.compare import ALARMS, compare_runs
from brew_provenance.audit.ledger import Ledger, Run
from brew_provenance.audit.merge import merge
from brew_provenance.cli import auditrun, ledgers, options, progress
from brew_provenance.errors import UsageError
from brew_provenance.verdict import Outcome


class _TapFirst(options.Group):
    """Takes the name of a tap for `run` of it: no command has a slash in its name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        given = ["run", *args] if args and "/" in args[0] else args
        return super().resolve_command(ctx, given)


@click.group("audit", cls=_TapFirst)
def command() -> None:
    """Audit whole taps, and keep a ledger of verdicts.

    `audit USER/REPO` is short for `audit run USER/REPO`.
    """


@command.command("report")
@ledgers.tap
@ledgers.ledger
@ledgers.output_format
@options.output
def show(*, tap: str, ledger_file: Path | None, output_format: str, output_file: Path | None) -> None:
    """Report the last audit of a tap. Uses no network, and judges nothing anew."""
    ledgers.check_output(output_format, output_file)
    tap = tap.lower()
    with Ledger(ledger_file or ledgers.default_ledger(tap)) as ledger:
        ledgers.write_report(ledger, ledger.last_run(tap), output_format, output_file)


@command.command("diff")
@click.argument("old", type=options.PATH)
@click.argument("new", type=options.PATH, required=False)
@ledgers.which_tap
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice(ALARMS),
    help="Exit with 3 for this alarm only. Repeatable. [default: for all]",
)
@click.option(
    "--flag-day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="From this day on, in UTC, the tap attests all of its bottles.",
)
@options.output_format(*changes.FORMATS)
@options.output
def diff(  # noqa: PLR0913 - one parameter an option
    *,
    old: Path,
    new: Path | None,
    tap: str | None,
    fail_on: Sequence[str],
    flag_day: datetime | None,
    output_format: str,
    output_file: Path | None,
) -> None:
    """Say what changed from the last audit in the ledger OLD to the last one in NEW.

    With one ledger: between its last two audits. Whether the store still has what it had is seen by an audit
    with --refresh, or with a ledger of its own: any other one does not ask again.

    Exits with 3 when there is an alarm, else with 0. What each means is said beside it.
    """
    day: date | None = flag_day.date() if flag_day else None
    with ExitStack() as stack:
        older = stack.enter_context(Ledger(old))
        newer = stack.enter_context(Ledger(new)) if new is not None else older
        after = newer.last_run(tap.lower() if tap else None)
        before = older.last_run(after.tap) if new is not None else _run_before(older, after)
        comparison = compare_runs((older, before), (newer, after), day)
    wanted = fail_on or ALARMS
    with options.writing(output_file) as write:
        for piece in changes.FORMATS[output_format](comparison, wanted):
            write(piece)
    sys.exit(Outcome.REJECTED.exit_code if comparison.alarms(wanted) else 0)


@command.command("merge")
@click.argument("out", type=options.PATH)
@click.argument("files", type=options.PATH, nargs=-1, required=True, metavar="IN...")
@ledgers.which_tap
@ledgers.output_format
@options.output
def put_together(
    *, out: Path, files: Sequence[Path], tap: str | None, output_format: str, output_file: Path | None
) -> None:
    """Put the shards of an audit, a ledger each, together in the ledger OUT, and report it.

    OUT may be there already, with audits in it. Exits as `audit run` does for the whole.
    """
    ledgers.check_output(output_format, output_file)
    with ExitStack() as stack:
        parts = [stack.enter_context(Ledger(ledger)) for ledger in files]
        whole = stack.enter_context(Ledger(out, create=True))
        number = merge(whole, parts, tap.lower() if tap else None)
        counts = whole.counts(number)
        ledgers.write_report(whole, whole.run(number), output_format, output_file)
    sys.exit(ledgers.exit_code(counts))


@command.command("vsa")
@ledgers.tap
@ledgers.ledger
@click.option(
    "--verifier",
    metavar="URI",
    help="Who verified, where nothing is signed. [default when signing: the workflow that signs]",
)
@click.option(
    "--sign/--no-sign", default=None, help="Sign them. [default: where a CI provider gives an identity]"
)
@click.option(
    "--identity-token",
    "token_file",
    type=options.PATH,
    metavar="FILE",
    help="Sign as the holder of the OIDC token in FILE.",
)
@click.option(
    "--trust-config",
    "config_file",
    type=options.PATH,
    metavar="FILE",
    help="Sign with this Sigstore instance.",
)
@options.output
def summarise(  # noqa: PLR0913 - one parameter an option
    *,
    tap: str,
    ledger_file: Path | None,
    verifier: str | None,
    sign: bool | None,
    token_file: Path | None,
    config_file: Path | None,
    output_file: Path | None,
) -> None:
    """Write SLSA Verification Summary Attestations of the last audit, one a line.

    One for the bottles of each package version that came to the same. Signed, they are Sigstore bundles,
    which `check --vsa FILE --vsa-from WORKFLOW` accepts in place of the evidence; unsigned, they are
    Statements for somebody else to sign.
    """
    from brew_provenance.audit.summaries import summarise_run  # noqa: PLC0415 - for this command alone

    tap = tap.lower()
    signs = sign if sign is not None else bool(token_file or os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"))
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(ledger_file or ledgers.default_ledger(tap)))
        run = ledger.last_run(tap)
        finish: Callable[[dict[str, object]], str] = json.dumps
        if signs:
            from brew_provenance.signing import Keyless, read_config, read_token  # noqa: PLC0415 - as above

            token = read_token(token_file) if token_file is not None else None
            signing = stack.enter_context(Keyless(read_config(config_file), token))
            signer = f"https://github.com/{signing.claims().get('job_workflow_ref', '').partition('@')[0]}"
            verifier = verifier or signer

            def finish(statement: dict[str, object]) -> str:
                return signing.sign(json.dumps(statement).encode()).decode()

        if verifier is None:
            raise UsageError("audit vsa", "names no verifier", "give --verifier, or sign in a CI job")
        write = stack.enter_context(options.writing(output_file))
        count = stack.enter_context(progress.counting("summaries"))
        for number, statement in enumerate(summarise_run(ledger, run, verifier), 1):
            write(f"{finish(statement)}\n")
            count(number)


def _run_before(ledger: Ledger, run: Run) -> Run:
    """Return the last run before `run` that has come to its end and covers the same."""
    alike = [
        other
        for other in ledger.finished_runs(run.tap)
        if other.id < run.id and (other.selection, other.shard) == (run.selection, run.shard)
    ]
    if not alike:
        cause = f"only one audit of {run.tap} in it that could be compared has come to its end"
        raise UsageError(str(ledger.path), cause, "audit the tap again, or name two ledgers")
    return alike[-1]


command.add_command(auditrun.command)
