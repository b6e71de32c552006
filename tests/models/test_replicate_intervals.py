"""Intervals over replicates: how often they hold what all corpora of a kind would give, and what they are made of."""

import numpy as np
import pytest
from simulated_outcomes import simulate

from evoslm.models.seed_intervals import half_widths, mean_over_replicates

STUDIES = 300
SEEDS, CLUSTERS = 3, 150
# Accuracies of three models and their standard deviations over training seeds and over corpora, in points.
TRUTHS = {
    "corpora that change nothing": ((0.90, 0.80, 0.60), (1, 1, 1), (0, 0, 0)),
    "corpora that change as much as seeds": ((0.90, 0.80, 0.60), (2, 2, 2), (2, 2, 2)),
    "corpora that change most": ((0.88, 0.75, 0.60), (1, 1, 1), (5, 5, 5)),
    "one model far less stable": ((0.96, 0.80, 0.55), (0.5, 4, 1), (1, 5, 1)),
}


def simulate_replicates(truth: str, num_replicates: int) -> tuple[np.ndarray, list]:
    """Accuracies of shape `(models, replicates, studies)`, and the first replicate's outcomes with their clusters."""
    accuracies, seed_points, corpus_points = TRUTHS[truth]
    rng = np.random.default_rng([num_replicates, list(TRUTHS).index(truth)])
    drawn = [
        simulate(accuracies, seed_points, SEEDS, CLUSTERS, STUDIES, rng, corpus_points) for _ in range(num_replicates)
    ]
    return np.stack([outcomes.mean(axis=(1, 2), dtype=float) for outcomes, _ in drawn], axis=1), drawn[0]


@pytest.mark.parametrize("num_replicates", [2, 3, 5])
@pytest.mark.parametrize("truth", TRUTHS)
def test_95_per_cent_of_the_intervals_hold_what_all_corpora_would_give(truth, num_replicates):
    """Within two points, and a point that 300 studies may be off by themselves."""
    found, _ = simulate_replicates(truth, num_replicates)
    accuracies = np.array(TRUTHS[truth][0])
    values = [*zip(found, accuracies), *zip(np.diff(found, axis=0), np.diff(accuracies))]
    held = [
        low <= expected <= high
        for of_studies, expected in values
        for _, low, high in map(mean_over_replicates, of_studies.T)
    ]
    assert 0.92 <= np.mean(held) <= 0.98


def test_the_interval_of_one_study_does_not_hold_other_corpora():
    """What replicates are for: of one corpus nothing says how far another would move a difference."""
    _, (outcomes, clusters) = simulate_replicates("corpora that change most", 2)
    change = outcomes[1] - outcomes[0]
    off = abs(change.mean(axis=(0, 1)) - np.diff(TRUTHS["corpora that change most"][0])[0])
    assert np.mean(off <= half_widths(change, clusters)) < 0.75


def test_the_interval_is_students_of_the_values():
    """By hand: standard deviation 0.02, t(2) = 4.302653."""
    mean, low, high = mean_over_replicates([0.70, 0.72, 0.74])
    assert mean == pytest.approx(0.72)
    assert (high - mean, mean - low) == pytest.approx((4.302653 * 0.02 / np.sqrt(3),) * 2, rel=1e-6)


def test_one_replicate_says_nothing_of_others():
    with pytest.raises(ValueError, match="two replicates"):
        mean_over_replicates([0.7])
