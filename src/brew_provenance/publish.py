"""Bundles into GitHub's attestation store: within its limits, and none of them twice.

Whether a request was acted on that got no answer, or that a server failed at, nobody knows: it is not sent
again before the store has been asked. Sources: https://docs.github.com/en/rest/repos/attestations and
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from brew_provenance import strictjson
from brew_provenance.bundle import MAX_BUNDLE_BYTES
from brew_provenance.errors import BuildSideError
from brew_provenance.pace import Pace
from brew_provenance.stores.githubapi import API_VERSION, DEFAULT_API, pause_asked
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.transport import Reply, Transport, TransportError

PER_MINUTE: Final = 80
"""Things that may be created in a minute, as GitHub documents it."""

PER_HOUR: Final = 500
"""The same in an hour."""

ATTEMPTS: Final = 4
"""How often one bundle is sent."""

LOOK_AFTER: Final = (1.0, 4.0)
"""Seconds before each look whether the store has a bundle after all; it need not show it at once."""

_MAX_ANSWER_BYTES = 1024 * 1024
_MAX_MESSAGE = 200
_RESUME = "run `attest --resume` to publish what is signed"
# Faults before anything was sent, or answers that took nothing in; another attempt meets them as well.
_HOPELESS: Final = frozenset(
    {"url-refused", "header-refused", "redirect-refused", "host-not-found", "tls-failed"}
)


def pace_of(per_minute: int, per_hour: int) -> Pace:
    """Return what holds creations to so many a minute and an hour. Raises ValueError for less than one."""
    return Pace((60.0, per_minute), (3600.0, per_hour))


class Publisher:
    """Adds attestations to one repository. The token goes to the API's own host, and stands in no text."""

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
        """Publish to `repository`, `OWNER/REPO`. Raises BuildSideError where there is no token.

        A limit that GitHub asks to be respected is waited for as long as `transport` has patience.
        """
        self._thing = f"the attestation store of {repository}"
        if not token:
            next_step = (
                "set GITHUB_TOKEN to the job's own, and give the job `permissions: attestations: write`"
            )
            raise BuildSideError(self._thing, "nothing is published without a token", next_step)
        self._transport = transport
        self._url = f"{url.rstrip('/')}/repos/{quote(repository, safe='/')}/attestations"
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": API_VERSION,
        }
        self._token = token
        self._pace = pace or pace_of(PER_MINUTE, PER_HOUR)
        self._sleep = sleep

    def publish(self, bundle: bytes, is_there: Callable[[], bool]) -> str | None:
        """Add one bundle, and return its number in the store; None when it was there after all.

        The number is empty where the answer does not tell it. `is_there` asks the store itself, where it
        is not clear whether it took the bundle. Raises BuildSideError, also where `is_there` does.
        """
        body = b'{"bundle":' + self._checked(bundle) + b"}"
        for _ in range(ATTEMPTS):
            self._pace.wait()
            try:
                reply = self._post(body)
            except TransportError as error:
                why = f"no answer ({error.code}): {error.detail}"
                if error.code in _HOPELESS:
                    break
                # A limit is a clear no; the next request waits until it is over, or fails at once.
                is_clear = error.code == "rate-limited"
            else:
                if reply.status == 201:
                    return _number(reply.body)
                if reply.status < 500:
                    # The store may refuse what it has already.
                    if reply.status == 422 and is_there():
                        return None
                    raise self._refused(reply)
                why, is_clear = self._says(reply), False
            if not is_clear and self._turns_up(is_there):
                return None
        raise BuildSideError(self._thing, why, _RESUME)

    def _checked(self, bundle: bytes) -> bytes:
        """Return a bundle, if it is one JSON object, so that it can stand within another one."""
        try:
            is_object = isinstance(strictjson.loads(bundle, MAX_BUNDLE_BYTES), dict)
        except MalformedJSONError as error:
            raise BuildSideError(self._thing, f"the bundle is unreadable: {error}", "sign again") from error
        if not is_object:
            raise BuildSideError(self._thing, "the bundle is no JSON object", "sign again")
        return bundle

    def _post(self, body: bytes) -> Reply:
        return self._transport.send(
            self._url,
            limit=_MAX_ANSWER_BYTES,
            headers=self._headers,
            body=body,
            pause=pause_asked,
            attempts=1,
        )

    def _turns_up(self, is_there: Callable[[], bool]) -> bool:
        for pause in LOOK_AFTER:
            self._sleep(pause)
            if is_there():
                return True
        return False

    def _refused(self, reply: Reply) -> BuildSideError:
        match reply.status:
            case 401:
                next_step = "give the job's own token, GITHUB_TOKEN"
            case 403 | 404:
                next_step = "give the job `permissions: attestations: write`"
            case 422 if b"duplicate subject" in reply.body:
                next_step = "attest bottles with the same bytes one by one"
            case 422:
                next_step = "look at the bundle with `brew-provenance inspect`"
            case _:
                next_step = "look at GitHub's status"
        return BuildSideError(self._thing, self._says(reply), f"{next_step}; then {_RESUME}")

    def _says(self, reply: Reply) -> str:
        """Return an answer in words, among them its own, without what nobody may read."""
        host = urlsplit(self._url).netloc
        message = _document(reply.body).get("message")
        if not isinstance(message, str):
            return f"{host} answers {reply.status}"
        shown = message.replace(self._token, "***")[:_MAX_MESSAGE]
        return f"{host} answers {reply.status}: {shown!a}"


def _number(body: bytes) -> str:
    number = _document(body).get("id")
    # It was created; a number that cannot be read is no reason to create it again.
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else ""


def _document(body: bytes) -> Mapping[str, object]:
    """Return an answer's JSON object; an empty one for anything else."""
    try:
        document = strictjson.loads(body, _MAX_ANSWER_BYTES)
    except MalformedJSONError:
        return {}
    return document if isinstance(document, dict) else {}
