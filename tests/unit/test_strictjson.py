"""One meaning per JSON document, or none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.strictjson import MalformedJSONError, loads

LIMIT = 1 << 20

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_every_json_value_is_read_as_what_it_is(value: object, ensure_ascii: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ensure_ascii).encode(), LIMIT) == value


@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused_and_nothing_else(raw: bytes) -> None:
    try:
        loads(raw, LIMIT)
    except MalformedJSONError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"{", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"{} x", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"\xff{}", "not UTF-8 at byte 0"),
        (b'{"a": "\xc3"}', "not UTF-8 at byte 7"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b'{"a": 1, "a": 1}', "'a' stands twice"),
        (b'{"a": 1, "\\u0061": 2}', "'a' stands twice"),
        (b'[{"b": {"a": 1, "x": 0, "a": null}}]', "'a' stands twice"),
        (b"NaN", "NaN is not a JSON number"),
        (b"[Infinity]", "Infinity is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b"1e999", "number"),
        (b'{"a": [-1e999]}', "number"),
        (b"1" * 5000, "number out of range"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\uDFFF": 1}', "surrogate"),
        (b'["\\ude00\\ud83d"]', "surrogate"),
    ],
)
def test_a_document_that_two_parsers_may_read_differently_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(MalformedJSONError, match=message):
        loads(raw, LIMIT)


def test_a_whole_surrogate_pair_is_text() -> None:
    assert loads(b'"\\ud83d\\ude00 \\\\ud800"', LIMIT) == "\U0001f600 \\ud800"


def test_nesting_is_read_or_refused_at_every_depth() -> None:
    outcomes = set()
    for depth in (*range(1, 1100), 100_000):
        raw = b"[" * depth + b'"\\ud83d\\ude00"' + b"]" * depth
        try:
            loads(raw, LIMIT)
        except MalformedJSONError:
            outcomes.add("refused")
        else:
            outcomes.add("read")
    assert outcomes == {"read", "refused"}


def test_a_document_may_be_as_long_as_the_limit_and_not_longer() -> None:
    assert loads(b'"abc"', 5) == "abc"
    with pytest.raises(MalformedJSONError, match="longer than the limit of 4 bytes"):
        loads(b'"abc"', 4)


@pytest.mark.parametrize(("depth", "read"), [(100, True), (101, False), (5_000, False)])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_has_one_limit_whatever_the_interpreter(
    opening: bytes, closing: bytes, depth: int, *, read: bool
) -> None:
    raw = opening * depth + b"1" + closing * depth
    if read:
        assert loads(raw, len(raw))
    else:
        with pytest.raises(MalformedJSONError, match="nested"):
            loads(raw, len(raw))


def test_many_objects_side_by_side_are_not_deep() -> None:
    raw = b"[" + b",".join([b'{"a": [1]}'] * 1_000) + b"]"
    assert len(loads(raw, len(raw))) == 1_000  # type: ignore[arg-type]
