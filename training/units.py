"""The unit stages: audio -> a quantizer -> the units of utterances and minimal pairs, and how good they are.

utterance shards -> k-means on frames or syllables of the training split -> `model/` ->
`utterances/<split>-*.parquet` (`id, units`) and `pairs/<task>-*.parquet`, shard by shard in worker processes ->
`quality.json` on held-out audio. Rows of syllable units also have `frames`, how long each unit lasts.
"""

import math
import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..datasets_scripts.audio_reading import decode_flac
from ..datasets_scripts.pairs_text import TASKS
from ..datasets_scripts.phone_frames import FRAME_SAMPLES, SAMPLE_RATE, phones_to_frames
from ..datasets_scripts.syllables import syllable_frames, syllable_names
from .arguments import Arguments, UnitArguments
from .run import Run
from .stages import Stage, fingerprint_files, write_json
from .workers import Job, count_cores, resolve_device, run_jobs

MODEL_FOLDER = "model"
QUALITY_FILE = "quality.json"
SEEDS_FILE = "seeds.json"
ENCODER_FILES = ("config.json", "preprocessor_config.json", "*.safetensors")
"""What makes the frames of a self-supervised encoder in a folder."""
SIDES = ("context", "positive", "negative")
_WITHOUT_STRESS = str.maketrans("", "", "012")
_FIT_MEASURES = ("inertia", "num_dead_units", "num_reseeded_units")
_ROWS_AT_A_TIME = 32


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
        "seed": arguments.corpus.seed,
    }

    def build(folder: Path) -> None:
        workers = 1 if device == "cuda" else arguments.run.num_proc or count_cores()
        if not (folder / MODEL_FOLDER / "model.safetensors").exists():
            job = {"arguments": arguments, "utterances": utterances, "model_dir": folder / MODEL_FOLDER}
            run_jobs([Job(fit_quantizer, job | {"device": device, "unit_of": unit_of})], workers, "k-means")
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
        measure = measure_quality if unit_of == "frame" else measure_syllable_quality
        write_json(folder / QUALITY_FILE, measure(utterances, folder / "utterances", configuration["num_units"]))

    inputs = {"utterances": utterances, "pairs": pairs}
    Stage(run.units(voices, unit_of), 1, configuration, inputs).run(build, arguments.run.overwrite)
    return run.units(voices, unit_of)


def compare_seeds(arguments: Arguments, run: Run) -> Path:
    """
    Compare quantizers of frames that differ in nothing but the seed of their sample and of k-means.

    They are fitted with one pass of the encoder over the training audio of the run's own voices, and asked for the
    units of the same held-out audio.

    Args:
        arguments ([`Arguments`]): Of the command; `compare_seeds` seeds beside the run's own.
        run ([`Run`]): A run with utterances.

    Returns:
        `Path`: The stage's folder, with `seeds.json`: for each seed inertia, dead clusters, PNMI and phone purity, and
        how far each two of them agree ([`compare_units`]), with means and standard deviations.
    """
    from ..models.speech_units import compare_units, unit_quality

    units, first, device = arguments.units, arguments.corpus.seed, resolve_device(arguments.run.device)
    seeds = list(range(first, first + units.compare_seeds + 1))
    configuration = {
        "encoder": describe_encoder(units),
        "num_units": units.num_units,
        "normalization": units.unit_normalization,
        "fit_frames": units.fit_frames,
        "kmeans": units.kmeans,
        "seeds": seeds,
    }

    def build(folder: Path) -> None:
        models = _fit(arguments, run.utterances(), "frame", seeds, device)
        models[0].to(device)
        found, phones = held_out_units(models, run.utterances())
        by_seed = []
        for seed, model, sequences in zip(seeds, models, found):
            quality = unit_quality(sequences, phones, num_units=units.num_units)
            kept = {name: quality[name] for name in ("pnmi", "phone_purity", "cluster_purity", "units_used")}
            by_seed.append({"seed": seed, **{name: model.config.fit[name] for name in _FIT_MEASURES}, **kept})
        pairs = [
            {"seeds": [seeds[i], seeds[j]], **compare_units(found[i], found[j])}
            for i, j in combinations(range(len(seeds)), 2)
        ]
        columns = {name: [row[name] for row in by_seed] for name in ("inertia", "pnmi", "phone_purity")}
        columns |= {name: [row[name] for row in pairs] for name in ("nmi", "matched")}
        summary = {
            name: {"mean": fmean(values), "sd": stdev(values) if len(values) > 1 else None}
            for name, values in columns.items()
        }
        write_json(folder / SEEDS_FILE, {"summary": summary, "seeds": by_seed, "agreement": pairs})

    Stage(run.unit_seeds, 1, configuration, {"utterances": run.utterances()}).run(build, arguments.run.overwrite)
    return run.unit_seeds


