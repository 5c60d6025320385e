"""Taps as brew describes them: what it is asked, and what it may not answer. The brew here is a script."""

from __future__ import annotations

import json
import os
import selectors
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.unit.builders import SHA256

from brew_provenance.bottle import BottleTag
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.formula import Formula
from brew_provenance.taps import Tap
from brew_provenance.taps import brew as brew_module
from brew_provenance.taps.brew import BATCH, BrewTap, Output, OutputTooLongError, run_bounded

API = Path(__file__).parents[3] / "formula-fixtures" / "api"
ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/home/me"}

SCRIPT = r"""#!{python} -IS
import json, os, pathlib, sys

here = pathlib.Path(__file__).parent
script = json.loads((here / "script.json").read_text(encoding="utf-8"))
command, *arguments = sys.argv[1:]
with (here / "calls.jsonl").open("a", encoding="utf-8") as calls:
    around = {{"environ": dict(os.environ), "cwd": os.getcwd(), "stdin": sys.stdin.read()}}
    calls.write(json.dumps({{"argv": sys.argv[1:], **around}}) + "\n")
names = [argument for argument in arguments if not argument.startswith("--")]
for name in names:
    if name in script["refuses"]:
        sys.stderr.write(script["refuses"][name])
        sys.exit(1)
if command == "--version":
    print(script["version"])
elif command == "tap-info":
    print(json.dumps(script["taps"]))
elif script["answers"] is not None:
    sys.stdout.write(script["answers"])
else:
    found = []
    for name in names:
        if name not in script["formulae"]:
            sys.exit('Error: No available formula with the name "%s". Did you mean %s?' % (name, "x"))
        found.append(script["formulae"][name])
    print(json.dumps({{"formulae": found, "casks": []}}))
"""


