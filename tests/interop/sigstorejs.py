"""sigstore-js, installed from the npm registry as its lock file pins it, and asked about bundles."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_SECONDS = 300


@dataclass(frozen=True)
class SigstoreJS:
    """An installation."""

    folder: Path

    @classmethod
    def install(cls, folder: Path) -> SigstoreJS:
        """Install it into an empty folder, to the digest as locked; no script of a package is run."""
        for name in ("package.json", "package-lock.json", "verify.mjs"):
            shutil.copyfile(_HERE / name, folder / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(command, cwd=folder, check=True, timeout=_SECONDS, stdout=subprocess.DEVNULL)
        return cls(folder)

    def verify(
        self,
        root: Any,
        bundles: Sequence[Any],
        *,
        identity: str,
        issuer: str,
        thresholds: Mapping[str, int] | None = None,
    ) -> list[str | None]:
        """Return None for each bundle that it accepts under a trusted root, and its words for the others.

        `thresholds` are how many log entries and times it asks for, where not its own.
        """
        asked = {
            "root": root,
            "bundles": bundles,
            # It takes the name for a pattern, anchored at neither end.
            "thresholds": dict(thresholds or {}),
            "identity": {"name": f"^{re.escape(identity)}$", "issuer": issuer},
        }
        done = subprocess.run(
            ["node", "verify.mjs"],
            cwd=self.folder,
            input=json.dumps(asked),
            capture_output=True,
            check=True,
            encoding="utf-8",
            timeout=_SECONDS,
        )
        answered: list[str | None] = json.loads(done.stdout)
        return answered
