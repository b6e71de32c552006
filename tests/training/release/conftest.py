"""What the tests of a release share: a study with all that can be released, and its release, each made once."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
from complete_study import make_complete_study
from filelock import FileLock

from evoslm.training.release import ReleaseRepository, prepare_release

NAMESPACE = "user"


def _shared_folder(tmp_path_factory, worker_id) -> Path:
    """A folder of all processes of the session."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def complete_run(finished_run, tmp_path_factory, worker_id) -> Path:
    """The tiny study with joint models, adapters and a transcriber, made by the first process that asks for it."""
    shared = _shared_folder(tmp_path_factory, worker_id)
    with FileLock(shared / "complete-study.lock"):
        if not (shared / "complete-study.made").exists():
            make_complete_study(finished_run, shared / "complete-study")
            (shared / "complete-study.made").touch()
    return shared / "complete-study"


@pytest.fixture(scope="session")
def released(complete_run, tmp_path_factory, worker_id) -> list[ReleaseRepository]:
    """The release of that study, made by the first process that asks for it. To change it, copy it."""
    shared = _shared_folder(tmp_path_factory, worker_id)
    kept = shared / "released.pkl"
    with FileLock(shared / "released.lock"):
        if not kept.exists():
            kept.write_bytes(pickle.dumps(prepare_release(complete_run, NAMESPACE, shared / "released")))
        return pickle.loads(kept.read_bytes())


@pytest.fixture(scope="session")
def by_name(released) -> dict[str, ReleaseRepository]:
    """The repositories by the last part of their name, without what all of them begin with."""
    return {repository.name.split("/")[1].removeprefix("evoslm-smoke-"): repository for repository in released}


@pytest.fixture
def own_run(finished_run, tmp_path) -> Path:
    """A copy of the tiny study whose files may be removed and replaced, but not written into."""

    return Path(shutil.copytree(finished_run, tmp_path / "run", copy_function=os.link))
