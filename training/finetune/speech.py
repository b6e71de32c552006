"""Units of a task's utterances, clean and in noise.

task -> [`build_speech`] -> utterance shards; they and a quantizer -> [`build_task_units`] -> `<split>-*.parquet` of
`id` and `units` -> [`read_units`]; test utterances and signal-to-noise ratios -> [`build_noisy_units`] -> the same of
each noise.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...datasets_scripts.shards.reading import find_shards
from ...datasets_scripts.slu import SluTask, speak_task
from ...models.audio import decode_flac
from ...models.files import written_whole
from ...models.slu.pipeline import encode_audio
from ...models.transcriber.probe_sounds import add_babble, at_level, colored_noise, level_of
from ..external_units.quantizers import has_quantizer, is_external, load_quantizer, read_quantizer_config
from ..run.execution import Execution
from ..run.stage import STAGE_FILE, Stage, fingerprint, fingerprint_files, read_fingerprint
from ..run.workers import Job, run_jobs
from ..stages.units.encoding import encode_shard
from ..stages.units.quantizer import PACKAGES

WHITE, BABBLE = NOISES = ("white", "babble")
"""White noise, and eight other utterances of the test split at once."""
_ROWS_AT_A_TIME = 32
_BABBLE_FROM = 200  # utterances that a babble is drawn of


def check_quantizer(quantizer: Path) -> None:
    """
    Refuse what encodes no recording of anybody's.

    Raises:
        `FileNotFoundError`: If the folder holds no quantizer.
        `ValueError`: If it holds the units of somebody else's utterances, or needs aligned syllables.
    """
    if not has_quantizer(quantizer):
        raise FileNotFoundError(
            f"{quantizer} holds no quantizer; give its folder, such as RUN/units/speech_units/model (--quantizer)."
        )
    if is_external(quantizer):
        raise ValueError(f"{quantizer} holds units from elsewhere; speech is read by a speech-unit model of ours.")
    config = read_quantizer_config(quantizer)
    if config.segment_parts and config.segmentation is None:
        raise ValueError(f"The units of {quantizer} are of aligned syllables, which other recordings do not have.")


def check_speech(speech: Path, task: SluTask) -> None:
    """
    Refuse utterances of something else.

    Raises:
        `FileNotFoundError`: If there are no utterances.
        `ValueError`: If no example of a split is among them.
    """
    shards = find_shards(speech, ("id", "audio"))
    for split, examples in task.splits.items():
        files = shards.get(split, [])
        spoken = {name for file in files for name in pq.read_table(file, columns=["id"])["id"].to_pylist()}
        if not any(example.id in spoken for example in examples):
            raise ValueError(
                f"No example of the {split} split, {examples[0].id!r} for instance, is among the utterances of "
                f"{speech}; give the folder that the task was spoken into (--speech_dir), or none to have it spoken."
            )


def fingerprint_speech(folder: Path) -> str:
    """Sixteen hexadecimal digits for the utterances of a folder."""
    if (folder / STAGE_FILE).is_file():
        return read_fingerprint(folder)
    return fingerprint_files(folder, ("*.parquet",))


def build_speech(folder: Path, task: SluTask, seed: int, execution: Execution) -> None:
    """
    Speak a task by the project's synthesis: the test split in voices that no corpus has.

    Args:
        folder (`Path`): Where to.
        task ([`SluTask`]): The task.
        seed (`int`): Of voices, pitches and rates.
        execution ([`Execution`]): How it is done.
    """
    made_of = {"task": fingerprint([task.name, {name: list(map(asdict, rows)) for name, rows in task.splits.items()}])}
    Stage(folder, 1, made_of | {"seed": seed}, packages=("espeakng-loader",)).run(
        lambda partial: speak_task(task, partial, seed=seed, num_proc=execution.num_proc), execution.overwrite
    )


def build_task_units(folder: Path, quantizer: Path, speech: Path, precision: str, execution: Execution) -> None:
    """
    Encode a task's utterances.

    Args:
        folder (`Path`): Where to.
        quantizer (`Path`): The folder of a quantizer.
        speech (`Path`): Utterance shards by split.
        precision (`str`): Of an encoder with weights, `"fp32"` or `"bf16"`, which changes some units.
        execution ([`Execution`]): How it is done.

    Raises:
        `FileNotFoundError`: If there are no utterances.
    """
    shards = [Path(shard) for files in find_shards(speech, ("id", "audio")).values() for shard in files]

    def build(partial: Path) -> None:
        jobs = []
        for shard in shards:
            if not (partial / shard.name).exists():
                job = {"model_dir": quantizer, "shard": shard, "target": partial, "columns": ("audio",)}
                job |= {"device": execution.device, "precision": precision}
                jobs.append(Job(encode_shard, job, shard.stat().st_size))
        run_jobs(jobs, execution.device_workers, "units")

    made_of = {"quantizer": fingerprint_files(quantizer), "speech": fingerprint_speech(speech), "precision": precision}
    Stage(folder, 1, made_of, packages=PACKAGES).run(build, execution.overwrite)


def read_units(folder: Path, split: str) -> dict[str, np.ndarray]:
    """The units of each utterance of a split by its id; empty where the folder does not have the split."""
    found = {}
    for shard in find_shards(folder, ("id", "units")).get(split, ()):
        rows = pq.read_table(shard, columns=["id", "units"])
        found |= {row["id"]: np.array(row["units"], np.uint16) for row in rows.to_pylist()}
    return found


def noise_folder(folder: Path, noise: str, snr: float) -> Path:
    """Where the units of a noise and signal-to-noise ratio lie."""
    return folder / f"{noise}-{snr:g}"


def build_noisy_units(
    folder: Path, quantizer: Path, speech: Path, snrs: list[float], seed: int, execution: Execution
) -> None:
    """
    Encode test utterances in noise: `<noise>-<snr>/test-00000-of-00001.parquet`.

    Args:
        folder (`Path`): Where to.
        quantizer (`Path`): The folder of a quantizer.
        speech (`Path`): Utterance shards with a test split.
        snrs (`list[float]`): Energy of the utterance over that of the noise, in dB.
        seed (`int`): Of the noise; each utterance has its own, the same at every ratio.
        execution ([`Execution`]): How it is done.
    """
    shards = find_shards(speech, ("id", "speaker", "audio")).get("test", [])

    def build(partial: Path) -> None:
        model = load_quantizer(quantizer).to(execution.device)
        others = [
            (row["id"], decode_flac(row["audio"]["bytes"]) / 2**15)
            for row, _ in zip(_rows(shards), range(_BABBLE_FROM))
        ]
        for noise in NOISES:
            for snr in snrs:
                target = noise_folder(partial, noise, snr)
                target.mkdir(exist_ok=True)
                if (target / "test-00000-of-00001.parquet").is_file():
                    continue
                rows = {"id": [], "units": []}
                for row in _rows(shards):
                    audio = decode_flac(row["audio"]["bytes"]) / 2**15
                    noisy = add_noise(audio, noise, snr, row["id"], others, seed)
                    rows["id"].append(row["id"])
                    rows["units"] += encode_audio(model, [noisy], [row["speaker"]])
                table = {"id": rows["id"], "units": pa.array(rows["units"], pa.list_(pa.uint16()))}
                with written_whole(target / "test-00000-of-00001.parquet") as path:
                    pq.write_table(pa.table(table), path)

    made_of = {"quantizer": fingerprint_files(quantizer), "speech": fingerprint_speech(speech)}
    made_of |= {"snrs": list(snrs), "seed": seed}
    Stage(folder, 1, made_of, packages=PACKAGES).run(build, execution.overwrite)


def add_noise(
    audio: np.ndarray, noise: str, snr: float, name: str, others: list[tuple[str, np.ndarray]], seed: int
) -> np.ndarray:
    """
    An utterance in noise.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): Floating point in [-1, 1].
        noise (`str`): `"white"` or `"babble"`.
        snr (`float`): Energy of the utterance, pauses included, over that of the noise, in dB.
        name (`str`): The utterance's id, of which its noise is drawn.
        others (`list[tuple[str, np.ndarray]]`): Ids and samples of what a babble is drawn of; itself is left out.
        seed (`int`): Of the noise.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: float32 in [-1, 1]: as loud as before, or less where it would pass 1.

    Raises:
        `ValueError`: If there is no other utterance for a babble.
    """
    rng = np.random.default_rng([seed, int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)])
    if noise == WHITE:
        noisy = audio + at_level(colored_noise(len(audio), rng, 0), level_of(audio) - snr)
    else:
        voices = [samples for other, samples in others if other != name]
        if not voices:
            raise ValueError("A babble needs the utterances of others, and the test split has one; leave --snr out.")
        noisy = add_babble(audio, voices, rng, snr)
    return (noisy / max(1.0, float(np.abs(noisy).max()))).astype(np.float32)


def _rows(shards: list[str]) -> Iterator[dict]:
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(_ROWS_AT_A_TIME, columns=["id", "speaker", "audio"]):
            yield from batch.to_pylist()
