"""`check`, `verify`, `audit` and `inspect` on attestations that name the formula commit and the builder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pygit2
import pytest
from tests.integration.conftest import Run
from tests.integration.world import FIXTURE_TAP, FIXTURES, JOBS, World, bottle_of
from tests.unit.buildtypes.builds import fixture_build
from tests.unit.repositories import SIGNATURE, commit, make_repository, write_files

from brew_provenance.bottle import BottleFileName
from brew_provenance.bottlefile import PackedFormula, examine_bottle
from brew_provenance.formula.bottleblock import without_bottle_block
from brew_provenance.sandbox.actions import build_statement, build_subject
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import JsonObject, encode_json

NAME = f"{FIXTURE_TAP}/hello"
FILES = {str(path.relative_to(FIXTURES)): path.read_bytes() for path in FIXTURES.glob("Formula/*/*.rb")}
HELLO = "Formula/h/hello.rb"
SOURCE = "724fcb74388afb40cbf5cb01ccf649f08334000282fdd709990f97effbb9b3ed"
NOWHERE = "7" * 40


class Tap:
    """The tap's clone, in which a pull request's merge commit lies beside the branch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        repository = make_repository(folder, {HELLO: FILES[HELLO].replace(b"Greets", b"Salutes")})
        self.earlier = str(repository.head.target)
        tree = write_files(repository, FILES)
        self.built = str(repository.create_commit(None, SIGNATURE, SIGNATURE, "Merge", tree, []))
        self.published = commit(repository, {**FILES, "README.md": b"x\n"})
        repository.free()

    def edit(self, change: Callable[[bytes], bytes]) -> None:
        """Commit another text of the formula to the branch."""
        repository = pygit2.Repository(str(self.folder))
        commit(repository, {**FILES, HELLO: change(FILES[HELLO])})
        repository.free()


@pytest.fixture
def tap(tmp_path: Path) -> Tap:
    return Tap(tmp_path / "tap")


def make_bundle(
    world: World, commit_id: str, change: Callable[[JsonObject], object] = lambda _: None, **job: Any
) -> bytes:
    """Return an attestation of hello's bottle for this machine, of our own build type."""
    bottle = bottle_of(world.ground.formulae[NAME])
    made = fixture_build(JOBS[FIXTURE_TAP], bottle.file_name, commit=commit_id, **job)
    predicate = made.predicate()
    change(predicate)
    statement = build_statement([build_subject(str(bottle.file_name), bottle.digest.value)], predicate)
    return encode_json(world.ground.sigstore.attest(statement, JOBS[FIXTURE_TAP], at=SIGNED_AT))


def attest(world: World, *bundle: Any, **job: Any) -> None:
    world.put("hello", make_bundle(world, *bundle, **job), tap=FIXTURE_TAP)


def in_hand() -> Path:
    return FIXTURES / "bottles" / "hello--3.0.1.x86_64_linux.bottle.tar.gz"


def check(run: Run, world: World, tap: Tap, *arguments: object, code: int = 0) -> str:
    result = run("check", *arguments, "--tap", FIXTURE_TAP, "--tap-dir", tap.folder, *world.options)
    assert result.code == code, result.out + result.err
    return result.out


def test_formula_and_builder_are_told(run: Run, world: World, tap: Tap) -> None:
    attest(world, tap.built)
    out = check(run, world, tap, "hello")
    repository = "https://github.com/brew-provenance/homebrew-fixtures"
    assert f"built from: {repository}/blob/{tap.built}/{HELLO} (refs/pull/71/merge)" in out
    assert f"built by: {repository}/.github/workflows/tests.yml@refs/pull/71/merge" in out
    assert "built on: GitHub Actions" in out
    assert "the tap's file at that commit is the attested one" in out
    assert "not proved" not in out


def test_the_bottle_in_hand_is_looked_into(run: Run, world: World, tap: Tap) -> None:
    attest(world, tap.built)
    out = check(run, world, tap, in_hand())
    assert "the formula in the bottle is the attested one; the tap's file at that commit" in out


def test_a_commit_that_went_away_is_told_and_the_content_decides(run: Run, world: World, tap: Tap) -> None:
    attest(world, NOWHERE)
    out = check(run, world, tap, "hello")
    assert f"note: commit {NOWHERE}" in out
    assert "the tap's present file is the attested one" in out
    tap.edit(
        lambda text: text.replace(b"arm64_tahoe", b"arm64_sequoia2").replace(
            b"arm64_sequoia2", b"arm64_tahoe"
        )
    )
    assert "the formula in the bottle is the attested one" in check(run, world, tap, in_hand())


