"""The one table of reason codes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from brew_provenance import findings
from brew_provenance.findings import MAX_DETAIL, REASONS, Finding, Reason, Severity, Step

SOURCE = Path(findings.__file__).parent


def string_literals() -> set[str]:
    """Return every string literal of the package, apart from those of the table itself."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if path == Path(findings.__file__):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    return found


LITERALS = string_literals()
EACH = pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS)


def test_codes_are_unique() -> None:
    # A mapping cannot hold a code twice: the table's own text can.
    table = Path(findings.__file__).read_text(encoding="utf-8")
    rows = re.findall(r'^ +\("([^"]+)",', table, re.MULTILINE)
    assert len(rows) > 50
    assert sorted(rows) == sorted(REASONS)


@EACH
def test_codes_are_kebab_case(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", reason.code)
    assert REASONS[reason.code] is reason


@EACH
def test_every_code_is_used(reason: Reason) -> None:
    assert reason.code in LITERALS


@EACH
def test_sentences_are_whole_and_never_say_verified(reason: Reason) -> None:
    for sentence in (reason.means, reason.advice):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert sentence.isascii()
        assert not re.search(r"\bverified\b", sentence, re.IGNORECASE)


@EACH
def test_no_sentence_promises_more_than_provenance(reason: Reason) -> None:
    assert not re.search(r"\b(safe|trustworthy)\b", f"{reason.means} {reason.advice}", re.IGNORECASE)


@EACH
def test_what_is_not_known_to_be_wrong_is_not_said_to_be(reason: Reason) -> None:
    if reason.severity is Severity.UNRESOLVED:
        assert not reason.advice.startswith(("Do not use", "Treat the bundle as altered"))
    if reason.severity is Severity.NOT_APPLICABLE:
        assert reason.advice.startswith("Nothing to do")


def test_steps_are_the_nine_in_their_order_and_the_build_sides_each_with_a_title() -> None:
    assert [step.value for step in Step] == list(range(1, 11))
    assert [step for step in Step if not step.is_of_verdict] == [Step.RECORD]
    assert len({step.title for step in Step}) == 10


def test_only_what_is_of_the_build_side_is_called_a_records() -> None:
    for reason in REASONS.values():
        assert (reason.step is Step.RECORD) == reason.code.startswith("record-")


def test_a_finding_has_a_code_of_the_table() -> None:
    finding = Finding("payload-malformed", "not JSON")
    assert finding.reason is REASONS["payload-malformed"]
    with pytest.raises(ValueError, match="'made-up' is not in the table"):
        Finding("made-up", "x")


@pytest.mark.parametrize("length", [0, 1, MAX_DETAIL - 1, MAX_DETAIL])
def test_a_detail_stands_as_it_was_given(length: int) -> None:
    assert Finding("bundle-malformed", "x" * length).detail == "x" * length


def test_a_detail_that_a_signer_made_long_is_cut_and_says_so() -> None:
    finding = Finding("bundle-malformed", "x" * (MAX_DETAIL + 1234))

    assert finding.detail == "x" * MAX_DETAIL + "… (1,234 characters left out)"
