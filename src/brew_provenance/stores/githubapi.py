"""The endpoints of GitHub's REST API that list attestations, an exchange at a time.

GitHub, or whoever answers in its place, controls every answer: which rows there are, what is in
them, and where they point. A hostile one can leave attestations out; it cannot make one count.
Source: https://docs.github.com/en/rest/repos/attestations and .../rest/orgs/attestations
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic import ValidationError as ModelError
from requests.utils import parse_header_links

from brew_provenance import strictjson
from brew_provenance.bottle import Digest
from brew_provenance.bundle import MAX_BUNDLE_BYTES
from brew_provenance.findings import Finding
from brew_provenance.pace import Pace
from brew_provenance.statement import summarise
from brew_provenance.stores.snappy import SnappyError, decompress
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.transport import Reply, Transport, TransportError, is_loopback

DEFAULT_API: Final = "https://api.github.com"

API_VERSION: Final = "2022-11-28"
"""Lists with the bundles in them; version 2026-03-10 lists links only, which are followed as well."""

LISTS: Final = (6.0, 17)
"""Seconds, and lists of many digests in them: 900 points a minute are GitHub's limit, and a POST is five.

Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

PAGE_ROWS: Final = 100
"""Rows a page; the most that GitHub gives."""

MAX_PAGES: Final = 100
"""Pages of one look-up."""

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""One page: a hundred rows, whose bundles have some ten kilobytes."""

_UNSTATED_PAUSE = 60.0
_ATTESTATION_ID = re.compile(r"/(\d+)\.json\.sn\Z", re.ASCII)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _Row(_Model):
    bundle: dict[str, object] | None = None
    bundle_url: StrictStr | None = None
    repository_id: StrictInt | None = None


def _nothing_as_empty(value: object) -> object:
    return [] if value is None else value


_Rows = Annotated[list[_Row], BeforeValidator(_nothing_as_empty)]


class _List(_Model):
    attestations: list[_Row]


def _as_one_object(value: object) -> object:
    """Read both shapes that GitHub documents: an object, and a list of objects with one key each."""
    if not isinstance(value, list):
        return value
    merged: dict[object, object] = {}
    for item in value:
        if not isinstance(item, dict) or merged.keys() & item.keys():
            raise ValueError("a list of something else than one object a digest")
        merged |= item
    return merged


class _PageInfo(_Model):
    has_next: StrictBool = False
    next: StrictStr | None = None


class _BulkList(_Model):
    attestations_subject_digests: Annotated[dict[StrictStr, _Rows], BeforeValidator(_as_one_object)]
    page_info: _PageInfo = Field(default_factory=_PageInfo)


_Page = TypeVar("_Page")
_Document = TypeVar("_Document", bound=_Model)


class _RepositoryDocument(_Model):
    id: StrictInt


@dataclass(frozen=True)
class Row:
    """One attestation as it is listed: a bundle, or a link to it, or neither."""

    repository_id: int | None
    bundle: bytes | None
    """The bundle's JSON, where the list holds it."""

    url: str | None
    """Where the bundle is, for a while."""

    @property
    def key(self) -> str:
        """What stays the same when the same attestation is listed again: its link without expiry."""
        return (self.url or "").partition("?")[0]

    @property
    def attestation_id(self) -> str | None:
        """GitHub's number of the attestation, which only the link holds."""
        match = _ATTESTATION_ID.search(self.key)
        return match[1] if match else None


@dataclass
class Listing:
    """The rows of one digest, and why there may be more of them."""

    rows: list[Row] = field(default_factory=list)
    fault: TransportError | None = None
    """What kept a page from being read; earlier pages' rows are kept."""

    missing: bool = False
    """Answered with 404: there is none, or the repository is not one that can be seen."""


class BulkRefusedError(Exception):
    """This owner's attestations cannot be listed in bulk by this client."""


