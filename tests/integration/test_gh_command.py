"""`gh attestation verify` answered by us, and by the rules with which brew calls it and reads its answer."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import Files, Result, Run
from tests.integration.world import BACKFILL, CORE, FIXTURES, JOBS, World, bottle_of

from brew_provenance.bottle import Bottle
from brew_provenance.downloads import cached_bottle_path
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.forgery import FORGERIES
from brew_provenance.sandbox.github import faults
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.wire import encode_json

Json = dict[str, Any]
REPO = "Homebrew/homebrew-core"


class MissingAttestationError(Exception):
    """What brew raises."""


class InvalidAttestationError(Exception):
    """What brew raises."""


class GhAuthInvalidError(Exception):
    """What brew raises."""


class GhIncompatibleError(Exception):
    """What brew raises."""


def brews_check(gh: Callable[..., Result], bottle: Bottle, path: Path, repo: str, name: str) -> Json:
    """Call gh, and understand its answer, as `check_attestation` of brew's `attestation.rb` does."""
    result = gh("attestation", "verify", path, "--repo", repo, "--format", "json")
    if result.code != 0:
        if result.code == 1 and "unknown command" in result.err:
            raise GhIncompatibleError
        if result.code == 4 or "HTTP 401: Bad credentials" in result.err:
            raise GhAuthInvalidError
        if "HTTP 404: Not Found" in result.err or re.search(r": no attestations found\r?\n", result.err):
            raise MissingAttestationError(result.err)
        raise InvalidAttestationError(result.err)
    for attestation in json.loads(result.out):
        for subject in attestation["verificationResult"]["statement"]["subject"]:
            if bottle.tag == "all":
                matches = subject["name"].startswith(f"{bottle.formula}--{bottle.version}")
            else:
                matches = subject["name"] == name
            if matches:
                found: Json = attestation
                return found
    raise InvalidAttestationError("no attestation matches subject")


@pytest.fixture
def gh(run: Run, world: World) -> Callable[..., Result]:
    api, url, trusted, root = world.options[2:]
    return lambda *arguments: run("gh", api, url, trusted, root, *arguments)


def cached(world: World, name: str) -> tuple[Bottle, Path]:
    """Have a bottle in brew's cache, and return it."""
    bottle = bottle_of(world.ground.formulae[f"{CORE}/{name}"])
    path = cached_bottle_path(world.cache, bottle)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((FIXTURES / "bottles" / str(bottle.file_name)).read_bytes())
    return bottle, path


@pytest.mark.parametrize("name", ["hello", "hello@2", "farewell", "salutations"])
def test_brews_own_check_passes(name: str, gh: Callable[..., Result], world: World) -> None:
    world.attest(name)
    bottle, path = cached(world, name)

    found = brews_check(gh, bottle, path, REPO, str(bottle.file_name))

    result = found["verificationResult"]
    certificate = result["signature"]["certificate"]
    assert certificate["sourceRepositoryURI"] == f"https://github.com/{REPO}"
    assert certificate["buildSignerURI"] == JOBS[CORE].signer_uri
    assert certificate["sourceRepositoryIdentifier"] == JOBS[CORE].repository_id
    assert certificate["githubWorkflowSHA"] == JOBS[CORE].sha
    assert certificate["runnerEnvironment"] == "github-hosted"
    assert result["verifiedTimestamps"][0]["type"] == "Tlog"
    assert result["verifiedTimestamps"][0]["timestamp"] == "2026-03-01T12:00:00Z"
    assert result["verifiedIdentity"]["issuer"] == {"issuer": JOBS[CORE].issuer}
    assert found["attestation"]["bundle"] == json.loads(world.ground.bundles[f"{CORE}/{name}"])


def test_brew_hears_of_a_missing_one_that_it_is_missing(gh: Callable[..., Result], world: World) -> None:
    bottle, path = cached(world, "hello")
    with pytest.raises(MissingAttestationError):
        brews_check(gh, bottle, path, REPO, str(bottle.file_name))


