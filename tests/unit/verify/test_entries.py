"""What a log recorded is about this envelope, or it is refused, whatever the body holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.verify.worlds import SCENARIO, read

from brew_provenance.bundle import Bundle, LoggedEntry
from brew_provenance.certificate import load_certificate
from brew_provenance.verify.entries import check_entry
from brew_provenance.verify.refusal import Refusal

INTOTO = read(SCENARIO.bundle_intoto())
DSSE = read(SCENARIO.bundle_promised())


def logged_of(bundle: Bundle) -> LoggedEntry:
    assert bundle.logged is not None
    return bundle.logged


def code(bundle: Bundle, logged: LoggedEntry) -> str:
    try:
        check_entry(logged, bundle, load_certificate(bundle.certificate or b""))
    except Refusal as refused:
        return refused.finding.code
    return "accepted"


@pytest.mark.parametrize("bundle", [INTOTO, DSSE])
def test_the_right_entry_is_accepted(bundle: Bundle) -> None:
    assert code(bundle, logged_of(bundle)) == "accepted"


@pytest.mark.parametrize(("bundle", "other"), [(INTOTO, DSSE), (DSSE, INTOTO)])
def test_the_entry_of_another_signing_is_refused(bundle: Bundle, other: Bundle) -> None:
    assert code(bundle, logged_of(other)) == "log-entry-signature-mismatch"


@pytest.mark.parametrize("kind", ["hashedrekord/0.0.1", "hashedrekord/0.0.2", "dsse/0.0.2"])
def test_an_entry_of_a_kind_for_other_things_records_no_envelope(kind: str) -> None:
    name, _, version = kind.partition("/")
    body = json.dumps({"kind": name, "apiVersion": version, "spec": {}}).encode()
    logged = logged_of(DSSE)
    assert code(DSSE, replace(logged, body=body, entry=replace(logged.entry, kind=kind))) == (
        "log-entry-kind-mismatch"
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just("AAAA"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in items for found in _paths(inner, (*path, key)))]


@pytest.mark.parametrize("bundle", [INTOTO, DSSE], ids=["intoto", "dsse"])
@given(data=st.data())
def test_an_entry_with_any_other_value_in_any_place_that_counts_is_refused(
    bundle: Bundle, data: st.DataObject
) -> None:
    logged = logged_of(bundle)
    document = json.loads(logged.body)
    path = data.draw(st.sampled_from([found for found in _paths(document) if found]))
    value = data.draw(VALUES)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    # The hash of the envelope as JSON, which nobody can compute from a bundle.
    uncounted = {"hash", "envelopeHash"} & set(path)

    found = code(bundle, replace(logged, body=json.dumps(document).encode()))

    if uncounted:
        assert found == "accepted"
    else:
        assert found in {"log-entry-malformed", "log-entry-payload-mismatch", "log-entry-signature-mismatch"}


@given(st.binary(max_size=60))
def test_any_bytes_are_no_entry(body: bytes) -> None:
    assert code(INTOTO, replace(logged_of(INTOTO), body=body)) == "log-entry-malformed"
