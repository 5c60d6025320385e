"""Brewfiles, read without running them: `Homebrew::Bundle::Dsl` in brew's `bundle/dsl.rb`.

A Brewfile is a Ruby program that its author controls. Only what stands there in so many words is
taken from it; whatever could name further formulae is reported as what cannot be known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import tree_sitter_ruby
from tree_sitter import Language, Node, Parser

MAX_BREWFILE_BYTES: Final = 256 * 1024
"""A Brewfile; a line a package."""

SKIPPED_KINDS: Final = frozenset(
    {
        "cargo",
        "cask",
        "cask_args",
        "flatpak",
        "go",
        "krew",
        "mas",
        "npm",
        "uv",
        "vscode",
        "whalebrew",
        "winget",
    }
)
"""What a Brewfile may name that is no formula."""

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_FORMULA = re.compile(r"(?:(?P<tap>\w[\w-]*/\w[\w.-]*)/)?(?P<name>\w[\w@+.-]*)", re.ASCII)
_TAP = re.compile(r"(?P<user>\w[\w-]*)/(?:homebrew-)?(?P<repository>\w[\w.-]*)", re.ASCII)
_MAX_TEXT = 80

_NOTHING = {"comment", "empty_statement"}
_END = b"__END__"
# What decides whether its parts are run; all of them are looked at.
_BRANCHES = {
    "begin",
    "case",
    "conditional",
    "else",
    "elsif",
    "if",
    "if_modifier",
    "pattern",
    "then",
    "unless",
    "unless_modifier",
    "when",
}
# What can be worked out without running any method of the Brewfile itself.
_VALUES = {
    "argument_list",
    "array",
    "bare_string",
    "bare_symbol",
    "binary",
    "chained_string",
    "conditional",
    "constant",
    "delimited_symbol",
    "element_reference",
    "escape_sequence",
    "false",
    "float",
    "hash",
    "hash_key_symbol",
    "integer",
    "interpolation",
    "nil",
    "pair",
    "parenthesized_statements",
    "scope_resolution",
    "simple_symbol",
    "string",
    "string_array",
    "string_content",
    "symbol_array",
    "true",
    "unary",
}
_HARMLESS = {
    b"Dir": {b"exist?", b"home", b"pwd"},
    b"ENV": {b"[]", b"fetch", b"include?", b"key?"},
    b"File": {b"basename", b"directory?", b"dirname", b"exist?", b"expand_path", b"file?", b"join"},
    b"Hardware::CPU": {b"arch", b"arm?", b"intel?"},
    b"MacOS": {b"version"},
    b"OS": {b"linux?", b"mac?"},
}


class BrewfileError(ValueError):
    """Something is no Brewfile; says why."""


@dataclass(frozen=True)
class Brewfile:
    """What a Brewfile names."""

    formulae: tuple[str, ...]
    """Formulae as brew takes their names, `wget` or `user/repo/name` in lower case, each once."""

    taps: tuple[str, ...]
    """Taps, `user/repo` in lower case, each once; where a tap is cloned from is not looked at."""

    skipped: tuple[tuple[str, int], ...]
    """Kinds that are no formulae, such as `cask`, with the number of each."""

    unknown: tuple[tuple[int, str], ...]
    """Statements that may name more, or name it under a condition: the line, counted from 1, and what
    stands on it, shortened."""


def read_brewfile(source: bytes) -> Brewfile:
    """Read a Brewfile, and evaluate nothing of it. Raises BrewfileError when it is not Ruby."""
    if len(source) > MAX_BREWFILE_BYTES:
        raise BrewfileError(f"longer than the limit of {MAX_BREWFILE_BYTES:,} bytes")
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrewfileError(f"not UTF-8 at byte {error.start}") from error
    # Some of them end a program for Ruby, and not for the parser here.
    if control := _CONTROL.search(source):
        raise BrewfileError(f"a control character at byte {control.start()}")
    root = Parser(Language(tree_sitter_ruby.language())).parse(source).root_node
    if root.has_error:
        raise BrewfileError(f"not Ruby at line {_error_line(root)}")
    return _collect(root, source)


class _Entry(NamedTuple):
    """A statement of the Brewfile's own language."""

    kind: str
    name: str | None
    """The formula or tap, where it is written in so many words."""

    plain: bool
    """Whether everything else in it only works out a value."""


