"""What `attest` has done, for people, for programs, and for the job that it ran in."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import brew_provenance
from brew_provenance.attest.judging import Judging
from brew_provenance.attest.preparing import FoundError, NotAttestedError
from brew_provenance.attest.results import Attested, Report, State
from brew_provenance.errors import BuildSideError
from brew_provenance.policy import PolicyOrigin
from brew_provenance.reports.text import printable

SCHEMA_VERSION: Final = 1
"""Version of the JSON document; grows when a reader of the older one would misread the newer."""

MAX_SUMMARY_BYTES: Final = 512 * 1024
"""What a step adds to the job's summary, of which GitHub takes 1 MiB."""

MAX_TOLD: Final = 50
"""Failures that are told one by one, where there are many of them."""

_LOG = "https://search.sigstore.dev/?logIndex="


@dataclass(frozen=True)
class Result:
    """What a run of `attest` has done, and with what it was judged."""

    report: Report
    repository: str
    bundles: Path
    judging: Judging
    store: str

    @property
    def failures(self) -> Sequence[BuildSideError]:
        """Why it is not complete: one, or one a bottle."""
        failure = self.report.failure
        if failure is None:
            return ()
        return failure.failures if isinstance(failure, NotAttestedError) else (failure,)

    @property
    def is_public_good(self) -> bool:
        """Whether it was signed with Sigstore's public instance, as far as the trusted roots say."""
        return all(root.built_in for root in self.judging.roots)

    def text(self) -> str:
        """Return a line a bottle, and what it all rests on."""
        report = self.report
        width = max(len(state.value) for state in State)
        lines = [f"{one.state.value:<{width}}  {_said(one)}" for one in report.attested]
        lines += (f"{'not published':<{width}}  {printable(name)}" for name in report.waiting)
        lines += (f"{'not signed':<{width}}  {printable(name)}" for name in report.unsigned)
        counts = Counter(one.state.value for one in report.attested)
        counts |= {"not published": len(report.waiting), "not signed": len(report.unsigned)}
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        new = f"{report.newly_signed} signed by this run"
        lines.append(f"{_number(sum(counts.values()), 'bottle')}: {said or 'none'}; {new}")
        return "\n".join([*lines, *self._basis()]) + "\n"

    def _basis(self) -> Iterator[str]:
        for root in self.judging.roots:
            if not root.built_in:
                name = printable(root.name)
                yield f"trusted root: {name} (sha256 {root.sha256[:16]}), not the built-in one"
        policy = self.judging.policy
        if policy.origin is not PolicyOrigin.BUILT_IN:
            yield f"policy: {printable(policy.name)}, not a built-in one"
        yield f"attestations: {printable(self.store)}"

    def json(self) -> str:
        """Return the document of `schemas/attest-v1.schema.json`."""
        report, policy = self.report, self.judging.policy
        document = {
            "schemaVersion": SCHEMA_VERSION,
            "tool": {"name": "brew-provenance", "version": brew_provenance.__version__},
            "complete": report.failure is None,
            "tap": self.judging.tap,
            "repository": self.repository,
            "bundles": str(self.bundles.absolute()),
            "attestations": [self._attestation(one) for one in report.attested],
            "notPublished": list(report.waiting),
            "notSigned": list(report.unsigned),
            "failures": [_failure(failure) for failure in self.failures],
            "basis": {
                "trustedRoots": [
                    {"name": root.name, "sha256": root.sha256, "builtIn": root.built_in}
                    for root in self.judging.roots
                ],
                "policy": {"name": policy.name, "sha256": policy.sha256, "origin": policy.origin.value},
                "store": self.store,
            },
        }
        return json.dumps(document, indent=2, ensure_ascii=True) + "\n"

    def _attestation(self, one: Attested) -> Mapping[str, object]:
        return {
            "bottle": one.name,
            "sha256": one.sha256,
            "state": one.state.value,
            "newlySigned": one.newly_signed,
            "bundle": one.bundle,
            "attestationId": one.attestation_id,
            "signer": one.signer,
            "run": one.run,
            "builder": one.builder,
            "runner": one.runner,
            "formulaPath": one.formula_path,
            "formulaCommit": one.formula_commit,
            "logIndex": one.log_index,
            "notProved": list(one.not_proved),
        }

    def markdown(self) -> str:
        """Return a table for the job's summary, no longer than MAX_SUMMARY_BYTES."""
        report = self.report
        lines = ["## Build provenance of bottles", ""]
        left = len(report.waiting) + len(report.unsigned)
        total = left + len(report.attested)
        lines.append(
            f"{len(report.attested):,} of {_number(total, 'bottle')} attested in {_code(self.store)}."
        )
        for failure in self.failures[:MAX_TOLD]:
            lines += ["", f"**{_code(failure.thing)}**: {_code(failure.cause)}  "]
            lines.append(f"next: {_code(failure.next_step)}")
        if len(self.failures) > MAX_TOLD:
            lines += ["", f"and {len(self.failures) - MAX_TOLD:,} more"]
        lines += [
            "",
            "| bottle | state | formula | built by | log entry |",
            "| --- | --- | --- | --- | --- |",
        ]
        size = sum(len(line) + 1 for line in lines)
        rows = [*map(self._row, report.attested)]
        rows += (f"| {_code(name)} | **not published** | | | |" for name in report.waiting)
        rows += (f"| {_code(name)} | **not signed** | | | |" for name in report.unsigned)
        for number, row in enumerate(rows):
            size += len(row) + 1
            if size > MAX_SUMMARY_BYTES - 100:
                lines += ["", f"and {len(rows) - number:,} more"]
                break
            lines.append(row)
        return "\n".join(lines) + "\n"

    def _row(self, one: Attested) -> str:
        formula = "not bound"
        if one.formula_commit and one.formula_path:
            repository = (one.run or "").partition("/actions/")[0]
            url = f"{repository}/blob/{one.formula_commit}/{one.formula_path}"
            formula = _link(f"{one.formula_path} at {one.formula_commit[:12]}", url)
        builder = _link(one.runner or "the publishing run, as far as is known", one.run or "")
        entry = "" if one.log_index is None else str(one.log_index)
        if entry and self.is_public_good:
            entry = _link(entry, f"{_LOG}{entry}")
        return f"| {_code(one.name)} | {one.state.value} | {formula} | {builder} | {entry} |"


