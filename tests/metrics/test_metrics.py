"""Every metric folder is complete by itself, judges as its card says, and scores a model like the engine does."""

import csv
import doctest
import importlib
import json
import shutil
import sys
from pathlib import Path

import datasets
import evaluate
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from transformers import LlamaConfig, LlamaForCausalLM

import evoslm
from evoslm.metrics.judging import pair_accuracies
from evoslm.metrics.pair_accuracy import judge_arguments
from evoslm.metrics.tasks import TASKS
from evoslm.models.statistics import paired_effect, resampled_means
from evoslm.models.tokenizers.phones import word_level_tokenizer

METRICS = tuple(TASKS)
FOLDER = Path(evoslm.metric_path("swuggy")).parent
EVERY_FOLDER = sorted(path.stem for path in FOLDER.glob("*/*.py") if path.stem == path.parent.name)
KEYS = {"headline", "accuracy", "ci_low", "ci_high", "accuracy_fewer_tokens", "n", "n_pairs", "n_clusters"}
RULES = {f"{prefix}_{rule}" for prefix in ("accuracy", "ci_low", "ci_high") for rule in ("sum", "mean")}


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("evaluate"))
    return {name: evaluate.load(evoslm.metric_path(name), cache_dir=cache) for name in METRICS}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = word_level_tokenizer(f"p{i}" for i in range(20))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def rows():
    """Pairs of all tasks, each in two voices."""
    rng = np.random.default_rng(0)

    def phones(low, high):
        return " ".join(f"p{i}" for i in rng.integers(0, 20, rng.integers(low, high)))

    return [
        {
            "id": f"{task}-{i}",
            "task": task,
            "group": f"group-{i % 2}",
            "band": "",
            "voice": voice,
            "rate": 175,
            "context_phones": phones(20, 40) if task == "topic_sc" else None,
            "positive_phones": phones(2, 9),
            "negative_phones": phones(2, 9),
            "positive_audio": {"bytes": b"", "path": None},
        }
        for task in METRICS
        for i in range(6)
        for voice in ("en-us+f1", "en-us+m1")
    ]


def given(margins, tokens=(4, 4)):
    predictions = [{"positive": -20.0 + margin, "negative": -20.0} for margin in margins]
    return predictions, [{"positive_tokens": tokens[0], "negative_tokens": tokens[1]}] * len(margins)


def counts(pairs, clusters):
    return {"n": pairs, "n_pairs": pairs, "n_clusters": clusters}


def test_every_task_has_a_metric():
    assert set(METRICS) <= set(EVERY_FOLDER)


@pytest.mark.parametrize("name", EVERY_FOLDER)
def test_a_folder_is_complete(name):
    folder = FOLDER / name
    assert {path.name for path in folder.glob("*.*")} >= {f"{name}.py", "README.md", "app.py", "requirements.txt"}
    _, front, card = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    front = yaml.safe_load(front)
    assert front["sdk"] == "gradio" and front["app_file"] == "app.py" and "evaluate" in front["tags"]
    for section in ("## How to use", "### Inputs", "### Output", "## Limitations", "## Citation"):
        assert section in card
    module = importlib.import_module(f"evoslm.metrics.{name}.{name}")
    assert module._CITATION.strip() in card
    assert "items only" in card or name not in METRICS


@pytest.mark.parametrize("name", EVERY_FOLDER)
def test_the_documented_example_runs(name, monkeypatch, tmp_path):
    monkeypatch.chdir(FOLDER.parent)  # "metrics/swuggy" is a path from the root of the repository
    if FOLDER.name != "metrics":
        pytest.skip("the package is not installed from a checkout")
    module = importlib.import_module(f"evoslm.metrics.{name}.{name}")
    example = doctest.DocTestParser().get_doctest(module._KWARGS_DESCRIPTION, {}, name, None, 0)
    assert len(example.examples) >= 4
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("name", METRICS)
def test_a_folder_loads_without_this_package(name, tmp_path, monkeypatch):
    """As on the Hub: a copy, and no `evoslm` to import from."""
    for module in list(sys.modules):
        if module.partition(".")[0] in ("evoslm", "evaluate_modules"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "evoslm", None)
    folder = shutil.copytree(FOLDER / name, tmp_path / name)
    metric = evaluate.load(str(folder), cache_dir=str(tmp_path / "cache"))
    predictions, references = given([1])
    assert metric.name == name
    assert metric.compute(predictions=predictions, references=references)["accuracy"] == 1


def test_metric_paths_are_found_by_name():
    assert Path(evoslm.metric_path("topic_sc"), "topic_sc.py").is_file()
    with pytest.raises(ValueError, match="Unknown metric 'wuggy'; choose from .*sblimp.*swuggy"):
        evoslm.metric_path("wuggy")


