"""When each token of an utterance begins, and where its words do.

ids of a split + its utterances (+ their units) -> [`TimedUtterance`]: tokens, or runs of equal ones, with the time at
which each begins, and between its pauses the boundaries of words. Of letters a "time" is how many stand before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ....datasets_scripts.phones.frames import num_frames
from ....datasets_scripts.shards.reading import find_shards
from ....models.audio import SAMPLE_RATE
from ....models.modalities import SYLLABLES, Modality
from ....models.speech_units.runs import run_starts
from ....models.tokenizers.text import letters_of
from ...pretrain.data import TokenizedUtterances

_COLUMNS = ["id", "document", "duration", "words", "phones"]
MOST_UTTERANCES = 1000
"""Utterances of a split that are read, at most."""
_NO_PAUSE = 1e-3
"""Seconds between two words that are no pause, but rounding."""


@dataclass(frozen=True)
class TimedUtterance:
    """
    An utterance as a model reads it, with the times of what it reads.

    Args:
        id (`str`): Its id.
        document (`str`): What it stays together with when others are drawn.
        ids (`np.ndarray` of shape `(tokens,)`): Its tokens, without `<s>` and `</s>`.
        places (`np.ndarray` of shape `(candidates,)`): Where in them something begins that may be a word: each token,
            or each run of equal ones where a sound is several.
        starts (`np.ndarray` of shape `(candidates,)`): When it begins, in seconds; of letters, how many stand before.
        stretches (`list[tuple[float, float]]`): What lies between pauses, from the first word to the end of the last.
        boundaries (`np.ndarray`): Where a word begins within a stretch, its first word apart.
    """

    id: str
    document: str
    ids: np.ndarray
    places: np.ndarray
    starts: np.ndarray
    stretches: list[tuple[float, float]]
    boundaries: np.ndarray


def read_timed_utterances(
    tokenizer: Path, utterances: Path, units: Path | None, modality: Modality, frame_samples: float, split: str
) -> tuple[list[TimedUtterance], int]:
    """
    Read a split.

    Args:
        tokenizer (`Path`): The stage of the modality's tokenizer, with the ids of its utterances.
        utterances (`Path`): The speech that the modality is read from.
        units (`Path`, *optional*): The units of these utterances, for a modality of speech.
        modality ([`Modality`]): The modality: phones, units, or text without spaces.
        frame_samples (`float`): Samples from one unit, or one symbol of Phone-Repeat, to the next.
        split (`str`): The split.

    Returns:
        `tuple[list[TimedUtterance], int]`: The utterances, and how many were left out because their ids are not those
        of what they are written from (a symbol that the tokenizer does not know).

    Raises:
        `ValueError`: If the units are not those of the utterances.
    """
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(tokenizer)
    tokens = TokenizedUtterances(tokenizer, split, loaded.bos_token_id, loaded.eos_token_id)
    widths = _widths(loaded, modality)
    # Of a large split a part is enough, drawn alike for every modality.
    drawn = set(np.random.default_rng(0).permutation(len(tokens))[:MOST_UTTERANCES].tolist())
    found, left_out = [], 0
    for number, row in enumerate(_read_rows(utterances, units, split)):
        if number not in drawn:
            continue
        ids = tokens[number][1:-1]
        starts = _symbol_starts(row, modality, frame_samples, len(ids))
        firsts = np.cumsum(widths[ids]) - widths[ids]
        if not len(ids) or loaded.unk_token_id in ids or widths[ids].sum() != len(starts):
            left_out += 1
            continue
        places = np.flatnonzero(run_starts(ids)) if modality.repeats_tokens else np.arange(len(ids))
        stretches, boundaries = _words(row, modality)
        found.append(
            TimedUtterance(
                row["id"], row["document"], ids, places, starts[firsts[places]], stretches, np.array(boundaries)
            )
        )
    return found, left_out


def _read_rows(utterances: Path, units: Path | None, split: str) -> Iterator[dict[str, Any]]:
    for shard in find_shards(utterances, _COLUMNS)[split]:
        rows = pq.read_table(shard, columns=_COLUMNS).to_pylist()
        if units is not None:
            encoded = pq.read_table(units / Path(shard).name).to_pylist()
            if [row["id"] for row in rows] != [row["id"] for row in encoded]:
                raise ValueError(f"The units in {units} are not those of {shard}; make them again.")
            rows = [row | {name: own[name] for name in own if name != "id"} for row, own in zip(rows, encoded)]
        yield from rows


def _widths(tokenizer, modality: Modality) -> np.ndarray:
    """How many symbols of the content each id stands for."""
    if modality.tokenizer not in ("phone_bpe", "units_bpe"):
        return np.ones(len(tokenizer), dtype=np.int64)
    # A piece is written out as the symbols that it was made of.
    return np.array([len(tokenizer.decode([index]).split()) for index in range(len(tokenizer))])


def _symbol_starts(row: dict[str, Any], modality: Modality, frame_samples: float, tokens: int) -> np.ndarray:
    """When each symbol of a content begins."""
    seconds = frame_samples / SAMPLE_RATE
    if modality.is_speech:
        if modality.unit_of in SYLLABLES:
            return _begins(np.array(row["frames"])) * seconds
        if modality.frame_rate is not None:
            return seconds * np.arange(len(row["units"]))
        return seconds * np.flatnonzero(run_starts(row["units"]))
    if modality.column == "text":
        return np.arange(sum(len(letters_of(word["word"])) for word in row["words"]))
    starts = np.array([phone["start"] for phone in row["phones"]])
    if modality.column == "phones_stretch":
        return starts.repeat(max(1, tokens // len(starts)))
    if modality.column == "phones_repeat":
        return seconds * np.arange(num_frames(row["duration"], frame_samples))
    return starts


def _begins(lengths: np.ndarray) -> np.ndarray:
    return np.cumsum(lengths) - lengths


def _words(row: dict[str, Any], modality: Modality) -> tuple[list[tuple[float, float]], list[float]]:
    """What lies between pauses, and where words begin in it."""
    words = row["words"]
    # A word that ends where the next one begins is not followed by a pause.
    joined = [abs(word["end"] - following["start"]) < _NO_PAUSE for word, following in zip(words, words[1:])]
    if modality.column == "text":
        lengths = np.array([len(letters_of(word["word"])) for word in words])
        starts, ends = _begins(lengths), np.cumsum(lengths)
    else:
        starts, ends = ([word[edge] for word in words] for edge in ("start", "end"))
    stretches, boundaries = [], []
    first = 0
    for number in range(len(words)):
        if number + 1 == len(words) or not joined[number]:
            stretches.append((float(starts[first]), float(ends[number])))
            boundaries += [float(start) for start in starts[first + 1 : number + 1]]
            first = number + 1
    return stretches, boundaries
