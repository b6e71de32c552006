"""The part of factors on made-up runs: each factor split, in every view that the run has of it."""

import json

import pytest
from fake_run import make_fake_run

from evoslm.training.analysis.factors import STEPS, compute_factors
from evoslm.training.analysis.factors_text import describe_factors, factor_table, say_missing_parts
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run

CHAIN = ("text_raw", "text_raw_no_space", "phone_raw", "phone_repeat", "speech_units_one_voice", "speech_units")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_fake_run(tmp_path_factory.mktemp("factors") / "run", CHAIN, seeds=(0, 1), pairs=40, baselines=False)


@pytest.fixture(scope="module")
def results(folder):
    return compute_factors(read_run(folder))


def find(results: dict, baseline: str, result: str) -> dict:
    return next(step for step in results["steps"] if (step["baseline"], step["result"]) == (baseline, result))


def test_each_factor_stands_whole_and_in_its_parts():
    assert [factor for _, _, factor in STEPS] == [
        *("A", "A", "A: word boundaries", "A: spelling to sound"),
        *("B", "B: length alone", "B: durations"),
        *("C", "C: acoustics, one voice", "C: many voices"),
    ]


def test_parts_add_up_to_their_factor_at_the_end(results):
    whole = find(results, "phone_repeat", "speech_units")
    parts = [
        find(results, "phone_repeat", "speech_units_one_voice"),
        find(results, "speech_units_one_voice", "speech_units"),
    ]
    for task in results["tasks"]:
        values = [part["tasks"][task]["epochs"]["points"]["value"] for part in parts]
        assert sum(values) == pytest.approx(whole["tasks"][task]["epochs"]["points"]["value"])


def test_equal_epochs_are_the_end_of_trainings_of_equal_epochs(folder, results):
    ends = compute_results(read_run(folder).without_points())["effects"]
    for effect in ends:
        if effect["factor"][0] in "ABC":
            step = find(results, effect["baseline"], effect["result"])
            for task, change in effect["tasks"].items():
                assert step["tasks"][task]["epochs"] == change and step["tasks"][task]["converged"] is None


def test_views_along_the_way_say_where_they_are_and_how_sure(results):
    views = find(results, "text_raw", "phone_raw")["tasks"]["sblimp"]
    assert views["tokens"]["at"] == 484_800 and views["flops"]["at"] == 2e11
    assert views["tokens"]["verdict"] in ("falls", "rises", "not shown", "at chance")
    table = factor_table(results, "sblimp")
    assert "484,800 tokens" in table and "2.0e11" in table and "*+1.6*" in table
    views = [step["tasks"].get("sblimp", dict.fromkeys("abcd")) for step in results["steps"]]
    assert table.count("not in this run") == sum(change is None for view in views for change in view.values())
    assert sum(not step["tasks"] for step in results["steps"]) == 3  # which lack a modality


def test_converged_trainings_are_the_paper_s_view(tmp_path):
    names = ("phone_raw", "phone_repeat")
    folder = make_fake_run(tmp_path / "run", names, seeds=(0, 1), pairs=20, baselines=False)
    study = json.loads((folder / "study.json").read_text())
    study["configuration"]["pretrain"] = {"train_until": "converged", "epochs": 40}
    (folder / "study.json").write_text(json.dumps(study))
    results = compute_factors(read_run(folder))
    views = find(results, "phone_raw", "phone_repeat")["tasks"]["swuggy"]
    assert "at" not in views["converged"] and views["epochs"]["at"] == 2
    # No training of the made-up run says that it converged.
    assert set(results["still_falling"]) == set(names) and "the limit ended before" in describe_factors(results)


def test_what_is_missing_says_how_it_is_had(results):
    assert results["absent"] == ["text_bpe", "phone_bpe", "phone_stretch"]
    assert "--modalities ... text_bpe phone_bpe phone_stretch" in say_missing_parts(results)
    recorded = results | {"recorded": True, "absent": ["speech_units_one_voice"]}
    assert "cannot be split here" in say_missing_parts(recorded)
    assert say_missing_parts(results | {"absent": []}) == "All steps and parts are in this run."
