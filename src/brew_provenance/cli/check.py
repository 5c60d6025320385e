"""`brew-provenance check`: say whether the bottles of formulae have build provenance."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from brew_provenance.bottle import BottleTag
from brew_provenance.check import check_bottles, find_bottles
from brew_provenance.cli import options
from brew_provenance.errors import PolicyError, UsageError
from brew_provenance.host import host_tag
from brew_provenance.policy import Policy, policy_for_tap, read_policy
from brew_provenance.stores.kit import Kit
from brew_provenance.verdict import worst_exit_code
from brew_provenance.verify import Verifier


@click.command("check")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--kit",
    "kit_folder",
    required=True,
    type=options.PATH,
    metavar="DIR",
    help="Find formulae and attestations in this kit.",
)
@click.option(
    "--tap",
    default="homebrew/core",
    show_default=True,
    metavar="USER/REPO",
    help="The tap of names that are not written user/repo/name.",
)
@click.option("--tag", metavar="TAG", help="Check the bottle for this tag. [default: this machine's]")
@click.option("--all-tags", is_flag=True, help="Check every bottle of each formula.")
@click.option(
    "--policy",
    "policy_file",
    type=options.PATH,
    metavar="FILE",
    help="Use this policy instead of the built-in or derived one.",
)
@options.for_verdicts
def command(  # noqa: PLR0913, PLR0917 - one parameter an option
    names: Sequence[str],
    kit_folder: Path,
    tap: str,
    tag: str | None,
    policy_file: Path | None,
    trusted_root_file: Path | None,
    output_format: str,
    output_file: Path | None,
    *,
    all_tags: bool,
    offline: bool,
    explain: bool,
    no_color: bool,
) -> None:
    """Say whether the bottles that brew would pour for NAME have build provenance.

    Attestations and formulae come from a kit. Whom to trust does not: the trusted root and the policy are
    the built-in ones, unless --trusted-root and --policy name others.
    """
    kit = Kit(kit_folder)
    wanted = None if all_tags else _tag(tag)
    bottles = find_bottles(kit, [_full_name(name, tap) for name in names], wanted)
    roots = options.load_roots(trusted_root_file, offline=offline)
    own_policy = read_policy(policy_file) if policy_file else None
    verdicts = check_bottles(
        bottles,
        kit,
        Verifier(roots),
        policy_for=lambda of: _policy_for(of, own_policy),
        roots=roots,
        metadata=f"{kit.name}, unsigned",
        notes=[finding for root in roots for finding in root.findings],
    )
    options.write_verdicts(verdicts, output_format, output_file, explain=explain, no_color=no_color)
    sys.exit(worst_exit_code(verdicts))


def _tag(tag: str | None) -> BottleTag:
    if tag is None:
        return host_tag()
    try:
        return BottleTag.parse(tag)
    except ValueError as error:
        raise UsageError(f"--tag {tag}", str(error), "write it as formulae do: arm64_sonoma") from error


def _full_name(name: str, tap: str) -> str:
    tap_of, slash, short = name.rpartition("/")
    return f"{tap_of.lower()}/{short}" if slash else f"{tap.lower()}/{name}"


def _policy_for(tap: str, own: Policy | None) -> Policy:
    if own is None:
        return policy_for_tap(tap)
    if own.tap != tap:
        raise PolicyError(own.name, f"speaks for {own.tap}, not for {tap}", "give the tap's own policy")
    return own
