"""Rightly signed statements that are not about this bottle, or not clearly so."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

from brew_provenance.bottle import BottleFileName
from brew_provenance.sandbox.actions import build_subject
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario, alter_statement
from brew_provenance.sandbox.wire import JsonObject, encode_json

_MOST_SUBJECTS = 1024
_OTHER_BYTES = b"another bottle"
_OTHER_DIGEST = hashlib.sha256(_OTHER_BYTES).hexdigest()


def _sign_as(payload_type: str) -> Make:
    """Return a maker whose right statement is signed as another type of payload."""

    def make(scenario: Scenario) -> bytes:
        signer = scenario.signer()
        payload = encode_json(scenario.statement())
        return scenario.log(signer.seal(payload, payload_type), signer)

    return make


def _sign_payload(encode: Callable[[JsonObject], bytes]) -> Make:
    """Return a maker that signs these bytes in the place of the statement's JSON."""

    def make(scenario: Scenario) -> bytes:
        payload = encode(scenario.statement())
        return encode_json(scenario.sigstore.attest(payload, scenario.job, at=scenario.at))

    return make


def _subjects(build: Callable[[Scenario], list[JsonObject]]) -> Make:
    """Return a maker whose statement is about these subjects."""
    return alter_statement(lambda statement, s: statement.update(subject=build(s)))


def _digest(build: Callable[[Scenario], object]) -> Make:
    """Return a maker whose statement gives the bottle's name this digest."""
    return _subjects(lambda s: [{"name": s.name, "digest": build(s)}])


def _renamed(rename: Callable[[BottleFileName], object]) -> Make:
    """Return a maker whose statement gives the bottle's digest this name."""
    return _subjects(lambda s: [build_subject(str(rename(s.bottle)), s.digest)])


def _many(scenario: Scenario) -> list[JsonObject]:
    others = [
        build_subject(
            str(dataclasses.replace(scenario.bottle, formula=f"formula-{number}")),
            hashlib.sha256(str(number).encode()).hexdigest(),
        )
        for number in range(_MOST_SUBJECTS)
    ]
    return [build_subject(scenario.name, scenario.digest), *others]


def _repeat_subject_key(statement: JsonObject) -> bytes:
    first = encode_json({"subject": [build_subject("other", _OTHER_DIGEST)]})
    return first[:-1] + b"," + encode_json(statement)[1:]


_PAYLOADS = (
    Forgery(
        "payload-as-json",
        "payload-type-unexpected",
        "The statement is signed as application/json.",
        _sign_as("application/json"),
    ),
    Forgery(
        "payload-type-with-parameter",
        "payload-type-unexpected",
        "The statement's type is the right one with something added to it.",
        _sign_as("application/vnd.in-toto+json; charset=utf-8"),
    ),
    Forgery(
        "payload-not-json",
        "payload-malformed",
        "The signer signed text.",
        _sign_payload(lambda _: b"a statement"),
    ),
    Forgery(
        "payload-in-utf-16",
        "payload-malformed",
        "The signer signed the statement in UTF-16, which some readers take for JSON.",
        _sign_payload(lambda statement: encode_json(statement).decode().encode("utf-16")),
    ),
    Forgery(
        "payload-with-two-subjects-keys",
        "payload-malformed",
        "The statement names its subjects twice, and readers differ in which they take.",
        _sign_payload(_repeat_subject_key),
    ),
)

_SHAPES = (
    Forgery(
        "statement-is-a-list",
        "statement-malformed",
        "The statement stands in a JSON array.",
        _sign_payload(lambda statement: encode_json([statement])),
    ),
    Forgery(
        "subject-not-a-list",
        "statement-malformed",
        "The subjects are one object instead of an array.",
        alter_statement(lambda statement, _: statement.update(subject=statement["subject"][0])),
    ),
    Forgery(
        "digest-not-an-object",
        "statement-malformed",
        "The subject's digest is a string.",
        _digest(lambda s: s.digest),
    ),
    Forgery(
        "predicate-is-a-list",
        "statement-malformed",
        "The predicate stands in a JSON array.",
        alter_statement(lambda statement, _: statement.update(predicate=[statement["predicate"]])),
    ),
    Forgery(
        "no-predicate-type",
        "statement-malformed",
        "The statement does not say what its predicate is.",
        alter_statement(lambda statement, _: statement.pop("predicateType")),
    ),
    Forgery(
        "statement-of-version-0.1",
        "statement-type-unexpected",
        "The statement is of in-toto's version 0.1.",
        alter_statement(lambda statement, _: statement.update(_type="https://in-toto.io/Statement/v0.1")),
    ),
    Forgery(
        "no-subject",
        "statement-without-subject",
        "The statement is about nothing.",
        _subjects(lambda _: []),
    ),
    Forgery(
        "many-subjects",
        "statement-subjects-too-many",
        "The statement is about 1025 bottles, of which the first is the right one.",
        _subjects(_many),
    ),
)

