"""`kit`: what a world over HTTP answers, written down, and checked again where there is no network."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pygit2
import pytest
from tests.integration.conftest import Result, Run
from tests.integration.world import (
    CORE,
    FIXTURE_TAP,
    FIXTURES,
    JOBS,
    Front,
    World,
)

from brew_provenance.sandbox.github import faults
from brew_provenance.stores.kit import Kit

Export = Callable[..., Result]

LISTS = "*/attestations/*"
NAMES = ["farewell", "greeter", "hello", "hello+plus", "hello@2", "salutations"]


@pytest.fixture
def world(world: World) -> World:
    attest(world, "hello", "salutations")
    return world


def attest(world: World, *names: str, tap: str = CORE) -> None:
    """Attest every bottle of formulae, for whichever tag."""
    for name in names:
        world.service.store.add(JOBS[tap].repository, world.ground.bundles[f"{tap}/{name}"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kit"


@pytest.fixture
def export(run: Run, world: World) -> Export:
    return lambda folder, *arguments: run("kit", "export", folder, *arguments, *world.options)


@pytest.fixture
def tap_repository(tmp_path: Path) -> Path:
    """The tap's git repository, as a clone of it would be."""
    folder = tmp_path / "homebrew-fixtures"
    shutil.copytree(FIXTURES / "Formula", folder / "Formula")
    repository = pygit2.init_repository(str(folder))
    repository.index.add_all()
    author = pygit2.Signature("tap", "tap@example.org", 1767225600, 0)
    repository.create_commit("HEAD", author, author, "Our formulae", repository.index.write_tree(), [])
    repository.free()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def formulae(folder: Path) -> list[str]:
    return [formula.full_name for formula in Kit(folder).formulae()]


def check(run: Run, world: World, folder: Path, *names: str) -> Result:
    """Check against a kit, offline, under the root that the world's Sigstore has."""
    return run(
        *("check", *names, "--kit", folder, "--offline", "--trusted-root", world.folder / "root.json"),
        *("--tag", "x86_64_linux", "--format", "json"),
    )


def outcomes(result: Result) -> dict[str, str]:
    document = json.loads(result.out)
    return {
        verdict["artifact"]["label"].partition(" ")[0]: verdict["outcome"] for verdict in document["verdicts"]
    }


# --- export ---------------------------------------------------------------------------------------


def test_a_kit_answers_offline_what_the_world_answered(
    run: Run, export: Export, world: World, folder: Path, front: tuple[Front, str]
) -> None:
    world.put("farewell", world.ground.forge(f"{CORE}/farewell", "commit-lie"))

    result = export(folder, "hello", "greeter", "farewell")
    front[0].world = None
    checked = check(run, world, folder, "hello", "greeter", "farewell")

    assert result.code == 0
    assert result.out == f"{folder}: a kit for 11 bottles of 3 formulae, 4 without attestation\n"
    assert checked.code == 3
    assert outcomes(checked) == {"hello": "verified", "greeter": "unattested", "farewell": "rejected"}


def test_a_kit_is_for_all_tags_of_what_is_named(export: Export, folder: Path) -> None:
    assert export(folder, "hello", "homebrew/core/salutations", "hi").code == 0
    assert formulae(folder) == ["homebrew/core/hello", "homebrew/core/salutations"]
    tags = [bottle.tag for bottle in Kit(folder).formula("homebrew/core/hello").bottles]
    assert len(tags) == 6
    assert len(list((folder / "attestations").iterdir())) == 7


def test_a_kit_holds_what_is_needed_where_that_is_asked_for(export: Export, folder: Path) -> None:
    export(folder, "greeter")
    assert formulae(folder) == ["homebrew/core/greeter"]
    export(folder, "greeter", "--deps")
    assert formulae(folder) == ["homebrew/core/greeter", "homebrew/core/hello"]


