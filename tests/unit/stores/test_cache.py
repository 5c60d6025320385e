"""What is remembered of a store: a help while it is right, and of no weight when it is wrong."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from tests.unit.builders import (
    OTHER_SHA256,
    SHA256,
    SHA512,
    FakeVerifier,
    make_bottle,
    make_bundle_document,
    make_policy,
    make_question,
    make_raw_bundle,
    make_statement_document,
    make_subject,
)

from brew_provenance.appraise import Candidate
from brew_provenance.bottle import Digest
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.check import Trust, check_targets
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.stores import Answer, Store
from brew_provenance.stores import cache as cache_module
from brew_provenance.stores.cache import CachedStore, cache_info, clear_cache
from brew_provenance.targets import Target
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Outcome, Verdict

NAME = "api.example.org, octo/homebrew-tap"
FOLDER = "api.example.org_octo_homebrew-tap"
GOOD = make_raw_bundle(make_statement_document())
FORGED = make_raw_bundle(make_statement_document(forged=True))
LATER = make_raw_bundle(make_statement_document(later=True))
OF_ANOTHER = make_raw_bundle(make_statement_document(make_subject("foo", OTHER_SHA256)))


class FakeStore:
    """A store with bundles by digest, or with a reason why it has no answer."""

    def __init__(self, *, fault: str | None = None) -> None:
        self.name = NAME
        self.held: dict[Digest, list[bytes]] = {}
        self.fault = fault
        self.asked: list[tuple[tuple[Digest, ...], bool]] = []

    def resolve(self, digests: Sequence[Digest], *, fresh: bool = False) -> Mapping[Digest, Answer]:
        self.asked.append((tuple(digests), fresh))
        return {digest: self._answer(digest) for digest in digests}

    def _answer(self, digest: Digest) -> Answer:
        findings = (Finding(self.fault, "down"),) if self.fault else ()
        bundles = [read_bundle(raw) for raw in self.held.get(digest, [])]
        return Answer(tuple(Candidate("the store", bundle) for bundle in bundles), findings)


class PickyVerifier(FakeVerifier):
    """Takes every bundle for genuine but those that say of themselves that they are forged."""

    def verify(self, bundle: Bundle, digests: Sequence[Digest]) -> Evidence | Finding:
        if b'"forged"' in bundle.payload:
            self.seen.append(bundle)
            return Finding("envelope-signature-invalid", "forged")
        return super().verify(bundle, digests)


class World:
    """A store, a cache of it, and somebody who checks a bottle."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "attestations"
        self.inner = FakeStore()
        self.inner.held[SHA256] = [GOOD]
        self.verifier = PickyVerifier()

    def store(self, inner: FakeStore | str | None = "its own", limit: int = 1 << 20) -> CachedStore:
        """Return the store as a process of its own would see it."""
        chosen = self.inner if isinstance(inner, str) else inner
        return CachedStore(chosen, self.root, NAME, limit=limit)

    def file(self, digest: Digest = SHA256) -> Path:
        return self.root / FOLDER / f"{digest.algorithm}-{digest.value}.jsonl"

    def poison(self, raw: bytes, digest: Digest = SHA256) -> Path:
        self.file(digest).parent.mkdir(parents=True, exist_ok=True)
        self.file(digest).write_bytes(raw)
        return self.file(digest)

    def check(self, store: Store | None = None, *, fresh: bool = False) -> Verdict:
        root = TrustedRoot("a root", b"{}", built_in=True)
        (verdict,) = check_targets(
            [Target(make_question(), "octo/tap")],
            lambda _tap: store or self.store(),
            lambda: Trust(self.verifier, (root,)),
            lambda _tap: make_policy(),
            fresh=fresh,
        )
        return verdict


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def codes(verdict: Verdict) -> set[str]:
    return {finding.code for finding in verdict.findings}


def bundles(answer: Answer) -> list[bytes]:
    return [item.bundle.payload for item in answer.candidates if isinstance(item.bundle, Bundle)]


def test_what_the_store_gave_is_remembered_and_not_asked_for_again(world: World) -> None:
    first = world.store().resolve([SHA256])[SHA256]
    second = world.store().resolve([SHA256])[SHA256]
    assert world.inner.asked == [((SHA256,), False)]
    assert bundles(first) == bundles(second) == [read(GOOD).payload]
    assert (first.remembered, second.remembered) == (False, True)
    assert second.findings == ()
    assert second.candidates[0].source == f"local cache, {SHA256} bundle 1"
    assert world.store().name == NAME
    assert world.check().outcome is Outcome.VERIFIED