@pytest.mark.parametrize("forgery", ["commit-lie", "repository-lie", "workflow-lie", "run-lie"])
def test_brew_hears_of_a_forged_one_that_it_is_invalid(
    forgery: str, gh: Callable[..., Result], world: World
) -> None:
    bottle, path = cached(world, "hello")
    world.put("hello", world.ground.forge(f"{CORE}/hello", forgery))
    with pytest.raises(InvalidAttestationError):
        brews_check(gh, bottle, path, REPO, str(bottle.file_name))


@pytest.mark.parametrize(
    "said", ["HTTP 404: Not Found", "x: no attestations found\n", "HTTP 401: Bad credentials"]
)
def test_no_signer_can_have_a_forgery_taken_for_a_missing_one(
    said: str, gh: Callable[..., Result], world: World
) -> None:
    bottle, path = cached(world, "hello")
    statement = build_statement([build_subject(said, bottle.digest.value)], JOBS[CORE].provenance())
    world.put("hello", encode_json(world.ground.sigstore.attest(statement, JOBS[CORE], at=SIGNED_AT)))
    with pytest.raises(InvalidAttestationError, match="subject-name-mismatch"):
        brews_check(gh, bottle, path, REPO, str(bottle.file_name))


def test_no_answer_is_neither_missing_nor_a_matter_of_credentials(
    gh: Callable[..., Result], world: World
) -> None:
    world.service.faults.inject(faults.respond(503), None)
    bottle, path = cached(world, "hello")
    with pytest.raises(InvalidAttestationError, match=r"no answer \("):
        brews_check(gh, bottle, path, REPO, str(bottle.file_name))


def test_a_workflow_that_brew_would_let_pass_is_held_to_the_built_in_policy(
    gh: Callable[..., Result], world: World
) -> None:
    bottle, path = cached(world, "hello")
    job = ActionsJob(repository=REPO, workflow_path=".github/workflows/anybody.yml")
    subject = build_subject(str(bottle.file_name), bottle.digest.value)
    bundle = world.ground.sigstore.attest(build_statement([subject], job.provenance()), job, at=SIGNED_AT)
    world.put("hello", encode_json(bundle))

    result = gh("attestation", "verify", path, "--repo", REPO, "--format", "json")

    assert (result.code, result.out) == (1, "")
    assert "homebrew-core does not allow it: signer-workflow-not-allowed" in result.err
    # With a signer of one's own choice it is as gh does.
    assert gh("attestation", "verify", path, "-R", REPO, "--cert-identity", job.signer_uri).code == 0


def test_bytes_of_another_bottle_do_not_pass_under_a_name_that_stands_beside_them(
    gh: Callable[..., Result], world: World
) -> None:
    world.attest("hello")
    _, other = cached(world, "hello@2")
    bottle, path = cached(world, "hello")
    digest = hashlib.sha256(other.read_bytes()).hexdigest()
    subjects = [
        build_subject(str(bottle.file_name), bottle.digest.value),
        build_subject("hello@2--2.4.1.x86_64_linux.bottle.tar.gz", digest),
    ]
    statement = build_statement(subjects, JOBS[CORE].provenance())
    world.put("hello@2", encode_json(world.ground.sigstore.attest(statement, JOBS[CORE], at=SIGNED_AT)))
    shutil.copyfile(other, path)

    result = gh("attestation", "verify", path, "--repo", REPO, "--format", "json")

    assert result.code == 1
    assert "verification failed: subject-split" in result.err


def test_a_backfilled_bottle_is_found_by_its_other_name(gh: Callable[..., Result], world: World) -> None:
    bottle, path = cached(world, "hello")
    job = ActionsJob(repository=BACKFILL, ref="refs/heads/backfill", workflow_path=".github/workflows/x.yml")
    name = f"{hashlib.sha256(bottle.url.encode()).hexdigest()}--{bottle.file_name}"
    statement = build_statement([build_subject(name, bottle.digest.value)], job.provenance())
    before = SIGNED_AT.replace(year=2024, month=3, day=1)
    for at in (SIGNED_AT, before):
        bundle = encode_json(world.ground.sigstore.attest(statement, job, at=at))
        world.service.store.add(
            BACKFILL, bundle, digests=[bottle.digest], predicate_type="https://slsa.dev/provenance/v1"
        )

    found = brews_check(gh, bottle, path, BACKFILL, name)

    # The other one is too young, which brew would have to find out by itself.
    assert found["verificationResult"]["verifiedTimestamps"][0]["timestamp"] == "2024-03-01T12:00:00Z"


