"""Where attestations come from. A store answers for many digests at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from brew_provenance.appraise import Candidate
from brew_provenance.bottle import Digest
from brew_provenance.findings import Finding


@dataclass(frozen=True)
class Answer:
    """What a store knows of one digest. No candidate and no finding: it was asked, and has none."""

    candidates: tuple[Candidate, ...] = ()
    """The bundles, each readable or with the reason why not."""

    findings: tuple[Finding, ...] = ()
    """Why the store could not answer, when it could not; and notes."""

    remembered: bool = False
    """Whether some of it is remembered, so that asking anew may give another answer."""


class Store(Protocol):
    """One source of attestations."""

    @property
    def name(self) -> str:
        """What a verdict calls it."""

    def resolve(self, digests: Sequence[Digest], *, fresh: bool = False) -> Mapping[Digest, Answer]:
        """Return an answer for every one of `digests`; no remembered one where it has to be `fresh`.

        A digest may be named more than once, as often as there are bottles that bear it: about as many
        attestations are to be expected, which is for a store that answers in pages to know.
        """
