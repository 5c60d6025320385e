"""Filling a store with what a kit holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from brew_provenance import strictjson
from brew_provenance.bottle import Digest
from brew_provenance.bundle import MAX_BUNDLE_BYTES, MAX_FILE_BYTES, Bundle, read_bundle
from brew_provenance.certificate import ClaimError, Claims, load_certificate
from brew_provenance.errors import KitError, UsageError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.sandbox.github.attestations import (
    AttestationStore,
    InvalidBundleError,
    read_content,
)
from brew_provenance.statement import PROVENANCE_V1
from brew_provenance.stores.kit import Kit
from brew_provenance.strictjson import MalformedJSONError

_NEXT_STEP = "make the kit again"


def load_kit(store: AttestationStore, folder: Path, repository: str) -> int:
    """Put a kit's attestations into a store, as those of one repository, and return how many they are.

    An attestation answers for the digests that it is filed under in the kit, whatever its statement
    says, so that a kit's forgeries are served too. The repository gets the numeric ids that the first
    certificate for it names.

    Raises KitError when the folder is no kit or a file of bundles cannot be read, and UsageError when
    `repository` is not `owner/repository`.
    """
    Kit(folder)
    digests: dict[bytes, set[Digest]] = {}
    for path in sorted((folder / "attestations").glob("*.jsonl")):
        if digest := _digest(path.name):
            for bundle in _read_bundles(path):
                digests.setdefault(bundle, set()).add(digest)
    repository_id, owner_id = _ids(digests, repository)
    try:
        store.add_repository(repository, repository_id=repository_id, owner_id=owner_id)
    except ValueError as error:
        raise UsageError(repository, "not OWNER/REPO", "name the repository of the attestations") from error
    for bundle, filed in digests.items():
        store.add(repository, bundle, digests=sorted(filed), predicate_type=_predicate_type(bundle))
    return len(digests)


def _read_bundles(path: Path) -> Iterator[bytes]:
    if path.is_symlink():
        raise KitError(str(path), "a link, which may lead out of the kit", _NEXT_STEP)
    try:
        lines = read_bounded(path, MAX_FILE_BYTES).split(b"\n")
    except OSError as error:
        raise KitError(str(path), error.strerror or str(error), _NEXT_STEP) from error
    except FileTooLongError as error:
        raise KitError(str(path), str(error), _NEXT_STEP) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            strictjson.loads(line, MAX_BUNDLE_BYTES)
        except MalformedJSONError as error:
            raise KitError(str(path), f"line {number}: {error}", _NEXT_STEP) from error
        yield line


def _digest(file_name: str) -> Digest | None:
    algorithm, _, value = file_name.removesuffix(".jsonl").partition("-")
    try:
        return Digest(algorithm, value)
    except ValueError:
        return None


def _predicate_type(bundle: bytes) -> str:
    # What says nothing readable is served as the provenance that it will be taken for.
    try:
        return read_content(bundle).predicate_type
    except InvalidBundleError:
        return PROVENANCE_V1


def _ids(bundles: Iterable[bytes], repository: str) -> tuple[int | None, int | None]:
    """Return the numeric ids of the repository and its owner, where a certificate names them."""
    for raw in bundles:
        bundle = read_bundle(raw)
        if not isinstance(bundle, Bundle) or bundle.certificate is None:
            continue
        try:
            claims = Claims.from_certificate(load_certificate(bundle.certificate))
        except ClaimError:
            continue
        named = (claims.source_repository_uri or "").lower() == f"https://github.com/{repository}".lower()
        if named and claims.source_repository_id and claims.source_repository_owner_id:
            try:
                return int(claims.source_repository_id), int(claims.source_repository_owner_id)
            except ValueError:
                continue
    return None, None
