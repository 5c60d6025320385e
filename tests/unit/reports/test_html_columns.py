"""The data in a page: small, and with everything in it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.reports.pages import BOTTLE, EVIDENCE, UNATTESTED, column, make

from brew_provenance.reports.html.bottles import Bottle
from brew_provenance.reports.html.columns import EVIDENCE as COLUMNS
from brew_provenance.reports.html.columns import OTHER, Columns, embedded
from brew_provenance.reports.text import printable


def data(*bottles: Bottle) -> Any:
    columns = Columns()
    for bottle in bottles:
        columns.add(bottle)
    written = "".join(embedded({"tap": "octo/tap"}, columns))
    assert not set(written) & set("<>&")
    return json.loads(written)


def bottle_column(name: str, *bottles: Bottle) -> list[str | None]:
    return column(data(*bottles), "bottles", name, len(bottles))


@given(st.lists(st.none() | st.text(max_size=20), min_size=1, max_size=12))
def test_every_text_comes_back(texts: list[str | None]) -> None:
    shown = bottle_column("version", *(make(version=text) for text in texts))
    assert shown == [None if text is None else printable(text) for text in texts]


@pytest.mark.parametrize("texts", [["1.0"] * 5, [None] * 5])
def test_a_column_that_is_the_same_throughout_takes_one_number(texts: list[str | None]) -> None:
    document = data(*(make(version=text) for text in texts))
    assert isinstance(document["bottles"]["version"]["rows"], int)


def test_what_begins_alike_is_written_once() -> None:
    document = data(*(make(version=f"2026.11.24.build-{number:04}") for number in range(50)))
    values = document["bottles"]["version"]["values"]
    assert sum(len(text) for text in values[1::2]) < 100


def test_digests_are_there_to_the_bit() -> None:
    bottles = [make(formula=name) for name in "abc"]
    digests = base64.b64decode(data(*bottles)["sha256"])
    assert [digests[n * 32 : n * 32 + 32].hex() for n in range(3)] == [bottle.sha256 for bottle in bottles]


@pytest.mark.parametrize(
    ("file_name", "shown"),
    [
        ("foo--1.0.sonoma.bottle.tar.gz", None),
        ("foo-1.0.sonoma.bottle.tar.gz", "foo-1.0.sonoma.bottle.tar.gz"),
        ("foo--1.0.sonoma.bottle.1.tar.gz", "foo--1.0.sonoma.bottle.1.tar.gz"),
        (None, ""),
        ("", ""),
    ],
)
def test_a_file_name_is_written_only_where_it_does_not_follow(
    file_name: str | None, shown: str | None
) -> None:
    assert bottle_column("fileName", make(file_name=file_name)) == [shown]


@pytest.mark.parametrize(
    ("subject", "shown"), [(BOTTLE.file_name, None), ("foo--1.0.all.bottle.tar.gz",) * 2, (None, "")]
)
def test_what_is_attested_is_written_only_where_it_is_another_name(
    subject: str | None, shown: str | None
) -> None:
    assert bottle_column("subject", make(evidence={**EVIDENCE, "subject": subject})) == [shown]


def test_bottles_of_one_attestation_share_it() -> None:
    other = {**EVIDENCE, "logIndex": 9}
    bottles = [make(), make(tag="ventura"), make(UNATTESTED, formula="goo"), make(evidence=other)]
    document = data(*bottles)
    assert document["attestation"] == [0, 0, -1, 1]
    assert column(document, "attestations", "logIndex", 2) == ["123456", "9"]
    assert document["attestations"]["signer"]["rows"] == 0


def test_attestations_that_differ_in_one_thing_are_kept_apart() -> None:
    names = [name for name in COLUMNS if name in EVIDENCE]
    bottles = [make(), *(make(evidence={**EVIDENCE, name: "other"}) for name in names)]
    assert data(*bottles)["attestation"] == list(range(len(names) + 1))


def test_what_a_newer_version_says_of_an_attestation_is_kept_in_one_column() -> None:
    evidence = {**EVIDENCE, "zeta": 1, "alpha": "x"}
    document = data(make(), make(evidence=evidence))
    assert column(document, "attestations", OTHER, 2) == [None, '{"alpha": "x", "zeta": 1}']


def test_numbers_are_exact_however_large() -> None:
    large = 2**63 - 1
    document = data(make(line=large, evidence={**EVIDENCE, "logIndex": large}))
    assert column(document, "bottles", "line", 1) == [str(large)]
    assert column(document, "attestations", "logIndex", 1) == [str(large)]


def test_findings_are_json_also_where_a_detail_is_long() -> None:
    (text,) = bottle_column("findings", make(findings=(("time-missing", "\u20ac" * 500), ("a", '"'))))
    assert text is not None
    (code, detail), second = json.loads(text)
    assert (code, second) == ("time-missing", ["a", '"'])
    assert detail.endswith("(500 characters)")


def test_55_000_bottles_take_less_than_twelve_megabytes() -> None:
    """With an attestation for each bottle, and digests that do not shrink; a tenth of them is measured."""
    columns = Columns()
    count = 5_500
    for number in range(count):
        name = hashlib.sha256(str(number).encode()).hexdigest()
        evidence = {**EVIDENCE, "bundle": name, "commit": name[:40], "logIndex": int(name[:8], 16)}
        columns.add(make(formula=f"formula-{number // 6}", tag=f"tag{number % 6}", evidence=evidence))
    assert sum(map(len, embedded({}, columns))) < 12_000_000 * count / 55_000
