"""What `check` hands down for attestations of the build: the bottle, the formula, the tap's repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.builders import make_bottle, make_question
from tests.unit.buildtypes.builds import FIXTURES, PUBLISHER, fixture_build
from tests.unit.repositories import make_repository

from brew_provenance.bottle import BottleFileName, Digest, hash_stream
from brew_provenance.buildtypes.bottle.v1 import BottleBuild
from brew_provenance.check import bind_file, bind_target, examine_file
from brew_provenance.errors import InputError
from brew_provenance.subject import Question
from brew_provenance.taps.git import GitTap
from brew_provenance.taps.unsignedapi import UnsignedApiTap
from brew_provenance.targets import Target, digest_target, file_target, formula_targets, history_of

TAP = "brew-provenance/fixtures"
NAME = "hello--3.0.1.sonoma.bottle.tar.gz"
FILE = FIXTURES / "bottles" / NAME
HELLO = "Formula/h/hello.rb"
TEXT = (FIXTURES / HELLO).read_bytes()


def make_build(name: str = NAME) -> BottleBuild:
    return BottleBuild.from_json(fixture_build(PUBLISHER, BottleFileName.parse(name)).predicate())


def digests_of(path: Path) -> tuple[Digest, ...]:
    with path.open("rb") as stream:
        return hash_stream(stream)


@pytest.fixture
def tap(tmp_path: Path) -> GitTap:
    make_repository(tmp_path / "tap", {HELLO: TEXT}).free()
    return GitTap(tmp_path / "tap", tap=TAP)


def test_a_git_repository_can_be_read_at_any_commit_and_an_api_cannot(tap: GitTap) -> None:
    assert history_of(tap) is tap
    assert history_of(UnsignedApiTap(lambda _url, _limit: b"", "https://example.org")) is None


def test_targets_come_with_the_taps_repository(tap: GitTap) -> None:
    for target in formula_targets(lambda _: tap, [f"{TAP}/hello"], None):
        assert target.history is tap
    current = file_target(FILE, NAME, lambda _: tap, TAP)
    assert (current.history, current.question.asked_tap) == (tap, TAP)
    older = file_target(FILE, NAME.replace("3.0.1", "2.9"), lambda _: tap, TAP)
    assert (older.history, older.file, older.formula) == (tap, FILE, None)
    assert older.question.bottle is None
    assert older.question.asked_tap == TAP
    assert digest_target(make_bottle().digest, TAP).question.asked_tap == TAP


def test_a_bottles_own_tap_is_the_one_that_is_asked_about() -> None:
    assert make_question(make_bottle(tap="octo/one"), tap="octo/two").asked_tap == "octo/one"
    assert Question("x", (make_bottle().digest,)).asked_tap is None


def test_the_formula_in_a_bottle_is_kept_once_it_was_looked_into(tap: GitTap) -> None:
    target = file_target(FILE, NAME, lambda _: tap, TAP)
    examined = examine_file(target)
    assert target.packed is None
    assert examined.packed is not None
    assert b"bottle do" not in examined.packed
    codes = [finding.code for finding in bind_target(examined, make_build())]
    assert codes == ["formula-commit-not-in-tap", "formula-bound"]


def test_a_bottle_that_no_formula_describes_is_looked_into_when_it_is_needed(tap: GitTap) -> None:
    question = Question("x", digests_of(FILE), name=NAME, tap=TAP)
    target = Target(question, TAP, None, None, FILE, history=tap)
    assert examine_file(target) is target
    codes = [finding.code for finding in bind_target(target, make_build())]
    assert codes == ["formula-commit-not-in-tap", "formula-bound"]


def test_a_target_without_anything_at_hand_is_compared_with_nothing() -> None:
    target = digest_target(make_bottle().digest, TAP)
    assert [finding.code for finding in bind_target(target, make_build())] == ["formula-not-compared"]


def test_a_bottle_that_was_changed_meanwhile_is_not_the_one_that_was_hashed() -> None:
    (finding,) = bind_file(FILE, NAME, (make_bottle().digest,), make_build())
    assert finding.code == "artifact-digest-mismatch"


def test_what_is_no_bottle_holds_no_formula(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"no bottle")
    (finding,) = bind_file(path, NAME, digests_of(path), make_build())
    assert finding.code == "bottle-not-a-tarball"


def test_a_bottle_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        bind_file(tmp_path / NAME, NAME, (), make_build())


def test_the_version_of_the_name_has_to_be_that_of_the_formula(tmp_path: Path) -> None:
    name = NAME.replace("3.0.1", "9")
    (finding,) = bind_file(FILE, name, digests_of(FILE), make_build(name))
    # Brew packs a formula into the keg of its version.
    assert finding.code == "bottle-outside-keg"
