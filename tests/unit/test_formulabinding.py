"""The formula that an attestation names, against whatever is at hand of the tap and of the bottle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.builders import DROP, Json, altered
from tests.unit.buildtypes.builds import make_build

from brew_provenance.buildtypes.bottle.v1 import BottleBuild
from brew_provenance.findings import REASONS, Severity
from brew_provenance.formula import Formula, Source
from brew_provenance.formula.bottleblock import as_packed, without_bottle_block
from brew_provenance.formula.ruby import read_formula
from brew_provenance.formulamatch import bind_formula
from brew_provenance.taps import CommittedFile, NoSuchFile

SUM = "a" * 64
OLD_BLOCK = b'  bottle do\n    sha256 sonoma: "' + b"1" * 64 + b'"\n  end\n\n'
NEW_BLOCK = OLD_BLOCK.replace(b"1" * 64, b"2" * 64)
BARE = f"""\
class Foo < Formula
  desc "Foos"
  url "https://example.org/foo/foo-1.1.tar.gz"
  sha256 "{SUM}"

  depends_on "bar"

  def install
    bin.install "foo"
  end
end
""".encode()
PATH = "Formula/f/foo.rb"
COMMIT = make_build().commit
SOURCE = ("buildDefinition", "resolvedDependencies", 3)
FORMULA = ("buildDefinition", "resolvedDependencies", 1)
BOTH = {"sha256": SUM, "gitCommit": "c" * 40}


def with_block(text: bytes, block: bytes = OLD_BLOCK) -> bytes:
    return text.replace(b"  depends_on", block + b"  depends_on")


BUILT = with_block(BARE)
PACKED = without_bottle_block(BUILT)
EDITED = BARE.replace(b"Foos", b"Foos and bars")
OTHER_VERSION = BARE.replace(b"foo-1.1", b"foo-1.2")
OTHER_SUM = BARE.replace(SUM.encode(), b"b" * 64)


def make(*changes: Any, formula: bytes = BUILT) -> BottleBuild:
    """Return the build of the example bottle, from `formula`."""
    packed = without_bottle_block(formula)
    predicate = make_build(formula=formula, packed=packed, source_sha256=SUM).predicate()
    return BottleBuild.from_json(altered(predicate, *changes))


def described(ruby: bytes = with_block(BARE, NEW_BLOCK), **overrides: Any) -> Formula:
    """Return what the tap's repository says of the formula now."""
    return replace(read_formula(ruby, tap="octo/tap", name="foo", path=PATH), **overrides)


def by_fields(ruby: bytes = with_block(BARE, NEW_BLOCK), **overrides: Any) -> Formula:
    """Return what an API says of it."""
    return described(ruby, text=None, **overrides)


@dataclass
class Commits:
    """A tap's repository that holds some commits."""

    files: Mapping[str, CommittedFile | NoSuchFile | None] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def file_at(self, commit: str, path: str) -> CommittedFile | NoSuchFile | None:
        self.asked.append((commit, path))
        return self.files.get(commit)