@pytest.mark.parametrize("name", METRICS)
def test_keys_are_those_of_the_interface(metrics, name):
    predictions, references = given([1, -1, 0])
    plain = metrics[name].compute(predictions=predictions, references=references)
    assert set(plain) == KEYS | RULES
    full = metrics[name].compute(
        predictions=predictions, references=references, unconditional=predictions, groups=["a", "b", "a"]
    )
    assert set(full) == KEYS | RULES | {"accuracy_pmi", "ci_low_pmi", "ci_high_pmi", "groups"}
    assert full["groups"]["a"] == {"accuracy_sum": 0.75, "accuracy_mean": 0.75, "accuracy_pmi": 0.5} | counts(2, 2)
    assert full["accuracy"] == full[f"accuracy_{full['headline']}"] == 0.5
    assert full["ci_low"] == full[f"ci_low_{full['headline']}"]


def test_rules_differ_where_lengths_do():
    predictions, references = given([-2, -2], tokens=(8, 4))  # 22 nats over 8 tokens against 20 over 4
    alone = [{"positive": -30.0, "negative": -20.0}] * 2
    result = pair_accuracies(predictions, references, unconditional=alone, headline="mean")
    assert (result["accuracy_sum"], result["accuracy_mean"], result["accuracy_pmi"]) == (0, 1, 1)
    assert result["accuracy"] == 1 and result["accuracy_fewer_tokens"] == 0


def test_ties_count_half():
    assert pair_accuracies(*given([0, 1, 1, -1]))["accuracy"] == 0.625
    assert pair_accuracies(*given([1]))["accuracy_fewer_tokens"] == 0.5


def test_voices_are_averaged_before_pairs_and_drawn_together():
    predictions, references = given([1, 1, 1, -1])
    result = pair_accuracies(predictions, references, ids=["a", "a", "a", "b"], groups=["x", "x", "y", "y"])
    assert result["accuracy"] == 0.5 and result["n"] == 2
    assert (result["ci_low"], result["ci_high"]) == (0, 1)
    assert result["groups"]["y"] == {"accuracy_sum": 0.5, "accuracy_mean": 0.5} | counts(2, 2)


@pytest.mark.parametrize("name", METRICS)
def test_clusters_of_unequal_sizes_change_the_interval_and_no_accuracy(metrics, name):
    predictions, references = given([1, 1, -1, 1, 1, -1, -1])
    asked = {"predictions": predictions, "references": references, "ids": ["a", "a", "a", "b", "c", "d", "e"]}
    alone = metrics[name].compute(**asked)
    together = metrics[name].compute(**asked, cluster_ids=["x"] * 5 + ["y"] * 2)
    expected = (2 / 3 + 1 + 1 + 0 + 0) / 5
    assert alone["accuracy"] == pytest.approx(expected) and together["accuracy"] == alone["accuracy"]
    assert alone.items() >= counts(5, 5).items() and together.items() >= counts(5, 2).items()
    assert (together["ci_low"], together["ci_high"]) == pytest.approx((0, 8 / 9))  # all of y, and all of x
    assert alone["ci_high"] - alone["ci_low"] < together["ci_high"] - together["ci_low"]
    with pytest.raises(ValueError, match="The pair a is in two clusters, x and y"):
        metrics[name].compute(**asked, cluster_ids=["x", "y", "x", "x", "x", "y", "y"])


def test_bands_choose_the_headlines_pairs_where_they_are_the_tasks_own(metrics):
    predictions, references = given([1, -1, 1, 1])
    asked = {"predictions": predictions, "references": references}
    bands = ["1-5", "6-20", ">100, unbalanced", "21-100, unbalanced"]
    own = metrics["swuggy"].compute(**asked, bands=bands, groups=["a", "a", "b", "b"])
    assert own["accuracy"] == 0.5 and own["bands"] == ["1-5", "6-20"] and own.items() >= counts(2, 2).items()
    assert own["groups"]["b"]["accuracy_sum"] == 1
    outcomes = metrics["swuggy"].compute(**asked, bands=bands, return_outcomes=True)["outcomes"]
    assert [row["counted"] for row in outcomes] == [True, True, False, False]  # what two models are compared on
    official = metrics["swuggy"].compute(**asked, bands=["1-5", "6-20", ">100", "oov"])
    assert official["accuracy"] == 0.75 and official["n_pairs"] == 4 and len(official["bands"]) == 4
    frequent = metrics["swuggy"].compute(**asked, bands=[">100, unbalanced"] * 4)
    assert frequent["accuracy"] == 0.75 and frequent["bands"] == [">100, unbalanced"]
    for name in ("sblimp", "topic_sc"):  # these have no bands
        assert metrics[name].compute(**asked, bands=bands)["n_pairs"] == 4
    with pytest.raises(ValueError, match="4 predictions and 1 bands"):
        metrics["swuggy"].compute(**asked, bands=["1-5"])


