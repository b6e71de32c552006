"""The sequences of joint models: speech alone, text alone, one after the other (CST), in turn (AST).

utterance and units -> [`make_joint_utterance`] -> a [`JointUtterance`], whose methods write contents: what the joint
tokenizer reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models.speech_units.runs import run_starts
from ...models.tokenizers.joint import (
    MODALITY_TOKENS,
    SPEECH_TOKEN,
    TEXT_TOKEN,
    TO_SPEECH_TOKEN,
    TO_TEXT_TOKEN,
    UNIT_MARK,
)
from .alignment import assign_units, jitter_bounds, word_bounds
from .switching import SPEECH, TEXT, Span

_FIRST_TOKENS = {SPEECH: SPEECH_TOKEN, TEXT: TEXT_TOKEN}
_SWITCH_TOKENS = {SPEECH: TO_SPEECH_TOKEN, TEXT: TO_TEXT_TOKEN}


@dataclass(frozen=True)
class JointUtterance:
    """
    An utterance whose words and units are known by each other.

    Args:
        words (`list[str]`): The words, with their punctuation.
        times (`np.ndarray` of shape `(num_words + 1,)`): When each word begins, and when the last ends, in seconds.
        units (`np.ndarray` of shape `(num_units,)`): The units.
        unit_words (`np.ndarray` of shape `(num_units,)`): The number of each unit's word; it never decreases.
    """

    words: list[str]
    times: np.ndarray
    units: np.ndarray
    unit_words: np.ndarray

    def text(self) -> str:
        """Text alone."""
        return self.alternate([Span(TEXT, 0, len(self.words))])

    def speech(self) -> str:
        """Speech alone."""
        return self.alternate([Span(SPEECH, 0, len(self.words))])

    def concatenate(self, first: str) -> str:
        """
        Speech and text of the whole utterance, one after the other (CST).

        Args:
            first (`str`): Which comes first, `"speech"` or `"text"`.
        """
        second = TEXT if first == SPEECH else SPEECH
        return self.alternate([Span(first, 0, len(self.words)), Span(second, 0, len(self.words))])

    def alternate(self, spans: Sequence[Span]) -> str:
        """
        Write spans of words, each in its modality (AST).

        Args:
            spans (`Sequence[Span]`): Spans, of which two neighbours are of different modalities.

        Returns:
            `str`: A content of the joint tokenizer.
        """
        parts = []
        for number, span in enumerate(spans):
            parts.append((_SWITCH_TOKENS if number else _FIRST_TOKENS)[span.modality])
            parts.append(self._write(span))
        return " ".join(part for part in parts if part)

    def _write(self, span: Span) -> str:
        if span.modality == TEXT:
            return " ".join(self.words[span.first : span.last])
        start, end = np.searchsorted(self.unit_words, [span.first, span.last])
        return "".join(f"{UNIT_MARK}{unit}" for unit in self.units[start:end].tolist())


def make_joint_utterance(
    words: Sequence[dict],
    units: Sequence[int],
    frame_rate: float,
    collapse: bool = True,
    jitter_frames: float = 0.0,
    rng: np.random.Generator | None = None,
) -> JointUtterance:
    """
    Find the units of each word of an utterance.

    Args:
        words (`Sequence[dict]`): `word`, and `start` and `end` in seconds, of each.
        units (`Sequence[int]`): One unit a frame.
        frame_rate (`float`): Frames a second.
        collapse (`bool`, *optional*, defaults to `True`): Whether a run of equal units is written once. A run goes to
            one word as a whole, that which has most of it.
        jitter_frames (`float`, *optional*, defaults to 0): How far bounds between words are moved at most, to see
            what errors of the alignment do.
        rng (`np.random.Generator`, *optional*): Draws how far. Needed where they are moved.

    Returns:
        [`JointUtterance`]: With every unit, or every run, once.

    Raises:
        `ValueError`: If there are no units or no words, a word has no times, or writes what stands for a modality or a
            unit.
    """
    units = np.asarray(units)
    if not len(units):
        raise ValueError("it has no units")
    for word in words:
        for reserved in (*MODALITY_TOKENS, UNIT_MARK):
            if reserved in word["word"]:
                raise ValueError(
                    f"its word {word['word']!r} has {reserved!r}, which joint sequences keep for themselves"
                )
    starts, ends = [word["start"] for word in words], [word["end"] for word in words]
    bounds = word_bounds(starts, ends)
    times = np.array([*starts, ends[-1]], float)
    if jitter_frames:
        bounds = jitter_bounds(bounds, jitter_frames, frame_rate, rng)
    kept = np.flatnonzero(run_starts(units)) if collapse else np.arange(len(units))
    edges = np.append(kept, len(units)) / frame_rate
    return JointUtterance([word["word"] for word in words], times, units[kept], assign_units(edges, bounds))
