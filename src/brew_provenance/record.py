"""The build job's part: write down of each bottle what it was built from, and who built it.

Needs no token and no network. The build's own scripts ran before this and can have changed everything it
looks at; `attest` believes none of it before it has been corroborated.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import ValidationError

import brew_provenance
from brew_provenance.actionsjob import ActionsJob
from brew_provenance.bottlefile import BottleFileError, examine_bottle
from brew_provenance.bottlefolder import FoundBottle, find_bottles, is_plain_file
from brew_provenance.bottlejson import DescribedBottle
from brew_provenance.buildrecord import (
    BuildRecord,
    RecordedBottle,
    RecordedBrew,
    RecordedFormula,
    RecordedSource,
    RecordedTap,
    read_record,
    record_name,
)
from brew_provenance.errors import BuildSideError, InputError, NothingMatchedError
from brew_provenance.files import write_whole
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.bottleblock import describe_difference, without_bottle_block
from brew_provenance.formula.ruby import read_formula
from brew_provenance.statement import summarise
from brew_provenance.taps.checkout import FormulaFile, TapCheckout

FindTap: TypeAlias = Callable[[str], Path]
"""Says where the clone of a tap, `user/repo`, is."""

_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_AGAIN: Final = "build it again, from a commit of its tap"


@dataclass(frozen=True)
class Recorded:
    """A bottle that has its record."""

    bottle: Path
    file: Path
    """The record's file."""

    record: BuildRecord
    kept: bool = False
    """Whether an earlier run made the record, and the bottle."""

    notes: tuple[str, ...] = ()
    """What a person should know of the tap's repository, a sentence each."""


@dataclass(frozen=True)
class LeftOut:
    """A bottle that an earlier run built, whose record is not at hand: this run must not claim it."""

    bottle: Path
    why: str


class NotRecordedError(BuildSideError):
    """Some bottles cannot be recorded, and so none was."""

    def __init__(self, failures: Sequence[BuildSideError], count: int) -> None:
        super().__init__(
            f"{len(failures)} of {count} bottles" if len(failures) > 1 else failures[0].thing,
            "not recorded, and so none is" if len(failures) > 1 else failures[0].cause,
            "look at each of them" if len(failures) > 1 else failures[0].next_step,
        )
        self.failures = tuple(failures)
        """Why, a bottle each."""


@dataclass(frozen=True)
class Surroundings:
    """Where bottles were built, and what else is there."""

    job: ActionsJob
    find_tap: FindTap
    brew_repository: Path | None = None
    """brew's own clone; its commit is not recorded where it cannot be read."""

    earlier: Sequence[Path] = ()
    """Folders with the records of earlier runs."""


@dataclass(frozen=True)
class Origin:
    """What a bottle was built from, as the repositories of its tap and of brew have it."""

    commit: str
    """The tap's."""

    parents: tuple[str, ...]
    """That commit's."""

    remote: str
    """`https://github.com/OWNER/REPO`."""

    branch: str | None
    shallow: bool
    file: FormulaFile
    """The formula's file at that commit."""

    formula: Formula | None
    """The same, read; None where it cannot be."""

    brew_commit: str | None


def record_bottles(
    folders: Iterable[Path], surroundings: Surroundings, *, now: datetime, recursive: bool = False
) -> list[Recorded | LeftOut]:
    """Write a record beside every bottle in `folders`: of all of them, or of none.

    A bottle whose record in its own folder, or in an earlier run's, is of another run was built by that
    one, and keeps it. Raises NotRecordedError, after all bottles have been looked at, and
    NothingMatchedError when there is none.
    """
    found = find_bottles(folders, recursive=recursive)
    if not found.bottles and not found.failures:
        next_step = "name the folder that brew bottled in"
        raise NothingMatchedError("record", "there is no *.bottle.json", next_step)
    failures = list(found.failures)
    results: list[Recorded | LeftOut] = []
    with ExitStack() as opened:
        recorder = _Recorder(surroundings, opened, now)
        for bottle in found.bottles:
            try:
                results.append(recorder.record(bottle))
            except BuildSideError as error:
                failures.append(error)
    if failures:
        raise NotRecordedError(failures, len(found.bottles) + len(found.failures))
    for result in results:
        if isinstance(result, Recorded):
            _write(result.file, result.record.to_bytes())
    return results


