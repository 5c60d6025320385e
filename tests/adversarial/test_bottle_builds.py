"""Every field of an attestation of our own build type, altered before it is signed and after.

All that could contradict it is at hand: the bottle, the tap's repository with the attested commit, and
the certificate. What still passes is in `VOUCHED`: of that, only the publishing workflow speaks.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.buildtypes.builds import FIXTURES, fixture_build
from tests.unit.repositories import BRANCH, SIGNATURE, commit, make_repository, write_files

from brew_provenance.appraise import Candidate
from brew_provenance.bottle import Digest
from brew_provenance.buildtypes.bottle.v1.rules import FIELDS, Origin
from brew_provenance.bundle import read_bundle
from brew_provenance.check import Trust, check_targets
from brew_provenance.explain import _leaves
from brew_provenance.policy import Policy, PolicyOrigin, Signer, policy_for_tap
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.wire import JsonObject, encode_json
from brew_provenance.stores import Answer
from brew_provenance.taps.git import GitTap
from brew_provenance.targets import Target, formula_targets
from brew_provenance.trust import TrustedRoot
from brew_provenance.verdict import Outcome, Verdict
from brew_provenance.verify import Verifier

TAP = "brew-provenance/fixtures"
REPOSITORY = "https://github.com/brew-provenance/homebrew-fixtures"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PUBLISHER = ActionsJob(event_name="workflow_dispatch")
ONE, ALL = "hello--3.0.1.arm64_sonoma.bottle.tar.gz", "salutations--4.2.all.bottle.tar.gz"
EARLIER, ELSEWHERE = "an earlier commit", "a commit that is not there"

PARAMETERS = "buildDefinition.externalParameters"
INTERNAL = "buildDefinition.internalParameters"
DEPENDENCIES = "buildDefinition.resolvedDependencies"
OTHERS = f"{INTERNAL}.identicalBottles[]"

STRANGE_RUN = "https://github.com/a/b/actions/runs/1/attempts/1"
STRANGE_TAP = "git+https://github.com/a/b@refs/pull/71/merge"

_RUNNER: Mapping[str, tuple[Any, str | None]] = {
    "name": ("GitHub Actions 7", None),
    "os": ("Windows", "runner-other-system"),
    "arch": ("RISCV", None),
    "environment": ("self-hosted", None),
    "labels[]": ("self-hosted", "runner-labels-contradict"),
    "image.os": ("macos26", None),
    "image.version": ("20990101.1.0", None),
}
LIES: Mapping[str, tuple[Any, str | None]] = {
    "_type": ("https://in-toto.io/Statement/v0.1", "statement-type-unexpected"),
    "predicateType": ("https://slsa.dev/provenance/v0.2", "predicate-type-other"),
    "subject[].name": ("hello--3.0.2.arm64_sonoma.bottle.tar.gz", "subject-other-version"),
    "subject[].digest.sha256": ("0" * 64, "subject-digest-mismatch"),
    "buildDefinition.buildType": ("https://example.org/v1", "build-type-unknown"),
    f"{PARAMETERS}.tap": ("attacker/fixtures", "parameters-other-tap"),
    f"{PARAMETERS}.formula": ("farewell", "parameters-other-formula"),
    f"{PARAMETERS}.tag": ("arm64_tahoe", "parameters-other-tag"),
    f"{PARAMETERS}.rebuild": (7, "parameters-other-rebuild"),
    f"{PARAMETERS}.ref": ("refs/heads/main", "predicate-ref-mismatch"),
    **{f"{INTERNAL}.runner.{name}": lie for name, lie in _RUNNER.items()},
    f"{INTERNAL}.github.repository_id": ("7", "predicate-repository-id-mismatch"),
    f"{INTERNAL}.github.repository_owner_id": ("7", "predicate-owner-id-mismatch"),
    f"{INTERNAL}.github.event_name": ("push", "predicate-event-mismatch"),
    f"{INTERNAL}.github.job_id": ("7", None),
    f"{INTERNAL}.github.head_sha": ("7" * 40, None),
    f"{OTHERS}.name": ("salutations--4.3.sonoma.bottle.tar.gz", "identical-bottles-mismatch"),
    f"{OTHERS}.invocationId": (STRANGE_RUN, "predicate-invocation-mismatch"),
    **{f"{OTHERS}.runner.{name}": lie for name, lie in _RUNNER.items()},
    f"{DEPENDENCIES}[tap].name": ("taps", "predicate-malformed"),
    f"{DEPENDENCIES}[tap].uri": (STRANGE_TAP, "predicate-source-mismatch"),
    f"{DEPENDENCIES}[tap].digest.gitCommit": (EARLIER, "formula-file-mismatch"),
    f"{DEPENDENCIES}[formula].name": ("formulae", "predicate-malformed"),
    f"{DEPENDENCIES}[formula].uri": (STRANGE_TAP, "predicate-source-mismatch"),
    f"{DEPENDENCIES}[formula].digest.gitBlob": ("7" * 40, "formula-file-mismatch"),
    f"{DEPENDENCIES}[formula].digest.sha256": ("7" * 64, "formula-file-mismatch"),
    f"{DEPENDENCIES}[formula].annotations.path": ("Formula/f/farewell.rb", "formula-path-unusable"),
    f"{DEPENDENCIES}[formula].annotations.sha256WithoutBottleBlock": ("7" * 64, "formula-text-mismatch"),
    f"{DEPENDENCIES}[brew].name": ("linuxbrew", None),
    f"{DEPENDENCIES}[brew].uri": ("git+https://github.com/a/brew@refs/tags/9", None),
    f"{DEPENDENCIES}[brew].digest.gitCommit": ("7" * 40, None),
    f"{DEPENDENCIES}[source].name": ("sources", None),
    f"{DEPENDENCIES}[source].uri": ("https://example.org/other.tar.gz", None),
    f"{DEPENDENCIES}[source].digest.sha256": ("7" * 64, "formula-source-mismatch"),
    "runDetails.builder.id": (
        "https://github.com/a/b/.github/workflows/tests.yml@refs/heads/main",
        "builder-not-allowed",
    ),
    "runDetails.metadata.invocationId": (STRANGE_RUN, "predicate-invocation-mismatch"),
    "runDetails.metadata.startedOn": ("2026-03-01T11:59:00Z", "build-times-contradict"),
    "runDetails.metadata.finishedOn": ("2026-03-02T00:00:00Z", "build-times-contradict"),
    "runDetails.byproducts[].name": ("other.json", None),
    "runDetails.byproducts[].digest.sha256": ("7" * 64, None),
}  # fmt: skip
"""A plausible value for each field, and the reason for which it is rejected: None where it passes."""

VOUCHED = {
    f"{INTERNAL}.runner.name",
    f"{INTERNAL}.runner.arch",
    f"{INTERNAL}.runner.environment",
    f"{INTERNAL}.runner.image.os",
    f"{INTERNAL}.runner.image.version",
    f"{INTERNAL}.github.job_id",
    f"{INTERNAL}.github.head_sha",
    f"{OTHERS}.runner.name",
    f"{OTHERS}.runner.arch",
    f"{OTHERS}.runner.environment",
    f"{OTHERS}.runner.image.os",
    f"{OTHERS}.runner.image.version",
    f"{DEPENDENCIES}[brew].name",
    f"{DEPENDENCIES}[brew].uri",
    f"{DEPENDENCIES}[brew].digest.gitCommit",
    f"{DEPENDENCIES}[source].name",
    f"{DEPENDENCIES}[source].uri",
    "runDetails.byproducts[].name",
    "runDetails.byproducts[].digest.sha256",
}
"""What nothing else speaks of: the publishing workflow corroborates it before it signs, or nobody does."""

ALSO: list[tuple[str, Any]] = [
    # Of the same repository, and of the right shape.
    (f"{DEPENDENCIES}[tap].digest.gitCommit", ELSEWHERE),
    ("runDetails.builder.id", f"{REPOSITORY}/.github/workflows/other.yml@refs/pull/71/merge"),
    ("runDetails.metadata.invocationId", f"{REPOSITORY}/actions/runs/7/attempts/1"),
    ("runDetails.metadata.startedOn", "2026-03-01T11:00:00Z"),
    ("runDetails.metadata.finishedOn", "2026-03-01T11:40:00Z"),
    (f"{INTERNAL}.github.event_name", "pull_request_target"),
    (f"{INTERNAL}.runner.labels[]", "macos-26"),
]
"""Lies that are nearer to the truth, and pass: they are the publishing workflow's to find."""


