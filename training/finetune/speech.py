"""Units of a task's utterances, clean, in noise and as others say them.

task -> [`build_speech`] -> utterance shards; they and a quantizer -> [`build_task_units`] -> `<split>-*.parquet` of
`id` and `units` -> [`read_units`]; test utterances and signal-to-noise ratios -> [`build_noisy_units`] -> the same of
each noise; the test split in other speech ([`build_other_speech`]) -> [`build_other_units`] -> the same of that.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial as partial_of
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...datasets_scripts.shards.reading import find_shards
from ...datasets_scripts.slu import SluTask, speak_task
from ...datasets_scripts.slu.spoken import TASK_FILE, VOICES
from ...datasets_scripts.synthesis.by_name import (
    ESPEAK,
    describe_synthesis,
    has_many_voices,
    is_synthesizer,
    label_synthesizer,
    load_synthesizer,
    synthesis_packages,
)
from ...models.audio import SAMPLE_RATE, decode_flac
from ...models.files import written_whole
from ...models.pipelines.audio_prompts import cut_edges
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
_TEST_SHARD = "test-00000-of-00001.parquet"


def check_quantizer(quantizer: Path) -> None:
    """
    Refuse what encodes no recording of anybody's.

    Raises:
        `FileNotFoundError`: If the folder holds no quantizer.
        `ValueError`: If it is a table of a run's own utterances, or needs aligned syllables.
    """
    if not has_quantizer(quantizer):
        raise FileNotFoundError(
            f"{quantizer} holds no quantizer; give its folder, such as RUN/units/speech_units/model (--quantizer)."
        )
    config = read_quantizer_config(quantizer)
    if getattr(config, "kind", None) == "table":
        raise ValueError(
            f"{quantizer} holds a table of the units of a run's own utterances, which has none of a task's speech; "
            "give a quantizer that can hear: a function, a codec or a speech-unit model (--quantizer)."
        )
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
        spoken = _ids(shards.get(split, []))
        if not any(example.id in spoken for example in examples):
            raise ValueError(
                f"No example of the {split} split, {examples[0].id!r} for instance, is among the utterances of "
                f"{speech}; give the folder that the task was spoken into (--speech_dir), or none to have it spoken."
            )


def is_spoken_task(speech: Path) -> bool:
    """Whether utterances are known to be of the project's synthesis."""
    return (speech / TASK_FILE).is_file()


def name_other_speech(sources: Sequence[str], task: SluTask) -> dict[str, str]:
    """
    What other speech of a test split is called in reports, folders and files.

    Args:
        sources (`Sequence[str]`): Each a synthesizer, or a folder of utterance shards.
        task ([`SluTask`]): The task.

    Returns:
        `dict[str, str]`: The sources by name: of a synthesizer `espeak` or its voice, else the folder's.

    Raises:
        `FileNotFoundError`: If there is no such voice, or no utterances.
        `ValueError`: If a voice cannot speak, two have one name, or less than two examples of the test split are among
            the utterances.
    """
    named: dict[str, str] = {}
    for source in sources:
        if is_synthesizer(source):
            load_synthesizer(source)  # a voice that cannot speak is refused here, before it is its turn
            name = label_synthesizer(source)
        else:
            name = Path(source).absolute().name
            spoken = _ids(find_shards(Path(source), ("id", "speaker", "audio")).get("test", []))
            there = sum(example.id in spoken for example in task.splits["test"])
            if there < 2:
                raise ValueError(
                    f"{there or 'None'} of the {len(task.splits['test'])} examples of the test split, "
                    f"{task.splits['test'][0].id!r} for instance, is among the test utterances of {source}; "
                    "give shards of utterances with their ids (--test_speech)."
                )
        if named.setdefault(name, source) != source:
            raise ValueError(f"{named[name]} and {source} would both be called {name}; rename one (--test_speech).")
    return named


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


