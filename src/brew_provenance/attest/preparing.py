"""Bottles with their records, looked at one by one before anything is signed.

What is in the folder came out of build jobs, whose scripts can have put anything there. A bottle is
believed to be what its own bytes say, and a record what the Actions API says of its job.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from brew_provenance.actionsapi import Repository, WorkflowJob, WorkflowRun
from brew_provenance.bottle import ALL_TAG, BottleFileName, Digest
from brew_provenance.bottlefile import BottleFileError, examine_bottle
from brew_provenance.bottlejson import MAX_BYTES as MAX_JSON_BYTES
from brew_provenance.buildrecord import SUFFIX, BuildRecord, read_record, record_name
from brew_provenance.corroborate import BuildJob, check_record, corroborate
from brew_provenance.errors import BuildSideError, InputError, NothingMatchedError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.findings import Finding

MAX_ENTRIES: Final = 100_000
"""Files of a folder that are looked at."""

_CHUNK = 1 << 20
_TARBALL = ".tar.gz"
_RECORD = "run `brew-provenance record` in the build job, or see --allow-unrecorded"
_BUILT = "build and record it again; what was built by other hands is not attested"


class Actions(Protocol):
    """What knows repositories, runs and jobs: `actionsapi.ActionsAPI`."""

    def repository(self, name: str) -> Repository:
        """Return a repository."""

    def run(self, repository: str, run_id: str, attempt: str) -> WorkflowRun:
        """Return an attempt of a run."""

    def jobs(self, repository: str, run_id: str, attempt: str) -> tuple[WorkflowJob, ...]:
        """Return the jobs of an attempt."""


@dataclass(frozen=True)
class Item:
    """A bottle that is to be attested."""

    file_name: BottleFileName
    digest: Digest
    """Of the very bytes that were looked at."""

    packed: bytes | None = None
    """The formula in the bottle, where its record says which one that has to be."""

    record: BuildRecord | None = None
    job: BuildJob | None = None
    """The job that the record is of; None without a record."""

    identical: tuple[tuple[BuildRecord, BuildJob], ...] = ()
    """For an `all` bottle that was merged: those that it was made of."""

    @property
    def name(self) -> str:
        """The bottle's file name, which is the subject's name."""
        return str(self.file_name)


@dataclass(frozen=True)
class Prepared:
    """What is to be attested."""

    items: tuple[Item, ...]
    """In the order of their names."""

    notes: tuple[str, ...]
    """What a person should know, a sentence each."""


class FoundError(BuildSideError):
    """A bottle is not what it has to be, for reasons that have codes."""

    def __init__(self, name: str, findings: Sequence[Finding], *, said: str = "", next_step: str) -> None:
        causes = "; ".join(f"{finding.code}: {finding.detail}" for finding in findings)
        super().__init__(name, f"{said}{causes}", next_step)
        self.findings = tuple(findings)
        """Why."""


class NotAttestedError(BuildSideError):
    """Some bottles cannot be attested, and so nothing was signed."""

    def __init__(self, failures: Sequence[BuildSideError], names: Sequence[str]) -> None:
        one = failures[0]
        many = len(failures) > 1
        super().__init__(
            f"{len(failures)} faults in {len(names)} bottles" if many else one.thing,
            "cannot be attested, and nothing was signed" if many else one.cause,
            "look at each of them" if many else one.next_step,
        )
        self.failures = tuple(failures)
        """Why, a bottle or a record each."""
        self.names = tuple(names)
        """All bottles that were to be attested."""


def prepare(  # noqa: PLR0913 - what bottles are, and whom to ask
    folder: Path,
    tap: str,
    repository: str,
    actions: Actions,
    *,
    publishing_run: str | None,
    with_records: bool = True,
    allow_unrecorded: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Prepared:
    """Look at every bottle in a folder, and hold each against its record and GitHub's word.

    One without a record is refused, unless they may be without: whoever can take a record away could
    otherwise have less attested. Runs are those of `repository`, `OWNER/REPO`, whatever a record says;
    `publishing_run` is the one that attests. Each is asked for once. Raises NotAttestedError after all
    bottles have been looked at, and NothingMatchedError when there is none.
    """
    names = list_folder(folder)
    tarballs = sorted(name for name in names if name.endswith(_TARBALL) and ".bottle." in name)
    if not tarballs:
        raise NothingMatchedError(str(folder), "there is no bottle", "name the folder that they are in")
    written = [name for name in names if name.endswith(SUFFIX)]
    runs = _Runs(actions, repository, publishing_run)
    looking = _Looking(folder, runs, tap, allow_unrecorded=allow_unrecorded)
    records = _Records(folder, written if with_records else ())
    items: list[Item] = []
    failures: list[BuildSideError] = list(records.failures)
    for number, name in enumerate(tarballs):
        progress(number)
        try:
            items.append(looking.item(name, records) if with_records else looking.plain_item(name))
        except BuildSideError as error:
            failures.append(error)
    if failures:
        raise NotAttestedError(failures, tarballs)
    return Prepared(tuple(items), tuple(_notes(items, records, () if with_records else written)))


def list_folder(folder: Path) -> list[str]:
    """Return the names in a folder. Raises InputError, and BuildSideError for more than MAX_ENTRIES."""
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > MAX_ENTRIES:
                    cause = f"more than the limit of {MAX_ENTRIES:,} files"
                    raise BuildSideError(str(folder), cause, "name the bottles' own folder")
    except OSError as error:
        next_step = "name a folder that can be read"
        raise InputError(str(folder), error.strerror or str(error), next_step) from error
    return names


def check_plain(path: Path) -> None:
    """Refuse links, pipes and devices: what a link leads to can change between two looks.

    Raises BuildSideError.
    """
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise BuildSideError(str(path), error.strerror or str(error), "look at the folder") from error
    if not stat.S_ISREG(mode):
        cause = "no plain file, and nothing else is followed"
        raise BuildSideError(str(path), cause, "put the file itself there")


def _notes(items: Iterable[Item], records: _Records, unused: Sequence[str]) -> list[str]:
    used = set()
    for item in items:
        used.add(record_name(item.file_name))
        used |= {f"{record.bottle.file.removesuffix(_TARBALL)}{SUFFIX}" for record, _ in item.identical}
    notes = [
        f"{name} is of a bottle that is not here, {record.bottle.file}"
        for name, record in records.by_name.items()
        if name not in used
    ]
    if records.by_name:
        notes += [
            f"{item.name} has no record: neither builder nor formula are attested"
            for item in items
            if item.record is None
        ]
    if unused:
        notes.append(f"{len(unused)} records are left aside, and what they say is not attested")
    return notes


class _Records:
    """The records in a folder, by the names of their files."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.by_name: dict[str, BuildRecord] = {}
        self.failures: list[BuildSideError] = []
        for name in sorted(names):
            try:
                check_plain(folder / name)
                self.by_name[name] = read_record(folder / name)
            except InputError as error:
                self.failures.append(BuildSideError(error.thing, error.cause, error.next_step))
            except BuildSideError as error:
                self.failures.append(error)

    def of(self, name: str) -> BuildRecord | None:
        """Return a bottle's own record."""
        return self.by_name.get(name.removesuffix(_TARBALL) + SUFFIX)

    def merged_into(self, file_name: BottleFileName, digest: Digest) -> list[BuildRecord]:
        """Return the records of the bottles that an `all` bottle was made of, by their tags.

        brew makes one where all bottles of a formula have the same bytes, and takes those away.
        """
        wanted = (file_name.formula, file_name.version, file_name.rebuild, digest.value)
        found = []
        for name, record in self.by_name.items():
            bottle = record.bottle
            said = (bottle.formula, bottle.version, bottle.rebuild, bottle.sha256)
            # The tag is the record's word: other files are looked for by it, so it is that of its own name.
            own = _name_of(record)
            if said == wanted and (name, bottle.file) == (record_name(own), str(own)):
                found.append(record)
        return sorted(found, key=lambda record: record.bottle.tag)


