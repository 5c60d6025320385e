"""The publishing job's part: bottles and their records to attestations in the store.

Everything is looked at before anything is signed; every bundle is checked as `check` would, and is on
disk, before it is published. What is done is seen from the store and from the disk alone, so that a run
that was killed anywhere is finished by running it again, and nothing is signed or published twice.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import rfc8785

from brew_provenance.actionsapi import Repository, WorkflowJob, WorkflowRun
from brew_provenance.appraise import BundleVerifier, Candidate, appraise, appraise_bundle
from brew_provenance.bottle import ALL_TAG, BottleFileName, Digest
from brew_provenance.bottlestatement import build_statement, plain_statement
from brew_provenance.buildrecord import SUFFIX, BuildRecord, read_record, record_name
from brew_provenance.bundle import MAX_BUNDLE_BYTES, Bundle, read_bundle
from brew_provenance.corroborate import BuildJob, check_record, corroborate
from brew_provenance.errors import BuildSideError, InputError, NothingMatchedError
from brew_provenance.files import FileTooLongError, read_bounded, write_whole
from brew_provenance.findings import Finding
from brew_provenance.policy import Policy
from brew_provenance.statement import MAX_SUBJECTS, PROVENANCE_V1
from brew_provenance.stores import Answer, Store
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Assessment, Basis, Outcome

BUNDLE_SUFFIX: Final = ".sigstore.json"
"""How the names of bundles end, as sigstore's own clients write them."""

MAX_ENTRIES: Final = 100_000
"""Files of a folder that are looked at."""

READ_BACK_SECONDS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""How long to wait before each look whether the store shows what it took in."""

_CHUNK = 1 << 20
_TARBALL = ".tar.gz"
_RECORD_AGAIN = "build and record it again; what was built by other hands is not attested"
_RESUME = "run `attest --resume` to finish"


class Actions(Protocol):
    """What knows runs and jobs: `actionsapi.ActionsAPI`."""

    def repository(self, name: str) -> Repository:
        """Return a repository."""

    def run(self, repository: str, run_id: str, attempt: str) -> WorkflowRun:
        """Return an attempt of a run."""

    def jobs(self, repository: str, run_id: str, attempt: str) -> tuple[WorkflowJob, ...]:
        """Return the jobs of an attempt."""


class Signs(Protocol):
    """What signs: `signing.Keyless`."""

    def claims(self) -> Mapping[str, str]:
        """Return what the identity token says of the job."""

    def sign(self, statement: bytes) -> bytes:
        """Return the bundle of a statement."""


class Publishes(Protocol):
    """What publishes: `publish.Publisher`."""

    def publish(self, bundle: bytes, is_there: Callable[[], bool]) -> str | None:
        """Add a bundle and return its number; None when it was there already."""


@dataclass(frozen=True)
class Item:
    """A bottle that is to be attested."""

    path: Path
    file_name: BottleFileName
    digest: Digest
    record: BuildRecord | None = None
    job: BuildJob | None = None
    identical: tuple[tuple[BuildRecord, BuildJob], ...] = ()

    @property
    def name(self) -> str:
        """The bottle's file name."""
        return str(self.file_name)


@dataclass(frozen=True)
class Work:
    """What one attestation is about: a bottle with its record, or many without."""

    bundle: Path
    """Where its bundle is kept."""

    items: tuple[Item, ...]

    def statement(self, claims: Mapping[str, str], server: str) -> bytes:
        """Return the statement to sign, in canonical JSON (RFC 8785)."""
        first = self.items[0]
        if first.record is not None and first.job is not None:
            document = build_statement(
                first.file_name, first.digest, first.record, first.job, first.identical
            )
        else:
            subjects = [(item.name, item.digest.value) for item in self.items]
            document = plain_statement(subjects, claims, server)
        return rfc8785.dumps(document)


class State(Enum):
    """What became of an attestation."""

    PUBLISHED = "published"
    """It was added to the store."""

    SIGNED = "signed"
    """It is on disk, and was not published."""

    THERE = "there already"
    """The store had it, or one that says the same."""


@dataclass(frozen=True)
class Attested:
    """One bottle's attestation."""

    name: str
    sha256: str
    state: State
    newly_signed: bool
    bundle: Path | None
    """Where the bundle is; None where only the store has it."""

    attestation_id: str | None
    """Its number in the store, where that was told."""

    assessment: Assessment
    """What `check` says of it."""


