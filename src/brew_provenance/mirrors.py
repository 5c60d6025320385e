"""Where brew gets a bottle from, and where it keeps it: URLs, registry tokens, and its download cache.

The rules are those of brew's `bottle_specification.rb`, `bottle.rb`, `brew.sh` and its download
strategies. Whoever controls the environment chooses the mirrors: what comes from them has to have the
bottle's digest.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from brew_provenance.bottle import Bottle, Digest, bottle_url
from brew_provenance.brewenv import DEFAULT_BOTTLE_DOMAIN

GITHUB_REGISTRY: Final = "https://ghcr.io"

ANONYMOUS: Final = "Bearer QQ=="
"""The token with which GitHub's registry gives public packages to everybody (`brew.sh` in brew)."""

# GitHubPackages::URL_REGEX and VALID_OCI_TAG_REGEX in brew's `github_packages.rb`.
_GITHUB_PACKAGES = re.compile(r"https://ghcr\.io/v2/([\w-]+)/([\w-]+)", re.ASCII)
_OCI_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def url_for_brew(bottle: Bottle, bottle_domain: str | None = None) -> str:
    """Return the URL by which brew knows a bottle: where homebrew-core's have a mirror, the one there.

    `bottle_domain` is HOMEBREW_BOTTLE_DOMAIN, None for the default one. HOMEBREW_ARTIFACT_DOMAIN
    changes whom brew asks, and not this.
    """
    if bottle_domain is None or not bottle.url.startswith(f"{DEFAULT_BOTTLE_DOMAIN}/"):
        return bottle.url
    packages = _GITHUB_PACKAGES.match(bottle_domain)
    if packages is not None:
        owner, repository = packages[1].lower(), packages[2].removeprefix("homebrew-")
        bottle_domain = f"{GITHUB_REGISTRY}/v2/{owner}/{repository}"
    return bottle_url(bottle_domain, bottle.file_name, bottle.digest)


def mirrored_urls(
    bottle: Bottle,
    *,
    bottle_domain: str | None = None,
    artifact_domain: str | None = None,
    no_fallback: bool = False,
) -> list[str]:
    """Return the URLs that brew would ask for a bottle, in its order.

    The arguments are HOMEBREW_BOTTLE_DOMAIN and HOMEBREW_ARTIFACT_DOMAIN, None where not set, and
    whether HOMEBREW_ARTIFACT_DOMAIN_NO_FALLBACK is set, which takes the place of the default domain
    from the second and not from the first.
    """
    urls = []
    for url in (url_for_brew(bottle, bottle_domain), bottle.url):
        urls.append(url if artifact_domain is None else _on_artifact_domain(url, artifact_domain))
        if not no_fallback:
            urls.append(url)
    return list(dict.fromkeys(urls))


def registry_authorization(
    *, artifact_domain: str | None = None, token: str | None = None, basic_auth_token: str | None = None
) -> dict[str, str]:
    """Return the Authorization header for each registry, by its origin, `https://ghcr.io`.

    The tokens are HOMEBREW_DOCKER_REGISTRY_TOKEN and HOMEBREW_DOCKER_REGISTRY_BASIC_AUTH_TOKEN. They go
    to the artifact domain where there is one, and to GitHub's registry otherwise; brew would send those
    of the artifact domain to GitHub as well when it falls back.
    """
    given = f"Bearer {token}" if token else None
    if given is None and basic_auth_token not in {None, "", "none"}:
        given = f"Basic {basic_auth_token}"
    if artifact_domain is not None:
        own = {origin(artifact_domain): given} if given else {}
        return {GITHUB_REGISTRY: ANONYMOUS, **own}
    if given is None and basic_auth_token:
        return {}
    return {GITHUB_REGISTRY: given or ANONYMOUS}


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, without a user's name."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def cached_bottle_path(cache: Path, bottle: Bottle, url: str | None = None) -> Path:
    """Return where brew keeps a bottle that it has downloaded, below its cache folder.

    `url` is the bottle's `url_for_brew`; without it, the one on the default domain.
    """
    url = url or bottle.url
    name = str(bottle.file_name) if _is_blob(url, bottle.digest) else _last_part(url)
    return cache / "downloads" / f"{_sha256(url)}--{name}"


def cached_manifest_path(cache: Path, bottle: Bottle, url: str | None = None) -> Path | None:
    """Return where brew keeps a bottle's manifest; None for one that comes from no registry."""
    url = url or bottle.url
    tag = f"{bottle.version}-{bottle.rebuild}" if bottle.rebuild else bottle.version
    if not _is_blob(url, bottle.digest) or _OCI_TAG.fullmatch(tag) is None:
        return None
    manifest = f"{url.removesuffix(f'/blobs/{bottle.digest}')}/manifests/{tag}"
    return cache / "downloads" / f"{_sha256(manifest)}--{bottle.formula}-{tag}.bottle_manifest.json"


def find_cached(cache: Path, bottle: Bottle, url: str | None = None) -> Path | None:
    """Return the file that brew would take for this bottle, without a look into it; None if none.

    What comes from no registry bears any name that its server gave it, where it is the only one from
    its URL (`AbstractFileDownloadStrategy#cached_location` in brew).
    """
    url = url or bottle.url
    path = cached_bottle_path(cache, bottle, url)
    # What we may not look at is not there for us.
    with suppress(OSError):
        if not _is_blob(url, bottle.digest):
            found = [
                other
                for other in path.parent.glob(f"{_sha256(url)}--*")
                if not other.name.endswith(".incomplete")
            ]
            path = found[0] if len(found) == 1 else path
        return path if path.is_file() else None
    return None


def _on_artifact_domain(url: str, artifact_domain: str) -> str:
    domain = artifact_domain.removesuffix("/")
    registry = f"{GITHUB_REGISTRY}/"
    # A registry below a path of its own has the protocol's `/v2/` in front of that path already.
    if re.match(r"https?://[^/]+/v2(?:/|\Z)", domain):
        registry += "v2/"
    rest = url.removeprefix(registry)
    return url if rest == url else f"{domain}/{rest}"


def _is_blob(url: str, digest: Digest) -> bool:
    return _GITHUB_PACKAGES.match(url) is not None and url.endswith(f"/blobs/{digest}")


def _last_part(url: str) -> str:
    """Return the file name that a URL ends in (`parse_basename` and `Utils.safe_filename` in brew)."""
    part = unquote(urlsplit(url).path.rpartition("/")[2])
    return _CONTROL.sub("", part.rpartition("/")[2])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
