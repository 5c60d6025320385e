"""Trusted roots: from a file, from the installation, and from a TUF repository made here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import (  # type: ignore[attr-defined]
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.ngclient.fetcher import FetcherInterface

from brew_provenance import trust
from brew_provenance.errors import TrustError
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.trust import (
    TrustedRoot,
    distributed_file,
    is_public_good,
    public_good_root,
    read_trusted_roots,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NEW_ROOT = b'{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "new": true}'


class Repository(FetcherInterface):
    """A TUF repository in memory, which counts what is fetched from it."""

    def __init__(self, target: bytes = NEW_ROOT, expires: datetime = NOW + timedelta(days=3650)) -> None:
        self.signer = CryptoSigner.generate_ecdsa()
        self.fetched: list[str] = []
        self.files: dict[str, bytes] = {}
        self.target = target
        self.root = Root(expires=expires, consistent_snapshot=True)
        for role in ("root", "timestamp", "snapshot", "targets"):
            self.root.add_key(self.signer.public_key, role)
        self.bootstrap = self._sign(self.root)
        self.publish(1, expires)

    def publish(self, version: int, expires: datetime) -> None:
        digest = hashlib.sha256(self.target).hexdigest()
        targets = Targets(version=version, expires=expires)
        targets.targets["trusted_root.json"] = TargetFile.from_data("trusted_root.json", self.target)
        snapshot = Snapshot(version=version, expires=expires, meta={"targets.json": MetaFile(version)})
        timestamp = Timestamp(version=version, expires=expires, snapshot_meta=MetaFile(version))
        self.files |= {
            "timestamp.json": self._sign(timestamp),
            f"{version}.snapshot.json": self._sign(snapshot),
            f"{version}.targets.json": self._sign(targets),
            f"{digest}.trusted_root.json": self.target,
        }

    def _sign(self, signed: Any) -> bytes:
        metadata = Metadata(signed)
        metadata.sign(self.signer)
        return metadata.to_bytes()

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.rpartition("/")[2]
        self.fetched.append(name)
        if name not in self.files:
            raise DownloadHTTPError(name, 404)
        yield self.files[name]


class Unreachable(FetcherInterface):
    """A network that must not be used, or is down."""

    def __init__(self) -> None:
        self.asked = 0

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.asked += 1
        raise OSError(f"no route to {url}")


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository whose root metadata the installation is made to carry."""
    repository = Repository()
    carried = trust.distributed_file

    def distributed_file(name: str) -> bytes:
        return repository.bootstrap if name == "root.json" else carried(name)

    monkeypatch.setattr(trust, "distributed_file", distributed_file)
    return repository


def test_offline_root_is_the_one_that_the_installation_carries(tmp_path: Path) -> None:
    root = public_good_root(tmp_path, offline=True, now=NOW)

    assert root.built_in
    assert not root.note
    assert {log["baseUrl"] for log in json.loads(root.raw)["tlogs"]} >= {"https://rekor.sigstore.dev"}
    assert not list(tmp_path.iterdir())


def test_environment_cannot_put_another_root_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = public_good_root(tmp_path / "none", offline=True, now=NOW).raw
    # Where sigstore-python keeps, and offline believes, its cached copy.
    planted = tmp_path / "sigstore-python/tuf/https%3A%2F%2Ftuf-repo-cdn.sigstore.dev/trusted_root.json"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(NEW_ROOT)
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))

    assert public_good_root(tmp_path / "cache", offline=True, now=NOW).raw == expected


def test_planted_cache_with_foreign_metadata_is_not_believed(tmp_path: Path) -> None:
    foreign = Repository()
    metadata = tmp_path / "metadata"
    (metadata / "root_history").mkdir(parents=True)
    (metadata / "root_history" / "1.root.json").write_bytes(foreign.bootstrap)
    for name in ("timestamp", "snapshot", "targets"):
        source = "timestamp.json" if name == "timestamp" else f"1.{name}.json"
        (metadata / f"{name}.json").write_bytes(foreign.files[source])
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "trusted_root.json").write_bytes(NEW_ROOT)

    root = public_good_root(tmp_path, offline=True, now=NOW)

    assert root.raw != NEW_ROOT
    assert "could not be used" in root.note


