"""The values that a page is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from brew_provenance.verdict import Outcome


class State(Enum):
    """What is known of a bottle: an outcome, and for a verified one what it has. In the order of a page."""

    PROVENANCE = "build-provenance"
    NOTARISATION = "notarisation"
    UNATTESTED = "unattested"
    REJECTED = "rejected"
    UNRESOLVED = "unresolved"

    @property
    def label(self) -> str:
        """What it is called in front of people."""
        return _TEXTS[self][0]

    @property
    def means(self) -> str:
        """One sentence for people."""
        return _TEXTS[self][1]

    @property
    def is_verified(self) -> bool:
        """Whether the outcome is `verified`."""
        return self in {State.PROVENANCE, State.NOTARISATION}


_TEXTS: Final = {
    State.PROVENANCE: ("verified", "Build provenance exists and matches."),
    State.NOTARISATION: (
        "notarised only",
        "A verified notarisation: the bottle existed when it was signed; how it was built is not attested.",
    ),
    State.UNATTESTED: ("unattested", "A store answered, and it holds no attestation that applies."),
    State.REJECTED: ("rejected", "There is evidence, and it is wrong."),
    State.UNRESOLVED: ("unresolved", "It could not be found out."),
}


@dataclass(frozen=True)
class Bottle:
    """One bottle of an audit, and what became of it."""

    formula: str
    version: str | None
    rebuild: int
    tag: str
    file_name: str | None
    sha256: str
    """In hexadecimal."""

    path: str | None
    line: int | None
    """Where the digest stands in the tap, where that is known."""

    outcome: Outcome
    gives: str | None
    """`build-provenance` or `notarisation`, for a verified bottle."""

    findings: Sequence[tuple[str, str]]
    """Code and detail of each."""

    evidence: Mapping[str, str | int | None] | None
    """What the attestation that decided says."""

    attestations: int | None
    """How many the store has; None when it did not answer in whole."""

    @property
    def state(self) -> State:
        """What is known of it. A verified bottle has build provenance only where that is said."""
        if self.outcome is not Outcome.VERIFIED:
            return State(self.outcome.value)
        return State.PROVENANCE if self.gives == State.PROVENANCE.value else State.NOTARISATION

    @property
    def codes(self) -> Sequence[str]:
        """The codes of the findings, each once."""
        return tuple(dict.fromkeys(code for code, _ in self.findings))
