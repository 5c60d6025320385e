"""What a build job recorded, held against the bottle and against GitHub: every lie has its own reason."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock_time
from typing import Any

import pytest
from tests.unit.attesting import (
    BASE,
    BOTTLE,
    DIGEST,
    HEAD,
    MERGE,
    RECORDED_AT,
    REPOSITORY,
    TAP,
    Json,
    make_job,
    make_record,
    make_run,
    record_document,
)

from brew_provenance.actionsapi import Repository, WorkflowJob, WorkflowRun
from brew_provenance.bottle import BottleFileName, Digest
from brew_provenance.corroborate import UNCORROBORATED, BuildJob, check_record, corroborate

OTHER = "9" * 40


def repository(name: str = REPOSITORY, id_: str = "801", owner: str = "161") -> Repository:
    return Repository(name, id_, owner, is_private=False)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, (*path, key))
    else:
        yield path


def lie(value: Any) -> Any:
    """Return another value of the same form, so that it is no matter of form."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case list():
            return [OTHER, OTHER]
        case None:
            return OTHER
        case str() if value.startswith("2026-"):
            return "2026-03-01T15:00:00Z"
        case str() if len(value) in {40, 64} and set(value) <= set("0123456789abcdef"):
            return value[::-1] if value != value[::-1] else "e" * len(value)
        case str() if value.isdigit():
            return str(int(value) + 1)
        case "github-hosted":
            return "self-hosted"
        case _:
            return f"{value}x"


def changed(field: str, document: Json | None = None) -> Json:
    """Return a record that lies in one field, as well as it can without another lie."""
    document = document or record_document()
    *way, last = field.split(".")
    part = document
    for key in way:
        part = part[key]
    part[last] = [OTHER, HEAD] if field == "tap.parents" else lie(part[last])
    return document


def codes_of(document: Json, run: WorkflowRun | None = None, job: WorkflowJob | None = None) -> set[str]:
    record = make_record(document)
    found = check_record(
        record,
        BOTTLE,
        DIGEST,
        tap=TAP,
        json_bytes_sha256="cd" * 32,
        packed_formula_sha256="5b" * 32,
    )
    if not found:
        judged = corroborate(record, run or make_run(), [job or make_job()])
        found = judged if isinstance(judged, list) else []
    return {finding.code for finding in found}


CAUGHT = {
    "recorded_at": "record-time-mismatch",
    "bottle.file": "record-other-bottle",
    "bottle.sha256": "record-digest-mismatch",
    "bottle.formula": "record-other-bottle",
    "bottle.version": "record-other-bottle",
    "bottle.tag": "record-other-bottle",
    "bottle.rebuild": "record-other-bottle",
    "bottle.json_file": "record-json-mismatch",
    "bottle.json_sha256": "record-json-mismatch",
    "tap.name": "record-other-tap",
    "tap.remote": "record-other-remote",
    "formula.sha256_without_bottle_block": "record-formula-mismatch",
    "run.server": "record-other-remote",
    "run.repository": "record-other-repository",
    "run.repository_id": "record-repository-id-mismatch",
    "run.owner_id": "record-owner-id-mismatch",
    "run.workflow_ref": "record-workflow-mismatch",
    "run.ref": "record-ref-mismatch",
    "run.head_sha": "record-head-mismatch",
    "run.event_name": "record-event-mismatch",
    "run.run_id": "record-other-run",
    "run.run_attempt": "record-other-run",
    "run.job_id": "record-job-unknown",
    "runner.name": "record-runner-mismatch",
}
"""Which reason a lie in each field of a pull request's record is caught for."""

# What format it is, and one that has tests of its own: only one of two lies can be told.
OTHERS = {"record", "runner.environment"}


def test_every_field_of_a_record_is_spoken_for() -> None:
    named = {".".join(path) for path in leaves(record_document())}
    assert named == set(CAUGHT) | OTHERS | UNCORROBORATED
    assert not set(CAUGHT) & UNCORROBORATED


@pytest.mark.parametrize("field", sorted(CAUGHT))
def test_each_lie_is_caught_for_a_reason_of_its_own(field: str) -> None:
    assert CAUGHT[field] in codes_of(changed(field))


@pytest.mark.parametrize("field", sorted(UNCORROBORATED))
def test_what_nothing_speaks_of_before_signing_is_on_the_list(field: str) -> None:
    assert codes_of(changed(field)) == set()


