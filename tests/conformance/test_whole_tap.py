"""The whole of homebrew-core, read from Ruby, against what was recorded of it and against brew's versions.

With BREW_PROVENANCE_TAP, the git directory of a clone of copie/homebrew-core-lite, its own files are read,
which takes some seconds. Without it, Ruby is written from the recording and read back.
"""

from __future__ import annotations

import json
import lzma
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from brew_provenance.bottle import Bottle, BottleTag
from brew_provenance.formula import Formula, UnnamedBottle, package_version
from brew_provenance.formula.bottleblock import DEFAULT_ROOT_URL, describe_difference, without_bottle_block
from brew_provenance.formula.ruby import read_formula
from brew_provenance.macos import VERSIONS
from brew_provenance.taps.git import GitTap, UnreadableFormula

COMMIT = "5a660864ed05e8896ab88e47b93be7eb6b8d3552"
TAGS = ("arm64_tahoe", "arm64_sonoma", "sonoma", "ventura", "catalina", "arm64_linux", "x86_64_linux")
# How brew takes the bottle block out of the formula that it packs (`formula_installer.rb`).
BREW = re.compile(rb"  bottle do.+?end\n\n?", re.DOTALL)
# Of all formulae, these alone are not known in full: their class inherits from one in another file.
INHERITS = "it inherits from PortableFormula, which is not read"
SAID = {INHERITS, "some systems have a source of their own"}
MOST_UNKNOWN = 0.005

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows(data: Path) -> dict[str, Row]:
    with lzma.open(existing(data / "homebrew" / "homebrew-core-2026-08-22.jsonl.xz")) as lines:
        found = [json.loads(line) for line in lines]
    return {row["name"]: row for row in found}


@pytest.fixture(scope="module")
def found_by_brew(data: Path) -> dict[str, str]:
    with lzma.open(existing(data / "homebrew" / "versions-by-brew.tsv.xz"), "rt", encoding="utf-8") as lines:
        return dict(line.rstrip("\n").split("\t") for line in lines)


@pytest.fixture(scope="module")
def formulae() -> dict[str, Formula]:
    folder = os.environ.get("BREW_PROVENANCE_TAP")
    if not folder:
        pytest.skip("set BREW_PROVENANCE_TAP to the git directory of a clone of copie/homebrew-core-lite")
    entries = list(GitTap(Path(folder), tap="homebrew/core", commit=COMMIT).entries())
    assert [entry for entry in entries if isinstance(entry, UnreadableFormula)] == []
    return {entry.name: entry for entry in entries if isinstance(entry, Formula)}


def existing(file: Path) -> Path:
    if not file.is_file():
        pytest.skip(f"no {file}")
    return file


def test_every_bottle_is_found_and_no_other(rows: Mapping[str, Row], formulae: Mapping[str, Formula]) -> None:
    assert list(formulae) == sorted(rows)
    bottles = [bottle for formula in formulae.values() for bottle in declared(formula)]
    assert (len(formulae), len(bottles), len({bottle.digest for bottle in bottles})) == (8563, 54657, 52254)
    for name, formula in formulae.items():
        assert_bottles(formula, rows[name])
        lines = [bottle["line"] for bottle in rows[name]["bottles"].values()]
        assert [bottle.line for bottle in declared(formula)] == lines, name
        assert formula.root_url == (DEFAULT_ROOT_URL if declared(formula) else None)


def test_every_field_is_what_was_recorded(rows: Mapping[str, Row], formulae: Mapping[str, Formula]) -> None:
    for name, formula in formulae.items():
        row = rows[name]
        assert formula.path == row["path"]
        assert sorted(formula.aliases) == sorted(row["aliases"]), name
        assert_fields(formula, row)


def test_no_version_is_wrong_and_few_are_unknown(
    rows: Mapping[str, Row], found_by_brew: Mapping[str, str], formulae: Mapping[str, Formula]
) -> None:
    compared = assert_versions(formulae, rows, found_by_brew)
    unknown = Counter(formula.gaps[0] for formula in formulae.values() if formula.version is None)
    print(f"{len(formulae)} formulae, {compared} versions compared, unknown: {dict(unknown)}")  # noqa: T201 - with -s
    assert set(unknown) <= {INHERITS}
    assert unknown.total() <= len(formulae) * MOST_UNKNOWN


