"""Units from elsewhere in the place of a run's quantizer: checked on the run's own audio, and kept with the run.

utterances and spoken pairs + what `--units` opened -> [`build_external_units`] -> a folder for `load_quantizer`, and
`check.json`, which says what was checked.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import soundfile

from ....models.audio import decode_flac
from ....models.files import write_json
from ....models.scoring.sides import PARTS
from ...external_units.callables import CallableUnits
from ...external_units.quantizers import save_units
from ...external_units.tables import TableUnits, audio_name
from ...run.execution import Execution
from ...run.stage import Stage
from .quantizer import ROWS_AT_A_TIME

CHECK_FILE = "check.json"
_CALLED_TWICE = 8  # utterances, and as many parts of pairs


def build_external_units(
    folder: Path, utterances: Path, pairs: Path, units: CallableUnits | TableUnits, execution: Execution
) -> None:
    """
    Check units from elsewhere: of a table, that it has every utterance and every part of a pair with as many ids as it
    has frames; of a callable, that it gives the same ids for some of them when it is called twice. These ids are part
    of what makes the stage, so that a callable whose code has changed is noticed by what it makes of the run's own
    audio; a stage that was finished without them is taken as it is, and redone on request.

    Args:
        folder (`Path`): Where to.
        utterances (`Path`): The speech stage.
        pairs (`Path`): The spoken pairs.
        units ([`CallableUnits`] or [`TableUnits`]): As [`open_units`] gives them.
        execution ([`Execution`]): How it is done.

    Raises:
        `ValueError`: If a check fails, or a callable gives other ids than those that the folder was made with and
            nothing is to be overwritten.
    """
    stage = Stage(folder, 1, units.config.describe(), {"utterances": utterances, "pairs": pairs})
    is_table = isinstance(units, TableUnits)
    if stage.is_finished() and (is_table or not execution.overwrite):
        return
    # Before the stage begins: what is refused leaves nothing behind that the next try would have to overwrite.
    if is_table:
        kept, checked = _check_table(units, utterances, pairs)
    else:
        names, digest = _check_callable(units, utterances, pairs)
        stage = replace(stage, configuration=stage.configuration | {"ids_of_checked_audio": digest})
        kept, checked = units, {"called_twice": names}

    def build(partial: Path) -> None:
        save_units(kept, partial)
        write_json(partial / CHECK_FILE, checked)

    stage.run(build, execution.overwrite)


def _check_table(units: TableUnits, utterances: Path, pairs: Path) -> tuple[TableUnits, dict]:
    parts = chain(read_utterances(utterances), read_pairs(pairs))
    lengths = {name: soundfile.info(io.BytesIO(data)).frames for name, data in parts}
    kept = units.select(lengths)
    for name, num_samples in lengths.items():
        kept.fit(name, num_samples)
    return kept, {"names": len(lengths), "not_used": len(units.names) - len(lengths)}


def _check_callable(units: CallableUnits, utterances: Path, pairs: Path) -> tuple[list[str], str]:
    """
    On the first utterances and the first parts of pairs, long audio and short: their names, and sixteen hexadecimal
    digits that stand for their ids on the CPU.
    """
    some = (islice(parts, _CALLED_TWICE) for parts in (read_utterances(utterances), read_pairs(pairs)))
    names, audio = zip(*((name, decode_flac(data)) for name, data in chain.from_iterable(some)))
    ids = np.concatenate(units.to("cpu").check_repeats(audio, names))
    return list(names), hashlib.sha256(ids.astype("<u2").tobytes()).hexdigest()[:16]


def read_utterances(utterances: Path) -> Iterator[tuple[str, bytes]]:
    """Every utterance of a stage: the name that a table has to have for it, and its FLAC file."""
    for shard in sorted(utterances.glob("*-*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(ROWS_AT_A_TIME, columns=["id", "audio"]):
            for row in batch.to_pylist():
                yield audio_name(utterances.name, row["id"]), row["audio"]["bytes"]


def read_pairs(pairs: Path) -> Iterator[tuple[str, bytes]]:
    """Every part of the spoken pairs, contexts included: the name that a table has to have for it, its FLAC file."""
    columns = ["id", "voice", *(f"{part}_audio" for part in PARTS)]
    for shard in sorted(pairs.glob("*/test-*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(ROWS_AT_A_TIME, columns=columns):
            for row in batch.to_pylist():
                for part in PARTS:
                    if (audio := row[f"{part}_audio"]) is not None and audio["bytes"]:
                        yield audio_name(pairs.name, row["id"], row["voice"], part), audio["bytes"]
