"""A run that may be changed."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def copied_run(finished_run, tmp_path_factory) -> Path:
    """The tiny study, copied."""
    return shutil.copytree(finished_run, tmp_path_factory.mktemp("mitigations") / "first")
