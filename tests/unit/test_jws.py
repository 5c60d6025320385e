"""Signed documents: one algorithm, one key, one reading; anything else is refused for its own reason."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import DROP, altered
from tests.unit.signing import (
    HEADER,
    base64url,
    make_jws,
    make_sidecar,
    make_signature,
    pss,
    rsa_key,
)

from brew_provenance import jws
from brew_provenance.jws import JWSError, sidecar_source, verify_jws, verify_sidecar

PAYLOAD = b'{"wget":"1.25.0","note":"caf\xc3\xa9"}'
KEY = rsa_key().public_key()


def refusal(document: bytes) -> str:
    with pytest.raises(JWSError) as refused:
        verify_jws(document, KEY)
    assert str(refused.value)
    return refused.value.kind


def sidecar_refusal(raw: bytes) -> str:
    with pytest.raises(JWSError) as refused:
        verify_sidecar(raw, KEY)
    assert str(refused.value)
    return refused.value.kind


@given(st.text())
def test_what_was_signed_is_given_back_to_the_byte(text: str) -> None:
    payload = text.encode()
    assert verify_jws(make_jws(payload), KEY) == payload
    assert verify_sidecar(make_sidecar(payload), KEY) == payload


def test_what_is_signed_is_the_text_however_its_json_string_is_escaped() -> None:
    payload = "déjà vu 🍺\n".encode()
    document = json.dumps({"payload": payload.decode(), "signatures": [make_signature(payload)]})
    assert "\\ud83c" in document
    assert verify_jws(document.encode(), KEY) == payload


def test_members_that_are_not_known_change_nothing() -> None:
    signature = make_signature(PAYLOAD, {**HEADER, "typ": "JOSE"}) | {"note": 1}
    assert verify_jws(make_jws(PAYLOAD, signature, more=[1]), KEY) == PAYLOAD


@given(st.data())
def test_no_byte_of_the_payload_can_be_changed(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(PAYLOAD) - 1))
    other = data.draw(st.integers(0, 127).filter(lambda byte: byte != PAYLOAD[position]))
    changed = PAYLOAD[:position] + bytes([other]) + PAYLOAD[position + 1 :]
    assert sidecar_refusal(make_sidecar(changed, make_signature(PAYLOAD))) == "signature-mismatch"
    try:
        changed.decode()
    except UnicodeDecodeError:
        return
    assert refusal(make_jws(changed, make_signature(PAYLOAD))) == "signature-mismatch"


@pytest.mark.parametrize("changed", [b"", PAYLOAD + b" ", b"\xef\xbb\xbf" + PAYLOAD, PAYLOAD[:-1]])
def test_nothing_can_be_added_or_taken_away(changed: bytes) -> None:
    assert refusal(make_jws(changed, make_signature(PAYLOAD))) == "signature-mismatch"
    assert sidecar_refusal(make_sidecar(changed, make_signature(PAYLOAD))) == "signature-mismatch"


def test_another_key_is_not_homebrews() -> None:
    stranger = make_signature(PAYLOAD, key=rsa_key("stranger"))
    assert refusal(make_jws(PAYLOAD, stranger)) == "signature-mismatch"
    assert sidecar_refusal(make_sidecar(PAYLOAD, stranger)) == "signature-mismatch"


@pytest.mark.parametrize(
    ("padded", "hashed"),
    [
        (pss(salt=32), hashes.SHA512()),
        (pss(salt=0), hashes.SHA512()),
        (pss(mgf=hashes.SHA256()), hashes.SHA512()),
        (pss(mgf=hashes.SHA256()), hashes.SHA256()),
        (padding.PKCS1v15(), hashes.SHA512()),
    ],
)
def test_the_right_name_of_an_algorithm_does_not_make_another_one_right(
    padded: padding.AsymmetricPadding, hashed: hashes.HashAlgorithm
) -> None:
    signature = make_signature(PAYLOAD, padded=padded, hashed=hashed)
    assert refusal(make_jws(PAYLOAD, signature)) == "signature-mismatch"


@pytest.mark.parametrize(
    "alg", ["none", "HS512", "RS512", "PS256", "PS384", "ES512", "ps512", "", None, 512, ["PS512"], DROP]
)
def test_no_other_algorithm_can_be_asked_for(alg: object) -> None:
    header = altered(HEADER, (("alg",), alg))
    assert refusal(make_jws(PAYLOAD, make_signature(PAYLOAD, header))) == "algorithm-not-allowed"
    assert sidecar_refusal(make_sidecar(PAYLOAD, make_signature(PAYLOAD, header))) == "algorithm-not-allowed"


def test_a_signature_that_is_right_under_the_algorithm_it_names_is_refused_for_the_algorithm() -> None:
    def signed(alg: str, **how: Any) -> dict[str, Any]:
        return make_signature(PAYLOAD, {**HEADER, "alg": alg}, **how)

    nothing = signed("none") | {"signature": ""}
    # The public key taken for a shared secret.
    secret = signed("HS512")
    pem = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    code = hmac.digest(pem, secret["protected"].encode() + b"." + PAYLOAD, "sha512")
    for signature in (
        nothing,
        secret | {"signature": base64url(code)},
        signed("RS512", padded=padding.PKCS1v15()),
        signed("PS256", padded=pss(mgf=hashes.SHA256()), hashed=hashes.SHA256()),
    ):
        assert refusal(make_jws(PAYLOAD, signature)) == "algorithm-not-allowed"


@pytest.mark.parametrize("b64", [True, None, 0, "false", [], DROP])
def test_the_payload_has_to_be_said_to_be_unencoded(b64: object) -> None:
    header = altered(HEADER, (("b64",), b64))
    assert refusal(make_jws(PAYLOAD, make_signature(PAYLOAD, header))) == "header-not-allowed"


def test_an_encoded_payload_is_refused_though_its_signature_is_right() -> None:
    encoded = base64url(PAYLOAD).encode()
    signature = make_signature(encoded, {"alg": "PS512"})
    assert refusal(make_jws(encoded, signature)) == "header-not-allowed"


@pytest.mark.parametrize(
    "crit", [[], ["b64", "exp"], ["exp"], ["b64", "b64"], "b64", {"b64": True}, None, [["b64"]], DROP]
)
def test_that_has_to_be_the_one_critical_thing(crit: object) -> None:
    header = altered(HEADER, (("crit",), crit))
    assert refusal(make_jws(PAYLOAD, make_signature(PAYLOAD, header))) == "header-not-allowed"


@pytest.mark.parametrize("position", [0, 1, 2])
def test_signatures_under_other_names_are_not_looked_at(position: int) -> None:
    others = [make_signature(PAYLOAD, key=rsa_key("stranger"), kid="homebrew-2"), {"signature": 7}]
    others.insert(position, make_signature(PAYLOAD))
    assert verify_jws(make_jws(PAYLOAD, *others), KEY) == PAYLOAD


def test_two_signatures_under_the_name_are_one_too_many() -> None:
    right, wrong = make_signature(PAYLOAD), make_signature(PAYLOAD, key=rsa_key("stranger"))
    for signatures in ([right, right], [right, wrong], [wrong, right]):
        assert refusal(make_jws(PAYLOAD, *signatures)) == "malformed"


@pytest.mark.parametrize(
    "header", [{"kid": "homebrew-2"}, {"kid": "HOMEBREW-1"}, {"kid": ["homebrew-1"]}, {}, None, "homebrew-1"]
)
def test_a_signature_has_to_be_under_the_name(header: object) -> None:
    signature = {**make_signature(PAYLOAD, {**HEADER, "kid": "homebrew-1"}), "header": header}
    assert refusal(make_jws(PAYLOAD, signature)) == "key-not-found"
    del signature["header"]
    assert refusal(make_jws(PAYLOAD, signature)) == "key-not-found"


@pytest.mark.parametrize("signatures", [None, [], {}, "homebrew-1", [1], [[]], [make_signature(b""), None]])
def test_signatures_are_a_list_of_objects(signatures: object) -> None:
    assert refusal(make_jws(b"", signatures=signatures)) == "malformed"
    assert refusal(b'{"payload": ""}') == "malformed"


@pytest.mark.parametrize("payload", [None, {}, [], 1, True, DROP])
def test_the_payload_is_a_string(payload: object) -> None:
    document = altered(json.loads(make_jws(b"")), (("payload",), payload))
    assert refusal(json.dumps(document).encode()) == "malformed"


@pytest.mark.parametrize("field", ["protected", "signature"])
@pytest.mark.parametrize("value", [None, 1, {}, ["x"], DROP])
def test_both_parts_of_a_signature_are_strings(field: str, value: object) -> None:
    signature = altered(make_signature(PAYLOAD), ((field,), value))
    assert refusal(make_jws(PAYLOAD, signature)) == "malformed"
    header, _, payload = make_sidecar(PAYLOAD).partition(b"\n")
    changed = json.dumps(altered(json.loads(header), ((field,), value))).encode()
    assert sidecar_refusal(changed + b"\n" + payload) == "malformed"


def other_last_letter(text: str) -> str:
    """Change bits that are left over, which a lenient decoder passes over."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) ^ 1]


