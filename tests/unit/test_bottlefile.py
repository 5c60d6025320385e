"""The formula in a bottle, out of bottles that do all they can to hide it."""

from __future__ import annotations

import hashlib
import io
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.archives import (
    FORMULA,
    GNU,
    HELLO,
    KEG,
    PACKED,
    directory,
    link,
    long_name,
    member,
    packed,
    pax,
    record,
)

from brew_provenance import bottlefile, tarstream
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.bottlefile import (
    MAX_FORMULA_BYTES,
    BottleFileError,
    PackedFormula,
    examine_bottle,
    read_packed_formula,
)
from brew_provenance.errors import InputError
from brew_provenance.findings import REASONS, Step

TAP = Path(__file__).resolve().parents[2] / "formula-fixtures"
BOTTLES = sorted((TAP / "bottles").iterdir())

BREW = KEG + b"/.brew"
EVIL = b"class Evil < Formula\nend\n"
OTHERS = (directory(KEG), directory(BREW))


def read(*members: bytes, formula: str = "hello", version: str = "3.0.1") -> bytes:
    return read_packed_formula(io.BytesIO(packed(*members)), formula=formula, version=version).text


def code_of(*members: bytes) -> str:
    with pytest.raises(BottleFileError) as caught:
        read(*members)
    assert str(caught.value) == caught.value.detail
    assert caught.value.detail
    return caught.value.code


@pytest.mark.parametrize("path", BOTTLES, ids=lambda path: path.name)
def test_the_formula_in_a_bottle_is_found(path: Path) -> None:
    name = BottleFileName.parse(path.name)
    digest, found = examine_bottle(path, name.formula, name.version)
    assert digest == Digest("sha256", hashlib.sha256(path.read_bytes()).hexdigest())
    assert isinstance(found, PackedFormula)
    assert found.text.startswith(b"class ")
    assert b"bottle do" not in found.text


def test_brews_own_bottle_is_read(data: Path) -> None:
    path = data / "homebrew" / "testball_bottle-0.1.yosemite.bottle.tar.gz"
    digest, found = examine_bottle(path, "testball_bottle", "0.1")
    assert str(digest) == "sha256:d7b9f4e8bf83608b71fe958a99f19f2e5e68bb2582965d32e41759c24f1aef97"
    assert isinstance(found, PackedFormula)
    assert b"class TestballBottle < Formula" in found.text


@pytest.mark.parametrize(
    "members",
    [
        HELLO,
        (*OTHERS, member(PACKED, FORMULA)),
        (member(PACKED, FORMULA),),
        (directory(b"hello"), *HELLO),
        (directory(b"./hello"), member(b"./" + PACKED, FORMULA)),
        (member(PACKED.replace(b"/", b"//"), FORMULA),),
        (member(KEG + b"/./.brew/hello.rb", FORMULA),),
        (pax(record(b"path", PACKED)), member(b"short", FORMULA)),
        (long_name(PACKED), member(b"short", FORMULA, magic=GNU)),
        # Another file of that name, another link, and a link of that name are none of our business.
        (*HELLO, member(KEG + b"/share/hello.rb", EVIL)),
        (*HELLO, link(KEG + b"/share/hello.rb", b"../.brew/hello.rb")),
        (*HELLO, link(KEG + b"/lib", b".brew"), member(KEG + b"/share/hello.rb", EVIL)),
        (*HELLO, link(KEG + b"/lib", b".brew"), member(KEG + b"/libexec/x.rb", EVIL)),
    ],
)
def test_a_plain_bottle_is_read(members: tuple[bytes, ...]) -> None:
    assert read(*members) == FORMULA


def test_an_empty_formula_is_one() -> None:
    assert read(member(PACKED)) == b""


