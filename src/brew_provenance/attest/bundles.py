"""The folder in which signed bundles wait to be published: what is in it has passed its own check."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from brew_provenance.attest.preparing import check_plain, list_folder
from brew_provenance.bundle import MAX_BUNDLE_BYTES, Bundle, read_bundle
from brew_provenance.errors import BuildSideError
from brew_provenance.files import FileTooLongError, read_bounded, write_whole
from brew_provenance.findings import Finding

SUFFIX: Final = ".sigstore.json"
"""How the names of bundles end, as Sigstore's own clients write them."""

_REMOVE = "remove it, and run `attest` again"
_ROOM = "make room, or name another folder with --bundles, and run `attest` again"


class BundleFolder:
    """A folder of bundles; while it is open, no other process attests with it.

    Every method raises BuildSideError when the file system does not let it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """The folder, which need not exist before it is opened."""

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BuildSideError(str(self.path), error.strerror or str(error), _ROOM) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            cause = "another process attests with it"
            raise BuildSideError(str(self.path), cause, "wait for it, and run `attest` again") from error
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._descriptor)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the bundles, in their order."""
        yield from sorted(name for name in list_folder(self.path) if name.endswith(SUFFIX))

    def holds(self, name: str) -> bool:
        """Say whether there is anything of this name."""
        return os.path.lexists(self.path / name)

    def read(self, name: str) -> Bundle:
        """Return a bundle, of which nothing is verified."""
        path = self.path / name
        check_plain(path)
        try:
            bundle = read_bundle(read_bounded(path, MAX_BUNDLE_BYTES))
        except OSError as error:
            raise BuildSideError(str(path), error.strerror or str(error), _REMOVE) from error
        except FileTooLongError as error:
            raise BuildSideError(str(path), str(error), _REMOVE) from error
        if isinstance(bundle, Finding):
            raise BuildSideError(str(path), f"{bundle.code}: {bundle.detail}", _REMOVE)
        return bundle

    def write(self, name: str, raw: bytes) -> None:
        """Write a bundle whole, or not at all."""
        path = self.path / name
        try:
            write_whole(path, raw)
        except OSError as error:
            raise BuildSideError(str(path), error.strerror or str(error), _ROOM) from error
