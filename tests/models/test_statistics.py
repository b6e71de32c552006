"""Effects between two models on the same items."""

import numpy as np
import pytest

from evoslm.models.statistics import paired_effect, resampled_means


def test_an_effect_is_in_points_and_in_per_cent_of_the_baseline():
    a, b = [1, 1, 1, 1, 0] * 10, [1, 0, 0.5, 0.5, 0] * 10
    effect = paired_effect(a, b)
    assert effect["points"] == pytest.approx(-40) and effect["percent"] == pytest.approx(-50) and effect["n"] == 50
    assert effect["points_low"] < -40 < effect["points_high"] < 0
    assert effect["percent_low"] < -50 < effect["percent_high"] < 0
    assert paired_effect(a, b) == effect


def test_pairing_narrows_the_interval():
    a = np.random.default_rng(0).integers(0, 2, 500)
    b = a.copy()
    b[:20] = 1 - b[:20]
    paired = paired_effect(a, b)
    unpaired = paired_effect(a, np.random.default_rng(1).permutation(b))
    width = paired["points_high"] - paired["points_low"]
    assert width < 0.4 * (unpaired["points_high"] - unpaired["points_low"])


def test_the_interval_is_that_of_drawing_pairs():
    values = np.random.default_rng(0).choice([0, 0.5, 1], size=(60, 2), p=[0.2, 0.1, 0.7])
    rng = np.random.default_rng(5)
    drawn = np.stack([values[rng.integers(0, 60, 60)].mean(axis=0) for _ in range(5000)])
    fast = resampled_means(values)
    assert np.quantile(fast, [0.025, 0.975], axis=0) == pytest.approx(
        np.quantile(drawn, [0.025, 0.975], axis=0), abs=0.02
    )
    assert np.cov(fast.T) == pytest.approx(np.cov(drawn.T), rel=0.15, abs=2e-4)


def test_voices_of_a_pair_stay_together():
    a, b = np.zeros(8), np.array([1, 1, 1, 1, 0, 0, 0, 0])
    a[:] = 0.5
    effect = paired_effect(a, b, ["x"] * 4 + ["y"] * 4)
    assert (effect["n"], effect["n_pairs"], effect["n_clusters"]) == (8, 8, 2)
    assert (effect["points_low"], effect["points_high"]) == (-50, 50)
    drawn = resampled_means(np.array([[1.0], [0.0], [1.0]]), cluster_ids=["u", "v", "u"])
    assert sorted(set(drawn[:, 0])) == [0, 2 / 3, 1]  # twice v, one of each (the mean of three rows), twice u


def test_an_effect_counts_each_pair_once_however_many_voices_it_has():
    a, b, pairs = [0, 0, 0, 0], [1, 1, 1, 0], ["x", "x", "x", "y"]
    effect = paired_effect(a, b, ["c"] * 4, pair_ids=pairs)
    assert (effect["points"], effect["n_pairs"], effect["n_clusters"]) == (50, 2, 1)
    assert paired_effect(a, b, pair_ids=pairs)["n_clusters"] == 2
    with pytest.raises(ValueError, match="The pair x is in two clusters, c and d; the voices of a pair have one"):
        paired_effect(a, b, ["c", "d", "c", "e"], pair_ids=pairs)


def test_per_cent_of_nothing_are_not_given():
    for baseline in ([0, 0, 0], [0, 0, 1]):  # the second is zero in some resamples
        effect = paired_effect(baseline, [1, 1, 1])
        assert np.isnan([effect["percent"], effect["percent_low"], effect["percent_high"]]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1], [1, 0]), "Model A has 1 items and model B 2"),
        (([], []), "no items"),
        (([1, 0], [1, 0], ["x"]), "2 items and 1 cluster ids"),
        (([1, float("nan")], [1, 0]), "no outcomes"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        paired_effect(*arguments)
