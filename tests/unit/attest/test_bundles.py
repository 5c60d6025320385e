"""The folder of bundles: what is in it, and who may write to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.attest.releases import FOO, Release

from brew_provenance.attest import bundles
from brew_provenance.attest.bundles import BundleFolder
from brew_provenance.errors import BuildSideError, ProvenanceError


def test_a_folder_is_made_when_it_is_opened(tmp_path: Path) -> None:
    folder = BundleFolder(tmp_path / "a" / "b")
    assert not folder.path.exists()
    with folder:
        assert list(folder) == []


def test_bundles_are_found_by_their_names_in_order(tmp_path: Path) -> None:
    with BundleFolder(tmp_path) as folder:
        for name in ("b.sigstore.json", "a.sigstore.json", "c.json", ".a.sigstore.json.x7"):
            (tmp_path / name).write_bytes(b"{}")
        assert list(folder) == ["a.sigstore.json", "b.sigstore.json"]


def test_two_cannot_have_it_at_once(tmp_path: Path) -> None:
    with (
        BundleFolder(tmp_path),
        pytest.raises(BuildSideError, match="another process"),
        BundleFolder(tmp_path),
    ):
        pass
    with BundleFolder(tmp_path):
        pass


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BuildSideError, match="exists"), BundleFolder(tmp_path / "file"):
        pass


def test_a_folder_that_vanishes_is_told(tmp_path: Path) -> None:
    with BundleFolder(tmp_path / "x") as folder:
        (tmp_path / "x").rmdir()
        with pytest.raises(ProvenanceError):
            list(folder)
        with pytest.raises(BuildSideError) as raised:
            folder.write("a.sigstore.json", b"{}")
        assert "--bundles" in raised.value.next_step
        with pytest.raises(BuildSideError):
            folder.read("a.sigstore.json")


def test_a_bundle_is_written_whole_for_all_to_read(tmp_path: Path) -> None:
    with BundleFolder(tmp_path) as folder:
        folder.write("a.sigstore.json", b"{}")
        assert [path.name for path in tmp_path.iterdir()] == ["a.sigstore.json"]
        assert (tmp_path / "a.sigstore.json").stat().st_mode & 0o777 == 0o644
        assert folder.holds("a.sigstore.json")
        assert not folder.holds("b.sigstore.json")


def test_a_link_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"{}")
    with BundleFolder(tmp_path / "x") as folder:
        (folder.path / "a.sigstore.json").symlink_to(elsewhere)
        assert folder.holds("a.sigstore.json")
        with pytest.raises(BuildSideError, match="no plain file"):
            folder.read("a.sigstore.json")
        folder.write("a.sigstore.json", b"[]")
        assert elsewhere.read_bytes() == b"{}"


def test_what_is_no_bundle_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_BUNDLE_BYTES", 10)
    with BundleFolder(tmp_path) as folder:
        for content, said in ((b"[" * 9, "bundle-unreadable"), (b" " * 11, "longer than")):
            (tmp_path / "a.sigstore.json").write_bytes(content)
            with pytest.raises(BuildSideError, match=said):
                folder.read("a.sigstore.json")
        (tmp_path / "a.sigstore.json").unlink()
        (tmp_path / "a.sigstore.json").mkdir()
        with pytest.raises(BuildSideError, match="no plain file"):
            folder.read("a.sigstore.json")


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(bundles, "read_bounded", refuse)
    with BundleFolder(tmp_path) as folder:
        folder.write("a.sigstore.json", b"{}")
        with pytest.raises(BuildSideError, match="Permission denied"):
            folder.read("a.sigstore.json")


def test_a_bundle_reads_back_as_it_was_written(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.attest()
    raw = (release.bundles / f"{FOO}.sigstore.json").read_bytes()
    with BundleFolder(release.bundles) as folder:
        assert folder.read(f"{FOO}.sigstore.json").raw == raw
