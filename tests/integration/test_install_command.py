"""`install`, `upgrade` and `reinstall` against a brew that is a script, an API and a store on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.integration.conftest import Result, Run
from tests.integration.world import (
    CORE,
    FIXTURE_TAP,
    FIXTURES,
    TAG,
    World,
    environment,
    names_of,
)

from brew_provenance import install as install_module
from brew_provenance.install import Brew, Verb
from brew_provenance.sandbox.github import faults
from brew_provenance.sandbox.github.exchange import Call, Reply

QUESTIONS = ["--cellar", "--prefix"]
CALLS = ["update-if-needed", "fetch", "--cache"]
VERBS = [verb.value for verb in Verb]

Arrange = Callable[[World], None]


def pours(world: World) -> list[list[str]]:
    """Return the calls that could have poured something."""
    return [call.argv for call in world.brew.calls if call.argv[0] in VERBS]


def assert_nothing_was_poured(result: Result, world: World, code: int, kegs: set[str] | None = None) -> None:
    """Hold a run to what every failure promises: brew's install uncalled, and no traceback."""
    assert (result.code, pours(world)) == (code, [])
    assert "Traceback" not in result.err + result.out
    assert world.kegs() == (kegs or set())
    assert code != 2 or "\nnext: " in result.err


def outcomes(result: Result) -> dict[str, str]:
    """Return the outcome of each bottle, by the file name or label in a JSON result."""
    document = json.loads(result.out)
    return {
        verdict["artifact"]["label"].partition(" ")[0]: verdict["outcome"] for verdict in document["verdicts"]
    }


# --- what brew is called for ---------------------------------------------------------------------


def test_brew_is_called_in_order_and_pours_what_was_checked(run: Run, world: World) -> None:
    world.attest("hello")

    result = run("install", "hello", *world.options)

    assert result.code == 0
    assert world.brew.commands == ["update-if-needed", *QUESTIONS, "fetch", "--cache", "install"]
    assert pours(world) == [["install", "--formula", "hello"]]
    assert world.brew.poured == {"hello": world.sha256("hello")}
    assert world.kegs() == {"hello/3.0.1"}
    assert result.out.startswith("verified    hello 3.0.1 (x86_64_linux)")
    assert "note:" not in result.err


def test_all_that_a_formula_needs_is_fetched_and_checked_and_brew_is_asked_for_what_was_named(
    run: Run, world: World
) -> None:
    world.attest("hello", "greeter")

    result = run("install", "greeter", *world.options, "--format", "json")

    by_command = {call.argv[0]: call for call in world.brew.calls}
    assert names_of(by_command["fetch"]) == ["greeter", "hello"]
    assert names_of(by_command["--cache"]) == ["greeter", "hello"]
    assert names_of(by_command["install"]) == ["greeter"]
    verdicts = json.loads(result.out)["verdicts"]
    assert {verdict["outcome"] for verdict in verdicts} == {"verified"}
    assert world.brew.poured == {
        verdict["artifact"]["bottle"]["formula"]: verdict["artifact"]["digests"]["sha256"]
        for verdict in verdicts
    }
    hashed = {finding["detail"] for verdict in verdicts for finding in verdict["findings"]}
    assert all(any(sha256 in detail for detail in hashed) for sha256 in world.brew.poured.values())
    assert result.code == 0


