"""What a modality writes of an utterance, and how long it would last if only that were known.

shards of units -> [`read_written`] -> symbols with the frames of each as they were spoken; training split ->
[`mean_durations`] -> [`frames_of`], the frames that symbols alone stand for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ....models.speech_units.runs import run_starts


@dataclass(frozen=True)
class Written:
    """
    An utterance as a language model reads it.

    Args:
        id (`str`): The utterance.
        symbols (`np.ndarray` of shape `(num_symbols,)`): Units, each run of equal ones once where they are of frames.
        frames (`np.ndarray` of shape `(num_symbols,)`): How many frames each lasts.
    """

    id: str
    symbols: np.ndarray
    frames: np.ndarray


def read_written(units: Path, split: str) -> Iterator[Written]:
    """
    Read the units of a split.

    Args:
        units (`Path`): A run's shards of units, of frames or of segments.
        split (`str`): The split.

    Raises:
        `FileNotFoundError`: If there are none.
    """
    shards = sorted(units.glob(f"{split}-*.parquet"))
    if not shards:
        raise FileNotFoundError(f"There are no units of the {split} split in {units}; let `evoslm study` finish.")
    for shard in shards:
        file = pq.ParquetFile(shard)
        of_segments = "frames" in file.schema_arrow.names
        for batch in file.iter_batches(100, columns=["id", "units", *(["frames"] if of_segments else [])]):
            for row in batch.to_pylist():
                symbols = np.array(row["units"], np.int64)
                if of_segments:
                    yield Written(row["id"], symbols, np.array(row["frames"], np.int64))
                    continue
                starts = np.flatnonzero(run_starts(symbols))
                yield Written(row["id"], symbols[starts], np.diff(np.append(starts, len(symbols))))


def mean_durations(units: Path, num_units: int) -> np.ndarray:
    """
    How many frames each symbol lasts in the training split.

    Args:
        units (`Path`): A run's shards of units.
        num_units (`int`): Different units.

    Returns:
        `np.ndarray` of shape `(num_units,)`: Means; of a symbol that does not occur, the mean of all.
    """
    frames, count = np.zeros(num_units), np.zeros(num_units)
    for written in read_written(units, "train"):
        np.add.at(frames, written.symbols, written.frames)
        np.add.at(count, written.symbols, 1)
    return np.where(count > 0, frames / count.clip(1), frames.sum() / count.sum())


def expected_frames(symbols: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """
    How many frames each symbol gets where nobody says how long it lasts: at least one, and so many that the whole is
    as long as the means add up to.

    Args:
        symbols (`np.ndarray` of shape `(num_symbols,)`): Units.
        durations (`np.ndarray` of shape `(num_units,)`): As [`mean_durations`] gives them.

    Returns:
        `np.ndarray` of shape `(num_symbols,)`: Whole numbers.
    """
    ends = np.round(np.cumsum(durations[symbols])).astype(np.int64)
    return np.diff(ends, prepend=0).clip(1)


def frames_of(symbols: np.ndarray, frames: np.ndarray, parts: int) -> np.ndarray:
    """
    The row of a vocoder's table that each frame is of: symbol * parts + the part of the symbol that it is in.

    Args:
        symbols (`np.ndarray` of shape `(num_symbols,)`): Units.
        frames (`np.ndarray` of shape `(num_symbols,)`): How many frames each lasts.
        parts (`int`): How many parts a symbol has in time.

    Returns:
        `np.ndarray` of shape `(sum(frames),)`
    """
    starts = np.repeat(np.cumsum(frames) - frames, frames)
    place = np.arange(frames.sum()) - starts
    return np.repeat(symbols, frames) * parts + place * parts // np.repeat(frames, frames)
