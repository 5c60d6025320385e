"""From prepared bottles to attestations in the store, with stand-ins for everything that is not here."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.attest.releases import (
    BAR,
    FOO,
    PUBLISHER,
    RECORD,
    SERVER,
    Release,
    Signing,
    judging,
    sigstore,
)

from brew_provenance.appraise import Candidate
from brew_provenance.attest import attester, planning
from brew_provenance.attest.attester import READ_BACK_SECONDS, SETTLE_SECONDS
from brew_provenance.attest.bundles import BundleFolder
from brew_provenance.attest.planning import plan
from brew_provenance.attest.preparing import FoundError, Item, NotAttestedError
from brew_provenance.attest.results import Report, State
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.errors import BuildSideError, NothingMatchedError
from brew_provenance.findings import Finding
from brew_provenance.policy import policy_for_repository
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.stores import Answer

ALL = ("foo", "bar", "baz", "qux", "quux")
FAILURE = BuildSideError("somebody", "does not do it", "ask again")


def names(report: Report) -> list[str]:
    return [one.name for one in report.attested]


def file_of(name: str) -> str:
    return f"{name}--1.1.x86_64_linux.bottle.tar.gz"


def digest_of(release: Release, name: str = FOO) -> Digest:
    record = json.loads((release.folder / name.replace(".tar.gz", ".build-record")).read_bytes())
    return Digest("sha256", record["bottle"]["sha256"])


def test_bottles_are_signed_checked_kept_published_and_read_back(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    report = release.attest()
    assert report.failure is None
    assert names(report) == [BAR, FOO]
    assert release.store.subjects() == [BAR, FOO]
    assert release.kept() == [f"{BAR}.sigstore.json", f"{FOO}.sigstore.json"]
    assert (report.newly_signed, report.waiting, report.unsigned) == (2, [], [])
    one = report.attested[1]
    assert (one.state, one.newly_signed, one.attestation_id) == (State.PUBLISHED, True, "2")
    assert one.signer == f"{SERVER}/{PUBLISHER.workflow_ref}"
    assert one.run == f"{SERVER}/octo/homebrew-tap/actions/runs/9876543210/attempts/1"
    assert one.builder == f"{SERVER}/octo/homebrew-tap/.github/workflows/tests.yml@refs/heads/main"
    assert (one.runner, one.formula_path) == ("GitHub Actions 3", "Formula/f/foo.rb")
    assert (one.formula_commit, one.not_proved) == (release.build.commit, ())


def test_each_bundle_is_on_disk_before_it_is_published(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    seen: list[list[str]] = []
    release.publishing.before = lambda: seen.append(release.kept())
    release.attest()
    assert all(f"{name}.sigstore.json" in kept for name, kept in zip((BAR, FOO), seen, strict=True))


def test_a_second_run_needs_no_identity(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.attest()

    def refuse() -> Signing:
        raise AssertionError

    with BundleFolder(release.bundles) as folder:
        report = release.attester(folder).attest(plan(release.prepare().items), refuse, SERVER)
    assert [one.state for one in report.attested] == [State.THERE]
    assert (release.publishing.requests, release.pauses) == (1, [0.0])


def test_without_a_publisher_bundles_stay_on_disk(tmp_path: Path) -> None:
    release = Release(tmp_path)
    report = release.attest(publish=False)
    assert [one.state for one in report.attested] == [State.SIGNED]
    assert release.store.subjects() == []
    assert [one.state for one in release.resume().attested] == [State.PUBLISHED]
    assert release.signing.signed == [FOO]


def test_a_bottle_is_not_signed_twice_whatever_the_order_of_names(tmp_path: Path) -> None:
    release = Release(tmp_path, *ALL)
    assert names(release.attest()) == sorted(map(file_of, ALL))
    assert sorted(release.signing.signed) == sorted(map(file_of, ALL))


def test_many_are_made_a_batch_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attester, "BATCH", 2)
    release = Release(tmp_path, *ALL)
    signed_before: list[int] = []
    release.publishing.before = lambda: signed_before.append(len(release.signing.signed))
    report = release.attest()
    assert report.failure is None
    assert len(report.attested) == 5
    assert signed_before == [2, 2, 4, 4, 5]
    # Look-ups and reading back ask for many at once.
    assert release.store.asked == [2, 2, 1, 2, 2, 1]


def test_progress_is_told(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    told: list[int] = []
    with BundleFolder(release.bundles) as folder:
        made = release.attester(folder)
        made.attest(
            plan(release.prepare(progress=told.append).items), lambda: release.signing, SERVER, told.append
        )
        assert told == [0, 1, 2]
        made.resume(told.append)
    assert told[3:] == [2]


# What goes wrong with signing.


def test_at_a_failure_to_sign_what_is_signed_is_published_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attester, "AT_ONCE", 1)
    release = Release(tmp_path, *ALL)
    release.signing.failures[file_of("foo")] = FAILURE
    report = release.attest()
    assert report.failure is FAILURE
    assert names(report) == [file_of("bar"), file_of("baz")]
    assert report.unsigned == [file_of(name) for name in ("foo", "quux", "qux")]
    assert report.waiting == []
    release.signing.failures.clear()
    assert release.attest().failure is None
    assert sorted(release.signing.signed) == sorted(map(file_of, ALL))
    assert release.store.subjects() == sorted(map(file_of, ALL))


def test_what_is_under_way_at_a_failure_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = Release(tmp_path, "foo", "bar")
    begun, failed = threading.Event(), threading.Event()
    sign = release.signing.sign

    def sign_after(statement: bytes) -> bytes:
        if json.loads(statement)["subject"][0]["name"] == BAR:
            begun.wait(30)
            failed.set()
            raise FAILURE
        begun.set()
        failed.wait(30)
        return sign(statement)

    monkeypatch.setattr(release.signing, "sign", sign_after)
    report = release.attest()
    assert report.failure is FAILURE
    assert names(report) == [FOO]
    assert report.unsigned == [BAR]


def test_an_error_that_nobody_expects_is_not_hidden(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.signing.failures[FOO] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        release.attest()


def test_no_identity_is_a_failure_that_leaves_all_unsigned(tmp_path: Path) -> None:
    release = Release(tmp_path)

    def refuse() -> Signing:
        raise FAILURE

    with BundleFolder(release.bundles) as folder:
        report = release.attester(folder).attest(plan(release.prepare().items), refuse, SERVER)
    assert (report.failure, report.unsigned, report.attested) == (FAILURE, [FOO], [])


def swap_statement(bundle: bytes) -> bytes:
    document = json.loads(bundle)
    document["dsseEnvelope"]["payload"] = "e30="
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda _: b"{", "bundle-unreadable"),
        (lambda _: b"{}", "bundle-media-type-unknown"),
        (swap_statement, "envelope-signature-invalid"),
    ],
)
def test_what_its_own_check_rejects_is_neither_kept_nor_published(
    tmp_path: Path, alter: Callable[[bytes], bytes], said: str
) -> None:
    release = Release(tmp_path)
    release.signing.alter = alter
    report = release.attest()
    assert isinstance(report.failure, FoundError)
    assert "its own check rejects" in report.failure.cause
    if said != "envelope-signature-invalid":
        assert [finding.code for finding in report.failure.findings] == [said]
    assert release.kept() == []
    assert release.store.subjects() == []
    assert report.unsigned == [FOO]


def test_a_signature_by_another_job_than_the_token_promised_is_not_published(tmp_path: Path) -> None:
    release = Release(tmp_path)
    other = replace(PUBLISHER, ref="refs/heads/other")
    release.signing.alter = lambda bundle: _resigned(bundle, other)
    report = release.attest()
    assert isinstance(report.failure, FoundError)
    assert "signer-ref-not-allowed" in {finding.code for finding in report.failure.findings}
    assert release.store.subjects() == []


def test_a_right_attestation_of_something_else_is_not_published(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    release.attest(publish=False)
    kept = (release.bundles / f"{BAR}.sigstore.json").read_bytes()
    (release.bundles / f"{FOO}.sigstore.json").unlink()
    release.signing.alter = lambda _: kept
    report = release.attest()
    assert isinstance(report.failure, FoundError)
    assert report.failure.thing == FOO
    assert FOO not in release.store.subjects()


def _resigned(bundle: bytes, job: ActionsJob) -> bytes:
    payload = base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])
    return encode_json(sigstore().attest(payload, job, at=datetime.now(UTC)))


def test_what_the_policy_would_reject_is_never_signed(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    policy = policy_for_repository("octo/other")
    release.judging = judging(policy=policy)
    with pytest.raises(NotAttestedError) as raised:
        release.attest()
    assert raised.value.names == (BAR, FOO)
    assert "`check` would reject its attestation" in raised.value.failures[0].cause
    assert "nothing was signed" in raised.value.failures[0].next_step
    assert release.signing.signed == []


# What goes wrong with publishing.


def test_at_a_failure_to_publish_the_rest_waits_on_disk(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar", "baz")
    release.publishing.failures[2] = FAILURE
    report = release.attest()
    assert report.failure is FAILURE
    assert names(report) == [BAR]
    assert report.waiting == [file_of("baz"), FOO]
    assert (report.unsigned, report.newly_signed) == ([], 3)
    resumed = release.resume()
    assert [(one.name, one.state) for one in resumed.attested] == [
        (BAR, State.THERE),
        (file_of("baz"), State.PUBLISHED),
        (FOO, State.PUBLISHED),
    ]
    assert release.store.subjects() == [BAR, file_of("baz"), FOO]
    assert len(release.signing.signed) == 3


def test_a_publisher_that_finds_it_there_after_all_has_no_number(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.publishing.unclear = True
    [one] = release.attest().attested
    assert (one.state, one.attestation_id, one.newly_signed) == (State.THERE, None, True)


def test_a_store_that_shows_late_is_waited_for(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.store.lag = 3
    report = release.attest()
    assert report.failure is None
    assert release.pauses == list(READ_BACK_SECONDS[: len(release.pauses)])
    assert len(release.pauses) == 4


def test_a_store_that_shows_at_the_last_look_is_no_failure(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.store.lag = len(READ_BACK_SECONDS) - 1
    report = release.attest()
    assert (report.failure, names(report)) == (None, [FOO])
    assert release.pauses == list(READ_BACK_SECONDS)


def test_a_publisher_that_asks_is_told_when_it_is_not_there(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.store.lag = 1
    release.publishing.unclear = True
    with pytest.raises(AssertionError):
        release.attest()
    release.store.answers[digest_of(release)] = Answer((Candidate("7", Finding("link-expired", "410")),))
    failure = release.resume().failure
    assert failure is not None
    assert "link-expired" in failure.cause


def test_a_store_that_never_shows_what_it_took_is_told(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    release.store.lag = 1000
    report = release.attest()
    assert report.failure is not None
    assert "does not show it, nor 1 more" in report.failure.cause
    assert "--resume" in report.failure.next_step
    assert report.waiting == [BAR, FOO]
    assert release.pauses == list(READ_BACK_SECONDS)


def test_what_a_killed_run_had_published_is_looked_for_again_before_it_is_published(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.attest()
    # The store shows nothing of it yet when the next run asks first.
    release.store.looks = 0
    release.store.held = [(0, release.store.held[0][1])]
    release.store.lag = 1
    release.pauses.clear()
    report = release.attest()
    assert [one.state for one in report.attested] == [State.THERE]
    assert release.publishing.requests == 1
    assert release.pauses == [SETTLE_SECONDS]


# What the store answers.


def test_a_store_that_cannot_answer_keeps_all_from_being_signed(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.store.answers[digest_of(release)] = Answer(
        findings=(Finding("token-refused", "went on without it"), Finding("server-failed", "503"))
    )
    with pytest.raises(BuildSideError, match="server-failed"):
        release.attest()
    assert release.signing.signed == []


def test_a_note_of_the_store_is_no_fault(tmp_path: Path) -> None:
    release = Release(tmp_path)
    answer = Answer(findings=(Finding("token-refused", "went on without it"),))
    release.store.answers[digest_of(release)] = answer
    release.publishing.before = release.store.answers.clear
    assert release.attest().failure is None


def test_an_attestation_that_cannot_be_had_may_be_the_one(tmp_path: Path) -> None:
    release = Release(tmp_path)
    unread = Candidate("attestation 7", Finding("link-expired", "410"))
    release.store.answers[digest_of(release)] = Answer((unread,))
    with pytest.raises(BuildSideError, match="attestation 7 cannot be read"):
        release.attest()
    assert release.signing.signed == []
    # Nor is it published a second time.
    del release.store.answers[digest_of(release)]
    release.attest(publish=False)
    release.store.answers[digest_of(release)] = Answer((unread,))
    failure = release.resume().failure
    assert failure is not None
    assert "link-expired" in failure.cause
    assert release.publishing.requests == 0


def test_others_attestations_do_not_matter(tmp_path: Path) -> None:
    release = Release(tmp_path)
    strange = Candidate("attestation 7", Finding("bundle-malformed", "no bundle"))
    release.store.answers[digest_of(release)] = Answer((strange,))
    release.publishing.before = release.store.answers.clear
    assert release.attest().failure is None


def test_an_attestation_of_another_run_is_none_of_this_one(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.attest()
    release.actions.run_values["id"] = "78"
    release.actions.job_values |= {"run_id": "78", "id": "79"}
    release.edit(lambda record: record["run"].update(run_id="78", job_id="79"))
    release.actions.known = ("78", "1")
    failed = release.attest()
    assert failed.failure is not None
    assert "publish it with `attest --resume`" in failed.failure.next_step
    (release.bundles / f"{FOO}.sigstore.json").unlink()
    assert [one.state for one in release.attest().attested] == [State.PUBLISHED]
    assert release.store.subjects() == [FOO, FOO]


# What is kept.


def test_a_kept_bundle_that_was_tampered_with_is_not_written_over(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.attest(publish=False)
    path = release.bundles / f"{FOO}.sigstore.json"
    path.write_bytes(swap_statement(path.read_bytes()))
    before = path.read_bytes()
    report = release.attest()
    assert report.failure is not None
    assert str(path) == report.failure.thing
    assert path.read_bytes() == before
    with pytest.raises(FoundError):
        release.resume()


def test_resuming_without_bundles_says_so(tmp_path: Path) -> None:
    release = Release(tmp_path)
    with pytest.raises(NothingMatchedError):
        release.resume()


def test_resuming_takes_names_from_what_is_signed_and_not_from_files(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.attest(publish=False)
    (release.bundles / f"{FOO}.sigstore.json").rename(release.bundles / "other.sigstore.json")
    assert names(release.resume()) == [FOO]


@pytest.mark.parametrize(
    "subject", [{"name": "a.txt", "digest": {"sha256": "a" * 64}}, {"name": FOO, "digest": {}}]
)
def test_resuming_publishes_nothing_that_is_not_about_bottles(tmp_path: Path, subject: Any) -> None:
    release = Release(tmp_path)
    release.attest(publish=False)
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": PUBLISHER.provenance(),
    }
    (release.bundles / "x.sigstore.json").write_bytes(Signing().sign(json.dumps(statement).encode()))
    with pytest.raises(BuildSideError, match="not about a bottle"):
        release.resume()


# Without records.


def test_without_records_one_attestation_is_for_all(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    report = release.attest(with_records=False)
    assert names(report) == [BAR, FOO]
    assert len(release.store.held) == 1
    assert {one.not_proved for one in report.attested} == {("builder-not-bound", "formula-not-bound")}
    assert {one.run for one in report.attested} == {PUBLISHER.run_uri}
    assert {one.runner for one in report.attested} == {None}
    assert release.attest(with_records=False).newly_signed == 0


def test_a_bottle_more_is_attested_with_all_of_them(tmp_path: Path) -> None:
    release = Release(tmp_path, "foo", "bar")
    release.attest(with_records=False)
    release.bottle("baz")
    assert release.attest(with_records=False).newly_signed == 3


def item(name: str, digest: str, *, record: Any = None) -> Item:
    return Item(BottleFileName.parse(name), Digest("sha256", digest * 64), record=record)


def test_statements_have_no_digest_twice() -> None:
    first, second = item(FOO, "a"), item(FOO.replace("x86_64", "arm64"), "a")
    works = plan([first, second, item(BAR, "b")])
    assert [[one.name for one in work.items] for work in works] == [[FOO, BAR], [second.name]]
    assert works[1].bundle == f"{second.name}.sigstore.json"
    assert works[0].bundle.startswith("bottles-")


def test_statements_have_no_more_subjects_than_github_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_SUBJECTS", 2)
    works = plan([item(FOO, "a"), item(BAR, "b"), item(file_of("baz"), "c")])
    assert [len(work.items) for work in works] == [2, 1]


def test_an_all_bottle_that_was_merged_names_those_that_it_was_made_of(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.bottle(tag="arm64_linux")
    release.record(RUNNER_ARCH="ARM64")
    arm = FOO.replace("x86_64", "arm64")
    (release.folder / FOO).rename(release.folder / "foo--1.1.all.bottle.tar.gz")
    for path in [release.folder / arm, *release.folder.glob("*.json")]:
        path.unlink()
    report = release.attest()
    assert report.failure is None
    assert names(report) == ["foo--1.1.all.bottle.tar.gz"]
    statement = json.loads(release.store.held[0][1].payload)
    parameters = statement["predicate"]["buildDefinition"]
    assert parameters["externalParameters"]["tag"] == "all"
    assert [one["name"] for one in parameters["internalParameters"]["identicalBottles"]] == [arm, FOO]


def test_one_of_the_bottles_that_an_all_bottle_was_made_of_is_no_stand_in(tmp_path: Path) -> None:
    release = Release(tmp_path)
    release.attest()
    (release.folder / FOO).rename(release.folder / "foo--1.1.all.bottle.tar.gz")
    (release.folder / "foo--1.1.x86_64_linux.bottle.json").unlink()
    assert release.attest().newly_signed == 1
    assert release.store.subjects() == ["foo--1.1.all.bottle.tar.gz", FOO]
    assert RECORD in {path.name for path in release.folder.iterdir()}
