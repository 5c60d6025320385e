"""`trust`: which roots would be trusted, whom they name, and how they are taken to another machine."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.integration.conftest import Files, Run

from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.trust import distributed_file, read_trusted_roots

TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
PERIOD = {"start": "2022-01-01T00:00:00Z", "end": "2051-12-25T00:00:00Z"}


def check_json(text: str) -> Any:
    """Return a document that keeps to the published schema."""
    schema = json.loads(
        resources.files("brew_provenance")
        .joinpath("schemas/trust-v1.schema.json")
        .read_text(encoding="utf-8")
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(text)
    jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())
    return document


@pytest.fixture
def root_file(tmp_path: Path) -> Path:
    return tmp_path / "other.json"


def write_root(path: Path, **members: object) -> None:
    path.write_text(json.dumps({"mediaType": TYPE, **members}), encoding="utf-8")


def test_the_built_in_root_is_shown_with_whom_it_names(run: Run) -> None:
    result = run("trust", "show", "--offline")
    assert result.code == 0
    assert result.out.splitlines()[:1] == ["public-good"]
    assert "  built in: yes\n" in result.out
    assert "  note: " not in result.out
    assert " until 2022-12-31T23:59:59.999Z\n" in result.out
    for line in (
        "certificate authority: https://fulcio.sigstore.dev, from 2022-04-13T20:06:15Z\n",
        "transparency log: https://rekor.sigstore.dev, from 2021-01-12T11:53:27Z\n",
        "certificate transparency log: https://ctfe.sigstore.dev/2022, from 2022-10-20T00:00:00Z\n",
        "timestamp authority: https://timestamp.sigstore.dev/api/v1/timestamp, from 2025-07-04T00:00:00Z\n",
    ):
        assert f"\n  {line}" in result.out


def test_the_roots_of_a_file_are_shown_as_json(run: Run, files: Files, scenario: Scenario) -> None:
    result = run("trust", "show", "--trusted-root", files.root, "--format", "json")
    assert result.code == 0
    document = check_json(result.out)
    assert document["schemaVersion"] == 1
    (shown,) = document["trustedRoots"]
    (root,) = read_trusted_roots(files.root)
    assert (shown["name"], shown["sha256"], shown["builtIn"]) == (str(files.root), root.sha256, False)
    assert shown["note"] == ""
    given: Any = scenario.sigstore.trusted_root()
    for key, url in (
        ("certificateAuthorities", "uri"),
        ("tlogs", "baseUrl"),
        ("ctlogs", "baseUrl"),
        ("timestampAuthorities", "uri"),
    ):
        assert given[key]
        assert [party["uri"] for party in shown[key]] == [one[url] for one in given[key]]
        assert {(party["validFrom"], party["validUntil"]) for party in shown[key]} == {tuple(PERIOD.values())}


def test_a_result_goes_to_a_file_where_one_is_named(run: Run, files: Files) -> None:
    written = files.folder / "shown.txt"
    shown = run("trust", "show", "--trusted-root", files.root)
    assert shown.out
    assert run("trust", "show", "--trusted-root", files.root, "--output", written).out == ""
    assert written.read_text(encoding="utf-8") == shown.out


@pytest.mark.parametrize("trust", ["one", "several"])
def test_what_was_exported_is_trusted_elsewhere(
    trust: str, run: Run, files: Files, scenario: Scenario
) -> None:
    given = files.root
    # As people keep them: over many lines.
    given.write_text(json.dumps(scenario.sigstore.trusted_root(), indent=2), encoding="utf-8")
    if trust == "several":
        given = files.folder / "several.jsonl"
        roots = [scenario.private.trusted_root(), scenario.sigstore.trusted_root()]
        given.write_text("".join(f"{json.dumps(root)}\n" for root in roots), encoding="utf-8")
    exported = files.folder / "exported.jsonl"
    result = run("trust", "export", exported, "--trusted-root", given)
    assert (result.code, result.out) == (0, "")
    count = len(exported.read_text(encoding="utf-8").splitlines())
    assert count == (2 if trust == "several" else 1)
    assert result.err == f"note: {exported}: {count} trusted root{'s' if count == 2 else ''}\n"

    before, after = (read_trusted_roots(path) for path in (given, exported))
    assert [json.loads(root.raw) for root in after] == [json.loads(root.raw) for root in before]
    arguments = ("--repo", "brew-provenance/homebrew-fixtures", "--offline", "--bundle", files.bundle)
    verified = run("verify", files.artifact, *arguments, "--trusted-root", exported)
    assert verified.code == 0, verified.out + verified.err
    assert f"trusted root: {exported}" in verified.out


def test_an_exported_root_serves_a_check_too(run: Run, kit: Path, tmp_path: Path) -> None:
    exported = tmp_path / "exported.jsonl"
    assert run("trust", "export", exported, "--trusted-root", kit / "trusted_root.jsonl").code == 0
    arguments = ("brew-provenance/fixtures/hello", "--tag", "x86_64_linux", "--kit", kit, "--offline")
    result = run("check", *arguments, "--trusted-root", exported)
    assert result.code == 0, result.err
    # The built-in root knows nothing of it, so it was the exported one.
    assert run("check", *arguments).code != 0


def test_the_built_in_root_can_be_exported_and_is_another_one_then(run: Run, tmp_path: Path) -> None:
    exported = tmp_path / "exported.jsonl"
    assert run("trust", "export", exported, "--offline").code == 0
    assert json.loads(exported.read_bytes()) == json.loads(distributed_file("trusted_root.json"))
    result = run("trust", "show", "--trusted-root", exported)
    assert result.out.splitlines()[0] == str(exported)
    assert "  built in: no\n" in result.out
    refused = run("trust", "show", "--trusted-root", exported, "--no-public-good")
    assert (refused.code, refused.out) == (2, "")
    assert "leaves no root to trust" in refused.err


def test_a_root_that_could_not_be_refreshed_is_shown_and_exported_with_a_note(
    run: Run, tmp_path: Path
) -> None:
    metadata = tmp_path / "cache" / "brew-provenance" / "tuf" / "metadata"
    metadata.mkdir(parents=True)
    (metadata / "timestamp.json").write_text("{}", encoding="utf-8")
    shown = run("trust", "show", "--offline")
    assert shown.code == 0
    assert "\n  note: Sigstore's TUF repository could not be used (" in shown.out
    document = check_json(run("trust", "show", "--offline", "--format", "json").out)
    assert document["trustedRoots"][0]["note"].startswith("Sigstore's TUF repository")
    exported = run("trust", "export", tmp_path / "exported.jsonl", "--offline")
    assert exported.code == 0
    assert exported.err.startswith("note: Sigstore's TUF repository could not be used (")


@pytest.mark.parametrize("command", [("show",), ("export", "exported.jsonl")], ids=lambda words: words[0])
@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b"[1]", b'{"mediaType": "trustedroot", "a": 1, "a": 2}']
)
def test_what_is_no_root_is_refused(
    command: tuple[str, ...],
    content: bytes | None,
    run: Run,
    root_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        root_file.write_bytes(content)
    result = run("trust", *command, "--trusted-root", root_file)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"brew-provenance: {root_file}: ")
    assert "\nnext: " in result.err
    assert not (tmp_path / "exported.jsonl").exists()


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"tlogs": 5}, "tlogs is no list"),
        ({"tlogs": {}}, "tlogs is no list"),
        ({"ctlogs": [None]}, "no object where one with publicKey should stand"),
        ({"ctlogs": [{"publicKey": "x"}]}, "publicKey is no object"),
        ({"certificateAuthorities": ["x"]}, "no object where one with validFor should stand"),
        ({"certificateAuthorities": [{"uri": 1}]}, "uri is no string"),
        ({"timestampAuthorities": [{"validFor": [1]}]}, "validFor is no object"),
        (
            {"certificate_authorities": []},
            "a name is written 'certificate_authorities', not as protobuf's JSON has it",
        ),
        (
            {"tlogs": [{"publicKey": {"valid_for": {}}}]},
            "a name is written 'valid_for', not as protobuf's JSON has it",
        ),
        ({"timestampAuthorities": [{"validFor": {"end": True}}]}, "end is no string"),
    ],
)
def test_a_root_of_another_shape_is_refused_by_name(
    members: dict[str, object], why: str, run: Run, root_file: Path
) -> None:
    write_root(root_file, **members)
    for form in ("text", "json"):
        result = run("trust", "show", "--trusted-root", root_file, "--format", form)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"brew-provenance: {root_file}: {why}\nnext: ")


def test_what_a_root_leaves_out_is_said(run: Run, root_file: Path) -> None:
    write_root(
        root_file,
        tlogs=None,
        ctlogs=[{}, {"publicKey": {"validFor": {"end": "2023"}}}],
        certificateAuthorities=[{"uri": "https://ca.example", "validFor": {"start": "2022"}}],
    )
    assert run("trust", "show", "--trusted-root", root_file).out.splitlines()[3:] == [
        "  certificate authority: https://ca.example, from 2022",
        "  transparency log: none",
        "  certificate transparency log: no address, at all times",
        "  certificate transparency log: no address, until 2023",
        "  timestamp authority: none",
    ]


def test_what_a_root_says_moves_no_cursor_makes_no_line_and_has_an_end(run: Run, root_file: Path) -> None:
    hostile = "\x1b[2J\x7f\n  built in: yes \u202e\u0430" + "x" * 10_000
    party = {"uri": hostile, "validFor": {"start": hostile, "end": hostile}}
    write_root(root_file, certificateAuthorities=[party] * 60, timestampAuthorities=[party])
    result = run("trust", "show", "--trusted-root", root_file)
    assert result.code == 0
    assert result.out.isascii()
    assert not {"\x1b", "\x7f"} & set(result.out)
    lines = result.out.splitlines()
    assert len(lines) == 3 + 50 + 1 + 2 + 1
    assert "  certificate authority: 10 more" in lines
    assert "  built in: yes" not in lines
    assert max(map(len, lines)) < 1_500

    as_json = run("trust", "show", "--trusted-root", root_file, "--format", "json").out
    assert as_json.isascii()
    assert len(check_json(as_json)["trustedRoots"][0]["certificateAuthorities"]) == 60


def test_letters_of_any_script_survive_the_export(run: Run, root_file: Path, tmp_path: Path) -> None:
    write_root(root_file, tlogs=[{"baseUrl": "https://лог.example/\u2028\U0001f37a"}])
    exported = tmp_path / "exported.jsonl"
    assert run("trust", "export", exported, "--trusted-root", root_file).code == 0
    assert json.loads(exported.read_bytes()) == json.loads(root_file.read_bytes())
    assert exported.read_bytes().count(b"\n") == 1


def test_a_place_that_cannot_be_written_is_refused(run: Run, files: Files) -> None:
    place = files.folder / "missing" / "exported.jsonl"
    result = run("trust", "export", place, "--trusted-root", files.root)
    assert result.code == 2
    assert f"{place}: No such file or directory\nnext: give a file that can be written" in result.err
