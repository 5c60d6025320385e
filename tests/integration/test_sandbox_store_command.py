"""`sandbox store`: a kit served as GitHub's API serves attestations, until it is interrupted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cramjam
import pytest
import requests
from tests.integration.conftest import Run

from brew_provenance.strictjson import loads

REPOSITORY = "brew-provenance/homebrew-fixtures"
BULK = "/orgs/brew-provenance/attestations/bulk-list"

Start = Callable[..., tuple["subprocess.Popen[str]", str]]


@contextmanager
def started(kit: Path, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "brew_provenance", "sandbox", "store"]
    with subprocess.Popen(
        [*command, str(kit), "--repo", REPOSITORY, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONDEVMODE": "1"},
    ) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().rstrip("\n")
        finally:
            process.kill()


@pytest.fixture
def start(kit: Path) -> Iterator[Start]:
    """Start the command, and return its process and the first line that it printed."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(started(kit, *arguments))


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def digest(kit: Path) -> str:
    return min(path.stem for path in (kit / "attestations").iterdir()).replace("-", ":")


def finish(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_kit_is_served_until_it_is_interrupted(
    start: Start, client: requests.Session, kit: Path, digest: str, number: signal.Signals
) -> None:
    process, url = start()
    assert url.startswith("http://127.0.0.1:")

    assert client.get(f"{url}/repos/{REPOSITORY}", timeout=30).json()["id"] == 801234567
    path = f"/repos/{REPOSITORY}/attestations/{digest}"
    headers = {"X-GitHub-Api-Version": "2026-03-10"}
    response = client.get(url + path, timeout=30, headers=headers)
    [row] = response.json()["attestations"]
    assert response.headers["x-ratelimit-limit"] == "60"
    assert row["repository_id"] == 801234567
    assert not row["bundle_url"].startswith(url)

    blob = client.get(row["bundle_url"], timeout=30).content
    filed = (kit / "attestations" / f"{digest.replace(':', '-')}.jsonl").read_bytes()
    bundle = bytes(cramjam.snappy.decompress_raw(blob))
    assert bundle + b"\n" == filed
    assert loads(bundle, len(bundle))
    assert client.get(row["bundle_url"], timeout=30, headers={"Authorization": "Bearer x"}).status_code == 400

    assert finish(process, number) == (0, "", "")


def test_a_store_can_be_published_to_and_deleted_from(
    start: Start, client: requests.Session, digest: str
) -> None:
    process, url = start()
    client.headers["Authorization"] = "Bearer anything"
    path = f"{url}/repos/{REPOSITORY}/attestations"
    [row] = client.get(f"{path}/{digest}", timeout=30).json()["attestations"]

    created = client.post(path, json={"bundle": row["bundle"]}, timeout=30)

    assert created.status_code == 201
    assert len(client.get(f"{path}/{digest}", timeout=30).json()["attestations"]) == 2
    gone = f"{url}/orgs/brew-provenance/attestations/{created.json()['id']}"
    assert client.delete(gone, timeout=30).status_code == 204
    assert len(client.get(f"{path}/{digest}", timeout=30).json()["attestations"]) == 1
    assert finish(process, signal.SIGINT)[0] == 0


@pytest.mark.parametrize(("option", "status"), [("--requires-token", 401), ("--no-requires-token", 200)])
def test_options_decide_how_it_answers(
    start: Start, client: requests.Session, digest: str, option: str, status: int
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _, url = start(option, "--latency", "0.5", "--budget", "2", "--port", port)
    assert url == f"http://127.0.0.1:{port}"
    body = {"subject_digests": [digest]}
    assert client.post(url + BULK, json=body, timeout=30).status_code == status
    response = client.get(f"{url}/rate_limit", timeout=30)
    assert response.json()["resources"]["core"]["remaining"] == 1
    token = {"Authorization": "Bearer x"}
    statuses = [client.post(url + BULK, json=body, timeout=30, headers=token).status_code for _ in range(3)]
    assert statuses == [200, 200, 403]


def test_what_cannot_be_served_is_a_usage_error(run: Run, kit: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("sandbox", "store", kit, "--repo", REPOSITORY, "--port", port)
    assert (result.code, result.out) == (2, "")
    assert f"port {port}" in result.err

    for arguments, said in (
        ([tmp_path, "--repo", REPOSITORY], "index.json"),
        ([kit, "--repo", "fixtures"], "not OWNER/REPO"),
        ([kit], "--repo"),
        ([kit, "--repo", REPOSITORY, "--port", 65536], "65536"),
        ([kit, "--repo", REPOSITORY, "--latency", -1], "-1"),
    ):
        result = run("sandbox", "store", *arguments)
        assert (result.code, result.out) == (2, "")
        assert said in result.err


def test_a_missing_extra_is_a_usage_error(run: Run, kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = run("sandbox", "store", kit, "--repo", REPOSITORY)
    assert result.code == 2
    assert "pip install 'brew-provenance[sandbox]'" in result.err


def test_help_says_how_it_ends(run: Run) -> None:
    assert "exit code 0" in " ".join(run("sandbox", "store", "--help").out.split())