def read(raw: bytes) -> Bundle:
    bundle = read_bundle(raw)
    assert isinstance(bundle, Bundle)
    return bundle


def test_that_there_is_none_is_never_remembered(world: World) -> None:
    for _ in range(2):
        assert world.store().resolve([OTHER_SHA256]) == {OTHER_SHA256: Answer()}
    assert len(world.inner.asked) == 2
    assert not world.root.exists()


def test_only_what_is_not_remembered_is_asked_for(world: World) -> None:
    world.inner.held[OTHER_SHA256] = [OF_ANOTHER]
    world.store().resolve([SHA256])
    answers = world.store().resolve([OTHER_SHA256, SHA256, SHA512, SHA256])
    assert world.inner.asked[1:] == [((OTHER_SHA256, SHA512), False)]
    assert set(answers) == {SHA256, OTHER_SHA256, SHA512}
    assert world.store().resolve([]) == {}
    assert len(world.inner.asked) == 2


def test_fresh_asks_for_all_of_it_and_says_so(world: World) -> None:
    world.store().resolve([SHA256])
    answer = world.store().resolve([SHA256], fresh=True)[SHA256]
    assert world.inner.asked[1:] == [((SHA256,), True)]
    assert not answer.remembered
    assert len(answer.candidates) == 1


def test_without_the_store_what_is_remembered_is_all_there_is(world: World) -> None:
    world.store().resolve([SHA256])
    offline = world.store(None)
    assert offline.name == f"the local cache of {NAME}"
    for fresh in (False, True):
        answers = offline.resolve([SHA256, OTHER_SHA256], fresh=fresh)
        assert bundles(answers[SHA256]) == [read(GOOD).payload]
        assert answers[OTHER_SHA256].candidates == ()
        assert [finding.code for finding in answers[OTHER_SHA256].findings] == ["store-has-no-answer"]
    assert world.check(offline).outcome is Outcome.VERIFIED


def test_nothing_remembered_and_nobody_to_ask_is_no_answer(world: World) -> None:
    assert world.check(world.store(None)).outcome is Outcome.UNRESOLVED


def test_a_bundle_is_kept_in_one_form_whatever_its_layout(world: World) -> None:
    document = make_bundle_document()
    world.inner.held[SHA256] = [json.dumps(document, indent=3).encode()]
    world.store().resolve([SHA256])
    kept = world.file().read_bytes()
    assert kept.count(b"\n") == 1
    world.inner.held[SHA256] = [json.dumps(dict(reversed(document.items()))).encode()]
    answer = world.store().resolve([SHA256], fresh=True)[SHA256]
    assert len(answer.candidates) == 1
    assert world.file().read_bytes() == kept


def test_new_bundles_are_added_to_those_that_are_kept(world: World) -> None:
    world.store().resolve([SHA256])
    world.inner.held[SHA256] = [GOOD, LATER]
    world.store().resolve([SHA256], fresh=True)
    assert len(world.file().read_bytes().splitlines()) == 2
    assert len(world.store().resolve([SHA256])[SHA256].candidates) == 2


POISONS = {
    "garbage": b"\x00\xff garbage",
    "empty": b"",
    "half of it": GOOD[: len(GOOD) // 2],
    "another JSON document": b'{"a": 1}',
    "too deep": b"[" * 100_000,
    "a line that is none": GOOD + b"\n{\n",
    "a good bundle of another bottle": OF_ANOTHER,
    "a forged bundle": FORGED,
    "forged bundles": FORGED + b"\n" + make_raw_bundle(make_statement_document(forged=2)) + b"\n",
    "a bundle without statement": json.dumps(
        {key: value for key, value in make_bundle_document().items() if key != "dsseEnvelope"}
        | {
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": "YQ=="},
                "signature": "YQ==",
            }
        }
    ).encode(),
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    ("held", "fault", "outcome"),
    [
        ([GOOD], None, Outcome.VERIFIED),
        ([], None, Outcome.UNATTESTED),
        ([FORGED], None, Outcome.REJECTED),
        ([], "server-failed", Outcome.UNRESOLVED),
    ],
    ids=["attested", "unattested", "rejected", "down"],
)
def test_a_poisoned_cache_decides_nothing(
    poison: bytes, fresh: bool, held: list[bytes], fault: str | None, outcome: Outcome, world: World
) -> None:
    world.inner.held[SHA256] = held
    world.inner.fault = fault
    world.poison(poison)
    verdict = world.check(fresh=fresh)
    assert verdict.outcome is outcome
    # Nobody has verified yet what is said to be gone, where the store's own bundles are enough.
    assert "gone-from-store" not in codes(verdict) or (fresh and outcome is Outcome.VERIFIED)
    assert world.inner.asked
    clean = World(world.root.parent / "clean")
    clean.inner = world.inner
    again = clean.check()
    assert (again.outcome, again.faults) == (verdict.outcome, verdict.faults)


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_a_poisoned_cache_never_makes_a_bottle_verified_where_nobody_is_asked(
    poison: bytes, world: World
) -> None:
    world.poison(poison)
    assert world.check(world.store(None)).outcome in {Outcome.REJECTED, Outcome.UNRESOLVED}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_a_poisoned_cache_gets_the_right_bundle_into_it(poison: bytes, world: World) -> None:
    world.poison(poison)
    world.check()
    asked = len(world.inner.asked)
    assert world.check().outcome is Outcome.VERIFIED
    assert len(world.inner.asked) == asked


