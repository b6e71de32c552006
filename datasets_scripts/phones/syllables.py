"""Syllables of connected speech: which phones belong together, found from the phones alone.

phones -> [`syllabify`] -> phones of each syllable; phones of frames -> [`syllable_frames`] -> frames of each syllable.
Words are not asked: minimal pairs and recordings are cut by the same rule, whether or not word times are known.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from ...models.phones import CONSONANTS, SIL, SPN
from ...models.speech_units.runs import collapse_runs, run_starts

# What may stand in front of a vowel at the beginning of an English word, by the words themselves ("pure", "thwart",
# "splice", "skew").
_CLUSTERS = """
    P L, P R, P Y, B L, B R, B Y, T R, T W, T Y, D R, D W, D Y, K L, K R, K W, K Y, G L, G R, G W, G Y,
    F L, F R, F Y, V Y, TH R, TH W, TH Y, SH R, HH Y, HH W, M Y, N Y, L Y,
    S P, S T, S K, S F, S M, S N, S L, S W, S Y, S P L, S P R, S P Y, S T R, S T Y, S K L, S K R, S K W, S K Y
"""
_ONSETS = frozenset(
    [(), *((phone,) for phone in CONSONANTS if phone != "NG")]
    + [tuple(cluster.split()) for cluster in _CLUSTERS.split(",")]
)
_LONGEST_ONSET = max(map(len, _ONSETS))


def syllabify(phones: Sequence[str]) -> list[int]:
    """
    Divide phones into syllables, by the maximal onset principle.

    Of the consonants between two vowels, the second vowel gets as many as can begin an English word; the rest close
    the syllable of the first. Connected speech does the same across words ("an egg": AH0, N EH1 G). A pause or a noise
    stands by itself, and so do consonants that have no vowel between two pauses.

    Args:
        phones (`Sequence[str]`): ARPAbet phones, vowels with stress, `SIL` and `SPN`.

    Returns:
        `list[int]`: Number of phones of each syllable; together as many as there are phones.

    Examples:

    ```python
    >>> syllabify("SIL EH1 K S T R AH0 SIL".split())  # extra: EH1 K, S T R AH0
    [1, 2, 4, 1]
    ```
    """
    counts = []
    for is_silent, group in groupby(phones, key=lambda phone: phone in (SIL, SPN)):
        group = list(group)
        counts += [1] * len(group) if is_silent else _syllables(group)
    return counts


def syllable_frames(frame_phones: Sequence[str]) -> np.ndarray:
    """
    Count the frames of each syllable.

    Args:
        frame_phones (`Sequence[str]`): The phone of each frame, as [`phones_to_frames`] writes them. A phone that
            follows itself is one phone.

    Returns:
        `np.ndarray`: Frames of each syllable, int64: each at least 1, together one for each phone that was given.
    """
    starts = np.flatnonzero(run_starts(frame_phones))
    first_phones = np.cumsum([0, *syllabify([frame_phones[start] for start in starts])[:-1]])
    return np.diff(starts[first_phones], append=len(frame_phones)) if len(starts) else np.zeros(0, np.int64)


def syllable_names(frame_phones: Sequence[str]) -> list[str]:
    """
    Name each syllable by its phones.

    Args:
        frame_phones (`Sequence[str]`): The phone of each frame.

    Returns:
        `list[str]`: One name a syllable, e.g. `"EH1-K"`.
    """
    phones = collapse_runs(frame_phones)
    names, start = [], 0
    for count in syllabify(phones):
        names.append("-".join(phones[start : start + count]))
        start += count
    return names


def syllable_starts(phones: Sequence[dict]) -> list[float]:
    """
    Find where each syllable begins.

    Args:
        phones (`Sequence[dict]`): `{"phone", "start", "end"}` in order, times in seconds.

    Returns:
        `list[float]`: Seconds, one a syllable or pause; the first is that of the first phone.
    """
    counts = syllabify([phone["phone"] for phone in phones])
    return [phones[first]["start"] for first in np.cumsum([0, *counts])[:-1]]


def _syllables(phones: list[str]) -> list[int]:
    """Phones of each syllable between two pauses."""
    vowels = [index for index, phone in enumerate(phones) if phone[-1].isdigit()]
    starts = [0]
    for vowel, following in zip(vowels, vowels[1:]):
        length = min(following - vowel - 1, _LONGEST_ONSET)
        while tuple(phones[following - length : following]) not in _ONSETS:
            length -= 1
        starts.append(following - length)
    return np.diff([*starts, len(phones)]).tolist()
