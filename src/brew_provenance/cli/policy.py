"""`brew-provenance policy`: whose attestations count, as a policy says it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from brew_provenance.cli import options
from brew_provenance.policy import GITHUB_ACTIONS_ISSUER, Policy, Signer, policy_for_tap, read_policy
from brew_provenance.reports.text import printable

SCHEMA_VERSION: Final = 1
"""Version of the JSON; grows when a reader of the older one would misread the newer."""


@click.group("policy", cls=options.Group)
def command() -> None:
    """Look at policies: which signers may attest which tap's bottles."""


@command.command("show")
@click.argument("tap", metavar="USER/REPO")
@options.output_format("text", "json")
@options.output
def show(tap: str, output_format: str, output_file: Path | None) -> None:
    """Print the policy in force for a tap: the built-in one, or the one derived from its name.

    The text is TOML, every default written out: a file to begin with, for --policy.
    """
    policy = policy_for_tap(tap)
    if output_format == "json":
        text = _as_json(policy)
    else:
        said = (f"origin: {policy.origin.value}", f"name: {policy.name}", f"sha256: {policy.sha256}")
        text = "".join(f"# {printable(line)}\n" for line in said) + policy.to_toml()
    options.write_result(text, output_file)


@command.command("check")
@click.argument("file", type=options.PATH)
@options.output_format("text", "json")
@options.output
def check(file: Path, output_format: str, output_file: Path | None) -> None:
    """Read the policy in FILE, and say what it allows, a sentence for each signer.

    Exits with 0, or with 2 and the reason when it is no policy.
    """
    policy = read_policy(file)
    text = _as_json(policy) if output_format == "json" else "\n".join(_lines(policy)) + "\n"
    options.write_result(text, output_file)


def _as_json(policy: Policy) -> str:
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "name": policy.name,
        "origin": policy.origin.value,
        "tap": policy.tap,
        "sha256": policy.sha256,
        "signers": [
            signer.model_dump(mode="json", by_alias=True, exclude_none=True) for signer in policy.signers
        ],
    }
    return json.dumps(document, ensure_ascii=True, indent=2) + "\n"


def _lines(policy: Policy) -> Iterator[str]:
    yield f"name: {printable(policy.name)}"
    yield f"tap: {printable(policy.tap or '')}"
    yield f"signers: {len(policy.signers)}"
    yield f"sha256: {policy.sha256}"
    for number, signer in enumerate(policy.signers, 1):
        yield f"signer {number}, {printable(signer.name)}: {'; '.join(_conditions(signer))}."


def _conditions(signer: Signer) -> Iterator[str]:
    """Yield all that a signer demands, defaults too; of issuers, another than GitHub Actions alone."""
    holder = signer.signer_repository or signer.source_repository
    yield f"gives {signer.gives.value}"
    yield f"for runs of {signer.source_repository} at {_any_of(signer.source_refs, 'ref')}"
    yield (
        f"signed by {_any_of(signer.workflows, 'workflow')} of {holder} "
        f"at {_any_of(signer.signer_refs or signer.source_refs, 'ref')}"
    )
    if signer.issuer != GITHUB_ACTIONS_ISSUER:
        yield f"with a token of {printable(signer.issuer)}"
    if signer.source_repository_id is not None:
        yield f"repository id {printable(signer.source_repository_id)}"
    if signer.source_owner_id is not None:
        yield f"owner id {printable(signer.source_owner_id)}"
    yield f"on {' or '.join(signer.runner_environments)} runners"
    yield f"describing {' or '.join(signer.build_types)}"
    builders = [
        f"any workflow of {signer.source_repository}" if one == "*" else one for one in signer.builders
    ]
    yield f"built by {' or '.join(builders)} on {' or '.join(signer.builder_environments)} runners"
    if signer.valid_from is not None:
        yield f"signed from {signer.valid_from.isoformat()} on"
    if signer.valid_until is not None:
        yield f"signed until {signer.valid_until.isoformat()}"
    yield f"subjects named by {signer.subject_naming.value}"


def _any_of(values: Sequence[str], what: str) -> str:
    # One star among others allows everything, whatever stands beside it.
    return f"any {what}" if "*" in values else " or ".join(map(printable, values))