def test_an_attestation_that_the_store_holds_no_more_still_counts_and_that_is_said(world: World) -> None:
    assert world.check().outcome is Outcome.VERIFIED
    world.inner.held[SHA256] = []
    for fresh, said in ((False, False), (True, True), (True, True)):
        verdict = world.check(fresh=fresh)
        assert verdict.outcome is Outcome.VERIFIED
        assert ("gone-from-store" in codes(verdict)) is said
    world.inner.held[SHA256] = [LATER]
    verdict = world.check(fresh=True)
    assert verdict.outcome is Outcome.VERIFIED
    assert "gone-from-store" in codes(verdict)
    assert len(verdict.assessments) == 2


@pytest.mark.parametrize("held", [[], [LATER]])
def test_a_look_up_that_failed_shows_nothing_about_what_is_gone(held: list[bytes], world: World) -> None:
    world.check()
    world.inner.held[SHA256] = held
    world.inner.fault = "server-failed"
    verdict = world.check(fresh=True)
    assert verdict.outcome is Outcome.VERIFIED
    assert "gone-from-store" not in codes(verdict)
    assert "server-failed" in {
        finding.code for assessment in verdict.assessments for finding in assessment.findings
    }


def test_what_the_store_says_beside_its_bundles_is_handed_on(world: World) -> None:
    world.check()
    world.inner.held[SHA256] = []
    world.inner.fault = "token-refused"
    assert {"token-refused", "gone-from-store"} <= codes(world.check(fresh=True))


def test_a_row_that_cannot_be_read_leaves_open_what_is_gone(world: World) -> None:
    world.check()
    world.inner.held[SHA256] = [b"{"]
    verdict = world.check(fresh=True)
    assert verdict.outcome is Outcome.VERIFIED
    assert "gone-from-store" not in codes(verdict)


def test_a_rejected_bundle_is_asked_about_anew_once(world: World) -> None:
    world.inner.held[SHA256] = [FORGED]
    store = world.store()
    for _ in range(3):
        assert world.check(store).outcome is Outcome.REJECTED
    assert [fresh for _, fresh in world.inner.asked] == [False, True, True]


def make_unwritable(world: World) -> None:
    world.root.parent.mkdir(exist_ok=True)
    world.root.write_text("a file", encoding="utf-8")


def make_store_a_file(world: World) -> None:
    world.root.mkdir()
    (world.root / FOLDER).write_text("a file", encoding="utf-8")


def make_entry_a_folder(world: World) -> None:
    (world.file() / "x").mkdir(parents=True)


def make_store_a_link(world: World) -> None:
    world.root.mkdir()
    elsewhere = world.root.parent / "elsewhere"
    elsewhere.mkdir()
    (world.root / FOLDER).symlink_to(elsewhere)


@pytest.mark.parametrize(
    "spoil", [make_unwritable, make_store_a_file, make_entry_a_folder, make_store_a_link]
)
def test_a_folder_that_cannot_be_written_changes_no_verdict_and_is_told(
    spoil: Callable[[World], None], world: World
) -> None:
    spoil(world)
    for _ in range(2):
        verdict = world.check()
        assert verdict.outcome is Outcome.VERIFIED
        assert "cache-not-written" in codes(verdict)
    assert len(world.inner.asked) == 2
    assert sorted(path.name for path in world.root.parent.rglob(".*")) == []
    assert not list((world.root.parent / "elsewhere").glob("*"))


def test_a_disk_that_is_full_leaves_nothing_half_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    verdict = world.check()
    assert verdict.outcome is Outcome.VERIFIED
    assert "No space left on device" in " ".join(finding.detail for finding in verdict.findings)
    assert list((world.root / FOLDER).iterdir()) == []


