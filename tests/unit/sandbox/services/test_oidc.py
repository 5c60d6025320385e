"""The token issuer: whom it gives tokens, and which it knows again."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from tests.unit.sandbox.services.conftest import Client

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.services.oidc import MAX_TOKEN_BYTES, TokenError, TokenIssuer

PATH = "/sandbox/idtoken?api-version=2.0"
NOW = 1_800_000_000.7
ISSUER = ActionsJob().issuer


def authorization(client: Client) -> dict[str, str]:
    return {"Authorization": f"bearer {client.world.request_token}"}


@pytest.fixture(scope="module")
def issuer() -> TokenIssuer:
    return TokenIssuer(ActionsJob(), "secret", clock=lambda: NOW)


def test_a_job_gets_a_token_for_the_audience_that_it_names(client: Client) -> None:
    response = client.get("oidc", f"{PATH}&audience=sigstore", headers=authorization(client))
    body = response.json()
    assert response.status_code == 200
    assert body["count"] == len(body["value"])
    keys = client.get("oidc", "/.well-known/jwks").json()["keys"]
    key = RSAAlgorithm.from_jwk(json.dumps(keys[0]))
    assert isinstance(key, RSAPublicKey)
    claims = jwt.decode(body["value"], key, algorithms=["RS256"], audience="sigstore")
    job = client.world.rehearsal.job
    assert claims["job_workflow_ref"] == job.job_workflow_ref
    assert claims["exp"] - claims["iat"] == 300
    assert jwt.get_unverified_header(body["value"])["kid"] == keys[0]["kid"]


def test_without_an_audience_a_token_is_for_the_owner(client: Client) -> None:
    value = client.get("oidc", PATH, headers=authorization(client)).json()["value"]
    claims = jwt.decode(value, options={"verify_signature": False})
    assert claims["aud"] == "https://github.com/brew-provenance"


def test_no_two_tokens_are_the_same(client: Client) -> None:
    values = {
        client.get("oidc", f"{PATH}&audience=x", headers=authorization(client)).json()["value"] for _ in "ab"
    }
    assert len(values) == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": ""}, 401),
        ({"Authorization": "bearer "}, 401),
        ({"Authorization": "Basic abc"}, 401),
        ({"Authorization": "bearer other"}, 403),
        ({"Authorization": "bearer \u00e9".encode()}, 403),
    ],
)
def test_nobody_else_gets_a_token(client: Client, headers: dict[str, Any], status: int) -> None:
    response = client.get("oidc", f"{PATH}&audience=sigstore", headers=headers)
    assert response.status_code == status
    assert "value" not in response.json()
    assert client.world.request_token not in response.text


def test_an_audience_has_a_limit(client: Client) -> None:
    response = client.get("oidc", f"{PATH}&audience={'x' * 2000}", headers=authorization(client))
    assert response.status_code == 400


def test_it_says_where_its_keys_are(client: Client) -> None:
    found = client.get("oidc", "/.well-known/openid-configuration").json()
    assert found["issuer"] == "https://token.actions.githubusercontent.com"
    assert found["jwks_uri"] == client.world.urls["oidc"] + "/.well-known/jwks"


@pytest.mark.parametrize(("method", "path"), [("POST", PATH), ("GET", "/"), ("GET", "/sandbox/idtoken/x")])
def test_there_is_nothing_else(client: Client, method: str, path: str) -> None:
    assert client.ask(method, "oidc", path, headers=authorization(client)).status_code == 404


def test_a_token_leads_back_to_its_job(issuer: TokenIssuer) -> None:
    job = ActionsJob(signer="octo/shared/.github/workflows/x.yml@refs/tags/v1", environment="release")
    claims = TokenIssuer.read(issuer, issuer.issue("a", job.token("a", _now())), "a", {ISSUER})
    assert ActionsJob.from_token(claims).claims() == job.claims()


@pytest.mark.parametrize(
    ("changes", "audience", "why"),
    [
        ({}, "other", "Audience"),
        ({"aud": None}, "a", "aud"),
        ({"iss": "https://token.actions.githubusercontent.com/octo"}, "a", "another issuer"),
        ({"iss": None}, "a", "iss"),
        ({"sub": None}, "a", "sub"),
        ({"exp": int(NOW)}, "a", "expired"),
        ({"exp": None}, "a", "exp"),
        ({"exp": "soon"}, "a", "no readable times"),
        ({"exp": float("inf")}, "a", "no readable times"),
        ({"nbf": int(NOW) + 1}, "a", "not valid yet"),
        ({"iat": int(NOW) + 1}, "a", "not valid yet"),
    ],
)
def test_a_token_of_another_audience_issuer_or_time_is_none(
    issuer: TokenIssuer, changes: dict[str, object], audience: str, why: str
) -> None:
    with pytest.raises(TokenError, match=why):
        issuer.read(issuer.issue("a", changes), audience, {ISSUER})


def test_a_token_of_another_key_or_algorithm_is_none(issuer: TokenIssuer) -> None:
    stranger = TokenIssuer(ActionsJob(), "secret", clock=lambda: NOW)
    claims = ActionsJob().token("a", _now())
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    body = issuer.issue("a").split(".")[1]
    forged = [
        stranger.issue("a"),
        jwt.encode(claims, "x" * 32, "HS256"),
        f"{header}.{body}.",
        issuer.issue("a")[:-8],
        "a.b.c",
        "",
        "x" * (MAX_TOKEN_BYTES + 1),
        "\u00e9.\u00e9.\u00e9",
    ]
    for token in forged:
        with pytest.raises(TokenError):
            issuer.read(token, "a", {ISSUER})


@pytest.mark.parametrize("name", ["repository", "run_id", "job_workflow_ref", "workflow_ref"])
def test_a_job_needs_all_of_its_claims(name: str) -> None:
    claims = ActionsJob().token("a", _now())
    for value in (None, "", 7):
        with pytest.raises(ValueError, match=f"the token has no claim {name}"):
            ActionsJob.from_token({**claims, name: value})


def _now() -> datetime:
    return datetime.fromtimestamp(int(NOW), UTC)
