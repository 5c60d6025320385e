"""One world for all tests that leave it as they found it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from brew_provenance.sandbox.services.world import World, WorldOptions, serve_world


@pytest.fixture(scope="session")
def running() -> Iterator[World]:
    with serve_world(WorldOptions(registry_requires_token=True)) as made:
        yield made


@pytest.fixture
def world(running: World) -> Iterator[World]:
    yield running
    for faults in running.faults.values():
        faults.clear()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


class Client:
    """Asks the servers of a world by their names."""

    def __init__(self, world: World, session: requests.Session) -> None:
        self.world = world
        self._session = session

    def ask(self, method: str, server: str, path: str, **options: Any) -> requests.Response:
        url = self.world.urls[server] + path
        return self._session.request(method, url, timeout=30, allow_redirects=False, **options)

    def get(self, server: str, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", server, path, **options)

    def post(self, server: str, path: str, **options: Any) -> requests.Response:
        return self.ask("POST", server, path, **options)


@pytest.fixture
def client(world: World, session: requests.Session) -> Client:
    return Client(world, session)


def body_of(response: requests.Response) -> Any:
    return json.loads(response.content)