def held_out_units(models: list, utterances: Path) -> tuple[list[list[np.ndarray]], list[list[str]]]:
    """Units of held-out audio by models that share an encoder, which reads it once; and its phones, frame by frame."""
    from ..models.speech_units.modeling_speech_units import nearest_centroids

    found: list[list[np.ndarray]] = [[] for _ in models]
    phones = []
    for shard in held_out_shards(utterances):
        for batch in pq.ParquetFile(shard).iter_batches(_ROWS_AT_A_TIME, columns=["audio", "speaker", "phones"]):
            rows = batch.to_pylist()
            audio = [decode_flac(row["audio"]["bytes"]) for row in rows]
            # Statistics are of the corpus, which the models have in common; only centroids differ.
            for row, features in zip(rows, models[0].extract_features(audio, [row["speaker"] for row in rows])):
                phones.append(phones_to_frames(row["phones"], len(features)))
                for sequences, model in zip(found, models):
                    centroids = model.centroids.double().to(features.device)
                    sequences.append(nearest_centroids(features, centroids)[0].cpu().numpy())
    return found, phones


def held_out_shards(utterances: Path) -> list[Path]:
    """The shards of the splits that train nothing."""
    return [shard for split in ("validation", "test") for shard in sorted(utterances.glob(f"{split}-*.parquet"))]


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
    arguments: Arguments,
    utterances: Path,
    model_dir: Path,
    device: str = "cpu",
    unit_of: str = "frame",
    report_progress=None,
) -> None:
    """
    Fit the quantizer on the training utterances and save it.

    Args:
        arguments ([`Arguments`]): Of the command.
        utterances (`Path`): The shards of utterances.
        model_dir (`Path`): Where to; the weights are written last.
        device (`str`, *optional*, defaults to `"cpu"`): Where the encoder runs.
        unit_of (`str`, *optional*, defaults to `"frame"`): What a unit describes, `"frame"` or `"syllable"`.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the frames are known only once read.
    """
    from ..models.speech_units import SpeechUnitProcessor

    (model,) = _fit(arguments, utterances, unit_of, [arguments.corpus.seed], device)
    SpeechUnitProcessor.from_config(model.config).save_pretrained(model_dir)
    model.save_pretrained(model_dir)


def _fit(arguments: Arguments, utterances: Path, unit_of: str, seeds: list[int], device: str) -> list:
    """A quantizer a seed of the training utterances."""
    from ..models.speech_units import fit_unit_seeds

    units, parts = arguments.units, arguments.units.segment_parts(unit_of)
    if units.is_ssl:
        encoder = {
            "ssl_model_id": units.encoder,
            "ssl_layer": units.encoder_layer,
            "ssl_revision": units.encoder_revision,
        }
    else:
        encoder = {"encoder": units.encoder}
    return fit_unit_seeds(
        read_audio_batches(sorted(utterances.glob("train-*.parquet")), with_syllables=parts > 0),
        seeds,
        num_units=units.codebook_size(unit_of),
        max_frames=units.fit_frames,
        normalization=units.unit_normalization,
        device=device,
        algorithm=units.kmeans,
        segment_parts=parts,
        **encoder,
    )


