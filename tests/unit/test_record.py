"""What a build job writes down, and what it refuses to."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pygit2
import pytest
from tests.unit.archives import directory, member, packed
from tests.unit.buildjobs import FILE, PATH, RECORD, REMOTE, SOURCE, TAP, Build, bottle_of, write_event
from tests.unit.repositories import BRANCH, SIGNATURE, Entry, commit, formula, loose_object, make_repository

import brew_provenance
from brew_provenance.actionsjob import read_job
from brew_provenance.bottlefolder import find_bottles
from brew_provenance.buildrecord import BuildRecord, read_record
from brew_provenance.errors import BuildSideError, NothingMatchedError
from brew_provenance.record import (
    LeftOut,
    NotRecordedError,
    Recorded,
    Surroundings,
    github_repository,
    record_bottles,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
FIXTURES = Path(__file__).resolve().parents[2] / "formula-fixtures"
OTHER = "foo--1.1.ventura.bottle.tar.gz"


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def run(
    build: Build, *, now: datetime = NOW, earlier: tuple[Path, ...] = (), **changes: str | None
) -> list[Any]:
    here = Surroundings(read_job(build.environment(**changes), "17"), lambda _: build.tap, build.tap, earlier)
    return record_bottles([build.bottles], here, now=now)


def recorded(build: Build, **changes: Any) -> Recorded:
    (found,) = run(build, **changes)
    assert isinstance(found, Recorded)
    return found


def refusals(build: Build, **changes: Any) -> tuple[BuildSideError, ...]:
    with pytest.raises(NotRecordedError) as caught:
        run(build, **changes)
    assert not list(build.bottles.glob("*.build-record"))
    assert not list(build.bottles.glob(".*"))
    return caught.value.failures


def refusal(build: Build, **changes: Any) -> BuildSideError:
    (failure,) = refusals(build, **changes)
    return failure


# What is recorded


def test_a_record_says_what_was_built_from_what_by_whom(build: Build) -> None:
    file = build.bottle()
    build.write_working_copy()
    found = recorded(build)
    raw = (build.bottles / "foo--1.1.arm64_sonoma.bottle.json").read_bytes()
    assert (found.bottle, found.file, found.kept) == (file, build.bottles / RECORD, False)
    assert found.record == read_record(found.file)
    assert found.file.stat().st_mode & 0o777 == 0o644
    document = found.record.model_dump(mode="json")
    packed_text = SOURCE.replace(
        b'  bottle do\n    sha256 cellar: :any, sonoma: "%s"\n  end\n' % (b"a" * 64), b""
    )
    assert document == {
        "record": 1,
        "tool": f"brew-provenance {brew_provenance.__version__}",
        "recorded_at": "2026-03-01T12:00:00Z",
        "bottle": {
            "file": FILE,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "formula": "foo",
            "version": "1.1",
            "tag": "arm64_sonoma",
            "rebuild": 0,
            "json_file": "foo--1.1.arm64_sonoma.bottle.json",
            "json_sha256": hashlib.sha256(raw).hexdigest(),
        },
        "tap": {
            "name": TAP,
            "remote": REMOTE,
            "commit": build.commit,
            "parents": [],
            "branch": "main",
            "shallow": False,
        },
        "formula": {
            "path": PATH,
            "blob": str(pygit2.hash(SOURCE)),
            "sha256": hashlib.sha256(SOURCE).hexdigest(),
            "sha256_without_bottle_block": hashlib.sha256(packed_text).hexdigest(),
            "source": {"url": "https://example.org/foo-1.1.tar.gz", "sha256": "f" * 64, "commit": None},
        },
        "brew": {"version": "7.0.4", "commit": build.commit},
        "run": read_job(build.environment(), "17").run.model_dump(mode="json"),
        "runner": read_job(build.environment()).runner.model_dump(mode="json"),
    }
    assert found.notes == ()


@pytest.mark.parametrize(
    "changes",
    [{"name": "foo", "tag": "all"}, {"rebuild": 3}, {"tag": "x86_64_linux"}],
    ids=["all", "rebuild", "linux"],
)
def test_bottles_of_every_kind_are_recorded(changes: dict[str, Any], build: Build) -> None:
    file = build.bottle(**changes)
    assert recorded(build).record.bottle.file == file.name


@pytest.mark.parametrize("name", ["foo@2", "foo+plus"])
def test_names_with_signs_are_recorded(name: str, tmp_path: Path) -> None:
    source = formula({"foo@2": "FooAT2", "foo+plus": "Fooxplus"}[name])
    build = Build(tmp_path, {PATH.replace("foo", name): source})
    build.bottle(source, name=name)
    assert recorded(build).record.formula.path == PATH.replace("foo", name)


def test_all_the_fixtures_are_recorded(tmp_path: Path) -> None:
    files = {
        path.relative_to(FIXTURES).as_posix(): path.read_bytes() for path in FIXTURES.glob("Formula/*/*.rb")
    }
    build = Build(tmp_path, files)
    for file in (FIXTURES / "bottles").iterdir():
        (build.bottles / file.name).write_bytes(file.read_bytes())
    for file in (FIXTURES / "bottle-json").iterdir():
        document = json.loads(file.read_bytes())
        for entry in document.values():
            entry["formula"]["tap_git_revision"] = build.commit
        build.write_json(document, file.name)
    results = run(build)
    assert len(results) == 16
    assert {result.record.tap.name for result in results} == {"brew-provenance/fixtures"}
    assert len(list(build.bottles.glob("*.build-record"))) == 16


def test_again_the_same_is_written_but_the_time(build: Build) -> None:
    build.bottle()
    first = recorded(build).record
    again = recorded(build, now=NOW + timedelta(minutes=1))
    assert not again.kept
    assert again.record.model_copy(update={"recorded_at": first.recorded_at}) == first
    assert again.record.recorded_at != first.recorded_at
    assert read_record(again.file) == again.record


def test_a_source_out_of_version_control_is_recorded_by_its_commit(tmp_path: Path) -> None:
    for revision, told in (("c" * 40, "c" * 40), ("v1", None)):
        source = (
            "class Foo < Formula\n"
            f'  url "https://example.org/foo.git", tag: "v1.1", revision: "{revision}"\nend\n'
        ).encode()
        build = Build(tmp_path / revision, {PATH: source})
        build.bottle(source)
        found = recorded(build).record.formula.source
        assert found is not None
        assert (found.url, found.sha256, found.commit) == ("https://example.org/foo.git", None, told)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b'class Foo < Formula\n  url VALUE\n  version "1.1"\nend\n', "is not written out"),
        (b'class Foo < Formula\n  url ""\n  version "1.1"\nend\n', None),
        (b'class Bar < Formula\n  url "https://example.org/foo-1.1.tar.gz"\nend\n', "cannot be read"),
    ],
)
def test_a_source_that_is_not_known_is_not_recorded(source: bytes, why: str | None, tmp_path: Path) -> None:
    build = Build(tmp_path, {PATH: source})
    build.write_working_copy(source)
    build.bottle(source)
    found = recorded(build)
    assert found.record.formula.source is None
    assert [why in note for note in found.notes if why] == ([True] if why else [])


def test_head_only_formulae_have_any_version(tmp_path: Path) -> None:
    source = b'class Foo < Formula\n  head "https://example.org/foo.git"\nend\n'
    build = Build(tmp_path, {PATH: source})
    build.bottle(source, version="HEAD-abcdef0")
    assert recorded(build).record.bottle.version == "HEAD-abcdef0"


# The state of the clones


def test_what_brew_does_not_say_of_the_remote_the_clone_does(build: Build) -> None:
    build.bottle(tap_git_remote=None)
    assert "no repository of https://github.com" in refusal(build).cause
    build.repository.remotes.create("origin", "https://x-access-token:hush@github.com/octo/homebrew-tap.git")
    assert recorded(build).record.tap.remote == REMOTE


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (REMOTE, REMOTE),
        (f"{REMOTE}.git", REMOTE),
        (f"{REMOTE}/", REMOTE),
        ("https://token@github.com/octo/homebrew-tap", REMOTE),
        ("https://x:y@github.com/octo/homebrew-tap.git", REMOTE),
        ("git@github.com:octo/homebrew-tap.git", REMOTE),
        ("ssh://git@github.com/octo/homebrew-tap", REMOTE),
        ("HTTPS://GitHub.com/Octo/homebrew-tap", "https://github.com/Octo/homebrew-tap"),
        ("http://github.com/octo/homebrew-tap", None),
        ("https://github.com.evil.example/octo/homebrew-tap", None),
        ("https://evil.example/@github.com/octo/homebrew-tap", None),
        ("https://githubxcom/octo/homebrew-tap", None),
        ("https://github.com/octo", None),
        ("https://github.com/octo/homebrew-tap/x", None),
        ("https://github.com/octo/homebrew-tap\n", None),
        ("/srv/tap", None),
        ("", None),
    ],
)
def test_a_remote_is_a_repository_of_the_server_without_any_secret(url: str, told: str | None) -> None:
    assert github_repository(url, "https://github.com") == told


def test_a_remote_elsewhere_is_refused_and_not_shown(build: Build) -> None:
    build.bottle(tap_git_remote="https://user:hush@gitlab.example/octo/homebrew-tap")
    failure = refusal(build)
    assert "no repository of https://github.com" in failure.cause
    assert "hush" not in str(failure) + failure.next_step


def test_a_run_of_another_repository_is_told(build: Build) -> None:
    build.bottle()
    found = recorded(build, GITHUB_REPOSITORY="octo/other")
    assert f"{TAP} is {REMOTE}, and this is a run of octo/other" in found.notes


def test_a_detached_head_is_recorded_and_told(build: Build) -> None:
    build.bottle()
    build.repository.set_head(pygit2.Oid(hex=build.commit))
    found = recorded(build)
    assert found.record.tap.branch is None
    assert f"the clone of {TAP} is on no branch" in found.notes


def merge(build: Build) -> tuple[str, str]:
    """Make what GitHub makes of a pull request, and return it and the pull request's head."""
    base = pygit2.Oid(hex=build.commit)
    tree = build.repository[base].peel(pygit2.Tree).id
    head = build.repository.create_commit(None, SIGNATURE, SIGNATURE, "Head", tree, [base])
    merged = build.repository.create_commit(BRANCH, SIGNATURE, SIGNATURE, "Merge", tree, [base, head])
    return str(merged), str(head)


