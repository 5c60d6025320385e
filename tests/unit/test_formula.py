"""Formulae as Homebrew's JSON describes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import DROP, OTHER_SHA256, SHA256, Json, altered

from brew_provenance.bottle import Bottle, BottleFileName, BottleTag
from brew_provenance.formula import FormulaError
from brew_provenance.formula.apijson import read_formula

URL = "https://ghcr.io/v2/octo/tap/foo/blobs/sha256:"
FILES = ("bottle", "stable", "files")
FORMULA: Json = {
    "name": "foo@2",
    "full_name": "octo/tap/foo@2",
    "tap": "octo/tap",
    "versions": {"stable": "1.1", "head": "HEAD", "bottle": True},
    "revision": 0,
    "bottle": {
        "stable": {
            "rebuild": 0,
            "root_url": "https://ghcr.io/v2/octo/tap",
            "files": {
                "arm64_tahoe": {"cellar": ":any", "url": URL + "a" * 64, "sha256": SHA256.value},
                "sonoma": {
                    "cellar": "/usr/local/Cellar",
                    "url": URL + "b" * 64,
                    "sha256": OTHER_SHA256.value,
                },
            },
        }
    },
    "variations": {},
}


def test_a_formula_gives_its_bottles_in_the_order_in_which_it_declares_them() -> None:
    formula = read_formula(FORMULA)
    assert (formula.full_name, formula.version) == ("octo/tap/foo@2", "1.1")
    assert formula.bottles == (
        Bottle("octo/tap", "foo@2", "1.1", 0, "arm64_tahoe", SHA256, URL + "a" * 64),
        Bottle("octo/tap", "foo@2", "1.1", 0, "sonoma", OTHER_SHA256, URL + "b" * 64),
    )


@pytest.mark.parametrize(
    ("revision", "rebuild", "name"),
    [
        (0, 0, "foo@2--1.1.sonoma.bottle.tar.gz"),
        (3, 0, "foo@2--1.1_3.sonoma.bottle.tar.gz"),
        (0, 2, "foo@2--1.1.sonoma.bottle.2.tar.gz"),
        (1, 12, "foo@2--1.1_1.sonoma.bottle.12.tar.gz"),
        (DROP, DROP, "foo@2--1.1.sonoma.bottle.tar.gz"),
    ],
)
def test_revision_and_rebuild_are_part_of_the_file_name(revision: object, rebuild: object, name: str) -> None:
    document = altered(FORMULA, (("revision",), revision), (("bottle", "stable", "rebuild"), rebuild))
    assert str(read_formula(document).bottles[1].file_name) == name


def test_a_tap_is_read_without_regard_to_case_and_a_digest_too() -> None:
    document = altered(
        FORMULA, (("tap",), "Octo/Tap"), ((*FILES, "sonoma", "sha256"), OTHER_SHA256.value.upper())
    )
    formula = read_formula(document)
    assert formula.tap == "octo/tap"
    assert formula.bottles[1].tap == "octo/tap"
    assert formula.bottles[1].digest == OTHER_SHA256


@pytest.mark.parametrize("bottle", [{}, [], {"stable": None}, {"stable": {"files": {}}}, {"head": {}}, DROP])
def test_a_formula_may_have_no_bottles(bottle: object) -> None:
    assert read_formula(altered(FORMULA, (("bottle",), bottle))).bottles == ()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), DROP),
        (("name",), 1),
        (("name",), ""),
        (("name",), "-foo"),
        (("name",), "fo/o"),
        (("name",), "f\u00f6o"),
        (("tap",), DROP),
        (("tap",), None),
        (("versions",), DROP),
        (("versions",), "1.1"),
        (("versions", "stable"), 1.1),
        (("versions", "stable"), ""),
        (("versions", "stable"), "1 1"),
        (("versions", "stable"), "1/1"),
        (("versions", "stable"), "1.1\n"),
        (("versions", "stable"), "\u0661"),
        (("revision",), -1),
        (("revision",), "1"),
        (("revision",), True),
        (("revision",), 1.0),
        (("bottle",), "x"),
        (("bottle",), [1]),
        (("bottle", "stable"), []),
        (("bottle", "stable", "rebuild"), -1),
        (("bottle", "stable", "rebuild"), "1"),
        (FILES, DROP),
        (FILES, []),
        ((*FILES, "sonoma"), "x"),
        ((*FILES, "sonoma", "url"), DROP),
        ((*FILES, "sonoma", "url"), 1),
        ((*FILES, "sonoma", "sha256"), DROP),
        ((*FILES, "sonoma", "sha256"), "b" * 63),
        ((*FILES, "sonoma", "sha256"), f"sha256:{'b' * 64}"),
        ((*FILES, "not-a-tag"), {"url": "x", "sha256": "b" * 64}),
        ((*FILES, ""), {"url": "x", "sha256": "b" * 64}),
        ((*FILES, "../x"), {"url": "x", "sha256": "b" * 64}),
        ((*FILES, "Sonoma"), {"url": "x", "sha256": "b" * 64}),
        ((*FILES, "evil.sonoma"), {"url": "x", "sha256": "b" * 64}),
        ((*FILES, "sonoma.bottle.tar.gz.all"), {"url": "x", "sha256": "b" * 64}),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(path: tuple[str, ...], value: object) -> None:
    with pytest.raises(FormulaError, match=r"."):
        read_formula(altered(FORMULA, (path, value)))


@pytest.mark.parametrize("document", [None, [], "x", 1, {}])
def test_what_is_no_description_is_refused(document: object) -> None:
    with pytest.raises(FormulaError):
        read_formula(document)


SCRAPS: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.integers(), st.text(max_size=8), st.lists(st.integers()), st.just({})
)
PLACES: list[tuple[Any, ...]] = [
    ("name",),
    ("tap",),
    ("versions", "stable"),
    ("revision",),
    ("bottle",),
    ("bottle", "stable"),
    ("bottle", "stable", "rebuild"),
    FILES,
    (*FILES, "sonoma"),
    (*FILES, "sonoma", "sha256"),
    (*FILES, "sonoma", "url"),
]


@given(st.sampled_from(PLACES), SCRAPS)
def test_any_value_in_any_place_is_read_or_refused(place: tuple[Any, ...], scrap: object) -> None:
    try:
        formula = read_formula(altered(FORMULA, (place, scrap)))
    except FormulaError:
        return
    assert all(bottle.formula == formula.name for bottle in formula.bottles)


@given(st.text(alphabet="ab_.@/- 1", min_size=1, max_size=12))
def test_every_tag_of_a_formula_that_is_read_is_a_tag(tag: str) -> None:
    document = altered(FORMULA, ((*FILES, tag), {"url": "x", "sha256": "b" * 64}))
    try:
        formula = read_formula(document)
    except FormulaError:
        return
    for bottle in formula.bottles:
        assert BottleTag.parse(bottle.tag) in {
            BottleTag.parse(known) for known in ("arm64_tahoe", "sonoma", tag)
        }
        assert BottleFileName.parse(str(bottle.file_name)) == bottle.file_name


def test_a_formula_of_a_head_only_has_no_bottles() -> None:
    document = {"name": "foo", "tap": "octo/tap", "versions": {"stable": None}, "bottle": {}}
    formula = read_formula(document)
    assert (formula.version, formula.bottles) == ("HEAD", ())
    document["bottle"] = {"stable": {"files": {"sonoma": {"url": "x", "sha256": "a" * 64}}}}
    with pytest.raises(FormulaError, match="without a stable version"):
        read_formula(document)
