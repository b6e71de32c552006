"""Continuation perplexity: its numbers are those that are counted by hand, its intervals cover, and engines agree."""

import importlib
import json
import math
import os
import shutil
import sys
from pathlib import Path

import evaluate
import numpy as np
import pytest
from tiny_joint_model import make_text_model

import evoslm
from evoslm.metrics.continuation_app import read_continuations
from evoslm.metrics.continuation_perplexity.continuation_perplexity import describe_outputs
from evoslm.metrics.continuation_perplexity.output_statistics import (
    auto_bleu,
    compare_means,
    describe_values,
    distinct_ngrams,
    draw_weights,
    mean_with_interval,
)

FOLDER = Path(evoslm.metric_path("continuation_perplexity"))
PROMPTS = ["The lion sings.", "The lion sings.", "A yellow window", "A yellow window"]
TRUE = ["The otter sings.", "The otter sings.", "carries the river.", "carries the river."]
WRITTEN = ["a quiet river sings.", "the river, the river", "", "quiet letter."]
PERPLEXITIES = [20.0, 30.0, None, 100.0]
LINKS = {f"{name}.py": f"../{name}.py" for name in ("continuation_app", "continuation_scorer", "continuation_texts")}


@pytest.fixture(scope="module")
def metric(tmp_path_factory):
    return evaluate.load(str(FOLDER), cache_dir=str(tmp_path_factory.mktemp("evaluate")))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return make_text_model(tmp_path_factory.mktemp("model"))


def references(true=None) -> list[dict]:
    return [{"prompt": p} | ({"continuation": t} if true else {}) for p, t in zip(PROMPTS, true or PROMPTS)]


def test_numbers_are_those_that_are_counted_by_hand(metric):
    result = metric.compute(
        predictions=WRITTEN,
        references=references(),
        perplexities=PERPLEXITIES,
        reasons=["end", "limit", "stop", "end"],
        generated_tokens=[5, 6, 0, 3],
        silent=[False, False, False, True],
        training_seeds=[0, 1, 0, 1],
        transcriber="a recogniser",
        return_outcomes=True,
    )
    assert result["mean"] == 50 and result["median"] == 30 and result["sd"] == pytest.approx(math.sqrt(1900))
    assert result["percentile_25"] == 25 and result["percentile_95"] == pytest.approx(93)
    shares = {name: own["share"] for name, own in result["shares"].items()}
    assert shares == {"empty": 0.25, "limit": 0.25, "instant": 0.25, "silent": 0.25}
    # The second output alone repeats itself: all of its words, and two of its three pairs.
    assert result["auto_bleu"] == pytest.approx(math.sqrt(2 / 3) / 3)
    assert result["distinct_1"] == 6 / 10 and result["distinct_2"] == 6 / 7
    counted = {"n": 4, "n_scored": 3, "n_words": 10, "n_prompts": 2, "n_training_seeds": 2}
    assert {name: result[name] for name in counted} == counted
    assert result["transcriber"] == "a recogniser" and result["judge"] is None
    rows = [(row["training_seed"], row["perplexity"], row["words"], row["instant"]) for row in result["outcomes"]]
    assert rows[1] == (1, 30.0, 4, False) and math.isnan(rows[2][1]) and rows[2][3] is True
    for name in ("mean", "sd", "median", "percentile_95", "auto_bleu"):
        assert result[f"{name}_low"] <= result[name] <= result[f"{name}_high"]


def test_statistics_are_those_of_numpy_and_weights_count_outputs_as_often_as_they_were_drawn():
    values = np.random.default_rng(0).lognormal(3, 1, 50)
    found = describe_values(values, np.arange(50))
    assert found["mean"] == pytest.approx(values.mean()) and found["sd"] == pytest.approx(values.std(ddof=1))
    for name, percent in (("percentile_5", 5), ("percentile_25", 25), ("median", 50), ("percentile_95", 95)):
        assert found[name] == pytest.approx(np.percentile(values, percent))
    (weights,) = draw_weights(list("aabb"), [0, 1, 0, 1], num_resamples=200)
    assert (weights[:, 0] * weights[:, 3] == weights[:, 1] * weights[:, 2]).all()  # of a prompt and a seed
    assert weights.sum(axis=1) == pytest.approx(4) and set(np.unique(weights)) <= {0, 1, 2, 4}
    one = describe_values(np.array([7.0, np.nan]), ["a", "b"])
    assert one["mean"] == one["median"] == 7 and math.isnan(one["sd"])
    assert math.isnan(describe_values(np.array([np.nan]), ["a"])["mean"])
    assert math.isnan(mean_with_interval(np.array([np.nan]), ["a"])[0])


