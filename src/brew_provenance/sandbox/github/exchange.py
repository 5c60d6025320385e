"""One request and one answer, as values: what the endpoints take and give, and what faults change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from starlette.types import Receive, Send

from brew_provenance.sandbox.wire import encode_json

Side: TypeAlias = Literal["api", "blobs", "oidc", "ca", "log", "timestamping", "formulae", "registry"]
"""Which of the sandbox's hosts a request belongs to."""

JSON_TYPE = "application/json; charset=utf-8"

_NO_CONTENT = 204


class BodyTooLongError(ValueError):
    """A request's body is longer than the limit."""


class DisconnectedError(Exception):
    """The client went away before its request was complete."""


@dataclass(frozen=True)
class Call:
    """A request."""

    side: Side
    method: str
    path: str
    """The path, with its escapes resolved."""

    parameters: Mapping[str, str]
    """What the route found in the path."""

    query_string: str
    """The query as it came."""

    query: Mapping[str, str]
    """The query's values; of equal names the last."""

    headers: Mapping[str, str]
    """Headers by their names in lower case."""

    body: bytes
    origin: str
    """Where the server listens: `http://127.0.0.1:PORT`."""

    @property
    def is_later_page(self) -> bool:
        """Whether the request asks for a page by a cursor."""
        return "after" in self.query or "before" in self.query


@dataclass(frozen=True)
class Drip:
    """A body that is sent in small pieces."""

    size: int
    """Bytes in a piece."""

    pause: float
    """Seconds between two pieces."""


@dataclass(frozen=True)
class Reply:
    """An answer, and how it is sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers by their names in lower case; the length of the body is added."""

    wait: float = 0.0
    """Seconds before the status is sent."""

    drip: Drip | None = None
    """How slowly the body is sent; None for at once."""

    keep: int | None = None
    """How many bytes of the body are sent before the connection is closed; None for all, and no closing."""

    hangs_up: bool = False
    """Whether the connection is reset in place of an answer, which only a `LoopbackServer` can."""

    @property
    def sent(self) -> bytes:
        """The part of the body that is sent."""
        if self.hangs_up:
            return b""
        return self.body if self.keep is None else self.body[: self.keep]


class RefusedError(Exception):
    """The API answers with an error, which it carries."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        reply = reply_error(status, message)
        self.reply = replace(reply, headers={**reply.headers, **(headers or {})})


def reply_json(status: int, document: object) -> Reply:
    """Return an answer that is a JSON document."""
    return Reply(status, encode_json(document), {"content-type": JSON_TYPE})


def reply_error(status: int, message: str) -> Reply:
    """Return an error as the API words it."""
    return reply_json(
        status,
        {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)},
    )


async def receive_body(receive: Receive, limit: int) -> bytes:
    """Return a request's body.

    Raises BodyTooLongError when it has more than `limit` bytes, and DisconnectedError.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        body += message.get("body", b"")
        if len(body) > limit:
            raise BodyTooLongError(f"longer than the limit of {limit:,} bytes")
        if not message.get("more_body", False):
            return bytes(body)


async def send_reply(
    reply: Reply, receive: Receive, send: Send, hang_up: Callable[[], None] | None = None
) -> None:
    """Send an answer the way it says; nothing more once the client has gone.

    `hang_up` resets the connection, for a reply that wants it.
    """
    if reply.wait and await _client_leaves(receive, reply.wait):
        return
    if reply.hangs_up and hang_up is not None:
        hang_up()
        # Whoever leaves before the end of the connection is known is said to have forgotten to answer.
        await receive()
        return
    headers = dict(reply.headers)
    if reply.status != _NO_CONTENT:
        headers.setdefault("content-length", str(len(reply.body)))
    raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw_headers})
    body, start = reply.sent, 0
    while reply.drip and len(body) - start > reply.drip.size:
        piece = body[start : start + reply.drip.size]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        start += len(piece)
        if await _client_leaves(receive, reply.drip.pause):
            return
    # A server closes the connection when more was promised and no more comes.
    await send({"type": "http.response.body", "body": body[start:], "more_body": reply.keep is not None})


async def _client_leaves(receive: Receive, seconds: float) -> bool:
    """Wait, and say whether the client went away meanwhile, which is all that is left to receive."""
    try:
        async with asyncio.timeout(seconds):
            await receive()
    except TimeoutError:
        return False
    return True
