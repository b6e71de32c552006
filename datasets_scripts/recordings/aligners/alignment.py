"""Forced alignment: a recording and its transcript -> the words and phones in it, with their times.

samples, transcript -> [`spoken_text`] -> an [`Aligner`] -> [`Alignment`] -> [`finish_alignment`] -> `Rendering`.
Aligners are PocketSphinx (the default; it ships its model), any CTC model of characters, and TextGrids of the Montreal
Forced Aligner. A `Rendering` is what speaking a text gives, too: what comes after knows no difference.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from ....models.audio import FRAME_SAMPLES, SAMPLE_RATE, to_int16
from ....models.phones import SIL
from ...synthesis.phone_events import MIN_PAUSE, TimedPhone, Token, floor_to_frame, word_times
from ...synthesis.synthesizer import Rendering
from ...text.normalization import normalize_text

# A longer silence at an edge is cut to this: it is the room before the reading, not part of it.
MAX_EDGE_SILENCE = 0.5


class AlignmentError(ValueError):
    """A recording and its transcript could not be aligned, or do not belong together."""


@dataclass
class Alignment:
    """
    Where the phones of a transcript are in a recording.

    Args:
        phones (`list[TimedPhone]`): Phones with start and end in samples at 16 kHz, in order, without overlap, each
            with the index of its white-space word in the transcript. Time between two of them is silence.
        score (`float`, *optional*): How well the transcript fits the sound; what it means depends on the aligner.
    """

    phones: list[TimedPhone]
    score: float | None = None


class Aligner(Protocol):
    """What the three aligners have in common."""

    def align(self, audio: np.ndarray, text: str, name: str = "") -> Alignment:
        """
        Find the phones of a transcript in a recording.

        Args:
            audio (`np.ndarray` of shape `(num_samples,)`): Mono, 16 kHz; int16, or floats from -1 to 1.
            text (`str`): The transcript, from [`spoken_text`].
            name (`str`, *optional*): Name of the recording, by which TextGrids are found.

        Raises:
            `AlignmentError`: If the two cannot be aligned or do not belong together.
        """
        ...


def spoken_text(text: str) -> str:
    """
    A transcript as it is read aloud, with numbers and abbreviations in words.

    Raises:
        `AlignmentError`: If nothing in it can be read.
    """
    spoken = normalize_text(text)
    if not has_letters(spoken):
        raise AlignmentError("The transcript is empty." if not text.strip() else f"No words are in {text.strip()!r}.")
    return spoken


def has_letters(word: str) -> bool:
    """Whether a word has anything to say; a dash between words has not."""
    return any(character.isalnum() for character in word)


def tokens_of(text: str) -> list[Token]:
    """White-space words of a text."""
    return [Token(match.group(), match.start()) for match in re.finditer(r"\S+", text)]


def phones_by_word(rendering: Rendering) -> list[list[dict]]:
    """Phones of each word of a rendering, without SIL."""
    spoken = [phone for phone in rendering.phones if phone["phone"] != SIL]
    phones, position = [], 0
    for word in rendering.words:
        first = position
        while position < len(spoken) and spoken[position]["start"] < word["end"]:
            position += 1
        phones.append(spoken[first:position])
    return phones


def finish_alignment(audio: np.ndarray, text: str, alignment: Alignment) -> Rendering:
    """
    Bring an alignment into the form of a spoken text.

    Silence gets its SIL; one shorter than a pause that a reader makes goes to the phone before it. Silence at either
    edge stays as it was recorded, at most [`MAX_EDGE_SILENCE`] of it. Phones shorter than 20 ms borrow from their
    neighbours, and zeros fill the last frame.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): What was aligned.
        text (`str`): Its transcript.
        alignment (`Alignment`): What an aligner returned.

    Raises:
        `AlignmentError`: If nothing was aligned, or so many phones that 20 ms for each are more than the recording.
    """
    audio = to_int16(audio)
    spoken = [phone for phone in alignment.phones if phone.phone != SIL]
    if not spoken:
        raise AlignmentError("No phone of the transcript was found in the recording.")
    first = _whole_frames(spoken[0].start - round(MAX_EDGE_SILENCE * SAMPLE_RATE))
    last = min(len(audio), spoken[-1].end + round(MAX_EDGE_SILENCE * SAMPLE_RATE))
    num_samples = -(-(last - first) // FRAME_SAMPLES) * FRAME_SAMPLES
    cut = np.zeros(num_samples, np.int16)
    cut[: last - first] = audio[first:last]

    phones = _with_silences(spoken, first, num_samples)
    if len(phones) * FRAME_SAMPLES > num_samples:
        raise AlignmentError(
            f"The transcript has {len(spoken)} phones, too many for the {num_samples / SAMPLE_RATE:.1f} s of speech."
        )
    bounds = floor_to_frame([phone.start for phone in phones] + [num_samples], FRAME_SAMPLES)
    phones = [phone._replace(start=start, end=end) for phone, (start, end) in zip(phones, pairwise(bounds))]
    timed = ((phone.phone, phone.start, phone.end) for phone in phones)
    return Rendering.from_samples(cut, word_times(tokens_of(text), phones), timed)


def _whole_frames(num_samples: int) -> int:
    return max(0, num_samples // FRAME_SAMPLES * FRAME_SAMPLES)


def _with_silences(spoken: Sequence[TimedPhone], first: int, num_samples: int) -> list[TimedPhone]:
    """Phones from 0 to `num_samples` without gaps, at times that count from `first`."""
    phones: list[TimedPhone] = []
    position = 0
    shortest = FRAME_SAMPLES  # at the edges; a pause between phones has to be longer
    for phone in spoken:
        start, end = phone.start - first, phone.end - first
        if start - position >= shortest:
            phones.append(TimedPhone(SIL, position, start, phones[-1].token if phones else 0))
        elif phones:
            phones[-1] = phones[-1]._replace(end=start)
        else:
            start = 0
        phones.append(phone._replace(start=start, end=end))
        position, shortest = end, round(MIN_PAUSE * SAMPLE_RATE)
    if num_samples - position >= FRAME_SAMPLES:
        phones.append(TimedPhone(SIL, position, num_samples, phones[-1].token))
    else:
        phones[-1] = phones[-1]._replace(end=num_samples)
    return phones
