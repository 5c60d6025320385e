"""Formulae as Homebrew's JSON describes them, read and written (`Formula#to_hash` in brew's `formula.rb`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)

from brew_provenance.bottle import Bottle, BottleTag, Digest
from brew_provenance.formula import (
    Dependency,
    Formula,
    FormulaError,
    Source,
    from_macos,
    named_bottle,
    package_version,
)
from brew_provenance.macos import VERSIONS
from brew_provenance.statement import summarise

VALID_TAGS: Final = (
    *(BottleTag(system, arch) for system in VERSIONS for arch in ("arm64", "x86_64")),
    BottleTag("linux", "arm64"),
    BottleTag("linux", "x86_64"),
)
"""The tags of machines that a formula can vary for."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _File(_Model):
    url: StrictStr
    sha256: StrictStr


class _Bottles(_Model):
    rebuild: Annotated[StrictInt, Field(ge=0)] = 0
    root_url: StrictStr | None = None
    files: dict[StrictStr, _File]


class _Specs(_Model):
    stable: _Bottles | None = None


class _Versions(_Model):
    # None for a formula that can be built from its repository's head only.
    stable: StrictStr | None


class _Url(_Model):
    url: StrictStr
    tag: StrictStr | None = None
    revision: StrictStr | None = None
    checksum: StrictStr | None = None


class _Urls(_Model):
    stable: _Url | None = None


class _Checksum(_Model):
    sha256: StrictStr | None = None


class _Variation(_Model):
    dependencies: list[StrictStr] | None = None


class _Bounds(_Model):
    since: StrictStr | None = None


class _Document(_Model):
    name: StrictStr
    tap: StrictStr
    versions: _Versions
    revision: Annotated[StrictInt, Field(ge=0)] = 0
    version_scheme: Annotated[StrictInt, Field(ge=0)] = 0
    # brew writes an empty list for a formula without bottles.
    bottle: Annotated[_Specs, BeforeValidator(lambda value: {} if value == [] else value)] = Field(
        default_factory=_Specs
    )
    urls: _Urls = Field(default_factory=_Urls)
    aliases: list[StrictStr] = []
    dependencies: list[StrictStr] = []
    uses_from_macos: list[StrictStr | dict[StrictStr, StrictStr | list[StrictStr]]] = []
    uses_from_macos_bounds: list[_Bounds] = []
    variations: Annotated[
        dict[StrictStr, _Variation], BeforeValidator(lambda value: {} if value == [] else value)
    ] = Field(default_factory=dict)
    deprecated: StrictBool = False
    deprecation_reason: StrictStr | None = None
    disabled: StrictBool = False
    disable_reason: StrictStr | None = None
    ruby_source_path: StrictStr | None = None
    ruby_source_checksum: _Checksum | None = None
    tap_git_head: StrictStr | None = None


def read_formula(document: object) -> Formula:
    """Read brew's JSON for one formula. Raises FormulaError when it is not that."""
    try:
        found = _Document.model_validate(document)
    except ValidationError as error:
        raise FormulaError(summarise(error)) from error
    tap, described = found.tap.lower(), found.bottle.stable or _Bottles(files={})
    if found.versions.stable is None and described.files:
        raise FormulaError("bottles without a stable version")
    version = package_version(found.versions.stable, found.revision)
    stable, checksum = found.urls.stable, found.ruby_source_checksum
    return Formula(
        tap,
        found.name,
        version,
        tuple(
            named_bottle(
                Bottle(tap, found.name, version, described.rebuild, tag, _digest(tag, file), file.url)
            )
            for tag, file in described.files.items()
        ),
        root_url=described.root_url,
        dependencies=tuple(_dependencies(found)),
        source=Source(stable.url, stable.checksum, stable.tag, stable.revision) if stable else None,
        revision=found.revision,
        version_scheme=found.version_scheme,
        aliases=tuple(found.aliases),
        deprecated=(found.deprecation_reason or "no reason given") if found.deprecated else None,
        disabled=(found.disable_reason or "no reason given") if found.disabled else None,
        path=found.ruby_source_path,
        file_sha256=checksum.sha256 if checksum else None,
        commit=found.tap_git_head,
    )


