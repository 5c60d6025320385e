"""The certificate authority: whose key is certified, and what the certificate says."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.unit.sandbox.services.conftest import Client

from brew_provenance.certificate import Claims
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.ca import name_claim
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.services.authority import CertificateService
from brew_provenance.sandbox.services.oidc import TokenIssuer
from brew_provenance.sandbox.serving import serve

PATH = "/api/v2/signingCert"


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make_request(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, encoding: Encoding = Encoding.PEM
) -> bytes:
    algorithm = hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, algorithm).public_bytes(encoding)


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def ask(client: Client, body: object, token: str | None = None, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {client.world.issuer.issue('sigstore') if token is None else token}"}
    return client.post("ca", PATH, json=body, headers=headers, **options)


def proof_of(key: ec.EllipticCurvePrivateKey, challenge: str) -> dict[str, Any]:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {
        "publicKeyRequest": {
            "publicKey": {"algorithm": "ECDSA", "content": pem},
            "proofOfPossession": encode(key.sign(challenge.encode(), ec.ECDSA(hashes.SHA256()))),
        }
    }


def read_chain(response: requests.Response) -> list[x509.Certificate]:
    assert response.status_code == 200, response.text
    chain = response.json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in chain]


def test_a_certificate_says_what_the_token_says(client: Client, key: ec.EllipticCurvePrivateKey) -> None:
    leaf, intermediate, root = read_chain(
        ask(client, {"certificateSigningRequest": encode(make_request(key))})
    )
    claims = Claims.from_certificate(leaf)
    job = client.world.rehearsal.job
    assert leaf.public_key() == key.public_key()
    assert claims.build_signer_uri == job.signer_uri
    assert claims.source_repository_digest == job.sha
    assert claims.run_invocation_uri == job.run_uri
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(root)
    assert abs(leaf.not_valid_before_utc.timestamp() - time.time()) < 60
    chains = client.get("ca", "/api/v2/trustBundle").json()["chains"]
    assert [chain["certificates"][-1] for chain in chains] == [root.public_bytes(Encoding.PEM).decode()]


def test_the_claims_are_the_tokens_and_not_the_worlds(
    client: Client, key: ec.EllipticCurvePrivateKey
) -> None:
    job = replace(ActionsJob(), repository="octo/homebrew-tap", run_id="5", environment="release")
    token = client.world.issuer.issue("sigstore", job.token("sigstore", client.world.now))
    leaf, *_ = read_chain(ask(client, {"certificateSigningRequest": encode(make_request(key))}, token))
    assert Claims.from_certificate(leaf).source_repository_uri == "https://github.com/octo/homebrew-tap"
    environment = leaf.extensions.get_extension_for_oid(name_claim(23)).value
    assert isinstance(environment, x509.UnrecognizedExtension)
    assert environment.value.endswith(b"release")


def test_a_key_can_be_proven_by_a_signature_over_the_subject(
    client: Client, key: ec.EllipticCurvePrivateKey
) -> None:
    body = proof_of(key, client.world.rehearsal.job.subject)
    leaf, *_ = read_chain(ask(client, body))
    assert leaf.public_key() == key.public_key()
    with_token = {**body, "credentials": {"oidcIdentityToken": client.world.issuer.issue("sigstore")}}
    response = client.post("ca", PATH, json=with_token)
    assert read_chain(response)[0].public_key() == key.public_key()


def changed_token(client: Client, changes: Mapping[str, object]) -> str:
    return client.world.issuer.issue("sigstore", changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "nobody"},
        {"iss": "https://token.actions.githubusercontent.com/octo"},
        {"exp": 1},
        {"nbf": 2**40},
        {"run_id": None},
    ],
)
def test_a_token_of_another_audience_issuer_or_time_is_refused(
    client: Client, key: ec.EllipticCurvePrivateKey, changes: dict[str, object]
) -> None:
    token = changed_token(client, changes)
    response = ask(client, {"certificateSigningRequest": encode(make_request(key))}, token)
    assert response.status_code == 401
    assert response.json()["code"] == 16
    assert "identity token" in response.json()["message"]
    assert token not in response.text


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic x"}])
def test_nobody_gets_a_certificate_without_a_token(
    client: Client, key: ec.EllipticCurvePrivateKey, headers: dict[str, str]
) -> None:
    body = {"certificateSigningRequest": encode(make_request(key))}
    assert client.post("ca", PATH, json=body, headers=headers).status_code == 401


def test_a_request_that_another_key_has_signed_is_refused(
    client: Client, key: ec.EllipticCurvePrivateKey
) -> None:
    other = make_request(ec.generate_private_key(ec.SECP256R1()), Encoding.DER)
    mine = make_request(key, Encoding.DER)
    points = [
        each.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        for each in (key, x509.load_der_x509_csr(other))
    ]
    swapped = x509.load_der_x509_csr(mine.replace(points[0], points[1])).public_bytes(Encoding.PEM)
    response = ask(client, {"certificateSigningRequest": encode(swapped)})
    assert response.status_code == 400
    assert response.json()["code"] == 3
    assert "could not be verified" in response.json()["message"]


@pytest.mark.parametrize("challenge", ["", "repo:octo/other:ref:refs/heads/main"])
def test_a_proof_over_something_else_is_refused(
    client: Client, key: ec.EllipticCurvePrivateKey, challenge: str
) -> None:
    response = ask(client, proof_of(key, challenge))
    assert (response.status_code, response.json()["code"]) == (400, 3)


def test_keys_of_other_kinds_are_refused(client: Client) -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        response = ask(client, {"certificateSigningRequest": encode(make_request(key))})
        assert response.status_code == 400
        assert "P-256" in response.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"certificateSigningRequest": 7},
        {"certificateSigningRequest": "?"},
        {"certificateSigningRequest": encode(b"-----BEGIN CERTIFICATE REQUEST-----")},
        {"publicKeyRequest": 1},
        {"publicKeyRequest": {"publicKey": {"content": "x"}}},
        {"publicKeyRequest": {"publicKey": {"content": "x"}, "proofOfPossession": "AA=="}},
        {"publicKeyRequest": {"publicKey": {"content": "x"}, "proofOfPossession": "?"}},
        {"credentials": {}},
        [],
    ],
)
def test_what_is_no_request_is_refused(client: Client, body: object) -> None:
    response = ask(client, body)
    assert response.status_code == 400
    assert set(response.json()) == {"code", "message", "details"}


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 5000])
def test_what_is_no_json_is_refused(client: Client, raw: bytes) -> None:
    assert client.post("ca", PATH, data=raw).status_code == 400


def test_a_request_has_a_limit(client: Client) -> None:
    response = client.post("ca", PATH, data=b" " * (64 * 1024 + 1))
    assert (response.status_code, json.loads(response.content)["code"]) == (413, 3)


def test_it_says_whose_tokens_it_takes(client: Client) -> None:
    [issuer] = client.get("ca", "/api/v2/configuration").json()["issuers"]
    assert issuer["issuerUrl"] == "https://token.actions.githubusercontent.com"
    assert issuer["audience"] == "sigstore"


def test_a_token_is_good_again_and_again_until_it_expires(
    key: ec.EllipticCurvePrivateKey, session: requests.Session
) -> None:
    # As with Fulcio, which remembers no token: whoever has one has the identity for five minutes.
    now = [1_800_000_000.0]
    issuer = TokenIssuer(ActionsJob(), "secret", clock=lambda: now[0])
    authority = CertificateService(VirtualSigstore(), issuer, clock=lambda: now[0])
    headers = {"Authorization": f"Bearer {issuer.issue('sigstore')}"}
    body = {"certificateSigningRequest": encode(make_request(key))}
    with serve(authority.service.app) as server:
        statuses = []
        for seconds in (0, 299, 1, 1):
            now[0] += seconds
            response = session.post(server.url + PATH, json=body, headers=headers, timeout=30)
            statuses.append(response.status_code)
    assert statuses == [200, 200, 401, 401]
