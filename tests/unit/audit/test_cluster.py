"""Audits on a dask cluster: the same reports, and what becomes of them when parts of it go away."""

from __future__ import annotations

import json
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.unit.audit.audits import (
    POLICY,
    ROOT,
    as_json,
    attest_formula,
    audit,
    make_formula,
    make_store,
    mixture,
    opened,
    reports,
)

from brew_provenance.audit import cluster as cluster_module
from brew_provenance.audit import run as run_module
from brew_provenance.audit import workers as workers_module
from brew_provenance.audit.cluster import DaskCluster
from brew_provenance.audit.executors import WorkerDiedError
from brew_provenance.audit.merge import merge
from brew_provenance.audit.run import Progress
from brew_provenance.audit.shard import Shard
from brew_provenance.audit.verifying import Refusal, Rules, SignedBundle, verify_by
from brew_provenance.errors import TrustError, UsageError
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Outcome

TOP = Path(__file__).parents[3]
FORMULAE = [make_formula(f"f{number:02}") for number in range(20)]
RULES = Rules((ROOT,), POLICY)

pytest.importorskip("distributed", reason="an extra")


class Cluster:
    """A scheduler on loopback, and its workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        described = folder / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", described]
        self.scheduler = self._start("dask_scheduler", *options)
        while not described.exists() or not described.read_bytes().endswith(b"}"):
            assert self.scheduler.poll() is None
            time.sleep(0.02)
        self.address = str(json.loads(described.read_bytes())["address"])

    def _start(self, program: str, *options: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *map(str, options)]
        # What it has to say of its own modules, and how it is measured, is no business of these tests.
        mine = ("COVERAGE", "PYTHONDEVMODE", "PYTHONWARN")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
        process = subprocess.Popen(
            command, cwd=TOP, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.processes.append(process)
        return process

    def add_worker(self) -> subprocess.Popen[bytes]:
        options = ["--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", self._folder]
        return self._start("dask_worker", self.address, *options)

    @property
    def executor(self) -> Callable[[Rules], DaskCluster]:
        return partial(DaskCluster, address=self.address)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster that a test may break, for audits of four bottles at a time."""
    monkeypatch.setattr(run_module, "CHUNK", 4)
    with running(tmp_path) as cluster:
        yield cluster


def test_processes_a_cluster_and_shards_give_the_same_reports_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CHUNK", 7)
    monkeypatch.setattr(workers_module, "BATCH", 3)
    formulae, store = mixture()
    seen = []
    with running(tmp_path) as cluster, ExitStack() as stack:
        for _ in range(2):
            cluster.add_worker()
        for name, executor in (("local", None), ("dask", cluster.executor)):
            ledger = stack.enter_context(opened(tmp_path / name))
            run, done = audit(ledger, formulae, store, workers=2, executor=executor)
            assert done.bundles == 16
            seen.append(reports(ledger, run))
        parts = [stack.enter_context(opened(tmp_path / f"part-{number}")) for number in range(1, 5)]
        for number, part in enumerate(parts, 1):
            executor = cluster.executor if number % 2 else None
            audit(part, formulae, store, shard=Shard(number, 4), executor=executor)
        whole = stack.enter_context(opened(tmp_path / "whole"))
        seen.append(reports(whole, merge(whole, parts)))
    assert seen[1:] == [seen[0]] * 2
    assert len(seen[0]) >= 5
    assert '"rejected": 3' in seen[0]["json"]


def test_a_worker_that_dies_changes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    first, _ = cluster.add_worker(), cluster.add_worker()
    store = make_store(*FORMULAE)

    def kill(progress: Progress) -> None:
        first.kill()

    with opened(tmp_path / "ledger") as ledger, opened(tmp_path / "other") as other:
        run, done = audit(ledger, FORMULAE, store, executor=cluster.executor, progress=kill)
        assert (done.judged, done.outcomes[Outcome.VERIFIED]) == (40, 40)
        alone, _ = audit(other, FORMULAE, store)
        assert as_json(ledger, run) == as_json(other, alone)


def break_off(cluster: Cluster, path: Path, breaking: Callable[[], None]) -> WorkerDiedError:
    """Break a cluster after some chunks; what was recorded until then stays, and is gone on from."""
    store = make_store(*FORMULAE)
    cluster.add_worker()

    def break_once(progress: Progress) -> None:
        if progress.bottles == 8:
            breaking()

    with opened(path) as ledger, opened(path.with_name("undisturbed")) as other:
        with pytest.raises(WorkerDiedError) as caught:
            audit(ledger, FORMULAE, store, executor=cluster.executor, progress=break_once)
        kept = sum(ledger.counts(1).values())
        assert 8 <= kept < 40
        run, done = audit(ledger, FORMULAE, store)
        assert (done.bottles, done.judged) == (40, 40 - kept)
        alone, _ = audit(other, FORMULAE, store)
        assert reports(ledger, run) == reports(other, alone)
    assert caught.value.exit_code == 2
    assert "run the same command again" in caught.value.next_step
    return caught.value