@pytest.mark.parametrize("field", ["run.sha", "tap.parents"])
def test_outside_of_pull_requests_less_is_believed(field: str) -> None:
    document = record_document(event="push")
    document["tap"]["commit"] = MERGE
    document["tap"]["parents"] = [HEAD]
    run = make_run(event="push", head_branch="main")
    assert codes_of(document, run) == set()
    wrong = changed(field, copy.deepcopy(document))
    wrong["tap"]["parents"] = [OTHER] if field == "tap.parents" else [HEAD]
    assert codes_of(wrong, run) == {"record-commit-mismatch"}


def test_a_right_record_is_corroborated() -> None:
    found = corroborate(make_record(), make_run(), [make_job(id="1"), make_job()])
    assert isinstance(found, BuildJob)
    assert (found.run.id, found.job.id) == ("9876", "555")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (
            {"workflow_ref": f"{REPOSITORY}/.github/workflows/other.yml@refs/pull/7/merge"},
            "record-workflow-mismatch",
        ),
        (
            {"workflow_ref": "else/where/.github/workflows/tests.yml@refs/pull/7/merge"},
            "record-workflow-mismatch",
        ),
        ({"workflow_ref": f"{REPOSITORY}/.github/workflows/tests.yml"}, "record-workflow-mismatch"),
        (
            {"workflow_ref": f"{REPOSITORY}/../x/.github/workflows/tests.yml@refs/heads/main"},
            "record-workflow-mismatch",
        ),
        (
            {"workflow_ref": f"{REPOSITORY}/.github/workflows/tests.yml@refs/heads/main"},
            "record-workflow-mismatch",
        ),
        *(
            (
                {"ref": ref, "workflow_ref": f"{REPOSITORY}/.github/workflows/tests.yml@{ref}"},
                "record-ref-mismatch",
            )
            for ref in (
                *("refs/heads/main", "refs/heads/a-branch", "refs/pull/7/head", "refs/pull/\u0667/merge"),
                *("refs/pull//merge", "refs/pull/merge", "refs/pull/7/x/merge"),
            )
        ),
    ],
)
def test_lies_about_the_run(changes: Json, code: str) -> None:
    document = record_document()
    document["run"] |= changes
    # A ref that is not plain ASCII is no workflow's either.
    assert codes_of(document) - {"record-workflow-mismatch"} == {code} - {"record-workflow-mismatch"}
    assert code in codes_of(document)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"repository": Repository("else/where", "801", "161", is_private=False)}, "record-other-repository"),
        (
            {"repository": Repository(REPOSITORY, "802", "161", is_private=False)},
            "record-repository-id-mismatch",
        ),
        (
            {"repository": Repository(REPOSITORY, "801", "162", is_private=False)},
            "record-owner-id-mismatch",
        ),
        ({"head_branch": None, "event": "push"}, "record-ref-mismatch"),
        ({"head_sha": OTHER}, "record-head-mismatch"),
        ({"path": ".github/workflows/other.yml"}, "record-workflow-mismatch"),
        ({"event": "push"}, "record-event-mismatch"),
    ],
)
def test_what_github_says_of_the_run_counts(changes: Json, code: str) -> None:
    assert code in codes_of(record_document(), make_run(**changes))


@pytest.mark.parametrize("conclusion", [None, "success", "failure", "cancelled", "timed_out"])
def test_what_became_of_the_rest_of_the_run_does_not_matter(conclusion: str | None) -> None:
    assert codes_of(record_document(), make_run(conclusion=conclusion)) == set()


def test_a_repositorys_name_is_taken_without_regard_to_case() -> None:
    other = make_run(repository=repository(REPOSITORY.upper()))
    assert codes_of(record_document(), other) == set()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"runner_name": None}, "record-runner-mismatch"),
        ({"runner_name": "GitHub Actions 4"}, "record-runner-mismatch"),
        ({"labels": ("self-hosted", "macOS")}, "record-environment-mismatch"),
        ({"labels": ("macOS", "Self-Hosted")}, "record-environment-mismatch"),
        ({"run_id": "9877"}, "record-other-run"),
        ({"run_attempt": "1"}, "record-other-run"),
        ({"started_at": None}, "record-time-mismatch"),
        ({"conclusion": "success", "runner_name": ""}, "record-runner-mismatch"),
        ({"conclusion": "skipped"}, "record-job-unfit"),
        ({"conclusion": None, "status": "completed"}, "record-job-unfit"),
        ({"head_sha": OTHER}, "record-head-mismatch"),
        ({"conclusion": "failure"}, "record-job-unfit"),
        ({"conclusion": "cancelled"}, "record-job-unfit"),
        ({"conclusion": None, "status": "in_progress", "finished_at": None}, "record-job-unfit"),
        ({"conclusion": None, "status": "queued", "finished_at": None}, "record-job-unfit"),
        ({"started_at": RECORDED_AT + timedelta(minutes=6)}, "record-time-mismatch"),
        ({"finished_at": RECORDED_AT - timedelta(minutes=6)}, "record-time-mismatch"),
    ],
)
def test_what_github_says_of_the_job_counts(changes: Json, code: str) -> None:
    assert codes_of(record_document(), job=make_job(**changes)) == {code}


