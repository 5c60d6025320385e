"""Fetch with brew, check what it fetched, and only then let it pour exactly that.

brew decides what it would pour; this decides whether it may. Between the two stands brew's download
cache: the files in it that brew names are the ones whose bytes are checked. Nothing here guards
against somebody who can write that cache while brew runs: they could as well write the Cellar.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

from brew_provenance.bottle import Bottle, BottleTag
from brew_provenance.errors import NothingMatchedError, ProvenanceError, UsageError
from brew_provenance.kegs import Keg, installed_kegs
from brew_provenance.targets import CORE, TapFor, Target, formula_targets
from brew_provenance.verdict import Outcome, Verdict

MAX_LISTING_BYTES: Final = 16 * 1024 * 1024
"""What `brew --cache` prints: a path a formula."""

# What a person may hand on to brew; anything else could have it pour something that was not checked.
_HARMLESS: Final = frozenset(
    {
        "-d", "--debug", "--display-times", "-f", "--force", "--force-bottle", "--ignore-dependencies",
        "--keep-tmp", "-n", "--dry-run", "--no-ask", "--only-dependencies", "--overwrite", "-q", "--quiet",
        "--skip-link", "--skip-post-install", "-v", "--verbose", "-y", "--yes", "--as-dependency",
    }
)  # fmt: skip
# While something is checked and poured, nothing may change what that is; and brew would upgrade
# dependents whose bottles nobody looked at.
_STILL: Final = {"HOMEBREW_NO_AUTO_UPDATE": "1", "HOMEBREW_NO_INSTALLED_DEPENDENTS_CHECK": "1"}


class BrewError(ProvenanceError):
    """brew is missing, failed, or would do something else than what can be checked."""

    exit_code = 2


class Verb(Enum):
    """What brew is to do."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    REINSTALL = "reinstall"


@dataclass(frozen=True)
class Brew:
    """The brew on this machine, called with lists of arguments and never by a shell."""

    executable: Path

    def update(self) -> None:
        """Let brew bring its own data up to date, as it would before it installs. Raises BrewError."""
        self._run(["update-if-needed"], environment={})

    def fetch(self, names: Sequence[str]) -> None:
        """Download what brew would pour for formulae. Raises BrewError."""
        self._run(["fetch", "--formula", *names])

    def cached_files(self, names: Sequence[str]) -> list[Path]:
        """Return the files that brew would pour for formulae, one each. Raises BrewError."""
        printed = self._run(["--cache", "--formula", *names], captured=True)
        lines = printed.decode("utf-8", "surrogateescape").splitlines()
        if len(lines) != len(names):
            raise self._error("--cache", f"named {len(lines)} files for {len(names)} formulae")
        return [Path(line) for line in lines]

    def pour(self, verb: Verb, names: Sequence[str], arguments: Sequence[str]) -> None:
        """Install, upgrade or reinstall formulae. Raises BrewError."""
        self._run([verb.value, "--formula", *names, *arguments], shown=True)

    def _run(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] = _STILL,
        captured: bool = False,
        shown: bool = False,
    ) -> bytes:
        # Standard output is for results: what brew says on the way goes where progress goes.
        output = subprocess.PIPE if captured else None if shown else 2
        try:
            with subprocess.Popen(  # noqa: S603 - a list, without a shell; the names are those of formulae
                [str(self.executable), *arguments], stdout=output, env={**os.environ, **environment}
            ) as process:
                printed = process.stdout.read(MAX_LISTING_BYTES) if process.stdout else b""
                if len(printed) == MAX_LISTING_BYTES:
                    process.kill()
                code = process.wait()
        except OSError as error:
            raise self._error(arguments[0], error.strerror or str(error)) from error
        if code != 0:
            raise self._error(arguments[0], f"ended with exit code {code}")
        return printed

    def _error(self, command: str, cause: str) -> BrewError:
        return BrewError(
            f"{self.executable} {command}", cause, "nothing was poured; see what brew says above"
        )


