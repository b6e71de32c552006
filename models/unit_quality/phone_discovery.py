"""Units as phones: each unit named by a phone, and how far the names are the phones that were spoken.

units and phones of the same frames -> [`UnitCounts`] -> a phone for each unit ([`map_units`]) -> the phones that units
of other recordings stand for -> phone error rate and boundaries against the aligned phones ([`PhoneDiscovery`]).

The measures are those of discophon (Poli et al., "DiscoPhon: Benchmarking the Unsupervised Discovery of Phoneme
Inventories With Discrete Speech Units", Interspeech 2026), beside which stands what it does not have: the error rate
without pauses, intervals, and a mapping that was chosen on other recordings than it is measured on.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from ..speech_units.runs import run_starts
from ..statistics import resampled_means
from .boundaries import BoundaryCounts
from .quality import SILENCE, without_stress

MAPPINGS = ("many_to_one", "one_to_one")
TOLERANCE = 0.02
"""Seconds by which a boundary may be early or late."""
_NUM_RESAMPLES = 2_000


def map_units(counts: Mapping[str, np.ndarray], kind: Literal["many_to_one", "one_to_one"]) -> list[str]:
    """
    Name each unit by a phone.

    Args:
        counts (`Mapping[str, np.ndarray]`):
            By phone, on how many frames it has each of the K units, as [`UnitCounts.by_phone`] gives them.
        kind (`str`):
            `"many_to_one"`: the phone that the unit stands on most often, of equally frequent ones the one that has
            more frames in all; a unit that does not occur gets the most frequent phone. `"one_to_one"`: no two units
            have the same phone, and as many frames as possible have their own (the Hungarian method). Where there are
            more units than phones, which discophon does not allow, the others are phones of their own that nobody
            says, `<0>` to `<K - 1>`.

    Returns:
        `list[str]`: The phone of each of the K units.

    Raises:
        `ValueError`: If there are no counts, or there is no such mapping.

    Examples:

    ```python
    >>> counts = {"AH": np.array([5, 4, 0]), "S": np.array([1, 0, 3])}
    >>> map_units(counts, "many_to_one"), map_units(counts, "one_to_one")
    (['AH', 'AH', 'S'], ['AH', '<1>', 'S'])
    ```
    """
    from scipy.optimize import linear_sum_assignment

    if kind not in MAPPINGS:
        raise ValueError(f"There is no mapping {kind!r} of units to phones, only {' and '.join(MAPPINGS)}.")
    if not counts:
        raise ValueError("There are no frames to choose phones for units on; give at least one recording with phones.")
    phones = sorted(counts, key=lambda phone: (-int(counts[phone].sum()), phone))
    table = np.stack([counts[phone] for phone in phones])
    if kind == "many_to_one":
        return [phones[row] for row in table.argmax(axis=0)]
    names = [f"<{unit}>" for unit in range(table.shape[1])]
    for row, unit in zip(*linear_sum_assignment(table, maximize=True)):
        names[unit] = phones[row]
    return names


def phone_runs(phones: Sequence[dict]) -> tuple[list[str], list[float]]:
    """
    The phones that were spoken, without stress, and equal ones that follow on each other as one.

    Args:
        phones (`Sequence[dict]`): `{"phone", "start", "end"}` in order and without gaps, times in seconds.

    Returns:
        `tuple[list[str], list[float]]`: The phones, pauses among them, and where each begins.
    """
    names = [without_stress(phone["phone"]) for phone in phones]
    starts = np.flatnonzero(run_starts(names)) if names else []
    return [names[index] for index in starts], [phones[index]["start"] for index in starts]


class PhoneDiscovery:
    """
    How far units are phones, of any number of utterances, one at a time.

    The **phone error rate** is the number of edits from the phones that units stand for to those that were spoken,
    over the number of the latter, all utterances together. On both sides phones have no stress, a run of the same one
    is one, and pauses (`SIL`) are left out after that, so that one between two equal phones keeps them apart. With
    pauses, where a pause is a phone like any other, it is discophon's; pauses are easy to find and lower it. It passes
    1 where units change more often than they are wrong.

    The **boundaries** are where the phone changes, of those that units stand for and of those that were spoken
    (pauses are phones there). One is found where one of the units' lies within 20 ms and no other is nearer to that
    (the search regions of Räsänen, Laine and Altosaar, Interspeech 2009, cut in the middle between two boundaries); an
    utterance's own edges are none.

    Args:
        unit_phones (`Sequence[str]`): The phone of each unit, as [`map_units`] gives it.
        frame_rate (`float`, *optional*, defaults to 50.0): Frames a second.

    Examples:

    ```python
    >>> discovery = PhoneDiscovery(["SIL", "AH", "S"])
    >>> phones = [{"phone": "SIL", "start": 0.0, "end": 0.04}, {"phone": "AH1", "start": 0.04, "end": 0.1}]
    >>> discovery.add(np.array([0, 0, 1, 2, 1]), phones)
    >>> discovery.scores()["phone_error_rate"]["value"], discovery.scores()["recall"]
    (2.0, 1.0)
    ```
    """

    def __init__(self, unit_phones: Sequence[str], frame_rate: float = 50.0):
        self.unit_phones, self.frame_rate = np.array(unit_phones), frame_rate
        self._boundaries = BoundaryCounts(TOLERANCE, matching="nearest")
        self._edits: list[tuple[int, int, int, int]] = []
        self._documents: list[str] = []

    def add(self, units: np.ndarray, phones: Sequence[dict], document: str | None = None) -> None:
        """
        Compare an utterance.

        Args:
            units (`np.ndarray` of shape `(num_frames,)`): A unit a frame.
            phones (`Sequence[dict]`): `{"phone", "start", "end"}` in order and without gaps, times in seconds.
            document (`str`, *optional*): What it stays together with in the bootstrap; by default nothing.
        """
        from rapidfuzz.distance import Levenshtein

        spoken, times = phone_runs(phones)
        frames = self.unit_phones[units]
        starts = np.flatnonzero(run_starts(frames))
        named = frames[starts].tolist()
        self._boundaries.add(starts[1:] / self.frame_rate, times[1:])
        self._edits.append(
            (
                Levenshtein.distance(_without_pauses(named), _without_pauses(spoken)),
                len(_without_pauses(spoken)),
                Levenshtein.distance(named, spoken),
                len(spoken),
            )
        )
        self._documents.append(str(len(self._documents)) if document is None else document)

    def scores(self, seed: int = 0) -> dict[str, float | int | dict[str, float]]:
        """
        The measures over all utterances.

        Args:
            seed (`int`, *optional*, defaults to 0): Of the bootstrap.

        Returns:
            `dict`: `phone_error_rate` and `phone_error_rate_with_pauses`, each with `value`, `low` and `high` (a 95 %
            interval over documents); `precision`, `recall`, `f1`, `over_segmentation` and `r_value` of boundaries, see
            [`BoundaryCounts.scores`]; and `phones`, the number of spoken ones without pauses. NaN where there are
            none.
        """
        table = np.array(self._edits, np.float64).reshape(-1, 4)
        return {
            "phone_error_rate": _ratio(table[:, :2], self._documents, seed),
            "phone_error_rate_with_pauses": _ratio(table[:, 2:], self._documents, seed),
            **self._boundaries.scores(),
            "over_segmentation": self._boundaries.over_segmentation,
            "phones": int(table[:, 1].sum()),
        }


def _without_pauses(phones: list[str]) -> list[str]:
    return [phone for phone in phones if phone != SILENCE]


def _ratio(columns: np.ndarray, documents: list[str], seed: int) -> dict[str, float]:
    """The first column's sum over the second's, with an interval over documents."""
    edits, length = columns.sum(axis=0)
    if not length:
        return dict.fromkeys(("value", "low", "high"), math.nan)
    drawn = resampled_means(columns, seed, _NUM_RESAMPLES, documents)
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return {"value": float(edits / length), "low": float(low), "high": float(high)}
