"""homebrew/core as Homebrew's signed formula API describes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic_core import from_json

from brew_provenance.bottle import ALL_TAG, BottleTag
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.internalapi import TAP, Packages, read_packages
from brew_provenance.formula.listing import Listing, read_listing
from brew_provenance.jws import KEY_ID
from brew_provenance.taps.documents import Document, Documents, Fetch

LISTING: Final = "formula.jws.json"
"""The document with every bottle of every formula, below the API's domain."""

MIGRATIONS: Final = "formula_tap_migrations.jws.json"
"""The document that says where formulae went, below the API's domain."""

_UPDATE = "run `brew update`; if that does not help, update brew-provenance"


def packages_name(tag: BottleTag) -> str:
    """Return the name of the document with the bottles for one tag, below the API's domain."""
    return f"internal/packages.{tag}.jws.json"


class ApiTap:
    """homebrew/core, out of one signed document."""

    def __init__(  # noqa: PLR0913 - the document to look for, and the places to look
        self,
        tag: BottleTag | None,
        folder: Path,
        *,
        now: datetime,
        brew_cache: Path | None = None,
        fetch: Fetch | None = None,
        domain: str | None = None,
        key: RSAPublicKey | None = None,
    ) -> None:
        """Find and read the document: that of one tag, or that of all tags when `tag` is None.

        It is looked for in `brew_cache`, what `brew --cache` prints, then in `folder`, our own one,
        and then with `fetch`, on `domain` (`HOMEBREW_API_DOMAIN`) and on Homebrew's own; None for
        `fetch` is offline. `key` stands in for Homebrew's, and the name says so.

        Raises InputError for a document that is not signed, or not the one asked for; UsageError when
        there is none.
        """
        self._documents = Documents(
            folder, now=now, brew_cache=brew_cache, fetch=fetch, domain=domain, key=key
        )
        one = None if tag is None or tag.system == ALL_TAG else tag
        document = self._documents.load(LISTING if one is None else packages_name(one))
        self._index: Packages | Listing = (
            _read_listing(document) if one is None else _read_packages(document, one)
        )
        made = self._index.generated_at if isinstance(self._index, Packages) else None
        self._documents.settle(document, made)
        self._origin = document.origin
        self._name = _describe(document, self._index, self._documents.signer)
        self._notes: list[str] = []
        self._aliases = {**self._index.renames, **self._index.aliases}

    @property
    def name(self) -> str:
        """What a verdict calls it: the document, who signed it, and how old it is."""
        return self._name

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the document and of the names looked up so far."""
        return tuple(dict.fromkeys((*self._documents.notes, *self._notes)))

    def formula(self, full_name: str) -> Formula:
        """Return the formula `homebrew/core/name`; other and former names are followed, with a note.

        Raises NothingMatchedError, with close matches, when there is none of that name, and InputError
        when its description cannot be used.
        """
        tap, _, asked = full_name.rpartition("/")
        if tap != TAP:
            raise NothingMatchedError(
                full_name, f"the formula API describes {TAP} alone", "name a formula of it, or read the tap"
            )
        name = self._follow(asked)
        if name not in self._index.names:
            raise self._absence(full_name, asked, name)
        if name != asked:
            kind = "another name" if asked in self._index.aliases else "a former name"
            self._notes.append(f"{asked} is {kind} of {name}")
        return self._read(name)

    @property
    def formula_count(self) -> int:
        """How many formulae there are."""
        return len(self._index.names)

    def formulae(self) -> Iterator[Formula]:
        """Yield every formula in the order of their names. Raises InputError for one that cannot be used."""
        return (self._read(name) for name in sorted(self._index.names))

    def _follow(self, name: str) -> str:
        passed = set()
        while name not in self._index.names and name in self._aliases and name not in passed:
            passed.add(name)
            name = self._aliases[name]
        return name

    def _read(self, name: str) -> Formula:
        try:
            formula = self._index.formula(name)
        except FormulaError as error:
            raise InputError(self._origin, f"{name}: {error}", _UPDATE) from error
        if (formula.tap, formula.name) != (TAP, name):
            raise InputError(self._origin, f"{name}: describes {formula.full_name}", _UPDATE)
        return formula

    def _absence(self, full_name: str, asked: str, name: str) -> NothingMatchedError:
        went = self._migrations().get(name)
        if went is not None:
            return NothingMatchedError(full_name, f"it has gone to {went}", "name it there")
        from difflib import get_close_matches  # noqa: PLC0415 - only on the way out

        close = get_close_matches(asked, [*self._index.names, *self._aliases])
        return NothingMatchedError(
            full_name,
            f"{TAP} has no formula of that name, as of {self._name}",
            f"did you mean {' or '.join(close)}?" if close else "compare the name with `brew search`",
        )

    def _migrations(self) -> Mapping[str, str]:
        if isinstance(self._index, Packages):
            return self._index.migrations
        try:
            document = self._documents.load(MIGRATIONS)
        except InputError:
            raise
        except UsageError:
            return {}  # it would only have said more about a formula that is not there
        self._documents.settle(document, None)
        found = _parse(document)
        if not isinstance(found, dict):
            raise InputError(document.origin, "signed, but no list of migrations", _UPDATE)
        return {str(name): str(went) for name, went in found.items()}


def _read_packages(document: Document, tag: BottleTag) -> Packages:
    try:
        found = read_packages(_parse(document))
    except FormulaError as error:
        raise InputError(document.origin, f"signed, but no packages file: {error}", _UPDATE) from error
    # Each of Homebrew's documents is rightly signed; whoever serves them can put one in another's place.
    if found.tag != tag:
        raise InputError(document.origin, f"signed, but for {found.tag} and not for {tag}", _UPDATE)
    return found


def _read_listing(document: Document) -> Listing:
    try:
        return read_listing(_parse(document))
    except FormulaError as error:
        raise InputError(document.origin, f"signed, but no list of formulae: {error}", _UPDATE) from error


def _parse(document: Document) -> object:
    # Homebrew's signature covers all of it, and brew too lets the last of two equal keys count:
    # there is no second reading to guard against, and the strict reader takes four times as long.
    try:
        found: object = from_json(document.payload, allow_inf_nan=False)
    except ValueError as error:
        raise InputError(document.origin, f"signed, but not JSON: {error}", _UPDATE) from error
    return found


def _describe(document: Document, index: Packages | Listing, signer: str) -> str:
    title = f"packages.{index.tag}" if isinstance(index, Packages) else LISTING
    parts = [f"{'formulae.brew.sh' if signer == KEY_ID else 'formula API'} {title}", f"signed by {signer}"]
    if isinstance(index, Packages):
        parts.append(f"generated {index.generated_at:%Y-%m-%d}")
    elif index.commit is not None:
        parts.append(f"homebrew-core at {index.commit[:12]}")
    if document.place is not None:
        parts.append(f"from {document.place}")
    return ", ".join(parts)
