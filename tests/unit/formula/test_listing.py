"""The whole public formula API in one document."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.builders import DROP, OTHER_SHA256, SHA256, Json, altered

from brew_provenance.formula import FormulaError
from brew_provenance.formula.listing import read_listing


def entry(name: str, *changes: Any) -> Json:
    files = {
        tag: {"url": f"https://example.org/{tag}", "sha256": digest.value}
        for tag, digest in (("arm64_tahoe", SHA256), ("sonoma", OTHER_SHA256))
    }
    document: Json = {
        "name": name,
        "tap": "homebrew/core",
        "versions": {"stable": "1.1"},
        "aliases": [],
        "oldnames": [],
        "bottle": {"stable": {"rebuild": 0, "files": files}},
        "tap_git_head": "a" * 40,
    }
    return altered(document, *changes)


def test_every_formula_has_its_bottles_for_all_tags() -> None:
    listing = read_listing([entry("wget"), entry("curl")])
    assert list(listing.names) == ["wget", "curl"]
    assert listing.commit == "a" * 40
    formula = listing.formula("wget")
    assert formula.full_name == "homebrew/core/wget"
    assert [bottle.tag for bottle in formula.bottles] == ["arm64_tahoe", "sonoma"]
    with pytest.raises(KeyError):
        listing.formula("absent")


def test_other_and_former_names_lead_to_the_formula() -> None:
    listing = read_listing(
        [
            entry("gnu-sed", (("aliases",), ["gsed", "sed"])),
            entry("wget", (("oldnames",), ["old-wget"])),
            entry("curl", (("aliases",), DROP), (("oldnames",), DROP), (("tap_git_head",), DROP)),
        ]
    )
    assert listing.aliases == {"gsed": "gnu-sed", "sed": "gnu-sed"}
    assert listing.renames == {"old-wget": "wget"}


def test_a_list_may_be_empty() -> None:
    listing = read_listing([])
    assert (list(listing.names), listing.commit) == ([], None)


def test_a_formula_is_looked_at_when_it_is_asked_for() -> None:
    listing = read_listing([entry("wget"), entry("broken", (("versions",), {}))])
    assert listing.formula("wget").name == "wget"
    with pytest.raises(FormulaError, match="stable"):
        listing.formula("broken")


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"wget": entry("wget")},
        "wget",
        ["wget"],
        [None],
        [{"tap": "homebrew/core"}],
        # A list of casks, which Homebrew signs as well.
        [{"token": "firefox", "name": ["Mozilla Firefox"], "tap": "homebrew/cask"}],
        [entry("wget"), entry("wget")],
        [entry("wget", (("aliases",), "get"))],
        [entry("wget", (("oldnames",), [7]))],
    ],
)
def test_another_document_is_no_list_of_formulae(document: object) -> None:
    with pytest.raises(FormulaError):
        read_listing(document)