def build_other_speech(folder: Path, source: str, task: SluTask, seed: int, execution: Execution) -> Path:
    """
    Have a test split spoken by another synthesizer.

    Args:
        folder (`Path`): Where to.
        source (`str`): A synthesizer, which speaks in all of its voices, or, of espeak, in held-out ones; a folder of
            utterances is there already.
        task ([`SluTask`]): The task.
        seed (`int`): Of voices, pitches and rates.
        execution ([`Execution`]): How it is done.

    Returns:
        `Path`: The folder of the utterances.
    """
    if not is_synthesizer(source):
        return Path(source)
    voices = VOICES["test"] if source == ESPEAK else "many" if has_many_voices(source) else "one"
    alone = replace(task, splits={"train": [], "validation": [], "test": task.splits["test"]})
    made_of = {"task": fingerprint([task.name, list(map(asdict, task.splits["test"]))]), "seed": seed}
    made_of |= {"voices": voices, "synthesis": describe_synthesis(voices, source)}

    def build(partial: Path) -> None:
        given = dict.fromkeys(alone.splits, voices)
        speak_task(alone, partial, given, seed=seed, synthesizer=source, num_proc=execution.num_proc)

    Stage(folder, 1, made_of, packages=synthesis_packages(source)).run(build, execution.overwrite)
    return folder


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

    made_of = {"quantizer": _describe(quantizer), "speech": fingerprint_speech(speech), "precision": precision}
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
        others = [(name, audio) for (name, _, audio), _ in zip(_utterances(shards), range(_BABBLE_FROM))]
        for noise in NOISES:
            for snr in snrs:
                target = noise_folder(partial, noise, snr)
                target.mkdir(exist_ok=True)
                if not (target / _TEST_SHARD).is_file():
                    noisy = partial_of(add_noise, noise=noise, snr=snr, others=others, seed=seed)
                    _write_units(target, model, shards, noisy)

    made_of = {"quantizer": _describe(quantizer), "speech": fingerprint_speech(speech)}
    made_of |= {"snrs": list(snrs), "seed": seed}
    Stage(folder, 1, made_of, packages=PACKAGES).run(build, execution.overwrite)


def build_other_units(folder: Path, quantizer: Path, speech: Path, cut: bool, execution: Execution) -> None:
    """
    Encode the test utterances of other speech.

    Args:
        folder (`Path`): Where to.
        quantizer (`Path`): The folder of a quantizer.
        speech (`Path`): Utterance shards with a test split.
        cut (`bool`): Whether to cut silence at their ends to what the project's synthesis has there, as
            [`~evoslm.models.slu.SluPipeline`] does with recordings.
        execution ([`Execution`]): How it is done.
    """
    shards = find_shards(speech, ("id", "speaker", "audio"))["test"]

    def build(partial: Path) -> None:
        model = load_quantizer(quantizer).to(execution.device)
        _write_units(partial, model, shards, lambda audio, name: cut_edges(audio, SAMPLE_RATE) if cut else audio)

    made_of = {"quantizer": _describe(quantizer), "speech": fingerprint_speech(speech), "cut": cut}
    Stage(folder, 1, made_of, packages=PACKAGES).run(build, execution.overwrite)


def add_noise(
    audio: np.ndarray, name: str, noise: str, snr: float, others: list[tuple[str, np.ndarray]], seed: int
) -> np.ndarray:
    """
    An utterance in noise.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): Floating point in [-1, 1].
        name (`str`): The utterance's id, of which its noise is drawn.
        noise (`str`): `"white"` or `"babble"`.
        snr (`float`): Energy of the utterance, pauses included, over that of the noise, in dB.
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


def _describe(quantizer: Path) -> str | dict[str, Any]:
    """What decides the units of a quantizer's folder; of a function not where it lies."""
    return read_quantizer_config(quantizer).describe() if is_external(quantizer) else fingerprint_files(quantizer)


def _write_units(folder: Path, model, shards: list[str], change: Callable[[np.ndarray, str], np.ndarray]) -> None:
    """The units of utterances, each changed first, as the test split of a folder."""
    ids, units = [], []
    for name, speaker, audio in _utterances(shards):
        ids.append(name)
        units += encode_audio(model, [change(audio, name)], [speaker])
    table = pa.table({"id": ids, "units": pa.array(units, pa.list_(pa.uint16()))})
    with written_whole(folder / _TEST_SHARD) as path:
        pq.write_table(table, path)


def _utterances(shards: list[str]) -> Iterator[tuple[str, str, np.ndarray]]:
    """The id, the speaker and the samples of each, in [-1, 1]."""
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(_ROWS_AT_A_TIME, columns=["id", "speaker", "audio"]):
            for row in batch.to_pylist():
                yield row["id"], row["speaker"], decode_flac(row["audio"]["bytes"]) / 2**15


def _ids(shards: Sequence[str]) -> set[str]:
    return {name for shard in shards for name in pq.read_table(shard, columns=["id"])["id"].to_pylist()}
