"""Keyless signing: the one place that calls sigstore-python's signer, and asks for identity tokens.

An identity token comes from the CI provider's own endpoint, or from whoever runs the command. It goes to
the certificate authority and to nobody else, and stands in no message: what services answer is quoted
without it.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self, TypeVar

import requests
from sigstore.dsse import Statement
from sigstore.errors import Error as SigstoreError
from sigstore.models import ClientTrustConfig, InvalidBundle
from sigstore.oidc import ExpiredIdentity, IdentityError, IdentityToken, detect_credential
from sigstore.sign import Signer, SigningContext

from brew_provenance import strictjson
from brew_provenance.errors import BuildSideError, InputError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.trust import TrustedRoot

MAX_TOKEN_BYTES: Final = 64 * 1024
"""An identity token; GitHub's have some two kilobytes."""

MAX_CONFIG_BYTES: Final = 4 * 1024 * 1024
"""A client trust configuration; Sigstore's own has some 40 kilobytes."""

PATIENCE: Final = 60.0
"""Seconds that one step may take: a token, a certificate, a signature with its log entry."""

ATTEMPTS: Final = 4
"""How often a step is tried that failed for a reason that may pass."""

MARGIN: Final = timedelta(seconds=60)
"""What is left of a token or a certificate when another one is asked for."""

_LIFETIME = timedelta(minutes=5)  # until the first bundle says how long a certificate is valid
_AGAIN: Final = "run the command again; `attest` signs nothing twice"
_PERMISSION: Final = "give the job `permissions: id-token: write`"
_CONFIG: Final = "compare --trust-config with what the instance publishes"
_NO_CONFIG: Final = "not a client trust configuration"
_CONFIG_FILE: Final = "give a client trust configuration (ClientTrustConfig, JSON)"
_PERMISSION_VARIABLES = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL")

_ISSUER, _AUTHORITY, _LOG = "the identity token", "the certificate authority", "the transparency log"
_STAMPS: Final = "the timestamp authority"
# What a request was for, by the end of its path (Fulcio's and Rekor's API, both versions).
_PATHS: Final = {"/api/v2/signingCert": _AUTHORITY, "/log/entries": _LOG}
_STATUS_OF_ISSUER = re.compile(r"\(code=([0-9]{3}),")
_Result = TypeVar("_Result")


