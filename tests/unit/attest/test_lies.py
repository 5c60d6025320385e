"""A matrix of lies: each field of a build record altered in turn, and what of it is found before signing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from tests.unit.attest.releases import RECORD, Release
from tests.unit.buildjobs import SOURCE, write_event
from tests.unit.repositories import commit

from brew_provenance.attest.preparing import FoundError, NotAttestedError
from brew_provenance.corroborate import UNCORROBORATED

UNFOUND_OF_A_BRANCH: Final = frozenset(
    {
        *("tool", "brew.version", "brew.commit", "run.job"),
        *("tap.parents", "tap.branch", "tap.shallow"),
        *("formula.path", "formula.blob", "formula.sha256"),
        *("formula.source.url", "formula.source.commit"),
        *("runner.arch", "runner.environment", "runner.image_os", "runner.image_version"),
    }
)
"""What the build job alone speaks of, where a run was started for a branch. Of these, `check` holds the
formula's file against the tap's repository, and says of the rest that the publishing workflow vouches."""

UNFOUND_OF_A_PULL_REQUEST: Final = (UNFOUND_OF_A_BRANCH - {"tap.parents"}) | {"tap.commit", "run.sha"}
"""What a pull request's merge commit is, GitHub's API does not tell; only that it merges the head is held."""

# Lies that could be true: of the right form, and as good as nothing else says otherwise.
LIES: Final[Mapping[str, Any]] = {
    "record": 2,
    "tool": "brew-provenance 9.9.9",
    "recorded_at": "2020-01-01T00:00:00Z",
    "bottle.file": "foo--1.1.arm64_linux.bottle.tar.gz",
    "bottle.sha256": "0" * 64,
    "bottle.formula": "fop",
    "bottle.version": "1.2",
    "bottle.tag": "arm64_linux",
    "bottle.rebuild": 1,
    "bottle.json_file": "foo--1.1.arm64_linux.bottle.json",
    "bottle.json_sha256": "0" * 64,
    "tap.name": "octo/other",
    "tap.remote": "https://github.com/octo/homebrew-other",
    "tap.commit": "9" * 40,
    "tap.parents": ["8" * 40],
    "tap.branch": "other",
    "tap.shallow": True,
    "formula.path": "Formula/foo.rb",
    "formula.blob": "7" * 40,
    "formula.sha256": "7" * 64,
    "formula.sha256_without_bottle_block": "7" * 64,
    "formula.source.url": "https://example.org/other.tar.gz",
    "formula.source.sha256": "6" * 64,
    "formula.source.commit": "6" * 40,
    "brew.version": "1.0.0",
    "brew.commit": "5" * 40,
    "run.server": "https://ghe.example.org",
    "run.repository": "octo/homebrew-other",
    "run.repository_id": "1",
    "run.owner_id": "1",
    "run.workflow_ref": "octo/homebrew-tap/.github/workflows/other.yml@refs/heads/main",
    "run.ref": "refs/heads/other",
    "run.sha": "4" * 40,
    "run.head_sha": "4" * 40,
    "run.event_name": "schedule",
    "run.run_id": "1",
    "run.run_attempt": "2",
    "run.job": "other",
    "run.job_id": "1",
    "runner.name": "GitHub Actions 4",
    "runner.os": "macOS",
    "runner.arch": "ARM64",
    "runner.environment": "self-hosted",
    "runner.image_os": "macos15",
    "runner.image_version": "1",
}


def leaves(document: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def tell(release: Release, field: str) -> None:
    def change(record: Any) -> None:
        *above, last = field.split(".")
        for name in above:
            record = record[name]
        assert record[last] != LIES[field]
        record[last] = LIES[field]

    release.edit(change)


def what_is_found(release: Release) -> set[str]:
    """Return the codes of what keeps the bottle from being signed; what has none is `unreadable`."""
    try:
        report = release.attest()
    except NotAttestedError as error:
        found: set[str] = set()
        for failure in error.failures:
            found |= (
                {one.code for one in failure.findings} if isinstance(failure, FoundError) else {"unreadable"}
            )
        return found
    if report.failure is not None:
        raise report.failure
    return set()


@pytest.fixture(scope="module")
def of_a_branch(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release(tmp_path_factory.mktemp("branch"))


@pytest.fixture(scope="module")
def of_a_pull_request(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("pull")
    release = Release(folder)
    for path in release.folder.glob("*.build-record"):
        path.unlink()
    head = release.build.commit
    # GitHub merges the head into the base, and nobody else has that commit.
    merge = commit(release.build.repository, {"README.md": b"", "Formula/f/foo.rb": SOURCE})
    release.build.commit = merge
    release.bottle()
    workflow = "octo/homebrew-tap/.github/workflows/tests.yml@refs/pull/7/merge"
    release.record(**write_event(folder / "event.json", head), GITHUB_WORKFLOW_REF=workflow)
    release.actions.run_values |= {"event": "pull_request", "head_sha": head, "head_branch": "patch"}
    release.actions.job_values |= {"head_sha": head}
    return release


def honest(release: Release) -> bytes:
    return (release.folder / RECORD).read_bytes()


def test_what_is_not_found_is_what_the_module_that_corroborates_says() -> None:
    found = UNFOUND_OF_A_BRANCH | UNFOUND_OF_A_PULL_REQUEST
    # The labels of the job here do not tell whose runner it was, and the tag which system.
    assert found - UNCORROBORATED == {"runner.environment"}
    assert UNCORROBORATED - found == {"runner.os", "formula.source.sha256"}


def test_every_field_of_a_record_has_a_lie(of_a_branch: Release) -> None:
    assert sorted(leaves(json.loads(honest(of_a_branch)))) == sorted(LIES)


@pytest.mark.parametrize("kind", ["of_a_branch", "of_a_pull_request"])
def test_the_truth_is_signed(kind: str, request: pytest.FixtureRequest) -> None:
    release: Release = request.getfixturevalue(kind)
    assert what_is_found(release) == set()
    for path in release.bundles.iterdir():
        path.unlink()
    release.store.held.clear()
    release.signing.signed.clear()


@pytest.mark.parametrize("field", LIES)
@pytest.mark.parametrize("kind", ["of_a_branch", "of_a_pull_request"])
def test_a_lie_is_found_before_anything_is_signed_or_is_known_not_to_be(
    kind: str, field: str, request: pytest.FixtureRequest
) -> None:
    release: Release = request.getfixturevalue(kind)
    unfound = UNFOUND_OF_A_BRANCH if kind == "of_a_branch" else UNFOUND_OF_A_PULL_REQUEST
    before = honest(release)
    try:
        tell(release, field)
        found = what_is_found(release)
    finally:
        signed = list(release.signing.signed)
        (release.folder / RECORD).write_bytes(before)
        release.store.held.clear()
        release.signing.signed.clear()
        for path in [*release.bundles.glob("*")]:
            path.unlink()
    assert (field in unfound) == (not found), found
    assert bool(signed) == (field in unfound)
