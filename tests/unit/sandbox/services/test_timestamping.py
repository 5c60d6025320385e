"""Timestamps over HTTP."""

from __future__ import annotations

import pytest
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response
from tests.unit.sandbox.services.conftest import Client

PATH = "/api/v1/timestamp"
TYPE = {"Content-Type": "application/timestamp-query"}


def test_a_stamp_repeats_imprint_and_nonce(client: Client) -> None:
    request = (
        TimestampRequestBuilder()
        .hash_algorithm(HashAlgorithm.SHA256)
        .data(b"signature")
        .nonce(nonce=True)
        .build()
    )
    response = client.post("timestamping", PATH, data=request.as_bytes(), headers=TYPE)
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/timestamp-reply"
    stamp = decode_timestamp_response(response.content)
    assert stamp.status == 0
    assert stamp.tst_info.nonce == request.nonce
    assert stamp.tst_info.message_imprint.message == request.message_imprint.message
    assert abs((stamp.tst_info.gen_time - client.world.now).total_seconds()) < 60


@pytest.mark.parametrize("raw", [b"", b"\x30", b"{}", b"\x30\x03\x02\x01\x01", b"\xff" * 100])
def test_what_is_no_request_gets_no_stamp(client: Client, raw: bytes) -> None:
    response = client.post("timestamping", PATH, data=raw, headers=TYPE)
    assert (response.status_code, response.json()["code"]) == (400, 400)


def test_what_is_not_said_to_be_a_request_gets_no_stamp(client: Client) -> None:
    assert client.post("timestamping", PATH, data=b"x").status_code == 415
    response = client.post("timestamping", PATH, data=b"x" * 9000, headers=TYPE)
    assert response.status_code == 413
    assert client.get("timestamping", PATH).status_code == 404
