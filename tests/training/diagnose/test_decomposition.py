"""The steps from text to a tokenizer add up, and Phone-Repeat between two rates lies between them."""

import numpy as np
import pandas as pd
import pytest

from evoslm.training.diagnose.decomposition import STEPS, decompose, find_rate_anchor, interpolate

RATES = (12.5, 25.0, 50.0, 100.0)


def make_outcomes(ability, seeds=(0, 1, 2), num_pairs=120, seed=0):
    """Pairs in clusters of two, right by chance as often as `ability`, in every training anew."""
    index = pd.MultiIndex.from_tuples([(f"c{pair // 2}", f"p{pair}") for pair in range(num_pairs)])
    random = np.random.default_rng(seed)
    return {each: pd.Series((random.random(num_pairs) < ability).astype(float), index) for each in seeds}


def test_the_steps_add_up_to_the_gap_exactly_also_where_seeds_and_pairs_differ():
    chain = [make_outcomes(ability, seed=number) for number, ability in enumerate((0.95, 0.9, 0.7, 0.55))]
    chain[1].pop(2)
    chain[3][0] = chain[3][0].iloc[7:]
    found = decompose(*chain)
    steps = [found["steps"][step] for step in STEPS]
    assert sum(step["points"]["value"] for step in steps) == pytest.approx(found["gap"]["points"]["value"], abs=1e-12)
    levels = found["levels"]
    assert levels["tokenizer"]["value"] - levels["text_bpe"]["value"] == pytest.approx(found["gap"]["points"]["value"])
    assert {step["n_pairs"] for step in steps} == {113} and {step["n_seeds"] for step in steps} == {2}
    assert all(step["points"]["low"] <= step["points"]["value"] <= step["points"]["high"] for step in steps)


def test_a_tokenizer_that_is_its_anchor_has_no_variability():
    text, phones, repeated = (make_outcomes(ability, seed=number) for number, ability in enumerate((0.9, 0.8, 0.6)))
    points = decompose(text, phones, repeated, repeated)["steps"]["variability"]["points"]
    assert points == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_nothing_in_common_is_no_decomposition():
    text = make_outcomes(0.9)
    assert decompose(text, text, text, make_outcomes(0.5, seeds=(7,))) is None


@pytest.mark.parametrize(
    ("rate", "lower", "upper", "weight"),
    [(50, 50, 50, 0), (75, 50, 100, 0.585), (17.678, 12.5, 25, 0.5), (5, 12.5, 12.5, 0), (200, 100, 100, 0)],
)
def test_a_rate_lies_between_two_anchors_on_the_logarithm(rate, lower, upper, weight):
    found = find_rate_anchor(rate, RATES)
    assert (found.lower, found.upper) == (lower, upper) and found.weight == pytest.approx(weight, abs=1e-3)
    assert found.is_outside == (rate < 12.5 or rate > 100)


def test_between_two_anchors_outcomes_are_weighed_and_at_one_they_are_its_own():
    by_rate = {50.0: make_outcomes(0.8, seed=1), 100.0: make_outcomes(0.6, seed=2)}
    between = interpolate(find_rate_anchor(70.710678, RATES), by_rate)
    mean = (by_rate[50.0][0] + by_rate[100.0][0]) / 2
    assert np.allclose(between[0], mean, atol=1e-6)
    assert interpolate(find_rate_anchor(50, RATES), by_rate) == by_rate[50.0]
