"""What the store was asked: so that a test can say who saw a token, and how much went over the wire."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from brew_provenance.sandbox.github.exchange import Call, Reply, Side


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request and the size of its answer."""

    side: Side
    """Which host its path belongs to."""

    origin: str
    """The server that took it: `http://127.0.0.1:PORT`."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Headers by their names in lower case."""

    request_bytes: int
    """Length of the request's body."""

    status: int
    response_bytes: int
    """How much of a body was sent, or would have been to a client that stays."""

    @property
    def authorization(self) -> str | None:
        """The credentials that came with it."""
        return self.headers.get("authorization")


class RequestLog:
    """Records requests in the order of their answers; from any thread."""

    def __init__(self, keep: int | None = None) -> None:
        """Keep the last `keep` records, all of them with None; the totals go on for ever."""
        self._lock = threading.Lock()
        self._records: deque[RequestRecord] = deque(maxlen=keep)
        self._total = 0
        self._total_bytes = 0

    @property
    def records(self) -> tuple[RequestRecord, ...]:
        """The records that are kept."""
        with self._lock:
            return tuple(self._records)

    @property
    def total(self) -> int:
        """How many requests were answered."""
        with self._lock:
            return self._total

    @property
    def total_bytes(self) -> int:
        """How many bytes of bodies were sent."""
        with self._lock:
            return self._total_bytes

    @property
    def leaks(self) -> tuple[RequestRecord, ...]:
        """The records of requests that showed credentials to the blob host."""
        return tuple(
            record for record in self.records if record.side == "blobs" and record.authorization is not None
        )

    def count(self, method: str = "*", path: str = "*") -> int:
        """Return how many of the records have a method and a path that match these patterns of `fnmatch`."""
        return sum(
            fnmatchcase(record.method, method) and fnmatchcase(record.path, path) for record in self.records
        )

    def clear(self) -> None:
        """Forget the records; the totals stay."""
        with self._lock:
            self._records.clear()

    def add(self, call: Call, reply: Reply) -> None:
        """Record a request and the answer that is about to be sent."""
        sent = len(reply.sent)
        record = RequestRecord(
            side=call.side,
            origin=call.origin,
            method=call.method,
            path=call.path,
            query=call.query_string,
            headers=call.headers,
            request_bytes=len(call.body),
            status=reply.status,
            response_bytes=sent,
        )
        with self._lock:
            self._records.append(record)
            self._total += 1
            self._total_bytes += sent
