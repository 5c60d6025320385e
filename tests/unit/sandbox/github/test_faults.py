"""Faults: each does what it says to the requests that it is for, and to no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cramjam
import pytest
import requests
from tests.unit.builders import (
    OTHER_SHA256,
    SHA256,
    SHA512,
    make_bundle_document,
    make_statement_document,
    make_subject,
)
from tests.unit.sandbox.github.conftest import BULK, LISTING, NEW, REPOSITORY, Lab

from brew_provenance.sandbox.github import faults
from brew_provenance.sandbox.github.faults import Fault
from brew_provenance.sandbox.github.options import BulkShape, Missing


@pytest.fixture
def stocked(lab: Lab) -> Lab:
    lab.add(SHA256)
    lab.add(OTHER_SHA256)
    lab.add(SHA256)
    return lab


def blob_url(lab: Lab) -> str:
    url = lab.look_up(version=NEW).json()["attestations"][0]["bundle_url"]
    assert isinstance(url, str)
    return url


def bulk_rows(lab: Lab) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a bulk answer, whatever its shape."""
    found = lab.bulk([SHA256, OTHER_SHA256]).json()["attestations_subject_digests"]
    if isinstance(found, list):
        found = {digest: rows for members in found for digest, rows in members.items()}
    assert isinstance(found, dict)
    return found


def test_a_fault_happens_as_often_as_was_said(stocked: Lab) -> None:
    stocked.faults.inject(faults.respond(503), 2)
    assert stocked.faults.waiting == ("status 503",)
    assert [stocked.look_up().status_code for _ in range(4)] == [503, 503, 200, 200]
    assert not stocked.faults.waiting


def test_a_fault_can_last_until_it_is_cleared(stocked: Lab) -> None:
    stocked.faults.inject(faults.respond(502), None)
    assert [stocked.look_up().status_code for _ in range(3)] == [502] * 3
    stocked.faults.clear()
    assert stocked.look_up().status_code == 200


def test_a_fault_concerns_the_requests_that_it_is_for(stocked: Lab) -> None:
    stocked.faults.inject(faults.respond(500), None, method="POST")
    stocked.faults.inject(faults.respond(501), None, path=f"*/{OTHER_SHA256}")
    assert stocked.look_up().status_code == 200
    assert stocked.bulk([SHA256]).status_code == 500
    assert stocked.look_up(OTHER_SHA256).status_code == 501


def test_faults_are_met_in_their_order(stocked: Lab) -> None:
    stocked.faults.inject(faults.respond(500))
    stocked.faults.inject(faults.respond(503), path="/repos/*")
    stocked.faults.inject(faults.respond(502))
    assert stocked.faults.waiting == ("status 500", "status 503", "status 502")
    assert [stocked.look_up().status_code for _ in range(4)] == [500, 503, 502, 200]


def test_what_went_wrong_is_recorded_as_it_was_sent(stocked: Lab) -> None:
    stocked.faults.inject(faults.respond(503, b"oops"))
    stocked.look_up()
    [record] = stocked.log.records
    assert (record.path, record.status, record.response_bytes) == (f"{LISTING}/{SHA256}", 503, 4)


def test_any_status_with_any_headers_and_body(stocked: Lab) -> None:
    stocked.faults.inject(faults.respond(418, b"short", {"x-kind": "stout", "content-type": "text/plain"}))
    response = stocked.look_up()
    assert (response.status_code, response.text, response.headers["x-kind"]) == (418, "short", "stout")
    stocked.faults.inject(faults.respond(500, headers={"retry-after": "1"}))
    response = stocked.look_up()
    assert (response.json()["status"], response.headers["retry-after"]) == ("500", "1")
    stocked.faults.inject(faults.respond(200))
    assert stocked.look_up().content == b""
    stocked.faults.inject(faults.respond(204))
    response = stocked.look_up()
    assert (response.status_code, response.headers.get("content-length")) == (204, None)


