"""`check` against a whole world over HTTP: the signed formula API, and a store that speaks GitHub's API."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.integration.conftest import Result, Run
from tests.integration.world import (
    CORE,
    FIXTURE_TAP,
    FIXTURES,
    JOBS,
    TAG,
    Front,
    Ground,
    World,
    bottle_of,
)
from tests.unit.reports.structure import check_junit, check_sarif

from brew_provenance.bottle import Bottle
from brew_provenance.downloads import cached_bottle_path
from brew_provenance.sandbox.actions import build_statement, build_subject
from brew_provenance.sandbox.formulaapi import build_documents
from brew_provenance.sandbox.github import faults
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import encode_json

Json = dict[str, Any]
Check = Callable[..., Result]

LISTS = "/repos/Homebrew/homebrew-core/attestations/*"
BULK = "*/bulk-list"


@pytest.fixture
def check(run: Run, world: World) -> Check:
    return lambda *arguments: run("check", *arguments, *world.options)


def verdicts(result: Result) -> dict[str, Json]:
    """Return the verdicts of a JSON result, by their labels."""
    document = json.loads(result.out)
    schema = files("brew_provenance").joinpath("schemas/verdicts-v1.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(document, json.loads(schema), cls=jsonschema.Draft202012Validator)
    found = {verdict["artifact"]["label"]: verdict for verdict in document["verdicts"]}
    assert len(found) == len(document["verdicts"])
    return found


def outcomes(result: Result) -> dict[str, str]:
    return {label: verdict["outcome"] for label, verdict in verdicts(result).items()}


def codes(verdict: Json) -> set[str]:
    found = [*verdict["findings"], *(note for one in verdict["attestations"] for note in one["findings"])]
    return {finding["code"] for finding in found}


def three_outcomes(world: World) -> None:
    """Attest hello, lie about farewell, and leave greeter out."""
    world.attest("hello")
    world.put("farewell", world.ground.forge(f"{CORE}/farewell", "commit-lie"))


def attest_all(world: World, *names: str) -> None:
    """Attest every bottle of formulae of homebrew/core, for whichever tag."""
    for name in names:
        world.service.store.add(JOBS[CORE].repository, world.ground.bundles[f"{CORE}/{name}"])


def bottle(world: World, name: str, tag: str | None = None, tap: str = CORE) -> Bottle:
    formula = world.ground.formulae[f"{tap}/{name}"]
    if tag is None:
        return bottle_of(formula)
    return next(bottle for bottle in formula.bottles if bottle.tag == tag)


def put_in_brews_cache(world: World, name: str, raw: bytes | None = None) -> Path:
    """Let brew have downloaded a bottle, or something else in its place."""
    wanted = bottle(world, name)
    path = cached_bottle_path(world.cache, wanted)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((FIXTURES / "bottles" / str(wanted.file_name)).read_bytes() if raw is None else raw)
    return path


# --- what is named --------------------------------------------------------------------------------


def test_three_outcomes_over_http(check: Check, world: World) -> None:
    three_outcomes(world)

    result = check("hello", "greeter", "farewell")

    assert result.code == 3
    words = [line.split()[:2] for line in result.out.splitlines() if line and not line.startswith(" ")]
    assert words[:3] == [["verified", "hello"], ["unattested", "greeter"], ["rejected", "farewell"]]
    assert "3 bottles: 1 verified, 1 unattested, 1 rejected" in result.out
    assert result.out.splitlines()[-1] == "weakest link: farewell 1.5.2_1 (x86_64_linux), rejected"
    assert "Homebrew/homebrew-core and trailofbits/homebrew-brew-verify" in result.out
    assert "a key that was given" in result.out
    assert "not the built-in one" in result.out
    assert world.brew.calls == []


@pytest.mark.parametrize(("name", "code"), [("hello", 0), ("greeter", 4), ("farewell", 3)])
def test_the_outcome_is_the_exit_code(name: str, code: int, check: Check, world: World) -> None:
    three_outcomes(world)
    assert check(name).code == code


@pytest.mark.parametrize("name", ["homebrew/core/hello", "Homebrew/Core/hello", "hi"])
def test_a_formula_by_its_other_names(name: str, check: Check, world: World) -> None:
    world.attest("hello")

    result = check(name)

    assert result.code == 0
    assert result.out.startswith("verified    hello 3.0.1 (x86_64_linux)")
    assert ("hi is another name of hello" in result.out) == (name == "hi")


def test_a_formula_of_another_tap_is_described_by_brew_and_attested_by_that_tap(
    check: Check, world: World
) -> None:
    world.attest("hello", tap=FIXTURE_TAP)

    result = check(f"{FIXTURE_TAP}/hello")

    assert result.code == 0
    assert "info" in world.brew.commands
    assert "policy: derived for brew-provenance/fixtures" in result.out
    assert "brew info" in result.out


def test_another_taps_attestation_does_not_speak_for_homebrew_core(check: Check, world: World) -> None:
    """The bytes are the same, and rightly attested by somebody who is trusted for another tap."""
    world.put("hello", world.ground.bundles[f"{FIXTURE_TAP}/hello"])

    result = check("hello")

    assert result.code == 3
    assert "signer-repository-not-allowed" in result.out


def test_two_taps_in_one_check_have_a_policy_and_a_store_each(check: Check, world: World) -> None:
    world.attest("hello")
    world.attest("greeter", tap=FIXTURE_TAP)

    result = check("hello", "greeter", f"{FIXTURE_TAP}/greeter", "--format", "json")

    document = json.loads(result.out)
    assert [verdict["outcome"] for verdict in document["verdicts"]] == ["verified", "unattested", "verified"]
    assert [verdict["basis"]["policy"]["origin"] for verdict in document["verdicts"]] == [
        *("built-in", "built-in", "derived")
    ]
    assert result.code == 4


def test_all_tags_of_a_formula(check: Check, world: World) -> None:
    attest_all(world, "hello")

    found = verdicts(check("hello", "--all-tags", "--format", "json"))

    assert [one["artifact"]["bottle"]["tag"] for one in found.values()] == [
        *("arm64_tahoe", "arm64_sequoia", "arm64_sonoma", "sonoma", "arm64_linux", "x86_64_linux")
    ]
    assert {one["outcome"] for one in found.values()} == {"verified"}


def test_another_tag_than_this_machines(check: Check, world: World) -> None:
    attest_all(world, "hello")
    key, now = world.ground.key, datetime.now(UTC)
    world.documents.update(build_documents(FIXTURES / "api", key, generated_at=now, tags=["arm64_sonoma"]))

    result = check("hello", "--tag", "arm64_sonoma")

    assert result.code == 0
    assert result.out.startswith("verified    hello 3.0.1 (arm64_sonoma)")


def test_a_bottle_for_all_platforms(check: Check, world: World) -> None:
    world.attest("salutations")

    result = check("salutations")

    assert result.code == 0
    assert "all: for every platform" in result.out


def test_what_a_formula_needs_is_checked_with_it(check: Check, world: World) -> None:
    world.attest("greeter")

    result = check("greeter", "--deps")

    assert result.code == 4
    assert "unattested  hello 3.0.1 (x86_64_linux), needed by greeter" in result.out
    assert result.out.splitlines()[-1] == (
        "weakest link: hello 3.0.1 (x86_64_linux), unattested, needed by greeter"
    )
    found = verdicts(check("greeter", "--deps", "--format", "json"))
    assert [one["artifact"]["neededBy"] for one in found.values()] == [None, "greeter"]
    assert check("greeter").code == 0


def test_what_a_taps_formula_needs_is_its_own_where_it_says_so(check: Check, world: World) -> None:
    """The tap's greeter names brew-provenance/fixtures/hello; homebrew/core has a hello as well."""
    world.attest("greeter", "hello", tap=FIXTURE_TAP)

    found = verdicts(check(f"{FIXTURE_TAP}/greeter", "--deps", "--format", "json"))

    assert [one["artifact"]["bottle"]["tap"] for one in found.values()] == [FIXTURE_TAP, FIXTURE_TAP]
    assert {one["outcome"] for one in found.values()} == {"verified"}


