"""GitHub's attestation store: the fewest requests that answer for many digests.

With many digests one request lists a hundred of them, over all repositories of their owner; rows of
other repositories are left out by the repository's numeric id. Where that is refused, each digest is
asked for by itself. A bundle that is not in the list is fetched by its link, once for all digests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from brew_provenance.appraise import Candidate
from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.findings import Finding
from brew_provenance.stores import Answer
from brew_provenance.stores.githubapi import (
    BulkRefusedError,
    GitHubAPI,
    LinkExpiredError,
    Listing,
    Row,
    TooManyDigestsError,
)
from brew_provenance.transport import Transport, TransportError

BATCH: Final = 100
"""Attestations that one request is expected to list: so many fill one page."""

BULK_FROM: Final = 3
"""From how many digests on they are listed in bulk, which needs the repository's id besides."""

BULK_FROM_WITHOUT_TOKEN: Final = 10
"""The same without a token: GitHub documents that none is needed, and has been seen to need one."""


@dataclass
class _Found:
    """What is known of one digest so far."""

    rows: list[tuple[str, Row]] = field(default_factory=list)
    """Repository and row."""

    faults: list[TransportError] = field(default_factory=list)

    def add(self, repository: str, listing: Listing) -> None:
        self.rows += ((repository, row) for row in listing.rows)
        if listing.fault is not None:
            self.faults.append(listing.fault)


class GitHubStore:
    """The attestations of some repositories.

    The first is asked for all digests, each other one for those that were not found so far.
    """

    def __init__(
        self,
        transport: Transport,
        api: GitHubAPI,
        repositories: Sequence[str],
        *,
        predicate_type: str | None = None,
        batch: int = BATCH,
    ) -> None:
        """Ask `api` for the attestations of `repositories`, `OWNER/REPO`, of one predicate type or of all."""
        self._transport = transport
        self._api = api
        self._repositories = tuple(repositories)
        self._predicate_type = predicate_type
        self._batch = batch
        self._ids: dict[str, int | None] = {}

    @property
    def name(self) -> str:
        """What a verdict calls the store."""
        return store_name(self._api.base, self._repositories)

    def resolve(
        self,
        digests: Sequence[Digest],
        *,
        fresh: bool = False,  # noqa: ARG002 - nothing is remembered here
    ) -> Mapping[Digest, Answer]:
        """Return what the store answers for each of `digests`.

        What could not be found out is a finding of its own: of the answer, where nothing was found, else
        among its candidates, where a good one outweighs it.
        """
        found = {digest: _Found() for digest in digests}
        expected = Counter(digests)
        for repository in self._repositories:
            missing = [digest for digest, known in found.items() if not known.rows and not known.faults]
            if missing:
                self._look_up(repository, {digest: expected[digest] for digest in missing}, found)
        bundles = _Bundles(self._transport, self._api, self._predicate_type)
        bundles.fetch((digest, *item) for digest, known in found.items() for item in known.rows)
        return {digest: self._answer(digest, known, bundles) for digest, known in found.items()}

    def _look_up(
        self, repository: str, digests: Mapping[Digest, int], found: Mapping[Digest, _Found]
    ) -> None:
        """Look up digests, each with the number of its attestations that is expected."""
        enough = BULK_FROM if self._api.has_token else BULK_FROM_WITHOUT_TOKEN
        left = list(digests)
        if len(digests) >= enough:
            try:
                number = self._id(repository)
            except TransportError as error:
                _fail(digests, error, found)
                return
            if number is None:
                _fail(digests, _not_visible(repository), found)
                return
            left = self._look_up_in_bulk(repository, number, digests, found)
        self._look_up_singly(repository, left, found)

    def _look_up_in_bulk(
        self, repository: str, number: int, digests: Mapping[Digest, int], found: Mapping[Digest, _Found]
    ) -> list[Digest]:
        """Look up all of `digests`, and return those that have to be asked for by themselves."""
        owner = repository.partition("/")[0]

        def list_batch(batch: Sequence[Digest]) -> Mapping[Digest, Listing] | None:
            try:
                return self._list_batch(owner, batch)
            except BulkRefusedError:
                return None

        batches = _batches(digests, self._batch)
        left: list[Digest] = []
        # The first one shows whether the others are worth sending.
        for some in (batches[:1], batches[1:]):
            if left:
                left += (digest for batch in some for digest in batch)
                continue
            for batch, listings in self._transport.spread(list_batch, some):
                if isinstance(listings, TransportError):
                    _fail(batch, listings, found)
                elif listings is None:
                    left += batch
                else:
                    for digest, listing in listings.items():
                        # An owner's attestations are those of all its repositories.
                        listing.rows = [row for row in listing.rows if row.repository_id == number]
                        found[digest].add(repository, listing)
        return left

    def _list_batch(self, owner: str, batch: Sequence[Digest]) -> Mapping[Digest, Listing]:
        try:
            return self._api.bulk_list(owner, batch, self._predicate_type)
        except TooManyDigestsError:
            if len(batch) == 1:
                raise
        half = (len(batch) + 1) // 2
        self._batch = min(self._batch, half)
        return {**self._list_batch(owner, batch[:half]), **self._list_batch(owner, batch[half:])}

    def _look_up_singly(
        self, repository: str, digests: Sequence[Digest], found: Mapping[Digest, _Found]
    ) -> None:
        def list_one(digest: Digest) -> Listing:
            return self._api.list_attestations(repository, digest, self._predicate_type)

        missing = []
        for digest, listing in self._transport.spread(list_one, digests):
            if isinstance(listing, TransportError):
                _fail([digest], listing, found)
                continue
            found[digest].add(repository, listing)
            if listing.missing:
                missing.append(digest)
        if missing:
            # 404 is said of a repository that cannot be seen as well as of a digest without attestation.
            try:
                visible = self._id(repository) is not None
            except TransportError as error:
                _fail(missing, error, found)
            else:
                if not visible:
                    _fail(missing, _not_visible(repository), found)

    def _id(self, repository: str) -> int | None:
        if repository not in self._ids:
            self._ids[repository] = self._api.repository_id(repository)
        return self._ids[repository]

    def _answer(self, digest: Digest, known: _Found, bundles: _Bundles) -> Answer:
        candidates = [
            Candidate(_label(self._api.host, repository, number, row), bundles.of(digest, row))
            for number, (repository, row) in enumerate(known.rows, 1)
        ]
        faults = [Finding(error.code, error.detail) for error in known.faults]
        notes = tuple(self._api.notes)
        if not candidates:
            return Answer(findings=(*faults, *notes))
        candidates += (Candidate(f"{self._api.host}, more of the list", fault) for fault in faults)
        return Answer(tuple(candidates), notes)


