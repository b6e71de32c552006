"""What all recognisers have in common: stretches of speech that fit their model in, hypotheses out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_REPEATS = 4
"""How often in a row somebody may say the same."""
_TOKENS_OF_ANY, _TOKENS_PER_SECOND = 16, 10


@dataclass(frozen=True)
class Hypothesis:
    """
    What a model heard in a stretch of sound.

    Args:
        text (`str`): Its words.
        no_speech (`float`, *optional*): The probability that nobody speaks, of a model that says so.
    """

    text: str
    no_speech: float | None = None


class Recognizer(ABC):
    """
    A model for speech recognition behind one call.

    Args:
        sampling_rate (`int`): Samples per second that it reads.
        max_seconds (`float`): The longest stretch that it reads at once.
        mixes_rows (`bool`, *optional*, defaults to `False`): Whether what else is in a batch changes what it hears, so
            that stretches have to go through it one by one.
    """

    has_search = True
    """Whether it can search with beams."""

    def __init__(self, sampling_rate: int, max_seconds: float, mixes_rows: bool = False):
        self.sampling_rate = sampling_rate
        self.max_seconds = max_seconds
        self.mixes_rows = mixes_rows

    @abstractmethod
    def recognize(self, waveforms: Sequence[np.ndarray], num_beams: int) -> list[Hypothesis]:
        """
        Hear a batch.

        Args:
            waveforms (`Sequence[np.ndarray]`): float32 samples of shape `(num_samples,)`, none longer than
                `max_seconds`, of like lengths.
            num_beams (`int`): Beams of the search; 1 takes the most probable token at every step.

        Returns:
            `list[Hypothesis]`: One of each.
        """


def most_tokens(num_samples: int, sampling_rate: int) -> int:
    """The most tokens that are looked for in a stretch: more than anybody says in it, so that no loop goes on."""
    return _TOKENS_OF_ANY + round(_TOKENS_PER_SECOND * num_samples / sampling_rate)


def without_loops(tokens: Sequence[int]) -> list[int]:
    """
    Tokens with every phrase that is said more than [`MOST_REPEATS`] times in a row said once: nobody speaks so, but a
    decoder that is caught in a loop does.

    Args:
        tokens (`Sequence[int]`): Ids of text, without special ones.

    Returns:
        `list[int]`: The ids that are left.
    """
    tokens, kept, start = list(tokens), [], 0
    while start < len(tokens):
        length, repeats = _find_loop(tokens, start)
        kept += tokens[start : start + length]
        start += length * repeats
        if repeats > 1 and tokens[start:] == tokens[start - length : start][: len(tokens) - start]:
            break  # the loop was cut off in the middle of its phrase
    return kept


def _find_loop(tokens: list[int], start: int) -> tuple[int, int]:
    """Length of the shortest phrase that is caught in a loop from here on, and how often it is said; else 1 and 1."""
    for length in range(1, (len(tokens) - start) // (MOST_REPEATS + 1) + 1):
        phrase, repeats = tokens[start : start + length], 1
        while tokens[start + repeats * length : start + (repeats + 1) * length] == phrase:
            repeats += 1
        if repeats > MOST_REPEATS:
            return length, repeats
    return 1, 1
