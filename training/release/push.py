"""Prepared repositories onto the Hub: everything is checked before the first upload, and nothing is sent twice.

[`ReleaseRepository`]s -> [`push_release`] -> may this token write there? -> what differs, by hash -> a commit a branch
that differs, and branches of earlier releases removed -> a collection. Whatever breaks, the same call goes on where
the last one stopped.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from ...models.released_files import MANIFEST
from .hub.access import check_access
from .hub.collection import update_collection
from .hub.comparing import BranchChanges, RepositoryChanges, compare_branch, compare_repository
from .hub.requests import PushFailed, ask
from .hub.taken import commit_message, refuse_taken
from .repository import ReleaseRepository

__all__ = ["PushFailed", "PushedRepository", "push_release"]


@dataclass(frozen=True)
class PushedRepository:
    """
    What a push did to one repository.

    Args:
        name (`str`): Its id.
        kind (`str`): `"model"`, `"dataset"` or `"space"`.
        url (`str`): Its page.
        commits (`dict[str, str | None]`): By branch the new commit, or `None` where the Hub had all of it.
        removed (`tuple[str, ...]`): Branches of an earlier release that this one does not have.
        left (`tuple[str, ...]`): Branches that are in no release, with something that none wrote.
    """

    name: str
    kind: str
    url: str
    commits: dict[str, str | None]
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def push_release(
    repositories: Sequence[ReleaseRepository],
    namespace: str,
    private: bool = False,
    force: bool = False,
    title: str | None = None,
    report: Callable[[str], None] = print,
) -> list[PushedRepository]:
    """
    Push prepared repositories, one commit a branch that differs, and tie them by a collection.

    The token is the one that `huggingface_hub` finds (`hf auth login`, or `HF_TOKEN`); it is neither shown nor kept.

    Args:
        repositories (`Sequence[ReleaseRepository]`): What was prepared, in the order of the collection.
        namespace (`str`): The user or organisation that all of them belong to.
        private (`bool`, *optional*, defaults to `False`): Whether new repositories are for their owner alone.
        force (`bool`, *optional*, defaults to `False`): Replace what somebody else wrote, too.
        title (`str`, *optional*): Of the collection; without one there is none.
        report (`Callable[[str], None]`, *optional*, defaults to `print`): Called with a line a repository.

    Returns:
        `list[PushedRepository]`: What was done.

    Raises:
        `FileNotFoundError`: If there is no such namespace.
        `ValueError`: If there is no token or it may not write there, or something there is somebody else's; nothing
            was pushed.
        [`PushFailed`]: If the Hub failed on the way; each branch is as it was or as it should be, and the same call
            goes on.
    """
    api = HfApi()
    for repository in repositories:
        _check_prepared(repository, namespace)
    check_access(api, namespace)
    changes = [ask(f"Looking at {found.name}", compare_repository, api, found) for found in repositories]
    refuse_taken([changed.as_taken() for changed in changes if changed.exists], private, force)
    pushed = []
    for changed in changes:
        pushed.append(_push_repository(api, changed, private, force))
        report(_describe(pushed[-1]))
    if title is not None:
        collection = ask("Making the collection", update_collection, api, namespace, title, repositories, private)
        report(f"{collection.url}: all of it")
    return pushed


def _check_prepared(repository: ReleaseRepository, namespace: str) -> None:
    owner, _, _ = repository.name.partition("/")
    if owner != namespace:
        raise ValueError(f"{repository.name} was prepared for {owner}, not for {namespace}; prepare it again.")
    for _, folder in repository.branches:
        if not (folder / MANIFEST).is_file():
            raise FileNotFoundError(f"{folder} has no {MANIFEST}, so it is not prepared to the end; prepare it again.")


def _push_repository(api: HfApi, changes: RepositoryChanges, private: bool, force: bool) -> PushedRepository:
    repository, doing = changes.repository, f"Pushing {changes.repository.name}"
    if not changes.exists:
        options = {"space_sdk": "gradio"} if repository.kind == "space" else {}
        options |= {"private": True} if private else {}
        ask(doing, api.create_repo, repository.name, repo_type=repository.kind, exist_ok=True, **options)
    commits = {}
    for branch in changes.branches:
        if branch.head is None:  # the repository or the branch was not there: what does it begin with?
            if branch.branch != "main":
                ask(doing, _create_branch, api, repository, branch.branch)
            branch = ask(doing, compare_branch, api, repository, branch.branch, branch.folder)
        commits[branch.branch] = _push_branch(api, repository, branch) if branch.is_needed else None
    for branch in changes.stale:
        ask(doing, _delete_branch, api, repository, branch)
    prefix = "" if repository.kind == "model" else f"{repository.kind}s/"
    url = f"{api.endpoint}/{prefix}{repository.name}"
    return PushedRepository(repository.name, repository.kind, url, commits, changes.stale, changes.strange)


def _create_branch(api: HfApi, repository: ReleaseRepository, branch: str) -> None:
    api.create_branch(repository.name, repo_type=repository.kind, branch=branch, exist_ok=True)


def _delete_branch(api: HfApi, repository: ReleaseRepository, branch: str) -> None:
    """Delete a branch, unless it is gone: the answer of the call before may have got lost."""
    place = {"repo_id": repository.name, "repo_type": repository.kind}
    if any(ref.name == branch for ref in api.list_repo_refs(**place).branches):
        api.delete_branch(**place, branch=branch)


def _push_branch(api: HfApi, repository: ReleaseRepository, changes: BranchChanges) -> str:
    """Commit what differs, and look at the Hub again: whatever its answer was, what it has is what counts."""
    doing = f"Pushing {repository.name} ({changes.branch})"

    def commit() -> BranchChanges:
        # A commit whose answer got lost is there, and is not made twice.
        now = compare_branch(api, repository, changes.branch, changes.folder)
        if now.is_needed:
            if now.head != changes.head:
                raise PushFailed(f"{doing} failed: somebody else is writing to it; push again when they are done.")
            _commit(api, repository, now)
            now = compare_branch(api, repository, changes.branch, changes.folder)
        return now

    done = ask(doing, commit)
    if done.is_needed:
        raise PushFailed(f"{doing} failed: the Hub does not have what was sent; push again.")
    return done.head


def _commit(api: HfApi, repository: ReleaseRepository, changes: BranchChanges) -> None:
    operations = [CommitOperationDelete(name, is_folder=False) for name in changes.removed]
    operations += [CommitOperationAdd(name, os.fspath(changes.folder / name)) for name in changes.changed]
    api.create_commit(
        repository.name,
        repo_type=repository.kind,
        operations=operations,
        revision=changes.branch,
        commit_message=commit_message(),
        parent_commit=changes.head,
    )


def _describe(pushed: PushedRepository) -> str:
    new = [branch for branch, commit in pushed.commits.items() if commit]
    what = [f"pushed {', '.join(new)}"] if new else []
    what += [f"removed {', '.join(pushed.removed)}, no longer released"] if pushed.removed else []
    told = "; ".join(what) or "unchanged"
    left = f" (left as they are, since no release made them: {', '.join(pushed.left)})" if pushed.left else ""
    return f"{pushed.url}: {told}{left}"
