"""Accuracies by layer: of known scores, and where half of the last layer's gain is."""

import numpy as np
import pandas as pd
import pytest

from evoslm.training.analysis.layers.accuracies import accuracies_by_layer, first_at_half, layer_outcomes
from evoslm.training.analysis.layers.text import write_layers
from evoslm.training.report.estimates import task_outcomes

SHARES = (0.5, 0.6, 0.8, 0.9)
"""Of sBLIMP's pairs, which the embeddings and three layers get right."""


def make_items(shares, pairs=100, seed=0):
    """Items with a list a log-likelihood: of each layer that share of the pairs is right."""
    order = np.random.default_rng(seed).permutation(pairs)
    right = np.array([[order[pair] < round(share * pairs) for share in shares] for pair in range(pairs)])
    return pd.DataFrame(
        {
            "task": "sblimp",
            "pair_id": [f"p{pair:03d}" for pair in range(pairs)],
            "cluster": [f"p{pair:03d}" for pair in range(pairs)],
            "group": "all",
            "band": "0",
            "voice": "one",
            "positive": list(np.where(right, -1.0, -2.0)),
            "negative": list(np.full(right.shape, -1.5)),
            "positive_tokens": 2,
            "negative_tokens": 2,
            "positive_unconditional": list(np.full(right.shape, np.nan)),
            "negative_unconditional": list(np.full(right.shape, np.nan)),
        }
    )


@pytest.mark.parametrize(
    ("accuracies", "layer"),
    [
        ([0.5, 0.6, 0.7, 0.9], 2),
        ([0.5, 0.8, 0.6, 0.9], 1),  # the first, though the next falls below again
        ([0.95, 0.5, 0.9], 0),
        ([0.4, 0.45, 0.5], None),
        ([0.5, 0.3, 0.4], None),
    ],
)
def test_half_of_the_gain_is_over_fifty_per_cent(accuracies, layer):
    assert first_at_half(accuracies) == layer


def test_each_layer_is_judged_by_its_own_scores_and_the_rule_of_the_report():
    items = make_items(SHARES)
    outcomes = layer_outcomes(items)
    assert [tables["sblimp"]["sum"].mean() for tables in outcomes] == pytest.approx(SHARES)
    last = items.assign(**{side: [values[-1] for values in items[side]] for side in ("positive", "negative")})
    last = last.drop(columns=["positive_unconditional", "negative_unconditional"])
    expected = task_outcomes(last)["sblimp"]
    pd.testing.assert_frame_equal(outcomes[-1]["sblimp"][expected.columns], expected)


def test_curves_have_intervals_over_pairs_and_seeds_and_half_is_said_by_seed():
    by_seed = {0: layer_outcomes(make_items(SHARES)), 1: layer_outcomes(make_items((0.5, 0.74, 0.8, 0.9), seed=1))}
    found = accuracies_by_layer(by_seed)["sblimp"]
    curve = found["rules"]["sum"]
    assert [each["value"] for each in curve] == pytest.approx([0.5, 0.67, 0.8, 0.9])
    assert all(each["low"] < each["value"] < each["high"] and each["n_seeds"] == 2 for each in curve)
    # Half of 40 points over 50 % is at 70 %, which one training has a layer earlier.
    assert found["above_chance"] and found["half"] == 2 and found["half_by_seed"] == {0: 2, 1: 1}
    assert "pmi" not in found["rules"]  # pairs without contexts


def test_no_layer_has_half_of_what_is_not_above_chance():
    found = accuracies_by_layer({0: layer_outcomes(make_items((0.5, 0.6, 0.55)))})["sblimp"]
    assert not found["above_chance"] and found["half"] is None and found["half_by_seed"] == {}
    layers = {"text_raw": {"layers": 2, "seeds": [0], "divergence": {}, "tasks": {"sblimp": found}}}
    section = write_layers({"logit": layers}, {"text_raw": "Text-Raw"})
    text = "\n".join(section.paragraphs)
    assert "- **sBLIMP**: the last layer is not above chance in Text-Raw." in text
    assert "| Text-Raw | 50.0 | 60.0 | 55.0 |" in text and "over pairs only (one training seed)" in text


def test_a_tuned_lens_stands_beside_the_other_with_how_far_its_layers_are():
    tasks = accuracies_by_layer({0: layer_outcomes(make_items(SHARES))})
    layers = {"layers": 3, "seeds": [0], "tasks": tasks, "divergence": {}}
    fitted = layers | {"divergence": {"before": [3.0, 2.0, 1.0], "after": [1.5, 0.5, 0.25]}}
    section = write_layers({"logit": {"text_raw": layers}, "tuned": {"text_raw": fitted}}, {"text_raw": "Text-Raw"})
    text = "\n".join(section.paragraphs)
    assert list(section.figures) == ["analysis_layers", "analysis_layers_tuned"]
    assert "half of the gain is there in Text-Raw at layer 2." in text
    assert "| Text-Raw, after | 1.50 | 0.50 | 0.25 |" in text
