"""Straight lines through the points of trainings, over the logarithm of what they have seen (2412.17048, Figure 1).

outcomes of the pairs at each point -> [`fit_line`], the slope with its interval and R² -> [`extrapolate`], where such
a line would reach some other accuracy, and how surely.
The points of one training are no independent observations: it is the same weights, asked the same pairs, a while
later. So what is drawn is a whole training and a whole cluster of pairs: each pair of each training has a slope of its
own, and the interval is that of the mean of these (`models/seed_intervals.py`).
"""

import numpy as np
import pandas as pd

from ....models.seed_intervals import half_widths
from ....models.statistics import resampled_means
from ..estimates import BOOTSTRAP_SEED, clusters_of, count_pairs, spread_over_seeds

MOST_DECADES = 3
"""Powers of ten behind the last point up to which a line is followed."""
_STEP = 0.005  # of the grid on which an extrapolation's interval is looked for, in powers of ten
SLOPE_NOT_SHOWN, TOO_FAR, TOO_FEW_POINTS = "the slope's interval holds zero", "too far", "too few points"
REACHED_BEFORE = "reached long before the first point"
"""Why an extrapolation is not to be had."""


def fit_line(seen: list[float], by_point: list[dict[int, pd.Series]], fewest_points: int = 3) -> dict | None:
    """
    The straight line through a modality's accuracies over the logarithm of what it has seen, by least squares.

    It is of the points that all training seeds have: of trainings until convergence some end before others.

    Args:
        seen (`list[float]`): Tokens, epochs or FLOPs at each point.
        by_point (`list[dict[int, pandas.Series]]`): Outcomes of the pairs at each point, by training seed.
        fewest_points (`int`, *optional*, defaults to 3): With fewer different points there is no line.

    Returns:
        `dict` or `None`: `value, low, high` (accuracy, as a fraction, for ten times as much), `intercept` (at one),
        `r_squared` (of the points' means over seeds; `None` of two points, and of points that are all alike),
        `points`, `n_pairs` (also as `n`) and `n_clusters` that all points and seeds share, `n_seeds`, `over` and, of
        several seeds, `seeds, seed_sd`. `None` with too few points or without a common seed.
    """
    seen, by_point = _points_of_all(seen, by_point)
    table, seeds = _common_outcomes(seen, by_point, fewest_points)
    if table is None:
        return None
    x, weights = _least_squares(seen)
    outcomes = table.to_numpy(float).reshape(len(table), len(seeds), len(seen))
    of_pairs = (outcomes @ weights).T  # each pair's share of the slope, by seed
    value = float(of_pairs.mean())
    low, high = _interval(of_pairs, table)
    at_points = outcomes.mean(axis=(0, 1))
    line = {"value": value, "low": low, "high": high, "intercept": float(at_points.mean() - value * x.mean())}
    line["r_squared"] = _r_squared(at_points, line["intercept"] + value * x)
    return line | {"points": len(seen)} | count_pairs(table) | spread_over_seeds(of_pairs.mean(axis=1))


