"""What a push would change: prepared folders beside what the Hub has, file by file and by hash.

[`ReleaseRepository`] + the Hub -> [`compare_repository`] -> [`RepositoryChanges`], a [`BranchChanges`] a branch:
files that differ, files that are no longer released, and those that somebody else wrote; and whole branches of these
two kinds.
"""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, RepoFile
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from ....models.released_files import MANIFEST, hash_file
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
        stale (`tuple[str, ...]`): Branches that a release made and that are no longer released.
        strange (`tuple[str, ...]`): Other branches with something that no release wrote, which stay.
    """

    repository: ReleaseRepository
    exists: bool
    private: bool
    branches: tuple[BranchChanges, ...]
    stale: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()

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
    stale, strange = _other_branches(api, repository)
    return RepositoryChanges(repository, True, bool(info.private), branches, stale, strange)


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
    there = _list_files(api, place, head)
    here = list_files(folder)
    changed = [name for name in here if name not in there or not _is_same(folder / name, there[name])]
    removed = [name for name in there if name not in here and name != ".gitattributes"]
    touched = [there[name] for name in (*changed, *removed) if name in there]
    foreign = find_foreign(api, place, head, touched, there) if touched else ()
    return BranchChanges(branch, folder, head, tuple(changed), tuple(removed), tuple(foreign))


def _other_branches(api: HfApi, repository: ReleaseRepository) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The Hub's branches that are not prepared: those that are as a release left them, and others."""
    place = {"repo_id": repository.name, "repo_type": repository.kind}
    prepared = {branch for branch, _ in repository.branches}
    found: dict[bool, list[str]] = {True: [], False: []}
    for ref in api.list_repo_refs(**place).branches:
        if ref.name not in prepared:
            there = _list_files(api, place, ref.target_commit)
            is_ours = MANIFEST in there and not find_foreign(api, place, ref.target_commit, there.values(), there)
            found[is_ours].append(ref.name)
    return tuple(found[True]), tuple(found[False])


def _list_files(api: HfApi, place: dict[str, str], head: str) -> dict[str, RepoFile]:
    """The files of a commit by name."""
    tree = api.list_repo_tree(**place, revision=head, recursive=True)
    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}


def _missing_branch(branch: str, folder: Path) -> BranchChanges:
    return BranchChanges(branch, folder, changed=tuple(list_files(folder)))


def _is_same(path: Path, there: RepoFile) -> bool:
    if path.stat().st_size != there.size:
        return False
    return hash_file(path) == there.lfs.sha256 if there.lfs else hash_blob(path) == there.blob_id
