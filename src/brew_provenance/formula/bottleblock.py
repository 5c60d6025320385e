"""The bottle block of a formula: read, and taken out. Homebrew's `bottle_specification.rb`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

from brew_provenance.bottle import BottleTag, Digest
from brew_provenance.formula import FormulaError
from brew_provenance.formula.syntax import (
    BYTE_ORDER_MARK,
    arguments_of,
    block_of,
    line_of,
    method_of,
    pair_of,
    parse,
    plain_number,
    string_of,
    symbol_of,
)

DEFAULT_ROOT_URL: Final = "https://ghcr.io/v2/homebrew/core"
"""Where bottles are whose block names no root URL, in any tap (`BottleSpecification#root_url`)."""

_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_LINE_END = re.compile(rb"[ \t]*\r?\n")


@dataclass(frozen=True)
class DeclaredBottle:
    """One line of a bottle block."""

    tag: str
    """The tag as it is written."""

    digest: Digest
    line: int
    """Counted from 1."""


@dataclass(frozen=True)
class BottleBlock:
    """What a bottle block says."""

    root_url: str | None
    """Without a slash at its end; None where it would have to be computed."""

    rebuild: int
    bottles: tuple[DeclaredBottle, ...]


def is_bottle_block(node: Node) -> bool:
    """Say whether a statement of a formula's class is its bottle block."""
    return method_of(node) == "bottle" and node.child_by_field_name("block") is not None


def read_bottle_block(node: Node, known: Mapping[str, str]) -> BottleBlock:
    """Read a bottle block. `known` is what can stand in the `#{…}` of its root URL.

    Raises FormulaError for one that does not write out what it says.
    """
    root_url: str | None = DEFAULT_ROOT_URL
    rebuilds: list[int] = []
    declared: list[DeclaredBottle] = []
    for statement in block_of(node):
        match method_of(statement):
            case "root_url":
                arguments = arguments_of(statement)
                root_url = string_of(arguments[0], known) if arguments else None
            case "rebuild":
                rebuilds.append(plain_number(statement))
            case "sha256":
                declared.append(_bottle(statement))
            case "cellar" | "prefix":
                pass  # older forms, of no consequence for which bottle it is
            case _ if statement.type != "comment":
                raise FormulaError(f"line {line_of(statement)}: something to run in the bottle block")
    if len(rebuilds) > 1:
        raise FormulaError(f"line {line_of(node)}: two rebuilds in the bottle block")
    tags = [BottleTag.parse(one.tag) for one in declared]
    for number, tag in enumerate(tags):
        if tag in tags[:number]:
            raise FormulaError(f"line {declared[number].line}: a second bottle for {tag}")
    root_url = root_url.rstrip("/") if root_url is not None else None
    return BottleBlock(root_url, rebuilds[0] if rebuilds else 0, tuple(declared))


def without_bottle_block(source: bytes) -> bytes:
    """Return a formula's source as it is before its bottles are written into it.

    Taken out are the lines of the bottle block and one blank line after it, as brew does when it packs
    a formula into its bottle (`formula_installer.rb`). The block is found in the syntax tree, so that
    a comment or a string cannot pass for it. A source without one is returned as it is.

    Raises FormulaError when it is not Ruby.
    """
    for node in parse(source).named_children:
        body = node.child_by_field_name("body") if node.type == "class" else None
        for statement in body.named_children if body is not None else ():
            if is_bottle_block(statement):
                return _cut(source, statement)
    return source


def describe_difference(ours: bytes, theirs: bytes) -> str | None:
    """Say where two formula files differ but for their bottle blocks; None when they do not.

    Raises FormulaError when one is not Ruby.
    """
    left, right = (without_bottle_block(text).splitlines() for text in (ours, theirs))
    for number, (one, other) in enumerate(zip(left, right, strict=False), 1):
        if one != other:
            return f"line {number}, not counting the bottle block: {_quoted(one)} and {_quoted(other)}"
    if len(left) != len(right):
        return f"{len(left)} lines and {len(right)}, not counting the bottle block"
    return None


def _quoted(line: bytes) -> str:
    return repr(line.strip()[:60].decode("utf-8", "replace"))


def _cut(source: bytes, node: Node) -> bytes:
    # Offsets are counted without the byte order mark, which is not parsed.
    mark = len(BYTE_ORDER_MARK) if source.startswith(BYTE_ORDER_MARK) else 0
    start, end = node.start_byte + mark, node.end_byte + mark
    while start and source[start - 1 : start] in {b" ", b"\t"}:
        start -= 1
    for _ in range(2):
        if match := _LINE_END.match(source, end):
            end = match.end()
    return source[:start] + source[end:]


def _bottle(statement: Node) -> DeclaredBottle:
    """Read `sha256 cellar: …, TAG: "…"`, or the older `sha256 "…" => :TAG`."""
    line = line_of(statement)
    found: list[tuple[str, str | None]] = []
    for argument in arguments_of(statement):
        key, value = pair_of(argument)
        if key == "cellar":
            continue
        left, right = argument.child_by_field_name("key"), argument.child_by_field_name("value")
        if key and value is not None:
            found.append((key, string_of(value, {})))
        elif left is not None and right is not None:
            found.append((symbol_of(right), string_of(left, {})))
    text = found[0][1] if len(found) == 1 else None
    if text is None:
        raise FormulaError(f"line {line}: the digest of a bottle is not written out")
    if _HEX.fullmatch(text) is None:
        raise FormulaError(f"line {line}: {text[:80]!r} is not a sha256 digest")
    tag = found[0][0]
    try:
        BottleTag.parse(tag)
    except ValueError as error:
        raise FormulaError(f"line {line}: {error}") from error
    return DeclaredBottle(tag, Digest("sha256", text.lower()), line)
