"""`brew-provenance gh`: `gh attestation verify` for who calls gh, brew itself among them."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from brew_provenance.bottle import Digest, claimed_bottle_name, hash_stream
from brew_provenance.cli import options
from brew_provenance.errors import InputError, ProvenanceError, UsageError
from brew_provenance.ghdialect import Criteria, Workflow, judge, to_json
from brew_provenance.policy import GITHUB_ACTIONS_ISSUER, Policy, policy_for_tap, read_policy
from brew_provenance.reports.text import printable
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.targets import CORE
from brew_provenance.verify import Verifier

if TYPE_CHECKING:
    from brew_provenance.appraise import Candidate
    from brew_provenance.stores import Store

_FAILURE = 1
_INTERRUPTED = 2
_REPOSITORY = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9._-]+", re.ASCII)
_OWNER = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_MAX_PATTERN = 1000


@dataclass(frozen=True)
class _Setting:
    """What the one who set it up decided; the callers know gh's own flags alone."""

    kit_folder: Path | None
    api: str | None
    policy_file: Path | None
    trusted_root_file: Path | None
    offline: bool


class _MisuseError(click.UsageError):
    exit_code = _FAILURE


class _LikeGh(click.Command):
    """A command that fails as gh does, with exit code 1 for whatever it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _MisuseError(error.format_message(), error.ctx) from error


class _GroupLikeGh(options.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise _MisuseError(error.format_message(), error.ctx) from error


def _failing_like_gh(command: Callable[..., None]) -> Callable[..., None]:
    @wraps(command)
    def run(*arguments: Any, **given: Any) -> None:  # noqa: ANN401 - click's own types
        try:
            command(*arguments, **given)
        except ProvenanceError as error:
            _fail(f"{error.thing}: {error.cause} (next: {error.next_step})")
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)

    return run


@click.group("gh", cls=_GroupLikeGh)
@click.option("--kit", "kit_folder", type=options.PATH, metavar="DIR", help="Find attestations in this kit.")
@click.option("--github-api", "api", metavar="URL", help="Ask this API for attestations instead of GitHub's.")
@click.option(
    "--policy",
    "policy_file",
    type=options.PATH,
    metavar="FILE",
    help="Hold every attestation to this policy besides.",
)
@options.offline
@options.trusted_root
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's own types
    """Answer in place of gh where attestations are verified, brew's own check included.

    Takes the flags of `gh attestation verify` and gives its JSON and its exit codes, without gh, without a
    login, and with --kit without a network. The options here come before `attestation`; `shim` writes a
    program `gh` that has them built in.
    """
    ctx.obj = _Setting(**given)


@command.group("attestation", cls=_GroupLikeGh)
def attestation() -> None:
    """Work with attestations, as `gh attestation` does."""


@attestation.command("verify", cls=_LikeGh)
@click.argument("file", type=options.PATH)
@click.option("--owner", "-o", metavar="OWNER", help="Any repository of this account.")
@click.option("--repo", "-R", metavar="OWNER/REPO", help="This repository.")
@click.option("--bundle", "-b", "bundle_file", type=options.PATH, metavar="FILE", help="Bundles from a file.")
@click.option("--predicate-type", default=PROVENANCE_V1, show_default=True, metavar="TYPE")
@click.option("--cert-identity", metavar="SAN", help="Exactly this subject alternative name.")
@click.option("--cert-identity-regex", "-i", "pattern", metavar="REGEX", help="One that this is found in.")
@click.option("--signer-repo", metavar="OWNER/REPO", help="A workflow of this repository.")
@click.option("--signer-workflow", metavar="WORKFLOW", help="This workflow: OWNER/REPO/PATH[@REF].")
@click.option("--cert-oidc-issuer", "issuer", default=GITHUB_ACTIONS_ISSUER, show_default=True, metavar="URL")
@click.option("--signer-digest", metavar="SHA", help="The signing workflow at this commit.")
@click.option("--source-ref", metavar="REF", help="The source at this ref, in full.")
@click.option("--source-digest", metavar="SHA", help="The source at this commit.")
@click.option("--deny-self-hosted-runners", "deny_self_hosted", is_flag=True)
@click.option("--custom-trusted-root", "custom_root", type=options.PATH, metavar="FILE")
@click.option("--no-public-good", is_flag=True, help="None that Sigstore's public-good instance issued.")
@click.option("--digest-alg", "-d", type=click.Choice(["sha256", "sha512"]), default="sha256")
@click.option("--limit", "-L", type=click.IntRange(1, 1000), default=30, hidden=True)
@click.option("--hostname", metavar="HOST", help="github.com, the one host there is here.")
@click.option("--format", "output_format", type=click.Choice(["json"]), help="Print what was verified.")
@click.pass_obj
@_failing_like_gh
def verify(  # noqa: PLR0913 - one parameter a flag of gh's
    setting: _Setting,
    *,
    file: Path,
    owner: str | None,
    repo: str | None,
    bundle_file: Path | None,
    predicate_type: str,
    cert_identity: str | None,
    pattern: str | None,
    signer_repo: str | None,
    signer_workflow: str | None,
    issuer: str,
    signer_digest: str | None,
    source_ref: str | None,
    source_digest: str | None,
    custom_root: Path | None,
    digest_alg: str,
    limit: int,  # noqa: ARG001 - all there are are looked at
    hostname: str | None,
    output_format: str | None,
    deny_self_hosted: bool,
    no_public_good: bool,
) -> None:
    """Verify FILE's attestations. Exits with 0 when one holds, and with 1 otherwise, as gh does."""
    _check_host(hostname)
    chosen = [given for given in (cert_identity, pattern, signer_repo, signer_workflow) if given is not None]
    if len(chosen) > 1:
        raise UsageError("the signer", "is given in two ways", "give one of the four flags for it")
    account, repository = _read_scope(owner, repo)
    criteria = Criteria(
        account,
        repository,
        issuer,
        identity=cert_identity,
        identity_pattern=_read_pattern(pattern),
        signer_repository=_read_repository("--signer-repo", signer_repo) if signer_repo else None,
        signer_workflow=_read_workflow(signer_workflow) if signer_workflow else None,
        signer_digest=signer_digest,
        source_ref=source_ref,
        source_digest=source_digest,
        deny_self_hosted=deny_self_hosted,
        policy=_policy(setting, repository, is_narrowed=bool(chosen)),
    )
    digests = _hash(file)
    digest = next(digest for digest in digests if digest.algorithm == digest_alg)
    if bundle_file is not None:
        candidates: Sequence[Candidate] = options.read_candidates(bundle_file)
    else:
        candidates = _look_up(setting, account, repository, digest, predicate_type)
    roots = options.load_roots(
        custom_root or setting.trusted_root_file, offline=setting.offline, no_public_good=no_public_good
    )
    accepted, problems = judge(
        candidates,
        Verifier(roots),
        criteria,
        digests=[digest, *(other for other in digests if other != digest)],
        name=claimed_bottle_name(file.name),
        predicate_type=predicate_type,
    )
    if not accepted:
        if problems:
            _fail(f"verification failed: {problems[-1]}")
        # brew takes exactly this for an answer of "none", and everything else for a forgery.
        _fail(f"{digest}: no attestations found")
    if output_format == "json":
        listed = [to_json(found, criteria) for found in accepted]
        options.write_result(json.dumps(listed, ensure_ascii=False, separators=(",", ":")) + "\n", None)
    elif sys.stdout.isatty():
        options.write_result(f"{digest}: verified, by {len(accepted)} attestation(s)\n", None)


