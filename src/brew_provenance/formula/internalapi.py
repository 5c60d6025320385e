"""Formulae as Homebrew's packages files describe them: one file a bottle tag, one bottle a formula.

brew writes them with `dev-cmd/generate-internal-api.rb` and `api/formula_struct.rb`: what is blank
is left out, a symbol is a string that begins with a colon, and a string that begins with a colon or
a backslash has a backslash put before it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)

from brew_provenance.bottle import Bottle, BottleFileName, BottleTag, Digest, bottle_url
from brew_provenance.formula import (
    Dependency,
    Formula,
    FormulaError,
    Source,
    named_bottle,
    package_version,
)
from brew_provenance.macos import VERSIONS
from brew_provenance.statement import summarise

TAP: Final = "homebrew/core"
"""The tap that the files are about; they do not name it."""

ROOT_URL: Final = "https://ghcr.io/v2/homebrew/core"
"""Where its bottles are published; the files do not say that either."""

_NAME = re.compile(r"\w[\w@+.-]*", re.ASCII)
# The last second that a datetime can hold.
_MAX_TIME = 253_402_300_799
# Kinds of dependencies that a bottle does without, unless somebody asks for them.
_NOT_NEEDED = (":build", ":test", ":optional")


def _read_text(value: str) -> str:
    if value.startswith(":"):
        raise ValueError("a symbol, where a string belongs")
    return value.removeprefix("\\")


def _read_symbol(value: str) -> str:
    if not value.startswith(":"):
        raise ValueError("a string, where a symbol belongs")
    return value[1:]


def _read_word(value: str) -> str:
    return value[1:] if value.startswith(":") else _read_text(value)


_Text: TypeAlias = Annotated[StrictStr, AfterValidator(_read_text)]
_Symbol: TypeAlias = Annotated[StrictStr, AfterValidator(_read_symbol)]
_Word: TypeAlias = Annotated[StrictStr, AfterValidator(_read_word)]
_Count: TypeAlias = Annotated[StrictInt, Field(ge=0)]
# A name alone, or a name with its kinds, behind which bounds may stand.
_Dependency: TypeAlias = Annotated[
    dict[StrictStr, Any],
    Field(min_length=1),
    BeforeValidator(lambda value: {value: []} if isinstance(value, str) else value),
]
# Two arguments, of which brew leaves out the last when it is empty (`FormulaStruct.format_arg_pair`).
_PAIR = BeforeValidator(lambda value: [*value, {}] if isinstance(value, list) and len(value) == 1 else value)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _UrlOptions(_Model):
    tag: Annotated[_Text | None, Field(alias=":tag")] = None
    revision: Annotated[_Text | None, Field(alias=":revision")] = None


class _Notice(_Model):
    since: Annotated[_Text, Field(alias=":date")] = ""
    because: Annotated[_Word, Field(alias=":because")] = "no reason given"

    def holds(self, today: date) -> bool:
        """Whether its date has come; true without one that can be read."""
        try:
            return date.fromisoformat(self.since) <= today
        except ValueError:
            return True


class _Entry(_Model):
    # None for a formula that can be built from its repository's head only.
    stable_version: _Text | None = None
    revision: _Count = 0
    version_scheme: _Count = 0
    bottle_rebuild: _Count = 0
    # None for the file's own tag.
    bottle_tag: _Symbol | None = None
    bottle_checksum: _Text | None = None
    stable_url_args: Annotated[tuple[_Text, _UrlOptions], _PAIR] | None = None
    stable_checksum: _Text | None = None
    stable_dependencies: list[_Dependency] = []
    stable_uses_from_macos: list[Annotated[tuple[_Dependency, dict[StrictStr, Any]], _PAIR]] = []
    aliases: list[_Text] = []
    deprecate_args: _Notice | None = None
    disable_args: _Notice | None = None
    ruby_source_checksum: _Text | None = None


class _Metadata(_Model):
    bottle_tag: StrictStr
    generated_at: Annotated[StrictInt, Field(ge=0, le=_MAX_TIME)]


class _Document(_Model):
    metadata: _Metadata
    # Each is looked at when it is asked for: there are thousands.
    formulae: dict[StrictStr, Any]
    formula_aliases: dict[StrictStr, StrictStr] = {}
    formula_renames: dict[StrictStr, StrictStr] = {}
    formula_tap_migrations: dict[StrictStr, StrictStr] = {}
    formula_tap_git_head: StrictStr | None = None


@dataclass(frozen=True)
class Packages:
    """What one packages file says of the formulae of homebrew/core."""

    tag: BottleTag
    """The tag that it is for: its bottles and dependencies are those that brew would take there."""

    generated_at: datetime
    """When Homebrew made it."""

    commit: str | None
    """The tap's commit that it was made from, where it says so."""

    aliases: Mapping[str, str]
    """Other name to name."""

    renames: Mapping[str, str]
    """Former name to name."""

    migrations: Mapping[str, str]
    """Name of a formula that is gone to where it went: a tap, `tap/name`, or another name."""

    entries: Mapping[str, object] = field(repr=False)
    """brew's description of each formula by its name, not looked at yet."""

    @property
    def names(self) -> Collection[str]:
        """The names of all formulae."""
        return self.entries.keys()

    def formula(self, name: str) -> Formula:
        """Return the formula `name`, with its bottle for the file's tag where it has one.

        Raises KeyError when there is none of that name, and FormulaError when its entry cannot be used.
        """
        return _read_entry(self, name, self.entries[name])


