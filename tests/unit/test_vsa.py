"""Verification summaries: what is written, and the checks without which none is accepted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.builders import make_claims, make_evidence, make_signer, times

from brew_provenance.certificate import WorkflowIdentity
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.statement import Statement, Subject, read_statement
from brew_provenance.verdict import Assessment
from brew_provenance.vsa import (
    BUILD_LEVEL_2,
    FORMULA_BOUND,
    VSA_V1,
    Basis,
    Expectation,
    build_summary,
    check_summary,
    last_word,
    package_url,
)

Json = dict[str, Any]

SIGNER = "https://github.com/auditor/audits/.github/workflows/audit.yml@refs/heads/main"
VERIFIER = SIGNER.partition("@")[0]
RESOURCE = "pkg:brew/homebrew/core/wget@1.25.0"
SUBJECT = ("wget--1.25.0.arm64_sonoma.bottle.tar.gz", "a" * 64)
EXPECTED = Expectation(WorkflowIdentity.parse(SIGNER), RESOURCE)
BASIS = Basis(
    VERIFIER,
    {"brew-provenance": "0.1.0"},
    "homebrew-core",
    "b" * 64,
    datetime(2026, 11, 23, 5, 30, tzinfo=UTC),
)


def summary(levels: tuple[str, ...] = (BUILD_LEVEL_2,), **changes: Any) -> Json:
    made = build_summary(BASIS, RESOURCE, [SUBJECT], levels, ["c" * 64])
    made["predicate"] |= changes
    return made


def evidence(**changes: Any) -> Evidence:
    return make_evidence(claims=make_claims(identity=SIGNER, build_signer_uri=SIGNER, **changes))


def codes(document: Json, evidence_: Evidence | None = None, expected: Expectation = EXPECTED) -> list[str]:
    statement = read_statement(document)
    assert isinstance(statement, Statement)
    found = check_summary(evidence_ or evidence(), statement, statement.subject[0], expected)
    return [finding.code for finding in found]


def test_a_summary_has_the_form_of_the_specifications_example() -> None:
    assert summary((BUILD_LEVEL_2, FORMULA_BOUND)) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": SUBJECT[0], "digest": {"sha256": SUBJECT[1]}}],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {"id": VERIFIER, "version": {"brew-provenance": "0.1.0"}},
            "timeVerified": "2026-11-23T05:30:00Z",
            "resourceUri": RESOURCE,
            "policy": {"uri": "urn:brew-provenance:policy:homebrew-core", "digest": {"sha256": "b" * 64}},
            "inputAttestations": [{"digest": {"sha256": "c" * 64}}],
            "verificationResult": "PASSED",
            "verifiedLevels": ["SLSA_BUILD_LEVEL_2", "HOMEBREW_FORMULA_BOUND"],
            "slsaVersion": "1.2",
        },
    }


def test_what_failed_has_one_level_that_says_so() -> None:
    made = build_summary(BASIS, RESOURCE, [SUBJECT], (), None)["predicate"]
    assert (made["verificationResult"], made["verifiedLevels"]) == ("FAILED", ["FAILED"])
    assert "inputAttestations" not in made


def test_no_level_of_our_own_takes_a_name_of_slsas() -> None:
    assert not FORMULA_BOUND.startswith("SLSA_")


@pytest.mark.parametrize(
    ("name", "version", "url"),
    [
        ("wget", "1.25.0", "pkg:brew/homebrew/core/wget@1.25.0"),
        ("hello@2", "2.4.1_1", "pkg:brew/homebrew/core/hello%402@2.4.1_1"),
        ("hello+plus", "1:2", "pkg:brew/homebrew/core/hello%2Bplus@1%3A2"),
    ],
)
def test_package_urls_are_escaped_so_that_each_has_one_meaning(name: str, version: str, url: str) -> None:
    assert package_url("homebrew/core", name, version) == url


def test_a_right_summary_is_accepted() -> None:
    assert codes(summary()) == []


def test_a_verifier_may_name_its_workflow_with_its_ref() -> None:
    assert codes(summary(verifier={"id": SIGNER})) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"verifier": {"id": "https://example.org"}}, "vsa-other-verifier"),
        ({"verifier": {"id": VERIFIER + "/"}}, "vsa-other-verifier"),
        ({"verifier": {"id": VERIFIER + "@refs/heads/other"}}, "vsa-other-verifier"),
        ({"resourceUri": "pkg:brew/homebrew/core/wget@1.25.1"}, "vsa-other-resource"),
        ({"resourceUri": "pkg:brew/homebrew/core/WGET@1.25.0"}, "vsa-other-resource"),
        ({"verificationResult": "FAILED"}, "vsa-failed"),
        ({"verificationResult": "passed"}, "predicate-malformed"),
        ({"verifiedLevels": []}, "vsa-level-missing"),
        ({"verifiedLevels": ["SLSA_BUILD_LEVEL_1"]}, "vsa-level-missing"),
        ({"verifiedLevels": ["SLSA_BUILD_LEVEL_2x"]}, "vsa-level-missing"),
        ({"verifiedLevels": ["x"] * 65}, "predicate-malformed"),
        ({"policy": None}, "predicate-malformed"),
        ({"verifier": None}, "predicate-malformed"),
        ({"timeVerified": "yesterday"}, "predicate-malformed"),
    ],
)
def test_each_lie_has_its_own_reason(changes: Json, code: str) -> None:
    assert codes(summary(**changes)) == [code]


@pytest.mark.parametrize(("level", "accepted"), [(1, False), (2, True), (3, True), (4, True)])
def test_a_higher_level_of_the_build_track_implies_the_lower_ones(level: int, *, accepted: bool) -> None:
    assert (codes(summary((f"SLSA_BUILD_LEVEL_{level}",))) == []) is accepted


def test_further_levels_can_be_asked_for() -> None:
    wanted = replace(EXPECTED, levels=frozenset({BUILD_LEVEL_2, FORMULA_BOUND}))
    assert codes(summary(), expected=wanted) == ["vsa-level-missing"]
    assert codes(summary((BUILD_LEVEL_2, FORMULA_BOUND)), expected=wanted) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"identity": SIGNER.replace("main", "other")}, "vsa-other-signer"),
        ({"identity": SIGNER.replace("audit.yml", "audit.yml.x.yml")}, "vsa-other-signer"),
        ({"identity": SIGNER.replace("auditor/", "auditor2/")}, "vsa-other-signer"),
        ({"identity": "someone@example.org"}, "signer-identity-malformed"),
        ({"identity": None}, "signer-identity-malformed"),
    ],
)
def test_the_signer_is_the_one_that_was_named(changes: Json, code: str) -> None:
    signed = make_evidence(claims=make_claims(build_signer_uri=changes["identity"], **changes))
    assert codes(summary(), signed) == [code]


def test_another_issuer_does_not_count() -> None:
    other = make_claims(identity=SIGNER, build_signer_uri=SIGNER, issuer="https://example.org")
    assert codes(summary(), make_evidence(claims=other)) == ["issuer-not-allowed"]


def test_claims_that_contradict_each_other_do_not_count() -> None:
    other = make_claims(identity=SIGNER, build_signer_uri=VERIFIER)
    assert codes(summary(), make_evidence(claims=other)) == ["certificate-claims-disagree"]


def test_a_bottle_that_is_no_subject_is_not_summarised() -> None:
    statement = read_statement(summary())
    assert isinstance(statement, Statement)
    missing = Finding("subject-digest-mismatch", "none")
    assert check_summary(evidence(), statement, missing, EXPECTED) == [missing]


def test_another_predicate_is_no_summary() -> None:
    document = summary() | {"predicateType": VSA_V1 + "x"}
    assert codes(document) == ["predicate-type-other"]


def test_a_subject_is_what_the_caller_found() -> None:
    statement = read_statement(summary())
    assert isinstance(statement, Statement)
    assert statement.subject == [Subject(name=SUBJECT[0], digest={"sha256": SUBJECT[1]})]


def said(day: int, code: str) -> Assessment:
    statement = read_statement(summary())
    assert isinstance(statement, Statement)
    signed = make_evidence(times=times(datetime(2026, 11, day, tzinfo=UTC)))
    found = (Finding(code, "as the verifier says"),)
    return Assessment("vsa.jsonl", found, signed, statement, make_signer(), statement.subject[0])


def test_an_older_summary_does_not_outvote_a_newer_one() -> None:
    passed, failed = said(1, "vsa-accepted"), said(2, "vsa-failed")
    assert last_word([passed, failed]) == last_word([failed, passed]) == [failed]
    again = said(3, "vsa-accepted")
    assert last_word([again, failed, passed]) == [again]
    assert last_word([said(2, "vsa-accepted"), failed]) == [failed]


def test_a_summary_of_somebody_else_decides_nothing() -> None:
    assert last_word([said(1, "vsa-other-signer"), said(2, "vsa-level-missing")]) == []
