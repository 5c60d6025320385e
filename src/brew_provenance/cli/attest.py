"""`brew-provenance attest`: the publishing job signs and publishes what the build jobs recorded."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

import brew_provenance
from brew_provenance.cli import options
from brew_provenance.errors import BuildSideError, InputError, UsageError
from brew_provenance.policy import Policy, policy_for_tap, read_policy
from brew_provenance.reports.text import printable

if TYPE_CHECKING:
    from brew_provenance.attest import Attested, Attester, Judging
    from brew_provenance.transport import Transport

SCHEMA_VERSION: Final = 1
"""Version of the JSON result; grows when a reader of the older one would misread the newer."""

_REPOSITORY = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9._-]+", re.ASCII)
_TAP = re.compile(r"[A-Za-z0-9_-]+/\w[\w.-]*", re.ASCII)
_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "HOMEBREW_GITHUB_API_TOKEN")
_LOG = "https://search.sigstore.dev/?logIndex="
_SUMMARY_BYTES = 512 * 1024
_INTERRUPTED = 130


@click.command("attest")
@click.argument("folder", type=options.PATH, default=Path(), metavar="[DIR]")
@click.option("--tap", metavar="USER/REPO", help="The tap. [default: by the repository's name]")
@click.option("--repo", metavar="OWNER/REPO", help="Where to publish. [default: GITHUB_REPOSITORY]")
@click.option(
    "--bundles",
    "bundles_folder",
    type=options.PATH,
    metavar="DIR",
    help="Where the bundles are kept. [default: attestations in RUNNER_TEMP, or in the current folder]",
)
@click.option(
    "--resume", is_flag=True, help="Publish what is in --bundles and not in the store; sign nothing."
)
@click.option(
    "--without-records",
    is_flag=True,
    help="Attest the publishing run alone, as actions/attest does: neither builder nor formula are bound.",
)
@click.option("--dry-run", is_flag=True, help="Look at everything, and neither sign nor publish.")
@click.option("--no-publish", is_flag=True, help="Sign, check and keep the bundles; publish nothing.")
@click.option(
    "--allow-private", is_flag=True, help="Attest for a private repository: it becomes public in a log."
)
@click.option(
    "--max-per-minute",
    type=click.IntRange(1, 100_000),
    default=75,
    show_default=True,
    metavar="N",
    help="Publish no more than this; GitHub documents 80 a minute.",
)
@click.option(
    "--max-per-hour",
    type=click.IntRange(1, 1_000_000),
    default=480,
    show_default=True,
    metavar="N",
    help="The same in an hour; GitHub documents 500.",
)
@click.option(
    "--identity-token",
    "token_file",
    type=options.PATH,
    metavar="FILE",
    help="Sign as the holder of the OIDC token in FILE, and not with the CI provider's.",
)
@click.option(
    "--trust-config",
    "config_file",
    type=options.PATH,
    metavar="FILE",
    help="Sign with this Sigstore instance; goes with --trusted-root.",
)
@click.option(
    "--github-api",
    "api",
    default="https://api.github.com",
    show_default=True,
    metavar="URL",
    help="GitHub's API.",
)
@click.option("--policy", "policy_file", type=options.PATH, metavar="FILE", help="The tap's own policy.")
@options.trusted_root
@options.output_format("text", "json", "markdown")
@options.output
def command(  # noqa: PLR0913 - one parameter an option
    *,
    folder: Path,
    tap: str | None,
    repo: str | None,
    bundles_folder: Path | None,
    resume: bool,
    without_records: bool,
    dry_run: bool,
    no_publish: bool,
    allow_private: bool,
    max_per_minute: int,
    max_per_hour: int,
    token_file: Path | None,
    config_file: Path | None,
    api: str,
    policy_file: Path | None,
    trusted_root_file: Path | None,
    output_format: str,
    output_file: Path | None,
) -> None:
    """Attest the bottles in DIR: sign, check, publish and read back one attestation for each.

    Run it in the job that publishes, with `permissions:` of `id-token: write`, `attestations: write` and
    `actions: read`. Every bottle is held against its record and against the Actions API before anything is
    signed. Run it again after any failure: nothing is signed or published twice.

    Exits with 0 when every bottle is attested, and with 6 otherwise, after saying what to do.
    """
    if config_file is not None and trusted_root_file is None:
        raise UsageError("--trust-config", "its bundles are checked as well", "give --trusted-root too")
    repository = _repository(repo)
    name = _tap(tap, repository)
    policy = _policy(policy_file, name)
    bundles = bundles_folder or Path(os.environ.get("RUNNER_TEMP") or ".") / "attestations"
    from brew_provenance.transport import Transport  # noqa: PLC0415 - not for --help

    with ExitStack() as stack:
        transport = stack.enter_context(Transport(budget=None, patience=600))
        judging = _judging(trusted_root_file, policy, name)
        pace = (max_per_minute, max_per_hour)
        publishes = not (no_publish or dry_run)
        attester = _attester(transport, judging, repository, api, pace, publishes=publishes)
        try:
            results: Sequence[Attested] | None
            if resume:
                results = attester.resume(bundles)
            else:
                results = _attest(
                    stack,
                    transport,
                    attester,
                    folder,
                    bundles,
                    repository=repository,
                    tap=name,
                    api=api,
                    token_file=token_file,
                    config_file=config_file,
                    with_records=not without_records,
                    allow_private=allow_private,
                    dry_run=dry_run,
                )
        except KeyboardInterrupt:
            options.note("stopped; the same command goes on from what is done")
            sys.exit(_INTERRUPTED)
    if results is None:
        sys.exit(0)
    _tell_actions(results, bundles)
    render = {"text": _text, "json": _json, "markdown": _markdown}[output_format]
    options.write_result(render(results), output_file)


def _attest(  # noqa: PLR0913 - what the options say
    stack: ExitStack,
    transport: Transport,
    attester: Attester,
    folder: Path,
    bundles: Path,
    *,
    repository: str,
    tap: str,
    api: str,
    token_file: Path | None,
    config_file: Path | None,
    with_records: bool,
    allow_private: bool,
    dry_run: bool,
) -> Sequence[Attested] | None:
    from brew_provenance import attest  # noqa: PLC0415 - not for --help
    from brew_provenance.actionsapi import ActionsAPI  # noqa: PLC0415 - as above
    from brew_provenance.signing import Keyless, read_config, read_token  # noqa: PLC0415 - as above

    actions = ActionsAPI(transport, url=api, token=_token())
    if actions.repository(repository).is_private and not allow_private:
        _refuse_private(repository)
    try:
        prepared = attest.prepare(
            folder,
            tap,
            actions,
            publishing_run=os.environ.get("GITHUB_RUN_ID"),
            with_records=with_records,
        )
    except attest.NotAttestedError as error:
        if len(error.failures) > 1:
            for failure in error.failures:
                click.echo(f"{printable(failure.thing)}: {printable(failure.cause)}", err=True)
                click.echo(f"  next: {printable(failure.next_step)}", err=True)
        raise
    for note in prepared.notes:
        options.note(note)
    works = attest.plan(prepared.items, bundles)
    if dry_run:
        options.write_result(
            "".join(f"{printable(item.name)}: {item.digest}\n" for item in prepared.items), None
        )
        return None
    token = read_token(token_file) if token_file is not None else None
    signing = stack.enter_context(Keyless(read_config(config_file), token))
    if signing.claims().get("repository_visibility", "public") != "public" and not allow_private:
        _refuse_private(repository)
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    with options.counter("of the attestations") as count:
        return attester.attest(works, signing, server, count)


def _refuse_private(repository: str) -> None:
    raise BuildSideError(
        repository,
        "it is private, and names, commits and workflows would become public in Sigstore's log",
        "give --allow-private if that is meant",
    )


def _judging(trusted_root_file: Path | None, policy: Policy, tap: str) -> Judging:
    from brew_provenance.attest import Judging  # noqa: PLC0415 - not for --help
    from brew_provenance.verify import Verifier  # noqa: PLC0415 - as above

    roots = tuple(options.load_roots(trusted_root_file, offline=False))
    return Judging(Verifier(roots), roots, policy, tap)


def _attester(  # noqa: PLR0913 - where to publish, and how
    transport: Transport,
    judging: Judging,
    repository: str,
    api: str,
    pace: tuple[int, int],
    *,
    publishes: bool,
) -> Attester:
    from brew_provenance.attest import Attester  # noqa: PLC0415 - not for --help
    from brew_provenance.cli.sources import checked_api  # noqa: PLC0415 - as above
    from brew_provenance.publish import Pace, Publisher  # noqa: PLC0415 - as above
    from brew_provenance.statement import PROVENANCE_V1  # noqa: PLC0415 - as above
    from brew_provenance.stores.github import GitHubStore  # noqa: PLC0415 - as above
    from brew_provenance.stores.githubapi import GitHubAPI  # noqa: PLC0415 - as above

    base = checked_api(api)
    client = GitHubAPI(transport, base, token=_token(), token_name="the token")  # noqa: S106 - its name
    store = GitHubStore(transport, client, [repository], predicate_type=PROVENANCE_V1)
    publisher = None
    if publishes:
        publisher = Publisher(transport, repository=repository, token=_token(), url=base, pace=Pace(*pace))
    return Attester(store, judging, publisher)


def _token() -> str | None:
    return next((value for name in _TOKENS if (value := os.environ.get(name))), None)


def _repository(given: str | None) -> str:
    repository = given or os.environ.get("GITHUB_REPOSITORY") or ""
    if _REPOSITORY.fullmatch(repository) is None:
        thing = f"--repo {repository}" if repository else "the repository"
        raise UsageError(thing, "not OWNER/REPO", "give --repo OWNER/REPO, or run it in GitHub Actions")
    return repository


def _tap(given: str | None, repository: str) -> str:
    if given is not None:
        if _TAP.fullmatch(given) is None:
            raise UsageError(f"--tap {given}", "not the name of a tap", "write it as user/repo")
        return given.lower()
    user, _, name = repository.lower().partition("/")
    if not name.startswith("homebrew-"):
        raise UsageError(repository, "no tap is called as this repository", "give --tap USER/REPO")
    return f"{user}/{name.removeprefix('homebrew-')}"


def _policy(file: Path | None, tap: str) -> Policy:
    if file is None:
        return policy_for_tap(tap)
    policy = read_policy(file)
    if policy.tap != tap:
        raise UsageError(f"--policy {file}", f"speaks for {policy.tap}, not for {tap}", "give the tap's own")
    return policy


def _tell_actions(results: Sequence[Attested], bundles: Path) -> None:
    """Write the outputs of the step and the summary of the job, where Actions has named files for them."""
    counts = Counter(result.state.value for result in results)
    outputs = {
        "attestation-ids": ",".join(dict.fromkeys(r.attestation_id for r in results if r.attestation_id)),
        "bundle-path": str(bundles.absolute()),
        "signed": str(sum(result.newly_signed for result in results)),
        "published": str(counts["published"]),
        "skipped": str(counts["there already"]),
    }
    if any(not value.isprintable() for value in outputs.values()):
        raise UsageError("--bundles", "not one line of text", "give a folder with a plain name")
    lines = "".join(f"{name}={value}\n" for name, value in outputs.items())
    _append("GITHUB_OUTPUT", lines)
    _append("GITHUB_STEP_SUMMARY", _markdown(results))


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable)
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(path, error.strerror or str(error), f"look at {variable}") from error


def _text(results: Sequence[Attested]) -> str:
    counts = Counter(result.state.value for result in results)
    lines = [f"{result.state.value:<14} {printable(result.name)}\n" for result in results]
    said = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    signed = sum(result.newly_signed for result in results)
    return "".join(lines) + f"{len(results)} bottles: {said}; {signed} signed\n"


def _json(results: Sequence[Attested]) -> str:
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "tool": {"name": "brew-provenance", "version": brew_provenance.__version__},
        "attestations": [
            {
                "bottle": result.name,
                "sha256": result.sha256,
                "state": result.state.name.lower(),
                "newlySigned": result.newly_signed,
                "bundle": str(result.bundle) if result.bundle else None,
                "attestationId": result.attestation_id,
                **_evidence(result),
            }
            for result in results
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _evidence(result: Attested) -> Mapping[str, str | int | None]:
    evidence, build = result.assessment.evidence, result.assessment.build
    entry = evidence.log_entry if evidence else None
    return {
        "signer": evidence.claims.identity if evidence else None,
        "logIndex": entry.index if entry else None,
        "builder": build.builder if build else None,
        "run": build.invocation if build else evidence.claims.run_invocation_uri if evidence else None,
        "formulaCommit": build.formula_commit if build else None,
    }


def _markdown(results: Sequence[Attested]) -> str:
    lines = ["## Build provenance\n", f"{len(results)} bottles are attested.\n"]
    lines += ["| bottle | state | formula commit | built by | log entry |", "| --- | --- | --- | --- | --- |"]
    size = 0
    for number, result in enumerate(results):
        row = _row(result)
        size += len(row.encode()) + 1
        if size > _SUMMARY_BYTES:
            lines.append(f"\nand {len(results) - number:,} more")
            break
        lines.append(row)
    return "\n".join(lines) + "\n"


def _row(result: Attested) -> str:
    found = _evidence(result)
    commit, run, index = found["formulaCommit"], found["run"], found["logIndex"]
    cells = [
        _code(result.name),
        result.state.value,
        _code(str(commit)[:12]) if commit else "not bound",
        _link("run", str(run)) if run else "",
        _link(str(index), f"{_LOG}{index}") if index is not None else "",
    ]
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{printable(text).replace('`', ' ').replace('|', ' ')}`"


def _link(text: str, url: str) -> str:
    """Return a link, where its target is plain; else the text alone."""
    plain = re.fullmatch(r"https://[A-Za-z0-9./?=_-]+", url, re.ASCII)
    return f"[{text}]({url})" if plain else text
