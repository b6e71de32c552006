"""What the tests of a release share: the tiny study's own, prepared once."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from evoslm.training.release import ReleaseRepository, prepare_release

NAMESPACE = "user"


@pytest.fixture(scope="session")
def released(finished_run, tmp_path_factory, worker_id) -> list[ReleaseRepository]:
    """The release of the tiny study, made by the first process that asks for it. To change it, copy it."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    kept = shared / "released.pkl"
    with FileLock(shared / "released.lock"):
        if not kept.exists():
            kept.write_bytes(pickle.dumps(prepare_release(finished_run, NAMESPACE, shared / "released")))
        return pickle.loads(kept.read_bytes())


@pytest.fixture(scope="session")
def by_name(released) -> dict[str, ReleaseRepository]:
    """The repositories by the last part of their name, without what all of them begin with."""
    return {repository.name.split("/")[1].removeprefix("evoslm-smoke-"): repository for repository in released}


@pytest.fixture
def own_run(finished_run, tmp_path) -> Path:
    """A copy of the tiny study whose files may be removed and replaced, but not written into."""

    return Path(shutil.copytree(finished_run, tmp_path / "run", copy_function=os.link))
