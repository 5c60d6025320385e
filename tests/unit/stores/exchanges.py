"""Exchanges with GitHub's API, each kept in a cassette; `scripts/record-cassettes` makes these anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from brew_provenance.bottle import Digest
from brew_provenance.stores.githubapi import API_VERSION, GitHubAPI

CASSETTES: Final = Path(__file__).with_name("cassettes")

OWNER, REPOSITORY = "Homebrew", "Homebrew/homebrew-core"
LINKED_VERSION: Final = "2026-03-10"

HELLO: Final = Digest("sha256", "ae6237e3001bd354783f469d754cee875ee9828910461b85a5803f5990213dde")
"""hello 2.12.3, rebuild 1, for arm64_tahoe."""

JQ: Final = Digest("sha256", "ca67c64d0aaf1e5472790ec2cc081ff7972316f27095d8a8aab81b3321247036")
"""jq 1.8.2, rebuild 1, for arm64_tahoe."""

UNKNOWN: Final = Digest("sha256", "0" * 64)
"""What nobody has attested."""

MATCHED_ON: Final = ("method", "scheme", "host", "port", "path", "query", "body")
"""What of a request has to be as it was recorded."""


class Token(Enum):
    """What an exchange shows of a token. None is in any cassette."""

    NONE = "none"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True)
class Exchange:
    """What is asked, and how."""

    run: Callable[[GitHubAPI], object]
    token: Token = Token.NONE
    version: str = API_VERSION


def fetch_linked(api: GitHubAPI) -> bytes:
    """List a digest, and return the bundle behind its first link."""
    (row, *_) = api.list_attestations(REPOSITORY, HELLO, None).rows
    return api.fetch_bundle(row.url or "")


EXCHANGES: Final[Mapping[str, Exchange]] = {
    "repository": Exchange(lambda api: api.repository_id(REPOSITORY)),
    "repository-that-is-none": Exchange(lambda api: api.repository_id(f"{OWNER}/homebrew-nowhere")),
    "one-digest": Exchange(lambda api: api.list_attestations(REPOSITORY, HELLO, None)),
    "one-digest-linked": Exchange(
        lambda api: api.list_attestations(REPOSITORY, HELLO, None), version=LINKED_VERSION
    ),
    "no-attestation": Exchange(lambda api: api.list_attestations(REPOSITORY, UNKNOWN, "provenance")),
    "bad-token": Exchange(lambda api: api.list_attestations(REPOSITORY, HELLO, None), Token.BAD),
    "bundle-behind-a-link": Exchange(fetch_linked, version=LINKED_VERSION),
    "many-digests": Exchange(lambda api: api.bulk_list(OWNER, [HELLO, JQ, UNKNOWN], None), Token.GOOD),
    "many-digests-linked": Exchange(
        lambda api: api.bulk_list(OWNER, [HELLO, JQ, UNKNOWN], "provenance"), Token.GOOD, LINKED_VERSION
    ),
    "many-digests-without-token": Exchange(lambda api: api.bulk_list(OWNER, [HELLO, JQ], None)),
}
