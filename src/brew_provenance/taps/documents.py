"""Where the signed documents of Homebrew's API are found: brew's cache, our own, the network.

Whoever can write to a cache folder, serves a mirror or sits on the way to one controls what is found
there. Homebrew's signature is verified whichever way it came, so that all they can do is hold back
news or serve nothing; how old a document is, and that it is older than one seen before, is told.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_ISREG
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from brew_provenance.errors import InputError, TrustError, UsageError
from brew_provenance.files import FileTooLongError, make_private, read_bounded
from brew_provenance.jws import (
    KEY_ID,
    MAX_DOCUMENT_BYTES,
    JWSError,
    sidecar_source,
    verify_jws,
    verify_sidecar,
)

DEFAULT_DOMAIN: Final = "https://formulae.brew.sh/api"
"""Where Homebrew serves its API."""

REFRESH_INTERVAL: Final = timedelta(hours=6)
"""How long after a document was fetched it is taken for what the API serves still."""

OLD_AFTER: Final = timedelta(days=7)
"""From which age on a document is told to be old; Homebrew makes new ones many times a day."""

Fetch: TypeAlias = Callable[[str, int], bytes]
"""Returns what a URL serves, of which there may be so many bytes. Raises FileNotFoundError when the
server says that there is nothing, and another OSError when it gives no answer, or too long a one."""

_KEY_FILE = Path(__file__).with_name("homebrew-1.pem")
_MAX_STAMP_BYTES = 64
# The last second that a datetime can hold; files can be later.
_MAX_TIME = 253_402_300_799


@dataclass(frozen=True)
class Document:
    """A document whose signature was verified."""

    name: str
    """Its path below the API's domain, `internal/packages.arm64_tahoe.jws.json`."""

    payload: bytes
    """What was signed."""

    origin: str
    """Where it was found: a file or a URL."""

    place: str | None
    """The same for a verdict: a cache or another domain; None for Homebrew's own domain."""

    fetched: bytes | None = None
    """The document itself, when it has just come over the network."""


@dataclass(frozen=True)
class _Copy:
    """A file that a document was kept in, not looked into yet."""

    path: Path
    place: str
    next_step: str
    modified: datetime
    size: int
    modified_ns: int


