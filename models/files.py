"""Files that are written whole or not at all.

what is to be written -> [`written_whole`], a name beside the file -> renamed when whole -> the file, or what was there
before it. A kill leaves at most a file under a name of its own, which [`remove_partial`] clears away.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4


@contextmanager
def written_whole(path: str | Path, durable: bool = False) -> Iterator[Path]:
    """
    Write a file under another name in the same folder, and give it its own when the block ends without an error.

    Args:
        path (`str` or `Path`): The file; it is replaced if it is there. Its folder must exist.
        durable (`bool`, *optional*, defaults to `False`): Whether what was written is on the disk before the file gets
            its name, so that a machine that loses power leaves no half of one either.

    Yields:
        `Path`: Where to write. It is gone after an error.

    Raises:
        `OSError`: If the file cannot be written.
    """
    path = Path(path)
    # Not the process's number: processes of several machines that write into one folder may have the same.
    partial = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        yield partial
        if durable:
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_partial(folder: str | Path, name: str = "*") -> None:
    """
    Remove what kills have left of files that were being written; not while others write them.

    Args:
        folder (`str` or `Path`): The folder of the files.
        name (`str`, *optional*, defaults to `"*"`): The name of the file, or a pattern of names.

    Raises:
        `OSError`: If a file cannot be removed.
    """
    for partial in Path(folder).glob(f".{name}.*.tmp"):
        partial.unlink(missing_ok=True)


def read_json(path: str | Path) -> Any:
    """Read a JSON file that [`write_json`] wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file so that a kill leaves the old file or the new one, never half of one."""
    with written_whole(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_json_lines(path: str | Path, values: Iterable[Any]) -> None:
    """Write a file of JSON values, one a line, whole or not at all."""
    with written_whole(path) as partial:
        lines = (json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        partial.write_text("".join(lines), encoding="utf-8")


def read_json_lines(path: str | Path) -> list[Any]:
    """The JSON values of a file, one a line; a U+2028 in one of them ends no line, as it would for `splitlines`."""
    with Path(path).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_json_if_whole(path: Path) -> dict[str, Any] | None:
    """A JSON file's value, or `None` if it is missing or was cut off."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
