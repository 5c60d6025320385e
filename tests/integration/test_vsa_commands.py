"""An auditor's verdicts as verification summaries: written, signed, and taken in place of the evidence."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import FIXTURES, Run
from tests.unit.repositories import commit, make_repository

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import make_kit
from brew_provenance.sandbox.services.runner import Rehearsal
from brew_provenance.sandbox.services.world import World, WorldOptions, serve_world
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.vsa import VSA_V1

TAP = "brew-provenance/fixtures"
AUDITOR = ActionsJob(repository="auditor/audits", workflow_path=".github/workflows/audit.yml")
VERIFIER = "auditor/audits/.github/workflows/audit.yml@refs/heads/main"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    with serve_world(WorldOptions(Rehearsal(AUDITOR))) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, run: Run) -> Path:
    """A tap, a kit in which not all is well, and the ledger of an audit of it."""
    repository = make_repository(tmp_path / "tap")
    files = {
        str(path.relative_to(FIXTURES)): path.read_bytes() for path in (FIXTURES / "Formula").rglob("*.rb")
    }
    commit(repository, files)
    repository.free()
    make_kit(tmp_path / "kit", FIXTURES, unattested=["greeter"], forged={"farewell": "commit-lie"})
    result = run("audit", TAP, "--kit", tmp_path / "kit", *root(tmp_path), "--ledger", tmp_path / "l.sqlite")
    assert result.code == 3
    return tmp_path


def root(folder: Path) -> list[object]:
    return ["--trusted-root", folder / "kit" / "trusted_root.jsonl", "--offline"]


def by_resource(text: str) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for line in text.splitlines():
        statement = json.loads(line)
        if "dsseEnvelope" in statement:
            statement = json.loads(base64.b64decode(statement["dsseEnvelope"]["payload"]))
        assert statement["predicateType"] == VSA_V1
        found.setdefault(statement["predicate"]["resourceUri"], []).append(statement)
    return found


def test_statements_say_what_the_audit_found(folder: Path, run: Run) -> None:
    result = run("audit", "vsa", TAP, "--ledger", folder / "l.sqlite", "--verifier", "https://example.org/me")

    assert result.code == 0
    found = by_resource(result.out)
    names = ["farewell@1.5.2_1", "greeter@0.9.3", "hello@3.0.1", "hello%402@2.4.1", "hello%2Bplus@1.0.0"]
    assert set(found) == {f"pkg:brew/{TAP}/{name}" for name in [*names, "salutations@4.2"]}
    said = {
        resource: (one["predicate"]["verificationResult"], one["predicate"]["verifiedLevels"])
        for resource, (one,) in found.items()
    }
    assert said[f"pkg:brew/{TAP}/hello@3.0.1"] == ("PASSED", ["SLSA_BUILD_LEVEL_2"])
    assert said[f"pkg:brew/{TAP}/farewell@1.5.2_1"] == ("FAILED", ["FAILED"])
    assert said[f"pkg:brew/{TAP}/greeter@0.9.3"] == ("FAILED", ["FAILED"])
    (hello,) = found[f"pkg:brew/{TAP}/hello@3.0.1"]
    assert len(hello["subject"]) == 6
    assert hello["predicate"]["verifier"]["id"] == "https://example.org/me"
    assert len(hello["predicate"]["inputAttestations"]) == 1
    assert hello["predicate"]["policy"]["uri"].startswith("urn:brew-provenance:policy:")
    # Nothing of it depends on when it is written.
    again = run("audit", "vsa", TAP, "--ledger", folder / "l.sqlite", "--verifier", "https://example.org/me")
    assert again.out == result.out


def test_without_an_identity_a_verifier_has_to_be_named(folder: Path, run: Run) -> None:
    result = run("audit", "vsa", TAP, "--ledger", folder / "l.sqlite")
    assert result.code == 2
    assert "names no verifier" in result.err


@pytest.fixture
def summaries(folder: Path, run: Run, running: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Summaries that the auditor's workflow has signed."""
    with monkeypatch.context() as job:
        for name, value in running.environment_for({}).items():
            job.setenv(name, value)
        result = run(
            *("audit", "vsa", TAP, "--ledger", folder / "l.sqlite", "--output", folder / "vsa.jsonl"),
            *("--trust-config", os.environ["SANDBOX_TRUST_CONFIG"]),
        )
    assert (result.code, result.err) == (0, "")
    return folder / "vsa.jsonl"


def test_signed_summaries_take_the_place_of_the_evidence(
    folder: Path, run: Run, running: World, summaries: Path
) -> None:
    trusted = folder / "auditors-root.json"
    trusted.write_text(json.dumps(running.trusted_root), encoding="utf-8")
    options: list[object] = [
        *("--tap", TAP, "--tap-dir", folder / "tap", "--offline", "--trusted-root", trusted),
        *("--tag", "x86_64_linux", "--format", "json"),
    ]
    believed = ["--vsa", summaries, "--vsa-from", VERIFIER]

    # Nothing else is at hand, and nobody is asked.
    assert run("check", "hello", *options).code == 5
    result = run("check", "hello", *options, *believed)
    assert result.code == 0
    (verdict,) = json.loads(result.out)["verdicts"]
    assert (verdict["outcome"], verdict["gives"]) == ("verified", "verification-summary")
    # What failed there fails here, and what it does not reach is no evidence.
    assert run("check", "greeter", *options, *believed).code == 3
    assert run("check", "hello", *options, *believed, "--vsa-level", "HOMEBREW_FORMULA_BOUND").code == 5
    stranger = ["--vsa", summaries, "--vsa-from", VERIFIER.replace("main", "x")]
    assert run("check", "hello", *options, *stranger).code == 5
    # Under another root it is nobody's signature.
    other = folder / "other.json"
    other.write_bytes(encode_json(VirtualSigstore("stranger").trusted_root()))
    untrusted = [other if one == trusted else one for one in options]
    assert run("check", "hello", *untrusted, *believed).code == 5
    text = run("check", "hello", *options[:-2], *believed)
    assert "verified by somebody else, whose word is taken for it" in text.out


@pytest.mark.parametrize(
    "options", [["--vsa-from", VERIFIER], ["--vsa", "x"], ["--vsa", __file__, "--vsa-from", "somebody"]]
)
def test_half_of_what_it_takes_is_a_usage_error(options: list[str], folder: Path, run: Run) -> None:
    common = ("--kit", folder / "kit", "--tag", "x86_64_linux", *root(folder))
    assert run("check", f"{TAP}/hello", *common, *options).code == 2
