"""Which bottle brew would pour on this machine. Source: brew's `utils/bottles.rb` and `macos_version.rb`."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from typing import NamedTuple

from brew_provenance.bottle import ALL_TAG, BottleTag
from brew_provenance.errors import UsageError

_MACOS = {
    "golden_gate": (27,),
    "tahoe": (26,),
    "sequoia": (15,),
    "sonoma": (14,),
    "ventura": (13,),
    "monterey": (12,),
    "big_sur": (11,),
    "catalina": (10, 15),
    "mojave": (10, 14),
    "high_sierra": (10, 13),
    "sierra": (10, 12),
    "el_capitan": (10, 11),
    "yosemite": (10, 10),
}
# What macOS 11 and later call themselves to programs built for older ones.
_COMPATIBLE = (10, 16)


class Choice(NamedTuple):
    """A tag, and why it was chosen."""

    tag: str
    """The tag as the formula declares it."""

    why: str
    """One phrase for the verdict."""


def host_tag() -> BottleTag:
    """Return this machine's bottle tag. Raises UsageError where brew has none."""
    arch = {"arm64": "arm64", "aarch64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}.get(
        platform.machine().lower()
    )
    system = platform.system()
    if arch and system == "Linux":
        return BottleTag("linux", arch)
    if arch and system == "Darwin" and (name := macos_name(platform.mac_ver()[0])):
        return BottleTag(name, arch)
    raise UsageError(
        "this machine",
        f"{system} on {platform.machine()} has no bottles of its own",
        "name one with --tag TAG",
    )


def macos_name(version: str) -> str | None:
    """Return brew's name for a macOS version, `15.6.1` to `sequoia`; None for an unknown one."""
    if re.fullmatch(r"\d+(\.\d+)*", version, re.ASCII) is None:
        return None
    numbers = tuple(int(part) for part in version.split("."))
    if numbers[:2] == _COMPATIBLE:
        return "big_sur"
    key = numbers[:2] if numbers[0] == _COMPATIBLE[0] else numbers[:1]
    return next((name for name, number in _MACOS.items() if number == key), None)


def choose_tag(declared: Sequence[str], host: BottleTag) -> Choice | None:
    """Return the declared tag that brew pours on `host`; None when there is none.

    That is `host` itself, else `all`, else on macOS the first declared one of the same architecture
    that is older.
    """
    tags = {text: BottleTag.parse(text) for text in declared}
    for text, tag in tags.items():
        if tag == host:
            return Choice(text, "the tag asked for")
    if ALL_TAG in tags:
        return Choice(ALL_TAG, f"for every platform, there is none for {host} alone")
    if host.system not in _MACOS:
        return None
    for text, tag in tags.items():
        if tag.arch == host.arch and tag.system in _MACOS and _MACOS[tag.system] <= _MACOS[host.system]:
            return Choice(text, f"the first older macOS declared, there is none for {host}")
    return None
