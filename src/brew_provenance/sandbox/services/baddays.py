"""What can go wrong with a server, by names: `ca=down`, `log=lost:1`, `publishing=503:2`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from brew_provenance.errors import UsageError
from brew_provenance.sandbox.github.exchange import Call, Reply
from brew_provenance.sandbox.github.faults import Fault, Faults, hang_up, lose_answer, refuse, slow_headers
from brew_provenance.sandbox.services.service import Form

SLOW_SECONDS: Final = 3.0
"""How late a slow server answers."""

FOREVER_SECONDS: Final = 86_400.0
"""How late a server answers that hangs."""


class Place(NamedTuple):
    """Which requests a bad day is about."""

    server: str
    method: str = "*"
    path: str = "*"
    """Patterns of `fnmatch`."""


PLACES: Final[Mapping[str, Place]] = {
    "oidc": Place("oidc"),
    "ca": Place("ca"),
    "log": Place("log"),
    "timestamping": Place("timestamping"),
    "github": Place("github"),
    "publishing": Place("github", "POST", "/repos/*/attestations"),
    "store": Place("github", "*", "/*/attestations*"),
    "actions": Place("github", "*", "/repos/*/actions/*"),
    "blobs": Place("github", "*", "/attestations/*"),
    "formulae": Place("formulae"),
    "registry": Place("registry"),
}
"""What can have a bad day: a server, or a part of GitHub's."""

KINDS: Final[Mapping[str, Callable[[], Fault]]] = {
    "down": hang_up,
    "lost": lose_answer,
    "cut": lambda: Fault("cut", lambda _, reply: replace(reply, keep=len(reply.body) // 2)),
    "slow": lambda: slow_headers(SLOW_SECONDS),
    "hang": lambda: slow_headers(FOREVER_SECONDS),
}
"""What goes wrong, beside a status from 400 to 599: `down` resets the connection and does nothing; `lost`
does what is asked and resets the connection in place of an answer; `cut` stops within the answer; `slow`
answers seconds later, and `hang` never."""

_CHOICE = re.compile(r"([a-z]{1,20})=([a-z]{1,20}|[45][0-9]{2})(?::([1-9][0-9]{0,5}))?")


@dataclass(frozen=True)
class BadDay:
    """Something that will go wrong."""

    place: str
    """One of PLACES."""

    kind: str
    """One of KINDS, or a status from 400 to 599."""

    times: int | None = None
    """How many requests it happens to; None for all."""

    @classmethod
    def parse(cls, text: str) -> BadDay:
        """Read `SERVICE=KIND` or `SERVICE=KIND:N`. Raises UsageError."""
        match = _CHOICE.fullmatch(text)
        if match is None:
            raise UsageError(
                f"--fault {text}", "not SERVICE=KIND[:N]", "write for example ca=down or log=503:2"
            )
        day = cls(match[1], match[2], int(match[3]) if match[3] else None)
        if day.place not in PLACES:
            raise UsageError(f"--fault {text}", f"there is no {day.place}", f"one of {', '.join(PLACES)}")
        if day.kind not in KINDS and not day.kind.isdigit():
            kinds = ", ".join(KINDS)
            raise UsageError(f"--fault {text}", f"there is no {day.kind}", f"one of {kinds}, or a status")
        return day

    def order(self, faults: Mapping[str, tuple[Faults, Form]]) -> None:
        """Let it happen, given the faults of each server and how that server words an error."""
        place = PLACES[self.place]
        waiting, form = faults[place.server]
        fault = _status(int(self.kind), form) if self.kind.isdigit() else KINDS[self.kind]()
        waiting.inject(fault, self.times, method=place.method, path=place.path)


def _status(status: int, form: Form) -> Fault:
    if status == 429:
        return Fault("refusal 429", instead=lambda _: _too_many(form))
    if status == 409:
        return Fault("conflict", lambda call, reply: _conflict(call, reply, form))
    return refuse(status, form)


def _too_many(form: Form) -> Reply:
    reply = form(429, "You have exceeded a secondary rate limit.")
    return replace(reply, headers={**reply.headers, "retry-after": "1"})


def _conflict(_: Call, reply: Reply, form: Form) -> Reply:
    """Return what is said to whoever asks again for what was done: also where it is, if that was said."""
    conflict = form(409, "an equivalent entry already exists")
    location = {name: value for name, value in reply.headers.items() if name == "location"}
    return replace(conflict, headers={**conflict.headers, **location})
