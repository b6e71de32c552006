"""How surely something is known that was measured with a few training seeds on many minimal pairs.

outcomes (seeds, pairs) -> variance over seeds, over clusters of pairs, and of the rest -> half an interval. Of whole
studies that each drew everything anew: their values -> mean and interval ([`mean_over_replicates`]).

Apart from `statistics.py`, whose intervals are about the choice of pairs only, and which the metrics hold copies of.
"""

from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95
FEWEST_CLUSTERS = 10
"""
Clusters of pairs from which on these intervals hold the truth as often as they say. On simulated studies with three
seeds, other than those it was chosen on, at least 95 % of the intervals of any one estimate did so with ten clusters,
89 % with six and 84 % with four.
"""
REST_SHARE = 0.75
"""The part of the rest's variance that is taken off the variance of the seeds' means; see [`half_widths`]."""


def half_widths(values: np.ndarray, cluster_ids: Sequence) -> np.ndarray:
    """
    Half the 95 % interval of a mean over pairs and training seeds: over other pairs and other seeds.

    Seeds and clusters of pairs are crossed random effects, and there are few seeds and many clusters. So each of the
    two parts of the variance of the mean has the quantile of Student's t of its own degrees of freedom:

        half² = t²(S - 1) max(0, s²(seed) - 3/4 s²(rest) / I) / S + t²(I - 1) s²(cluster) / I

    s²(seed) is the variance of the S seeds' means, in which the rest has a share by chance, s²(cluster) that of the I
    clusters' means over seeds, s²(rest) what is left of a cluster and seed. Of the share of the rest three quarters
    are taken off, not all, since the variance of three seeds is below its expectation more often than above it.
    `docs/methods.md` has the coverage of this and of what it was chosen against.

    Args:
        values (`np.ndarray` of shape `(seeds, pairs, columns)`): Outcomes of pairs, or differences of outcomes.
        cluster_ids (`Sequence`): The cluster of each pair. Clusters may have any numbers of pairs: the mean is over
            pairs, and a cluster counts by how far its pairs move it.

    Returns:
        `np.ndarray` of shape `(columns,)`: NaN where there is one cluster only, which says nothing of others.

    Raises:
        `ValueError`: If there are fewer than two seeds, no pairs, or not as many cluster ids as pairs.
    """
    from scipy.stats import t

    num_seeds, num_pairs = values.shape[:2]
    if num_seeds < 2:
        raise ValueError("An interval over training seeds needs two seeds at least.")
    if not num_pairs:
        raise ValueError("There are no items to compare.")
    if len(cluster_ids) != num_pairs:
        raise ValueError(f"There are {num_pairs} items and {len(cluster_ids)} cluster ids; give one for each.")
    moved = _moved_by_clusters(values, cluster_ids)
    num_clusters = moved.shape[1]
    if num_clusters < 2:
        return np.full(values.shape[2], np.nan)
    over_seeds = moved.mean(axis=0)
    degrees = (num_seeds - 1) * (num_clusters - 1)
    clusters = np.square(over_seeds).sum(axis=0) / (num_clusters - 1) / num_clusters
    rest = np.square(moved - over_seeds).sum(axis=(0, 1)) / degrees / num_clusters
    seeds = np.maximum(values.mean(axis=1).var(axis=0, ddof=1) - REST_SHARE * rest, 0)
    quantile = (1 + CONFIDENCE) / 2
    seeds_t, clusters_t = t.ppf(quantile, num_seeds - 1), t.ppf(quantile, num_clusters - 1)
    return np.sqrt(seeds_t**2 * seeds / num_seeds + clusters_t**2 * clusters)


