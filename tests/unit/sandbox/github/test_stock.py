"""Filling a store with a kit: each attestation once, for all the digests that it is filed under."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.unit.builders import OTHER_SHA256, SHA256, SHA512, make_raw_bundle
from tests.unit.sandbox.github.conftest import bundle_for

from brew_provenance.bottle import Digest
from brew_provenance.errors import KitError, UsageError
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.github import stock
from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.stock import load_kit
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.stores.kit import write_kit

REPOSITORY = "brew-provenance/homebrew-fixtures"
FILE = f"attestations/sha256-{SHA256.value}.jsonl"


def kit(folder: Path, attestations: dict[Digest, list[bytes]]) -> Path:
    write_kit(folder, {}, attestations, {})
    return folder


def test_one_attestation_answers_for_all_its_digests(tmp_path: Path) -> None:
    both, one = bundle_for(SHA256, SHA512), bundle_for(SHA256)
    kit(tmp_path, {SHA256: [both, one, one], SHA512: [both], OTHER_SHA256: []})
    store = AttestationStore()

    assert load_kit(store, tmp_path, "octo/tap") == len(store) == 2

    assert [item.digests for item in store.find("octo", SHA256)] == [(SHA256,), (SHA256, SHA512)]
    assert len(store.find("octo", SHA512)) == 1
    assert store.find("octo", OTHER_SHA256) == []
    assert {item.repository for item in store.find("octo", SHA256)} == {"octo/tap"}


def test_a_kit_decides_what_is_found_under_a_digest(tmp_path: Path) -> None:
    store = AttestationStore()
    kit(tmp_path, {OTHER_SHA256: [bundle_for(SHA256), b"{}", make_raw_bundle({"predicateType": "x"})]})
    load_kit(store, tmp_path, "octo/tap")
    assert [item.predicate_type for item in store.find("octo", OTHER_SHA256)] == [PROVENANCE_V1] * 3
    assert store.find("octo", SHA256) == []


def test_the_predicate_type_is_the_one_that_is_claimed(tmp_path: Path) -> None:
    store = AttestationStore()
    load_kit(store, kit(tmp_path, {SHA256: [bundle_for(SHA256, predicateType="x")]}), "octo/tap")
    assert store.find("octo", SHA256)[0].predicate_type == "x"


@pytest.mark.parametrize(
    ("job", "named"),
    [
        (ActionsJob(), True),
        (ActionsJob(repository="Brew-Provenance/Homebrew-Fixtures"), True),
        (ActionsJob(repository="brew-provenance/other"), False),
        (ActionsJob(repository_id="many"), False),
        (ActionsJob(owner_id=""), False),
    ],
)
def test_the_repository_has_the_ids_that_a_certificate_names(
    tmp_path: Path, job: ActionsJob, *, named: bool
) -> None:
    scenario = Scenario(job=job)
    digest = Digest("sha256", hashlib.sha256(scenario.artifact).hexdigest())
    store = AttestationStore()
    load_kit(store, kit(tmp_path, {digest: [b"{}", make_raw_bundle(), scenario.good()]}), REPOSITORY)
    found = store.repository(REPOSITORY)
    assert found
    assert ((found.id, found.owner_id) == (801234567, 161234567)) == named


def test_an_empty_kit_is_a_kit(tmp_path: Path) -> None:
    store = AttestationStore()
    assert load_kit(store, kit(tmp_path, {}), "octo/tap") == 0
    assert store.repository("octo/tap")


def test_a_folder_that_is_no_kit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KitError):
        load_kit(AttestationStore(), tmp_path, "octo/tap")


@pytest.mark.parametrize("name", ["octo", "octo/", "a/b/c", ""])
def test_a_repository_is_owner_and_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_kit(AttestationStore(), kit(tmp_path, {}), name)
    assert caught.value.cause == "not OWNER/REPO"


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"{", "line 1: not JSON"), (b"{}\n\n{}x\n", "line 3: not JSON"), (b'{"a": 1, "a": 2}', "stands twice")],
)
def test_a_file_that_cannot_be_served_is_named(tmp_path: Path, raw: bytes, said: str) -> None:
    kit(tmp_path, {SHA256: [b"{}"]})
    (tmp_path / FILE).write_bytes(raw)
    with pytest.raises(KitError, match=said) as caught:
        load_kit(AttestationStore(), tmp_path, "octo/tap")
    assert caught.value.thing == str(tmp_path / FILE)


def test_a_file_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit(tmp_path, {SHA256: [b"{}"]})
    monkeypatch.setattr(stock, "MAX_FILE_BYTES", 1)
    with pytest.raises(KitError, match="longer than the limit"):
        load_kit(AttestationStore(), tmp_path, "octo/tap")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    kit(tmp_path, {})
    (tmp_path / FILE).mkdir(parents=True)
    with pytest.raises(KitError, match="directory"):
        load_kit(AttestationStore(), tmp_path, "octo/tap")


def test_a_link_out_of_the_kit_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jsonl"
    secret.write_text('{"password": "x"}\n', encoding="utf-8")
    folder = kit(tmp_path / "kit", {SHA256: [b"{}"]})
    (folder / FILE).unlink()
    (folder / FILE).symlink_to(secret)
    with pytest.raises(KitError, match="a link"):
        load_kit(AttestationStore(), folder, "octo/tap")


def test_files_that_are_named_after_no_digest_are_passed_over(tmp_path: Path) -> None:
    kit(tmp_path, {SHA256: [b"{}"]})
    for name in ("sha256-abc.jsonl", "x.jsonl", f"sha1-{'a' * 40}.jsonl", f"sha256-{SHA256.value}.json"):
        (tmp_path / "attestations" / name).write_bytes(b"no JSON")
    assert load_kit(AttestationStore(), tmp_path, "octo/tap") == 1
