"""What a tap publishes, a bottle a line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.builders import OTHER_SHA256, SHA256, make_bottle

from brew_provenance.formula import Formula, UnnamedBottle
from brew_provenance.reports.listing import SCHEMA_VERSION, json_lines, text_lines

ROOT = "https://ghcr.io/v2/octo/tap"
FIELDS = (
    *("schemaVersion", "tap", "formula", "version", "rebuild", "tag", "sha256"),
    *("fileName", "rootUrl", "url", "path", "line"),
)
BOTTLES = (
    make_bottle(path="Formula/foo.rb", line=7),
    make_bottle(tag="sonoma", digest=OTHER_SHA256, rebuild=2, path="Formula/foo.rb", line=8),
)
FOO = Formula("octo/tap", "foo", "1.1", BOTTLES, root_url=ROOT, path="Formula/foo.rb")
UNKNOWN = replace(
    FOO,
    version=None,
    bottles=(),
    unnamed=(UnnamedBottle("sonoma", SHA256, 2, 7), UnnamedBottle("all", OTHER_SHA256, 0)),
    gaps=("line 3: the version is computed",),
)


def rows(formula: Formula) -> list[dict[str, Any]]:
    return [json.loads(line) for line in json_lines(formula)]


def test_text_has_a_line_for_each_bottle_in_their_order() -> None:
    assert list(text_lines(FOO)) == [
        f"{'a' * 64}  foo--1.1.arm64_sonoma.bottle.tar.gz  {ROOT}  Formula/foo.rb:7",
        f"{'b' * 64}  foo--1.1.sonoma.bottle.2.tar.gz  {ROOT}  Formula/foo.rb:8",
    ]


def test_json_has_an_object_for_each_bottle_with_the_same_fields_always() -> None:
    first, second = rows(FOO)
    assert tuple(first) == tuple(second) == FIELDS
    assert first == {
        "schemaVersion": SCHEMA_VERSION,
        "tap": "octo/tap",
        "formula": "foo",
        "version": "1.1",
        "rebuild": 0,
        "tag": "arm64_sonoma",
        "sha256": "a" * 64,
        "fileName": "foo--1.1.arm64_sonoma.bottle.tar.gz",
        "rootUrl": ROOT,
        "url": BOTTLES[0].url,
        "path": "Formula/foo.rb",
        "line": 7,
    }
    assert (second["rebuild"], second["fileName"]) == (2, "foo--1.1.sonoma.bottle.2.tar.gz")


def test_what_cannot_be_known_is_said_to_be_unknown_and_not_left_out() -> None:
    assert list(text_lines(UNKNOWN)) == [
        f"{'a' * 64}  foo ?  {ROOT}  Formula/foo.rb:7",
        f"{'b' * 64}  foo ?  {ROOT}  Formula/foo.rb",
    ]
    found = rows(UNKNOWN)
    assert [tuple(row) for row in found] == [FIELDS, FIELDS]
    assert [(row["tag"], row["rebuild"], row["line"]) for row in found] == [
        ("sonoma", 2, 7),
        ("all", 0, None),
    ]
    assert {row[name] for row in found for name in ("version", "fileName", "url")} == {None}


def test_a_root_url_that_cannot_be_known_is_said_to_be_unknown() -> None:
    formula = replace(UNKNOWN, version="1.1", root_url=None)
    assert [line.split("  ")[2] for line in text_lines(formula)] == ["?", "?"]
    assert {row["rootUrl"] for row in rows(formula)} == {None}
    assert {row["version"] for row in rows(formula)} == {"1.1"}


def test_a_formula_that_came_from_no_file_has_no_place() -> None:
    formula = replace(FOO, path=None, bottles=(make_bottle(),))
    (line,) = text_lines(formula)
    assert line.endswith(f"{ROOT}  -")
    (row,) = rows(formula)
    assert (row["path"], row["line"]) == (None, None)


def test_a_file_of_which_no_line_is_known_is_named_by_itself() -> None:
    (line,) = text_lines(replace(FOO, bottles=(make_bottle(path="Formula/foo.rb"),)))
    assert line.endswith(f"{ROOT}  Formula/foo.rb")


def test_a_formula_without_bottles_has_no_lines() -> None:
    formula = Formula("octo/tap", "foo", "1.1", ())
    assert list(text_lines(formula)) == list(json_lines(formula)) == []


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "a\r", "\u202e", "\udcff", "\u0430"])
def test_nothing_that_others_wrote_leaves_its_line_or_is_more_than_ascii(hostile: str) -> None:
    formula = replace(
        FOO, root_url=f"https://example.org/{hostile}", bottles=(make_bottle(url=f"x{hostile}"),)
    )
    formula = replace(formula, path=f"Formula/{hostile}.rb")
    for lines in (list(text_lines(formula)), list(json_lines(formula))):
        assert len(lines) == 1
        assert lines[0].isascii()
        assert lines[0].isprintable()
    (row,) = rows(formula)
    assert (row["path"], row["url"]) == (f"Formula/{hostile}.rb", f"x{hostile}")