def test_a_kit_for_what_is_installed(export: Export, world: World, folder: Path) -> None:
    world.install("hello")
    world.install("hello", "2.9", link=False)
    world.install("salutations")

    result = export(folder, "--installed")

    assert result.code == 0
    assert formulae(folder) == ["homebrew/core/hello", "homebrew/core/salutations"]


def test_what_is_installed_and_cannot_be_had_is_left_out_and_told(
    export: Export, world: World, folder: Path
) -> None:
    world.install("hello")
    world.install("greeter", receipt=False, link=False)
    world.install("dropped", "1.0", link=False)

    result = export(folder, "--installed", "salutations")

    assert result.code == 5
    assert formulae(folder) == ["homebrew/core/hello", "homebrew/core/salutations"]
    assert "left out: homebrew/core/dropped: homebrew/core has no formula of that name" in result.err
    assert "greeter/0.9.3: without INSTALL_RECEIPT.json" in result.err


def test_a_formula_that_was_named_is_not_left_out_silently(export: Export, folder: Path) -> None:
    result = export(folder, "hello", "nowhere")
    assert result.code == 2
    assert "nowhere" in result.err
    assert not (folder / "index.json").exists()


def test_a_whole_tap_out_of_its_git_repository(
    run: Run, export: Export, world: World, folder: Path, tap_repository: Path
) -> None:
    attest(world, *NAMES, tap=FIXTURE_TAP)

    result = export(folder, "--tap", FIXTURE_TAP, "--tap-dir", tap_repository)

    assert result.code == 0
    assert "16 bottles of 7 formulae, 0 without attestation" in result.out
    assert formulae(folder) == [f"{FIXTURE_TAP}/{name}" for name in sorted([*NAMES, "draft"])]
    verified = run("kit", "verify", folder, "--offline", "--trusted-root", world.folder / "root.json")
    assert verified.code == 0
    assert "16 bottles: 16 verified" in verified.out
    # What was read out of Ruby is what the tap's own descriptions say.
    for name in NAMES:
        described = Kit(folder).formula(f"{FIXTURE_TAP}/{name}")
        wanted = world.ground.formulae[f"{FIXTURE_TAP}/{name}"]
        assert [(bottle.file_name, bottle.digest) for bottle in described.bottles] == [
            (bottle.file_name, bottle.digest) for bottle in wanted.bottles
        ]


def test_a_whole_tap_with_what_its_formulae_need(
    export: Export, world: World, folder: Path, tap_repository: Path
) -> None:
    with (tap_repository / "Formula" / "g" / "greeter.rb").open("r+", encoding="utf-8") as stream:
        text = stream.read().replace(f'"{FIXTURE_TAP}/hello"', '"homebrew/core/salutations"')
        stream.seek(0)
        stream.truncate()
        stream.write(text)
    repository = pygit2.Repository(str(tap_repository))
    repository.index.add_all()
    author = pygit2.Signature("tap", "tap@example.org", 1767225600, 0)
    tree = repository.index.write_tree()
    repository.create_commit("HEAD", author, author, "Need another", tree, [repository.head.target])
    repository.free()
    of_tap = ["--tap", FIXTURE_TAP, "--tap-dir", tap_repository]

    export(folder, *of_tap)
    assert "homebrew/core/salutations" not in formulae(folder)
    export(folder, *of_tap, "--deps")
    assert "homebrew/core/salutations" in formulae(folder)
    assert (folder / "policies" / "homebrew" / "core.toml").is_file()
    assert (folder / "policies" / f"{FIXTURE_TAP}.toml").is_file()


def test_many_bottles_are_one_look_up(export: Export, world: World, folder: Path) -> None:
    world.service.backend.options = replace(world.service.backend.options, bulk_requires_token=False)
    attest(world, *NAMES)
    assert export(folder, *NAMES).code == 0
    assert world.service.log.count("POST", "*/bulk-list") == 1
    assert world.service.log.count("GET", LISTS) == 0


