"""The whole public formula API in one document: `formula.jws.json`, every bottle of every formula."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, StrictStr, ValidationError

from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.apijson import read_formula
from brew_provenance.statement import summarise


class _Names(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    name: StrictStr
    aliases: list[StrictStr] = []
    oldnames: list[StrictStr] = []
    tap_git_head: StrictStr | None = None


@dataclass(frozen=True)
class Listing:
    """Every formula of a tap, as brew's JSON describes it."""

    commit: str | None
    """The tap's commit that it was made from, where it says so."""

    aliases: Mapping[str, str]
    """Other name to name."""

    renames: Mapping[str, str]
    """Former name to name."""

    entries: Mapping[str, object] = field(repr=False)
    """brew's description of each formula by its name; only its names were looked at yet."""

    @property
    def names(self) -> Collection[str]:
        """The names of all formulae."""
        return self.entries.keys()

    def formula(self, name: str) -> Formula:
        """Return the formula `name`, with its bottles for all tags.

        Raises KeyError when there is none of that name, and FormulaError when its description cannot
        be used.
        """
        return read_formula(self.entries[name])


def read_listing(document: object) -> Listing:
    """Read the payload of `formula.jws.json`. Raises FormulaError when it is not that."""
    if not isinstance(document, list):
        raise FormulaError("not a list of formulae")
    try:
        names = [_Names.model_validate(entry) for entry in document]
    except ValidationError as error:
        raise FormulaError(summarise(error)) from error
    entries = {found.name: entry for found, entry in zip(names, document, strict=True)}
    if len(entries) != len(names):
        raise FormulaError("two formulae of one name")
    return Listing(
        names[0].tap_git_head if names else None,
        {alias: found.name for found in names for alias in found.aliases},
        {former: found.name for found in names for former in found.oldnames},
        entries,
    )
