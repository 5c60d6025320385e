"""Fetch with brew, check what it fetched, and only then let it pour exactly that.

brew decides what it would pour; this decides whether it may. Between the two stands brew's download
cache: the files in it that brew names are the ones whose bytes are checked, and brew takes them from
there without hashing them again (`Bottle#downloaded_and_valid?` in `bottle.rb`). Nothing here guards
against somebody who can write that cache while brew runs: they could as well write the Cellar.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Final

from brew_provenance.bottle import Bottle, BottleTag
from brew_provenance.errors import NothingMatchedError, ProvenanceError, UsageError
from brew_provenance.formula import Formula
from brew_provenance.kegs import Keg, UnreadableKeg, installed_kegs
from brew_provenance.taps.brew import OutputTooLongError, run_bounded
from brew_provenance.targets import CORE, TapFor, Target, find_formulae, formula_targets, prefetch
from brew_provenance.verdict import Outcome, Verdict

PATIENCE: Final = 300.0
"""Seconds in which brew has to answer a question; downloads and pouring may take as long as they take."""

# What a person may hand on to brew; anything else could have it pour something that was not checked.
_HARMLESS: Final = frozenset(
    {
        "-d", "--debug", "--display-times", "-f", "--force", "--force-bottle", "--ignore-dependencies",
        "--keep-tmp", "-n", "--dry-run", "--no-ask", "--only-dependencies", "--overwrite", "-q", "--quiet",
        "--skip-link", "--skip-post-install", "-v", "--verbose", "-y", "--yes", "--as-dependency",
    }
)  # fmt: skip
# While something is checked and poured, nothing may change what that is; and brew would upgrade
# dependents whose bottles nobody looked at. brew takes an empty variable for one that is not set.
_STILL: Final = {
    "HOMEBREW_NO_AUTO_UPDATE": "1",
    "HOMEBREW_FORCE_API_AUTO_UPDATE": "",
    "HOMEBREW_NO_INSTALLED_DEPENDENTS_CHECK": "1",
}
# Whoever describes formulae chose their names. An option, a path or a URL is none, nor is what brew
# would read as a file (`Formulary.loader_for`).
_NAME = re.compile(r"(?:\w[\w-]*/\w[\w.-]*/)?\w[\w@+.-]*", re.ASCII)
_FILES = (".rb", ".tar.gz")
_NOT_POURED = "nothing was poured; see what brew says above"


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
    """The brew on this machine, called with lists of arguments and never by a shell.

    It is called in the root folder: in the current one, a file could bear a formula's name.
    """

    executable: Path

    def __post_init__(self) -> None:
        """Refuse a brew that lies in the current folder. Raises BrewError."""
        if not self.executable.is_absolute():
            raise BrewError(
                str(self.executable),
                "found in the current folder, where anybody may have put it",
                "take `.` and empty entries out of PATH",
            )

    @cached_property
    def prefix(self) -> Path:
        """What `brew --prefix` prints. Raises BrewError."""
        return self._folder("--prefix")

    @cached_property
    def cellar(self) -> Path:
        """What `brew --cellar` prints: no variable says where this brew keeps kegs. Raises BrewError."""
        return self._folder("--cellar")

    def update(self) -> None:
        """Let brew bring its own data up to date, as it would before it installs. Raises BrewError."""
        self._do(["update-if-needed"], environment={})

    def fetch(self, names: Sequence[str]) -> None:
        """Download what brew would pour for formulae. Raises BrewError."""
        self._do(["fetch", "--formula", *names])

    def cached_files(self, names: Sequence[str]) -> list[Path]:
        """Return the files that brew would pour for formulae, one each. Raises BrewError."""
        return [Path(line) for line in self._ask("--cache", "--formula", *names, lines=len(names))]

    def pour(self, verb: Verb, names: Sequence[str], arguments: Sequence[str]) -> None:
        """Install, upgrade or reinstall formulae. Raises BrewError."""
        next_step = "see what brew says above; it may have poured some of it"
        self._do([verb.value, "--formula", *names, *arguments], next_step=next_step)

    def _folder(self, question: str) -> Path:
        (line,) = self._ask(question, lines=1)
        if not line.startswith("/"):
            raise self._error(question, f"answers {line!r}, which is no folder")
        return Path(line)

    def _ask(self, *arguments: str, lines: int) -> list[str]:
        command = [str(self.executable), *arguments]
        try:
            output = run_bounded(command, {**os.environ, **_STILL}, timeout=PATIENCE)
        except (OSError, OutputTooLongError) as error:
            raise self._error(arguments[0], _why(error)) from error
        except subprocess.TimeoutExpired as error:
            raise self._error(arguments[0], f"gave no answer in {error.timeout:g} seconds") from error
        said = output.errors.decode("utf-8", "replace").strip().splitlines()
        last = f": {said[-1]}" if said else ""
        if output.status != 0:
            raise self._error(arguments[0], f"ended with exit code {output.status}{last}")
        found = output.out.decode("utf-8", "surrogateescape").splitlines()
        if len(found) != lines:
            raise self._error(arguments[0], f"printed {len(found)} lines, and not {lines}{last}")
        return found

    def _do(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] = _STILL,
        next_step: str = _NOT_POURED,
    ) -> None:
        try:
            with subprocess.Popen(  # noqa: S603 - a list, without a shell; the names are those of formulae
                [str(self.executable), *arguments],
                stdout=2,  # standard output is for results: what brew says goes where progress goes
                env={**os.environ, **environment},
                cwd="/",
            ) as process:
                code = process.wait()
        except OSError as error:
            raise self._error(arguments[0], _why(error)) from error
        if code != 0:
            raise self._error(arguments[0], f"ended with exit code {code}", next_step)

    def _error(self, command: str, cause: str, next_step: str = _NOT_POURED) -> BrewError:
        return BrewError(f"{self.executable} {command}", cause, next_step)


@dataclass(frozen=True)
class Plan:
    """What brew is asked to do, and what that makes it pour."""

    verb: Verb
    names: tuple[str, ...]
    """The formulae that brew is to pour, by their full names."""

    targets: tuple[Target, ...]
    """The bottles that it would pour for them."""

    installed: tuple[str, ...] = ()
    """Formulae that were named and of which there is nothing to pour, by their full names."""


@dataclass(frozen=True)
class Poured:
    """What came of a plan that brew was let carry out."""

    unchecked: tuple[str, ...]
    """The kegs that brew installed without their bottles having been checked."""

    error: BrewError | None
    """How brew failed, if it did; kegs may be there all the same."""


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse arguments for brew that could have it pour what was not checked. Raises UsageError."""
    for argument in arguments:
        if argument not in _HARMLESS:
            raise UsageError(
                argument,
                "could have brew pour something that was not checked",
                f"leave it out, or call brew yourself; allowed: {', '.join(sorted(_HARMLESS))}",
            )