@pytest.mark.parametrize("shallow", [False, True])
def test_a_merge_of_a_pull_request_is_recorded_with_its_parents(
    shallow: bool, build: Build, tmp_path: Path
) -> None:
    base = build.commit
    build.commit, head = merge(build)
    if shallow:
        for gone in (base, head):
            loose_object(build.tap, gone).unlink()
        (build.tap / ".git" / "shallow").write_text(f"{build.commit}\n", encoding="utf-8")
    build.bottle()
    found = recorded(build, **write_event(tmp_path / "event.json", head))
    assert found.record.tap.parents == (base, head)
    assert (found.record.run.sha, found.record.run.head_sha) == (build.commit, head)
    assert found.record.tap.shallow is shallow
    assert (f"the clone of {TAP} is shallow" in found.notes) is shallow
    at = f"{TAP} at {build.commit[:12]}"
    assert f"{at} merges the pull request's head {head[:12]}, and is on no branch that stays" in found.notes


def test_a_commit_that_does_not_merge_the_pull_request_is_told(build: Build, tmp_path: Path) -> None:
    build.bottle()
    event = write_event(tmp_path / "event.json", "e" * 40)
    assert any(
        "does not merge the pull request's head eeeeeeeeeeee" in note
        for note in recorded(build, **event).notes
    )
    event = write_event(tmp_path / "event.json", build.commit)
    assert not any("merge" in note for note in recorded(build, **event).notes)


