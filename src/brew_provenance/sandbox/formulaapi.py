"""A formula API of one's own: the documents of formulae.brew.sh, made from descriptions of formulae.

brew's generators are `dev-cmd/generate-formula-api.rb` and `dev-cmd/generate-internal-api.rb`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA512

from brew_provenance import strictjson
from brew_provenance.bottle import BottleTag, bottle_url
from brew_provenance.errors import InputError
from brew_provenance.files import FileTooLongError, read_bounded
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.apijson import read_formula
from brew_provenance.formula.internalapi import ROOT_URL, TAP
from brew_provenance.host import choose_tag
from brew_provenance.jws import ALGORITHM, KEY_ID
from brew_provenance.sandbox.wire import JsonObject, encode_json
from brew_provenance.strictjson import MalformedJSONError
from brew_provenance.taps.api import LISTING, MIGRATIONS, packages_name

TAGS: Final = (
    *("arm64_tahoe", "tahoe", "arm64_sequoia", "sequoia", "arm64_sonoma", "sonoma"),
    *("arm64_linux", "x86_64_linux"),
)
"""The tags that there are packages files for; Homebrew makes some more."""

_Described: TypeAlias = tuple[JsonObject, Formula]

_MAX_FORMULA_BYTES = 1024 * 1024


def sign_jws(payload: bytes, key: RSAPrivateKey) -> bytes:
    """Return the document that carries `payload`, signed as Homebrew signs.

    Raises UnicodeDecodeError for a payload that is no UTF-8.
    """
    protected = _encode(encode_json({"alg": ALGORITHM, "b64": False, "crit": ["b64"]}))
    pss = PSS(mgf=MGF1(SHA512()), salt_length=PSS.DIGEST_LENGTH)
    signature = key.sign(protected.encode() + b"." + payload, pss, SHA512())
    signatures = [
        {"protected": protected, "header": {"kid": KEY_ID}, "signature": _encode(signature)},
    ]
    return encode_json({"payload": payload.decode(), "signatures": signatures})


def build_documents(
    api_folder: Path, key: RSAPrivateKey, *, generated_at: datetime, tags: Sequence[str] = TAGS
) -> Mapping[str, bytes]:
    """Return the signed documents of an API, by their paths below its domain.

    `api_folder` holds `NAME.json`, brew's description of each formula. They are told as if their tap
    were homebrew/core, the only one that such an API knows. Raises InputError for files that cannot
    be used.
    """
    described = _read_folder(api_folder)
    documents: dict[str, object] = {LISTING: [document for document, _ in described], MIGRATIONS: {}}
    for tag in map(BottleTag.parse, tags):
        documents[packages_name(tag)] = _packages(described, tag, generated_at)
    return {name: sign_jws(encode_json(document), key) for name, document in documents.items()}


def build_formula_documents(api_folder: Path) -> Mapping[str, bytes]:
    """Return the unsigned documents of an API, one for each formula, by their paths below its domain.

    Formulae are told as `build_documents` tells them. Raises InputError for files that cannot be used.
    """
    described = _read_folder(api_folder)
    return {f"formula/{formula.name}.json": encode_json(document) for document, formula in described}


def _read_folder(api_folder: Path) -> list[_Described]:
    described = [_read_core_formula(path) for path in sorted(api_folder.glob("*.json"))]
    if not described:
        raise InputError(str(api_folder), "describes no formula", "give a folder of NAME.json")
    return described


def _read_core_formula(path: Path) -> _Described:
    try:
        raw = read_bounded(path, _MAX_FORMULA_BYTES)
        document: Any = strictjson.loads(raw, _MAX_FORMULA_BYTES)
        formula = read_formula(document)
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), "give a readable folder") from error
    except (FileTooLongError, MalformedJSONError, FormulaError) as error:
        raise InputError(str(path), str(error), "give brew's JSON description of a formula") from error
    own = f"{document['tap']}/"
    moved = {
        **document,
        "tap": TAP,
        "full_name": formula.name,
        "dependencies": [name.removeprefix(own) for name in document.get("dependencies", [])],
    }
    if formula.bottles:
        stable = document["bottle"]["stable"]
        files = {
            bottle.tag: {
                **stable["files"][bottle.tag],
                "url": bottle_url(ROOT_URL, bottle.file_name, bottle.digest),
            }
            for bottle in formula.bottles
        }
        moved["bottle"] = {"stable": {**stable, "root_url": ROOT_URL, "files": files}}
    return moved, read_formula(moved)


def _packages(described: Sequence[_Described], tag: BottleTag, generated_at: datetime) -> JsonObject:
    formulae = [formula for _, formula in described]
    return {
        "metadata": {
            "homebrew_version": "7.0.4",
            "bottle_tag": str(tag),
            "generated_at": int(generated_at.timestamp()),
        },
        "formulae": {formula.name: _entry(document, formula, tag) for document, formula in described},
        "casks": {},
        "formula_aliases": {alias: formula.name for formula in formulae for alias in formula.aliases},
        "formula_renames": {},
        "formula_tap_git_head": formulae[0].commit,
        "formula_tap_migrations": {},
    }


def _entry(document: JsonObject, formula: Formula, tag: BottleTag) -> JsonObject:
    """Return brew's short form of a formula: nothing that is blank, symbols with a colon."""
    entry: JsonObject = {
        "stable_version": document["versions"]["stable"],
        "revision": formula.revision,
        "version_scheme": formula.version_scheme,
        "aliases": list(formula.aliases),
        "stable_dependencies": [need.name for need in formula.dependencies if need.needed_on(tag)],
        "ruby_source_checksum": formula.file_sha256,
    }
    if source := formula.source:
        pinned = {":tag": source.tag, ":revision": source.revision}
        options = {name: value for name, value in pinned.items() if value}
        entry["stable_url_args"] = [source.url, options] if options else [source.url]
        entry["stable_checksum"] = source.sha256
    choice = choose_tag([bottle.tag for bottle in formula.bottles], tag)
    for bottle in formula.bottles:
        if choice and bottle.tag == choice.tag:
            entry["bottle_rebuild"] = bottle.rebuild
            entry["bottle_tag"] = None if BottleTag.parse(bottle.tag) == tag else f":{bottle.tag}"
            entry["bottle_checksum"] = bottle.digest.value
    return {name: value for name, value in entry.items() if value}


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
