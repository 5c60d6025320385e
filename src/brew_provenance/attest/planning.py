"""Which attestations are made of what was looked at, and what each of them says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import rfc8785

from brew_provenance.attest.bundles import SUFFIX
from brew_provenance.attest.preparing import Item
from brew_provenance.bottle import Digest
from brew_provenance.bottlestatement import build_statement, plain_statement
from brew_provenance.statement import MAX_SUBJECTS


@dataclass(frozen=True)
class Work:
    """What one attestation is about: a bottle with its record, or many without."""

    bundle: str
    """The name of its bundle's file."""

    items: tuple[Item, ...]

    def statement(self, claims: Mapping[str, str], server: str) -> bytes:
        """Return the statement to sign, in canonical JSON (RFC 8785)."""
        first = self.items[0]
        if first.record is not None and first.job is not None:
            document = build_statement(
                first.file_name, first.digest, first.record, first.job, first.identical
            )
        else:
            subjects = [(item.name, item.digest.value) for item in self.items]
            document = plain_statement(subjects, claims, server)
        return rfc8785.dumps(document)


def plan(items: Sequence[Item]) -> list[Work]:
    """Return the attestations to make: one for each bottle with a record, as few as possible for others."""
    works = [Work(f"{item.name}{SUFFIX}", (item,)) for item in items if item.record]
    plain: list[dict[Digest, Item]] = []
    for item in items:
        if item.record is None:
            # GitHub refuses a statement that has one digest twice.
            fitting = (part for part in plain if len(part) < MAX_SUBJECTS and item.digest not in part)
            part = next(fitting, None)
            if part is None:
                plain.append(part := {})
            part[item.digest] = item
    for part in plain:
        parts = tuple(part.values())
        names = hashlib.sha256("\n".join(f"{item.name} {item.digest}" for item in parts).encode())
        name = parts[0].name if len(parts) == 1 else f"bottles-{names.hexdigest()[:16]}"
        works.append(Work(f"{name}{SUFFIX}", parts))
    return works
