"""What changed between two runs, and which changes are alarms."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
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
    make_run,
    make_store,
    opened,
    record,
)

from brew_provenance import bundle as bundle_module
from brew_provenance.audit import changes
from brew_provenance.audit.changes import FORMATS
from brew_provenance.audit.compare import (
    ALARMS,
    CHANGES,
    Change,
    Comparison,
    compare,
    compare_runs,
    signers,
)
from brew_provenance.audit.ledger import Entry, Judgement, Ledger
from brew_provenance.errors import UsageError

SCHEMAS = Path(bundle_module.__file__).parent / "schemas"
VERIFIED = make_judgement()
OTHER_SHA256 = "e" * 64


def signed(**claims: str | None) -> Judgement:
    """Return build provenance by somebody else."""
    return make_judgement(evidence=dict(VERIFIED.evidence or {}) | claims)


def with_bundles(*bundles: str, of: Judgement = VERIFIED) -> Judgement:
    return replace(of, bundles=bundles)


def codes(old: Sequence[Entry], new: Sequence[Entry], *, held: bool = False) -> list[str]:
    return [change.code for change in compare(old, new, signers=signers(old), held=held)]


FOO = make_entry()
NEXT = make_entry(version="1.1")


def pair(before: Judgement, after: Judgement) -> tuple[list[Entry], list[Entry]]:
    """Return the same bottle with two judgements."""
    return [make_entry(judgement=before)], [make_entry(judgement=after)]


# The same bottle

ALL = {
    "verified": VERIFIED,
    "notarised": NOTARISED,
    "unattested": UNATTESTED,
    "rejected": replace(REJECTED, bundles=VERIFIED.bundles),
    "unresolved": UNRESOLVED,
}
LOST = {("verified", "notarised")} | {
    (had, has) for had in ("verified", "notarised") for has in ("unattested", "rejected")
}
UNKNOWN = {("verified", "unresolved"), ("notarised", "unresolved")}
GONE = {(had, "unattested") for had in ("verified", "notarised", "rejected")}


@pytest.mark.parametrize("after", ALL)
@pytest.mark.parametrize("before", ALL)
def test_a_bottle_that_had_more_before_is_an_alarm(before: str, after: str) -> None:
    found = codes(*pair(ALL[before], ALL[after]))
    expected = []
    if (before, after) in UNKNOWN:
        expected.append("provenance-unresolved")
    if (before, after) in LOST:
        expected.append("provenance-lost")
    if (before, after) in GONE:
        expected.append("attestation-gone")
    if before != after:
        expected.append("outcome-changed")
    assert found == expected


def test_what_a_bottle_had_and_has_is_said() -> None:
    (lost, _) = compare(*pair(VERIFIED, replace(REJECTED, bundles=None)), signers=())
    assert (lost.code, lost.before, lost.after) == (
        "provenance-lost",
        "verified (build-provenance)",
        "rejected (subject-digest-mismatch)",
    )
    (gained,) = compare(*pair(UNATTESTED, VERIFIED), signers=())
    assert (gained.code, gained.before, gained.after) == (
        "outcome-changed",
        "unattested",
        "verified (build-provenance)",
    )


def test_nothing_changed_when_only_where_a_bottle_stands_is_different() -> None:
    moved = make_entry(path="new.rb", line=9, place=3)
    assert codes([FOO], [moved]) == []


def test_two_bottles_of_one_name_are_an_alarm() -> None:
    other = make_entry(sha256=OTHER_SHA256)
    (change,) = compare([FOO], [other], signers=signers([FOO]))
    assert (change.code, change.before, change.after) == ("digest-changed", FOO.sha256, OTHER_SHA256)
    assert change.bottle is other


def test_a_bottle_that_was_replaced_is_held_to_all_that_a_new_one_is() -> None:
    other = make_entry(sha256=OTHER_SHA256, judgement=UNATTESTED)
    assert codes([FOO], [other], held=True) == [
        *("provenance-lost", "unattested-after-flag-day", "digest-changed", "outcome-changed")
    ]
    other = make_entry(sha256=OTHER_SHA256, judgement=NOTARISED)
    assert "notarisation-only" in codes([FOO], [other])


# Attestations that are gone


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        (["a"], ["a"], False),
        (["a"], ["b", "a"], False),
        ([], ["a"], False),
        (["a"], ["b"], True),
        (["a", "b"], ["b"], True),
        (["a"], [], True),
        (None, [], False),
        (["a"], None, False),
    ],
)
def test_an_attestation_that_the_store_has_not_any_more_is_an_alarm(
    before: list[str] | None, after: list[str] | None, gone: bool
) -> None:
    old, new = (
        replace(VERIFIED, bundles=tuple(side) if side is not None else None) for side in (before, after)
    )
    assert codes(*pair(old, new)) == (["attestation-gone"] if gone else [])


def test_which_attestations_are_gone_is_said_by_their_digest() -> None:
    (change,) = compare(
        *pair(with_bundles(*(letter * 64 for letter in "abcde")), with_bundles("a" * 64)), signers=()
    )
    assert change.before == "5 attestation(s)"
    assert change.after == f"4 of 5 gone: {'b' * 16}, {'c' * 16}, {'d' * 16}"


def test_attestations_are_compared_by_digest_whatever_the_bottle_is_called() -> None:
    renamed = make_entry(tag="all", sha256=FOO.sha256, judgement=with_bundles())
    assert "attestation-gone" in codes([FOO], [renamed])
    other = make_entry(sha256=OTHER_SHA256, judgement=with_bundles())
    assert "attestation-gone" not in codes([FOO], [other])


# Bottles that appeared


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (VERIFIED, VERIFIED, []),
        (VERIFIED, UNATTESTED, ["regression"]),
        (VERIFIED, REJECTED, ["regression"]),
        (VERIFIED, NOTARISED, ["regression", "notarisation-only"]),
        (VERIFIED, UNRESOLVED, ["provenance-unresolved"]),
        (NOTARISED, UNATTESTED, []),
        (NOTARISED, NOTARISED, ["notarisation-only"]),
        (UNATTESTED, UNATTESTED, []),
        (UNATTESTED, VERIFIED, []),
        (REJECTED, UNRESOLVED, []),
    ],
)
def test_a_version_without_provenance_after_one_with_is_an_alarm(
    before: Judgement, after: Judgement, expected: list[str]
) -> None:
    found = codes([make_entry(judgement=before)], [make_entry(version="1.1", judgement=after)])
    assert [code for code in found if CHANGES[code].is_alarm] == expected
    assert [code for code in found if not CHANGES[code].is_alarm] == ["added", "removed"]


@pytest.mark.parametrize(
    "change",
    [{"version": "1.0", "rebuild": 1, "file_name": "foo--1.0.sonoma.bottle.1.tar.gz"}, {"tag": "tahoe"}],
)
def test_a_new_rebuild_and_a_bottle_for_a_new_tag_count_as_well(change: dict[str, Any]) -> None:
    later = make_entry(judgement=UNATTESTED, **{"tag": "sonoma"} | change, sha256=OTHER_SHA256)
    assert "regression" in codes([FOO], [FOO, later])


def test_what_another_formula_had_is_no_measure() -> None:
    assert codes([FOO], [make_entry("bar", judgement=UNATTESTED), FOO]) == ["added"]


def test_a_bottle_that_has_a_notarisation_only_is_an_alarm_when_it_is_new() -> None:
    assert codes([], [make_entry(judgement=NOTARISED)]) == ["notarisation-only", "added"]
    assert codes(*pair(NOTARISED, NOTARISED)) == []


def test_an_unattested_bottle_that_appeared_after_the_flag_day_is_an_alarm() -> None:
    unattested = make_entry(judgement=UNATTESTED)
    assert codes([], [unattested], held=True) == ["unattested-after-flag-day", "added"]
    assert codes([], [unattested], held=False) == ["added"]
    assert codes([unattested], [unattested], held=True) == []
    for other in (REJECTED, UNRESOLVED, VERIFIED):
        assert codes([], [make_entry(judgement=other)], held=True) == ["added"]


def test_a_bottle_that_was_there_without_a_known_name_did_not_appear() -> None:
    before = make_entry(version=None, file_name=None, judgement=UNRESOLVED, sha256=FOO.sha256)
    after = make_entry(judgement=UNATTESTED)
    assert codes([before], [after], held=True) == ["added", "removed"]


def test_an_old_digest_under_a_new_name_did_appear() -> None:
    before = make_entry(judgement=UNATTESTED)
    after = make_entry(version="2.0", judgement=UNATTESTED, sha256=before.sha256)
    assert "unattested-after-flag-day" in codes([before], [after], held=True)


def test_a_bottle_without_a_known_name_is_another_one_when_its_digest_is() -> None:
    unnamed = make_entry(version=None, file_name=None, judgement=UNRESOLVED)
    other = replace(unnamed, sha256=OTHER_SHA256)
    assert codes([unnamed], [unnamed]) == []
    assert codes([unnamed], [other]) == ["added", "removed"]


def test_what_is_not_there_any_more_is_removed() -> None:
    (change,) = compare([FOO], [], signers=())
    assert (change.code, change.bottle, change.before, change.after) == (
        "removed",
        FOO,
        "verified (build-provenance)",
        None,
    )


# Who attests

SIGNER = str((VERIFIED.evidence or {})["signer"])
STRANGER = SIGNER.replace("publish", "other")


@pytest.mark.parametrize("new", [FOO, NEXT])
@pytest.mark.parametrize(
    ("claims", "code", "before", "after"),
    [
        ({"signer": STRANGER}, "signer-changed", SIGNER, STRANGER),
        (
            {"signer": f"{SIGNER}2"},
            "signer-changed",
            SIGNER,
            f"{SIGNER}2",
        ),
        (
            {"source": "https://github.com/octo/fork"},
            "source-changed",
            "https://github.com/octo/homebrew-tap at refs/heads/main",
            "https://github.com/octo/fork at refs/heads/main",
        ),
        (
            {"ref": "refs/heads/next"},
            "source-changed",
            "https://github.com/octo/homebrew-tap at refs/heads/main",
            "https://github.com/octo/homebrew-tap at refs/heads/next",
        ),
        ({"runner": "self-hosted"}, "runner-class-changed", "github-hosted", "self-hosted"),
        ({"runner": None}, "runner-class-changed", "github-hosted", "None"),
    ],
)
def test_another_who_attests_a_formula_is_an_alarm(
    claims: dict[str, str], code: str, before: str, after: str, new: Entry
) -> None:
    later = replace(new, judgement=signed(**claims))
    found = [c for c in compare([FOO], [later], signers=signers([FOO])) if c.kind.is_alarm]
    assert [(change.code, change.before, change.after) for change in found] == [(code, before, after)]


def test_a_workflow_that_signed_others_before_is_a_change_and_no_alarm() -> None:
    old = [make_entry("bar", judgement=signed(signer=STRANGER)), FOO]
    new = [old[0], make_entry(judgement=signed(signer=STRANGER))]
    assert codes(old, new) == ["signer-varied"]
    assert not CHANGES["signer-varied"].is_alarm


def test_a_workflow_whose_attestations_did_not_count_is_none_that_signed_before() -> None:
    forged = replace(REJECTED, evidence=signed(signer=STRANGER).evidence)
    noted = replace(NOTARISED, evidence=signed(signer=STRANGER).evidence)
    old = [make_entry("bar", judgement=forged), make_entry("baz", judgement=noted), FOO]
    new = [*old[:2], make_entry(judgement=signed(signer=STRANGER))]
    assert codes(old, new) == ["signer-changed"]


def test_a_bottle_is_compared_with_the_one_for_its_tag_or_else_with_any() -> None:
    old = [FOO, make_entry(tag="tahoe", judgement=signed(runner="self-hosted"), place=1)]
    assert codes(old, old) == []
    new = [*old, make_entry(tag="linux", place=2)]
    assert codes(old, new) == ["added"]
    new = [*old, make_entry(tag="linux", judgement=signed(runner="self-hosted"), place=2)]
    assert codes(old, new) == ["runner-class-changed", "added"]


@pytest.mark.parametrize("other", [NOTARISED, UNATTESTED, REJECTED, UNRESOLVED])
def test_who_attests_is_compared_where_both_have_build_provenance(other: Judgement) -> None:
    other = replace(other, evidence=signed(signer=STRANGER, runner="x", source="y").evidence, bundles=None)
    for found in (codes(*pair(other, VERIFIED)), codes(*pair(VERIFIED, other))):
        assert not {"signer-changed", "source-changed", "runner-class-changed", "signer-varied"} & set(found)


# Whole runs

JUDGEMENTS = st.sampled_from(
    [VERIFIED, NOTARISED, UNATTESTED, REJECTED, UNRESOLVED, signed(signer=STRANGER), with_bundles("a", "b")]
)


@st.composite
def runs(draw: st.DrawFn) -> list[Entry]:
    names = draw(st.lists(st.sampled_from("abcd"), unique=True))
    return [
        make_entry(name, tag, draw(JUDGEMENTS), place=place, version=version)
        for name in sorted(names)
        for version in [draw(st.sampled_from(["1.0", "1.1"]))]
        for place, tag in enumerate(draw(st.lists(st.sampled_from(["x", "y"]), unique=True)))
    ]


@given(old=runs(), new=runs(), held=st.booleans())
def test_changes_are_in_order_and_every_bottle_is_told_of_once_a_code(
    old: list[Entry], new: list[Entry], held: bool
) -> None:
    found = list(compare(iter(old), iter(new), signers=signers(old), held=held))
    formulae = [change.bottle.formula for change in found]
    assert formulae == sorted(formulae)
    told = [(change.code, change.bottle.name) for change in found]
    assert len(told) == len(set(told))
    before, after = ({entry.name for entry in side} for side in (old, new))
    assert {name for code, name in told if code == "added"} == after - before
    assert {name for code, name in told if code == "removed"} == before - after
    order = list(CHANGES)
    for one, other in pairwise(found):
        if one.bottle is other.bottle:
            assert order.index(one.code) < order.index(other.code)
    for change in found:
        new_name = change.bottle.name not in before
        assert (change.before is None) == (change.code in OF_NEW or (new_name and change.code in OF_EITHER))
        assert (change.after is None) == (change.code == "removed")


OF_NEW = {"added", "regression", "notarisation-only", "unattested-after-flag-day"}
OF_EITHER = {"provenance-unresolved"}


@given(run=runs(), held=st.booleans())
def test_nothing_changes_from_a_run_to_itself(run: list[Entry], held: bool) -> None:
    assert codes(run, run, held=held) == []


def test_every_alarm_is_documented_with_what_it_means() -> None:
    assert set(ALARMS) == {kind.code for kind in CHANGES.values() if kind.is_alarm}
    for code, kind in CHANGES.items():
        assert kind.code == code
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert kind.means.endswith(".")
        assert "|" not in kind.means


def write_pair(ledger: Ledger, old: Sequence[Entry], new: Sequence[Entry], **run: Any) -> Comparison:
    first, second = record(ledger, old), record(ledger, new, **run)
    flag_day = date(2026, 3, 2)
    return compare_runs((ledger, ledger.run(first)), (ledger, ledger.run(second)), flag_day)


def test_two_runs_are_compared_with_what_they_rest_on(ledger: Ledger) -> None:
    comparison = write_pair(
        ledger, [FOO], [FOO], policy_sha256="0" * 64, roots="1" * 64, tool_version="2.0", store="other"
    )
    assert comparison.changes == ()
    assert comparison.differences == (*("policy", "trusted roots", "version of brew-provenance", "store"),)
    assert write_pair(ledger, [FOO], [FOO], metadata="other", policy="renamed").differences == ()


@pytest.mark.parametrize(
    ("started", "held"),
    [
        ("2026-03-01T23:59:59+00:00", False),
        ("2026-03-02T00:00:00+00:00", True),
        ("2026-03-02T01:00:00+02:00", False),
        ("2026-03-01T23:00:00-02:00", True),
    ],
)
def test_the_flag_day_begins_at_midnight_in_utc(started: str, held: bool, ledger: Ledger) -> None:
    comparison = write_pair(ledger, [], [make_entry(judgement=UNATTESTED)], started=started)
    assert ("unattested-after-flag-day" in [c.code for c in comparison.changes]) == held


def test_without_a_flag_day_no_bottle_is_held_to_one(ledger: Ledger) -> None:
    first, second = record(ledger, []), record(ledger, [make_entry(judgement=UNATTESTED)])
    comparison = compare_runs((ledger, ledger.run(first)), (ledger, ledger.run(second)))
    assert [change.code for change in comparison.changes] == ["added"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"tap": "octo/other"}, "taps: octo/tap, and octo/other"),
        ({"selection": "tag sonoma"}, "parts of the tap: all of it, and tag sonoma"),
        ({"shard": "1/2"}, "shards: all of it, and 1/2"),
    ],
)
def test_runs_of_different_bottles_cannot_be_compared(
    change: dict[str, str], what: str, ledger: Ledger
) -> None:
    with pytest.raises(UsageError, match=what):
        write_pair(ledger, [FOO], [FOO], **change)


@pytest.mark.usefixtures("pools")
def test_two_audits_are_compared_over_their_ledgers(tmp_path: Path) -> None:
    formulae = [make_formula("bar"), make_formula("foo")]
    store = make_store(*formulae)
    newer = make_formula("foo", version="1.1")
    with opened(tmp_path / "old.sqlite") as old, opened(tmp_path / "new.sqlite") as new:
        first, _ = audit(old, formulae, store)
        for bottle in formulae[0].bottles:
            store.bundles[bottle.digest].clear()
        second, _ = audit(new, [formulae[0], newer], store)
        comparison = compare_runs((old, old.run(first)), (new, new.run(second)))
    assert [(change.code, change.bottle.formula) for change in comparison.alarms()] == [
        *[("provenance-lost", "bar"), ("attestation-gone", "bar")] * 2,
        *[("regression", "foo")] * 2,
    ]


def built_from(commit: str, **changes: Any) -> Entry:
    judgement = make_judgement()
    evidence = dict(judgement.evidence or {}) | {"formula_commit": commit}
    return make_entry(judgement=replace(judgement, evidence=evidence), **changes)


@pytest.mark.parametrize(
    ("before", "after", "alarm"),
    [
        (None, None, False),
        (None, True, False),
        (None, False, True),
        (True, False, True),
        # An alarm is what is new.
        (False, False, False),
        (False, True, False),
        (True, None, False),
    ],
)
def test_a_formula_commit_to_which_the_branch_does_not_lead_any_more_is_an_alarm(
    before: bool | None, after: bool | None, alarm: bool, ledger: Ledger
) -> None:
    commit = "c" * 40
    entries = [built_from(commit), built_from("d" * 40, tag="ventura", place=1), make_entry("other")]
    runs_ = []
    for reachable in (before, after):
        number = record(ledger, entries)
        if reachable is not None:
            with ledger.transaction():
                ledger.record_commits(number, {commit: reachable})
        runs_.append(ledger.run(number))
    changes = compare_runs((ledger, runs_[0]), (ledger, runs_[1])).changes
    found_codes = [(change.code, change.bottle.tag, change.after) for change in changes]
    assert found_codes == ([("formula-commit-unreachable", "sonoma", commit)] if alarm else [])


def test_thousands_of_bottles_of_one_formula_are_compared_in_no_time() -> None:
    # A formula's history: every comparison with all others would be 36 million.
    history = [make_entry(version=f"1.{number}", place=number) for number in range(6_000)]
    assert codes(history, history) == []


# How it is printed


def comparison_of(ledger: Ledger) -> Comparison:
    old = [make_entry("bar"), FOO, make_entry("zed")]
    new = [make_entry("bar", judgement=UNATTESTED), make_entry(version="1.1"), make_entry("zed")]
    return write_pair(ledger, old, new, policy_sha256="0" * 64)


def test_text_names_the_bottles_of_alarms_and_counts_the_others(ledger: Ledger) -> None:
    text = "".join(FORMATS["text"](comparison_of(ledger), ALARMS))
    for line in (
        "octo/tap: from 2026-03-02T00:00:00+00:00 to 2026-03-02T00:00:00+00:00\n",
        "  the policy differs, and verdicts may for that reason\n",
        "\nALARM provenance-lost: 1\n    The same bottle was verified",
        "      bar--1.0.sonoma.bottle.tar.gz: verified (build-provenance) -> unattested\n",
        "\nadded: 1\n    The older run has no bottle of this file name.\n",
        "\n2 alarms.\n",
    ):
        assert line in text
    assert "foo--1.1" not in text


def test_alarms_that_were_not_asked_for_are_counted_as_such(ledger: Ledger) -> None:
    comparison = comparison_of(ledger)
    for name in ("text", "markdown"):
        assert "2 alarms, 1 of a kind that was not asked for." in "".join(
            FORMATS[name](comparison, ["provenance-lost"])
        )


@pytest.mark.parametrize("name", FORMATS)
def test_no_change_is_said_to_be_none(name: str, ledger: Ledger) -> None:
    text = "".join(FORMATS[name](write_pair(ledger, [FOO], [FOO]), ALARMS))
    assert ('"changes": [\n]' if name == "json" else "othing changed") in text
    assert "0 alarms." in text or name == "json"


@pytest.mark.parametrize("name", ["text", "markdown"])
def test_of_many_alarms_some_are_named_and_the_others_counted(
    name: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "SHOWN", 5)
    names, rejected = [f"f{number}" for number in range(9)], replace(REJECTED, bundles=None)
    comparison = write_pair(
        ledger,
        [make_entry(n) for n in names],
        [make_entry(n, judgement=rejected) for n in names],
    )
    text = "".join(FORMATS[name](comparison, ALARMS))
    assert text.count(".bottle.tar.gz") == 5
    assert "and 4 more\n" in text


def test_json_has_the_published_schema(ledger: Ledger) -> None:
    schema = json.loads((SCHEMAS / "audit-diff-v1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["alarm"]["enum"] == list(ALARMS)
    assert schema["$defs"]["code"]["enum"] == list(CHANGES)
    comparison = comparison_of(ledger)
    document = json.loads("".join(FORMATS["json"](comparison, ["regression", "provenance-lost"])))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert document["failOn"] == ["provenance-lost", "regression"]
    assert document["flagDay"] == "2026-03-02"
    assert document["summary"] == {
        "provenance-lost": 1,
        "attestation-gone": 1,
        "outcome-changed": 1,
        "added": 1,
        "removed": 1,
    }
    assert [(change["code"], change["alarm"], change["fileName"]) for change in document["changes"]] == [
        (change.code, change.kind.is_alarm, change.bottle.file_name) for change in comparison.changes
    ]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"failOn": ["added"]}, schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "hostile", ["a|b", "`x`", "<b>", "\x1b[2J", "a\nb", "\u202e", "@octocat", "[a](b)", ""]
)
def test_what_others_wrote_is_shown_as_what_it_is(hostile: str, name: str, ledger: Ledger) -> None:
    old = make_entry(file_name=hostile, judgement=signed(signer=hostile))
    new = make_entry(file_name=hostile, judgement=signed(signer=f"{hostile}2", runner=hostile))
    run = make_run(tap=hostile, selection=hostile, store=hostile)
    found = tuple(compare([old], [new], signers=signers([old])))
    assert len(found) == 2
    text = "".join(
        FORMATS[name](Comparison(run, run, None, (*found, Change("removed", old, hostile, None))), ALARMS)
    )
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    if name == "markdown":
        tokens = MarkdownIt("commonmark").enable("table").parse(text)
        inline = {child.type for token in tokens for child in token.children or ()}
        assert inline <= {"text", "code_inline", "strong_open", "strong_close"}
        assert sum(token.type == "td_open" for token in tokens) == 3 * 3 + 2 * 4
