"""The store as ASGI applications, of which any server can run one, or the blobs on a host of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from starlette.routing import Route, Router
from starlette.types import ASGIApp

from brew_provenance.sandbox.github.attestations import AttestationStore, Clock
from brew_provenance.sandbox.github.backend import MAX_BODY_BYTES, Backend, Caller, Endpoint
from brew_provenance.sandbox.github.blobs import answer_blob
from brew_provenance.sandbox.github.budget import Allowance
from brew_provenance.sandbox.github.endpoints import ROUTES, answer_nothing, show_rate_limit
from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply, Side
from brew_provenance.sandbox.github.faults import Faults
from brew_provenance.sandbox.github.handler import Handler
from brew_provenance.sandbox.github.log import RequestLog
from brew_provenance.sandbox.github.options import VERSIONS, Grant, Options
from brew_provenance.sandbox.github.runs import WorkflowRuns
from brew_provenance.sandbox.serving import serve

_BLOB_PATH = "/attestations/{rest:path}"
_ALL = "/{rest:path}"
_SCHEMES = ("bearer", "token")


class AttestationService:
    """GitHub's attestation store, as far as a client can tell."""

    def __init__(
        self,
        store: AttestationStore,
        options: Options | None = None,
        *,
        clock: Clock = time.time,
        keep_log: int | None = None,
    ) -> None:
        """Serve what is in `store`.

        `clock` counts for rate limits and for the expiry of blob URLs; `keep_log` is how many requests
        are kept in `log`, None for all.
        """
        self.backend = Backend(store, options or Options(), clock)
        """What can be set while it runs: `options`, and `blob_origin`."""
        self.faults = Faults()
        """What goes wrong next."""
        self.log = RequestLog(keep_log)
        """What was asked."""
        routes = [
            Route(path, self._handler("api", partial(self._answer_api, endpoint)), methods=[method])
            for method, path, endpoint in ROUTES
        ]
        blobs = self._handler("blobs", self._answer_blob)
        nothing = self._handler("api", partial(self._answer_api, answer_nothing))
        self.app: ASGIApp = Router([*routes, Route(_BLOB_PATH, blobs), Route(_ALL, nothing)])
        """The application for the API, and for blobs that have no host of their own."""
        self.blob_app: ASGIApp = Router([Route(_ALL, blobs)])
        """The application for blobs alone, on another host or port."""

    @property
    def store(self) -> AttestationStore:
        """What is served."""
        return self.backend.store

    @property
    def runs(self) -> WorkflowRuns:
        """The workflow runs that the Actions API tells of."""
        return self.backend.runs

    def _handler(self, side: Side, answer: Callable[[Call], Reply]) -> Handler:
        return Handler(
            side,
            answer,
            self.faults,
            self.log,
            MAX_BODY_BYTES,
            latency=lambda: self.backend.options.latency,
        )

    def _answer_blob(self, call: Call) -> Reply:
        return answer_blob(self.backend.store, self.backend.urls, call)

    def _answer_api(self, endpoint: Endpoint, call: Call) -> Reply:
        backend = self.backend
        token, grant = self._authenticate(call)
        if endpoint is show_rate_limit:
            allowance = backend.limiter.look(token, backend.options.budgets)
        else:
            allowance = backend.limiter.charge(token, call.method, backend.options.budgets)
        headers = allowance.headers()
        try:
            caller = self._admit(call, token, grant, allowance)
            headers["x-github-api-version-selected"] = caller.version
            reply = endpoint(backend, call, caller)
        except RefusedError as error:
            reply = error.reply
        return replace(reply, headers={**reply.headers, **headers})

    def _admit(self, call: Call, token: str | None, grant: Grant | None, allowance: Allowance) -> Caller:
        """Return who asks. Raises RefusedError for whoever is not even listened to."""
        options = self.backend.options
        if grant is None:
            raise RefusedError(401, "Bad credentials")
        budgets = options.budgets
        if allowance.exhausted:
            raise RefusedError(budgets.exhausted_status, "API rate limit exceeded")
        if allowance.over_points:
            raise RefusedError(
                budgets.secondary_status,
                "You have exceeded a secondary rate limit.",
                {} if budgets.retry_after is None else {"retry-after": str(budgets.retry_after)},
            )
        version = call.headers.get("x-github-api-version", options.default_version)
        if version not in VERSIONS:
            raise RefusedError(400, f"{version[:40]!r} is no version of this API.")
        return Caller(token, grant, version)

    def _authenticate(self, call: Call) -> tuple[str | None, Grant | None]:
        """Return the token that was accepted and what it may do; nothing of either for bad credentials."""
        credentials = call.headers.get("authorization")
        if credentials is None:
            return None, Grant()
        scheme, _, token = credentials.partition(" ")
        options = self.backend.options
        grant = options.tokens.get(token, options.other_tokens)
        if grant is None or not token or scheme.lower() not in _SCHEMES:
            return None, None
        return token, grant


class Served(NamedTuple):
    """A service that can be reached."""

    url: str
    """The API's, `http://127.0.0.1:PORT`, without a slash at the end."""

    blob_url: str
    """Where bundle URLs lead; the same, unless the blobs are served apart."""

    wait: Callable[[], None]
    """Waits until it can be reached no more, which may be for ever."""


@contextmanager
def serve_github(service: AttestationService, *, port: int = 0, blobs_apart: bool = True) -> Iterator[Served]:
    """Serve on loopback until the context ends, with the blobs on a port of their own or not.

    With port 0 a free one is taken. Raises UsageError when `port` cannot be had.
    """
    if not blobs_apart:
        with serve(service.app, port=port) as server:
            yield Served(server.url, server.url, server.wait)
        return
    with serve(service.blob_app) as blobs, serve(service.app, port=port) as server:
        service.backend.blob_origin = blobs.url
        try:
            yield Served(server.url, blobs.url, server.wait)
        finally:
            service.backend.blob_origin = None