class _Runs:
    """The runs of one repository, each asked for once."""

    def __init__(self, actions: Actions, repository: str, publishing_run: str | None) -> None:
        self._actions = actions
        self._repository = repository
        self._publishing_run = publishing_run
        self._known: dict[tuple[str, str], tuple[WorkflowRun, tuple[WorkflowJob, ...]] | BuildSideError] = {}

    def corroborate(self, record: BuildRecord) -> BuildJob | list[Finding]:
        """Return the job that a record is of, or what contradicts it. Raises BuildSideError."""
        key = (record.run.run_id, record.run.run_attempt)
        if key not in self._known:
            try:
                run = self._actions.run(self._repository, *key)
                self._known[key] = (run, self._actions.jobs(self._repository, *key))
            except BuildSideError as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, BuildSideError):
            raise BuildSideError(known.thing, known.cause, known.next_step)
        return corroborate(record, *known, publishing_run=self._publishing_run)


class _Looking:
    """Looks at bottles one after another."""

    def __init__(self, folder: Path, runs: _Runs, tap: str, *, allow_unrecorded: bool) -> None:
        self._folder = folder
        self._runs = runs
        self._tap = tap
        self._allow_unrecorded = allow_unrecorded

    def plain_item(self, name: str) -> Item:
        """Return a bottle without a record. Raises BuildSideError."""
        path = self._folder / name
        check_plain(path)
        return Item(_parse(path), _hash(path))

    def item(self, name: str, records: _Records) -> Item:
        """Return a bottle with what its record says, corroborated. Raises BuildSideError."""
        path = self._folder / name
        check_plain(path)
        own = records.of(name)
        file_name = _parse(path, own.bottle.formula if own is not None else None)
        item = _examine(path, file_name)
        if own is not None:
            return replace(item, record=own, job=self._corroborate(item, own))
        merged = records.merged_into(file_name, item.digest) if file_name.tag == ALL_TAG else []
        if not merged and self._allow_unrecorded:
            return self.plain_item(name)
        if not merged:
            raise BuildSideError(name, f"there is no {record_name(file_name)} beside it", _RECORD)
        found = [
            (record, self._corroborate(replace(item, file_name=_name_of(record)), record))
            for record in merged
        ]
        return replace(item, record=found[0][0], job=found[0][1], identical=tuple(found))

    def _corroborate(self, item: Item, record: BuildRecord) -> BuildJob:
        described = self._json_beside(item.file_name)
        found: BuildJob | list[Finding] = check_record(
            record,
            item.file_name,
            item.digest,
            tap=self._tap,
            json_bytes_sha256=_sha256(described),
            packed_formula_sha256=_sha256(item.packed),
        )
        if not found:
            found = self._runs.corroborate(record)
        if isinstance(found, list):
            raise FoundError(item.name, found, next_step=found[0].reason.advice)
        return found

    def _json_beside(self, file_name: BottleFileName) -> bytes | None:
        """Return the `*.bottle.json` that brew wrote beside a bottle; None where it is there no more."""
        path = self._folder / f"{file_name.formula}--{file_name.version}.{file_name.tag}.bottle.json"
        if not path.exists():
            return None
        check_plain(path)
        try:
            return read_bounded(path, MAX_JSON_BYTES)
        except OSError as error:
            raise BuildSideError(str(path), error.strerror or str(error), _BUILT) from error
        except FileTooLongError as error:
            raise BuildSideError(str(path), str(error), _BUILT) from error


