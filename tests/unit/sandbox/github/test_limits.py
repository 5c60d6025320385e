"""Rate limits: what is counted, for whom, and what the headers say."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from tests.unit.builders import SHA256
from tests.unit.sandbox.github.conftest import LISTING, NEW, NOW, OLD, REPOSITORY, Lab

from brew_provenance.sandbox.github.options import Budgets

RESET = int(NOW) + 1 + 3600


def headers(lab: Lab, token: str | None = None) -> list[str]:
    found = lab.get(f"/repos/{REPOSITORY}", token=token).headers
    return [found[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "used", "reset", "resource")]


def test_every_answer_says_what_is_left(lab: Lab) -> None:
    assert headers(lab) == ["60", "59", "1", str(RESET), "core"]
    assert headers(lab) == ["60", "58", "2", str(RESET), "core"]
    assert headers(lab, "reader") == ["5000", "4999", "1", str(RESET), "core"]
    assert headers(lab, "writer") == ["5000", "4999", "1", str(RESET), "core"]
    assert headers(lab, "wrong") == ["60", "57", "3", str(RESET), "core"]


@pytest.mark.parametrize("status", [403, 429])
def test_an_exhausted_budget_refuses_until_it_is_whole_again(lab: Lab, status: Literal[403, 429]) -> None:
    lab.add(SHA256)
    lab.set(budgets=Budgets(with_token=2, anonymous=1, exhausted_status=status))
    assert lab.look_up().status_code == 200
    for _ in range(2):
        response = lab.look_up()
        assert response.status_code == status
        assert "rate limit exceeded" in response.json()["message"]
        assert response.headers["x-ratelimit-remaining"] == "0"
        assert response.headers["x-ratelimit-used"] == "1"
        assert "retry-after" not in response.headers
    assert [lab.look_up(token="reader").status_code for _ in range(3)] == [200, 200, status]
    assert lab.look_up(token="writer").status_code == 200
    lab.clock.now = RESET - 0.1
    assert lab.look_up().status_code == status
    lab.clock.now = RESET
    assert lab.look_up().status_code == 200


def test_a_budget_of_nothing_refuses_everything(lab: Lab) -> None:
    lab.set(budgets=Budgets(anonymous=0))
    response = lab.look_up()
    assert (response.status_code, response.headers["x-ratelimit-used"]) == (403, "0")


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("retry_after", [None, 7])
def test_too_many_points_in_a_minute_are_refused(
    lab: Lab, status: Literal[403, 429], retry_after: int | None
) -> None:
    lab.add(SHA256)
    lab.clock.now = 60 * 1000.0
    lab.set(budgets=Budgets(points=7, secondary_status=status, retry_after=retry_after))
    assert lab.bulk([SHA256]).status_code == 200
    assert [lab.look_up(token="reader").status_code for _ in range(3)] == [200, 200, status]
    response = lab.look_up(token="reader")
    assert "secondary rate limit" in response.json()["message"]
    assert response.headers["x-ratelimit-remaining"] == "4995"
    assert response.headers.get("retry-after") == (None if retry_after is None else "7")
    assert lab.look_up(token="writer").status_code == 200
    lab.clock.now += 60
    assert lab.look_up(token="reader").status_code == 200


def test_the_budget_can_be_looked_at_for_nothing(lab: Lab) -> None:
    lab.look_up()
    for _ in range(2):
        response = lab.get("/rate_limit", version=OLD)
        core = {"limit": 60, "used": 1, "remaining": 59, "reset": RESET}
        assert response.json() == {"resources": {"core": core}, "rate": core}
        assert response.headers["x-ratelimit-remaining"] == "59"
    assert "rate" not in lab.get("/rate_limit", version=NEW).json()
    assert lab.get("/rate_limit", token="reader").json()["rate"]["remaining"] == 5000
    lab.set(budgets=Budgets(anonymous=1))
    lab.look_up()
    assert lab.get("/rate_limit").json()["rate"]["remaining"] == 0


def test_blobs_cost_nothing(lab: Lab) -> None:
    lab.add(SHA256)
    lab.set(budgets=Budgets(anonymous=1))
    url = lab.look_up().json()["attestations"][0]["bundle_url"]
    assert [lab.get(url).status_code for _ in range(3)] == [200] * 3
    assert lab.look_up().status_code == 403


def test_what_was_refused_leaves_nothing_behind(lab: Lab) -> None:
    lab.set(budgets=Budgets(with_token=0))
    body = json.dumps({"bundle": {}})
    assert lab.ask("POST", LISTING, token="writer", data=body).status_code == 403
    assert len(lab.store) == 0
