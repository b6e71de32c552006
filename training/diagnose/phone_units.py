"""Phone-Repeat at any rate, written as units: what a tokenizer would give that hears phones without a mistake.

utterances and spoken pairs with their aligned phones -> a unit a frame, the phone's number -> shards as those of a
tokenizer's units. Phone-Repeat goes through the same tokenizer, model and scores as what it is compared with.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...datasets_scripts.phones.frames import num_frames, phones_to_frames
from ...models.audio import frame_samples_at
from ...models.phones import ARPABET
from ...models.scoring.sides import PARTS
from ..run.execution import Execution
from ..run.stage import Stage
from .canonical_units import UnitFolders

_NUMBERS = {phone: number for number, phone in enumerate(ARPABET)}
_ROWS_AT_A_TIME = 256


def build_phone_units(
    folders: UnitFolders, utterances: Path, pairs: Path, frame_rate: float, execution: Execution
) -> None:
    """
    Write the phones of utterances and pairs as units.

    Args:
        folders ([`UnitFolders`]): Where to.
        utterances (`Path`): The speech stage.
        pairs (`Path`): The minimal pairs, spoken with frames of this rate.
        frame_rate (`float`): Frames a second.
        execution ([`Execution`]): How it is done.
    """

    def build_utterances(partial: Path) -> None:
        for shard in sorted(utterances.glob("*-*.parquet")):
            rows = []
            for batch in pq.ParquetFile(shard).iter_batches(_ROWS_AT_A_TIME, columns=["id", "phones", "duration"]):
                for row in batch.to_pylist():
                    frames = num_frames(row["duration"], frame_samples_at(frame_rate))
                    phones = phones_to_frames(row["phones"], frames, frame_samples_at(frame_rate))
                    rows.append((row["id"], number_phones(phones)))
            ids, units = zip(*rows)
            table = pa.table({"id": pa.array(ids, pa.string()), "units": pa.array(units, pa.list_(pa.uint16()))})
            pq.write_table(table, partial / shard.name)

    def build_pairs(partial: Path) -> None:
        for shard in sorted(pairs.glob("*/test-*.parquet")):
            columns = {part: f"{part}_phones_repeat" for part in PARTS}
            table = pq.read_table(shard, columns=["id", "voice", *columns.values()])
            units = {name: table[name] for name in ("id", "voice")}
            for part, column in columns.items():
                rows = [number_phones(content.split()) if content else None for content in table[column].to_pylist()]
                units[f"{part}_units"] = pa.array(rows, pa.list_(pa.uint16()))
            target = partial / shard.relative_to(pairs)
            target.parent.mkdir(exist_ok=True)
            pq.write_table(pa.table(units), target)

    settings = {"frame_rate": frame_rate}
    Stage(folders.utterances, 1, settings, {"utterances": utterances}).run(build_utterances, execution.overwrite)
    Stage(folders.pairs, 1, settings, {"pairs": pairs}).run(build_pairs, execution.overwrite)


def number_phones(phones: list[str]) -> np.ndarray:
    """The place of each phone among all symbols: uint16, of shape `(len(phones),)`."""
    return np.array([_NUMBERS[phone] for phone in phones], np.uint16)
