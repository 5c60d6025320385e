"""Our SARIF against the schema that Microsoft's own matchers carry: SARIF 2.1.0, as OASIS has it."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from jsonschema.validators import validator_for
from tests.conftest import missing
from tests.unit.audit.audits import (
    REJECTED,
    UNATTESTED,
    UNRESOLVED,
    make_entry,
    make_judgement,
    opened,
    record,
)

from brew_provenance.audit.report import FORMATS

PACKAGE: Final = "@microsoft/jest-sarif@1.0.0-beta.0"
MEMBER: Final = "package/lib/schemas/sarif-2.1.0-rtm.5.json"
SHA512: Final = "A1fOhPd6Ic5iDk4F9YPw1qNB4XF+7+IviR7xl8r2F6QzQkx5cpY9LsGk2rExiFIEcBbjpVnSmwWGBukASkiQ9A=="


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    missing("npm")
    folder = tmp_path_factory.mktemp("sarif")
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--ignore-scripts", PACKAGE],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=300,
    )
    archive = folder / packed.stdout.decode().split()[-1]
    raw = archive.read_bytes()
    assert base64.b64encode(hashlib.sha512(raw).digest()).decode() == SHA512
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(MEMBER)
        assert stream is not None
        return json.loads(stream.read())


def test_sarif_of_a_ledger_has_the_form_of_the_standard(schema: Any, tmp_path: Path) -> None:
    entries = [
        make_entry("bar", judgement=REJECTED),
        make_entry("foo", judgement=UNATTESTED, path=None, line=None),
        make_entry("qux", judgement=UNRESOLVED, version=None, file_name=None),
        make_entry("wat", judgement=make_judgement()),
        make_entry("\u202e</script>\x00", judgement=REJECTED, path="Formula/a b:c\u00e9.rb"),
    ]
    with opened(tmp_path / "ledger.sqlite") as ledger:
        number = record(ledger, entries, finish=False)
        ledger.finish(number, ["a note", "\u202e"])
        document = json.loads("".join(FORMATS["sarif"](ledger, ledger.run(number))))
    assert len(document["runs"][0]["results"]) == 4
    validator = validator_for(schema)
    validator.check_schema(schema)
    validator(schema).validate(document)
    # And the schema is one that says no.
    document["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        validator(schema).validate(document)
