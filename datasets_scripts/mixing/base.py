"""What the builders of joint sequences share: utterance shards and the shards of their units, read side by side.

columns `id` and `words` of one folder, `id` and `units` of the other -> [`JointUtterance`] -> one content a row.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.builder import Key

from ...models.audio import FRAME_RATE
from ..builders.base import UNITS_CITATION, ModalityBuilder, ModalityConfig, ShardError
from ..shards.reading import find_shards, fingerprint_shards
from .mixture import draws_of
from .sequences import JointUtterance, make_joint_utterance

# Draws of an alignment's errors: the same in all epochs, and none of those of an epoch.
_JITTER = 2**32 - 1


@dataclass
class JointConfig(ModalityConfig):
    """
    How speech and text are put together.

    Args:
        units_dir (`str`, *optional*): The folder of the shards of units, of the same rows as those in `data_dir`.
        frame_rate (`float`, *optional*, defaults to 50): Frames a second.
        collapse (`bool`, *optional*, defaults to `True`): Whether a run of equal units is written once.
        epoch (`int`, *optional*, defaults to 0): Which of the draws: a training draws anew in each of its epochs.
        seed (`int`, *optional*, defaults to 0): Seed of all draws.
        alignment_jitter (`float`, *optional*, defaults to 0): How many frames a bound between words is moved at most.
    """

    units_dir: str | None = None
    frame_rate: float = FRAME_RATE
    collapse: bool = True
    epoch: int = 0
    seed: int = 0
    alignment_jitter: float = 0.0


def read_side_by_side(
    utterance_file: str | Path, unit_file: str | Path, rows_at_a_time: int = 1000
) -> Iterator[pa.RecordBatch]:
    """
    Read a shard of utterances and that of their units.

    Args:
        utterance_file (`str` or `Path`): A shard with `id` and `words`.
        unit_file (`str` or `Path`): A shard with `id` and `units` of the same rows.
        rows_at_a_time (`int`, *optional*, defaults to 1000): Rows that are held in memory.

    Returns:
        `Iterator[pa.RecordBatch]`: `id`, `words` and `units`.

    Raises:
        `ShardError`: If the rows are not the same.
    """
    with pq.ParquetFile(utterance_file) as utterances, pq.ParquetFile(unit_file) as units:
        of_utterances = utterances.iter_batches(batch_size=rows_at_a_time, columns=["id", "words"])
        of_units = units.iter_batches(batch_size=rows_at_a_time, columns=["id", "units"])
        for rows, own in zip_longest(of_utterances, of_units):
            if rows is None or own is None or not rows["id"].equals(own["id"]):
                raise ShardError(f"{unit_file} has other rows than {utterance_file}; make the units again.")
            yield pa.RecordBatch.from_arrays([rows["id"], rows["words"], own["units"]], ["id", "words", "units"])


def joint_utterances(batch: pa.RecordBatch, config: JointConfig) -> Iterator[tuple[str, JointUtterance]]:
    """
    Put the words and units of rows together.

    Args:
        batch (`pa.RecordBatch`): `id`, `words` and `units`.
        config ([`JointConfig`]): How they are put together.

    Returns:
        `Iterator[tuple[str, JointUtterance]]`: Ids and utterances in their order.

    Raises:
        `ValueError`: If a row has no units, no words or a word without times; the message names it.
    """
    for row in batch.to_pylist():
        words, units = row["words"] or [], row["units"] or []
        options = config.frame_rate, config.collapse, config.alignment_jitter
        try:
            utterance = make_joint_utterance(words, units, *options, draws_of(row["id"], config.seed, _JITTER))
        except ValueError as error:
            raise ValueError(f"utterance {row['id']}: {error}.") from error
        yield row["id"], utterance


class JointBuilder(ModalityBuilder):
    """
    A builder of sequences that have speech and text: `id` and `content`, for [`train_joint`]'s tokenizer.

    Args:
        cache_dir (`str`, *optional*): Where prepared rows are kept.
        data_dir (`str` or `Path`, *optional*): The folder of utterance shards.
        units_dir (`str` or `Path`): The folder of the shards of their units.
        kwargs (additional keyword arguments, *optional*): Arguments of the configuration and the others of
            `datasets.DatasetBuilder`.
    """

    BUILDER_CONFIG_CLASS = JointConfig
    columns = ("id", "words", "units")
    citation: ClassVar[str] = UNITS_CITATION

    def __init__(
        self, cache_dir: str | None = None, *, data_dir: str | None = None, units_dir: str | None = None, **kwargs
    ):
        if data_dir is not None and units_dir is not None:
            kwargs.setdefault("hash", fingerprint_shards(data_dir) + fingerprint_shards(units_dir))
        units_dir = None if units_dir is None else str(units_dir)
        super().__init__(cache_dir, data_dir=data_dir, units_dir=units_dir, **kwargs)

    @abstractmethod
    def write(self, utterance: JointUtterance, rng: np.random.Generator) -> str:
        """
        Write the sequence of an utterance.

        Args:
            utterance ([`JointUtterance`]): What is said.
            rng (`np.random.Generator`): Draws.
        """

    def contents(self, batch: pa.RecordBatch) -> pa.Array:
        """The sequence of each row, written by [`~JointBuilder.write`]."""
        seed, epoch = self.config.seed, self.config.epoch
        rows = joint_utterances(batch, self.config)
        return pa.array([self.write(utterance, draws_of(name, seed, epoch)) for name, utterance in rows], pa.string())

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        if self.config.data_dir is not None and self.config.units_dir is None:
            raise ValueError(f"{self.config.name} needs units_dir, the folder that holds the units (train-*.parquet).")
        return super()._split_generators(dl_manager)

    def _find_shards(self) -> dict[str, list[str]]:
        files = find_shards(self.config.data_dir, ("id", "words"))
        units = find_shards(self.config.units_dir, ("id", "units"))
        names = {split: [Path(file).name for file in own] for split, own in files.items()}
        if names != {split: [Path(file).name for file in own] for split, own in units.items()}:
            raise ValueError(
                f"{self.config.units_dir} has not the shards that {self.config.data_dir} has; make the units again."
            )
        return files

    def _generate_tables(self, files: list[str]) -> Iterator[tuple[Key, pa.Table]]:
        for file_index, file in enumerate(files):
            unit_file = Path(self.config.units_dir) / Path(file).name
            for batch_index, batch in enumerate(read_side_by_side(file, unit_file, self.rows_at_a_time)):
                yield Key(file_index, batch_index), self._rows(batch, file)
