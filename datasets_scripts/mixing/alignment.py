"""Which unit is of which word: every unit of an utterance belongs to exactly one.

times of words -> bounds between words, in the middle of what is silent between them -> [`assign_units`] -> a word for
each unit, never one before that of the unit before.
"""

from collections.abc import Sequence

import numpy as np

# Times come in thousandths of a second at the finest; shares of a unit that differ by less are equal.
_SECONDS_ALIKE = 1e-6


def word_bounds(starts: Sequence[float], ends: Sequence[float]) -> np.ndarray:
    """
    The times at which one word passes to the next: silence between two words goes half to each.

    Args:
        starts (`Sequence[float]`): When each word begins, in seconds.
        ends (`Sequence[float]`): When each ends.

    Returns:
        `np.ndarray` of shape `(num_words - 1,)`: Seconds. What is before the first word is of the first, and what is
        behind the last of the last.

    Raises:
        `ValueError`: If there is no word, a word has no times, or words are not one after another.
    """
    starts, ends = (np.array([np.nan if time is None else time for time in times], float) for times in (starts, ends))
    if not len(starts):
        raise ValueError("no word has times")
    for word in np.flatnonzero(~(starts <= ends)):
        raise ValueError(f"word {word + 1} of {len(starts)} has no times; leave the utterance out or align it again")
    if (unordered := np.flatnonzero(starts[1:] < starts[:-1])).size:
        raise ValueError(f"word {unordered[0] + 2} of {len(starts)} begins before the one in front of it")
    return np.maximum.accumulate((ends[:-1] + starts[1:]) / 2)


def jitter_bounds(bounds: np.ndarray, frames: float, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """
    Move each bound between two words at random, as an alignment that errs would: what the errors of one cost.

    Args:
        bounds (`np.ndarray` of shape `(num_words - 1,)`): Seconds, from [`word_bounds`].
        frames (`float`): The farthest that a bound moves, in frames; all distances up to there are equally likely.
        frame_rate (`float`): Frames a second.
        rng (`np.random.Generator`): Draws.

    Returns:
        `np.ndarray` of shape `(num_words - 1,)`: Seconds. Bounds that have passed each other are put in order.
    """
    return np.sort(bounds + rng.uniform(-frames, frames, len(bounds)) / frame_rate)


def assign_units(edges: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """
    Give each unit to the word that has most of it; of two that have as much, to the first.

    A frame is of one word or two. A run of equal units that is written once may last longer than a word, which then
    has no unit of its own.

    Args:
        edges (`np.ndarray` of shape `(num_units + 1,)`): When each unit begins, and when the last ends, in seconds.
        bounds (`np.ndarray` of shape `(num_words - 1,)`): Seconds, from [`word_bounds`].

    Returns:
        `np.ndarray` of shape `(num_units,)`: int64, the number of each unit's word, from 0; it never decreases.
    """
    starts, ends = edges[:-1], edges[1:]
    first = np.searchsorted(bounds, starts + _SECONDS_ALIKE, side="left")
    last = np.searchsorted(bounds, ends - _SECONDS_ALIKE, side="left")
    words = first.astype(np.int64)
    cells = np.concatenate([[-np.inf], bounds, [np.inf]])
    for unit in np.flatnonzero(last > first):
        own = np.arange(first[unit], last[unit] + 1)
        shares = np.minimum(cells[own + 1], ends[unit]) - np.maximum(cells[own], starts[unit])
        words[unit] = own[np.argmax(shares > shares.max() - _SECONDS_ALIKE)]
    return words
