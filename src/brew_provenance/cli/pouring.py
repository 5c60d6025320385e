"""`install`, `upgrade` and `reinstall`: check what brew would pour, and only then let it pour."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence

import click

from brew_provenance.check import check_targets
from brew_provenance.cli import options
from brew_provenance.cli.sources import Sources, options_of_sources
from brew_provenance.errors import UsageError
from brew_provenance.host import host_tag
from brew_provenance.install import Brew, StoppedError, Verb, check_arguments, plan_pouring, pour_checked
from brew_provenance.targets import Target, full_name
from brew_provenance.verdict import Outcome, Verdict, worst_exit_code


def make_command(verb: Verb) -> click.Command:
    """Return the command that has brew do `verb`."""

    @click.command(verb.value, help=_HELP.format(verb=verb.value, named=_NAMED[verb]))
    @click.argument("names", nargs=-1, metavar=f"{_METAVAR[verb]} [-- BREW_ARGUMENT...]")
    @click.option(
        "--allow",
        type=click.Choice([Outcome.UNATTESTED.value]),
        help="Pour also bottles that have no attestation; never any that is rejected or unresolved.",
    )
    @options_of_sources
    @options.for_verdicts
    def command(
        *,
        names: Sequence[str],
        allow: str | None,
        sources: Sources,
        output: options.Output,
    ) -> None:
        # What stands after `--` and is no option is a formula as well, and checked as one.
        named = [name for name in names if not name.startswith("-")]
        arguments = [name for name in names if name.startswith("-")]
        check_arguments(arguments)
        if not named and verb is not Verb.UPGRADE:
            raise UsageError(verb.value, "nothing is named", "name formulae")
        sys.exit(_pour(verb, named, arguments, allow, sources, output))

    return command


_NAMED = {
    Verb.INSTALL: "formulae",
    Verb.UPGRADE: "formulae, or all outdated ones",
    Verb.REINSTALL: "formulae",
}
_METAVAR = {Verb.INSTALL: "NAME...", Verb.UPGRADE: "[NAME]...", Verb.REINSTALL: "NAME..."}
_HELP = """Check what `brew {verb}` would pour for {named}, then let brew pour it.

brew downloads the bottles of what is named and of what that needs; their bytes and attestations are
checked in brew's download cache; and only when every one is verified is `brew {verb}` called. Otherwise
nothing is poured, and the files stay for you to look at. What follows after `--` is handed to brew. With
--offline nothing is downloaded, and what is in the cache is checked.

Exits with 0 when brew has poured or there is nothing to pour, else as `check` does; with 2 when brew
failed, and with 5 when it installed something that was not checked.
"""


def _pour(  # noqa: PLR0913, PLR0917 - what a command was given
    verb: Verb,
    named: Sequence[str],
    arguments: Sequence[str],
    allow: str | None,
    sources: Sources,
    output: options.Output,
) -> int:
    if sources.brew is None:
        raise UsageError("brew", "not found", "put brew on the PATH, or set HOMEBREW_PREFIX")
    brew, tag = Brew(sources.brew), host_tag()
    names = [full_name(name, sources.tap) for name in named]
    if not sources.offline:
        brew.update()
    plan = plan_pouring(verb, names, sources.tap_for(tag), tag, brew)
    for name in plan.installed:
        options.note(f"{name} is installed, which is not checked: see `brew-provenance check --installed`")
    if not plan.names:
        options.note("there is nothing to pour")
        return 0
    allowed = {Outcome.VERIFIED, *([Outcome(allow)] if allow else [])}
    try:
        poured = pour_checked(
            plan,
            arguments,
            brew,
            expected_file=sources.expected_file,
            judge=_judge(sources, output, allowed),
            allowed=allowed,
            fetch=not sources.offline,
        )
    except StoppedError as error:
        options.note("nothing was poured; the files stay in brew's download cache, for you to look at")
        return worst_exit_code(error.verdicts)
    for keg in poured.unchecked:
        options.note(f"brew installed {keg}, which was not checked: see `brew-provenance check --installed`")
    if poured.error is not None:
        raise poured.error
    return Outcome.UNRESOLVED.exit_code if poured.unchecked else 0


def _judge(
    sources: Sources, output: options.Output, allowed: Collection[Outcome]
) -> Callable[[Sequence[Target]], Sequence[Verdict]]:
    def judge(targets: Sequence[Target]) -> Sequence[Verdict]:
        verdicts = check_targets(
            targets, sources.store_for, sources.trust, sources.policy_for, fresh=sources.refresh
        )
        output.write(verdicts)
        let_through = [verdict for verdict in verdicts if verdict.outcome is not Outcome.VERIFIED]
        if let_through and all(verdict.outcome in allowed for verdict in let_through):
            labels = ", ".join(verdict.question.label for verdict in let_through)
            options.note(
                f"{len(let_through)} without an attestation, let through by --allow unattested: {labels}"
            )
        return verdicts

    return judge
