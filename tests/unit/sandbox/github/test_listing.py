"""Looking attestations up: shapes, versions, filters, and pages in both directions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import OTHER_SHA256, SHA256, SHA512
from tests.unit.sandbox.github.conftest import (
    BULK,
    LISTING,
    NEW,
    OLD,
    PRIVATE,
    REPOSITORY,
    Lab,
    bundle_for,
    digest_of,
)

from brew_provenance.bottle import Digest
from brew_provenance.sandbox.github.attestations import AttestationStore, Visibility
from brew_provenance.sandbox.github.options import BulkShape, Inline, Missing, NoRows, inline_share
from brew_provenance.sandbox.github.pages import CursorError, Row, cut_page

PROVENANCE = "https://slsa.dev/provenance/v1"
TYPES = {
    "provenance": PROVENANCE,
    "sbom": "https://spdx.dev/Document/v2.3",
    "cyclonedx": "https://cyclonedx.org/bom",
    "release": "https://in-toto.io/attestation/release/v0.1",
}


def ids(rows: Any) -> list[int]:
    """Return the ids that the URLs of rows end in."""
    return [int(row["bundle_url"].partition(".json.sn?")[0].rpartition("/")[2]) for row in rows]


def rows_of(answer: dict[str, Any]) -> dict[str, list[int]]:
    return {digest: ids(rows) for digest, rows in answer["attestations_subject_digests"].items()}


@pytest.mark.parametrize("scope", [LISTING, "/orgs/octo/attestations", "/users/OCTO/attestations"])
def test_old_version_carries_the_bundle_byte_for_byte(lab: Lab, scope: str) -> None:
    lab.add(SHA256)

    response = lab.get(f"{scope}/{SHA256}", version=OLD)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["x-github-api-version-selected"] == OLD
    [row] = response.json()["attestations"]
    assert row["bundle"] == json.loads(bundle_for(SHA256))
    assert bundle_for(SHA256) in response.content
    assert row["repository_id"] == 111
    assert row["initiator"] == "user"
    assert row["bundle_url"].startswith(f"{lab.blob_url}/attestations/111/2030/03/17/1.json.sn?se=2030-")


@pytest.mark.parametrize("scope", [LISTING, "/orgs/octo/attestations", "/users/octo/attestations"])
def test_new_version_carries_the_url_alone(lab: Lab, scope: str) -> None:
    lab.add(SHA256)
    response = lab.get(f"{scope}/{SHA256}", version=NEW)
    [row] = response.json()["attestations"]
    assert row.keys() == {"repository_id", "bundle_url", "initiator"}
    assert response.headers["x-github-api-version-selected"] == NEW


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_request_without_a_version_gets_the_default(lab: Lab, version: str) -> None:
    lab.add(SHA256)
    lab.set(default_version=version)
    [row] = lab.look_up(version=None).json()["attestations"]
    assert ("bundle" in row) == (version == OLD)
    [row] = lab.bulk([SHA256], version=None).json()["attestations_subject_digests"][str(SHA256)]
    assert ("bundle" in row) == (version == OLD)


@pytest.mark.parametrize("version", ["2022-11-29", "", "latest", "2022-11-28 "[:9]])
def test_an_unknown_version_is_refused(lab: Lab, version: str) -> None:
    lab.add(SHA256)
    response = lab.look_up(version=version)
    assert response.status_code == 400
    assert response.json()["status"] == "400"
    assert "x-github-api-version-selected" not in response.headers


@pytest.mark.parametrize(("inline", "row"), [(Inline.NULL, {"bundle": None}), (Inline.ABSENT, {})])
def test_old_version_may_lack_the_bundle(lab: Lab, inline: Inline, row: dict[str, None]) -> None:
    first, second = lab.add(SHA256), lab.add(SHA256)
    lab.set(inline=lambda it: inline if it.id == first else Inline.PRESENT)
    for rows in (
        lab.look_up().json()["attestations"],
        lab.bulk([SHA256]).json()["attestations_subject_digests"][str(SHA256)],
    ):
        assert ids(rows) == [second, first]
        assert rows[0]["bundle"]
        assert {key: value for key, value in rows[1].items() if key == "bundle"} == row


def test_a_share_of_rows_carries_the_bundle(lab: Lab) -> None:
    numbers = [lab.add(SHA256) for _ in range(200)]
    found = [lab.store.get(number) for number in numbers]
    for share, low, high in ((0.0, 0, 0), (0.5, 70, 130), (1.0, 200, 200)):
        rule = inline_share(share, Inline.ABSENT)
        kinds = [rule(attestation) for attestation in found if attestation]
        assert low <= kinds.count(Inline.PRESENT) <= high
        assert set(kinds) <= {Inline.PRESENT, Inline.ABSENT}
        assert kinds == [rule(attestation) for attestation in found if attestation]


@pytest.mark.parametrize("scope", [LISTING, "/orgs/octo/attestations", "/users/octo/attestations"])
def test_nothing_is_not_found_or_an_empty_list(lab: Lab, scope: str) -> None:
    lab.add(OTHER_SHA256)
    assert lab.get(f"{scope}/{SHA256}").status_code == 404
    lab.set(no_rows=NoRows.EMPTY_LIST)
    response = lab.get(f"{scope}/{SHA256}")
    assert (response.status_code, response.json()) == (200, {"attestations": []})


@pytest.mark.parametrize(
    "path",
    [
        "/repos/octo/nothing/attestations",
        "/repos/nobody/homebrew-tap/attestations",
        "/orgs/nobody/attestations",
        "/users/nobody/attestations",
        "/users/octo/homebrew-tap/attestations",
        "/octo/homebrew-tap/attestations",
    ],
)
def test_what_does_not_exist_is_not_found_whatever_the_option(lab: Lab, path: str) -> None:
    lab.set(no_rows=NoRows.EMPTY_LIST)
    assert lab.get(f"{path}/{SHA256}").status_code == 404


@pytest.mark.parametrize(
    "digest", ["sha256:", "sha256:abc", "sha1:" + "a" * 40, "a" * 64, "sha256:" + "g" * 64, "sha256%3Aabc"]
)
def test_what_is_no_digest_is_refused(lab: Lab, digest: str) -> None:
    assert lab.get(f"{LISTING}/{digest}").status_code == 422
    assert lab.bulk([SHA256, digest]).status_code == 422


def test_every_algorithm_and_every_spelling_of_a_digest_is_found(lab: Lab) -> None:
    lab.add(SHA256)
    lab.add(SHA512)
    assert lab.get(f"{LISTING}/sha256%3A{SHA256.value}").status_code == 200
    assert lab.get(f"{LISTING}/sha256:{SHA256.value.upper()}").status_code == 200
    assert lab.look_up(SHA512).status_code == 200


def test_an_account_answers_for_its_repositories_alone(lab: Lab) -> None:
    lab.store.add_repository("octo/other")
    lab.store.add_repository("octopus/tap")
    mine, other = lab.add(SHA256), lab.add(SHA256, repository="octo/other")
    lab.add(SHA256, repository="octopus/tap")
    assert ids(lab.look_up().json()["attestations"]) == [mine]
    assert ids(lab.get(f"/orgs/octo/attestations/{SHA256}").json()["attestations"]) == [other, mine]


def test_names_are_the_same_in_upper_and_lower_case(lab: Lab) -> None:
    lab.add(SHA256)
    lab.store.add_repository("Octo/Homebrew-Tap")
    assert lab.get(f"/repos/OCTO/Homebrew-TAP/attestations/{SHA256}").status_code == 200


def test_private_repositories_are_seen_with_a_token_that_may(lab: Lab) -> None:
    number = lab.add(SHA256, repository=PRIVATE)
    for token, status in ((None, 404), ("stranger", 404), ("reader", 200), ("writer", 200)):
        for scope in (f"/repos/{PRIVATE}/attestations", "/orgs/octo/attestations"):
            assert lab.get(f"{scope}/{SHA256}", token=token).status_code == status
    assert rows_of(lab.bulk([SHA256]).json()) == {str(SHA256): [number]}
    assert rows_of(lab.bulk([SHA256], token="stranger").json()) == {}


def test_a_repository_that_is_gone_takes_its_attestations_along(lab: Lab) -> None:
    lab.add(SHA256)
    lab.store.set_visibility(REPOSITORY, Visibility.MISSING)
    assert lab.look_up().status_code == 404
    assert lab.get(f"/orgs/octo/attestations/{SHA256}", token="writer").status_code == 404
    assert rows_of(lab.bulk([SHA256]).json()) == {}
    lab.store.set_visibility(REPOSITORY, Visibility.PUBLIC)
    assert lab.look_up().status_code == 200


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        (None, {"provenance", "sbom", "cyclonedx", "release"}),
        ("provenance", {"provenance"}),
        (PROVENANCE, {"provenance"}),
        ("sbom", {"sbom", "cyclonedx"}),
        ("release", {"release"}),
        ("https://spdx.dev/Document/v2.3", {"sbom"}),
        ("https://slsa.dev/provenance/", set()),
        ("", set()),
    ],
)
def test_the_predicate_type_selects(lab: Lab, wanted: str | None, kinds: set[str]) -> None:
    numbers = {kind: lab.add(SHA256, predicateType=uri) for kind, uri in TYPES.items()}
    lab.set(no_rows=NoRows.EMPTY_LIST)
    expected = sorted((numbers[kind] for kind in kinds), reverse=True)

    alone = lab.look_up(params={} if wanted is None else {"predicate_type": wanted})
    bulk = lab.bulk([SHA256], more={} if wanted is None else {"predicate_type": wanted})

    assert ids(alone.json()["attestations"]) == expected
    assert rows_of(bulk.json()).get(str(SHA256), []) == expected


def test_the_initiator_is_named_as_it_is_known(lab: Lab) -> None:
    lab.store.add(REPOSITORY, bundle_for(SHA256), initiator="github")
    assert lab.look_up().json()["attestations"][0]["initiator"] == "github"
    [row] = lab.bulk([SHA256]).json()["attestations_subject_digests"][str(SHA256)]
    assert "initiator" not in row
    lab.set(bulk_initiator=True)
    [row] = lab.bulk([SHA256]).json()["attestations_subject_digests"][str(SHA256)]
    assert row["initiator"] == "github"


def test_pages_are_walked_forwards_and_backwards(lab: Lab) -> None:
    numbers = [lab.add(SHA256) for _ in range(7)]
    numbers.reverse()

    response = lab.look_up(params={"per_page": 3, "predicate_type": PROVENANCE})
    pages = [ids(response.json()["attestations"])]
    assert "prev" not in response.links
    while "next" in response.links:
        assert response.links["next"]["url"].startswith(f"{lab.url}{LISTING}/{SHA256}?per_page=3&predicate_")
        response = lab.get(response.links["next"]["url"])
        pages.append(ids(response.json()["attestations"]))
    assert pages == [numbers[:3], numbers[3:6], numbers[6:]]

    back = [pages[-1]]
    while "prev" in response.links:
        response = lab.get(response.links["prev"]["url"])
        back.append(ids(response.json()["attestations"]))
    assert back == pages[::-1]


def test_pages_stay_the_same_when_attestations_come_and_go(lab: Lab) -> None:
    numbers = [lab.add(SHA256) for _ in range(6)]
    second = lab.look_up(params={"per_page": 2}).links["next"]["url"]
    lab.add(SHA256)
    lab.store.delete(numbers[4:])
    assert ids(lab.get(second).json()["attestations"]) == [numbers[3], numbers[2]]
    lab.store.delete(numbers)
    response = lab.get(second)
    assert response.json() == {"attestations": []}
    assert not response.links


@pytest.mark.parametrize(
    ("per_page", "count"),
    [
        *((None, 30), ("1", 1), ("100", 100), ("101", 100), ("99999999999999", 100), ("007", 7)),
        *((text, 30) for text in ("0", "-1", "x", "", "٣", "1.5")),
    ],
)
def test_a_page_has_a_limit(lab: Lab, per_page: str | None, count: int) -> None:
    for _ in range(105):
        lab.add(SHA256)
    params = {} if per_page is None else {"per_page": per_page}
    assert len(lab.look_up(params=params).json()["attestations"]) == count
    bulk = lab.bulk([SHA256], params=params).json()
    assert len(bulk["attestations_subject_digests"][str(SHA256)]) == count


@pytest.mark.parametrize("cursor", ["", "!", "next", "MQ", "MTphOjE", "é", "a" * 10_000])
def test_what_is_no_cursor_is_refused(lab: Lab, cursor: str) -> None:
    lab.add(SHA256)
    for name in ("after", "before"):
        assert lab.look_up(params={name: cursor}).status_code == 422
        assert lab.bulk([SHA256], params={name: cursor}).status_code == 422


@pytest.mark.parametrize("shape", list(BulkShape))
@pytest.mark.parametrize("missing", list(Missing))
@pytest.mark.parametrize("path", [BULK, "/users/octo/attestations/bulk-list"])
def test_bulk_answers_have_every_shape(lab: Lab, shape: BulkShape, missing: Missing, path: str) -> None:
    first, both = lab.add(SHA256), lab.add(SHA256, SHA512)
    lab.set(bulk_shape=shape, bulk_missing=missing)

    answer = lab.bulk([OTHER_SHA256, SHA256, SHA512, SHA256], path=path).json()

    nothing: dict[Missing, dict[str, list[int] | None]] = {
        Missing.ABSENT: {},
        Missing.NULL: {str(OTHER_SHA256): None},
        Missing.EMPTY: {str(OTHER_SHA256): []},
    }
    subjects = answer["attestations_subject_digests"]
    if shape is BulkShape.LIST:
        assert all(len(member) == 1 for member in subjects)
        subjects = {digest: rows for member in subjects for digest, rows in member.items()}
    found = {digest: rows and ids(rows) for digest, rows in subjects.items()}
    assert found == {**nothing[missing], str(SHA256): [both, first], str(SHA512): [both]}
    assert answer["page_info"] == {"has_next": False, "has_previous": False, "next": None, "previous": None}


@pytest.mark.parametrize(("version", "keys"), [(OLD, {"bundle"}), (NEW, set())])
def test_bulk_rows_are_those_of_the_version(lab: Lab, version: str, keys: set[str]) -> None:
    lab.add(SHA256)
    [row] = lab.bulk([SHA256], version=version).json()["attestations_subject_digests"][str(SHA256)]
    assert row.keys() == keys | {"repository_id", "bundle_url"}


def test_rows_of_a_digest_are_split_over_bulk_pages(lab: Lab) -> None:
    digests = [digest_of(number) for number in range(4)]
    numbers = [lab.add(*digests[: size + 1]) for size in (0, 1, 2, 3, 0)]
    expected = {
        str(digest): [numbers[4], *numbers[3::-1]] if place == 0 else numbers[3 : place - 1 : -1]
        for place, digest in enumerate(digests)
    }
    expected[str(digests[1])] = numbers[3:0:-1]

    merged: dict[str, list[int]] = {}
    pages = []
    params: dict[str, Any] = {"per_page": 3}
    while True:
        answer = lab.bulk(digests, params=params).json()
        pages.append(rows_of(answer))
        for digest, found in pages[-1].items():
            merged.setdefault(digest, []).extend(found)
        info = answer["page_info"]
        assert info["has_previous"] == (len(pages) > 1)
        if not info["has_next"]:
            break
        params["after"] = info["next"]

    assert merged == expected
    assert len(pages) == 4
    assert sum(str(digests[0]) in page for page in pages) == 4
    back = [pages[-1]]
    while info["has_previous"]:
        answer = lab.bulk(digests, params={"per_page": 3, "before": info["previous"]}).json()
        back.append(rows_of(answer))
        info = answer["page_info"]
    assert [sum(len(rows) for rows in page.values()) for page in back] == [2, 3, 3, 3]
    assert back == pages[::-1]


def test_bulk_answers_need_a_token(lab: Lab) -> None:
    lab.add(SHA256)
    for refusal in (401, 403):
        lab.set(bulk_refusal=refusal)
        response = lab.bulk([SHA256], token=None)
        assert response.status_code == refusal
        assert response.json()["message"] == "Requires authentication"
    lab.set(bulk_requires_token=False)
    assert lab.bulk([SHA256], token=None).status_code == 200


def test_bulk_requests_have_a_limit_of_digests(lab: Lab) -> None:
    digests = [digest_of(number) for number in range(101)]
    assert lab.bulk(digests[:100]).status_code == 200
    assert lab.bulk(digests).status_code == 422
    assert lab.bulk(digests[:100] + digests[:100]).status_code == 200
    lab.set(max_bulk_digests=1)
    assert lab.bulk(digests[:2]).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"subject_digests": [], "subject_digests": []}', 400),
        (b"[" * 100_000, 400),
        (b"{}", 422),
        (b'{"subject_digests": []}', 422),
        (b'{"subject_digests": null}', 422),
        (b'{"subject_digests": "sha256:aa"}', 422),
        (b'{"subject_digests": [1]}', 422),
        (b'{"subject_digests": ["%b"], "predicate_type": 1}' % str(SHA256).encode(), 422),
        (b'{"subject_digests": ["%b"], "predicate_type": null}' % str(SHA256).encode(), 200),
    ],
)
def test_bulk_requests_are_read_strictly(lab: Lab, body: bytes, status: int) -> None:
    assert lab.ask("POST", BULK, data=body, token="reader").status_code == status


def test_bulk_requests_about_nobody_are_not_found(lab: Lab) -> None:
    assert lab.bulk([SHA256], path="/orgs/nobody/attestations/bulk-list").status_code == 404


def test_there_is_no_bulk_list_of_a_repository(lab: Lab) -> None:
    assert lab.bulk([SHA256], path=f"{LISTING}/bulk-list").status_code == 404


def make_rows(counts: list[int]) -> list[Row]:
    """Return rows of attestations that each cover the first so many digests."""
    store = AttestationStore()
    store.add_repository(REPOSITORY)
    numbers = [store.add(REPOSITORY, b"{}", digests=[], predicate_type="x") for _ in counts]
    return [
        Row(attestation, Digest("sha256", f"{place:064x}"), place)
        for number, count in zip(numbers, counts, strict=True)
        for place in range(count)
        if (attestation := store.get(number))
    ]


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(1, 7))
def test_all_pages_together_are_all_rows_once_in_both_directions(counts: list[int], size: int) -> None:
    rows = make_rows(counts)
    expected = sorted(row.key for row in rows)
    query = {"per_page": str(size)}

    forwards = [cut_page(rows, query)]
    while forwards[-1].next is not None:
        forwards.append(cut_page(rows, query | {"after": forwards[-1].next}))
    backwards = [forwards[-1]]
    while backwards[-1].previous is not None:
        backwards.append(cut_page(rows, query | {"before": backwards[-1].previous}))

    assert [row.key for page in forwards for row in page.rows] == expected
    assert [row.key for page in reversed(backwards) for row in page.rows] == expected
    assert all(len(page.rows) == size for page in forwards[:-1])


def test_both_cursors_at_once_give_what_lies_between() -> None:
    rows = make_rows([1] * 6)
    first, fifth = (cut_page(rows, {"per_page": size}).next for size in ("1", "5"))
    assert first
    assert fifth
    page = cut_page(rows, {"per_page": "2", "after": first, "before": fifth})
    assert [row.key for row in page.rows] == sorted(row.key for row in rows)[1:3]
    assert page.next
    page = cut_page(rows, {"per_page": "2", "after": page.next, "before": fifth})
    assert [row.key for row in page.rows] == sorted(row.key for row in rows)[3:4]


@given(st.text(max_size=20))
def test_a_cursor_is_read_or_refused(text: str) -> None:
    try:
        cut_page(make_rows([1]), {"after": text})
    except CursorError as error:
        assert repr(text) in str(error)
