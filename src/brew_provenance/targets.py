"""From what a person names to the bottles that have to be judged: formulae, files, digests, kegs."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from brew_provenance.bottle import Bottle, BottleFileName, BottleTag, Digest, hash_stream
from brew_provenance.errors import InputError, NothingMatchedError, UsageError
from brew_provenance.findings import Finding
from brew_provenance.formula import Formula
from brew_provenance.host import choose_tag
from brew_provenance.subject import Package, Question
from brew_provenance.taps import History, Prefetching, Tap

if TYPE_CHECKING:
    from brew_provenance.kegs import Keg, UnreadableKeg

CORE = "homebrew/core"
"""The tap of short names."""

_NAME = re.compile(r"(?:(?P<tap>[\w-]+/\w[\w.-]*)/)?(?P<name>\w[\w@+.-]*)", re.ASCII)

TapFor = Callable[[str], Tap]
"""Returns the source of a tap's formulae, by its name."""


@dataclass(frozen=True)
class Target:
    """One thing to judge."""

    question: Question
    tap: str
    """The tap whose policy decides, `user/repo`."""

    metadata: str | None = None
    """Where its description comes from; None when nothing describes it."""

    formula: Formula | None = None
    """The formula that describes the bottle, where one does."""

    file: Path | None = None
    """The bottle itself, where it is at hand."""

    findings: tuple[Finding, ...] = ()
    """What is known before anything is looked up."""

    history: History | None = None
    """The tap's repository, where it is at hand."""

    packed: bytes | None = None
    """The formula in the bottle, once that was looked into."""


@dataclass(frozen=True)
class Skipped:
    """Something that was named and is not judged."""

    name: str
    why: str

    is_bottle: bool = False
    """Whether it is a bottle all the same, of which nothing could be found out."""


def history_of(source: Tap) -> History | None:
    """Return a source of formulae as one of which any commit can be read, where it is one."""
    return source if isinstance(source, History) else None


