"""Formulae as Homebrew's JSON describes them (`Formula#to_hash` in brew's `formula.rb`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from brew_provenance.bottle import Bottle, BottleFileName, Digest
from brew_provenance.statement import summarise


class FormulaError(ValueError):
    """A formula's description cannot be used; says why."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _File(_Model):
    url: StrictStr
    sha256: StrictStr


class _Bottles(_Model):
    rebuild: Annotated[StrictInt, Field(ge=0)] = 0
    files: dict[StrictStr, _File]


class _Specs(_Model):
    stable: _Bottles | None = None


class _Versions(_Model):
    # None for a formula that can be built from its repository's head only.
    stable: StrictStr | None


class _Document(_Model):
    name: StrictStr
    tap: StrictStr
    versions: _Versions
    revision: Annotated[StrictInt, Field(ge=0)] = 0
    # brew writes an empty list for a formula without bottles.
    bottle: Annotated[_Specs, BeforeValidator(lambda value: {} if value == [] else value)] = Field(
        default_factory=_Specs
    )


@dataclass(frozen=True)
class Formula:
    """One formula and its bottles."""

    tap: str
    """The tap, `user/repo` in lower case."""

    name: str
    """The short name."""

    version: str
    """The package version with its revision, `1.25.0_1`; `HEAD` where there is no stable one."""

    bottles: tuple[Bottle, ...]
    """In the order in which the formula declares them."""

    @property
    def full_name(self) -> str:
        """`user/repo/name`."""
        return f"{self.tap}/{self.name}"

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read brew's JSON for one formula. Raises FormulaError when it is not that."""
        try:
            found = _Document.model_validate(document)
        except ValidationError as error:
            raise FormulaError(summarise(error)) from error
        tap, described = found.tap.lower(), found.bottle.stable or _Bottles(files={})
        if found.versions.stable is None:
            if described.files:
                raise FormulaError("bottles without a stable version")
            return cls(tap, found.name, "HEAD", ())
        version = found.versions.stable + (f"_{found.revision}" if found.revision else "")
        bottles = []
        for tag, file in described.files.items():
            try:
                digest = Digest("sha256", file.sha256.lower())
                bottle = Bottle(tap, found.name, version, described.rebuild, tag, digest, file.url)
                named = BottleFileName.parse(str(bottle.file_name), found.name)
            except ValueError as error:
                raise FormulaError(f"bottle {tag}: {error}") from error
            if named != bottle.file_name:
                raise FormulaError(f"bottle {tag}: its file name could be read as another bottle's")
            bottles.append(bottle)
        return cls(tap, found.name, version, tuple(bottles))