class Documents:
    """The signed documents of one API, under one key."""

    def __init__(  # noqa: PLR0913 - the places to look, and what to look with
        self,
        folder: Path,
        *,
        now: datetime,
        brew_cache: Path | None = None,
        fetch: Fetch | None = None,
        domain: str | None = None,
        key: RSAPublicKey | None = None,
    ) -> None:
        """Look for documents in `brew_cache`, what `brew --cache` prints, in `folder`, and with `fetch`.

        `folder` is our own: it need not exist, and is not trusted. Without `fetch` nothing is fetched.
        `domain` is asked before Homebrew's own; with a `key` that is not Homebrew's, instead of it.
        """
        homebrew = homebrew_key()
        self._key = key or homebrew
        self._given = self._key != homebrew
        fingerprint = key_fingerprint(self._key)
        # Documents under different keys must not stand in each other's way.
        self._folder = folder / fingerprint[:16]
        self._signer = f"a key that was given (sha256:{fingerprint})" if self._given else KEY_ID
        self._now = now
        self._brew_cache = brew_cache
        self._fetch = fetch
        self._domains = ask_domains(domain, fall_back=not self._given)
        self._notes: list[str] = []

    @property
    def signer(self) -> str:
        """Whose signature all documents carry, for verdicts and errors."""
        return self._signer

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the documents found so far, a sentence each."""
        return tuple(self._notes)

    def load(self, name: str) -> Document:
        """Return the document `name`: kept and fresh, or fetched, or else the newest that was kept.

        Raises InputError for one that does not carry the signature, wherever it was found: the next
        place is not tried then. Raises UsageError when there is none.
        """
        copies = self._copies(name)
        for copy in copies:
            if timedelta(0) <= self._now - copy.modified < REFRESH_INTERVAL:
                return self._open(name, copy)
        try:
            url, raw = self._fetch_anew(name)
        except OSError as error:
            if not copies:
                raise self._absence(name, error) from error
            newest = max(copies, key=lambda copy: copy.modified)
            self._notes.append(
                f"{newest.place} holds {name} of {newest.modified:%Y-%m-%d %H:%M} UTC, "
                f"which could not be refreshed: {error}"
            )
            return self._open(name, newest)
        return self._accept(name, url, raw)

    def settle(self, document: Document, generated_at: datetime | None) -> None:
        """Note how old a document is, and keep it when it has just been fetched.

        `generated_at` is its own word for when it was made, None when it has none. A document that is
        older than one seen before is used, but not kept.
        """
        seen = self._last_seen(document.name) if generated_at else None
        if generated_at and seen and generated_at < seen:
            self._notes.append(
                f"{document.origin} was made {generated_at:%Y-%m-%d %H:%M} UTC, before one seen earlier, "
                f"of {seen:%Y-%m-%d %H:%M} UTC: whoever serves or keeps it may be holding back newer bottles"
            )
            return
        if generated_at and self._now - generated_at >= OLD_AFTER:
            self._notes.append(
                f"{document.origin} was made {(self._now - generated_at).days} days ago, "
                "so that there may be newer bottles than it knows of"
            )
        self._keep(document, generated_at if generated_at != seen else None)

    def _copies(self, name: str) -> list[_Copy]:
        own = self._folder / _file_name(name)
        copies = [_look(own, "the cache", "delete it: it will be fetched anew")]
        if self._brew_cache is not None:
            path = self._brew_cache / "api" / name
            copies.insert(0, _look(path, "brew's cache", "delete it and run `brew update`"))
        return [copy for copy in copies if copy is not None]

    def _open(self, name: str, copy: _Copy) -> Document:
        payload = self._open_sidecar(copy)
        if payload is None:
            try:
                payload = verify_jws(_read(copy.path, copy.next_step), self._key)
            except JWSError as error:
                raise self._refusal(copy.path, error, copy.next_step) from error
        return Document(name, payload, str(copy.path), copy.place)

    def _open_sidecar(self, copy: _Copy) -> bytes | None:
        """Return the payload that brew keeps apart, which spares reading a large JSON document.

        None when there is none, or one of another document, or one in a form that is not known.
        """
        path = copy.path.with_name(f"{copy.path.name}.payload")
        if not path.is_file():
            return None
        raw = _read(path, copy.next_step)
        try:
            if sidecar_source(raw) != (copy.size, copy.modified_ns):
                return None
            return verify_sidecar(raw, self._key)
        except JWSError as error:
            if error.kind == "malformed":
                return None
            raise self._refusal(path, error, copy.next_step) from error

    def _fetch_anew(self, name: str) -> tuple[str, bytes]:
        if self._fetch is None:
            raise OSError("the network is not to be used")
        return fetch_from(self._domains, name, self._fetch, MAX_DOCUMENT_BYTES)

    def _absence(self, name: str, error: OSError) -> UsageError:
        if isinstance(error, FileNotFoundError):
            next_step = "name another tag, or read the tap itself"
        else:
            next_step = "run `brew update`, or try again where the network can be used"
        return UsageError(name, f"kept nowhere, and {error}", next_step)

    def _accept(self, name: str, url: str, raw: bytes) -> Document:
        try:
            payload = verify_jws(raw, self._key)
        except JWSError as error:
            next_step = "install nothing on its word; try over another network, or without a mirror"
            suspicion = "; somebody between here and Homebrew may have changed it"
            raise self._refusal(url, error, next_step, suspicion) from error
        domain = url.removesuffix(f"/{name}")
        return Document(name, payload, url, None if domain == DEFAULT_DOMAIN else domain, raw)

    def _refusal(self, thing: Path | str, error: JWSError, next_step: str, more: str = "") -> InputError:
        return InputError(str(thing), f"not signed by {self._signer}: {error}{more}", next_step)

    def _last_seen(self, name: str) -> datetime | None:
        try:
            text = read_bounded(self._stamp(name), _MAX_STAMP_BYTES).decode("ascii")
            return datetime.fromisoformat(text).astimezone(UTC)
        except (OSError, ValueError, OverflowError):
            return None

    def _stamp(self, name: str) -> Path:
        return self._folder / f"{_file_name(name)}.newest"

    def _keep(self, document: Document, newest: datetime | None) -> None:
        if document.fetched is None and newest is None:
            return
        try:
            make_private(self._folder)
            if document.fetched is not None:
                _replace(self._folder / _file_name(document.name), document.fetched, self._now)
            if newest is not None:
                _replace(self._stamp(document.name), newest.isoformat().encode(), self._now)
        except OSError as error:
            self._notes.append(f"nothing can be kept in {self._folder}: {error.strerror or error}")


def ask_domains(domain: str | None, *, fall_back: bool) -> Sequence[str]:
    """Return the domains to ask, in this order: `domain`, and then Homebrew's own, as brew does."""
    first = (domain or DEFAULT_DOMAIN).rstrip("/")
    return list(dict.fromkeys((first, DEFAULT_DOMAIN))) if fall_back else [first]


