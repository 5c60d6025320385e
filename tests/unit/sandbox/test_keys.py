from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from brew_provenance.sandbox.keys import derive_edwards_key, derive_key, encode_public_key, sign


def test_key_depends_on_seed_and_label_alone() -> None:
    numbers = derive_key("seed", "label").private_numbers()
    assert derive_key("seed", "label").private_numbers() == numbers
    assert derive_key("seed", "other").private_numbers() != numbers
    assert derive_key("other", "label").private_numbers() != numbers


def test_seed_and_label_do_not_run_into_each_other() -> None:
    assert derive_key("ab", "c").private_numbers() != derive_key("a", "bc").private_numbers()


def test_edwards_key_depends_on_seed_and_label() -> None:
    key = derive_edwards_key("seed", "label").private_bytes_raw()
    assert derive_edwards_key("seed", "label").private_bytes_raw() == key
    assert derive_edwards_key("seed", "other").private_bytes_raw() != key


def test_signature_is_deterministic_and_verifies() -> None:
    key = derive_key("seed", "label")
    signature = sign(key, b"message")
    assert sign(key, b"message") == signature
    key.public_key().verify(signature, b"message", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("label", ["a", "b", "c"])
def test_public_key_is_on_p256(label: str) -> None:
    key = derive_key("seed", label).public_key()
    assert isinstance(key.curve, ec.SECP256R1)
    assert len(encode_public_key(key)) == 91
