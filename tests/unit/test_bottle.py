"""Digests, tags, and the grammar of bottle file names."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import make_bottle

from brew_provenance.bottle import (
    BottleFileName,
    BottleTag,
    Digest,
    claimed_bottle_name,
    hash_stream,
    is_bottle_name,
    is_hex_digest,
)

NAMES = st.from_regex(r"\A[a-z0-9_][a-zA-Z0-9_]*([@+.-][a-zA-Z0-9_]+){0,3}\Z")
VERSIONS = st.from_regex(r"\A[0-9][0-9a-z]*([.+~:_-]{1,2}[0-9a-z]+){0,4}\Z")
ARCHES = st.sampled_from(["", "arm64_", "x86_64_", "ppc64le_"])
SYSTEMS = st.sampled_from(["golden_gate", "tahoe", "sonoma", "big_sur", "el_capitan", "linux"])
TAGS = st.one_of(st.just("all"), st.builds(str.__add__, ARCHES, SYSTEMS))
REBUILDS = st.integers(min_value=0, max_value=10**6)


@given(NAMES, VERSIONS, TAGS, REBUILDS)
def test_a_file_name_of_a_known_formula_gives_its_parts_back(
    name: str, version: str, tag: str, rebuild: int
) -> None:
    file_name = BottleFileName(name, version, tag, rebuild)
    assert BottleFileName.parse(str(file_name), name) == file_name


@given(NAMES.filter(lambda name: "--" not in name), VERSIONS, TAGS, REBUILDS)
def test_a_file_name_gives_its_parts_back_without_the_formula_being_known(
    name: str, version: str, tag: str, rebuild: int
) -> None:
    file_name = BottleFileName(name, version, tag, rebuild)
    assert BottleFileName.parse(str(file_name)) == file_name
    assert is_bottle_name(str(file_name))


@given(st.text(alphabet=st.sampled_from("ab1.-_@+/\\ \n\u00e9"), max_size=30))
def test_a_name_that_parses_is_given_back_to_the_letter(stem: str) -> None:
    text = f"{stem}.all.bottle.tar.gz"
    try:
        parsed = BottleFileName.parse(text)
    except ValueError:
        assert not is_bottle_name(text)
    else:
        assert str(parsed) == text


@pytest.mark.parametrize(
    ("text", "formula", "version", "tag", "rebuild"),
    [
        ("ack--3.7.0.monterey.bottle.tar.gz", "ack", "3.7.0", "monterey", 0),
        ("jq--1.8.2.arm64_tahoe.bottle.1.tar.gz", "jq", "1.8.2", "arm64_tahoe", 1),
        ("openssl@3--3.5.2_1.x86_64_linux.bottle.12.tar.gz", "openssl@3", "3.5.2_1", "x86_64_linux", 12),
        ("gtk+3--3.24.49.all.bottle.tar.gz", "gtk+3", "3.24.49", "all", 0),
        ("a.b-c_d--1--2.sonoma.bottle.tar.gz", "a.b-c_d", "1--2", "sonoma", 0),
        ("foo--1.0.sonoma.bottle.tar.gz.all.bottle.tar.gz", "foo", "1.0.sonoma.bottle.tar.gz", "all", 0),
    ],
)
def test_names_are_taken_apart_as_brew_puts_them_together(
    text: str, formula: str, version: str, tag: str, rebuild: int
) -> None:
    assert BottleFileName.parse(text) == BottleFileName(formula, version, tag, rebuild)


def test_the_formula_says_where_a_name_with_two_dashes_is_cut() -> None:
    text = "foo--bar--1.0.all.bottle.tar.gz"
    assert BottleFileName.parse(text).formula == "foo"
    assert BottleFileName.parse(text, "foo--bar").version == "1.0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "foo-1.0.sonoma.bottle.tar.gz",
        "foo--.sonoma.bottle.tar.gz",
        "--1.0.sonoma.bottle.tar.gz",
        "-foo--1.0.sonoma.bottle.tar.gz",
        "@foo--1.0.sonoma.bottle.tar.gz",
        "fo o--1.0.sonoma.bottle.tar.gz",
        "f\u00f6o--1.0.sonoma.bottle.tar.gz",
        "foo--1.0.bottle.tar.gz",
        "foo--1.0.Sonoma.bottle.tar.gz",
        "foo--1.0.64_sonoma.bottle.tar.gz",
        "foo--1.0.sonoma.bottle.0.tar.gz",
        "foo--1.0.sonoma.bottle.01.tar.gz",
        "foo--1.0.sonoma.bottle.-1.tar.gz",
        "foo--1.0.sonoma.bottle.\u0661.tar.gz",
        "foo--1.0.sonoma.bottle." + "9" * 5000 + ".tar.gz",
        "foo--1.0.sonoma.bottle.tar.gz\n",
        "foo--1.0.sonoma.bottle.tar.xz",
        "foo--1.0.sonoma.bottle.json",
        "foo--1 0.sonoma.bottle.tar.gz",
        "foo--1\x1b0.sonoma.bottle.tar.gz",
        "foo--1\u00e90.sonoma.bottle.tar.gz",
        "foo--../1.0.sonoma.bottle.tar.gz",
        "../foo--1.0.sonoma.bottle.tar.gz",
        "foo--1.0\\.sonoma.bottle.tar.gz",
        "%66oo--1.0.sonoma.bottle.tar.gz",
    ],
)
def test_what_is_not_a_bottles_file_name_is_refused(text: str) -> None:
    assert not is_bottle_name(text)
    with pytest.raises(ValueError, match=r"."):
        BottleFileName.parse(text)


@pytest.mark.parametrize(
    "text", ["foo--1.0.all.bottle.tar.gz", "afo--1.0.all.bottle.tar.gz", "xfo--fo--1.all.bottle.tar.gz"]
)
def test_a_file_name_of_another_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a file name of a bottle of fo"):
        BottleFileName.parse(text, "fo")


def test_a_bottle_knows_its_file_name() -> None:
    bottle = make_bottle(formula="foo@2", version="1.1_3", rebuild=4, tag="all")
    assert str(bottle.file_name) == "foo@2--1.1_3.all.bottle.4.tar.gz"


@pytest.mark.parametrize(
    ("text", "system", "arch"),
    [
        ("sonoma", "sonoma", "x86_64"),
        ("arm64_sonoma", "sonoma", "arm64"),
        ("intel_sonoma", "sonoma", "x86_64"),
        ("aarch64_linux", "linux", "arm64"),
        ("arm_linux", "linux", "arm64"),
        ("x86_64_linux", "linux", "x86_64"),
        ("arm64_big_sur", "big_sur", "arm64"),
        ("ppc64le_linux", "linux", "ppc64le"),
        ("all", "all", "all"),
    ],
)
def test_tags_are_equal_by_system_and_standard_architecture(text: str, system: str, arch: str) -> None:
    assert BottleTag.parse(text) == BottleTag(system, arch)


@given(TAGS)
def test_a_tags_text_is_the_same_tag(text: str) -> None:
    assert BottleTag.parse(str(BottleTag.parse(text))) == BottleTag.parse(text)


@pytest.mark.parametrize("text", ["sonoma", "arm64_sonoma", "x86_64_linux", "arm64_linux", "big_sur", "all"])
def test_a_tag_is_written_as_formulae_write_it(text: str) -> None:
    assert str(BottleTag.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "Sonoma", "arm64-sonoma", "_sonoma", "son oma", "../x", "a.b", "s\u00f6n", "all\n"]
)
def test_what_is_not_a_tag_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a bottle tag"):
        BottleTag.parse(text)


@pytest.mark.parametrize("text", ["arm64_all", "x86_64_all"])
def test_a_bottle_for_every_platform_has_no_architecture(text: str) -> None:
    with pytest.raises(ValueError, match="is not a bottle tag"):
        BottleTag.parse(text)


@pytest.mark.parametrize(("algorithm", "length"), [("sha256", 64), ("sha512", 128)])
def test_a_digest_is_read_in_either_case_and_written_in_lower_case(algorithm: str, length: int) -> None:
    digest = Digest.parse(f"{algorithm}:{'AB' * (length // 2)}")
    assert digest == Digest(algorithm, "ab" * (length // 2))
    assert Digest.parse(str(digest)) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 64,
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "g" * 64,
        "sha256:" + "a" * 63 + "\n",
        "sha256:" + "a" * 64 + "\n",
        "sha256:" + "\u0661" * 64,
        "sha512:" + "a" * 64,
        "sha1:" + "a" * 40,
        "SHA256:" + "a" * 64,
        "md5:" + "a" * 32,
    ],
)
def test_what_is_not_a_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="digest"):
        Digest.parse(text)


@pytest.mark.parametrize(
    ("algorithm", "value"), [("sha256", "A" * 64), ("sha1", "a" * 40), ("sha256", "a" * 128)]
)
def test_a_digest_cannot_be_made_of_anything_else(algorithm: str, value: str) -> None:
    assert not is_hex_digest(algorithm, value)
    with pytest.raises(ValueError, match="lower-case hexadecimal"):
        Digest(algorithm, value)


@pytest.mark.parametrize("content", [b"", b"bottle", b"x" * ((1 << 20) + 1)])
def test_a_stream_is_hashed_whole_with_both_algorithms(content: bytes) -> None:
    assert hash_stream(io.BytesIO(content)) == (
        Digest("sha256", hashlib.sha256(content).hexdigest()),
        Digest("sha512", hashlib.sha512(content).hexdigest()),
    )


@pytest.mark.parametrize(
    ("file_name", "claimed"),
    [
        ("ack--3.7.0.all.bottle.tar.gz", "ack--3.7.0.all.bottle.tar.gz"),
        # A recorded vector of brew's cache (Homebrew/homebrew-core#177384).
        (
            "c0b363089f9bdea9ea776ac5a818e39c35ac0d2d71b0cf904cc3d94f3b87f61b--ack--3.7.0.all.bottle.tar.gz",
            "ack--3.7.0.all.bottle.tar.gz",
        ),
        (f"{'a' * 63}--ack--3.7.0.all.bottle.tar.gz", f"{'a' * 63}--ack--3.7.0.all.bottle.tar.gz"),
        (f"{'a' * 64}--ack-3.7.0.bottle_manifest.json", None),
        ("artifact.whl", None),
    ],
)
def test_a_file_claims_to_be_the_bottle_that_its_name_ends_in(file_name: str, claimed: str | None) -> None:
    assert claimed_bottle_name(file_name) == claimed