def test_refresh_fetches_the_newer_root_and_looks_again_after_a_day(
    tmp_path: Path, repository: Repository
) -> None:
    first = public_good_root(tmp_path, offline=False, now=NOW, fetcher=repository)
    fetched = len(repository.fetched)
    same_day = public_good_root(tmp_path, offline=False, now=NOW + timedelta(hours=23), fetcher=repository)
    assert len(repository.fetched) == fetched
    next_day = public_good_root(tmp_path, offline=False, now=NOW + timedelta(hours=25), fetcher=repository)

    assert first.raw == same_day.raw == next_day.raw == NEW_ROOT
    assert first.built_in
    assert not first.note
    assert len(repository.fetched) > fetched


def test_offline_uses_the_refreshed_root_and_verifies_it_again(
    tmp_path: Path, repository: Repository
) -> None:
    public_good_root(tmp_path, offline=False, now=NOW, fetcher=repository)
    fetched = len(repository.fetched)
    assert public_good_root(tmp_path, offline=True, now=NOW).raw == NEW_ROOT

    (tmp_path / "targets" / "trusted_root.json").write_bytes(NEW_ROOT.replace(b"true", b"fals"))
    tampered = public_good_root(tmp_path, offline=True, now=NOW)

    assert len(repository.fetched) == fetched
    assert b'"new"' not in tampered.raw
    assert tampered.note


def test_new_version_is_taken_and_an_older_one_is_not(tmp_path: Path, repository: Repository) -> None:
    far = NOW + timedelta(days=3650)
    old = dict(repository.files)
    repository.target = NEW_ROOT.replace(b"true", b"1234")
    repository.publish(2, far)
    assert public_good_root(tmp_path, offline=False, now=NOW, fetcher=repository).raw == repository.target

    repository.files |= old
    later = NOW + timedelta(days=2)
    rolled_back = public_good_root(tmp_path, offline=False, now=later, fetcher=repository)

    assert rolled_back.raw != NEW_ROOT
    assert rolled_back.note


def test_network_that_is_down_is_noted_and_not_asked_at_every_run(
    tmp_path: Path, repository: Repository
) -> None:
    down = Unreachable()
    root = public_good_root(tmp_path, offline=False, now=NOW, fetcher=down)
    asked = down.asked
    public_good_root(tmp_path, offline=False, now=NOW + timedelta(minutes=30), fetcher=down)
    assert down.asked == asked
    public_good_root(tmp_path, offline=False, now=NOW + timedelta(minutes=90), fetcher=down)

    assert down.asked > asked
    assert "could not be used" in root.note
    assert root.findings[0].code == "trusted-root-note"
    assert json.loads(root.raw)["tlogs"]


def test_expired_metadata_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(expires=datetime.now(UTC) - timedelta(days=1))
    monkeypatch.setattr(
        trust, "distributed_file", lambda name: repository.bootstrap if name == "root.json" else b"{}"
    )

    root = public_good_root(tmp_path, offline=False, now=NOW, fetcher=repository)

    assert root.raw == b"{}"
    assert "expired" in root.note


def test_cache_that_cannot_be_written_is_no_failure(tmp_path: Path, repository: Repository) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")

    root = public_good_root(blocked, offline=False, now=NOW, fetcher=repository)

    assert root.note
    assert json.loads(root.raw)["tlogs"]


@pytest.mark.parametrize("stamp", ["", "yesterday", "2026-10-31T23:00:00", "2099-01-01T00:00:00+00:00"])
def test_stamp_that_is_no_past_time_does_not_hold_back_a_refresh(
    stamp: str, tmp_path: Path, repository: Repository
) -> None:
    (tmp_path / "refreshed").write_text(stamp, encoding="utf-8")

    assert public_good_root(tmp_path, offline=False, now=NOW, fetcher=repository).raw == NEW_ROOT