def test_the_clocks_of_a_runner_and_of_github_may_differ_a_little() -> None:
    early = make_job(started_at=RECORDED_AT + timedelta(minutes=4))
    late = make_job(finished_at=RECORDED_AT - timedelta(minutes=4))
    assert codes_of(record_document(), job=early) == codes_of(record_document(), job=late) == set()


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))])
@pytest.mark.parametrize("day", [date.min, date.max])
def test_times_at_either_end_of_the_calendar_are_compared_as_others_are(day: date, zone: timezone) -> None:
    is_early = day == date.min
    at = datetime.combine(day, clock_time.min if is_early else clock_time.max, zone)
    assert codes_of(record_document(), job=make_job(started_at=at)) == (
        set() if is_early else {"record-time-mismatch"}
    )
    assert codes_of(record_document(), job=make_job(finished_at=at)) == (
        {"record-time-mismatch"} if is_early else set()
    )
    document = record_document()
    document["run"]["job_id"] = None
    # The runner alone tells, and the time.
    found = codes_of(document, job=make_job(started_at=at, finished_at=at))
    assert found == {"record-job-unknown"}


def test_a_self_hosted_runner_may_say_so() -> None:
    document = record_document()
    document["runner"]["environment"] = "self-hosted"
    assert codes_of(document, job=make_job(labels=("self-hosted",))) == set()
    # A runner of one's own without GitHub's label cannot be told from the outside; it is what it says.
    assert codes_of(document) == set()


def test_a_job_that_publishes_in_its_own_run_is_still_under_way() -> None:
    under_way = make_job(conclusion=None, status="in_progress", finished_at=None)
    found = corroborate(make_record(), make_run(conclusion=None), [under_way], publishing_run="9876")
    assert isinstance(found, BuildJob)
    other = corroborate(make_record(), make_run(conclusion=None), [under_way], publishing_run="9877")
    assert isinstance(other, list)
    assert [finding.code for finding in other] == ["record-job-unfit"]


def without_job_id() -> Json:
    document = record_document()
    document["run"]["job_id"] = None
    return document


def test_without_its_number_a_job_is_found_by_its_runner_and_the_time() -> None:
    others = [
        make_job(id="1", runner_name="GitHub Actions 9"),
        make_job(id="2", finished_at=RECORDED_AT - timedelta(days=1)),
    ]
    waiting = make_job(id="3", started_at=None, finished_at=None, runner_name=None)
    found = corroborate(make_record(without_job_id()), make_run(), [*others, waiting, make_job()])
    assert isinstance(found, BuildJob)
    assert found.job.id == "555"


def test_of_two_jobs_one_after_another_the_one_that_ran_then_made_the_record() -> None:
    before = make_job(
        id="1",
        started_at=RECORDED_AT - timedelta(minutes=30),
        finished_at=RECORDED_AT - timedelta(minutes=1),
    )
    mine = make_job(started_at=RECORDED_AT - timedelta(seconds=30))
    found = corroborate(make_record(without_job_id()), make_run(), [before, mine])
    assert isinstance(found, BuildJob)
    assert found.job.id == "555"
    # Where none did by the clock, both are near enough, and which it was nobody can tell.
    after = make_job(started_at=RECORDED_AT + timedelta(minutes=1))
    unclear = corroborate(make_record(without_job_id()), make_run(), [before, after])
    assert isinstance(unclear, list)
    assert [finding.code for finding in unclear] == ["record-job-ambiguous"]


def test_a_job_that_cannot_be_told_from_another_is_ambiguous() -> None:
    found = corroborate(make_record(without_job_id()), make_run(), [make_job(id="1"), make_job(id="2")])
    assert isinstance(found, list)
    assert [finding.code for finding in found] == ["record-job-ambiguous"]


def test_a_record_of_no_job_is_unknown() -> None:
    for document in (record_document(), without_job_id()):
        found = corroborate(make_record(document), make_run(), [make_job(id="1", runner_name="x")])
        assert isinstance(found, list)
        assert [finding.code for finding in found] == ["record-job-unknown"]


# --- the commit -----------------------------------------------------------------------------------