class NotAttestedError(BuildSideError):
    """Some bottles cannot be attested, and so none was signed."""

    def __init__(self, failures: Sequence[BuildSideError], count: int) -> None:
        one = failures[0]
        super().__init__(
            f"{len(failures)} of {count} bottles" if len(failures) > 1 else one.thing,
            "not what they are recorded to be; nothing was signed" if len(failures) > 1 else one.cause,
            "look at each of them" if len(failures) > 1 else one.next_step,
        )
        self.failures = tuple(failures)
        """Why, a bottle each."""


@dataclass(frozen=True)
class Prepared:
    """What is to be attested."""

    items: tuple[Item, ...]
    notes: tuple[str, ...]
    """What a person should know, a sentence each."""


def prepare(
    folder: Path, tap: str, actions: Actions, *, publishing_run: str | None, with_records: bool = True
) -> Prepared:
    """Look at every bottle in a folder, and hold each against its record and GitHub's word.

    `publishing_run` is the run that attests. Raises NotAttestedError after all have been looked at, and
    NothingMatchedError when there is no bottle.
    """
    files = _list(folder)
    tarballs = [name for name in files if name.endswith(_TARBALL) and ".bottle." in name]
    if not tarballs:
        raise NothingMatchedError(str(folder), "there is no bottle", "name the folder that they are in")
    looking = _Looking(folder, tap, actions, publishing_run)
    records = _Records(folder, [name for name in files if name.endswith(SUFFIX)])
    items: list[Item] = []
    failures: list[BuildSideError] = list(records.failures)
    for name in sorted(tarballs):
        try:
            items.append(looking.item(name, records) if with_records else looking.plain_item(name))
        except BuildSideError as error:
            failures.append(error)
    if failures:
        raise NotAttestedError(failures, len(tarballs))
    used = {record_name(item.file_name) for item in items}
    unused = [name for name in sorted(records.by_name) if name not in used]
    merged = {one.bottle.file for item in items for one, _ in item.identical}
    notes = [
        f"{records.by_name[name].bottle.file} is not here, only its record"
        for name in unused
        if records.by_name[name].bottle.file not in merged
    ]
    if not with_records and records.by_name:
        notes.append(f"{len(records.by_name)} records are not used")
    return Prepared(tuple(items), tuple(notes))


def plan(items: Sequence[Item], bundles: Path) -> list[Work]:
    """Return the attestations to make: one for each bottle with a record, as few as possible for others."""
    works = [Work(bundles / f"{item.name}{BUNDLE_SUFFIX}", (item,)) for item in items if item.record]
    plain: list[list[Item]] = []
    for item in items:
        if item.record is None:
            # GitHub refuses a statement with one digest twice.
            fitting = (
                part
                for part in plain
                if len(part) < MAX_SUBJECTS and all(item.digest != other.digest for other in part)
            )
            part = next(fitting, None)
            if part is None:
                plain.append([item])
            else:
                part.append(item)
    for part in plain:
        names = hashlib.sha256("\n".join(f"{item.name} {item.digest}" for item in part).encode())
        works.append(Work(bundles / f"bottles-{names.hexdigest()[:16]}{BUNDLE_SUFFIX}", tuple(part)))
    return works


@dataclass(frozen=True)
class Judging:
    """What decides whether an attestation is one that `check` accepts."""

    verifier: BundleVerifier
    roots: tuple[TrustedRoot, ...]
    policy: Policy
    tap: str

    def accept(self, item: Item, candidates: Iterable[Candidate], store: str) -> Assessment | list[Finding]:
        """Return the first attestation that is accepted for a bottle, or why none is."""
        question = Question(item.name, (item.digest,), name=item.name, tap=self.tap)
        basis = Basis(self.roots, self.policy, store)
        verdict = appraise(question, candidates, self.verifier, basis)
        if verdict.outcome is Outcome.VERIFIED and verdict.best is not None:
            return verdict.best
        return list(verdict.faults) or [Finding("store-has-no-answer", "there is no attestation")]


