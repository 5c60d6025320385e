"""Statements: read as the in-toto specification says, or refused with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    DROP,
    OTHER_SHA256,
    SHA256,
    SHA512,
    altered,
    make_statement_document,
    make_subject,
)

from brew_provenance.findings import Finding
from brew_provenance.statement import (
    MAX_SUBJECTS,
    PROVENANCE_V1,
    Provenance,
    Statement,
    Subject,
    predicate_type_of,
    read_statement,
)


def entry(name: object, digest: object) -> dict[str, object]:
    return {"name": name, "digest": digest}


HEX = SHA256.value


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (None, "statement-malformed"),
        ([], "statement-malformed"),
        ("statement", "statement-malformed"),
        (1, "statement-malformed"),
        ({}, "statement-type-unexpected"),
        (make_statement_document(_type="https://in-toto.io/Statement/v0.1"), "statement-type-unexpected"),
        (make_statement_document(_type="https://in-toto.io/Statement/v1/"), "statement-type-unexpected"),
        (make_statement_document(_type=None), "statement-type-unexpected"),
        (make_statement_document(_type=["https://in-toto.io/Statement/v1"]), "statement-type-unexpected"),
        (altered(make_statement_document(), (("predicateType",), DROP)), "statement-malformed"),
        (make_statement_document(predicateType=1), "statement-malformed"),
        (make_statement_document(predicateType=None), "statement-malformed"),
        (make_statement_document(predicate=[]), "statement-malformed"),
        (make_statement_document(predicate="x"), "statement-malformed"),
        (altered(make_statement_document(), (("subject",), DROP)), "statement-malformed"),
        (make_statement_document(subject={}), "statement-malformed"),
        (make_statement_document(subject=["x"]), "statement-malformed"),
        (make_statement_document(subject=[{"name": "x"}]), "statement-malformed"),
        (make_statement_document(subject=[entry(1, {"sha256": HEX})]), "statement-malformed"),
        (make_statement_document(subject=[entry("x", [HEX])]), "statement-malformed"),
        (make_statement_document(subject=[entry("x", {"sha256": 1})]), "statement-malformed"),
        (make_statement_document(subject=[]), "statement-without-subject"),
        (make_statement_document(subject=[entry("x", {"sha256": HEX.upper()})]), "subject-digest-malformed"),
        (make_statement_document(subject=[entry("x", {"sha256": HEX[:-1]})]), "subject-digest-malformed"),
        (make_statement_document(subject=[entry("x", {"sha256": ""})]), "subject-digest-malformed"),
        (make_statement_document(subject=[entry("x", {"sha512": HEX})]), "subject-digest-malformed"),
        (
            make_statement_document(subject=[entry("x", {"sha256": f"sha256:{HEX}"})]),
            "subject-digest-malformed",
        ),
        (
            make_statement_document(make_subject(), entry("y", {"sha256": "x"})),
            "subject-digest-malformed",
        ),
        (
            make_statement_document(make_subject("x", SHA256), make_subject("x", OTHER_SHA256)),
            "subject-ambiguous",
        ),
        (
            make_statement_document(
                make_subject("x", SHA256),
                entry("x", {"gitCommit": "1"}),
                make_subject("y", SHA256),
                entry("x", {"gitCommit": "2"}),
            ),
            "subject-ambiguous",
        ),
    ],
)
def test_a_payload_that_is_no_sound_statement_is_refused(document: object, code: str) -> None:
    found = read_statement(document)
    assert isinstance(found, Finding)
    assert found.code == code
    assert found.detail


@pytest.mark.parametrize(
    "subjects",
    [
        [make_subject()],
        [make_subject("x", SHA256, SHA512)],
        [make_subject("x", SHA256), make_subject("x", SHA256)],
        [make_subject("x", SHA256), make_subject("x", SHA512)],
        [make_subject("x", SHA256), make_subject("y", SHA256)],
        [make_subject("", SHA256), make_subject("", OTHER_SHA256)],
        [entry("x", {"gitCommit": "1" * 40})],
        [{"digest": {"sha256": HEX}}],
        [{**make_subject(), "uri": "https://example.org", "annotations": {"a": 1}}],
    ],
)
def test_every_list_of_subjects_with_one_meaning_is_read(subjects: list[dict[str, object]]) -> None:
    found = read_statement(make_statement_document(subject=subjects))
    assert isinstance(found, Statement)
    assert len(found.subject) == len(subjects)


def test_fields_that_are_not_known_are_passed_over() -> None:
    document = make_statement_document(extra={"a": [1]}, predicate_type="https://example.org/other")
    found = read_statement(document)
    assert isinstance(found, Statement)
    assert found.predicate_type == PROVENANCE_V1


def test_a_statement_without_a_predicate_has_an_empty_one() -> None:
    found = read_statement(altered(make_statement_document(), (("predicate",), DROP)))
    assert isinstance(found, Statement)
    assert found.predicate == {}


def test_as_many_subjects_as_github_attests_are_read_and_no_more() -> None:
    subjects = [make_subject(f"subject {number}") for number in range(MAX_SUBJECTS + 1)]
    most = read_statement(make_statement_document(subject=subjects[:-1]))
    assert isinstance(most, Statement)
    more = read_statement(make_statement_document(subject=subjects))
    assert isinstance(more, Finding)
    assert more.code == "statement-subjects-too-many"


def test_a_fault_does_not_quote_what_the_signer_wrote() -> None:
    found = read_statement(make_statement_document(predicateType=["\x1b[2J secret"]))
    assert isinstance(found, Finding)
    assert "secret" not in found.detail
    assert "predicateType" in found.detail


def test_a_subject_lists_the_digests_that_count() -> None:
    subject = Subject(name="x", digest={"sha512": SHA512.value, "gitCommit": "1", "sha256": HEX})
    assert subject.known_digests() == [SHA256, SHA512]
    with pytest.raises(ValueError, match="sha256"):
        Subject(name="x", digest={"sha256": "x"}).known_digests()


@pytest.mark.parametrize(
    ("document", "claimed"),
    [
        (make_statement_document(), PROVENANCE_V1),
        ({"predicateType": "x"}, "x"),
        ({"predicateType": 1}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_payload_claims_a_predicate_type_or_none(document: object, claimed: str | None) -> None:
    assert predicate_type_of(document) == claimed


def test_what_a_predicate_leaves_out_is_silent() -> None:
    predicate = {
        "buildDefinition": {"buildType": "x", "externalParameters": {}},
        "runDetails": {"builder": {"id": "y"}},
    }
    found = Provenance.model_validate(predicate)
    assert found.build_definition.internal_parameters.github.repository_id is None
    assert found.build_definition.resolved_dependencies == []
    assert found.run_details.metadata.invocation_id is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["_type", "subject", "predicateType", "predicate"]), JSON)
def test_any_value_in_any_field_is_read_or_has_a_reason(field: str, value: object) -> None:
    found = read_statement(make_statement_document(**{field: value}))
    assert isinstance(found, (Statement, Finding))
    if field == "_type":
        assert isinstance(found, Finding)
