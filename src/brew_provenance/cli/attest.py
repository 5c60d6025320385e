"""`brew-provenance attest`: the publishing job signs and publishes what the build jobs recorded."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from brew_provenance.cli import options, progress
from brew_provenance.errors import BuildSideError, UsageError
from brew_provenance.policy import Policy, policy_for_tap, read_policy
from brew_provenance.reports.text import printable

if TYPE_CHECKING:
    from brew_provenance.actionsapi import ActionsAPI
    from brew_provenance.attest.attester import Attester, Signs
    from brew_provenance.attest.judging import Judging
    from brew_provenance.attest.preparing import Prepared
    from brew_provenance.attest.results import Report
    from brew_provenance.cli.attestreport import Result
    from brew_provenance.stores import Store
    from brew_provenance.transport import Transport
    from brew_provenance.trust import TrustedRoot

_REPOSITORY = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9._-]+", re.ASCII)
_TAP = re.compile(r"[A-Za-z0-9_-]+/\w[\w.-]*", re.ASCII)
_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "HOMEBREW_GITHUB_API_TOKEN")
_SERVER: Final = "https://github.com"
# Longer than GitHub makes anybody wait for its primary limits, which is an hour.
_PATIENCE: Final = 4000.0
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
@click.option(
    "--allow-unrecorded",
    is_flag=True,
    help="Attest bottles that have no record in that way, and the others with theirs.",
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
    help="Sign as the holder of the OIDC token in FILE, and not with the one that GitHub gives the job.",
)
@click.option(
    "--trust-config",
    "config_file",
    type=options.PATH,
    metavar="FILE",
    help="Sign with this Sigstore instance, and trust its root unless --trusted-root names another.",
)
@click.option(
    "--github-api",
    "api",
    default="https://api.github.com",
    show_default=True,
    metavar="URL",
    help="GitHub's API, which gets the token in GITHUB_TOKEN.",
)
@click.option(
    "--policy",
    "policy_file",
    type=options.PATH,
    metavar="FILE",
    help="Use this policy instead of the built-in or derived one.",
)
@options.trusted_root
@options.output_format("text", "json", "markdown")
@options.output
def command(  # noqa: PLR0913 - one parameter an option that is read here
    *,
    folder: Path,
    repo: str | None,
    tap: str | None,
    bundles_folder: Path | None,
    output_format: str,
    output_file: Path | None,
    **given: Any,  # noqa: ANN401 - click's own types
) -> None:
    """Attest the bottles in DIR: sign, check, publish and read back one attestation for each.

    Run it in the job that publishes, with `permissions:` of `id-token: write`, `attestations: write` and
    `actions: read`. Every bottle is held against its record and against the Actions API before anything is
    signed. Run it again after any failure: nothing is signed or published twice.

    Exits with 0 when every bottle is attested, and with 6 otherwise, after saying what to do.
    """
    repository = _repository(repo)
    name = _tap(tap, repository)
    bundles = bundles_folder or Path(os.environ.get("RUNNER_TEMP") or ".") / "attestations"
    choices = _Choices(folder, name, repository, bundles, **given)
    try:
        with ExitStack() as stack:
            result = _Run(choices, stack).result()
    except KeyboardInterrupt:
        options.note("stopped; the same command goes on from what is done")
        sys.exit(_INTERRUPTED)
    _finish(result, output_format, output_file, told=not choices.dry_run)


def _finish(result: Result, output_format: str, output_file: Path | None, *, told: bool) -> None:
    from brew_provenance.cli.attestreport import MAX_TOLD, tell_job  # noqa: PLC0415 - not for --help

    render = {"text": result.text, "json": result.json, "markdown": result.markdown}[output_format]
    options.write_result(render(), output_file)
    if told:
        tell_job(result, os.environ)
    failure = result.report.failure
    if failure is None:
        sys.exit(0)
    if len(result.failures) > 1:
        for one in result.failures[:MAX_TOLD]:
            click.echo(f"{printable(one.thing)}: {printable(one.cause)}", err=True)
            click.echo(f"  next: {printable(one.next_step)}", err=True)
    raise failure


@dataclass(frozen=True)
class _Choices:
    """What the options say."""

    folder: Path
    tap: str
    repository: str
    bundles: Path
    resume: bool
    without_records: bool
    allow_unrecorded: bool
    dry_run: bool
    no_publish: bool
    allow_private: bool
    max_per_minute: int
    max_per_hour: int
    token_file: Path | None
    config_file: Path | None
    api: str
    policy_file: Path | None
    trusted_root_file: Path | None


class _Run:
    """One run of the command, with all that it needs."""

    def __init__(self, choices: _Choices, stack: ExitStack) -> None:
        from brew_provenance.actionsapi import ActionsAPI  # noqa: PLC0415 - not for --help
        from brew_provenance.cli.sources import checked_api  # noqa: PLC0415 - as above
        from brew_provenance.transport import Transport  # noqa: PLC0415 - as above

        self._choices = choices
        self._stack = stack
        self._policy = _policy(choices.policy_file, choices.tap)
        self._api = checked_api(choices.api)
        self._token = next((value for name in _TOKENS if (value := os.environ.get(name))), None)
        self._transport: Transport = stack.enter_context(Transport(budget=None, patience=_PATIENCE))
        self._actions: ActionsAPI = ActionsAPI(self._transport, url=self._api, token=self._token)

    def result(self) -> Result:
        """Do what was asked for, and return what was done."""
        from brew_provenance.attest.preparing import NotAttestedError  # noqa: PLC0415 - not for --help
        from brew_provenance.attest.results import Report  # noqa: PLC0415 - as above
        from brew_provenance.cli.attestreport import Result  # noqa: PLC0415 - as above

        choices = self._choices
        judging, store = self._judging(), self._store()
        if self._actions.repository(choices.repository).is_private:
            self._refuse_private()
        try:
            report = self._resume(judging, store) if choices.resume else self._attest(judging, store)
        except NotAttestedError as error:
            report = Report(failure=error, unsigned=sorted(error.names))
        return Result(report, choices.repository, choices.bundles, judging, store.name)

    def _attest(self, judging: Judging, store: Store) -> Report:
        from brew_provenance.attest.planning import plan  # noqa: PLC0415 - not for --help
        from brew_provenance.attest.results import Report  # noqa: PLC0415 - as above

        prepared = self._prepare()
        for note in prepared.notes:
            options.note(note)
        if self._choices.dry_run:
            return Report(unsigned=[item.name for item in prepared.items])
        attester = self._attester(judging, store)
        with progress.counting("bottles attested") as count:
            return attester.attest(plan(prepared.items), self._signing, _SERVER, count)

    def _resume(self, judging: Judging, store: Store) -> Report:
        attester = self._attester(judging, store)
        with progress.counting("bottles attested") as count:
            return attester.resume(count)

    def _prepare(self) -> Prepared:
        from brew_provenance.attest.preparing import prepare  # noqa: PLC0415 - not for --help

        choices = self._choices
        with progress.counting("bottles looked at") as count:
            return prepare(
                choices.folder,
                choices.tap,
                choices.repository,
                self._actions,
                publishing_run=os.environ.get("GITHUB_RUN_ID"),
                with_records=not choices.without_records,
                allow_unrecorded=choices.allow_unrecorded,
                progress=count,
            )

    def _attester(self, judging: Judging, store: Store) -> Attester:
        from brew_provenance.attest.attester import Attester  # noqa: PLC0415 - not for --help
        from brew_provenance.attest.bundles import BundleFolder  # noqa: PLC0415 - as above
        from brew_provenance.publish import Publisher, pace_of  # noqa: PLC0415 - as above

        choices, publisher = self._choices, None
        if not choices.no_publish:
            pace = pace_of(choices.max_per_minute, choices.max_per_hour)
            publisher = Publisher(
                self._transport, repository=choices.repository, token=self._token, url=self._api, pace=pace
            )
        folder = self._stack.enter_context(BundleFolder(choices.bundles))
        return Attester(folder, store, judging, publisher)

    def _signing(self) -> Signs:
        from brew_provenance.signing import Keyless, read_config, read_token  # noqa: PLC0415 - not for --help

        choices = self._choices
        token = read_token(choices.token_file) if choices.token_file is not None else None
        signing = self._stack.enter_context(Keyless(read_config(choices.config_file), token))
        if signing.claims().get("repository_visibility", "public") != "public":
            self._refuse_private()
        return signing

    def _judging(self) -> Judging:
        from brew_provenance.attest.judging import Judging  # noqa: PLC0415 - not for --help
        from brew_provenance.verify import Verifier  # noqa: PLC0415 - as above

        roots = tuple(self._roots())
        return Judging(Verifier(roots), roots, self._policy, self._choices.tap)

    def _roots(self) -> Sequence[TrustedRoot]:
        choices = self._choices
        if choices.trusted_root_file is None and choices.config_file is not None:
            from brew_provenance.signing import read_root  # noqa: PLC0415 - not for --help

            return [read_root(choices.config_file)]
        return options.load_roots(choices.trusted_root_file, offline=False)

    def _store(self) -> Store:
        from brew_provenance.statement import PROVENANCE_V1  # noqa: PLC0415 - not for --help
        from brew_provenance.stores.github import GitHubStore  # noqa: PLC0415 - as above
        from brew_provenance.stores.githubapi import GitHubAPI  # noqa: PLC0415 - as above

        client = GitHubAPI(self._transport, self._api, token=self._token)
        repositories = [self._choices.repository]
        return GitHubStore(self._transport, client, repositories, predicate_type=PROVENANCE_V1)

    def _refuse_private(self) -> None:
        if self._choices.allow_private:
            return
        raise BuildSideError(
            self._choices.repository,
            "it is private, and names, commits and workflows would become public in Sigstore's log",
            "give --allow-private if that is meant",
        )


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
