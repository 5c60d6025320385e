"""`brew-provenance audit`: every bottle of a tap."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from platformdirs import user_data_path

import brew_provenance
from brew_provenance.audit import changes, report
from brew_provenance.audit.compare import ALARMS, compare_runs
from brew_provenance.audit.executors import LocalProcesses, StartExecutor
from brew_provenance.audit.ledger import Ledger, Run
from brew_provenance.audit.merge import merge
from brew_provenance.audit.run import Auditor, Progress, plan
from brew_provenance.audit.shard import Shard
from brew_provenance.cli import options, progress
from brew_provenance.cli.sources import Sources, options_of_one_tap
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.formula import Formula
from brew_provenance.taps import Counted, Tap
from brew_provenance.targets import find_formulae, full_name, history_of
from brew_provenance.verdict import Outcome, worst_of

if TYPE_CHECKING:
    from brew_provenance.taps.git import GitTap

_INTERRUPTED = 130
_BARE = ("jsonl", "sarif", "junit")

_LEDGER = click.option(
    "--ledger",
    "ledger_file",
    type=options.PATH,
    metavar="FILE",
    help="The ledger, an SQLite file. [default: one a tap, in the folder for data]",
)
_TAP = click.argument("tap", metavar="USER/REPO")
_WHICH_TAP = click.option(
    "--tap",
    metavar="USER/REPO",
    help="The tap, where a ledger has audits of several. [default: the last one]",
)
_FORMAT = options.output_format(*report.FORMATS)


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


@command.command("run")
@_TAP
@_LEDGER
@click.option(
    "--formula", "names", multiple=True, metavar="NAME", help="Audit this formula only. Repeatable."
)
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Audit bottles for this tag only. Repeatable."
)
@click.option(
    "--since",
    metavar="REV",
    help="With --tap-dir: audit formulae only whose files changed since this commit.",
)
@click.option(
    "--history",
    is_flag=True,
    help="With --tap-dir: audit every bottle that any commit up to --commit ever listed.",
)
@click.option("--shard", metavar="I/N", help="Audit the I-th of N parts, for `audit merge` to put together.")
@click.option(
    "--executor",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="Verify in processes of this machine, or on a dask cluster.",
)
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="Processes. [default: one a core]")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="With --executor dask: its scheduler, tcp://HOST:8786 or tls://HOST:8786. Whoever controls that, or"
    " one of its workers, decides what is verified.",
)
@click.option(
    "--quiet",
    "-q",
    is_flag=True,
    help="Print no notes, and a line every half minute in place of the bar, as without a terminal.",
)
@_FORMAT
@options.output
@options_of_one_tap
def run(  # noqa: PLR0913 - one parameter an option
    *,
    ledger_file: Path | None,
    names: Sequence[str],
    tags: Sequence[str],
    since: str | None,
    history: bool,
    shard: str | None,
    executor: str,
    workers: int | None,
    scheduler: str | None,
    quiet: bool,
    output_format: str,
    output_file: Path | None,
    sources: Sources,
) -> None:
    """Judge every bottle of a tap, and write the verdicts into the ledger.

    What the ledger knows already, under the same policy, roots and version, is neither asked for nor judged
    again; --refresh asks the store for all of it. An audit that was interrupted goes on where it was.

    Exits with 0 when every bottle is verified, 3 when one is rejected, 4 when one has no attestation, and 5
    when something could not be found out; with 0 also for a shard that none of the tap's bottles is in.
    """
    _check_output(output_format, output_file)
    tap = sources.tap
    wanted = dict.fromkeys(str(options.parse_tag(tag)) for tag in tags)
    part = _parse_shard(shard)
    start = _executor(executor, workers, scheduler)
    source = sources.tap_for(None)(tap)
    named = [_of_tap(name, tap) for name in names]
    repository = _repository(source, since, history=history)
    # What was named is looked for before anything is written; what was once listed may be gone.
    found = list(find_formulae(sources.tap_for(None), named)) if named and not history else None
    formulae = source.formulae() if found is None else found
    if repository is not None and since is not None:
        chosen = {formula.name for formula in found} if found is not None else None
        changed = repository.formulae_since(since)
        formulae = (formula for formula in changed if chosen is None or formula.name in chosen)
    outlook = progress.Outlook(_to_read(source, found) if since is None else None)
    offered = _Offered(outlook.formulae(formulae), tap)
    policy, roots = sources.policy_for(tap), sources.roots()
    store = sources.audit_store_for(tap, _ignore if quiet else options.note)
    with Ledger(ledger_file or _default_ledger(tap, make=True), create=True) as ledger:
        number = ledger.begin(
            Run(
                id=0,
                tap=tap,
                metadata=source.name,
                store=store.name,
                policy=policy.name,
                policy_sha256=policy.sha256,
                roots=",".join(sorted(root.sha256 for root in roots)),
                tool_version=brew_provenance.__version__,
                started=datetime.now(UTC).isoformat(timespec="seconds"),
                selection=_selection(
                    [formula.name for formula in found] if found is not None else _short(named),
                    wanted,
                    [*(["history"] if history else []), *([f"since {since}"] if since else [])],
                ),
                shard=str(part or ""),
            )
        )
        walked: tuple[str, ...] = ()
        subjects = plan(offered, list(wanted), part)
        try:
            if repository is not None and history:
                from brew_provenance.audit.history import History  # noqa: PLC0415 - loads libgit2
                from brew_provenance.taps.gitline import GitLine  # noqa: PLC0415 - as above

                kept = History(ledger, tap)
                with progress.counting("commits") as count:
                    walked = kept.walk(GitLine(repository), count).notes
                subjects = kept.plan(list(wanted), part, _short(named))
                is_whole = not (wanted or part or named)
                outlook = progress.Outlook(bottles=kept.bottles if is_whole else None)
            with progress.auditing(outlook, quiet=quiet) as show:
                done = Auditor(policy, roots, start).run(
                    outlook.subjects(subjects),
                    store,
                    ledger,
                    number,
                    refresh=sources.refresh,
                    history=history_of(source),
                    progress=show,
                )
        except KeyboardInterrupt:
            options.note(f"stopped; the same command goes on from what is in {ledger.path}")
            sys.exit(_INTERRUPTED)
        if not done.bottles and not (since or (part and (history or offered.bottles))):
            cause = "publishes no such bottle"
            raise NothingMatchedError(tap, cause, "name another tap, formula or tag")
        walked += _look_for_commits(source, ledger, number)
        notes = (*source.notes, *walked, *done.notes, *(root.note for root in roots if root.note))
        ledger.finish(number, notes)
        # Where a report has no room for notes they are told beside it.
        told = [*(notes if output_format in _BARE else ()), _told(done)]
        for text in told if not quiet else ():
            options.note(text)
        _report(ledger, ledger.run(number), output_format, output_file)
    sys.exit(_exit_code(done.outcomes))


@command.command("report")
@_TAP
@_LEDGER
@_FORMAT
@options.output
def show(*, tap: str, ledger_file: Path | None, output_format: str, output_file: Path | None) -> None:
    """Report the last audit of a tap. Uses no network, and judges nothing anew."""
    _check_output(output_format, output_file)
    tap = tap.lower()
    with Ledger(ledger_file or _default_ledger(tap)) as ledger:
        _report(ledger, ledger.last_run(tap), output_format, output_file)


@command.command("diff")
@click.argument("old", type=options.PATH)
@click.argument("new", type=options.PATH, required=False)
@_WHICH_TAP
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
@click.argument("ledgers", type=options.PATH, nargs=-1, required=True, metavar="IN...")
@_WHICH_TAP
@_FORMAT
@options.output
def put_together(
    *, out: Path, ledgers: Sequence[Path], tap: str | None, output_format: str, output_file: Path | None
) -> None:
    """Put the shards of an audit, a ledger each, together in the ledger OUT, and report it.

    OUT may be there already, with audits in it. Exits as `audit run` does for the whole.
    """
    _check_output(output_format, output_file)
    with ExitStack() as stack:
        parts = [stack.enter_context(Ledger(ledger)) for ledger in ledgers]
        whole = stack.enter_context(Ledger(out, create=True))
        number = merge(whole, parts, tap.lower() if tap else None)
        counts = whole.counts(number)
        _report(whole, whole.run(number), output_format, output_file)
    sys.exit(_exit_code(counts))


@command.command("vsa")
@_TAP
@_LEDGER
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
        ledger = stack.enter_context(Ledger(ledger_file or _default_ledger(tap)))
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


def _ignore(said: str) -> None:
    """Take no notice."""


class _Offered:
    """The formulae of one tap out of all that a source has, and how many bottles those have that went by."""

    def __init__(self, formulae: Iterable[Formula], tap: str) -> None:
        self._formulae = formulae
        self._tap = tap
        self.bottles = 0

    def __iter__(self) -> Iterator[Formula]:
        for formula in self._formulae:
            # A kit can hold several taps.
            if formula.tap == self._tap:
                self.bottles += len(formula.bottles) + len(formula.unnamed)
                yield formula


def _to_read(source: Tap, named: Sequence[Formula] | None) -> int | None:
    """Return how many formulae there are to read, where that is known before they are."""
    if named is not None:
        return len(named)
    return source.formula_count if isinstance(source, Counted) else None


def _of_tap(name: str, tap: str) -> str:
    """Return a formula's full name. Raises UsageError for one of another tap, whose policy is another."""
    full = full_name(name, tap)
    if full.rpartition("/")[0] != tap:
        raise UsageError(f"--formula {name}", f"not of {tap}", "audit the other tap by itself")
    return full


