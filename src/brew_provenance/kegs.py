"""Installed kegs, as brew's receipts describe them (`tab.rb` and `sbom.rb` in brew).

Whoever can write to the Cellar controls all of it, installed programs included: a receipt says which
bottle to ask about, and is no evidence of anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from brew_provenance import strictjson
from brew_provenance.bottle import Digest
from brew_provenance.errors import InputError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.statement import summarise

RECEIPT: Final = "INSTALL_RECEIPT.json"
SBOM: Final = "sbom.spdx.json"

MAX_JSON_BYTES: Final = 16 * 1024 * 1024
"""A receipt, which may list every file of a keg, or an SBOM, which lists its packages."""

MAX_FORMULA_BYTES: Final = 1024 * 1024
"""A formula's file."""

_NAME = re.compile(r"\w[\w@+.-]*", re.ASCII)
_FULL_NAME = re.compile(r"(?:[\w-]+/\w[\w.-]*/)?\w[\w@+.-]*", re.ASCII)
# Printable ASCII but for what separates folders; as in the file names of bottles.
_VERSION = re.compile(r"[!-.0-\[\]-~]+")
_TAP = re.compile(r"(?P<user>[\w-]+)/(?:homebrew-|linuxbrew-)?(?P<repository>\w[\w.-]*)", re.ASCII)
# Where homebrew-core once was; `Tab.from_file_content` and `Tap.fetch` in brew.
_ONCE_CORE = {"mxcl/master", "homebrew/homebrew", "linuxbrew/homebrew", "linuxbrew/core"}
_BREW_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?", re.ASCII)
_RIGHT_DEPENDENCIES_SINCE = (1, 1, 6)


@dataclass(frozen=True)
class Keg:
    """One installed version of a formula."""

    name: str
    """The formula's short name, which is the name of the keg's rack."""

    version: str
    """The package version with its revision, `1.25.0_1`, which is the name of the keg's folder."""

    path: Path
    """The keg's folder."""

    tap: str | None
    """The tap that the receipt names, `user/repo` in lower case; None where it names none."""

    poured_from_bottle: bool
    """Whether the receipt says that a bottle was poured; a keg built from source is not a bottle."""

    dependencies: tuple[str, ...] | None
    """What it needs at run time, as the receipt lists it: `name` for homebrew-core, `user/repo/name`
    elsewhere; None where it lists nothing that can be relied on."""

    digest: Digest | None
    """The digest of the bottle that was poured, as the keg's SBOM gives it; None where it gives none.
    Whoever serves the bottle's manifest chose it, and whoever can write to the Cellar can change it:
    a hint where to look, not what was poured."""

    def formula_text(self) -> bytes | None:
        """Return the formula that lies in the keg; None where there is none.

        Raises InputError when it is there and cannot be used.
        """
        try:
            return _read_own(self.path, MAX_FORMULA_BYTES, ".brew", f"{self.name}.rb")
        except FileNotFoundError:
            return None
        except (OSError, FileTooLongError, _UnusableError) as error:
            raise InputError(
                str(self.path / ".brew" / f"{self.name}.rb"), _why(error), f"run `brew reinstall {self.name}`"
            ) from error


@dataclass(frozen=True)
class UnreadableKeg:
    """Something where a keg should be, of which it cannot be known what was installed."""

    path: Path
    """What was found; its name may be anything that a file can have."""

    reason: str
    """What is wrong with it."""


class _UnusableError(ValueError):
    """A keg is not what brew makes; says how."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _Source(_Model):
    tap: StrictStr | None = None


class _Dependency(_Model):
    full_name: StrictStr


class _Receipt(_Model):
    homebrew_version: StrictStr | None = None
    poured_from_bottle: StrictBool | None = None
    tapped_from: StrictStr | None = None
    source: _Source | None = None
    runtime_dependencies: list[_Dependency | StrictStr] | None = None


class _Checksum(_Model):
    algorithm: StrictStr
    value: Annotated[StrictStr, Field(alias="checksumValue")]


class _Package(_Model):
    checksums: list[_Checksum] = []


class _Sbom(_Model):
    # What is no package of ours may look as it likes.
    packages: list[dict[str, Any]]


def installed_kegs(cellar: Path) -> Iterator[Keg | UnreadableKeg]:
    """Yield every keg in the Cellar, in the order of names and of folders.

    Hidden files, and old names that lead to a rack of the same Cellar, are passed over, as brew does.
    Raises InputError when there is no Cellar to read.
    """
    try:
        racks = sorted(cellar.iterdir())
    except OSError as error:
        raise InputError(
            str(cellar), _why(error), "set HOMEBREW_PREFIX to what `brew --prefix` prints"
        ) from error
    for rack in racks:
        if rack.name.startswith("."):
            continue
        try:
            if rack.is_symlink() and _leads_to_rack(rack, cellar):
                continue
            _require_folder(rack)
            kegs = sorted(rack.iterdir())
        except (OSError, _UnusableError) as error:
            yield UnreadableKeg(rack, _why(error))
            continue
        for path in kegs:
            if (keg := _read_keg(path)) is not None:
                yield keg


def _leads_to_rack(rack: Path, cellar: Path) -> bool:
    """Say whether a symlink is one that brew leaves for a formula's old name (`migrator.rb`)."""
    return Path(os.path.realpath(rack)).parent == Path(os.path.realpath(cellar))


