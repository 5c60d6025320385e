"""brew's configuration as it stands on this machine: folders, mirrors and tokens.

Read as brew reads it (`bin/brew`, `brew.sh`, `utils/os.sh` and `env_config.rb`). Whoever controls the
environment or an env file decides where bytes come from and which tokens go along; nothing in here
says whom to trust.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from brew_provenance.errors import UsageError
from brew_provenance.files import FileTooLongError, read_bounded

SYSTEM_ENV_FILE: Final = Path("/etc/homebrew/brew.env")
"""The env file for all users of the machine."""

MAX_ENV_FILE_BYTES: Final = 1024 * 1024
"""An env file; a line a variable."""

DEFAULT_API_DOMAIN: Final = "https://formulae.brew.sh/api"
DEFAULT_BOTTLE_DOMAIN: Final = "https://ghcr.io/v2/homebrew/core"

_ENVIRONMENT = "the environment"
_GITHUB_TOKENS = ("HOMEBREW_GITHUB_API_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
_LINE = re.compile(r"(?P<name>HOMEBREW_\w*)=(?P<value>.*)", re.ASCII)
_TOKEN = re.compile(r"[!-~]+")
# No user name, no query and no fragment: a mirror's URL is printed, and paths are appended to it.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?"
    r"(?:/[\w.~!$&'()*+,;=:@%/-]*)?",
    re.ASCII,
)


@dataclass(frozen=True)
class BrewEnvironment:
    """Where brew keeps things and fetches them from, and the tokens it was given."""

    prefix: Path
    """What `brew --prefix` prints."""

    cellar: Path
    """What `brew --cellar` prints: the folder of installed kegs."""

    repository: Path
    """What `brew --repository` prints: brew's own checkout, which has the taps."""

    cache: Path
    """What `brew --cache` prints."""

    api_domain: str | None
    """The mirror of the JSON API as it is written; None for the default one."""

    bottle_domain: str | None
    """The mirror of homebrew-core's bottles as it is written; None for the default one."""

    artifact_domain: str | None
    """What stands before the URL of every download, as it is written; None for nothing."""

    artifact_domain_no_fallback: bool
    """Whether nothing is fetched from elsewhere when `artifact_domain` fails."""

    docker_registry_token: str | None = field(repr=False)
    """The bearer token for the registry that bottles come from."""

    docker_registry_basic_auth_token: str | None = field(repr=False)
    """User name and password for it in base64; `none` for no authentication at all."""

    github_api_token: str | None = field(repr=False)
    """The token for GitHub's API, to be sent to its host and nowhere else."""

    github_api_token_from: str | None
    """Where that token was found, `GH_TOKEN in the environment`; None where there is none."""

    no_install_from_api: bool
    """Whether brew reads homebrew-core's formulae from a checkout, not from the API."""

    no_color: bool
    """Whether brew prints without colours."""


class _Setting(NamedTuple):
    value: str
    origin: str
    """The file that says so, or the environment."""


_Settings = Mapping[str, _Setting]


def read_environment(environ: Mapping[str, str], *, home: Path, system: str, machine: str) -> BrewEnvironment:
    """Read brew's configuration from a process environment and from brew's env files.

    `system` and `machine` are what `uname` says: `Darwin` or `Linux`; `arm64`, `x86_64`, … Prefix,
    Cellar and repository are brew's own answers where brew has exported them (`brew shellenv`, or a
    command that brew runs), and are looked for as brew does otherwise; no env file can set them.
    Raises UsageError, which names variable and file, for a value that cannot be used.
    """
    inherited = {name: _Setting(value, _ENVIRONMENT) for name, value in environ.items()}
    prefix = _folder(inherited, "HOMEBREW_PREFIX", _default_prefix(system, machine))
    uninstalled = prefix if _is_apple_silicon(system, machine) else prefix / "Homebrew"
    repository = _folder(inherited, "HOMEBREW_REPOSITORY", _find_repository(prefix) or uninstalled)
    settings = _read_settings(inherited, prefix, home)
    token_from = next((name for name in _GITHUB_TOKENS if _is_set(settings, name)), None)
    return BrewEnvironment(
        prefix=prefix,
        cellar=_folder(inherited, "HOMEBREW_CELLAR", _find_cellar(prefix, repository)),
        repository=repository,
        cache=_folder(settings, "HOMEBREW_CACHE", _default_cache(settings, home, system)),
        api_domain=_domain(settings, "HOMEBREW_API_DOMAIN", DEFAULT_API_DOMAIN),
        bottle_domain=_domain(settings, "HOMEBREW_BOTTLE_DOMAIN", DEFAULT_BOTTLE_DOMAIN),
        artifact_domain=_domain(settings, "HOMEBREW_ARTIFACT_DOMAIN"),
        artifact_domain_no_fallback=_is_set(settings, "HOMEBREW_ARTIFACT_DOMAIN_NO_FALLBACK"),
        docker_registry_token=_token(settings, "HOMEBREW_DOCKER_REGISTRY_TOKEN"),
        docker_registry_basic_auth_token=_token(settings, "HOMEBREW_DOCKER_REGISTRY_BASIC_AUTH_TOKEN"),
        github_api_token=_token(settings, token_from) if token_from else None,
        github_api_token_from=f"{token_from} in {settings[token_from].origin}" if token_from else None,
        no_install_from_api=_is_set(settings, "HOMEBREW_NO_INSTALL_FROM_API"),
        no_color=_is_set(settings, "HOMEBREW_NO_COLOR") or _value(settings, "NO_COLOR") not in {"", "0"},
    )


