"""Ruby's syntax tree, and the literals in it. Nothing is run."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Final

import tree_sitter_ruby
from tree_sitter import Language, Node, Parser

from brew_provenance.formula import FormulaError
from brew_provenance.formula.ambiguity import refuse_ambiguous, refuse_other_encodings

MAX_SOURCE_BYTES: Final = 512 * 1024
"""A formula's file; homebrew-core's longest has some 62 kB."""

MAX_SECONDS: Final = 2
"""Parsing one file; homebrew-core's longest takes some 10 ms."""

MAX_STRING: Final = 4096
"""Characters of one string; constants in constants in constants could make it any length."""

_SHORT = 16 * 1024
_PARSER = Parser(Language(tree_sitter_ruby.language()))
# The parser is one file's at a time, also while it asks for the next piece of a long one.
_IN_USE = threading.Lock()
# Nodes read their text through the parser's function, so that a piece is not much longer than a text.
_CHUNK = 512


def parse(source: bytes) -> Node:
    """Return the root of a file's syntax tree.

    Raises FormulaError when the file is not Ruby, or Ruby that can be read in two ways.

    A byte order mark, which Ruby skips, belongs to no node.
    """
    if len(source) > MAX_SOURCE_BYTES:
        raise FormulaError(f"longer than the limit of {MAX_SOURCE_BYTES:,} bytes")
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormulaError(f"not UTF-8 at byte {error.start}") from error
    if b"\0" in source or b"\x04" in source or b"\x1a" in source:
        # Ruby takes these for the end of a program, and other readers do not.
        raise FormulaError("a control character that ends a Ruby program")
    refuse_other_encodings(source)
    with _IN_USE:
        root = _parse_in_time(source)
    if root.has_error:
        raise FormulaError(f"not Ruby: line {_error_line(root)}")
    refuse_ambiguous(root, source)
    return root


def _parse_in_time(source: bytes) -> Node:
    # Unclosed literals by the thousand take the parser quadratic time, which in a short file is little.
    if len(source) <= _SHORT:
        return _PARSER.parse(source).root_node
    deadline = time.monotonic() + MAX_SECONDS
    try:
        tree = _PARSER.parse(
            lambda offset, _: source[offset : offset + _CHUNK],
            progress_callback=lambda *_: time.monotonic() > deadline,
        )
    except ValueError as error:
        _PARSER.reset()
        raise FormulaError(f"parsing it takes longer than the limit of {MAX_SECONDS} s") from error
    return tree.root_node


def _error_line(root: Node) -> int:
    node = root
    while (child := next((child for child in node.children if child.has_error), None)) is not None:
        node = child
        if node.is_error or node.is_missing:
            break
    return line_of(node)


def line_of(node: Node) -> int:
    """Return the line on which something begins, counted from 1."""
    return int(node.start_point.row) + 1


def text_of(node: Node | None) -> str:
    """Return the source of a node; nothing for none."""
    return node.text.decode() if node is not None and node.text is not None else ""


def method_of(node: Node) -> str:
    """Return what a statement calls, when it is a call without a receiver; else nothing."""
    if node.type == "identifier":
        return text_of(node)
    if node.type != "call" or node.child_by_field_name("receiver") is not None:
        return ""
    return text_of(node.child_by_field_name("method"))


def block_of(node: Node) -> list[Node]:
    """Return the statements in the block that a call is given."""
    block = node.child_by_field_name("block")
    body = block.child_by_field_name("body") if block is not None else None
    return body.named_children if body is not None else []


def arguments_of(node: Node) -> list[Node]:
    """Return the arguments of a call, a hash without braces as its pairs."""
    listed = node.child_by_field_name("arguments")
    return [child for child in listed.named_children if child.type != "comment"] if listed is not None else []


def pair_of(node: Node) -> tuple[str, Node | None]:
    """Return key and value of `key: value`, `"key": value` and `:key => value`; else an empty key."""
    key = node.child_by_field_name("key") if node.type == "pair" else None
    if key is None:
        return "", None
    named = text_of(key).removeprefix(":")
    if key.type == "string" and any(text_of(child) == ":" for child in node.children):
        named = string_of(key, {}) or ""
    elif key.type not in {"hash_key_symbol", "simple_symbol"}:
        named = ""
    return named, node.child_by_field_name("value") if named else None


def symbol_of(node: Node) -> str:
    """Return a symbol without its colon; nothing for everything else."""
    return text_of(node).removeprefix(":") if node.type == "simple_symbol" else ""


def string_of(node: Node, known: Mapping[str, str]) -> str | None:
    """Return what a string literal holds; None where any of it would have to be computed.

    `known` are names and expressions that can stand in `#{…}` or in the string's place, with their
    values. Escapes count as computed, for what a backslash means depends on the quotes; so does what is
    longer than MAX_STRING.
    """
    left = MAX_STRING
    if node.type in {"constant", "identifier"}:
        return known.get(text_of(node))
    if node.type == "call" and text_of(node.child_by_field_name("method")) == "freeze":
        receiver = node.child_by_field_name("receiver")
        return string_of(receiver, known) if receiver is not None and receiver.type == "string" else None
    parts = []
    for child in node.named_children if node.type in {"string", "chained_string"} else (node,):
        part = string_of(child, known) if node.type == "chained_string" else _part_of(child, known)
        if part is None or (left := left - len(part)) < 0:
            return None
        parts.append(part)
    return "".join(parts)


def _part_of(node: Node, known: Mapping[str, str]) -> str | None:
    text = text_of(node)
    if node.type == "string_content":
        return None if "\\" in text else text
    if node.type == "interpolation" and text.startswith("#{"):
        return known.get(text[2:-1].strip())
    return None


def symbols_of(node: Node) -> frozenset[str]:
    """Return the symbols in a list, or the one that stands there by itself."""
    nodes = node.named_children if node.type in {"array", "symbol_array"} else [node]
    return frozenset(text_of(item).removeprefix(":") for item in nodes)


def plain_number(node: Node) -> int:
    """Return the one decimal number that a call is given. Raises FormulaError, which names the line."""
    arguments = arguments_of(node)
    text = text_of(arguments[0]) if len(arguments) == 1 else ""
    # Ruby takes a number that begins with 0 for an octal one.
    if re.fullmatch(r"0|[1-9][0-9]{0,8}", text, re.ASCII) is None:
        raise FormulaError(f"line {line_of(node)}: {method_of(node)} is not one plain number")
    return int(text)
