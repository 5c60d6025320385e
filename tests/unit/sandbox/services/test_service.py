"""What all servers share: latency, limits, errors, and what they remember."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply, reply_json
from brew_provenance.sandbox.services.service import (
    Service,
    plain_error,
    read_member,
    read_object,
    read_text,
    rpc_error,
)
from brew_provenance.sandbox.serving import serve


def echo(call: Call) -> Reply:
    return reply_json(200, read_object(call, 100))


def refuse(_: Call) -> Reply:
    raise RefusedError(418, "short and stout", {"x-pot": "tea"})


@pytest.fixture
def service() -> Service:
    return Service("log", [("POST", "/echo", echo), ("GET", "/pot", refuse)], rpc_error, max_body=200)


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with serve(service.app) as server:
        yield server.url


def test_an_endpoint_answers_or_refuses(url: str, session: requests.Session) -> None:
    assert session.post(f"{url}/echo", data=b'{"a": 1}', timeout=30).json() == {"a": 1}
    response = session.get(f"{url}/pot", timeout=30)
    assert (response.status_code, response.headers["x-pot"]) == (418, "tea")
    assert response.json() == {"code": 2, "message": "short and stout", "details": []}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/echo"), ("POST", "/pot"), ("GET", "/"), ("PUT", "/x")]
)
def test_all_else_is_not_found(url: str, session: requests.Session, method: str, path: str) -> None:
    assert session.request(method, url + path, timeout=30).json()["code"] == 5


def test_bodies_have_limits(url: str, session: requests.Session) -> None:
    assert session.post(f"{url}/echo", data=b'"' + b"x" * 150 + b'"', timeout=30).status_code == 400
    assert session.post(f"{url}/echo", data=b"x" * 201, timeout=30).status_code == 413


def test_it_remembers_what_it_was_asked_and_can_be_late(
    url: str, service: Service, session: requests.Session
) -> None:
    service.latency = 0.01
    session.post(f"{url}/echo?a=b", data=b"{}", timeout=30)
    [record] = service.log.records
    assert (record.side, record.method, record.path, record.query, record.status) == (
        "log", "POST", "/echo", "a=b", 200
    )  # fmt: skip


@pytest.mark.parametrize("holder", [{}, {"a": None}, {"a": {"b": None}}, {"a": 7}, [], None, 7])
def test_what_is_missing_is_named(holder: object) -> None:
    with pytest.raises(RefusedError, match=r"a\.b is missing"):
        read_member(holder, "a", "b")


def test_what_is_no_string_is_named() -> None:
    assert read_text({"a": "x"}, "a") == "x"
    with pytest.raises(RefusedError, match="a is not a string"):
        read_text({"a": 7}, "a")


def test_errors_have_the_form_of_their_servers() -> None:
    assert plain_error(404, "x").body == b'{"code":404,"message":"x"}'
    assert rpc_error(404, "x").body == b'{"code":5,"message":"x","details":[]}'
    assert rpc_error(599, "x").body == b'{"code":2,"message":"x","details":[]}'