def test_an_interrupt_leaves_nothing_half_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    world.poison(FORGED)
    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        world.store().resolve([SHA256], fresh=True)
    assert [path.read_bytes() for path in (world.root / FOLDER).iterdir()] == [FORGED]


def test_a_link_in_place_of_an_entry_is_not_followed(world: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_bytes(FORGED)
    os.utime(elsewhere, (1, 1))
    world.file().parent.mkdir(parents=True)
    world.file().symlink_to(elsewhere)
    assert world.check().outcome is Outcome.VERIFIED
    assert elsewhere.read_bytes() == FORGED
    assert elsewhere.stat().st_mtime == 1
    assert not world.file().is_symlink()
    assert read(world.file().read_bytes()).payload == read(GOOD).payload


def test_a_store_that_is_a_link_is_not_read(world: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / world.file().name).write_bytes(FORGED)
    world.root.mkdir()
    (world.root / FOLDER).symlink_to(elsewhere)
    assert world.check(world.store(None)).outcome is Outcome.UNRESOLVED


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")
def test_a_pipe_in_place_of_an_entry_holds_nobody_up(world: World) -> None:
    world.file().parent.mkdir(parents=True)
    os.mkfifo(world.file())
    assert world.check().outcome is Outcome.VERIFIED
    assert world.file().is_file()


def test_an_entry_that_is_too_long_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.store().resolve([SHA256])
    monkeypatch.setattr(cache_module, "MAX_FILE_BYTES", 100)
    assert world.store(None).resolve([SHA256])[SHA256].candidates == ()


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILE_BYTES", 100), ("MAX_FILE_BUNDLES", 1)])
def test_what_could_not_be_read_again_is_not_written(
    limit: str, value: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, limit, value)
    world.inner.held[SHA256] = [GOOD, LATER]
    assert world.check().outcome is Outcome.VERIFIED
    assert not world.root.exists()


def fill(world: World, number: int, limit: int) -> list[Digest]:
    """Keep so many bundles, one after the other, an hour apart."""
    digests = [Digest("sha256", f"{count:064x}") for count in range(number)]
    for hour, digest in enumerate(digests):
        world.inner.held[digest] = [make_raw_bundle(make_statement_document(make_subject("foo", digest)))]
        world.store(limit=limit).resolve([digest])
        if world.file(digest).exists():
            os.utime(world.file(digest), (3600 * hour, 3600 * hour))
    return digests


def kept(world: World, digests: Sequence[Digest]) -> list[int]:
    return [number for number, digest in enumerate(digests) if world.file(digest).exists()]


def test_what_was_not_used_for_the_longest_time_goes_first(world: World) -> None:
    digests = fill(world, 4, 1 << 20)
    size = world.file(digests[0]).stat().st_size
    # Reading is using.
    world.store().resolve([digests[0]])
    fill(world, 0, 1 << 20)
    last = Digest("sha256", "f" * 64)
    world.inner.held[last] = [make_raw_bundle(make_statement_document(make_subject("foo", last)))]
    world.store(limit=3 * size + 100).resolve([last])
    assert kept(world, digests) == [0, 3]
    assert world.file(last).exists()


def test_a_limit_that_nothing_fits_into_keeps_nothing(world: World) -> None:
    assert kept(world, fill(world, 3, 10)) == []
    assert world.check(world.store(limit=10)).outcome is Outcome.VERIFIED


def test_the_limit_is_for_all_stores_together_and_for_nothing_else(world: World, tmp_path: Path) -> None:
    (world.root / "other").mkdir(parents=True)
    foreign = world.root / "other" / "notes.jsonl"
    foreign.write_bytes(b"x" * 5000)
    old = world.root / "other" / f"sha256-{'1' * 64}.jsonl"
    old.write_bytes(b"x" * 5000)
    os.utime(old, (1, 1))
    world.store(limit=5500).resolve([SHA256])
    assert not old.exists()
    assert foreign.exists()
    assert world.file().exists()


def test_a_cache_that_cannot_be_trimmed_is_used_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert world.check(world.store(limit=10)).outcome is Outcome.VERIFIED
    assert world.file().exists()


def test_folders_and_files_are_for_their_owner_alone(world: World) -> None:
    before = os.umask(0o022)
    try:
        world.store().resolve([SHA256])
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (world.root, world.root / FOLDER, world.file())]
    assert modes == [0o700, 0o700, 0o600]