_DIGESTS = (
    Forgery(
        "digest-in-capitals",
        "subject-digest-malformed",
        "The digest is in capitals.",
        _digest(lambda s: {"sha256": s.digest.upper()}),
    ),
    Forgery(
        "digest-cut-short",
        "subject-digest-malformed",
        "The digest's last byte is missing.",
        _digest(lambda s: {"sha256": s.digest[:-2]}),
    ),
    Forgery(
        "digest-with-newline",
        "subject-digest-malformed",
        "A newline follows the digest.",
        _digest(lambda s: {"sha256": f"{s.digest}\n"}),
    ),
    Forgery(
        "digests-of-two-artifacts",
        "subject-digests-disagree",
        "The subject's SHA-512 is that of another artifact.",
        _digest(lambda s: {"sha256": s.digest, "sha512": hashlib.sha512(_OTHER_BYTES).hexdigest()}),
    ),
    Forgery(
        "name-with-two-digests",
        "subject-ambiguous",
        "The bottle's name stands in two subjects with different digests.",
        _subjects(lambda s: [build_subject(s.name, s.digest), build_subject(s.name, _OTHER_DIGEST)]),
    ),
    Forgery(
        "digest-of-other-artifact",
        "subject-digest-mismatch",
        "The bottle's name has another artifact's digest.",
        _digest(lambda _: {"sha256": _OTHER_DIGEST}),
    ),
    Forgery(
        "digest-by-other-algorithm",
        "subject-digest-mismatch",
        "The bottle's digest is given as if it were one by another algorithm.",
        _digest(lambda s: {"sha3_256": s.digest}),
    ),
    Forgery(
        "name-and-digest-apart",
        "subject-split",
        "The bottle's name and its digest stand in two subjects.",
        _subjects(
            lambda s: [
                build_subject(s.name, _OTHER_DIGEST),
                build_subject(str(dataclasses.replace(s.bottle, formula="other")), s.digest),
            ]
        ),
    ),
)

_NAMES = (
    Forgery(
        "name-of-source",
        "subject-name-not-a-bottle",
        "The bottle's digest is named as a source archive.",
        _renamed(lambda bottle: f"{bottle.formula}-{bottle.version}.tar.gz"),
    ),
    Forgery(
        "name-in-folder",
        "subject-name-not-a-bottle",
        "The bottle's name has a folder before it.",
        _renamed(lambda bottle: f"bottles/{bottle}"),
    ),
    Forgery(
        "name-with-tail",
        "subject-name-not-a-bottle",
        "Something follows the bottle's name.",
        _renamed(lambda bottle: f"{bottle}.asc"),
    ),
    Forgery(
        "name-of-other-formula",
        "subject-other-formula",
        "The bottle's digest is named after another formula.",
        _renamed(lambda bottle: dataclasses.replace(bottle, formula="goodbye")),
    ),
    Forgery(
        "name-of-longer-formula",
        "subject-other-formula",
        "The bottle's digest is named after a formula whose name begins as the right one.",
        _renamed(lambda bottle: dataclasses.replace(bottle, formula=f"{bottle.formula}-extra")),
    ),
    Forgery(
        "name-of-longer-version",
        "subject-other-version",
        "The bottle's digest is named after a version that begins as the right one.",
        _renamed(lambda bottle: dataclasses.replace(bottle, version=f"{bottle.version}0")),
    ),
    Forgery(
        "name-of-other-revision",
        "subject-other-version",
        "The bottle's digest is named after another revision of the formula.",
        _renamed(lambda bottle: dataclasses.replace(bottle, version=f"{bottle.version}_1")),
    ),
    Forgery(
        "name-of-other-rebuild",
        "subject-other-rebuild",
        "The bottle's digest is named after another rebuild.",
        _renamed(lambda bottle: dataclasses.replace(bottle, rebuild=bottle.rebuild + 1)),
    ),
    Forgery(
        "name-of-other-tag",
        "subject-other-tag",
        "The bottle's digest is named after another system.",
        _renamed(lambda bottle: dataclasses.replace(bottle, tag="x86_64_linux")),
    ),
    Forgery(
        "name-of-all-tags",
        "subject-other-tag",
        "The bottle's digest is named as one for all systems, and the formula has one for each.",
        _renamed(lambda bottle: dataclasses.replace(bottle, tag="all")),
    ),
)

STATEMENTS: tuple[Forgery, ...] = (*_PAYLOADS, *_SHAPES, *_DIGESTS, *_NAMES)
