"""Ruby in which the parser could take for text what Ruby runs, or run what Ruby takes for text.

Whether `x /2; …/` divides or calls `x` with a regular expression depends on whether `x` is a variable,
which the parser does not know. A writer who wants a formula to look like another one could make use of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from tree_sitter import Node

from brew_provenance.formula import FormulaError

_NAME = rb"[a-z_\x80-\xff][\w\x80-\xff]*"
_ALONE = rb"(?<![\w\x80-\xff.:@$&])"
_SPACE = rb"(?:[ \t\f\v\r]|\\\r?\n)"
# A name and after it the beginning of a literal: a regular expression, a `%` literal, a character.
_COMMAND = re.compile(
    rb"(?:" + _ALONE + _NAME + rb"|(?:@@?|\$)\w+|\$[^\w\s])(?=" + _SPACE + rb"*(?:[/%]\S|\?\S))"
)
# What Ruby takes for the beginning of a literal, and the parser for an operator.
_OPERATOR = re.compile(rb"(?:\.\.|\b(?:break|next|return))[/%]")
# A name where a variable could be introduced: all places but those where arguments of a call follow it.
_VARIABLE = re.compile(
    _ALONE
    + _NAME
    + rb"(?=[ \t\f\v\r]*(?:[-+*/%&|^<>]{0,2}=|[,;:|#){\]}]|$|\b(?:and|do|if|in|or|then|unless)\b))",
    re.MULTILINE,
)
_NAMED_GROUP = re.compile(rb"\(\?<(" + _NAME + rb")>")
_HEREDOC = re.compile(rb"<<[~-]?(?:([\"'`])([^\n]+?)\1|([A-Za-z_\x80-\xff][\w\x80-\xff]*))")
_BLANK = b" \t\f\v\r"
# After these tokens Ruby expects a value, so that `<<` begins a heredoc and is no operator.
_BEFORE_VALUES: Final = frozenset(
    {
        "!", "!=", "#{", "&&", "(", "+", ",", ":", ";", "=", "==", "=>", "?", "[", "and", "begin", "case",
        "do", "else", "elsif", "if", "not", "or", "return", "then", "unless", "until", "when", "while", "{",
        "+=", "|", "||", "||=",
    }
)  # fmt: skip
_NEWLINE = ord("\n")
_CONTINUED = (b"\\\n", b"\\\r\n")
_END = re.compile(rb"(?:\A|\n)__END__\Z")
_LINE_END = re.compile(rb"\r?\n|\Z")
_ENCODING = re.compile(rb"[ \t]*#.*?coding[ \t]*[:=][ \t]*\"?([\w.-]+)", re.IGNORECASE)
_PLAIN_ENCODINGS: Final = frozenset({b"ascii", b"us-ascii", b"utf-8", b"utf8"})


def refuse_other_encodings(source: bytes) -> None:
    """Raise FormulaError where a magic comment makes Ruby read other characters out of the bytes."""
    for line in source.split(b"\n", 2)[:2]:
        match = _ENCODING.match(line.removeprefix(b"\xef\xbb\xbf"))
        if match is not None and match[1].lower() not in _PLAIN_ENCODINGS:
            raise FormulaError(f"in another encoding than UTF-8: {match[1][:40].decode('ascii', 'replace')}")


def refuse_ambiguous(root: Node, source: bytes) -> None:
    """Raise FormulaError, which names the line, for what Ruby could read otherwise than the parser did."""
    text = _Text(root, source)
    for start in (*text.commands(), *text.heredocs(), *text.endings()):
        line = source[:start].count(b"\n") + 1
        raise FormulaError(f"line {line}: this can be read in two ways")


class _Text:
    """A file and its syntax tree."""

    def __init__(self, root: Node, source: bytes) -> None:
        self._root = root
        self._source = source

    def commands(self) -> Iterator[int]:
        """Yield where what could be a variable is called with a literal."""
        for match in _COMMAND.finditer(self._source):
            if self._is_called_variable(match.end()):
                yield match.start()
        for match in _OPERATOR.finditer(self._source):
            token = self._token(match.end())
            if token is not None and token.parent is not None and token.parent.type == "binary":
                yield match.start()

    def heredocs(self) -> Iterator[int]:
        """Yield where a heredoc begins or ends for the parser, and perhaps not for Ruby."""
        words: set[bytes] = set()
        line_end = -1
        for match in _HEREDOC.finditer(self._source):
            token = self._root.descendant_for_byte_range(match.start(), match.end())
            if token is not None and token.type == "heredoc_beginning":
                words.add(match[2] or match[3])
                if match.start() > line_end:
                    line_end = self._source.find(b"\n", match.end())
                goes_on = self._source.endswith(_CONTINUED, 0, line_end + 1)
                if goes_on or not self._expects_value(match.start()):
                    yield match.start()
        end = 0
        for line in self._source.split(b"\n") if words else ():
            # Ruby lets nothing but a carriage return follow the word that ends a heredoc.
            if line.strip(_BLANK) in words and line.removesuffix(b"\r")[-1:].isspace():
                yield end
            end += len(line) + 1

    def endings(self) -> Iterator[int]:
        """Yield where the program ends for the parser, when `__END__` does not stand alone in its line."""
        last = self._root.named_children[-1:]
        if last and last[0].type == "uninterpreted":
            start = last[0].start_byte
            before, after = _END.search(self._source, 0, start), _LINE_END.match(self._source, start)
            if before is None or after is None:
                yield start

    @cached_property
    def _variables(self) -> set[bytes]:
        names = {match[0] for match in _VARIABLE.finditer(self._source)}
        return names | {match[1] for match in _NAMED_GROUP.finditer(self._source)}

    def _is_called_variable(self, end: int) -> bool:
        """Say whether what ends there is called without a receiver, and could be a variable."""
        name = self._token(end)
        call = name.parent if name is not None else None
        if name is None or call is None or call.type != "call" or call.child_by_field_name("method") != name:
            return False
        if name.type not in {"constant", "identifier"}:
            return True  # `@x` and `self` are no methods
        text = name.text or b""
        # Blocks without parameters have variables of these names.
        known = text == b"it" or text[:1] == b"_" or text in self._variables
        return known and call.child_by_field_name("receiver") is None

    def _expects_value(self, start: int) -> bool:
        """Say whether Ruby expects a value where a heredoc begins, so that `<<` there is no operator."""
        before = start
        while before and self._source[before - 1] in _BLANK:
            before -= 1
        if self._source.endswith(_CONTINUED, 0, before):
            return False
        token = self._token(before)
        if token is None or self._source[before - 1] == _NEWLINE or token.type in _BEFORE_VALUES:
            return True
        call = token.parent
        called = call is not None and call.type == "call" and call.child_by_field_name("method") == token
        return called and before < start and not self._is_called_variable(before)

    def _token(self, end: int) -> Node | None:
        """Return the smallest thing that ends there; None at the beginning."""
        return self._root.descendant_for_byte_range(end - 1, end) if end else None