def test_one_prompt_says_nothing_of_others():
    values, outcome = np.arange(10.0, 20.0), {"prompt_id": "x", "training_seed": 0}
    found = describe_values(values, ["x"] * 10)
    assert found["mean"] == 14.5 and all(math.isnan(found[name]) for name in found if name.endswith(("_low", "_high")))
    mean, *ends = mean_with_interval(values, ["x"] * 10, [0, 1] * 5)
    assert mean == 14.5 and all(map(math.isnan, ends))
    sides = ([outcome | {"perplexity": value + by} for value in values] for by in (0, 1))
    change = compare_means(*sides)
    assert change["difference"] == 1 and math.isnan(change["difference_low"]) and math.isnan(change["percent_high"])


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Twenty prompts that differ, of ten outputs each: an interval that drew outputs alone would be too short."""
    rng, held = np.random.default_rng(1), 0
    prompts = np.repeat(np.arange(20), 10)
    for trial in range(40):
        values = 50 + rng.normal(0, 10, 20)[prompts] + rng.normal(0, 5, 200)
        _, low, high = mean_with_interval(values, prompts, seed=trial)
        held += low <= 50 <= high
    assert 32 <= held <= 40  # outputs drawn alone would hold it in half of the trials
    _, low_apart, high_apart = mean_with_interval(values, np.arange(200))
    assert high - low > 2 * (high_apart - low_apart)
    # Trainings that differ are drawn, too.
    seeds = np.tile([0, 1], 100)
    _, low, high = mean_with_interval(values + 40 * seeds, prompts, seeds)
    assert high - low > 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it sleeps it sleeps", math.sqrt(2 / 3)),
        ("the the the", 1.0),
        ("a b a c", 0.0),
        ("a b c", 0.0),
        ("word", 0.0),
        ("", 0.0),
    ],
)
def test_auto_bleu_is_the_geometric_mean_of_the_shares_of_repeated_ngrams(text, expected):
    assert auto_bleu(text.split()) == pytest.approx(expected)
    assert auto_bleu(["a", "b", "a"], size=1) == pytest.approx(2 / 3)


def test_distinct_counts_all_outputs_together():
    texts = [["a", "b"], ["a", "b"], []]
    assert distinct_ngrams(texts, 1) == distinct_ngrams(texts, 2) == 0.5
    assert math.isnan(distinct_ngrams([[]], 1))


def outcomes(values, seeds=(0,)) -> list[dict]:
    cells = [(prompt, seed) for prompt in range(len(values) // len(seeds)) for seed in seeds]
    return [
        {"prompt_id": prompt, "training_seed": seed, "perplexity": value}
        for (prompt, seed), value in zip(cells, values)
    ]


def test_two_models_are_compared_in_absolute_and_relative_form(metric):
    rng = np.random.default_rng(0)
    first = rng.normal(51.3, 1, 40)
    found = metric.compare(outcomes(first), outcomes(first + 59.1 - first.mean()))
    assert found["difference"] == pytest.approx(59.1 - first.mean())
    assert found["difference_low"] == pytest.approx(found["difference_high"])  # of the same prompts
    assert found["percent"] == pytest.approx(100 * found["difference"] / first.mean())
    noisy = compare_means(outcomes(first, (0, 1)), outcomes(first + rng.normal(0, 1, 40), (0, 1)))
    assert noisy["difference_low"] < 0 < noisy["difference_high"] and noisy["percent_low"] < noisy["percent_high"]
    with_gap = outcomes([math.nan, *first[1:]])
    assert compare_means(with_gap, outcomes(first))["difference"] == pytest.approx(first.mean() - first[1:].mean())
    with pytest.raises(ValueError, match="not asked the same prompts"):
        compare_means(outcomes(first), outcomes(first[1:]))
    with pytest.raises(ValueError, match="Model B has no output with a perplexity"):
        compare_means(outcomes(first), outcomes([math.nan] * 40))


def test_nothing_but_empty_outputs_has_no_perplexity():
    result = describe_outputs(["", " "], [None, None], ["a", "b"], generated_tokens=[0, 3])
    assert math.isnan(result["mean"]) and math.isnan(result["auto_bleu"]) and result["n_scored"] == 0
    assert result["shares"]["empty"]["share"] == 1 and result["shares"]["silent"]["share"] == 0.5


def test_a_judge_gives_the_same_by_the_engine_and_the_reference_scorer(metric, model_folder, monkeypatch):
    given = {"predictions": WRITTEN, "references": references(TRUE), "model_id": str(model_folder), "device": "cpu"}
    engine = metric.compute(**given)
    assert engine["n_scored"] == 3 and engine["word_mean"] >= engine["mean"] > 1 and engine["true_mean"] > 1
    assert engine["judge"]["model"] == Path(model_folder).name and len(engine["judge"]["fingerprint"]) == 16
    without = metric.compute(**given | {"given_prompt": False})
    assert without["mean"] != engine["mean"] and without["given_prompt"] is False
    monkeypatch.setitem(sys.modules, "evoslm.models.scoring", None)
    alone = metric.compute(**given)
    for name in ("mean", "sd", "median", "word_mean", "true_mean"):
        assert alone[name] == pytest.approx(engine[name], rel=1e-4)


def test_the_prompt_is_never_counted(metric, model_folder):
    """One token behind prompts of any length: the perplexity is that of the token alone."""
    given = {"model_id": str(model_folder), "given_prompt": False, "return_outcomes": True}
    prompts = [{"prompt": "The lion"}, {"prompt": "The lion sings. A quiet otter carries"}]
    rows = metric.compute(predictions=["river", "river"], references=prompts, **given)["outcomes"]
    assert rows[0]["perplexity"] == pytest.approx(rows[1]["perplexity"], rel=1e-6)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"predictions": [], "references": [], "perplexities": []}, "There are no prompts"),
        ({"references": references()[:3]}, "There are 4 predictions and 3 references"),
        ({"prompt_ids": [1]}, "There are 4 prompts and 1 prompt_ids"),
        ({"perplexities": PERPLEXITIES[:2]}, "There are 4 prompts and 2 perplexities"),
        ({"perplexities": [20.0, 30.0, 5.0, 9.0]}, "Output 2 has a perplexity and no text"),
        ({"perplexities": [None, 30.0, None, 9.0]}, "Output 0 has text and no perplexity"),
        ({"perplexities": [0.5, 30.0, None, 9.0]}, "Perplexity 0 is 0.5; a perplexity is a number from 1"),
        ({"perplexities": None}, "Give model_id, the language model that judges, or perplexities"),
        ({"reasons": ["tired"] * 4}, "no reason 'tired' to end; choose from end, stop, limit"),
        ({"form": "phones"}, "There is no form 'phones'"),
        ({"perplexities": None, "model_id": "nowhere/at-all"}, "no causal language model"),
    ],
)
def test_what_cannot_be_judged_is_named(metric, change, named, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match=named):
        metric.compute(**{"predictions": WRITTEN, "references": references(), "perplexities": PERPLEXITIES} | change)


def test_a_revision_of_a_folder_is_refused(metric, model_folder):
    with pytest.raises(ValueError, match="which has no revision 'main'"):
        metric.compute(predictions=["a"], references=references()[:1], model_id=str(model_folder), revision="main")


def test_what_both_metrics_of_continuations_share_is_a_link_to_one_file():
    if FOLDER.parent.name != "metrics":
        pytest.skip("the package is not installed from a checkout")
    for name in ("pelm", "continuation_perplexity"):
        for file, target in LINKS.items():
            link = FOLDER.parent / name / file
            assert link.is_symlink() and os.readlink(link) == target and link.is_file()


def test_the_folder_loads_without_this_package(tmp_path, monkeypatch):
    for module in list(sys.modules):
        if module.partition(".")[0] in ("evoslm", "evaluate_modules"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "evoslm", None)
    folder = shutil.copytree(FOLDER, tmp_path / "continuation_perplexity")
    loaded = evaluate.load(str(folder), cache_dir=str(tmp_path / "cache"))
    result = loaded.compute(predictions=WRITTEN, references=references(), perplexities=PERPLEXITIES)
    assert loaded.name == "continuation_perplexity" and result["mean"] == 50


def test_the_app_judges_a_file_of_continuations(tmp_path, model_folder, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))  # a Space runs its folder as a script
    for module in ("app", "continuation_app"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    app = importlib.import_module("app")
    rows = [
        {"prediction": written, "prompt": prompt, "continuation": true, "reason": "end", "generated_tokens": 3}
        for written, prompt, true in zip(WRITTEN, PROMPTS, TRUE)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = app.result_table(app.evaluate_file(tmp_path / "rows.jsonl", str(model_folder)))
    labels = [row[0] for row in table]
    assert labels[0] == "Mean perplexity" and {"Auto-BLEU", "Distinct-2", "Share that is limit (%)"} <= set(labels)
    assert all(len(row) == len(app.LABELS) for row in table)
    (tmp_path / "one.jsonl").write_text(json.dumps(rows[0]))
    assert app.result_table(app.evaluate_file(tmp_path / "one.jsonl", str(model_folder)))[0][2] == "–"


def test_a_line_of_a_file_ends_where_json_says(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '{"prediction": "so\u2028on", "prompt": "x\x85"}\n\n{"prediction": "b", "prompt": "x"}\r\n', "utf-8"
    )
    assert read_continuations(file)["predictions"] == ["so\u2028on", "b"]
    for bad in ('["a"]', "5", '"prediction prompt"'):
        file.write_text(f'{{"prediction": "a", "prompt": "x"}}\n{bad}\n')
        with pytest.raises(ValueError, match="Line 2 of rows.jsonl is no JSON object; give one a line."):
            read_continuations(file)
