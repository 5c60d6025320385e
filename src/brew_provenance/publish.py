"""Bundles into GitHub's attestation store: within its limits, and none of them twice.

Whether a request that got no answer was acted on, nobody knows: it is not sent again before the store
has been asked. Source: https://docs.github.com/en/rest/repos/attestations#create-an-attestation and
/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlsplit

from brew_provenance import strictjson
from brew_provenance.bundle import MAX_BUNDLE_BYTES
from brew_provenance.errors import BuildSideError
from brew_provenance.stores.githubapi import API_VERSION, DEFAULT_API, pause_asked
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.transport import Transport, TransportError

PER_MINUTE: Final = 80
"""Things that may be created in a minute, as GitHub documents it."""

PER_HOUR: Final = 500
"""The same in an hour."""

ATTEMPTS: Final = 4
"""How often one bundle is sent, when the store is sure not to have it."""

_MAX_ANSWER_BYTES = 1024 * 1024
_RESUME = "run `attest --resume` to publish what is signed"


class Pace:
    """Holds creations to so many a minute and an hour. Safe to use from several threads."""

    def __init__(
        self,
        per_minute: int = PER_MINUTE,
        per_hour: int = PER_HOUR,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = ((60.0, per_minute), (3600.0, per_hour))
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._sent: deque[float] = deque(maxlen=max(per_minute, per_hour))

    def wait(self) -> None:
        """Return when one more may be created, and count it."""
        with self._lock:
            while (pause := self._pause()) > 0:
                self._sleep(pause)
            self._sent.append(self._clock())

    def _pause(self) -> float:
        now = self._clock()
        pauses = [
            self._sent[-limit] + period - now for period, limit in self._limits if len(self._sent) >= limit
        ]
        return max(pauses, default=0.0)


class Publisher:
    """Adds attestations to one repository. The token goes to the API's own host and to no other."""

    def __init__(  # noqa: PLR0913 - where to, as whom, and how fast
        self,
        transport: Transport,
        *,
        repository: str,
        token: str | None,
        url: str = DEFAULT_API,
        pace: Pace | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Publish to `repository`, `OWNER/REPO`. Raises BuildSideError where there is no token."""
        if not token:
            raise BuildSideError(
                f"the store of {repository}", "nothing is published without a token", "set GITHUB_TOKEN"
            )
        self._transport = transport
        self._repository = repository
        self._token = token
        self._url = f"{url.rstrip('/')}/repos/{quote(repository, safe='/')}/attestations"
        self._pace = pace or Pace()
        self._sleep = sleep

    def publish(self, bundle: bytes, is_there: Callable[[], bool]) -> str | None:
        """Add one bundle, and return its number in the store; None when it was there already after all.

        `is_there` asks the store, where it is not clear whether it took the bundle. Raises BuildSideError.
        """
        body = json.dumps({"bundle": strictjson.loads(bundle, MAX_BUNDLE_BYTES)}).encode()
        why = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(2.0 ** (attempt - 1))
                if is_there():
                    return None
            self._pace.wait()
            try:
                reply = self._transport.send(
                    self._url,
                    limit=_MAX_ANSWER_BYTES,
                    headers={
                        "Accept": "application/vnd.github+json",
                        "Authorization": f"Bearer {self._token}",
                        "Content-Type": "application/json",
                        "X-GitHub-Api-Version": API_VERSION,
                    },
                    body=body,
                    pause=pause_asked,
                    attempts=1,
                )
            except TransportError as error:
                why = f"no answer ({error.code}): {error.detail}"
                if error.code == "rate-limited":
                    break
                continue
            if reply.status == 201:
                return self._number(reply.body)
            why = self._refusal(reply.status)
            if reply.status < 500:
                break
        raise BuildSideError(f"the store of {self._repository}", why, _RESUME)

    def _refusal(self, status: int) -> str:
        host = urlsplit(self._url).netloc
        match status:
            case 401:
                return f"{host} refuses the token"
            case 403 | 404:
                return f"{host} answers {status}: the job lacks `permissions: attestations: write`"
            case 422:
                return f"{host} answers 422: it does not take this bundle"
            case _:
                return f"{host} answers {status}"

    def _number(self, body: bytes) -> str:
        try:
            document = strictjson.loads(body, _MAX_ANSWER_BYTES)
        except MalformedJSONError:
            document = None
        number = document.get("id") if isinstance(document, dict) else None
        # It was created; a number that cannot be read is no reason to create it again.
        return str(number) if isinstance(number, int | str) else ""
