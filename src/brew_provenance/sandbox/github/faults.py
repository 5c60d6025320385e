"""Bad days on demand: what goes wrong, and with which of the next requests.

A fault is a value that changes a request before it is answered, or the answer before it is sent. The
functions below make the usual ones; any other is one line away.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

from brew_provenance.bottle import Digest
from brew_provenance.sandbox.github.exchange import Call, Drip, Reply, reply_error
from brew_provenance.sandbox.github.pages import BEFORE_ALL
from brew_provenance.sandbox.wire import JsonObject, encode_json

Ask: TypeAlias = Callable[[Call], Call]
Alter: TypeAlias = Callable[[Call, Reply], Reply]

_MEGABYTE = 1 << 20
_ROW_KEYS: Final = ("attestations", "attestations_subject_digests")
_SNAPPY_LENGTH = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with a request."""

    name: str
    """What it is called where it is listed."""

    alter: Alter = field(default=lambda _, reply: reply)
    """What is answered, given the request and the right answer to what was asked."""

    ask: Ask = field(default=lambda call: call)
    """What the store is asked instead of the request."""

    concerns: Callable[[Call], bool] = field(default=lambda _: True)
    """Whether a request is of the kind that it can happen to."""

    instead: Callable[[Call], Reply] | None = None
    """What is answered while nothing at all is done; None for doing what was asked."""

    def answer(self, call: Call, carry_out: Callable[[Call], Reply]) -> Reply:
        """Return what a request that meets the fault is answered."""
        if self.instead is not None:
            return self.instead(call)
        return self.alter(call, carry_out(self.ask(call)))


@dataclass
class _Order:
    """A fault that is waiting for its requests."""

    fault: Fault
    times: int | None
    method: str
    path: str

    def fits(self, call: Call) -> bool:
        return (
            fnmatchcase(call.method, self.method)
            and fnmatchcase(call.path, self.path)
            and self.fault.concerns(call)
        )


class Faults:
    """The faults to come; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[_Order] = []

    def inject(self, fault: Fault, times: int | None = 1, *, method: str = "*", path: str = "*") -> None:
        """Let a fault happen to the next `times` requests, or to all with None, that fit.

        `method` and `path` are patterns of `fnmatch`. A request meets the first fault that it fits.
        """
        with self._lock:
            self._orders.append(_Order(fault, times, method, path))

    def take(self, call: Call) -> Fault | None:
        """Return what goes wrong with a request."""
        with self._lock:
            order = next((order for order in self._orders if order.fits(call)), None)
            if order is None:
                return None
            if order.times is not None:
                order.times -= 1
                if order.times <= 0:
                    self._orders.remove(order)
            return order.fault

    @property
    def waiting(self) -> tuple[str, ...]:
        """The names of the faults that are still to come."""
        with self._lock:
            return tuple(order.fault.name for order in self._orders)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._orders.clear()


def respond(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Fault:
    """Answer with a status, whatever was asked; an error without a body gets the API's own."""
    reply = Reply(status, body, dict(headers or {}))
    if not body and status >= 400:
        standard = reply_error(status, "Something went wrong")
        reply = replace(standard, headers=dict(standard.headers) | dict(headers or {}))
    return Fault(f"status {status}", lambda _call, _reply: reply)


def refuse(status: int, form: Callable[[int, str], Reply] = reply_error) -> Fault:
    """Answer with an error in a server's own form, and do nothing."""
    return Fault(f"refusal {status}", instead=lambda _: form(status, "Something went wrong"))


def hang_up() -> Fault:
    """Reset the connection, and do nothing, as a server that is down."""
    return Fault("hang up", instead=lambda _: Reply(503, hangs_up=True))


def lose_answer() -> Fault:
    """Do what is asked, and reset the connection in place of the answer."""
    return Fault("lose answer", lambda _, reply: replace(reply, hangs_up=True))


