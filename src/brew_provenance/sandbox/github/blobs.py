"""Blobs: bundles as raw Snappy blocks, at signed URLs that expire, on a host that wants no token.

The URL's query is that of an Azure Blob SAS (`se`, `sp`, `sr`, `sv`, `sig`), which is what GitHub hands out.
"""

from __future__ import annotations

import base64
import hmac
import math
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

import cramjam

from brew_provenance.sandbox.github.attestations import AttestationStore, Clock
from brew_provenance.sandbox.github.exchange import Call, Reply

# What base64 has that a query has not.
_QUOTED = str.maketrans({"+": "%2B", "/": "%2F", "=": "%3D"})
_EXPIRY = "%Y-%m-%dT%H:%M:%SZ"


class BlobURLs:
    """Signs the URLs of blobs, and checks them again."""

    def __init__(self, clock: Clock) -> None:
        """Sign with a key of its own; `clock` says when a URL has expired."""
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def signer(self, lifetime: int) -> Callable[[str], str]:
        """Return what gives a path a query by which it can be read for `lifetime` seconds from now."""
        expiry = datetime.fromtimestamp(math.floor(self._clock()) + lifetime, UTC).strftime(_EXPIRY)
        start = f"?se={quote(expiry, safe='')}&sp=r&sr=b&sv=2025-01-05&sig="

        def sign(path: str) -> str:
            signature = self._signature(path, expiry).translate(_QUOTED)
            return f"{path}{start}{signature}"

        return sign

    def check(self, path: str, query: Mapping[str, str]) -> str | None:
        """Return why a path cannot be read with a query, or None when it can."""
        expiry = query.get("se", "")
        if not hmac.compare_digest(
            self._signature(path, expiry).encode(), query.get("sig", "").encode(errors="replace")
        ):
            return "Signature did not match."
        end = datetime.strptime(expiry, _EXPIRY).replace(tzinfo=UTC)
        if self._clock() >= end.timestamp():
            return f"Signature not valid in the specified time frame: Expiry [{expiry}]"
        return None

    def _signature(self, path: str, expiry: str) -> str:
        message = f"{path}\n{expiry}".encode(errors="replace")
        return base64.b64encode(hmac.digest(self._key, message, "sha256")).decode()


def answer_blob(store: AttestationStore, urls: BlobURLs, call: Call) -> Reply:
    """Answer a request to the blob host, which has no business with anybody's token."""
    if "authorization" in call.headers:
        return _refuse(400, "InvalidAuthenticationInfo", "Authentication information is not given here.")
    if call.method not in {"GET", "HEAD"}:
        return _refuse(405, "UnsupportedHttpVerb", "The resource doesn't support the HTTP verb.")
    if reason := urls.check(call.path, call.query):
        return _refuse(403, "AuthenticationFailed", reason)
    # Who signed the path has made it, with the id at its end.
    attestation = store.get(int(call.path.rpartition("/")[2].removesuffix(".json.sn")))
    if attestation is None:
        return _refuse(404, "BlobNotFound", "The specified blob does not exist.")
    body = bytes(cramjam.snappy.compress_raw(attestation.bundle))
    return Reply(200, body, {"content-type": "application/octet-stream"})


def _refuse(status: int, code: str, message: str) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Reply(
        status, f'<?xml version="1.0" encoding="utf-8"?>{body}'.encode(), {"content-type": "application/xml"}
    )
