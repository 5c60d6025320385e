"""The bottle block of a formula: read, and taken out. Homebrew's `bottle_specification.rb`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

from brew_provenance.bottle import BottleTag, Digest
from brew_provenance.formula import FormulaError
from brew_provenance.formula.syntax import (
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

MAX_BOTTLES: Final = 256
"""Bottles of one formula; homebrew-core's formulae have up to 14."""

_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_WORD = re.compile(rb"\bbottle\b")
_GITHUB_PACKAGES = re.compile(
    r"(?:https://ghcr\.io/v2/|docker://ghcr\.io/)(?P<owner>[\w-]+)/(?P<repository>[\w-]+)", re.ASCII
)
_PLAIN: Final = frozenset({"constant", "scope_resolution", "simple_symbol", "string"})
_MAX_SHOWN = 36


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
    """As brew uses it; None where it would have to be computed."""

    rebuild: int
    bottles: tuple[DeclaredBottle, ...]


def bottle_block(root: Node, source: bytes) -> Node | None:
    """Return the one call of `bottle` with a block, wherever it stands; None where there is none.

    Comments, strings and what follows `__END__` are no calls. Raises FormulaError, which names the
    lines, when there are several: which of them Ruby would run is not for a reader to decide.
    """
    found = list(_bottle_blocks(root, source))
    if len(found) > 1:
        lines = ", ".join(str(line_of(node)) for node in found[:5])
        raise FormulaError(f"{len(found)} bottle blocks: lines {lines}")
    return found[0] if found else None


def _bottle_blocks(root: Node, source: bytes) -> Iterator[Node]:
    for match in _WORD.finditer(source):
        word = root.descendant_for_byte_range(match.start(), match.end())
        call = word.parent if word is not None and word.byte_range == match.span() else None
        if (
            call is not None
            and call.type == "call"
            and call.child_by_field_name("method") == word
            and call.child_by_field_name("block") is not None
        ):
            yield call


def read_bottle_block(node: Node, known: Mapping[str, str]) -> BottleBlock:
    """Read a bottle block.

    `known` is what can stand in the `#{…}` of its root URL: constants and local variables, but not the
    formula's methods, which mean nothing in there.

    Raises FormulaError for one that does not write out what it says.
    """
    root_url: str | None = DEFAULT_ROOT_URL
    rebuilds: list[int] = []
    declared: list[DeclaredBottle] = []
    for statement in block_of(node):
        match method_of(statement):
            case "root_url":
                arguments = arguments_of(statement)
                written = string_of(arguments[0], known) if arguments else None
                root_url = _effective_root_url(written) if written is not None else None
                _check_options(arguments[1:])
            case "rebuild":
                rebuilds.append(plain_number(statement))
            case "sha256":
                declared.append(_bottle(statement))
            case "cellar" | "prefix":
                _check_options(arguments_of(statement))  # older forms, of no consequence for the rest
            case _ if statement.type != "comment":
                raise FormulaError(f"line {line_of(statement)}: something to run in the bottle block")
    if len(rebuilds) > 1:
        raise FormulaError(f"line {line_of(node)}: two rebuilds in the bottle block")
    if len(declared) > MAX_BOTTLES:
        raise FormulaError(f"line {line_of(node)}: more than the limit of {MAX_BOTTLES} bottles")
    tags = set[BottleTag]()
    for one in declared:
        tag = BottleTag.parse(one.tag)
        if tag in tags:
            raise FormulaError(f"line {one.line}: a second bottle for {tag}")
        tags.add(tag)
    return BottleBlock(root_url, rebuilds[0] if rebuilds else 0, tuple(declared))


def without_bottle_block(source: bytes) -> bytes:
    """Return a formula's source as brew packs it into the formula's bottle: without its bottle block.

    Taken out are two spaces before `bottle`, the block, the line end after its `end`, and one more
    where a blank line follows, as brew does (`formula_installer.rb`); all other blank lines stay. The
    block is found in the syntax tree, so that a comment or a string cannot pass for it. A source
    without one is returned as it is.

    Raises FormulaError when it is not Ruby, or has several bottle blocks.
    """
    span = _span(source)
    return source if span is None else _cut(source, *span)


def as_packed(source: bytes) -> tuple[bytes, ...]:
    """Return what brew may have packed into a bottle that was built from this file but for its block.

    It is the file without its bottle block, and, as the block may be the first that the file ever had,
    what it was before brew put that in. Raises FormulaError as `without_bottle_block` does.
    """
    span = _span(source)
    if span is None:
        return (source,)
    before = _before_first(source, span)
    return (_cut(source, *span), *(() if before is None else (before,)))


