"""Fixtures for all tests."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

# Before torch is imported: the models in the tests are tiny, and threads that wait for each other cost more than
# they give, above all when several tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
REQUIRED = "EVOSLM_REQUIRE_BROWSER"
"""Where this is set, a test that finds no browser fails."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real books, recordings and BLiMP, which may lie beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no development data beside the checkout ({folder.parent.name}/{folder.name})")
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, worker_id) -> Iterator[Path]:
    """A tiny study of all modalities, made by the first process that asks for it. To change it, copy it."""
    from tiny_study import make_tiny_study

    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":  # each process of pytest-xdist has a folder of its own in one of the session's
        shared = shared.parent
    folder = shared / "tiny-study"
    with FileLock(shared / "tiny-study.lock"):
        if not (folder / "report" / "report.html").exists():
            make_tiny_study(folder)
        made = list_times(folder)
    yield folder
    assert list_times(folder) == made, "A test wrote into the study that all of them share; it needs a copy."


def list_times(folder: Path) -> dict[str, int]:
    """When each file of a folder was last written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def table_run(finished_run, tmp_path_factory, worker_id) -> Path:
    """A study with the units of the tiny one as a table, made by the first process that asks for it."""
    from unit_tables import make_table_study

    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    folder = shared / "table-study"
    with FileLock(shared / "table-study.lock"):
        if not (folder / "run" / "report" / "report.html").exists():
            make_table_study(finished_run, folder)
    return folder / "run"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A Chromium without a window, which plays without being clicked first and hears a beep as its microphone."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(
            "no Chromium; `apt-get install chromium` brings one"
        )
    flags = ["--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream"]
    flags += ["--use-fake-ui-for-media-stream", "--disable-dev-shm-usage"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")  # which Chromium refuses to start with as root
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()
