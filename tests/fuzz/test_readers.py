"""Each reader on its seeds, on what once broke it, and on mutants that are the same every time.

`scripts/fuzz` does the same with a fuzzer that sees which code an input reaches.
"""

from __future__ import annotations

import base64
import random

import pytest
from tests.fuzz.readers import MAX_INPUT, READERS, Reader

MUTANTS = 300
NIGHTLY_MUTANTS = 20_000
SEED = 20261124

# Inputs that a fuzzer found, base64; none may ever break a reader again.
FOUND: dict[str, list[str]] = {}

_WORDS = (
    b"\x00",
    b"\xff" * 4,
    b"{}",
    b"[[[[",
    b'"',
    b"\\u0000",
    b"\n\n",
    b"end\n",
    b"__END__",
    b"#{",
    b"%w(",
    b"=begin\n",
)


def _mutate(chance: random.Random, data: bytes, other: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(made))
        match chance.randrange(6):
            case 0 if made:
                made[at % len(made)] ^= 1 << chance.randrange(8)
            case 1:
                made[at:at] = chance.choice(_WORDS)
            case 2:
                del made[at : at + chance.randint(1, 40)]
            case 3:
                made[at:at] = made[at : at + chance.randint(1, 200)]
            case 4:
                start = chance.randint(0, len(other))
                made[at : at + chance.randint(0, 40)] = other[start : start + chance.randint(1, 200)]
            case _:
                made[at:] = b""
    return bytes(made[:MAX_INPUT])


@pytest.mark.parametrize("name", READERS)
def test_good_inputs_and_those_that_were_found_are_read_or_refused(name: str) -> None:
    reader = READERS[name]
    for data in [*reader.seeds(), *map(base64.b64decode, FOUND.get(name, []))]:
        reader.read(data)


@pytest.mark.parametrize("name", READERS)
def test_mutants_are_read_or_refused_and_nothing_else_happens(name: str, *, nightly: bool) -> None:
    reader: Reader = READERS[name]
    seeds = reader.seeds()
    chance = random.Random(f"{name} {SEED}")  # noqa: S311 - the same ones every time
    for _ in range(NIGHTLY_MUTANTS if nightly else MUTANTS):
        data = _mutate(chance, chance.choice(seeds), chance.choice(seeds))
        try:
            reader.read(data)
        except Exception as error:
            error.add_note(f"{name}: {base64.b64encode(data).decode()}")
            raise