class GitHubAPI:
    """The attestation endpoints, with or without a token.

    The token goes to the API's own host only. One that is refused is dropped, and `notes` says so.
    """

    def __init__(  # noqa: PLR0913 - where to, as whom, and how fast
        self,
        transport: Transport,
        base: str = DEFAULT_API,
        *,
        token: str | None = None,
        token_name: str = "the token",  # noqa: S107 - what it is called, not what it is
        version: str = API_VERSION,
        pace: Pace | None = None,
    ) -> None:
        """Speak to the API at `base`.

        Lists of many digests are held to `pace`: to LISTS where none is given, but on this machine.
        """
        self._transport = transport
        self._pace = pace or (None if is_loopback(base) else Pace(LISTS))
        self.base = base.rstrip("/")
        """Where the API is."""

        self._token = token
        self._token_name = token_name
        self._version = version
        self._users: set[str] = set()
        self._lock = threading.Lock()
        self.notes: list[Finding] = []
        """What a person should know of the exchanges, such as a token that does not work."""

    @property
    def host(self) -> str:
        """Where the API is, for people."""
        return urlsplit(self.base).netloc

    @property
    def has_token(self) -> bool:
        """Whether there is a token, which has not been refused so far."""
        return self._token is not None

    def repository_id(self, repository: str) -> int | None:
        """Return the numeric id of `OWNER/REPO`; None when it does not exist or cannot be seen.

        Raises TransportError.
        """
        path = f"/repos/{_quoted(repository)}"
        reply = self._send(path)
        if reply.status == 404:
            return None
        return self._parse(reply, _RepositoryDocument).id

    def list_attestations(self, repository: str, digest: Digest, predicate_type: str | None) -> Listing:
        """Return what a repository has for one digest. Raises TransportError when the first page fails."""
        path = f"/repos/{_quoted(repository)}/attestations/{digest}"
        listing = Listing()

        def read(after: str | None) -> tuple[_List, str | None]:
            reply = self._send(path, _query(after, predicate_type=predicate_type))
            if reply.status == 404 and after is None:
                listing.missing = True
                return _List(attestations=[]), None
            return self._parse(reply, _List), _next_in_header(reply)

        for page in _pages(read):
            if isinstance(page, TransportError):
                listing.fault = page
            else:
                listing.rows += map(_row, page.attestations)
        return listing

    def bulk_list(
        self, owner: str, digests: Sequence[Digest], predicate_type: str | None
    ) -> Mapping[Digest, Listing]:
        """Return what all repositories of an owner have for many digests.

        Raises BulkRefusedError when the owner's cannot be listed so, TooManyDigestsError when there
        are more digests than one request may hold, and TransportError when the first page fails.
        """
        asked = {str(digest): digest for digest in digests}
        wanted: dict[str, object] = {"subject_digests": list(asked)}
        if predicate_type is not None:
            wanted["predicate_type"] = predicate_type
        body = json.dumps(wanted).encode()
        listings = {digest: Listing() for digest in digests}

        def read(after: str | None) -> tuple[_BulkList, str | None]:
            page = self._bulk_page(owner, _query(after), body)
            if page.page_info.has_next and page.page_info.next is None:
                raise TransportError("answer-unexpected", f"{self.host}: a next page without its cursor")
            return page, page.page_info.next if page.page_info.has_next else None

        for page in _pages(read):
            if isinstance(page, TransportError):
                # Nobody knows whose rows are on the page that is missing.
                for listing in listings.values():
                    listing.fault = page
                continue
            for text, rows in page.attestations_subject_digests.items():
                if (digest := asked.get(text)) is not None:
                    listings[digest].rows += map(_row, rows)
        return listings

    def fetch_bundle(self, url: str) -> bytes:
        """Return the bundle behind a link of a list. The link is the server's choice of host.

        Raises LinkExpiredError, and TransportError for everything else.
        """
        if is_loopback(url) and not is_loopback(self.base):
            raise TransportError("url-refused", "the list links to this very machine")
        reply = self._transport.send(url, limit=MAX_BUNDLE_BYTES)
        host = urlsplit(url).netloc
        if reply.status in {401, 403, 404, 410}:
            raise LinkExpiredError("link-expired", f"{host} answered {reply.status} to a bundle's link")
        if reply.status != 200:
            raise _unexpected(reply)
        try:
            return decompress(reply.body, MAX_BUNDLE_BYTES)
        except SnappyError as error:
            raise TransportError("answer-unreadable", f"{host}: the bundle is {error}") from error

    def _bulk_page(self, owner: str, query: str, body: bytes) -> _BulkList:
        # Organisations and users have a route each, and a name does not say which it is.
        routes = ["users"] if owner in self._users else ["orgs", "users"]
        for route in routes:
            if self._pace is not None:
                self._pace.wait()
            reply = self._send(f"/{route}/{_quoted(owner)}/attestations/bulk-list", query, body)
            if reply.status == 404:
                continue
            if route == "users":
                self._users.add(owner)
            if reply.status in {401, 403}:
                raise BulkRefusedError
            if reply.status == 422:
                raise TooManyDigestsError("request-refused", f"{self.host} refuses a list of digests")
            return self._parse(reply, _BulkList)
        raise BulkRefusedError

    def _send(self, path: str, query: str = "", body: bytes | None = None) -> Reply:
        """Send a request; one that the token is refused for is sent again without it."""
        token = self._token
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": self._version}
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self.base}{path}{query}"
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        reply = self._transport.send(
            url, limit=MAX_ANSWER_BYTES, headers=headers | authorization, body=body, pause=pause_asked
        )
        if token is None or reply.status not in {401, 403}:
            return reply
        if reply.status == 401:
            self._drop(token, reply)
        return self._transport.send(
            url, limit=MAX_ANSWER_BYTES, headers=headers, body=body, pause=pause_asked
        )

    def _drop(self, token: str, reply: Reply) -> None:
        with self._lock:
            if self._token != token:
                return
            self._token = None
            self.notes.append(
                Finding(
                    "token-refused",
                    f"{self.host} refuses {self._token_name} ({reply.status}); went on without it",
                )
            )

    def _parse(self, reply: Reply, model: type[_Document]) -> _Document:
        if reply.status != 200:
            raise _unexpected(reply)
        try:
            return model.model_validate(strictjson.loads(reply.body, MAX_ANSWER_BYTES))
        except MalformedJSONError as error:
            raise TransportError("answer-unreadable", f"{self.host}: {error}") from error
        except ModelError as error:
            raise TransportError("answer-unexpected", f"{self.host}: {summarise(error)}") from error


