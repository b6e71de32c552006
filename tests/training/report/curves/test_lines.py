"""Lines through the points of trainings: whether their intervals hold a slope that is known, and where they lead."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_trainings import simulate_trainings

from evoslm.training.report.curves.learning_curves import AXES
from evoslm.training.report.curves.lines import (
    REACHED_BEFORE,
    SLOPE_NOT_SHOWN,
    TOO_FAR,
    TOO_FEW_POINTS,
    extrapolate,
    fit_line,
)

SEEN = [1e4, 2e4, 4e4, 1e5]
PLACES = tuple(np.log10(SEEN))
PUBLISHED = Path(__file__).parents[4] / "docs" / "results" / "laptop" / "results.json"


def right(number: float, pairs: int = 100) -> dict[int, pd.Series]:
    """Two trainings that get the same first pairs right."""
    return {seed: pd.Series(np.arange(pairs) < number, dtype=float) for seed in (0, 1)}


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_intervals_hold_the_true_slope(num_seeds):
    """Of one training over other pairs only: there no training may differ from another."""
    rng, spread = np.random.default_rng(num_seeds), (0.02, 0.04) if num_seeds > 1 else (0.0, 0.0)
    held = 0
    for _ in range(80):
        points, _ = simulate_trainings(rng, 0.12, num_seeds, places=PLACES, seed_sd=spread[0], slope_sd=spread[1])
        line = fit_line(SEEN, points)
        held += line["low"] <= 0.12 <= line["high"]
    assert held >= 70  # of 80; 95 % are 76, and less than 70 come by chance once in three hundred times


def test_intervals_are_wider_than_those_of_points_that_pretend_to_be_independent():
    """The points of a training move together; their distance from the line says little of another training."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(60):
        points, _ = simulate_trainings(rng, 0.12, 3, places=PLACES)
        y = np.array([np.mean([outcomes.mean() for outcomes in point.values()]) for point in points])
        fitted = np.polyfit(PLACES, y, 1)
        rest = y - np.polyval(fitted, PLACES)
        error = np.sqrt(np.square(rest).sum() / 2 / np.square(PLACES - np.mean(PLACES)).sum())
        held += abs(fitted[0] - 0.12) <= 4.303 * error  # Student's t of two degrees of freedom
    assert held < 48  # of 60: 80 %


def test_an_extrapolation_holds_the_place_where_the_line_arrives():
    rng, truth = np.random.default_rng(2), np.mean(PLACES) + (0.9 - 0.62) / 0.25
    found = [extrapolate(SEEN, *simulate_trainings(rng, 0.25, 3, places=PLACES)) for _ in range(60)]
    given = [each for each in found if each["missing"] is None]
    assert len(given) > 50
    held = [
        (each["low"] is None or np.log10(each["low"]) <= truth)
        and (each["high"] is None or truth <= np.log10(each["high"]))
        for each in given
    ]
    assert np.mean(held) > 0.87
    assert all(each["low"] is None or each["low"] <= each["value"] for each in given)


def test_a_slope_that_may_be_zero_leads_nowhere():
    rng = np.random.default_rng(3)
    found = [extrapolate(SEEN, *simulate_trainings(rng, 0.0, 3, places=PLACES)) for _ in range(40)]
    assert sum(each["missing"] == SLOPE_NOT_SHOWN for each in found) >= 36
    assert all("value" not in each for each in found if each["missing"])


def test_what_is_too_far_is_not_given_and_what_was_reached_is():
    slow = [right(number, 400) for number in (100, 130, 160)]
    assert extrapolate([1e3, 1e4, 1e5], slow, right(400, 400)) == {"missing": TOO_FAR, "goal": 1.0}
    steps = [right(number) for number in (50, 60, 70)]
    assert extrapolate([1e3, 1e4], steps[:2], right(60))["missing"] == TOO_FEW_POINTS
    assert extrapolate([1e3, 1e4, 1e5], steps, {7: right(60)[0]}) is None  # no training in common
    there = extrapolate([1e3, 1e4, 1e5], steps, right(65))
    assert np.log10(there["value"]) == pytest.approx(4.5) and there["decades"] == pytest.approx(-0.5)
    assert extrapolate([1e3, 1e4, 1e5], steps, right(20))["missing"] == REACHED_BEFORE
    beyond = extrapolate([1e3, 1e4, 1e5], steps, right(90))
    assert np.log10(beyond["value"]) == pytest.approx(7) and there["high"] < beyond["value"]


def test_a_line_is_of_the_points_that_all_trainings_have():
    seen, by_point = [1e3, 1e4, 1e5, 1e6], [right(number) for number in (50, 60, 70, 90)]
    whole = fit_line(seen[:3], by_point[:3])
    del by_point[-1][1]  # which converged before
    assert fit_line(seen, by_point) == whole
    assert (whole["points"], whole["n_seeds"]) == (3, 2)
    assert extrapolate(seen, by_point, right(95)) == extrapolate(seen[:3], by_point[:3], right(95))
    assert fit_line(seen[1:], by_point[1:]) is None  # two points make no line


def test_r_squared_is_of_the_points_that_are_drawn():
    line = fit_line([1e3, 1e4, 1e5], [right(number) for number in (50, 60, 70)])
    assert line["r_squared"] == pytest.approx(1)
    bent = fit_line([1e3, 1e4, 1e5], [right(number) for number in (50, 60, 50)])
    assert bent["value"] == pytest.approx(0) and bent["r_squared"] == pytest.approx(0)
    two = fit_line([1e3, 1e4], [right(50), right(60)], fewest_points=2)
    assert two["r_squared"] is None and two["value"] == pytest.approx(0.1)
    assert fit_line([1e3, 1e4, 1e5], [right(50)] * 3)["r_squared"] is None  # nothing varies


def test_published_slopes_are_those_of_the_published_points():
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))["scaling"]
    lines = 0
    for by_task in published.values():
        for found in by_task.values():
            x = np.log10([point["tokens"] for point in found["points"]])
            slope, intercept = np.polyfit(x, [point["value"] for point in found["points"]], 1)
            assert found["line"]["value"] == pytest.approx(slope, abs=1e-9)
            assert found["line"]["intercept"] == pytest.approx(intercept, abs=1e-8)
            lines += 1
    assert lines == 18 and set(AXES) == {"tokens", "epochs", "flops"}
