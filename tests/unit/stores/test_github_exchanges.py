"""Recorded exchanges in the shapes of api.github.com, replayed: see `scripts/record-cassettes`.

As long as nobody has recorded them from GitHub itself, the sandbox has stood in for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import pytest
import vcr  # type: ignore[import-untyped]
import yaml  # type: ignore[import-untyped]
from tests.unit.stores.exchanges import (
    CASSETTES,
    EXCHANGES,
    HELLO,
    JQ,
    MATCHED_ON,
    UNKNOWN,
    Token,
)

from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.stores.githubapi import DEFAULT_API, BulkRefusedError, GitHubAPI, Listing, Row
from brew_provenance.transport import Transport, TransportError

# The library opens its files in the platform's encoding.
pytestmark = pytest.mark.filterwarnings("ignore::EncodingWarning:vcr")

SECRETS = re.compile(
    r"authorization|cookie|bearer|gh[oprsu]_\w|github_pat_|[?&](?:se|sig|sks|skoid|sp)=|-----BEGIN",
    re.IGNORECASE,
)


def replay(name: str) -> tuple[Any, GitHubAPI]:
    """Run an exchange against its cassette, which has to be played to its end."""
    exchange = EXCHANGES[name]
    token = None if exchange.token is Token.NONE else "github_pat_of_a_test"
    player = vcr.VCR(record_mode="none", match_on=MATCHED_ON)
    with player.use_cassette(str(CASSETTES / f"{name}.yaml")) as cassette, Transport() as transport:
        api = GitHubAPI(transport, DEFAULT_API, token=token, token_name="the token", version=exchange.version)
        try:
            return exchange.run(api), api
        finally:
            assert cassette.all_played


def check_rows(listing: Listing, digest: Digest, *, inline: bool) -> None:
    assert listing.fault is None
    assert listing.rows
    for row in listing.rows:
        assert row.repository_id is not None
        assert row.attestation_id is not None
        assert row.key.startswith("https://")
        assert "?" not in row.key
        if inline and row.bundle is not None:
            check_bundle(row.bundle, digest)
    assert all(row.bundle is None for row in listing.rows) is not inline


def check_bundle(raw: bytes, digest: Digest) -> None:
    bundle = read_bundle(raw)
    assert isinstance(bundle, Bundle)
    assert digest.value.encode() in bundle.payload


def test_a_repository_has_a_number() -> None:
    number, _ = replay("repository")
    assert isinstance(number, int)
    assert number > 0


def test_a_repository_that_cannot_be_seen_has_none() -> None:
    assert replay("repository-that-is-none")[0] is None


def test_a_digest_is_listed_with_its_bundles() -> None:
    check_rows(replay("one-digest")[0], HELLO, inline=True)


def test_the_newer_version_lists_links() -> None:
    check_rows(replay("one-digest-linked")[0], HELLO, inline=False)


def test_a_bundle_is_found_behind_its_link() -> None:
    check_bundle(replay("bundle-behind-a-link")[0], HELLO)


def test_what_nobody_attested_has_no_rows() -> None:
    listing, _ = replay("no-attestation")
    assert (listing.rows, listing.fault) == ([], None)


def test_a_bad_token_is_dropped_and_the_answer_is_had_without() -> None:
    listing, api = replay("bad-token")
    check_rows(listing, HELLO, inline=True)
    assert not api.has_token
    assert [note.code for note in api.notes] == ["token-refused"]


@pytest.mark.parametrize(("name", "inline"), [("many-digests", True), ("many-digests-linked", False)])
def test_many_digests_are_listed_at_once(name: str, inline: bool) -> None:
    listings = cast("Mapping[Digest, Listing]", replay(name)[0])
    assert set(listings) == {HELLO, JQ, UNKNOWN}
    for digest in (HELLO, JQ):
        check_rows(listings[digest], digest, inline=inline)
    assert listings[UNKNOWN].rows == []


def test_many_digests_are_listed_for_whoever_has_a_token() -> None:
    with pytest.raises(BulkRefusedError):
        replay("many-digests-without-token")


def test_what_was_not_recorded_is_not_answered() -> None:
    """A cassette stands in for the network, which no test may reach."""
    player = vcr.VCR(record_mode="none", match_on=MATCHED_ON)
    with (
        player.use_cassette(str(CASSETTES / "repository.yaml")),
        Transport(sleep=lambda _seconds: None) as transport,
        pytest.raises((TransportError, vcr.errors.CannotOverwriteExistingCassetteException)),
    ):
        GitHubAPI(transport).repository_id("octo/another")


def test_every_exchange_has_a_cassette_and_every_cassette_an_exchange() -> None:
    assert {path.stem for path in CASSETTES.iterdir()} == set(EXCHANGES)
    assert {path.suffix for path in CASSETTES.iterdir()} == {".yaml"}


@pytest.mark.parametrize("name", EXCHANGES)
def test_no_cassette_holds_a_secret(name: str) -> None:
    text = (CASSETTES / f"{name}.yaml").read_text(encoding="utf-8")
    assert SECRETS.search(text) is None
    for interaction in yaml.safe_load(text)["interactions"]:
        headers = {name.lower() for name in interaction["request"]["headers"]}
        assert headers <= {"accept", "content-type", "x-github-api-version"}
        kept = {name.lower() for name in interaction["response"]["headers"]}
        assert not {name for name in kept if name.startswith(("set-", "x-github-request", "x-oauth"))}


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_recorded_request_went_to_github(name: str) -> None:
    text = (CASSETTES / f"{name}.yaml").read_text(encoding="utf-8")
    assert "127.0.0.1" not in text
    for interaction in yaml.safe_load(text)["interactions"]:
        assert interaction["request"]["uri"].startswith((f"{DEFAULT_API}/", "https://"))


def test_a_row_without_its_links_query_is_the_same_row() -> None:
    assert (
        Row(1, None, "https://a.example/1.json.sn?se=1").key
        == Row(1, None, "https://a.example/1.json.sn").key
    )
