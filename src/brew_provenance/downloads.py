"""brew's downloads: where it gets a bottle from, where it keeps it, and fetching one as it would.

The rules are those of brew's `bottle_specification.rb`, `bottle.rb`, `brew.sh` and its download
strategies. Whoever controls the environment chooses the mirrors, and a mirror, a registry or anybody in
between may answer anything: a file gets a bottle's name when its bytes are the bottle.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from brew_provenance.bottle import Bottle, Digest, bottle_url
from brew_provenance.bottlefile import MAX_BOTTLE_BYTES
from brew_provenance.brewenv import DEFAULT_BOTTLE_DOMAIN
from brew_provenance.incomplete import IncompleteFile, holds
from brew_provenance.transport import Reply, Transport, TransportError

GITHUB_REGISTRY: Final = "https://ghcr.io"

ANONYMOUS: Final = "Bearer QQ=="
"""The token with which GitHub's registry gives public packages to everybody (`brew.sh` in brew)."""

# GitHubPackages::URL_REGEX and VALID_OCI_TAG_REGEX in brew's `github_packages.rb`.
_GITHUB_PACKAGES = re.compile(r"https://ghcr\.io/v2/([\w-]+)/([\w-]+)", re.ASCII)
_OCI_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_ORIGIN = re.compile(r"(https?://[0-9a-z._:\[\]-]+)(?:[/?#][!-~]*)?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

ATTEMPTS: Final = 4
"""How often one URL is asked; each attempt goes on where the one before stopped."""

PATIENCE: Final = 60.0
"""After how many seconds it is looked at how much has come."""

SLOWEST_BYTES: Final = 256 * 1024
"""What has to come in that time: a sender of drops holds nobody up without end."""

Progress = Callable[[int, int | None], None]
"""Told how many bytes of a bottle are there, and how many there will be, where that is known."""

_PASSING = frozenset({"connection-broken", "connection-failed", "proxy-failed", "answer-timed-out"})
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_PAUSE = 0.5
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_LENGTH = re.compile(r"[0-9]{1,18}")


class BottleFetchError(Exception):
    """A bottle could not be fetched. `code` is a reason code, and the text says what was seen."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def url_for_brew(bottle: Bottle, bottle_domain: str | None = None) -> str:
    """Return the URL by which brew knows a bottle: where homebrew-core's have a mirror, the one there.

    `bottle_domain` is HOMEBREW_BOTTLE_DOMAIN, None for the default one. HOMEBREW_ARTIFACT_DOMAIN
    changes whom brew asks, and not this.
    """
    if bottle_domain is None or not bottle.url.startswith(f"{DEFAULT_BOTTLE_DOMAIN}/"):
        return bottle.url
    packages = _GITHUB_PACKAGES.match(bottle_domain)
    if packages is not None:
        owner, repository = packages[1].lower(), packages[2].removeprefix("homebrew-")
        bottle_domain = f"{GITHUB_REGISTRY}/v2/{owner}/{repository}"
    return bottle_url(bottle_domain, bottle.file_name, bottle.digest)


def mirrored_urls(
    bottle: Bottle,
    *,
    bottle_domain: str | None = None,
    artifact_domain: str | None = None,
    no_fallback: bool = False,
) -> list[str]:
    """Return the URLs that brew would ask for a bottle, in its order.

    The arguments are HOMEBREW_BOTTLE_DOMAIN and HOMEBREW_ARTIFACT_DOMAIN, None where not set, and
    whether HOMEBREW_ARTIFACT_DOMAIN_NO_FALLBACK is set, which takes the place of the default domain
    from the second and not from the first.
    """
    urls = []
    for url in (url_for_brew(bottle, bottle_domain), bottle.url):
        urls.append(url if artifact_domain is None else _on_artifact_domain(url, artifact_domain))
        if not no_fallback:
            urls.append(url)
    return list(dict.fromkeys(urls))


def registry_authorization(
    *, artifact_domain: str | None = None, token: str | None = None, basic_auth_token: str | None = None
) -> dict[str, str]:
    """Return the Authorization header for each registry, by its origin, `https://ghcr.io`.

    The tokens are HOMEBREW_DOCKER_REGISTRY_TOKEN and HOMEBREW_DOCKER_REGISTRY_BASIC_AUTH_TOKEN. They go
    to the artifact domain where there is one, and to GitHub's registry otherwise; brew would send those
    of the artifact domain to GitHub as well when it falls back.
    """
    given = f"Bearer {token}" if token else None
    if given is None and basic_auth_token not in {None, "", "none"}:
        given = f"Basic {basic_auth_token}"
    if artifact_domain is not None:
        own = {_origin(artifact_domain): given} if given else {}
        return {GITHUB_REGISTRY: ANONYMOUS, **own}
    if given is None and basic_auth_token:
        return {}
    return {GITHUB_REGISTRY: given or ANONYMOUS}


def cached_bottle_path(cache: Path, bottle: Bottle, url: str | None = None) -> Path:
    """Return where brew keeps a bottle that it has downloaded, below its cache folder.

    `url` is the bottle's `url_for_brew`; without it, the one on the default domain.
    """
    url = url or bottle.url
    name = str(bottle.file_name) if _is_blob(url, bottle.digest) else _last_part(url)
    return cache / "downloads" / f"{_sha256(url)}--{name}"


def cached_manifest_path(cache: Path, bottle: Bottle, url: str | None = None) -> Path | None:
    """Return where brew keeps a bottle's manifest; None for one that comes from no registry."""
    url = url or bottle.url
    tag = f"{bottle.version}-{bottle.rebuild}" if bottle.rebuild else bottle.version
    if not _is_blob(url, bottle.digest) or _OCI_TAG.fullmatch(tag) is None:
        return None
    manifest = f"{url.removesuffix(f'/blobs/{bottle.digest}')}/manifests/{tag}"
    return cache / "downloads" / f"{_sha256(manifest)}--{bottle.formula}-{tag}.bottle_manifest.json"


def find_cached(cache: Path, bottle: Bottle, url: str | None = None) -> Path | None:
    """Return the file that brew would take for this bottle, without a look into it; None if none.

    What comes from no registry bears any name that its server gave it, where it is the only one from
    its URL (`AbstractFileDownloadStrategy#cached_location` in brew).
    """
    url = url or bottle.url
    path = cached_bottle_path(cache, bottle, url)
    # What we may not look at is not there for us.
    with suppress(OSError):
        if not _is_blob(url, bottle.digest):
            found = [
                other
                for other in path.parent.glob(f"{_sha256(url)}--*")
                if not other.name.endswith(".incomplete")
            ]
            path = found[0] if len(found) == 1 else path
        return path if path.is_file() else None
    return None


def fetch_bottle(  # noqa: PLR0913 - the parts of a download
    transport: Transport,
    bottle: Bottle,
    folder: Path,
    *,
    urls: Sequence[str],
    authorization: Mapping[str, str],
    progress: Progress = lambda _there, _total: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Download a bottle into `folder`, under its file name, and return its path; it has its digest.

    The URLs are asked in turn, each up to ATTEMPTS times. A download goes on where it stopped, also
    where an earlier process began it. Bytes of several answers that together are not the bottle are
    fetched once more from the start. Bytes of one answer that are not the bottle are deleted, so that
    nobody pours them, and nobody else is asked: that is no fault of the network.

    `authorization` holds the header for each origin, as `registry_authorization` returns it. The time
    is that of `transport`. Raises BottleFetchError, and InputError when the folder cannot be used.
    """
    path = folder / str(bottle.file_name)
    if holds(path, bottle.digest, MAX_BOTTLE_BYTES):
        return path
    with IncompleteFile(path, MAX_BOTTLE_BYTES) as incomplete:
        # Another process may have had the lock until now, and have done the work.
        if holds(path, bottle.digest, MAX_BOTTLE_BYTES):
            incomplete.remove()
            return path
        if incomplete.digest() != bottle.digest:
            _Download(transport, bottle.digest, authorization, progress, clock, sleep).run(urls, incomplete)
        incomplete.finish()
    return path


class _Download:
    """One bottle on its way."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a download
        self,
        transport: Transport,
        digest: Digest,
        authorization: Mapping[str, str],
        progress: Progress,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._transport = transport
        self._digest = digest
        self._authorization = authorization
        self._progress = progress
        self._clock = clock
        self._sleep = sleep
        self._restarted = False

    def run(self, urls: Sequence[str], incomplete: IncompleteFile) -> None:
        """Return when the bottle is there, whole. Raises BottleFetchError."""
        failures = []
        for url in urls:
            failure = self._fetch(url, incomplete)
            if failure is None:
                return
            failures.append(failure)
        raise BottleFetchError("bottle-not-fetched", "; ".join(failures) or "there is nobody to ask for it")

    def _fetch(self, url: str, incomplete: IncompleteFile) -> str | None:
        """Return why the bottle cannot be had from `url`; None when it is there."""
        attempt = 1
        while True:
            try:
                self._get_whole(url, incomplete)
            except TransportError as error:
                if error.code not in _PASSING or attempt == ATTEMPTS:
                    return error.detail
            else:
                return None
            self._sleep(_FIRST_PAUSE * (1 << (attempt - 1)))
            attempt += 1

    def _get_whole(self, url: str, incomplete: IncompleteFile) -> None:
        pieced = self._get_rest(url, incomplete)
        if incomplete.digest() != self._digest and pieced and not self._restarted:
            self._restarted = True
            incomplete.restart()
            self._get_rest(url, incomplete)
        if incomplete.digest() != self._digest:
            incomplete.remove()
            found = f"{incomplete.size:,} bytes with {incomplete.digest()}"
            raise BottleFetchError(
                "artifact-digest-mismatch", f"{_origin(url)} sent {found} instead of {self._digest}"
            )

    def _get_rest(self, url: str, incomplete: IncompleteFile) -> bool:
        """Send one request, and say whether its answer went on where another had stopped."""
        headers = {}
        if (authorization := self._authorization.get(_origin(url))) is not None:
            headers["Authorization"] = authorization
        if incomplete.size:
            # No If-Range: what a registry names by its digest does not change, and the digest decides.
            headers["Range"] = f"bytes={incomplete.size}-"
        with self._transport.stream(url, headers) as (reply, pieces):
            total = _begin(url, reply, incomplete)
            pieced = incomplete.size > 0
            for piece in self._in_time(url, pieces):
                incomplete.append(piece)
                if incomplete.size > (MAX_BOTTLE_BYTES if total is None else total):
                    incomplete.restart()
                    raise TransportError("answer-too-long", f"{_origin(url)} sends more than a bottle has")
                self._progress(incomplete.size, total)
        if total is not None and incomplete.size < total:
            raise TransportError("connection-broken", f"{_origin(url)} cut its answer short")
        return pieced

    def _in_time(self, url: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        since, come = self._clock(), 0
        for piece in pieces:
            come += len(piece)
            if self._clock() - since > PATIENCE:
                if come < SLOWEST_BYTES:
                    raise TransportError("answer-timed-out", f"{_origin(url)} is too slow: {come:,} bytes")
                since, come = self._clock(), 0
            yield piece


def _begin(url: str, reply: Reply, incomplete: IncompleteFile) -> int | None:
    """Stand where an answer begins, and return how long the bottle will be, where it says so."""
    said = reply.headers.get("Content-Length", "")
    if reply.status == 206 and incomplete.size:
        match = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != incomplete.size:
            incomplete.restart()
            raise TransportError("connection-broken", f"{_origin(url)} sends another part than asked for")
        said = match[2]
    elif reply.status == 200:
        # Also where the rest was asked for: not every server knows ranges.
        incomplete.restart()
    elif reply.status == 416 and incomplete.size:
        incomplete.restart()
        raise TransportError("connection-broken", f"{_origin(url)} has no more than what is here already")
    else:
        code = "connection-broken" if reply.status in _PASSING_STATUS else "answer-unexpected"
        raise TransportError(code, f"{_origin(url)} answers with status {reply.status}")
    total = int(said) if _LENGTH.fullmatch(said) else None
    if total is not None and total > MAX_BOTTLE_BYTES:
        raise TransportError("answer-too-long", f"{_origin(url)} would send {total:,} bytes")
    return total


def _on_artifact_domain(url: str, artifact_domain: str) -> str:
    domain = artifact_domain.removesuffix("/")
    registry = f"{GITHUB_REGISTRY}/"
    # A registry below a path of its own has the protocol's `/v2/` in front of that path already.
    if re.match(r"https?://[^/]+/v2(?:/|\Z)", domain):
        registry += "v2/"
    rest = url.removeprefix(registry)
    return url if rest == url else f"{domain}/{rest}"


def _is_blob(url: str, digest: Digest) -> bool:
    return _GITHUB_PACKAGES.match(url) is not None and url.endswith(f"/blobs/{digest}")


def _last_part(url: str) -> str:
    """Return the file name that a URL ends in (`parse_basename` and `Utils.safe_filename` in brew)."""
    part = unquote(re.split(r"[?#]", url, maxsplit=1)[0].rpartition("/")[2])
    return _CONTROL.sub("", part.rpartition("/")[2])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _origin(url: str) -> str:
    """Return scheme, host and port of a URL; of one that `Transport` would refuse, nothing of it."""
    match = _ORIGIN.fullmatch(url)
    return match[1].lower() if match is not None else "an address that is not asked"