@pytest.mark.parametrize("name", ["hello", "salutations"])
def test_a_shim_with_a_kit_takes_the_place_of_gh_without_a_network(
    name: str, run: Run, world: World, tmp_path: Path
) -> None:
    world.attest("hello", "salutations")
    folder = world.folder / "a kit"
    assert run("kit", "export", folder, "hello", "salutations", *world.options).code == 0
    bottle, path = cached(world, name)
    programs = tmp_path / "programs"
    programs.mkdir()
    root = world.options[-1]
    made = run("gh", "--kit", folder, "--offline", "--trusted-root", root, "shim", programs)
    assert (made.code, made.out) == (0, f"{programs}/gh\n")
    assert stat.S_IMODE((programs / "gh").stat().st_mode) == 0o755

    def shim(*arguments: object) -> Result:
        # As brew calls it: with a few variables, in another folder.
        process = subprocess.run(
            [shutil.which("gh", path=str(programs)) or "", *map(str, arguments)],
            capture_output=True,
            encoding="utf-8",
            check=False,
            cwd=tmp_path,
            env={
                "PATH": f"{programs}:/usr/bin:/bin",
                "HOME": os.environ["HOME"],
                "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"],
                "GH_TOKEN": "any",
                "GH_HOST": "github.com",
            },
        )
        return Result(process.returncode, process.stdout, process.stderr)

    found = brews_check(shim, bottle, path, REPO, str(bottle.file_name))
    assert found["verificationResult"]["signature"]["certificate"]["buildSignerURI"] == JOBS[CORE].signer_uri
    path.write_bytes(b"something else")
    with pytest.raises(InvalidAttestationError, match="store-has-no-answer"):
        brews_check(shim, bottle, path, REPO, str(bottle.file_name))
    # brew also asks gh for a token; there is none to be had.
    assert shim("auth", "token", "--hostname", "github.com").code == 1


def test_a_shim_is_made_anew_but_takes_no_other_program_away(run: Run, tmp_path: Path) -> None:
    assert run("gh", "--offline", "shim", tmp_path).code == 0
    assert run("gh", "shim", tmp_path).code == 0
    assert "--offline" not in (tmp_path / "gh").read_text(encoding="utf-8")
    (tmp_path / "gh").write_text("the real one", encoding="utf-8")
    result = run("gh", "shim", tmp_path)
    assert result.code == 2
    assert "is another program" in result.err
    assert (tmp_path / "gh").read_text(encoding="utf-8") == "the real one"
    result = run("gh", "shim", tmp_path / "gh" / "below")
    assert result.code == 2
    assert "give a folder that can be written" in result.err


