"""The formula API over HTTP, at the paths of formulae.brew.sh: signed documents, and one for each formula."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from brew_provenance.sandbox.formulaapi import build_documents, build_formula_documents
from brew_provenance.sandbox.github.exchange import JSON_TYPE, Call, RefusedError, Reply
from brew_provenance.sandbox.services.service import Service

PREFIX: Final = "/api"
"""What a client's API domain ends in."""

_KEY_BITS = 2048


class FormulaService:
    """Serves what a folder describes, signed with a key of its own."""

    def __init__(self, folder: Path | None, generated_at: datetime) -> None:
        """Describe the formulae of `folder`, `NAME.json` each, as of a time; None for no formula at all.

        Raises InputError for files that cannot be used.
        """
        self._folder = folder
        self._generated_at = generated_at
        self._lock = threading.Lock()
        self._documents: Mapping[str, bytes] | None = None
        self._plain = build_formula_documents(folder) if folder else {}
        self._made_key: RSAPrivateKey | None = None
        self.service = Service("formulae", [("GET", f"{PREFIX}/{{path:path}}", self._show)], max_body=0)
        """What is served."""

    @property
    def public_key(self) -> bytes:
        """The key that the documents verify under, as PEM."""
        with self._lock:
            key = self._key().public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def documents(self) -> Mapping[str, bytes]:
        """What there is, by its path below the API's domain."""
        with self._lock:
            if self._documents is None:
                signed = (
                    build_documents(self._folder, self._key(), generated_at=self._generated_at)
                    if self._folder
                    else {}
                )
                self._documents = {**signed, **self._plain}
            return self._documents

    def _key(self) -> RSAPrivateKey:
        # Made when it is needed first, which takes a while.
        if self._made_key is None:
            self._made_key = generate_private_key(65537, _KEY_BITS)
        return self._made_key

    def _show(self, call: Call) -> Reply:
        found = self.documents.get(call.parameters["path"])
        if found is None:
            raise RefusedError(404, "Not Found")
        return Reply(200, found, {"content-type": JSON_TYPE})