def full_name(name: str, tap: str) -> str:
    """Return `user/repo/name` for a name as people write it; short ones are of `tap`.

    Capitals are made small, as brew does (`cli/named_args.rb` and `tap.rb` in brew). Raises UsageError for
    what no formula can be called.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(name, "not the name of a formula", "write wget, or user/repo/name")
    return f"{match['tap'] or tap}/{match['name']}".lower()


def formula_targets(
    tap_for: TapFor, names: Sequence[str], tag: BottleTag | None, *, dependencies_on: BottleTag | None = None
) -> list[Target]:
    """Return the bottles of formulae that brew would pour on `tag`; all of them when it is None.

    Names are full, `user/repo/name`. With `dependencies_on`, what the formulae need at run time on a
    machine of that tag follows after them, each with the formula that needs it.

    Raises NothingMatchedError for an unknown formula, one without bottles, or one without a bottle
    for the tag.
    """
    found = []
    for formula, needed_by in _closure(tap_for, names, dependencies_on):
        source = tap_for(formula.tap)
        notes = tuple(Finding("metadata-note", note) for note in source.notes)
        for target in _bottles_of(formula, tag, source.name):
            question = replace(target.question, needed_by=needed_by)
            findings = (*target.findings, *notes)
            found.append(replace(target, question=question, findings=findings, history=history_of(source)))
    return found


def find_formulae(
    tap_for: TapFor, names: Sequence[str], *, dependencies_on: BottleTag | None = None
) -> Iterator[Formula]:
    """Yield formulae by their full names, and with `dependencies_on` what they need there.

    Raises NothingMatchedError for an unknown one.
    """
    return (formula for formula, _ in _closure(tap_for, names, dependencies_on))


def prefetch(tap_for: TapFor, full_names: Iterable[str]) -> None:
    """Have formulae of taps that take long to ask looked up together, before each is asked for."""
    by_tap: dict[str, list[str]] = {}
    for name in full_names:
        by_tap.setdefault(name.rpartition("/")[0].lower(), []).append(name)
    for tap, names in by_tap.items():
        source = tap_for(tap)
        if isinstance(source, Prefetching):
            # What is wrong with it is told by whoever asks for a formula.
            with suppress(InputError):
                source.prefetch(names)


def installed_formulae(cellar: Path) -> list[str | UnreadableKeg]:
    """Return the full names of what was poured from bottles, and what may have been and cannot be read.

    Raises InputError for a missing Cellar.
    """
    from brew_provenance.kegs import Keg, installed_kegs  # noqa: PLC0415 - for installed ones alone

    found = (
        f"{keg.tap or CORE}/{keg.name}" if isinstance(keg, Keg) else keg
        for keg in installed_kegs(cellar)
        if not isinstance(keg, Keg) or keg.poured_from_bottle
    )
    return list(dict.fromkeys(found))


def file_target(path: Path, name: str, tap_for: TapFor, tap: str) -> Target:
    """Return a bottle file, by the name that it claims, as a bottle of its formula.

    A formula describes its latest bottles only: for any other one, the name itself is what has to be
    attested. Raises NothingMatchedError when the tap has no such formula, and InputError when the
    file cannot be read.
    """
    claimed = BottleFileName.parse(name)
    source = tap_for(tap)
    formula = source.formula(f"{tap}/{claimed.formula}")
    notes = tuple(Finding("metadata-note", note) for note in source.notes)
    for bottle in formula.bottles:
        if str(bottle.file_name) == name:
            question = Question(str(path), (bottle.digest,), bottle=bottle)
            return Target(question, tap, source.name, formula, path, notes, history_of(source))
    note = Finding("not-the-current-bottle", f"{formula.full_name} {formula.version} does not list {name}")
    try:
        with path.open("rb") as stream:
            digests = hash_stream(stream)
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), "give a file that can be read") from error
    question = Question(str(path), digests, name=name, tap=tap)
    return Target(question, tap, source.name, None, path, (note, *notes), history_of(source))


def digest_target(digest: Digest, tap: str) -> Target:
    """Return whatever bears a digest, as something that the tap's signers attested."""
    return Target(Question(str(digest), (digest,), tap=tap), tap)


def keg_target(
    keg: Keg, tap_for: TapFor, tag: BottleTag, find_cached: Callable[[Bottle], Path | None]
) -> Target | Skipped:
    """Return the bottle that an installed keg was poured from.

    A keg does not say which one: the digest in its SBOM is a hint, else a formula of the same version
    gives the bottle for this machine.
    """
    if not keg.poured_from_bottle:
        return Skipped(f"{keg.name} {keg.version}", "not a bottle: built from source on this machine")
    tap = (keg.tap or CORE).lower()
    label = f"{keg.name} {keg.version} (installed)"
    try:
        source = tap_for(tap)
        formula = source.formula(f"{tap}/{keg.name}")
    except (NothingMatchedError, InputError) as error:
        if keg.digest is None:
            why = f"{error.cause}, and the keg names no bottle"
            return Skipped(f"{keg.name} {keg.version}", why, is_bottle=True)
        return _by_hint(keg, keg.digest, label, tap)
    bottles = formula.bottles if formula.version == keg.version else ()
    if keg.digest is not None:
        for bottle in bottles:
            if bottle.digest == keg.digest:
                return _keg_bottle(bottle, formula, label, source, find_cached)
        return _by_hint(keg, keg.digest, label, tap)
    choice = choose_tag([bottle.tag for bottle in bottles], tag)
    if choice is None:
        now = formula.version or "a version that is not known"
        why = f"poured from a bottle that nothing names: {formula.full_name} is at {now}"
        return Skipped(f"{keg.name} {keg.version}", why, is_bottle=True)
    bottle = next(bottle for bottle in bottles if bottle.tag == choice.tag)
    target = _keg_bottle(bottle, formula, label, source, find_cached)
    note = Finding("keg-bottle-guessed", f"{bottle.file_name}, by version and tag")
    return replace(target, findings=(*target.findings, note))


