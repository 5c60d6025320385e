"""Kits: a folder with all that an offline check needs.

    index.json                          what is in the kit, with digests
    attestations/sha256-HEX.jsonl       the bundles for one digest, one a line
    formulae/USER/REPO/NAME.json        brew's description of a formula
    trusted_root.jsonl                  for whoever decides to trust them
    policies/USER/REPO.toml

Bundle and root files can be read by `gh attestation verify --bundle … --custom-trusted-root …`.
Whoever made or carried the kit controls all of it. Its index finds copying errors; only the
bundles' cryptography, under a root and a policy that do not come from the kit unless the user says
so, makes anything in it count. What a hostile kit can do is leave something out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError

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
from brew_provenance.taps import Tap

INDEX: Final = "index.json"
TRUSTED_ROOT: Final = "trusted_root.jsonl"

MAX_INDEX_BYTES: Final = 256 * 1024 * 1024
"""An index; one entry a bottle, some 200 bytes each."""

_UNFINISHED = ".unfinished"
_TAP = r"[a-z0-9_-]+/[a-z0-9_][a-z0-9._-]*"
_FULL_NAME = re.compile(rf"{_TAP}/\w[\w@+.-]*", re.ASCII)
# Whoever made the index chose its paths, and an export removes what an older index lists.
_PATH = re.compile(
    rf"attestations/(?:sha256|sha512)-[0-9a-f]+\.jsonl|formulae/{_FULL_NAME.pattern}\.json"
    rf"|policies/{_TAP}\.toml|{re.escape(TRUSTED_ROOT)}",
    re.ASCII,
)
_NEXT_STEP = "make the kit again, or copy it again"


def _check_path(path: str) -> str:
    if _PATH.fullmatch(path) is None:
        raise ValueError("not the path of a file in a kit")
    return path


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    schema_version: Annotated[StrictInt, Field(alias="schemaVersion", ge=1, le=1)]
    files: dict[Annotated[str, AfterValidator(_check_path)], str]
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

    @property
    def tap(self) -> Tap:
        """The kit's descriptions of formulae, as a tap."""
        return _KitTap(self)

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

    @property
    def files(self) -> Mapping[str, str]:
        """The files that the index lists, by their paths in the kit, with their sha256."""
        return self._index.files

    def altered_files(self) -> list[str]:
        """Return what is wrong with the kit's files, a sentence each: altered, missing, or not listed."""
        problems = []
        for relative in sorted(self._index.files):
            try:
                self._read_file(relative)
            except (OSError, FileTooLongError, _AlteredError) as error:
                problems.append(f"{relative}: {_why(error)}")
        there = {
            path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file()
        }
        unlisted = sorted(there - self._index.files.keys() - {INDEX})
        return problems + [f"{relative}: the index does not list it" for relative in unlisted]

    @property
    def formula_count(self) -> int:
        """How many formulae the kit describes, of all taps."""
        return len(self._index.formulae)

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
        path = self._folder / relative
        # Opening a pipe would wait for whoever writes to it.
        if path.exists() and not path.is_file():
            raise _AlteredError(f"{relative} is not a file")
        raw = read_bounded(self._folder / relative, MAX_FILE_BYTES)
        if hashlib.sha256(raw).hexdigest() != self._index.files.get(relative):
            raise _AlteredError(f"{relative} is not the file that the index lists")
        return raw


@dataclass(frozen=True)
class _KitTap:
    kit: Kit

    @property
    def name(self) -> str:
        return f"{self.kit.name}, unsigned"

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def formula(self, full_name: str) -> Formula:
        return self.kit.formula(full_name)

    @property
    def formula_count(self) -> int:
        return self.kit.formula_count

    def formulae(self) -> Iterator[Formula]:
        return self.kit.formulae()


class _AlteredError(ValueError):
    """A file of the kit is not the one that its index lists."""