def make_record(found: FoundBottle, origin: Origin, job: ActionsJob, now: datetime) -> BuildRecord:
    """Return the record of a bottle. Raises BuildSideError for what no record can hold."""
    described, name, file = found.described, found.described.file_name, origin.file
    try:
        return BuildRecord(
            tool=f"brew-provenance {brew_provenance.__version__}",
            recorded_at=now.replace(microsecond=0),
            bottle=RecordedBottle(
                file=str(name),
                sha256=described.digest.value,
                formula=name.formula,
                version=name.version,
                tag=name.tag,
                rebuild=name.rebuild,
                json_file=found.json_path.name,
                json_sha256=found.json_sha256,
            ),
            tap=RecordedTap(
                name=described.tap,
                remote=origin.remote,
                commit=origin.commit,
                parents=origin.parents,
                branch=origin.branch,
                shallow=origin.shallow,
            ),
            formula=RecordedFormula(
                path=file.path,
                blob=file.blob,
                sha256=_sha256(file.text),
                sha256_without_bottle_block=_sha256(without_bottle_block(file.text)),
                source=_source(origin.formula),
            ),
            brew=RecordedBrew(version=described.brew_version, commit=origin.brew_commit),
            run=job.run,
            runner=job.runner,
        )
    except ValidationError as error:
        why = f"no record can hold it: {summarise(error)}"
        raise BuildSideError(str(found.path), why, _AGAIN) from error


def github_repository(url: str, server: str) -> str | None:
    """Return `https://github.com/OWNER/REPO` for the URL of a clone on `server`; None for any other.

    A user name or a token in the URL is left out.
    """
    host = re.escape(server.removeprefix("https://"))
    match = re.fullmatch(
        rf"(?:https://(?:[^/@]{{0,1000}}@)?{host}/|git@{host}:|ssh://git@{host}/)([\w-]+/[\w.-]+?)(?:\.git)?/?",
        url,
        re.ASCII | re.IGNORECASE,
    )
    return f"{server}/{match[1]}" if match else None


class _Recorder:
    """Looks at bottles one after another, and writes nothing."""

    def __init__(self, surroundings: Surroundings, opened: ExitStack, now: datetime) -> None:
        self._here = surroundings
        self._run = surroundings.job.run
        self._opened = opened
        self._now = now
        self._brew_commit = _head(surroundings.brew_repository)
        self._checkouts: dict[str, TapCheckout] = {}

    def record(self, found: FoundBottle) -> Recorded | LeftOut:
        """Return the record of one bottle. Raises BuildSideError."""
        described, path = found.described, found.path
        packed = _packed_formula(path, described)
        checkout = self._checkout(described.tap)
        origin, notes = self._origin(found, checkout, packed)
        record = make_record(found, origin, self._here.job, self._now)
        file = path.with_name(record_name(described.file_name))
        for candidate in (file, *(folder / file.name for folder in self._here.earlier)):
            if is_plain_file(candidate) and (kept := _earlier_record(candidate, record)):
                return Recorded(path, file, kept, kept=True)
        if origin.commit not in {self._run.sha, checkout.head}:
            why = f"built at {origin.commit[:12]}, which this run has not checked out, by an earlier run"
            return LeftOut(path, f"{why}, whose record is not here")
        return Recorded(path, file, record, notes=(*notes, *self._notes(record, checkout)))

    def _checkout(self, tap: str) -> TapCheckout:
        if tap not in self._checkouts:
            self._checkouts[tap] = self._opened.enter_context(TapCheckout(self._here.find_tap(tap)))
        return self._checkouts[tap]

    def _origin(self, found: FoundBottle, checkout: TapCheckout, packed: bytes) -> tuple[Origin, list[str]]:
        described, path = found.described, found.path
        if described.commit is None or described.path is None:
            why = f"{found.json_path.name} does not name the tap's commit, and the formula's file in it"
            raise BuildSideError(str(path), why, _AGAIN)
        remote = github_repository(described.remote or checkout.remote or "", self._run.server)
        if remote is None:
            # The URL itself is not shown: it may hold a token.
            why = f"the remote of {described.tap} is no repository of {self._run.server}"
            raise BuildSideError(str(path), why, "clone the tap from there")
        file = checkout.formula(described.commit, described.path, described.file_name.formula)
        _compare(path, packed, file, described.commit, checkout.working_copy(file.path))
        formula, notes = _read(path, file, described)
        origin = Origin(
            described.commit,
            checkout.parents(described.commit),
            remote,
            checkout.branch,
            checkout.is_shallow,
            file,
            formula,
            self._brew_commit,
        )
        return origin, notes

    def _notes(self, record: BuildRecord, checkout: TapCheckout) -> Iterator[str]:
        run, tap = self._run, record.tap
        at = f"{tap.name} at {tap.commit[:12]}"
        if run.event_name.startswith("pull_request"):
            head = f"the pull request's head {run.head_sha[:12]}"
            if run.head_sha in tap.parents:
                yield f"{at} merges {head}, and is on no branch that stays"
            elif run.head_sha != tap.commit:
                yield f"{at} does not merge {head}"
        elif tap.commit != run.sha:
            yield f"{at} is not {run.sha[:12]}, for which this run was started"
        if tap.remote.lower() != f"{run.server}/{run.repository}".lower():
            yield f"{tap.name} is {tap.remote}, and this is a run of {run.repository}"
        if tap.branch is None:
            yield f"the clone of {tap.name} is on no branch"
        if tap.shallow:
            yield f"the clone of {tap.name} is shallow"
        if not _is_packed_as(checkout.working_copy(record.formula.path), record.formula):
            yield f"{record.formula.path} in the working tree of {tap.name} is not that of {tap.commit[:12]}"