def read_packages(document: object) -> Packages:
    """Read the payload of a packages file. Raises FormulaError when it is not that."""
    try:
        found = _Document.model_validate(document)
    except ValidationError as error:
        raise FormulaError(summarise(error)) from error
    try:
        tag = BottleTag.parse(found.metadata.bottle_tag)
    except ValueError as error:
        raise FormulaError(f"metadata.bottle_tag: {error}") from error
    return Packages(
        tag,
        datetime.fromtimestamp(found.metadata.generated_at, UTC),
        found.formula_tap_git_head,
        found.formula_aliases,
        found.formula_renames,
        found.formula_tap_migrations,
        found.formulae,
    )


def _read_entry(packages: Packages, name: str, entry: object) -> Formula:
    if _NAME.fullmatch(name) is None:
        raise FormulaError("not a formula's name")
    try:
        found = _Entry.model_validate(entry)
    except ValidationError as error:
        raise FormulaError(summarise(error)) from error
    version = package_version(found.stable_version, found.revision)
    bottle = _bottle(packages.tag, name, version, found)
    deprecated, disabled = _notices(found, packages.generated_at.date())
    return Formula(
        TAP,
        name,
        version,
        (bottle,) if bottle else (),
        root_url=ROOT_URL if bottle else None,
        dependencies=(*_dependencies(found), *_used_from_macos(found, _made_on(packages.tag, bottle))),
        source=_source(found),
        revision=found.revision,
        version_scheme=found.version_scheme,
        aliases=tuple(found.aliases),
        deprecated=deprecated,
        disabled=disabled,
        path=_path(name),
        file_sha256=found.ruby_source_checksum,
        commit=packages.commit,
    )


def _bottle(file_tag: BottleTag, name: str, version: str, found: _Entry) -> Bottle | None:
    if found.bottle_checksum is None:
        return None
    if found.stable_version is None:
        raise FormulaError("a bottle without a stable version")
    tag = found.bottle_tag or str(file_tag)
    try:
        BottleTag.parse(tag)
        digest = Digest("sha256", found.bottle_checksum.lower())
    except ValueError as error:
        raise FormulaError(f"bottle {tag}: {error}") from error
    url = bottle_url(ROOT_URL, BottleFileName(name, version, tag, found.bottle_rebuild), digest)
    return named_bottle(Bottle(TAP, name, version, found.bottle_rebuild, tag, digest, url, _path(name)))


def _made_on(file_tag: BottleTag, bottle: Bottle | None) -> BottleTag:
    """Return the tag of the system whose libraries the bottle was linked against."""
    own = BottleTag.parse(bottle.tag) if bottle else file_tag
    return own if own.system in VERSIONS else file_tag


def _source(found: _Entry) -> Source | None:
    if found.stable_url_args is None:
        return None
    url, options = found.stable_url_args
    return Source(url, found.stable_checksum, options.tag, options.revision)


def _dependencies(found: _Entry) -> Iterator[Dependency]:
    for item in found.stable_dependencies:
        for name, kinds in item.items():
            # A symbol names a requirement, such as `:macos`, and no formula.
            if not name.startswith(":") and _at_run_time(kinds):
                yield Dependency(_read_text(name))


def _used_from_macos(found: _Entry, made_on: BottleTag) -> Iterator[Dependency]:
    """Yield what macOS brings along, where the bottle was not made on a macOS that does."""
    for item, bounds in found.stable_uses_from_macos:
        (name, kinds), *beside = item.items()
        if name.startswith(":"):
            raise FormulaError("stable_uses_from_macos: a bound without a formula")
        since = _release(dict(beside) | bounds)
        if not _at_run_time(kinds):
            continue
        if made_on.system not in VERSIONS:
            yield Dependency(name)
        elif since is not None and since not in VERSIONS:
            yield Dependency(name, (f"not:on_{since}_or_newer",))
        elif since is not None and VERSIONS[made_on.system] < VERSIONS[since]:
            yield Dependency(name)


def _at_run_time(kinds: object) -> bool:
    return not any(kind in _NOT_NEEDED for kind in (kinds if isinstance(kinds, list) else [kinds]))


def _release(bounds: Mapping[str, object]) -> str | None:
    """Return the macOS release since which it is brought along; None for all of them."""
    since = bounds.get(":since")
    if since is None:
        return None
    if not isinstance(since, str) or not since.startswith(":"):
        raise FormulaError("stable_uses_from_macos: a bound that is no symbol")
    return since[1:]


def _notices(found: _Entry, today: date) -> tuple[str | None, str | None]:
    """Return why it is deprecated, and why it is disabled, as of the day on which the file was made."""
    deprecate, disable = found.deprecate_args, found.disable_args
    disabled = disable.because if disable and disable.holds(today) else None
    if deprecate:
        return deprecate.because if deprecate.holds(today) else None, disabled
    # What is going to be disabled is deprecated until then (`Formula.disable!` in brew's `formula.rb`).
    return disable.because if disable and not disabled else None, disabled


def _path(name: str) -> str:
    """Return where homebrew/core keeps a formula (`new_formula_subdirectory` in `tap/core_tap.rb`)."""
    folder = "lib" if name.startswith("lib") else name[0]
    return f"Formula/{folder}/{name.lower()}.rb"
