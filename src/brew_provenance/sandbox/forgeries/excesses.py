"""What is longer or deeper than anything that is meant, and JSON that two readers take differently."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

from brew_provenance.sandbox.actions import build_subject
from brew_provenance.sandbox.scenario import (
    Forgery,
    Make,
    Scenario,
    alter_bundle,
    alter_statement,
    reach,
    reach_entry,
)
from brew_provenance.sandbox.wire import JsonObject, encode_bytes, encode_json

_MEGABYTE = 1 << 20
_MOST_HASHES = 64
_MOST_SUBJECTS = 1024


def _written(rewrite: Callable[[bytes, Scenario], bytes]) -> Make:
    """Return a maker that signs the statement's JSON rewritten."""

    def make(scenario: Scenario) -> bytes:
        payload = rewrite(encode_json(scenario.statement()), scenario)
        return encode_json(scenario.sigstore.attest(payload, scenario.job, at=scenario.at))

    return make


def _add_number(number: bytes) -> Make:
    """Return a maker whose predicate has a field with this number, which is not looked at besides."""
    return _written(lambda payload, _: payload.replace(b'"predicate":{', b'"predicate":{"n":%b,' % number))


def _spread(scenario: Scenario) -> list[JsonObject]:
    """Return as many subjects as may be: the bottle's name in the first, its digest in the last."""
    others = [
        build_subject(
            str(dataclasses.replace(scenario.bottle, formula=f"formula-{number}")),
            hashlib.sha256(str(number).encode()).hexdigest(),
        )
        for number in range(_MOST_SUBJECTS - 2)
    ]
    first = build_subject(scenario.name, hashlib.sha256(b"another bottle").hexdigest())
    last = build_subject(str(dataclasses.replace(scenario.bottle, formula="other")), scenario.digest)
    return [first, *others, last]


def _say_twice(key: str, other: object) -> Make:
    """Return a maker that puts a key with another value before the same key, wherever it stands first."""
    wanted = encode_json(key) + b":"
    twin = wanted + encode_json(other) + b","
    return _written(lambda payload, _: payload.replace(wanted, twin + wanted, 1))


def _deepen(payload: bytes, _: Scenario) -> bytes:
    return payload.replace(b'"predicate":{', b'"predicate":{"n":%b%b,' % (b"[" * 200, b"]" * 200))


def _claim_builder(scenario: Scenario, builder: str) -> bytes:
    statement = scenario.statement()
    statement["predicate"]["runDetails"]["builder"]["id"] = builder
    return encode_json(scenario.sigstore.attest(statement, scenario.job, at=scenario.at))


def _number(value: object) -> Make:
    """Return a maker whose log entry has this for its index."""
    return alter_bundle(lambda bundle, _: reach_entry(bundle).update(logIndex=value))


def _enlarge(*path: str) -> Make:
    """Return a maker whose bundle has a megabyte more at the beginning of one text."""

    def edit(bundle: JsonObject, _: Scenario) -> None:
        holder = reach(bundle, *path[:-1]) if path[0] in bundle else reach(reach_entry(bundle), *path[:-1])
        holder[path[-1]] = "A" * _MEGABYTE + holder[path[-1]]

    return alter_bundle(edit)


def _add_hashes(bundle: JsonObject, _: Scenario) -> None:
    reach(reach_entry(bundle), "inclusionProof")["hashes"] = [encode_bytes(bytes(32))] * (_MOST_HASHES + 1)


_LENGTHS = (
    Forgery(
        "name-and-digest-a-thousand-apart",
        "subject-split",
        "The name stands in the first of 1024 subjects, and the digest in the last.",
        alter_statement(lambda statement, s: statement.update(subject=_spread(s))),
    ),
    Forgery(
        "statement-type-of-a-megabyte",
        "statement-type-unexpected",
        "A megabyte of letters follows the statement's type.",
        alter_statement(lambda statement, _: statement.update(_type=statement["_type"] + "a" * _MEGABYTE)),
    ),
    Forgery(
        "builder-of-a-megabyte",
        "predicate-builder-mismatch",
        "A megabyte of letters follows the builder.",
        lambda s: _claim_builder(s, s.job.signer_uri + "a" * _MEGABYTE),
    ),
    Forgery(
        "parameters-of-a-megabyte",
        "external-parameters-unknown",
        "The build took a parameter whose name is of a megabyte.",
        alter_statement(
            lambda statement, _: statement["predicate"]["buildDefinition"]["externalParameters"].update(
                {"a" * _MEGABYTE: ""}
            )
        ),
    ),
)