def read_audio_batches(shards: list[Path], with_syllables: bool = False) -> Iterator[tuple]:
    """
    Read utterances, a few at a time: memory does not grow.

    Args:
        shards (`list[Path]`): Shards of utterances.
        with_syllables (`bool`, *optional*, defaults to `False`): Whether to find their syllables as well.

    Yields:
        `tuple`: Waveforms (int16, 16 kHz), their speakers and, where asked for, the frames of each of their syllables.
    """
    columns = ["audio", "speaker"] + ["phones"] * with_syllables
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(_ROWS_AT_A_TIME, columns=columns):
            audio = [decode_flac(row["bytes"]) for row in batch["audio"].to_pylist()]
            syllables = (
                [
                    syllable_frames(phones_to_frames(phones, len(samples) // FRAME_SAMPLES))
                    for phones, samples in zip(batch["phones"].to_pylist(), audio)
                ]
                if with_syllables
                else None
            )
            speakers = batch["speaker"].to_pylist()
            yield (audio, speakers, syllables) if with_syllables else (audio, speakers)


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

    from ..models.speech_units import SpeechUnitModel

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
    for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=sorted(read)):
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


def measure_quality(utterances: Path, units: Path, num_units: int) -> dict:
    """PNMI, purity, use, runs and bit rate of the units against the phones, on the splits that trained nothing."""
    from ..models.speech_units import unit_quality

    rows = list(_read_held_out(utterances, units))
    sequences = [np.array(encoded["units"]) for _, encoded in rows]
    phones = [phones_to_frames(row["phones"], len(encoded["units"])) for row, encoded in rows]
    return _json_numbers(unit_quality(sequences, phones, num_units=num_units))


def measure_syllable_quality(utterances: Path, units: Path, num_units: int) -> dict:
    """PNMI, purity, use and rates of syllable units against syllables, on the splits that trained nothing."""
    from ..models.speech_units import unit_quality

    sequences, syllables, frames = [], [], 0
    for row, encoded in _read_held_out(utterances, units):
        sequences.append(np.array(encoded["units"]))
        names = syllable_names(phones_to_frames(row["phones"], sum(encoded["frames"])))
        syllables.append([name.translate(_WITHOUT_STRESS) for name in names])
        frames += sum(encoded["frames"])
    rate = sum(map(len, sequences)) / (frames * FRAME_SAMPLES / SAMPLE_RATE)
    quality = unit_quality(sequences, syllables, frame_rate=rate, num_units=num_units)
    kept = {
        "syllable_pnmi": quality["pnmi"],
        "syllable_pnmi_chance": unit_quality(sequences, _shuffled(syllables), num_units=num_units)["pnmi"],
        "syllable_purity": quality["phone_purity"],
        "syllable_purity_without_pauses": quality["phone_purity_without_silence"],
        "num_syllables": quality["num_frames"],
    }
    same = ("units_used", "perplexity", "units_per_second", "bits_per_second", "num_utterances")
    return _json_numbers(kept | {name: quality[name] for name in same})


def _shuffled(rows: list[list[str]]) -> list[list[str]]:
    """The same names in rows of the same lengths, in a random order."""
    names = np.array([name for row in rows for name in row])
    ends = np.cumsum([len(row) for row in rows])[:-1]
    return [part.tolist() for part in np.split(np.random.default_rng(0).permutation(names), ends)]


def _read_held_out(utterances: Path, units: Path) -> Iterator[tuple[dict, dict]]:
    """Utterances of the splits that trained nothing, and the rows of their units."""
    for shard in held_out_shards(utterances):
        rows = pq.read_table(shard, columns=["id", "phones"]).to_pylist()
        for row, encoded in zip(rows, pq.read_table(units / shard.name).to_pylist()):
            if row["id"] != encoded["id"]:
                raise ValueError(f"{shard.name}: units of {encoded['id']} beside the utterance {row['id']}.")
            yield row, encoded


def _syllables(phones: list[dict] | str, samples: np.ndarray) -> np.ndarray:
    """Frames of each syllable, from the aligned phones of an utterance or the phones of a pair's frames."""
    if isinstance(phones, str):
        return syllable_frames(phones.split())
    return syllable_frames(phones_to_frames(phones, len(samples) // FRAME_SAMPLES))


def _json_numbers(values: dict) -> dict:
    return {name: None if math.isnan(value) else float(value) for name, value in values.items()}
