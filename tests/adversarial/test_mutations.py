"""Mutants of good bundles: whatever is accepted says the same, by the same certificate and signature."""

from __future__ import annotations

import base64
import copy
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.adversarial.conftest import roots_of

from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.evidence import Evidence
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.trust import read_trusted_roots
from brew_provenance.verdict import Outcome, Verdict
from brew_provenance.verify import Verifier

SEED = 20261101
PER_RUN = 400
NIGHTLY = 100_000
"""Mutants of each kind."""

_REUSABLE = "bundles/gh-reusable-workflow-attestation.json"
_PLAYWRIGHT = "bundles/playwright-cli-0.1.1-provenance.json"
_ENTRY = "verificationMaterial.tlogEntries[0]"
_CHAIN = "verificationMaterial.x509CertificateChain.certificates"
# Parts of a bundle that nobody signs, so that they may differ in an accepted mutant.
MALLEABLE = {
    # A hint, which DSSE itself calls unauthenticated.
    "dsseEnvelope.signatures[0].keyid",
    # An empty one may be left out.
    "verificationMaterial.timestampVerificationData",
    "verificationMaterial.timestampVerificationData.rfc3161Timestamps",
}
# Names, and signatures of others, around the signed text.
MALLEABLE_NOTE = {f"{_ENTRY}.inclusionProof.checkpoint.envelope"}
# RFC 3161 leaves parts of the response around the signed ones unsigned; the time is not among them.
MALLEABLE_STAMP = {"verificationMaterial.timestampVerificationData.rfc3161Timestamps[0].signedTimestamp"}
# Rekor v1 signs both with its promise; v2 makes none, and of the key id uses four bytes, as a hint.
MALLEABLE_V2 = {f"{_ENTRY}.logIndex", f"{_ENTRY}.logId.keyId"}
# No entry is asked for, and none is what an empty list holds.
MALLEABLE_UNLOGGED = {"verificationMaterial.tlogEntries"}
# What a chain holds beside the signer's certificate is not looked at: the trusted root has the rest.
MALLEABLE_CHAIN = {f"{_CHAIN}[1].rawBytes", f"{_CHAIN}[2].rawBytes", f"{_CHAIN}[1]", _CHAIN}
# That there is no proof can be said by leaving it out, by null, and by an empty one.
MALLEABLE_UNPROVEN = {f"{_ENTRY}.inclusionProof"}


@dataclass(frozen=True)
class Kind:
    """A kind of bundle: two good ones, and what may vary in the first."""

    malleable: set[str]
    make: Callable[[Scenario, Any], Any] | None = None
    """Makes one of the sandbox's, for a statement."""

    files: tuple[str, str] = ("", "")
    """Two real ones."""


KINDS = {
    "virtual-rekor-v1": Kind(
        MALLEABLE | MALLEABLE_NOTE, lambda s, statement: s.sigstore.attest(statement, s.job, at=s.at)
    ),
    "virtual-rekor-v2": Kind(
        MALLEABLE | MALLEABLE_NOTE | MALLEABLE_STAMP | MALLEABLE_V2,
        lambda s, statement: s.sigstore.attest(statement, s.job, at=s.at, log="rekor-v2"),
    ),
    "virtual-private": Kind(
        MALLEABLE | MALLEABLE_STAMP | MALLEABLE_UNLOGGED,
        lambda s, statement: s.private.attest(statement, s.job, at=s.at),
    ),
    "virtual-intoto": Kind(
        MALLEABLE | MALLEABLE_NOTE,
        lambda s, statement: s.sigstore.attest_as_before(statement, s.job, at=s.at, kind="intoto"),
    ),
    "virtual-promised": Kind(
        MALLEABLE | MALLEABLE_CHAIN,
        lambda s, statement: s.sigstore.attest_as_before(statement, s.job, at=s.at, kind="promised"),
    ),
    "github": Kind(
        MALLEABLE | MALLEABLE_NOTE,
        files=(
            _REUSABLE,
            _PLAYWRIGHT,
        ),
    ),
    "npm": Kind(
        MALLEABLE | MALLEABLE_NOTE,
        files=(
            _PLAYWRIGHT,
            _REUSABLE,
        ),
    ),
    "github-private": Kind(
        MALLEABLE | MALLEABLE_STAMP | MALLEABLE_UNLOGGED,
        files=(
            "bundles/gh-github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl",
            "api/gh-download-cli-v2.96.0.jsonl",
        ),
    ),
    "npm-intoto": Kind(
        MALLEABLE | MALLEABLE_NOTE,
        files=("bundles/gh-sigstore-js-2.1.0-bundle.json", "bundles/js-bundleV03-intoto.json"),
    ),
    "npm-promised": Kind(
        MALLEABLE | MALLEABLE_CHAIN | MALLEABLE_UNPROVEN,
        files=("bundles/npm-sigstore-provenance.json", "bundles/npm-tuf-js-provenance.json"),
    ),
}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Every leaf's path, as text and as keys."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = [(key, child) for key, child in value.items()]
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, child in items:
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
        if isinstance(child, dict | list) and child:
            for name, keys in _leaves(child, path + step):
                yield name, [key, *keys]
        else:
            yield path + step, [key]