@command.command("shim")
@click.argument("folder", type=options.PATH)
@click.pass_obj
def shim(setting: _Setting, folder: Path) -> None:
    """Write FOLDER/gh, a program that answers in place of gh with the options that stand before `shim`.

    Put FOLDER first on the PATH of who is to use it. It is bound to this installation of brew-provenance.
    """
    given = {
        "--kit": setting.kit_folder,
        "--policy": setting.policy_file,
        "--trusted-root": setting.trusted_root_file,
    }
    words = [sys.executable, "-P", "-m", "brew_provenance", "gh"]
    for name, path in given.items():
        if path is not None:
            words += [name, str(path.absolute())]
    if setting.api is not None:
        words += ["--github-api", setting.api]
    if setting.offline:
        words.append("--offline")
    program = folder / "gh"
    if program.exists() and not _is_shim(program):
        raise UsageError(str(program), "is there already, and is another program", "give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            str(folder), error.strerror or str(error), "give a folder that can be written"
        ) from error
    options.write_result(f'#!/bin/sh\n{_MARK}\nexec {shlex.join(words)} "$@"\n', program)
    try:
        program.chmod(0o755)
    except OSError as error:
        raise InputError(str(program), error.strerror or str(error), "give a folder of your own") from error
    options.write_result(f"{program}\n", None)


