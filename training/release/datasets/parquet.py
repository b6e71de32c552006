"""Rows as parquet files that the Hub's clients and its viewer read without code, and what a card says of them.

shards or tables -> [`write_split`] -> `<configuration>/<split>-00000-of-00002.parquet` -> [`Configuration`], whose
features, sizes and files stand in the card.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.info import DatasetInfosDict
from datasets.table import table_cast
from huggingface_hub import DatasetCardData

from ....datasets_scripts.shards.columns import column_options

FILE_BYTES = 256 << 20
"""About how large a file may become: a stream begins with one, and viewers read it whole."""
ROWS = 100  # in a row group: with audio, some megabytes

Tables = Iterable[pa.Table]


@dataclass
class Configuration:
    """
    One configuration of a dataset, as it was written.

    Args:
        name (`str`): Its name, and its folder.
        description (`str`): What it is, in a sentence.
        features ([`~datasets.Features`]): Its columns.
        splits (`dict[str, tuple[int, int]]`): Rows, and bytes in memory, of each split.
        file_bytes (`int`): Bytes of its files.
    """

    name: str
    description: str
    features: datasets.Features
    splits: dict[str, tuple[int, int]] = field(default_factory=dict)
    file_bytes: int = 0

    @property
    def rows(self) -> int:
        """Of all splits."""
        return sum(rows for rows, _ in self.splits.values())

    def info(self) -> datasets.DatasetInfo:
        """As `datasets` writes it into cards."""
        splits = datasets.SplitDict()
        for split, (rows, size) in self.splits.items():
            splits.add(datasets.SplitInfo(split, num_bytes=size, num_examples=rows))
        size = sum(size for _, size in self.splits.values())
        return datasets.DatasetInfo(
            features=self.features, splits=splits, download_size=self.file_bytes, dataset_size=size
        )

    def data_files(self) -> dict[str, Any]:
        """Its entry below `configs:`."""
        files = [{"split": split, "path": f"{self.name}/{split}-*"} for split in self.splits]
        return {"config_name": self.name, "data_files": files}


def write_split(folder: Path, configuration: Configuration, split: str, parts: Sequence[tuple[int, Tables]]) -> None:
    """
    Write one split of a configuration, and note its size.

    Args:
        folder (`Path`): The repository's folder.
        configuration ([`Configuration`]): Which.
        split (`str`): Which.
        parts (`Sequence[tuple[int, Iterable[pa.Table]]]`): What it consists of, in order, each with about how many
            bytes it has: files are cut between them.
    """
    target = folder / configuration.name
    target.mkdir(parents=True, exist_ok=True)
    files, rows, size = _group(parts), 0, 0
    schema = configuration.features.arrow_schema
    for number, tables in enumerate(files):
        path = target / f"{split}-{number:05d}-of-{len(files):05d}.parquet"
        # An index finds rows in a file that is streamed.
        with pq.ParquetWriter(path, schema, **column_options(schema), write_page_index=True) as writer:
            for table in tables:
                table = table_cast(table, schema)
                writer.write_table(table, row_group_size=ROWS)
                rows, size = rows + len(table), size + table.nbytes
        configuration.file_bytes += path.stat().st_size
    configuration.splits[split] = (rows, size)


def read_shards(files: Iterable[str | Path]) -> list[tuple[int, Tables]]:
    """The rows of shards, a few at a time, as parts of a split."""
    return [(Path(file).stat().st_size, _Shard(Path(file))) for file in files]


def card_metadata(configurations: Sequence[Configuration], default: bool = False) -> dict[str, Any]:
    """
    What the head of a card says of configurations.

    Args:
        configurations (`Sequence[Configuration]`): All of the dataset.
        default (`bool`, *optional*, defaults to `False`): Whether the first is taken where none is asked for.
    """
    data = DatasetCardData()
    DatasetInfosDict({each.name: each.info() for each in configurations}).to_dataset_card_data(data)
    configs = [each.data_files() for each in configurations]
    if default:
        configs[0]["default"] = True
    rows = sum(each.rows for each in configurations)
    return {"configs": configs, "dataset_info": data["dataset_info"], "size_categories": [_size_category(rows)]}


class _Shard:
    """The rows of a shard, read anew whenever they are gone through."""

    def __init__(self, path: Path):
        self._path = path

    def __iter__(self) -> Iterator[pa.Table]:
        with pq.ParquetFile(self._path) as shard:
            for batch in shard.iter_batches(batch_size=ROWS):
                yield pa.Table.from_batches([batch]).replace_schema_metadata()


def _group(parts: Sequence[tuple[int, Tables]]) -> list[Tables]:
    """Parts that lie beside one another, put together up to the size of a file."""
    groups: list[list[Tables]] = []
    size = 0
    for part_size, tables in parts:
        if not groups or size + part_size > FILE_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(tables)
        size += part_size
    return [(table for tables in group for table in tables) for group in groups]


def _size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    bounds = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")]
    return next((word for bound, word in bounds if rows < bound), "10M<n<100M")