def test_a_commit_of_the_job_itself_is_recorded_and_told(build: Build) -> None:
    first, build.commit = build.commit, commit(build.repository, {PATH: SOURCE, "README.md": b""})
    build.bottle()
    found = recorded(build, GITHUB_SHA=first)
    assert found.record.tap.commit == build.commit
    assert f"{TAP} at {build.commit[:12]} is not {first[:12]}, for which this run was started" in found.notes


@pytest.mark.parametrize("folder", ["none", "empty"])
def test_a_brew_that_is_no_clone_has_no_commit(folder: str, build: Build, tmp_path: Path) -> None:
    build.bottle()
    (tmp_path / "empty").mkdir()
    here = Surroundings(read_job(build.environment()), lambda _: build.tap, tmp_path / folder)
    (found,) = record_bottles([build.bottles], here, now=NOW)
    assert isinstance(found, Recorded)
    assert found.record.brew.commit is None
    here = Surroundings(read_job(build.environment()), lambda _: build.tap)
    (found,) = record_bottles([build.bottles], here, now=NOW)
    assert isinstance(found, Recorded)
    assert found.record.brew.commit is None


def test_each_tap_is_looked_for_once(build: Build, tmp_path: Path) -> None:
    build.bottle()
    build.bottle(tag="ventura")
    asked: list[str] = []

    def find(tap: str) -> Path:
        asked.append(tap)
        return build.tap

    record_bottles([build.bottles], Surroundings(read_job(build.environment()), find), now=NOW)
    assert asked == [TAP]


