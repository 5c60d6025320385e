"""Where a statement of a formula counts: `on_…` blocks and conditions, in the words of `Dependency`.

What the blocks are called and what they take is Homebrew's `on_system.rb`.
"""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from brew_provenance.formula.syntax import arguments_of, pair_of, symbol_of, text_of
from brew_provenance.macos import VERSIONS

Conditions = tuple[str, ...]
"""All that has to hold (`Dependency.conditions`)."""

_RELEASES: Final = tuple(VERSIONS)
"""The newest first."""

_SIMPLE: Final = frozenset({"on_macos", "on_linux", "on_arm", "on_intel"})
_BOUND = re.compile(r"(?P<release>\w+?)(?P<bound>_or_newer|_or_older)?", re.ASCII)
_PREDICATES: Final = {
    "OS.mac?": "on_macos",
    "OS.linux?": "on_linux",
    "Hardware::CPU.arm?": "on_arm",
    "Hardware::CPU.intel?": "on_intel",
}
_MACOS_COMPARED = re.compile(r"MacOS\.version (?P<sign>>=|<=|==) :(?P<release>\w+)", re.ASCII)
_SUFFIXES: Final = {">=": "_or_newer", "<=": "_or_older", "==": ""}
_MAX_TEXT = 80


def block_conditions(method: str, node: Node) -> Conditions | None:
    """Return what has to hold for the block of an `on_…` call; None for any other call.

    A call that brew would not understand gives a condition that cannot be known.
    """
    if not method.startswith("on_") or node.child_by_field_name("block") is None:
        return None
    arguments = arguments_of(node)
    if method in _SIMPLE and not arguments:
        return (method,)
    if method.removeprefix("on_") in VERSIONS:
        bounds = [symbol_of(argument) for argument in arguments]
        if not bounds:
            return (method,)
        if bounds in (["or_newer"], ["or_older"]):
            return (f"{method}_{bounds[0]}",)
    if method == "on_system" and len(arguments) == 2 and symbol_of(arguments[0]) == "linux":
        key, value = pair_of(arguments[1])
        if key == "macos" and value is not None and (found := _or_on_linux(symbol_of(value))) is not None:
            return found
    return (f"in {_shown(text_of(node).partition(' do')[0])}",)


def _or_on_linux(bound: str) -> Conditions | None:
    """Return the conditions for Linux and some releases of macOS: none of the releases beyond them."""
    match = _BOUND.fullmatch(bound)
    if match is None or match["release"] not in VERSIONS:
        return None
    place = _RELEASES.index(match["release"])
    newer = [f"not:on_{release}_or_newer" for release in _RELEASES[:place][-1:]]
    older = [f"not:on_{release}_or_older" for release in _RELEASES[place + 1 :][:1]]
    if match["bound"] == "_or_newer":
        return tuple(older)
    return tuple(newer) if match["bound"] == "_or_older" else (*newer, *older)


def condition_of(node: Node | None) -> str:
    """Return what has to hold for the consequence of an `if`."""
    text = " ".join(text_of(node).split())
    if text in _PREDICATES:
        return _PREDICATES[text]
    if text.startswith("!") and text[1:] in _PREDICATES:
        return denied(_PREDICATES[text[1:]])
    match = _MACOS_COMPARED.fullmatch(text)
    if match and match["release"] in VERSIONS:
        return f"on_{match['release']}{_SUFFIXES[match['sign']]}"
    return f"if {_shown(text)}"


def denied(condition: str) -> str:
    """Return what has to hold where `condition` does not."""
    return condition.removeprefix("not:") if condition.startswith("not:") else f"not:{condition}"


def _shown(text: str) -> str:
    return " ".join(text.split())[:_MAX_TEXT]
