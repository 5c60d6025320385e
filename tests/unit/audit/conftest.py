"""What the tests of audits share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.audit.audits import InProcess, opened

from brew_provenance.audit import executors
from brew_provenance.audit.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger, open to write."""
    with opened(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[InProcess]:
    """Everything that was handed to worker processes, which are none: all is done in this process."""
    made: list[InProcess] = []

    class Pool(InProcess):
        def __init__(self, *arguments: object, **keywords: object) -> None:
            super().__init__(*arguments, **keywords)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(executors, "ProcessPoolExecutor", Pool)
    return made
