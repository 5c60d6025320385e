from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from brew_provenance.sandbox.actions import ActionsJob, Era, build_statement, build_subject

JOB = ActionsJob()
SIGNER = "https://github.com/brew-provenance/homebrew-fixtures/.github/workflows/publish.yml@refs/heads/main"
RUN = "https://github.com/brew-provenance/homebrew-fixtures/actions/runs/9876543210/attempts/1"
SHA = "5b1e7f1c7d3a49b0a4c2f0f1a9f3f1e2d3c4b5a6"
REUSABLE = "other/workflows/.github/workflows/attest.yml@refs/tags/v1"


def test_claims_of_the_default_job() -> None:
    assert JOB.claims() == {
        1: "https://token.actions.githubusercontent.com",
        2: "push",
        3: SHA,
        4: "Publish bottles",
        5: "brew-provenance/homebrew-fixtures",
        6: "refs/heads/main",
        8: "https://token.actions.githubusercontent.com",
        9: SIGNER,
        10: SHA,
        11: "github-hosted",
        12: "https://github.com/brew-provenance/homebrew-fixtures",
        13: SHA,
        14: "refs/heads/main",
        15: "801234567",
        16: "https://github.com/brew-provenance",
        17: "161234567",
        18: SIGNER,
        19: SHA,
        20: "push",
        21: RUN,
        22: "public",
        24: "repo:brew-provenance/homebrew-fixtures:ref:refs/heads/main",
    }


def test_claims_of_an_environment() -> None:
    claims = replace(JOB, environment="release").claims()
    assert claims[23] == "release"
    assert claims[24] == "repo:brew-provenance/homebrew-fixtures:environment:release"


def test_claims_of_a_reusable_workflow() -> None:
    claims = replace(JOB, signer=REUSABLE, signer_sha="1" * 40).claims()
    assert claims == {
        **JOB.claims(),
        9: f"https://github.com/{REUSABLE}",
        10: "1" * 40,
    }


def test_claims_of_a_workflow_from_another_ref() -> None:
    job = replace(JOB, ref="refs/pull/7/merge", workflow_source_ref="refs/heads/main")
    claims = replace(job, workflow_source_sha="2" * 40).claims()
    assert (claims[9], claims[18]) == (SIGNER, SIGNER)
    assert (claims[10], claims[13], claims[19]) == ("2" * 40, SHA, "2" * 40)
    assert claims[14] == "refs/pull/7/merge"


def test_token() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    token = replace(JOB, signer=REUSABLE).token("sigstore", at)
    assert (token["iat"], token["exp"] - token["iat"]) == (int(at.timestamp()), 300)
    expected = {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sigstore",
        "sub": "repo:brew-provenance/homebrew-fixtures:ref:refs/heads/main",
        "job_workflow_ref": REUSABLE,
        "workflow_ref": SIGNER.removeprefix("https://github.com/"),
        "repository": "brew-provenance/homebrew-fixtures",
        "repository_owner": "brew-provenance",
        "repository_id": "801234567",
        "repository_owner_id": "161234567",
        "repository_visibility": "public",
        "runner_environment": "github-hosted",
        "run_id": "9876543210",
        "run_attempt": "1",
        "event_name": "push",
    }
    assert expected.items() <= token.items()
    assert "environment" not in token
    assert replace(JOB, environment="release").token("sigstore", at)["environment"] == "release"


def test_current_provenance() -> None:
    assert JOB.provenance() == {
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {
                "workflow": {
                    "ref": "refs/heads/main",
                    "repository": "https://github.com/brew-provenance/homebrew-fixtures",
                    "path": ".github/workflows/publish.yml",
                }
            },
            "internalParameters": {
                "github": {
                    "event_name": "push",
                    "repository_id": "801234567",
                    "repository_owner_id": "161234567",
                    "runner_environment": "github-hosted",
                }
            },
            "resolvedDependencies": [
                {
                    "uri": "git+https://github.com/brew-provenance/homebrew-fixtures@refs/heads/main",
                    "digest": {"gitCommit": SHA},
                }
            ],
        },
        "runDetails": {"builder": {"id": SIGNER}, "metadata": {"invocationId": RUN}},
    }


def test_early_provenance() -> None:
    early, current = JOB.provenance(Era.EARLY), JOB.provenance()
    definition = current["buildDefinition"]
    definition["buildType"] = "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"
    del definition["internalParameters"]["github"]["runner_environment"]
    current["runDetails"]["builder"]["id"] = "https://github.com/actions/runner/github-hosted"
    assert early == current


def test_early_provenance_takes_the_ref_from_the_workflow() -> None:
    job = replace(JOB, ref="refs/pull/7/merge", workflow_source_ref="refs/heads/main")
    refs = [
        job.provenance(era)["buildDefinition"]["externalParameters"]["workflow"]["ref"]
        for era in (Era.EARLY, Era.CURRENT)
    ]
    assert refs == ["refs/heads/main", "refs/pull/7/merge"]


def test_statement() -> None:
    assert build_statement([build_subject("name", "00")], {"a": 1}, "https://example.com/p") == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "name", "digest": {"sha256": "00"}}],
        "predicateType": "https://example.com/p",
        "predicate": {"a": 1},
    }
