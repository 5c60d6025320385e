"""The formula API over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.conftest import REPOSITORY
from tests.unit.sandbox.services.conftest import Client

from brew_provenance.errors import InputError
from brew_provenance.jws import verify_jws
from brew_provenance.sandbox.services.formulae import FormulaService
from brew_provenance.sandbox.serving import serve

API = REPOSITORY / "formula-fixtures" / "api"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_documents_are_signed_with_the_key_that_it_names(session: requests.Session) -> None:
    formulae = FormulaService(API, NOW)
    key = load_pem_public_key(formulae.public_key)
    assert isinstance(key, RSAPublicKey)
    with serve(formulae.service.app) as server:
        listing = session.get(f"{server.url}/api/formula.jws.json", timeout=30)
        packages = session.get(f"{server.url}/api/internal/packages.x86_64_linux.jws.json", timeout=30)
        plain = session.get(f"{server.url}/api/formula/hello.json", timeout=30)
        quoted = session.get(f"{server.url}/api/formula/hello%2Bplus.json", timeout=30)
    names = [formula["name"] for formula in json.loads(verify_jws(listing.content, key))]
    assert "hello" in names
    assert "hello" in json.loads(verify_jws(packages.content, key))["formulae"]
    assert plain.json() == next(
        formula for formula in json.loads(verify_jws(listing.content, key)) if formula["name"] == "hello"
    )
    assert quoted.json()["name"] == "hello+plus"


@pytest.mark.parametrize(
    "path", ["/api/formula.jws.json", "/api/formula/hello.json", "/api/../x", "/formula"]
)
def test_without_descriptions_there_is_no_formula(client: Client, path: str) -> None:
    assert client.get("formulae", path).status_code == 404


def test_descriptions_have_to_be_readable(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError):
        FormulaService(tmp_path, NOW)
