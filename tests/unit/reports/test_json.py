"""JSON for other tools: one document, ASCII only, with everything that a verdict rests on."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    DROP,
    FILE_NAME,
    SHA256,
    SHA512,
    SIGNED,
    FakeVerifier,
    Json,
    altered,
    make_basis,
    make_bottle,
    make_candidate,
    make_claims,
    make_evidence,
    make_policy,
    make_predicate,
    make_question,
    make_signer,
    make_statement_document,
    make_subject,
)
from tests.unit.buildtypes.builds import make_build, make_build_document

import brew_provenance
from brew_provenance.appraise import Candidate, appraise, examine
from brew_provenance.bundle import read_bundle
from brew_provenance.findings import Finding
from brew_provenance.policy import PolicyOrigin
from brew_provenance.reports.json import SCHEMA_VERSION, render_examination, render_verdicts
from brew_provenance.subject import Question
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Outcome, Verdict


def judge(*candidates: Candidate, **parts: Any) -> Verdict:
    verdict_parts: Json = {
        "question": make_question(),
        "verifier": FakeVerifier(),
        "basis": make_basis(),
        **parts,
    }
    return appraise(candidates=candidates, **verdict_parts)


def lying() -> Candidate:
    predicate = altered(make_predicate(), (("runDetails", "builder", "id"), "x"))
    return make_candidate("lying.json", make_statement_document(predicate=predicate))


def one(verdict: Verdict, *, explain: bool = False) -> Json:
    document = json.loads(render_verdicts([verdict], explain=explain))
    (found,) = document["verdicts"]
    assert isinstance(found, dict)
    return found


VERDICTS = {
    Outcome.VERIFIED: judge(make_candidate()),
    Outcome.REJECTED: judge(lying()),
    Outcome.UNATTESTED: judge(),
    Outcome.UNRESOLVED: judge(Candidate("x", read_bundle(b"{"))),
}


def test_a_document_names_its_version_and_its_tool() -> None:
    for document in (json.loads(render_verdicts([])), json.loads(render_examination([]))):
        assert document["schemaVersion"] == SCHEMA_VERSION == 1
        assert document["tool"] == {"name": "brew-provenance", "version": brew_provenance.__version__}


def test_outcomes_are_counted_and_never_folded() -> None:
    verdicts = [*VERDICTS.values(), VERDICTS[Outcome.REJECTED]]
    document = json.loads(render_verdicts(verdicts))
    assert document["summary"] == {"verified": 1, "unattested": 1, "rejected": 2, "unresolved": 1}
    assert [verdict["outcome"] for verdict in document["verdicts"]] == [
        verdict.outcome.value for verdict in verdicts
    ]
    assert json.loads(render_verdicts([VERDICTS[Outcome.VERIFIED]]))["summary"] == {"verified": 1}


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.UNATTESTED, Outcome.UNRESOLVED])
@pytest.mark.parametrize("explain", [False, True])
def test_only_a_verified_bottle_is_called_verified(outcome: Outcome, explain: bool) -> None:
    text = render_verdicts([VERDICTS[outcome]], explain=explain)
    assert not re.search(r"\bverified\b", text)
    document = json.loads(text)["verdicts"][0]
    assert document["outcome"] == outcome.value
    assert document["gives"] is None
    assert not any(attestation["accepted"] for attestation in document["attestations"])


def test_a_bottle_is_described() -> None:
    assert one(VERDICTS[Outcome.VERIFIED])["artifact"] == {
        "label": "foo 1.1",
        "digests": {"sha256": SHA256.value},
        "neededBy": None,
        "bottle": {
            "tap": "octo/tap",
            "formula": "foo",
            "version": "1.1",
            "rebuild": 0,
            "tag": "arm64_sonoma",
            "fileName": FILE_NAME,
            "url": f"https://ghcr.io/v2/octo/tap/foo/blobs/{SHA256}",
            "path": None,
            "line": None,
        },
    }


def test_where_a_bottle_stands_and_who_needs_it_are_said() -> None:
    question = make_question(make_bottle(path="Formula/f/foo.rb", line=12), needed_by="bar")
    artifact = one(judge(question=question))["artifact"]
    assert artifact["neededBy"] == "bar"
    assert (artifact["bottle"]["path"], artifact["bottle"]["line"]) == ("Formula/f/foo.rb", 12)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("explain", [False, True])
def test_every_document_is_of_the_form_that_is_published(outcome: Outcome, explain: bool) -> None:
    bottle = make_bottle(path="Formula/f/foo.rb", line=12)
    verdicts = [
        VERDICTS[outcome],
        judge(question=make_question(bottle, needed_by="bar"), findings=[Finding("bytes-hashed", "x")]),
        judge(
            question=Question("tool.zip", (SHA256, SHA512)),
            findings=[Finding("formula-content-matches", "x")],
        ),
    ]
    schema = files("brew_provenance").joinpath("schemas/verdicts-v1.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(
        json.loads(render_verdicts(verdicts, explain=explain)),
        json.loads(schema),
        cls=jsonschema.Draft202012Validator,
    )


def test_an_artifact_that_is_no_bottle_has_none() -> None:
    artifact = one(judge(question=Question("tool.zip", (SHA256, SHA512))))["artifact"]
    assert artifact == {
        "label": "tool.zip",
        "digests": {"sha256": SHA256.value, "sha512": SHA512.value},
        "neededBy": None,
        "bottle": None,
    }


def test_an_accepted_attestation_carries_its_evidence() -> None:
    verdict = one(VERDICTS[Outcome.VERIFIED])
    assert verdict["gives"] == "build-provenance"
    (attestation,) = verdict["attestations"]
    assert attestation["accepted"] is True
    assert attestation["signer"] == "the example publisher"
    assert attestation["subject"] == {"name": FILE_NAME, "digest": {"sha256": SHA256.value}}
    assert attestation["predicateType"] == "https://slsa.dev/provenance/v1"
    evidence = attestation["evidence"]
    assert evidence["trustedRoot"] == "the example root"
    assert evidence["certificate"]["sha256"] == make_evidence().certificate_sha256
    claims = make_claims()
    shown = evidence["certificate"]["claims"]
    assert shown["identity"] == claims.identity
    assert shown["source_repository_digest"] == claims.source_repository_digest
    assert "token_subject" not in shown
    assert evidence["times"] == [{"source": "transparency-log", "time": SIGNED.isoformat()}]
    assert evidence["logEntry"] == {"kind": "dsse/0.0.1", "index": 7, "logId": "f" * 64, "proven": True}
    assert "steps" not in attestation
    assert "steps" not in verdict


def test_unknown_extensions_are_listed() -> None:
    verifier = FakeVerifier(claims=make_claims(unknown=("1.2.3",)))
    verdict = one(judge(make_candidate(), verifier=verifier))
    assert verdict["attestations"][0]["evidence"]["certificate"]["claims"]["unknown"] == ["1.2.3"]


def test_a_notarisation_is_told_from_build_provenance() -> None:
    basis = make_basis(make_policy(make_signer(gives="notarisation")))
    assert one(judge(make_candidate(), basis=basis))["gives"] == "notarisation"


def test_what_did_not_get_far_is_null() -> None:
    (attestation,) = one(judge(Candidate("x", read_bundle(b"{}"))))["attestations"]
    names = ("signer", "subject", "predicateType", "evidence")
    assert [attestation[name] for name in names] == [None] * len(names)
    assert attestation["accepted"] is False
    assert attestation["source"] == "x"


def test_a_finding_carries_its_row_of_the_table() -> None:
    finding = Finding("sct-missing", "none in it")
    (attestation,) = one(judge(make_candidate(), verifier=FakeVerifier(finding)))["attestations"]
    assert attestation["findings"] == [
        {
            "code": "sct-missing",
            "severity": "reject",
            "step": 4,
            "detail": "none in it",
            "means": finding.reason.means,
            "advice": finding.reason.advice,
        }
    ]
    found = one(judge(findings=[Finding("store-unreadable", "x")]))
    assert [row["code"] for row in found["findings"]] == ["store-unreadable"]
    assert found["attestations"] == []


def test_the_basis_is_always_named() -> None:
    policy = make_policy(origin=PolicyOrigin.FILE)
    own = TrustedRoot("own", b"[]", built_in=False)
    basis = make_basis(policy, trusted_roots=(own,), store="kit x", metadata="kit x, unsigned")
    for candidates in ([make_candidate()], [lying()], []):
        assert one(judge(*candidates, basis=basis))["basis"] == {
            "trustedRoots": [{"name": "own", "sha256": own.sha256, "builtIn": False}],
            "policy": {"name": "the example policy", "sha256": policy.sha256, "origin": "file"},
            "store": "kit x",
            "metadata": "kit x, unsigned",
        }
    assert one(judge())["basis"]["metadata"] is None


def test_an_explanation_holds_the_nine_steps() -> None:
    verdict = one(judge(make_candidate()), explain=True)
    (attestation,) = verdict["attestations"]
    steps = [*verdict["steps"], *attestation["steps"]]
    assert [step["step"] for step in steps] == list(range(1, 10))
    hashed = {"name": "sha256 digest", "value": SHA256.value, "source": "artifact", "rule": None}
    assert hashed in steps[0]["sights"]
    formula = steps[7]
    assert formula["findings"] == ["builder-not-bound", "formula-not-bound"]
    assert steps[8]["status"] == "passed"


def test_an_explanation_shows_the_formula_that_was_looked_at_in_the_bottle() -> None:
    findings = [Finding("formula-content-matches", "the same text")]
    steps = one(judge(make_candidate(), findings=findings), explain=True)["steps"]
    assert [(step["step"], step["status"], step["findings"]) for step in steps][2:] == [
        (8, "passed", ["formula-content-matches"])
    ]


def test_an_examination_holds_no_verdict() -> None:
    assessments = [examine(candidate, FakeVerifier()) for candidate in (make_candidate("one"), lying())]
    text = render_examination(assessments)
    document = json.loads(text)
    assert document["verdict"] is None
    assert [attestation["source"] for attestation in document["attestations"]] == ["one", "lying.json"]
    assert not any(attestation["accepted"] for attestation in document["attestations"])
    assert all(attestation["steps"] for attestation in document["attestations"])
    assert "outcome" not in text
    assert not re.search(r"\bverified\b", text)


@given(st.text(max_size=40))
def test_the_document_is_ascii_whatever_others_wrote(text: str) -> None:
    predicate = altered(make_predicate(), (("extra",), {text: text}))
    candidates = [
        make_candidate(text, make_statement_document(make_subject(text), predicate=predicate)),
        make_candidate(text, make_statement_document(predicateType=text)),
    ]
    question = Question(text, (SHA256,), predicate_type=text)
    verdicts = [
        judge(*candidates, question=asked, findings=findings)
        for asked in (question, Question(text, (SHA256,)))
        for findings in ([], [Finding("trusted-root-note", text)])
    ]
    rendered = render_verdicts(verdicts, explain=True)
    assert re.fullmatch(r"[ -~\n]+", rendered)
    for verdict in json.loads(rendered)["verdicts"]:
        assert verdict["artifact"]["label"] == text
        assert all(attestation["source"] == text for attestation in verdict["attestations"])
    examined = render_examination([examine(candidate, FakeVerifier()) for candidate in candidates])
    assert re.fullmatch(r"[ -~\n]+", examined)
    assert json.loads(examined)["attestations"]


def test_a_build_is_told_with_its_formula_its_workflow_and_its_runner() -> None:
    job = make_build()
    (attestation,) = one(judge(make_candidate("build", make_build_document())))["attestations"]
    assert attestation["build"] == {
        "tap": "octo/tap",
        "ref": "refs/pull/71/merge",
        "formula": {
            "commit": job.commit,
            "path": "Formula/f/foo.rb",
            "sha256": hashlib.sha256(job.formula).hexdigest(),
            "sha256WithoutBottleBlock": hashlib.sha256(job.formula).hexdigest(),
        },
        "builder": f"{job.publisher.repository_uri}/.github/workflows/tests.yml@refs/pull/71/merge",
        "invocation": job.run_uri,
        "event": "pull_request",
        "runner": {
            "name": "GitHub Actions 1000000043",
            "os": "macOS",
            "arch": "ARM64",
            "environment": "github-hosted",
            "labels": ["macos-15"],
            "image": "macos15 20260301.1.0",
        },
    }
    (plain,) = one(judge(make_candidate()))["attestations"]
    assert plain["build"] is None


def test_documents_with_builds_have_the_form_that_is_published() -> None:
    runner = ("buildDefinition", "internalParameters", "runner")
    self_hosted = altered(
        make_build().predicate(), ((*runner, "image"), DROP), ((*runner, "environment"), "self-hosted")
    )
    verdicts = [
        judge(make_candidate("build", make_build_document(predicate)))
        for predicate in (make_build().predicate(), self_hosted, altered(self_hosted, ((*runner, "os"), "x")))
    ]
    verdicts_schema, examination_schema = (
        json.loads((files(brew_provenance) / "schemas" / f"{name}-v1.schema.json").read_text("utf-8"))
        for name in ("verdicts", "examination")
    )
    jsonschema.validate(json.loads(render_verdicts(verdicts, explain=True)), verdicts_schema)
    examined = [examine(make_candidate("build", make_build_document()), FakeVerifier())]
    jsonschema.validate(json.loads(render_examination(examined)), examination_schema)
