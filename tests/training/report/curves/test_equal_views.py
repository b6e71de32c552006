"""A step between two modalities at equal tokens, epochs or FLOPs: where both have points, and nowhere else."""

import numpy as np
import pandas as pd
import pytest

from evoslm.training.report.curves.equal_views import compare_at_equal

PAIRS = pd.MultiIndex.from_product([range(20), ["a"]], names=["cluster", "pair_id"])


def training(*points: tuple[float, int]) -> dict:
    """One point a place, with the first pairs right."""
    return [(place, {"swuggy": pd.Series((np.arange(20) < n).astype(float), index=PAIRS)}) for place, n in points]


def test_a_step_is_read_at_the_furthest_place_that_both_have_reached():
    text = {seed: training((10, 10), (100, 14), (1000, 18)) for seed in (0, 1)}
    speech = {seed: training((100, 8), (10_000, 12)) for seed in (0, 1)}
    view = compare_at_equal(text, speech)
    change = view["tasks"]["swuggy"]
    assert view["at"] == 1000
    assert change["baseline"]["value"] == pytest.approx(0.9)
    assert change["result"]["value"] == pytest.approx(0.5)  # half way in the logarithm
    assert change["points"]["value"] == pytest.approx(-0.4) and change["n_seeds"] == 2


def test_steps_whose_points_lie_apart_or_are_too_few_have_no_view():
    early, late = {0: training((10, 10), (100, 12))}, {0: training((200, 8), (2000, 9))}
    assert compare_at_equal(early, late) is None
    assert compare_at_equal(early, {0: training((50, 8))}) is None
    assert compare_at_equal(early, {}) is None


def test_equal_places_need_no_interpolation():
    view = compare_at_equal({0: training((1, 10), (2, 16))}, {0: training((1, 10), (2, 12))})
    assert view["at"] == 2 and view["tasks"]["swuggy"]["points"]["value"] == pytest.approx(-0.2)