def test_limits_on_demand(stocked: Lab) -> None:
    stocked.faults.inject(faults.primary_limit(1_900_000_100, 429))
    response = stocked.look_up()
    assert response.status_code == 429
    assert response.headers["x-ratelimit-remaining"] == "0"
    assert response.headers["x-ratelimit-reset"] == "1900000100"
    for retry_after in ("3", "Wed, 21 Oct 2026 07:28:00 GMT", None):
        stocked.faults.inject(faults.secondary_limit(retry_after))
        response = stocked.look_up()
        assert response.status_code == 403
        assert "secondary rate limit" in response.json()["message"]
        assert response.headers.get("retry-after") == retry_after
        assert int(response.headers["x-ratelimit-remaining"]) > 0


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_leads_elsewhere(stocked: Lab, status: Any) -> None:
    stocked.faults.inject(faults.redirect("http://127.0.0.1:9/", status))
    response = stocked.look_up()
    assert (response.status_code, response.headers["location"]) == (status, "http://127.0.0.1:9/")


def test_slow_headers_hold_up_nobody_else(stocked: Lab) -> None:
    stocked.faults.inject(faults.slow_headers(1000), path=f"*/{SHA256}")
    with pytest.raises(requests.ReadTimeout):
        stocked.session.get(f"{stocked.url}{LISTING}/{SHA256}", timeout=0.05)
    assert stocked.look_up(OTHER_SHA256).status_code == 200


