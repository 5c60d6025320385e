"""homebrew/core out of unsigned documents, for whoever asks for them."""

from __future__ import annotations

import json

import pytest
from tests.unit.builders import SHA256, Json, altered

from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.taps import Tap
from brew_provenance.taps.documents import DEFAULT_DOMAIN
from brew_provenance.taps.unsignedapi import MAX_FORMULA_BYTES, UnsignedApiTap

MIRROR = "https://mirror.example/api"
WGET: Json = {
    "name": "wget",
    "tap": "homebrew/core",
    "versions": {"stable": "1.25.0"},
    "bottle": {"stable": {"files": {"sonoma": {"url": "https://example.org", "sha256": SHA256.value}}}},
}


class Server:
    """Answers what it was given, and remembers what it was asked."""

    def __init__(self, **answers: object) -> None:
        self.answers = {f"{DEFAULT_DOMAIN}/formula/{name}.json": answer for name, answer in answers.items()}
        self.asked: list[str] = []

    def __call__(self, url: str, max_bytes: int) -> bytes:
        assert max_bytes == MAX_FORMULA_BYTES
        self.asked.append(url)
        answer = self.answers.get(url, FileNotFoundError(url))
        if isinstance(answer, OSError):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


def test_a_formula_is_fetched_when_it_is_asked_for_and_the_name_says_unsigned() -> None:
    server = Server(wget=WGET)
    tap: Tap = UnsignedApiTap(server)
    assert tap.name == "formulae.brew.sh formula JSON, unsigned"
    assert server.asked == []
    assert tap.formula("homebrew/core/wget").bottles[0].digest == SHA256
    assert server.asked == [f"{DEFAULT_DOMAIN}/formula/wget.json"]


def test_a_mirror_is_asked_first_and_named() -> None:
    server = Server(wget=WGET)
    tap = UnsignedApiTap(server, f"{MIRROR}/")
    assert tap.name == f"formulae.brew.sh formula JSON, unsigned, from {MIRROR}"
    assert tap.formula("homebrew/core/wget").name == "wget"
    assert server.asked == [f"{MIRROR}/formula/wget.json", f"{DEFAULT_DOMAIN}/formula/wget.json"]


@pytest.mark.parametrize("name", ["openssl@3", "gtk+3"])
def test_names_stand_in_the_url_as_brew_writes_them(name: str) -> None:
    server = Server(**{name: altered(WGET, (("name",), name))})
    assert UnsignedApiTap(server).formula(f"homebrew/core/{name}").name == name


@pytest.mark.parametrize(
    "full_name",
    [
        "homebrew/core/wgett",
        "octo/tap/wget",
        "wget",
        "homebrew/core/",
        "homebrew/core/..",
        "homebrew/core/a b?x",
    ],
)
def test_an_unknown_name_is_none(full_name: str) -> None:
    server = Server(wget=WGET)
    with pytest.raises(NothingMatchedError) as refused:
        UnsignedApiTap(server).formula(full_name)
    assert refused.value.thing == full_name
    assert server.asked in ([], [f"{DEFAULT_DOMAIN}/formula/wgett.json"])


def test_silence_is_told_from_an_unknown_name() -> None:
    with pytest.raises(UsageError, match="gave no answer") as refused:
        UnsignedApiTap(Server(wget=TimeoutError("timed out"))).formula("homebrew/core/wget")
    assert type(refused.value) is UsageError


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"<html>", "not JSON"),
        (b'{"name": "wget", "name": "curl"}', "twice"),
        ({}, "name"),
        (altered(WGET, (("name",), "curl")), "describes homebrew/core/curl"),
        (altered(WGET, (("tap",), "octo/tap")), "describes octo/tap/wget"),
        (b" " * (MAX_FORMULA_BYTES + 1), "longer than the limit"),
    ],
)
def test_an_answer_that_does_not_describe_the_formula_is_refused(answer: object, cause: str) -> None:
    with pytest.raises(InputError, match=cause) as refused:
        UnsignedApiTap(Server(wget=answer)).formula("homebrew/core/wget")
    assert refused.value.thing == f"{DEFAULT_DOMAIN}/formula/wget.json"


def test_there_is_no_list_of_everything() -> None:
    with pytest.raises(UsageError, match="as a whole"):
        UnsignedApiTap(Server()).formulae()