def _executor(name: str, workers: int | None, scheduler: str | None) -> StartExecutor:
    """Return what starts an executor. Raises UsageError for options that do not go together."""
    if name == "local":
        if scheduler is not None:
            raise UsageError("--scheduler", "is for --executor dask", "give that as well, or leave it out")
        return partial(LocalProcesses, count=workers)
    if workers is not None:
        raise UsageError("--workers", "a dask cluster has its own", "leave it out, or use --executor local")
    if scheduler is None:
        # Not from dask's own configuration: whom verdicts rest on is said where they are asked for.
        raise UsageError(
            "--executor dask",
            "which cluster is not said",
            "start `dask scheduler` and some `dask worker ADDRESS`, and give --scheduler ADDRESS",
        )
    from brew_provenance.audit.cluster import DaskCluster  # noqa: PLC0415 - for clusters alone

    options.note(f"bundles are verified by the workers of {scheduler}: verdicts are as good as those are")
    return partial(DaskCluster, address=scheduler)


def _parse_shard(text: str | None) -> Shard | None:
    try:
        return Shard.parse(text) if text is not None else None
    except ValueError as error:
        raise UsageError(f"--shard {text}", str(error), "write it as 2/4, for the second of four") from error


def _selection(names: Iterable[str], tags: Iterable[str], more: Iterable[str] = ()) -> str:
    """Return what an audit is limited to, the same for the same limits in whatever order."""
    named = (f"formula {name}" for name in sorted(set(names)))
    return ", ".join([*more, *named, *(f"tag {tag}" for tag in sorted(tags))])


