"""A formula API of one's own: what it serves is what Homebrew serves, under another key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.builders import SHA256, Json
from tests.unit.signing import rsa_key

from brew_provenance.bottle import BottleTag
from brew_provenance.errors import InputError, NothingMatchedError
from brew_provenance.formula import Formula
from brew_provenance.formula.apijson import read_formula
from brew_provenance.formula.internalapi import read_packages
from brew_provenance.host import choose_tag
from brew_provenance.jws import verify_jws
from brew_provenance.sandbox.formulaapi import TAGS, build_documents, sign_jws
from brew_provenance.taps.api import LISTING, MIGRATIONS, ApiTap, packages_name

FIXTURES = Path(__file__).parents[3] / "formula-fixtures" / "api"
NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
KEY = rsa_key("sandbox")
DOMAIN = "http://127.0.0.1:8080/api"


@pytest.fixture(scope="module")
def documents() -> Mapping[str, bytes]:
    return build_documents(FIXTURES, KEY, generated_at=NOW)


def payload(document: bytes) -> Any:
    return json.loads(verify_jws(document, KEY.public_key()))


def open_api(documents: Mapping[str, bytes], tag: str | None, folder: Path) -> ApiTap:
    def fetch(url: str, max_bytes: int) -> bytes:
        document = documents[url.removeprefix(f"{DOMAIN}/")]
        assert len(document) <= max_bytes
        return document

    wanted = None if tag is None else BottleTag.parse(tag)
    return ApiTap(wanted, folder, now=NOW, fetch=fetch, domain=DOMAIN, key=KEY.public_key())


@pytest.mark.parametrize("text", ["", "{}", 'déjà vu "🍺"\n'])
def test_a_signed_document_verifies(text: str) -> None:
    assert verify_jws(sign_jws(text.encode(), KEY), KEY.public_key()) == text.encode()


def test_what_is_no_text_cannot_be_signed() -> None:
    with pytest.raises(UnicodeDecodeError):
        sign_jws(b"\xff", KEY)


def test_there_is_a_document_for_all_tags_and_one_for_each(documents: Mapping[str, bytes]) -> None:
    assert set(documents) == {LISTING, MIGRATIONS, *(f"internal/packages.{tag}.jws.json" for tag in TAGS)}
    assert payload(documents[MIGRATIONS]) == {}


def test_a_packages_file_is_written_as_brew_writes_it(documents: Mapping[str, bytes]) -> None:
    found = payload(documents[packages_name(BottleTag.parse("arm64_tahoe"))])
    assert found["metadata"]["bottle_tag"] == "arm64_tahoe"
    assert found["metadata"]["generated_at"] == int(NOW.timestamp())
    # Nothing blank, symbols with a colon, the file's own tag left out.
    assert found["formulae"]["draft"] == {
        "stable_version": "0.1.0",
        "ruby_source_checksum": found["formulae"]["draft"]["ruby_source_checksum"],
        "stable_url_args": ["https://example.org/draft/draft-0.1.0.tar.gz"],
        "stable_checksum": "176e7c9a96c7cc5fff0138cf2f75306159ae012424d26285a10d0b6e6d2f6074",
    }
    assert found["formulae"]["salutations"]["bottle_tag"] == ":all"
    assert "bottle_tag" not in found["formulae"]["hello"]
    assert found["formulae"]["greeter"]["stable_dependencies"] == ["hello"]


def same(formula: Formula, listed: Formula, tag: BottleTag) -> None:
    """Compare what a packages file says of a formula with what the list of all says."""
    choice = choose_tag([bottle.tag for bottle in listed.bottles], tag)
    expected = [bottle for bottle in listed.bottles if choice and bottle.tag == choice.tag]
    assert [(bottle.file_name, bottle.digest, bottle.url) for bottle in formula.bottles] == [
        (bottle.file_name, bottle.digest, bottle.url) for bottle in expected
    ]
    needs = [need.name for need in formula.dependencies]
    assert needs == [need.name for need in listed.dependencies if need.needed_on(tag)]
    for part in ("full_name", "version", "source", "revision", "version_scheme", "aliases"):
        assert getattr(formula, part) == getattr(listed, part)
    for part in ("path", "file_sha256", "commit"):
        assert getattr(formula, part) == getattr(listed, part)


@pytest.mark.parametrize("tag", TAGS)
def test_both_documents_describe_the_same_formulae(
    documents: Mapping[str, bytes], tag: str, tmp_path: Path
) -> None:
    everything = open_api(documents, None, tmp_path)
    one = open_api(documents, tag, tmp_path)
    assert f"packages.{tag}, signed by a key that was given" in one.name
    assert one.notes == everything.notes == ()
    listed = list(everything.formulae())
    assert [formula.name for formula in listed] == sorted(path.stem for path in FIXTURES.glob("*.json"))
    for formula, other in zip(one.formulae(), listed, strict=True):
        same(formula, other, BottleTag.parse(tag))
    assert {formula.tap for formula in listed} == {"homebrew/core"}


def test_the_bottles_are_those_of_the_fixtures_moved_to_homebrew_core(
    documents: Mapping[str, bytes], tmp_path: Path
) -> None:
    everything = open_api(documents, None, tmp_path)
    for path in FIXTURES.glob("*.json"):
        own = read_formula(json.loads(path.read_bytes()))
        moved = everything.formula(f"homebrew/core/{own.name}")
        assert [bottle.digest for bottle in moved.bottles] == [bottle.digest for bottle in own.bottles]
        for bottle in moved.bottles:
            assert bottle.url.startswith("https://ghcr.io/v2/homebrew/core/")
    with pytest.raises(NothingMatchedError):
        everything.formula("homebrew/core/absent")


def describe(folder: Path, **overrides: Any) -> Path:
    document: Json = {
        "name": "foo",
        "tap": "octo/tap",
        "versions": {"stable": "1.1"},
        "aliases": ["oof"],
        "urls": {
            "stable": {"url": "https://example.org/foo.git", "tag": "v1.1", "revision": "b" * 40},
        },
        "dependencies": ["octo/tap/bar", "other/tap/baz", "zlib"],
        "variations": {"x86_64_linux": {"dependencies": ["glibc"]}},
        "bottle": {
            "stable": {
                "rebuild": 1,
                "files": {"sonoma": {"url": "https://example.org", "sha256": SHA256.value}},
            }
        },
        **overrides,
    }
    path = folder / "foo.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_formula_is_told_for_each_tag_as_brew_would_tell_it(tmp_path: Path) -> None:
    describe(tmp_path)
    built = build_documents(
        tmp_path, KEY, generated_at=NOW - timedelta(days=1), tags=["tahoe", "x86_64_linux"]
    )
    assert len(built) == 4
    found = {tag: payload(built[f"internal/packages.{tag}.jws.json"]) for tag in ("tahoe", "x86_64_linux")}
    assert found["tahoe"]["formula_aliases"] == {"oof": "foo"}
    assert found["tahoe"]["formulae"]["foo"] == {
        "stable_version": "1.1",
        "aliases": ["oof"],
        "stable_dependencies": ["bar", "other/tap/baz", "zlib"],
        "stable_url_args": ["https://example.org/foo.git", {":tag": "v1.1", ":revision": "b" * 40}],
        "bottle_rebuild": 1,
        "bottle_tag": ":sonoma",
        "bottle_checksum": SHA256.value,
    }
    assert found["x86_64_linux"]["formulae"]["foo"]["stable_dependencies"] == ["glibc"]
    assert "bottle_checksum" not in found["x86_64_linux"]["formulae"]["foo"]
    assert read_packages(found["tahoe"]).formula("foo").bottles[0].tag == "sonoma"


def test_a_formula_may_have_no_source(tmp_path: Path) -> None:
    describe(tmp_path, urls={}, bottle={}, dependencies=[], variations={}, aliases=[])
    built = build_documents(tmp_path, KEY, generated_at=NOW, tags=["tahoe"])
    found = payload(built["internal/packages.tahoe.jws.json"])
    assert found["formulae"] == {"foo": {"stable_version": "1.1"}}


def test_a_folder_without_formulae_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="describes no formula"):
        build_documents(tmp_path, KEY, generated_at=NOW)


@pytest.mark.parametrize("content", [b"no JSON", b"{}", b"[]", b" " * (1024 * 1024 + 1), None])
def test_a_file_that_describes_no_formula_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "foo.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        build_documents(tmp_path, KEY, generated_at=NOW)
    assert refused.value.thing == str(path)
