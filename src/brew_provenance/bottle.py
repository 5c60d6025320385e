"""Bottles: digests, tags, and the grammar of bottle file names.

The grammar is Homebrew's (`Bottle::Filename` in brew's `bottle.rb`):
`name--version.tag.bottle[.rebuild].tar.gz`, where `version` is the package version with its
revision (`1.25.0_1`) and `rebuild` is left out when it is 0.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import BinaryIO, Final, Self
from urllib.parse import quote

ALL_TAG: Final = "all"
"""The tag of a bottle that is for every platform."""

_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]*", re.ASCII)

_FILE_NAME = re.compile(
    r"(?P<stem>.+)\.(?P<tag>[a-z0-9_]+)\.bottle\.(?:(?P<rebuild>[1-9][0-9]*)\.)?tar\.gz",
    re.ASCII,
)
# A formula's name in brew: HOMEBREW_TAP_FORMULA_NAME_REGEX in `tap_constants.rb`, less a leading sign.
_FORMULA_NAME = re.compile(r"\w[\w@+.-]*", re.ASCII)
# In no version that brew knows: file names are made of it.
_NOT_IN_VERSION = re.compile(r"[\s/\\]|[^\x21-\x7e]")
_CACHE_PREFIX = re.compile(r"\A[0-9a-f]{64}--", re.ASCII)
_TAG = re.compile(r"(?:(?P<arch>arm64|x86_64|aarch64|arm|intel|ppc64le|ppc)_)?(?P<system>[a-z][a-z0-9_]*)")
_STANDARD_ARCH = {"intel": "x86_64", "arm": "arm64", "aarch64": "arm64"}

# GitHubPackages::URL_REGEX in brew's `github_packages.rb`.
_GITHUB_PACKAGES = re.compile(r"(?:https://ghcr\.io/v2/|docker://ghcr\.io/)[\w-]+/[\w-]+", re.ASCII)
# What Ruby's ERB::Util.url_encode leaves as it is.
_URL_SAFE = "-_.~"

_CHUNK = 1 << 20


@dataclass(frozen=True, order=True)
class Digest:
    """One digest of an artifact: algorithm and lower-case hexadecimal value."""

    algorithm: str
    """`sha256` or `sha512`."""

    value: str
    """Lower-case hexadecimal, of the algorithm's length."""

    def __post_init__(self) -> None:
        if not is_hex_digest(self.algorithm, self.value):
            raise ValueError(f"not a {self.algorithm} digest in lower-case hexadecimal")

    def __hash__(self) -> int:
        # Half the time of the one that a dataclass gets; audits look up a great many.
        return hash(self.value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:HEX` or `sha512:HEX`; upper-case hexadecimal is read as lower-case.

        Raises ValueError for anything else.
        """
        algorithm, colon, value = text.partition(":")
        if not colon or algorithm not in _HEX_LENGTHS:
            raise ValueError("a digest is written sha256:HEX or sha512:HEX")
        value = value.lower()
        if not is_hex_digest(algorithm, value):
            raise ValueError(f"a {algorithm} digest has {_HEX_LENGTHS[algorithm]} hexadecimal digits")
        return cls(algorithm, value)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


def is_hex_digest(algorithm: str, value: str) -> bool:
    """Say whether `value` is lower-case hexadecimal of a supported algorithm's length."""
    return len(value) == _HEX_LENGTHS.get(algorithm) and _HEX.fullmatch(value) is not None


def hash_stream(stream: BinaryIO) -> tuple[Digest, ...]:
    """Return the sha256 and the sha512 digest of everything left in `stream`, read once."""
    hashes = [hashlib.sha256(), hashlib.sha512()]
    while chunk := stream.read(_CHUNK):
        for hasher in hashes:
            hasher.update(chunk)
    return tuple(Digest(hasher.name, hasher.hexdigest()) for hasher in hashes)


@dataclass(frozen=True)
class BottleTag:
    """A bottle tag, equal to another when system and standardised architecture are equal.

    Source: brew's `Utils::Bottles::Tag` (`utils/bottles.rb`).
    """

    system: str
    """`tahoe`, `linux`, `all`, …"""

    arch: str
    """`arm64`, `x86_64`, …; `all` for a bottle that is for every architecture."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a tag as it stands in formulae and file names.

        Raises ValueError when the text is not a tag.
        """
        if text == ALL_TAG:
            return cls(ALL_TAG, ALL_TAG)
        match = _TAG.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a bottle tag")
        if match["system"] == ALL_TAG:
            raise ValueError(f"{text!r} is not a bottle tag: a bottle for every platform has no architecture")
        arch = match["arch"] or "x86_64"
        return cls(match["system"], _STANDARD_ARCH.get(arch, arch))

    def __str__(self) -> str:
        if self.system == ALL_TAG:
            return ALL_TAG
        if self.arch == "x86_64" and self.system != "linux":
            return self.system
        return f"{self.arch}_{self.system}"


@dataclass(frozen=True)
class BottleFileName:
    """The parts of a bottle's file name; `str()` gives the name back to the letter."""

    formula: str
    """The formula's short name, `openssl@3`."""

    version: str
    """The package version with its revision, `1.25.0_1`."""

    tag: str
    """The bottle tag as written."""

    rebuild: int
    """The rebuild number, 0 where the name has none."""

    @classmethod
    def parse(cls, text: str, formula: str | None = None) -> Self:
        """Take a bottle's file name apart.

        A name or a version could itself contain `--`; `formula` says where to cut. Without it, the
        first `--` separates them. Raises ValueError when the text is not a bottle's file name (or
        not one of that formula).
        """
        match = _FILE_NAME.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a bottle's file name")
        if formula is None:
            formula, separator, version = match["stem"].partition("--")
        else:
            separator = "--"
            found, _, version = match["stem"].partition(f"{formula}--")
            if found or not match["stem"].startswith(f"{formula}--"):
                raise ValueError(f"{text!r} is not a file name of a bottle of {formula}")
        if not separator or not version or _FORMULA_NAME.fullmatch(formula) is None:
            raise ValueError(f"{text!r} is not a bottle's file name")
        if _NOT_IN_VERSION.search(version):
            raise ValueError(f"{text!r} holds a version that no bottle can have")
        BottleTag.parse(match["tag"])
        return cls(formula, version, match["tag"], int(match["rebuild"] or 0))

    def __str__(self) -> str:
        rebuild = f".{self.rebuild}" if self.rebuild else ""
        return f"{self.formula}--{self.version}.{self.tag}.bottle{rebuild}.tar.gz"


def claimed_bottle_name(file_name: str) -> str | None:
    """Return the bottle that a file claims to be by its name; None when it claims to be none.

    In brew's download cache the digest of the URL stands before the bottle's own name
    (`AbstractFileDownloadStrategy#cached_location`).
    """
    name = _CACHE_PREFIX.sub("", file_name, count=1)
    return name if is_bottle_name(name) else None


def is_bottle_name(text: str) -> bool:
    """Say whether `text` is the file name of a bottle."""
    try:
        BottleFileName.parse(text)
    except ValueError:
        return False
    return True


def bottle_url(root_url: str, file_name: BottleFileName, digest: Digest) -> str:
    """Return where brew publishes a bottle under a root URL.

    Registries of GitHub Packages hold blobs by digest; anything else holds files, under a name with
    one dash where the local name has two (brew's `Utils::Bottles.path_resolved_basename`).
    """
    if _GITHUB_PACKAGES.match(root_url):
        image = file_name.formula.replace("@", "/").replace("+", "x")
        return f"{root_url}/{image}/blobs/{digest}"
    rest = str(file_name).removeprefix(f"{file_name.formula}--")
    return f"{root_url}/{quote(f'{file_name.formula}-{rest}', safe=_URL_SAFE)}"


@dataclass(frozen=True)
class Bottle:
    """One bottle as a formula describes it."""

    tap: str
    """The tap, `user/repo` in lower case."""

    formula: str
    """The formula's short name."""

    version: str
    """The package version with its revision, `1.25.0_1`."""

    rebuild: int
    """The rebuild number."""

    tag: str
    """The bottle tag as the formula writes it."""

    digest: Digest
    """The bottle's digest, as the formula gives it."""

    url: str
    """Where the bottle is published, on the default domain."""

    path: str | None = None
    """The formula's file in the tap, where that is known."""

    line: int | None = None
    """The line of its digest in that file, counted from 1, where that is known."""

    @property
    def file_name(self) -> BottleFileName:
        """The bottle's file name, which is the subject name of its attestation."""
        return BottleFileName(self.formula, self.version, self.tag, self.rebuild)

    def with_tag(self, tag: str) -> Self:
        """Return the same bottle under another tag."""
        return replace(self, tag=tag)
