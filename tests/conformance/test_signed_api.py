"""A document that Homebrew really signed, under the key that is built in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brew_provenance.errors import InputError
from brew_provenance.jws import JWSError, verify_jws
from brew_provenance.taps.api import MIGRATIONS, ApiTap
from brew_provenance.taps.documents import Documents, homebrew_key

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KEY = homebrew_key()


@pytest.fixture(scope="module")
def document(data: Path) -> bytes:
    return (data / "homebrew" / MIGRATIONS).read_bytes()


def test_a_document_of_homebrews_verifies(document: bytes) -> None:
    payload = verify_jws(document, KEY)
    assert payload == json.loads(document)["payload"].encode()
    assert json.loads(payload)["gimp"] == "homebrew/cask"


def test_the_built_in_key_is_the_recorded_one(data: Path) -> None:
    carried = Path(__file__).parents[2] / "src" / "brew_provenance" / "taps" / "homebrew-1.pem"
    assert carried.read_bytes() == (data / "homebrew" / "homebrew-1.pem").read_bytes()


def test_no_byte_of_its_payload_can_be_changed(document: bytes) -> None:
    found = json.loads(document)
    payload = found["payload"]
    for position, letter in enumerate(payload):
        other = "x" if letter != "x" else "y"
        found["payload"] = payload[:position] + other + payload[position + 1 :]
        with pytest.raises(JWSError) as refused:
            verify_jws(json.dumps(found).encode(), KEY)
        assert refused.value.kind == "signature-mismatch"


def test_no_letter_of_its_signature_can_be_changed(document: bytes) -> None:
    found = json.loads(document)
    signature = found["signatures"][0]
    for name in ("protected", "signature"):
        value = signature[name]
        for position, letter in enumerate(value):
            signature[name] = value[:position] + ("A" if letter != "A" else "B") + value[position + 1 :]
            with pytest.raises(JWSError):
                verify_jws(json.dumps(found).encode(), KEY)
        signature[name] = value
    assert verify_jws(json.dumps(found).encode(), KEY)


def test_it_is_found_in_brews_cache(document: bytes, tmp_path: Path) -> None:
    path = tmp_path / "brew" / "api" / MIGRATIONS
    path.parent.mkdir(parents=True)
    path.write_bytes(document)
    found = Documents(tmp_path / "own", now=NOW, brew_cache=tmp_path / "brew").load(MIGRATIONS)
    assert (found.place, found.payload) == ("brew's cache", verify_jws(document, KEY))


def test_it_cannot_stand_in_for_the_list_of_formulae(document: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="signed, but no list of formulae"):
        ApiTap(None, tmp_path, now=NOW, fetch=lambda _url, _limit: document)
