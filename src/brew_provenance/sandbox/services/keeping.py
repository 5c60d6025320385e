"""What outlives a run of the sandbox, where it is given a folder: attestations and workflow runs."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from brew_provenance import strictjson
from brew_provenance.bottle import Digest
from brew_provenance.bundle import MAX_BUNDLE_BYTES
from brew_provenance.errors import InputError
from brew_provenance.files import FileTooLongError, read_bounded, write_whole
from brew_provenance.sandbox.github.attestations import AttestationStore, Clock, Repository, Visibility
from brew_provenance.sandbox.github.runs import WorkflowJob, WorkflowRun, WorkflowRuns
from brew_provenance.sandbox.wire import encode_bytes, encode_json

RUNS_FILE: Final = "runs.json"
LOCK_FILE: Final = ".lock"

_MAX_RUNS_BYTES = 64 * 1024 * 1024
_MAX_FILE_BYTES = 2 * MAX_BUNDLE_BYTES
_NEXT_STEP = "give a new folder"


class KeptAttestations(AttestationStore):
    """A store whose attestations are files in a folder, `ID.json`, which it reads when it is made."""

    def __init__(self, folder: Path, clock: Clock = time.time) -> None:
        """Read what the folder has. Raises InputError for what cannot be used."""
        super().__init__(clock)
        self._folder = folder
        self._reads = True
        try:
            folder.mkdir(exist_ok=True)
            paths = sorted(folder.glob("*.json"), key=_number)
        except OSError as error:
            raise InputError(str(folder), error.strerror or str(error), _NEXT_STEP) from error
        for path in paths:
            self._load(path)
        self._reads = False

    def add(
        self,
        repository: str,
        bundle: bytes,
        *,
        digests: Sequence[Digest] | None = None,
        predicate_type: str | None = None,
        initiator: str = "user",
    ) -> int:
        """Add an attestation, as every store does, and write its file. Raises OSError as well."""
        number = super().add(
            repository, bundle, digests=digests, predicate_type=predicate_type, initiator=initiator
        )
        kept, owner = self.get(number), self.repository(repository)
        if kept and owner and not self._reads:
            document = {
                "repository": owner.full_name,
                "repository_id": owner.id,
                "owner_id": owner.owner_id,
                "visibility": owner.visibility.value,
                "bundle": encode_bytes(bundle),
                "digests": [str(digest) for digest in kept.digests],
                "predicate_type": kept.predicate_type,
                "initiator": initiator,
            }
            write_whole(self._folder / f"{number}.json", encode_json(document))
        return number

    def delete(self, attestation_ids: Iterable[int]) -> None:
        """Take attestations out of the store, and delete their files."""
        numbers = list(attestation_ids)
        super().delete(numbers)
        for number in numbers:
            (self._folder / f"{number}.json").unlink(missing_ok=True)

    def _load(self, path: Path) -> None:
        try:
            found: Any = strictjson.loads(read_bounded(path, _MAX_FILE_BYTES), _MAX_FILE_BYTES)
            repository = Repository(
                found["repository"],
                int(found["repository_id"]),
                int(found["owner_id"]),
                Visibility(found["visibility"]),
            )
            self.add_repository(
                repository.full_name,
                repository.visibility,
                repository_id=repository.id,
                owner_id=repository.owner_id,
            )
            # What has an id keeps it.
            self._attestation_ids = itertools.count(_number(path))
            self.add(
                repository.full_name,
                base64.b64decode(found["bundle"], validate=True),
                digests=[Digest.parse(text) for text in found["digests"]],
                predicate_type=found["predicate_type"],
                initiator=found["initiator"],
            )
        except OSError as error:
            raise InputError(str(path), error.strerror or str(error), _NEXT_STEP) from error
        except (FileTooLongError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                str(path), f"not an attestation that a sandbox kept: {error}"[:300], _NEXT_STEP
            ) from error


def load_runs(folder: Path) -> WorkflowRuns:
    """Return the runs that a folder keeps; none where it has no file of them. Raises InputError."""
    runs = WorkflowRuns()
    path = folder / RUNS_FILE
    try:
        found: Any = json.loads(read_bounded(path, _MAX_RUNS_BYTES))
        for each in found:
            run = WorkflowRun(**_with_times(each["run"]))
            runs.put(
                replace(
                    run,
                    referenced_workflows=tuple(
                        (path, commit, ref) for path, commit, ref in run.referenced_workflows
                    ),
                ),
                [
                    replace(job, labels=tuple(job.labels))
                    for job in (WorkflowJob(**_with_times(job)) for job in each["jobs"])
                ],
            )
    except FileNotFoundError:
        return runs
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), _NEXT_STEP) from error
    except (FileTooLongError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(str(path), f"not the runs of a sandbox: {error}"[:300], _NEXT_STEP) from error
    return runs


def save_runs(folder: Path, runs: WorkflowRuns, now: datetime) -> None:
    """Keep runs in a folder; jobs that are said to end when they are asked for end now. Raises OSError."""
    document = [
        {
            "run": asdict(run),
            "jobs": [
                asdict(replace(job, completed_at=job.completed_at or (now if job.conclusion else None)))
                for job in jobs
            ],
        }
        for run, jobs in runs.all
    ]
    write_whole(folder / RUNS_FILE, json.dumps(document, default=_encode_time, indent=1).encode())


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep a folder from other processes, and other worlds of this one, until the context ends.

    Raises InputError when one of them has it, and OSError.
    """
    with (folder / LOCK_FILE).open("wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                str(folder), "another sandbox is using it", "wait for that one, or give another folder"
            ) from error
        yield


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 18 else 0


def _with_times(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value).astimezone(UTC) if name.endswith("_at") and value else value
        for name, value in fields.items()
    }


def _encode_time(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} is not kept")
    return value.isoformat()