def test_a_slow_answer_is_the_right_one(stocked: Lab) -> None:
    expected = stocked.look_up().content
    stocked.faults.inject(faults.slow_headers(0.01))
    assert stocked.look_up().content == expected
    stocked.faults.inject(faults.slow_body(len(expected) // 3, 0))
    assert stocked.look_up().content == expected


def test_a_slow_body_comes_in_pieces(stocked: Lab) -> None:
    stocked.faults.inject(faults.slow_body(10, 1000))
    with stocked.session.get(f"{stocked.url}{LISTING}/{SHA256}", timeout=0.1, stream=True) as response:
        assert response.status_code == 200
        assert response.raw.read(10) == b'{"attestat'
        with pytest.raises(requests.ConnectionError):
            list(response.iter_content(10))
    assert stocked.look_up().status_code == 200


def test_a_body_is_cut_off(stocked: Lab) -> None:
    expected = stocked.look_up().content
    stocked.faults.inject(faults.cut_body(5))
    with stocked.session.get(f"{stocked.url}{LISTING}/{SHA256}", timeout=30, stream=True) as response:
        assert int(response.headers["content-length"]) == len(expected)
        assert response.raw.read(5) == expected[:5]
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(response.iter_content())
    assert stocked.log.records[-1].response_bytes == 5
    assert stocked.look_up().status_code == 200


def test_the_type_of_the_content_may_be_wrong(stocked: Lab) -> None:
    expected = stocked.look_up()
    stocked.faults.inject(faults.content_type("text/html"))
    response = stocked.look_up()
    assert (response.headers["content-type"], response.content) == ("text/html", expected.content)


@pytest.mark.parametrize(
    "fault",
    [faults.body(b"\xff"), faults.body(b""), faults.invalid_json(), faults.deep_json()],
    ids=lambda fault: fault.name,
)
def test_what_is_no_json_comes_under_the_name_of_json(stocked: Lab, fault: Fault) -> None:
    stocked.faults.inject(fault)
    response = stocked.look_up()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    with pytest.raises((ValueError, RecursionError)):
        response.json()


def test_a_long_body_means_the_same(stocked: Lab) -> None:
    expected = stocked.look_up().json()
    stocked.faults.inject(faults.long_body(1_000_000))
    response = stocked.look_up()
    assert len(response.content) > 1_000_000
    assert response.json()["attestations"][0]["bundle"] == expected["attestations"][0]["bundle"]
    stocked.faults.inject(faults.long_body())
    with stocked.session.get(f"{stocked.url}{LISTING}/{SHA256}", timeout=30, stream=True) as response:
        assert int(response.headers["content-length"]) > 50_000_000


def test_equal_keys_give_two_readings(stocked: Lab) -> None:
    stocked.faults.inject(faults.duplicate_keys(), 2)
    for response in (stocked.look_up(), stocked.bulk([SHA256])):
        pairs = json.loads(response.content, object_pairs_hook=list)
        assert pairs[0][0] == pairs[1][0]
        assert pairs[0][1] == []
        assert pairs[1][1] != []


def test_lists_may_be_null(stocked: Lab) -> None:
    stocked.faults.inject(faults.null_lists(), 2)
    assert stocked.look_up().json() == {"attestations": None}
    assert stocked.bulk([SHA256]).json()["attestations_subject_digests"] is None


@pytest.mark.parametrize("shape", list(BulkShape))
@pytest.mark.parametrize(
    ("fault", "is_altered"),
    [
        (faults.bare_rows(), lambda row: row.keys() == {"repository_id"}),
        (faults.other_repository(7), lambda row: row["repository_id"] == 7 and "bundle" in row),
        (
            faults.other_url("https://example.org/x"),
            lambda row: row["bundle_url"] == "https://example.org/x" and "bundle" not in row,
        ),
    ],
)
def test_rows_are_altered_in_every_answer(
    stocked: Lab, shape: BulkShape, fault: Fault, is_altered: Callable[[Any], bool]
) -> None:
    stocked.set(bulk_shape=shape, bulk_missing=Missing.NULL)
    assert not is_altered(stocked.look_up().json()["attestations"][0])
    stocked.faults.inject(fault, 3)
    for row in stocked.look_up().json()["attestations"]:
        assert is_altered({key: value for key, value in row.items() if key != "initiator"})
    found = bulk_rows(stocked)
    assert [len(rows) for rows in found.values()] == [2, 1]
    assert all(is_altered(row) for rows in found.values() for row in rows)
    assert stocked.bulk([SHA512]).status_code == 200


def test_the_answer_may_be_about_another_digest(stocked: Lab) -> None:
    right = stocked.look_up(OTHER_SHA256).json()["attestations"][0]["bundle"]
    stocked.faults.inject(faults.other_digest(OTHER_SHA256), 3)
    [row] = stocked.look_up().json()["attestations"]
    assert row["bundle"] == right
    assert stocked.log.records[-1].path.endswith(str(SHA256))
    assert bulk_rows(stocked).keys() == {str(OTHER_SHA256)}
    assert stocked.get(f"/orgs/octo/attestations/{SHA512}").json()["attestations"][0]["bundle"] == right


@pytest.mark.parametrize("shape", list(BulkShape))
def test_digests_may_be_swapped(stocked: Lab, shape: BulkShape) -> None:
    stocked.set(bulk_shape=shape)
    right = {digest: [row["repository_id"] for row in rows] for digest, rows in bulk_rows(stocked).items()}
    assert {digest: len(rows) for digest, rows in right.items()} == {str(SHA256): 2, str(OTHER_SHA256): 1}
    stocked.faults.inject(faults.swapped_digests())
    assert {digest: len(rows) for digest, rows in bulk_rows(stocked).items()} == {
        str(SHA256): 1,
        str(OTHER_SHA256): 2,
    }


@pytest.mark.parametrize("count", [1, 5])
def test_pages_may_go_in_circles(lab: Lab, count: int) -> None:
    for _ in range(count):
        lab.add(SHA256)
    lab.faults.inject(faults.cursor_loop(), None)

    url = f"{lab.url}{LISTING}/{SHA256}?per_page=2"
    seen = []
    for _ in range(4):
        response = lab.get(url)
        seen.append([row["bundle_url"].partition("?")[0] for row in response.json()["attestations"]])
        url = response.links["next"]["url"]
    assert len({tuple(page) for page in seen[1:]}) == 1

    params: dict[str, Any] = {"per_page": 2}
    cursors = set()
    for _ in range(4):
        info = lab.bulk([SHA256], params=params).json()["page_info"]
        assert info["has_next"]
        params["after"] = info["next"]
        cursors.add(info["next"])
    assert len(cursors) == 1


def test_a_page_may_be_missing(lab: Lab) -> None:
    for _ in range(3):
        lab.add(SHA256)
    lab.faults.inject(faults.missing_page(), None)
    response = lab.look_up(params={"per_page": 2})
    assert response.status_code == 200
    assert lab.get(response.links["next"]["url"]).status_code == 404
    cursor = lab.bulk([SHA256], params={"per_page": 2}).json()["page_info"]["next"]
    assert lab.bulk([SHA256], params={"per_page": 2, "after": cursor}).status_code == 404
    assert lab.bulk([SHA256], params={"before": cursor}).status_code == 404


@pytest.mark.parametrize(
    "fault",
    [faults.null_lists(), faults.bare_rows(), faults.swapped_digests(), faults.cursor_loop()],
    ids=lambda fault: fault.name,
)
@pytest.mark.parametrize("path", [f"/repos/{REPOSITORY}", f"{LISTING}/{SHA512}", "/nothing"])
def test_an_answer_without_rows_stays_what_it_is(stocked: Lab, fault: Fault, path: str) -> None:
    expected = stocked.get(path)
    stocked.faults.inject(fault)
    response = stocked.get(path)
    assert (response.status_code, response.content) == (expected.status_code, expected.content)
    assert stocked.faults.waiting == ()


@pytest.mark.parametrize("declared", [5, 127, 128, 4 << 30])
def test_a_bomb_declares_more_than_it_has(stocked: Lab, declared: int) -> None:
    url = blob_url(stocked)
    stocked.faults.inject(faults.snappy_bomb(declared), path="/attestations/*")
    body = stocked.get(url).content
    assert len(body) < 10
    length = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(body[: -len(b"\x00a")]))
    assert length == declared
    assert body.endswith(b"\x00a")
    assert stocked.get(url).status_code == 200


@pytest.mark.parametrize("size", [0, 1, 100, 10_000])
def test_a_corrupt_block_cannot_be_decompressed(lab: Lab, size: int) -> None:
    lab.store.add(REPOSITORY, b"x" * size, digests=[SHA256], predicate_type="x")
    url = blob_url(lab)
    lab.faults.inject(faults.corrupt_snappy(), path="/attestations/*")
    with pytest.raises(cramjam.DecompressionError):
        cramjam.snappy.decompress_raw(lab.get(url).content)


def test_a_corrupt_block_of_nothing_is_corrupt_too(stocked: Lab) -> None:
    stocked.faults.inject(faults.corrupt_snappy(), path="/nothing")
    assert stocked.get("/nothing").content.endswith(b"\xff" * 64)


def test_a_fault_of_ones_own_is_one_line(stocked: Lab) -> None:
    shouting = Fault("shouting", lambda _, reply: replace(reply, body=reply.body.upper()))
    stocked.faults.inject(shouting, path=BULK)
    assert stocked.bulk([SHA256]).content.startswith(b'{"ATTESTATIONS_SUBJECT_DIGESTS"')
    stocked.faults.inject(Fault("nothing at all"))
    assert stocked.look_up().status_code == 200


def test_latency_holds_up_nobody_else(stocked: Lab) -> None:
    stocked.set(latency=1000.0)
    with pytest.raises(requests.ReadTimeout):
        stocked.session.get(f"{stocked.url}{LISTING}/{SHA256}", timeout=0.05)
    stocked.set(latency=0.0)
    assert stocked.look_up().status_code == 200


def test_latency_is_added_to_what_a_fault_waits(lab: Lab) -> None:
    lab.set(latency=0.01)
    lab.faults.inject(faults.slow_headers(0.01))
    assert lab.look_up().status_code == 404


def test_a_refusal_does_nothing_where_a_status_comes_after_the_deed(stocked: Lab) -> None:
    path, before = f"/repos/{REPOSITORY}/attestations", len(stocked.store)
    body = {"bundle": make_bundle_document(make_statement_document(make_subject("file", SHA256)))}
    stocked.faults.inject(faults.refuse(503), method="POST")
    assert stocked.ask("POST", path, token="writer", json=body).status_code == 503
    assert len(stocked.store) == before
    stocked.faults.inject(faults.respond(503), method="POST")
    assert stocked.ask("POST", path, token="writer", json=body).status_code == 503
    assert len(stocked.store) == before + 1


@pytest.mark.parametrize(("fault", "done"), [(faults.hang_up(), 0), (faults.lose_answer(), 1)])
def test_a_connection_is_reset_before_or_after_the_deed(stocked: Lab, fault: Fault, done: int) -> None:
    path, before = f"/repos/{REPOSITORY}/attestations", len(stocked.store)
    body = {"bundle": make_bundle_document(make_statement_document(make_subject("file", SHA256)))}
    stocked.look_up()
    stocked.faults.inject(fault, method="POST")
    with pytest.raises(requests.ConnectionError):
        stocked.ask("POST", path, token="writer", json=body)
    assert len(stocked.store) == before + done
    assert stocked.log.records[-1].response_bytes == 0
    assert stocked.look_up().status_code == 200