def _keg_bottle(
    bottle: Bottle, formula: Formula, label: str, source: Tap, find_cached: Callable[[Bottle], Path | None]
) -> Target:
    question = Question(label, (bottle.digest,), bottle=bottle)
    file = find_cached(bottle)
    return Target(question, bottle.tap, source.name, formula, file, history=history_of(source))


def _by_hint(keg: Keg, digest: Digest, label: str, tap: str) -> Target:
    question = Question(label, (digest,), package=Package(keg.name, keg.version), tap=tap)
    return Target(
        question, tap, None, None, None, (Finding("keg-digest-unsigned", f"{digest} by {keg.path.name}"),)
    )


def _closure(
    tap_for: TapFor, names: Sequence[str], dependencies_on: BottleTag | None
) -> Iterator[tuple[Formula, str | None]]:
    """Yield formulae in breadth, the ones that were named first, each once."""
    pending: deque[tuple[Sequence[str], str | None]] = deque(([name], None) for name in dict.fromkeys(names))
    seen: set[str] = set()
    while pending:
        meant, needed_by = pending.popleft()
        formula = _find(tap_for, meant)
        if formula.full_name in seen:
            continue
        seen.add(formula.full_name)
        yield formula, needed_by
        if dependencies_on is None:
            continue
        for dependency in formula.dependencies:
            # What cannot be known is taken for needed: one bottle too many is judged, never one too few.
            if dependency.needed_on(dependencies_on) is False:
                continue
            # A short name is homebrew/core's before its own tap's.
            meant = [full_name(dependency.name, tap) for tap in (CORE, formula.tap)]
            pending.append((list(dict.fromkeys(meant)), formula.name))


def _find(tap_for: TapFor, full_names: Sequence[str]) -> Formula:
    """Return the formula by the first of its possible names that there is."""
    *others, last = full_names
    for name in others:
        with suppress(NothingMatchedError):
            return _look_up(tap_for, name)
    return _look_up(tap_for, last)


def _look_up(tap_for: TapFor, name: str) -> Formula:
    return tap_for(name.rpartition("/")[0]).formula(name)


def _bottles_of(formula: Formula, tag: BottleTag | None, source: str) -> Iterator[Target]:
    declared = [bottle.tag for bottle in formula.bottles] + [item.tag for item in formula.unnamed]
    if not declared:
        # The API describes the bottles for one machine at a time.
        which = f" for {tag}" if tag is not None else ""
        raise NothingMatchedError(
            formula.full_name,
            f"the formula has no bottles{which}",
            "there is nothing to check: brew builds it from source",
        )
    chosen: set[str] = set(declared)
    notes: tuple[Finding, ...] = ()
    if tag is not None:
        choice = choose_tag(declared, tag)
        if choice is None:
            raise NothingMatchedError(
                formula.full_name, f"no bottle for {tag}", f"choose one with --tag: {', '.join(declared)}"
            )
        chosen = {choice.tag}
        if BottleTag.parse(choice.tag) != tag:
            notes = (Finding("tag-chosen", f"{choice.tag}: {choice.why}"),)
    for bottle in formula.bottles:
        if bottle.tag in chosen:
            label = f"{bottle.formula} {bottle.version} ({bottle.tag})"
            question = Question(label, (bottle.digest,), bottle=bottle)
            yield Target(question, formula.tap, source, formula, None, notes)
    for unnamed in formula.unnamed:
        if unnamed.tag in chosen:
            gap = Finding("package-version-unknown", "; ".join(formula.gaps))
            question = Question(f"{formula.name} ({unnamed.tag})", (unnamed.digest,))
            yield Target(question, formula.tap, source, formula, None, (*notes, gap))
