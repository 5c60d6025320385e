"""What an HTML page says, read as a browser would read it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from brew_provenance.reports.html import Bottle, Page, render
from brew_provenance.verdict import Outcome

PAGE = Page(
    "octo/tap",
    "",
    "2026-03-02T08:00:59+00:00",
    "2026-03-02T09:30:00+00:00",
    [("Policy", "octo's own"), ("sha256 of the policy", "ab" * 32)],
    ["one formula could not be read"],
)
EVIDENCE: dict[str, str | int | None] = {
    "bundle": "b" * 64,
    "signer": "https://github.com/octo/homebrew-tap/.github/workflows/publish.yml@refs/heads/main",
    "source": "https://github.com/octo/homebrew-tap",
    "ref": "refs/heads/main",
    "commit": "c" * 40,
    "run": "https://github.com/octo/homebrew-tap/actions/runs/7/attempts/1",
    "runner": "github-hosted",
    "trigger": "push",
    "signed": "2026-03-01T12:34:56+00:00",
    "log": "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d",
    "logIndex": 123456,
    "subject": "foo--1.0.sonoma.bottle.tar.gz",
}
BOTTLE = Bottle(
    formula="foo",
    version="1.0",
    rebuild=0,
    tag="sonoma",
    file_name="foo--1.0.sonoma.bottle.tar.gz",
    sha256="a1" * 32,
    path="Formula/foo.rb",
    line=4,
    outcome=Outcome.VERIFIED,
    gives="build-provenance",
    findings=(("formula-not-bound", "the attestation names no formula"),),
    evidence=EVIDENCE,
    attestations=1,
)
NOTARISED = replace(BOTTLE, gives="notarisation", findings=(("notarisation-only", "of 2024"),))
UNATTESTED = replace(
    BOTTLE, outcome=Outcome.UNATTESTED, gives=None, findings=(), evidence=None, attestations=0
)
REJECTED = replace(
    BOTTLE, outcome=Outcome.REJECTED, gives=None, findings=(("subject-digest-mismatch", "1 subject"),)
)
UNRESOLVED = replace(
    UNATTESTED, outcome=Outcome.UNRESOLVED, findings=(("server-failed", "503"),), attestations=None
)


def make(base: Bottle = BOTTLE, **changes: Any) -> Bottle:
    """Return a bottle whose file name, and what is attested, follow from the rest."""
    bottle = replace(base, **changes)
    if "file_name" not in changes:
        rebuild = f".{bottle.rebuild}" if bottle.rebuild else ""
        name = f"{bottle.formula}--{bottle.version}.{bottle.tag}.bottle{rebuild}.tar.gz"
        bottle = replace(bottle, file_name=name)
    if bottle.evidence is not None and "evidence" not in changes:
        bottle = replace(bottle, evidence={**bottle.evidence, "subject": bottle.file_name})
    if "sha256" not in changes:
        seed = f"{bottle.formula} {bottle.version} {bottle.tag}".encode("utf-8", "backslashreplace")
        bottle = replace(bottle, sha256=hashlib.sha256(seed).hexdigest())
    return bottle


class Markup(HTMLParser):
    """Elements, texts and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.comments: list[str] = []
        self._element = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._element = tag
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._element = ""

    def handle_data(self, data: str) -> None:
        if self._element in self.inside:
            self.inside[self._element][-1] += data
        else:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    @property
    def data(self) -> Any:
        return json.loads(self.inside["script"][0])

    @property
    def policy(self) -> str:
        (content,) = (
            a["content"] for tag, a in self.elements if a.get("http-equiv") == "Content-Security-Policy"
        )
        return content or ""


def page(*bottles: Bottle, page: Page = PAGE) -> Markup:
    return Markup("".join(render(page, bottles)))


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def column(document: Any, group: str, name: str, count: int) -> list[str | None]:
    """Return the texts of a column, row by row, as the page's script reads them."""
    values, rows = document[group][name]["values"], document[group][name]["rows"]
    texts: list[str] = []
    for shared, rest in zip(values[::2], values[1::2], strict=True):
        texts.append((texts[-1][:shared] if texts else "") + rest)
    assert texts == sorted(set(texts))
    places: Sequence[int] = rows if isinstance(rows, list) else [rows] * count
    return [texts[place] if place >= 0 else None for place in places]


def links(markup: Markup) -> Iterable[str]:
    return (
        value for _, a in markup.elements for name, value in a.items() if name in {"href", "src"} and value
    )