_MARK = "# Made by `brew-provenance gh shim`."


def _is_shim(program: Path) -> bool:
    with options.open_input(program, "another folder") as stream:
        return _MARK.encode() in stream.read(200)


def _look_up(
    setting: _Setting, owner: str, repository: str | None, digest: Digest, predicate_type: str
) -> Sequence[Candidate]:
    """Return what a kit or GitHub has for a digest. Raises InputError when there was no answer."""
    store: Store
    if setting.kit_folder is not None:
        from brew_provenance.stores.kit import Kit  # noqa: PLC0415 - where one is given

        store = Kit(setting.kit_folder)
        answer = store.resolve([digest])[digest]
    elif setting.offline:
        raise UsageError("--offline", "there is nothing to ask", "give --kit before `attestation`")
    elif repository is None:
        raise UsageError(
            f"--owner {owner}", "attestations are looked up by repository here", "give --repo, or --bundle"
        )
    else:
        from brew_provenance.cli.sources import brew_environment, github_store  # noqa: PLC0415 - not for kits
        from brew_provenance.transport import Transport  # noqa: PLC0415

        with Transport() as transport:
            store = github_store(
                transport,
                [repository],
                api=setting.api,
                environment=brew_environment(),
                predicate_type=predicate_type,
            )
            answer = store.resolve([digest])[digest]
    faults = [finding for finding in answer.findings if finding.is_fault]
    if faults and not answer.candidates:
        raise InputError(str(digest), f"no answer ({faults[0].code})", faults[0].reason.advice)
    return answer.candidates


def _policy(setting: _Setting, repository: str | None, *, is_narrowed: bool) -> Policy | None:
    if setting.policy_file is not None:
        return read_policy(setting.policy_file)
    built_in = policy_for_tap(CORE)
    # brew names the repository alone, which leaves every workflow and branch of it.
    if (
        is_narrowed
        or repository is None
        or repository.lower() not in map(str.lower, built_in.source_repositories)
    ):
        return None
    return built_in


def _hash(file: Path) -> tuple[Digest, ...]:
    if str(file).startswith("oci://"):
        raise UsageError(str(file), "images are not read here", "give a file")
    with options.open_input(file, "a file") as stream:
        try:
            return hash_stream(stream)
        except OSError as error:
            raise InputError(str(file), error.strerror or str(error), "give a readable file") from error


def _read_scope(owner: str | None, repo: str | None) -> tuple[str, str | None]:
    if (owner is None) == (repo is None):
        raise UsageError("--owner, --repo", "one of them is needed", "give --repo OWNER/REPO")
    if repo is not None:
        repository = _read_repository("--repo", repo)
        return repository.partition("/")[0], repository
    if owner is None or _OWNER.fullmatch(owner) is None:
        raise UsageError(f"--owner {owner}", "not an account", "write OWNER")
    return owner, None


def _read_repository(option: str, text: str) -> str:
    if _REPOSITORY.fullmatch(text) is None:
        raise UsageError(f"{option} {text}", "not a repository", "write OWNER/REPO")
    return text


def _read_workflow(text: str) -> Workflow:
    try:
        return Workflow.parse(text)
    except ValueError as error:
        raise UsageError(f"--signer-workflow {text}", "not a workflow", str(error)) from error


def _read_pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    if len(text) > _MAX_PATTERN:
        raise UsageError("--cert-identity-regex", "too long", f"at most {_MAX_PATTERN} characters")
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError("--cert-identity-regex", f"not a pattern: {error}", "mend it") from error


def _check_host(hostname: str | None) -> None:
    host = hostname or os.environ.get("GH_HOST") or "github.com"
    if host != "github.com":
        raise UsageError(f"--hostname {host}", "not known here", "leave it out, and unset GH_HOST")


def _fail(message: str) -> NoReturn:
    click.echo(f"Error: {printable(message)}", err=True)
    sys.exit(_FAILURE)
