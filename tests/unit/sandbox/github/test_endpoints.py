"""Everything but the look-ups: repositories, credentials, creating, deleting, and what no route leads to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.builders import (
    OTHER_SHA256,
    SHA256,
    SHA512,
    Json,
    altered,
    make_bundle_document,
    make_subject,
)
from tests.unit.builders import make_statement_document as statement
from tests.unit.sandbox.github.conftest import LISTING, PRIVATE, REPOSITORY, Lab, bundle_for

from brew_provenance.sandbox.github import backend
from brew_provenance.sandbox.github.attestations import Visibility
from brew_provenance.sandbox.github.options import EVERYTHING
from brew_provenance.statement import MAX_SUBJECTS


def create(lab: Lab, document: Any, who: str | None = "writer", repository: str = REPOSITORY) -> Any:
    return lab.ask("POST", f"/repos/{repository}/attestations", token=who, json=document)


def bundle(*subjects: Json) -> Json:
    return make_bundle_document(statement(*subjects))


def test_a_repository_says_who_it_is(lab: Lab) -> None:
    assert lab.get("/repos/OCTO/homebrew-tap").json() == {
        "id": 111,
        "name": "homebrew-tap",
        "full_name": REPOSITORY,
        "private": False,
        "visibility": "public",
        "owner": {"id": 222, "login": "octo"},
        "html_url": f"https://github.com/{REPOSITORY}",
    }
    assert lab.get(f"/repos/{PRIVATE}").status_code == 404
    assert lab.get(f"/repos/{PRIVATE}", token="reader").json()["private"] is True
    assert lab.get(f"/repos/{PRIVATE}", token="reader").json()["visibility"] == "private"
    lab.store.set_visibility(REPOSITORY, Visibility.MISSING)
    assert lab.get(f"/repos/{REPOSITORY}", token="writer").status_code == 404


@pytest.mark.parametrize("value", ["Bearer reader", "bearer reader", "token reader"])
def test_a_token_is_accepted_in_each_form(lab: Lab, value: str) -> None:
    assert lab.get(f"/repos/{PRIVATE}", headers={"Authorization": value}).status_code == 200


@pytest.mark.parametrize("value", ["Bearer wrong", "Bearer", "Bearer ", "Basic reader", "reader", ""])
@pytest.mark.parametrize("path", [f"{LISTING}/{SHA256}", "/rate_limit", f"/repos/{REPOSITORY}", "/nothing"])
def test_bad_credentials_spoil_what_anybody_may_see(lab: Lab, value: str, path: str) -> None:
    lab.add(SHA256)
    response = lab.get(path, headers={"Authorization": value})
    assert (response.status_code, response.json()["message"]) == (401, "Bad credentials")


def test_other_tokens_can_be_let_in(lab: Lab) -> None:
    lab.set(other_tokens=EVERYTHING)
    assert lab.get(f"/repos/{PRIVATE}", token="anything").status_code == 200
    assert create(lab, {"bundle": bundle()}, "anything").status_code == 201
    assert lab.get(f"/repos/{PRIVATE}", token="stranger").status_code == 404
    assert lab.get(f"/repos/{PRIVATE}", headers={"Authorization": "Bearer"}).status_code == 401


def test_what_was_created_is_found(lab: Lab) -> None:
    document = bundle(make_subject("a", SHA256), make_subject("b", OTHER_SHA256))

    response = create(lab, {"bundle": document})

    assert response.status_code == 201
    number = response.json()["id"]
    attestation = lab.store.get(number)
    assert attestation
    assert attestation.digests == (SHA256, OTHER_SHA256)
    for digest in attestation.digests:
        [row] = lab.look_up(digest).json()["attestations"]
        assert row["bundle"] == document
    assert create(lab, {"bundle": document}).json() == {"id": number + 1}


@pytest.mark.parametrize(
    ("token", "repository", "status"),
    [
        (None, REPOSITORY, 401),
        (None, PRIVATE, 404),
        (None, "octo/nothing", 404),
        ("wrong", REPOSITORY, 401),
        ("stranger", REPOSITORY, 403),
        ("stranger", PRIVATE, 404),
        ("reader", PRIVATE, 403),
        ("writer", "octo/nothing", 404),
        ("writer", PRIVATE, 201),
    ],
)
def test_creating_needs_a_token_that_may(lab: Lab, token: str | None, repository: str, status: int) -> None:
    assert create(lab, {"bundle": bundle()}, token, repository).status_code == status
    assert len(lab.store) == (status == 201)


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        ([], 400, "JSON object"),
        ({}, 422, "wasn't supplied"),
        ({"value": {"bundle": bundle()}}, 422, "wasn't supplied"),
        ({"bundle": None}, 422, "wasn't supplied"),
        ({"bundle": json.dumps(bundle())}, 422, "wasn't supplied"),
        ({"bundle": {}}, 422, "media type"),
        ({"bundle": altered(bundle(), (("dsseEnvelope", "payload"), "?"))}, 422, "base64"),
        ({"bundle": altered(bundle(), (("dsseEnvelope", "payload"), "e30="))}, 422, "no statement"),
        ({"bundle": make_bundle_document(statement(subject=[]))}, 422, "no subject"),
        ({"bundle": make_bundle_document(statement(predicateType=1))}, 422, "no predicate type"),
        ({"bundle": bundle(make_subject(), make_subject())}, 422, "duplicate subject in statement"),
        (
            {"bundle": bundle(*(make_subject(str(number)) for number in range(MAX_SUBJECTS + 1)))},
            422,
            "more than 1024 subjects",
        ),
    ],
)
def test_what_is_no_attestation_is_not_taken(lab: Lab, document: Any, status: int, said: str) -> None:
    response = create(lab, document)
    assert response.status_code == status
    assert said in response.json()["message"]
    assert len(lab.store) == 0


def test_as_many_subjects_as_are_allowed_are_taken_whatever_their_digests(lab: Lab) -> None:
    subjects = [make_subject(str(number), SHA256, SHA512) for number in range(MAX_SUBJECTS)]
    assert create(lab, {"bundle": bundle(*subjects)}).status_code == 201


def test_one_digest_under_two_names_may_be_a_duplicate(lab: Lab) -> None:
    document = {"bundle": bundle(make_subject("a"), make_subject("b"))}
    assert create(lab, document).status_code == 201
    lab.set(refuses_equal_digests=True)
    assert create(lab, document).status_code == 422


@pytest.mark.parametrize("body", [b"", b"{", b'{"bundle": {}, "bundle": {}}', b"\xff"])
def test_what_is_no_json_is_not_taken(lab: Lab, body: bytes) -> None:
    response = lab.ask("POST", f"/repos/{REPOSITORY}/attestations", token="writer", data=body)
    assert (response.status_code, response.json()["message"]) == (400, "Problems parsing JSON")


def test_a_body_has_a_limit(lab: Lab) -> None:
    path, limit = f"/repos/{REPOSITORY}/attestations", backend.MAX_BODY_BYTES
    assert lab.ask("POST", path, token="writer", data=b"x" * limit).status_code == 400
    assert lab.ask("POST", path, token="writer", data=b"x" * (limit + 1)).status_code == 413
    assert lab.log.records[-1].status == 413
    assert backend.MAX_BODY_BYTES > 16 * 1024 * 1024


def delete(lab: Lab, rest: str, who: str | None = "writer", **options: Any) -> int:
    method = "POST" if rest == "delete-request" else "DELETE"
    path = f"/{options.pop('kind', 'orgs')}/{options.pop('owner', 'octo')}/attestations/{rest}"
    return lab.ask(method, path, token=who, **options).status_code


@pytest.mark.parametrize("kind", ["orgs", "users"])
def test_what_was_deleted_is_gone(lab: Lab, kind: str) -> None:
    first, second, third = lab.add(SHA256), lab.add(SHA256), lab.add(OTHER_SHA256)

    assert delete(lab, str(first), kind=kind) == 204
    assert delete(lab, str(first), kind=kind) == 404
    assert lab.store.get(first) is None
    assert len(lab.look_up().json()["attestations"]) == 1

    assert delete(lab, f"digest/{SHA256}", kind=kind) == 204
    assert delete(lab, f"digest/{SHA256}", kind=kind) == 404
    assert lab.store.get(second) is None
    assert lab.look_up().status_code == 404

    assert lab.store.get(third)


def test_many_are_deleted_at_once(lab: Lab) -> None:
    numbers = [lab.add(SHA256), lab.add(OTHER_SHA256), lab.add(SHA512), lab.add(SHA512)]
    by_number = {"attestation_ids": [*numbers[:2], 99, "1", None, True]}
    assert delete(lab, "delete-request", json=by_number) == 200
    assert delete(lab, "delete-request", json={"attestation_ids": numbers[:2]}) == 404
    assert delete(lab, "delete-request", json={"subject_digests": [str(SHA256), str(SHA512)]}) == 200
    assert delete(lab, "delete-request", json={"subject_digests": [str(SHA512)]}) == 404
    assert len(lab.store) == 0


@pytest.mark.parametrize(
    "body",
    [{}, {"attestation_ids": 1}, {"attestation_ids": [1], "subject_digests": []}, {"subject_digests": []}],
)
def test_a_request_to_delete_many_says_what(lab: Lab, body: Json) -> None:
    lab.add(SHA256)
    assert delete(lab, "delete-request", json=body) == 422
    assert len(lab.store) == 1


@pytest.mark.parametrize(
    ("rest", "body"),
    [("1", None), (f"digest/{SHA256}", None), ("delete-request", {"attestation_ids": [1]})],
)
def test_deleting_needs_a_token_that_may_in_the_right_account(lab: Lab, rest: str, body: Json | None) -> None:
    lab.add(SHA256)
    assert delete(lab, rest, None, json=body) == 401
    assert delete(lab, rest, "stranger", json=body) == 403
    assert delete(lab, rest, owner="oct", json=body) == 404
    assert len(lab.store) == 1


def test_nothing_is_deleted_when_not_all_may_be(lab: Lab) -> None:
    lab.store.add_repository("octo/other")
    lab.add(SHA256)
    lab.add(SHA256, repository="octo/other")
    assert delete(lab, f"digest/{SHA256}") == 403
    assert len(lab.store) == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", f"{LISTING}/{SHA256}/"),
        ("DELETE", f"/repos/{REPOSITORY}"),
        ("PUT", f"{LISTING}/{SHA256}"),
        ("POST", f"{LISTING}/{SHA256}"),
        ("DELETE", "/orgs/octo/attestations/not-a-number"),
        ("GET", "/orgs/octo/attestations/digest/x"),
    ],
)
def test_what_no_route_leads_to_is_not_found(lab: Lab, method: str, path: str) -> None:
    lab.add(SHA256)
    response = lab.ask(method, path, token="writer")
    assert (response.status_code, response.json()["message"]) == (404, "Not Found")
    assert response.headers["x-ratelimit-limit"] == "5000"


def test_every_request_is_recorded(lab: Lab) -> None:
    lab.add(SHA256)
    response = lab.look_up(token="reader", params={"per_page": 1}, headers={"X-Test": "ä".encode("latin-1")})
    lab.bulk([SHA256])
    lab.get("/nothing")

    first, second, third = lab.log.records
    assert (first.side, first.origin, first.method, first.path) == (
        "api",
        lab.url,
        "GET",
        f"{LISTING}/{SHA256}",
    )
    assert (first.query, first.request_bytes, first.status) == ("per_page=1", 0, 200)
    assert first.response_bytes == len(response.content)
    assert first.authorization == "Bearer reader"
    assert first.headers["x-test"] == "ä"
    assert second.request_bytes == len(json.dumps({"subject_digests": [str(SHA256)]}))
    assert (third.status, third.authorization) == (404, None)
    assert lab.log.total == 3
    assert lab.log.total_bytes == sum(record.response_bytes for record in lab.log.records)
    assert lab.log.count() == 3
    assert lab.log.count("POST") == lab.log.count(path="*/bulk-list") == 1
    assert lab.log.count("POST", "/nothing") == 0
    lab.log.clear()
    assert lab.log.records == ()
    assert lab.log.total == 3


def test_bundles_are_answered_as_they_were_added(lab: Lab) -> None:
    raw = json.dumps(json.loads(bundle_for(SHA256)), indent=3).encode() + b"\n"
    lab.store.add(REPOSITORY, raw)
    assert raw in lab.look_up().content
