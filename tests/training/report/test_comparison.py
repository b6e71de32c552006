"""The report over several finished runs: replicates of a study, and runs that differ in what they were told."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_run import make_fake_run

from evoslm.models.seed_intervals import mean_over_replicates
from evoslm.training.cli import main
from evoslm.training.report import prose
from evoslm.training.report.comparison import write_comparison
from evoslm.training.report.comparison.results import compare_runs
from evoslm.training.report.comparison.runs import read_runs
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run
from evoslm.training.run.replicates_file import write_replicates

CHAIN = ("text_raw", "phone_raw", "phone_repeat")


def make_runs(folder: Path, abilities: list[dict], seeds: int = 3, **told) -> list[Path]:
    """Made-up runs, each with a corpus seed and training seeds of its own, and whatever else each was told."""
    runs = []
    for number, of_run in enumerate(abilities):
        trained = range(seeds * number, seeds * (number + 1))
        run = make_fake_run(folder / f"replicate-{number}", CHAIN, trained, pairs=60, points=False, abilities=of_run)
        tell(run, corpus_seed=number, **{name: values[number] for name, values in told.items()})
        runs.append(run)
    return runs


def tell(run: Path, **told) -> None:
    study = json.loads((run / "study.json").read_text())
    study["configuration"]["corpus"] |= told
    (run / "study.json").write_text(json.dumps(study))


def read_back(report: Path) -> tuple[dict, str]:
    return json.loads((report.parent / "results.json").read_text()), report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def replicates(tmp_path_factory):
    """Three replicates of one kind; what Phone-Repeat loses differs a little."""
    folder = tmp_path_factory.mktemp("runs")
    return make_runs(folder, [{"phone_repeat": (0.8 + change, 0.2, 0.0)} for change in (0.0, 0.1, 0.2)])


@pytest.fixture(scope="module")
def compared(replicates):
    return compare_runs(read_runs(replicates, replicates[0].parent / "report"))


def test_a_value_of_each_run_is_that_of_its_own_report(replicates, compared):
    for run in replicates:
        own = compute_results(read_run(run))
        found = compared["accuracies"]["phone_raw"]["sblimp"]["by_run"][run.name]
        assert found["value"] == own["accuracies"]["phone_raw"]["sblimp"]["headline"]["value"]
        (effect,) = (effect for effect in own["effects"] if effect["result"] == "phone_repeat")
        (step,) = (step for step in compared["steps"] if step["result"] == "phone_repeat")
        assert step["tasks"]["swuggy"]["by_run"][run.name] == effect["tasks"]["swuggy"]["points"] | {
            "verdict": effect["tasks"]["swuggy"]["verdict"]
        }


def test_the_mean_over_replicates_says_what_its_interval_is_over(compared):
    assert compared["are_replicates"] and set(compared["differs"]) == {"corpus_seed", "training_seeds"}
    found = compared["accuracies"]["phone_raw"]["sblimp"]
    values = [accuracy["value"] for accuracy in found["by_run"].values()]
    mean, low, high = mean_over_replicates(values)
    expected = {"value": mean, "low": max(low, 0), "high": min(high, 1), "sd": np.std(values, ddof=1)}
    assert {name: found["mean"][name] for name in expected} == pytest.approx(expected)
    assert found["mean"]["over"] == "replicates" and found["mean"]["n_replicates"] == 3
    assert "t(R - 1) s / sqrt(R)" in compared["statistics"]["intervals"]["replicates"]


def test_what_agrees_is_counted_over_steps_and_tasks(compared):
    found = compared["agreement"]
    changes = [change for step in compared["steps"] for change in step["tasks"].values()]
    assert found["steps"] == len(changes) == 6
    assert found["same_sign"] == sum(change["same_sign"] for change in changes)
    assert found["shown"] == sum(bool(change["shown_in"]) for change in changes) and not found["shown_reversed"]


def test_the_report_says_costs_means_and_what_agrees(replicates, compared, tmp_path):
    results, text = read_back(write_comparison(replicates, tmp_path / "report"))
    assert results["agreement"] == json.loads(json.dumps(compared["agreement"]))
    assert "in three replicates" in text and "corpus seeds 0, 1 and 2" in text
    assert "**B, phones repeated for as long as they last** (Phone-Raw to Phone-Repeat) costs" in text
    assert "**Shown reversed in none:**" in text and "an interval is 4.3 standard errors" in text
    assert "| replicate-0 | replicate-1 | replicate-2 | mean over replicates |" in text
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3 and (tmp_path / "report" / "steps.png").stat().st_size


def test_a_change_that_another_run_shows_reversed_is_named(tmp_path):
    easier = {"text_raw": (0.2, 2.5, 0.0), "phone_raw": (2.6, 0.2, 0.0)}
    runs = make_runs(tmp_path, [{"text_raw": (2.6, 2.5, 0.0), "phone_raw": (0.2, 0.2, 0.0)}, easier])
    results, text = read_back(write_comparison(runs, tmp_path / "report"))
    assert results["agreement"]["shown_reversed"] == [
        {"baseline": "text_raw", "result": "phone_raw", "task": "swuggy"}
    ]
    assert "**Shown reversed:** Text-Raw → Phone-Raw on sWUGGY." in text
    assert results["agreement"]["shown_reversed"][0] in results["agreement"]["shown_with_another_sign"]
    assert "Shown, and not of the same sign in all: Text-Raw → Phone-Raw on sWUGGY" in text


def test_nothing_is_averaged_over_runs_that_were_told_different_things(tmp_path):
    runs = make_runs(tmp_path, [{}, {}], max_words=[60_000, 30_000])
    results, text = read_back(write_comparison(runs, tmp_path / "report"))
    assert not results["are_replicates"] and results["differs"]["max_words"] == [60_000, 30_000]
    assert "which differ in `max_words`, corpus seed and training seeds" in text and "mean over" not in text
    assert "| `max_words` | 60000 | 30000 |" in text
    assert all(change["mean"] is None for step in results["steps"] for change in step["tasks"].values())


def test_another_precision_is_no_replicate(tmp_path):
    runs = make_runs(tmp_path, [{}, {}])
    for path in runs[1].glob("models/*/*/training.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"precision": "bf16"}))
    tell(runs[1], corpus_seed=0)
    results, _ = read_back(write_comparison(runs, tmp_path / "report"))
    assert results["differs"]["precision"] == [["fp32"], ["bf16"]] and not results["are_replicates"]


def test_one_training_of_each_is_enough_for_replicates(tmp_path):
    runs = make_runs(tmp_path, [{"phone_repeat": (0.0, 0.0, 0.0)}] * 4, seeds=1)
    results, text = read_back(write_comparison(runs, tmp_path / "report"))
    (step,) = (step for step in results["steps"] if step["factor"] == "B")
    assert step["tasks"]["swuggy"]["mean"]["verdict"] == "falls" and not step["tasks"]["swuggy"]["shown_in"]
    assert "**No replicate shows a change;**" in text


def test_text_that_replicates_share_is_not_claimed_to_be_covered(tmp_path):
    runs = make_runs(tmp_path, [{}, {}])
    for number, run in enumerate(runs):
        passages = [f"Passage {index}." for index in range(number, number + 10)]
        rows = {"id": passages, "document": passages, "topic": passages, "split": ["train"] * 10}
        (run / "corpus" / "passages").mkdir()
        table = pa.table(rows | {"sentences": [[passage] for passage in passages]})
        pq.write_table(table, run / "corpus" / "passages" / "passages.parquet")
    results, text = read_back(write_comparison(runs, tmp_path / "report"))
    assert results["shared_text"] == pytest.approx(0.9)
    assert "at most 90.0\u00a0% are in another" in text and "cover no other texts but other pairs" in text


def test_a_step_that_one_run_lacks_is_left_open(replicates, tmp_path):
    runs = [*replicates, shutil.copytree(replicates[0], tmp_path / "short")]
    shutil.rmtree(runs[-1] / "scores" / "phone_repeat")
    tell(runs[-1], corpus_seed=7)
    results, text = read_back(write_comparison(runs, tmp_path / "report"))
    (step,) = (step for step in results["steps"] if step["factor"] == "B")
    assert list(step["tasks"]["swuggy"]["by_run"]) == [run.name for run in replicates]
    assert step["tasks"]["swuggy"]["mean"]["points"]["n_replicates"] == 3
    assert any(line.startswith("| Phone-Repeat |") and " – |" in line for line in text.splitlines())


def test_a_command_compares_runs_and_folders_of_replicates(replicates, tmp_path, capsys):
    folder = shutil.copytree(replicates[0].parent, tmp_path / "several")
    write_replicates(folder, ["replicate-0", "replicate-1", "replicate-2"])
    for name in ("replicate-0", "replicate-1"):
        (folder / name / "report").mkdir()
        (folder / name / "report" / "results.json").write_text("{}")
    assert main(["report", str(folder)]) == 0
    results, text = read_back(folder / "report" / "report.md")
    assert [run["name"] for run in results["runs"]] == ["replicate-0", "replicate-1"]
    assert "Not finished, and left out: replicate-2." in text
    other = shutil.copytree(replicates[2], tmp_path / "other")
    assert main(["compare", str(folder), str(other), "--output_dir", str(tmp_path / "all")]) == 0
    results, _ = read_back(tmp_path / "all" / "report.md")
    assert [run["name"] for run in results["runs"]] == ["replicate-0", "replicate-1", "other"]
    assert f"The report is {tmp_path / 'all' / 'report.md'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "A comparison needs two finished runs at least"),
        (["{run}"], "A comparison needs two finished runs at least"),
        (["{run}", "{run}"], "is given twice"),
        (["{run}", "{tmp}"], "is not the folder of a run"),
    ],
)
def test_what_cannot_be_compared_is_named(replicates, tmp_path, given, message, capsys):
    assert main(["compare", *(each.format(run=replicates[0], tmp=tmp_path) for each in given)]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1


def test_runs_without_a_common_modality_are_refused(tmp_path, capsys):
    first = make_fake_run(tmp_path / "first", ("text_raw",), points=False, pairs=20)
    second = make_fake_run(tmp_path / "second", ("phone_raw",), points=False, pairs=20)
    assert main(["compare", str(first), str(second), "--output_dir", str(tmp_path / "out")]) == 2
    assert "first and second have no modality and task in common" in capsys.readouterr().err


def test_one_finished_replicate_is_too_few_for_a_report(replicates, tmp_path, capsys):
    folder = shutil.copytree(replicates[0].parent, tmp_path / "several")
    write_replicates(folder, ["replicate-0", "replicate-1"])
    assert main(["report", str(folder)]) == 2
    assert "has 0 finished of 2 replicates" in capsys.readouterr().err


def test_too_few_clusters_for_an_interval_are_said(tmp_path):
    run = make_fake_run(tmp_path / "run", CHAIN, seeds=range(3), pairs=14, points=False)
    results = compute_results(read_run(run))
    assert results["too_small"]["sblimp"] == {"n": 14, "n_clusters": 7}
    said = "**sBLIMP**: too small to read: 14 pairs in 7 clusters, and intervals hold from 10 on; a larger --pairs"
    assert said in "\n".join(prose.summarize(results))
