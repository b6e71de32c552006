"""A whole release on the disk: every repository of a run in a folder of its own, to the byte as it would be pushed.

a finished run -> [`prepare_release`] -> `<folder>/<repository>/<branch>/`, whole or not at all. Nothing is asked of a
network, and the same run and version give the same bytes.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from ...models.files import write_json
from .card import check_license
from .choice import EVERYTHING, ReleaseChoice
from .datasets import prepare_dataset_repositories
from .datasets.benchmark import check_framework
from .files import check_prepared
from .manifest import write_manifests
from .models import prepare_model_repositories
from .names import ReleaseNames
from .package import prepare_package
from .repository import ReleaseRepository
from .spaces import prepare_space_repositories

LIST_FILE = "repositories.json"
"""What a folder of a release holds; by it the folder is known again."""


def prepare_release(
    run: str | Path,
    namespace: str,
    folder: str | Path,
    name: str | None = None,
    choice: ReleaseChoice = EVERYTHING,
) -> list[ReleaseRepository]:
    """
    Prepare all repositories of a run.

    Args:
        run (`str` or `Path`): The run's folder.
        namespace (`str`): A user or an organisation on the Hub.
        folder (`str` or `Path`): Where to; an earlier release there is replaced when this one is whole.
        name (`str`, *optional*): What stands for the run in all names; its preset when not given.
        choice ([`ReleaseChoice`], *optional*, defaults to `EVERYTHING`): What of the run is released.

    Returns:
        `list[ReleaseRepository]`: In the order of a collection.

    Raises:
        `FileNotFoundError`: If the folder is no run, the run is not finished, or something of it is missing.
        `ValueError`: If a name cannot be, there are no results for a card, parts do not belong together, or the folder
            holds something else.
    """
    run, folder = Path(run), Path(folder)
    names = ReleaseNames.of(run, namespace, name)
    check_license(choice.license_id)
    check_framework(choice.evaluation_framework)
    with _written_whole(folder) as partial:
        repositories = prepare_model_repositories(run, names, partial, choice)
        models = [repository.name for repository in repositories]
        repositories += prepare_dataset_repositories(run, names, partial, choice, models)
        repositories.append(prepare_package(names, partial))
        repositories += prepare_space_repositories(run, names, partial, repositories)
        check_prepared(repositories, run)
        write_manifests(repositories)
        write_json(partial / LIST_FILE, [describe(repository) for repository in repositories])
    return [_moved(repository, partial, folder) for repository in repositories]


def describe(repository: ReleaseRepository) -> dict:
    """
    What would be pushed of a repository.

    Args:
        repository ([`ReleaseRepository`]): A prepared one.

    Returns:
        `dict`: `name`, `kind`, `title`, `branches`, `files` (of all branches) and `bytes`.
    """
    files = list(repository.files())
    return {
        "name": repository.name,
        "kind": repository.kind,
        "title": repository.title,
        "branches": [branch for branch, _ in repository.branches],
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
    }


@contextmanager
def _written_whole(folder: Path) -> Iterator[Path]:
    """A folder beside that of the release, which takes its place when all of it is there."""
    if folder.exists() and not (folder / LIST_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds something else than a release; choose another --output_dir.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"Another command is writing {folder}; let it finish, or choose another --output_dir."
        ) from None
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        lock.release()


def _moved(repository: ReleaseRepository, before: Path, after: Path) -> ReleaseRepository:
    """A repository whose folders lie elsewhere now."""

    def there(path: Path) -> Path:
        return after / path.relative_to(before)

    revisions = tuple((branch, there(path)) for branch, path in repository.revisions)
    return replace(repository, folder=there(repository.folder), revisions=revisions)
