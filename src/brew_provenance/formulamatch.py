"""Whether the formula that a bottle carries is the one by which its tap describes it. Values only.

The bottle's digest covers the packed formula; whoever built the bottle wrote it. A tap may go on editing
a formula without making new bottles: it moves a source to another URL, adds a test, marks a deprecation.
So only the tap's formula of the very commit that was built has to have the same text. Of any other one
it is the version and the source's identity that must agree.
"""

from __future__ import annotations

from collections.abc import Iterator

from brew_provenance.findings import Finding
from brew_provenance.formula import Formula, FormulaError, Source
from brew_provenance.formula.bottleblock import describe_difference
from brew_provenance.formula.ruby import read_formula


def compare_with_tap(packed: bytes, formula: Formula, *, same_commit: bool = False) -> list[Finding]:
    """Compare the Ruby that was packed into a bottle with the tap's description of the bottle.

    Where the tap's own text is at hand, it is compared outside the bottle block. `same_commit` says
    that the tap's description is of the commit that the bottle is attested to be built from: then
    another text is a mismatch. Otherwise what can be read in both without running Ruby is compared,
    and a note says what was.
    """
    difference = None
    if formula.text is not None:
        try:
            difference = describe_difference(formula.text, packed)
        except FormulaError as error:
            return [Finding("formula-unreadable", str(error))]
        if difference is None:
            return [Finding("formula-content-matches", "the formula in the bottle is the tap's")]
        if same_commit:
            return [Finding("formula-text-mismatch", difference)]
    try:
        found = read_formula(packed, tap=formula.tap, name=formula.name)
    except FormulaError as error:
        return [Finding("formula-unreadable", f"the formula in the bottle: {error}")]
    mismatches = [*_compare_versions(found, formula), *_compare_sources(found.source, formula.source)]
    if mismatches:
        return mismatches
    if difference is not None:
        return [Finding("formula-edited-since", difference)]
    return [Finding("formula-compared-by-fields", _compared(found, formula))]


def _compare_versions(packed: Formula, tap: Formula) -> Iterator[Finding]:
    for what, theirs, ours in (
        ("version", packed.version, tap.version),
        ("revision", packed.revision, tap.revision),
        ("version scheme", packed.version_scheme, tap.version_scheme),
    ):
        if theirs is not None and ours is not None and theirs != ours:
            yield Finding("formula-version-mismatch", f"{what} {theirs} in the bottle, {ours} in the tap")


def _compare_sources(packed: Source | None, tap: Source | None) -> Iterator[Finding]:
    """Compare what identifies a source: its digest or its commit, and without those where it is."""
    if packed is None or tap is None:
        return
    compared = [("sha256", packed.sha256, tap.sha256), ("commit", packed.revision, tap.revision)]
    if not any(theirs and ours for _, theirs, ours in compared):
        compared += [("tag", packed.tag, tap.tag), ("URL", packed.url, tap.url)]
    for what, theirs, ours in compared:
        if theirs != ours:
            yield Finding(
                "formula-source-mismatch",
                f"source {what} {theirs or 'not given'} in the bottle, {ours or 'not given'} in the tap",
            )


def _compared(packed: Formula, tap: Formula) -> str:
    known = {
        "version": packed.version is not None and tap.version is not None,
        "source": packed.source is not None and tap.source is not None,
    }
    said = f"the same {', '.join([*(what for what, is_known in known.items() if is_known), 'revision'])}"
    unknown = [what for what, is_known in known.items() if not is_known]
    return f"{said}; not compared: {', '.join(unknown)}" if unknown else said
