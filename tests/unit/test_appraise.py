"""Steps 3 to 9, with a verifier that takes what it is given for genuine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    DROP,
    FILE_NAME,
    OTHER_SHA256,
    SHA256,
    FakeVerifier,
    Json,
    altered,
    make_basis,
    make_bottle,
    make_bundle_document,
    make_candidate,
    make_claims,
    make_evidence,
    make_policy,
    make_predicate,
    make_question,
    make_signer,
    make_statement_document,
    make_subject,
    run_of,
)

from brew_provenance import appraise as appraise_module
from brew_provenance.appraise import Candidate, appraise, examine
from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.evidence import Evidence
from brew_provenance.findings import REASONS, Finding, Severity
from brew_provenance.policy import Policy, policy_for_tap
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.subject import Question
from brew_provenance.verdict import Outcome, Verdict

SBOM = "https://spdx.dev/Document/v2.3"


def as_bundle(document: Json) -> Bundle | Finding:
    import json  # noqa: PLC0415 - the only use

    return read_bundle(json.dumps(document).encode())


def good(source: str = "good") -> Candidate:
    return make_candidate(source)


def lying(source: str = "lying") -> Candidate:
    predicate = altered(make_predicate(), (("runDetails", "builder", "id"), "x"))
    return make_candidate(source, make_statement_document(predicate=predicate))


def for_another_artifact(source: str = "other artifact") -> Candidate:
    return make_candidate(source, make_statement_document(make_subject(FILE_NAME, OTHER_SHA256)))


def of_another_type(source: str = "other type") -> Candidate:
    return make_candidate(source, make_statement_document(predicateType=SBOM))


def unsupported(source: str = "unsupported") -> Candidate:
    document = altered(
        make_bundle_document(),
        (("verificationMaterial", "certificate"), DROP),
        (("verificationMaterial", "publicKey"), {}),
    )
    return Candidate(source, as_bundle(document))


def unreadable(source: str = "unreadable") -> Candidate:
    return Candidate(source, read_bundle(b"{"))


def malformed(source: str = "malformed") -> Candidate:
    return Candidate(source, read_bundle(b"{}"))


def judge(
    *candidates: Candidate,
    question: Question | None = None,
    policy: Policy | None = None,
    verifier: FakeVerifier | None = None,
    findings: Sequence[Finding] = (),
) -> Verdict:
    return appraise(
        question or make_question(), candidates, verifier or FakeVerifier(), make_basis(policy), findings
    )


def fault_codes(verdict: Verdict) -> list[str]:
    assert verdict.best is not None
    return [finding.code for finding in verdict.best.faults]


V, N, R, U = Outcome.VERIFIED, Outcome.UNATTESTED, Outcome.REJECTED, Outcome.UNRESOLVED


@pytest.mark.parametrize(
    ("candidates", "outcome"),
    [
        ([], N),
        ([good()], V),
        ([lying()], R),
        ([for_another_artifact()], R),
        ([malformed()], R),
        ([of_another_type()], N),
        ([unsupported()], U),
        ([unreadable()], U),
        ([of_another_type(), of_another_type()], N),
        ([of_another_type(), unsupported()], U),
        ([of_another_type(), lying()], R),
        ([unsupported(), lying()], R),
        ([unsupported(), lying(), of_another_type()], R),
        ([good(), of_another_type()], V),
        ([good(), unsupported()], V),
        ([good(), lying()], V),
        ([good(), malformed(), unreadable(), for_another_artifact()], V),
    ],
)
def test_one_attestation_that_passes_is_enough_and_else_the_gravest_decides(
    candidates: list[Candidate], outcome: Outcome
) -> None:
    for order in permutations(candidates):
        verdict = judge(*order)
        assert verdict.outcome is outcome
        assert len(verdict.assessments) == len(candidates)
        assert (verdict.best is not None and verdict.best.accepted) is (outcome is V)


MAKERS = [good, lying, for_another_artifact, of_another_type, unsupported, unreadable, malformed]


@given(st.lists(st.sampled_from(MAKERS), max_size=6))
def test_verified_means_that_an_attestation_passed_and_nothing_else_does(
    makers: list[Callable[[], Candidate]],
) -> None:
    verdict = judge(*[make() for make in makers])
    assert (verdict.outcome is V) == (good in makers)
    assert any(assessment.accepted for assessment in verdict.assessments) == (good in makers)


def test_the_best_comes_first_then_the_gravest_that_came_furthest() -> None:
    many_lies = altered(
        make_predicate(),
        (("runDetails", "builder", "id"), "x"),
        (("runDetails", "metadata", "invocationId"), "x"),
    )
    worse = make_candidate("two lies", make_statement_document(predicate=many_lies))
    candidates = [
        of_another_type(),
        unreadable(),
        malformed(),
        worse,
        for_another_artifact(),
        lying(),
        good(),
    ]
    for order in (candidates, candidates[::-1]):
        assert [assessment.source for assessment in judge(*order).assessments] == [
            "good",
            "lying",
            "two lies",
            "other artifact",
            "malformed",
            "unreadable",
            "other type",
        ]


def test_build_provenance_is_better_than_a_notarisation() -> None:
    policy = make_policy(
        make_signer(gives="notarisation", workflows=(".github/workflows/notarise.yml",)), make_signer()
    )
    notary = run_of("octo/homebrew-tap", ".github/workflows/notarise.yml")
    predicate = altered(
        make_predicate(),
        (("buildDefinition", "externalParameters", "workflow", "path"), ".github/workflows/notarise.yml"),
        (("runDetails", "builder", "id"), notary.identity),
    )
    notarised = make_candidate("notarised", make_statement_document(predicate=predicate))

    class TwoSigners(FakeVerifier):
        def verify(self, bundle: Bundle, digests: Sequence[Any]) -> Evidence | Finding:
            self.claims = notary if bundle == notarised.bundle else make_claims()
            return super().verify(bundle, digests)

    for order in ([notarised, good()], [good(), notarised]):
        verdict = judge(*order, policy=policy, verifier=TwoSigners())
        assert [assessment.source for assessment in verdict.assessments] == ["good", "notarised"]
        assert all(assessment.accepted for assessment in verdict.assessments)
    alone = judge(notarised, policy=policy, verifier=TwoSigners())
    assert alone.best is not None
    assert [note.code for note in alone.best.notes] == ["notarisation-only"]


def test_equals_keep_their_order() -> None:
    verdict = judge(lying("first"), lying("second"), lying("third"))
    assert [assessment.source for assessment in verdict.assessments] == ["first", "second", "third"]


@pytest.mark.parametrize(
    "code", sorted(code for code, reason in REASONS.items() if reason.severity is not Severity.NOTE)
)
def test_a_fault_that_was_found_before_decides_and_no_bundle_is_looked_at(code: str) -> None:
    verifier = FakeVerifier()
    fault = Finding(code, "x")
    verdict = judge(good(), verifier=verifier, findings=(fault,))
    expected = {Severity.REJECT: R, Severity.UNRESOLVED: U, Severity.NOT_APPLICABLE: N}
    assert verdict.outcome is expected[REASONS[code].severity]
    assert verdict.findings == (fault,)
    assert verdict.assessments == ()
    assert verifier.seen == []


def test_a_note_that_was_found_before_decides_nothing() -> None:
    note = Finding("trusted-root-note", "x")
    assert judge(good(), findings=(note,)).outcome is V
    assert judge(lying(), findings=(note,)).outcome is R
    assert judge(findings=(note,)).outcome is N
    assert judge(good(), findings=(note, Finding("store-unreadable", "x"))).outcome is U


def test_an_accepted_attestation_says_what_it_rests_on_and_what_it_does_not_prove() -> None:
    best = judge(good()).best
    assert best is not None
    assert best.accepted
    assert best.signer == make_signer()
    assert best.subject is not None
    assert best.subject.name == FILE_NAME
    assert best.statement is not None
    assert best.evidence is not None
    assert [note.code for note in best.notes] == ["builder-not-bound", "formula-not-bound"]


def test_an_artifact_without_a_name_is_said_not_to_be_compared_by_name() -> None:
    best = judge(good(), question=Question("artifact", (SHA256,))).best
    assert best is not None
    assert best.accepted
    assert [note.code for note in best.notes] == ["subject-name-not-checked"]


def test_a_notarisation_is_named_after_its_url_and_called_what_it_is() -> None:
    policy = policy_for_tap("homebrew/core")
    bottle = make_bottle(tap="homebrew/core")
    repository = "trailofbits/homebrew-brew-verify"
    claims = run_of(repository, ref="refs/heads/backfill")
    predicate = altered(
        make_predicate(),
        (("buildDefinition", "externalParameters", "workflow", "repository"), claims.source_repository_uri),
        (("buildDefinition", "externalParameters", "workflow", "ref"), "refs/heads/backfill"),
        (
            ("buildDefinition", "resolvedDependencies", 0, "uri"),
            f"git+{claims.source_repository_uri}@refs/heads/backfill",
        ),
        (("runDetails", "builder", "id"), claims.identity),
    )
    import hashlib  # noqa: PLC0415 - the only use

    name = f"{hashlib.sha256(bottle.url.encode()).hexdigest()}--{FILE_NAME}"
    statement = make_statement_document(make_subject(name), predicate=predicate)

    class InTime(FakeVerifier):
        def verify(self, bundle: Bundle, digests: Sequence[Any]) -> Evidence | Finding:
            evidence = super().verify(bundle, digests)
            assert isinstance(evidence, Evidence)
            time = replace(evidence.times[0], time=datetime(2024, 3, 1, tzinfo=UTC))
            return replace(evidence, times=(time,))

    candidate = make_candidate("backfill", statement)
    verdict = judge(candidate, question=make_question(bottle), policy=policy, verifier=InTime(claims=claims))
    assert verdict.outcome is V
    assert verdict.best is not None
    assert [note.code for note in verdict.best.notes] == ["notarisation-only"]
    late = judge(
        candidate, question=make_question(bottle), policy=policy, verifier=FakeVerifier(claims=claims)
    )
    assert late.outcome is R
    assert fault_codes(late) == ["signed-too-late"]


def test_another_kind_of_attestation_can_be_asked_for_and_its_predicate_is_not_compared() -> None:
    question = make_question(predicate_type=SBOM)
    document = make_statement_document(predicateType=SBOM, predicate={"anything": ["at", "all"]})
    verdict = judge(make_candidate("sbom", document), good(), question=question)
    assert verdict.outcome is V
    assert verdict.best is not None
    assert [note.code for note in verdict.best.notes] == ["predicate-not-checked"]
    assert [finding.code for finding in verdict.assessments[1].faults] == ["predicate-type-other"]
    assert judge(good(), question=question).outcome is N


@pytest.mark.parametrize(
    ("field", "value", "code", "outcome"),
    [
        ("payloadType", "text/plain", "payload-type-unexpected", R),
        ("payloadType", "", "payload-type-unexpected", R),
        ("payloadType", "application/vnd.in-toto+json; charset=utf-8", "payload-type-unexpected", R),
        ("payload", "", "payload-malformed", R),
        ("payload", "eA==", "payload-malformed", R),
        ("payload", "eyJhIjoxLCJhIjoyfQ==", "payload-malformed", R),
        ("payload", "e30=", "statement-type-unexpected", R),
        ("payload", "W10=", "statement-malformed", R),
        ("payload", "bnVsbA==", "statement-malformed", R),
    ],
)
def test_a_payload_that_is_no_statement_is_rejected(
    field: str, value: str, code: str, outcome: Outcome
) -> None:
    candidate = Candidate("x", as_bundle(altered(make_bundle_document(), (("dsseEnvelope", field), value))))
    verdict = judge(candidate)
    assert verdict.outcome is outcome
    assert fault_codes(verdict) == [code]


def message() -> Candidate:
    document = altered(make_bundle_document(messageSignature={"signature": ""}), (("dsseEnvelope",), DROP))
    return Candidate("message", as_bundle(document))


def test_a_good_message_signature_is_no_attestation_and_no_failure() -> None:
    verdict = judge(message())
    assert verdict.outcome is N
    assert fault_codes(verdict) == ["not-an-attestation"]
    assert verdict.best is not None
    assert verdict.best.evidence is not None
    assert not verdict.best.accepted
    assert judge(message(), good()).outcome is V


def test_a_wrong_message_signature_is_rejected() -> None:
    verdict = judge(message(), verifier=FakeVerifier(Finding("message-digest-mismatch", "x")))
    assert verdict.outcome is R


@pytest.mark.parametrize(
    "code", ["certificate-untrusted", "envelope-signature-invalid", "verification-crashed"]
)
def test_what_cryptography_says_is_the_finding(code: str) -> None:
    verdict = judge(good(), verifier=FakeVerifier(Finding(code, "x")))
    assert verdict.outcome is R
    assert fault_codes(verdict) == [code]
    assert verdict.best is not None
    assert verdict.best.evidence is None


@pytest.mark.parametrize(
    "difference",
    [{"payload": b'{"another": "payload"}'}, {"payload_type": "application/other"}],
)
def test_the_payload_that_was_verified_is_the_payload_that_was_read(difference: dict[str, Any]) -> None:
    bundle = good().bundle
    assert isinstance(bundle, Bundle)
    evidence = (
        make_evidence(payload=bundle.payload, **difference)
        if "payload" not in difference
        else make_evidence(**difference)
    )
    verdict = judge(good(), verifier=FakeVerifier(evidence))
    assert verdict.outcome is R
    assert fault_codes(verdict) == ["bundle-malformed"]


def test_a_bundle_that_does_not_apply_is_not_handed_to_cryptography() -> None:
    verifier = FakeVerifier()
    judge(of_another_type(), verifier=verifier)
    assert verifier.seen == []


def test_the_steps_come_in_their_order() -> None:
    predicate = altered(make_predicate(), (("runDetails", "builder", "id"), "x"))
    document = make_statement_document(make_subject("x", OTHER_SHA256), predicate=predicate)
    stranger = FakeVerifier(claims=run_of("octo/other"))
    forged = FakeVerifier(Finding("envelope-signature-invalid", "x"))
    everything_wrong = make_candidate("x", document)
    assert fault_codes(judge(everything_wrong, verifier=forged)) == ["envelope-signature-invalid"]
    assert fault_codes(judge(everything_wrong, verifier=stranger)) == [
        "signer-repository-not-allowed",
        "source-repository-not-allowed",
    ]
    assert fault_codes(judge(everything_wrong)) == ["subject-digest-mismatch"]
    no_subject = make_candidate("x", make_statement_document(subject=[], predicate=predicate))
    assert fault_codes(judge(no_subject)) == ["statement-without-subject"]
    only_lies = make_candidate("x", make_statement_document(predicate=predicate))
    assert fault_codes(judge(only_lies)) == ["predicate-builder-mismatch"]


def test_all_that_the_best_candidate_lacks_is_reported() -> None:
    predicate = altered(
        make_predicate(),
        (("runDetails", "builder", "id"), "x"),
        (("runDetails", "metadata", "invocationId"), "y"),
    )
    verdict = judge(make_candidate("x", make_statement_document(predicate=predicate)))
    assert fault_codes(verdict) == ["predicate-builder-mismatch", "predicate-invocation-mismatch"]


class BrokenError(Exception):
    """Stands for a bug of ours."""


def broken(*args: object, **kwargs: object) -> Any:
    raise BrokenError


STEPS = ["predicate_type_of", "read_statement", "find_subject", "check_predicate", "expected_name"]


@pytest.mark.parametrize("step", STEPS)
def test_an_error_in_a_step_never_ends_in_a_verdict(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(appraise_module, step, broken)
    with pytest.raises(BrokenError):
        judge(lying(), good())


def test_an_error_in_reading_the_payload_never_ends_in_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = good()
    monkeypatch.setattr("brew_provenance.strictjson.loads", broken)
    with pytest.raises(BrokenError):
        judge(candidate)


def test_an_error_in_the_policy_never_ends_in_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Policy, "judge", broken)
    with pytest.raises(BrokenError):
        judge(good())


def test_an_error_in_the_verifier_never_ends_in_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeVerifier, "verify", broken)
    with pytest.raises(BrokenError):
        judge(good())
    with pytest.raises(BrokenError):
        examine(good(), FakeVerifier())


def test_an_error_in_the_store_never_ends_in_a_verdict() -> None:
    def candidates() -> Iterator[Candidate]:
        yield good()
        raise BrokenError

    with pytest.raises(BrokenError):
        appraise(make_question(), candidates(), FakeVerifier(), make_basis())


def test_an_examination_judges_neither_signer_nor_artifact_and_accepts_nothing() -> None:
    for candidate in (good(), for_another_artifact()):
        assessment = examine(candidate, FakeVerifier(claims=make_claims()))
        assert assessment.findings == ()
        assert assessment.evidence is not None
        assert assessment.statement is not None
        assert (assessment.signer, assessment.subject) == (None, None)
        assert not assessment.accepted


@pytest.mark.parametrize(
    ("candidate", "codes"),
    [
        (lying(), ["predicate-builder-mismatch"]),
        (of_another_type(), ["predicate-not-checked"]),
        (malformed(), ["bundle-media-type-unknown"]),
        (unreadable(), ["bundle-unreadable"]),
        (unsupported(), ["unsupported-managed-key"]),
        (message(), ["not-an-attestation"]),
        (make_candidate("x", {"_type": "x"}), ["statement-type-unexpected"]),
    ],
)
def test_an_examination_says_what_is_wrong(candidate: Candidate, codes: list[str]) -> None:
    assessment = examine(candidate, FakeVerifier())
    assert [finding.code for finding in assessment.findings] == codes
    assert not assessment.accepted


def test_the_question_asks_for_provenance_unless_it_says_otherwise() -> None:
    assert Question("x", (SHA256,)).predicate_type == PROVENANCE_V1
