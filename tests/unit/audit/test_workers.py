"""Worker processes: what they are handed, how they end, and that how many there are changes nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.unit.audit.audits import (
    POLICY,
    ROOT,
    InProcess,
    as_json,
    attest_formula,
    audit,
    make_formula,
    make_store,
    mixture,
    opened,
)

from brew_provenance.audit import executors
from brew_provenance.audit import run as run_module
from brew_provenance.audit import workers as workers_module
from brew_provenance.audit.executors import LocalProcesses, WorkerDiedError
from brew_provenance.audit.ledger import Ledger
from brew_provenance.audit.run import Progress, bundle_name
from brew_provenance.audit.verifying import Rules, SignedBundle
from brew_provenance.audit.workers import Pending, Workers
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.errors import TrustError
from brew_provenance.formula import Formula
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Outcome

TOP = Path(__file__).parents[3]
RULES = Rules((ROOT,), POLICY)


def test_neither_the_number_of_workers_nor_how_the_work_is_parted_changes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formulae, store = mixture()
    seen = []
    for workers, chunk, batch in ((1, 1_000, 50), (2, 7, 3), (4, 1, 1), (1, 10, 2)):
        monkeypatch.setattr(run_module, "CHUNK", chunk)
        monkeypatch.setattr(workers_module, "BATCH", batch)
        with opened(tmp_path / f"{workers}-{chunk}.sqlite") as ledger:
            run, done = audit(ledger, formulae, store, workers=workers)
            assert done.bundles == 16
            seen.append(as_json(ledger, run))
    assert seen[1:] == seen[:1] * 3
    assert seen[0]["summary"] == {"verified": 37, "unattested": 7, "rejected": 3, "unresolved": 5}


def bundle_of(formula: Formula) -> SignedBundle:
    read = read_bundle(attest_formula(formula))
    assert isinstance(read, Bundle)
    return SignedBundle(bundle_name(read), read.raw)


def test_what_comes_back_says_all_that_a_ledger_needs_and_nothing_long() -> None:
    bundle = bundle_of(make_formula("foo"))
    with Workers(LocalProcesses(RULES, 1)) as workers:
        (pending,) = workers.verify([bundle]).values()
        found = pending.get()
    assert (found.source, found.faults) == (bundle.name, ())
    assert found.evidence is not None
    assert found.statement is not None
    assert found.signer == POLICY.signers[0]
    assert len(found.statement.subject) == 2
    assert (found.evidence.payload, found.evidence.certificate, found.statement.predicate) == (b"", b"", {})
    # Nothing is accepted before a bottle is asked about.
    assert not found.accepted


def test_no_process_starts_where_there_is_nothing_to_do() -> None:
    with Workers(LocalProcesses(RULES, 4)) as workers:
        assert workers.verify([]) == {}
        assert multiprocessing.active_children() == []
    assert workers.sent == 0


def test_roots_that_cannot_be_used_are_said_to_be_by_the_process_that_needs_them(ledger: Ledger) -> None:
    root = TrustedRoot("broken", b"[]", built_in=False)
    formula = make_formula("foo")
    with pytest.raises(TrustError, match="broken") as caught:
        audit(ledger, [formula], make_store(formula), roots=[root])
    assert caught.value.next_step
    assert multiprocessing.active_children() == []


# What is known and what is kept


@pytest.fixture
def in_process(pools: list[InProcess]) -> Iterator[Workers]:
    with Workers(LocalProcesses(RULES, 1)) as workers:
        yield workers


def names(pools: Sequence[InProcess]) -> list[str]:
    return [bundle.name for pool in pools for (batch,) in pool.batches for bundle in batch]


def test_a_bundle_is_handed_out_once_while_it_is_known(in_process: Workers, pools: list[InProcess]) -> None:
    foo, bar = bundle_of(make_formula("foo")), bundle_of(make_formula("bar"))
    first = in_process.verify([foo, foo, bar])
    second = in_process.verify([bar, foo])
    assert second == {bar.key: first[bar.key], foo.key: first[foo.key]}
    assert names(pools) == [foo.name, bar.name]
    assert in_process.sent == 2


def test_a_bundle_that_speaks_for_these_bottles_alone_is_forgotten(
    in_process: Workers, pools: list[InProcess]
) -> None:
    formula = make_formula("foo")
    bundle = bundle_of(formula)
    digests = {bottle.digest.value for bottle in formula.bottles}
    in_process.release(in_process.verify([bundle]), digests)
    in_process.release([bundle.key], digests)
    in_process.verify([bundle])
    assert names(pools) == [bundle.name] * 2


def test_a_bundle_that_speaks_for_others_too_is_kept_while_there_is_room(
    in_process: Workers, pools: list[InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "KEPT_SUBJECTS", 4)
    one, two, three = (bundle_of(make_formula(name)) for name in ("one", "two", "three"))
    in_process.release(in_process.verify([one, two]), set())
    # The one that was asked for last goes last.
    in_process.release(in_process.verify([one]), set())
    in_process.release(in_process.verify([three]), set())
    in_process.verify([one, three])
    assert names(pools) == [one.name, two.name, three.name]
    in_process.verify([two])
    assert names(pools)[3:] == [two.name]


def test_what_is_kept_does_not_keep_what_came_with_it(in_process: Workers) -> None:
    one, two = bundle_of(make_formula("one")), bundle_of(make_formula("two"))
    pending = in_process.verify([one, two])
    in_process.release([one.key], set())
    again = in_process.verify([one])[one.key]
    assert isinstance(again, Pending)
    assert again.batch is not pending[one.key].batch
    assert again.get() == pending[one.key].get()


def test_there_are_as_many_processes_as_cores_for_this_one(
    monkeypatch: pytest.MonkeyPatch, pools: list[InProcess]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 5}, raising=False)
    LocalProcesses(RULES)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    LocalProcesses(RULES)
    LocalProcesses(RULES, 7)
    assert [pool.count for pool in pools] == [3, 1, 7]


def test_a_process_that_was_not_begun_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_examiner", None)
    with pytest.raises(RuntimeError):
        executors._verify([])


# Ends that nobody asked for


def test_a_worker_that_dies_ends_the_audit_with_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CHUNK", 4)
    formulae = [make_formula(f"f{number:02}") for number in range(20)]
    store = make_store(*formulae)

    def kill(progress: Progress) -> None:
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()

    with opened(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(WorkerDiedError) as caught:
            audit(ledger, formulae, store, progress=kill, workers=2)
        assert "--workers" in caught.value.next_step
        assert caught.value.exit_code == 2
        assert multiprocessing.active_children() == []
        kept = sum(ledger.counts(1).values())
        assert 4 <= kept < 40
        run, done = audit(ledger, formulae, store)
        assert (done.judged, done.outcomes[Outcome.VERIFIED]) == (40 - kept, 40)
        assert len(list(ledger.entries(run))) == 40


def test_a_worker_that_dies_of_its_work_is_an_error_too(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_verify", _die)
    formula = make_formula("foo")
    with pytest.raises(WorkerDiedError):
        audit(ledger, [formula], make_store(formula), workers=2)


def _die(_batch: object) -> None:
    os._exit(9)