@dataclass(frozen=True)
class Plan:
    """What brew is asked to do, and what that makes it pour."""

    verb: Verb
    names: tuple[str, ...]
    """The formulae that were named, `user/repo/name`."""

    targets: tuple[Target, ...]
    """The bottles that it would pour."""


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse arguments for brew that could have it pour what was not checked. Raises UsageError."""
    for argument in arguments:
        if argument not in _HARMLESS:
            raise UsageError(
                argument,
                "could have brew pour something that was not checked",
                f"leave it out, or call brew yourself; allowed: {', '.join(sorted(_HARMLESS))}",
            )


def plan_pouring(verb: Verb, names: Sequence[str], tap_for: TapFor, tag: BottleTag, cellar: Path) -> Plan:
    """Return what brew would pour for formulae and for all that they need, but for what is installed.

    Without names, an upgrade is of all that is installed and outdated. Raises NothingMatchedError for
    an unknown formula and for one without a bottle, and InputError for a Cellar that cannot be read.
    """
    if not names and verb is Verb.UPGRADE:
        names = _outdated(tap_for, cellar)
    if not names:
        return Plan(verb, (), ())
    targets = formula_targets(tap_for, names, tag, dependencies_on=tag)
    named = {
        target.formula.full_name for target in targets if target.question.needed_by is None and target.formula
    }
    again = named if verb is Verb.REINSTALL else set()
    return Plan(
        verb,
        tuple(sorted(named)),
        tuple(
            target
            for target in targets
            if target.formula is not None
            and (target.formula.full_name in again or not _is_installed(target, cellar))
        ),
    )


def pour_checked(  # noqa: PLR0913 - a plan, who carries it out, and who judges
    plan: Plan,
    arguments: Sequence[str],
    brew: Brew,
    cellar: Path,
    *,
    expected_file: Callable[[Bottle], Path],
    judge: Callable[[Sequence[Target]], Sequence[Verdict]],
    allowed: Collection[Outcome],
) -> list[str]:
    """Carry out a plan; returns the kegs that brew poured without any of them having been checked.

    brew fetches, `judge` gives its verdicts on the very files that brew says it would pour, and only
    when the outcome of each is allowed is brew called again to pour. Raises StoppedError when not,
    and BrewError.
    """
    targets = [target for target in plan.targets if target.formula is not None]
    if targets:
        names = [_brew_name(target) for target in targets]
        brew.fetch(names)
        files = dict(zip(names, brew.cached_files(names), strict=True))
        found = [
            replace(target, file=_same_file(files[_brew_name(target)], target, expected_file))
            for target in targets
        ]
        verdicts = judge(found)
        stopped = [verdict for verdict in verdicts if verdict.outcome not in allowed]
        if len(verdicts) != len(found) or stopped:
            raise StoppedError(stopped)
    before = _kegs(cellar)
    brew.pour(plan.verb, [_short(name) for name in plan.names], arguments)
    checked = {(target.formula.name, target.formula.version) for target in targets if target.formula}
    return sorted(f"{name} {version}" for name, version in _kegs(cellar) - before - checked)


class StoppedError(Exception):
    """Bottles may not be poured; their verdicts say why."""

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        super().__init__(f"{len(verdicts)} bottle(s) may not be poured")
        self.verdicts = tuple(verdicts)


def _same_file(file: Path, target: Target, expected_file: Callable[[Bottle], Path]) -> Path:
    """Return the file that brew would pour, when it is the one that the formula's bottle is kept in."""
    bottle = target.question.bottle
    if bottle is None or file.name != expected_file(bottle).name:
        raise BrewError(
            str(file),
            f"brew would pour this for {target.question.label}; the tap describes another bottle",
            "nothing was poured; run `brew update`, and try again",
        )
    if not file.is_file():
        raise BrewError(
            str(file), "brew fetched no such file", "nothing was poured; see what brew says above"
        )
    return file


def _brew_name(target: Target) -> str:
    return _short(target.formula.full_name) if target.formula is not None else ""


def _short(full_name: str) -> str:
    # By its full name brew would look for homebrew/core in a checkout of it.
    return full_name.removeprefix(f"{CORE}/")


def _is_installed(target: Target, cellar: Path) -> bool:
    formula = target.formula
    return formula is not None and (cellar / formula.name / (formula.version or "")).is_dir()


def _kegs(cellar: Path) -> set[tuple[str, str]]:
    if not cellar.is_dir():
        return set()
    return {(keg.name, keg.version) for keg in installed_kegs(cellar) if isinstance(keg, Keg)}


def _outdated(tap_for: TapFor, cellar: Path) -> list[str]:
    installed: dict[str, set[str]] = {}
    for keg in installed_kegs(cellar):
        if isinstance(keg, Keg):
            installed.setdefault(f"{keg.tap or CORE}/{keg.name}", set()).add(keg.version)
    outdated = []
    for full_name, versions in sorted(installed.items()):
        tap = full_name.rpartition("/")[0]
        try:
            formula = tap_for(tap).formula(full_name)
        except NothingMatchedError:
            continue  # brew upgrades nothing that its tap has dropped
        if formula.bottles and formula.version not in versions:
            outdated.append(formula.full_name)
    return outdated