def test_installation_without_its_root_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.metadata.files", lambda _: None)

    with pytest.raises(TrustError, match="carries 0 files"):
        public_good_root(tmp_path, offline=True, now=NOW)


def test_file_with_one_root_over_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "root.json"
    path.write_text(json.dumps(json.loads(NEW_ROOT), indent=1), encoding="utf-8")

    (root,) = read_trusted_roots(path)

    assert root.name == str(path)
    assert not root.built_in
    assert root.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_file_with_one_root_a_line(tmp_path: Path) -> None:
    path = tmp_path / "roots.jsonl"
    path.write_bytes(NEW_ROOT + b"\n" + NEW_ROOT + b"\n")

    assert [root.name for root in read_trusted_roots(path)] == [f"{path} line 1", f"{path} line 2"]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "not a Sigstore trusted root"),
        (b'{"mediaType": "text/plain"}', "not a Sigstore trusted root"),
        (NEW_ROOT + b"\n{\n", "line 2: not JSON"),
        (b'{"mediaType": 1, "mediaType": 2}', "stands twice"),
        (b" " * (trust.MAX_ROOT_BYTES + 1), "longer than the limit"),
    ],
)
def test_file_that_is_no_trusted_root_is_refused(content: bytes, cause: str, tmp_path: Path) -> None:
    path = tmp_path / "root.json"
    path.write_bytes(content)

    with pytest.raises(TrustError, match=cause):
        read_trusted_roots(path)


def test_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="absent") as caught:
        read_trusted_roots(tmp_path / "absent")

    assert caught.value.exit_code == 2
    assert "gh attestation trusted-root" in caught.value.next_step


def test_public_good_root_is_known_by_its_certificates(tmp_path: Path) -> None:
    raw = distributed_file("trusted_root.json")
    renamed = json.loads(raw)
    for authority in renamed["certificateAuthorities"]:
        authority["subject"] = {"organization": "somebody else", "commonName": "another"}
        authority["uri"] = "https://fulcio.invalid"
    one_of_two = {**renamed, "certificateAuthorities": renamed["certificateAuthorities"][:1]}

    assert is_public_good(public_good_root(tmp_path, offline=True, now=NOW))
    for document in (json.loads(raw), renamed, one_of_two):
        assert is_public_good(TrustedRoot("a file", json.dumps(document).encode(), built_in=False))


def test_other_root_is_not_public_good_whatever_it_calls_itself() -> None:
    document = VirtualSigstore().trusted_root()
    document["certificateAuthorities"][0]["subject"] = {
        "organization": "sigstore.dev",
        "commonName": "sigstore",
    }
    assert not is_public_good(TrustedRoot("a file", json.dumps(document).encode(), built_in=False))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"certificateAuthorities": 1}',
        b'{"certificateAuthorities": [{}]}',
        b'{"certificateAuthorities": [{"certChain": {"certificates": [{"rawBytes": 7}]}}]}',
        b'{"certificateAuthorities": [{"certChain": {"certificates": [{"rawBytes": "A"}]}}]}',
    ],
)
def test_what_is_no_root_is_not_public_good(raw: bytes) -> None:
    assert not is_public_good(TrustedRoot("a file", raw, built_in=False))


@pytest.mark.parametrize("old", ["certificateAuthorities", "certChain", "rawBytes", "validFor"])
def test_a_root_whose_names_are_written_in_another_way_is_refused(tmp_path: Path, old: str) -> None:
    path = tmp_path / "root.json"
    new = re.sub("([A-Z])", lambda match: f"_{match[1].lower()}", old)
    raw = json.dumps(VirtualSigstore().trusted_root()).replace(f'"{old}"', f'"{new}"', 1)
    path.write_text(raw, encoding="utf-8")
    with pytest.raises(TrustError, match=f"a name is written '{new}'"):
        read_trusted_roots(path)
