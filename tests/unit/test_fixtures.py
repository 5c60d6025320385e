"""The tap in formula-fixtures agrees with itself and with our reading of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from brew_provenance.bottle import BottleFileName
from brew_provenance.formula.apijson import read_formula

REPOSITORY = Path(__file__).resolve().parents[2]
TAP = REPOSITORY / "formula-fixtures"
FORMULAE = sorted(TAP.glob("Formula/*/*.rb"))
BOTTLES = sorted(TAP.glob("bottles/*"))


def read_json(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def ruby_digests(name: str) -> dict[str, str]:
    ruby = (TAP / "Formula" / name[0] / f"{name}.rb").read_text(encoding="utf-8")
    return dict(re.findall(r'^    sha256 .*?(\w+): +"([0-9a-f]{64})"$', ruby, re.MULTILINE))


def run_script(repository: Path, *arguments: str) -> tuple[int, str, str]:
    run = subprocess.run(
        [sys.executable, repository / "scripts" / "fixtures", *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the tap and its script, in a repository of their own."""
    shutil.copytree(TAP, tmp_path / "formula-fixtures")
    (tmp_path / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "fixtures", tmp_path / "scripts")
    return tmp_path


def test_what_is_committed_is_what_the_script_makes() -> None:
    assert run_script(REPOSITORY, "--check") == (0, "", "")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("bottles/salutations--4.2.all.bottle.tar.gz", b"not gzip"),
        ("bottles/salutations--4.2.all.bottle.tar.gz", gzip.compress(b"", mtime=0)),
        ("bottle-json/salutations--4.2.all.bottle.json", b"{}"),
        ("api/draft.json", b"{}"),
    ],
)
def test_a_changed_file_is_named_and_made_again(copy: Path, path: str, content: bytes) -> None:
    file = copy / "formula-fixtures" / path
    before = file.read_bytes()
    file.write_bytes(content)
    code, output, errors = run_script(copy, "--check")
    assert (code, errors) == (1, "")
    assert f"{path}: differs\n" in output
    assert file.read_bytes() == content
    assert run_script(copy)[0] == 0
    assert run_script(copy, "--check") == (0, "", "")
    if not path.startswith("bottles/"):
        assert file.read_bytes() == before


def test_a_changed_formula_is_noticed(copy: Path) -> None:
    formula = copy / "formula-fixtures" / "Formula" / "d" / "draft.rb"
    formula.write_text(formula.read_text(encoding="utf-8").replace("0.1.0", "0.1.1"), encoding="utf-8")
    assert run_script(copy, "--check") == (1, "api/draft.json: differs\n", "")


def test_a_file_that_belongs_to_no_formula_is_removed(copy: Path) -> None:
    stray = copy / "formula-fixtures" / "bottles" / "stray"
    stray.touch()
    assert run_script(copy, "--check") == (1, "bottles/stray: belongs to no formula\n", "")
    assert run_script(copy)[0] == 0
    assert not stray.exists()


def test_the_tap_holds_every_kind_of_bottle() -> None:
    names = [BottleFileName.parse(path.name) for path in BOTTLES]
    assert {name.tag for name in names if name.formula == "hello"} == {
        "arm64_tahoe",
        "arm64_sequoia",
        "arm64_sonoma",
        "sonoma",
        "arm64_linux",
        "x86_64_linux",
    }
    assert {name.formula for name in names if name.tag == "all"} == {"salutations"}
    assert {name.formula for name in names if name.rebuild} == {"hello+plus"}
    assert {name.version for name in names if name.formula == "farewell"} == {"1.5.2_1"}
    assert "hello@2" in {name.formula for name in names}
    assert {path.stem for path in FORMULAE} - {name.formula for name in names} == {"draft"}


@pytest.mark.parametrize("path", BOTTLES, ids=lambda path: path.name)
def test_a_bottle_has_one_digest_everywhere(path: Path) -> None:
    name = BottleFileName.parse(path.name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    described = read_json(TAP / "bottle-json" / f"{name.formula}--{name.version}.{name.tag}.bottle.json")
    tags = described[f"brew-provenance/fixtures/{name.formula}"]["bottle"]["tags"]
    files = read_json(TAP / "api" / f"{name.formula}.json")["bottle"]["stable"]["files"]
    assert str(name) == tags[name.tag]["local_filename"] == path.name
    assert ruby_digests(name.formula)[name.tag] == digest
    assert files[name.tag]["sha256"] == digest
    assert tags[name.tag]["sha256"] == digest


@pytest.mark.parametrize("path", BOTTLES, ids=lambda path: path.name)
def test_a_bottle_is_laid_out_as_brew_lays_it_out(path: Path) -> None:
    name = BottleFileName.parse(path.name)
    data = path.read_bytes()
    keg = f"{name.formula}/{name.version}"
    assert len(data) < 1024
    assert data[4:8] == bytes(4), "the gzip header holds a time"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as tar:
        members = tar.getmembers()
        formula = tar.extractfile(f"{keg}/.brew/{name.formula}.rb")
        assert formula is not None
        ruby = formula.read().decode()
    paths = [member.name for member in members]
    assert paths == sorted(paths)
    assert (f"{keg}/INSTALL_RECEIPT.json" in paths) == (name.tag != "all")
    assert f"{keg}/bin/{name.formula}" in paths
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in members} == {
        (0, 0, "", 1767225600)
    }
    committed = (TAP / "Formula" / name.formula[0] / f"{name.formula}.rb").read_text(encoding="utf-8")
    before, _, rest = committed.partition("  bottle do\n")
    assert ruby == before + rest.partition("  end\n\n")[2]


@pytest.mark.parametrize("path", FORMULAE, ids=lambda path: path.stem)
def test_the_api_describes_the_formula(path: Path) -> None:
    document = read_json(TAP / "api" / f"{path.stem}.json")
    formula = read_formula(document)
    assert formula.full_name == f"brew-provenance/fixtures/{path.stem}"
    assert {bottle.tag: bottle.digest.value for bottle in formula.bottles} == ruby_digests(path.stem)
    assert all((TAP / "bottles" / str(bottle.file_name)).is_file() for bottle in formula.bottles)
    assert document["ruby_source_path"] == path.relative_to(TAP).as_posix()
    assert document["ruby_source_checksum"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_one_receipt_is_of_a_bottle_and_one_is_not() -> None:
    poured = {path.stem: read_json(path)["poured_from_bottle"] for path in TAP.glob("receipts/*.json")}
    assert poured == {"poured-from-bottle": True, "built-from-source": False}
