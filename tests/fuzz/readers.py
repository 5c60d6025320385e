"""The readers of what others wrote, as functions of bytes: what each may raise, and what must hold.

A reader fails when it raises anything else, when two readings of the same bytes differ, or when what it
read does not say what the bytes said. The seeds are made here, so that nothing binary has to be kept.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import cramjam
from tests.unit.signing import make_jws, make_signature, rsa_key

from brew_provenance import strictjson
from brew_provenance.bottlefile import BottleFileError, read_packed_formula
from brew_provenance.brewfile import BrewfileError, read_brewfile
from brew_provenance.bundle import MAX_BUNDLE_BYTES, Bundle, read_bundle
from brew_provenance.certificate import Claims
from brew_provenance.crosscheck import check_predicate
from brew_provenance.formula import FormulaError
from brew_provenance.formula.bottleblock import describe_difference, without_bottle_block
from brew_provenance.formula.ruby import read_formula
from brew_provenance.jws import JWSError, sidecar_source, verify_jws, verify_sidecar
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.wire import encode_json
from brew_provenance.statement import Statement, read_statement
from brew_provenance.stores.snappy import SnappyError, decompress
from brew_provenance.strictjson import MalformedJSONError

MAX_INPUT: Final = 64 * 1024
"""Longer inputs are cut by the fuzzer; the readers' own limits have tests of their own."""

_FIXTURES = Path(__file__).parents[2] / "formula-fixtures"
_SNAPPY_LIMIT = 1 << 20


class BrokenPromiseError(AssertionError):
    """A reader took something that it should have refused."""


@dataclass(frozen=True)
class Reader:
    """One reader under test."""

    read: Callable[[bytes], None]
    """Reads, and raises what the reader should not have raised."""

    seeds: Callable[[], Sequence[bytes]]
    """Good inputs."""


def _read_bundle(data: bytes) -> None:
    first, second = read_bundle(data), read_bundle(data)
    if isinstance(first, Bundle):
        document = strictjson.loads(data, MAX_BUNDLE_BYTES)
        if first != second or first.raw != data or not isinstance(document, dict):
            raise BrokenPromiseError("two readings of one bundle")


def _read_statement(data: bytes) -> None:
    try:
        document = strictjson.loads(data, MAX_BUNDLE_BYTES)
    except MalformedJSONError:
        return
    statement = read_statement(document)
    if isinstance(statement, Statement):
        # JSON that other parsers read in the same way.
        if json.loads(data) != document:
            raise BrokenPromiseError("two readings of one payload")
        for subject in statement.subject:
            subject.known_digests()
        check_predicate(statement, _claims())


def _read_snappy(data: bytes) -> None:
    try:
        found = decompress(data, _SNAPPY_LIMIT)
    except SnappyError:
        return
    if len(found) > _SNAPPY_LIMIT:
        raise BrokenPromiseError("longer than its limit")


def _read_jws(data: bytes) -> None:
    key = rsa_key().public_key()
    try:
        payload = verify_jws(data, key)
    except JWSError:
        pass
    else:
        if payload not in _SIGNED:
            raise BrokenPromiseError("a payload that nobody signed")
    try:
        sidecar_source(data)
        verify_sidecar(data, key)
    except JWSError:
        return
    raise BrokenPromiseError("a sidecar that nobody signed")


def _read_ruby(data: bytes) -> None:
    try:
        formula = read_formula(data, tap="brew-provenance/fixtures", name="hello")
        stripped = without_bottle_block(data)
    except FormulaError:
        return
    if formula != read_formula(data, tap="brew-provenance/fixtures", name="hello"):
        raise BrokenPromiseError("two readings of one formula")
    if describe_difference(data, data) is not None:
        raise BrokenPromiseError("a formula that differs from itself")
    try:
        again = without_bottle_block(stripped)
    except FormulaError:
        return  # what was left is no Ruby, of which no bottle can have been made
    if again != stripped:
        raise BrokenPromiseError("a second bottle block")
    for bottle in formula.bottles:
        str(bottle.file_name)


def _read_brewfile(data: bytes) -> None:
    try:
        read_brewfile(data)
    except BrewfileError:
        return


def _read_bottle(data: bytes) -> None:
    try:
        read_packed_formula(io.BytesIO(data), formula="hello", version="3.0.1")
    except BottleFileError:
        return


_SIGNED: Final = (b"{}", b'[{"name":"hello"}]')


@cache
def _claims() -> Claims:
    return Claims(identity=None, identity_type=None)


def _bundles() -> Sequence[bytes]:
    scenario = Scenario()
    statement, job, at = scenario.statement(), scenario.job, scenario.at
    return [
        encode_json(scenario.sigstore.attest(statement, job, at=at)),
        encode_json(scenario.sigstore.attest(statement, job, at=at, log="rekor-v2")),
        encode_json(scenario.sigstore.sign_message(b"message", job, at=at)),
    ]


def _statements() -> Sequence[bytes]:
    return [encode_json(Scenario().statement()), b'{"_type":"https://in-toto.io/Statement/v1"}']


def _blocks() -> Sequence[bytes]:
    texts = (b"", b"a" * 5000, bytes(range(256)) * 8, b'{"mediaType":"x"}' * 40)
    return [bytes(cramjam.snappy.compress_raw(text)) for text in texts]


def _documents() -> Sequence[bytes]:
    return [make_jws(payload, make_signature(payload)) for payload in _SIGNED]


def _formulae() -> Sequence[bytes]:
    return [path.read_bytes() for path in sorted((_FIXTURES / "Formula").rglob("*.rb"))]


def _brewfiles() -> Sequence[bytes]:
    return [b'tap "a/b"\nbrew "hello", args: ["x"]\ncask "y"\n# "z"\n', b'brew "a" if OS.mac?\n']


def _bottles() -> Sequence[bytes]:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in (
            ("hello/3.0.1/.brew/hello.rb", b"class Hello < Formula\nend\n"),
            ("x" * 200, b""),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return [made.getvalue(), gzip.compress(made.getvalue(), mtime=0)]


READERS: Final = {
    "bundle": Reader(_read_bundle, _bundles),
    "statement": Reader(_read_statement, _statements),
    "snappy": Reader(_read_snappy, _blocks),
    "jws": Reader(_read_jws, _documents),
    "ruby": Reader(_read_ruby, _formulae),
    "brewfile": Reader(_read_brewfile, _brewfiles),
    "bottle": Reader(_read_bottle, _bottles),
}
"""By the name under which `scripts/fuzz` knows them."""


def fingerprint(data: bytes) -> str:
    """Return a name for an input."""
    return hashlib.sha256(data).hexdigest()[:16]
