"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest

# Before torch is imported: the models in the tests are tiny, and threads that wait for each other cost more than
# they give, above all when several tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real books, recordings and BLiMP, which may lie beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no development data beside the checkout ({folder.parent.name}/{folder.name})")
    return folder
