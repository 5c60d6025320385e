"""What brew writes beside a bottle, and what a build script could write instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance import bottlejson
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.bottlejson import (
    MAX_DESCRIBED,
    BottleJSONError,
    DescribedBottle,
    read_bottle_json,
)

FIXTURES = Path(__file__).resolve().parents[2] / "formula-fixtures" / "bottle-json"
SHA256 = "a" * 64


def document(
    full_name: str = "octo/tap/foo",
    file: str = "foo--1.1.sonoma.bottle.tar.gz",
    tag: str = "sonoma",
    sha256: Any = SHA256,
    formula: Any = None,
    bottle: Any = None,
) -> Any:
    return {
        full_name: {
            "formula": {"pkg_version": "1.1"} if formula is None else formula,
            "bottle": {"tags": {tag: {"local_filename": file, "sha256": sha256}}}
            if bottle is None
            else bottle,
        }
    }


def read(value: Any) -> tuple[DescribedBottle, ...]:
    return read_bottle_json(json.dumps(value).encode())


@pytest.mark.parametrize("file", sorted(FIXTURES.iterdir()), ids=lambda file: file.name)
def test_what_brew_writes_is_read_whole(file: Path) -> None:
    (bottle,) = read_bottle_json(file.read_bytes())
    name = bottle.file_name
    assert file.name == f"{name.formula}--{name.version}.{name.tag}.bottle.json"
    assert bottle.tap == "brew-provenance/fixtures"
    assert bottle.path == f"Formula/{name.formula[0]}/{name.formula}.rb"
    assert bottle.remote == "https://github.com/brew-provenance/homebrew-fixtures"
    assert len(bottle.commit or "") == 40
    assert bottle.brew_version == "7.0.4"


def test_what_older_versions_leave_out_is_not_known() -> None:
    assert read(document()) == (
        DescribedBottle(
            "octo/tap",
            BottleFileName("foo", "1.1", "sonoma", 0),
            Digest("sha256", SHA256),
            None,
            None,
            None,
            None,
        ),
    )


def test_a_name_alone_is_one_of_homebrew_core() -> None:
    assert read(document("foo"))[0].tap == "homebrew/core"


def test_the_tap_is_in_lower_case() -> None:
    assert read(document("Octo/Tap/foo"))[0].tap == "octo/tap"


def test_merged_descriptions_name_several_bottles() -> None:
    tags = {
        tag: {"cellar": "any", "local_filename": f"foo--1.1.{tag}.bottle.2.tar.gz", "sha256": SHA256}
        for tag in ("sonoma", "arm64_linux", "all")
    }
    merged = document(bottle={"rebuild": 2, "tags": tags}) | document(
        "octo/tap/foo+", "foo+--1.1.all.bottle.tar.gz", "all"
    )
    assert [str(bottle.file_name) for bottle in read(merged)] == [
        "foo--1.1.sonoma.bottle.2.tar.gz",
        "foo--1.1.arm64_linux.bottle.2.tar.gz",
        "foo--1.1.all.bottle.2.tar.gz",
        "foo+--1.1.all.bottle.tar.gz",
    ]


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "foo",
        {"octo/tap/foo": {}},
        document(bottle={"tags": {}}),
        document(bottle={"rebuild": -1, "tags": {"sonoma": {"local_filename": "x", "sha256": SHA256}}}),
        document(bottle={"rebuild": True, "tags": {"sonoma": {"local_filename": "x", "sha256": SHA256}}}),
        document(sha256="A" * 64),
        document(sha256=SHA256 + "\n"),
        document(sha256=None),
        document(formula={"pkg_version": 1.1}),
        document(formula={"pkg_version": "1.1", "tap_git_revision": 7}),
    ],
)
def test_what_is_not_brews_json_is_refused(value: Any) -> None:
    with pytest.raises(BottleJSONError, match="not what `brew bottle --json` writes"):
        read(value)


@pytest.mark.parametrize(
    ("raw", "why"),
    [(b"", "empty"), (b"{", "not JSON"), (b'{"a": 1, "a": 2}', "twice"), (b" " * 101, "limit of 100 bytes")],
)
def test_what_is_no_json_is_refused(raw: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bottlejson, "MAX_BYTES", 100)
    with pytest.raises(BottleJSONError, match=why):
        read_bottle_json(raw)


@pytest.mark.parametrize(
    "file",
    [
        "../foo--1.1.sonoma.bottle.tar.gz",
        "/etc/foo--1.1.sonoma.bottle.tar.gz",
        "bar--1.1.sonoma.bottle.tar.gz",
        "foo-1.1.sonoma.bottle.tar.gz",
        "foo--1.1.sonoma.bottle.tar.gz\n",
        "foo--1.2.sonoma.bottle.tar.gz",
        "foo--1.1.ventura.bottle.tar.gz",
        "foo--1.1.sonoma.bottle.1.tar.gz",
        "foo--1.1/../../x.sonoma.bottle.tar.gz",
        "foo--1.1.sonoma.bottle.tar.gz\0",
        "",
    ],
)
def test_a_file_of_another_name_than_the_bottles_is_refused(file: str) -> None:
    with pytest.raises(BottleJSONError, match=r"file|version"):
        read(document(file=file))


@pytest.mark.parametrize(
    "full_name", ["/foo", "../../foo", "octo/foo", "octo/../foo", "octo/tap/x/foo", "oc to/tap/foo"]
)
def test_what_is_no_tap_is_refused(full_name: str) -> None:
    with pytest.raises(BottleJSONError, match="is not a tap"):
        read(document(full_name))


def test_a_formula_that_calls_itself_something_else_is_refused() -> None:
    with pytest.raises(BottleJSONError, match=r"it describes 'bar--1\.1\.sonoma"):
        read(document(formula={"name": "bar", "pkg_version": "1.1"}))


def test_more_bottles_than_anybody_builds_are_refused() -> None:
    tags = {
        f"t{number}": {"local_filename": f"foo--1.1.t{number}.bottle.tar.gz", "sha256": SHA256}
        for number in range(MAX_DESCRIBED + 1)
    }
    with pytest.raises(BottleJSONError, match=f"limit of {MAX_DESCRIBED} bottles"):
        read(document(bottle={"tags": tags}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_document_is_read_or_refused(value: Any) -> None:
    with pytest.raises(BottleJSONError):
        read(value)


@given(st.text(max_size=60), st.text(max_size=30), st.text(max_size=30), st.text(max_size=12))
def test_a_name_that_is_accepted_leads_nowhere_else(file: str, name: str, version: str, tag: str) -> None:
    for called in (file, f"{name}--{version}.{tag}.bottle.tar.gz"):
        try:
            (bottle,) = read(document(f"octo/tap/{name}", called, tag, formula={"pkg_version": version}))
        except BottleJSONError:
            continue
        assert Path(str(bottle.file_name)).name == called
