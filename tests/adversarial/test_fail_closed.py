"""Each step made to raise: never exit 0, never the word that a caller waits for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Loaded before anything is made to fail: a module must not bind what a test has put in place.
from brew_provenance.cli import check as check_command
from brew_provenance.cli import main
from brew_provenance.cli import verify as verify_command
from brew_provenance.errors import InputError, KitError, TrustError
from brew_provenance.sandbox.rehearsal import make_kit
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.wire import encode_json

FIXTURES = Path(__file__).parents[2] / "formula-fixtures"

# What each step of the way from bytes to an exit code calls, by the step's number.
STEPS = {
    1: ["brew_provenance.cli.verify.hash_stream", "brew_provenance.bottle.Digest.__post_init__"],
    2: [
        "brew_provenance.cli.options.read_bundles",
        "brew_provenance.stores.kit.read_bundles",
        "brew_provenance.stores.kit.Kit.resolve",
        "brew_provenance.stores.kit.Kit.formula",
        "brew_provenance.targets.choose_tag",
    ],
    3: [
        "brew_provenance.bundle._shape",
        "brew_provenance.strictjson.loads",
        "brew_provenance.appraise.predicate_type_of",
    ],
    4: [
        "brew_provenance.verify.Verifier.verify",
        "brew_provenance.verify.Verifier.__init__",
        "brew_provenance.verify.read_instance",
        "brew_provenance.verify.sigstorepy.profile_fault",
        "brew_provenance.verify.sigstorepy.SigstoreBundle.from_json",
        "brew_provenance.verify.sigstorepy.SigstoreVerifier.verify_dsse",
        "brew_provenance.verify.sigstorepy.Claims.from_certificate",
        "brew_provenance.verify.sigstorepy.SigstorePython._times",
        "brew_provenance.verify.roots.Instance.has_issued",
        "brew_provenance.verify.timestamped.verified_times",
        "brew_provenance.verify.timestamped.check_leaf",
        "brew_provenance.verify.timestamped.check_signature",
        "brew_provenance.verify.timestamps.is_trusted",
        "brew_provenance.verify.timestamps.is_stamping",
        "brew_provenance.verify.certificates.profile_fault",
        "brew_provenance.verify.certificates._validate",
        "brew_provenance.verify.logged.verified_time",
        "brew_provenance.verify.logged.check_leaf",
        "brew_provenance.verify.logged.check_transparency",
        "brew_provenance.verify.logged.check_proof",
        "brew_provenance.verify.logged.check_entry",
        "brew_provenance.verify.logged.check_signature",
        "brew_provenance.verify.log._check_checkpoint",
        "brew_provenance.cli.options.read_trusted_roots",
    ],
    5: [
        "brew_provenance.policy.Policy.judge",
        "brew_provenance.policy.Signer.judge",
        "brew_provenance.certificate.Claims.disagreements",
        "brew_provenance.policy.WorkflowIdentity.parse",
        "brew_provenance.check.appraise",
    ],
    6: ["brew_provenance.appraise.read_statement", "brew_provenance.appraise.find_subject"],
    7: ["brew_provenance.appraise.check_predicate", "brew_provenance.crosscheck.Provenance.model_validate"],
    8: ["brew_provenance.appraise._limits"],
    9: [
        "brew_provenance.appraise._outcome",
        "brew_provenance.appraise._rank",
        "brew_provenance.reports.text.render_verdicts",
        "brew_provenance.cli.options.write_result",
    ],
}
TARGETS = [(step, target) for step, targets in STEPS.items() for target in targets]
ERRORS = [
    RuntimeError("made to fail"),
    ValueError("made to fail"),
    KeyError("made to fail"),
    OSError("made to fail"),
    RecursionError("made to fail"),
    MemoryError("made to fail"),
    InputError("a file", "made to fail", "nothing"),
    TrustError("a root", "made to fail", "nothing"),
    KitError("a kit", "made to fail", "nothing"),
]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory, scenario: Scenario) -> list[list[str]]:
    """Commands that exit with 0 as long as nothing is made to fail."""
    assert verify_command.command.name, check_command.command.name
    folder = tmp_path_factory.mktemp("closed")
    artifact, root = folder / scenario.name, folder / "root.jsonl"
    artifact.write_bytes(scenario.artifact)
    makers = {
        "bundle": scenario.bundle,
        "private": scenario.bundle_private,
        "intoto": scenario.bundle_intoto,
        "promised": scenario.bundle_promised,
    }
    for name, make in makers.items():
        (folder / f"{name}.json").write_bytes(encode_json(make()))
    trusted = [instance.trusted_root() for instance in (scenario.sigstore, scenario.private)]
    root.write_bytes(b"".join(encode_json(document) + b"\n" for document in trusted))
    make_kit(folder / "kit", FIXTURES)
    kit_root = folder / "kit" / "trusted_root.jsonl"
    verifying = [
        "verify",
        artifact,
        "--repo",
        scenario.job.repository,
        "--trusted-root",
        root,
    ]
    checking = ["check", "brew-provenance/fixtures/hello", "--tag", "x86_64_linux", "--kit", folder / "kit"]
    return [
        *(
            [str(word) for word in [*verifying, "--offline", "--bundle", folder / f"{name}.json"]]
            for name in makers
        ),
        [str(word) for word in [*checking, "--trusted-root", kit_root, "--offline"]],
    ]


def _exit_code(command: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["brew-provenance", *command])
    try:
        main()
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter would
        return 1
    return 0


def test_nothing_made_to_fail_is_verified(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in commands:
        assert _exit_code(command, monkeypatch) == 0
        assert capsys.readouterr().out.startswith("verified ")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("step", "target"), TARGETS)
def test_step_that_raises_never_ends_in_verified(
    step: int,
    target: str,
    error: Exception,
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    called = []

    def fail(*_: object, **__: object) -> object:
        called.append(step)
        raise error

    for command in commands:
        with monkeypatch.context() as patch:
            patch.setattr(target, fail)
            before = len(called)
            code = _exit_code(command, patch)
        out = capsys.readouterr().out
        if len(called) > before:
            assert code in {1, 2, 3, 5}, out
            assert "verified" not in out

    assert called, f"{target} is not on the way of any command"


NOTHING: list[tuple[str, Callable[..., object]]] = [
    ("brew_provenance.cli.check.formula_targets", lambda *_, **__: []),
    ("brew_provenance.cli.check.check_targets", lambda *_, **__: []),
    ("brew_provenance.cli.options.read_bundles", lambda *_: []),
    ("brew_provenance.stores.kit.read_bundles", lambda *_: []),
]


@pytest.mark.parametrize(
    ("target", "answer"), NOTHING, ids=lambda value: value if isinstance(value, str) else ""
)
def test_nothing_checked_is_no_success(
    target: str,
    answer: Callable[..., object],
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    codes = []
    for command in commands:
        with monkeypatch.context() as patch:
            patch.setattr(target, answer)
            codes.append(_exit_code(command, patch))
        out = capsys.readouterr().out
        assert codes[-1] == 0 or "verified" not in out

    assert any(codes)
