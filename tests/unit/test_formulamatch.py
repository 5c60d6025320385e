"""The formula in a bottle against the tap's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.bottle import BottleFileName
from brew_provenance.bottlefile import PackedFormula, examine_bottle
from brew_provenance.findings import Severity
from brew_provenance.formula import Formula, Source
from brew_provenance.formula.apijson import read_formula as read_json
from brew_provenance.formula.ruby import read_formula
from brew_provenance.formulamatch import compare_with_tap

TAP = Path(__file__).resolve().parents[2] / "formula-fixtures"
NAME = "brew-provenance/fixtures"
BOTTLES = sorted((TAP / "bottles").iterdir())

BLOCK = b"""\
  bottle do
    sha256 cellar: :any, arm64_tahoe: "1111111111111111111111111111111111111111111111111111111111111111"
  end

"""
PACKED = b"""\
class Foo < Formula
  desc "Foos"
  homepage "https://example.org/foo"
  url "https://example.org/foo/foo-1.1.tar.gz"
  sha256 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  revision 2
  version_scheme 1

  depends_on "bar"

  def install
    bin.install "foo"
  end
end
"""
SOURCE = b'"https://example.org/foo/foo-1.1.tar.gz"'
GIT = PACKED.replace(b'  sha256 "' + b"a" * 64 + b'"\n', b"").replace(
    SOURCE, b'"https://example.org/foo.git", tag: "v1.1", revision: "' + b"c" * 40 + b'"'
)
TAG_ONLY = GIT.replace(b', revision: "' + b"c" * 40 + b'"', b"")


def in_tap(text: bytes) -> Formula:
    """Return the tap's formula, with bottles."""
    return read_formula(text.replace(b"  depends_on", BLOCK + b"  depends_on"), tap="octo/tap", name="foo")


def by_fields(text: bytes) -> Formula:
    """Return what an API says of the tap's formula."""
    return replace(in_tap(text), text=None)


def codes(packed: bytes, formula: Formula, *, same_commit: bool = False) -> list[str]:
    findings = compare_with_tap(packed, formula, same_commit=same_commit)
    assert all(finding.detail for finding in findings)
    return [finding.code for finding in findings]


def said(packed: bytes, formula: Formula) -> str:
    (finding,) = compare_with_tap(packed, formula)
    return finding.detail


@pytest.mark.parametrize("path", BOTTLES, ids=lambda path: path.name)
def test_every_bottle_of_the_fixtures_is_of_its_formula(path: Path) -> None:
    name = BottleFileName.parse(path.name)
    _, found = examine_bottle(path, name.formula, name.version)
    assert isinstance(found, PackedFormula)
    ruby = (TAP / "Formula" / name.formula[0] / f"{name.formula}.rb").read_bytes()
    from_tap = read_formula(ruby, tap=NAME, name=name.formula)
    from_api = read_json(json.loads((TAP / "api" / f"{name.formula}.json").read_text(encoding="utf-8")))
    assert codes(found.text, from_tap) == ["formula-content-matches"]
    assert codes(found.text, from_tap, same_commit=True) == ["formula-content-matches"]
    assert codes(found.text, from_api) == ["formula-compared-by-fields"]
    assert said(found.text, from_api) == "the same version, source, revision"


@pytest.mark.parametrize("text", [PACKED, GIT, TAG_ONLY])
def test_the_same_formula_matches_itself(text: bytes) -> None:
    assert codes(text, in_tap(text)) == ["formula-content-matches"]
    assert codes(text, in_tap(text), same_commit=True) == ["formula-content-matches"]
    assert codes(text, by_fields(text)) == ["formula-compared-by-fields"]
    assert codes(text, by_fields(text), same_commit=True) == ["formula-compared-by-fields"]


OTHER_SUM = PACKED.replace(b"a" * 64, b"b" * 64)
OTHER_URL = PACKED.replace(b"example.org/foo/foo-", b"mirror.example.org/foo-")


@pytest.mark.parametrize(
    ("packed", "tap", "code"),
    [
        (PACKED.replace(b"foo-1.1.tar", b"foo-1.2.tar"), PACKED, "formula-version-mismatch"),
        (PACKED.replace(b"revision 2", b"revision 1"), PACKED, "formula-version-mismatch"),
        (PACKED.replace(b"  revision 2\n", b""), PACKED, "formula-version-mismatch"),
        (PACKED.replace(b"scheme 1", b"scheme 2"), PACKED, "formula-version-mismatch"),
        (OTHER_SUM, PACKED, "formula-source-mismatch"),
        (PACKED, OTHER_SUM, "formula-source-mismatch"),
        (GIT.replace(b"c" * 40, b"d" * 40), GIT, "formula-source-mismatch"),
        (TAG_ONLY.replace(b"v1.1", b"1.1"), TAG_ONLY, "formula-source-mismatch"),
        (TAG_ONLY.replace(b"foo.git", b"evil.git"), TAG_ONLY, "formula-source-mismatch"),
        (GIT, TAG_ONLY, "formula-source-mismatch"),
        (TAG_ONLY, GIT, "formula-source-mismatch"),
        (PACKED.replace(b"  sha256", b"  # sha256"), PACKED, "formula-source-mismatch"),
        (PACKED, PACKED.replace(b"  sha256", b"  # sha256"), "formula-source-mismatch"),
        (GIT, PACKED, "formula-source-mismatch"),
    ],
)
def test_another_version_or_source_is_a_mismatch_however_it_is_compared(
    packed: bytes, tap: bytes, code: str
) -> None:
    for formula in (in_tap(tap), by_fields(tap)):
        found = compare_with_tap(packed, formula)
        assert {finding.code for finding in found} == {code}
        assert {finding.reason.severity for finding in found} == {Severity.REJECT}
    assert codes(packed, in_tap(tap), same_commit=True) == ["formula-text-mismatch"]