def _is_apple_silicon(system: str, machine: str) -> bool:
    return (system, machine) == ("Darwin", "arm64")


def _default_prefix(system: str, machine: str) -> Path:
    if system == "Linux":
        return Path("/home/linuxbrew/.linuxbrew")
    return Path("/opt/homebrew" if _is_apple_silicon(system, machine) else "/usr/local")


def _find_repository(prefix: Path) -> Path | None:
    """Follow `bin/brew` to the checkout that it belongs to; None where there is no brew."""
    brew = prefix / "bin" / "brew"
    # What cannot be read is not there, as for the shell's own tests.
    with suppress(OSError):
        if brew.is_symlink():
            return Path(os.path.realpath((brew.parent / brew.readlink()).parent)).parent
        if brew.exists():
            return prefix
    return None


def _find_cellar(prefix: Path, repository: Path) -> Path:
    with suppress(OSError):
        if (repository / "Cellar").is_dir():
            return repository / "Cellar"
    return prefix / "Cellar"


def _default_cache(settings: _Settings, home: Path, system: str) -> Path:
    if system == "Darwin":
        return home / "Library" / "Caches" / "Homebrew"
    inherited = _folder(settings, "HOMEBREW_XDG_CACHE_HOME", home / ".cache")
    return _folder(settings, "XDG_CACHE_HOME", inherited) / "Homebrew"


def _read_settings(inherited: _Settings, prefix: Path, home: Path) -> _Settings:
    """Lay the env files over the environment: the system's, the prefix's, the user's."""
    of_system = _read_env_file(SYSTEM_ENV_FILE)
    settings = {**inherited, **of_system}
    system_again = _is_set(settings, "HOMEBREW_SYSTEM_ENV_TAKES_PRIORITY")
    settings |= _read_env_file(prefix / "etc" / "homebrew" / "brew.env")
    if _is_set(settings, "XDG_CONFIG_HOME"):
        folder = _folder(settings, "XDG_CONFIG_HOME", home) / "homebrew"
    elif _is_set(settings, "HOMEBREW_XDG_CONFIG_HOME"):
        folder = _folder(settings, "HOMEBREW_XDG_CONFIG_HOME", home) / "homebrew"
    else:
        folder = home / ".homebrew"
    settings |= _read_env_file(folder / "brew.env")
    return {**settings, **of_system} if system_again else settings


def _read_env_file(path: Path) -> dict[str, _Setting]:
    try:
        if not path.is_file():
            return {}
        text = read_bounded(path, MAX_ENV_FILE_BYTES).decode("utf-8")
    except OSError:  # brew passes over an env file that it cannot read
        return {}
    except FileTooLongError as error:
        raise UsageError(str(path), str(error), "make brew's env file shorter") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            str(path), f"not UTF-8 at byte {error.start}", "write brew's env file as plain text"
        ) from error
    # The shell's `read` takes blanks off both ends, and a last line that no line break ends is no line.
    lines = [line.strip(" \t") for line in text.split("\n")[:-1]]
    return {
        match["name"]: _Setting(match["value"], str(path))
        for match in map(_LINE.fullmatch, lines)
        if match is not None
    }


def _value(settings: _Settings, name: str) -> str:
    """Return a variable's value; brew takes an empty one as not set."""
    return settings[name].value if name in settings else ""


def _is_set(settings: _Settings, name: str) -> bool:
    return bool(_value(settings, name))


def _folder(settings: _Settings, name: str, default: Path) -> Path:
    value = _value(settings, name)
    if not value:
        return default
    # A relative one would have whoever made the current folder configure us.
    if not value.startswith("/") or "\0" in value:
        raise UsageError(
            f"{name} in {settings[name].origin}", "not an absolute path", "write the whole path, from / on"
        )
    return Path(value)


def _domain(settings: _Settings, name: str, default: str | None = None) -> str | None:
    value = _value(settings, name)
    if not value or value == default:
        return None
    match = _URL.fullmatch(value)
    if match is None or not _is_address(match["host"]) or int(match["port"] or 0) > 65535:
        cause = "not an https URL of a host and a path alone"
    elif match["scheme"] == "http" and not _is_loopback(match["host"]):
        cause = "http is for this machine alone"
    else:
        return value
    # The value is not quoted: a password could stand in it.
    raise UsageError(
        f"{name} in {settings[name].origin}",
        cause,
        "write it like https://mirror.example.com/path, without quotes, user name or query",
    )


def _is_address(host: str) -> bool:
    if not host.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _token(settings: _Settings, name: str) -> str | None:
    value = _value(settings, name)
    # It becomes part of a header, which a line break would end.
    if value and _TOKEN.fullmatch(value) is None:
        raise UsageError(
            f"{name} in {settings[name].origin}",
            "a token has no blanks, line breaks or letters beyond ASCII",
            "set it to the token alone, or to nothing",
        )
    return value or None