def test_a_digest_is_whatever_the_taps_ci_attested(check: Check, world: World) -> None:
    world.attest("hello")

    result = check(f"sha256:{world.sha256('hello').upper()}")

    assert result.code == 0
    assert "not proved: That the artifact bears the name that is attested" in result.out
    assert check(f"sha256:{'0' * 64}").code == 4
    assert check(f"sha512:{'0' * 128}").code == 4
    assert check(f"sha256:{world.sha256('hello')}", "--tap", FIXTURE_TAP).code == 4
    for malformed in ("sha256:", "sha256:xyz", f"sha256:{'0' * 63}", f"sha512:{'0' * 64}"):
        assert check(malformed).code == 2


def test_a_brewfile_names_formulae_and_nothing_else(check: Check, world: World, tmp_path: Path) -> None:
    world.attest("hello", "salutations")
    brewfile = tmp_path / "Brewfile"
    brewfile.write_text('cask "firefox"\nbrew "hello"\nbrew "salutations"\n', encoding="utf-8")

    result = check("--brewfile", brewfile)

    assert result.code == 0
    assert "2 bottles: 2 verified" in result.out
    assert "left out: 1 cask" in result.err


def test_a_line_of_a_brewfile_that_would_have_to_be_run_is_no_success(
    check: Check, world: World, tmp_path: Path
) -> None:
    world.attest("hello")
    brewfile = tmp_path / "Brewfile"
    brewfile.write_text('brew "hello"\nbrew ENV["X"]\n', encoding="utf-8")

    result = check("--brewfile", brewfile)

    assert result.code == 5
    assert "verified    hello" in result.out
    assert f"note: not checked: {brewfile} line 2" in result.err


