"""Which signers may attest: the built-in policy, the derived one, options, and files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.builders import (
    MAIN,
    REPOSITORY,
    REPOSITORY_URI,
    SIGNED,
    WORKFLOW,
    make_claims,
    make_evidence,
    make_policy,
    make_signer,
    run_of,
    times,
)

from brew_provenance import policy as policy_module
from brew_provenance.certificate import Claims
from brew_provenance.errors import PolicyError
from brew_provenance.evidence import Evidence, TimeSource
from brew_provenance.findings import REASONS, Step
from brew_provenance.policy import (
    GITHUB_ACTIONS_ISSUER,
    Gives,
    Policy,
    PolicyOrigin,
    Signer,
    policy_for_repository,
    policy_for_tap,
    read_policy,
)
from brew_provenance.statement import BOTTLE_BUILD
from brew_provenance.subject import SubjectNaming

CORE = "Homebrew/homebrew-core"
PUBLISH = ".github/workflows/publish-commit-bottles.yml"
BACKFILL = "trailofbits/homebrew-brew-verify"
CUTOFF = datetime(2024, 3, 14, tzinfo=UTC)
SECOND = timedelta(seconds=1)
COMMIT_REF = "c" * 40


def codes(policy: Policy, evidence: Evidence | Claims) -> list[str]:
    """Return the codes of what keeps evidence from the policy; none when it satisfies it."""
    if isinstance(evidence, Claims):
        evidence = make_evidence(evidence)
    judged = policy.judge(evidence)
    if isinstance(judged, Signer):
        return []
    assert judged
    return [finding.code for finding in judged]


def signer_codes(claims: Claims, **overrides: Any) -> list[str]:
    return codes(make_policy(make_signer(**overrides)), claims)


class TestBuiltIn:
    core = policy_for_tap("homebrew/core")

    def test_names_itself(self) -> None:
        assert (self.core.name, self.core.tap) == ("homebrew-core", "homebrew/core")
        assert self.core.origin is PolicyOrigin.BUILT_IN
        assert policy_for_tap("Homebrew/Core") == self.core

    @pytest.mark.parametrize("ref", [MAIN, "refs/heads/master"])
    @pytest.mark.parametrize("name", ["publish-commit-bottles", "dispatch-build-bottle", "dispatch-rebottle"])
    def test_three_workflows_attest_from_two_branches(self, name: str, ref: str) -> None:
        claims = run_of(CORE, f".github/workflows/{name}.yml", ref)
        signer = self.core.judge(make_evidence(claims))
        assert isinstance(signer, Signer)
        assert signer.gives is Gives.BUILD_PROVENANCE
        assert signer.subject_naming is SubjectNaming.FILE_NAME

    @pytest.mark.parametrize("runner", ["github-hosted", "self-hosted"])
    def test_both_kinds_of_runner_may_publish(self, runner: str) -> None:
        assert codes(self.core, run_of(CORE, PUBLISH, runner_environment=runner)) == []

    @pytest.mark.parametrize(
        ("claims", "expected"),
        [
            (run_of(CORE, ".github/workflows/tests.yml"), ["signer-workflow-not-allowed"]),
            (run_of(CORE, f"{PUBLISH}.attacker.yml"), ["signer-workflow-not-allowed"]),
            (run_of(CORE, PUBLISH.replace("publish", "Publish")), ["signer-workflow-not-allowed"]),
            (run_of(CORE, PUBLISH.replace(".yml", ".yaml")), ["signer-workflow-not-allowed"]),
            (
                run_of(CORE, PUBLISH, "refs/heads/mainly"),
                ["signer-ref-not-allowed", "source-ref-not-allowed"],
            ),
            (run_of(CORE, PUBLISH, "refs/heads/Main"), ["signer-ref-not-allowed", "source-ref-not-allowed"]),
            (run_of(CORE, PUBLISH, "refs/tags/main"), ["signer-ref-not-allowed", "source-ref-not-allowed"]),
            (
                run_of(CORE, PUBLISH, "refs/pull/1/merge"),
                ["signer-ref-not-allowed", "source-ref-not-allowed"],
            ),
            (
                run_of(CORE, PUBLISH, issuer=f"{GITHUB_ACTIONS_ISSUER}/x", issuer_v1=None),
                ["issuer-not-allowed"],
            ),
            (
                run_of("attacker/homebrew-core", PUBLISH),
                ["signer-repository-not-allowed", "source-repository-not-allowed"],
            ),
            (
                run_of("Homebrew/homebrew-core-evil", PUBLISH),
                ["signer-repository-not-allowed", "source-repository-not-allowed"],
            ),
            (
                run_of("Homebrew/brew", PUBLISH),
                ["signer-repository-not-allowed", "source-repository-not-allowed"],
            ),
        ],
    )
    def test_nobody_else_attests(self, claims: Claims, expected: list[str]) -> None:
        assert codes(self.core, claims) == expected

    @pytest.mark.parametrize("branch", ["backfill", "main"])
    def test_the_backfill_is_a_notarisation_until_its_cutoff(self, branch: str) -> None:
        claims = run_of(BACKFILL, ".github/workflows/backfill.yml", f"refs/heads/{branch}")
        signer = self.core.judge(make_evidence(claims, times=times(CUTOFF)))
        assert isinstance(signer, Signer)
        assert signer.gives is Gives.NOTARISATION
        assert signer.subject_naming is SubjectNaming.URL_AND_FILE_NAME
        late = make_evidence(claims, times=times(CUTOFF - SECOND, CUTOFF + SECOND))
        assert codes(self.core, late) == ["signed-too-late"]

    def test_the_backfill_runs_on_its_own_branches_only(self) -> None:
        claims = run_of(BACKFILL, ".github/workflows/backfill.yml", "refs/heads/other")
        evidence = make_evidence(claims, times=times(CUTOFF - SECOND))
        assert codes(self.core, evidence) == ["signer-ref-not-allowed", "source-ref-not-allowed"]


class TestDerived:
    def test_trusts_the_taps_own_repository_on_main_and_master(self) -> None:
        policy = policy_for_tap("octo/tap")
        assert (policy.origin, policy.tap) == (PolicyOrigin.DERIVED, "octo/tap")
        for ref in (MAIN, "refs/heads/master"):
            for workflow in (WORKFLOW, ".github/workflows/anything.yaml"):
                assert codes(policy, run_of(REPOSITORY, workflow, ref)) == []

    @pytest.mark.parametrize(
        "claims",
        [
            run_of("octo/tap"),
            run_of("octo/homebrew-taps"),
            run_of("octo/homebrew-tap.git"),
            run_of("octopus/homebrew-tap"),
            run_of(REPOSITORY, ref="refs/heads/other"),
            run_of(REPOSITORY, ref="refs/tags/main"),
            run_of(REPOSITORY, issuer="https://gitlab.com", issuer_v1="https://gitlab.com"),
            run_of(
                REPOSITORY,
                identity="https://github.com/shared/ci/.github/workflows/a.yml@refs/heads/main",
                build_signer_uri="https://github.com/shared/ci/.github/workflows/a.yml@refs/heads/main",
            ),
        ],
    )
    def test_trusts_nothing_else(self, claims: Claims) -> None:
        assert codes(policy_for_tap("octo/tap"), claims)

    @pytest.mark.parametrize("tap", ["Octo/Tap", "OCTO/TAP"])
    def test_takes_names_without_regard_to_case(self, tap: str) -> None:
        assert policy_for_tap(tap) == policy_for_tap("octo/tap")
        assert codes(policy_for_tap(tap), run_of("OCTO/Homebrew-Tap")) == []

    @pytest.mark.parametrize(
        "tap",
        [
            "",
            "octo",
            "octo/",
            "/tap",
            "octo/tap/more",
            "octo/../core",
            "octo/-tap",
            "oc to/tap",
            "octo/tap\n",
            "\u00f6cto/tap",
            "octo/t\u0430p",
            "\u212aarl/tap",
            "octo/tap@1",
            "https://github.com/octo/tap",
        ],
    )
    def test_what_is_no_tap_has_no_policy(self, tap: str) -> None:
        with pytest.raises(PolicyError, match="not the name of a tap"):
            policy_for_tap(tap)

    @example("my_user/tap")
    @given(st.text(alphabet="aB1_-./ \n", max_size=12))
    def test_any_text_has_a_policy_or_an_error_that_says_why(self, tap: str) -> None:
        try:
            assert policy_for_tap(tap).signers
        except PolicyError as error:
            assert error.next_step


class TestOptions:
    def test_any_workflow_of_the_repository_may_sign_at_any_ref(self) -> None:
        policy = policy_for_repository(REPOSITORY)
        assert (policy.origin, policy.tap) == (PolicyOrigin.OPTIONS, None)
        assert codes(policy, run_of(REPOSITORY, ".github/workflows/x.yml", "refs/pull/1/merge")) == []
        assert codes(policy, run_of("octo/other")) == [
            "signer-repository-not-allowed",
            "source-repository-not-allowed",
        ]

    def test_a_ref_of_the_source_is_exact_and_leaves_the_signers_alone(self) -> None:
        policy = policy_for_repository(REPOSITORY, source_ref="refs/tags/v1")
        signer = f"{REPOSITORY_URI}/{WORKFLOW}@{MAIN}"
        tagged = run_of(REPOSITORY, ref="refs/tags/v1", identity=signer, build_signer_uri=signer)
        assert codes(policy, tagged) == []
        assert codes(policy, run_of(REPOSITORY)) == ["source-ref-not-allowed"]

    def test_self_hosted_runners_can_be_denied(self) -> None:
        claims = run_of(REPOSITORY, runner_environment="self-hosted")
        assert codes(policy_for_repository(REPOSITORY), claims) == []
        denied = policy_for_repository(REPOSITORY, deny_self_hosted=True)
        assert codes(denied, claims) == ["runner-environment-not-allowed"]

    def test_the_issuer_is_exact(self) -> None:
        own = f"{GITHUB_ACTIONS_ISSUER}/enterprise"
        claims = run_of(REPOSITORY, issuer=own, issuer_v1=own)
        assert codes(policy_for_repository(REPOSITORY), claims) == ["issuer-not-allowed"]
        assert codes(policy_for_repository(REPOSITORY, issuer=own), claims) == []
        assert codes(policy_for_repository(REPOSITORY, issuer=own), run_of(REPOSITORY)) == [
            "issuer-not-allowed"
        ]

    @pytest.mark.parametrize(
        "workflow",
        [
            WORKFLOW,
            f"{REPOSITORY}/{WORKFLOW}",
            f"github.com/{REPOSITORY}/{WORKFLOW}",
            f"{REPOSITORY_URI}/{WORKFLOW}",
            f"{REPOSITORY_URI}/{WORKFLOW}@{MAIN}",
            f"{WORKFLOW}@{MAIN}",
        ],
    )
    def test_a_workflow_is_named_as_people_write_it(self, workflow: str) -> None:
        policy = policy_for_repository(REPOSITORY, signer_workflows=[workflow])
        assert codes(policy, run_of(REPOSITORY)) == []
        other = run_of(REPOSITORY, f"{WORKFLOW}.attacker.yml")
        assert codes(policy, other) == ["signer-workflow-not-allowed"]

    def test_a_workflow_may_be_pinned_to_a_ref_or_commit(self) -> None:
        for ref in (MAIN, COMMIT_REF):
            policy = policy_for_repository(REPOSITORY, signer_workflows=[f"{WORKFLOW}@{ref}"])
            signer = f"{REPOSITORY_URI}/{WORKFLOW}@{ref}"
            assert codes(policy, make_claims(identity=signer, build_signer_uri=signer)) == []
            other = f"{REPOSITORY_URI}/{WORKFLOW}@refs/heads/other"
            claims = make_claims(identity=other, build_signer_uri=other)
            assert codes(policy, claims) == ["signer-ref-not-allowed"]

    @pytest.mark.parametrize(
        "options",
        [
            {"signer_repository": "shared/ci"},
            {"signer_workflows": ["shared/ci/.github/workflows/a.yml"]},
            {"signer_workflows": [WORKFLOW, "shared/ci/.github/workflows/a.yml@refs/tags/v1"]},
            {"signer_repository": "shared/ci", "signer_workflows": [".github/workflows/a.yml"]},
        ],
    )
    def test_another_repositorys_workflow_signs_only_when_it_is_named(self, options: dict[str, Any]) -> None:
        signer = "https://github.com/shared/ci/.github/workflows/a.yml@refs/tags/v1"
        claims = make_claims(identity=signer, build_signer_uri=signer)
        assert codes(policy_for_repository(REPOSITORY), claims) == ["signer-repository-not-allowed"]
        assert codes(policy_for_repository(REPOSITORY, **options), claims) == []

    @pytest.mark.parametrize(
        "workflow",
        [
            "",
            "publish.yml",
            "x/.github/workflows/a.yml",
            f"{WORKFLOW}@main",
            f"{WORKFLOW}@",
            "https://gitlab.com/o/r/.github/workflows/a.yml",
            f"{WORKFLOW}.txt",
            f"http://github.com/{REPOSITORY}/{WORKFLOW}",
        ],
    )
    def test_what_is_no_workflow_is_refused(self, workflow: str) -> None:
        with pytest.raises(PolicyError, match="not the name of a workflow"):
            policy_for_repository(REPOSITORY, signer_workflows=[workflow])

    @pytest.mark.parametrize(
        "options",
        [
            {"repository": "octo"},
            {"repository": "octo/tap/x"},
            {"repository": REPOSITORY_URI},
            {"repository": "octo/t\u00e4p"},
            {"repository": REPOSITORY, "signer_repository": "shared"},
            {"repository": REPOSITORY, "issuer": ""},
        ],
    )
    def test_what_is_no_repository_is_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(PolicyError, match="the signer"):
            policy_for_repository(**options)


TOML = f"""
schema = 1
name = "example"
tap = "octo/tap"

