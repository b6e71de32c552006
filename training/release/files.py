"""Which files may be published, and what they may not say: kinds on a list, and no place of the user's machine.

a run's files -> [`without_places`], which keeps of a place its name alone -> a prepared folder -> [`check_prepared`].
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...models.files import read_json, write_json
from ..run.places import without_places
from .private_places import PrivatePlaces
from .repository import ReleaseRepository

ALLOWED_SUFFIXES = (".safetensors", ".json", ".jsonl", ".yaml", ".parquet", ".md", ".txt", ".py", ".png", ".svg")
ALLOWED_SUFFIXES += (".html", ".css", ".js", ".flac", ".wav", ".whl")
"""Kinds of files that may be published: none that is unpickled, and no state of an optimizer."""
ALLOWED_NAMES = (".gitattributes", "LICENSE")

_OPTIMIZER = re.compile(r"optim|scheduler|rng_state|scaler|training_args|trainer_state")


def copy_json(source: Path, target: Path, changes: dict[str, Any] | None = None) -> None:
    """
    Copy a JSON file without the places in it.

    Args:
        source (`Path`): The file of the run.
        target (`Path`): Where to.
        changes (`dict[str, Any]`, *optional*): Keys that it gets on top.
    """
    write_json(target, without_places(read_json(source)) | (changes or {}))


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes, readable by others whatever the run's are."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def check_prepared(repositories: Iterable[ReleaseRepository], run: Path) -> None:
    """
    Check every file that would be pushed.

    Args:
        repositories (`Iterable[ReleaseRepository]`): What was prepared.
        run (`Path`): The run's folder.

    Raises:
        `ValueError`: If a file is of a kind that is not published, or names a place of this machine.
    """
    private = PrivatePlaces(run)
    for repository in repositories:
        for path in repository.files():
            if not is_allowed(path):
                raise ValueError(f"{path} is of a kind that is not published; remove it and release again.")
            if found := private.find(path):
                place, where = found
                raise ValueError(
                    f"{path} names a folder of this machine, {place!r}{where and f' ({where})'}, and is not published "
                    "so; write it without and release again."
                )


def is_allowed(path: Path) -> bool:
    """Whether a file is of a kind that is published."""
    if path.is_symlink() or _OPTIMIZER.search(path.name):
        return False
    return path.name in ALLOWED_NAMES or path.suffix in ALLOWED_SUFFIXES
