"""Formulae: what a tap says of a package and of its bottles. Values only.

`apijson` reads them from Homebrew's JSON, `ruby` from their Ruby source, without running it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from brew_provenance.bottle import Bottle, BottleFileName, BottleTag, Digest
from brew_provenance.macos import VERSIONS


class FormulaError(ValueError):
    """A formula's description cannot be used; says why."""


@dataclass(frozen=True)
class Dependency:
    """A formula that this one needs at run time, and where it does."""

    name: str
    """As the formula writes it: a short name, an alias, or `user/repo/name`."""

    conditions: tuple[str, ...] = ()
    """All that has to hold: `on_macos`, `on_linux`, `on_arm`, `on_intel`, `on_sonoma`,
    `on_sonoma_or_older`, `on_sonoma_or_newer`, or a tag, `tag:x86_64_linux`; each can be denied with
    `not:`. Anything else is a condition that cannot be known without running Ruby."""

    def needed_on(self, tag: BottleTag) -> bool | None:
        """Say whether it is needed on a machine of this tag; None where that cannot be known."""
        held = [_holds(condition, tag) for condition in self.conditions]
        if False in held:
            return False
        return None if None in held else True


def _holds(condition: str, tag: BottleTag) -> bool | None:
    if condition.startswith("not:"):
        held = _holds(condition.removeprefix("not:"), tag)
        return None if held is None else not held
    if condition.startswith("tag:"):
        try:
            return tag == BottleTag.parse(condition.removeprefix("tag:"))
        except ValueError:
            return None
    simple = {
        "on_linux": tag.system == "linux",
        "on_macos": tag.system in VERSIONS,
        "on_arm": tag.arch == "arm64",
        "on_intel": tag.arch == "x86_64",
    }
    if condition in simple:
        return simple[condition]
    release, separator, bound = condition.removeprefix("on_").partition("_or_")
    known = release in VERSIONS and (not separator or bound in {"older", "newer"})
    if not known or not condition.startswith("on_"):
        return None
    if tag.system not in VERSIONS:
        return False
    here, there = VERSIONS[tag.system], VERSIONS[release]
    if bound == "older":
        return here <= there
    return here >= there if bound == "newer" else here == there


@dataclass(frozen=True)
class Source:
    """The upstream source that a formula is built from."""

    url: str
    sha256: str | None = None
    """Lower-case hexadecimal; None for a source out of version control."""

    tag: str | None = None
    """The tag in version control, where the source is one."""

    revision: str | None = None
    """The commit in version control, where the formula pins it."""


@dataclass(frozen=True)
class UnnamedBottle:
    """A bottle whose file name is not known, because the version of its formula is not."""

    tag: str
    digest: Digest
    rebuild: int
    line: int | None = None


@dataclass(frozen=True)
class Formula:
    """One formula and its bottles."""

    tap: str
    """The tap, `user/repo` in lower case."""

    name: str
    """The short name."""

    version: str | None
    """The package version with its revision, `1.25.0_1`; `HEAD` where there is no stable one; None
    where it cannot be known without running Ruby, and then `gaps` says why."""

    bottles: tuple[Bottle, ...]
    """In the order in which the formula declares them."""

    unnamed: tuple[UnnamedBottle, ...] = ()
    """Bottles whose names are not known, where the version is not."""

    root_url: str | None = None
    """Where its bottles are published, on the default domain; None where not known or no bottles."""

    dependencies: tuple[Dependency, ...] = ()
    """What it needs at run time; dependencies for building and testing are left out."""

    source: Source | None = None
    """The stable source; None where there is none, or it is not known."""

    revision: int | None = 0
    version_scheme: int | None = 0
    """With the revision: None where a list of old bottles does not say it."""

    aliases: tuple[str, ...] = ()
    """Other names in its tap."""

    deprecated: str | None = None
    """Why it is deprecated; None where it is not."""

    disabled: str | None = None
    """Why it is disabled; None where it is not."""

    path: str | None = None
    """The formula's file in its tap, `Formula/w/wget.rb`."""

    file_sha256: str | None = None
    """The digest of that file, in lower-case hexadecimal."""

    text: bytes | None = None
    """That file itself, where it is at hand."""

    commit: str | None = None
    """The tap's commit that this description was made from, where it is known."""

    gaps: tuple[str, ...] = ()
    """What could not be known without running Ruby, a sentence each."""

    @property
    def full_name(self) -> str:
        """`user/repo/name`."""
        return f"{self.tap}/{self.name}"


def from_macos(name: str, since: str | None, conditions: tuple[str, ...] = ()) -> Iterator[Dependency]:
    """Yield where something is needed that macOS brings along, from a release on or always.

    Source: `uses_from_macos` in brew's `software_spec.rb`.
    """
    yield Dependency(name, (*conditions, "on_linux"))
    if since in VERSIONS:
        yield Dependency(name, (*conditions, "on_macos", f"not:on_{since}_or_newer"))


def package_version(stable: str | None, revision: int) -> str:
    """Return the package version, `1.25.0_1`; `HEAD` for a formula without a stable one."""
    if stable is None:
        return "HEAD"
    return f"{stable}_{revision}" if revision else stable


def named_bottle(bottle: Bottle) -> Bottle:
    """Return `bottle` when its file name can be read in one way only. Raises FormulaError otherwise."""
    try:
        named = BottleFileName.parse(str(bottle.file_name), bottle.formula)
    except ValueError as error:
        raise FormulaError(f"bottle {bottle.tag}: {error}") from error
    if named != bottle.file_name:
        raise FormulaError(f"bottle {bottle.tag}: its file name could be read as another bottle's")
    return bottle