def test_the_same_answers_give_the_same_bytes(export: Export, world: World, tmp_path: Path) -> None:
    for kit in ("one", "two", "one"):
        assert export(tmp_path / kit, "salutations", "hello").code == 0
        shutil.rmtree(world.folder / "cache" / "brew-provenance" / "attestations")
    assert export(tmp_path / "three", "hello", "salutations").code == 0
    assert export(tmp_path / "four", "hello", "salutations").code == 0
    kits = [contents(tmp_path / kit) for kit in ("one", "two", "three", "four")]
    assert all(kit == kits[0] for kit in kits[1:])


def test_what_is_remembered_is_not_asked_for_unless_it_has_to_be(
    export: Export, world: World, folder: Path
) -> None:
    export(folder, "salutations")
    asked = world.service.log.total
    export(folder, "salutations")
    assert world.service.log.total == asked
    export(folder, "salutations", "--refresh")
    assert world.service.log.total == asked + 1


def test_bringing_a_kit_up_to_date_removes_what_is_gone(
    export: Export, world: World, folder: Path, tmp_path: Path
) -> None:
    export(folder, "hello", "salutations", "greeter")
    world.service.store.delete(range(100))
    attest(world, "hello")

    assert export(folder, "hello", "greeter", "--refresh").code == 0
    export(tmp_path / "clean", "hello", "greeter")

    assert contents(folder) == contents(tmp_path / "clean")
    assert not list(folder.rglob("*salutations*"))