def test_a_mismatch_names_both_values() -> None:
    found = [finding.detail for finding in compare_with_tap(OTHER_SUM, by_fields(PACKED))]
    assert found == [f"source sha256 {'b' * 64} in the bottle, {'a' * 64} in the tap"]
    assert (
        said(GIT, replace(by_fields(GIT), version="1.2_2")) == "version 1.1_2 in the bottle, 1.2_2 in the tap"
    )
    assert said(TAG_ONLY, by_fields(GIT)) == f"source commit not given in the bottle, {'c' * 40} in the tap"


EDITED = [
    OTHER_URL,
    GIT.replace(b"foo.git", b"moved.git"),
    GIT.replace(b"v1.1", b"1.1"),
    PACKED.replace(b"Foos", b"Foos a lot"),
    PACKED.replace(b"  def", b'  deprecate! date: "2026-01-01", because: :unmaintained\n\n  def'),
    PACKED.replace(b'install "foo"', b'install "evil"'),
    PACKED + b"# a comment\n",
    PACKED.replace(b"\n\n", b"\n"),
]


@pytest.mark.parametrize("packed", EDITED)
def test_what_a_tap_may_edit_is_noted_unless_it_is_the_commit_that_was_built(
    packed: bytes,
) -> None:
    tap = GIT if b".git" in packed else PACKED
    assert codes(packed, in_tap(tap)) == ["formula-edited-since"]
    assert codes(packed, in_tap(tap), same_commit=True) == ["formula-text-mismatch"]
    assert codes(packed, by_fields(tap)) == ["formula-compared-by-fields"]


def test_only_the_bottle_block_may_differ() -> None:
    with_another_block = PACKED.replace(
        b"  depends_on", BLOCK.replace(b"1" * 64, b"2" * 64) + b"  depends_on"
    )
    assert codes(with_another_block, in_tap(PACKED), same_commit=True) == ["formula-content-matches"]
    in_a_comment = PACKED + b"\n__END__\n" + BLOCK
    assert codes(in_a_comment, in_tap(PACKED), same_commit=True) == ["formula-text-mismatch"]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"class Foo < Formula\n",
        b"class Bar < Formula\nend\n",
        b"\x00\xff\x1f\x8b",
        b"{" * 5000,
        PACKED + b"class Foo < Formula\nend\n",
    ],
)
def test_what_is_no_formula_is_refused(packed: bytes) -> None:
    for formula in (by_fields(PACKED), in_tap(PACKED)):
        findings = compare_with_tap(packed, formula)
        assert [finding.code for finding in findings] == ["formula-unreadable"]
        assert findings[0].reason.severity is Severity.REJECT


@pytest.mark.parametrize(
    ("packed", "tap", "detail"),
    [
        (
            PACKED,
            replace(by_fields(PACKED), version=None),
            "the same source, revision; not compared: version",
        ),
        (PACKED, replace(by_fields(PACKED), source=None), "the same version, revision; not compared: source"),
        (
            PACKED,
            replace(by_fields(PACKED), source=None, version=None),
            "the same revision; not compared: version, source",
        ),
        (
            PACKED.replace(SOURCE, b"ENV.fetch('FOO')"),
            by_fields(PACKED),
            "the same revision; not compared: version, source",
        ),
        (PACKED, replace(by_fields(PACKED), revision=None, version_scheme=None), "the same version, source"),
        (
            PACKED,
            replace(by_fields(PACKED), revision=None, version=None, source=None),
            "the same name; not compared: version, source",
        ),
    ],
)
def test_what_could_not_be_compared_is_said(packed: bytes, tap: Formula, detail: str) -> None:
    assert said(packed, tap) == detail
    assert codes(packed, tap) == ["formula-compared-by-fields"]


def test_an_unknown_version_does_not_hide_another_revision() -> None:
    assert codes(PACKED, replace(by_fields(PACKED), version=None, revision=3)) == ["formula-version-mismatch"]


@given(st.binary(max_size=200).filter(lambda raw: b"bottle" not in raw), st.integers(0, len(PACKED)))
def test_any_bytes_are_compared_or_refused(garbage: bytes, at: int) -> None:
    for packed in (garbage, PACKED[:at] + garbage + PACKED[at:]):
        is_same = packed.splitlines() == PACKED.splitlines()
        assert (codes(packed, in_tap(PACKED)) == ["formula-content-matches"]) is is_same
        assert codes(packed, by_fields(PACKED))


SOURCES = st.builds(
    Source,
    st.sampled_from(["https://a/x", "https://b/x"]),
    sha256=st.sampled_from([None, "a" * 64, "b" * 64]),
    tag=st.sampled_from([None, "v1", "v2"]),
    revision=st.sampled_from([None, "c" * 40, "d" * 40]),
)


@given(SOURCES)
def test_a_source_matches_only_where_its_identity_is_the_same(tap: Source) -> None:
    found = codes(PACKED, replace(by_fields(PACKED), source=tap))
    matches = tap.sha256 == "a" * 64 and tap.revision is None
    assert found == ["formula-compared-by-fields"] if matches else set(found) == {"formula-source-mismatch"}