def primary_limit(reset: int, status: Literal[403, 429] = 403) -> Fault:
    """Say that the budget is exhausted until `reset`, in seconds since the epoch."""
    return _limit(
        status,
        "API rate limit exceeded",
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)},
    )


def secondary_limit(retry_after: str | None, status: Literal[403, 429] = 403) -> Fault:
    """Say that requests come too fast, with this `retry-after`, or with none."""
    return _limit(
        status,
        "You have exceeded a secondary rate limit.",
        {} if retry_after is None else {"retry-after": retry_after},
    )


def redirect(url: str, status: Literal[301, 302, 307, 308] = 302) -> Fault:
    """Send the client somewhere else."""
    return Fault("redirect", lambda _call, _reply: Reply(status, headers={"location": url}))


def slow_headers(seconds: float) -> Fault:
    """Send nothing at all for a while."""
    return Fault("slow headers", lambda _, reply: replace(reply, wait=seconds))


def slow_body(size: int, pause: float) -> Fault:
    """Send the body in pieces of `size` bytes, with `pause` seconds between them."""
    return Fault("slow body", lambda _, reply: replace(reply, drip=Drip(size, pause)))


def cut_body(keep: int) -> Fault:
    """Close the connection after `keep` bytes of a body whose length was announced."""
    return Fault("cut body", lambda _, reply: replace(reply, keep=keep))


def content_type(value: str) -> Fault:
    """Call the answer something that it is not."""
    return Fault("content type", lambda _, reply: _with_headers(reply, {"content-type": value}))


def body(raw: bytes) -> Fault:
    """Answer with other bytes, under the right status and headers."""
    return Fault("body", lambda _, reply: replace(reply, body=raw))


