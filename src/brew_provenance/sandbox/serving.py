"""Any ASGI application on a loopback port, in a thread, for as long as a `with` block lasts."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from brew_provenance.errors import ProvenanceError, UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HANG_UP: Final = "hang_up"
"""What a request's `state` has, beside its own: resets the connection that the request came over."""

_HOST: Final = "127.0.0.1"
_EXTRA: Final = ("starlette", "uvicorn")
_KEEP_ALIVE_SECONDS: Final = 60
_GRACE_SECONDS: Final = 1
_STOP_SECONDS: Final = 30


def require_extra() -> None:
    """Raise UsageError when the libraries are missing that only the sandbox's servers need."""
    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        raise UsageError(
            "the sandbox's servers",
            f"not installed: {', '.join(missing)}",
            "run pip install 'brew-provenance[sandbox]'",
        )


class LoopbackServer:
    """An application that is being served on 127.0.0.1. Started once and stopped once."""

    def __init__(self, app: ASGIApp, *, port: int = 0) -> None:
        """Take a port, a free one with 0; nothing is answered before `start`.

        Raises UsageError when the port cannot be had, or the extra `sandbox` is missing.
        """
        require_extra()
        import uvicorn  # noqa: PLC0415 - only here, so that its absence can be explained

        self._app = app
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._socket = _listen(port)
        self.url = f"http://{_HOST}:{self._socket.getsockname()[1]}"
        """Where it is reached, without a slash at the end."""
        self._ready = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"serving {self.url}", daemon=True)

    def start(self) -> None:
        """Begin to answer. Raises ProvenanceError when the application refuses to start."""
        self._thread.start()
        self._ready.wait()
        if not self._server.started:
            self._thread.join()
            raise ProvenanceError(self.url, "the application did not start", "see the log of uvicorn")

    def wait(self) -> None:
        """Wait until it stops, which may be for ever; an interrupt of the main thread gets through."""
        self._stopped.wait()

    def begin_to_stop(self) -> None:
        """Take no more connections soon, and return at once; `stop` is still to come."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Stop, and let go of every connection; answers that take another second are cut off.

        Raises ProvenanceError when the application keeps the server from stopping.
        """
        self.begin_to_stop()
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            raise ProvenanceError(
                self.url, "the application does not let its server stop", "look for what blocks it"
            )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"][HANG_UP] = partial(self._hang_up, scope["client"])
        await self._app(scope, receive, send)

    def _hang_up(self, client: tuple[str, int]) -> None:
        for connection in list(self._server.server_state.connections):
            if getattr(connection, "client", None) == client:
                connection.transport.abort()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except SystemExit:
            pass  # uvicorn's way to say that the application did not start
        finally:
            self._socket.close()
            self._ready.set()
            self._stopped.set()

    async def _serve(self) -> None:
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        while not (self._server.started or serving.done()):
            await asyncio.sleep(0.001)
        self._ready.set()
        await serving
        # Whoever still has not read its answer is not waited for.
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


@contextmanager
def serve(app: ASGIApp, *, port: int = 0) -> Iterator[LoopbackServer]:
    """Serve an application on loopback until the context ends.

    Raises what `LoopbackServer` raises.
    """
    server = LoopbackServer(app, port=port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _listen(port: int) -> socket.socket:
    # With the protocol by its number: only then asyncio sends the parts of an answer without delay.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"port {port}", error.strerror or str(error), "choose another one, or 0 for one that is free"
        ) from error
    return listener