def _require_folder(path: Path) -> None:
    if path.is_symlink():
        raise _UnusableError("a symlink, not a folder")
    if not path.is_dir():
        raise _UnusableError("a file, not a folder")


def _read_keg(path: Path) -> Keg | UnreadableKeg | None:
    try:
        if path.name.startswith(".") and not path.is_dir():
            return None
        _require_folder(path)
        return _described(path)
    except ValidationError as error:
        return UnreadableKeg(path, f"{RECEIPT} is no receipt: {summarise(error)}")
    except (OSError, _UnusableError) as error:
        return UnreadableKeg(path, _why(error))


def _described(path: Path) -> Keg:
    name, version = path.parent.name, path.name
    if _NAME.fullmatch(name) is None:
        raise _UnusableError("its rack bears a name that no formula has")
    if _VERSION.fullmatch(version) is None:
        raise _UnusableError("it bears a name that no version has")
    try:
        raw = _read_own(path, MAX_JSON_BYTES, RECEIPT)
    except FileNotFoundError as error:
        raise _UnusableError(f"without {RECEIPT}: nothing says where it came from") from error
    except FileTooLongError as error:
        raise _UnusableError(f"{RECEIPT} is {error}") from error
    try:
        receipt = _Receipt.model_validate(strictjson.loads(raw, MAX_JSON_BYTES))
    except strictjson.MalformedJSONError as error:
        raise _UnusableError(f"{RECEIPT} is no receipt: {error}") from error
    return Keg(
        name,
        version,
        path,
        _tap(receipt),
        bool(receipt.poured_from_bottle),
        _dependencies(receipt),
        _bottle_digest(path, name),
    )


def _tap(receipt: _Receipt) -> str | None:
    named = receipt.source.tap if receipt.source else None
    if receipt.tapped_from not in {None, "path or URL"}:
        named = receipt.tapped_from
    if named is None:
        return None
    match = _TAP.fullmatch(named.lower())
    if match is None:
        raise _UnusableError(f"{RECEIPT} names a tap that no tap can be called")
    tap = f"{match['user']}/{match['repository']}"
    return "homebrew/core" if tap in _ONCE_CORE else tap


def _dependencies(receipt: _Receipt) -> tuple[str, ...] | None:
    version = _BREW_VERSION.search(receipt.homebrew_version or "")
    # Older brews listed wrong ones (`Tab#runtime_dependencies`).
    if receipt.runtime_dependencies is None or version is None:
        return None
    if tuple(int(part or 0) for part in version.groups()) < _RIGHT_DEPENDENCIES_SINCE:
        return None
    names = [
        listed if isinstance(listed, str) else listed.full_name for listed in receipt.runtime_dependencies
    ]
    if not all(map(_FULL_NAME.fullmatch, names)):
        raise _UnusableError(f"{RECEIPT} lists a dependency that no formula can be called")
    return tuple(names)


def _bottle_digest(keg: Path, name: str) -> Digest | None:
    try:
        raw = _read_own(keg, MAX_JSON_BYTES, SBOM)
        sbom = _Sbom.model_validate(strictjson.loads(raw, MAX_JSON_BYTES))
        found = {
            Digest("sha256", checksum.value.lower())
            for package in sbom.packages
            if package.get("SPDXID") == f"SPDXRef-Bottle-{name}"
            for checksum in _Package.model_validate(package).checksums
            if checksum.algorithm == "SHA256"
        }
    except (OSError, ValueError):  # no hint then; a digest that is asked about comes from the formula
        return None
    return found.pop() if len(found) == 1 else None


def _read_own(keg: Path, limit: int, *parts: str) -> bytes:
    """Read a file of a keg that no symlink leads out of it.

    Raises FileNotFoundError, OSError, FileTooLongError, and _UnusableError for what is no file.
    """
    path = keg
    for part in parts:
        path /= part
        if path.is_symlink():
            raise _UnusableError(f"{path.relative_to(keg)} is a symlink")
    # Opening a pipe would wait for whoever writes to it.
    if path.exists() and not path.is_file():
        raise _UnusableError(f"{path.relative_to(keg)} is not a file")
    return read_bounded(path, limit)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
