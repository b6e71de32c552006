"""Outcomes of the pairs between two points of a training, where trainings that were scored elsewhere can meet.

points in the order of tokens, epochs or FLOPs -> [`common_range`] of all training seeds -> [`outcomes_at`] a place in
it. Between two points outcomes are interpolated in the logarithm, pair by pair and seed by seed; nothing is
extrapolated.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd

Points = Sequence[tuple[float, Mapping[str, pd.Series]]]
"""Tokens, epochs or FLOPs, ascending, with outcomes of the pairs by task."""


def common_range(by_seed: Mapping[int, Points]) -> tuple[float, float] | None:
    """
    Between which places every training seed has points.

    Args:
        by_seed (`Mapping[int, Points]`): The points that were scored, by training seed.

    Returns:
        `tuple[float, float]` or `None`: The first and the last place; `None` where a seed has fewer than two points.
    """
    if not by_seed or any(len(points) < 2 for points in by_seed.values()):
        return None
    first, last = (choose(points[end][0] for points in by_seed.values()) for choose, end in ((max, 0), (min, -1)))
    return (first, last) if first < last else None


def outcomes_at(by_seed: Mapping[int, Points], place: float) -> dict[int, dict[str, pd.Series]]:
    """
    Outcomes by training seed and task at a place within the common range.

    Args:
        by_seed (`Mapping[int, Points]`): The points that were scored, by training seed.
        place (`float`): Tokens, epochs or FLOPs.
    """
    return {seed: _interpolate(points, place) for seed, points in by_seed.items()}


def _interpolate(points: Points, place: float) -> dict[str, pd.Series]:
    (less, before), (more, after) = next(ends for ends in pairwise(points) if ends[0][0] <= place <= ends[1][0])
    share = math.log(place / less) / math.log(more / less)
    return {task: ((1 - share) * before[task] + share * after[task]).dropna() for task in before if task in after}
