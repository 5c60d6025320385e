"""Formulae as Homebrew's packages files describe them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import DROP, SHA256, Json, altered

from brew_provenance.bottle import Bottle, BottleTag
from brew_provenance.formula import Dependency, Formula, FormulaError, Source
from brew_provenance.formula.internalapi import Packages, read_packages

GENERATED = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
URL = "https://ghcr.io/v2/homebrew/core"
ENTRY: Json = {
    "desc": "Internet file retriever",
    "executables": ["wget"],
    "homepage": "https://example.org/wget",
    "license": {":all_of": ["GPL-3.0-or-later"]},
    "aliases": ["get"],
    "bottle_cellar": ":any",
    "bottle_checksum": SHA256.value,
    "revision": 1,
    "bottle_rebuild": 2,
    "version_scheme": 3,
    "ruby_source_checksum": "e" * 64,
    "stable_checksum": "f" * 64,
    "stable_url_args": ["https://example.org/wget-1.25.0.tar.gz"],
    "stable_version": "1.25.0",
    "stable_dependencies": ["openssl@3", {"pkgconf": ":build"}],
}
DOCUMENT: Json = {
    "metadata": {
        "homebrew_version": "7.0.4",
        "bottle_tag": "arm64_tahoe",
        "generated_at": int(GENERATED.timestamp()),
    },
    "formulae": {"wget": ENTRY, "zlib": {"stable_version": "1.3"}},
    "casks": {"wget": {"version": "1"}},
    "formula_aliases": {"get": "wget"},
    "formula_renames": {"old-wget": "wget"},
    "formula_tap_git_head": "a" * 40,
    "formula_tap_migrations": {"gimp": "homebrew/cask"},
}


def packages(entries: Json | None = None, tag: str = "arm64_tahoe") -> Packages:
    return read_packages(
        altered(DOCUMENT, (("metadata", "bottle_tag"), tag), (("formulae",), entries or DOCUMENT["formulae"]))
    )


def read(*changes: Any, tag: str = "arm64_tahoe") -> Formula:
    """Return the example formula, with values at paths of its entry set."""
    return packages({"wget": altered(ENTRY, *changes)}, tag).formula("wget")


def refusal(*changes: Any) -> str:
    with pytest.raises(FormulaError) as refused:
        read(*changes)
    return str(refused.value)


def test_a_file_says_when_and_what_it_was_made_for() -> None:
    found = read_packages(DOCUMENT)
    assert (found.tag, found.generated_at) == (BottleTag("tahoe", "arm64"), GENERATED)
    assert found.commit == "a" * 40
    assert found.aliases == {"get": "wget"}
    assert found.renames == {"old-wget": "wget"}
    assert found.migrations == {"gimp": "homebrew/cask"}
    assert list(found.names) == ["wget", "zlib"]


def test_what_is_blank_may_be_left_out_of_a_file() -> None:
    blank = ("formula_aliases", "formula_renames", "formula_tap_migrations", "formula_tap_git_head", "casks")
    found = read_packages(altered(DOCUMENT, *(((name,), DROP) for name in blank)))
    assert (found.aliases, found.renames, found.migrations, found.commit) == ({}, {}, {}, None)


def test_a_formula_is_read_as_brew_would_read_it() -> None:
    assert read() == Formula(
        tap="homebrew/core",
        name="wget",
        version="1.25.0_1",
        bottles=(
            Bottle(
                tap="homebrew/core",
                formula="wget",
                version="1.25.0_1",
                rebuild=2,
                tag="arm64_tahoe",
                digest=SHA256,
                url=f"{URL}/wget/blobs/{SHA256}",
                path="Formula/w/wget.rb",
            ),
        ),
        root_url=URL,
        dependencies=(Dependency("openssl@3"),),
        source=Source("https://example.org/wget-1.25.0.tar.gz", "f" * 64),
        revision=1,
        version_scheme=3,
        aliases=("get",),
        path="Formula/w/wget.rb",
        file_sha256="e" * 64,
        commit="a" * 40,
    )


def test_what_is_blank_may_be_left_out_of_a_formula() -> None:
    assert packages({"zlib": {"stable_version": "1.3"}}).formula("zlib") == Formula(
        "homebrew/core", "zlib", "1.3", (), path="Formula/z/zlib.rb", commit="a" * 40
    )
    head_only = packages({"tool": {}}).formula("tool")
    assert (head_only.version, head_only.bottles) == ("HEAD", ())


def test_a_formula_is_looked_at_when_it_is_asked_for() -> None:
    found = packages({"wget": ENTRY, "broken": {"revision": "1"}})
    assert found.formula("wget").name == "wget"
    with pytest.raises(FormulaError, match="revision"):
        found.formula("broken")
    with pytest.raises(KeyError):
        found.formula("absent")


@pytest.mark.parametrize(
    ("tag", "written", "read_as"),
    [
        ("arm64_tahoe", None, "arm64_tahoe"),
        ("tahoe", None, "tahoe"),
        ("x86_64_linux", None, "x86_64_linux"),
        ("arm64_tahoe", ":all", "all"),
        ("arm64_golden_gate", ":arm64_tahoe", "arm64_tahoe"),
    ],
)
def test_a_bottle_is_for_the_files_tag_unless_it_says_otherwise(
    tag: str, written: str | None, read_as: str
) -> None:
    (bottle,) = read((("bottle_tag",), written), tag=tag).bottles
    assert bottle.tag == read_as
    assert str(bottle.file_name) == f"wget--1.25.0_1.{read_as}.bottle.2.tar.gz"


@pytest.mark.parametrize(
    ("name", "image", "path"),
    [
        ("openssl@3", "openssl/3", "Formula/o/openssl@3.rb"),
        ("gtk+3", "gtkx3", "Formula/g/gtk+3.rb"),
        ("libpng", "libpng", "Formula/lib/libpng.rb"),
        ("a52dec", "a52dec", "Formula/a/a52dec.rb"),
        ("0-ad", "0-ad", "Formula/0/0-ad.rb"),
    ],
)
def test_where_bottle_and_formula_are_follows_from_the_name(name: str, image: str, path: str) -> None:
    formula = packages({name: ENTRY}).formula(name)
    assert formula.path == path
    assert formula.bottles[0].url == f"{URL}/{image}/blobs/{SHA256}"


@pytest.mark.parametrize("name", ["", "../wget", "a/b", "-x", "wget\n", "a b", "wgét", ".rb"])
def test_what_cannot_be_a_formulas_name_is_none(name: str) -> None:
    with pytest.raises(FormulaError, match="name"):
        packages({name: {"stable_version": "1"}}).formula(name)


def test_a_digest_is_read_without_regard_to_case() -> None:
    assert read((("bottle_checksum",), SHA256.value.upper())).bottles[0].digest == SHA256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((("bottle_checksum",), "a" * 63), "bottle arm64_tahoe"),
        ((("bottle_checksum",), 7), "bottle_checksum"),
        ((("bottle_tag",), "all"), "bottle_tag"),
        ((("bottle_tag",), ":Tahoe!"), "bottle Tahoe!"),
        ((("bottle_tag",), ":arm64_all"), "bottle arm64_all"),
        ((("bottle_rebuild",), -1), "bottle_rebuild"),
        ((("bottle_rebuild",), True), "bottle_rebuild"),
        ((("revision",), "1"), "revision"),
        ((("revision",), -1), "revision"),
        ((("stable_version",), DROP), "without a stable version"),
        ((("stable_version",), 1.25), "stable_version"),
        ((("stable_version",), ":head"), "stable_version"),
        ((("stable_version",), "1/2"), "bottle arm64_tahoe"),
        ((("stable_url_args",), []), "stable_url_args"),
        ((("stable_url_args",), ["u", {}, {}]), "stable_url_args"),
        ((("stable_url_args",), [{}]), "stable_url_args"),
        ((("stable_url_args",), "https://example.org"), "stable_url_args"),
        ((("stable_url_args",), ["u", {":tag": ":x"}]), "stable_url_args"),
        ((("stable_dependencies",), "openssl@3"), "stable_dependencies"),
        ((("stable_dependencies",), [{}]), "stable_dependencies"),
        ((("stable_dependencies",), [7]), "stable_dependencies"),
        ((("stable_uses_from_macos",), ["zlib"]), "stable_uses_from_macos"),
        ((("stable_uses_from_macos",), [[]]), "stable_uses_from_macos"),
        ((("stable_uses_from_macos",), [["zlib", {}, {}]]), "stable_uses_from_macos"),
        ((("stable_uses_from_macos",), [["zlib", {":since": 7}]]), "bound"),
        ((("stable_uses_from_macos",), [["zlib", {":since": "tahoe"}]]), "bound"),
        ((("stable_uses_from_macos",), [[{":since": ":tahoe"}]]), "bound without a formula"),
        ((("aliases",), "get"), "aliases"),
        ((("deprecate_args",), []), "deprecate_args"),
        ((("deprecate_args",), {":because": 1}), "deprecate_args"),
    ],
)
def test_an_entry_of_another_shape_is_refused(change: Any, message: str) -> None:
    assert message in refusal(change)


@pytest.mark.parametrize("entry", [None, [], "wget", 7])
def test_an_entry_is_an_object(entry: Any) -> None:
    with pytest.raises(FormulaError):
        packages({"wget": entry}).formula("wget")


def test_a_backslash_sets_strings_apart_from_symbols() -> None:
    formula = read(
        (("aliases",), ["\\:odd", "\\\\odd"]),
        (("stable_url_args",), ["\\:u", {":tag": "\\:t"}]),
        (("stable_dependencies",), ["\\\\dep", {"\\:dep": ":recommended"}]),
    )
    assert formula.aliases == (":odd", "\\odd")
    assert formula.source == Source(":u", "f" * 64, tag=":t")
    assert [need.name for need in formula.dependencies] == ["\\dep", ":dep"]


@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        (["https://example.org/x.tgz"], Source("https://example.org/x.tgz")),
        (
            ["https://example.org/x.git", {":tag": "v1", ":revision": "b" * 40, ":using": ":git"}],
            Source("https://example.org/x.git", tag="v1", revision="b" * 40),
        ),
        (DROP, None),
    ],
)
def test_a_source_may_be_a_file_or_a_commit(arguments: object, source: Source | None) -> None:
    found = read((("stable_url_args",), arguments), (("stable_checksum",), DROP)).source
    assert found == source


@pytest.mark.parametrize(
    ("written", "needed"),
    [
        ("dep", True),
        ({"dep": ":build"}, False),
        ({"dep": ":test"}, False),
        ({"dep": ":optional"}, False),
        ({"dep": ":recommended"}, True),
        ({"dep": [":build", ":test"]}, False),
        ({"dep": [":recommended"]}, True),
        (":macos", False),
        ({":macos": [":big_sur"]}, False),
        ({":xcode": ["15.0", ":build"]}, False),
        ({":arch": [":x86_64", {":x": ":y"}]}, False),
        (":linux", False),
    ],
)
def test_only_formulae_that_are_needed_at_run_time_are_dependencies(written: object, needed: bool) -> None:
    found = read((("stable_dependencies",), [written])).dependencies
    assert found == ((Dependency("dep"),) if needed else ())


@pytest.mark.parametrize(
    ("tag", "written", "needed"),
    [
        # macOS brings it along, Linux does not.
        ("arm64_tahoe", ["zlib"], False),
        ("x86_64_linux", ["zlib"], True),
        ("arm64_linux", ["zlib", {":since": ":sonoma"}], True),
        # From one release on.
        ("arm64_sonoma", ["zlib", {":since": ":sonoma"}], False),
        ("arm64_tahoe", ["zlib", {":since": ":sonoma"}], False),
        ("ventura", ["zlib", {":since": ":sonoma"}], True),
        ("catalina", ["zlib", {":since": ":big_sur"}], True),
        ("ventura", [{"zlib": ":recommended", ":since": ":sonoma"}], True),
        # For building or testing alone.
        ("x86_64_linux", [{"zlib": ":build"}], False),
        ("x86_64_linux", [{"zlib": [":build", ":test"]}], False),
        ("ventura", [{"zlib": ":test", ":since": ":sonoma"}], False),
        ("x86_64_linux", [{"zlib": [":recommended"], ":since": ":sonoma"}], True),
    ],
)
def test_what_macos_brings_along_is_needed_elsewhere(tag: str, written: object, needed: bool) -> None:
    formula = read((("stable_dependencies",), DROP), (("stable_uses_from_macos",), [written]), tag=tag)
    assert formula.dependencies == ((Dependency("zlib"),) if needed else ())


def test_a_bottle_made_on_an_older_macos_needs_what_that_one_did_not_bring_along() -> None:
    used = (("stable_uses_from_macos",), [["zlib", {":since": ":tahoe"}]])
    older = read((("bottle_tag",), ":arm64_sequoia"), used)
    assert Dependency("zlib") in older.dependencies
    assert Dependency("zlib") not in read(used).dependencies
    assert Dependency("zlib") not in read((("bottle_tag",), ":all"), used).dependencies
    assert Dependency("zlib") not in read((("bottle_checksum",), DROP), used).dependencies


def test_a_macos_that_we_do_not_know_makes_a_need_that_we_do_not_know() -> None:
    used = (("stable_uses_from_macos",), [["zlib", {":since": ":next_one"}]])
    need = read(used).dependencies[-1]
    assert need.name == "zlib"
    assert need.needed_on(BottleTag("tahoe", "arm64")) is None


BEFORE, ON, AFTER = "2026-11-19", "2026-11-20", "2026-11-21"


@pytest.mark.parametrize(
    ("deprecate", "disable", "deprecated", "disabled"),
    [
        (None, None, None, None),
        ({":date": BEFORE, ":because": ":unmaintained"}, None, "unmaintained", None),
        ({":date": ON, ":because": "is old"}, None, "is old", None),
        ({":date": AFTER, ":because": "is old"}, None, None, None),
        ({":because": "\\:old"}, None, ":old", None),
        ({":date": "some day", ":because": "is old"}, None, "is old", None),
        ({":date": BEFORE}, None, "no reason given", None),
        (None, {":date": ON, ":because": ":repo_archived"}, None, "repo_archived"),
        # What is going to be disabled is deprecated until then.
        (None, {":date": AFTER, ":because": "is old"}, "is old", None),
        ({":date": AFTER, ":because": "a"}, {":date": AFTER, ":because": "b"}, None, None),
        ({":date": BEFORE, ":because": "a"}, {":date": BEFORE, ":because": "b"}, "a", "b"),
    ],
)
def test_notices_hold_from_their_day_on(
    deprecate: Json | None, disable: Json | None, deprecated: str | None, disabled: str | None
) -> None:
    formula = read((("deprecate_args",), deprecate), (("disable_args",), disable))
    assert (formula.deprecated, formula.disabled) == (deprecated, disabled)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        [{"name": "wget"}],
        {},
        # What brew called the internal API before, whose tag stands in the file's name alone.
        {"formulae": {}, "aliases": {}, "renames": {}, "tap_git_head": "a" * 40, "tap_migrations": {}},
        altered(DOCUMENT, (("metadata",), DROP)),
        altered(DOCUMENT, (("metadata", "bottle_tag"), DROP)),
        altered(DOCUMENT, (("metadata", "bottle_tag"), "no tag!")),
        altered(DOCUMENT, (("metadata", "generated_at"), "2026-11-20")),
        altered(DOCUMENT, (("metadata", "generated_at"), -1)),
        altered(DOCUMENT, (("metadata", "generated_at"), 10**30)),
        altered(DOCUMENT, (("metadata", "generated_at"), True)),
        altered(DOCUMENT, (("formulae",), DROP)),
        altered(DOCUMENT, (("formulae",), [ENTRY])),
        altered(DOCUMENT, (("formula_aliases",), {"get": ["wget"]})),
        altered(DOCUMENT, (("formula_renames",), [])),
        altered(DOCUMENT, (("formula_tap_migrations",), {"gimp": None})),
    ],
)
def test_another_document_is_no_packages_file(document: object) -> None:
    with pytest.raises(FormulaError):
        read_packages(document)


def test_the_last_second_of_the_calendar_can_be_read() -> None:
    found = read_packages(altered(DOCUMENT, (("metadata", "generated_at"), 253_402_300_799)))
    assert found.generated_at.year == 9999


NAMES = st.text(max_size=4) | st.just(":since")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(sorted([*ENTRY, "bottle_tag", "stable_uses_from_macos", "disable_args"])),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just(":since"),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
def test_any_entry_is_read_or_refused_and_nothing_else_happens(changes: Json) -> None:
    try:
        formula = packages({"wget": {**ENTRY, **changes}}).formula("wget")
    except FormulaError as error:
        assert str(error)
    else:
        assert formula.full_name == "homebrew/core/wget"
