"""Parquet shards that a kill cannot spoil, made in parallel.

items -> a fixed number a shard, split by split -> [`build_shards`] -> `train-00000-of-00012.parquet`, `skipped.jsonl`.
A shard is written under a temporary name and renamed when whole. Its footer says what it was made of and what was
skipped: a run that was killed goes on where it stopped, and ends with the same files with any number of processes.
"""

import errno
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ...models.files import remove_partial, write_json_lines, written_whole
from .columns import column_options
from .footers import read_footer, with_footer
from .worker_pool import run_tasks

SHARD_SIZE = 128
_ROW_GROUP_SIZE = 32


class _Task(NamedTuple):
    """What a worker needs to make one shard."""

    path: Path
    items: list
    make_rows: Callable[[Any, dict], list[dict]]
    settings: dict
    schema: pa.Schema


def build_shards(
    items: Iterable[Any],
    split_of: Callable[[Any], str],
    make_rows: Callable[[Any, dict], list[dict]],
    settings: dict,
    schema: pa.Schema,
    output_dir: str | Path,
    num_proc: int = 1,
    shard_size: int = SHARD_SIZE,
    max_skipped_fraction: float = 0.05,
    progress: bool = True,
) -> list[dict]:
    """
    Make every shard that is not there yet.

    Args:
        items (`Iterable`):
            What rows are made of: dataclasses with an `id`. They are gone through twice and never held all at once,
            unless `items` is an iterator.
        split_of (`Callable[[Any], str]`):
            Names the split of an item.
        make_rows (`Callable[[Any, dict], list[dict]]`):
            Turns an item and `settings` into rows. Where it raises `ValueError`, the item is skipped for that reason.
            It is sent to other processes, so it must be a function of a module, or a `functools.partial` of one whose
            arguments say where things lie: they are no part of what a shard is made of.
        settings (`dict`):
            What the rows depend on besides the items; JSON values.
        schema (`pa.Schema`):
            Schema of the rows. Binary columns are stored as they are, the others compressed.
        output_dir (`str` or `Path`):
            Where the shards go.
        num_proc (`int`, *optional*, defaults to 1):
            How many processes work; with 1 it is the calling one.
        shard_size (`int`, *optional*, defaults to 128):
            Items a shard.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05):
            The largest share of the items that may be skipped.
        progress (`bool`, *optional*, defaults to `True`):
            Whether to show a progress bar.

    Returns:
        `list[dict]`: `file`, number of `items` and `rows`, and `skipped` (a list of `id` and `reason`) of each shard.
        What was skipped is also in `skipped.jsonl`, beside the shards.

    Raises:
        `ValueError`: If too many items were skipped, or the folder holds shards of other items or settings.
        `OSError`: If the folder cannot be written or the disk is full.
    """
    from tqdm import tqdm

    folder = Path(output_dir)
    if iter(items) is items:
        items = list(items)
    sizes = Counter(map(split_of, items))
    _prepare(folder, {name for split in sizes for name in _names(split, sizes[split], shard_size)})
    tasks = (
        _Task(folder / name, part, make_rows, settings, schema)
        for name, part in _cut(items, split_of, sizes, shard_size)
    )
    results: list[dict] = []
    skipped: list[dict] = []
    with tqdm(total=sizes.total(), unit="item", desc=folder.name, disable=not progress) as bar:
        for result in run_tasks(_make_shard, tasks, num_proc):
            results.append(result)
            skipped += result["skipped"]
            bar.update(result["items"])
            if len(skipped) > max_skipped_fraction * sizes.total():
                raise ValueError(
                    f"{len(skipped)} of {sizes.total()} items were skipped, more than max_skipped_fraction="
                    f"{max_skipped_fraction} allows; {skipped[0]['id']}, for instance: {skipped[0]['reason']}"
                )
    results.sort(key=lambda result: result["file"])
    write_json_lines(folder / "skipped.jsonl", [skip for result in results for skip in result["skipped"]])
    return results


def _names(split: str, size: int, shard_size: int) -> list[str]:
    count = -(-size // shard_size)
    return [f"{split}-{i:05d}-of-{count:05d}.parquet" for i in range(count)]


def _cut(
    items: Iterable[Any], split_of: Callable[[Any], str], sizes: Counter, shard_size: int
) -> Iterator[tuple[str, list]]:
    """Name and items of each shard; only the items of one shard a split are held."""
    names = {split: _names(split, size, shard_size) for split, size in sizes.items()}
    parts: dict[str, list] = {split: [] for split in sizes}
    done: Counter = Counter()
    for item in items:
        split = split_of(item)
        parts[split].append(item)
        if len(parts[split]) == min(shard_size, sizes[split] - done[split] * shard_size):
            yield names[split][done[split]], parts[split]
            parts[split] = []
            done[split] += 1


def _prepare(folder: Path, names: set[str]) -> None:
    """Make the folder, clear what a kill left in it, and refuse shards that are not of these items."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_partial(folder, "*.parquet")
    except OSError as error:
        raise OSError(f"The output folder {folder} cannot be written ({error.strerror}); choose another.") from error
    for path in sorted(folder.glob("*.parquet")):
        if path.name not in names:
            raise ValueError(f"{folder} holds {path.name}, which is not of these items; choose an empty folder.")


def _make_shard(task: _Task) -> dict:
    """Make one shard, or find it whole, and return what its footer says."""
    fingerprint = _fingerprint(task)
    summary = read_footer(task.path)
    if summary is not None:
        if summary.get("fingerprint") != fingerprint:
            raise ValueError(
                f"{task.path} was made of other items or settings; choose another folder or remove this one."
            )
        return summary
    rows: list[dict] = []
    skipped: list[dict] = []
    for item in task.items:
        try:
            rows += task.make_rows(item, task.settings)
        except ValueError as error:
            skipped.append({"id": item.id, "reason": str(error)})
    summary = {
        "file": task.path.name,
        "items": len(task.items),
        "rows": len(rows),
        "skipped": skipped,
        "fingerprint": fingerprint,
    }
    _write(task.path, pa.Table.from_pylist(rows, schema=task.schema), summary)
    return summary


def _fingerprint(task: _Task) -> str:
    make_rows = getattr(task.make_rows, "func", task.make_rows)
    made_by = f"{make_rows.__module__}.{make_rows.__qualname__}"
    parts = [made_by, json.dumps(task.settings, sort_keys=True), str(task.schema), *map(repr, task.items)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _write(path: Path, table: pa.Table, summary: dict) -> None:
    try:
        with written_whole(path, durable=True) as partial:
            pq.write_table(
                with_footer(table, summary),
                partial,
                row_group_size=_ROW_GROUP_SIZE,
                **column_options(table.schema),
            )
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                f"The disk of {path.parent} is full; make room and start again to go on from here."
            ) from error
        raise OSError(f"{path} cannot be written ({error.strerror or error}).") from error
