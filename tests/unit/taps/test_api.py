"""homebrew/core out of signed documents: whichever way they came, the signature decides."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.unit.builders import DROP, OTHER_SHA256, SHA256, Json, altered
from tests.unit.signing import HEADER, make_jws, make_sidecar, make_signature, rsa_key

from brew_provenance.bottle import BottleTag
from brew_provenance.errors import InputError, NothingMatchedError, TrustError, UsageError
from brew_provenance.taps import Tap, documents
from brew_provenance.taps.api import LISTING, MIGRATIONS, ApiTap, packages_name
from brew_provenance.taps.documents import (
    DEFAULT_DOMAIN,
    OLD_AFTER,
    REFRESH_INTERVAL,
    homebrew_key,
    key_fingerprint,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TAG = BottleTag("tahoe", "arm64")
PACKAGES = packages_name(TAG)
MIRROR = "https://mirror.example/homebrew"

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def packages(generated: datetime = NOW - HOUR, *changes: Any) -> Json:
    """Return the payload of a packages file."""
    document: Json = {
        "metadata": {"bottle_tag": "arm64_tahoe", "generated_at": int(generated.timestamp())},
        "formulae": {
            "wget": {"stable_version": "1.25.0", "bottle_checksum": SHA256.value},
            "gnu-sed": {"stable_version": "4.9"},
            "curl": {"stable_version": "8.17.0"},
        },
        "casks": {},
        "formula_aliases": {"gsed": "gnu-sed", "lost": "nowhere", "round": "about", "about": "round"},
        "formula_renames": {"old-wget": "wget", "oldest-wget": "old-wget"},
        "formula_tap_git_head": COMMIT,
        "formula_tap_migrations": {"gimp": "homebrew/cask", "nowhere": "octo/tap"},
    }
    return altered(document, *changes)


def entry(name: str, **overrides: Any) -> Json:
    """Return brew's description of one formula."""
    files = {
        tag: {"url": f"https://example.org/{tag}", "sha256": digest.value}
        for tag, digest in (("arm64_tahoe", SHA256), ("sonoma", OTHER_SHA256))
    }
    return {
        "name": name,
        "tap": "homebrew/core",
        "versions": {"stable": "1.25.0"},
        "aliases": [],
        "oldnames": [],
        "bottle": {"stable": {"rebuild": 0, "files": files}},
        "tap_git_head": COMMIT,
        **overrides,
    }


def listing() -> list[Json]:
    """Return the payload of the document with all bottles."""
    return [entry("wget", oldnames=["old-wget"]), entry("gnu-sed", aliases=["gsed"]), entry("curl")]


def sign(payload: object, owner: str = "homebrew") -> bytes:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return make_jws(raw, make_signature(raw, key=rsa_key(owner)))


