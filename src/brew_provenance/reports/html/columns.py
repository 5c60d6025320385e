"""The data in a page: columns of texts, each text once, so that 55,000 bottles take a few megabytes.

A column is `{"values": [], "rows": []}`. `rows` has a number for each row, or one number where all are the
same: a place in `values`, or -1 for nothing. `values` are sorted, and each is written as two items: how many
characters it shares with the one before, and the rest.
"""

from __future__ import annotations

import base64
import json
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from brew_provenance.reports.html.bottles import Bottle
from brew_provenance.reports.text import printable

EVIDENCE: Final = (
    *("bundle", "signer", "source", "ref", "commit", "run", "runner", "trigger", "signed", "log", "logIndex"),
    *("formula_commit", "formula_path", "builder", "build_run", "build_runner"),
)
"""What a page shows of an attestation, each in a column of its own."""

OTHER: Final = "other"
"""The column of everything else that an attestation says."""

_Value: TypeAlias = str | int | None
_KNOWN: Final = frozenset({*EVIDENCE, "subject"})
_BOTTLE: Final = (
    *("formula", "version", "rebuild", "tag", "state", "codes", "findings", "attestations", "path", "line"),
    *("fileName", "subject"),
)


class Columns:
    """What a page has of bottles and of the attestations that decided."""

    def __init__(self) -> None:
        self._bottles = {name: _Column(_findings if name == "findings" else printable) for name in _BOTTLE}
        self._attestations = {name: _Column(printable) for name in (*EVIDENCE, OTHER)}
        self._places: dict[tuple[_Value, ...], int] = {}
        self._deciding = array("q")
        self._digests = bytearray()

    def add(self, bottle: Bottle) -> None:
        """Add a bottle's row, and one for its attestation unless another bottle has the same."""
        row = {
            "formula": bottle.formula,
            "version": bottle.version,
            "rebuild": bottle.rebuild,
            "tag": bottle.tag,
            "state": bottle.state.value,
            "codes": ",".join(bottle.codes),
            "findings": json.dumps(bottle.findings),
            "attestations": bottle.attestations,
            "path": bottle.path,
            "line": bottle.line,
            # Nothing for what follows from the rest; an empty text for what is not known.
            "fileName": None if bottle.file_name == _file_name(bottle) else bottle.file_name or "",
            "subject": _subject(bottle),
        }
        for name, value in row.items():
            self._bottles[name].add(value)
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
        others = {name: evidence[name] for name in sorted(evidence) if name not in _KNOWN}
        row = (*map(evidence.get, EVIDENCE), json.dumps(others) if others else None)
        if row not in self._places:
            self._places[row] = len(self._places)
            for column, value in zip(self._attestations.values(), row, strict=True):
                column.add(value)
        return self._places[row]


class _Column:
    def __init__(self, shown: Callable[[str], str]) -> None:
        self._shown = shown
        self._places: dict[_Value, int] = {}
        self._rows = array("q")

    def add(self, value: _Value) -> None:
        self._rows.append(self._places.setdefault(value, len(self._places)))

    def pieces(self) -> Iterator[str]:
        texts = [None if value is None else self._shown(str(value)) for value in self._places]
        ordered = sorted({text for text in texts if text is not None})
        yield '{"values":['
        before = ""
        for number, text in enumerate(ordered):
            shared = _shared(before, text)
            yield f"{',' if number else ''}{shared},{json.dumps(text[shared:])}"
            before = text
        yield '],"rows":'
        places = {text: place for place, text in enumerate(ordered)}
        written = [str(-1 if text is None else places[text]) for text in texts]
        yield written[0] if len(written) == 1 else f"[{','.join(written[place] for place in self._rows)}]"
        yield "}"


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts begin with in common."""
    length = min(len(one), len(other))
    return next((place for place in range(length) if one[place] != other[place]), length)


def embedded(head: Mapping[str, object], columns: Columns) -> Iterator[str]:
    """Yield a JSON document that can stand in a `script` element: whatever it says, it does not end that."""
    yield _harmless(json.dumps(head)[:-1] + ",")
    for piece in columns.pieces():
        yield _harmless(piece)
    yield "}"


def _harmless(text: str) -> str:
    # Only in texts has JSON any of these.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _findings(text: str) -> str:
    """Return findings as others may see them; JSON that was cut would be none."""
    return json.dumps([[code, printable(detail)] for code, detail in json.loads(text)])


def _subject(bottle: Bottle) -> _Value:
    if bottle.evidence is None:
        return None
    subject = bottle.evidence.get("subject")
    return None if subject == bottle.file_name else subject or ""


def _file_name(bottle: Bottle) -> str:
    """Return the file name that the script makes of the other columns, where it has no other."""
    rebuild = f".{bottle.rebuild}" if bottle.rebuild else ""
    return f"{bottle.formula}--{bottle.version or ''}.{bottle.tag}.bottle{rebuild}.tar.gz"
