"""HTTP with manners, against servers without any."""

from __future__ import annotations

import gc
import gzip
import itertools
import os
import queue
import re
import socket
import ssl
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from tests.unit.clock import Clock
from urllib3 import exceptions as errors

from brew_provenance import transport as module
from brew_provenance.transport import (
    ATTEMPTS,
    MAX_REDIRECTS,
    Redirects,
    Reply,
    Transport,
    TransportError,
    is_loopback,
)

LIMIT: Final = 64 * 1024
SOON: Final = 0.3
"""A budget in seconds for what would otherwise take long."""

LONG: Final = 30.0
"""Seconds that a slow server is slow for; then it answers in full, and the test fails."""

PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def answer(
    body: bytes = b"", *headers: str, status: int = 200, length: int | None = None, keep: bool = False
) -> bytes:
    """Return an answer as it is sent."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {size}", *headers]
    if not keep:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return an answer in chunks."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


@dataclass
class Peer:
    """One connection, as the server sees it."""

    socket: socket.socket
    stopped: threading.Event
    buffer: bytes = b""

    def hear(self) -> bytes:
        """Return the next request whole; empty when there is none."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return b""
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        stated = re.search(rb"(?i)content-length: (\d+)", head)
        length = int(stated[1]) if stated else 0
        while len(rest) < length:
            if not self._more():
                return b""
            rest = self.buffer.partition(b"\r\n\r\n")[2]
        self.buffer = rest[length:]
        return head + b"\r\n\r\n" + rest[:length]

    def _more(self) -> bool:
        received = self.socket.recv(65536)
        self.buffer += received
        return bool(received)

    def say(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def drip(self, raw: bytes) -> None:
        """Say `raw` over a long time, byte by byte; ends early where the server stops."""
        pace = 0.05
        drops = int(LONG / pace)
        for index in range(drops):
            if self.stopped.wait(pace):
                return
            self.say(raw[index : index + 1] or b"x")


Manner = Callable[[Peer], None]


@dataclass
class Server:
    """Serves connections with one manner each, until it is closed."""

    manner: Manner
    context: ssl.SSLContext | None = None
    family: socket.AddressFamily = socket.AF_INET
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    _open: set[socket.socket] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(
            ("::1" if self.family is socket.AF_INET6 else "127.0.0.1", 0), family=self.family
        )
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, host: str) -> str:
        """Return the URL with a certificate's name."""
        return f"https://{host}:{self.port}"

    def close(self) -> None:
        self.stopped.set()
        # Not every system wakes who accepts when the listener is closed.
        socket.create_connection(self._listener.getsockname()[:2]).close()
        self._threads[0].join()
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.stopped.is_set():
                connection.close()
                return
            self.connections += 1
            self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        # A client that has had enough breaks the connection.
        with connection, suppress(OSError):
            if self.context is None:
                self.manner(Peer(connection, self.stopped))
                return
            with self.context.wrap_socket(connection, server_side=True) as secured:
                self._open.add(secured)
                self.manner(Peer(secured, self.stopped))


@dataclass
class Script:
    """Answers each request with the next of the raw answers, the last one for ever, and remembers them."""

    answers: tuple[bytes, ...]
    keep: bool = False
    """Whether the connection is kept for another request."""

    heard: list[bytes] = field(default_factory=list)

    def __call__(self, peer: Peer) -> None:
        while request := peer.hear():
            self.heard.append(request)
            peer.say(self.answers[min(len(self.heard), len(self.answers)) - 1])
            if not self.keep:
                return

    def heads(self) -> list[str]:
        return [request.partition(b"\r\n\r\n")[0].decode() for request in self.heard]

    def targets(self) -> list[str]:
        return [head.split()[1] for head in self.heads()]


Serve = Callable[..., Server]


def await_threads(before: set[threading.Thread]) -> None:
    for thread in set(threading.enumerate()) - before:
        thread.join(LONG)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    await_threads(before)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "requests_ca_bundle", "curl_ca_bundle", "netrc"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(manner: Manner, **options: Any) -> Server:
        servers.append(Server(manner, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def transport(slept: list[float]) -> Iterator[Transport]:
    """A transport that does not really wait."""
    with Transport(sleep=slept.append) as made:
        yield made


@pytest.fixture
def hurried() -> Iterator[Transport]:
    """A transport with little time."""
    with Transport(budget=SOON) as made:
        yield made


@dataclass
class Certified:
    """A TLS server's context, and the file that a client trusts it by."""

    context: ssl.SSLContext
    file: Path


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self-signed")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.DNSName("api.example"),
                    x509.DNSName("blobs.example"),
                    x509.IPAddress(IPv4Address("127.0.0.1")),
                ]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return Certified(context, file)


@pytest.fixture
def example_hosts(monkeypatch: pytest.MonkeyPatch, certified: Certified) -> None:
    """Lead names under .example to this machine, and trust the certificate for them."""
    resolve = socket.getaddrinfo

    def lead(host: str, *arguments: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host.endswith(".example") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lead)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certified.file))


