"""Names that the Hub has already: whose is what lies there, and may a push replace it?

kind and name -> [`find_taken`] -> [`TakenName`] -> [`refuse_taken`], one sentence. By `release.json` a release knows
its own again; what is not in that list, or not as the list has it, was written by somebody else.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, RepoFile
from huggingface_hub.errors import RepositoryNotFoundError

from .... import __version__
from ....models.released_files import MANIFEST, hash_file, read_manifest

_OF_THE_HUB = frozenset({".gitattributes", "README.md"})
"""What the Hub itself writes into a repository that it makes."""
_COMMIT = "Release with evoslm"


@dataclass(frozen=True)
class TakenName:
    """
    What the Hub has under the name of a repository.

    Args:
        kind (`str`): `"model"`, `"dataset"` or `"space"`.
        name (`str`): Its id.
        private (`bool`): Whether only its owner sees it.
        foreign (`tuple[str, ...]`): Files in it that no release wrote.
    """

    kind: str
    name: str
    private: bool
    foreign: tuple[str, ...] = ()


def commit_message() -> str:
    """What a release's commits are called."""
    return f"{_COMMIT} {__version__}"


def find_taken(api: HfApi, kind: str, name: str) -> TakenName | None:
    """
    Look whether a name is free, from the Hub alone: before there is anything that could be compared.

    Args:
        api ([`~huggingface_hub.HfApi`]): The Hub.
        kind (`str`): `"model"`, `"dataset"` or `"space"`.
        name (`str`): An id.

    Returns:
        [`TakenName`] or `None`: Nothing where the Hub has no such repository; else it, with what in its main branch no
        release wrote.

    Raises:
        `OSError`: If the Hub does not answer as it should.
    """
    place = {"repo_id": name, "repo_type": kind}
    try:
        info = api.repo_info(**place)
    except RepositoryNotFoundError:
        return None
    tree = api.list_repo_tree(**place, revision=info.sha, recursive=True)
    there = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    foreign: Iterable[str] = ()
    if MANIFEST not in there or not _wrote_last(api, place, info.sha):
        foreign = find_foreign(api, place, info.sha, list(there.values()), there)
    return TakenName(kind, name, bool(info.private), tuple(foreign))


def refuse_taken(taken: Sequence[TakenName], private: bool, force: bool) -> None:
    """
    Refuse to replace what somebody else wrote, and to push what is private to where everybody sees it.

    Args:
        taken (`Sequence[TakenName]`): The repositories of a release that the Hub has.
        private (`bool`): Whether the release is for its owner alone.
        force (`bool`): Whether to replace what somebody else wrote.

    Raises:
        `ValueError`: In either case.
    """
    foreign = [each for each in taken if each.foreign]
    if foreign and not force:
        raise ValueError(
            "Nothing was pushed, since no release wrote what it would replace: "
            f"{'; '.join(map(_name_foreign, foreign))}. Move that elsewhere, or give --force."
        )
    public = [each.name for each in taken if not each.private]
    if private and public:
        raise ValueError(
            f"Nothing was pushed, since everybody can see {', '.join(public)}; make that private on the Hub first, or "
            "leave --private out."
        )


def find_foreign(
    api: HfApi, place: dict[str, str], head: str, touched: Iterable[RepoFile], there: dict[str, RepoFile]
) -> list[str]:
    """
    Those of the Hub's files that are not as a release left them.

    Args:
        api ([`~huggingface_hub.HfApi`]): The Hub.
        place (`dict[str, str]`): `repo_id` and `repo_type`.
        head (`str`): The commit.
        touched (`Iterable[RepoFile]`): Which files are asked about.
        there (`dict[str, RepoFile]`): All files of the commit by name.
    """
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


def _wrote_last(api: HfApi, place: dict[str, str], head: str) -> bool:
    """Whether the last commit says that a release made it, which a push looks at more closely once it is prepared."""
    return api.list_repo_commits(**place, revision=head)[0].title.startswith(_COMMIT)


def _name_foreign(taken: TakenName) -> str:
    named = ", ".join(taken.foreign[:3])
    more = len(taken.foreign) - 3
    return f"{taken.kind} {taken.name} ({named}{f' and {more} more' if more > 0 else ''})"
