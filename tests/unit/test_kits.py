"""Making kits: what was answered is written down, and what was not is not made up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.builders import (
    SHA256,
    Json,
    make_raw_bundle,
    make_statement_document,
    make_subject,
)

from brew_provenance import kits
from brew_provenance.appraise import Candidate
from brew_provenance.bottle import Bottle, Digest, bottle_url
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.errors import KitError, NothingMatchedError
from brew_provenance.findings import Finding
from brew_provenance.formula import Dependency, Formula, UnnamedBottle
from brew_provenance.kits import Export, export_kit
from brew_provenance.policy import PolicyOrigin, policy_for_tap, read_policy
from brew_provenance.stores import Answer, Store
from brew_provenance.stores.kit import INDEX, TRUSTED_ROOT, Kit
from brew_provenance.trust import TrustedRoot

TAP, OTHER = "octo/tap", "other/tap"
ROOT = TrustedRoot("a root", b'{\n  "mediaType": "x",\n  "tlogs": []\n}\n', built_in=True)
SBOM = "https://spdx.dev/Document/v2.3"


def make_formula(name: str, *, tap: str = TAP, tags: Sequence[str] = ("sonoma", "x86_64_linux")) -> Formula:
    bottles = []
    for tag in tags:
        digest = Digest("sha256", hashlib.sha256(f"{name}/{tag}".encode()).hexdigest())
        bottle = Bottle(tap, name, "1.0", 0, tag, digest, "")
        bottles.append(
            replace(bottle, url=bottle_url("https://ghcr.io/v2/octo/tap", bottle.file_name, digest))
        )
    return Formula(tap, name, "1.0", tuple(bottles), dependencies=(Dependency("x"),), revision=0)


FOO, BAR, BARE = make_formula("foo"), make_formula("bar"), make_formula("bare", tags=())


def attestation(*bottles: Bottle, **statement: object) -> bytes:
    subjects = [make_subject(str(bottle.file_name), bottle.digest) for bottle in bottles]
    return make_raw_bundle(make_statement_document(*subjects, **statement))


class FakeStore:
    """A store with a bundle for every bottle, unless it was told something else."""

    name = "a store"

    def __init__(self, *formulae: Formula) -> None:
        self.answers: dict[Digest, Answer] = {
            bottle.digest: answer_of(attestation(bottle))
            for formula in formulae
            for bottle in formula.bottles
        }
        self.asked: list[tuple[list[Digest], bool]] = []
        self.before: Callable[[int], None] = lambda _number: None

    def resolve(self, digests: Sequence[Digest], *, fresh: bool = False) -> Mapping[Digest, Answer]:
        self.before(len(self.asked))
        self.asked.append((list(digests), fresh))
        return {digest: self.answers.get(digest, Answer()) for digest in digests}


def answer_of(*bundles: bytes, findings: Sequence[str] = (), candidates: Sequence[str] = ()) -> Answer:
    found = [Candidate("the store", read_bundle(raw)) for raw in bundles]
    found += (Candidate("the store", Finding(code, "x")) for code in candidates)
    return Answer(tuple(found), tuple(Finding(code, "x") for code in findings))


def export(
    folder: Path,
    *formulae: Formula,
    store: Store | None = None,
    store_for: Callable[[str], Store] | None = None,
    fresh: bool = False,
    progress: Callable[[Export], None] = lambda _done: None,
) -> Export:
    chosen = store or FakeStore(*formulae)
    return export_kit(
        folder,
        iter(formulae),
        store_for or (lambda _tap: chosen),
        policy_for=policy_for_tap,
        roots=[ROOT],
        progress=progress,
        fresh=fresh,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def index(folder: Path) -> Json:
    document = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def answer(folder: Path, bottle: Bottle) -> Answer:
    return Kit(folder).resolve([bottle.digest])[bottle.digest]


def test_a_kit_answers_what_the_store_and_the_tap_answered(tmp_path: Path) -> None:
    done = export(tmp_path, FOO, BAR, BARE)
    assert done == Export(formulae=3, bottles=4, unattested=0, problems=[])
    kit = Kit(tmp_path)
    assert kit.altered_files() == []
    assert list(kit.formulae()) == [replace(formula, gaps=()) for formula in (BAR, BARE, FOO)]
    for formula in (FOO, BAR):
        for bottle in formula.bottles:
            (candidate,) = answer(tmp_path, bottle).candidates
            assert isinstance(candidate.bundle, Bundle)
            assert bottle.digest.value.encode() in candidate.bundle.payload


def test_a_kit_holds_a_root_and_policies_for_whoever_trusts_them(tmp_path: Path) -> None:
    root = TrustedRoot("two", ROOT.raw.replace(b"x", b"y"), built_in=False)
    export_kit(
        tmp_path,
        [FOO, make_formula("core", tap="homebrew/core"), make_formula("foo", tap=OTHER)],
        lambda _tap: FakeStore(),
        policy_for=policy_for_tap,
        roots=[ROOT, root],
        progress=lambda _done: None,
    )
    lines = (tmp_path / TRUSTED_ROOT).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["mediaType"] for line in lines] == ["x", "y"]
    for tap in (TAP, OTHER, "homebrew/core"):
        policy = read_policy(tmp_path / "policies" / f"{tap}.toml")
        assert policy.sha256 == policy_for_tap(tap).sha256
        assert policy.origin is PolicyOrigin.FILE
    assert set(index(tmp_path)["files"]) == contents(tmp_path).keys() - {INDEX}


def test_a_bottle_without_attestation_is_known_to_have_none(tmp_path: Path) -> None:
    store = FakeStore(FOO)
    store.answers[FOO.bottles[0].digest] = Answer()
    assert export(tmp_path, FOO, store=store) == Export(1, 2, 1, [])
    assert answer(tmp_path, FOO.bottles[0]) == Answer()
    assert len(answer(tmp_path, FOO.bottles[1]).candidates) == 1


MALFORMED = b"{}"
OF_ANOTHER_KIND = attestation(FOO.bottles[0], predicateType=SBOM)
GOOD = attestation(FOO.bottles[0])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (answer_of(findings=["server-failed"]), "server-failed"),
        (answer_of(findings=["token-refused", "rate-limited", "server-failed"]), "rate-limited"),
        (answer_of(candidates=["link-expired"]), "link-expired"),
        (answer_of(MALFORMED), "bundle-media-type-unknown"),
        (answer_of(OF_ANOTHER_KIND, candidates=["link-expired"]), "link-expired"),
        (answer_of(OF_ANOTHER_KIND, findings=["server-failed"]), "server-failed"),
    ],
)
def test_what_a_store_could_not_answer_is_left_out_and_reported(
    given: Answer, code: str, tmp_path: Path
) -> None:
    store = FakeStore(FOO, BAR)
    store.answers[FOO.bottles[0].digest] = given
    done = export(tmp_path, FOO, BAR, store=store)
    assert (done.formulae, done.bottles, done.unattested) == (2, 3, 0)
    ((name, problem),) = done.problems
    assert (name, problem.code) == (str(FOO.bottles[0].file_name), code)
    assert str(FOO.bottles[0].digest) not in index(tmp_path)["digests"]
    silent = answer(tmp_path, FOO.bottles[0])
    assert [finding.code for finding in silent.findings] == ["store-has-no-answer"]
    assert silent.candidates == ()
    assert len(answer(tmp_path, FOO.bottles[1]).candidates) == 1


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (answer_of(GOOD, candidates=["link-expired"]), 1),
        (answer_of(GOOD, MALFORMED), 1),
        (answer_of(GOOD, OF_ANOTHER_KIND, candidates=["server-failed"]), 2),
        (answer_of(GOOD, findings=["token-refused"]), 1),
        (answer_of(OF_ANOTHER_KIND), 1),
        (answer_of(GOOD, GOOD), 1),
    ],
)
def test_with_a_bundle_that_applies_an_answer_is_one(given: Answer, count: int, tmp_path: Path) -> None:
    store = FakeStore(FOO)
    store.answers[FOO.bottles[0].digest] = given
    done = export(tmp_path, FOO, store=store)
    assert done == Export(1, 2, 0, [])
    assert len(answer(tmp_path, FOO.bottles[0]).candidates) == count


def test_a_formula_whose_version_is_not_known_is_left_out_and_reported(tmp_path: Path) -> None:
    unknown = Formula(TAP, "odd", None, (), unnamed=(UnnamedBottle("sonoma", SHA256, 0),), gaps=("computed",))
    store = FakeStore(FOO)
    done = export(tmp_path, unknown, FOO, store=store)
    assert (done.formulae, done.bottles) == (1, 2)
    ((name, problem),) = done.problems
    assert (name, problem.code) == (f"{TAP}/odd", "package-version-unknown")
    assert index(tmp_path)["formulae"] == [f"{TAP}/foo"]
    assert SHA256 not in store.asked[0][0]


@pytest.mark.parametrize("formulae", [(), (Formula(TAP, "odd", None, ()),)])
def test_nothing_to_describe_is_no_kit_and_spoils_none(formulae: tuple[Formula, ...], tmp_path: Path) -> None:
    with pytest.raises(NothingMatchedError):
        export(tmp_path / "new", *formulae)
    assert not (tmp_path / "new" / INDEX).exists()
    export(tmp_path / "old", FOO)
    before = contents(tmp_path / "old")
    with pytest.raises(NothingMatchedError) as caught:
        export(tmp_path / "old", *formulae)
    assert contents(tmp_path / "old") == before
    assert all(formula.full_name in caught.value.cause for formula in formulae)


def test_bottles_of_equal_bytes_are_counted_and_reported_each(tmp_path: Path) -> None:
    twin = replace(BAR, bottles=tuple(replace(item, digest=FOO.bottles[0].digest) for item in BAR.bottles))
    store = FakeStore(FOO)
    assert export(tmp_path / "one", FOO, twin, store=store) == Export(2, 4, 0, [])
    store.answers[FOO.bottles[0].digest] = Answer()
    assert export(tmp_path / "two", FOO, twin, store=store) == Export(2, 4, 3, [])
    store.answers[FOO.bottles[0].digest] = answer_of(findings=["server-failed"])
    done = export(tmp_path / "three", FOO, twin, store=store)
    assert done.bottles == 1
    assert [name for name, _ in done.problems] == [
        str(bottle.file_name) for bottle in (FOO.bottles[0], *twin.bottles)
    ]


def test_a_failure_counts_for_the_tap_that_it_is_of(tmp_path: Path) -> None:
    namesake = make_formula("foo", tap=OTHER)
    bottles = tuple(replace(item, digest=Digest("sha256", "1" * 64)) for item in namesake.bottles[:1])
    stores = {TAP: FakeStore(), OTHER: FakeStore()}
    for bottle in FOO.bottles:
        stores[TAP].answers[bottle.digest] = answer_of(findings=["server-failed"])
    done = export(tmp_path, FOO, replace(namesake, bottles=bottles), store_for=stores.__getitem__)
    assert (done.bottles, len(done.problems)) == (1, 2)


def test_each_tap_is_asked_of_its_own_store(tmp_path: Path) -> None:
    namesake = make_formula("baz", tap=OTHER)
    stores = {TAP: FakeStore(FOO, BAR), OTHER: FakeStore(namesake)}
    export(tmp_path, FOO, namesake, BAR, store_for=stores.__getitem__)
    assert stores[TAP].asked == [([item.digest for item in (*FOO.bottles, *BAR.bottles)], False)]
    assert stores[OTHER].asked == [([item.digest for item in namesake.bottles], False)]


def test_attestations_of_equal_bottles_of_two_taps_are_both_kept(tmp_path: Path) -> None:
    namesake = replace(FOO, tap=OTHER, bottles=tuple(replace(item, tap=OTHER) for item in FOO.bottles))
    stores = {TAP: FakeStore(FOO), OTHER: FakeStore()}
    for bottle in FOO.bottles:
        stores[OTHER].answers[bottle.digest] = answer_of(attestation(bottle, other=True))
    export(tmp_path, FOO, namesake, store_for=stores.__getitem__)
    assert len(answer(tmp_path, FOO.bottles[0]).candidates) == 2


@pytest.mark.parametrize("fresh", [False, True])
def test_what_is_remembered_is_taken_unless_it_has_to_be_fresh(fresh: bool, tmp_path: Path) -> None:
    store = FakeStore(FOO)
    export(tmp_path, FOO, store=store, fresh=fresh)
    assert [asked for _, asked in store.asked] == [fresh]


def test_the_same_answers_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path / "one", FOO, BAR, BARE)
    export(tmp_path / "one", FOO, BAR, BARE)
    monkeypatch.setattr(kits, "BATCH", 1)
    export(tmp_path / "two", BARE, BAR, FOO)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_bringing_a_kit_up_to_date_removes_what_is_gone_and_nothing_else(tmp_path: Path) -> None:
    namesake = make_formula("baz", tap=OTHER)
    export(tmp_path / "kit", FOO, BAR, namesake)
    (tmp_path / "kit" / "README").write_text("mine", encoding="utf-8")
    (tmp_path / "kit" / "formulae" / "notes.json").write_text("mine", encoding="utf-8")
    store = FakeStore(FOO)
    store.answers[FOO.bottles[0].digest] = Answer()
    store.answers[FOO.bottles[1].digest] = answer_of(findings=["server-failed"])
    export(tmp_path / "kit", FOO, store=store)
    export(tmp_path / "clean", FOO, store=store)
    mine = {"README", "formulae/notes.json"}
    found = contents(tmp_path / "kit")
    assert found.keys() & mine == mine
    assert {name: raw for name, raw in found.items() if name not in mine} == contents(tmp_path / "clean")


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("is_update", [False, True])
def test_an_export_that_was_interrupted_is_finished_by_running_it_again(
    batch: int, is_update: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kits, "BATCH", batch)
    formulae = [FOO, BAR, BARE]
    if is_update:
        export(tmp_path / "kit", FOO)
    before = contents(tmp_path / "kit").get(INDEX)

    def interrupt(number: int) -> None:
        if number == 1:
            raise KeyboardInterrupt

    store = FakeStore(*formulae)
    store.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "kit", *formulae, store=store)
    # What there was before the interrupt is what there is: no kit, or the old one.
    assert contents(tmp_path / "kit").get(INDEX) == before
    if is_update:
        assert [formula.name for formula in Kit(tmp_path / "kit").formulae()] == ["foo"]
    else:
        with pytest.raises(KitError):
            Kit(tmp_path / "kit")
    export(tmp_path / "kit", *formulae)
    export(tmp_path / "clean", *formulae)
    assert contents(tmp_path / "kit") == contents(tmp_path / "clean")


def test_no_more_formulae_are_taken_than_are_looked_up_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kits, "BATCH", 2)
    taken: list[str] = []
    store = FakeStore()
    seen: list[int] = []

    def supply() -> Iterator[Formula]:
        for number in range(5):
            taken.append(f"f{number}")
            yield make_formula(f"f{number}")

    store.before = lambda _number: seen.append(len(taken))
    counts: list[int] = []
    export_kit(
        tmp_path,
        supply(),
        lambda _tap: store,
        policy_for=policy_for_tap,
        roots=[ROOT],
        progress=lambda done: counts.append(done.formulae),
    )
    assert seen == [2, 4, 5]
    assert counts == [2, 4, 5]


def make_foreign(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine", encoding="utf-8")


def make_linked(folder: Path) -> None:
    folder.mkdir()
    (folder.parent / "elsewhere").mkdir()
    (folder / "attestations").symlink_to(folder.parent / "elsewhere")


def make_damaged(folder: Path) -> None:
    folder.mkdir()
    (folder / INDEX).write_text("{", encoding="utf-8")


def make_hostile(folder: Path) -> None:
    """Leave a kit whose index would have a file removed that is none of its own."""
    export(folder, FOO)
    document = index(folder)
    document["files"]["../thesis.txt"] = "0" * 64
    (folder / INDEX).write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize("make", [make_foreign, make_linked, make_damaged, make_hostile])
def test_a_folder_that_holds_something_else_is_left_alone(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("mine", encoding="utf-8")
    make(tmp_path / "kit")
    before = contents(tmp_path)
    with pytest.raises(KitError):
        export(tmp_path / "kit", FOO)
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert not list((tmp_path / "elsewhere").glob("*"))


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        export(tmp_path / "file" / "kit", FOO)
