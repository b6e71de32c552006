"""The metrics, `evoslm score` and the report count alike: one accuracy of a finished run's model on its pairs."""

import json
import shutil

import evaluate
import pandas as pd
import pytest

import evoslm
from evoslm.metrics.pair_accuracy import read_pairs
from evoslm.metrics.tasks import TASKS
from evoslm.training.cli import main
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run
from evoslm.training.run.study_file import open_run

MODALITY = "phone_raw"


@pytest.fixture(scope="module")
def uneven_run(finished_run, tmp_path_factory):
    """A copy of the finished run in which every third pair is gone, so that some clusters have one pair and some two,
    and the rows of its pairs."""
    run = open_run(shutil.copytree(finished_run, tmp_path_factory.mktemp("uneven") / "run"))
    rows = read_pairs(str(run.pairs(run.voices_of(MODALITY))), "phones")
    gone = set(sorted({row["id"] for row in rows})[::3])
    rows = [row for row in rows if row["id"] not in gone]
    for file in run.folder.glob(f"scores/{MODALITY}/**/*.parquet"):
        items = pd.read_parquet(file)
        items[~items["pair_id"].isin(gone)].to_parquet(file)
    return run, rows


def test_the_metric_and_the_report_say_the_same_of_a_finished_run(uneven_run, tmp_path):
    run, rows = uneven_run
    report = compute_results(read_run(run.folder))["accuracies"][MODALITY]
    assert set(report) == set(TASKS)
    for task, found in report.items():
        metric = evaluate.load(evoslm.metric_path(task), cache_dir=str(tmp_path / "cache"))
        model = str(run.model(MODALITY, 0))
        result = metric.compute(model_id=model, pairs=rows, modality="phones", device="cpu")
        assert result["accuracy"] == pytest.approx(found["headline"]["value"], abs=1e-9)
        assert (result["ci_low"], result["ci_high"]) == pytest.approx(
            (found["headline"]["low"], found["headline"]["high"]), abs=1e-9
        )
        for name in ("n", "n_pairs", "n_clusters"):
            assert result[name] == found["headline"][name]
        assert result["accuracy_fewer_tokens"] == pytest.approx(found["baselines"]["fewer_tokens"]["value"])
    sizes = pd.DataFrame(rows).query("task == 'sblimp'").groupby("cluster")["id"].nunique()
    assert set(sizes) == {1, 2}


def test_score_and_the_report_say_the_same_of_a_finished_run(uneven_run, tmp_path, capsys):
    run, rows = uneven_run
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    flags = ["--modality", MODALITY, "--pairs", str(tmp_path / "pairs.jsonl"), "--output_dir", str(tmp_path / "out")]
    assert main(["score", str(run.folder), *flags, "--device", "cpu", "--num_proc", "1"]) == 0
    scored = json.loads((tmp_path / "out" / "summary.json").read_text())["accuracies"]
    report = compute_results(read_run(run.folder))["accuracies"][MODALITY]
    assert set(scored) == set(report)
    for task, found in report.items():
        assert scored[task]["accuracy"] == pytest.approx(found["headline"]["value"], abs=1e-9)
        assert scored[task]["n_pairs"] == found["headline"]["n_pairs"]
    assert "pairs in the bands 6-20, 21-100" in capsys.readouterr().out
