"""Trainings of different settings are not averaged, and scores of a model that is gone are not reported."""

from pathlib import Path

import pytest
from fake_run import make_fake_run

from evoslm.models.files import write_json
from evoslm.models.modalities import get_modality
from evoslm.training.report.prose import list_missing
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_modality, read_run
from evoslm.training.run.folder import Run

MODALITY = "text_raw"


@pytest.fixture
def run(tmp_path) -> Run:
    """Two modalities, two seeds of each."""
    folder = make_fake_run(tmp_path / "run", (MODALITY, "phone_raw"), (0, 1), pairs=20, points=False, baselines=False)
    return Run(folder)


def record(folder: Path, fingerprint: str = "", **keys) -> None:
    """Note what made a folder."""
    write_json(folder / "stage.json", {"fingerprint": fingerprint, "keys": keys, "versions": {}, "seconds": 1.0})


def record_models(run: Run, *of_seeds: dict) -> None:
    for seed, keys in enumerate(of_seeds):
        record(run.model(MODALITY, seed), f"model-{seed}", **{"configuration.training_seed": seed} | keys)


def test_trainings_of_different_settings_are_no_seeds_of_a_model(run):
    record_models(run, {"configuration.protocol.epochs": 2.0}, {"configuration.protocol.epochs": 4.0})
    with pytest.raises(ValueError, match=r"seed-0 and seed-1 .* settings: protocol\.epochs \(2\.0 and 4\.0\)"):
        read_run(run.folder)
    assert list(read_modality(run, get_modality(MODALITY), "", seeds=[1]).trainings) == [1]


def test_trainings_on_another_corpus_are_no_seeds_of_a_model(run):
    record_models(run, {"inputs.tokenizer": "a"}, {"inputs.tokenizer": "b"})
    with pytest.raises(ValueError, match=r"inputs\.tokenizer \(a and b\)"):
        read_run(run.folder)


def test_what_an_earlier_version_did_not_note_is_not_compared(run):
    record_models(run, {"version": 4}, {"version": 4, "configuration.frame_rate": 50.0})
    assert list(read_run(run.folder).modalities[MODALITY].items) == [0, 1]


def test_scores_of_a_model_that_was_replaced_are_left_out_and_named(run):
    record_models(run, {}, {})
    for seed, fingerprint in enumerate(("model-0", "of-the-model-before")):
        record(run.scores(MODALITY, seed), **{"inputs.model": fingerprint})
    found = read_run(run.folder)
    assert list(found.modalities[MODALITY].items) == [0]
    assert list(found.modalities[MODALITY].trainings) == [0, 1]
    label = get_modality(MODALITY).label
    assert f"Asked for and not scored: {label} (training seed 1)." in list_missing(compute_results(found))
    record(run.scores(MODALITY, 0), **{"inputs.model": "of-the-model-before"})
    found = read_run(run.folder)
    assert MODALITY not in found.modalities and found.missing == [label]