def invalid_json() -> Fault:
    """Answer with the beginning of a JSON document, as if that were all."""
    return Fault("invalid JSON", lambda _, reply: replace(reply, body=reply.body[: len(reply.body) // 2]))


def deep_json(depth: int = 100_000) -> Fault:
    """Answer with lists within each other, under the right name."""
    return replace(body(b'{"attestations":%b%b}' % (b"[" * depth, b"]" * depth)), name="deep JSON")


def long_body(size: int = 50 * _MEGABYTE) -> Fault:
    """Answer with JSON of at least `size` bytes that means what the right answer means."""
    return Fault("long body", lambda _, reply: replace(reply, body=b" " * size + reply.body))


def duplicate_keys() -> Fault:
    """Put the first key of the answer into it twice, with an empty list in the first place."""

    def alter(_: Call, reply: Reply) -> Reply:
        key = reply.body[1:].partition(b":")[0]
        return replace(reply, body=b"{%b:[],%b" % (key, reply.body[1:]))

    return Fault("duplicate keys", alter)


def null_lists() -> Fault:
    """Answer with null where the rows should be."""

    def edit(document: JsonObject) -> None:
        document.update(dict.fromkeys(document.keys() & _ROW_KEYS))

    return _edit("null lists", edit)


def bare_rows() -> Fault:
    """Answer with rows that have neither a bundle nor a URL."""

    def edit(row: JsonObject) -> None:
        row.pop("bundle", None)
        del row["bundle_url"]

    return _edit_rows("bare rows", edit)


def other_repository(repository_id: int) -> Fault:
    """Answer with rows that claim to be another repository's."""
    return _edit_rows("other repository", lambda row: row.update(repository_id=repository_id))


def other_url(url: str) -> Fault:
    """Answer with rows whose bundles are said to be at `url`, and nowhere else."""

    def edit(row: JsonObject) -> None:
        row.pop("bundle", None)
        row["bundle_url"] = url

    return _edit_rows("other URL", edit)


def other_digest(digest: Digest) -> Fault:
    """Answer for another digest than was asked about; a bulk answer names it openly."""

    def ask(call: Call) -> Call:
        if "digest" in call.parameters:
            return replace(call, parameters={**call.parameters, "digest": str(digest)})
        return replace(call, body=encode_json({"subject_digests": [str(digest)]}))

    return Fault("other digest", ask=ask)


def swapped_digests() -> Fault:
    """Give each digest of a bulk answer the rows of the next one, and the last those of the first."""

    def edit(document: JsonObject) -> None:
        places = [(members, digest) for members in _bulk_members(document) for digest in members]
        rows = [members[digest] for members, digest in places]
        for (members, digest), found in zip(places, rows[1:] + rows[:1], strict=True):
            members[digest] = found

    return _edit("swapped digests", edit)


def cursor_loop() -> Fault:
    """Answer with a next page that is this one again."""

    def alter(call: Call, reply: Reply) -> Reply:
        document = _rows_document(reply)
        if document is None:
            return reply
        cursor = call.query.get("after", BEFORE_ALL)
        if isinstance(info := document.get("page_info"), dict):
            info.update(has_next=True, next=cursor)
            return replace(reply, body=encode_json(document))
        return _with_headers(reply, {"link": f'<{call.origin}{call.path}?after={cursor}>; rel="next"'})

    return Fault("cursor loop", alter)


def missing_page() -> Fault:
    """Know nothing of any page but the first."""
    reply = reply_error(404, "Not Found")
    return Fault("missing page", lambda _call, _reply: reply, concerns=lambda call: call.is_later_page)


def snappy_bomb(declared: int = 4 << 30) -> Fault:
    """Answer with a few bytes that declare to be `declared` bytes once they are decompressed."""
    length = bytearray()
    while declared > 0x7F:
        length.append(declared & 0x7F | 0x80)
        declared >>= 7
    return replace(body(bytes(length) + bytes([declared, 0x00]) + b"a"), name="Snappy bomb")


def corrupt_snappy() -> Fault:
    """Answer with a Snappy block whose first element copies from before its beginning."""

    def alter(_: Call, reply: Reply) -> Reply:
        length = _SNAPPY_LENGTH.match(reply.body)
        return replace(reply, body=(length[0] if length else b"\x01") + b"\xff" * 64)

    return Fault("corrupt Snappy", alter)


def _limit(status: int, message: str, headers: Mapping[str, str]) -> Fault:
    refusal = reply_error(status, message)

    def alter(_: Call, reply: Reply) -> Reply:
        return _with_headers(refusal, {**reply.headers, **refusal.headers, **headers})

    return Fault("rate limit", alter)


def _with_headers(reply: Reply, headers: Mapping[str, str]) -> Reply:
    return replace(reply, headers={**reply.headers, **headers})


def _edit(name: str, edit: Callable[[JsonObject], None]) -> Fault:
    """Return a fault that edits the document of an answer with rows, and lets all others be."""

    def alter(_: Call, reply: Reply) -> Reply:
        document = _rows_document(reply)
        if document is None:
            return reply
        edit(document)
        return replace(reply, body=encode_json(document))

    return Fault(name, alter)


def _edit_rows(name: str, edit: Callable[[JsonObject], None]) -> Fault:
    def edit_all(document: JsonObject) -> None:
        for row in _rows(document):
            edit(row)

    return _edit(name, edit_all)


def _rows_document(reply: Reply) -> JsonObject | None:
    if reply.status != 200 or not reply.body.startswith(b'{"attestations'):
        return None
    document: JsonObject = json.loads(reply.body)
    return document


def _rows(document: JsonObject) -> Iterator[JsonObject]:
    yield from document.get("attestations") or ()
    for members in _bulk_members(document):
        for rows in members.values():
            yield from rows or ()


def _bulk_members(document: JsonObject) -> list[JsonObject]:
    """Return the objects whose keys are digests, of which there are many in one of the two shapes."""
    subjects = document.get("attestations_subject_digests", [])
    return subjects if isinstance(subjects, list) else [subjects]
