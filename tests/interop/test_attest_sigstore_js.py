"""What `attest` signs and publishes is held against sigstore-js, which shares no code with it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.attest.releases import FIXTURES, Ground, Release, make_tap, tool, world_options
from tests.interop.sigstorejs import SigstoreJS

from brew_provenance.sandbox.instance import LogVersion
from brew_provenance.sandbox.services.world import serve_world


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """All bottles of the fixtures, attested with the log that GitHub's attestations are in."""
    with attested(tmp_path_factory.mktemp("release"), "rekor-v1") as made:
        yield made


@contextmanager
def attested(folder: Path, log_version: LogVersion) -> Iterator[Release]:
    head = make_tap(folder / "tap")
    with serve_world(world_options(head, log_version=log_version)) as world:
        ground = Ground(folder / "tap", head, world, folder / "recorded")
        ground.record_all()
        environment = world.environment_for(os.environ)
        made = Release(ground, folder / "recorded", folder / "bundles", environment)
        done = tool(made.arguments, {**environment, "XDG_CACHE_HOME": str(folder / "cache")})
        assert done.returncode == 0, done.stderr
        yield made


def bundles(release: Release) -> list[Any]:
    return [json.loads(path.read_bytes()) for path in sorted(release.bundles.glob("*.sigstore.json"))]


def verify(sigstore_js: SigstoreJS, release: Release, found: list[Any]) -> list[str | None]:
    job = release.world.rehearsal.job
    return sigstore_js.verify(release.world.trusted_root, found, identity=job.signer_uri, issuer=job.issuer)


def test_every_bundle_is_accepted_under_the_instances_own_root(
    sigstore_js: SigstoreJS, release: Release
) -> None:
    found = bundles(release)
    assert len(found) == len(list((FIXTURES / "bottles").iterdir()))
    assert verify(sigstore_js, release, found) == [None] * len(found)


def test_what_the_store_shows_is_what_was_accepted(sigstore_js: SigstoreJS, release: Release) -> None:
    stored = [
        json.loads(kept.bundle)
        for number in range(1, 100)
        if (kept := release.world.github.store.get(number)) is not None
    ]
    assert sorted(map(json.dumps, stored)) == sorted(map(json.dumps, bundles(release)))
    assert verify(sigstore_js, release, stored) == [None] * len(stored)


def test_no_bundle_is_accepted_for_another_statement(sigstore_js: SigstoreJS, release: Release) -> None:
    found = bundles(release)
    payloads = [bundle["dsseEnvelope"]["payload"] for bundle in found]
    for bundle, other in zip(found, payloads[1:] + payloads[:1], strict=True):
        assert base64.b64decode(other) != base64.b64decode(bundle["dsseEnvelope"]["payload"])
        bundle["dsseEnvelope"]["payload"] = other
    assert all(verify(sigstore_js, release, found))


def test_it_does_not_read_the_second_logs_entries_of_envelopes_yet(
    sigstore_js: SigstoreJS, tmp_path: Path
) -> None:
    """They are of the signed bytes' digest; it expects the payload's, and takes no others for the same."""
    with attested(tmp_path, "rekor-v2") as release:
        found = bundles(release)
        assert verify(sigstore_js, release, found) == ["TLOG_BODY_ERROR"] * len(found)


def test_bundles_lie_where_people_look_for_them(release: Release) -> None:
    names = {path.name for path in release.bundles.iterdir() if not path.name.startswith(".")}
    assert names == {f"{Path(path).name}.sigstore.json" for path in (FIXTURES / "bottles").iterdir()}
