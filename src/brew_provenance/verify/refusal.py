"""How one step of verification ends the whole of it."""

from __future__ import annotations

from brew_provenance.findings import Finding


class Refusal(Exception):  # noqa: N818 - never leaves this package
    """A step that failed; carries the finding."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.finding = Finding(code, detail)