def tell_job(result: Result, environ: Mapping[str, str]) -> None:
    """Write the outputs of the step and the summary of the job, where Actions names files for them.

    Raises BuildSideError when such a file cannot be written.
    """
    report = result.report
    counts = Counter(one.state for one in report.attested)
    ids = dict.fromkeys(one.attestation_id for one in report.attested if one.attestation_id)
    outputs = {
        "attestation-ids": ",".join(ids),
        "bundle-path": str(result.bundles.absolute()),
        "signed": str(report.newly_signed),
        "published": str(counts[State.PUBLISHED]),
        "skipped": str(counts[State.THERE]),
    }
    # A value ends at a line that nobody can know before: none of them can go on as another output.
    end = f"end-{secrets.token_hex(16)}"
    lines = "".join(f"{name}<<{end}\n{value}\n{end}\n" for name, value in outputs.items())
    _append(environ.get("GITHUB_OUTPUT"), lines)
    _append(environ.get("GITHUB_STEP_SUMMARY"), result.markdown())


def _append(path: str | None, text: str) -> None:
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        cause = error.strerror or str(error)
        raise BuildSideError(path, cause, "look at where the runner keeps its files") from error


def _said(one: Attested) -> str:
    said = printable(one.name)
    if one.formula_commit:
        said += f": {printable(one.formula_path or '')} at {one.formula_commit[:12]}"
        said += f", built by {printable(one.runner or '')} in {printable(one.run or '')}"
    elif one.run:
        said += f": published by {printable(one.run)}; its builder and formula are not bound"
    return f"{said}; attestation {printable(one.attestation_id)}" if one.attestation_id else said


def _failure(failure: BuildSideError) -> Mapping[str, object]:
    findings = failure.findings if isinstance(failure, FoundError) else ()
    return {
        "thing": failure.thing,
        "cause": failure.cause,
        "nextStep": failure.next_step,
        "codes": list(dict.fromkeys(finding.code for finding in findings)),
    }


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _code(text: str) -> str:
    """Return text that is shown as it is, in a cell of a table too."""
    return f"`{printable(text).replace('`', ' ').replace('|', ' ')}`"


def _link(text: str, url: str) -> str:
    """Return a link, where its target is plain; else the text alone."""
    plain = re.fullmatch(r"https://[A-Za-z0-9./?=_@+-]+", url, re.ASCII)
    return f"[{_code(text)}]({url})" if plain else _code(text)
