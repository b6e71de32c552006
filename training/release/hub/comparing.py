"""What a push would change: prepared folders beside what the Hub has, file by file and by hash.

[`ReleaseRepository`] + the Hub -> [`compare_repository`] -> [`RepositoryChanges`], a [`BranchChanges`] a branch:
files that differ, files that are no longer released, and those that somebody else wrote.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, RepoFile
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from ..manifest import MANIFEST, hash_blob, hash_file, list_files, read_manifest
from ..repository import ReleaseRepository

_OF_THE_HUB = frozenset({".gitattributes", "README.md"})
"""What the Hub itself writes into a repository that it makes."""


@dataclass(frozen=True)
class BranchChanges:
    """
    What a push would change in one branch.

    Args:
        branch (`str`): Its name.
        folder (`Path`): What it will hold.
        head (`str`, *optional*): Its last commit; `None` where there is no such branch.
        changed (`tuple[str, ...]`): Files that the Hub lacks or has otherwise.
        removed (`tuple[str, ...]`): Files that the Hub has and that are no longer released.
        foreign (`tuple[str, ...]`): Those of the files to be replaced or removed that no release wrote.
    """

    branch: str
    folder: Path
    head: str | None = None
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.changed or self.removed)


@dataclass(frozen=True)
class RepositoryChanges:
    """
    What a push would change in one repository.

    Args:
        repository ([`ReleaseRepository`]): What is prepared.
        exists (`bool`): Whether the Hub has it.
        private (`bool`): Whether only its owner sees it there.
        branches (`tuple[BranchChanges, ...]`): Its branches, the main one first.
    """

    repository: ReleaseRepository
    exists: bool
    private: bool
    branches: tuple[BranchChanges, ...]

    @property
    def foreign(self) -> list[str]:
        """Files that somebody else wrote and that a push would replace or remove."""
        return [name for branch in self.branches for name in branch.foreign]


def compare_repository(api: HfApi, repository: ReleaseRepository) -> RepositoryChanges:
    """
    Compare a prepared repository with the Hub's.

    Args:
        api ([`~huggingface_hub.HfApi`]): The Hub.
        repository ([`ReleaseRepository`]): What is prepared.

    Raises:
        `OSError`: If the Hub does not answer as it should.
    """
    try:
        info = api.repo_info(repository.name, repo_type=repository.kind)
    except RepositoryNotFoundError:
        missing = (_missing_branch(branch, folder) for branch, folder in repository.branches)
        return RepositoryChanges(repository, exists=False, private=False, branches=tuple(missing))
    branches = tuple(compare_branch(api, repository, branch, folder) for branch, folder in repository.branches)
    return RepositoryChanges(repository, exists=True, private=bool(info.private), branches=branches)


def compare_branch(api: HfApi, repository: ReleaseRepository, branch: str, folder: Path) -> BranchChanges:
    """
    Compare a prepared folder with a branch of a repository that the Hub has.

    Args:
        api ([`~huggingface_hub.HfApi`]): The Hub.
        repository ([`ReleaseRepository`]): The repository.
        branch (`str`): The branch.
        folder (`Path`): What it will hold.

    Raises:
        `OSError`: If the Hub does not answer as it should.
    """
    place = {"repo_id": repository.name, "repo_type": repository.kind}
    try:
        head = api.repo_info(**place, revision=branch).sha
    except RevisionNotFoundError:
        return _missing_branch(branch, folder)
    tree = api.list_repo_tree(**place, revision=head, recursive=True)
    there = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    here = list_files(folder)
    changed = [name for name in here if name not in there or not _is_same(folder / name, there[name])]
    removed = [name for name in there if name not in here and name != ".gitattributes"]
    touched = [there[name] for name in (*changed, *removed) if name in there]
    foreign = _find_foreign(api, place, head, touched, there) if touched else ()
    return BranchChanges(branch, folder, head, tuple(changed), tuple(removed), tuple(foreign))


def _missing_branch(branch: str, folder: Path) -> BranchChanges:
    return BranchChanges(branch, folder, changed=tuple(list_files(folder)))


def _is_same(path: Path, there: RepoFile) -> bool:
    if path.stat().st_size != there.size:
        return False
    return hash_file(path) == there.lfs.sha256 if there.lfs else hash_blob(path) == there.blob_id


def _find_foreign(
    api: HfApi, place: dict[str, str], head: str, touched: Iterable[RepoFile], there: dict[str, RepoFile]
) -> list[str]:
    """Those of the Hub's files that are not as a release left them."""
    if there.keys() <= _OF_THE_HUB and len(api.list_repo_commits(**place, revision=head)) == 1:
        return []  # as the Hub made it: a push ended before its first commit
    with tempfile.TemporaryDirectory() as folder:

        def download(name: str) -> Path:
            return Path(api.hf_hub_download(**place, revision=head, filename=name, local_dir=folder))

        released = read_manifest(download(MANIFEST)) if MANIFEST in there else {}
        if not released:
            return [file.path for file in touched if file.path != ".gitattributes"]
        foreign = []
        for file in touched:
            if file.path in (MANIFEST, ".gitattributes"):
                continue
            expected = released.get(file.path)
            if expected is None or expected != (file.lfs.sha256 if file.lfs else hash_file(download(file.path))):
                foreign.append(file.path)
        return foreign