@dataclass
class World:
    """Homebrew with a key of our own, its API, a mirror, and a machine with its caches."""

    home: Path
    served: dict[str, bytes | OSError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def brew(self) -> Path:
        return self.home / "Homebrew"

    @property
    def own(self) -> Path:
        return self.home / "cache" / "api"

    def kept(self, name: str = PACKAGES, owner: str = "homebrew") -> Path:
        """Return where our cache keeps a document."""
        return self.own / key_fingerprint(rsa_key(owner).public_key())[:16] / name.rpartition("/")[2]

    def serve(self, payload: object, name: str = PACKAGES, domain: str = DEFAULT_DOMAIN) -> None:
        """Serve a payload, signed; bytes are served as they stand, an error is no answer."""
        self.served[f"{domain}/{name}"] = payload if isinstance(payload, bytes | OSError) else sign(payload)

    def keep(self, path: Path, payload: object, age: timedelta = HOUR) -> Path:
        """Put a document into a cache, as old as this."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload if isinstance(payload, bytes) else sign(payload))
        modified = (NOW - age).timestamp()
        os.utime(path, (modified, modified))
        return path

    def brew_keeps(self, payload: object, name: str = PACKAGES, age: timedelta = HOUR) -> Path:
        return self.keep(self.brew / "api" / name, payload, age)

    def fetch(self, url: str, max_bytes: int) -> bytes:
        assert max_bytes > 30_000_000
        self.asked.append(url)
        answer = self.served.get(url, FileNotFoundError(url))
        if isinstance(answer, OSError):
            raise answer
        return answer

    def open(self, tag: BottleTag | None = TAG, *, offline: bool = False, **options: Any) -> ApiTap:
        """Open the API, and remember what it has to say of itself."""
        given: Json = {"now": NOW, "brew_cache": self.brew, "fetch": None if offline else self.fetch}
        tap = ApiTap(tag, self.own, **given | options)
        self.notes = tap.notes
        return tap


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(documents, "homebrew_key", lambda: rsa_key().public_key())
    return World(tmp_path)


def refusal(opening: Callable[[], object]) -> InputError:
    with pytest.raises(InputError) as refused:
        opening()
    assert refused.value.next_step
    return refused.value


def absence(opening: Callable[[], object]) -> UsageError:
    with pytest.raises(UsageError) as refused:
        opening()
    assert type(refused.value) is UsageError
    return refused.value


# The key.


def test_the_built_in_key_is_homebrews() -> None:
    key = homebrew_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    # Of `Library/Homebrew/api/homebrew-1.pem` in Homebrew/brew.
    fingerprint = "f73fb42960f2948890dfcc9ff2b964dff5d1771269207ff766f642baabcf0cbb"
    assert hashlib.sha256(spki).hexdigest() == key_fingerprint(key) == fingerprint
    assert key.key_size == 4096


@pytest.mark.parametrize("content", [None, b"", b"no key"])
def test_a_package_without_its_key_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(documents, "_KEY_FILE", path)
    with pytest.raises(TrustError) as refused:
        homebrew_key()
    assert refused.value.thing == str(path)
    assert refused.value.cause
    assert "reinstall" in refused.value.next_step


def test_a_package_with_a_key_of_another_kind_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.pem"
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    monkeypatch.setattr(documents, "_KEY_FILE", path)
    with pytest.raises(TrustError, match="not an RSA key"):
        homebrew_key()


def test_no_environment_and_no_brew_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "Library" / "Homebrew" / "api"
    library.mkdir(parents=True)
    stranger = rsa_key("stranger").public_key()
    (library / "homebrew-1.pem").write_bytes(
        stranger.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    for name in ("HOMEBREW_REPOSITORY", "HOMEBREW_LIBRARY_PATH", "HOMEBREW_PREFIX", "HOMEBREW_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(library)
    assert homebrew_key() != stranger


# Which document, and what it is called.


def test_for_one_tag_the_packages_file_of_that_tag_is_read(world: World) -> None:
    world.serve(packages())
    tap: Tap = world.open()
    assert world.asked == [f"{DEFAULT_DOMAIN}/internal/packages.arm64_tahoe.jws.json"]
    assert tap.name == "formulae.brew.sh packages.arm64_tahoe, signed by homebrew-1, generated 2026-11-20"
    formula = tap.formula("homebrew/core/wget")
    assert formula.full_name == "homebrew/core/wget"
    assert [(bottle.tag, bottle.digest) for bottle in formula.bottles] == [("arm64_tahoe", SHA256)]
    assert [found.name for found in tap.formulae()] == ["curl", "gnu-sed", "wget"]
    assert world.notes == ()


@pytest.mark.parametrize("tag", [None, BottleTag.parse("all")])
def test_for_all_tags_the_document_with_all_bottles_is_read(world: World, tag: BottleTag | None) -> None:
    world.serve(listing(), LISTING)
    tap = world.open(tag)
    assert world.asked == [f"{DEFAULT_DOMAIN}/formula.jws.json"]
    assert tap.name == (
        "formulae.brew.sh formula.jws.json, signed by homebrew-1, homebrew-core at 0123456789ab"
    )
    assert [bottle.tag for bottle in tap.formula("homebrew/core/wget").bottles] == ["arm64_tahoe", "sonoma"]
    assert [found.name for found in tap.formulae()] == ["curl", "gnu-sed", "wget"]
    assert tap.notes == ()


def test_a_list_that_does_not_say_its_commit_is_named_without(world: World) -> None:
    world.serve([altered(entry("wget"), (("tap_git_head",), DROP))], LISTING)
    assert world.open(None).name == "formulae.brew.sh formula.jws.json, signed by homebrew-1"


def test_where_a_document_came_from_is_part_of_the_name(world: World) -> None:
    world.brew_keeps(packages())
    assert world.open().name.endswith("generated 2026-11-20, from brew's cache")
    world.serve(packages(), domain=MIRROR)
    assert world.open(brew_cache=None, domain=MIRROR).name.endswith(f"generated 2026-11-20, from {MIRROR}")
    assert world.open(brew_cache=None, offline=True).name.endswith("generated 2026-11-20, from the cache")


def test_a_key_that_was_given_is_named(world: World) -> None:
    world.serve(sign(packages(), "stranger"), domain="http://127.0.0.1:8080/api")
    key = rsa_key("stranger").public_key()
    tap = world.open(key=key, domain="http://127.0.0.1:8080/api")
    assert tap.name == (
        f"formula API packages.arm64_tahoe, signed by a key that was given (sha256:{key_fingerprint(key)}), "
        "generated 2026-11-20, from http://127.0.0.1:8080/api"
    )
    error = refusal(lambda: world.open(key=rsa_key("other").public_key(), domain="http://127.0.0.1:8080/api"))
    assert "not signed by a key that was given (sha256:" in error.cause


def test_homebrews_own_key_is_not_one_that_was_given(world: World) -> None:
    world.serve(packages())
    assert "signed by homebrew-1" in world.open(key=rsa_key().public_key(), domain=MIRROR).name


def test_documents_under_another_key_are_not_looked_for_at_homebrews(world: World) -> None:
    world.serve(packages())
    absence(lambda: world.open(key=rsa_key("stranger").public_key(), domain=MIRROR))
    assert world.asked == [f"{MIRROR}/{PACKAGES}"]


# The places, in their order.


def test_what_brew_keeps_is_taken_first(world: World) -> None:
    world.serve(packages())
    world.keep(world.kept(), sign(packages(), "stranger"))
    world.brew_keeps(packages())
    world.open()
    assert world.asked == []


def test_what_we_keep_is_taken_next(world: World) -> None:
    world.serve(packages())
    world.open()
    world.open()
    assert len(world.asked) == 1
    assert world.notes == ()


def test_what_was_fetched_is_kept_as_it_came_and_for_us_alone(world: World) -> None:
    document = sign(packages())
    world.serve(document)
    world.open()
    path = world.kept()
    assert path.read_bytes() == document
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert sorted(item.name for item in path.parent.iterdir()) == [path.name, f"{path.name}.newest"]


@pytest.mark.parametrize("age", [REFRESH_INTERVAL, timedelta(days=400), -HOUR])
def test_what_was_not_looked_at_lately_is_fetched_anew(world: World, age: timedelta) -> None:
    world.serve(packages())
    world.brew_keeps(b"not looked at", age=age)
    world.keep(world.kept(), b"not looked at", age)
    world.open()
    assert world.asked == [f"{DEFAULT_DOMAIN}/{PACKAGES}"]
    world.open(brew_cache=None)
    assert len(world.asked) == 1


def test_without_a_network_the_newest_that_was_kept_is_taken_and_that_is_said(world: World) -> None:
    world.brew_keeps(packages(NOW - 50 * HOUR), age=50 * HOUR)
    world.keep(world.kept(), packages(NOW - 40 * HOUR), age=40 * HOUR)
    assert world.open(offline=True).name.endswith("from the cache")
    (note,) = world.notes
    assert note.startswith(f"the cache holds {PACKAGES} of 2026-11-18 20:00 UTC, which could not be ")
    assert note.endswith("refreshed: the network is not to be used")
    world.kept().unlink()
    assert world.open(offline=True).name.endswith("from brew's cache")


def test_where_nothing_answers_the_newest_that_was_kept_is_taken_and_that_is_said(world: World) -> None:
    world.brew_keeps(packages(NOW - 10 * HOUR), age=10 * HOUR)
    world.serve(ConnectionRefusedError(111, "Connection refused"))
    world.open()
    (note,) = world.notes
    assert note.endswith(f"could not be refreshed: {DEFAULT_DOMAIN} gave no answer (Connection refused)")


def test_a_mirror_is_asked_first_and_homebrew_when_it_does_not_answer(world: World) -> None:
    world.serve(TimeoutError("timed out"), domain=MIRROR)
    world.serve(packages())
    tap = world.open(domain=f"{MIRROR}/")
    assert world.asked == [f"{MIRROR}/{PACKAGES}", f"{DEFAULT_DOMAIN}/{PACKAGES}"]
    assert "mirror" not in tap.name
    world.asked.clear()
    world.serve(packages(), domain=MIRROR)
    world.open(domain=MIRROR, brew_cache=None, now=NOW + 10 * HOUR)
    assert world.asked == [f"{MIRROR}/{PACKAGES}"]


def test_homebrew_is_asked_once_when_it_is_its_own_mirror(world: World) -> None:
    absence(lambda: world.open(domain=f"{DEFAULT_DOMAIN}/"))
    assert len(world.asked) == 1


# No document.


def test_without_a_network_and_without_a_copy_there_is_a_next_step(world: World) -> None:
    error = absence(lambda: world.open(offline=True))
    assert str(error) == f"{PACKAGES}: kept nowhere, and the network is not to be used"
    assert "brew update" in error.next_step


def test_a_tag_that_the_api_does_not_know_is_told_from_silence(world: World) -> None:
    error = absence(lambda: world.open(BottleTag.parse("el_capitan"), domain=MIRROR))
    assert error.cause.count("does not exist") == 2
    assert "another tag" in error.next_step
    world.serve(OSError(""), domain=MIRROR)
    error = absence(lambda: world.open(domain=MIRROR))
    assert f"{MIRROR} gave no answer (OSError), {DEFAULT_DOMAIN}/{PACKAGES} does not exist" in error.cause
    assert "the network" in error.next_step


def test_a_reason_is_one_short_line(world: World) -> None:
    world.serve(OSError("x" * 1000 + "\n\x1b[31mred"))
    error = absence(world.open)
    assert len(error.cause) < 400
    assert "\n" not in error.cause


@pytest.mark.parametrize("kind", ["empty", "folder", "pipe", "dangling", "loop"])
def test_what_is_no_file_is_no_document(world: World, kind: str) -> None:
    path = world.brew / "api" / PACKAGES
    path.parent.mkdir(parents=True)
    if kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "loop" else path.with_name("absent"))
    world.serve(packages())
    assert "cache" not in world.open().name


# Documents that are not what they should be.

RAW = json.dumps(packages()).encode()
TAMPERED = {
    "another key": sign(packages(), "stranger"),
    "another payload": make_jws(RAW.replace(b"1.25.0", b"1.24.0"), make_signature(RAW)),
    "another algorithm": make_jws(RAW, make_signature(RAW, {**HEADER, "alg": "RS512"})),
    "an encoded payload": make_jws(RAW, make_signature(RAW, {**HEADER, "b64": True})),
    "no such key": make_jws(RAW, make_signature(RAW, kid="homebrew-0")),
    "no signature": json.dumps(packages()).encode(),
    "cut short": sign(packages())[:-20],
    "a page": b"<!DOCTYPE html><title>Sign in</title>",
}


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED)
def test_a_document_in_brews_cache_without_the_signature_ends_it(world: World, tampered: bytes) -> None:
    world.serve(packages())
    path = world.brew_keeps(tampered)
    error = refusal(world.open)
    assert error.thing == str(path)
    assert error.cause.startswith("not signed by homebrew-1: ")
    assert "delete it and run `brew update`" in error.next_step
    assert world.asked == []


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED)
def test_a_document_in_our_cache_without_the_signature_ends_it(world: World, tampered: bytes) -> None:
    world.serve(packages())
    path = world.keep(world.kept(), tampered)
    error = refusal(world.open)
    assert error.thing == str(path)
    assert "delete it" in error.next_step
    assert world.asked == []


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED)
@pytest.mark.parametrize("domain", [MIRROR, DEFAULT_DOMAIN])
def test_an_answer_without_the_signature_ends_it(world: World, tampered: bytes, domain: str) -> None:
    world.brew_keeps(packages(), age=10 * HOUR)
    world.serve(packages())
    world.serve(tampered, domain=domain)
    error = refusal(lambda: world.open(domain=domain))
    assert error.thing == f"{domain}/{PACKAGES}"
    assert "somebody between here and Homebrew may have changed it" in error.cause
    assert "mirror" in error.next_step
    assert world.asked == [f"{domain}/{PACKAGES}"]
    assert not world.kept().exists()


def test_a_copy_that_is_taken_for_want_of_better_is_verified_too(world: World) -> None:
    world.brew_keeps(TAMPERED["another key"], age=10 * HOUR)
    refusal(lambda: world.open(offline=True))


def test_a_file_that_is_too_long_or_cannot_be_read_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.brew_keeps(packages())
    monkeypatch.setattr(documents, "MAX_DOCUMENT_BYTES", 100)
    error = refusal(world.open)
    assert (error.thing, error.cause) == (str(path), "longer than the limit of 100 bytes")

    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(documents, "read_bounded", refuse)
    error = refusal(world.open)
    assert (error.thing, error.cause) == (str(path), "Permission denied")


@pytest.mark.parametrize(
    ("payload", "cause"),
    [
        # Rightly signed, all of them.
        (packages(NOW, (("metadata", "bottle_tag"), "sonoma")), "for sonoma and not for arm64_tahoe"),
        (packages(NOW, (("metadata",), DROP)), "no packages file"),
        ({"gimp": "homebrew/cask"}, "no packages file"),
        (listing(), "no packages file"),
        (b"not JSON", "not JSON"),
        (b'{"metadata": NaN}', "not JSON"),
        (b'{"formulae": {"\\ud800": {}}}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_one_signed_document_cannot_stand_in_for_another(world: World, payload: object, cause: str) -> None:
    world.serve(sign(payload))
    error = refusal(world.open)
    assert error.thing == f"{DEFAULT_DOMAIN}/{PACKAGES}"
    assert error.cause.startswith("signed, but ")
    assert cause in error.cause
    assert not world.kept().exists()


@pytest.mark.parametrize(
    "payload", [packages(), {"gimp": "homebrew/cask"}, [{"token": "firefox", "name": ["Firefox"]}], b"no"]
)
def test_one_signed_document_cannot_stand_in_for_the_list(world: World, payload: object) -> None:
    world.serve(sign(payload), LISTING)
    assert refusal(lambda: world.open(None)).cause.startswith("signed, but ")


def test_an_entry_that_cannot_be_used_is_named_when_it_is_asked_for(world: World) -> None:
    world.serve(packages(NOW, (("formulae", "wget", "bottle_checksum"), "0")))
    tap = world.open()
    assert tap.formula("homebrew/core/curl").name == "curl"
    error = refusal(lambda: tap.formula("homebrew/core/wget"))
    assert error.cause.startswith("wget: bottle arm64_tahoe")
    with pytest.raises(InputError):
        list(tap.formulae())


def test_an_entry_of_another_tap_is_refused(world: World) -> None:
    world.serve([entry("wget", tap="octo/tap")], LISTING)
    tap = world.open(None)
    assert "describes octo/tap/wget" in refusal(lambda: tap.formula("homebrew/core/wget")).cause


# What brew keeps beside a document.


def put_sidecar(path: Path, raw: bytes) -> Path:
    sidecar = path.with_name(f"{path.name}.payload")
    sidecar.write_bytes(raw)
    return sidecar


def source_of(path: Path) -> Json:
    return {"source_size": path.stat().st_size, "source_mtime_ns": path.stat().st_mtime_ns}


NEWER = json.dumps(packages(NOW, (("formulae", "wget", "stable_version"), "1.26.0"))).encode()


def version(world: World) -> str | None:
    return world.open(offline=True).formula("homebrew/core/wget").version


def test_a_payload_that_brew_keeps_apart_spares_the_document(world: World) -> None:
    path = world.brew_keeps(packages())
    put_sidecar(path, make_sidecar(NEWER, **source_of(path)))
    assert version(world) == "1.26.0"
    assert world.notes == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw.replace(b'"source_size": ', b'"source_size": 1'),
        lambda raw: raw.replace(b'"source_mtime_ns": ', b'"source_mtime_ns": 1'),
        lambda raw: raw.replace(b"source_size", b"size"),
        lambda raw: raw.replace(b"protected", b"header"),
        lambda raw: b"2\n" + raw,
        lambda raw: raw[:10],
        lambda raw: raw[:0],
    ],
)
def test_a_payload_of_another_document_or_in_another_form_is_passed_over(
    world: World, spoil: Callable[[bytes], bytes]
) -> None:
    path = world.brew_keeps(packages())
    put_sidecar(path, spoil(make_sidecar(NEWER, **source_of(path))))
    assert version(world) == "1.25.0"


@pytest.mark.parametrize(
    "signature",
    [
        make_signature(RAW),
        make_signature(NEWER, key=rsa_key("stranger")),
        make_signature(NEWER, {"alg": "none"}),
    ],
)
def test_a_payload_kept_apart_without_the_signature_ends_it(world: World, signature: Json) -> None:
    path = world.brew_keeps(packages())
    sidecar = put_sidecar(path, make_sidecar(NEWER, signature, **source_of(path)))
    error = refusal(lambda: version(world))
    assert error.thing == str(sidecar)
    assert "delete it and run `brew update`" in error.next_step


def test_a_payload_without_its_document_is_nothing(world: World) -> None:
    path = world.brew_keeps(packages())
    put_sidecar(path, make_sidecar(NEWER, **source_of(path)))
    path.unlink()
    absence(lambda: version(world))


def test_brews_unsigned_index_is_not_looked_at(world: World) -> None:
    path = world.brew_keeps(packages())
    put_sidecar(path, make_sidecar(NEWER, **source_of(path)))
    path.with_name(f"{path.name}.payload.index").write_bytes(b"\xff")
    assert version(world) == "1.26.0"


# Old documents, which are rightly signed for ever.


def test_an_old_document_is_told_to_be_old(world: World) -> None:
    world.serve(packages(NOW - OLD_AFTER + HOUR))
    assert world.open().notes == ()
    world.serve(packages(NOW - 30 * timedelta(days=1)))
    world.kept().unlink()
    world.kept().with_name(f"{world.kept().name}.newest").unlink()
    world.open()
    (note,) = world.notes
    assert note.startswith(f"{DEFAULT_DOMAIN}/{PACKAGES} was made 30 days ago")


@pytest.mark.parametrize("place", ["mirror", "brew", "own"])
def test_one_that_is_older_than_one_seen_before_is_told_to_be(world: World, place: str) -> None:
    world.serve(packages(NOW - HOUR))
    world.open()
    older = packages(NOW - 2 * HOUR)
    if place == "brew":
        world.brew_keeps(older)
    elif place == "own":
        world.keep(world.kept(), older)
    else:
        world.serve(older, domain=MIRROR)
        world.kept().unlink()
    tap = world.open(domain=MIRROR)
    assert "generated 2026-11-20" in tap.name
    (note,) = world.notes
    assert "was made 2026-11-20 10:00 UTC, before one seen earlier, of 2026-11-20 11:00 UTC" in note
    assert "holding back" in note


def test_an_older_one_takes_no_newer_ones_place(world: World) -> None:
    newer = sign(packages(NOW - HOUR))
    world.serve(newer)
    world.open()
    world.serve(packages(NOW - 2 * HOUR))
    for hours in (10, 20):
        world.open(now=NOW + hours * HOUR)
        assert len(world.notes) == 1
        assert world.kept().read_bytes() == newer
    world.serve(packages(NOW + 29 * HOUR))
    world.open(now=NOW + 30 * HOUR)
    assert len(world.notes) == 0
    assert world.kept().read_bytes() != newer


def test_what_brew_keeps_counts_as_seen(world: World) -> None:
    world.brew_keeps(packages(NOW - HOUR))
    world.open(offline=True)
    world.serve(packages(NOW - 2 * HOUR))
    world.open(brew_cache=None)
    assert len(world.notes) == 1


@pytest.mark.parametrize(
    "stamp",
    [
        b"",
        b"yesterday",
        b"\xff",
        b"2026-11-20",
        b"0001-01-01T00:00:00+23:59",
        b"9" * 1000,
        b"2026-11-20T11:00:00",
    ],
)
def test_a_stamp_that_somebody_spoilt_is_no_obstacle(world: World, stamp: bytes) -> None:
    world.serve(packages(NOW - HOUR))
    path = world.kept()
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.newest").write_bytes(stamp)
    assert world.open().formula("homebrew/core/wget").version == "1.25.0"
    world.open(brew_cache=None)
    assert path.exists()


def test_a_list_has_no_date_to_compare(world: World) -> None:
    world.serve(listing(), LISTING)
    world.open(None)
    assert not world.kept(LISTING).with_name("formula.jws.json.newest").exists()
    assert world.kept(LISTING).exists()


def test_a_cache_that_cannot_be_written_is_said_and_no_obstacle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve(packages())
    world.own.parent.mkdir()
    world.own.write_text("in the way", encoding="utf-8")
    assert world.open().formula("homebrew/core/wget").name == "wget"
    (note,) = world.notes
    assert note.startswith("nothing can be kept in ")
    world.own.unlink()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "utime", fail)
    world.open()
    assert world.notes[0].endswith("No space left on device")
    assert list(world.kept().parent.iterdir()) == []


@pytest.mark.parametrize("modified", [2.0**62, -(2.0**62)])
def test_a_file_from_outside_the_calendar_is_fetched_anew(
    world: World, monkeypatch: pytest.MonkeyPatch, modified: float
) -> None:
    path, stat = world.brew_keeps(packages()), Path.stat

    def misdate(of: Path, **options: Any) -> Any:
        found = stat(of, **options)
        if of != path:
            return found
        return SimpleNamespace(
            st_mode=found.st_mode, st_size=found.st_size, st_mtime=modified, st_mtime_ns=int(modified * 1e9)
        )

    monkeypatch.setattr(Path, "stat", misdate)
    world.open(offline=True)
    assert len(world.notes) == 1
    world.serve(packages())
    world.open()
    assert len(world.asked) == 1


# Names.


@pytest.mark.parametrize(
    ("asked", "name", "note"),
    [
        ("gsed", "gnu-sed", "gsed is another name of gnu-sed"),
        ("old-wget", "wget", "old-wget is a former name of wget"),
        ("oldest-wget", "wget", "oldest-wget is a former name of wget"),
    ],
)
def test_other_and_former_names_are_followed_and_said(world: World, asked: str, name: str, note: str) -> None:
    world.serve(packages())
    tap = world.open()
    for _ in range(2):
        assert tap.formula(f"homebrew/core/{asked}").name == name
    assert tap.notes == (note,)


def test_a_list_has_other_and_former_names_too(world: World) -> None:
    world.serve(listing(), LISTING)
    tap = world.open(None)
    assert tap.formula("homebrew/core/gsed").name == "gnu-sed"
    assert tap.formula("homebrew/core/old-wget").name == "wget"
    assert tap.notes == ("gsed is another name of gnu-sed", "old-wget is a former name of wget")


def unmatched(tap: ApiTap, full_name: str) -> NothingMatchedError:
    with pytest.raises(NothingMatchedError) as refused:
        tap.formula(full_name)
    assert refused.value.thing == full_name
    return refused.value


def test_a_name_that_is_close_is_offered(world: World) -> None:
    world.serve(packages())
    tap = world.open()
    assert "wget" in unmatched(tap, "homebrew/core/wgett").next_step
    error = unmatched(tap, "homebrew/core/zzzzzz")
    assert "brew search" in error.next_step
    assert tap.name in error.cause


@pytest.mark.parametrize("name", ["round", "about", "", "Wget", "../wget"])
def test_a_name_that_leads_nowhere_is_none(world: World, name: str) -> None:
    world.serve(packages())
    unmatched(world.open(), f"homebrew/core/{name}")


@pytest.mark.parametrize(("name", "where"), [("gimp", "homebrew/cask"), ("lost", "octo/tap")])
def test_where_a_formula_has_gone_is_said(world: World, name: str, where: str) -> None:
    world.serve(packages())
    assert where in unmatched(world.open(), f"homebrew/core/{name}").cause


@pytest.mark.parametrize("full_name", ["octo/tap/wget", "wget", "homebrew/cask/wget", "core/wget"])
def test_other_taps_are_none_of_its_business(world: World, full_name: str) -> None:
    world.serve(packages())
    assert "homebrew/core alone" in unmatched(world.open(), full_name).cause


def test_for_all_tags_another_document_says_where_a_formula_has_gone(world: World) -> None:
    world.serve(listing(), LISTING)
    world.serve({"gimp": "homebrew/cask"}, MIGRATIONS)
    tap = world.open(None)
    assert "homebrew/cask" in unmatched(tap, "homebrew/core/gimp").cause
    assert "no formula of that name" in unmatched(tap, "homebrew/core/zzz").cause
    assert world.asked.count(f"{DEFAULT_DOMAIN}/{MIGRATIONS}") == 1
    assert tap.notes == ()


def test_without_that_document_a_formula_is_just_not_there(world: World) -> None:
    world.serve(listing(), LISTING)
    assert "no formula of that name" in unmatched(world.open(None), "homebrew/core/gimp").cause


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        (sign({"gimp": "homebrew/cask"}, "stranger"), "not signed by homebrew-1"),
        (sign(["gimp"]), "no list of migrations"),
        (sign(b"no"), "not JSON"),
    ],
)
def test_that_document_too_has_to_be_the_right_one(world: World, document: bytes, cause: str) -> None:
    world.serve(listing(), LISTING)
    world.serve(document, MIGRATIONS)
    tap = world.open(None)
    assert cause in refusal(lambda: tap.formula("homebrew/core/gimp")).cause