class LinkExpiredError(TransportError):
    """A link to a bundle does not work any more; listing again gives a new one."""


class TooManyDigestsError(TransportError):
    """A request named more digests than the server takes at once."""


def pause_asked(reply: Reply) -> float | None:
    """Return for how many seconds GitHub asks to be left alone; None where it does not ask.

    Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    if reply.status not in {403, 429}:
        return None
    if (seconds := _whole_number(reply.headers.get("Retry-After"))) is not None:
        return float(seconds)
    reset = _whole_number(reply.headers.get("X-RateLimit-Reset"))
    if reply.headers.get("X-RateLimit-Remaining") == "0" and reset is not None:
        return max(1.0, reset - time.time())
    if reply.status == 429 or b"rate limit" in reply.body[:4096].lower():
        return _UNSTATED_PAUSE
    return None


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,12}", text, re.ASCII) else None


def _unexpected(reply: Reply) -> TransportError:
    host = urlsplit(reply.url).netloc
    if reply.status >= 500:
        return TransportError("server-failed", f"{host} answered {reply.status}")
    if reply.status in {401, 403}:
        return TransportError("access-denied", f"{host} answered {reply.status}")
    return TransportError("answer-unexpected", f"{host} answered {reply.status}")


def _row(row: _Row) -> Row:
    inline = json.dumps(row.bundle, separators=(",", ":")).encode() if row.bundle is not None else None
    return Row(row.repository_id, inline, row.bundle_url)


def _query(after: str | None, *, predicate_type: str | None = None) -> str:
    fields = {"per_page": str(PAGE_ROWS), "predicate_type": predicate_type, "after": after}
    return "?" + urlencode({name: value for name, value in fields.items() if value is not None})


def _next_in_header(reply: Reply) -> str | None:
    """Return the cursor of the next page. Only that is taken: the rest of the link is the server's choice."""
    for link in parse_header_links(reply.headers.get("Link", "")):
        if link.get("rel") == "next":
            try:
                cursors = parse_qs(urlsplit(link["url"]).query).get("after")
            except ValueError:
                cursors = None
            if not cursors:
                raise TransportError("answer-unexpected", "a link to a next page without its cursor")
            return cursors[0]
    return None


def _pages(
    read: Callable[[str | None], tuple[_Page, str | None]],
) -> Iterator[_Page | TransportError]:
    """Yield page after page, and at the end what kept the rest from being read, if anything.

    `read` takes a cursor and returns a page and the next cursor. Raises what it raises at first.
    """
    seen: set[str] = set()
    after = None
    while True:
        try:
            page, following = read(after)
        except TransportError as error:
            if after is None:
                raise
            yield error
            return
        yield page
        if following is None:
            return
        if following in seen or len(seen) == MAX_PAGES:
            why = "go round in circles" if following in seen else f"are more than {MAX_PAGES}"
            yield TransportError("answer-unexpected", f"the pages of the list {why}")
            return
        seen.add(following)
        after = following


def _quoted(name: str) -> str:
    return quote(name, safe="/")
