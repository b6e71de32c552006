"""Intervals over pairs and training seeds: how often they hold the truth, and what they are made of."""

import numpy as np
import pytest
from simulated_outcomes import simulate

from evoslm.models.seed_intervals import accuracy_intervals, difference_interval, half_widths

STUDIES = 400
# Accuracies of four models and the standard deviations of these over training seeds, in points.
TRUTHS = {
    "seeds that change nothing": ((0.92, 0.88, 0.72, 0.55), (0, 0, 0, 0)),
    "a point": ((0.92, 0.88, 0.72, 0.55), (1, 1, 1, 1)),
    "two points": ((0.90, 0.85, 0.70, 0.60), (2, 2, 2, 2)),
    "four points": ((0.85, 0.80, 0.72, 0.60), (4, 4, 4, 4)),
    "one model far less stable": ((0.97, 0.94, 0.70, 0.52), (0.5, 1, 4, 1)),
    "near all right": ((0.97, 0.97, 0.95, 0.94), (0.5, 0.5, 1, 2)),
}


@pytest.mark.parametrize("num_seeds", [3, 5])
@pytest.mark.parametrize("truth", TRUTHS)
def test_95_per_cent_of_the_intervals_hold_the_truth(truth, num_seeds):
    """Within two points, and half a point that 400 studies of each size may be off by themselves."""
    accuracies, seed_points = map(np.array, TRUTHS[truth])
    rng = np.random.default_rng([num_seeds, list(TRUTHS).index(truth)])
    single, differences, ratios = [], [], []
    for num_clusters in (100, 400):
        outcomes, clusters = simulate(accuracies, seed_points, num_seeds, num_clusters, STUDIES, rng)
        for model, of_model in enumerate(outcomes):
            _, low, high = accuracy_intervals(of_model, clusters)
            single.append((low <= accuracies[model]) & (accuracies[model] <= high))
        for model in range(len(outcomes) - 1):
            a, b = outcomes[model], outcomes[model + 1]
            means = a.mean(axis=(0, 1)), b.mean(axis=(0, 1))
            change = accuracies[model + 1] - accuracies[model]
            differences.append(abs(means[1] - means[0] - change) <= half_widths(b - a, clusters))
            change = np.log(accuracies[model + 1] / accuracies[model])
            off = abs(np.log(means[1] / means[0]) - change)
            ratios.append(off <= half_widths(b / means[1] - a / means[0], clusters))
    assert 0.925 <= np.mean(single) <= 0.975
    assert 0.925 <= np.mean(differences) <= 0.975
    assert 0.925 <= np.mean(ratios) <= 0.975


def test_the_half_width_is_the_formula():
    """By hand, of clusters of one pair each."""
    values = np.array([[1, 1, 0, 1], [0, 1, 0, 1], [1, 0, 0, 1]], float)
    seeds = np.var([0.75, 0.5, 0.5], ddof=1)
    clusters = np.var(values.mean(axis=0), ddof=1)
    left = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    rest = np.square(left).sum() / (2 * 3)
    expected = 4.302653**2 * max(0, seeds - 0.75 * rest / 4) / 3 + 3.182446**2 * clusters / 4
    assert half_widths(values[..., None], list("abcd"))[0] == pytest.approx(np.sqrt(expected), rel=1e-6)


def test_seeds_that_disagree_widen_the_interval():
    alike = np.repeat(np.random.default_rng(0).integers(0, 2, (1, 200, 1)), 3, axis=0).astype(float)
    apart = alike.copy()
    apart[0, :60], apart[1, :60] = 1, 0
    assert half_widths(apart, range(200))[0] > 4 * half_widths(alike, range(200))[0]


def test_pairs_of_a_cluster_count_as_one_where_they_agree():
    of_clusters = np.random.default_rng(0).integers(0, 2, (3, 80, 1)).astype(float)
    pairs = np.repeat(of_clusters, 4, axis=1)
    together = half_widths(pairs, np.repeat(np.arange(80), 4))
    assert together == pytest.approx(half_widths(of_clusters, range(80)))
    assert half_widths(pairs, range(320))[0] < 0.7 * together[0]


def test_a_large_cluster_counts_by_its_pairs():
    """The accuracy is a mean over pairs, and a cluster moves it by as many as it has."""
    outcomes, clusters = np.ones((2, 10, 1)), [0, 0, 0, 0, 0, 0, 0, 1, 2, 3]
    outcomes[:, :7] = 0
    accuracy, low, high = accuracy_intervals(outcomes, clusters)
    assert accuracy[0] == pytest.approx(0.3)
    assert high[0] - low[0] > np.subtract(*accuracy_intervals(outcomes, range(10))[:0:-1])[0]


def test_intervals_of_accuracies_stay_between_none_and_all():
    outcomes = np.ones((3, 50, 2))
    outcomes[..., 1] = 0
    accuracy, low, high = accuracy_intervals(outcomes, range(50))
    assert accuracy.tolist() == [1, 0]
    assert (low[0], high[1]) == pytest.approx((0.925, 0.075), abs=0.002)
    assert (high[0], low[1]) == (1, 0)


def test_a_difference_is_in_points_and_in_per_cent_of_the_baseline():
    rng = np.random.default_rng(0)
    a, b = (rng.random((3, 200)) < 0.8).astype(float), (rng.random((3, 200)) < 0.6).astype(float)
    found = difference_interval(a, b, range(200))
    assert found["points"] == pytest.approx(100 * (b.mean() - a.mean()))
    assert found["percent"] == pytest.approx(100 * (b.mean() / a.mean() - 1))
    assert found["points_low"] < found["points"] < found["points_high"] < 0
    assert found["percent_low"] < found["percent"] < found["percent_high"] < 0
    nothing = difference_interval(np.zeros((2, 4)), np.ones((2, 4)), range(4))
    assert nothing["points"] == 100 and np.isnan([nothing["percent"], nothing["percent_low"]]).all()


def test_one_cluster_says_nothing_of_others():
    assert np.isnan(half_widths(np.ones((2, 3, 1)), ["a", "a", "a"])).all()


@pytest.mark.parametrize(
    ("shape", "clusters", "message"),
    [((1, 4, 1), range(4), "two seeds"), ((2, 0, 1), [], "no items"), ((2, 4, 1), range(3), "4 items and 3 cluster")],
)
def test_bad_input_is_named(shape, clusters, message):
    with pytest.raises(ValueError, match=message):
        half_widths(np.zeros(shape), clusters)
