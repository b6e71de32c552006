"""Commands that read a finished run: its folder is enough, and what is wrong with it is said in one sentence."""

import json
import shutil
from itertools import product

import numpy as np
import pandas as pd
import pytest

from evoslm.training.cli import main


@pytest.mark.parametrize("give", [lambda run: [str(run)], lambda run: ["--run_dir", str(run)]])
def test_a_report_is_written_again(finished_run, tmp_path, give, capsys):
    run = shutil.copytree(finished_run, tmp_path / "run")
    shutil.rmtree(run / "report")
    assert main(["report", *give(run)]) == 0
    found, expected = (json.loads((folder / "report" / "results.json").read_text()) for folder in (run, finished_run))
    for results in (found, expected):
        del results["study"]  # which another test that reads the shared run may have written again
    assert found == expected
    assert f"The report is {run / 'report' / 'report.md'}" in capsys.readouterr().out


def test_the_model_of_a_run_is_asked_the_pairs_of_the_run(finished_run, tmp_path, capsys):
    run = shutil.copytree(finished_run, tmp_path / "run")
    assert main(["score", str(run), "--modality", "phone_raw", "--device", "cpu", "--num_proc", "1"]) == 0
    scores = pd.read_parquet(run / "pair_scores" / "phone_raw-seed-0" / "scores.parquet")
    items = pd.read_parquet(run / "scores" / "phone_raw" / "seed-0" / "best" / "items.parquet")
    by_task = [dict(list(frame.groupby("task"))) for frame in (scores, items)]
    assert by_task[0].keys() == by_task[1].keys() == {"swuggy", "sblimp", "topic_sc"}
    for task, side in product(by_task[0], ("positive", "negative")):
        found, expected = (np.sort(frames[task][side]) for frames in by_task)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert "swuggy: " in capsys.readouterr().out


def test_the_model_of_a_run_is_asked_other_pairs(finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run")
    pair = {"positive_text": "The cat sat.", "negative_text": "Cat the sat."}
    (tmp_path / "mine.jsonl").write_text(json.dumps(pair) + "\n")
    flags = ["--modality", "text_raw", "--pairs", str(tmp_path / "mine.jsonl"), "--device", "cpu", "--num_proc", "1"]
    assert main(["score", *flags, str(run)]) == 0
    assert len(pd.read_parquet(run / "pair_scores" / "text_raw-seed-0-mine" / "scores.parquet")) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Give --modality: {run} has models of text_bpe, "),
        (["--modality", "phones"], "Unknown modality 'phones'; choose from text_bpe, "),
        (["--modality", "text_raw", "--training_seed", "7"], "{run} has no model of seed 7"),
        (["--modality", "speech_units_synthetic"], "{run} has no speech_units_synthetic model of seed 0, only of "),
        (["--modality", "text_raw", "--model_id", "gpt2"], "Give either a run or --model_id, not both: {run}, gpt2"),
    ],
)
def test_what_cannot_be_scored_of_a_run_is_named(finished_run, flags, message, capsys):
    assert main(["score", str(finished_run), *flags]) == 2
    error = capsys.readouterr().err
    assert message.format(run=finished_run) in error and len(error.splitlines()) == 1


def test_without_a_run_a_model_and_pairs_are_asked_for(capsys):
    assert main(["score", "--model_id", "gpt2"]) == 2
    assert "Give a finished run (`evoslm score RUN --modality phone_raw`), or --pairs, --output_dir." in (
        capsys.readouterr().err
    )


NEEDED = {
    "report": [],
    "score": ["--modality", "text_raw"],
    "zerospeech": ["--zerospeech_dir", "z"],
    "export-units": ["--benchmark_dir", "b", "--to", "t"],
    "unit-report": [],
    "train-vocoder": [],
    "train-transcriber": [],
    "pretrain-encoder": [],
    "encode-audio": ["--output_dir", "out", "--audio_dir", "recordings"],
    "transcribe": [],
}


@pytest.mark.parametrize(("command", "flags"), NEEDED.items())
def test_a_folder_that_is_no_run_is_named(command, flags, tmp_path, capsys):
    assert main([command, str(tmp_path), *flags]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path} is not the folder of a run" in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("command", ["report", "zerospeech", "train-vocoder", "train-transcriber", "pretrain-encoder"])
def test_a_run_that_is_needed_is_asked_for(command, capsys):
    assert main([command, *NEEDED[command]]) == 2
    assert f"Give the folder of a finished run, as in `evoslm {command} runs/laptop" in capsys.readouterr().err


def test_the_quantizer_of_a_run_encodes_other_audio(finished_run, tmp_path):
    pytest.importorskip("datatrove")
    flags = ["--utterances_dir", str(finished_run / "corpus" / "utterances"), "--num_proc", "1", "--device", "cpu"]
    assert main(["encode-audio", str(finished_run), *flags, "--output_dir", str(tmp_path / "out")]) == 0
    for shard in sorted((tmp_path / "out" / "units").glob("*.parquet")):
        own = pd.read_parquet(finished_run / "units" / "speech_units" / "utterances" / shard.name)
        found = pd.read_parquet(shard)
        assert [list(units) for units in found["units"]] == [list(units) for units in own["units"]]


def test_a_run_without_pairs_is_named(finished_run, tmp_path, capsys):
    run = shutil.copytree(finished_run, tmp_path / "run")
    shutil.rmtree(run / "pairs")
    assert main(["score", str(run), "--modality", "text_raw"]) == 2
    assert f"There are no pairs in {run / 'pairs' / 'rendered'}; `evoslm build-dataset`" in capsys.readouterr().err
