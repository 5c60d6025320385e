"""What a build job writes down of a bottle, for the publishing job to corroborate and to sign.

Build scripts run in the build job and can write any of this. Nothing here is proof of anything until
`attest` has held it against the bottle and the Actions API; even then, some of it is the build job's word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationError,
)

from brew_provenance import strictjson
from brew_provenance.bottle import BottleFileName
from brew_provenance.errors import InputError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.statement import summarise
from brew_provenance.strictjson import MalformedJSONError

MAX_RECORD_BYTES: Final = 256 * 1024
"""A record; real ones have some two kilobytes."""

MAX_REBUILD: Final = (1 << 53) - 1
"""A bottle's rebuild number: the largest that every reader of JSON reads alike (RFC 7493, section 2.2)."""

SUFFIX: Final = ".build-record"
"""How the file's name ends. It stays clear of what brew and Homebrew's actions look for beside bottles,
`*.bottle.json`, `*.json` and `*.tar.gz`, and goes along with what taps upload, `*.bottle.*`."""

_TEXT = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=4096)]
# In these, `$` is the end of the text, and never a line feed before it.
_SHA256 = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
_OBJECT_ID = Annotated[str, StringConstraints(strict=True, pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]
_NUMBER = Annotated[str, StringConstraints(strict=True, pattern=r"^[1-9][0-9]{0,19}$")]
_NEXT_STEP = "run `brew-provenance record` again in the build job"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class RecordedBottle(_Model):
    """The bottle, as its file and brew's `*.bottle.json` describe it."""

    file: _TEXT
    """Its file name, with two dashes."""

    sha256: _SHA256
    formula: _TEXT
    """The short name."""

    version: _TEXT
    """The package version."""

    tag: _TEXT
    rebuild: Annotated[StrictInt, Field(ge=0, le=MAX_REBUILD)]
    json_file: _TEXT
    """Name of its `*.bottle.json`."""

    json_sha256: _SHA256


class RecordedTap(_Model):
    """The tap's repository, as it was when the bottle was built."""

    name: _TEXT
    """`user/repo`."""

    remote: _TEXT
    """`https://github.com/OWNER/REPO`, without `.git`."""

    commit: _OBJECT_ID
    parents: Annotated[tuple[_OBJECT_ID, ...], Field(max_length=64)] = ()
    """The commit's parents: those of a pull request's merge commit are the base and the head."""

    branch: StrictStr | None = None
    """None for a detached head."""

    shallow: StrictBool = False


class RecordedSource(_Model):
    """The formula's stable source."""

    url: _TEXT
    sha256: _SHA256 | None = None
    commit: _OBJECT_ID | None = None


class RecordedFormula(_Model):
    """The formula's file at that commit."""

    path: _TEXT
    """In the tap."""

    blob: _OBJECT_ID
    sha256: _SHA256
    sha256_without_bottle_block: _SHA256
    source: RecordedSource | None = None
    """None where the formula has none, or does not write it out."""


class RecordedBrew(_Model):
    """The brew that built it."""

    version: StrictStr | None = None
    """As the bottle's tab says."""

    commit: _OBJECT_ID | None = None
    """None where brew is no git repository."""


class RecordedRun(_Model):
    """The Actions run that the build was part of, as the runner told its job."""

    server: _TEXT
    """`https://github.com`."""

    repository: _TEXT
    """`OWNER/REPO`."""

    repository_id: _NUMBER
    owner_id: _NUMBER
    workflow_ref: _TEXT
    """`OWNER/REPO/.github/workflows/FILE@REF` of the workflow that was started."""

    ref: _TEXT
    """`refs/pull/123/merge`."""

    sha: _OBJECT_ID
    """The commit that was checked out; for a pull request a merge commit that lands nowhere."""

    head_sha: _OBJECT_ID
    """The commit that the run was started for; for a pull request its head."""

    event_name: _TEXT
    run_id: _NUMBER
    run_attempt: _NUMBER
    job: _TEXT
    """The job's key in its workflow file."""

    job_id: _NUMBER | None = None
    """The job's number, `job.check_run_id`, where the workflow hands it over."""


class RecordedRunner(_Model):
    """The machine, as the runner told its job."""

    name: _TEXT
    os: _TEXT
    arch: _TEXT
    environment: Literal["github-hosted", "self-hosted"]
    image_os: StrictStr | None = None
    image_version: StrictStr | None = None


class BuildRecord(_Model):
    """The record of one bottle, format 1."""

    record: Literal[1] = 1
    tool: _TEXT
    """`brew-provenance 0.1.0`."""

    recorded_at: AwareDatetime
    """In UTC, by the build job's clock."""

    bottle: RecordedBottle
    tap: RecordedTap
    formula: RecordedFormula
    brew: RecordedBrew
    run: RecordedRun
    runner: RecordedRunner

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def from_bytes(cls, raw: bytes, source: str) -> Self:
        """Read a record. Raises InputError, which names `source`, for anything else."""
        try:
            return cls.model_validate(strictjson.loads(raw, MAX_RECORD_BYTES))
        except MalformedJSONError as error:
            raise InputError(source, str(error), _NEXT_STEP) from error
        except ValidationError as error:
            raise InputError(source, f"not a build record: {summarise(error)}", _NEXT_STEP) from error


def record_name(bottle: BottleFileName) -> str:
    """Return the name of the file beside a bottle that its record is in."""
    return str(bottle).removesuffix(".tar.gz") + SUFFIX


def read_record(path: Path) -> BuildRecord:
    """Read a record's file. Raises InputError when it cannot be read or is none."""
    try:
        raw = read_bounded(path, MAX_RECORD_BYTES)
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), _NEXT_STEP) from error
    except FileTooLongError as error:
        raise InputError(str(path), str(error), _NEXT_STEP) from error
    return BuildRecord.from_bytes(raw, str(path))
