"""The HTML report of an audit, as a person uses it: mouse, keyboard, phone, dark and on paper."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser.conftest import Open
from tests.unit.reports.pages import (
    EVIDENCE,
    NOTARISED,
    PAGE,
    REJECTED,
    UNATTESTED,
    UNRESOLVED,
    make,
)
from tests.unit.reports.test_html import HOSTILE, hostile_bottles, hostile_page

from brew_provenance.reports.html import Bottle, render

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
MANY = 55_000
ZOO = {
    **EVIDENCE,
    "bundle": "d" * 64,
    "signer": "https://github.com/octo/zoo/.github/workflows/zoo.yml@refs/heads/main",
    "signed": "2025-11-05T10:00:00+00:00",
    "commit": "f" * 40,
    "formula_commit": "e" * 40,
    "formula_path": "Formula/bar.rb",
}
BOTTLES = [
    make(
        formula="bar",
        version="10.0",
        path="Formula/bar.rb",
        evidence={**ZOO, "subject": "bar--10.0.all.bottle.tar.gz"},
    ),
    make(
        formula="bar", version="10.0", path="Formula/bar.rb", tag="ventura", evidence={**ZOO, "subject": None}
    ),
    make(NOTARISED, formula="baz", version="2.0"),
    make(REJECTED, formula="foo@1.2", version="1.0", line=17),
    make(UNATTESTED, formula="foo@1.2", version="1.0", tag="ventura", path=None, line=None),
    make(UNRESOLVED, formula="qux", version=None, file_name=None),
]


def write(folder: Path, *bottles: Bottle, **page: Any) -> Path:
    file = folder / "audit.html"
    with file.open("w", encoding="ascii") as stream:
        stream.writelines(render(page.get("page", PAGE), bottles))
    return file


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("small"), *BOTTLES)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kinds = [make()] * 9 + [make(REJECTED)]
    bottles = (
        make(
            kinds[n % 10],
            formula=f"f{n // 5:05}",
            tag=f"tag{n % 5}",
            version=f"1.{n % 37}",
            sha256=f"{n:064x}",
        )
        for n in range(MANY)
    )
    return write(tmp_path_factory.mktemp("large"), *bottles)


def rows(page: Page) -> Locator:
    return page.locator("#table tbody tr:not(.space)")


def listed(page: Page, column: int = 0) -> list[str]:
    return [row.locator("th, td").nth(column).inner_text() for row in rows(page).all()]


def shows(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(text)


def test_a_page_that_asked_for_anything_or_broke_its_policy_would_be_noticed(
    small: Path, tmp_path: Path, open_page: Open, faults: list[str]
) -> None:
    file, written = tmp_path / "broken.html", small.read_text(encoding="ascii")
    inserted = "<script>document.title = 'ran'</script><img src='https://attacker.example/x.png'></body>"
    file.write_text(written.replace("</body>", inserted), encoding="ascii")
    page = open_page(file)
    shows(page, "6 bottles")
    # The page's own policy stops both.
    assert page.title() == "Build provenance of octo/tap"
    assert len([fault for fault in faults if "Content Security Policy" in fault]) == 2
    faults.clear()
    file.write_text("<script>alert(1); nosuch()</script><img src='https://attacker.example/x.png'>", "ascii")
    page = open_page(file)
    page.wait_for_load_state("networkidle")
    for fault in ("dialog: 1", "error: nosuch is not defined", "asked for https://attacker.example/x.png"):
        assert fault in faults
    faults.clear()


# The table


def test_all_bottles_are_listed_with_what_is_known_of_each(small: Path, open_page: Open) -> None:
    page = open_page(small)
    shows(page, "6 bottles")
    assert listed(page) == ["bar", "bar", "baz", "foo@1.2", "foo@1.2", "qux"]
    assert listed(page, 3) == [
        *("verified", "verified", "notarised only", "rejected", "unattested", "unresolved")
    ]
    assert listed(page, 4)[3] == "subject-digest-mismatch"
    assert listed(page, 5)[:2] == ["zoo.yml (octo/zoo)"] * 2
    assert listed(page, 6)[0] == "2025-11-05 10:00"
    expect(page.locator("#scriptless")).to_be_hidden()


def test_a_choice_leaves_the_bottles_that_it_is_for(small: Path, open_page: Open) -> None:
    page = open_page(small)
    for name, choice, found, address in (
        ("Outcome", "rejected", ["foo@1.2"], "#/?outcome=rejected"),
        ("Outcome", "verified", ["bar", "bar"], "#/?outcome=build-provenance"),
        ("Outcome", "notarised only", ["baz"], "#/?outcome=notarisation"),
        ("Tag", "ventura", ["bar", "foo@1.2"], "#/?tag=ventura"),
        ("Reason", "server-failed", ["qux"], "#/?reason=server-failed"),
        ("Signed in", "2025-11", ["bar", "bar"], "#/?signed=2025-11"),
        ("Signer", "zoo.yml (octo/zoo)", ["bar", "bar"], "zoo.yml%40refs%2Fheads%2Fmain"),
    ):
        page.get_by_label(name, exact=True).select_option(label=choice)
        shows(page, f"{len(found)} of 6 bottles")
        assert listed(page) == found
        assert page.url.endswith(address)
        page.get_by_role("button", name="Clear").click()
        shows(page, "6 bottles")
        assert page.url.endswith("#/?")
        assert page.get_by_label(name, exact=True).input_value() == ""


def test_words_are_looked_for_in_all_that_a_bottle_is_known_by(small: Path, open_page: Open) -> None:
    page = open_page(small)
    for text, found in {
        "BAR": 2,
        "bar ventura": 1,
        "foo@1.2--1.0.ventura": 1,
        "qux": 1,
        "server-failed": 1,
        "zoo.yml": 2,
        "f" * 40: 2,
        "e" * 40: 2,
        "123456": 4,
        BOTTLES[3].sha256[:12]: 1,
        "nothing-of-the-kind": 0,
        "<script>": 0,
        "(.*)+$": 0,
        "\\": 0,
    }.items():
        page.get_by_label("Search").fill(text)
        shows(page, f"{found} of 6 bottles")
        assert len(listed(page)) == found
    page.get_by_label("Search").fill("  ")
    shows(page, "6 bottles")


def test_what_is_filtered_is_in_the_address_and_comes_back_with_it(small: Path, open_page: Open) -> None:
    address = "#/?q=foo&outcome=unattested&tag=ventura&sort=version&dir=desc"
    page = open_page(small, address)
    shows(page, "1 of 6 bottles")
    assert page.get_by_label("Search").input_value() == "foo"
    assert page.get_by_label("Tag", exact=True).input_value() == "ventura"
    assert page.locator("[aria-sort=descending]").inner_text().startswith("Version")


@pytest.mark.parametrize(
    "fragment", ["#/?tag=nosuch", "#/?outcome=%22%3E%3Cb%3E&sort=constructor", "#/?reason=__proto__"]
)
def test_an_address_for_what_is_not_there_finds_nothing_and_breaks_nothing(
    fragment: str, small: Path, open_page: Open
) -> None:
    page = open_page(small, fragment)
    shows(page, "0 of 6 bottles")
    assert listed(page) == []


def test_columns_sort_both_ways_and_say_so(small: Path, open_page: Open) -> None:
    page = open_page(small)
    header = page.get_by_role("columnheader", name="Version")
    assert header.get_attribute("aria-sort") == "none"
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    # As people count: 10 comes after 2. What is not known comes first.
    assert listed(page, 1) == ["?", "1.0", "1.0", "2.0", "10.0", "10.0"]
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    assert listed(page, 1) == ["10.0", "10.0", "2.0", "1.0", "1.0", "?"]
    page.get_by_role("columnheader", name="Outcome").get_by_role("button").click()
    assert listed(page, 3) == [
        *("verified", "verified", "notarised only", "unattested", "rejected", "unresolved")
    ]
    expect(header).to_have_attribute("aria-sort", "none")


def test_every_column_can_be_sorted_by(small: Path, open_page: Open) -> None:
    page = open_page(small)
    names = ["Formula", "Version", "Tag", "Outcome", "Findings", "Signer", "Signed, UTC"]
    assert page.locator("#table").get_by_role("columnheader").all_inner_texts() == names
    for number in (0, 2, 4, 5, 6):
        header = page.locator("#table").get_by_role("columnheader", name=names[number])
        header.get_by_role("button").click()
        expect(header).to_have_attribute("aria-sort", "ascending")
        values = listed(page, number)
        assert values == sorted(values)
        assert len(values) == 6


def test_a_place_in_the_page_leaves_the_table_as_it_is(small: Path, open_page: Open) -> None:
    page = open_page(small, "#/?outcome=build-provenance")
    shows(page, "2 of 6 bottles")
    page.get_by_role("link", name="Skip to the bottles").press("Enter")
    assert page.url.endswith("#bottles")
    shows(page, "2 of 6 bottles")
    page.get_by_role("columnheader", name="Version").get_by_role("button").click()
    expect(page.locator("[aria-sort=ascending]")).to_have_count(1)
    shows(page, "2 of 6 bottles")
    rows(page).first.get_by_role("link").click()
    expect(page.get_by_role("heading", name="bar", exact=True)).to_be_focused()
    page.get_by_role("link", name="Skip to the bottles").press("Enter")
    expect(page.get_by_role("heading", name="Bottles", exact=True)).to_be_in_viewport()
    shows(page, "2 of 6 bottles")


# Figures and formulae


def test_a_figure_leads_to_the_bottles_that_it_counts(small: Path, open_page: Open) -> None:
    page = open_page(small)
    for link, found in (("1 rejected", 1), ("2 verified", 2)):
        page.get_by_role("link", name=link, exact=True).click()
        shows(page, f"{found} of 6 bottles")
        expect(page.get_by_role("heading", name="Bottles", exact=True)).to_be_in_viewport()
    page.locator("#signers + p + div").get_by_role("link").first.click()
    shows(page, "2 of 6 bottles")


def test_a_formula_has_its_evidence_with_links_and_one_gets_back(small: Path, open_page: Open) -> None:
    page = open_page(small)
    page.get_by_label("Search").fill("bar")
    shows(page, "2 of 6 bottles")
    rows(page).first.get_by_role("link").click()
    heading = page.get_by_role("heading", name="bar", exact=True)
    expect(heading).to_be_focused()
    assert page.url.endswith("#/formula/bar")
    assert page.title().startswith("bar \u2013 Build provenance of octo/tap")
    expect(page.locator("#overview")).to_be_hidden()
    links = {link.get_attribute("href") for link in page.locator("#formula a").all()}
    assert links == {
        "#/?q=bar",
        "https://github.com/octo/homebrew-tap",
        "https://github.com/octo/homebrew-tap/actions/runs/7/attempts/1",
        f"https://github.com/octo/homebrew-tap/commit/{'f' * 40}",
        f"https://github.com/octo/homebrew-tap/commit/{'e' * 40}",
        f"https://github.com/octo/homebrew-tap/blob/{'e' * 40}/Formula/bar.rb",
        "https://github.com/octo/homebrew-tap/blob/HEAD/Formula/bar.rb",
        "https://github.com/octo/homebrew-tap/blob/HEAD/Formula/bar.rb#L4",
        "https://search.sigstore.dev/?logIndex=123456",
    }
    for link in page.locator("#formula a[href^=https]").all():
        assert link.get_attribute("rel") == "noopener noreferrer"
    text = page.locator("#formula").inner_text()
    for said in ("bar--10.0.all.bottle.tar.gz", BOTTLES[0].sha256, "not proved", "push", "github-hosted"):
        assert said in text
    page.go_back()
    shows(page, "2 of 6 bottles")
    assert page.get_by_label("Search").input_value() == "bar"
    expect(rows(page).first.get_by_role("link")).to_be_focused()
    page.go_forward()
    expect(heading).to_be_focused()
    page.get_by_role("link", name="All bottles").click()
    shows(page, "2 of 6 bottles")


def test_a_formula_can_be_linked_to_whatever_its_name(small: Path, open_page: Open) -> None:
    page = open_page(small, "#/formula/foo%401.2")
    expect(page.get_by_role("heading", name="foo@1.2")).to_be_focused()
    text = page.locator("#formula").inner_text()
    assert "1 rejected" in text
    assert "1 unattested" in text
    assert "No subject of the statement has the artifact's digest." in text
    assert "Next: " in text
    page.get_by_role("link", name="All bottles").click()
    shows(page, "6 bottles")


def test_what_is_not_known_of_a_formula_is_said_to_be(small: Path, open_page: Open) -> None:
    page = open_page(small, "#/formula/qux")
    expect(page.locator("#formula")).to_contain_text("name not known")
    for fragment in ("#/formula/nosuch", "#/formula/%E0%A4%A", "#/formula/"):
        page.goto(small.as_uri() + fragment)
        expect(page.locator("#formula")).to_contain_text("no bottle of such a formula")


def test_bottles_of_several_versions_are_told_apart(tmp_path: Path, open_page: Open) -> None:
    file = write(tmp_path, make(version="1.0"), make(REJECTED, version="2.0"), make(version="3.0"))
    cards = open_page(file, "#/formula/foo").locator("#formula section.card")
    # What is wrong comes first.
    expect(cards.nth(0)).to_contain_text("subject-digest-mismatch")
    expect(cards.nth(0)).to_contain_text("For sonoma (2.0)")
    expect(cards.nth(1)).to_contain_text("formula-not-bound not proved")
    expect(cards.nth(1)).to_contain_text("For sonoma (1.0), sonoma (3.0)")


def test_a_formula_with_very_many_bottles_is_shown_in_part_and_says_so(
    tmp_path: Path, open_page: Open
) -> None:
    file = write(tmp_path, *(make(tag=f"tag{number}") for number in range(450)))
    page = open_page(file, "#/formula/foo")
    expect(page.locator("#formula")).to_contain_text("The first 200 of 450 bottles are shown.")
    assert page.locator("#formula .bottles tbody tr").count() == 200


def test_an_address_of_another_shape_stays_text(tmp_path: Path, open_page: Open) -> None:
    evidence = {
        **EVIDENCE,
        "source": "https://github.com.attacker.example/octo/homebrew-tap",
        "run": "javascript:alert(1)//https://github.com/octo/homebrew-tap/actions/runs/7",
        "commit": "../../../attacker/repo",
        "log": "a" * 64,
        "formula_commit": "c" * 40,
        "formula_path": "../../attacker/x.rb",
        "build_run": "https://github.com/octo/homebrew-tap/actions/runs/7#\nhttps://x",
    }
    page = open_page(write(tmp_path, make(evidence=evidence, path="/etc/passwd")), "#/formula/foo")
    links = [link.get_attribute("href") for link in page.locator("#formula a").all()]
    assert links == ["#/", f"https://github.com/octo/homebrew-tap/commit/{'c' * 40}"]
    for value in ("javascript:alert(1)", "attacker.example", "../../attacker/x.rb", "123456"):
        expect(page.locator("#formula")).to_contain_text(value)


@pytest.mark.parametrize("text", [text for text in HOSTILE if text])
def test_what_others_wrote_is_text_and_nothing_else(text: str, tmp_path: Path, open_page: Open) -> None:
    # Whatever ran, opened or asked for something fails the test when it closes.
    page = open_page(write(tmp_path, *hostile_bottles(text), page=hostile_page(text)))
    shows(page, "3 bottles")
    shown = text.encode("unicode_escape").decode()
    assert " ".join(listed(page)[0].split()) == " ".join(shown.split())
    page.get_by_label("Reason", exact=True).select_option(label="invented-tomorrow")
    shows(page, "2 of 3 bottles")
    rows(page).first.get_by_role("link").click()
    expect(page.locator("#formula-name")).to_be_focused()
    assert page.locator("#formula-name").text_content() == shown
    foreign = "script:not(#data):not([type=module]), img, iframe, object, embed, b, [onmouseover], [onfocus]"
    assert page.locator(foreign).count() == 0
    assert page.locator("#formula a[href^='javascript']").count() == 0
    assert page.evaluate("Object.keys(window).includes('alerted')") is False


# Very many bottles


def test_of_very_many_bottles_only_those_in_sight_are_in_the_document(large: Path, open_page: Open) -> None:
    page = open_page(large)
    shows(page, "55,000 bottles")
    assert page.locator("#table").get_attribute("aria-rowcount") == "55001"

    def scroll(to: str) -> list[str]:
        page.evaluate(f"document.getElementById('viewport').scrollTop = {to}")
        page.wait_for_function("() => new Promise(resolve => requestAnimationFrame(() => resolve(true)))")
        assert rows(page).count() < 100
        return listed(page)

    assert scroll("0")[0] == "f00000"
    middle = scroll("27500 * document.querySelector('#table tbody tr:not(.space)').offsetHeight")
    assert "f05500" in middle
    assert scroll("1e9")[-1] == "f10999"
    numbers = [int(row.get_attribute("aria-rowindex") or "") for row in rows(page).all()]
    assert numbers == list(range(numbers[0], MANY + 2))


def test_very_many_bottles_are_filtered_and_sorted_right(large: Path, open_page: Open) -> None:
    page = open_page(large)
    page.get_by_label("Outcome", exact=True).select_option(label="rejected")
    shows(page, "5,500 of 55,000 bottles")
    assert set(listed(page, 3)) == {"rejected"}
    page.get_by_label("Search").fill("f10999")
    shows(page, "1 of 55,000 bottles")
    page.get_by_role("button", name="Clear").click()
    shows(page, "55,000 bottles")
    button = page.get_by_role("columnheader", name="Version").get_by_role("button")
    button.click()
    assert set(listed(page, 1)) == {"1.0"}
    button.click()
    expect(page.locator("[aria-sort=descending]")).to_have_count(1)
    assert set(listed(page, 1)) == {"1.36"}
    page.get_by_label("Search").fill(f"{54_321:064x}")
    shows(page, "1 of 55,000 bottles")
    assert listed(page) == ["f10864"]


# Keyboard, phone, colours, paper


def test_the_keyboard_alone_is_enough(large: Path, open_page: Open) -> None:
    page = open_page(large)
    keyboard = page.keyboard
    keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the bottles")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    keyboard.press("Enter")
    keyboard.press("Tab")
    expect(page.get_by_label("Search")).to_be_focused()
    keyboard.type("f1")
    shows(page, "5,000 of 55,000 bottles")
    expect(page.get_by_label("Search")).to_be_focused()
    for _ in range(7):
        keyboard.press("Tab")
    expect(page.locator("#viewport")).to_be_focused()
    keyboard.press("Tab")
    expect(page.get_by_role("columnheader", name="Formula").get_by_role("button")).to_be_focused()
    keyboard.press("Enter")
    expect(page.locator("[aria-sort=ascending]")).to_have_count(1)
    for _ in range(7):
        keyboard.press("Tab")
    focused = page.locator("#table tbody a:focus")
    expect(focused).to_have_text("f10000")
    for key, place in (("End", 5_000), ("ArrowUp", 4_999), ("Home", 1), ("ArrowDown", 2), ("ArrowDown", 3)):
        keyboard.press(key)
        expect(focused.locator("xpath=ancestor::tr")).to_have_attribute("aria-rowindex", str(place + 1))
        expect(focused).to_be_in_viewport()
    keyboard.press("PageDown")
    keyboard.press("PageUp")
    expect(focused.locator("xpath=ancestor::tr")).to_have_attribute("aria-rowindex", "4")
    keyboard.press("Enter")
    expect(page.get_by_role("heading", name="f10000", exact=True)).to_be_focused()
    page.go_back()
    expect(focused.locator("xpath=ancestor::tr")).to_have_attribute("aria-rowindex", "4")


def test_one_row_of_the_table_is_in_the_order_of_the_tab_key(small: Path, open_page: Open) -> None:
    page = open_page(small)
    assert page.locator("#table tbody a[tabindex='0']").count() == 1
    rows(page).nth(3).get_by_role("link").focus()
    assert page.locator("#table tbody a[tabindex='0']").inner_text() == "foo@1.2"
    assert page.locator("#table tbody a[tabindex='0']").count() == 1


@pytest.mark.parametrize("fragment", ["", "#/formula/bar", "#/formula/foo%401.2"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(fragment: str, scheme: str, small: Path, open_page: Open) -> None:
    page = open_page(small, fragment, viewport=PHONE, color_scheme=scheme, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    if not fragment:
        page.locator("summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        rows(page).nth(2).get_by_role("link").tap()
        expect(page.get_by_role("heading", name="baz", exact=True)).to_be_visible()


def test_hostile_texts_fit_a_phone_too(tmp_path: Path, open_page: Open) -> None:
    long = "x" * 3_000
    file = write(tmp_path, *hostile_bottles(long), page=hostile_page(long))
    page = open_page(file, viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    rows(page).first.get_by_role("link").click()
    expect(page.locator("#formula-name")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


# WCAG 2.2, 1.4.3: what a text has to stand out from its ground.
CONTRASTS = """() => {
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) =>
    0.2126 * channel(red / 255) + 0.7152 * channel(green / 255) + 0.0722 * channel(blue / 255);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *:not(script):not(option)")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !node.getClientRects().length || node.closest("svg")) continue;
    const [one, other] = [parse(getComputedStyle(node).color), ground(node)].map(luminance);
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push([ratio, `${node.tagName} ${node.className} ${node.textContent.trim().slice(0, 40)}`]);
  }
  return found;
}"""


@pytest.mark.parametrize("fragment", ["", "#/formula/foo%401.2", "#/formula/baz"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    fragment: str, scheme: str, small: Path, open_page: Open
) -> None:
    found = open_page(small, fragment, color_scheme=scheme).evaluate(CONTRASTS)
    assert len(found) > 20
    assert [text for ratio, text in found if ratio < 4.5] == []


def test_the_schemes_differ(small: Path, open_page: Open) -> None:
    grounds = {
        open_page(small, color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert len(grounds) == 2


NAMELESS = """() => [...document.querySelectorAll("input, select, button, a, [role], table")]
  .filter((node) => node.getClientRects().length)
  .filter((node) => !(node.labels?.length || node.textContent.trim() || node.ariaLabel
    || node.getAttribute("aria-labelledby")))
  .map((node) => node.outerHTML)"""
DOUBLE = """() => { const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  return ids.filter((id, place) => ids.indexOf(id) !== place); }"""
DANGLING = """() => [...document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]")]
  .filter((node) => node.getClientRects().length)
  .flatMap((node) => [node.getAttribute("aria-labelledby"), node.getAttribute("aria-describedby"),
    node.getAttribute("for")].filter(Boolean).flatMap((ids) => ids.split(" ")))
  .filter((id) => !document.getElementById(id))"""


@pytest.mark.parametrize("fragment", ["", "#/formula/foo%401.2"])
def test_everything_has_a_name_and_headings_have_no_gaps(fragment: str, small: Path, open_page: Open) -> None:
    page = open_page(small, fragment)
    for check in (NAMELESS, DOUBLE, DANGLING):
        assert page.evaluate(check) == []
    levels = [
        int(re.sub(r"\D", "", tag))
        for tag in page.evaluate(
            "[...document.querySelectorAll('h1, h2, h3, h4')].filter((node) => node.getClientRects().length)"
            ".map((node) => node.tagName)"
        )
    ]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.locator("main").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("[role=status]").get_attribute("aria-live") == "polite"


def test_a_figure_is_told_in_words_too(small: Path, open_page: Open) -> None:
    page = open_page(small)
    plot = page.get_by_role("img", name="Verified bottles by time of signing")
    expect(plot).to_be_visible()
    assert "From 2025-11 to 2026-03" in (page.locator("#plot-text").text_content() or "")
    page.get_by_text("As a table").click()
    # As many as stand in the plot: two and one.
    cells = page.locator("details tbody tr").all_inner_texts()
    assert [re.split(r"\s+", cell) for cell in cells] == [["2025-11", "2", "0"], ["2026-03", "0", "1"]]


def test_without_scripts_there_are_the_figures(small: Path, open_page: Open) -> None:
    page = open_page(small, java_script_enabled=False)
    expect(page.locator("#scriptless")).to_be_visible()
    expect(page.locator("#listing")).to_be_hidden()
    expect(page.get_by_text("Build provenance exists and matches.")).to_be_visible()
    expect(page.get_by_role("row", name="ventura")).to_be_visible()


def test_on_paper_there_is_no_form_and_nothing_is_cut_off(small: Path, open_page: Open) -> None:
    page = open_page(small)
    page.emulate_media(media="print")
    expect(page.locator("#filters")).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.getElementById('viewport')).overflow") == "visible"


def test_nothing_moves_for_those_who_do_not_want_it(small: Path, open_page: Open) -> None:
    page = open_page(small, reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.querySelector('.tile')).transitionDuration") == "0s"


def test_a_page_without_bottles_is_whole(tmp_path: Path, open_page: Open) -> None:
    page = open_page(write(tmp_path))
    shows(page, "0 bottles")
    assert listed(page) == []
    page.locator("#table").get_by_role("columnheader", name="Tag").get_by_role("button").press("Enter")
    expect(page.locator("[aria-sort=ascending]")).to_have_count(1)
