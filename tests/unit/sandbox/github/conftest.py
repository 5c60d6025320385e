"""One server for all tests of the store; each test puts a store of its own behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.unit.builders import SHA256, make_raw_bundle, make_statement_document, make_subject

from brew_provenance.bottle import Digest
from brew_provenance.sandbox.github.attestations import AttestationStore, Visibility
from brew_provenance.sandbox.github.faults import Faults
from brew_provenance.sandbox.github.log import RequestLog
from brew_provenance.sandbox.github.options import Grant, Options
from brew_provenance.sandbox.github.service import AttestationService
from brew_provenance.sandbox.serving import serve

REPOSITORY = "octo/homebrew-tap"
PRIVATE = "octo/secret"
LISTING = f"/repos/{REPOSITORY}/attestations"
BULK = "/orgs/octo/attestations/bulk-list"
NOW = 1_900_000_000.5

OLD, NEW = "2022-11-28", "2026-03-10"

TOKENS = {
    "reader": Grant(reads=frozenset({PRIVATE})),
    "writer": Grant(writes=frozenset({REPOSITORY, PRIVATE})),
    "stranger": Grant(),
}


@dataclass
class Clock:
    """Stands still until it is set."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    """An application that another one can be put into the place of."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@dataclass
class Lab:
    """A store with a public and a private repository, and a client of it."""

    service: AttestationService
    clock: Clock
    url: str
    blob_url: str
    session: requests.Session

    @property
    def store(self) -> AttestationStore:
        return self.service.store

    @property
    def faults(self) -> Faults:
        return self.service.faults

    @property
    def log(self) -> RequestLog:
        return self.service.log

    def set(self, **changes: Any) -> None:
        self.service.backend.options = replace(self.service.backend.options, **changes)

    def add(self, *digests: Digest, repository: str = REPOSITORY, **statement: Any) -> int:
        return self.store.add(repository, bundle_for(*digests, **statement))

    def ask(
        self,
        method: str,
        path: str,
        *,
        version: str | None = OLD,
        token: str | None = None,
        **options: Any,
    ) -> requests.Response:
        headers = dict(options.pop("headers", {}))
        if version is not None:
            headers["X-GitHub-Api-Version"] = version
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = path if path.startswith("http") else self.url + path
        return self.session.request(
            method, url, headers=headers, timeout=30, allow_redirects=False, **options
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", path, **options)

    def look_up(self, digest: Digest = SHA256, **options: Any) -> requests.Response:
        return self.get(f"{LISTING}/{digest}", **options)

    def bulk(self, digests: Sequence[Digest | str], **options: Any) -> requests.Response:
        body = {"subject_digests": [str(digest) for digest in digests], **options.pop("more", {})}
        return self.ask("POST", options.pop("path", BULK), json=body, **{"token": "reader", **options})


def bundle_for(*digests: Digest, **statement: Any) -> bytes:
    subjects = [make_subject(f"file-{number}", digest) for number, digest in enumerate(digests or (SHA256,))]
    return make_raw_bundle(make_statement_document(*subjects, **statement))


def digest_of(number: int) -> Digest:
    return Digest("sha256", f"{number:064x}")


@pytest.fixture(scope="session")
def stages() -> Iterator[tuple[Stage, str, Stage, str]]:
    api, blobs = Stage(), Stage()
    with serve(api) as server, serve(blobs) as blob_server:
        yield api, server.url, blobs, blob_server.url


@pytest.fixture
def lab(stages: tuple[Stage, str, Stage, str]) -> Iterator[Lab]:
    api, url, blobs, blob_url = stages
    clock = Clock()
    store = AttestationStore(clock)
    store.add_repository(REPOSITORY, repository_id=111, owner_id=222)
    store.add_repository(PRIVATE, Visibility.PRIVATE)
    service = AttestationService(store, Options(tokens=TOKENS), clock=clock)
    service.backend.blob_origin = blob_url
    api.app, blobs.app = service.app, service.blob_app
    with requests.Session() as session:
        session.trust_env = False
        yield Lab(service, clock, url, blob_url, session)
