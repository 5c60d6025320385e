"""What the endpoints work on, and what they all need: who asks, and what for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from brew_provenance import strictjson
from brew_provenance.bottle import Digest
from brew_provenance.bundle import MAX_BUNDLE_BYTES
from brew_provenance.sandbox.github.attestations import (
    Attestation,
    AttestationStore,
    Clock,
    Repository,
    Visibility,
)
from brew_provenance.sandbox.github.blobs import BlobURLs
from brew_provenance.sandbox.github.budget import RateLimiter
from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply
from brew_provenance.sandbox.github.options import Grant, Options
from brew_provenance.sandbox.github.runs import WorkflowRuns
from brew_provenance.sandbox.wire import JsonObject
from brew_provenance.strictjson import MalformedJSONError

MAX_BODY_BYTES: Final = MAX_BUNDLE_BYTES + 1024
"""A request's body: a bundle, and the object around it."""


@dataclass
class Backend:
    """What all endpoints work on; `options` and `blob_origin` can be set at any time."""

    store: AttestationStore
    options: Options
    clock: Clock
    blob_origin: str | None = None
    """Where bundle URLs lead, `http://HOST:PORT`; None for the server that was asked."""

    runs: WorkflowRuns = field(default_factory=WorkflowRuns)
    """What the Actions API tells of."""

    urls: BlobURLs = field(init=False)
    limiter: RateLimiter = field(init=False)

    def __post_init__(self) -> None:
        self.urls = BlobURLs(self.clock)
        self.limiter = RateLimiter(self.clock)


class Caller(NamedTuple):
    """Who asks."""

    token: str | None
    """The token, when it is one that is accepted."""

    grant: Grant
    """What the token may do."""

    version: str
    """The API version that is asked for."""

    def require_token(self) -> None:
        """Raise RefusedError when there is no token."""
        if self.token is None:
            raise RefusedError(401, "Requires authentication")

    def require_write(self, full_name: str) -> None:
        """Raise RefusedError when the token may not change a repository's attestations."""
        if not self.grant.may_write(full_name):
            raise RefusedError(403, "Resource not accessible by integration")

    def can_see(self, repository: Repository) -> bool:
        """Whether the repository exists as far as the caller can tell."""
        match repository.visibility:
            case Visibility.PUBLIC:
                return True
            case Visibility.PRIVATE:
                return self.grant.may_read(repository.full_name)
            case Visibility.MISSING:
                return False


Endpoint: TypeAlias = Callable[[Backend, Call, Caller], Reply]


def find_repository(backend: Backend, call: Call, caller: Caller) -> Repository:
    """Return the repository that the path names. Raises RefusedError when the caller cannot see it."""
    found = backend.store.repository(f"{call.parameters['owner']}/{call.parameters['repository']}")
    if found is None or not caller.can_see(found):
        raise RefusedError(404, "Not Found")
    return found


def find_of_owner(backend: Backend, call: Call, caller: Caller, digest: Digest) -> list[Attestation]:
    """Return those attestations for a digest that the caller can see, of the account in the path."""
    return [
        attestation
        for attestation in backend.store.find(call.parameters["owner"], digest)
        if (repository := backend.store.repository(attestation.repository)) and caller.can_see(repository)
    ]


def read_request(call: Call) -> JsonObject:
    """Return the object in a request's body. Raises RefusedError when there is none."""
    try:
        document = strictjson.loads(call.body, MAX_BODY_BYTES)
    except MalformedJSONError as error:
        raise RefusedError(400, "Problems parsing JSON") from error
    if not isinstance(document, dict):
        raise RefusedError(400, "Body should be a JSON object")
    return document


def read_digest(value: object) -> Digest:
    """Return a subject digest. Raises RefusedError."""
    try:
        return Digest.parse(value if isinstance(value, str) else "")
    except ValueError as error:
        raise RefusedError(422, f"Invalid request.\n\n{value!r:.80} is no digest: {error}") from error


def read_digests(value: object) -> list[Digest]:
    """Return a request's `subject_digests`, each once. Raises RefusedError."""
    if not isinstance(value, list) or not value:
        raise RefusedError(422, 'Invalid request.\n\n"subject_digests" wasn\'t supplied.')
    return list(dict.fromkeys(read_digest(text) for text in value))
