"""The minimal pairs as one modality writes them.

spoken pairs, and their units for a modality of speech -> one table of contents, which models and n-grams score.
"""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from ...metrics.tasks import TASKS
from ...models.modalities import Modality
from ...models.scoring.sides import PARTS

KEYS = ["task", "pair_id", "cluster", "group", "band", "voice"]


def read_contents(folder: Path, modality: Modality, units_folder: Path | None = None) -> pd.DataFrame:
    """
    Read a folder of minimal pairs.

    Args:
        folder (`Path`): Spoken pairs, a folder a task.
        modality ([`Modality`]): The modality.
        units_folder (`Path`, *optional*): Their units, for a modality of speech.

    Returns:
        `pd.DataFrame`: `task`, `pair_id`, `cluster`, `group`, `band`, `voice`, and contents `context`, `positive`
        and `negative`; `context` is empty where a pair has none.

    Raises:
        `ValueError`: If units and pairs are not of the same rows.
    """
    from ...datasets_scripts.builders import unit_contents

    frames = []
    for task in TASKS:
        columns = ["task", "id", "cluster", "group", "band", "voice"]
        columns += [] if units_folder else [f"{side}_{modality.column}" for side in PARTS]
        for shard in sorted((folder / task).glob("test-*.parquet")):
            rows = pq.read_table(shard, columns=columns).to_pandas().rename(columns={"id": "pair_id"})
            if units_folder:
                units = pq.read_table(units_folder / task / shard.name).to_pylist()
                if [row["id"] for row in units] != rows["pair_id"].tolist():
                    raise ValueError(f"The units of {task}/{shard.name} are not those of its pairs; make them again.")
                for side in PARTS:
                    sequences = [row[f"{side}_units"] or [] for row in units]
                    rows[side] = unit_contents(modality.name, sequences)
            else:
                rows = rows.rename(columns={f"{side}_{modality.column}": side for side in PARTS})
            frames.append(rows)
    pairs = pd.concat(frames, ignore_index=True)
    pairs[list(PARTS)] = pairs[list(PARTS)].fillna("")
    return pairs