def plan_pouring(verb: Verb, names: Sequence[str], tap_for: TapFor, tag: BottleTag, brew: Brew) -> Plan:
    """Return what brew would pour for formulae and for all that they need, but for what is installed.

    Without names, an upgrade is of all that is installed and outdated, but for what is pinned. Raises
    NothingMatchedError for an unknown formula and for one without a bottle, UsageError for one that is
    installed from another tap, InputError for a Cellar that cannot be read, and BrewError.
    """
    if not names and verb is Verb.UPGRADE:
        names = _outdated(tap_for, brew)
    kegs = [keg for keg in _kegs(brew.cellar) if isinstance(keg, Keg)]
    wanted: list[str] = []
    installed: list[str] = []
    for formula in find_formulae(tap_for, names):
        _require_same_tap(formula, kegs)
        again = verb is Verb.REINSTALL or not _is_installed(formula, kegs, brew)
        (wanted if again else installed).append(formula.full_name)
    targets = tuple(
        target
        for target in formula_targets(tap_for, wanted, tag, dependencies_on=tag)
        if target.formula is not None
        and (target.formula.full_name in wanted or not _is_installed(target.formula, kegs, brew))
    )
    return Plan(verb, tuple(wanted), targets, tuple(installed))


def pour_checked(  # noqa: PLR0913 - a plan, who carries it out, and who judges
    plan: Plan,
    arguments: Sequence[str],
    brew: Brew,
    *,
    expected_file: Callable[[Bottle], Path],
    judge: Callable[[Sequence[Target]], Sequence[Verdict]],
    allowed: Collection[Outcome],
    fetch: bool = True,
) -> Poured:
    """Carry out a plan that names something, and say what brew made of it.

    brew fetches, unless it is not to, `judge` gives its verdicts on the very files that brew says it
    would pour, and only when the outcome of each is allowed is brew called again to pour. Raises
    StoppedError when not, and BrewError as long as nothing was poured.
    """
    names = [_brew_name(target) for target in plan.targets]
    if fetch:
        brew.fetch(names)
    found = [
        _find(file, target, expected_file)
        for file, target in zip(brew.cached_files(names), plan.targets, strict=True)
    ]
    verdicts = judge(
        [replace(target, file=one.file) for one, target in zip(found, plan.targets, strict=True)]
    )
    if len(verdicts) != len(found):
        raise ValueError("not as many verdicts as bottles")
    if stopped := [verdict for verdict in verdicts if verdict.outcome not in allowed]:
        raise StoppedError(stopped)
    for one in found:
        one.require_unchanged()
        _require_packed(one.bottle, brew)
    before = _folders(brew.cellar)
    failure = None
    try:
        brew.pour(plan.verb, [_short(name) for name in plan.names], arguments)
    except BrewError as error:
        failure = error
    return Poured(tuple(sorted(_unchecked([one.bottle for one in found], brew.cellar, before))), failure)


