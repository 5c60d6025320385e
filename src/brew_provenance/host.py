"""Which bottle brew would pour on this machine. Source: brew's `utils/bottles.rb`."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import NamedTuple

from brew_provenance.bottle import ALL_TAG, BottleTag
from brew_provenance.errors import UsageError
from brew_provenance.macos import VERSIONS, macos_name


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
    if host.system not in VERSIONS:
        return None
    for text, tag in tags.items():
        if tag.arch == host.arch and tag.system in VERSIONS and VERSIONS[tag.system] <= VERSIONS[host.system]:
            return Choice(text, f"the first older macOS declared, there is none for {host}")
    return None
