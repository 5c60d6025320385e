"""`check` against an offline kit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest
from tests.integration.conftest import Run

from brew_provenance import bundle as bundle_module
from brew_provenance.bottle import Digest
from brew_provenance.formula.apijson import read_formula
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.stores.kit import write_kit
from brew_provenance.subject import Question, SubjectNaming, expected_name

TAP = "brew-provenance/fixtures"


@pytest.fixture
def options(kit: Path) -> list[object]:
    root = kit / "trusted_root.jsonl"
    return ["--kit", kit, "--offline", "--tap", TAP, "--trusted-root", root, "--tag", "x86_64_linux"]


def test_three_outcomes_in_one_check(run: Run, options: list[object]) -> None:
    result = run("check", "hello", "greeter", "farewell", *options)

    assert result.code == 3
    words = [line.split()[:2] for line in result.out.splitlines() if line and not line.startswith(" ")]
    assert words[:3] == [["verified", "hello"], ["unattested", "greeter"], ["rejected", "farewell"]]
    assert "predicate-commit-mismatch" in result.out
    assert "3 bottles: 1 verified, 1 unattested, 1 rejected" in result.out


@pytest.mark.parametrize(
    ("names", "code"), [(["hello"], 0), (["greeter"], 4), (["farewell"], 3), (["hello", "greeter"], 4)]
)
def test_worst_outcome_is_the_exit_code(names: list[str], code: int, run: Run, options: list[object]) -> None:
    assert run("check", *names, *options).code == code


@pytest.mark.parametrize("name", ["hello", "hello@2", "hello+plus", "salutations", "farewell", "greeter"])
def test_every_bottle_of_a_formula(name: str, run: Run, kit: Path) -> None:
    result = run(
        "check",
        f"{TAP}/{name}",
        "--kit",
        kit,
        "--offline",
        "--all-tags",
        "--format",
        "json",
        "--trusted-root",
        kit / "trusted_root.jsonl",
    )

    document = json.loads(result.out)
    expected = {"farewell": "rejected", "greeter": "unattested"}.get(name, "verified")
    assert {verdict["outcome"] for verdict in document["verdicts"]} == {expected}
    assert document["summary"] == {expected: len(document["verdicts"])}
    schema = Path(bundle_module.__file__).parent / "schemas" / "verdicts-v1.schema.json"
    jsonschema.validate(
        document, json.loads(schema.read_text(encoding="utf-8")), cls=jsonschema.Draft202012Validator
    )


def test_kits_own_root_is_not_trusted_by_itself(run: Run, kit: Path) -> None:
    result = run("check", f"{TAP}/hello", "--kit", kit, "--offline", "--tag", "x86_64_linux")

    assert result.code == 3
    assert "certificate-untrusted" in result.out


def test_short_name_means_homebrew_core_and_not_whatever_the_kit_holds(run: Run, kit: Path) -> None:
    result = run("check", "hello", "--kit", kit, "--offline")

    assert result.code == 2
    assert "homebrew/core/hello" in result.err


def test_policy_file_is_used_and_named(run: Run, options: list[object], tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    text = (
        'schema = 1\nname = "strict"\ntap = "brew-provenance/fixtures"\n[[signer]]\nname = "nightly"\n'
        'source-repository = "brew-provenance/homebrew-fixtures"\nsource-refs = ["refs/heads/main"]\n'
    )
    policy.write_text(text + 'workflows = [".github/workflows/nightly.yml"]\n', encoding="utf-8")
    strict = run("check", "hello", *options, "--policy", policy)
    policy.write_text(text, encoding="utf-8")
    loose = run("check", "hello", *options, "--policy", policy)
    policy.write_text(text.replace("fixtures", "other"), encoding="utf-8")
    foreign = run("check", "hello", *options, "--policy", policy)

    assert (strict.code, loose.code, foreign.code) == (3, 0, 2)
    assert "signer-workflow-not-allowed" in strict.out
    assert "policy: strict, from a file" in loose.out
    assert "speaks for" in foreign.err


def test_backfill_is_a_notarisation_and_only_before_its_cutoff(run: Run, tmp_path: Path, kit: Path) -> None:
    """The built-in policy of homebrew/core, with the backfill of early 2024."""
    folder = _core_kit(tmp_path, at=SIGNED_AT.replace(year=2024, month=3, day=13))
    late = _core_kit(tmp_path / "late", at=SIGNED_AT.replace(year=2024, month=3, day=15))
    options = ["--offline", "--all-tags", "--trusted-root", kit / "trusted_root.jsonl"]

    notarised = run("check", "hello", "--kit", folder, *options)
    too_late = run("check", "hello", "--kit", late, *options)

    assert notarised.code == 0
    assert "notarised, not build provenance" in notarised.out
    assert too_late.code == 3
    assert "signed-too-late" in too_late.out


def _core_kit(folder: Path, at: datetime) -> Path:
    sha256 = "ab" * 32
    described = {
        "name": "hello",
        "tap": "homebrew/core",
        "versions": {"stable": "1.0"},
        "bottle": {
            "stable": {
                "files": {
                    "sonoma": {
                        "url": f"https://ghcr.io/v2/homebrew/core/hello/blobs/sha256:{sha256}",
                        "sha256": sha256,
                    }
                }
            }
        },
    }
    (bottle,) = read_formula(described).bottles
    name = expected_name(Question("hello", (bottle.digest,), bottle=bottle), SubjectNaming.URL_AND_FILE_NAME)
    job = ActionsJob(
        repository="trailofbits/homebrew-brew-verify",
        ref="refs/heads/backfill",
        workflow_path=".github/workflows/backfill.yml",
    )
    statement = build_statement([build_subject(str(name), sha256)], job.provenance())
    bundle = encode_json(VirtualSigstore().attest(statement, job, at=at))
    write_kit(
        folder, {"homebrew/core/hello": encode_json(described)}, {Digest("sha256", sha256): [bundle]}, {}
    )
    return folder


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (lambda kit: (kit / "index.json").unlink(), 2, "index.json"),
        (lambda kit: (kit / "index.json").write_text("{", encoding="utf-8"), 2, "not JSON"),
        (lambda kit: (kit / "index.json").write_text("{}", encoding="utf-8"), 2, "not a kit's index"),
        (
            lambda kit: (kit / "index.json").write_text('{"schemaVersion": 2}', encoding="utf-8"),
            2,
            "not a kit's index",
        ),
        (
            lambda kit: (kit / "formulae" / TAP / "hello.json").write_text("{}", encoding="utf-8"),
            2,
            "not the file that the index",
        ),
        (lambda kit: shutil.rmtree(kit / "attestations"), 5, "store-unreadable"),
        (lambda kit: _append(kit, b"{}\n"), 5, "kit-file-altered"),
        (lambda kit: _append(kit, b"\xff"), 5, "kit-file-altered"),
        (lambda kit: _forget(kit, "files"), 4, "no attestation"),
        (lambda kit: _forget(kit, "digests"), 5, "store-has-no-answer"),
    ],
)
def test_damaged_kit_is_said_and_never_verified(
    spoil: Callable[[Path], None], code: int, said: str, run: Run, kit: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(kit, damaged)
    spoil(damaged)

    result = run(
        "check",
        f"{TAP}/hello",
        "--kit",
        damaged,
        "--offline",
        "--tag",
        "x86_64_linux",
        "--trusted-root",
        kit / "trusted_root.jsonl",
    )

    assert result.code == code
    assert said in result.out + result.err
    assert "verified" not in result.out


def _append(kit: Path, junk: bytes) -> None:
    for path in (kit / "attestations").iterdir():
        path.write_bytes(path.read_bytes() + junk)


def _forget(kit: Path, part: str) -> None:
    index = json.loads((kit / "index.json").read_text(encoding="utf-8"))
    if part == "files":
        index["files"] = {name: digest for name, digest in index["files"].items() if "attest" not in name}
    else:
        index["digests"] = []
    (kit / "index.json").write_text(json.dumps(index), encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["helo"], "did you mean"),
        (["draft"], "the formula has no bottles"),
        (["hello+plus", "--tag", "sonoma"], "no bottle for sonoma"),
        (["hello", "--tag", "not a tag"], "not a bottle tag"),
        (["../../hello"], "not the name of a formula"),
        (["hello", "--policy", "/nonexistent"], "/nonexistent"),
        ([], "nothing to check"),
    ],
)
def test_what_names_nothing_is_a_usage_error(
    arguments: list[str], said: str, run: Run, options: list[object]
) -> None:
    result = run("check", *options, *arguments)

    assert result.code == 2
    assert said in result.err
    assert "verified" not in result.out


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device without end")
@pytest.mark.parametrize("option", ["--trusted-root", "--policy"])
def test_file_without_end_is_given_up(option: str, run: Run, kit: Path) -> None:
    result = run("check", f"{TAP}/hello", "--kit", kit, "--offline", option, "/dev/zero", "--all-tags")

    assert result.code == 2
    assert "/dev/zero: longer than the limit" in result.err


def test_json_output_carries_the_basis(run: Run, options: list[object]) -> None:
    document = json.loads(run("check", "hello", *options, "--format", "json", "--explain").out)

    (verdict,) = document["verdicts"]
    assert verdict["basis"]["trustedRoots"][0]["builtIn"] is False
    assert verdict["basis"]["policy"]["origin"] == "derived"
    assert verdict["gives"] == "build-provenance"
    assert [step["step"] for step in verdict["steps"]] == [1, 2]