def _batches(digests: Mapping[Digest, int], size: int) -> list[list[Digest]]:
    """Part digests, each with the number of attestations that is expected, into batches of `size` of those.

    The largest come first, each to where it leaves the least room, so that few batches are not full.
    """
    batches: list[list[Digest]] = []
    by_room: list[list[list[Digest]]] = [[] for _ in range(size + 1)]
    for digest in sorted(digests, key=lambda digest: -digests[digest]):
        needed = min(digests[digest], size)
        room = next((room for room in range(needed, size + 1) if by_room[room]), None)
        if room is None:
            room = size
            batch: list[Digest] = []
            batches.append(batch)
        else:
            batch = by_room[room].pop()
        batch.append(digest)
        by_room[room - needed].append(batch)
    return batches


def store_name(base: str, repositories: Sequence[str]) -> str:
    """Return what to call the store of some repositories behind an API."""
    return f"{urlsplit(base).netloc}, {' and '.join(repositories)}"


class _Bundles:
    """The bundles of rows: each distinct one fetched once, and read once."""

    def __init__(self, transport: Transport, api: GitHubAPI, predicate_type: str | None) -> None:
        self._transport = transport
        self._api = api
        self._predicate_type = predicate_type
        self._fetched: dict[str, bytes | TransportError] = {}
        self._read: dict[bytes, Bundle | Finding] = {}

    def fetch(self, rows: Iterable[tuple[Digest, str, Row]]) -> None:
        """Fetch the bundles that the list does not hold."""
        linked = {row.key: (digest, repository, row) for digest, repository, row in rows if _is_linked(row)}
        for (_, _, row), result in self._transport.spread(self._fetch_one, linked.values()):
            self._fetched[row.key] = result

    def of(self, digest: Digest, row: Row) -> Bundle | Finding:
        """Return the bundle of a row that was listed for `digest`."""
        raw = row.bundle if row.bundle is not None else self._fetched.get(row.key)
        if raw is None:
            return Finding("store-row-empty", "neither a bundle nor a link to one")
        if isinstance(raw, TransportError):
            return Finding(raw.code, raw.detail)
        if raw not in self._read:
            self._read[raw] = read_bundle(raw)
        bundle = self._read[raw]
        # Subjects' digests are plain hexadecimal; the subject itself is compared after cryptography.
        if isinstance(bundle, Bundle) and bundle.payload and digest.value.encode() not in bundle.payload:
            return Finding("store-row-other-digest", f"its statement does not name {digest}")
        return bundle

    def _fetch_one(self, wanted: tuple[Digest, str, Row]) -> bytes:
        digest, repository, row = wanted
        try:
            return self._api.fetch_bundle(row.url or "")
        except LinkExpiredError:
            listing = self._api.list_attestations(repository, digest, self._predicate_type)
            url = next((other.url for other in listing.rows if other.key == row.key), None)
            if url is None:
                raise
            return self._api.fetch_bundle(url)


def _is_linked(row: Row) -> bool:
    return row.bundle is None and row.url is not None


def _fail(digests: Iterable[Digest], error: TransportError, found: Mapping[Digest, _Found]) -> None:
    for digest in digests:
        found[digest].faults.append(error)


def _not_visible(repository: str) -> TransportError:
    return TransportError("repository-not-visible", f"github.com/{repository}")


def _label(host: str, repository: str, number: int, row: Row) -> str:
    which = f"attestation {row.attestation_id}" if row.attestation_id else f"row {number}"
    return f"{host} {repository} {which}"
