"""Other people's verifiers."""

from __future__ import annotations

import pytest
from tests.conftest import missing
from tests.interop.sigstorejs import SigstoreJS


@pytest.fixture(scope="session")
def sigstore_js(tmp_path_factory: pytest.TempPathFactory) -> SigstoreJS:
    missing("node", "npm")
    return SigstoreJS.install(tmp_path_factory.mktemp("sigstore-js"))
