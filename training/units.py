"""The unit stages: audio -> a quantizer -> the units of utterances and minimal pairs, and how good they are.

utterance shards -> k-means on frames of the training split -> `model/` -> `utterances/<split>-*.parquet` (`id, units`)
and `pairs/<task>-*.parquet`, shard by shard in worker processes -> `quality.json` on held-out audio.
"""

import io
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..datasets_scripts.pairs_text import TASKS
from ..datasets_scripts.phone_frames import phones_to_frames
from .arguments import Arguments, UnitArguments
from .run import Run
from .stages import Stage, fingerprint_files, write_json
from .workers import Job, count_cores, resolve_device, run_jobs

MODEL_FOLDER = "model"
QUALITY_FILE = "quality.json"
ENCODER_FILES = ("config.json", "preprocessor_config.json", "*.safetensors")
"""What makes the frames of a self-supervised encoder in a folder."""
SIDES = ("context", "positive", "negative")
_ROWS_AT_A_TIME = 32


def build_units(arguments: Arguments, run: Run, voices: str) -> Path:
    """
    Build the unit stage of one rendering.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.
        voices (`str`): `"one"` or `"many"`.

    Returns:
        `Path`: The stage's folder.
    """
    utterances, pairs = run.utterances(voices), run.pairs(voices)
    units, device = arguments.units, resolve_device(arguments.run.device)
    configuration = {
        "encoder": describe_encoder(units),
        "num_units": units.num_units,
        "normalization": units.unit_normalization,
        "fit_frames": units.fit_frames,
        "seed": arguments.corpus.seed,
    }

    def build(folder: Path) -> None:
        workers = 1 if device == "cuda" else arguments.run.num_proc or count_cores()
        if not (folder / MODEL_FOLDER / "model.safetensors").exists():
            job = {"arguments": arguments, "utterances": utterances, "model_dir": folder / MODEL_FOLDER}
            run_jobs([Job(fit_quantizer, job | {"device": device})], workers, "k-means")
        jobs = []
        sides = tuple(f"{side}_audio" for side in SIDES)
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
        write_json(folder / QUALITY_FILE, measure_quality(utterances, folder / "utterances", units.num_units))

    inputs = {"utterances": utterances, "pairs": pairs}
    Stage(run.units(voices), 1, configuration, inputs).run(build, arguments.run.overwrite)
    return run.units(voices)


def describe_encoder(units: UnitArguments) -> str | dict:
    """
    What makes the frames, wherever it lies: part of a stage's configuration.

    Args:
        units ([`UnitArguments`]): Of the command.

    Returns:
        `str` or `dict`: The name of frame features; of a self-supervised encoder its layer, source, revision,
        precision and, if it is a folder, what its files hold.

    Raises:
        `ValueError`: If there is no such encoder, or no such layer in it.
    """
    if not units.is_ssl:
        return units.encoder
    from ..models.speech_units.ssl_encoder import describe_ssl_encoder

    ssl = describe_ssl_encoder(units.encoder, units.encoder_layer, units.encoder_revision)
    described = {name: ssl[name] for name in ("source", "layer", "revision")} | {"precision": units.encoder_precision}
    if Path(units.encoder).is_dir():
        # Not its other files: the record of a training says how long it took.
        described["files"] = fingerprint_files(Path(units.encoder), ENCODER_FILES)
    return described


def encoder_label(units: UnitArguments) -> str:
    """The encoder's name in tables and figures: that of its kind."""
    from ..models.speech_units import SpeechUnitConfig

    if not units.is_ssl:
        return SpeechUnitConfig(encoder=units.encoder).encoder_label
    from ..models.speech_units.ssl_encoder import describe_ssl_encoder

    ssl = describe_ssl_encoder(units.encoder, units.encoder_layer, units.encoder_revision)
    return SpeechUnitConfig(encoder="ssl", ssl=ssl).encoder_label


