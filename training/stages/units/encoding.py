"""The units of utterances and of minimal pairs: audio -> a quantizer's units, shard by shard in worker processes.

utterances -> [`build_utterance_units`] -> `<split>-*.parquet` (`id, units`) and `quality.json` on held-out audio;
spoken pairs -> [`build_pair_units`] -> `<task>/test-*.parquet`. Rows of syllable units also have `frames`, how long
each unit lasts; aligned syllables are those of the phones of a row, others are found in its sound.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ....datasets_scripts.phones.frames import phones_to_frames
from ....datasets_scripts.phones.syllables import syllable_frames
from ....models.audio import decode_flac
from ....models.files import read_json, write_json, written_whole
from ....models.scoring.sides import PARTS
from ...external_units.quantizers import is_external, load_quantizer
from ...external_units.tables import audio_name
from ...run.execution import Execution
from ...run.folder import QUALITY_FILE
from ...run.stage import Stage
from ...run.workers import Job, run_jobs
from .quality import measure_boundaries, measure_quality, measure_syllable_quality
from .quantizer import PACKAGES, ROWS_AT_A_TIME

PAIR_COLUMNS = tuple(f"{part}_audio" for part in PARTS)
"""Columns of audio of a minimal pair."""


def build_utterance_units(
    folder: Path, quantizer: Path, utterances: Path, precision: str, execution: Execution
) -> None:
    """
    Encode utterances, and measure how much the units of those that trained nothing say about phones or syllables.

    Args:
        folder (`Path`): Where to.
        quantizer (`Path`): The stage of the quantizer.
        utterances (`Path`): The speech stage.
        precision (`str`): Of an encoder with weights, `"fp32"` or `"bf16"`, which changes some units.
        execution ([`Execution`]): How it is done.
    """

    def build(partial: Path) -> None:
        _encode({utterances: partial}, quantizer, ("audio",), precision, execution)
        config = read_json(quantizer / "config.json")
        measure = measure_syllable_quality if config["segment_parts"] else measure_quality
        quality = measure(utterances, partial, config["num_units"], config["frame_rate"])
        if config["segmentation"] or config["duration_penalty"]:
            quality |= measure_boundaries(utterances, partial, config["frame_rate"])
        write_json(partial / QUALITY_FILE, quality)

    inputs = {"quantizer": quantizer, "utterances": utterances}
    Stage(folder, 1, {"precision": precision}, inputs, PACKAGES).run(build, execution.overwrite)


def build_pair_units(
    folder: Path,
    quantizer: Path,
    pairs: Path,
    precision: str,
    execution: Execution,
    columns: tuple[str, ...] = PAIR_COLUMNS,
) -> None:
    """
    Encode minimal pairs, or other rows that have a voice and several parts.

    Args:
        folder (`Path`): Where to; a folder a task.
        quantizer (`Path`): The stage of the quantizer.
        pairs (`Path`): The spoken pairs.
        precision (`str`): Of an encoder with weights, `"fp32"` or `"bf16"`, which changes some units.
        execution ([`Execution`]): How it is done.
        columns (`tuple[str, ...]`, *optional*): The columns of audio that the rows have, those of pairs by default.
    """

    def build(partial: Path) -> None:
        tasks = sorted(path for path in pairs.iterdir() if path.is_dir())
        targets = {task: partial / task.name for task in tasks}
        _encode(targets, quantizer, columns, precision, execution)

    inputs = {"quantizer": quantizer, "pairs": pairs}
    Stage(folder, 1, {"precision": precision}, inputs, PACKAGES).run(build, execution.overwrite)


def _encode(
    targets: dict[Path, Path], quantizer: Path, columns: tuple[str, ...], precision: str, execution: Execution
) -> None:
    """Encode every shard of some folders that is not there yet."""
    jobs = []
    for source, target in targets.items():
        target.mkdir(parents=True, exist_ok=True)
        for shard in sorted(source.glob("*-*.parquet")):
            if not (target / shard.name).exists():
                job = {"model_dir": quantizer, "shard": shard, "target": target, "columns": columns}
                job |= {"device": execution.device, "precision": precision}
                jobs.append(Job(encode_shard, job, shard.stat().st_size))
    run_jobs(jobs, execution.device_workers, "units")


def encode_shard(
    model_dir: Path,
    shard: Path,
    target: Path,
    columns: tuple[str, ...],
    device: str = "cpu",
    precision: str = "fp32",
    report_progress=None,
) -> None:
    """
    Write the units of one shard's audio columns as a shard of the same name: `units` for `audio`, else
    `<side>_units` for `<side>_audio`, beside the columns that name the row. Units of syllables come with how many
    `frames` each lasts.

    Args:
        model_dir (`Path`): The quantizer.
        shard (`Path`): Utterances or minimal pairs.
        target (`Path`): The folder to write to.
        columns (`tuple[str, ...]`): Columns of audio; null where a row has none.
        device (`str`, *optional*, defaults to `"cpu"`): Where the encoder runs.
        precision (`str`, *optional*, defaults to `"fp32"`): Of an encoder with weights, `"fp32"` or `"bf16"`.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of rows that are done.
    """
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = load_quantizer(model_dir, dtype=dtype).to(device)
    by_name = is_external(model_dir)
    rendering = shard.parent.parent.name if columns != ("audio",) else shard.parent.name
    file = pq.ParquetFile(shard)
    is_pairs = columns != ("audio",)
    is_of_syllables = model.config.segment_parts > 0
    is_aligned = is_of_syllables and model.config.segmentation is None
    keys = ["id", "voice"] if is_pairs else ["id"]
    speaker = "voice" if is_pairs else "speaker"
    phones = {column: column.replace("_audio", "_phones_repeat") if is_pairs else "phones" for column in columns}
    read = {*keys, speaker, *columns, *(phones.values() if is_aligned else ())}
    tables, done = [], 0
    for batch in file.iter_batches(ROWS_AT_A_TIME, columns=sorted(read)):
        speakers = batch[speaker].to_pylist()
        encoded = {key: batch[key] for key in keys}
        for column in columns:
            rows = batch[column].to_pylist()
            present = [index for index, row in enumerate(rows) if row is not None and row["bytes"]]
            audio = [decode_flac(rows[index]["bytes"]) for index in present]
            segments = None
            if is_of_syllables and not is_aligned:
                segments = model.find_segments(audio)
            elif is_aligned:
                said = batch[phones[column]].to_pylist()
                segments = [_syllables(said[index], samples, model.config) for index, samples in zip(present, audio)]
            who = [speakers[index] for index in present]
            about = {"segments": segments}
            if by_name:
                part = column.removesuffix("_audio") if is_pairs else None
                about = {"names": [_name(rendering, batch, index, part) for index in present]}
            found = {"units": model.units(audio, who, **about) if present else []}
            if is_of_syllables:
                found["frames"] = segments
            for what, sequences in found.items():
                values: list = [None] * len(rows)
                for index, row in zip(present, sequences):
                    values[index] = row
                name = column.replace("_audio", f"_{what}") if is_pairs else what
                encoded[name] = pa.array(values, pa.list_(pa.uint16()))
        tables.append(pa.table(encoded))
        done += len(batch)
        if report_progress is not None:
            report_progress(done / file.metadata.num_rows)
    if not tables:  # every pair of it was left out
        whats = ("units", "frames") if is_of_syllables else ("units",)
        names = [column.replace("_audio", f"_{what}") if is_pairs else what for column in columns for what in whats]
        types = [(key, pa.string()) for key in keys] + [(name, pa.list_(pa.uint16())) for name in names]
        tables = [pa.schema(types).empty_table()]
    with written_whole(target / shard.name) as partial:
        pq.write_table(pa.concat_tables(tables), partial)


def _name(rendering: str, batch: pa.RecordBatch, row: int, part: str | None) -> str:
    voice = batch["voice"][row].as_py() if part else None
    return audio_name(rendering, batch["id"][row].as_py(), voice, part)


def _syllables(phones: list[dict] | str, samples: np.ndarray, config) -> np.ndarray:
    """Frames of each syllable, from the aligned phones of an utterance or the phones of a pair's frames."""
    if isinstance(phones, str):
        return syllable_frames(phones.split())
    return syllable_frames(phones_to_frames(phones, config.num_frames(len(samples)), config.hop_length))
