"""`brew-provenance attest` over real HTTP: a tap's release from the build job's records to a check."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.integration.attestworld import REPOSITORY, TAP, WORKFLOW, Release, formula_of, release
from tests.integration.conftest import Result, Run
from tests.unit.repositories import commit

from brew_provenance.publish import Publisher
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.services.world import PERMISSIONS, WorldOptions
from brew_provenance.signing import Keyless

FOO = "foo--1.1.x86_64_linux.bottle.tar.gz"
FOO_RECORD = "foo--1.1.x86_64_linux.bottle.build-record"
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+\.")

Attest = Callable[..., Result]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    with release(tmp_path_factory.mktemp("release")) as made:
        yield made


@pytest.fixture
def one(running: Release, tmp_path: Path) -> Iterator[Release]:
    """A release of one bottle, recorded, in a world that has seen nothing of it."""
    for path in running.bottles.iterdir():
        path.unlink()
    # Other bytes than any bottle before, and so another digest.
    source = running.build.tap.name.encode() + tmp_path.name.encode()
    made = Release(tmp_path, running.world, running.build)
    made.bottle(seed=hashlib.sha256(source).hexdigest())
    made.record()
    running.world.requests["log"].clear()
    running.world.requests["github"].clear()
    yield made
    for faults in running.world.faults.values():
        faults.clear()


@pytest.fixture
def attest(run: Run, monkeypatch: pytest.MonkeyPatch) -> Attest:
    """Run `attest` as a step of the publishing job does; no secret of its may come out of it."""
    for function in (Keyless.__init__, Publisher.__init__):
        monkeypatch.setitem(function.__kwdefaults__, "sleep", lambda _: None)
    monkeypatch.setattr("brew_provenance.attest.attester.READ_BACK_SECONDS", (0.0, 0.0))
    monkeypatch.setattr("brew_provenance.attest.attester.SETTLE_SECONDS", 0.0)

    def attest(made: Release, *arguments: object, **environment: str) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in made.world.environment_for({}).items():
                patch.setenv(name, value)
            if "id-token" not in made.world.options.permissions:
                patch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)
                patch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            result = run(*made.arguments, *arguments)
        written = [
            *(path.read_text(encoding="utf-8") for path in made.bundles.glob("*.json")),
            Path(made.environment["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8"),
            Path(made.environment["GITHUB_OUTPUT"]).read_text(encoding="utf-8"),
        ]
        for text in (result.out, result.err, *written):
            assert made.world.token not in text
            assert made.world.request_token not in text
            assert TOKEN.search(text) is None
        return result

    return attest


def check(made: Release, run: Run, *arguments: object) -> Result:
    found = made.environment
    return run(
        *("check", *arguments, "--tap", TAP, "--tap-dir", made.build.tap, "--refresh"),
        *("--github-api", found["SANDBOX_GITHUB_API"], "--trusted-root", found["SANDBOX_TRUSTED_ROOT"]),
    )


def outputs(made: Release) -> dict[str, str]:
    """Read the outputs as a runner does; a later one of a name takes the place of an earlier one."""
    lines = iter(Path(made.environment["GITHUB_OUTPUT"]).read_text(encoding="utf-8").splitlines())
    found = {}
    for line in lines:
        name, _, end = line.partition("<<")
        value = []
        while (part := next(lines)) != end:
            value.append(part)
        found[name] = "\n".join(value)
    return found


def test_a_whole_release_is_recorded_attested_and_checked(tmp_path: Path, run: Run, attest: Attest) -> None:
    formulae = {
        "Formula/b/baz@2.rb": formula_of("baz@2", "2.0", revision=1),
        "Formula/l/lib++.rb": formula_of("lib++", "0.3"),
        "Formula/f/fonts.rb": formula_of("fonts", "3.0"),
    }
    with release(tmp_path, formulae=formulae) as made:
        made.bottle()
        made.bottle("arm64_linux")
        made.bottle("arm64_tahoe")
        made.bottle("sonoma")
        for name, version, rebuild in (("baz@2", "2.0_1", 3), ("lib++", "0.3", 0), ("fonts", "3.0", 0)):
            source = next(text for path, text in formulae.items() if path.endswith(f"/{name}.rb"))
            tag = "all" if name == "fonts" else "x86_64_linux"
            path = f"Formula/{name[0]}/{name}.rb"
            made.build.bottle(source, name=name, version=version, tag=tag, rebuild=rebuild, tap_git_path=path)
        made.record()
        for tag in ("arm64_tahoe", "sonoma"):
            made.change_record(f"foo--1.1.{tag}.bottle.build-record", runner={"os": "macOS", "arch": "ARM64"})
        made.change_record("foo--1.1.arm64_linux.bottle.build-record", runner={"arch": "ARM64"})
        result = attest(made, "--format", "json")
        assert result.code == 0, result.err
        document = json.loads(result.out)
        assert document["complete"]
        assert [item["state"] for item in document["attestations"]] == ["published"] * 7
        assert {item["formulaCommit"] for item in document["attestations"]} == {made.build.commit}
        assert made.entries == made.posts == 7
        assert outputs(made)["attestation-ids"].count(",") == 6
        # The tap then writes the digests into its formulae, which makes another commit.
        paths = {path.name: path for path in made.bottles.glob("*.tar.gz")}
        described: dict[str, bytes] = {"Formula/f/foo.rb": _described(made, "foo", paths)}
        for path, source in formulae.items():
            described[path] = _described(made, path.rpartition("/")[2].removesuffix(".rb"), paths, source)
        commit(made.build.repository, described)
        checked = check(made, run, "--all-tags", "foo", "baz@2", "lib++", "fonts", "--format", "json")
        assert checked.code == 0, checked.out + checked.err
        verdicts = json.loads(checked.out)["verdicts"]
        assert len(verdicts) == 7
        for verdict in verdicts:
            best = verdict["attestations"][0]
            codes = {finding["code"] for finding in best["findings"]}
            assert {"builder-bound", "formula-bound"} <= codes
            assert not {"builder-not-bound", "formula-not-bound", "formula-not-compared"} & codes
            assert best["build"]["formulaCommit"] == made.build.commit


def _described(made: Release, name: str, paths: dict[str, Path], source: bytes | None = None) -> bytes:
    """Return a formula with the digests of its bottles."""
    from tests.unit.buildjobs import SOURCE  # noqa: PLC0415

    lines, rebuild = [], 0
    for file, path in sorted(paths.items()):
        if file.startswith(f"{name}--"):
            tag = file.partition(".bottle")[0].rpartition(".")[2]
            number = file.partition(".bottle.")[2].partition("tar.gz")[0].rstrip(".")
            rebuild = int(number or 0)
            lines.append(f'    sha256 cellar: :any, {tag}: "{hashlib.sha256(path.read_bytes()).hexdigest()}"')
    block = [f"    rebuild {rebuild}"] * bool(rebuild) + lines
    text = (source or SOURCE).decode()
    return re.sub(r"    sha256 cellar: .*", "\n".join(block), text).encode()


def test_a_second_run_signs_and_publishes_nothing(one: Release, attest: Attest) -> None:
    assert attest(one).code == 0
    assert (one.entries, one.posts) == (1, 1)
    again = attest(one, "--format", "json")
    assert again.code == 0
    assert (one.entries, one.posts) == (1, 1)
    [item] = json.loads(again.out)["attestations"]
    assert (item["state"], item["newlySigned"], item["attestationId"]) == ("there already", False, None)
    told = outputs(one)
    assert (told["signed"], told["published"], told["skipped"]) == ("0", "0", "1")
    # Without the bundles on disk either.
    for path in one.bundles.iterdir():
        path.unlink()
    assert attest(one).code == 0
    assert (one.entries, one.posts) == (1, 1)


def test_another_runs_attestation_is_not_taken_for_this_ones(one: Release, attest: Attest) -> None:
    assert attest(one, "--without-records").code == 0
    assert attest(one).code == 6  # the bundle of that name is of another build
    for path in one.bundles.iterdir():
        path.unlink()
    assert attest(one).code == 0
    assert (one.entries, one.posts) == (2, 2)
    # Nothing is added by one that says less.
    assert attest(one, "--without-records").code == 0
    assert (one.entries, one.posts) == (2, 2)


def test_the_json_keeps_to_its_schema(one: Release, attest: Attest) -> None:
    schema = json.loads(
        files("brew_provenance").joinpath("schemas/attest-v1.schema.json").read_text(encoding="utf-8")
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    one.world.bad_day("publishing=403")
    refused = attest(one, "--format", "json")
    one.world.faults["github"].clear()
    one.change_record(FOO_RECORD, run={"event_name": "push"})
    lied = attest(one, "--format", "json")
    one.change_record(FOO_RECORD, run={"event_name": "workflow_dispatch"})
    plain = attest(one, "--format", "json", "--without-records", "--bundles", one.folder / "plain")
    for result, code in ((refused, 6), (lied, 6), (plain, 0)):
        assert result.code == code
        jsonschema.validate(json.loads(result.out), schema)
    assert json.loads(refused.out)["notPublished"] == [FOO]
    assert json.loads(lied.out)["failures"][0]["codes"] == ["record-event-mismatch"]
    assert json.loads(plain.out)["attestations"][0]["notProved"] == [
        "builder-not-bound",
        "formula-not-bound",
    ]


def test_the_jobs_summary_is_a_table_with_links(one: Release, attest: Attest) -> None:
    summary = Path(one.environment["GITHUB_STEP_SUMMARY"])
    before = len(summary.read_text(encoding="utf-8"))
    result = attest(one, "--format", "markdown")
    told = summary.read_text(encoding="utf-8")[before:]
    assert told == result.out
    assert f"| `{FOO}` | published | [`Formula/f/foo.rb at {one.build.commit[:12]}`](https://" in told
    assert f"https://github.com/{REPOSITORY}/actions/runs/" in told
    # The log is not the public one, and nobody finds its entries there.
    assert "search.sigstore.dev" not in told


@pytest.mark.parametrize(
    ("lacking", "said", "posts"),
    [("id-token", "permissions: id-token: write", 0), ("attestations", "attestations: write", 1)],
)
def test_a_missing_permission_is_named(
    tmp_path: Path, attest: Attest, lacking: str, said: str, posts: int
) -> None:
    with release(tmp_path, WorldOptions(permissions=PERMISSIONS - {lacking})) as made:
        made.bottle()
        made.record()
        result = attest(made)
        assert result.code == 6
        assert said in result.err
        assert (made.entries, made.posts) == (posts, posts)
        assert f"{FOO}" in result.out


def test_an_unreadable_actions_api_is_named(tmp_path: Path, attest: Attest) -> None:
    with release(tmp_path, WorldOptions(permissions=PERMISSIONS - {"actions"}), visibility="private") as made:
        made.bottle()
        made.record()
        result = attest(made, "--allow-private")
        assert result.code == 6
        assert "permissions: actions: read" in result.err
        assert made.entries == 0


def test_a_private_repository_is_refused_unless_it_is_meant(tmp_path: Path, attest: Attest) -> None:
    with release(tmp_path, visibility="private") as made:
        made.bottle()
        made.record()
        for arguments in ([], ["--resume"]):
            result = attest(made, *arguments)
            assert result.code == 6
            assert "--allow-private" in result.err
        assert made.entries == 0
        assert attest(made, "--allow-private").code == 0


PASSING = [
    *("oidc=503:1", "ca=503:1", "ca=down:1", "ca=cut:1", "log=503:1", "log=down:1", "log=429:1", "log=cut:1"),
    *("log=lost:1", "publishing=503:1", "publishing=lost:1", "publishing=cut:1", "store=503:1"),
    *("actions=503:1", "log=409:1"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_met_with_another_attempt(one: Release, attest: Attest, fault: str) -> None:
    one.world.bad_day(fault)
    result = attest(one)
    assert result.code == 0, result.err
    assert len(one.published(one.bottles / FOO)) == 1


LASTING = [
    ("oidc=403", "the identity token", 0),
    ("oidc=503", "the identity token", 0),
    ("ca=400", "the certificate authority", 0),
    ("ca=500", "the certificate authority", 0),
    ("ca=down", "the certificate authority", 0),
    ("log=422", "the transparency log", 0),
    ("log=502", "the transparency log", 0),
    ("log=down", "the transparency log", 0),
    ("publishing=401", "refuses the token", 1),
    ("publishing=422", "422", 1),
    ("publishing=500", "500", 1),
    ("store=500", "server-failed", 0),
    ("actions=500", "500", 0),
]


@pytest.mark.parametrize(("fault", "said", "signed"), LASTING)
def test_what_lasts_is_named_and_the_next_run_finishes(
    one: Release, attest: Attest, fault: str, said: str, signed: int
) -> None:
    one.world.bad_day(fault)
    result = attest(one)
    assert result.code == 6
    assert said in result.err
    assert "next: " in result.err
    assert len(list(one.bundles.glob("*.sigstore.json"))) == signed
    for faults in one.world.faults.values():
        faults.clear()
    before = one.entries
    assert attest(one).code == 0
    assert one.entries - before == 1 - signed
    assert len(one.published(one.bottles / FOO)) == 1


def test_resume_publishes_what_is_signed_and_needs_neither_bottles_nor_tokens(
    one: Release, attest: Attest
) -> None:
    one.world.bad_day("publishing=500")
    failed = attest(one)
    assert failed.code == 6
    assert "--resume" in failed.err
    assert f"not published   {FOO}" in failed.out
    one.world.faults["github"].clear()
    paths = [*one.bottles.iterdir()]
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    one.world.bad_day("oidc=500")
    one.world.bad_day("ca=500")
    resumed = attest(one, "--resume")
    assert resumed.code == 0, resumed.err
    assert one.entries == 1
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert len(one.published(one.bottles / FOO)) == 1
    assert attest(one, "--resume").code == 0
    assert len(one.published(one.bottles / FOO)) == 1


def test_resume_publishes_nothing_that_check_would_reject(one: Release, attest: Attest) -> None:
    assert attest(one, "--resume").code == 2
    assert attest(one, "--no-publish").code == 0
    assert one.posts == 0
    [path] = one.bundles.glob("*.sigstore.json")
    document = json.loads(path.read_bytes())
    document["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA"
    (one.bundles / "a.sigstore.json").write_text(json.dumps(document), encoding="utf-8")
    result = attest(one, "--resume")
    assert result.code == 6
    assert "rejects the attestation" in result.err
    assert one.posts == 0


def test_a_dry_run_does_nothing(one: Release, attest: Attest) -> None:
    result = attest(one, "--dry-run")
    assert result.code == 0
    assert f"not signed      {FOO}" in result.out
    assert (one.entries, one.posts) == (0, 0)
    assert not one.bundles.exists()


def test_a_bottle_without_record_is_an_error_unless_it_is_asked_for(one: Release, attest: Attest) -> None:
    (one.bottles / FOO_RECORD).unlink()
    result = attest(one)
    assert result.code == 6
    assert "--without-records" in result.err
    assert one.entries == 0
    assert attest(one, "--without-records").code == 0
    [published] = one.published(one.bottles / FOO)
    assert published.predicate_type == "https://slsa.dev/provenance/v1"


def test_several_bottles_without_records_have_one_attestation(one: Release, run: Run, attest: Attest) -> None:
    for path in one.bottles.glob("*.build-record"):
        path.unlink()
    for tag in ("arm64_sonoma", "sonoma"):
        one.bottle(tag, seed=f"{tag}{one.folder.name}")
    assert attest(one, "--without-records").code == 0
    assert (one.entries, one.posts) == (1, 1)
    [path] = one.bundles.glob("*.sigstore.json")
    assert path.name.startswith("bottles-")
    for name in (FOO, "foo--1.1.sonoma.bottle.tar.gz"):
        result = check(one, run, one.bottles / name)
        assert "builder-not-bound" in check(one, run, one.bottles / name, "--format", "json").out
        assert result.code == 0, result.out


def test_an_all_bottle_is_attested_under_its_own_name(tmp_path: Path, attest: Attest, run: Run) -> None:
    with release(tmp_path) as made:
        made.bottle()
        made.bottle("arm64_linux")
        made.record()
        made.change_record("foo--1.1.arm64_linux.bottle.build-record", runner={"arch": "ARM64"})
        # As `brew bottle --merge` leaves them.
        first, second = sorted(made.bottles.glob("*.tar.gz"))
        first.rename(made.bottles / "foo--1.1.all.bottle.tar.gz")
        second.unlink()
        for path in made.bottles.glob("*.json"):
            path.unlink()
        result = attest(made)
        assert result.code == 0, result.err
        assert "note: " not in result.err
        [published] = made.published(made.bottles / "foo--1.1.all.bottle.tar.gz")
        bundle = (made.bundles / "foo--1.1.all.bottle.tar.gz.sigstore.json").read_bytes()
        assert json.loads(published.bundle) == json.loads(bundle)
        paths = {path.name: path for path in made.bottles.glob("*.tar.gz")}
        commit(made.build.repository, {"Formula/f/foo.rb": _described(made, "foo", paths)})
        checked = check(made, run, "foo", "--tag", "sonoma")
        assert checked.code == 0, checked.out


def test_a_policy_that_rejects_the_signer_is_told_before_anything_is_signed(
    one: Release, attest: Attest, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'schema = 1\nname = "strict"\ntap = "{TAP}"\n[[signer]]\nname = "other"\n'
        f'source-repository = "{REPOSITORY}"\nsource-refs = ["refs/heads/main"]\n'
        'workflows = [".github/workflows/other.yml"]\n',
        encoding="utf-8",
    )
    result = attest(one, "--policy", policy)
    assert result.code == 6
    assert "signer-workflow-not-allowed" in result.err
    assert "nothing was signed" in result.err
    assert one.entries == 0


def test_what_a_record_says_of_another_repository_is_never_asked_for(one: Release, attest: Attest) -> None:
    one.change_record(FOO_RECORD, run={"repository": "evil/homebrew-tap"})
    result = attest(one)
    assert result.code == 6
    assert "record-other-repository" in result.err
    assert not [found for found in one.world.requests["github"].records if "evil" in found.path]


def test_an_identity_token_can_be_given_and_is_not_shown(
    one: Release, attest: Attest, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(one.world.issuer.issue("sigstore") + "\n", encoding="ascii")
    one.world.bad_day("oidc=500")
    assert attest(one, "--identity-token", file).code == 0
    for changes, audience in (({"exp": 1}, "sigstore"), ({}, "other")):
        file.write_text(one.world.issuer.issue(audience, changes), encoding="ascii")
        result = attest(one, "--identity-token", file, "--without-records", "--bundles", tmp_path / "b")
        assert result.code == 0  # there already: no token is needed
    one.bottle("arm64_linux", seed=tmp_path.name)
    result = attest(one, "--identity-token", file, "--without-records")
    assert result.code == 6
    assert "--identity-token" in result.err
    file.write_text("secret", encoding="ascii")
    result = attest(one, "--identity-token", file, "--without-records")
    assert result.code == 2
    assert "secret" not in result.err


def test_a_trust_config_brings_its_own_root(one: Release, run: Run, attest: Attest) -> None:
    arguments = one.arguments
    position = arguments.index("--trusted-root")
    one_without = Release(one.folder, one.world, one.build)
    chosen = [*arguments[:position], *arguments[position + 2 :]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Release, "arguments", property(lambda _: chosen))
        result = attest(one_without, "--format", "json")
    assert result.code == 0, result.err
    [root] = json.loads(result.out)["basis"]["trustedRoots"]
    assert root["name"].endswith("trust-config.json")
    assert not root["builtIn"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tap", "other"], "write it as user/repo"),
        (["--repo", "x"], "OWNER/REPO"),
        (["--github-api", "http://example.org"], "https"),
        (["--trust-config", "missing.json"], "missing.json"),
        (["--identity-token", "missing"], "missing"),
        (["--policy", "missing.toml"], "missing.toml"),
    ],
)
def test_what_cannot_be_asked_for_exits_with_2(
    one: Release, attest: Attest, arguments: list[str], said: str
) -> None:
    result = attest(one, *arguments)
    assert result.code == 2, result.err
    assert said in result.err
    assert one.entries == 0


def test_a_folder_without_bottles_exits_with_2(one: Release, attest: Attest) -> None:
    for path in one.bottles.iterdir():
        path.unlink()
    result = attest(one)
    assert result.code == 2
    assert "there is no bottle" in result.err


def test_ctrl_c_leaves_the_terminal_with_a_note(
    one: Release, attest: Attest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Publisher, "publish", interrupt)
    result = attest(one)
    assert result.code == 130
    assert "note: stopped" in result.err
    monkeypatch.undo()


def test_a_bottle_of_an_earlier_run_is_attested_with_that_run(tmp_path: Path, attest: Attest) -> None:
    state = tmp_path / "state"
    job = ActionsJob(repository=REPOSITORY, workflow_path=WORKFLOW, event_name="workflow_dispatch")
    with release(tmp_path / "one", WorldOptions(state=state)) as made:
        made.bottle()
        made.record()
        build = made.build
    with release(tmp_path / "two", WorldOptions(state=state), run_id=str(int(job.run_id) + 1)) as later:
        later.build = build
        result = attest(later, "--format", "json")
        assert result.code == 0, result.err
        [item] = json.loads(result.out)["attestations"]
        assert item["run"].endswith(f"/actions/runs/{job.run_id}/attempts/1")
        assert replace(job).run_id in item["run"]