def _digest(tag: str, file: _File) -> Digest:
    try:
        return Digest("sha256", file.sha256.lower())
    except ValueError as error:
        raise FormulaError(f"bottle {tag}: {error}") from error


def _dependencies(found: _Document) -> Iterator[Dependency]:
    """Yield the general ones, those of the tags for which brew found others, and what macOS has."""
    other = {tag: v.dependencies for tag, v in found.variations.items() if v.dependencies is not None}
    denied = tuple(f"not:tag:{tag}" for tag in other)
    yield from (Dependency(name, denied) for name in found.dependencies)
    for tag, names in other.items():
        yield from (Dependency(name, (f"tag:{tag}",)) for name in names)
    bounds = [*found.uses_from_macos_bounds, *([_Bounds()] * len(found.uses_from_macos))]
    for entry, bound in zip(found.uses_from_macos, bounds, strict=False):
        named = {entry: "run"} if isinstance(entry, str) else entry
        for name, kinds in named.items():
            if not {"build", "test", "optional"} & ({kinds} if isinstance(kinds, str) else set(kinds)):
                yield from from_macos(name, bound.since)


def write_formula(formula: Formula) -> dict[str, object]:
    """Return brew's JSON for a formula, as far as `read_formula` reads it.

    Raises FormulaError for one whose version is not known, as the JSON has no way of saying so.
    """
    if formula.version is None:
        raise FormulaError("its version is not known")
    has_bottles = bool(formula.bottles)
    head_only = formula.version == "HEAD" and not has_bottles
    suffix = f"_{formula.revision}" if formula.revision else ""
    stable = None if head_only else formula.version.removesuffix(suffix)
    document: dict[str, object] = {
        "name": formula.name,
        "full_name": formula.full_name,
        "tap": formula.tap,
        "aliases": list(formula.aliases),
        "versions": {
            "stable": stable,
            "head": "HEAD" if head_only else None,
            "bottle": bool(formula.bottles),
        },
        "urls": {"stable": _write_source(formula.source)} if formula.source else {},
        "revision": formula.revision,
        "version_scheme": formula.version_scheme,
        "bottle": {"stable": _write_bottles(formula)} if has_bottles else {},
        **_write_dependencies(formula.dependencies),
        "deprecated": formula.deprecated is not None,
        "deprecation_reason": formula.deprecated,
        "disabled": formula.disabled is not None,
        "disable_reason": formula.disabled,
        "tap_git_head": formula.commit,
        "ruby_source_path": formula.path,
        "ruby_source_checksum": {"sha256": formula.file_sha256} if formula.file_sha256 else {},
    }
    return document


def _write_source(source: Source) -> dict[str, object]:
    return {
        "url": source.url,
        "tag": source.tag,
        "revision": source.revision,
        "checksum": source.sha256,
    }


def _write_bottles(formula: Formula) -> dict[str, object]:
    return {
        "rebuild": formula.bottles[0].rebuild,
        "root_url": formula.root_url,
        "files": {
            bottle.tag: {"url": bottle.url, "sha256": bottle.digest.value} for bottle in formula.bottles
        },
    }


def _write_dependencies(dependencies: Sequence[Dependency]) -> dict[str, object]:
    """Return the dependencies for all systems, and those of each tag where they are others."""
    general = [dependency.name for dependency in dependencies if not dependency.conditions]
    variations = {}
    for tag in map(str, VALID_TAGS):
        # What cannot be known is taken for needed.
        names = [item.name for item in dependencies if item.needed_on(BottleTag.parse(tag)) is not False]
        if names != general:
            variations[tag] = {"dependencies": names}
    return {"dependencies": general, "variations": variations}