def test_what_cannot_be_known_is_as_good_as_nothing(formulae: Mapping[str, Formula]) -> None:
    gaps = Counter(re.sub(r"\Aline \d+: ", "", gap) for formula in formulae.values() for gap in formula.gaps)
    assert set(gaps) <= SAID
    assert gaps.total() < 20


def test_every_formula_is_packed_as_brew_packs_it(formulae: Mapping[str, Formula]) -> None:
    for formula in formulae.values():
        assert formula.text is not None
        packed = BREW.sub(b"", formula.text)
        assert without_bottle_block(formula.text) == packed, formula.name
        if formula.name.startswith("a"):
            assert describe_difference(formula.text, packed) is None


def test_the_recording_written_as_ruby_is_read_back(
    rows: Mapping[str, Row], found_by_brew: Mapping[str, str]
) -> None:
    formulae = {
        name: read_formula(write_ruby(row).encode(), tap="homebrew/core", name=name)
        for name, row in rows.items()
    }
    assert sum(len(formula.bottles) for formula in formulae.values()) == 54657
    for name, formula in formulae.items():
        assert_bottles(formula, rows[name])
        assert_fields(formula, rows[name])
        assert set(formula.gaps) <= {gap for gap in formula.gaps if gap.endswith("a source of their own")}
    assert_versions(formulae, rows, found_by_brew)


def declared(formula: Formula) -> Sequence[Bottle | UnnamedBottle]:
    """Return the bottles, which have no names where the version is not known."""
    return formula.bottles if formula.version is not None else formula.unnamed


def assert_bottles(formula: Formula, row: Row) -> None:
    recorded = [(tag, bottle["sha256"], row["rebuild"]) for tag, bottle in row["bottles"].items()]
    found = [(bottle.tag, bottle.digest.value, bottle.rebuild) for bottle in declared(formula)]
    assert found == recorded, formula.name
    assert len(formula.bottles) + len(formula.unnamed) == len(found), formula.name


def assert_fields(formula: Formula, row: Row) -> None:
    source = formula.source
    assert source is not None
    # The revisions of other systems than git were not recorded.
    commit = source.revision if len(source.revision or "") == 40 else None
    assert (source.url, source.sha256, source.tag, commit) == tuple(
        row[key] for key in ("url", "source_sha256", "url_tag", "url_commit")
    )
    assert (formula.revision, formula.version_scheme) == (row["revision"], row["version_scheme"])
    assert (formula.deprecated, formula.disabled) == (ending(row["deprecated"]), ending(row["disabled"]))
    assert needed(formula) == recorded_needs(row)


def assert_versions(
    formulae: Mapping[str, Formula], rows: Mapping[str, Row], found_by_brew: Mapping[str, str]
) -> int:
    """Compare all versions that are known, and return how many those are."""
    stated = {name: row["version"] for name, row in rows.items() if row["version"] is not None}
    expected = {
        name: package_version(version, rows[name]["revision"])
        for name, version in {**found_by_brew, **stated}.items()
    }
    known = {name: formulae[name].version for name in expected if formulae[name].version is not None}
    assert len(known) > 4300
    assert known == {name: expected[name] for name in known}
    return len(known)


def ending(recorded: Mapping[str, str] | None) -> str | None:
    if recorded is None:
        return None
    where = f" ({recorded['when']})" if "when" in recorded else ""
    return f"{recorded['because']}, since {recorded['date']}{where}"


Needs = dict[str, tuple[set[str], set[str]]]
"""Of each tag: what is needed, and what may be."""


def needed(formula: Formula) -> Needs:
    return {
        tag: told_apart([(one.name, one.needed_on(BottleTag.parse(tag))) for one in formula.dependencies])
        for tag in TAGS
    }


