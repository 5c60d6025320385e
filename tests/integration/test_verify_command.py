"""`verify` as people and scripts meet it: outcomes, exit codes, bad input."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from tests.integration.conftest import Files, Result, Run

from brew_provenance import bundle as bundle_module
from brew_provenance.sandbox.scenario import Scenario

SCHEMAS = Path(bundle_module.__file__).parent / "schemas"


def test_good_bundle_is_verified_with_its_evidence_and_its_limits(run: Run, files: Files) -> None:
    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments)

    assert result.code == 0
    assert result.out.startswith("verified ")
    for shown in ("publish.yml@refs/heads/main", "commit: ", "/actions/runs/", "log entry: ", "not proved: "):
        assert shown in result.out
    # Another root than the built-in one, and another policy, are never silent.
    assert f"trusted root: {files.root}" in result.out
    assert "policy: runs of brew-provenance/homebrew-fixtures" in result.out


@pytest.mark.parametrize("algorithm", ["sha256"])
def test_digest_in_place_of_a_file(algorithm: str, run: Run, files: Files, scenario: Scenario) -> None:
    digest = f"{algorithm}:{hashlib.new(algorithm, scenario.artifact).hexdigest().upper()}"

    assert run("verify", digest, "--bundle", files.bundle, *files.arguments).code == 0


def test_sha512_digest_of_an_npm_package(run: Run, data: Path) -> None:
    digest = hashlib.sha512((data / "artifacts" / "playwright-cli-0.1.1.tgz").read_bytes()).hexdigest()
    bundle = data / "bundles" / "playwright-cli-0.1.1-provenance.json"

    result = run(
        "verify", f"sha512:{digest}", "--bundle", bundle, "--repo", "Microsoft/Playwright-CLI", "--offline"
    )

    assert result.code == 0
    assert "trusted root" not in result.out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--signer-workflow", ".github/workflows/publish.yml"], None),
        (["--signer-workflow", "brew-provenance/homebrew-fixtures/.github/workflows/publish.yml"], None),
        (["--signer-workflow", ".github/workflows/publish.yml@refs/heads/main"], None),
        (
            [
                "--signer-workflow",
                ".github/workflows/a.yml",
                "--signer-workflow",
                ".github/workflows/publish.yml",
            ],
            None,
        ),
        (["--signer-workflow", ".github/workflows/other.yml"], "signer-workflow-not-allowed"),
        (["--signer-workflow", ".github/workflows/publish.yml@refs/heads/dev"], "signer-ref-not-allowed"),
        (["--signer-repo", "brew-provenance/homebrew-fixtures"], None),
        (["--signer-repo", "someone/else"], "signer-repository-not-allowed"),
        (["--source-ref", "refs/heads/main"], None),
        (["--source-ref", "refs/heads/master"], "source-ref-not-allowed"),
        (["--subject-name", "hello--2.12.1.arm64_sonoma.bottle.tar.gz"], None),
        (["--subject-name", "hello--2.12.2.arm64_sonoma.bottle.tar.gz"], "subject-name-mismatch"),
        (["--deny-self-hosted"], None),
        (["--cert-oidc-issuer", "https://token.actions.githubusercontent.com/corp"], "issuer-not-allowed"),
        (["--predicate-type", "https://slsa.dev/provenance/v1"], None),
    ],
)
def test_option_restricts_what_is_accepted(
    options: list[str], code: str | None, run: Run, files: Files
) -> None:
    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments, *options)

    assert result.code == (3 if code else 0)
    assert code is None or code in result.out


def test_self_hosted_runner_is_rejected_when_denied(run: Run, files: Files, scenario: Scenario) -> None:
    job = type(scenario.job)(runner_environment="self-hosted")
    files.bundle.write_bytes(type(scenario)(sigstore=scenario.sigstore, job=job).good())

    assert run("verify", files.artifact, "--bundle", files.bundle, *files.arguments).code == 0
    denied = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments, "--deny-self-hosted")
    assert denied.code == 3
    assert "runner-environment-not-allowed" in denied.out


def test_file_named_as_another_bottle_is_rejected(run: Run, files: Files) -> None:
    other = files.artifact.rename(files.folder / "hello--2.12.2.arm64_sonoma.bottle.tar.gz")

    result = run("verify", other, "--bundle", files.bundle, *files.arguments)

    assert result.code == 3
    assert "subject-name-mismatch" in result.out


def test_file_in_brews_cache_is_the_bottle_that_its_name_ends_in(run: Run, files: Files) -> None:
    cached = files.artifact.rename(files.folder / f"{'ab' * 32}--{files.artifact.name}")
    other = files.folder / f"{'ab' * 32}--hello--2.12.2.arm64_sonoma.bottle.tar.gz"
    other.write_bytes(cached.read_bytes())

    assert run("verify", cached, "--bundle", files.bundle, *files.arguments).code == 0
    assert run("verify", other, "--bundle", files.bundle, *files.arguments).code == 3


def test_changed_artifact_is_rejected(run: Run, files: Files) -> None:
    files.artifact.write_bytes(b"something else")

    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments)

    assert result.code == 3
    assert "subject-digest-mismatch" in result.out


def test_file_in_which_nothing_applies_is_unattested(run: Run, files: Files) -> None:
    result = run(
        "verify",
        files.artifact,
        "--bundle",
        files.bundle,
        *files.arguments,
        "--predicate-type",
        "https://spdx.dev/Document/v2.3",
    )

    assert result.code == 4
    assert "predicate-type-other" in result.out


def test_good_signature_that_is_no_attestation_is_unattested(
    run: Run, files: Files, scenario: Scenario
) -> None:
    signed = scenario.sigstore.sign_message(scenario.artifact, scenario.job, at=scenario.at)
    files.bundle.write_text(json.dumps(signed), encoding="utf-8")

    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments)

    assert result.code == 4
    assert "not-an-attestation" in result.out
    assert "rightly signed" in result.out


def test_sibling_that_fails_is_told_and_does_not_count(run: Run, files: Files, scenario: Scenario) -> None:
    other = Scenario(sigstore=scenario.sigstore, artifact=b"another").good()
    files.bundle.write_bytes(other + b"\n" + scenario.good() + b"\n\n")

    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments)

    assert result.code == 0
    assert "1 other attestation(s) do not count: subject-digest-mismatch" in result.out


def test_several_files_are_one_question(run: Run, files: Files, scenario: Scenario) -> None:
    other = files.folder / "other.json"
    other.write_bytes(Scenario(sigstore=scenario.sigstore, artifact=b"another").good())

    arguments = ["verify", files.artifact, "--bundle", other, "--bundle", files.bundle, *files.arguments]
    assert run(*arguments).code == 0
    assert run("verify", files.artifact, "--bundle", other, *files.arguments).code == 3


def _deep(depth: int) -> bytes:
    return b'{"a":' + b"[" * depth + b"]" * depth + b"}"


BAD_BUNDLES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "empty"),
    "blank": (lambda _: b" \n\n", "empty"),
    "truncated": (lambda good: good[: len(good) // 2], "not JSON"),
    "not JSON": (lambda _: b"bottle", "not JSON"),
    "not UTF-8": (lambda good: good.replace(b"dsse", b"ds\xff\xfe", 1), "not UTF-8"),
    "UTF-16": (lambda good: good.decode().encode("utf-16"), "not UTF-8"),
    "nested deeply": (lambda _: _deep(200_000), "nested too deeply"),
    "key twice": (lambda good: b'{"mediaType":"x",' + good[1:], "stands twice"),
    "not a number": (lambda _: b'{"a": NaN}', "not a JSON number"),
    "half a surrogate": (lambda _: b'{"a": "\\ud800"}', "surrogate"),
    "enormous number": (lambda _: b'{"a": ' + b"9" * 5000 + b"}", "out of range"),
    "bad second line": (lambda good: good + b"\n{oops\n", "line 2: not JSON"),
    "bad first line": (lambda good: b'{"a"\n' + good + b"\n", "not JSON"),
    "garbage after": (lambda good: good + b"\ngarbage", "not JSON"),
    "enormous": (lambda _: b" " * (bundle_module.MAX_FILE_BYTES + 1), "longer than the limit"),
    "too large a bundle": (
        lambda _: b'{"a": "' + b"x" * bundle_module.MAX_BUNDLE_BYTES + b'"}',
        "longer than the limit",
    ),
    "too many": (lambda _: b"{}\n" * (bundle_module.MAX_FILE_BUNDLES + 1), "more than the limit"),
}


@pytest.mark.parametrize("name", BAD_BUNDLES)
def test_bundle_file_that_cannot_be_read_is_named_and_never_verified(
    name: str, run: Run, files: Files, scenario: Scenario
) -> None:
    spoil, cause = BAD_BUNDLES[name]
    files.bundle.write_bytes(spoil(scenario.good()))

    for command in (
        ("verify", files.artifact, "--bundle", files.bundle, *files.arguments),
        ("inspect", files.bundle),
    ):
        result = run(*command)
        assert result.code == 2
        assert str(files.bundle) in result.err
        assert cause in result.err
        assert "next: " in result.err
        _never_verified(result)


@pytest.mark.parametrize("content", ["[]", "7", '"text"', "null", "{}", '{"mediaType": {}}'])
def test_json_that_is_no_bundle_is_rejected(content: str, run: Run, files: Files) -> None:
    files.bundle.write_text(content, encoding="utf-8")

    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments)

    assert result.code == 3
    assert "bundle-m" in result.out
    _never_verified(result)


@pytest.mark.parametrize("where", ["artifact", "bundle", "root"])
@pytest.mark.parametrize("fault", ["missing", "directory", "unreadable"])
def test_file_that_cannot_be_opened_is_named(where: str, fault: str, run: Run, files: Files) -> None:
    path: Path = getattr(files, where)
    path.unlink()
    if fault == "directory":
        path.mkdir()
    elif fault == "unreadable":
        path.symlink_to(path)

    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments)

    assert result.code == 2
    assert str(path) in result.err
    _never_verified(result)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
@pytest.mark.parametrize("where", ["artifact", "bundle"])
def test_file_that_opens_and_cannot_be_read_is_named(where: str, run: Run, files: Files) -> None:
    path: Path = getattr(files, where)
    path.unlink()
    path.symlink_to("/proc/self/mem")

    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments)

    assert result.code == 2
    assert str(path) in result.err
    _never_verified(result)


def test_output_that_cannot_be_written_is_an_error(run: Run, files: Files) -> None:
    target = files.folder / "absent" / "out.txt"

    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments, "--output", target)

    assert result.code == 2
    assert str(target) in result.err
    _never_verified(result)


def test_output_file_is_written_whole(run: Run, files: Files) -> None:
    target = files.folder / "out.json"
    arguments = ["verify", files.artifact, "--bundle", files.bundle, *files.arguments]

    result = run(*arguments, "--output", target, "--format", "json")

    assert (result.code, result.out) == (0, "")
    assert json.loads(target.read_text(encoding="utf-8"))["verdicts"][0]["outcome"] == "verified"
    assert len(list(files.folder.iterdir())) == 4


def test_output_may_be_a_device(run: Run, files: Files) -> None:
    arguments = ["verify", files.artifact, "--bundle", files.bundle, *files.arguments]

    assert run(*arguments, "--output", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()


def test_output_directory_is_an_error(run: Run, files: Files) -> None:
    result = run("inspect", files.bundle, "--offline", "--output", files.folder)

    assert result.code == 2
    assert str(files.folder) in result.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_full_disk_is_an_error_and_not_a_success(files: Files) -> None:
    command = [
        sys.executable,
        "-m",
        "brew_provenance",
        "verify",
        str(files.artifact),
        "--bundle",
        str(files.bundle),
    ]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*command, *map(str, files.arguments)],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )

    assert done.returncode == 2
    assert "standard output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_reader_that_goes_away_is_no_traceback(files: Files) -> None:
    command = [sys.executable, "-m", "brew_provenance", "inspect", str(files.bundle), "--offline"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, encoding="utf-8", check=False)
    os.close(writer)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["sha256:12", "--repo", "o/r"],
        ["sha1:" + "0" * 40, "--repo", "o/r"],
        ["sha256:" + "0" * 64, "--repo", "not a repository"],
        ["sha256:" + "0" * 64, "--repo", "o/r", "--signer-repo", "x"],
        ["sha256:" + "0" * 64, "--repo", "o/r", "--signer-workflow", "publish"],
        ["sha256:" + "0" * 64, "--repo", "o/r", "--signer-workflow", ".github/workflows/a.yml@main"],
        ["sha256:" + "0" * 64, "--repo", "o/r", "--source-ref", "main"],
        ["sha256:" + "0" * 64],
    ],
)
def test_option_that_means_nothing_is_a_usage_error(arguments: list[str], run: Run, files: Files) -> None:
    result = run("verify", *arguments, "--bundle", files.bundle, "--offline")

    assert result.code == 2
    assert result.err
    _never_verified(result)


def test_claims_cannot_write_to_the_terminal(run: Run, files: Files, scenario: Scenario) -> None:
    statement = scenario.statement()
    statement["subject"] = [
        {"name": "\x1b[2J\x1b[32mverified\u202e\nverified  hello", "digest": {"sha256": scenario.digest}}
    ]
    bundle = scenario.sigstore.attest(statement, scenario.job, at=scenario.at)
    files.bundle.write_text(json.dumps(bundle), encoding="utf-8")

    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments, "--explain")

    assert result.code == 3
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    assert not any(line.startswith("verified") for line in result.out.splitlines())


def test_explain_shows_nine_steps_and_where_claims_come_from(run: Run, files: Files) -> None:
    result = run("verify", files.artifact, "--bundle", files.bundle, *files.arguments, "--explain")

    for number in range(1, 10):
        assert f"step {number}  " in result.out
    for source in ("certificate", "log", "predicate", "statement", "policy", "artifact"):
        assert f"[{source}]" in result.out


@pytest.mark.parametrize("explain", [[], ["--explain"]])
@pytest.mark.parametrize("name", ["good", "other", "unreadable kind"])
def test_json_has_the_published_schema(
    name: str, explain: list[str], run: Run, files: Files, scenario: Scenario
) -> None:
    if name == "other":
        files.bundle.write_bytes(Scenario(sigstore=scenario.sigstore, artifact=b"another").good())
    elif name == "unreadable kind":
        files.bundle.write_text("{}", encoding="utf-8")

    result = run(
        "verify", files.artifact, "--bundle", files.bundle, *files.arguments, "--format", "json", *explain
    )

    schema = json.loads((SCHEMAS / "verdicts-v1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(result.out), schema, cls=jsonschema.Draft202012Validator)
    assert result.out.isascii()


def _never_verified(result: Result) -> None:
    assert "verified" not in result.out.replace("unverified", "")
    assert "Traceback" not in result.err
