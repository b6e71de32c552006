"""The dataset of minimal pairs: every pair as text, phones, stretched and repeated phones, and audio; or as units.

shards of [`render_pairs`], a folder a task -> rows as they are, with audio as FLAC bytes; a configuration a task, and
one of all tasks. Shards of [`~evoslm.datasets_scripts.pairs.unit_contents.unit_pairs`] -> `<task>_units`, the contents
of a modality of speech.
"""

import hashlib
from pathlib import Path

import datasets
import pyarrow as pa
from datasets.table import table_cast

from ...metrics.tasks import TASKS
from ...models.audio import SAMPLE_RATE
from ..pairs.rendering import PAIR_SCHEMA, UNIT_PAIR_SCHEMA, render_pairs
from ..shards.reading import find_shards, fingerprint_shards
from .base import CITATION, VERSION, ModalityConfig, ShardBuilder

__all__ = ["ALL_TASKS", "FEATURES", "UNIT_FEATURES", "MinimalPairs", "render_pairs"]

ALL_TASKS = "minimal_pairs"
_UNITS = {f"{task}_units": task for task in TASKS}

# Bytes, not samples: decoding would need FFmpeg's libraries, and soundfile reads FLAC without.
_AUDIO = datasets.Audio(sampling_rate=SAMPLE_RATE, decode=False)
FEATURES = datasets.Features(
    {field.name: _AUDIO if field.name.endswith("_audio") else datasets.Value(str(field.type)) for field in PAIR_SCHEMA}
)
UNIT_FEATURES = datasets.Features({field.name: datasets.Value(str(field.type)) for field in UNIT_PAIR_SCHEMA})


class MinimalPairs(ShardBuilder):
    """
    The dataset of minimal pairs: configurations `swuggy`, `sblimp` and `topic_sc`, `minimal_pairs` for all of them one
    after another, and `swuggy_units`, `sblimp_units` and `topic_sc_units` for the contents of a modality of speech;
    one split `test`.

    Args:
        cache_dir (`str`, *optional*): Where prepared rows are kept.
        config_name (`str`, *optional*, defaults to `"minimal_pairs"`): The task, or all of them, or a task's units.
        data_dir (`str` or `Path`, *optional*): A folder with one of shards for each task: what [`render_pairs`] wrote
            to, or for units `unit_pairs/<modality>` of a run. Of all tasks, those that it has are read.
        kwargs (additional keyword arguments, *optional*): Other arguments of `datasets.DatasetBuilder`.
    """

    BUILDER_CONFIGS = [ModalityConfig(name=name, version=VERSION) for name in (ALL_TASKS, *TASKS, *_UNITS)]
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
        if config_name not in (ALL_TASKS, *TASKS, *_UNITS):
            names = ", ".join((*TASKS, *_UNITS))
            raise ValueError(f"There are no minimal pairs of {config_name!r}; choose from {names}.")
        self.row_features = UNIT_FEATURES if config_name in _UNITS else FEATURES
        self.columns = tuple(self.row_features)
        if data_dir is not None and config_name == ALL_TASKS:
            state = [(folder.name, fingerprint_shards(folder)) for folder in _task_folders(Path(data_dir))]
            kwargs.setdefault("hash", hashlib.sha256(repr(state).encode()).hexdigest()[:16])
        elif data_dir is not None:
            data_dir = Path(data_dir) / _UNITS.get(config_name, config_name)
        super().__init__(cache_dir, config_name=config_name, data_dir=data_dir, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        name = self.config.name
        tasks = TASKS.values() if name == ALL_TASKS else [TASKS[_UNITS.get(name, name)]]
        forms = "text, as ARPAbet phones (once each, stretched, and repeated once a frame) and as 16 kHz audio"
        if name in _UNITS:
            forms = "speech units, as a modality of speech reads them"
        return datasets.DatasetInfo(
            description=f"{' '.join(task.description for task in tasks)} Each side as {forms}.",
            features=self.row_features,
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
        return table_cast(pa.Table.from_batches([batch]), self.row_features.arrow_schema)


def _task_folders(folder: Path) -> list[Path]:
    """The folders of the tasks that have shards."""
    found = [folder / task for task in TASKS if any((folder / task).glob("*.parquet"))]
    if not found:
        raise FileNotFoundError(
            f"There are no minimal pairs in {folder}; give the folder that holds those of {', '.join(TASKS)}."
        )
    return found
