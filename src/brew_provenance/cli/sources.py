"""Where formulae and attestations come from, as the options and brew's configuration say."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click
from cryptography.exceptions import UnsupportedAlgorithm

from brew_provenance.bottle import Bottle, BottleTag, Digest
from brew_provenance.brewenv import BrewEnvironment, read_environment
from brew_provenance.check import Trust
from brew_provenance.cli import options, progress
from brew_provenance.errors import InputError, PolicyError, UsageError
from brew_provenance.findings import Finding
from brew_provenance.policy import Policy, policy_for_tap, read_policy
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.stores import Answer, Store
from brew_provenance.stores.kit import Kit
from brew_provenance.taps import Tap
from brew_provenance.targets import CORE
from brew_provenance.trust import TrustedRoot

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from brew_provenance.stores.github import GitHubStore
    from brew_provenance.transport import Transport

_MAX_KEY_BYTES = 64 * 1024

AUDIT_BUDGET: Final = 900.0
"""Seconds that a look-up of an audit may take; there is no limit for all of them together."""

AUDIT_PATIENCE: Final = 300.0
"""Seconds that a look-up of an audit waits when it is asked to.

GitHub's secondary limit asks for a minute, and for more each time. A primary one can last for an hour, which
is left to whoever runs the audit again.
"""

_TAP_OPTION = click.option(
    "--tap",
    metavar="USER/REPO",
    help="The tap of names that are not written user/repo/name. [default: homebrew/core]",
)
_POLICY = click.option(
    "--policy",
    "policy_file",
    type=options.PATH,
    metavar="FILE",
    help="Use this policy instead of the built-in or derived one.",
)
_OPTIONS_OF_FORMULAE = (
    click.option(
        "--kit",
        "kit_folder",
        type=options.PATH,
        metavar="DIR",
        help="Find formulae and attestations in this kit, and nowhere else.",
    ),
    click.option(
        "--tap-dir",
        "tap_folder",
        type=options.PATH,
        metavar="DIR",
        help="Read the formulae of --tap from this git repository.",
    ),
    click.option(
        "--commit", metavar="REV", help="With --tap-dir: as they are at this commit. [default: HEAD]"
    ),
    click.option(
        "--unsigned-api",
        "unsigned",
        is_flag=True,
        help="Take homebrew/core's formulae from the API's unsigned documents.",
    ),
    click.option(
        "--formula-key",
        "key_file",
        type=options.PATH,
        metavar="FILE",
        help="Expect the formula API to be signed with this public key instead of Homebrew's.",
    ),
)
_OPTIONS_OF_STORES = (
    click.option(
        "--github-api", "api", metavar="URL", help="Ask this API for attestations instead of GitHub's."
    ),
    click.option("--refresh", is_flag=True, help="Ask the store also for what this machine remembers of it."),
)
_OPTIONS_OF_TRUST = (_POLICY, options.offline, options.trusted_root, options.no_public_good)
_Option = Callable[[Callable[..., None]], Callable[..., None]]


def brew_environment() -> BrewEnvironment:
    """Return the configuration of brew on this machine."""
    return read_environment(
        os.environ, home=Path.home(), system=platform.system(), machine=platform.machine()
    )


def options_of_sources(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where things come from; it takes them as one `Sources`."""
    return _TAP_OPTION(options_of_one_tap(command))


