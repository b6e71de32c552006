"""Accuracies at equal FLOPs: between points, for every seed, and never beyond a point."""

import numpy as np
import pandas as pd
import pytest
from fake_run import make_fake_run

from evoslm.training.report.curves.equal_flops import compare_at_equal_flops
from evoslm.training.report.document import write_document
from evoslm.training.report.figures import draw_figures
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run

PAIRS = pd.MultiIndex.from_product([range(10), ["a", "b"]], names=["cluster", "pair_id"])


def right(number: int) -> dict[str, pd.Series]:
    """Outcomes of twenty pairs, of which the first ones are right."""
    return {"swuggy": pd.Series((np.arange(20) < number).astype(float), index=PAIRS)}


def values(found: dict) -> list[tuple[float, dict[str, float]]]:
    return [
        (budget["flops"], {name: by_task["swuggy"]["value"] for name, by_task in budget["accuracies"].items()})
        for budget in found["budgets"]
    ]


def test_a_value_between_two_points_is_interpolated_in_the_logarithm_of_their_flops():
    trainings = {
        "text_raw": {0: [(1e9, right(10)), (1e10, right(12)), (1e12, right(16))]},
        "phone_raw": {0: [(1e9, right(10)), (1e11, right(20))]},
    }
    found = compare_at_equal_flops(trainings)
    assert values(found) == [(1e11, {"text_raw": pytest.approx(0.7), "phone_raw": pytest.approx(1.0)})]
    accuracy = found["budgets"][0]["accuracies"]["text_raw"]["swuggy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"] and accuracy["n"] == 20
    assert found["ranges"] == {"text_raw": (1e9, 1e12), "phone_raw": (1e9, 1e11)}


def test_nothing_is_extrapolated_and_who_is_left_out_is_said():
    trainings = {
        "text_bpe": {0: [(1e9, right(10)), (1e10, right(12))]},
        "text_raw": {0: [(1e8, right(10)), (1e11, right(16))]},
        "phone_repeat": {0: [(5e10, right(10)), (1e12, right(11))]},
        "speech_units": {0: [(1e10, right(10))]},  # one point has nothing around it
    }
    found = compare_at_equal_flops(trainings)
    assert [(flops, set(by_name)) for flops, by_name in values(found)] == [
        (1e10, {"text_bpe", "text_raw"}),
        (1e11, {"text_raw", "phone_repeat"}),
    ]
    left_out = [budget["left_out"] for budget in found["budgets"]]
    assert left_out == [{"phone_repeat": "begin later"}, {"text_bpe": "end before"}]


def test_each_seed_is_read_at_its_own_flops_and_a_budget_is_one_that_all_reach():
    of_seeds = {0: [(1e9, right(10)), (1e11, right(20))], 1: [(1e8, right(10)), (1e10, right(14))]}
    found = compare_at_equal_flops({"text_raw": of_seeds, "phone_raw": {0: of_seeds[0], 1: of_seeds[0]}})
    assert found["ranges"]["text_raw"] == (1e9, 1e10)
    accuracy = found["budgets"][0]["accuracies"]["text_raw"]["swuggy"]
    assert accuracy["seeds"] == pytest.approx([0.75, 0.7])
    assert accuracy["over"] == "pairs and training seeds"


def test_modalities_whose_points_lie_apart_are_not_compared():
    trainings = {"a": {0: [(1.0, right(1)), (2.0, right(2))]}, "b": {0: [(3.0, right(1)), (4.0, right(2))]}}
    assert compare_at_equal_flops(trainings)["budgets"] == []


def test_a_report_has_them_from_points_that_have_not_decayed(tmp_path):
    run = make_fake_run(tmp_path / "run", modalities=("text_raw", "phone_raw"), seeds=(0, 1), pairs=40)
    results = compute_results(read_run(run))
    (budget,) = results["equal_flops"]["budgets"]
    # The last point along the way; the end of the training, at 4e11, has decayed.
    assert budget["flops"] == 2e11
    for name, by_task in results["scaling"].items():
        for task, scaling in by_task.items():
            assert budget["accuracies"][name][task]["value"] == pytest.approx(scaling["points"][-1]["value"])
    text = write_document(results, draw_figures(results))
    assert "### Accuracy at equal FLOPs" in text and "| 2.0e11 | Text-Raw |" in text
    assert "have not decayed" in text


def test_a_report_without_points_has_none(tmp_path):
    run = make_fake_run(tmp_path / "run", modalities=("text_raw", "phone_raw"), pairs=20, points=False)
    results = compute_results(read_run(run))
    assert results["equal_flops"] == {"ranges": {}, "budgets": []}
    assert "equal FLOPs" not in write_document(results, draw_figures(results))
