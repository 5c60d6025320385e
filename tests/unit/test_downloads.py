"""brew's downloads: where it keeps them, whom it asks for them, and with which token."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import make_bottle

from brew_provenance.bottle import Bottle, BottleFileName, Digest, bottle_url, claimed_bottle_name
from brew_provenance.downloads import (
    ANONYMOUS,
    cached_bottle_path,
    cached_manifest_path,
    find_cached,
    mirrored_urls,
    registry_authorization,
    url_for_brew,
)

CORE = "https://ghcr.io/v2/homebrew/core"
MIRROR = "https://mirror.example.com/bottles"
PROXY = "https://proxy.example.com"
CACHE = Path("/cache")


def core_bottle(
    name: str = "ack", version: str = "3.7.0", tag: str = "all", rebuild: int = 0, root: str = CORE
) -> Bottle:
    digest = Digest("sha256", "a54aa4f028ef042948961ef62524557dd8afd2c05eb658bd5f6d1ec04dddc22f")
    url = bottle_url(root, BottleFileName(name, version, tag, rebuild), digest)
    return Bottle("homebrew/core", name, version, rebuild, tag, digest, url)


ACK = core_bottle()
GTK = core_bottle("gtk+3", "3.24.1_2", "arm64_tahoe", 1)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class TestCache:
    """Where brew keeps what it has downloaded."""

    def test_recorded_names(self) -> None:
        # From the log of Homebrew/homebrew-core#177384.
        assert cached_bottle_path(CACHE, ACK) == CACHE / "downloads" / (
            "c0b363089f9bdea9ea776ac5a818e39c35ac0d2d71b0cf904cc3d94f3b87f61b--ack--3.7.0.all.bottle.tar.gz"
        )
        assert cached_manifest_path(CACHE, ACK) == CACHE / "downloads" / (
            "b6c1ee594c9aedefbd6f9f86e3ef08fbe78385cbec8cf13a46d66b02ce501ced--ack-3.7.0.bottle_manifest.json"
        )

    def test_a_manifest_is_named_after_version_and_rebuild(self) -> None:
        url = f"{CORE}/gtkx3/manifests/3.24.1_2-1"
        name = f"{sha256(url)}--gtk+3-3.24.1_2-1.bottle_manifest.json"
        assert cached_manifest_path(CACHE, GTK) == CACHE / "downloads" / name

    @pytest.mark.parametrize(
        ("bottle", "url"),
        [
            (core_bottle(root=MIRROR), None),
            (ACK, f"{MIRROR}/ack-3.7.0.all.bottle.tar.gz"),
            (ACK, f"https://ghcr.io.example.com/v2/homebrew/core/ack/blobs/{ACK.digest}"),
            (core_bottle(version="1.0+git"), None),
            (core_bottle(version="1" * 129), None),
        ],
    )
    def test_what_comes_from_no_registry_has_no_manifest(self, bottle: Bottle, url: str | None) -> None:
        assert cached_manifest_path(CACHE, bottle, url) is None

    @pytest.mark.parametrize(
        ("bottle", "name"),
        [
            (core_bottle("openssl@3", root=MIRROR), "openssl@3-3.7.0.all.bottle.tar.gz"),
            (core_bottle("gtk+3", rebuild=2, root=MIRROR), "gtk+3-3.7.0.all.bottle.2.tar.gz"),
            (make_bottle(url="https://example.org/x/foo-1.1.tar.gz?token=a/b#c/d"), "foo-1.1.tar.gz"),
            (make_bottle(url="https://example.org/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), "passwd"),
            (make_bottle(url="https://example.org/a%00b%0a%7fc%c2%85d"), "abcd"),
            (make_bottle(url="https://example.org/.."), ".."),
            (make_bottle(url="https://[/x"), "x"),
            (make_bottle(url="nothing"), "nothing"),
            (make_bottle(url=""), ""),
        ],
    )
    def test_elsewhere_a_bottle_has_the_name_that_its_url_ends_in(self, bottle: Bottle, name: str) -> None:
        path = cached_bottle_path(CACHE, bottle)
        assert path.name == f"{sha256(bottle.url)}--{name}"
        assert path.parent == CACHE / "downloads"

    @given(
        st.from_regex(r"[a-z0-9][a-z0-9@+._-]{0,20}", fullmatch=True),
        st.from_regex(r"[0-9][0-9a-z.+-]{0,10}(_[1-9])?", fullmatch=True),
        st.sampled_from(["all", "arm64_tahoe", "x86_64_linux", "sonoma"]),
        st.integers(0, 30),
        st.sampled_from([CORE, MIRROR, "https://ghcr.io/v2/octo/tap"]),
    )
    def test_names_lead_back_to_their_bottles(
        self, name: str, version: str, tag: str, rebuild: int, root: str
    ) -> None:
        bottle = core_bottle(name, version, tag, rebuild, root)
        path = cached_bottle_path(CACHE, bottle)
        assert path.parent == CACHE / "downloads"
        assert path.name.startswith(f"{sha256(bottle.url)}--")
        if root != MIRROR:
            claimed = claimed_bottle_name(path.name)
            assert claimed == str(bottle.file_name)
            assert BottleFileName.parse(claimed, name) == bottle.file_name
        else:
            rest = str(bottle.file_name).removeprefix(f"{name}--")
            assert path.name.endswith(f"--{name}-{rest}")
        manifest = cached_manifest_path(CACHE, bottle)
        assert (manifest is None) == (root == MIRROR or "+" in version)

    def test_a_bottle_of_a_registry_is_found_by_its_name(self, tmp_path: Path) -> None:
        path = cached_bottle_path(tmp_path, ACK)
        assert find_cached(tmp_path, ACK) is None
        path.parent.mkdir()
        path.with_name(f"{path.name}.incomplete").touch()
        path.with_name(f"{sha256(ACK.url)}--other").touch()
        assert find_cached(tmp_path, ACK) is None
        path.touch()
        assert find_cached(tmp_path, ACK) == path
        assert find_cached(tmp_path, ACK, url_for_brew(ACK, MIRROR)) is None

    def test_any_other_bottle_is_found_by_its_url(self, tmp_path: Path) -> None:
        bottle = core_bottle(root=MIRROR)
        path = cached_bottle_path(tmp_path, bottle)
        path.parent.mkdir()
        other = path.with_name(f"{sha256(bottle.url)}--as the server named it")
        other.touch()
        other.with_name(f"{other.name}.incomplete").touch()
        assert find_cached(tmp_path, bottle) == other
        other.with_name(f"{sha256(bottle.url)}--and again").touch()
        assert find_cached(tmp_path, bottle) is None
        path.touch()
        assert find_cached(tmp_path, bottle) == path

    def test_only_a_file_is_a_cached_bottle(self, tmp_path: Path) -> None:
        path = cached_bottle_path(tmp_path, ACK)
        path.mkdir(parents=True)
        assert find_cached(tmp_path, ACK) is None
        path.rmdir()
        path.symlink_to("nowhere")
        assert find_cached(tmp_path, ACK) is None
        path.unlink()
        path.symlink_to(path)
        assert find_cached(tmp_path, ACK) is None

    def test_what_may_not_be_looked_at_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(_path: Path) -> bool:
            raise PermissionError

        monkeypatch.setattr(Path, "is_file", denied)
        assert find_cached(CACHE, ACK) is None


ON_MIRROR = f"{MIRROR}/ack-3.7.0.all.bottle.tar.gz"
BLOB = f"ack/blobs/{ACK.digest}"


class TestMirrors:
    """Whom brew asks for a bottle."""

    @pytest.mark.parametrize(
        ("bottle_domain", "url"),
        [
            (None, ACK.url),
            (CORE, ACK.url),
            (MIRROR, ON_MIRROR),
            # As brew writes it, whose cache goes by it.
            (f"{MIRROR}/", f"{MIRROR}//ack-3.7.0.all.bottle.tar.gz"),
            (
                "https://mirror.example.com/v2/homebrew/core",
                "https://mirror.example.com/v2/homebrew/core/ack-3.7.0.all.bottle.tar.gz",
            ),
            ("https://ghcr.io/v2/Octo/homebrew-core", f"https://ghcr.io/v2/octo/core/{BLOB}"),
            ("https://ghcr.io/v2/octo/core/more", f"https://ghcr.io/v2/octo/core/{BLOB}"),
        ],
    )
    def test_a_bottle_domain_takes_the_place_of_homebrew_cores(
        self, bottle_domain: str | None, url: str
    ) -> None:
        assert url_for_brew(ACK, bottle_domain) == url

    def test_a_bottle_domain_is_for_homebrew_core_alone(self) -> None:
        for root in ("https://ghcr.io/v2/octo/tap", "https://ghcr.io/v2/homebrew/core-x", PROXY):
            bottle = core_bottle(root=root)
            assert url_for_brew(bottle, MIRROR) == bottle.url
            assert mirrored_urls(bottle, bottle_domain=MIRROR) == [bottle.url]

    @pytest.mark.parametrize(
        ("arguments", "urls"),
        [
            ({}, [ACK.url]),
            ({"no_fallback": True}, [ACK.url]),
            ({"bottle_domain": MIRROR}, [ON_MIRROR, ACK.url]),
            ({"artifact_domain": PROXY}, [f"{PROXY}/v2/homebrew/core/{BLOB}", ACK.url]),
            ({"artifact_domain": f"{PROXY}/"}, [f"{PROXY}/v2/homebrew/core/{BLOB}", ACK.url]),
            ({"artifact_domain": f"{PROXY}/a/v2"}, [f"{PROXY}/a/v2/v2/homebrew/core/{BLOB}", ACK.url]),
            ({"artifact_domain": f"{PROXY}/v2x"}, [f"{PROXY}/v2x/v2/homebrew/core/{BLOB}", ACK.url]),
            ({"artifact_domain": f"{PROXY}/v2"}, [f"{PROXY}/v2/homebrew/core/{BLOB}", ACK.url]),
            ({"artifact_domain": f"{PROXY}/v2/"}, [f"{PROXY}/v2/homebrew/core/{BLOB}", ACK.url]),
            (
                {"artifact_domain": f"{PROXY}/v2/ghcr-io"},
                [f"{PROXY}/v2/ghcr-io/homebrew/core/{BLOB}", ACK.url],
            ),
            ({"artifact_domain": PROXY, "no_fallback": True}, [f"{PROXY}/v2/homebrew/core/{BLOB}"]),
            (
                {"artifact_domain": PROXY, "bottle_domain": MIRROR},
                [ON_MIRROR, f"{PROXY}/v2/homebrew/core/{BLOB}", ACK.url],
            ),
            (
                {"artifact_domain": PROXY, "bottle_domain": MIRROR, "no_fallback": True},
                [ON_MIRROR, f"{PROXY}/v2/homebrew/core/{BLOB}"],
            ),
            (
                {"artifact_domain": PROXY, "bottle_domain": "https://ghcr.io/v2/octo/core"},
                [
                    f"{PROXY}/v2/octo/core/{BLOB}",
                    f"https://ghcr.io/v2/octo/core/{BLOB}",
                    f"{PROXY}/v2/homebrew/core/{BLOB}",
                    ACK.url,
                ],
            ),
        ],
    )
    def test_urls_come_in_brews_order(self, arguments: dict[str, Any], urls: list[str]) -> None:
        assert mirrored_urls(ACK, **arguments) == urls

    def test_an_artifact_domain_is_for_githubs_registry_alone(self) -> None:
        bottle = core_bottle(root=MIRROR)
        assert mirrored_urls(bottle, artifact_domain=PROXY) == [bottle.url]
        assert mirrored_urls(bottle, artifact_domain=f"{PROXY}/v2", no_fallback=True) == [bottle.url]

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ({}, {"https://ghcr.io": ANONYMOUS}),
            ({"token": "t"}, {"https://ghcr.io": "Bearer t"}),
            ({"basic_auth_token": "b"}, {"https://ghcr.io": "Basic b"}),
            ({"token": "t", "basic_auth_token": "b"}, {"https://ghcr.io": "Bearer t"}),
            ({"token": "t", "basic_auth_token": "none"}, {"https://ghcr.io": "Bearer t"}),
            ({"basic_auth_token": "none"}, {}),
            ({"token": "", "basic_auth_token": ""}, {"https://ghcr.io": ANONYMOUS}),
            ({"artifact_domain": PROXY}, {"https://ghcr.io": ANONYMOUS}),
            ({"artifact_domain": PROXY, "basic_auth_token": "none"}, {"https://ghcr.io": ANONYMOUS}),
            (
                {"artifact_domain": f"{PROXY}:8443/v2/x", "token": "t"},
                {"https://ghcr.io": ANONYMOUS, f"{PROXY}:8443": "Bearer t"},
            ),
            (
                {"artifact_domain": "HTTP://LocalHost:80", "basic_auth_token": "b"},
                {"https://ghcr.io": ANONYMOUS, "http://localhost:80": "Basic b"},
            ),
            ({"artifact_domain": "https://ghcr.io", "token": "t"}, {"https://ghcr.io": "Bearer t"}),
        ],
    )
    def test_a_token_goes_to_one_registry(self, arguments: dict[str, str], expected: dict[str, str]) -> None:
        assert registry_authorization(**arguments) == expected
