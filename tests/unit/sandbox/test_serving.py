"""Serving on loopback: started, stopped, and nothing left behind."""

from __future__ import annotations

import gc
import logging
import socket
import sys
import threading
from contextlib import closing

import pytest
import requests
from starlette.types import Receive, Scope, Send

from brew_provenance.errors import ProvenanceError, UsageError
from brew_provenance.sandbox import serving
from brew_provenance.sandbox.serving import LoopbackServer, require_extra, serve


class App:
    """Answers what its path says, and notes when it is started, stopped, and interrupted."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.entered = threading.Event()
        self.block = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                self.events.append(event)
                await send({"type": f"lifespan.{event}.complete"})
            return
        self.entered.set()
        if scope["path"] == "/raise":
            raise ValueError("a bug of the application")
        if scope["path"] == "/wait":
            try:
                await receive()
                await receive()
            finally:
                self.events.append("interrupted")
        if scope["path"] == "/block":
            self.block.wait()
        body = b"x" * (64 * 1024 * 1024 if scope["path"] == "/long" else 5)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        if scope["path"] == "/raise-late":
            raise ValueError("a bug after the answer")


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "not today"})


@pytest.fixture
def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    return made


def get(url: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=30)


def serving_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("serving ")]


def is_open(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port))).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def before() -> list[str]:
    """The servers of other tests that run in this process."""
    return serving_threads()


def test_an_application_is_served_for_the_length_of_a_block(before: list[str]) -> None:
    app = App()
    with serve(app) as server:
        assert server.url.startswith("http://127.0.0.1:")
        response = get(server.url + "/")
        assert (response.status_code, response.text) == (200, "xxxxx")
        assert "server" not in response.headers
        assert response.headers["date"]
        assert len(serving_threads()) == len(before) + 1
    assert app.events == ["startup", "shutdown"]
    assert serving_threads() == before
    assert not is_open(server.url)
    # A socket or a loop that was left open warns when it is collected, and a warning is an error.
    gc.collect()


def test_servers_run_beside_each_other_and_again_and_again(before: list[str]) -> None:
    with serve(App()) as one, serve(App()) as other:
        assert one.url != other.url
        assert get(one.url).text == get(other.url).text == "xxxxx"
    with serve(App(), port=int(one.url.rpartition(":")[2])) as again:
        assert again.url == one.url
        assert get(again.url).text == "xxxxx"
    assert serving_threads() == before


def test_an_exception_in_the_block_stops_the_server_too(before: list[str]) -> None:
    with pytest.raises(KeyError), serve(App()) as server:
        raise KeyError("x")
    assert not is_open(server.url)
    assert serving_threads() == before


def test_an_exception_in_a_handler_is_answered_logged_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    with serve(App()) as server, caplog.at_level(logging.ERROR):
        assert get(f"{server.url}/raise").status_code == 500
        assert "a bug of the application" in caplog.text
        assert get(f"{server.url}/raise-late").text == "xxxxx"
        assert get(server.url).text == "xxxxx"


def test_idle_connections_do_not_hold_a_server_up(session: requests.Session) -> None:
    with closing(session), serve(App()) as server:
        for _ in range(3):
            assert session.get(server.url, timeout=30).status_code == 200
    assert not is_open(server.url)


def test_a_client_that_waits_is_let_go(before: list[str]) -> None:
    app = App()
    with serve(app) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        client = socket.create_connection((host, int(port)))
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.entered.wait(30)
    with closing(client):
        client.settimeout(30)
        while client.recv(1000):
            pass
    assert sorted(app.events) == ["interrupted", "shutdown", "startup"]
    assert serving_threads() == before
    gc.collect()


def test_a_client_that_does_not_read_is_let_go(before: list[str]) -> None:
    app = App()
    with serve(app) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        client = socket.create_connection((host, int(port)))
        client.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.entered.wait(30)
        assert get(server.url).text == "xxxxx"
    client.close()
    assert serving_threads() == before
    gc.collect()


def test_waiting_ends_when_the_server_does() -> None:
    server = LoopbackServer(App())
    server.start()
    waiter = threading.Thread(target=server.wait)
    waiter.start()
    server.stop()
    waiter.join(30)
    assert not waiter.is_alive()
    server.stop()


def test_a_port_that_is_taken_is_a_usage_error() -> None:
    with serve(App()) as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises(UsageError, match="in use") as caught, serve(App(), port=int(port)):
            pass
        assert caught.value.thing == f"port {port}"
        assert get(server.url).text == "xxxxx"
    gc.collect()


def test_an_application_that_does_not_start_is_an_error(before: list[str]) -> None:
    with pytest.raises(ProvenanceError, match="the application did not start"), serve(refuse):
        pass
    assert serving_threads() == before
    gc.collect()


def test_an_application_that_blocks_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_STOP_SECONDS", 0.05)
    app = App()
    server = LoopbackServer(app)
    server.start()
    host, _, port = server.url.removeprefix("http://").partition(":")
    with closing(socket.create_connection((host, int(port)))) as client:
        client.sendall(b"GET /block HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.entered.wait(30)
        with pytest.raises(ProvenanceError, match="does not let its server stop"):
            server.stop()
        app.block.set()
        server.wait()
        monkeypatch.setattr(serving, "_STOP_SECONDS", 30)
        server.stop()


def test_answers_are_sent_without_delay() -> None:
    """An answer has two parts, and the second must not wait until the client confirms the first."""
    delays = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        connection = getattr(send, "__self__", None)
        assert connection is not None
        stream = connection.transport.get_extra_info("socket")
        delays.append(stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    with serve(app) as server:
        assert get(server.url).status_code == 200
    assert delays == [False]


@pytest.mark.parametrize("missing", [["starlette"], ["uvicorn"], ["starlette", "uvicorn"]])
def test_a_missing_extra_is_a_usage_error_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, missing: list[str]
) -> None:
    require_extra()
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    for call in (require_extra, lambda: LoopbackServer(App())):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.exit_code == 2
        assert caught.value.cause == f"not installed: {', '.join(missing)}"
        assert "pip install 'brew-provenance[sandbox]'" in caught.value.next_step
