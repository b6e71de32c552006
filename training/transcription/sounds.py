"""What is transcribed: recordings of a folder, utterances of shards, or a run's units as vocoders say them.

folder or run -> [`find_sounds`] or [`resynthesize`] -> [`Sounds`], which are decoded one by one when they are asked.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from transformers import AutoConfig, AutoModel

from ...datasets_scripts.recordings.audio_files import AUDIO_SUFFIXES
from ...datasets_scripts.recordings.reading import read_waveform
from ...datasets_scripts.recordings.sources import read_audio_folder
from ...datasets_scripts.shards.reading import find_shards, fingerprint_shards
from ...models.audio import decode_flac
from ...models.speech_units import SpeechUnitModel
from ...models.speech_units.identity import HASH_KEY, check_same_quantizer, quantizer_hash
from ...models.vocoder import CodebookVocoder
from ..external_units.quantizers import is_external, read_quantizer_config
from ..run.folder import MODEL_FOLDER, Run
from ..run.stage import STAGE_FILE, check_inputs, fingerprint_files, read_fingerprint

CODEBOOK = "codebook"
"""The vocoder that is read off a run's quantizer, and needs no training."""
TABLES = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
_READ_OFF = 200  # training utterances that the table of the codebook's vocoder is made of, and the first of each voice


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
        files (`Sequence[tuple[str, bool]]`, *optional*): Of recordings, in their order, each one's id and whether its
            file is there.
    """

    fingerprint: str
    read: Callable[[], Iterator[Sound]]
    files: Sequence[tuple[str, bool]] = ()


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
    states = [_state_of(path) for _, path in sounds]
    said = repr([(sound.id, sound.text, state) for (sound, _), state in zip(sounds, states)])
    files = [(sound.id, state is not None) for (sound, _), state in zip(sounds, states)]
    return Sounds(hashlib.sha256(said.encode()).hexdigest()[:16], lambda: iter([sound for sound, _ in sounds]), files)


def _state_of(path: Path) -> tuple[int, int] | None:
    """Size and time of change of a file, as the fingerprint of shards has them; `None` where there is none."""
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None


def resynthesize(run: Run, split: str, vocoder: str, device: str = "cpu") -> Sounds:
    """
    A run's utterances as a vocoder says their units.

    Args:
        run ([`Run`]): A run with utterances and units of frames.
        split (`str`): The split.
        vocoder (`str`): The folder of a vocoder of these units, or `"codebook"`, which is read off the quantizer and
            the audio of some training utterances.
        device (`str`, *optional*, defaults to `"cpu"`): Where it runs.

    Returns:
        [`Sounds`]

    Raises:
        `FileNotFoundError`: If the run has no utterances or units of the split, or there is no such vocoder.
        `ValueError`: If the vocoder is of other units than the run's.
    """
    units_folder = run.units() / "utterances"
    shards = _shards_of(run.utterances(), split)
    fingerprint = f"{read_fingerprint(run.utterances())} {read_fingerprint(units_folder)} {split}"
    _check_vocoder(run, vocoder)
    if identity := identify_vocoder(run, vocoder):
        fingerprint += f" {identity}"

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


def _check_vocoder(run: Run, vocoder: str) -> None:
    """Refuse a vocoder that is not there, or not of the run's units."""
    quantizer = run.units() / MODEL_FOLDER
    if vocoder == CODEBOOK:
        if is_external(quantizer):
            raise ValueError(
                f"{CODEBOOK} is read off a quantizer, and {run.folder} has units that --units brought; give the "
                "folder of a vocoder that was trained on them, which `evoslm train-vocoder` makes."
            )
        return
    if not (Path(vocoder) / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"There is no vocoder in {vocoder}; `evoslm train-vocoder` makes one, or give {CODEBOOK}."
        )
    check_inputs(Path(vocoder), "quantizer", quantizer)
    config, num_units = AutoConfig.from_pretrained(vocoder), read_quantizer_config(quantizer).num_units
    if config.num_units != num_units:
        raise ValueError(
            f"The vocoder {vocoder} is one of {config.num_units} units, and the run's quantizer has {num_units}; give "
            "one that was trained on this run."
        )
    if hasattr(config, HASH_KEY) and not is_external(quantizer):
        own = quantizer_hash(SpeechUnitModel.from_pretrained(quantizer))
        check_same_quantizer(config, {HASH_KEY: own, "_name_or_path": str(quantizer)})


def identify_vocoder(run: Run, vocoder: str) -> str | None:
    """
    What tells a vocoder from others of the same units.

    Args:
        run ([`Run`]): The run.
        vocoder (`str`): `CODEBOOK`, or the folder of one that was trained on the run's units.

    Returns:
        `str`, *optional*: Of its files; `None` of one that is read off the quantizer, of which there is but one.
    """
    if vocoder != CODEBOOK:
        return fingerprint_files(Path(vocoder))
    # Once, there was nothing in it of voices that are not among the first utterances.
    return "every voice" if read_quantizer_config(run.units() / MODEL_FOLDER).speakers else None


def load_vocoder(run: Run, vocoder: str):
    """
    What makes sound of a run's units.

    Args:
        run ([`Run`]): The run.
        vocoder (`str`): `CODEBOOK`, or the folder of one that was trained on the run's units.

    Returns:
        [`~evoslm.models.vocoder.UnitVocoder`]

    Raises:
        `FileNotFoundError`, `ValueError`: If the run has no quantizer, there is no such vocoder, or it is of another
            quantizer.
    """
    _check_vocoder(run, vocoder)
    if vocoder == CODEBOOK:
        quantizer = SpeechUnitModel.from_pretrained(run.units() / MODEL_FOLDER)
        spoken = _spoken(_shards_of(run.utterances(), "train"), quantizer.config.speakers)
        return CodebookVocoder.from_quantizer(quantizer, audio=spoken)
    return AutoModel.from_pretrained(vocoder, use_safetensors=True).eval()


def _spoken(shards: list[str], speakers: Sequence[str]) -> Iterator[tuple[list[np.ndarray], list[str]]]:
    """The first training utterances with their speakers, one by one, and the first of each speaker besides."""
    files = map(pq.ParquetFile, shards)
    batches = (batch for file in files for batch in file.iter_batches(32, columns=["audio", "speaker"]))
    unheard = set(speakers)
    for number, row in enumerate(row for batch in batches for row in batch.to_pylist()):
        if number >= _READ_OFF and not unheard:
            return
        if number < _READ_OFF or row["speaker"] in unheard:
            unheard.discard(row["speaker"])
            yield [decode_flac(row["audio"]["bytes"])], [row["speaker"]]


@torch.no_grad()
def _say(model, units: list[int], speaker: str) -> np.ndarray:
    return (model.waveforms([np.array(units)], [speaker])[0] * 2**15).clip(-(2**15), 2**15 - 1).astype(np.int16)
