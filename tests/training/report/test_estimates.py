"""Accuracies, differences and lines with their intervals: against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from evoslm.training.report.curves.lines import fit_line
from evoslm.training.report.estimates import difference, estimate, pair_outcomes


def items(**columns) -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    return pd.DataFrame(
        {
            "task": ["swuggy"] * length,
            "group": ["1-5"] * length,
            "band": ["1-5"] * length,
            "positive_tokens": [4] * length,
            "negative_tokens": [4] * length,
        }
        | columns
    )


def test_rules_ties_and_voices():
    scored = items(
        pair_id=["a", "a", "b", "c"],
        cluster=["ab", "ab", "ab", "c"],
        positive=[-10.0, -12.0, -9.0, -8.0],
        negative=[-11.0, -11.0, -9.0, -10.0],
        positive_tokens=[4, 4, 4, 2],
        negative_tokens=[4, 4, 3, 5],
        positive_unconditional=[-12.0, -12.0, np.nan, np.nan],
        negative_unconditional=[-11.0, -12.0, np.nan, np.nan],
    )
    outcomes = pair_outcomes(scored).droplevel("cluster")
    assert outcomes["sum"].to_dict() == {"a": 0.5, "b": 0.5, "c": 1.0}
    assert outcomes["mean"].to_dict() == {"a": 0.5, "b": 1.0, "c": 0.0}
    assert outcomes["fewer_tokens"].to_dict() == {"a": 0.5, "b": 0.0, "c": 1.0}
    assert outcomes["pmi"].dropna().to_dict() == {"a": 0.5}
    assert outcomes["ties"].to_dict() == {"a": 0.0, "b": 1.0, "c": 0.0}


def test_interval_is_that_of_resampled_pairs():
    values = np.random.default_rng(0).choice([0.0, 0.5, 1.0], size=150, p=[0.2, 0.1, 0.7])
    resampled = np.random.default_rng(1).choice(values, size=(20_000, 150)).mean(axis=1)
    found = estimate({0: pd.Series(values)})
    assert found["value"] == pytest.approx(values.mean())
    assert found["n"] == 150
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.012)


def test_twins_are_drawn_together():
    twins = pd.MultiIndex.from_product([range(50), ["a", "b"]], names=["cluster", "pair_id"])
    opposite = estimate({0: pd.Series([1.0, 0.0] * 50, index=twins)})
    assert (opposite["low"], opposite["value"], opposite["high"]) == (0.5, 0.5, 0.5)
    assert opposite["n"] == 100
    alike = estimate({0: pd.Series([1.0, 1.0, 0.0, 0.0] * 25, index=twins)})
    apart = estimate({0: pd.Series([1.0, 1.0, 0.0, 0.0] * 25)})
    assert alike["high"] - alike["low"] > 1.3 * (apart["high"] - apart["low"])


def test_several_seeds_give_mean_and_spread():
    found = estimate({0: pd.Series([1.0, 1.0, 1.0, 0.0]), 1: pd.Series([1.0, 0.0, 0.0, 0.0])})
    assert found["value"] == 0.5
    assert found["seeds"] == [0.75, 0.25]
    assert found["seed_sd"] == pytest.approx(np.std([0.75, 0.25], ddof=1))


def test_difference_is_paired():
    correct = pd.Series(np.random.default_rng(0).integers(0, 2, 100).astype(float))
    same = difference({0: correct}, {0: correct[::-1]})
    assert same["points"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    fewer = difference({0: correct}, {0: correct.where(correct.index >= 20, 0.0)})
    lost = correct[:20].mean() * 0.2
    assert fewer["points"]["value"] == pytest.approx(-lost)
    assert fewer["relative"]["value"] == pytest.approx(-lost / correct.mean())
    assert fewer["points"]["high"] < 0


def test_difference_takes_common_pairs_and_seeds_only():
    a = {0: pd.Series([1.0, 1.0, 0.0], index=["a", "b", "c"]), 1: pd.Series([0.0], index=["a"])}
    b = {0: pd.Series([0.0, 1.0], index=["a", "b"])}
    assert difference(a, b)["n"] == 2
    assert difference(a, b)["points"]["value"] == -0.5
    assert difference({1: a[1]}, b) is None


def test_slope_is_accuracy_for_ten_times_the_tokens():
    steps = [{0: pd.Series(np.arange(100) < n, dtype=float)} for n in (50, 60, 70)]
    line = fit_line([1e3, 1e4, 1e5], steps)
    assert line["value"] == pytest.approx(0.1)
    assert line["intercept"] + 4 * line["value"] == pytest.approx(0.6)
    assert line["low"] < 0.1 < line["high"]
    assert fit_line([1e3, 1e4], steps[:2]) is None


def test_intervals_of_several_seeds_are_over_seeds():
    """Models that get the same pairs right in each training are as sure as the pairs, others less so."""
    pairs = pd.Series(np.arange(200) % 10 < 7, dtype=float)
    alike, apart = {0: pairs, 1: pairs, 2: pairs}, {0: pairs, 1: pairs * (pairs.index >= 40), 2: pairs}
    single, same, spread = estimate({0: pairs}), estimate(alike), estimate(apart)
    assert [found["over"] for found in (single, same)] == ["pairs", "pairs and training seeds"]
    assert [found["n_seeds"] for found in (single, same)] == [1, 3]
    widths = [found["high"] - found["low"] for found in (single, same, spread)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1) and widths[2] > 2 * widths[1]
    assert difference(alike, apart)["points"]["high"] > 0 > difference({0: pairs}, {0: apart[1]})["points"]["high"]


def test_slope_over_seeds_is_that_of_their_mean():
    steps = [{seed: pd.Series(np.arange(100) < n + 5 * seed, dtype=float) for seed in (0, 1)} for n in (50, 60, 70)]
    line = fit_line([1e3, 1e4, 1e5], steps)
    assert (line["n_seeds"], line["over"]) == (2, "pairs and training seeds")
    assert line["value"] == pytest.approx(0.1) and line["seeds"] == pytest.approx([0.1, 0.1])
