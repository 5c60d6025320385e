"""Kits: what was written is read, and a hostile kit can only leave something out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    OTHER_SHA256,
    SHA256,
    SHA512,
    Json,
    altered,
    make_bundle_document,
    make_raw_bundle,
)

from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle
from brew_provenance.errors import KitError, NothingMatchedError
from brew_provenance.findings import Finding
from brew_provenance.stores import Answer
from brew_provenance.stores import kit as kit_module
from brew_provenance.stores.kit import INDEX, TRUSTED_ROOT, Kit, policy_path, write_kit

NAME = "octo/tap/foo"
FORMULA_FILE = f"formulae/{NAME}.json"
BUNDLE_FILE = f"attestations/sha256-{SHA256.value}.jsonl"


def formula(name: str = "foo", tap: str = "octo/tap", **overrides: Any) -> bytes:
    files = {"sonoma": {"url": "https://example.org/foo", "sha256": SHA256.value}}
    document = {
        "name": name,
        "tap": tap,
        "versions": {"stable": "1.1"},
        "bottle": {"stable": {"rebuild": 0, "files": files}},
        **overrides,
    }
    return json.dumps(document).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A kit with a formula, a digest with two bundles, and a digest without any."""
    bundles = [
        make_raw_bundle({"number": 1}),
        json.dumps(make_bundle_document({"number": 2}), indent=1).encode(),
    ]
    write_kit(tmp_path / "kit", {NAME: formula()}, {SHA256: bundles, OTHER_SHA256: []}, {})
    return tmp_path / "kit"


def change_index(folder: Path, *changes: Any) -> None:
    path = folder / INDEX
    path.write_text(
        json.dumps(altered(json.loads(path.read_text(encoding="utf-8")), *changes)), encoding="utf-8"
    )


def replace_file(folder: Path, relative: str, raw: bytes) -> None:
    """Put another file into a kit, and its digest into the index."""
    (folder / relative).write_bytes(raw)
    change_index(folder, (("files", relative), hashlib.sha256(raw).hexdigest()))


def answer(folder: Path, digest: Digest = SHA256) -> Answer:
    return Kit(folder).resolve([digest])[digest]


def finding_codes(found: Answer) -> list[str]:
    assert found.candidates == ()
    return [finding.code for finding in found.findings]


def test_what_was_written_is_read(folder: Path) -> None:
    kit = Kit(folder)
    assert kit.name == f"kit {folder}"
    found = kit.formula(NAME)
    assert found.full_name == NAME
    assert [bottle.digest for bottle in found.bottles] == [SHA256]
    candidates = answer(folder).candidates
    assert [candidate.source for candidate in candidates] == [
        f"{BUNDLE_FILE} bundle {line}" for line in (1, 2)
    ]
    payloads = [candidate.bundle.payload for candidate in candidates if isinstance(candidate.bundle, Bundle)]
    assert payloads == [b'{"number": 1}', b'{"number": 2}']


def test_a_digest_without_attestations_is_not_one_that_nobody_asked_about(folder: Path) -> None:
    answers = Kit(folder).resolve([OTHER_SHA256, SHA512, SHA256])
    assert list(answers) == [OTHER_SHA256, SHA512, SHA256]
    assert answers[OTHER_SHA256] == Answer()
    assert finding_codes(answers[SHA512]) == ["store-has-no-answer"]
    assert Kit(folder).resolve([]) == {}


def test_a_kit_holds_the_files_that_somebody_may_decide_to_trust(tmp_path: Path) -> None:
    write_kit(tmp_path, {}, {}, {TRUSTED_ROOT: b"root", policy_path("octo/tap"): b"policy"})
    assert (tmp_path / "trusted_root.jsonl").read_bytes() == b"root"
    assert (tmp_path / "policies/octo/tap.toml").read_bytes() == b"policy"
    files = json.loads((tmp_path / INDEX).read_text(encoding="utf-8"))["files"]
    assert files[TRUSTED_ROOT] == hashlib.sha256(b"root").hexdigest()


