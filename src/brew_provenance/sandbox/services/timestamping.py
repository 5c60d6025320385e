"""A timestamp authority over HTTP (RFC 3161, section 3.4), at the path of Sigstore's."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.services.service import Service

PATH: Final = "/api/v1/timestamp"

_MAX_BODY_BYTES: Final = 8 * 1024
_QUERY_TYPE, _REPLY_TYPE = "application/timestamp-query", "application/timestamp-reply"


class TimestampService:
    """Stamps whatever it is shown the hash of."""

    def __init__(self, sigstore: VirtualSigstore, *, clock: Callable[[], float] = time.time) -> None:
        """Stamp with the authority of `sigstore`, at the time that `clock` says."""
        self._sigstore = sigstore
        self._clock = clock
        self.service = Service("timestamping", [("POST", PATH, self._stamp)], max_body=_MAX_BODY_BYTES)
        """What is served."""

    def _stamp(self, call: Call) -> Reply:
        if call.headers.get("content-type", "").partition(";")[0].strip() != _QUERY_TYPE:
            raise RefusedError(415, f"the body is not said to be {_QUERY_TYPE}")
        at = datetime.fromtimestamp(int(self._clock()), UTC)
        try:
            stamp = self._sigstore.timestamp_authority.answer(call.body, at)
        except ValueError as error:
            raise RefusedError(400, f"the body is no timestamp request: {error}") from error
        return Reply(201, stamp, {"content-type": _REPLY_TYPE})