def test_a_tap_goes_on_editing(run: Run, world: World, tap: Tap) -> None:
    tap.edit(lambda text: text.replace(b"Greets", b"Salutes"))
    attest(world, tap.built)
    out = check(run, world, tap, "hello")
    assert "the tap's file at that commit is the attested one" in out
    assert "Salutes" in out


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace(SOURCE.encode(), b"5" * 64), "formula-source-mismatch"),
        (
            lambda text: text.replace(b'license "BSD', b'revision 1\n  license "BSD'),
            "formula-version-mismatch",
        ),
    ],
)
def test_a_commit_that_describes_another_bottle_is_rejected(
    change: Callable[[bytes], bytes], code: str, run: Run, world: World, tap: Tap
) -> None:
    repository = pygit2.Repository(str(tap.folder))
    other = change(FILES[HELLO])
    tree = write_files(repository, {**FILES, HELLO: other})
    elsewhere = str(repository.create_commit(None, SIGNATURE, SIGNATURE, "Merge", tree, []))
    repository.free()

    def without_source(predicate: JsonObject) -> None:
        predicate["buildDefinition"]["resolvedDependencies"].pop()

    attest(world, elsewhere, without_source, formula=other, packed=without_bottle_block(other))
    assert code in check(run, world, tap, "hello", code=3)
    # The formula in the bottle is another one than that, too.
    assert "formula-text-mismatch" in check(run, world, tap, in_hand(), code=3)


def test_a_pin_that_the_tap_contradicts_is_a_lie(run: Run, world: World, tap: Tap) -> None:
    attest(world, tap.earlier)
    for what in ("hello", in_hand()):
        assert "formula-file-mismatch" in check(run, world, tap, what, code=3)


def test_a_shallow_clone_has_no_such_commit(run: Run, world: World, tap: Tap, tmp_path: Path) -> None:
    attest(world, tap.built)
    clone = tmp_path / "clone"
    shutil.copytree(tap.folder, clone)
    for commit_id in (tap.built, tap.earlier):
        path = clone / "objects" / commit_id[:2] / commit_id[2:]
        path.chmod(0o644)
        path.unlink()
    result = run("check", "hello", "--tap", FIXTURE_TAP, "--tap-dir", clone, *world.options)
    assert result.code == 0, result.out + result.err
    assert f"note: commit {tap.built}" in result.out


def test_json_tells_the_build(run: Run, world: World, tap: Tap) -> None:
    attest(world, tap.built)
    document = json.loads(check(run, world, tap, "hello", "--format", "json", "--explain"))
    (attestation,) = document["verdicts"][0]["attestations"]
    assert attestation["build"]["formula"]["commit"] == tap.built
    assert attestation["build"]["runner"]["environment"] == "github-hosted"
    codes = [finding["code"] for finding in attestation["findings"]]
    assert codes == ["builder-bound", "formula-content-matches", "formula-bound"]
    formula = next(step for step in attestation["steps"] if step["step"] == 8)
    assert formula["status"] == "passed"


