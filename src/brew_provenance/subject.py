"""Which subject of a statement is the artifact: one entry carries both the name and the digest.

Matching the digest in one entry and the name in another would let bottle B pass under the name of
bottle A wherever one attestation covers both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from brew_provenance.bottle import ALL_TAG, Bottle, BottleFileName, Digest, is_bottle_name, is_hex_digest
from brew_provenance.findings import Finding
from brew_provenance.statement import PROVENANCE_V1, Statement, Subject


class SubjectNaming(Enum):
    """How a signer names its subjects."""

    FILE_NAME = "file-name"
    """The bottle's file name."""

    URL_AND_FILE_NAME = "url-sha256--file-name"
    """The sha256 of the bottle's default URL, then two dashes, then its file name."""


@dataclass(frozen=True)
class Package:
    """A formula at one package version, whichever of its bottles."""

    formula: str
    version: str


@dataclass(frozen=True)
class Question:
    """What is asked: whether there are attestations for this artifact, and whether they hold."""

    label: str
    """What the artifact is called in front of people."""

    digests: tuple[Digest, ...]
    """What is known of the artifact's bytes, an algorithm each, at least one."""

    name: str | None = None
    """The exact subject name that is required, where one is and it is no bottle of a formula."""

    bottle: Bottle | None = None
    """The bottle as its formula describes it, where that is known; it then gives the name."""

    package: Package | None = None
    """Whose bottle it has to be, where no more than that is known of its name."""

    tap: str | None = None
    """The tap that it has to be of, `user/repo` in lower case, where that is known and no bottle says it."""

    predicate_type: str = PROVENANCE_V1
    """The kind of attestation that is asked for."""

    needed_by: str | None = None
    """The formula that needs this one, where it was not asked for itself."""

    def __post_init__(self) -> None:
        if not self.digests:
            raise ValueError("nothing is known of the artifact's bytes")

    @property
    def asked_tap(self) -> str | None:
        """The tap that is asked about, where there is one."""
        return self.bottle.tap if self.bottle is not None else self.tap

    @property
    def is_bottle(self) -> bool:
        """Whether the artifact is a bottle, by its formula or by its name."""
        return self.bottle is not None or self.package is not None or is_bottle_name(self.name or "")


def find_subject(statement: Statement, question: Question, naming: SubjectNaming) -> Subject | Finding:
    """Return the subject that is the artifact, or say why there is none."""
    named = [subject for subject in statement.subject if _has_digest(subject, question.digests)]
    if not named:
        return Finding(
            "subject-digest-mismatch",
            f"{_count(statement)}, none with digest {question.digests[0]}; first: {_names(statement)}",
        )
    for subject in named:
        if other := _contradicting(subject, question.digests):
            return Finding("subject-digests-disagree", f"subject {subject.name!r} also gives {other}")
    problems = [_name_problem(subject, question, naming) for subject in named]
    for subject, problem in zip(named, problems, strict=True):
        if problem is None:
            return subject
    wanted = expected_name(question, naming)
    if wanted is not None and any(subject.name == wanted for subject in statement.subject):
        return Finding(
            "subject-split",
            f"{wanted!r} is attested with another digest; this digest is that of {named[0].name!r}",
        )
    return next(problem for problem in problems if problem is not None)


def expected_name(question: Question, naming: SubjectNaming) -> str | None:
    """Return the exact subject name that is required; None when any will do."""
    if question.bottle is None:
        return question.name
    return _prefix(question.bottle, naming) + str(question.bottle.file_name)


def _prefix(bottle: Bottle, naming: SubjectNaming) -> str:
    if naming is SubjectNaming.URL_AND_FILE_NAME:
        return f"{hashlib.sha256(bottle.url.encode()).hexdigest()}--"
    return ""


def _name_problem(subject: Subject, question: Question, naming: SubjectNaming) -> Finding | None:
    if question.package is not None:
        return _package_problem(subject.name, question.package, naming)
    wanted = expected_name(question, naming)
    if wanted is None or subject.name == wanted:
        return None
    bottle = question.bottle
    if bottle is None:
        if is_bottle_name(wanted) and _bottle_problem(subject.name, BottleFileName.parse(wanted)) is None:
            return None
        return Finding("subject-name-mismatch", f"{subject.name!r} instead of {wanted!r}")
    prefix = _prefix(bottle, naming)
    if not subject.name.startswith(prefix):
        return Finding(
            "subject-other-url", f"{subject.name!r} does not begin with the digest of {bottle.url}"
        )
    return _bottle_problem(subject.name.removeprefix(prefix), bottle.file_name)


def _package_problem(name: str, package: Package, naming: SubjectNaming) -> Finding | None:
    if naming is SubjectNaming.URL_AND_FILE_NAME:
        # The digest of a URL that is not known stands before it.
        prefix, _, rest = name.partition("--")
        name = rest if is_hex_digest("sha256", prefix) else name
    said = f"{name!r} instead of a bottle of {package.formula} {package.version}"
    try:
        found = BottleFileName.parse(name, package.formula)
    except ValueError:
        return Finding("subject-other-formula", said)
    return None if found.version == package.version else Finding("subject-other-version", said)


def _bottle_problem(name: str, wanted: BottleFileName) -> Finding | None:
    said = f"{name!r} instead of {str(wanted)!r}"
    try:
        found = BottleFileName.parse(name)
        if found.formula != wanted.formula and name.startswith(f"{wanted.formula}--"):
            found = BottleFileName.parse(name, wanted.formula)
    except ValueError:
        return Finding("subject-name-not-a-bottle", said)
    if found.formula != wanted.formula:
        return Finding("subject-other-formula", said)
    if found.version != wanted.version:
        return Finding("subject-other-version", said)
    if found.rebuild != wanted.rebuild:
        return Finding("subject-other-rebuild", said)
    # `brew bottle --merge` renames equal bottles to one `all` bottle after they were attested.
    if wanted.tag not in {found.tag, ALL_TAG}:
        return Finding("subject-other-tag", said)
    return None


def _has_digest(subject: Subject, digests: Sequence[Digest]) -> bool:
    return any(subject.digest.get(digest.algorithm) == digest.value for digest in digests)


def _contradicting(subject: Subject, digests: Sequence[Digest]) -> Digest | None:
    known = {digest.algorithm: digest for digest in digests}
    for given in subject.known_digests():
        if given.algorithm in known and known[given.algorithm] != given:
            return given
    return None


def _count(statement: Statement) -> str:
    number = len(statement.subject)
    return "1 subject" if number == 1 else f"{number} subjects"


def _names(statement: Statement) -> str:
    return repr(statement.subject[0].name)