def test_a_shim_makes_the_folder_that_it_goes_into(run: Run, tmp_path: Path) -> None:
    assert run("gh", "shim", tmp_path / "not" / "there").code == 0
    assert os.access(tmp_path / "not" / "there" / "gh", os.X_OK)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--owner", "brew-provenance"], 0),
        (["--owner", "BREW-provenance"], 0),
        (["--owner", "somebody"], 1),
        (["--repo", "brew-provenance/homebrew-fixtures"], 0),
        (["--repo", "brew-provenance/homebrew"], 1),
        (
            [
                "--repo",
                "brew-provenance/homebrew-fixtures",
                "--signer-repo",
                "brew-provenance/homebrew-fixtures",
            ],
            0,
        ),
        (["--repo", "brew-provenance/homebrew-fixtures", "--signer-repo", "somebody/else"], 1),
        (["--owner", "brew-provenance", "--cert-identity", "IDENTITY"], 0),
        (["--owner", "brew-provenance", "--cert-identity", "IDENTITY.attacker"], 1),
        (["--owner", "brew-provenance", "-i", "publish.yml@refs/heads/ma"], 0),
        (["--owner", "brew-provenance", "-i", "^publish"], 1),
        (["--owner", "brew-provenance", "--signer-workflow", "WORKFLOW"], 0),
        (["--owner", "brew-provenance", "--signer-workflow", "github.com/WORKFLOW"], 0),
        (["--owner", "brew-provenance", "--signer-workflow", "WORKFLOW@refs/heads/main"], 0),
        (["--owner", "brew-provenance", "--signer-workflow", "WORKFLOW@refs/heads/other"], 1),
        (
            [
                "--owner",
                "brew-provenance",
                "--signer-workflow",
                "brew-provenance/homebrew-fixtures/.github/workflows/pub.yml",
            ],
            1,
        ),
        (["--owner", "brew-provenance", "--source-ref", "refs/heads/main"], 0),
        (["--owner", "brew-provenance", "--source-ref", "main"], 1),
        (["--owner", "brew-provenance", "--source-digest", "SHA"], 0),
        (["--owner", "brew-provenance", "--source-digest", "0" * 40], 1),
        (["--owner", "brew-provenance", "--signer-digest", "SHA"], 0),
        (["--owner", "brew-provenance", "--signer-digest", "0" * 40], 1),
        (["--owner", "brew-provenance", "--deny-self-hosted-runners"], 0),
        (["--owner", "brew-provenance", "--cert-oidc-issuer", "https://example.org"], 1),
        (["--owner", "brew-provenance", "--predicate-type", "https://example.org/other"], 1),
        (["--owner", "brew-provenance", "--digest-alg", "sha512"], 1),
        (["--owner", "brew-provenance", "--hostname", "github.com", "--limit", "7"], 0),
        (["--owner", "brew-provenance", "--hostname", "example.org"], 1),
        (["--owner", "brew-provenance", "--signer-repo", "a/b", "--cert-identity", "c"], 1),
        (["--owner", "brew-provenance", "--repo", "brew-provenance/homebrew-fixtures"], 1),
        ([], 1),
        (["--owner", "brew/provenance"], 1),
        (["--repo", "brew-provenance"], 1),
        (["--owner", "brew-provenance", "--signer-repo", "nobody"], 1),
        (["--owner", "brew-provenance", "--signer-workflow", "publish.yml"], 1),
        (["--owner", "brew-provenance", "-i", "("], 1),
        (["--owner", "brew-provenance", "-i", "x" * 1001], 1),
        (["--owner", "brew-provenance", "--jq", ".[]"], 1),
    ],
)
def test_flags_mean_what_they_mean_to_gh(options: list[str], code: int, run: Run, files: Files) -> None:
    job = ActionsJob()
    words = {
        "IDENTITY": job.signer_uri,
        "WORKFLOW": f"{job.repository}/{job.workflow_path}",
        "SHA": job.sha,
        "REPO": job.repository,
    }
    given = [
        re.sub("IDENTITY|WORKFLOW|SHA|REPO", lambda found: words[found[0]], option) for option in options
    ]

    result = run(
        *("gh", "--offline", "--trusted-root", files.root, "attestation", "verify", files.artifact),
        *("--bundle", files.bundle, *given),
    )

    # Without --format, gh says nothing to a pipe.
    assert (result.code, result.out) == (code, "")
    assert bool(result.err) == (code == 1)


def test_a_runner_of_ones_own_can_be_refused(run: Run, files: Files, scenario: Scenario) -> None:
    job = ActionsJob(runner_environment="self-hosted")
    statement = build_statement([build_subject(scenario.name, scenario.digest)], job.provenance())
    files.bundle.write_bytes(encode_json(scenario.sigstore.attest(statement, job, at=scenario.at)))
    given = ("attestation", "verify", files.artifact, "-R", job.repository, "-b", files.bundle)
    assert run("gh", "--trusted-root", files.root, *given).code == 0
    assert run("gh", *given, "--custom-trusted-root", files.root).code == 0
    result = run("gh", "--trusted-root", files.root, *given, "--deny-self-hosted-runners")
    assert (result.code, result.err) == (1, "Error: verification failed: the runner is not github-hosted\n")


