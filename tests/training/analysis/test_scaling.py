"""The part of scaling on made-up runs: three views of the same trainings, and what can be said of them."""

from copy import deepcopy

import pytest
from fake_run import make_fake_run

from evoslm.training.analysis.parts import AnalyzedRun
from evoslm.training.analysis.scaling import compute_scaling, draw_figure, find_lack
from evoslm.training.analysis.scaling_text import (
    describe_scaling,
    extrapolation_table,
    line_table,
    say_disagreement,
    view_table,
)
from evoslm.training.report.run_folder import read_run
from evoslm.training.run.study_file import open_run

MODALITIES = ("text_bpe", "phone_raw", "phone_repeat")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaling") / "run"
    return compute_scaling(read_run(make_fake_run(folder, MODALITIES, seeds=(0, 1), pairs=80, baselines=False)))


def test_a_slope_is_the_same_in_each_view_of_one_modality(results):
    for by_task in results["scaling"].values():
        for found in by_task.values():
            slopes = [found["lines"][axis]["all"]["value"] for axis in ("tokens", "epochs", "flops")]
            assert slopes == pytest.approx([slopes[0]] * 3)
            assert found["lines"]["tokens"]["first_epoch"]["points"] == 2
            assert found["lines"]["tokens"]["beyond"]["points"] == 2


def test_views_disagree_where_an_epoch_is_longer(results):
    views = results["views"]["phone_raw"]
    # 100 updates are an epoch and 1e11 FLOPs of either; their tokens are not alike.
    assert views["epochs"]["at"] == 2 and views["flops"]["at"] == 2e11
    assert views["epochs"]["tasks"]["sblimp"]["points"] == views["flops"]["tasks"]["sblimp"]["points"]
    assert views["tokens"]["at"] == results["scaling"]["text_bpe"]["sblimp"]["points"][-1]["tokens"]
    assert results["views"]["phone_repeat"]["tokens"] is None
    sentence = say_disagreement(results)
    assert "at equal epochs (2)" in sentence and "Text-BPE" in sentence
    assert "have one slope (they differ by 0.0 points at most)" in sentence
    text = "\n".join(view_table(results))
    assert "not in this run" in text and text.count("| Phone-Repeat |") == 3


def test_only_one_view_is_said_to_be_one(results):
    apart = results | {"views": {"phone_repeat": results["views"]["phone_repeat"] | {"flops": None}}}
    assert "only equal epochs can be read here" in say_disagreement(apart)
    assert "points end before" not in say_disagreement(apart)  # in FLOPs they do not
    later = deepcopy(apart)
    for found in later["scaling"]["phone_repeat"].values():
        for point in found["points"]:
            point["flops"] += 1e15
    del later["scaling"]["phone_raw"]
    assert "as Text-BPE has, whose points end before theirs begin: only" in say_disagreement(later)
    assert "No text modality" in say_disagreement(results | {"topline": None, "views": {}})
    alone = say_disagreement(results | {"views": {}, "scaling": {"text_bpe": results["scaling"]["text_bpe"]}})
    assert alone.startswith("No modality but Text-BPE has points") and "have one slope" in alone


def test_the_line_of_the_topline_is_checked_by_what_it_reached(results):
    text = "\n".join(extrapolation_table(results))
    assert "A check with a known answer" in text and "Text-BPE itself was there after 326,400 tokens" in text
    for name, by_task in results["scaling"].items():
        for task, found in by_task.items():
            goal = found["to_topline"]["goal"]
            assert goal == results["scaling"]["text_bpe"][task]["to_topline"]["goal"], (name, task)
    reached = [f["to_topline"] for by in results["scaling"].values() for f in by.values()]
    given = [each for each in reached if each["missing"] is None]
    assert given and all(each["value"] > 0 for each in given)
    assert text.count("not to be had from these points") == len(reached) - len(given)


def test_what_is_fitted_is_said_and_drawn(results, tmp_path):
    assert "S = 2" in describe_scaling(results)
    assert line_table(results, "swuggy").count("\n") == 1 + len(MODALITIES)
    figure = draw_figure(results)
    assert len(figure.panels) == 3 * len(results["tasks"])
    figure.save(tmp_path)
    svg = (tmp_path / "analysis_scaling.svg").read_text()
    assert all(label in svg for label in ("tokens seen", "epochs", "training FLOPs", "Phone-Repeat"))


def test_a_run_without_points_lacks_them(tmp_path):
    folder = make_fake_run(tmp_path / "run", MODALITIES, pairs=20, points=False, baselines=False)
    assert "--points" in find_lack(AnalyzedRun(open_run(folder), read_run(folder)), None)