def extrapolate(seen: list[float], by_point: list[dict[int, pd.Series]], goal: dict[int, pd.Series]) -> dict | None:
    """
    How much a modality would have to see for another accuracy, if it went on along its line.

    The interval is what is left after a test at every place: of a place q powers of ten from the middle of the points
    the difference of goal and line, goal - mean - q slope, is a mean over the same pairs and trainings as the slope,
    and q stays where the 95 % interval of that difference holds zero (Fieller's, for the crossed effects of pairs and
    seeds). It is lopsided, as it has to be, and open where the slope may be small.

    Args:
        seen (`list[float]`): Tokens, epochs or FLOPs at each point.
        by_point (`list[dict[int, pandas.Series]]`): Outcomes of the pairs at each point, by training seed.
        goal (`dict[int, pandas.Series]`): Outcomes of the same pairs by what is to be reached, by training seed.

    Returns:
        `dict` or `None`: `missing`, why there is nothing to give, or `None`; if so, `value, low, high` (in the unit of
        `seen`; `high` is `None` more than [`MOST_DECADES`] behind the last point, `low` is `None` more than one before
        the first), `decades`, powers of ten from the last point to `value`, and `goal`, the accuracy. `None` where
        goal and points have no pair or seed in common.
    """
    seen, by_point = _points_of_all(seen, by_point)
    table, seeds = _common_outcomes(seen, [*by_point, goal], 0)
    if table is None:
        return None
    outcomes = table.to_numpy(float).reshape(len(table), len(seeds), len(by_point) + 1)
    at_goal = float(outcomes[..., -1].mean())
    if len(set(seen)) < 3:
        return {"missing": TOO_FEW_POINTS, "goal": at_goal}
    x, weights = _least_squares(seen)
    slopes = (outcomes[..., :-1] @ weights).T
    gaps = (outcomes[..., -1] - outcomes[..., :-1].mean(axis=-1)).T
    if _interval(slopes, table)[0] <= 0:
        return {"missing": SLOPE_NOT_SHOWN, "goal": at_goal}
    places = np.arange(x.min() - 1, x.max() + MOST_DECADES + _STEP, _STEP)
    value = x.mean() + gaps.mean() / slopes.mean()
    if value > places[-1]:
        return {"missing": TOO_FAR, "goal": at_goal}
    if value < places[0]:
        return {"missing": REACHED_BEFORE, "goal": at_goal}
    inside = _places_within(gaps, slopes, places - x.mean(), table)
    low, high = (float(places[inside][end]) if inside.any() else value for end in (0, -1))
    return {
        "missing": None,
        "goal": at_goal,
        "value": float(10**value),
        "low": None if inside[0] else float(10 ** min(low, value)),
        "high": None if inside[-1] else float(10 ** max(high, value)),
        "decades": float(value - x.max()),
    } | count_pairs(table)


def _points_of_all(
    seen: list[float], by_point: list[dict[int, pd.Series]]
) -> tuple[list[float], list[dict[int, pd.Series]]]:
    """The points that every training seed has which has any."""
    seeds = set().union(*by_point)
    places = [place for place, outcomes in enumerate(by_point) if outcomes.keys() == seeds]
    return [seen[place] for place in places], [by_point[place] for place in places]


def _common_outcomes(
    seen: list[float], by_point: list[dict[int, pd.Series]], fewest_points: int
) -> tuple[pd.DataFrame | None, list[int]]:
    """Outcomes of the pairs that all points and seeds share: columns of a seed beside each other."""
    seeds = sorted(set.intersection(*map(set, by_point))) if by_point and len(set(seen)) >= fewest_points else []
    if not seeds:
        return None, []
    columns = {(seed, point): outcomes[seed] for seed in seeds for point, outcomes in enumerate(by_point)}
    table = pd.concat(columns, axis=1, join="inner").dropna()
    return (None if table.empty else table), seeds


def _least_squares(seen: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms, and the weights with which accuracies at them make the slope."""
    x = np.log10(np.asarray(seen, dtype=float))
    return x, (x - x.mean()) / np.square(x - x.mean()).sum()


def _interval(of_pairs: np.ndarray, table: pd.DataFrame) -> tuple[float, float]:
    """The interval of a mean over pairs `(seeds, pairs)`, by what there is."""
    if len(of_pairs) > 1:
        half = float(half_widths(of_pairs[..., None], clusters_of(table))[0])
        return float(of_pairs.mean() - half), float(of_pairs.mean() + half)
    drawn = resampled_means(of_pairs.T, BOOTSTRAP_SEED, cluster_ids=clusters_of(table))
    return tuple(float(end) for end in np.quantile(drawn, [0.025, 0.975]))


def _places_within(gaps: np.ndarray, slopes: np.ndarray, places: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """At which places the interval of gap - place * slope holds zero."""
    if len(gaps) > 1:
        half = half_widths(gaps[..., None] - places * slopes[..., None], clusters_of(table))
        return np.abs(gaps.mean() - places * slopes.mean()) <= half
    drawn = resampled_means(np.concatenate([gaps, slopes]).T, BOOTSTRAP_SEED, cluster_ids=clusters_of(table))
    rising = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(rising[:, 0] / rising[:, 1], [0.025, 0.975])
    return (places >= low) & (places <= high)


def _r_squared(values: np.ndarray, fitted: np.ndarray) -> float | None:
    total = np.square(values - values.mean()).sum()
    if len(values) < 3 or total < 1e-18:
        return None
    return float(1 - np.square(values - fitted).sum() / total)
