"""How many phones have no frame in Phone-Repeat, where an encoder's frames are longer than phones can be.

shards of the training split -> frames of each phone (`frames.py`) -> [`count_lost_phones`] -> two numbers, which the
report shows.
"""

from pathlib import Path

import pyarrow.parquet as pq

from ..shards.reading import find_shards
from .frames import frame_counts, num_frames


def count_lost_phones(data_dir: str | Path, frame_samples: float) -> dict[str, int]:
    """
    Count the phones of the training split, and those of them that have no frame.

    Args:
        data_dir (`str` or `Path`): The folder of utterance shards.
        frame_samples (`float`): Samples from one frame of the encoder to the next.

    Returns:
        `dict[str, int]`: `train_phones` and `train_phones_lost`.
    """
    phones = lost = 0
    for file in find_shards(data_dir, ("phones", "duration")).get("train", []):
        with pq.ParquetFile(file) as shard:
            for batch in shard.iter_batches(batch_size=1000, columns=["phones", "duration"]):
                for row in batch.to_pylist():
                    ends = [phone["end"] for phone in row["phones"]]
                    counts = frame_counts(ends, num_frames(row["duration"], frame_samples), frame_samples)
                    phones += len(counts)
                    lost += int((counts == 0).sum())
    return {"train_phones": phones, "train_phones_lost": lost}
