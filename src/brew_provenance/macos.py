"""The names of macOS releases, as bottle tags bear them. Source: brew's `macos_version.rb`."""

from __future__ import annotations

import re
from typing import Final

VERSIONS: Final = {
    "golden_gate": (27,),
    "tahoe": (26,),
    "sequoia": (15,),
    "sonoma": (14,),
    "ventura": (13,),
    "monterey": (12,),
    "big_sur": (11,),
    "catalina": (10, 15),
    "mojave": (10, 14),
    "high_sierra": (10, 13),
    "sierra": (10, 12),
    "el_capitan": (10, 11),
    "yosemite": (10, 10),
}
"""Name to version, the newest first; tuples compare as the releases do."""

# What macOS 11 and later call themselves to programs built for older ones.
_COMPATIBLE = (10, 16)


def macos_name(version: str) -> str | None:
    """Return brew's name for a macOS version, `15.6.1` to `sequoia`; None for an unknown one."""
    if re.fullmatch(r"\d+(\.\d+)*", version, re.ASCII) is None:
        return None
    numbers = tuple(int(part) for part in version.split("."))
    if numbers[:2] == _COMPATIBLE:
        return "big_sur"
    key = numbers[:2] if numbers[0] == _COMPATIBLE[0] else numbers[:1]
    return next((name for name, number in VERSIONS.items() if number == key), None)
