"""GitHub's endpoints, an answer at a time: what every shape of it means, and what no shape can do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from tests.unit.builders import OTHER_SHA256, SHA256, Json, make_bundle_document

from brew_provenance.bottle import Digest
from brew_provenance.stores import githubapi
from brew_provenance.stores.githubapi import (
    API_VERSION,
    DEFAULT_API,
    MAX_PAGES,
    BulkRefusedError,
    GitHubAPI,
    LinkExpiredError,
    Row,
    TooManyDigestsError,
    pause_asked,
)
from brew_provenance.transport import Reply, Transport, TransportError

REPOSITORY, TOKEN = "octo/homebrew-tap", "github_pat_of_a_test"
BLOB = "https://blobs.example.org/attestations/1001/2026/03/01/77.json.sn"
ROW: Json = {"bundle": make_bundle_document(), "repository_id": 1001, "bundle_url": f"{BLOB}?se=1&sig=x"}

Answer = Callable[[str, bytes | None], Reply]


class FakeTransport:
    """Answers as it is told, and remembers what was sent."""

    def __init__(self, *answers: Reply | TransportError | Answer) -> None:
        self.sent: list[tuple[str, Mapping[str, str], bytes | None]] = []
        self._answers = list(answers)

    def send(
        self,
        url: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        pause: object = None,
    ) -> Reply:
        assert limit > 0
        self.sent.append((url, headers or {}, body))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, TransportError):
            raise answer
        return answer if isinstance(answer, Reply) else answer(url, body)


def reply(document: object = None, status: int = 200, **headers: str) -> Reply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Reply(status, named, body, f"{DEFAULT_API}/somewhere")


def api(*answers: Reply | TransportError | Answer, **options: Any) -> tuple[GitHubAPI, FakeTransport]:
    transport = FakeTransport(*answers)
    return GitHubAPI(cast("Transport", transport), **options), transport


def listed(*answers: Reply | TransportError | Answer) -> Any:
    made, _ = api(*answers)
    return made.list_attestations(REPOSITORY, SHA256, None)


NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (200, {"retry_after": "5", "x_ratelimit_remaining": "0"}, b"rate limit", None),
        (401, {"retry_after": "5"}, b"", None),
        (404, {"retry_after": "5"}, b"rate limit", None),
        (500, {"retry_after": "5"}, b"", None),
        (503, {}, b"rate limit", None),
        (403, {}, b"", None),
        (403, {}, b"Resource not accessible by integration", None),
        (403, {"retry_after": "5"}, b"", 5.0),
        (403, {"Retry_After": "0"}, b"", 0.0),
        (403, {"RETRY_AFTER": "999999999999"}, b"", 999999999999.0),
        (
            403,
            {"retry_after": "5", "x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOW + 30)},
            b"",
            5.0,
        ),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOW + 30)}, b"", 30.0),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOW - 30)}, b"", 1.0),
        (403, {"x_ratelimit_remaining": "1", "x_ratelimit_reset": str(NOW + 30)}, b"", None),
        (403, {"x_ratelimit_remaining": "0"}, b"", None),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "soon"}, b"", None),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "soon"}, b"API rate limit exceeded", 60.0),
        (403, {}, b'{"message": "You have exceeded a secondary RATE Limit."}', 60.0),
        (403, {}, b" " * 4090 + b"rate limit", None),
        (429, {}, b"", 60.0),
        (429, {"retry_after": "7"}, b"", 7.0),
        (429, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(NOW + 9)}, b"", 9.0),
        (429, {"x_ratelimit_remaining": "5", "x_ratelimit_reset": str(NOW + 9)}, b"", 60.0),
        *((403, {"retry_after": odd}, b"", None) for odd in ("", "-1", "1.5", " 5", "5 ", "1e3", "\u0665")),
        (403, {"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", None),
        (403, {"retry_after": "9" * 13}, b"", None),
        (429, {"retry_after": "9" * 5000}, b"", 60.0),
    ],
)
def test_how_long_github_asks_to_be_left_alone(
    status: int, headers: dict[str, str], body: bytes, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: float(NOW))
    assert pause_asked(reply(body, status, **headers)) == seconds


@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["retry_after", "x_ratelimit_remaining", "x_ratelimit_reset"]), st.text(max_size=20)
    ),
    st.binary(max_size=50),
)
def test_no_answer_asks_for_less_than_no_pause(status: int, headers: dict[str, str], body: bytes) -> None:
    asked = pause_asked(reply(body, status, **headers))
    assert asked is None or asked >= 0


def test_a_request_names_the_version_and_what_is_wanted() -> None:
    made, transport = api(reply({"attestations": [ROW]}), token=TOKEN)
    made.list_attestations(REPOSITORY, SHA256, "https://slsa.dev/provenance/v1")
    ((url, headers, body),) = transport.sent
    assert url.startswith(f"{DEFAULT_API}/repos/{REPOSITORY}/attestations/{SHA256}?")
    assert parse_qs(urlsplit(url).query) == {
        "per_page": ["100"],
        "predicate_type": ["https://slsa.dev/provenance/v1"],
    }
    assert headers["X-GitHub-Api-Version"] == API_VERSION
    assert headers["Accept"] == "application/vnd.github+json"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert body is None


def test_without_a_token_none_is_sent() -> None:
    made, transport = api(reply({"attestations": []}), version="2026-03-10", base="https://ghe.example.org/")
    assert not made.has_token
    assert made.list_attestations(REPOSITORY, SHA256, None).rows == []
    ((url, headers, _),) = transport.sent
    assert url == f"https://ghe.example.org/repos/{REPOSITORY}/attestations/{SHA256}?per_page=100"
    assert "Authorization" not in headers
    assert headers["X-GitHub-Api-Version"] == "2026-03-10"
    assert made.host == "ghe.example.org"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW, Row(1001, json.dumps(ROW["bundle"], separators=(",", ":")).encode(), ROW["bundle_url"])),
        ({**ROW, "bundle": None}, Row(1001, None, ROW["bundle_url"])),
        ({"bundle_url": BLOB, "repository_id": 1}, Row(1, None, BLOB)),
        ({"bundle": {}, "repository_id": 1}, Row(1, b"{}", None)),
        ({"initiator": "github"}, Row(None, None, None)),
        ({}, Row(None, None, None)),
    ],
)
def test_a_row_has_a_bundle_or_a_link_or_neither(row: Json, expected: Row) -> None:
    assert listed(reply({"attestations": [row]})).rows == [expected]


@pytest.mark.parametrize(
    ("url", "key", "number"),
    [
        (None, "", None),
        (BLOB, BLOB, "77"),
        (f"{BLOB}?se=2026&sig=a%2Fb", BLOB, "77"),
        (f"{BLOB}?sig=/1.json.sn", BLOB, "77"),
        (f"{BLOB}.gz", f"{BLOB}.gz", None),
        ("https://example.org/x.json.sn", "https://example.org/x.json.sn", None),
        ("https://example.org/\u0667\u0667.json.sn", "https://example.org/\u0667\u0667.json.sn", None),
        ("https://example.org/77.json.sn\n", "https://example.org/77.json.sn\n", None),
    ],
)
def test_a_row_is_known_again_by_its_link_without_what_expires(
    url: str | None, key: str, number: str | None
) -> None:
    row = Row(1, None, url)
    assert (row.key, row.attestation_id) == (key, number)


def link(query: str, rel: str = 'rel="next"', host: str = DEFAULT_API) -> str:
    return f"<{host}/repositories/1001/attestations/{SHA256}{query}>; {rel}"


@pytest.mark.parametrize(
    ("header", "cursor"),
    [
        ("", None),
        (link("?after=abc"), "abc"),
        (link("?per_page=100&after=abc"), "abc"),
        (link("?after=abc", "rel=next"), "abc"),
        (link("?after=abc", 'title="x"; rel="next"'), "abc"),
        (link("?before=x", 'rel="prev"') + ", " + link("?after=abc"), "abc"),
        (link("?after=abc") + ", " + link("?after=zzz", 'rel="last"'), "abc"),
        (link("?after=a%2Bb%2F%3D"), "a+b/="),
        (link("?after=abc", host="https://evil.example.org"), "abc"),
        ("</relative?after=abc>; rel=next", "abc"),
        (link("?before=x", 'rel="prev"'), None),
        (link("?after=abc", 'rel="last"'), None),
        ("<>", None),
        (";;;,,,", None),
        ("rel=next", None),
    ],
)
def test_the_cursor_is_all_that_is_taken_of_a_link(header: str, cursor: str | None) -> None:
    made, transport = api(reply({"attestations": [ROW]}, link=header), reply({"attestations": [ROW]}))
    listing = made.list_attestations(REPOSITORY, SHA256, None)
    assert listing.fault is None
    if cursor is None:
        assert len(transport.sent) == len(listing.rows) == 1
        return
    assert len(transport.sent) == len(listing.rows) == 2
    url = transport.sent[1][0]
    assert url.startswith(f"{DEFAULT_API}/repos/{REPOSITORY}/attestations/{SHA256}?")
    assert parse_qs(urlsplit(url).query)["after"] == [cursor]


@pytest.mark.parametrize("query", ["", "?", "?after=", "?page=2", "#after=x"])
def test_a_next_page_without_a_cursor_is_no_answer(query: str) -> None:
    with pytest.raises(TransportError, match="without its cursor"):
        listed(reply({"attestations": [ROW]}, link=link(query)))


def test_a_missing_digest_is_told_from_an_empty_list() -> None:
    assert listed(reply({"message": "Not Found"}, 404)).missing
    found = listed(reply({"attestations": []}))
    assert (found.rows, found.missing, found.fault) == ([], False, None)


@pytest.mark.parametrize(
    "second",
    [
        reply({}, 404),
        reply({}, 500),
        reply(b"{"),
        reply({"attestations": "x"}),
        TransportError("connection-broken", "x"),
    ],
)
def test_a_later_page_that_fails_leaves_the_earlier_ones(second: Reply | TransportError) -> None:
    found = listed(reply({"attestations": [ROW]}, link=link("?after=a")), second)
    assert len(found.rows) == 1
    assert found.fault is not None
    assert not found.missing


@pytest.mark.parametrize(
    ("cursors", "why", "pages"),
    [(["a", "a"], "in circles", 2), (["a", "b", "a"], "in circles", 3)],
)
def test_pages_that_lead_back_are_left(cursors: Sequence[str], why: str, pages: int) -> None:
    answers = [reply({"attestations": [ROW]}, link=link(f"?after={cursor}")) for cursor in cursors]
    found = listed(*answers)
    assert len(found.rows) == pages
    assert found.fault is not None
    assert why in found.fault.detail


def test_pages_without_end_are_left() -> None:
    numbers = iter(range(10**6))

    def another(_url: str, _body: bytes | None) -> Reply:
        return reply({"attestations": [ROW]}, link=link(f"?after={next(numbers)}"))

    found = listed(another)
    assert found.fault is not None
    assert f"more than {MAX_PAGES}" in found.fault.detail
    assert len(found.rows) == MAX_PAGES + 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply(b""), "answer-unreadable"),
        (reply(b"\xff"), "answer-unreadable"),
        (reply(b'{"attestations": [], "attestations": []}'), "answer-unreadable"),
        (reply(b"[" * 100_000), "answer-unreadable"),
        (reply([]), "answer-unexpected"),
        (reply({}), "answer-unexpected"),
        (reply({"attestations": None}), "answer-unexpected"),
        (reply({"attestations": {}}), "answer-unexpected"),
        (reply({"attestations": [1]}), "answer-unexpected"),
        (reply({"attestations": [{"bundle": "x"}]}), "answer-unexpected"),
        (reply({"attestations": [{"bundle_url": 1}]}), "answer-unexpected"),
        (reply({"attestations": [{"repository_id": True}]}), "answer-unexpected"),
        (reply({"attestations": [{"repository_id": "1001"}]}), "answer-unexpected"),
        (reply({}, 401), "access-denied"),
        (reply({}, 403), "access-denied"),
        (reply({}, 422), "answer-unexpected"),
        (reply({}, 302), "answer-unexpected"),
        (reply({}, 500), "server-failed"),
        (reply({}, 503), "server-failed"),
        (TransportError("host-not-found", "x"), "host-not-found"),
    ],
)
def test_an_answer_that_is_none_has_a_code(answer: Reply | TransportError, code: str) -> None:
    with pytest.raises(TransportError) as caught:
        listed(answer)
    assert caught.value.code == code


BULK = "attestations_subject_digests"


def bulk(*answers: Reply | TransportError | Answer) -> tuple[Any, FakeTransport]:
    made, transport = api(*answers, token=TOKEN)
    return made.bulk_list("octo", [SHA256, OTHER_SHA256], None), transport


@pytest.mark.parametrize(
    ("subjects", "counts"),
    [
        ({}, (0, 0)),
        ([], (0, 0)),
        ({str(SHA256): [ROW, ROW]}, (2, 0)),
        ({str(SHA256): [ROW], str(OTHER_SHA256): None}, (1, 0)),
        ({str(SHA256): [], str(OTHER_SHA256): [ROW]}, (0, 1)),
        ([{str(SHA256): [ROW]}, {str(OTHER_SHA256): [ROW, ROW]}], (1, 2)),
        ([{str(SHA256): [ROW], str(OTHER_SHA256): None}], (1, 0)),
        ([{}, {str(SHA256): [ROW]}], (1, 0)),
        ({f"sha256:{'9' * 64}": [ROW], "junk": [ROW], str(SHA256): [ROW]}, (1, 0)),
        ({str(SHA256).upper(): [ROW]}, (0, 0)),
    ],
)
def test_both_documented_shapes_of_a_bulk_answer_are_read(subjects: object, counts: tuple[int, int]) -> None:
    found, transport = bulk(reply({BULK: subjects, "page_info": {"has_next": False, "next": "x"}}))
    assert (len(found[SHA256].rows), len(found[OTHER_SHA256].rows)) == counts
    assert {listing.fault for listing in found.values()} == {None}
    ((url, headers, body),) = transport.sent
    assert url == f"{DEFAULT_API}/orgs/octo/attestations/bulk-list?per_page=100"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body or b"") == {"subject_digests": [str(SHA256), str(OTHER_SHA256)]}


def test_a_bulk_answer_without_page_info_is_all_there_is() -> None:
    found, transport = bulk(reply({BULK: {str(SHA256): [ROW]}}))
    assert len(found[SHA256].rows) == len(transport.sent) == 1


@pytest.mark.parametrize(
    "document",
    [
        *({}, [], {BULK: None}, {BULK: "x"}, {BULK: [1]}, {BULK: {str(SHA256): {}}}),
        {BULK: {str(SHA256): [[]]}},
        {BULK: [{str(SHA256): [ROW]}, {str(SHA256): [ROW]}]},
        {BULK: {}, "page_info": []},
        {BULK: {}, "page_info": {"has_next": "true"}},
        {BULK: {}, "page_info": {"has_next": True, "next": 7}},
        {BULK: {}, "page_info": {"has_next": True}},
        {BULK: {}, "page_info": {"has_next": True, "next": None}},
    ],
)
def test_a_bulk_answer_of_another_shape_is_no_answer(document: object) -> None:
    with pytest.raises(TransportError) as caught:
        bulk(reply(document))
    assert caught.value.code == "answer-unexpected"


def page(following: str | None, *digests: Digest) -> Reply:
    info = {"has_next": following is not None, "next": following}
    return reply({BULK: {str(digest): [ROW] for digest in digests}, "page_info": info})


def test_a_digest_on_several_pages_is_put_together() -> None:
    found, transport = bulk(page("a b+c", SHA256), page(None, SHA256, OTHER_SHA256))
    assert (len(found[SHA256].rows), len(found[OTHER_SHA256].rows)) == (2, 1)
    assert transport.sent[1][0].endswith("bulk-list?per_page=100&after=a+b%2Bc")
    assert transport.sent[0][2] == transport.sent[1][2]


def test_a_bulk_page_that_fails_leaves_all_digests_open() -> None:
    found, _ = bulk(page("a", SHA256), reply({}, 500))
    assert len(found[SHA256].rows) == 1
    assert {listing.fault and listing.fault.code for listing in found.values()} == {"server-failed"}
    found, _ = bulk(page("a", SHA256), page("a", SHA256))
    assert {listing.fault and listing.fault.code for listing in found.values()} == {"answer-unexpected"}


def test_a_bulk_request_may_name_a_predicate_type() -> None:
    made, transport = api(reply({BULK: {}}))
    made.bulk_list("octo", [SHA256], "provenance")
    assert json.loads(transport.sent[0][2] or b"")["predicate_type"] == "provenance"


def test_an_owner_that_is_a_user_is_asked_about_as_one_from_then_on() -> None:
    made, transport = api(reply({}, 404), reply({BULK: {}}), reply({BULK: {}}))
    for _ in range(2):
        made.bulk_list("octo", [SHA256], None)
    assert [url.partition("/octo/")[0] for url, _, _ in transport.sent] == [
        f"{DEFAULT_API}/{route}" for route in ("orgs", "users", "users")
    ]


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([reply({}, 404)], BulkRefusedError),
        ([reply({}, 401)], BulkRefusedError),
        ([reply({}, 403)], BulkRefusedError),
        ([reply({}, 404), reply({}, 401)], BulkRefusedError),
        ([reply({}, 422)], TooManyDigestsError),
        ([reply({}, 404), reply({}, 422)], TooManyDigestsError),
        ([reply({}, 500)], TransportError),
    ],
)
def test_a_bulk_request_can_be_refused(answers: list[Reply], error: type[Exception]) -> None:
    made, _ = api(*answers)
    with pytest.raises(error):
        made.bulk_list("octo", [SHA256], None)


def test_a_token_that_is_bad_is_dropped_and_said_once_and_never_shown() -> None:
    made, transport = api(
        reply({}, 401), *[reply({"attestations": []})] * 2, token=TOKEN, token_name="GH_TOKEN"
    )
    for _ in range(2):
        made.list_attestations(REPOSITORY, SHA256, None)
    assert [headers.get("Authorization") for _, headers, _ in transport.sent] == [
        f"Bearer {TOKEN}",
        None,
        None,
    ]
    assert [note.code for note in made.notes] == ["token-refused"]
    assert made.notes[0].detail == "api.github.com refuses GH_TOKEN (401); went on without it"
    assert not made.has_token


def test_a_token_without_the_right_is_kept_for_the_next_request() -> None:
    made, transport = api(reply({}, 403), reply({"attestations": []}), token=TOKEN)
    for _ in range(2):
        made.list_attestations(REPOSITORY, SHA256, None)
    assert ["Authorization" in headers for _, headers, _ in transport.sent] == [True, False, True]
    assert made.has_token
    assert made.notes == []


def test_two_requests_that_find_a_token_bad_at_once_drop_it_once() -> None:
    made, _ = api(reply({}, 401), token=TOKEN)
    for _ in range(2):
        made._drop(TOKEN, reply({}, 401))
    assert len(made.notes) == 1


def test_a_repository_has_an_id_or_cannot_be_seen() -> None:
    assert api(reply({"id": 1001, "name": "x"}))[0].repository_id(REPOSITORY) == 1001
    assert api(reply({}, 404))[0].repository_id(REPOSITORY) is None
    for answer in (reply({}), reply({"id": "1001"}), reply({"id": True}), reply([]), reply({}, 500)):
        with pytest.raises(TransportError):
            api(answer)[0].repository_id(REPOSITORY)


def packed(text: bytes = b"{}") -> Reply:
    return reply(bytes(cramjam.snappy.compress_raw(text)))


def test_a_bundle_is_fetched_without_the_token() -> None:
    made, transport = api(packed(b'{"a": 1}'), token=TOKEN)
    assert made.fetch_bundle(f"{BLOB}?sig=x") == b'{"a": 1}'
    ((url, headers, body),) = transport.sent
    assert (url, headers, body) == (f"{BLOB}?sig=x", {}, None)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_link_that_works_no_more_is_told_from_other_troubles(status: int) -> None:
    with pytest.raises(LinkExpiredError) as caught:
        api(reply({}, status))[0].fetch_bundle(BLOB)
    assert caught.value.code == "link-expired"
    assert str(status) in caught.value.detail


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply({}, 500), "server-failed"),
        (reply({}, 302), "answer-unexpected"),
        (reply({}, 206), "answer-unexpected"),
        (reply(b""), "answer-unreadable"),
        (reply(b"{}"), "answer-unreadable"),
        (reply(b"\xff\xff\xff\xff\x0f\x00a"), "answer-unreadable"),
        (TransportError("answer-too-long", "x"), "answer-too-long"),
    ],
)
def test_a_bundle_that_cannot_be_had_has_a_code(answer: Reply | TransportError, code: str) -> None:
    with pytest.raises(TransportError) as caught:
        api(answer)[0].fetch_bundle(BLOB)
    assert caught.value.code == code
    assert not isinstance(caught.value, LinkExpiredError)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x", "http://localhost/x", "https://[::1]/x"])
def test_a_link_to_this_machine_is_followed_for_a_store_on_it_alone(url: str) -> None:
    made, transport = api(packed())
    with pytest.raises(TransportError) as caught:
        made.fetch_bundle(url)
    assert caught.value.code == "url-refused"
    assert transport.sent == []
    made, _ = api(packed(), base="http://127.0.0.1:9")
    assert made.fetch_bundle(url) == b"{}"


def test_a_bundle_that_is_larger_than_any_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(githubapi, "MAX_BUNDLE_BYTES", 100)
    with pytest.raises(TransportError, match="the limit is 100"):
        api(packed(b" " * 101))[0].fetch_bundle(BLOB)
