"""What a transcriber is trained on: a split's symbols of one modality with their times, beside the words.

utterance shards, and unit shards -> [`read_utterances`] -> [`SpokenUtterance`], whole or from one word to another.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ...datasets_scripts.phones.frames import num_frames, phones_to_frames
from ...datasets_scripts.shards.reading import find_shards
from ...models.audio import frame_samples_at
from ...models.phones import ARPABET

PHONE_MODALITIES = ("phone_raw", "phone_repeat")
UNIT_MODALITIES = ("speech_units", "speech_dedup")
_PHONE_IDS = {phone: index for index, phone in enumerate(ARPABET)}


@dataclass(frozen=True)
class SpokenUtterance:
    """
    An utterance as a transcriber reads it.

    Args:
        id (`str`): Its id.
        text (`str`): What is said.
        symbols (`np.ndarray` of shape `(num_symbols,)`): Ids of units or phones.
        middles (`np.ndarray` of shape `(num_symbols,)`): The middle of each symbol in seconds.
        words (`tuple[str, ...]`): The words of the text.
        borders (`np.ndarray` of shape `(num_words + 1,)`): Where the words meet, in the middle of the silence between
            two of them; the first is where the utterance begins, and the last where it ends.
    """

    id: str
    text: str
    symbols: np.ndarray
    middles: np.ndarray
    words: tuple[str, ...]
    borders: np.ndarray

    def cut(self, first: int, last: int) -> tuple[np.ndarray, str]:
        """
        A part of the utterance.

        Args:
            first (`int`): Number of its first word.
            last (`int`): Number of the word behind its last.

        Returns:
            `tuple[np.ndarray, str]`: Its symbols, those whose middle is between the borders, and its text.
        """
        start, end = np.searchsorted(self.middles, self.borders[[first, last]])
        return self.symbols[start:end], " ".join(self.words[first:last])

    def second_half(self) -> tuple[np.ndarray, str]:
        """The words behind the middle one: such a beginning as a continuation has."""
        return self.cut(len(self.words) // 2, len(self.words))


def read_utterances(
    folder: Path, split: str, modality: str, frame_rate: float, units_folder: Path | None = None
) -> list[SpokenUtterance]:
    """
    Read a split.

    Args:
        folder (`Path`): Utterance shards.
        split (`str`): `"train"`, `"validation"` or `"test"`.
        modality (`str`): One of `UNIT_MODALITIES` or `PHONE_MODALITIES`.
        frame_rate (`float`): Units, or frames of repeated phones, a second.
        units_folder (`Path`, *optional*): The unit shards beside them, for a modality of units.

    Returns:
        `list[SpokenUtterance]`

    Raises:
        `FileNotFoundError`: If there are no utterances of the split, or no units of them.
        `ValueError`: If units and utterances are not of the same rows.
    """
    columns = ["id", "text", "words", "phones", "duration"]
    shards = find_shards(folder, columns).get(split)
    if not shards:
        raise FileNotFoundError(f"There are no {split} utterances in {folder}; make them first.")
    return [
        utterance
        for shard in shards
        for utterance in _read_shard(Path(shard), columns, modality, frame_rate, units_folder)
    ]


def _read_shard(
    shard: Path, columns: list[str], modality: str, frame_rate: float, units_folder: Path | None
) -> Iterator[SpokenUtterance]:
    units: dict[str, list[int]] = {}
    if units_folder is not None:
        if not (units_folder / shard.name).is_file():
            raise FileNotFoundError(f"There are no units of {shard.name} in {units_folder}; run fit-units first.")
        units = {row["id"]: row["units"] for row in pq.read_table(units_folder / shard.name).to_pylist()}
    for row in pq.read_table(shard, columns=columns).to_pylist():
        if units_folder is not None and row["id"] not in units:
            raise ValueError(f"{shard.name}: there are no units of the utterance {row['id']}; run fit-units again.")
        symbols, middles = _symbols_of(row, modality, frame_rate, units.get(row["id"]))
        words = tuple(word["word"] for word in row["words"])
        yield SpokenUtterance(row["id"], row["text"], symbols, middles, words, _borders(row["words"]))


def _symbols_of(
    row: dict[str, Any], modality: str, frame_rate: float, units: list[int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the symbols of an utterance, and the middle of each in seconds."""
    if modality == "phone_raw":
        middles = np.array([(phone["start"] + phone["end"]) / 2 for phone in row["phones"]])
        return np.array([_PHONE_IDS[phone["phone"]] for phone in row["phones"]], np.int64), middles
    if modality == "phone_repeat":
        frame_samples = frame_samples_at(frame_rate)
        frames = num_frames(row["duration"], frame_samples)
        symbols = np.array([_PHONE_IDS[phone] for phone in phones_to_frames(row["phones"], frames, frame_samples)])
    else:
        symbols = np.array(units, np.int64)
    return symbols, (np.arange(len(symbols)) + 0.5) / frame_rate


def _borders(words: list[dict[str, Any]]) -> np.ndarray:
    between = [(word["end"] + following["start"]) / 2 for word, following in zip(words, words[1:])]
    return np.array([-np.inf, *between, np.inf])
