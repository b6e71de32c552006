"""Minimal pairs as a modality of speech reads them: rows of a configuration `<task>_units`.

shard of pairs + the units of its audio (lists) -> [`unit_pairs`] -> the columns that name a pair, and one content
string a side, which models are asked about as about any other form.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...models.scoring.sides import PARTS
from ..builders.by_name import unit_contents
from .rendering import UNIT_PAIR_SCHEMA


def unit_pairs(shard: str | Path, units: pa.Table, modality: str) -> pa.Table:
    """
    Write the units of a shard of minimal pairs as contents.

    Args:
        shard (`str` or `Path`): The shard, with the columns of `PAIR_SCHEMA`.
        units (`pa.Table`): The units of its audio in the same order: `id`, and lists `positive_units` and so on.
        modality (`str`): A modality of speech, e.g. `"speech_dedup"`.

    Returns:
        `pa.Table`: With the columns of `UNIT_PAIR_SCHEMA`; the context is empty where a pair has none.

    Raises:
        `ValueError`: If the units are not those of the shard, or the modality is not made of units.
    """
    shard = Path(shard)
    contents = [f"{part}_units" for part in PARTS]
    keys = [name for name in UNIT_PAIR_SCHEMA.names if name not in contents]
    rows = pq.read_table(shard, columns=keys).select(keys)
    if units["id"].to_pylist() != rows["id"].to_pylist():
        raise ValueError(f"The units of {shard.parent.name}/{shard.name} are not those of its pairs; make them again.")
    for name in contents:
        sequences = units[name].to_pylist() if name in units.column_names else [None] * len(rows)
        written = unit_contents(modality, [sequence or [] for sequence in sequences])
        rows = rows.append_column(name, pa.array(written, pa.string()))
    return rows.cast(UNIT_PAIR_SCHEMA)