def test_a_policy_can_demand_a_builder(run: Run, world: World, tap: Tap, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    text = f"""\
schema = 1
name = "adopted"
tap = "{FIXTURE_TAP}"
[[signer]]
name = "publish"
source-repository = "brew-provenance/homebrew-fixtures"
source-refs = ["refs/heads/main"]
build-types = ["bottle-build"]
"""
    attest(world, tap.built)
    policy.write_text(text + 'builders = [".github/workflows/tests.yml"]\n', encoding="utf-8")
    check(run, world, tap, "hello", "--policy", policy)
    policy.write_text(text + 'builders = [".github/workflows/other.yml"]\n', encoding="utf-8")
    assert "builder-not-allowed" in check(run, world, tap, "hello", "--policy", policy, code=3)


def test_plain_provenance_does_not_satisfy_a_tap_that_demands_more(
    run: Run, world: World, tap: Tap, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'schema = 1\nname = "adopted"\ntap = "{FIXTURE_TAP}"\n[[signer]]\nname = "publish"\n'
        'source-repository = "brew-provenance/homebrew-fixtures"\nsource-refs = ["refs/heads/main"]\n'
        'build-types = ["bottle-build"]\n',
        encoding="utf-8",
    )
    world.attest("hello", tap=FIXTURE_TAP)
    check(run, world, tap, "hello")
    assert "build-type-not-allowed" in check(run, world, tap, "hello", "--policy", policy, code=3)


def test_a_bottle_that_the_tap_does_not_describe_any_more_is_looked_into(
    run: Run, world: World, tap: Tap, tmp_path: Path
) -> None:
    tap.edit(lambda text: text.replace(b"3.0.1", b"3.0.2"))
    attest(world, tap.built)
    out = check(run, world, tap, in_hand())
    assert "the formula in the bottle is the attested one; the tap's file at that commit" in out


def test_such_a_bottle_with_another_formula_in_it_is_rejected(run: Run, world: World, tap: Tap) -> None:
    tap.edit(lambda text: text.replace(b"3.0.1", b"3.0.2"))
    attest(world, NOWHERE, formula=b"class Hello < Formula\nend\n", packed=None)
    assert "formula-text-mismatch" in check(run, world, tap, in_hand(), code=3)


def test_verify_looks_into_the_bottle_too(run: Run, world: World, tmp_path: Path) -> None:
    root, bundle = tmp_path / "trusted.json", tmp_path / "bundle.json"
    root.write_bytes(encode_json(world.ground.sigstore.trusted_root()))
    given = ("--repo", JOBS[FIXTURE_TAP].repository, "--trusted-root", root, "--offline", "--bundle", bundle)
    bundle.write_bytes(make_bundle(world, NOWHERE))
    result = run("verify", in_hand(), *given)
    assert result.code == 0, result.out
    assert "the formula in the bottle is the attested one" in result.out
    bundle.write_bytes(make_bundle(world, NOWHERE, formula=b"class Hello < Formula\nend\n", packed=None))
    result = run("verify", in_hand(), *given)
    assert (result.code, "formula-text-mismatch" in result.out) == (3, True)
    digest = bottle_of(world.ground.formulae[NAME]).digest
    result = run("verify", digest, *given)
    assert result.code == 0
    assert "not proved: Whether the formula commit that is attested describes the bottle" in result.out


def test_the_fixtures_pack_what_the_builds_pin() -> None:
    name = BottleFileName.parse(in_hand().name)
    _, found = examine_bottle(in_hand(), name.formula, name.version)
    assert isinstance(found, PackedFormula)
    assert found.text == without_bottle_block(FILES[HELLO])


def test_an_audit_records_formula_and_builder(run: Run, world: World, tap: Tap, tmp_path: Path) -> None:
    attest(world, tap.built)
    given = ("--tap-dir", tap.folder, "--ledger", tmp_path / "ledger.sqlite", *world.options[2:])
    arguments = ("audit", "run", FIXTURE_TAP, "--formula", "hello", "--tag", "x86_64_linux", *given)
    result = run(*arguments, "--format", "json")
    assert result.code == 0, result.out + result.err
    (bottle,) = json.loads(result.out)["bottles"]
    evidence = bottle["evidence"]
    assert evidence["formula_commit"] == tap.built
    assert evidence["builder"].endswith("/.github/workflows/tests.yml@refs/pull/71/merge")
    assert evidence["build_runner"].startswith("GitHub Actions")
    assert [finding["code"] for finding in bottle["findings"]] == [
        "builder-bound",
        "formula-content-matches",
        "formula-bound",
    ]


def test_an_audit_rejects_a_pin_that_the_tap_contradicts(
    run: Run, world: World, tap: Tap, tmp_path: Path
) -> None:
    attest(world, tap.earlier)
    given = ("--tap-dir", tap.folder, "--ledger", tmp_path / "ledger.sqlite", *world.options[2:])
    result = run("audit", "run", FIXTURE_TAP, "--formula", "hello", "--tag", "x86_64_linux", *given)
    assert result.code == 3
    assert "formula-file-mismatch" in result.out


def test_inspect_shows_the_build(run: Run, world: World, tap: Tap, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(make_bundle(world, tap.built))
    root = tmp_path / "trusted.json"
    root.write_bytes(encode_json(world.ground.sigstore.trusted_root()))
    result = run("inspect", bundle, "--trusted-root", root, "--offline")
    assert result.code == 0
    assert "[build record] buildDefinition.internalParameters.runner.name" in result.out