def test_an_export_that_was_killed_is_finished_by_running_it_again(
    run: Run, export: Export, world: World, folder: Path, tmp_path: Path
) -> None:
    world.service.faults.inject(faults.slow_headers(60), None, path=LISTS)
    arguments = ["kit", "export", folder, "hello", "salutations", *world.options]
    with subprocess.Popen(
        [sys.executable, "-m", "brew_provenance", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 60
        while not world.service.log.count("GET", LISTS):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    world.service.faults.clear()

    assert contents(folder)
    assert run("kit", "verify", folder).code == 2
    assert check(run, world, folder, "hello").code == 2
    assert export(folder, "hello", "salutations").code == 0
    export(tmp_path / "clean", "hello", "salutations")
    assert contents(folder) == contents(tmp_path / "clean")
    assert outcomes(check(run, world, folder, "hello")) == {"hello": "verified"}


def test_what_the_store_could_not_answer_is_left_out_and_told(
    run: Run, export: Export, world: World, folder: Path
) -> None:
    export(folder, "hello", "salutations")
    shutil.rmtree(world.folder / "cache" / "brew-provenance" / "attestations")
    world.service.faults.inject(faults.respond(401), None, path=f"*/sha256:{world.sha256('hello')}")

    result = export(folder, "hello", "salutations")

    assert result.code == 5
    assert "a kit for 6 bottles of 2 formulae" in result.out
    (note,) = result.err.splitlines()
    name = "hello--3.0.1.x86_64_linux.bottle.tar.gz"
    assert re.fullmatch(rf"note: left out: {name}, access-denied: 127.0.0.1:\d+ answered 401", note)
    checked = check(run, world, folder, "hello", "salutations")
    assert checked.code == 5
    assert outcomes(checked) == {"hello": "unresolved", "salutations": "verified"}
    assert "store-has-no-answer" in checked.out
    assert not (folder / "attestations" / f"sha256-{world.sha256('hello')}.jsonl").exists()


def test_a_store_that_is_down_leaves_out_everything_and_says_it_shortly(
    export: Export, world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brew_provenance.cli.kit._MAX_NOTES", 4)
    world.service.faults.inject(faults.respond(401), None)

    result = export(folder, *NAMES)

    assert result.code == 5
    assert "a kit for 0 bottles of 6 formulae" in result.out
    notes = result.err.splitlines()
    assert len(notes) == 5
    assert notes[-1] == "note: left out: 12 more"
    assert Kit(folder).altered_files() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing is named"),
        (["a b"], "not the name of a formula"),
        (["--installed"], "set HOMEBREW_PREFIX"),
        (["hello", "--commit", "HEAD"], "--tap-dir"),
    ],
)
def test_what_cannot_be_exported_is_said(
    arguments: list[str], said: str, export: Export, folder: Path
) -> None:
    result = export(folder, *arguments)
    assert result.code == 2
    assert said in result.err
    assert "\nnext: " in result.err
    assert not (folder / "index.json").exists()


def test_nothing_installed_does_not_empty_a_kit(export: Export, world: World, folder: Path) -> None:
    export(folder, "hello")
    before = contents(folder)
    world.cellar.mkdir()

    result = export(folder, "--installed")

    assert result.code == 2
    assert contents(folder) == before


def test_a_folder_of_something_else_is_left_alone(export: Export, folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine", encoding="utf-8")
    result = export(folder, "hello")
    assert result.code == 2
    assert "holds something else than a kit" in result.err
    assert contents(folder) == {"thesis.txt": b"mine"}
    file = folder / "thesis.txt"
    assert export(file, "hello").code == export(file / "kit", "hello").code == 2
    assert contents(folder) == {"thesis.txt": b"mine"}


# --- what a kit is good for -----------------------------------------------------------------------


@pytest.fixture
def moved(export: Export, folder: Path, tmp_path: Path) -> Path:
    """A kit with an attested, an unattested and a merged bottle, copied to where it will be used."""
    assert export(folder, "hello", "greeter", "salutations").code == 0
    shutil.copytree(folder, tmp_path / "elsewhere")
    shutil.rmtree(folder)
    return tmp_path / "elsewhere"


def test_a_kit_that_was_copied_checks_offline(run: Run, world: World, moved: Path) -> None:
    asked = world.service.log.total
    checked = check(run, world, moved, "hello", "salutations")
    assert checked.code == 0
    assert outcomes(checked) == {"hello": "verified", "salutations": "verified"}
    assert world.service.log.total == asked


def test_a_kits_root_and_policy_count_for_whoever_names_them(run: Run, moved: Path) -> None:
    arguments = ["check", "hello", "--kit", moved, "--offline", "--tag", "x86_64_linux"]
    alone = run(*arguments)
    named = run(
        *arguments,
        *("--trusted-root", moved / "trusted_root.jsonl"),
        *("--policy", moved / "policies" / "homebrew" / "core.toml"),
    )
    assert (alone.code, named.code) == (3, 0)
    assert "certificate-untrusted" in alone.out
    assert "not the built-in one" in named.out
    assert "policy: homebrew-core, from a file" in named.out


def without_network() -> list[str]:
    """Return what runs a program without any network; skips where nothing does."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare here")
    tried = subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"unshare -rn is not allowed here: {tried.stderr.decode().strip()}")
    return [unshare, "-rn"]


@pytest.mark.parametrize(("names", "code"), [(["hello", "salutations"], 0), (["hello", "greeter"], 4)])
def test_a_kit_is_enough_where_there_is_no_network_at_all(names: list[str], code: int, moved: Path) -> None:
    root = moved / "trusted_root.jsonl"
    arguments: list[Any] = ["check", *names, "--kit", moved, "--offline", "--trusted-root", root]
    done = subprocess.run(
        [
            *without_network(),
            *(sys.executable, "-m", "brew_provenance"),
            *map(str, arguments),
            *("--tag", "x86_64_linux"),
        ],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith("verified    hello 3.0.1")


# --- verify ---------------------------------------------------------------------------------------


def verify(run: Run, world: World, folder: Path, *arguments: object) -> Result:
    root = world.folder / "root.json"
    return run("kit", "verify", folder, "--offline", "--trusted-root", root, *arguments)


def test_a_kit_is_verified_file_by_file_and_bottle_by_bottle(run: Run, world: World, moved: Path) -> None:
    result = verify(run, world, moved)
    assert result.code == 4
    assert "9 bottles: 7 verified, 2 unattested" in result.out
    quiet = verify(run, world, moved, "--quiet", "--format", "json")
    assert len(json.loads(quiet.out)["verdicts"]) == 9


def alter(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def swap(path: Path) -> None:
    """Put one file of a kit in the place of another."""
    raw = path.read_bytes()
    other = next(item for item in path.parent.iterdir() if item.read_bytes() != raw)
    shutil.copy(other, path)


def link_elsewhere(path: Path) -> None:
    """Have a file of the kit lie somewhere else, and be another one there."""
    elsewhere = path.parents[2] / "elsewhere.file"
    elsewhere.write_bytes(b"{}")
    path.unlink()
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("spoil", [alter, swap, Path.unlink, link_elsewhere])
@pytest.mark.parametrize("which", ["attestations/*.jsonl", "formulae/homebrew/core/*.json"])
def test_a_file_that_is_not_the_one_of_the_index_is_named(
    spoil: Callable[[Path], None], which: str, run: Run, world: World, moved: Path
) -> None:
    spoiled = min(moved.glob(which))
    spoil(spoiled)
    result = verify(run, world, moved)
    assert result.code == 2
    assert str(spoiled.relative_to(moved)) in result.err
    assert "verified" not in result.out


@pytest.mark.parametrize("name", ["README", "attestations/sha256-00.jsonl", "formulae/x.json", ".hidden"])
def test_a_file_that_the_index_does_not_list_is_named(name: str, run: Run, world: World, moved: Path) -> None:
    (moved / name).write_text("{}", encoding="utf-8")
    result = verify(run, world, moved)
    assert result.code == 2
    assert f"{name}: the index does not list it" in result.err


def test_of_many_problems_the_first_is_named_and_the_others_are_counted(
    run: Run, world: World, moved: Path
) -> None:
    shutil.rmtree(moved / "attestations")
    result = verify(run, world, moved)
    assert result.code == 2
    assert ", and 6 more" in result.err


@pytest.mark.parametrize(
    "path",
    [
        "../secret.json",
        "attestations/../../secret.json",
        "/etc/hostname",
        "formulae/../../secret.json",
        "formulae/homebrew/core/../../../../secret.json",
        "policies/../secret.toml",
        "index.json",
        "trusted_root.json",
        "attestations/sha256-00.jsonl/x",
        "attestations\\secret.jsonl",
        "",
    ],
)
def test_an_index_that_leads_out_of_the_kit_is_refused(
    path: str, run: Run, world: World, moved: Path
) -> None:
    index = json.loads((moved / "index.json").read_text(encoding="utf-8"))
    index["files"][path] = "0" * 64
    (moved / "index.json").write_text(json.dumps(index), encoding="utf-8")
    for result in (verify(run, world, moved), check(run, world, moved, "hello")):
        assert result.code == 2
        assert "not the path of a file in a kit" in result.err
        assert result.out == ""


def test_a_folder_that_leads_elsewhere_is_not_written_into(
    export: Export, world: World, moved: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    shutil.move(moved / "attestations", outside)
    (moved / "attestations").symlink_to(outside)
    before = contents(outside)
    attest(world, "farewell")
    result = export(moved, "farewell")
    assert result.code == 2
    assert "leads out of the kit" in result.err
    assert contents(outside) == before


@pytest.mark.parametrize("option", ["--kit", "--tap-dir", "--github-api"])
def test_a_kit_is_verified_by_what_is_in_it_alone(option: str, run: Run, folder: Path) -> None:
    result = run("kit", "verify", folder, option, "elsewhere")
    assert result.code == 2
    assert f"No such option: {option}" in result.err or f"No such option '{option}'" in result.err


def test_a_kit_without_bottles_has_nothing_to_verify(
    run: Run, export: Export, world: World, folder: Path
) -> None:
    assert export(folder, "draft").code == 0
    result = verify(run, world, folder)
    assert result.code == 2
    assert "the kit describes no bottle" in result.err
