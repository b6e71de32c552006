"""The dataset of minimal pairs: every pair as text, phones, stretched and repeated phones, and audio.

shards of [`render_pairs`], a folder a task -> rows as they are, with audio as FLAC bytes; a configuration a task, and
one of all tasks.
"""

import hashlib
from pathlib import Path

import datasets
import pyarrow as pa
from datasets.table import table_cast

from ...metrics.tasks import TASKS
from ...models.audio import SAMPLE_RATE
from ..pairs.rendering import PAIR_SCHEMA, render_pairs
from ..shards.reading import find_shards, fingerprint_shards
from .base import CITATION, VERSION, ModalityConfig, ShardBuilder

__all__ = ["ALL_TASKS", "FEATURES", "MinimalPairs", "render_pairs"]

ALL_TASKS = "minimal_pairs"

# Bytes, not samples: decoding would need FFmpeg's libraries, and soundfile reads FLAC without.
_AUDIO = datasets.Audio(sampling_rate=SAMPLE_RATE, decode=False)
FEATURES = datasets.Features(
    {field.name: _AUDIO if field.name.endswith("_audio") else datasets.Value(str(field.type)) for field in PAIR_SCHEMA}
)


class MinimalPairs(ShardBuilder):
    """
    The dataset of minimal pairs: configurations `swuggy`, `sblimp` and `topic_sc`, and `minimal_pairs` for all of them
    one after another; one split `test`.

    Args:
        cache_dir (`str`, *optional*): Where prepared rows are kept.
        config_name (`str`, *optional*, defaults to `"minimal_pairs"`): The task, or all of them.
        data_dir (`str` or `Path`, *optional*): What [`render_pairs`] wrote to: a folder with one of shards for each
            task. Of all tasks, those that it has are read.
        kwargs (additional keyword arguments, *optional*): Other arguments of `datasets.DatasetBuilder`.
    """

    BUILDER_CONFIGS = [ModalityConfig(name=name, version=VERSION) for name in (ALL_TASKS, *TASKS)]
    DEFAULT_WRITER_BATCH_SIZE = 100
    columns = tuple(FEATURES)
    rows_at_a_time = 100

    def __init__(
        self,
        cache_dir: str | None = None,
        *,
        config_name: str = ALL_TASKS,
        data_dir: str | Path | None = None,
        **kwargs,
    ):
        if config_name not in (ALL_TASKS, *TASKS):
            raise ValueError(f"There are no minimal pairs of {config_name!r}; choose from {', '.join(TASKS)}.")
        if data_dir is not None and config_name == ALL_TASKS:
            state = [(folder.name, fingerprint_shards(folder)) for folder in _task_folders(Path(data_dir))]
            kwargs.setdefault("hash", hashlib.sha256(repr(state).encode()).hexdigest()[:16])
        elif data_dir is not None:
            data_dir = Path(data_dir) / config_name
        super().__init__(cache_dir, config_name=config_name, data_dir=data_dir, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        name = self.config.name
        tasks = TASKS.values() if name == ALL_TASKS else [TASKS[name]]
        return datasets.DatasetInfo(
            description=f"{' '.join(task.description for task in tasks)} Each side as text, as ARPAbet phones (once "
            "each, stretched, and repeated once a frame) and as 16 kHz audio.",
            features=FEATURES,
            citation=CITATION,
        )

    def _find_shards(self) -> dict[str, list[str]]:
        if self.config.name != ALL_TASKS:
            return super()._find_shards()
        shards: dict[str, list[str]] = {}
        for folder in _task_folders(Path(self.config.data_dir)):
            for split, files in find_shards(folder, self.columns).items():
                shards.setdefault(split, []).extend(files)
        return shards

    def _rows(self, batch: pa.RecordBatch, file: str) -> pa.Table:
        return table_cast(pa.Table.from_batches([batch]), FEATURES.arrow_schema)


def _task_folders(folder: Path) -> list[Path]:
    """The folders of the tasks that have shards."""
    found = [folder / task for task in TASKS if any((folder / task).glob("*.parquet"))]
    if not found:
        raise FileNotFoundError(
            f"There are no minimal pairs in {folder}; give the folder that holds those of {', '.join(TASKS)}."
        )
    return found