@pytest.mark.parametrize("field", ["protected", "signature"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "=",
        lambda text: text + "==",
        lambda text: f" {text}",
        lambda text: f"{text}\n",
        lambda text: f"{text[:8]}\r\n{text[8:]}",
        lambda text: f"{text[:4]}+{text[5:]}",
        lambda text: f"{text[:4]}/{text[5:]}",
        lambda text: f"{text[:4]}!{text[4:]}",
        lambda text: f"{text}A" if len(text) % 4 == 0 else text[: len(text) // 4 * 4 + 1],
        lambda text: f"{text[:-1]}é",
        other_last_letter,
    ],
)
def test_base64url_is_read_in_one_way_only(field: str, change: Any) -> None:
    # 46 and 256 bytes: both leave bits over in their last letter.
    signature = make_signature(PAYLOAD, json.dumps(HEADER).encode() + b" ")
    assert verify_jws(make_jws(PAYLOAD, signature), KEY) == PAYLOAD
    changed = {**signature, field: change(signature[field])}
    assert refusal(make_jws(PAYLOAD, changed)) == "malformed"


@pytest.mark.parametrize("signature", ["", "AAAA", base64url(b"\xff" * 256), base64url(b"\x00" * 257)])
def test_bytes_that_are_no_signature_at_all_are_no_signature(signature: str) -> None:
    changed = {**make_signature(PAYLOAD), "signature": signature}
    assert refusal(make_jws(PAYLOAD, changed)) == "signature-mismatch"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"PS512",
        b"[]",
        b'"PS512"',
        b'{"alg":"none","alg":"PS512","b64":false,"crit":["b64"]}',
        b'{"alg":"PS512","b64":true,"b64":false,"crit":["b64"]}',
        b'{"alg":"PS512","b64":false,"crit":["b64"]} {}',
        b'{"alg":"PS512","b64":false,"crit":["b64"],"x":"\xff"}',
        b'{"alg":"PS512","b64":false,"crit":["b64"]}' + b" " * 10_000,
    ],
)
def test_the_protected_header_is_one_object_with_one_meaning(header: bytes) -> None:
    assert refusal(make_jws(PAYLOAD, make_signature(PAYLOAD, header))) == "malformed"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:0],
        lambda raw: b"[" + raw + b"]",
        lambda raw: raw + b"{}",
        lambda raw: raw + b"\x00",
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw[:-1],
        lambda raw: raw[:-1] + b',"payload":"evil"}',
        lambda raw: b'{"payload":"evil",' + raw[1:],
        lambda raw: b'{"signatures":[],' + raw[1:],
        lambda raw: raw[:-1] + b',"x":NaN}',
        lambda raw: raw[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        lambda raw: raw.replace(b"wget", b"\xff"),
        lambda raw: raw.replace(b"wget", b"\\ud800"),
        lambda raw: raw.replace(b"wget", b"\\udfff\\ud800"),
    ],
)
def test_a_document_is_one_object_with_one_meaning(spoil: Any) -> None:
    assert refusal(spoil(make_jws(PAYLOAD))) == "malformed"


