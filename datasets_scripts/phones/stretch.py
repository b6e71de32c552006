"""How often Phone-Stretch repeats each phone: as often as makes it as long as Phone-Repeat on the whole.

shards of the training split -> [`measure_stretch_factor`] -> one factor for a corpus -> [`stretch_content`].
"""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...models.audio import FRAME_SAMPLES
from ..shards.reading import find_shards
from .frames import num_frames


def measure_stretch_factor(data_dir: str | Path, frame_samples: float = FRAME_SAMPLES) -> int:
    """
    Measure how often Phone-Stretch has to write each phone to be as long as Phone-Repeat on the training split.

    Args:
        data_dir (`str` or `Path`): The folder of utterance shards.
        frame_samples (`float`, *optional*, defaults to 320): Samples from one frame of the encoder to the next.

    Returns:
        `int`: Training frames by training phones, rounded, and at least 1.

    Raises:
        `FileNotFoundError`: If there are no shards of the training split.
        `ValueError`: If they hold no phones.
    """
    shards = find_shards(data_dir, ("phones", "duration"))
    if "train" not in shards:
        raise FileNotFoundError(f"There is no train-*.parquet in {data_dir} to measure the stretch factor on.")
    frames = phones = 0
    for file in shards["train"]:
        table = pq.read_table(file, columns=["phones", "duration"])
        frames += sum(num_frames(duration, frame_samples) for duration in table["duration"].to_pylist())
        phones += pc.sum(pc.list_value_length(table["phones"])).as_py() or 0
    if phones == 0:
        raise ValueError(f"The utterances in {data_dir} have no phones; align them first.")
    return max(1, round(frames / phones))


def stretch_content(content: str, factor: int) -> str:
    """
    The content of Phone-Stretch: each phone `factor` times, whatever its duration.

    Args:
        content (`str`): The content of Phone-Raw: each phone once.
        factor (`int`): At least 1, the same for a whole corpus, see [`measure_stretch_factor`].
    """
    return " ".join(phone for phone in content.split() for _ in range(factor))