# Formulae that are not the commit's


def test_a_bottle_block_is_no_change(build: Build) -> None:
    build.bottle()
    build.write_working_copy(formula(digest="b" * 64))
    assert recorded(build).notes == ()


@pytest.mark.parametrize("content", [formula(version="1.1.1"), b"", b"class Foo <", b"\xff"])
def test_a_working_copy_that_is_not_what_was_built_is_told(content: bytes, build: Build) -> None:
    build.bottle()
    build.write_working_copy(content)
    assert recorded(build).notes == (
        f"{PATH} in the working tree of {TAP} is not that of {build.commit[:12]}",
    )


def test_a_clone_without_a_working_tree_has_no_working_copy(tmp_path: Path) -> None:
    build = Build(tmp_path, bare=True)
    build.bottle()
    assert recorded(build).notes == ()


def test_a_bottle_of_an_uncommitted_change_is_refused(build: Build) -> None:
    changed = SOURCE.replace(b"  url", b'  desc "Changed"\n  url')
    build.bottle(changed)
    build.write_working_copy(changed)
    failure = refusal(build)
    assert (
        f"it was built from a change of {PATH} at {build.commit[:12]} that is not committed" in failure.cause
    )
    assert "Changed" in failure.cause
    assert "commit the formula" in failure.next_step


@pytest.mark.parametrize("working_copy", [SOURCE, None, b"class Foo <"])
def test_a_bottle_of_another_formula_is_refused_with_the_difference(
    working_copy: bytes | None, build: Build
) -> None:
    build.bottle(SOURCE.replace(b"f" * 64, b"e" * 64))
    if working_copy is not None:
        build.write_working_copy(working_copy)
    failure = refusal(build)
    assert f"the formula in it is not {PATH} at {build.commit[:12]}: line 3" in failure.cause
    assert failure.thing.endswith(FILE)


def test_blank_lines_are_a_difference(build: Build) -> None:
    text = SOURCE.replace(b'  bottle do\n    sha256 cellar: :any, sonoma: "%s"\n  end\n' % (b"a" * 64), b"")
    keg = b"foo/1.1"
    content = packed(
        directory(keg),
        directory(keg + b"/.brew"),
        member(keg + b"/.brew/foo.rb", text.replace(b"\n\nend", b"\nend")),
    )
    (build.bottles / FILE).write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    build.write_json(
        build.describe(sha256, FILE, "foo", "1.1", "arm64_sonoma", 0), "foo--1.1.arm64_sonoma.bottle.json"
    )
    assert "the lines around its bottle block" in refusal(build).cause


def test_a_formula_of_another_version_is_refused(build: Build) -> None:
    build.bottle(version="1.2")
    assert f"{PATH} at {build.commit[:12]} is of version 1.1" in refusal(build).cause


@pytest.mark.parametrize(
    "source", [b"class Foo <\n", SOURCE.replace(b"end\nend", b"end\n  bottle do\n  end\nend")]
)
def test_a_formula_that_cannot_be_compared_is_refused(source: bytes, tmp_path: Path) -> None:
    build = Build(tmp_path, {PATH: source})
    build.bottle()
    assert refusal(build).thing == f"{PATH} at {build.commit[:12]}"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tap_git_revision": None}, "does not name the tap's commit"),
        ({"tap_git_path": None}, "does not name the tap's commit"),
        ({"tap_git_revision": "HEAD"}, "not the id of a commit"),
        ({"tap_git_revision": "e" * 40}, "it is not there"),
        ({"tap_git_path": "../../etc/foo.rb"}, "not a path in a tap"),
        ({"tap_git_path": "Formula/foo.rb"}, "there is no foo.rb"),
        ({"tap_git_path": "Formula/b/bar.rb"}, "not the file of the formula foo"),
    ],
)
def test_a_description_that_names_no_formula_is_refused(
    changes: dict[str, Any], why: str, build: Build
) -> None:
    build.bottle(**changes)
    assert why in refusal(build).cause


