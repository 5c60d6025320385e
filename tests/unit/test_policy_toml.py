"""Policies as files: what is read back says exactly what was written."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.errors import PolicyError
from brew_provenance.policy import (
    Gives,
    Policy,
    PolicyOrigin,
    Signer,
    policy_for_repository,
    policy_for_tap,
)
from brew_provenance.subject import SubjectNaming

# A file of TOML is UTF-8, which has no surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = TEXT.filter(bool)
LISTS = st.lists(TEXT, min_size=1, max_size=3).map(tuple)
REPOSITORIES = st.from_regex(r"\A[A-Za-z0-9_-]{1,6}/[A-Za-z0-9._-]{1,6}\Z")
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))) | st.just(
    UTC
)
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001 - the bounds
RUNNERS = st.sampled_from([("github-hosted",), ("self-hosted",), ("self-hosted", "github-hosted")])

SIGNERS = st.builds(
    Signer,
    name=WORDS,
    source_repository=REPOSITORIES,
    source_refs=LISTS,
    signer_repository=st.none() | REPOSITORIES,
    workflows=LISTS,
    signer_refs=st.none() | LISTS,
    issuer=WORDS,
    source_repository_id=st.none() | TEXT,
    source_owner_id=st.none() | TEXT,
    runner_environments=RUNNERS,
    build_types=st.sampled_from([("bottle-build",), ("community-workflow", "github-workflow")]),
    builders=st.lists(
        st.from_regex(r"\A(?:[a-z]{1,4}/[a-z]{1,4}/)?\.github/workflows/[a-z]{1,4}\.ya?ml\Z") | st.just("*"),
        min_size=1,
        max_size=2,
    ).map(tuple),
    builder_environments=RUNNERS,
    valid_from=st.none() | TIMES,
    valid_until=st.none() | TIMES,
    gives=st.sampled_from([Gives.BUILD_PROVENANCE, Gives.NOTARISATION]),
    subject_naming=st.sampled_from(SubjectNaming),
)
POLICIES = st.builds(
    Policy,
    name=WORDS,
    origin=st.sampled_from(PolicyOrigin),
    signers=st.lists(SIGNERS, min_size=1, max_size=3).map(tuple),
    tap=st.from_regex(r"\A[a-z0-9_-]{1,6}/[a-z0-9_][a-z0-9_.-]{0,6}\Z"),
)


def read_back(policy: Policy) -> Policy:
    return Policy.from_toml(policy.to_toml().encode(), "a test", PolicyOrigin.FILE)


@given(POLICIES)
def test_a_policy_that_was_written_is_read_as_the_same(policy: Policy) -> None:
    found = read_back(policy)
    assert found.sha256 == policy.sha256
    assert found == replace(policy, origin=PolicyOrigin.FILE)
    assert found.to_toml() == policy.to_toml()


@given(POLICIES)
def test_a_policys_file_says_nothing_else(policy: Policy) -> None:
    document = tomllib.loads(policy.to_toml())
    assert set(document) == {"schema", "name", "tap", "signer"}
    assert len(document["signer"]) == len(policy.signers)


@given(POLICIES, POLICIES)
def test_two_policies_that_say_the_same_have_one_digest(left: Policy, right: Policy) -> None:
    same = (left.tap, left.signers) == (right.tap, right.signers)
    assert (left.sha256 == right.sha256) == same


@pytest.mark.parametrize("tap", ["homebrew/core", "octo/tap", "Octo/Tap"])
def test_the_policies_of_taps_can_be_files(tap: str) -> None:
    policy = policy_for_tap(tap)
    assert read_back(policy).sha256 == policy.sha256


@pytest.mark.parametrize(
    "text", ['"', "\\", "'''", '"""', "\x00", "\x1f", "\x7f", "\n[[signer]]\n", "#", "é\U0001f600"]
)
def test_nothing_that_is_written_breaks_out_of_its_string(text: str) -> None:
    signer = Signer(name=f"a{text}", source_repository="octo/tap", source_refs=(text,), workflows=(text,))
    policy = Policy(f"b{text}", PolicyOrigin.FILE, (signer,), "octo/tap")
    assert read_back(policy) == policy


def test_a_policy_of_options_has_no_file() -> None:
    with pytest.raises(PolicyError, match="no tap"):
        policy_for_repository("octo/tap").to_toml()


def test_no_policy_can_make_a_summary_of_a_signers_attestation() -> None:
    raw = (
        b'schema = 1\nname = "x"\ntap = "a/b"\n[[signer]]\nname = "y"\nsource-repository = "a/b"\n'
        b'source-refs = ["*"]\ngives = "verification-summary"\n'
    )
    with pytest.raises(PolicyError, match="--vsa-from alone"):
        Policy.from_toml(raw, "policy.toml", PolicyOrigin.FILE)
