"""Installed kegs: what receipts say, and what no receipt can make us believe or read."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import OTHER_SHA256, SHA256

from brew_provenance import kegs
from brew_provenance.errors import InputError
from brew_provenance.kegs import (
    MAX_FORMULA_BYTES,
    MAX_JSON_BYTES,
    RECEIPT,
    SBOM,
    Keg,
    UnreadableKeg,
    installed_kegs,
)

RECEIPTS = Path(__file__).parents[2] / "formula-fixtures" / "receipts"


@pytest.fixture
def cellar(tmp_path: Path) -> Path:
    folder = tmp_path / "Cellar"
    folder.mkdir()
    return folder


def receipt(**overrides: Any) -> dict[str, Any]:
    return {
        "homebrew_version": "7.0.4",
        "poured_from_bottle": True,
        "runtime_dependencies": [],
        "source": {"tap": "octo/tap"},
        **overrides,
    }


def package(name: str = "foo", sha256: str = SHA256.value, **overrides: Any) -> dict[str, Any]:
    return {
        "SPDXID": f"SPDXRef-Bottle-{name}",
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
        **overrides,
    }


def install(
    cellar: Path, document: object = None, *, name: str = "foo", version: str = "1.1", sbom: object = None
) -> Path:
    """Put a keg into the Cellar; a document of bytes stands there as it is."""
    keg = cellar / name / version
    (keg / ".brew").mkdir(parents=True)
    (keg / ".brew" / f"{name}.rb").write_bytes(b"class Foo < Formula\nend\n")
    for file, content in ((RECEIPT, receipt() if document is None else document), (SBOM, sbom)):
        if content is not None:
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            (keg / file).write_bytes(raw)
    return keg


def only(cellar: Path) -> Keg:
    (found,) = installed_kegs(cellar)
    assert isinstance(found, Keg), found
    return found


def unreadable(cellar: Path) -> UnreadableKeg:
    (found,) = installed_kegs(cellar)
    assert isinstance(found, UnreadableKeg), found
    return found


def test_a_poured_keg_says_what_it_is(cellar: Path) -> None:
    path = install(
        cellar, (RECEIPTS / "poured-from-bottle.json").read_bytes(), name="greeter", version="0.9.3"
    )
    assert only(cellar) == Keg(
        name="greeter",
        version="0.9.3",
        path=path,
        tap="brew-provenance/fixtures",
        poured_from_bottle=True,
        dependencies=("brew-provenance/fixtures/hello",),
        digest=None,
    )


def test_a_keg_built_from_source_is_not_a_bottle(cellar: Path) -> None:
    install(cellar, (RECEIPTS / "built-from-source.json").read_bytes(), name="draft", version="0.1.0")
    found = only(cellar)
    assert (found.poured_from_bottle, found.dependencies) == (False, ())


def test_the_receipts_of_brews_own_tests_are_read(cellar: Path, data: Path) -> None:
    install(cellar, (data / "homebrew" / "receipt.json").read_bytes(), version="2.14")
    found = only(cellar)
    assert (found.tap, found.poured_from_bottle) == ("homebrew/core", True)
    assert found.dependencies == ("foo",)


def test_an_old_receipt_lacks_what_later_ones_have(cellar: Path, data: Path) -> None:
    install(cellar, (data / "homebrew" / "receipt_old.json").read_bytes())
    found = only(cellar)
    assert (found.tap, found.poured_from_bottle, found.dependencies) == ("homebrew/core", True, None)


def test_a_made_up_digest_in_an_sbom_is_none(cellar: Path, data: Path) -> None:
    install(cellar, name="act", sbom=(data / "homebrew" / "sbom.spdx.json").read_bytes())
    assert only(cellar).digest is None


def test_a_real_bottle_is_read_as_a_keg(cellar: Path, data: Path) -> None:
    archive = data / "homebrew" / "testball_bottle-0.1.yosemite.bottle.tar.gz"
    with tarfile.open(archive) as bottle:
        bottle.extractall(cellar, filter="data")
    found = only(cellar)
    assert (found.name, found.version, found.digest) == ("testball_bottle", "0.1", None)
    text = found.formula_text()
    assert text is not None
    assert b"class TestballBottle < Formula" in text


def test_kegs_come_in_the_order_of_their_names(cellar: Path) -> None:
    for name, version in (("wget", "1.25.0"), ("jq", "1.8.2"), ("jq", "1.8.1_1"), ("openssl@3", "3.6.0")):
        install(cellar, name=name, version=version)
    found = [(keg.name, keg.version) for keg in installed_kegs(cellar) if isinstance(keg, Keg)]
    assert found == [("jq", "1.8.1_1"), ("jq", "1.8.2"), ("openssl@3", "3.6.0"), ("wget", "1.25.0")]


def test_an_empty_cellar_has_no_kegs_and_no_cellar_is_an_error(cellar: Path) -> None:
    assert list(installed_kegs(cellar)) == []
    (cellar / "foo").mkdir()
    assert list(installed_kegs(cellar)) == []
    for path in (cellar / "none", cellar / "file"):
        if path.name == "file":
            path.touch()
        with pytest.raises(InputError) as caught:
            list(installed_kegs(path))
        assert caught.value.thing == str(path)
        assert "HOMEBREW_PREFIX" in caught.value.next_step


def test_a_cellar_may_be_a_symlink(cellar: Path) -> None:
    install(cellar)
    link = cellar.with_name("link")
    link.symlink_to("Cellar")
    assert only(link).path == link / "foo" / "1.1"


@pytest.mark.parametrize(
    ("named", "tap"),
    [
        ({"source": {"tap": "homebrew/core"}}, "homebrew/core"),
        ({"source": {"tap": "Homebrew/homebrew-core"}}, "homebrew/core"),
        ({"source": {"tap": "Homebrew/homebrew"}}, "homebrew/core"),
        ({"source": {"tap": "Homebrew/linuxbrew-core"}}, "homebrew/core"),
        ({"source": {"tap": "linuxbrew/core"}}, "homebrew/core"),
        ({"source": {"tap": "mxcl/master"}}, "homebrew/core"),
        ({"source": {"tap": "Octo/homebrew-Tap.d"}}, "octo/tap.d"),
        ({"source": {"tap": "octo/homebrew-"}}, "octo/homebrew-"),
        ({"source": {"tap": None}}, None),
        ({"source": {}}, None),
        ({"source": None}, None),
        ({"tapped_from": "octo/homebrew-tap"}, "octo/tap"),
        ({"tapped_from": "path or URL"}, None),
        ({"tapped_from": "path or URL", "source": {"tap": "octo/tap"}}, "octo/tap"),
        ({"tapped_from": "octo/tap", "source": {"tap": "homebrew/core"}}, "octo/tap"),
    ],
)
def test_a_tap_is_the_one_that_brew_takes_it_for(
    cellar: Path, named: dict[str, Any], tap: str | None
) -> None:
    install(cellar, {"source": None, **named})
    assert only(cellar).tap == tap


@pytest.mark.parametrize(
    "tap",
    [
        "",
        "octo",
        "octo/",
        "/tap",
        "octo/tap/foo",
        "../..",
        "octo/..",
        "octo/tap\n",
        "öcto/tap",
        "octo/t ap",
        "a/./b",
    ],
)
def test_a_tap_that_no_tap_can_be_called_is_refused(cellar: Path, tap: str) -> None:
    install(cellar, receipt(source={"tap": tap}))
    assert "names a tap" in unreadable(cellar).reason


@pytest.mark.parametrize("said", [{"poured_from_bottle": None}, {"built_as_bottle": True}, {}])
def test_a_keg_whose_receipt_does_not_say_poured_was_built(cellar: Path, said: dict[str, Any]) -> None:
    install(cellar, said)
    assert only(cellar).poured_from_bottle is False


@pytest.mark.parametrize(
    ("brew", "listed"),
    [
        ("1.1.6", True),
        ("1.1.6-19-gabcdef", True),
        ("1.2", True),
        ("7.0.4", True),
        (">=4.3.0 (shallow or no git repository)", True),
        ("1.1.5", False),
        ("1.1", False),
        ("0.9.9", False),
        ("?", False),
        ("", False),
        (None, False),
    ],
)
def test_dependencies_listed_by_brews_that_got_them_wrong_are_not_known(
    cellar: Path, brew: str | None, listed: bool
) -> None:
    dependencies = [{"full_name": "openssl@3", "version": "3.6.0"}, {"full_name": "octo/tap/gtk+3"}]
    install(cellar, receipt(homebrew_version=brew, runtime_dependencies=dependencies))
    assert only(cellar).dependencies == (("openssl@3", "octo/tap/gtk+3") if listed else None)


def test_dependencies_may_be_names_alone_or_none(cellar: Path) -> None:
    install(cellar, receipt(runtime_dependencies=["jq"]))
    install(cellar, receipt(runtime_dependencies=None), version="1.2")
    found = [keg.dependencies for keg in installed_kegs(cellar) if isinstance(keg, Keg)]
    assert found == [("jq",), None]


@pytest.mark.parametrize(
    "name", ["", "-v", "../x", "octo/x", "a/b/c/d", "/etc/passwd", "x y", "x\n", "é", "--help"]
)
def test_a_dependency_that_no_formula_can_be_called_is_refused(cellar: Path, name: str) -> None:
    install(cellar, receipt(runtime_dependencies=[{"full_name": name}]))
    assert "lists a dependency" in unreadable(cellar).reason


@pytest.mark.parametrize(
    ("packages", "digest"),
    [
        ([package()], SHA256),
        ([package(sha256=SHA256.value.upper())], SHA256),
        ([package(), package()], SHA256),
        ([{"SPDXID": "SPDXRef-Compiler", "checksums": "none"}, {}, package()], SHA256),
        ([package(checksums=[{"algorithm": "SHA1", "checksumValue": "x"}, *package()["checksums"]])], SHA256),
        ([package(), package(sha256=OTHER_SHA256.value)], None),
        ([package(name="foo-src")], None),
        ([package(name="Foo")], None),
        ([package(sha256="abc")], None),
        ([package(), package(sha256="abc")], None),
        ([package(checksums=[])], None),
        ([package(checksums=None)], None),
        ([package(checksums=[{"algorithm": "SHA512", "checksumValue": SHA256.value}])], None),
        ([package(checksums=[{"algorithm": "SHA256", "checksumValue": 7}])], None),
        (["package"], None),
        ([], None),
        (None, None),
    ],
)
def test_the_digest_in_the_sbom_is_the_bottles_alone(cellar: Path, packages: object, digest: object) -> None:
    install(cellar, sbom={"packages": packages})
    assert only(cellar).digest == digest


@pytest.mark.parametrize(
    "sbom", [b"", b"[]", b"{", b"\xff", b'{"packages": [], "packages": []}', b"[" * 5000]
)
def test_an_sbom_that_is_none_gives_no_digest(cellar: Path, sbom: bytes) -> None:
    install(cellar, sbom=sbom)
    assert only(cellar).digest is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no receipt: empty"),
        (b"{", "no receipt: not JSON"),
        (b"\xff", "no receipt: not UTF-8"),
        (b"[]", "no receipt: "),
        (b"null", "no receipt: "),
        (b"7", "no receipt: "),
        (b"[" * 5000, "no receipt: "),
        (b'{"poured_from_bottle": true, "poured_from_bottle": false}', "stands twice"),
        (b'{"poured_from_bottle": 1}', "poured_from_bottle: "),
        (b'{"poured_from_bottle": "true"}', "poured_from_bottle: "),
        (b'{"source": "homebrew/core"}', "source: "),
        (b'{"source": {"tap": ["homebrew/core"]}}', "source.tap: "),
        (b'{"tapped_from": 7}', "tapped_from: "),
        (b'{"homebrew_version": 7}', "homebrew_version: "),
        (b'{"runtime_dependencies": {"full_name": "x"}}', "runtime_dependencies: "),
        (b'{"runtime_dependencies": [{"name": "x"}]}', "runtime_dependencies.0"),
        (b'{"runtime_dependencies": [7]}', "runtime_dependencies.0"),
        (b" " * (MAX_JSON_BYTES + 1), "longer than the limit"),
    ],
)
def test_a_receipt_that_is_none_is_said_to_be_none(cellar: Path, raw: bytes, reason: str) -> None:
    path = install(cellar, raw)
    found = unreadable(cellar)
    assert found.path == path
    assert RECEIPT in found.reason
    assert reason in found.reason


def test_a_keg_without_a_receipt_says_nothing(cellar: Path) -> None:
    (install(cellar) / RECEIPT).unlink()
    assert unreadable(cellar).reason == f"without {RECEIPT}: nothing says where it came from"


def test_one_keg_that_cannot_be_read_hides_no_other(cellar: Path) -> None:
    install(cellar, b"{", name="bar")
    install(cellar, version="1.1")
    install(cellar, b"{", version="1.2")
    install(cellar, name="qux")
    kinds = [(type(keg).__name__, keg.path.name, keg.path.parent.name) for keg in installed_kegs(cellar)]
    assert kinds == [
        ("UnreadableKeg", "1.1", "bar"),
        ("Keg", "1.1", "foo"),
        ("UnreadableKeg", "1.2", "foo"),
        ("Keg", "1.1", "qux"),
    ]


@pytest.mark.parametrize("name", ["-foo", "foo bar", "foo\n", "f\x1b[31m", "föö", "foo%2f"])
def test_a_rack_with_a_name_that_no_formula_has_is_refused(cellar: Path, name: str) -> None:
    install(cellar, name=name)
    assert unreadable(cellar) == UnreadableKeg(
        cellar / name / "1.1", "its rack bears a name that no formula has"
    )


@pytest.mark.parametrize("version", ["1 1", "1.1\n", "é", "1\\1", "\x7f"])
def test_a_keg_with_a_name_that_no_version_has_is_refused(cellar: Path, version: str) -> None:
    install(cellar, version=version)
    assert unreadable(cellar).reason == "it bears a name that no version has"


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no file names that are no text")
def test_names_that_are_no_text_are_refused(cellar: Path) -> None:
    install(cellar, name="\udcff")
    install(cellar, version="\udcff")
    reasons = [keg.reason for keg in installed_kegs(cellar) if isinstance(keg, UnreadableKeg)]
    assert reasons == ["it bears a name that no version has", "its rack bears a name that no formula has"]


@pytest.mark.parametrize("version", ["1.25.0_1", "HEAD-abc123", "2024-01-01", "1.0~rc1", "0,5+git", ".1"])
def test_a_version_may_hold_what_versions_hold(cellar: Path, version: str) -> None:
    install(cellar, version=version)
    assert only(cellar).version == version


def test_a_symlink_to_another_rack_is_an_old_name(cellar: Path) -> None:
    install(cellar)
    (cellar / "old").symlink_to("foo")
    (cellar / "older").symlink_to(cellar / "foo")
    (cellar / "gone").symlink_to("removed")
    assert only(cellar).name == "foo"


def test_a_rack_that_leads_out_of_the_cellar_is_not_followed(cellar: Path, tmp_path: Path) -> None:
    outside = install(tmp_path / "outside")
    targets = [str(outside.parent), "../outside/foo", "..", ".", "foo/1.1", "/"]
    install(cellar)
    for number, target in enumerate(targets):
        (cellar / f"link{number}").symlink_to(target)
    found = [keg for keg in installed_kegs(cellar) if isinstance(keg, UnreadableKeg)]
    assert [keg.path.name for keg in found] == [f"link{number}" for number in range(len(targets))]
    assert {keg.reason for keg in found} == {"a symlink, not a folder"}


@pytest.mark.parametrize("target", ["../outside/foo/1.1", "1.0", "none", "1.1"])
def test_a_keg_that_is_a_symlink_is_not_followed(cellar: Path, tmp_path: Path, target: str) -> None:
    install(tmp_path / "outside")
    (cellar / "foo").mkdir()
    (cellar / "foo" / "1.1").symlink_to(target)
    assert unreadable(cellar).reason == "a symlink, not a folder"


@pytest.mark.parametrize("file", [RECEIPT, SBOM, ".brew/foo.rb", ".brew"])
def test_a_file_of_a_keg_that_is_a_symlink_is_not_followed(cellar: Path, tmp_path: Path, file: str) -> None:
    outside = install(tmp_path / "outside", sbom={"packages": [package()]})
    keg = install(cellar, sbom={"packages": [package()]})
    for path in sorted((keg / file).rglob("*")):
        path.unlink()
    if (keg / file).is_dir():
        (keg / file).rmdir()
    else:
        (keg / file).unlink()
    (keg / file).symlink_to(outside / file)
    if file == RECEIPT:
        assert unreadable(cellar).reason == f"{RECEIPT} is a symlink"
    elif file == SBOM:
        assert only(cellar).digest is None
    else:
        with pytest.raises(InputError, match=f"{file} is a symlink") as caught:
            only(cellar).formula_text()
        assert caught.value.thing == str(keg / ".brew" / "foo.rb")
        assert caught.value.next_step == "run `brew reinstall foo`"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("file", [RECEIPT, SBOM, ".brew/foo.rb"])
def test_what_is_no_file_is_not_opened(cellar: Path, file: str, make: Any) -> None:
    keg = install(cellar, sbom={"packages": [package()]})
    (keg / file).unlink()
    make(keg / file)
    if file == RECEIPT:
        assert unreadable(cellar).reason == f"{RECEIPT} is not a file"
    elif file == SBOM:
        assert only(cellar).digest is None
    else:
        with pytest.raises(InputError, match="is not a file"):
            only(cellar).formula_text()


def test_files_where_folders_belong_are_told_and_hidden_ones_are_not(cellar: Path) -> None:
    install(cellar)
    for name in (".DS_Store", ".keepme", "foo/.DS_Store", "stray", "foo/stray"):
        (cellar / name).touch()
    (cellar / ".hidden").mkdir()
    found = [keg for keg in installed_kegs(cellar) if isinstance(keg, UnreadableKeg)]
    assert found == [
        UnreadableKeg(cellar / "foo" / "stray", "a file, not a folder"),
        UnreadableKeg(cellar / "stray", "a file, not a folder"),
    ]


def test_a_rack_or_keg_that_may_not_be_looked_at_is_told(
    cellar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(cellar, name="bar")
    install(cellar)
    listed = Path.iterdir

    def iterate(path: Path) -> Any:
        if path.name == "bar":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    def read(path: Path, limit: int) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", iterate)
    monkeypatch.setattr(kegs, "read_bounded", read)
    assert list(installed_kegs(cellar)) == [
        UnreadableKeg(cellar / "bar", "Permission denied"),
        UnreadableKeg(cellar / "foo" / "1.1", "Permission denied"),
    ]


def test_the_formula_in_a_keg_is_read_when_it_is_asked_for(cellar: Path) -> None:
    path = install(cellar)
    keg = only(cellar)
    assert keg.formula_text() == b"class Foo < Formula\nend\n"
    (path / ".brew" / "foo.rb").write_bytes(b"#" * (MAX_FORMULA_BYTES + 1))
    with pytest.raises(InputError, match="longer than the limit"):
        keg.formula_text()
    (path / ".brew" / "foo.rb").unlink()
    assert keg.formula_text() is None
    (path / ".brew").rmdir()
    assert keg.formula_text() is None
    (path / ".brew").touch()
    with pytest.raises(InputError, match="Not a directory"):
        keg.formula_text()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(receipt())), JSON_VALUES) | JSON_VALUES, JSON_VALUES)
def test_any_receipt_and_any_sbom_are_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, document: object, packages: object
) -> None:
    cellar = tmp_path_factory.mktemp("Cellar")
    install(cellar, json.dumps(document).encode(), sbom={"packages": packages})
    (found,) = installed_kegs(cellar)
    if isinstance(found, Keg):
        assert isinstance(document, dict)
        assert found.poured_from_bottle is (document.get("poured_from_bottle") is True)
        assert found.digest is None
    else:
        assert RECEIPT in found.reason
