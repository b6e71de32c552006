"""Shares of a gap: what is recovered of it, and how sure that is."""

import numpy as np
import pandas as pd
import pytest
from simulated_outcomes import simulate

from evoslm.training.analysis.mitigations.recovery import recover


def by_seed(outcomes: np.ndarray, clusters: np.ndarray, first_seed: int = 0) -> dict[int, pd.Series]:
    """Outcomes `(seeds, pairs)` as the report has them."""
    index = pd.MultiIndex.from_arrays([clusters.astype(str), np.arange(len(clusters)).astype(str)])
    return {first_seed + seed: pd.Series(row, index, dtype=float) for seed, row in enumerate(outcomes)}


@pytest.fixture(scope="module")
def models() -> tuple[np.ndarray, np.ndarray]:
    """Speech at 55, an answer at 65 and a topline at 85 %, in 50 studies of three seeds."""
    return simulate([0.55, 0.65, 0.85], [2.0, 2.0, 1.0], 3, 150, 50, np.random.default_rng(5))


def test_all_of_a_gap_and_nothing_of_it_are_one_and_zero(models):
    outcomes, clusters = models
    speech, _, topline = (by_seed(each[..., 0], clusters) for each in outcomes)
    everything = recover(speech, topline, topline)["share"]
    assert everything["value"] == 1 and everything["low"] == pytest.approx(1, abs=1e-6) == everything["high"]
    nothing = recover(speech, speech, topline)["share"]
    assert nothing["value"] == 0 and nothing["low"] == pytest.approx(0, abs=1e-6) == nothing["high"]


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_intervals_hold_the_share_that_is_true_as_often_as_they_say(models, num_seeds):
    outcomes, clusters = models
    true, held = (0.65 - 0.55) / (0.85 - 0.55), []
    for study in range(outcomes.shape[-1]):
        sides = (by_seed(each[:num_seeds, :, study], clusters) for each in outcomes)
        share = recover(*sides)["share"]
        assert share["low"] <= share["value"] <= share["high"]
        held.append(share["low"] <= true <= share["high"])
    if num_seeds > 1:
        assert np.mean(held) >= 0.88  # 95 % less more than two standard errors of 50 studies
    else:  # over pairs alone: another training would give something else
        assert np.mean(held) < 0.95


def test_of_no_gap_no_share_is_recovered(models):
    outcomes, clusters = models
    speech, answer, topline = (by_seed(each[..., 0], clusters) for each in outcomes)
    found = recover(topline, answer, speech)  # the topline is below what is to be mended
    assert found["share"] is None and found["gap"]["points"]["high"] < 0
    assert recover(speech, answer, speech)["share"] is None


def test_only_what_all_three_have_counts(models):
    outcomes, clusters = models
    speech, answer, topline = (by_seed(each[..., 0], clusters) for each in outcomes)
    fewer = {seed: rows.iloc[::2] for seed, rows in topline.items() if seed != 1}
    found = recover(speech, answer, fewer)
    assert found["gap"]["n_seeds"] == 2 and found["gap"]["n_pairs"] == len(fewer[0])
    assert recover(speech, by_seed(outcomes[1, ..., 0], clusters, first_seed=7), topline) is None
