"""Makes up trainings whose accuracy grows along a line of known slope, scored at several points on the same pairs.

a line + how far seeds and clusters of pairs lie from it -> outcomes at each point, as `fit_line` takes them.
A pair of a training turns right once and stays right, or the other way round: its points are not independent at all.
"""

import numpy as np
import pandas as pd


def simulate_trainings(
    rng: np.random.Generator,
    slope: float = 0.12,
    num_seeds: int = 3,
    num_clusters: int = 60,
    places: tuple[float, ...] = (4.0, 4.3, 4.6, 5.0),
    seed_sd: float = 0.02,
    slope_sd: float = 0.04,
    middle: float = 0.62,
    goal: float = 0.9,
) -> tuple[list[dict[int, pd.Series]], dict[int, pd.Series]]:
    """
    Outcomes of pairs, two a cluster.

    Args:
        rng (`np.random.Generator`): Of everything.
        slope (`float`): Accuracy for ten times as much, over all seeds and pairs that there could be.
        num_seeds (`int`): Trainings.
        num_clusters (`int`): Clusters of pairs.
        places (`tuple[float, ...]`): Logarithms (of base 10) of what each point has seen.
        seed_sd (`float`): Standard deviation of a training's accuracy.
        slope_sd (`float`): Standard deviation of a training's slope.
        middle (`float`): Accuracy in the middle of the places.
        goal (`float`): Accuracy of another model on the same pairs.

    Returns:
        `tuple`: Outcomes at each point by training seed, and those of the other model.
    """
    clusters = np.repeat(np.arange(num_clusters), 2)
    index = pd.MultiIndex.from_arrays([clusters, np.arange(len(clusters))], names=["cluster", "pair_id"])
    x = np.array(places) - np.mean(places)
    levels = rng.uniform(-0.15, 0.15, num_clusters)[clusters]
    slopes = slope + rng.uniform(-0.1, 0.1, num_clusters)[clusters]
    points: list[dict[int, pd.Series]] = [{} for _ in places]
    reached = {}
    for seed in range(num_seeds):
        level, steeper = seed_sd * rng.normal(), slope_sd * rng.normal()
        threshold = rng.random(len(clusters))
        for point, place in zip(points, x):
            share = middle + levels + level + (slopes + steeper) * place
            point[seed] = pd.Series((threshold < share).astype(float), index=index)
        reached[seed] = pd.Series((rng.random(len(clusters)) < goal).astype(float), index=index)
    return points, reached
