"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

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


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, worker_id) -> Path:
    """A tiny study of all modalities, made by the first process that asks for it. To change it, copy it."""
    from tiny_study import make_tiny_study

    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":  # each process of pytest-xdist has a folder of its own in one of the session's
        shared = shared.parent
    folder = shared / "tiny-study"
    with FileLock(shared / "tiny-study.lock"):
        if not (folder / "report" / "report.html").exists():
            make_tiny_study(folder)
    return folder