# What only a policy or a tap tells, as gh has no flag for it.
POLICIES_ALONE = {
    "builder-not-allowed",
    "parameters-other-tap",
    "signed-too-early",
    "signed-too-late",
    "source-repository-id-not-allowed",
    "source-owner-id-not-allowed",
}


# gh looks at no name, and brew itself takes that one for the backfill's alone.
BACKFILLED = {"name-with-digest-of-url"}


def test_every_forgery_fails(run: Run, files: Files, scenario: Scenario) -> None:
    for forgery in FORGERIES:
        if forgery.code in POLICIES_ALONE or forgery.name in BACKFILLED:
            continue
        files.bundle.write_bytes(forgery.make(scenario))
        result = run(
            *("gh", "--offline", "--trusted-root", files.root, "attestation", "verify", files.artifact),
            *("-R", scenario.job.repository, "--bundle", files.bundle, "--signer-workflow"),
            *(f"{scenario.job.repository}/{scenario.job.workflow_path}@refs/heads/main", "--format", "json"),
            *("--source-ref", "refs/heads/main", "--deny-self-hosted-runners"),
        )
        assert (result.code, result.out) == (1, ""), forgery.name


def test_files_that_cannot_be_read_fail_as_well(run: Run, tmp_path: Path, files: Files) -> None:
    common = ("-R", "o/r", "--bundle", files.bundle)
    for artifact in (tmp_path, tmp_path / "missing", "oci://ghcr.io/a/b"):
        result = run("gh", "--offline", "attestation", "verify", artifact, *common)
        assert result.code == 1
        assert "next:" in result.err
    assert run("gh", "--offline", "attestation", "verify", files.artifact, "-R", "o/r").code == 1
    assert run("gh", "attestation", "verify", files.artifact, "--owner", "o").code == 1
    assert run("gh", "frobnicate").code == 1
    assert run("gh", "attestation", "frobnicate").code == 1


def test_another_host_is_refused_also_where_the_environment_names_it(
    run: Run, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_HOST", "github.example.org")
    result = run("gh", "attestation", "verify", files.artifact, "-R", "o/r", "--bundle", files.bundle)
    assert result.code == 1
    assert "github.example.org: not known here" in result.err


def test_a_policy_of_ones_own_has_to_hold_besides(run: Run, files: Files, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    given = ("attestation", "verify", files.artifact, "-R", ActionsJob().repository, "-b", files.bundle)
    for ref, code in (("refs/heads/main", 0), ("refs/heads/other", 1)):
        policy.write_text(
            'schema = 1\nname = "own"\ntap = "a/b"\n[[signer]]\nname = "x"\n'
            f'source-repository = "{ActionsJob().repository}"\nsource-refs = ["{ref}"]\n',
            encoding="utf-8",
        )
        result = run("gh", "--policy", policy, "--trusted-root", files.root, *given)
        assert result.code == code
    assert "the policy own does not allow it" in result.err


def test_a_real_attestation_of_npms(run: Run, data: Path) -> None:
    result = run(
        *("gh", "--offline", "attestation", "verify", data / "artifacts/playwright-cli-0.1.1.tgz"),
        *("--digest-alg", "sha512", "--repo", "microsoft/playwright-cli", "--format", "json"),
        *("--bundle", data / "bundles/playwright-cli-0.1.1-provenance.json"),
    )
    assert result.code == 0
    (found,) = json.loads(result.out)
    certificate = found["verificationResult"]["signature"]["certificate"]
    assert certificate["certificateIssuer"] == "CN=sigstore-intermediate,O=sigstore.dev"
    assert certificate["sourceRepositoryVisibilityAtSigning"] == "public"
