"""Kits: a folder with all that an offline check needs.

    index.json                          what is in the kit, with digests
    attestations/sha256-HEX.jsonl       the bundles for one digest, one a line
    formulae/USER/REPO/NAME.json        brew's description of a formula
    trusted_root.jsonl, policy.toml     for whoever decides to trust them

Bundle and root files can be read by `gh attestation verify --bundle … --custom-trusted-root …`.
Whoever made or carried the kit controls all of it. Its index finds copying errors; only the
bundles' cryptography, under a root and a policy that do not come from the kit unless the user says
so, makes anything in it count. What a hostile kit can do is leave something out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from brew_provenance import strictjson
from brew_provenance.appraise import Candidate
from brew_provenance.bottle import Digest
from brew_provenance.bundle import MAX_BUNDLE_BYTES, MAX_FILE_BYTES, read_bundles
from brew_provenance.errors import KitError, NothingMatchedError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.findings import Finding
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.apijson import read_formula
from brew_provenance.statement import summarise
from brew_provenance.stores import Answer
from brew_provenance.strictjson import MalformedJSONError

INDEX: Final = "index.json"
TRUSTED_ROOT: Final = "trusted_root.jsonl"
POLICY: Final = "policy.toml"

MAX_INDEX_BYTES: Final = 256 * 1024 * 1024
"""An index; one entry a bottle, some 200 bytes each."""

_FULL_NAME = re.compile(r"[a-z0-9_-]+/[a-z0-9_][a-z0-9._-]*/\w[\w@+.-]*", re.ASCII)
_NEXT_STEP = "make the kit again, or copy it again"


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    schema_version: Annotated[StrictInt, Field(alias="schemaVersion", ge=1, le=1)]
    files: dict[str, str]
    """Path in the kit to sha256 in hexadecimal."""

    formulae: list[str]
    """Full names."""

    digests: list[str]
    """Digests that a store was asked about, whether it had attestations or not."""


class Kit:
    """A kit that was opened: a store, and a tap."""

    def __init__(self, folder: Path) -> None:
        """Open the kit in `folder`. Raises KitError when it is none."""
        self._folder = folder
        path = folder / INDEX
        try:
            raw = read_bounded(path, MAX_INDEX_BYTES)
            self._index = _Index.model_validate(strictjson.loads(raw, MAX_INDEX_BYTES))
        except OSError as error:
            raise KitError(str(path), error.strerror or str(error), "give the folder of a kit") from error
        except ValidationError as error:
            raise KitError(str(path), f"not a kit's index: {summarise(error)}", _NEXT_STEP) from error
        except (MalformedJSONError, FileTooLongError) as error:
            raise KitError(str(path), str(error), _NEXT_STEP) from error
        self._digests = frozenset(self._index.digests)

    @property
    def name(self) -> str:
        """What a verdict calls the kit."""
        return f"kit {self._folder}"

    def resolve(
        self,
        digests: Sequence[Digest],
        *,
        fresh: bool = False,  # noqa: ARG002 - a kit remembers nothing else
    ) -> Mapping[Digest, Answer]:
        """Return what the kit holds for each of `digests`."""
        return {digest: self._answer(digest) for digest in digests}

    def formula(self, full_name: str) -> Formula:
        """Return the formula `user/repo/name` as the kit describes it.

        Raises NothingMatchedError when the kit has none of that name, and KitError when its
        description cannot be used.
        """
        if full_name not in self._index.formulae or _FULL_NAME.fullmatch(full_name) is None:
            from difflib import get_close_matches  # noqa: PLC0415 - only on the way out

            close = get_close_matches(full_name, self._index.formulae)
            raise NothingMatchedError(
                full_name,
                f"the {self.name} has no formula of that name",
                f"did you mean {' or '.join(close)}?" if close else "compare the name with the kit's index",
            )
        relative = _formula_path(full_name)
        try:
            raw = self._read_file(relative)
            formula = read_formula(strictjson.loads(raw, MAX_FILE_BYTES))
        except (OSError, _AlteredError, FileTooLongError, MalformedJSONError, FormulaError) as error:
            raise KitError(str(self._folder / relative), _why(error), _NEXT_STEP) from error
        if formula.full_name != full_name:
            raise KitError(str(self._folder / relative), f"describes {formula.full_name}", _NEXT_STEP)
        return formula

    def formulae(self) -> Iterator[Formula]:
        """Yield every formula that the kit describes. Raises KitError for one that cannot be used."""
        return (self.formula(name) for name in sorted(self._index.formulae))

    def _answer(self, digest: Digest) -> Answer:
        if str(digest) not in self._digests:
            return Answer(findings=(Finding("store-has-no-answer", f"the {self.name} does not cover it"),))
        relative = _bundle_path(digest)
        if relative not in self._index.files:
            return Answer()
        try:
            bundles = read_bundles(self._read_file(relative))
        except _AlteredError as error:
            return Answer(findings=(Finding("kit-file-altered", str(error)),))
        except (OSError, FileTooLongError, MalformedJSONError) as error:
            return Answer(findings=(Finding("store-unreadable", f"{relative}: {_why(error)}"),))
        return Answer(
            tuple(
                Candidate(f"{relative} bundle {number}", bundle) for number, bundle in enumerate(bundles, 1)
            )
        )

    def _read_file(self, relative: str) -> bytes:
        raw = read_bounded(self._folder / relative, MAX_FILE_BYTES)
        if hashlib.sha256(raw).hexdigest() != self._index.files.get(relative):
            raise _AlteredError(f"{relative} is not the file that the index lists")
        return raw


class _AlteredError(ValueError):
    """A file of the kit is not the one that its index lists."""


def write_kit(
    folder: Path,
    formulae: Mapping[str, bytes],
    attestations: Mapping[Digest, Sequence[bytes]],
    trust: Mapping[str, bytes],
) -> None:
    """Write a kit into `folder`; the same arguments give the same bytes.

    `formulae` are brew's JSON descriptions by full name; `attestations` the bundles of each digest
    that a store was asked about, none for one that it has none for; `trust` the files TRUSTED_ROOT
    and POLICY. The index is written last, under its name only when all else is there.

    Raises MalformedJSONError for a bundle that is not strict JSON, and OSError.
    """
    files = {_formula_path(name): raw for name, raw in formulae.items()}
    files |= {_bundle_path(digest): _lines(bundles) for digest, bundles in attestations.items() if bundles}
    files |= trust
    for relative, raw in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    index = {
        "schemaVersion": 1,
        "files": {name: hashlib.sha256(raw).hexdigest() for name, raw in sorted(files.items())},
        "formulae": sorted(formulae),
        "digests": sorted(str(digest) for digest in attestations),
    }
    unfinished = folder / f"{INDEX}.unfinished"
    unfinished.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(folder / INDEX)


def _lines(bundles: Sequence[bytes]) -> bytes:
    documents = (strictjson.loads(bundle, MAX_BUNDLE_BYTES) for bundle in bundles)
    return b"".join(json.dumps(document, separators=(",", ":")).encode() + b"\n" for document in documents)


def _bundle_path(digest: Digest) -> str:
    return f"attestations/{digest.algorithm}-{digest.value}.jsonl"


def _formula_path(full_name: str) -> str:
    return f"formulae/{full_name}.json"


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