@dataclass(frozen=True)
class World:
    """A tap's repository, its bottles, and a Sigstore that its publishing job signs with."""

    tap: GitTap
    commits: Mapping[str, str]
    sigstore: VirtualSigstore
    trust: Trust

    def statement(self, name: str) -> JsonObject:
        """Return the right statement about a bottle."""
        (target,) = self.targets(name)
        bottle = target.question.bottle
        assert bottle is not None
        job = fixture_build(PUBLISHER, bottle.file_name, commit=self.commits["built"])
        return build_statement([build_subject(name, bottle.digest.value)], job.predicate())

    def targets(self, name: str) -> list[Target]:
        formula = name.partition("--")[0]
        found = formula_targets(lambda _: self.tap, [f"{TAP}/{formula}"], None)
        file = FIXTURES / "bottles" / name
        return [
            replace(target, file=file)
            for target in found
            if target.question.bottle is not None and str(target.question.bottle.file_name) == name
        ]

    def sign(self, statement: JsonObject) -> JsonObject:
        return self.sigstore.attest(statement, PUBLISHER, at=AT)

    def check(self, name: str, bundle: JsonObject, policy: Policy | None = None) -> Verdict:
        targets = self.targets(name)
        store = OneBundle(encode_json(bundle))
        (verdict,) = check_targets(
            targets, lambda _: store, lambda: self.trust, lambda tap: policy or policy_for_tap(tap)
        )
        return verdict


