"""Phone-Stretch: each phone repeated the same number of times, so that it has the length of speech but no durations.

utterance shards -> column `phones` -> each phone `stretch_factor` times -> content. Between Phone-Raw and Phone-Repeat
it splits the paper's factor B into length and duration.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...models.audio import FRAME_SAMPLES
from ..phones.frames import num_frames, stretch_factor
from ..shards.reading import find_shards
from .base import ModalityBuilder, ModalityConfig, conditions, join_symbols, list_lengths


@dataclass
class PhoneStretchConfig(ModalityConfig):
    """
    One condition of Phone-Stretch.

    Args:
        stretch_factor (`int`, *optional*): How often each phone is written. By default the builder measures it, see
            [`measure_stretch_factor`].
    """

    stretch_factor: int | None = None


class PhoneStretch(ModalityBuilder):
    """The dataset of Phone-Stretch. Its factor is in `builder.config.stretch_factor`."""

    BUILDER_CONFIG_CLASS = PhoneStretchConfig
    BUILDER_CONFIGS = conditions("phone_stretch", config=PhoneStretchConfig)
    columns = ("id", "phones")
    summary = "The ARPAbet phones of each utterance, each written the same number of times whatever its duration."

    def __init__(self, cache_dir: str | None = None, *, data_dir: str | None = None, **kwargs):
        # Before the rest, because the name of the prepared rows' folder depends on it.
        if data_dir is not None and kwargs.get("stretch_factor") is None:
            kwargs["stretch_factor"] = measure_stretch_factor(data_dir)
        super().__init__(cache_dir, data_dir=data_dir, **kwargs)
        if self.config.stretch_factor is not None and self.config.stretch_factor < 1:
            raise ValueError(f"stretch_factor has to be 1 or more, not {self.config.stretch_factor}.")

    def contents(self, batch: pa.RecordBatch) -> pa.Array:
        """Each phone `stretch_factor` times."""
        phones = batch["phones"]
        symbols, factor = phones.flatten().field("phone"), self.config.stretch_factor
        return join_symbols(symbols.take(np.repeat(np.arange(len(symbols)), factor)), list_lengths(phones) * factor)


def measure_stretch_factor(
    data_dir: str | Path, frame_samples: int = FRAME_SAMPLES, window_samples: int = FRAME_SAMPLES
) -> int:
    """
    Measure how often Phone-Stretch has to write each phone to be as long as Phone-Repeat on the training split.

    Args:
        data_dir (`str` or `Path`): The folder of utterance shards.
        frame_samples (`int`, *optional*, defaults to 320): Samples from one frame to the next.
        window_samples (`int`, *optional*, defaults to 320): Samples that one frame sees.

    Returns:
        `int`: Training frames by training phones, rounded.

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
        durations = table["duration"].to_pylist()
        frames += sum(num_frames(duration, frame_samples, window_samples) for duration in durations)
        phones += pc.sum(pc.list_value_length(table["phones"])).as_py() or 0
    if phones == 0:
        raise ValueError(f"The utterances in {data_dir} have no phones; align them first.")
    return stretch_factor(frames, phones)