def failure(transport: Transport, url: str, **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        transport.send(url, **{"limit": LIMIT, **options})
    assert caught.value.detail.isascii()
    assert caught.value.detail.isprintable()
    return caught.value


def retry_after(reply: Reply) -> float | None:
    stated = reply.headers.get("retry-after")
    return None if stated is None else float(stated)


# What is sent, and what comes back.


def test_a_get_returns_status_headers_and_body(serve: Serve, transport: Transport) -> None:
    script = Script((answer(b"hello", "X-Thing: yes", status=404),))
    url = serve(script).url + "/a%2Fb?c=d"
    reply = transport.send(url, limit=5, headers={"Accept": "text/plain"})
    assert (reply.status, reply.body, reply.headers["x-THING"], reply.url) == (404, b"hello", "yes", url)
    [head] = script.heads()
    assert head.startswith("GET /a%2Fb?c=d HTTP/1.1\r\n")
    assert re.search(r"(?m)^User-Agent: brew-provenance/\d", head)
    assert "Accept: text/plain\r\n" in head
    assert "Accept-Encoding: gzip\r\n" in head


@pytest.mark.parametrize("body", [b'{"a": 1}', b"", bytes(range(256))])
def test_a_body_is_posted(serve: Serve, transport: Transport, body: bytes) -> None:
    script = Script((answer(b"taken", status=201),))
    reply = transport.send(serve(script).url, limit=LIMIT, body=body)
    assert (reply.status, reply.body) == (201, b"taken")
    assert script.heard[0].startswith(b"POST / HTTP/1.1\r\n")
    assert script.heard[0].endswith(b"\r\n\r\n" + body)


def test_connections_are_used_again_also_by_other_threads(serve: Serve, transport: Transport) -> None:
    script = Script((answer(b"x", keep=True), chunked(b"x"), answer(keep=True)), keep=True)
    server = serve(script)
    for _ in range(4):
        transport.send(server.url, limit=LIMIT)
    assert (len(script.heard), server.connections) == (4, 1)


def test_every_thread_keeps_its_connection(serve: Serve, transport: Transport) -> None:
    together = threading.Barrier(16, timeout=LONG)

    def manner(peer: Peer) -> None:
        while peer.hear():
            together.wait()
            peer.say(answer(b"x", keep=True))

    server = serve(manner)
    for _ in range(2):
        results = list(transport.spread(lambda url: transport.send(url, limit=LIMIT).body, [server.url] * 16))
        assert results == [(server.url, b"x")] * 16
    assert server.connections == 16


def test_nothing_is_sent_after_the_end(serve: Serve) -> None:
    server = serve(Script((answer(),)))
    for budget in (None, 60.0):
        with Transport(budget=budget) as transport:
            pass
        assert failure(transport, server.url).code == "time-budget-spent"
        transport.renew()
        assert failure(transport, server.url).code == "time-budget-spent"
    assert server.connections == 0


def test_a_budget_that_was_spent_can_begin_again(serve: Serve) -> None:
    server, clock = serve(Script((answer(),))), Clock()
    with Transport(budget=60.0, clock=clock) as transport:
        clock.sleep(61.0)
        assert failure(transport, server.url).code == "time-budget-spent"
        transport.renew()
        assert transport.send(server.url, limit=LIMIT).status == 200


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (chunked(b"one ", b"two"), 200, b"one two"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"after all"), 200, b"after all"),
        (answer(b"hello") + b"and more", 200, b"hello"),
        (answer(b"", status=304), 304, b""),
        (answer(gzip.compress(b"hello"), "Content-Encoding: gzip"), 200, b"hello"),
        (answer(gzip.compress(b"hello"), "Content-Encoding: X-GZIP"), 200, b"hello"),
        (answer(b"hello", "Content-Encoding: identity"), 200, b"hello"),
        (answer(b"", "Content-Encoding: gzip"), 200, b""),
        (answer(b"moved", status=302), 302, b"moved"),
    ],
)
def test_unusual_answers_are_read_as_what_they_are(
    serve: Serve, transport: Transport, raw: bytes, status: int, body: bytes
) -> None:
    script = Script((raw,))
    reply = transport.send(serve(script).url, limit=LIMIT)
    assert (reply.status, reply.body, len(script.heard)) == (status, body, 1)


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(b"late"),
        b"HTTP/1.1 204 No Content\r\n\r\nbody",
        answer(b"hello", keep=True) + answer(b"not asked for", keep=True),
        answer(b"hello", keep=True) + b"x" * 100_000,
    ],
)
def test_what_follows_an_answer_is_not_taken_for_the_next(
    serve: Serve, transport: Transport, first: bytes
) -> None:
    script = Script((first, answer(b"second", keep=True)), keep=True)
    url = serve(script).url
    assert transport.send(url, limit=LIMIT).body in {b"", b"hello", b"late"}
    assert transport.send(url, limit=LIMIT).body == b"second"


# What is refused before anything is sent.