def _collect(root: Node, source: bytes) -> Brewfile:
    lines = source.split(b"\n")
    formulae: dict[str, None] = {}
    taps: dict[str, None] = {}
    skipped: Counter[str] = Counter()
    unknown: dict[tuple[int, str], None] = {}
    for node, certain in _statements(root):
        entry = _read_entry(node)
        if node.type == "uninterpreted":
            # For Ruby, the program ends only where this is all that stands on the line.
            known = lines[node.start_point[0]].removesuffix(b"\r") == _END
        elif entry is None:
            known = _is_value(node)
        elif entry.kind in SKIPPED_KINDS:
            skipped[entry.kind] += 1
            known = entry.plain
        elif entry.name is not None and certain:
            (formulae if entry.kind == "brew" else taps)[entry.name] = None
            known = entry.plain
        else:
            known = False
        if not known:
            row = node.start_point[0]
            unknown[row + 1, _shortened(lines[row])] = None
    del skipped["cask_args"]
    return Brewfile(tuple(formulae), tuple(taps), tuple(sorted(skipped.items())), tuple(unknown))


def _statements(root: Node) -> Iterator[tuple[Node, bool]]:
    """Yield the statements in their order, each with whether it is run whatever happens."""
    pending = [(child, True) for child in reversed(root.named_children)]
    while pending:
        node, certain = pending.pop()
        if node.type in _BRANCHES:
            pending.extend((child, False) for child in reversed(node.named_children))
        elif node.type not in _NOTHING:
            yield node, certain


def _read_entry(node: Node) -> _Entry | None:
    method, arguments = node.child_by_field_name("method"), node.child_by_field_name("arguments")
    if (
        node.type != "call"
        or node.child_by_field_name("receiver") is not None
        or node.child_by_field_name("block") is not None
        or method is None
        or arguments is None
    ):
        return None
    kind = _text(method)
    given = [child for child in arguments.named_children if child.type not in _NOTHING]
    plain = all(map(_is_value, given))
    if kind in SKIPPED_KINDS:
        return _Entry(kind, None, plain)
    if kind not in {"brew", "tap"}:
        return None
    first = _literal(given[0]) if given else None
    # Two names, or options that could be anything, are not what either of them takes.
    if first is None or (kind == "brew" and any(child.type not in {"pair", "hash"} for child in given[1:])):
        return _Entry(kind, None, plain)
    return _Entry(kind, _formula_name(first) if kind == "brew" else _tap_name(first), plain)


def _literal(node: Node) -> str | None:
    """Return a string that is written as it is meant; None for any other node."""
    parts = node.named_children
    if node.type != "string" or [part.type for part in parts] != ["string_content"]:
        return None
    return _text(parts[0])


def _formula_name(text: str) -> str | None:
    match = _FORMULA.fullmatch(text.lower())
    # brew takes these for files in the current folder, when there are such.
    if match is None or text.lower().endswith((".rb", ".tar.gz")):
        return None
    if match["tap"] is None or match["tap"] == "homebrew/homebrew":
        return match["name"]
    tap = _tap_name(match["tap"])
    return f"{tap}/{match['name']}"


def _tap_name(text: str) -> str | None:
    match = _TAP.fullmatch(text.lower())
    return f"{match['user']}/{match['repository']}" if match else None


def _is_value(node: Node) -> bool:
    """Say whether an expression only works out a value, so that it can add no entry."""
    pending = [node]
    while pending:
        current = pending.pop()
        if current.type == "call":
            receiver, method = (current.child_by_field_name(name) for name in ("receiver", "method"))
            known = _HARMLESS.get((receiver.text or b"") if receiver else b"", set())
            if method is None or method.text not in known or current.child_by_field_name("block"):
                return False
            arguments = current.child_by_field_name("arguments")
            pending.extend([arguments] if arguments else [])
        elif current.type in _VALUES:
            pending.extend(current.named_children)
        elif current.type not in _NOTHING:
            return False
    return True


def _shortened(line: bytes) -> str:
    text = line.decode("utf-8").strip()
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8")


def _error_line(root: Node) -> int:
    inner: Node | None = root
    while inner is not None:
        node = inner
        inner = next((child for child in node.children if child.has_error or child.is_missing), None)
    return node.start_point[0] + 1
