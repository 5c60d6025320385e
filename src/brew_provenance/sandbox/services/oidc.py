"""The token issuer of GitHub Actions: a job asks with its own bearer token, for an audience.

Source: https://docs.github.com/en/actions/reference/security/oidc. Tokens are signed with a key that
every issuer makes for itself, and that nobody trusts but the CA beside it.
"""

from __future__ import annotations

import base64
import hmac
import itertools
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply, reply_json
from brew_provenance.sandbox.services.service import Service
from brew_provenance.sandbox.wire import JsonObject

KEY_ID: Final = "sandbox-1"
ALGORITHM: Final = "RS256"
REQUEST_PATH: Final = "/sandbox/idtoken"
"""Where a job asks for a token, before the query that GitHub's URL has already."""

MAX_TOKEN_BYTES: Final = 16 * 1024
"""A token; real ones have some two kilobytes."""

_KEY_BITS = 2048
_REQUIRED = ("iss", "aud", "sub", "iat", "nbf", "exp")
_MAX_AUDIENCE = 1024


class TokenError(ValueError):
    """A token is not one that this issuer gave, or not for this audience and time."""


class TokenIssuer:
    """Gives out the tokens of a job, and knows them again."""

    def __init__(
        self, job: ActionsJob, request_token: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Give tokens to whoever has `request_token`; `clock` dates them, in seconds since the epoch."""
        self.job = job
        """Whom the next tokens speak of; can be set at any time."""
        self._request_token = request_token
        self._clock = clock
        self._lock = threading.Lock()
        self._made_key: RSAPrivateKey | None = None
        self._serials = itertools.count(1)
        self.service = Service(
            "oidc",
            [
                ("GET", REQUEST_PATH, self._give),
                ("GET", "/.well-known/openid-configuration", self._describe),
                ("GET", "/.well-known/jwks", self._list_keys),
            ],
            max_body=MAX_TOKEN_BYTES,
        )
        """What is served."""

    def issue(self, audience: str, changes: Mapping[str, object] | None = None) -> str:
        """Return a token of the job, with some claims changed; a claim of None is left out."""
        at = datetime.fromtimestamp(self._clock(), UTC)
        claims = self.job.token(audience, at)
        claims["jti"] = f"{claims['jti']}-{next(self._serials)}"
        claims |= changes or {}
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, self._key, ALGORITHM, headers={"kid": KEY_ID})

    def read(self, token: str, audience: str, issuers: Collection[str]) -> JsonObject:
        """Return the claims of a token that this issuer gave for an audience, and that is valid now.

        `issuers` are the names that it may have given itself. Raises TokenError.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenError("the token is too long")
        try:
            claims: JsonObject = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=[ALGORITHM],
                audience=audience,
                # The clock may be another one than the library's.
                options={
                    "require": list(_REQUIRED),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise TokenError(f"the token cannot be used: {error}") from error
        if claims["iss"] not in issuers:
            raise TokenError("the token is of another issuer")
        times = [claims[name] for name in ("nbf", "iat", "exp")]
        if not all(isinstance(at, int) for at in times):
            raise TokenError("the token has no readable times")
        not_before, issued, expiry = times
        if not max(not_before, issued) <= self._clock() < expiry:
            raise TokenError("the token has expired, or is not valid yet")
        return claims

    @property
    def _key(self) -> RSAPrivateKey:
        # Made when it is needed first, which takes a while, by whichever server needs it.
        with self._lock:
            if self._made_key is None:
                self._made_key = generate_private_key(65537, _KEY_BITS)
            return self._made_key

    def _give(self, call: Call) -> Reply:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise RefusedError(401, "Authentication is required.", {"www-authenticate": "Bearer"})
        if not hmac.compare_digest(token.encode(), self._request_token.encode()):
            raise RefusedError(403, "The token may not ask for an identity.")
        audience = call.query.get("audience") or f"{self.job.server}/{self.job.owner}"
        if len(audience) > _MAX_AUDIENCE:
            raise RefusedError(400, "The audience is too long.")
        value = self.issue(audience)
        return reply_json(200, {"count": len(value), "value": value})

    def _describe(self, call: Call) -> Reply:
        return reply_json(
            200,
            {
                "issuer": self.job.issuer,
                "jwks_uri": f"{call.origin}/.well-known/jwks",
                "subject_types_supported": ["public", "pairwise"],
                "response_types_supported": ["id_token"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "scopes_supported": ["openid"],
            },
        )

    def _list_keys(self, _: Call) -> Reply:
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "alg": ALGORITHM,
            "use": "sig",
            "kid": KEY_ID,
            "n": _encode_number(numbers.n),
            "e": _encode_number(numbers.e),
        }
        return reply_json(200, {"keys": [key]})


def _encode_number(number: int) -> str:
    """Return a number as RFC 7518, section 2 writes one."""
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
