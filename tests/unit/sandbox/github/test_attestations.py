"""The store by itself: what it reads out of bundles, and how it is changed from many threads."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import pytest
from tests.unit.builders import (
    DROP,
    OTHER_SHA256,
    SHA256,
    SHA512,
    altered,
    make_bundle_document,
    make_subject,
)
from tests.unit.builders import make_statement_document as statement
from tests.unit.sandbox.github.conftest import REPOSITORY, bundle_for, digest_of

from brew_provenance.sandbox.forgery import FORGERIES
from brew_provenance.sandbox.github.attestations import (
    AttestationStore,
    InvalidBundleError,
    Visibility,
    read_content,
)
from brew_provenance.sandbox.github.options import EVERYTHING, Grant
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.statement import PROVENANCE_V1


@pytest.fixture
def store() -> AttestationStore:
    made = AttestationStore(lambda: 0.0)
    made.add_repository(REPOSITORY)
    return made


def raw(document: Any) -> bytes:
    return json.dumps(document).encode()


def with_payload(payload: bytes) -> bytes:
    envelope = {"payload": base64.b64encode(payload).decode()}
    return raw({"dsseEnvelope": envelope})


def test_digests_and_predicate_type_are_read_out_of_the_statement() -> None:
    subjects = [make_subject("a", SHA256, SHA512), make_subject("b", OTHER_SHA256), make_subject("c", SHA256)]
    content = read_content(raw(make_bundle_document(statement(*subjects))))
    assert content.predicate_type == PROVENANCE_V1
    assert content.subjects == (("a", SHA256), ("a", SHA512), ("b", OTHER_SHA256), ("c", SHA256))
    assert content.digests == (SHA256, SHA512, OTHER_SHA256)
    assert content.subject_count == 3


def test_digests_that_nobody_looks_up_are_passed_over() -> None:
    subject = {"digest": {"sha1": "a" * 40, "gitCommit": "b" * 40, "sha256": SHA256.value}}
    assert read_content(raw(make_bundle_document(statement(subject)))).subjects == (("", SHA256),)


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"{}",
        raw({"dsseEnvelope": None}),
        raw(altered(make_bundle_document(), (("dsseEnvelope", "payload"), DROP))),
        raw(altered(make_bundle_document(), (("dsseEnvelope", "payload"), 1))),
        raw(altered(make_bundle_document(), (("dsseEnvelope", "payload"), "e30"))),
        raw(altered(make_bundle_document(), (("dsseEnvelope", "payload"), "é"))),
        with_payload(b""),
        with_payload(b"[]"),
        with_payload(b"[" * 100_000),
        with_payload(b"{}"),
        with_payload(raw(statement(predicateType=None))),
        with_payload(raw(statement(subject=None))),
        with_payload(raw(statement(subject={}))),
        with_payload(raw(statement(subject=["x"]))),
        with_payload(raw(statement({"name": "x"}))),
        with_payload(raw(statement({"digest": None}))),
        with_payload(raw(statement({"digest": {"sha256": "x"}}))),
        with_payload(raw(statement({"digest": {"sha256": None}}))),
        with_payload(raw(statement({"digest": {"sha1": "a" * 40}}))),
    ],
)
def test_a_bundle_without_a_statement_is_not_taken_as_it_is(store: AttestationStore, bundle: bytes) -> None:
    with pytest.raises(InvalidBundleError):
        store.add(REPOSITORY, bundle)
    assert len(store) == 0
    store.add(REPOSITORY, bundle, digests=[SHA256], predicate_type="x")
    assert len(store) == 1


def test_every_forgery_can_be_put_in() -> None:
    store, scenario = AttestationStore(), Scenario()
    store.add_repository(REPOSITORY)
    for forgery in FORGERIES:
        bundle = forgery.make(scenario)
        number = store.add(REPOSITORY, bundle, digests=[SHA256], predicate_type=PROVENANCE_V1)
        found = store.get(number)
        assert found
        assert found.bundle == bundle
    assert len(store.find("octo", SHA256)) == len(FORGERIES)


def test_what_is_given_is_not_read(store: AttestationStore) -> None:
    bundle = bundle_for(SHA256)
    first = store.get(store.add(REPOSITORY, bundle, digests=[SHA512]))
    second = store.get(store.add(REPOSITORY, bundle, predicate_type="x"))
    assert first
    assert second
    assert (first.digests, first.predicate_type) == ((SHA512,), PROVENANCE_V1)
    assert (second.digests, second.predicate_type) == ((SHA256,), "x")
    assert [item.id for item in store.find("octo", SHA256)] == [second.id]
    assert first.blob_path == f"/attestations/{first.repository_id}/1970/01/01/{first.id}.json.sn"


def test_an_attestation_needs_its_repository(store: AttestationStore) -> None:
    with pytest.raises(KeyError):
        store.add("octo/nothing", bundle_for())
    with pytest.raises(KeyError):
        store.set_visibility("octo/nothing", Visibility.PUBLIC)
    assert store.add("OCTO/Homebrew-Tap", bundle_for())


@pytest.mark.parametrize("name", ["", "octo", "octo/", "/tap", "octo/tap/x"])
def test_a_repository_has_an_owner_and_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="is not owner/repository"):
        AttestationStore().add_repository(name)


def test_ids_are_kept_and_those_of_an_owner_are_one(store: AttestationStore) -> None:
    first = store.repository(REPOSITORY)
    second = store.add_repository("Octo/other")
    third = store.add_repository("somebody/tap")
    assert first
    assert len({first.id, second.id, third.id}) == 3
    assert first.owner_id == second.owner_id != third.owner_id
    assert store.add_repository(REPOSITORY.upper(), Visibility.PRIVATE).id == first.id
    assert store.add_repository("new/tap", repository_id=5, owner_id=6).id == 5
    assert store.owner_id("NEW") == 6
    assert store.owner_id("nobody") is None


def test_deleting_what_is_not_there_does_nothing(store: AttestationStore) -> None:
    number = store.add(REPOSITORY, bundle_for(SHA256, SHA512))
    store.delete([number, number, 99])
    store.delete([number])
    assert len(store) == 0
    assert store.find("octo", SHA256) == store.find("octo", SHA512) == []


def test_many_threads_add_and_delete(store: AttestationStore) -> None:
    shared = digest_of(0)
    problems: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for step in range(200):
                own = digest_of(1 + thread * 1000 + step)
                number = store.add(REPOSITORY, b"{}", digests=[shared, own], predicate_type="x")
                assert [item.id for item in store.find("octo", own)] == [number]
                ids = [item.id for item in store.find("octo", shared)]
                assert ids == sorted(ids, reverse=True)
                if step % 2:
                    store.delete([number])
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert len(store) == len(store.find("octo", shared)) == 4 * 100


def test_a_grant_says_what_a_token_may() -> None:
    grant = Grant(reads=frozenset({"Octo/A"}), writes=frozenset({"octo/b"}))
    assert [grant.may_read(f"octo/{name}") for name in "abc"] == [True, True, False]
    assert [grant.may_write(f"OCTO/{name}") for name in "abc"] == [False, True, False]
    assert EVERYTHING.may_read("x/y")
    assert EVERYTHING.may_write("x/y")
