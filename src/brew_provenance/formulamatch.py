"""Whether the formula that a bottle was built from is the one by which its tap describes it.

The bottle's digest covers the packed formula; whoever built the bottle wrote it. A tap may go on editing
a formula without making new bottles: it moves a source to another URL, adds a test, marks a deprecation.
So only the tap's formula of the very commit that was built has to have the same text. Of any other one
it is the version and the source's identity that must agree.

An attestation may name the commit, and pin the formula's content at it. Then what is at hand decides
whether that is the formula which describes the bottle: the formula in the bottle, the tap's repository,
the tap's present description, in this order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from brew_provenance.buildtypes.bottle.v1 import FORMULA, SOURCE, BottleBuild
from brew_provenance.findings import Finding
from brew_provenance.formula import Formula, FormulaError, Source
from brew_provenance.formula.bottleblock import as_packed, describe_difference, without_bottle_block
from brew_provenance.formula.ruby import read_formula
from brew_provenance.taps import CommittedFile, History, NoSuchFile


def compare_with_tap(
    packed: bytes, formula: Formula, *, same_commit: bool = False, where: str = "in the bottle"
) -> list[Finding]:
    """Compare the Ruby that was packed into a bottle with the tap's description of the bottle.

    Where the tap's own text is at hand, it is compared outside the bottle block. `same_commit` says
    that the tap's description is of the commit that the bottle is attested to be built from: then
    another text is a mismatch. Otherwise what can be read in both without running Ruby is compared,
    and a note says what was. `where` says in the findings which formula was compared.
    """
    difference = None
    if formula.text is not None:
        try:
            difference = describe_difference(formula.text, packed)
        except FormulaError as error:
            return [Finding("formula-unreadable", str(error))]
        if difference is None:
            return [Finding("formula-content-matches", f"the formula {where} is the tap's")]
        if same_commit:
            return [Finding("formula-text-mismatch", difference)]
    try:
        found = read_formula(packed, tap=formula.tap, name=formula.name)
    except FormulaError as error:
        return [Finding("formula-unreadable", f"the formula {where}: {error}")]
    mismatches = [
        *_compare_versions(found, formula, where),
        *_compare_sources(found.source, formula.source, where),
    ]
    if mismatches:
        return mismatches
    if difference is not None:
        return [Finding("formula-edited-since", difference)]
    return [Finding("formula-compared-by-fields", _compared(found, formula))]


def bind_formula(
    build: BottleBuild,
    formula: Formula | None,
    *,
    version: str | None = None,
    packed: bytes | None = None,
    history: History | None = None,
) -> list[Finding]:
    """Say whether the formula that a build names is the one that describes the bottle.

    `formula` is the tap's description of the bottle, `version` the bottle's package version, `packed` the
    formula in the bottle, and `history` the tap's repository; each is None where it is not at hand.
    Without a fault among them, the findings hold `formula-bound`, which says what the commit was held
    against, or `formula-not-compared`. What `packed` and `formula` say of each other is for
    `compare_with_tap` to tell.
    """
    binding = _Binding(build)
    binding.compare_packed(packed)
    binding.compare_commit(history)
    binding.compare_text(version)
    if formula is not None:
        binding.compare_description(formula, is_packed=packed is not None)
    return binding.result()


@dataclass
class _Binding:
    """What a build's formula was held against so far."""

    build: BottleBuild
    findings: list[Finding] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    """What agrees, in words."""

    text: bytes | None = None
    """The formula without its bottle block, where its digest is the attested one."""

    def result(self) -> list[Finding]:
        """Return the faults; where there is none, everything, and what sums it up."""
        faults = [finding for finding in self.findings if finding.is_fault]
        if faults:
            return faults
        said = f"commit {self.build.formula_commit}, {self.build.formula_path}"
        if not self.confirmed:
            return [*self.findings, Finding("formula-not-compared", said)]
        return [*self.findings, Finding("formula-bound", f"{said}: {'; '.join(self.confirmed)}")]

    def compare_packed(self, packed: bytes | None) -> None:
        """Hold the formula in the bottle against the digest that is attested."""
        if packed is None:
            return
        if _sha256(packed) != self.build.packed_formula_sha256:
            detail = f"sha256 {_sha256(packed)}, attested is {self.build.packed_formula_sha256}"
            self._find("formula-text-mismatch", detail)
            return
        self.text = packed
        self.confirmed.append("the formula in the bottle is the attested one")

    def compare_commit(self, history: History | None) -> None:
        """Hold the file at the attested commit against the digests that are attested."""
        if history is None:
            return
        build, short = self.build, self.build.formula_commit[:12]
        match history.file_at(build.formula_commit, build.formula_path):
            case None:
                self._find("formula-commit-not-in-tap", f"commit {build.formula_commit}")
            case NoSuchFile(why):
                self._find("formula-file-mismatch", f"commit {short}: {why}")
            case CommittedFile() as file:
                if why_not := self._file_mismatch(file):
                    self._find("formula-file-mismatch", f"{build.formula_path} at commit {short}: {why_not}")
                    return
                self.text = without_bottle_block(file.content)
                self.confirmed.append("the tap's file at that commit is the attested one")

    def _file_mismatch(self, file: CommittedFile) -> str | None:
        """Say in what a file is not the attested one."""
        build, attested = self.build, self.build.dependency(FORMULA).digest
        if _sha256(file.content) != build.formula_sha256:
            return f"sha256 {_sha256(file.content)}, attested is {build.formula_sha256}"
        if attested.get("gitBlob", file.blob) != file.blob:
            return f"blob {file.blob}, attested is {attested['gitBlob']}"
        try:
            packed = _sha256(without_bottle_block(file.content))
        except FormulaError as error:
            return str(error)
        if packed != build.packed_formula_sha256:
            return f"sha256 {packed} without its bottle block, attested is {build.packed_formula_sha256}"
        return None

    def compare_text(self, version: str | None) -> None:
        """Hold the attested formula against the attested source, and against the bottle's version."""
        if self.text is None:
            return
        parameters = self.build.parameters
        try:
            found = read_formula(self.text, tap=parameters.tap, name=parameters.formula)
        except FormulaError:
            return  # it may be more than can be read; its text is compared all the same
        if version is not None and found.version not in {None, version}:
            detail = f"version {found.version} in the attested formula, the bottle is of {version}"
            self._find("formula-version-mismatch", detail)
        self._compare_source(found.source, "in the attested formula")

    def compare_description(self, formula: Formula, *, is_packed: bool) -> None:
        """Hold what is attested against the tap's description of the bottle."""
        build = self.build
        same_commit = formula.commit == build.formula_commit
        if same_commit and formula.file_sha256 not in {None, build.formula_sha256}:
            detail = f"sha256 {formula.file_sha256} at that commit, attested is {build.formula_sha256}"
            self._find("formula-file-mismatch", detail)
            return
        if is_packed:
            return
        if self.text is not None:
            self.findings += compare_with_tap(
                self.text, formula, same_commit=same_commit, where="at the attested commit"
            )
            return
        if self._compare_source(formula.source, "in the tap"):
            self.confirmed.append("the source of the tap's description is the attested one")
        if formula.file_sha256 == build.formula_sha256:
            self._match("the tap's present file is the attested one")
        elif formula.text is not None:
            self._compare_present(formula.text)

    def _compare_present(self, text: bytes) -> None:
        try:
            digests = [_sha256(packed) for packed in as_packed(text)]
        except FormulaError as error:
            self._find("formula-unreadable", str(error))
            return
        if self.build.packed_formula_sha256 in digests:
            self._match("the tap's present formula is the attested one, the bottle block apart")
        else:
            self._find("formula-edited-since", "the tap's formula is not the attested one any more")

    def _compare_source(self, ours: Source | None, where: str) -> bool:
        """Compare the attested source with another, and say whether anything in it is the same."""
        try:
            theirs = self.build.dependency(SOURCE).digest
        except KeyError:
            return False
        same = False
        for what, algorithm, value in (
            ("sha256", "sha256", ours and ours.sha256),
            ("commit", "gitCommit", ours and ours.revision),
        ):
            attested = theirs.get(algorithm)
            if attested is None or value is None:
                continue
            if attested != value:
                self._find("formula-source-mismatch", f"source {what} {attested} attested, {value} {where}")
                return False
            same = True
        return same

    def _match(self, how: str) -> None:
        self._find("formula-content-matches", how)
        self.confirmed.append(how)

    def _find(self, code: str, detail: str) -> None:
        self.findings.append(Finding(code, detail))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _compare_versions(packed: Formula, tap: Formula, where: str) -> Iterator[Finding]:
    for what, theirs, ours in (
        ("version", packed.version, tap.version),
        ("revision", packed.revision, tap.revision),
        ("version scheme", packed.version_scheme, tap.version_scheme),
    ):
        if theirs is not None and ours is not None and theirs != ours:
            yield Finding("formula-version-mismatch", f"{what} {theirs} {where}, {ours} in the tap")


def _compare_sources(packed: Source | None, tap: Source | None, where: str) -> Iterator[Finding]:
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
                f"source {what} {theirs or 'not given'} {where}, {ours or 'not given'} in the tap",
            )


def _compared(packed: Formula, tap: Formula) -> str:
    known = {
        "version": packed.version is not None and tap.version is not None,
        "source": packed.source is not None and tap.source is not None,
    }
    same = [what for what, is_known in known.items() if is_known]
    if tap.revision is not None:
        same.append("revision")
    said = f"the same {', '.join(same) or 'name'}"
    unknown = [what for what, is_known in known.items() if not is_known]
    return f"{said}; not compared: {', '.join(unknown)}" if unknown else said