def describe_difference(ours: bytes, theirs: bytes) -> str | None:
    """Say where two formula files differ but for their bottle blocks; None when they do not.

    Where one has a block and the other none, the blank line that brew puts before a formula's first
    block (`utils/ast.rb`) is no difference. Lines are counted from 1, those of the block too.

    Raises FormulaError when one is not Ruby, or has several bottle blocks.
    """
    spans = _span(ours), _span(theirs)
    left, right = (
        text if span is None else _cut(text, *span) for text, span in zip((ours, theirs), spans, strict=True)
    )
    if left == right or _before_first(ours, spans[0]) == theirs or _before_first(theirs, spans[1]) == ours:
        return None
    lines, others = left.splitlines(keepends=True), right.splitlines(keepends=True)
    pairs = zip(lines, others, strict=False)
    number = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(lines), len(others)))
    here = f"line {_line_in(ours, spans[0], number)} {_shown(lines, number)}"
    return f"{here}, in the other line {_line_in(theirs, spans[1], number)} {_shown(others, number)}"


def _span(source: bytes) -> tuple[int, int] | None:
    """Return where the bottle block begins and ends."""
    node = bottle_block(parse(source), source)
    return (node.start_byte, node.end_byte) if node is not None else None


def _cut(source: bytes, start: int, end: int) -> bytes:
    if source[:start].endswith(b"  "):
        start -= 2
    for _ in range(2):
        end += next((len(mark) for mark in (b"\n", b"\r\n") if source.startswith(mark, end)), 0)
    return source[:start] + source[end:]


def _before_first(source: bytes, span: tuple[int, int] | None) -> bytes | None:
    """Return the source as it was before brew wrote its first bottle block; None if it did not."""
    if span is None:
        return None
    before = source[: span[0]]
    return before[:-4] + source[span[1] :] if before.endswith(b"\n\n  ") else None


def _line_in(source: bytes, span: tuple[int, int] | None, number: int) -> int:
    """Return the line of a source that became the line `number`, counted from 0, without its block."""
    if span is None:
        return number + 1
    taken = source.count(b"\n") - _cut(source, *span).count(b"\n")
    return number + 1 + (taken if number >= source.count(b"\n", 0, span[0]) else 0)


def _shown(lines: Sequence[bytes], number: int) -> str:
    """Return a line as ASCII, cut to its length in a sentence."""
    if number >= len(lines):
        return "beyond its end"
    return ascii(lines[number].strip(b" \t").decode("utf-8", "replace")[:_MAX_SHOWN])


def _effective_root_url(written: str) -> str:
    """Return a root URL as brew uses it (`GitHubPackages.root_url_if_match`)."""
    match = _GITHUB_PACKAGES.search(written)
    if match is None:
        return written
    return f"https://ghcr.io/v2/{match['owner'].lower()}/{match['repository'].removeprefix('homebrew-')}"


def _check_options(arguments: Iterable[Node]) -> None:
    """Refuse what would have to be run, and what brew would take for the digest."""
    for argument in arguments:
        value = argument.child_by_field_name("value") if argument.type == "pair" else argument
        text = string_of(value, {}) if value is not None and value.type == "string" else ""
        plain = value is not None and value.type in {
            "constant",
            "scope_resolution",
            "simple_symbol",
            "string",
        }
        if not plain or text is None or _HEX.fullmatch(text):
            raise FormulaError(f"line {line_of(argument)}: something to run in the bottle block")


def _bottle(statement: Node) -> DeclaredBottle:
    """Read `sha256 cellar: …, TAG: "…"`, or the older `sha256 "…" => :TAG`."""
    line = line_of(statement)
    found: list[tuple[str, Node | None]] = []
    for argument in arguments_of(statement):
        key, value = pair_of(argument)
        if key == "cellar":
            _check_options([argument])
        elif key:
            found.append((key, value))
        else:
            tag = argument.child_by_field_name("value") if argument.type == "pair" else None
            found.append((symbol_of(tag), argument.child_by_field_name("key")) if tag else ("", None))
    tag_text, written = found[0] if len(found) == 1 else ("", None)
    text = string_of(written, {}) if written is not None else None
    if written is None or text is None:
        raise FormulaError(f"line {line}: not one tag and its digest, written out")
    line = line_of(written)
    if _HEX.fullmatch(text) is None:
        raise FormulaError(f"line {line}: {text[:80]!r} is not a sha256 digest")
    try:
        BottleTag.parse(tag_text)
    except ValueError as error:
        raise FormulaError(f"line {line}: {error}") from error
    return DeclaredBottle(tag_text, Digest("sha256", text.lower()), line)
