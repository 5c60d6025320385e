"""How many digests are listed together: as many as are expected to fill a page."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from brew_provenance.bottle import Digest
from brew_provenance.stores.github import BATCH, _batches


def expected(weights: list[int]) -> dict[Digest, int]:
    return {Digest("sha256", f"{number:064x}"): weight for number, weight in enumerate(weights)}


def sizes(weights: list[int], size: int = BATCH) -> list[int]:
    digests = expected(weights)
    return [sum(digests[digest] for digest in batch) for batch in _batches(digests, size)]


@given(weights=st.lists(st.integers(1, 30), max_size=200), size=st.integers(1, 20))
def test_every_digest_is_in_one_batch_and_no_batch_expects_more_than_a_page(
    weights: list[int], size: int
) -> None:
    digests = expected(weights)
    batches = _batches(digests, size)
    assert sorted(str(digest) for batch in batches for digest in batch) == sorted(map(str, digests))
    for batch in batches:
        assert sum(min(digests[digest], size) for digest in batch) <= size
    # No two of them would have fitted on one page.
    filled = sorted(sum(min(digests[digest], size) for digest in batch) for batch in batches)
    assert len(filled) < 2 or filled[0] + filled[1] > size


@given(count=st.integers(0, 1_000))
def test_digests_that_one_bottle_bears_fill_their_batches(count: int) -> None:
    assert len(sizes([1] * count)) == ceil(count / BATCH)


def test_digests_that_several_bottles_bear_leave_no_room_for_want_of_small_ones() -> None:
    assert sizes([7] * 30 + [1] * 790) == [BATCH] * 10
    assert sizes([1, 250, 1]) == [250, 2]
