"""Each kind of attack on a bottle, as `verify` and `check` answer it: rejected, and for its own reason."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.adversarial.attacks import ATTACKS, UNREADABLE
from tests.integration.conftest import Files, Result, Run
from tests.integration.world import CORE, FIXTURE_TAP, FIXTURES, JOBS, World, bottle_of

from brew_provenance.sandbox.forgery import FORGERIES
from brew_provenance.sandbox.scenario import Scenario

CATALOGUE = {forgery.name: forgery for forgery in FORGERIES}

POLICY = """schema = 1
name = "pinned"
tap = "homebrew/core"
[[signer]]
name = "the one publishing workflow"
source-repository = "{job.repository}"
source-repository-id = "{job.repository_id}"
source-owner-id = "{job.owner_id}"
source-refs = ["refs/heads/main"]
workflows = ["{job.workflow_path}"]
runner-environments = ["github-hosted"]
"""


def forgeries_of_every_kind(but: Collection[str] = ()) -> Iterator[Any]:
    """Yield the first two of each kind, and the others for a nightly run."""
    for names in ATTACKS.values():
        for number, name in enumerate(name for name in names if name not in but):
            yield pytest.param(name, marks=[pytest.mark.nightly] if number > 1 else [])


def deciding_codes(result: Result) -> list[str]:
    (verdict,) = json.loads(result.out)["verdicts"]
    found = [
        *verdict["findings"],
        *(finding for one in verdict["attestations"] for finding in one["findings"]),
    ]
    return [finding["code"] for finding in found if finding["severity"] != "note"]


def write_roots(path: Path, scenario: Scenario) -> None:
    roots = [scenario.sigstore.trusted_root(), scenario.private.trusted_root()]
    path.write_text("".join(f"{json.dumps(root)}\n" for root in roots), encoding="utf-8")


Attack = Callable[[bytes], Result]

# A formula gives a bottle's SHA-256 alone: there is nothing that another digest could contradict.
OF_FILES_ALONE = {"digests-of-two-artifacts"}

# `verify` knows no formula, and so no parts of a name: it has to be the very name of the file.
NAMES = {"subject-name-not-a-bottle", "subject-other-formula", "subject-other-version"}


def names_the_digest(bundle: bytes, digest: str) -> bool:
    """Say whether a statement has a digest in it; a store that answers with another does not answer."""
    envelope = json.loads(bundle).get("dsseEnvelope", {})
    return digest in base64.b64decode(envelope["payload"]).decode()


@pytest.fixture
def by_verify(run: Run, files: Files, scenario: Scenario) -> Attack:
    """Verify a bottle with a bundle, as strictly as there are options for it."""
    write_roots(files.root, scenario)
    job = scenario.job

    def verify(bundle: bytes) -> Result:
        files.bundle.write_bytes(bundle)
        return run(
            *("verify", files.artifact, "--bundle", files.bundle, "--trusted-root", files.root, "--offline"),
            *("--repo", job.repository, "--signer-workflow", f"{job.workflow_path}@refs/heads/main"),
            *("--source-ref", "refs/heads/main", "--deny-self-hosted", "--format", "json"),
        )

    return verify


@pytest.fixture
def of_hello(world: World, scenario: Scenario) -> Scenario:
    """The scenario of a bottle that the world's formula API describes."""
    bottle = bottle_of(world.ground.formulae[f"{CORE}/hello"])
    path = FIXTURES / "bottles" / str(bottle.file_name)
    return replace(scenario, artifact=path.read_bytes(), name=path.name)


@pytest.fixture
def by_check(run: Run, world: World, of_hello: Scenario) -> Attack:
    """Check hello with a bundle in the store, by a policy that pins everything."""
    policy, roots = world.folder / "policy.toml", world.folder / "roots.jsonl"
    policy.write_text(POLICY.format(job=of_hello.job), encoding="utf-8")
    write_roots(roots, of_hello)

    def check(bundle: bytes) -> Result:
        digest = bottle_of(world.ground.formulae[f"{CORE}/hello"]).digest
        world.service.store.add(
            JOBS[FIXTURE_TAP].repository,
            bundle,
            digests=[digest],
            predicate_type="https://slsa.dev/provenance/v1",
        )
        return run(
            *("check", "hello", *world.options, "--trusted-root", roots, "--policy", policy),
            *("--format", "json"),
        )

    return check


def test_what_is_right_is_verified_by_both(
    by_verify: Attack, by_check: Attack, scenario: Scenario, of_hello: Scenario
) -> None:
    assert by_verify(scenario.good()).code == 0
    assert by_check(of_hello.good()).code == 0


@pytest.mark.parametrize("name", [*forgeries_of_every_kind()])
def test_verify_rejects_it_for_its_own_reason(name: str, by_verify: Attack, scenario: Scenario) -> None:
    forgery = CATALOGUE[name]

    result = by_verify(forgery.make(scenario))

    assert result.code == 3
    code = "subject-name-mismatch" if forgery.code in NAMES else forgery.code
    assert deciding_codes(result)[0] == code


@pytest.mark.parametrize("name", [*forgeries_of_every_kind(but=OF_FILES_ALONE)])
def test_check_rejects_it_for_its_own_reason(name: str, by_check: Attack, of_hello: Scenario) -> None:
    forgery = CATALOGUE[name]
    bundle = forgery.make(of_hello)

    result = by_check(bundle)

    assert "verified" not in {verdict["outcome"] for verdict in json.loads(result.out)["verdicts"]}
    found = deciding_codes(result)
    if found[0] == "store-row-other-digest":
        assert result.code == 5
        assert not names_the_digest(bundle, of_hello.digest)
    else:
        assert result.code == 3
        assert found[0] == forgery.code


@pytest.mark.parametrize("how", UNREADABLE)
def test_what_is_no_json_of_one_meaning_ends_in_no_success(
    how: str, by_verify: Attack, by_check: Attack, scenario: Scenario, of_hello: Scenario
) -> None:
    changed = UNREADABLE[how]

    assert by_verify(changed(scenario.good())).code in {2, 5}
    assert by_check(changed(of_hello.good())).code == 5
