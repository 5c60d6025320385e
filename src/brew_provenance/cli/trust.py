"""`brew-provenance trust`: the roots that a signature has to lead back to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import click

from brew_provenance import strictjson
from brew_provenance.cli import options
from brew_provenance.errors import InputError, TrustError
from brew_provenance.reports.text import printable
from brew_provenance.trust import MAX_ROOT_BYTES, TrustedRoot

SCHEMA_VERSION: Final = 1
"""Version of the JSON; grows when a reader of the older one would misread the newer."""

_MOST = 50
"""As many of one kind are listed as text; real roots have a handful."""

# Of each kind: its key in the JSON of a root, and the key of its address.
_KINDS: Final = {
    "certificate authority": ("certificateAuthorities", "uri"),
    "transparency log": ("tlogs", "baseUrl"),
    "certificate transparency log": ("ctlogs", "baseUrl"),
    "timestamp authority": ("timestampAuthorities", "uri"),
}
_JSON_NAMES: Final[dict[type, str]] = {dict: "object", list: "list", str: "string"}
_Party = dict[str, str | None]
_T = TypeVar("_T", dict[str, object], list[object], str)


@click.group("trust", cls=options.Group)
def command() -> None:
    """Look at the trusted roots: who issues, who logs, and who stamps."""


@command.command("show")
@options.trusted_root
@options.no_public_good
@options.offline
@options.output_format("text", "json")
@options.output
def show(
    trusted_root_file: Path | None,
    output_format: str,
    output_file: Path | None,
    *,
    no_public_good: bool,
    offline: bool,
) -> None:
    """List the roots that would be trusted with these options, and whom each of them names.

    Addresses and times are what the root says of itself. What counts are its keys, which verifying reads.
    """
    roots = options.load_roots(trusted_root_file, offline=offline, no_public_good=no_public_good)
    described = [(root, _parties(root)) for root in roots]
    if output_format == "json":
        document = {
            "schemaVersion": SCHEMA_VERSION,
            "trustedRoots": [
                {
                    "name": root.name,
                    "sha256": root.sha256,
                    "builtIn": root.built_in,
                    "note": root.note,
                    **{_KINDS[kind][0]: found for kind, found in parties.items()},
                }
                for root, parties in described
            ],
        }
        text = json.dumps(document, ensure_ascii=True, indent=2) + "\n"
    else:
        text = "".join(f"{line}\n" for root, parties in described for line in _lines(root, parties))
    options.write_result(text, output_file)


@command.command("export")
@click.argument("file", type=options.PATH)
@options.trusted_root
@options.no_public_good
@options.offline
def export(file: Path, trusted_root_file: Path | None, *, no_public_good: bool, offline: bool) -> None:
    """Write the roots to FILE, one a line, for --trusted-root on another machine.

    They are JSON lines, as `gh attestation trusted-root` prints them, and can be given to gh as well.
    """
    roots = options.load_roots(trusted_root_file, offline=offline, no_public_good=no_public_good)
    lines = [
        json.dumps(strictjson.loads(root.raw, MAX_ROOT_BYTES), ensure_ascii=False, separators=(",", ":"))
        for root in roots
    ]
    try:
        options.write_result("\n".join(lines) + "\n", file)
    except InputError as error:
        raise InputError(error.thing, error.cause, "give a file that can be written") from error
    for root in roots:
        if root.note:
            options.note(root.note)
    options.note(f"{file}: {len(roots)} trusted root{'s' if len(roots) > 1 else ''}")


def _parties(root: TrustedRoot) -> dict[str, list[_Party]]:
    """Return whom a root names, by kind. Raises TrustError for what is not shaped like a root."""
    document = strictjson.loads(root.raw, MAX_ROOT_BYTES)
    try:
        return {
            kind: [_party(given, url) for given in _member(document, key, list) or []]
            for kind, (key, url) in _KINDS.items()
        }
    except TypeError as error:
        raise TrustError(root.name, str(error), "give a Sigstore trusted_root.json, unchanged") from error


def _party(given: object, url: str) -> _Party:
    # A log's period stands beside its key, an authority's beside its certificates.
    holder = _member(given, "publicKey", dict) or {} if url == "baseUrl" else given
    period = _member(holder, "validFor", dict) or {}
    return {
        "uri": _member(given, url, str),
        "validFrom": _member(period, "start", str),
        "validUntil": _member(period, "end", str),
    }


def _member(holder: object, key: str, kind: type[_T]) -> _T | None:
    """Return a member of an object; None where there is none, or a null. Raises TypeError."""
    if not isinstance(holder, dict):
        raise TypeError(f"no object where one with {key} should stand")
    value = holder.get(key)
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{key} is no {_JSON_NAMES[kind]}")
    return value


def _lines(root: TrustedRoot, parties: dict[str, list[_Party]]) -> Iterator[str]:
    yield printable(root.name)
    yield f"  sha256: {root.sha256}"
    yield f"  built in: {'yes' if root.built_in else 'no'}"
    if root.note:
        yield f"  note: {printable(root.note)}"
    for kind, found in parties.items():
        if not found:
            yield f"  {kind}: none"
        for party in found[:_MOST]:
            yield f"  {kind}: {_described(party)}"
        if len(found) > _MOST:
            yield f"  {kind}: {len(found) - _MOST:,} more"


def _described(party: _Party) -> str:
    uri, start, end = (printable(value or "") for value in party.values())
    period = [f"from {start}" if start else "", f"until {end}" if end else ""]
    return f"{uri or 'no address'}, {' '.join(filter(None, period)) or 'at all times'}"