def recorded_needs(row: Row) -> Needs:
    found: Needs = {}
    for tag in TAGS:
        held: list[tuple[str, bool | None]] = [(name, True) for name in row["dependencies"]]
        for conditions, names in row["conditional_dependencies"].items():
            answers = [holds(condition, tag) for condition in conditions.split(" / ")]
            answer = False if False in answers else None if None in answers else True
            held += [(name, answer) for name in names]
        for name, since in row["uses_from_macos"].items():
            from_macos = holds("on_macos", tag) and (since is None or holds(f"on_{since} :or_newer", tag))
            held.append((name, not from_macos))
        found[tag] = told_apart(held)
    return found


def told_apart(held: Iterable[tuple[str, bool | None]]) -> tuple[set[str], set[str]]:
    answers = list(held)
    return {name for name, is_held in answers if is_held}, {
        name for name, is_held in answers if is_held is None
    }


def holds(condition: str, tag: str) -> bool | None:
    """Judge a condition as it was recorded, which is as it was written."""
    parsed = BottleTag.parse(tag)
    if condition.startswith("if "):
        return None
    if condition.startswith("on_system :linux, macos: :"):
        release, _, bound = condition.rpartition(":")[2].partition("_or_")
        return parsed.system == "linux" or holds(f"on_{release}{bound and f' :or_{bound}'}", tag)
    word, _, bound = condition.removeprefix("on_").partition(" :or_")
    if word not in VERSIONS:
        machine = {"linux": not VERSIONS.get(parsed.system), "macos": bool(VERSIONS.get(parsed.system))}
        return {**machine, "arm": parsed.arch == "arm64", "intel": parsed.arch == "x86_64"}[word]
    if parsed.system == "linux":
        return False
    here, there = VERSIONS[parsed.system], VERSIONS[word]
    return here == there or (bound == "newer" and here > there) or (bound == "older" and here < there)


def write_ruby(row: Row) -> str:
    """Write what was recorded of a formula as Ruby."""
    return "\n".join([f"class {class_name(row['name'])} < Formula", *_statements(row), "end", ""])


def class_name(name: str) -> str:
    words = re.split(r"[-_.]", name.replace("+", "x"))
    joined = words[0].capitalize() + "".join(word[:1].upper() + word[1:].lower() for word in words[1:])
    return re.sub(r"(.)@(?=\d)", r"\1AT", joined, count=1)


def _statements(row: Row) -> Iterator[str]:
    options = {"tag": row["url_tag"], "revision": row["url_commit"]}
    written = "".join(f', {key}: "{value}"' for key, value in options.items() if value is not None)
    yield f'  url "{row["url"]}"{written}'
    if row["source_sha256"] is not None:
        yield f'  sha256 "{row["source_sha256"]}"'
    for conditions, url in row["conditional_urls"].items():
        yield from _within(conditions, f'url "{url}"')
    if row["version"] is not None:
        yield f'  version "{row["version"]}"'
    yield f"  revision {row['revision']}"
    yield f"  version_scheme {row['version_scheme']}"
    if row["bottles"]:
        yield "  bottle do"
        yield f"    rebuild {row['rebuild']}"
        for tag, bottle in row["bottles"].items():
            cellar = bottle["cellar"]
            yield f'    sha256 {f"cellar: {cellar}, " if cellar else ""}{tag}: "{bottle["sha256"]}"'
        yield "  end"
    for word, end in (("deprecate!", row["deprecated"]), ("disable!", row["disabled"])):
        if end is not None:
            said = f'date: "{end["date"]}", because: "{end["because"]}"'
            yield from _within(end.get("when", ""), f"{word} {said}")
    for name in row["dependencies"]:
        yield f'  depends_on "{name}"'
    for conditions, names in row["conditional_dependencies"].items():
        for name in names:
            yield from _within(conditions, f'depends_on "{name}"')
    for name, since in row["uses_from_macos"].items():
        yield f'  uses_from_macos "{name}"{f", since: :{since}" if since else ""}'


def _within(conditions: str, statement: str) -> Iterator[str]:
    nested = conditions.split(" / ") if conditions else []
    yield from (part if part.startswith("if ") else f"{part} do" for part in nested)
    yield statement
    yield from ("end" for _ in nested)
