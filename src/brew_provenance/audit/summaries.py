"""The verdicts of an audit as SLSA Verification Summary Attestations: statements, not signed yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from brew_provenance.audit.ledger import Entry, Ledger, Run
from brew_provenance.policy import Gives
from brew_provenance.verdict import Outcome
from brew_provenance.vsa import (
    BUILD_LEVEL_0,
    BUILD_LEVEL_2,
    FORMULA_BOUND,
    NOTARISED,
    Basis,
    build_summary,
    package_url,
)


def summarise_run(ledger: Ledger, run: Run, verifier: str) -> Iterator[dict[str, object]]:
    """Yield a Statement for the bottles of each package version that came to the same, in a fixed order.

    `verifier` is the name of who verified: the URI of a workflow. Bottles of which nothing could be found
    out, and those whose names are not known, are in none.
    """
    basis = Basis(
        verifier,
        {"brew-provenance": run.tool_version},
        run.policy,
        run.policy_sha256,
        datetime.fromisoformat(run.finished or run.started),
    )
    named = (entry for entry in ledger.entries(run.id) if entry.file_name and entry.version)
    judged = (entry for entry in named if entry.judgement.outcome is not Outcome.UNRESOLVED)
    for (formula, version), entries in groupby(judged, key=lambda entry: (entry.formula, entry.version)):
        for levels, alike in _by_levels(list(entries)).items():
            subjects = [(str(entry.file_name), entry.sha256) for entry in alike]
            yield build_summary(
                basis, package_url(run.tap, formula, version or ""), subjects, levels, _bundles(alike)
            )


def levels_of(entry: Entry) -> tuple[str, ...]:
    """Return what was verified of a bottle, as levels of SLSA and of our own; nothing where it failed."""
    judgement = entry.judgement
    if judgement.outcome is not Outcome.VERIFIED:
        return ()
    if judgement.gives != Gives.BUILD_PROVENANCE.value:
        return (BUILD_LEVEL_0, NOTARISED)
    # No more than 2: whether the build was isolated from who asked for it, the evidence does not say.
    bound = (FORMULA_BOUND,) if "formula-bound" in judgement.codes else ()
    return (BUILD_LEVEL_2, *bound)


def _by_levels(entries: Sequence[Entry]) -> Mapping[tuple[str, ...], list[Entry]]:
    found: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        found.setdefault(levels_of(entry), []).append(entry)
    return dict(sorted(found.items(), reverse=True))


def _bundles(entries: Sequence[Entry]) -> list[str] | None:
    """Return all attestations that the verdicts rest on; None where those of one are not known."""
    found: dict[str, None] = {}
    for entry in entries:
        if entry.judgement.bundles is None:
            return None
        found.update(dict.fromkeys(entry.judgement.bundles))
    return list(found)