HIDDEN = {
    "nothing in it": ("bottle-formula-missing", ()),
    "no formula": ("bottle-formula-missing", OTHERS),
    "under another name": ("bottle-formula-missing", (member(BREW + b"/evil.rb", FORMULA),)),
    "in another folder": ("bottle-formula-missing", (member(KEG + b"/brew/hello.rb", FORMULA),)),
    "twice": ("bottle-formula-ambiguous", (*HELLO, member(PACKED, FORMULA))),
    "twice, the last one hidden": (
        "bottle-formula-ambiguous",
        (*HELLO, *[member(KEG + b"/lib", bytes(5000))] * 20, member(PACKED, EVIL)),
    ),
    "twice, once by a pax path": (
        "bottle-formula-ambiguous",
        (*HELLO, pax(record(b"path", PACKED)), member(KEG + b"/x", EVIL)),
    ),
    "twice, once by a long name": (
        "bottle-formula-ambiguous",
        (*HELLO, long_name(PACKED), member(KEG + b"/x", EVIL)),
    ),
    "twice, once on the way round": (
        "bottle-formula-ambiguous",
        (*HELLO, member(KEG + b"/.//.brew/./hello.rb", EVIL)),
    ),
    "twice, the first one a link": (
        "bottle-formula-not-a-file",
        (link(PACKED, b"x"), member(PACKED, FORMULA)),
    ),
    "twice, the last one a link": ("bottle-formula-ambiguous", (*HELLO, link(PACKED, b"x"))),
    "twice, the last one a hard link": ("bottle-formula-ambiguous", (*HELLO, link(PACKED, b"x", b"1"))),
    "twice, the last one a directory": ("bottle-formula-ambiguous", (*HELLO, directory(PACKED))),
    "in capitals": ("bottle-formula-ambiguous", (member(BREW + b"/HELLO.rb", EVIL),)),
    "and in capitals": ("bottle-formula-ambiguous", (*HELLO, member(KEG + b"/.BREW/hello.rb", EVIL))),
    "and with an accent taken apart": (
        "bottle-formula-ambiguous",
        (*HELLO, member(BREW + "/hello\u0301.rb".encode(), EVIL)),
    ),
    "and in wide letters": (
        "bottle-formula-ambiguous",
        (*HELLO, member(BREW + "/\uff48ello.rb".encode(), EVIL)),
    ),
    "and with a character that nobody sees": (
        "bottle-formula-ambiguous",
        (*HELLO, member(KEG + "/.br\u200cew/hello.rb".encode(), EVIL)),
    ),
    "and with bytes that are no text": (
        "bottle-formula-ambiguous",
        (*HELLO, member(BREW + b"/hello\xff.rb", EVIL)),
    ),
    "as a symbolic link": ("bottle-formula-not-a-file", (link(PACKED, b"../../../other/1/.brew/other.rb"),)),
    "as a hard link": ("bottle-formula-not-a-file", (link(PACKED, b"hello/3.0.1/bin/x", b"1"),)),
    "as a directory": ("bottle-formula-not-a-file", (directory(PACKED),)),
    "as a pipe": ("bottle-formula-not-a-file", (member(PACKED, kind=b"6"),)),
    "as a device": ("bottle-formula-not-a-file", (member(PACKED, kind=b"3"),)),
    "as a file with holes": (
        "bottle-formula-not-a-file",
        (pax(record(b"GNU.sparse.name", PACKED)), member(b"x", FORMULA)),
    ),
    "behind a link": ("bottle-formula-not-a-file", (link(BREW, b"share"), member(PACKED, FORMULA))),
    "behind a link that comes later": ("bottle-formula-not-a-file", (*HELLO, link(BREW, b"share"))),
    "behind a link in capitals": ("bottle-formula-not-a-file", (*HELLO, link(KEG + b"/.BREW", b"share"))),
    "behind a keg that is a link": ("bottle-formula-not-a-file", (link(KEG, b"../x"), *HELLO)),
    "behind a file": ("bottle-formula-not-a-file", (member(BREW, b"x"), member(PACKED, FORMULA))),
    "written through a link": (
        "bottle-formula-ambiguous",
        (*HELLO, link(KEG + b"/x", b".brew"), member(KEG + b"/x/hello.rb", EVIL)),
    ),
    "written through a link in capitals": (
        "bottle-formula-ambiguous",
        (*HELLO, link(KEG + b"/x", b".brew"), member(KEG + b"/X/Hello.RB", EVIL)),
    ),
    "written through a link to the keg": (
        "bottle-formula-ambiguous",
        (*HELLO, link(KEG + b"/x", b"."), member(KEG + b"/x/.brew/hello.rb", EVIL)),
    ),
    "linked through a link": (
        "bottle-formula-ambiguous",
        (*HELLO, link(KEG + b"/x", b".brew"), link(KEG + b"/x/hello.rb", b"hello/3.0.1/bin/hello", b"1")),
    ),
    "too long": ("bottle-too-large", (member(PACKED, bytes(MAX_FORMULA_BYTES + 1)),)),
    "of another formula": ("bottle-outside-keg", (member(b"evil/3.0.1/.brew/hello.rb", FORMULA),)),
    "of another version": ("bottle-outside-keg", (member(b"hello/3.0.1_1/.brew/hello.rb", FORMULA),)),
    "of a name in capitals": ("bottle-outside-keg", (member(b"Hello/3.0.1/.brew/hello.rb", FORMULA),)),
    "with something of another keg": ("bottle-outside-keg", (*HELLO, member(b"curl/8.0/bin/curl", EVIL))),
    "with something beside the keg": ("bottle-outside-keg", (*HELLO, member(b"hello/evil", EVIL))),
    "with a link for a rack": ("bottle-outside-keg", (link(b"hello", b"/etc"), *HELLO)),
    "with a file for a rack": ("bottle-outside-keg", (member(b"hello", b"x"), *HELLO)),
    "with an absolute path": ("bottle-outside-keg", (*HELLO, member(b"/etc/passwd", EVIL))),
    "with the absolute path of a keg": ("bottle-outside-keg", (member(b"/" + PACKED, FORMULA),)),
    "with a path upwards": ("bottle-outside-keg", (*HELLO, member(KEG + b"/../../curl/x", EVIL))),
    "with a path upwards and back": ("bottle-outside-keg", (member(KEG + b"/x/../.brew/hello.rb", FORMULA),)),
    "with a path upwards by pax": (
        "bottle-outside-keg",
        (*HELLO, pax(record(b"path", b"../x")), member(KEG + b"/x", EVIL)),
    ),
    "with a path of nothing": ("bottle-outside-keg", (directory(b"."), *HELLO)),
    "in an archive of another kind": ("bottle-not-a-tarball", (member(PACKED, FORMULA, b"S"),)),
}


