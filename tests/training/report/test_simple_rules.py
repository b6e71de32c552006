"""The simple rules beside the accuracies: shared words on Topic-SC, n-grams of runs, and tasks with too few pairs."""

import json

import pytest
from fake_run import make_fake_run

from evoslm.training.report import prose, tables
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "two"
    return make_fake_run(folder, modalities=("phone_raw", "phone_repeat"), pairs=40, points=False)


@pytest.fixture(scope="module")
def results(run):
    return compute_results(read_run(run))


def rows_of(table: str) -> dict[str, dict[str, str]]:
    header, _, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines())
    return {row[0]: dict(zip(header, row)) for row in rows}


def test_what_shared_words_tell_stands_beside_every_accuracy_on_topics(results):
    accuracies = tables.accuracy_table(results).splitlines()
    assert accuracies[0].count("| overlap |") == 1 and all("| 50.0 |" in row for row in accuracies[2:])
    baselines = rows_of(tables.baseline_table(results, "topic_sc"))
    rules = ("overlap", "by rarity", "over phones")
    assert [baselines["Phone-Raw"][rule] for rule in rules] == ["50.0"] * 3
    assert "overlap" not in tables.baseline_table(results, "swuggy")


def test_unbalanced_pairs_are_a_group_outside_the_headline(results):
    groups = rows_of(tables.group_table(results, "topic_sc"))
    assert groups["unbalanced"]["overlap"] == "100.0" and groups["unbalanced"]["n"] == "8"
    assert results["accuracies"]["phone_raw"]["topic_sc"]["headline"]["n"] == 32


def test_rules_of_shared_words_are_checked_once_and_to_two_points(results):
    checks = [check for check in results["item_checks"] if check["task"] == "topic_sc"]
    assert [check["baseline"] for check in checks] == ["overlap", "overlap_rarity", "overlap_phones"]
    said = "Topic-SC against words in common with the context: 50.0 to 50.0 %, all within 50 ± 2 %."
    assert said in prose.check_items(results)


def test_n_grams_of_runs_have_a_row_where_tokens_are_frames(results):
    baselines = rows_of(tables.baseline_table(results, "swuggy"))
    assert "Phone-Repeat, runs" in baselines and "Phone-Raw, runs" not in baselines
    found = results["accuracies"]["phone_repeat"]["swuggy"]["baselines"]
    assert float(baselines["Phone-Repeat, runs"]["5\u2011gram"]) == pytest.approx(
        100 * found["runs_ngram5"]["value"], abs=0.05
    )


def test_a_task_of_which_less_than_half_is_left_is_too_small_to_read(run, results):
    summary = json.loads((run / "pairs" / "summary.json").read_text())
    asked = {"report": summary["topic_sc"]["report"] | {"asked": 65}}
    (run / "pairs" / "summary.json").write_text(json.dumps(summary | {"topic_sc": summary["topic_sc"] | asked}))
    small = compute_results(read_run(run))
    assert results["too_small"] == {} and small["too_small"] == {"topic_sc": {"n": 32, "asked": 65}}
    said = "**Topic-SC**: too small to read: 32 balanced pairs of 65 that were asked for"
    assert any(statement.startswith(said) for statement in prose.summarize(small))
