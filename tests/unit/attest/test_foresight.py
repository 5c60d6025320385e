"""What `check` would say, held against what it says after signing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.attest.releases import NOW, PUBLISHER, SERVER, Release, Signing, judging, sigstore

from brew_provenance.attest.foresight import foresee, foreseen_claims
from brew_provenance.attest.planning import plan
from brew_provenance.certificate import Claims
from brew_provenance.findings import Finding
from brew_provenance.sandbox.actions import ActionsJob

REUSABLE = replace(
    PUBLISHER, signer="octo/workflows/.github/workflows/sign.yml@refs/tags/v1", signer_sha="c" * 40
)


@pytest.mark.parametrize(
    "job", [PUBLISHER, REUSABLE, replace(PUBLISHER, environment="release", visibility="internal")]
)
def test_claims_are_those_of_the_certificate_that_follows(job: ActionsJob) -> None:
    certificate = sigstore().signer(job, datetime.now(UTC)).certificate
    assert foreseen_claims(Signing(job).claims(), SERVER) == Claims.from_certificate(certificate)


def test_another_providers_token_makes_no_workflow(tmp_path: Path) -> None:
    claims = foreseen_claims({"iss": "https://accounts.example.org", "sub": "somebody"}, SERVER)
    assert (claims.identity, claims.identity_type, claims.run_invocation_uri) == (None, None, None)
    assert claims.issuer == "https://accounts.example.org"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release(tmp_path_factory.mktemp("release"))


def foreseen(statement: Any, job: ActionsJob = PUBLISHER, bind: list[Finding] | None = None) -> list[str]:
    raw = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
    found = foresee(
        raw,
        Signing(job).claims(),
        judging().policy,
        bind=lambda _: bind or [],
        server=SERVER,
        now=NOW,
    )
    return [finding.code for finding in found]


def statement_of(release: Release) -> Any:
    [work] = plan(release.prepare().items)
    return json.loads(work.statement(Signing().claims(), SERVER))


def test_what_will_be_accepted_has_nothing_against_it(release: Release) -> None:
    assert foreseen(statement_of(release)) == []
    assert foreseen(statement_of(release), bind=[Finding("formula-not-compared", "x")]) == []


def test_each_of_the_checks_is_foreseen(release: Release) -> None:
    statement = statement_of(release)
    assert foreseen(statement, replace(PUBLISHER, ref="refs/heads/x")) == [
        "signer-ref-not-allowed",
        "source-ref-not-allowed",
    ]
    assert foreseen(statement | {"_type": "x"}) == ["statement-type-unexpected"]
    lie = json.loads(json.dumps(statement))
    lie["predicate"]["buildDefinition"]["internalParameters"]["github"]["repository_id"] = "4"
    assert foreseen(lie) == ["predicate-repository-id-mismatch"]
    lie = json.loads(json.dumps(statement))
    lie["predicate"]["runDetails"]["builder"]["id"] = (
        f"{SERVER}/octo/other/.github/workflows/x.yml@refs/heads/main"
    )
    assert foreseen(lie) == ["builder-not-allowed"]
    assert foreseen(statement, bind=[Finding("formula-text-mismatch", "x")]) == ["formula-text-mismatch"]


def test_a_plain_statement_is_foreseen_as_well(release: Release) -> None:
    prepared = release.prepare(with_records=False)
    [work] = plan(prepared.items)
    statement = json.loads(work.statement(Signing().claims(), SERVER))
    assert foreseen(statement) == []
    assert foreseen(statement, replace(PUBLISHER, run_id="1")) == ["predicate-invocation-mismatch"]
