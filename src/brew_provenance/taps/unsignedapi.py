"""homebrew/core as the unsigned formula API describes it, one document a formula.

Only for whoever asks for it: nobody signs these documents, so that whoever serves them, or sits on the
way, decides which of a formula's bottles is looked for: an old one, say, whose faults are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from brew_provenance import strictjson
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.apijson import read_formula
from brew_provenance.formula.internalapi import TAP
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.taps.documents import DEFAULT_DOMAIN, Fetch, ask_domains, fetch_from

MAX_FORMULA_BYTES: Final = 4 * 1024 * 1024
"""brew's description of one formula; the largest have some 100 kB."""

_NAME = re.compile(r"\w[\w@+.-]*", re.ASCII)


class UnsignedApiTap:
    """homebrew/core, fetched formula by formula."""

    def __init__(self, fetch: Fetch, domain: str | None = None) -> None:
        """Ask `domain` (`HOMEBREW_API_DOMAIN`), where there is one, and then Homebrew's own."""
        self._fetch = fetch
        self._domains = ask_domains(domain, fall_back=True)

    @property
    def name(self) -> str:
        """What a verdict calls it."""
        mirrored = [domain for domain in self._domains if domain != DEFAULT_DOMAIN]
        return ", ".join(["formulae.brew.sh formula JSON, unsigned", *(f"from {each}" for each in mirrored)])

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing but what the name says."""
        return ()

    def formula(self, full_name: str) -> Formula:
        """Return the formula `homebrew/core/name`.

        Raises NothingMatchedError when there is none of that name, InputError for an answer that does
        not describe it, and UsageError when there is no answer.
        """
        tap, _, name = full_name.rpartition("/")
        if tap != TAP or _NAME.fullmatch(name) is None:
            raise NothingMatchedError(
                full_name, f"the formula API describes {TAP} alone", "name a formula of it, or read the tap"
            )
        path = f"formula/{quote(name, safe='@+')}.json"
        try:
            url, raw = fetch_from(self._domains, path, self._fetch, MAX_FORMULA_BYTES)
        except FileNotFoundError as error:
            raise NothingMatchedError(
                full_name, f"no formula of that name: {error}", "compare the name with `brew search`"
            ) from error
        except OSError as error:
            raise UsageError(full_name, str(error), "try again where the network can be used") from error
        try:
            formula = read_formula(strictjson.loads(raw, MAX_FORMULA_BYTES))
        except (MalformedJSONError, FormulaError) as error:
            raise InputError(url, str(error), "try without a mirror, or use the signed API") from error
        if formula.full_name != full_name:
            raise InputError(url, f"describes {formula.full_name}", "name that one, or try without a mirror")
        return formula

    def formulae(self) -> Iterator[Formula]:
        """Raise UsageError: there is no unsigned list to go through."""
        raise UsageError(self.name, "cannot be gone through as a whole", "use the signed API for that")