def test_a_pull_requests_commit_merges_its_head_or_is_it() -> None:
    document = record_document()
    assert codes_of(document) == set()
    document["tap"] |= {"commit": HEAD, "parents": [BASE]}
    assert codes_of(document) == set()
    document["tap"] |= {"commit": OTHER, "parents": [BASE, MERGE]}
    assert codes_of(document) == {"record-commit-mismatch"}


@pytest.mark.parametrize(
    ("tap", "code"),
    [
        ({"commit": HEAD}, None),
        ({"commit": OTHER, "parents": [HEAD]}, None),
        ({"commit": OTHER, "parents": [BASE]}, "record-commit-mismatch"),
    ],
)
def test_a_dispatched_runs_commit_is_the_runs_or_comes_right_after_it(tap: Json, code: str | None) -> None:
    document = record_document(event="workflow_dispatch")
    document["tap"] |= tap
    run = make_run(event="workflow_dispatch", head_branch="main")
    assert codes_of(document, run) == ({code} if code else set())


def test_a_branchs_run_is_for_the_recorded_commit_and_branch() -> None:
    document = record_document(event="push")
    run = make_run(event="push", head_branch="main")
    assert codes_of(document, run) == set()
    assert codes_of(document, replace(run, head_branch="other")) == {"record-ref-mismatch"}
    moved = copy.deepcopy(document)
    moved["run"]["sha"] = OTHER
    moved["tap"]["commit"] = OTHER
    assert codes_of(moved, run) == {"record-commit-mismatch"}
    for ref, branch, codes in (
        ("refs/tags/v1", "v1", set[str]()),
        ("refs/tags/v1", "main", {"record-ref-mismatch"}),
        ("refs/heads/None", None, {"record-ref-mismatch"}),
        ("refs/pull/7/merge", "main", {"record-ref-mismatch"}),
    ):
        document["run"] |= {
            "ref": ref,
            "workflow_ref": f"{REPOSITORY}/.github/workflows/tests.yml@{ref}",
        }
        assert codes_of(document, replace(run, head_branch=branch)) == codes


def test_a_repository_that_vouches_for_itself_is_found_out() -> None:
    # All of it is of the repository of whoever wrote the record; the API was asked about the tap's own.
    document = record_document()
    document["run"] |= {
        "repository": "else/where",
        "repository_id": "1",
        "owner_id": "2",
        "workflow_ref": "else/where/.github/workflows/tests.yml@refs/pull/7/merge",
    }
    document["tap"]["remote"] = "https://github.com/else/where"
    assert codes_of(document) == {
        *("record-other-repository", "record-repository-id-mismatch", "record-owner-id-mismatch"),
        *("record-other-remote", "record-workflow-mismatch"),
    }


def test_events_that_get_to_a_pull_request_in_another_way_are_not_taken_for_one() -> None:
    document = record_document()
    document["run"]["event_name"] = "pull_request_target"
    assert "record-commit-mismatch" in codes_of(document, make_run(event="pull_request_target"))


# --- the bottle -----------------------------------------------------------------------------------


def test_a_bottle_with_a_rebuild_has_a_record_with_it() -> None:
    document = record_document()
    name = BottleFileName("foo", "1.1", "arm64_sonoma", 3)
    document["bottle"] |= {"file": str(name), "rebuild": 3}
    assert check_record(make_record(document), name, DIGEST, tap=TAP, json_bytes_sha256=None) == []


def test_bytes_that_were_not_recorded_are_not_attested() -> None:
    found = check_record(make_record(), BOTTLE, Digest("sha256", "00" * 32), tap=TAP, json_bytes_sha256=None)
    assert [finding.code for finding in found] == ["record-digest-mismatch"]


def test_what_is_not_at_hand_any_more_is_not_compared() -> None:
    found = check_record(make_record(), BOTTLE, DIGEST, tap=TAP, json_bytes_sha256=None)
    assert found == []
    document = record_document()
    document["bottle"]["json_file"] = "../../etc/passwd"
    found = check_record(make_record(document), BOTTLE, DIGEST, tap=TAP, json_bytes_sha256=None)
    assert [finding.code for finding in found] == ["record-json-mismatch"]


def test_a_name_that_can_be_read_in_two_ways_is_read_as_the_record_says() -> None:
    document = record_document()
    document["bottle"] |= {"formula": "foo--1.1", "version": "1", "file": "foo--1.1--1.all.bottle.tar.gz"}
    name = BottleFileName("foo", "1.1--1", "all", 0)
    found = check_record(make_record(document), name, DIGEST, tap=TAP, json_bytes_sha256=None)
    assert "record-other-bottle" in {finding.code for finding in found}
    assert str(name) == document["bottle"]["file"]
