"""Folders of bottles as brew leaves them: each bottle's file with the `*.bottle.json` that describes it.

The build job's scripts can put anything there. Links are not followed, and a file that nothing else
speaks for is an error: brew's own test-bot takes it for one as well (`test_bot/formulae.rb` in brew).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brew_provenance.bottlejson import MAX_BYTES, SUFFIX, BottleJSONError, DescribedBottle, read_bottle_json
from brew_provenance.errors import BuildSideError
from brew_provenance.files import FileTooLongError, read_bounded

MAX_ENTRIES: Final = 100_000
"""Files and folders that are looked at."""

_TARBALL = ".tar.gz"
_AGAIN = "bottle it again, with `brew bottle --json`"


@dataclass(frozen=True)
class FoundBottle:
    """A bottle's file, and what brew says of it."""

    path: Path
    """The bottle's file; it has not been read yet."""

    described: DescribedBottle
    json_path: Path
    json_sha256: str
    """Digest of that `*.bottle.json`, in lower-case hexadecimal."""


@dataclass(frozen=True)
class Folders:
    """What is in some folders."""

    bottles: tuple[FoundBottle, ...]
    """In the order of their paths."""

    failures: tuple[BuildSideError, ...]
    """What is there and cannot be used, a file each."""


def find_bottles(folders: Iterable[Path], *, recursive: bool = False) -> Folders:
    """Return the bottles in folders, and what is wrong there; with `recursive`, below them as well.

    Raises BuildSideError when a folder cannot be read, or holds more than MAX_ENTRIES.
    """
    descriptions: list[Path] = []
    tarballs: dict[Path, None] = {}
    for path in _walk(folders, recursive=recursive):
        if path.name.endswith(SUFFIX):
            descriptions.append(path)
        elif path.name.endswith(_TARBALL) and ".bottle." in path.name:
            tarballs[path] = None
    failures: list[BuildSideError] = []
    found: dict[Path, list[FoundBottle]] = {}
    for path in descriptions:
        try:
            for bottle in _read(path):
                found.setdefault(bottle.path, []).append(bottle)
        except BuildSideError as error:
            failures.append(error)
    names: dict[str, list[Path]] = {}
    for path in found.keys() | tarballs.keys():
        names.setdefault(path.name, []).append(path)
    bottles = []
    for path in sorted(found.keys() | tarballs.keys()):
        if why := _problem(path, found.get(path, ()), names[path.name], is_there=path in tarballs):
            failures.append(why)
        else:
            bottles += found[path]
    return Folders(tuple(bottles), tuple(failures))


def is_plain_file(path: Path) -> bool:
    """Say whether there is a file of this name, and no link to one, pipe or device."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _walk(folders: Iterable[Path], *, recursive: bool) -> Iterator[Path]:
    """Yield everything but folders, once each."""
    pending = list(dict.fromkeys(_resolved(folder) for folder in folders))
    seen = set(pending)
    count = 0
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    count += 1
                    if count > MAX_ENTRIES:
                        cause = f"more than the limit of {MAX_ENTRIES:,} files"
                        raise BuildSideError(str(folder), cause, "name the bottles' own folder")
                    path = folder / entry.name
                    if not entry.is_dir(follow_symlinks=False):
                        yield path
                    elif recursive and path not in seen:
                        seen.add(path)
                        pending.append(path)
        except OSError as error:
            raise _unreadable(folder, error) from error


def _resolved(folder: Path) -> Path:
    try:
        return folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> BuildSideError:
    cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return BuildSideError(str(folder), cause, "name the folder that the bottles are in")


def _read(path: Path) -> Iterator[FoundBottle]:
    if not is_plain_file(path):
        raise BuildSideError(str(path), "no plain file, and nothing else is followed", _AGAIN)
    try:
        raw = read_bounded(path, MAX_BYTES)
        described = read_bottle_json(raw)
    except OSError as error:
        raise BuildSideError(str(path), error.strerror or str(error), _AGAIN) from error
    except (FileTooLongError, BottleJSONError) as error:
        raise BuildSideError(str(path), str(error), _AGAIN) from error
    digest = hashlib.sha256(raw).hexdigest()
    for bottle in described:
        yield FoundBottle(path.with_name(str(bottle.file_name)), bottle, path, digest)


def _problem(
    path: Path, found: Sequence[FoundBottle], namesakes: Sequence[Path], *, is_there: bool
) -> BuildSideError | None:
    if not is_there:
        return BuildSideError(
            str(path), f"{found[0].json_path.name} describes it, and it is not there", _AGAIN
        )
    if not is_plain_file(path):
        return BuildSideError(str(path), "no plain file, and nothing else is followed", _AGAIN)
    if not found:
        return BuildSideError(str(path), f"no *{SUFFIX} beside it describes it", _AGAIN)
    if len(found) > 1:
        files = " and ".join(sorted(bottle.json_path.name for bottle in found[:2]))
        return BuildSideError(str(path), f"{files} both describe it", f"remove the wrong one, or {_AGAIN}")
    if len(namesakes) > 1:
        there = ", ".join(str(other.parent) for other in sorted(namesakes)[:3])
        return BuildSideError(path.name, f"it is there {len(namesakes)} times, in {there}", "keep one")
    return None
