"""Bundles as they arrive: every fault of shape has its own reason, and nothing is raised."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import (
    DROP,
    Json,
    altered,
    encode,
    make_bundle_document,
    make_raw_bundle,
)

from brew_provenance import bundle as bundle_module
from brew_provenance.bundle import (
    IN_TOTO,
    MAX_PROOF_HASHES,
    MAX_TIMESTAMPS,
    Bundle,
    InclusionProof,
    read_bundle,
    read_bundles,
)
from brew_provenance.findings import REASONS, Finding, Severity, Step
from brew_provenance.strictjson import MalformedJSONError

MATERIAL = ("verificationMaterial",)
CHAIN = ("verificationMaterial", "x509CertificateChain")
ENTRY = ("verificationMaterial", "tlogEntries", 0)
PROOF = (*ENTRY, "inclusionProof")
ENVELOPE = ("dsseEnvelope",)
V01 = "application/vnd.dev.sigstore.bundle+json;version=0.1"
V02 = "application/vnd.dev.sigstore.bundle+json;version=0.2"
TIMESTAMP = {"signedTimestamp": encode(b"timestamp")}

Change = tuple[tuple[str | int, ...], Any]


def chained(media_type: str, *changes: Change) -> Json:
    """Return a bundle of an older version, which carries its certificate in a chain."""
    chain = {"certificates": [{"rawBytes": encode(b"certificate")}]}
    return altered(
        make_bundle_document(mediaType=media_type),
        ((*MATERIAL, "certificate"), DROP),
        ((*MATERIAL, "x509CertificateChain"), chain),
        *changes,
    )


def signed_message(**fields: Any) -> Json:
    """Return a bundle that signs a message."""
    message = {
        "messageDigest": {"algorithm": "SHA2_256", "digest": encode(b"digest")},
        "signature": encode(b"signature"),
        **fields,
    }
    return altered(make_bundle_document(messageSignature=message), (ENVELOPE, DROP))


def change(*changes: Change) -> Json:
    return altered(make_bundle_document(), *changes)


def with_timestamps(number: int, *changes: Change) -> Json:
    data = {"rfc3161Timestamps": [TIMESTAMP] * number}
    return change(((*MATERIAL, "timestampVerificationData"), data), *changes)


FAULTS: list[tuple[str, str, Json]] = [
    ("no media type", "bundle-media-type-unknown", change((("mediaType",), DROP))),
    ("null media type", "bundle-media-type-unknown", change((("mediaType",), None))),
    ("future media type", "bundle-media-type-unknown", change((("mediaType",), V01.replace("0.1", "0.9")))),
    ("media type as a list", "bundle-media-type-unknown", change((("mediaType",), [V01]))),
    ("media type in capitals", "bundle-media-type-unknown", change((("mediaType",), V01.upper()))),
    ("unknown top field", "bundle-malformed", change((("extra",), 1))),
    ("snake_case twin", "bundle-malformed", change((("dsse_envelope",), {}))),
    ("no content", "bundle-content-missing", change((ENVELOPE, DROP))),
    ("null content", "bundle-content-missing", change((ENVELOPE, None))),
    ("both contents", "bundle-content-ambiguous", change((("messageSignature",), {}))),
    ("unknown message field", "bundle-malformed", signed_message(extra=1)),
    ("message as a list", "bundle-malformed", change((ENVELOPE, DROP), (("messageSignature",), []))),
    ("envelope as a text", "bundle-malformed", change((ENVELOPE, "x"))),
    ("unknown envelope field", "bundle-malformed", change(((*ENVELOPE, "payload_type"), IN_TOTO))),
    ("no payload type", "bundle-malformed", change(((*ENVELOPE, "payloadType"), DROP))),
    ("payload type as a number", "bundle-malformed", change(((*ENVELOPE, "payloadType"), 1))),
    ("no payload", "bundle-malformed", change(((*ENVELOPE, "payload"), DROP))),
    ("payload not base64", "bundle-malformed", change(((*ENVELOPE, "payload"), "e30"))),
    ("payload of other letters", "bundle-malformed", change(((*ENVELOPE, "payload"), "e3-_"))),
    ("payload not ASCII", "bundle-malformed", change(((*ENVELOPE, "payload"), "\u00e930="))),
    ("no signatures", "bundle-malformed", change(((*ENVELOPE, "signatures"), DROP))),
    ("empty signatures", "envelope-signatures-many", change(((*ENVELOPE, "signatures"), []))),
    ("two signatures", "envelope-signatures-many", change(((*ENVELOPE, "signatures"), [{"sig": ""}] * 2))),
    ("signature as a text", "bundle-malformed", change(((*ENVELOPE, "signatures"), ["x"]))),
    ("empty signature", "bundle-malformed", change(((*ENVELOPE, "signatures", 0, "sig"), ""))),
    ("unknown signature field", "bundle-malformed", change(((*ENVELOPE, "signatures", 0, "extra"), "1"))),
    ("key id as a number", "bundle-malformed", change(((*ENVELOPE, "signatures", 0, "keyid"), 1))),
    ("no signature in it", "bundle-malformed", change(((*ENVELOPE, "signatures", 0), {}))),
    ("signature not base64", "bundle-malformed", change(((*ENVELOPE, "signatures", 0, "sig"), "?"))),
    ("no material", "verification-material-missing", change((MATERIAL, DROP))),
    ("null material", "verification-material-missing", change((MATERIAL, None))),
    ("material as a list", "bundle-malformed", change((MATERIAL, []))),
    ("unknown material field", "bundle-malformed", change(((*MATERIAL, "tlog_entries"), []))),
    ("no certificate", "certificate-missing", change(((*MATERIAL, "certificate"), DROP))),
    ("empty chain", "certificate-missing", chained(V02, ((*MATERIAL, "x509CertificateChain"), {}))),
    ("certificate and key", "certificate-ambiguous", change(((*MATERIAL, "publicKey"), {}))),
    ("certificate and chain", "certificate-ambiguous", change(((*MATERIAL, "x509CertificateChain"), {}))),
    ("chain in v0.3", "bundle-malformed", chained("application/vnd.dev.sigstore.bundle.v0.3+json")),
    ("certificate in v0.2", "bundle-malformed", change((("mediaType",), V02))),
    ("certificate in v0.1", "bundle-malformed", change((("mediaType",), V01))),
    ("certificate as a text", "bundle-malformed", change(((*MATERIAL, "certificate"), "x"))),
    ("unknown certificate field", "bundle-malformed", change(((*MATERIAL, "certificate", "extra"), "1"))),
    ("certificate without bytes", "bundle-malformed", change(((*MATERIAL, "certificate"), {}))),
    ("chain as a list", "bundle-malformed", chained(V02, ((*MATERIAL, "x509CertificateChain"), []))),
    ("unknown chain field", "bundle-malformed", chained(V02, ((*CHAIN, "extra"), "1"))),
    (
        "unreadable second certificate",
        "bundle-malformed",
        chained(V02, ((*CHAIN, "certificates"), [{"rawBytes": encode(b"certificate")}, {"rawBytes": "?"}])),
    ),
    (
        "chain of texts",
        "bundle-malformed",
        chained(V02, ((*MATERIAL, "x509CertificateChain", "certificates"), ["x"])),
    ),
    ("entries as an object", "bundle-malformed", change(((*MATERIAL, "tlogEntries"), {}))),
    ("two entries", "log-entries-many", change(((*MATERIAL, "tlogEntries"), [{}, {}]))),
    ("no body", "bundle-malformed", change(((*ENTRY, "canonicalizedBody"), DROP))),
    ("unknown kind field", "bundle-malformed", change(((*ENTRY, "kindVersion", "extra"), "1"))),
    ("unknown log field", "bundle-malformed", change(((*ENTRY, "logId", "extra"), "1"))),
    ("unknown promise field", "bundle-malformed", change(((*ENTRY, "inclusionPromise", "extra"), "1"))),
    (
        "promise not base64",
        "bundle-malformed",
        change(((*ENTRY, "inclusionPromise"), {"signedEntryTimestamp": "?"})),
    ),
    ("unknown proof field", "bundle-malformed", change(((*PROOF, "extra"), "1"))),
    ("unknown checkpoint field", "bundle-malformed", change(((*PROOF, "checkpoint", "extra"), "1"))),
    ("checkpoint as a number", "bundle-malformed", change(((*PROOF, "checkpoint", "envelope"), 1))),
    ("no root hash", "bundle-malformed", change(((*PROOF, "rootHash"), DROP))),
    ("no tree size", "bundle-malformed", change(((*PROOF, "treeSize"), DROP))),
    ("hashes as an object", "bundle-malformed", change(((*PROOF, "hashes"), {}))),
    ("hash not base64", "bundle-malformed", change(((*PROOF, "hashes"), ["?"]))),
    ("too many hashes", "log-proof-size", change(((*PROOF, "hashes"), [""] * (MAX_PROOF_HASHES + 1)))),
    ("entry as a text", "bundle-malformed", change((ENTRY, "x"))),
    ("unknown entry field", "bundle-malformed", change(((*ENTRY, "log_index"), "7"))),
    ("no kind", "bundle-malformed", change(((*ENTRY, "kindVersion"), DROP))),
    ("unknown kind", "log-entry-version-unknown", change(((*ENTRY, "kindVersion", "kind"), "rekord"))),
    ("unknown version", "log-entry-version-unknown", change(((*ENTRY, "kindVersion", "version"), "0.0.9"))),
    (
        "kind without a version",
        "log-entry-version-unknown",
        change(((*ENTRY, "kindVersion"), {"kind": "dsse"})),
    ),
    ("no log id", "bundle-malformed", change(((*ENTRY, "logId"), DROP))),
    ("log id not base64", "bundle-malformed", change(((*ENTRY, "logId", "keyId"), "?"))),
    ("no index", "bundle-malformed", change(((*ENTRY, "logIndex"), DROP))),
    ("index as a number", "bundle-malformed", change(((*ENTRY, "logIndex"), 7))),
    ("negative index", "bundle-malformed", change(((*ENTRY, "logIndex"), "-7"))),
    ("index of other digits", "bundle-malformed", change(((*ENTRY, "logIndex"), "\u0667"))),
    ("index of too many digits", "bundle-malformed", change(((*ENTRY, "logIndex"), "9" * 21))),
    ("empty index", "bundle-malformed", change(((*ENTRY, "logIndex"), ""))),
    ("time as a number", "bundle-malformed", change(((*ENTRY, "integratedTime"), 1))),
    ("proof as a list", "bundle-malformed", change((PROOF, []))),
    ("no proof", "log-proof-missing", change((PROOF, DROP))),
    ("empty proof", "log-proof-missing", change((PROOF, {}))),
    ("no proof in v0.2", "log-proof-missing", chained(V02, (PROOF, DROP))),
    (
        "neither proof nor promise in v0.1",
        "log-proof-missing",
        chained(V01, (PROOF, DROP), ((*ENTRY, "inclusionPromise"), DROP)),
    ),
    ("no checkpoint", "log-checkpoint-missing", change(((*PROOF, "checkpoint"), DROP))),
    ("empty checkpoint", "log-checkpoint-missing", change(((*PROOF, "checkpoint"), {}))),
    ("no time at all", "time-missing", change(((*ENTRY, "inclusionPromise"), DROP))),
    ("empty promise", "time-missing", change(((*ENTRY, "inclusionPromise"), {}))),
    ("too many timestamps", "timestamps-too-many", with_timestamps(MAX_TIMESTAMPS + 1)),
    (
        "timestamps as an object",
        "bundle-malformed",
        change(((*MATERIAL, "timestampVerificationData"), {"rfc3161Timestamps": {}})),
    ),
    ("timestamp data as a list", "bundle-malformed", change(((*MATERIAL, "timestampVerificationData"), []))),
    (
        "timestamp not base64",
        "bundle-malformed",
        change(((*MATERIAL, "timestampVerificationData"), {"rfc3161Timestamps": [{"signedTimestamp": "?"}]})),
    ),
    (
        "unknown field in a timestamp",
        "bundle-malformed",
        change(((*MATERIAL, "timestampVerificationData"), {"rfc3161Timestamps": [{**TIMESTAMP, "x": "1"}]})),
    ),
    (
        "unknown timestamp field",
        "bundle-malformed",
        change(((*MATERIAL, "timestampVerificationData"), {"x": []})),
    ),
]

UNSUPPORTED: list[tuple[str, str, Json]] = [
    (
        "public key",
        "unsupported-managed-key",
        change(((*MATERIAL, "certificate"), DROP), ((*MATERIAL, "publicKey"), {"hint": "x"})),
    ),
    (
        "dsse/0.0.2 entry",
        "unsupported-dsse-002-log-entry",
        change(((*ENTRY, "kindVersion"), {"kind": "dsse", "version": "0.0.2"})),
    ),
]

UNREADABLE: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("cut short", make_raw_bundle()[:-1]),
    ("not UTF-8", make_raw_bundle().replace(b"a note", b"\xff")),
    ("a key twice", make_raw_bundle().replace(b'"logIndex"', b'"logIndex": "7", "logIndex"', 1)),
    ("nested too deeply", b"[" * 100_000),
    ("not finite", b'{"mediaType": NaN}'),
]

# Codes of this step that are only found with the reading of the certificate or the timestamp, under a
# trusted root, or once the payload is read: the tests of verify and appraise reach those.
ELSEWHERE = {
    "certificate-malformed",
    "log-entry-missing",
    "log-entry-unexpected",
    "certificate-not-leaf",
    "timestamp-malformed",
    "payload-type-unexpected",
    "payload-malformed",
    "predicate-type-other",
}


@pytest.mark.parametrize(("code", "document"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_of_shape_has_its_own_reason(code: str, document: Json) -> None:
    found = read_bundle(json.dumps(document).encode())
    assert isinstance(found, Finding)
    assert found.code == code
    assert found.detail


@pytest.mark.parametrize(
    ("code", "document"), [row[1:] for row in UNSUPPORTED], ids=[row[0] for row in UNSUPPORTED]
)
def test_a_kind_that_cannot_be_judged_is_read_and_named(code: str, document: Json) -> None:
    found = read_bundle(json.dumps(document).encode())
    assert isinstance(found, Bundle)
    assert found.unsupported is not None
    assert found.unsupported.code == code
    assert found.unsupported.reason.severity is Severity.UNRESOLVED


@pytest.mark.parametrize("raw", [row[1] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_what_is_no_strict_json_is_unreadable(raw: bytes) -> None:
    found = read_bundle(raw)
    assert isinstance(found, Finding)
    assert found.code == "bundle-unreadable"


def test_a_bundle_over_the_limit_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "MAX_BUNDLE_BYTES", 100)
    found = read_bundle(make_raw_bundle())
    assert isinstance(found, Finding)
    assert found.code == "bundle-unreadable"
    assert "limit of 100 bytes" in found.detail


def test_every_reason_of_this_step_has_a_bundle_that_reaches_it() -> None:
    reached = {row[1] for row in (*FAULTS, *UNSUPPORTED)} | {"bundle-unreadable"}
    reached -= {"log-proof-size"}  # of the next step, which counts the hashes of shorter proofs
    assert reached | ELSEWHERE == {code for code, reason in REASONS.items() if reason.step is Step.PARSE}


@pytest.mark.parametrize("document", [[], "x", 1, None, True, [make_bundle_document()]])
def test_what_is_no_object_is_malformed(document: object) -> None:
    found = read_bundle(json.dumps(document).encode())
    assert isinstance(found, Finding)
    assert found.code == "bundle-malformed"


def test_a_bundle_is_read_for_what_it_says() -> None:
    raw = make_raw_bundle({"hello": "world"})
    found = read_bundle(raw)
    assert isinstance(found, Bundle)
    assert found.raw == raw
    assert (found.payload_type, found.payload) == (IN_TOTO, b'{"hello": "world"}')
    assert found.logged is not None
    entry = found.logged.entry
    assert (entry.kind, entry.index, entry.log_id) == ("dsse/0.0.1", 7, "0102")
    assert (found.logged.promised_time, found.logged.is_proven) == (1740830400, True)
    assert (found.signature, found.logged.body, found.logged.promise) == (b"signature", b"{}", b"promise")
    assert found.logged.proof == InclusionProof(7, 8, b"root", (), "a note")
    assert found.unsupported is None


@pytest.mark.parametrize(
    "document",
    [
        chained(V01),
        chained(V02),
        change((("mediaType",), "application/vnd.dev.sigstore.bundle+json;version=0.3")),
        change(((*MATERIAL, "publicKey"), None)),
        change(((*MATERIAL, "timestampVerificationData"), None)),
        change(((*ENTRY, "kindVersion"), {"kind": "hashedrekord", "version": "0.0.2"})),
        change(((*ENTRY, "logIndex"), str(2**63 - 1))),
        with_timestamps(MAX_TIMESTAMPS),
        with_timestamps(1, ((*ENTRY, "inclusionPromise"), DROP), ((*ENTRY, "integratedTime"), DROP)),
    ],
)
def test_every_version_that_sigstore_writes_is_read(document: Json) -> None:
    found = read_bundle(json.dumps(document).encode())
    assert isinstance(found, Bundle)
    assert found.unsupported is None


@pytest.mark.parametrize(
    "document",
    [
        with_timestamps(1, ((*ENTRY, "inclusionPromise"), DROP)),
        with_timestamps(1, ((*ENTRY, "integratedTime"), "0")),
        with_timestamps(1, ((*ENTRY, "integratedTime"), DROP)),
    ],
)
def test_a_log_promises_a_time_only_with_its_signature_and_a_time(document: Json) -> None:
    found = read_bundle(json.dumps(document).encode())
    assert isinstance(found, Bundle)
    assert found.logged is not None
    assert found.logged.promised_time is None


def test_a_message_signature_is_read_as_no_attestation() -> None:
    found = read_bundle(json.dumps(signed_message()).encode())
    assert isinstance(found, Bundle)
    assert (found.payload_type, found.payload) == (None, b"")


@pytest.mark.parametrize(
    ("document", "has_promise", "is_proven"),
    [
        (make_bundle_document(), True, True),
        (change(((*ENTRY, "kindVersion"), {"kind": "intoto", "version": "0.0.2"})), True, True),
        (chained(V01, (PROOF, DROP)), True, False),
        (chained(V01, ((*PROOF, "checkpoint"), DROP)), True, False),
        (with_timestamps(1, ((*ENTRY, "inclusionPromise"), DROP)), False, True),
    ],
)
def test_what_a_log_says_of_an_entry_is_told_apart(
    document: Json, *, has_promise: bool, is_proven: bool
) -> None:
    found = read_bundle(json.dumps(document).encode())
    assert isinstance(found, Bundle)
    assert found.unsupported is None
    assert found.logged is not None
    assert (found.logged.promise is not None, found.logged.is_proven) == (has_promise, is_proven)


@pytest.mark.parametrize("entries", [DROP, [], None])
@pytest.mark.parametrize("timestamps", [0, 2])
def test_whether_a_bundle_may_lack_a_log_entry_is_not_for_its_shape_to_say(
    entries: object, timestamps: int
) -> None:
    document = with_timestamps(timestamps, ((*MATERIAL, "tlogEntries"), entries))
    found = read_bundle(json.dumps(document).encode())
    assert isinstance(found, Bundle)
    assert (found.logged, found.unsupported) == (None, None)
    assert found.timestamps == (b"timestamp",) * timestamps


SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(encode(b"x")),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=5,
)


def every_path(document: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    if isinstance(document, dict):
        for name, value in document.items():
            found += every_path(value, (*path, name))
    if isinstance(document, list):
        for index, value in enumerate(document):
            found += every_path(value, (*path, index))
    return found


CAMEL_CASE = [path for path in every_path(make_bundle_document()) if str(path[-1]) != str(path[-1]).lower()]


@pytest.mark.parametrize("path", CAMEL_CASE, ids=lambda path: ".".join(map(str, path)))
def test_no_field_may_have_a_twin_in_snake_case(path: tuple[str | int, ...]) -> None:
    value: Any = make_bundle_document()
    for part in path:
        value = value[part]
    twin = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", str(path[-1]))
    found = read_bundle(json.dumps(change(((*path[:-1], twin), value))).encode())
    assert isinstance(found, Finding)
    assert found.code == "bundle-malformed"


@given(st.sampled_from(every_path(make_bundle_document())), SCRAPS)
def test_any_value_in_any_place_is_read_or_has_a_reason(path: tuple[str | int, ...], scrap: object) -> None:
    document = change((path, scrap))
    found = read_bundle(json.dumps(document).encode())
    assert isinstance(found, Bundle) or found.code in REASONS


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_have_a_reason(raw: bytes) -> None:
    found = read_bundle(raw)
    assert isinstance(found, Finding)


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=1))
def test_a_changed_byte_is_read_or_has_a_reason(position: int, byte: bytes) -> None:
    raw = bytearray(make_raw_bundle())
    raw[position % len(raw)] = byte[0]
    found = read_bundle(bytes(raw))
    assert isinstance(found, Bundle) or found.code in REASONS


def test_a_bundle_is_read_or_has_a_reason_at_every_depth_of_nesting() -> None:
    for depth in range(900, 1100):
        nest = b"[" * depth + b'"\\ud83d\\ude00"' + b"]" * depth
        found = read_bundle(make_raw_bundle().replace(b'"a note"', nest))
        assert isinstance(found, Bundle) or found.code == "bundle-unreadable"


def test_a_file_holds_one_document_or_one_bundle_a_line() -> None:
    raw = make_raw_bundle()
    pretty = json.dumps(make_bundle_document(), indent=2).encode()
    assert [isinstance(found, Bundle) for found in read_bundles(raw)] == [True]
    assert [isinstance(found, Bundle) for found in read_bundles(raw + b"\n")] == [True]
    assert [isinstance(found, Bundle) for found in read_bundles(pretty)] == [True]
    assert [isinstance(found, Bundle) for found in read_bundles(b"\n" + raw + b"\r\n\n" + raw)] == [
        True,
        True,
    ]


def test_the_bundles_of_a_file_are_told_apart() -> None:
    found = read_bundles(make_raw_bundle() + b"\n{}\n" + make_raw_bundle({"third": 3}))
    assert isinstance(found[0], Bundle)
    assert isinstance(found[1], Finding)
    assert found[1].code == "bundle-media-type-unknown"
    assert isinstance(found[2], Bundle)
    assert found[2].payload == b'{"third": 3}'


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"not json", "not JSON"),
        (make_raw_bundle() + b"\n{}\n{", "line 3: not JSON"),
        (make_raw_bundle() + b"\n\n{}\nx", "line 4: not JSON"),
        (b"x\n{}\n", "line 1: not JSON"),
        (make_raw_bundle() + b'\n{"a": 1, "a": 2}', "line 2: the key 'a' stands twice"),
    ],
)
def test_a_file_is_read_whole_or_not_at_all(raw: bytes, message: str) -> None:
    with pytest.raises(MalformedJSONError, match=message):
        read_bundles(raw)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("MAX_FILE_BYTES", "longer than the limit of 2 bytes"),
        ("MAX_FILE_BUNDLES", "more than the limit of 2 bundles"),
        ("MAX_BUNDLE_BYTES", "line 1: longer than the limit of 2 bytes"),
    ],
)
def test_a_file_has_limits(monkeypatch: pytest.MonkeyPatch, limit: str, message: str) -> None:
    monkeypatch.setattr(bundle_module, limit, 2)
    with pytest.raises(MalformedJSONError, match=message):
        read_bundles((make_raw_bundle() + b"\n") * 3)
