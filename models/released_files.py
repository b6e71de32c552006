"""Files of a release as somebody has them: are they, by their hashes, what was published?

id or folder -> `release.json`, where it is there -> [`check_released_files`] -> nothing, or one sentence with the file
that is another. A Hub's client notices a file of another length, and none of the same length with other content.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from .files import read_json_if_whole

MANIFEST = "release.json"
"""Lists the files of a branch of a release with their SHA-256."""
MADE_BY = "evoslm"
_CHUNK = 1 << 20
_OF_LOADING = ("cache_dir", "token", "local_files_only")
_checked: set[tuple[str, int, int, str]] = set()  # files that this process has found to be as they should be


class FileChanged(ValueError):
    """A file is not the one that was released."""


def hash_file(path: Path) -> str:
    """SHA-256 of a file, as the Hub names what is in LFS, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_manifest(path: Path) -> dict[str, str]:
    """
    Read a list of files.

    Args:
        path (`Path`): A `release.json`.

    Returns:
        `dict[str, str]`: SHA-256 by file; empty if no release of ours wrote it.
    """
    manifest = read_json_if_whole(path)
    if not isinstance(manifest, dict) or manifest.get("made_by") != MADE_BY:
        return {}
    return dict(manifest.get("sha256") or {})


def check_released_files(source: str | Path, revision: str | None = None, **options) -> None:
    """
    Check that the files of a model that are on this machine are those that were released, where it is of a release.

    Args:
        source (`str` or `Path`): A folder, or an id on the Hub that was loaded.
        revision (`str`, *optional*): Commit, branch or tag of an id.
        options (additional keyword arguments, *optional*): `cache_dir`, `token` and `local_files_only`, as it was
            loaded with.

    Raises:
        [`FileChanged`]: If one of them is another; the message names it.
    """
    manifest = _find_manifest(source, revision, options)
    if manifest is None:
        return
    for name, expected in read_manifest(manifest).items():
        path = manifest.parent / name
        if not path.is_file():
            continue  # nobody asked for it
        status = path.stat()
        state = (str(path.resolve()), status.st_mtime_ns, status.st_size, expected)
        if state in _checked:
            continue
        if (found := hash_file(path)) != expected:
            way_out = f"download it again, or remove {MANIFEST} there if you changed it"
            if not Path(source).is_dir():
                way_out = f"remove {manifest.parents[2]} and load it again"
            raise FileChanged(
                f"{name} of {source} is not the file that was released (SHA-256 {found[:16]}..., not "
                f"{expected[:16]}...): {way_out}."
            )
        _checked.add(state)


@contextmanager
def as_released(source: str | Path, revision: str | None = None, **options) -> Iterator[None]:
    """
    Check files after they were loaded, or where they could not be: a broken file is told as what it is.

    Args:
        source, revision, options (*optional*): As in [`check_released_files`].

    Raises:
        [`FileChanged`]: As [`check_released_files`].
    """
    try:
        yield
    except Exception:
        check_released_files(source, revision, **options)
        raise
    check_released_files(source, revision, **options)


def checking_files(from_pretrained: Callable) -> Callable:
    """
    A `from_pretrained` that checks the files of a release.

    Args:
        from_pretrained (`Callable`): A class method, bound to its class.
    """

    @wraps(from_pretrained)
    def load(cls, source, *arguments, **options):
        given = {name: options[name] for name in _OF_LOADING if name in options}
        with as_released(source, options.get("_commit_hash") or options.get("revision"), **given):
            return from_pretrained.__func__(cls, source, *arguments, **options)

    return classmethod(load)


def _find_manifest(source: str | Path, revision: str | None, options: dict) -> Path | None:
    """The list of a folder, or of an id's commit in the cache: it is asked for where it is not there yet."""
    if Path(source).is_dir():
        path = Path(source) / MANIFEST
        return path if path.is_file() else None
    from transformers.utils.hub import cached_file

    silent = (f"_raise_exceptions_for_{what}" for what in ("gated_repo", "missing_entries", "connection_errors"))
    try:
        found = cached_file(str(source), MANIFEST, revision=revision, **options, **dict.fromkeys(silent, False))
    except OSError:
        return None  # there is no such model, which whoever loads it says
    return None if found is None else Path(found)
