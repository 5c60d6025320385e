"""The data in a page: columns of texts, each text once, so that 55,000 bottles take a few megabytes.

A column is `{"values": […], "rows": […]}`. `rows` has a number for each row: a place in `values`, or -1 for
nothing. `values` are sorted, and each is written as two items: how many characters it shares with the one
before, and the rest.
"""

from __future__ import annotations

import base64
import json
from array import array
from collections.abc import Iterator, Mapping
from os.path import commonprefix
from typing import Final

from brew_provenance.reports.html.bottles import Bottle
from brew_provenance.reports.text import printable

EVIDENCE: Final = (
    *("bundle", "signer", "source", "ref", "commit", "run", "runner", "trigger", "signed", "log", "logIndex"),
    *("formula_commit", "formula_path", "builder", "build_run", "build_runner"),
)
"""What a page shows of an attestation, each in a column of its own."""

OTHER: Final = "other"
"""The column of everything else that an attestation says."""

_BOTTLE: Final = (
    *("formula", "version", "rebuild", "tag", "state", "codes", "findings", "attestations", "path", "line"),
    *("fileName", "subject"),
)


class Columns:
    """What a page has of bottles and of the attestations that decided."""

    def __init__(self) -> None:
        self._bottles = {name: _Column() for name in _BOTTLE}
        self._attestations = {name: _Column() for name in (*EVIDENCE, OTHER)}
        self._places: dict[tuple[str | None, ...], int] = {}
        self._deciding = array("q")
        self._digests = bytearray()

    def add(self, bottle: Bottle) -> None:
        """Add a bottle's row, and one for its attestation unless another bottle has the same."""
        file_name = printable(bottle.file_name) if bottle.file_name is not None else ""
        row = {
            "formula": bottle.formula,
            "version": bottle.version,
            "rebuild": bottle.rebuild,
            "tag": bottle.tag,
            "state": bottle.state.value,
            "codes": ",".join(bottle.codes),
            "findings": json.dumps([[code, printable(detail)] for code, detail in bottle.findings]),
            "attestations": bottle.attestations,
            "path": bottle.path,
            "line": bottle.line,
            # Nothing for what follows from the rest; an empty text for what is not known.
            "fileName": None if file_name == _file_name(bottle) else file_name,
            "subject": self._subject(bottle, file_name),
        }
        for name, value in row.items():
            # JSON is cut at no place, and printable already.
            self._bottles[name].add(value if name == "findings" else _shown(value))
        self._deciding.append(self._attestation(bottle.evidence))
        self._digests += bytes.fromhex(bottle.sha256)

    def pieces(self) -> Iterator[str]:
        """Yield JSON of everything, without the braces around it."""
        yield f'"sha256":"{base64.b64encode(self._digests).decode()}",'
        yield f'"attestation":[{",".join(map(str, self._deciding))}]'
        for group, columns in (("bottles", self._bottles), ("attestations", self._attestations)):
            yield f',"{group}":{{'
            for number, (name, column) in enumerate(columns.items()):
                yield ("," if number else "") + f"{json.dumps(name)}:"
                yield from column.pieces()
            yield "}"

    def _attestation(self, evidence: Mapping[str, str | int | None] | None) -> int:
        if evidence is None:
            return -1
        others = {name: evidence[name] for name in sorted(evidence) if name not in {*EVIDENCE, "subject"}}
        row = (
            *(_shown(evidence.get(name)) for name in EVIDENCE),
            _shown(json.dumps(others) if others else None),
        )
        place = self._places.setdefault(row, len(self._places))
        if place == len(self._places) - 1 and len(self._attestations[OTHER]) == place:
            for column, value in zip(self._attestations.values(), row, strict=True):
                column.add(value)
        return place

    @staticmethod
    def _subject(bottle: Bottle, file_name: str) -> str | None:
        if bottle.evidence is None:
            return None
        subject = _shown(bottle.evidence.get("subject")) or ""
        return None if subject == file_name else subject


class _Column:
    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._rows = array("q")

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, value: str | None) -> None:
        self._rows.append(-1 if value is None else self._places.setdefault(value, len(self._places)))

    def pieces(self) -> Iterator[str]:
        ordered = sorted(self._places)
        moved = array("q", bytes(8 * len(ordered)))
        for place, value in enumerate(ordered):
            moved[self._places[value]] = place
        yield '{"values":['
        before = ""
        for number, value in enumerate(ordered):
            shared = len(commonprefix((before, value)))
            yield ("," if number else "") + f"{shared},{json.dumps(value[shared:])}"
            before = value
        yield '],"rows":['
        yield ",".join("-1" if place < 0 else str(moved[place]) for place in self._rows)
        yield "]}"


def embedded(head: Mapping[str, object], columns: Columns) -> Iterator[str]:
    """Yield a JSON document that can stand in a `script` element: whatever it says, it does not end that."""
    yield _harmless(json.dumps(head)[:-1] + ",")
    for piece in columns.pieces():
        yield _harmless(piece)
    yield "}"


def _harmless(text: str) -> str:
    # Only in texts has JSON any of these.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _shown(value: str | int | None) -> str | None:
    return None if value is None else printable(str(value))


def _file_name(bottle: Bottle) -> str:
    """Return the file name that the script makes of the other columns, of which it has no other."""
    rebuild = f".{bottle.rebuild}" if bottle.rebuild else ""
    name, version, tag = (printable(text or "") for text in (bottle.formula, bottle.version, bottle.tag))
    return f"{name}--{version}.{tag}.bottle{rebuild}.tar.gz"
