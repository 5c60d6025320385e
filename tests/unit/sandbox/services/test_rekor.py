"""The log: what it takes, what it answers, and that it takes nothing twice."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from tests.unit.sandbox.services.conftest import Client

from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.wire import encode_bytes, encode_json

V1 = "/api/v1/log"
V2 = "/api/v2/log/entries"


@pytest.fixture
def signer(client: Client) -> Signer:
    world = client.world
    return world.sigstore.signer(world.rehearsal.job, world.now)


def pem_of(signer: Signer) -> str:
    return encode_bytes(signer.certificate.public_bytes(Encoding.PEM))


def dsse(signer: Signer, payload: bytes | None = None) -> dict[str, Any]:
    envelope = signer.seal(payload or os.urandom(16))
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "proposedContent": {
                "envelope": encode_json(envelope).decode(),
                "verifiers": [pem_of(signer)],
            }
        },
    }


def hashed(signer: Signer, message: bytes | None = None) -> dict[str, Any]:
    message = message or os.urandom(16)
    return {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "signature": {
                "content": encode_bytes(signer.sign(message)),
                "publicKey": {"content": pem_of(signer)},
            },
            "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(message).hexdigest()}},
        },
    }


def hashed_v2(signer: Signer, message: bytes | None = None) -> dict[str, Any]:
    message = message or os.urandom(16)
    raw = signer.certificate.public_bytes(Encoding.DER)
    return {
        "hashedRekordRequestV002": {
            "digest": encode_bytes(hashlib.sha256(message).digest()),
            "signature": {
                "content": encode_bytes(signer.sign(message)),
                "verifier": {
                    "x509Certificate": {"rawBytes": encode_bytes(raw)},
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                },
            },
        }
    }


def take(client: Client, proposal: object) -> requests.Response:
    return client.post("log", f"{V1}/entries", json=proposal)


def only(response: requests.Response) -> tuple[str, dict[str, Any]]:
    [(uuid, entry)] = response.json().items()
    return uuid, entry


@pytest.mark.parametrize("make", [dsse, hashed])
def test_an_entry_is_taken_and_found_again(client: Client, signer: Signer, make: Any) -> None:
    response = take(client, make(signer))
    assert response.status_code == 201
    uuid, entry = only(response)
    assert len(uuid) == 80
    assert response.headers["location"] == f"{V1}/entries/{uuid}"
    later = take(client, make(signer))
    assert later.status_code == 201

    for found in (
        client.get("log", f"{V1}/entries/{uuid}"),
        client.get("log", f"{V1}/entries/{uuid[16:]}"),
        client.get("log", f"{V1}/entries?logIndex={entry['logIndex']}"),
    ):
        assert found.status_code == 200
        again_uuid, again = only(found)
        assert again_uuid == uuid
        for name in ("body", "integratedTime", "logID", "logIndex"):
            assert again[name] == entry[name]
        # The tree has grown, the promise has not changed.
        proof = again["verification"]["inclusionProof"]
        assert proof["treeSize"] > entry["verification"]["inclusionProof"]["treeSize"]
        assert again["verification"]["signedEntryTimestamp"] == entry["verification"]["signedEntryTimestamp"]


def test_a_dsse_entry_names_the_hashes_of_what_was_sent(client: Client, signer: Signer) -> None:
    proposal = dsse(signer, b"payload")
    _, entry = only(take(client, proposal))
    spec = json.loads(base64.b64decode(entry["body"]))["spec"]
    content = proposal["spec"]["proposedContent"]
    assert spec["envelopeHash"]["value"] == hashlib.sha256(content["envelope"].encode()).hexdigest()
    assert spec["payloadHash"]["value"] == hashlib.sha256(b"payload").hexdigest()
    assert spec["signatures"][0]["verifier"] == content["verifiers"][0]


@pytest.mark.parametrize("make", [dsse, hashed])
def test_an_entry_is_not_taken_twice(client: Client, signer: Signer, make: Any) -> None:
    proposal = make(signer)
    uuid, _ = only(take(client, proposal))
    size = client.get("log", V1).json()["treeSize"]
    response = take(client, proposal)
    assert response.status_code == 409
    assert response.headers["location"] == f"{V1}/entries/{uuid}"
    assert response.json()["code"] == 409
    assert uuid in response.json()["message"]
    assert client.get("log", V1).json()["treeSize"] == size


def test_version_2_answers_the_entry_that_it_has(client: Client, signer: Signer) -> None:
    proposal = hashed_v2(signer)
    response = client.post("log", V2, json=proposal)
    assert response.status_code == 201
    entry = response.json()
    assert entry["kindVersion"] == {"kind": "hashedrekord", "version": "0.0.2"}
    assert "integratedTime" not in entry
    assert client.post("log", V2, json=hashed_v2(signer)).status_code == 201
    assert client.post("log", V2, json=proposal).json()["logIndex"] == entry["logIndex"]


def test_entries_are_retrieved_in_many_ways(client: Client, signer: Signer) -> None:
    proposal = dsse(signer)
    uuid, entry = only(take(client, proposal))
    unknown = dsse(signer)
    for body, count in (
        ({"logIndexes": [entry["logIndex"]]}, 1),
        ({"entryUUIDs": [uuid]}, 1),
        ({"entries": [proposal]}, 1),
        ({"entries": [proposal, unknown], "logIndexes": [entry["logIndex"], 1]}, 2),
        ({"entries": [unknown]}, 0),
        ({"entryUUIDs": ["0" * 64], "logIndexes": ["x"]}, 0),
    ):
        for path in (f"{V1}/entries/retrieve", f"{V1}/entries/retrieve/"):
            response = client.post("log", path, json=body)
            assert response.status_code == 200
            assert [list(found) for found in response.json()] == [[uuid]] * count


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"logIndexes": []}, 422),
        ({"logIndexes": list(range(11))}, 422),
        ({"logIndexes": 7}, 422),
        ({"entryUUIDs": ["x"]}, 400),
        ({"entries": [{}]}, 400),
        ([], 400),
    ],
)
def test_what_cannot_be_retrieved_is_refused(client: Client, body: object, status: int) -> None:
    assert client.post("log", f"{V1}/entries/retrieve", json=body).status_code == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("entries", 422),
        ("entries?logIndex=-1", 422),
        ("entries?logIndex=x", 422),
        (f"entries?logIndex={'9' * 30}", 422),
        ("entries?logIndex=0", 404),
        ("entries?logIndex=999999999999", 404),
        (f"entries/{'0' * 64}", 404),
        (f"entries/{'x' * 64}", 400),
        ("entries/abc", 400),
        ("nothing", 404),
    ],
)
def test_what_is_not_there_is_not_found(client: Client, path: str, status: int) -> None:
    assert client.get("log", f"{V1}/{path}").status_code == status


def test_it_says_how_large_it_is_and_which_key_it_has(client: Client) -> None:
    found = client.get("log", V1).json()
    log = client.world.sigstore.rekor_v1
    assert (found["treeSize"], found["rootHash"]) == (len(log.tree), log.tree.root().hex())
    assert found["signedTreeHead"] == log.sign_checkpoint()
    key = load_pem_public_key(client.get("log", f"{V1}/publicKey").content)
    assert key == log.key.public_key()


def broken(proposal: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    made = copy.deepcopy(proposal)
    holder: Any = made
    *names, last = path.split(".")
    for name in names:
        holder = holder[name]
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return made


OTHER_HASH = hashlib.sha256(b"other").digest()


@pytest.mark.parametrize(
    ("make", "path", "value"),
    [
        (dsse, "kind", "intoto"),
        (dsse, "kind", 7),
        (dsse, "apiVersion", "0.0.2"),
        (dsse, "spec", None),
        (dsse, "spec.proposedContent", []),
        (dsse, "spec.proposedContent.envelope", "{"),
        (dsse, "spec.proposedContent.envelope", "[]"),
        (dsse, "spec.proposedContent.envelope", '{"payload":"?","payloadType":"x","signatures":[{}]}'),
        (dsse, "spec.proposedContent.envelope", '{"payload":"","payloadType":"x","signatures":[]}'),
        (dsse, "spec.proposedContent.envelope", '{"payload":"","payloadType":"x","signatures":{}}'),
        (dsse, "spec.proposedContent.envelope", '{"payload":"","payloadType":"x","signatures":[1]}'),
        (
            dsse,
            "spec.proposedContent.envelope",
            '{"payload":"","payloadType":"x","signatures":[{"sig":"?"}]}',
        ),
        (
            dsse,
            "spec.proposedContent.envelope",
            '{"payload":"","payloadType":"x","signatures":[{"sig":"AA=="}]}',
        ),
        (dsse, "spec.proposedContent.verifiers", []),
        (dsse, "spec.proposedContent.verifiers", [7]),
        (dsse, "spec.proposedContent.verifiers", ["?"]),
        (dsse, "spec.proposedContent.verifiers", ["AA=="]),
        (dsse, "spec.proposedContent.verifiers", "AA=="),
        (hashed, "spec.data.hash.algorithm", "md5"),
        (hashed, "spec.data.hash.value", "xyz"),
        (hashed, "spec.data.hash.value", OTHER_HASH.hex()),
        (hashed, "spec.data.hash.value", "00"),
        (hashed, "spec.signature.content", "AA=="),
        (hashed, "spec.signature.publicKey.content", "AA=="),
        (hashed, "spec.signature", None),
    ],
)
def test_what_is_not_signed_or_not_whole_is_not_taken(
    client: Client, signer: Signer, make: Any, path: str, value: object
) -> None:
    size = client.get("log", V1).json()["treeSize"]
    response = take(client, broken(make(signer), path, value))
    assert response.status_code == 400
    assert response.json()["code"] == 400
    assert client.get("log", V1).json()["treeSize"] == size


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("hashedRekordRequestV002", None),
        ("hashedRekordRequestV002.digest", "?"),
        ("hashedRekordRequestV002.digest", encode_bytes(OTHER_HASH)),
        ("hashedRekordRequestV002.signature.content", "AA=="),
        ("hashedRekordRequestV002.signature.verifier.keyDetails", "PKIX_ED25519"),
        ("hashedRekordRequestV002.signature.verifier.x509Certificate.rawBytes", "AA=="),
    ],
)
def test_version_2_takes_nothing_unsigned_either(
    client: Client, signer: Signer, path: str, value: object
) -> None:
    response = client.post("log", V2, json=broken(hashed_v2(signer), path, value))
    assert response.status_code == 400
    assert set(response.json()) == {"code", "message", "details"}


def test_another_signers_certificate_is_not_taken(client: Client, signer: Signer) -> None:
    world = client.world
    other = world.sigstore.signer(world.rehearsal.job, world.now)
    swapped = broken(dsse(signer), "spec.proposedContent.verifiers", [pem_of(other)])
    assert take(client, swapped).status_code == 400


def test_a_key_of_another_kind_is_not_taken(client: Client, signer: Signer) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    world = client.world
    certificate = world.sigstore.authority.issue(
        world.sigstore.profile(world.rehearsal.job, world.now), key.public_key(), []
    )
    assert isinstance(certificate, x509.Certificate)
    response = take(client, dsse(Signer(key, certificate)))
    assert response.status_code == 400
    assert "keys of that kind" in response.json()["message"]
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    assert signer.key.sign(b"x", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"kind":"dsse","kind":"dsse"}', b"[" * 100_000])
def test_what_is_no_json_is_not_taken(client: Client, raw: bytes) -> None:
    assert client.post("log", f"{V1}/entries", data=raw).status_code == 400
    assert client.post("log", V2, data=raw).status_code == 400