def test_a_document_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    document = make_jws(PAYLOAD)
    monkeypatch.setattr(jws, "MAX_DOCUMENT_BYTES", len(document))
    assert verify_jws(document, KEY) == PAYLOAD
    assert refusal(document + b" ") == "malformed"


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_else_happens(raw: bytes) -> None:
    assert refusal(raw) == "malformed"
    assert sidecar_refusal(raw) == "malformed"
    with pytest.raises(JWSError):
        sidecar_source(raw)


def test_a_payload_kept_apart_may_hold_any_bytes() -> None:
    payload = b"\n\n{}\n\xff\x00"
    assert verify_sidecar(make_sidecar(payload), KEY) == payload


@pytest.mark.parametrize(
    "raw",
    [
        PAYLOAD,
        b"\n" + PAYLOAD,
        b"[]\n" + PAYLOAD,
        b'{"protected": "", "protected": "", "signature": ""}\n' + PAYLOAD,
        make_sidecar(PAYLOAD).partition(b"\n")[0],
        b" " * 8192 + make_sidecar(PAYLOAD),
    ],
)
def test_a_payload_kept_apart_has_its_signature_in_the_first_line(raw: bytes) -> None:
    assert sidecar_refusal(raw) == "malformed"


def test_a_payload_kept_apart_says_which_document_it_was_made_from() -> None:
    raw = make_sidecar(PAYLOAD, source_size=12, source_mtime_ns=1_784_000_000_123_456_789)
    assert sidecar_source(raw) == (12, 1_784_000_000_123_456_789)


@pytest.mark.parametrize("value", [None, "12", 12.0, True, [12], DROP])
@pytest.mark.parametrize("field", ["source_size", "source_mtime_ns"])
def test_what_does_not_say_so_is_of_no_document(field: str, value: object) -> None:
    source = altered({"source_size": 1, "source_mtime_ns": 2}, ((field,), value))
    with pytest.raises(JWSError, match="which document") as refused:
        sidecar_source(make_sidecar(PAYLOAD, **source))
    assert refused.value.kind == "malformed"