def fit_quantizer(
    arguments: Arguments, utterances: Path, model_dir: Path, device: str = "cpu", report_progress=None
) -> None:
    """
    Fit the quantizer on the training utterances and save it.

    Args:
        arguments ([`Arguments`]): Of the command.
        utterances (`Path`): The shards of utterances.
        model_dir (`Path`): Where to; the weights are written last.
        device (`str`, *optional*, defaults to `"cpu"`): Where the encoder runs.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the frames are known only once read.
    """
    from ..models.speech_units import SpeechUnitProcessor, fit_units

    units = arguments.units
    if units.is_ssl:
        encoder = {
            "ssl_model_id": units.encoder,
            "ssl_layer": units.encoder_layer,
            "ssl_revision": units.encoder_revision,
        }
    else:
        encoder = {"encoder": units.encoder}
    model = fit_units(
        read_audio_batches(sorted(utterances.glob("train-*.parquet"))),
        num_units=units.num_units,
        seed=arguments.corpus.seed,
        max_frames=units.fit_frames,
        normalization=units.unit_normalization,
        device=device,
        **encoder,
    )
    SpeechUnitProcessor.from_config(model.config).save_pretrained(model_dir)
    model.save_pretrained(model_dir)


def read_audio_batches(shards: list[Path], column: str = "audio") -> Iterator[tuple[list[np.ndarray], list[str]]]:
    """Yield waveforms (int16, 16 kHz) and their speakers, a few utterances at a time: memory does not grow."""
    speaker = "speaker" if column == "audio" else "voice"
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(_ROWS_AT_A_TIME, columns=[column, speaker]):
            audio = [decode_flac(row["bytes"]) for row in batch[column].to_pylist()]
            yield audio, batch[speaker].to_pylist()


def decode_flac(data: bytes) -> np.ndarray:
    """The int16 samples of a FLAC file."""
    import soundfile

    return soundfile.read(io.BytesIO(data), dtype="int16")[0]


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
    `<side>_units` for `<side>_audio`, beside the columns that name the row.

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

    from ..models.speech_units import SpeechUnitModel

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = SpeechUnitModel.from_pretrained(model_dir, dtype=dtype).to(device)
    file = pq.ParquetFile(shard)
    is_pairs = columns != ("audio",)
    keys = ["id", "voice"] if is_pairs else ["id"]
    speaker = "voice" if is_pairs else "speaker"
    tables, done = [], 0
    for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=sorted({*keys, speaker, *columns})):
        speakers = batch[speaker].to_pylist()
        encoded = {key: batch[key] for key in keys}
        for column in columns:
            rows = batch[column].to_pylist()
            present = [index for index, row in enumerate(rows) if row is not None and row["bytes"]]
            audio = [decode_flac(rows[index]["bytes"]) for index in present]
            units = model.units(audio, [speakers[index] for index in present]) if present else []
            values: list = [None] * len(rows)
            for index, row in zip(present, units):
                values[index] = row
            name = "units" if column == "audio" else column.replace("_audio", "_units")
            encoded[name] = pa.array(values, pa.list_(pa.uint16()))
        tables.append(pa.table(encoded))
        done += len(batch)
        if report_progress is not None:
            report_progress(done / file.metadata.num_rows)
    temporary = target / f".{shard.name}.{os.getpid()}.tmp"
    pq.write_table(pa.concat_tables(tables), temporary)
    os.replace(temporary, target / shard.name)


def measure_quality(utterances: Path, units: Path, num_units: int) -> dict:
    """PNMI, purity, use, runs and bit rate of the units against the phones, on the splits that trained nothing."""
    from ..models.speech_units import unit_quality

    sequences, phones = [], []
    for split in ("validation", "test"):
        for shard in sorted(utterances.glob(f"{split}-*.parquet")):
            rows = pq.read_table(shard, columns=["id", "phones"]).to_pylist()
            encoded = pq.read_table(units / shard.name).to_pylist()
            for row, unit_row in zip(rows, encoded):
                if row["id"] != unit_row["id"]:
                    raise ValueError(f"{shard.name}: units of {unit_row['id']} beside the utterance {row['id']}.")
                sequences.append(np.array(unit_row["units"]))
                phones.append(phones_to_frames(row["phones"], len(unit_row["units"])))
    quality = unit_quality(sequences, phones, num_units=num_units)
    return {name: None if math.isnan(value) else float(value) for name, value in quality.items()}