class Attester:
    """Makes attestations out of what was prepared, or publishes those that were made before."""

    def __init__(
        self,
        store: Store,
        judging: Judging,
        publisher: Publishes | None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Publish with `publisher`, or nothing at all when it is None."""
        self._store = store
        self._judging = judging
        self._publisher = publisher
        self._sleep = sleep

    def attest(
        self,
        works: Sequence[Work],
        signing: Signs,
        server: str,
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[Attested]:
        """Sign what is not signed, check all of it, publish it, and read it back.

        Raises BuildSideError; what was done until then stays, and is not done again by the next run.
        """
        answers = self._resolve(item.digest for work in works for item in work.items)
        found: list[Attested] = []
        waiting: list[tuple[Work, Bundle, bool]] = []
        for number, work in enumerate(works):
            progress(number)
            if there := self._there_already(work, answers):
                found += there
                continue
            bundle = self._kept(work)
            is_new = bundle is None
            if bundle is None:
                bundle = self._sign(work, signing, server)
            waiting.append((work, bundle, is_new))
        found += self._publish(waiting)
        return sorted(found, key=lambda one: one.name)

    def resume(self, folder: Path) -> list[Attested]:
        """Publish the bundles in a folder that the store does not have; sign nothing.

        Raises BuildSideError, also for a bundle that `check` would not accept, and NothingMatchedError.
        """
        names = [name for name in _list(folder) if name.endswith(BUNDLE_SUFFIX)]
        if not names:
            raise NothingMatchedError(str(folder), "there is no bundle", "name the folder of --bundles")
        waiting = []
        for name in sorted(names):
            bundle = _read_bundle(folder / name)
            items = self._items_of(bundle, folder / name)
            waiting.append((Work(folder / name, items), bundle, False))
        answers = self._resolve(item.digest for work, _, _ in waiting for item in work.items)
        found: list[Attested] = []
        missing = []
        for work, bundle, is_new in waiting:
            # Here the very bundle counts: another one may be of another run.
            if self._has(answers[work.items[0].digest], bundle):
                found += self._results(work, bundle, State.THERE, None, is_new=False)
            else:
                missing.append((work, bundle, is_new))
        return sorted([*found, *self._publish(missing)], key=lambda one: one.name)

    def _items_of(self, bundle: Bundle, path: Path) -> tuple[Item, ...]:
        general = appraise_bundle(
            Candidate(str(path), bundle), PROVENANCE_V1, self._judging.verifier, self._judging.policy
        )
        if general.faults or general.statement is None:
            raise _rejected(path.name, list(general.faults))
        items = []
        for subject in general.statement.subject:
            try:
                digest = Digest("sha256", subject.digest.get("sha256", ""))
                items.append(Item(path, BottleFileName.parse(subject.name), digest))
            except ValueError as error:
                raise BuildSideError(str(path), f"not about a bottle: {error}", "remove it") from error
        return tuple(items)

    def _resolve(self, digests: Iterable[Digest]) -> Mapping[Digest, Answer]:
        """Ask the store for all digests. Raises BuildSideError when it does not know of one."""
        answers = self._store.resolve(list(dict.fromkeys(digests)), fresh=True)
        for digest, answer in answers.items():
            faults = [finding for finding in answer.findings if finding.is_fault]
            if faults:
                cause = f"no answer for {digest} ({faults[0].code}): {faults[0].detail}"
                raise BuildSideError(self._store.name, cause, "run `attest` again: nothing was signed twice")
        return answers

    def _there_already(self, work: Work, answers: Mapping[Digest, Answer]) -> list[Attested]:
        """Return what the store has for all of a work's bottles; nothing when one lacks an attestation."""
        found = []
        for item in work.items:
            accepted = self._judging.accept(item, answers[item.digest].candidates, self._store.name)
            if isinstance(accepted, list) or not _says_the_same(accepted, item):
                return []
            found.append(
                Attested(item.name, item.digest.value, State.THERE, False, None, None, accepted)  # noqa: FBT003
            )
        return found

    def _kept(self, work: Work) -> Bundle | None:
        """Return the bundle that an earlier run has signed; None where it has none that fits."""
        if not work.bundle.is_file():
            return None
        bundle = _read_bundle(work.bundle)
        candidate = Candidate(str(work.bundle), bundle)
        for item in work.items:
            accepted = self._judging.accept(item, [candidate], work.bundle.name)
            if isinstance(accepted, list) or not _says_the_same(accepted, item):
                return None
        return bundle

    def _sign(self, work: Work, signing: Signs, server: str) -> Bundle:
        raw = signing.sign(work.statement(signing.claims(), server))
        bundle = read_bundle(raw)
        if isinstance(bundle, Finding):
            raise _rejected(work.bundle.name, [bundle])
        # As anybody will check it, before anybody can see it.
        for item in work.items:
            accepted = self._judging.accept(item, [Candidate(work.bundle.name, bundle)], work.bundle.name)
            if isinstance(accepted, list):
                raise _rejected(item.name, accepted)
        try:
            work.bundle.parent.mkdir(parents=True, exist_ok=True)
            write_whole(work.bundle, raw)
        except OSError as error:
            cause = error.strerror or str(error)
            raise BuildSideError(str(work.bundle), cause, "make room, and run `attest` again") from error
        return bundle

    def _publish(self, waiting: Sequence[tuple[Work, Bundle, bool]]) -> list[Attested]:
        found: list[Attested] = []
        published: list[tuple[Work, Bundle]] = []
        for work, bundle, is_new in waiting:
            if self._publisher is None:
                found += self._results(work, bundle, State.SIGNED, None, is_new=is_new)
                continue
            digest = work.items[0].digest
            number = self._publisher.publish(bundle.raw, partial(self._is_there, digest, bundle))
            state = State.THERE if number is None else State.PUBLISHED
            found += self._results(work, bundle, state, number or None, is_new=is_new)
            published.append((work, bundle))
        self._read_back(published)
        return found

    def _read_back(self, published: Sequence[tuple[Work, Bundle]]) -> None:
        """Wait until the store shows what it took in. Raises BuildSideError when it does not."""
        missing = list(published)
        for pause in READ_BACK_SECONDS:
            if not missing:
                return
            self._sleep(pause)
            answers = self._store.resolve([work.items[0].digest for work, _ in missing], fresh=True)
            missing = [
                (work, bundle)
                for work, bundle in missing
                if not self._has(answers[work.items[0].digest], bundle)
            ]
        if missing:
            cause = f"took {missing[0][0].bundle.name} in, and does not show it"
            more = f", nor {len(missing) - 1} more" if len(missing) > 1 else ""
            raise BuildSideError(self._store.name, cause + more, f"wait, and {_RESUME}")

    def _is_there(self, digest: Digest, bundle: Bundle) -> bool:
        answer = self._resolve([digest])[digest]
        return self._has(answer, bundle)

    @staticmethod
    def _has(answer: Answer, bundle: Bundle) -> bool:
        """Say whether a store has this attestation: the same words, by the same certificate."""
        return any(
            isinstance(candidate.bundle, Bundle)
            and (candidate.bundle.payload, candidate.bundle.certificate)
            == (bundle.payload, bundle.certificate)
            for candidate in answer.candidates
        )

    def _results(
        self, work: Work, bundle: Bundle, state: State, number: str | None, *, is_new: bool
    ) -> Iterator[Attested]:
        for item in work.items:
            accepted = self._judging.accept(item, [Candidate(work.bundle.name, bundle)], work.bundle.name)
            if isinstance(accepted, list):
                raise _rejected(item.name, accepted)
            yield Attested(item.name, item.digest.value, state, is_new, work.bundle, number, accepted)


class _Records:
    """The records in a folder, by the names of their files."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.by_name: dict[str, BuildRecord] = {}
        self.failures: list[BuildSideError] = []
        for name in sorted(names):
            try:
                _check_plain(folder / name)
                self.by_name[name] = read_record(folder / name)
            except InputError as error:
                self.failures.append(BuildSideError(error.thing, error.cause, error.next_step))
            except BuildSideError as error:
                self.failures.append(error)

    def of(self, file_name: BottleFileName) -> BuildRecord | None:
        """Return a bottle's own record."""
        return self.by_name.get(record_name(file_name))

    def merged_into(self, file_name: BottleFileName, digest: Digest) -> list[BuildRecord]:
        """Return the records of the bottles that an `all` bottle was made of, by their tags."""
        wanted = (file_name.formula, file_name.version, file_name.rebuild, digest.value)
        found = [
            record
            for record in self.by_name.values()
            if (
                record.bottle.formula,
                record.bottle.version,
                record.bottle.rebuild,
                record.bottle.sha256,
            )
            == wanted
        ]
        return sorted(found, key=lambda record: record.bottle.tag)


class _Looking:
    """Looks at bottles one after another; asks for each run once."""

    def __init__(self, folder: Path, tap: str, actions: Actions, publishing_run: str | None) -> None:
        self._folder = folder
        self._tap = tap
        self._actions = actions
        self._publishing_run = publishing_run
        self._runs: dict[tuple[str, str, str], tuple[WorkflowRun, tuple[WorkflowJob, ...]]] = {}

    def plain_item(self, name: str) -> Item:
        """Return a bottle without a record. Raises BuildSideError."""
        path = self._folder / name
        _check_plain(path)
        try:
            return Item(path, BottleFileName.parse(name), _hash(path))
        except ValueError as error:
            raise BuildSideError(str(path), str(error), "take it away, or name it as brew does") from error

    def item(self, name: str, records: _Records) -> Item:
        """Return a bottle with what its record says, corroborated. Raises BuildSideError."""
        item = self.plain_item(name)
        own = records.of(item.file_name)
        if own is not None:
            item = self._named(item, own)
            return replace(item, record=own, job=self._corroborate(item, own))
        merged = []
        if item.file_name.tag == ALL_TAG:
            merged = records.merged_into(item.file_name, item.digest)
        if not merged:
            cause = f"there is no {record_name(item.file_name)} beside it"
            raise BuildSideError(name, cause, "run `brew-provenance record` in the build job")
        jobs = []
        for record in merged:
            bottle = BottleFileName.parse(record.bottle.file, record.bottle.formula)
            jobs.append((record, self._corroborate(replace(item, file_name=bottle), record)))
        return replace(item, record=jobs[0][0], job=jobs[0][1], identical=tuple(jobs))

    def _named(self, item: Item, record: BuildRecord) -> Item:
        """Read the bottle's name as that of the recorded formula, where it can be read in two ways."""
        try:
            return replace(item, file_name=BottleFileName.parse(item.name, record.bottle.formula))
        except ValueError:
            return item

    def _corroborate(self, item: Item, record: BuildRecord) -> BuildJob:
        beside = self._folder / record.bottle.json_file
        is_beside = os.sep not in record.bottle.json_file and beside.is_file()
        found = check_record(
            record,
            item.file_name,
            item.digest,
            tap=self._tap,
            json_bytes_sha256=_hash(beside).value if is_beside else None,
        )
        if found:
            raise _contradicted(item.name, found)
        run, jobs = self._run(record)
        job = corroborate(record, run, jobs, publishing_run=self._publishing_run)
        if isinstance(job, list):
            raise _contradicted(item.name, job)
        return job

    def _run(self, record: BuildRecord) -> tuple[WorkflowRun, tuple[WorkflowJob, ...]]:
        key = (record.run.repository, record.run.run_id, record.run.run_attempt)
        if key not in self._runs:
            self._runs[key] = (self._actions.run(*key), self._actions.jobs(*key))
        return self._runs[key]


def _says_the_same(accepted: Assessment, item: Item) -> bool:
    """Say whether an attestation that is accepted makes another one superfluous."""
    build = accepted.build
    if item.record is None or item.job is None:
        return build is None
    return build is not None and build.invocation.endswith(
        f"/actions/runs/{item.job.run.id}/attempts/{item.job.run.attempt}"
    )


def _contradicted(name: str, findings: Sequence[Finding]) -> BuildSideError:
    cause = "; ".join(f"{finding.code}: {finding.detail}" for finding in findings)
    return BuildSideError(name, cause, _RECORD_AGAIN)


def _rejected(name: str, findings: Sequence[Finding]) -> BuildSideError:
    cause = "; ".join(f"{finding.code}: {finding.detail}" for finding in findings) or "nothing was verified"
    next_step = findings[0].reason.advice if findings else "compare the policy with the workflow"
    return BuildSideError(name, f"its own check rejects the attestation: {cause}", next_step)


def _read_bundle(path: Path) -> Bundle:
    _check_plain(path)
    try:
        bundle = read_bundle(read_bounded(path, MAX_BUNDLE_BYTES))
    except OSError as error:
        raise BuildSideError(str(path), error.strerror or str(error), "remove it, and sign again") from error
    except FileTooLongError as error:
        raise BuildSideError(str(path), str(error), "remove it, and sign again") from error
    if isinstance(bundle, Finding):
        cause = f"{bundle.code}: {bundle.detail}"
        raise BuildSideError(str(path), cause, "remove it, and sign again")
    return bundle


def _list(folder: Path) -> list[str]:
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > MAX_ENTRIES:
                    cause = f"more than the limit of {MAX_ENTRIES:,} files"
                    raise BuildSideError(str(folder), cause, "name the bottles' own folder")
    except OSError as error:
        raise InputError(
            str(folder), error.strerror or str(error), "name a folder that can be read"
        ) from error
    return names


def _check_plain(path: Path) -> None:
    """Refuse links, pipes and devices: what a link leads to can change between two looks."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise BuildSideError(str(path), error.strerror or str(error), "look at the folder") from error
    if not stat.S_ISREG(mode):
        raise BuildSideError(
            str(path), "no plain file, and nothing else is followed", "put the file itself there"
        )


def _hash(path: Path) -> Digest:
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                hasher.update(piece)
    except OSError as error:
        raise BuildSideError(str(path), error.strerror or str(error), "make it readable") from error
    return Digest("sha256", hasher.hexdigest())
