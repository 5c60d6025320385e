"""Blobs: signed URLs that expire, on a host that no token belongs to."""

from __future__ import annotations

from collections.abc import Callable

import cramjam
import pytest
from tests.unit.builders import SHA256
from tests.unit.sandbox.github.conftest import BULK, NEW, NOW, REPOSITORY, Lab, bundle_for

from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.service import AttestationService, serve_github


def url_of(lab: Lab) -> str:
    url = lab.look_up(version=NEW).json()["attestations"][0]["bundle_url"]
    assert isinstance(url, str)
    return url


def test_a_blob_is_the_bundle_as_a_raw_snappy_block(lab: Lab) -> None:
    lab.add(SHA256)
    response = lab.get(url_of(lab), version=None)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/octet-stream"
    assert bytes(cramjam.snappy.decompress_raw(response.content)) == bundle_for(SHA256)
    assert "x-ratelimit-limit" not in response.headers


def test_bytes_of_any_kind_can_be_served_as_a_blob(lab: Lab) -> None:
    lab.store.add(REPOSITORY, b"\x00 no JSON", digests=[SHA256], predicate_type="x")
    assert bytes(cramjam.snappy.decompress_raw(lab.get(url_of(lab)).content)) == b"\x00 no JSON"


def test_a_url_expires(lab: Lab) -> None:
    lab.add(SHA256)
    lab.set(url_lifetime=60)
    url = url_of(lab)
    lab.clock.now = NOW + 59
    assert lab.get(url).status_code == 200
    lab.clock.now = NOW + 60
    response = lab.get(url)
    assert response.status_code == 403
    assert "<Code>AuthenticationFailed</Code>" in response.text
    assert lab.get(url_of(lab)).status_code == 200
    lab.set(url_lifetime=0)
    assert lab.get(url_of(lab)).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.partition("?")[0],
        lambda url: url.replace("se=2030", "se=2031"),
        lambda url: url.replace("/1.json.sn", "/2.json.sn"),
        lambda url: url.replace("/111/", "/112/"),
        lambda url: url.replace("/attestations/", "/attestations//"),
        lambda url: url.partition("&sig=")[0] + "&sig=",
        lambda url: url.partition("&sig=")[0] + "&sig=%FF%00",
        lambda url: url[:-5] + "AA%3D",
        lambda url: url.partition("?")[0] + "?se=soon&sig=x",
        lambda url: url.partition("/attestations/")[0] + "/",
        lambda url: url.partition("/attestations/")[0] + "/attestations/%ED%A0%80?se=%ED%A0%80",
    ],
)
def test_a_url_that_was_not_signed_is_refused(lab: Lab, change: Callable[[str], str]) -> None:
    lab.add(SHA256)
    lab.add(SHA256)
    lab.store.delete([2])
    url = change(url_of(lab))
    assert url != url_of(lab)
    assert lab.get(url).status_code == 403


def test_a_url_of_another_service_is_refused(lab: Lab) -> None:
    lab.add(SHA256)
    path = url_of(lab).removeprefix(lab.blob_url)
    other = AttestationService(lab.store, clock=lab.clock)
    with serve_github(other, blobs_apart=False) as served:
        assert lab.get(served.url + path).status_code == 403


def test_a_blob_that_was_deleted_is_not_found(lab: Lab) -> None:
    number = lab.add(SHA256)
    url = url_of(lab)
    lab.store.delete([number])
    response = lab.get(url)
    assert response.status_code == 404
    assert "BlobNotFound" in response.text


def test_a_blob_cannot_be_changed(lab: Lab) -> None:
    lab.add(SHA256)
    assert lab.ask("PUT", url_of(lab), data=b"x").status_code == 405
    assert lab.ask("HEAD", url_of(lab)).status_code == 200


@pytest.mark.parametrize("value", ["Bearer reader", "Bearer wrong", "", "Basic x"])
def test_credentials_for_a_blob_are_refused_and_recorded(lab: Lab, value: str) -> None:
    lab.add(SHA256)
    url = url_of(lab)
    assert lab.get(url).status_code == 200
    assert not lab.log.leaks

    response = lab.get(url, headers={"Authorization": value})

    assert response.status_code == 400
    [leak] = lab.log.leaks
    assert (leak.side, leak.origin, leak.authorization) == ("blobs", lab.blob_url, value)
    assert leak.path in url


def test_the_blob_host_knows_no_api(lab: Lab) -> None:
    lab.add(SHA256)
    response = lab.ask("POST", lab.blob_url + BULK, token="reader", json={"subject_digests": [str(SHA256)]})
    assert response.status_code == 400
    assert lab.log.leaks[0].path == BULK


def test_the_api_host_serves_blobs_that_have_no_host_of_their_own(lab: Lab) -> None:
    lab.add(SHA256)
    lab.service.backend.blob_origin = None
    url = url_of(lab)
    assert url.startswith(f"{lab.url}/attestations/")
    assert lab.get(url).status_code == 200
    assert lab.get(url, token="reader").status_code == 400
    assert [leak.origin for leak in lab.log.leaks] == [lab.url]


@pytest.mark.parametrize("apart", [True, False])
def test_a_service_is_served_with_its_blobs_apart_or_not(lab: Lab, *, apart: bool) -> None:
    store = AttestationStore()
    store.add_repository(REPOSITORY)
    store.add(REPOSITORY, bundle_for(SHA256))
    service = AttestationService(store)
    with serve_github(service, blobs_apart=apart) as served:
        assert (served.url != served.blob_url) == apart
        [row] = lab.get(f"{served.url}/repos/{REPOSITORY}/attestations/{SHA256}").json()["attestations"]
        assert row["bundle_url"].startswith(f"{served.blob_url}/")
        assert lab.get(row["bundle_url"]).status_code == 200
    assert service.backend.blob_origin is None
