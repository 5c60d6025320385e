"""From what a person names to bottles: which one is meant, and by whose name it has to be attested."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.builders import (
    OTHER_SHA256,
    SHA256,
    FakeVerifier,
    make_basis,
    make_candidate,
    make_policy,
    make_signer,
    make_statement_document,
    make_subject,
)

from brew_provenance.appraise import appraise
from brew_provenance.bottle import Bottle, BottleTag, Digest, bottle_url
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.findings import Finding
from brew_provenance.formula import Dependency, Formula, UnnamedBottle
from brew_provenance.kegs import Keg, UnreadableKeg
from brew_provenance.subject import Package, SubjectNaming
from brew_provenance.taps import Tap
from brew_provenance.targets import (
    CORE,
    Skipped,
    Target,
    digest_target,
    file_target,
    find_formulae,
    formula_targets,
    full_name,
    installed_formulae,
    keg_target,
    prefetch,
)
from brew_provenance.verdict import Outcome, Verdict

TAP = "octo/tap"
LINUX = BottleTag("linux", "x86_64")
SONOMA = BottleTag("sonoma", "arm64")
TAHOE = BottleTag("tahoe", "arm64")


def digest_of(*parts: str) -> Digest:
    return Digest("sha256", hashlib.sha256("/".join(parts).encode()).hexdigest())


def make_formula(
    name: str = "foo",
    *,
    tap: str = TAP,
    version: str = "1.1",
    tags: Sequence[str] = ("arm64_sonoma", "x86_64_linux"),
    needs: Sequence[str | Dependency] = (),
) -> Formula:
    """Return a formula with bottles for some tags."""
    bottles = []
    for tag in tags:
        bottle = Bottle(tap, name, version, 0, tag, digest_of(tap, name, version, tag), "")
        url = bottle_url(f"https://ghcr.io/v2/{tap}", bottle.file_name, bottle.digest)
        bottles.append(replace(bottle, url=url))
    dependencies = tuple(Dependency(need) if isinstance(need, str) else need for need in needs)
    return Formula(tap, name, version, tuple(bottles), dependencies=dependencies)


class FakeTap:
    """Formulae by their full names."""

    def __init__(
        self, name: str, formulae: Mapping[str, Formula | Exception], notes: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.notes = tuple(notes)
        self.asked: list[str] = []
        self._formulae = formulae

    def formula(self, full_name: str) -> Formula:
        self.asked.append(full_name)
        found = self._formulae.get(full_name)
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise NothingMatchedError(full_name, "there is none", "name another")
        return found

    def formulae(self) -> Iterator[Formula]:
        raise NotImplementedError


class Taps:
    """All taps of a machine, each with the formulae of its own."""

    def __init__(self, *formulae: Formula, notes: Sequence[str] = ()) -> None:
        self.taps: dict[str, FakeTap] = {
            tap: FakeTap(f"the {tap} of a test", {}, notes)
            for tap in {CORE, TAP, *(formula.tap for formula in formulae)}
        }
        for formula in formulae:
            self.add(formula)

    def add(self, formula: Formula | Exception, name: str | None = None) -> None:
        full = name or (formula.full_name if isinstance(formula, Formula) else "")
        tap = self.taps[full.rpartition("/")[0]]
        tap._formulae = {**tap._formulae, full: formula}

    def __call__(self, tap: str) -> Tap:
        return self.taps[tap]


def codes(target: Target) -> list[str]:
    return [finding.code for finding in target.findings]


def names(targets: Sequence[Target]) -> list[str | None]:
    return [target.formula.full_name if target.formula else None for target in targets]


def judged(target: Target, name: str, digest: Digest | None = None, naming: str = "file-name") -> Verdict:
    """Return the verdict where the store has an attestation of that name and digest."""
    subject = make_subject(name, digest or target.question.digests[0])
    policy = make_policy(make_signer(subject_naming=SubjectNaming(naming)))
    candidate = make_candidate("x", make_statement_document(subject))
    return appraise(target.question, [candidate], FakeVerifier(), make_basis(policy), target.findings)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wget", "homebrew/core/wget"),
        ("openssl@3", "homebrew/core/openssl@3"),
        ("gtk+3", "homebrew/core/gtk+3"),
        ("octo/tap/foo", "octo/tap/foo"),
        ("Octo/Tap/Foo", "octo/tap/foo"),
        ("Wget", "homebrew/core/wget"),
        ("homebrew/core/wget", "homebrew/core/wget"),
        ("a-b/c.d-e/f_g", "a-b/c.d-e/f_g"),
    ],
)
def test_a_name_is_made_whole(name: str, expected: str) -> None:
    assert full_name(name, CORE) == expected


def test_a_short_name_is_of_the_tap_that_is_given() -> None:
    assert full_name("foo", "Octo/Tap") == "octo/tap/foo"
    assert full_name("other/tap/foo", "octo/tap") == "other/tap/foo"


def test_a_tap_that_takes_long_is_asked_once_for_all_of_its_formulae() -> None:
    class SlowTap(FakeTap):
        def prefetch(self, full_names: Iterable[str]) -> None:
            self.asked += full_names
            raise InputError("brew", "hangs", "look at it")

    taps = Taps()
    slow, core = SlowTap("slow", {}), taps.taps[CORE]
    taps.taps[TAP] = slow
    prefetch(taps, [f"{TAP}/foo", f"{CORE}/wget", f"{TAP}/bar"])
    assert slow.asked == [f"{TAP}/foo", f"{TAP}/bar"]
    assert core.asked == []


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a b", "wget\n", "../wget", "./wget", "/wget", "-wget", "octo/wget", "octo/tap/"),
        *("octo/tap/x/wget", "octo/../wget", "octo/.git/wget", "wgét", "wget;ls", "https://example.org/wget"),
    ],
)
def test_what_no_formula_can_be_called_is_said_to_be_none(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        full_name(name, CORE)
    assert caught.value.thing == name


def test_the_bottle_of_the_tag_is_chosen_and_nothing_is_said_of_it() -> None:
    formula = make_formula()
    (target,) = formula_targets(Taps(formula), [f"{TAP}/foo"], LINUX)
    assert target.question.bottle == formula.bottles[1]
    assert target.question.digests == (formula.bottles[1].digest,)
    assert target.question.label == "foo 1.1 (x86_64_linux)"
    assert target.question.needed_by is None
    assert (target.tap, target.metadata, target.formula) == (TAP, f"the {TAP} of a test", formula)
    assert (target.file, target.findings) == (None, ())


@pytest.mark.parametrize(
    ("tags", "asked", "chosen"),
    [
        (["all"], LINUX, "all"),
        (["arm64_sonoma"], TAHOE, "arm64_sonoma"),
        (["arm64_sequoia", "arm64_sonoma"], TAHOE, "arm64_sequoia"),
        (["arm64_sonoma", "all"], TAHOE, "all"),
    ],
)
def test_a_bottle_for_another_tag_is_said_to_be_one(tags: list[str], asked: BottleTag, chosen: str) -> None:
    (target,) = formula_targets(Taps(make_formula(tags=tags)), [f"{TAP}/foo"], asked)
    assert target.question.bottle is not None
    assert target.question.bottle.tag == chosen
    assert codes(target) == ["tag-chosen"]
    assert target.findings[0].detail.startswith(f"{chosen}: ")


@pytest.mark.parametrize("tags", [["arm64_sonoma"], ["arm64_linux"], ["x86_64_linux_musl"]])
def test_a_formula_without_a_bottle_for_the_tag_names_its_tags(tags: list[str]) -> None:
    with pytest.raises(NothingMatchedError) as caught:
        formula_targets(Taps(make_formula(tags=tags)), [f"{TAP}/foo"], LINUX)
    assert caught.value.thing == f"{TAP}/foo"
    assert tags[0] in caught.value.next_step


@pytest.mark.parametrize("tag", [LINUX, None])
def test_a_formula_without_bottles_is_said_to_have_none(tag: BottleTag | None) -> None:
    with pytest.raises(NothingMatchedError, match="no bottles"):
        formula_targets(Taps(make_formula(tags=[])), [f"{TAP}/foo"], tag)


def test_without_a_tag_every_bottle_is_meant_in_the_formulas_order() -> None:
    tags = ["x86_64_linux", "arm64_sonoma", "sonoma"]
    targets = formula_targets(Taps(make_formula(tags=tags)), [f"{TAP}/foo"], None)
    assert [target.question.bottle and target.question.bottle.tag for target in targets] == tags
    assert {target.findings for target in targets} == {()}


@pytest.mark.parametrize(("tag", "count"), [(None, 2), (LINUX, 1)])
def test_a_bottle_without_a_name_is_never_verified(tag: BottleTag | None, count: int) -> None:
    unnamed = tuple(UnnamedBottle(text, digest_of(text), 0) for text in ("arm64_sonoma", "x86_64_linux"))
    formula = Formula(TAP, "foo", None, (), unnamed=unnamed, gaps=("line 3: computed", "line 9: also"))
    targets = formula_targets(Taps(formula), [f"{TAP}/foo"], tag)
    assert len(targets) == count
    for target in targets:
        assert target.question.bottle is None
        assert codes(target) == ["package-version-unknown"]
        assert target.findings[0].detail == "line 3: computed; line 9: also"
        assert judged(target, "foo--1.1.x86_64_linux.bottle.tar.gz").outcome is Outcome.UNRESOLVED


def test_what_is_to_know_of_the_source_is_said_of_every_bottle() -> None:
    targets = formula_targets(Taps(make_formula(), notes=["it is old"]), [f"{TAP}/foo"], None)
    assert [codes(target) for target in targets] == [["metadata-note"]] * 2
    assert targets[0].findings[0].detail == "it is old"


def test_a_formula_is_judged_once_by_whichever_of_its_names() -> None:
    taps = Taps(make_formula())
    taps.add(make_formula(), f"{TAP}/phoo")
    found = formula_targets(taps, [f"{TAP}/foo", f"{TAP}/phoo", f"{TAP}/foo"], LINUX)
    assert names(found) == [f"{TAP}/foo"]


def test_an_unknown_formula_matches_nothing() -> None:
    with pytest.raises(NothingMatchedError, match="octo/tap/bar"):
        formula_targets(Taps(make_formula()), [f"{TAP}/bar"], LINUX)


def test_what_is_needed_follows_in_breadth_each_once_with_who_needs_it() -> None:
    taps = Taps(
        make_formula("top", tap=CORE, needs=["left", "right"]),
        make_formula("left", tap=CORE, needs=["bottom"]),
        make_formula("right", tap=CORE, needs=["bottom", "top"]),
        make_formula("bottom", tap=CORE, needs=["left"]),
    )
    targets = formula_targets(taps, [f"{CORE}/top"], LINUX, dependencies_on=LINUX)
    assert [(target.formula and target.formula.name, target.question.needed_by) for target in targets] == [
        ("top", None),
        ("left", "top"),
        ("right", "top"),
        ("bottom", "left"),
    ]
    assert [formula.name for formula in find_formulae(taps, [f"{CORE}/top"], dependencies_on=LINUX)] == [
        *("top", "left", "right", "bottom")
    ]


def test_what_was_named_is_never_said_to_be_needed_only() -> None:
    taps = Taps(make_formula("top", tap=CORE, needs=["low"]), make_formula("low", tap=CORE))
    targets = formula_targets(taps, [f"{CORE}/top", f"{CORE}/low"], LINUX, dependencies_on=LINUX)
    assert [target.question.needed_by for target in targets] == [None, None]


def test_without_dependencies_nothing_else_is_looked_at() -> None:
    taps = Taps(make_formula(needs=["bar"]))
    assert len(formula_targets(taps, [f"{TAP}/foo"], LINUX)) == 1
    assert list(find_formulae(taps, [f"{TAP}/foo"])) == [taps(TAP).formula(f"{TAP}/foo")]
    assert taps.taps[CORE].asked == []


def test_an_alias_of_what_was_seen_is_not_judged_twice() -> None:
    taps = Taps(make_formula("top", tap=CORE, needs=["low", "lo"]), make_formula("low", tap=CORE))
    taps.add(make_formula("low", tap=CORE), f"{CORE}/lo")
    targets = formula_targets(taps, [f"{CORE}/top"], LINUX, dependencies_on=LINUX)
    assert names(targets) == [f"{CORE}/top", f"{CORE}/low"]


@pytest.mark.parametrize(
    ("needed", "found"),
    [
        ("bar", f"{CORE}/bar"),
        ("own", f"{TAP}/own"),
        ("octo/tap/bar", f"{TAP}/bar"),
        ("Octo/Tap/bar", f"{TAP}/bar"),
        ("other/tap/bar", "other/tap/bar"),
        ("homebrew/core/bar", f"{CORE}/bar"),
    ],
)
def test_a_short_name_is_homebrew_cores_first_and_a_full_one_is_meant_as_it_stands(
    needed: str, found: str
) -> None:
    others = [make_formula("bar", tap=tap) for tap in (CORE, TAP, "other/tap")]
    taps = Taps(make_formula(needs=[needed]), make_formula("own"), *others)
    targets = formula_targets(taps, [f"{TAP}/foo"], LINUX, dependencies_on=LINUX)
    assert names(targets) == [f"{TAP}/foo", found]
    assert [target.tap for target in targets] == [TAP, found.rpartition("/")[0]]


def test_what_homebrew_core_cannot_say_is_not_asked_of_another_tap() -> None:
    taps = Taps(make_formula(needs=["bar"]), make_formula("bar"))
    taps.add(InputError("the API", "not signed", "try again"), f"{CORE}/bar")
    with pytest.raises(InputError, match="not signed"):
        formula_targets(taps, [f"{TAP}/foo"], LINUX, dependencies_on=LINUX)


@pytest.mark.parametrize("needed", ["nowhere", "octo/tap/nowhere"])
def test_a_dependency_that_nobody_describes_is_an_error(needed: str) -> None:
    with pytest.raises(NothingMatchedError, match="octo/tap/nowhere"):
        formula_targets(Taps(make_formula(needs=[needed])), [f"{TAP}/foo"], LINUX, dependencies_on=LINUX)


@pytest.mark.parametrize("needed", ["../../etc", "a/b", "", "x\ny"])
def test_a_dependency_that_no_formula_can_be_called_is_an_error(needed: str) -> None:
    with pytest.raises(UsageError, match="not the name of a formula"):
        formula_targets(Taps(make_formula(needs=[needed])), [f"{TAP}/foo"], LINUX, dependencies_on=LINUX)


@pytest.mark.parametrize(
    ("conditions", "tag", "is_needed"),
    [
        (("on_linux",), LINUX, True),
        (("on_linux",), SONOMA, False),
        (("on_macos",), LINUX, False),
        (("on_ventura_or_older",), SONOMA, False),
        (("not:on_macos",), SONOMA, False),
        (("if build.with?",), LINUX, True),
        (("not:whatever",), SONOMA, True),
        (("on_linux", "whatever"), SONOMA, False),
        (("tag:arm64_sonoma",), SONOMA, True),
    ],
)
def test_what_cannot_be_known_is_taken_for_needed(
    conditions: tuple[str, ...], tag: BottleTag, is_needed: bool
) -> None:
    needs = [Dependency("bar", conditions)]
    taps = Taps(make_formula("foo", tap=CORE, needs=needs), make_formula("bar", tap=CORE))
    targets = formula_targets(taps, [f"{CORE}/foo"], tag, dependencies_on=tag)
    assert names(targets)[1:] == ([f"{CORE}/bar"] if is_needed else [])


def test_bottles_of_all_tags_may_be_judged_with_what_is_needed_on_one() -> None:
    taps = Taps(make_formula("foo", tap=CORE, needs=["bar"]), make_formula("bar", tap=CORE))
    assert len(formula_targets(taps, [f"{CORE}/foo"], None, dependencies_on=LINUX)) == 4


NAME = "foo--1.1.x86_64_linux.bottle.tar.gz"
OLDER = "foo--1.0_2.x86_64_linux.bottle.1.tar.gz"


def test_a_file_of_the_current_bottle_is_that_bottle(tmp_path: Path) -> None:
    formula = make_formula()
    path = tmp_path / f"{'0' * 64}--{NAME}"
    target = file_target(path, NAME, Taps(formula, notes=["it is old"]), TAP)
    assert target.question.bottle == formula.bottles[1]
    # The bytes are compared with the formula's digest later on, and not with themselves.
    assert target.question.digests == (formula.bottles[1].digest,)
    assert (target.file, target.formula, target.metadata) == (path, formula, f"the {TAP} of a test")
    assert codes(target) == ["metadata-note"]


def test_a_file_of_another_bottle_has_to_be_attested_by_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / OLDER
    path.write_bytes(b"older")
    target = file_target(path, OLDER, Taps(make_formula(), notes=["it is old"]), TAP)
    assert [str(digest) for digest in target.question.digests] == [
        f"sha256:{hashlib.sha256(b'older').hexdigest()}",
        f"sha512:{hashlib.sha512(b'older').hexdigest()}",
    ]
    assert (target.question.bottle, target.question.name) == (None, OLDER)
    assert codes(target) == ["not-the-current-bottle", "metadata-note"]
    assert judged(target, OLDER).outcome is Outcome.VERIFIED
    for name in (NAME, OLDER.replace(".1.tar", ".tar"), OLDER.replace("foo", "bar"), "foo"):
        assert judged(target, name).outcome is Outcome.REJECTED


@pytest.mark.parametrize("name", [OLDER, "foo--1.1.sonoma.bottle.tar.gz"])
def test_a_file_that_cannot_be_read_is_an_error(name: str, tmp_path: Path) -> None:
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(InputError) as caught:
            file_target(path, name, Taps(make_formula()), TAP)
        assert caught.value.thing == str(path)


def test_a_file_of_a_formula_that_the_tap_does_not_have_matches_nothing(tmp_path: Path) -> None:
    with pytest.raises(NothingMatchedError, match="homebrew/core/foo"):
        file_target(tmp_path, NAME, Taps(make_formula()), CORE)


def test_a_digest_is_whatever_bears_it() -> None:
    target = digest_target(SHA256, TAP)
    assert target.question.label == str(SHA256)
    assert (target.question.digests, target.question.bottle, target.question.name) == ((SHA256,), None, None)
    assert (target.tap, target.metadata, target.formula, target.file) == (TAP, None, None, None)
    verdict = judged(target, "anything.zip")
    assert verdict.outcome is Outcome.VERIFIED
    assert "subject-name-not-checked" in {note.code for note in verdict.assessments[0].findings}


def make_keg(
    version: str = "1.1",
    *,
    name: str = "foo",
    tap: str | None = TAP,
    poured: bool = True,
    digest: Digest | None = None,
) -> Keg:
    return Keg(name, version, Path("/cellar") / name / version, tap, poured, (), digest)


class Cache:
    """A download cache that holds one bottle."""

    def __init__(self, held: Bottle | None = None) -> None:
        self.asked: list[Bottle] = []
        self._held = held

    def __call__(self, bottle: Bottle) -> Path | None:
        self.asked.append(bottle)
        return Path("/cache/foo") if bottle == self._held else None


def of_keg(keg: Keg, taps: Taps, cache: Cache | None = None, tag: BottleTag = LINUX) -> Target | Skipped:
    return keg_target(keg, taps, tag, cache or Cache())


def target_of(keg: Keg, taps: Taps, cache: Cache | None = None, tag: BottleTag = LINUX) -> Target:
    found = of_keg(keg, taps, cache, tag)
    assert isinstance(found, Target)
    return found


@pytest.mark.parametrize("digest", [None, SHA256])
def test_a_keg_that_was_built_here_is_no_bottle_and_nothing_is_asked(digest: Digest | None) -> None:
    taps = Taps(make_formula())
    found = of_keg(make_keg(poured=False, digest=digest), taps)
    assert found == Skipped("foo 1.1", "not a bottle: built from source on this machine")
    assert taps.taps[TAP].asked == []


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("cached", [False, True])
def test_a_keg_whose_sbom_names_a_bottle_of_the_formula_was_poured_from_that(
    index: int, cached: bool
) -> None:
    formula = make_formula()
    bottle = formula.bottles[index]
    cache = Cache(bottle if cached else None)
    target = target_of(make_keg(digest=bottle.digest), Taps(formula), cache)
    assert target.question.bottle == bottle
    assert target.question.label == "foo 1.1 (installed)"
    assert target.file == (Path("/cache/foo") if cached else None)
    assert cache.asked == [bottle]
    assert (target.tap, target.formula, target.findings) == (TAP, formula, ())
    assert target.metadata == f"the {TAP} of a test"


@pytest.mark.parametrize("keg_tap", [None, "Homebrew/Core"])
def test_a_keg_without_a_tap_is_homebrew_cores(keg_tap: str | None) -> None:
    target = target_of(make_keg(tap=keg_tap), Taps(make_formula(tap=CORE)))
    assert target.tap == CORE


def test_a_keg_without_a_hint_is_taken_for_the_formulas_bottle_and_that_is_said() -> None:
    formula = make_formula()
    cache = Cache(formula.bottles[1])
    target = target_of(make_keg(), Taps(formula), cache)
    assert target.question.bottle == formula.bottles[1]
    assert target.file == Path("/cache/foo")
    assert codes(target) == ["keg-bottle-guessed"]


@pytest.mark.parametrize(
    ("version", "tags", "tag", "now"),
    [
        ("1.0", ["x86_64_linux"], LINUX, "1.1"),
        ("1.1_1", ["x86_64_linux"], LINUX, "1.1"),
        ("1.1", ["arm64_sonoma"], LINUX, "1.1"),
        ("1.1", [], LINUX, "1.1"),
    ],
)
def test_a_keg_of_a_bottle_that_nothing_names_is_said_to_be_open(
    version: str, tags: list[str], tag: BottleTag, now: str
) -> None:
    found = of_keg(make_keg(version), Taps(make_formula(tags=tags)), tag=tag)
    assert isinstance(found, Skipped)
    assert found.is_bottle
    assert found.name == f"foo {version}"
    assert f"octo/tap/foo is at {now}" in found.why


def test_a_keg_of_a_formula_whose_version_is_not_known_is_said_to_be_open() -> None:
    formula = Formula(TAP, "foo", None, (), unnamed=(UnnamedBottle("x86_64_linux", SHA256, 0),))
    found = of_keg(make_keg(), Taps(formula))
    assert isinstance(found, Skipped)
    assert found.is_bottle
    assert "None" not in found.why


@pytest.mark.parametrize(
    "trouble",
    [
        None,
        NothingMatchedError("octo/tap/foo", "there is none", "name another"),
        InputError("octo/tap/foo", "cannot be read", "repair it"),
    ],
)
def test_a_keg_of_an_unknown_formula_is_asked_about_by_its_hint_alone(trouble: Exception | None) -> None:
    taps = Taps()
    if trouble is not None:
        taps.add(trouble, f"{TAP}/foo")
    target = target_of(make_keg(digest=SHA256), taps)
    assert target.question.package == Package("foo", "1.1")
    assert (target.question.digests, target.question.bottle) == ((SHA256,), None)
    assert (target.formula, target.metadata, target.file) == (None, None, None)
    assert codes(target) == ["keg-digest-unsigned"]
    found = of_keg(make_keg(), taps)
    assert isinstance(found, Skipped)
    assert found.is_bottle
    assert "the keg names no bottle" in found.why


@pytest.mark.parametrize(
    "trouble", [UsageError("octo/tap", "there is no brew", "install it"), KeyError("a bug")]
)
def test_other_troubles_with_a_kegs_formula_are_not_hidden(trouble: Exception) -> None:
    taps = Taps()
    taps.add(trouble, f"{TAP}/foo")
    with pytest.raises(type(trouble)):
        of_keg(make_keg(digest=SHA256), taps)


@pytest.mark.parametrize(
    ("attested", "outcome"),
    [
        ("foo--1.0.x86_64_linux.bottle.tar.gz", Outcome.VERIFIED),
        ("foo--1.0.arm64_sonoma.bottle.3.tar.gz", Outcome.VERIFIED),
        ("foo--1.0.all.bottle.tar.gz", Outcome.VERIFIED),
        ("foo--1.0_1.x86_64_linux.bottle.tar.gz", Outcome.REJECTED),
        ("foo--1.1.x86_64_linux.bottle.tar.gz", Outcome.REJECTED),
        ("foo--11.0.x86_64_linux.bottle.tar.gz", Outcome.REJECTED),
        ("foo--1.0.1.x86_64_linux.bottle.tar.gz", Outcome.REJECTED),
        ("bar--1.0.x86_64_linux.bottle.tar.gz", Outcome.REJECTED),
        ("foo@1--1.0.x86_64_linux.bottle.tar.gz", Outcome.REJECTED),
        ("xfoo--1.0.x86_64_linux.bottle.tar.gz", Outcome.REJECTED),
        ("bar--foo--1.0.x86_64_linux.bottle.tar.gz", Outcome.REJECTED),
        ("foo--1.0", Outcome.REJECTED),
        ("foo", Outcome.REJECTED),
        ("", Outcome.REJECTED),
    ],
)
def test_a_hint_that_leads_to_another_signed_bottle_is_rejected(attested: str, outcome: Outcome) -> None:
    target = target_of(make_keg("1.0", digest=SHA256), Taps(make_formula()))
    assert target.question.package == Package("foo", "1.0")
    verdict = judged(target, attested)
    assert verdict.outcome is outcome
    if outcome is Outcome.REJECTED:
        assert {fault.code for fault in verdict.faults} <= {"subject-other-formula", "subject-other-version"}


def test_a_hint_is_no_good_for_another_digest() -> None:
    target = target_of(make_keg("1.0", digest=SHA256), Taps(make_formula()))
    assert judged(target, "foo--1.0.x86_64_linux.bottle.tar.gz", OTHER_SHA256).outcome is Outcome.REJECTED


def test_a_hint_is_compared_also_where_a_signer_puts_a_url_before_the_name() -> None:
    target = target_of(make_keg("1.0", digest=SHA256), Taps(make_formula()))
    for formula, outcome in (("foo", Outcome.VERIFIED), ("bar", Outcome.REJECTED)):
        name = f"{'0' * 64}--{formula}--1.0.x86_64_linux.bottle.tar.gz"
        assert judged(target, name, naming="url-sha256--file-name").outcome is outcome


def test_a_hint_for_the_same_version_that_the_formula_does_not_list_is_no_bottle_of_it() -> None:
    target = target_of(make_keg(digest=SHA256), Taps(make_formula()))
    assert target.question.bottle is None
    assert codes(target) == ["keg-digest-unsigned"]
    assert target.findings[0] == Finding("keg-digest-unsigned", f"{SHA256} by 1.1")


def install(cellar: Path, name: str, version: str, **receipt: object) -> None:
    keg = cellar / name / version
    keg.mkdir(parents=True)
    (keg / "INSTALL_RECEIPT.json").write_text(json.dumps(receipt), encoding="utf-8")


def test_installed_formulae_are_those_that_were_poured_each_once(tmp_path: Path) -> None:
    install(tmp_path, "bar", "1", poured_from_bottle=True, source={"tap": "Octo/Tap"})
    install(tmp_path, "bar", "2", poured_from_bottle=True, source={"tap": "octo/homebrew-tap"})
    install(tmp_path, "foo", "1", poured_from_bottle=True)
    install(tmp_path, "made", "1", poured_from_bottle=False)
    assert installed_formulae(tmp_path) == ["octo/tap/bar", "homebrew/core/foo"]


def test_what_is_installed_and_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "bar" / "1").mkdir(parents=True)
    install(tmp_path, "foo", "1", poured_from_bottle=True)
    unreadable, name = installed_formulae(tmp_path)
    assert isinstance(unreadable, UnreadableKeg)
    assert unreadable.path == tmp_path / "bar" / "1"
    assert name == "homebrew/core/foo"
    with pytest.raises(InputError):
        installed_formulae(tmp_path / "missing")
