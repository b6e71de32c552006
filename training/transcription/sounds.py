"""What is transcribed: recordings of a folder, utterances of shards, or a run's units as vocoders say them.

folder or run -> [`find_sounds`] or [`resynthesize`] -> [`Sounds`], which are decoded one by one when they are asked.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from ...datasets_scripts.recordings.audio_files import AUDIO_SUFFIXES
from ...datasets_scripts.recordings.reading import read_waveform
from ...datasets_scripts.recordings.sources import read_audio_folder
from ...datasets_scripts.shards.reading import find_shards, fingerprint_shards
from ...models.audio import decode_flac
from ...models.speech_units import SpeechUnitModel
from ...models.vocoder import CodebookVocoder
from ..run.folder import MODEL_FOLDER, Run
from ..run.stage import STAGE_FILE, fingerprint_files, read_fingerprint

CODEBOOK = "codebook"
"""The vocoder that is read off a run's quantizer, and needs no training."""
TABLES = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
_READ_OFF = 200  # training utterances that the table of the codebook's vocoder is made of


@dataclass(frozen=True)
class Sound:
    """
    Speech that is to be transcribed.

    Args:
        id (`str`): Unique among those that are transcribed together.
        text (`str`): What is said, `""` where nobody says.
        decode (`Callable[[], np.ndarray]`): Gives int16 samples at 16 kHz, or raises a `ValueError` that says why not.
    """

    id: str
    text: str
    decode: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Sounds:
    """
    Sounds of one kind.

    Args:
        fingerprint (`str`): Of what they are read from.
        read (`Callable[[], Iterator[Sound]]`): Begins to go through them.
    """

    fingerprint: str
    read: Callable[[], Iterator[Sound]]


def find_sounds(folder: Path, split: str) -> Sounds:
    """
    The sounds of a folder.

    Args:
        folder (`Path`): Utterance shards; or recordings in any format that libsndfile reads, with their transcripts as
            [`read_audio_folder`] finds them, or without.
        split (`str`): Of shards, the split.

    Returns:
        [`Sounds`]

    Raises:
        `FileNotFoundError`: If there is no such folder, nothing in it can be heard, or it has no such split.
        `ValueError`: If a file of transcripts or a shard cannot be read.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; give one of recordings or of utterance shards.")
    if any(folder.glob("*.parquet")):
        is_stage = (folder / STAGE_FILE).is_file()
        fingerprint = read_fingerprint(folder) if is_stage else fingerprint_shards(folder)
        return Sounds(f"{fingerprint} {split}", partial(_read_utterances, _shards_of(folder, split)))
    sounds = list(_find_recordings(folder))
    if not sounds:
        raise FileNotFoundError(f"There are no recordings in {folder}; give a folder of audio files or of shards.")
    said = repr([(sound.id, sound.text, path.stat().st_size if path.is_file() else None) for sound, path in sounds])
    return Sounds(hashlib.sha256(said.encode()).hexdigest()[:16], lambda: iter([sound for sound, _ in sounds]))


def resynthesize(run: Run, split: str, vocoder: str, device: str = "cpu") -> Sounds:
    """
    A run's utterances as a vocoder says their units.

    Args:
        run ([`Run`]): A run with utterances and units of frames.
        split (`str`): The split.
        vocoder (`str`): The folder of a vocoder, or `"codebook"`, which is read off the quantizer and the audio of
            some training utterances.
        device (`str`, *optional*, defaults to `"cpu"`): Where it runs.

    Returns:
        [`Sounds`]

    Raises:
        `FileNotFoundError`: If the run has no utterances or units of the split, or there is no such vocoder.
        `ValueError`: If the vocoder was made for another number of units.
    """
    units_folder = run.units() / "utterances"
    shards = _shards_of(run.utterances(), split)
    fingerprint = f"{read_fingerprint(run.utterances())} {read_fingerprint(units_folder)} {split}"
    if vocoder != CODEBOOK:
        fingerprint += f" {_fingerprint_vocoder(vocoder)}"

    def read() -> Iterator[Sound]:
        model = load_vocoder(run, vocoder).to(device)
        for shard in shards:
            rows = pq.read_table(shard, columns=["id", "text", "speaker"]).to_pylist()
            units = pq.read_table(units_folder / Path(shard).name, columns=["id", "units"])
            by_id = dict(zip(units["id"].to_pylist(), units["units"].to_pylist()))
            for row in rows:
                yield Sound(row["id"], row["text"], partial(_say, model, by_id[row["id"]], row["speaker"]))

    return Sounds(fingerprint, read)


def _shards_of(folder: Path, split: str) -> list[str]:
    shards = find_shards(folder, ("id", "text", "audio"))
    if split not in shards:
        raise FileNotFoundError(f"{folder} has no {split} utterances, only {', '.join(shards)}; give --split.")
    return shards[split]


def _read_utterances(shards: list[str]) -> Iterator[Sound]:
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(32, columns=["id", "text", "audio"]):
            for row in batch.to_pylist():
                yield Sound(row["id"], row["text"], partial(decode_flac, row["audio"]["bytes"]))


def _find_recordings(folder: Path) -> Iterator[tuple[Sound, Path]]:
    """Recordings in order, with their files; with their texts, if there are tables of those."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if any(path.name.lower() in TABLES or path.name.endswith(".trans.txt") for path in files):
        for recording in read_audio_folder(folder):
            path = Path(recording.path)
            decode = partial(read_waveform, path, path.name or recording.id)
            yield Sound(recording.id, recording.text, decode), path
    else:
        for path in files:
            if path.suffix.lower() in AUDIO_SUFFIXES:
                name = path.relative_to(folder).as_posix()
                yield Sound(name, "", partial(read_waveform, path, name)), path


