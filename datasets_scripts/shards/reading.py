"""Shards as builders find them: whole sets of `{split}-{number}-of-{count}.parquet`, which `writing.py` makes.

folder -> [`find_shards`] -> files by split, checked -> a builder. [`fingerprint_shards`] tells whether a folder is
still what it was when it was last read.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from ..text.passages import SPLITS

Row = TypeVar("Row")

_COUNTED_NAME = re.compile(r"-(\d+)-of-(\d+)\.parquet$")


class ReadAnew(Generic[Row]):
    """
    Rows that are read from the disk whenever they are gone through, and kept by nobody.

    Args:
        read (`Callable[[], Iterator]`): Begins to read them.
    """

    def __init__(self, read: Callable[[], Iterator[Row]]):
        self._read = read

    def __iter__(self) -> Iterator[Row]:
        return self._read()


def find_shards(folder: str | Path, columns: Sequence[str] = ()) -> dict[str, list[str]]:
    """
    List the shards of a folder by split, and check that none is missing, broken or short of a column.

    Args:
        folder (`str` or `Path`): Where the shards lie.
        columns (`Sequence[str]`, *optional*): Columns that every shard must have.

    Returns:
        `dict[str, list[str]]`: For each split that the folder has, its files in order.

    Raises:
        `FileNotFoundError`: If there is no such folder, or no shard in it, or a set of shards has a gap.
        `ValueError`: If a file is broken, lacks a column or belongs to another set, or a split has no rows.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; give the one that holds the shards as data_dir.")
    shards = {split: sorted(folder.glob(f"{split}-*.parquet")) for split in SPLITS}
    shards = {split: files for split, files in shards.items() if files}
    if not shards:
        raise FileNotFoundError(f"There are no shards (train-*.parquet, ...) in {folder}; make them first.")
    for split, files in shards.items():
        _check_set(files)
        if not sum(_check_file(file, columns) for file in files):
            raise ValueError(f"The shards {split}-*.parquet in {folder} have no rows; make them again or delete them.")
    return {split: [str(file) for file in files] for split, files in shards.items()}


def fingerprint_shards(folder: str | Path) -> str:
    """
    Name the state of a folder of shards: names, sizes and times of change of its files.

    Args:
        folder (`str` or `Path`): Where the shards lie.

    Returns:
        `str`: 16 hexadecimal digits, others as soon as a shard is written again.
    """
    files = sorted(file for split in SPLITS for file in Path(folder).glob(f"{split}-*.parquet"))
    state = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def _check_set(files: list[Path]) -> None:
    counted = [(file, *map(int, found.groups())) for file in files if (found := _COUNTED_NAME.search(file.name))]
    if len({count for _, _, count in counted}) > 1:
        raise ValueError(
            f"{counted[0][0].name} and {counted[-1][0].name} in {files[0].parent} are of two sets of shards; delete "
            "those of the older one."
        )
    if counted and (missing := sorted(set(range(counted[0][2])) - {number for _, number, _ in counted})):
        raise FileNotFoundError(
            f"Shard {missing[0]} of {counted[0][2]} is missing beside {counted[0][0]}; finish making the shards first."
        )


def _check_file(file: Path, columns: Sequence[str]) -> int:
    """Count the rows of a shard that is whole and has all columns."""
    try:
        metadata = pq.read_metadata(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{file} is not a whole parquet file; delete it and make it again.") from error
    present = metadata.schema.to_arrow_schema().names
    for column in columns:
        if column not in present:
            raise ValueError(f"{file} has no column {column!r}, only {', '.join(present)}; give another data_dir.")
    return metadata.num_rows