def test_the_column_of_bands_is_read_unless_somebody_else_recorded_the_pairs():
    score = {"positive": -1.0, "negative": -2.0, "positive_tokens": 1, "negative_tokens": 1, "id": "a"}
    assert judge_arguments([score | {"band": "1-5", "rate": 175}])["bands"] == ["1-5"]
    assert judge_arguments([score | {"band": "1-5"}])["bands"] == ["1-5"]
    assert "bands" not in judge_arguments([score | {"band": "1-5", "rate": None}])
    assert "bands" not in judge_arguments([score | {"band": ""}])


def test_the_interval_is_that_of_the_statistics_module():
    margins = np.random.default_rng(0).integers(-3, 6, 300)
    clusters = [str(i // 2) for i in range(300)]
    result = pair_accuracies(*given(margins.tolist()), cluster_ids=clusters, seed=3)
    correct = ((margins > 0) + 0.5 * (margins == 0))[:, None]
    drawn = resampled_means(correct, seed=3, cluster_ids=clusters)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (result["ci_low"], result["ci_high"]) == pytest.approx((low, high), abs=0.01)
    assert result["ci_low"] < result["accuracy"] < result["ci_high"]
    assert pair_accuracies(*given(margins.tolist()), cluster_ids=clusters, seed=3) == result


@pytest.mark.parametrize("name", METRICS)
def test_outcomes_are_a_row_a_prediction(metrics, name):
    predictions, references = given([2, -1, 0], tokens=(4, 5))
    alone = given([0, 0, 0])[0]
    asked = {"predictions": predictions, "references": references, "unconditional": alone}
    asked |= {"groups": ["x", "y", "y"], "cluster_ids": ["c", "c", "d"]}
    result = metrics[name].compute(**asked, ids=["a", "b", 7], return_outcomes=True)
    first, second, third = outcomes = result.pop("outcomes")
    assert result == metrics[name].compute(**asked)  # nothing else changes
    assert first == {
        **{"id": "a", "cluster": "c", "group": "x"},
        **{"correct_sum": 1, "correct_mean": 0, "correct_pmi": 1, "correct_fewer_tokens": 1},
        **{"margin_sum": 2, "margin_mean": -0.5, "margin_pmi": 2, "counted": True},
    }
    assert (second["correct_sum"], second["margin_sum"]) == (0, -1)
    assert (third["id"], third["correct_sum"]) == (7, 0.5)
    assert json.loads(json.dumps(outcomes)) == outcomes
    bare = metrics[name].compute(predictions=predictions, references=references, return_outcomes=True)["outcomes"]
    assert [row["id"] for row in bare] == [0, 1, 2] and not {"cluster", "group", "correct_pmi"} & set(bare[0])


def test_two_models_are_compared_on_the_same_pairs(metrics, model_folder, rows):
    """The outcomes of one are those of its pairs; those of two are what an effect is made of."""
    asked = {"model_id": model_folder, "pairs": rows, "modality": "phones", "device": "cpu", "return_outcomes": True}
    first = metrics["sblimp"].compute(**asked)
    own = [row for row in rows if row["task"] == "sblimp"]
    assert [row["id"] for row in first["outcomes"]] == [row["id"] for row in own]
    assert [row["group"] for row in first["outcomes"]] == [row["group"] for row in own]
    mean = np.mean([row["correct_sum"] for row in first["outcomes"]])
    assert mean == pytest.approx(first["accuracy"])  # each pair has as many voices

    swapped = [
        row | {"positive_phones": row["negative_phones"], "negative_phones": row["positive_phones"]} for row in rows
    ]
    second = metrics["sblimp"].compute(**asked | {"pairs": swapped})
    columns = [[row["correct_sum"] for row in result["outcomes"]] for result in (first, second)]
    clusters = [row["cluster"] for row in first["outcomes"]]
    pairs = [row["id"] for row in first["outcomes"]]
    effect = paired_effect(*columns, clusters, pair_ids=pairs)
    assert effect["points"] == pytest.approx(100 * (second["accuracy"] - first["accuracy"]))
    assert effect["n"] == 6 and effect["points_low"] <= effect["points"] <= effect["points_high"]
    assert (
        metrics["sblimp"].paired_effect(*columns, clusters, pair_ids=pairs) == effect
    )  # a metric's folder has it, too


def test_batches_can_be_added(metrics):
    predictions, references = given([1, -1])
    for _ in range(2):
        metrics["sblimp"].add_batch(predictions=predictions, references=references)
    assert metrics["sblimp"].compute(groups=["a", "b"] * 2)["n"] == 4


@pytest.mark.parametrize(
    ("name", "source"),
    [(name, "rows") for name in METRICS]
    + [("topic_sc", source) for source in ("parquet", "jsonl", "dataset", "folder")],
)
def test_a_model_is_scored_from_pairs_of_every_kind(metrics, model_folder, rows, tmp_path, name, source):
    pairs = rows
    if source == "parquet":
        pairs = str(tmp_path / "pairs.parquet")
        pq.write_table(pa.Table.from_pylist(rows), pairs)
    elif source == "jsonl":
        pairs = tmp_path / "pairs.jsonl"
        lines = [json.dumps({key: value for key, value in row.items() if "audio" not in key}) for row in rows]
        pairs.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif source == "dataset":
        pairs = datasets.Dataset.from_list(rows)
    elif source == "folder":
        pairs = str(tmp_path / "pairs")
        Path(pairs).mkdir()
        pq.write_table(pa.Table.from_pylist(rows), f"{pairs}/test-00000-of-00001.parquet")
    result = metrics[name].compute(model_id=model_folder, pairs=pairs, modality="phones", device="cpu")
    assert result["n"] == 6  # its own task only, voices together
    assert ("accuracy_pmi" in result) == (name == "topic_sc")
    assert set(result["groups"]) == {"group-0", "group-1"}


@pytest.mark.parametrize("name", METRICS)
def test_the_folders_own_scorer_agrees_with_the_engine(metrics, model_folder, rows, name, monkeypatch):
    arguments = {"model_id": model_folder, "pairs": rows, "modality": "phones", "device": "cpu"}
    fast = metrics[name]._score(**arguments)
    by_engine = metrics[name].compute(**arguments)
    monkeypatch.setitem(sys.modules, "evoslm.models.scoring", None)
    slow = metrics[name]._score(**arguments)
    assert [row["id"] for row in fast] == [row["id"] for row in slow]
    for one, other in zip(fast, slow):
        assert one["positive_tokens"] == other["positive_tokens"] == len(one["positive_phones"].split())
        for side in ("positive", "negative"):
            for key in (side, f"{side}_unconditional"):
                assert one[key] == pytest.approx(other[key], abs=1e-5 * one[f"{side}_tokens"], nan_ok=True)
    assert metrics[name].compute(**arguments) == by_engine


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing to judge: give predictions"),
        ({"predictions": [], "references": []}, "the list of predictions is empty"),
        ({"predictions": given([1])[0]}, "Both predictions and references are needed"),
        ({"predictions": given([1, 2])[0], "references": given([1])[1]}, "2 predictions and 1 references"),
        (
            {"predictions": given([float("nan")])[0], "references": given([1])[1]},
            "prediction of pair 0 has nan for positive",
        ),
        ({"predictions": [{"positive": 1.0}], "references": given([1])[1]}, "A prediction lacks 'negative'"),
        (
            {"predictions": given([1])[0], "references": [{"positive_tokens": 0, "negative_tokens": 1}]},
            "reference of pair 0 has a side without tokens",
        ),
        ({"predictions": given([1])[0], "references": given([1])[1], "groups": []}, "1 predictions and 0 groups"),
        ({"predictions": given([1])[0], "references": given([1])[1], "ids": ["a", "b"]}, "1 predictions and 2 ids"),
        (
            {"predictions": given([1])[0], "references": given([1])[1], "unconditional": [{"positive": 1.0}]},
            "unconditional score lacks 'negative'",
        ),
        ({"model_id": "m", "pairs": []}, "give model_id, pairs and modality, all three"),
        ({"model_id": "m", "predictions": given([1])[0]}, "but not both"),
        (
            {"model_id": "m", "pairs": [{"task": "sblimp"}], "modality": "text"},
            "no pairs of the task 'swuggy'.*sblimp",
        ),
        ({"model_id": "m", "pairs": [], "modality": "text"}, "no rows at all"),
    ],
)
def test_bad_input_is_named(metrics, arguments, message):
    with pytest.raises(ValueError, match=message):
        metrics["swuggy"].compute(**arguments)
    assert (
        metrics["swuggy"].compute(**dict(zip(("predictions", "references"), given([1]))))["n"] == 1
    )  # and no harm done