def blob_of(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def holding(content: bytes = BUILT, blob: str | None = None) -> Commits:
    return Commits({COMMIT: CommittedFile(blob or blob_of(content), content)})


def codes(build: BottleBuild, formula: Formula | None = None, **at_hand: Any) -> list[str]:
    findings = bind_formula(build, formula, **at_hand)
    assert all(finding.detail for finding in findings)
    faults = [finding for finding in findings if finding.is_fault]
    if faults:
        assert findings == faults
    else:
        # What was and what was not compared is summed up once.
        assert findings[-1].code in {"formula-bound", "formula-not-compared"}
        assert [finding.code for finding in findings].count(findings[-1].code) == 1
        assert COMMIT in findings[-1].detail
    return [finding.code for finding in findings]


def said(build: BottleBuild, formula: Formula | None = None, **at_hand: Any) -> str:
    return bind_formula(build, formula, **at_hand)[-1].detail


def test_with_nothing_at_hand_nothing_is_said_to_be_compared() -> None:
    assert codes(make()) == ["formula-not-compared"]


# The formula in the bottle


def test_the_formula_in_the_bottle_is_the_attested_one() -> None:
    assert codes(make(), packed=PACKED) == ["formula-bound"]
    assert "the formula in the bottle is the attested one" in said(make(), packed=PACKED)


@pytest.mark.parametrize("packed", [EDITED, BUILT, b"", PACKED + b"\n", PACKED.replace(b"\n", b"\r\n")])
def test_another_formula_in_the_bottle_is_a_mismatch(packed: bytes) -> None:
    assert codes(make(), packed=packed) == ["formula-text-mismatch"]
    assert codes(make(), described(), packed=packed, history=holding()) == ["formula-text-mismatch"]


# The tap's repository


def test_the_file_at_the_commit_is_the_attested_one() -> None:
    commits = holding()
    assert codes(make(), history=commits) == ["formula-bound"]
    assert commits.asked == [(COMMIT, PATH)]
    assert "the tap's file at that commit is the attested one" in said(make(), history=holding())


def test_a_commit_that_is_not_at_hand_is_no_fault_and_said() -> None:
    assert codes(make(), history=Commits()) == ["formula-commit-not-in-tap", "formula-not-compared"]
    assert codes(make(), packed=PACKED, history=Commits()) == ["formula-commit-not-in-tap", "formula-bound"]


@pytest.mark.parametrize(
    "history",
    [
        holding(with_block(EDITED)),
        holding(BARE),
        holding(blob="f" * 40),
        Commits({COMMIT: NoSuchFile("there is no such file")}),
    ],
    ids=["another text", "another block", "another blob", "no file"],
)
def test_a_commit_that_does_not_hold_the_file_is_a_lie(history: Commits) -> None:
    assert codes(make(), history=history) == ["formula-file-mismatch"]
    # Whatever else is right.
    assert codes(make(), described(BUILT), packed=PACKED, history=history) == ["formula-file-mismatch"]


def test_a_blob_need_not_be_attested() -> None:
    build = make(((*FORMULA, "digest", "gitBlob"), DROP))
    assert codes(build, history=holding()) == ["formula-bound"]


def test_the_two_digests_have_to_be_of_one_file() -> None:
    build = make(((*FORMULA, "annotations", "sha256WithoutBottleBlock"), "f" * 64))
    assert codes(build, history=holding()) == ["formula-file-mismatch"]


@pytest.mark.parametrize(
    "text", [BUILT.replace(b"  depends_on", OLD_BLOCK + b"  depends_on"), b"class Foo\n"]
)
def test_a_file_that_is_no_formula_pins_nothing(text: bytes) -> None:
    predicate = make_build(formula=text, source_sha256=SUM).predicate()
    assert codes(BottleBuild.from_json(predicate), history=holding(text)) == ["formula-file-mismatch"]


# The tap's description


@pytest.mark.parametrize("formula", [described(), described(BUILT), described(BARE)])
def test_the_attested_file_describes_the_bottle_but_for_its_block(formula: Formula) -> None:
    found = codes(make(), formula, history=holding())
    assert found == ["formula-content-matches", "formula-bound"]


def test_the_blank_line_that_brew_puts_before_a_first_block_is_no_difference() -> None:
    built = BARE.replace(b'"\n\n  depends_on', b'"\n  depends_on')
    present = built.replace(b'"\n  depends_on', b'"\n\n' + OLD_BLOCK[:-2] + b"\n  depends_on")
    assert without_bottle_block(present) != built
    assert built in as_packed(present)
    assert as_packed(built) == (built,)
    for at_hand in ({}, {"history": holding(built)}):
        found = codes(make(formula=built), described(present), **at_hand)
        assert found == ["formula-content-matches", "formula-bound"]


def test_a_tap_goes_on_editing() -> None:
    edited = described(with_block(EDITED, NEW_BLOCK))
    assert codes(make(), edited, history=holding()) == ["formula-edited-since", "formula-bound"]
    assert codes(make(), edited) == ["formula-edited-since", "formula-bound"]
    without_source = make(
        (SOURCE[:-1], make_build().predicate()["buildDefinition"]["resolvedDependencies"][:3])
    )
    assert codes(without_source, edited) == ["formula-edited-since", "formula-not-compared"]


@pytest.mark.parametrize("text", [EDITED, OTHER_VERSION, OTHER_SUM])
def test_at_one_commit_there_is_one_text(text: bytes) -> None:
    formula = described(with_block(text), commit=COMMIT)
    assert codes(make(), formula, history=holding())[0] == "formula-file-mismatch"
    assert codes(make(), formula)[0] == "formula-file-mismatch"
    assert codes(make(), replace(formula, text=None))[0] == "formula-file-mismatch"
    hidden = replace(formula, file_sha256=None)
    assert codes(make(), hidden, history=holding()) == ["formula-text-mismatch"]


@pytest.mark.parametrize(
    ("text", "code"),
    [(OTHER_VERSION, "formula-version-mismatch"), (OTHER_SUM, "formula-source-mismatch")],
)
def test_a_commit_of_another_version_or_source_does_not_describe_the_bottle(text: bytes, code: str) -> None:
    built = with_block(text)
    found = codes(
        make(((*SOURCE, "digest", "sha256"), "b" * 64), formula=built), described(), history=holding(built)
    )
    assert code in found
    assert set(found) <= {"formula-version-mismatch", "formula-source-mismatch"}


def test_the_attested_source_is_that_of_the_attested_formula() -> None:
    lying = make(((*SOURCE, "digest", "sha256"), "c" * 64))
    for at_hand in ({"packed": PACKED}, {"history": holding()}):
        assert codes(lying, **at_hand) == ["formula-source-mismatch"]
        assert codes(lying, described(), **at_hand) == ["formula-source-mismatch"]
    assert codes(lying, by_fields()) == ["formula-source-mismatch"]


def test_the_version_of_the_attested_formula_is_the_bottles() -> None:
    for at_hand in ({"packed": PACKED}, {"history": holding()}):
        assert codes(make(), version="1.1", **at_hand) == ["formula-bound"]
        assert codes(make(), version="1.1_1", **at_hand) == ["formula-version-mismatch"]
    assert codes(make(), version="9") == ["formula-not-compared"]


def test_a_version_that_would_have_to_be_computed_is_compared_with_nothing() -> None:
    computed = with_block(BARE.replace(b'"https://example.org/foo/foo-1.1.tar.gz"', b"URLS.first"))
    build = make(formula=computed)
    found = codes(build, version="7", history=holding(computed))
    assert found == ["formula-bound"]


def test_an_attested_formula_that_cannot_be_read_is_compared_by_its_text() -> None:
    strange = with_block(BARE.replace(b"class Foo", b"class Bar"))
    assert codes(make(formula=strange), version="7", history=holding(strange)) == ["formula-bound"]


# The API's description


def test_the_api_says_which_file_describes_the_bottle() -> None:
    assert codes(make(), by_fields(BUILT)) == ["formula-content-matches", "formula-bound"]
    assert "the tap's present file is the attested one" in said(make(), by_fields(BUILT))


def test_otherwise_the_source_is_compared() -> None:
    assert codes(make(), by_fields()) == ["formula-bound"]
    assert said(make(), by_fields()).endswith("the source of the tap's description is the attested one")


@pytest.mark.parametrize(
    ("digest", "source", "found"),
    [
        ({"gitCommit": "c" * 40}, Source("x", None, "v1.1", "c" * 40), ["formula-bound"]),
        ({"gitCommit": "c" * 40}, Source("x", None, "v1.1", "d" * 40), ["formula-source-mismatch"]),
        ({"gitCommit": "c" * 40}, Source("x", SUM), ["formula-not-compared"]),
        ({"sha256": SUM}, Source("x"), ["formula-not-compared"]),
        ({"sha256": SUM}, None, ["formula-not-compared"]),
        ({"blake3": "x"}, Source("x", SUM), ["formula-not-compared"]),
        (BOTH, Source("x", SUM, None, "d" * 40), ["formula-source-mismatch"]),
        (BOTH, Source("x", SUM, None, "c" * 40), ["formula-bound"]),
    ],
)
def test_sources_are_compared_where_both_say_which_they_are(
    digest: Json, source: Source | None, found: list[str]
) -> None:
    assert codes(make(((*SOURCE, "digest"), digest)), by_fields(source=source)) == found


def test_without_an_attested_source_there_is_none_to_compare() -> None:
    build = make(((*SOURCE, "name"), "more"))
    assert codes(build, by_fields()) == ["formula-not-compared"]
    assert codes(build, by_fields(), packed=PACKED) == ["formula-bound"]


def test_a_description_that_cannot_be_read_is_a_fault() -> None:
    broken = replace(described(), text=b"class Foo\n", file_sha256=None)
    assert codes(make(), broken) == ["formula-unreadable"]


def test_what_is_in_the_bottle_is_compared_with_the_tap_elsewhere() -> None:
    edited = described(with_block(EDITED, NEW_BLOCK))
    assert codes(make(), edited, packed=PACKED) == ["formula-bound"]


def test_every_finding_is_of_a_severity_that_decides_or_notes() -> None:
    assert REASONS["formula-file-mismatch"].severity is Severity.REJECT
    assert REASONS["formula-commit-not-in-tap"].severity is Severity.NOTE
