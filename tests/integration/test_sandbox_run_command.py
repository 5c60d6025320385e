"""`sandbox run`: a command in a world of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import Files, Run
from tests.unit.repositories import make_repository

from brew_provenance.sandbox.scenario import Scenario

REPOSITORY = "brew-provenance/homebrew-fixtures"

SHOW = "import json, os; print(json.dumps(dict(os.environ)))"

ROUND = """
import json, os, sys, urllib.request
from sigstore.dsse import Statement
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken, detect_credential
from sigstore.sign import SigningContext

statement = json.dumps({
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "x--1.sonoma.bottle.tar.gz", "digest": {"sha256": "ab" * 32}}],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {},
}).encode()
with open(os.environ["SANDBOX_TRUST_CONFIG"], encoding="utf-8") as file:
    context = SigningContext.from_trust_config(ClientTrustConfig.from_json(file.read()))
with context.signer(IdentityToken(detect_credential())) as signer:
    bundle = signer.sign_dsse(Statement(statement)).to_json()
url = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/attestations"
headers = {"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}"}
body = json.dumps({"bundle": json.loads(bundle)}).encode()
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(urllib.request.Request(url, body, headers)) as answer:
    print(answer.status)
with opener.open(f"{url}/sha256:{'ab' * 32}") as answer:
    print(len(json.load(answer)["attestations"]))
"""


PUBLISH = """
import json, os, sys, urllib.request

url = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/attestations"
headers = {"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}"}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with open(sys.argv[1], "rb") as body:
    opener.open(urllib.request.Request(url, b'{"bundle":%b}' % body.read(), headers)).close()
with opener.open(f"{url}/sha256:{sys.argv[2]}") as answer:
    print(len(json.load(answer)["attestations"]))
"""


LIMIT = """
import os, urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
url = f"{os.environ['SANDBOX_GITHUB_API']}/rate_limit"
with opener.open(url) as answer:
    print(answer.headers["x-ratelimit-limit"])
"""


def sandbox(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "brew_provenance", "sandbox", "run", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


def show(*arguments: object, **environment: str) -> dict[str, str]:
    """Return the environment of a command that is run with these options."""
    result = sandbox(*arguments, "--", sys.executable, "-c", SHOW, **environment)
    assert (result.returncode, result.stderr) == (0, "")
    found: dict[str, str] = json.loads(result.stdout)
    return found


def test_a_command_has_a_jobs_environment_and_no_secret_of_its_own() -> None:
    found = show(GH_TOKEN="a real one", HTTPS_PROXY="http://127.0.0.1:9")
    assert found["GITHUB_ACTIONS"] == "true"
    assert found["GITHUB_REPOSITORY"] == REPOSITORY
    assert found["SANDBOX_GITHUB_API"].startswith("http://127.0.0.1:")
    assert "a real one" not in found.values()
    assert found["NO_PROXY"] == "127.0.0.1"
    assert not Path(found["SANDBOX_TRUST_CONFIG"]).exists()


def test_options_say_whose_job_it_is(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"a": b"1"})
    head = str(repository.head.target)
    repository.free()
    found = show(
        *("--repo", "octo/homebrew-tap", "--tap-dir", tmp_path, "--event", "pull_request"),
        *("--workflow", ".github/workflows/x.yml", "--run-id", 5, "--run-attempt", 2),
        *("--without-permission", "id-token", "--log", "rekor-v2"),
    )
    assert found["GITHUB_REPOSITORY"] == "octo/homebrew-tap"
    assert found["GITHUB_SHA"] == head
    assert found["GITHUB_REF"] == "refs/pull/1/merge"
    assert found["GITHUB_WORKFLOW_REF"] == "octo/homebrew-tap/.github/workflows/x.yml@refs/pull/1/merge"
    assert (found["GITHUB_RUN_ID"], found["GITHUB_RUN_ATTEMPT"]) == ("5", "2")
    assert "ACTIONS_ID_TOKEN_REQUEST_TOKEN" not in found


def test_a_command_signs_publishes_and_finds_again() -> None:
    result = sandbox("--log", "rekor-v2", "--", sys.executable, "-c", ROUND)
    assert (result.returncode, result.stdout) == (0, "201\n1\n"), result.stderr


@pytest.fixture
def publish(files: Files, scenario: Scenario) -> list[object]:
    """A command that publishes a bundle, and prints how many there are then."""
    return ["--", sys.executable, "-c", PUBLISH, files.bundle, scenario.digest]


def test_what_was_published_is_found_the_next_time(tmp_path: Path, publish: list[object]) -> None:
    for count in (1, 2):
        result = sandbox("--state", tmp_path / "state", "--run-id", count, *publish)
        assert result.stdout == f"{count}\n", result.stderr
    assert (tmp_path / "state" / "trusted-root.json").exists()


def test_a_fault_meets_the_command(publish: list[object]) -> None:
    result = sandbox("--fault", "publishing=503:1", *publish)
    assert result.returncode == 1
    assert "HTTP Error 503" in result.stderr


def test_homebrew_core_can_be_rehearsed_with_the_notarisations_repository_beside_it() -> None:
    check = (
        f'exec "$0" -m brew_provenance check sha256:{"ab" * 32} --format json'
        ' --github-api "$SANDBOX_GITHUB_API" --trusted-root "$SANDBOX_TRUSTED_ROOT"'
    )
    result = sandbox("--repo", "Homebrew/homebrew-core", "--", "sh", "-c", check, sys.executable)
    assert result.returncode == 4
    assert [verdict["outcome"] for verdict in json.loads(result.stdout)["verdicts"]] == ["unattested"]


def test_whoever_checks_fares_as_with_a_token() -> None:
    result = sandbox("--", sys.executable, "-c", LIMIT)
    assert (result.returncode, result.stdout) == (0, "5000\n")


def test_the_exit_code_is_the_commands_and_its_options_its_own() -> None:
    # Options after the command belong to it, also without `--`.
    result = sandbox(sys.executable, "-c", "import sys; print(sys.argv); sys.exit(7)", "--log", "x", "--help")
    assert (result.returncode, result.stdout) == (7, "['-c', '--log', 'x', '--help']\n")


def test_a_signal_ends_both() -> None:
    code = "import time; print('ready', flush=True); time.sleep(60)"
    command = [sys.executable, "-m", "brew_provenance", "sandbox", "run", "--", sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["--", "/nonexistent"], "No such file"),
        (["--fault", "log", "--", "true"], "not SERVICE=KIND"),
        (["--fault", "moon=down", "--", "true"], "there is no moon"),
        (["--repo", "octo", "--", "true"], "not OWNER/REPO"),
        (["--ref", "main", "--", "true"], "not a full ref"),
        (["--tap-dir", "/nonexistent", "--", "true"], "no commit can be read"),
        (["--state", "/dev/null/x", "--", "true"], "Not a directory"),
        (["--formulae", "/nonexistent", "--", "true"], "describes no formula"),
        (["--without-permission", "contents", "--", "true"], "Invalid value"),
        (["--log", "rekor-v3", "--", "true"], "Invalid value"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, arguments: list[Any], said: str) -> None:
    result = run("sandbox", "run", *arguments)
    assert result.code == 2
    assert said in result.err
