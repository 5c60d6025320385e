"""Bottles fetched from registries on this machine, which do not always do what they should."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.unit.builders import make_bottle

from brew_provenance import downloads
from brew_provenance.bottle import Digest
from brew_provenance.downloads import (
    ANONYMOUS,
    ATTEMPTS,
    BottleFetchError,
    fetch_bottle,
    mirrored_urls,
    registry_authorization,
)
from brew_provenance.errors import InputError
from brew_provenance.transport import Transport

CONTENT = bytes(range(256)) * 1200
DIGEST = Digest("sha256", hashlib.sha256(CONTENT).hexdigest())
BOTTLE = make_bottle(digest=DIGEST, url=f"https://ghcr.io/v2/octo/tap/foo/blobs/{DIGEST}")
NAME = str(BOTTLE.file_name)
HALF = len(CONTENT) // 2

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Gives the next of its registry's answers, and serves the bottle as it should when there is none."""

    server: Registry

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers.items())))
        answers = self.server.answers
        with suppress(OSError):  # a client that has had enough breaks the connection
            (answers.pop(0) if answers else whole)(self)

    def log_message(self, *arguments: object) -> None:
        pass

    def reply(self, status: int, body: bytes = b"", **headers: object) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)


class Registry(ThreadingHTTPServer):
    """A registry on this machine."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answers: list[Answer] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/v2/octo/tap/foo/blobs/{DIGEST}"

    @property
    def ranges(self) -> list[str | None]:
        """What was asked for, request by request."""
        return [headers.get("Range") for _, headers in self.requests]


def whole(handler: Handler) -> None:
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if asked is None:
        handler.reply(200, CONTENT)
        return
    start = int(asked[1])
    if start >= len(CONTENT):
        handler.reply(416, Content_Range=f"bytes */{len(CONTENT)}")
        return
    handler.reply(206, CONTENT[start:], Content_Range=f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")


def says(status: int, body: bytes = b"", **headers: object) -> Answer:
    return lambda handler: handler.reply(status, body, **headers)


def cut(handler: Handler) -> None:
    """Break off half-way through what is left."""
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    start = int(asked[1]) if asked else 0
    rest = CONTENT[start:]
    part = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    handler.reply(
        206 if asked else 200,
        rest[: len(rest) // 2],
        Content_Length=len(rest),
        Content_Range=part if asked else None,
    )


def chunked(status: int, *chunks: bytes, **headers: object) -> Answer:
    def send(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.reply(
            status, b"", Content_Length=None, Transfer_Encoding="chunked", Connection="close", **headers
        )
        for chunk in (*chunks, b""):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    return send


@pytest.fixture
def registries() -> Iterator[Callable[[], Registry]]:
    started: list[tuple[Registry, threading.Thread]] = []

    def start() -> Registry:
        server = Registry()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def registry(registries: Callable[[], Registry]) -> Registry:
    return registries()


@pytest.fixture
def transport() -> Iterator[Transport]:
    with Transport(budget=60) as opened:
        yield opened


class Fetch:
    """Fetches the example bottle into a folder, and keeps what went on meanwhile."""

    def __init__(self, transport: Transport, folder: Path) -> None:
        self.transport = transport
        self.folder = folder
        self.final = folder / NAME
        self.incomplete = folder / f"{NAME}.incomplete"
        self.pauses: list[float] = []
        self.progress: list[tuple[int, int | None]] = []

    def __call__(self, *urls: str, **options: Any) -> Path:
        options = {
            "authorization": {},
            "progress": lambda *seen: self.progress.append(seen),
            "sleep": self.pauses.append,
            **options,
        }
        return fetch_bottle(self.transport, BOTTLE, self.folder, urls=urls, **options)

    def fails(self, *urls: str, code: str = "bottle-not-fetched", **options: Any) -> str:
        with pytest.raises(BottleFetchError) as caught:
            self(*urls, **options)
        assert caught.value.code == code
        assert str(caught.value) == caught.value.detail
        assert not self.final.exists()
        return caught.value.detail

    def refused(self, *urls: str, **options: Any) -> InputError:
        with pytest.raises(InputError) as caught:
            self(*urls, **options)
        return caught.value

    def prepare(self, content: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        self.incomplete.write_bytes(content)
        self.incomplete.chmod(0o644)

    def fetched(self) -> bool:
        return self.final.read_bytes() == CONTENT and os.listdir(self.folder) == [NAME]  # noqa: PTH208


@pytest.fixture
def fetch(transport: Transport, tmp_path: Path) -> Fetch:
    return Fetch(transport, tmp_path / "a" / "b")


class TestFetching:
    """What comes out when all goes well, and how it goes on when it does not."""

    def test_a_bottle_is_fetched_under_its_name(self, fetch: Fetch, registry: Registry) -> None:
        assert fetch(registry.url) == fetch.final
        assert fetch.fetched()
        assert stat.S_IMODE(fetch.final.stat().st_mode) & 0o133 == 0
        ((path, headers),) = registry.requests
        assert registry.url.endswith(path)
        assert headers["Accept-Encoding"] == "identity"
        assert "Authorization" not in headers
        assert "Range" not in headers
        assert fetch.progress == sorted(fetch.progress)
        assert fetch.progress[-1] == (len(CONTENT), len(CONTENT))

    def test_a_bottle_that_is_there_is_not_fetched(self, fetch: Fetch) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.final.write_bytes(CONTENT)
        fetch.final.chmod(0o644)
        assert fetch() == fetch.final
        assert fetch.fetched()

    @pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x", b"evil"])
    def test_what_only_has_its_name_is_replaced(
        self, fetch: Fetch, registry: Registry, content: bytes
    ) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.final.write_bytes(content)
        fetch(registry.url)
        assert fetch.fetched()

    def test_a_bottle_that_others_could_change_is_replaced(self, fetch: Fetch, registry: Registry) -> None:
        fetch.folder.mkdir(parents=True)
        elsewhere = fetch.folder.parent / "elsewhere"
        elsewhere.write_bytes(CONTENT)
        fetch.final.symlink_to(elsewhere)
        fetch(registry.url)
        assert not fetch.final.is_symlink()
        fetch.final.chmod(0o666)
        fetch(registry.url)
        assert stat.S_IMODE(fetch.final.stat().st_mode) & 0o022 == 0
        assert len(registry.requests) == 2
        assert fetch.fetched()

    def test_the_wrong_bottle_goes_only_when_the_right_one_is_whole(
        self, fetch: Fetch, registry: Registry
    ) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.final.write_bytes(b"older")
        registry.answers += [cut, says(404)]
        with pytest.raises(BottleFetchError):
            fetch(registry.url)
        assert fetch.final.read_bytes() == b"older"

    def test_a_download_goes_on_where_it_was_cut_off(self, fetch: Fetch, registry: Registry) -> None:
        registry.answers += [cut, cut]
        fetch(registry.url)
        assert fetch.fetched()
        assert registry.ranges == [None, f"bytes={HALF}-", f"bytes={HALF + HALF // 2}-"]
        assert fetch.pauses == [0.5, 1.0]
        assert fetch.progress == sorted(fetch.progress)
        assert {total for _, total in fetch.progress} == {len(CONTENT)}

    def test_a_download_goes_on_where_another_run_stopped(self, fetch: Fetch, registry: Registry) -> None:
        registry.answers += [cut, says(404)]
        fetch.fails(registry.url)
        assert fetch.incomplete.read_bytes() == CONTENT[:HALF]
        fetch(registry.url)
        assert fetch.fetched()
        assert registry.ranges == [None, f"bytes={HALF}-", f"bytes={HALF}-"]

    def test_a_download_that_only_lacks_its_name_gets_it(self, fetch: Fetch) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.prepare(CONTENT)
        assert fetch() == fetch.final
        assert fetch.fetched()

    @pytest.mark.parametrize(
        "answer",
        [
            says(200, CONTENT),
            chunked(200, CONTENT[:1000], CONTENT[1000:]),
            says(200, CONTENT, Content_Length=None),
        ],
    )
    def test_a_server_that_knows_no_ranges_starts_again(
        self, fetch: Fetch, registry: Registry, answer: Answer
    ) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.prepare(CONTENT[:HALF])
        registry.answers.append(answer)
        fetch(registry.url)
        assert fetch.fetched()
        assert registry.ranges == [f"bytes={HALF}-"]

    @pytest.mark.parametrize(
        "answer",
        [
            says(416),
            says(206, CONTENT),
            says(206, CONTENT[HALF:], Content_Range=f"bytes {HALF + 1}-{len(CONTENT) - 1}/{len(CONTENT)}"),
            says(206, CONTENT, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"),
            says(206, CONTENT, Content_Range=f"bytes {HALF}-{'9' * 30}/{len(CONTENT)}"),
            says(206, CONTENT, Content_Range="lines 1-2/3"),
        ],
    )
    def test_another_part_than_asked_for_is_not_put_after_the_first(
        self, fetch: Fetch, registry: Registry, answer: Answer
    ) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.prepare(CONTENT[:HALF])
        registry.answers.append(answer)
        fetch(registry.url)
        assert fetch.fetched()
        assert registry.ranges == [f"bytes={HALF}-", None]

    @pytest.mark.parametrize("total", [len(CONTENT), "*"])
    def test_the_rest_may_come_in_chunks(self, fetch: Fetch, registry: Registry, total: object) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.prepare(CONTENT[:HALF])
        part = f"bytes {HALF}-{len(CONTENT) - 1}/{total}"
        registry.answers.append(chunked(206, CONTENT[HALF:], Content_Range=part))
        fetch(registry.url)
        assert fetch.fetched()
        assert {seen for _, seen in fetch.progress} == {None if total == "*" else total}

    @pytest.mark.parametrize("before", [b"x" * HALF, CONTENT + b"x", b"x" * (len(CONTENT) + 5)])
    def test_a_beginning_that_is_none_is_thrown_away(
        self, fetch: Fetch, registry: Registry, before: bytes
    ) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.prepare(before)
        fetch(registry.url)
        assert fetch.fetched()
        assert registry.ranges == [f"bytes={len(before)}-", None]

    def test_a_beginning_that_is_too_long_is_not_asked_about(
        self, fetch: Fetch, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(downloads, "MAX_BOTTLE_BYTES", len(CONTENT))
        fetch.folder.mkdir(parents=True)
        fetch.prepare(b"x" * (len(CONTENT) + 1))
        fetch(registry.url)
        assert fetch.fetched()
        assert registry.ranges == [None]

    def test_each_url_is_asked_until_one_has_the_bottle(
        self, fetch: Fetch, registries: Callable[[], Registry]
    ) -> None:
        first, second, third = registries(), registries(), registries()
        first.answers += [says(404)]
        second.answers += [cut, *[says(503)] * (ATTEMPTS - 1)]
        fetch(first.url, second.url, third.url)
        assert fetch.fetched()
        assert [len(server.requests) for server in (first, second, third)] == [1, ATTEMPTS, 1]
        assert third.ranges == [f"bytes={HALF}-"]

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 304, 501, 206, 416])
    def test_a_definite_answer_is_not_asked_for_twice(
        self, fetch: Fetch, registry: Registry, status: int
    ) -> None:
        registry.answers.append(says(status))
        assert f"{registry.origin} answers with status {status}" in fetch.fails(registry.url)
        assert len(registry.requests) == 1
        assert fetch.pauses == []

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_a_passing_fault_is_waited_for(self, fetch: Fetch, registry: Registry, status: int) -> None:
        registry.answers += [says(status)] * ATTEMPTS
        assert f"status {status}" in fetch.fails(registry.url)
        assert len(registry.requests) == ATTEMPTS
        assert fetch.pauses == [0.5, 1.0, 2.0]
        fetch(registry.url)
        assert fetch.fetched()

    def test_the_failures_of_all_are_told(self, fetch: Fetch, registries: Callable[[], Registry]) -> None:
        first, second = registries(), registries()
        first.answers.append(says(404))
        second.answers.append(says(403))
        detail = fetch.fails(first.url, second.url)
        assert f"{first.origin} answers with status 404" in detail
        assert f"{second.origin} answers with status 403" in detail

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "https://[",
            "file:///etc/passwd",
            "http://example.org/x",
            "https://user:hunter2@127.0.0.1:1/x",
            "https://ghcr.io\\@127.0.0.1/x",
            "https://127.0.0.1:99999/x",
        ],
    )
    def test_an_address_of_no_use_is_not_asked(self, fetch: Fetch, url: str) -> None:
        fetch.fails(url, authorization={"https://ghcr.io": "Bearer secret"})
        assert fetch.pauses == []

    def test_there_may_be_nobody_to_ask(self, fetch: Fetch) -> None:
        assert fetch.fails() == "there is nobody to ask for it"

    def test_a_server_that_is_down_is_tried_again(self, fetch: Fetch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        assert f"127.0.0.1:{port}" in fetch.fails(f"http://127.0.0.1:{port}/x")
        assert len(fetch.pauses) == ATTEMPTS - 1


class TestWrongBytes:
    """Answers that are not the bottle."""

    def test_wrong_bytes_are_deleted_and_nobody_else_is_asked(
        self, fetch: Fetch, registries: Callable[[], Registry]
    ) -> None:
        first, second = registries(), registries()
        evil = b"evil" + CONTENT[4:]
        first.answers.append(says(200, evil))
        detail = fetch.fails(first.url, second.url, code="artifact-digest-mismatch")
        assert first.origin in detail
        assert str(DIGEST) in detail
        assert hashlib.sha256(evil).hexdigest() in detail
        assert not any(fetch.folder.iterdir())
        assert second.requests == []

    @pytest.mark.parametrize(
        "answer", [says(200), says(200, CONTENT[:-1]), says(200, CONTENT[:-1], Content_Length=None)]
    )
    def test_a_bottle_that_is_shorter_than_it_should_be_is_wrong(
        self, fetch: Fetch, registry: Registry, answer: Answer
    ) -> None:
        registry.answers.append(answer)
        fetch.fails(registry.url, code="artifact-digest-mismatch")

    def test_a_bottle_in_disguise_is_not_unpacked(self, fetch: Fetch, registry: Registry) -> None:
        registry.answers.append(says(200, gzip.compress(CONTENT), Content_Encoding="gzip"))
        fetch.fails(registry.url, code="artifact-digest-mismatch")

    def test_a_server_that_changes_its_mind_gets_one_more_chance(
        self, fetch: Fetch, registry: Registry
    ) -> None:
        def other_rest(handler: Handler) -> None:
            part = f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}"
            handler.reply(206, bytes(len(CONTENT) - HALF), Content_Range=part)

        registry.answers += [cut, other_rest]
        fetch(registry.url)
        assert fetch.fetched()
        assert registry.ranges == [None, f"bytes={HALF}-", None]
        fetch.final.unlink()
        registry.answers += [cut, other_rest, cut, other_rest]
        fetch.fails(registry.url, code="artifact-digest-mismatch")
        assert registry.ranges[3:] == [None, f"bytes={HALF}-", None, f"bytes={HALF}-"]
        assert not any(fetch.folder.iterdir())

    def test_an_announced_length_beyond_the_limit_is_not_waited_for(
        self, fetch: Fetch, registry: Registry
    ) -> None:
        registry.answers.append(says(200, b"x", Content_Length=17 << 30))
        assert f"would send {17 << 30:,} bytes" in fetch.fails(registry.url)
        assert len(registry.requests) == 1

    def test_an_endless_answer_is_left_at_the_limit(
        self, fetch: Fetch, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(downloads, "MAX_BOTTLE_BYTES", 100_000)
        registry.answers.append(chunked(200, *[bytes(10_000)] * 1000))
        assert "more than a bottle has" in fetch.fails(registry.url)
        assert fetch.incomplete.stat().st_size == 0

    def test_a_rest_that_is_longer_than_it_said_is_left(self, fetch: Fetch, registry: Registry) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.prepare(CONTENT[:HALF])
        part = f"bytes {HALF}-{HALF + 9}/{HALF + 10}"
        registry.answers.append(chunked(206, CONTENT[HALF:], Content_Range=part))
        assert "more than a bottle has" in fetch.fails(registry.url)
        assert fetch.incomplete.stat().st_size == 0

    def test_a_rest_that_is_shorter_than_it_said_is_asked_for(self, fetch: Fetch, registry: Registry) -> None:
        fetch.folder.mkdir(parents=True)
        fetch.prepare(CONTENT[:HALF])
        part = f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}"
        registry.answers.append(chunked(206, CONTENT[HALF:-100], Content_Range=part))
        fetch(registry.url)
        assert fetch.fetched()
        assert registry.ranges == [f"bytes={HALF}-", f"bytes={len(CONTENT) - 100}-"]


class TestTime:
    """Servers that take theirs."""

    def test_drops_are_not_waited_for(self, fetch: Fetch, registry: Registry) -> None:
        now = iter(range(0, 100_000, 61))
        registry.answers += [chunked(200, *[b"x"] * 50)] * ATTEMPTS
        detail = fetch.fails(registry.url, clock=lambda: float(next(now)))
        assert f"{registry.origin} is too slow" in detail
        assert len(registry.requests) == ATTEMPTS

    def test_who_brings_enough_may_take_long(
        self, fetch: Fetch, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(downloads, "SLOWEST_BYTES", 1)
        now = iter(range(0, 100_000, 61))
        fetch(registry.url, clock=lambda: float(next(now)))
        assert fetch.fetched()

    def test_a_budget_that_is_spent_ends_it(self, tmp_path: Path, registry: Registry) -> None:
        now = [0.0]
        with Transport(budget=10, clock=lambda: now[0]) as transport:
            fetch = Fetch(transport, tmp_path)

            def progress(_there: int, _total: int | None) -> None:
                now[0] += 6

            detail = fetch.fails(registry.url, progress=progress)
        assert "time" in detail
        assert CONTENT.startswith(fetch.incomplete.read_bytes())


class TestTokens:
    """Who gets to see them."""

    def test_a_token_goes_to_its_origin_alone(self, fetch: Fetch, registries: Callable[[], Registry]) -> None:
        mirror, registry = registries(), registries()
        mirror.answers.append(says(404))
        authorization = {registry.origin: "Bearer secret", "https://ghcr.io": ANONYMOUS}
        fetch(mirror.url, registry.url, authorization=authorization)
        assert "Authorization" not in mirror.requests[0][1]
        assert registry.requests[0][1]["Authorization"] == "Bearer secret"

    def test_a_token_does_not_follow_a_redirect_and_the_range_does(
        self, fetch: Fetch, registries: Callable[[], Registry]
    ) -> None:
        registry, storage = registries(), registries()
        registry.answers += [says(307, Location=storage.url)] * 2
        storage.answers.append(cut)
        authorization = {registry.origin: "Bearer secret"}
        fetch(registry.url, authorization=authorization)
        assert fetch.fetched()
        assert [headers["Authorization"] for _, headers in registry.requests] == ["Bearer secret"] * 2
        assert ["Authorization" in headers for _, headers in storage.requests] == [False, False]
        assert storage.ranges == [None, f"bytes={HALF}-"]

    def test_a_redirect_to_another_machine_needs_https(self, fetch: Fetch, registry: Registry) -> None:
        registry.answers.append(says(302, Location="http://example.org/x"))
        fetch.fails(registry.url, authorization={registry.origin: "Bearer secret"})

    def test_an_artifact_domain_gets_its_token_and_its_path(self, fetch: Fetch, registry: Registry) -> None:
        domain = f"{registry.origin}/v2/ghcr-io"
        urls = mirrored_urls(BOTTLE, artifact_domain=domain, no_fallback=True)
        authorization = registry_authorization(artifact_domain=registry.origin, basic_auth_token="dTpw")
        fetch(*urls, authorization=authorization)
        ((path, headers),) = registry.requests
        assert path == f"/v2/ghcr-io/octo/tap/foo/blobs/{DIGEST}"
        assert headers["Authorization"] == "Basic dTpw"


class TestInterruption:
    """What is left behind."""

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("x"), BrokenPipeError()])
    def test_what_has_come_stays_and_is_free(
        self, fetch: Fetch, registry: Registry, error: BaseException
    ) -> None:
        def stop(there: int, _total: int | None) -> None:
            if there > 1000:
                raise error

        with pytest.raises(type(error)):
            fetch(registry.url, progress=stop)
        assert not fetch.final.exists()
        assert CONTENT.startswith(fetch.incomplete.read_bytes())
        assert fetch.incomplete.stat().st_size > 1000
        fetch(registry.url)
        assert fetch.fetched()

    def test_of_two_at_once_one_does_the_work(self, fetch: Fetch, registry: Registry) -> None:
        began, go_on = threading.Event(), threading.Event()

        def wait(_there: int, _total: int | None) -> None:
            began.set()
            go_on.wait(30)

        thread = threading.Thread(target=fetch, args=(registry.url,), kwargs={"progress": wait})
        thread.start()
        began.wait(30)
        try:
            error = fetch.refused(registry.url)
        finally:
            go_on.set()
            thread.join()
        assert error.cause == "another process is downloading it"
        assert fetch.fetched()
        assert len(registry.requests) == 1

    def test_what_another_has_fetched_meanwhile_is_taken(
        self, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there = iter([False, True])
        monkeypatch.setattr(downloads, "holds", lambda *_: next(there))
        assert fetch() == fetch.final
        assert list(fetch.folder.iterdir()) == []
