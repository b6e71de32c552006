"""Recorded pairs in units that something else made of the same recordings: a table with a row a file of the challenge.

shards of `build_zerospeech2021` + gold.csv, which says whose file each side is + a table -> [`write_table_pairs`] ->
shards as `write_unit_pairs` writes them of a quantizer.
"""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from ...datasets_scripts.pairs.published.zerospeech_2021 import TASKS, read_gold
from ...datasets_scripts.pairs.unit_contents import unit_pairs
from ...models.files import written_whole
from ...models.scoring.sides import SIDES
from ..external_units.quantizers import is_external, open_units, read_quantizer_config
from ..external_units.tables import TableUnits


def open_challenge_units(source: str, quantizer: Path, folder: str | Path, split: str) -> TableUnits:
    """
    Read units of the challenge's recordings, by the tokenizer that a run has its own units from.

    Args:
        source (`str`): A table, `.jsonl` or `.parquet`, with `file` and `units`.
        quantizer (`Path`): What the run's folder holds in the place of a quantizer.
        folder (`str` or `Path`): The challenge's folder.
        split (`str`): `"dev"` or `"test"`.

    Returns:
        [`TableUnits`]

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If it is no table, the run's units are its own, or the table has other ids or lacks a recording.
    """
    if not is_external(quantizer):
        raise ValueError(
            "The run has a quantizer of its own, which makes units of any recording; leave out --units, which is for "
            "runs whose units came from elsewhere."
        )
    config = read_quantizer_config(quantizer)
    table = open_units(source, frame_rate=config.frame_rate, name=config.label)
    if not isinstance(table, TableUnits):
        raise ValueError(f"--units is {source!r}; give a table (.jsonl or .parquet) with a row a recording.")
    if table.config.num_units > config.num_units:
        raise ValueError(
            f"{source} has ids up to {table.config.num_units - 1}, and the run's units are 0 to "
            f"{config.num_units - 1}; take the tokenizer that the run's units are from."
        )
    names = [name for task in TASKS for name in read_gold(folder, task, split)["filename"].unique()]
    if absent := [name for name in names if name not in table]:
        raise ValueError(
            f"{source} lacks {len(absent)} of the {len(names)} recordings in {folder}, the first of them "
            f"{absent[0]!r}; give a row for each filename of gold.csv."
        )
    return table


def write_table_pairs(
    pairs: Path, folder: str | Path, split: str, table: TableUnits, output_dir: Path, modality: str = "speech_units"
) -> Path:
    """
    Write recorded pairs as a modality of speech, in units of a table. Shards that are there are not made again.

    Args:
        pairs (`Path`): Shards of `build_zerospeech2021`, in folders `swuggy` and `sblimp`.
        folder (`str` or `Path`): The challenge's folder.
        split (`str`): `"dev"` or `"test"`.
        table ([`TableUnits`]): The units of each recording, by its `filename` in gold.csv.
        output_dir (`Path`): Where the shards go, in the same folders and by the same names.
        modality (`str`, *optional*, defaults to `"speech_units"`): A modality that is made of units of frames.

    Returns:
        `Path`: The output folder.

    Raises:
        `ValueError`: If the table has other than an id a frame of a recording.
    """
    names: dict[str, dict[tuple[str, str, int], str]] = {}
    for task, ours in TASKS.items():
        if (pairs / ours).is_dir():
            gold = read_gold(folder, task, split)
            names[ours] = dict(zip(zip(gold["pair"], gold["voice"], gold["correct"]), gold["filename"]))
    for ours, of_side in names.items():
        for shard in sorted((pairs / ours).glob("test-*.parquet")):
            target = output_dir / ours / shard.name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                units = _units_of_shard(shard, of_side, table)
                with written_whole(target) as partial:
                    pq.write_table(unit_pairs(shard, units, modality), partial)
    return output_dir


def _units_of_shard(shard: Path, names: dict[tuple[str, str, int], str], table: TableUnits) -> pa.Table:
    rows = []
    for row in pq.read_table(shard, columns=["id", "voice", *(f"{side}_audio" for side in SIDES)]).to_pylist():
        units = {}
        for side, correct in zip(SIDES, (1, 0)):
            samples = soundfile.info(io.BytesIO(row[f"{side}_audio"]["bytes"])).frames
            units[f"{side}_units"] = table.fit(names[row["id"], row["voice"], correct], samples)
        rows.append({"id": row["id"]} | units)
    kind = pa.list_(pa.uint16())
    schema = pa.schema([("id", pa.string()), *((f"{side}_units", kind) for side in SIDES)])
    return pa.Table.from_pylist(rows, schema)
