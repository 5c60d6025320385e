"""The sandbox's servers, and sigstore-python's own signing client before them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sigstore.dsse import Statement
from sigstore.models import Bundle, ClientTrustConfig, InvalidBundle
from sigstore.oidc import IdentityError, IdentityToken, detect_credential
from sigstore.sign import SigningContext
from sigstore.verify import Verifier, policy
from tests.integration.conftest import FIXTURES, Run

from brew_provenance.bottle import BottleTag
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.instance import LogVersion
from brew_provenance.sandbox.services.runner import Rehearsal
from brew_provenance.sandbox.services.world import World, WorldOptions, serve_world
from brew_provenance.sandbox.wire import encode_json

CORE_JOB = ActionsJob(
    repository="Homebrew/homebrew-core",
    workflow_path=".github/workflows/publish-commit-bottles.yml",
    event_name="workflow_dispatch",
)
LOGS: list[LogVersion] = ["rekor-v1", "rekor-v2"]


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    options = WorldOptions(Rehearsal(CORE_JOB), formulae=FIXTURES / "api", bottles=FIXTURES / "bottles")
    with serve_world(options) as made:
        yield made


@pytest.fixture
def sandbox(running: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in list(os.environ):
        monkeypatch.delenv(name) if name.startswith("HOMEBREW_") else None
    for name, value in running.environment_for({}).items():
        monkeypatch.setenv(name, value)
    yield running
    for faults in running.faults.values():
        faults.clear()


def sign(world: World, log_version: LogVersion, *statements: bytes) -> list[Bundle]:
    token = detect_credential()
    assert token is not None
    config = ClientTrustConfig.from_json(json.dumps(world.trust_config_for(log_version)))
    with SigningContext.from_trust_config(config).signer(IdentityToken(token)) as signer:
        return [signer.sign_dsse(Statement(statement)) for statement in statements]


def hello() -> tuple[str, str]:
    """Return name and digest of a bottle of homebrew/core's hello, as the API tells of it."""
    described = json.loads((FIXTURES / "api" / "hello.json").read_bytes())
    digest = described["bottle"]["stable"]["files"]["x86_64_linux"]["sha256"]
    return "hello--3.0.1.x86_64_linux.bottle.tar.gz", digest


def statement(name: str, digest: str) -> bytes:
    return encode_json(build_statement([build_subject(name, digest)], CORE_JOB.provenance()))


@pytest.mark.parametrize("log_version", LOGS)
def test_sigstores_client_signs_and_verifies(sandbox: World, log_version: LogVersion) -> None:
    payload = statement(*hello())
    bundles = sign(sandbox, log_version, payload, payload)
    root = ClientTrustConfig.from_json(json.dumps(sandbox.trust_config)).trusted_root
    identity = policy.Identity(identity=CORE_JOB.signer_uri, issuer=CORE_JOB.issuer)
    for bundle in bundles:
        assert Verifier(trusted_root=root).verify_dsse(bundle, identity) == (
            "application/vnd.in-toto+json",
            payload,
        )
    assert bundles[0].signing_certificate == bundles[1].signing_certificate


@pytest.mark.parametrize("log_version", LOGS)
def test_sigstores_client_signs_artifacts(sandbox: World, log_version: LogVersion) -> None:
    token = detect_credential()
    assert token is not None
    config = ClientTrustConfig.from_json(json.dumps(sandbox.trust_config_for(log_version)))
    with SigningContext.from_trust_config(config).signer(IdentityToken(token)) as signer:
        bundle = signer.sign_artifact(b"artifact")
    identity = policy.Identity(identity=CORE_JOB.signer_uri, issuer=CORE_JOB.issuer)
    Verifier(trusted_root=config.trusted_root).verify_artifact(b"artifact", bundle, identity)


@pytest.mark.parametrize("log_version", LOGS)
def test_what_it_signs_is_verified_by_our_own_commands(
    sandbox: World, run: Run, tmp_path: Path, log_version: LogVersion
) -> None:
    name, digest = hello()
    [bundle] = sign(sandbox, log_version, statement(name, digest))
    (tmp_path / "bundle.json").write_text(bundle.to_json(), encoding="utf-8")
    arguments: list[Any] = [
        *("verify", FIXTURES / "bottles" / name, "--bundle", tmp_path / "bundle.json"),
        *("--repo", CORE_JOB.repository, "--offline"),
    ]
    assert run(*arguments, "--trusted-root", sandbox.environment["SANDBOX_TRUSTED_ROOT"]).code == 0
    # Nobody else trusts it, whatever the environment says.
    assert run(*arguments).code == 3


def test_a_bottle_is_published_and_then_checked_with_its_bytes(
    sandbox: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sandbox.environment
    name, digest = hello()
    check: list[Any] = [
        *("check", "hello", "--fetch", "--tag", "x86_64_linux"),
        *("--formula-key", found["SANDBOX_FORMULA_KEY"], "--github-api", found["SANDBOX_GITHUB_API"]),
        *("--trusted-root", found["SANDBOX_TRUSTED_ROOT"]),
    ]
    monkeypatch.setattr("brew_provenance.cli.options.host_tag", lambda: BottleTag("linux", "x86_64"))
    monkeypatch.setenv("HOMEBREW_API_DOMAIN", found["SANDBOX_FORMULA_API"])
    monkeypatch.setenv("HOMEBREW_ARTIFACT_DOMAIN", found["SANDBOX_REGISTRY"])
    monkeypatch.setenv("HOMEBREW_DOCKER_REGISTRY_TOKEN", "QQ==")
    # The other repository that homebrew/core's policy knows of.
    sandbox.github.store.add_repository("trailofbits/homebrew-brew-verify")
    before = run(*check)
    assert before.code == 4, before.out

    [bundle] = sign(sandbox, "rekor-v1", statement(name, digest))
    response = requests.post(
        f"{found['GITHUB_API_URL']}/repos/{CORE_JOB.repository}/attestations",
        json={"bundle": json.loads(bundle.to_json())},
        headers={"Authorization": f"Bearer {found['GITHUB_TOKEN']}"},
        timeout=30,
    )
    assert response.status_code == 201
    after = run(*check, "--format", "json", "--refresh")

    assert after.code == 0, after.err
    assert "bytes-hashed" in after.out
    blobs = [record for record in sandbox.requests["registry"].records if "/blobs/" in record.path]
    assert {record.status for record in blobs} == {200}


def test_without_the_permission_there_is_no_credential(
    sandbox: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    with pytest.raises(IdentityError):
        detect_credential()
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "other")
    with pytest.raises(IdentityError):
        detect_credential()


@pytest.mark.parametrize(
    "fault", ["ca=500", "ca=down", "log=503", "log=409", "log=lost", "log=cut", "ca=cut"]
)
def test_a_bad_day_reaches_the_client(sandbox: World, fault: str) -> None:
    sandbox.bad_day(f"{fault}:1")
    with pytest.raises(Exception):  # noqa: B017, PT011 - the client has an exception for each
        sign(sandbox, "rekor-v1", statement(*hello()))
    assert sign(sandbox, "rekor-v1", statement(*hello()))


def test_a_timestamp_that_cannot_be_had_leaves_the_second_log_without_a_time(sandbox: World) -> None:
    sandbox.bad_day("timestamping=503:1")
    with pytest.raises(InvalidBundle):
        sign(sandbox, "rekor-v2", statement(*hello()))