def options_of_one_tap(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose argument `tap` names the tap the other options of `options_of_sources`."""
    return _with_sources(command, (*_OPTIONS_OF_FORMULAE, *_OPTIONS_OF_STORES, *_OPTIONS_OF_TRUST))


def options_of_formulae(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command those options that say where formulae come from, and no others."""
    return _with_sources(command, (_TAP_OPTION, *_OPTIONS_OF_FORMULAE, options.offline))


def options_of_trust(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command those options that say whom to trust, and no others."""
    return _with_sources(command, _OPTIONS_OF_TRUST)


def _with_sources(command: Callable[..., None], chosen: Sequence[_Option]) -> Callable[..., None]:
    @wraps(command)
    def with_sources(**given: Any) -> None:  # noqa: ANN401 - click's own types
        choices = {name: given.pop(name) for name in Choices.__dataclass_fields__ if name in given}
        with ExitStack() as stack:
            command(sources=Sources(Choices(**choices), stack), **given)

    decorated: Callable[..., None] = with_sources
    for option in reversed(chosen):
        decorated = option(decorated)
    return decorated


@dataclass(frozen=True)
class Choices:
    """What the options say."""

    kit_folder: Path | None = None
    tap: str | None = None
    tap_folder: Path | None = None
    commit: str | None = None
    unsigned: bool = False
    key_file: Path | None = None
    api: str | None = None
    refresh: bool = False
    policy_file: Path | None = None
    offline: bool = False
    trusted_root_file: Path | None = None
    no_public_good: bool = False


class Sources:
    """Everything that a command may ask, made when it is asked for first."""

    def __init__(self, choices: Choices, stack: ExitStack) -> None:
        self._choices = choices
        self._stack = stack
        self._taps: dict[tuple[str, BottleTag | None], Tap] = {}
        self._stores: dict[str, Store] = {}
        if choices.commit is not None and choices.tap_folder is None:
            raise UsageError("--commit", "says nothing without a repository", "give --tap-dir as well")

    @property
    def tap(self) -> str:
        """The tap of short names, `user/repo` in lower case."""
        return (self._choices.tap or CORE).lower()

    @property
    def names_tap(self) -> bool:
        """Whether a tap was named at all."""
        return self._choices.tap is not None

    @property
    def offline(self) -> bool:
        """Whether to do without the network."""
        return self._choices.offline

    @property
    def refresh(self) -> bool:
        """Whether what is remembered is to be asked for again."""
        return self._choices.refresh

    @cached_property
    def environment(self) -> BrewEnvironment:
        """The configuration of brew."""
        return brew_environment()

    @cached_property
    def brew(self) -> Path | None:
        """The brew of this machine; None where there is none."""
        found = shutil.which("brew") or shutil.which("brew", path=str(self.environment.prefix / "bin"))
        return Path(found) if found else None

    @cached_property
    def transport(self) -> Transport:
        """The network."""
        from brew_provenance.transport import Transport  # noqa: PLC0415 - not for what is offline

        return self._stack.enter_context(Transport())

    def tap_for(self, tag: BottleTag | None) -> Callable[[str], Tap]:
        """Return what finds a tap by its name, for the bottles of one tag or of all."""
        return lambda tap: self._tap(tap, tag)

    def audit_store_for(self, tap: str, told: Callable[[str], None]) -> Store:
        """Return the store of a tap's attestations for an audit; `told` hears of long waits.

        It has no memory, as a ledger is one. It waits for as long as a secondary limit of GitHub's lasts, and
        no look-up takes from the time that is allowed for others: there is no saying how many there are.
        """
        if self._kit or self.offline:
            return self.store_for(tap)
        from brew_provenance.transport import Transport  # noqa: PLC0415 - not for what is offline

        transport = self._stack.enter_context(
            Transport(budget=AUDIT_BUDGET, patience=AUDIT_PATIENCE, told=told)
        )
        return _Unhurried(self._github(tap, transport), transport)

    def store_for(self, tap: str) -> Store:
        """Return the store of a tap's attestations."""
        if tap not in self._stores:
            self._stores[tap] = self._kit or self._remembered(tap)
        return self._stores[tap]

    def policy_for(self, tap: str) -> Policy:
        """Return the policy of a tap. Raises PolicyError."""
        if (own := self._own_policy) is None:
            return policy_for_tap(tap)
        if own.tap != tap:
            raise PolicyError(own.name, f"speaks for {own.tap}, not for {tap}", "give the tap's own policy")
        return own

    def roots(self) -> Sequence[TrustedRoot]:
        """Return the roots to trust. Raises TrustError, and UsageError when the options leave none."""
        return options.load_roots(
            self._choices.trusted_root_file,
            offline=self.offline,
            no_public_good=self._choices.no_public_good,
        )

    def trust(self) -> Trust:
        """Return the roots to trust, and what verifies with them. Takes as long as to load cryptography."""
        from brew_provenance.verify import Verifier  # noqa: PLC0415 - while the network is asked

        roots = self.roots()
        return Trust(Verifier(roots), tuple(roots))

    def expected_file(self, bottle: Bottle) -> Path:
        """Return where brew keeps a bottle that it has downloaded."""
        from brew_provenance.downloads import cached_bottle_path, url_for_brew  # noqa: PLC0415 - as above

        environment = self.environment
        url = url_for_brew(bottle, environment.bottle_domain)
        return cached_bottle_path(environment.cache, bottle, url)

    def find_cached(self, bottle: Bottle) -> Path | None:
        """Return a bottle in brew's download cache; None where it is not there."""
        from brew_provenance.downloads import find_cached, url_for_brew  # noqa: PLC0415 - as above

        environment = self.environment
        return find_cached(environment.cache, bottle, url_for_brew(bottle, environment.bottle_domain))

    def fetch(self, bottle: Bottle) -> Path | Finding:
        """Download a bottle into our own cache, from where brew would fetch it, and return its path.

        A finding says why it cannot be had, or that something else was sent. Raises InputError when it
        cannot be kept.
        """
        from brew_provenance.downloads import (  # noqa: PLC0415 - as above
            BottleFetchError,
            fetch_bottle,
            mirrored_urls,
            registry_authorization,
        )
        from brew_provenance.transport import Transport  # noqa: PLC0415 - as above

        if self.offline:
            raise UsageError("--fetch", "needs the network", "leave out --offline")
        environment = self.environment
        with Transport(budget=None) as transport, progress.downloading(str(bottle.file_name)) as show:
            try:
                return fetch_bottle(
                    transport,
                    bottle,
                    options.cache_folder() / "bottles",
                    urls=mirrored_urls(
                        bottle,
                        bottle_domain=environment.bottle_domain,
                        artifact_domain=environment.artifact_domain,
                        no_fallback=environment.artifact_domain_no_fallback,
                    ),
                    authorization=registry_authorization(
                        artifact_domain=environment.artifact_domain,
                        token=environment.docker_registry_token,
                        basic_auth_token=environment.docker_registry_basic_auth_token,
                    ),
                    progress=show,
                )
            except BottleFetchError as error:
                return Finding(error.code, error.detail)

    @cached_property
    def _kit(self) -> Kit | None:
        folder = self._choices.kit_folder
        return Kit(folder) if folder is not None else None

    @cached_property
    def _own_policy(self) -> Policy | None:
        return read_policy(self._choices.policy_file) if self._choices.policy_file else None

    def _tap(self, tap: str, tag: BottleTag | None) -> Tap:
        key = (tap, tag if tap == CORE else None)
        if key not in self._taps:
            self._taps[key] = self._open_tap(tap, tag)
        return self._taps[key]

    def _open_tap(self, tap: str, tag: BottleTag | None) -> Tap:
        if self._kit is not None:
            return self._kit.tap
        if self._choices.tap_folder is not None and tap == self.tap:
            return self._git_tap(self._choices.tap_folder, tap)
        if tap != CORE:
            return self._brew_tap(tap)
        clone = self.environment.repository / "Library" / "Taps" / "homebrew" / "homebrew-core"
        if self.environment.no_install_from_api and clone.is_dir():
            return self._git_tap(clone, tap)
        return self._api_tap(tag)

    def _git_tap(self, folder: Path, tap: str) -> Tap:
        from brew_provenance.taps.git import GitTap  # noqa: PLC0415 - loads libgit2

        return GitTap(folder, tap=tap, commit=self._choices.commit)

    def _brew_tap(self, tap: str) -> Tap:
        from brew_provenance.taps.brew import BrewTap  # noqa: PLC0415 - for other taps alone

        if self.brew is None:
            raise UsageError(
                tap, "only brew, or a clone of it, can describe it", "install brew, or give --tap-dir"
            )
        return BrewTap(self.brew, tap=tap)

    def _api_tap(self, tag: BottleTag | None) -> Tap:
        from brew_provenance.taps.api import ApiTap  # noqa: PLC0415 - for homebrew/core alone

        domain = self.environment.api_domain
        if self._choices.unsigned:
            if self.offline:
                raise UsageError("--unsigned-api", "needs the network", "leave out --offline")
            from brew_provenance.taps.unsignedapi import UnsignedApiTap  # noqa: PLC0415 - as above

            return UnsignedApiTap(self._fetch, domain)
        return ApiTap(
            tag,
            options.cache_folder() / "api",
            now=datetime.now(UTC),
            brew_cache=self.environment.cache,
            fetch=None if self.offline else self._fetch,
            domain=domain,
            key=self._key(),
        )

    def _fetch(self, url: str, max_bytes: int) -> bytes:
        from brew_provenance.transport import Redirects, TransportError  # noqa: PLC0415 - as above

        try:
            reply = self.transport.send(url, limit=max_bytes, redirects=Redirects.ANY_HOST)
        except TransportError as error:
            raise OSError(error.detail) from error
        if reply.status == 404:
            raise FileNotFoundError(url)
        if reply.status != 200:
            raise OSError(f"{url}: answered {reply.status}")
        return reply.body

    def _key(self) -> RSAPublicKey | None:
        if (path := self._choices.key_file) is None:
            return None
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - rarely
        from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

        raw = options.read_limited(path, _MAX_KEY_BYTES, "an RSA public key, as PEM")
        try:
            key = load_pem_public_key(raw)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InputError(str(path), "not a public key", "give an RSA public key, as PEM") from error
        if not isinstance(key, RSAPublicKey):
            raise InputError(str(path), "not an RSA key", "give an RSA public key, as PEM")
        return key

    def _remembered(self, tap: str) -> Store:
        from brew_provenance.stores.cache import CachedStore  # noqa: PLC0415 - not for kits
        from brew_provenance.stores.github import store_name  # noqa: PLC0415
        from brew_provenance.stores.githubapi import DEFAULT_API  # noqa: PLC0415

        repositories = self.policy_for(tap).source_repositories
        base = DEFAULT_API if self._choices.api is None else checked_api(self._choices.api)
        folder = options.cache_folder() / "attestations"
        name = store_name(base, repositories)
        return CachedStore(None if self.offline else self._github(tap, self.transport), folder, name)

    def _github(self, tap: str, transport: Transport) -> Store:
        repositories = self.policy_for(tap).source_repositories
        return github_store(transport, repositories, api=self._choices.api, environment=self.environment)


@dataclass(frozen=True)
class _Unhurried:
    """A store of which every look-up has the whole of the transport's budget."""

    store: Store
    transport: Transport

    @property
    def name(self) -> str:
        return self.store.name

    def resolve(self, digests: Sequence[Digest], *, fresh: bool = False) -> Mapping[Digest, Answer]:
        self.transport.renew()
        return self.store.resolve(digests, fresh=fresh)


def github_store(
    transport: Transport,
    repositories: Sequence[str],
    *,
    api: str | None,
    environment: BrewEnvironment,
    predicate_type: str = PROVENANCE_V1,
) -> GitHubStore:
    """Return the store of some repositories' attestations, at GitHub or at an API that a person named."""
    from brew_provenance.stores.github import GitHubStore  # noqa: PLC0415 - not for kits
    from brew_provenance.stores.githubapi import DEFAULT_API, GitHubAPI  # noqa: PLC0415

    if api is not None and checked_api(api) != DEFAULT_API:
        # The token is for GitHub: another API, which a person named, does not get to see it.
        client = GitHubAPI(transport, api)
    else:
        client = GitHubAPI(
            transport,
            DEFAULT_API,
            token=environment.github_api_token,
            token_name=environment.github_api_token_from or "",
        )
    return GitHubStore(transport, client, repositories, predicate_type=predicate_type)


def checked_api(url: str) -> str:
    """Return the URL of an API that a person named. Raises UsageError when it is not one."""
    from brew_provenance.transport import is_loopback  # noqa: PLC0415 - where an API is named

    try:
        plain = bool(urlsplit(url).netloc) and (url.startswith("https://") or is_loopback(url))
    except ValueError:
        plain = False
    if not plain:
        raise UsageError(f"--github-api {url}", "not an https URL", "write it as https://HOST")
    return url