def _short(full_names: Iterable[str]) -> list[str]:
    return [name.rpartition("/")[2] for name in full_names]


def _repository(source: Tap, since: str | None, *, history: bool) -> GitTap | None:
    """Return the tap as a git repository, where that is asked for. Raises UsageError when it is none."""
    if since is None and not history:
        return None
    option = "--history" if history else "--since"
    if since is not None and history:
        raise UsageError("--since and --history", "say different things", "give one of them")
    from brew_provenance.taps.git import GitTap  # noqa: PLC0415 - loads libgit2

    if not isinstance(source, GitTap):
        raise UsageError(option, f"{source.name} has no commits", "give a clone of the tap with --tap-dir")
    return source


def _look_for_commits(source: Tap, ledger: Ledger, run: int) -> tuple[str, ...]:
    """Record which attested formula commits the tap's branch leads to, where its repository is at hand."""
    commits = ledger.attested_commits(run) if history_of(source) is not None else []
    if not commits:
        return ()
    from brew_provenance.taps.git import GitTap  # noqa: PLC0415 - loads libgit2
    from brew_provenance.taps.gitline import GitLine  # noqa: PLC0415 - as above

    found = GitLine(source).leads_to(commits) if isinstance(source, GitTap) else {}
    with ledger.transaction():
        ledger.record_commits(run, found)
    lost = sum(not reachable for reachable in found.values())
    note = f"the branch does not lead to {lost:,} of {len(found):,} commits that bottles were built from"
    return (note,) if lost else ()


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


def _check_output(output_format: str, output_file: Path | None) -> None:
    """Raise UsageError for a page that would not go into a file, before anything else is done.

    A file is written whole or not at all; of a page that was cut off in a pipe, a browser shows a part.
    """
    if output_format == "html" and output_file is None:
        raise UsageError("--format html", "is a file for a browser", "give --output FILE as well")


def _report(ledger: Ledger, run: Run, output_format: str, output_file: Path | None) -> None:
    with options.writing(output_file) as write:
        for piece in report.FORMATS[output_format](ledger, run):
            write(piece)


def _default_ledger(tap: str, *, make: bool = False) -> Path:
    folder = user_data_path("brew-provenance") / "ledgers"
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(folder), error.strerror or str(error), "name a file with --ledger") from error
    return folder / f"{tap.replace('/', '-')}.sqlite"


def _exit_code(counts: Mapping[Outcome, int]) -> int:
    """Return the exit code for the worst outcome that a bottle has; 0 for a shard without bottles."""
    found = [outcome for outcome, bottles in counts.items() if bottles]
    return worst_of(found).exit_code if found else 0


def _told(done: Progress) -> str:
    outcomes = ", ".join(f"{done.outcomes[outcome]:,} {outcome.value}" for outcome in Outcome)
    return f"{done.bottles:,} bottles ({outcomes}); {done.judged:,} judged, {done.bundles:,} bundles verified"