@pytest.mark.parametrize("text", ["", 'cask "firefox"\n', "# nothing\n"])
def test_a_brewfile_without_formulae_is_nothing_to_check(text: str, check: Check, tmp_path: Path) -> None:
    brewfile = tmp_path / "Brewfile"
    brewfile.write_text(text, encoding="utf-8")
    result = check("--brewfile", brewfile)
    assert result.code == 2
    assert "verified" not in result.out


@pytest.mark.parametrize("raw", [b"\x00", b"\xff\xfe", b'brew "hello', b"#" * 300_000])
def test_what_is_no_brewfile_is_an_error(raw: bytes, check: Check, tmp_path: Path) -> None:
    brewfile = tmp_path / "Brewfile"
    brewfile.write_bytes(raw)
    result = check("--brewfile", brewfile)
    assert result.code == 2
    assert str(brewfile) in result.err
    assert "\nnext: " in result.err


def test_a_brewfile_cannot_have_a_file_read(
    check: Check, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attest_all(world, "hello")
    name = str(bottle(world, "hello").file_name)
    shutil.copy(FIXTURES / "bottles" / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    brewfile = tmp_path / "Brewfile"
    brewfile.write_text(f'brew "{name}"\n', encoding="utf-8")

    result = check("--brewfile", brewfile)

    assert result.code == 2
    assert str(brewfile) in result.err
    assert "verified" not in result.out


# --- bottle files ---------------------------------------------------------------------------------


def test_a_bottle_file_is_hashed_and_looked_into(check: Check, world: World) -> None:
    world.attest("hello")
    path = FIXTURES / "bottles" / str(bottle(world, "hello").file_name)

    found = verdicts(check(path, "--format", "json", "--explain"))[str(path)]

    assert found["outcome"] == "verified"
    assert {"bytes-hashed", "formula-compared-by-fields"} <= codes(found)
    assert [step["step"] for step in found["steps"]] == [1, 2, 8]


@pytest.mark.parametrize("tag", ["arm64_sonoma", "sonoma", "arm64_tahoe"])
def test_a_bottle_file_for_another_machine_is_compared_with_its_formula_too(
    tag: str, check: Check, world: World, tmp_path: Path
) -> None:
    attest_all(world, "hello")
    name = str(bottle(world, "hello", tag).file_name)
    good, bad = FIXTURES / "bottles" / name, tmp_path / name
    bad.write_bytes(good.read_bytes() + b"\0")

    found = verdicts(check(good, "--format", "json"))[str(good)]
    assert found["outcome"] == "verified"
    assert "not-the-current-bottle" not in codes(found)

    result = check(bad)
    assert result.code == 3
    assert "artifact-digest-mismatch" in result.out


def test_a_bottle_file_that_was_tampered_with_is_rejected_whatever_is_attested(
    check: Check, world: World, tmp_path: Path
) -> None:
    world.attest("hello")
    wanted = bottle(world, "hello")
    path = tmp_path / str(wanted.file_name)
    path.write_bytes(b"evil")
    # Even where somebody managed to have these very bytes attested under another name.
    world.service.store.add(
        "Homebrew/homebrew-core",
        world.ground.bundles[f"{CORE}/hello"],
        predicate_type="https://slsa.dev/provenance/v1",
    )

    result = check(path)

    assert result.code == 3
    assert "artifact-digest-mismatch" in result.out
    assert hashlib.sha256(b"evil").hexdigest() in result.out


def test_an_older_bottle_file_needs_an_attestation_of_its_own_name(
    check: Check, world: World, tmp_path: Path
) -> None:
    world.attest("hello")
    older = tmp_path / "hello--2.9.x86_64_linux.bottle.tar.gz"
    shutil.copy(FIXTURES / "bottles" / str(bottle(world, "hello").file_name), older)

    result = check(older)

    assert result.code == 3
    assert "subject-name-mismatch" in result.out
    older.write_bytes(b"of another time")
    assert check(older).code == 4


def test_files_of_no_formula_and_files_that_are_not_there(check: Check, tmp_path: Path) -> None:
    missing = tmp_path / "hello--2.9.x86_64_linux.bottle.tar.gz"
    unknown = tmp_path / "nowhere--1.0.x86_64_linux.bottle.tar.gz"
    unknown.write_bytes(b"x")
    for path in (missing, unknown):
        result = check(path)
        assert result.code == 2
        assert "Traceback" not in result.err


def test_a_bottle_that_holds_another_formula_is_rejected_though_it_is_attested(
    check: Check, world: World, tmp_path: Path
) -> None:
    """Whoever published it changed what is built, and the API and a publishing job took it for right."""
    wanted = bottle(world, "greeter")
    path = tmp_path / str(wanted.file_name)
    source = world.ground.formulae[f"{CORE}/greeter"].source
    upstream = str(source and source.sha256).encode()
    repack(FIXTURES / "bottles" / path.name, path, upstream, b"0" * 64)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    shutil.copytree(FIXTURES / "api", tmp_path / "api")
    described = (tmp_path / "api" / "greeter.json").read_text(encoding="utf-8")
    text = described.replace(wanted.digest.value, digest)
    (tmp_path / "api" / "greeter.json").write_text(text, encoding="utf-8")
    key, now = world.ground.key, datetime.now(UTC)
    world.documents.update(build_documents(tmp_path / "api", key, generated_at=now, tags=[str(TAG)]))
    statement = build_statement([build_subject(path.name, digest)], JOBS[CORE].provenance())
    bundle = world.ground.sigstore.attest(statement, JOBS[CORE], at=SIGNED_AT)
    world.service.store.add(JOBS[CORE].repository, encode_json(bundle))

    assert check("greeter").code == 0
    found = verdicts(check(path, "--format", "json", "--explain"))[str(path)]

    assert found["outcome"] == "rejected"
    assert {"bytes-hashed", "formula-source-mismatch"} <= codes(found)
    assert [(step["step"], step["status"]) for step in found["steps"]][2:] == [(8, "failed")]


def repack(source: Path, target: Path, old: bytes, new: bytes) -> None:
    """Write a bottle again, with something else in its formula."""
    with tarfile.open(source) as bottled, tarfile.open(target, "w:gz", format=tarfile.USTAR_FORMAT) as made:
        for member in bottled:
            stream = bottled.extractfile(member)
            raw = stream.read() if stream else b""
            if member.name.endswith(".rb"):
                assert old in raw
                raw = raw.replace(old, new)
            member.size = len(raw)
            made.addfile(member, io.BytesIO(raw))


def test_a_bottle_in_brews_cache_is_hashed_unasked(check: Check, world: World) -> None:
    world.attest("hello")
    put_in_brews_cache(world, "hello")

    found = verdicts(check("hello", "--format", "json"))["hello 3.0.1 (x86_64_linux)"]

    assert found["outcome"] == "verified"
    assert {"bytes-hashed", "formula-compared-by-fields"} <= codes(found)


@pytest.mark.parametrize("raw", [b"", b"evil", b"\x1f\x8b"])
def test_a_cached_bottle_that_was_tampered_with_is_rejected(raw: bytes, check: Check, world: World) -> None:
    world.attest("hello", "greeter")
    put_in_brews_cache(world, "hello", raw)

    result = check("hello", "greeter")

    assert result.code == 3
    assert "artifact-digest-mismatch" in result.out
    assert "2 bottles: 1 verified, 1 rejected" in result.out


@pytest.fixture
def mirror(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], None]:
    """Have a mirror on loopback, and nobody else, serve what is given for a formula's bottle."""
    monkeypatch.setenv("HOMEBREW_ARTIFACT_DOMAIN", world.api)
    monkeypatch.setenv("HOMEBREW_ARTIFACT_DOMAIN_NO_FALLBACK", "1")

    def serve_bottle(name: str, raw: bytes) -> None:
        path = bottle(world, name).url.removeprefix("https://ghcr.io/")
        world.documents[path] = raw

    return serve_bottle


def test_a_bottle_is_downloaded_and_looked_into_where_that_is_asked_for(
    check: Check, world: World, mirror: Callable[[str, bytes], None]
) -> None:
    world.attest("hello")
    mirror("hello", (FIXTURES / "bottles" / str(bottle(world, "hello").file_name)).read_bytes())

    found = verdicts(check("hello", "--fetch", "--format", "json"))["hello 3.0.1 (x86_64_linux)"]

    assert found["outcome"] == "verified"
    assert {"bytes-hashed", "formula-compared-by-fields"} <= codes(found)
    assert world.cached() == {}


def test_a_mirror_that_sends_something_else_has_the_bottle_rejected(
    check: Check, world: World, mirror: Callable[[str, bytes], None]
) -> None:
    world.attest("hello")
    mirror("hello", b"evil")

    result = check("hello", "--fetch")

    assert result.code == 3
    assert "artifact-digest-mismatch" in result.out
    assert hashlib.sha256(b"evil").hexdigest() in result.out
    assert "verified" not in result.out


def test_a_bottle_that_cannot_be_downloaded_is_unresolved_and_the_others_are_judged(
    check: Check, world: World, mirror: Callable[[str, bytes], None]
) -> None:
    world.attest("hello", "greeter")
    mirror("hello", (FIXTURES / "bottles" / str(bottle(world, "hello").file_name)).read_bytes())

    result = check("hello", "greeter", "--fetch")

    assert result.code == 5
    assert "bottle-not-fetched" in result.out
    assert "2 bottles: 1 verified, 1 unresolved" in result.out


def test_nothing_is_downloaded_offline(check: Check, world: World) -> None:
    world.attest("hello")
    assert check("hello").code == 0
    result = check("hello", "--offline", "--fetch")
    assert result.code == 2
    assert "--fetch: needs the network" in result.err


# --- what is installed ----------------------------------------------------------------------------


def write_sbom(keg: Path, name: str, sha256: str) -> None:
    checksum = {"algorithm": "SHA256", "checksumValue": sha256}
    package = {"SPDXID": f"SPDXRef-Bottle-{name}", "checksums": [checksum]}
    (keg / "sbom.spdx.json").write_text(json.dumps({"packages": [package]}), encoding="utf-8")


def test_everything_that_is_installed(check: Check, world: World) -> None:
    world.attest("hello", "greeter")
    write_sbom(world.install("hello"), "hello", world.sha256("hello"))
    world.install("greeter")

    found = verdicts(check("--installed", "--format", "json"))

    assert {label: one["outcome"] for label, one in found.items()} == {
        "greeter 0.9.3 (installed)": "verified",
        "hello 3.0.1 (installed)": "verified",
    }
    assert "keg-bottle-guessed" in codes(found["greeter 0.9.3 (installed)"])
    assert "keg-bottle-guessed" not in codes(found["hello 3.0.1 (installed)"])


def test_what_is_installed_and_cannot_be_looked_at_is_no_success(check: Check, world: World) -> None:
    world.attest("hello")
    world.install("hello")
    world.install("farewell", "1.4", link=False)
    world.install("greeter", receipt=False, link=False)

    result = check("--installed")

    assert result.code == 5
    assert "verified    hello 3.0.1 (installed)" in result.out
    assert "note: not checked: farewell 1.4: poured from a bottle that nothing names" in result.err
    assert "without INSTALL_RECEIPT.json" in result.err


def test_what_was_built_here_is_no_bottle_and_no_failure(check: Check, world: World) -> None:
    world.attest("hello")
    world.install("hello")
    keg = world.install("greeter", link=False)
    shutil.copy(FIXTURES / "receipts" / "built-from-source.json", keg / "INSTALL_RECEIPT.json")

    result = check("--installed")

    assert result.code == 0
    assert "greeter 0.9.3: not a bottle: built from source" in result.err
    assert "greeter" not in check("--installed", "--quiet").err


def test_the_fixtures_receipts_are_those_of_the_taps_bottles(check: Check, world: World) -> None:
    world.attest("greeter", tap=FIXTURE_TAP)
    keg = world.install("greeter", link=False)
    shutil.copy(FIXTURES / "receipts" / "poured-from-bottle.json", keg / "INSTALL_RECEIPT.json")

    result = check("--installed")

    assert result.code == 0
    assert "policy: derived for brew-provenance/fixtures" in result.out


def test_brew_is_asked_once_for_all_that_is_installed_from_a_tap(check: Check, world: World) -> None:
    for name in ("hello", "greeter"):
        world.attest(name, tap=FIXTURE_TAP)
        world.install(name, tap=FIXTURE_TAP)

    result = check("--installed")

    assert result.code == 0
    assert world.brew.commands.count("info") == 1


def test_an_older_keg_is_asked_about_by_its_sbom(check: Check, world: World) -> None:
    """Its digest leads to a bottle that is rightly attested, of another version."""
    world.attest("hello")
    write_sbom(world.install("hello", "2.9"), "hello", world.sha256("hello"))

    result = check("--installed")

    assert result.code == 3
    assert "subject-other-version" in result.out


def test_a_kegs_bottle_in_the_cache_is_hashed(check: Check, world: World) -> None:
    world.attest("hello")
    world.install("hello")
    put_in_brews_cache(world, "hello", b"evil")

    result = check("--installed")

    assert result.code == 3
    assert "artifact-digest-mismatch" in result.out


@pytest.mark.parametrize("exists", [False, True])
def test_nothing_installed_is_nothing_to_check(exists: bool, check: Check, world: World) -> None:
    if exists:
        world.cellar.mkdir()
    result = check("--installed")
    assert result.code == 2
    assert "\nnext: " in result.err


# --- what is asked, and of whom -------------------------------------------------------------------


def test_the_second_time_the_store_is_not_asked(check: Check, world: World) -> None:
    world.attest("hello", "salutations")
    assert check("hello", "salutations").code == 0
    asked = world.service.log.total

    again = check("hello", "salutations")

    assert again.code == 0
    assert world.service.log.total == asked
    assert check("hello", "salutations", "--refresh").code == 0
    assert world.service.log.total == asked + 2


def test_what_is_not_attested_is_asked_about_every_time(check: Check, world: World) -> None:
    assert check("hello").code == 4
    world.attest("hello")
    assert check("hello").code == 0


def test_what_vanished_from_the_store_is_said_when_it_is_asked(check: Check, world: World) -> None:
    world.attest("hello")
    assert check("hello").code == 0
    world.service.store.delete(range(100))

    assert "gone-from-store" not in check("hello", "--format", "json").out
    refreshed = check("hello", "--refresh", "--format", "json")

    assert refreshed.code == 0
    assert "gone-from-store" in codes(verdicts(refreshed)["hello 3.0.1 (x86_64_linux)"])


@pytest.mark.parametrize("forgery", ["commit-lie", None])
def test_what_somebody_put_into_the_local_cache_decides_nothing(
    forgery: str | None, check: Check, world: World
) -> None:
    world.attest("hello")
    assert check("hello").code == 0
    (remembered,) = (world.folder / "cache").rglob("sha256-*.jsonl")
    raw = world.ground.forge(f"{CORE}/hello", forgery) if forgery else b"garbage"
    remembered.write_bytes(raw)
    asked = world.service.log.total

    assert check("hello").code == 0
    assert world.service.log.total == asked + 1
    world.service.store.delete(range(100))
    remembered.write_bytes(raw)
    assert check("hello").code == 4


def test_a_cache_that_cannot_be_written_changes_nothing(
    check: Check, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.attest("hello")
    assert check("hello").code == 0
    attestations = world.folder / "cache" / "brew-provenance" / "attestations"
    shutil.rmtree(attestations)
    attestations.write_text("a file", encoding="utf-8")

    result = check("hello")

    assert result.code == 0
    assert str(attestations) in result.out


def test_offline_after_a_run_over_the_network(check: Check, world: World, front: tuple[Front, str]) -> None:
    world.attest("hello")
    assert check("hello").code == 0
    asked = world.service.log.total
    front[0].world = None

    again = check("hello", "--offline")
    unknown = check("greeter", "--offline")

    assert again.code == 0
    assert "attestations: the local cache of 127.0.0.1" in again.out
    assert unknown.code == 5
    assert "store-has-no-answer" in unknown.out
    assert world.service.log.total == asked


def test_offline_without_any_run_before_names_nothing(check: Check, world: World) -> None:
    result = check("hello", "--offline")
    assert result.code == 2
    assert "the network is not to be used" in result.err
    assert world.service.log.total == 0


def test_many_bottles_are_one_look_up(check: Check, world: World) -> None:
    world.service.backend.options = replace(world.service.backend.options, bulk_requires_token=False)
    names = ["hello", "hello@2", "hello+plus", "farewell", "greeter", "salutations"]
    attest_all(world, *names)

    result = check(*names, "--all-tags")

    assert result.code == 0
    assert "16 bottles: 16 verified" in result.out
    assert world.service.log.count("POST", BULK) == 1
    assert world.service.log.count("GET", LISTS) == 0


def test_the_token_is_for_github_and_no_other_api_sees_it(
    check: Check, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOMEBREW_GITHUB_API_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "ghp_a_secret")
    three_outcomes(world)

    results = [check("hello", "greeter", "farewell"), check("hello", "--refresh", "--format", "json")]

    assert world.service.log.total > 3
    assert [record.authorization for record in world.service.log.records if record.authorization] == []
    assert all("ghp_a_secret" not in result.out + result.err for result in results)


@pytest.mark.parametrize("status", [401, 403])
def test_a_store_that_refuses_is_no_answer(status: int, check: Check, world: World) -> None:
    world.attest("hello")
    world.service.faults.inject(faults.respond(status), None, path=LISTS)

    result = check("hello")

    assert result.code == 5
    assert "access-denied" in result.out
    assert "verified" not in result.out


def test_a_formula_api_that_nobody_signed_is_not_believed(check: Check, world: World, ground: Ground) -> None:
    world.attest("hello")
    for name, raw in world.documents.items():
        world.documents[name] = raw.replace(b"3.0.1", b"3.0.2")

    result = check("hello")

    assert result.code == 2
    assert "not signed by" in result.err
    assert world.service.log.total == 0


def test_without_the_key_homebrews_own_signature_is_asked_for(run: Run, world: World) -> None:
    world.attest("hello")
    options = world.options[2:]

    result = run("check", "hello", *options)

    assert result.code == 2
    assert "not signed by homebrew-1" in result.err


def test_a_formula_that_the_api_does_not_know(check: Check) -> None:
    result = check("helo")
    assert result.code == 2
    assert "did you mean hello" in result.err


# --- how it is printed ----------------------------------------------------------------------------


def test_json_is_of_the_form_that_is_published(check: Check, world: World) -> None:
    three_outcomes(world)

    result = check("hello", "greeter", "farewell", "--format", "json", "--explain")

    assert result.code == 3
    assert outcomes(result) == {
        "hello 3.0.1 (x86_64_linux)": "verified",
        "greeter 0.9.3 (x86_64_linux)": "unattested",
        "farewell 1.5.2_1 (x86_64_linux)": "rejected",
    }


def test_sarif_shows_what_is_not_verified_at_its_line_in_the_tap(
    run: Run, world: World, tap_repository: Path
) -> None:
    three = ("hello", "greeter", "farewell")
    world.attest("hello", tap=FIXTURE_TAP)
    world.put("farewell", world.ground.forge(f"{FIXTURE_TAP}/farewell", "commit-lie"), tap=FIXTURE_TAP)

    of_tap = ["--tap", FIXTURE_TAP, "--tap-dir", tap_repository]
    result = run("check", *three, *of_tap, "--format", "sarif", *world.options)

    assert result.code == 3
    results = check_sarif(result.out)["results"]
    assert [(found["ruleId"], found["level"]) for found in results] == [
        ("unattested", "warning"),
        ("predicate-commit-mismatch", "error"),
    ]
    for found, name in zip(results, three[1:], strict=True):
        place = found["locations"][0]["physicalLocation"]
        uri, line = place["artifactLocation"]["uri"], place["region"]["startLine"]
        assert uri == f"Formula/{name[0]}/{name}.rb"
        ruby = (tap_repository / uri).read_text(encoding="utf-8").splitlines()
        assert world.sha256(name, FIXTURE_TAP) in ruby[line - 1]


@pytest.fixture
def tap_repository(tmp_path: Path) -> Path:
    """The tap's git repository, as a clone of it would be."""
    import pygit2  # noqa: PLC0415 - for these tests alone

    folder = tmp_path / "homebrew-fixtures"
    shutil.copytree(FIXTURES / "Formula", folder / "Formula")
    repository = pygit2.init_repository(str(folder))
    repository.index.add_all()
    author = pygit2.Signature("tap", "tap@example.org", 1767225600, 0)
    repository.create_commit("HEAD", author, author, "Our formulae", repository.index.write_tree(), [])
    repository.free()
    return folder


def test_junit_has_a_case_for_each_bottle(check: Check, world: World) -> None:
    three_outcomes(world)

    result = check("hello", "greeter", "farewell", "--format", "junit")

    assert result.code == 3
    root = check_junit(result.out)
    assert {name: root.attrib[name] for name in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "2",
        "errors": "0",
    }
    assert [suite.attrib["name"] for suite in root] == [CORE]


@pytest.mark.parametrize("output_format", ["text", "json", "sarif", "junit"])
def test_the_result_can_go_to_a_file(output_format: str, check: Check, world: World, tmp_path: Path) -> None:
    three_outcomes(world)
    check("hello", "farewell")
    printed = check("hello", "farewell", "--format", output_format)
    written = check("hello", "farewell", "--format", output_format, "--output", tmp_path / "result")

    assert (written.code, written.out) == (3, "")
    assert (tmp_path / "result").read_text(encoding="utf-8") == printed.out


def test_when_quiet_nothing_is_said_of_what_is_verified(check: Check, world: World) -> None:
    three_outcomes(world)

    alone = check("hello", "--quiet")
    several = check("hello", "greeter", "farewell", "--quiet")

    assert (alone.code, alone.out, alone.err) == (0, "", "")
    assert several.code == 3
    assert "verified    hello" not in several.out
    assert several.out.startswith("unattested  greeter")
    assert "3 bottles: 1 verified, 1 unattested, 1 rejected" in several.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to check"),
        (["--all-tags", "--tag", "sonoma", "hello"], "contradicts"),
        (["draft"], "no bottles"),
        (["hello+plus"], "no bottles for x86_64_linux"),
        (["a b"], "not the name of a formula"),
        (["hello", "--commit", "HEAD"], "--tap-dir"),
        (["--brewfile", "/nonexistent"], "/nonexistent"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(arguments: list[str], said: str, check: Check) -> None:
    result = check(*arguments)
    assert result.code == 2
    assert said in result.err
    assert "\nnext: " in result.err
    assert result.out == ""