@pytest.mark.parametrize(("code", "members"), HIDDEN.values(), ids=HIDDEN)
def test_a_hidden_formula_is_not_taken_for_the_bottles(code: str, members: tuple[bytes, ...]) -> None:
    assert code_of(*members) == code
    assert REASONS[code].step is Step.FORMULA


def test_every_code_for_a_bottle_file_is_among_them() -> None:
    said = {code for code, _ in HIDDEN.values()}
    assert said == {
        code for code, reason in REASONS.items() if reason.step is Step.FORMULA and code.startswith("bottle-")
    }


def test_links_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    links = [link(KEG + b"/l%d" % number, b"x") for number in range(5)]
    assert read(*HELLO, *links) == FORMULA
    monkeypatch.setattr(bottlefile, "MAX_LINKS_BYTES", 60)
    assert code_of(*HELLO, *links) == "bottle-too-large"


def test_an_archive_that_is_too_large_is_not_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarstream, "MAX_MEMBERS", 3)
    assert code_of(*HELLO) == "bottle-too-large"


NAMES = st.from_regex(r"[a-z0-9][a-z0-9@+._-]{0,20}", fullmatch=True)
VERSIONS = st.from_regex(r"[a-z0-9][a-z0-9+.~:_-]{0,12}(_[1-9])?", fullmatch=True)


