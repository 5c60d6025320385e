"""A bottle registry: blobs by digest as ghcr.io gives them, and files below any other root URL.

Source: opencontainers/distribution-spec, "Pulling blobs"; brew's `github_packages.rb`.
"""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brew_provenance.bottle import BottleFileName
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply, reply_json
from brew_provenance.sandbox.services.service import Service

PUBLIC_TOKEN: Final = "QQ=="  # noqa: S105 - everybody's
"""The token for which GitHub's registry gives public packages to everybody (`brew.sh` in brew)."""

MAX_SERVED_BYTES: Final = 1024 * 1024 * 1024
"""The longest bottle that is served: one is held in memory while it is sent."""

_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")
_TAR_TYPE = "application/octet-stream"
_CODES: Final = {401: "UNAUTHORIZED", 404: "BLOB_UNKNOWN", 416: "SIZE_INVALID"}


@dataclass(frozen=True)
class _File:
    """A bottle in the folder, as it was when it was hashed."""

    path: Path
    size: int
    modified: int
    digest: str


class BottleRegistry:
    """Serves the bottles of a folder, of which more may come at any time."""

    def __init__(self, folder: Path | None, *, requires_token: bool = True) -> None:
        """Serve `folder`, without its subfolders; blobs need a token, as GitHub's registry wants it."""
        self._folder = folder
        self._requires_token = requires_token
        self._lock = threading.Lock()
        self._known: dict[Path, _File] = {}
        self.service = Service(
            "registry",
            [
                ("GET", "/token", self._give_token),
                ("GET", "/v2/{image:path}/blobs/{digest}", self._show_blob),
                ("GET", "/{root:path}", self._show_file),
            ],
            registry_error,
            max_body=0,
        )
        """What is served."""

    def _give_token(self, _: Call) -> Reply:
        return reply_json(200, {"token": PUBLIC_TOKEN})

    def _show_blob(self, call: Call) -> Reply:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if self._requires_token and (scheme.lower() != "bearer" or token != PUBLIC_TOKEN):
            realm = f'Bearer realm="{call.origin}/token",service="sandbox",scope="repository:pull"'
            raise RefusedError(401, "authentication required", {"www-authenticate": realm})
        wanted = call.parameters["digest"]
        for file in self._files():
            if file.digest == wanted:
                return self._send(call, file)
        raise RefusedError(404, "blob unknown to registry")

    def _show_file(self, call: Call) -> Reply:
        wanted = call.path.rpartition("/")[2]
        for file in self._files():
            if wanted in {file.path.name, _published_name(file.path.name)}:
                return self._send(call, file)
        raise RefusedError(404, "file unknown")

    def _send(self, call: Call, file: _File) -> Reply:
        try:
            content = read_bounded(file.path, MAX_SERVED_BYTES)
        except (OSError, FileTooLongError) as error:
            raise RefusedError(404, f"the file cannot be read: {error}") from error
        headers = {
            "content-type": _TAR_TYPE,
            "accept-ranges": "bytes",
            "docker-content-digest": file.digest,
        }
        match = _RANGE.fullmatch(call.headers.get("range", ""))
        if match is None:
            return Reply(200, content, headers)
        start, end = int(match[1]), int(match[2] or len(content))
        if start >= len(content) or end < start:
            raise RefusedError(416, "no such range", {"content-range": f"bytes */{len(content)}"})
        part = content[start : end + 1]
        said = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        return Reply(206, part, {**headers, "content-range": said})

    def _files(self) -> list[_File]:
        """Return the bottles in the folder, of which only those are hashed that have changed."""
        with self._lock:
            known = {}
            for path in sorted(self._folder.iterdir()) if self._folder and self._folder.is_dir() else ():
                if path.is_symlink() or not path.is_file() or not path.name.endswith(".tar.gz"):
                    continue
                status = path.stat()
                file = self._known.get(path)
                if file is None or (file.size, file.modified) != (status.st_size, status.st_mtime_ns):
                    with path.open("rb") as stream:
                        value = hashlib.file_digest(stream, "sha256").hexdigest()
                    file = _File(path, status.st_size, status.st_mtime_ns, f"sha256:{value}")
                known[path] = file
            self._known = known
            return list(known.values())


def registry_error(status: int, message: str) -> Reply:
    """Return an error as registries word it."""
    code = _CODES.get(status, "UNKNOWN")
    return reply_json(status, {"errors": [{"code": code, "message": message}]})


def _published_name(file_name: str) -> str | None:
    """Return the name of a bottle below a root URL, which has one dash where its own has two."""
    try:
        bottle = BottleFileName.parse(file_name)
    except ValueError:
        return None
    return f"{bottle.formula}-{file_name.removeprefix(f'{bottle.formula}--')}"
