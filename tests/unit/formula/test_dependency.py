"""Where a formula needs another one."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.bottle import BottleTag
from brew_provenance.formula import Dependency, from_macos
from brew_provenance.macos import VERSIONS

# The newest and the oldest release, one between them, and one that can be written in two ways.
TAGS = ("arm64_linux", "x86_64_linux", "arm64_tahoe", "tahoe", "arm64_sonoma", "sonoma", "yosemite")
LINUX = {"arm64_linux", "x86_64_linux"}
MACOS = set(TAGS) - LINUX


@pytest.mark.parametrize(
    ("conditions", "needed"),
    [
        ((), set(TAGS)),
        (("on_linux",), LINUX),
        (("on_macos",), MACOS),
        (("on_arm",), {"arm64_linux", "arm64_tahoe", "arm64_sonoma"}),
        (("on_intel",), {"x86_64_linux", "tahoe", "sonoma", "yosemite"}),
        (("not:on_linux",), MACOS),
        (("not:on_macos",), LINUX),
        (("not:not:on_macos",), MACOS),
        (("on_macos", "on_arm"), {"arm64_tahoe", "arm64_sonoma"}),
        (("on_macos", "not:on_arm"), {"tahoe", "sonoma", "yosemite"}),
        (("on_macos", "on_linux"), set[str]()),
        (("on_sonoma",), {"arm64_sonoma", "sonoma"}),
        (("on_sonoma_or_newer",), {"arm64_tahoe", "tahoe", "arm64_sonoma", "sonoma"}),
        (("on_sonoma_or_older",), {"arm64_sonoma", "sonoma", "yosemite"}),
        (("on_ventura_or_newer",), {"arm64_tahoe", "tahoe", "arm64_sonoma", "sonoma"}),
        (("on_ventura_or_older",), {"yosemite"}),
        (("on_yosemite_or_older",), {"yosemite"}),
        (("on_golden_gate_or_newer",), set[str]()),
        (("on_yosemite_or_newer",), MACOS),
        (("on_golden_gate_or_older",), MACOS),
        # `on_el_capitan` outranks `on_…_or_older` nowhere: the tens are compared as numbers.
        (("on_catalina_or_older",), {"yosemite"}),
        # Linux has no releases of macOS, so that denying one lets it in.
        (("not:on_sonoma",), {*LINUX, "arm64_tahoe", "tahoe", "yosemite"}),
        (("on_macos", "not:on_sonoma_or_newer"), {"yosemite"}),
        (("tag:x86_64_linux",), {"x86_64_linux"}),
        (("tag:sonoma",), {"sonoma"}),
        (("tag:x86_64_sonoma",), {"sonoma"}),
        (("tag:aarch64_linux",), {"arm64_linux"}),
        (("not:tag:sonoma", "not:tag:tahoe"), set(TAGS) - {"sonoma", "tahoe"}),
        (("if OS.mac?", "on_linux", "on_macos"), set[str]()),
    ],
)
def test_a_dependency_is_needed_where_all_conditions_hold(
    conditions: tuple[str, ...], needed: set[str]
) -> None:
    dependency = Dependency("foo", conditions)
    assert {tag: dependency.needed_on(BottleTag.parse(tag)) for tag in TAGS} == {
        tag: tag in needed for tag in TAGS
    }


@pytest.mark.parametrize(
    "condition",
    [
        "if build.with? :x",
        "not:if x",
        "on_",
        "on_windows",
        "on_windows_or_newer",
        "on_sonoma_or_newer_or_older",
        "on_sonoma_or_",
        "on_sonoma_newer",
        "on_system",
        "sonoma",
        "sonoma_or_newer",
        "macos",
        "",
        "not:",
        "tag:",
        "tag:not-a-tag",
    ],
)
def test_a_condition_that_cannot_be_known_leaves_it_open_unless_another_one_fails(condition: str) -> None:
    for tag in map(BottleTag.parse, TAGS):
        assert Dependency("foo", (condition,)).needed_on(tag) is None
        for order in ((condition, "on_linux"), ("on_linux", condition)):
            assert Dependency("foo", order).needed_on(tag) is (None if tag.system == "linux" else False)


def test_an_unknown_release_is_neither_newer_nor_older() -> None:
    tag = BottleTag("cheetah", "x86_64")
    for condition in ("on_sonoma", "on_sonoma_or_newer", "on_sonoma_or_older", "on_macos"):
        assert Dependency("foo", (condition,)).needed_on(tag) is False


@pytest.mark.parametrize(
    ("since", "needed"),
    [
        (None, LINUX),
        ("sonoma", {*LINUX, "yosemite"}),
        ("golden_gate", set(TAGS)),
        ("yosemite", LINUX),
    ],
)
def test_what_macos_has_is_needed_on_linux_and_before_it_had_it(since: str | None, needed: set[str]) -> None:
    found = list(from_macos("zlib", since))
    assert {dependency.name for dependency in found} == {"zlib"}
    for tag in TAGS:
        held = {dependency.needed_on(BottleTag.parse(tag)) for dependency in found}
        assert (True in held) is (tag in needed), tag


def test_what_macos_has_is_needed_under_the_conditions_that_stand_around_it() -> None:
    found = list(from_macos("zlib", "sonoma", ("on_intel",)))
    needed = {tag for tag, one in product(TAGS, found) if one.needed_on(BottleTag.parse(tag))}
    assert needed == {"x86_64_linux", "yosemite"}


CONDITIONS = st.builds(
    lambda denied, name, bound: f"{denied}on_{name}{bound}",
    st.sampled_from(["", "not:", "not:not:"]),
    st.sampled_from([*VERSIONS, "macos", "linux", "arm", "intel", "elsewhere"]),
    st.sampled_from(["", "_or_newer", "_or_older"]),
)


@given(st.lists(CONDITIONS, max_size=3), CONDITIONS, st.sampled_from(TAGS))
def test_one_more_condition_never_makes_it_needed(conditions: list[str], more: str, text: str) -> None:
    tag = BottleTag.parse(text)
    before = Dependency("foo", tuple(conditions)).needed_on(tag)
    after = Dependency("foo", (*conditions, more)).needed_on(tag)
    assert after is not True or before is True
    assert before is not False or after is False


@given(CONDITIONS, st.sampled_from(TAGS))
def test_a_condition_and_its_denial_are_opposites(condition: str, text: str) -> None:
    tag = BottleTag.parse(text)
    held = Dependency("foo", (condition,)).needed_on(tag)
    denied = Dependency("foo", (f"not:{condition}",)).needed_on(tag)
    assert denied is (None if held is None else not held)
