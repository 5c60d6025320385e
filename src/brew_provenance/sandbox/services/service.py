"""One server: its routes, how it words an error, what goes wrong with it, and what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from starlette.routing import Route, Router
from starlette.types import ASGIApp

from brew_provenance import strictjson
from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply, Side, reply_json
from brew_provenance.sandbox.github.faults import Faults
from brew_provenance.sandbox.github.handler import Handler
from brew_provenance.sandbox.github.log import RequestLog
from brew_provenance.sandbox.wire import JsonObject
from brew_provenance.strictjson import MalformedJSONError

Endpoint: TypeAlias = Callable[[Call], Reply]
"""Answers a request, or raises RefusedError."""

Form: TypeAlias = Callable[[int, str], Reply]
"""Words an error, of which it is given the status and the message."""

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""A request's body: a log takes whole envelopes, in base64 within JSON."""

# The codes of google.rpc.Code that go with a status.
_RPC_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 413: 3, 422: 3, 429: 8, 503: 14, 504: 4}
_RPC_UNKNOWN = 2


def rpc_error(status: int, message: str) -> Reply:
    """Return an error as servers behind a gRPC gateway word it: Fulcio, and Rekor v2."""
    code = _RPC_CODES.get(status, _RPC_UNKNOWN)
    return reply_json(status, {"code": code, "message": message, "details": []})


def plain_error(status: int, message: str) -> Reply:
    """Return an error as Rekor v1 and Sigstore's timestamp authority word it."""
    return reply_json(status, {"code": status, "message": message})


class Service:
    """A server of the sandbox, as an ASGI application."""

    def __init__(
        self,
        side: Side,
        routes: Sequence[tuple[str, str, Endpoint]],
        form: Form = plain_error,
        *,
        max_body: int = MAX_BODY_BYTES,
    ) -> None:
        """Serve routes, of which each is a method, a path as Starlette writes it, and an endpoint."""
        self.form = form
        """How it words an error."""
        self.faults = Faults()
        """What goes wrong next."""
        self.log = RequestLog()
        """What was asked."""
        self.latency = 0.0
        """Seconds by which every answer is late."""
        made = [
            Route(path, self._handler(side, endpoint, max_body), methods=[method])
            for method, path, endpoint in routes
        ]
        nothing = Route("/{rest:path}", self._handler(side, _answer_nothing, max_body))
        self.app: ASGIApp = Router([*made, nothing])
        """The application."""

    def _handler(self, side: Side, endpoint: Endpoint, max_body: int) -> Handler:
        return Handler(
            side,
            partial(self._answer, endpoint),
            self.faults,
            self.log,
            max_body,
            latency=lambda: self.latency,
            form=self.form,
        )

    def _answer(self, endpoint: Endpoint, call: Call) -> Reply:
        try:
            return endpoint(call)
        except RefusedError as error:
            reply = self.form(error.status, error.message)
            return replace(reply, headers={**reply.headers, **error.headers})


def read_object(call: Call, max_bytes: int = MAX_BODY_BYTES) -> JsonObject:
    """Return the JSON object in a request's body. Raises RefusedError when there is none."""
    try:
        document = strictjson.loads(call.body, max_bytes)
    except MalformedJSONError as error:
        raise RefusedError(400, f"the body is not JSON: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise RefusedError(400, "the body is not a JSON object")
    return document


def read_member(holder: object, *names: str) -> object:
    """Return what is at the end of a path of names in objects. Raises RefusedError when nothing is."""
    for name in names:
        holder = holder.get(name) if isinstance(holder, Mapping) else None
    if holder is None:
        raise RefusedError(400, f"{'.'.join(names)} is missing")
    return holder


def read_text(holder: object, *names: str) -> str:
    """Return the string at the end of a path of names in objects. Raises RefusedError."""
    found = read_member(holder, *names)
    if not isinstance(found, str):
        raise RefusedError(400, f"{'.'.join(names)} is not a string")
    return found


def _answer_nothing(_: Call) -> Reply:
    raise RefusedError(404, "Not Found")
