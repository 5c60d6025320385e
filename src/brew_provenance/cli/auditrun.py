"""`brew-provenance audit run`: judge every bottle of a tap."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

import brew_provenance
from brew_provenance.audit.executors import LocalProcesses, StartExecutor
from brew_provenance.audit.ledger import Ledger, Run
from brew_provenance.audit.run import Auditor, Progress, plan
from brew_provenance.audit.shard import Shard
from brew_provenance.cli import ledgers, options, progress
from brew_provenance.cli.sources import Sources, options_of_one_tap
from brew_provenance.errors import NothingMatchedError, UsageError
from brew_provenance.formula import Formula
from brew_provenance.taps import Counted, Tap
from brew_provenance.targets import find_formulae, full_name, history_of
from brew_provenance.verdict import Outcome

if TYPE_CHECKING:
    from brew_provenance.audit.history import History
    from brew_provenance.policy import Policy
    from brew_provenance.stores import Store
    from brew_provenance.taps.git import GitTap
    from brew_provenance.trust import TrustedRoot

_INTERRUPTED = 130
_BARE = ("jsonl", "sarif", "junit")


@click.command("run")
@ledgers.tap
@ledgers.ledger
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
@ledgers.output_format
@options.output
@options_of_one_tap
def command(  # noqa: PLR0913 - one parameter an option
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
    ledgers.check_output(output_format, output_file)
    tap = sources.tap
    wanted = dict.fromkeys(str(options.parse_tag(tag)) for tag in tags)
    part = _parse_shard(shard)
    start = _executor(executor, workers, scheduler)
    source = sources.tap_for(None)(tap)
    named = [_of_tap(name, tap) for name in names]
    repository = _repository(source, since, history=history)
    # What was named is looked for before anything is written; what was once listed may be gone.
    found = list(find_formulae(sources.tap_for(None), named)) if named and not history else None
    outlook = progress.Outlook(_to_read(source, found) if since is None else None)
    offered = _Offered(outlook.formulae(_formulae(source, found, repository, since)), tap)
    policy, roots = sources.policy_for(tap), sources.roots()
    store = sources.audit_store_for(tap, _ignore if quiet else options.note)
    with Ledger(ledger_file or ledgers.default_ledger(tap, make=True), create=True) as ledger:
        selection = _selection(
            [formula.name for formula in found] if found is not None else _short(named),
            wanted,
            [*(["history"] if history else []), *([f"since {since}"] if since else [])],
        )
        number = ledger.begin(_describe(tap, source, store, (policy, roots), selection, part))
        walked: tuple[str, ...] = ()
        subjects = plan(offered, list(wanted), part)
        try:
            if repository is not None and history:
                kept, walked = _walk(ledger, tap, repository)
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
        ledgers.write_report(ledger, ledger.run(number), output_format, output_file)
    sys.exit(ledgers.exit_code(done.outcomes))


def _formulae(
    source: Tap, named: Sequence[Formula] | None, repository: GitTap | None, since: str | None
) -> Iterable[Formula]:
    """Return the formulae to audit: those named or else all, and of these those that changed since."""
    if repository is None or since is None:
        return source.formulae() if named is None else named
    chosen = {formula.name for formula in named} if named is not None else None
    changed = repository.formulae_since(since)
    return (formula for formula in changed if chosen is None or formula.name in chosen)


def _describe(  # noqa: PLR0913, PLR0917 - all that a run says of itself
    tap: str,
    source: Tap,
    store: Store,
    rules: tuple[Policy, Sequence[TrustedRoot]],
    selection: str,
    part: Shard | None,
) -> Run:
    """Return a run that begins now."""
    policy, roots = rules
    return Run(
        id=0,
        tap=tap,
        metadata=source.name,
        store=store.name,
        policy=policy.name,
        policy_sha256=policy.sha256,
        roots=",".join(sorted(root.sha256 for root in roots)),
        tool_version=brew_provenance.__version__,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        selection=selection,
        shard=str(part or ""),
    )


def _walk(ledger: Ledger, tap: str, repository: GitTap) -> tuple[History, tuple[str, ...]]:
    """Read what is new in a tap's history, and return all of it with what there is to know of the walk."""
    from brew_provenance.audit.history import History  # noqa: PLC0415 - loads libgit2
    from brew_provenance.taps.gitline import GitLine  # noqa: PLC0415 - as above

    kept = History(ledger, tap)
    with progress.counting("commits") as count:
        return kept, kept.walk(GitLine(repository), count).notes


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


def _told(done: Progress) -> str:
    outcomes = ", ".join(f"{done.outcomes[outcome]:,} {outcome.value}" for outcome in Outcome)
    return f"{done.bottles:,} bottles ({outcomes}); {done.judged:,} judged, {done.bundles:,} bundles verified"
