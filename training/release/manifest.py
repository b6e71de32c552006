"""What a release wrote: a list of files with their hashes in every branch, by which it knows its own again.

prepared folder -> [`write_manifest`] -> `release.json` in it -> pushed with the rest. What is on the Hub and stands
neither in that list nor in what is pushed was written by somebody else.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ...models.files import write_json
from ...models.released_files import MADE_BY, MANIFEST, hash_file
from .repository import ReleaseRepository

_CHUNK = 1 << 20


def write_manifest(folder: Path) -> None:
    """
    List the files of a prepared folder in `release.json`, each with its SHA-256.

    Args:
        folder (`Path`): What one branch of a repository will hold.
    """
    hashes = {name: hash_file(folder / name) for name in list_files(folder) if name != MANIFEST}
    write_json(folder / MANIFEST, {"made_by": MADE_BY, "sha256": hashes})


def write_manifests(repositories: Iterable[ReleaseRepository]) -> None:
    """
    List the files of every branch, as the last step of preparing a release.

    Args:
        repositories (`Iterable[ReleaseRepository]`): What was prepared.
    """
    for repository in repositories:
        for _, folder in repository.branches:
            write_manifest(folder)


def list_files(folder: Path) -> list[str]:
    """The names of all files of a folder and of those in it, relative to it, in order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def hash_blob(path: Path) -> str:
    """SHA-1 of a file as git and the Hub name what is not in LFS, in hexadecimal digits."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