[[signer]]
name = "the publishing workflow"
source-repository = "{REPOSITORY}"
source-refs = ["{MAIN}"]
"""

SIGNER_KEYS: list[tuple[str, str, dict[str, Any]]] = [
    ("source-repository", f'"{REPOSITORY}"', {"source_repository": REPOSITORY}),
    ("source-refs", '["*"]', {"source_refs": ("*",)}),
    ("signer-repository", '"shared/ci"', {"signer_repository": "shared/ci"}),
    ("workflows", f'["{WORKFLOW}", "b"]', {"workflows": (WORKFLOW, "b")}),
    ("signer-refs", '["refs/tags/v1"]', {"signer_refs": ("refs/tags/v1",)}),
    ("issuer", '"https://example.org"', {"issuer": "https://example.org"}),
    ("source-repository-id", '"111"', {"source_repository_id": "111"}),
    ("source-owner-id", '"222"', {"source_owner_id": "222"}),
    ("runner-environments", '["self-hosted"]', {"runner_environments": ("self-hosted",)}),
    ("valid-from", "2024-03-14T00:00:00Z", {"valid_from": CUTOFF}),
    ("valid-until", "2024-03-14T01:00:00+01:00", {"valid_until": CUTOFF}),
    ("gives", '"notarisation"', {"gives": Gives.NOTARISATION}),
    ("gives", '"build-provenance"', {"gives": Gives.BUILD_PROVENANCE}),
    ("subject-naming", '"file-name"', {"subject_naming": SubjectNaming.FILE_NAME}),
    ("subject-naming", '"url-sha256--file-name"', {"subject_naming": SubjectNaming.URL_AND_FILE_NAME}),
]


def from_toml(text: str) -> Policy:
    return Policy.from_toml(text.encode(), "policy.toml", PolicyOrigin.FILE)


def with_key(key: str, value: str) -> str:
    """Return the example policy with one key of its signer set."""
    lines = [line for line in TOML.splitlines() if not line.startswith(f"{key} =")]
    return "\n".join([*lines, f"{key} = {value}"])


class TestFiles:
    def test_a_short_policy_says_the_rest_by_leaving_it_out(self) -> None:
        policy = from_toml(TOML)
        assert (policy.name, policy.tap, policy.origin) == ("example", "octo/tap", PolicyOrigin.FILE)
        assert policy.signers == (make_signer(name="the publishing workflow"),)
        signer = policy.signers[0]
        assert signer.issuer == GITHUB_ACTIONS_ISSUER
        assert signer.workflows == ("*",)
        assert signer.runner_environments == ("github-hosted", "self-hosted")

    @pytest.mark.parametrize(("key", "value", "expected"), SIGNER_KEYS)
    def test_every_key_is_read(self, key: str, value: str, expected: dict[str, Any]) -> None:
        signer = make_signer(name="the publishing workflow", **expected)
        assert from_toml(with_key(key, value)).signers == (signer,)

    def test_the_readme_names_every_key_and_no_other(self) -> None:
        readme = (Path(policy_module.__file__).parent / "policies" / "README.md").read_text(encoding="utf-8")
        keys = readme.partition("\n## ")[0]
        rows = [line.split("|")[1] for line in keys.splitlines() if line.startswith("| `")]
        named = {key.strip(" `") for row in rows for key in row.split(",")}
        assert named == {field.replace("_", "-") for field in Signer.model_fields}

    def test_the_examples_of_the_readme_are_a_policy(self) -> None:
        readme = (Path(policy_module.__file__).parent / "policies" / "README.md").read_text(encoding="utf-8")
        whole, more = (example.split("```")[0] for example in readme.split("```toml")[1:])
        assert from_toml(whole).tap == "user/repo"
        (signer,) = from_toml(whole + more).signers
        assert signer.build_types == ("bottle-build",)
        assert signer.builders == (".github/workflows/tests.yml",)

    @pytest.mark.parametrize(
        "line",
        [
            'build-types = ["bottle"]',
            "build-types = []",
            f'build-types = ["{BOTTLE_BUILD}"]',
            "builders = []",
            'builders = ["tests.yml"]',
            'builders = ["octo/.github/workflows/tests.yml"]',
            'builders = [".github/workflows/tests.yml@refs/heads/main"]',
            'builders = ["https://github.com/octo/tap/.github/workflows/tests.yml"]',
            'builders = [".github/workflows/../tests.yml"]',
            'builders = ["**"]',
            "builder-environments = []",
            'builder-environments = ["*"]',
        ],
    )
    def test_a_restriction_of_builders_that_means_nothing_is_refused(self, line: str) -> None:
        key, _, value = line.partition(" = ")
        with pytest.raises(PolicyError):
            from_toml(with_key(key, value))

    def test_every_build_type_that_is_known_can_be_allowed(self) -> None:
        for name, build_type in policy_module._BUILD_TYPES.items():
            signer = make_signer(build_types=(name,))
            assert [finding.code for finding in signer.judge_build("x", None)] == ["build-type-not-allowed"]
            assert [finding.code for finding in signer.judge_build(None, None)] == ["build-type-not-allowed"]
            assert signer.judge_build(build_type, None) == []
            assert make_signer().judge_build(build_type, None) == []

    def test_a_tap_is_read_without_regard_to_case(self) -> None:
        assert from_toml(TOML.replace("octo/tap", "Octo/Tap", 1)).tap == "octo/tap"

    @pytest.mark.parametrize(
        "text",
        [
            with_key("source-ref", f'["{MAIN}"]'),
            with_key("Issuer", '"x"'),
            with_key("valid_until", "2024-03-14T00:00:00Z") + "\nvalid-until = 2025-03-14T00:00:00Z",
            with_key("expires", "2024-03-14T00:00:00Z"),
            with_key("description", '"x"'),
            f"strict = true\n{TOML}",
            f"signers = []\n{TOML}",
        ],
    )
    def test_a_key_that_is_not_known_is_refused(self, text: str) -> None:
        with pytest.raises(PolicyError, match="Extra inputs are not permitted"):
            from_toml(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            TOML.replace("schema = 1", ""),
            TOML.replace("schema = 1", "schema = 2"),
            TOML.replace("schema = 1", 'schema = "1"'),
            TOML.replace("schema = 1", "schema = " + "1" * 5000),
            TOML.replace('name = "example"', ""),
            TOML.replace('name = "example"', 'name = ""'),
            TOML.replace('name = "example"', "name = 1"),
            TOML.replace('tap = "octo/tap"', ""),
            TOML.replace('tap = "octo/tap"', 'tap = "octo"'),
            TOML.replace('tap = "octo/tap"', 'tap = "octo/t\u00e4p"'),
            TOML.partition("[[signer]]")[0],
            TOML.partition("[[signer]]")[0] + "signer = []",
            TOML.replace("[[signer]]", "[signer]"),
            TOML.replace('name = "the publishing workflow"', ""),
            TOML.replace(f'source-repository = "{REPOSITORY}"', ""),
            TOML.replace(f'source-refs = ["{MAIN}"]', ""),
            with_key("source-repository", '"octo"'),
            with_key("source-repository", f'"{REPOSITORY_URI}"'),
            with_key("source-refs", "[]"),
            with_key("source-refs", f'"{MAIN}"'),
            with_key("source-refs", "[1]"),
            with_key("signer-repository", '"*"'),
            with_key("workflows", "[]"),
            with_key("workflows", '"*"'),
            with_key("signer-refs", "[]"),
            with_key("issuer", '""'),
            with_key("source-repository-id", "111"),
            with_key("source-owner-id", "true"),
            with_key("runner-environments", "[]"),
            with_key("runner-environments", '["*"]'),
            with_key("runner-environments", '["GitHub-hosted"]'),
            with_key("gives", '"trust"'),
            with_key("subject-naming", '"digest"'),
            with_key("valid-from", "2024-03-14"),
            with_key("valid-from", "2024-03-14T00:00:00"),
            with_key("valid-from", "12:00:00"),
            with_key("valid-from", "2024-02-30T00:00:00Z"),
            with_key("valid-from", '"soon"'),
            with_key("valid-from", "nan"),
            with_key("valid-from", "1710374400"),
            with_key("valid-until", "1710374400.0"),
            "x = ",
            TOML + TOML,
            TOML + "[" * 5000,
            f"x = {'[' * 5000}",
            "\x00",
        ],
    )
    def test_what_is_no_policy_is_refused_by_name(self, text: str) -> None:
        with pytest.raises(PolicyError) as caught:
            from_toml(text)
        assert caught.value.thing == "policy.toml"
        assert caught.value.cause
        assert caught.value.next_step

    @given(st.text(max_size=80))
    def test_any_text_after_a_policy_is_read_or_refused(self, text: str) -> None:
        try:
            from_toml(TOML + text)
        except PolicyError as error:
            assert error.thing == "policy.toml"

    def test_bytes_that_are_no_text_are_refused(self) -> None:
        with pytest.raises(PolicyError, match="not TOML"):
            Policy.from_toml(b"name = \xff", "policy.toml", PolicyOrigin.FILE)

    def test_a_file_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "policy.toml"
        path.write_text(TOML, encoding="utf-8")
        assert read_policy(path) == from_toml(TOML)

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        for path in (tmp_path / "missing.toml", tmp_path, tmp_path / "x" / "y"):
            with pytest.raises(PolicyError) as caught:
                read_policy(path)
            assert caught.value.thing == str(path)

    def test_a_file_has_a_limit(self, tmp_path: Path) -> None:
        path = tmp_path / "policy.toml"
        path.write_text(TOML + "#" * policy_module.MAX_POLICY_BYTES, encoding="utf-8")
        with pytest.raises(PolicyError, match="longer than the limit of 1,048,576 bytes"):
            read_policy(path)

    def test_a_policys_digest_is_of_what_it_says(self) -> None:
        same = from_toml("# a comment\n" + TOML.replace('name = "example"', 'name = "another"'))
        assert from_toml(TOML).sha256 == same.sha256
        others = [from_toml(with_key(key, value)).sha256 for key, value, _ in SIGNER_KEYS]
        assert len({from_toml(TOML).sha256, *others}) == 13
        assert from_toml(TOML.replace("octo/tap", "octo/tip", 1)).sha256 != from_toml(TOML).sha256


class TestJudging:
    @pytest.mark.parametrize(
        ("claims", "expected"),
        [
            ({"issuer": None}, ["certificate-claim-missing"]),
            ({"issuer": "", "issuer_v1": None}, ["issuer-not-allowed"]),
            ({"issuer": f"{GITHUB_ACTIONS_ISSUER}/", "issuer_v1": None}, ["issuer-not-allowed"]),
            ({"issuer": GITHUB_ACTIONS_ISSUER.upper(), "issuer_v1": None}, ["issuer-not-allowed"]),
            ({"identity": None}, ["signer-identity-malformed"]),
            ({"identity": "", "build_signer_uri": None}, ["signer-identity-malformed"]),
            (
                {"identity": "someone@example.org", "build_signer_uri": None},
                ["signer-identity-malformed"],
            ),
            ({"source_repository_uri": None}, ["certificate-claim-missing"]),
            (
                {
                    "source_repository_uri": "https://github.com/octo/other",
                    "github_workflow_repository": None,
                },
                ["source-repository-not-allowed"],
            ),
            (
                {"source_repository_uri": f"{REPOSITORY_URI}/", "github_workflow_repository": None},
                ["source-repository-not-allowed"],
            ),
            (
                {
                    "source_repository_uri": REPOSITORY_URI.replace("octo", "octo\u212a"),
                    "github_workflow_repository": None,
                },
                ["source-repository-not-allowed"],
            ),
            ({"source_repository_ref": None}, ["certificate-claim-missing"]),
            ({"runner_environment": None}, ["certificate-claim-missing"]),
            ({"runner_environment": "github-hosted "}, ["runner-environment-not-allowed"]),
        ],
    )
    def test_each_claim_that_a_signer_needs_is_needed(
        self, claims: dict[str, Any], expected: list[str]
    ) -> None:
        assert signer_codes(make_claims(**claims)) == expected

    def test_twins_that_disagree_decide_before_any_signer(self) -> None:
        claims = make_claims(issuer_v1="https://example.org", build_trigger="push")
        assert signer_codes(claims) == ["certificate-claims-disagree"] * 2

    @pytest.mark.parametrize(
        ("pin", "claim", "code"),
        [
            ("source_repository_id", "source_repository_id", "source-repository-id-not-allowed"),
            ("source_owner_id", "source_repository_owner_id", "source-owner-id-not-allowed"),
        ],
    )
    def test_numeric_ids_are_exact_where_they_are_pinned(self, pin: str, claim: str, code: str) -> None:
        assert signer_codes(make_claims(**{claim: "5"}), **{pin: "5"}) == []
        assert signer_codes(make_claims(**{claim: "6"})) == []
        for other in ("6", "05", ""):
            assert signer_codes(make_claims(**{claim: other}), **{pin: "5"}) == [code]
        assert signer_codes(make_claims(**{claim: None}), **{pin: "5"}) == ["certificate-claim-missing"]

    def test_owner_and_repository_are_compared_without_regard_to_case_and_nothing_else_is(self) -> None:
        assert signer_codes(run_of("OCTO/Homebrew-TAP")) == []
        assert signer_codes(run_of(REPOSITORY, WORKFLOW.replace("p", "P")), workflows=(WORKFLOW,)) == [
            "signer-workflow-not-allowed"
        ]
        assert signer_codes(run_of(REPOSITORY, ref="refs/heads/MAIN")) == [
            "signer-ref-not-allowed",
            "source-ref-not-allowed",
        ]

    def test_a_signers_ref_is_the_sources_unless_it_is_given(self) -> None:
        signer = f"{REPOSITORY_URI}/{WORKFLOW}@refs/tags/v1"
        claims = make_claims(identity=signer, build_signer_uri=signer)
        assert signer_codes(claims) == ["signer-ref-not-allowed"]
        assert signer_codes(claims, signer_refs=("refs/tags/v1",)) == []
        assert signer_codes(claims, signer_refs=("*",)) == []
        assert signer_codes(make_claims(), signer_refs=("refs/tags/v1",)) == ["signer-ref-not-allowed"]

    @pytest.mark.parametrize(
        ("moments", "expected"),
        [
            ([SIGNED], []),
            ([SIGNED - SECOND], ["signed-too-early"]),
            ([SIGNED + SECOND], ["signed-too-late"]),
            ([SIGNED, SIGNED - SECOND], ["signed-too-early"]),
            ([SIGNED + SECOND, SIGNED], ["signed-too-late"]),
            ([SIGNED - SECOND, SIGNED + SECOND], ["signed-too-early", "signed-too-late"]),
        ],
    )
    @pytest.mark.parametrize("source", TimeSource)
    def test_every_time_lies_between_the_dates(
        self, moments: list[datetime], expected: list[str], source: TimeSource
    ) -> None:
        policy = make_policy(make_signer(valid_from=SIGNED, valid_until=SIGNED))
        assert codes(policy, make_evidence(times=times(*moments, source=source))) == expected

    def test_a_time_from_one_source_does_not_make_up_for_another(self) -> None:
        policy = make_policy(make_signer(valid_until=SIGNED))
        mixed = (
            *times(SIGNED - SECOND, source=TimeSource.AUTHORITY),
            *times(SIGNED + SECOND, source=TimeSource.LOG),
        )
        assert codes(policy, make_evidence(times=mixed)) == ["signed-too-late"]

    def test_the_first_signer_that_is_satisfied_is_named(self) -> None:
        signers = [
            make_signer(name=name, source_refs=(ref,)) for name, ref in (("a", "x"), ("b", MAIN), ("c", "*"))
        ]
        judged = make_policy(*signers).judge(make_evidence())
        assert isinstance(judged, Signer)
        assert judged.name == "b"

    def test_claims_are_not_put_together_from_two_signers(self) -> None:
        one = make_signer(workflows=("x",))
        two = make_signer(source_refs=("refs/heads/x",), signer_refs=("*",))
        assert codes(make_policy(one, two), make_claims()) == ["signer-workflow-not-allowed"]

    def test_the_nearest_signer_explains(self) -> None:
        far = make_signer(source_repository="octo/other", source_refs=("refs/heads/x",))
        near = make_signer(workflows=("x",))
        assert codes(make_policy(far, near), make_claims()) == ["signer-workflow-not-allowed"]
        assert codes(make_policy(near, far), make_claims()) == ["signer-workflow-not-allowed"]

    def test_a_signer_of_the_right_repository_is_nearer_than_one_of_another(self) -> None:
        stranger = make_signer(source_repository="octo/other")
        right = make_signer(
            workflows=("x",), source_refs=("refs/heads/x",), runner_environments=("self-hosted",)
        )
        for policy in (make_policy(stranger, right), make_policy(right, stranger)):
            assert codes(policy, make_claims()) == [
                "signer-workflow-not-allowed",
                "signer-ref-not-allowed",
                "source-ref-not-allowed",
                "runner-environment-not-allowed",
            ]

    def test_every_reason_of_this_step_is_of_the_policy_or_of_the_claims_encoding(self) -> None:
        evidence = [
            make_evidence(run_of("octo/other")),
            make_evidence(run_of(REPOSITORY, "x.yml")),
            make_evidence(run_of(REPOSITORY, ".github/workflows/x.yml", "refs/heads/x")),
            make_evidence(make_claims(issuer="x", issuer_v1=None)),
            make_evidence(make_claims(issuer=None)),
            make_evidence(make_claims(issuer_v1="x")),
            make_evidence(make_claims(runner_environment="x")),
            make_evidence(make_claims(source_repository_id="x", source_repository_owner_id="x")),
            make_evidence(times=times(SIGNED - SECOND, SIGNED + SECOND)),
        ]
        signer = make_signer(
            workflows=(WORKFLOW,),
            source_repository_id="111",
            source_owner_id="222",
            valid_from=SIGNED,
            valid_until=SIGNED,
        )
        reached = {code for one in evidence for code in codes(make_policy(signer), one)}
        table = {code for code, reason in REASONS.items() if reason.step is Step.SIGNER}
        assert table - reached == {"certificate-claims-malformed"}
        assert reached <= table


REFS = st.sampled_from([MAIN, "refs/heads/master", "refs/tags/v1"])
MOMENTS = st.sampled_from([SIGNED - SECOND, SIGNED, SIGNED + SECOND])
RUNS = st.builds(
    lambda repository, workflow, ref, moments, **claims: make_evidence(
        replace(run_of(repository, workflow, ref), **claims), times=times(*moments)
    ),
    st.sampled_from([REPOSITORY, "octo/other"]),
    st.sampled_from([WORKFLOW, ".github/workflows/other.yml"]),
    REFS,
    st.lists(MOMENTS, min_size=1, max_size=3),
    runner_environment=st.sampled_from(["github-hosted", "self-hosted", None]),
    source_repository_id=st.sampled_from(["111", "112", None]),
    source_repository_owner_id=st.sampled_from(["222", "223", None]),
)
OPEN: dict[str, Any] = {"source_refs": ("*",), "signer_refs": ("*",)}
RESTRICTIONS = st.fixed_dictionaries(
    {},
    optional={
        "workflows": st.sampled_from([(WORKFLOW,), (".github/workflows/other.yml",)]),
        "source_refs": st.lists(REFS, min_size=1, max_size=2).map(tuple),
        "signer_refs": st.lists(REFS, min_size=1, max_size=2).map(tuple),
        "source_repository_id": st.just("111"),
        "source_owner_id": st.just("222"),
        "runner_environments": st.sampled_from([("github-hosted",), ("self-hosted",)]),
        "valid_from": MOMENTS,
        "valid_until": MOMENTS,
    },
)


@given(RUNS, RESTRICTIONS, RESTRICTIONS)
def test_a_restriction_more_never_turns_a_rejection_into_acceptance(
    run: Evidence, some: dict[str, Any], more: dict[str, Any]
) -> None:
    loose = make_policy(make_signer(**{**OPEN, **some}))
    # `some` wins, so that `more` only restricts what was open.
    strict = make_policy(make_signer(**{**OPEN, **more, **some}))
    if codes(loose, run):
        assert codes(strict, run)


@given(RUNS, MOMENTS)
def test_a_verified_time_more_never_turns_a_rejection_into_acceptance(
    run: Evidence, moment: datetime
) -> None:
    policy = make_policy(make_signer(**OPEN, valid_from=SIGNED, valid_until=SIGNED))
    if codes(policy, run):
        assert codes(policy, replace(run, times=(*run.times, *times(moment))))


@given(RUNS, RESTRICTIONS, RESTRICTIONS)
def test_a_policy_accepts_what_one_of_its_signers_accepts(
    run: Evidence, first: dict[str, Any], second: dict[str, Any]
) -> None:
    signers = [make_signer(**{**OPEN, **restrictions}) for restrictions in (first, second)]
    accepted = [signer for signer in signers if not signer.judge(run)]
    judged = make_policy(*signers).judge(run)
    assert judged == accepted[0] if accepted else isinstance(judged, list)


@pytest.mark.parametrize("spoil", ["schema = true", "schema = 1.0"])
def test_schema_version_is_a_number_and_nothing_like_it(spoil: str) -> None:
    with pytest.raises(PolicyError):
        from_toml(TOML.replace("schema = 1", spoil))


def test_keys_are_written_with_hyphens_only() -> None:
    with pytest.raises(PolicyError):
        from_toml(TOML.replace("source-refs", "source_refs"))


def test_a_policy_without_signers_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="at least one signer"):
        Policy("empty", PolicyOrigin.FILE, ())
