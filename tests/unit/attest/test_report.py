"""What is told of a run: to people, to programs, and to the job that it ran in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.attest.releases import BAR, FOO, RECORD, SERVER, Release, judging, verifier

from brew_provenance.attest.preparing import FoundError, NotAttestedError
from brew_provenance.attest.results import Attested, Report, State
from brew_provenance.cli import attestreport
from brew_provenance.cli.attestreport import MAX_TOLD, Result, tell_job
from brew_provenance.errors import BuildSideError
from brew_provenance.findings import Finding
from brew_provenance.policy import policy_for_tap

ONE = Attested(
    name=FOO,
    sha256="a" * 64,
    state=State.PUBLISHED,
    newly_signed=True,
    bundle=f"{FOO}.sigstore.json",
    attestation_id="7",
    signer=f"{SERVER}/octo/homebrew-tap/.github/workflows/publish.yml@refs/heads/main",
    run=f"{SERVER}/octo/homebrew-tap/actions/runs/1/attempts/1",
    log_index=5,
    builder=f"{SERVER}/octo/homebrew-tap/.github/workflows/tests.yml@refs/heads/main",
    runner="GitHub Actions 3",
    formula_path="Formula/f/foo.rb",
    formula_commit="b" * 40,
)
PLAIN = replace(
    ONE,
    name=BAR,
    builder=None,
    runner=None,
    formula_path=None,
    formula_commit=None,
    not_proved=("builder-not-bound", "formula-not-bound"),
)


def result(*attested: Attested, built_in: bool = True, **changes: Any) -> Result:
    root = replace(verifier()[1], built_in=built_in)
    report = Report(
        attested=list(attested), newly_signed=sum(one.newly_signed for one in attested), **changes
    )
    return Result(report, "octo/homebrew-tap", Path("/b"), judging(roots=(root,)), "github.com, octo/tap")


def test_text_has_a_line_a_bottle_and_what_it_rests_on() -> None:
    text = result(PLAIN, ONE, waiting=["w"], unsigned=["u"], built_in=False).text()
    by = f"built by GitHub Actions 3 in {ONE.run}"
    assert text.splitlines()[:5] == [
        f"published      {BAR}: published by {ONE.run}; its builder and formula are not bound; attestation 7",
        f"published      {FOO}: Formula/f/foo.rb at {'b' * 12}, {by}; attestation 7",
        "not published  w",
        "not signed     u",
        "4 bottles: 2 published, 1 not published, 1 not signed; 2 signed by this run",
    ]
    assert "trusted root: the sandbox (sha256 " in text
    assert "policy: derived for octo/tap, not a built-in one" in text
    assert text.endswith("attestations: github.com, octo/tap\n")


def test_a_built_in_policy_goes_without_saying() -> None:
    made = replace(result(ONE), judging=judging(policy=policy_for_tap("homebrew/core")))
    assert "policy" not in made.text()
    assert json.loads(made.json())["basis"]["policy"]["origin"] == "built-in"


def test_text_shows_what_others_wrote_as_it_is() -> None:
    text = result(replace(ONE, runner="\x1b[2Jx\n", run="https://evil\n")).text()
    assert "\x1b" not in text
    assert r"\x1b[2Jx\n" in text


def test_nothing_done_is_told_as_that() -> None:
    assert result().text().splitlines()[0] == "0 bottles: none; 0 signed by this run"
    assert (
        result(replace(ONE, run=None, formula_commit=None)).text().startswith(f"published      {FOO}; attest")
    )


def test_entries_of_the_public_log_are_linked_and_no_others() -> None:
    assert "[`5`](https://search.sigstore.dev/?logIndex=5)" in result(ONE).markdown()
    assert "search.sigstore.dev" not in result(ONE, built_in=False).markdown()
    assert "| 5 |" in result(ONE, built_in=False).markdown()
    assert result(replace(ONE, log_index=None)).markdown().count("sigstore.dev") == 0


def test_a_row_leads_to_the_formula_and_to_the_run() -> None:
    [row] = [line for line in result(ONE).markdown().splitlines() if FOO in line]
    assert f"]({SERVER}/octo/homebrew-tap/blob/{'b' * 40}/Formula/f/foo.rb)" in row
    assert f"[`GitHub Actions 3`]({ONE.run})" in row
    [row] = [line for line in result(PLAIN).markdown().splitlines() if BAR in line]
    assert "| not bound |" in row
    assert f"[`the publishing run, as far as is known`]({PLAIN.run})" in row


@pytest.mark.parametrize(
    "evil", ["`|`", "x | y", "a\n| b |", "](javascript:alert(1))", "<img src=x>", "\x1b[2J"]
)
def test_no_name_breaks_out_of_its_cell(evil: str) -> None:
    made = result(
        replace(ONE, name=evil, runner=evil, formula_path=evil, run=f"https://x/{evil}"),
        waiting=[evil],
        unsigned=[evil],
        failure=BuildSideError(evil, evil, evil),
    )
    text = made.markdown()
    assert text.isascii()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.count("|") for row in rows] == [6] * len(rows)
    for line in text.splitlines():
        outside = "".join(part for part in line.split("`")[::2])
        assert "<" not in outside
        assert "javascript" not in outside


def test_a_long_table_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attestreport, "MAX_SUMMARY_BYTES", 2000)
    text = result(*(replace(ONE, name=f"{number}{FOO}") for number in range(50))).markdown()
    assert len(text.encode()) < 2000
    assert text.rstrip().endswith(" more")
    assert "50 of 50 bottles attested" in text


def many_failures(count: int) -> NotAttestedError:
    finding = Finding("record-digest-mismatch", "x")
    found = [FoundError(f"{number}", [finding], next_step="y") for number in range(count)]
    return NotAttestedError(found, [f"{number}" for number in range(count)])


def test_many_failures_are_told_up_to_a_number() -> None:
    made = result(failure=many_failures(MAX_TOLD + 3), unsigned=["u"])
    assert made.markdown().count("next: ") == MAX_TOLD
    assert "and 3 more" in made.markdown()
    assert "**not signed**" in made.markdown()
    assert len(json.loads(made.json())["failures"]) == MAX_TOLD + 3


def test_json_tells_codes_where_there_are_any() -> None:
    document = json.loads(result(failure=many_failures(1)).json())
    assert document["failures"][0]["codes"] == ["record-digest-mismatch"]
    document = json.loads(result(failure=BuildSideError("a", "b", "c")).json())
    assert document["failures"] == [{"thing": "a", "cause": "b", "nextStep": "c", "codes": []}]
    assert not document["complete"]


def test_the_job_is_told_only_where_it_names_files(tmp_path: Path) -> None:
    made = result(ONE, replace(PLAIN, state=State.THERE, attestation_id=None))
    tell_job(made, {})
    tell_job(made, {"GITHUB_OUTPUT": "", "GITHUB_STEP_SUMMARY": str(tmp_path / "s")})
    assert (tmp_path / "s").read_text(encoding="utf-8") == made.markdown()
    (tmp_path / "o").write_text("before=1\n", encoding="utf-8")
    tell_job(made, {"GITHUB_OUTPUT": str(tmp_path / "o")})
    lines = (tmp_path / "o").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "before=1"
    names = [line.partition("<<")[0] for line in lines[1::3]]
    assert dict(zip(names, lines[2::3], strict=True)) == {
        "attestation-ids": "7",
        "bundle-path": "/b",
        "signed": "2",
        "published": "1",
        "skipped": "1",
    }


def test_a_file_of_the_runner_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildSideError, match="directory"):
        tell_job(result(ONE), {"GITHUB_OUTPUT": str(tmp_path)})


def test_what_a_real_run_did_is_told(tmp_path: Path) -> None:
    release = Release(tmp_path)
    report = release.attest()
    made = Result(report, "octo/homebrew-tap", release.bundles, release.judging, "memory")
    [told] = json.loads(made.json())["attestations"]
    assert told["bottle"] == FOO
    assert told["formulaCommit"] == release.build.commit
    assert told["sha256"] == json.loads((release.folder / RECORD).read_bytes())["bottle"]["sha256"]