def _set(document: Any, keys: list[Any], value: Any) -> None:
    for key in keys[:-1]:
        document = document[key]
    document[keys[-1]] = value


def _get(document: Any, keys: list[Any]) -> Any:
    for key in keys:
        document = document[key]
    return document


class Mutator:
    """Makes mutants of one bundle, with pieces of another, from a fixed seed."""

    def __init__(self, good: bytes, other: bytes, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.good = good
        self.document = json.loads(good)
        self.other = json.loads(other)
        self.leaves = list(_leaves(self.document))

    def mutant(self) -> bytes:
        kinds = (
            self._byte,
            self._character,
            self._splice,
            self._remove,
            self._retype,
            self._duplicate,
            self._bits,
        )
        return self.random.choice(kinds)()

    def _byte(self) -> bytes:
        raw = bytearray(self.good)
        raw[self.random.randrange(len(raw))] = self.random.randrange(256)
        return bytes(raw)

    def _character(self) -> bytes:
        document, keys = self._copy()
        text = str(_get(document, keys))
        if text:
            at = self.random.randrange(len(text))
            text = text[:at] + self.random.choice("AZaz09+/=.-_ \n\u2014") + text[at + 1 :]
        _set(document, keys, text)
        return json.dumps(document).encode()

    def _bits(self) -> bytes:
        document, keys = self._copy()
        try:
            raw = bytearray(base64.b64decode(str(_get(document, keys)), validate=True))
        except ValueError:
            return self._byte()
        if raw:
            raw[self.random.randrange(len(raw))] ^= 1 << self.random.randrange(8)
        _set(document, keys, base64.b64encode(bytes(raw)).decode())
        return json.dumps(document).encode()

    def _splice(self) -> bytes:
        document, keys = self._copy()
        try:
            _set(document, keys, _get(self.other, keys))
        except (KeyError, IndexError):
            return self._byte()
        return json.dumps(document).encode()

    def _remove(self) -> bytes:
        document, keys = self._copy()
        keys = keys[: self.random.randint(1, len(keys))]
        parent = _get(document, keys[:-1])
        del parent[keys[-1]]
        return json.dumps(document).encode()

    def _retype(self) -> bytes:
        document, keys = self._copy()
        keys = keys[: self.random.randint(1, len(keys))]
        _set(
            document, keys, self.random.choice([None, 0, -1, 10**400, True, "", [], {}, [[]], "\x00", 1e300])
        )
        return json.dumps(document).encode()

    def _duplicate(self) -> bytes:
        document, keys = self._copy()
        parent = _get(document, keys[:-1])
        if isinstance(parent, list):
            parent.append(copy.deepcopy(parent[0]))
        else:
            parent[self.random.choice(["extra", "log_index", "dsse_envelope", "raw_bytes"])] = "1"
        return json.dumps(document).encode()

    def _copy(self) -> tuple[Any, list[Any]]:
        return copy.deepcopy(self.document), list(self.random.choice(self.leaves)[1])


def _differing(good: Any, mutant: bytes) -> set[str]:
    document = json.loads(mutant)
    before, after = dict(_values(good)), dict(_values(document))
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def _values(document: Any) -> Iterator[tuple[str, Any]]:
    """Every leaf, with base64 by the bytes that it stands for."""
    for path, keys in _leaves(document):
        value = _get(document, keys)
        try:
            yield path, base64.b64decode(value)
        except (TypeError, ValueError):
            yield path, value


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def bundles(kind: Kind, scenario: Scenario, request: pytest.FixtureRequest) -> tuple[bytes, bytes, Verifier]:
    """A good bundle, another good one to take pieces of, and a verifier that trusts both instances."""
    if kind.make is not None:
        statements = (scenario.statement(), {**scenario.statement(), "note": "another"})
        good, other = (json.dumps(kind.make(scenario, statement)).encode() for statement in statements)
        return good, other, Verifier(roots_of(scenario))
    data: Path = request.getfixturevalue("data")
    good, other = ((data / name).read_bytes() for name in kind.files)
    return good, other, Verifier(read_trusted_roots(data / "roots" / "gh-attestation-trusted-root.jsonl"))


def _identity(evidence: Evidence) -> tuple[bytes, str, bytes]:
    return evidence.payload, evidence.certificate_sha256, evidence.signature


def test_accepted_mutant_says_the_same(
    kind: Kind, bundles: tuple[bytes, bytes, Verifier], *, nightly: bool
) -> None:
    good, other, verifier = bundles
    mutator = Mutator(good, other, SEED)
    (original,) = [_verify(verifier, good)]
    assert isinstance(original, Evidence)
    answers: Counter[str] = Counter()
    varied: set[str] = set()
    for _ in range(NIGHTLY if nightly else PER_RUN):
        mutant = mutator.mutant()
        answer = _verify(verifier, mutant)
        answers[answer if isinstance(answer, str) else "accepted"] += 1
        if isinstance(answer, Evidence):
            assert _identity(answer) == _identity(original), mutant
            assert answer.claims == original.claims
            assert {time.time for time in answer.times} <= {time.time for time in original.times}
            varied |= _differing(mutator.document, mutant)

    assert varied <= kind.malleable
    assert len(answers) > 10, answers


def _verify(verifier: Verifier, raw: bytes) -> Evidence | str:
    bundle = read_bundle(raw)
    if not isinstance(bundle, Bundle):
        return bundle.code
    answer = verifier.verify(bundle, ())
    return answer if isinstance(answer, Evidence) else answer.code


def test_mutants_of_the_statement_are_never_accepted(
    scenario: Scenario, judge: Callable[[bytes], Verdict], *, nightly: bool
) -> None:
    """Signed by the right signer: what it says decides."""
    good = json.dumps(scenario.statement()).encode()
    mutator = Mutator(good, good, SEED)
    signer = scenario.signer()
    essential = {"subject[0].name", "subject[0].digest.sha256", "_type", "predicateType"}
    before = dict(_values(json.loads(good)))
    answers: Counter[Outcome] = Counter()
    for _ in range(2_000 if nightly else 200):
        payload = mutator.mutant()
        bundle = scenario.sigstore.attest(payload, signer, at=scenario.at)
        verdict = judge(json.dumps(bundle).encode())
        answers[verdict.outcome] += 1
        if verdict.outcome is Outcome.VERIFIED:
            after = dict(_values(json.loads(payload)))
            assert all(after[path] == before[path] for path in essential)
            # The rest of the predicate may be silent or say more, but nothing else than the certificate.
            changed = {path for path in before if after.get(path) not in (None, before[path])}
            assert not changed, payload

    assert answers[Outcome.REJECTED] > answers[Outcome.VERIFIED] > 0