class KitWriter:
    """Writes a kit, or brings one up to date; the same contents give the same bytes.

    Each file is written whole, and the index last: a kit that was interrupted is no kit, or the old
    one with files that its index does not list, until the same export has run again.
    """

    def __init__(self, folder: Path) -> None:
        """Prepare to write into `folder`: a kit, an empty folder, or one that does not exist yet.

        Raises KitError for a folder with anything else in it, and OSError.
        """
        self._folder = folder
        self._old: frozenset[str] = frozenset()
        if (folder / INDEX).exists():
            self._old = frozenset(Kit(folder).files)
        elif folder.is_dir() and any(not _is_of_kit(path.name) for path in folder.iterdir()):
            raise KitError(str(folder), "holds something else than a kit", "give an empty or a new folder")
        self._files: dict[str, str] = {}
        self._formulae: list[str] = []
        self._digests: set[str] = set()

    def add_formula(self, full_name: str, description: bytes) -> None:
        """Add brew's JSON description of a formula."""
        self._formulae.append(full_name)
        self._write(_formula_path(full_name), description)

    def add_attestations(self, digest: Digest, bundles: Sequence[bytes]) -> None:
        """Add what a store answered for a digest; no bundle says that it has none.

        Raises MalformedJSONError for a bundle that is not strict JSON.
        """
        self._digests.add(str(digest))
        relative = _bundle_path(digest)
        if bundles:
            # Two taps can publish the same bytes, and have a store each.
            lines = _lines(bundles) | (self._lines_of(relative) if relative in self._files else set())
            self._write(relative, b"".join(sorted(lines)))

    def add_file(self, relative: str, raw: bytes) -> None:
        """Add a file for whoever decides to trust it: TRUSTED_ROOT, or a policy."""
        self._write(relative, raw)

    def finish(self) -> None:
        """Write the index, and remove what an older one lists and this one does not."""
        index = {
            "schemaVersion": 1,
            "files": dict(sorted(self._files.items())),
            "formulae": sorted(self._formulae),
            "digests": sorted(self._digests),
        }
        raw = (json.dumps(index, indent=2) + "\n").encode()
        _replace(self._folder / INDEX, raw)
        for relative in self._old - self._files.keys():
            # Through a link the removal would reach out of the kit.
            if self._is_inside(relative):
                (self._folder / relative).unlink(missing_ok=True)
        for path in self._folder.rglob(f"{_UNFINISHED}.*"):
            path.unlink(missing_ok=True)

    def _is_inside(self, relative: str) -> bool:
        folder = (self._folder / relative).parent
        return folder.resolve() == self._folder.resolve() / Path(relative).parent

    def _lines_of(self, relative: str) -> set[bytes]:
        return set(read_bounded(self._folder / relative, MAX_FILE_BYTES).splitlines(keepends=True))

    def _write(self, relative: str, raw: bytes) -> None:
        self._files[relative] = hashlib.sha256(raw).hexdigest()
        path = self._folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self._is_inside(relative):
            raise KitError(str(path.parent), "leads out of the kit", "give a folder without symbolic links")
        with suppress(OSError, FileTooLongError):
            if path.is_file() and not path.is_symlink() and read_bounded(path, len(raw)) == raw:
                return
        _replace(path, raw)


def write_kit(
    folder: Path,
    formulae: Mapping[str, bytes],
    attestations: Mapping[Digest, Sequence[bytes]],
    trust: Mapping[str, bytes],
) -> None:
    """Write a whole kit: descriptions by full name, bundles by digest, and files to be trusted or not."""
    writer = KitWriter(folder)
    for name, raw in formulae.items():
        writer.add_formula(name, raw)
    for digest, bundles in attestations.items():
        writer.add_attestations(digest, bundles)
    for relative, raw in trust.items():
        writer.add_file(relative, raw)
    writer.finish()


def _replace(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=f"{_UNFINISHED}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(raw)
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _is_of_kit(name: str) -> bool:
    """Say whether an export that was interrupted can have left a file or folder of this name."""
    return name in {"attestations", "formulae", "policies", TRUSTED_ROOT} or name.startswith(_UNFINISHED)


def _lines(bundles: Sequence[bytes]) -> set[bytes]:
    """Return bundles as lines, each once, in a layout that no store chooses."""
    documents = (strictjson.loads(bundle, MAX_BUNDLE_BYTES) for bundle in bundles)
    return {
        json.dumps(document, separators=(",", ":"), sort_keys=True).encode() + b"\n" for document in documents
    }


def policy_path(tap: str) -> str:
    """Return where a kit keeps the policy for `user/repo`."""
    return f"policies/{tap}.toml"


def _bundle_path(digest: Digest) -> str:
    return f"attestations/{digest.algorithm}-{digest.value}.jsonl"


def _formula_path(full_name: str) -> str:
    return f"formulae/{full_name}.json"


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