_JSON = tuple(
    Forgery(f"payload-{name}", "payload-malformed", what, make)
    for name, what, make in (
        (
            "with-two-predicates",
            "The statement has two predicates, and readers differ in which they take.",
            _say_twice("predicate", {}),
        ),
        ("with-two-digests-keys", "A subject has two digests under one key.", _say_twice("sha256", "0" * 64)),
        ("with-two-names-keys", "A subject has two names.", _say_twice("name", "other")),
        (
            "with-escaped-twin-key",
            "The statement names its subjects twice, once with an escaped letter in the key.",
            _written(lambda payload, _: payload.replace(b'"subject":', b'"\\u0073ubject":[],"subject":', 1)),
        ),
        (
            "with-infinite-number",
            "The predicate has a number that is larger than any.",
            _add_number(b"1e999"),
        ),
        ("with-no-number", "The predicate has NaN for a number.", _add_number(b"NaN")),
        ("with-long-number", "The predicate has a number of five thousand digits.", _add_number(b"1" * 5000)),
        ("too-deep", "The predicate holds two hundred lists within each other.", _written(_deepen)),
        ("with-half-a-letter", "The predicate has half of a surrogate pair.", _add_number(b'"\\ud800"')),
        (
            "with-mark",
            "A byte order mark stands before the statement.",
            _written(lambda payload, _: b"\xef\xbb\xbf" + payload),
        ),
        (
            "with-tail",
            "Another statement follows the statement.",
            _written(lambda payload, _: payload + payload),
        ),
        (
            "with-comment",
            "A comment follows the statement, as some readers of JSON allow.",
            _written(lambda payload, _: payload + b"//"),
        ),
    )
)


_TEXTS = tuple(
    Forgery(
        f"{name}-of-a-megabyte", code, f"A megabyte of letters stands before the {what}.", _enlarge(*path)
    )
    for name, code, what, path in (
        ("media-type", "bundle-media-type-unknown", "media type", ("mediaType",)),
        ("payload-type", "payload-type-unexpected", "payload's type", ("dsseEnvelope", "payloadType")),
        (
            "certificate",
            "certificate-malformed",
            "certificate",
            ("verificationMaterial", "certificate", "rawBytes"),
        ),
        ("log-entry-version", "log-entry-version-unknown", "entry's version", ("kindVersion", "version")),
        ("log-id", "log-checkpoint-log-unknown", "log's id", ("logId", "keyId")),
        (
            "promise",
            "log-promise-invalid",
            "promise",
            ("inclusionPromise", "signedEntryTimestamp"),
        ),
        (
            "checkpoint",
            "log-checkpoint-invalid",
            "checkpoint",
            ("inclusionProof", "checkpoint", "envelope"),
        ),
    )
)

_NUMBERS = (
    *(
        Forgery(f"index-{name}", "bundle-malformed", f"The entry's index is {what}.", _number(value))
        for name, what, value in (
            ("with-too-many-digits", "a number of 21 digits", "1" * 21),
            ("of-65-bits", "the least number that does not fit into 64 bits", str(1 << 64)),
            ("with-thousands-of-digits", "a number of five thousand digits", "1" * 5000),
            ("negative", "negative", "-1"),
            ("with-sign", "a number with a plus sign", "+1"),
            ("in-other-digits", "a number in Arabic digits", "\u0661"),
            ("not-a-text", "a JSON number, which loses digits in some readers", 121_904_267),
            ("with-fraction", "a number with a fraction", 1.5),
        )
    ),
    Forgery(
        "proof-of-65-hashes",
        "log-proof-size",
        "The inclusion proof has more hashes than the largest log would need.",
        alter_bundle(_add_hashes),
    ),
)

OVERLONG: tuple[Forgery, ...] = (*_TEXTS, *_NUMBERS)
"""Bundles that no client writes."""

EXCESSES: tuple[Forgery, ...] = (*_LENGTHS, *_JSON)
"""Statements that were rightly signed."""
