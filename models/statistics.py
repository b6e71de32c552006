"""What can be said of two modalities from the same minimal pairs, and how surely.

1, 0.5 or 0 a row -> clusters of rows drawn again with replacement -> effect with its interval.
"""

from collections.abc import Sequence

import numpy as np

NUM_RESAMPLES = 10_000


def paired_effect(
    correct_a: Sequence[float],
    correct_b: Sequence[float],
    cluster_ids: Sequence | None = None,
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
    pair_ids: Sequence | None = None,
) -> dict[str, float | int]:
    """
    How accuracy changes from model A to model B on the same items, in points and in per cent of A's accuracy.

    The per cent are the form of 2412.17048, Table 3. Near 50 %, where guessing is, they overstate a change: read them
    beside the points. The interval is about the choice of items only, not about training seeds.

    Args:
        correct_a (`Sequence[float]`):
            For each item 1 (right), 0.5 (tie) or 0 (wrong) of model A, the baseline.
        correct_b (`Sequence[float]`):
            The same of model B, in the same order.
        cluster_ids (`Sequence`, *optional*):
            What each item stays together with when items are drawn, such as a pair and its mirrored twin. By default
            every pair is drawn by itself.
        seed (`int`, *optional*, defaults to 0):
            Of the bootstrap.
        num_resamples (`int`, *optional*, defaults to 10,000):
            Of the bootstrap.
        pair_ids (`Sequence`, *optional*):
            The pair of each item, whose voices are averaged first. By default each item is a pair.

    Returns:
        `dict`: `points` (100 (b - a)) and `percent` (100 (b - a) / a), each with `_low` and `_high`, the ends of a
        95 % percentile interval, `n_pairs` (also as `n`) and `n_clusters`. The per cent are NaN where A's accuracy may
        be zero: where it is in some resample.

    Raises:
        `ValueError`: If there are no items, the arguments differ in length, or a pair is in two clusters.
    """
    first, correct = average_voices(np.stack(_columns(correct_a, correct_b), axis=1), pair_ids, cluster_ids)
    clusters = first if cluster_ids is None else np.asarray(cluster_ids)[first]
    a, b = correct.mean(axis=0)
    drawn_a, drawn_b = resampled_means(correct, seed, num_resamples, clusters).T
    points_low, points_high = 100 * np.quantile(drawn_b - drawn_a, [0.025, 0.975])
    percent = percent_low = percent_high = np.nan
    if drawn_a.min() > 0:
        percent = 100 * (b - a) / a
        percent_low, percent_high = 100 * np.quantile(drawn_b / drawn_a - 1, [0.025, 0.975])
    return {
        "points": float(100 * (b - a)),
        "points_low": float(points_low),
        "points_high": float(points_high),
        "percent": float(percent),
        "percent_low": float(percent_low),
        "percent_high": float(percent_high),
        "n": len(correct),
        "n_pairs": len(correct),
        "n_clusters": len(np.unique(clusters)),
    }


def average_voices(
    outcomes: np.ndarray, pair_ids: Sequence | None = None, cluster_ids: Sequence | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """
    Means over the rows of each pair, which are its voices.

    Args:
        outcomes (`np.ndarray`): Of shape `(rows, columns)`.
        pair_ids (`Sequence`, *optional*): The pair of each row. By default each row is one.
        cluster_ids (`Sequence`, *optional*): The cluster of each row, the same for all of a pair.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: The first row of each pair, of shape `(pairs,)`, and the means, of shape
        `(pairs, columns)`, in the order of the ids: in another one, sums of thirds would differ in their last digit,
        and so would what a bootstrap takes for equal.

    Raises:
        `ValueError`: If there are no rows, not as many ids as rows, or a pair is in two clusters.
    """
    if not len(outcomes):
        raise ValueError("There are no items to compare.")
    for name, ids in (("pair", pair_ids), ("cluster", cluster_ids)):
        if ids is not None and len(ids) != len(outcomes):
            raise ValueError(f"There are {len(outcomes)} items and {len(ids)} {name} ids; give one for each.")
    if pair_ids is None:
        return np.arange(len(outcomes)), np.asarray(outcomes, np.float64)
    _, first, pairs, counts = np.unique(
        np.asarray(pair_ids).astype(str), return_index=True, return_inverse=True, return_counts=True
    )
    if cluster_ids is not None:
        clusters = np.asarray(cluster_ids).astype(str)
        apart = np.flatnonzero(clusters != clusters[first][pairs])
        if len(apart):
            here = apart[0]
            raise ValueError(
                f"The pair {list(pair_ids)[here]} is in two clusters, {clusters[first[pairs[here]]]} and "
                f"{clusters[here]}; the voices of a pair have one cluster, and two pairs have two ids."
            )
    sums = np.stack([np.bincount(pairs, column) for column in np.asarray(outcomes, np.float64).T], axis=1)
    return first, sums / counts[:, None]


def resampled_means(
    values: np.ndarray, seed: int = 0, num_resamples: int = NUM_RESAMPLES, cluster_ids: Sequence | None = None
) -> np.ndarray:
    """
    Means over rows drawn with replacement, the same rows in all columns: `(rows, columns)` -> `(resamples, columns)`.

    Outcomes take few values and equal rows are interchangeable, so that how often each different row is drawn is
    drawn instead of the rows.

    Args:
        values (`np.ndarray`): Of shape `(rows, columns)`.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.
        num_resamples (`int`, *optional*, defaults to 10,000): Of the bootstrap.
        cluster_ids (`Sequence`, *optional*): The cluster of each row. Clusters are then drawn instead of rows, and the
            mean is over the rows of those that were drawn.

    Raises:
        `ValueError`: If there are no rows, or not as many cluster ids as rows.
    """
    if not len(values):
        raise ValueError("There are no items to compare.")
    if cluster_ids is None:
        cluster_ids = np.arange(len(values))
    if len(cluster_ids) != len(values):
        raise ValueError(f"There are {len(values)} items and {len(cluster_ids)} cluster ids; give one for each.")
    _, clusters = np.unique(np.asarray(cluster_ids).astype(str), return_inverse=True)
    columns = (*np.asarray(values, np.float64).T, np.ones(len(values)))
    sums = np.stack([np.bincount(clusters, column) for column in columns], axis=1)
    different, counts = np.unique(sums, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(sums), counts / len(sums), size=num_resamples)
    drawn = drawn @ different
    return drawn[:, :-1] / drawn[:, -1:]


def _columns(correct_a, correct_b) -> tuple[np.ndarray, np.ndarray]:
    if len(correct_a) != len(correct_b):
        raise ValueError(f"Model A has {len(correct_a)} items and model B {len(correct_b)}: an effect needs the same.")
    columns = np.asarray(correct_a, dtype=np.float64), np.asarray(correct_b, dtype=np.float64)
    if not all(((column >= 0) & (column <= 1)).all() for column in columns):  # NaN is not
        raise ValueError("Items are right (1), wrong (0) or something in between; other numbers are no outcomes.")
    return columns
