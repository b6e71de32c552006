"""How well boundaries that were found are those of a reference: precision, recall, F1 and R-value.

times found and times of the reference, utterance by utterance -> [`BoundaryCounts`] -> measures over all of them.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

# A boundary of frames is a sum of times in floating point.
_ROUNDING = 1e-6


class BoundaryCounts:
    """
    Boundaries of any number of utterances, compared one utterance at a time. An utterance's own edges are none.

    Args:
        tolerance (`float`): Seconds by which a boundary may be early or late.
        matching (`str`, *optional*, defaults to `"most"`):
            Which boundaries that were found are hits of which of the reference. `"most"`: each of the one is a hit of
            at most one of the other, and there are as many hits as there can be. `"nearest"`: one is a hit of that of
            the reference which is nearest (of two as near, the earlier), and a hit is one of the reference that has
            any: the search regions of Räsänen, Laine and Altosaar (Interspeech 2009), which discophon has, too.

    Raises:
        `ValueError`: If there is no such matching.

    Examples:

    ```python
    >>> counts = BoundaryCounts(0.02)
    >>> counts.add([0.1, 0.2, 0.31], [0.11, 0.3])
    >>> scores = counts.scores()
    >>> round(scores["precision"], 3), scores["recall"], round(scores["r_value"], 3)
    (0.667, 1.0, 0.573)
    ```
    """

    def __init__(self, tolerance: float, matching: Literal["most", "nearest"] = "most"):
        if matching not in _MATCHINGS:
            raise ValueError(f"There is no matching {matching!r} of boundaries, only {' and '.join(_MATCHINGS)}.")
        self.tolerance, self._count_hits = tolerance, _MATCHINGS[matching]
        self.num_hits = self.num_found = self.num_expected = 0

    def add(self, found: Sequence[float], expected: Sequence[float]) -> None:
        """
        Count the boundaries of an utterance.

        Args:
            found (`Sequence[float]`): Boundaries that were found, in seconds, in order.
            expected (`Sequence[float]`): Boundaries of the reference, likewise.
        """
        self.num_found += len(found)
        self.num_expected += len(expected)
        self.num_hits += self._count_hits(found, expected, self.tolerance + _ROUNDING)

    @property
    def over_segmentation(self) -> float:
        """
        How many more boundaries were found than the reference has, over the number of the latter; below 0 where there
        are fewer, `nan` where it has none.
        """
        return self.num_found / self.num_expected - 1 if self.num_expected else math.nan

    def scores(self) -> dict[str, float]:
        """
        The measures over all boundaries that were counted.

        Returns:
            `dict[str, float]`: `precision`, `recall`, `f1`, and `r_value`, which is 1 where recall is and nothing is
            found beside, and falls below F1 where boundaries are many enough to hit by chance (Räsänen, Laine and
            Altosaar, Interspeech 2009). All are `nan` where the reference has no boundary.
        """
        if not self.num_expected:
            return dict.fromkeys(("precision", "recall", "f1", "r_value"), math.nan)
        recall, excess = self.num_hits / self.num_expected, self.over_segmentation
        to_ideal = math.hypot(1 - recall, excess)
        to_line = abs(recall - 1 - excess) / math.sqrt(2)
        return {
            "precision": self.num_hits / self.num_found if self.num_found else 0.0,
            "recall": recall,
            "f1": 2 * self.num_hits / (self.num_found + self.num_expected),
            "r_value": 1 - (to_ideal + to_line) / 2,
        }


def _most_hits(found: Sequence[float], expected: Sequence[float], tolerance: float) -> int:
    hits = first = second = 0
    while first < len(found) and second < len(expected):
        difference = found[first] - expected[second]
        is_hit = abs(difference) <= tolerance
        hits += int(is_hit)
        first += is_hit or difference < 0
        second += is_hit or difference > 0
    return hits


def _nearest_hits(found: Sequence[float], expected: Sequence[float], tolerance: float) -> int:
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if not len(found) or not len(expected):
        return 0
    nearest = np.searchsorted((expected[:-1] + expected[1:]) / 2 + _ROUNDING, found)
    return len(np.unique(nearest[np.abs(found - expected[nearest]) <= tolerance]))


_MATCHINGS = {"most": _most_hits, "nearest": _nearest_hits}