def accuracy_intervals(outcomes: np.ndarray, cluster_ids: Sequence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Accuracies with their 95 % intervals over pairs and training seeds.

    The interval is Wilson's, of as many independent answers as have this half width. Near 100 % it is longer on the
    side of 50 %, and it never leaves 0 to 100 %. Where all answers are right, or all wrong, each cluster counts as one
    answer.

    Args:
        outcomes (`np.ndarray` of shape `(seeds, pairs, columns)`): 1 (right), 0 (wrong) or something in between.
        cluster_ids (`Sequence`): The cluster of each pair.

    Returns:
        `tuple` of three `np.ndarray` of shape `(columns,)`: The accuracies, and the ends of their intervals.

    Raises:
        `ValueError`: As [`half_widths`].
    """
    from scipy.stats import t

    half = half_widths(outcomes, cluster_ids)
    accuracy = outcomes.mean(axis=(0, 1))
    spread = accuracy * (1 - accuracy)
    num_clusters = len(set(map(str, cluster_ids)))
    alike = t.ppf((1 + CONFIDENCE) / 2, max(num_clusters - 1, 1)) ** 2 / num_clusters
    share = np.where(spread > 0, half**2 / np.where(spread > 0, spread, 1), alike)  # t² over the number of answers
    centre = (accuracy + share / 2) / (1 + share)
    wilson = np.sqrt(share * spread + share**2 / 4) / (1 + share)
    return accuracy, np.minimum(centre - wilson, accuracy), np.maximum(centre + wilson, accuracy)


def difference_interval(a: np.ndarray, b: np.ndarray, cluster_ids: Sequence) -> dict[str, float]:
    """
    What changes from model A to model B, over other pairs and other training seeds.

    Args:
        a (`np.ndarray` of shape `(seeds, pairs)`): Outcomes of model A, the baseline.
        b (`np.ndarray` of shape `(seeds, pairs)`): Outcomes of model B by the same seeds on the same pairs.
        cluster_ids (`Sequence`): The cluster of each pair.

    Returns:
        `dict`: `points` (100 (b - a)) and `percent` (100 (b - a) / a), each with `_low` and `_high`, the ends of a
        95 % interval. That of the per cent is symmetric in the logarithm of b / a. The per cent are NaN where one of
        the models has nothing right.

    Raises:
        `ValueError`: As [`half_widths`].
    """
    mean_a, mean_b = a.mean(), b.mean()
    both_right = mean_a > 0 and mean_b > 0
    ratio = b / mean_b - a / mean_a if both_right else np.full_like(a, np.nan)  # moves like log(b / a)
    points, log_ratio = half_widths(np.stack([b - a, ratio], axis=-1), cluster_ids)
    found = {
        "points": mean_b - mean_a,
        "points_low": mean_b - mean_a - points,
        "points_high": mean_b - mean_a + points,
    }
    quotient = mean_b / mean_a if both_right else np.nan
    found |= {
        "percent": quotient - 1,
        "percent_low": quotient * np.exp(-log_ratio) - 1,
        "percent_high": quotient * np.exp(log_ratio) - 1,
    }
    return {name: float(100 * value) for name, value in found.items()}


def mean_over_replicates(values: Sequence[float]) -> tuple[float, float, float]:
    """
    The mean of what replicates of a study found, with its 95 % interval over other replicates of the same kind.

    Pairs and training seeds are nested in a replicate, which draws both anew: how far they move its value is part of
    how far the values of the R replicates lie apart. So they are one sample of independent values, and

        half = t(R - 1) s / sqrt(R)

    with s their standard deviation and t the quantile of Student's t: 12.7 for two replicates, 4.3 for three and 2.8
    for five.

    Args:
        values (`Sequence[float]`): A value of each replicate.

    Returns:
        `tuple` of three `float`: The mean, and the ends of its interval.

    Raises:
        `ValueError`: If there are fewer than two values.
    """
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError("An interval over replicates needs two replicates at least.")
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * spread / np.sqrt(len(values))
    return mean, float(mean - half), float(mean + half)


def _moved_by_clusters(values: np.ndarray, cluster_ids: Sequence) -> np.ndarray:
    """
    How far each cluster moves each seed's mean, times the number of clusters: of clusters of one size, its mean less
    the seed's. `(seeds, pairs, columns)` -> `(seeds, clusters, columns)`, zero on average over the clusters.
    """
    _, clusters = np.unique(np.asarray(cluster_ids).astype(str), return_inverse=True)
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    centred = values - values.mean(axis=1, keepdims=True)
    return np.add.reduceat(centred[:, order], starts, axis=1) * (len(starts) / values.shape[1])
