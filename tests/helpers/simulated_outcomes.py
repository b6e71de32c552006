"""Makes up outcomes of minimal pairs by models of known accuracy, trained with several seeds.

accuracies and their spreads over seeds (and corpora) -> logits of pairs, clusters, seeds and both -> right or wrong.
"""

from collections.abc import Sequence

import numpy as np

# Standard deviations in logits: of a cluster, of a pair, of a pair for one model, of a pair for one model and seed.
CLUSTER, PAIR, PAIR_BY_MODEL, PAIR_BY_SEED = 1.0, 0.9, 0.7, 0.8
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)


def simulate(
    accuracies: Sequence[float],
    seed_points: Sequence[float],
    num_seeds: int,
    num_clusters: int,
    repetitions: int,
    rng: np.random.Generator,
    corpus_points: Sequence[float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Studies of the same models, each with training seeds and pairs of its own.

    Args:
        accuracies (`Sequence[float]`): What each model gets right, over all seeds and pairs that there could be.
        seed_points (`Sequence[float]`): The standard deviation of each model's accuracy over seeds, in points.
        num_seeds (`int`): Training seeds of a study.
        num_clusters (`int`): Clusters, of one to four pairs.
        repetitions (`int`): Studies.
        rng (`np.random.Generator`): Of everything.
        corpus_points (`Sequence[float]`, *optional*): The standard deviation of each model's accuracy over corpora, in
            points, where each study has a corpus of its own.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Outcomes of shape `(models, seeds, pairs, repetitions)`, and the cluster of
        each pair.
    """
    clusters = np.repeat(np.arange(num_clusters), rng.integers(1, 5, num_clusters))
    shape = (len(clusters), repetitions)
    difficulty = CLUSTER * rng.normal(size=(num_clusters, repetitions))[clusters] + PAIR * rng.normal(size=shape)
    outcomes = np.empty((len(accuracies), num_seeds, *shape), np.float32)
    corpus_points = corpus_points or np.zeros(len(accuracies))
    for model, (accuracy, *points) in enumerate(zip(accuracies, seed_points, corpus_points)):
        level, spread = _in_logits(accuracy, np.hypot(*points) / 100)
        seed_sd, corpus_sd = spread * np.array(points) / (np.hypot(*points) or 1)
        of_model = difficulty + PAIR_BY_MODEL * rng.normal(size=shape) + corpus_sd * rng.normal(size=repetitions)
        for seed in range(num_seeds):
            logits = level + of_model + seed_sd * rng.normal(size=repetitions) + PAIR_BY_SEED * rng.normal(size=shape)
            outcomes[model, seed] = rng.random(shape) < _sigmoid(logits)
    return outcomes, clusters


def _in_logits(accuracy: float, seed_sd: float) -> tuple[float, float]:
    """The level of a model, and its standard deviation over seeds."""
    pairs_sd = np.sqrt(CLUSTER**2 + PAIR**2 + PAIR_BY_MODEL**2 + PAIR_BY_SEED**2)
    levels = np.linspace(-2, 12, 1401)

    def means(sd: float) -> np.ndarray:
        return _sigmoid(levels[:, None] + sd * NODES) @ WEIGHTS / WEIGHTS.sum()

    by_level = means(pairs_sd)
    level, spread = np.interp(accuracy, by_level, levels), 0.0
    for _ in range(20 if seed_sd else 0):
        drawn = np.interp(level + spread * NODES, levels, by_level)
        reached = np.sqrt(np.square(drawn - drawn @ WEIGHTS / WEIGHTS.sum()) @ WEIGHTS / WEIGHTS.sum())
        spread = (
            spread * seed_sd / reached if spread else seed_sd / np.interp(level, levels, np.gradient(by_level, levels))
        )
        level = np.interp(accuracy, means(np.hypot(pairs_sd, spread)), levels)
    return float(level), float(spread)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))
