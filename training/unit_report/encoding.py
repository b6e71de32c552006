"""Recordings as the report's quantizers write them: which quantizers there are, and the units of each.

a quantizer or none, recordings -> [`make_quantizers`] -> models by normalisation, which share an encoder ->
[`encode_recordings`] -> the units of each recording by normalisation, beside its words, phones and speaker.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...datasets_scripts.phones.frames import phones_to_frames
from ...datasets_scripts.text.words import words_of
from ...models.speech_units.features import check_audio
from ..external_units.callables import CallableUnits
from ..external_units.quantizers import is_external, load_quantizer
from ..external_units.tables import TableUnits
from .sources import MeasuredRecording

# What is known of a new speaker from so many recordings changes little with more of them.
_RECORDINGS_PER_NEW_SPEAKER = 10


class WordToken(NamedTuple):
    """A word as it was said: in which recording, as it is compared, and the frames that it has, at least one."""

    recording: int
    word: str
    first: int
    last: int


@dataclass
class EncodedRecordings:
    """
    Recordings with what was said in them, and the units of each.

    Args:
        frame_rate (`float`): Frames a second.
        units (`dict[str, list[np.ndarray]]`): By normalisation, a unit a frame of each recording.
        words (`list[str]`): Every word of all recordings, as words are compared.
        tokens (`list[WordToken]`): Those of them that are compared.
        phones (`list[list[str]]`): The phone of each frame of each recording; none where it has no phones.
        aligned (`list[list[dict]]`): The same as `{"phone", "start", "end"}` in seconds.
        speakers (`list[str]`): Of each recording.
        documents (`list[str]`): Of each recording.
    """

    frame_rate: float
    units: dict[str, list[np.ndarray]]
    words: list[str] = field(default_factory=list)
    tokens: list[WordToken] = field(default_factory=list)
    phones: list[list[str]] = field(default_factory=list)
    aligned: list[list[dict]] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)

    def add(self, row: MeasuredRecording, num_frames: int, hop_length: int) -> None:
        """Take in what was said in a recording, of which words without letters or beyond its end are not compared."""
        for word in row.words:
            spelled = spelled_alike(word["word"])
            first, last = frames_of(word, self.frame_rate)
            if spelled and 0 <= first < num_frames:
                self.tokens.append(WordToken(len(self.speakers), spelled, first, last))
            self.words.append(spelled)
        self.aligned.append(row.phones)
        self.phones.append(phones_to_frames(row.phones, num_frames, hop_length) if row.phones else [])
        self.speakers.append(row.speaker)
        self.documents.append(row.document)


def spelled_alike(word: str) -> str:
    """A word as it is compared with others: in lower case, without marks; the empty string if nothing is left."""
    return "".join(words_of(word.lower()))


def open_quantizer(folder: str | Path):
    """The speech-unit model that is to be measured."""
    from ...models.speech_units import SpeechUnitModel

    if is_external(folder):
        return load_quantizer(folder)
    if not (Path(folder) / "model.safetensors").is_file():
        raise FileNotFoundError(f"There is no speech-unit model in {folder}; give the folder of one.")
    model = SpeechUnitModel.from_pretrained(folder)
    if model.config.segment_parts and model.config.segmentation is None:
        raise ValueError(f"{folder} quantizes segments that it does not find; give one of frames, or one that does.")
    return model


@contextmanager
def threads_for(given) -> Iterator[None]:
    """
    One thread, unless an encoder has layers to compute: threads that wait for one another over the few frames of a
    word take many times the processor time that the frames do.
    """
    import torch

    num_threads = torch.get_num_threads()
    if given is None or given.config.pretrained is None:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def make_quantizers(given, batches: Iterator, num_units: int, normalizations: Sequence[str], max_frames, seed) -> dict:
    """The quantizers by normalisation, the given one first; the others are fitted with its encoder."""
    from ...models.speech_units import fit_unit_normalizations

    models = {} if given is None else {given.config.normalization: given}
    if isinstance(given, (CallableUnits, TableUnits)):  # of which nothing can be fitted
        return models
    missing = [normalization for normalization in dict.fromkeys(normalizations) if normalization not in models]
    if missing:
        spoken = (([row.audio for row in batch], [row.speaker for row in batch]) for batch in batches)
        models |= fit_unit_normalizations(spoken, missing, num_units, seed, max_frames, given)
    return models


def add_strangers(models: dict, given, read: Callable, documents: set[str]) -> str | None:
    """
    Measure the speakers that a quantizer normalises by and does not know.

    Args:
        models (`dict`): The quantizers by normalisation.
        given ([`SpeechUnitModel`], *optional*): The one among them that was not fitted here.
        read (`Callable`): Gives the recordings of some documents.
        documents (`set[str]`): Which.

    Returns:
        `str`, *optional*: Why that quantizer was taken out of `models`: somebody is too short to be measured.

    Raises:
        `ValueError`: If somebody is, and the quantizer was given or there is no other.
    """
    if (model := models.get("speaker")) is None:
        return None
    strangers: dict[str, list[np.ndarray]] = {}
    for row in (row for batch in read(documents) for row in batch):
        if row.speaker not in model.config.speakers:
            audio = strangers.setdefault(row.speaker, [])
            if len(audio) < _RECORDINGS_PER_NEW_SPEAKER:
                audio.append(row.audio)
    try:
        for speaker, audio in strangers.items():
            model.add_speaker(speaker, audio)
    except ValueError as error:
        if model is given:
            raise
        if len(models) == 1:
            raise ValueError(
                f"Units cannot be normalised by speaker here; choose --normalizations none: {error}"
            ) from error
        del models["speaker"]
        return str(error)
    return None


def encode_recordings(models: dict, batches: Iterable[list[MeasuredRecording]]) -> EncodedRecordings:
    """Recordings as each quantizer writes them."""
    config = next(iter(models.values())).config
    recordings = EncodedRecordings(config.frame_rate, units={normalization: [] for normalization in models})
    for batch in batches:
        encoded = encode_batch(models, batch)
        for normalization, units in encoded.items():
            recordings.units[normalization] += units
        for row, units in zip(batch, next(iter(encoded.values()))):
            recordings.add(row, len(units), config.hop_length)
    return recordings


def encode_batch(models: dict, batch: list[MeasuredRecording]) -> dict[str, list[np.ndarray]]:
    """Units of some recordings by each quantizer; the encoder that they share hears them once."""
    first, speakers = next(iter(models.values())), [row.speaker for row in batch]
    if isinstance(first, (CallableUnits, TableUnits)):
        units = first.units([row.audio for row in batch], names=[row.name for row in batch])
        return {first.config.normalization: [row.astype(np.int64) for row in units]}
    audio = [check_audio(row.audio, first.config.hop_length, row.document) for row in batch]
    frames, segments = first.encoder(audio), first.find_segments(audio) if first.config.segment_parts else None
    found = {name: model.units_of_frames(frames, speakers, segments) for name, model in models.items()}
    if segments is not None:
        found = {name: [np.repeat(*row) for row in zip(rows, segments)] for name, rows in found.items()}
    return {name: [units.astype(np.int64) for units in rows] for name, rows in found.items()}


def frames_of(word: dict, frame_rate: float) -> tuple[int, int]:
    """First and last frame of a word: those between its rounded times, at least one."""
    first = round(word["start"] * frame_rate)
    return first, max(first, round(word["end"] * frame_rate) - 1)
