"""A run's own pairs as its modalities of speech read them: asked by the metrics and `evoslm score`, and a dataset."""

import json
import shutil

import evaluate
import pandas as pd
import pyarrow.parquet as pq
import pytest

import evoslm
from evoslm.datasets_scripts.builders import prepare
from evoslm.datasets_scripts.builders.minimal_pairs import UNIT_FEATURES, MinimalPairs
from evoslm.metrics.tasks import TASKS
from evoslm.training.cli import main
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run
from evoslm.training.run.study_file import open_run
from evoslm.training.score.pair_files import accuracies_by_task
from evoslm.training.score.unit_pairs import build_unit_pairs

MODALITIES = ("speech_units", "speech_units_one_voice", "speech_dedup", "speech_bpe", "speech_syllable")
MODALITIES += ("speech_syllable_unsupervised", "speech_duration_penalized")


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    return open_run(shutil.copytree(finished_run, tmp_path_factory.mktemp("units") / "run"))


@pytest.mark.parametrize("modality", MODALITIES)
def test_score_asks_a_model_of_units_the_pairs_of_its_run(run, modality):
    flags = ["--modality", modality, "--device", "cpu", "--num_proc", "1"]
    assert main(["score", str(run.folder), *flags]) == 0
    folder = run.folder / "pair_scores" / f"{modality}-seed-0"
    keys = ["task", "pair_id", "voice"]
    scores = pd.read_parquet(folder / "scores.parquet").rename(columns={"id": "pair_id"}).set_index(keys).sort_index()
    items = pd.read_parquet(run.scores(modality, 0) / "best" / "items.parquet").set_index(keys).sort_index()
    assert scores.index.equals(items.index)
    for side in ("positive", "negative"):
        assert scores[f"{side}_tokens"].tolist() == items[f"{side}_tokens"].tolist()
        assert scores[side].to_numpy() == pytest.approx(items[side].to_numpy(), rel=1e-4)
    assert (scores["cluster"] == items["cluster"]).all()
    accuracies = json.loads((folder / "summary.json").read_text())["accuracies"]
    expected = accuracies_by_task(items.reset_index().to_dict("records"))
    assert set(accuracies) == set(expected) == set(TASKS)
    for task, found in expected.items():
        for name in ("accuracy", "ci_low", "ci_high", "n_pairs", "n_clusters"):
            assert accuracies[task][name] == pytest.approx(found[name], abs=1e-9)


def test_the_metric_takes_a_runs_own_unit_pairs(run, tmp_path):
    pairs = build_unit_pairs(run, "speech_units")
    metric = evaluate.load(evoslm.metric_path("swuggy"), cache_dir=str(tmp_path))
    model = str(run.model("speech_units", 0))
    result = metric.compute(model_id=model, pairs=str(pairs), modality="units", device="cpu")
    found = compute_results(read_run(run.folder))["accuracies"]["speech_units"]["swuggy"]["headline"]
    assert result["accuracy"] == pytest.approx(found["value"], abs=1e-9) and result["n_pairs"] == found["n_pairs"]


def test_units_of_pairs_are_a_configuration_of_the_dataset(run, tmp_path):
    pairs = build_unit_pairs(run, "speech_units")
    for task in ("swuggy", "topic_sc"):
        dataset = prepare(f"{task}_units", pairs, tmp_path)["test"]
        assert dataset.features == UNIT_FEATURES and set(dataset["task"]) == {task}
        shards = sorted((run.pair_units("speech_units") / task).glob("test-*.parquet"))
        units = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
        assert dataset["id"][:] == [row["id"] for row in units]
        for side in ("context", "positive", "negative"):
            contents = [" ".join(map(str, row[f"{side}_units"] or [])) for row in units]
            assert dataset[f"{side}_units"][:] == contents
    with pytest.raises(ValueError, match="no minimal pairs of 'units'; choose from swuggy, .*swuggy_units"):
        MinimalPairs(str(tmp_path), config_name="units")


def test_a_run_without_units_of_pairs_is_named(run, tmp_path, capsys):
    copy = open_run(shutil.copytree(run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("unit_pairs")))
    shutil.rmtree(copy.pair_units("speech_units"))
    assert main(["score", str(copy.folder), "--modality", "speech_units"]) == 2
    assert "There are no units of pairs in" in capsys.readouterr().err
