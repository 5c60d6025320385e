"""Which subject is the artifact: one entry carries both its name and its digest."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    FILE_NAME,
    OTHER_SHA256,
    OTHER_SHA512,
    SHA256,
    SHA512,
    make_bottle,
    make_question,
    make_statement,
    make_subject,
)

from brew_provenance.bottle import Digest
from brew_provenance.findings import Finding
from brew_provenance.statement import Subject
from brew_provenance.subject import Question, SubjectNaming, expected_name, find_subject

BY_FILE = SubjectNaming.FILE_NAME
BY_URL = SubjectNaming.URL_AND_FILE_NAME
ALL = "foo--1.1.all.bottle.tar.gz"


def code_of(found: Subject | Finding) -> str | None:
    return found.code if isinstance(found, Finding) else None


def find(question: Question, *subjects: dict[str, Any], naming: SubjectNaming = BY_FILE) -> Subject | Finding:
    return find_subject(make_statement(*subjects), question, naming)


NAMES: list[tuple[str, dict[str, Any], str | None]] = [
    # The exact name, and nothing that only contains it.
    (FILE_NAME, {}, None),
    ("", {}, "subject-name-not-a-bottle"),
    ("foo", {}, "subject-name-not-a-bottle"),
    (f"./{FILE_NAME}", {}, "subject-name-not-a-bottle"),
    (f"{FILE_NAME}.sig", {}, "subject-name-not-a-bottle"),
    (f"{FILE_NAME}\n", {}, "subject-name-not-a-bottle"),
    (FILE_NAME.replace("--", "-"), {}, "subject-name-not-a-bottle"),
    (FILE_NAME.upper(), {}, "subject-name-not-a-bottle"),
    (FILE_NAME.replace("foo", "Foo"), {}, "subject-other-formula"),
    (FILE_NAME.replace("foo", "f\u043eo"), {}, "subject-name-not-a-bottle"),
    # Formulae.
    (FILE_NAME.replace("foo", "bar"), {}, "subject-other-formula"),
    (FILE_NAME.replace("foo", "foo@2"), {}, "subject-other-formula"),
    (FILE_NAME, {"formula": "foo@2"}, "subject-other-formula"),
    (FILE_NAME.replace("foo", "foo@2"), {"formula": "foo@2"}, None),
    (FILE_NAME.replace("foo", "foo@2"), {"formula": "foo@20"}, "subject-other-formula"),
    (FILE_NAME.replace("foo", "foo-bar"), {}, "subject-other-formula"),
    (FILE_NAME, {"formula": "foo-bar"}, "subject-other-formula"),
    (FILE_NAME.replace("foo", "g++"), {"formula": "g++"}, None),
    (FILE_NAME.replace("foo", "foo--bar"), {"formula": "foo--bar"}, None),
    (FILE_NAME.replace("foo", "foo--baz"), {"formula": "foo--bar"}, "subject-other-formula"),
    (
        FILE_NAME.replace("foo", "foo--bar").replace("1.1", "1.2"),
        {"formula": "foo--bar"},
        "subject-other-version",
    ),
    # Versions: equal, and no prefix of each other.
    ("foo--1.10.arm64_sonoma.bottle.tar.gz", {}, "subject-other-version"),
    (FILE_NAME, {"version": "1.10"}, "subject-other-version"),
    ("foo--1.1.0.arm64_sonoma.bottle.tar.gz", {}, "subject-other-version"),
    ("foo--1.arm64_sonoma.bottle.tar.gz", {}, "subject-other-version"),
    ("foo--1.1_1.arm64_sonoma.bottle.tar.gz", {}, "subject-other-version"),
    (FILE_NAME, {"version": "1.1_1"}, "subject-other-version"),
    ("foo--1.1--2.arm64_sonoma.bottle.tar.gz", {}, "subject-other-version"),
    ("foo--1.1--2.arm64_sonoma.bottle.tar.gz", {"version": "1.1--2"}, None),
    # Rebuilds.
    ("foo--1.1.arm64_sonoma.bottle.1.tar.gz", {}, "subject-other-rebuild"),
    (FILE_NAME, {"rebuild": 1}, "subject-other-rebuild"),
    ("foo--1.1.arm64_sonoma.bottle.1.tar.gz", {"rebuild": 1}, None),
    ("foo--1.1.arm64_sonoma.bottle.1.tar.gz", {"rebuild": 11}, "subject-other-rebuild"),
    # Tags: only an `all` bottle may be attested under another one.
    ("foo--1.1.sonoma.bottle.tar.gz", {}, "subject-other-tag"),
    ("foo--1.1.arm64_sequoia.bottle.tar.gz", {}, "subject-other-tag"),
    ("foo--1.1.aarch64_sonoma.bottle.tar.gz", {}, "subject-other-tag"),
    (ALL, {}, "subject-other-tag"),
    (ALL, {"tag": "all"}, None),
    (FILE_NAME, {"tag": "all"}, None),
    ("foo--1.1.x86_64_linux.bottle.tar.gz", {"tag": "all"}, None),
    ("foo--1.10.arm64_sonoma.bottle.tar.gz", {"tag": "all"}, "subject-other-version"),
    ("foo--1.1.2.arm64_sonoma.bottle.tar.gz", {"tag": "all"}, "subject-other-version"),
    ("foo--1.1.arm64_sonoma.bottle.1.tar.gz", {"tag": "all"}, "subject-other-rebuild"),
    (FILE_NAME, {"tag": "all", "rebuild": 1}, "subject-other-rebuild"),
    ("foo@1--1.1.arm64_sonoma.bottle.tar.gz", {"tag": "all"}, "subject-other-formula"),
    ("foo--1.1.not-a-tag.bottle.tar.gz", {"tag": "all"}, "subject-name-not-a-bottle"),
    ("foo--1.1", {"tag": "all"}, "subject-name-not-a-bottle"),
]


@pytest.mark.parametrize(("name", "bottle", "code"), NAMES)
@pytest.mark.parametrize("naming", SubjectNaming)
def test_the_name_is_the_bottles(
    name: str, bottle: dict[str, Any], code: str | None, naming: SubjectNaming
) -> None:
    question = make_question(make_bottle(**bottle))
    prefix = ""
    if naming is BY_URL:
        prefix = hashlib.sha256(make_bottle().url.encode()).hexdigest() + "--"
    found = find(question, make_subject(prefix + name), naming=naming)
    assert code_of(found) == code
    if code is None:
        assert isinstance(found, Subject)
        assert found.name == prefix + name


def test_the_url_digest_is_the_one_that_the_backfill_wrote() -> None:
    # A pair of the year 2024, from brew's own cache of ack 3.7.0.
    sha256 = Digest("sha256", "a54aa4f028ef042948961ef62524557dd8afd2c05eb658bd5f6d1ec04dddc22f")
    bottle = make_bottle(
        formula="ack",
        version="3.7.0",
        tag="all",
        digest=sha256,
        url=f"https://ghcr.io/v2/homebrew/core/ack/blobs/{sha256}",
    )
    name = "c0b363089f9bdea9ea776ac5a818e39c35ac0d2d71b0cf904cc3d94f3b87f61b--ack--3.7.0.all.bottle.tar.gz"
    assert expected_name(make_question(bottle), BY_URL) == name
    assert code_of(find(make_question(bottle), make_subject(name, sha256), naming=BY_URL)) is None


@pytest.mark.parametrize(
    "name",
    [
        FILE_NAME,
        f"{'0' * 64}--{FILE_NAME}",
        f"-{FILE_NAME}",
        hashlib.sha256(b"https://mirror.example/foo").hexdigest() + f"--{FILE_NAME}",
        hashlib.sha256(make_bottle().url.encode()).hexdigest() + f"-{FILE_NAME}",
    ],
)
def test_a_notarised_subject_begins_with_the_digest_of_the_url(name: str) -> None:
    assert code_of(find(make_question(), make_subject(name), naming=BY_URL)) == "subject-other-url"


def test_a_file_name_does_not_bear_a_url_where_none_belongs() -> None:
    name = expected_name(make_question(), BY_URL)
    assert name is not None
    assert code_of(find(make_question(), make_subject(name))) == "subject-other-formula"


@pytest.mark.parametrize(
    ("subjects", "code"),
    [
        ([make_subject(FILE_NAME, OTHER_SHA256)], "subject-digest-mismatch"),
        ([make_subject(FILE_NAME, SHA512)], "subject-digest-mismatch"),
        (
            [
                make_subject(FILE_NAME, OTHER_SHA256),
                make_subject("bar--1.arm64_sonoma.bottle.tar.gz", SHA256),
            ],
            "subject-split",
        ),
        (
            [
                make_subject("bar--1.arm64_sonoma.bottle.tar.gz", SHA256),
                make_subject(FILE_NAME, OTHER_SHA256),
            ],
            "subject-split",
        ),
        ([make_subject(FILE_NAME, SHA512), make_subject("", SHA256)], "subject-split"),
        ([make_subject("bar--1.all.bottle.tar.gz"), make_subject(FILE_NAME)], None),
        ([make_subject("", SHA256), make_subject(FILE_NAME, SHA256)], None),
        ([make_subject("", SHA256), make_subject("x", SHA256)], "subject-name-not-a-bottle"),
    ],
)
def test_name_and_digest_stand_in_one_entry(subjects: list[dict[str, Any]], code: str | None) -> None:
    found = find(make_question(), *subjects)
    assert code_of(found) == code
    if isinstance(found, Subject):
        assert (found.name, found.digest) == (FILE_NAME, {"sha256": SHA256.value})


@pytest.mark.parametrize(
    ("known", "attested", "code"),
    [
        ([SHA256], [SHA256, SHA512], None),
        ([SHA512], [SHA256, SHA512], None),
        ([SHA512], [SHA512], None),
        ([SHA256, SHA512], [SHA256, SHA512], None),
        ([SHA256, SHA512], [SHA256], None),
        ([SHA256, SHA512], [SHA512], None),
        ([SHA512], [SHA256], "subject-digest-mismatch"),
        ([SHA256, SHA512], [SHA256, OTHER_SHA512], "subject-digests-disagree"),
        ([SHA256, SHA512], [OTHER_SHA256, SHA512], "subject-digests-disagree"),
        ([SHA256, SHA512], [OTHER_SHA256, OTHER_SHA512], "subject-digest-mismatch"),
    ],
)
def test_every_digest_that_both_sides_give_is_equal(
    known: list[Digest], attested: list[Digest], code: str | None
) -> None:
    question = make_question(digests=tuple(known))
    assert code_of(find(question, make_subject(FILE_NAME, *attested))) == code


def test_a_contradiction_in_another_entry_with_the_digest_is_not_passed_over() -> None:
    question = make_question(digests=(SHA256, SHA512))
    subjects = (make_subject(FILE_NAME, SHA256), make_subject("x", SHA256, OTHER_SHA512))
    assert code_of(find(question, *subjects)) == "subject-digests-disagree"


@pytest.mark.parametrize("position", [0, 500, 999])
def test_one_of_a_thousand_subjects_is_found(position: int) -> None:
    subjects = [
        make_subject(f"foo--1.{number}.all.bottle.tar.gz", Digest("sha256", f"{number:064x}"))
        for number in range(1000)
    ]
    subjects[position] = make_subject()
    found = find(make_question(), *subjects)
    assert isinstance(found, Subject)
    assert found.name == FILE_NAME


def test_a_mismatch_among_a_thousand_subjects_says_how_many() -> None:
    subjects = [make_subject(f"s{number}", Digest("sha256", f"{number:064x}")) for number in range(1000)]
    found = find(make_question(), *subjects)
    assert isinstance(found, Finding)
    assert found.detail.startswith("1000 subjects, none with digest sha256:")
    alone = find(make_question(), make_subject("s", OTHER_SHA256))
    assert isinstance(alone, Finding)
    assert alone.detail.startswith("1 subject, none")


@pytest.mark.parametrize(
    ("wanted", "attested", "code"),
    [
        (None, "anything at all", None),
        (None, "", None),
        ("tool.zip", "tool.zip", None),
        ("tool.zip", "Tool.zip", "subject-name-mismatch"),
        ("tool.zip", "tool.zip ", "subject-name-mismatch"),
        ("tool.zip", "", "subject-name-mismatch"),
        (FILE_NAME, FILE_NAME, None),
        (FILE_NAME, ALL, "subject-name-mismatch"),
    ],
)
def test_an_artifact_without_a_formula_bears_the_name_that_was_asked_for(
    wanted: str | None, attested: str, code: str | None
) -> None:
    question = Question("artifact", (SHA256,), wanted)
    assert expected_name(question, BY_FILE) == wanted
    assert code_of(find(question, make_subject(attested))) == code


@pytest.mark.parametrize("attested", [ALL, FILE_NAME, "foo--1.1.x86_64_linux.bottle.tar.gz"])
def test_a_file_named_as_an_all_bottle_may_be_attested_under_another_tag(attested: str) -> None:
    assert code_of(find(Question("artifact", (SHA256,), ALL), make_subject(attested))) is None


@pytest.mark.parametrize(
    "attested",
    [
        "foo--1.10.arm64_sonoma.bottle.tar.gz",
        "foo--1.1.arm64_sonoma.bottle.1.tar.gz",
        "bar--1.1.all.bottle.tar.gz",
    ],
)
def test_a_file_named_as_an_all_bottle_is_no_other_bottle(attested: str) -> None:
    found = find(Question("artifact", (SHA256,), ALL), make_subject(attested))
    assert isinstance(found, Finding)


@pytest.mark.parametrize(
    ("question", "is_bottle"),
    [
        (make_question(), True),
        (Question("x", (SHA256,), FILE_NAME), True),
        (Question("x", (SHA256,), "tool.zip"), False),
        (Question("x", (SHA256,)), False),
    ],
)
def test_a_question_is_about_a_bottle_by_its_formula_or_its_name(question: Question, is_bottle: bool) -> None:
    assert question.is_bottle is is_bottle


VERSIONS = st.from_regex(r"\A[0-9](\.[0-9]{1,2}){0,2}(_[1-9])?\Z")


@given(VERSIONS, VERSIONS, st.integers(0, 2), st.integers(0, 2), st.sampled_from(["all", "sonoma"]))
def test_a_bottle_is_never_another_version_or_rebuild(
    version: str, attested: str, rebuild: int, attested_rebuild: int, tag: str
) -> None:
    bottle = make_bottle(version=version, rebuild=rebuild, tag=tag)
    named = make_bottle(version=attested, rebuild=attested_rebuild, tag="sonoma")
    found = find(make_question(bottle), make_subject(str(named.file_name)))
    assert isinstance(found, Subject) == ((version, rebuild) == (attested, attested_rebuild))


def test_nothing_can_be_asked_of_bytes_that_nothing_is_known_of() -> None:
    with pytest.raises(ValueError, match="nothing is known"):
        Question("artifact", ())