@dataclass(frozen=True)
class OneBundle:
    """A store that has one bundle for everything."""

    raw: bytes
    name: str = "one bundle"

    def resolve(self, digests: Collection[Digest], *, fresh: bool = False) -> Mapping[Digest, Answer]:
        return {digest: Answer((Candidate("bundle", read_bundle(self.raw)),)) for digest in digests}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("tap")
    files = {str(path.relative_to(FIXTURES)): path.read_bytes() for path in FIXTURES.glob("Formula/*/*.rb")}
    earlier = {
        path: text.replace(b"Greets", b"Salutes").replace(b"desc", b"# desc", 1)
        for path, text in files.items()
    }
    repository = make_repository(folder, earlier)
    commits = {EARLIER: str(repository.head.target), ELSEWHERE: "7" * 40}
    # What a pull request built: a merge commit that no branch leads to.
    tree = write_files(repository, files)
    merge = repository.create_commit(None, SIGNATURE, SIGNATURE, "Merge", tree, [repository.head.target])
    commit(repository, {**files, "README.md": b"Published.\n"})
    assert repository.references[BRANCH].target != merge
    repository.free()
    sigstore = VirtualSigstore()
    root = TrustedRoot("virtual", json.dumps(sigstore.trusted_root()).encode(), built_in=False)
    tap = GitTap(folder, tap=TAP)
    return World(tap, {**commits, "built": str(merge)}, sigstore, Trust(Verifier([root]), (root,)))


