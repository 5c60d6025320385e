"""What brew may be asked for, and what it may answer. The brews here are small scripts, or no programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import OTHER_SHA256, SHA256, make_basis, make_bottle

from brew_provenance import install
from brew_provenance.bottle import Bottle, BottleTag
from brew_provenance.downloads import cached_bottle_path
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.formula import Dependency, Formula, UnnamedBottle
from brew_provenance.install import (
    Brew,
    BrewError,
    Plan,
    Poured,
    StoppedError,
    Verb,
    check_arguments,
    plan_pouring,
    pour_checked,
)
from brew_provenance.subject import Question
from brew_provenance.targets import Target
from brew_provenance.verdict import Outcome, Verdict

TAP, CORE = "octo/tap", "homebrew/core"
TAG = BottleTag("sonoma", "arm64")


def formula(name: str = "foo", version: str | None = "1.1", *needs: str, tap: str = TAP) -> Formula:
    """Return a formula with a bottle for this machine."""
    bottles = (make_bottle(tap=tap, formula=name, version=version),) if version else ()
    unnamed = () if version else (UnnamedBottle("arm64_sonoma", SHA256, 0),)
    return Formula(tap, name, version, bottles, unnamed, dependencies=tuple(map(Dependency, needs)))


class Formulae:
    """A tap, whichever it is asked as."""

    name = "the example tap"
    notes: tuple[str, ...] = ()

    def __init__(self, *formulae: Formula) -> None:
        self._formulae = {found.full_name: found for found in formulae}

    def __call__(self, tap: str) -> Formulae:
        return self

    def formula(self, full_name: str) -> Formula:
        try:
            return self._formulae[full_name]
        except KeyError as error:
            raise NothingMatchedError(full_name, "no such formula", "name another") from error

    def formulae(self) -> Iterator[Formula]:
        return iter(self._formulae.values())


@dataclass
class FakeBrew:
    """A brew that answers at once, and makes kegs when it pours."""

    prefix: Path
    answers: list[Path] | None = None
    """The files that it names; None for the right ones."""

    fetched: bool = True
    makes: Callable[[FakeBrew], None] = field(default=lambda _: None)
    """What it does when it pours."""

    calls: list[tuple[str, ...]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def cellar(self) -> Path:
        return self.prefix / "Cellar"

    def fetch(self, names: Sequence[str]) -> None:
        self.calls.append(("fetch", *names))
        for name in names if self.fetched else ():
            self.files[name].parent.mkdir(parents=True, exist_ok=True)
            self.files[name].write_bytes(name.encode())

    def cached_files(self, names: Sequence[str]) -> list[Path]:
        self.calls.append(("--cache", *names))
        return [self.files[name] for name in names] if self.answers is None else self.answers

    def pour(self, verb: Verb, names: Sequence[str], arguments: Sequence[str]) -> None:
        self.calls.append((verb.value, *names, *arguments))
        self.makes(self)

    def keg(self, name: str, version: str, **receipt: object) -> Path:
        """Make a keg."""
        keg = self.cellar / name / version
        keg.mkdir(parents=True)
        document = {"poured_from_bottle": True, "source": {"tap": TAP}, **receipt}
        (keg / "INSTALL_RECEIPT.json").write_text(json.dumps(document), encoding="utf-8")
        (self.prefix / "opt").mkdir(exist_ok=True)
        link = self.prefix / "opt" / name
        link.unlink(missing_ok=True)
        link.symlink_to(keg)
        return keg

    @property
    def brew(self) -> Brew:
        return self  # type: ignore[return-value]


@pytest.fixture
def brew(tmp_path: Path) -> FakeBrew:
    return FakeBrew(tmp_path)


# --- calling brew --------------------------------------------------------------------------------


def scripted(folder: Path, body: str) -> Brew:
    """Return a brew whose program is `body`."""
    executable = folder / "brew"
    executable.write_text(f"#!{sys.executable} -IS\nimport os, sys\n{body}\n", encoding="utf-8")
    executable.chmod(0o755)
    return Brew(executable)


@pytest.mark.parametrize("path", ["brew", "./brew", "bin/brew", "../brew", ""])
def test_a_brew_without_a_whole_path_is_none(path: str) -> None:
    with pytest.raises(BrewError, match="current folder"):
        Brew(Path(path))


def test_brew_is_handed_names_as_they_are_and_no_shell_sees_them(tmp_path: Path) -> None:
    brew = scripted(tmp_path, f"open({str(tmp_path / 'argv')!r}, 'w').write(repr(sys.argv[1:]))")
    brew.pour(Verb.UPGRADE, ["$(id)", "a b"], ["-v"])

    assert (tmp_path / "argv").read_text(encoding="utf-8") == repr(
        ["upgrade", "--formula", "$(id)", "a b", "-v"]
    )


def test_what_brew_says_while_it_works_does_not_become_a_result(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    brew = scripted(tmp_path, "print('pouring')")
    brew.update()
    brew.fetch(["foo"])
    brew.pour(Verb.INSTALL, ["foo"], [])

    assert capfd.readouterr() == ("", "pouring\n" * 3)


def test_brew_is_called_in_the_root_folder_with_the_environment_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEBREW_CACHE", "/somewhere")
    monkeypatch.chdir(tmp_path)
    brew = scripted(tmp_path, "print(os.getcwd() + os.environ['HOMEBREW_CACHE'])")

    assert brew.cellar == Path("//somewhere")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit(7)", "ended with exit code 7"),
        ("print('Error: a\\nError: b', file=sys.stderr); sys.exit(1)", "ended with exit code 1: Error: b"),
        ("os.kill(os.getpid(), 9)", "ended with exit code -9"),
        ("", "printed 0 lines, and not 1"),
        ("print('/a\\n/b')", "printed 2 lines, and not 1"),
        ("print('a')", "'a', which is no folder"),
        ("print('/a'); print('Warning: w', file=sys.stderr); sys.exit(1)", "exit code 1: Warning: w"),
        ("sys.stdout.close(); os.close(1); import time; time.sleep(60)", "gave no answer in 1 seconds"),
        ("import time; os.fork() or time.sleep(60)", "gave no answer in 1 seconds"),
    ],
)
def test_an_answer_that_is_none_is_an_error_with_what_brew_said(
    body: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "PATIENCE", 1.0 if "sleep" in body else 60.0)
    brew = scripted(tmp_path, body)

    with pytest.raises(BrewError, match=said) as caught:
        print(brew.prefix)  # noqa: T201 - to ask

    assert caught.value.thing == f"{tmp_path}/brew --prefix"
    assert caught.value.next_step.startswith("nothing was poured")


@pytest.mark.parametrize("missing", [True, False])
def test_a_brew_that_cannot_be_started_is_an_error(missing: bool, tmp_path: Path) -> None:
    executable = tmp_path / "brew"
    if not missing:
        executable.write_text("no program\n", encoding="utf-8")
        executable.chmod(0o644)
    brew = Brew(executable)

    for call in (brew.update, lambda: brew.fetch(["foo"]), lambda: brew.cached_files(["foo"])):
        with pytest.raises(BrewError, match="No such file" if missing else "Permission denied"):
            call()


def test_a_pouring_that_fails_is_not_said_to_have_poured_nothing(tmp_path: Path) -> None:
    with pytest.raises(BrewError) as caught:
        scripted(tmp_path, "sys.exit(1)").pour(Verb.INSTALL, ["foo"], [])

    assert "may have poured some of it" in caught.value.next_step


def test_paths_beyond_utf8_come_back_as_they_are(tmp_path: Path) -> None:
    brew = scripted(tmp_path, r"sys.stdout.buffer.write(b'/\xff\n')")

    assert [os.fsencode(path) for path in brew.cached_files(["foo"])] == [b"/\xff"]


# --- arguments -----------------------------------------------------------------------------------


def test_harmless_arguments_are_let_through() -> None:
    check_arguments(["--dry-run", "-n", "--verbose", "--force-bottle", "-y", "--only-dependencies"])
    check_arguments([])


@given(st.text(max_size=20).filter(lambda text: text not in {"-d", "-f", "-n", "-q", "-v", "-y"}))
def test_anything_else_is_refused(text: str) -> None:
    for argument in (f"-{text}", f"--{text}", f"--force{text or '='}", text):
        if argument in install._HARMLESS:
            continue
        with pytest.raises(UsageError):
            check_arguments(["-v", argument])


def test_nothing_is_let_through_that_makes_brew_build_or_take_something_else() -> None:
    other = {"-s", "-i", "-g", "--build-from-source", "--HEAD", "--cask", "--build-bottle", "--fetch-HEAD"}
    assert not other & install._HARMLESS
    assert all("=" not in argument for argument in install._HARMLESS)


# --- planning ------------------------------------------------------------------------------------


def named(plan: Plan) -> list[str]:
    return [target.question.label.partition(" ")[0] for target in plan.targets]


def test_what_is_not_known_to_be_installed_is_poured(brew: FakeBrew) -> None:
    taps = Formulae(formula("foo", "1.1", "bar"), formula("bar"))
    plan = plan_pouring(Verb.INSTALL, [f"{TAP}/foo"], taps, TAG, brew.brew)

    assert (plan.names, named(plan), plan.installed) == ((f"{TAP}/foo",), ["foo", "bar"], ())


def test_a_formula_whose_version_is_not_known_is_never_installed(brew: FakeBrew) -> None:
    brew.keg("foo", "1.1")
    plan = plan_pouring(Verb.INSTALL, [f"{TAP}/foo"], Formulae(formula("foo", None)), TAG, brew.brew)

    assert plan.names == (f"{TAP}/foo",)
    assert len(plan.targets) == 1


@pytest.mark.parametrize("verb", Verb)
def test_what_is_installed_is_poured_again_by_a_reinstallation_alone(verb: Verb, brew: FakeBrew) -> None:
    brew.keg("foo", "1.1")
    brew.keg("bar", "1.1")
    taps = Formulae(formula("foo", "1.1", "bar"), formula("bar"))
    plan = plan_pouring(verb, [f"{TAP}/foo"], taps, TAG, brew.brew)

    again = verb is Verb.REINSTALL
    assert named(plan) == (["foo"] if again else [])
    assert plan.installed == (() if again else (f"{TAP}/foo",))


def test_what_only_an_installed_formula_needs_is_left_alone(brew: FakeBrew) -> None:
    brew.keg("foo", "1.1")
    taps = Formulae(formula("foo", "1.1", "bar"), formula("bar"), formula("baz"))
    plan = plan_pouring(Verb.INSTALL, [f"{TAP}/foo", f"{TAP}/baz"], taps, TAG, brew.brew)

    assert (plan.names, named(plan)) == ((f"{TAP}/baz",), ["baz"])


def test_bottles_come_in_the_order_in_which_they_were_named(brew: FakeBrew) -> None:
    taps = Formulae(formula("foo"), formula("bar"))
    plan = plan_pouring(Verb.INSTALL, [f"{TAP}/foo", f"{TAP}/bar", f"{TAP}/foo"], taps, TAG, brew.brew)

    assert named(plan) == ["foo", "bar"]


@pytest.mark.parametrize("verb", Verb)
def test_a_keg_of_another_tap_is_not_mistaken(verb: Verb, brew: FakeBrew) -> None:
    brew.keg("foo", "1.0", source={"tap": "evil/tap"})

    with pytest.raises(UsageError, match="installed from evil/tap") as caught:
        plan_pouring(verb, [f"{TAP}/foo"], Formulae(formula()), TAG, brew.brew)

    assert "evil/tap/foo" in caught.value.next_step


def test_a_keg_of_no_tap_is_taken_for_the_formulas_own(brew: FakeBrew) -> None:
    brew.keg("foo", "1.0", source={})
    plan = plan_pouring(Verb.INSTALL, [f"{TAP}/foo"], Formulae(formula()), TAG, brew.brew)

    assert named(plan) == ["foo"]


def test_an_upgrade_of_all_leaves_out_what_brew_would(brew: FakeBrew) -> None:
    kegs = {"foo": "1.0", "bar": "1.1", "pinned": "1.0", "head": "HEAD-1", "unbottled": "1", "dropped": "1"}
    for name, version in kegs.items():
        brew.keg(name, version)
    brew.keg("core", "1.0", source={})
    (brew.cellar / "broken" / "1.0").mkdir(parents=True)
    pins = brew.prefix / "var" / "homebrew" / "pinned"
    pins.mkdir(parents=True)
    (pins / "pinned").symlink_to("/nowhere")
    unbottled = replace(formula("unbottled"), bottles=())
    taps = Formulae(*map(formula, ("foo", "bar", "pinned", "head")), unbottled, formula("core", tap=CORE))

    plan = plan_pouring(Verb.UPGRADE, [], taps, TAG, brew.brew)

    assert plan.names == (f"{CORE}/core", f"{TAP}/foo")


@pytest.mark.parametrize("verb", [Verb.INSTALL, Verb.REINSTALL])
def test_nothing_named_is_nothing_planned(verb: Verb, brew: FakeBrew) -> None:
    brew.keg("foo", "1.0")

    assert plan_pouring(verb, [], Formulae(formula()), TAG, brew.brew) == Plan(verb, (), ())


@pytest.mark.parametrize("needs", ["nowhere", "--cask", "/etc/passwd", "octo/other/baz"])
def test_what_is_needed_and_cannot_be_found_stops_it(needs: str, brew: FakeBrew) -> None:
    with pytest.raises(UsageError):
        plan_pouring(Verb.INSTALL, [f"{TAP}/foo"], Formulae(formula("foo", "1.1", needs)), TAG, brew.brew)


def test_a_cellar_that_cannot_be_read_is_an_error(brew: FakeBrew, monkeypatch: pytest.MonkeyPatch) -> None:
    brew.cellar.mkdir()

    def deny(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", deny)

    with pytest.raises(InputError, match="Permission denied"):
        plan_pouring(Verb.INSTALL, [f"{TAP}/foo"], Formulae(formula()), TAG, brew.brew)


# --- pouring -------------------------------------------------------------------------------------


def target_of(bottle: Bottle, described: Formula | None = None) -> Target:
    label = f"{bottle.formula} {bottle.version} ({bottle.tag})"
    question = Question(label, (bottle.digest,), bottle=bottle)
    return Target(question, bottle.tap, formula=described or replace(formula(bottle.formula), tap=bottle.tap))


def prepared(brew: FakeBrew, *bottles: Bottle) -> Plan:
    """Return a plan to pour bottles, the first of which was named."""
    for bottle in bottles or (make_bottle(),):
        brew.files[f"{bottle.tap}/{bottle.formula}"] = cached_bottle_path(brew.prefix / "cache", bottle)
    targets = tuple(map(target_of, bottles or (make_bottle(),)))
    return Plan(Verb.INSTALL, (f"{targets[0].tap}/{targets[0].question.bottle.formula}",), targets)  # type: ignore[union-attr]


def judged(*outcomes: Outcome) -> Callable[[Sequence[Target]], list[Verdict]]:
    """Return a judge that gives these outcomes, whatever it is shown."""

    def judge(targets: Sequence[Target]) -> list[Verdict]:
        return [
            Verdict(target.question, make_basis(), outcome, (), ())
            for target, outcome in zip(targets, outcomes, strict=False)
        ]

    return judge


def pour(brew: FakeBrew, plan: Plan, *outcomes: Outcome, fetch: bool = True) -> Poured:
    return pour_checked(
        plan,
        ["-v"],
        brew.brew,
        expected_file=lambda bottle: cached_bottle_path(Path("/elsewhere"), bottle),
        judge=judged(*outcomes or [Outcome.VERIFIED] * len(plan.targets)),
        allowed={Outcome.VERIFIED},
        fetch=fetch,
    )


def commands(brew: FakeBrew) -> list[str]:
    return [call[0] for call in brew.calls]


def test_what_is_judged_is_the_very_file_that_brew_names(brew: FakeBrew) -> None:
    plan = prepared(brew)
    shown: list[Target] = []

    def judge(targets: Sequence[Target]) -> list[Verdict]:
        shown.extend(targets)
        return judged(Outcome.VERIFIED)(targets)

    pour_checked(
        plan,
        [],
        brew.brew,
        expected_file=lambda bottle: cached_bottle_path(Path("/elsewhere"), bottle),
        judge=judge,
        allowed={Outcome.VERIFIED},
    )

    assert [target.file for target in shown] == list(brew.files.values())
    assert brew.calls == [
        ("fetch", f"{TAP}/foo"),
        ("--cache", f"{TAP}/foo"),
        ("install", f"{TAP}/foo"),
    ]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.VERIFIED])
@pytest.mark.parametrize("place", [0, 1])
def test_one_outcome_that_is_not_allowed_is_enough(outcome: Outcome, place: int, brew: FakeBrew) -> None:
    plan = prepared(brew, make_bottle(), make_bottle(formula="bar"))
    outcomes = [Outcome.VERIFIED, Outcome.VERIFIED]
    outcomes[place] = outcome

    with pytest.raises(StoppedError) as caught:
        pour(brew, plan, *outcomes)

    assert [verdict.outcome for verdict in caught.value.verdicts] == [outcome]
    assert commands(brew) == ["fetch", "--cache"]


def test_a_bottle_without_a_verdict_is_not_poured(brew: FakeBrew) -> None:
    plan = prepared(brew, make_bottle(), make_bottle(formula="bar"))

    with pytest.raises(ValueError, match="not as many verdicts"):
        pour(brew, plan, Outcome.VERIFIED)

    assert commands(brew) == ["fetch", "--cache"]


@pytest.mark.parametrize("count", [0, 2])
def test_files_have_to_be_as_many_as_bottles(count: int, brew: FakeBrew) -> None:
    plan = prepared(brew)
    brew.answers = list(brew.files.values()) * count

    with pytest.raises(ValueError, match="zip"):
        pour(brew, plan)

    assert commands(brew) == ["fetch", "--cache"]


REGISTRY = make_bottle()
MIRRORED = make_bottle(url="https://example.org/bottles/foo-1.1.arm64_sonoma.bottle.tar.gz")


@pytest.mark.parametrize(
    ("bottle", "name", "is_of"),
    [
        (REGISTRY, "{url}--foo--1.1.arm64_sonoma.bottle.tar.gz", True),
        (REGISTRY, "{url}--foo--1.1.arm64_sonoma.bottle.1.tar.gz", False),
        (REGISTRY, "{url}--foo--1.1.sonoma.bottle.tar.gz", False),
        (REGISTRY, "{url}--foo-1.1.arm64_sonoma.bottle.tar.gz", False),
        (REGISTRY, "foo--1.1.arm64_sonoma.bottle.tar.gz", False),
        (REGISTRY, "{other}--foo--1.1.arm64_sonoma.bottle.tar.gz", False),
        (MIRRORED, "{url}--foo-1.1.arm64_sonoma.bottle.tar.gz", True),
        (MIRRORED, "{url}--whatever the server says", True),
        (MIRRORED, "{url}-foo-1.1.arm64_sonoma.bottle.tar.gz", False),
        (MIRRORED, "{other}--foo-1.1.arm64_sonoma.bottle.tar.gz", False),
        (MIRRORED, "foo-1.1.arm64_sonoma.bottle.tar.gz", False),
    ],
)
def test_a_file_bears_the_url_of_its_bottle(bottle: Bottle, name: str, is_of: bool, brew: FakeBrew) -> None:
    plan = prepared(brew, bottle)
    (right,) = brew.files.values()
    url = right.name.partition("--")[0]
    file = brew.prefix / "cache" / name.format(url=url, other="0" * 64)
    file.parent.mkdir()
    file.write_bytes(b"")
    brew.answers = [file]

    if is_of:
        assert pour(brew, plan) == Poured((), None)
    else:
        with pytest.raises(BrewError, match="describes another bottle"):
            pour(brew, plan)
        assert commands(brew) == ["fetch", "--cache"]


def test_a_bottle_that_has_no_name_is_not_poured(brew: FakeBrew) -> None:
    plan = prepared(brew)
    (target,) = plan.targets
    nameless = replace(target, question=Question("foo", (SHA256,)))

    with pytest.raises(BrewError, match="describes another bottle"):
        pour(brew, replace(plan, targets=(nameless,)))

    assert commands(brew) == ["fetch", "--cache"]


names = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"(--?[a-z-]+|/[a-z/]+|[a-z]+\.rb|[a-z.-]+\.tar\.gz|https?://[a-z./]+)", fullmatch=True),
)


@given(names, st.sampled_from([TAP, CORE, "-s/tap", "--cask/x", "https:/", "a"]))
def test_no_name_but_a_formulas_own_is_handed_to_brew(name: str, tap: str) -> None:
    """Whoever made a kit or a tap chose it."""
    target = replace(target_of(make_bottle()), formula=replace(formula(), name=name, tap=tap))
    brew = FakeBrew(Path("/nowhere"), answers=[])
    plan = Plan(Verb.INSTALL, (f"{tap}/{name}",), (target,))

    with pytest.raises((BrewError, KeyError)):
        pour(brew, plan)

    for call in brew.calls:
        for handed in call[1:]:
            assert handed[0] not in "-/."
            assert "://" not in handed
            assert not handed.endswith((".rb", ".tar.gz"))
            assert handed.isascii()
            assert handed.isprintable()
            assert " " not in handed


def test_what_nothing_describes_is_not_handed_to_brew(brew: FakeBrew) -> None:
    plan = prepared(brew)

    with pytest.raises(BrewError):
        pour(brew, replace(plan, targets=(replace(plan.targets[0], formula=None),)))

    assert brew.calls == []


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"other"),
        lambda path: path.unlink(),
        lambda path: (path.rename(path.with_name("old")), path.write_bytes(b"octo/tap/foo")),
        lambda path: os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns)),
        lambda path: (path.rename(path.with_name("old")), path.symlink_to("old")),
    ],
    ids=["written to", "deleted", "replaced by its equal", "given its time again", "linked"],
)
def test_a_file_that_changes_while_it_is_judged_is_not_poured(
    change: Callable[[Path], object], brew: FakeBrew
) -> None:
    plan = prepared(brew)
    (file,) = brew.files.values()

    def judge(targets: Sequence[Target]) -> list[Verdict]:
        while (before := file.stat().st_ctime_ns) == file.stat().st_ctime_ns:
            change(file)  # a clock may be coarse
            if not file.exists() or file.is_symlink() or file.stat().st_ctime_ns != before:
                break
        return judged(Outcome.VERIFIED)(targets)

    with pytest.raises(BrewError, match="changed while it was checked"):
        pour_checked(
            plan,
            [],
            brew.brew,
            expected_file=lambda bottle: cached_bottle_path(Path("/elsewhere"), bottle),
            judge=judge,
            allowed={Outcome.VERIFIED},
        )

    assert commands(brew) == ["fetch", "--cache"]


def test_what_an_earlier_brew_has_unpacked_is_not_poured(brew: FakeBrew) -> None:
    plan = prepared(brew, make_bottle(), make_bottle(formula="bar"))
    rack = brew.prefix / "var" / "homebrew" / "tmp" / ".cellar" / "bar"
    (rack / "1.1").mkdir(parents=True)
    (rack / "1.0.poured").symlink_to(rack / "1.1")
    assert pour(brew, plan).error is None
    brew.calls.clear()
    (rack / "1.1.poured").symlink_to(rack / "1.1")

    with pytest.raises(BrewError, match="unpacked earlier") as caught:
        pour(brew, plan)

    assert commands(brew) == ["fetch", "--cache"]
    assert "brew cleanup" in caught.value.next_step


def test_a_link_to_what_brew_unpacked_and_moved_on_is_nothing(brew: FakeBrew) -> None:
    plan = prepared(brew)
    rack = brew.prefix / "var" / "homebrew" / "tmp" / ".cellar" / "foo"
    rack.mkdir(parents=True)
    (rack / "1.1.poured").symlink_to(rack / "1.1")

    assert pour(brew, plan).error is None


def test_what_is_in_the_cache_is_taken_when_nothing_is_to_be_fetched(brew: FakeBrew) -> None:
    plan = prepared(brew)
    with pytest.raises(BrewError, match="not in brew's download cache"):
        pour(brew, plan, fetch=False)
    brew.fetch([f"{TAP}/foo"])
    brew.calls.clear()

    assert pour(brew, plan, fetch=False).error is None
    assert commands(brew) == ["--cache", "install"]


@pytest.mark.parametrize(
    ("receipt", "unchecked"),
    [
        ({}, ()),
        ({"poured_from_bottle": False}, ("foo 1.1",)),
        ({"poured_from_bottle": None}, ("foo 1.1",)),
        ({"source": {"tap": "evil/tap"}}, ("foo 1.1",)),
        ({"source": {}}, ("foo 1.1",)),
    ],
)
def test_a_keg_is_the_checked_bottles_as_far_as_its_receipt_says(
    receipt: dict[str, object], unchecked: tuple[str, ...], brew: FakeBrew
) -> None:
    def make(brew: FakeBrew) -> None:
        brew.keg("foo", "1.1", **receipt)

    brew.makes = make

    assert pour(brew, prepared(brew)) == Poured(unchecked, None)


@pytest.mark.parametrize(
    ("digest", "unchecked"), [(SHA256.value, ()), (OTHER_SHA256.value, ("foo 1.1",)), ("none", ())]
)
def test_a_keg_that_names_another_bottle_is_reported(
    digest: str, unchecked: tuple[str, ...], brew: FakeBrew
) -> None:
    """As when a new rebuild of the same version came between the check and the pouring."""

    def make(brew: FakeBrew) -> None:
        package = {
            "SPDXID": "SPDXRef-Bottle-foo",
            "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
        }
        sbom = brew.keg("foo", "1.1") / "sbom.spdx.json"
        sbom.write_text(json.dumps({"packages": [package]}), encoding="utf-8")

    brew.makes = make

    assert pour(brew, prepared(brew)).unchecked == unchecked


def test_everything_new_is_reported_and_nothing_old(brew: FakeBrew) -> None:
    brew.keg("old", "1.0")
    (brew.cellar / "broken" / "1.0").mkdir(parents=True)
    (brew.cellar / "file").write_text("", encoding="utf-8")
    brew.keg("again", "1.0")

    def make(brew: FakeBrew) -> None:
        brew.keg("foo", "1.1")
        brew.keg("other", "2.0")
        (brew.cellar / "new" / "1.0").mkdir(parents=True)
        (brew.cellar / "rack").symlink_to(brew.prefix)
        (brew.cellar / "again" / "1.0").rename(brew.prefix / "aside")
        brew.keg("again", "1.0")

    brew.makes = make

    cellar = brew.cellar
    assert pour(brew, prepared(brew)).unchecked == (
        str(cellar / "new" / "1.0"),
        str(cellar / "rack"),
        "again 1.0",
        "other 2.0",
    )


def test_a_keg_that_disappears_while_it_is_looked_at_is_nothing(
    brew: FakeBrew, monkeypatch: pytest.MonkeyPatch
) -> None:
    brew.keg("old", "1.0")
    inodes = Path.lstat

    def lstat(self: Path) -> os.stat_result:
        if self.name == "1.0":
            raise FileNotFoundError(2, "No such file or directory")
        return inodes(self)

    monkeypatch.setattr(Path, "lstat", lstat)

    assert pour(brew, prepared(brew)) == Poured((), None)


def test_a_failed_pouring_is_told_with_what_came_of_it(brew: FakeBrew) -> None:
    failure = BrewError("brew install", "ended with exit code 1", "look")

    def make(brew: FakeBrew) -> None:
        brew.keg("other", "2.0")
        raise failure

    brew.makes = make

    assert pour(brew, prepared(brew)) == Poured(("other 2.0",), failure)