def test_topic_sc_needs_contexts(metrics, rows):
    pairs = [row | {"context_phones": ""} for row in rows]
    with pytest.raises(ValueError, match="fill the column 'context_phones'"):
        metrics["topic_sc"].compute(model_id="m", pairs=pairs, modality="phones")


def test_pairs_that_cannot_be_judged_are_refused_before_a_model_is_loaded(metrics):
    pairs = [{"id": "1", "group": group, "positive_text": "a", "negative_text": "b"} for group in ("x", "y")]
    with pytest.raises(ValueError, match="Rows with the id '1' differ in their group"):
        metrics["swuggy"].compute(model_id="nowhere", pairs=pairs, modality="text")


def test_a_missing_file_of_pairs_is_named(metrics):
    with pytest.raises(FileNotFoundError, match="no file of pairs at nowhere.parquet"):
        metrics["swuggy"].compute(model_id="m", pairs="nowhere.parquet", modality="text")


@pytest.mark.parametrize("name", METRICS)
def test_the_app_judges_a_file(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER / name))  # a Space runs its folder as a script
    monkeypatch.delitem(sys.modules, "pair_app", raising=False)
    app = importlib.import_module("pair_app")
    scores = [
        {"pair_id": "a", "group": "x", "positive": -3, "negative": -4, "positive_tokens": 2, "negative_tokens": 2},
        {"pair_id": "b", "group": "y", "positive": -5, "negative": -4, "positive_tokens": 3, "negative_tokens": 2},
    ]
    with open(tmp_path / "scores.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, scores[0])
        writer.writeheader()
        writer.writerows(scores)
    (tmp_path / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    (tmp_path / "scores.jsonl").write_text("\n".join(map(json.dumps, scores)), encoding="utf-8")
    results = [
        app.evaluate_file(str(FOLDER / name / f"{name}.py"), str(tmp_path / file))
        for file in ("scores.csv", "scores.json", "scores.jsonl")
    ]
    headers, rows = app.outcome_table(results[0])
    assert headers[:4] == ["id", "cluster", "group", "correct_sum"] and [row[:4] for row in rows] == [
        ["a", "a", "x", 1],
        ["b", "b", "y", 0],
    ]
    tables = [app.result_table(result) for result in results]
    assert tables[0] == tables[1] == tables[2]
    assert tables[0][0][1].endswith("(headline)") and tables[0][0][4] == 2
    assert {row[0] for row in tables[0]} == {"all", "x", "y"}


def test_the_app_says_which_bands_it_counted(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER / "swuggy"))
    monkeypatch.delitem(sys.modules, "pair_app", raising=False)
    app = importlib.import_module("pair_app")
    score = {"positive": -3, "negative": -4, "positive_tokens": 2, "negative_tokens": 2}
    scores = [score | {"id": band, "band": band} for band in ("6-20", ">100, unbalanced")]
    (tmp_path / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    rows = app.result_table(app.evaluate_file(str(FOLDER / "swuggy" / "swuggy.py"), str(tmp_path / "scores.json")))
    assert {(row[0], row[4]) for row in rows} == {("bands 6-20", 1)}


@pytest.mark.parametrize("name", METRICS)
def test_a_space_hides_no_module_of_the_standard_library(name):
    assert not {path.stem for path in (FOLDER / name).glob("*.py")} & sys.stdlib_module_names


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.csv", "positive,negative\n1,2\n", "Row 0 of a.csv has no column 'positive_tokens'"),
        (
            "a.csv",
            "positive,negative,positive_tokens,negative_tokens\nx,2,1,1\n",
            "'x' for 'positive', which is not a number",
        ),
        ("a.csv", "positive,negative,positive_tokens,negative_tokens\n1,2,1.5,1\n", "1.5 for 'positive_tokens'"),
        ("a.json", "[", "a.json is not valid JSON"),
        ("a.txt", "", "A .txt cannot be read"),
    ],
)
def test_the_app_names_bad_files(file, content, message, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER / "swuggy"))
    monkeypatch.delitem(sys.modules, "pair_app", raising=False)
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        importlib.import_module("pair_app").read_scores(str(tmp_path / file))


def test_scored_rows_become_arguments():
    rows = [
        {"positive": -1.0, "negative": -2.0, "positive_tokens": 1, "negative_tokens": 1, "pair_id": 7, "group": "g"}
    ]
    assert set(judge_arguments(rows)) == {"predictions", "references", "groups", "cluster_ids", "ids"}
    assert "unconditional" in judge_arguments(
        [rows[0] | {"positive_unconditional": -3.0, "negative_unconditional": -2.0}]
    )
    assert judge_arguments([]) == {"predictions": [], "references": []}