def test_a_tap_that_is_not_there_is_refused(build: Build, tmp_path: Path) -> None:
    build.bottle()
    here = Surroundings(read_job(build.environment()), lambda tap: tmp_path / tap)
    with pytest.raises(NotRecordedError, match="not a git repository"):
        record_bottles([build.bottles], here, now=NOW)


# Bottles that are not what they are said to be


def test_a_bottle_of_other_bytes_is_refused(build: Build) -> None:
    file = build.bottle()
    file.write_bytes(bottle_of(SOURCE.replace(b"f" * 64, b"e" * 64)))
    failure = refusal(build)
    assert "its digest is sha256:" in failure.cause
    assert "and brew made it with sha256:" in failure.cause


def test_a_bottle_that_is_swapped_while_it_is_read_is_refused(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = build.bottle()
    found = find_bottles

    def swap(*arguments: Any, **options: Any) -> Any:
        folders = found(*arguments, **options)
        other = file.with_suffix(".other")
        other.write_bytes(bottle_of(SOURCE, version="1.1") + b"\0")
        other.replace(file)
        return folders

    monkeypatch.setattr("brew_provenance.record.find_bottles", swap)
    assert "its digest is" in refusal(build).cause


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no tarball", "bottle-not-a-tarball"),
        (packed(directory(b"foo/1.1")), "bottle-formula-missing"),
        (packed(member(b"bar/1.1/.brew/foo.rb", SOURCE)), "bottle-outside-keg"),
    ],
)
def test_a_bottle_that_brew_did_not_make_is_refused(content: bytes, code: str, build: Build) -> None:
    (build.bottles / FILE).write_bytes(content)
    document = build.describe(hashlib.sha256(content).hexdigest(), FILE, "foo", "1.1", "arm64_sonoma", 0)
    build.write_json(document, "foo--1.1.arm64_sonoma.bottle.json")
    assert refusal(build).cause.startswith(f"{code}: ")