def kinds_of(statement: JsonObject) -> dict[str, str]:
    """Return every kind of field, and the first path of it."""
    found: dict[str, str] = {}
    whole = {**statement, "predicate": None}
    for path, kind, _ in [*_leaves(whole), *_leaves(statement["predicate"])]:
        if kind != "predicate":
            found.setdefault(kind.replace("subject[None]", "subject[]"), path)
    return found


def alter(statement: JsonObject, path: str, value: Any) -> JsonObject:
    """Return the statement with a value at a path of it, or of its predicate."""
    changed = copy.deepcopy(statement)
    holder, last = holder_of(changed, path)
    assert holder[last] != value
    holder[last] = value
    return changed


def holder_of(statement: JsonObject, path: str) -> tuple[Any, str | int]:
    """Return what holds the field at a path, and the field's name or number in it."""
    steps: list[str | int] = []
    for part in path.split("."):
        name, *indexes = part.replace("]", "").split("[")
        steps += [name, *map(int, indexes)]
    holder: Any = statement if steps[0] in statement else statement["predicate"]
    for step in steps[:-1]:
        holder = holder[step]
    return holder, steps[-1]


def codes(verdict: Verdict) -> list[str]:
    return [fault.code for fault in verdict.faults]


@pytest.mark.parametrize("name", [ONE, ALL])
def test_the_right_attestation_is_accepted_with_formula_and_builder(name: str, world: World) -> None:
    verdict = world.check(name, world.sign(world.statement(name)))
    assert verdict.outcome is Outcome.VERIFIED, verdict.faults
    assert verdict.best is not None
    notes = {note.code: note.detail for note in verdict.best.notes}
    assert set(notes) == {"builder-bound", "formula-bound"}
    for said in (world.commits["built"], "in the bottle", "at that commit"):
        assert said in notes["formula-bound"]


def test_the_lies_are_of_every_field_and_of_no_other(world: World) -> None:
    fields = kinds_of(world.statement(ONE)) | kinds_of(world.statement(ALL))
    assert set(fields) == set(LIES)
    assert {kind for kind, (_, code) in LIES.items() if code is None} == VOUCHED
    statement = {"_type", "predicateType", "subject[].name", "subject[].digest.sha256"}
    assert set(LIES) - statement == set(FIELDS) - {f"{DEPENDENCIES}[source].digest.gitCommit"}


def test_what_a_certificate_speaks_of_is_never_only_vouched_for() -> None:
    assert not {kind for kind in VOUCHED if FIELDS[kind].origin in {Origin.CERTIFICATE, Origin.FORMULA}}


@pytest.mark.parametrize("kind", LIES)
def test_each_lie_is_found_for_its_own_reason_or_is_the_publishers_to_find(kind: str, world: World) -> None:
    value, code = LIES[kind]
    name = ALL if kind.startswith(OTHERS) else ONE
    statement = world.statement(name)
    lie = alter(statement, kinds_of(statement)[kind], world.commits.get(str(value), value))
    verdict = world.check(name, world.sign(lie))
    if code is None:
        assert verdict.outcome is Outcome.VERIFIED, verdict.faults
        return
    assert verdict.outcome in {Outcome.REJECTED, Outcome.UNATTESTED}
    assert codes(verdict)[0] == code, verdict.faults


@pytest.mark.parametrize(("kind", "value"), ALSO)
def test_a_lie_that_nothing_contradicts_passes(kind: str, value: Any, world: World) -> None:
    statement = world.statement(ONE)
    lie = alter(statement, kinds_of(statement)[kind], world.commits.get(str(value), value))
    verdict = world.check(ONE, world.sign(lie))
    assert verdict.outcome is Outcome.VERIFIED, verdict.faults