def _packed_formula(path: Path, described: DescribedBottle) -> bytes:
    """Return the formula in a bottle, in the very bytes that have the digest which brew gave it."""
    name = described.file_name
    try:
        digest, packed = examine_bottle(path, name.formula, name.version)
    except InputError as error:
        raise BuildSideError(error.thing, error.cause, _AGAIN) from error
    if digest != described.digest:
        why = f"its digest is {digest}, and brew made it with {described.digest}"
        raise BuildSideError(str(path), why, "bottle it again")
    if isinstance(packed, BottleFileError):
        raise BuildSideError(str(path), f"{packed.code}: {packed.detail}", "bottle it again")
    return packed.text


def _compare(path: Path, packed: bytes, file: FormulaFile, commit: str, working_copy: bytes | None) -> None:
    """Refuse a bottle whose formula is not the commit's, without its bottle block."""
    thing = f"{file.path} at {commit[:12]}"
    try:
        if without_bottle_block(file.text) == packed:
            return
        difference = describe_difference(file.text, packed) or "the lines around its bottle block"
    except FormulaError as error:
        raise BuildSideError(thing, str(error), _AGAIN) from error
    if working_copy is not None and _without_block(working_copy) == packed:
        why = f"it was built from a change of {thing} that is not committed: {difference}"
        raise BuildSideError(str(path), why, "commit the formula, and build it again")
    raise BuildSideError(str(path), f"the formula in it is not {thing}: {difference}", _AGAIN)


def _is_packed_as(working_copy: bytes | None, formula: RecordedFormula) -> bool:
    """Say whether the working tree has the formula that was built; a clone without one has no other."""
    if working_copy is None:
        return True
    text = _without_block(working_copy)
    return text is not None and _sha256(text) == formula.sha256_without_bottle_block


def _without_block(source: bytes) -> bytes | None:
    try:
        return without_bottle_block(source)
    except FormulaError:
        return None


def _read(path: Path, file: FormulaFile, described: DescribedBottle) -> tuple[Formula | None, list[str]]:
    """Read the formula that was built. Raises BuildSideError when it is of another version."""
    name = described.file_name
    try:
        formula = read_formula(file.text, tap=described.tap, name=name.formula, path=file.path)
    except FormulaError as error:
        return None, [f"{file.path} cannot be read, and its source is not recorded: {error}"]
    if formula.version not in {None, "HEAD", name.version}:
        why = f"{file.path} at {(described.commit or '')[:12]} is of version {formula.version}"
        raise BuildSideError(str(path), why, _AGAIN)
    if formula.source is None:
        return formula, [f"the source of {file.path} is not written out, and not recorded"]
    return formula, []


def _source(formula: Formula | None) -> RecordedSource | None:
    """Return the stable source; None where it is not known, or known by nothing that could be compared."""
    if formula is None or formula.source is None or not formula.source.url:
        return None
    source = formula.source
    pinned = source.revision if source.revision and _OBJECT_ID.fullmatch(source.revision) else None
    return RecordedSource(url=source.url, sha256=source.sha256, commit=pinned)


def _earlier_record(file: Path, record: BuildRecord) -> BuildRecord | None:
    """Return the record in a file, if it is of the same bottle and formula, and of another run."""
    try:
        found = read_record(file)
    except InputError:
        return None
    # Whoever wrote the file may have been a build script: a run of any other repository is not believed.
    is_same = _what(found) == _what(record)
    return found if is_same and _attempt(found) != _attempt(record) else None


def _what(record: BuildRecord) -> tuple[object, ...]:
    tap, run = record.tap, record.run
    place = (run.server, run.repository_id)
    return (record.bottle, record.formula, tap.name, tap.remote, tap.commit, place)


def _attempt(record: BuildRecord) -> tuple[str, str]:
    return record.run.run_id, record.run.run_attempt


def _head(repository: Path | None) -> str | None:
    """Return the commit of a repository; None where there is none to ask."""
    if repository is None:
        return None
    try:
        with TapCheckout(repository) as checkout:
            return checkout.head
    except BuildSideError:
        return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        why = error.strerror or str(error)
        raise BuildSideError(str(path), why, "make room for it, and record again") from error
