"""How bundles and trusted roots write bytes and times in JSON (the protobuf JSON mapping)."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]


def encode_bytes(data: bytes) -> str:
    """Return `data` as standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def encode_time(time: datetime) -> str:
    """Return `time` as an RFC 3339 time in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def encode_json(value: object) -> bytes:
    """Return `value` as `JSON.stringify` writes it: no spaces, keys in the order given."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
