"""The bottle registry: blobs by digest, files by name, and parts of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from brew_provenance.sandbox.services import registry
from brew_provenance.sandbox.services.registry import BottleRegistry
from brew_provenance.sandbox.serving import serve

NAME = "openssl@3--3.2.1_1.arm64_sonoma.bottle.2.tar.gz"
PUBLISHED = "openssl@3-3.2.1_1.arm64_sonoma.bottle.2.tar.gz"
CONTENT = b"0123456789"
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
BLOB = f"/v2/homebrew/core/openssl/3/blobs/{DIGEST}"
TOKEN = {"Authorization": "Bearer QQ=="}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / NAME).write_bytes(CONTENT)
    return tmp_path


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with serve(BottleRegistry(folder).service.app) as server:
        yield server.url


def test_a_blob_is_found_by_its_digest(url: str, session: requests.Session) -> None:
    response = session.get(url + BLOB, headers=TOKEN, timeout=30)
    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["docker-content-digest"] == DIGEST


@pytest.mark.parametrize(
    "path",
    [f"/{PUBLISHED}", f"/bottles/x/{PUBLISHED}", f"/{NAME}", f"/{PUBLISHED.replace('@', '%40')}"],
)
def test_a_file_is_found_by_either_name_without_a_token(
    url: str, session: requests.Session, path: str
) -> None:
    assert session.get(url + path, timeout=30).content == CONTENT


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic QQ=="}])
def test_a_blob_needs_everybodys_token(url: str, session: requests.Session, headers: dict[str, str]) -> None:
    response = session.get(url + BLOB, headers=headers, timeout=30)
    assert response.status_code == 401
    assert response.json()["errors"][0]["code"] == "UNAUTHORIZED"
    realm = response.headers["www-authenticate"].partition('realm="')[2].partition('"')[0]
    assert session.get(realm, timeout=30).json() == {"token": "QQ=="}


def test_a_registry_may_need_no_token(folder: Path, session: requests.Session) -> None:
    with serve(BottleRegistry(folder, requires_token=False).service.app) as server:
        assert session.get(server.url + BLOB, timeout=30).content == CONTENT


@pytest.mark.parametrize(
    ("asked", "status", "content", "said"),
    [
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=5-4", 416, None, "bytes */10"),
        ("bytes=-3", 200, CONTENT, None),
        ("lines=1-2", 200, CONTENT, None),
    ],
)
def test_a_part_can_be_asked_for(
    url: str, session: requests.Session, asked: str, status: int, content: bytes | None, said: str | None
) -> None:
    response = session.get(url + BLOB, headers={**TOKEN, "Range": asked}, timeout=30)
    assert response.status_code == status
    assert response.headers.get("content-range") == said
    assert content is None or response.content == content


@pytest.mark.parametrize(
    "path",
    [
        f"/v2/homebrew/core/x/blobs/sha256:{'0' * 64}",
        "/v2/homebrew/core/x/manifests/1.0",
        "/other-1.0.sonoma.bottle.tar.gz",
        "/",
        "/..%2f..%2fetc%2fpasswd",
        "/notes.txt",
        "/linked.tar.gz",
        "/folder.tar.gz",
    ],
)
def test_nothing_else_is_served(url: str, folder: Path, session: requests.Session, path: str) -> None:
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "folder.tar.gz").mkdir()
    (folder / "linked.tar.gz").symlink_to("/etc/passwd")
    assert session.get(url + path, headers=TOKEN, timeout=30).status_code == 404


def test_bottles_may_come_and_change_and_go(url: str, folder: Path, session: requests.Session) -> None:
    assert session.get(f"{url}/{PUBLISHED}", timeout=30).content == CONTENT
    (folder / NAME).write_bytes(b"another bottle")
    (folder / "any other.tar.gz").write_bytes(b"more")
    assert session.get(f"{url}/{PUBLISHED}", timeout=30).content == b"another bottle"
    assert session.get(url + BLOB, headers=TOKEN, timeout=30).status_code == 404
    assert session.get(f"{url}/any%20other.tar.gz", timeout=30).content == b"more"
    (folder / NAME).unlink()
    assert session.get(f"{url}/{PUBLISHED}", timeout=30).status_code == 404


def test_a_bottle_that_is_too_long_is_not_served(
    url: str, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_SERVED_BYTES", 5)
    assert session.get(url + BLOB, headers=TOKEN, timeout=30).status_code == 404


def test_a_registry_may_have_no_folder(tmp_path: Path, session: requests.Session) -> None:
    for folder in (None, tmp_path / "nothing"):
        with serve(BottleRegistry(folder).service.app) as server:
            assert session.get(f"{server.url}/{PUBLISHED}", timeout=30).status_code == 404