def test_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    inner = FakeStore()
    inner.held[SHA256] = [GOOD]
    root = tmp_path / "attestations"
    for name in ("../../evil, a/b", "/etc, a/b", "..", ".", "a\x00b", "é/ü"):
        CachedStore(inner, root, name).resolve([SHA256])
    everything = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert everything
    assert {path.parent.parent for path in everything} == {root}
    assert {path.name for path in everything} == {f"sha256-{SHA256.value}.jsonl"}


def test_stores_do_not_share_what_they_remember(world: World) -> None:
    world.store().resolve([SHA256])
    other = CachedStore(None, world.root, "api.example.org, octo/homebrew-other")
    assert other.resolve([SHA256])[SHA256].candidates == ()


def test_what_is_kept_is_counted(world: World) -> None:
    assert (cache_info(world.root).files, cache_info(world.root).size) == (0, 0)
    fill(world, 3, 1 << 20)
    unfinished = world.root / FOLDER / f".sha256-{'1' * 64}.jsonl.a1_b"
    unfinished.write_bytes(b"12345")
    info = cache_info(world.root)
    sizes = [path.stat().st_size for path in (world.root / FOLDER).iterdir()]
    assert (info.folder, info.files, info.size) == (world.root, 3, sum(sizes))


def test_clearing_deletes_what_was_kept_and_nothing_else(world: World, tmp_path: Path) -> None:
    fill(world, 3, 1 << 20)
    own = world.root / FOLDER
    unfinished = own / f".sha256-{'1' * 64}.jsonl.a1_b"
    unfinished.write_bytes(b"12345")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    foreign = [
        world.root / "notes.jsonl",
        world.root / f"sha256-{'1' * 64}.jsonl",
        own / "notes.jsonl",
        own / "sha256-xyz.jsonl",
        own / f"sha1-{'1' * 40}.jsonl",
        own / f"sha256-{'1' * 64}.jsonl.bak",
        own / "deeper" / f"sha256-{'1' * 64}.jsonl",
        elsewhere / f"sha256-{'1' * 64}.jsonl",
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
    (world.root / "link").symlink_to(elsewhere)
    (own / f"sha256-{'2' * 64}.jsonl").symlink_to(foreign[0])
    assert clear_cache(world.root).files == 3
    assert all(path.exists() for path in foreign)
    assert (world.root / "link").is_symlink()
    assert (own / f"sha256-{'2' * 64}.jsonl").is_symlink()
    assert kept(world, [Digest("sha256", f"{number:064x}") for number in range(3)]) == []
    assert not unfinished.exists()
    assert cache_info(world.root).files == 0


def test_clearing_takes_the_empty_folders_away(world: World) -> None:
    fill(world, 2, 1 << 20)
    clear_cache(world.root)
    assert list(world.root.iterdir()) == []
    assert clear_cache(world.root).files == 0
    assert clear_cache(world.root / "missing").files == 0


def test_clearing_says_what_keeps_it_from_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(world, 1, 1 << 20)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(PermissionError):
        clear_cache(world.root)


def test_a_file_that_vanishes_while_it_is_counted_is_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, 2, 1 << 20)
    first = world.file(Digest("sha256", f"{0:064x}"))
    lstat = Path.lstat

    def vanishing(path: Path) -> os.stat_result:
        if path == first:
            first.unlink(missing_ok=True)
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", vanishing)
    assert cache_info(world.root).files == 1


def write_many(root: Path, number: int) -> None:
    """Be one of several processes that remember the same things at the same time."""
    inner = FakeStore()
    digests = [Digest("sha256", f"{count:064x}") for count in range(3)]
    for digest in digests:
        statement = make_statement_document(make_subject("foo", digest), by=number, pad="x" * 20_000)
        inner.held[digest] = [make_raw_bundle(statement)]
        CachedStore(inner, root, NAME).resolve([digest], fresh=True)
    for _ in range(5):
        for digest in digests:
            answer = CachedStore(inner, root, NAME, limit=100_000).resolve([digest])[digest]
            assert answer.candidates
            assert not [finding for finding in answer.findings if finding.is_fault]


def test_several_processes_share_a_cache_and_every_file_is_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_many, args=(tmp_path, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    files = list(tmp_path.glob("*/*"))
    assert files
    for path in files:
        assert path.suffix == ".jsonl"
        for line in path.read_bytes().splitlines():
            assert isinstance(read_bundle(line), Bundle)


def test_a_bottle_by_its_second_digest_is_remembered_too(world: World) -> None:
    bottle = make_bottle()
    assert bottle.digest == SHA256
    world.inner.held[SHA512] = [make_raw_bundle(make_statement_document(make_subject("foo", SHA512)))]
    world.store().resolve([SHA512])
    assert len(world.store(None).resolve([SHA512])[SHA512].candidates) == 1
