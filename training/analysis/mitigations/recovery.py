"""How much of the gap between a topline and speech an answer recovers, in points and as a share of the gap.

outcomes of the same pairs by speech, by the answer and by the topline, of the same training seeds -> [`recover`] ->
what is gained, the gap, and the share with an interval that covers both of its ends.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ....models.seed_intervals import half_widths
from ....models.statistics import resampled_means
from ...report.estimates import BOOTSTRAP_SEED, difference

_WIDEST = 1e4
"""A share of the gap beyond which an interval is called open."""


def recover(speech: dict[int, pd.Series], answer: dict[int, pd.Series], topline: dict[int, pd.Series]) -> dict | None:
    """
    What an answer recovers of the gap between speech and a topline.

    The share is gain / gap, of the same pairs and seeds. Its interval has all shares r for which that of gain - r gap
    holds zero (Fieller, 1954), with the half widths of [`half_widths`]; with one training seed it is that of a
    bootstrap over clusters of pairs.

    Args:
        speech (`dict[int, pandas.Series]`): Outcomes of the pairs by training seed, of what is to be mended.
        answer (`dict[int, pandas.Series]`): Those of what mends it.
        topline (`dict[int, pandas.Series]`): Those of what could be reached.

    Returns:
        `dict` or `None`: `gap`, as [`difference`] gives it, and `share` (fractions of the gap: `value`, `low`,
        `high`), `None` where the interval of the gap is not above zero: of nothing, no share is recovered. `None`
        altogether without a seed or pair that all three have.
    """
    seeds = sorted(set(speech) & set(answer) & set(topline))
    if not seeds:
        return None
    sides = [pd.DataFrame({seed: side[seed] for seed in seeds}).dropna() for side in (speech, answer, topline)]
    common = sides[0].index.intersection(sides[1].index).intersection(sides[2].index).sort_values()
    if not len(common):
        return None
    sides = [side.loc[common] for side in sides]
    gap = difference(*({seed: side[seed] for seed in seeds} for side in (sides[0], sides[2])))
    low, mended, high = (side.to_numpy(float).T for side in sides)
    share = None
    if gap["points"]["low"] > 0:
        share = _share(mended - low, high - low, common.get_level_values(0))
    return {"gap": gap, "share": share}


def _share(gain: np.ndarray, gap: np.ndarray, clusters: pd.Index) -> dict[str, float]:
    """gain / gap of outcomes `(seeds, pairs)`."""
    value = float(gain.mean() / gap.mean())
    if len(gain) > 1:

        def is_possible(share: float) -> bool:
            left = gain - share * gap
            return abs(left.mean()) <= half_widths(left[..., None], clusters)[0] + 1e-12

        low, high = (_reach(is_possible, value, direction) for direction in (-1, 1))
    else:
        drawn = resampled_means(np.stack([gain[0], gap[0]], axis=1), BOOTSTRAP_SEED, cluster_ids=clusters)
        low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return {"value": value, "low": float(low), "high": float(high)}


def _reach(is_possible: Callable[[float], bool], start: float, direction: int) -> float:
    """How far from a possible share the others go on; infinite where they do not end."""
    step = 0.01
    while is_possible(start + direction * step):
        step *= 2
        if step > _WIDEST:
            return direction * np.inf
    inside, outside = step / 2 if step > 0.01 else 0.0, step
    for _ in range(25):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_possible(start + direction * middle) else (inside, middle)
    return start + direction * inside