@given(NAMES, VERSIONS, st.binary(max_size=300))
def test_the_formula_of_any_name_and_version_is_found(formula: str, version: str, text: bytes) -> None:
    keg = f"{formula}/{version}".encode()
    members = (directory(keg), member(keg + f"/.brew/{formula}.rb".encode(), text))
    assert read(*members, formula=formula, version=version) == text
    with pytest.raises(BottleFileError) as caught:
        read(*members, formula=formula, version=f"{version}_9")
    assert caught.value.code == "bottle-outside-keg"


def test_digest_and_formula_are_of_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "bottle"
    for raw, expected in (
        (packed(*HELLO), PackedFormula(FORMULA)),
        (packed(*HELLO, end=b""), "bottle-not-a-tarball"),
        (packed(directory(KEG)) + bytes(3 << 20), "bottle-not-a-tarball"),
        (packed(member(b"evil", bytes(3 << 20))), "bottle-outside-keg"),
        (b"", "bottle-not-a-tarball"),
        (b"x" * (3 << 20), "bottle-not-a-tarball"),
    ):
        path.write_bytes(raw)
        digest, found = examine_bottle(path, "hello", "3.0.1")
        assert digest.value == hashlib.sha256(raw).hexdigest()
        assert getattr(found, "code", found) == expected


def test_an_error_does_not_hold_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "bottle"
    path.write_bytes(b"x" * 100)
    found = examine_bottle(path, "hello", "3.0.1")[1]
    assert isinstance(found, BottleFileError)
    assert found.__traceback__ is None


def test_a_link_to_a_bottle_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "bottle").write_bytes(packed(*HELLO))
    (tmp_path / "link").symlink_to("bottle")
    assert examine_bottle(tmp_path / "link", "hello", "3.0.1")[1] == PackedFormula(FORMULA)


def test_a_file_that_is_swapped_while_it_is_read_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, raw = tmp_path / "bottle", packed(*HELLO)
    path.write_bytes(raw)
    original = bottlefile.read_packed_formula

    def swap(*args: object, **kwargs: object) -> PackedFormula:
        (tmp_path / "other").write_bytes(packed(member(PACKED, EVIL)))
        (tmp_path / "other").replace(path)
        return original(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(bottlefile, "read_packed_formula", swap)
    digest, found = examine_bottle(path, "hello", "3.0.1")
    assert path.read_bytes() != raw
    assert digest.value == hashlib.sha256(raw).hexdigest()
    assert found == PackedFormula(FORMULA)


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path, cause in (
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path / "link", "not a regular file"),
        (tmp_path, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "none", "No such file"),
        (tmp_path / "loop", "symbolic links"),
    ):
        with pytest.raises(InputError, match=cause) as caught:
            examine_bottle(path, "hello", "3.0.1")
        assert caught.value.thing == str(path)
        assert caught.value.next_step == "give a bottle file"


def test_a_file_that_grows_is_left_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, raw = tmp_path / "bottle", packed(*HELLO)
    path.write_bytes(raw)
    monkeypatch.setattr(bottlefile, "MAX_BOTTLE_BYTES", len(raw))
    assert examine_bottle(path, "hello", "3.0.1")[1] == PackedFormula(FORMULA)
    path.write_bytes(raw + b"x")
    with pytest.raises(InputError, match="longer than the limit"):
        examine_bottle(path, "hello", "3.0.1")


def test_a_bottle_is_never_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "bottle"
    content = os.urandom(32 << 20)
    path.write_bytes(packed(*HELLO, member(KEG + b"/lib/x", content)))
    del content
    tracemalloc.start()
    try:
        assert examine_bottle(path, "hello", "3.0.1")[1] == PackedFormula(FORMULA)
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
