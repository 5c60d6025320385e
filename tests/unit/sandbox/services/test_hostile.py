"""Whatever is sent to a server, it answers, and what it answers is never its own fault."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.sandbox.services.conftest import Client
from tests.unit.sandbox.services.test_rekor import dsse, hashed, hashed_v2

from brew_provenance.sandbox.services.world import World

PATHS = {
    "ca": "/api/v2/signingCert",
    "log": "/api/v1/log/entries",
    "timestamping": "/api/v1/timestamp",
    "oidc": "/sandbox/idtoken",
    "registry": "/v2/x/blobs/sha256:00",
    "formulae": "/api/formula.jws.json",
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def kept() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def change(document: Any, draw: st.DataObject) -> Any:
    """Return a document with a value somewhere in it that is another one."""
    holder = made = json.loads(json.dumps(document))
    while True:
        key = draw.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        if isinstance(holder[key], dict | list) and holder[key] and draw.draw(st.booleans()):
            holder = holder[key]
            continue
        holder[key] = draw.draw(VALUES)
        return made


@QUICK
@given(st.sampled_from(sorted(PATHS)), st.binary(max_size=200) | VALUES.map(json.dumps).map(str.encode))
def test_bytes_of_any_kind_are_refused(
    running: World, kept: requests.Session, server: str, body: bytes
) -> None:
    headers = {
        "Authorization": f"Bearer {running.issuer.issue('sigstore')}",
        "Content-Type": "application/timestamp-query",
    }
    response = Client(running, kept).post(server, PATHS[server], data=body, headers=headers)
    assert 400 <= response.status_code < 500


@QUICK
@given(st.data())
def test_a_proposal_with_any_other_value_is_refused(
    running: World, kept: requests.Session, data: st.DataObject
) -> None:
    signer = running.sigstore.signer(running.rehearsal.job, running.now)
    make, path = data.draw(
        st.sampled_from([(dsse, PATHS["log"]), (hashed, PATHS["log"]), (hashed_v2, "/api/v2/log/entries")])
    )
    response = Client(running, kept).post("log", path, json=change(make(signer), data))
    assert response.status_code == 400


@QUICK
@given(st.binary(max_size=400))
def test_signing_requests_of_any_kind_are_refused(running: World, kept: requests.Session, raw: bytes) -> None:
    headers = {"Authorization": f"Bearer {running.issuer.issue('sigstore')}"}
    for pem in (raw, b"-----BEGIN CERTIFICATE REQUEST-----\n%b\n-----END CERTIFICATE REQUEST-----\n"):
        content = pem % base64.b64encode(raw) if b"%b" in pem and pem is not raw else pem
        body = {"certificateSigningRequest": base64.b64encode(content).decode()}
        assert Client(running, kept).post("ca", PATHS["ca"], json=body, headers=headers).status_code == 400


@QUICK
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300))
def test_tokens_of_any_kind_are_refused(running: World, kept: requests.Session, token: str) -> None:
    client, headers = Client(running, kept), {"Authorization": f"Bearer {token}"}
    assert client.post("ca", PATHS["ca"], json={}, headers=headers).status_code == 401
    assert client.get("oidc", PATHS["oidc"], headers=headers).status_code in {401, 403}
