"""From a connection to an answer: what every server of the sandbox does with a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from brew_provenance.sandbox.github.exchange import (
    BodyTooLongError,
    Call,
    DisconnectedError,
    Reply,
    Side,
    receive_body,
    reply_error,
    send_reply,
)
from brew_provenance.sandbox.github.faults import Faults
from brew_provenance.sandbox.github.log import RequestLog
from brew_provenance.sandbox.serving import HANG_UP


@dataclass(frozen=True)
class Handler:
    """Answers the requests of a route: takes them in, lets go wrong what has to, records and replies."""

    side: Side
    answer: Callable[[Call], Reply]
    faults: Faults
    log: RequestLog
    max_body: int
    """Longer bodies, in bytes, are refused."""

    latency: Callable[[], float] = field(default=lambda: 0.0)
    """Seconds by which the next answer is late."""

    form: Callable[[int, str], Reply] = reply_error
    """How the server words an error."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            call = _read_call(scope, self.side, await receive_body(receive, self.max_body))
        except DisconnectedError:
            return
        except BodyTooLongError as error:
            call, reply = _read_call(scope, self.side, b""), self.form(413, str(error))
        else:
            fault = self.faults.take(call)
            reply = self.answer(call) if fault is None else fault.answer(call, self.answer)
        self.log.add(call, reply)
        if latency := self.latency():
            reply = replace(reply, wait=reply.wait + latency)
        await send_reply(reply, receive, send, scope.get("state", {}).get(HANG_UP))


def _read_call(scope: Scope, side: Side, body: bytes) -> Call:
    host, port = scope["server"]
    query = scope["query_string"]
    return Call(
        side=side,
        method=scope["method"],
        path=scope["path"],
        parameters={name: str(value) for name, value in scope["path_params"].items()},
        query_string=query.decode("latin-1"),
        query=dict(QueryParams(query)) if query else {},
        headers=dict(Headers(scope=scope)),
        body=body,
        origin=f"http://{host}:{port}",
    )
