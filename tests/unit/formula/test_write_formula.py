"""brew's JSON as we write it: what is read back from it is the same formula, as far as it matters."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.builders import SHA256

from brew_provenance.bottle import Bottle, BottleTag, Digest
from brew_provenance.formula import (
    Dependency,
    Formula,
    FormulaError,
    Source,
    UnnamedBottle,
    named_bottle,
    package_version,
)
from brew_provenance.formula.apijson import VALID_TAGS, read_formula, write_formula

SIMPLE = [
    *(
        "on_macos",
        "on_linux",
        "on_arm",
        "on_intel",
        "on_sonoma",
        "on_sequoia_or_newer",
        "on_ventura_or_older",
    ),
    *("tag:arm64_sonoma", "tag:x86_64_linux", "tag:catalina", "tag:golden_gate", "build.with?", "on_beos"),
]
CONDITIONS = st.lists(
    st.sampled_from([*SIMPLE, *(f"not:{condition}" for condition in SIMPLE)]), max_size=3
).map(tuple)
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
TEXT = st.text(max_size=12).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))
MAYBE = st.none() | TEXT
NAMES = st.from_regex(r"\A[a-z0-9][a-zA-Z0-9_@+.]{0,8}\Z")
TAGS = [*map(str, VALID_TAGS), "all", "mojave", "arm64_big_sur"]


@st.composite
def formulae(draw: st.DrawFn) -> Formula:
    """Return any formula that can be read out of brew's JSON or out of Ruby, if its version is known."""
    tap = draw(st.from_regex(r"\A[a-z0-9_-]{1,6}/[a-z0-9_][a-z0-9._-]{0,6}\Z"))
    name, revision = draw(NAMES), draw(st.integers(0, 3))
    version = package_version(draw(st.from_regex(r"\A[0-9][0-9A-Za-z.+-]{0,8}\Z")), revision)
    rebuild = draw(st.integers(0, 3))
    bottles = []
    for tag in draw(st.lists(st.sampled_from(TAGS), max_size=4, unique=True)):
        bottle = Bottle(tap, name, version, rebuild, tag, Digest("sha256", draw(HEX)), draw(TEXT))
        try:
            bottles.append(named_bottle(bottle))
        except FormulaError:
            assume(False)
    return Formula(
        tap,
        name,
        version,
        tuple(bottles),
        root_url=draw(TEXT) if bottles else None,
        dependencies=tuple(draw(st.lists(st.builds(Dependency, NAMES, CONDITIONS), max_size=5))),
        source=draw(st.none() | st.builds(Source, TEXT, MAYBE, MAYBE, MAYBE)),
        revision=revision,
        version_scheme=draw(st.integers(0, 9)),
        aliases=tuple(draw(st.lists(NAMES, max_size=3))),
        deprecated=draw(st.none() | TEXT.filter(bool)),
        disabled=draw(st.none() | TEXT.filter(bool)),
        path=draw(MAYBE),
        file_sha256=draw(st.none() | HEX),
        commit=draw(st.none() | st.binary(min_size=20, max_size=20).map(bytes.hex)),
        text=draw(st.none() | st.binary(max_size=5)),
        gaps=tuple(draw(st.lists(TEXT, max_size=2))),
    )


def read_back(formula: Formula) -> Formula:
    return read_formula(json.loads(json.dumps(write_formula(formula))))


def needed(formula: Formula, tag: BottleTag) -> set[str]:
    """Return what is or may be needed on a machine of a tag."""
    return {need.name for need in formula.dependencies if need.needed_on(tag) is not False}


@given(formulae())
def test_a_formula_that_was_written_is_read_as_the_same(formula: Formula) -> None:
    found = read_back(formula)
    # The JSON has no file, and what could not be known by reading Ruby is nobody's business any more.
    expected = replace(formula, dependencies=found.dependencies, text=None, gaps=())
    assert found == expected


@given(formulae())
def test_what_is_needed_on_a_machine_stays_needed_there(formula: Formula) -> None:
    found = read_back(formula)
    for tag in VALID_TAGS:
        assert needed(found, tag) == needed(formula, tag)
        assert None not in {need.needed_on(tag) for need in found.dependencies}


@given(formulae())
def test_writing_again_what_was_read_changes_nothing(formula: Formula) -> None:
    written = write_formula(read_back(formula))
    assert write_formula(read_formula(json.loads(json.dumps(written)))) == written


@pytest.mark.parametrize("tag", VALID_TAGS, ids=str)
def test_a_tag_is_read_as_it_is_written(tag: BottleTag) -> None:
    assert BottleTag.parse(str(tag)) == tag


def test_a_formula_whose_version_is_not_known_has_no_json() -> None:
    formula = Formula("octo/tap", "foo", None, (), unnamed=(UnnamedBottle("sonoma", SHA256, 0),))
    with pytest.raises(FormulaError, match="version"):
        write_formula(formula)


@pytest.mark.parametrize(
    ("version", "revision", "stable"),
    [
        ("1.1", 0, "1.1"),
        ("1.1_2", 2, "1.1"),
        ("1_1_1", 1, "1_1"),
        ("2024_10", 0, "2024_10"),
        ("HEAD", 0, None),
    ],
)
def test_the_stable_version_is_written_without_the_revision(
    version: str, revision: int, stable: str | None
) -> None:
    formula = Formula("octo/tap", "foo", version, (), revision=revision)
    written: Any = write_formula(formula)
    assert written["versions"]["stable"] == stable
    assert read_back(formula).version == version
