"""Trusted roots: whom a signature must lead back to.

The public-good root comes, by itself, from nowhere but Sigstore's TUF repository: either the copy
that the installed `sigstore` distribution carries, or a newer one whose TUF signatures chain to
the root metadata that it carries. A cache folder that somebody else can write, or choose through
the environment, can therefore hold back news, for at most as long as TUF's timestamp is valid, but
never change whom we trust. Any other root must be named by the user, and is named in the verdict.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brew_provenance import strictjson
from brew_provenance.errors import TrustError
from brew_provenance.files import FileTooLongError, make_private, read_bounded
from brew_provenance.findings import Finding
from brew_provenance.strictjson import MalformedJSONError

if TYPE_CHECKING:
    from tuf.ngclient.fetcher import FetcherInterface

MAX_ROOT_BYTES: Final = 4 * 1024 * 1024
"""A file of trusted roots; the real ones have some 35 kB."""

REFRESH_INTERVAL: Final = timedelta(days=1)
"""How old the last look at the TUF repository may be."""

RETRY_INTERVAL: Final = timedelta(hours=1)
"""How long after a failed look the next one is tried."""

_TUF_URL = "https://tuf-repo-cdn.sigstore.dev"
# For one attempt, of which urllib3 makes up to four; a failure is not repeated for an hour.
_TUF_TIMEOUT_SECONDS = 3
_TARGET = "trusted_root.json"


@dataclass(frozen=True)
class TrustedRoot:
    """One trusted root, not yet loaded by any verifier."""

    name: str
    """What to call it in a verdict."""

    raw: bytes
    """Its JSON (`application/vnd.dev.sigstore.trustedroot+json`)."""

    built_in: bool
    """Whether it is the public-good root that is trusted without being asked for."""

    note: str = ""
    """What a person should know of how it was come by; empty when there is nothing to say."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The note, as a finding for verdicts."""
        return (Finding("trusted-root-note", self.note),) if self.note else ()

    @property
    def sha256(self) -> str:
        """Digest of the JSON, lower-case hexadecimal."""
        return hashlib.sha256(self.raw).hexdigest()


def read_trusted_roots(path: Path) -> list[TrustedRoot]:
    """Read a file with one trusted root, or with one a line (`gh attestation trusted-root`).

    Raises TrustError when the file cannot be read or any part of it is not a trusted root.
    """
    next_step = "give a file made by `gh attestation trusted-root`, or a Sigstore trusted_root.json"
    try:
        raw = read_bounded(path, MAX_ROOT_BYTES)
    except OSError as error:
        raise TrustError(str(path), error.strerror or str(error), next_step) from error
    except FileTooLongError as error:
        raise TrustError(str(path), str(error), next_step) from error
    lines = [line for line in raw.split(b"\n") if line.strip()]
    documents = lines if len(lines) > 1 and lines[1].startswith(b"{") else [raw]
    roots = []
    for number, document in enumerate(documents, 1):
        name = str(path) if len(documents) == 1 else f"{path} line {number}"
        try:
            value = strictjson.loads(document, MAX_ROOT_BYTES)
        except MalformedJSONError as error:
            raise TrustError(name, str(error), next_step) from error
        if not (isinstance(value, dict) and "trustedroot" in str(value.get("mediaType"))):
            raise TrustError(name, "not a Sigstore trusted root", next_step)
        # protobuf's readers take both spellings of a name, and whoever looks for one would miss the other.
        if b"_" in document and (key := _find_underscore(value)):
            raise TrustError(name, f"a name is written {key!r}, not as protobuf's JSON has it", next_step)
        roots.append(TrustedRoot(name, document, built_in=False))
    return roots


def _find_underscore(value: object) -> str | None:
    """Return a name in a document that has an underscore, where one has."""
    pending = [value]
    while pending:
        found = pending.pop()
        if isinstance(found, dict):
            if named := next((key for key in found if "_" in key), None):
                return str(named)[:80]
            pending += found.values()
        elif isinstance(found, list):
            pending += found
    return None


def public_good_root(
    cache: Path, *, offline: bool, now: datetime, fetcher: FetcherInterface | None = None
) -> TrustedRoot:
    """Return Sigstore's public-good root: the newest whose TUF signatures verify.

    `cache` is a folder for TUF metadata; it need not exist and is not trusted. Unless `offline`,
    the TUF repository is looked at when the last look is older than a day. Whatever goes wrong with
    that, a root is still returned, and its `note` says what went wrong.
    """
    embedded = distributed_file(_TARGET)
    state = _TufCache(cache)
    due = not offline and state.is_due(now)
    if not due and not state.holds_metadata:
        return TrustedRoot("public-good", embedded, built_in=True)
    bootstrap = distributed_file("root.json")
    try:
        current = state.refresh(bootstrap, fetcher) if due else state.load(bootstrap)
    except _TufFailure as failure:
        state.mark(now, succeeded=False)
        return TrustedRoot("public-good", embedded, built_in=True, note=str(failure))
    if due:
        state.mark(now, succeeded=True)
    return TrustedRoot("public-good", current, built_in=True)


