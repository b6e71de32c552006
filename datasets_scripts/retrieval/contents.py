"""Blocks as joint models are asked about them: the text and the units of each context and continuation.

spoken blocks + the units of their audio -> [`read_block_contents`] -> rows for `score_blocks` and the metric `cra`.
"""

from pathlib import Path

import pyarrow.parquet as pq

from ...models.speech_units.runs import collapse_runs
from ...models.tokenizers.joint import UNIT_MARK
from .rendering import PARTS

_KEYS = ("id", "block", "topic", "voice")


def read_block_contents(blocks: str | Path, units: str | Path, collapse: bool = True) -> list[dict]:
    """
    Read spoken blocks and their units.

    Args:
        blocks (`str` or `Path`): The folder that [`render_blocks`] wrote.
        units (`str` or `Path`): The folder of the shards of their units: `id`, and lists `context_units` and
            `continuation_units`.
        collapse (`bool`, *optional*, defaults to `True`): Whether a run of equal units is written once, as in what
            the model was trained on.

    Returns:
        `list[dict]`: A row a passage: `id`, `block`, `topic`, `voice`, and `context_text`, `context_units`,
        `continuation_text` and `continuation_units`, units as the joint tokenizer reads them.

    Raises:
        `FileNotFoundError`: If there are no blocks, or the units of a shard are missing.
        `ValueError`: If the units are not those of the blocks.
    """
    blocks, units = Path(blocks), Path(units)
    shards = sorted(blocks.glob("test-*.parquet"))
    if not shards:
        raise FileNotFoundError(f"There are no blocks (test-*.parquet) in {blocks}; make them first.")
    rows = []
    for shard in shards:
        if not (units / shard.name).is_file():
            raise FileNotFoundError(f"There are no units of the blocks {shard} in {units}; make them first.")
        spoken = pq.read_table(shard, columns=[*_KEYS, *(f"{part}_text" for part in PARTS)]).to_pylist()
        encoded = pq.read_table(units / shard.name, columns=["id", *(f"{part}_units" for part in PARTS)]).to_pylist()
        if [row["id"] for row in encoded] != [row["id"] for row in spoken]:
            raise ValueError(f"The units {units / shard.name} are not those of the blocks {shard}; make them again.")
        for row, own in zip(spoken, encoded):
            for part in PARTS:
                said = own[f"{part}_units"] or []
                said = collapse_runs(said) if collapse else said
                row[f"{part}_units"] = "".join(f"{UNIT_MARK}{unit}" for unit in said)
            rows.append(row)
    return rows
