"""What all tests share: where the real inputs are, and how long a run may take."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from brew_provenance.trust import TrustedRoot, public_good_root
from brew_provenance.verify import Verifier

# The machines are noisy, so that no test is timed; the same examples every time, but for the nightly run.
settings.register_profile("pull request", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None)

REPOSITORY = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="Run with the counts of a nightly run.")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("nightly" if config.getoption("--nightly") else "pull request")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is too long for a pull request; pytest says how many that is."""
    if config.getoption("--nightly"):
        return
    long = [item for item in items if item.get_closest_marker("nightly")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]


def missing(*programs: str) -> None:
    """Skip the test where a program is missing; fail it where nothing may be skipped, as in CI."""
    lacking = [name for name in programs if shutil.which(name) is None]
    if lacking:
        skip_or_fail(f"not on this machine: {', '.join(lacking)}")


def skip_or_fail(why: str) -> None:
    """Skip the test for want of something; with BREW_PROVENANCE_SKIP_NOTHING, as CI sets it, fail it."""
    if os.environ.get("BREW_PROVENANCE_SKIP_NOTHING"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def nightly(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--nightly"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real inputs, which are not part of the repository."""
    folder = Path(os.environ.get("BREW_PROVENANCE_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "bundles").is_dir():
        pytest.skip(f"no real inputs in {folder}; set BREW_PROVENANCE_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def public_good(tmp_path_factory: pytest.TempPathFactory) -> TrustedRoot:
    """The public-good root that the installation carries."""
    return public_good_root(tmp_path_factory.mktemp("tuf"), offline=True, now=datetime.now(UTC))


@pytest.fixture(scope="session")
def public_good_verifier(public_good: TrustedRoot) -> Verifier:
    return Verifier([public_good])