class StoppedError(Exception):
    """Bottles may not be poured; their verdicts say why."""

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        super().__init__(f"{len(verdicts)} bottle(s) may not be poured")
        self.verdicts = tuple(verdicts)


@dataclass(frozen=True)
class _Found:
    """A bottle, and the file that brew would pour it from."""

    bottle: Bottle
    file: Path
    state: tuple[int, ...]

    def require_unchanged(self) -> None:
        """Raise BrewError when the file is another one now, or was written to."""
        if _state(self.file) != self.state:
            raise BrewError(str(self.file), "changed while it was checked", "nothing was poured; try again")


def _find(file: Path, target: Target, expected_file: Callable[[Bottle], Path]) -> _Found:
    """Return the file that brew would pour, when it is the one that the formula's bottle is kept in."""
    bottle = target.question.bottle
    if bottle is None or not _is_named_for(file, bottle, expected_file(bottle)):
        raise BrewError(
            str(file),
            f"brew would pour this for {target.question.label}; the tap describes another bottle",
            "nothing was poured; run `brew update`, and try again",
        )
    state = _state(file)
    if file.is_symlink():
        # brew makes none there; where it leads, others may write.
        raise BrewError(str(file), "a symlink, where a download belongs", "nothing was poured; delete it")
    if not file.is_file() or state is None:
        raise BrewError(
            str(file),
            "not in brew's download cache",
            f"nothing was poured; run `brew fetch {bottle.formula}`",
        )
    return _Found(bottle, file, state)


def _is_named_for(file: Path, bottle: Bottle, expected: Path) -> bool:
    url, dashes, name = expected.name.partition("--")
    if name == str(bottle.file_name):
        return file.name == expected.name
    # What comes from no registry bears the name that its server gave it (`cached_location` in brew's
    # `abstract_file_download_strategy.rb`); its URL, by whose digest it is kept, says which bottle it is.
    return file.name.startswith(f"{url}{dashes}")


def _state(file: Path) -> tuple[int, ...] | None:
    """Return what tells a file from its successor, or from what it was; None where there is none."""
    try:
        status = file.lstat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _require_packed(bottle: Bottle, brew: Brew) -> None:
    """Refuse what an earlier brew unpacked and left: it would be poured in the place of the bottle."""
    unpacked = brew.prefix / "var/homebrew/tmp/.cellar" / bottle.formula / f"{bottle.version}.poured"
    if unpacked.exists():
        raise BrewError(
            str(unpacked),
            f"brew would pour what it unpacked earlier, and not the {bottle.file_name} that was checked",
            "nothing was poured; run `brew cleanup`, and try again",
        )