def test_a_bottle_that_cannot_be_opened_is_refused(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    file = build.bottle()
    found = find_bottles

    def remove(*arguments: Any, **options: Any) -> Any:
        folders = found(*arguments, **options)
        file.unlink()
        return folders

    monkeypatch.setattr("brew_provenance.record.find_bottles", remove)
    assert "No such file" in refusal(build).cause


def test_a_link_to_a_bottle_is_refused(build: Build, tmp_path: Path) -> None:
    file = build.bottle()
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert "no plain file" in refusal(build).cause


def test_all_bottles_are_looked_at_and_none_is_recorded_when_one_is_refused(build: Build) -> None:
    build.bottle()
    build.bottle(tag="ventura").write_bytes(b"x")
    build.bottle(tag="sonoma", tap_git_revision="e" * 40)
    with pytest.raises(NotRecordedError, match=r"^2 of 3 bottles: not recorded, and so none is$") as caught:
        run(build)
    assert caught.value.exit_code == 6
    assert len(caught.value.failures) == 2
    assert not list(build.bottles.glob("*.build-record"))


def test_one_refusal_speaks_for_itself(build: Build) -> None:
    build.bottle(tap_git_revision="e" * 40)
    with pytest.raises(NotRecordedError) as caught:
        run(build)
    (failure,) = caught.value.failures
    error = caught.value
    assert (error.thing, error.cause, error.next_step) == (failure.thing, failure.cause, failure.next_step)


def test_where_nothing_was_bottled_nothing_matched(build: Build) -> None:
    with pytest.raises(NothingMatchedError, match=r"there is no \*\.bottle\.json"):
        run(build)


def test_a_description_that_no_record_can_hold_is_refused(build: Build) -> None:
    many = [pygit2.Oid(hex=build.commit)]
    tree = build.repository[build.commit].peel(pygit2.Tree).id
    many += [
        build.repository.create_commit(None, SIGNATURE, SIGNATURE, str(number), tree, [])
        for number in range(65)
    ]
    build.commit = str(build.repository.create_commit(None, SIGNATURE, SIGNATURE, "Octopus", tree, many))
    build.bottle()
    assert "no record can hold it: parents" in refusal(build).cause


# Bottles that an earlier run built


def reuse(build: Build) -> BuildRecord:
    """Record a bottle in one run, and let another commit be checked out in the next."""
    build.bottle()
    first = recorded(build, GITHUB_RUN_ID="1").record
    build.commit = commit(build.repository, {PATH: SOURCE, "README.md": b""})
    return first


def test_a_bottle_of_an_earlier_run_keeps_its_record(build: Build) -> None:
    first = reuse(build)
    found = recorded(build, GITHUB_RUN_ID="2")
    assert found.kept
    assert found.record == first == read_record(build.bottles / RECORD)
    assert recorded(build, GITHUB_RUN_ID="1", GITHUB_RUN_ATTEMPT="2").kept


def test_the_record_of_an_earlier_run_is_found_in_the_folder_of_those(build: Build, tmp_path: Path) -> None:
    first = reuse(build)
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (build.bottles / RECORD).rename(earlier / RECORD)
    found = recorded(build, GITHUB_RUN_ID="2", earlier=(tmp_path / "missing", earlier))
    assert found.kept
    assert read_record(build.bottles / RECORD) == first


def test_a_bottle_of_an_earlier_run_without_a_record_is_left_out(build: Build) -> None:
    reuse(build)
    (build.bottles / RECORD).unlink()
    build.bottle(tag="ventura", tap_git_revision=build.commit)
    left, other = sorted(run(build, GITHUB_RUN_ID="2"), key=lambda result: result.bottle.name)
    assert isinstance(left, LeftOut)
    assert "by an earlier run, whose record is not here" in left.why
    assert isinstance(other, Recorded)
    assert not (build.bottles / RECORD).exists()


def lie(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        part, name = path.split(".")
        document[part][name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lie("bottle.sha256", "b" * 64),
        lie("bottle.json_sha256", "b" * 64),
        lie("formula.sha256", "b" * 64),
        lie("formula.source", None),
        lie("tap.commit", "b" * 40),
        lie("tap.name", "octo/other"),
        lie("tap.remote", "https://github.com/octo/other"),
        lie("run.repository_id", "5"),
        lie("run.server", "https://github.example"),
        lambda document: document.clear(),
    ],
)
def test_an_earlier_record_of_something_else_is_not_believed(
    change: Callable[[dict[str, Any]], None], build: Build
) -> None:
    reuse(build)
    file = build.bottles / RECORD
    document = json.loads(file.read_bytes())
    change(document)
    file.write_text(json.dumps(document), encoding="utf-8")
    (left,) = run(build, GITHUB_RUN_ID="2")
    assert isinstance(left, LeftOut)


def test_an_earlier_record_behind_a_link_or_in_a_pipe_is_not_read(build: Build, tmp_path: Path) -> None:
    reuse(build)
    file = build.bottles / RECORD
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert isinstance(run(build, GITHUB_RUN_ID="2")[0], LeftOut)
    file.unlink()
    os.mkfifo(file)
    assert isinstance(run(build, GITHUB_RUN_ID="2")[0], LeftOut)


# Writing


def test_what_bears_the_records_name_is_replaced_and_not_written_through(
    build: Build, tmp_path: Path
) -> None:
    build.bottle()
    victim = tmp_path / "victim"
    victim.write_text("untouched", encoding="utf-8")
    (build.bottles / RECORD).symlink_to(victim)
    recorded(build)
    assert not (build.bottles / RECORD).is_symlink()
    assert victim.read_text(encoding="utf-8") == "untouched"


def test_a_record_that_cannot_be_written_leaves_nothing_half_written(build: Build) -> None:
    build.bottle()
    (build.bottles / RECORD).mkdir()
    with pytest.raises(BuildSideError) as caught:
        run(build)
    assert caught.value.exit_code == 6
    assert caught.value.thing.endswith(RECORD)
    assert sorted(path.name for path in build.bottles.iterdir() if path.is_file()) == sorted(
        [FILE, "foo--1.1.arm64_sonoma.bottle.json"]
    )


def test_a_folder_that_cannot_be_written_is_told(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    build.bottle()

    def fail(**_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", fail)
    with pytest.raises(BuildSideError, match="No space left"):
        run(build)


def test_the_formula_may_be_anywhere_in_the_tap(tmp_path: Path) -> None:
    build = Build(tmp_path, {"foo.rb": Entry(0o100644, SOURCE)})
    build.bottle(tap_git_path="foo.rb")
    assert recorded(build).record.formula.path == "foo.rb"


def test_a_repository_below_is_not_the_tap(build: Build) -> None:
    make_repository(build.tap / "inner").free()
    build.bottle()
    assert recorded(build).record.tap.commit == build.commit