def test_nothing_changes_while_something_is_checked_and_poured(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEBREW_FORCE_API_AUTO_UPDATE", "1")
    monkeypatch.setenv("HOMEBREW_NO_AUTO_UPDATE", "")
    world.attest("hello")

    assert run("install", "hello", *world.options).code == 0

    update, *others = world.brew.calls
    assert update.argv == ["update-if-needed"]
    assert "HOMEBREW_NO_INSTALLED_DEPENDENTS_CHECK" not in update.environment
    for call in others:
        assert call.environment["HOMEBREW_NO_AUTO_UPDATE"] == "1"
        assert call.environment["HOMEBREW_NO_INSTALLED_DEPENDENTS_CHECK"] == "1"
        assert call.environment["HOMEBREW_FORCE_API_AUTO_UPDATE"] == ""


def test_files_in_the_current_folder_bear_no_formulas_name(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.folder / "hello").write_text("", encoding="utf-8")
    monkeypatch.chdir(world.folder)
    world.attest("hello")

    assert run("install", "hello", *world.options).code == 0
    assert {call.cwd for call in world.brew.calls} == {"/"}


def test_what_is_installed_is_not_fetched(run: Run, world: World) -> None:
    world.install("hello")
    world.attest("greeter")

    result = run("install", "greeter", *world.options)

    assert result.code == 0
    assert names_of(world.brew.calls[3]) == ["greeter"]
    assert world.brew.poured == {"greeter": world.sha256("greeter")}


@pytest.mark.parametrize("verb", ["install", "upgrade"])
def test_brew_is_not_called_for_what_is_installed(verb: str, run: Run, world: World) -> None:
    world.install("hello")
    world.attest("salutations")

    alone = run(verb, "hello", *world.options)
    assert_nothing_was_poured(alone, world, 0, {"hello/3.0.1"})
    assert "homebrew/core/hello is installed, which is not checked" in alone.err
    assert "fetch" not in world.brew.commands

    beside = run(verb, "hello", "salutations", *world.options, "--", "--force")
    assert beside.code == 0
    assert pours(world) == [[verb, "--formula", "salutations", "--force"]]


@pytest.mark.parametrize(
    "present",
    [{"version": "3.0.0"}, {"receipt": False}, {"link": False}],
    ids=["an older version", "a folder without a receipt", "a keg without its link"],
)
@pytest.mark.parametrize("name", ["hello", "greeter"])
def test_what_brew_would_not_take_for_installed_is_checked(
    name: str, present: dict[str, str], run: Run, world: World
) -> None:
    """brew would pour hello in each of these cases, also where another formula needs it."""
    world.install("hello", **present)  # type: ignore[arg-type]

    result = run("install", name, *world.options, "--format", "json")

    assert outcomes(result)["hello"] == "unattested"
    assert (result.code, pours(world)) == (4, [])


def test_no_variable_hides_the_cellar(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.install("hello")
    world.cellar.rename(world.folder / "elsewhere")
    monkeypatch.setenv("HOMEBREW_CELLAR", str(world.folder / "elsewhere"))

    result = run("install", "hello", *world.options)

    assert_nothing_was_poured(result, world, 4)


def test_the_file_that_is_hashed_is_the_one_that_brew_names(run: Run, world: World) -> None:
    """An env file that only we would follow leads to a good bottle; brew's cache holds another one."""
    world.attest("hello")
    tamper(world)
    good = world.folder / "good"
    good.mkdir()
    (bad,) = (world.cache / "downloads").iterdir()
    (good / "downloads").mkdir()
    shutil.copyfile(bottle_file("hello"), good / "downloads" / bad.name)
    (world.folder / "home" / ".homebrew").mkdir(parents=True)
    (world.folder / "home" / ".homebrew" / "brew.env").write_text(
        f"HOMEBREW_CACHE={good}\n", encoding="utf-8"
    )

    assert_nothing_was_poured(run("install", "hello", *world.options), world, 3)


def test_an_upgrade_without_names_is_of_what_is_outdated(run: Run, world: World) -> None:
    world.install("hello", "3.0.0")
    world.install("greeter")
    world.install("farewell", "1.5.2")
    world.install("salutations", "HEAD-abcdef0")
    world.install("dropped", "1.0")
    (world.cellar / "not-a-keg").mkdir()
    (world.prefix / "var" / "homebrew" / "pinned").mkdir(parents=True)
    (world.prefix / "var" / "homebrew" / "pinned" / "farewell").symlink_to(world.cellar)
    world.attest("hello")

    result = run("upgrade", *world.options)

    assert result.code == 0
    assert pours(world) == [["upgrade", "--formula", "hello"]]
    assert world.brew.poured == {"hello": world.sha256("hello")}


@pytest.mark.parametrize("cellar", [True, False])
def test_an_upgrade_of_nothing_pours_nothing(cellar: bool, run: Run, world: World) -> None:
    if cellar:
        world.install("hello")

    result = run("upgrade", *world.options)

    assert_nothing_was_poured(result, world, 0, {"hello/3.0.1"} if cellar else set())
    assert result.err.endswith("note: there is nothing to pour\n")


def test_a_reinstallation_pours_again_what_is_named_alone(run: Run, world: World) -> None:
    world.install("hello")
    world.install("greeter")
    world.attest("greeter")

    result = run("reinstall", "greeter", *world.options)

    assert result.code == 0
    assert names_of(world.brew.calls[3]) == ["greeter"]
    assert pours(world) == [["reinstall", "--formula", "greeter"]]
    assert world.brew.poured == {"greeter": world.sha256("greeter")}
    assert "note:" not in result.err


def test_another_name_is_the_formulas_own_to_brew(run: Run, world: World) -> None:
    world.attest("hello")

    result = run("install", "hi", "hello", "Homebrew/Core/hi", *world.options)

    assert result.code == 0
    assert [names_of(call) for call in world.brew.calls if "--formula" in call.argv] == [["hello"]] * 3


def test_another_taps_formula_keeps_its_full_name(run: Run, world: World) -> None:
    world.attest("greeter", "hello", tap=FIXTURE_TAP)

    result = run("install", f"{FIXTURE_TAP}/greeter", *world.options)

    assert result.code == 0
    assert pours(world) == [["install", "--formula", f"{FIXTURE_TAP}/greeter"]]
    assert world.brew.poured == {
        f"{FIXTURE_TAP}/{name}": world.sha256(name, FIXTURE_TAP) for name in ("hello", "greeter")
    }


@pytest.mark.parametrize("verb", VERBS)
def test_a_name_by_which_brew_would_pour_another_taps_formula_is_refused(
    verb: str, run: Run, world: World
) -> None:
    world.install("hello", "3.0.0", tap="octo/tap")
    world.attest("hello")

    result = run(verb, "hello", *world.options)

    assert_nothing_was_poured(result, world, 2, {"hello/3.0.0"})
    assert "hello 3.0.0 is installed from octo/tap" in result.err


def test_a_dry_run_checks_and_pours_nothing(run: Run, world: World) -> None:
    world.attest("hello")

    good = run("install", "hello", *world.options, "--", "--dry-run")
    bad = run("install", "greeter", *world.options, "--", "-n")

    assert (good.code, bad.code) == (0, 4)
    assert pours(world) == [["install", "--formula", "hello", "--dry-run"]]
    assert world.kegs() == set()
    assert good.out.startswith("verified")


def test_standard_output_is_for_verdicts(world: World) -> None:
    world.attest("hello")

    done = in_a_process(world, "install", "hello", "--format", "json", "--", "--verbose").communicate()

    assert json.loads(done[0])["summary"] == {"verified": 1}
    assert "==> Pouring" in done[1]
    assert world.kegs() == {"hello/3.0.1"}


def in_a_process(world: World, *arguments: str) -> subprocess.Popen[str]:
    """Run the command line in a process group of its own."""
    options = [str(option) for option in world.options]
    if "--" in arguments:
        end = arguments.index("--")
        arguments = (*arguments[:end], *options, *arguments[end:])
    else:
        arguments = (*arguments, *options)
    code = (
        "from brew_provenance.cli import main, pouring\n"
        "from brew_provenance.bottle import BottleTag\n"
        f"pouring.host_tag = lambda: {TAG!r}\n"
        "main()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment(world),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


# --- every way to stop ---------------------------------------------------------------------------


def nothing(world: World) -> None:
    """Leave the world as it is."""


def attested(world: World) -> None:
    """Attest what brew is asked for, and what that needs."""
    world.attest("hello", "greeter")


def forged(world: World) -> None:
    """Put a forgery of hello into the store, of which all the rest is right."""
    world.attest("greeter")
    world.put("hello", world.ground.forge(f"{CORE}/hello", "commit-lie"))


def of_another_repository(world: World) -> None:
    """Have the attestation of another tap in the store of homebrew/core."""
    world.attest("greeter")
    world.put("hello", world.ground.bundles[f"{FIXTURE_TAP}/hello"])


def silent_store(world: World) -> None:
    """Have the store give no answer."""
    attested(world)
    world.service.faults.inject(faults.respond(400), None, path="*")


def bottle_file(name: str) -> Path:
    """Return one of the bottles themselves, by its formula."""
    (path,) = (FIXTURES / "bottles").glob(f"{name}--*.x86_64_linux.bottle*.tar.gz")
    return path


def cache_path(world: World, name: str = "hello") -> Path:
    """Return where brew keeps a bottle, as it says itself."""
    executable = str(world.brew.executable)
    said = subprocess.run([executable, "--cache", name], capture_output=True, encoding="utf-8", check=True)
    world.brew.forget()
    return Path(said.stdout.strip())


def tamper(world: World, content: bytes | None = None) -> None:
    """Have brew's cache hold something else than the bottle, attested as it is."""
    attested(world)
    path = cache_path(world)
    path.parent.mkdir(parents=True)
    path.write_bytes(bottle_file("hello").read_bytes() + b"\0" if content is None else content)


STOPPED: list[tuple[str, str, Arrange, int]] = [
    ("without an attestation", "hello", nothing, 4),
    ("needs something without an attestation", "greeter", lambda world: world.attest("greeter"), 4),
    ("with a forged attestation", "hello", forged, 3),
    ("needs something with a forged attestation", "greeter", forged, 3),
    ("attested by another repository", "hello", of_another_repository, 3),
    ("of a store that does not answer", "hello", silent_store, 5),
    ("of a store that is not there", "hello", lambda world: world.options.extend(["--github-api", DEAD]), 5),
    ("with a byte too many in the cache", "hello", tamper, 3),
    ("with an empty file in the cache", "hello", lambda world: tamper(world, b""), 3),
    (
        "with another attested bottle in its place",
        "hello",
        lambda world: tamper(world, bottle_file("greeter").read_bytes()),
        3,
    ),
    (
        "needs something that is another bottle in the cache",
        "greeter",
        lambda world: tamper(world, bottle_file("farewell").read_bytes()),
        3,
    ),
]
DEAD = "http://127.0.0.1:9"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("name", "arrange", "code"), [row[1:] for row in STOPPED], ids=[row[0] for row in STOPPED]
)
def test_a_bottle_that_is_not_verified_stops_it_and_stays(
    name: str, arrange: Arrange, code: int, verb: str, run: Run, world: World
) -> None:
    arrange(world)
    kegs = set()
    if verb == "upgrade":
        world.install("hello", "3.0.0")
        kegs = {"hello/3.0.0"}
    before = world.cached()

    result = run(verb, name, *world.options)

    assert_nothing_was_poured(result, world, code, kegs)
    assert [command for command in world.brew.commands if command not in QUESTIONS] == CALLS
    there = world.cached()
    assert "hello--3.0.1.x86_64_linux.bottle.tar.gz" in there
    assert before.items() <= there.items()
    assert "nothing was poured; the files stay in brew's download cache" in result.err


def lines(*printed: str) -> Arrange:
    """Have `brew --cache` print lines; `%s` is what it ought to print."""

    def arrange(world: World) -> None:
        attested(world)
        path = str(cache_path(world))
        world.brew.will(lines={"--cache": [line.replace("%s", path) for line in printed]})

    return arrange


def linked(world: World) -> None:
    attested(world)
    path = cache_path(world)
    path.parent.mkdir(parents=True)
    path.symlink_to(bottle_file("hello"))


def in_the_way(world: World) -> None:
    attested(world)
    cache_path(world).mkdir(parents=True)


def pipe(world: World) -> None:
    attested(world)
    path = cache_path(world)
    path.parent.mkdir(parents=True)
    os.mkfifo(path)


def other_bytes_at_another_path(world: World) -> None:
    """Have brew name a file that is rightly called, but for the URL that it came from."""
    attested(world)
    other = world.folder / f"{'0' * 64}--hello--3.0.1.x86_64_linux.bottle.tar.gz"
    shutil.copyfile(bottle_file("hello"), other)
    world.brew.will(lines={"--cache": [str(other)]})


def older_bottle(world: World) -> None:
    """Have brew know of another version than the API that we read."""
    attested(world)
    formulae = json.loads(json.dumps(world.brew.formulae))
    formulae["hello"]["url"] = "https://ghcr.io/v2/homebrew/core/hello/blobs/sha256:" + "1" * 64
    formulae["hello"]["file"] = "hello--3.0.0.x86_64_linux.bottle.tar.gz"
    world.brew.will(formulae=formulae)


def source_instead(world: World) -> None:
    """Have brew build hello from its source."""
    attested(world)
    formulae = json.loads(json.dumps(world.brew.formulae))
    formulae["hello"] |= {"url": "https://example.org/hello-3.0.1.tar.gz", "file": "hello-3.0.1.tar.gz"}
    world.brew.will(formulae=formulae)


def unpacked_before(world: World) -> None:
    """Leave what brew leaves when it is interrupted between unpacking and installing."""
    attested(world)
    rack = world.prefix / "var" / "homebrew" / "tmp" / ".cellar" / "hello"
    (rack / "3.0.1").mkdir(parents=True)
    (rack / "3.0.1.poured").symlink_to(rack / "3.0.1")


def swapped_while_checked(world: World) -> None:
    """Have somebody put another file in the bottle's place while the store is asked."""
    attested(world)
    path = cache_path(world)

    def swap(call: Call, reply: Reply) -> Reply:
        if path.exists():
            other = path.with_name("other")
            other.write_bytes(bottle_file("greeter").read_bytes())
            other.replace(path)
        return reply

    world.service.faults.inject(faults.Fault("a swap", alter=swap), None)


def gone_while_checked(world: World) -> None:
    """Have somebody delete the bottle while the store is asked."""
    attested(world)
    path = cache_path(world)

    def delete(call: Call, reply: Reply) -> Reply:
        path.unlink(missing_ok=True)
        return reply

    world.service.faults.inject(faults.Fault("a deletion", alter=delete), None)


def resigned(world: World) -> None:
    """Have somebody change what the API says after it was signed."""
    attested(world)
    name = f"internal/packages.{TAG}.jws.json"
    world.documents[name] = world.documents[name].replace(b"3.0.1", b"3.0.2")


def fails(command: str) -> Arrange:
    """Have a call of brew fail."""

    def arrange(world: World) -> None:
        attested(world)
        world.brew.will(fails={command: 3}, says={command: "Error: \x1b[31mno\x1b[0m"})

    return arrange


def hangs(command: str) -> Arrange:
    """Have a call of brew never end."""

    def arrange(world: World) -> None:
        attested(world)
        world.brew.will(hangs=[command])

    return arrange


def floods(command: str) -> Arrange:
    """Have a call of brew never end to talk."""

    def arrange(world: World) -> None:
        attested(world)
        world.brew.will(floods=[command])

    return arrange


def speaks(command: str, *printed: str) -> Arrange:
    """Have a call of brew print lines."""

    def arrange(world: World) -> None:
        attested(world)
        world.brew.will(lines={command: printed})

    return arrange


BROKEN: list[tuple[str, str, Arrange, str]] = [
    ("brew names no file", "hello", lines(), "printed 0 lines, and not 1"),
    ("brew names one file too many", "hello", lines("%s", "%s"), "printed 2 lines, and not 1"),
    ("brew names one file too few", "greeter", lines("%s"), "printed 1 lines, and not 2"),
    ("brew names two files the wrong way round", "greeter", lines("%s", "%s"), "describes another bottle"),
    ("brew names a folder", "hello", lines("/"), "describes another bottle"),
    ("brew names nothing", "hello", lines(""), "describes another bottle"),
    ("brew names a file that is called otherwise", "hello", lines("%s.incomplete"), "describes another"),
    ("brew names a file beyond UTF-8", "hello", lines("/\xff\xfe\x00\x1b[2J"), "describes another bottle"),
    ("brew names a bottle of another URL", "hello", other_bytes_at_another_path, "describes another bottle"),
    ("brew knows another version", "hello", older_bottle, "describes another bottle"),
    ("brew would build from source", "greeter", source_instead, "describes another bottle"),
    ("brew fetches nothing", "hello", lambda world: world.brew.will(skips=["hello"]), "not in brew's"),
    ("a link lies in the cache", "hello", linked, "a symlink, where a download belongs"),
    ("a folder lies in the cache", "hello", in_the_way, "not in brew's download cache"),
    ("a pipe lies in the cache", "hello", pipe, "not in brew's download cache"),
    ("brew has unpacked something before", "greeter", unpacked_before, "unpacked earlier"),
    ("the file is swapped while it is checked", "hello", swapped_while_checked, "changed while it was"),
    ("the file is deleted while it is checked", "hello", gone_while_checked, "changed while it was"),
    ("the formula has no bottles", "draft", attested, "no bottles"),
    ("the formula has no bottle for this machine", "hello+plus", attested, "no bottle"),
    ("there is no such formula", "hallo", attested, "did you mean hello"),
    ("the API is not as it was signed", "hello", resigned, "not signed by"),
    ("the API is not there", "hello", lambda world: world.documents.clear(), "does not exist"),
    ("the update fails", "hello", fails("update-if-needed"), "ended with exit code 3"),
    ("the Cellar is not told", "hello", fails("--cellar"), "exit code 3: Error: \\x1b[31mno"),
    ("the prefix is not told", "hello", fails("--prefix"), "exit code 3: Error: \\x1b[31mno"),
    ("the download fails", "hello", fails("fetch"), "ended with exit code 3"),
    ("the file is not told", "hello", fails("--cache"), "exit code 3: Error: \\x1b[31mno"),
    ("the Cellar is nowhere", "hello", speaks("--cellar", ""), "which is no folder"),
    ("the Cellar is told twice", "hello", speaks("--cellar", "/a", "/b"), "printed 2 lines, and not 1"),
    ("the prefix is none", "hello", speaks("--prefix", "Cellar"), "'Cellar', which is no folder"),
    ("brew hangs over its Cellar", "hello", hangs("--cellar"), "gave no answer in 3 seconds"),
    ("brew hangs over its cache", "hello", hangs("--cache"), "gave no answer in 3 seconds"),
    ("brew floods us", "hello", floods("--cache"), "answers more than"),
]


@pytest.mark.parametrize(
    ("name", "arrange", "said"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
def test_what_cannot_be_checked_stops_it(
    name: str, arrange: Arrange, said: str, run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install_module, "PATIENCE", 3.0)
    arrange(world)

    result = run("install", name, *world.options)

    assert_nothing_was_poured(result, world, 2)
    assert said in result.err
    assert "\x1b" not in result.err


def test_what_brew_named_wrongly_stays_to_be_looked_at(run: Run, world: World) -> None:
    linked(world)
    before = world.cached()

    run("install", "hello", *world.options)

    assert world.cached() == before
    assert cache_path(world).is_symlink()


def test_an_upgrade_of_everything_stops_as_a_whole(run: Run, world: World) -> None:
    world.install("hello", "3.0.0")
    world.install("farewell", "1.5.2")
    world.attest("hello")

    result = run("upgrade", *world.options)

    assert_nothing_was_poured(result, world, 4, {"hello/3.0.0", "farewell/1.5.2"})


def test_a_verdict_that_cannot_be_written_stops_it(run: Run, world: World) -> None:
    world.attest("hello")

    result = run("install", "hello", *world.options, "--output", world.folder / "nowhere" / "result")

    assert_nothing_was_poured(result, world, 2)


def test_an_interrupt_stops_it(world: World) -> None:
    world.attest("hello")
    world.brew.will(hangs=["fetch"])
    process = in_a_process(world, "install", "hello")
    while "fetch" not in world.brew.commands:
        assert process.poll() is None
        time.sleep(0.02)

    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()

    assert_nothing_was_poured(Result(process.returncode, out, err), world, 1)


@pytest.mark.parametrize("verb", VERBS)
def test_without_brew_nothing_happens(
    verb: str, run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(world.folder / "empty"))

    result = run(verb, "hello", *world.options)

    assert (result.code, world.brew.calls) == (2, [])
    assert "brew: not found" in result.err


def test_brew_is_found_in_its_prefix(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    (world.prefix / "bin").mkdir()
    for name in ("brew", "script.json"):
        (world.prefix / "bin" / name).symlink_to(world.brew.executable.with_name(name))
    world.attest("hello")

    assert run("install", "hello", *world.options).code == 0
    assert world.kegs() == {"hello/3.0.1"}


@pytest.mark.parametrize("path", [":/usr/bin", ".:/usr/bin", "/usr/bin::/bin", "bin"])
def test_a_brew_in_the_current_folder_is_nobodys(
    path: str, run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path)
    monkeypatch.chdir(world.folder if path == "bin" else world.brew.executable.parent)

    result = run("install", "hello", *world.options)

    assert (result.code, world.brew.calls) == (2, [])
    assert "current folder" in result.err


@pytest.mark.parametrize("verb", ["install", "reinstall"])
def test_something_has_to_be_named(verb: str, run: Run, world: World) -> None:
    result = run(verb, *world.options)

    assert (result.code, world.brew.calls) == (2, [])
    assert "nothing is named" in result.err


# --- without a network ---------------------------------------------------------------------------


def test_offline_what_is_remembered_and_in_the_cache_is_poured(run: Run, world: World) -> None:
    world.attest("hello")
    assert run("install", "hello", *world.options, "--", "-n").code == 0
    world.brew.forget()
    asked = len(world.service.log.records)

    result = run("install", "hello", *world.options, "--offline")

    assert result.code == 0
    assert world.brew.commands == [*QUESTIONS, "--cache", "install"]
    assert world.brew.poured == {"hello": world.sha256("hello")}
    assert len(world.service.log.records) == asked


def test_offline_nothing_is_fetched(run: Run, world: World) -> None:
    world.attest("hello")
    assert run("install", "hello", *world.options, "--", "-n").code == 0
    cache_path(world).unlink()

    result = run("install", "hello", *world.options, "--offline")

    assert_nothing_was_poured(result, world, 2)
    assert "not in brew's download cache" in result.err
    assert world.brew.commands == [*QUESTIONS, "--cache"]


def test_offline_what_nobody_remembers_is_not_poured(run: Run, world: World) -> None:
    world.attest("salutations")
    assert run("install", "salutations", *world.options, "--", "-n").code == 0
    world.attest("hello")
    path = cache_path(world)
    shutil.copyfile(bottle_file("hello"), path)

    assert_nothing_was_poured(run("install", "hello", *world.options, "--offline"), world, 5)
    assert path.read_bytes() == bottle_file("hello").read_bytes()


def test_offline_without_the_api_nothing_is_known(run: Run, world: World) -> None:
    assert_nothing_was_poured(run("install", "hello", *world.options, "--offline"), world, 2)


# --- what is let through -------------------------------------------------------------------------


def test_what_has_no_attestation_is_let_through_when_a_person_says_so_and_it_is_shown(
    run: Run, world: World
) -> None:
    world.attest("greeter")

    result = run("install", "greeter", *world.options, "--allow", "unattested")

    assert result.code == 0
    assert world.brew.poured == {name: world.sha256(name) for name in ("hello", "greeter")}
    assert "2 bottles: 1 verified, 1 unattested" in result.out
    said = "note: 1 without an attestation, let through by --allow unattested: hello 3.0.1 (x86_64_linux)\n"
    assert said in result.err


def test_it_is_shown_also_when_hardly_anything_is(run: Run, world: World) -> None:
    result = run("install", "hello", *world.options, "--allow", "unattested", "--quiet", "--format", "json")

    assert result.code == 0
    assert json.loads(result.out)["summary"] == {"unattested": 1}
    assert "let through by --allow unattested: hello" in result.err


def test_nothing_is_said_to_be_let_through_when_all_is_verified(run: Run, world: World) -> None:
    world.attest("hello")

    result = run("install", "hello", *world.options, "--allow", "unattested")

    assert result.code == 0
    assert "let through" not in result.err


@pytest.mark.parametrize(
    ("name", "arrange", "code"),
    [(name, arrange, code) for _, name, arrange, code in STOPPED if code != 4],
    ids=[row[0] for row in STOPPED if row[3] != 4],
)
def test_only_what_has_no_attestation_is_let_through(
    name: str, arrange: Arrange, code: int, run: Run, world: World
) -> None:
    arrange(world)

    result = run("install", name, *world.options, "--allow", "unattested")

    assert_nothing_was_poured(result, world, code)
    assert "let through" not in result.err


def test_a_file_that_is_not_the_bottle_is_rejected_also_without_attestations(run: Run, world: World) -> None:
    path = cache_path(world)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")

    result = run("install", "hello", *world.options, "--allow", "unattested")

    assert_nothing_was_poured(result, world, 3)
    assert path.read_bytes() == b"something else"


def test_one_that_is_unattested_does_not_let_a_rejected_one_through(run: Run, world: World) -> None:
    world.put("hello", world.ground.forge(f"{CORE}/hello", "commit-lie"))

    result = run("install", "greeter", *world.options, "--allow", "unattested")

    assert_nothing_was_poured(result, world, 3)
    assert "1 unattested, 1 rejected" in result.out


@pytest.mark.parametrize("outcome", ["rejected", "unresolved", "verified", "all", "", "unattested,rejected"])
def test_nothing_else_can_be_allowed(outcome: str, run: Run, world: World) -> None:
    result = run("install", "hello", *world.options, "--allow", outcome)

    assert (result.code, world.brew.calls) == (2, [])


# --- what is handed on to brew -------------------------------------------------------------------


def test_harmless_arguments_are_handed_on_in_their_order(run: Run, world: World) -> None:
    world.attest("hello")

    result = run("install", "hello", *world.options, "--", "--verbose", "-f", "--skip-link", "-v")

    assert result.code == 0
    assert pours(world) == [["install", "--formula", "hello", "--verbose", "-f", "--skip-link", "-v"]]


def test_formulae_after_the_dashes_are_checked_as_well(run: Run, world: World) -> None:
    world.attest("salutations")

    result = run("install", "salutations", *world.options, "--", "hello", "-v")

    assert_nothing_was_poured(result, world, 4)
    assert "unattested  hello 3.0.1" in result.out


@pytest.mark.parametrize(
    "argument",
    [
        *("-s", "-i", "-g", "-", "--", "-fs", "-dn", "-vs", "-sv", "-n ", "--HEAD", "--head", "--cask"),
        *("--casks", "--formula", "--formulae", "--formula=evil", "--build-from-source", "--build-f"),
        *("--build-bottle", "--bottle-arch=core2", "--cc=gcc", "--fetch-HEAD", "--debug-symbols", "--git"),
        *("--interactive", "--include-test", "--env=std", "--with-foo", "--force=1", "--dry", "--dry-run=0"),
        *("--no-dry-run", "--minimum-version=1", "--greedy", "--ask", "--DRY-RUN", "--quiet\n--HEAD", "-é"),
    ],
)
def test_arguments_that_could_pour_something_else_are_refused(argument: str, run: Run, world: World) -> None:
    result = run("install", "hello", *world.options, "--", "-v", argument)

    assert (result.code, world.brew.calls) == (2, [])
    assert "could have brew pour something that was not checked" in result.err


@pytest.mark.parametrize("argument", ["-s", "--HEAD", "--cask", "--build-from-source", "--force"])
def test_brews_options_before_the_dashes_are_nobodys(argument: str, run: Run, world: World) -> None:
    result = run("install", "hello", argument, *world.options)

    assert (result.code, world.brew.calls) == (2, [])


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "..", "/", "a/b", "a/b/c/d", "../hello", "./hello.rb", "/srv/hello.rb", "hello/"),
        *("https://example.org/hello.rb", "file:///hello.rb", "hello;id", "$(id)", "hello hello", "hello\n"),
        *("h\u00e9llo", "hello\x00", "*", "hello,hello", "@hello", "+hello", "hello\x1b[2J", "\u202ehello"),
    ],
)
def test_what_is_no_name_does_not_reach_brew(name: str, run: Run, world: World) -> None:
    result = run("install", *world.options, name)

    assert (result.code, world.brew.calls) == (2, [])
    assert "not the name of a formula" in result.err
    assert "\x1b" not in result.err


@pytest.mark.parametrize(
    "name",
    ["hello.rb", "hello--3.0.1.x86_64_linux.bottle.tar.gz", "hello-3.0.1", "hello@", "h" * 99],
)
def test_names_that_the_tap_does_not_have_do_not_reach_brew(name: str, run: Run, world: World) -> None:
    world.attest("hello")

    result = run("install", *world.options, name)

    assert_nothing_was_poured(result, world, 2)
    assert all(name not in call.argv for call in world.brew.calls)
    assert "fetch" not in world.brew.commands


def test_capitals_are_made_small_as_brew_does(run: Run, world: World) -> None:
    world.attest("hello")

    result = run("install", *world.options, "HELLO")

    assert result.code == 0
    assert world.brew.poured == {"hello": world.sha256("hello")}


# --- what brew makes of it -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keg", "label"),
    [
        (["glibc", "2.35", CORE], "glibc 2.35"),
        (["hello", "3.0.2", CORE], "hello 3.0.2"),
        (["hello", "3.0.1", "octo/tap"], "hello 3.0.1"),
        (["hello", "3.0.1", CORE, False], "hello 3.0.1"),
        (["hello", "3.0.1", CORE, "perhaps"], "prefix/Cellar/hello/3.0.1"),
    ],
    ids=["a dependency", "another version", "another tap's", "built from source", "unreadable"],
)
@pytest.mark.parametrize("verb", VERBS)
def test_a_keg_that_was_not_checked_is_reported(
    keg: Sequence[object], label: str, verb: str, run: Run, world: World
) -> None:
    world.attest("hello")
    world.brew.will(brings=[keg])

    result = run(verb, "hello", *world.options)

    assert result.code == 5
    assert f"{label}, which was not checked" in result.err
    assert result.err.count("which was not checked") == 1


def test_a_keg_that_was_poured_again_is_reported(run: Run, world: World) -> None:
    world.install("farewell")
    world.attest("hello")
    world.brew.will(brings=[["farewell", "1.5.2_1", CORE]])

    result = run("install", "hello", *world.options)

    assert result.code == 5
    assert "brew installed farewell 1.5.2_1, which was not checked" in result.err


def test_a_bottle_that_was_built_from_source_after_all_is_reported(run: Run, world: World) -> None:
    world.attest("hello")
    world.brew.will(builds=["hello"])

    result = run("install", "hello", *world.options)

    assert result.code == 5
    assert "brew installed hello 3.0.1, which was not checked" in result.err


def test_kegs_that_were_there_before_are_not_reported(run: Run, world: World) -> None:
    world.install("farewell")
    world.install("dropped", "1.0", receipt=False)
    world.install("hello", "3.0.0")
    (world.cellar / "a-file").write_text("", encoding="utf-8")
    world.attest("hello")

    assert run("upgrade", "hello", *world.options).code == 0


def test_a_failure_of_the_pouring_itself_is_not_hidden_nor_is_what_was_poured(run: Run, world: World) -> None:
    world.attest("hello")
    world.brew.will(fails_late=1, brings=[["glibc", "2.35", CORE]])

    result = run("install", "hello", *world.options)

    assert result.code == 2
    assert "brew installed glibc 2.35, which was not checked" in result.err
    assert "brew install: ended with exit code 1" in result.err
    assert "it may have poured some of it" in result.err
    assert "nothing was poured" not in result.err


def test_a_brew_that_refuses_to_pour_fails(run: Run, world: World) -> None:
    world.attest("hello")
    world.brew.will(fails={"install": 1})

    result = run("install", "hello", *world.options)

    assert (result.code, world.kegs()) == (2, set())
    assert "Traceback" not in result.err


@pytest.mark.skipif(shutil.which("brew") is None, reason="there is no brew on this machine")
def test_a_real_brew_says_itself_where_it_keeps_things(monkeypatch: pytest.MonkeyPatch) -> None:
    """The questions that it answers without a network; the variables are what it does not follow."""
    monkeypatch.setenv("HOMEBREW_PREFIX", "/nowhere")
    monkeypatch.setenv("HOMEBREW_CELLAR", "/nowhere/Cellar")
    brew = Brew(Path(shutil.which("brew") or ""))

    assert brew.prefix.is_dir()
    assert brew.cellar.name == "Cellar"
    assert not brew.cellar.is_relative_to("/nowhere")