def _unchecked(bottles: Sequence[Bottle], cellar: Path, before: Collection[object]) -> Iterator[str]:
    """Yield what is new in the Cellar and was not checked."""
    new = {path for path, inode in _folders(cellar) if (path, inode) not in before}
    for keg in _kegs(cellar) if new else ():
        if keg.path in new and not (isinstance(keg, Keg) and any(_is_of(keg, bottle) for bottle in bottles)):
            yield f"{keg.name} {keg.version}" if isinstance(keg, Keg) else str(keg.path)


def _is_of(keg: Keg, bottle: Bottle) -> bool:
    """Say whether a keg was poured from the bottle that was checked, as far as brew says."""
    return (
        keg.poured_from_bottle
        and (keg.tap, keg.name, keg.version) == (bottle.tap, bottle.formula, bottle.version)
        and keg.digest in {None, bottle.digest}
    )


def _kegs(cellar: Path) -> Iterable[Keg | UnreadableKeg]:
    # brew makes the Cellar when it installs for the first time.
    return installed_kegs(cellar) if cellar.is_dir() else ()


def _folders(cellar: Path) -> set[tuple[Path, int]]:
    """Return racks and kegs with what tells a folder from its successor.

    brew moves a keg out of the way before it pours it again (`Reinstall.backup`), so that both are there.
    """
    found = set()
    for path in (*cellar.glob("*"), *cellar.glob("*/*")):
        with suppress(FileNotFoundError):  # another brew may be at work
            found.add((path, path.lstat().st_ino))
    return found


def _brew_name(target: Target) -> str:
    name = _short(target.formula.full_name) if target.formula is not None else ""
    if _NAME.fullmatch(name) is None or name.endswith(_FILES):
        raise BrewError(
            name, "brew would not take this for the name of a formula", "nothing was poured; leave it out"
        )
    return name


def _short(full_name: str) -> str:
    # By its full name brew would look for homebrew/core in a checkout of it.
    return full_name.removeprefix(f"{CORE}/")


def _is_installed(formula: Formula, kegs: Sequence[Keg], brew: Brew) -> bool:
    """Say whether brew would pour nothing for it; without its link in `opt`, it would (`dependency.rb`)."""
    latest = (formula.name, formula.version)
    linked = (brew.prefix / "opt" / formula.name).is_dir()
    return linked and any((keg.name, keg.version) == latest for keg in kegs)


def _require_same_tap(formula: Formula, kegs: Sequence[Keg]) -> None:
    """Refuse a name by which brew would upgrade another tap's formula (`Formulary.resolve`)."""
    for keg in kegs:
        if keg.name == formula.name and keg.tap not in {None, formula.tap}:
            raise UsageError(
                formula.full_name,
                f"{keg.name} {keg.version} is installed from {keg.tap}",
                f"name {keg.tap}/{keg.name}, or uninstall that first",
            )


def _outdated(tap_for: TapFor, brew: Brew) -> list[str]:
    installed: dict[str, set[str]] = {}
    for keg in _kegs(brew.cellar):
        if isinstance(keg, Keg):
            installed.setdefault(f"{keg.tap or CORE}/{keg.name}", set()).add(keg.version)
    outdated = []
    prefetch(tap_for, installed)
    for full_name, versions in sorted(installed.items()):
        tap, _, name = full_name.rpartition("/")
        is_pinned = os.path.lexists(brew.prefix / "var/homebrew/pinned" / name)
        # What was built from a branch is never poured anew.
        if is_pinned or any(version.startswith("HEAD") for version in versions):
            continue
        try:
            formula = tap_for(tap).formula(full_name)
        except NothingMatchedError:
            continue  # brew upgrades nothing that its tap has dropped
        if formula.bottles and formula.version not in versions:
            outdated.append(formula.full_name)
    return outdated


def _why(error: OSError | OutputTooLongError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