EVIL: Final = "evil.example"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1", True),
        ("HTTP://127.8.9.10:80/x", True),
        ("https://127.0.0.1?x", True),
        ("http://[::1]:8080/", True),
        ("http://[0:0:0:0:0:0:0:1]/", True),
        ("http://localhost/", True),
        ("http://LocalHost:1/", True),
        # The rest would be read as this machine by some: none of them is worth an exception.
        ("http://localhost./", False),
        ("http://x.localhost/", False),
        ("http://localhost.evil.example/", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://127.0.0.1@evil.example/", False),
        ("http://evil.example\\@127.0.0.1/", False),
        ("http://evil.example#@127.0.0.1/", False),
        ("http://127.1/", False),
        ("http://2130706433/", False),
        ("http://0x7f000001/", False),
        ("http://0177.0.0.1/", False),
        ("http://0.0.0.0/", False),
        ("http://[::]/", False),
        ("http://[::1/", False),
        ("http://[::1%25lo]/", False),
        ("http://127.0.0.1:99999/", False),
        ("http://127.0.0.\u0661/", False),
        ("http://128.0.0.1/", False),
        ("file://127.0.0.1/etc/passwd", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
def test_this_machine_is_known_by_plain_names_only(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


REFUSED_URLS: Final = [
    "http://example.org/",
    "http://127.0.0.1.evil.example/",
    "http://localhost.evil.example/",
    "http://evil.example\\@127.0.0.1/",
    "https://evil.example\\@api.example/",
    "https://user:password@api.example/",
    "https://@api.example/",
    "https://api.example:0/",
    "https://api.example:65536/",
    "https://api.example:x/",
    "https://api.example:/",
    "https://[::1/",
    "https://[api.example]/",
    "https:///path",
    "https://",
    "https:api.example",
    "https://.api.example/",
    "https://api.example/a b",
    "https://api.example/\r\nX-Injected: yes",
    "https://api.example/\n",
    "https://api.example/\x00",
    "https://api.example/\u00fc",
    "http\u017f://api.example/",
    "https://\u212aelvin.example/",
    "https://%61pi.example/",
    " https://api.example/",
    "file:///etc/passwd",
    "ftp://api.example/",
    "data:,x",
    "//api.example/",
    "api.example",
    "",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_is_not_plainly_https_is_refused(transport: Transport, url: str) -> None:
    for options in ({}, {"redirects": Redirects.ANY_HOST}, {"body": b"x"}):
        assert failure(transport, url, **options).code == "url-refused"
    with pytest.raises(TransportError, match="https") as caught, transport.stream(url):
        pass
    assert caught.value.code == "url-refused"


@pytest.mark.parametrize(
    "value", ["secret\r\nX-Injected: yes", "secret\n", "secret\x00", " secret", "secr\u20act", "secr\u00fct"]
)
def test_a_header_of_more_than_a_plain_line_is_refused_without_being_shown(
    serve: Serve, transport: Transport, value: str
) -> None:
    server = serve(Script((answer(),)))
    error = failure(transport, server.url, headers={"Authorization": value})
    assert error.code == "header-refused"
    assert "Authorization" in error.detail
    assert "secr" not in error.detail
    assert server.connections == 0


@pytest.mark.parametrize(("one", "other"), [("https://a.example", "HTTPS://A.example:443/x")])
def test_an_origin_is_the_same_in_every_spelling(one: str, other: str) -> None:
    assert module._origin(one) == module._origin(other)
    assert str(module._origin(other)) == "a.example"


# Limits.


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, LIMIT * 3])
@pytest.mark.parametrize("form", ["plain", "chunked", "gzip"])
def test_the_limit_is_a_limit(serve: Serve, transport: Transport, size: int, form: str) -> None:
    body = b"\x00" * size
    raw = {
        "plain": answer(body),
        "chunked": chunked(body[:10], body[10:]),
        "gzip": answer(gzip.compress(body), "Content-Encoding: gzip"),
    }[form]
    script = Script((raw,))
    url = serve(script).url
    if size <= LIMIT:
        assert transport.send(url, limit=LIMIT).body == body
    else:
        error = failure(transport, url)
        assert (error.code, "65,536" in error.detail) == ("answer-too-long", True)
    assert len(script.heard) == 1


def test_a_gzip_bomb_takes_no_memory(serve: Serve, transport: Transport) -> None:
    bomb = answer(gzip.compress(bytes(10_000_000)), "Content-Encoding: gzip")
    url = serve(Script((bomb,))).url
    transport.send(serve(Script((answer(),))).url, limit=LIMIT)
    tracemalloc.start()
    try:
        code = failure(transport, url).code
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert code == "answer-too-long"
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        # A gzip header whose file name has no end, and which yields no byte of output.
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03",
        # The same where the body is not even wanted.
        b"HTTP/1.1 302 Found\r\nLocation: /next\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08",
    ],
)
def test_a_body_without_end_is_left_early(serve: Serve, transport: Transport, head: bytes) -> None:
    size = 256 * 1024 * 1024
    piece = b"x" * 65536
    said: list[int] = []

    def endless(peer: Peer) -> None:
        if b"/next" in peer.hear():
            peer.say(answer(b"next"))
            return
        peer.say(head)
        for number in range(size // len(piece)):
            said.append(number)
            peer.say(piece)

    url = serve(endless).url
    if b" 302 " in head:
        assert transport.send(url, limit=LIMIT).body == b"next"
    else:
        assert failure(transport, url).code == "answer-too-long"
    # What was sent beyond the limit lay in buffers of the system.
    assert len(said) * len(piece) < size / 4


# Answers that cannot be used.

FLOOD: Final = "X-Flood: 1\r\n"
PASSING: Final = {"connection-broken"}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (answer(b"hello", *(f"X-{number}: x" for number in range(150))), "answer-unreadable"),
        (answer(b"hello", "X-Long: " + "x" * 1_000_000), "answer-unreadable"),
        (b"HTTP/1.1 200 " + b"x" * 1_000_000 + b"\r\n\r\n", "answer-unreadable"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "answer-unreadable"),
        (b"HTTP/1.1 99 Too low\r\n\r\n", "answer-unreadable"),
        (b"HTTP/1.1 1000 Too high\r\n\r\n", "answer-unreadable"),
        (b"HTTP/7.0 200 OK\r\n\r\n", "answer-unreadable"),
        (b"<html>hello</html>", "answer-unreadable"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "answer-unreadable"),
        (b"\x00\xff\x1b[31m\r\n\r\n", "answer-unreadable"),
        (answer(b"hello", "Content-Encoding: gzip"), "answer-unreadable"),
        (answer(b"hello", "Content-Encoding: br"), "answer-unreadable"),
        (answer(zlib.compress(b"hello"), "Content-Encoding: deflate"), "answer-unreadable"),
        (
            answer(gzip.compress(gzip.compress(b"hello")), "Content-Encoding: gzip, gzip"),
            "answer-unreadable",
        ),
        (answer(gzip.compress(b"hello") + b"more", "Content-Encoding: gzip"), "answer-unreadable"),
        (answer(gzip.compress(b"hello") * 2, "Content-Encoding: gzip"), "answer-unreadable"),
        (answer(gzip.compress(b"hello")[:-1], "Content-Encoding: gzip"), "connection-broken"),
        (answer(b"hel", length=5), "connection-broken"),
        (answer(b"", length=5), "connection-broken"),
        (chunked(b"hello", end=b""), "connection-broken"),
        (chunked(b"hello", end=b"5\r\nhel"), "connection-broken"),
        (chunked(b"hello", end=b"zz\r\nhel"), "connection-broken"),
        (b"", "connection-broken"),
        (b"HTTP/1.1", "answer-unreadable"),
    ],
)
def test_an_unusable_answer_is_an_error_and_asked_for_again_only_where_that_may_help(
    serve: Serve, transport: Transport, raw: bytes, code: str
) -> None:
    script = Script((raw,))
    error = failure(transport, serve(script).url)
    assert (error.code, len(script.heard)) == (code, ATTEMPTS if code in PASSING else 1)
    assert "127.0.0.1" in error.detail
    assert len(error.detail) < 300


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_two_lengths_are_none(serve: Serve, transport: Transport) -> None:
    # urllib3 leaves the connection to the garbage collector here, and says so in development mode.
    script = Script((b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",))
    error = failure(transport, serve(script).url)
    assert (error.code, error.__cause__, len(script.heard)) == ("answer-unreadable", None, 1)
    gc.collect()


WELL_FORMED: Final = [
    answer(b"hello", "X-A: b"),
    answer(gzip.compress(b"hello" * 9), "Content-Encoding: gzip"),
    chunked(b"one", b"two"),
    answer(b"", "Location: /other", "Set-Cookie: a=b; expires=Wed, 01 Jan 2031 00:00:00 GMT", status=302),
    answer(b"", "Location: https://[::1/", status=307),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Make an answer with some of its bytes taken out or replaced."""
    raw = bytearray(draw(st.sampled_from(WELL_FORMED)))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 8)))
        raw[start:end] = draw(
            st.binary(max_size=6) | st.sampled_from([b"\r\n", b":", b"9", b"-", b" ", b"\0"])
        )
    return bytes(raw)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_no_bytes_of_a_server_end_in_a_traceback() -> None:
    @given(damaged())
    def ask(raw: bytes) -> None:
        with closing(Server(Script((raw,)))) as server:
            try:
                with Transport(sleep=lambda _: None) as transport:
                    assert len(transport.send(server.url, limit=20).body) <= 20
            except TransportError as error:
                codes = {"answer-too-long", "answer-unreadable", "connection-broken", "redirect-refused"}
                assert error.code in codes

    ask()
    gc.collect()


# Attempts.


def test_an_answer_cut_short_is_asked_for_again(serve: Serve, transport: Transport) -> None:
    script = Script((answer(b"hel", length=5), chunked(b"hel", end=b""), answer(b"hello")))
    assert transport.send(serve(script).url, limit=LIMIT).body == b"hello"
    assert len(script.heard) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failing_server_is_asked_again_after_growing_pauses(
    serve: Serve, transport: Transport, slept: list[float], status: int
) -> None:
    bad = answer(b"bad", status=status)
    script = Script((bad, bad, answer(b"good")))
    reply = transport.send(serve(script).url, limit=LIMIT, body=b"same")
    assert (reply.status, reply.body) == (200, b"good")
    assert [heard.rpartition(b"\r\n\r\n")[2] for heard in script.heard] == [b"same"] * 3
    assert [0.15 <= slept[0] <= 0.45, 0.3 <= slept[1] <= 0.9, len(slept)] == [True, True, 2]


def test_the_last_answer_of_a_failing_server_is_the_answer(
    serve: Serve, transport: Transport, slept: list[float]
) -> None:
    script = Script((answer(b"one", status=503), answer(b"last", status=500)))
    reply = transport.send(serve(script).url, limit=LIMIT)
    assert (reply.status, reply.body, len(script.heard)) == (500, b"last", ATTEMPTS)
    assert len(slept) == ATTEMPTS - 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 501])
def test_other_statuses_are_answers_at_once(serve: Serve, transport: Transport, status: int) -> None:
    script = Script((answer(b"no", status=status),))
    assert transport.send(serve(script).url, limit=LIMIT).status == status
    assert len(script.heard) == 1


@pytest.mark.parametrize(("raw", "code"), [(answer(b"bad", status=503), None), (b"", "connection-broken")])
def test_who_has_no_patience_gets_what_there_is(
    serve: Serve, slept: list[float], raw: bytes, code: str | None
) -> None:
    script = Script((raw,))
    url = serve(script).url
    with Transport(patience=0.0, sleep=slept.append) as transport:
        if code is None:
            assert transport.send(url, limit=LIMIT).status == 503
        else:
            assert failure(transport, url).code == code
    assert (len(script.heard), slept) == (1, [])


def test_a_refused_connection_is_tried_again(transport: Transport, slept: list[float]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    error = failure(transport, f"http://127.0.0.1:{port}")
    assert (error.code, len(slept)) == ("connection-failed", ATTEMPTS - 1)
    assert f"127.0.0.1:{port}" in error.detail
    assert "refused" in error.detail


def test_a_name_that_is_none_is_not_looked_up_again(transport: Transport, slept: list[float]) -> None:
    error = failure(transport, "https://nowhere.invalid/")
    assert (error.code, slept) == ("host-not-found", [])
    assert "nowhere.invalid" in error.detail


@pytest.mark.parametrize("url", ["https://a..b/", f"https://{'a' * 64}.example/", "https://[::1::2]/"])
def test_a_host_that_cannot_be_is_an_error(transport: Transport, slept: list[float], url: str) -> None:
    assert failure(transport, url).code == "connection-failed"
    assert slept == []


@pytest.mark.parametrize(
    ("error", "code", "passing"),
    [
        (requests.ConnectTimeout(errors.ConnectTimeoutError()), "connection-failed", True),
        (
            requests.ConnectionError(errors.ProtocolError("", OSError(113, "No route"))),
            "connection-broken",
            True,
        ),
        (errors.ProtocolError("", OSError(113, "No route")), "connection-broken", True),
        (errors.SSLError(ssl.SSLError(1, "bad record mac")), "tls-failed", False),
        (requests.exceptions.InvalidSchema("no SOCKS"), "connection-failed", False),
        (FileNotFoundError(2, "No such file"), "tls-failed", False),
    ],
)
def test_what_no_loopback_server_can_bring_about_has_a_code(
    error: Exception, code: str, passing: bool
) -> None:
    origin = module._checked("https://api.example/")
    with pytest.raises((TransportError, module._PassingError)) as caught, module._translated(origin):
        raise error
    found = caught.value.error if isinstance(caught.value, module._PassingError) else caught.value
    assert isinstance(found, TransportError)
    assert (found.code, isinstance(caught.value, module._PassingError)) == (code, passing)
    assert found.detail.startswith("api.example: ")


# TLS.


def test_tls_with_a_trusted_certificate_works(
    serve: Serve, transport: Transport, certified: Certified, example_hosts: None
) -> None:
    server = serve(Script((answer(b"hello"),)), context=certified.context)
    assert transport.send(server.named("api.example"), limit=LIMIT).body == b"hello"


@pytest.mark.parametrize("raw", [answer(b"hel", length=5), chunked(b"hel", end=b"")])
def test_an_answer_cut_short_under_tls_is_asked_for_again(
    serve: Serve, transport: Transport, certified: Certified, example_hosts: None, raw: bytes
) -> None:
    server = serve(Script((raw, answer(b"hello"))), context=certified.context)
    assert transport.send(server.named("api.example"), limit=LIMIT).body == b"hello"


def test_an_untrusted_certificate_ends_it(
    serve: Serve, transport: Transport, certified: Certified, slept: list[float]
) -> None:
    script = Script((answer(),))
    server = serve(script, context=certified.context)
    error = failure(transport, server.named("127.0.0.1"))
    assert (error.code, slept, script.heard) == ("tls-failed", [], [])
    assert "self-signed" in error.detail


def test_a_certificate_for_another_name_ends_it(
    serve: Serve, transport: Transport, certified: Certified, example_hosts: None, slept: list[float]
) -> None:
    script = Script((answer(),))
    error = failure(transport, serve(script, context=certified.context).named("other.example"))
    assert (error.code, slept, script.heard) == ("tls-failed", [], [])


def test_tls_to_a_plain_port_ends_it(serve: Serve, transport: Transport, slept: list[float]) -> None:
    def plain(peer: Peer) -> None:
        peer.socket.recv(1)
        peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.socket.recv(4096):
            pass

    server = serve(plain)
    error = failure(transport, server.named("127.0.0.1"))
    assert (error.code, slept, server.connections) == ("tls-failed", [], 1)


def test_a_connection_closed_before_tls_stands_is_tried_again(serve: Serve, transport: Transport) -> None:
    def shut(peer: Peer) -> None:
        peer.socket.recv(65536)

    server = serve(shut)
    assert failure(transport, server.named("127.0.0.1")).code == "connection-broken"
    assert server.connections == ATTEMPTS


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_the_environment_names_and_that_are_none_end_it(
    serve: Serve,
    transport: Transport,
    slept: list[float],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: str | None,
) -> None:
    file = tmp_path / "bundle.pem"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    error = failure(transport, serve(Script((answer(),))).named("127.0.0.1"))
    assert (error.code, slept) == ("tls-failed", [])


# Time.


def silent(peer: Peer) -> None:
    peer.hear()
    peer.stopped.wait(LONG)
    peer.say(answer(b"after all"))


def dripping_headers(peer: Peer) -> None:
    peer.hear()
    peer.drip(b"HTTP/1.1 200 OK\r\nX-Long: ")
    peer.say(b"\r\nContent-Length: 9\r\n\r\nafter all")


def dripping_body(peer: Peer) -> None:
    peer.hear()
    peer.drip(b"HTTP/1.1 200 OK\r\n\r\n")


def dripping_fast_body(peer: Peer) -> None:
    peer.hear()
    peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
    peer.drip(b"")


def dripping_chunk_size(peer: Peer) -> None:
    peer.hear()
    peer.say(chunked(b"x", end=b""))
    peer.drip(b"")


def endless_trailers(peer: Peer) -> None:
    peer.hear()
    peer.say(chunked(b"x", end=b"0\r\n"))
    while not peer.stopped.is_set():
        peer.say(b"X-Trailer: x\r\n" * 100)


def endless_hints(peer: Peer) -> None:
    peer.hear()
    while not peer.stopped.is_set():
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


SLOW: Final = [
    silent,
    dripping_headers,
    dripping_body,
    dripping_fast_body,
    dripping_chunk_size,
    endless_trailers,
    endless_hints,
]


@pytest.mark.parametrize("manner", SLOW)
def test_a_slow_server_gets_no_more_than_the_budget(serve: Serve, hurried: Transport, manner: Manner) -> None:
    assert failure(hurried, serve(manner).url).code == "time-budget-spent"


def test_slow_servers_do_not_hold_up_the_others(serve: Serve) -> None:
    slow = [serve(manner).url for manner in SLOW]
    quick = serve(Script((answer(b"quick"),))).url
    with Transport(budget=2.0) as transport:
        found = dict(transport.spread(lambda url: transport.send(url, limit=LIMIT).body, [*slow, quick]))
    assert found.pop(quick) == b"quick"
    codes = [error.code for error in found.values() if isinstance(error, TransportError)]
    assert codes == ["time-budget-spent"] * len(SLOW)


@pytest.mark.parametrize("budget", [None, 60.0])
def test_a_server_that_falls_silent_is_asked_again(
    serve: Serve, slept: list[float], monkeypatch: pytest.MonkeyPatch, budget: float | None
) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT", 0.05)
    with Transport(budget=budget, sleep=slept.append) as transport:
        assert failure(transport, serve(silent).url).code == "answer-timed-out"
    assert len(slept) == ATTEMPTS - 1


def test_no_wait_is_begun_that_the_budget_does_not_cover(
    serve: Serve, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 500.0)
    url = serve(Script((answer(b"bad", status=503),))).url
    with Transport(budget=60.0, patience=1000.0, clock=lambda: 0.0, sleep=slept.append) as transport:
        assert failure(transport, url, pause=lambda _: 60.0).code == "rate-limited"
    with Transport(budget=60.0, patience=1000.0, clock=lambda: 0.0, sleep=slept.append) as transport:
        assert transport.send(url, limit=LIMIT).status == 503
    assert slept == []


@pytest.mark.parametrize(
    ("budget", "expected"), [(None, (10.0, 20.0)), (15.0, (10.0, 15.0)), (5.0, (5.0, 5.0))]
)
def test_no_timeout_is_longer_than_the_budget(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, budget: float | None, expected: tuple[float, float]
) -> None:
    timeouts: list[tuple[float, float]] = []
    send = HTTPAdapter.send

    def note(*arguments: Any, **options: Any) -> Any:
        timeouts.append(options["timeout"])
        return send(*arguments, **options)

    monkeypatch.setattr(HTTPAdapter, "send", note)
    with Transport(budget=budget, clock=lambda: 0.0) as transport:
        transport.send(serve(Script((answer(),))).url, limit=LIMIT)
    assert timeouts == [expected]


# Pauses that a server asks for.


def test_a_pause_that_is_asked_for_is_made(serve: Serve) -> None:
    clock = Clock()
    limited = answer(b"", "Retry-After: 7", status=429)
    script = Script((limited, limited, answer(b"now")))
    with Transport(clock=clock, sleep=clock.sleep) as transport:
        reply = transport.send(serve(script).url, limit=LIMIT, pause=retry_after)
    assert (reply.body, clock.slept, len(script.heard)) == (b"now", [7.0, 7.0], 3)


def test_a_pause_that_is_too_long_ends_it_and_says_until_when(serve: Serve) -> None:
    clock = Clock()
    script = Script((answer(b"", "Retry-After: 21", status=403),))
    url = serve(script).url
    with Transport(clock=clock, sleep=clock.sleep, patience=20.0) as transport:
        error = failure(transport, url, pause=retry_after)
        assert error.code == "rate-limited"
        stated = re.search(r"until (.{19}) UTC", error.detail)
        assert stated is not None
        until = datetime.strptime(stated[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        assert until > datetime.now(UTC)
        # Nobody asks again before it is over.
        assert failure(transport, url).code == "rate-limited"
        assert (clock.slept, len(script.heard)) == ([], 1)
        clock.now += 2
        assert transport.send(url, limit=LIMIT).status == 403
    assert (clock.slept, len(script.heard)) == ([19.0], 2)


def test_a_server_that_never_has_enough_of_pauses_is_given_up(serve: Serve) -> None:
    clock = Clock()
    script = Script((answer(b"", "Retry-After: 1", status=429),))
    with Transport(clock=clock, sleep=clock.sleep) as transport:
        assert failure(transport, serve(script).url, pause=retry_after).code == "rate-limited"
    assert (len(script.heard), clock.slept) == (ATTEMPTS, [1.0] * (ATTEMPTS - 1))


@pytest.mark.parametrize("stated", ["0", "-5", "nan", "-inf"])
def test_a_pause_of_nothing_is_none(serve: Serve, stated: str) -> None:
    clock = Clock()
    script = Script((answer(b"", f"Retry-After: {stated}", status=429), answer(b"now")))
    with Transport(clock=clock, sleep=clock.sleep) as transport:
        assert transport.send(serve(script).url, limit=LIMIT, pause=retry_after).body == b"now"
    assert clock.slept == []


@pytest.mark.parametrize("stated", ["inf", "1e300", "99999999999999999999"])
def test_a_pause_without_end_is_an_error(serve: Serve, transport: Transport, stated: str) -> None:
    script = Script((answer(b"", f"Retry-After: {stated}", status=429),))
    url = serve(script).url
    assert failure(transport, url, pause=retry_after).code == "rate-limited"
    assert failure(transport, url, pause=retry_after).code == "rate-limited"
    assert len(script.heard) == 1


def test_a_pause_is_kept_by_all_threads_and_the_longest_counts(serve: Serve) -> None:
    clock = Clock()
    script = Script(
        (
            answer(b"", "Retry-After: 5", status=429),
            answer(b"", "Retry-After: 3", status=429),
            answer(b"now"),
        )
    )
    server, other = serve(script), serve(Script((answer(b"other"),)))
    heard_when_sleeping: list[int] = []

    def sleep(seconds: float) -> None:
        heard_when_sleeping.append(len(script.heard))
        if len(heard_when_sleeping) == 1:
            # While one waits, another host is asked at once, and the same host later.
            assert shared.send(other.url, limit=LIMIT).body == b"other"
            assert shared.send(server.url, limit=LIMIT, pause=retry_after).body == b"now"
        clock.sleep(seconds)

    with Transport(clock=clock, sleep=sleep) as shared:
        assert shared.send(server.url, limit=LIMIT, pause=retry_after).body == b"now"
    assert heard_when_sleeping == [1, 1, 2]
    assert clock.slept == [5.0, 3.0, 5.0]


def test_a_pause_is_put_off_and_never_shortened(serve: Serve) -> None:
    clock = Clock()
    script = Script((answer(b"", "Retry-After: 5", status=429), answer(b"now")))
    server = serve(script)
    origin = module._origin(server.url)
    assert origin is not None

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 1:
            # What others are told in the meantime.
            waiting._postpone(origin, 4.0)
            waiting._postpone(origin, 1.0)

    with Transport(clock=clock, sleep=sleep) as waiting:
        assert waiting.send(server.url, limit=LIMIT, pause=retry_after).body == b"now"
    assert clock.slept == [5.0, 4.0]


def test_a_pause_that_was_made_is_over_whatever_the_clock_says(serve: Serve, slept: list[float]) -> None:
    script = Script((answer(b"", "Retry-After: 5", status=429), answer(b"now")))
    with Transport(clock=lambda: 0.0, sleep=slept.append) as transport:
        assert transport.send(serve(script).url, limit=LIMIT, pause=retry_after).body == b"now"
    assert slept == [5.0]


# Redirects.


def moved(target: str, status: int = 302) -> bytes:
    return answer(b"moved", f"Location: {target}", status=status)


SECRET: Final = {"Authorization": "Bearer secret", "X-Kept": "yes"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_is_followed(serve: Serve, transport: Transport, status: int) -> None:
    script = Script((moved("/b/c?d", status), moved("e", status), answer(b"here")))
    server = serve(script)
    reply = transport.send(server.url + "/a", limit=LIMIT, headers=SECRET)
    assert (reply.body, reply.url) == (b"here", server.url + "/b/e")
    assert script.targets() == ["/a", "/b/c?d", "/b/e"]
    assert all("Authorization: Bearer secret" in head for head in script.heads())


def test_a_redirect_to_another_host_is_refused_unless_asked_for(serve: Serve, transport: Transport) -> None:
    other = serve(Script((answer(),)))
    error = failure(transport, serve(Script((moved(other.url),))).url, headers=SECRET)
    assert error.code == "redirect-refused"
    assert str(other.port) in error.detail
    assert other.connections == 0


def test_another_host_gets_no_authorization_and_neither_does_the_first_after_it(
    serve: Serve, transport: Transport
) -> None:
    first, second = Script(()), Script(())
    one, two = serve(first), serve(second)
    first.answers = (moved(f"{two.url}/x"), answer(b"here"))
    second.answers = (moved(f"{one.url}/y"),)
    for headers in (SECRET, {name.lower(): value for name, value in SECRET.items()}):
        first.heard.clear()
        second.heard.clear()
        reply = transport.send(one.url, limit=LIMIT, headers=headers, redirects=Redirects.ANY_HOST)
        assert (reply.body, reply.url) == (b"here", f"{one.url}/y")
        sent = [*first.heads(), *second.heads()]
        assert ["secret" in head for head in sent] == [True, False, False]
        assert all("x-kept: yes" in head.lower() for head in sent)


def test_an_error_after_a_redirect_names_the_host_that_made_it(serve: Serve, transport: Transport) -> None:
    there = serve(Script((b"no HTTP",)))
    here = serve(Script((moved(there.url),)))
    error = failure(transport, here.url, redirects=Redirects.ANY_HOST)
    assert error.detail.startswith(f"127.0.0.1:{there.port}: ")


BAD_TARGETS: Final = [
    "http://example.org/",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "javascript:alert(1)",
    "https://[::1/",
    "//[::1/",
    "https://api.example:99999/",
    "https://user:password@api.example/",
    "http://evil.example\\@127.0.0.1/",
    "//evil.example\\@127.0.0.1/",
    "https://api.example/\x1b[31m",
    "https://\xe4pi.example/",
    "https://",
]


@pytest.mark.parametrize("target", BAD_TARGETS)
@pytest.mark.parametrize("redirects", Redirects)
def test_a_redirect_to_nowhere_plain_is_refused(
    serve: Serve, transport: Transport, target: str, redirects: Redirects
) -> None:
    script = Script((moved(target),))
    error = failure(transport, serve(script).url, redirects=redirects)
    assert (error.code, len(script.heard)) == ("redirect-refused", 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_another_machine_does_not_send_us_to_this_one(
    serve: Serve, transport: Transport, certified: Certified, example_hosts: None, scheme: str
) -> None:
    inside = serve(Script((answer(),)), context=certified.context if scheme == "https" else None)
    script = Script((moved(f"{scheme}://127.0.0.1:{inside.port}/"),))
    outside = serve(script, context=certified.context)
    error = failure(transport, outside.named("api.example"), redirects=Redirects.ANY_HOST)
    assert (error.code, inside.connections) == ("redirect-refused", 0)


def test_a_redirect_to_another_https_host_is_followed(
    serve: Serve, transport: Transport, certified: Certified, example_hosts: None
) -> None:
    there = Script((answer(b"blob"),))
    target = serve(there, context=certified.context).named("blobs.example")
    here = serve(Script((moved(target),)), context=certified.context).named("api.example")
    reply = transport.send(here, limit=LIMIT, headers=SECRET, redirects=Redirects.ANY_HOST)
    assert reply.body == b"blob"
    assert "secret" not in there.heads()[0]


@pytest.mark.parametrize("target", ["/", ""])
def test_a_redirect_loop_ends(serve: Serve, transport: Transport, target: str) -> None:
    script = Script((moved(target),))
    assert failure(transport, serve(script).url).code == "redirect-refused"
    assert len(script.heard) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirected_post_stays_a_post_or_is_refused(
    serve: Serve, transport: Transport, status: int
) -> None:
    script = Script((moved("/b", status), answer(b"taken")))
    url = serve(script).url
    if status in {307, 308}:
        assert transport.send(url, limit=LIMIT, body=b"body").body == b"taken"
        assert [heard[:4] + heard[-4:] for heard in script.heard] == [b"POSTbody"] * 2
    else:
        assert failure(transport, url, body=b"body").code == "redirect-refused"
        assert len(script.heard) == 1


# What the surroundings may not do.


def test_no_password_is_taken_from_netrc(
    serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(
        "machine 127.0.0.1 login me password secret\ndefault login me password secret\n",
        encoding="utf-8",
    )
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    script = Script((moved("/b"), answer()))
    transport.send(serve(script).url, limit=LIMIT)
    assert [("uthorization" in head) for head in script.heads()] == [False, False]


def test_cookies_are_not_sent_back(serve: Serve, transport: Transport) -> None:
    cookie = "Set-Cookie: a=b; Path=/"
    script = Script((answer(b"", cookie, "Location: /b", status=302), answer(b"", cookie)))
    url = serve(script).url
    transport.send(url, limit=LIMIT)
    transport.send(url, limit=LIMIT)
    assert [("ookie" in head) for head in script.heads()] == [False] * 3


@pytest.fixture
def dead() -> str:
    """An address where nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
@pytest.mark.parametrize("proxy", [None, "http://nowhere.invalid:3128"])
def test_a_proxy_of_the_environment_is_used(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, dead: str, name: str, proxy: str | None
) -> None:
    monkeypatch.setenv(name, proxy or dead)
    error = failure(transport, "https://api.example/")
    assert error.code == "proxy-failed"
    assert "proxy for api.example" in error.detail


def test_a_proxy_is_told_the_host_and_no_secret(
    serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script((answer(b"", status=407),))
    monkeypatch.setenv("HTTPS_PROXY", serve(script).url)
    error = failure(transport, "https://api.example/path", headers=SECRET)
    assert (error.code, len(script.heard)) == ("proxy-failed", ATTEMPTS)
    assert "407" in error.detail
    assert script.heads()[0].startswith("CONNECT api.example:443 ")
    assert not any("secret" in head or "path" in head for head in script.heads())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize("no_proxy", ["", "api.example"])
def test_no_proxy_stands_between_this_machine_and_itself(
    serve: Serve,
    transport: Transport,
    monkeypatch: pytest.MonkeyPatch,
    dead: str,
    host: str,
    no_proxy: str,
) -> None:
    family = socket.AF_INET
    if host == "[::1]":
        family = socket.AF_INET6
        try:
            socket.create_server(("::1", 0), family=family).close()
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, dead)
    monkeypatch.setenv("no_proxy", no_proxy)
    server = serve(Script((answer(b"here"),)), family=family)
    assert transport.send(f"http://{host}:{server.port}/", limit=LIMIT).body == b"here"
    assert os.environ["no_proxy"] == no_proxy


# Streams.


def test_a_stream_gives_the_body_as_it_was_sent(serve: Serve, transport: Transport) -> None:
    packed = gzip.compress(bytes(1_000_000), compresslevel=0)
    there = Script((answer(packed, "Content-Encoding: gzip"),))
    here = Script((moved(serve(there).url),))
    with transport.stream(serve(here).url, SECRET) as (reply, pieces):
        assert (reply.status, reply.body) == (200, b"")
        received = list(pieces)
    assert b"".join(received) == packed
    assert max(map(len, received)) <= 64 * 1024
    assert "Accept-Encoding: identity" in there.heads()[0]
    assert ["secret" in head for head in (*here.heads(), *there.heads())] == [True, False]


@pytest.mark.parametrize("raw", [answer(b"hel", length=5), chunked(b"hel", end=b"")])
def test_a_stream_that_is_cut_short_is_an_error(serve: Serve, transport: Transport, raw: bytes) -> None:
    script = Script((raw,))
    received: list[bytes] = []
    with pytest.raises(TransportError) as caught, transport.stream(serve(script).url) as (_, pieces):
        received.extend(pieces)
    assert (caught.value.code, received, len(script.heard)) == ("connection-broken", [b"hel"], 1)


def test_a_stream_may_be_left_early(serve: Serve, transport: Transport) -> None:
    script = Script((answer(bytes(10_000_000)), answer(b"next")))
    url = serve(script).url
    with transport.stream(url) as (_, pieces):
        next(pieces)
    with transport.stream(url) as (reply, _):
        assert reply.status == 200
    with pytest.raises(KeyError), transport.stream(url):
        raise KeyError


@pytest.mark.parametrize("manner", [silent, dripping_fast_body])
def test_a_stream_ends_with_the_budget(serve: Serve, hurried: Transport, manner: Manner) -> None:
    with pytest.raises(TransportError) as caught, hurried.stream(serve(manner).url) as (_, pieces):
        list(pieces)
    assert caught.value.code == "time-budget-spent"


# Many at once.


def test_results_come_as_they_are_ready(transport: Transport) -> None:
    ready = threading.Event()

    def work(item: str) -> str:
        if item == "slow":
            assert ready.wait(LONG)
        return item.upper()

    results = transport.spread(work, ["slow", "quick"])
    assert next(results) == ("quick", "QUICK")
    ready.set()
    assert list(results) == [("slow", "SLOW")]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
@pytest.mark.parametrize("at_once", [0, 1, 3, 16])
@pytest.mark.parametrize("budget", [None, 60.0, 1e30])
def test_every_item_has_one_result(count: int, at_once: int, budget: float | None) -> None:
    running = 0
    most = 0
    lock = threading.Lock()

    def work(item: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        return -item

    with Transport(budget=budget, at_once=at_once) as transport:
        results = sorted(transport.spread(work, range(count)))
    assert results == sorted((item, -item) for item in range(count))
    assert most <= max(1, at_once)


def test_items_that_are_equal_are_told_apart(transport: Transport) -> None:
    assert list(transport.spread(len, ["a", "a", "a"])) == [("a", 1)] * 3


def test_a_transport_error_is_a_result(transport: Transport) -> None:
    def work(url: str) -> bytes:
        return transport.send(url, limit=LIMIT).body

    [(url, error)] = transport.spread(work, ["http://example.org"])
    assert isinstance(error, TransportError)
    assert (url, error.code) == ("http://example.org", "url-refused")


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, StopIteration])
def test_any_other_exception_is_raised_and_no_more_is_begun(
    kind: type[BaseException],
) -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        raise kind(item)

    with Transport(at_once=1) as transport:
        results = transport.spread(work, range(100))
        # A generator may not let a StopIteration through as itself.
        with pytest.raises(RuntimeError if kind is StopIteration else kind):
            next(results)
        assert list(results) == []
    assert len(begun) <= 2


def test_who_stops_asking_stops_the_work() -> None:
    begun: queue.SimpleQueue[int] = queue.SimpleQueue()
    over = threading.Event()
    before = set(threading.enumerate())

    def work(item: int) -> None:
        begun.put(item)
        if item:
            assert over.wait(LONG)

    with Transport(at_once=2) as transport:
        results = transport.spread(work, itertools.count())
        assert next(results) == (0, None)
        # Both threads are at work now, and the fourth item waits for one of them.
        assert {begun.get(timeout=LONG) for _ in range(3)} == {0, 1, 2}
        results.close()
        over.set()
        await_threads(before)
    assert begun.empty()


def test_no_more_items_are_taken_than_results(transport: Transport) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    with Transport(at_once=2) as narrow:
        results = narrow.spread(str, items())
        for count in range(1, 20):
            next(results)
            assert len(taken) <= count + 4
        results.close()


def test_items_that_end_in_an_error_end_the_work(transport: Transport) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        list(transport.spread(str, items()))


def test_nothing_waits_longer_than_the_budget() -> None:
    over = threading.Event()

    def work(item: int) -> int:
        if item % 2:
            assert over.wait(LONG)
        return item

    with Transport(budget=1.0) as transport:
        results = list(transport.spread(work, range(100)))
    over.set()
    assert sorted(item for item, _ in results) == list(range(100))
    late = {item: result.code for item, result in results if isinstance(result, TransportError)}
    assert set(late.values()) == {"time-budget-spent"}
    assert set(range(1, 100, 2)) <= set(late)
    assert (0, 0) in results


def test_a_spread_may_be_in_a_spread(serve: Serve, transport: Transport) -> None:
    url = serve(Script((answer(b"x"),))).url

    def inner(_: int) -> int:
        return sum(len(body) for _, body in transport.spread(outer, range(3)) if isinstance(body, bytes))

    def outer(_: int) -> bytes:
        return transport.send(url, limit=LIMIT).body

    assert [result for _, result in transport.spread(inner, range(3))] == [3, 3, 3]
