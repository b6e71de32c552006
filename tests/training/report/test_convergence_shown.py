"""A report says which models had converged when their trainings ended, and which were still falling."""

import json

import pytest
from fake_run import make_fake_run

from evoslm.training.report.document import write_document
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run
from evoslm.training.report.tables import loss_table

MODALITIES = ("text_bpe", "phone_raw", "speech_units")


@pytest.fixture
def run(tmp_path):
    return make_fake_run(tmp_path / "run", modalities=MODALITIES, seeds=(0, 1), pairs=20)


def ended(run, modality, seed, **facts):
    path = run / "models" / modality / f"seed-{seed}" / "training.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def rows(table):
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[2:]]


def test_the_losses_say_how_each_training_ended(run):
    for seed in (0, 1):
        ended(run, "text_bpe", seed, convergence="converged", updates=200 + 100 * seed, epochs=2.0 + seed)
        ended(run, "phone_raw", seed, convergence=("converged", "still falling")[seed])
        ended(run, "speech_units", seed, convergence="still falling")
    results = compute_results(read_run(run))
    found = rows(loss_table(results))
    assert [row["at the end"] for row in found] == ["converged", "1 converged, 1 still falling", "still falling"]
    assert (found[0]["updates"], found[0]["epochs"]) == ("250", "2.5")
    said = write_document(results, {})
    assert "*converged* if three validations in a row improved its best loss by less than 0.2" in said


def test_a_loss_curve_is_of_the_updates_that_all_seeds_made(run):
    path = run / "models" / "text_bpe" / "seed-1" / "training.json"
    evaluations = json.loads(path.read_text())["evaluations"]
    ended(run, "text_bpe", 1, evaluations=evaluations[:-1])
    drawn = compute_results(read_run(run))["losses"]["text_bpe"]["evaluations"]
    assert [point["updates"] for point in drawn] == [each["updates"] for each in evaluations[:-1]]


def test_trainings_of_a_set_number_of_epochs_say_nothing_of_it(run):
    results = compute_results(read_run(run))
    assert "at the end" not in rows(loss_table(results))[0]
    assert "still falling" not in write_document(results, {})
