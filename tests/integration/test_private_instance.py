"""Bundles of an instance without a log, as GitHub's own, through every command that judges bundles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from tests.integration.conftest import FIXTURES, Files, Run

from brew_provenance import bundle as bundle_module
from brew_provenance.bottle import Digest
from brew_provenance.formula.apijson import read_formula
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.wire import JsonObject, encode_json
from brew_provenance.stores.kit import TRUSTED_ROOT, write_kit
from brew_provenance.trust import distributed_file

SCHEMAS = Path(bundle_module.__file__).parent / "schemas"
TAG = "x86_64_linux"


@pytest.fixture
def files(files: Files, scenario: Scenario) -> Files:
    """The bundle of the instance without a log, and the roots of both, one a line."""
    files.bundle.write_bytes(encode_json(scenario.bundle_private()))
    roots = [scenario.sigstore.trusted_root(), scenario.private.trusted_root()]
    files.root.write_bytes(b"".join(encode_json(root) + b"\n" for root in roots))
    return files


@pytest.fixture
def kit(tmp_path: Path, scenario: Scenario) -> Path:
    """A kit for one formula, whose private tap attested it."""
    raw = (FIXTURES / "api" / "hello.json").read_bytes()
    formula = read_formula(json.loads(raw))
    user, _, repository = formula.tap.partition("/")
    job = ActionsJob(repository=f"{user}/homebrew-{repository}", event_name="workflow_dispatch")
    subjects = [build_subject(str(bottle.file_name), bottle.digest.value) for bottle in formula.bottles]
    bundle = encode_json(
        scenario.private.attest(build_statement(subjects, job.provenance()), job, at=SIGNED_AT)
    )
    attestations: dict[Digest, list[bytes]] = {bottle.digest: [bundle] for bottle in formula.bottles}
    folder = tmp_path / "private-kit"
    root = encode_json(scenario.private.trusted_root()) + b"\n"
    write_kit(folder, {formula.full_name: raw}, attestations, {TRUSTED_ROOT: root})
    return folder


def root_file(folder: Path, *roots: JsonObject) -> Path:
    path = folder / "roots.jsonl"
    path.write_bytes(b"".join(encode_json(root) + b"\n" for root in roots))
    return path


def schema(name: str) -> JsonObject:
    found: JsonObject = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return found


def test_verify_accepts_it_under_its_own_root_and_says_what_that_does_not_prove(
    run: Run, files: Files
) -> None:
    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments)

    assert result.code == 0
    assert "by the timestamp authority" in result.out
    assert "log entry" not in result.out
    assert "That the signing is on public record" in result.out
    assert f"trusted root: {files.root} line 2" in result.out


def test_verify_refuses_it_under_the_roots_of_others(run: Run, files: Files, scenario: Scenario) -> None:
    arguments = ("verify", files.artifact, "--bundle", files.bundle, "--repo", scenario.job.repository)
    files.root.write_bytes(encode_json(scenario.sigstore.trusted_root()))
    public_good = run(*arguments, "--offline")
    other = run(*arguments, "--offline", "--trusted-root", files.root)

    for result in (public_good, other):
        assert result.code == 3
        assert "certificate-untrusted" in result.out
        assert "name its root with --trusted-root" in result.out


@pytest.mark.parametrize("explained", [[], ["--explain"]])
def test_json_says_that_there_is_no_entry(run: Run, files: Files, explained: list[str]) -> None:
    result = run(
        "verify", files.artifact, "--bundle", files.bundle, *files.arguments, "--format", "json", *explained
    )

    document = json.loads(result.out)
    jsonschema.validate(document, schema("verdicts-v1.schema.json"), cls=jsonschema.Draft202012Validator)
    (verdict,) = document["verdicts"]
    (attestation,) = verdict["attestations"]
    assert attestation["evidence"]["logEntry"] is None
    assert [time["source"] for time in attestation["evidence"]["times"]] == ["timestamp-authority"]


def test_explanation_says_that_none_is_asked_for(run: Run, files: Files) -> None:
    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments, "--explain")

    assert "none, and none is asked for" in result.out


def test_inspect_shows_it(run: Run, files: Files) -> None:
    command = ("inspect", files.bundle, "--trusted-root", files.root, "--offline")

    text, shown = run(*command), run(*command, "--format", "json")

    assert (text.code, shown.code) == (0, 0)
    assert "timestamp" in text.out
    document = json.loads(shown.out)
    jsonschema.validate(document, schema("examination-v1.schema.json"), cls=jsonschema.Draft202012Validator)
    (attestation,) = document["attestations"]
    assert attestation["evidence"]["logEntry"] is None


def test_gh_accepts_it_and_names_the_source_of_its_time(run: Run, files: Files, scenario: Scenario) -> None:
    result = run(
        *("gh", "--offline", "attestation", "verify", files.artifact, "-R", scenario.job.repository),
        *("--bundle", files.bundle, "--custom-trusted-root", files.root, "--format", "json"),
    )

    assert result.code == 0
    (found,) = json.loads(result.out)
    (time,) = found["verificationResult"]["verifiedTimestamps"]
    assert time["type"] == "TimestampAuthority"


def test_check_and_kit_verify_accept_it(run: Run, kit: Path) -> None:
    trusted = ("--offline", "--trusted-root", kit / "trusted_root.jsonl")
    checked = run("check", "brew-provenance/fixtures/hello", "--kit", kit, "--tag", TAG, *trusted)
    verified = run("kit", "verify", kit, *trusted)

    assert (checked.code, verified.code) == (0, 0)
    assert checked.out.startswith("verified ")


def test_a_kit_does_not_say_whom_to_trust(run: Run, kit: Path) -> None:
    checked = run("check", "brew-provenance/fixtures/hello", "--kit", kit, "--tag", TAG, "--offline")

    assert checked.code == 3
    assert "certificate-untrusted" in checked.out


def test_audit_accepts_it_and_writes_down_that_there_is_no_entry(
    run: Run, kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    result = run(
        *("audit", "brew-provenance/fixtures", "--kit", kit, "--trusted-root", kit / "trusted_root.jsonl"),
        *("--offline", "--format", "jsonl", "--workers", 1),
    )

    assert result.code == 0, result.out
    rows = [json.loads(line) for line in result.out.splitlines()]
    verified = [row for row in rows if row.get("outcome") == "verified"]
    assert verified
    for row in verified:
        assert "not-in-a-log" in {finding["code"] for finding in row["findings"]}
        assert (row["evidence"]["log"], row["evidence"]["logIndex"]) == (None, None)


# --- --no-public-good -------------------------------------------------------------------------------


def with_public_good(folder: Path, *others: JsonObject) -> Path:
    return root_file(folder, json.loads(distributed_file("trusted_root.json")), *others)


def commands(files: Files, scenario: Scenario, kit: Path) -> dict[str, Callable[[Path | None], list[object]]]:
    def given(root: Path | None, option: str = "--trusted-root") -> list[object]:
        return [option, root] if root is not None else []

    name = "brew-provenance/fixtures/hello"
    return {
        "verify": lambda root: [
            *("verify", files.artifact, "--bundle", files.bundle, "--repo", scenario.job.repository),
            *("--offline", *given(root)),
        ],
        "check": lambda root: ["check", name, "--kit", kit, "--tag", TAG, "--offline", *given(root)],
        "kit verify": lambda root: ["kit", "verify", kit, "--offline", *given(root)],
        "audit": lambda root: [
            *("audit", "brew-provenance/fixtures", "--kit", kit, "--offline", "--workers", 1, *given(root)),
        ],
        "gh": lambda root: [
            *("gh", "--offline", "attestation", "verify", files.artifact, "-R", scenario.job.repository),
            *("--bundle", files.bundle, *given(root, "--custom-trusted-root")),
        ],
    }


@pytest.mark.parametrize("name", ["verify", "check", "kit verify", "audit", "gh"])
def test_public_good_root_can_be_left_out(
    name: str,
    run: Run,
    files: Files,
    scenario: Scenario,
    kit: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    command = commands(files, scenario, kit)[name]
    both = with_public_good(tmp_path, scenario.private.trusted_root())

    assert run(*command(both)).code == 0
    left_out = run(*command(both), "--no-public-good")
    assert left_out.code == 0
    for roots in (None, with_public_good(tmp_path)):
        refused = run(*command(roots), "--no-public-good")
        assert refused.code == (1 if name == "gh" else 2)
        assert "leaves no root to trust" in refused.err


def test_what_the_public_good_instance_issued_does_not_pass_then(run: Run, data: Path) -> None:
    command = (
        *("verify", data / "artifacts" / "playwright-cli-0.1.1.tgz", "--repo", "microsoft/playwright-cli"),
        *("--bundle", data / "bundles" / "playwright-cli-0.1.1-provenance.json", "--offline"),
        *("--trusted-root", data / "roots" / "gh-attestation-trusted-root.jsonl"),
    )

    assert run(*command).code == 0
    refused = run(*command, "--no-public-good")

    assert refused.code == 3
    assert "certificate-untrusted" in refused.out


def test_a_real_bundle_of_githubs_instance_is_verified(run: Run, data: Path) -> None:
    name = "github_provenance_demo-0.0.12-py3-none-any"
    roots = data / "roots" / "gh-attestation-trusted-root.jsonl"
    result = run(
        *("verify", data / "artifacts" / f"{name}.whl", "--repo", "actions/attest-demo", "--offline"),
        *("--bundle", data / "bundles" / f"gh-{name}-bundle.jsonl", "--trusted-root", roots),
        "--no-public-good",
    )

    assert result.code == 0
    assert "2024-04-22 17:33:26 UTC, by the timestamp authority" in result.out
