"""Keyless signing: the one place that calls sigstore-python's signer, and reads OIDC tokens.

An identity token comes from the CI provider's own endpoint or from whoever runs the command. It is
handed to the certificate authority and to nobody else, and stands in no message.
"""

from __future__ import annotations

import base64
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self, TypeVar

from sigstore.dsse import Statement
from sigstore.errors import Error as SigstoreError
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken, detect_credential
from sigstore.sign import Signer, SigningContext

from brew_provenance import strictjson
from brew_provenance.errors import BuildSideError, InputError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.strictjson import MalformedJSONError

MAX_TOKEN_BYTES: Final = 64 * 1024
"""An identity token; GitHub's have some two kilobytes."""

MAX_CONFIG_BYTES: Final = 4 * 1024 * 1024
"""A client trust configuration; Sigstore's own has some 40 kilobytes."""

STEP_SECONDS: Final = 90
"""How long one step may take: a token, a certificate, a signature with its log entry."""

CERTIFICATE_LIFETIME: Final = timedelta(minutes=8)
"""For how long a certificate is used; Fulcio's are valid for 10 minutes."""

ATTEMPTS: Final = 3
"""How often a step is tried that failed for a reason that may pass."""

_AGAIN: Final = "run `attest` again; what is signed is not signed twice"
_PERMISSION: Final = "give the job `permissions: id-token: write`"
_Result = TypeVar("_Result")


class Keyless:
    """Signs with short-lived certificates of one identity; one serves for many statements. Close it."""

    def __init__(
        self,
        config: ClientTrustConfig,
        token: str | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], None] | None = None,
    ) -> None:
        """Sign under `config`, with `token` or, when it is None, with the tokens of the CI provider."""
        self._context = SigningContext.from_trust_config(config)
        self._given = token
        self._clock = clock
        self._wait = wait or threading.Event().wait
        self._token: IdentityToken | None = None
        self._signer: Signer | None = None
        self._opened = ExitStack()
        self._until = datetime.min.replace(tzinfo=UTC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._opened.close()

    def claims(self) -> Mapping[str, str]:
        """Return what the identity token says of the job. Raises BuildSideError when there is none."""
        return _claims(str(self._identity()))

    def sign(self, statement: bytes) -> bytes:
        """Return the bundle of a statement. Raises BuildSideError, which says what to do."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._sign_once(statement)
            except BuildSideError:
                raise
            except Exception as error:  # noqa: BLE001 - sigstore's clients leak errors of their libraries
                # Whatever it was, the next certificate may not meet it.
                self._signer = None
                if attempt == ATTEMPTS or not _may_pass(error):
                    raise _explain(error) from None
                self._wait(attempt)
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def _sign_once(self, statement: bytes) -> bytes:
        signer = self._current_signer()
        return _within(lambda: signer.sign_dsse(Statement(statement))).to_json().encode()

    def _current_signer(self) -> Signer:
        if self._signer is None or self._clock() >= self._until:
            token = self._identity()
            if not token.in_validity_period():
                self._token = None
                token = self._identity()
            begun = self._clock()
            self._signer = _within(lambda: self._opened.enter_context(self._context.signer(token)))
            self._until = begun + CERTIFICATE_LIFETIME
        return self._signer

    def _identity(self) -> IdentityToken:
        if self._token is None or not self._token.in_validity_period():
            raw = self._given if self._given is not None else _ambient_token()
            try:
                self._token = IdentityToken(raw)
            except SigstoreError as error:
                # The cause is not handed on: it can quote the token.
                why = "is malformed, for another audience, or expired"
                next_step = _AGAIN if self._given is None else "give a fresh one, for the audience sigstore"
                raise BuildSideError("the identity token", why, next_step) from _without_cause(error)
        return self._token


def read_config(path: Path | None) -> ClientTrustConfig:
    """Return the configuration in a file; Sigstore's public-good one where there is none.

    Raises InputError for a file that is none, and BuildSideError when Sigstore's cannot be had.
    """
    if path is None:
        try:
            return _within(ClientTrustConfig.production)
        except SigstoreError as error:
            cause = f"its configuration cannot be had: {_first_line(error)}"
            raise BuildSideError("Sigstore", cause, "look at the network, and try again") from error
    try:
        raw = read_bounded(path, MAX_CONFIG_BYTES)
        strictjson.loads(raw, MAX_CONFIG_BYTES)
        return ClientTrustConfig.from_json(raw.decode())
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), "give a readable file") from error
    except (FileTooLongError, MalformedJSONError, SigstoreError, ValueError) as error:
        cause = f"not a client trust configuration: {_first_line(error)}"
        raise InputError(str(path), cause, "give one as `sigstore` and `cosign` take it") from error


def _ambient_token() -> str:
    try:
        token = _within(detect_credential)
    except BuildSideError:
        raise
    except Exception as error:
        if "permission" in str(error).lower():
            raise BuildSideError("the identity token", "the job may not ask for one", _PERMISSION) from error
        cause = "the CI provider does not give one"
        raise BuildSideError("the identity token", cause, _AGAIN) from _without_cause(error)
    if token is None:
        cause = "there is none: this is no CI job that may ask for one"
        raise BuildSideError("the identity token", cause, f"{_PERMISSION}, or give --identity-token")
    return token


def _claims(token: str) -> Mapping[str, str]:
    """Return the claims of a token that has been parsed before."""
    try:
        part = token.split(".")[1]
        found = strictjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), MAX_TOKEN_BYTES)
    except (ValueError, IndexError):
        found = None
    if not isinstance(found, dict):
        raise BuildSideError("the identity token", "its claims cannot be read", "give another one")
    return {name: str(value) for name, value in found.items() if isinstance(value, str | int)}


def _within(function: Callable[[], _Result]) -> _Result:
    """Call a function of sigstore's, some of which wait for ever, and give up on it in time."""
    done: queue.SimpleQueue[tuple[_Result | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put((function(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            done.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        result, error = done.get(timeout=STEP_SECONDS)
    except queue.Empty:
        cause = f"no answer within {STEP_SECONDS} s"
        raise BuildSideError("Sigstore", cause, _AGAIN) from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def _may_pass(error: Exception) -> bool:
    """Say whether another attempt may succeed: after connections that broke, and servers that failed."""
    said = " ".join(str(one) for one in _chain(error))
    return not any(f"{status} Client Error" in said for status in (400, 401, 403, 422))


def _explain(error: Exception) -> BuildSideError:
    names = [type(one).__name__ for one in _chain(error)]
    thing = next((_THINGS[name] for name in names if name in _THINGS), "Sigstore")
    return BuildSideError(thing, f"does not sign: {names[0]}: {_first_line(error)}", _AGAIN)


# What sigstore's clients call their own errors.
_THINGS: Final = {
    "FulcioClientError": "the certificate authority",
    "SCTVerificationError": "the certificate authority",
    "RekorClientError": "the transparency log",
    "TimestampError": "the timestamp authority",
    "ExpiredIdentity": "the identity token",
    "ExpiredCertificate": "the certificate",
}


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and len(found) < 10:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _first_line(error: Exception) -> str:
    # Not the rest: it can hold what was sent.
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def _without_cause(error: Exception) -> Exception:
    error.__cause__ = error.__context__ = None
    return error


def read_token(path: Path) -> str:
    """Return the identity token in a file. Raises InputError, which does not quote it."""
    try:
        return read_bounded(path, MAX_TOKEN_BYTES).decode("ascii").strip()
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), "give a readable file") from error
    except (FileTooLongError, UnicodeDecodeError) as error:
        raise InputError(str(path), "not an identity token", "give a file with a token alone") from error