def test_a_bundle_file_holds_one_bundle_a_line(folder: Path) -> None:
    lines = (folder / BUNDLE_FILE).read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == [
        make_bundle_document({"number": 1}),
        make_bundle_document({"number": 2}),
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    formulae = {f"octo/tap/{name}": formula(name) for name in ("c", "a", "b")}
    attestations = {digest: [make_raw_bundle()] for digest in (SHA512, SHA256, OTHER_SHA256)}
    trust = {policy_path("octo/tap"): b"policy", TRUSTED_ROOT: b"root"}
    write_kit(tmp_path / "one", formulae, attestations, trust)
    write_kit(
        tmp_path / "two",
        dict(reversed(formulae.items())),
        dict(reversed(attestations.items())),
        dict(reversed(trust.items())),
    )
    write_kit(tmp_path / "two", formulae, attestations, trust)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 9


def test_a_kit_that_was_not_finished_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_kit(tmp_path, {NAME: formula()}, {SHA256: []}, {})
    with pytest.raises(KitError):
        Kit(tmp_path)


@given(
    st.from_regex(r"\A[a-z0-9][a-z0-9_]{0,6}/[a-z0-9][a-z0-9._-]{0,6}\Z"),
    st.from_regex(r"\A[a-z0-9_][a-zA-Z0-9_@+.-]{0,12}\Z"),
)
def test_every_formula_name_comes_back(tmp_path_factory: pytest.TempPathFactory, tap: str, name: str) -> None:
    folder = tmp_path_factory.mktemp("kit")
    write_kit(folder, {f"{tap}/{name}": formula(name, tap)}, {}, {})
    assert Kit(folder).formula(f"{tap}/{name}").full_name == f"{tap}/{name}"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b'{"schemaVersion": 1, "files": {}, "formulae": [], "digests": []',
        b'{"schemaVersion": 1, "schemaVersion": 1, "files": {}, "formulae": [], "digests": []}',
        b'{"schemaVersion": 1, "files": {"a": "x", "a": "y"}, "formulae": [], "digests": []}',
        b'{"schemaVersion": 2, "files": {}, "formulae": [], "digests": []}',
        b'{"schemaVersion": "1", "files": {}, "formulae": [], "digests": []}',
        b'{"files": {}, "formulae": [], "digests": []}',
        b'{"schemaVersion": 1, "formulae": [], "digests": []}',
        b'{"schemaVersion": 1, "files": {}, "digests": []}',
        b'{"schemaVersion": 1, "files": {}, "formulae": []}',
        b'{"schemaVersion": 1, "files": [], "formulae": [], "digests": []}',
        b'{"schemaVersion": 1, "files": {"a": 1}, "formulae": [], "digests": []}',
        b'{"schemaVersion": 1, "files": {}, "formulae": [1], "digests": []}',
        b'{"schemaVersion": 1, "files": {}, "formulae": {}, "digests": []}',
        b'{"schemaVersion": 1, "files": {}, "formulae": [], "digests": "sha256"}',
        b'{"schemaVersion": 1, "files": {}, "formulae": [], "digests": [], "policy": "x"}',
        b"[" * 100_000,
    ],
)
def test_a_folder_with_a_wrong_index_is_no_kit(folder: Path, raw: bytes) -> None:
    (folder / INDEX).write_bytes(raw)
    with pytest.raises(KitError) as caught:
        Kit(folder)
    assert caught.value.thing == str(folder / INDEX)
    assert caught.value.next_step


def test_a_folder_without_an_index_is_no_kit(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "odd" / INDEX).mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "missing", tmp_path / "file", tmp_path / "odd"):
        with pytest.raises(KitError, match=INDEX):
            Kit(folder)


def test_an_index_has_a_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_module, "MAX_INDEX_BYTES", 100)
    with pytest.raises(KitError, match="longer than the limit of 100 bytes"):
        Kit(folder)


def test_a_bundle_file_that_was_altered_is_not_read(folder: Path) -> None:
    with (folder / BUNDLE_FILE).open("ab") as stream:
        stream.write(make_raw_bundle())
    assert finding_codes(answer(folder)) == ["kit-file-altered"]


@pytest.mark.parametrize(
    "value", ["", "0" * 64, SHA256.value, hashlib.sha256(b"").hexdigest().upper(), "../index.json"]
)
def test_a_bundle_file_is_the_one_that_the_index_lists(folder: Path, value: str) -> None:
    change_index(folder, (("files", BUNDLE_FILE), value))
    assert finding_codes(answer(folder)) == ["kit-file-altered"]


def test_a_bundle_file_that_is_missing_is_no_answer(folder: Path) -> None:
    (folder / BUNDLE_FILE).unlink()
    assert finding_codes(answer(folder)) == ["store-unreadable"]
    (folder / BUNDLE_FILE).mkdir()
    assert finding_codes(answer(folder)) == ["kit-file-altered"]


@pytest.mark.parametrize("raw", [b"", b"\n", b"not json", make_raw_bundle() + b"\n{}\n{", b"\xff"])
def test_a_bundle_file_that_cannot_be_read_is_no_answer(folder: Path, raw: bytes) -> None:
    replace_file(folder, BUNDLE_FILE, raw)
    assert finding_codes(answer(folder)) == ["store-unreadable"]


