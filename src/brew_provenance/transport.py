"""HTTP with manners: bounded in bytes and time, retried with care, and no secret to a second host.

Whoever answers controls status, headers, body, pace and redirects. Nothing here trusts any of it:
bodies have a limit, every wait counts against one budget of time, and a redirect to another host is
followed only where the caller asks for it, without the Authorization header.
"""

from __future__ import annotations

import http.client
import ipaddress
import math
import queue
import random
import re
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from http.cookiejar import DefaultCookiePolicy
from itertools import chain, islice
from typing import Final, NamedTuple, NoReturn, Self, TypeVar
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as urllib3_errors

import brew_provenance

CONNECT_TIMEOUT: Final = 10.0
"""Seconds to wait for a connection."""

READ_TIMEOUT: Final = 20.0
"""Seconds to wait for the next bytes of an answer."""

ATTEMPTS: Final = 4
"""How often a request is sent before it is given up."""

MAX_REDIRECTS: Final = 5

_CHUNK = 64 * 1024
_FIRST_PAUSE = 0.3
_LONGEST_PAUSE = 7 * 86400.0
# Seconds after which a person wonders.
_NOTICED = 5.0
_TEMPORARY = frozenset({500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})

# Two parsers read `https://a\@b/` as two hosts: what is not plain to all of them is not sent.
_URL = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[0-9a-z_][0-9a-z._-]*)(?::([0-9]{1,5}))?(?:[/?#][!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Redirects(Enum):
    """Which redirects are followed."""

    SAME_HOST = "same host"
    """To the same scheme, host and port only."""

    ANY_HOST = "any host"
    """To any https host; another one does not get the Authorization header."""


class TransportError(Exception):
    """A request got no usable answer."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        """A reason code."""
        self.detail = detail
        """What was seen, in printable ASCII."""


class _PassingError(Exception):
    """A fault that the next attempt may not meet."""

    def __init__(self, error: TransportError) -> None:
        super().__init__(error.detail)
        self.error = error


@dataclass(frozen=True)
class Reply:
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""

    body: bytes
    url: str
    """Where it came from, after redirects."""


Pause = Callable[[Reply], float | None]
"""Says how many seconds an answer asks to wait before the same request is sent again; None: it does not."""


def no_pause(reply: Reply) -> float | None:  # noqa: ARG001 - the caller knows of no limits
    """Take every answer as it is."""
    return None


class Transport:
    """Sends requests, several at once, within one budget of time. Close it when done."""

    def __init__(  # noqa: PLR0913 - for how long, how fast, and what tests stand in for
        self,
        *,
        budget: float | None = 120.0,
        patience: float = 20.0,
        at_once: int = 16,
        told: Callable[[str], None] = lambda _said: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Spend at most `budget` seconds in all (None: no limit), and `patience` on any single wait.

        At most `at_once` requests are under way at a time when they are sent through `spread`. `told` hears
        in a sentence of waits that a host has asked for and a person could wonder at; any thread can call it.
        """
        self._clock = clock
        self._sleep = sleep
        self._budget = math.inf if budget is None else budget
        self._deadline = clock() + self._budget
        self._patience = patience
        self._at_once = max(1, at_once)
        self._told = told
        self._not_before: dict[_Origin, float] = {}
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._session = _Session(self._at_once)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; what is still under way ends as if the budget were spent."""
        self._budget = self._deadline = -math.inf
        self._session.close()

    def renew(self) -> None:
        """Begin the budget again: for work in parts, of which each may take that long. Not once closed."""
        self._deadline = self._clock() + self._budget

    def send(  # noqa: PLR0913 - the parts of a request
        self,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        redirects: Redirects = Redirects.SAME_HOST,
        pause: Pause = no_pause,
        attempts: int = ATTEMPTS,
    ) -> Reply:
        """GET `url`, or POST `body` to it, and return the answer.

        `limit` holds for the bytes of its body, both as sent and after gzip is undone.

        A broken connection and status 500, 502, 503 and 504 are met with another attempt after a
        growing, jittered pause, also of a POST; the last such answer is returned. Where `pause` gives a
        time, nobody asks that host before it is over; a longer one than this object's patience, or the
        last attempt, ends in `rate-limited`. With one of `attempts` nothing is sent twice.

        Raises TransportError.
        """
        request = _request(url, headers, body, limit, redirects)
        if self._deadline == math.inf or getattr(self._thread, "is_spread", False):
            return self._send(request, pause, attempts)
        # Nothing interrupts a slow name server, or headers that come in drops: leave them alone in time.
        ((_, result),) = self.spread(lambda request: self._send(request, pause, attempts), [request])
        if isinstance(result, TransportError):
            raise result
        return result

    @contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[tuple[Reply, Iterator[bytes]]]:
        """GET `url` across hosts, once, and give the answer without body and the body in pieces.

        The body is what was sent, not decompressed. A sender that falls silent is noticed after
        READ_TIMEOUT, whatever is left of the budget, and one whose headers come in drops is not: where
        that must not hold anybody up, call this through `spread`.
        Raises TransportError, also while the body is read.
        """
        request = _request(url, headers)
        try:
            with self._open(request, encodings="identity") as response:
                yield _reply(response, b""), self._pieces(response)
        except _PassingError as passing:
            self._give_up(passing)

    def spread(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Generator[tuple[_Item, _Result | TransportError], None, None]:
        """Call `function` on every item, several at once, and yield results as they come.

        A TransportError is a result; any other exception is raised here. Items are taken as results
        are, so that neither pile up. When the budget is spent, what is still under way is left alone
        and yields a TransportError as well: an answer that comes in drops cannot hold anybody up.
        """
        waiting: queue.SimpleQueue[tuple[int, _Item] | None] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[int, _Result | BaseException]] = queue.SimpleQueue()

        def work() -> None:
            self._thread.is_spread = True
            while (numbered := waiting.get()) is not None:
                number, item = numbered
                try:
                    done.put((number, function(item)))
                except TransportError as error:
                    # Anew, without the history: its frames hold on to buffers and connections.
                    done.put((number, TransportError(error.code, error.detail)))
                except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                    done.put((number, error))

        coming = enumerate(items)
        under_way: dict[int, _Item] = {}
        threads = 0
        try:
            while True:
                for number, item in islice(coming, 2 * self._at_once - len(under_way)):
                    under_way[number] = item
                    waiting.put((number, item))
                    if threads < self._at_once:
                        threading.Thread(target=work, daemon=True).start()
                        threads += 1
                if not under_way:
                    return
                try:
                    number, result = done.get(timeout=min(self._remaining(), threading.TIMEOUT_MAX))
                except queue.Empty:
                    break
                item = under_way.pop(number)
                if isinstance(result, BaseException) and not isinstance(result, TransportError):
                    raise result
                yield item, result
        finally:
            # Also where the caller has seen enough: nothing more is begun, and every thread ends.
            with suppress(queue.Empty):
                while True:
                    waiting.get_nowait()
            for _ in range(threads):
                waiting.put(None)
        for _, item in chain(under_way.items(), coming):
            yield item, _spent()

    def _send(self, request: _Request, pause: Pause, attempts: int) -> Reply:
        for attempt in range(1, attempts + 1):
            last = attempt == attempts
            self._await_turn(request.origin)
            try:
                reply = self._attempt(request)
            except _PassingError as passing:
                if last or not self._wait(_backoff(attempt)):
                    self._give_up(passing)
                continue
            asked = pause(reply)
            if asked is not None:
                asked = min(max(0.0, asked), _LONGEST_PAUSE)
                self._postpone(request.origin, asked)
                if last:
                    raise _limited(request.origin, asked)
            elif reply.status not in _TEMPORARY or last or not self._wait(_backoff(attempt)):
                return reply
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def _await_turn(self, origin: _Origin) -> None:
        """Wait until the host takes requests again; others may put it off further in the meantime."""
        over = -math.inf
        while (until := self._not_before.get(origin, -math.inf)) > max(over, now := self._clock()):
            if not self._wait(until - now):
                raise _limited(origin, until - now)
            over = until

    def _postpone(self, origin: _Origin, seconds: float) -> None:
        with self._lock:
            until, before = self._clock() + seconds, self._not_before.get(origin, -math.inf)
            self._not_before[origin] = max(until, before)
        # Once for all who were told to wait at about the same time.
        if _NOTICED < seconds <= self._patience and until > before + _NOTICED:
            self._told(f"{origin} asks to be left alone for {seconds:,.0f} s: waiting")

    def _attempt(self, request: _Request) -> Reply:
        with self._open(request, encodings="gzip") as response:
            received = bytearray()
            for piece in self._pieces(response):
                received += piece
                if len(received) > request.limit:
                    raise _too_long(_checked(response.url), request.limit)
            return _reply(response, _decoded(response, received, request.limit))

    @contextmanager
    def _open(self, request: _Request, *, encodings: str) -> Iterator[requests.Response]:
        url, origin = request.url, request.origin
        sent = {**request.headers, "Accept-Encoding": encodings}
        for _ in range(MAX_REDIRECTS + 1):
            with _translated(origin):
                response = self._session.request(
                    "GET" if request.body is None else "POST",
                    url,
                    data=request.body,
                    headers=sent,
                    stream=True,
                    allow_redirects=False,
                    timeout=(self._within(CONNECT_TIMEOUT), self._within(READ_TIMEOUT)),
                    # Plain HTTP is for this machine, and a proxy is another one.
                    proxies={"no_proxy": origin.host.strip("[]")} if origin.is_loopback else None,
                )
            with response:
                target = response.headers.get("Location")
                if response.status_code not in _REDIRECTS or target is None:
                    yield response
                    return
            if request.body is not None and response.status_code not in _SAME_METHOD:
                raise TransportError("redirect-refused", f"{origin} answers a POST with a redirect to a GET")
            url, following = _redirected(url, target)
            if following != origin:
                if request.redirects is Redirects.SAME_HOST:
                    raise TransportError(
                        "redirect-refused", f"{origin} redirects to another host, {following}"
                    )
                sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
            origin = following
        raise TransportError("redirect-refused", f"{origin} redirects more than {MAX_REDIRECTS} times")

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        """Yield what has come, piece by piece; a slow sender is held to the budget, not to a timeout.

        Raises _PassingError where the body ends before it is whole.
        """
        origin = _checked(response.url)
        while True:
            self._within(math.inf)
            with _translated(origin):
                piece = response.raw.read1(_CHUNK)
            if not piece:
                return
            yield piece

    def _wait(self, seconds: float) -> bool:
        """Sleep, or say that this would be longer than patience or budget allow."""
        if seconds > self._patience or seconds >= self._remaining():
            return False
        self._sleep(seconds)
        return True

    def _remaining(self) -> float:
        return max(0.0, self._deadline - self._clock())

    def _within(self, seconds: float) -> float:
        remaining = self._remaining()
        if remaining == 0:
            raise _spent()
        return min(seconds, remaining)

    def _give_up(self, passing: _PassingError) -> NoReturn:
        raise (_spent() if self._remaining() == 0 else passing.error) from passing


class _Session(requests.Session):
    """A session that sends what it is told to, and remembers and follows nothing; threads share it."""

    def __init__(self, connections: int) -> None:
        super().__init__()
        self.headers["User-Agent"] = f"brew-provenance/{brew_provenance.__version__}"
        # With an auth of its own a session does not look for passwords in ~/.netrc.
        self.auth = _leave_alone
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=connections))

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the library's name
        # Otherwise requests reads and decompresses the whole body of a redirect, whatever its size.
        return None


class _Origin(NamedTuple):
    """To whom a request goes."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        standard = self.port == (443 if self.scheme == "https" else 80)
        return self.host if standard else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


class _Request(NamedTuple):
    """What is sent, and what may come of it."""

    url: str
    origin: _Origin
    headers: Mapping[str, str]
    body: bytes | None
    limit: int
    redirects: Redirects


def is_loopback(url: str) -> bool:
    """Say whether an http or https URL leads to this very machine.

    That is a loopback address in its usual form, or the name `localhost` alone, which RFC 6761 gives
    to this machine and which only its owner can point elsewhere.
    """
    origin = _origin(url)
    return origin is not None and origin.is_loopback


def _request(
    url: str,
    headers: Mapping[str, str] | None,
    body: bytes | None = None,
    limit: int = 0,
    redirects: Redirects = Redirects.ANY_HOST,
) -> _Request:
    for name, value in (headers or {}).items():
        # The value may be a secret, and what the libraries say of a bad one quotes it.
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise TransportError("header-refused", f"the value of {name} is not one line of plain text")
    return _Request(url, _checked(url), headers or {}, body, limit, redirects)


def _origin(url: str) -> _Origin | None:
    """Return to whom a request for `url` goes; None where that is not plain."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme, host, port = match[1].lower(), match[2].lower(), match[3]
    number = int(port or (443 if scheme == "https" else 80))
    return _Origin(scheme, host, number) if 0 < number < 65536 else None


def _checked(url: str) -> _Origin:
    origin = _origin(url)
    if origin is None or not (origin.scheme == "https" or origin.is_loopback):
        raise TransportError("url-refused", f"not a plain https URL: {url[:200]!a}")
    return origin


def _redirected(url: str, target: str) -> tuple[str, _Origin]:
    """Return where a redirect leads: to https, and to this machine only from this machine."""
    here = _checked(url)
    with suppress(ValueError):
        target = urljoin(url, target)
    there = _origin(target)
    if there is None or not (here.is_loopback if there.is_loopback else there.scheme == "https"):
        raise TransportError("redirect-refused", f"{here} redirects to {target[:200]!a}")
    return target, there


def _decoded(response: requests.Response, received: bytearray, limit: int) -> bytes:
    """Undo gzip, and nothing else: nothing else was asked for. A byte past `limit` ends it."""
    origin = _checked(response.url)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity" or not received:
        return bytes(received)
    if encoding not in {"gzip", "x-gzip"}:
        raise TransportError("answer-unreadable", f"{origin} used the unasked encoding {encoding[:40]!a}")
    gunzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        body = gunzip.decompress(received, limit + 1)
    except zlib.error as error:
        raise TransportError("answer-unreadable", f"{origin} sent damaged gzip: {error}") from error
    if len(body) > limit:
        raise _too_long(origin, limit)
    if not gunzip.eof:
        raise _PassingError(TransportError("connection-broken", f"{origin} cut its answer short"))
    if gunzip.unused_data:
        raise TransportError("answer-unreadable", f"{origin} sent more after the end of its gzip")
    return body


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _backoff(attempt: int) -> float:
    jitter = 0.5 + random.random()  # noqa: S311 - no secret
    return _FIRST_PAUSE * jitter * (1 << (attempt - 1))


def _spent() -> TransportError:
    return TransportError("time-budget-spent", "the time allowed for the network is used up")


def _too_long(origin: _Origin, limit: int) -> TransportError:
    return TransportError("answer-too-long", f"{origin} sent more than the limit of {limit:,} bytes")


def _limited(origin: _Origin, seconds: float) -> TransportError:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return TransportError(
        "rate-limited", f"{origin} takes no more requests until {until:%Y-%m-%d %H:%M:%S} UTC"
    )


def _reply(response: requests.Response, body: bytes) -> Reply:
    return Reply(response.status_code, response.headers, body, response.url)


_CAUSES: Final[tuple[tuple[tuple[type[BaseException], ...], str, bool], ...]] = (
    ((urllib3_errors.ProxyError,), "proxy-failed", True),
    ((urllib3_errors.NameResolutionError,), "host-not-found", False),
    ((ssl.SSLEOFError,), "connection-broken", True),
    ((ssl.SSLError, urllib3_errors.SSLError), "tls-failed", False),
    ((urllib3_errors.ConnectTimeoutError,), "connection-failed", True),
    ((urllib3_errors.ReadTimeoutError,), "answer-timed-out", True),
    ((ConnectionError, http.client.IncompleteRead), "connection-broken", True),
    ((http.client.HTTPException, urllib3_errors.InvalidHeader), "answer-unreadable", False),
    ((urllib3_errors.ProtocolError,), "connection-broken", True),
)
"""What the libraries raise, its reason code, and whether another attempt may go better; the first counts."""


@contextmanager
def _translated(origin: _Origin) -> Iterator[None]:
    """Turn what the HTTP libraries raise into our own error, with a cause that a person can act on."""
    try:
        yield
    except (requests.RequestException, urllib3_errors.HTTPError) as error:
        links = list(_chain(error))
        code, passing = next(
            (
                (code, passing)
                for kinds, code, passing in _CAUSES
                if any(isinstance(link, kinds) for link in links)
            ),
            ("connection-failed", False),
        )
        to = f"the proxy for {origin}" if code == "proxy-failed" else origin
        text = str(links[-1])[:200].encode("unicode_escape").decode()
        found = TransportError(code, f"{to}: {text or type(links[-1]).__name__}")
        raise (_PassingError(found) if passing else found) from error
    except OSError as error:
        # Certificates that the environment names and that are not there; all else comes wrapped.
        raise TransportError("tls-failed", f"{origin}: {error}") from error


def _chain(error: object) -> Iterator[BaseException]:
    """Yield an exception and all that it was made from, the root last."""
    if isinstance(error, BaseException):
        yield error
        for inner in (*error.args, getattr(error, "reason", None), error.__cause__):
            yield from _chain(inner)
