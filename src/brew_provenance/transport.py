"""HTTP with manners: bounded in bytes and time, retried with care, and no secret to a second host.

Whoever answers controls status, headers, body, pace and redirects. Nothing here trusts any of it:
bodies have a limit, every wait counts against one budget of time, and a redirect to another host is
followed only where the caller asks for it, without the Authorization header.
"""

from __future__ import annotations

import ipaddress
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from http.cookiejar import DefaultCookiePolicy
from typing import Final, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3.exceptions

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
_TEMPORARY = frozenset({500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Redirects(Enum):
    """Which redirects are followed."""

    SAME_HOST = "same host"
    """To the same scheme, host and port only."""

    ANY_HOST = "any host"
    """To any https host; another one does not get the Authorization header."""


class TransportError(Exception):
    """A request got no usable answer. `code` is a reason code, and the text says what was seen."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


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

    def __init__(
        self,
        *,
        budget: float | None = 120.0,
        patience: float = 20.0,
        at_once: int = 16,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Spend at most `budget` seconds in all (None: no limit), and `patience` on any single wait.

        At most `at_once` requests are under way at a time when they are sent through `spread`.
        """
        self._clock = clock
        self._sleep = sleep
        self._deadline = None if budget is None else clock() + budget
        self._patience = patience
        self._at_once = at_once
        self._not_before: dict[str, float] = {}
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def send(  # noqa: PLR0913 - the parts of a request
        self,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        redirects: Redirects = Redirects.SAME_HOST,
        pause: Pause = no_pause,
    ) -> Reply:
        """GET `url`, or POST `body` to it, and return the answer with at most `limit` bytes of body.

        A 5xx status and a broken connection are met with another attempt after a growing, jittered
        pause; the last 5xx is returned. Where `pause` gives a time, nobody asks that host before it is
        over; a longer one than this object's patience, or the last attempt, ends in `rate-limited`.

        Raises TransportError.
        """
        host = _host(url)
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            if (wait := self._not_before.get(host, 0.0) - self._clock()) > 0:
                self._wait(wait, _limited(host, wait))
            try:
                reply = self._attempt(url, limit, headers or {}, body, redirects)
            except _PassingError as passing:
                if last:
                    raise passing.error from passing
                self._wait(_backoff(attempt), passing.error)
                continue
            asked = pause(reply)
            if asked is not None:
                # Whoever else is about to ask this host waits as well.
                self._not_before[host] = self._clock() + asked
                if last:
                    raise _limited(host, asked)
            elif reply.status in _TEMPORARY and not last:
                self._wait(_backoff(attempt), TransportError("time-budget-spent", f"{host} is failing"))
            else:
                return reply
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    @contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[tuple[Reply, Iterator[bytes]]]:
        """GET `url` across hosts, once, and give the answer without body and the body in pieces.

        The body is what was sent, not decompressed. Raises TransportError, also while it is read.
        """
        try:
            with self._open(url, headers or {}, None, Redirects.ANY_HOST, encodings="identity") as response:
                yield _reply(response, b""), self._pieces(response, decode=False)
        except _PassingError as passing:
            raise passing.error from passing

    def spread(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[tuple[_Item, _Result | TransportError]]:
        """Call `function` on every item, several at once, and yield results as they come.

        A TransportError is a result. When the budget is spent, what is still under way is left alone
        and yields a TransportError as well: an answer that comes in drops cannot hold anybody up.
        """
        waiting: queue.SimpleQueue[tuple[int, _Item]] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[int, _Result | BaseException]] = queue.SimpleQueue()
        missing = dict(enumerate(items))
        for numbered in missing.items():
            waiting.put(numbered)

        def work() -> None:
            with suppress(queue.Empty):
                while True:
                    number, item = waiting.get_nowait()
                    try:
                        done.put((number, function(item)))
                    except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                        done.put((number, error))

        for _ in range(min(self._at_once, len(missing))):
            threading.Thread(target=work, daemon=True).start()
        while missing:
            try:
                number, result = done.get(timeout=self._remaining())
            except queue.Empty:
                break
            item = missing.pop(number)
            if isinstance(result, BaseException):
                if not isinstance(result, TransportError):
                    raise result
                yield item, result
            else:
                yield item, result
        with suppress(queue.Empty):
            while True:
                waiting.get_nowait()
        for item in missing.values():
            yield item, self._spent()

    def _attempt(
        self, url: str, limit: int, headers: Mapping[str, str], body: bytes | None, redirects: Redirects
    ) -> Reply:
        with self._open(url, headers, body, redirects, encodings="gzip") as response:
            received = bytearray()
            for piece in self._pieces(response, decode=True):
                received += piece
                if len(received) > limit:
                    raise TransportError(
                        "answer-too-long", f"{_host(url)} sent more than the limit of {limit:,} bytes"
                    )
            return _reply(response, bytes(received))

    @contextmanager
    def _open(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        redirects: Redirects,
        *,
        encodings: str,
    ) -> Iterator[requests.Response]:
        sent = {**headers, "Accept-Encoding": encodings}
        for _ in range(MAX_REDIRECTS + 1):
            _check_url(url)
            with _translated(url):
                response = self._session().request(
                    "GET" if body is None else "POST",
                    url,
                    data=body,
                    headers=sent,
                    stream=True,
                    allow_redirects=False,
                    timeout=(self._within(CONNECT_TIMEOUT), self._within(READ_TIMEOUT)),
                )
            with response:
                target = response.headers.get("Location")
                if response.status_code not in _REDIRECTS or target is None:
                    yield response
                    return
            following = urljoin(url, target)
            if _origin(following) != _origin(url):
                if redirects is Redirects.SAME_HOST:
                    raise TransportError(
                        "redirect-refused", f"{_host(url)} redirects to another host, {_host(following)}"
                    )
                sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
            url = following
        raise TransportError("redirect-refused", f"{_host(url)} redirects without end")

    def _pieces(self, response: requests.Response, *, decode: bool) -> Iterator[bytes]:
        """Yield what has come, piece by piece; a slow sender is held to the budget, not to a timeout."""
        while True:
            self._remaining_or_raise()
            with _translated(response.url):
                piece = response.raw.read1(_CHUNK, decode_content=decode)
            if not piece and response.raw.closed:
                return
            if not piece and getattr(response.raw, "length_remaining", None):
                raise _PassingError(
                    TransportError("connection-broken", f"{_host(response.url)} cut its answer short")
                )
            if not piece:
                return
            yield piece

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.headers["User-Agent"] = f"brew-provenance/{brew_provenance.__version__}"
            # With an auth of its own a session does not look for passwords in ~/.netrc.
            session.auth = _leave_alone
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session

    def _wait(self, seconds: float, reason: TransportError) -> None:
        remaining = self._remaining()
        if seconds > self._patience or (remaining is not None and seconds >= remaining):
            raise reason
        self._sleep(seconds)

    def _remaining(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def _remaining_or_raise(self) -> float | None:
        remaining = self._remaining()
        if remaining == 0:
            raise self._spent()
        return remaining

    def _within(self, seconds: float) -> float:
        remaining = self._remaining_or_raise()
        return seconds if remaining is None else min(seconds, remaining)

    @staticmethod
    def _spent() -> TransportError:
        return TransportError("time-budget-spent", "the time allowed for the network is used up")


def is_loopback(url: str) -> bool:
    """Say whether a URL leads to this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _backoff(attempt: int) -> float:
    jitter = 0.5 + random.random()  # noqa: S311 - no secret
    return _FIRST_PAUSE * jitter * (1 << (attempt - 1))


def _limited(host: str, seconds: float) -> TransportError:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return TransportError("rate-limited", f"{host} answers no more requests until {until:%H:%M:%S} UTC")


def _reply(response: requests.Response, body: bytes) -> Reply:
    return Reply(response.status_code, response.headers, body, response.url)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or "the server"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        allowed = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        allowed = usable = False
    if not (allowed and usable):
        raise TransportError("url-refused", f"not an https URL: {url[:200]!r}")


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn what the HTTP libraries raise into our own error, with a cause that a person can act on."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        code, passing = _cause(error)
        found = TransportError(code, f"{_host(url)}: {_innermost(error)}")
        raise (_PassingError(found) if passing else found) from error
    except ValueError as error:
        # Names that cannot be encoded, headers with line breaks: requests lets some of these through.
        raise TransportError("url-refused", f"{_host(url)}: {error}") from error


def _cause(error: Exception) -> tuple[str, bool]:
    """Return a reason code, and whether another attempt may go better."""
    inner = _reason(error)
    if isinstance(inner, urllib3.exceptions.NameResolutionError):
        return "host-not-found", False
    if isinstance(error, requests.exceptions.SSLError) or isinstance(inner, urllib3.exceptions.SSLError):
        return "tls-failed", False
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return "url-refused", False
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return "answer-timed-out", True
    if isinstance(inner, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ProxyError):
        return "connection-failed", True
    if isinstance(error, urllib3.exceptions.DecodeError | requests.exceptions.ContentDecodingError):
        return "answer-unreadable", False
    return "connection-broken", True


def _reason(error: Exception) -> object:
    first = error.args[0] if error.args else None
    return getattr(first, "reason", first)


def _innermost(error: Exception) -> str:
    reason = _reason(error)
    text = str(reason if isinstance(reason, Exception) else error)
    # urllib3 begins with the repr of a connection object.
    return text.rpartition(": ")[2][:200] or type(error).__name__