def test_a_file_has_a_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_module, "MAX_FILE_BYTES", 100)
    assert finding_codes(answer(folder)) == ["store-unreadable"]
    with pytest.raises(KitError, match="longer than the limit of 100 bytes"):
        Kit(folder).formula(NAME)


def test_a_bundle_that_is_none_is_a_candidate_with_a_reason(folder: Path) -> None:
    replace_file(folder, BUNDLE_FILE, b"{}\n" + make_raw_bundle())
    first, second = answer(folder).candidates
    assert isinstance(first.bundle, Finding)
    assert isinstance(second.bundle, Bundle)


def test_a_file_that_no_digest_of_the_index_covers_is_not_looked_at(folder: Path) -> None:
    change_index(folder, (("digests",), [str(OTHER_SHA256)]))
    assert finding_codes(answer(folder)) == ["store-has-no-answer"]


def test_a_file_that_the_index_does_not_list_is_not_looked_at(folder: Path) -> None:
    index: Json = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    files = {name: digest for name, digest in index["files"].items() if name != BUNDLE_FILE}
    change_index(folder, (("files",), files))
    assert answer(folder) == Answer()


@pytest.mark.parametrize("name", ["octo/tap/fo", "octo/tap", "foo", "", "octo/tap/foo\n", "Octo/Tap/foo"])
def test_a_formula_that_the_kit_does_not_list_matches_nothing(folder: Path, name: str) -> None:
    with pytest.raises(NothingMatchedError) as caught:
        Kit(folder).formula(name)
    assert caught.value.thing == name
    assert caught.value.next_step


def test_a_formula_of_nearly_that_name_is_offered(folder: Path) -> None:
    with pytest.raises(NothingMatchedError) as caught:
        Kit(folder).formula("octo/tap/fooo")
    assert caught.value.next_step == f"did you mean {NAME}?"
    with pytest.raises(NothingMatchedError) as caught:
        Kit(folder).formula("zzz")
    assert "did you mean" not in caught.value.next_step


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "../../secret",
        "octo/tap/../../../secret",
        "octo/../secret",
        "octo/tap/.secret",
        "octo/tap/sub/secret",
        "octo/tap/\x00",
        "/etc/hostname",
        "octo/tap/C:\\secret",
        "octo\\tap\\secret",
        "octo/tap/",
    ],
)
def test_a_name_that_leads_out_of_the_kit_is_never_followed(folder: Path, name: str) -> None:
    secret = folder.parent / "secret.json"
    secret.write_bytes(formula())
    digest = hashlib.sha256(secret.read_bytes()).hexdigest()
    change_index(folder, (("formulae",), [name]))
    with pytest.raises(NothingMatchedError):
        Kit(folder).formula(name)
    change_index(folder, (("files", f"formulae/{name}.json"), digest))
    with pytest.raises(KitError, match="not the path of a file in a kit"):
        Kit(folder)


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "empty"),
        (b"[]", "Input should be"),
        (b'{"name": "foo", "name": "foo"}', "stands twice"),
        (formula(revision=-1), "revision"),
        (formula(versions={"stable": "../1"}), "bottle sonoma"),
        (formula("bar"), "describes octo/tap/bar"),
        (formula(tap="homebrew/core"), "describes homebrew/core/foo"),
        (formula("tap/foo", "octo"), "bottle sonoma"),
        (formula("../foo", bottle={}), "describes octo/tap/../foo"),
    ],
)
def test_a_formula_file_describes_the_formula_that_it_is_named_after(
    folder: Path, raw: bytes, cause: str
) -> None:
    replace_file(folder, FORMULA_FILE, raw)
    with pytest.raises(KitError, match=cause) as caught:
        Kit(folder).formula(NAME)
    assert caught.value.thing == str(folder / FORMULA_FILE)


def test_a_formula_file_that_was_altered_or_is_missing_is_not_used(folder: Path) -> None:
    (folder / FORMULA_FILE).write_bytes(formula(revision=1))
    with pytest.raises(KitError, match="is not the file that the index lists"):
        Kit(folder).formula(NAME)
    (folder / FORMULA_FILE).unlink()
    with pytest.raises(KitError, match=NAME):
        Kit(folder).formula(NAME)


def test_a_formula_file_that_the_index_does_not_list_is_not_used(folder: Path) -> None:
    change_index(folder, (("files",), {}))
    with pytest.raises(KitError, match="is not the file that the index lists"):
        Kit(folder).formula(NAME)