class _StepError(Exception):
    """A step failed; `passes` says whether it may succeed when it is tried again."""

    def __init__(self, error: BuildSideError, *, passes: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.passes = passes


class Keyless:
    """Signs with short-lived certificates of one identity; one serves for many statements.

    Several threads may sign at once. Close it when done.
    """

    def __init__(
        self,
        config: ClientTrustConfig,
        token: str | None = None,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Sign under `config`, with `token` or, when it is None, with the tokens that GitHub gives the job.

        Waits up to `patience` seconds for each answer. Raises BuildSideError when `config` names no
        services that can be used now.
        """
        try:
            self._context = SigningContext.from_trust_config(config)
        except (SigstoreError, ValueError) as error:
            raise BuildSideError("the trust configuration", _line(error, ()), _CONFIG) from error
        self._given = token
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._secrets = {token} if token else set()
        self._token: IdentityToken | None = None
        self._signer: Signer | None = None
        self._until = datetime.max.replace(tzinfo=UTC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._opened.close()

    def claims(self) -> Mapping[str, str]:
        """Return what the identity token says of the job; nobody has verified it.

        Raises BuildSideError when there is no token.
        """
        with self._lock:
            return _read_claims(str(self._retried(self._identity)))

    def sign(self, statement: bytes) -> bytes:
        """Return the bundle of a statement. Raises BuildSideError, which says what to do.

        A log that takes an entry and then does not answer has an entry more than there are bundles: what
        it has is not to be had without its answer.
        """
        return self._retried(lambda: self._sign_once(statement))

    def _retried(self, step: Callable[[], _Result]) -> _Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return step()
            except _StepError as failure:
                if attempt == ATTEMPTS or not failure.passes:
                    raise failure.error from None
                self._sleep(float(1 << (attempt - 1)))
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def _sign_once(self, statement: bytes) -> bytes:
        with self._lock:
            signer = self._current_signer()
        try:
            bundle = self._within(_LOG, lambda: signer.sign_dsse(Statement(statement)))
        except _StepError as failure:
            if failure.error.thing not in {_LOG, _STAMPS}:
                # Whatever it was, another certificate may not meet it.
                self._drop(signer)
            raise
        with self._lock:
            if self._signer is signer:
                self._until = bundle.signing_certificate.not_valid_after_utc - MARGIN
        return bundle.to_json().encode()

    def _drop(self, signer: Signer) -> None:
        with self._lock:
            if self._signer is signer:
                self._signer = None

    def _current_signer(self) -> Signer:
        if self._signer is None or self._clock() >= self._until:
            token = self._identity()
            until = self._clock() + _LIFETIME
            self._signer = self._within(
                _AUTHORITY, lambda: self._opened.enter_context(self._context.signer(token))
            )
            self._until = until
        return self._signer

    def _identity(self) -> IdentityToken:
        """Return a token that is valid for a while yet. Raises _StepError."""
        if self._token is None or self._expires(self._token) - MARGIN <= self._clock():
            raw = self._given if self._given is not None else self._ask_issuer()
            if raw:
                self._secrets.add(raw)
            try:
                self._token = IdentityToken(raw)
            except IdentityError:
                # The library's own error is not handed on: it may quote the token.
                raise _StepError(self._unusable(), passes=self._given is None) from None
        return self._token

    def _unusable(self) -> BuildSideError:
        if self._given is None:
            return BuildSideError(_ISSUER, "GitHub gave one that has expired, or is malformed", _AGAIN)
        cause = "it has expired, is malformed, or is for another audience than sigstore"
        return BuildSideError(_ISSUER, cause, "give a fresh one with --identity-token")

    def _expires(self, token: IdentityToken) -> datetime:
        # One that was given is used as long as it is valid: there is no other.
        margin = MARGIN if self._given is not None else timedelta(0)
        try:
            return datetime.fromtimestamp(int(_read_claims(str(token))["exp"]), UTC) + margin
        except (KeyError, ValueError, OverflowError, OSError):
            return self._clock()

    def _ask_issuer(self) -> str:
        if os.environ.get("GITHUB_ACTIONS") != "true":
            cause = "there is none: this is no job of GitHub Actions"
            raise _StepError(BuildSideError(_ISSUER, cause, "give --identity-token"), passes=False)
        if not all(os.environ.get(name) for name in _PERMISSION_VARIABLES):
            raise _StepError(
                BuildSideError(_ISSUER, "the job may not ask for one", _PERMISSION), passes=False
            )
        self._secrets.add(os.environ[_PERMISSION_VARIABLES[0]])
        token = self._within(_ISSUER, detect_credential)
        if token is None:  # pragma: no cover - in a job of Actions there is one, or an error
            raise _StepError(BuildSideError(_ISSUER, "GitHub gives none", _AGAIN), passes=True)
        return token

    def _within(self, where: str, function: Callable[[], _Result]) -> _Result:
        """Call a function of sigstore's, and give up on it in time: some of them wait for ever.

        Raises _StepError for whatever goes wrong.
        """
        done: queue.SimpleQueue[tuple[_Result] | Exception] = queue.SimpleQueue()

        def work() -> None:
            try:
                done.put((function(),))
            except Exception as error:  # noqa: BLE001 - sigstore leaks what its libraries raise
                done.put(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            result = done.get(timeout=self._patience)
        except queue.Empty:
            raise _StepError(
                BuildSideError(where, f"no answer within {self._patience:.0f} s", _AGAIN), passes=True
            ) from None
        if isinstance(result, Exception):
            # Copied: another thread may have a further one by now.
            raise _explain(where, result, tuple(self._secrets)) from None
        return result[0]


def read_config(path: Path | None) -> ClientTrustConfig:
    """Return the client trust configuration in a file; Sigstore's public-good one where there is none.

    Raises InputError for a file that is none, and BuildSideError when Sigstore's cannot be had.
    """
    if path is None:
        try:
            return ClientTrustConfig.production()
        except (SigstoreError, OSError, ValueError) as error:
            cause = f"its signing configuration cannot be had: {_line(error, ())}"
            raise BuildSideError(
                "Sigstore's TUF repository", cause, f"look at the network; {_AGAIN}"
            ) from error
    try:
        return ClientTrustConfig.from_json(json.dumps(_read_document(path)))
    except (SigstoreError, ValueError) as error:
        raise InputError(str(path), f"{_NO_CONFIG}: {_line(error, ())}", _CONFIG_FILE) from error


def read_root(path: Path) -> TrustedRoot:
    """Return the trusted root in a client trust configuration, which a person named. Raises InputError."""
    root = _read_document(path).get("trustedRoot")
    if not isinstance(root, dict):
        raise InputError(str(path), f"{_NO_CONFIG}: it has no trustedRoot", _CONFIG_FILE)
    return TrustedRoot(str(path), json.dumps(root).encode(), built_in=False)


def _read_document(path: Path) -> Mapping[str, object]:
    try:
        document = strictjson.loads(read_bounded(path, MAX_CONFIG_BYTES), MAX_CONFIG_BYTES)
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), _CONFIG_FILE) from error
    except (FileTooLongError, MalformedJSONError) as error:
        raise InputError(str(path), f"{_NO_CONFIG}: {error}", _CONFIG_FILE) from error
    if not isinstance(document, dict):
        raise InputError(str(path), f"{_NO_CONFIG}: no JSON object", _CONFIG_FILE)
    return document


def read_token(path: Path) -> str:
    """Return the identity token in a file. Raises InputError, which does not quote it."""
    next_step = "give a file with one OIDC token, for the audience sigstore"
    try:
        token = read_bounded(path, MAX_TOKEN_BYTES).decode("ascii").strip()
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), next_step) from error
    except (FileTooLongError, UnicodeDecodeError):
        token = ""
    if re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", token) is None:
        raise InputError(str(path), "not an identity token", next_step)
    return token


def _read_claims(token: str) -> Mapping[str, str]:
    """Return the claims of a token that are texts or numbers."""
    part = token.split(".")[1]
    try:
        found = strictjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), MAX_TOKEN_BYTES)
    except (ValueError, MalformedJSONError):
        found = None
    if not isinstance(found, dict):
        raise BuildSideError(_ISSUER, "its claims cannot be read", "give another one")
    return {name: str(value) for name, value in found.items() if isinstance(value, str | int)}


@dataclass(frozen=True)
class _Row:
    """What an answer's status means, and what to do."""

    cause: str
    next_step: str
    passes: bool = False


_AUDIENCE: Final = "sign with a fresh token, for the audience sigstore"
_REFUSED: Final = _Row("refuses the request", _CONFIG)
_STATUSES: Final[Mapping[tuple[str, int], _Row]] = {
    **{
        (_ISSUER, status): _Row("GitHub does not give one to this job", _PERMISSION)
        for status in (401, 403, 404)
    },
    **{(_AUTHORITY, status): _Row("refuses the identity token", _AUDIENCE) for status in (400, 401, 403)},
    (_LOG, 409): _Row("says that it has such an entry", _AGAIN, passes=True),
    (_LOG, 400): _Row("refuses the entry", _CONFIG),
    (_LOG, 422): _Row("refuses the entry", _CONFIG),
}
"""By service and status; what is not here is refused for good below 500, and passes from there on."""


def _explain(where: str, error: Exception, secrets: Collection[str]) -> _StepError:
    """Say what an exception of sigstore's, or of what it calls, means."""
    links = list(_chain(error))
    for link in links:
        if isinstance(link, requests.RequestException):
            return _explain_exchange(_service(link) or where, link, error, secrets)
    for kind, thing, cause, passes in (
        (ExpiredIdentity, _ISSUER, "it expired before a certificate was had", True),
        (InvalidBundle, _STAMPS, "there is no timestamp, without which the log's entry proves no time", True),
        (SigstoreError, where, "its answer does not verify", False),
    ):
        if where != _ISSUER and any(isinstance(link, kind) for link in links):
            said = f"{cause}: {_line(error, secrets)}"
            return _StepError(BuildSideError(thing, said, _AGAIN if passes else _CONFIG), passes=passes)
    said = _line(error, secrets)
    # The signer's own look at its certificate, which sigstore has no public name for.
    if type(error).__name__ == "ExpiredCertificate":
        expired = BuildSideError(_AUTHORITY, "its certificate expired before it was used", _AGAIN)
        return _StepError(expired, passes=True)
    if where == _ISSUER:
        match = _STATUS_OF_ISSUER.search(str(error))
        row = _row(where, int(match[1])) if match else _Row("GitHub gave none", _AGAIN, passes=True)
        return _StepError(BuildSideError(where, f"{row.cause}: {said}", row.next_step), passes=row.passes)
    return _StepError(BuildSideError(where, f"does not answer as it should: {said}", _AGAIN), passes=True)


def _explain_exchange(
    where: str, found: requests.RequestException, error: Exception, secrets: Collection[str]
) -> _StepError:
    if found.response is None:
        cause = f"cannot be reached, or breaks off: {_line(found, secrets)}"
        return _StepError(BuildSideError(where, cause, _AGAIN), passes=True)
    status = found.response.status_code
    row = _row(where, status)
    said = f": {_line(error, secrets)}" if error is not found and str(error) else ""
    return _StepError(
        BuildSideError(where, f"answers {status}: {row.cause}{said}", row.next_step), passes=row.passes
    )


def _row(where: str, status: int) -> _Row:
    if row := _STATUSES.get((where, status)):
        return row
    if status == 429 or status >= 500:
        return _Row("is overloaded, or out of order", _AGAIN, passes=True)
    return _REFUSED


def _service(error: requests.RequestException) -> str | None:
    """Return what a failed request was for; None where its URL does not say."""
    url = getattr(error.request, "url", None) or ""
    path = str(url).partition("?")[0]
    return next((service for end, service in _PATHS.items() if path.endswith(end)), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those on whose account it was raised."""
    seen = 0
    while error is not None and seen < 20:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1


def _line(error: Exception, secrets: Collection[str]) -> str:
    """Return what an exception says, in one line and without secrets: services choose what they answer."""
    text = str(error)
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join(text.split())[:200] or type(error).__name__
