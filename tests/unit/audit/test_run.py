"""An audit: what is looked up, verified and judged, how often, and what is recorded of it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.audit.audits import (
    JOB,
    POLICY,
    REPOSITORY,
    ROOT,
    SIGSTORE,
    TAP,
    CountingStore,
    InProcess,
    attest,
    attest_formula,
    audit,
    found,
    make_formula,
    make_run,
    make_store,
    make_unnamed,
    opened,
)

import brew_provenance
from brew_provenance.appraise import appraise
from brew_provenance.audit import run as run_module
from brew_provenance.audit import workers
from brew_provenance.audit.database import LedgerError
from brew_provenance.audit.ledger import MAX_INTEGER, Entry, Ledger
from brew_provenance.audit.run import MAX_NOTES, MAX_TEXT, Auditor, Progress, bundle_name, plan, summarise
from brew_provenance.audit.shard import MAX_SHARDS, Shard
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.errors import TrustError
from brew_provenance.findings import REASONS, Finding, Severity
from brew_provenance.formula import Formula
from brew_provenance.policy import Policy, PolicyOrigin, Signer
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Basis, Outcome
from brew_provenance.verify import Verifier

pytestmark = pytest.mark.usefixtures("pools")

FORMULAE = [make_formula(name) for name in ("bar", "baz", "foo", "qux")]
FAULT = Finding("server-failed", "the store answered 503")
OTHER_JOB = replace(JOB, workflow_path=".github/workflows/other.yml")
STRANGER = replace(JOB, repository="mallory/homebrew-tap")


def sent(pools: Sequence[InProcess]) -> list[str]:
    """Return the names of all bundles that were handed to worker processes."""
    return [bundle.name for pool in pools for (batch,) in pool.batches for bundle in batch]


def entry_of(ledger: Ledger, run: int, formula: str, place: int = 0) -> Entry:
    return next(e for e in ledger.entries(run) if (e.formula, e.place) == (formula, place))


# The plan


def test_a_plan_has_every_bottle_as_it_is_written() -> None:
    subjects = list(plan([make_formula("b", ("z", "a")), make_unnamed("a")]))
    assert [(s.number, s.formula.name, s.place, s.bottle.tag) for s in subjects] == [
        (0, "b", 0, "z"),
        (1, "b", 1, "a"),
        (2, "a", 0, "arm64_sonoma"),
        (3, "a", 1, "x86_64_linux"),
    ]


@pytest.mark.parametrize(
    ("tags", "planned"),
    [
        ([], ["sonoma", "arm64_sonoma", "x86_64_linux", "all", "linux"]),
        (["sonoma"], ["sonoma"]),
        (["x86_64_sonoma"], ["sonoma"]),
        (["intel_sonoma", "aarch64_sonoma"], ["sonoma", "arm64_sonoma"]),
        (["x86_64_linux"], ["x86_64_linux", "linux"]),
        (["all"], ["all"]),
        (["tahoe"], []),
    ],
)
def test_a_plan_has_the_bottles_for_some_tags_however_they_are_spelt(
    tags: Sequence[str], planned: Sequence[str]
) -> None:
    written = ("sonoma", "arm64_sonoma", "x86_64_linux", "all", "linux")
    subjects = list(plan([make_formula("foo", written)], tags))
    assert [subject.bottle.tag for subject in subjects] == planned
    assert [subject.place for subject in subjects] == [written.index(tag) for tag in planned]


def test_what_is_no_tag_is_for_no_tag_and_part_of_the_whole() -> None:
    formula = make_formula("foo", ("arm64_all", "sonoma"))
    assert [subject.place for subject in plan([formula], ["sonoma"])] == [1]
    assert [subject.place for subject in plan([formula])] == [0, 1]


@given(names=st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=30), of=st.integers(1, 9))
def test_shards_are_the_whole_without_overlap_and_part_no_formula(names: list[str], of: int) -> None:
    def key(shard: Shard | None) -> list[tuple[str, int]]:
        unattested = [Formula(TAP, name, "1", make_formula("x").bottles) for name in names]
        return [(subject.formula.name, subject.place) for subject in plan(unattested, (), shard)]

    parts = [key(Shard(number, of)) for number in range(1, of + 1)]
    assert Counter(item for part in parts for item in part) == Counter(key(None))
    for part in parts:
        assert all(count == 2 for count in Counter(name for name, _ in part).values())


def test_which_shard_a_formula_belongs_to_never_changes() -> None:
    names = ("wget", "openssl@3", "gcc", "python@3.14", "curl", "cmake")
    of_four = [[n for n in range(1, 5) if Shard(n, 4).holds(name)] for name in names]
    assert of_four == [[3], [4], [3], [3], [1], [2]]


@pytest.mark.parametrize("text", ["1/1", "2/4", "999/1000"])
def test_a_shard_is_written_as_it_is_read(text: str) -> None:
    assert str(Shard.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "0/4",
        "5/4",
        "1/0",
        "-1/4",
        "1/4/",
        " 1/4",
        "1/4\n",
        "01/4",
        "1.0/4",
        "\uff11/4",
        "2/1001",
        "1/9999999",
    ],
)
def test_anything_else_is_no_shard(text: str) -> None:
    with pytest.raises(ValueError, match="is"):
        Shard.parse(text)
    assert MAX_SHARDS == 1_000


@given(sizes=st.lists(st.integers(1, 9), max_size=20), size=st.integers(1, 12))
def test_no_chunk_parts_the_bottles_of_a_formula(sizes: list[int], size: int) -> None:
    formulae = [make_formula(f"f{n}", [f"t{i}" for i in range(count)]) for n, count in enumerate(sizes)]
    subjects = list(plan(formulae))
    chunks = list(run_module._chunks(subjects, size))
    assert [subject for chunk in chunks for subject in chunk] == subjects
    owners = [{subject.formula.name for subject in chunk} for chunk in chunks]
    assert sum(map(len, owners)) == len(sizes)
    # No longer than it was meant but for a formula that is, and none that had room for the next formula.
    for number, chunk in enumerate(chunks):
        assert len(chunk) <= size or len(owners[number]) == 1
        if following := chunks[number + 1 :]:
            name = following[0][0].formula.name
            assert len(chunk) + sum(subject.formula.name == name for subject in following[0]) > size


# Judging


def test_every_bottle_gets_the_outcome_that_its_evidence_has(ledger: Ledger) -> None:
    verified, unattested, rejected, unresolved, unnamed = (
        *(make_formula(name) for name in ("a", "b", "c", "d")),
        make_unnamed("e"),
    )
    store = make_store(verified)
    store.put(attest_formula(verified), *rejected.bottles)
    store.faults |= dict.fromkeys((bottle.digest for bottle in unresolved.bottles), FAULT)
    run, done = audit(ledger, [verified, unattested, rejected, unresolved, unnamed], store)
    outcomes = [Outcome.VERIFIED, Outcome.UNATTESTED, Outcome.REJECTED, *[Outcome.UNRESOLVED] * 2]
    assert found(ledger, run) == [
        (name, place, tag, outcome)
        for name, outcome in zip("abcde", outcomes, strict=True)
        for place, tag in enumerate(("arm64_sonoma", "x86_64_linux"))
    ]
    assert (
        done.outcomes
        == ledger.counts(run)
        == {
            Outcome.VERIFIED: 2,
            Outcome.UNATTESTED: 2,
            Outcome.REJECTED: 2,
            Outcome.UNRESOLVED: 4,
        }
    )
    assert (done.bottles, done.judged, done.bundles) == (10, 10, 2)


def test_what_a_verdict_rests_on_is_recorded(ledger: Ledger) -> None:
    formula = make_formula("foo")
    bundle = attest_formula(formula)
    store = CountingStore()
    store.put(bundle, *formula.bottles)
    run, _ = audit(ledger, [formula], store)
    entry = entry_of(ledger, run, "foo", 1)
    bottle = formula.bottles[1]
    assert (
        entry.version,
        entry.rebuild,
        entry.tag,
        entry.file_name,
        entry.sha256,
        entry.path,
        entry.line,
    ) == (
        *("1.0", 0, "x86_64_linux", "foo--1.0.x86_64_linux.bottle.tar.gz", bottle.digest.value),
        *("Formula/foo.rb", 5),
    )
    read = read_bundle(bundle)
    assert isinstance(read, Bundle)
    assert read.logged is not None
    evidence = dict(entry.judgement.evidence or {})
    assert entry.judgement.gives == "build-provenance"
    assert entry.judgement.codes == ("builder-not-bound", "formula-not-bound")
    assert entry.judgement.bundles == (bundle_name(read),)
    assert evidence == {
        "bundle": bundle_name(read),
        "signer": f"https://github.com/{REPOSITORY}/.github/workflows/publish.yml@refs/heads/main",
        "source": f"https://github.com/{REPOSITORY}",
        "ref": "refs/heads/main",
        "commit": JOB.sha,
        "run": JOB.run_uri,
        "runner": "github-hosted",
        "trigger": "workflow_dispatch",
        "signed": SIGNED_AT.isoformat(),
        "log": read.logged.entry.log_id,
        "logIndex": read.logged.entry.index,
        "subject": "foo--1.0.x86_64_linux.bottle.tar.gz",
    }


def candidates_of(formula: Formula) -> dict[str, bytes | Finding]:
    """Return what a store can have in its rows for the bottles of a formula, by what is in it."""
    bottles = formula.bottles
    statement = SIGSTORE.sign_message(b"a bottle", JOB, at=SIGNED_AT)
    bad = json.loads(attest_formula(formula))
    bad["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA"
    return {
        "good": attest_formula(formula),
        "good, other workflow": attest(*bottles, job=OTHER_JOB),
        "of a stranger": attest(*bottles, job=STRANGER),
        "of other bottles": attest(*make_formula("other").bottles),
        "of another type": attest(*bottles, predicateType="https://spdx.dev/Document/v2.3"),
        "of a message": encode_json(statement),
        "with a bad signature": encode_json(bad),
        "malformed": b"{}",
        "not fetched": Finding("link-expired", "github.com answered 403"),
        "of another digest": Finding("store-row-other-digest", "its statement does not name it"),
    }


PLAIN = make_formula("foo", ("sonoma",))
ROWS = candidates_of(PLAIN)
VERIFIER = Verifier([ROOT])


@given(
    names=st.lists(st.sampled_from(sorted(ROWS)), max_size=4, unique=True),
    fault=st.none() | st.just(FAULT),
    note=st.booleans(),
)
def test_an_audit_judges_as_a_check_does(
    names: list[str], fault: Finding | None, note: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = CountingStore(notes=(Finding("token-refused", "401"),) if note else ())
    digest = PLAIN.bottles[0].digest
    for name in names:
        row = ROWS[name]
        if isinstance(row, Finding):
            store.unreadable[digest] = row
        else:
            store.put(row, *PLAIN.bottles)
    if fault is not None:
        store.faults[digest] = fault
    path = tmp_path_factory.getbasetemp() / "check.sqlite"
    path.unlink(missing_ok=True)
    with opened(path) as ledger:
        run, done = audit(ledger, [PLAIN], store)
        entry = entry_of(ledger, run, "foo")
        answer = store.resolve([digest])[digest]
        (subject,) = plan([PLAIN])
        expected = appraise(
            subject.question, answer.candidates, VERIFIER, Basis((ROOT,), POLICY, store.name), answer.findings
        )
        assert entry.judgement.outcome is expected.outcome
        assert set(entry.judgement.codes) <= set(REASONS)
        if expected.outcome is not Outcome.VERIFIED:
            best = {finding.code for one in expected.assessments for finding in one.faults}
            assert set(entry.judgement.codes) <= best | {finding.code for finding in answer.findings}
        assert list(done.notes) == (["401"] if note else [])
        # An answer that is not whole is asked for again, and so is one that nobody could give.
        whole = fault is None and not any(isinstance(ROWS[name], Finding) for name in names)
        readable = whole and "malformed" not in names
        assert (entry.judgement.bundles is not None) == readable
        before = len(store.asked)
        audit(ledger, [PLAIN], store)
        assert (len(store.asked) == before) == readable


def test_a_row_that_could_not_be_read_beside_one_that_does_not_apply_is_no_sign_of_none(
    ledger: Ledger,
) -> None:
    formula = make_formula("foo")
    store = CountingStore()
    store.put(attest(*formula.bottles, predicateType="https://spdx.dev/Document/v2.3"), *formula.bottles)
    store.unreadable |= dict.fromkeys((b.digest for b in formula.bottles), Finding("link-expired", "403"))
    run, _ = audit(ledger, [formula], store)
    assert {entry.judgement.outcome for entry in ledger.entries(run)} == {Outcome.UNRESOLVED}


def test_a_bottle_without_a_known_name_is_unresolved_and_nothing_is_verified_for_it(
    ledger: Ledger, pools: list[InProcess]
) -> None:
    formula = make_unnamed("foo")
    store = CountingStore()
    store.put(attest_formula(make_formula("foo")), *formula.unnamed)
    run, done = audit(ledger, [formula], store)
    entry = entry_of(ledger, run, "foo")
    assert (entry.version, entry.file_name, entry.name) == (None, None, "foo (arm64_sonoma)")
    assert entry.judgement.findings == (("package-version-unknown", "line 3: the version is computed"),)
    assert len(entry.judgement.bundles or ()) == 1
    assert (done.bundles, sent(pools)) == (0, [])


def test_a_signature_over_a_message_is_verified_for_each_artifact_and_is_no_attestation(
    ledger: Ledger, pools: list[InProcess]
) -> None:
    formula = make_formula("foo")
    store = CountingStore()
    store.put(encode_json(SIGSTORE.sign_message(b"a bottle", JOB, at=SIGNED_AT)), *formula.bottles)
    _, done = audit(ledger, [formula], store)
    assert done.outcomes[Outcome.REJECTED] == 2
    assert len(sent(pools)) == 2
    assert done.bundles == 2


# Each bundle once


def test_each_distinct_bundle_is_verified_once(ledger: Ledger, pools: list[InProcess]) -> None:
    store = make_store(*FORMULAE)
    run, done = audit(ledger, FORMULAE, store)
    assert {outcome for *_, outcome in found(ledger, run)} == {Outcome.VERIFIED}
    assert done.bundles == len(sent(pools)) == len(set(sent(pools))) == len(FORMULAE)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_bundle_for_formulae_that_are_far_apart_is_verified_once(
    size: int, ledger: Ledger, pools: list[InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CHUNK", size)
    formulae = [make_formula(f"f{number:02}") for number in range(12)]
    ends = [*formulae[0].bottles, *formulae[6].bottles, *formulae[-1].bottles]
    store = make_store(*formulae[1:6], *formulae[7:-1])
    store.put(attest(*ends), *ends)
    run, done = audit(ledger, formulae, store)
    assert {outcome for *_, outcome in found(ledger, run)} == {Outcome.VERIFIED}
    assert done.bundles == len(set(sent(pools))) == len(sent(pools)) == 10


def test_a_bundle_that_speaks_for_bottles_that_are_not_audited_is_forgotten_in_the_end(
    ledger: Ledger, pools: list[InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CHUNK", 2)
    monkeypatch.setattr(workers, "KEPT_SUBJECTS", 5)
    formulae = [make_formula(f"f{number}") for number in range(8)]
    _, done = audit(ledger, formulae, make_store(*formulae), tags=["arm64_sonoma"])
    assert done.outcomes[Outcome.VERIFIED] == 8
    assert len(sent(pools)) == 8


def test_a_second_audit_judges_nothing_and_asks_for_nothing(ledger: Ledger, pools: list[InProcess]) -> None:
    store = make_store(*FORMULAE[:2])
    store.put(attest_formula(FORMULAE[0]), *FORMULAE[2].bottles)
    first, done = audit(ledger, FORMULAE, store)
    assert (done.judged, len(store.asked)) == (8, 8)
    second, again = audit(ledger, FORMULAE, store)
    assert (again.bottles, again.judged, again.bundles, len(store.asked)) == (8, 0, 0, 8)
    assert again.outcomes == done.outcomes
    assert list(ledger.entries(second)) == list(ledger.entries(first))
    assert pools[-1].batches == []


def test_only_what_is_new_is_asked_for_and_judged(ledger: Ledger) -> None:
    newer = make_formula("foo", version="1.1")
    store = make_store(*FORMULAE, newer)
    audit(ledger, FORMULAE, store)
    store.asked.clear()
    run, done = audit(ledger, [*FORMULAE[:2], newer, FORMULAE[3]], store)
    assert store.asked == [bottle.digest for bottle in newer.bottles]
    assert (done.judged, done.bundles) == (2, 1)
    assert len(found(ledger, run)) == 8


def other_policy() -> Policy:
    signer = Signer(name="other", source_repository=REPOSITORY, source_refs=("refs/heads/main",))
    return Policy("other", PolicyOrigin.FILE, (signer,), TAP)


def test_under_another_policy_all_is_judged_again(ledger: Ledger) -> None:
    store = make_store(*FORMULAE)
    audit(ledger, FORMULAE, store)
    strict = Signer(
        name="other",
        source_repository=REPOSITORY,
        source_refs=("refs/heads/main",),
        workflows=(".github/workflows/other.yml",),
    )
    policy = Policy("strict", PolicyOrigin.FILE, (strict,), TAP)
    run, done = audit(ledger, FORMULAE, store, policy=policy)
    assert (done.judged, done.bundles) == (8, 4)
    assert {codes for entry in ledger.entries(run) for codes in entry.judgement.codes} == {
        "signer-workflow-not-allowed"
    }
    _, again = audit(ledger, FORMULAE, store, policy=policy)
    assert again.judged == 0
    _, before = audit(ledger, FORMULAE, store)
    assert (before.judged, before.outcomes[Outcome.VERIFIED]) == (0, 8)


def test_under_a_policy_that_says_the_same_nothing_is_judged_again(ledger: Ledger) -> None:
    store = make_store(*FORMULAE)
    audit(ledger, FORMULAE, store, policy=other_policy())
    _, done = audit(ledger, FORMULAE, store, policy=replace(other_policy(), name="renamed"))
    assert done.judged == 0


def test_under_other_roots_all_is_judged_again(ledger: Ledger) -> None:
    store = make_store(*FORMULAE)
    audit(ledger, FORMULAE, store)
    other = TrustedRoot(
        "a stranger's", encode_json(VirtualSigstore("stranger").trusted_root()), built_in=False
    )
    _, done = audit(ledger, FORMULAE, store, roots=[other])
    assert (done.judged, done.outcomes[Outcome.REJECTED]) == (8, 8)
    _, both = audit(ledger, FORMULAE, store, roots=[other, ROOT])
    assert (both.judged, both.outcomes[Outcome.VERIFIED]) == (8, 8)
    _, turned = audit(ledger, FORMULAE, store, roots=[ROOT, other])
    assert turned.judged == 0


def test_a_new_version_judges_all_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(*FORMULAE)
    audit(ledger, FORMULAE, store)
    monkeypatch.setattr(brew_provenance, "__version__", "99.0")
    _, done = audit(ledger, FORMULAE, store)
    assert done.judged == 8


def test_another_store_is_asked_for_itself(ledger: Ledger) -> None:
    audit(ledger, FORMULAE, make_store(*FORMULAE))
    other = make_store()
    other.name = "another store"
    _, done = audit(ledger, FORMULAE, other)
    assert (done.outcomes[Outcome.UNATTESTED], len(other.asked)) == (8, 8)


@pytest.mark.parametrize(
    "change",
    [
        {"tap": "octo/other"},
        {"formula": "foo2"},
        {"version": "1.0.1"},
        {"rebuild": 1},
        {"tag": "all"},
        {"url": "https://example.org/"},
    ],
    ids=str,
)
def test_a_verdict_is_not_one_on_a_bottle_that_differs_in_anything_that_counts(
    change: dict[str, Any], ledger: Ledger
) -> None:
    formula = make_formula("foo", ("sonoma",))
    store = make_store(formula)
    first, _ = audit(ledger, [formula], store)
    altered = replace(formula, bottles=(replace(formula.bottles[0], **change),))
    second, done = audit(ledger, [altered], store)
    assert done.judged == 1
    assert entry_of(ledger, first, "foo").key != entry_of(ledger, second, "foo").key


def test_where_a_digest_stands_in_the_tap_changes_no_verdict(ledger: Ledger) -> None:
    formula = make_formula("foo", ("sonoma",))
    store = make_store(formula)
    audit(ledger, [formula], store)
    moved = replace(formula, bottles=(replace(formula.bottles[0], path="new.rb", line=99),), path="new.rb")
    run, done = audit(ledger, [moved], store)
    entry = entry_of(ledger, run, "foo")
    assert (done.judged, entry.path, entry.line) == (0, "new.rb", 99)


# The store


def test_a_refreshed_audit_asks_for_all_and_verifies_only_what_is_new(ledger: Ledger) -> None:
    store = make_store(*FORMULAE[:3])
    audit(ledger, FORMULAE, store)
    store.put(attest_formula(FORMULAE[3]), *FORMULAE[3].bottles)
    _, stale = audit(ledger, FORMULAE, store)
    assert (stale.judged, stale.outcomes[Outcome.UNATTESTED]) == (0, 2)
    store.asked.clear()
    store.fresh.clear()
    _, done = audit(ledger, FORMULAE, store, refresh=True)
    assert (len(store.asked), set(store.fresh)) == (8, {True})
    assert (done.judged, done.bundles, done.outcomes[Outcome.VERIFIED]) == (2, 1, 8)
    _, after = audit(ledger, FORMULAE, store)
    assert (after.judged, after.outcomes[Outcome.VERIFIED]) == (0, 8)


def test_a_refreshed_audit_sees_what_the_store_has_not_any_more(ledger: Ledger) -> None:
    store = make_store(*FORMULAE)
    audit(ledger, FORMULAE, store)
    for bottle in FORMULAE[0].bottles:
        del store.bundles[bottle.digest]
    run, done = audit(ledger, FORMULAE, store, refresh=True)
    assert (done.judged, done.outcomes[Outcome.UNATTESTED]) == (2, 2)
    assert entry_of(ledger, run, "bar").judgement.bundles == ()


def test_how_a_store_lays_out_a_bundle_does_not_count(ledger: Ledger) -> None:
    formula = make_formula("foo")
    store = make_store(formula)
    first, _ = audit(ledger, [formula], store)
    for bundles in store.bundles.values():
        document = dict(reversed(json.loads(bundles[0]).items()))
        bundles[0] = json.dumps(document, indent=3, ensure_ascii=False).encode() + b"\n"
    second, done = audit(ledger, [formula], store, refresh=True)
    assert done.judged == 0
    assert list(ledger.entries(first)) == list(ledger.entries(second))


def test_the_order_in_which_a_store_lists_bundles_and_how_often_does_not_count(tmp_path: Path) -> None:
    formula = make_formula("foo")
    rows = [attest_formula(formula), attest(*formula.bottles, job=OTHER_JOB), ROWS["of a stranger"]]
    assert all(isinstance(row, bytes) for row in rows)
    seen = []
    for number, order in enumerate(([0, 1, 2], [2, 1, 0], [1, 0, 2, 0, 1], [1, 1, 1, 2, 0])):
        store = CountingStore()
        for row in order:
            store.put(rows[row], *formula.bottles)  # type: ignore[arg-type]
        with opened(tmp_path / f"{number}.sqlite") as ledger:
            run, done = audit(ledger, [formula], store)
            assert done.bundles == 3
            seen.append(list(ledger.entries(run)))
    assert seen[1:] == seen[:1] * 3


def test_what_the_store_could_not_answer_is_unresolved_and_asked_for_again(ledger: Ledger) -> None:
    store = make_store(*FORMULAE)
    digest = FORMULAE[0].bottles[0].digest
    store.faults[digest] = FAULT
    run, done = audit(ledger, FORMULAE, store)
    assert done.outcomes[Outcome.UNRESOLVED] == 1
    entry = entry_of(ledger, run, "bar")
    assert entry.judgement.findings == (("server-failed", "the store answered 503"),)
    assert entry.judgement.bundles is None
    store.asked.clear()
    _, again = audit(ledger, FORMULAE, store)
    # The same fault is the same verdict; it is asked for, and nothing of it is remembered as an answer.
    assert (store.asked, again.judged, again.outcomes[Outcome.UNRESOLVED]) == ([digest], 0, 1)
    store.asked.clear()
    store.faults.clear()
    _, done = audit(ledger, FORMULAE, store)
    assert (store.asked, done.judged, done.outcomes[Outcome.VERIFIED]) == ([digest], 1, 8)
    _, done = audit(ledger, FORMULAE, store)
    assert store.asked == [digest]


def test_a_fault_does_not_stand_for_another_one(ledger: Ledger) -> None:
    store = CountingStore()
    digest = PLAIN.bottles[0].digest
    seen = []
    for fault in (FAULT, Finding("server-failed", "502"), Finding("rate-limited", "502")):
        store.faults[digest] = fault
        run, done = audit(ledger, [PLAIN], store)
        seen.append(entry_of(ledger, run, "foo").judgement.findings)
        assert done.judged == 1
    assert seen == [
        (("server-failed", FAULT.detail),),
        (("server-failed", "502"),),
        (("rate-limited", "502"),),
    ]


def test_every_fault_of_a_store_leaves_the_question_open(tmp_path: Path) -> None:
    unresolved = [reason.code for reason in REASONS.values() if reason.severity is Severity.UNRESOLVED]
    formulae = [make_formula(f"f{number}", ("sonoma",)) for number in range(len(unresolved))]
    store = make_store(*formulae)
    for formula, code in zip(formulae, unresolved, strict=True):
        store.faults[formula.bottles[0].digest] = Finding(code, "x")
    with opened(tmp_path / "ledger.sqlite") as ledger:
        _, done = audit(ledger, formulae, store)
    assert done.outcomes[Outcome.UNRESOLVED] == len(unresolved) > 20


def test_what_a_store_has_to_say_is_kept_once_and_not_without_end(ledger: Ledger) -> None:
    formulae = [make_formula(f"f{number}", ("sonoma",)) for number in range(MAX_NOTES + 20)]

    class Talkative(CountingStore):
        def _answer(self, digest: Any, read: Any) -> Any:
            self.notes = (Finding("metadata-note", "again"), Finding("metadata-note", str(digest) * 100))
            return super()._answer(digest, read)

    _, done = audit(ledger, formulae, Talkative())
    assert len(done.notes) == MAX_NOTES
    assert next(iter(done.notes)) == "again"
    assert max(map(len, done.notes)) < MAX_TEXT + 100


def test_one_digest_of_two_formulae_is_asked_for_once(ledger: Ledger) -> None:
    foo = make_formula("foo", ("sonoma",))
    bar = replace(foo, name="bar", bottles=(replace(foo.bottles[0], formula="bar"),))
    store = make_store(foo)
    run, done = audit(ledger, [bar, foo], store)
    # In one look-up, which says how many bottles bear it.
    assert (store.asked, len(store.fresh)) == ([foo.bottles[0].digest] * 2, 1)
    assert [outcome for *_, outcome in found(ledger, run)] == [Outcome.REJECTED, Outcome.VERIFIED]
    assert done.bundles == 1


# Bad input


def test_texts_that_others_wrote_are_cut(ledger: Ledger) -> None:
    formula = make_formula("foo", ("sonoma",))
    store = CountingStore()
    store.put(attest(*formula.bottles, predicateType="x" * 100_000), *formula.bottles)
    run, _ = audit(ledger, [formula], store)
    ((code, detail),) = entry_of(ledger, run, "foo").judgement.findings
    assert code == "predicate-type-other"
    assert MAX_TEXT < len(detail) < MAX_TEXT + 100
    assert detail.endswith("characters)")


def test_a_rebuild_that_no_database_can_hold_stops_nothing(ledger: Ledger) -> None:
    formula = make_formula("foo", ("sonoma",))
    formula = replace(formula, bottles=(replace(formula.bottles[0], rebuild=10**40),))
    run, done = audit(ledger, [formula], make_store(formula))
    entry = entry_of(ledger, run, "foo")
    assert (entry.rebuild, done.outcomes[Outcome.VERIFIED]) == (MAX_INTEGER, 1)
    assert entry.file_name == f"foo--1.0.sonoma.bottle.{10**40}.tar.gz"


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b'{"tlogs": 7}'])
def test_roots_that_cannot_be_used_are_said_to_be(raw: bytes, ledger: Ledger) -> None:
    root = TrustedRoot("broken", raw, built_in=False)
    with pytest.raises(TrustError, match="broken"):
        audit(ledger, FORMULAE, make_store(*FORMULAE), roots=[root])
    assert ledger.counts(1) == {}


def test_no_bottles_are_no_work(ledger: Ledger, pools: list[InProcess]) -> None:
    run, done = audit(ledger, [Formula(TAP, "foo", "1.0", ())], CountingStore())
    assert (done.bottles, found(ledger, run), pools[0].batches) == (0, [], [])


def test_a_formula_that_comes_twice_is_an_error_and_not_half_recorded(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="UNIQUE"):
        audit(ledger, [FORMULAE[0], FORMULAE[0]], make_store(*FORMULAE))
    assert ledger.counts(1) == {}


# Interruptions


class Interrupts:
    """Interrupts after so many chunks."""

    def __init__(self, chunks: int) -> None:
        self.left = chunks
        self.seen: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.seen.append(replace(progress, outcomes=dict(progress.outcomes)))
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def undisturbed(path: Path, formulae: Sequence[Formula], store: CountingStore) -> list[Entry]:
    with opened(path) as ledger:
        run, _ = audit(ledger, formulae, store)
        return list(ledger.entries(run))


@pytest.mark.parametrize("chunks", range(1, 9))
def test_an_audit_that_was_interrupted_goes_on_and_ends_like_one_that_was_not(
    chunks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pools: list[InProcess]
) -> None:
    monkeypatch.setattr(run_module, "CHUNK", 2)
    formulae = [make_formula(f"f{number}") for number in range(8)]
    store = make_store(*formulae[:6])
    store.put(attest_formula(formulae[0]), *formulae[6].bottles)
    expected = undisturbed(tmp_path / "whole.sqlite", formulae, store)
    store.asked.clear()
    pools.clear()
    with opened(tmp_path / "ledger.sqlite") as ledger:
        interrupts = Interrupts(chunks)
        with pytest.raises(KeyboardInterrupt):
            audit(ledger, formulae, store, progress=interrupts)
        assert ledger.counts(1) == {k: n for k, n in interrupts.seen[-1].outcomes.items() if n}
        assert [seen.bottles for seen in interrupts.seen] == [2 * n for n in range(1, chunks + 1)]
        assert ledger.run(1).finished is None
        run, done = audit(ledger, formulae, store)
        assert list(ledger.entries(run)) == expected
        assert done.judged == 16 - 2 * chunks
        # What was looked up and not recorded is looked up again, and nothing else.
        assert set(Counter(store.asked).values()) <= {1, 2}
        assert ledger.last_run().id == run


def test_a_disk_that_runs_full_stops_an_audit_which_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CHUNK", 2)
    formulae = [make_formula(f"f{number:03}") for number in range(40)]
    store = make_store(*formulae)
    expected = undisturbed(tmp_path / "whole.sqlite", formulae, store)
    with opened(tmp_path / "ledger.sqlite") as ledger:
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages + 8}")
        with pytest.raises(LedgerError, match="full"):
            audit(ledger, formulae, store)
        kept = sum(ledger.counts(1).values())
        assert 0 < kept < 80
        ledger._connection.execute("PRAGMA max_page_count = 1000000")
        run, done = audit(ledger, formulae, store)
        assert (done.judged, list(ledger.entries(run))) == (80 - kept, expected)


def test_a_store_that_raises_ends_the_audit_and_loses_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CHUNK", 2)
    store = make_store(*FORMULAE)

    def fail(progress: Progress) -> None:
        monkeypatch.setattr(store, "resolve", None)

    with pytest.raises(TypeError):
        audit(ledger, FORMULAE, store, progress=fail)
    assert sum(ledger.counts(1).values()) == 2


def test_two_audits_of_one_ledger_have_a_run_each(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    store = make_store(*FORMULAE)
    with opened(path) as one, opened(path) as other:
        first, second = one.begin(make_run()), other.begin(make_run())
        for ledger, run in ((one, first), (other, second)):
            Auditor(POLICY, [ROOT]).run(plan(FORMULAE), store, ledger, run)
        assert list(one.entries(second)) == list(other.entries(first))
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT count(*) FROM verdicts").fetchone() == (8,)


def test_a_verdict_without_any_attestation_has_neither_evidence_nor_findings() -> None:
    (subject,) = plan([PLAIN])
    verdict = appraise(subject.question, [], VERIFIER, Basis((ROOT,), POLICY, "s"))
    judgement = summarise(verdict, None)
    assert (judgement.outcome, judgement.findings, judgement.evidence, judgement.bundles) == (
        Outcome.UNATTESTED,
        (),
        None,
        None,
    )
