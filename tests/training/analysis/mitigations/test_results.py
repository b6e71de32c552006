"""The numbers of the table: each row has its own, whatever its run is called."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_run import make_fake_run

from evoslm.training.analysis.mitigations import results as results_module
from evoslm.training.analysis.mitigations.results import compute_results
from evoslm.training.analysis.mitigations.rows import name_runs, read_rows
from evoslm.training.report.run_folder import read_run
from evoslm.training.run.folder import Run


def make_run(folder: Path, ability: float, **units) -> tuple:
    """A made-up run whose units are told something, and read from it."""
    abilities = {"speech_units": (ability, 0.2, 0.1)}
    make_fake_run(folder, ("speech_units",), (0, 1), 60, points=False, baselines=False, abilities=abilities)
    study = json.loads((folder / "study.json").read_text())
    study["configuration"]["units"] = {"unit_normalization": "none"} | units
    (folder / "study.json").write_text(json.dumps(study))
    return Run(folder), read_run(folder)


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list:
    """A run and two others of the same folder name, told the same, of which the second knows every word."""
    folder = tmp_path_factory.mktemp("runs")
    others = [make_run(folder / name / "replicate-0", 9.0, unit_normalization="speaker") for name in "ab"]
    others[0] = make_run(folder / "c" / "replicate-0", -9.0, unit_normalization="speaker")
    return read_rows(*make_run(folder / "own", 0.0), others, [])


def test_runs_of_one_folder_name_have_their_own_numbers_and_labels(rows, monkeypatch):
    monkeypatch.setattr(results_module, "measure_rates", lambda row: {})
    found = compute_results(rows)["rows"]
    assert [row["key"] for row in found] == ["speech_units", "run-1:speech_units", "run-2:speech_units"]
    accuracies = [row["accuracies"]["swuggy"]["value"] for row in found]
    assert accuracies[1] < 0.1 < accuracies[0] < 0.9 < accuracies[2]
    assert [row["run"] for row in found] == ["runs0/own", "c/replicate-0", "b/replicate-0"]
    assert [row["label"] for row in found] == [
        "Speech-MFCC",
        "Speech-MFCC, normalised by speaker (c/replicate-0)",
        "Speech-MFCC, normalised by speaker (b/replicate-0)",
    ]


def test_rows_of_one_key_are_refused(rows):
    with pytest.raises(ValueError, match="Two rows of the table have one key"):
        compute_results([*rows, replace(rows[1], label="another")])


def test_runs_are_called_by_as_much_of_their_folders_as_tells_them_apart():
    runs = [Run(Path("/x/a/first")), Run(Path("/x/b/second"))]
    assert list(name_runs([*runs, runs[0]]).values()) == ["first", "second"]
    assert list(name_runs([*runs, Run(Path("/y/b/second"))]).values()) == ["x/a/first", "x/b/second", "y/b/second"]
