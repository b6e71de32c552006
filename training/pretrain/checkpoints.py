"""Checkpoints that are whole or not there: which one to go on from.

`Trainer` and DeepSpeed write a checkpoint file by file. Once all ranks have written theirs, [`seal`] lists the files
with their sizes in a manifest, which is renamed into place last; [`newest_checkpoint`] trusts no folder without one.
"""

import re
import shutil
import sys
from pathlib import Path

from ...models.files import read_json, write_json

MANIFEST = "checkpoint.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def seal(checkpoint: Path, **facts) -> None:
    """
    Mark a checkpoint as whole.

    Args:
        checkpoint (`Path`): Its folder, to which nothing will be added.
        facts (additional keyword arguments, *optional*): What to note beside its files, such as `ranks`.
    """
    sizes = {path.relative_to(checkpoint).as_posix(): path.stat().st_size for path in _files(checkpoint)}
    write_json(checkpoint / MANIFEST, {**facts, "files": dict(sorted(sizes.items()))})


def what_is_wrong(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be used, or `None`: it was never finished, or a file is missing or cut short."""
    if not (checkpoint / MANIFEST).is_file():
        return "it was not finished"
    for name, size in read_json(checkpoint / MANIFEST)["files"].items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes instead of {size}"
    return None


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, whole or not, newest first."""
    found = [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def newest_checkpoint(folder: Path) -> Path | None:
    """
    The newest whole checkpoint of an interrupted training; newer ones that are not whole are removed.

    Args:
        folder (`Path`): Where `checkpoint-<update>` folders lie; need not exist.

    Returns:
        `Path` or `None`: The checkpoint, `None` if the training has to begin anew.
    """
    for checkpoint in list_checkpoints(folder):
        wrong = what_is_wrong(checkpoint)
        if wrong is None:
            return checkpoint
        print(f"evoslm: {checkpoint} is left out: {wrong}.", file=sys.stderr)
        shutil.rmtree(checkpoint)
    return None


def seconds_until(checkpoint: Path | None) -> float:
    """Seconds of training that a whole checkpoint is of, as it was sealed with them; 0 without one."""
    return 0.0 if checkpoint is None else read_json(checkpoint / MANIFEST).get("seconds", 0.0)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
