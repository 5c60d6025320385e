"""Reports of a run, out of a ledger that anybody may have written."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tests.unit.audit.audits import (
    NOTARISED,
    REJECTED,
    UNATTESTED,
    UNRESOLVED,
    audit,
    make_entry,
    make_formula,
    make_judgement,
    make_store,
    make_unnamed,
    opened,
    record,
)
from tests.unit.reports.pages import column
from tests.unit.reports.structure import check_junit, check_sarif

from brew_provenance import bundle as bundle_module
from brew_provenance.audit import report
from brew_provenance.audit.ledger import Entry, Judgement, Ledger
from brew_provenance.audit.report import FORMATS, SARIF_RESULTS, SHOWN, code_span
from brew_provenance.verdict import Outcome

SCHEMA = Path(bundle_module.__file__).parent / "schemas" / "audit-v1.schema.json"
HOSTILE = (
    "</td></table><script>alert(1)</script>",
    "a|b|c",
    "`code` ``more``",
    "[link](https://attacker.example)",
    "![picture](https://attacker.example/x.png)",
    "https://attacker.example",
    "@octocat #1 GH-1",
    "**bold** _it_ ~~no~~",
    "a\n\n# heading",
    "a\r| --- |",
    "\\",
    "\\`",
    "\x1b[2J\x1b]0;title\x07",
    "\u202egnp.exe",
    "\u0430pple",
    "&lt;b&gt; &#124;",
    "<!-- -->",
    " ",
    "",
)
SIGNER = "https://github.com/octo/homebrew-tap/.github/workflows/publish.yml@refs/heads/main"
ENTRIES = [
    make_entry("bar", "sonoma"),
    make_entry("bar", "x86_64_linux", REJECTED, place=1),
    make_entry("foo", "all", UNATTESTED, path=None, line=None),
    make_entry("foo", "sonoma", UNRESOLVED, place=1, version=None, file_name=None),
]


def render(ledger: Ledger, name: str, entries: Sequence[Entry], **run: Any) -> str:
    number = record(ledger, entries, **run)
    return "".join(FORMATS[name](ledger, ledger.run(number)))


def sarif_of(ledger: Ledger, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    (run,) = json.loads(render(ledger, "sarif", entries))["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    found: list[dict[str, Any]] = run["results"]
    return found


# For people


def test_text_has_counts_tags_reasons_and_what_it_rests_on(ledger: Ledger) -> None:
    text = render(ledger, "text", ENTRIES)
    assert "octo/tap: 4 bottles, audited 2026-03-02T00:00:00+00:00 to 20" in text
    for line in (
        "         1  verified\n",
        "         1  rejected\n",
        "  all              1 unattested\n",
        "  sonoma           1 verified, 1 unresolved\n",
        "  subject-digest-mismatch: 1\n      No subject of the statement has the artifact's digest.\n",
        "  server-failed: 1\n",
        "\n  rejected  bar--1.0.x86_64_linux.bottle.tar.gz  subject-digest-mismatch\n",
        "policy: derived for octo/tap\nattestations: the example store\nformulae: a test\n",
    ):
        assert line in text
    # What is not proved of a verified bottle is no reason for anything.
    assert "formula-not-bound" not in text


def test_markdown_has_the_same(ledger: Ledger) -> None:
    text = render(ledger, "markdown", ENTRIES)
    for line in (
        "## Build provenance of `octo/tap`\n\n4 bottles, audited 2026-03-02T00:00:00+00:00 to 20",
        "| outcome | bottles |\n| --- | ---: |\n| verified | 1 |\n| unattested | 1 |\n| rejected | 1 |",
        "| `subject-digest-mismatch` | 1 | No subject of the statement has the artifact's digest. |\n",
        "| `bar--1.0.x86_64_linux.bottle.tar.gz` | rejected | subject-digest-mismatch |\n",
    ):
        assert line in text


@pytest.mark.parametrize("name", ["text", "markdown"])
def test_a_run_in_which_all_is_verified_has_no_table_of_what_is_wrong(name: str, ledger: Ledger) -> None:
    text = render(ledger, name, ENTRIES[:1])
    assert "reason" not in text
    assert "rejected" not in text
    assert "1 bottles" in text


@pytest.mark.parametrize("name", ["text", "markdown"])
def test_of_many_rejected_bottles_some_are_named_and_the_others_counted(name: str, ledger: Ledger) -> None:
    entries = [make_entry(f"f{number:03}", judgement=REJECTED) for number in range(SHOWN + 7)]
    text = render(ledger, name, entries)
    assert text.count(".bottle.tar.gz") == SHOWN
    assert "and 7 more\n" in text
    assert f"{SHOWN + 7}" in text


@pytest.mark.parametrize("name", ["text", "markdown"])
def test_what_a_run_is_limited_to_and_what_there_is_to_know_of_it_is_said(name: str, ledger: Ledger) -> None:
    number = record(ledger, ENTRIES, finish=False, selection="formula foo, tag sonoma", shard="2/3")
    ledger.finish(number, ["Formula/x.rb cannot be read: too long", "two\nlines"])
    text = "".join(FORMATS[name](ledger, ledger.run(number)))
    assert "formula foo, tag sonoma, shard 2/3" in text
    assert "Formula/x.rb cannot be read: too long" in text
    assert "two\\nlines" in text


def test_reasons_come_by_their_number_and_then_by_their_names(ledger: Ledger) -> None:
    judgements = [
        Judgement(Outcome.REJECTED, None, tuple((code, "") for code in codes), None)
        for codes in (["log-entry-missing"], ["certificate-missing", "log-entry-missing"], ["time-missing"])
    ]
    entries = [make_entry(f"f{n}", judgement=one) for n, one in enumerate(judgements)]
    text = render(ledger, "text", entries)
    codes = [line.split(":")[0].strip() for line in text.splitlines() if "-missing:" in line]
    assert codes == ["log-entry-missing", "certificate-missing", "time-missing"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_code_of_a_newer_version_is_shown_and_stops_nothing(name: str, ledger: Ledger) -> None:
    judgement = replace(REJECTED, findings=(("invented-tomorrow", "x"), *REJECTED.findings))
    text = render(ledger, name, [make_entry(judgement=judgement)])
    assert "invented-tomorrow" in text


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_others_wrote_is_shown_as_what_it_is(hostile: str, name: str, ledger: Ledger) -> None:
    judgement = replace(REJECTED, findings=(("subject-digest-mismatch", hostile),))
    entry = make_entry(judgement=judgement, file_name=hostile, tag=hostile, path=hostile, version=hostile)
    number = record(ledger, [entry], finish=False, selection=hostile, metadata=hostile, policy=hostile)
    ledger.finish(number, [hostile])
    text = "".join(FORMATS[name](ledger, ledger.run(number)))
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_markdown_is_nothing_but_its_own_tables_whatever_others_wrote(hostile: str, ledger: Ledger) -> None:
    entry = make_entry(judgement=REJECTED, file_name=hostile)
    number = record(ledger, [entry], finish=False, selection=hostile, tap=hostile)
    ledger.finish(number, [hostile])
    text = "".join(FORMATS["markdown"](ledger, ledger.run(number)))
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "code_inline"}
    assert sum(token.type == "table_open" for token in tokens) == 3
    assert sum(token.type == "heading_open" for token in tokens) == 1
    rows = [token.type for token in tokens].count("tr_open")
    cells = [token.type for token in tokens].count("td_open")
    assert (rows, cells) == (3 + 3, 2 + 3 + 3)
    # Outside of code spans stands nothing that others wrote.
    said = [child.content for child in inline if child.type == "text"]
    assert not hostile.strip() or not any(hostile.strip() in text for text in said)


@given(text=st.text())
def test_a_code_span_holds_all_of_what_it_shows(text: str) -> None:
    shown = code_span(text)
    assert shown.isascii()
    assert shown.isprintable()
    (paragraph,) = (
        t
        for t in MarkdownIt("commonmark").enable("table").parse(f"| a |\n| - |\n| {shown} |")
        if t.type == "inline" and t.content != "a"
    )
    assert [child.type for child in paragraph.children or ()] == ["code_inline"]


# For programs


def validate(document: object) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)


def everything(ledger: Ledger) -> int:
    """Audit a bottle of each outcome, and return the run."""
    formulae = [make_formula(name) for name in ("a", "b", "c")]
    store = make_store(formulae[0])
    store.put(next(iter(store.bundles.values()))[0], *formulae[2].bottles)
    return audit(ledger, [*formulae, make_unnamed("d")], store)[0]


@pytest.mark.usefixtures("pools")
def test_json_has_the_published_schema(ledger: Ledger) -> None:
    run = ledger.run(everything(ledger))
    document = json.loads("".join(FORMATS["json"](ledger, run)))
    validate(document)
    assert document["run"]["tap"] == "octo/tap"
    assert document["summary"] == {"verified": 2, "unattested": 2, "rejected": 2, "unresolved": 2}
    assert [bottle["formula"] for bottle in document["bottles"]] == list("aabbccdd")
    assert list(document["summary"]) == [outcome.value for outcome in Outcome]


@pytest.mark.usefixtures("pools")
def test_json_lines_have_the_published_schema_and_say_the_same(ledger: Ledger) -> None:
    run = ledger.run(everything(ledger))
    lines = [json.loads(line) for line in "".join(FORMATS["jsonl"](ledger, run)).splitlines()]
    for line in lines:
        validate(line)
        assert line.pop("schemaVersion") == report.SCHEMA_VERSION
    assert lines == json.loads("".join(FORMATS["json"](ledger, run)))["bottles"]


def test_json_of_a_run_without_bottles_is_json(ledger: Ledger) -> None:
    document = json.loads(render(ledger, "json", [], selection="formula x", shard="1/2"))
    validate(document)
    assert (document["summary"], document["bottles"]) == ({}, [])
    assert (document["run"]["selection"], document["run"]["shard"]) == ("formula x", "1/2")
    assert render(ledger, "jsonl", []) == ""


@pytest.mark.parametrize("spoil", ["outcome", "evidence", "bundles", "line"])
def test_the_schema_refuses_what_is_not_of_its_form(spoil: str, ledger: Ledger) -> None:
    document = json.loads(render(ledger, "json", []))
    bottle = json.loads(render(ledger, "jsonl", ENTRIES[2:3]))
    validate(bottle)
    bottle[spoil] = "something else"
    with pytest.raises(jsonschema.ValidationError):
        validate(bottle)
    with pytest.raises(jsonschema.ValidationError):
        validate(document | {"more": 1})


# SARIF


def test_sarif_points_at_the_bottles_line_and_says_what_decided(ledger: Ledger) -> None:
    results = sarif_of(ledger, ENTRIES)
    # A verified bottle is no result; the worst come first.
    assert [result["ruleId"] for result in results] == [
        "subject-digest-mismatch",
        "unattested",
        "server-failed",
    ]
    assert [result["level"] for result in results] == ["error", "warning", "warning"]
    places = [result["locations"][0]["physicalLocation"] for result in results]
    assert places[0] == {"artifactLocation": {"uri": "Formula/bar.rb"}, "region": {"startLine": 4}}
    # Where it stands is not known: the name stands for it, for a result has to have a place.
    assert places[1]["artifactLocation"]["uri"] == "foo--1.0.all.bottle.tar.gz"
    assert results[0]["message"]["text"] == (
        "rejected: bar--1.0.x86_64_linux.bottle.tar.gz: subject-digest-mismatch: 1 subject"
    )
    assert results[0]["partialFingerprints"] == {"bottle/v1": f"{ENTRIES[1].sha256} subject-digest-mismatch"}


@pytest.mark.parametrize(
    ("outcome", "codes", "rule"),
    [
        (Outcome.REJECTED, ["server-failed", "log-entry-missing", "time-missing"], "log-entry-missing"),
        (Outcome.UNRESOLVED, ["predicate-type-other", "rate-limited"], "rate-limited"),
        (Outcome.UNATTESTED, ["predicate-type-other"], "unattested"),
        (Outcome.REJECTED, ["invented-tomorrow"], "rejected"),
        (Outcome.UNRESOLVED, [], "unresolved"),
    ],
)
def test_the_rule_of_a_result_is_the_code_that_decided(
    outcome: Outcome, codes: Sequence[str], rule: str, ledger: Ledger
) -> None:
    judgement = Judgement(outcome, None, tuple((code, "x") for code in codes), None)
    (result,) = sarif_of(ledger, [make_entry(judgement=judgement)])
    assert result["ruleId"] == rule


def test_sarif_holds_as_many_results_as_github_shows_and_the_worst_of_them(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SARIF_RESULTS == 5_000
    monkeypatch.setattr(report, "SARIF_RESULTS", 5)
    kinds = [UNRESOLVED, UNATTESTED, make_judgement(), NOTARISED, REJECTED]
    entries = [make_entry(f"f{n:02}", judgement=kinds[n % 5]) for n in range(20)]
    text = render(ledger, "sarif", entries)
    run = check_sarif(text)
    assert [result["properties"]["outcome"] for result in run["results"]] == ["rejected"] * 4 + ["unattested"]
    # What is left out is never left out silently.
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "7 more bottles are not verified; these are the first 5"


def test_sarif_has_the_notes_of_the_run(ledger: Ledger) -> None:
    number = record(ledger, ENTRIES, finish=False)
    ledger.finish(number, ["Formula/x.rb cannot be read", "\u202e"])
    run = check_sarif("".join(FORMATS["sarif"](ledger, ledger.run(number))))
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert [note["message"]["text"] for note in notes] == ["Formula/x.rb cannot be read", "\\u202e"]


def test_sarif_of_all_results_stays_below_githubs_limit(ledger: Ledger) -> None:
    long = "\u20ac" * 2_000
    judgement = replace(REJECTED, findings=(("subject-digest-mismatch", long),) * 3)
    entries = [
        make_entry(f"f{n:04}", judgement=replace(judgement, evidence={"n": n}))
        for n in range(SARIF_RESULTS + 9)
    ]
    text = render(ledger, "sarif", entries)
    assert text.count('"ruleId"') == SARIF_RESULTS
    # GitHub takes 10 MB, packed; this is not packed yet.
    assert len(text) < 10_000_000
    assert SARIF_RESULTS < 25_000


def test_sarif_of_a_run_without_a_fault_has_no_results(ledger: Ledger) -> None:
    assert sarif_of(ledger, [ENTRIES[0], make_entry("z", judgement=NOTARISED)]) == []


# JUnit


def test_junit_has_a_suite_for_each_formula_and_a_case_for_each_bottle(ledger: Ledger) -> None:
    root = check_junit(render(ledger, "junit", ENTRIES))
    assert root.attrib == {"name": "brew-provenance", "tests": "4", "failures": "2", "errors": "1"}
    assert [(suite.attrib["name"], suite.attrib["tests"]) for suite in root] == [
        ("octo/tap/bar", "2"),
        ("octo/tap/foo", "2"),
    ]
    assert [case.attrib["name"] for case in root.iter("testcase")] == [
        *("bar--1.0.sonoma.bottle.tar.gz", "bar--1.0.x86_64_linux.bottle.tar.gz"),
        *("foo--1.0.all.bottle.tar.gz", "foo (sonoma)"),
    ]
    assert [(case[0].tag, case[0].attrib.get("type"), case[0].text) for case in root.iter("testcase")] == [
        (
            "system-out",
            None,
            f"build-provenance, signed by {SIGNER}",
        ),
        ("failure", "subject-digest-mismatch", "subject-digest-mismatch: 1 subject"),
        ("failure", "unattested", "no attestation"),
        ("error", "server-failed", "server-failed: 503"),
    ]


def test_junit_says_what_a_verified_bottle_has(ledger: Ledger) -> None:
    entries = [
        make_entry("a", judgement=NOTARISED),
        make_entry("b", judgement=make_judgement(evidence=None)),
        make_entry("c", judgement=make_judgement(gives=None, evidence={"signer": "x"})),
    ]
    said = [
        case.findtext("system-out") for case in check_junit(render(ledger, "junit", entries)).iter("testcase")
    ]
    assert (said[0] or "").startswith("notarisation, signed by https://")
    assert said[1:] == [None, "attested, signed by x"]


def test_junit_of_a_run_without_bottles_is_an_empty_document(ledger: Ledger) -> None:
    assert list(check_junit(render(ledger, "junit", [], selection="formula x"))) == []


@pytest.mark.parametrize("hostile", HOSTILE)
def test_junit_is_sound_whatever_others_wrote(hostile: str, ledger: Ledger) -> None:
    judgement = replace(REJECTED, findings=(("subject-digest-mismatch", hostile),))
    entries = [
        make_entry(f"f{hostile}", judgement=judgement, file_name=f"x{hostile}"),
        make_entry("z", judgement=make_judgement(evidence={"signer": hostile})),
    ]
    root = check_junit(render(ledger, "junit", entries))
    assert [case.find("failure") is None for case in root.iter("testcase")] == [False, True]


# HTML


def on_page(text: str) -> Any:
    """Return the data in a page."""
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    return json.loads(data)


def test_html_has_every_bottle_and_what_the_run_rests_on(ledger: Ledger) -> None:
    text = render(ledger, "html", ENTRIES, roots=f"{'a' * 64},{'b' * 64}")
    data = on_page(text)
    assert len(base64.b64decode(data["sha256"])) == 4 * 32
    states = column(data, "bottles", "state", 4)
    assert states == ["build-provenance", "rejected", "unattested", "unresolved"]
    assert column(data, "bottles", "attestations", 4) == ["1", "1", "0", None]
    assert column(data, "bottles", "path", 4) == ["Formula/bar.rb"] * 2 + [None, "Formula/foo.rb"]
    assert data["attestation"] == [0, -1, -1, -1]
    run = ledger.last_run()
    for said in ("a" * 64, "b" * 64, run.policy, run.policy_sha256, run.store, run.metadata, run.started):
        assert said in text
    assert f"brew-provenance {run.tool_version}" in text
    assert (run.finished or "never") in text


def test_html_of_a_part_of_a_tap_says_which(ledger: Ledger) -> None:
    text = render(ledger, "html", ENTRIES, selection="formula foo", shard="2/3")
    assert "(formula foo, shard 2/3)" in text


def test_html_of_a_run_that_has_not_ended_says_so(ledger: Ledger) -> None:
    number = record(ledger, ENTRIES, finish=False)
    assert "2026-03-02 00:00 to ? UTC" in "".join(FORMATS["html"](ledger, ledger.run(number)))


# Any run


@pytest.mark.usefixtures("pools")
@pytest.mark.parametrize("name", FORMATS)
def test_a_report_judges_nothing_and_is_the_same_every_time(name: str, tmp_path: Path) -> None:
    with opened(tmp_path / "ledger.sqlite") as ledger:
        number = everything(ledger)
    texts = []
    for _ in range(2):
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            texts.append("".join(FORMATS[name](ledger, ledger.run(number))))
    assert texts[0] == texts[1] != ""
    assert texts[0].endswith("\n")


def test_memory_does_not_grow_with_the_bottles(ledger: Ledger) -> None:
    entries = [make_entry(f"f{n:05}", judgement=make_judgement()) for n in range(300)]
    number = record(ledger, entries)
    pieces = list(FORMATS["json"](ledger, ledger.run(number)))
    assert max(map(len, pieces)) < 3_000