def _fingerprint_vocoder(vocoder: str) -> str:
    if not (Path(vocoder) / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"There is no vocoder in {vocoder}; `evoslm train-vocoder` makes one, or give {CODEBOOK}."
        )
    return fingerprint_files(Path(vocoder))


def load_vocoder(run: Run, vocoder: str):
    """
    What makes sound of a run's units.

    Args:
        run ([`Run`]): The run.
        vocoder (`str`): `CODEBOOK`, or the folder of one that was trained on the run's units.

    Returns:
        [`~evoslm.models.vocoder.UnitVocoder`]

    Raises:
        `FileNotFoundError`, `ValueError`: If the run has no quantizer, or the vocoder is of another one.
    """
    quantizer = SpeechUnitModel.from_pretrained(run.units() / MODEL_FOLDER)
    if vocoder == CODEBOOK:
        shards = _shards_of(run.utterances(), "train")
        return CodebookVocoder.from_quantizer(quantizer, audio=_spoken(shards))
    from transformers import AutoModel

    model = AutoModel.from_pretrained(vocoder, use_safetensors=True).eval()
    if model.config.num_units != quantizer.config.num_units:
        raise ValueError(
            f"The vocoder {vocoder} is one of {model.config.num_units} units, and the run's quantizer has "
            f"{quantizer.config.num_units}; give one that was trained on this run."
        )
    return model


def _spoken(shards: list[str]) -> Iterator[tuple[list[np.ndarray], list[str]]]:
    """Training utterances with their speakers, one by one."""
    rows = (row for shard in shards for row in pq.read_table(shard, columns=["audio", "speaker"]).to_pylist())
    for row in islice(rows, _READ_OFF):
        yield [decode_flac(row["audio"]["bytes"])], [row["speaker"]]


@torch.no_grad()
def _say(model, units: list[int], speaker: str) -> np.ndarray:
    return (model.waveforms([np.array(units)], [speaker])[0] * 2**15).clip(-(2**15), 2**15 - 1).astype(np.int16)
