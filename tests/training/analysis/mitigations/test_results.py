"""The numbers of the table: each row has its own, of what the runs hold now."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_run import make_fake_run

from evoslm.training.analysis.mitigations import results as results_module
from evoslm.training.analysis.mitigations.part import write_section
from evoslm.training.analysis.mitigations.results import compute_results, read_sound
from evoslm.training.analysis.mitigations.rows import JOINT_MODELS, find_earlier_joint, name_runs, read_rows
from evoslm.training.analysis.mitigations.unit_bpe import _study, finished_sizes
from evoslm.training.analysis.parts import AnalyzedRun
from evoslm.training.report.run_folder import read_run
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import Run
from evoslm.training.run.stage import Stage, fingerprint
from evoslm.training.run.study_file import open_run


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
    folder = tmp_path_factory.mktemp("runs") / "studies"
    others = [make_run(folder / name / "replicate-0", 9.0, unit_normalization="speaker") for name in "ab"]
    others[0] = make_run(folder / "c" / "replicate-0", -9.0, unit_normalization="speaker")
    return read_rows(*make_run(folder / "own", 0.0), others, [])


def test_runs_of_one_folder_name_have_their_own_numbers_and_labels(rows, monkeypatch):
    monkeypatch.setattr(results_module, "measure_rates", lambda row: {})
    found = compute_results(rows)["rows"]
    assert [row["key"] for row in found] == ["speech_units", "run-1:speech_units", "run-2:speech_units"]
    accuracies = [row["accuracies"]["swuggy"]["value"] for row in found]
    assert accuracies[1] < 0.1 < accuracies[0] < 0.9 < accuracies[2]
    assert [row["run"] for row in found] == ["studies/own", "c/replicate-0", "b/replicate-0"]
    assert [row["label"] for row in found] == [
        "Speech-MFCC",
        "Speech-MFCC, normalised by speaker (c/replicate-0)",
        "Speech-MFCC, normalised by speaker (b/replicate-0)",
    ]


def test_a_row_that_is_called_after_its_encoder_needs_no_other_name(tmp_path):
    folder, theirs = tmp_path / "other", []
    for name, units in (("whisper", {}), ("both", {"unit_normalization": "speaker"})):
        make_run(folder / name, 1.0, **units)
        study = json.loads((folder / name / "study.json").read_text())
        (folder / name / "study.json").write_text(json.dumps(study | {"encoder_label": "Whisper"}))
        theirs.append((Run(folder / name), read_run(folder / name)))
    labels = [row.label for row in read_rows(*make_run(tmp_path / "own", 0.0), theirs, [])]
    assert labels == ["Speech-MFCC", "Speech-Whisper", "Speech-Whisper, normalised by speaker"]


def test_rows_of_one_key_are_refused(rows):
    with pytest.raises(ValueError, match="Two rows of the table have one key"):
        compute_results([*rows, replace(rows[1], label="another")])


def test_runs_are_called_by_as_much_of_their_folders_as_tells_them_apart():
    runs = [Run(Path("/x/a/first")), Run(Path("/x/b/second"))]
    assert list(name_runs([*runs, runs[0]]).values()) == ["first", "second"]
    assert list(name_runs([*runs, Run(Path("/y/b/second"))]).values()) == ["x/a/first", "x/b/second", "y/b/second"]


def finish(folder: Path, **inputs: Path) -> Path:
    """Make a folder look like a finished stage."""
    folder.mkdir(parents=True, exist_ok=True)
    return pretend(Stage(folder, 1, {"name": folder.name}, inputs))


def pretend(stage: Stage, **changed) -> Path:
    """Write the record of a stage, as it would be or with other keys."""
    stage.folder.mkdir(parents=True, exist_ok=True)
    keys = stage.keys() | changed
    (stage.folder / "stage.json").write_text(json.dumps({"fingerprint": fingerprint(keys), "keys": keys}))
    return stage.folder


def test_a_size_is_in_the_table_if_all_of_it_is_finished_as_the_run_would_now(finished_run, tmp_path, capsys):
    run, execution, own = open_run(finished_run), Execution(), tmp_path / "450"
    study = _study(run, 450, execution)

    def find(*seeds):
        return [size for size, _ in finished_sizes(run, tmp_path, seeds, execution)]

    tokenizer = replace(study.tokenizer_stage("speech_bpe"), folder=own / "tokenizer")
    pretend(tokenizer)
    model = study.model_stage("speech_bpe", 0)
    model = replace(model, folder=own / "models" / "seed-0", inputs={"tokenizer": tokenizer.folder})
    pretend(model, **{"configuration.precision": "bf16"})  # as another device trains
    (own / "scores" / ".seed-0.partial").mkdir(parents=True)
    assert find(0) == []
    assert (
        "without Speech-BPE of 450 pieces, whose scores of training seed 0 are not finished" in capsys.readouterr().out
    )
    scored = {"model": model.folder, "pairs": run.pairs(), "units": run.pair_units("speech_bpe")}
    finish(own / "scores" / "seed-0", **scored)
    assert find(0) == [450]
    assert find(0, 1) == [] and "whose model of training seed 1 is not finished" in capsys.readouterr().out
    pretend(model, **{"configuration.pretrain.epochs": 77})
    assert find(0) == [] and "whose model of training seed 0 is not finished or of other" in capsys.readouterr().out
    pretend(tokenizer, **{"inputs.units": "others"})
    assert find(0) == [] and "whose tokenizer is not finished or of other units" in capsys.readouterr().out


def test_joint_models_of_earlier_units_are_found(tmp_path):
    run, folder = Run(tmp_path), tmp_path / "joint"
    units = finish(run.units() / "utterances")
    tokenizer = finish(folder / "tokenizer", units=units)
    for name in JOINT_MODELS[:2]:
        model = finish(folder / "models" / name / "seed-0", tokenizer=tokenizer)
        finish(folder / "scores" / name / "seed-0", model=model, units=units)
    assert find_earlier_joint(run) == []
    pretend(Stage(folder / "models" / JOINT_MODELS[0] / "seed-0", 2, {}, {"tokenizer": tokenizer}))
    assert find_earlier_joint(run) == [JOINT_MODELS[0]]
    pretend(Stage(units, 2, {}))
    assert find_earlier_joint(run) == [*JOINT_MODELS[:2]]


def test_what_nothing_hears_now_has_no_errors(tmp_path):
    (tmp_path / "heard" / "runs").mkdir(parents=True)
    rows = [{"id": "a", "text": "so on", "transcript": "so\u2028on"}, {"id": "b", "text": "on", "transcript": "off"}]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "heard" / "runs" / "transcripts.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "heard" / "runs" / "summary.json").write_text('{"transcriber": {"model": "a recogniser"}}')
    (tmp_path / "opinion" / "runs").mkdir(parents=True)
    (tmp_path / "opinion" / "runs" / "mos.json").write_text('{"value": 3.0}')
    heard = read_sound(tmp_path, "runs", is_heard=True, is_judged=True)
    assert heard["errors"]["utterances"] == 2 and heard["opinion"] == {"value": 3.0}
    assert set(read_sound(tmp_path, "runs", is_heard=False, is_judged=False).values()) == {None}


def test_a_table_of_earlier_models_is_not_on_the_page(tmp_path):
    run, finished = make_run(tmp_path / "run", 0.0)
    (tmp_path / "run" / "analysis" / "mitigations").mkdir(parents=True)
    results = {"made_of": {"speech_units/seed-0": "earlier"}}
    (tmp_path / "run" / "analysis" / "mitigations" / "results.json").write_text(json.dumps(results))
    section = write_section(AnalyzedRun(run, finished))
    assert section.results == {} and "`evoslm analyze RUN --parts mitigations` makes it anew" in section.paragraphs[0]
