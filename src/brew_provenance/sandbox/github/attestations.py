"""What the store holds: repositories, and the attestations of their artifacts."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import TypeAlias

from brew_provenance.bottle import Digest

Clock: TypeAlias = Callable[[], float]
"""Returns seconds since the epoch."""

_ALGORITHMS = ("sha256", "sha512")


class InvalidBundleError(ValueError):
    """A bundle has no statement that could be read."""


class Visibility(Enum):
    """Who can see a repository."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Nobody without a token that may read it."""

    MISSING = "missing"
    """Nobody at all, as after it was deleted."""


@dataclass(frozen=True)
class Repository:
    """A repository."""

    full_name: str
    """`owner/repository`, as its owner writes it."""

    id: int
    owner_id: int
    visibility: Visibility

    @property
    def owner(self) -> str:
        """The account that owns it."""
        return self.full_name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Attestation:
    """A bundle in the store."""

    id: int
    repository: str
    """The full name of its repository."""

    repository_id: int
    bundle: bytes
    """The bundle, byte for byte as it is answered."""

    predicate_type: str
    digests: tuple[Digest, ...]
    """Whose look-up finds it."""

    initiator: str
    """`user`, or `github` for what GitHub itself attests."""

    blob_path: str
    """The path at which its blob is found."""


@dataclass(frozen=True)
class Content:
    """What the statement in a bundle says, unverified."""

    predicate_type: str
    subjects: tuple[tuple[str, Digest], ...]
    """Name and digest of each subject, an entry for each of its digests."""

    subject_count: int

    @property
    def digests(self) -> tuple[Digest, ...]:
        """The digests, each once."""
        return tuple(dict.fromkeys(digest for _, digest in self.subjects))


def read_content(bundle: bytes) -> Content:
    """Read the statement in a bundle's DSSE envelope, and nothing else of the bundle.

    Raises InvalidBundleError when there is none, or when it has no subject with a digest.
    """
    try:
        envelope = json.loads(bundle)["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"], validate=True))
        predicate_type = statement["predicateType"]
        subjects = tuple(
            (str(subject.get("name", "")), Digest(algorithm, value))
            for subject in statement["subject"]
            for algorithm, value in subject["digest"].items()
            if algorithm in _ALGORITHMS
        )
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, binascii.Error) as error:
        raise InvalidBundleError(
            f"the bundle holds no statement: {type(error).__name__}: {error}"[:200]
        ) from error
    if not isinstance(predicate_type, str) or not subjects:
        raise InvalidBundleError("the statement has no predicate type, or no subject with a digest")
    return Content(predicate_type, subjects, len(statement["subject"]))


class AttestationStore:
    """Repositories and attestations, to be read and changed from any thread at any time.

    Names of owners and repositories are the same in upper and lower case.
    """

    def __init__(self, clock: Clock = time.time) -> None:
        """Make an empty store; `clock` dates what is added."""
        self._clock = clock
        self._lock = threading.RLock()
        self._repositories: dict[str, Repository] = {}
        self._attestations: dict[int, Attestation] = {}
        self._by_digest: dict[Digest, list[int]] = {}
        self._repository_ids = itertools.count(1001)
        self._owner_ids = itertools.count(501)
        self._attestation_ids = itertools.count(1)

    def add_repository(
        self,
        full_name: str,
        visibility: Visibility = Visibility.PUBLIC,
        *,
        repository_id: int | None = None,
        owner_id: int | None = None,
    ) -> Repository:
        """Add a repository, or change the one of that name; ids are kept, or chosen, unless given.

        Raises ValueError when the name is not `owner/repository`.
        """
        owner, slash, name = full_name.partition("/")
        if not (owner and slash and name) or "/" in name:
            raise ValueError(f"{full_name!r} is not owner/repository")
        with self._lock:
            known = self._repositories.get(full_name.lower())
            if repository_id is None:
                repository_id = known.id if known else next(self._repository_ids)
            if owner_id is None:
                owner_id = self.owner_id(owner) or next(self._owner_ids)
            repository = Repository(full_name, repository_id, owner_id, visibility)
            self._repositories[full_name.lower()] = repository
            return repository

    def set_visibility(self, full_name: str, visibility: Visibility) -> None:
        """Change who can see a repository. Raises KeyError when there is none of that name."""
        with self._lock:
            known = self._repositories[full_name.lower()]
            self._repositories[full_name.lower()] = replace(known, visibility=visibility)

    def repository(self, full_name: str) -> Repository | None:
        """Return the repository of that name, whoever can see it."""
        with self._lock:
            return self._repositories.get(full_name.lower())

    def owner_id(self, owner: str) -> int | None:
        """Return the numeric id of an account that owns a repository."""
        with self._lock:
            return next(
                (
                    repository.owner_id
                    for repository in self._repositories.values()
                    if repository.owner.lower() == owner.lower()
                ),
                None,
            )

    def add(
        self,
        repository: str,
        bundle: bytes,
        *,
        digests: Sequence[Digest] | None = None,
        predicate_type: str | None = None,
        initiator: str = "user",
    ) -> int:
        """Add an attestation to a repository, and return its id; a later one has a greater id.

        What is not given of `digests` and `predicate_type` is read out of the bundle's statement. When
        both are given the bundle may be any bytes; only a JSON document can be answered inline.

        Raises KeyError when the repository was not added, and InvalidBundleError.
        """
        if digests is None or predicate_type is None:
            content = read_content(bundle)
            digests = content.digests if digests is None else digests
            predicate_type = predicate_type or content.predicate_type
        with self._lock:
            known = self._repositories[repository.lower()]
            number = next(self._attestation_ids)
            day = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y/%m/%d")
            self._attestations[number] = Attestation(
                id=number,
                repository=known.full_name,
                repository_id=known.id,
                bundle=bundle,
                predicate_type=predicate_type,
                digests=tuple(digests),
                initiator=initiator,
                blob_path=f"/attestations/{known.id}/{day}/{number}.json.sn",
            )
            for digest in digests:
                self._by_digest.setdefault(digest, []).append(number)
            return number

    def get(self, attestation_id: int) -> Attestation | None:
        """Return one attestation."""
        with self._lock:
            return self._attestations.get(attestation_id)

    def find(self, owner: str, digest: Digest) -> list[Attestation]:
        """Return an owner's attestations for a digest, whoever can see them, the newest first."""
        prefix = f"{owner.lower()}/"
        with self._lock:
            found = [self._attestations[number] for number in self._by_digest.get(digest, ())]
        return [
            attestation
            for attestation in reversed(found)
            if attestation.repository.lower().startswith(prefix)
        ]

    def delete(self, attestation_ids: Iterable[int]) -> None:
        """Take attestations out of the store; those that are not there stay so."""
        with self._lock:
            for number in attestation_ids:
                attestation = self._attestations.pop(number, None)
                for digest in attestation.digests if attestation else ():
                    self._by_digest[digest].remove(number)

    def __len__(self) -> int:
        with self._lock:
            return len(self._attestations)
