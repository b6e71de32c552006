"""What a release wrote: a list of files with their hashes in every branch, by which it knows its own again.

prepared folder -> [`write_manifest`] -> `release.json` in it -> pushed with the rest. What is on the Hub and stands
neither in that list nor in what is pushed was written by somebody else.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ...models.files import read_json_if_whole, write_json
from .repository import ReleaseRepository

MANIFEST = "release.json"
_MADE_BY = "evoslm"
_CHUNK = 1 << 20


def write_manifest(folder: Path) -> None:
    """
    List the files of a prepared folder in `release.json`, each with its SHA-256.

    Args:
        folder (`Path`): What one branch of a repository will hold.
    """
    hashes = {name: hash_file(folder / name) for name in list_files(folder) if name != MANIFEST}
    write_json(folder / MANIFEST, {"made_by": _MADE_BY, "sha256": hashes})


def write_manifests(repositories: Iterable[ReleaseRepository]) -> None:
    """
    List the files of every branch, as the last step of preparing a release.

    Args:
        repositories (`Iterable[ReleaseRepository]`): What was prepared.
    """
    for repository in repositories:
        for _, folder in repository.branches:
            write_manifest(folder)


def read_manifest(path: Path) -> dict[str, str]:
    """
    Read a list of files.

    Args:
        path (`Path`): A `release.json`.

    Returns:
        `dict[str, str]`: SHA-256 by file; empty if no release of ours wrote it.
    """
    manifest = read_json_if_whole(path)
    if not isinstance(manifest, dict) or manifest.get("made_by") != _MADE_BY:
        return {}
    return dict(manifest.get("sha256") or {})


def list_files(folder: Path) -> list[str]:
    """The names of all files of a folder and of those in it, relative to it, in order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def hash_file(path: Path) -> str:
    """SHA-256 of a file, as the Hub names what is in LFS, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def hash_blob(path: Path) -> str:
    """SHA-1 of a file as git and the Hub name what is not in LFS, in hexadecimal digits."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