def _sha256(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()


def _name_of(record: BuildRecord) -> BottleFileName:
    bottle = record.bottle
    return BottleFileName(bottle.formula, bottle.version, bottle.tag, bottle.rebuild)


def _parse(path: Path, formula: str | None = None) -> BottleFileName:
    """Read a bottle's name; `formula` says where to cut, where it can be read in two ways."""
    try:
        file_name = BottleFileName.parse(path.name)
        if formula is not None and path.name.startswith(f"{formula}--"):
            file_name = BottleFileName.parse(path.name, formula)
    except ValueError as error:
        raise BuildSideError(str(path), str(error), "take it away, or name it as brew does") from error
    return file_name


def _examine(path: Path, file_name: BottleFileName) -> Item:
    try:
        digest, packed = examine_bottle(path, file_name.formula, file_name.version)
    except InputError as error:
        raise BuildSideError(error.thing, error.cause, "make it readable") from error
    if isinstance(packed, BottleFileError):
        found = Finding(packed.code, packed.detail)
        raise FoundError(str(file_name), [found], next_step=_BUILT)
    return Item(file_name, digest, packed.text)


def _hash(path: Path) -> Digest:
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                hasher.update(piece)
    except OSError as error:
        raise BuildSideError(str(path), error.strerror or str(error), "make it readable") from error
    return Digest("sha256", hasher.hexdigest())
