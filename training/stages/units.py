"""The unit stages: audio -> a quantizer -> the units of utterances and minimal pairs, and how good they are.

utterance shards -> k-means on frames or syllables of the training split -> `model/` ->
`utterances/<split>-*.parquet` (`id, units`) and `pairs/<task>-*.parquet`, shard by shard in worker processes ->
`quality.json` on held-out audio. Rows of syllable units also have `frames`, how long each unit lasts.
"""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...metrics.tasks import TASKS
from ...datasets_scripts.phones.frames import phones_to_frames
from ...datasets_scripts.phones.syllables import syllable_frames
from ...models.audio import FRAME_SAMPLES, decode_flac
from ...models.files import write_json
from ...models.scoring.sides import PARTS
from ..arguments.study import Arguments
from ..run.folder import MODEL_FOLDER, QUALITY_FILE, Run
from ..run.stage import Stage
from ..run.workers import Job, count_cores, resolve_device, run_jobs
from .quantizer import ROWS_AT_A_TIME, describe_encoder, fit_quantizer
from .unit_quality import measure_quality, measure_syllable_quality


def build_units(arguments: Arguments, run: Run, voices: str, unit_of: str = "frame") -> Path:
    """
    Build the unit stage of one rendering.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.
        voices (`str`): `"one"`, `"many"` or `"recorded"`.
        unit_of (`str`, *optional*, defaults to `"frame"`): What a unit describes, `"frame"` or `"syllable"`.

    Returns:
        `Path`: The stage's folder.
    """
    utterances, pairs = run.utterances(voices), run.pairs(voices)
    units, device = arguments.units, resolve_device(arguments.run.device)
    configuration = {
        "encoder": describe_encoder(units),
        "num_units": units.codebook_size(unit_of),
        "segment_parts": units.segment_parts(unit_of),
        "normalization": units.unit_normalization,
        "fit_frames": units.fit_frames,
        "kmeans": units.kmeans,
        "seed": arguments.corpus.corpus_seed,
    }

    def build(folder: Path) -> None:
        workers = 1 if device == "cuda" else arguments.run.num_proc or count_cores()
        if not (folder / MODEL_FOLDER / "model.safetensors").exists():
            job = {"arguments": arguments, "utterances": utterances, "model_dir": folder / MODEL_FOLDER}
            run_jobs([Job(fit_quantizer, job | {"device": device, "unit_of": unit_of})], workers, "k-means")
        jobs = []
        sides = tuple(f"{side}_audio" for side in PARTS)
        for source, target, columns in (
            (utterances, folder / "utterances", ("audio",)),
            *((pairs / task, folder / "pairs" / task, sides) for task in TASKS),
        ):
            target.mkdir(parents=True, exist_ok=True)
            for shard in sorted(source.glob("*-*.parquet")):
                if not (target / shard.name).exists():
                    job = {"model_dir": folder / MODEL_FOLDER, "shard": shard, "target": target, "columns": columns}
                    job |= {"device": device, "precision": units.encoder_precision}
                    jobs.append(Job(encode_shard, job, shard.stat().st_size))
        run_jobs(jobs, workers, "units")
        measure = measure_quality if unit_of == "frame" else measure_syllable_quality
        write_json(folder / QUALITY_FILE, measure(utterances, folder / "utterances", configuration["num_units"]))

    inputs = {"utterances": utterances, "pairs": pairs}
    Stage(run.units(voices, unit_of), 1, configuration, inputs).run(build, arguments.run.overwrite)
    return run.units(voices, unit_of)


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
    `<side>_units` for `<side>_audio`, beside the columns that name the row. Units of syllables, which are found in the
    phones of the row, come with how many `frames` each lasts.

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

    from ...models.speech_units import SpeechUnitModel

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = SpeechUnitModel.from_pretrained(model_dir, dtype=dtype).to(device)
    file = pq.ParquetFile(shard)
    is_pairs = columns != ("audio",)
    is_of_syllables = model.config.segment_parts > 0
    keys = ["id", "voice"] if is_pairs else ["id"]
    speaker = "voice" if is_pairs else "speaker"
    phones = {column: column.replace("_audio", "_phones_repeat") if is_pairs else "phones" for column in columns}
    read = {*keys, speaker, *columns, *(phones.values() if is_of_syllables else ())}
    tables, done = [], 0
    for batch in file.iter_batches(ROWS_AT_A_TIME, columns=sorted(read)):
        speakers = batch[speaker].to_pylist()
        encoded = {key: batch[key] for key in keys}
        for column in columns:
            rows = batch[column].to_pylist()
            present = [index for index, row in enumerate(rows) if row is not None and row["bytes"]]
            audio = [decode_flac(rows[index]["bytes"]) for index in present]
            segments = None
            if is_of_syllables:
                said = batch[phones[column]].to_pylist()
                segments = [_syllables(said[index], samples) for index, samples in zip(present, audio)]
            who = [speakers[index] for index in present]
            found = {"units": model.units(audio, who, segments=segments) if present else []}
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
    temporary = target / f".{shard.name}.{os.getpid()}.tmp"
    if not tables:  # every pair of it was left out
        whats = ("units", "frames") if is_of_syllables else ("units",)
        names = [column.replace("_audio", f"_{what}") if is_pairs else what for column in columns for what in whats]
        types = [(key, pa.string()) for key in keys] + [(name, pa.list_(pa.uint16())) for name in names]
        tables = [pa.schema(types).empty_table()]
    pq.write_table(pa.concat_tables(tables), temporary)
    os.replace(temporary, target / shard.name)


def _syllables(phones: list[dict] | str, samples: np.ndarray) -> np.ndarray:
    """Frames of each syllable, from the aligned phones of an utterance or the phones of a pair's frames."""
    if isinstance(phones, str):
        return syllable_frames(phones.split())
    return syllable_frames(phones_to_frames(phones, len(samples) // FRAME_SAMPLES))