def test_a_policy_that_lists_builders_finds_more_of_them(world: World) -> None:
    signer = Signer(
        name="publish",
        source_repository=PUBLISHER.repository,
        source_refs=("refs/heads/main",),
        builders=(".github/workflows/tests.yml",),
        builder_environments=("github-hosted",),
    )
    policy = Policy("listed", PolicyOrigin.FILE, (signer,), TAP)
    statement = world.statement(ONE)
    assert world.check(ONE, world.sign(statement), policy).outcome is Outcome.VERIFIED
    for path, value, code in (
        ("runDetails.builder.id", dict(ALSO)["runDetails.builder.id"], "builder-not-allowed"),
        (f"{INTERNAL}.runner.environment", "self-hosted", "builder-environment-not-allowed"),
    ):
        assert codes(world.check(ONE, world.sign(alter(statement, path, value)), policy)) == [code]


@pytest.mark.parametrize("name", [ONE, ALL])
def test_no_field_can_be_altered_after_signing(name: str, world: World) -> None:
    statement = world.statement(name)
    bundle = world.sign(statement)
    for kind, path in kinds_of(statement).items():
        value = LIES[kind][0]
        if kind == "predicateType":
            continue  # a bundle of another predicate type is not looked at any further
        forged = copy.deepcopy(bundle)
        lie = alter(statement, path, world.commits.get(str(value), value))
        forged["dsseEnvelope"]["payload"] = base64.b64encode(encode_json(lie)).decode()
        assert codes(world.check(name, forged)) == ["envelope-signature-invalid"], kind


DROPPED = {
    f"{INTERNAL}.runner.labels[]",
    f"{INTERNAL}.runner.image.version",
    f"{INTERNAL}.runner.image.os",
    f"{DEPENDENCIES}[formula].uri",
    f"{DEPENDENCIES}[formula].digest.gitBlob",
    f"{DEPENDENCIES}[brew].uri",
    f"{DEPENDENCIES}[source].uri",
    "runDetails.metadata.startedOn",
    "runDetails.metadata.finishedOn",
}
"""What may be left out; of an image both or neither."""


@pytest.mark.parametrize("kind", LIES)
def test_nothing_that_is_needed_can_be_left_out(kind: str, world: World) -> None:
    name = ALL if kind.startswith(OTHERS) else ONE
    statement = world.statement(name)
    lacking = copy.deepcopy(statement)
    holder, last = holder_of(lacking, kinds_of(statement)[kind])
    del holder[last]
    accepted = world.check(name, world.sign(lacking)).outcome is Outcome.VERIFIED
    base = kind.replace(OTHERS, INTERNAL) if kind.startswith(f"{OTHERS}.runner") else kind
    assert accepted == (base in DROPPED and ".image." not in base)


SIBLING = replace(PUBLISHER, repository="brew-provenance/homebrew-other")
ELSEWHERES: list[tuple[str, ActionsJob, str]] = [
    ("another repository of the owner", SIBLING, "repository"),
    ("a fork", replace(PUBLISHER, repository="attacker/homebrew-fixtures"), "repository"),
    ("a branch", replace(PUBLISHER, ref="refs/heads/feature"), "ref"),
    ("a pull request", replace(PUBLISHER, ref="refs/pull/71/merge", event_name="pull_request"), "ref"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "job", "reason"), ELSEWHERES)
def test_a_build_that_is_signed_elsewhere_does_not_pass(
    what: str, job: ActionsJob, reason: str, world: World
) -> None:
    verdict = world.check(ONE, world.sigstore.attest(world.statement(ONE), job, at=AT))
    assert verdict.outcome is Outcome.REJECTED, what
    assert reason in codes(verdict)[0]


def test_the_bottle_in_hand_is_the_one_that_is_attested(world: World, tmp_path: Path) -> None:
    other = tmp_path / ONE
    other.write_bytes((FIXTURES / "bottles" / ONE).read_bytes() + b"\0")
    (target,) = world.targets(ONE)
    store = OneBundle(encode_json(world.sign(world.statement(ONE))))
    (verdict,) = check_targets(
        [replace(target, file=other)], lambda _: store, lambda: world.trust, policy_for_tap
    )
    assert codes(verdict) == ["artifact-digest-mismatch"]
