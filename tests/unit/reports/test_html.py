"""The page as a file: what stands in it, what it may load and run, and that nothing of others' is markup."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.reports.pages import (
    BOTTLE,
    EVIDENCE,
    NOTARISED,
    PAGE,
    REJECTED,
    UNATTESTED,
    UNRESOLVED,
    Markup,
    column,
    digest,
    links,
    make,
    page,
)

from brew_provenance.findings import REASONS
from brew_provenance.reports.html import Bottle, Page, State, render
from brew_provenance.verdict import Outcome

ALL = [
    make(),
    make(NOTARISED, tag="ventura"),
    make(UNATTESTED, formula="goo"),
    make(REJECTED, formula="hoo"),
    make(UNRESOLVED, formula="hoo", tag="all"),
]
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "<img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "&lt;script&gt;",
    "\u2028\u2029\u202egnp.exe\u0000",
    "\ud800",
    "\\u003c/script\\u003e",
    "a\tb\r\nc\x1b[2J",
    "",
)


def hostile_bottles(text: str) -> list[Bottle]:
    """Return bottles of which others have written every text."""
    evidence: dict[str, Any] = dict.fromkeys([*EVIDENCE, "builder", text], text)
    changes: dict[str, Any] = dict.fromkeys(("formula", "version", "tag", "file_name", "path"), text)
    findings = (("subject-digest-mismatch", text), ("invented-tomorrow", text))
    return [
        replace(BOTTLE, **changes, evidence=evidence, findings=findings),
        replace(REJECTED, **changes, evidence=evidence, findings=findings),
        replace(UNATTESTED, **changes | {"file_name": None, "version": None}),
    ]


def hostile_page(text: str) -> Page:
    return Page(text, text, text, text, [("Policy", text)], [text])


def test_the_page_says_what_was_audited_and_what_the_verdicts_rest_on() -> None:
    markup = page(*ALL, page=replace(PAGE, part="tag sonoma"))
    for said in (
        "Build provenance of octo/tap",
        "5 bottles of 3 formulae (tag sonoma), audited 2026-03-02 08:00 to 2026-03-02 09:30 UTC",
        "octo's own",
        "ab" * 32,
        "one formula could not be read",
    ):
        assert said in markup.text
    assert ("title", {}) in markup.elements


def test_the_words_are_those_of_provenance_and_its_limits_are_told() -> None:
    markup = page(*ALL)
    assert "Build provenance exists and matches." in markup.text
    assert "It does not say that the software is good" in markup.text
    assert REASONS["formula-not-bound"].means in markup.text
    assert "notarised only" in markup.text
    assert re.search(r"trustworthy|\bsafe\b|secure", markup.text) is None


def test_every_outcome_is_shown_apart_also_those_that_no_bottle_has() -> None:
    assert [state.value for state in State] == [
        *("build-provenance", "notarisation", "unattested", "rejected", "unresolved")
    ]
    for bottles, counts in ((ALL, "11111"), (ALL[:1], "10000"), ([], "00000")):
        markup = page(*bottles)
        for state, count in zip(State, counts, strict=True):
            assert f"{count} {state.label}" in markup.text


def test_an_audit_without_bottles_or_notes_has_no_empty_figures() -> None:
    markup = page(page=replace(PAGE, notes=()))
    headings = {a.get("id") for tag, a in markup.elements if tag in {"h2", "h3"}}
    assert headings == {"outcomes", "figures", "bottles", "basis"}
    assert markup.data["sha256"] == ""


def test_the_policy_allows_nothing_but_the_style_and_the_script_of_the_page() -> None:
    markup = page(*ALL)
    (style,), (_, script) = markup.inside["style"], markup.inside["script"]
    assert markup.policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{digest(script)}'",
        f"style-src 'sha256-{digest(style)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    first = [tag for tag, _ in markup.elements].index("style")
    names = [tag for tag, a in markup.elements[:first]]
    # The policy comes before everything that it is for.
    assert names == ["html", "head", "meta", "meta", "meta", "meta", "meta", "title", "link"]


def test_the_page_names_no_other_place_to_fetch_from() -> None:
    markup = page(*ALL)
    assert {address.partition("/")[0] for address in links(markup)} <= {"#", "#bottles", "data:,"}
    assert not [tag for tag, a in markup.elements if {"src", "srcset", "style", "action"} & a.keys()]
    assert re.search(r"@import|url\(", markup.inside["style"][0]) is None
    for asked in ("fetch(", "XMLHttpRequest", "import(", "eval(", "innerHTML", "insertAdjacentHTML"):
        assert asked not in markup.inside["script"][1]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_others_wrote_becomes_markup(text: str) -> None:
    written = "".join(render(hostile_page(text), hostile_bottles(text)))
    assert written.isascii()
    assert written.replace("\n", "").isprintable()
    markup, plain = Markup(written), page(*hostile_bottles("x"), page=hostile_page("x"))
    assert markup.inside["script"][1] == plain.inside["script"][1]
    assert markup.policy == plain.policy
    assert markup.comments == []
    kinds, expected = (
        [(tag, sorted(a)) for tag, a in one.elements if text or tag != "a"] for one in (markup, plain)
    )
    # Of nothing there is no link, and otherwise there is what there always is.
    assert kinds == expected
    assert not any(name.startswith("on") for _, names in kinds for name in names)
    assert {address[0] for address in links(markup)} <= {"#", "d"}


@given(st.text(max_size=40))
def test_any_text_leaves_the_page_as_it_is(text: str) -> None:
    markup = page(*hostile_bottles(text), page=hostile_page(text))
    assert len(markup.inside["script"]) == 2
    assert column(markup.data, "bottles", "path", 3) == [text.encode("unicode_escape").decode()] * 3


def test_the_same_values_give_the_same_bytes() -> None:
    assert "".join(render(PAGE, ALL)) == "".join(render(PAGE, iter(ALL)))
    assert "".join(render(PAGE, ALL)).endswith("</html>\n")


def test_without_the_script_the_figures_are_there_and_it_is_said_what_is_not() -> None:
    markup = page(*ALL)
    assert "made by this page's script, which has not run" in markup.text
    hidden = [a.get("id") for _, a in markup.elements if "hidden" in a]
    assert hidden == ["listing", "formula"]


def test_what_a_code_means_is_in_the_data_also_that_a_newer_version_knows_it() -> None:
    reasons = page(make(findings=(("formula-not-bound", ""), ("invented-tomorrow", "")))).data["reasons"]
    assert reasons["formula-not-bound"] == [
        REASONS["formula-not-bound"].means,
        REASONS["formula-not-bound"].advice,
        True,
    ]
    means, advice, is_limit = reasons["invented-tomorrow"]
    assert ("newer version" in means, advice, is_limit) == (True, "", False)


def test_where_the_tap_is_follows_from_its_name() -> None:
    assert page().data["repository"] == "https://github.com/octo/homebrew-tap"


@pytest.mark.parametrize(
    ("outcome", "gives", "state"),
    [
        (Outcome.VERIFIED, "build-provenance", State.PROVENANCE),
        (Outcome.VERIFIED, "notarisation", State.NOTARISATION),
        # No audit writes this; it says no more than is known.
        (Outcome.VERIFIED, None, State.NOTARISATION),
        (Outcome.UNATTESTED, None, State.UNATTESTED),
        (Outcome.REJECTED, "build-provenance", State.REJECTED),
        (Outcome.UNRESOLVED, None, State.UNRESOLVED),
    ],
)
def test_a_bottle_has_build_provenance_only_where_that_is_said(
    outcome: Outcome, gives: str | None, state: State
) -> None:
    bottle = replace(BOTTLE, outcome=outcome, gives=gives)
    assert bottle.state is state
    assert state.is_verified is (outcome is Outcome.VERIFIED)


def test_fields_of_a_bottle_are_all_in_the_data() -> None:
    markup = page(make(rebuild=3))
    data = markup.data
    assert {field.name for field in fields(Bottle)} == {
        *("formula", "version", "rebuild", "tag", "file_name", "sha256", "path", "line"),
        *("outcome", "gives", "findings", "evidence", "attestations"),
    }
    shown = {name: column(data, "bottles", name, 1)[0] for name in data["bottles"]}
    assert shown == {
        "formula": "foo",
        "version": "1.0",
        "rebuild": "3",
        "tag": "sonoma",
        "state": "build-provenance",
        "codes": "formula-not-bound",
        "findings": '[["formula-not-bound", "the attestation names no formula"]]',
        "attestations": "1",
        "path": "Formula/foo.rb",
        "line": "4",
        "fileName": None,
        "subject": None,
    }
