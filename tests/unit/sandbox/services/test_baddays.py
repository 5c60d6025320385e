"""Bad days by their names."""

from __future__ import annotations

import pytest
import requests
from tests.unit.sandbox.services.conftest import Client
from tests.unit.sandbox.services.test_rekor import V1, dsse

from brew_provenance.errors import UsageError
from brew_provenance.sandbox.services import baddays
from brew_provenance.sandbox.services.baddays import KINDS, PLACES, BadDay
from brew_provenance.sandbox.signer import Signer

ASKS = {
    "oidc": ("oidc", "GET", "/.well-known/jwks"),
    "ca": ("ca", "GET", "/api/v2/trustBundle"),
    "log": ("log", "GET", "/api/v1/log"),
    "timestamping": ("timestamping", "POST", "/api/v1/timestamp"),
    "github": ("github", "GET", "/rate_limit"),
    "publishing": ("github", "POST", "/repos/a/b/attestations"),
    "store": ("github", "GET", "/repos/a/b/attestations/sha256:00"),
    "actions": ("github", "GET", "/repos/a/b/actions/runs/1"),
    "blobs": ("blobs", "GET", "/attestations/1/2026/01/01/1.json.sn"),
    "formulae": ("formulae", "GET", "/api/formula.json"),
    "registry": ("registry", "GET", "/token"),
}
"""A request that each place is about."""


def ask(client: Client, place: str) -> requests.Response:
    server, method, path = ASKS[place]
    return client.ask(method, server, path)


def test_every_place_is_tried_here() -> None:
    assert ASKS.keys() == PLACES.keys()


@pytest.mark.parametrize("place", PLACES)
def test_a_bad_day_is_about_its_place_and_as_long_as_was_said(client: Client, place: str) -> None:
    usual = ask(client, place).status_code
    client.world.bad_day(f"{place}=503:2")
    response = ask(client, place)
    assert response.status_code == 503
    assert "application/json" in response.headers["content-type"]
    for other in ASKS:
        if PLACES[other].server != PLACES[place].server:
            assert ask(client, other).status_code != 503
    assert ask(client, place).status_code == 503
    assert ask(client, place).status_code == usual


def test_a_part_of_github_fails_alone(client: Client) -> None:
    client.world.bad_day("publishing=502")
    assert ask(client, "publishing").status_code == 502
    for other in ("store", "actions", "github", "blobs"):
        assert ask(client, other).status_code != 502
    client.world.bad_day("actions=504")
    assert ask(client, "actions").status_code == 504
    assert ask(client, "store").status_code == 404


@pytest.mark.parametrize("kind", ["down", "lost"])
def test_a_server_that_is_down_does_not_answer(client: Client, kind: str) -> None:
    client.world.bad_day(f"log={kind}")
    for _ in range(3):
        with pytest.raises(requests.ConnectionError):
            ask(client, "log")


def test_an_answer_can_be_cut(client: Client) -> None:
    client.world.bad_day("log=cut:1")
    with pytest.raises(requests.RequestException):
        ask(client, "log")
    assert ask(client, "log").status_code == 200


def test_a_slow_server_answers_after_all_and_one_that_hangs_does_not(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baddays, "SLOW_SECONDS", 0.05)
    client.world.bad_day("log=slow:1")
    assert ask(client, "log").status_code == 200
    client.world.bad_day("log=hang:1")
    with pytest.raises(requests.Timeout):
        requests.get(client.world.urls["log"] + "/api/v1/log", timeout=0.3)


def test_a_429_says_when_to_come_again(client: Client) -> None:
    client.world.bad_day("github=429:1")
    response = ask(client, "github")
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    assert "rate limit" in response.json()["message"]


def test_a_conflict_of_the_log_comes_after_the_deed_and_says_where(client: Client) -> None:
    world = client.world
    signer: Signer = world.sigstore.signer(world.rehearsal.job, world.now)
    world.bad_day("log=409:1")
    response = client.post("log", f"{V1}/entries", json=dsse(signer))
    assert response.status_code == 409
    assert client.get("log", response.headers["location"]).status_code == 200
    world.bad_day("ca=409:1")
    assert ask(client, "ca").status_code == 409


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log",
        "log=",
        "=down",
        "log=down:",
        "log=down:0",
        "log=down:-1",
        "log=200",
        "log=down:1:2",
        "LOG=down",
        "log=down\n",
        "nothing=down",
        "log=sideways",
    ],
)
def test_what_is_no_bad_day_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        BadDay.parse(text)


def test_all_kinds_can_be_said() -> None:
    for kind in KINDS:
        assert BadDay.parse(f"log={kind}:7") == BadDay("log", kind, 7)
        assert BadDay.parse(f"log={kind}").times is None
