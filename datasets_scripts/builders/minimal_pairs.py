"""The dataset of minimal pairs: every pair as text, phones, stretched and repeated phones, and audio.

shards of [`~pair_rendering.render_pairs`] -> rows as they are, with audio as FLAC bytes; one configuration a task.
"""

from pathlib import Path

import datasets
import pyarrow as pa
from datasets.table import table_cast

from ...metrics.tasks import TASKS
from ...models.audio import SAMPLE_RATE
from ..pairs.rendering import PAIR_SCHEMA, render_pairs
from .base import CITATION, VERSION, ModalityConfig, ShardBuilder

__all__ = ["FEATURES", "MinimalPairs", "render_pairs"]

# Bytes, not samples: decoding would need FFmpeg's libraries, and soundfile reads FLAC without.
_AUDIO = datasets.Audio(sampling_rate=SAMPLE_RATE, decode=False)
FEATURES = datasets.Features(
    {field.name: _AUDIO if field.name.endswith("_audio") else datasets.Value(str(field.type)) for field in PAIR_SCHEMA}
)


class MinimalPairs(ShardBuilder):
    """
    The dataset of minimal pairs: configurations `swuggy`, `sblimp` and `topic_sc`, one split `test`.

    Args:
        cache_dir (`str`, *optional*): Where prepared rows are kept.
        config_name (`str`): The task.
        data_dir (`str` or `Path`, *optional*): What [`render_pairs`] wrote to.
        kwargs (additional keyword arguments, *optional*): Other arguments of `datasets.DatasetBuilder`.
    """

    BUILDER_CONFIGS = [ModalityConfig(name=task, version=VERSION) for task in TASKS]
    DEFAULT_WRITER_BATCH_SIZE = 100
    columns = tuple(FEATURES)
    rows_at_a_time = 100

    def __init__(
        self,
        cache_dir: str | None = None,
        *,
        config_name: str | None = None,
        data_dir: str | Path | None = None,
        **kwargs,
    ):
        if config_name not in TASKS:
            raise ValueError(f"There are no minimal pairs of {config_name!r}; choose from {', '.join(TASKS)}.")
        data_dir = None if data_dir is None else str(Path(data_dir) / config_name)
        super().__init__(cache_dir, config_name=config_name, data_dir=data_dir, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=f"{TASKS[self.config.name].description} Each side as text, as ARPAbet phones (once each, "
            "stretched, and repeated once a frame) and as 16 kHz audio.",
            features=FEATURES,
            citation=CITATION,
        )

    def _rows(self, batch: pa.RecordBatch, file: str) -> pa.Table:
        return table_cast(pa.Table.from_batches([batch]), FEATURES.arrow_schema)
