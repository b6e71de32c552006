"""What a push would change: prepared folders beside what the Hub has, file by file and by hash.

[`ReleaseRepository`] + the Hub -> [`compare_repository`] -> [`RepositoryChanges`], a [`BranchChanges`] a branch:
files that differ, files that are no longer released, and those that somebody else wrote.
"""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, RepoFile
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from ....models.released_files import hash_file
from ..manifest import hash_blob, list_files
from ..repository import ReleaseRepository
from .taken import TakenName, find_foreign


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

    def as_taken(self) -> TakenName:
        """What the Hub has under its name: files that somebody else wrote and that a push would replace or remove."""
        foreign = tuple(name for branch in self.branches for name in branch.foreign)
        return TakenName(self.repository.kind, self.repository.name, self.private, foreign)


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
    foreign = find_foreign(api, place, head, touched, there) if touched else ()
    return BranchChanges(branch, folder, head, tuple(changed), tuple(removed), tuple(foreign))


def _missing_branch(branch: str, folder: Path) -> BranchChanges:
    return BranchChanges(branch, folder, changed=tuple(list_files(folder)))


def _is_same(path: Path, there: RepoFile) -> bool:
    if path.stat().st_size != there.size:
        return False
    return hash_file(path) == there.lfs.sha256 if there.lfs else hash_blob(path) == there.blob_id
