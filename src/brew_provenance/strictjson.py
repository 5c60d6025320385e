"""JSON from hostile hands: one meaning per document, or none.

Python's parser keeps the last of two equal keys, and other parsers the first; both readings of one
signed document must not exist side by side. Source: RFC 7493 (I-JSON) sections 2.1 to 2.3.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Final, NoReturn

# The only escapes that can make a string which is no Unicode text.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


MAX_DEPTH: Final = 100
"""Objects and lists within each other; Python's own limit differs between its versions."""


class MalformedJSONError(ValueError):
    """The bytes are not one JSON document that every parser reads the same way."""


def loads(raw: bytes, max_bytes: int) -> object:
    """Parse one JSON document.

    Raises MalformedJSONError when the document is longer than `max_bytes`, empty, not UTF-8, not
    JSON, nested too deeply, or holds an object with a key twice, a number that is not finite, or a
    string that is not Unicode text.
    """
    if len(raw) > max_bytes:
        raise MalformedJSONError(f"longer than the limit of {max_bytes:,} bytes")
    if not raw or raw.isspace():
        raise MalformedJSONError("empty")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJSONError(f"not UTF-8 at byte {error.start}") from error
    try:
        document: object = _DECODER.decode(text)
    except MalformedJSONError:
        raise
    except RecursionError as error:
        raise MalformedJSONError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise MalformedJSONError(f"not JSON: {error}") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise MalformedJSONError(f"a number out of range: {error}") from error
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _refuse_depth(document)
    if b"\\u" in raw and _SURROGATE.search(raw):
        _refuse_surrogates(document)
    return document


def _refuse_depth(document: object) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        containers = [value for value in level if isinstance(value, dict | list)]
        if not containers:
            return
        level = [
            child for value in containers for child in (value.values() if isinstance(value, dict) else value)
        ]
    raise MalformedJSONError(f"nested more than {MAX_DEPTH} deep")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise MalformedJSONError(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJSONError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise MalformedJSONError(f"a number out of range: {text[:40]}")
    return number


def _refuse_surrogates(document: object) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedJSONError("a string holds half a surrogate pair") from error
    except RecursionError as error:
        raise MalformedJSONError("nested too deeply") from error


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite)
