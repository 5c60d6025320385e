"""`*.bottle.json`: what `brew bottle --json` writes beside a bottle (`dev-cmd/bottle.rb` in brew).

The build job's scripts can write any of it. Read as leniently as brew's older versions need: what they
left out is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from brew_provenance import strictjson
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.statement import summarise
from brew_provenance.strictjson import MalformedJSONError

MAX_BYTES: Final = 16 * 1024 * 1024
"""One `*.bottle.json`; the list of a bottle's files makes up most of it."""

MAX_DESCRIBED: Final = 256
"""Bottles that one file describes; merged ones have a handful."""

SUFFIX: Final = ".bottle.json"
"""How the file's name ends."""

_CORE = "homebrew/core"
_TAP = re.compile(r"[a-z0-9_][a-z0-9_-]*/[a-z0-9_][a-z0-9._-]*")
_SHA256 = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]


class BottleJSONError(ValueError):
    """The file is not what brew writes; says why."""


@dataclass(frozen=True)
class DescribedBottle:
    """One bottle, as brew describes it."""

    tap: str
    """`user/repo` in lower case; brew leaves homebrew/core unsaid."""

    file_name: BottleFileName
    """The name of its file, with two dashes."""

    digest: Digest
    """The digest that its file had when brew made it."""

    path: str | None
    """The formula's file in the tap."""

    commit: str | None
    """What the tap's HEAD was; None in a tap that is no git repository."""

    remote: str | None
    """The URL that the tap was cloned from."""

    brew_version: str | None
    """The version of the brew that built it."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _Tab(_Model):
    homebrew_version: StrictStr | None = None


class _Tagged(_Model):
    local_filename: StrictStr
    sha256: _SHA256
    tab: _Tab | None = None


class _Bottle(_Model):
    rebuild: Annotated[StrictInt, Field(ge=0)] = 0
    tags: Annotated[dict[StrictStr, _Tagged], Field(min_length=1)]


class _Formula(_Model):
    name: StrictStr | None = None
    pkg_version: StrictStr
    tap_git_path: StrictStr | None = None
    tap_git_revision: StrictStr | None = None
    tap_git_remote: StrictStr | None = None


class _Entry(_Model):
    formula: _Formula
    bottle: _Bottle


_DOCUMENT: Final[TypeAdapter[Mapping[str, _Entry]]] = TypeAdapter(
    Annotated[dict[StrictStr, _Entry], Field(min_length=1)], config=ConfigDict(defer_build=True)
)


def read_bottle_json(raw: bytes) -> tuple[DescribedBottle, ...]:
    """Return the bottles that a file describes, in its order.

    Raises BottleJSONError when it is not brew's JSON, or when the name of a bottle's file is not the one
    that its formula, version, tag and rebuild make.
    """
    try:
        document = _DOCUMENT.validate_python(strictjson.loads(raw, MAX_BYTES))
    except MalformedJSONError as error:
        raise BottleJSONError(str(error)) from error
    except ValidationError as error:
        raise BottleJSONError(f"not what `brew bottle --json` writes: {summarise(error)}") from error
    found = tuple(
        _described(full_name, entry, tag, tagged)
        for full_name, entry in document.items()
        for tag, tagged in entry.bottle.tags.items()
    )
    if len(found) > MAX_DESCRIBED:
        raise BottleJSONError(f"it describes more than the limit of {MAX_DESCRIBED} bottles")
    return found


def _described(full_name: str, entry: _Entry, tag: str, tagged: _Tagged) -> DescribedBottle:
    written, slash, name = full_name.rpartition("/")
    tap, formula = written.lower() if slash else _CORE, entry.formula
    if _TAP.fullmatch(tap) is None:
        raise BottleJSONError(f"{tap!r} is not a tap")
    try:
        file_name = BottleFileName.parse(tagged.local_filename, name)
    except ValueError as error:
        raise BottleJSONError(str(error)) from error
    told = BottleFileName(formula.name or name, formula.pkg_version, tag, entry.bottle.rebuild)
    if told != file_name:
        raise BottleJSONError(f"it describes {str(told)!r}, and calls the file {str(file_name)!r}")
    return DescribedBottle(
        tap,
        file_name,
        Digest("sha256", tagged.sha256),
        formula.tap_git_path,
        formula.tap_git_revision,
        formula.tap_git_remote,
        tagged.tab.homebrew_version if tagged.tab else None,
    )
