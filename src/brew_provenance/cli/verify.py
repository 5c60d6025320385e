"""`brew-provenance verify`: an artifact's attestations, from files of bundles."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from brew_provenance.appraise import appraise
from brew_provenance.bottle import Digest, claimed_bottle_name, hash_stream
from brew_provenance.check import bind_file
from brew_provenance.cli import options
from brew_provenance.errors import InputError, UsageError
from brew_provenance.policy import GITHUB_ACTIONS_ISSUER, policy_for_repository
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.subject import Question
from brew_provenance.verdict import Basis
from brew_provenance.verify import Verifier


@click.command("verify")
@click.argument("artifact", metavar="ARTIFACT|sha256:HEX")
@options.bundles
@click.option(
    "--repo", required=True, metavar="OWNER/REPO", help="The source repository whose run has to be attested."
)
@click.option(
    "--signer-workflow",
    "signer_workflows",
    multiple=True,
    metavar="WORKFLOW",
    help="Accept this signing workflow only: [OWNER/REPO/].github/workflows/FILE[@REF]. Repeatable.",
)
@click.option(
    "--signer-repo",
    metavar="OWNER/REPO",
    help="Accept workflows of this repository as signers, instead of those of --repo.",
)
@click.option("--source-ref", metavar="REF", help="Accept this source ref only, in full: refs/heads/main.")
@click.option(
    "--predicate-type",
    default=PROVENANCE_V1,
    show_default=True,
    metavar="TYPE",
    help="The kind of attestation to look for.",
)
@click.option(
    "--subject-name",
    metavar="NAME",
    help="The name that has to be attested. For a file named as a bottle, that name; else none.",
)
@click.option("--deny-self-hosted", is_flag=True, help="Reject attestations signed on self-hosted runners.")
@click.option(
    "--cert-oidc-issuer",
    "issuer",
    default=GITHUB_ACTIONS_ISSUER,
    show_default=True,
    metavar="URL",
    help="The OIDC issuer that the certificate has to name, exactly.",
)
@options.offline
@options.trusted_root
@options.no_public_good
@options.for_verdicts
def command(  # noqa: PLR0913 - one parameter an option
    *,
    artifact: str,
    bundle_files: Sequence[Path],
    repo: str,
    signer_workflows: Sequence[str],
    signer_repo: str | None,
    source_ref: str | None,
    predicate_type: str,
    subject_name: str | None,
    issuer: str,
    trusted_root_file: Path | None,
    output: options.Output,
    deny_self_hosted: bool,
    no_public_good: bool,
    offline: bool,
) -> None:
    """Verify the attestations of ARTIFACT, a file or a digest, that files of bundles hold.

    Exits with 0 when one attestation passes every step, 3 when there is evidence and it is wrong, 4 when
    nothing applies, 5 when it could not be judged.
    """
    policy = policy_for_repository(
        repo,
        signer_workflows=signer_workflows,
        signer_repository=signer_repo,
        source_ref=_full_ref(source_ref),
        issuer=issuer,
        deny_self_hosted=deny_self_hosted,
    )
    question = _ask(artifact, subject_name, predicate_type)
    candidates = [candidate for path in bundle_files for candidate in options.read_candidates(path)]
    roots = options.load_roots(trusted_root_file, offline=offline, no_public_good=no_public_good)
    basis = Basis(tuple(roots), policy, ", ".join(str(path) for path in bundle_files))
    notes = [finding for root in roots for finding in root.findings]
    # The formula in a bottle can be held against what is attested; there is no tap to ask.
    name, file = question.name, Path(artifact)
    bind = partial(bind_file, file, name, question.digests) if name is not None and file.exists() else None
    verdict = appraise(question, candidates, Verifier(roots), basis, notes, bind=bind)
    output.write([verdict])
    sys.exit(verdict.outcome.exit_code)


def _ask(artifact: str, subject_name: str | None, predicate_type: str) -> Question:
    path = Path(artifact)
    if artifact.startswith(("sha256:", "sha512:")) and not path.exists():
        try:
            digests: tuple[Digest, ...] = (Digest.parse(artifact),)
        except ValueError as error:
            raise UsageError(artifact, str(error), "give a file, sha256:HEX or sha512:HEX") from error
        return Question(artifact, digests, subject_name, predicate_type=predicate_type)
    with options.open_input(path, "a file, sha256:HEX or sha512:HEX") as stream:
        try:
            digests = hash_stream(stream)
        except OSError as error:
            raise InputError(
                artifact, error.strerror or str(error), "give a file that can be read"
            ) from error
    name = subject_name or claimed_bottle_name(path.name)
    return Question(artifact, digests, name, predicate_type=predicate_type)


def _full_ref(ref: str | None) -> str | None:
    if ref is not None and not ref.startswith("refs/"):
        raise UsageError(
            f"--source-ref {ref}", "a ref is compared in full", f"write refs/heads/{ref} or refs/tags/{ref}"
        )
    return ref