class FakeBrew:
    """A brew that answers from a script, and notes what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.executable = folder / "brew"
        self.executable.write_text(SCRIPT.format(python=sys.executable), encoding="utf-8")
        self.executable.chmod(0o755)
        self._script: dict[str, Any] = {
            "version": "Homebrew 7.0.4",
            "formulae": {},
            "refuses": {},
            "taps": [],
            "answers": None,
        }
        self.set()

    def set(self, **changes: Any) -> None:
        self._script |= changes
        self.executable.with_name("script.json").write_text(json.dumps(self._script), encoding="utf-8")

    @property
    def calls(self) -> list[dict[str, Any]]:
        path = self.executable.with_name("calls.jsonl")
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    @property
    def asked(self) -> list[list[str]]:
        """The names that each call asked about."""
        return [[word for word in call["argv"][1:] if not word.startswith("--")] for call in self.calls]

    def tap(self, **options: Any) -> BrewTap:
        return BrewTap(self.executable, **{"environ": ENVIRON, **options})


@pytest.fixture
def brew(tmp_path: Path) -> FakeBrew:
    return FakeBrew(tmp_path)


def described(full_name: str, **changes: Any) -> dict[str, Any]:
    tap, _, name = full_name.rpartition("/")
    files = {"sonoma": {"url": f"https://example.org/{name}", "sha256": SHA256.value}}
    return {
        "name": name,
        "full_name": full_name,
        "tap": tap,
        "versions": {"stable": "1.1"},
        "bottle": {"stable": {"rebuild": 0, "files": files}},
        **changes,
    }


def formulae(*full_names: str) -> dict[str, Any]:
    return {name: described(name) for name in full_names}


def names(found: Sequence[Formula]) -> list[str]:
    return [formula.full_name for formula in found]


def test_a_formula_is_what_brew_says_of_it(brew: FakeBrew) -> None:
    document = json.loads((API / "greeter.json").read_text(encoding="utf-8"))
    brew.set(formulae={document["full_name"]: document})
    tap: Tap = brew.tap()
    found = tap.formula("brew-provenance/fixtures/greeter")
    assert (found.full_name, found.version) == ("brew-provenance/fixtures/greeter", "0.9.3")
    assert {bottle.tag for bottle in found.bottles} == set(document["bottle"]["stable"]["files"])
    (call,) = brew.calls
    assert call["argv"] == [
        *("info", "--json=v2", "--formula", "--variations"),
        "brew-provenance/fixtures/greeter",
    ]


def test_brew_is_asked_once_for_each_formula(brew: FakeBrew) -> None:
    brew.set(formulae=formulae("octo/tap/foo"))
    tap = brew.tap()
    assert tap.formula("octo/tap/foo") is tap.formula("octo/tap/foo")
    assert len(brew.calls) == 1


def test_dependencies_are_those_of_each_tag(brew: FakeBrew) -> None:
    document = described(
        "octo/tap/foo", dependencies=["jq"], variations={"x86_64_linux": {"dependencies": ["jq", "zlib"]}}
    )
    brew.set(formulae={"octo/tap/foo": document})
    found = brew.tap().formula("octo/tap/foo")
    for tag, needed in (("x86_64_linux", {"jq", "zlib"}), ("sonoma", {"jq"})):
        on = BottleTag.parse(tag)
        assert {dependency.name for dependency in found.dependencies if dependency.needed_on(on)} == needed


def test_brew_runs_quietly_alone_and_without_a_token(brew: FakeBrew, monkeypatch: pytest.MonkeyPatch) -> None:
    brew.set(formulae=formulae("octo/tap/foo"))
    secrets = ("HOMEBREW_GITHUB_API_TOKEN", "GH_TOKEN", "HOMEBREW_DOCKER_REGISTRY_BASIC_AUTH_TOKEN")
    brew.tap(environ={**ENVIRON, "HOMEBREW_CACHE": "/cache", **dict.fromkeys(secrets, "secret")}).formula(
        "octo/tap/foo"
    )
    monkeypatch.setenv("HOMEBREW_INHERITED", "1")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret")
    BrewTap(brew.executable).formula("octo/tap/foo")
    first, second = brew.calls
    given = first["environ"]
    for setting in ("AUTO_UPDATE", "ANALYTICS", "ENV_HINTS", "COLOR", "GITHUB_API"):
        assert given[f"HOMEBREW_NO_{setting}"] == "1"
    assert (given["HOME"], given["HOMEBREW_CACHE"]) == ("/home/me", "/cache")
    assert second["environ"]["HOMEBREW_INHERITED"] == "1"
    for call in (first, second):
        assert "secret" not in call["environ"].values()
        assert (call["cwd"], call["stdin"]) == ("/", "")


def test_the_name_says_which_brew_it_was_and_that_nobody_signed(brew: FakeBrew) -> None:
    tap = brew.tap()
    assert tap.name == tap.name == f"brew info, brew 7.0.4 at {brew.executable}, unsigned"
    assert [call["argv"] for call in brew.calls] == [["--version"]]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (
            "Homebrew 7.0.4-12-g1234567\nHomebrew/homebrew-core (git revision 1; last commit 2026)",
            "7.0.4-12-g1234567",
        ),
        ("Homebrew >=4.3.0 (shallow or no git repository)", ">=4.3.0 (shallow or no git repository)"),
        ("Homebrew " + "7" * 1000, "7" * 51),
    ],
)
def test_a_version_is_one_short_line(brew: FakeBrew, version: str, said: str) -> None:
    brew.set(version=version)
    assert brew.tap().name == f"brew info, brew {said} at {brew.executable}, unsigned"


@pytest.mark.parametrize(
    "answer",
    [
        Output(0, b"", b""),
        Output(1, b"Homebrew 7\n", b"Error"),
        OSError(),
        OutputTooLongError(),
        subprocess.TimeoutExpired([], 1),
    ],
)
def test_a_brew_that_does_not_say_its_version_has_a_name_still(answer: Output | Exception) -> None:
    assert BrewTap(Path("/brew"), answering(answer)).name == "brew info, brew at /brew, unsigned"


def answering(answer: Output | Exception) -> Callable[..., Output]:
    def run(arguments: Sequence[str], environment: Mapping[str, str]) -> Output:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return run


@pytest.mark.parametrize(
    "name",
    [
        "",
        "foo",
        "tap/foo",
        "a/octo/tap/foo",
        "octo/tap/",
        "octo/tap/-v",
        "--installed",
        "-x/tap/foo",
        "octo/-x/foo",
        "octo/tap/foo.rb",
        "octo/tap/foo--1.1.sonoma.bottle.tar.gz",
        "./tap/foo",
        "../tap/foo",
        "octo/../foo",
        "https://example.org/foo.rb",
        "https://a/b",
        "/octo/tap/foo",
        "octo/tap/foo bar",
        "octo/tap/foo\n",
        "octo/tap/foo\0",
        "octo/tap/föö",
        "Octo/tap/foo",
    ],
)
def test_what_is_no_full_name_is_not_handed_to_brew(brew: FakeBrew, name: str) -> None:
    brew.set(formulae={name: described("octo/tap/foo")})
    tap = brew.tap()
    tap.prefetch([name])
    with pytest.raises(NothingMatchedError, match="not a formula's full name") as caught:
        tap.formula(name)
    assert caught.value.thing == name
    assert brew.calls == []


def test_a_formula_that_brew_does_not_know_matches_nothing(brew: FakeBrew) -> None:
    with pytest.raises(NothingMatchedError) as caught:
        brew.tap().formula("octo/tap/foo")
    assert caught.value.thing == "octo/tap/foo"
    assert "Did you mean x?" in caught.value.cause
    assert "brew tap" in caught.value.next_step


def test_a_tap_that_brew_does_not_trust_says_so(brew: FakeBrew) -> None:
    said = "Error: Refusing to load formula octo/tap/foo from untrusted tap octo/tap."
    advice = "Run `brew trust octo/tap` to trust it."
    brew.set(refuses={"octo/tap/foo": f"Warning: first\n{said}\n{advice}\n"})
    with pytest.raises(InputError) as caught:
        brew.tap().formula("octo/tap/foo")
    assert caught.value.cause == f"brew ended with exit status 1: {said}"
    assert "brew trust" in caught.value.next_step


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (b"", "nothing"),
        (b"\n \n", "nothing"),
        (b"one\ntwo\n", "two"),
        (b"Error: this\n  advice\n", "Error: this"),
        (b"Error: this\nError: that\nadvice", "Error: that"),
        (b"\xff\n", "\ufffd"),
        (b"Error: " + b"x" * 1000, "Error: " + "x" * 293),
    ],
)
def test_what_brew_says_is_one_short_line(errors: bytes, said: str) -> None:
    tap = BrewTap(Path("/brew"), answering(Output(-9, b"[]", errors)))
    with pytest.raises(InputError) as caught:
        tap.formula("octo/tap/foo")
    assert caught.value.cause == f"brew ended with exit status -9: {said}"
    assert caught.value.thing == "octo/tap/foo"


@pytest.mark.parametrize("mode", ["missing", "not executable", "a folder"])
def test_a_brew_that_cannot_be_started_is_named(tmp_path: Path, mode: str) -> None:
    executable = tmp_path / "brew"
    if mode == "not executable":
        executable.write_text("#!/bin/sh\n", encoding="utf-8")
    elif mode == "a folder":
        executable.mkdir()
    with pytest.raises(InputError) as caught:
        BrewTap(executable, environ=ENVIRON).formula("octo/tap/foo")
    assert caught.value.thing == str(executable)
    assert caught.value.cause in {"No such file or directory", "Permission denied"}


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ("", "empty"),
        ("Warning: x\n{}", "not JSON"),
        ("{", "not JSON"),
        ('{"formulae": [], "formulae": []}', "stands twice"),
        ("[" * 2000, "nested too deeply|not JSON"),
        ("{}", "no list where one should be"),
        ("[]", "no list where one should be"),
        ("null", "no list where one should be"),
        ('{"formulae": null}', "no list where one should be"),
        ('{"formulae": {}}', "no list where one should be"),
    ],
)
def test_an_answer_that_is_not_brews_json_is_refused(brew: FakeBrew, answers: str, why: str) -> None:
    brew.set(answers=answers)
    tap = brew.tap()
    for ask in (lambda: tap.formula("octo/tap/foo"), lambda: tap.prefetch(["octo/tap/foo", "octo/tap/bar"])):
        with pytest.raises(InputError, match=f"not brew's JSON: .*({why})") as caught:
            ask()
        assert caught.value.thing == f"{brew.executable} info"


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ([], "brew describes nothing instead"),
        ([described("octo/tap/bar")], "brew describes octo/tap/bar instead"),
        ([described("evil/tap/foo")], "brew describes evil/tap/foo instead"),
        ([described("octo/tap/foo", tap="evil/tap")], "brew describes evil/tap/foo instead"),
        ([described("octo/tap/foo", name="bar")], "brew describes octo/tap/bar instead"),
        ([described("octo/tap/foo"), described("octo/tap/bar")], "which nobody asked for"),
        ([described("octo/tap/foo"), described("octo/tap/foo")], "describes a formula twice"),
        ([described("octo/tap/foo", tap=None)], "cannot be used: tap: "),
        ([described("octo/tap/foo", versions={})], "cannot be used: versions.stable: "),
        ([described("octo/tap/foo", bottle={"stable": {"files": {"sonoma": {}}}})], "cannot be used: bottle"),
        (["octo/tap/foo"], "cannot be used: "),
        ([None], "cannot be used: "),
        ([{"full_name": 7}], "cannot be used: "),
    ],
)
def test_another_formula_than_the_one_asked_for_is_refused(
    brew: FakeBrew, given: list[object], cause: str
) -> None:
    brew.set(answers=json.dumps({"formulae": given}))
    tap = brew.tap()
    with pytest.raises(InputError, match=cause):
        tap.formula("octo/tap/foo")
    assert len(brew.calls) == 1


def test_many_formulae_are_asked_for_at_once(brew: FakeBrew) -> None:
    wanted = [f"octo/tap/f{number:03}" for number in range(BATCH * 2 + 1)]
    brew.set(formulae=formulae(*wanted))
    tap = brew.tap()
    tap.prefetch(iter([*wanted, wanted[0], "not a name"]))
    assert brew.asked == [wanted[:BATCH], wanted[BATCH : BATCH * 2], wanted[BATCH * 2 :]]
    assert names([tap.formula(name) for name in wanted]) == wanted
    tap.prefetch(wanted)
    tap.prefetch([])
    assert len(brew.calls) == 3


def test_a_formula_that_brew_does_not_describe_keeps_none_of_the_others_away(brew: FakeBrew) -> None:
    good = ["octo/tap/a", "octo/tap/b", "octo/tap/c"]
    broken = described("octo/tap/broken", versions=None)
    brew.set(
        formulae={**formulae(*good), "octo/tap/broken": broken, "octo/tap/alias": described("octo/tap/real")},
        refuses={"evil/tap/x": "Error: Refusing to load formula evil/tap/x from untrusted tap evil/tap.\n"},
    )
    tap = brew.tap()
    bad = {
        "octo/tap/missing": NothingMatchedError,
        "evil/tap/x": InputError,
        "octo/tap/broken": InputError,
        "octo/tap/alias": InputError,
    }
    tap.prefetch([good[0], *bad, *good[1:]])
    assert len(brew.calls) == len(bad) + 1
    assert names([tap.formula(name) for name in good]) == good
    assert len(brew.calls) == len(bad) + 1
    for name, error in bad.items():
        with pytest.raises(error) as caught:
            tap.formula(name)
        assert caught.value.thing == name


def test_formulae_are_asked_for_one_by_one_where_brew_does_not_say_which_it_minds(brew: FakeBrew) -> None:
    brew.set(
        formulae=formulae("octo/tap/a", "octo/tap/b"), refuses={"octo/tap/x": "Error: undefined method\n"}
    )
    tap = brew.tap()
    tap.prefetch(["octo/tap/a", "octo/tap/x", "octo/tap/b"])
    assert len(brew.calls) == 1
    assert names([tap.formula("octo/tap/a"), tap.formula("octo/tap/b")]) == ["octo/tap/a", "octo/tap/b"]
    with pytest.raises(InputError, match="undefined method"):
        tap.formula("octo/tap/x")


def test_prefetching_ends_when_brew_minds_every_formula(brew: FakeBrew) -> None:
    brew.set(refuses={f"octo/tap/{name}": f"Error: octo/tap/{name}: no\n" for name in "abc"})
    brew.tap().prefetch([f"octo/tap/{name}" for name in "abc"])
    assert brew.asked == [
        ["octo/tap/a", "octo/tap/b", "octo/tap/c"],
        ["octo/tap/b", "octo/tap/c"],
        ["octo/tap/c"],
    ]


def listed(tap: str, *short_names: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": tap,
        "installed": True,
        "formula_names": [f"{tap}/{name}" for name in short_names],
        "remote": None,
        **changes,
    }


def test_every_formula_of_the_installed_taps_is_yielded_in_order(brew: FakeBrew) -> None:
    brew.set(
        taps=[
            listed("octo/tap", "foo", "bar@2"),
            listed("homebrew/core", "wget"),
            listed("a/b", "x"),
            listed("c/d"),
        ],
        formulae=formulae("octo/tap/foo", "octo/tap/bar@2", "a/b/x"),
    )
    assert names(list(brew.tap().formulae())) == ["a/b/x", "octo/tap/bar@2", "octo/tap/foo"]
    assert brew.calls[0]["argv"] == ["tap-info", "--json", "--installed"]
    assert len(brew.calls) == 2


def test_every_formula_of_one_tap_is_yielded(brew: FakeBrew) -> None:
    wanted = [f"f{number:03}" for number in range(BATCH + 1)]
    brew.set(
        taps=[listed("octo/tap", *reversed(wanted))], formulae=formulae(*(f"octo/tap/{x}" for x in wanted))
    )
    assert names(list(brew.tap(tap="octo/tap").formulae())) == [f"octo/tap/{name}" for name in wanted]
    assert brew.calls[0]["argv"] == ["tap-info", "--json", "octo/tap"]
    assert len(brew.calls) == 3


@pytest.mark.parametrize(
    "taps", [[], [listed("octo/tap", installed=False)], [listed("other/tap")], [listed("octo/tap")] * 2]
)
def test_a_tap_that_is_not_installed_matches_nothing(brew: FakeBrew, taps: list[object]) -> None:
    brew.set(taps=taps)
    with pytest.raises(NothingMatchedError, match="octo/tap: the tap is not installed") as caught:
        list(brew.tap(tap="octo/tap").formulae())
    assert "brew tap octo/tap" in caught.value.next_step


@pytest.mark.parametrize(
    "tap", ["--installed", "octo", "octo/tap/foo", "../tap", "", "Octo/tap", "octo/tap\n"]
)
def test_what_is_no_taps_name_is_not_handed_to_brew(brew: FakeBrew, tap: str) -> None:
    with pytest.raises(NothingMatchedError, match="not a tap's name"):
        list(brew.tap(tap=tap).formulae())
    assert brew.calls == []


@pytest.mark.parametrize(
    "taps",
    [
        {},
        None,
        "octo/tap",
        ["octo/tap"],
        [{"name": "octo/tap"}],
        [listed("octo/tap", formula_names={})],
        [listed("octo/tap", formula_names=[7])],
        [listed("octo/tap", formula_names=["foo"])],
        [listed("octo/tap", formula_names=["other/tap/foo"])],
        [listed("octo/tap", formula_names=["octo/tap/--eval-all"])],
        [listed("octo/tap", formula_names=["octo/tap/foo.rb"])],
        [listed("octo/tap", installed="yes")],
    ],
)
@pytest.mark.parametrize("tap", ["octo/tap", None])
def test_a_list_of_formulae_that_is_none_is_refused(brew: FakeBrew, taps: object, tap: str | None) -> None:
    brew.set(taps=taps)
    with pytest.raises(InputError, match="tap-info: its answer is not brew's JSON"):
        list(brew.tap(tap=tap).formulae())
    assert len(brew.calls) == 1


def test_one_formula_that_brew_does_not_describe_ends_the_whole_list(brew: FakeBrew) -> None:
    brew.set(taps=[listed("octo/tap", "foo", "gone")], formulae=formulae("octo/tap/foo"))
    with pytest.raises(UsageError, match="octo/tap/gone"):
        list(brew.tap(tap="octo/tap").formulae())


def program(folder: Path, text: str) -> Path:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def gone(path: Path) -> bool:
    """Say whether the process whose number is in a file has ended, within a while."""
    # On a slow machine, it may have been killed before it could say anything.
    if not path.exists() or not (text := path.read_text(encoding="utf-8")):
        return True
    number = int(text)
    for _ in range(1000):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{number}/stat")
        # Killed, and not yet collected by whoever collects orphans here.
        if status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    "hangs",
    [
        "sleep 600",
        "sleep 600 & echo $! > child; wait",
        "sleep 600 & echo $! > child; echo '{\"formulae\": []}'",
        "exec 1>&- 2>&-; sleep 600",
        "echo partial; sleep 600",
        "trap '' TERM INT HUP; sleep 600",
    ],
)
def test_a_brew_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path, hangs: str) -> None:
    executable = program(tmp_path, f"cd {tmp_path}; echo $$ > pid; {hangs}")
    tap = BrewTap(executable, partial(run_bounded, timeout=1), environ=ENVIRON)
    with pytest.raises(InputError, match="octo/tap/foo: brew gave no answer in 1 seconds"):
        tap.formula("octo/tap/foo")
    assert gone(tmp_path / "pid")
    if "child" in hangs:
        assert gone(tmp_path / "child")


def test_a_brew_that_never_stops_talking_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brew_module, "MAX_OUTPUT_BYTES", 100_000)
    executable = program(tmp_path, f"echo $$ > {tmp_path}/pid; while :; do echo 0123456789; done")
    tap = BrewTap(executable, environ=ENVIRON)
    with pytest.raises(InputError, match="brew answers more than 100,000 bytes"):
        tap.formula("octo/tap/foo")
    assert gone(tmp_path / "pid")


def test_a_program_may_answer_as_much_as_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brew_module, "MAX_OUTPUT_BYTES", 200_000)
    executable = program(
        tmp_path, "head -c 200000 /dev/zero; head -c 300000 /dev/zero >&2; echo end >&2; exit 3"
    )
    output = run_bounded([str(executable)], ENVIRON)
    assert (output.status, len(output.out)) == (3, 200_000)
    assert len(output.errors) == 64 * 1024
    assert output.errors.endswith(b"\0end\n")


def test_arguments_are_no_shell_text(tmp_path: Path) -> None:
    executable = program(tmp_path, 'printf "%s|" "$@"')
    hostile = ["$(touch x)", "; exit 7", "`id`", "a b", "*", ""]
    assert run_bounded([str(executable), *hostile], ENVIRON).out == ("|".join(hostile) + "|").encode()


def test_a_program_that_a_signal_ends_is_told(tmp_path: Path) -> None:
    output = run_bounded([str(program(tmp_path, "kill -9 $$"))], ENVIRON)
    assert output.status == -signal.SIGKILL


def test_an_interruption_kills_brew_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable = program(tmp_path, f"echo $$ > {tmp_path}/pid; echo; sleep 600")

    select, here = selectors.DefaultSelector.select, threading.get_ident()

    def interrupt(selector: selectors.DefaultSelector, left: float) -> object:
        found = select(selector, left)
        # Other tests' servers select as well, each in its thread.
        if threading.get_ident() == here:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(selectors.DefaultSelector, "select", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_bounded([str(executable)], ENVIRON)
    assert gone(tmp_path / "pid")