def fetch_from(domains: Sequence[str], name: str, fetch: Fetch, max_bytes: int) -> tuple[str, bytes]:
    """Return the URL of the first answer, and the answer.

    Raises FileNotFoundError when every domain says that it has nothing of that name, OSError when
    none has an answer.
    """
    failures = []
    nowhere = True
    for domain in domains:
        url = f"{domain}/{name}"
        try:
            return url, fetch(url, max_bytes)
        except FileNotFoundError:
            failures.append(f"{url} does not exist")
        except OSError as error:
            failures.append(f"{domain} gave no answer ({_why(error)})")
            nowhere = False
    raise (FileNotFoundError if nowhere else OSError)(", ".join(failures))


def homebrew_key() -> RSAPublicKey:
    """Return the key that Homebrew signs its API with, as this package carries it.

    It is `Library/Homebrew/api/homebrew-1.pem` of Homebrew/brew, and is never read from an installed
    brew. Raises TrustError when the package is broken.
    """
    try:
        key = load_pem_public_key(_KEY_FILE.read_bytes())
    except (OSError, ValueError) as error:
        raise TrustError(str(_KEY_FILE), _why(error), "reinstall brew-provenance") from error
    if not isinstance(key, RSAPublicKey):
        raise TrustError(str(_KEY_FILE), "not an RSA key", "reinstall brew-provenance")
    return key


def key_fingerprint(key: RSAPublicKey) -> str:
    """Return the SHA-256 of the key's SubjectPublicKeyInfo, in lower-case hexadecimal."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _look(path: Path, place: str, next_step: str) -> _Copy | None:
    try:
        status = path.stat()
    except OSError:
        return None
    # brew as well takes an empty file for none; anything but a file could make us wait for ever.
    if not S_ISREG(status.st_mode) or not status.st_size:
        return None
    modified = datetime.fromtimestamp(min(max(status.st_mtime, 0), _MAX_TIME), UTC)
    return _Copy(path, place, next_step, modified, status.st_size, status.st_mtime_ns)


def _read(path: Path, next_step: str) -> bytes:
    try:
        return read_bounded(path, MAX_DOCUMENT_BYTES)
    except (OSError, FileTooLongError) as error:
        raise InputError(str(path), _why(error), next_step) from error


def _file_name(name: str) -> str:
    return name.rpartition("/")[2]


def _replace(path: Path, raw: bytes, now: datetime) -> None:
    # Under a name that nobody can have prepared; two processes may do this at once.
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(raw)
        os.utime(unfinished, (now.timestamp(), now.timestamp()))
        Path(unfinished).replace(path)
    except OSError:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _why(error: Exception) -> str:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return reason.splitlines()[0][:200]