def is_public_good(root: TrustedRoot) -> bool:
    """Whether a root names a certificate authority of Sigstore's public-good instance, by its certificates.

    What the root calls itself, and whom it names as the subject, says nothing.
    """
    if root.built_in:
        return True
    return not _authorities(root.raw).isdisjoint(_authorities(distributed_file(_TARGET)))


def _authorities(raw: bytes) -> set[bytes]:
    """Return the certificates of a root's certificate authorities; none of what is no trusted root."""
    try:
        document: Any = strictjson.loads(raw, MAX_ROOT_BYTES)
        return {
            base64.b64decode(certificate["rawBytes"])
            for authority in document["certificateAuthorities"]
            for certificate in authority["certChain"]["certificates"]
        }
    except (ValueError, KeyError, TypeError):
        return set()


def distributed_file(name: str) -> bytes:
    """Return a file of Sigstore's TUF repository as the `sigstore` distribution carries it.

    Raises TrustError when the installed distribution does not carry it.
    """
    found = [
        file
        for file in metadata.files("sigstore") or ()
        if file.name == name and file.parent.name.endswith("tuf-repo-cdn.sigstore.dev")
    ]
    if len(found) != 1:
        raise TrustError(
            "the installed sigstore distribution",
            f"carries {len(found)} files {name} of the public-good TUF repository, one expected",
            "reinstall brew-provenance and its dependencies, or give --trusted-root FILE",
        )
    return Path(str(found[0].locate())).read_bytes()


class _TufFailure(Exception):  # noqa: N818 - never leaves this module
    """The TUF repository or its cached copy gave no root; says why."""


class _TufCache:
    """A TUF client's folder, with the time of the last look at the repository."""

    def __init__(self, folder: Path) -> None:
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"
        self._succeeded = folder / "refreshed"
        self._failed = folder / "failed"

    @property
    def holds_metadata(self) -> bool:
        """Whether an earlier refresh left something to load."""
        return (self._metadata / "timestamp.json").is_file()

    def is_due(self, now: datetime) -> bool:
        """Whether it is time to look at the repository again."""
        return _older(self._succeeded, now, REFRESH_INTERVAL) and _older(self._failed, now, RETRY_INTERVAL)

    def mark(self, now: datetime, *, succeeded: bool) -> None:
        """Note when the repository was looked at; a folder that cannot be written is no failure."""
        stamp = self._succeeded if succeeded else self._failed
        try:
            make_private(stamp.parent)
            stamp.write_text(now.astimezone(UTC).isoformat(), encoding="ascii")
        except OSError:
            return

    def refresh(self, bootstrap: bytes, fetcher: FetcherInterface | None) -> bytes:
        """Return the repository's current root."""
        from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher  # noqa: PLC0415 - costs 0.1 s, seldom needed

        return self._update(bootstrap, fetcher or Urllib3Fetcher(socket_timeout=_TUF_TIMEOUT_SECONDS))

    def load(self, bootstrap: bytes) -> bytes:
        """Return the root that the last refresh left, verified anew from `bootstrap`."""
        return self._update(bootstrap, _cached_repository(self._metadata))

    def _update(self, bootstrap: bytes, fetcher: FetcherInterface) -> bytes:
        from tuf.api.exceptions import DownloadError, RepositoryError  # noqa: PLC0415
        from tuf.ngclient.updater import Updater  # noqa: PLC0415

        try:
            for folder in (self._metadata, self._targets):
                make_private(folder)
            updater = Updater(
                metadata_dir=str(self._metadata),
                metadata_base_url=_TUF_URL,
                target_dir=str(self._targets),
                target_base_url=f"{_TUF_URL}/targets/",
                fetcher=fetcher,
                bootstrap=bootstrap,
            )
            target = updater.get_targetinfo(_TARGET)
            if target is None:
                raise _TufFailure(f"Sigstore's TUF repository lists no {_TARGET}")
            path = updater.find_cached_target(target) or updater.download_target(target)
            raw = Path(path).read_bytes()
            target.verify_length_and_hashes(raw)
        except (DownloadError, RepositoryError, OSError, ValueError) as error:
            raise _TufFailure(
                f"Sigstore's TUF repository could not be used ({_first_line(error)}); "
                "the root that this installation carries is used instead"
            ) from error
        return raw


def _cached_repository(folder: Path) -> FetcherInterface:
    """Return a fetcher that serves what a TUF client keeps in its metadata folder, and no more."""
    from tuf.api.exceptions import DownloadHTTPError  # noqa: PLC0415
    from tuf.ngclient.fetcher import FetcherInterface  # noqa: PLC0415

    class CachedRepository(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            name = url.rpartition("/")[2]
            version, _, role = name.rpartition(".json")[0].rpartition(".")
            path = folder / "root_history" / name if role == "root" else folder / f"{role}.json"
            if (role != "root" and version and not version.isdigit()) or not path.is_file():
                raise DownloadHTTPError(f"{name} is not in the cache", 404)
            yield path.read_bytes()

    return CachedRepository()


def _older(stamp: Path, now: datetime, than: timedelta) -> bool:
    try:
        then = datetime.fromisoformat(stamp.read_text(encoding="ascii"))
        age = now - then
    except (OSError, ValueError, TypeError):
        return True
    return not timedelta(0) <= age < than


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
