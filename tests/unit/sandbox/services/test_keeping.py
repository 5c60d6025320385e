"""What outlives a run: attestations and workflow runs, as files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.builders import OTHER_SHA256, SHA256
from tests.unit.sandbox.github.conftest import bundle_for
from tests.unit.sandbox.github.test_actionsapi import END, JOB, RUN

from brew_provenance.errors import InputError
from brew_provenance.sandbox.github.attestations import Visibility
from brew_provenance.sandbox.github.runs import WorkflowRuns
from brew_provenance.sandbox.services.keeping import RUNS_FILE, KeptAttestations, load_runs, save_runs

REPOSITORY = "octo/homebrew-tap"


def fill(folder: Path) -> KeptAttestations:
    store = KeptAttestations(folder)
    store.add_repository(REPOSITORY, Visibility.PRIVATE, repository_id=11, owner_id=22)
    for digest in (SHA256, OTHER_SHA256, SHA256):
        store.add(REPOSITORY, bundle_for(digest))
    return store


def test_attestations_are_there_again_with_their_ids(tmp_path: Path) -> None:
    first = fill(tmp_path / "kept")
    first.delete([2, 99])
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["1.json", "3.json"]

    second = KeptAttestations(tmp_path / "kept")
    assert second.repository(REPOSITORY) == first.repository(REPOSITORY)
    assert [found.id for found in second.find("octo", SHA256)] == [3, 1]
    for number in (1, 3):
        old, new = first.get(number), second.get(number)
        assert old
        assert new
        assert replace(new, blob_path="") == replace(old, blob_path="")
    assert second.add(REPOSITORY, bundle_for(SHA256), digests=[OTHER_SHA256], initiator="github") == 4
    [found] = KeptAttestations(tmp_path / "kept").find("octo", OTHER_SHA256)
    assert (found.id, found.initiator) == (4, "github")


def test_order_is_that_of_numbers(tmp_path: Path) -> None:
    first = fill(tmp_path)
    for _ in range(8):
        first.add(REPOSITORY, bundle_for(SHA256))
    second = KeptAttestations(tmp_path)
    assert [found.id for found in second.find("octo", SHA256)] == [11, 10, 9, 8, 7, 6, 5, 4, 3, 1]


def test_other_files_and_halves_are_not_looked_at(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / ".4.json.part").write_text("{", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    assert len(KeptAttestations(tmp_path)) == 3


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", "7", '{"repository": "x"}'],
)
def test_a_file_that_is_no_attestation_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "1.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="not an attestation that a sandbox kept"):
        KeptAttestations(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repository", "octo"),
        ("repository_id", "x"),
        ("visibility", "secret"),
        ("bundle", "?"),
        ("digests", ["sha256:x"]),
        ("digests", 7),
        ("initiator", None),
    ],
)
def test_a_file_with_one_wrong_value_is_refused(tmp_path: Path, name: str, value: object) -> None:
    fill(tmp_path)
    document = json.loads((tmp_path / "1.json").read_bytes())
    if value is None:
        del document[name]
    else:
        document[name] = value
    (tmp_path / "1.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError):
        KeptAttestations(tmp_path)


def test_folders_and_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError):
        KeptAttestations(tmp_path / "file")
    (tmp_path / "1.json").mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        KeptAttestations(tmp_path)
    (tmp_path / RUNS_FILE).mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        load_runs(tmp_path)


def test_runs_are_there_again(tmp_path: Path) -> None:
    runs = WorkflowRuns()
    open_job = replace(JOB, id=501, completed_at=None)
    pending = replace(JOB, id=502, completed_at=None, conclusion=None, status="in_progress")
    runs.put(RUN, [JOB, open_job, pending])
    runs.put(replace(RUN, id=78, referenced_workflows=()))
    now = datetime(2026, 3, 2, tzinfo=UTC)
    save_runs(tmp_path, runs, now)

    again = load_runs(tmp_path)
    assert again.all == (
        (RUN, (JOB, replace(open_job, completed_at=now), pending)),
        (replace(RUN, id=78, referenced_workflows=()), ()),
    )
    assert again.job(500) == JOB
    assert END.tzinfo is UTC
    assert load_runs(tmp_path / "nothing").all == ()


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "7",
        [7],
        [{"run": {}, "jobs": []}],
        [{"run": {"started_at": "yesterday"}, "jobs": []}],
        "[" * 100_000,
    ],
)
def test_a_file_that_holds_no_runs_is_refused(tmp_path: Path, document: Any) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    (tmp_path / RUNS_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="not the runs of a sandbox"):
        load_runs(tmp_path)


def test_only_what_runs_are_made_of_is_kept(tmp_path: Path) -> None:
    runs = WorkflowRuns()
    runs.put(replace(RUN, actor=object()))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="object is not kept"):
        save_runs(tmp_path, runs, END)