def test_a_scheduler_that_goes_away_ends_the_audit_with_what_to_do(cluster: Cluster, tmp_path: Path) -> None:
    error = break_off(cluster, tmp_path / "ledger", cluster.scheduler.kill)
    assert cluster.address in error.thing


def test_a_scheduler_that_hangs_is_not_waited_for_without_end(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nightly: bool
) -> None:
    if not nightly:
        pytest.skip("takes long")

    def hang() -> None:
        cluster.scheduler.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 3)
        monkeypatch.setattr(cluster_module, "_LOOK_SECONDS", 0.1)

    assert break_off(cluster, tmp_path / "ledger", hang).cause == "does not answer any more"


def test_a_cluster_without_workers_is_not_waited_for_without_end(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave() -> None:
        cluster.processes[-1].kill()
        monkeypatch.setattr(cluster_module, "IDLE_SECONDS", 0)
        monkeypatch.setattr(cluster_module, "_LOOK_SECONDS", 0.5)

    error = break_off(cluster, tmp_path / "ledger", leave)
    assert "no workers" in error.cause
    assert "dask worker" in error.next_step


def test_what_goes_wrong_on_another_machine_is_an_error_and_no_verdict(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.add_worker()
    # Something that a worker has, and that cannot do it.
    monkeypatch.setattr(cluster_module, "verify_by", operator.add)
    with opened(tmp_path / "ledger") as ledger:
        with pytest.raises(WorkerDiedError, match="TypeError"):
            audit(ledger, FORMULAE, make_store(*FORMULAE), executor=cluster.executor)
        assert ledger.counts(1) == {}


def test_roots_that_cannot_be_used_are_the_same_error_as_elsewhere(cluster: Cluster, tmp_path: Path) -> None:
    cluster.add_worker()
    broken = TrustedRoot("broken", b"[]", built_in=False)
    with opened(tmp_path / "ledger") as ledger, pytest.raises(TrustError, match="broken"):
        audit(ledger, FORMULAE[:1], make_store(FORMULAE[0]), roots=[broken], executor=cluster.executor)


def test_how_far_it_goes_ahead_depends_on_the_cluster(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DaskCluster(RULES, cluster.address) as executor:
        assert executor.ahead == 1
        for threads, ahead in ((1, 1), (8, 4), (1_000, 16)):
            monkeypatch.setattr(executor._client, "nthreads", lambda n=threads, **_: {"tcp://a": n})
            assert executor.ahead == ahead


# Without a cluster


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:8786",
        "nonsense://x:1",
        "inproc://x:1",
        "tcp://x",
        "tcp://x:y",
        "tcp://u@x:1",
        "tcp://x:1/",
    ],
)
def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
    with pytest.raises(UsageError, match="not the address") as caught:
        DaskCluster(RULES, address)
    assert "tcp://HOST:8786" in caught.value.next_step


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://[::1]:1"])
def test_an_address_without_a_scheduler_is_said_to_be(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 1)
    with pytest.raises(UsageError) as caught:
        DaskCluster(RULES, address)
    assert caught.value.thing == f"--scheduler {address}"
    assert "dask scheduler" in caught.value.next_step


def test_without_dask_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError) as caught:
        DaskCluster(RULES, "tcp://127.0.0.1:1")
    assert caught.value.next_step == "pip install 'brew-provenance[dask]'"


def test_a_worker_of_another_version_refuses() -> None:
    refusal = verify_by(Rules((ROOT,), POLICY, "0.0.0"), [])
    assert isinstance(refusal, Refusal)
    assert type(refusal.error) is UsageError
    assert "0.0.0" in refusal.cause


def test_a_worker_goes_by_the_rules_of_whoever_asks() -> None:
    bundle = SignedBundle("x", attest_formula(FORMULAE[0]))
    broken = Rules((TrustedRoot("broken", b"[]", built_in=False),), POLICY)
    for _ in range(2):
        (assessment,) = verify_by(RULES, [bundle])  # type: ignore[misc]
        assert assessment.evidence is not None
        refusal = verify_by(broken, [bundle])
        assert isinstance(refusal, Refusal)
        assert isinstance(refusal.error, TrustError)
